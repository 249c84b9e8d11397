//! A second book-keeper: what is owed, told from the events alone, so that it can disagree with the machine.

use super::*;
use std::collections::BTreeMap;

struct Line {
    kind: DutyKind,
    leg: Option<LegId>,
    from: Timestamp,
    due: Timestamp,
    overdue: bool,
    ended: bool,
    /// Ended by a person's word.
    answered: bool,
}

/// What is owed by the events seen so far.
#[derive(Default)]
pub(super) struct Ledger {
    lines: BTreeMap<DutyId, Line>,
    watched: bool,
    /// Of the batch in hand: a return that a person has to acknowledge, and teams that were told to stand back.
    returned: bool,
    recalled: Vec<LegId>,
}

impl Ledger {
    pub(super) fn sees(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::RecordReceived(received) if received.applied => self.watched |= received.bounds.is_some(),
            Event::ReturnedToOrdinary { why, .. } => self.returned |= why != "overridden",
            Event::StoodBack { leg, .. } => self.recalled.push(leg.clone()),
            Event::DutyOpened { duty, kind, leg, from, due, program } => {
                assert!(*from >= at && *due > at && due >= from, "{kind:?} is owed before it is owed");
                assert_eq!(program.is_none(), *kind == DutyKind::Return, "who owes a {kind:?}");
                let (kind, leg, from, due) = (*kind, leg.clone(), *from, *due);
                let line = Line { kind, leg, from, due, overdue: false, ended: false, answered: false };
                assert!(self.lines.insert(duty.clone(), line).is_none(), "one name for two duties");
            }
            Event::DutyOverdue { duty, kind, .. } => {
                let line = self.lines.get_mut(duty).unwrap();
                assert!(!line.ended && !line.overdue && line.kind == *kind, "an alarm for nothing");
                assert!(at >= line.due, "an alarm too early");
                line.overdue = true;
            }
            Event::DutyClosed { duty, kind, outcome, by } => {
                let line = self.lines.get_mut(duty).unwrap();
                assert!(!line.ended && line.kind == *kind, "ended twice");
                let by_itself = matches!(outcome, DutyOutcome::Met | DutyOutcome::Lapsed);
                assert_eq!(*by == Actor::Policy, by_itself, "only a person's word ends what a person owes");
                if let Actor::Team(_) = by {
                    assert!(!matches!(kind, DutyKind::Return | DutyKind::EnRoute), "a team answered for the PSAP");
                }
                if matches!(outcome, DutyOutcome::Reached | DutyOutcome::NotReached) {
                    assert!(at >= line.from, "a contact before its window");
                }
                line.ended = true;
                line.answered = !by_itself;
            }
            _ => {}
        }
    }

    fn owed(&self) -> impl Iterator<Item = &Line> {
        self.lines.values().filter(|line| !line.ended)
    }

    /// The next alarm, if nobody says anything.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.owed().filter(|line| !line.overdue).map(|line| line.due).min()
    }

    /// After each batch.
    pub(super) fn agrees(&mut self, world: &World, now: Timestamp, granted: bool) {
        for duty in &world.incident.duties {
            let line = &self.lines[&duty.id];
            assert_eq!((duty.due, duty.from), (line.due, line.from), "a deadline moved");
            assert_eq!(duty.is_owed(), !line.ended);
        }
        assert_eq!(world.incident.duties.len(), self.lines.len());
        if granted {
            assert!(self.owed().all(|line| line.overdue || line.due > now), "overdue, and no alarm");
        }
        let closed = world.incident.phase == Phase::Closed;
        let (returned, recalled) = (std::mem::take(&mut self.returned), std::mem::take(&mut self.recalled));
        if self.watched && returned && !closed {
            assert!(self.owed().any(|line| line.kind == DutyKind::Return), "a call came back and nobody must say so");
        }
        for leg in recalled.iter().filter(|_| self.watched) {
            let owes = |line: &Line| line.kind == DutyKind::Recall && line.leg.as_ref() == Some(leg);
            assert!(self.lines.values().any(owes), "{leg} was recalled and need not say that it heard");
        }
        for leg in world.incident.legs.iter().filter(|leg| leg.state == LegState::Accepted) {
            let goes = matches!(
                leg.plan.kind,
                ProgramKind::Community | ProgramKind::CoResponse | ProgramKind::PoliceCommunity
            );
            let watches = |line: &Line| line.kind == DutyKind::EnRoute && line.leg.as_ref() == Some(&leg.id);
            let was_watched = self.lines.values().any(watches);
            assert!(!was_watched || goes);
            let looks = |line: &Line| watches(line) && (!line.ended || line.answered);
            assert!(!was_watched || self.lines.values().any(looks), "nobody looks whether {} sets out", leg.id);
        }
    }
}
