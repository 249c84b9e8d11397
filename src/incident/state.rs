//! The state of one incident: what folding its events leaves behind.

use super::{Asked, Bounds, Duty, DutyState, Effect};
use crate::facts::Facts;
use crate::policy::{Decision, FollowUp, LegPlan, Mode, RouteStep, Status};
use crate::record::{AgencyId, IncidentId, LegId, RecordIdentity, Relation, TimePoint};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
    /// Of a tandem: this team has accepted, and its partner has not answered yet. The PSAP owns the call.
    Agreed,
    /// Accepted: this team owns the call.
    Accepted,
    /// On the way.
    EnRoute,
    /// Arrived.
    OnScene,
    /// With the person.
    WithPerson,
    /// Of a tandem: beside the team that leads and owns the call.
    Accompanying,
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
    /// Handed on by a phone team to the next step of the chain.
    HandedOn,
    /// Done.
    Cleared,
}

/// An effect that was given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GivenUp {
    /// What was to be carried out.
    pub effect: Effect,
    /// Kebab-case reason.
    pub why: String,
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
    pub decision: Option<Arc<Decision>>,
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
    /// The newest version applied of each sending element, as `agency/element`: versions are ordered by the
    /// sender's clock and per element only (invariant I8).
    pub applied: BTreeMap<String, Timestamp>,
    /// True once a choice was made or the call came back: from here nothing is offered without a person's word.
    pub settled: bool,
    /// The status on which the programs were chosen; `None` while they have not been. Anything but `eligible`
    /// means that a call-taker overrode the recommendation, and that status is then no news.
    pub chosen_on: Option<Status>,
    /// Why legs were withdrawn, for a team that answers later.
    pub recalled: BTreeMap<LegId, String>,
    /// Late answers already recorded: a team's retries add nothing.
    pub late: BTreeSet<(LegId, String)>,
    /// Statuses each team has reported: a repeat of any of them changes nothing.
    pub moved: BTreeSet<(LegId, TimePoint)>,
    /// Effects given up and why, by key: what somebody has to be told by other means. Failed offers are not
    /// listed, for their leg is `unreachable`.
    pub undelivered: BTreeMap<String, GivenUp>,
    /// How soon people must answer, as the last applied record stated it.
    pub bounds: Option<Bounds>,
    /// Follow-ups of the rule on which the programs were chosen; owed after contact.
    pub follow_up: Vec<FollowUp>,
    /// What somebody owes or has owed, in the order opened.
    pub duties: Vec<Duty>,
    /// Requests for service that came with its records, each with the agency that the record was of.
    pub asked: BTreeSet<(Asked, AgencyId)>,
    /// Stories that went their own way while the shared journal was away and are kept in this one, by their first entry.
    pub kept_apart: BTreeSet<String>,
    /// Other incidents that records tie to this one, by their sender's name for them.
    pub related: BTreeMap<String, Relation>,
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
            applied: BTreeMap::new(),
            settled: false,
            chosen_on: None,
            recalled: BTreeMap::new(),
            late: BTreeSet::new(),
            moved: BTreeSet::new(),
            undelivered: BTreeMap::new(),
            bounds: None,
            follow_up: Vec::new(),
            duties: Vec::new(),
            asked: BTreeSet::new(),
            kept_apart: BTreeSet::new(),
            related: BTreeMap::new(),
        }
    }

    /// True until the incident is closed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.phase != Phase::Closed
    }

    /// True where its sender says that another incident stands in its place.
    #[must_use]
    pub fn is_merged(&self) -> bool {
        self.related.values().any(|how| *how == Relation::MergedInto)
    }

    /// True where nothing is left to do: closed, every effect carried out or given up, no deadline, nothing owed. A restart
    /// passes over such an incident; whatever may still happen to it by itself, or must still be seen, keeps this false.
    #[must_use]
    pub fn rests(&self) -> bool {
        let owes = self.next_deadline().is_some() || self.duties_owed().next().is_some();
        self.phase == Phase::Closed && self.outstanding.is_empty() && !owes
    }

    /// The first instant known of it.
    #[must_use]
    pub fn began(&self) -> Option<Timestamp> {
        let at = |point| self.times.get(&point).copied();
        at(TimePoint::Received).or_else(|| at(TimePoint::Entered)).or_else(|| at(TimePoint::Assessed))
    }

    /// The leg of this name.
    #[must_use]
    pub fn leg(&self, id: &LegId) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.id == *id)
    }

    /// The legs on offer now, and those of a tandem whose partner has not answered yet.
    pub fn open_legs(&self) -> impl Iterator<Item = &Leg> + '_ {
        self.legs.iter().filter(|leg| matches!(leg.state, LegState::Offered | LegState::Agreed))
    }

    /// The other leg of a tandem: it was offered beside this one, the lead's first.
    #[must_use]
    pub fn partner(&self, id: &LegId) -> Option<&Leg> {
        let place = self.legs.iter().position(|leg| leg.id == *id)?;
        let leg = self.legs.get(place)?;
        let leads = leg.plan.together.first()? == &leg.plan.program;
        let partner = self.legs.get(if leads { place.checked_add(1)? } else { place.checked_sub(1)? })?;
        (partner.plan.together == leg.plan.together).then_some(partner)
    }

    /// The leg beside the owning one, where a tandem has the call.
    #[must_use]
    pub fn accompanying_leg(&self) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.state == LegState::Accompanying)
    }

    /// The leg whose team owns the call, if one does.
    #[must_use]
    pub fn owning_leg(&self) -> Option<&Leg> {
        match &self.owner {
            Owner::Team(leg) => self.leg(leg),
            Owner::Psap => None,
        }
    }

    /// The earliest instant at which [`Command::Tick`](super::Command::Tick) would do something.
    ///
    /// Never `None` while a leg is on offer or something owed is not overdue yet; the instant may be past, and is then
    /// due at once.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let owed = self.duties.iter().filter(|duty| duty.state == DutyState::Open).map(|duty| duty.due);
        owed.chain(self.next_answer_due()).min()
    }

    fn next_answer_due(&self) -> Option<Timestamp> {
        if self.phase != Phase::Offered {
            return None;
        }
        let unanswered = self.open_legs().filter(|leg| leg.state == LegState::Offered);
        let due = unanswered.map(|leg| leg.deadline).min();
        // An offered call without an open leg is one whose next step was not appended: overdue since the last deadline.
        Some(due.or_else(|| self.legs.last().map(|leg| leg.deadline)).unwrap_or(Timestamp::MIN))
    }
}
