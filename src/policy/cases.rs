//! The policy's own tests: examples with the expected answer, and which rows they cover.

use super::language::{CASES_FILE, Item, Reader, Table};
use super::row_set::RowSet;
use super::{Availability, Compiled, Decision, Gap, PolicyFault, PolicyFiles, Route, Status, language};
use crate::facts::{Facts, Pin, Source, Unmapped};
use crate::record::ProgramId;
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use toml::de::DeValue;

/// One example.
#[derive(Debug, Clone)]
pub(super) struct Case {
    id: String,
    line: u32,
    at: Timestamp,
    facts: Facts,
    gaps: Vec<Gap>,
    availability: Availability,
    expect: Expect,
}

#[derive(Debug, Clone, Default)]
struct Expect {
    status: String,
    route: Option<String>,
    rule: Option<String>,
    because: Option<String>,
    exclusions: Option<BTreeSet<String>>,
    opens: Option<Timestamp>,
    questions: Vec<String>,
    options: BTreeMap<String, String>,
}

/// How one case came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseResult {
    /// The case.
    pub case: String,
    /// Line in `cases.toml`.
    pub line: u32,
    /// What differs from what is expected; empty where the case passes.
    pub differences: Vec<String>,
}

impl CaseResult {
    /// True where the decision is as expected.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.differences.is_empty()
    }
}

/// All cases run, and the rows that they cover.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CaseReport {
    /// In the order of the file.
    pub results: Vec<CaseResult>,
    /// Authored rows that no case covers, in order of the table.
    pub uncovered: Vec<String>,
    /// Authored rows.
    pub rows: usize,
    /// Cells of authored rows whose two sides no cases show, as `row: fact`, in order of the table.
    pub uncovered_cells: Vec<String>,
    /// Cells of authored rows.
    pub cells: usize,
}

impl CaseReport {
    /// Share of authored rows that some case covers, in per cent; 100 where there are no rows.
    #[must_use]
    pub fn coverage_percent(&self) -> f64 {
        percent(self.rows - self.uncovered.len(), self.rows)
    }

    /// Share of cells of which the cases show both sides: one case meets the whole row, another misses it by this cell
    /// alone; in per cent, 100 where there are no cells.
    #[must_use]
    pub fn cell_coverage_percent(&self) -> f64 {
        percent(self.cells - self.uncovered_cells.len(), self.cells)
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 100.0;
    }
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    number(part) * 100.0 / number(whole)
}

/// Reads `cases.toml`; no file, no cases.
pub(super) fn read(policy: &Compiled, files: &PolicyFiles) -> Result<Vec<Case>, Vec<PolicyFault>> {
    let mut faults = Vec::new();
    let Some(text) = language::utf8(files, CASES_FILE, &mut faults) else {
        return if faults.is_empty() { Ok(Vec::new()) } else { Err(faults) };
    };
    let mut reader = Reader::new(CASES_FILE, text);
    let document = reader.parse(text);
    let root = reader.root(&document);
    reader.shaped(&root, language::CASES, &policy.sources.vocabulary);
    let mut cases: Vec<Case> = Vec::new();
    for table in reader.tables(&root, "case") {
        let Some(case) = case(policy, &mut reader, &table) else {
            continue;
        };
        if cases.iter().any(|before| before.id == case.id) {
            reader.fault(table.line, table.key("id"), "two cases have the same id", None);
        }
        cases.push(case);
    }
    reader.faults.sort_by_key(|fault| fault.line);
    if reader.faults.is_empty() { Ok(cases) } else { Err(reader.faults) }
}

fn case(policy: &Compiled, reader: &mut Reader, table: &Table<'_>) -> Option<Case> {
    let id = reader.required_text(table, "id");
    let at = time(policy, reader, table, "at");
    let (facts, gaps) = facts(policy, reader, table);
    let programs: Vec<&str> = policy.programs.iter().map(|program| program.id.as_str()).collect();
    let deciders: Vec<&str> = policy.deciders.iter().map(|decider| decider.id.as_str()).collect();
    let mut availability = Availability::default();
    if let Some(item) = reader.get(table, "load")
        && let Some(load) = reader.table(&item)
    {
        for (program, item) in reader.items(&load) {
            if !programs.contains(&program) {
                reader.not_among(item.line, &item.path, "program", program, &programs);
            } else if let Some(calls) = reader.integer(&item) {
                availability.load.insert(ProgramId::new(program), u32::try_from(calls).unwrap_or(u32::MAX));
            }
        }
    }
    for (program, item) in reader.texts(table, "unstaffed") {
        if programs.contains(&program.as_str()) {
            availability.unstaffed.push(ProgramId::new(program));
        } else if deciders.contains(&program.as_str()) {
            availability.deciders_away.insert(program);
        } else {
            let valid: Vec<&str> = programs.iter().chain(&deciders).copied().collect();
            reader.not_among(item.line, &item.path, "program or decider", &program, &valid);
        }
    }
    availability.surge = reader.optional_flag(table, "surge").unwrap_or(false);
    let expect = match reader.get(table, "expect") {
        None => None,
        Some(item) => {
            let inner = reader.table(&item)?;
            expect(policy, reader, &inner)
        }
    };
    Some(Case { id: id?, line: table.line, at: at?, facts, gaps, availability, expect: expect? })
}

/// A local time in the policy's zone, as a text or a TOML local date-time.
fn time(policy: &Compiled, reader: &mut Reader, table: &Table<'_>, key: &str) -> Option<Timestamp> {
    let item = reader.get(table, key)?;
    let text = match item.value {
        DeValue::String(text) => text.to_string(),
        DeValue::Datetime(local) => local.to_string(),
        _ => String::new(),
    };
    let at = text.parse::<DateTime>().ok().and_then(|local| policy.time_zone.to_timestamp(local).ok());
    if at.is_none() || text.ends_with('Z') {
        let help = Some("`2025-11-04T21:30`, local time in the policy's zone".to_owned());
        reader.fault(item.line, item.path, "this is not a local time", help);
    }
    at
}

/// Stated facts; a call type is looked up first, and what is stated beside it stands over what it implies.
fn facts(policy: &Compiled, reader: &mut Reader, table: &Table<'_>) -> (Facts, Vec<Gap>) {
    let stated = reader.get(table, "facts").and_then(|item| reader.table(&item));
    let Some(stated) = stated else {
        return (Facts::default(), Vec::new());
    };
    let vocabulary = &policy.sources.vocabulary;
    let mut facts = Facts::default();
    let mut named: Vec<(String, String)> = Vec::new();
    for (name, item) in reader.items(&stated) {
        let value = match item.value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.as_str().to_owned(),
            _ => {
                reader.fault(item.line, item.path, "a fact is a text or a whole number", None);
                continue;
            }
        };
        match vocabulary.canonical(name, &value) {
            Ok(value) => named.push((name.to_owned(), value)),
            Err(error) => stranger(reader, &item, vocabulary, name, &value, &error.to_string()),
        }
    }
    let mut gaps = Vec::new();
    let pin =
        Pin::new(reader.optional_text(table, "vendor").as_deref(), reader.optional_text(table, "version").as_deref());
    // The first type stands before the last, as it would in a record that states both.
    for kind in ["first_call_type", "call_type"] {
        let Some((_, code)) = named.iter().find(|(name, _)| name == kind) else { continue };
        let found = policy.sources.call_types.look_up(code, &pin);
        if let Ok(implied) = found {
            let priority = implied.priority.map(|priority| ("priority".to_owned(), priority.to_string()));
            let nature = implied.nature.clone().map(|nature| ("nature".to_owned(), nature));
            for (fact, value) in implied.facts.iter().cloned().chain(priority).chain(nature) {
                // The table was read with this vocabulary, and a call type may state any fact.
                let _ = facts.state(vocabulary, &fact, &value, Source::CallType);
            }
        }
        let named_beside = named.iter().any(|(name, _)| name == "nature");
        let says_nature = found.is_ok_and(|implied| implied.nature.is_some());
        if kind == "call_type" && !says_nature && !named_beside {
            let why = found.err().map_or("call-type-says-nothing", Unmapped::name);
            gaps.push(Gap { fact: "nature".to_owned(), why: why.to_owned() });
        }
    }
    for (name, value) in named {
        facts = facts.with(&name, &value, Source::Structured);
    }
    (facts, gaps)
}

fn stranger(
    reader: &mut Reader,
    item: &Item<'_>,
    vocabulary: &crate::facts::Vocabulary,
    name: &str,
    value: &str,
    message: &str,
) {
    let help = match vocabulary.find(name) {
        None => vocabulary.nearest(name).map(|near| format!("did you mean `{near}`?")),
        Some((_, fact)) => {
            let values = fact.values();
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            language::did_you_mean(value, &values)
        }
    };
    reader.fault(item.line, item.path.clone(), message, help);
}

fn expect(policy: &Compiled, reader: &mut Reader, table: &Table<'_>) -> Option<Expect> {
    let status = reader.required_text(table, "status")?;
    let line_of = |reader: &Reader, key: &str| reader.get(table, key).map_or(table.line, |item| item.line);
    let programs: Vec<&str> = policy.programs.iter().map(|program| program.id.as_str()).collect();
    let rows: Vec<&str> = policy.table.rows.iter().map(|row| row.id.as_str()).collect();
    let route = reader.optional_text(table, "route");
    if let Some(route) = route.as_deref().filter(|route| *route != "ordinary" && !programs.contains(route)) {
        let valid: Vec<&str> = programs.iter().copied().chain(["ordinary"]).collect();
        let line = line_of(reader, "route");
        reader.not_among(line, &table.key("route"), "program", route, &valid);
    }
    let rule = reader.optional_text(table, "rule");
    if let Some(rule) = rule.as_deref().filter(|rule| !rows.contains(rule)) {
        let line = line_of(reader, "rule");
        reader.not_among(line, &table.key("rule"), "rule", rule, &rows);
    }
    let exclusions = table.has("exclusions").then(|| {
        let listed = reader.texts(table, "exclusions");
        for (id, item) in &listed {
            if !rows.contains(&id.as_str()) {
                reader.not_among(item.line, &item.path, "exclusion", id, &rows);
            }
        }
        listed.into_iter().map(|(id, _)| id).collect()
    });
    let facts: Vec<&str> = policy.sources.vocabulary.facts().iter().map(|fact| &*fact.name).collect();
    let mut questions = Vec::new();
    for (fact, item) in reader.texts(table, "questions") {
        if facts.contains(&fact.as_str()) {
            questions.push(fact);
        } else {
            reader.not_among(item.line, &item.path, "fact", &fact, &facts);
        }
    }
    let mut options = BTreeMap::new();
    if let Some(item) = reader.get(table, "options")
        && let Some(inner) = reader.table(&item)
    {
        for (program, item) in reader.items(&inner) {
            let code = reader.text(&item).unwrap_or_default();
            if !programs.contains(&program) {
                reader.not_among(item.line, &item.path, "program", program, &programs);
            }
            options.insert(program.to_owned(), code);
        }
    }
    let because = reader.optional_text(table, "because");
    let opens = time(policy, reader, table, "opens");
    Some(Expect { status, route, rule, because, exclusions, opens, questions, options })
}

/// Runs the cases against the compiled table.
pub(super) fn run(policy: &Compiled, cases: &[Case]) -> CaseReport {
    let mut covered: BTreeSet<String> = BTreeSet::new();
    let mut sides = Sides { met: RowSet::EMPTY, missed: BTreeSet::new() };
    let results = cases
        .iter()
        .map(|case| {
            let decision = policy.decide(&case.facts, &case.gaps, case.at, &case.availability);
            covered.extend(decision.rule.clone());
            covered.extend(decision.exclusions.iter().map(|hit| hit.id.clone()));
            sides.look(policy, case);
            CaseResult { case: case.id.clone(), line: case.line, differences: differences(policy, case, &decision) }
        })
        .collect();
    let authored: Vec<&str> = policy.table.rows.iter().filter(|row| row.line > 0).map(|row| row.id.as_str()).collect();
    let uncovered = authored.iter().filter(|id| !covered.contains(**id)).map(|id| (*id).to_owned()).collect();
    let (cells, uncovered_cells) = sides.uncovered(policy);
    CaseReport { results, uncovered, rows: authored.len(), uncovered_cells, cells }
}

/// Which sides of which cells the cases show.
struct Sides {
    /// Rows that some case meets.
    met: RowSet,
    /// Row and column: some case misses the row by this cell alone.
    missed: BTreeSet<(usize, usize)>,
}

impl Sides {
    fn look(&mut self, policy: &Compiled, case: &Case) {
        let table = &policy.table;
        let call = table.code(&case.facts);
        let moment = policy.moment(case.at, &case.availability);
        let accepting =
            |(place, column)| *table.accepts(place, column, call.codes.get(place).copied().unwrap_or(0), &call);
        let accepted: Vec<RowSet> = table.columns.iter().enumerate().map(accepting).collect();
        self.met = self.met.or(&accepted.iter().fold(*moment.effective, |rows, accepted| rows.and(accepted)));
        for missing in 0..accepted.len() {
            let all = accepted.iter().enumerate().fold(*moment.effective, |rows, (place, accepted)| {
                if place == missing { rows.without(accepted) } else { rows.and(accepted) }
            });
            self.missed.extend(all.iter().map(|row| (row, missing)));
        }
    }

    fn uncovered(&self, policy: &Compiled) -> (usize, Vec<String>) {
        let mut cells = 0;
        let mut uncovered = Vec::new();
        for (row, held) in policy.table.rows.iter().enumerate().filter(|(_, row)| row.line > 0) {
            for (place, column) in
                policy.table.columns.iter().enumerate().filter(|(_, column)| column.asked_by.contains(row))
            {
                cells += 1;
                if !(self.met.contains(row) && self.missed.contains(&(row, place))) {
                    uncovered.push(format!("{}: {}", held.id, column.name));
                }
            }
        }
        (cells, uncovered)
    }
}

fn differences(policy: &Compiled, case: &Case, decision: &Decision) -> Vec<String> {
    let mut differences = Vec::new();
    let mut differs = |what: &str, expected: &str, found: &str| {
        if expected != found {
            differences.push(format!("{what}: expected {expected}, found {found}"));
        }
    };
    let expect = &case.expect;
    differs("status", &expect.status, decision.status.name());
    if let Some(route) = &expect.route {
        let found = match &decision.route {
            Route::Ordinary => "ordinary",
            Route::Program(program) => program.as_str(),
        };
        differs("route", route, found);
    }
    if let Some(rule) = &expect.rule {
        differs("rule", rule, decision.rule.as_deref().unwrap_or("none"));
    }
    if let Some(because) = &expect.because {
        let found = match &decision.status {
            Status::NotAssessed { why } => why.as_str(),
            Status::Ineligible { because } => because.as_str(),
            _ => "none",
        };
        differs("because", because, found);
    }
    if let Some(exclusions) = &expect.exclusions {
        let found: BTreeSet<String> = decision.exclusions.iter().map(|hit| hit.id.clone()).collect();
        let list = |set: &BTreeSet<String>| set.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        differs("exclusions", &list(exclusions), &list(&found));
    }
    if let Some(opens) = &expect.opens {
        let local = |at: Timestamp| policy.time_zone.to_datetime(at).to_string();
        let found = decision.options.iter().filter_map(|option| option.opens_at).min();
        differs("opens", &local(*opens), &found.map_or_else(|| "never".to_owned(), local));
    }
    for fact in &expect.questions {
        let asked = decision.questions.iter().any(|question| question.fact == *fact);
        differs("question", fact, if asked { fact } else { "not asked" });
    }
    for (program, code) in &expect.options {
        let found = decision.options.iter().find(|option| option.program.as_str() == program);
        differs(&format!("option {program}"), code, found.map_or("none", |option| &*option.code));
    }
    differences
}
