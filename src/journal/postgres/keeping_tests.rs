//! What is kept and what is not on a shared database: the suite of every store, and what only several adapters can do to it.

use super::tests::{eventually, open, server, settings};
use super::{PostgresJournal, PostgresReader, Settings};
use crate::journal::conformance::keeping::{Change, Store, suite};
use crate::journal::conformance::{Until, batch, instant, life};
use crate::journal::server::Cluster;
use crate::journal::{AdapterEvent, Batch, Content, Heard, Journal, JournalError, Pending, Stored, Verification};
use crate::record::IncidentId;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

const CANARY: &str = "Canary-Name, Canary-Street 4711";

/// Settings with a key file of 64 times a digit.
fn with_key(settings: Settings, folder: &Path, digit: &str) -> Settings {
    let key_file = folder.join(format!("{digit}.key"));
    std::fs::write(&key_file, digit.repeat(64)).unwrap();
    Settings { key_file: Some(key_file), ..settings }
}

/// A batch with a record beside it.
fn with_record(batch: Batch, bytes: &str) -> (Batch, String) {
    let sha256 = hex::encode(Sha256::digest(bytes));
    let content = Some(Content { sha256: sha256.clone(), bytes: Bytes::from(bytes.to_owned()) });
    (Batch { content, ..batch }, sha256)
}

/// One agency's part of a server, as the conformance suite needs it.
struct OfAgency(Settings, tempfile::TempDir);

impl OfAgency {
    fn sql(&self, sql: &str) -> String {
        server().sql(&sql.replace("$1", &format!("'{}'", self.0.agency)))
    }
}

impl Store for OfAgency {
    fn open<'a>(&'a self, key: Option<&'a str>) -> Pending<'a, Result<Arc<dyn Journal>, JournalError>> {
        Box::pin(async move {
            let settings = self.0.clone();
            let settings = key.map_or(settings.clone(), |digit| with_key(settings, self.1.path(), digit));
            Ok(Arc::new(PostgresJournal::open(&settings).await?) as Arc<dyn Journal>)
        })
    }

    fn open_for_upkeep(&self) -> Pending<'_, Arc<dyn Journal>> {
        Box::pin(async { Arc::new(PostgresJournal::open_for_upkeep(&self.0).await.unwrap()) as Arc<dyn Journal> })
    }

    fn verify(&self) -> Pending<'_, Verification> {
        Box::pin(async { PostgresReader::open(&self.0).await.unwrap().verify(&mut |_, _| ()).await.unwrap() })
    }

    fn holds(&self, text: &str) -> bool {
        let rows = "SELECT bytes FROM fourth.record WHERE agency_id = $1 UNION ALL SELECT bytes FROM fourth.content WHERE agency_id = $1";
        self.sql(&format!("SELECT count(*) FROM ({rows}) AS kept WHERE position('{text}'::bytea IN bytes) > 0")) != "0"
    }

    fn change(&self, change: Change) {
        self.sql(&match change {
            Change::LosesKey(incident) => {
                format!("DELETE FROM fourth.incident_key WHERE agency_id = $1 AND incident = '{incident}'")
            }
            Change::MovesRecords(from, to) => {
                format!("UPDATE fourth.record SET incident = '{to}' WHERE agency_id = $1 AND incident = '{from}'")
            }
            Change::DropsUpTo(last) => format!(
                "UPDATE fourth.seal SET dropped = true WHERE agency_id = $1; \
                 DELETE FROM fourth.entry WHERE agency_id = $1 AND sequence <= {last}"
            ),
            Change::ForgesSeals => {
                "UPDATE fourth.seal SET hash = decode(repeat('00', 32), 'hex') WHERE agency_id = $1".to_owned()
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_forgets_seals_and_drops_as_every_store_must() {
    suite(|name| OfAgency(settings(server(), &format!("keeping-{name}"), "east"), tempfile::tempdir().unwrap())).await;
}

/// What the `holds` of the suite would find.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_file_a_record_stands_as_it_came_until_it_is_forgotten() {
    let store = OfAgency(settings(server(), "in-the-clear", "east"), tempfile::tempdir().unwrap());
    let journal = store.open(None).await.unwrap();
    let mut batches = life("i", instant(0), Until::Rest);
    (batches[0], _) = with_record(batches[0].clone(), CANARY);
    for batch in batches {
        journal.append(batch).await.unwrap();
    }
    assert!(store.holds(CANARY), "the canary is one");
    journal.forget(&IncidentId::new("i"), instant(9)).await.unwrap();
    assert!(!store.holds(CANARY));
}

/// Of two adapters that write the first records of one incident at once, neither loses its own under a key of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_adapters_that_begin_one_incident_make_one_key_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let named = |adapter| with_key(settings(server(), "one-key", adapter), folder.path(), "a");
    let (east, west) = (open(&named("east")).await, open(&named("west")).await);
    for number in 0..20 {
        let name = format!("i{number}");
        let records = ["of-east", "of-west"].map(|who| format!("{who} {name} {CANARY}"));
        let of = |version, bytes| with_record(batch(&name, version, 1), bytes);
        let ((at_east, of_east), (at_west, of_west)) = (of(0, &records[0]), of(0, &records[1]));
        let both = tokio::join!(east.append(at_east), west.append(at_west));
        let again = match (&both.0, &both.1) {
            (Ok(_), Err(JournalError::Conflict { .. })) => west.append(of(1, &records[1]).0).await,
            (Err(JournalError::Conflict { .. }), Ok(_)) => east.append(of(1, &records[0]).0).await,
            other => panic!("{other:?}"),
        };
        assert_eq!(again.unwrap().len(), 1, "the second goes on under the key of the first");
        let id = IncidentId::new(&name);
        for (sha256, bytes) in [(of_east, &records[0]), (of_west, &records[1])] {
            for reader in [&east, &west] {
                assert_eq!(reader.content(&id, &sha256).await.unwrap().unwrap(), *bytes);
            }
        }
    }
    let keys = "SELECT count(*) FROM fourth.incident_key WHERE agency_id = 'one-key' AND incident <> ''";
    assert_eq!(server().sql(keys), "20");
}

/// An adapter that has an incident's key in memory writes no record under it once another has destroyed it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_another_destroyed_is_not_written_under_and_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let named = |adapter| with_key(settings(server(), "destroyed", adapter), folder.path(), "a");
    let (east, west) = (open(&named("east")).await, open(&named("west")).await);
    let id = IncidentId::new("i");
    let mut batches = life("i", instant(0), Until::Rest);
    (batches[0], _) = with_record(batches[0].clone(), CANARY);
    for batch in batches {
        east.append(batch).await.unwrap();
    }
    let key = || {
        server().sql("SELECT coalesce(max(wrapped::text), '') FROM fourth.incident_key WHERE agency_id = 'destroyed' AND incident = 'i'")
    };
    let first = key();
    west.forget(&id, instant(9)).await.unwrap();
    assert_eq!((first.is_empty(), key().as_str()), (false, ""));
    let version = east.read_incident(&id).await.unwrap().len() as u64;
    let (late, sha256) = with_record(batch("i", version, 1), "a late record");
    let (other, of_other) = with_record(batch("j", 0, 1), "of another call in the same moment");
    let both = tokio::join!(east.append(late), east.append(other));
    assert!(both.0.is_ok() && both.1.is_ok(), "{both:?}");
    assert!(!["", first.as_str()].contains(&key().as_str()), "a key of its own");
    assert_eq!(west.content(&id, &sha256).await.unwrap().unwrap(), "a late record");
    assert!(west.content(&IncidentId::new("j"), &of_other).await.unwrap().is_some());
    assert!(east.ready());
}

/// Under keys too an append is one round trip: a key is asked for once, and only of an incident that went on elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_costs_a_round_trip_once_and_only_where_the_incident_went_on_elsewhere() {
    let (cluster, folder) = (Cluster::start(&["log_statement = all"]), tempfile::tempdir().unwrap());
    let named = with_key(settings(&cluster, "a", "east"), folder.path(), "a");
    let executed = |what: &str| {
        let log = cluster.log();
        log.lines().filter(|line| line.contains("execute") && line.contains(what)).count()
    };
    let (appends, asked) = (|| executed("fourth.append("), || executed("The keys of incidents, wrapped"));
    let journal = open(&named).await;
    let at_start = asked();
    for version in 0..3 {
        for number in 0..10 {
            let (batch, _) = with_record(batch(&format!("i{number}"), version, 1), &format!("{number} {version}"));
            journal.append(batch).await.unwrap();
        }
    }
    assert_eq!((appends(), asked() - at_start), (30, 0), "it made the keys itself");
    drop(journal);
    let journal = open(&named).await;
    let at_start = asked();
    for version in 3..6 {
        for number in 0..10 {
            let (batch, _) = with_record(batch(&format!("i{number}"), version, 1), &format!("{number} {version}"));
            journal.append(batch).await.unwrap();
        }
        // What has no record needs no key.
        journal.append(batch("bare", version - 3, 1)).await.unwrap();
    }
    assert_eq!((appends(), asked() - at_start), (63, 10), "once for each that began before this start");
}

/// Two key files at the first start of two adapters: one of them is in use, the other is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_key_files_the_first_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (settings(server(), "two-files", "one"), settings(server(), "two-files", "two"));
    let (one, two) = (with_key(one, folder.path(), "a"), with_key(two, folder.path(), "b"));
    let opened = tokio::join!(PostgresJournal::open(&one), PostgresJournal::open(&two));
    let refused = match opened {
        (Ok(_), Err(refused)) | (Err(refused), Ok(_)) => refused,
        other => panic!("{other:?}"),
    };
    assert!(refused.to_string().contains("under another key file"), "{refused}");
}

/// One of several records whose key cannot be opened keeps none of the others from being written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_does_not_open_refuses_its_own_record_alone() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(open(&with_key(settings(server(), "spoilt", "east"), folder.path(), "a")).await);
    journal.append(batch("spoilt", 0, 1)).await.unwrap();
    server().sql("INSERT INTO fourth.incident_key VALUES ('spoilt', 'spoilt', '\\x00')");
    let mut writing = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (name, version) = if number == 3 { ("spoilt".to_owned(), 1) } else { (format!("whole-{number}"), 0) };
        let (batch, _) = with_record(batch(&name, version, 1), CANARY);
        let journal = Arc::clone(&journal);
        writing.spawn(async move { (name, journal.append(batch).await) });
    }
    for (name, outcome) in writing.join_all().await {
        let refused = matches!(&outcome, Err(JournalError::Unavailable(why)) if why.contains("another key file"));
        assert!(if name == "spoilt" { refused } else { outcome.is_ok() }, "{name}: {outcome:?}");
    }
    assert!(journal.ready());
}

/// A life in the agency's journal, all of it sealed; answers where the seal ends.
async fn sealed(journal: &PostgresJournal, names: &[&str]) -> u64 {
    for name in names {
        for batch in life(name, instant(0), Until::Rest) {
            journal.append(batch).await.unwrap();
        }
    }
    journal.seal(instant(9_999), instant(9_999)).await.unwrap().unwrap().through
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_goes_on_beside_a_drop_and_one_that_stood_behind_it_is_told() {
    let (east, west) =
        (open(&settings(server(), "follows", "east")).await, open(&settings(server(), "follows", "west")).await);
    let mut hearing = west.shared().unwrap().hear().unwrap();
    let through = sealed(&east, &["old"]).await;
    let mut heard = Vec::new();
    while heard.last().is_none_or(|last| *last <= through) {
        let Heard::Appended(entries) = hearing.recv().await.unwrap() else { panic!("it stood behind nothing") };
        heard.extend(entries.iter().map(|entry| entry.sequence));
    }
    assert_eq!(heard, (1..=through + 1).collect::<Vec<_>>(), "the seal too");
    // It has heard everything: a drop is one more thing to hear of.
    east.drop_sealed(through, instant(9_999)).await.unwrap();
    let told = hearing.recv().await.unwrap();
    let Heard::Appended(entries) = &told else { panic!("{told:?}") };
    assert_eq!(entries[0].stored, Stored::Adapter(AdapterEvent::PeriodDropped { through }));
    // It appends and joins again, although the last that it knows to be durable may be gone.
    west.append(batch("new", 0, 1)).await.unwrap();
    eventually("it is told that it missed something", async || {
        // Again and again, since it may just have been following.
        west.stand_behind(0);
        hearing.try_recv().ok().filter(|told| *told == Heard::Missed)
    })
    .await;
    let next = east.append(batch("newer", 0, 1)).await.unwrap();
    loop {
        let Heard::Appended(entries) = hearing.recv().await.unwrap() else { continue };
        if entries.contains(&next[0]) {
            break;
        }
    }
}

/// An adapter whose last acknowledged entry was dropped joins again: the seal stands for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_and_dropped_is_not_missing() {
    let cluster = Cluster::start(&[]);
    let (east, west) = (open(&settings(&cluster, "a", "east")).await, open(&settings(&cluster, "a", "west")).await);
    for batch in life("old", instant(0), Until::Rest) {
        west.append(batch).await.unwrap();
    }
    let through = sealed(&east, &["older"]).await;
    east.drop_sealed(through, instant(9_999)).await.unwrap();
    cluster.restart();
    let new = eventually("west takes appends again", async || west.append(batch("new", 0, 1)).await.ok()).await;
    assert_eq!(west.read_after(0, 99).await.unwrap().last(), new.last());
    let verified = PostgresReader::open(&settings(&cluster, "a", "x")).await.unwrap().verify(&mut |_, _| ()).await;
    let verified = verified.unwrap();
    assert_eq!((verified.fault, verified.begins_after), (None, through));
}

/// A command beside running adapters: nobody is fenced, nothing is held, and no name is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upkeep_disturbs_no_adapter_and_leaves_no_name() {
    let named = settings(server(), "upkeep", "east");
    let refused = PostgresJournal::open_for_upkeep(&named).await.unwrap_err();
    assert!(refused.to_string().contains("no journal"), "{refused}");
    let east = open(&named).await;
    for name in ["one", "two"] {
        for batch in life(name, instant(0), Until::Rest) {
            east.append(batch).await.unwrap();
        }
    }
    east.append(batch("open", 0, 1)).await.unwrap();
    let (one, two) = (
        PostgresJournal::open_for_upkeep(&named).await.unwrap(),
        PostgresJournal::open_for_upkeep(&named).await.unwrap(),
    );
    let (of_one, of_two) = (IncidentId::new("one"), IncidentId::new("two"));
    let (first, second) = tokio::join!(one.forget(&of_one, instant(9)), two.forget(&of_two, instant(9)));
    assert_ne!(first.unwrap().sequence, second.unwrap().sequence, "two at once are two adapters");
    assert!(one.forget(&IncidentId::new("open"), instant(9)).await.is_err());
    let epoch = || server().sql("SELECT epoch FROM fourth.writer WHERE agency_id = 'upkeep' AND adapter = 'east'");
    assert_eq!(epoch(), "1");
    east.append(batch("open", 1, 1)).await.unwrap();
    assert_eq!(east.shared().unwrap().held().await.unwrap(), [IncidentId::new("open")].into());
    for upkeep in [one, two] {
        upkeep.wind_down().await.unwrap();
    }
    let names = "SELECT string_agg(DISTINCT adapter, ' ') FROM (SELECT adapter FROM fourth.writer WHERE agency_id = 'upkeep' \
        UNION ALL SELECT adapter FROM fourth.lease WHERE agency_id = 'upkeep' \
        UNION ALL SELECT adapter FROM fourth.settled WHERE agency_id = 'upkeep') AS names";
    assert_eq!(server().sql(names), "east");
    assert_eq!(epoch(), "1");
}

/// Fault 66 for what destroys: given up at the deadline as not known, and told truthfully when it is asked again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_forgotten_while_the_standby_is_dead_is_in_doubt_until_it_is_known() {
    let cluster = Cluster::start(&[]);
    let journal = open(&Settings { append_deadline_ms: 700, ..settings(&cluster, "a", "east") }).await;
    let mut hearing = journal.shared().unwrap().hear().unwrap();
    let id = IncidentId::new("i");
    let mut batches = life("i", instant(0), Until::Rest);
    let sha256;
    (batches[0], sha256) = with_record(batches[0].clone(), CANARY);
    for batch in batches {
        journal.append(batch).await.unwrap();
    }
    cluster.set("synchronous_standby_names", "nobody");
    let unknown = journal.forget(&id, instant(9)).await;
    assert!(matches!(unknown, Err(JournalError::InDoubt(_))), "{unknown:?}");
    cluster.set("synchronous_standby_names", "");
    eventually("appends are taken again", async || journal.ready().then_some(())).await;
    let forgotten = AdapterEvent::PersonForgotten { incident: id.clone() };
    let noted = journal.read_after(0, 99).await.unwrap();
    let noted = noted.into_iter().filter(|entry| entry.stored == Stored::Adapter(forgotten.clone())).count();
    let gone = journal.content(&id, &sha256).await.unwrap().is_none();
    assert_eq!(gone, noted == 1, "both or neither: {noted}");
    let told = eventually("what became of it is told", async || hearing.try_recv().ok()).await;
    assert!(matches!(told, Heard::Holding(_) | Heard::Recovered(_)), "{told:?}");
    journal.forget(&id, instant(9)).await.unwrap();
    assert_eq!(journal.content(&id, &sha256).await.unwrap(), None);
}

/// Tables as the program before this one made them: they are added to, and what they hold is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tables_of_an_earlier_program_are_added_to_and_what_they_hold_is_read() {
    let cluster = Cluster::start(&[]);
    let named = settings(&cluster, "a", "east");
    let earlier = "text, text, bigint, bytea, text[], bigint[], text[], boolean[], text[], text[], text[], text[], \
        integer[], text[], integer[], bytea[], text[], bytea[]";
    drop(open(&named).await);
    let sha256 = hex::encode(Sha256::digest("kept long ago"));
    cluster.sql(&format!(
        "DROP TABLE fourth.record, fourth.incident_key, fourth.seal; DROP INDEX fourth.call_name_of_incident; \
         DROP FUNCTION fourth.append, fourth.keep, fourth.take_away; \
         CREATE FUNCTION fourth.append({earlier}) RETURNS integer LANGUAGE sql AS 'SELECT 1'; \
         CREATE OR REPLACE FUNCTION fourth.entries_stay() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN RAISE EXCEPTION ''entries are never updated or deleted''; END'; \
         INSERT INTO fourth.content VALUES ('a', '{sha256}', 'kept long ago', '2026-01-01T00:00:00Z')"
    ));
    let unread = PostgresReader::open(&named).await.unwrap_err().to_string();
    assert!(unread.contains("an adapter makes"), "{unread}");
    let west = Settings { adapter: "west".to_owned(), ..named.clone() };
    let opened = tokio::join!(PostgresJournal::open(&named), PostgresJournal::open(&west));
    let (east, west) = (opened.0.unwrap(), opened.1.unwrap());
    let id = IncidentId::new("i");
    let mut batches = life("i", instant(0), Until::Rest);
    for stored in &mut batches[0].events {
        if let Stored::Incident(crate::incident::Event::RecordReceived(received)) = stored {
            received.identity.content_sha256 = sha256.clone();
        }
    }
    for batch in batches {
        east.append(batch).await.unwrap();
    }
    assert_eq!(west.content(&id, &sha256).await.unwrap().unwrap(), "kept long ago");
    west.forget(&id, instant(9)).await.unwrap();
    assert_eq!(east.content(&id, &sha256).await.unwrap(), None);
    // A program of before appends with the arguments that it knows.
    let payload = r#"{"event":"closed","why":"cleared"}"#;
    cluster.sql(&format!(
        "SELECT * FROM fourth.append('a', 'east', (SELECT epoch FROM fourth.writer WHERE adapter = 'east'), '\\x00', \
         ARRAY['theirs'], ARRAY[0]::bigint[], ARRAY['2026-03-01T08:00:00Z'], ARRAY[true], ARRAY[NULL], ARRAY[NULL], ARRAY[NULL], \
         ARRAY[NULL], ARRAY[1], ARRAY['closed'], ARRAY[1], ARRAY['{payload}'::bytea], ARRAY['{sha256}'], ARRAY['kept long ago'::bytea])"
    ));
    let theirs = IncidentId::new("theirs");
    assert_eq!(west.content(&theirs, &sha256).await.unwrap().unwrap(), "kept long ago");
    assert_eq!(west.read_incident(&theirs).await.unwrap().len(), 1);
}
