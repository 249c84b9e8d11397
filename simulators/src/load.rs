//! An open-loop load generator: a fixed schedule of unique records, latency from the intended start, no stop at errors.
//!
//! A closed loop waits for each answer before the next request and so hides a stall from its own figures (coordinated
//! omission). Here every record has its instant before the run begins; what starts late counts from that instant.

use crate::callers::SENDER_HEADER;
use crate::client::Client;
use crate::clock::monotonic_now;
use bytes::Bytes;
use hyper::Method;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// What is sent, where, and how densely.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// The whole URL each record is posted to.
    pub url: String,
    /// Bearer token.
    pub token: String,
    /// Name for the `Fourth-Sender` header.
    pub sender: String,
    /// Records a second.
    pub rate_per_s: f64,
    /// For how long records are due.
    pub duration: Duration,
    /// Requests under way at once, at most.
    pub connections: usize,
    /// Time limit of one request.
    pub time_limit: Duration,
    /// Prefix of the records' ids: two runs with different prefixes send different records.
    pub prefix: String,
}

/// What came of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentRecord {
    /// The sender's name of the incident.
    pub id: String,
    /// HTTP status; `None` where no answer came.
    pub status: Option<u16>,
    /// From the instant it was due to its answer, or to giving up.
    pub latency: Duration,
}

impl SentRecord {
    /// True for a 2xx: the receiver says it is durable.
    #[must_use]
    pub fn acknowledged(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// What came of the run.
#[derive(Debug, Clone)]
pub struct LoadReport {
    /// Every record, in the order it was due.
    pub records: Vec<SentRecord>,
    /// How long the run took.
    pub took: Duration,
}

impl LoadReport {
    /// Records sent.
    #[must_use]
    pub fn n(&self) -> usize {
        self.records.len()
    }

    /// Ids of the acknowledged records.
    pub fn acknowledged(&self) -> impl Iterator<Item = &str> + '_ {
        self.records.iter().filter(|record| record.acknowledged()).map(|record| record.id.as_str())
    }

    /// The latency that the given share (0 … 1) of the acknowledged records stayed within (nearest rank).
    /// `None` where none was acknowledged.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let mut latencies: Vec<Duration> =
            self.records.iter().filter(|record| record.acknowledged()).map(|record| record.latency).collect();
        latencies.sort_unstable();
        let rank = (share.clamp(0.0, 1.0) * latencies.len() as f64).ceil() as usize;
        latencies.get(rank.saturating_sub(1)).copied()
    }
}

impl std::fmt::Display for LoadReport {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let acknowledged = self.acknowledged().count();
        let ms = |share| self.percentile(share).unwrap_or_default().as_secs_f64() * 1e3;
        write!(
            formatter,
            "n {} · acknowledged {acknowledged} · p50 {:.2} ms · p99 {:.2} ms · most {:.2} ms · {:.1} s",
            self.n(),
            ms(0.5),
            ms(0.99),
            ms(1.0),
            self.took.as_secs_f64()
        )
    }
}

/// Runs the plan with small EIDO records. Never fails: what did not get through is in the report.
pub async fn run(plan: LoadPlan) -> LoadReport {
    run_with(plan, eido_record).await
}

/// Runs the plan with records of the caller's making: `(prefix, number)` gives id, content type and bytes.
pub async fn run_with<M>(plan: LoadPlan, make: M) -> LoadReport
where
    M: Fn(&str, u64) -> (String, &'static str, Bytes) + Send + Sync + 'static,
{
    let total = (plan.rate_per_s.max(0.0) * plan.duration.as_secs_f64()).floor() as u64;
    let client = Client::new(plan.time_limit);
    let (plan, make, next) = (Arc::new(plan), Arc::new(make), Arc::new(AtomicU64::new(0)));
    let started = monotonic_now();
    let mut workers = JoinSet::new();
    for _ in 0..plan.connections.max(1) {
        let (plan, make, next, client) = (Arc::clone(&plan), Arc::clone(&make), Arc::clone(&next), client.clone());
        workers.spawn(async move {
            let mut sent = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= total {
                    return sent;
                }
                let due = started + Duration::from_secs_f64(number as f64 / plan.rate_per_s);
                tokio::time::sleep_until(due.into()).await;
                let (id, content_type, bytes) = make(&plan.prefix, number);
                let status = post(&client, &plan, content_type, bytes).await;
                let latency = monotonic_now().saturating_duration_since(due);
                sent.push((number, SentRecord { id, status, latency }));
            }
        });
    }
    let mut records: Vec<(u64, SentRecord)> = workers.join_all().await.into_iter().flatten().collect();
    records.sort_unstable_by_key(|record| record.0);
    let took = monotonic_now().saturating_duration_since(started);
    LoadReport { records: records.into_iter().map(|record| record.1).collect(), took }
}

async fn post(client: &Client, plan: &LoadPlan, content_type: &str, bytes: Bytes) -> Option<u16> {
    let authorization = format!("Bearer {}", plan.token);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", content_type),
        (SENDER_HEADER, plan.sender.as_str()),
    ];
    client.send(Method::POST, &plan.url, &headers, bytes).await.ok().map(|answer| answer.status)
}

/// A small EIDO of its own incident: a welfare check at a fixed place, nobody named.
#[must_use]
pub fn eido_record(prefix: &str, number: u64) -> (String, &'static str, Bytes) {
    const AGENCY: &str = "load.example";
    const AT: &str = "2026-06-05T16:30:00.000-07:00";
    let id = format!("urn:emergency:uid:incidentid:{prefix}-{number:08}:{AGENCY}");
    let component = |id: &str, members: &[(&str, serde_json::Value)]| {
        let prologue = [
            ("$id", json!(id)),
            ("lastUpdateTimeStamp", json!(AT)),
            ("updatedByAgencyReference", json!({ "$ref": AGENCY })),
        ];
        prologue.iter().chain(members).map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    };
    let own = format!("urn:emergency:uid:eidodatacomponent:{prefix}-{number:08}-incident:{AGENCY}");
    let incident: serde_json::Value = component(
        &own,
        &[
            ("incidentTypeInternalCode", json!("CS-WEL")),
            ("incidentTypeCommonRegistryText", json!("WELFARE")),
            ("incidentStatusCommonRegistryText", json!(["Active"])),
        ],
    );
    let agency = component(
        AGENCY,
        &[("agencyRoleDescriptionRegistryText", json!(["CallReceiving"])), ("agencyType", json!(["psap"]))],
    );
    let eido = component(
        &id,
        &[
            ("eidoVersion", json!("1.0")),
            ("issuingElementIdentification", json!("cad.load.example")),
            ("incidentComponent", incident),
            ("agencyComponent", json!([agency])),
        ],
    );
    (id, "application/json", Bytes::from(eido.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{Received, Reply, Server};
    use crate::tally::lock;
    use std::collections::BTreeSet;
    use std::net::SocketAddr;
    use std::sync::Mutex;

    type Kept = Arc<Mutex<BTreeSet<String>>>;

    async fn keeper(address: SocketAddr, kept: &Kept) -> Server {
        let kept = Arc::clone(kept);
        Server::start(address, move |received: Received| {
            let kept = Arc::clone(&kept);
            async move {
                let record: serde_json::Value = serde_json::from_slice(&received.body).unwrap();
                lock(&kept).insert(record["$id"].as_str().unwrap().to_owned());
                Reply { status: 200, body: String::new() }
            }
        })
        .await
        .unwrap()
    }

    fn plan(url: String) -> LoadPlan {
        LoadPlan {
            url,
            token: "t".to_owned(),
            sender: "cad-eido".to_owned(),
            rate_per_s: 200.0,
            duration: Duration::from_secs(2),
            connections: 8,
            time_limit: Duration::from_secs(1),
            prefix: "a".to_owned(),
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn load_goes_on_through_a_server_that_dies_and_comes_back_and_claims_nothing_it_was_not_told() {
        let kept = Kept::default();
        let first = keeper(([127, 0, 0, 1], 0).into(), &kept).await;
        let address = first.address();
        let run = tokio::spawn(run(plan(format!("{}/v1/calls", first.url()))));
        tokio::time::sleep(Duration::from_millis(600)).await;
        drop(first);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let second = keeper(address, &kept).await;
        let report = run.await.unwrap();
        drop(second);
        assert_eq!(report.n(), 400);
        let acknowledged: BTreeSet<&str> = report.acknowledged().collect();
        assert!(acknowledged.len() > 200 && acknowledged.len() < 400, "{report}");
        let kept = lock(&kept);
        assert!(acknowledged.iter().all(|id| kept.contains(*id)));
        let ids: BTreeSet<&str> = report.records.iter().map(|record| record.id.as_str()).collect();
        assert_eq!(ids.len(), 400);
        assert!(report.records.iter().any(|record| record.status.is_none()));
        assert!(report.records.last().unwrap().acknowledged(), "the load went on after the restart");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_stall_shows_in_every_record_that_was_due_while_it_lasted() {
        // One connection; the first record is answered after 400 ms, all others at once: a closed loop would count one
        // slow answer, the open loop counts the eighty that were due meanwhile.
        let stalled = Arc::new(AtomicU64::new(0));
        let server = Server::start(([127, 0, 0, 1], 0).into(), move |_| {
            let first = stalled.fetch_add(1, Ordering::Relaxed) == 0;
            async move {
                if first {
                    tokio::time::sleep(Duration::from_millis(400)).await;
                }
                Reply { status: 200, body: String::new() }
            }
        })
        .await
        .unwrap();
        let report = run(LoadPlan { connections: 1, duration: Duration::from_secs(1), ..plan(server.url()) }).await;
        let slow = report.records.iter().filter(|record| record.latency > Duration::from_millis(100)).count();
        assert!(slow >= 40, "{slow} of {}", report.n());
        assert!(report.percentile(0.99).unwrap() > Duration::from_millis(300));
    }
}
