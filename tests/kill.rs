//! Adapters killed under load, two hundred times on each store: every acknowledged record is in the journal once, and
//! deadlines that passed meanwhile fire at restart.

use crate::support::postgres::Cluster;
use crate::support::{Place, SAFE, Served, TOKEN, eido, eventually};
use fourth_option::incident::Event;
use fourth_option::journal::{EmbeddedJournal, Entry, PostgresReader, PostgresSettings, Stored};
use fourth_simulators::client::Client;
use fourth_simulators::server::{Reply, Server};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const KILLS: usize = 200;
const KILLS_WITH_POLICY: usize = 20;
/// Peers that send calls at one time.
const PEERS: usize = 6;
/// Legs that are on offer when the adapter is killed for the first time.
pub const OFFERED: usize = 5;
const PATIENCE: Duration = Duration::from_secs(30);

pub fn entries(place: &Place) -> Vec<Entry> {
    let journal = EmbeddedJournal::open_read_only(&place.journal()).unwrap();
    let verification = journal.verify(&mut |_, _| {}).unwrap();
    assert_eq!(verification.fault, None, "the chain is whole");
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let page = journal.entries_after(entries.last().map_or(0, |entry| entry.sequence), 10_000).unwrap();
        if page.is_empty() {
            return entries;
        }
        entries.extend(page);
    }
}

/// As [`entries`], of a journal in a database.
async fn shared_entries(cluster: &Cluster) -> Vec<Entry> {
    let settings = PostgresSettings::new(cluster.url(&[]).parse().unwrap(), "kamloops.example", "the test");
    let journal = PostgresReader::open(&settings).await.unwrap();
    assert_eq!(journal.verify(&mut |_, _| {}).await.unwrap().fault, None, "the chain is whole");
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let page = journal.entries_after(entries.last().map_or(0, |entry| entry.sequence), 10_000).await.unwrap();
        if page.is_empty() {
            return entries;
        }
        entries.extend(page);
    }
}

/// Offers calls to a team that receives and never answers.
pub async fn offer_some(place: &Place) {
    let client = Client::new(Duration::from_secs(10));
    let intake = place.url(0);
    for number in 0..OFFERED {
        let id = format!("urn:emergency:uid:incidentid:offered{number}:kamloops.example");
        let url = format!("{intake}/v1/calls");
        let record: serde_json::Value =
            serde_json::from_str(&eido(&id, "2026-05-01T20:00:00-07:00", "WELFARE", SAFE)).unwrap();
        let decision = client.post_json(&url, TOKEN, &record).await.unwrap().json();
        assert_eq!(decision["status"], "eligible", "{decision}");
        let url = format!("{url}/{}/choice", decision["incident"].as_str().unwrap());
        let chosen = client.post_json(&url, TOKEN, &json!({"choice": "accept"})).await.unwrap();
        assert_eq!(chosen.status, 200, "{}", chosen.json());
    }
}

/// The Kamloops policy, open at any hour, with accept deadlines of two seconds.
pub fn hasty(policy: String) -> String {
    let hasty = |line: &str| {
        let line = set_number(&set_number(line, "accept_deadline_s = ", 2), "capacity = ", 1_000);
        if line.trim_start().starts_with("hours") || line.contains("from = \"") {
            line.replace("from = \"08:00\"", "from = \"00:00\"").replace("from = \"16:00\"", "from = \"00:00\"")
        } else {
            line
        }
    };
    policy.lines().map(hasty).collect::<Vec<_>>().join("\n")
}

fn set_number(line: &str, key: &str, value: u32) -> String {
    let Some(at) = line.find(key) else { return line.to_owned() };
    let (before, after) = line.split_at(at + key.len());
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}{value}{rest}")
}

/// A team that takes every message and never answers.
pub async fn silent_team() -> Server {
    Server::start("127.0.0.1:0".parse().unwrap(), |_| async { Reply::json(202, &json!({})) }).await.unwrap()
}

/// Channels to that team.
pub fn channels(team: &Server) -> String {
    ["webhook", "warm-transfer"]
        .map(|kind| {
            format!(
                "[handoff.channel.{kind}]\nkind = \"{kind}\"\nurl = \"{}\"\nsecret = \"a secret for the test\"\n",
                team.url()
            )
        })
        .concat()
}

/// Peers that send one closed call after another, to each adapter in turn, through every restart. As a CAD does, they send
/// again what nobody acknowledged.
struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    tries: Arc<AtomicUsize>,
    /// Which adapter acknowledged what.
    acknowledged: Arc<Mutex<Vec<(usize, String)>>>,
    tasks: JoinSet<()>,
}

impl Load {
    fn start(places: &[Place]) -> Self {
        let (stop, sent, tries, acknowledged) = (Arc::default(), Arc::default(), Arc::default(), Arc::default());
        let mut load = Self { stop, sent, tries, acknowledged, tasks: JoinSet::new() };
        for peer in 0..PEERS {
            let urls: Vec<String> = places.iter().map(|place| format!("{}/v1/calls", place.url(0))).collect();
            let (stop, sent, tries) = (Arc::clone(&load.stop), Arc::clone(&load.sent), Arc::clone(&load.tries));
            let acknowledged = Arc::clone(&load.acknowledged);
            load.tasks.spawn(async move {
                let client = Client::new(Duration::from_secs(2));
                let mut adapters = (0..urls.len()).cycle().skip(peer);
                for number in 0.. {
                    let id = format!("urn:emergency:uid:incidentid:killed{peer}x{number}:kamloops.example");
                    let mut record: Value =
                        serde_json::from_str(&eido(&id, "2026-05-01T20:00:00-07:00", "WELFARE", SAFE)).unwrap();
                    record["incidentComponent"]["incidentStatusCommonRegistryText"] = json!(["Closed"]);
                    sent.fetch_add(1, Ordering::SeqCst);
                    loop {
                        if stop.load(Ordering::SeqCst) {
                            return;
                        }
                        let adapter = adapters.next().unwrap();
                        tries.fetch_add(1, Ordering::SeqCst);
                        let answer = client.post_json(&urls[adapter], TOKEN, &record).await;
                        tokio::time::sleep(Duration::from_millis(40)).await;
                        if answer.is_ok_and(|answer| answer.good()) {
                            acknowledged.lock().unwrap().push((adapter, id));
                            break;
                        }
                    }
                }
            });
        }
        load
    }

    fn count(&self, adapter: usize) -> usize {
        self.acknowledged.lock().unwrap().iter().filter(|(by, _)| *by == adapter).count()
    }

    /// How many records were sent, in how many tries, and those that were acknowledged.
    async fn end(mut self) -> (usize, usize, Vec<String>) {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        let acknowledged = self.acknowledged.lock().unwrap().iter().map(|(_, id)| id.clone()).collect();
        (self.sent.load(Ordering::SeqCst), self.tries.load(Ordering::SeqCst), acknowledged)
    }
}

fn count(entries: &[Entry], wanted: impl Fn(&Event) -> bool) -> usize {
    entries.iter().filter(|entry| matches!(&entry.stored, Stored::Incident(event) if wanted(event))).count()
}

/// Show 4 of the first issue, ten times as often, of adapters on one journal. Most starts find no policy, so that they take
/// no time: such an adapter takes every call for the ordinary route, and journals it all the same.
async fn two_hundred_kills(store: &str, places: &[Place], entries: impl AsyncFn() -> Vec<Entry>) {
    let mut served: Vec<Served> = places.iter().map(Served::start).collect();
    offer_some(&places[0]).await;
    let load = Load::start(places);
    let began = Instant::now();
    let mut next = 0;
    for kill in 0..KILLS {
        // Each has taken a call since it was started last.
        let before = load.count(next);
        eventually("a call is acknowledged after the restart", PATIENCE, async || {
            (load.count(next) > before).then_some(())
        })
        .await;
        // Each time at another instant: between requests, in them, in commits; and another adapter.
        tokio::time::sleep(Duration::from_millis((kill as u64 * 7_919) % 37)).await;
        next = (kill * 104_729 / 13) % places.len();
        served.remove(next).kill();
        if kill + 1 == KILLS_WITH_POLICY {
            for place in places {
                std::fs::rename(place.folder.path().join("policy"), place.folder.path().join("policy.away")).unwrap();
            }
        }
        served.insert(next, Served::start(&places[next]));
    }
    let took = began.elapsed();
    let (sent, tries, acknowledged) = load.end().await;
    let is_timed_out = |event: &Event| matches!(event, Event::TimedOut { .. });
    let timed_out = eventually("deadlines that passed fire at restart", PATIENCE, async || {
        let fired = count(&entries().await, is_timed_out);
        (fired >= OFFERED).then_some(fired)
    })
    .await;
    drop(served);
    let entries = entries().await;
    let mut received: BTreeMap<String, usize> = BTreeMap::new();
    for entry in &entries {
        if let Stored::Incident(Event::RecordReceived(record)) = &entry.stored {
            *received.entry(record.identity.incident.clone()).or_default() += 1;
        }
    }
    let lost: Vec<_> = acknowledged.iter().filter(|id| !received.contains_key(*id)).collect();
    let doubled: Vec<_> = received.iter().filter(|(_, times)| **times != 1).collect();
    println!(
        "{KILLS} kills of {} on {store} under load in {took:.1?}: {sent} records sent in {tries} tries, {} acknowledged, {} in the journal ({} entries), lost {}, doubled {}, deadlines fired {timed_out}",
        if places.len() == 1 { "one adapter".to_owned() } else { format!("{} adapters", places.len()) },
        acknowledged.len(),
        received.len(),
        entries.len(),
        lost.len(),
        doubled.len(),
    );
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    assert!(doubled.is_empty(), "in the journal more than once: {doubled:?}");
    assert!(acknowledged.len() > KILLS, "the load reached the adapter");
    let offered = count(&entries, |event| matches!(event, Event::Offered { .. }));
    let ended = count(&entries, |event| {
        matches!(event, Event::TimedOut { .. } | Event::Undeliverable { .. } | Event::Withdrawn { .. })
    });
    assert!(offered >= OFFERED && ended >= OFFERED, "{offered} offered, {ended} ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_kills_under_load_lose_nothing_and_double_nothing() {
    let silent = silent_team().await;
    let places = [Place::new(hasty, &channels(&silent))];
    two_hundred_kills("a file of its own", &places, async || entries(&places[0])).await;
}

/// Issue 4: the same on PostgreSQL, one of two adapters each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_kills_of_two_adapters_on_postgresql_lose_nothing_and_double_nothing() {
    let silent = silent_team().await;
    let cluster = Cluster::start(&[]);
    let place = |adapter| Place::new(hasty, &channels(&silent)).sharing(&cluster.url(&[]), adapter);
    let places = [place("east"), place("west")];
    two_hundred_kills("PostgreSQL", &places, async || shared_entries(&cluster).await).await;
}
