//! The fault table: every fault that the design names has a test beside it, or the reason why it has none.

use crate::support::root;
use comfy_table::{Cell, ContentArrangement, Table, presets};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// How many faults the design's table has (`reliability.md` section 9).
const FAULTS: u32 = 74;
const INVARIANTS: u32 = 18;

/// A row of `tests/fault_table.csv`. Invariants and tests are separated by spaces.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    fault: u32,
    area: String,
    #[serde(rename = "what happens")]
    what: String,
    invariants: String,
    tests: String,
    reason: String,
}

fn table() -> Vec<Fault> {
    let mut reader = csv::Reader::from_path(root().join("tests/fault_table.csv")).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

/// Names of the functions under a test attribute, with the file each stands in.
fn tests_of(folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            tests_of(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let mut under_attribute = false;
            for line in text.lines().map(str::trim) {
                if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                    under_attribute = true;
                } else if let Some(rest) = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "))
                    && std::mem::take(&mut under_attribute)
                {
                    let name = rest.split(['(', '<']).next().unwrap();
                    let file = path.strip_prefix(root()).unwrap().display().to_string();
                    found.insert(name.to_owned(), file);
                }
            }
        }
    }
}

#[test]
fn the_fault_table_has_a_test_or_a_reason_in_every_row() {
    let mut tests = BTreeMap::new();
    for folder in ["src", "tests", "simulators/src"] {
        tests_of(&root().join(folder), &mut tests);
    }
    // Simulated worlds, of the line and of the whole adapter, are one program each; their READMEs say what they judge.
    assert!(root().join("tests/worlds/README.md").is_file());
    tests.insert("worlds".to_owned(), "tests/worlds/".to_owned());
    assert!(root().join("tests/turmoil/README.md").is_file());
    tests.insert("turmoil".to_owned(), "tests/turmoil/".to_owned());
    let faults = table();
    let mut shown = Table::new();
    shown.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic).set_width(160);
    shown.set_header(["#", "fault", "must hold", "shown by", "or why not"]);
    let mut tested = BTreeSet::new();
    for fault in &faults {
        let place = format!("fault {} ({}: {})", fault.fault, fault.area, fault.what);
        let named: Vec<&str> = fault.tests.split_whitespace().collect();
        assert!(!named.is_empty() || !fault.reason.trim().is_empty(), "{place} has neither a test nor a reason");
        let shown_by: Vec<String> = named
            .iter()
            .map(|name| {
                let file = tests.get(*name).unwrap_or_else(|| panic!("{place}: no test is named `{name}`"));
                format!("{name} ({file})")
            })
            .collect();
        for invariant in fault.invariants.split_whitespace() {
            let number: u32 = invariant.strip_prefix('I').and_then(|number| number.parse().ok()).unwrap();
            assert!((1..=INVARIANTS).contains(&number), "{place}: there is no {invariant}");
            if !named.is_empty() {
                tested.insert(number);
            }
        }
        let number = fault.fault.to_string();
        shown.add_row(
            [number, fault.what.clone(), fault.invariants.clone(), shown_by.join("\n"), fault.reason.clone()]
                .map(Cell::new),
        );
    }
    let numbers: Vec<u32> = faults.iter().map(|fault| fault.fault).collect();
    assert_eq!(numbers, (1..=FAULTS).collect::<Vec<_>>(), "every fault of the design once, in order");
    println!("{shown}");
    let with_test = faults.iter().filter(|fault| !fault.tests.is_empty()).count();
    println!("{with_test} of {FAULTS} faults have a test; {} have a reason instead", faults.len() - with_test);
    // Reproducible decisions, no leaks and an untampered chain are also shown outside this table; ownership and the rest by it.
    let untested: Vec<u32> = (1..=INVARIANTS).filter(|number| !tested.contains(number)).collect();
    assert!(untested.is_empty(), "no fault with a test names the invariants {untested:?}");
}
