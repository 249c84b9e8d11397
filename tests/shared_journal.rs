//! Several served adapters on one PostgreSQL: one dies, one stands still, both act at once, and the database fails over.

use crate::kill::{OFFERED, channels, hasty, offer_some, silent_team};
use crate::support::postgres::Cluster;
use crate::support::{Place, SAFE, Served, TOKEN, eido, eventually, fourth};
use fourth_simulators::client::Client;
use fourth_simulators::load::{LoadPlan, LoadReport, run};
use fourth_simulators::server::Server;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(40);
/// By when a leg of a dead adapter has moved on, after its deadline.
const TAKEN_OVER_WITHIN_S: i64 = 5;

/// Two adapters on one database, and a team that takes every message and never answers.
struct Pair {
    _silent: Server,
    cluster: Cluster,
    east: Place,
    west: Place,
    first: Served,
    _second: Served,
}

impl Pair {
    async fn start(policy: impl Fn(String) -> String) -> Self {
        let silent = silent_team().await;
        let channels = channels(&silent);
        let cluster = Cluster::start(&[]);
        let place = |adapter| Place::new(&policy, &channels).sharing(&cluster.url(&[]), adapter);
        let (east, west) = (place("east"), place("west"));
        let (first, second) = (Served::start(&east), Served::start(&west));
        cluster.until("both are alive", "SELECT count(*) = 2 FROM fourth.lease WHERE until > clock_timestamp()");
        Self { _silent: silent, cluster, east, west, first, _second: second }
    }
}

/// The journal as the database has it, in order: `incident`, `kind`, `at`, `event`.
fn entries(cluster: &Cluster) -> Vec<Value> {
    let all = cluster.sql(
        "SELECT coalesce(json_agg(json_build_object('incident', incident, 'kind', kind, 'at', at, \
         'event', convert_from(payload, 'UTF8')::json) ORDER BY sequence), '[]') FROM fourth.entry",
    );
    serde_json::from_str(&all).unwrap()
}

fn instant(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

/// For each leg on offer: its deadline, and the instants at which it ended.
fn legs(entries: &[Value]) -> BTreeMap<String, (Timestamp, Vec<Timestamp>)> {
    let mut legs: BTreeMap<String, (Timestamp, Vec<Timestamp>)> = BTreeMap::new();
    for entry in entries {
        let leg = entry["event"]["leg"].as_str().unwrap_or_default().to_owned();
        match entry["kind"].as_str().unwrap() {
            "offered" => {
                legs.insert(leg, (instant(&entry["event"]["deadline"]), Vec::new()));
            }
            "timed-out" | "declined" | "withdrawn" | "undeliverable" => {
                if let Some((_, ended)) = legs.get_mut(&leg) {
                    ended.push(instant(&entry["at"]));
                }
            }
            _ => {}
        }
    }
    legs
}

fn load(place: &Place, rate_per_s: f64, duration: Duration, prefix: &str) -> tokio::task::JoinHandle<LoadReport> {
    tokio::spawn(run(LoadPlan {
        url: format!("{}/v1/calls", place.url(0)),
        token: TOKEN.to_owned(),
        sender: "default".to_owned(),
        rate_per_s,
        duration,
        connections: 32,
        time_limit: Duration::from_secs(10),
        prefix: prefix.to_owned(),
    }))
}

/// How often each sender's name was received, by the journal.
fn received(entries: &[Value]) -> BTreeMap<String, usize> {
    let mut received = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry["kind"] == "record-received") {
        *received.entry(entry["event"]["identity"]["incident"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    received
}

/// Show 4 of issue 4, first half.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_adapter_s_legs_move_on_within_five_seconds_of_their_deadlines() {
    let Pair { _silent, cluster, east, west, first, _second } = Pair::start(hasty).await;
    let under_load =
        [load(&east, 20.0, Duration::from_secs(8), "east"), load(&west, 20.0, Duration::from_secs(8), "west")];
    cluster.until_patient("west");
    offer_some(&east).await;
    first.kill();
    let ended = eventually("every leg of the dead adapter ends", PATIENCE, async || {
        let legs = legs(&entries(&cluster));
        (legs.len() >= OFFERED && legs.values().all(|(_, ended)| !ended.is_empty())).then_some(legs)
    })
    .await;
    let late_ms = ended.values().map(|(deadline, ended)| ended[0].duration_since(*deadline).as_millis()).max().unwrap();
    println!("an adapter killed under load: {} legs moved on, the latest {late_ms} ms after its deadline", ended.len());
    assert!(late_ms < i128::from(TAKEN_OVER_WITHIN_S) * 1_000, "{ended:?}");
    assert!(ended.values().all(|(_, ended)| ended.len() == 1), "each ended once: {ended:?}");
    let mut acknowledged = Vec::new();
    for load in under_load {
        acknowledged.extend(load.await.unwrap().acknowledged().map(str::to_owned).collect::<Vec<_>>());
    }
    let received = received(&entries(&cluster));
    assert!(!acknowledged.is_empty() && acknowledged.iter().all(|id| received.get(id) == Some(&1)), "lost or doubled");
}

/// Show 4, second half, and fault 54: an adapter that stands still longer than its lease, and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_that_stood_still_ends_nothing_that_another_has_ended() {
    let Pair { _silent, cluster, east, west: _west, first: still, _second } = Pair::start(hasty).await;
    offer_some(&east).await;
    let signal = |signal: &str| {
        assert!(Command::new("kill").args([signal, &still.id().to_string()]).status().unwrap().success())
    };
    signal("-STOP");
    let count = eventually("west ends the legs", PATIENCE, async || {
        let legs = legs(&entries(&cluster));
        (legs.len() >= OFFERED && legs.values().all(|(_, ended)| !ended.is_empty())).then_some(legs.len())
    })
    .await;
    signal("-CONT");
    // East joins again, and then takes records as before.
    let taken = eventually("east takes records again", PATIENCE, async || {
        let report =
            load(&east, 5.0, Duration::from_millis(200), &format!("again{}", Timestamp::now().as_millisecond()))
                .await
                .unwrap();
        report.acknowledged().next().map(str::to_owned)
    })
    .await;
    let entries = entries(&cluster);
    let legs = legs(&entries);
    println!("an adapter stopped for longer than its lease: {count} legs ended by the other, each once");
    assert!(legs.values().all(|(_, ended)| ended.len() == 1), "{legs:?}");
    assert_eq!(received(&entries).get(&taken), Some(&1));
}

/// I6 and I7 across adapters: what both do at once happens once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_adapters_do_at_once_happens_once() {
    let pair = Pair::start(|policy| hasty(policy).replace("accept_deadline_s = 2", "accept_deadline_s = 600")).await;
    let Pair { cluster, east, west, .. } = &pair;
    let client = Client::new(Duration::from_secs(20));
    for number in 0..8 {
        let id = format!("urn:emergency:uid:incidentid:both{number}:kamloops.example");
        let record: Value = serde_json::from_str(&eido(&id, "2026-05-01T20:00:00-07:00", "WELFARE", SAFE)).unwrap();
        let to = |place: &Place| format!("{}/v1/calls", place.url(0));
        let (at_east, at_west) = (to(east), to(west));
        let both = tokio::join!(client.post_json(&at_east, TOKEN, &record), client.post_json(&at_west, TOKEN, &record));
        let (one, two) = (both.0.unwrap().json(), both.1.unwrap().json());
        assert_eq!(one["incident"], two["incident"], "one call is one incident: {one} {two}");
        let choose = |at: &str| format!("{at}/{}/choice", one["incident"].as_str().unwrap());
        let (at_east, at_west, accept) = (choose(&at_east), choose(&at_west), json!({"choice": "accept"}));
        let both = tokio::join!(client.post_json(&at_east, TOKEN, &accept), client.post_json(&at_west, TOKEN, &accept));
        let statuses = [both.0.unwrap().status, both.1.unwrap().status];
        assert!(statuses.contains(&200), "{statuses:?}");
    }
    let entries = entries(cluster);
    for kind in ["record-received", "chosen", "offered"] {
        assert_eq!(entries.iter().filter(|entry| entry["kind"] == kind).count(), 8, "{kind}");
    }
}

/// Show 3 of issue 4, and fault 65.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_standby_is_promoted_under_load_and_nothing_acknowledged_is_lost_or_doubled() {
    let primary = Cluster::start(&[]);
    let standby = primary.standby();
    primary.set("synchronous_standby_names", "standby");
    primary
        .until("the standby is synchronous", "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'");
    let place = Place::new(|policy| policy, "").sharing(&primary.url(&[&standby]), "east");
    let _served = Served::start(&place);
    let (rate_per_s, duration) = (500.0, Duration::from_secs(6));
    let load = load(&place, rate_per_s, duration, "promoted");
    primary.until("the load is on", "SELECT count(*) > 400 FROM fourth.entry WHERE kind = 'record-received'");
    primary.kill();
    standby.promote();
    let report = load.await.unwrap();
    let acknowledged: Vec<String> = report.acknowledged().map(str::to_owned).collect();
    // Sent again, as a CAD does with what was not acknowledged.
    let mut answered_s: Vec<f64> = Vec::new();
    for (number, record) in report.records.iter().enumerate().filter(|(_, record)| record.acknowledged()) {
        answered_s.push(number as f64 / rate_per_s + record.latency.as_secs_f64());
    }
    answered_s.sort_by(f64::total_cmp);
    let pause_s = answered_s.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
    let received = received(&entries(&standby));
    let lost = acknowledged.iter().filter(|id| !received.contains_key(*id)).count();
    let doubled = received.values().filter(|times| **times != 1).count();
    println!(
        "standby promoted at {rate_per_s} calls/s: {} sent, {} acknowledged, {} in the journal, lost {lost}, doubled {doubled}, longest pause {pause_s:.2} s",
        report.n(),
        acknowledged.len(),
        received.len(),
    );
    assert_eq!((lost, doubled), (0, 0));
    let last_before = report.records.iter().rposition(|record| record.acknowledged()).unwrap();
    assert!(last_before > report.n() / 2, "calls are taken again after the promotion");
}

/// An adapter with a local journal beside its database.
fn with_a_local_journal(place: Place, away_after_ms: u32) -> Place {
    let before = std::fs::read_to_string(place.configuration()).unwrap();
    let shared =
        format!("path = \"away.db\"\n[journal.postgres]\naway_after_ms = {away_after_ms}\nappend_deadline_ms = 1000");
    std::fs::write(place.configuration(), before.replace("[journal.postgres]", &shared)).unwrap();
    place
}

async fn readiness(place: &Place) -> Value {
    let client = Client::new(Duration::from_secs(5));
    client.get(&format!("{}/readyz", place.url(3)), TOKEN).await.unwrap().json()
}

async fn until_home(place: &Place, number: u32) {
    let next = place.folder.path().join(format!("away.db.{}", number + 1));
    eventually("everything is home", PATIENCE, async || next.exists().then_some(())).await;
}

/// Show 3 of issue 4, second half: PostgreSQL gone, calls go on against the local journal and are merged after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_is_stopped_under_load_calls_go_on_and_each_is_in_the_shared_journal_once_after() {
    let silent = silent_team().await;
    let cluster = Cluster::start(&[]);
    let place = with_a_local_journal(Place::new(hasty, &channels(&silent)).sharing(&cluster.url(&[]), "east"), 1_000);
    let _served = Served::start(&place);
    offer_some(&place).await;
    let (rate_per_s, duration) = (50.0, Duration::from_secs(12));
    let load = load(&place, rate_per_s, duration, "stopped");
    cluster.until("the load is on", "SELECT count(*) > 50 FROM fourth.entry WHERE kind = 'record-received'");
    cluster.stop();
    let away = eventually("it is away, and ready", PATIENCE, async || {
        let readiness = readiness(&place).await;
        (readiness["journal"]["ready"] == true && readiness["journal"]["away_since"].is_string()).then_some(readiness)
    })
    .await;
    assert_eq!(away["ready"], true, "{away}");
    let report = load.await.unwrap();
    let before_its_return = report.acknowledged().count();
    cluster.start_again();
    until_home(&place, 1).await;
    let acknowledged: Vec<String> = report.acknowledged().map(str::to_owned).collect();
    let entries = entries(&cluster);
    let received = received(&entries);
    let lost = acknowledged.iter().filter(|id| !received.contains_key(*id)).count();
    let doubled = received.values().filter(|times| **times != 1).count();
    let legs = legs(&entries);
    let late_ms = legs.values().map(|(deadline, ended)| ended[0].duration_since(*deadline).as_millis()).max().unwrap();
    println!(
        "the database stopped at {rate_per_s} calls/s for the rest of {duration:?}: {} sent, {before_its_return} acknowledged, {} in the journal, lost {lost}, doubled {doubled}; {} legs ended, the latest {late_ms} ms after its deadline",
        report.n(),
        received.len(),
        legs.len(),
    );
    assert_eq!((lost, doubled), (0, 0));
    let last = report.records.iter().rposition(|record| record.acknowledged()).unwrap();
    assert!(last + 5 > report.n(), "calls are taken to the end, the database away: {last} of {}", report.n());
    assert!(legs.len() >= OFFERED && legs.values().all(|(_, ended)| ended.len() == 1), "each ended once: {legs:?}");
    assert!(late_ms < i128::from(TAKEN_OVER_WITHIN_S) * 1_000, "and in time: {legs:?}");
    let back = readiness(&place).await;
    assert_eq!((&back["ready"], &back["journal"]["away_since"]), (&json!(true), &Value::Null), "{back}");
}

/// Killed while it brings home what it journaled alone, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_killed_in_the_middle_of_the_homecoming_brings_everything_home_once() {
    let cluster = Cluster::start(&[]);
    let place = with_a_local_journal(Place::new(|policy| policy, "").sharing(&cluster.url(&[]), "east"), 1_000);
    let mut served = Served::start(&place);
    cluster.stop();
    eventually("it is away", PATIENCE, async || {
        readiness(&place).await["journal"]["away_since"].is_string().then_some(())
    })
    .await;
    let report = load(&place, 100.0, Duration::from_secs(4), "apart").await.unwrap();
    let acknowledged: Vec<String> = report.acknowledged().map(str::to_owned).collect();
    assert!(acknowledged.len() > 300, "{}", acknowledged.len());
    cluster.start_again();
    let home = || {
        cluster.sql("SELECT count(*) FROM fourth.entry WHERE kind = 'record-received'").parse::<usize>().unwrap_or(0)
    };
    let (mut kills, mut seen) = (0, Vec::new());
    while kills < 6 && !place.folder.path().join("away.db.2").exists() {
        let before = home();
        eventually("more is home", PATIENCE, async || {
            (home() > before || place.folder.path().join("away.db.2").exists()).then_some(())
        })
        .await;
        served.kill();
        kills += 1;
        seen.push(home());
        served = Served::start(&place);
    }
    until_home(&place, 1).await;
    let entries = entries(&cluster);
    let received = received(&entries);
    println!(
        "killed {kills} times in the homecoming, {seen:?} of {} records home at each: all of them once",
        acknowledged.len()
    );
    assert!(acknowledged.iter().all(|id| received.get(id) == Some(&1)), "lost or doubled");
    assert!(received.values().all(|times| *times == 1));
    assert_eq!(entries.iter().filter(|entry| entry["kind"] == "brought-home").count(), 1);
    assert!(seen.iter().any(|home| *home < acknowledged.len()), "at least once it was killed in the middle: {seen:?}");
    drop(served);
}

/// No start-up waits for the database, and none is needed after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_that_starts_while_its_database_is_away_takes_calls_and_brings_them_home() {
    let cluster = Cluster::start(&[]);
    let place = with_a_local_journal(Place::new(|policy| policy, "").sharing(&cluster.url(&[]), "east"), 1_000);
    cluster.stop();
    let _served = Served::start(&place);
    let report = load(&place, 20.0, Duration::from_secs(1), "started").await.unwrap();
    let acknowledged: Vec<String> = report.acknowledged().map(str::to_owned).collect();
    assert_eq!(acknowledged.len(), report.n(), "every call is taken");
    cluster.start_again();
    until_home(&place, 1).await;
    let received = received(&entries(&cluster));
    assert!(acknowledged.iter().all(|id| received.get(id) == Some(&1)), "lost or doubled");
    let later = load(&place, 20.0, Duration::from_millis(200), "later").await.unwrap();
    what_the_commands_read_is_what_is_in_the_database(&cluster, &place);
    let in_the_database = crate::shared_journal::received(&entries(&cluster));
    assert!(later.acknowledged().all(|id| in_the_database.get(id) == Some(&1)) && later.n() > 0);
}

/// `fourth journal` and `fourth report` read a shared database by the adapter's configuration, beside the adapter.
fn what_the_commands_read_is_what_is_in_the_database(cluster: &Cluster, place: &Place) {
    let config = place.configuration().display().to_string();
    let said = |words: &[&str], status: i32| {
        let (ended, said, complaint) = fourth(&[words, &["--config", &config]].concat());
        assert_eq!(ended, status, "{words:?}: {said}{complaint}");
        said
    };
    let count: u64 = cluster.sql("SELECT head_sequence FROM fourth.agency").parse().unwrap();
    let verified: Value = serde_json::from_str(&said(&["journal", "verify", "--json"], 0)).unwrap();
    assert_eq!((&verified["whole"], &verified["entries"]), (&json!(true), &json!(count)), "{verified}");
    let hash = cluster.sql("SELECT encode(head_hash, 'hex') FROM fourth.agency");
    assert_eq!(verified["last_hash"], json!(hash));
    said(&["journal", "verify", "--checkpoint", &format!("{count}:{hash}")], 0);
    said(&["journal", "verify", "--checkpoint", &format!("{count}:{}", "0".repeat(64))], 1);
    let exported = said(&["journal", "export"], 0);
    assert_eq!(exported.lines().count() as u64, count);
    assert!(!exported.contains("Canary"));
    let incident = cluster.sql("SELECT incident FROM fourth.entry WHERE incident IS NOT NULL LIMIT 1");
    let shown = said(&["journal", "show", "--json", &incident], 0);
    assert!(shown.lines().all(|line| line.contains(&incident)) && shown.lines().count() >= 2, "{shown}");
    let received = cluster.sql("SELECT count(DISTINCT incident) FROM fourth.entry WHERE kind = 'record-received'");
    assert!(said(&["report", "--json"], 0).contains(&format!("[\"incidents\",\"{received}\"]")));
    // What is open is neither forgotten nor dropped, and whoever asks stops no adapter.
    let refused = |words: &[&str]| {
        let (ended, said, complaint) = fourth(&[words, &["--config", &config]].concat());
        assert_eq!((ended, said.as_str()), (2, ""), "{words:?}: {complaint}");
        complaint
    };
    let open = cluster.sql("SELECT min(incident) FROM fourth.incident WHERE NOT rests");
    let told = refused(&["journal", "forget", &open]);
    assert!(told.contains("is open, and its record is needed; close it first"), "{told}");
    let sealed = said(&["journal", "seal", "--before", "9999-01-01T00:00:00Z"], 0);
    let through = cluster.sql("SELECT through FROM fourth.seal");
    assert!(sealed.contains(&format!("up to entry {through}")), "{sealed}");
    assert!(refused(&["journal", "drop", "--through", &through]).contains("is open; close it first"));
    assert_eq!(cluster.sql("SELECT string_agg(DISTINCT adapter, ' ') FROM fourth.writer"), "east");
    cluster.sql(
        "BEGIN; SET LOCAL session_replication_role = replica; UPDATE fourth.entry SET kind = 'declined' WHERE sequence = 3; COMMIT",
    );
    let broken: Value = serde_json::from_str(&said(&["journal", "verify", "--json"], 1)).unwrap();
    assert_eq!((&broken["fault"]["sequence"], &broken["entries"]), (&json!(3), &json!(2)), "{broken}");
}
