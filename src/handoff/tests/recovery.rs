//! A destination that is dead, half dead, or comes back: breaker, second address, pace (faults 32, 33, 35, 71).

use super::*;
use crate::clock::monotonic_now;
use crate::handoff::BreakerState;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

const DOWN: &str = "destination-down";

fn to_team(url: &str) -> Settings {
    Settings { breaker_failures: 5, breaker_open_s: 60, ..settings(&channel("webhook", url)) }
}

fn to_cad(first: &str, second: Option<&str>) -> Settings {
    let second = second.map(|url| format!("second_url = \"{url}\"\n")).unwrap_or_default();
    let slow = settings(&format!("[cad]\nurl = \"{first}\"\n{second}"));
    Settings { try_timeout_ms: 5_000, ..slow }
}

fn backup(incident: &str, version: u32) -> Outgoing {
    let act = json!({ "tell-cad": { "notice": "backup", "service": "police", "team_requested": true } });
    outgoing(incident, &format!("{incident}.{version}.cad"), act)
}

fn breaker(outbox: &OutboxHandle) -> BreakerState {
    outbox.destinations()[0].breaker
}

/// Fault 35: the tries that a dead team costs are bounded however many offers there are, and none of them waits.
#[tokio::test]
async fn a_dead_team_is_spared_and_its_offers_fall_through_at_once() {
    let peer = Peer::start(|_| (503, None, AT_ONCE)).await;
    let (outbox, mut ends) = outbox(to_team(&peer.url));
    for number in 0..300 {
        outbox.submit(offer(&format!("i{number}"), "webhook", 3));
    }
    let mut down = 0;
    for _ in 0..300 {
        let why = next(&mut ends).await.1.unwrap();
        assert!([DOWN, "attempts-exhausted"].contains(&why.as_str()), "{why}");
        down += usize::from(why == DOWN);
    }
    // Five open it; eight more may have begun at the same time; each has three tries.
    assert!(down >= 300 - 13, "{down}");
    assert!(peer.received().len() <= 13 * 3, "{}", peer.received().len());
    assert_eq!(breaker(&outbox), BreakerState::Open);
    let started = monotonic_now();
    outbox.submit(offer("late", "webhook", 3));
    assert_eq!(next(&mut ends).await, given_up("late.3.offer", DOWN));
    assert!(started.elapsed() < Duration::from_millis(200), "{:?}", started.elapsed());
}

static TEAM_DEAD: AtomicBool = AtomicBool::new(true);

#[tokio::test]
async fn a_recall_goes_out_whatever_the_breaker_says_and_closes_it() {
    let script = |_| (if TEAM_DEAD.load(Ordering::SeqCst) { 500 } else { 200 }, None, AT_ONCE);
    let peer = Peer::start(script).await;
    let (outbox, mut ends) = outbox(to_team(&peer.url));
    for number in 0..5 {
        outbox.submit(offer(&format!("i{number}"), "webhook", 1));
    }
    for _ in 0..5 {
        assert_eq!(next(&mut ends).await.1.as_deref(), Some("attempts-exhausted"));
    }
    assert_eq!(breaker(&outbox), BreakerState::Open);
    outbox.submit(withdraw("w", "webhook"));
    while peer.received().len() < 7 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    TEAM_DEAD.store(false, Ordering::SeqCst);
    assert_eq!(next(&mut ends).await, delivered("w.5.withdraw"));
    assert_eq!(breaker(&outbox), BreakerState::Closed);
    outbox.submit(offer("after", "webhook", 1));
    assert_eq!(next(&mut ends).await, delivered("after.3.offer"));
}

#[tokio::test]
async fn after_its_rest_one_offer_probes_a_dead_team() {
    let peer = Peer::start(|_| (500, None, AT_ONCE)).await;
    let (outbox, mut ends) = outbox(Settings { breaker_failures: 1, breaker_open_s: 1, ..to_team(&peer.url) });
    outbox.submit(offer("first", "webhook", 1));
    next(&mut ends).await;
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    for number in 0..20 {
        outbox.submit(offer(&format!("i{number}"), "webhook", 1));
    }
    let mut whys = Vec::new();
    for _ in 0..20 {
        whys.push(next(&mut ends).await.1.unwrap());
    }
    assert_eq!(whys.iter().filter(|why| *why != DOWN).count(), 1, "{whys:?}");
    assert_eq!(peer.received().len(), 2);
}

/// The breaker only watches the CAD.
#[tokio::test]
async fn a_dead_cad_is_told_everything_all_the_same() {
    let peer = Peer::start(|number| (if number < 12 { 500 } else { 200 }, None, AT_ONCE)).await;
    let (outbox, mut ends) = outbox(Settings { breaker_failures: 3, breaker_open_s: 600, ..to_cad(&peer.url, None) });
    for number in 0..4 {
        outbox.submit(notice(&format!("i{number}"), 1));
    }
    let mut keys = BTreeSet::new();
    for _ in 0..4 {
        let (key, why) = next(&mut ends).await;
        assert_eq!(why, None);
        keys.insert(key);
    }
    assert_eq!((keys.len(), breaker(&outbox)), (4, BreakerState::Closed));
}

/// Faults 32 and 33: refused, swallowed or answered with an error, the second address has it within two seconds.
#[tokio::test]
async fn the_second_cad_has_it_within_two_seconds_however_the_first_is_dead() {
    let swallows = Peer::start(|_| (200, None, Duration::from_secs(60))).await;
    let fails = Peer::start(|_| (503, None, AT_ONCE)).await;
    let moved = Peer::start(|_| (404, None, AT_ONCE)).await;
    for first in ["http://127.0.0.1:1/", &swallows.url, &fails.url, &moved.url] {
        let second = Peer::start(|_| (200, None, AT_ONCE)).await;
        let (outbox, mut ends) = outbox(to_cad(first, Some(&second.url)));
        let started = monotonic_now();
        outbox.submit(notice("i1", 1));
        assert_eq!(next(&mut ends).await, delivered("i1.1.tell-cad"));
        assert!(started.elapsed() < Duration::from_secs(2), "{first}: {:?}", started.elapsed());
        // Known to be dead, it no longer costs a wait; it is asked all the same, so that its return is seen.
        let started = monotonic_now();
        outbox.submit(notice("i2", 1));
        assert_eq!(next(&mut ends).await, delivered("i2.1.tell-cad"));
        if first != moved.url {
            assert!(started.elapsed() < Duration::from_millis(1_000), "{first}: {:?}", started.elapsed());
        }
        let keys: Vec<_> = second.received().iter().map(|one| one.header("idempotency-key").to_owned()).collect();
        assert_eq!(keys, ["i1.1.tell-cad", "i2.1.tell-cad"]);
    }
    assert_eq!(swallows.received().len(), 2);
}

#[tokio::test]
async fn with_both_cads_dead_the_trying_goes_on_until_one_is_back() {
    let first = Peer::start(|number| (if number < 5 { 500 } else { 200 }, None, AT_ONCE)).await;
    let (outbox, mut ends) = outbox(to_cad(&first.url, Some("http://127.0.0.1:1/")));
    outbox.submit(notice("i1", 1));
    assert_eq!(next(&mut ends).await, delivered("i1.1.tell-cad"));
    assert_eq!(first.received().len(), 6);
}

#[tokio::test]
async fn a_well_first_cad_is_the_only_one_asked() {
    let (first, second) = (Peer::start(|_| (200, None, AT_ONCE)).await, Peer::start(|_| (200, None, AT_ONCE)).await);
    let (outbox, mut ends) = outbox(to_cad(&first.url, Some(&second.url)));
    for version in 1..=20 {
        outbox.submit(notice("i1", version));
        assert_eq!(next(&mut ends).await.1, None);
    }
    assert_eq!((first.received().len(), second.received().len()), (20, 0));
}

static CAD_DEAD: AtomicBool = AtomicBool::new(true);

/// Fault 71: what waited goes out at the pace, each message once, and nothing that is stale.
#[tokio::test]
async fn a_cad_that_comes_back_meets_no_storm() {
    const NOTICES: usize = 80;
    const RATE: u32 = 40;
    let script = |_| (if CAD_DEAD.load(Ordering::SeqCst) { 503 } else { 200 }, None, AT_ONCE);
    let peer = Peer::start(script).await;
    let team = channel("webhook", &peer.url);
    let settings = settings(&format!("{team}[cad]\nurl = \"{}\"\n", peer.url));
    let (outbox, mut ends) =
        outbox(Settings { recovery_rate_max_per_s: RATE, concurrency_max: 64, breaker_failures: 1_000, ..settings });
    let started = monotonic_now();
    for number in 0..NOTICES {
        outbox.submit(notice(&format!("n{number}"), 1));
    }
    for number in 0..20 {
        outbox.submit(offer_within(&format!("o{number}"), "webhook", 9, SignedDuration::from_millis(400)));
    }
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    CAD_DEAD.store(false, Ordering::SeqCst);
    let (back, tries_before) = (monotonic_now(), peer.received().len());
    let paced = |spent: Duration| spent.as_secs_f64() * f64::from(RATE) + 2.0;
    // Two destinations, each with turns of its own.
    assert!(tries_before as f64 <= 2.0 * paced(back - started), "{tries_before} tries while it was dead");
    let mut told = BTreeSet::new();
    for _ in 0..NOTICES + 20 {
        let (key, why) = next(&mut ends).await;
        match why {
            None => assert!(told.insert(key), "told once"),
            Some(why) => assert!(key.ends_with(".offer") && why == "deadline-passed", "{key}: {why}"),
        }
    }
    assert_eq!(told.len(), NOTICES);
    let after: Vec<_> = peer.received().into_iter().filter(|one| one.at > back).collect();
    assert!(after.iter().all(|one| one.header("idempotency-key").ends_with(".tell-cad")), "a stale offer went out");
    let spent = after.last().unwrap().at - back;
    assert!(after.len() as f64 <= paced(spent) + 8.0, "{} tries in {spent:?}", after.len());
    assert!(spent >= Duration::from_millis(1_500), "{spent:?}");
}

#[tokio::test]
async fn a_backup_does_not_wait_out_the_pause_of_the_notice_before_it() {
    let peer = Peer::start(|number| (if number < 1 { 503 } else { 200 }, Some(60), AT_ONCE)).await;
    let (outbox, mut ends) = outbox(to_cad(&peer.url, None));
    outbox.submit(notice("i1", 1));
    while peer.received().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let started = monotonic_now();
    outbox.submit(backup("i1", 2));
    assert_eq!(next(&mut ends).await, delivered("i1.1.tell-cad"));
    assert_eq!(next(&mut ends).await, delivered("i1.2.cad"));
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

/// A gateway that holds every request keeps the recalls of other calls waiting for no offer's slot.
#[tokio::test]
async fn a_recall_does_not_queue_behind_offers_that_hang() {
    let peer = Peer::start(|number| (200, None, if number < 2 { Duration::from_secs(30) } else { AT_ONCE })).await;
    let slow = Settings { concurrency_max: 2, try_timeout_ms: 20_000, ..to_team(&peer.url) };
    let (outbox, mut ends) = outbox(slow);
    for number in 0..10 {
        outbox.submit(offer(&format!("i{number}"), "webhook", 1));
    }
    while peer.received().len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    outbox.submit(withdraw("w", "webhook"));
    assert_eq!(next(&mut ends).await, delivered("w.5.withdraw"));
}

#[tokio::test]
async fn without_a_name_server_the_configured_address_is_used() {
    let peer = Peer::start(|_| (200, None, AT_ONCE)).await;
    let url = peer.url.replace("127.0.0.1", "no-such-host.invalid");
    let fallback = [("no-such-host.invalid".to_owned(), vec![std::net::IpAddr::from([127, 0, 0, 1])])];
    let (outbox, mut ends) = outbox(Settings { fallback_addresses: fallback.into(), ..to_team(&url) });
    outbox.submit(offer("i1", "webhook", 1));
    assert_eq!(next(&mut ends).await, delivered("i1.3.offer"));
}
