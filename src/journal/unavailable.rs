//! A journal that takes nothing: what the adapter runs with when the real one cannot be opened, so that pass-through goes on.

use super::{Batch, Entry, Journal, JournalError, Pending};
use crate::record::IncidentId;
use bytes::Bytes;

/// Refuses every append and holds nothing; says why.
#[derive(Debug, Clone)]
pub struct UnavailableJournal(JournalError);

impl UnavailableJournal {
    /// In place of a journal that could not be opened.
    #[must_use]
    pub fn because(error: JournalError) -> Self {
        Self(error)
    }

    fn refuse(&self) -> JournalError {
        JournalError::Unavailable(self.0.to_string())
    }
}

impl Journal for UnavailableJournal {
    fn append(&self, _batch: Batch) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        let refusal = Err(self.refuse());
        Box::pin(async { refusal })
    }

    fn read_after(&self, _after: u64, _limit: usize) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn read_incident(&self, _incident: &IncidentId) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        let refusal = Err(self.refuse());
        Box::pin(async { refusal })
    }

    fn content(&self, _incident: &IncidentId, _sha256: &str) -> Pending<'_, Result<Option<Bytes>, JournalError>> {
        Box::pin(async { Ok(None) })
    }

    fn ready(&self) -> bool {
        false
    }
}
