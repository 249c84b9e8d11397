//! What the desk tells its callers: answers, states, views and problems.

use crate::facts::{FactError, Facts};
use crate::incident::{Incident, Leg, Owner, Phase, Refusal};
use crate::journal::JournalError;
use crate::policy::Decision;
use crate::record::{CallRecord, Format, IncidentId, ProgramId, Repair};
use crate::wire::DecodeError;
use serde::Serialize;
use std::sync::Arc;

/// What a sender is told. A 2xx with this means durable.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// The adapter's name of the incident.
    pub incident: IncidentId,
    /// True where this very record or answer had been received before; nothing was changed.
    pub repeat: bool,
    /// The format recognised, for records.
    pub format: Option<Format>,
    /// What the decoder mended.
    pub repairs: Vec<Repair>,
    /// Paths of unknown fields, kept in the raw bytes.
    pub unknown_fields: Vec<String>,
    /// What is known, with sources.
    pub facts: Facts,
    /// The decision.
    pub decision: Arc<Decision>,
    /// Nanoseconds spent deciding.
    pub decide_ns: u64,
    /// Where the incident stands.
    pub state: IncidentState,
}

/// Where an incident stands, for machines. No personal data.
#[derive(Debug, Clone, Serialize)]
pub struct IncidentState {
    /// Events so far.
    pub version: u64,
    /// Where it stands.
    pub phase: Phase,
    /// Who owns it.
    pub owner: Owner,
    /// Legs, in the order offered.
    pub legs: Vec<Leg>,
}

impl IncidentState {
    /// The state of an incident.
    #[must_use]
    pub fn of(incident: &Incident) -> Self {
        Self {
            version: incident.version,
            phase: incident.phase,
            owner: incident.owner.clone(),
            legs: incident.legs.clone(),
        }
    }
}

/// An incident with its last record: personal data, for pages and teams by their rights only.
#[derive(Debug, Clone)]
pub struct IncidentView {
    /// The state.
    pub incident: Arc<Incident>,
    /// The last applied record, where its content is still kept.
    pub record: Option<Arc<CallRecord>>,
}

/// A call-taker's choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The recommendation as it stands.
    Accept,
    /// The ordinary route.
    Ordinary {
        /// Required where the recommendation is a program.
        reason: Option<String>,
    },
    /// A named program against or beside the recommendation.
    Program {
        /// Which.
        program: ProgramId,
        /// Why.
        reason: String,
    },
}

/// What can go wrong at the desk.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallProblem {
    /// The bytes are not a call record.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// No incident of this name.
    #[error("no incident of this name")]
    NoSuchIncident,
    /// The state machine refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Fact or value not in the vocabulary.
    #[error(transparent)]
    Fact(#[from] FactError),
    /// The journal could not take it: nothing was acknowledged.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No sender of this name is configured.
    #[error("no sender `{0}` is configured")]
    UnknownSender(String),
    /// The named program is not in the policy.
    #[error("the policy has no program `{0}`")]
    NoSuchProgram(String),
    /// No policy is in force: every call takes the ordinary route.
    #[error("no policy is in force")]
    NoPolicy,
}
