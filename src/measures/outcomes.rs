//! The figures: what became of every call, counted from journal entries one by one.

use super::course::{Course, Standing};
use super::intervals::{Distribution, Interval, Summary};
use crate::incident::{Actor, BackupService, DeclineCause, Disposition, DutyKind, DutyOutcome, Event, Party};
use crate::journal::{AdapterEvent, Entry, Stored, Subject};
use crate::policy::WaiverSummary;
use crate::record::{IncidentId, LegId, ProgramId};
use std::collections::{BTreeMap, BTreeSet};

/// All figures of a journal. Entries are absorbed in their order, all at once or live; both give the same figures.
///
/// Identical records sent again change nothing and are not journaled, so they are not in these figures.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    sequence: u64,
    courses: BTreeMap<IncidentId, Course>,
    intervals: BTreeMap<Interval, Distribution>,
    pub(super) totals: Totals,
    pub(super) statuses: BTreeMap<&'static str, u64>,
    pub(super) rules: BTreeMap<String, u64>,
    pub(super) not_offered: BTreeMap<(&'static str, String), u64>,
    pub(super) refused: BTreeMap<String, u64>,
    pub(super) declines: BTreeMap<DeclineCause, u64>,
    pub(super) withdrawals: BTreeMap<String, u64>,
    pub(super) returns: BTreeMap<String, u64>,
    pub(super) stand_backs: BTreeMap<String, u64>,
    pub(super) backups: BTreeMap<(BackupService, &'static str), u64>,
    pub(super) clears: BTreeMap<(Disposition, Option<Party>), u64>,
    pub(super) closings: BTreeMap<String, u64>,
    pub(super) programs: BTreeMap<ProgramId, ProgramFigures>,
    pub(super) duties: BTreeMap<DutyKind, DutyFigures>,
    /// Built-in safeguards that a policy in force has lifted at any time.
    pub(super) waived: BTreeSet<WaiverSummary>,
}

/// Plain counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records received and kept.
    pub records: u64,
    /// Of these, overtaken by a newer version or come after the close: kept, not applied.
    pub records_not_applied: u64,
    /// Records refused.
    pub refused: u64,
    /// Incidents.
    pub incidents: u64,
    /// Incidents closed.
    pub closed: u64,
    /// Decisions made, re-assessments included.
    pub assessments: u64,
    /// Questions answered by call-takers.
    pub answers: u64,
    /// Programs chosen by a call-taker as recommended.
    pub chosen_as_recommended: u64,
    /// Programs chosen by the policy, in automatic mode.
    pub chosen_by_policy: u64,
    /// Ordinary route chosen by a call-taker as recommended.
    pub ordinary_as_recommended: u64,
    /// Programs chosen against the recommendation.
    pub overrides_to_programs: u64,
    /// Ordinary route chosen against the recommendation, or a call taken back from a program.
    pub overrides_to_ordinary: u64,
    /// Offers made.
    pub offers: u64,
    /// Offers accepted.
    pub acceptances: u64,
    /// Offers declined.
    pub declines: u64,
    /// Offers whose deadline passed.
    pub time_outs: u64,
    /// Offers that could not be brought to the team.
    pub unreachable: u64,
    /// Offers taken back.
    pub withdrawals: u64,
    /// Acceptances that came too late.
    pub late_acceptances: u64,
    /// Declines that came too late.
    pub late_declines: u64,
    /// Notices that could not be delivered: withdrawals, stand-backs, words to the CAD.
    pub undelivered_notices: u64,
    /// Hazards reported by teams.
    pub hazards: u64,
    /// Calls that came back to the ordinary route.
    pub returns: u64,
    /// Teams told to stand back.
    pub stand_backs: u64,
    /// Back-ups asked for or sent.
    pub backups: u64,
    /// Calls cleared by a team.
    pub clears: u64,
    /// Incidents offered to a team at least once.
    pub incidents_offered: u64,
    /// Incidents accepted by a team at least once.
    pub incidents_accepted: u64,
}

/// Counts of one program's legs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProgramFigures {
    /// Offers made.
    pub offered: u64,
    /// Accepted.
    pub accepted: u64,
    /// Declined.
    pub declined: u64,
    /// Deadline passed.
    pub timed_out: u64,
    /// Not reached.
    pub unreachable: u64,
    /// Taken back.
    pub withdrawn: u64,
    /// Told to stand back.
    pub stood_back: u64,
    /// Handed back.
    pub returned: u64,
    /// Handed on to the next team.
    pub handed_on: u64,
    /// Cleared.
    pub cleared: u64,
}

/// Counts of one kind of thing owed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DutyFigures {
    /// Became owed.
    pub opened: u64,
    /// Not done by its deadline: each was an alarm.
    pub overdue: u64,
    /// Ended, by how.
    pub closed: BTreeMap<DutyOutcome, u64>,
}

impl DutyFigures {
    /// Owed still at the last entry.
    #[must_use]
    pub fn owed_still(&self) -> u64 {
        self.opened.saturating_sub(self.closed.values().sum())
    }
}

impl Figures {
    /// Counts one entry. An entry absorbed before, by its sequence, changes nothing.
    pub fn absorb(&mut self, entry: &Entry) {
        if entry.sequence <= self.sequence {
            return;
        }
        self.sequence = entry.sequence;
        match (&entry.subject, &entry.stored) {
            (Subject::Incident(incident), Stored::Incident(event)) => self.incident(incident, entry, event),
            (Subject::Incident(_) | Subject::Adapter, Stored::Adapter(event)) => self.adapter(event),
            (Subject::Adapter, Stored::Incident(_)) => {}
        }
    }

    /// The sequence of the last entry absorbed: read on after it.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Plain counts.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The published figures of an interval.
    #[must_use]
    pub fn interval(&self, interval: Interval) -> Summary {
        self.intervals.get(&interval).map(Distribution::summary).unwrap_or_default()
    }

    /// How many incidents stand under each status.
    #[must_use]
    pub fn statuses(&self) -> &BTreeMap<&'static str, u64> {
        &self.statuses
    }

    /// Counts of each program.
    #[must_use]
    pub fn programs(&self) -> &BTreeMap<ProgramId, ProgramFigures> {
        &self.programs
    }

    /// Counts of each kind of thing owed.
    #[must_use]
    pub fn duties(&self) -> &BTreeMap<DutyKind, DutyFigures> {
        &self.duties
    }

    /// Incidents that were not offered and have no reason: always 0 (invariant I16).
    #[must_use]
    pub fn unexplained(&self) -> u64 {
        let explained: u64 = self.not_offered.values().sum();
        self.totals.incidents.saturating_sub(self.totals.incidents_offered).saturating_sub(explained)
    }

    fn adapter(&mut self, event: &AdapterEvent) {
        match event {
            AdapterEvent::RecordRefused { problem, .. } => {
                self.totals.refused += 1;
                count(&mut self.refused, problem.clone());
            }
            AdapterEvent::Started { waived, .. } | AdapterEvent::PolicyLoaded { waived, .. } => {
                self.waived.extend(waived.iter().cloned());
            }
            AdapterEvent::BroughtHome { notes, .. } => notes.iter().for_each(|note| self.adapter(&note.noted)),
            AdapterEvent::Stopped
            | AdapterEvent::RosterSet { .. }
            | AdapterEvent::PersonForgotten { .. }
            | AdapterEvent::PeriodSealed(_)
            | AdapterEvent::PeriodDropped { .. } => {}
        }
    }

    fn incident(&mut self, incident: &IncidentId, entry: &Entry, event: &Event) {
        let course = match (self.courses.remove(incident), entry.version) {
            (None, 1) => {
                self.totals.incidents += 1;
                Some(Course::default())
            }
            (course, _) => course,
        };
        // After its close a call has no course any more: what still comes is counted and moves nothing.
        let Some(mut course) = course else { return self.count_event(event, None) };
        course.absorb(incident, entry.version, entry.at, event);
        self.count_event(event, Some(&course));
        self.recount(&mut course);
        if !course.closed {
            self.courses.insert(incident.clone(), course);
        }
    }

    /// Counts a call anew where it stands differently.
    fn recount(&mut self, course: &mut Course) {
        let standing = course.standing();
        if course.counted.as_ref() != Some(&standing) {
            if let Some(before) = course.counted.replace(standing.clone()) {
                self.stands(&before, |count| *count = count.saturating_sub(1));
            }
            self.stands(&standing, |count| *count += 1);
        }
        let samples = course.samples();
        if course.sampled != samples {
            for (interval, sample) in std::mem::replace(&mut course.sampled, samples) {
                self.distribution(interval).remove(sample);
            }
            for (interval, sample) in &course.sampled {
                self.distribution(*interval).add(*sample);
            }
        }
    }

    fn distribution(&mut self, interval: Interval) -> &mut Distribution {
        self.intervals.entry(interval).or_default()
    }

    fn stands(&mut self, standing: &Standing, change: fn(&mut u64)) {
        alter(&mut self.statuses, standing.status, change);
        if let Some(rule) = &standing.rule {
            alter(&mut self.rules, rule.clone(), change);
        }
        match &standing.not_offered {
            Some(why) => alter(&mut self.not_offered, (standing.status, why.clone()), change),
            None => change(&mut self.totals.incidents_offered),
        }
        if standing.accepted {
            change(&mut self.totals.incidents_accepted);
        }
    }

    fn count_event(&mut self, event: &Event, course: Option<&Course>) {
        let totals = &mut self.totals;
        match event {
            Event::RecordReceived(record) => {
                totals.records += 1;
                totals.records_not_applied += u64::from(!record.applied);
            }
            Event::Assessed { .. } => totals.assessments += 1,
            Event::AnswerGiven { .. } => totals.answers += 1,
            Event::Chosen { by, override_reason, .. } => match (by, override_reason) {
                (_, Some(_)) => totals.overrides_to_programs += 1,
                (Actor::Policy, None) => totals.chosen_by_policy += 1,
                (Actor::CallTaker(_) | Actor::Team(_) | Actor::Operator(_), None) => totals.chosen_as_recommended += 1,
            },
            Event::OrdinaryChosen { override_reason: Some(_), .. } => totals.overrides_to_ordinary += 1,
            Event::OrdinaryChosen { override_reason: None, .. } => totals.ordinary_as_recommended += 1,
            Event::Undeliverable { key, .. } => match course.and_then(|course| course.program_of_offer(key)) {
                Some(program) => {
                    totals.unreachable += 1;
                    self.programs.entry(program.clone()).or_default().unreachable += 1;
                }
                None => totals.undelivered_notices += 1,
            },
            Event::AnsweredLate { answer, .. } if answer == "accepted" => totals.late_acceptances += 1,
            Event::AnsweredLate { .. } => totals.late_declines += 1,
            Event::HazardReported { .. } => totals.hazards += 1,
            Event::BackupRequested { service, team_requested, by, .. } => {
                totals.backups += 1;
                count(&mut self.backups, (*service, asked_by(*team_requested, by)));
            }
            Event::Closed { why } => {
                totals.closed += 1;
                count(&mut self.closings, why.clone());
            }
            Event::Offered { .. }
            | Event::Accepted { .. }
            | Event::Declined { .. }
            | Event::TimedOut { .. }
            | Event::Withdrawn { .. }
            | Event::StoodBack { .. }
            | Event::HandedOn { .. }
            | Event::Cleared { .. }
            | Event::ReturnedToOrdinary { .. } => self.count_leg(event, course),
            Event::DutyOpened { kind, .. } => self.duties.entry(*kind).or_default().opened += 1,
            Event::DutyOverdue { kind, .. } => self.duties.entry(*kind).or_default().overdue += 1,
            Event::DutyClosed { kind, outcome, .. } => {
                count(&mut self.duties.entry(*kind).or_default().closed, *outcome);
            }
            Event::Delivered { .. } | Event::Redriven { .. } | Event::TeamMoved { .. } | Event::UnitSeen { .. } => {}
            // What it holds moved nothing: it is counted where it happened, if anywhere.
            Event::KeptApart { .. } => {}
        }
    }

    fn count_leg(&mut self, event: &Event, course: Option<&Course>) {
        let totals = &mut self.totals;
        let (leg, field): (&LegId, fn(&mut ProgramFigures) -> &mut u64) = match event {
            Event::Offered { leg, .. } => {
                totals.offers += 1;
                (leg, |program| &mut program.offered)
            }
            Event::Accepted { leg, .. } => {
                totals.acceptances += 1;
                (leg, |program| &mut program.accepted)
            }
            Event::Declined { leg, cause, .. } => {
                totals.declines += 1;
                count(&mut self.declines, *cause);
                (leg, |program| &mut program.declined)
            }
            Event::TimedOut { leg } => {
                totals.time_outs += 1;
                (leg, |program| &mut program.timed_out)
            }
            Event::Withdrawn { leg, why } => {
                totals.withdrawals += 1;
                count(&mut self.withdrawals, why.clone());
                (leg, |program| &mut program.withdrawn)
            }
            Event::StoodBack { leg, why } => {
                totals.stand_backs += 1;
                count(&mut self.stand_backs, why.clone());
                (leg, |program| &mut program.stood_back)
            }
            Event::Cleared { leg, disposition, party, .. } => {
                totals.clears += 1;
                count(&mut self.clears, (*disposition, *party));
                (leg, |program| &mut program.cleared)
            }
            Event::HandedOn { leg, .. } => (leg, |program| &mut program.handed_on),
            Event::ReturnedToOrdinary { why, leg } => {
                totals.returns += 1;
                count(&mut self.returns, why.clone());
                // A leg that was told to stand back, or was never accepted, did not hand the call back.
                let handed_back = why.starts_with("team-returned") || why == "declined-after-acceptance";
                let Some(leg) = leg.as_ref().filter(|_| handed_back) else { return };
                (leg, |program| &mut program.returned)
            }
            Event::RecordReceived(_)
            | Event::Assessed { .. }
            | Event::AnswerGiven { .. }
            | Event::Chosen { .. }
            | Event::OrdinaryChosen { .. }
            | Event::Delivered { .. }
            | Event::Undeliverable { .. }
            | Event::Redriven { .. }
            | Event::AnsweredLate { .. }
            | Event::TeamMoved { .. }
            | Event::BackupRequested { .. }
            | Event::HazardReported { .. }
            | Event::UnitSeen { .. }
            | Event::Closed { .. }
            | Event::DutyOpened { .. }
            | Event::DutyOverdue { .. }
            | Event::DutyClosed { .. }
            | Event::KeptApart { .. } => return,
        };
        if let Some(program) = course.and_then(|course| course.program(leg)) {
            *field(self.programs.entry(program.clone()).or_default()) += 1;
        }
    }
}

fn asked_by(team_requested: bool, by: &Actor) -> &'static str {
    match (team_requested, by) {
        (true, _) => "team",
        (false, Actor::Policy) => "policy, on danger",
        (false, Actor::CallTaker(_) | Actor::Team(_) | Actor::Operator(_)) => "operator",
    }
}

fn count<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    *counts.entry(key).or_default() += 1;
}

/// Changes a count, and forgets one that has come to nothing.
fn alter<K: Ord + Clone>(counts: &mut BTreeMap<K, u64>, key: K, change: fn(&mut u64)) {
    let entry = counts.entry(key.clone()).or_default();
    change(entry);
    if *entry == 0 {
        counts.remove(&key);
    }
}
