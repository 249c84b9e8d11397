//! Repeat contact at the desk: traces of records are journaled with them, remembered, and looked up for the next record.

use super::live::{Desk, Situation, lock};
use crate::facts::{Facts, RepeatKey, Traced};
use crate::incident::Event;
use crate::record::{CallRecord, IncidentId};
use jiff::Timestamp;

impl Desk {
    /// Lets repeat contact be recognised under this key. Without it the facts stay unknown; what an earlier run with the
    /// same key left in the journal is remembered.
    pub fn recognise_by(&self, key: RepeatKey) {
        let _ = self.inner().repeat_key.set(key);
    }

    /// The traces of a record that has just come.
    pub(super) fn traced(&self, record: &CallRecord) -> Option<Traced> {
        self.inner().repeat_key.get()?.trace(record, self.clock().now())
    }

    /// Facts with what is remembered of the record's place and number.
    pub(super) fn recalled(
        &self,
        situation: &Situation<'_>,
        facts: Facts,
        traced: Option<&Traced>,
        incident: &IncidentId,
    ) -> Facts {
        match (situation.policy, traced) {
            (Some(policy), Some(traced)) => {
                let repeats = lock(&self.inner().contacts).repeats(traced, incident, situation.now);
                policy.recalled(&facts, repeats)
            }
            (None, _) | (_, None) => facts,
        }
    }

    /// Remembers what a durable event tells of places and numbers, now or while the journal is read again.
    pub(super) fn remember(&self, incident: &IncidentId, event: &Event, at: Timestamp) {
        if let Event::RecordReceived(received) = event
            && let Some(traces) = &received.contact
        {
            lock(&self.inner().contacts).note(traces, &received.identity.agency, incident, at);
        }
    }
}
