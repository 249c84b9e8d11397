//! The list of known survivors, each with its reason, against what a run found.

use crate::Outcome;
use crate::plant::Mutant;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Row {
    file: String,
    function: String,
    change: String,
    turn: usize,
    reason: String,
}

/// Prints what was found; false where a survivor has no reason.
pub fn judge(path: &Path, mutants: &[Mutant], found: &BTreeSet<u32>, files: &[PathBuf]) -> Outcome<bool> {
    let mut known = BTreeMap::new();
    for row in csv::Reader::from_path(path)?.deserialize() {
        let row: Row = row?;
        let reason = row.reason.clone();
        known.insert(Row { reason: String::new(), ..row }, reason);
    }
    let (mut unlisted, mut counts) = (Vec::new(), BTreeMap::<&str, (usize, usize)>::new());
    for mutant in mutants {
        let (all, survive) = counts.entry(&mutant.file).or_default();
        *all += 1;
        let row = row_of(mutant);
        if found.contains(&mutant.number) {
            *survive += 1;
            if known.remove(&row).is_none_or(|reason| reason.is_empty()) {
                unlisted.push((mutant.line, row));
            }
        }
    }
    println!("{:<34}{:>8}{:>10}", "file", "changes", "survive");
    for (file, (all, survive)) in &counts {
        println!("{file:<34}{all:>8}{survive:>10}");
    }
    let (all, survive) = (mutants.len(), found.len());
    println!("{:<34}{all:>8}{survive:>10}", "all");
    let names: BTreeSet<String> = files.iter().map(|file| file.display().to_string()).collect();
    for row in known.keys().filter(|row| names.contains(&row.file)) {
        println!("seen by a test now, or gone: {} {} {} {}", row.file, row.function, row.change, row.turn);
    }
    let mut writer = csv::Writer::from_writer(std::io::stdout());
    for (line, row) in &unlisted {
        println!("no test sees this, and survivors.csv does not say why: line {line}");
        writer.serialize(row)?;
        writer.flush()?;
    }
    Ok(unlisted.is_empty())
}

fn row_of(mutant: &Mutant) -> Row {
    let Mutant { file, function, change, turn, .. } = mutant.clone();
    Row { file, function, change, turn, reason: String::new() }
}
