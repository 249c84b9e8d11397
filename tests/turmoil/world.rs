//! What the hosts of one world share, and the adapter among them.

use crate::disk::kind;
use crate::ground::Ground;
use crate::oracle::{Oracle, Violation};
use crate::plan::{Item, Manner, Plan, TEAMS};
use crate::store::{SimulatedJournal, Store};
use crate::wire::Simulated;
use crate::{desk, peers};
use fourth_option::app::Application;
use fourth_option::clock::Clock;
use fourth_option::journal::{Entry, Journal};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::mpsc::UnboundedSender;
use turmoil::net::TcpStream;

/// One life of the adapter: a crash ends it, and nothing that it still does reaches anybody.
#[derive(Debug, Clone)]
pub struct Life {
    pub number: u64,
    alive: Arc<AtomicBool>,
}

impl Life {
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }
}

/// How the adapter dies.
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    pub down_ms: u64,
    /// Nothing says goodbye: peers see silence, not a closed connection.
    pub power: bool,
    pub clock_step_s: i64,
}

/// What the hosts of one world share, all on one thread.
pub struct World {
    pub plan: Plan,
    pub ground: Arc<Ground>,
    pub store: Store,
    pub oracle: Oracle,
    pub connections: u64,
    pub trace: Option<String>,
    pub injected: BTreeMap<&'static str, u64>,
    pub desk: UnboundedSender<desk::Order>,
    pub teams: BTreeMap<&'static str, peers::Team>,
    /// Whoever watches the process ends this life at this instant.
    pub supervisor: Option<(u64, Life, Crash)>,
    pub failed: Option<Violation>,
    pub lives: u64,
    pub life: Option<Life>,
    /// Since when the adapter has been up.
    pub up_since_ms: Option<u64>,
    pub crash: Option<Crash>,
    pub clock_step: SignedDuration,
    /// By how much the adapter's clock, which goes on from the journal's last entry, is ahead of the machine's.
    ahead: SignedDuration,
    pub manners: BTreeMap<&'static str, (Manner, u64)>,
    /// Until when the link between the adapter and a host may be disturbed.
    pub troubled_until_ms: BTreeMap<&'static str, u64>,
    kinds: BTreeMap<&'static str, u64>,
    pub waiting: Vec<(&'static str, u64, u64, usize)>,
    pub due: Vec<(u64, usize)>,
    /// The host that is being stopped at this instant, and what it leaves behind.
    pub dying: Option<&'static str>,
    pub unclosed: BTreeMap<u64, TcpStream>,
    /// Hosts that are down.
    pub down: BTreeSet<&'static str>,
    /// Requests and intentions of the outside that are not over.
    pub under_way: u64,
}

pub type Shared = Arc<Mutex<World>>;

/// Something of the outside that is under way until this is dropped.
pub struct Busy(Shared);

impl Busy {
    pub fn begin(world: &Shared) -> Self {
        held(world).under_way += 1;
        Self(Arc::clone(world))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        held(&self.0).under_way -= 1;
    }
}

pub fn held(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap()
}

/// The world's own time, milliseconds; within a host.
pub fn now_ms() -> u64 {
    turmoil::sim_elapsed().map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap())
}

impl World {
    pub fn new(plan: &Plan, ground: &Arc<Ground>, keep: bool, desk: UnboundedSender<desk::Order>) -> Self {
        Self {
            plan: plan.clone(),
            ground: Arc::clone(ground),
            store: Store::new(plan),
            oracle: Oracle::default(),
            connections: 0,
            trace: keep.then(String::new),
            injected: BTreeMap::new(),
            desk,
            teams: TEAMS.iter().map(|team| (*team, peers::Team::default())).collect(),
            supervisor: None,
            failed: None,
            lives: 0,
            life: None,
            up_since_ms: None,
            crash: None,
            clock_step: SignedDuration::ZERO,
            ahead: SignedDuration::ZERO,
            manners: BTreeMap::new(),
            troubled_until_ms: BTreeMap::new(),
            kinds: BTreeMap::new(),
            waiting: Vec::new(),
            due: Vec::new(),
            dying: None,
            unclosed: BTreeMap::new(),
            down: BTreeSet::new(),
            under_way: 0,
        }
    }

    pub fn inject(&mut self, kind: &'static str) {
        *self.injected.entry(kind).or_default() += 1;
    }

    /// Keeps the first promise that was broken.
    pub fn judge(&mut self, judgement: Result<(), Violation>) {
        if let Err(violation) = judgement
            && self.failed.is_none()
        {
            self.note(|| format!("{} broken: {}", violation.invariant, violation.what));
            self.failed = Some(violation);
        }
    }

    pub fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let _ = writeln!(trace, "{} {}", now_ms(), what());
        }
    }

    /// Ends a life from inside: nothing more of it is written, sent or read, and the host is stopped after this step.
    pub fn die(&mut self, life: &Life, crash: Crash) {
        if life.is_alive() {
            life.alive.store(false, Ordering::Relaxed);
            self.crash = Some(crash);
        }
    }

    /// A batch was written.
    pub fn written(&mut self, entries: &[Entry], now_ms: u64) {
        let judgement = self.oracle.written(entries, now_ms);
        for entry in entries {
            let kind = kind(&entry.stored);
            self.note(|| format!("        journal: {kind}"));
            let nth = self.kinds.entry(kind).or_default();
            *nth += 1;
            let nth = *nth;
            while let Some(place) = self.waiting.iter().position(|(of, at, ..)| *of == kind && *at == nth) {
                let (_, _, by_ms, item) = self.waiting.remove(place);
                self.due.push((now_ms + by_ms, item));
            }
        }
        self.judge(judgement);
    }

    /// The adapter's civil time.
    pub fn civil(&self) -> Timestamp {
        self.plan.start + SignedDuration::from_millis(i64::try_from(now_ms()).unwrap()) + self.clock_step + self.ahead
    }

    /// The adapter learns when the journal's last entry was written: its clock goes on from there where it stands before.
    pub fn goes_on_from(&mut self, last: Option<Timestamp>) {
        self.ahead = SignedDuration::ZERO;
        let civil = self.civil();
        if let Some(last) = last.filter(|last| *last > civil) {
            self.inject("the civil clock stands before the journal's last entry");
            self.oracle.clock_was_set_back(last, now_ms());
            self.ahead = last.duration_since(civil);
        }
    }

    /// How the sender of a call names it.
    pub fn name_of(&self, call: u64) -> Option<String> {
        self.plan.items.iter().find_map(|(_, item)| match item {
            Item::Record { record, .. } if record.call == call => Some(record.name.clone()),
            _ => None,
        })
    }

    pub fn manner_of(&mut self, host: &'static str) -> Manner {
        let now_ms = now_ms();
        match self.manners.get(host) {
            Some((manner, until_ms)) if now_ms < *until_ms => {
                let manner = *manner;
                self.inject(match manner {
                    Manner::Slow(_) => "a peer answers slowly",
                    Manner::Busy(_) => "a peer is busy (503)",
                    Manner::Broken => "a peer is broken (500)",
                    Manner::Refuses => "a peer refuses (422)",
                    Manner::Swallows => "a peer takes the bytes and says nothing",
                    Manner::HangsUp => "a peer hangs up",
                    Manner::Well => "a peer answers",
                });
                manner
            }
            _ => Manner::Well,
        }
    }

    /// True where nothing stood between the adapter and a host since an instant.
    pub fn is_untroubled(&self, host: &'static str, since_ms: u64) -> bool {
        let calm = |until: Option<&u64>| until.is_none_or(|until| *until < since_ms);
        let well = self.manners.get(host).is_none_or(|(_, until)| *until < since_ms);
        well && calm(self.troubled_until_ms.get(host)) && self.up_since_ms.is_some_and(|up| up < since_ms)
    }

    pub fn trouble(&mut self, host: &'static str, until_ms: u64) {
        let until = self.troubled_until_ms.entry(host).or_default();
        *until = (*until).max(until_ms);
    }

    pub fn is_settled(&self) -> bool {
        self.under_way == 0 && self.due.is_empty() && self.oracle.is_settled() && self.life.is_some()
    }
}

/// The first thing on every host: closes what its last life left open, as a kernel does, and goes no further while it is down.
pub async fn rise(world: &Shared, host: &'static str) {
    let (unclosed, down) = {
        let mut world = held(world);
        (std::mem::take(&mut world.unclosed), world.down.contains(host))
    };
    // In the order in which they were opened.
    for (_, stream) in unclosed {
        drop(stream);
    }
    if down {
        std::future::pending().await
    }
}

/// The adapter: the whole of it, on this world's network, journal and clock.
pub async fn adapter(world: Shared) -> turmoil::Result {
    rise(&world, "adapter").await;
    let (life, configuration, reading, clock) = {
        let mut world = held(&world);
        world.lives += 1;
        let now_ms = now_ms();
        let life = Life { number: world.lives, alive: Arc::new(AtomicBool::new(true)) };
        world.life = Some(life.clone());
        world.store.hinders(now_ms);
        world.ahead = SignedDuration::ZERO;
        let civil = world.civil();
        let ground = &world.ground;
        let configuration = if world.plan.tls { ground.secured.clone() } else { ground.plain.clone() };
        let clock = Clock::seeded(civil, world.plan.seed ^ world.lives << 40);
        (life, configuration, ground.reading.clone(), clock)
    };
    let journal = SimulatedJournal { world: Arc::clone(&world), life: life.clone() };
    let journal: Arc<dyn Journal> = Arc::new(journal);
    let network = Simulated { world: Arc::clone(&world), life: life.clone() };
    let application = Application::start_on(&network, &configuration, reading, Ok(journal), clock).await;
    let _application = application.map_err(|fault| fault.message)?;
    if life.is_alive() {
        held(&world).up_since_ms = Some(now_ms());
    }
    std::future::pending().await
}
