//! What a journal that several adapters share tells each of them. A journal with one adapter has none of it.

use super::{AwayJournal, Entry, JournalError, Pending};
use crate::record::IncidentId;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc;

/// A journal under several adapters. Each open incident is held by one of them: the one that appended to it last, or
/// took it over from a dead one. The holder fires its deadlines and delivers its effects; everybody may append.
pub trait Shared: Send + Sync {
    /// What happens elsewhere from now on. Given once.
    fn hear(&self) -> Option<mpsc::Receiver<Heard>>;

    /// The open incidents that this adapter holds.
    ///
    /// # Errors
    /// As [`super::Journal::read_after`].
    fn held(&self) -> Pending<'_, Result<BTreeSet<IncidentId>, JournalError>>;

    /// The incident that bears a sender's name for a call: the one proposed, or the one that another adapter was first with.
    ///
    /// # Errors
    /// As [`super::Journal::read_after`].
    fn claim(&self, name_sha256: [u8; 32], incident: &IncidentId) -> Pending<'_, Result<IncidentId, JournalError>>;

    /// True where what is appended to an incident now, the others cannot see: it may not change hands.
    fn is_apart(&self, incident: &IncidentId) -> bool {
        let _ = incident;
        false
    }

    /// How long the store has not answered, where that is longer than is waited for.
    fn away_for(&self) -> Option<Duration> {
        None
    }

    /// What is journaled here while the store is away, where anything is.
    fn away(&self) -> Option<&AwayJournal> {
        None
    }
}

/// What an adapter hears of.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// Another adapter appended these, and carries out what follows from them.
    Appended(Vec<Entry>),
    /// This adapter appended these itself, and was told that the outcome was not known.
    Recovered(Vec<Entry>),
    /// This adapter was taken for dead, or its database was away: these are the open incidents it holds now, and no others.
    Holding(BTreeSet<IncidentId>),
    /// The store is reached for the first time since this adapter started: what is in it is not known yet.
    Reached,
    /// A period was dropped of which this adapter had not heard everything: what it has in memory may be gone.
    Missed,
    /// This adapter has taken these over from a dead one.
    TakenOver(Vec<IncidentId>),
}
