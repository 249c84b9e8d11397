//! What the journal holds beyond what is in memory: an append whose answer was lost, and what others appended.

use super::live::{Desk, Slot, State};
use super::views::CallProblem;
use crate::incident::{Effect, Event, Incident};
use crate::journal::{Entry, JournalError, Stored};

impl Desk {
    /// An append that failed may have been written all the same, its answer lost on the way. What it may have decided must
    /// not wait for the next word about this call: the journal is asked soon.
    pub(super) fn doubt(&self, slot: &Slot, state: &mut State, events: Vec<Event>, error: &JournalError) {
        match error {
            JournalError::InDoubt(_) if !canary!(LostAnswerForgotten) => {
                state.in_doubt = Some(events);
                self.move_deadline(&slot.id, None, Some(self.clock().now()));
            }
            // Nothing was written, or nothing can be known before a restart reads it all again.
            JournalError::InDoubt(_)
            | JournalError::Unavailable(_)
            | JournalError::Conflict { .. }
            | JournalError::Poisoned
            | JournalError::Corrupt { .. } => {}
        }
    }

    /// Takes in what the journal holds beyond this state. The effects of events that were ours are handed on now; those
    /// of another adapter's are its own to carry out.
    pub(super) async fn catch_up(&self, slot: &Slot, state: &mut State) -> Result<(), CallProblem> {
        let mut ours: Vec<Entry> = self.journal().read_incident_after(&slot.id, state.incident.version).await?;
        let tried = state.in_doubt.take().unwrap_or_default();
        let written =
            |(entry, event): (&Entry, &Event)| matches!(&entry.stored, Stored::Incident(stored) if stored == event);
        let is_ours = ours.len() >= tried.len() && ours.iter().zip(&tried).all(written);
        let theirs = ours.split_off(if is_ours { tried.len() } else { 0 });
        if !ours.is_empty() {
            let made = folded(&state.incident, &ours);
            self.apply(slot, state, None, &tried, made, ours).await;
        }
        if !theirs.is_empty() {
            let (incident, _) = folded(&state.incident, &theirs);
            self.becomes(slot, state, incident, false);
        }
        Ok(())
    }
}

/// What entries make of an incident, by the live transition function.
fn folded(incident: &Incident, entries: &[Entry]) -> (Incident, Vec<Effect>) {
    let (mut after, mut effects) = (incident.clone(), Vec::new());
    for entry in entries {
        if let Stored::Incident(event) = &entry.stored {
            effects.extend(after.on(event, entry.at));
        }
    }
    (after, effects)
}
