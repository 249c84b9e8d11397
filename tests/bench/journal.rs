//! The embedded journal: appends a second with one and with 64 writers beside the machine's own `fdatasync`, in one run; and a
//! restart on a large journal. Run by `make bench`; `FOURTH_BENCH_EVENTS=10000000` makes the journal of ten million events.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, measures time, and stops where it cannot measure"
)]

use bytes::Bytes;
use fourth_option::call_processing::Desk;
use fourth_option::clock::Clock;
use fourth_option::incident::{Event, Incident};
use fourth_option::journal::{Batch, Content, EmbeddedJournal, Journal, Settings, Standing, Stored, Subject};
use fourth_option::record::{IncidentId, LegId};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long each way of appending is measured, in each round.
const MEASURED: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;
/// Bytes of a record, and of a raw write: what SQLite's log gets for one small commit.
const RECORD_BYTES: usize = 2_048;
const RAW_BYTES: usize = 4_096;
/// Incidents of the large journal that do not rest.
const OPEN_INCIDENTS: usize = 1_000;
/// Events of a call that went to a team and was closed, as [`life`] makes them.
const EVENTS_EACH: usize = 10;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    appends(&runtime);
    let events = std::env::var("FOURTH_BENCH_EVENTS").ok().map_or(200_000, |events| events.parse().unwrap());
    restart(&runtime, 100_000, 100_000 / EVENTS_EACH);
    restart(&runtime, events, OPEN_INCIDENTS);
}

/// Raw writes, one writer and 64 writers in turn, so that a neighbour on the machine meets all of them.
fn appends(runtime: &tokio::runtime::Runtime) {
    println!("appends, {ROUNDS} rounds of {MEASURED:?} each, records of {RECORD_BYTES} bytes");
    let mut rates: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        rates.entry("raw fdatasync of 4 KiB").or_default().push(raw_syncs());
        for (name, writers, events) in
            [("1 writer, 1 event", 1, 1), ("64 writers, 1 event", 64, 1), ("64 writers, 2 events and a record", 64, 2)]
        {
            let (rate, p50, p99) = runtime.block_on(journal_rate(writers, events));
            rates.entry(name).or_default().push(rate);
            println!("  {name}: {rate:.0} events/s, p50 {p50:.2?}, p99 {p99:.2?}");
        }
    }
    let mut middle = |name: &str| {
        let rates = rates.get_mut(name).unwrap();
        rates.sort_by(f64::total_cmp);
        rates[ROUNDS / 2]
    };
    let (raw, one, many) =
        (middle("raw fdatasync of 4 KiB"), middle("1 writer, 1 event"), middle("64 writers, 1 event"));
    println!(
        "raw fdatasync {raw:.0}/s; 1 writer {one:.0} events/s; 64 writers {many:.0} events/s: {:.1} times",
        many / one
    );
    println!("with a record each: {:.0} events/s", middle("64 writers, 2 events and a record"));
}

fn raw_syncs() -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let mut file = OpenOptions::new().create(true).append(true).open(folder.path().join("raw")).unwrap();
    let (started, block) = (Instant::now(), [7_u8; RAW_BYTES]);
    let mut syncs = 0_u32;
    while started.elapsed() < MEASURED {
        file.write_all(&block).unwrap();
        file.sync_data().unwrap();
        syncs += 1;
    }
    f64::from(syncs) / started.elapsed().as_secs_f64()
}

async fn journal_rate(writers: u64, events: usize) -> (f64, Duration, Duration) {
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(EmbeddedJournal::open(&Settings::new(folder.path().join("journal.db"))).unwrap());
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..writers {
        let journal = Arc::clone(&journal);
        tasks.spawn(async move {
            let id = IncidentId::new(format!("writer-{writer}"));
            let (mut waits, mut version) = (Vec::new(), 0_u64);
            while started.elapsed() < MEASURED {
                let asked = Instant::now();
                let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(i64::try_from(version).unwrap());
                let one = || Stored::Incident(Event::TimedOut { leg: LegId::of(&id, 1) });
                let subject = Subject::Incident(id.clone());
                let mut batch = Batch::new(subject, version, at, std::iter::repeat_with(one).take(events).collect());
                if events > 1 {
                    let bytes = Bytes::from(vec![7_u8; RECORD_BYTES]);
                    batch.content = Some(Content { sha256: format!("{writer:032}{version:032}"), bytes });
                }
                version += journal.append(batch).await.unwrap().len() as u64;
                waits.push(asked.elapsed());
            }
            (waits, version)
        });
    }
    let done = tasks.join_all().await;
    let seconds = started.elapsed().as_secs_f64();
    let appended: u64 = done.iter().map(|(_, version)| version).sum();
    let mut waits: Vec<Duration> = done.into_iter().flat_map(|(waits, _)| waits).collect();
    waits.sort_unstable();
    (appended as f64 / seconds, waits[waits.len() / 2], waits[waits.len() * 99 / 100])
}

fn sample(kind: &str) -> Event {
    let path = format!("{}/schemas/journal/events/v1/{kind}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The frozen samples, read once.
struct Samples(BTreeMap<&'static str, Event>);

impl Samples {
    fn read() -> Self {
        let kinds = ["record-received", "assessed", "chosen", "offered", "timed-out", "returned-to-ordinary", "closed"];
        Self(kinds.into_iter().map(|kind| (kind, sample(kind))).collect())
    }

    /// One call: received, assessed, offered, timed out, back, closed and delivered: ten events; or as far as its last offer.
    fn life(&self, number: usize, from: Timestamp, rests: bool) -> Vec<Batch> {
        // Names as the adapter makes them: in no order.
        let id = IncidentId::new(format!("i-{}", hex::encode(&Sha256::digest(number.to_be_bytes())[..10])));
        let leg = LegId::of(&id, 1);
        let mut received = self.0["record-received"].clone();
        if let Event::RecordReceived(received) = &mut received {
            received.identity.incident = format!("2026-{number:08}");
            received.identity.content_sha256 = hex::encode(Sha256::digest(id.as_str()));
        }
        let mut offered = self.0["offered"].clone();
        if let Event::Offered { leg: name, deadline, .. } = &mut offered {
            (*name, *deadline) = (leg.clone(), from + SignedDuration::from_secs(120));
        }
        let mut steps = vec![vec![received, self.0["assessed"].clone()], vec![self.0["chosen"].clone(), offered]];
        if rests {
            let returned = self.0["returned-to-ordinary"].clone();
            steps.push(vec![Event::TimedOut { leg: leg.clone() }, returned, self.0["closed"].clone()]);
        }
        let mut incident = Incident::new(id.clone());
        let mut batches = Vec::new();
        let mut append = |incident: &mut Incident, events: Vec<Event>| {
            let at = from + SignedDuration::from_secs(i64::try_from(batches.len() * 30).unwrap());
            let expected = incident.version;
            let (after, _) = incident.after(&events, at);
            *incident = after;
            let events = events.into_iter().map(Stored::Incident).collect();
            let batch = Batch::new(Subject::Incident(id.clone()), expected, at, events);
            batches.push(Batch { standing: Some(Standing::of(incident)), ..batch });
        };
        for events in steps {
            append(&mut incident, events);
        }
        while rests && !incident.outstanding.is_empty() {
            let key = incident.outstanding.keys().next().unwrap().clone();
            append(&mut incident, vec![Event::Delivered { key }]);
        }
        assert_eq!(incident.rests(), rests);
        batches
    }
}

/// A year of calls, the last of them open, and what a restart on them costs.
fn restart(runtime: &tokio::runtime::Runtime, events: usize, open: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let now: Timestamp = "2026-11-01T08:00:00Z".parse().unwrap();
    let started = Instant::now();
    let written = runtime.block_on(fill(&path, events, open, now));
    let size = std::fs::metadata(&path).unwrap().len() as f64 / 1e9;
    println!(
        "a journal of {written} events, {size:.2} GB, {open} incidents open, written in {:.1?}",
        started.elapsed()
    );
    let started = Instant::now();
    let journal = Arc::new(EmbeddedJournal::open(&Settings::new(&path)).unwrap());
    let opened = started.elapsed();
    let clock = Clock::starting_at(now, 1.0);
    let desk = runtime.block_on(Desk::open(clock, Arc::clone(&journal) as Arc<dyn Journal>, None, BTreeMap::new()));
    let desk = desk.unwrap();
    println!("  opened in {opened:.1?}, serving after {:.1?}", started.elapsed());
    assert_eq!(desk.open_incidents().len(), open, "every open incident is there");
    drop(desk);
    let id = runtime.block_on(journal.unsettled()).unwrap()[open / 2].0.clone();
    let mut shown: Vec<Duration> = (0..21)
        .map(|_| {
            let started = Instant::now();
            let reader = EmbeddedJournal::open_read_only(&path).unwrap();
            assert!(!reader.entries_of(&id).unwrap().is_empty());
            started.elapsed()
        })
        .collect();
    shown.sort_unstable();
    println!("  one incident shown from a closed file in {:.2?} … {:.2?} … {:.2?}", shown[0], shown[10], shown[20]);
}

async fn fill(path: &Path, events: usize, open: usize, now: Timestamp) -> usize {
    let settings = Settings { commit_batches_max: 4_096, ..Settings::new(path) };
    let journal = Arc::new(EmbeddedJournal::open(&settings).unwrap());
    let samples = Arc::new(Samples::read());
    let each: usize = samples.life(0, now, true).iter().map(|batch| batch.events.len()).sum();
    let unfinished: usize = samples.life(0, now, false).iter().map(|batch| batch.events.len()).sum();
    let closed = events.saturating_sub(open * unfinished) / each;
    let lives = closed + open;
    let apart = SignedDuration::from_hours(365 * 24) / i32::try_from(lives.max(1)).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    const WRITERS: usize = 512;
    for writer in 0..WRITERS {
        let (journal, samples) = (Arc::clone(&journal), Arc::clone(&samples));
        tasks.spawn(async move {
            for number in (writer..lives).step_by(WRITERS) {
                let from = now - apart * i32::try_from(lives - number).unwrap();
                for batch in samples.life(number, from, number < closed) {
                    journal.append(batch).await.unwrap();
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    drop(tasks);
    closed * each + open * unfinished
}
