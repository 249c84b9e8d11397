//! Batches to the arrays of one append, and rows to entries.

use super::keys::Lock;
use crate::incident::EVENT_VERSION;
use crate::journal::stored::{self, StoredEvent, corrupt, stored_events};
use crate::journal::{Batch, Called, Content, Entry, JournalError, Link, Seal, Subject};
use crate::record::{AgencyId, IncidentId};
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

/// A batch in its stored form.
#[derive(Debug)]
pub(super) struct Prepared {
    subject: Subject,
    expected_version: u64,
    at: Timestamp,
    at_text: String,
    events: Vec<StoredEvent>,
    content: Option<Content>,
    rests: bool,
    called: Option<StoredCalled>,
}

/// How a sender calls an incident, as stored.
#[derive(Debug)]
struct StoredCalled {
    agency: String,
    name: String,
    began: Option<String>,
    closed_at: Option<String>,
}

impl Prepared {
    /// The stored form. Nothing of the batch is written where one of its events cannot be.
    pub(super) fn new(batch: Batch) -> Result<Self, JournalError> {
        let name = match &batch.subject {
            Subject::Incident(incident) => incident.as_str(),
            Subject::Adapter => "",
        };
        // One bad name must not undo the commit that others share.
        if name.contains('\0') || batch.content.as_ref().is_some_and(|content| content.sha256.len() != 64) {
            return Err(corrupt(0, "a name with a NUL, or a digest of another length, cannot be appended"));
        }
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let stored_called = |called: Called| StoredCalled {
            agency: called.agency.as_str().replace('\0', ""),
            name: called.name.replace('\0', ""),
            began: text(called.began),
            closed_at: text(called.closed_at),
        };
        Ok(Self {
            events: stored_events(&batch.subject, batch.events)?,
            subject: batch.subject,
            expected_version: batch.expected_version,
            at: batch.at,
            at_text: batch.at.to_string(),
            content: batch.content,
            rests: batch.standing.as_ref().is_some_and(|standing| standing.rests),
            called: batch.standing.and_then(|standing| standing.called).map(stored_called),
        })
    }

    /// Bytes that this batch holds in memory while it waits.
    pub(super) fn bytes(&self) -> usize {
        let payloads: usize = self.events.iter().map(|event| event.payload.len()).sum();
        payloads.saturating_add(self.content.as_ref().map_or(0, |content| content.bytes.len()))
    }

    /// The record that came for an incident, where one did.
    pub(super) fn record(&self) -> Option<(&IncidentId, &Content)> {
        match &self.subject {
            Subject::Incident(incident) => Some((incident, self.content.as_ref()?)),
            Subject::Adapter => None,
        }
    }

    /// True where its incident has begun before.
    pub(super) fn continues(&self) -> bool {
        self.expected_version > 0
    }

    fn incident(&self) -> Option<&str> {
        match &self.subject {
            Subject::Incident(incident) => Some(incident.as_str()),
            Subject::Adapter => None,
        }
    }
}

/// The parameters of `fourth.append`, borrowed from its batches.
#[derive(Default)]
pub(super) struct Arrays<'a> {
    pub(super) incidents: Vec<Option<&'a str>>,
    pub(super) expected: Vec<i64>,
    pub(super) ats: Vec<&'a str>,
    pub(super) rests: Vec<bool>,
    pub(super) called_by: Vec<Option<&'a str>>,
    pub(super) called: Vec<Option<&'a str>>,
    pub(super) began: Vec<Option<&'a str>>,
    pub(super) closed_at: Vec<Option<&'a str>>,
    pub(super) events: Vec<i32>,
    pub(super) kinds: Vec<&'a str>,
    pub(super) event_versions: Vec<i32>,
    pub(super) payloads: Vec<&'a [u8]>,
    pub(super) digests: Vec<Option<&'a str>>,
    pub(super) contents: Vec<Option<&'a [u8]>>,
    pub(super) wrapped: Vec<Option<&'a [u8]>>,
    pub(super) new_keys: Vec<bool>,
}

impl<'a> Arrays<'a> {
    pub(super) fn of(batches: &'a [Prepared], locks: &'a [Lock]) -> Self {
        let mut arrays = Self::default();
        for (batch, lock) in batches.iter().zip(locks) {
            arrays.incidents.push(batch.incident());
            // A version that no incident can have is refused by the comparison like any other wrong one: also for a batch
            // whose record cannot be locked, so that the others that share its commit are written.
            let expected = i64::try_from(batch.expected_version).ok().filter(|_| lock.is_ok());
            arrays.expected.push(expected.unwrap_or(i64::MAX));
            arrays.ats.push(&batch.at_text);
            arrays.rests.push(batch.rests);
            let called = batch.called.as_ref();
            arrays.called_by.push(called.map(|called| called.agency.as_str()));
            arrays.called.push(called.map(|called| called.name.as_str()));
            arrays.began.push(called.and_then(|called| called.began.as_deref()));
            arrays.closed_at.push(called.and_then(|called| called.closed_at.as_deref()));
            arrays.events.push(i32::try_from(batch.events.len()).unwrap_or(i32::MAX));
            for event in &batch.events {
                arrays.kinds.push(&event.kind);
                arrays.event_versions.push(i32::try_from(EVENT_VERSION).unwrap_or(i32::MAX));
                arrays.payloads.push(&event.payload);
            }
            arrays.digests.push(batch.content.as_ref().map(|content| content.sha256.as_str()));
            let locked = lock.as_ref().ok().and_then(Option::as_ref);
            let bytes = batch.content.as_ref().map(|content| content.bytes.as_ref());
            arrays.contents.push(locked.map(|locked| locked.bytes.as_slice()).or(bytes));
            arrays.wrapped.push(locked.map(|locked| locked.wrapped.as_slice()));
            arrays.new_keys.push(locked.is_some_and(|locked| locked.is_new));
        }
        arrays
    }
}

/// What became of each batch, by the rows that the append returned.
pub(super) fn outcomes(
    batches: &[Prepared],
    locks: Vec<Lock>,
    rows: &[Row],
) -> Result<Vec<Result<Vec<Entry>, JournalError>>, JournalError> {
    let mut outcomes: Vec<Result<Vec<Entry>, JournalError>> = batches.iter().map(|_| Ok(Vec::new())).collect();
    for row in rows {
        let number: i32 = column(row, 0, 0)?;
        let at = usize::try_from(number).unwrap_or_default().wrapping_sub(1);
        let (Some(batch), Some(outcome)) = (batches.get(at), outcomes.get_mut(at)) else {
            return Err(unexpected("a batch that was not sent"));
        };
        let version: i64 = column(row, 2, 0)?;
        let version = u64::try_from(version).unwrap_or_default();
        let Some(sequence) = column::<Option<i64>>(row, 1, 0)? else {
            *outcome = Err(JournalError::Conflict { expected: batch.expected_version, found: version });
            continue;
        };
        let hash: &[u8] = column(row, 3, 0)?;
        let Ok(entries) = outcome else { return Err(unexpected("a refused batch that was written")) };
        let Some(event) = batch.events.get(entries.len()) else { return Err(unexpected("an event that was not sent")) };
        entries.push(Entry {
            sequence: u64::try_from(sequence).unwrap_or_default(),
            subject: batch.subject.clone(),
            version,
            at: batch.at,
            stored: event.stored.clone(),
            hash: hex::encode(hash),
        });
    }
    let whole = |(batch, outcome): (&Prepared, &Result<Vec<Entry>, JournalError>)| {
        outcome.as_ref().is_err() || outcome.as_ref().is_ok_and(|entries| entries.len() == batch.events.len())
    };
    if !batches.iter().zip(&outcomes).all(whole) {
        return Err(unexpected("fewer events than were sent"));
    }
    // Sent to be refused: why is known here only.
    let why = |(outcome, lock): (_, Lock)| lock.and(outcome);
    Ok(outcomes.into_iter().zip(locks).map(why).collect())
}

/// What became of each batch of a commit whose answer was lost, by the entries that it wrote: batch after batch.
pub(super) fn outcomes_read_back(batches: &[Prepared], entries: Vec<Entry>) -> Vec<Result<Vec<Entry>, JournalError>> {
    let mut left = entries.into_iter().peekable();
    let mut outcomes = Vec::with_capacity(batches.len());
    for batch in batches {
        let first_version = if batch.incident().is_some() { batch.expected_version.saturating_add(1) } else { 0 };
        let its_own = left.peek().is_some_and(|next| next.subject == batch.subject && next.version == first_version);
        if its_own {
            outcomes.push(Ok(left.by_ref().take(batch.events.len()).collect()));
        } else {
            let again = "the incident had moved on; read it and try again".to_owned();
            outcomes.push(Err(JournalError::Unavailable(again)));
        }
    }
    outcomes
}

fn unexpected(what: &str) -> JournalError {
    JournalError::Unavailable(format!("the database answered with {what}; are its functions ours?"))
}

fn column<'a, T: FromSql<'a>>(row: &'a Row, index: usize, sequence: u64) -> Result<T, JournalError> {
    let name = || row.columns().get(index).map_or("", |column| column.name());
    row.try_get(index).map_err(|_| corrupt(sequence, format!("column `{}` is unreadable", name())))
}

/// One column of a row of another kind.
pub(super) fn field<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, JournalError> {
    column(row, index, 0)
}

/// The entry of a row of the `select_entries_*` statements, where it is what the chain committed to.
pub(super) fn entry_of(row: &Row) -> Result<Entry, JournalError> {
    let number = |index: usize, sequence: u64| {
        let stored: i64 = column(row, index, sequence)?;
        u64::try_from(stored).map_err(|_| corrupt(sequence, "a number is negative"))
    };
    let sequence = number(0, 0)?;
    let incident: Option<&str> = column(row, 2, sequence)?;
    let event_version: i32 = column(row, 6, sequence)?;
    let link = Link {
        sequence,
        subject: column(row, 1, sequence)?,
        incident: incident.unwrap_or_default(),
        version: number(3, sequence)?,
        at: column(row, 4, sequence)?,
        kind: column(row, 5, sequence)?,
        event_version: u32::try_from(event_version).unwrap_or(u32::MAX),
        payload: column(row, 7, sequence)?,
    };
    let hash: &[u8] = column(row, 8, sequence)?;
    let before: Option<&[u8]> = column(row, 9, sequence)?;
    stored::entry_of(&link, incident.is_some(), hash, before)
}

/// A seal, and whether its period was dropped, from a row of `select_seals`.
pub(super) fn seal_of(row: &Row) -> Result<(Seal, bool), JournalError> {
    let number = |index: usize| field::<i64>(row, index).map(|number| u64::try_from(number).unwrap_or_default());
    let ended_at: &str = field(row, 3)?;
    let seal = Seal {
        through: number(0)?,
        hash: hex::encode(field::<&[u8]>(row, 1)?),
        entries: number(2)?,
        ended_at: ended_at.parse().map_err(|_| corrupt(0, "the instant of a seal is unreadable"))?,
    };
    Ok((seal, field(row, 4)?))
}

/// An incident by how its sender calls it, from a row of `select_unsettled` or `select_called_since`.
pub(super) fn named(row: &Row) -> Result<(IncidentId, Option<Called>), JournalError> {
    let instant = |index: usize| {
        let text: Option<&str> = field(row, index)?;
        text.map(|text| text.parse().map_err(|_| corrupt(0, "an instant of an incident is unreadable"))).transpose()
    };
    let (agency, name): (Option<&str>, Option<&str>) = (field(row, 1)?, field(row, 2)?);
    let called = match (agency, name) {
        (Some(agency), Some(name)) => Some(Called {
            agency: AgencyId::new(agency),
            name: name.to_owned(),
            began: instant(3)?,
            closed_at: instant(4)?,
        }),
        (_, _) => None,
    };
    Ok((IncidentId::new(field::<&str>(row, 0)?), called))
}

/// The sequence after which the chain began when a row of `select_entries_after` or `_of_incident` was read.
fn begins_after(row: Option<&Row>) -> Result<u64, JournalError> {
    let begins: Option<i64> = row.map(|row| field(row, 10)).transpose()?;
    Ok(begins.and_then(|begins| u64::try_from(begins).ok()).unwrap_or_default())
}

/// Entries that follow one another without a gap, from the one after `after`, or from the first that is kept.
pub(super) fn in_order(rows: &[Row], after: u64) -> Result<Vec<Entry>, JournalError> {
    let mut due = after.max(begins_after(rows.first())?).saturating_add(1);
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        let entry = entry_of(row)?;
        if entry.sequence != due {
            return Err(corrupt(due, "the entry is missing"));
        }
        due = due.saturating_add(1);
        entries.push(entry);
    }
    Ok(entries)
}

/// Entries of one incident, from its first version on.
pub(super) fn of_one_incident(rows: &[Row]) -> Result<Vec<Entry>, JournalError> {
    let mut entries: Vec<Entry> = Vec::with_capacity(rows.len());
    for row in rows {
        let entry = entry_of(row)?;
        if entries.is_empty() && entry.version > 1 && begins_after(Some(row))? > 0 {
            // Its story began in a period that was dropped: what is left of it is no story.
            return Ok(Vec::new());
        }
        let due = (entries.len() as u64).saturating_add(1);
        if entry.version != due {
            let why = format!("the incident is at version {} here, {due} is due", entry.version);
            return Err(corrupt(entry.sequence, why));
        }
        entries.push(entry);
    }
    Ok(entries)
}
