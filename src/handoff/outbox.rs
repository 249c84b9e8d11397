//! The outbox: a bounded queue for each destination, so that a slow one delays nobody else (I12).
//!
//! Messages of one incident to one destination go out one after another, in the order they were submitted; a
//! withdrawal or stand-back ends an offer of its leg that is still being tried. Nothing is kept here across a restart:
//! the desk submits again whatever has not been reported, under the same key.

mod proving;

use self::proving::Contacts;
use super::Outcomes;
use super::carriers::Carriers;
use super::conveyance::{Answers, Peer};
use super::health::{BreakerState, Change, Health, Thresholds, Urgency};
use super::messages::{Carrier, Job, Kind, Post};
use super::notice;
use super::retry::{Answer, Next};
use super::settings::{Address, Settings};
use crate::clock::Clock;
use crate::incident::Outgoing;
use crate::record::{IncidentId, LegId};
use crate::telemetry;
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// Recalls and notices may wait beyond the bound for offers by this factor: an offer that is refused falls to the
/// ordinary route, a recall that is refused leaves a team in danger.
const URGENT_QUEUE_FACTOR: usize = 4;
/// The machine's time that a try has at least, however fast the demo's clock runs.
const TRY_REAL_MIN: Duration = Duration::from_millis(250);
/// Why a try without an answer failed.
const NO_ANSWER_IN_TIME: &str = "no-answer-in-time";
/// How long the first of two addresses is waited for before the second is asked too: with the connecting, under the
/// two seconds of fault 32.
const SECOND_AFTER: Duration = Duration::from_millis(1_500);

/// Starts the outbox.
#[derive(Debug)]
pub struct Outbox;

impl Outbox {
    /// Starts on the current tokio runtime; the tasks end with their messages or with the runtime.
    #[must_use]
    pub fn start(settings: Settings, clock: Clock, carriers: Carriers, reporter: Arc<dyn Outcomes>) -> OutboxHandle {
        let queues = Mutex::default();
        let runtime = tokio::runtime::Handle::current();
        let peers = peers(&settings, &clock, &carriers, &reporter, &runtime);
        let contacts = Contacts::of(&settings, &clock);
        OutboxHandle(Arc::new(Inner { settings, clock, carriers, reporter, runtime, queues, peers, contacts }))
    }
}

/// The connections to every destination of EIDO conveyance.
fn peers(
    settings: &Settings,
    clock: &Clock,
    carriers: &Carriers,
    reporter: &Arc<dyn Outcomes>,
    runtime: &tokio::runtime::Handle,
) -> BTreeMap<String, Peer> {
    let Some(conveyance) = &carriers.conveyance else { return BTreeMap::new() };
    let peer = |(destination, url): (String, &Address)| {
        let (reporter, tasks) = (Arc::clone(reporter), runtime.clone());
        let answers: Answers = Arc::new(move |destination: &str, request: &str, answer, code| {
            let (reporter, destination, leg) = (Arc::clone(&reporter), destination.to_owned(), LegId::new(request));
            tasks.spawn(async move { reporter.answered(&destination, &leg, answer, code).await });
        });
        let peer = conveyance.peer(&destination, url, clock, answers, runtime);
        (destination, peer)
    };
    settings.peers().into_iter().map(peer).collect()
}

/// Hands messages to the outbox. Cheap to clone.
#[derive(Clone)]
pub struct OutboxHandle(Arc<Inner>);

impl std::fmt::Debug for OutboxHandle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("OutboxHandle").field(&self.waiting()).finish()
    }
}

/// How one destination is, for operators. Its name comes from the configuration; it holds no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationState {
    /// Its name: the CAD, a channel, or a channel and a program.
    pub name: String,
    /// Messages waiting or being tried.
    pub waiting: usize,
    /// Where its breaker stands.
    pub breaker: BreakerState,
    /// Since when it has been down, where it is.
    pub down_since: Option<Timestamp>,
}

impl OutboxHandle {
    /// Takes a message and returns at once; how it ends is told to the reporter. A key that is already waiting or
    /// being tried is not taken twice.
    pub fn submit(&self, outgoing: Outgoing) {
        let now = self.0.clock.now();
        for notice in Job::notices_of(&outgoing, &self.0.settings, now) {
            self.0.enqueue(notice);
        }
        match Job::of(&outgoing, &self.0.settings, now) {
            Ok(job) => self.0.enqueue(job),
            Err(why) => self.0.report(None, outgoing.incident, outgoing.effect.key, Some(why.to_owned())),
        }
    }

    /// Messages waiting or being tried, by destination name.
    #[must_use]
    pub fn waiting(&self) -> BTreeMap<String, usize> {
        self.destinations().into_iter().map(|destination| (destination.name, destination.waiting)).collect()
    }

    /// Every destination that something was sent to since the start.
    #[must_use]
    pub fn destinations(&self) -> Vec<DestinationState> {
        let queues: Vec<_> = held(&self.0.queues).values().cloned().collect();
        let state = |queue: &Arc<Queue>| {
            let waiting = held(&queue.lanes).waiting;
            let health = held(&queue.health);
            let (breaker, down_since) = (health.breaker(), health.down_since());
            DestinationState { name: queue.name.clone(), waiting, breaker, down_since }
        };
        queues.iter().map(state).collect()
    }
}

struct Inner {
    settings: Settings,
    clock: Clock,
    carriers: Carriers,
    reporter: Arc<dyn Outcomes>,
    runtime: tokio::runtime::Handle,
    queues: Mutex<BTreeMap<String, Arc<Queue>>>,
    peers: BTreeMap<String, Peer>,
    contacts: Contacts,
}

/// What waits for one destination.
struct Queue {
    name: String,
    slots: Semaphore,
    /// Recalls and back-up do not stand behind offers that are slow to be taken.
    urgent_slots: Semaphore,
    health: Mutex<Health>,
    /// Told when the destination comes back, so that what waits for its next try goes now.
    back: Notify,
    lanes: Mutex<Lanes>,
}

impl Queue {
    fn one_less(&self) {
        let mut lanes = held(&self.lanes);
        lanes.waiting = lanes.waiting.saturating_sub(1);
    }

    fn slots(&self, urgency: Urgency) -> &Semaphore {
        match urgency {
            Urgency::AtOnce => &self.urgent_slots,
            Urgency::Soon | Urgency::Routine => &self.slots,
        }
    }
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

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
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
                if job.reported {
                    self.report(None, job.incident.clone(), job.key.clone(), Some("queue-full".to_owned()));
                }
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
            if job.urgency == Urgency::AtOnce {
                lane.running.iter().chain(&lane.jobs).for_each(|ahead| ahead.hurry.notify_one());
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
            let slots = || Semaphore::new(self.settings.concurrency_max.max(1));
            let health = Health::new(self.thresholds(), self.clock.now());
            Arc::new(Queue {
                name: name.to_owned(),
                slots: slots(),
                urgent_slots: slots(),
                health: Mutex::new(health),
                back: Notify::new(),
                lanes: Mutex::default(),
            })
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
            let turn = held(&queue.health).turn(job.urgency, attempt == 1, self.clock.now());
            if !turn.is_zero() {
                self.clock.sleep(turn).await;
            }
            // The slot is held for a try only, not for the pause after it.
            let answer = {
                let slot = queue.slots(job.urgency).acquire().await;
                let Ok(_slot) = slot else { return Some("internal-fault".to_owned()) };
                let Some(limit) = job.effort.time_for_try(self.clock.now()) else {
                    return Some(job.effort.until_why.to_owned());
                };
                // What has begun keeps its tries: a destination that falters for a second loses no offer by it.
                let begins = attempt == 1 && matches!(job.kind, Kind::Offer(_));
                if begins && !held(&queue.health).lets_begin(self.clock.now()) {
                    return Some("destination-down".to_owned());
                }
                self.carry(queue, job, limit).await
            };
            self.note(queue, answer.alive());
            match job.effort.next(attempt, &answer, self.clock.now(), self.clock.jitter()) {
                Next::Delivered => return None,
                Next::Undeliverable(why) => return Some(why),
                Next::Again(pause) => {
                    let why = if let Answer::Later { why, .. } = &answer { why.as_str() } else { "" };
                    let (destination, key) = (queue.name.as_str(), job.key.as_str());
                    let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                    tracing::warn!(destination, key, attempt, why, pause_ms, "a message will be tried again");
                    tokio::select! {
                        biased;
                        () = job.hurry.notified() => {}
                        () = queue.back.notified() => {}
                        () = self.clock.sleep(pause) => {}
                    }
                }
            }
            attempt = attempt.saturating_add(1);
        }
    }

    /// One try.
    async fn carry(&self, queue: &Queue, job: &Job, limit: Duration) -> Answer {
        match &job.carrier {
            Carrier::Post(post) => match &post.second_url {
                None => self.post(queue, job, post, &post.url, limit).await,
                Some(second) => self.post_to_either(queue, job, post, second, limit).await,
            },
            Carrier::Eido { message, request } => {
                let Some(peer) = self.peers.get(&queue.name) else {
                    return Answer::Refused("no-such-channel".to_owned());
                };
                let recall = matches!(job.kind, Kind::Recall(_));
                self.told(queue, None, limit, peer.send(message, request, recall)).await
            }
            Carrier::Mail { to } => {
                self.told(queue, None, limit, self.carriers.mail(&job.key, to, notice::SUBJECT, &job.body)).await
            }
        }
    }

    async fn post(&self, queue: &Queue, job: &Job, post: &Post, url: &Address, limit: Duration) -> Answer {
        let headers = post.signed_headers(&job.body, self.clock.now());
        self.told(queue, Some(url), limit, self.carriers.http.post(url, headers, job.body.clone())).await
    }

    /// Waits for the answer within its time. What is taken proves the contact.
    async fn told(
        &self,
        queue: &Queue,
        at: Option<&Address>,
        limit: Duration,
        sent: impl Future<Output = Answer>,
    ) -> Answer {
        let answer = tokio::time::timeout(self.real(limit), sent).await;
        let answer = answer.unwrap_or(Answer::later(NO_ANSWER_IN_TIME, false));
        if answer == Answer::Taken {
            self.taken_by(&queue.name, at);
        }
        answer
    }

    /// The machine's time of one try.
    fn real(&self, limit: Duration) -> Duration {
        limit.div_f64(self.clock.speed()).max(TRY_REAL_MIN.min(limit))
    }

    /// Asks the first address, and the second too as soon as the first fails or is slow, at once where the first was
    /// found dead before, by a message or by a test. The key makes one effect of two deliveries.
    async fn post_to_either(&self, queue: &Queue, job: &Job, post: &Post, second: &Address, limit: Duration) -> Answer {
        let found_dead = |dead: bool| held(&queue.health).first_is_dead = dead;
        let dead = held(&queue.health).first_is_dead || self.contacts.first_cad_fails();
        let head_start = if dead { Duration::ZERO } else { self.real(SECOND_AFTER) };
        let first = async {
            let answer = self.post(queue, job, post, &post.url, limit).await;
            found_dead(!answer.alive());
            answer
        };
        tokio::pin!(first);
        match tokio::time::timeout(head_start, &mut first).await {
            Ok(Answer::Taken) => return Answer::Taken,
            Ok(answer) => return answer.or(self.post(queue, job, post, second, limit).await),
            Err(_) => found_dead(true),
        }
        let other = self.post(queue, job, post, second, limit);
        tokio::pin!(other);
        tokio::select! {
            biased;
            answer = &mut first => if answer == Answer::Taken { answer } else { answer.or(other.await) },
            answer = &mut other => if answer == Answer::Taken { answer } else { answer.or(first.await) },
        }
    }

    /// Notes how the destination showed itself, and wakes what waits for it when it comes back.
    fn note(&self, queue: &Queue, answered: bool) {
        let change = held(&queue.health).note(answered, self.clock.now(), self.clock.jitter());
        let destination = queue.name.as_str();
        match change {
            Change::None => {}
            Change::WentDown => {
                telemetry::destination_down(destination, true);
                tracing::error!(destination, "a destination is down: new offers to it fall to the next leg at once");
            }
            Change::CameBack => {
                telemetry::destination_down(destination, false);
                tracing::warn!(destination, "a destination is back; what waits for it goes out at a measured pace");
                queue.back.notify_waiters();
            }
        }
    }

    fn thresholds(&self) -> Thresholds {
        let settings = &self.settings;
        let seconds = |seconds: u32| jiff::SignedDuration::from_secs(seconds.into());
        Thresholds {
            failures: settings.breaker_failures,
            left_alone: seconds(settings.breaker_open_s),
            recovery: seconds(settings.recovery_s),
            interval: jiff::SignedDuration::from_nanos(
                1_000_000_000 / i64::from(settings.recovery_rate_max_per_s.max(1)),
            ),
        }
    }

    fn end(&self, queue: &Arc<Queue>, job: &Job, why: Option<String>) {
        match &why {
            None => tracing::debug!(destination = queue.name, key = job.key, "a message was delivered"),
            Some(why) => tracing::warn!(destination = queue.name, key = job.key, why, "a message was given up"),
        }
        if job.reported {
            return self.report(Some(Arc::clone(queue)), job.incident.clone(), job.key.clone(), why);
        }
        telemetry::effect_counted(if why.is_none() { "notice-sent" } else { "notice-given-up" });
        queue.one_less();
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
                queue.one_less();
            }
        });
    }
}
