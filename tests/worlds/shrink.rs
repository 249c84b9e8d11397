//! A failing world made smaller: items are left out while the same promise stays broken.

use crate::oracle::Violation;
use crate::plan::Plan;
use crate::world::{Policies, run};

/// The items that may be left out, by place, so that what is left still breaks the same invariant.
pub fn shrunk(seed: u64, without: &[usize], violation: &Violation, policies: &Policies) -> Vec<usize> {
    let whole = Plan::of(seed);
    let mut without = without.to_vec();
    let broken = |without: &[usize]| {
        let ending = run(&whole.clone().without(without), policies, false);
        ending.violation.is_some_and(|(found, _)| found.invariant == violation.invariant)
    };
    // Until nothing more can go: taking one thing out may make another superfluous.
    loop {
        let before = without.len();
        for place in (0..whole.items.len()).rev() {
            if !without.contains(&place) {
                without.push(place);
                if !broken(&without) {
                    without.pop();
                }
            }
        }
        if without.len() == before {
            without.sort_unstable();
            return without;
        }
    }
}
