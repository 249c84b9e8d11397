//! The course of one call as the figures need it: what it is counted under now, and its intervals so far.

use super::intervals::{Interval, Sample};
use crate::incident::{Effect, Event};
use crate::policy::{Decision, Mode, Status};
use crate::record::{IncidentId, LegId, ProgramId, TimePoint};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What a call is counted under. It changes as more becomes known; the figures then count it anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// Status of the last decision, `not-yet-assessed` before the first.
    pub(super) status: &'static str,
    /// Rule of the last decision.
    pub(super) rule: Option<String>,
    /// Why the call was not offered to a team; `None` once it was. There is no "not recorded" (invariant I16).
    pub(super) not_offered: Option<String>,
    /// A team has accepted.
    pub(super) accepted: bool,
}

/// One call that is not closed yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Course {
    received: Option<Timestamp>,
    assessed: Option<Timestamp>,
    stated: BTreeMap<TimePoint, Timestamp>,
    decision: Option<Decided>,
    mode: Option<Mode>,
    test: bool,
    ordinary_chosen: bool,
    /// Stories that this one keeps from while the shared journal was away.
    kept_apart: usize,
    pub(super) closed: bool,
    legs: BTreeMap<LegId, LegCourse>,
    /// What the figures hold of this call now.
    pub(super) counted: Option<Standing>,
    /// The samples the figures hold of this call now.
    pub(super) sampled: Vec<(Interval, Sample)>,
}

#[derive(Debug, Clone)]
struct Decided {
    status: &'static str,
    eligible: bool,
    rule: Option<String>,
    reason: String,
}

#[derive(Debug, Clone)]
struct LegCourse {
    program: ProgramId,
    offer_key: String,
    offered: Timestamp,
    /// A tandem's programs: half of one has accepted nothing.
    together: Vec<ProgramId>,
    accepted: Option<Timestamp>,
    en_route: Option<Timestamp>,
    on_scene: Option<Timestamp>,
    cleared: Option<Timestamp>,
}

impl Course {
    /// The program of a leg.
    pub(super) fn program(&self, leg: &LegId) -> Option<&ProgramId> {
        self.legs.get(leg).map(|leg| &leg.program)
    }

    /// The program whose offer has this idempotency key.
    pub(super) fn program_of_offer(&self, key: &str) -> Option<&ProgramId> {
        self.legs.values().find(|leg| leg.offer_key == key).map(|leg| &leg.program)
    }

    /// Takes one event of the call.
    pub(super) fn absorb(&mut self, incident: &IncidentId, version: u64, at: Timestamp, event: &Event) {
        match event {
            Event::RecordReceived(record) => {
                self.received.get_or_insert(at);
                if record.applied {
                    self.mode = Some(record.mode);
                    self.test = record.test;
                    for (point, stated) in record.times.iter() {
                        self.state(point, stated);
                    }
                }
            }
            Event::Assessed { decision, .. } => {
                self.assessed.get_or_insert(at);
                self.decision = Some(Decided::of(decision));
            }
            Event::UnitSeen { status, at: taken, .. } => self.state(*status, *taken),
            Event::OrdinaryChosen { .. } => self.ordinary_chosen = true,
            Event::Offered { leg, plan, .. } => {
                let course = LegCourse {
                    program: plan.program.clone(),
                    offer_key: Effect::key_of(incident, version, self.kept_apart, "offer"),
                    offered: at,
                    together: plan.together.clone(),
                    accepted: None,
                    en_route: None,
                    on_scene: None,
                    cleared: None,
                };
                self.legs.insert(leg.clone(), course);
            }
            Event::Accepted { leg, .. } => self.at_leg(leg, |leg| leg.accepted = Some(at)),
            Event::TeamMoved { leg, status, .. } => self.at_leg(leg, |leg| leg.moved(*status, at)),
            Event::Cleared { leg, .. } => self.at_leg(leg, |leg| leg.cleared = Some(at)),
            Event::Closed { .. } => self.closed = true,
            Event::KeptApart { .. } => self.kept_apart += 1,
            Event::AnswerGiven { .. }
            | Event::Chosen { .. }
            | Event::Delivered { .. }
            | Event::Undeliverable { .. }
            | Event::Redriven { .. }
            | Event::Declined { .. }
            | Event::TimedOut { .. }
            | Event::Withdrawn { .. }
            | Event::AnsweredLate { .. }
            | Event::BackupRequested { .. }
            | Event::HazardReported { .. }
            | Event::HandedOn { .. }
            | Event::StoodBack { .. }
            | Event::ReturnedToOrdinary { .. }
            | Event::DutyOpened { .. }
            | Event::DutyOverdue { .. }
            | Event::DutyClosed { .. } => {}
        }
    }

    fn at_leg(&mut self, leg: &LegId, change: impl FnOnce(&mut LegCourse)) {
        if let Some(leg) = self.legs.get_mut(leg) {
            change(leg);
        }
    }

    fn state(&mut self, point: TimePoint, at: Timestamp) {
        let entry = self.stated.entry(point).or_insert(at);
        *entry = (*entry).min(at);
    }

    /// What the call is to be counted under.
    pub(super) fn standing(&self) -> Standing {
        let (status, rule) =
            self.decision.as_ref().map_or(("not-yet-assessed", None), |decided| (decided.status, decided.rule.clone()));
        let accepted = self.legs.values().any(|leg| self.went(leg));
        let not_offered = self.legs.is_empty().then(|| self.why_not_offered());
        Standing { status, rule, not_offered, accepted }
    }

    fn why_not_offered(&self) -> String {
        let Some(decided) = &self.decision else { return "not-yet-assessed".to_owned() };
        if !decided.eligible {
            return decided.reason.clone();
        }
        let why = if self.ordinary_chosen {
            "ordinary-chosen"
        } else if self.test {
            "test-record"
        } else if self.mode == Some(Mode::Shadow) {
            "shadow"
        } else if self.closed {
            "closed-before-choice"
        } else {
            "choice-open"
        };
        why.to_owned()
    }

    /// The intervals known so far. One that is still running is not a sample yet.
    pub(super) fn samples(&self) -> Vec<(Interval, Sample)> {
        let stated = |point| self.stated.get(&point).copied();
        let (received, answered) = (stated(TimePoint::Received), stated(TimePoint::Answered));
        let mut samples = vec![(Interval::Answer, Sample::between(received, answered))];
        for (interval, from, to) in [
            (Interval::Processing, answered, stated(TimePoint::Dispatched)),
            (Interval::Assess, self.received, self.assessed),
            (Interval::UnitResponse, received, stated(TimePoint::OnScene)),
        ] {
            if to.is_some() {
                samples.push((interval, Sample::between(from, to)));
            }
        }
        let went = self.legs.values().filter(|leg| self.went(leg));
        samples.extend(went.flat_map(|leg| leg.samples(received)));
        samples
    }

    /// True where the leg's team has the call: it has accepted, and so has its partner, where it has one.
    fn went(&self, leg: &LegCourse) -> bool {
        let beside = |other: &LegCourse| {
            other.together == leg.together && other.program != leg.program && other.accepted.is_some()
        };
        leg.accepted.is_some() && (leg.together.is_empty() || self.legs.values().any(beside))
    }
}

impl Decided {
    fn of(decision: &Decision) -> Self {
        let (status, eligible) = (decision.status.name(), decision.status == Status::Eligible);
        // A decision always has a reason; were one without, its status is still one.
        let reason = match &decision.status {
            Status::ShadowEligible => "shadow".to_owned(),
            Status::NotAssessed { .. }
            | Status::Ineligible { .. }
            | Status::NeedsAnswer
            | Status::EligibleOutOfHours
            | Status::EligibleOutOfArea
            | Status::EligibleNoUnit
            | Status::Eligible => {
                decision.reasons.first().map_or_else(|| status.to_owned(), |reason| reason.code.clone())
            }
        };
        Self { status, eligible, rule: decision.rule.clone(), reason }
    }
}

impl LegCourse {
    fn moved(&mut self, status: TimePoint, at: Timestamp) {
        match status {
            TimePoint::EnRoute => self.en_route = Some(at),
            TimePoint::OnScene => self.on_scene = Some(at),
            TimePoint::Received
            | TimePoint::Answered
            | TimePoint::Entered
            | TimePoint::Assessed
            | TimePoint::Offered
            | TimePoint::Accepted
            | TimePoint::Dispatched
            | TimePoint::WithPerson
            | TimePoint::Cleared
            | TimePoint::Closed => {}
        }
    }

    /// A point counts as missing once a later one is recorded or the team has cleared; a team that was recalled on
    /// its way lacks nothing.
    fn samples(&self, received: Option<Timestamp>) -> Vec<(Interval, Sample)> {
        let arrived = self.on_scene.or(self.cleared);
        let due = [
            (Interval::HandOver, Some(self.offered), self.accepted, self.accepted),
            (Interval::Turnout, self.accepted, self.en_route, self.en_route.or(arrived)),
            (Interval::Travel, self.en_route, self.on_scene, arrived),
            (Interval::TeamResponse, received, self.on_scene, arrived),
            (Interval::OnScene, self.on_scene, self.cleared, self.cleared),
        ];
        due.into_iter()
            .filter(|(_, _, _, known_by)| known_by.is_some())
            .map(|(interval, from, to, _)| (interval, Sample::between(from, to)))
            .collect()
    }
}
