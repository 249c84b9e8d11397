//! The journal: append-only, one global order, a version per incident, a hash chain over all. A returned append is durable.

#[cfg(feature = "adapter")]
mod away;
#[cfg(not(feature = "adapter"))]
mod away_none;
mod chain;
#[cfg(feature = "adapter")]
mod defaults;
#[cfg(feature = "adapter")]
mod embedded;
#[cfg(feature = "adapter")]
mod personal;
#[cfg(feature = "adapter")]
mod postgres;
mod restart;
mod shared;
mod stored;
mod unavailable;

#[cfg(test)]
pub mod conformance;
#[cfg(test)]
#[path = "../../tests/support/postgres.rs"]
#[allow(
    dead_code,
    clippy::disallowed_methods,
    reason = "the support of every test on a real server: these use a part of it, and process tests have no clock of ours"
)]
pub(crate) mod server;

#[cfg(feature = "adapter")]
pub use away::{AwayJournal, Group};
#[cfg(not(feature = "adapter"))]
pub use away_none::AwayJournal;
pub use chain::{Chain, ChainFault, GENESIS, Link};
#[cfg(feature = "adapter")]
pub use embedded::{EmbeddedJournal, Settings, Verification};
#[cfg(feature = "adapter")]
pub use personal::{IncidentKey, MasterKey};
#[cfg(feature = "adapter")]
pub use postgres::{PostgresJournal, PostgresReader, PostgresSettings, Url};
pub use restart::{Called, KINDS_READ_AT_OPEN, Standing, Unsettled, fold};
pub use shared::{Heard, Shared};
#[cfg(feature = "adapter")]
use stored::digests_of;
pub use unavailable::UnavailableJournal;

use crate::incident::Event;
use crate::policy::WaiverSummary;
use crate::record::{IncidentId, ProgramId};
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
    /// [`JournalError::Unavailable`] where the store cannot take it now (full, locked, overloaded): nothing is written or
    /// acknowledged. [`JournalError::InDoubt`] where it may have been written. [`JournalError::Poisoned`] after a failed sync: the process must restart and recover.
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

    /// The entries of one incident after a version, in order.
    ///
    /// # Errors
    /// As [`Journal::read_after`].
    fn read_incident_after(
        &self,
        incident: &IncidentId,
        version: u64,
    ) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        let incident = incident.clone();
        Box::pin(async move {
            let entries = self.read_incident(&incident).await?;
            Ok(entries.into_iter().filter(|entry| entry.version > version).collect())
        })
    }

    /// Entries of one kind (`assessed`, `roster-set`, …) with `sequence < before`, newest first, at most `limit`.
    ///
    /// A store keeps the kinds of [`KINDS_READ_AT_OPEN`] at hand; of others it may have to read everything.
    ///
    /// # Errors
    /// As [`Journal::read_after`].
    fn read_kind_before<'a>(
        &'a self,
        kind: &'a str,
        before: u64,
        limit: usize,
    ) -> Pending<'a, Result<Vec<Entry>, JournalError>> {
        Box::pin(restart::kind_before(self, kind, before, limit))
    }

    /// Every incident that does not rest, and how its sender calls it where that is known: what a restart folds, whole and
    /// by the live transition function.
    ///
    /// # Errors
    /// As [`Journal::read_after`].
    fn unsettled(&self) -> Pending<'_, Result<Vec<Unsettled>, JournalError>> {
        Box::pin(async {
            let standings = restart::standings(self).await?.into_iter().filter(|(_, standing)| !standing.rests);
            Ok(standings.map(|(id, standing)| (id, standing.called)).collect())
        })
    }

    /// Incidents at rest that ended at or after an instant, by how their senders call them: a late record of one finds it.
    ///
    /// # Errors
    /// As [`Journal::read_after`].
    fn called_since(&self, since: Timestamp) -> Pending<'_, Result<Vec<(IncidentId, Called)>, JournalError>> {
        Box::pin(async move {
            let standings = restart::standings(self).await?.into_iter().filter(|(_, standing)| standing.rests);
            let called = standings.filter_map(|(id, standing)| Some((id, standing.called?)));
            Ok(called.filter(|(_, called)| called.closed_at.is_none_or(|at| at >= since)).collect())
        })
    }

    /// When the last entry happened.
    ///
    /// # Errors
    /// As [`Journal::read_after`].
    fn last_instant(&self) -> Pending<'_, Result<Option<Timestamp>, JournalError>> {
        Box::pin(restart::last_instant(self))
    }

    /// The bytes of a record of an incident by their digest, where still kept.
    ///
    /// # Errors
    /// As [`Journal::read_after`].
    fn content(&self, incident: &IncidentId, sha256: &str) -> Pending<'_, Result<Option<Bytes>, JournalError>>;

    /// Destroys what is kept of the people behind an incident: its key and its records. What happened to it stays, and
    /// that it was forgotten is appended as [`AdapterEvent::PersonForgotten`], in the same commit.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`] where the incident is open or there is none, or this store cannot.
    fn forget(&self, incident: &IncidentId, at: Timestamp) -> Pending<'_, Result<Entry, JournalError>> {
        let (_, _) = (incident, at);
        Box::pin(async { Err(JournalError::Unavailable("this store cannot forget".to_owned())) })
    }

    /// Seals what happened before an instant and is not sealed yet: its last entry, that entry's chain value and how many
    /// they are, appended as [`AdapterEvent::PeriodSealed`]. `None` where there is nothing to seal.
    ///
    /// # Errors
    /// As [`Journal::append`], or this store cannot.
    fn seal(&self, before: Timestamp, at: Timestamp) -> Pending<'_, Result<Option<Seal>, JournalError>> {
        let (_, _) = (before, at);
        Box::pin(async { Err(JournalError::Unavailable("this store cannot seal".to_owned())) })
    }

    /// Drops every entry up to the end of a sealed period, with the records of incidents that have none left, and appends
    /// [`AdapterEvent::PeriodDropped`] first. What is left verifies from the seal. Answers how many entries are gone.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`] where no seal ends there, an incident with an entry in the period does not rest, or
    /// this store cannot.
    fn drop_sealed(&self, through: u64, at: Timestamp) -> Pending<'_, Result<u64, JournalError>> {
        let (_, _) = (through, at);
        Box::pin(async { Err(JournalError::Unavailable("this store cannot drop a period".to_owned())) })
    }

    /// The seals, oldest first; of dropped periods the last is where the chain begins now.
    ///
    /// # Errors
    /// As [`Journal::read_after`].
    fn seals(&self) -> Pending<'_, Result<Vec<Seal>, JournalError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Leaves the store as it should be found by whoever opens or copies it next: asked when nothing is appended any more.
    ///
    /// # Errors
    /// As [`Journal::append`].
    fn wind_down(&self) -> Pending<'_, Result<(), JournalError>> {
        Box::pin(async { Ok(()) })
    }

    /// True where the journal can take appends now (readiness).
    fn ready(&self) -> bool;

    /// What other adapters do on the same journal, where several share it.
    fn shared(&self) -> Option<&dyn Shared> {
        None
    }
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
    /// How the incident stands after the events, where the caller knows; without it a restart folds the incident to see.
    pub standing: Option<Standing>,
}

impl Batch {
    /// Events of one subject at one instant, with nothing beside them.
    #[must_use]
    pub fn new(subject: Subject, expected_version: u64, at: Timestamp, events: Vec<Stored>) -> Self {
        Self { subject, expected_version, at, events, content: None, standing: None }
    }
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
    /// An operator said who is away and whether surge mode is on: a whole roster in place of the one before.
    RosterSet {
        /// Surge mode is on.
        surge: bool,
        /// Programs without a crew.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unstaffed: Vec<ProgramId>,
        /// Deciders that are away.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        deciders_away: Vec<String>,
    },
    /// What was kept of the people behind an incident was destroyed.
    PersonForgotten {
        /// The incident.
        incident: IncidentId,
    },
    /// A period ended: what its last entry is and how many they are.
    PeriodSealed(Seal),
    /// The entries of a sealed period, and of all before it, are dropped.
    PeriodDropped {
        /// Sequence of the last of them.
        through: u64,
    },
    /// What this adapter journaled on its own while the shared journal was away is in it now.
    BroughtHome {
        /// Entries of the local journal, which is kept.
        entries: u64,
        /// Chain value of the last of them, lower-case hex: the local journal is vouched for by this one from here on.
        last_hash: String,
        /// What the adapter noted of itself there, in order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<AdapterApart>,
    },
}

/// What an adapter noted of itself while the shared journal was away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdapterApart {
    /// When.
    pub at: Timestamp,
    /// What.
    pub noted: AdapterEvent,
}

/// The end of a period: a checkpoint that may be published, and from which the rest verifies once the period is dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Sequence of the period's last entry.
    pub through: u64,
    /// Chain value of that entry, lower-case hex.
    pub hash: String,
    /// Entries of the period.
    pub entries: u64,
    /// When the last of them happened.
    pub ended_at: Timestamp,
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
    /// It may have been written or not: no answer came. Whoever gets this reads the journal before anything else is
    /// done with that incident.
    #[error("whether the journal took this is not known: {0}")]
    InDoubt(String),
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
