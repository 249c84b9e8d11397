//! Records as they came, apart from the chain, each under its incident's key where a key file is configured.

use super::file::fault;
use crate::journal::personal::{IncidentKey, MasterKey};
use crate::journal::{Content, JournalError};
use crate::record::IncidentId;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

const INSERT: &str = include_str!("../../../schemas/journal/embedded/insert_record.sql");

/// Keeps a record, within the open transaction.
pub(super) fn write(
    connection: &Connection,
    master: Option<&MasterKey>,
    incident: &IncidentId,
    Content { sha256, bytes }: &Content,
    stored_at: &str,
) -> Result<(), JournalError> {
    let locked = match master {
        Some(master) => Some(key_for(connection, master, incident)?.lock(incident, sha256, bytes)?),
        None => None,
    };
    let kept = locked.as_deref().unwrap_or(bytes);
    connection
        .prepare_cached(INSERT)
        .and_then(|mut insert| insert.execute(params![incident.as_str(), sha256, locked.is_some(), kept, stored_at]))
        .map_err(|error| fault(&error, 0))
        .map(drop)
}

/// The key of an incident; a new one where it has none.
fn key_for(connection: &Connection, master: &MasterKey, incident: &IncidentId) -> Result<IncidentKey, JournalError> {
    if let Some(wrapped) = wrapped(connection, incident)? {
        return master.unwrap(incident, &wrapped).ok_or_else(|| other_key_file(incident));
    }
    let (key, wrapped) = master.new_key(incident)?;
    connection
        .prepare_cached("INSERT INTO incident_key (incident, wrapped) VALUES (?1, ?2)")
        .and_then(|mut insert| insert.execute(params![incident.as_str(), wrapped]))
        .map_err(|error| fault(&error, 0))?;
    Ok(key)
}

fn wrapped(connection: &Connection, incident: &IncidentId) -> Result<Option<Vec<u8>>, JournalError> {
    connection
        .prepare_cached("SELECT wrapped FROM incident_key WHERE incident = ?1")
        .and_then(|mut select| select.query_row([incident.as_str()], |row| row.get(0)).optional())
        .map_err(|error| fault(&error, 0))
}

fn other_key_file(incident: &IncidentId) -> JournalError {
    JournalError::Unavailable(format!("the key of `{incident}` is under another key file than the configured one"))
}

/// That the configured key file is the one that the newest keys are under: another one would lose every open call's record.
pub(super) fn check_key_file(connection: &Connection, master: Option<&MasterKey>) -> Result<(), JournalError> {
    let newest: Option<(String, Vec<u8>)> = connection
        .query_row(
            "SELECT incident_key.incident, wrapped FROM record JOIN incident_key USING (incident)
             WHERE locked = 1 ORDER BY record.rowid DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()
        .map_err(|error| fault(&error, 0))?;
    match (newest.map(|(incident, wrapped)| (IncidentId::new(incident), wrapped)), master) {
        (Some((incident, wrapped)), Some(master)) if master.unwrap(&incident, &wrapped).is_none() => {
            Err(other_key_file(&incident))
        }
        (Some(_), None) => Err(JournalError::Unavailable(
            "its records are under a key file, and none is configured: set `journal.key_file`".to_owned(),
        )),
        (Some(_), Some(_)) | (None, _) => Ok(()),
    }
}

/// The bytes of a record, where they are still kept and still what their digest says.
pub(super) fn read(
    connection: &Connection,
    master: Option<&MasterKey>,
    incident: &IncidentId,
    sha256: &str,
) -> Result<Option<Bytes>, JournalError> {
    let damaged = |why: &str| JournalError::Corrupt { sequence: 0, why: format!("record `{sha256}` {why}") };
    let kept: Option<(bool, Vec<u8>)> = connection
        .prepare_cached("SELECT locked, bytes FROM record WHERE incident = ?1 AND sha256 = ?2")
        .and_then(|mut select| {
            select.query_row([incident.as_str(), sha256], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .map_err(|error| fault(&error, 0))?;
    let bytes = match kept {
        Some((false, bytes)) => bytes,
        Some((true, locked)) => {
            // Without the incident's key the person is forgotten, although a copy may still hold the row.
            let Some(wrapped) = wrapped(connection, incident)? else { return Ok(None) };
            let Some(master) = master else {
                return Err(JournalError::Unavailable(
                    "the record is under a key file, and none is configured".to_owned(),
                ));
            };
            let key = master.unwrap(incident, &wrapped).ok_or_else(|| other_key_file(incident))?;
            key.unlock(incident, sha256, &locked).ok_or_else(|| damaged("does not open under its key"))?
        }
        None => match older(connection, sha256)? {
            Some(bytes) => bytes,
            None => return Ok(None),
        },
    };
    if hex::encode(Sha256::digest(&bytes)) != sha256 {
        return Err(damaged("is not what its digest says"));
    }
    Ok(Some(Bytes::from(bytes)))
}

/// Bytes that a program kept before there were keys.
fn older(connection: &Connection, sha256: &str) -> Result<Option<Vec<u8>>, JournalError> {
    connection
        .prepare_cached("SELECT bytes FROM content WHERE sha256 = ?1")
        .and_then(|mut select| select.query_row([sha256], |row| row.get(0)).optional())
        .map_err(|error| fault(&error, 0))
}

/// Destroys the key and the records of an incident, within the open transaction.
pub(super) fn destroy(connection: &Connection, incident: &IncidentId) -> Result<(), JournalError> {
    delete(connection, "DELETE FROM incident_key WHERE incident = ?1", incident.as_str())?;
    delete(connection, "DELETE FROM record WHERE incident = ?1", incident.as_str())
}

/// Destroys what an earlier program kept under these digests, within the open transaction.
pub(super) fn destroy_older<'a>(
    connection: &Connection,
    digests: impl IntoIterator<Item = &'a String>,
) -> Result<(), JournalError> {
    digests.into_iter().try_for_each(|digest| delete(connection, "DELETE FROM content WHERE sha256 = ?1", digest))
}

fn delete(connection: &Connection, sql: &str, name: &str) -> Result<(), JournalError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut delete| delete.execute([name]))
        .map_err(|error| fault(&error, 0))
        .map(drop)
}
