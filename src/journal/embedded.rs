//! The embedded store: one SQLite file, one writer thread with natural batching, a few read-only connections.
//!
//! The file is an ordinary SQLite database in WAL mode that anyone can open; its tables are in
//! `schemas/journal/embedded/`. An append is answered after `COMMIT` has returned with `synchronous=FULL`.

mod checkpoint;
mod file;
mod records;
mod rows;
mod seals;
mod standing;
mod upkeep;
mod writer;

#[cfg(test)]
mod keeping_tests;
#[cfg(test)]
mod restart_tests;
#[cfg(test)]
mod tests;

use super::defaults as bounds;
use super::personal::MasterKey;
use super::{Batch, Called, ChainFault, Entry, Journal, JournalError, Pending, PostgresSettings, Seal, Unsettled};
use crate::record::IncidentId;
use bytes::Bytes;
use file::{FileLock, unavailable};
use jiff::Timestamp;
use rusqlite::Connection;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use writer::{End, Writer};

/// Settings of the embedded journal.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Database file; `-wal`, `-shm` and `.lock` files stand beside it. Beside `postgres` it is the name of the local files
    /// (`<path>.1`, `<path>.2`, …) in which is journaled what happens while the database is away; without it nothing is taken then.
    #[serde(default)]
    pub path: PathBuf,
    /// The shared store: several adapters on one database.
    #[serde(default)]
    pub postgres: Option<PostgresSettings>,
    /// File with the key (64 hexadecimal digits) under which each incident's own key is kept. Without it records stand in the
    /// file as they came, and forgetting a person reaches no copy of it.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// File, on another disk where there is one, that is told now and then where the chain ends. A journal that ends before it
    /// or is another chain (an old copy put back) is not served.
    #[serde(default)]
    pub checkpoint_file: Option<PathBuf>,
    /// Days after which a period is sealed and dropped whole; without it everything is kept.
    #[serde(default)]
    pub retention_days: Option<u32>,
    /// Batches that may wait for the writer; above it an append is refused at once.
    #[serde(default = "bounds::queue_max")]
    pub queue_max: usize,
    /// Bytes of payload and content that may wait for the writer.
    #[serde(default = "bounds::queue_bytes_max")]
    pub queue_bytes_max: usize,
    /// Batches that share one commit at most. The writer takes what waits and never waits to fill.
    #[serde(default = "bounds::commit_batches_max")]
    pub commit_batches_max: usize,
    /// Readings that run at once at most, each on its own connection.
    #[serde(default = "bounds::readers_max")]
    pub readers_max: usize,
    /// How long a lock held by another process is waited for, milliseconds.
    #[serde(default = "defaults::busy_timeout_ms")]
    pub busy_timeout_ms: u32,
    /// Idle time after which the write-ahead log is folded into the file and emptied, seconds.
    #[serde(default = "defaults::idle_checkpoint_s")]
    pub idle_checkpoint_s: u32,
    /// Entries at the end of the chain that are recomputed when the file is opened.
    #[serde(default = "defaults::verify_at_open_entries")]
    pub verify_at_open_entries: u64,
    /// Largest size of the file in pages of 4,096 bytes; without it the disk is the limit.
    #[serde(default)]
    pub file_pages_max: Option<u32>,
    /// How long one commit may take before further batches are refused at once instead of waiting behind it, milliseconds.
    #[serde(default = "defaults::commit_slow_ms")]
    pub commit_slow_ms: u32,
}

mod defaults {
    //! Defaults of what only this store has, measured in `reliability.md` 6.
    pub(super) fn busy_timeout_ms() -> u32 {
        2_000
    }
    pub(super) fn idle_checkpoint_s() -> u32 {
        2
    }
    pub(super) fn verify_at_open_entries() -> u64 {
        1_000
    }
    pub(super) fn commit_slow_ms() -> u32 {
        1_000
    }
}

impl Settings {
    /// The defaults for a file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            postgres: None,
            key_file: None,
            checkpoint_file: None,
            retention_days: None,
            queue_max: bounds::queue_max(),
            queue_bytes_max: bounds::queue_bytes_max(),
            commit_batches_max: bounds::commit_batches_max(),
            readers_max: bounds::readers_max(),
            busy_timeout_ms: defaults::busy_timeout_ms(),
            idle_checkpoint_s: defaults::idle_checkpoint_s(),
            verify_at_open_entries: defaults::verify_at_open_entries(),
            file_pages_max: None,
            commit_slow_ms: defaults::commit_slow_ms(),
        }
    }
}

/// What a walk over the whole chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Entries that are as they were written, counted from where the chain begins.
    pub entries: u64,
    /// Sequence of the sealed entry that the chain begins after: everything up to it was dropped. 0 where nothing was.
    pub begins_after: u64,
    /// Chain value of the last of them, lower-case hex: publish it, and no later file can differ before it unseen.
    pub last_hash: String,
    /// The first place that is not as it was written.
    pub fault: Option<ChainFault>,
}

/// The embedded journal. Dropping it writes what waits, empties the write-ahead log and gives the file free.
#[derive(Debug)]
pub struct EmbeddedJournal {
    readers: Arc<Readers>,
    writer: Option<Writer>,
    // Held until the writer has ended: fields drop in this order.
    _lock: Option<FileLock>,
}

impl EmbeddedJournal {
    /// Opens the journal for appending, makes the file where there is none, and checks the end of its chain.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`] where another adapter has it open, or it cannot be opened or written;
    /// [`JournalError::Corrupt`] where it is no journal, of an unknown format, or its last entries are not as written.
    pub fn open(settings: &Settings) -> Result<Self, JournalError> {
        let master = settings.key_file.as_deref().map(MasterKey::read).transpose()?.map(Arc::new);
        Self::open_under(settings, master, true)
    }

    /// Opens the journal to forget, seal or drop, without its key file: records can be neither read nor kept.
    ///
    /// # Errors
    /// As [`EmbeddedJournal::open`].
    pub fn open_for_upkeep(path: &Path) -> Result<Self, JournalError> {
        if !path.exists() {
            return Err(unavailable(format!("`{}` is not there", path.display())));
        }
        Self::open_under(&Settings::new(path), None, false)
    }

    fn open_under(settings: &Settings, master: Option<Arc<MasterKey>>, serves: bool) -> Result<Self, JournalError> {
        let lock = FileLock::take(&settings.path)?;
        let mut connection = file::open_for_writing(settings)?;
        let chain = file::check_tail(&connection, settings.verify_at_open_entries)?;
        if serves {
            records::check_key_file(&connection, master.as_deref())?;
        }
        if let Some(path) = &settings.checkpoint_file {
            checkpoint::check(path, &connection, &chain)?;
        }
        let sum = standing::made_right(&mut connection, &chain)?;
        let writer = Writer::start(connection, End { chain, sum }, master.clone(), settings)?;
        let readers = Readers::new(&settings.path, settings.readers_max, settings.busy_timeout_ms, master);
        Ok(Self { readers: Arc::new(readers), writer: Some(writer), _lock: Some(lock) })
    }

    /// Opens an existing journal to read it, also while an adapter is appending to it. Appends are refused.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`] where it cannot be opened; [`JournalError::Corrupt`] where it is no journal.
    pub fn open_read_only(path: &Path) -> Result<Self, JournalError> {
        let defaults = Settings::new(path);
        let readers = Readers::new(path, defaults.readers_max, defaults.busy_timeout_ms, None);
        readers.with(|_| Ok(()))?;
        Ok(Self { readers: Arc::new(readers), writer: None, _lock: None })
    }

    /// As [`Journal::read_after`], on the calling thread.
    ///
    /// # Errors
    /// As [`Journal::read_after`].
    pub fn entries_after(&self, after: u64, limit: usize) -> Result<Vec<Entry>, JournalError> {
        self.readers.with(|connection| rows::entries_after(connection, after, limit))
    }

    /// As [`Journal::read_incident`], on the calling thread.
    ///
    /// # Errors
    /// As [`Journal::read_after`].
    pub fn entries_of(&self, incident: &IncidentId) -> Result<Vec<Entry>, JournalError> {
        self.readers.with(|connection| rows::entries_of(connection, incident))
    }

    /// The chain value of an entry, lower-case hex, also of a sealed one that was dropped; `None` where there is none.
    ///
    /// # Errors
    /// As [`Journal::read_after`].
    pub fn chain_value(&self, sequence: u64) -> Result<Option<String>, JournalError> {
        self.readers.with(|connection| {
            if let Some((seal, _)) = seals::all(connection)?.into_iter().find(|(seal, _)| seal.through == sequence) {
                return Ok(Some(seal.hash));
            }
            match rows::chain_at(connection, sequence) {
                Ok(chain) => Ok(Some(chain.hash_hex())),
                Err(JournalError::Corrupt { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    /// Recomputes the whole chain on the calling thread. `progress` is told entries done and entries in all.
    ///
    /// # Errors
    /// Where the file cannot be read at all; a broken chain is a finding, not an error.
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Verification, JournalError> {
        self.readers.with(|connection| file::verify_whole(connection, progress))
    }

    fn writer(&self) -> Result<&Writer, JournalError> {
        self.writer.as_ref().ok_or_else(|| unavailable("it is opened for reading only"))
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let readers = Arc::clone(&self.readers);
        let Ok(permit) = Arc::clone(&readers.permits).acquire_owned().await else {
            return Err(unavailable("the journal is closed"));
        };
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            readers.with(work)
        })
        .await
        .map_err(|_| unavailable("a reading was broken off"))?
    }
}

impl Journal for EmbeddedJournal {
    fn append(&self, batch: Batch) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        Box::pin(async move { self.writer()?.append(batch).await })
    }

    fn read_after(&self, after: u64, limit: usize) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        Box::pin(self.read(move |connection| rows::entries_after(connection, after, limit)))
    }

    fn read_incident(&self, incident: &IncidentId) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        let incident = incident.clone();
        Box::pin(self.read(move |connection| rows::entries_of(connection, &incident)))
    }

    fn read_kind_before<'a>(
        &'a self,
        kind: &'a str,
        before: u64,
        limit: usize,
    ) -> Pending<'a, Result<Vec<Entry>, JournalError>> {
        let kind = kind.to_owned();
        Box::pin(self.read(move |connection| rows::entries_of_kind_before(connection, &kind, before, limit)))
    }

    fn unsettled(&self) -> Pending<'_, Result<Vec<Unsettled>, JournalError>> {
        Box::pin(self.read(standing::unsettled))
    }

    fn called_since(&self, since: Timestamp) -> Pending<'_, Result<Vec<(IncidentId, Called)>, JournalError>> {
        Box::pin(self.read(move |connection| standing::called_since(connection, since)))
    }

    fn last_instant(&self) -> Pending<'_, Result<Option<Timestamp>, JournalError>> {
        Box::pin(self.read(rows::last_instant))
    }

    fn content(&self, incident: &IncidentId, sha256: &str) -> Pending<'_, Result<Option<Bytes>, JournalError>> {
        let (incident, sha256, master) = (incident.clone(), sha256.to_owned(), self.readers.master.clone());
        Box::pin(self.read(move |connection| records::read(connection, master.as_deref(), &incident, &sha256)))
    }

    fn forget(&self, incident: &IncidentId, at: Timestamp) -> Pending<'_, Result<Entry, JournalError>> {
        let incident = incident.clone();
        Box::pin(async move { self.writer()?.alone(move |thread| thread.forget(&incident, at)).await })
    }

    fn seal(&self, before: Timestamp, at: Timestamp) -> Pending<'_, Result<Option<Seal>, JournalError>> {
        Box::pin(async move { self.writer()?.alone(move |thread| thread.seal(before, at)).await })
    }

    fn drop_sealed(&self, through: u64, at: Timestamp) -> Pending<'_, Result<u64, JournalError>> {
        Box::pin(async move {
            let writer = self.writer()?;
            let begins = writer.alone(move |thread| thread.begin_drop(through, at)).await?;
            let mut gone = 0_u64;
            while let taken @ 1.. = writer.alone(move |thread| thread.take_away(begins)).await? {
                gone = gone.saturating_add(taken);
            }
            Ok(gone)
        })
    }

    fn seals(&self) -> Pending<'_, Result<Vec<Seal>, JournalError>> {
        Box::pin(self.read(|connection| Ok(seals::all(connection)?.into_iter().map(|(seal, _)| seal).collect())))
    }

    fn wind_down(&self) -> Pending<'_, Result<(), JournalError>> {
        Box::pin(async move {
            let fold = |thread: &mut writer::WriterThread| {
                thread.fold_log("TRUNCATE");
                Ok(())
            };
            self.writer()?.alone(fold).await
        })
    }

    fn ready(&self) -> bool {
        self.writer.as_ref().is_some_and(Writer::ready)
    }
}

impl Drop for EmbeddedJournal {
    fn drop(&mut self) {
        // Readers first, so that the writer is the last to close and can fold the write-ahead log away.
        self.readers.close();
        drop(self.writer.take());
    }
}

/// Read-only connections, made when needed and kept for the next reading.
#[derive(Debug)]
struct Readers {
    path: PathBuf,
    master: Option<Arc<MasterKey>>,
    busy_timeout_ms: u32,
    free: Mutex<Vec<Connection>>,
    free_max: usize,
    permits: Arc<Semaphore>,
}

impl Readers {
    fn new(path: &Path, readers_max: usize, busy_timeout_ms: u32, master: Option<Arc<MasterKey>>) -> Self {
        let free_max = readers_max.max(1);
        Self {
            path: path.to_owned(),
            master,
            busy_timeout_ms,
            free: Mutex::default(),
            free_max,
            permits: Arc::new(Semaphore::new(free_max)),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> Result<T, JournalError>) -> Result<T, JournalError> {
        let kept = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match kept {
            Some(connection) => connection,
            None => file::open_for_reading(&self.path, self.busy_timeout_ms)?,
        };
        let result = work(&connection);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        // A connection that met an error is not trusted again.
        if result.is_ok() && free.len() < self.free_max && !self.permits.is_closed() {
            free.push(connection);
        }
        result
    }

    fn close(&self) {
        self.permits.close();
        self.free.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
