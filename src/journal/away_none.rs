//! Without the adapter's stores there is no local journal beside a shared one: a type that has no value stands for it.

use crate::record::IncidentId;

/// Never there.
#[derive(Debug)]
pub enum AwayJournal {}

impl AwayJournal {
    /// Never comes back.
    pub async fn back(&self) {
        match *self {}
    }

    /// Holds nothing.
    #[must_use]
    pub fn groups(&self) -> Vec<IncidentId> {
        match *self {}
    }

    /// Nothing goes on here.
    #[must_use]
    pub fn goes_on_here(&self, _: &IncidentId) -> bool {
        match *self {}
    }
}
