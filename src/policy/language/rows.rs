//! Exclusions, rules, safeguards and waivers, read.

use super::cells::Cell;
use super::keys;
use super::programs::{KINDS, Program, kind_named, required};
use super::reader::{Item, Reader, Table};
use super::row::{
    BUILT_IN, Barred, Bars, FollowUpDue, MONOTONE, Promise, Row, RowKind, Safeguard, SendTarget, Step, StepForm, Waiver,
};
use super::shape::Key;
use super::{effective, identifier};
use crate::facts::Vocabulary;
use std::collections::BTreeSet;
use toml::de::DeValue;

/// Everything that `policy.toml` lists in rows.
pub(super) struct Rows {
    pub exclusions: Vec<Row>,
    pub rules: Vec<Row>,
    pub safeguards: Vec<Safeguard>,
    pub waivers: Vec<Waiver>,
}

/// True for the keys of rows that are not facts.
pub(super) fn is_row_key(name: &str) -> bool {
    keys::RULE.iter().any(|key| key.name == name)
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
        if table.has("bars") && table.has("send") {
            let help = "with `bars` the call goes where its rules send it, past those that are barred".to_owned();
            let message = "an exclusion has either `bars` or `send`";
            self.reader.fault(table.line, table.key("bars"), message, Some(help));
        }
        let bars = self.barred(table).or_else(|| self.exclusion_send(table));
        self.row(table, RowKind::Exclusion(bars.unwrap_or(Bars::All)))
    }

    /// `bars = ["psr", "phone", "unaccompanied"]`: programs, whoever is of a kind, whoever has no officer.
    fn barred(&mut self, table: &Table<'_>) -> Option<Bars> {
        let item = self.reader.get(table, "bars")?;
        let named = self.reader.texts(table, "bars");
        let mut barred = Barred { programs: 0, unaccompanied: false };
        for (word, item) in &named {
            match self.target(item, word, &["unaccompanied"]) {
                Some(SendTarget::Unaccompanied) => barred.unaccompanied = true,
                Some(SendTarget::Kind(kind)) => {
                    let of_kind = self.programs.iter().enumerate().filter(|(_, program)| program.kind == kind);
                    of_kind.for_each(|(place, _)| barred.programs |= 1 << place);
                }
                Some(SendTarget::Program(place)) => barred.programs |= 1 << place,
                Some(SendTarget::Any) | None => {}
            }
        }
        if barred == (Barred { programs: 0, unaccompanied: false }) && !self.reader.faulted(&item.path) {
            let help =
                Some("name programs, kinds or `unaccompanied`; an exclusion of every program has no `bars`".to_owned());
            self.reader.fault(item.line, item.path, "it bars nobody", help);
        }
        Some(Bars::Some(barred))
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
        let send = self.chain(table);
        let rank = self.reader.get(table, "rank").and_then(|item| self.reader.integer(&item)).unwrap_or(0);
        let shadow = self.reader.optional_flag(table, "shadow").unwrap_or(false);
        let automatic = self.reader.optional_flag(table, "automatic").unwrap_or(false);
        let ask = required(self.reader, table, "ask", self.vocabulary);
        let follow_up = self.follow_up(table);
        self.row(table, RowKind::Rule { send, rank, shadow, automatic, ask, follow_up })
    }

    fn row(&mut self, table: &Table<'_>, kind: RowKind) -> Option<Row> {
        let id = self.own_id(table);
        let because = self.reader.required_text(table, "because");
        let cite = self.reader.optional_text(table, "cite");
        let effective = effective(self.reader, table);
        let surge = self.reader.optional_flag(table, "surge");
        let fixed = if matches!(kind, RowKind::Rule { .. }) { keys::RULE } else { keys::EXCLUSION };
        let cells = cells(self.reader, self.vocabulary, table, fixed);
        Some(Row { id: id?, line: table.line, cells, because: because?, cite, effective, surge, kind })
    }

    fn own_id(&mut self, table: &Table<'_>) -> Option<String> {
        let id = identifier(self.reader, table, "id")?;
        let line = self.reader.get(table, "id").map_or(table.line, |item| item.line);
        if id.starts_with("built-in.") || id == "no-rule" {
            self.reader.fault(
                line,
                table.key("id"),
                format!("`{id}` is the product's own"),
                Some("choose another name".to_owned()),
            );
        } else if !self.ids.insert(id.clone()) {
            self.reader.fault(
                line,
                table.key("id"),
                format!("`{id}` names two rows"),
                Some("give one of them another name: reports count by it".to_owned()),
            );
        }
        Some(id)
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

    /// `send = ["psr", { broadcast = ["cru-1", "cru-2"] }, { tandem = ["team", "officer"] }]`
    fn chain(&mut self, table: &Table<'_>) -> Vec<Step> {
        let Some(item) = self.reader.get(table, "send") else {
            return Vec::new();
        };
        let mut chain: Vec<Step> = Vec::new();
        for step in self.reader.list(&item) {
            let read = match step.value {
                DeValue::String(word) => self.program(&step, word, &[]).map(Step::one),
                DeValue::Table(_) => self.several(&step),
                _ => None,
            };
            let Some(read) = read else { continue };
            if read.programs.iter().any(|place| chain.iter().any(|before| before.programs.contains(place))) {
                self.reader.fault(
                    step.line,
                    step.path,
                    "a program stands twice in the chain",
                    Some("name it once, where it is to be tried first".to_owned()),
                );
            }
            chain.push(read);
        }
        if chain.is_empty() && !self.reader.faulted(&item.path) {
            self.reader.fault(item.line, item.path, "`send` names nobody", None);
        }
        self.with_referrals(chain)
    }

    /// After each step, whom its programs refer what they decline to, unless the chain asks them anyway.
    fn with_referrals(&self, chain: Vec<Step>) -> Vec<Step> {
        let mut named: Vec<usize> = chain.iter().flat_map(|step| step.programs.iter().copied()).collect();
        let mut whole = Vec::new();
        for step in chain {
            let mut asked = step.programs.clone();
            whole.push(step);
            while let Some(program) = asked.pop() {
                let target = self.programs.get(program).and_then(|program| program.refers_to);
                if let Some(target) = target.filter(|target| !named.contains(target)) {
                    named.push(target);
                    asked.push(target);
                    whole.push(Step { programs: vec![target], form: StepForm::ReferredBy(program) });
                }
            }
        }
        whole
    }

    /// A broadcast or a tandem. A tandem's first program leads; the order of a broadcast means nothing.
    fn several(&mut self, step: &Item<'_>) -> Option<Step> {
        let table = self.reader.table(step)?;
        let (key, form) =
            if table.has("tandem") { ("tandem", StepForm::AllOf) } else { ("broadcast", StepForm::AnyOf) };
        if table.has("tandem") && table.has("broadcast") {
            let message = "a step is either a broadcast or a tandem";
            self.reader.fault(step.line, step.path.clone(), message, Some("make two steps of it".to_owned()));
            return None;
        }
        let named = self.reader.texts(&table, key);
        let mut programs: Vec<usize> = named.iter().filter_map(|(word, item)| self.program(item, word, &[])).collect();
        if programs.len() < named.len() {
            return None;
        }
        let distinct: BTreeSet<usize> = programs.iter().copied().collect();
        match form {
            StepForm::AllOf if named.len() != 2 || distinct.len() != 2 => {
                let help = Some("`{ tandem = [\"the one that leads\", \"the other\"] }`".to_owned());
                self.reader.fault(step.line, step.path.clone(), "a tandem is of two programs", help);
            }
            StepForm::AllOf => {}
            _ if distinct.len() < 2 => {
                let help = Some("a single program stands by its name".to_owned());
                self.reader.fault(step.line, step.path.clone(), "a broadcast needs two programs", help);
            }
            _ => programs = distinct.into_iter().collect(),
        }
        Some(Step { programs, form })
    }

    /// `48h`, `7d`, `24h..72h`, or `{ within = "24h..72h", by = "outreach" }`.
    fn follow_up(&mut self, table: &Table<'_>) -> Vec<FollowUpDue> {
        let Some(item) = self.reader.get(table, "follow_up") else {
            return Vec::new();
        };
        let mut due = Vec::new();
        for item in self.reader.list(&item) {
            let (text, by) = match item.value {
                DeValue::Table(_) => {
                    let Some(table) = self.reader.table(&item) else { continue };
                    let by = match self.reader.get(&table, "by") {
                        Some(named) => self.reader.text(&named).and_then(|word| self.program(&named, &word, &[])),
                        None => None,
                    };
                    (self.reader.required_text(&table, "within"), by)
                }
                _ => (self.reader.text(&item), None),
            };
            let Some(text) = text else { continue };
            match window(&text) {
                Some((after_h, within_h)) => due.push(FollowUpDue { after_h, within_h, by }),
                None => {
                    let help = Some("`48h`, `7d` or `24h..72h`".to_owned());
                    self.reader.fault(item.line, item.path, format!("`{text}` is not a span"), help);
                }
            }
        }
        due
    }

    fn safeguard(&mut self, table: &Table<'_>) -> Option<Safeguard> {
        let id = self.own_id(table);
        let (key, never) = match (table.has("never"), table.has("always")) {
            (true, false) => ("never", true),
            (false, true) => ("always", false),
            _ => {
                let message = "a safeguard has either `never` or `always`";
                let help = Some("make two safeguards of it".to_owned()).filter(|_| table.has("never"));
                self.reader.fault(
                    table.line,
                    table.path.clone(),
                    message,
                    help.or_else(|| Some("`never = { send = \"community\", when = { … } }`".to_owned())),
                );
                return None;
            }
        };
        let item = self.reader.get(table, key)?;
        let inner = self.reader.table(&item)?;
        let send_item = self.reader.get(&inner, "send");
        let word = self.reader.required_text(&inner, "send")?;
        let send_item = send_item?;
        let promise = if never {
            let targets: Vec<SendTarget> = word
                .split(',')
                .map(str::trim)
                .filter_map(|word| self.target(&send_item, word, &["any", "unaccompanied"]))
                .collect();
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
                cells(self.reader, self.vocabulary, &when, &[])
            }
        };
        Some(Safeguard { id: id?, line: table.line, promise, when })
    }

    /// A kind, a program, or one of the further words.
    fn target(&mut self, item: &Item<'_>, word: &str, further: &[&str]) -> Option<SendTarget> {
        match word {
            "any" if further.contains(&word) => Some(SendTarget::Any),
            "unaccompanied" => Some(SendTarget::Unaccompanied),
            _ => match kind_named(word) {
                Some(kind) => Some(SendTarget::Kind(kind)),
                None => {
                    let kinds = KINDS.iter().map(|(name, _)| *name);
                    let further: Vec<&str> = kinds.chain(further.iter().copied()).collect();
                    self.program(item, word, &further).map(SendTarget::Program)
                }
            },
        }
    }

    fn waiver(&mut self, table: &Table<'_>, rule_ids: &[&str]) -> Option<Waiver> {
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

/// `48h` is within 48 hours, `24h..72h` not before 24 and within 72.
fn window(text: &str) -> Option<(u32, u32)> {
    let (after, within) = match text.split_once("..") {
        Some((after, within)) => (hours(after)?, hours(within)?),
        None => (0, hours(text)?),
    };
    (after < within).then_some((after, within))
}

/// `48h` or `7d` as hours.
fn hours(text: &str) -> Option<u32> {
    let text = text.trim();
    let (number, factor) = match (text.strip_suffix('h'), text.strip_suffix('d')) {
        (Some(number), _) => (number, 1),
        (_, Some(number)) => (number, 24),
        _ => return None,
    };
    number.parse::<u32>().ok().filter(|number| (1..=9_999).contains(number)).map(|number| number * factor)
}

/// The cells of a table: every key that is a fact and none of the fixed.
pub(super) fn cells(reader: &mut Reader, vocabulary: &Vocabulary, table: &Table<'_>, fixed: &[Key]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (name, item) in reader.items(table) {
        if !fixed.iter().any(|key| key.name == name)
            && let Some((place, fact)) = vocabulary.find(name)
        {
            let text = match item.value {
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(number) => number.as_str().to_owned(),
                _ => continue,
            };
            match Cell::parse(place, fact, &text) {
                Ok(cell) => cells.extend(cell),
                Err(fault) => reader.fault(item.line, item.path, fault.message, fault.help),
            }
        }
    }
    cells.sort_by_key(|cell| cell.fact);
    cells
}
