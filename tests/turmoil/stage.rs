//! The stage of a world: the simulation's steps, the faults at their instants, and how it ends.

use crate::ground::{Ground, logged};
use crate::oracle::Violation;
use crate::plan::{HEALED_MS, Item, Plan, TEAMS, When};
use crate::records::CANARY;
use crate::world::{Busy, Crash, Shared, World, adapter, held};
use crate::{desk, peers};
use jiff::SignedDuration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// How much simulated time one step is.
const TICK: Duration = Duration::from_millis(20);
/// A world that has not come to rest by then never will.
const REST_MS_MAX: u64 = 150_000;
/// How long a world that has come to rest is watched for more.
const QUIET_MS: u64 = 1_500;

/// How a world ended.
pub struct Ending {
    pub violation: Option<Violation>,
    pub at_ms: u64,
    pub injected: BTreeMap<&'static str, u64>,
    pub checks: u64,
    pub entries: u64,
    pub connections: u64,
    /// Every connection's bytes and the journal, where they were kept.
    pub trace: String,
    pub log: String,
}

type Orders = Arc<Mutex<Option<UnboundedReceiver<desk::Order>>>>;

/// The simulation and what is to happen in it from outside.
struct Stage<'a> {
    sim: turmoil::Sim<'a>,
    world: Shared,
    /// What ends when.
    ends: Vec<(u64, End)>,
    healed: bool,
}

enum End {
    Repair(&'static str, &'static str),
    Release(&'static str, &'static str),
    Bounce(&'static str),
}

pub fn run(plan: &Plan, ground: &Arc<Ground>, keep: bool) -> Ending {
    let _before = logged();
    let (desk, orders) = unbounded_channel();
    let world = Arc::new(Mutex::new(World::new(plan, ground, keep, desk)));
    let mut stage = Stage { sim: network(plan), world: Arc::clone(&world), ends: Vec::new(), healed: false };
    stage.people(ground, Arc::new(Mutex::new(Some(orders))));
    stage.draw();
    let at_ms = stage.play();
    drop(stage);
    let mut world = held(&world);
    let log = logged();
    if log.contains(CANARY) {
        world.judge(Err(Violation::new("I14", "a line of the log holds what a caller said")));
    }
    let mut trace = world.trace.take().unwrap_or_default();
    if keep {
        for entry in &world.store.disk.entries {
            trace.push_str(&serde_json::to_string(entry).unwrap());
            trace.push('\n');
        }
    }
    Ending {
        violation: world.failed.take(),
        at_ms,
        injected: std::mem::take(&mut world.injected),
        checks: world.oracle.checks + 1,
        entries: world.store.disk.entries.len() as u64,
        connections: world.connections,
        trace,
        log,
    }
}

fn network<'a>(plan: &Plan) -> turmoil::Sim<'a> {
    let mut builder = turmoil::Builder::new();
    builder
        .tick_duration(TICK)
        .simulation_duration(Duration::from_secs(3_600))
        .rng_seed(plan.seed)
        .min_message_latency(Duration::from_millis(plan.latency_ms.0))
        .max_message_latency(Duration::from_millis(plan.latency_ms.1.max(1)));
    if plan.lost_of_1000 > 0 {
        builder.fail_rate(f64::from(u32::try_from(plan.lost_of_1000).unwrap()) / 1_000.0).repair_rate(0.3);
    }
    builder.build()
}

impl Stage<'_> {
    fn people(&mut self, ground: &Arc<Ground>, orders: Orders) {
        let world = Arc::clone(&self.world);
        self.sim.host("adapter", move || adapter(Arc::clone(&world)));
        let world = Arc::clone(&self.world);
        self.sim.host("desk", move || desk::run(Arc::clone(&world), Arc::clone(&orders)));
        let (world, on) = (Arc::clone(&self.world), Arc::clone(ground));
        self.sim.host("cad", move || peers::cad(Arc::clone(&world), Arc::clone(&on)));
        for team in TEAMS {
            let (world, on) = (Arc::clone(&self.world), Arc::clone(ground));
            self.sim.host(team, move || peers::team(Arc::clone(&world), Arc::clone(&on), team));
        }
    }

    /// Puts the items of the plan where they wait for their time.
    fn draw(&mut self) {
        let mut world = held(&self.world);
        for place in 0..world.plan.items.len() {
            match world.plan.items[place].0 {
                When::At(at_ms) => world.due.push((at_ms, place)),
                When::After { kind, nth, by_ms } => world.waiting.push((kind, nth, by_ms, place)),
            }
        }
        if world.plan.lost_of_1000 > 0 {
            world.inject("messages are lost at random");
            for host in ["desk", "cad"].iter().chain(&TEAMS) {
                world.trouble(host, HEALED_MS + 10_000);
            }
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.sim.elapsed().as_millis()).unwrap()
    }

    fn play(&mut self) -> u64 {
        let mut quiet_since_ms = None;
        loop {
            let now_ms = self.now_ms();
            self.happen(now_ms);
            if let Err(error) = self.sim.step() {
                let violation = Violation::new("I12", format!("a host ended: {error}"));
                held(&self.world).judge(Err(violation));
            }
            let now_ms = self.now_ms();
            self.carry_out_the_crash(now_ms);
            let mut world = held(&self.world);
            if world.failed.is_some() {
                return now_ms;
            }
            if let (Some(up_since_ms), Some(free_since_ms)) = (world.up_since_ms, world.store.free_since_ms(now_ms)) {
                let judgement = world.oracle.in_time(now_ms, free_since_ms.max(up_since_ms));
                world.judge(judgement);
            }
            if self.healed && world.is_settled() {
                let since_ms = *quiet_since_ms.get_or_insert(now_ms);
                if now_ms >= since_ms + QUIET_MS {
                    drop(world);
                    return self.rest();
                }
            } else {
                quiet_since_ms = None;
            }
            if now_ms > REST_MS_MAX {
                let judgement = world.oracle.at_rest();
                world.judge(judgement);
                let under_way = world.under_way;
                world.judge(Err(Violation::new("I11", format!("{under_way} things of the outside never end"))));
                return now_ms;
            }
        }
    }

    /// At rest: the adapter is asked where each incident stands, and says what the journal says.
    fn rest(&mut self) -> u64 {
        {
            let (incidents, desk) = {
                let world = held(&self.world);
                (world.oracle.incidents(), world.desk.clone())
            };
            for incident in incidents {
                let order = desk::Order::Ask(incident.to_string(), Busy::begin(&self.world));
                assert!(desk.send(order).is_ok(), "the desk is there to the end");
            }
        }
        let until_ms = self.now_ms() + 20_000;
        loop {
            let now_ms = self.now_ms();
            let stepped = self.sim.step();
            let mut world = held(&self.world);
            if let Err(error) = stepped {
                world.judge(Err(Violation::new("I12", format!("a host ended: {error}"))));
            }
            if world.failed.is_some() || (world.under_way == 0) {
                let judgement = world.oracle.at_rest();
                world.judge(judgement);
                return now_ms;
            }
            if now_ms > until_ms {
                world.judge(Err(Violation::new("I12", "the adapter does not say where a call stands")));
                return now_ms;
            }
        }
    }

    /// Everything that is due from outside.
    fn happen(&mut self, now_ms: u64) {
        if !self.healed && now_ms >= HEALED_MS {
            self.heal(now_ms);
        }
        while let Some(place) = self.ends.iter().position(|(at_ms, _)| *at_ms <= now_ms) {
            let (_, end) = self.ends.remove(place);
            self.end(end);
        }
        loop {
            let next = {
                let mut world = held(&self.world);
                let place = world.due.iter().position(|(at_ms, _)| *at_ms <= now_ms);
                place.map(|place| world.due.remove(place).1)
            };
            let Some(place) = next else { break };
            self.item(place, now_ms);
        }
        let doomed = {
            let mut world = held(&self.world);
            let due = world.supervisor.as_ref().is_some_and(|(at_ms, _, _)| *at_ms <= now_ms);
            if due { world.supervisor.take() } else { None }
        };
        if let Some((_, life, crash)) = doomed {
            held(&self.world).die(&life, crash);
            self.carry_out_the_crash(now_ms);
        }
    }

    fn end(&mut self, end: End) {
        match end {
            End::Repair(a, b) => self.sim.repair(a, b),
            End::Release(a, b) => self.sim.release(a, b),
            End::Bounce(host) => {
                for other in everybody().filter(|other| *other != host) {
                    let cut = self.ends.iter().any(|(_, end)| matches!(end, End::Repair(a, b) if [*a, *b] == [host, other] || [*b, *a] == [host, other]));
                    if !cut && !self.is_cut_for_ever(host, other) {
                        self.sim.repair(host, other);
                    }
                }
                held(&self.world).down.remove(host);
                self.sim.bounce(host);
            }
        }
    }

    fn is_cut_for_ever(&self, a: &str, b: &str) -> bool {
        let world = held(&self.world);
        let ever = world.troubled_until_ms.get(b).or_else(|| world.troubled_until_ms.get(a));
        ever == Some(&u64::MAX)
    }

    /// From here only what is broken for ever is broken.
    fn heal(&mut self, now_ms: u64) {
        self.healed = true;
        {
            let mut world = held(&self.world);
            world.store.heal(now_ms);
            world.waiting.clear();
            world.manners.clear();
        }
        for (_, end) in std::mem::take(&mut self.ends) {
            self.end(end);
        }
        self.sim.set_fail_rate(0.0);
        for host in everybody().filter(|host| *host != "adapter") {
            if !self.is_cut_for_ever("adapter", host) {
                self.sim.repair("adapter", host);
            }
        }
    }

    fn item(&mut self, place: usize, now_ms: u64) {
        let item = held(&self.world).plan.items[place].1.clone();
        let busy = Busy::begin(&self.world);
        let mut world = held(&self.world);
        let until = |for_ms: u64| (now_ms + for_ms).min(HEALED_MS.max(now_ms + 20));
        match item {
            Item::Record { .. } | Item::Poison | Item::Passes | Item::Press { .. } | Item::Loiter => {
                if let Item::Record { record, by } = &item {
                    world.oracle.will_send(record, *by != crate::plan::Way::PassThrough);
                    if !record.dangers.is_empty() {
                        world.inject("danger is learnt");
                    }
                }
                if matches!(item, Item::Poison) {
                    world.inject("bytes that are no record");
                }
                let sent = world.desk.send(desk::Order::Do(item, busy));
                assert!(sent.is_ok(), "the desk is there to the end");
            }
            Item::Cut { a, b, both_ways, for_ms } => {
                let peer = if a == "adapter" { b } else { a };
                world.inject(match (for_ms, both_ways) {
                    (None, _) => "a link is cut for ever",
                    (Some(_), true) => "a link is cut",
                    (Some(_), false) => "a link is cut one way",
                });
                world.trouble(peer, for_ms.map_or(u64::MAX, |for_ms| until(for_ms) + 10_000));
                drop(world);
                if both_ways {
                    self.sim.partition(a, b)
                } else {
                    self.sim.partition_oneway(a, b)
                }
                self.ends.extend(for_ms.map(|for_ms| (until(for_ms), End::Repair(a, b))));
            }
            Item::Hold { a, b, for_ms } => {
                world.inject("a link keeps everything back");
                world.trouble(b, until(for_ms) + 10_000);
                drop(world);
                self.sim.hold(a, b);
                self.ends.push((until(for_ms), End::Release(a, b)));
            }
            Item::Crash { host: "adapter", down_ms, power, clock_step_s } => {
                world.inject("the process dies at any instant");
                if let Some(life) = world.life.clone() {
                    world.die(&life, Crash { down_ms, power, clock_step_s });
                }
                drop(world);
                self.carry_out_the_crash(now_ms);
            }
            Item::Crash { host, down_ms, power, .. } => {
                world.inject("a peer dies");
                world.trouble(host, until(down_ms) + 10_000);
                drop(world);
                self.crash(host, until(down_ms), power);
            }
            Item::Manner { host, manner, for_ms } => {
                world.manners.insert(host, (manner, until(for_ms)));
            }
            Item::StoreShut { for_ms } => {
                world.inject("the store stands still");
                world.store.stall(until(for_ms));
            }
        }
    }

    fn crash(&mut self, host: &'static str, until_ms: u64, power: bool) {
        // Not twice at once.
        if self.ends.iter().any(|(_, end)| matches!(end, End::Bounce(other) if *other == host)) {
            return;
        }
        if power {
            for other in everybody().filter(|other| *other != host) {
                self.sim.partition(host, other);
            }
        }
        held(&self.world).dying = Some(host);
        self.sim.crash(host);
        {
            let mut world = held(&self.world);
            world.dying = None;
            world.down.insert(host);
        }
        self.sim.bounce(host);
        self.ends.push((until_ms, End::Bounce(host)));
    }

    fn carry_out_the_crash(&mut self, now_ms: u64) {
        let crash = {
            let mut world = held(&self.world);
            let Some(crash) = world.crash.take() else { return };
            (world.life, world.up_since_ms, world.supervisor) = (None, None, None);
            world.store.died(now_ms);
            if crash.clock_step_s != 0 {
                world.inject("the civil clock is stepped while the process is down");
            }
            world.clock_step += SignedDuration::from_secs(crash.clock_step_s);
            crash
        };
        let until_ms =
            if self.healed { now_ms + 100 } else { (now_ms + crash.down_ms).min(HEALED_MS.max(now_ms + 60)) };
        self.crash("adapter", until_ms, crash.power);
    }
}

fn everybody() -> impl Iterator<Item = &'static str> {
    ["adapter", "desk", "cad"].into_iter().chain(TEAMS)
}
