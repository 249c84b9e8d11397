//! The made city as logic: for each fact the classes of its values that some row tells apart, and rows as lists of classes.
//! Everybody is on duty, as in the product's proofs. A call may be in any set of zones.

use crate::city::{Cell, Policy, Test};
use std::collections::BTreeMap;

/// Risk facts in the product's order of danger; values of equal danger stand together.
const RISKS: [(&str, &[&[&str]]); 7] = [
    ("weapon", &[&["none"], &["mentioned"], &["access"], &["present"], &["used"]]),
    ("violence", &[&["none"], &["verbal"], &["threat"], &["physical"]]),
    ("self_harm", &[&["none"], &["ideation"], &["plan"], &["means"], &["attempt"]]),
    ("medical", &[&["none"], &["minor"], &["acute"]]),
    ("crime", &[&["none"], &["past"], &["in-progress"]]),
    ("consent", &[&["given", "not-sought"], &["refused", "withdrawn"]]),
    ("doubt", &[&["no"], &["yes"]]),
];
/// What the product itself bars from whoever has no officer: safeguard, fact, values.
const BUILT_IN: [(&str, &str, &[&str]); 7] = [
    ("built-in.weapon", "weapon", &["present", "used"]),
    ("built-in.violence", "violence", &["physical"]),
    ("built-in.medical", "medical", &["acute"]),
    ("built-in.crime", "crime", &["in-progress"]),
    ("built-in.self-harm", "self_harm", &["means", "attempt"]),
    ("built-in.consent", "consent", &["refused", "withdrawn"]),
    ("built-in.doubt", "doubt", &["yes"]),
];
const ZONE: &str = "zone";

/// A row: for each fact that it names the classes that it accepts, and zones of which the call must be in one.
pub struct Row {
    pub cells: Vec<(usize, Vec<usize>)>,
    /// Each list: in one of these zones.
    pub zones: Vec<Vec<usize>>,
}

/// Pairs of classes of one fact, the second more dangerous.
pub struct Risk {
    pub name: &'static str,
    pub fact: usize,
    pub rises: Vec<(usize, usize)>,
}

pub struct Model {
    /// By fact: how many classes, `unknown` the first.
    pub classes: Vec<usize>,
    pub zones: usize,
    pub exclusions: Vec<Row>,
    /// One for each program that a rule sends to.
    pub rules: Vec<Row>,
    pub risks: Vec<Risk>,
    /// Safeguards: name, fact, dangerous classes.
    pub safeguards: Vec<(&'static str, usize, Vec<usize>)>,
}

/// The values of one fact: 0 is unknown, 1 whatever no row names, then the named ones.
#[derive(Default)]
struct Values {
    words: Vec<String>,
    prefixes: Vec<String>,
    cuts: Vec<i64>,
}

impl Values {
    fn note(&mut self, cell: &Cell) {
        for test in &cell.tests {
            match test {
                Test::Word(word) if !self.words.contains(word) => self.words.push(word.clone()),
                Test::Prefix(prefix) if !self.prefixes.contains(prefix) => self.prefixes.push(prefix.clone()),
                Test::Word(_) | Test::Prefix(_) => {}
                Test::Between(least, most) => self.cuts.extend([*least, most + 1]),
            }
        }
        self.cuts.sort_unstable();
        self.cuts.dedup();
    }

    fn count(&self) -> usize {
        2 + self.words.len() + self.prefixes.len() + self.cuts.len()
    }

    fn word(&self, word: &str) -> usize {
        2 + self.words.iter().position(|known| known == word).expect("a word that was noted")
    }

    /// Classes that a cell accepts.
    fn accepted(&self, cell: &Cell) -> Vec<usize> {
        let named = |class: usize| match class {
            0 => cell.unknown,
            1 => self.cuts.first().is_some_and(|first| in_range(cell, first - 1)),
            _ => {
                let place = class - 2;
                let (words, prefixes) = (self.words.len(), self.prefixes.len());
                cell.tests.iter().any(|test| match test {
                    Test::Word(word) => self.words.get(place) == Some(word),
                    Test::Prefix(prefix) => place >= words && self.prefixes.get(place - words) == Some(prefix),
                    Test::Between(..) => false,
                }) || (place >= words + prefixes && in_range(cell, self.cuts[place - words - prefixes]))
            }
        };
        (0..self.count()).filter(|class| named(*class) != cell.negated).collect()
    }
}

fn in_range(cell: &Cell, number: i64) -> bool {
    cell.tests.iter().any(|test| matches!(test, Test::Between(least, most) if (*least..=*most).contains(&number)))
}

impl Model {
    pub fn of(policy: &Policy) -> Self {
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        let mut values: Vec<Values> = Vec::new();
        let every_cell =
            policy.exclusions.iter().flat_map(|row| &row.cells).chain(policy.rules.iter().flat_map(|row| &row.cells));
        for cell in every_cell.clone().filter(|cell| cell.fact != ZONE) {
            let place = *names.entry(cell.fact).or_insert_with(|| {
                values.push(Values::default());
                values.len() - 1
            });
            values[place].note(cell);
        }
        for (fact, order) in RISKS {
            let place = *names.entry(fact).or_insert_with(|| {
                values.push(Values::default());
                values.len() - 1
            });
            for word in order.iter().flat_map(|words| words.iter()) {
                values[place].note(&word_cell(fact, &[word]));
            }
        }
        for (place, own) in values.iter().enumerate() {
            let nested = own
                .prefixes
                .iter()
                .any(|one| own.prefixes.iter().any(|other| one != other && other.starts_with(one.as_str())));
            assert!(!nested, "prefixes of fact {place} are classes of their own");
        }
        let zone = |name: &str| policy.zones.iter().position(|known| known == name).expect("a zone of the city");
        let row = |cells: &[Cell], area: &[String]| {
            let mut row = Row { cells: Vec::new(), zones: Vec::new() };
            for cell in cells {
                if cell.fact == ZONE {
                    assert!(!cell.negated && !cell.unknown);
                    row.zones.push(
                        cell.tests
                            .iter()
                            .map(|test| match test {
                                Test::Word(word) => zone(word),
                                Test::Prefix(_) | Test::Between(..) => panic!("zones have names"),
                            })
                            .collect(),
                    );
                } else {
                    row.cells.push((names[cell.fact], values[names[cell.fact]].accepted(cell)));
                }
            }
            if !area.is_empty() {
                row.zones.push(area.iter().map(|name| zone(name)).collect());
            }
            row
        };
        let built_in = BUILT_IN.iter().map(|(_, fact, words)| row(&[word_cell(fact, words)], &[]));
        let exclusions = policy.exclusions.iter().map(|exclusion| row(&exclusion.cells, &[])).chain(built_in).collect();
        let program = |id: &String| policy.programs.iter().find(|program| program.id == *id).expect("a program");
        let rules = policy.rules.iter();
        let rules =
            rules.flat_map(|rule| rule.send.iter().map(|id| row(&rule.cells, &program(id).area)).collect::<Vec<_>>());
        let class = |fact: &str, word: &str| values[names[fact]].word(word);
        let risks = RISKS.iter().map(|(name, order)| {
            let levels: Vec<Vec<usize>> =
                order.iter().map(|words| words.iter().map(|word| class(name, word)).collect()).collect();
            let mut rises = Vec::new();
            for (turn, low) in levels.iter().enumerate() {
                for high in levels.iter().skip(turn + 1).flatten() {
                    rises.extend(low.iter().map(|low| (*low, *high)));
                }
            }
            Risk { name, fact: names[name], rises }
        });
        let safeguards = BUILT_IN
            .iter()
            .map(|(id, fact, words)| (*id, names[fact], words.iter().map(|word| class(fact, word)).collect()));
        Self {
            classes: values.iter().map(Values::count).collect(),
            zones: policy.zones.len(),
            exclusions,
            rules: rules.collect(),
            risks: risks.collect(),
            safeguards: safeguards.collect(),
        }
    }
}

fn word_cell(fact: &'static str, words: &[&str]) -> Cell {
    Cell {
        fact,
        negated: false,
        unknown: false,
        tests: words.iter().map(|word| Test::Word((*word).to_owned())).collect(),
    }
}
