//! What a restart costs and how it goes on: few rows read, overdue deadlines in order and not all in one instant, damage that hides nothing else.

use super::tests::{desk_on, record};
use super::*;
use crate::incident::{Event, Phase};
use crate::journal::conformance::{Until, life};
use crate::journal::{
    Batch, Called, EmbeddedJournal, Entry, Journal, JournalError, Pending, Settings, Stored, Subject, Unsettled,
};
use jiff::SignedDuration;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A journal that counts what is read of it and how many appends are under way, and cannot read one incident.
struct Watched {
    within: EmbeddedJournal,
    read: AtomicUsize,
    appending: AtomicUsize,
    appending_most: AtomicUsize,
    damaged: Mutex<Option<IncidentId>>,
}

impl Watched {
    fn open(folder: &Path) -> Arc<Self> {
        let within = EmbeddedJournal::open(&Settings::new(folder.join("journal.db"))).unwrap();
        let (read, appending, appending_most) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { within, read, appending, appending_most, damaged: Mutex::default() })
    }

    fn count(&self, entries: Vec<Entry>) -> Vec<Entry> {
        self.read.fetch_add(entries.len(), Ordering::SeqCst);
        entries
    }
}

impl Journal for Watched {
    fn append(&self, batch: Batch) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        Box::pin(async move {
            let now = self.appending.fetch_add(1, Ordering::SeqCst) + 1;
            self.appending_most.fetch_max(now, Ordering::SeqCst);
            let appended = self.within.append(batch).await;
            self.appending.fetch_sub(1, Ordering::SeqCst);
            appended
        })
    }

    fn read_after(&self, after: u64, limit: usize) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        Box::pin(async move { Ok(self.count(self.within.read_after(after, limit).await?)) })
    }

    fn read_incident(&self, incident: &IncidentId) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        let incident = incident.clone();
        Box::pin(async move {
            if self.damaged.lock().unwrap().as_ref() == Some(&incident) {
                return Err(JournalError::Corrupt { sequence: 7, why: "a flipped bit".to_owned() });
            }
            Ok(self.count(self.within.read_incident(&incident).await?))
        })
    }

    fn read_kind_before<'a>(
        &'a self,
        kind: &'a str,
        before: u64,
        limit: usize,
    ) -> Pending<'a, Result<Vec<Entry>, JournalError>> {
        Box::pin(async move { Ok(self.count(self.within.read_kind_before(kind, before, limit).await?)) })
    }

    fn unsettled(&self) -> Pending<'_, Result<Vec<Unsettled>, JournalError>> {
        self.within.unsettled()
    }

    fn called_since(&self, since: Timestamp) -> Pending<'_, Result<Vec<(IncidentId, Called)>, JournalError>> {
        self.within.called_since(since)
    }

    fn last_instant(&self) -> Pending<'_, Result<Option<Timestamp>, JournalError>> {
        self.within.last_instant()
    }

    fn content(&self, incident: &IncidentId, sha256: &str) -> Pending<'_, Result<Option<Bytes>, JournalError>> {
        self.within.content(incident, sha256)
    }

    fn ready(&self) -> bool {
        self.within.ready()
    }
}

/// Appends lives side by side, so that they share commits.
async fn fill(journal: &Arc<Watched>, lives: Vec<(String, Timestamp, Until)>) {
    let mut tasks = tokio::task::JoinSet::new();
    for (name, from, until) in lives {
        let journal = Arc::clone(journal);
        tasks.spawn(async move {
            for batch in life(&name, from, until) {
                journal.append(batch).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
}

fn evening() -> Timestamp {
    super::tests::EVENING.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_reads_as_much_as_is_open_however_long_the_journal_is() {
    let mut read = Vec::new();
    for closed in [1_100, 1_700] {
        let folder = tempfile::tempdir().unwrap();
        let journal = Watched::open(folder.path());
        let long_ago = evening() - SignedDuration::from_hours(90 * 24);
        let old = (0..closed).map(|number| (format!("old-{number}"), long_ago, Until::Rest));
        fill(&journal, old.collect()).await;
        let open = (0..5).map(|number| (format!("open-{number}"), evening(), Until::Offered));
        fill(&journal, open.collect()).await;
        drop(journal);
        let journal = Watched::open(folder.path());
        let desk = desk_on(Arc::clone(&journal) as Arc<dyn Journal>, 1.0).await;
        assert_eq!(desk.open_incidents().len(), 5);
        read.push(journal.read.load(Ordering::SeqCst));
    }
    assert_eq!(read[0], read[1], "a longer journal, the same reading");
    assert!(read[0] < 2_100, "{read:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overdue_deadlines_fire_the_most_overdue_first_and_not_all_in_one_instant() {
    const OVERDUE: usize = 400;
    let folder = tempfile::tempdir().unwrap();
    let journal = Watched::open(folder.path());
    let ago = |number: usize| SignedDuration::from_secs(i64::try_from(10 * (OVERDUE - number) + 200).unwrap());
    let lives = (0..OVERDUE).map(|number| (format!("late-{number:03}"), evening() - ago(number), Until::Offered));
    fill(&journal, lives.collect()).await;
    drop(journal);
    let journal = Watched::open(folder.path());
    let before = journal.read_after(0, usize::MAX).await.unwrap().len() as u64;
    let desk = desk_on(Arc::clone(&journal) as Arc<dyn Journal>, 1.0).await;
    let running = desk.clone();
    let deadlines = tokio::spawn(async move { running.run_deadlines().await });
    // A call that comes in the middle of it is served.
    let answer = desk.receive(record("meanwhile", super::tests::EVENING, "none"), None, "default").await.unwrap();
    let answered_at = journal.read_incident(&answer.incident).await.unwrap()[0].sequence;
    let timed_out = async || {
        let entries = journal.read_after(before, usize::MAX).await.unwrap();
        let fired = entries.into_iter().filter_map(|entry| match (entry.subject, entry.stored) {
            (Subject::Incident(id), Stored::Incident(Event::TimedOut { .. })) => Some((id, entry.sequence)),
            _ => None,
        });
        fired.collect::<Vec<_>>()
    };
    let waited = crate::clock::monotonic_now();
    while timed_out().await.len() < OVERDUE {
        assert!(waited.elapsed() < Duration::from_secs(30), "overdue deadlines fire");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    deadlines.abort();
    let fired = timed_out().await;
    for (place, (id, _)) in fired.iter().enumerate().take(OVERDUE) {
        let due: usize = id.as_str().trim_start_matches("late-").parse().unwrap();
        assert!(due.abs_diff(place) < 64, "{id} was number {place}");
    }
    // Sixty-four deadlines and the one call.
    assert!(journal.appending_most.load(Ordering::SeqCst) <= 65);
    assert!(answered_at < fired.last().unwrap().1, "the call did not wait for all of them");
}

#[tokio::test]
async fn an_open_incident_that_cannot_be_read_keeps_no_other_from_being_served() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Watched::open(folder.path());
    let desk = desk_on(Arc::clone(&journal) as Arc<dyn Journal>, 1.0).await;
    let mut answers = Vec::new();
    for name in ["whole", "damaged"] {
        answers.push(desk.receive(record(name, super::tests::EVENING, "none"), None, "default").await.unwrap());
    }
    drop(desk);
    *journal.damaged.lock().unwrap() = Some(answers[1].incident.clone());
    let desk = desk_on(Arc::clone(&journal) as Arc<dyn Journal>, 1.0).await;
    let open: Vec<_> = desk.open_incidents().into_iter().map(|view| view.incident.id.clone()).collect();
    assert_eq!(open, [answers[0].incident.clone()]);
    let chosen = desk.choose(&answers[0].incident, Choice::Accept, super::tests::by()).await.unwrap();
    assert_eq!(chosen.incident.phase, Phase::Offered);
    // A later record of the damaged call is not taken for a new call that a second team could be sent to.
    let later = record("damaged", "2026-05-15T20:05:00-07:00", "none");
    let refused = desk.receive(later, None, "default").await.unwrap_err();
    assert!(matches!(refused, CallProblem::Journal(JournalError::Corrupt { sequence: 7, .. })), "{refused:?}");
    assert!(desk.receive(record("new", super::tests::EVENING, "none"), None, "default").await.is_ok());
}

#[tokio::test]
async fn a_clock_that_was_set_back_lengthens_no_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Watched::open(folder.path());
    let lives = vec![("offered".to_owned(), evening() + SignedDuration::from_hours(1), Until::Offered)];
    fill(&journal, lives).await;
    // The desk's clock shows the evening, an hour before what has been journaled.
    let desk = desk_on(Arc::clone(&journal) as Arc<dyn Journal>, 1.0).await;
    let view = desk.open_incidents().pop().unwrap();
    let left = view.incident.next_deadline().unwrap().duration_since(desk.clock().now());
    assert!(left <= SignedDuration::from_secs(120), "{left:?} left of an offer of two minutes");
    assert!(left > SignedDuration::from_secs(90));
}
