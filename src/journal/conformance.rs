//! What every journal must do, as one suite: each store runs it on its own files.

pub mod keeping;

use super::{AdapterEvent, Batch, Content, Entry, Journal, JournalError, Pending, Standing, Stored, Subject, restart};
use crate::incident::{Actor, Event};
use crate::record::{IncidentId, LegId};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Opens the store under test; called again after the last handle was dropped, it opens the same store.
pub type Open<'a> = &'a (dyn Fn() -> Pending<'static, Arc<dyn Journal>> + Sync);

/// Runs the whole suite on one store, empty at first.
pub async fn suite(open: Open<'_>) {
    empty_at_first(open).await;
    durable_and_in_order(open).await;
    conflicts_write_nothing(open).await;
    batches_are_atomic(open).await;
    content_is_kept_once(open).await;
    paging_sees_every_entry_once(open).await;
    adapter_events_have_no_version(open).await;
    concurrent_writers_are_each_acknowledged_once(open).await;
    racing_writers_of_one_incident_have_one_winner(open).await;
    what_a_restart_asks_is_what_the_chain_says(open).await;
}

/// An instant for tests.
#[must_use]
pub fn instant(seconds: i64) -> Timestamp {
    "2026-03-01T08:00:00.123456789Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

/// A batch of `count` events of one incident.
#[must_use]
pub fn batch(incident: &str, expected_version: u64, count: u32) -> Batch {
    let incident = IncidentId::new(incident);
    let events = (0..count)
        .map(|number| {
            let by = Actor::Team("team-a".to_owned());
            Stored::Incident(Event::Accepted { leg: LegId::of(&incident, number + 1), by })
        })
        .collect();
    let at = instant(i64::try_from(expected_version).unwrap());
    Batch { subject: Subject::Incident(incident), expected_version, at, events, content: None, standing: None }
}

/// How far a life of [`life`] goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Assessed and offered.
    Offered,
    /// Closed while the word to the CAD is still to be carried out.
    ClosedUndelivered,
    /// Closed, and nothing is left to do.
    Rest,
}

/// One incident's life from the frozen samples, in batches as a desk appends them: each says how the incident stands after it.
#[must_use]
pub fn life(name: &str, from: Timestamp, until: Until) -> Vec<Batch> {
    let id = IncidentId::new(name);
    let sample = |kind: &str| -> Event {
        let path = format!("{}/schemas/journal/events/v1/{kind}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let mut received = sample("record-received");
    if let Event::RecordReceived(received) = &mut received {
        received.identity.incident = format!("cad-{name}");
        received.identity.content_sha256 = hex::encode(Sha256::digest(name));
        received.times = crate::record::TimePoints::default();
    }
    let mut offered = sample("offered");
    if let Event::Offered { leg, deadline, .. } = &mut offered {
        *leg = LegId::of(&id, 1);
        *deadline = from + SignedDuration::from_secs(120);
    }
    let mut steps = vec![vec![received, sample("assessed")], vec![sample("chosen"), offered]];
    if until != Until::Offered {
        steps.push(vec![Event::TimedOut { leg: LegId::of(&id, 1) }, sample("returned-to-ordinary"), sample("closed")]);
    }
    let mut incident = crate::incident::Incident::new(id.clone());
    let mut batches = Vec::new();
    let mut push = |incident: &mut crate::incident::Incident, events: Vec<Event>| {
        let at = from + SignedDuration::from_secs(i64::try_from(incident.version).unwrap());
        let expected_version = incident.version;
        for event in &events {
            let _ = incident.on(event, at);
        }
        let standing = Some(Standing::of(incident));
        let events = events.into_iter().map(Stored::Incident).collect();
        let subject = Subject::Incident(id.clone());
        batches.push(Batch { standing, ..Batch::new(subject, expected_version, at, events) });
    };
    for events in steps {
        push(&mut incident, events);
    }
    if until == Until::Rest {
        let delivered = |key: &String| Event::Delivered { key: key.clone() };
        let events = incident.outstanding.keys().map(delivered).collect();
        push(&mut incident, events);
    }
    assert_eq!(incident.rests(), until == Until::Rest, "{name}");
    batches
}

async fn all(journal: &Arc<dyn Journal>) -> Vec<Entry> {
    journal.read_after(0, usize::MAX).await.unwrap()
}

async fn empty_at_first(open: Open<'_>) {
    let journal = open().await;
    assert!(journal.ready());
    assert_eq!(all(&journal).await, []);
    assert_eq!(journal.last_instant().await.unwrap(), None);
    assert_eq!(journal.read_incident(&IncidentId::new("nobody")).await.unwrap(), []);
    assert_eq!(journal.append(batch("empty", 0, 0)).await.unwrap(), []);
    assert_eq!(all(&journal).await, []);
}

async fn durable_and_in_order(open: Open<'_>) {
    let journal = open().await;
    let first = journal.append(batch("order-a", 0, 3)).await.unwrap();
    let second = journal.append(batch("order-b", 0, 1)).await.unwrap();
    let third = journal.append(batch("order-a", 3, 1)).await.unwrap();
    let written: Vec<Entry> = first.into_iter().chain(second).chain(third).collect();
    let sequences: Vec<u64> = written.iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5], "one order, from 1, without gaps");
    let versions: Vec<u64> = written.iter().map(|entry| entry.version).collect();
    assert_eq!(versions, [1, 2, 3, 1, 4], "a version per incident");
    assert_eq!(all(&journal).await, written);
    drop(journal);
    let journal = open().await;
    assert_eq!(all(&journal).await, written, "what was acknowledged is there after reopening, to the nanosecond");
    let of_a = journal.read_incident(&IncidentId::new("order-a")).await.unwrap();
    assert_eq!(of_a.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [1, 2, 3, 5]);
    let hashes: BTreeSet<&str> = written.iter().map(|entry| entry.hash.as_str()).collect();
    assert_eq!(hashes.len(), written.len());
}

async fn conflicts_write_nothing(open: Open<'_>) {
    let journal = open().await;
    let before = all(&journal).await;
    for (expected, incident, found) in [(0, "order-a", 4), (9, "order-a", 4), (1, "unknown", 0)] {
        let refused = journal.append(batch(incident, expected, 2)).await;
        assert_eq!(refused, Err(JournalError::Conflict { expected, found }));
    }
    assert_eq!(all(&journal).await, before);
    assert!(journal.ready(), "a conflict is no fault of the store");
    let next = journal.append(batch("order-a", 4, 1)).await.unwrap();
    assert_eq!(next[0].sequence, before.last().unwrap().sequence + 1, "a refusal leaves no gap");
}

async fn batches_are_atomic(open: Open<'_>) {
    let journal = open().await;
    let before = all(&journal).await;
    let mut mixed = batch("atomic", 0, 3);
    mixed.events.push(Stored::Adapter(AdapterEvent::Stopped));
    assert!(journal.append(mixed).await.is_err(), "an event of another subject");
    assert_eq!(all(&journal).await, before);
    assert_eq!(journal.read_incident(&IncidentId::new("atomic")).await.unwrap(), []);
}

async fn content_is_kept_once(open: Open<'_>) {
    let journal = open().await;
    let bytes = Bytes::from(vec![0xE9_u8; 70_000]);
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let with_content = |version| {
        let content = Some(Content { sha256: sha256.clone(), bytes: bytes.clone() });
        Batch { content, ..batch("content", version, 1) }
    };
    assert_eq!(journal.content(&IncidentId::new("content"), &sha256).await.unwrap(), None);
    journal.append(with_content(0)).await.unwrap();
    journal.append(with_content(1)).await.unwrap();
    let refused = Batch { content: Some(Content { sha256: "0".repeat(64), bytes }), ..batch("content", 0, 1) };
    assert!(journal.append(refused).await.is_err());
    drop(journal);
    let journal = open().await;
    assert_eq!(journal.content(&IncidentId::new("content"), &sha256).await.unwrap().unwrap().len(), 70_000);
    assert_eq!(
        journal.content(&IncidentId::new("content"), &"0".repeat(64)).await.unwrap(),
        None,
        "a refused batch keeps no content"
    );
}

async fn paging_sees_every_entry_once(open: Open<'_>) {
    let journal = open().await;
    journal.append(batch("paging", 0, 50)).await.unwrap();
    let whole = all(&journal).await;
    let mut paged = Vec::new();
    loop {
        let after = paged.last().map_or(0, |entry: &Entry| entry.sequence);
        let page = journal.read_after(after, 7).await.unwrap();
        assert!(page.len() <= 7);
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, whole);
    assert_eq!(journal.read_after(u64::MAX, 7).await.unwrap(), []);
    assert_eq!(journal.read_after(0, 0).await.unwrap(), []);
}

async fn adapter_events_have_no_version(open: Open<'_>) {
    let journal = open().await;
    for _ in 0..2 {
        let events = vec![Stored::Adapter(AdapterEvent::Stopped)];
        let batch = Batch {
            subject: Subject::Adapter,
            expected_version: 99,
            at: instant(0),
            events,
            content: None,
            standing: None,
        };
        let entries = journal.append(batch).await.unwrap();
        assert_eq!((entries[0].version, &entries[0].subject), (0, &Subject::Adapter));
    }
    let entry = all(&journal).await.pop().unwrap();
    assert_eq!(entry.stored, Stored::Adapter(AdapterEvent::Stopped));
}

async fn concurrent_writers_are_each_acknowledged_once(open: Open<'_>) {
    const WRITERS: u64 = 64;
    const APPENDS: u64 = 20;
    let journal = open().await;
    let before = all(&journal).await.len() as u64;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let journal = Arc::clone(&journal);
        writers.spawn(async move {
            let incident = format!("writer-{writer}");
            let mut entries = Vec::new();
            for version in 0..APPENDS {
                entries.extend(journal.append(batch(&incident, version, 1)).await.unwrap());
            }
            entries
        });
    }
    let mut acknowledged = BTreeMap::new();
    while let Some(entries) = writers.join_next().await {
        for entry in entries.unwrap() {
            assert!(acknowledged.insert(entry.sequence, entry).is_none(), "one acknowledgement per position");
        }
    }
    assert_eq!(acknowledged.len() as u64, WRITERS * APPENDS);
    drop(journal);
    let journal = open().await;
    let stored = journal.read_after(before, usize::MAX).await.unwrap();
    assert_eq!(stored, acknowledged.into_values().collect::<Vec<_>>());
}

async fn racing_writers_of_one_incident_have_one_winner(open: Open<'_>) {
    let journal = open().await;
    for version in 0..20_u64 {
        let mut racers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let journal = Arc::clone(&journal);
            racers.spawn(async move { journal.append(batch("race", version, 1)).await });
        }
        let outcomes = racers.join_all().await;
        let winners = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let lost = Err(JournalError::Conflict { expected: version, found: version + 1 });
        assert_eq!(winners, 1);
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == lost).count(), 7);
    }
}

async fn what_a_restart_asks_is_what_the_chain_says(open: Open<'_>) {
    let journal = open().await;
    let ends = [Until::Offered, Until::ClosedUndelivered, Until::Rest];
    for (number, until) in ends.into_iter().cycle().take(12).enumerate() {
        let hours = SignedDuration::from_hours(i64::try_from(number).unwrap());
        for batch in life(&format!("stands-{number}"), instant(0) + hours, until) {
            journal.append(batch).await.unwrap();
        }
    }
    // Appended by somebody who does not say how the incident stands: it counts as one that has to be looked at.
    let untold = Batch { standing: None, ..life("stands-untold", instant(0), Until::Offered).remove(0) };
    journal.append(untold).await.unwrap();
    drop(journal);
    let journal = open().await;
    let standings = restart::standings(&*journal).await.unwrap();
    let restless = standings.iter().filter(|(_, standing)| !standing.rests);
    let due: BTreeMap<_, _> = restless.map(|(id, standing)| (id.clone(), standing.called.clone())).collect();
    let told: BTreeMap<_, _> = journal.unsettled().await.unwrap().into_iter().collect();
    assert!(told.keys().eq(due.keys()));
    assert!(told.iter().all(|(id, called)| called.is_none() || *called == due[id]));
    assert!(told.contains_key(&IncidentId::new("stands-untold")), "nobody said how it stands");
    assert!(told[&IncidentId::new("stands-1")].is_some(), "an undelivered word keeps an incident from rest");
    assert!(!told.contains_key(&IncidentId::new("stands-2")), "nothing is left to do for an incident at rest");
    for since in [instant(-1), instant(6 * 3_600)] {
        let told: BTreeMap<_, _> = journal.called_since(since).await.unwrap().into_iter().collect();
        let resting = standings.iter().filter(|(_, standing)| standing.rests);
        let named = resting.filter_map(|(id, standing)| Some((id.clone(), standing.called.clone()?)));
        let due: BTreeMap<_, _> = named.filter(|(_, called)| called.closed_at.is_some_and(|at| at >= since)).collect();
        assert_eq!(told, due);
        assert!(!told.is_empty());
    }
    assert_eq!(journal.last_instant().await.unwrap(), Some(all(&journal).await.last().unwrap().at));
    for kind in ["assessed", "record-received", "closed", "roster-set"] {
        for (before, limit) in [(u64::MAX, 5), (u64::MAX, usize::MAX), (told_sequence(&journal).await, 3)] {
            let told = journal.read_kind_before(kind, before, limit).await.unwrap();
            assert_eq!(told, restart::kind_before(&*journal, kind, before, limit).await.unwrap(), "{kind}");
        }
    }
}

/// The sequence of the third-last assessment: a place to go on from.
async fn told_sequence(journal: &Arc<dyn Journal>) -> u64 {
    journal.read_kind_before("assessed", u64::MAX, 3).await.unwrap()[2].sequence
}
