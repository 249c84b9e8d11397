//! The accept loop of a door: connection caps, a loop that no error ends, and a drain with a bound.
//!
//! Neither `axum::serve` nor hyper-util's `auto` stands here: both leave silent and slow clients open
//! (`reliability.md` 7.2).

use super::connection;
use super::limits::{Limits, ms, size};
use crate::network::{Accepted, Listener};
use crate::telemetry;
use axum::Router;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// How long the loop rests after an error that the next accept would meet too (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Which door: the label in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DoorName {
    /// Call records, the call-taker's commands, the pass-through.
    Intake,
    /// Teams.
    Teams,
    /// Health and metrics.
    Operations,
    /// Pages.
    Pages,
}

impl DoorName {
    /// The name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Teams => "teams",
            Self::Operations => "operations",
            Self::Pages => "pages",
        }
    }
}

/// A bound port with its limits.
pub struct Door<L> {
    /// Which one.
    pub name: DoorName,
    /// Where it listens.
    pub listener: L,
    /// TLS, where it has it.
    pub tls: Option<TlsAcceptor>,
    /// Its limits.
    pub limits: Limits,
}

/// How a door was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still in hand when the drain's bound passed, and were cut off.
    pub cut_off: usize,
}

/// Serves a door until the stop signal, then lets requests in hand finish within the drain's bound.
///
/// The loop ends for no other reason; a dropped sender of the signal counts as a stop.
pub async fn serve<L: Listener>(door: Door<L>, router: Router, shutdown: watch::Receiver<bool>) -> Drained {
    let Door { name, listener, tls, limits } = door;
    let limits = Arc::new(limits);
    let (for_each, stopping) = (Arc::clone(&limits), shutdown.clone());
    accept_each(listener, &limits, name.name(), shutdown, move |stream, peer| {
        connection::serve(stream, peer, tls.clone(), Arc::clone(&for_each), router.clone(), stopping.clone())
    })
    .await
}

/// The accept loop of every door: each connection that is let in is served by a future that says why it ended.
pub(super) async fn accept_each<L, F, S>(
    listener: L,
    limits: &Limits,
    name: &'static str,
    mut shutdown: watch::Receiver<bool>,
    serve: S,
) -> Drained
where
    L: Listener,
    F: Future<Output = &'static str> + Send + 'static,
    S: Fn(L::Accepted, SocketAddr) -> F,
{
    let places = Places::new(limits);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut shutdown) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let Some(place) = admit(&stream, peer, &places, name) else { continue };
                    let served = serve(stream, peer);
                    let opened = Opened { door: name, why: "cut-off", _place: place };
                    connections.spawn(async move {
                        let mut opened = opened;
                        opened.why = served.await;
                    });
                }
                Err(error) => {
                    telemetry::connection_refused(name, "accept-error");
                    if let Some(pause) = pause_after(&error) {
                        tracing::error!(door = name, kind = ?error.kind(), "the door cannot accept connections now");
                        sleep(pause).await;
                    }
                }
            },
        }
    }
    drop(listener);
    drain(connections, ms(limits.drain_ms)).await
}

/// Waits for the stop signal; a dropped sender of it counts as one.
pub(super) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _signal = shutdown.wait_for(|stop| *stop).await;
}

async fn drain(mut connections: JoinSet<()>, bound: Duration) -> Drained {
    let all_ended = async { while connections.join_next().await.is_some() {} };
    let in_time = timeout(bound, all_ended).await.is_ok();
    let cut_off = if in_time { 0 } else { connections.len() };
    connections.shutdown().await;
    Drained { cut_off }
}

/// Counts a connection in and out of the metrics, even where its task is cut off or panics.
struct Opened {
    door: &'static str,
    why: &'static str,
    _place: Place,
}

impl Drop for Opened {
    fn drop(&mut self) {
        let why = if std::thread::panicking() { "panicked" } else { self.why };
        telemetry::connection_ended(self.door, why);
    }
}

/// Lets a connection in, or refuses it at once and counts why: a queue at the door would only hide the overload.
fn admit(stream: &impl Accepted, peer: SocketAddr, places: &Arc<Places>, door: &'static str) -> Option<Place> {
    match places.take(peer.ip()) {
        Ok(place) => {
            stream.tune();
            telemetry::connection_opened(door);
            Some(place)
        }
        Err(why) => {
            telemetry::connection_refused(door, why);
            // Best effort and without waiting: the peer learns that it was refused, not that the adapter died.
            let _unsent = stream.try_write(
                b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
            None
        }
    }
}

/// How long to rest after an accept error: not at all where only that one connection is gone.
fn pause_after(error: &io::Error) -> Option<Duration> {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    let of_one = matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted);
    (!of_one).then_some(ACCEPT_PAUSE)
}

/// The places of a door, in all and for each peer.
struct Places {
    all: Arc<Semaphore>,
    per_peer_max: u32,
    by_peer: Mutex<BTreeMap<u64, u32>>,
}

/// One taken place; free again when dropped.
struct Place {
    places: Arc<Places>,
    peer: u64,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::new(Semaphore::new(size(limits.connections_max).min(Semaphore::MAX_PERMITS))),
            per_peer_max: limits.connections_per_peer_max,
            by_peer: Mutex::default(),
        })
    }

    fn take(self: &Arc<Self>, peer: IpAddr) -> Result<Place, &'static str> {
        let permit = Arc::clone(&self.all).try_acquire_owned().map_err(|_| "door-full")?;
        let peer = peer_key(peer);
        let mut by_peer = self.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = by_peer.entry(peer).or_default();
        if *taken >= self.per_peer_max {
            return Err("peer-full");
        }
        *taken += 1;
        Ok(Place { places: Arc::clone(self), peer, _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_peer = self.places.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = by_peer.get_mut(&self.peer) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                by_peer.remove(&self.peer);
            }
        }
    }
}

/// One IPv4 address, or one IPv6 /64: who has one address of a /64 has them all.
fn peer_key(peer: IpAddr) -> u64 {
    match peer.to_canonical() {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => u64::try_from(address.to_bits() >> 64).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(all: u32, per_peer: u32) -> Arc<Places> {
        Places::new(&Limits { connections_max: all, connections_per_peer_max: per_peer, ..Limits::default() })
    }

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_bounded_in_all_and_for_each_peer_and_come_back() {
        let places = places(3, 2);
        let first = places.take(peer("10.0.0.1")).ok().unwrap();
        let _second = places.take(peer("::ffff:10.0.0.1")).ok().unwrap();
        assert_eq!(places.take(peer("10.0.0.1")).err(), Some("peer-full"));
        let _third = places.take(peer("10.0.0.2")).ok().unwrap();
        assert_eq!(places.take(peer("10.0.0.3")).err(), Some("door-full"));
        drop(first);
        assert!(places.take(peer("10.0.0.1")).is_ok());
        assert_eq!(places.by_peer.lock().unwrap().len(), 2, "a peer without connections is forgotten");
    }

    #[test]
    fn an_ipv6_peer_is_its_64() {
        assert_eq!(peer_key(peer("2001:db8::1")), peer_key(peer("2001:db8::ffff:1")));
        assert_ne!(peer_key(peer("2001:db8::1")), peer_key(peer("2001:db8:0:1::1")));
    }

    #[test]
    fn running_out_of_descriptors_rests_and_a_lost_connection_does_not() {
        let emfile = io::Error::from_raw_os_error(24);
        assert_eq!(pause_after(&emfile), Some(ACCEPT_PAUSE));
        assert_eq!(pause_after(&io::ErrorKind::ConnectionAborted.into()), None);
    }
}
