//! What is owed on all incidents, closed ones too: acknowledgements, call-backs and follow-ups, for pages and doors.

use super::decide;
use super::live::{Desk, Prepared, lock};
use super::views::{CallProblem, IncidentView};
use crate::incident::{Actor, Bounds, Command, Duty, DutyState, Incident};
use crate::record::LegId;
use std::sync::Arc;

impl Desk {
    /// How soon people must answer from the next record on. Without it nobody is held to an answer.
    pub fn watch(&self, bounds: Bounds) {
        let _ = self.inner().bounds.set(bounds);
    }

    pub(super) fn bounds(&self) -> Option<Bounds> {
        self.inner().bounds.get().copied()
    }

    /// Everything that is owed and has not ended: what is overdue first, then by deadline. No personal data.
    #[must_use]
    pub fn owed(&self) -> Vec<Duty> {
        let mut owed: Vec<Duty> = lock(&self.inner().owed).values().flatten().cloned().collect();
        owed.sort_by_key(|duty| (duty.state != DutyState::Overdue, duty.due, duty.id.clone()));
        owed
    }

    /// Keeps what an incident owes, whether it is open or not: it may be closed while its follow-up is still due.
    pub(super) fn note_owed(&self, incident: &Incident) {
        let owed: Vec<Duty> = incident.duties_owed().cloned().collect();
        let mut all = lock(&self.inner().owed);
        if owed.is_empty() {
            all.remove(&incident.id);
        } else {
            all.insert(incident.id.clone(), owed);
        }
    }

    /// A second decider, a phone team that has the call, answered a question; re-assessed.
    ///
    /// # Errors
    /// [`CallProblem`].
    pub async fn answer_on_leg(
        &self,
        leg: &LegId,
        fact: &str,
        value: &str,
        by: Actor,
    ) -> Result<IncidentView, CallProblem> {
        let slot = self.slot(&leg.incident()).await?;
        let (leg, fact, value) = (leg.clone(), fact.to_owned(), value.to_owned());
        let done = self
            .work(slot, None, move |incident, situation| {
                let policy = situation.policy.ok_or(CallProblem::NoPolicy)?;
                let facts = policy.answered(&incident.facts, &fact, &value)?;
                let gaps = incident.decision.as_ref().map_or(&[][..], |decision| &decision.gaps);
                let (decision, decide_ns) = decide(Some(policy), &facts, gaps, situation.now, situation.availability);
                let (leg, fact, value, by) = (leg.clone(), fact.clone(), value.clone(), by.clone());
                let command = Command::AnswerOnLeg { leg, fact, value, by, facts, decision: Arc::new(decision) };
                Ok(Prepared { command, content: None, decide_ns })
            })
            .await?;
        Ok(done.view())
    }
}
