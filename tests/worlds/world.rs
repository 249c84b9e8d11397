//! One world: the real desk over a simulated store, and everybody around it, run event by event to its end.

mod asking;
mod lives;
mod outbox;

use crate::chance::Chance;
use crate::oracle::{Checked, Oracle, Violation};
use crate::peers::{Ask, CAD, Intention, PEERS, Team};
use crate::plan::{Item, Plan, Press, Record, Tie, When};
use crate::sharing::LEASE_MS;
use crate::store::{Died, Life, Shared, Store, held};
use fourth_option::call_processing::{Answer, CallProblem, Desk, IncidentView};
use fourth_option::incident::{Bounds, Command, Outgoing};
use fourth_option::policy::Policy;
use fourth_option::record::IncidentId;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

/// The policies of the worlds, by the places that plans name.
pub struct Policies(pub Vec<Arc<Policy>>);

/// Steps of one world, at most: a world that goes on is one in which something is sent for ever (I11).
const STEPS_MAX: u64 = 20_000;
/// How long a sender waits for an answer before it asks again, and how often it asks.
const ASK_AGAIN_MS: u64 = 3_000;
const ASKS_MAX: u32 = 8;
/// How long the outbox tries what is no offer.
const TRY_FOR_MS: u64 = 180_000;

/// How soon people must answer in the worlds.
pub const BOUNDS: Bounds =
    Bounds { en_route_within_s: 300, recall_acknowledged_within_s: 60, return_acknowledged_within_s: 60 };

/// What comes up from the tasks of the adapter.
pub enum News {
    Died(Died),
    Poisoned(Died),
    /// An adapter appended something that the others are to hear of.
    Appended(usize),
    /// An adapter was not told that its append was made.
    Doubted(usize),
    /// The store is asked without end.
    Runaway,
    Effect(Life, Box<Outgoing>),
    Finished(Life, usize, Box<Outcome>),
}

/// What an adapter answered.
#[derive(Clone)]
pub enum Outcome {
    Record(Arc<Result<Answer, CallProblem>>),
    View(Arc<Result<IncidentView, CallProblem>>),
    Done(bool),
}

#[derive(Debug, Clone)]
enum What {
    Record(usize),
    Poison,
    Press(IncidentId, Press),
    Team(usize, Intention),
    /// A policy for one adapter: each sees its folder for itself.
    Reload(usize, usize),
}

struct Request {
    what: What,
    /// Whose link it goes over; `None` for the console in the same room.
    peer: Option<usize>,
    asked: u32,
    answered: bool,
}

enum Happening {
    Item(usize),
    Ask(usize),
    Arrives(usize, usize),
    Answered(usize, Outcome),
    Try { life: Life, key: String, attempt: u32, until_ms: u64 },
    Delivered { key: String, outgoing: Box<Outgoing> },
    Noted { life: Life, key: String },
    Team(usize, Box<Intention>),
    Press { call: u64, press: Press, attempt: u32 },
    Kill(Died),
    Revive(usize),
    Mend(usize),
    LeaseEnds(usize, Instant),
    Follow(usize),
    Recover(usize),
    Wake,
}

/// What a world came to.
pub struct Ending {
    pub violation: Option<(Violation, u64)>,
    pub injected: BTreeMap<&'static str, u64>,
    pub checked: Checked,
    pub entries: u64,
    pub digest: u64,
    pub trace: Vec<String>,
}

struct Node {
    desk: Option<Desk>,
    life: Life,
    /// Its deadlines, and what it hears of others.
    tasks: Vec<tokio::task::JoinHandle<()>>,
    outbox: BTreeMap<String, Box<Outgoing>>,
}

pub struct World<'p> {
    plan: &'p Plan,
    policies: &'p Policies,
    in_force: Option<usize>,
    zero: Instant,
    clock_step: SignedDuration,
    queue: BTreeMap<(u64, u64), Happening>,
    scheduled: u64,
    /// Something happened since the world last came to rest.
    stirred: bool,
    store: Shared,
    tell: UnboundedSender<News>,
    news: UnboundedReceiver<News>,
    nodes: Vec<Node>,
    requests: Vec<Request>,
    teams: Vec<Team>,
    messages: [u64; PEERS],
    waiting: Vec<(&'static str, u64, u64, usize)>,
    kinds: BTreeMap<&'static str, u64>,
    oracle: Oracle,
    injected: BTreeMap<&'static str, u64>,
    digest: u64,
    trace: Option<Vec<String>>,
}

/// Runs a plan in a runtime of its own with paused time.
pub fn run(plan: &Plan, policies: &Policies, trace: bool) -> Ending {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(plan, policies, trace);
        let violation = world.live().await.err();
        let now_ms = world.now_ms();
        let store = held(&world.store);
        let mut injected = std::mem::take(&mut world.injected);
        for (kind, times) in &store.injected {
            *injected.entry(kind).or_default() += times;
        }
        Ending {
            violation: violation.map(|violation| (violation, now_ms)),
            injected,
            checked: world.oracle.checked,
            entries: store.disk.entries.len() as u64,
            digest: world.digest,
            trace: world.trace.take().unwrap_or_default(),
        }
    })
}

impl<'p> World<'p> {
    fn new(plan: &'p Plan, policies: &'p Policies, trace: bool) -> Self {
        let (tell, news) = unbounded_channel();
        let mut store = Store::new(plan, tell.clone());
        let lives: Vec<Life> = (0..plan.nodes).map(|node| store.revive(node)).collect();
        let node = |life| Node { desk: None, life, tasks: Vec::new(), outbox: BTreeMap::new() };
        let mut oracle = Oracle::new();
        oracle.disturbed.time = plan.odd_night;
        if plan.nodes > 1 {
            oracle.several(plan.hears_within_ms);
        }
        Self {
            plan,
            policies,
            in_force: plan.policy,
            zero: Instant::now(),
            clock_step: SignedDuration::ZERO,
            queue: BTreeMap::new(),
            scheduled: 0,
            stirred: false,
            store: Arc::new(Mutex::new(store)),
            tell,
            news,
            nodes: lives.into_iter().map(node).collect(),
            requests: Vec::new(),
            teams: (0..PEERS).map(|_| Team::default()).collect(),
            messages: [0; PEERS],
            waiting: Vec::new(),
            kinds: BTreeMap::new(),
            oracle,
            injected: BTreeMap::new(),
            digest: plan.seed,
            trace: trace.then(Vec::new),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.zero.elapsed().as_millis()).unwrap()
    }

    fn civil(&self) -> Timestamp {
        self.plan.start + SignedDuration::from_millis(i64::try_from(self.now_ms()).unwrap()) + self.clock_step
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        let now_ms = self.now_ms();
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>9.3} s  {}", now_ms as f64 / 1_000.0, text()));
        }
    }

    fn inject(&mut self, kind: &'static str) {
        *self.injected.entry(kind).or_default() += 1;
    }

    fn at(&mut self, at_ms: u64, happening: Happening) {
        self.scheduled += 1;
        self.queue.insert((at_ms.max(self.now_ms()), self.scheduled), happening);
    }

    async fn live(&mut self) -> Result<(), Violation> {
        self.schedule_items();
        for node in 0..self.nodes.len() {
            self.begin_life(node).await;
        }
        let mut steps = 0;
        let mut rests = 0;
        loop {
            steps += 1;
            if steps > STEPS_MAX {
                return Err(Violation::new("I11", "the world does not come to an end"));
            }
            self.observe()?;
            let Some(((at_ms, _), _)) = self.queue.first_key_value() else {
                if self.rests(&mut rests) {
                    break;
                }
                continue;
            };
            let next = self.zero + Duration::from_millis(*at_ms);
            tokio::select! {
                biased;
                Some(news) = self.news.recv() => self.heard(news)?,
                () = tokio::time::sleep_until(next) => {
                    if let Some((_, happening)) = self.queue.pop_first() {
                        self.happens(happening).await?;
                    }
                }
            }
        }
        self.end().await
    }

    fn schedule_items(&mut self) {
        for (place, item) in self.plan.items.iter().enumerate() {
            match item {
                Item::Record { when: When::After { kind, nth, by_ms }, .. } => {
                    self.waiting.push((kind, *nth, *by_ms, place));
                }
                Item::Record { when: When::At(at_ms), .. }
                | Item::Poison { at_ms }
                | Item::Press { at_ms, .. }
                | Item::Crash { at_ms, .. }
                | Item::Reload { at_ms, .. } => self.at(*at_ms, Happening::Item(place)),
                Item::Partition { node, from_ms, until_ms } => {
                    self.at(*from_ms, Happening::Item(place));
                    self.at(*until_ms, Happening::Mend(*node));
                }
                Item::Fault { .. } => {}
                Item::Cut { until_ms, .. } => {
                    let kind =
                        if *until_ms == u64::MAX { "a link is cut for ever" } else { "a link is cut for a while" };
                    *self.injected.entry(kind).or_default() += 1;
                }
            }
        }
    }

    /// The queue is empty: nothing more comes from outside. Heals what is broken and waits for what is still due; true
    /// where there is nothing.
    fn rests(&mut self, rests: &mut u32) -> bool {
        *rests += 1;
        held(&self.store).heal();
        let down = (0..self.nodes.len()).any(|node| held(&self.store).is_down(node));
        let due_ms = self.oracle.last_deadline_ms();
        let stirred = std::mem::take(&mut self.stirred) || held(&self.store).is_busy();
        if *rests > 2 && !stirred && !down && self.oracle.is_settled() || *rests > 60 {
            return true;
        }
        let now_ms = self.now_ms();
        self.at(due_ms.unwrap_or(now_ms).max(now_ms) + 2_500, Happening::Wake);
        false
    }

    /// Takes in what the journal has, and lets the oracle judge.
    fn observe(&mut self) -> Result<(), Violation> {
        let now_ms = self.now_ms();
        let store = Arc::clone(&self.store);
        let store = held(&store);
        let fresh = store.disk.entries.len();
        self.oracle.step(&store, now_ms)?;
        self.digest = (self.digest ^ fresh as u64).wrapping_mul(0x100_0000_01b3).rotate_left(7) ^ now_ms;
        if self.trace.is_some() && !self.oracle.fresh.is_empty() {
            let kinds = self.oracle.fresh.clone();
            drop(store);
            self.note(|| format!("        journal: {}", kinds.join(", ")));
        }
        for kind in std::mem::take(&mut self.oracle.fresh) {
            let nth = self.kinds.entry(kind).or_default();
            *nth += 1;
            let nth = *nth;
            while let Some(place) = self.waiting.iter().position(|(of, at, ..)| *of == kind && *at == nth) {
                let (_, _, by_ms, item) = self.waiting.remove(place);
                self.at(now_ms + by_ms, Happening::Item(item));
            }
        }
        Ok(())
    }

    fn finished(&mut self, life: Life, request: usize, outcome: Outcome) -> Result<(), Violation> {
        if !held(&self.store).replies(life) {
            return Ok(());
        }
        match (&outcome, &self.requests[request].what) {
            (Outcome::Record(answer), What::Record(place)) => {
                let plan = self.plan;
                if let Item::Record { record, .. } = &plan.items[*place] {
                    self.oracle.record_answered(record, answer)?;
                }
            }
            (Outcome::View(answer), What::Team(_, Intention { ask: Ask::Command(command), .. })) => {
                self.oracle.answered(Some(command), answer)?;
            }
            (Outcome::View(answer), _) => self.oracle.answered(None, answer)?,
            (Outcome::Record(_) | Outcome::Done(_), _) => {}
        }
        self.note(|| {
            let told = match &outcome {
                Outcome::Record(answer) => answer
                    .as_ref()
                    .as_ref()
                    .map_or_else(ToString::to_string, |answer| answer.decision.status.name().to_owned()),
                Outcome::View(view) => view.as_ref().as_ref().map_or_else(ToString::to_string, |view| {
                    format!("{:?}, {:?}", view.incident.phase, view.incident.owner)
                }),
                Outcome::Done(done) => done.to_string(),
            };
            format!("answer to request {request}: {told}")
        });
        let delays = match self.requests[request].peer {
            None => vec![0],
            Some(peer) => self.link(peer),
        };
        for delay in delays {
            self.at(self.now_ms() + delay, Happening::Answered(request, outcome.clone()));
        }
        Ok(())
    }

    /// What becomes of one message to or from a peer: the delays of each copy that arrives.
    fn link(&mut self, peer: usize) -> Vec<u64> {
        let now_ms = self.now_ms();
        self.messages[peer] += 1;
        let mut chance = Chance::of(self.plan.seed, &[6, peer as u64, self.messages[peer]]);
        let cut = self.plan.items.iter().any(
            |item| matches!(item, Item::Cut { peer: of, from_ms, until_ms } if *of == peer && (*from_ms..*until_ms).contains(&now_ms)),
        );
        if cut {
            self.oracle.disturbed.isolation = true;
            self.inject("a message meets a cut link");
            return Vec::new();
        }
        if chance.percent(self.plan.loss) {
            self.inject("a message is lost");
            return Vec::new();
        }
        let mut delays = vec![chance.below(self.plan.delay_ms + 1)];
        if self.plan.delay_ms > 1_000 {
            self.inject("a message is late, and may be overtaken");
        }
        if chance.percent(self.plan.twice) {
            self.inject("a message comes twice");
            delays.push(chance.below(self.plan.delay_ms + 1));
        }
        delays
    }

    fn request(&mut self, what: What, peer: Option<usize>) {
        self.requests.push(Request { what, peer, asked: 0, answered: false });
        self.ask(self.requests.len() - 1);
    }

    fn ask(&mut self, request: usize) {
        let asked = &mut self.requests[request];
        if asked.answered || asked.asked >= ASKS_MAX {
            return;
        }
        asked.asked += 1;
        let peer = asked.peer;
        let delays = peer.map_or_else(|| vec![0], |peer| self.link(peer));
        for delay in delays {
            // Whoever asks knows every adapter, and asks one of them.
            let node = Chance::of(self.plan.seed, &[8, self.scheduled]).below(self.nodes.len() as u64);
            self.at(self.now_ms() + delay, Happening::Arrives(request, usize::try_from(node).unwrap()));
        }
        self.at(self.now_ms() + ASK_AGAIN_MS, Happening::Ask(request));
    }

    async fn happens(&mut self, happening: Happening) -> Result<(), Violation> {
        self.stirred |= !matches!(happening, Happening::Wake);
        match happening {
            Happening::Item(place) => self.item(place),
            Happening::Ask(request) => self.ask(request),
            Happening::Arrives(request, node) => self.serve(request, node),
            Happening::Answered(request, outcome) => self.hears_answer(request, &outcome),
            Happening::Try { life, key, attempt, until_ms } => self.attempt(life, key, attempt, until_ms),
            Happening::Delivered { key, outgoing } => self.delivered(&key, &outgoing),
            Happening::Noted { life, key } => {
                let outgoing = held(&self.store).lives(life).then(|| self.nodes[life.node].outbox.remove(&key));
                if let Some(outgoing) = outgoing.flatten() {
                    self.report(life.node, &outgoing.incident, Command::EffectDelivered { key });
                }
            }
            Happening::Team(peer, intention) => {
                if intention.stubborn || self.teams[peer].works_on(&intention.leg) {
                    self.request(What::Team(peer, *intention), Some(peer));
                }
            }
            Happening::Press { call, press, attempt } => self.press(call, press, attempt),
            Happening::Kill(died) => held(&self.store).kill(died),
            Happening::Revive(node) => {
                if held(&self.store).sharing.is_cut(node) {
                    // A process that cannot read its store ends, and is started again.
                    self.at(self.now_ms() + 1_000, Happening::Revive(node));
                } else if held(&self.store).is_down(node) {
                    self.nodes[node].life = held(&self.store).revive(node);
                    self.begin_life(node).await;
                }
            }
            Happening::Mend(node) => {
                self.note(|| format!("adapter {node} is no longer cut off from the store"));
                held(&self.store).mend(node);
                self.at(self.now_ms() + LEASE_MS, Happening::LeaseEnds(node, self.zero));
            }
            Happening::LeaseEnds(node, since) => held(&self.store).lease_ends(node, since),
            Happening::Follow(node) => held(&self.store).follow(node),
            Happening::Recover(node) => held(&self.store).recovers(node),
            Happening::Wake => {}
        }
        Ok(())
    }

    fn item(&mut self, place: usize) {
        let plan = self.plan;
        match &plan.items[place] {
            Item::Record { record, .. } => {
                self.note(|| format!("the CAD sends {} of {} {:?}", record.updated_at, record.name, record.dangers));
                self.oracle.will_send(record);
                self.request(What::Record(place), Some(CAD));
                if !record.dangers.is_empty() {
                    self.inject("danger is learnt");
                }
                if record.ties.iter().any(|(_, how)| *how != Tie::Linked) {
                    self.inject("a merge or a split is told");
                }
            }
            Item::Poison { .. } => {
                self.oracle.disturbed.isolation = true;
                self.inject("bytes that are no record");
                self.request(What::Poison, Some(CAD));
            }
            Item::Press { call, press, .. } => self.press(*call, *press, 0),
            Item::Crash { node, down_ms, clock_step_s, .. } => {
                self.inject("process dies at any instant");
                let died = Died { node: *node, down_ms: *down_ms, clock_step_s: *clock_step_s };
                held(&self.store).kill(died);
            }
            Item::Partition { node, .. } => {
                self.note(|| format!("adapter {node} is cut off from the store"));
                self.inject("an adapter is cut off from the store");
                let since = held(&self.store).cut(*node);
                self.at(self.now_ms() + LEASE_MS, Happening::LeaseEnds(*node, since));
            }
            Item::Reload { policy, .. } => {
                self.inject("another policy is put in force");
                self.in_force = Some(*policy);
                for node in 0..self.nodes.len() {
                    self.request(What::Reload(*policy, node), None);
                }
            }
            Item::Fault { .. } | Item::Cut { .. } => {}
        }
    }

    fn press(&mut self, call: u64, press: Press, attempt: u32) {
        let name = format!("urn:emergency:uid:incidentid:c{call}:worlds.example");
        match self.oracle.incident_of(&name).cloned() {
            Some(incident) => {
                self.note(|| format!("the call-taker presses {press:?}"));
                self.request(What::Press(incident, press), None);
            }
            None if attempt < 5 => {
                self.at(self.now_ms() + 2_000, Happening::Press { call, press, attempt: attempt + 1 })
            }
            None => {}
        }
    }

    /// At rest: what is in memory is what a restart would make of the journal, and no team believes what is not so.
    async fn end(&mut self) -> Result<(), Violation> {
        self.observe()?;
        self.oracle.at_rest()?;
        if self.nodes.len() == 1 && !self.plan.seed.is_multiple_of(4) {
            return Ok(());
        }
        for node in 0..self.nodes.len() {
            let Some(live) = self.nodes[node].desk.clone() else { continue };
            let opened = self.open(self.nodes[node].life).await;
            let (live, opened) = (live.open_incidents(), opened.open_incidents());
            if live.len() != opened.len() {
                let (live, opened) = (live.len(), opened.len());
                return Err(Violation::new(
                    "I10",
                    format!("{live} open incidents in memory, {opened} after a restart"),
                ));
            }
            for (live, opened) in live.iter().zip(&opened) {
                self.oracle.seen(live)?;
                self.oracle.seen(opened)?;
                if live.incident != opened.incident {
                    return Err(Violation::new("I10", format!("{} is another after a restart", live.incident.id)));
                }
            }
        }
        Ok(())
    }
}

/// The record of an item, for whoever prints it.
pub fn record_of(item: &Item) -> Option<&Record> {
    match item {
        Item::Record { record, .. } => Some(record),
        _ => None,
    }
}
