//! The journal's file: opened by one adapter only, its settings, its format, and the check of its chain.

use super::{Settings, Verification, rows, seals};
use crate::journal::{Chain, ChainFault, JournalError};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags, OptionalExtension, ffi};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

const TABLES: &str = include_str!("../../../schemas/journal/embedded/001_tables.sql");
/// What later programs added, each harmless where it is there already.
const ADDED: [&str; 3] = [
    include_str!("../../../schemas/journal/embedded/002_derived.sql"),
    include_str!("../../../schemas/journal/embedded/003_personal.sql"),
    include_str!("../../../schemas/journal/embedded/004_seals.sql"),
];
const OLDER_FILE: &str = include_str!("../../../schemas/journal/embedded/older_file.sql");

/// SQLite `application_id` of a journal (`4OPT`), by which `file` and we know it.
const APPLICATION_ID: i32 = 0x344F_5054;
/// Statements that a connection keeps compiled: more than there are.
const STATEMENTS_KEPT: usize = 64;
/// The one format this program reads and writes.
const FORMAT: i64 = 1;

/// An error that means: not now.
pub(super) fn unavailable(why: impl Into<String>) -> JournalError {
    JournalError::Unavailable(why.into())
}

/// What an SQLite error means to whoever appends or reads. `sequence` is where the work stood.
pub(super) fn fault(error: &Error, sequence: u64) -> JournalError {
    let Error::SqliteFailure(failure, _) = error else {
        return unavailable(format!("the store answered unexpectedly: {error}"));
    };
    // After a failed sync nobody knows what is on the disk, and a second sync may report success for pages
    // that the kernel has dropped (PostgreSQL's fsync finding of 2018): never go on.
    let sync_failed = [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC];
    if sync_failed.contains(&failure.extended_code) {
        return JournalError::Poisoned;
    }
    match failure.code {
        ErrorCode::DiskFull => unavailable("the disk is full"),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => unavailable("another process holds the file"),
        ErrorCode::ReadOnly => unavailable("the file cannot be written"),
        ErrorCode::CannotOpen => unavailable("the file cannot be opened"),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            JournalError::Corrupt { sequence, why: "the file is damaged at or after this entry".to_owned() }
        }
        _ => unavailable(format!("the store failed with code {}", failure.extended_code)),
    }
}

/// The right to append, held by one adapter at a time.
///
/// A file of its own: locking the database file itself through a second descriptor would break SQLite's own locks,
/// which POSIX gives up when any descriptor of the file is closed.
#[derive(Debug)]
pub(super) struct FileLock {
    file: File,
}

impl Drop for FileLock {
    /// Closing is not enough: a process that is being started at this instant holds a copy of the descriptor until it runs.
    fn drop(&mut self) {
        if self.file.unlock().is_err() {
            tracing::warn!("the journal's lock is freed only when the process ends");
        }
    }
}

impl FileLock {
    /// Takes the lock or says that somebody else has it. The operating system frees it when the process ends.
    pub(super) fn take(path: &Path) -> Result<Self, JournalError> {
        let lock_path = beside(path, ".lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|error| unavailable(format!("`{}` cannot be opened: {error}", lock_path.display())))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => {
                Err(unavailable(format!("`{}` is in use by another adapter", path.display())))
            }
            Err(TryLockError::Error(error)) => {
                Err(unavailable(format!("`{}` cannot be locked: {error}", lock_path.display())))
            }
        }
    }
}

/// The path with a suffix after its whole name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// The writer's connection, on a file that is made where there is none.
pub(super) fn open_for_writing(settings: &Settings) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&settings.path, flags)
        .map_err(|error| unavailable(format!("`{}` cannot be opened: {error}", settings.path.display())))?;
    configure(&connection, settings.busy_timeout_ms).map_err(|error| fault(&error, 0))?;
    prepare_file(&mut connection).map_err(|error| fault(&error, 0))?;
    if let Some(pages) = settings.file_pages_max {
        set_pages_max(&connection, pages).map_err(|error| fault(&error, 0))?;
    }
    check_format(&connection, &settings.path)?;
    for added in ADDED {
        connection.execute_batch(added).map_err(|error| fault(&error, 0))?;
    }
    // What is deleted is overwritten: a person forgotten must not be read from pages that are free.
    connection.query_row("PRAGMA secure_delete = ON", [], |_| Ok(())).map_err(|error| fault(&error, 0))?;
    Ok(connection)
}

/// A reader's connection. Never makes a file.
pub(super) fn open_for_reading(path: &Path, busy_timeout_ms: u32) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|_| unavailable(format!("`{}` cannot be opened for reading", path.display())))?;
    configure(&connection, busy_timeout_ms).map_err(|error| fault(&error, 0))?;
    check_format(&connection, path)?;
    let has_seals: bool = connection
        .query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'seal')", [], |row| row.get(0))
        .map_err(|error| fault(&error, 0))?;
    if !has_seals {
        connection.pragma_update(None, "temp_store", "MEMORY").map_err(|error| fault(&error, 0))?;
        connection.execute_batch(OLDER_FILE).map_err(|error| fault(&error, 0))?;
    }
    Ok(connection)
}

/// The largest size of the file, pages.
pub(super) fn set_pages_max(connection: &Connection, pages: u32) -> Result<(), Error> {
    connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
}

fn configure(connection: &Connection, busy_timeout_ms: u32) -> Result<(), Error> {
    connection.busy_timeout(Duration::from_millis(busy_timeout_ms.into()))?;
    // A plan must not depend on the values bound: SQLite would compile such a statement anew for each of them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    connection.pragma_update(None, "cache_size", -1_024)?; // KiB
    connection.query_row("PRAGMA mmap_size = 0", [], |_| Ok(())).optional().map(drop)
}

fn prepare_file(connection: &mut Connection) -> Result<(), Error> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if tables == 0 && id == 0 {
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        let making = connection.transaction()?;
        making.execute_batch(TABLES)?;
        making.pragma_update(None, "application_id", APPLICATION_ID)?;
        making.commit()?;
    } else if id == APPLICATION_ID {
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    }
    // The writer folds the log itself, after it has answered, so that no caller waits for it and no failed sync
    // of it goes unseen.
    connection.query_row("PRAGMA wal_autocheckpoint = 0", [], |_| Ok(()))
}

fn check_format(connection: &Connection, path: &Path) -> Result<(), JournalError> {
    let refused = |why: &str| JournalError::Corrupt { sequence: 0, why: format!("`{}` {why}", path.display()) };
    let id: i32 =
        connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(|error| fault(&error, 0))?;
    if id != APPLICATION_ID {
        return Err(refused("is not a journal"));
    }
    let format: i64 = connection
        .query_row("SELECT format FROM meta WHERE only = 1", [], |row| row.get(0))
        .map_err(|error| fault(&error, 0))?;
    if format != FORMAT {
        return Err(refused(&format!("is of format {format}, this program knows {FORMAT}")));
    }
    Ok(())
}

/// The head that the last commit wrote.
fn head(connection: &Connection) -> Result<Chain, JournalError> {
    let (sequence, hash): (i64, Vec<u8>) = connection
        .query_row("SELECT head_sequence, head_hash FROM meta WHERE only = 1", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(|error| fault(&error, 0))?;
    match (u64::try_from(sequence), <[u8; 32]>::try_from(hash)) {
        (Ok(sequence), Ok(hash)) => Ok(Chain::standing_at(sequence, hash)),
        _ => Err(JournalError::Corrupt { sequence: 0, why: "the head of the chain cannot be read".to_owned() }),
    }
}

/// Recomputes the last entries and answers where the chain stands.
pub(super) fn check_tail(connection: &Connection, entries: u64) -> Result<Chain, JournalError> {
    let head = head(connection)?;
    let mut chain = seals::beginning(connection)?;
    let from = head.sequence().saturating_sub(entries);
    if from > chain.sequence() {
        chain = rows::chain_at(connection, from)?;
    }
    match walk(connection, chain, &head, &mut |_| ())? {
        (_, Some(ChainFault { sequence, why })) => Err(JournalError::Corrupt { sequence, why }),
        (end, None) => Ok(end),
    }
}

/// Recomputes the whole chain.
pub(super) fn verify_whole(
    connection: &Connection,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Verification, JournalError> {
    // One transaction: head and entries are of the same instant although an adapter may be appending.
    let reading = connection.unchecked_transaction().map_err(|error| fault(&error, 0))?;
    let (head, beginning) = (head(&reading)?, seals::beginning(&reading)?);
    let (end, broken) = walk(&reading, beginning, &head, &mut |done| progress(done, head.sequence()))?;
    let fault = match broken {
        None => beside_the_chain(&reading)?.map(|why| ChainFault { sequence: head.sequence(), why }),
        broken @ Some(_) => broken,
    };
    let entries = end.sequence().saturating_sub(beginning.sequence());
    Ok(Verification { entries, begins_after: beginning.sequence(), last_hash: end.hash_hex(), fault })
}

/// What of the file is damaged although the chain is whole: an index that misses rows would hide them from whoever asks by name.
fn beside_the_chain(connection: &Connection) -> Result<Option<String>, JournalError> {
    let found = match connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0)) {
        Ok(found) => found,
        Err(error) => match fault(&error, 0) {
            JournalError::Corrupt { why, .. } => why,
            other => return Err(other),
        },
    };
    Ok((found != "ok").then(|| format!("the chain is whole, but the file beside it is damaged: {found}")))
}

fn walk(
    connection: &Connection,
    mut chain: Chain,
    head: &Chain,
    done: &mut dyn FnMut(u64),
) -> Result<(Chain, Option<ChainFault>), JournalError> {
    let broken = rows::check_from(connection, &mut chain, done)?;
    if broken.is_some() || chain == *head {
        return Ok((chain, broken));
    }
    let (sequence, why) = if chain.sequence() < head.sequence() {
        (chain.sequence().saturating_add(1), format!("entries up to {} are missing", head.sequence()))
    } else {
        (head.sequence(), format!("the chain ends at {}, its last commit at this entry", chain.sequence()))
    };
    Ok((chain, Some(ChainFault { sequence, why })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failed_sync_poisons() {
        let error = |code| Error::SqliteFailure(ffi::Error::new(code), None);
        assert_eq!(fault(&error(ffi::SQLITE_IOERR_FSYNC), 0), JournalError::Poisoned);
        assert_eq!(fault(&error(ffi::SQLITE_IOERR_DIR_FSYNC), 0), JournalError::Poisoned);
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_BUSY, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_READONLY] {
            assert!(matches!(fault(&error(code), 0), JournalError::Unavailable(_)), "{code}");
        }
        assert!(matches!(fault(&error(ffi::SQLITE_CORRUPT), 7), JournalError::Corrupt { sequence: 7, .. }));
    }
}
