//! THE STORY: bytes → record → facts → decision → journal → hand-off, as one function on one screen.

use crate::facts::{FactError, Facts};
use crate::incident::{Actor, Command, Incident, Outgoing, Refusal};
use crate::journal::Journal;
pub use crate::journal::{Entry, JournalError, Stored, Subject};
use crate::policy::{Decision, Policy};
use crate::record::{CallRecord, Format, IncidentId, ProgramId, Repair};
use crate::wire::DecodeError;
use bytes::Bytes;
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::broadcast;

/// The live incidents of one adapter: every call record, answer, choice and team's word goes through here.
pub struct Desk {}

/// What a sender is told. A 2xx with this means durable.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// The adapter's name of the incident.
    pub incident: IncidentId,
    /// True where this very record had been received before; nothing was changed.
    pub repeat: bool,
    /// The format recognised.
    pub format: Option<Format>,
    /// What the decoder mended.
    pub repairs: Vec<Repair>,
    /// Paths of unknown fields, kept in the raw bytes.
    pub unknown_fields: Vec<String>,
    /// What is known, with sources.
    pub facts: Facts,
    /// The decision.
    pub decision: Decision,
    /// Nanoseconds spent deciding.
    pub decide_ns: u64,
    /// Where the incident stands: the serialised state without personal data.
    pub state: IncidentState,
}

/// Where an incident stands, for machines. No personal data.
#[derive(Debug, Clone, Serialize)]
pub struct IncidentState {
    /// Events so far.
    pub version: u64,
    /// Phase name.
    pub phase: crate::incident::Phase,
    /// Owner.
    pub owner: crate::incident::Owner,
    /// Legs, in the order offered.
    pub legs: Vec<crate::incident::Leg>,
}

/// An incident with its last record: personal data, for pages and teams by their rights only.
#[derive(Debug, Clone)]
pub struct IncidentView {
    /// The state.
    pub incident: Incident,
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
}

impl Desk {
    /// A record came. Decodes, gathers facts, decides, appends, and hands the effects on.
    ///
    /// `sender` names a configured sender (its agency, zone and layout); `format` overrides recognition.
    ///
    /// # Errors
    /// [`CallProblem`]. On [`CallProblem::Decode`] the refusal itself has been journaled, without personal data.
    pub async fn receive(&self, _bytes: Bytes, _format: Option<Format>, _sender: &str) -> Result<Answer, CallProblem> {
        unimplemented!()
    }

    /// A call-taker answered a question; re-assessed.
    ///
    /// # Errors
    /// [`CallProblem`].
    pub async fn answer(
        &self,
        _incident: &IncidentId,
        _fact: &str,
        _value: &str,
        _by: Actor,
    ) -> Result<Answer, CallProblem> {
        unimplemented!()
    }

    /// A call-taker chose.
    ///
    /// # Errors
    /// [`CallProblem`].
    pub async fn choose(
        &self,
        _incident: &IncidentId,
        _choice: Choice,
        _by: Actor,
    ) -> Result<IncidentView, CallProblem> {
        unimplemented!()
    }

    /// A team reported a hazard; re-assessed.
    ///
    /// # Errors
    /// [`CallProblem`].
    pub async fn hazard(
        &self,
        _leg: &crate::record::LegId,
        _fact: &str,
        _value: &str,
        _by: Actor,
    ) -> Result<IncidentView, CallProblem> {
        unimplemented!()
    }

    /// Any other command (accept, decline, move, clear, return, back-up, tick, effect outcomes).
    ///
    /// # Errors
    /// [`CallProblem`].
    pub async fn command(&self, _incident: &IncidentId, _command: Command) -> Result<IncidentView, CallProblem> {
        unimplemented!()
    }

    /// One incident, open or closed.
    ///
    /// # Errors
    /// [`CallProblem::NoSuchIncident`], or the journal's.
    pub async fn view(&self, _incident: &IncidentId) -> Result<IncidentView, CallProblem> {
        unimplemented!()
    }

    /// The incident that the sender calls by this name, open or closed; the newest where a sender used a name again.
    pub fn find(&self, _source_incident: &str) -> Option<IncidentId> {
        unimplemented!()
    }

    /// Every open incident, oldest first.
    pub fn open_incidents(&self) -> Vec<IncidentView> {
        unimplemented!()
    }

    /// Every entry appended from now on (slow readers lose the oldest and must read the journal).
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Entry>> {
        unimplemented!()
    }

    /// The journal.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        unimplemented!()
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<Policy> {
        unimplemented!()
    }

    /// Effects not yet delivered, for the operator.
    pub fn undelivered(&self) -> Vec<(IncidentId, String)> {
        unimplemented!()
    }
}

#[doc(hidden)]
pub fn unused(_: &Outgoing) {}
