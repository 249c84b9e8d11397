//! What is kept and what is not: records under keys, people forgotten, periods sealed and dropped, a disk that is slow.

use super::super::conformance::keeping::{Change, Store, suite};
use super::super::conformance::{Until, batch, instant, life};
use super::super::{Batch, Content, Journal, JournalError, Pending, Verification};
use super::{EmbeddedJournal, Settings};
use crate::record::IncidentId;
use bytes::Bytes;
use jiff::SignedDuration;
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const CANARY: &str = "Canary-Name, Canary-Street 4711";

fn with_key(folder: &Path, digit: &str) -> Settings {
    let key_file = folder.join("journal.key");
    std::fs::write(&key_file, digit.repeat(64)).unwrap();
    Settings { key_file: Some(key_file), ..Settings::new(folder.join("journal.db")) }
}

/// A life at rest whose record has the canary in it.
fn kept(name: &str) -> (Vec<Batch>, String) {
    let mut batches = life(name, instant(0), Until::Rest);
    let bytes = format!("{CANARY} of {name}");
    let sha256 = hex::encode(Sha256::digest(&bytes));
    batches[0].content = Some(Content { sha256: sha256.clone(), bytes: Bytes::from(bytes) });
    (batches, sha256)
}

async fn append(journal: &EmbeddedJournal, batches: Vec<Batch>) {
    for batch in batches {
        journal.append(batch).await.unwrap();
    }
}

/// True where a text stands in the file or beside it.
fn stands_in(path: &Path, text: &str) -> bool {
    let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
    [path.to_owned(), beside("-wal")]
        .iter()
        .filter_map(|path| std::fs::read(path).ok())
        .any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

/// A file in a folder of its own, as the conformance suite needs it.
struct InFile(tempfile::TempDir);

impl InFile {
    fn path(&self) -> PathBuf {
        self.0.path().join("journal.db")
    }
}

impl Store for InFile {
    fn open<'a>(&'a self, key: Option<&'a str>) -> Pending<'a, Result<Arc<dyn Journal>, JournalError>> {
        Box::pin(async move {
            let settings = key.map_or_else(|| Settings::new(self.path()), |digit| with_key(self.0.path(), digit));
            Ok(Arc::new(EmbeddedJournal::open(&settings)?) as Arc<dyn Journal>)
        })
    }

    fn open_for_upkeep(&self) -> Pending<'_, Arc<dyn Journal>> {
        Box::pin(async { Arc::new(EmbeddedJournal::open_for_upkeep(&self.path()).unwrap()) as Arc<dyn Journal> })
    }

    fn verify(&self) -> Pending<'_, Verification> {
        Box::pin(async { EmbeddedJournal::open_read_only(&self.path()).unwrap().verify(&mut |_, _| ()).unwrap() })
    }

    fn holds(&self, text: &str) -> bool {
        stands_in(&self.path(), text)
    }

    fn change(&self, change: Change) {
        let sql = match change {
            Change::LosesKey(incident) => format!("DELETE FROM incident_key WHERE incident = '{incident}'"),
            Change::MovesRecords(from, to) => format!("UPDATE record SET incident = '{to}' WHERE incident = '{from}'"),
            Change::DropsUpTo(last) => {
                format!("UPDATE seal SET dropped = 1; DELETE FROM entry WHERE sequence <= {last};")
            }
            Change::ForgesSeals => "UPDATE seal SET hash = zeroblob(32)".to_owned(),
        };
        Connection::open(self.path()).unwrap().execute_batch(&sql).unwrap();
    }
}

#[tokio::test]
async fn it_forgets_seals_and_drops_as_every_store_must() {
    suite(|_| InFile(tempfile::tempdir().unwrap())).await;
}

#[tokio::test]
async fn without_a_key_file_a_person_forgotten_is_gone_from_the_file_itself() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(folder.path().join("journal.db"));
    let journal = EmbeddedJournal::open(&settings).unwrap();
    let (batches, sha256) = kept("i1");
    append(&journal, batches).await;
    assert!(stands_in(&settings.path, CANARY), "the canary is one");
    journal.forget(&IncidentId::new("i1"), instant(9)).await.unwrap();
    assert!(!stands_in(&settings.path, CANARY), "neither in the log nor in a free page");
    assert_eq!(journal.content(&IncidentId::new("i1"), &sha256).await.unwrap(), None);
}

#[tokio::test]
async fn a_key_file_that_is_not_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let settings = with_key(folder.path(), "a");
    drop(EmbeddedJournal::open(&settings).unwrap());
    std::fs::remove_file(folder.path().join("journal.key")).unwrap();
    assert!(EmbeddedJournal::open(&settings).map(drop).unwrap_err().to_string().contains("cannot be read"));
}

async fn two_years(path: &Path) -> (EmbeddedJournal, u64) {
    let journal = EmbeddedJournal::open(&Settings::new(path)).unwrap();
    let year = SignedDuration::from_hours(365 * 24);
    for number in 0..4 {
        append(&journal, life(&format!("old-{number}"), instant(number), Until::Rest)).await;
    }
    for number in 0..4 {
        append(&journal, life(&format!("new-{number}"), instant(number) + year, Until::Rest)).await;
    }
    let seal = journal.seal(instant(0) + year, instant(99) + year).await.unwrap().unwrap();
    (journal, seal.through)
}

#[tokio::test]
async fn the_checkpoint_of_a_dropped_period_is_told_and_nothing_is_deleted_that_no_seal_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let (journal, through) = two_years(&path).await;
    let published = journal.chain_value(through).unwrap().unwrap();
    journal.drop_sealed(through, instant(100)).await.unwrap();
    assert_eq!(journal.chain_value(through).unwrap(), Some(published), "the checkpoint that was published");
    drop(journal);
    let connection = Connection::open(&path).unwrap();
    assert!(connection.execute("DELETE FROM entry WHERE sequence > ?1", [through as i64]).is_err(), "not under a seal");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_commit_that_takes_long_batches_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let settings = Settings { busy_timeout_ms: 60_000, commit_slow_ms: 50, ..Settings::new(&path) };
    let journal = Arc::new(EmbeddedJournal::open(&settings).unwrap());
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let first = tokio::spawn({
        let journal = Arc::clone(&journal);
        async move { journal.append(batch("first", 0, 1)).await }
    });
    let started = crate::clock::monotonic_now();
    while journal.ready() {
        assert!(started.elapsed() < Duration::from_secs(20), "a slow store says that it is not ready");
        tokio::task::yield_now().await;
    }
    let refused = journal.append(batch("second", 0, 1)).await;
    assert!(matches!(&refused, Err(JournalError::Unavailable(why)) if why.contains("slow")), "{refused:?}");
    assert!(!first.is_finished(), "the refusal did not wait for the commit");
    other.execute_batch("ROLLBACK").unwrap();
    assert!(first.await.unwrap().is_ok(), "what was taken is written");
    journal.append(batch("second", 0, 1)).await.unwrap();
}

#[test]
fn the_newest_of_a_kind_are_found_by_their_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    drop(EmbeddedJournal::open(&Settings::new(&path)).unwrap());
    let connection = Connection::open(&path).unwrap();
    let sql = include_str!("../../../schemas/journal/embedded/select_entries_of_kind_before.sql");
    let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps: Vec<String> =
        plan.query_map(rusqlite::params!["assessed", 9, 9], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
    assert!(steps.iter().any(|step| step.contains("entry_of_kind")), "{steps:?}");
}

#[tokio::test]
async fn a_backup_put_back_and_another_chain_are_not_served_unseen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let checkpoint_file = folder.path().join("checkpoint");
    let settings = Settings { checkpoint_file: Some(checkpoint_file.clone()), ..Settings::new(&path) };
    let journal = EmbeddedJournal::open(&settings).unwrap();
    append(&journal, life("yesterday", instant(0), Until::Rest)).await;
    drop(journal);
    let backup = folder.path().join("backup.db");
    std::fs::copy(&path, &backup).unwrap();
    let yesterday = std::fs::read_to_string(&checkpoint_file).unwrap();
    let journal = EmbeddedJournal::open(&settings).unwrap();
    append(&journal, life("today", instant(60), Until::Rest)).await;
    drop(journal);
    let today = std::fs::read_to_string(&checkpoint_file).unwrap();
    assert_ne!(today, yesterday);
    std::fs::rename(&backup, &path).unwrap();
    let refused = EmbeddedJournal::open(&settings).map(drop).unwrap_err();
    let first: u64 = yesterday.split(':').next().unwrap().parse::<u64>().unwrap() + 1;
    assert!(
        matches!(&refused, JournalError::Corrupt { sequence, why } if *sequence == first && why.contains("old copy")),
        "{refused}"
    );
    // Somebody decides to go on with it, and what was lost is found to be another chain by whoever kept today's checkpoint.
    std::fs::remove_file(&checkpoint_file).unwrap();
    let journal = EmbeddedJournal::open(&settings).unwrap();
    append(&journal, life("tomorrow", instant(90), Until::Rest)).await;
    drop(journal);
    std::fs::write(&checkpoint_file, today).unwrap();
    let refused = EmbeddedJournal::open(&settings).map(drop).unwrap_err();
    assert!(matches!(&refused, JournalError::Corrupt { why, .. } if why.contains("another chain")), "{refused}");
}

/// Opens a damaged file; gives what it reads where it says that nothing is wrong.
fn believed(path: &Path) -> Option<Vec<super::Entry>> {
    let journal = EmbeddedJournal::open_read_only(path).ok()?;
    let verified = journal.verify(&mut |_, _| ()).ok()?;
    let mut entries = journal.entries_after(0, usize::MAX).ok()?;
    let named: Vec<_> = (0..4).map(|number| journal.entries_of(&IncidentId::new(format!("new-{number}")))).collect();
    for story in named {
        entries.extend(story.ok()?);
    }
    verified.fault.is_none().then_some(entries)
}

#[tokio::test]
async fn every_cut_in_the_last_pages_and_every_flipped_bit_is_found_or_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    drop(two_years(&path).await);
    let (whole, good) = (std::fs::read(&path).unwrap(), believed(&path).unwrap());
    let copy = folder.path().join("copy.db");
    let last_pages = whole.len() - 3 * 4_096;
    let mut found = 0;
    for length in (last_pages..whole.len()).step_by(29).chain([last_pages + 4_096, last_pages + 8_192, whole.len() - 1])
    {
        std::fs::write(&copy, &whole[..length]).unwrap();
        let read = believed(&copy);
        assert!(read.is_none() || read.as_ref() == Some(&good), "cut at {length} of {}", whole.len());
        found += usize::from(read.is_none());
    }
    assert!(found > 250, "{found} cuts were found");
    let mut found = 0;
    for (number, place) in (0..whole.len()).step_by(97).enumerate() {
        let mut flipped = whole.clone();
        flipped[place] ^= 1 << (number % 8);
        std::fs::write(&copy, flipped).unwrap();
        let read = believed(&copy);
        assert!(read.is_none() || read.as_ref() == Some(&good), "flipped at {place} of {}", whole.len());
        found += usize::from(read.is_none());
    }
    assert!(found > 100, "{found} flips were found");
}
