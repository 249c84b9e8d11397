//! The same policy of a hundred rows and the same ten thousand calls in Fourth, Cedar, regorus and CEL: equal answers, and what
//! each takes for one call. Policies are parsed once and inputs made beforehand, for everybody. Run by `make bench-peers`.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures time")]

#[path = "../../generated.rs"]
mod generated;
mod calls;
mod cedar;
mod cel_rust;
mod rego;
mod table;

use calls::Call;
use fourth_option::facts::{Facts, Source};
use fourth_option::policy::{Availability, Policy, PolicyFiles, ReadCall};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};
use table::Table;

const ROWS: usize = 100;
const CALLS: usize = 10_000;
/// One of those that make no exclusion which sends to a co-response: a peer has no counterpart to "where a rule would take it".
const POLICY_SEED: u64 = 4;
const CALLS_SEED: u64 = 911;
/// Every program of the generated policy is open at this hour.
const AT: &str = "2026-06-03T20:00:00-07:00";
/// Fourth's median must be so many times smaller than each peer's.
const RATIO_MIN: f64 = 100.0;
/// Words and numbers that a peer is given of each call, unknown ones too.
pub const WORDS: [&str; 17] = [
    "call_type",
    "nature",
    "weapon",
    "violence",
    "self_harm",
    "medical",
    "crime",
    "setting",
    "caller",
    "consent",
    "checked",
    "housing",
    "zone",
    "prefers",
    "on_scene",
    "already_notified",
    "doubt",
];
pub const NUMBERS: [&str; 2] = ["age", "tier"];

/// A word of a call, `unknown` where it has none.
pub fn word<'a>(call: &'a Call, name: &str) -> &'a str {
    call.get(name).map_or("unknown", String::as_str)
}

/// A number of a call, -1 where it has none.
pub fn number(call: &Call, name: &str) -> i64 {
    call.get(name).map_or(table::UNKNOWN_NUMBER, |text| text.parse().expect("a number"))
}

/// Times of single calls.
struct Spread {
    p50: Duration,
    p99: Duration,
    n: usize,
}

/// One pass to warm up, then every input so many times, each call timed by itself.
fn measure<I, T>(inputs: &[I], rounds: usize, mut step: impl FnMut(&I) -> T) -> Spread {
    for input in inputs.iter().take(2_000) {
        black_box(step(black_box(input)));
    }
    let mut times: Vec<Duration> = Vec::with_capacity(inputs.len() * rounds);
    for _ in 0..rounds {
        times.extend(inputs.iter().map(|input| {
            let started = Instant::now();
            black_box(step(black_box(input)));
            started.elapsed()
        }));
    }
    times.sort_unstable();
    Spread { p50: times[times.len() / 2], p99: times[times.len() * 99 / 100], n: times.len() }
}

struct Ours {
    policy: Policy,
    available: Availability,
    at: Timestamp,
}

impl Ours {
    /// Rule and program, `None` for the ordinary route.
    fn answer<'a>(&'a self, call: &ReadCall<'a>) -> Option<(&'a str, &'a str)> {
        let answer = self.policy.route(call, self.at, &self.available);
        Some((answer.rule?, answer.program?.as_str()))
    }

    /// Calls a second by so many threads, each deciding all calls so many times.
    fn throughput(&self, calls: &[ReadCall<'_>], threads: usize, rounds: usize) -> f64 {
        let started = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        calls.iter().for_each(|call| {
                            black_box(self.answer(black_box(call)));
                        });
                    }
                });
            }
        });
        (threads * rounds * calls.len()) as f64 / started.elapsed().as_secs_f64()
    }
}

/// The same call as Fourth's facts: a zone that is part of another puts a call into both.
fn facts(call: &Call, table: &Table) -> Facts {
    call.iter().fold(Facts::default(), |facts, (fact, value)| {
        let wider = table.unions.iter().filter(|(_, parts)| *fact == "zone" && parts.contains(value));
        let value = wider.fold(value.clone(), |value, (union, _)| format!("{value},{union}"));
        facts.with(fact, &value, Source::Structured)
    })
}

/// The program of an offer `rule/step`, with its rule.
fn told<'a>(table: &'a Table, id: Option<&str>) -> Option<(&'a str, &'a str)> {
    let offer = table.offers.iter().find(|offer| Some(offer.id.as_str()) == id)?;
    let (rule, _) = offer.id.split_once('/').expect("rule/step");
    Some((rule, offer.program.as_str()))
}

fn main() {
    let text = generated::policy(ROWS, POLICY_SEED);
    let files = BTreeMap::from([("policy.toml".to_owned(), text.clone().into_bytes())]);
    let policy = Policy::compile(&PolicyFiles { folder: "generated".into(), files }).expect("the generated policy");
    let table = table::table(&text, &policy);
    assert_eq!(table.rows, ROWS);
    let calls = calls::calls(CALLS, CALLS_SEED, &table.types, &table.natures);

    let ours = Ours { policy, available: Availability::default(), at: AT.parse().expect("an instant") };
    let cedar = cedar::Cedar::new(&table);
    let cel = cel_rust::Cel::new(&table);
    let mut rego = rego::Rego::new(&table);

    let facts: Vec<Facts> = calls.iter().map(|call| facts(call, &table)).collect();
    let read: Vec<ReadCall<'_>> = facts.iter().map(|facts| ours.policy.read(facts, &[])).collect();
    let requests: Vec<_> = calls.iter().map(cedar::Cedar::request).collect();
    let contexts: Vec<_> = calls.iter().map(|call| cel.context(call)).collect();
    let inputs: Vec<_> = calls.iter().map(rego::Rego::input).collect();

    let mut taken = 0;
    for place in 0..CALLS {
        let answer = ours.answer(&read[place]);
        let about = || format!("call {place}: {:?}", calls[place]);
        assert_eq!(told(&table, cedar.answer(&requests[place]).as_deref()), answer, "Cedar, {}", about());
        assert_eq!(told(&table, cel.answer(&contexts[place])), answer, "CEL, {}", about());
        assert_eq!(told(&table, rego.by_machine(&inputs[place]).as_deref()), answer, "regorus, {}", about());
        assert_eq!(told(&table, rego.by_interpreter(&inputs[place]).as_deref()), answer, "regorus, {}", about());
        taken += usize::from(answer.is_some());
    }
    assert!(taken > CALLS / 20 && taken < CALLS * 19 / 20, "{taken} calls go to a program");
    println!("{ROWS} rows, {CALLS} calls, {taken} of them go to a program; all engines answer all of them alike\n");

    let us = measure(&read, 10, |call| ours.answer(call).map(|(rule, _)| rule.len()));
    let from_facts =
        measure(&facts, 10, |facts| ours.answer(&ours.policy.read(facts, &[])).map(|(rule, _)| rule.len()));
    let whole = measure(&facts, 1, |facts| ours.policy.decide(facts, &[], ours.at, &ours.available));
    let peers = [
        ("cel 0.15", measure(&contexts, 1, |context| cel.answer(context).map(str::len))),
        ("cedar-policy 4.14", measure(&requests, 1, |request| cedar.answer(request))),
        ("regorus 0.14, register machine", measure(&inputs, 1, |input| rego.by_machine(input))),
        ("regorus 0.14, interpreter", measure(&inputs, 1, |input| rego.by_interpreter(input))),
    ];

    let micros = |time: Duration| format!("{:.2} µs", time.as_secs_f64() * 1e6);
    let ratio = |spread: &Spread| spread.p50.as_secs_f64() / us.p50.as_secs_f64();
    println!("{:<34} {:>12} {:>12} {:>9} {:>9}", "engine", "p50", "p99", "n", "ratio");
    let line = |name: &str, spread: &Spread| {
        let times = ratio(spread);
        println!("{name:<34} {:>12} {:>12} {:>9} {times:>9.1}", micros(spread.p50), micros(spread.p99), spread.n);
    };
    line("fourth, where it goes", &us);
    line("fourth, the same from words", &from_facts);
    line("fourth, with every reason", &whole);
    peers.iter().for_each(|(name, spread)| line(name, spread));

    let (one, two) = (ours.throughput(&read, 1, 50), ours.throughput(&read, 2, 50));
    println!("\nfourth, one thread {one:.0} calls/s, two threads {two:.0} calls/s ({:.2} times)", two / one);
    for (name, spread) in &peers {
        assert!(ratio(spread) >= RATIO_MIN, "{name}: {:.1} times, and the bar is {RATIO_MIN}", ratio(spread));
    }
}
