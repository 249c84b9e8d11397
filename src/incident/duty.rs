//! What somebody owes by an instant: one table of timers, each with its kind, who owes it, and when it is due.
//!
//! A duty is opened by the event that makes it owed, with its deadline stated, so that no later version and no changed
//! setting moves it. It ends by a person's word, or because what it rested on is gone; a deadline that passes first is an
//! alarm, and the duty stays open until somebody answers for it.

use super::state::{Incident, Leg, LegState, Phase};
use super::{Actor, Event, Refusal};
use crate::policy::{FollowUp, ProgramKind};
use crate::record::{DutyId, LegId, ProgramId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How soon people must answer, by the adapter's configuration. Stated with each record, so that a deadline can be
/// told from the journal alone. 0: not watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bounds {
    /// Seconds from a team's acceptance to its being on the way.
    pub en_route_within_s: u32,
    /// Seconds from a recall to the team's word that it has heard it.
    pub recall_acknowledged_within_s: u32,
    /// Seconds from a call's return to the ordinary route to a word of the PSAP's that it has it.
    pub return_acknowledged_within_s: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { en_route_within_s: 300, recall_acknowledged_within_s: 60, return_acknowledged_within_s: 60 }
    }
}

/// What is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DutyKind {
    /// A team that has accepted is on its way.
    EnRoute,
    /// A team that was recalled says that it has heard it.
    Recall,
    /// The PSAP says that it has a call that came back to the ordinary route.
    Return,
    /// The program calls the reporter back.
    CallBack,
    /// A program sees to the person again after contact.
    FollowUp,
}

impl DutyKind {
    /// Every kind, in the order of the type.
    pub const ALL: [Self; 5] = [Self::EnRoute, Self::Recall, Self::Return, Self::CallBack, Self::FollowUp];

    /// The name in JSON, reports and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EnRoute => "en-route",
            Self::Recall => "recall",
            Self::Return => "return",
            Self::CallBack => "call-back",
            Self::FollowUp => "follow-up",
        }
    }

    /// The reason code of its alarm.
    #[must_use]
    pub fn alarm(self) -> &'static str {
        match self {
            Self::EnRoute => "team-not-en-route",
            Self::Recall => "recall-not-acknowledged",
            Self::Return => "return-not-acknowledged",
            Self::CallBack => "call-back-overdue",
            Self::FollowUp => "follow-up-overdue",
        }
    }

    /// What a person may say of it.
    #[must_use]
    pub fn outcomes(self) -> &'static [DutyOutcome] {
        match self {
            Self::EnRoute | Self::Recall | Self::Return => &[DutyOutcome::Acknowledged, DutyOutcome::ToldByVoice],
            Self::CallBack | Self::FollowUp => &[
                DutyOutcome::Reached,
                DutyOutcome::NotReached,
                DutyOutcome::Refused,
                DutyOutcome::PassedOn,
                DutyOutcome::NotNeeded,
            ],
        }
    }

    /// True for what the program that owes it may answer for itself: it cannot answer for the PSAP, and says that it
    /// is on its way by its status and not by an acknowledgement.
    #[must_use]
    pub fn is_a_teams(self) -> bool {
        match self {
            Self::Recall | Self::CallBack | Self::FollowUp => true,
            Self::EnRoute | Self::Return => false,
        }
    }
}

/// How a duty ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DutyOutcome {
    /// Heard, and said so.
    Acknowledged,
    /// Told by voice: the PSAP's word.
    ToldByVoice,
    /// The person was reached.
    Reached,
    /// Tried, and the person was not reached.
    NotReached,
    /// The person wants none.
    Refused,
    /// Another service sees to it.
    PassedOn,
    /// No longer called for.
    NotNeeded,
    /// What was waited for has happened: the team is on its way.
    Met,
    /// What it rested on is gone: the leg ended otherwise, or the call is over.
    Lapsed,
}

impl DutyOutcome {
    /// Every outcome, in the order of the type.
    pub const ALL: [Self; 9] = [
        Self::Acknowledged,
        Self::ToldByVoice,
        Self::Reached,
        Self::NotReached,
        Self::Refused,
        Self::PassedOn,
        Self::NotNeeded,
        Self::Met,
        Self::Lapsed,
    ];

    /// The name in JSON, reports and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::ToldByVoice => "told-by-voice",
            Self::Reached => "reached",
            Self::NotReached => "not-reached",
            Self::Refused => "refused",
            Self::PassedOn => "passed-on",
            Self::NotNeeded => "not-needed",
            Self::Met => "met",
            Self::Lapsed => "lapsed",
        }
    }

    /// True for what can only be said after the window has opened: a contact before it is not the one that is owed.
    fn is_a_contact(self) -> bool {
        match self {
            Self::Reached | Self::NotReached => true,
            Self::Acknowledged
            | Self::ToldByVoice
            | Self::Refused
            | Self::PassedOn
            | Self::NotNeeded
            | Self::Met
            | Self::Lapsed => false,
        }
    }
}

/// Where a duty stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DutyState {
    /// Owed, and not yet overdue.
    Open,
    /// Owed still; its deadline has passed and the alarm was given.
    Overdue,
    /// Ended.
    Closed(DutyOutcome),
}

/// One thing that somebody owes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duty {
    /// Its name.
    pub id: DutyId,
    /// What is owed.
    pub kind: DutyKind,
    /// The program that owes it; `None`: the PSAP.
    pub program: Option<ProgramId>,
    /// The leg it came from, where one did.
    pub leg: Option<LegId>,
    /// From when it may be done.
    pub from: Timestamp,
    /// By when it is owed.
    pub due: Timestamp,
    /// Where it stands.
    pub state: DutyState,
}

impl Duty {
    /// True until it has ended.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        match self.state {
            DutyState::Open | DutyState::Overdue => true,
            DutyState::Closed(_) => false,
        }
    }
}

/// A duty about to be opened.
struct Owed {
    kind: DutyKind,
    program: Option<ProgramId>,
    leg: Option<LegId>,
    from: Timestamp,
    due: Timestamp,
}

impl Incident {
    /// What is owed and has not ended, in the order in which it was opened.
    pub fn duties_owed(&self) -> impl Iterator<Item = &Duty> + '_ {
        self.duties.iter().filter(|duty| duty.is_owed())
    }

    /// The duty of this name.
    #[must_use]
    pub fn duty(&self, id: &DutyId) -> Option<&Duty> {
        self.duties.iter().find(|duty| duty.id == *id)
    }

    /// The events that open what this event has just made owed. `was`: where a withdrawn leg stood before it.
    pub(super) fn opens(&self, event: &Event, was: Option<LegState>, at: Timestamp) -> Vec<Event> {
        let mut opened = Vec::new();
        for owed in self.owed_after(event, was, at) {
            let repeats = |duty: &&Duty| duty.kind == owed.kind && duty.leg == owed.leg;
            // What is owed already keeps its own deadline.
            if owed.kind == DutyKind::FollowUp || self.duties_owed().find(repeats).is_none() {
                let number = u32::try_from(self.duties.len().saturating_add(opened.len())).unwrap_or(u32::MAX);
                let duty = DutyId::of(&self.id, number.saturating_add(1));
                let Owed { kind, program, leg, from, due } = owed;
                opened.push(Event::DutyOpened { duty, kind, program, leg, from, due });
            }
        }
        opened
    }

    fn owed_after(&self, event: &Event, was: Option<LegState>, at: Timestamp) -> Vec<Owed> {
        match event {
            Event::Accepted { leg, by: _ } => {
                let leg = self.leg(leg);
                let whole = leg.filter(|leg| leg.state.owns() || leg.state == LegState::Accompanying);
                let other = whole.and_then(|leg| self.partner(&leg.id));
                let watched = whole.into_iter().chain(other).filter_map(|leg| self.on_the_way(leg, at));
                watched.chain(leg.and_then(|leg| call_back(leg, at))).collect()
            }
            Event::StoodBack { leg, why: _ } => self.recall(leg, at).into_iter().collect(),
            // Whoever has said yes may be on its way; whoever leaves of itself was not recalled.
            Event::Withdrawn { leg, why }
                if matches!(was, Some(LegState::Agreed | LegState::Accompanying)) && why != "left" =>
            {
                self.recall(leg, at).into_iter().collect()
            }
            // Who takes the call back by hand has it already.
            Event::ReturnedToOrdinary { why, leg: _ } if why != "overridden" => {
                let within_s = self.bounds.map_or(0, |bounds| bounds.return_acknowledged_within_s);
                owed_within(DutyKind::Return, None, at, within_s).into_iter().collect()
            }
            Event::Cleared { leg, disposition, .. } if disposition.is_contact() => self.follow_ups(leg, at),
            Event::Withdrawn { .. }
            | Event::ReturnedToOrdinary { .. }
            | Event::Cleared { .. }
            | Event::RecordReceived(_)
            | Event::Assessed { .. }
            | Event::AnswerGiven { .. }
            | Event::Chosen { .. }
            | Event::OrdinaryChosen { .. }
            | Event::Offered { .. }
            | Event::Delivered { .. }
            | Event::Undeliverable { .. }
            | Event::Redriven { .. }
            | Event::Declined { .. }
            | Event::TimedOut { .. }
            | Event::AnsweredLate { .. }
            | Event::TeamMoved { .. }
            | Event::HandedOn { .. }
            | Event::BackupRequested { .. }
            | Event::HazardReported { .. }
            | Event::UnitSeen { .. }
            | Event::Closed { .. }
            | Event::DutyOpened { .. }
            | Event::DutyOverdue { .. }
            | Event::DutyClosed { .. }
            | Event::KeptApart { .. } => Vec::new(),
        }
    }

    /// A team that comes in person must set out; one on the phone does not.
    fn on_the_way(&self, leg: &Leg, at: Timestamp) -> Option<Owed> {
        let comes = match leg.plan.kind {
            ProgramKind::Community | ProgramKind::CoResponse | ProgramKind::PoliceCommunity => true,
            ProgramKind::Phone | ProgramKind::Liaison => false,
        };
        let within_s = self.bounds.map_or(0, |bounds| bounds.en_route_within_s);
        if comes { owed_within(DutyKind::EnRoute, Some(leg), at, within_s) } else { None }
    }

    fn recall(&self, leg: &LegId, at: Timestamp) -> Option<Owed> {
        if canary!(RecallNotWatched) {
            return None;
        }
        let within_s = self.bounds.map_or(0, |bounds| bounds.recall_acknowledged_within_s);
        owed_within(DutyKind::Recall, Some(self.leg(leg)?), at, within_s)
    }

    /// Those of the rule that sent the team, and those of the last decision: what was promised on either is owed.
    fn follow_ups(&self, leg: &LegId, at: Timestamp) -> Vec<Owed> {
        let latest = self.decision.iter().flat_map(|decision| &decision.follow_up);
        let further = latest.filter(|follow_up| !self.follow_up.contains(follow_up));
        let program = self.leg(leg).map(|leg| leg.plan.program.clone());
        let owed = |follow_up: &FollowUp| Owed {
            kind: DutyKind::FollowUp,
            program: follow_up.by.clone().or_else(|| program.clone()),
            leg: follow_up.by.is_none().then(|| leg.clone()),
            from: after(at, i64::from(follow_up.after_h) * 3600),
            due: after(at, i64::from(follow_up.within_h) * 3600),
        };
        self.follow_up.iter().chain(further).map(owed).collect()
    }

    /// How a duty has ended by itself, if it has.
    pub(super) fn ended_by_itself(&self, duty: &Duty) -> Option<DutyOutcome> {
        let leg = duty.leg.as_ref().and_then(|leg| self.leg(leg));
        match duty.kind {
            DutyKind::EnRoute => {
                let moved = self.moved.iter().any(|(moved, _)| Some(moved) == duty.leg.as_ref());
                let held = leg.is_some_and(|leg| leg.state.holds());
                match (moved, held) {
                    (true, _) => Some(DutyOutcome::Met),
                    (false, false) => Some(DutyOutcome::Lapsed),
                    (false, true) => None,
                }
            }
            // A team that has given the call back, or lost it, has given back what it owed: the PSAP has the caller.
            DutyKind::CallBack => {
                let its_own = leg.is_some_and(|leg| leg.state.holds() || leg.state == LegState::Cleared);
                (!its_own).then_some(DutyOutcome::Lapsed)
            }
            // The sender itself has ended the call.
            DutyKind::Return => (self.phase == Phase::Closed).then_some(DutyOutcome::Lapsed),
            DutyKind::Recall | DutyKind::FollowUp => None,
        }
    }

    /// Whether a person may end a duty so; `Ok(false)` where it has been ended so before.
    ///
    /// # Errors
    /// [`Refusal::NotOwed`].
    pub(super) fn may_close(
        &self,
        id: &DutyId,
        outcome: DutyOutcome,
        by: &Actor,
        now: Timestamp,
    ) -> Result<bool, Refusal> {
        let no = |why: &str| Err(Refusal::NotOwed { why: why.to_owned() });
        let Some(duty) = self.duty(id) else { return no("no-such-duty") };
        let answers = match by {
            Actor::CallTaker(_) | Actor::Operator(_) => true,
            Actor::Team(_) => duty.kind.is_a_teams(),
            Actor::Policy => false,
        };
        if !answers {
            return no("not-yours");
        }
        match duty.state {
            DutyState::Closed(ended) if ended == outcome => Ok(false),
            DutyState::Closed(_) => no("already-closed"),
            DutyState::Open | DutyState::Overdue if !duty.kind.outcomes().contains(&outcome) => no("not-this-outcome"),
            DutyState::Open | DutyState::Overdue if now < duty.from && outcome.is_a_contact() => no("too-early"),
            DutyState::Open | DutyState::Overdue => Ok(true),
        }
    }
}

fn call_back(leg: &Leg, at: Timestamp) -> Option<Owed> {
    let minutes = leg.plan.call_back_within_min?;
    owed_within(DutyKind::CallBack, Some(leg), at, minutes.saturating_mul(60))
}

fn owed_within(kind: DutyKind, leg: Option<&Leg>, at: Timestamp, within_s: u32) -> Option<Owed> {
    let program = leg.map(|leg| leg.plan.program.clone());
    let due = after(at, i64::from(within_s));
    (within_s > 0).then(|| Owed { kind, program, leg: leg.map(|leg| leg.id.clone()), from: at, due })
}

fn after(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}
