//! What people say of what is owed: a recall heard, a returned call seen, a call-back or follow-up done.

use super::handle::Draft;
use super::{Actor, DutyKind, DutyOutcome, Event, LegState, Refusal};
use crate::policy::ProgramKind;
use crate::record::{DutyId, LegId};

impl Draft {
    /// A second decider answers questions while it has the call: a team that has gone out reports hazards instead.
    pub(super) fn may_answer(&self, id: &LegId) -> Result<(), Refusal> {
        let leg = self.state.owned(id, "answered")?;
        if leg.plan.kind == ProgramKind::Phone {
            return Ok(());
        }
        Err(Refusal::OutOfOrder { stands: leg.state.name().to_owned(), asked: "answered".to_owned() })
    }

    pub(super) fn close_duty(&mut self, id: &DutyId, outcome: DutyOutcome, by: &Actor) -> Result<(), Refusal> {
        if self.state.may_close(id, outcome, by, self.now)?
            && let Some(kind) = self.state.duty(id).map(|duty| duty.kind)
        {
            self.push(Event::DutyClosed { duty: id.clone(), kind, outcome, by: by.clone() });
        }
        Ok(())
    }

    /// A repeat changes nothing; a leg that was never recalled has nothing to acknowledge.
    pub(super) fn acknowledge_recall(&mut self, id: &LegId, by: &Actor) -> Result<(), Refusal> {
        let leg = self.state.leg(id).ok_or(Refusal::NoSuchLeg)?;
        let recalled = matches!(leg.state, LegState::StoodBack | LegState::Withdrawn);
        let owed = self.owed(DutyKind::Recall, Some(id));
        match owed {
            Some(duty) => self.close_duty(&duty, DutyOutcome::Acknowledged, by),
            None if recalled => Ok(()),
            None => Err(not_owed("not-recalled")),
        }
    }

    pub(super) fn acknowledge_return(&mut self, by: &Actor) -> Result<(), Refusal> {
        match self.owed(DutyKind::Return, None) {
            Some(duty) => self.close_duty(&duty, DutyOutcome::Acknowledged, by),
            None if self.state.duties.iter().any(|duty| duty.kind == DutyKind::Return) => Ok(()),
            None => Err(not_owed("not-returned")),
        }
    }

    /// Who chooses for a call that came back has seen that it did.
    pub(super) fn has_seen_the_return(&mut self, by: &Actor) {
        if let Some(duty) = self.owed(DutyKind::Return, None) {
            // A word that does not count leaves the duty open.
            let _counts = self.close_duty(&duty, DutyOutcome::Acknowledged, by);
        }
    }

    fn owed(&self, kind: DutyKind, leg: Option<&LegId>) -> Option<DutyId> {
        let owed = self.state.duties_owed().find(|duty| duty.kind == kind && duty.leg.as_ref() == leg);
        owed.map(|duty| duty.id.clone())
    }
}

fn not_owed(why: &str) -> Refusal {
    Refusal::NotOwed { why: why.to_owned() }
}
