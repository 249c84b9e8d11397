//! Where periods end: the rows of the seals, and where the chain begins once periods were dropped.

use super::file::fault;
use crate::journal::stored::{corrupt, whole};
use crate::journal::{Chain, JournalError, Seal};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

/// Where the chain begins: after the last dropped period, or before the first entry.
pub(super) fn beginning(connection: &Connection) -> Result<Chain, JournalError> {
    let dropped: Option<(i64, Vec<u8>)> = connection
        .prepare_cached("SELECT through, hash FROM seal WHERE dropped = 1 ORDER BY through DESC LIMIT 1")
        .and_then(|mut select| select.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .map_err(|error| fault(&error, 0))?;
    let Some((through, hash)) = dropped else { return Ok(Chain::default()) };
    match (u64::try_from(through), <[u8; 32]>::try_from(hash)) {
        (Ok(through), Ok(hash)) => Ok(Chain::standing_at(through, hash)),
        _ => Err(corrupt(0, "the seal that the chain begins at cannot be read")),
    }
}

/// The seals, oldest first, each with whether its period was dropped.
pub(super) fn all(connection: &Connection) -> Result<Vec<(Seal, bool)>, JournalError> {
    connection
        .prepare_cached("SELECT through, hash, entries, ended_at, dropped FROM seal ORDER BY through")
        .and_then(|mut select| {
            let seals = select.query_map([], |row| {
                let number = |index: usize| row.get::<_, i64>(index).map(|number| u64::try_from(number).unwrap_or(0));
                let ended_at: String = row.get(3)?;
                let seal = Seal {
                    through: number(0)?,
                    hash: hex::encode(row.get::<_, Vec<u8>>(1)?),
                    entries: number(2)?,
                    ended_at: ended_at.parse().unwrap_or(Timestamp::UNIX_EPOCH),
                };
                Ok((seal, row.get(4)?))
            })?;
            seals.collect()
        })
        .map_err(|error| fault(&error, 0))
}

/// Keeps a seal, within the open transaction.
pub(super) fn write(connection: &Connection, seal: &Seal, hash: &[u8; 32]) -> Result<(), JournalError> {
    let (through, entries) = (whole(seal.through)?, whole(seal.entries)?);
    connection
        .prepare_cached("INSERT INTO seal (through, hash, entries, ended_at, dropped) VALUES (?1, ?2, ?3, ?4, 0)")
        .and_then(|mut insert| insert.execute(params![through, hash, entries, seal.ended_at.to_string()]))
        .map_err(|error| fault(&error, 0))
        .map(drop)
}

/// Notes that everything up to the end of a sealed period is dropped, within the open transaction.
pub(super) fn drop_through(connection: &Connection, through: u64) -> Result<(), JournalError> {
    connection
        .execute("UPDATE seal SET dropped = 1 WHERE through <= ?1", [whole(through)?])
        .map_err(|error| fault(&error, 0))
        .map(drop)
}

/// The last entry after `after` and at most at `last` that happened before an instant, found by halving: instants go
/// upwards, except where a civil clock was set back.
pub(super) fn last_before(
    connection: &Connection,
    after: u64,
    last: u64,
    before: Timestamp,
) -> Result<Option<(u64, Timestamp)>, JournalError> {
    let (mut low, mut high, mut found) = (after, last, None);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let at: String = connection
            .prepare_cached("SELECT at FROM entry WHERE sequence = ?1")
            .and_then(|mut select| select.query_row([whole(middle).unwrap_or(i64::MAX)], |row| row.get(0)))
            .map_err(|error| fault(&error, middle))?;
        let at: Timestamp = at.parse().map_err(|_| corrupt(middle, "column `at` is no instant"))?;
        if at < before {
            (low, found) = (middle, Some((middle, at)));
        } else {
            high = middle - 1;
        }
    }
    Ok(found)
}
