//! The store: one SQLite file that anyone can open, with every distinct saying and place once. Read into columns.
//!
//! SQLite and not a columnar file: an import is one transaction, so that a file is in the store whole or not at all;
//! the same export again changes nothing, by a unique key; and the file can be read without us, years later.

use super::columns::Columns;
use super::import::Tally;
use super::kept::{Kept, Place, Profile};
use rusqlite::{Connection, Error, ErrorCode, OpenFlags, OptionalExtension, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

const TABLES: &str = include_str!("../../schemas/history/001_tables.sql");
const UPSERT_CALL: &str = include_str!("../../schemas/history/upsert_call.sql");
const SELECT_COLUMNS: &str = include_str!("../../schemas/history/select_columns.sql");

/// SQLite `application_id` of a store (`4OPH`), by which `file` and we know it.
const APPLICATION_ID: i32 = 0x344F_5048;
/// The one format this program reads and writes.
const FORMAT: i32 = 1;
/// How long to wait while another process writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a store cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error("it cannot be opened: {0}")]
    NotOpened(String),
    /// It is another kind of file.
    #[error("it is no store of past calls")]
    NotAStore,
    /// It was written by another version of this program.
    #[error("it is of format {0}, this program reads format {FORMAT}")]
    OtherFormat(i32),
    /// Something in it is not as this program writes it.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// SQLite says no.
    #[error("{0}")]
    Sqlite(String),
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotAStore,
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged("SQLite finds the file malformed".to_owned()),
            Some(ErrorCode::DatabaseBusy) => Self::Sqlite("another process is writing it".to_owned()),
            Some(ErrorCode::DiskFull) => Self::Sqlite("the disk is full".to_owned()),
            _ => Self::Sqlite(error.to_string()),
        }
    }
}

/// The file that rows are from.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Its own name, without its folder.
    pub name: String,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// SHA-256 of its layout, lower-case hex.
    pub layout_sha256: String,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The incident was not there.
    Added,
    /// It was there with another content.
    Replaced,
    /// The same row was there.
    Unchanged,
    /// A later version was there.
    Older,
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
}

impl Store {
    /// Opens a store to write; makes it where there is no file.
    ///
    /// # Errors
    /// Where the file cannot be opened or is no store.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut store = Self::connected(path, flags)?;
        let begun = store.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let tables: i64 = begun.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables == 0 {
            begun.pragma_update(None, "application_id", APPLICATION_ID)?;
            begun.pragma_update(None, "user_version", FORMAT)?;
            begun.execute_batch(TABLES)?;
        }
        begun.commit()?;
        store.checked()
    }

    /// Opens a store to read; never makes a file.
    ///
    /// # Errors
    /// Where the file cannot be opened or is no store.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        Self::connected(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?.checked()
    }

    fn connected(path: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let connection =
            Connection::open_with_flags(path, flags).map_err(|error| StoreError::NotOpened(error.to_string()))?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "trusted_schema", "OFF")?;
        Ok(Self { connection })
    }

    fn checked(self) -> Result<Self, StoreError> {
        let pragma = |name: &str| self.connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        if pragma("application_id")? != APPLICATION_ID {
            return Err(StoreError::NotAStore);
        }
        match pragma("user_version")? {
            FORMAT => Ok(self),
            other => Err(StoreError::OtherFormat(other)),
        }
    }

    /// Begins an import. Nothing of it is kept until [`Import::finish`].
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub fn import(&mut self, source: &SourceFile) -> Result<Import<'_>, StoreError> {
        let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute(
            "INSERT INTO source (file, sha256, layout_sha256, tally) VALUES (?1, ?2, ?3, '{}')",
            params![source.name, source.sha256, source.layout_sha256],
        )?;
        Ok(Import {
            source: transaction.last_insert_rowid(),
            layout: super::kept::first_bytes(&source.layout_sha256),
            agencies: Dictionary::read(&transaction, "agency", "name")?,
            profiles: Dictionary::read(&transaction, "profile", "json")?,
            places: Dictionary::read(&transaction, "place", "json")?,
            dispositions: Dictionary::read(&transaction, "disposition", "code")?,
            transaction,
        })
    }

    /// Everything that a replay needs, in memory.
    ///
    /// # Errors
    /// Where the file cannot be read or is damaged.
    pub fn columns(&self) -> Result<Columns, StoreError> {
        let mut columns = Columns {
            profiles: self.parsed::<Profile>("profile", "json")?,
            places: self.parsed::<Place>("place", "json")?,
            dispositions: self.words("disposition", "code")?,
            ..Columns::default()
        };
        let mut statement = self.connection.prepare(SELECT_COLUMNS)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let place_of = |column: usize, length: usize| {
                let id: u32 = row.get(column)?;
                match id.checked_sub(1).filter(|place| (*place as usize) < length) {
                    Some(place) => Ok(place),
                    None => Err(StoreError::Damaged(format!("a call names {id}, and there are {length}"))),
                }
            };
            columns.profile.push(place_of(2, columns.profiles.len())?);
            columns.place.push(place_of(3, columns.places.len())?);
            columns.ids.push(row.get(0)?);
            columns.at.push(row.get(1)?);
            columns.disposition.push(row.get(4)?);
        }
        Ok(columns)
    }

    /// The agency and the agency's identifier of a call.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn incident(&self, id: i64) -> Result<Option<(String, String)>, StoreError> {
        let query = "SELECT agency.name, incident FROM call JOIN agency ON agency.id = call.agency WHERE call.id = ?1";
        let found = self.connection.query_row(query, [id], |row| Ok((row.get(0)?, row.get(1)?)));
        Ok(found.optional()?)
    }

    /// Agencies in it, in the order in which they came.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn agencies(&self) -> Result<Vec<String>, StoreError> {
        self.words("agency", "name")
    }

    fn parsed<T: DeserializeOwned>(&self, table: &str, column: &str) -> Result<Vec<T>, StoreError> {
        let parse = |json: String| {
            serde_json::from_str(&json).map_err(|error| StoreError::Damaged(format!("table `{table}`: {error}")))
        };
        self.words(table, column)?.into_iter().map(parse).collect()
    }

    /// A table of distinct texts in order of their numbers, which run from 1 without gaps.
    fn words(&self, table: &str, column: &str) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare(&format!("SELECT id, {column} FROM {table} ORDER BY id"))?;
        let mut words = Vec::new();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            words.push(row.get::<_, String>(1)?);
            if u64::try_from(row.get::<_, i64>(0)?).ok() != Some(words.len() as u64) {
                return Err(StoreError::Damaged(format!("table `{table}` has gaps")));
            }
        }
        Ok(words)
    }
}

/// Distinct texts and their numbers.
#[derive(Debug)]
struct Dictionary {
    insert: String,
    numbers: HashMap<String, i64>,
}

impl Dictionary {
    fn read(transaction: &Transaction<'_>, table: &str, column: &str) -> Result<Self, StoreError> {
        let mut statement = transaction.prepare(&format!("SELECT {column}, id FROM {table}"))?;
        let numbers = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, Error>>()?;
        Ok(Self { insert: format!("INSERT INTO {table} (id, {column}) VALUES (?1, ?2)"), numbers })
    }

    fn number(&mut self, transaction: &Transaction<'_>, text: String) -> Result<i64, StoreError> {
        if let Some(number) = self.numbers.get(&text) {
            return Ok(*number);
        }
        let number = i64::try_from(self.numbers.len()).unwrap_or(i64::MAX).saturating_add(1);
        transaction.prepare_cached(&self.insert)?.execute(params![number, text])?;
        self.numbers.insert(text, number);
        Ok(number)
    }
}

/// An import under way: one transaction.
#[derive(Debug)]
pub struct Import<'s> {
    transaction: Transaction<'s>,
    source: i64,
    layout: i64,
    agencies: Dictionary,
    profiles: Dictionary,
    places: Dictionary,
    dispositions: Dictionary,
}

impl Import<'_> {
    /// Takes one call, which stands on this line of the file.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub fn take(&mut self, line: u64, call: &Kept) -> Result<Taken, StoreError> {
        let begun = &self.transaction;
        let agency = self.agencies.number(begun, call.agency.clone())?;
        // The same row read with another layout may say something else.
        let content = call.content ^ self.layout;
        let updated_at = call.updated_at.map(jiff::Timestamp::as_second);
        let before: Option<(i64, Option<i64>)> = begun
            .prepare_cached("SELECT content, updated_at FROM call WHERE agency = ?1 AND incident = ?2")?
            .query_row(params![agency, call.incident], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let taken = match before {
            None => Taken::Added,
            Some((before, _)) if before == content => return Ok(Taken::Unchanged),
            Some((_, Some(before))) if updated_at.is_some_and(|now| now < before) => return Ok(Taken::Older),
            Some(_) => Taken::Replaced,
        };
        let profile = self.profiles.number(begun, json(&call.profile)?)?;
        let place = self.places.number(begun, json(&call.place)?)?;
        let disposition = call.disposition.clone().map(|code| self.dispositions.number(begun, code)).transpose()?;
        begun.prepare_cached(UPSERT_CALL)?.execute(params![
            agency,
            call.incident,
            content,
            updated_at,
            self.source,
            i64::try_from(line).unwrap_or(i64::MAX),
            call.at.as_second(),
            json(&call.times)?,
            profile,
            place,
            disposition,
        ])?;
        Ok(taken)
    }

    /// Keeps everything that was taken, with its account.
    ///
    /// # Errors
    /// Where the store cannot be written; then nothing was kept.
    pub fn finish(self, tally: &Tally) -> Result<(), StoreError> {
        let account = params![json(tally)?, self.source];
        self.transaction.execute("UPDATE source SET tally = ?1 WHERE id = ?2", account)?;
        Ok(self.transaction.commit()?)
    }
}

fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Sqlite(error.to_string()))
}
