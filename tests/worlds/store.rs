//! The simulated store: what every adapter of a world appends to, and where most of what goes wrong does.

use crate::chance::Chance;
use crate::disk::{Disk, kind};
use crate::plan::{Aim, Fault, Item, Plan, Point};
use crate::sharing::{APPEND_DEADLINE_MS, Sharing};
use crate::world::News;
use bytes::Bytes;
use fourth_option::journal::{Batch, Called, Entry, Journal, JournalError, Pending, Subject, Unsettled};
use fourth_option::record::IncidentId;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep};

/// How often a world's store is asked, at most. An adapter that asks for ever would stand in its own clock's way: simulated
/// time moves only while nobody works.
const ASKED_MAX: u64 = 50_000;

/// What befalls a node from below.
#[derive(Debug, Clone, Copy)]
pub struct Died {
    pub node: usize,
    pub down_ms: u64,
    pub clock_step_s: i64,
}

/// One life of one adapter: a crash ends it, and nothing that it still does reaches anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    pub node: usize,
    pub number: u64,
}

/// What is on the disk, and what is going to go wrong with it.
pub struct Store {
    pub disk: Disk,
    /// Where each batch ends among its entries.
    pub batches: Vec<usize>,
    lives: Vec<u64>,
    poisoned: Vec<bool>,
    faults: Vec<(Aim, Fault)>,
    asked: u64,
    appends: u64,
    effects: u64,
    replies: u64,
    kinds: BTreeMap<&'static str, u64>,
    unavailable_until: Option<Instant>,
    pub sharing: Sharing,
    /// The last instant at which the store hindered anybody, and the appends under way that do.
    hindered_at: Instant,
    under_way: u32,
    slow_appends: u64,
    seed: u64,
    pub injected: BTreeMap<&'static str, u64>,
    zero: Instant,
    tell: UnboundedSender<News>,
}

/// Shared by the nodes of one world, all on one thread.
pub type Shared = Arc<Mutex<Store>>;

pub fn held(store: &Shared) -> MutexGuard<'_, Store> {
    store.lock().unwrap()
}

enum Fate {
    Dead,
    /// Cut off from the store: no answer ever comes, and nothing is written.
    Unheard,
    Refused(JournalError),
    Taken {
        after_ms: u64,
        then: Then,
    },
}

#[derive(Clone, Copy)]
enum Then {
    Answer,
    Die(Died),
    LoseAnswer,
    Poison(Died),
}

impl Store {
    pub fn new(plan: &Plan, tell: UnboundedSender<News>) -> Self {
        let faults = plan.items.iter().filter_map(|item| match item {
            Item::Fault { aim, fault } => Some((*aim, *fault)),
            _ => None,
        });
        Self {
            disk: Disk::default(),
            batches: Vec::new(),
            lives: vec![0; plan.nodes],
            poisoned: vec![false; plan.nodes],
            faults: faults.collect(),
            asked: 0,
            appends: 0,
            effects: 0,
            replies: 0,
            kinds: BTreeMap::new(),
            unavailable_until: None,
            sharing: Sharing::of(plan.nodes),
            hindered_at: Instant::now(),
            under_way: 0,
            slow_appends: plan.slow_appends,
            seed: plan.seed,
            injected: BTreeMap::new(),
            zero: Instant::now(),
            tell,
        }
    }

    /// True where a life is over, or the store was asked too often: there is no answer.
    fn is_silent_to(&mut self, life: Life) -> bool {
        self.asked += 1;
        if self.asked == ASKED_MAX {
            let _ = self.tell.send(News::Runaway);
        }
        self.asked >= ASKED_MAX || !self.lives(life)
    }

    pub fn lives(&self, life: Life) -> bool {
        self.lives[life.node] == life.number
    }

    pub fn is_down(&self, node: usize) -> bool {
        self.lives[node].is_multiple_of(2)
    }

    /// Ends a node's life now.
    pub fn kill(&mut self, died: Died) {
        if !self.is_down(died.node) {
            self.lives[died.node] += 1;
            self.poisoned[died.node] = false;
            self.is_lost(died.node);
            let _ = self.tell.send(News::Died(died));
        }
    }

    /// Begins a new life of a node that is down.
    pub fn revive(&mut self, node: usize) -> Life {
        self.lives[node] += 1;
        self.joins(node);
        Life { node, number: self.lives[node] }
    }

    /// From here nothing goes wrong any more, so that a world can come to its end.
    pub fn heal(&mut self) {
        self.faults.clear();
        if let Some(until) = self.unavailable_until.take() {
            self.hindered_at = self.hindered_at.max(until.min(Instant::now()));
        }
    }

    /// True while an append has not been answered yet.
    pub fn is_busy(&self) -> bool {
        self.under_way > 0
    }

    /// By whom an incident is held, and since when nothing has hindered that life, in milliseconds of the world; `None` while
    /// something does.
    pub fn free_since(&self, incident: &IncidentId) -> Option<(Life, u64)> {
        let (node, there_since) = self.sharing.holder(incident)?;
        let shut = self.unavailable_until.is_some_and(|until| Instant::now() < until);
        if self.under_way > 0 || shut || self.is_down(node) || self.is_poisoned(node) || self.sharing.is_cut(node) {
            return None;
        }
        if self.sharing.is_waiting(node) {
            return None;
        }
        let since = self.hindered_at.max(self.unavailable_until.unwrap_or(self.hindered_at)).max(there_since);
        let life = Life { node, number: self.lives[node] };
        Some((life, self.ms(since)))
    }

    fn ms(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.zero).as_millis()).unwrap()
    }

    /// Since when a node is away, or is there again, in milliseconds of the world.
    pub fn parted_ms(&self, node: usize) -> u64 {
        self.ms(self.sharing.parted(node))
    }

    /// Incidents that do not rest.
    pub fn unsettled_now(&self) -> impl Iterator<Item = &IncidentId> {
        self.disk.standings.iter().filter(|(_, standing)| !standing.rests).map(|(id, _)| id)
    }

    pub fn is_poisoned(&self, node: usize) -> bool {
        self.poisoned[node]
    }

    pub fn count(&mut self, kind: &'static str) {
        *self.injected.entry(kind).or_default() += 1;
    }

    /// The fault aimed at what happens now, once.
    fn aimed(&mut self, hits: impl Fn(&Aim) -> bool) -> Option<Fault> {
        let place = self.faults.iter().position(|(aim, _)| hits(aim))?;
        Some(self.faults.remove(place).1)
    }

    /// An effect is handed on by a life; false where the process is dead by now.
    pub fn hands_on(&mut self, life: Life) -> bool {
        if !self.lives(life) {
            return false;
        }
        self.effects += 1;
        let nth = self.effects;
        if let Some(Fault::Die { down_ms, clock_step_s, .. }) =
            self.aimed(|aim| matches!(aim, Aim::Effect(at) if *at == nth))
        {
            self.count("process dies after an effect");
            self.kill(Died { node: life.node, down_ms, clock_step_s });
        }
        true
    }

    /// A reply leaves a life; false where it does not get that far.
    pub fn replies(&mut self, life: Life) -> bool {
        if !self.lives(life) {
            return false;
        }
        self.replies += 1;
        let nth = self.replies;
        if let Some(Fault::Die { down_ms, clock_step_s, .. }) =
            self.aimed(|aim| matches!(aim, Aim::Reply(at) if *at == nth))
        {
            self.count("process dies before a reply");
            self.kill(Died { node: life.node, down_ms, clock_step_s });
            return false;
        }
        true
    }

    fn fate(&mut self, batch: &Batch, life: Life) -> Fate {
        if self.is_silent_to(life) {
            return Fate::Dead;
        }
        if self.poisoned[life.node] {
            return Fate::Refused(JournalError::Poisoned);
        }
        if self.sharing.is_cut(life.node) {
            self.count("an append meets a store that is cut off");
            let at_once = self.sharing.refuses_at_once(life.node);
            return if at_once { Fate::Refused(JournalError::Unavailable("away".to_owned())) } else { Fate::Unheard };
        }
        self.appends += 1;
        let mut hits = vec![(None, self.appends)];
        for stored in &batch.events {
            let kind = kind(stored);
            let nth = self.kinds.entry(kind).or_default();
            *nth += 1;
            hits.push((Some(kind), *nth));
        }
        if self.unavailable_until.is_some_and(|until| Instant::now() < until) {
            return Fate::Refused(JournalError::Unavailable("full".to_owned()));
        }
        let fault = self.aimed(|aim| match aim {
            Aim::Append(nth) => hits.contains(&(None, *nth)),
            Aim::Event(kind, nth) => hits.contains(&(Some(kind), *nth)),
            Aim::Effect(_) | Aim::Reply(_) => false,
        });
        let slow = || Chance::of(self.seed, &[4, self.appends]);
        let after_ms = if slow().percent(self.slow_appends) { slow().between(1, 8) } else { 0 };
        if fault.is_some() {
            self.hindered_at = Instant::now();
        }
        let node = life.node;
        match fault {
            None => Fate::Taken { after_ms, then: Then::Answer },
            Some(Fault::Die { point, down_ms, clock_step_s }) => {
                let died = Died { node, down_ms, clock_step_s };
                match point {
                    Point::Before => self.count("process dies before a write"),
                    Point::Torn => self.count("process dies halfway through a write"),
                    Point::After => {
                        self.count("process dies after a write");
                        return Fate::Taken { after_ms, then: Then::Die(died) };
                    }
                }
                self.kill(died);
                Fate::Dead
            }
            // A database that several adapters share fails as a whole; of that each sees an answer that does not come.
            Some(Fault::FailedSync { .. }) if self.sharing.is_shared() => {
                self.count("a commit's answer is lost");
                Fate::Taken { after_ms, then: Then::LoseAnswer }
            }
            Some(Fault::FailedSync { durable, down_ms }) => {
                self.count("a sync fails");
                let died = Died { node, down_ms, clock_step_s: 0 };
                if durable {
                    return Fate::Taken { after_ms, then: Then::Poison(died) };
                }
                self.poison(died);
                Fate::Refused(JournalError::Poisoned)
            }
            Some(Fault::Unavailable { for_ms }) => {
                self.count("the journal is full or locked");
                self.unavailable_until = Some(Instant::now() + Duration::from_millis(for_ms));
                Fate::Refused(JournalError::Unavailable("full".to_owned()))
            }
            Some(Fault::AnswerLost) => {
                self.count("a commit's answer is lost");
                Fate::Taken { after_ms, then: Then::LoseAnswer }
            }
            Some(Fault::Slow { by_ms }) => {
                self.count("an append is slow");
                Fate::Taken { after_ms: by_ms, then: Then::Answer }
            }
        }
    }

    fn loses_answer(&mut self, node: usize, entries: std::ops::Range<usize>) {
        if self.sharing.is_shared() && !entries.is_empty() {
            self.sharing.doubts(node, entries);
            let _ = self.tell.send(News::Doubted(node));
        }
    }

    fn poison(&mut self, died: Died) {
        self.poisoned[died.node] = true;
        // Whoever supervises the process sees it poisoned and starts it again.
        let _ = self.tell.send(News::Poisoned(died));
    }

    fn commit(&mut self, batch: Batch, node: usize) -> Result<Vec<Entry>, JournalError> {
        let incident = if let Subject::Incident(id) = &batch.subject { Some(id.clone()) } else { None };
        let written = self.disk.commit(batch)?;
        self.batches.push(self.disk.entries.len());
        self.sharing.wrote(node, incident.as_ref(), written.len());
        if self.sharing.is_shared() {
            let _ = self.tell.send(News::Appended(node));
        }
        Ok(written)
    }
}

/// The store as one life of one node sees it.
pub struct SimulatedJournal {
    pub store: Shared,
    pub life: Life,
    pub is_shared: bool,
}

impl SimulatedJournal {
    /// Readings are refused while the store is cut off, and never answered to the dead.
    pub async fn read<T>(&self, work: impl FnOnce(&Store) -> T) -> Result<T, JournalError> {
        let found = {
            let mut store = held(&self.store);
            if store.is_silent_to(self.life) {
                None
            } else if store.sharing.is_cut(self.life.node) {
                return Err(JournalError::Unavailable("away".to_owned()));
            } else {
                Some(work(&store))
            }
        };
        match found {
            Some(found) => Ok(found),
            None => std::future::pending().await,
        }
    }
}

impl Journal for SimulatedJournal {
    fn append(&self, batch: Batch) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        Box::pin(async move {
            let fate = held(&self.store).fate(&batch, self.life);
            let (after_ms, then) = match fate {
                Fate::Dead => return std::future::pending().await,
                Fate::Unheard => {
                    held(&self.store).sharing.waits(self.life.node, true);
                    sleep(Duration::from_millis(APPEND_DEADLINE_MS)).await;
                    if held(&self.store).lives(self.life) {
                        held(&self.store).sharing.waits(self.life.node, false);
                        return Err(JournalError::InDoubt("no answer".to_owned()));
                    }
                    return std::future::pending().await;
                }
                Fate::Refused(error) => return Err(error),
                Fate::Taken { after_ms, then } => (after_ms, then),
            };
            if after_ms > 0 {
                held(&self.store).under_way += 1;
                sleep(Duration::from_millis(after_ms)).await;
                let mut store = held(&self.store);
                store.under_way -= 1;
                store.hindered_at = Instant::now();
            }
            let answer = {
                let mut store = held(&self.store);
                if store.lives(self.life) {
                    let before = store.disk.entries.len();
                    let written = store.commit(batch, self.life.node);
                    let entries = before..store.disk.entries.len();
                    match then {
                        // Sent before the cut, and answered after it.
                        Then::Answer | Then::LoseAnswer if store.sharing.is_cut(self.life.node) && written.is_ok() => {
                            store.sharing.doubts(self.life.node, entries);
                            Some(Err(JournalError::InDoubt("no answer".to_owned())))
                        }
                        Then::Answer => Some(written),
                        Then::LoseAnswer => {
                            store.loses_answer(self.life.node, entries);
                            Some(written.and_then(|_| Err(JournalError::InDoubt("no answer".to_owned()))))
                        }
                        Then::Poison(died) => {
                            store.poison(died);
                            Some(Err(JournalError::Poisoned))
                        }
                        Then::Die(died) => {
                            store.kill(died);
                            None
                        }
                    }
                } else {
                    None
                }
            };
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }

    fn read_after(&self, after: u64, limit: usize) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        Box::pin(self.read(move |store| store.disk.after(after, limit)))
    }

    fn read_incident(&self, incident: &IncidentId) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        let incident = incident.clone();
        Box::pin(self.read(move |store| store.disk.of_incident(&incident)))
    }

    fn read_kind_before<'a>(
        &'a self,
        wanted: &'a str,
        before: u64,
        limit: usize,
    ) -> Pending<'a, Result<Vec<Entry>, JournalError>> {
        Box::pin(self.read(move |store| store.disk.of_kind_before(wanted, before, limit)))
    }

    fn unsettled(&self) -> Pending<'_, Result<Vec<Unsettled>, JournalError>> {
        Box::pin(self.read(|store| store.disk.unsettled()))
    }

    fn called_since(&self, since: Timestamp) -> Pending<'_, Result<Vec<(IncidentId, Called)>, JournalError>> {
        Box::pin(self.read(move |store| store.disk.called_since(since)))
    }

    fn last_instant(&self) -> Pending<'_, Result<Option<Timestamp>, JournalError>> {
        Box::pin(self.read(|store| store.disk.last_instant()))
    }

    fn content(&self, _: &IncidentId, sha256: &str) -> Pending<'_, Result<Option<Bytes>, JournalError>> {
        let sha256 = sha256.to_owned();
        Box::pin(self.read(move |store| store.disk.content(&sha256)))
    }

    fn ready(&self) -> bool {
        !held(&self.store).is_poisoned(self.life.node)
    }

    fn shared(&self) -> Option<&dyn fourth_option::journal::Shared> {
        if self.is_shared { Some(self) } else { None }
    }
}
