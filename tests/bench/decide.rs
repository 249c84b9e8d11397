//! The decision table itself, on the made city: route, decision with explanation, two threads, a million calls in columns,
//! reload. Run by `make bench`; every figure with its n, and every answer checked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, measures time, and stops where it cannot measure"
)]

#[path = "city.rs"]
mod city;

use fourth_option::facts::{Facts, Source};
use fourth_option::policy::{Availability, Calls, Candidate, Decision, Policy, PolicyFiles, Profile};
use jiff::Timestamp;
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROWS: usize = 100;
const ROWS_LARGE: usize = 1_000;
const CALLS: usize = 10_000;
const CALLS_IN_COLUMNS: usize = 1_000_000;
const PASSES: usize = 9;

struct Call {
    facts: Facts,
    at: Timestamp,
}

fn files(policy: &city::Policy) -> PolicyFiles {
    let mut files = PolicyFiles { folder: "generated".to_owned(), ..PolicyFiles::default() };
    files.files.insert("policy.toml".to_owned(), policy.toml().into_bytes());
    files
}

fn compiled(files: &PolicyFiles) -> Policy {
    Policy::compile(files).unwrap_or_else(|faults| panic!("{:#?}", faults.0))
}

fn calls(policy: &city::Policy, count: usize) -> Vec<Call> {
    let with = |facts: Facts, (fact, value): &(&'static str, String)| facts.with(fact, value, Source::Structured);
    city::calls(policy, count)
        .iter()
        .map(|call| Call {
            facts: call.facts.iter().fold(Facts::default(), with),
            at: Timestamp::from_second(call.at_s).expect("instant"),
        })
        .collect()
}

/// Reads every fact of a call: in the product they have just been gathered, and are in the cache.
fn touch(call: &Call) {
    let bytes = |(name, known): (&str, &fourth_option::facts::Known)| {
        name.bytes().chain(known.value.bytes()).map(usize::from).sum::<usize>()
    };
    black_box(call.facts.iter().map(bytes).sum::<usize>());
}

/// Each call timed by itself, its facts just read, over several passes: p50 and p99 of every pass; printed are the middle pass and the extremes.
fn each(name: &str, calls: &[Call], mut step: impl FnMut(&Call)) {
    let mut passes: Vec<(Duration, Duration)> = Vec::new();
    for _ in 0..PASSES {
        let mut times: Vec<Duration> = calls
            .iter()
            .map(|call| {
                touch(call);
                let started = Instant::now();
                step(call);
                started.elapsed()
            })
            .collect();
        times.sort_unstable();
        passes.push((times[times.len() / 2], times[times.len() * 99 / 100]));
    }
    passes.sort_unstable();
    let us = |duration: Duration| format!("{:.2}", duration.as_secs_f64() * 1e6);
    let (p50, p99) = passes[PASSES / 2];
    println!(
        "{name:<44} p50 {} µs (passes {} to {}), p99 {} µs, n = {} × {PASSES}",
        us(p50),
        us(passes[0].0),
        us(passes[PASSES - 1].0),
        us(p99),
        calls.len()
    );
}

fn same(policy: &Policy, call: &Call, decision: &Decision, available: &Availability) {
    let answer = policy.route_only(&call.facts, &[], call.at, available);
    assert_eq!(answer.status.name(), decision.status.name());
    assert_eq!(answer.because, decision.status.because());
    assert_eq!(answer.program.map_or("ordinary", |program| program.as_str()), decision.route.name());
    assert_eq!(answer.rule, decision.rule.as_deref());
}

/// Calls a second of one thread and of two, turn about, and the ratio of each turn.
fn threads(policy: &Policy, calls: &[Call]) {
    let available = Availability::default();
    let work = || {
        for _ in 0..20 {
            for call in calls {
                let _ = black_box(policy.route_only(black_box(&call.facts), &[], call.at, &available));
            }
        }
    };
    let mut ratios: Vec<f64> = (0..PASSES)
        .map(|_| {
            let started = Instant::now();
            work();
            let one = started.elapsed().as_secs_f64();
            let started = Instant::now();
            std::thread::scope(|scope| {
                scope.spawn(work);
                scope.spawn(work);
            });
            2.0 * one / started.elapsed().as_secs_f64()
        })
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    println!(
        "{:<44} {:.2} times one (middle of {PASSES} turns; best {:.2}), n = {} calls a thread",
        "two threads",
        ratios[PASSES / 2],
        ratios[PASSES - 1],
        20 * calls.len()
    );
}

/// Time that this thread has run, as the kernel counts it: on a busy machine less than the clock says. Zero elsewhere.
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

fn columns(policy: &Policy, city: &city::Policy) {
    let available = Availability::default();
    let calls = calls(city, CALLS_IN_COLUMNS);
    let profiles: Vec<Profile> =
        calls.iter().map(|call| Profile { facts: call.facts.clone(), gaps: Vec::new() }).collect();
    let rows: Vec<(u32, Timestamp)> = (0_u32..).zip(&calls).map(|(number, call)| (number, call.at)).collect();
    let started = Instant::now();
    let in_columns = Calls::new(&profiles, &rows).expect("columns");
    let coded = started.elapsed();
    let mut on_cpu_times = Vec::new();
    let mut times: Vec<Duration> = (0..PASSES)
        .map(|_| {
            let (started, cpu) = (Instant::now(), on_cpu());
            black_box(policy.what_if(black_box(&in_columns), &available));
            on_cpu_times.push(on_cpu() - cpu);
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    on_cpu_times.sort_unstable();
    let tally = policy.what_if(&in_columns, &available);
    let mut answered = 0;
    policy.what_if_each(&in_columns, &available, |number, _, answer| {
        let call = &calls[number];
        assert_eq!(answer, policy.route_only(&call.facts, &[], call.at, &available), "call {number}");
        answered += 1;
    });
    assert_eq!((answered, tally.calls), (CALLS_IN_COLUMNS, CALLS_IN_COLUMNS as u64));
    println!(
        "{:<44} {:.1} ms (passes {:.1} to {:.1}; on the processor {:.1}), one thread, n = {CALLS_IN_COLUMNS} calls, each its own profile; all equal to one by one; put in columns once in {:.0} ms",
        "what-if",
        times[PASSES / 2].as_secs_f64() * 1e3,
        times[0].as_secs_f64() * 1e3,
        times[PASSES - 1].as_secs_f64() * 1e3,
        on_cpu_times[PASSES / 2].as_secs_f64() * 1e3,
        coded.as_secs_f64() * 1e3,
    );
    println!("    {:?} {:?}", tally.status, tally.route);
}

fn reload(rows: usize) {
    let files = files(&city::policy(rows));
    let mut read: Vec<Duration> = Vec::new();
    let mut prove: Vec<Duration> = Vec::new();
    for _ in 0..PASSES {
        let started = Instant::now();
        let candidate = Candidate::read(&files).unwrap_or_else(|faults| panic!("{:#?}", faults.0));
        read.push(started.elapsed());
        let started = Instant::now();
        candidate.into_policy().unwrap_or_else(|faults| panic!("{:#?}", faults.0));
        prove.push(started.elapsed());
    }
    read.sort_unstable();
    prove.sort_unstable();
    println!(
        "{:<44} {:.1} ms: read and compile {:.1} ms, prove {:.1} ms, middle of {PASSES}",
        format!("reload of {rows} rows"),
        (read[PASSES / 2] + prove[PASSES / 2]).as_secs_f64() * 1e3,
        read[PASSES / 2].as_secs_f64() * 1e3,
        prove[PASSES / 2].as_secs_f64() * 1e3
    );
}

fn main() {
    // `cargo bench --bench decide -- columns` runs one part.
    let parts: Vec<String> = std::env::args().skip(1).filter(|part| !part.starts_with('-')).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let city = city::policy(ROWS);
    let policy = compiled(&files(&city));
    let calls = calls(&city, CALLS);
    let available = Availability::default();
    for call in &calls {
        same(&policy, call, &policy.decide(&call.facts, &[], call.at, &available), &available);
    }
    println!("{ROWS} rows and the built-in ones, {CALLS} calls; route alone equals the decision on every one");
    if wanted("each") {
        each_call(&policy, &calls);
    }
    if wanted("threads") {
        threads(&policy, &calls);
    }
    if wanted("columns") {
        columns(&policy, &city);
    }
    if wanted("reload") {
        reload(ROWS);
        reload(ROWS_LARGE);
    }
}

fn each_call(policy: &Policy, calls: &[Call]) {
    let available = Availability::default();
    each("an empty step, for the clock's own cost", calls, |call| {
        black_box(call);
    });
    let read: Vec<_> = calls.iter().map(|call| policy.read(&call.facts, &[])).collect();
    let mut next = read.iter().cycle();
    each("status, route and rule of a call that was read", calls, |call| {
        let _ = black_box(next.next().map(|read| policy.route(black_box(read), call.at, &available)));
    });
    each("the same from its facts", calls, |call| {
        let _ = black_box(policy.route_only(black_box(&call.facts), &[], call.at, &available));
    });
    each("decision with reasons, questions and flip", calls, |call| {
        drop(black_box(policy.decide(black_box(&call.facts), &[], call.at, &available)));
    });
}
