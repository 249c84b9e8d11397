//! What the journal holds beyond what is in memory: an append whose answer was lost, and what others appended.

use super::live::{Desk, Slot, State};
use super::views::CallProblem;
use crate::incident::Event;
use crate::journal::{Entry, JournalError, Stored};

impl Desk {
    /// An append that failed may have been written all the same, its answer lost on the way. What it may have decided must
    /// not wait for the next word about this call: the journal is asked soon.
    pub(super) fn doubt(&self, slot: &Slot, state: &mut State, events: Vec<Event>, error: &JournalError) {
        match error {
            JournalError::Unavailable(_) if !canary!(LostAnswerForgotten) => {
                state.in_doubt = Some(events);
                self.move_deadline(&slot.id, None, Some(self.clock().now()));
            }
            // Nothing was written, or nothing can be known before a restart reads it all again.
            JournalError::Unavailable(_)
            | JournalError::Conflict { .. }
            | JournalError::Poisoned
            | JournalError::Corrupt { .. } => {}
        }
    }

    /// Takes in what the journal holds beyond this state. The effects of events that were ours are handed on now; those
    /// of another adapter's are its own to carry out.
    pub(super) async fn catch_up(&self, slot: &Slot, state: &mut State) -> Result<(), CallProblem> {
        let entries = self.journal().read_incident(&slot.id).await?;
        let mut new: Vec<Entry> = entries.into_iter().filter(|entry| entry.version > state.incident.version).collect();
        let tried = state.in_doubt.take().unwrap_or_default();
        let event = |entry: &Entry| match &entry.stored {
            Stored::Incident(event) => Some(event.clone()),
            Stored::Adapter(_) => None,
        };
        let mut events: Vec<Event> = new.iter().filter_map(event).collect();
        if events.is_empty() {
            return Ok(());
        }
        state.record = None;
        if !tried.is_empty() && events.starts_with(&tried) {
            let theirs = events.split_off(tried.len());
            let later = new.split_off(tried.len());
            self.apply(slot, state, None, &events, new, true).await;
            (events, new) = (theirs, later);
        }
        if !events.is_empty() {
            self.apply(slot, state, None, &events, new, false).await;
        }
        Ok(())
    }
}
