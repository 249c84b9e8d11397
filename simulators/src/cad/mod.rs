//! The simulated CAD: receives what the adapter passes through and writes back, and sends records as its callers ring.

mod call_taker;
mod incident;
mod notice;
mod source;

pub use notice::Notice;
pub(crate) use source::CallSource;

use crate::server::{Received, Reply, Server};
use crate::tally::{Counters, count, lock};
use hyper::Method;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};

/// Digests and notices kept, at most; older ones are not needed for what a test asks.
const KEPT_MAX: usize = 1_000_000;
/// Notices waiting for one incident, at most.
const NOTICES_WAITING_MAX: usize = 64;

/// How the CAD's own door stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CadDoor {
    /// Answers at once.
    Up,
    /// Answers 503 to everything.
    Down,
    /// Takes the bytes and never answers.
    HalfOpen,
}

/// What the CAD received.
#[derive(Debug)]
pub(crate) struct CadDesk {
    counters: Arc<Counters>,
    door: watch::Sender<CadDoor>,
    passed_through: Mutex<BTreeMap<String, u32>>,
    keys: Mutex<BTreeSet<String>>,
    notices: Mutex<BTreeMap<String, Vec<Notice>>>,
    waiting: Mutex<BTreeMap<String, mpsc::Sender<Notice>>>,
}

/// The running CAD server.
#[derive(Debug)]
pub(crate) struct CadServer {
    pub(crate) server: Server,
    pub(crate) desk: Arc<CadDesk>,
}

impl CadServer {
    /// Listens. `…/records` takes records passed through, `…/write-back` the adapter's EIDOs, `…/healthz` answers health.
    ///
    /// # Errors
    /// Where the address cannot be bound.
    pub(crate) async fn start(address: SocketAddr, counters: Arc<Counters>) -> std::io::Result<Self> {
        let desk = Arc::new(CadDesk {
            counters,
            door: watch::Sender::new(CadDoor::Up),
            passed_through: Mutex::default(),
            keys: Mutex::default(),
            notices: Mutex::default(),
            waiting: Mutex::default(),
        });
        let handler_desk = Arc::clone(&desk);
        let server = Server::start(address, move |received| {
            let desk = Arc::clone(&handler_desk);
            async move { desk.receive(&received).await }
        })
        .await?;
        Ok(Self { server, desk })
    }
}

impl CadDesk {
    /// Opens or shuts the door.
    pub(crate) fn set_door(&self, door: CadDoor) {
        self.door.send_replace(door);
    }

    /// How often the very bytes of this digest (SHA-256, lower-case hex) came through the pass-through.
    pub(crate) fn received_times(&self, digest: &str) -> u32 {
        lock(&self.passed_through).get(digest).copied().unwrap_or(0)
    }

    /// Notices written back about a source incident, oldest first.
    pub(crate) fn notices(&self, source_incident: &str) -> Vec<Notice> {
        lock(&self.notices).get(source_incident).cloned().unwrap_or_default()
    }

    /// Lets an incident's desk hear the notices about it.
    pub(crate) fn listen(&self, source_incident: &str) -> mpsc::Receiver<Notice> {
        let (sender, receiver) = mpsc::channel(NOTICES_WAITING_MAX);
        lock(&self.waiting).insert(source_incident.to_owned(), sender);
        receiver
    }

    /// Ends the hearing.
    pub(crate) fn forget(&self, source_incident: &str) {
        lock(&self.waiting).remove(source_incident);
    }

    async fn receive(&self, received: &Received) -> Reply {
        let mut door = self.door.subscribe();
        match *door.borrow() {
            CadDoor::Up => {}
            CadDoor::Down => return Reply::json(503, &serde_json::json!({ "title": "the CAD is down" })),
            CadDoor::HalfOpen => {}
        }
        // A half-open door answers nothing until it is opened or the other side gives up.
        if door.wait_for(|door| *door != CadDoor::HalfOpen).await.is_err() {
            std::future::pending::<()>().await;
        }
        match (&received.method, received.path.as_str()) {
            (_, path) if path.ends_with("/healthz") => Reply::json(200, &serde_json::json!({ "status": "ok" })),
            (&Method::POST | &Method::PUT, path) if path.ends_with("/write-back") => self.written_back(received),
            (&Method::POST | &Method::PUT, _) => self.passed_through(received),
            _ => Reply::json(200, &serde_json::json!({ "path": received.path })),
        }
    }

    fn passed_through(&self, received: &Received) -> Reply {
        count(&self.counters.passed_through);
        let digest = digest(&received.body);
        let mut seen = lock(&self.passed_through);
        if seen.len() < KEPT_MAX {
            *seen.entry(digest.clone()).or_insert(0) += 1;
        }
        // The digest lets a sender see that its own bytes arrived, unchanged.
        Reply::json(202, &serde_json::json!({ "received_sha256": digest }))
    }

    fn written_back(&self, received: &Received) -> Reply {
        let Ok(eido) = serde_json::from_slice::<serde_json::Value>(&received.body) else {
            return Reply::json(400, &serde_json::json!({ "title": "not JSON" }));
        };
        // The same notice again is answered alike and not acted on: by its key, or by its content where it has none.
        let key = received.header("idempotency-key").map_or_else(|| digest(&received.body), str::to_owned);
        {
            let mut keys = lock(&self.keys);
            if keys.contains(&key) {
                count(&self.counters.write_backs_repeated);
                return Reply::json(200, &serde_json::json!({ "repeated": true }));
            }
            if keys.len() < KEPT_MAX {
                keys.insert(key);
            }
        }
        let (incident, notice) = Notice::read(received.header("fourth-notice"), &eido);
        *lock(&self.counters.write_backs).entry(notice.kind().to_owned()).or_insert(0) += 1;
        if let Some(incident) = incident {
            if let Some(waiting) = lock(&self.waiting).get(&incident) {
                // A desk that has closed its incident no longer reads; the notice stays in the list.
                let _ = waiting.try_send(notice.clone());
            }
            let mut notices = lock(&self.notices);
            if notices.len() < KEPT_MAX {
                notices.entry(incident).or_default().push(notice);
            }
        }
        Reply::json(200, &serde_json::json!({ "received": true }))
    }
}

/// SHA-256 of the bytes, lower-case hex.
#[must_use]
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests;
