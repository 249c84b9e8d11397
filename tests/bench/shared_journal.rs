//! Appends a second to the shared journal with 1 and 64 writers, beside `pgbench` on the same server, without and with a
//! synchronous standby. Every server runs with `fsync` on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    dead_code,
    missing_docs,
    reason = "a bench that panics has failed; it prints what it measured and uses a part of the tests' support"
)]

#[path = "../support/postgres.rs"]
mod postgres;

use fourth_option::incident::{Actor, Event};
use fourth_option::journal::{Batch, Journal, PostgresJournal, PostgresSettings, Stored, Subject};
use fourth_option::record::{IncidentId, LegId};
use jiff::Timestamp;
use postgres::Cluster;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const FOR: Duration = Duration::from_secs(5);
/// About what one record's events take, as JSON.
const PAYLOAD_BYTES: usize = 2_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let alone = Cluster::start(&["fsync = on"]);
    compare(&runtime, "no standby", &alone);
    let primary = Cluster::start(&["fsync = on"]);
    let _standby = primary.standby();
    primary.set("synchronous_standby_names", "standby");
    compare(&runtime, "synchronous standby", &primary);
}

fn compare(runtime: &tokio::runtime::Runtime, what: &str, cluster: &Cluster) {
    cluster.sql("CREATE TABLE raw (id bigserial PRIMARY KEY, payload bytea)");
    let script = format!("INSERT INTO raw (payload) VALUES (decode(repeat('78', {PAYLOAD_BYTES}), 'hex'))");
    let settings = PostgresSettings {
        commit_batches_max: 64,
        ..PostgresSettings::new(cluster.url(&[]).parse().unwrap(), "bench", "bench")
    };
    let journal: Arc<dyn Journal> =
        runtime.block_on(async { Arc::new(PostgresJournal::open(&settings).await.unwrap()) });
    for writers in [1, 64] {
        let appended = runtime.block_on(append(&journal, writers));
        let raw = cluster.pgbench(&script, writers.min(50), FOR);
        let per_s = appended as f64 / FOR.as_secs_f64();
        println!(
            "{what}, {writers:>2} writers: {per_s:>7.0} appends/s, pgbench with {:>2} clients {raw:>7.0} inserts/s",
            writers.min(50)
        );
    }
}

/// Appends of one event each until the time is over; counts those that were acknowledged.
async fn append(journal: &Arc<dyn Journal>, writers: usize) -> u64 {
    let (over, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let started = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let (journal, over, count) = (Arc::clone(journal), Arc::clone(&over), Arc::clone(&count));
            tokio::spawn(async move {
                let incident = IncidentId::new(format!("bench-{writers}-{writer}"));
                for version in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let by = Actor::Team("x".repeat(PAYLOAD_BYTES));
                    let events = vec![Stored::Incident(Event::Accepted { leg: LegId::of(&incident, 1), by })];
                    let batch = Batch::new(Subject::Incident(incident.clone()), version, Timestamp::now(), events);
                    journal.append(batch).await.unwrap();
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    tokio::time::sleep(FOR.saturating_sub(started.elapsed())).await;
    over.store(true, Ordering::Relaxed);
    let counted = count.load(Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    counted
}
