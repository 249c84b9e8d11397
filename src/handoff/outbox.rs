//! The outbox: a bounded queue for each destination, so that a slow one delays nobody else (I12).
//!
//! Messages of one incident to one destination go out one after another, in the order they were submitted; a
//! withdrawal or stand-back ends an offer of its leg that is still being tried. Nothing is kept here across a restart:
//! the desk submits again whatever has not been reported, under the same key.

use super::client::HttpClient;
use super::retry::{Effort, Next};
use super::settings::{Address, Secret, Settings};
use super::{Outcomes, cad_writeback, webhook};
use crate::clock::{self, Clock};
use crate::incident::{Act, Outgoing};
use crate::record::{IncidentId, LegId};
use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// Name of the CAD's queue.
const CAD: &str = "cad";
/// Recalls and notices may wait beyond the bound for offers by this factor: an offer that is refused falls to the
/// ordinary route, a recall that is refused leaves a team in danger.
const URGENT_QUEUE_FACTOR: usize = 4;
/// The machine's time that a try has at least, however fast the demo's clock runs.
const TRY_REAL_MIN: Duration = Duration::from_millis(250);

/// Starts the outbox.
#[derive(Debug)]
pub struct Outbox;

impl Outbox {
    /// Starts on the current tokio runtime; the tasks end with their messages or with the runtime.
    #[must_use]
    pub fn start(settings: Settings, clock: Clock, client: HttpClient, reporter: Arc<dyn Outcomes>) -> OutboxHandle {
        let queues = Mutex::default();
        let runtime = tokio::runtime::Handle::current();
        OutboxHandle(Arc::new(Inner { settings, clock, client, reporter, runtime, queues }))
    }
}

/// Hands messages to the outbox. Cheap to clone.
#[derive(Clone)]
pub struct OutboxHandle(Arc<Inner>);

impl std::fmt::Debug for OutboxHandle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("OutboxHandle").field(&self.waiting()).finish()
    }
}

impl OutboxHandle {
    /// Takes a message and returns at once; how it ends is told to the reporter. A key that is already waiting or
    /// being tried is not taken twice.
    pub fn submit(&self, outgoing: Outgoing) {
        match self.0.job(&outgoing) {
            Ok(job) => self.0.enqueue(job),
            Err(why) => self.0.report(None, outgoing.incident, outgoing.effect.key, Some(why.to_owned())),
        }
    }

    /// Messages waiting or being tried, by destination name.
    #[must_use]
    pub fn waiting(&self) -> BTreeMap<String, usize> {
        let queues = held(&self.0.queues);
        queues.iter().map(|(name, queue)| (name.clone(), held(&queue.lanes).waiting)).collect()
    }
}

struct Inner {
    settings: Settings,
    clock: Clock,
    client: HttpClient,
    reporter: Arc<dyn Outcomes>,
    runtime: tokio::runtime::Handle,
    queues: Mutex<BTreeMap<String, Arc<Queue>>>,
}

/// What waits for one destination.
struct Queue {
    name: String,
    slots: Semaphore,
    lanes: Mutex<Lanes>,
}

#[derive(Default)]
struct Lanes {
    waiting: usize,
    by_incident: BTreeMap<IncidentId, Lane>,
}

/// Messages of one incident to one destination.
#[derive(Default)]
struct Lane {
    jobs: VecDeque<Arc<Job>>,
    running: Option<Arc<Job>>,
}

/// One message, ready to send: what may leave has been taken out of the record already.
struct Job {
    incident: IncidentId,
    key: String,
    destination: String,
    kind: Kind,
    url: Address,
    headers: Vec<(HeaderName, HeaderValue)>,
    secret: Option<Secret>,
    body: Bytes,
    effort: Effort,
    superseded: Notify,
}

#[derive(PartialEq, Eq)]
enum Kind {
    Offer(LegId),
    Recall(LegId),
    Notice,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// The message of an effect, or why there is none to send.
    fn job(&self, outgoing: &Outgoing) -> Result<Job, &'static str> {
        let now = self.clock.now();
        let key = HeaderValue::from_str(&outgoing.effect.key).map_err(|_| "key-not-sendable")?;
        let mut headers = vec![(HeaderName::from_static(webhook::KEY_HEADER), key)];
        let (kind, destination, url, secret, body) = match &outgoing.effect.act {
            Act::Offer { leg, plan, .. }
            | Act::Withdraw { leg, plan, .. }
            | Act::StandBack { leg, plan, .. }
            | Act::Proceed { leg, plan } => {
                let to = self.settings.destination(&plan.channel, &plan.program).ok_or("no-such-channel")?;
                headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
                let body = match webhook::body(outgoing, &self.settings) {
                    Some(Ok(body)) => body,
                    Some(Err(_)) | None => return Err("no-message"),
                };
                let offer = matches!(outgoing.effect.act, Act::Offer { .. });
                let kind = if offer { Kind::Offer(leg.clone()) } else { Kind::Recall(leg.clone()) };
                (kind, to.name, to.url, Some(to.secret), body)
            }
            Act::TellCad(notice) => {
                let cad = self.settings.cad.as_ref().ok_or("no-cad")?;
                let record = outgoing.record.as_deref().ok_or("no-record")?;
                headers.push((CONTENT_TYPE, HeaderValue::from_static(cad_writeback::CONTENT_TYPE)));
                let name = HeaderValue::from_static(cad_writeback::name(notice));
                headers.push((HeaderName::from_static(cad_writeback::NOTICE_HEADER), name));
                if let Some(bearer) = &cad.bearer {
                    let value = HeaderValue::from_str(&format!("Bearer {}", bearer.text()));
                    let mut value = value.map_err(|_| "bearer-not-sendable")?;
                    value.set_sensitive(true);
                    headers.push((AUTHORIZATION, value));
                }
                // Made once: every try sends the same bytes, and a CAD orders notices by the instant they carry.
                let body = cad_writeback::body(record, notice, cad, now);
                (Kind::Notice, CAD.to_owned(), cad.url.clone(), cad.secret.clone(), body)
            }
        };
        Ok(Job {
            incident: outgoing.incident.clone(),
            key: outgoing.effect.key.clone(),
            destination,
            kind,
            url,
            headers,
            secret,
            body: Bytes::from(body),
            effort: self.effort(&outgoing.effect.act, now),
            superseded: Notify::new(),
        })
    }

    fn effort(&self, act: &Act, now: Timestamp) -> Effort {
        let settings = &self.settings;
        let for_s = |seconds: u32| now.checked_add(SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MAX);
        let millis = |millis: u32| Duration::from_millis(millis.into());
        let recall = Effort {
            attempts_max: u32::MAX,
            try_timeout: settings.try_timeout(),
            until: for_s(settings.recall_retry_for_s),
            until_why: "retry-time-exhausted",
            backoff_first: millis(settings.backoff_first_ms),
            backoff_max: millis(settings.backoff_max_ms),
            retry_after_max: Duration::from_secs(settings.retry_after_max_s.into()),
        };
        match act {
            Act::Offer { plan, deadline, .. } => {
                // Less than a quarter of the deadline, so that a gateway that always answers late cannot eat it up.
                let quarter = Duration::from_millis((u64::from(plan.accept_deadline_s) * 250).saturating_sub(1).max(1));
                Effort {
                    attempts_max: plan.attempts.clamp(1, settings.attempts_max.max(1)),
                    try_timeout: recall.try_timeout.min(quarter),
                    until: *deadline,
                    until_why: "deadline-passed",
                    ..recall
                }
            }
            Act::Withdraw { .. } | Act::StandBack { .. } | Act::Proceed { .. } => recall,
            Act::TellCad(_) => Effort {
                until: for_s(settings.cad_retry_for_s),
                backoff_max: millis(settings.cad_backoff_max_ms),
                ..recall
            },
        }
    }

    fn enqueue(self: &Arc<Self>, job: Job) {
        let queue = self.queue(&job.destination);
        let job = Arc::new(job);
        let mut ended = Vec::new();
        {
            let mut lanes = held(&queue.lanes);
            let bound = match job.kind {
                Kind::Offer(_) => self.settings.queue_max,
                Kind::Recall(_) | Kind::Notice => self.settings.queue_max.saturating_mul(URGENT_QUEUE_FACTOR),
            };
            let full = lanes.waiting >= bound.max(1);
            let known = lanes.by_incident.get(&job.incident);
            if known.is_some_and(|lane| lane.jobs.iter().chain(&lane.running).any(|other| other.key == job.key)) {
                return;
            }
            if full {
                drop(lanes);
                self.report(None, job.incident.clone(), job.key.clone(), Some("queue-full".to_owned()));
                return;
            }
            let idle = known.is_none();
            lanes.waiting += 1;
            let lane = lanes.by_incident.entry(job.incident.clone()).or_default();
            if let Kind::Recall(leg) = &job.kind {
                let offer = Kind::Offer(leg.clone());
                let (over, kept): (VecDeque<_>, _) = lane.jobs.drain(..).partition(|other| other.kind == offer);
                lane.jobs = kept;
                ended.extend(over);
                if let Some(running) = lane.running.as_ref().filter(|running| running.kind == offer) {
                    running.superseded.notify_one();
                }
            }
            lane.jobs.push_back(Arc::clone(&job));
            if idle {
                let (inner, queue) = (Arc::clone(self), Arc::clone(&queue));
                self.runtime.spawn(async move { inner.drain(queue, &job.incident).await });
            }
        }
        for job in ended {
            self.end(&queue, &job, Some("superseded".to_owned()));
        }
    }

    fn queue(&self, name: &str) -> Arc<Queue> {
        let mut queues = held(&self.queues);
        let make = || {
            let slots = Semaphore::new(self.settings.concurrency_max.max(1));
            Arc::new(Queue { name: name.to_owned(), slots, lanes: Mutex::default() })
        };
        Arc::clone(queues.entry(name.to_owned()).or_insert_with(make))
    }

    /// Sends the messages of one incident to one destination until none is left.
    async fn drain(self: Arc<Self>, queue: Arc<Queue>, incident: &IncidentId) {
        loop {
            let job = {
                let mut lanes = held(&queue.lanes);
                let next = lanes.by_incident.get_mut(incident).and_then(|lane| {
                    lane.running = lane.jobs.pop_front();
                    lane.running.clone()
                });
                let Some(job) = next else {
                    lanes.by_incident.remove(incident);
                    return;
                };
                job
            };
            // A task of its own: whatever goes wrong inside ends this message and no other.
            let (inner, its_queue, its_job) = (Arc::clone(&self), Arc::clone(&queue), Arc::clone(&job));
            let mut delivery = self.runtime.spawn(async move { inner.deliver(&its_queue, &its_job).await });
            let why = tokio::select! {
                biased;
                () = job.superseded.notified() => {
                    delivery.abort();
                    Some("superseded".to_owned())
                }
                ended = &mut delivery => ended.unwrap_or_else(|_| Some("internal-fault".to_owned())),
            };
            self.end(&queue, &job, why);
        }
    }

    /// Tries until the message is delivered (`None`) or given up (why).
    async fn deliver(&self, queue: &Queue, job: &Job) -> Option<String> {
        let mut attempt = 1_u32;
        loop {
            // The slot is held for a try only, not for the pause after it.
            let answer = {
                let Ok(_slot) = queue.slots.acquire().await else { return Some("internal-fault".to_owned()) };
                let Some(limit) = job.effort.time_for_try(self.clock.now()) else {
                    return Some(job.effort.until_why.to_owned());
                };
                let real = limit.div_f64(self.clock.speed()).max(TRY_REAL_MIN.min(limit));
                let headers = self.signed_headers(job);
                let sent = self.client.post(&job.url, headers, job.body.clone());
                tokio::time::timeout(real, sent).await.unwrap_or(Err("no-answer-in-time"))
            };
            match job.effort.next(attempt, answer, self.clock.now(), clock::jitter()) {
                Next::Delivered => return None,
                Next::Undeliverable(why) => return Some(why),
                Next::Again(pause) => {
                    let (status, fault) = answer.map_or_else(|fault| (0, fault), |answer| (answer.status, ""));
                    let (destination, key) = (queue.name.as_str(), job.key.as_str());
                    let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                    tracing::warn!(destination, key, attempt, status, fault, pause_ms, "a message will be tried again");
                    self.clock.sleep(pause).await;
                }
            }
            attempt = attempt.saturating_add(1);
        }
    }

    fn signed_headers(&self, job: &Job) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = job.headers.clone();
        if let Some(secret) = &job.secret {
            let timestamp = self.clock.now().as_second().to_string();
            let signature = webhook::sign(secret, &timestamp, &job.body);
            // Digits and hex: always a header value.
            if let (Ok(timestamp), Ok(signature)) = (timestamp.parse(), signature.parse()) {
                headers.push((HeaderName::from_static(webhook::TIMESTAMP_HEADER), timestamp));
                headers.push((HeaderName::from_static(webhook::SIGNATURE_HEADER), signature));
            }
        }
        headers
    }

    fn end(&self, queue: &Arc<Queue>, job: &Job, why: Option<String>) {
        match &why {
            None => tracing::debug!(destination = queue.name, key = job.key, "a message was delivered"),
            Some(why) => tracing::warn!(destination = queue.name, key = job.key, why, "a message was given up"),
        }
        self.report(Some(Arc::clone(queue)), job.incident.clone(), job.key.clone(), why);
    }

    /// Tells the reporter on a task of its own: a journal that is slow to note one end must not hold up the next
    /// message. The message counts as waiting until the end is noted.
    fn report(&self, queue: Option<Arc<Queue>>, incident: IncidentId, key: String, why: Option<String>) {
        let reporter = Arc::clone(&self.reporter);
        self.runtime.spawn(async move {
            match why {
                None => reporter.delivered(&incident, &key).await,
                Some(why) => reporter.undeliverable(&incident, &key, &why).await,
            }
            if let Some(queue) = queue {
                let mut lanes = held(&queue.lanes);
                lanes.waiting = lanes.waiting.saturating_sub(1);
            }
        });
    }
}
