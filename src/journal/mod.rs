//! The journal: append-only, one global order, a version per incident, a hash chain over all. A returned append is durable.

mod chain;
mod embedded;
mod stored;
mod unavailable;

#[cfg(test)]
pub mod conformance;

pub use chain::{Chain, ChainFault, GENESIS, Link};
pub use embedded::{EmbeddedJournal, Settings, Verification};
pub use unavailable::UnavailableJournal;

use crate::incident::Event;
use crate::policy::WaiverSummary;
use crate::record::IncidentId;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::pin::Pin;

/// A boxed future, so that the trait can be used as `Arc<dyn Journal>`.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where every event is kept. Implementations pass `journal::conformance`.
pub trait Journal: Send + Sync {
    /// Appends a batch as one unit. When this returns `Ok` the events are durable: synced, not merely written.
    ///
    /// # Errors
    /// [`JournalError::Conflict`] where the incident is not at the expected version; nothing is written.
    /// [`JournalError::Unavailable`] where the store cannot take it now (full, locked, overloaded): nothing is
    /// acknowledged. [`JournalError::Poisoned`] after a failed sync: the process must restart and recover.
    fn append(&self, batch: Batch) -> Pending<'_, Result<Vec<Entry>, JournalError>>;

    /// Entries with `sequence > after`, in order, at most `limit`.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`] or [`JournalError::Corrupt`].
    fn read_after(&self, after: u64, limit: usize) -> Pending<'_, Result<Vec<Entry>, JournalError>>;

    /// All entries of one incident, in order.
    ///
    /// # Errors
    /// As [`Journal::read_after`].
    fn read_incident(&self, incident: &IncidentId) -> Pending<'_, Result<Vec<Entry>, JournalError>>;

    /// The bytes of a record by their digest, where still kept.
    ///
    /// # Errors
    /// As [`Journal::read_after`].
    fn content(&self, sha256: &str) -> Pending<'_, Result<Option<Bytes>, JournalError>>;

    /// True where the journal can take appends now (readiness).
    fn ready(&self) -> bool;
}

/// What is appended as one unit.
#[derive(Debug, Clone)]
pub struct Batch {
    /// What the events are about.
    pub subject: Subject,
    /// The version the incident must be at (0 for a new one); ignored for refusals.
    pub expected_version: u64,
    /// The instant of all events of the batch.
    pub at: Timestamp,
    /// The events.
    pub events: Vec<Stored>,
    /// Record bytes to keep beside the chain, by digest.
    pub content: Option<Content>,
}

/// What a batch or entry is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// An incident.
    Incident(IncidentId),
    /// The adapter itself: refused input, policy reloads, starts and stops.
    Adapter,
}

/// What one entry holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Stored {
    /// Something that happened to an incident.
    Incident(Event),
    /// Something that happened to the adapter.
    Adapter(AdapterEvent),
}

/// What happened to the adapter itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum AdapterEvent {
    /// The adapter began to serve.
    Started {
        /// Its version.
        version: String,
        /// Policy in force.
        policy_digest: String,
        /// Built-in safeguards that the policy lifts, with who signed and why: every report shows them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        waived: Vec<WaiverSummary>,
    },
    /// The adapter stopped in order.
    Stopped,
    /// A record was refused; no content, only what and where.
    RecordRefused {
        /// Kebab-case problem type.
        problem: String,
        /// Place in the input, without its content.
        place: String,
        /// SHA-256 of the refused bytes.
        content_sha256: String,
        /// Their length, bytes.
        length_bytes: u64,
    },
    /// A policy came into force.
    PolicyLoaded {
        /// `policy.id`.
        id: String,
        /// `policy.revision`.
        revision: String,
        /// Digest over the folder.
        digest: String,
        /// Digest of the policy that was in force until then, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<String>,
        /// Built-in safeguards that it lifts.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        waived: Vec<WaiverSummary>,
    },
}

/// Record bytes kept beside the chain (the chain commits to the digest only, so that content can be destroyed).
#[derive(Debug, Clone)]
pub struct Content {
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// The bytes as they came.
    pub bytes: Bytes,
}

/// One durable entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Position in the global order, from 1, without gaps.
    pub sequence: u64,
    /// What it is about.
    pub subject: Subject,
    /// Version of the incident after this entry, from 1; 0 for the adapter.
    pub version: u64,
    /// When it happened, by the adapter's civil clock.
    pub at: Timestamp,
    /// What happened.
    pub stored: Stored,
    /// Chain value of this entry, lower-case hex.
    pub hash: String,
}

/// What a journal can fail with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Somebody else appended first: read again and retry.
    #[error("the incident is at version {found}, not {expected}")]
    Conflict {
        /// Expected by the caller.
        expected: u64,
        /// Found in the store.
        found: u64,
    },
    /// Not now: full disk, locked store, overload. Retry later; nothing was acknowledged.
    #[error("the journal cannot take this now: {0}")]
    Unavailable(String),
    /// A sync failed: what is on the disk is unknown until recovery. Never retried.
    #[error("the journal is poisoned after a failed sync; restart to recover")]
    Poisoned,
    /// An entry cannot be read or breaks the chain.
    #[error("journal entry {sequence} cannot be read: {why}")]
    Corrupt {
        /// Its position.
        sequence: u64,
        /// What is wrong with it.
        why: String,
    },
}
