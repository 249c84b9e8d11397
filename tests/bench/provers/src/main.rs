//! The built-in safeguards of a policy of a thousand rows, proved by the product's own covers, by a SAT solver (batsat) and by
//! binary decision diagrams (biodivine-lib-bdd): the same verdicts, asserted, also of a policy with a planted hole; and what each
//! takes. Run by `make bench-provers`.
//!
//! What is asked of everybody: that no call with a danger that the product names goes to a program (of the made city's programs
//! none has an officer), and that no call which stays on the ordinary route goes to one because a risk fact is higher.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures time")]

#[path = "../../city.rs"]
mod city;
mod diagrams;
mod model;
mod satisfiability;

use fourth_option::policy::{Candidate, PolicyFiles};
use model::Model;
use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROWS: usize = 1_000;
const RUNS: usize = 9;

/// What does not hold: names of safeguards, as the product gives them.
pub type Broken = BTreeSet<String>;

fn candidate(policy: &city::Policy) -> Candidate {
    let mut files = PolicyFiles { folder: "generated".to_owned(), ..PolicyFiles::default() };
    files.files.insert("policy.toml".to_owned(), policy.toml().into_bytes());
    Candidate::read(&files).unwrap_or_else(|faults| panic!("{:#?}", faults.0))
}

fn by_covers(candidate: &Candidate) -> Broken {
    let broken = candidate.prove().into_iter().filter(|proof| !proof.holds());
    broken.map(|proof| proof.safeguard).collect()
}

/// Middle and extremes of some runs, the answer of every one of them the same.
fn timed(name: &str, expected: &Broken, mut prove: impl FnMut() -> Broken) {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let started = Instant::now();
            let broken = black_box(prove());
            let taken = started.elapsed();
            assert_eq!(&broken, expected, "{name}");
            taken
        })
        .collect();
    times.sort_unstable();
    let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
    println!("  {name:<42} {} ms (runs {} to {}), n {RUNS}", ms(times[RUNS / 2]), ms(times[0]), ms(times[RUNS - 1]));
}

fn compare(title: &str, policy: &city::Policy) -> Broken {
    let candidate = candidate(policy);
    let (rules, exclusions) = candidate.row_counts();
    let expected = by_covers(&candidate);
    println!("{title}: {rules} rules and {exclusions} exclusions; does not hold: {expected:?}");
    timed("covers, of the compiled table", &expected, || by_covers(&candidate));
    timed("SAT: clauses made and solved", &expected, || satisfiability::prove(&Model::of(policy)));
    timed("decision diagrams: built and asked", &expected, || diagrams::prove(&Model::of(policy)));
    expected
}

fn main() {
    let policy = city::policy(ROWS);
    assert_eq!(compare("the made city", &policy), Broken::new());
    let mut holed = policy;
    let word = |fact, word: &str| city::Cell {
        fact,
        negated: false,
        unknown: false,
        tests: vec![city::Test::Word(word.to_owned())],
    };
    holed.rules.push(city::Rule {
        id: "hole".to_owned(),
        cells: vec![word("nature", "theft"), word("weapon", "mentioned")],
        rank: ROWS,
        send: vec!["line-211".to_owned()],
    });
    let broken = compare("with a rule that only a mentioned weapon opens", &holed);
    assert_eq!(broken, Broken::from(["built-in.monotone.weapon".to_owned()]));
}
