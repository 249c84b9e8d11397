//! How incidents stand, kept beside the chain: what a restart reads. Rows that do not add up are rebuilt from the chain.

use super::file::fault;
use super::rows;
use crate::journal::restart::{Called, Standing, Unsettled, fold};
use crate::journal::{Chain, JournalError};
use crate::record::{AgencyId, IncidentId};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

pub(super) const UPSERT: &str = include_str!("../../../schemas/journal/embedded/upsert_standing.sql");

pub(super) const SELECT_MARK: &str = "SELECT mark FROM standing WHERE incident = ?1";

/// Hours for which an incident at rest is kept here: longer than anybody asks for a name (`call_processing` asks for 48).
const KEPT_H: i64 = 72;

/// What the rows add up to. Two rows that are exchanged, one that is missing and one that was changed all show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    rows: i64,
    sum: i64,
}

impl Sum {
    fn replace(&mut self, before: Option<i64>, after: Option<i64>) {
        self.rows = self.rows.wrapping_add(i64::from(after.is_some())).wrapping_sub(i64::from(before.is_some()));
        self.sum = self.sum.wrapping_add(after.unwrap_or_default()).wrapping_sub(before.unwrap_or_default());
    }
}

/// One row, its mark worked out from the columns.
struct Kept {
    incident: String,
    version: i64,
    rests: bool,
    agency: Option<String>,
    called: Option<String>,
    began: Option<String>,
    closed_at: Option<String>,
}

impl Kept {
    fn new(incident: &IncidentId, version: u64, standing: Option<&Standing>) -> Self {
        let called = standing.and_then(|standing| standing.called.as_ref());
        let instant = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            incident: incident.as_str().to_owned(),
            version: i64::try_from(version).unwrap_or(i64::MAX),
            // Where nobody says how it stands, a restart folds it to see.
            rests: standing.is_some_and(|standing| standing.rests),
            agency: called.map(|called| called.agency.as_str().to_owned()),
            called: called.map(|called| called.name.clone()),
            began: instant(called.and_then(|called| called.began)),
            closed_at: instant(called.and_then(|called| called.closed_at)),
        }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            incident: row.get(0)?,
            version: row.get(1)?,
            rests: row.get(2)?,
            agency: row.get(3)?,
            called: row.get(4)?,
            began: row.get(5)?,
            closed_at: row.get(6)?,
        })
    }

    fn mark(&self) -> i64 {
        let mut hasher = Sha256::new();
        let (version, rests) = (self.version.to_be_bytes(), [u8::from(self.rests)]);
        let texts = [&self.agency, &self.called, &self.began, &self.closed_at];
        let texts = texts.into_iter().map(|text| text.as_deref().map(str::as_bytes));
        for field in [Some(self.incident.as_bytes()), Some(&version[..]), Some(&rests[..])].into_iter().chain(texts) {
            // A null is no empty text: lengths never reach the greatest.
            let length = field.map_or(u64::MAX, |field| u64::try_from(field.len()).unwrap_or(u64::MAX - 1));
            hasher.update(length.to_be_bytes());
            hasher.update(field.unwrap_or_default());
        }
        let digest: [u8; 32] = hasher.finalize().into();
        digest.first_chunk::<8>().map_or(0, |first| i64::from_be_bytes(*first))
    }

    fn named(self) -> (IncidentId, Option<Called>) {
        let instant = |text: Option<String>| text.and_then(|text| text.parse().ok());
        let (began, closed_at) = (instant(self.began), instant(self.closed_at));
        let called = self.agency.zip(self.called);
        let called = called.map(|(agency, name)| Called { agency: AgencyId::new(agency), name, began, closed_at });
        (IncidentId::new(self.incident), called)
    }
}

/// Writes how an incident stands, within the open transaction.
pub(super) fn write(
    connection: &Connection,
    incident: &IncidentId,
    version: u64,
    standing: Option<&Standing>,
    sum: &mut Sum,
) -> Result<(), JournalError> {
    let kept = Kept::new(incident, version, standing);
    let mark = kept.mark();
    let upserted = connection
        .prepare_cached(SELECT_MARK)
        .and_then(|mut select| select.query_row([&kept.incident], |row| row.get::<_, i64>(0)).optional())
        .and_then(|before| {
            let Kept { incident, version, rests, agency, called, began, closed_at } = &kept;
            connection
                .prepare_cached(UPSERT)?
                .execute(params![incident, version, rests, agency, called, began, closed_at, mark])?;
            Ok(before)
        });
    let before = upserted.map_err(|error| fault(&error, 0))?;
    sum.replace(before, Some(mark));
    Ok(())
}

/// The version of an incident as its last commit left it, where it is kept.
pub(super) fn version_known(connection: &Connection, incident: &IncidentId) -> Result<Option<u64>, JournalError> {
    let version: Option<i64> = connection
        .prepare_cached("SELECT version FROM standing WHERE incident = ?1")
        .and_then(|mut select| select.query_row([incident.as_str()], |row| row.get(0)).optional())
        .map_err(|error| fault(&error, 0))?;
    Ok(version.and_then(|version| u64::try_from(version).ok()))
}

/// Writes what the rows add up to, for the end of the chain at `sequence`.
pub(super) fn write_sum(connection: &Connection, sequence: u64, sum: &Sum) -> Result<(), JournalError> {
    let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
    connection
        .prepare_cached("INSERT OR REPLACE INTO standing_sum (only, sequence, rows, sum) VALUES (1, ?1, ?2, ?3)")
        .and_then(|mut statement| statement.execute(params![sequence, sum.rows, sum.sum]))
        .map_err(|error| fault(&error, 0))
        .map(drop)
}

/// Forgets incidents that ended long before an instant and rest.
pub(super) fn trim(connection: &Connection, now: Timestamp, sum: &mut Sum) -> Result<(), JournalError> {
    for kept in kept(connection, true)? {
        if is_old(kept.closed_at.as_deref(), now) {
            connection
                .prepare_cached("DELETE FROM standing WHERE incident = ?1")
                .and_then(|mut statement| statement.execute([&kept.incident]))
                .map_err(|error| fault(&error, 0))?;
            sum.replace(Some(kept.mark()), None);
        }
    }
    Ok(())
}

/// Forgets an incident that has no entry left, within the open transaction.
pub(super) fn forget(connection: &Connection, incident: &IncidentId, sum: &mut Sum) -> Result<(), JournalError> {
    let mark: Option<i64> = connection
        .prepare_cached("DELETE FROM standing WHERE incident = ?1 RETURNING mark")
        .and_then(|mut delete| delete.query_row([incident.as_str()], |row| row.get(0)).optional())
        .map_err(|error| fault(&error, 0))?;
    if mark.is_some() {
        sum.replace(mark, None);
    }
    Ok(())
}

fn is_old(closed_at: Option<&str>, now: Timestamp) -> bool {
    closed_at
        .and_then(|at| at.parse::<Timestamp>().ok())
        .is_some_and(|at| now.duration_since(at) > SignedDuration::from_hours(KEPT_H))
}

/// What the rows add up to, made right where they are missing or do not: for the chain as it stands.
pub(super) fn made_right(connection: &mut Connection, chain: &Chain) -> Result<Sum, JournalError> {
    let known = connection
        .query_row("SELECT sequence, rows, sum FROM standing_sum WHERE only = 1", [], |row| {
            Ok((row.get::<_, i64>(0)?, Sum { rows: row.get(1)?, sum: row.get(2)? }))
        })
        .optional()
        .map_err(|error| fault(&error, 0))?;
    let found = added_up(connection)?;
    let (after, sum) = match known {
        Some((sequence, sum)) if found == Some(sum) => (u64::try_from(sequence).unwrap_or_default(), sum),
        Some(_) | None => (0, Sum::default()),
    };
    if after == chain.sequence() {
        return Ok(sum);
    }
    if after > chain.sequence() || after == 0 {
        return rebuild(connection, chain, 0, Sum::default());
    }
    // Entries that a program without these tables appended: only their incidents are folded again.
    rebuild(connection, chain, after, sum)
}

/// The sum over the rows as they stand; `None` where one is not as it was written.
fn added_up(connection: &Connection) -> Result<Option<Sum>, JournalError> {
    let mut statement = connection
        .prepare("SELECT incident, version, rests, agency, called, began, closed_at, mark FROM standing")
        .map_err(|error| fault(&error, 0))?;
    let mut rows = statement.query([]).map_err(|error| fault(&error, 0))?;
    let mut sum = Sum::default();
    while let Some(row) = rows.next().map_err(|error| fault(&error, 0))? {
        let read = Kept::read(row).and_then(|kept| Ok((kept.mark(), row.get::<_, i64>(7)?)));
        let Ok((mark, stored)) = read else { return Ok(None) };
        if mark != stored {
            return Ok(None);
        }
        sum.replace(None, Some(mark));
    }
    Ok(Some(sum))
}

/// Folds every incident that has an entry after a sequence, and writes how it stands; after 0, from nothing.
fn rebuild(connection: &mut Connection, chain: &Chain, after: u64, mut sum: Sum) -> Result<Sum, JournalError> {
    let failed = |error: rusqlite::Error| fault(&error, 0);
    if chain.sequence() > 0 {
        tracing::warn!(after, entries = chain.sequence(), "how incidents stand is worked out from the chain again");
    }
    let transaction = connection.transaction().map_err(failed)?;
    if after == 0 {
        // An index that is damaged names too few incidents: it is made from the entries again.
        transaction.execute_batch("DELETE FROM standing; REINDEX entry").map_err(failed)?;
    }
    let last = rows::last_instant(&transaction)?;
    let mut incidents = transaction.prepare(ids_sql(after)).map_err(failed)?;
    let mut rows = incidents.query([i64::try_from(after).unwrap_or(i64::MAX)]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let id = IncidentId::new(row.get::<_, String>(0).map_err(failed)?);
        let (version, standing) = match rows::entries_of(&transaction, &id) {
            // Its story began in a period that was dropped, so that it rests.
            Ok(entries) if entries.is_empty() => continue,
            Ok(entries) => (entries.last().map_or(0, |entry| entry.version), Some(Standing::of(&fold(&id, &entries)))),
            // Damage in one story is found again by whoever reads it; it must not hide the others.
            Err(JournalError::Corrupt { .. }) => (0, None),
            Err(error) => return Err(error),
        };
        let old = standing.as_ref().filter(|standing| standing.rests).and_then(|standing| standing.called.as_ref());
        let old = old.and_then(|called| called.closed_at).map(|at| at.to_string());
        if !last.is_some_and(|last| is_old(old.as_deref(), last)) {
            write(&transaction, &id, version, standing.as_ref(), &mut sum)?;
        }
    }
    drop(rows);
    drop(incidents);
    write_sum(&transaction, chain.sequence(), &sum)?;
    transaction.commit().map_err(failed)?;
    Ok(sum)
}

/// Names of incidents with an entry after a sequence. Of all of them the index on names and versions knows.
fn ids_sql(after: u64) -> &'static str {
    if after == 0 {
        "SELECT DISTINCT incident FROM entry WHERE incident IS NOT NULL AND ?1 = 0"
    } else {
        "SELECT DISTINCT incident FROM entry WHERE sequence > ?1 AND incident IS NOT NULL"
    }
}

/// The rows of incidents that rest, or that do not.
fn kept(connection: &Connection, rests: bool) -> Result<Vec<Kept>, JournalError> {
    connection
        .prepare_cached(
            "SELECT incident, version, rests, agency, called, began, closed_at FROM standing WHERE rests = ?1",
        )
        .and_then(|mut statement| statement.query_map([rests], Kept::read)?.collect())
        .map_err(|error| fault(&error, 0))
}

/// Incidents that do not rest, and how they are called.
pub(super) fn unsettled(connection: &Connection) -> Result<Vec<Unsettled>, JournalError> {
    Ok(kept(connection, false)?.into_iter().map(Kept::named).collect())
}

/// Incidents at rest that ended at or after an instant, by how they are called.
pub(super) fn called_since(
    connection: &Connection,
    since: Timestamp,
) -> Result<Vec<(IncidentId, Called)>, JournalError> {
    let named = kept(connection, true)?.into_iter().map(Kept::named);
    let called = named.filter_map(|(id, called)| Some((id, called?)));
    Ok(called.filter(|(_, called)| called.closed_at.is_none_or(|at| at >= since)).collect())
}
