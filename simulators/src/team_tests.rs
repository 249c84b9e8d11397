//! A team answers only what is signed, answers the same webhook once, and does what its habits say.

use crate::city::City;
use crate::clock::ScaledClock;
use crate::doors::Doors;
use crate::fake_adapter::FakeAdapter;
use crate::faults::{double_accept_team, late_team, silent_team};
use crate::habits::Habits;
use crate::peers::{Behaviour, Peers, PeersSettings, ProgramPeer};
use crate::tally::lock;
use std::time::Duration;

const SPEED: f64 = 1_200.0;

async fn team(peer: ProgramPeer) -> (Peers, FakeAdapter) {
    let clock = ScaledClock::starting_at("2026-06-05T23:30:00Z".parse().unwrap(), SPEED);
    let settings = PeersSettings { programs: vec![peer], ..PeersSettings::of(City::kamloops().unwrap(), 4, clock) };
    let peers = Peers::start(settings).await.unwrap();
    let adapter = FakeAdapter::start(&peers, "p", clock).await;
    peers.tell_doors(Doors { intake: adapter.server.url(), teams: adapter.server.url() });
    (peers, adapter)
}

/// Waits (up to 20 s) until the count is as wanted.
async fn until(peers: &Peers, what: &str, reached: impl Fn(&crate::Tally) -> bool) {
    for _ in 0..400 {
        if reached(&peers.tally()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within 20 s: {what}: {:?}", peers.tally());
}

fn sure(habits: Habits) -> ProgramPeer {
    let habits = Habits { accept: 1.0, decline: 0.0, late: 0.0, unreachable: 0.0, ..habits };
    ProgramPeer { program: "p".to_owned(), behaviour: Behaviour::Team(Box::new(habits)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unsigned_or_wrongly_signed_webhook_is_refused_and_a_repeated_one_acted_on_once() {
    let (peers, adapter) = team(sure(Habits { back_up: 0.0, hand_back: 0.0, ..Habits::usual() })).await;
    let client = crate::client::Client::new(Duration::from_secs(2));
    let url = &peers.teams()["p"].url;
    let body = r#"{"kind":"offer","leg":"x.1"}"#;
    let unsigned = client.send(hyper::Method::POST, url, &[], body).await.unwrap();
    assert_eq!(unsigned.status, 401);
    let headers = [("fourth-timestamp", "1780702200"), ("fourth-signature", "v1=00112233")];
    let wrong = client.send(hyper::Method::POST, url, &headers, body).await.unwrap();
    assert_eq!(wrong.status, 401);
    assert_eq!((peers.tally().webhooks_refused, peers.tally().offers), (2, 0));
    assert_eq!(adapter.inner.webhook("contact-test", "", "contact-test.1").await, Some(200));
    assert_eq!(adapter.inner.webhook("offer", "", "without-a-leg").await, Some(422));
    let tally = peers.tally();
    assert_eq!((tally.contact_tests, tally.webhooks_refused, tally.offers), (1, 3, 0), "a test is no call");
    assert_eq!(adapter.inner.offer("i1.1").await, Some(200));
    assert_eq!(adapter.inner.webhook("offer", "i1.1", "i1.1.offer").await, Some(200));
    until(&peers, "cleared", |tally| tally.clears == 1).await;
    let tally = peers.tally();
    assert_eq!((tally.offers, tally.webhooks_repeated, tally.accepts), (1, 1, 1));
    let accepts = lock(&adapter.inner.book).posts.iter().filter(|post| post.1 == "accept").count();
    assert_eq!(accepts, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_team_says_nothing_and_a_late_one_is_told_so() {
    let (peers, adapter) = team(silent_team("p")).await;
    assert_eq!(adapter.inner.offer("i1.1").await, Some(200));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(peers.tally().ignored, 1);
    assert!(lock(&adapter.inner.book).posts.is_empty());

    let (peers, adapter) = team(late_team("p")).await;
    assert_eq!(adapter.inner.offer("i1.1").await, Some(200));
    lock(&adapter.inner.book).legs.get_mut("i1.1").unwrap().0 = "timed-out";
    adapter.inner.webhook("withdraw", "i1.1", "i1.1.withdraw").await;
    until(&peers, "late", |tally| tally.conflicts == 1).await;
    assert_eq!((peers.tally().accepts, peers.tally().withdrawals), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_members_press_accept_at_once_and_a_hazard_ends_in_a_stand_back() {
    let (peers, adapter) = team(double_accept_team("p")).await;
    assert_eq!(adapter.inner.offer("i1.1").await, Some(200));
    until(&peers, "accepted", |tally| tally.accepts == 1).await;
    assert_eq!(lock(&adapter.inner.book).posts.iter().filter(|post| post.1 == "accept").count(), 2);

    let hazards = vec![crate::habits::Hazard {
        share: 1.0,
        fact: "weapon".to_owned(),
        value: "present".to_owned(),
        after_s: [10.0, 20.0],
    }];
    let (peers, adapter) = team(sure(Habits { hazards, hand_back: 0.0, ..Habits::usual() })).await;
    assert_eq!(adapter.inner.offer("i1.1").await, Some(200));
    until(&peers, "stood back", |tally| tally.hazards == 1 && tally.stand_backs == 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(peers.tally().clears, 0, "a team that stands back clears nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_team_without_a_free_crew_declines_as_busy() {
    let (peers, adapter) = team(sure(Habits { crews: 1, ..Habits::usual() })).await;
    assert_eq!(adapter.inner.offer("i1.1").await, Some(200));
    assert_eq!(adapter.inner.offer("i2.1").await, Some(200));
    until(&peers, "declined", |tally| tally.declines == 1 && tally.accepts == 1).await;
    let book = lock(&adapter.inner.book);
    let decline = book.posts.iter().find(|post| post.1 == "decline").unwrap();
    assert_eq!(decline.2["cause"], "busy");
}
