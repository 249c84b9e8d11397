//! Entries between their stored form and ours, the same for every store: what is written, and what a reading must find.

use super::{AdapterEvent, Entry, GENESIS, JournalError, Link, Stored, Subject};
use crate::incident::{EVENT_VERSION, Event};
use crate::record::IncidentId;
use serde::Deserialize;

/// Subject names as stored.
pub(super) const INCIDENT: &str = "incident";
pub(super) const ADAPTER: &str = "adapter";

/// One event in its stored form.
#[derive(Debug)]
pub(super) struct StoredEvent {
    pub(super) stored: Stored,
    pub(super) kind: String,
    pub(super) payload: Vec<u8>,
}

/// The tag of an event's JSON.
#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow)]
    event: std::borrow::Cow<'a, str>,
}

/// The stored form of a batch's events. Nothing of the batch is written where one of them cannot be.
pub(super) fn stored_events(subject: &Subject, events: Vec<Stored>) -> Result<Vec<StoredEvent>, JournalError> {
    let about_incident = matches!(subject, Subject::Incident(_));
    let stored_event = |stored: Stored| {
        if about_incident != matches!(stored, Stored::Incident(_)) {
            return Err(unwritable("an event of another subject"));
        }
        let payload = serde_json::to_vec(&stored).map_err(|_| unwritable("an event that has no JSON form"))?;
        let tag: Tag<'_> = serde_json::from_slice(&payload).map_err(|_| unwritable("an event without a name"))?;
        let kind = tag.event.into_owned();
        Ok(StoredEvent { stored, kind, payload })
    };
    events.into_iter().map(stored_event).collect()
}

/// A number as both databases store it.
pub(super) fn whole(number: u64) -> Result<i64, JournalError> {
    i64::try_from(number).map_err(|_| JournalError::Unavailable("the store's numbers are used up".to_owned()))
}

/// The entry of a stored row, where the row is what the chain committed to after `before`, the stored value of the row
/// before it.
pub(super) fn entry_of(
    link: &Link<'_>,
    about_incident: bool,
    hash: &[u8],
    before: Option<&[u8]>,
) -> Result<Entry, JournalError> {
    let sequence = link.sequence;
    let before = match (sequence, before.map(<[u8; 32]>::try_from)) {
        (1, None) => GENESIS,
        (2.., Some(Ok(before))) => before,
        _ => return Err(corrupt(sequence.saturating_sub(1), "the entry is missing")),
    };
    if link.hash(&before).as_slice() != hash {
        return Err(corrupt(sequence, "its content, or that of the entry before, is not what the chain committed to"));
    }
    if link.event_version != EVENT_VERSION {
        let version = link.event_version;
        return Err(corrupt(sequence, format!("events of version {version} are not known, only {EVENT_VERSION}")));
    }
    // The parser's own words could quote content; the column is enough to find the place.
    let unreadable = |error: serde_json::Error| {
        corrupt(sequence, format!("event `{}` is not known as it stands, at column {}", link.kind, error.column()))
    };
    let (subject, stored) = if about_incident {
        let event: Event = serde_json::from_slice(link.payload).map_err(unreadable)?;
        (Subject::Incident(IncidentId::new(link.incident)), Stored::Incident(event))
    } else {
        let event: AdapterEvent = serde_json::from_slice(link.payload).map_err(unreadable)?;
        (Subject::Adapter, Stored::Adapter(event))
    };
    let at = link.at.parse().map_err(|_| corrupt(sequence, "column `at` is no instant"))?;
    Ok(Entry { sequence, subject, version: link.version, at, stored, hash: hex::encode(hash) })
}

/// The digests of the records that came for an incident.
pub(super) fn digests_of(entries: &[Entry]) -> Vec<String> {
    let digest = |entry: &Entry| match &entry.stored {
        Stored::Incident(Event::RecordReceived(received)) => Some(received.identity.content_sha256.clone()),
        Stored::Incident(_) | Stored::Adapter(_) => None,
    };
    entries.iter().filter_map(digest).collect()
}

/// The error of a row that is not as it was written.
pub(super) fn corrupt(sequence: u64, why: impl Into<String>) -> JournalError {
    JournalError::Corrupt { sequence, why: why.into() }
}

fn unwritable(what: &str) -> JournalError {
    corrupt(0, format!("{what} cannot be appended"))
}
