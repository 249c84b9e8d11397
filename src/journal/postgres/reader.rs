//! The shared journal for a command that reads it and takes no part: it joins nothing, writes nothing, and holds nobody up.

use super::common::Common;
use super::reading::{Ends, Reading};
use super::settings::Settings;
use crate::clock::random_bytes;
use crate::journal::{ChainFault, Entry, JournalError, Verification};
use crate::record::IncidentId;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Entries read at a time.
const READ_ENTRIES: usize = 5_000;

/// Reads one agency's journal in a database. What it shows may not have reached a standby yet.
pub struct PostgresReader(Reading);

impl std::fmt::Debug for PostgresReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PostgresReader").finish_non_exhaustive()
    }
}

impl PostgresReader {
    /// Looks whether the journal can be read.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`] where the settings do not fit together, no server answers or none of this agency is there.
    pub async fn open(settings: &Settings) -> Result<Self, JournalError> {
        let instance = random_bytes().map_err(|_| JournalError::Unavailable("no randomness".to_owned()))?;
        let (ear, _) = mpsc::channel(1);
        let reading = Reading::of_an_onlooker(&Arc::new(Common::new(settings.clone(), None, instance, ear)?))?;
        reading.ends().await?;
        Ok(Self(reading))
    }

    /// As [`crate::journal::Journal::read_after`].
    ///
    /// # Errors
    /// As there.
    pub async fn entries_after(&self, after: u64, limit: usize) -> Result<Vec<Entry>, JournalError> {
        self.0.after(after, limit).await
    }

    /// As [`crate::journal::Journal::read_incident`].
    ///
    /// # Errors
    /// As there.
    pub async fn entries_of(&self, incident: &IncidentId) -> Result<Vec<Entry>, JournalError> {
        self.0.of_incident(incident).await
    }

    /// The chain value of an entry, lower-case hex, also of a sealed one that was dropped; `None` where there is none.
    ///
    /// # Errors
    /// As [`PostgresReader::entries_after`].
    pub async fn chain_value(&self, sequence: u64) -> Result<Option<String>, JournalError> {
        if let Some((seal, _)) = self.0.seals().await?.into_iter().find(|(seal, _)| seal.through == sequence) {
            return Ok(Some(seal.hash));
        }
        let Some(before) = sequence.checked_sub(1) else { return Ok(None) };
        let found = self.0.after(before, 1).await?.pop();
        Ok(found.filter(|entry| entry.sequence == sequence).map(|entry| entry.hash))
    }

    /// Recomputes the whole chain, from the seal where periods were dropped. `progress` is told entries done and entries in all.
    ///
    /// # Errors
    /// Where the database cannot be read; a broken chain is a finding, not an error.
    pub async fn verify(&self, progress: &mut (dyn FnMut(u64, u64) + Send)) -> Result<Verification, JournalError> {
        let Ends { head, begins } = self.0.ends().await?;
        let (mut done, mut last_hash) = (begins.sequence(), begins.hash_hex());
        let mut fault = None;
        while done < head {
            // Every reading recomputes each entry from the stored value of the one before.
            match self.0.after(done, READ_ENTRIES).await {
                Ok(page) => match page.into_iter().take_while(|entry| entry.sequence <= head).last() {
                    Some(last) => (done, last_hash) = (last.sequence, last.hash),
                    None => {
                        let (sequence, why) = (done.saturating_add(1), format!("entries up to {head} are missing"));
                        fault = Some(ChainFault { sequence, why });
                    }
                },
                Err(JournalError::Corrupt { sequence, why }) => fault = Some(ChainFault { sequence, why }),
                Err(error) => return Err(error),
            }
            if fault.is_some() {
                break;
            }
            progress(done, head);
        }
        if let Some(fault) = &fault {
            // As far as it is whole.
            while done.saturating_add(1) < fault.sequence {
                let Ok(page) = self.0.after(done, 1).await else { break };
                let Some(entry) = page.into_iter().next() else { break };
                (done, last_hash) = (entry.sequence, entry.hash);
            }
        }
        let entries = done.saturating_sub(begins.sequence());
        Ok(Verification { entries, begins_after: begins.sequence(), last_hash, fault })
    }
}
