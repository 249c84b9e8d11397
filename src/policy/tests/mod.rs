//! Tests of the policy room: a policy made for them, and what it must and must not do.

mod allocations;
mod constructs;
mod decisions;
mod faults;
#[path = "../../../tests/bench/generated.rs"]
mod generated;
mod library;
mod machine_words;
mod mistakes;
mod many;
mod points;
mod proofs;
mod rising_danger;
mod schema;
mod slow;
mod slow_flips;
mod slow_questions;
mod slow_reach;

use super::*;
use crate::facts::Source;

/// A policy in the manner of a published one, with every construct of the language.
pub(super) const POLICY: &str = include_str!("policy.toml");
const CALL_TYPES: &str = "code,vendor,version,nature,priority,implies,cite\n25A01,MPDS,13,person-in-crisis,3,self_harm=none,\n25*,MPDS,13,person-in-crisis,5,,\nYELL,,,person-yelling,2,,\nFIRE,,,structure-fire,10,,\n";
const ZONES: &str = r#"{"type":"FeatureCollection","features":[
 {"type":"Feature","properties":{"zone":"east","title":"East"},"geometry":{"type":"Polygon","coordinates":[[[-122.65,45.45],[-122.50,45.45],[-122.50,45.60],[-122.65,45.60],[-122.65,45.45]]]}},
 {"type":"Feature","properties":{"zone":"west","beats":["W1"]},"geometry":{"type":"Polygon","coordinates":[[[-122.80,45.45],[-122.64,45.45],[-122.64,45.60],[-122.80,45.60],[-122.80,45.45]]]}}]}"#;

/// The files of a policy folder with this `policy.toml`.
pub(super) fn files(policy: &str) -> PolicyFiles {
    let mut files = PolicyFiles { folder: "test".to_owned(), ..PolicyFiles::default() };
    for (name, content) in [("policy.toml", policy), ("call_types.csv", CALL_TYPES), ("zones.geojson", ZONES)] {
        files.files.insert(name.to_owned(), content.as_bytes().to_vec());
    }
    files
}

pub(super) fn compile(policy: &str) -> Policy {
    Policy::compile(&files(policy)).unwrap_or_else(|faults| panic!("{}", told(&faults)))
}

/// Every fault on a line.
pub(super) fn told(faults: &PolicyFaults) -> String {
    let line = |fault: &PolicyFault| {
        let at = fault.line.map_or_else(String::new, |line| format!(":{line}"));
        let help = fault.help.as_deref().unwrap_or("");
        format!("{}{at} {}: {} [{help}]", fault.file, fault.key, fault.message)
    };
    faults.0.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn facts(pairs: &[(&str, &str)]) -> Facts {
    pairs.iter().fold(Facts::default(), |facts, (fact, value)| facts.with(fact, value, Source::Structured))
}

/// Local time in Portland as an instant.
pub(super) fn at(local: &str) -> Timestamp {
    let zone = TimeZone::get("America/Los_Angeles").unwrap();
    zone.to_timestamp(local.parse().unwrap()).unwrap()
}

pub(super) fn decide(policy: &Policy, pairs: &[(&str, &str)], local: &str) -> Decision {
    policy.decide(&facts(pairs), &[], at(local), &Availability::default())
}
