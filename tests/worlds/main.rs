//! Layer A: worlds by the hundred thousand. The real desk, incident and policy over a simulated store and a hostile outside.
//!
//! `make worlds ASK="[worlds N | survey N | canaries | soak | seed S [without 1,2,3] [canary NAME]]"`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a test that panics has failed, which is its job; tests print what they measured"
)]

mod chance;
mod dangers;
mod disk;
mod ledger;
mod many;
mod oracle;
mod peers;
mod plan;
mod sharing;
mod shrink;
mod store;
mod ties;
mod told;
mod world;

use fourth_option::canaries::{Canary, plant};
use fourth_option::policy::{Policy, PolicyFiles};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use world::Policies;

/// A world is a thousand small pieces made and dropped; the system's allocator takes a third of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The policies that plans name by place: automatic, the same revised, advise, shadow.
fn policies() -> Policies {
    let compiled = |from: &str, to: &str| {
        let text = include_str!("policy/policy.toml");
        assert!(text.contains(from));
        let files = BTreeMap::from([("policy.toml".to_owned(), text.replace(from, to).into_bytes())]);
        let files = PolicyFiles { folder: "worlds".to_owned(), files };
        Arc::new(Policy::compile(&files).unwrap_or_else(|faults| panic!("{faults:?}")))
    };
    Policies(vec![
        compiled("mode", "mode"),
        compiled("revision = \"2026-01-01\"", "revision = \"2026-02-01\""),
        compiled("mode = \"automatic\"", "mode = \"advise\""),
        compiled("mode = \"automatic\"", "mode = \"shadow\""),
    ])
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let word_after = |word: &str| {
        let place = arguments.iter().position(|argument| argument == word)?;
        arguments.get(place + 1).map(String::as_str)
    };
    let policies = policies();
    let seed = word_after("seed").map(|seed| seed.parse().unwrap());
    let without: Vec<usize> = word_after("without")
        .map(|list| list.split(',').map(|place| place.parse().unwrap()).collect())
        .unwrap_or_default();
    let canary = word_after("canary").map(|name| {
        let named = |canary: &&Canary| format!("{canary:?}") == name;
        *Canary::ALL.iter().find(named).unwrap_or_else(|| panic!("no canary is named {name}"))
    });
    let held = match (seed, arguments.first().map(String::as_str)) {
        (Some(seed), _) => {
            plant(canary);
            many::one(seed, &without, &policies)
        }
        (None, Some("soak")) => many::soak(&policies),
        (None, Some("worlds")) => many::worlds(word_after("worlds").map_or(0, |n| n.parse().unwrap()), &policies),
        (None, Some("survey")) => many::survey(word_after("survey").map_or(0, |n| n.parse().unwrap()), &policies),
        (None, Some("canaries")) => many::canaries(&policies),
        (None, Some(_) | None) => many::all(&policies),
    };
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
