//! The labelled lines of `tests/narrative/lines.csv`: nothing affirmed is cleared, and what is raised too high is counted.

use super::super::super::csv_rows::{CsvRow, read_rows};
use super::super::super::natures::pairs;
use super::super::context::{self, Reach};
use super::super::lexicon::Lexicon;
use super::{levels, vocabulary};
use std::collections::BTreeMap;

const FACTS: [&str; 6] = ["weapon", "violence", "self_harm", "medical", "crime", "consent"];

struct Line {
    row: u32,
    set: String,
    language: String,
    text: String,
    expects: BTreeMap<String, String>,
}

fn lines() -> Vec<Line> {
    let bytes = include_bytes!("../../../../tests/narrative/lines.csv");
    let mut faults = Vec::new();
    let lines = read_rows(bytes, ["set", "language", "line", "expects"], 4, &mut faults)
        .into_iter()
        .map(|CsvRow { line, cells: [set, language, text, expects] }| {
            let expects: BTreeMap<String, String> = pairs(&expects).into_iter().collect();
            for (fact, value) in &expects {
                assert!(FACTS.contains(&fact.as_str()), "line {line}: {fact}");
                assert!(vocabulary().canonical(fact, value).is_ok(), "line {line}: {fact}={value}");
            }
            Line { row: line, set, language, text, expects }
        })
        .collect();
    assert_eq!(faults, Vec::new());
    lines
}

/// What the reader said of the lines that a label or the reader speaks of, for one fact.
#[derive(Default)]
struct Tally {
    right: u32,
    too_high: u32,
    too_low: u32,
    /// A cue was found, and how it is said took it away.
    cleared: u32,
    /// No cue was found.
    missed: u32,
    false_alarm: u32,
}

impl Tally {
    fn count(&mut self, expected: u8, got: u8, has_cue: bool) {
        let slot = match (expected, got) {
            (0, 0) => return,
            (0, _) => &mut self.false_alarm,
            (_, 0) if has_cue => &mut self.cleared,
            (_, 0) => &mut self.missed,
            _ if got > expected => &mut self.too_high,
            _ if got < expected => &mut self.too_low,
            _ => &mut self.right,
        };
        *slot += 1;
    }

    /// Of the lines that a careful reader raises, those that the reader raises.
    fn recall(&self) -> f64 {
        let raised = self.right + self.too_high + self.too_low;
        f64::from(raised) / f64::from((raised + self.cleared + self.missed).max(1))
    }

    /// Of the lines on which the reader raises the fact, those that a careful reader raises too.
    fn precision(&self) -> f64 {
        let raised = self.right + self.too_high + self.too_low;
        f64::from(raised) / f64::from((raised + self.false_alarm).max(1))
    }
}

/// True where the text holds a cue for the fact, however it is said.
fn has_cue(text: &str, fact: &str) -> bool {
    let lexicon = Lexicon::built_in();
    let (found, _) = context::read(&lexicon, text, Reach::Dispatch);
    found.iter().any(|found| lexicon.cues[found.cue].states.iter().any(|(stated, _)| stated == fact))
}

#[test]
fn no_affirmed_cue_of_the_labelled_lines_is_cleared() {
    let lines = lines();
    let french = lines.iter().filter(|line| line.language == "fr").count();
    assert!(lines.len() >= 400 && french >= 100, "{} lines, {french} French", lines.len());
    let vocabulary = vocabulary();
    let mut tallies: BTreeMap<(String, &str), Tally> = BTreeMap::new();
    let mut wrong = Vec::new();
    for line in &lines {
        let got = levels(&line.text);
        for fact in FACTS {
            let definition = vocabulary.find(fact).unwrap().1;
            let danger = |value: Option<&String>| value.map_or(0, |value| definition.danger_of(value));
            let (expected, found) = (danger(line.expects.get(fact)), danger(got.get(fact)));
            let has_cue = has_cue(&line.text, fact);
            for group in [line.set.clone(), line.language.clone()] {
                tallies.entry((group, fact)).or_default().count(expected, found, has_cue);
            }
            if expected != found {
                let told = |value: Option<&String>| value.cloned().unwrap_or_default();
                let (label, read) = (told(line.expects.get(fact)), told(got.get(fact)));
                wrong.push((expected > found, format!("line {}: {fact} `{label}` read as `{read}`", line.row)));
            }
        }
    }
    println!("{} labelled lines, {french} of them French", lines.len());
    println!("{:<9} {:<10} right  high  low  cleared  missed  false  precision  recall", "lines", "fact");
    for ((group, fact), tally) in &tallies {
        let Tally { right, too_high, too_low, cleared, missed, false_alarm } = tally;
        println!(
            "{group:<9} {fact:<10} {right:>5} {too_high:>5} {too_low:>4} {cleared:>8} {missed:>7} {false_alarm:>6}      {:.3}   {:.3}",
            tally.precision(),
            tally.recall()
        );
    }
    for (_, told) in &wrong {
        println!("{told}");
    }
    for ((group, fact), tally) in &tallies {
        assert_eq!(tally.cleared, 0, "{group}: an affirmed cue of {fact} is cleared");
    }
    let low: Vec<&String> = wrong.iter().filter(|(low, _)| *low).map(|(_, told)| told).collect();
    assert!(low.is_empty(), "read below their label:\n{low:#?}");
}
