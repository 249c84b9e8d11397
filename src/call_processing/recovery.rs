//! Opening the desk: every incident is folded from the journal by the live transition function (invariant I10).

use super::live::Desk;
use crate::clock::Clock;
use crate::incident::{Event, Incident};
use crate::journal::{Journal, JournalError, Stored, Subject};
use crate::policy::Policy;
use crate::record::IncidentId;
use crate::wire::SenderProfile;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries read from the journal at a time.
const READ_ENTRIES: usize = 10_000;

impl Desk {
    /// Opens the desk on a journal. Deadlines are as durable as the offers they belong to: those that passed while
    /// nothing ran are due at once when [`Desk::run_deadlines`] starts.
    ///
    /// # Errors
    /// [`JournalError`] where the journal cannot be read to its end.
    pub async fn open(
        clock: Clock,
        journal: Arc<dyn Journal>,
        policy: Option<Arc<Policy>>,
        senders: BTreeMap<String, SenderProfile>,
    ) -> Result<Self, JournalError> {
        let senders = senders.into_iter().map(|(name, profile)| (name, Arc::new(profile))).collect();
        let desk = Self::new(clock, Arc::clone(&journal), policy, senders);
        let mut incidents: BTreeMap<IncidentId, Incident> = BTreeMap::new();
        let mut after = 0;
        loop {
            let entries = journal.read_after(after, READ_ENTRIES).await?;
            let Some(last) = entries.last() else { break };
            after = last.sequence;
            for entry in &entries {
                if canary!(ReplayByOtherCode) && matches!(&entry.stored, Stored::Incident(Event::StoodBack { .. })) {
                    continue;
                }
                if let (Subject::Incident(id), Stored::Incident(event)) = (&entry.subject, &entry.stored) {
                    let incident = incidents.entry(id.clone()).or_insert_with(|| Incident::new(id.clone()));
                    let _ = incident.on(event, entry.at);
                    desk.remember(id, event, entry.at);
                }
            }
        }
        for incident in incidents.into_values() {
            desk.adopt(incident);
        }
        Ok(desk)
    }
}
