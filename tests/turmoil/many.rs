//! Many worlds, and what they come to: the table, the failing seed and the line that runs it alone.

use crate::ground::Ground;
use crate::oracle::Violation;
use crate::plan::Plan;
use crate::stage::{Ending, run};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

/// What `make turmoil` runs.
pub const WORLDS: u64 = 3_000;
/// One world of so many is run a second time and must come to the same bytes.
const TWICE_EVERY: u64 = 29;
/// Failing worlds after which no more are begun.
const FAILURES_MAX: u64 = 8;

#[derive(Default)]
struct Tally {
    worlds: u64,
    tls: u64,
    twice: u64,
    twice_tls: u64,
    bytes_compared: u64,
    checks: u64,
    entries: u64,
    connections: u64,
    simulated_ms: u64,
    injected: BTreeMap<&'static str, u64>,
    failed: Vec<(u64, Violation)>,
}

impl Tally {
    fn add(&mut self, plan: &Plan, ending: &Ending) {
        self.worlds += 1;
        self.tls += u64::from(plan.tls);
        self.checks += ending.checks;
        self.entries += ending.entries;
        self.connections += ending.connections;
        self.simulated_ms += ending.at_ms;
        for (kind, times) in &ending.injected {
            *self.injected.entry(kind).or_default() += times;
        }
    }

    fn merge(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.tls += other.tls;
        self.twice += other.twice;
        self.twice_tls += other.twice_tls;
        self.bytes_compared += other.bytes_compared;
        self.checks += other.checks;
        self.entries += other.entries;
        self.connections += other.connections;
        self.simulated_ms += other.simulated_ms;
        for (kind, times) in other.injected {
            *self.injected.entry(kind).or_default() += times;
        }
        self.failed.extend(other.failed);
    }
}

pub fn cores() -> u64 {
    thread::available_parallelism().map_or(1, |cores| cores.get() as u64)
}

/// A world; one that panics has broken a promise too.
pub fn world(plan: &Plan, ground: &Arc<Ground>, keep: bool) -> Ending {
    catch_unwind(AssertUnwindSafe(|| run(plan, ground, keep))).unwrap_or_else(|panic| {
        let what = panic.downcast_ref::<String>().cloned();
        let what = what.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Ending {
            violation: Some(Violation::new("I12", format!("the world panicked: {}", what.unwrap_or_default()))),
            at_ms: 0,
            injected: BTreeMap::new(),
            checks: 0,
            entries: 0,
            connections: 0,
            trace: String::new(),
            log: String::new(),
        }
    })
}

fn sweep(from: u64, ground: &Arc<Ground>, enough: &(dyn Fn(u64) -> bool + Sync)) -> Tally {
    let (next, failures, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let whole = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(|| {
                let mut tally = Tally::default();
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if stop.load(Ordering::Relaxed) || enough(place) {
                        break;
                    }
                    let plan = Plan::of(from.wrapping_add(place));
                    let twice = place % TWICE_EVERY == 0;
                    let ending = world(&plan, ground, twice);
                    tally.add(&plan, &ending);
                    let mut violation = ending.violation;
                    if twice && violation.is_none() {
                        tally.twice += 1;
                        tally.twice_tls += u64::from(plan.tls);
                        tally.bytes_compared += ending.trace.len() as u64;
                        if world(&plan, ground, true).trace != ending.trace {
                            violation = Some(Violation::new("I9", "the world is another when it is run again"));
                        }
                    }
                    if let Some(violation) = violation {
                        stop.store(failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES_MAX, Ordering::Relaxed);
                        tally.failed.push((plan.seed, violation));
                    }
                }
                whole.lock().unwrap().merge(tally);
            });
        }
    });
    whole.into_inner().unwrap()
}

fn report(tally: &Tally, took_s: f64) {
    let each_ms = took_s * 1e3 * cores() as f64 / tally.worlds.max(1) as f64;
    println!(
        "layer B: {} worlds ({} with TLS), {} run twice with identical bytes ({} of them with TLS, {} bytes compared)",
        tally.worlds, tally.tls, tally.twice, tally.twice_tls, tally.bytes_compared
    );
    println!(
        "in {took_s:.1} s on {} cores ({each_ms:.0} ms of a core each); {} h simulated, {} connections' ends, {} journal entries",
        cores(),
        tally.simulated_ms / 3_600_000,
        tally.connections,
        tally.entries
    );
    println!("invariants checked {} times, violations {}", tally.checks, tally.failed.len());
    println!("faults injected:");
    for (kind, times) in &tally.injected {
        println!("  {times:>9}  {kind}");
    }
}

/// So many seeds.
pub fn worlds(from: u64, number: u64, ground: &Arc<Ground>) -> bool {
    let started = Instant::now();
    let tally = sweep(from, ground, &|place| place >= number);
    report(&tally, started.elapsed().as_secs_f64());
    for (seed, violation) in &tally.failed {
        println!("seed {seed}: {} broken: {}; to run it alone:", violation.invariant, violation.what);
        println!("  make turmoil ASK=\"seed {seed}\"");
    }
    tally.failed.is_empty()
}

/// New seeds until one fails.
pub fn soak(ground: &Arc<Ground>) -> bool {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let mut from = now.as_nanos() as u64;
    while worlds(from, WORLDS, ground) {
        from = from.wrapping_add(WORLDS);
    }
    false
}

/// One world, told step by step, run again to see that it is the same, and made smaller where it fails.
pub fn one(seed: u64, without: &[usize], ground: &Arc<Ground>) -> bool {
    let plan = Plan::of(seed).without(without);
    for (place, (when, item)) in plan.items.iter().enumerate() {
        println!("{place}: {when:?} {}", brief(&format!("{item:?}")));
    }
    for (place, (aim, fault)) in plan.faults.iter().enumerate() {
        println!("{}: {aim:?} {fault:?}", plan.items.len() + place);
    }
    println!("tls {}, latency {:?} ms, lost {} of 1000", plan.tls, plan.latency_ms, plan.lost_of_1000);
    let ending = world(&plan, ground, true);
    println!("{}", ending.trace);
    println!("{}", ending.log);
    let again = world(&plan, ground, true);
    println!("run again: {}", if again.trace == ending.trace { "the same" } else { "ANOTHER" });
    if again.trace != ending.trace {
        let differing = ending.trace.lines().zip(again.trace.lines()).find(|(one, other)| one != other);
        println!("{differing:?}");
    }
    match &ending.violation {
        Some(violation) => {
            println!("{} broken at {} ms: {}", violation.invariant, ending.at_ms, violation.what);
            let mut left_out = without.to_vec();
            for place in (0..Plan::of(seed).parts()).rev().filter(|place| !without.contains(place)) {
                left_out.push(place);
                let smaller = world(&Plan::of(seed).without(&left_out), ground, false);
                if smaller.violation.is_none_or(|other| other.invariant != violation.invariant) {
                    left_out.pop();
                }
            }
            let list = left_out.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
            println!("  make turmoil ASK=\"seed {seed} without {list}\"");
        }
        None => println!("every promise held, at rest after {} ms", ending.at_ms),
    }
    ending.violation.is_none() && again.trace == ending.trace
}

fn brief(text: &str) -> String {
    text.chars().take(160).collect()
}
