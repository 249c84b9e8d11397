//! What a restart reads: derived rows that are missing, stale or changed are made right from the chain, and never believed.

use super::super::conformance::{Until, instant, life};
use super::super::{Entry, Journal, JournalError, restart};
use super::{EmbeddedJournal, Settings};
use crate::record::IncidentId;
use jiff::SignedDuration;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::Path;

const LIVES: [Until; 3] = [Until::Offered, Until::ClosedUndelivered, Until::Rest];

fn open(path: &Path) -> EmbeddedJournal {
    EmbeddedJournal::open(&Settings::new(path)).unwrap()
}

async fn live(journal: &EmbeddedJournal, names: std::ops::Range<i64>) {
    for number in names {
        let until = LIVES[usize::try_from(number).unwrap() % LIVES.len()];
        for batch in life(&format!("i{number}"), instant(number * 60), until) {
            journal.append(batch).await.unwrap();
        }
    }
}

async fn due(journal: &EmbeddedJournal) -> (BTreeSet<IncidentId>, BTreeSet<IncidentId>) {
    let standings = restart::standings(journal).await.unwrap();
    let named = |rests: bool| {
        standings.iter().filter(|(_, standing)| standing.rests == rests).map(|(id, _)| id.clone()).collect()
    };
    (named(false), named(true))
}

async fn told(journal: &EmbeddedJournal) -> (BTreeSet<IncidentId>, BTreeSet<IncidentId>) {
    let unsettled = journal.unsettled().await.unwrap().into_iter().map(|(id, _)| id).collect();
    let called = journal.called_since(instant(-1)).await.unwrap();
    (unsettled, called.into_iter().map(|(id, _)| id).collect())
}

#[tokio::test]
async fn derived_rows_that_do_not_add_up_are_made_right_from_the_chain() {
    let damage = [
        "DELETE FROM standing WHERE incident = 'i0'",
        "UPDATE standing SET rests = 1 WHERE incident = 'i0'",
        "UPDATE standing SET rests = 0 WHERE incident = 'i2'",
        "UPDATE standing SET version = 1 WHERE incident = 'i1'",
        "UPDATE standing SET called = 'cad-i5' WHERE incident = 'i2'",
        "UPDATE standing SET mark = mark + 1 WHERE incident = 'i3'",
        "UPDATE standing SET incident = 'i90' WHERE incident = 'i3'",
        "DELETE FROM standing",
        "DROP TABLE standing",
        "DROP TABLE standing_sum",
        "DROP INDEX entry_of_kind",
        "UPDATE standing_sum SET rows = rows + 1",
        "UPDATE standing_sum SET sum = sum + 1",
        "UPDATE standing_sum SET sequence = 999999",
        "UPDATE standing_sum SET sequence = 1",
    ];
    for sql in damage {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let journal = open(&path);
        live(&journal, 0..9).await;
        drop(journal);
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let journal = open(&path);
        assert_eq!(told(&journal).await, due(&journal).await, "{sql}");
        live(&journal, 9..12).await;
        drop(journal);
        let journal = open(&path);
        assert_eq!(told(&journal).await, due(&journal).await, "{sql}, and after more lives");
    }
}

#[tokio::test]
async fn entries_that_an_older_program_appended_are_caught_up_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = open(&path);
    live(&journal, 0..3).await;
    drop(journal);
    let older = folder.path().join("derived.db");
    std::fs::copy(&path, &older).unwrap();
    let journal = open(&path);
    live(&journal, 3..6).await;
    drop(journal);
    // The derived rows as they were before, beside a chain that went on without them.
    let connection = Connection::open(&path).unwrap();
    connection.execute("ATTACH ?1 AS older", [older.to_str().unwrap()]).unwrap();
    for table in ["standing", "standing_sum"] {
        let sql = format!("DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM older.{table};");
        connection.execute_batch(&sql).unwrap();
    }
    drop(connection);
    let journal = open(&path);
    assert_eq!(told(&journal).await, due(&journal).await);
}

#[tokio::test]
async fn damage_in_one_story_hides_no_other_and_is_located() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = open(&path);
    live(&journal, 0..30).await;
    drop(journal);
    let connection = Connection::open(&path).unwrap();
    let damaged: i64 = connection
        .query_row("SELECT sequence FROM entry WHERE incident = 'i3' AND version = 2", [], |row| row.get(0))
        .unwrap();
    connection.execute_batch("DROP TRIGGER entry_is_never_updated; DELETE FROM standing_sum;").unwrap();
    connection.execute("UPDATE entry SET at = '2020-01-01T00:00:00Z' WHERE sequence = ?1", [damaged]).unwrap();
    drop(connection);
    // The end of the chain is whole; the damage lies further back than is looked at when opening.
    let journal = EmbeddedJournal::open(&Settings { verify_at_open_entries: 5, ..Settings::new(&path) }).unwrap();
    let (unsettled, _) = told(&journal).await;
    assert!(unsettled.contains(&IncidentId::new("i3")), "a story that cannot be read is not taken for one at rest");
    for number in [0, 1, 4, 27] {
        assert!(unsettled.contains(&IncidentId::new(format!("i{number}"))), "i{number}");
    }
    let read = journal.read_incident(&IncidentId::new("i3")).await;
    let sequence = u64::try_from(damaged).unwrap();
    assert!(matches!(read, Err(JournalError::Corrupt { sequence: at, .. }) if at == sequence), "{read:?}");
}

#[tokio::test]
async fn incidents_long_at_rest_leave_the_derived_rows_and_open_ones_never() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = open(&path);
    live(&journal, 0..6).await;
    let (unsettled, _) = due(&journal).await;
    let later = instant(0) + SignedDuration::from_hours(24 * 30);
    for batch in life("later", later, Until::Rest) {
        journal.append(batch).await.unwrap();
    }
    let (open_still, named) = told(&journal).await;
    assert_eq!(open_still, unsettled, "however old");
    assert_eq!(named, BTreeSet::from([IncidentId::new("later")]));
    drop(journal);
    let journal = open(&path);
    assert_eq!(told(&journal).await, (open_still, named), "what is trimmed adds up as well");
    let entries: Vec<Entry> = journal.read_incident(&IncidentId::new("i2")).await.unwrap();
    assert!(!entries.is_empty(), "the chain has them for ever");
}
