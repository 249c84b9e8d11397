//! Deliberate bugs (`src/canaries.rs`) on the network: what the oracles see of them from outside.

use crate::ground::Ground;
use crate::many::{cores, world};
use crate::plan::Plan;
use fourth_option::canaries::{Canary, plant};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

fn of_name(name: &str) -> Canary {
    let named = |canary: &&Canary| format!("{canary:?}") == name;
    *Canary::ALL.iter().find(named).unwrap_or_else(|| panic!("no canary is named {name}"))
}

/// Puts the bug of this name into everything that runs on this thread from now on.
pub fn plant_named(name: &str) {
    plant(Some(of_name(name)));
}

/// How many worlds a deliberate bug survives, for each that is asked for; what is found says that the oracles see.
pub fn each(named: Option<&str>, worlds_max: u64, ground: &Arc<Ground>) -> bool {
    std::panic::set_hook(Box::new(|_| {}));
    let wanted: Vec<Canary> = named.map_or_else(|| Canary::ALL.to_vec(), |name| vec![of_name(name)]);
    let (next, found) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(|| {
                loop {
                    let place = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
                    let Some(canary) = wanted.get(place) else { break };
                    plant(Some(*canary));
                    let caught =
                        (0..worlds_max).find_map(|seed| Some((seed, world(&Plan::of(seed), ground, false).violation?)));
                    plant(None);
                    match caught {
                        Some((seed, violation)) => {
                            found.fetch_add(1, Ordering::Relaxed);
                            println!(
                                "  {canary:?} found in world {} by {}: {}",
                                seed + 1,
                                violation.invariant,
                                violation.what
                            );
                        }
                        None => println!("  {canary:?} escaped {worlds_max} worlds: {}", canary.what()),
                    }
                }
            });
        }
    });
    let _ = std::panic::take_hook();
    println!("deliberate bugs found on the network: {} of {}", found.load(Ordering::Relaxed), wanted.len());
    true
}
