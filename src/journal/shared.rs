//! What a journal that several adapters share tells each of them. A journal with one adapter has none of it.

use super::{Entry, JournalError, Pending};
use crate::record::IncidentId;
use std::collections::BTreeSet;
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
    /// This adapter has taken these over from a dead one.
    TakenOver(Vec<IncidentId>),
}
