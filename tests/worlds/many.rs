//! Many worlds on every core: the regressions first, then the canaries, then the seeds, and what was seen.

use crate::chance::Chance;
use crate::oracle::{Checked, Violation};
use crate::plan::Plan;
use crate::shrink::shrunk;
use crate::world::{Ending, Policies, run};
use fourth_option::canaries::{Canary, plant};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Worlds of `make test`.
const WORLDS: u64 = 500_000;
/// A canary that is not found within this many worlds has escaped.
const CANARY_WORLDS_MAX: u64 = 5_000;
/// Of so many worlds one is run twice, to see that it is the same.
const TWICE_EVERY: u64 = 1_000;

/// What was seen in many worlds.
#[derive(Default)]
struct Tally {
    worlds: u64,
    twice: u64,
    checked: Checked,
    entries: u64,
    injected: BTreeMap<&'static str, u64>,
    failed: Vec<Failed>,
}

struct Failed {
    seed: u64,
    without: Vec<usize>,
    violation: Violation,
}

impl Tally {
    fn add(&mut self, ending: &Ending) {
        self.worlds += 1;
        self.checked.merge(&ending.checked);
        self.entries += ending.entries;
        for (kind, times) in &ending.injected {
            *self.injected.entry(kind).or_default() += times;
        }
    }

    fn merge(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.twice += other.twice;
        self.checked.merge(&other.checked);
        self.entries += other.entries;
        for (kind, times) in other.injected {
            *self.injected.entry(kind).or_default() += times;
        }
        self.failed.extend(other.failed);
    }
}

/// A world; one that panics has broken a promise too.
fn world(plan: &Plan, policies: &Policies, trace: bool) -> Ending {
    catch_unwind(AssertUnwindSafe(|| run(plan, policies, trace))).unwrap_or_else(|_| Ending {
        violation: Some((Violation::new("I12", "the world panicked"), 0)),
        injected: BTreeMap::new(),
        checked: Checked::default(),
        entries: 0,
        digest: 0,
        trace: Vec::new(),
    })
}

fn cores() -> u64 {
    thread::available_parallelism().map_or(1, |cores| cores.get() as u64)
}

/// Seeds from `base` on, until `enough` says so or, unless it is to go on, one fails.
fn sweep(base: u64, policies: &Policies, go_on: bool, enough: &(dyn Fn(u64) -> bool + Sync)) -> Tally {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
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
                    let seed = base.wrapping_add(place);
                    let ending = world(&Plan::of(seed), policies, false);
                    tally.add(&ending);
                    let mut violation = ending.violation.map(|(violation, _)| violation);
                    if violation.is_none() && place % TWICE_EVERY == 0 {
                        tally.twice += 1;
                        if world(&Plan::of(seed), policies, false).digest != ending.digest {
                            violation = Some(Violation::new("I9", "the world is another when it is run again"));
                        }
                    }
                    if let Some(violation) = violation {
                        stop.store(!go_on, Ordering::Relaxed);
                        tally.failed.push(Failed { seed, without: Vec::new(), violation });
                    }
                }
                whole.lock().unwrap().merge(tally);
            });
        }
    });
    whole.into_inner().unwrap()
}

fn regressions_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/worlds/regressions.txt")
}

/// Seeds that failed once, each with the items left out of its world.
fn regressions() -> Vec<(u64, Vec<usize>)> {
    let text = fs::read_to_string(regressions_file()).unwrap();
    let lines = text.lines().map(|line| line.split('#').next().unwrap().trim()).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let seed = words.next().unwrap().parse().unwrap();
            let without = words.next().map(|list| list.split(',').map(|place| place.parse().unwrap()).collect());
            (seed, without.unwrap_or_default())
        })
        .collect()
}

fn list(without: &[usize]) -> String {
    without.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

fn replay_line(seed: u64, without: &[usize], canary: Option<Canary>) -> String {
    let mut line = format!("make worlds ASK=\"seed {seed}");
    if !without.is_empty() {
        let _ = write!(line, " without {}", list(without));
    }
    if let Some(canary) = canary {
        let _ = write!(line, " canary {canary:?}");
    }
    line.push('"');
    line
}

/// Says what failed, shrinks it, and keeps it as a regression.
fn tell(failed: &Failed, policies: &Policies, keep: bool) {
    let without = shrunk(failed.seed, &failed.without, &failed.violation, policies);
    let ending = world(&Plan::of(failed.seed).without(&without), policies, true);
    println!("seed {}: {} broken: {}", failed.seed, failed.violation.invariant, failed.violation.what);
    println!("shrunk by {} of {} items; to run it again:", without.len(), Plan::of(failed.seed).items.len());
    println!("  {}", replay_line(failed.seed, &without, None));
    for line in &ending.trace {
        println!("    {line}");
    }
    if keep {
        let mut text = fs::read_to_string(regressions_file()).unwrap();
        let _ = writeln!(
            text,
            "{} {} # {}: {}",
            failed.seed,
            list(&without),
            failed.violation.invariant,
            failed.violation.what
        );
        fs::write(regressions_file(), text).unwrap();
        println!("kept in tests/worlds/regressions.txt: commit it with the mend");
    }
}

fn report(tally: &Tally, took: Duration) {
    let each_us = took.as_secs_f64() * 1e6 * cores() as f64 / tally.worlds.max(1) as f64;
    println!(
        "layer A: {} worlds in {:.1} s on {} cores ({each_us:.0} µs of a core each), {} journal entries; {} run twice and the same",
        tally.worlds,
        took.as_secs_f64(),
        cores(),
        tally.entries,
        tally.twice,
    );
    println!("faults injected:");
    for (kind, times) in &tally.injected {
        println!("  {times:>9}  {kind}");
    }
    println!("invariants checked:");
    let judged = tally.checked.0.iter().enumerate().filter(|(_, times)| **times > 0);
    let judged: Vec<String> = judged.map(|(number, times)| format!("I{number} {times}")).collect();
    println!("  {}", judged.join(", "));
    println!("violations {}", tally.failed.len());
}

/// So many seeds; a failing one is told and kept.
pub fn worlds(number: u64, policies: &Policies) -> bool {
    let started = Instant::now();
    let tally = sweep(0, policies, false, &|place| place >= number);
    report(&tally, started.elapsed());
    for failed in tally.failed.iter().take(1) {
        tell(failed, policies, true);
    }
    tally.failed.is_empty()
}

/// So many seeds, whatever fails: how often each promise was broken, and where first. For whoever mends.
pub fn survey(number: u64, policies: &Policies) -> bool {
    std::panic::set_hook(Box::new(|_| {}));
    let tally = sweep(0, policies, true, &|place| place >= number);
    let _ = std::panic::take_hook();
    let mut kinds: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for Failed { seed, violation, .. } in &tally.failed {
        let what: String = violation.what.split("i-").next().unwrap().to_owned();
        kinds.entry(format!("{} {what}", violation.invariant)).or_default().push(*seed);
    }
    for (kind, seeds) in &mut kinds {
        seeds.sort_unstable();
        println!("{:>6}  {kind}: seeds {:?}", seeds.len(), &seeds[..seeds.len().min(6)]);
    }
    println!("{} of {number} worlds failed", tally.failed.len());
    tally.failed.is_empty()
}

/// New seeds until told to stop, or until one fails.
pub fn soak(policies: &Policies) -> bool {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let base = Chance::of(now.as_secs(), &[now.subsec_nanos().into()]).next();
    println!("seeds from {base} on; interrupt to stop");
    let mut base = base;
    loop {
        let started = Instant::now();
        let tally = sweep(base, policies, false, &|place| place >= 200_000);
        base = base.wrapping_add(200_000);
        report(&tally, started.elapsed());
        if let Some(failed) = tally.failed.first() {
            tell(failed, policies, true);
            return false;
        }
    }
}

/// What failed once must hold now.
fn old_failures(policies: &Policies) -> bool {
    let kept = regressions();
    let mut held = true;
    for (seed, without) in &kept {
        let ending = world(&Plan::of(*seed).without(without), policies, false);
        if let Some((violation, _)) = ending.violation {
            tell(&Failed { seed: *seed, without: without.clone(), violation }, policies, false);
            held = false;
        }
    }
    println!("regressions: {} seeds that failed once, run first", kept.len());
    held
}

/// Every deliberate bug is found.
pub fn canaries(policies: &Policies) -> bool {
    // What a bug does to a world may be to panic; that is a finding, and no news.
    std::panic::set_hook(Box::new(|_| {}));
    let next = AtomicU64::new(0);
    let found: Mutex<BTreeMap<usize, (u64, Violation)>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(|| {
                loop {
                    let place = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
                    let Some(canary) = Canary::ALL.get(place) else { break };
                    plant(Some(*canary));
                    let caught = (0..CANARY_WORLDS_MAX).find_map(|seed| {
                        let ending = world(&Plan::of(seed), policies, false);
                        ending.violation.map(|(violation, _)| (seed + 1, violation))
                    });
                    plant(None);
                    if let Some(caught) = caught {
                        found.lock().unwrap().insert(place, caught);
                    }
                }
            });
        }
    });
    let _ = std::panic::take_hook();
    let found = found.into_inner().unwrap();
    for (place, canary) in Canary::ALL.iter().enumerate() {
        match found.get(&place) {
            Some((worlds, violation)) => {
                println!(
                    "  {:<30} found in world {worlds:>5} by {:<4} {}",
                    format!("{canary:?}"),
                    violation.invariant,
                    violation.what
                );
            }
            None => println!("  {:<30} ESCAPED {CANARY_WORLDS_MAX} worlds:{}", format!("{canary:?}"), canary.what()),
        }
    }
    println!("canaries found: {} of {}, each within {CANARY_WORLDS_MAX} worlds", found.len(), Canary::ALL.len());
    found.len() == Canary::ALL.len()
}

/// One world, told step by step, and run again to see that it is the same.
pub fn one(seed: u64, without: &[usize], policies: &Policies) -> bool {
    let plan = Plan::of(seed).without(without);
    println!(
        "start {}, policy {:?}, loss {} %, twice {} %, delay up to {} ms",
        plan.start, plan.policy, plan.loss, plan.twice, plan.delay_ms
    );
    for (place, item) in Plan::of(seed).items.iter().enumerate().filter(|(place, _)| !without.contains(place)) {
        match crate::world::record_of(item) {
            Some(record) => println!("  {place}: record {} of {} {:?}", record.updated_at, record.name, record.dangers),
            None => println!("  {place}: {item:?}"),
        }
    }
    let ending = world(&plan, policies, true);
    for line in &ending.trace {
        println!("{line}");
    }
    let again = world(&plan, policies, true);
    println!("run again: {}", if again.trace == ending.trace { "the same" } else { "ANOTHER" });
    match &ending.violation {
        Some((violation, at_ms)) => println!("{} broken at {at_ms} ms: {}", violation.invariant, violation.what),
        None => println!("every promise held"),
    }
    ending.violation.is_none() && again.trace == ending.trace
}

/// What `make test` runs.
pub fn all(policies: &Policies) -> bool {
    let regressions = old_failures(policies);
    let canaries = canaries(policies);
    let worlds = worlds(WORLDS, policies);
    regressions && canaries && worlds
}
