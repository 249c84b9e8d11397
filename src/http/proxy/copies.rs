//! Copies of what passes through: bounded in size, number and sum, and assessed beside the forwarding.

use crate::call_processing::CallProblem;
use crate::clock::Clock;
use crate::http::problem::Problem;
use crate::telemetry;
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// How often a copy is tried where the desk cannot take it now.
const ATTEMPTS_MAX: u32 = 4;
/// The pause after the first try; doubled after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// A whole body that passed through, to be assessed. Its room is free again when it is dropped.
#[derive(Debug)]
pub struct CadCopy {
    /// The bytes as they came.
    pub bytes: Bytes,
    /// The configured sender.
    pub sender: String,
    _room: Option<OwnedSemaphorePermit>,
}

/// Takes copies and puts them on the queue; never waits.
#[derive(Debug, Clone)]
pub struct Copies {
    queue: mpsc::Sender<CadCopy>,
    copy_bytes_max: usize,
    pub(super) room: Arc<Semaphore>,
}

impl Copies {
    pub(super) fn new(queue: mpsc::Sender<CadCopy>, copy_bytes_max: usize, copies_bytes_max: u32) -> Self {
        let room = usize::try_from(copies_bytes_max).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { queue, copy_bytes_max, room: Arc::new(Semaphore::new(room)) }
    }

    pub(super) fn begin(&self, sender: String) -> Copying {
        Copying { copies: self.clone(), sender, taken: BytesMut::new(), room: None, given_up: None }
    }
}

/// A copy being taken.
pub(super) struct Copying {
    copies: Copies,
    sender: String,
    taken: BytesMut,
    room: Option<OwnedSemaphorePermit>,
    given_up: Option<&'static str>,
}

impl Copying {
    /// Takes in the next bytes, or gives the copy up where it would be too large or there is no room for it.
    pub(super) fn take_in(&mut self, bytes: &Bytes) {
        if self.given_up.is_some() {
            return;
        }
        if self.taken.len() + bytes.len() > self.copies.copy_bytes_max {
            return self.give_up("too-large");
        }
        let wanted = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.copies.room).try_acquire_many_owned(wanted) else {
            return self.give_up("no-room");
        };
        match &mut self.room {
            Some(held) => held.merge(room),
            None => self.room = Some(room),
        }
        self.taken.extend_from_slice(bytes);
    }

    fn give_up(&mut self, why: &'static str) {
        self.given_up = Some(why);
        self.taken = BytesMut::new();
        self.room = None;
    }

    /// The body is whole: puts its copy on the queue, or counts why not.
    pub(super) fn finish(self) {
        let outcome = match self.given_up {
            Some(why) => why,
            None if self.taken.is_empty() => return,
            None => {
                let copy = CadCopy { bytes: self.taken.freeze(), sender: self.sender, _room: self.room };
                self.copies.queue.try_send(copy).map_or("overflow", |()| "queued")
            }
        };
        telemetry::cad_copy(outcome);
        if outcome != "queued" {
            tracing::warn!(outcome, "a record was passed through to the CAD and not assessed");
        }
    }
}

/// Assesses copies until the pass-through is gone, so many at once, each in a task of its own: one that panics or
/// takes long keeps nobody else waiting (invariant I12). What the desk cannot take now is tried again a few times.
pub async fn assess_copies<A, F>(mut copies: mpsc::Receiver<CadCopy>, at_once_max: usize, clock: Clock, assess: A)
where
    A: Fn(Bytes, String) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), CallProblem>> + Send,
{
    let places = Arc::new(Semaphore::new(at_once_max.max(1)));
    while let Some(copy) = copies.recv().await {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (assess, clock) = (assess.clone(), clock.clone());
        tokio::spawn(async move {
            let _place = place;
            let work = tokio::spawn(async move { assess_one(copy, clock, assess).await });
            let outcome = work.await.unwrap_or_else(|_| {
                telemetry::panic_caught();
                "panicked"
            });
            telemetry::cad_copy(outcome);
            if outcome != "assessed" {
                tracing::warn!(outcome, "a record that was passed through to the CAD has no assessment");
            }
        });
    }
    // The last ones in hand.
    let all = u32::try_from(at_once_max.max(1)).unwrap_or(u32::MAX);
    let _all_done = places.acquire_many(all).await;
}

async fn assess_one<A, F>(copy: CadCopy, clock: Clock, assess: A) -> &'static str
where
    A: Fn(Bytes, String) -> F,
    F: Future<Output = Result<(), CallProblem>>,
{
    let mut pause = FIRST_PAUSE;
    for attempt in 1..=ATTEMPTS_MAX {
        let Err(problem) = assess(copy.bytes.clone(), copy.sender.clone()).await else { return "assessed" };
        if !Problem::from(problem).is_retryable() {
            return "not-a-record";
        }
        if attempt < ATTEMPTS_MAX {
            tokio::time::sleep(pause.mul_f64(0.5 + clock.jitter())).await;
            pause *= 2;
        }
    }
    "lost"
}
