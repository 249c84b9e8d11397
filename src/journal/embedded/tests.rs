//! Tests of the embedded store: the conformance suite, tampering, full disks, and ends in the middle of traffic.

use super::super::conformance::{batch, instant, suite};
use super::super::{AdapterEvent, Batch, Content, Journal, JournalError, Stored, Subject};
use super::{EmbeddedJournal, Settings, Verification};
use crate::journal::Pending;
use crate::record::IncidentId;
use bytes::Bytes;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("journal.db")
    }

    fn open(&self) -> Result<EmbeddedJournal, JournalError> {
        EmbeddedJournal::open(&Settings::new(self.path()))
    }
}

fn verify(path: &Path) -> Verification {
    EmbeddedJournal::open_read_only(path).unwrap().verify(&mut |_, _| ()).unwrap()
}

/// Changes the file behind the journal's back.
fn tamper(path: &Path, sql: &str) {
    let connection = Connection::open(path).unwrap();
    let triggers = "DROP TRIGGER entry_is_never_updated; DROP TRIGGER entry_is_dropped_under_a_seal_only;";
    connection.execute_batch(triggers).unwrap();
    connection.execute_batch(sql).unwrap();
}

async fn filled(folder: &Folder, entries: u32) {
    let journal = folder.open().unwrap();
    for version in 0..entries.div_ceil(100) {
        journal.append(batch("filled", u64::from(version) * 100, 100.min(entries))).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms() {
    let folder = Folder::new();
    let path = folder.path();
    let open = move || -> Pending<'static, Arc<dyn Journal>> {
        let path = path.clone();
        Box::pin(async move { Arc::new(EmbeddedJournal::open(&Settings::new(path)).unwrap()) as Arc<dyn Journal> })
    };
    suite(&open).await;
    assert_eq!(verify(&folder.path()).fault, None);
}

#[tokio::test]
async fn ten_thousand_entries_verify() {
    let folder = Folder::new();
    filled(&folder, 10_000).await;
    let journal = EmbeddedJournal::open_read_only(&folder.path()).unwrap();
    let mut last = (0, 0);
    let whole = journal.verify(&mut |done, of| last = (done, of)).unwrap();
    assert_eq!((whole.entries, whole.fault), (10_000, None));
    assert_eq!(last, (10_000, 10_000));
    assert_eq!(whole.last_hash, journal.entries_after(9_999, 1).unwrap()[0].hash);
}

#[tokio::test]
async fn tampering_is_found_and_located() {
    let cases = [
        ("UPDATE entry SET payload = CAST(replace(payload, 'team-a', 'team-b') AS BLOB) WHERE sequence = 150", 150),
        ("UPDATE entry SET at = '2026-03-01T09:00:00Z' WHERE sequence = 7", 7),
        ("UPDATE entry SET kind = 'declined' WHERE sequence = 1", 1),
        ("UPDATE entry SET event_version = 2 WHERE sequence = 12", 12),
        ("UPDATE entry SET hash = zeroblob(32) WHERE sequence = 200", 200),
        ("DELETE FROM entry WHERE sequence = 100", 100),
        ("DELETE FROM entry WHERE sequence = 1", 1),
        ("DELETE FROM entry WHERE sequence > 180", 181),
        ("DELETE FROM entry", 1),
        (
            "UPDATE entry SET sequence = 0 WHERE sequence = 20; UPDATE entry SET sequence = 20 WHERE sequence = 21;
             UPDATE entry SET sequence = 21 WHERE sequence = 0;",
            20,
        ),
        ("UPDATE meta SET head_sequence = 150, head_hash = (SELECT hash FROM entry WHERE sequence = 150)", 150),
    ];
    for (sql, place) in cases {
        let folder = Folder::new();
        filled(&folder, 200).await;
        assert_eq!(verify(&folder.path()).fault, None);
        tamper(&folder.path(), sql);
        let found = verify(&folder.path());
        assert_eq!(found.fault.map(|fault| fault.sequence), Some(place), "{sql}");
        assert_eq!(found.entries, if sql.contains("meta") { 200 } else { place - 1 }, "{sql}");
        let opened = folder.open().map(drop);
        let Err(JournalError::Corrupt { sequence, .. }) = opened else { panic!("opened: {sql}: {opened:?}") };
        assert_eq!(sequence, place, "{sql}");
        // Reading stops there too, and never skips.
        let reader = EmbeddedJournal::open_read_only(&folder.path()).unwrap();
        if !sql.contains("meta") && !sql.starts_with("DELETE FROM entry WHERE sequence >") && sql != "DELETE FROM entry"
        {
            assert!(matches!(reader.entries_after(0, usize::MAX), Err(JournalError::Corrupt { .. })), "{sql}");
            let before = usize::try_from(place - 1).unwrap();
            assert_eq!(reader.entries_after(0, before).unwrap().len(), before);
        }
    }
}

#[tokio::test]
async fn flipped_and_lost_bytes_of_the_file_are_found() {
    let folder = Folder::new();
    filled(&folder, 500).await;
    let whole = std::fs::read(folder.path()).unwrap();
    let good = verify(&folder.path());
    let find = |needle: &[u8]| whole.windows(needle.len()).rposition(|window| window == needle).unwrap();
    let mut flipped = whole.clone();
    flipped[find(b"\"team-a\"") + 3] ^= 1;
    let copy = folder.0.path().join("copy.db");
    std::fs::write(&copy, flipped).unwrap();
    let found = verify(&copy);
    assert!(found.fault.is_some() && found.entries < good.entries);
    for pages in 1..4 {
        std::fs::write(&copy, &whole[..whole.len() - pages * 4096]).unwrap();
        let verified = EmbeddedJournal::open_read_only(&copy).and_then(|journal| journal.verify(&mut |_, _| ()));
        match verified {
            Ok(found) => assert!(found.fault.is_some(), "{pages} pages"),
            Err(error) => assert!(matches!(error, JournalError::Corrupt { .. }), "{pages} pages: {error}"),
        }
    }
}

#[tokio::test]
async fn unknown_events_stop_the_reader_and_are_never_skipped() {
    for (kind, version, payload) in
        [("accepted", 2, "{\"event\":\"accepted\"}"), ("teleported", 1, "{\"event\":\"teleported\"}")]
    {
        let folder = Folder::new();
        filled(&folder, 1).await;
        // An entry as a later program would append it: chained rightly, of a shape we do not know.
        let link = super::super::Link {
            sequence: 2,
            subject: "incident",
            incident: "later",
            version: 1,
            at: "2026-03-01T08:00:00Z",
            kind,
            event_version: version,
            payload: payload.as_bytes(),
        };
        let before = hex::decode(verify(&folder.path()).last_hash).unwrap().try_into().unwrap();
        let connection = Connection::open(folder.path()).unwrap();
        let insert = include_str!("../../../schemas/journal/embedded/insert_entry.sql");
        let values = rusqlite::params![
            2,
            "incident",
            "later",
            1,
            link.at,
            kind,
            version,
            payload.as_bytes(),
            link.hash(&before)
        ];
        connection.execute(insert, values).unwrap();
        connection.execute("UPDATE meta SET head_sequence = 2, head_hash = ?1", [link.hash(&before)]).unwrap();
        drop(connection);
        assert_eq!(verify(&folder.path()).fault, None, "the chain itself is whole");
        let journal = folder.open().unwrap();
        let read = journal.read_after(0, 10).await;
        assert!(matches!(read, Err(JournalError::Corrupt { sequence: 2, .. })), "{read:?}");
        let read = journal.read_incident(&IncidentId::new("later")).await;
        assert!(matches!(read, Err(JournalError::Corrupt { sequence: 2, .. })), "{read:?}");
    }
}

#[tokio::test]
async fn two_adapters_on_one_file_are_refused() {
    let folder = Folder::new();
    let first = folder.open().unwrap();
    let Err(JournalError::Unavailable(why)) = folder.open().map(drop) else { panic!("opened twice") };
    assert!(why.ends_with("is in use by another adapter"), "{why}");
    first.append(batch("a", 0, 1)).await.unwrap();
    let reader = EmbeddedJournal::open_read_only(&folder.path()).unwrap();
    assert_eq!(reader.entries_after(0, 10).unwrap().len(), 1, "reading beside it is fine");
    let refused = reader.append(batch("a", 1, 1)).await;
    assert!(matches!(refused, Err(JournalError::Unavailable(_))));
    assert!(!reader.ready());
    drop(first);
    folder.open().unwrap();
}

#[test]
fn what_is_no_journal_is_refused_and_left_alone() {
    let folder = Folder::new();
    assert!(matches!(EmbeddedJournal::open_read_only(&folder.path()), Err(JournalError::Unavailable(_))));
    assert!(!folder.path().exists());
    std::fs::write(folder.path(), b"not a database, and longer than a header of one hundred bytes".repeat(9)).unwrap();
    assert!(matches!(folder.open(), Err(JournalError::Corrupt { .. })));
    let other = folder.0.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE calls (id INTEGER)").unwrap();
    let before = std::fs::read(&other).unwrap();
    assert!(matches!(EmbeddedJournal::open(&Settings::new(&other)), Err(JournalError::Corrupt { .. })));
    assert_eq!(std::fs::read(&other).unwrap(), before);
}

#[tokio::test]
async fn a_full_store_acknowledges_nothing_and_recovers() {
    let folder = Folder::new();
    let settings = Settings { file_pages_max: Some(40), ..Settings::new(folder.path()) };
    let journal = EmbeddedJournal::open(&settings).unwrap();
    let content = |version: u64| {
        let bytes = Bytes::from(vec![1_u8; 20_000]);
        Batch { content: Some(Content { sha256: format!("{version:064}"), bytes }), ..batch("full", version, 1) }
    };
    let mut acknowledged = 0;
    let error = loop {
        match journal.append(content(acknowledged)).await {
            Ok(entries) => acknowledged += entries.len() as u64,
            Err(error) => break error,
        }
    };
    assert_eq!(error, JournalError::Unavailable("the disk is full".to_owned()));
    assert!(acknowledged > 2 && !journal.ready());
    assert_eq!(journal.read_after(0, 100).await.unwrap().len() as u64, acknowledged);
    journal.writer.as_ref().unwrap().set_pages_max(10_000).await;
    let mut waited = 0;
    while !journal.ready() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        waited += 1;
        assert!(waited < 100, "readiness came back by itself");
    }
    journal.append(content(acknowledged)).await.unwrap();
    drop(journal);
    let found = verify(&folder.path());
    assert_eq!((found.entries, found.fault), (acknowledged + 1, None));
}

#[tokio::test]
async fn a_locked_store_is_unavailable_and_comes_back() {
    let folder = Folder::new();
    let settings = Settings { busy_timeout_ms: 20, ..Settings::new(folder.path()) };
    let journal = EmbeddedJournal::open(&settings).unwrap();
    let other = Connection::open(folder.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = journal.append(batch("a", 0, 1)).await;
    assert_eq!(refused, Err(JournalError::Unavailable("another process holds the file".to_owned())));
    other.execute_batch("ROLLBACK").unwrap();
    journal.append(batch("a", 0, 1)).await.unwrap();
    assert!(journal.ready());
}

#[tokio::test]
async fn a_removed_file_is_never_acknowledged() {
    let folder = Folder::new();
    let journal = folder.open().unwrap();
    journal.append(batch("a", 0, 1)).await.unwrap();
    std::fs::remove_file(folder.path()).unwrap();
    assert_eq!(journal.append(batch("a", 1, 1)).await, Err(JournalError::Poisoned));
    assert!(!journal.ready());
    assert_eq!(journal.append(batch("b", 0, 1)).await, Err(JournalError::Poisoned), "for ever after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_at_once() {
    let folder = Folder::new();
    let settings = Settings { queue_max: 4, busy_timeout_ms: 500, ..Settings::new(folder.path()) };
    let journal = Arc::new(EmbeddedJournal::open(&settings).unwrap());
    let other = Connection::open(folder.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut appends = tokio::task::JoinSet::new();
    for number in 0..20 {
        let journal = Arc::clone(&journal);
        appends.spawn(async move { journal.append(batch(&format!("i{number}"), 0, 1)).await });
    }
    let first = appends.join_next().await.unwrap().unwrap();
    assert_eq!(first, Err(JournalError::Unavailable("too many batches wait to be written".to_owned())));
    other.execute_batch("ROLLBACK").unwrap();
    let outcomes = appends.join_all().await;
    let written = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!(written >= 4, "what waited was written: {written}");
    assert_eq!(journal.read_after(0, 100).await.unwrap().len(), written);
}

#[tokio::test]
async fn waiting_bytes_are_bounded() {
    let folder = Folder::new();
    let settings = Settings { queue_bytes_max: 100_000, busy_timeout_ms: 300, ..Settings::new(folder.path()) };
    let journal = EmbeddedJournal::open(&settings).unwrap();
    let other = Connection::open(folder.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let heavy = |name: &str| {
        let content = Content { sha256: "1".repeat(64), bytes: Bytes::from(vec![0_u8; 60_000]) };
        Batch { content: Some(content), ..batch(name, 0, 1) }
    };
    // The writer may have taken the first already; of three waiting at once, two do not fit.
    let (first, second, third) = tokio::join!(
        journal.append(heavy("a")),
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            journal.append(heavy("b")).await
        },
        async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            journal.append(heavy("c")).await
        }
    );
    let refused = Err(JournalError::Unavailable("too many bytes wait to be written".to_owned()));
    assert_eq!([first, second, third].iter().filter(|outcome| **outcome == refused).count(), 1);
    drop(other);
    journal.append(heavy("d")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_in_the_middle_of_traffic_everything_acknowledged_is_there() {
    let folder = Folder::new();
    let acknowledged = Arc::new(AtomicU64::new(0));
    for round in 0..5 {
        let journal = Arc::new(folder.open().unwrap());
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..8 {
            let (journal, acknowledged) = (Arc::clone(&journal), Arc::clone(&acknowledged));
            writers.spawn(async move {
                for version in 0.. {
                    journal.append(batch(&format!("r{round}-w{writer}"), version, 1)).await.unwrap();
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
        writers.shutdown().await;
        drop(journal);
        let found = verify(&folder.path());
        assert_eq!(found.fault, None);
        // A batch whose caller went away may be there without having been acknowledged; never the other way.
        let least = acknowledged.load(Ordering::SeqCst);
        assert!(found.entries >= least && found.entries <= least + 8 * (round + 1), "{found:?} {least}");
    }
}

#[tokio::test]
async fn dropping_folds_the_log_into_one_file() {
    let folder = Folder::new();
    filled(&folder, 300).await;
    let log = super::file::beside(&folder.path(), "-wal");
    assert!(!log.exists() || std::fs::metadata(&log).unwrap().len() == 0);
    // The one file is the whole journal: what an agency copies and keeps.
    let copy = folder.0.path().join("copy.db");
    std::fs::copy(folder.path(), &copy).unwrap();
    assert_eq!(verify(&copy).entries, 300);
}

#[test]
fn the_log_is_emptied_when_idle_and_bounded_under_load() {
    let folder = Folder::new();
    let settings = Settings { idle_checkpoint_s: 1, ..Settings::new(folder.path()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let journal = EmbeddedJournal::open(&settings).unwrap();
        let log = super::file::beside(&folder.path(), "-wal");
        for version in 0..300_u64 {
            let content = Content { sha256: format!("{version:064}"), bytes: Bytes::from(vec![1_u8; 50_000]) };
            let batch = Batch { content: Some(content), ..batch("load", version, 1) };
            journal.append(batch).await.unwrap();
        }
        let under_load = std::fs::metadata(&log).unwrap().len();
        assert!(under_load < 12 * 1024 * 1024, "{under_load} bytes of log after 15 MB");
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(std::fs::metadata(&log).unwrap().len(), 0);
        journal.append(batch("load", 300, 1)).await.unwrap();
    });
}

#[tokio::test]
async fn destroyed_content_leaves_the_chain_whole_and_changed_content_shows() {
    let folder = Folder::new();
    let digest = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
    let journal = folder.open().unwrap();
    let content = Content { sha256: digest.to_owned(), bytes: Bytes::from_static(b"a") };
    journal.append(Batch { content: Some(content), ..batch("kept", 0, 1) }).await.unwrap();
    assert_eq!(journal.content(&IncidentId::new("kept"), digest).await.unwrap().unwrap(), "a");
    let other = Connection::open(folder.path()).unwrap();
    other.execute_batch("UPDATE record SET bytes = x'62'").unwrap();
    assert!(matches!(journal.content(&IncidentId::new("kept"), digest).await, Err(JournalError::Corrupt { .. })));
    other.execute_batch("DELETE FROM record").unwrap();
    assert_eq!(journal.content(&IncidentId::new("kept"), digest).await.unwrap(), None);
    assert_eq!(verify(&folder.path()).fault, None);
}

#[test]
fn entries_cannot_be_changed_by_an_ordinary_statement() {
    let folder = Folder::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(filled(&folder, 3));
    let connection = Connection::open(folder.path()).unwrap();
    assert!(connection.execute("UPDATE entry SET version = 9", []).is_err());
    assert!(connection.execute("DELETE FROM entry", []).is_err());
}

#[tokio::test]
async fn adapter_events_come_back_as_written() {
    let folder = Folder::new();
    let journal = folder.open().unwrap();
    let refused = Stored::Adapter(AdapterEvent::RecordRefused {
        problem: "too-deep".to_owned(),
        place: "byte 17".to_owned(),
        content_sha256: "0".repeat(64),
        length_bytes: u64::MAX,
    });
    let events = vec![refused.clone()];
    let batch =
        Batch { subject: Subject::Adapter, expected_version: 0, at: instant(0), events, content: None, standing: None };
    journal.append(batch).await.unwrap();
    assert_eq!(journal.read_after(0, 1).await.unwrap()[0].stored, refused);
}

#[test]
fn settings_refuse_unknown_keys_and_have_defaults() {
    let settings: Settings = toml::from_str("path = \"/var/lib/fourth/journal.db\"").unwrap();
    assert_eq!((settings.queue_max, settings.commit_batches_max), (4_096, 64));
    assert!(toml::from_str::<Settings>("path = \"a\"\nqueue = 1").is_err());
}

/// What an append costs beside the disk is bounded by a count: every statement is compiled once, whatever is bound to it.
#[tokio::test]
async fn no_statement_of_an_append_is_compiled_twice() {
    let folder = Folder::new();
    let journal = folder.open().unwrap();
    for number in 0..200 {
        journal.append(batch(&format!("i{}", number % 50), number / 50, 1)).await.unwrap();
    }
    let statements =
        [super::rows::VERSION_OF, super::rows::INSERT_ENTRY, super::standing::SELECT_MARK, super::standing::UPSERT];
    let counted = move |thread: &mut super::writer::WriterThread| {
        let counts = |sql: &str| {
            let statement = thread.connection.prepare_cached(sql).unwrap();
            let of = |what| statement.get_status(what);
            (of(rusqlite::StatementStatus::RePrepare), of(rusqlite::StatementStatus::Run) >= 200)
        };
        Ok(statements.map(counts))
    };
    let counted = journal.writer().unwrap().alone(counted).await.unwrap();
    assert_eq!(counted, [(0, true); 4], "compiled again, and run as often as there were appends");
}
