//! The state of one incident and its single transition function.

use super::{Command, Effect, Event, Refusal};
use crate::facts::Facts;
use crate::policy::{Decision, LegPlan, Mode, RouteStep};
use crate::record::{IncidentId, LegId, RecordIdentity, TimePoint};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Who owns the call at this instant. Always exactly one (invariant I2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// The PSAP: the ordinary route.
    Psap,
    /// The team of this leg.
    Team(LegId),
}

/// Where the incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Assessed; a choice may be open.
    Assessed,
    /// On the ordinary route by decision, choice or return.
    Ordinary,
    /// One or more legs are on offer.
    Offered,
    /// A team owns it.
    WithTeam,
    /// Ended.
    Closed,
}

/// Where a leg stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LegState {
    /// On offer.
    Offered,
    /// Accepted: this team owns the call.
    Accepted,
    /// On the way.
    EnRoute,
    /// Arrived.
    OnScene,
    /// With the person.
    WithPerson,
    /// Declined by the team.
    Declined,
    /// The deadline passed.
    TimedOut,
    /// The channel could not be reached.
    Unreachable,
    /// Taken back.
    Withdrawn,
    /// Told to stand back.
    StoodBack,
    /// Handed back by the team.
    Returned,
    /// Done.
    Cleared,
}

/// One leg.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Leg {
    /// Its name.
    pub id: LegId,
    /// How it was asked.
    pub plan: LegPlan,
    /// Where it stands.
    pub state: LegState,
    /// When it was offered.
    pub offered_at: Timestamp,
    /// The accept deadline.
    pub deadline: Timestamp,
}

/// One incident. Built only by folding [`Incident::on`] over its events, live and at recovery alike (invariant I10).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its name.
    pub id: IncidentId,
    /// Events applied so far.
    pub version: u64,
    /// Where it stands.
    pub phase: Phase,
    /// Who owns it.
    pub owner: Owner,
    /// The identity of the last applied record.
    pub identity: Option<RecordIdentity>,
    /// Identities of every record received, for idempotent repeats: content digest.
    pub seen: BTreeSet<String>,
    /// Mode in force.
    pub mode: Mode,
    /// Marked as a test.
    pub test: bool,
    /// What is known.
    pub facts: Facts,
    /// The last decision.
    pub decision: Option<Decision>,
    /// Legs in the order offered.
    pub legs: Vec<Leg>,
    /// Steps not yet tried.
    pub steps_left: Vec<RouteStep>,
    /// First instants of each time point.
    pub times: BTreeMap<TimePoint, Timestamp>,
    /// Effects not yet reported as delivered or given up, by key.
    pub outstanding: BTreeMap<String, Effect>,
    /// Unit statuses already seen.
    pub units_seen: BTreeSet<(String, TimePoint)>,
}

impl Incident {
    /// An incident nothing is known of yet.
    #[must_use]
    pub fn new(id: IncidentId) -> Self {
        Self {
            id,
            version: 0,
            phase: Phase::Assessed,
            owner: Owner::Psap,
            identity: None,
            seen: BTreeSet::new(),
            mode: Mode::Shadow,
            test: false,
            facts: Facts::default(),
            decision: None,
            legs: Vec::new(),
            steps_left: Vec::new(),
            times: BTreeMap::new(),
            outstanding: BTreeMap::new(),
            units_seen: BTreeSet::new(),
        }
    }

    /// What the command makes happen: the events to append, as one unit. An empty list is a repeat that changes nothing.
    ///
    /// # Errors
    /// Why it is refused. A refusal may still carry events to append first (a late answer is recorded): see [`Incident::refusal_events`].
    pub fn handle(&self, _command: &Command, _now: Timestamp) -> Result<Vec<Event>, Refusal> {
        unimplemented!()
    }

    /// Events to append although the command is refused (a late acceptance is recorded and the team told).
    #[must_use]
    pub fn refusal_events(&self, _command: &Command, _refusal: &Refusal) -> Vec<Event> {
        unimplemented!()
    }

    /// Applies one event: the only transition function, live and at recovery.
    pub fn on(&mut self, _event: &Event, _at: Timestamp) -> Vec<Effect> {
        unimplemented!()
    }

    /// The earliest instant at which [`Command::Tick`] would do something.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        unimplemented!()
    }
}
