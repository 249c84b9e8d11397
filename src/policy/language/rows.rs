//! Exclusions, rules, safeguards and waivers as written.

use super::cells::Cell;
use super::programs::{KINDS, Program, kind_named, required};
use super::reader::{Item, Reader, Table, did_you_mean};
use super::{effective, identifier};
use crate::facts::Vocabulary;
use crate::policy::ProgramKind;
use crate::policy::hours::Effective;
use std::collections::BTreeSet;
use toml::de::DeValue;

/// One row of the table.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Row {
    pub id: String,
    /// Line in `policy.toml`; 0 for built-in rows.
    pub line: u32,
    pub cells: Vec<Cell>,
    pub because: String,
    pub cite: Option<String>,
    pub effective: Effective,
    pub kind: RowKind,
}

/// What a row does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) enum RowKind {
    /// An exclusion and what it bars.
    Exclusion(Bars),
    /// A rule.
    Rule {
        /// Steps of programs (places in the list of programs), tried in order; several in one step are a broadcast.
        send: Vec<Vec<usize>>,
        rank: i64,
        shadow: bool,
        automatic: bool,
        /// Facts that must be known.
        ask: Vec<usize>,
        follow_up_h: Vec<u32>,
    },
}

/// What an exclusion bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Bars {
    /// Every program: the ordinary route.
    All,
    /// Every program but this co-response, to which it sends.
    AllBut(usize),
    /// Programs without an officer (built-in safeguards).
    Unaccompanied,
}

/// One authored safeguard.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Safeguard {
    pub id: String,
    pub line: u32,
    pub promise: Promise,
    pub when: Vec<Cell>,
}

/// What a safeguard promises of every call within its `when`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) enum Promise {
    /// Never to any of these.
    Never(Vec<SendTarget>),
    /// Always the ordinary route.
    AlwaysOrdinary,
    /// Somebody always owns the call: true of every table, for the ordinary route is always there.
    AlwaysSomebody,
}

/// Whom a safeguard speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum SendTarget {
    Any,
    Unaccompanied,
    Kind(ProgramKind),
    Program(usize),
}

/// A built-in safeguard lifted, by whom and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct Waiver {
    pub safeguard: String,
    pub signed_by: String,
    pub because: String,
    pub signed_on: Option<String>,
    /// Of `built-in.monotone`: the risk fact, and the rules that a higher value of it may open.
    pub fact: Option<String>,
    pub rules: Vec<String>,
}

/// The built-in exclusions: id, fact, values, what it bars, and its sentence. Known values only, so that none of them ever
/// holds for want of an answer.
pub(in crate::policy) const BUILT_IN: [(&str, &str, &str, bool, &str); 7] = [
    ("built-in.weapon", "weapon", "present, used", false, "a weapon is present or has been used"),
    ("built-in.violence", "violence", "physical", false, "somebody is being physically violent"),
    ("built-in.medical", "medical", "acute", false, "somebody needs acute medical care"),
    ("built-in.crime", "crime", "in-progress", false, "a crime is in progress"),
    (
        "built-in.self-harm",
        "self_harm",
        "means, attempt",
        false,
        "the person has the means in hand or is making an attempt",
    ),
    ("built-in.consent", "consent", "refused, withdrawn", false, "the person refuses, or no longer agrees"),
    ("built-in.doubt", "doubt", "yes", true, "there is doubt about this call"),
];

/// The built-in safeguard that danger opens no door, which a waiver lifts for one risk fact and some rules.
pub(in crate::policy) const MONOTONE: &str = "built-in.monotone";

/// Everything that `policy.toml` lists in rows.
pub(super) struct Rows {
    pub exclusions: Vec<Row>,
    pub rules: Vec<Row>,
    pub safeguards: Vec<Safeguard>,
    pub waivers: Vec<Waiver>,
}

const EXCLUSION_KEYS: [&str; 5] = ["id", "because", "cite", "effective", "send"];
const RULE_KEYS: [&str; 10] =
    ["id", "because", "cite", "effective", "send", "rank", "shadow", "automatic", "ask", "follow_up"];

/// True for the keys of rows that are not facts.
pub(super) fn is_row_key(name: &str) -> bool {
    RULE_KEYS.contains(&name)
}

struct RowReader<'a> {
    reader: &'a mut Reader,
    vocabulary: &'a Vocabulary,
    programs: &'a [Program],
    ids: BTreeSet<String>,
}

pub(super) fn read(reader: &mut Reader, root: &Table<'_>, vocabulary: &Vocabulary, programs: &[Program]) -> Rows {
    let mut rows = RowReader { reader, vocabulary, programs, ids: BTreeSet::new() };
    let tables = rows.reader.tables(root, "exclusion");
    let exclusions = tables.iter().filter_map(|table| rows.exclusion(table)).collect();
    let tables = rows.reader.tables(root, "rule");
    let rules: Vec<Row> = tables.iter().filter_map(|table| rows.rule(table)).collect();
    let tables = rows.reader.tables(root, "safeguard");
    let safeguards = tables.iter().filter_map(|table| rows.safeguard(table)).collect();
    let tables = rows.reader.tables(root, "waiver");
    let rule_ids: Vec<&str> = rules.iter().map(|row| row.id.as_str()).collect();
    let waivers = tables.iter().filter_map(|table| rows.waiver(table, &rule_ids)).collect();
    Rows { exclusions, rules, safeguards, waivers }
}

impl RowReader<'_> {
    fn exclusion(&mut self, table: &Table<'_>) -> Option<Row> {
        self.keys(table, &EXCLUSION_KEYS);
        let bars = self.exclusion_send(table);
        self.row(table, RowKind::Exclusion(bars.unwrap_or(Bars::All)))
    }

    fn exclusion_send(&mut self, table: &Table<'_>) -> Option<Bars> {
        let item = self.reader.get(table, "send")?;
        let word = self.reader.text(&item)?;
        if word == "ordinary" {
            return Some(Bars::All);
        }
        let place = self.program(&item, &word, &["ordinary"])?;
        let accompanied = self.programs.get(place).is_some_and(|program| !program.kind.unaccompanied());
        if !accompanied {
            let help =
                Some("an exclusion sends `ordinary`, or to a co-response or police-community program".to_owned());
            self.reader.fault(item.line, item.path, format!("`{word}` is not accompanied"), help);
            return None;
        }
        Some(Bars::AllBut(place))
    }

    fn rule(&mut self, table: &Table<'_>) -> Option<Row> {
        self.keys(table, &RULE_KEYS);
        let send = self.chain(table);
        let rank = self.reader.get(table, "rank").and_then(|item| self.reader.integer(&item, -1000, 1000)).unwrap_or(0);
        let shadow = self.reader.optional_flag(table, "shadow").unwrap_or(false);
        let automatic = self.reader.optional_flag(table, "automatic").unwrap_or(false);
        let ask = required(self.reader, table, "ask", self.vocabulary);
        let follow_up_h = self.follow_up(table);
        self.row(table, RowKind::Rule { send, rank, shadow, automatic, ask, follow_up_h })
    }

    fn row(&mut self, table: &Table<'_>, kind: RowKind) -> Option<Row> {
        let id = self.own_id(table);
        let because = self.reader.required_text(table, "because");
        let cite = self.reader.optional_text(table, "cite");
        let effective = effective(self.reader, table);
        let fixed: &[&str] = if matches!(kind, RowKind::Rule { .. }) { &RULE_KEYS } else { &EXCLUSION_KEYS };
        let cells = self.cells(table, fixed);
        Some(Row { id: id?, line: table.line, cells, because: because?, cite, effective, kind })
    }

    fn own_id(&mut self, table: &Table<'_>) -> Option<String> {
        let id = identifier(self.reader, table, "id")?;
        let line = self.reader.get(table, "id").map_or(table.line, |item| item.line);
        if id.starts_with("built-in.") || id == "no-rule" {
            self.reader.fault(line, table.key("id"), format!("`{id}` is the product's own"), None);
        } else if !self.ids.insert(id.clone()) {
            self.reader.fault(line, table.key("id"), format!("`{id}` names two rows"), None);
        }
        Some(id)
    }

    fn keys(&mut self, table: &Table<'_>, fixed: &[&str]) {
        let valid: Vec<&str> =
            fixed.iter().copied().chain(self.vocabulary.facts().iter().map(|fact| &*fact.name)).collect();
        for (name, item) in self.reader.items(table) {
            if !valid.contains(&name) {
                let help = did_you_mean(name, &valid);
                self.reader.fault(item.line, item.path, format!("no key or fact is named `{name}`"), help);
            }
        }
    }

    /// The cells of a row: every key that is a fact.
    fn cells(&mut self, table: &Table<'_>, fixed: &[&str]) -> Vec<Cell> {
        let mut cells = Vec::new();
        for (name, item) in self.reader.items(table) {
            if !fixed.contains(&name)
                && let Some((place, fact)) = self.vocabulary.find(name)
            {
                let text = match item.value {
                    DeValue::String(text) => text.to_string(),
                    DeValue::Integer(number) => number.as_str().to_owned(),
                    _ => {
                        let help =
                            Some("a cell is a text: `\"present, used\"`, `\"not(none)\"`, `\"<= 26\"`".to_owned());
                        self.reader.fault(item.line, item.path, "this is not a cell", help);
                        continue;
                    }
                };
                match Cell::parse(place, fact, &text) {
                    Ok(cell) => cells.extend(cell),
                    Err(fault) => self.reader.fault(item.line, item.path, fault.message, fault.help),
                }
            }
        }
        cells.sort_by_key(|cell| cell.fact);
        cells
    }

    fn program(&mut self, item: &Item<'_>, word: &str, further: &[&str]) -> Option<usize> {
        let place = self.programs.iter().position(|program| program.id.as_str() == word);
        if place.is_none() {
            let valid: Vec<&str> =
                self.programs.iter().map(|program| program.id.as_str()).chain(further.iter().copied()).collect();
            self.reader.not_among(item.line, &item.path, "program", word, &valid);
        }
        place
    }

    /// `send = ["psr", { broadcast = ["cru-1", "cru-2"] }]`
    fn chain(&mut self, table: &Table<'_>) -> Vec<Vec<usize>> {
        let Some(item) = self.reader.get(table, "send") else {
            self.reader.fault(table.line, table.key("send"), "`send` is missing", None);
            return Vec::new();
        };
        let mut chain: Vec<Vec<usize>> = Vec::new();
        for step in self.reader.list(&item) {
            let places = match step.value {
                DeValue::String(word) => self.program(&step, word, &[]).into_iter().collect(),
                DeValue::Table(_) => self.broadcast(&step),
                _ => {
                    let help = Some("a program, or `{ broadcast = [\"a\", \"b\"] }`".to_owned());
                    self.reader.fault(step.line, step.path.clone(), "this is not a step", help);
                    Vec::new()
                }
            };
            if places.iter().any(|place| chain.iter().flatten().any(|before| before == place)) {
                self.reader.fault(step.line, step.path, "a program stands twice in the chain", None);
            }
            chain.push(places);
        }
        if chain.is_empty() {
            self.reader.fault(item.line, item.path, "`send` names nobody", None);
        }
        chain
    }

    fn broadcast(&mut self, step: &Item<'_>) -> Vec<usize> {
        let Some(table) = self.reader.table(step) else {
            return Vec::new();
        };
        self.reader.only(&table, &["broadcast"]);
        let named = self.reader.texts(&table, "broadcast");
        let mut places: Vec<usize> = named.iter().filter_map(|(word, item)| self.program(item, word, &[])).collect();
        places.sort_unstable();
        places.dedup();
        if places.len() < 2 {
            let help = Some("a single program stands by its name".to_owned());
            self.reader.fault(step.line, step.path.clone(), "a broadcast needs two programs", help);
        }
        places
    }

    /// `48h`, `7d` as hours.
    fn follow_up(&mut self, table: &Table<'_>) -> Vec<u32> {
        let mut hours = Vec::new();
        for (text, item) in self.reader.texts(table, "follow_up") {
            let (number, unit) = text.split_at(text.len().saturating_sub(1));
            let factor = match unit {
                "h" => Some(1),
                "d" => Some(24),
                _ => None,
            };
            match (number.parse::<u32>(), factor) {
                (Ok(number), Some(factor)) if (1..=9_999).contains(&number) => hours.push(number * factor),
                _ => self.reader.fault(
                    item.line,
                    item.path,
                    format!("`{text}` is not a span"),
                    Some("`48h` or `7d`".to_owned()),
                ),
            }
        }
        hours
    }

    fn safeguard(&mut self, table: &Table<'_>) -> Option<Safeguard> {
        self.reader.only(table, &["id", "never", "always"]);
        let id = self.own_id(table);
        let (key, never) = match (table.has("never"), table.has("always")) {
            (true, false) => ("never", true),
            (false, true) => ("always", false),
            _ => {
                let message = "a safeguard has either `never` or `always`";
                self.reader.fault(table.line, table.path.clone(), message, None);
                return None;
            }
        };
        let item = self.reader.get(table, key)?;
        let inner = self.reader.table(&item)?;
        self.reader.only(&inner, &["send", "when"]);
        let send_item = self.reader.get(&inner, "send");
        let word = self.reader.required_text(&inner, "send")?;
        let send_item = send_item?;
        let promise = if never {
            let targets: Vec<SendTarget> =
                word.split(',').map(str::trim).filter_map(|word| self.target(&send_item, word)).collect();
            Promise::Never(targets)
        } else {
            match word.as_str() {
                "any" => Promise::AlwaysSomebody,
                "ordinary" => Promise::AlwaysOrdinary,
                other => {
                    self.reader.not_among(send_item.line, &send_item.path, "promise", other, &["any", "ordinary"]);
                    return None;
                }
            }
        };
        let when = match self.reader.get(&inner, "when") {
            None => Vec::new(),
            Some(item) => {
                let when = self.reader.table(&item)?;
                self.keys(&when, &[]);
                self.cells(&when, &[])
            }
        };
        Some(Safeguard { id: id?, line: table.line, promise, when })
    }

    fn target(&mut self, item: &Item<'_>, word: &str) -> Option<SendTarget> {
        match word {
            "any" => Some(SendTarget::Any),
            "unaccompanied" => Some(SendTarget::Unaccompanied),
            _ => match kind_named(word) {
                Some(kind) => Some(SendTarget::Kind(kind)),
                None => {
                    let further: Vec<&str> =
                        KINDS.iter().map(|(name, _)| *name).chain(["any", "unaccompanied"]).collect();
                    self.program(item, word, &further).map(SendTarget::Program)
                }
            },
        }
    }

    fn waiver(&mut self, table: &Table<'_>, rule_ids: &[&str]) -> Option<Waiver> {
        self.reader.only(table, &["safeguard", "signed_by", "because", "signed_on", "fact", "rules"]);
        let safeguard = self.reader.required_text(table, "safeguard");
        let signed_by = self.reader.required_text(table, "signed_by");
        let because = self.reader.required_text(table, "because");
        let signed_on = self.reader.optional_text(table, "signed_on");
        let safeguard = safeguard?;
        let names: Vec<&str> = BUILT_IN.iter().map(|(id, ..)| *id).chain([MONOTONE]).collect();
        if !names.contains(&safeguard.as_str()) {
            let line = self.reader.get(table, "safeguard").map_or(table.line, |item| item.line);
            self.reader.not_among(line, &table.key("safeguard"), "built-in safeguard", &safeguard, &names);
        }
        let (fact, rules) = self.opened_by_danger(table, safeguard == MONOTONE, rule_ids);
        Some(Waiver { safeguard, signed_by: signed_by?, because: because?, signed_on, fact, rules })
    }

    /// Which rules a higher value of which risk fact may open; only a waiver of `built-in.monotone` says so, and it must.
    fn opened_by_danger(
        &mut self,
        table: &Table<'_>,
        monotone: bool,
        rule_ids: &[&str],
    ) -> (Option<String>, Vec<String>) {
        for key in ["fact", "rules"] {
            if table.has(key) != monotone {
                let message = if monotone {
                    format!("`{key}` is missing")
                } else {
                    format!("`{key}` belongs to `{MONOTONE}` only")
                };
                self.reader.fault(table.line, table.key(key), message, None);
            }
        }
        let fact = self.reader.optional_text(table, "fact");
        if let Some(fact) = &fact {
            let risks: Vec<&str> =
                self.vocabulary.facts().iter().filter(|fact| fact.is_risk()).map(|fact| &*fact.name).collect();
            if !risks.contains(&fact.as_str()) {
                let line = self.reader.get(table, "fact").map_or(table.line, |item| item.line);
                self.reader.not_among(line, &table.key("fact"), "risk fact", fact, &risks);
            }
        }
        let mut rules = Vec::new();
        for (rule, item) in self.reader.texts(table, "rules") {
            if !rule_ids.contains(&rule.as_str()) {
                self.reader.not_among(item.line, &item.path, "rule", &rule, rule_ids);
            }
            rules.push(rule);
        }
        (fact, rules)
    }
}
