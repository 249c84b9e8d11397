//! The local journal beside a real server: what goes where, and that nothing is lost between the two.

use super::{AwayJournal, Group};
use crate::clock::monotonic_now;
use crate::incident::Event;
use crate::journal::conformance::{self, batch};
use crate::journal::server::{Cluster, Line};
use crate::journal::{
    AdapterEvent, Batch, EmbeddedJournal, Journal, JournalError, PostgresJournal, PostgresSettings, Settings, Shared,
    Stored, Subject,
};
use crate::record::{IncidentId, LegId};
use jiff::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn settings(url: &str, adapter: &str) -> PostgresSettings {
    let settings = PostgresSettings::new(url.parse().unwrap(), "a", adapter);
    PostgresSettings { append_deadline_ms: 700, read_deadline_ms: 1_000, away_after_ms: 1_000, ..settings }
}

async fn open(url: &str, folder: &Path) -> AwayJournal {
    AwayJournal::open(&settings(url, "east"), &Settings::new(folder.join("away.db"))).await.unwrap()
}

async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let started = monotonic_now();
    while !look().await {
        assert!(started.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A batch of events that change no hands.
fn timed_out(incident: &str, expected_version: u64, count: u32) -> Batch {
    let incident = IncidentId::new(incident);
    let event = |number| Stored::Incident(Event::TimedOut { leg: LegId::of(&incident, number) });
    let events = (1..=count).map(event).collect();
    Batch::new(Subject::Incident(incident.clone()), expected_version, Timestamp::UNIX_EPOCH, events)
}

fn noted(event: AdapterEvent) -> Batch {
    Batch::new(Subject::Adapter, 0, Timestamp::UNIX_EPOCH, vec![Stored::Adapter(event)])
}

fn versions(entries: &[crate::journal::Entry]) -> Vec<(u64, u64)> {
    entries.iter().map(|entry| (entry.sequence, entry.version)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_its_database_there_it_does_what_every_journal_must_do() {
    let (cluster, folder) = (Cluster::start(&[]), tempfile::tempdir().unwrap());
    let (url, path) = (cluster.url(&[]), folder.path().to_owned());
    let open: conformance::Open<'_> = &|| {
        let (url, path) = (url.clone(), path.clone());
        Box::pin(async move {
            let settings = PostgresSettings::new(url.parse().unwrap(), "conformance", "east");
            let local = Settings::new(path.join("away.db"));
            Arc::new(AwayJournal::open(&settings, &local).await.unwrap()) as Arc<dyn Journal>
        })
    };
    conformance::suite(open).await;
    let left = EmbeddedJournal::open_read_only(&folder.path().join("away.db.1")).unwrap();
    assert_eq!(left.entries_after(0, 9).unwrap(), [], "and nothing of it is kept here");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_story_goes_on_here_while_the_line_is_cut_and_from_the_version_it_had() {
    let (cluster, folder) = (Cluster::start(&[]), tempfile::tempdir().unwrap());
    let line = Line::to(&cluster);
    let journal = open(&line.url(), folder.path()).await;
    let known = IncidentId::new("known");
    journal.append(timed_out("known", 0, 3)).await.unwrap();
    assert!(!journal.is_apart(&known) && journal.away_for().is_none());
    line.cut();
    until("it is away", async || journal.away_for().is_some()).await;
    assert!(journal.ready(), "and takes appends all the same");
    let here = journal.append(timed_out("known", 3, 2)).await.unwrap();
    assert_eq!(versions(&here), [(0, 4), (0, 5)], "the versions go on, and it has no place in the shared order yet");
    let new = journal.append(timed_out("new", 0, 1)).await.unwrap();
    assert_eq!(versions(&new), [(0, 1)]);
    let late = journal.append(timed_out("known", 3, 1)).await;
    assert_eq!(late, Err(JournalError::Conflict { expected: 3, found: 5 }), "the version is looked at here too");
    assert_eq!(journal.read_incident_after(&known, 3).await.unwrap().len(), 2);
    assert_eq!(journal.read_incident(&IncidentId::new("new")).await.unwrap().len(), 1);
    assert!(journal.read_incident(&known).await.is_err(), "its beginning cannot be read now");
    let accepted = journal.append(batch("another", 0, 1)).await;
    assert!(matches!(accepted, Err(JournalError::Unavailable(_))), "whoever appends it: no call changes hands here");
    let roster = AdapterEvent::RosterSet { surge: true, unstaffed: Vec::new(), deciders_away: Vec::new() };
    assert!(
        matches!(journal.append(noted(roster)).await, Err(JournalError::Unavailable(_))),
        "every adapter must see it"
    );
    journal.append(noted(AdapterEvent::Stopped)).await.unwrap();
    let groups = [Group { incident: known.clone(), after: 3 }, Group { incident: IncidentId::new("new"), after: 0 }];
    assert_eq!(journal.groups(), groups);

    line.mend();
    tokio::time::timeout(Duration::from_secs(60), journal.back()).await.unwrap();
    assert!(journal.is_apart(&known), "it goes on here until it is home");
    assert_eq!(journal.read_incident(&known).await.unwrap().len(), 5);
    assert!(!journal.is_apart(&IncidentId::new("another")));
    // A restart knows what is left.
    drop(journal);
    let journal = open(&line.url(), folder.path()).await;
    assert_eq!(journal.groups(), groups);
    let unsettled: Vec<IncidentId> = journal.unsettled().await.unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(unsettled, [known, IncidentId::new("new")]);
    assert_eq!(journal.finish(Timestamp::UNIX_EPOCH).await, Ok(false), "not before everything is home");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_adapter_noted_is_brought_home_once_and_the_file_is_sealed_and_kept() {
    let (cluster, folder) = (Cluster::start(&[]), tempfile::tempdir().unwrap());
    let line = Line::to(&cluster);
    line.cut();
    let journal = open(&line.url(), folder.path()).await;
    journal.append(noted(AdapterEvent::Stopped)).await.unwrap();
    assert!(journal.finish(Timestamp::UNIX_EPOCH).await.is_err(), "there is nowhere to bring it yet");
    line.mend();
    tokio::time::timeout(Duration::from_secs(60), journal.back()).await.unwrap();
    assert_eq!(journal.finish(Timestamp::UNIX_EPOCH).await, Ok(true));
    let shared = PostgresJournal::open(&settings(&cluster.url(&[]), "west")).await.unwrap();
    let entries = shared.read_after(0, 9).await.unwrap();
    let Stored::Adapter(AdapterEvent::BroughtHome { entries: count, last_hash, notes }) = &entries[0].stored else {
        panic!("{entries:?}")
    };
    assert_eq!((entries.len(), *count, notes.len()), (1, 1, 1));
    assert_eq!(notes[0].noted, AdapterEvent::Stopped);
    let kept = folder.path().join("away.db.1");
    let sealed = EmbeddedJournal::open_read_only(&kept).unwrap();
    assert_eq!(sealed.verify(&mut |_, _| {}).unwrap().fault, None);
    assert_eq!(sealed.chain_value(1).unwrap().as_ref(), Some(last_hash), "the shared chain vouches for the local one");
    assert_eq!(sealed.seals().await.unwrap().len(), 1);
    drop(journal);
    // Broken off between the append and the seal: it is told apart by its content, and not appended again.
    let again = tempfile::tempdir().unwrap();
    let copy = again.path().join("away.db.1");
    std::fs::copy(&kept, &copy).unwrap();
    let unsealed = rusqlite::Connection::open(&copy).unwrap();
    unsealed
        .execute_batch(&format!(
            "DROP TRIGGER entry_is_dropped_under_a_seal_only; DELETE FROM entry WHERE sequence = 2; DELETE FROM seal; \
             UPDATE meta SET head_sequence = 1, head_hash = x'{last_hash}'; DELETE FROM standing_sum;"
        ))
        .unwrap();
    drop(unsealed);
    let journal = open(&line.url(), again.path()).await;
    assert_eq!(journal.finish(Timestamp::UNIX_EPOCH).await, Ok(true));
    assert_eq!(shared.read_after(0, 9).await.unwrap(), entries, "once");
    // The next file is begun beside it.
    assert!(again.path().join("away.db.2").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_next_file_cannot_be_begun_what_is_home_is_not_brought_again() {
    let (cluster, folder) = (Cluster::start(&[]), tempfile::tempdir().unwrap());
    let line = Line::to(&cluster);
    line.cut();
    let journal = open(&line.url(), folder.path()).await;
    journal.append(noted(AdapterEvent::Stopped)).await.unwrap();
    let in_the_way = folder.path().join("away.db.2.lock");
    std::fs::create_dir(&in_the_way).unwrap();
    line.mend();
    tokio::time::timeout(Duration::from_secs(60), journal.back()).await.unwrap();
    for _ in 0..3 {
        assert!(journal.finish(Timestamp::UNIX_EPOCH).await.is_err(), "the next file cannot be begun");
    }
    std::fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(journal.finish(Timestamp::UNIX_EPOCH).await, Ok(true));
    let shared = PostgresJournal::open(&settings(&cluster.url(&[]), "west")).await.unwrap();
    assert_eq!(shared.read_after(0, 9).await.unwrap().len(), 1, "once");
    let sealed = EmbeddedJournal::open_read_only(&folder.path().join("away.db.1")).unwrap();
    assert_eq!(sealed.seals().await.unwrap().len(), 1, "sealed once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_forgotten_and_periods_dropped_at_home_only() {
    let (cluster, folder) = (Cluster::start(&[]), tempfile::tempdir().unwrap());
    let line = Line::to(&cluster);
    let journal = open(&line.url(), folder.path()).await;
    let now = conformance::instant(9_999);
    for name in ["one", "two"] {
        for batch in conformance::life(name, conformance::instant(0), conformance::Until::Rest) {
            journal.append(batch).await.unwrap();
        }
    }
    let one = IncidentId::new("one");
    journal.forget(&one, now).await.unwrap();
    let seal = journal.seal(now, now).await.unwrap().unwrap();
    assert_eq!(journal.seals().await.unwrap(), std::slice::from_ref(&seal));
    line.cut();
    until("it is away", async || journal.away_for().is_some()).await;
    journal.append(timed_out("new", 0, 1)).await.unwrap();
    assert!(matches!(journal.forget(&one, now).await, Err(JournalError::Unavailable(_))));
    assert!(matches!(journal.drop_sealed(seal.through, now).await, Err(JournalError::Unavailable(_))));
    line.mend();
    tokio::time::timeout(Duration::from_secs(60), journal.back()).await.unwrap();
    let apart = journal.forget(&IncidentId::new("new"), now).await.unwrap_err().to_string();
    assert!(apart.contains("goes on in the local journal"), "{apart}");
    assert_eq!(journal.drop_sealed(seal.through, now).await.unwrap(), seal.through);
}
