//! Too much at once: a day sent again, a storm of calls, an upgrade behind thousands of others, reports beside intake.
//!
//! What is asserted is what became of each record; how long it took is printed, since shared machines are noisy. The one
//! bound on time is that of the accepted deadline, which no machine excuses.

use crate::support::{Place, SAFE, Served, TOKEN, eido, eventually};
use fourth_option::incident::Event;
use fourth_option::journal::{EmbeddedJournal, Stored};
use fourth_option::policy::Status;
use fourth_simulators::client::Client;
use fourth_simulators::load::{LoadPlan, LoadReport, eido_record, run, run_with};
use hyper::Method;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const INTAKE: usize = 0;
const PATIENCE: Duration = Duration::from_secs(30);
const AT: &str = "2026-05-01T20:00:00-07:00";

fn plan(place: &Place, prefix: &str, rate_per_s: f64, seconds: u64) -> LoadPlan {
    LoadPlan {
        url: format!("{}/v1/calls", place.url(INTAKE)),
        token: TOKEN.to_owned(),
        sender: "default".to_owned(),
        rate_per_s,
        duration: Duration::from_secs(seconds),
        connections: 32,
        time_limit: Duration::from_secs(30),
        prefix: prefix.to_owned(),
    }
}

/// How often each of the sender's names was received as new, and how many offers there were.
fn journaled(place: &Place) -> (BTreeMap<String, usize>, usize) {
    let journal = EmbeddedJournal::open_read_only(&place.journal()).unwrap();
    let (mut received, mut offers) = (BTreeMap::new(), 0);
    for entry in journal.entries_after(0, usize::MAX).unwrap() {
        match entry.stored {
            Stored::Incident(Event::RecordReceived(record)) => {
                *received.entry(record.identity.incident).or_default() += 1;
            }
            Stored::Incident(Event::Offered { .. }) => offers += 1,
            _ => {}
        }
    }
    (received, offers)
}

fn statuses(report: &LoadReport) -> BTreeMap<Option<u16>, usize> {
    let mut statuses = BTreeMap::new();
    for record in &report.records {
        *statuses.entry(record.status).or_default() += 1;
    }
    statuses
}

/// Sends one record on a connection of its own; gives the status.
async fn send(place: &Place, record: String) -> u16 {
    let bearer = format!("Bearer {TOKEN}");
    let url = format!("{}/v1/calls", place.url(INTAKE));
    let client = Client::new(Duration::from_secs(30));
    client.send(Method::POST, &url, &[("authorization", bearer.as_str())], record).await.unwrap().status
}

fn name(call: &str) -> String {
    format!("urn:emergency:uid:incidentid:{call}:kamloops.example")
}

/// Fault 13: the CAD starts again and sends everything once more; a live call comes among it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_sent_again_opens_nothing_twice_and_a_live_call_among_it_is_taken() {
    let place = Place::new(|policy| policy, "");
    let _served = Served::start(&place);
    let day = run(plan(&place, "day", 300.0, 4)).await;
    assert_eq!(day.acknowledged().count(), day.n(), "{day}");
    let (before, offers_before) = journaled(&place);
    let again = tokio::spawn(run(plan(&place, "day", 1_200.0, 1)));
    let sent = Instant::now();
    assert_eq!(send(&place, eido(&name("live"), AT, "WELFARE", SAFE)).await, 200);
    let took = sent.elapsed();
    let again = again.await.unwrap();
    println!("a day sent again: {again}; the live call among it took {took:?}");
    assert_eq!(again.acknowledged().count(), day.n(), "{again}");
    let (after, offers) = journaled(&place);
    assert_eq!(after.len(), before.len() + 1, "only the live call is new");
    assert!(after.values().all(|times| *times == 1), "a repeat is no second record");
    assert_eq!(offers, offers_before, "a repeat offers nothing");
}

/// Faults 11 and 72: five hundred records a second, four of five of them repeats; an offer runs out meanwhile, and
/// another is taken back because a weapon is learnt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_delays_neither_a_deadline_nor_danger_and_every_record_is_taken_once_or_refused() {
    let silent = crate::kill::silent_team().await;
    let place = Place::new(crate::kill::hasty, &crate::kill::channels(&silent));
    let _served = Served::start(&place);
    crate::kill::offer_some(&place).await;
    let make = |prefix: &str, number: u64| eido_record(prefix, number / 5);
    let storm = tokio::spawn(run_with(plan(&place, "storm", 500.0, 6), make));
    let weapon: Vec<_> =
        SAFE.iter().map(|(fact, value)| (*fact, if *fact == "weapon" { "used" } else { *value })).collect();
    let upgraded = Instant::now();
    let later = "2026-05-01T20:01:00-07:00";
    assert_eq!(send(&place, eido(&name("offered0"), later, "WELFARE", &weapon)).await, 200);
    let took = upgraded.elapsed();
    let storm = storm.await.unwrap();
    println!("a storm: {storm}; statuses {:?}; the upgrade among it took {took:?}", statuses(&storm));
    for record in storm.records.iter().filter(|record| !record.acknowledged()) {
        assert!(matches!(record.status, Some(429 | 503)), "refused in words or taken: {record:?}");
    }
    let (received, _) = journaled(&place);
    for id in storm.acknowledged() {
        assert_eq!(received.get(id), Some(&1), "{id}");
    }
    let journal = EmbeddedJournal::open_read_only(&place.journal()).unwrap();
    let entries = journal.entries_after(0, usize::MAX).unwrap();
    let last_of_storm =
        entries.iter().rposition(|entry| matches!(entry.stored, Stored::Incident(Event::RecordReceived(_))));
    let place_of = |wanted: fn(&Event) -> bool| {
        entries.iter().position(|entry| matches!(&entry.stored, Stored::Incident(event) if wanted(event)))
    };
    let barred = place_of(|event| match event {
        Event::Assessed { decision, .. } => matches!(decision.status, Status::Ineligible { .. }),
        _ => false,
    });
    let timed_out = place_of(|event| matches!(event, Event::TimedOut { .. }));
    assert!(barred.is_some() && barred < last_of_storm, "danger does not wait for the storm to pass");
    assert!(timed_out.is_some() && timed_out < last_of_storm, "nor does a deadline");
}

/// Faults 47 and 67: reports are read all the while, and the same records again and again leave no memory and no
/// descriptor behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_beside_intake_refuse_nobody_and_repeats_leave_nothing_behind() {
    let place = Place::new(|policy| policy, "");
    let served = Served::start(&place);
    let held = || {
        let of = |what: &str| format!("/proc/{}/{what}", served.id());
        let status = std::fs::read_to_string(of("status")).unwrap();
        let own_kib: u64 = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"))
            .unwrap()
            .trim_end_matches("kB")
            .trim()
            .parse()
            .unwrap();
        (std::fs::read_dir(of("fd")).unwrap().count(), own_kib)
    };
    let first = run(plan(&place, "same", 400.0, 2)).await;
    assert_eq!(first.acknowledged().count(), first.n(), "{first}");
    let (fds, kib) = held();
    let journal = place.journal();
    let reports = tokio::task::spawn_blocking(move || {
        (0..6)
            .map(|_| crate::support::fourth(&["report", "--json", "--journal", journal.to_str().unwrap()]).0)
            .collect::<Vec<_>>()
    });
    for _ in 0..5 {
        let again = run(plan(&place, "same", 800.0, 1)).await;
        assert_eq!(again.acknowledged().count(), again.n(), "{again}");
    }
    assert!(reports.await.unwrap().iter().all(|status| *status == 0));
    let settled = eventually("the descriptors of idle connections are closed", PATIENCE, async || {
        let (now, _) = held();
        (now <= fds).then_some(now)
    })
    .await;
    let (_, kib_after) = held();
    println!(
        "before and after five times the same records: {fds} and {settled} descriptors, {kib} and {kib_after} KiB"
    );
    assert!(kib_after < kib + 8 * 1024, "{kib} KiB before, {kib_after} after");
}
