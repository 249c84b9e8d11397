//! Rows of the journal's tables to entries and back. Every reading checks each row against the one before.

use super::file::fault;
use super::writer::End;
use super::{records, seals, standing};
use crate::incident::EVENT_VERSION;
use crate::journal::personal::MasterKey;
use crate::journal::stored::{self, ADAPTER, INCIDENT, StoredEvent, corrupt, stored_events, whole};
use crate::journal::{
    Batch, Chain, ChainFault, Content, Entry, JournalError, KINDS_READ_AT_OPEN, Link, Standing, Subject,
};
use crate::record::IncidentId;
use jiff::Timestamp;
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

const SELECT_AFTER: &str = include_str!("../../../schemas/journal/embedded/select_entries_after.sql");
const SELECT_INCIDENT: &str = include_str!("../../../schemas/journal/embedded/select_entries_of_incident.sql");
const SELECT_KIND: &str = include_str!("../../../schemas/journal/embedded/select_entries_of_kind_before.sql");
pub(super) const INSERT_ENTRY: &str = include_str!("../../../schemas/journal/embedded/insert_entry.sql");

pub(super) const VERSION_OF: &str = "SELECT coalesce(max(version), 0) FROM entry WHERE incident = ?1";

/// A batch in its stored form, made on the caller's thread so that the writer only writes.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) subject: Subject,
    pub(super) expected_version: u64,
    pub(super) at: Timestamp,
    at_text: String,
    events: Vec<StoredEvent>,
    content: Option<Content>,
    standing: Option<Standing>,
}

impl Prepared {
    /// The stored form. Nothing of the batch is written where one of its events cannot be.
    pub(super) fn new(batch: Batch) -> Result<Self, JournalError> {
        let events = stored_events(&batch.subject, batch.events)?;
        Ok(Self {
            subject: batch.subject,
            expected_version: batch.expected_version,
            at: batch.at,
            at_text: batch.at.to_string(),
            events,
            content: batch.content,
            standing: batch.standing,
        })
    }

    /// Bytes that this batch holds in memory while it waits.
    pub(super) fn bytes(&self) -> usize {
        let payloads: usize = self.events.iter().map(|event| event.payload.len()).sum();
        payloads.saturating_add(self.content.as_ref().map_or(0, |content| content.bytes.len()))
    }

    /// Writes the batch at the end of the chain, within the open transaction.
    pub(super) fn write(
        self,
        connection: &Connection,
        End { chain, sum }: &mut End,
        master: Option<&MasterKey>,
    ) -> Result<Vec<Entry>, JournalError> {
        let found = match &self.subject {
            Subject::Incident(incident) => version_of(connection, incident)?,
            Subject::Adapter => 0,
        };
        let incident = match &self.subject {
            Subject::Incident(_) if found != self.expected_version => {
                return Err(JournalError::Conflict { expected: self.expected_version, found });
            }
            Subject::Incident(incident) => Some(incident.as_str()),
            Subject::Adapter => None,
        };
        let refused = |error: &rusqlite::Error, chain: &Chain| fault(error, chain.sequence());
        let mut insert = connection.prepare_cached(INSERT_ENTRY).map_err(|error| refused(&error, chain))?;
        let mut entries = Vec::with_capacity(self.events.len());
        let mut version = found;
        for StoredEvent { stored, kind, payload } in self.events {
            if incident.is_some() {
                version = version.saturating_add(1);
            }
            let link = Link {
                sequence: chain.sequence().saturating_add(1),
                subject: if incident.is_some() { INCIDENT } else { ADAPTER },
                incident: incident.unwrap_or_default(),
                version,
                at: &self.at_text,
                kind: &kind,
                event_version: EVENT_VERSION,
                payload: &payload,
            };
            let next = chain.extended(&link);
            insert
                .execute(params![
                    whole(link.sequence)?,
                    link.subject,
                    incident,
                    whole(version)?,
                    link.at,
                    link.kind,
                    link.event_version,
                    link.payload,
                    next.hash()
                ])
                .map_err(|error| refused(&error, chain))?;
            *chain = next;
            entries.push(Entry {
                sequence: chain.sequence(),
                subject: self.subject.clone(),
                version,
                at: self.at,
                stored,
                hash: chain.hash_hex(),
            });
        }
        if let Subject::Incident(incident) = &self.subject {
            standing::write(connection, incident, version, self.standing.as_ref(), sum)?;
            if let Some(content) = &self.content {
                records::write(connection, master, incident, content, &self.at_text)?;
            }
        }
        Ok(entries)
    }
}

fn version_of(connection: &Connection, incident: &IncidentId) -> Result<u64, JournalError> {
    connection
        .prepare_cached(VERSION_OF)
        .and_then(|mut statement| statement.query_row([incident.as_str()], |row| row.get::<_, i64>(0)))
        .map_err(|error| fault(&error, 0))
        .map(|version| u64::try_from(version).unwrap_or_default())
}

/// Writes where the chain ends, in the same transaction as its entries.
pub(super) fn write_head(connection: &Connection, chain: &Chain) -> Result<(), JournalError> {
    let sequence = whole(chain.sequence())?;
    connection
        .prepare_cached("UPDATE meta SET head_sequence = ?1, head_hash = ?2 WHERE only = 1")
        .and_then(|mut statement| statement.execute(params![sequence, chain.hash()]))
        .map_err(|error| fault(&error, chain.sequence()))
        .map(drop)
}

/// Entries after a sequence, in order.
pub(super) fn entries_after(connection: &Connection, after: u64, limit: usize) -> Result<Vec<Entry>, JournalError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let after = after.max(seals::beginning(connection)?.sequence());
    let Ok(from) = i64::try_from(after) else { return Ok(Vec::new()) };
    let mut statement = connection.prepare_cached(SELECT_AFTER).map_err(|error| fault(&error, after))?;
    let mut rows = statement.query(params![from, limit]).map_err(|error| fault(&error, after))?;
    let mut entries: Vec<Entry> = Vec::new();
    let mut due = after.saturating_add(1);
    while let Some(row) = rows.next().map_err(|error| fault(&error, due))? {
        let entry = entry_of(row, due)?;
        if entry.sequence != due {
            return Err(JournalError::Corrupt { sequence: due, why: "the entry is missing".to_owned() });
        }
        due = due.saturating_add(1);
        entries.push(entry);
    }
    Ok(entries)
}

/// Entries of one kind before a sequence, newest first.
pub(super) fn entries_of_kind_before(
    connection: &Connection,
    kind: &str,
    before: u64,
    limit: usize,
) -> Result<Vec<Entry>, JournalError> {
    let (before, limit) = (i64::try_from(before).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
    let everything = SELECT_KIND.lines().filter(|line| !line.contains("so that the index serves"));
    let slow = || everything.collect::<Vec<_>>().join("\n");
    let at_hand = KINDS_READ_AT_OPEN.contains(&kind);
    let sql = if at_hand { Cow::Borrowed(SELECT_KIND) } else { Cow::Owned(slow()) };
    let mut statement = connection.prepare_cached(&sql).map_err(|error| fault(&error, 0))?;
    let mut rows = statement.query(params![kind, before, limit]).map_err(|error| fault(&error, 0))?;
    let mut entries: Vec<Entry> = Vec::new();
    while let Some(row) = rows.next().map_err(|error| fault(&error, 0))? {
        entries.push(entry_of(row, 0)?);
    }
    Ok(entries)
}

/// Sequences of entries, and the incidents they are about with the digests of the records that came in them.
pub(super) type Oldest = (Vec<u64>, BTreeMap<IncidentId, Vec<String>>);

/// Sequences of the oldest entries up to `through`, and their incidents with the digests of the records that came in them.
pub(super) fn oldest(connection: &Connection, through: u64, limit: usize) -> Result<Oldest, JournalError> {
    #[derive(Deserialize)]
    struct Received {
        identity: Identity,
    }
    #[derive(Deserialize)]
    struct Identity {
        content_sha256: String,
    }
    let failed = |error: rusqlite::Error| fault(&error, 0);
    let mut select = connection
        .prepare_cached(
            "SELECT sequence, incident, CASE kind WHEN 'record-received' THEN payload END FROM entry
             WHERE sequence <= ?1 ORDER BY sequence LIMIT ?2",
        )
        .map_err(failed)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = select.query(params![whole(through)?, limit]).map_err(failed)?;
    let (mut sequences, mut incidents) = (Vec::new(), BTreeMap::<_, Vec<String>>::new());
    while let Some(row) = rows.next().map_err(failed)? {
        sequences.push(u64::try_from(row.get::<_, i64>(0).map_err(failed)?).unwrap_or_default());
        let Some(incident) = row.get::<_, Option<String>>(1).map_err(failed)? else { continue };
        let digests = incidents.entry(IncidentId::new(incident)).or_default();
        let payload: Option<Vec<u8>> = row.get(2).map_err(failed)?;
        let received = payload.and_then(|payload| serde_json::from_slice::<Received>(&payload).ok());
        digests.extend(received.map(|received| received.identity.content_sha256));
    }
    Ok((sequences, incidents))
}

/// True where an incident has an entry after a sequence.
pub(super) fn has_after(connection: &Connection, incident: &IncidentId, sequence: u64) -> Result<bool, JournalError> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM entry WHERE incident = ?1 AND sequence > ?2)")
        .and_then(|mut select| {
            select.query_row(params![incident.as_str(), whole(sequence).unwrap_or(i64::MAX)], |row| row.get(0))
        })
        .map_err(|error| fault(&error, sequence))
}

/// When the last entry happened, `None` where there is none or it does not say.
pub(super) fn last_instant(connection: &Connection) -> Result<Option<Timestamp>, JournalError> {
    let at: Option<String> = connection
        .query_row("SELECT at FROM entry ORDER BY sequence DESC LIMIT 1", [], |row| row.get(0))
        .optional()
        .map_err(|error| fault(&error, 0))?;
    Ok(at.and_then(|at| at.parse().ok()))
}

/// Entries of one incident, in order.
pub(super) fn entries_of(connection: &Connection, incident: &IncidentId) -> Result<Vec<Entry>, JournalError> {
    let mut statement = connection.prepare_cached(SELECT_INCIDENT).map_err(|error| fault(&error, 0))?;
    let mut rows = statement.query([incident.as_str()]).map_err(|error| fault(&error, 0))?;
    let mut entries: Vec<Entry> = Vec::new();
    while let Some(row) = rows.next().map_err(|error| fault(&error, 0))? {
        let entry = entry_of(row, 0)?;
        if entries.is_empty() && entry.version > 1 && seals::beginning(connection)?.sequence() > 0 {
            // Its story began in a period that was dropped: what is left of it is no story.
            return Ok(Vec::new());
        }
        if entry.version != (entries.len() as u64).saturating_add(1) {
            let why = format!("the incident is at version {} here, {} is due", entry.version, entries.len() + 1);
            return Err(JournalError::Corrupt { sequence: entry.sequence, why });
        }
        entries.push(entry);
    }
    let found = entries.last().map_or(0, |entry| entry.version);
    if let Some(known) = standing::version_known(connection, incident)?.filter(|known| *known > found) {
        let why = format!("the index of incidents has {found} of the {known} entries of `{incident}`: it is damaged");
        return Err(corrupt(0, why));
    }
    Ok(entries)
}

/// Where the chain stands at one entry, by that entry's stored value.
pub(super) fn chain_at(connection: &Connection, sequence: u64) -> Result<Chain, JournalError> {
    let hash: Option<Vec<u8>> = connection
        .query_row("SELECT hash FROM entry WHERE sequence = ?1", [whole(sequence)?], |row| row.get(0))
        .optional()
        .map_err(|error| fault(&error, sequence))?;
    match hash.map(<[u8; 32]>::try_from) {
        Some(Ok(hash)) => Ok(Chain::standing_at(sequence, hash)),
        _ => Err(JournalError::Corrupt { sequence, why: "the entry is missing".to_owned() }),
    }
}

/// Follows the chain from where it stands to the last row; answers the first fault.
pub(super) fn check_from(
    connection: &Connection,
    chain: &mut Chain,
    done: &mut dyn FnMut(u64),
) -> Result<Option<ChainFault>, JournalError> {
    let from = whole(chain.sequence())?;
    let mut statement = connection.prepare_cached(SELECT_AFTER).map_err(|error| fault(&error, 0))?;
    let mut rows = statement.query(params![from, i64::MAX]).map_err(|error| fault(&error, 0))?;
    loop {
        let due = chain.sequence().saturating_add(1);
        let checked = match rows.next() {
            Ok(None) => return Ok(None),
            Ok(Some(row)) => borrowed(row, due).and_then(|row| {
                chain.check(&row.link, row.hash).map_err(|broken| corrupt(broken.sequence, broken.why))
            }),
            Err(error) => Err(fault(&error, due)),
        };
        match checked {
            Ok(()) => done(chain.sequence()),
            Err(JournalError::Corrupt { sequence, why }) => return Ok(Some(ChainFault { sequence, why })),
            Err(other) => return Err(other),
        }
    }
}

/// One row as it stands in the store.
struct Borrowed<'a> {
    link: Link<'a>,
    about_incident: bool,
    hash: &'a [u8],
    before: Option<&'a [u8]>,
}

fn borrowed<'a>(row: &'a Row<'_>, due: u64) -> Result<Borrowed<'a>, JournalError> {
    let sequence = row
        .get::<_, i64>(0)
        .ok()
        .and_then(|sequence| u64::try_from(sequence).ok())
        .ok_or_else(|| corrupt(due, "the sequence is no number"))?;
    let column = |index: usize| row.get_ref(index).map_err(|error| fault(&error, sequence));
    let wrong = |name: &'static str| move |_: FromSqlError| corrupt(sequence, format!("column `{name}` is unreadable"));
    let number = |index: usize, name: &'static str| {
        column(index)?
            .as_i64()
            .and_then(|number| u64::try_from(number).map_err(|_| FromSqlError::InvalidType))
            .map_err(wrong(name))
    };
    let incident = column(2)?.as_str_or_null().map_err(wrong("incident"))?;
    let event_version = number(6, "event_version")?;
    Ok(Borrowed {
        link: Link {
            sequence,
            subject: column(1)?.as_str().map_err(wrong("subject"))?,
            incident: incident.unwrap_or_default(),
            version: number(3, "version")?,
            at: column(4)?.as_str().map_err(wrong("at"))?,
            kind: column(5)?.as_str().map_err(wrong("kind"))?,
            event_version: u32::try_from(event_version).unwrap_or(u32::MAX),
            payload: column(7)?.as_blob().map_err(wrong("payload"))?,
        },
        about_incident: incident.is_some(),
        hash: column(8)?.as_blob().map_err(wrong("hash"))?,
        before: column(9)?.as_blob_or_null().map_err(wrong("hash"))?,
    })
}

fn entry_of(row: &Row<'_>, due: u64) -> Result<Entry, JournalError> {
    let Borrowed { link, about_incident, hash, before } = borrowed(row, due)?;
    stored::entry_of(&link, about_incident, hash, before)
}
