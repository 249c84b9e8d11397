//! Layer B: the whole adapter on a simulated network. Its accept loop, routers, outbox and clients over turmoil, its journal simulated.
//!
//! `make turmoil ASK="[worlds N [from S] | soak | seed S [without 1,2,3]]"`; with `--features canaries` also
//! `canaries [N] [canary NAME]` and `seed S canary NAME`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a test that panics has failed, which is its job; tests print what they measured"
)]

#[path = "../worlds/chance.rs"]
mod chance;
#[path = "../worlds/dangers.rs"]
mod dangers;
#[path = "../worlds/disk.rs"]
mod disk;
#[cfg(feature = "canaries")]
mod broken;
mod desk;
mod ground;
mod http;
mod ledger;
mod many;
mod oracle;
mod peers;
mod plan;
mod records;
mod stage;
mod store;
mod wire;
mod world;

use ground::Ground;
use std::process::ExitCode;
use std::sync::Arc;

#[cfg(feature = "canaries")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let word_after = |word: &str| {
        let place = arguments.iter().position(|argument| argument == word)?;
        arguments.get(place + 1).map(String::as_str)
    };
    let number_after = |word: &str| word_after(word).and_then(|number| number.parse::<u64>().ok());
    let without: Vec<usize> = word_after("without")
        .map(|list| list.split(',').map(|place| place.parse().unwrap()).collect())
        .unwrap_or_default();
    ground::set_up_logs();
    let ground = Arc::new(Ground::new());
    #[cfg(feature = "canaries")]
    word_after("canary").into_iter().for_each(broken::plant_named);
    let held = match arguments.first().map(String::as_str) {
        Some("seed") => many::one(number_after("seed").unwrap(), &without, &ground),
        Some("soak") => many::soak(&ground),
        #[cfg(feature = "canaries")]
        Some("canaries") => broken::each(word_after("canary"), number_after("canaries").unwrap_or(300), &ground),
        Some("worlds") => {
            let number = number_after("worlds").unwrap_or(many::WORLDS);
            many::worlds(number_after("from").unwrap_or(0), number, &ground)
        }
        Some(_) | None => many::worlds(0, many::WORLDS, &ground),
    };
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
