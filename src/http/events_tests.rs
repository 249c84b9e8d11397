//! Tests of the event feed: order, resumption, lag, and what an event may say.

use super::*;
use crate::incident::{Actor, DeclineCause};
use crate::record::{IncidentId, LegId};
use std::sync::Mutex;
use std::time::Duration;

type Shelf = Arc<Mutex<Vec<Entry>>>;

fn entry(sequence: u64, event: Event) -> Entry {
    Entry {
        sequence,
        subject: Subject::Incident(IncidentId::new("a1")),
        version: sequence,
        at: "2026-03-01T10:00:00Z".parse().unwrap(),
        stored: Stored::Incident(event),
        hash: "00".into(),
    }
}

fn timed_out(sequence: u64) -> Entry {
    entry(sequence, Event::TimedOut { leg: LegId::new("a1.1") })
}

struct World {
    shelf: Shelf,
    announce: broadcast::Sender<Arc<Entry>>,
    events: mpsc::Receiver<Arc<Entry>>,
    stop: watch::Sender<bool>,
    running: tokio::task::JoinHandle<()>,
}

/// A feed over a journal of so many entries, resumed after `last`.
fn feed(last: Option<u64>, entries: u64, room: usize) -> World {
    let shelf: Shelf = Arc::new(Mutex::new((1..=entries).map(timed_out).collect()));
    let (announce, live) = broadcast::channel(room);
    let (reader, events) = mpsc::channel(WAITING_MAX);
    let (stop, shutdown) = watch::channel(false);
    let read = {
        let shelf = Arc::clone(&shelf);
        move |after: u64| {
            let page: Vec<Entry> =
                shelf.lock().unwrap().iter().filter(|entry| entry.sequence > after).take(PAGE).cloned().collect();
            async move { Ok(page) }
        }
    };
    let running = tokio::spawn(Feed { last, dropped: 0, reader, shutdown }.run(read, live));
    World { shelf, announce, events, stop, running }
}

impl World {
    fn append(&self, sequence: u64) -> Arc<Entry> {
        let entry = timed_out(sequence);
        self.shelf.lock().unwrap().push(entry.clone());
        Arc::new(entry)
    }

    async fn next(&mut self) -> Option<u64> {
        let next = tokio::time::timeout(Duration::from_secs(5), self.events.recv()).await;
        next.unwrap().map(|entry| entry.sequence)
    }
}

#[tokio::test]
async fn a_resumed_reader_gets_everything_after_its_last_id_and_then_what_is_new_once() {
    let mut world = feed(Some(3), 700, 16);
    for expected in 4..=700 {
        assert_eq!(world.next().await, Some(expected));
    }
    // The last of the journal is announced late, as it is where it was appended during the catch-up.
    world.announce.send(Arc::new(timed_out(700))).unwrap();
    let new = world.append(701);
    world.announce.send(new).unwrap();
    assert_eq!(world.next().await, Some(701));
}

#[tokio::test]
async fn a_new_reader_gets_what_is_new_only() {
    let mut world = feed(None, 5, 16);
    let new = world.append(6);
    world.announce.send(new).unwrap();
    assert_eq!(world.next().await, Some(6));
}

#[tokio::test]
async fn announcements_out_of_order_are_put_in_order_from_the_journal() {
    let mut world = feed(Some(0), 0, 16);
    let (first, second, third) = (world.append(1), world.append(2), world.append(3));
    for announced in [first, third, second] {
        world.announce.send(announced).unwrap();
    }
    for expected in 1..=3 {
        assert_eq!(world.next().await, Some(expected));
    }
}

#[tokio::test]
async fn a_reader_that_lags_loses_nothing() {
    let mut world = feed(Some(0), 0, 4);
    for sequence in 1..=1_000 {
        let new = world.append(sequence);
        let _read_later = world.announce.send(new);
        if sequence % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let last = world.append(1_001);
    world.announce.send(last).unwrap();
    for expected in 1..=1_001 {
        assert_eq!(world.next().await, Some(expected));
    }
}

#[tokio::test]
async fn a_new_reader_that_lags_at_once_loses_nothing_either() {
    let mut world = feed(None, 100, 4);
    for sequence in 101..=120 {
        let new = world.append(sequence);
        world.announce.send(new).unwrap();
    }
    for expected in 101..=120 {
        assert_eq!(world.next().await, Some(expected));
    }
}

#[tokio::test]
async fn the_stop_signal_ends_a_feed_so_that_a_drain_can_end() {
    let mut world = feed(None, 0, 4);
    world.stop.send(true).unwrap();
    assert_eq!(world.next().await, None);
    world.running.await.unwrap();
}

#[tokio::test]
async fn a_reader_that_leaves_ends_its_feed() {
    let World { events, running, announce, stop, .. } = feed(None, 0, 4);
    drop(events);
    tokio::time::timeout(Duration::from_secs(5), running).await.unwrap().unwrap();
    drop((announce, stop));
}

#[test]
fn an_event_says_what_is_on_the_list_and_nothing_else() {
    let by = Actor::CallTaker("position-4".into());
    let given = entry(7, Event::AnswerGiven { fact: "weapon".into(), value: "canary-value".into(), by });
    let sent = serde_json::to_value(data_of(&given)).unwrap();
    assert_eq!(
        sent,
        json!({ "sequence": 7, "at": "2026-03-01T10:00:00Z", "incident": "a1", "version": 7, "event": "answer-given",
            "fact": "weapon" })
    );
    let declined =
        Event::Declined { leg: LegId::new("a1.1"), cause: DeclineCause::Busy, by: Actor::Team("canary-login".into()) };
    let sent = serde_json::to_value(data_of(&entry(8, declined))).unwrap();
    assert_eq!((sent["event"].as_str(), sent["cause"].as_str()), (Some("declined"), Some("busy")));
    assert!(!sent.to_string().contains("canary"));
    crate::http::shapes::tests::assert_fits(&sent, "Event");
}

#[test]
fn the_last_event_id_is_a_sequence() {
    let with = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("last-event-id", value.parse().unwrap());
        resume_after(&headers)
    };
    assert_eq!(resume_after(&HeaderMap::new()).unwrap(), None);
    assert_eq!(with("41").unwrap(), Some(41));
    for bad in ["", "-1", "abc", "18446744073709551616"] {
        assert_eq!(with(bad).unwrap_err().status(), 400, "{bad}");
    }
}
