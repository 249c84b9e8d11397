//! The policy: a decision table that has been proved before it is loaded.

mod batch;
mod boxes;
mod calls;
mod cases;
mod changes;
mod classes;
mod column;
mod compile;
mod cover;
mod decide;
mod decision;
mod duty_patterns;
mod diff;
mod example;
mod findings;
mod told;
mod flip;
mod grid;
mod hours;
mod language;
mod local_time;
mod outcome;
mod monotone;
mod near;
mod ordered;
mod prove;
mod questions;
mod reach;
mod route;
mod row_set;
mod smallest;
mod states;
mod stems;
mod tally;
#[cfg(test)]
mod tests;
mod words;

pub use calls::{Calls, ColumnsError, Profile};
pub use cases::{CaseReport, CaseResult};
pub use changes::{Change, changes};
pub use decision::{
    BarredPrograms, Decision, ExclusionHit, Flip, FlipChange, FollowUp, Gap, LegPlan, Mode, PolicyIdentity,
    ProgramKind, ProgramOption, Question, QueuePlace, Reason, Route, RouteStep, Status,
};
pub use diff::{CallAnswer, Comparison, Move, MoveKind, MovedCall, Relation};
pub use example::ExampleCall;
pub use findings::{Finding, Gaps};
pub use outcome::{Answer, ReadCall, StatusKind};
pub use prove::Proof;
pub use tally::Tally;
pub use told::{PolicyTold, Told};

use crate::facts::{FactError, FactSources, Facts, Pin, Repeats, Unlearnt, Unmapped};
use crate::record::{CallRecord, ProgramId};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use language::{BUILT_IN, Bars, Cell, Decider, Program, Row, RowKind, Safeguard, Waiver, Written};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The JSON Schemas of `policy.toml` and `cases.toml`, by file name under `schemas/policy`: for editors.
#[must_use]
pub fn schemas() -> [(&'static str, String); 2] {
    [("policy.schema.json", language::policy_schema()), ("cases.schema.json", language::cases_schema())]
}

/// The files of a policy folder by name (`policy.toml`, `call_types.csv`, …), read by whoever does I/O.
#[derive(Debug, Clone, Default)]
pub struct PolicyFiles {
    /// Folder name, for error messages.
    pub folder: String,
    /// Bytes by file name.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// A compiled, proved policy. Cheap to share (`Arc`), immutable.
#[derive(Debug)]
pub struct Policy {
    compiled: Compiled,
}

/// A policy that has been read and compiled, and not yet proved: it can be examined, and nothing can be decided with it.
#[derive(Debug)]
pub struct Candidate {
    compiled: Compiled,
    safeguards: Vec<Safeguard>,
    cases: Vec<cases::Case>,
}

/// Everything that deciding needs.
#[derive(Debug)]
struct Compiled {
    identity: Arc<PolicyIdentity>,
    title: String,
    mode: Mode,
    cite: Option<String>,
    time_zone: TimeZone,
    local_time: local_time::LocalTime,
    holidays: BTreeSet<Date>,
    sources: FactSources,
    deciders: Vec<Decider>,
    programs: Vec<Program>,
    waivers: Vec<Waiver>,
    questions: BTreeMap<String, Arc<BTreeMap<String, String>>>,
    table: compile::Table,
    relief: reach::Relief,
    paths: near::Paths,
    space: boxes::Space,
}

/// Everything wrong with a policy, each with file, line, key and the nearest valid word.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the policy has faults: {}", .0.len())]
pub struct PolicyFaults(pub Vec<PolicyFault>);

/// One fault of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFault {
    /// File within the folder.
    pub file: String,
    /// Line from 1, where known.
    pub line: Option<u32>,
    /// The key or row concerned.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
}

/// What is free now: how many calls each program has, and whether it is staffed.
#[derive(Debug, Clone, Default)]
pub struct Availability {
    /// Calls a program holds or has been offered now.
    pub load: BTreeMap<ProgramId, u32>,
    /// Programs known to have no crew on duty.
    pub unstaffed: Vec<ProgramId>,
    /// Deciders known to be away, by their name in the policy.
    pub deciders_away: BTreeSet<String>,
    /// Surge mode is on: what counts only in surge counts. Switched by an operator, never by a record.
    pub surge: bool,
}

/// A program, for pages and reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProgramSummary {
    /// Its identifier.
    pub id: ProgramId,
    /// Its title, for people.
    pub title: String,
    /// Its kind, crew phases left aside.
    pub kind: ProgramKind,
    /// Calls at a time, where a limit is known: of several phases the last.
    pub capacity: Option<u32>,
    /// Zones it serves, with their dates where they have any; `None` where it serves every place.
    pub area: Option<Vec<String>>,
    /// Facts that it must know.
    pub required: Vec<String>,
    /// Channels it is asked on, in order.
    pub channels: Vec<String>,
    /// Crews by phase: whether an officer is among them, where it says, and who they are.
    pub crew: Vec<(Option<bool>, Vec<String>)>,
    /// Source of what is said of it.
    pub cite: Option<String>,
}

/// A built-in safeguard lifted, for every page and report.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WaiverSummary {
    /// The built-in safeguard.
    pub safeguard: String,
    /// Who signed.
    pub signed_by: String,
    /// Why.
    pub because: String,
    /// When, where stated.
    pub signed_on: Option<String>,
}

impl Candidate {
    /// Reads, checks and compiles the files of a folder, its cases included.
    ///
    /// # Errors
    /// Every fault found, not only the first.
    pub fn read(files: &PolicyFiles) -> Result<Self, PolicyFaults> {
        let written = language::read(files).map_err(PolicyFaults)?;
        let safeguards = written.safeguards.clone();
        let compiled = Compiled::build(written, files.digest()).map_err(|message| {
            let file = language::POLICY_FILE.to_owned();
            PolicyFaults(vec![PolicyFault { file, line: None, key: "policy".to_owned(), message, help: None }])
        })?;
        let cases = cases::read(&compiled, files).map_err(PolicyFaults)?;
        Ok(Self { compiled, safeguards, cases })
    }

    /// Proves every safeguard over all calls, on the compiled table.
    #[must_use]
    pub fn prove(&self) -> Vec<Proof> {
        self.compiled.proofs(&self.safeguards)
    }

    /// Rules of one rank that can hold for the same call and do not send alike, each with such a call.
    #[must_use]
    pub fn overlaps(&self) -> Vec<PolicyFault> {
        self.compiled.overlaps()
    }

    /// What the author should know: rows that can never decide, programs that nothing sends to.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.compiled.findings()
    }

    /// Natures and call types that no row speaks of.
    #[must_use]
    pub fn gaps(&self) -> Gaps {
        self.compiled.gaps()
    }

    /// Runs the policy's own cases.
    #[must_use]
    pub fn run_cases(&self) -> CaseReport {
        cases::run(&self.compiled, &self.cases)
    }

    /// Which policy this is.
    #[must_use]
    pub fn identity(&self) -> &PolicyIdentity {
        &self.compiled.identity
    }

    /// Its title.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.compiled.title
    }

    /// Authored rules and exclusions.
    #[must_use]
    pub fn row_counts(&self) -> (usize, usize) {
        let rules = self.compiled.table.rules.iter().count();
        let authored = self.compiled.table.rows.iter().filter(|row| row.line > 0).count();
        (rules, authored - rules)
    }

    /// Its programs.
    #[must_use]
    pub fn programs(&self) -> Vec<ProgramSummary> {
        self.compiled.program_summaries()
    }

    /// Built-in safeguards that it lifts.
    #[must_use]
    pub fn waivers(&self) -> Vec<WaiverSummary> {
        self.compiled.waiver_summaries()
    }

    /// Its mode.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.compiled.mode
    }

    /// Vendors and versions that rows of its call types are pinned to, and how many rows each.
    #[must_use]
    pub fn call_type_pins(&self) -> Vec<(Pin, usize)> {
        self.compiled.sources.call_types.pins()
    }

    /// The policy, if every safeguard holds and rules that overlap send alike.
    ///
    /// # Errors
    /// Each safeguard that fails and each such pair of rules, with a call for which it does.
    pub fn into_policy(self) -> Result<Policy, PolicyFaults> {
        let unproved = self.prove().into_iter().filter_map(|proof| {
            let example = proof.counter_example?;
            Some(PolicyFault {
                file: language::POLICY_FILE.to_owned(),
                line: proof.line,
                key: proof.safeguard,
                message: format!("the safeguard does not hold: {example}"),
                help: Some("add an exclusion for such calls, or let the rule name the values it accepts".to_owned()),
            })
        });
        let failing: Vec<PolicyFault> = self.overlaps().into_iter().chain(unproved).collect();
        if failing.is_empty() { Ok(Policy { compiled: self.compiled }) } else { Err(PolicyFaults(failing)) }
    }
}

impl Policy {
    /// Reads, checks, compiles and proves. A policy whose safeguards fail does not compile.
    ///
    /// # Errors
    /// Every fault found, not only the first.
    pub fn compile(files: &PolicyFiles) -> Result<Self, PolicyFaults> {
        Candidate::read(files)?.into_policy()
    }

    /// Which policy this is.
    pub fn identity(&self) -> &PolicyIdentity {
        &self.compiled.identity
    }

    /// Its mode.
    pub fn mode(&self) -> Mode {
        self.compiled.mode
    }

    /// Its title, for people.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.compiled.title
    }

    /// Where the rules were published, if it says.
    #[must_use]
    pub fn cite(&self) -> Option<&str> {
        self.compiled.cite.as_deref()
    }

    /// The time zone of its hours.
    #[must_use]
    pub fn time_zone(&self) -> &TimeZone {
        &self.compiled.time_zone
    }

    /// Its programs, in order of id.
    #[must_use]
    pub fn programs(&self) -> Vec<ProgramSummary> {
        self.compiled.program_summaries()
    }

    /// Its deciders by name, in order.
    #[must_use]
    pub fn deciders(&self) -> Vec<String> {
        self.compiled.deciders.iter().map(|decider| decider.id.clone()).collect()
    }

    /// Built-in safeguards that it lifts.
    #[must_use]
    pub fn waivers(&self) -> Vec<WaiverSummary> {
        self.compiled.waiver_summaries()
    }

    /// The values of a fact in its order, empty for numbers and codes; `None` where there is no such fact.
    #[must_use]
    pub fn fact_values(&self, fact: &str) -> Option<Vec<String>> {
        self.compiled.sources.vocabulary.find(fact).map(|(_, fact)| fact.values())
    }

    /// The question that asks for a fact, by language tag; `None` where there is no such fact.
    #[must_use]
    pub fn question(&self, fact: &str) -> Option<&BTreeMap<String, String>> {
        self.compiled.questions.get(fact).map(Arc::as_ref)
    }

    /// Facts of a record, merged into what was known before. Never fails: returns what it knows and what it could not learn.
    pub fn gather(&self, record: &CallRecord, before: &Facts) -> (Facts, Vec<Gap>) {
        let (facts, unlearnt) = self.compiled.sources.gather(record, before);
        (facts, unlearnt.into_iter().map(gap).collect())
    }

    /// The call types of a record that the policy's table says nothing of, as the agency wrote them, each with why.
    #[must_use]
    pub fn unmapped_call_types<'r>(&self, record: &'r CallRecord) -> Vec<(&'r str, Unmapped)> {
        self.compiled.sources.call_types.unmapped(&record.nature)
    }

    /// Facts after a call-taker's answer (may set any value).
    ///
    /// # Errors
    /// Where fact or value is not in the vocabulary.
    pub fn answered(&self, before: &Facts, fact: &str, value: &str) -> Result<Facts, FactError> {
        self.compiled.sources.answered(before, fact, value)
    }

    /// Facts after a hazard reported by a team (only raises).
    ///
    /// # Errors
    /// Where fact or value is not in the vocabulary, or the report would lower a risk.
    pub fn hazard(&self, before: &Facts, fact: &str, value: &str) -> Result<Facts, FactError> {
        self.compiled.sources.hazard(before, fact, value)
    }

    /// Facts with every danger that a linked incident knows of at first hand.
    #[must_use]
    pub fn linked(&self, before: &Facts, other: &Facts) -> Facts {
        self.compiled.sources.linked(before, other)
    }

    /// Facts with what the adapter remembers of the place and the number.
    #[must_use]
    pub fn recalled(&self, before: &Facts, repeats: Repeats) -> Facts {
        self.compiled.sources.recalled(before, repeats)
    }

    /// The decision on these facts at this instant.
    pub fn decide(&self, facts: &Facts, gaps: &[Gap], at: Timestamp, availability: &Availability) -> Decision {
        self.compiled.decide(facts, gaps, at, availability)
    }

    /// What [`Policy::decide`] answers, without a word of explanation: for counting, and for whoever only needs to know
    /// where the call goes. Nothing is allocated, but where an exact cut must settle whether answers could still reach a
    /// rule: where no one value of an open fact frees it from the most exclusions (`ineligible` and `needs-answer` only).
    pub fn route_only<'a>(
        &'a self,
        facts: &Facts,
        gaps: &'a [Gap],
        at: Timestamp,
        availability: &Availability,
    ) -> Answer<'a> {
        self.route(&self.read(facts, gaps), at, availability)
    }

    /// A call's facts as this policy's table reads them, for [`Policy::route`]: once a call, however often it is decided.
    #[must_use]
    pub fn read<'a>(&self, facts: &Facts, gaps: &'a [Gap]) -> ReadCall<'a> {
        self.compiled.read(facts, gaps)
    }

    /// As [`Policy::route_only`], of a call that this policy has read.
    pub fn route<'a>(&'a self, call: &ReadCall<'a>, at: Timestamp, availability: &Availability) -> Answer<'a> {
        self.compiled.answer(call, at, availability)
    }

    /// The steps that would offer the call to one named program (for an override by the call-taker).
    pub fn steps_to(&self, program: &ProgramId, at: Timestamp) -> Option<Vec<RouteStep>> {
        let place = self.compiled.programs.iter().position(|known| known.id == *program)?;
        let known = self.compiled.programs.get(place)?;
        let availability = Availability::default();
        let date = self.compiled.moment(at, &availability).duty(place)?.shift_date;
        Some(self.compiled.steps(vec![language::Step::one(place)], None, |_| Some((known, date))))
    }
}

impl Compiled {
    fn build(written: Written, digest: String) -> Result<Self, String> {
        let built_in = built_in_rows(&written)?;
        let table = compile::Table::compile(&written, built_in)?;
        let areas = area_zones(&written.programs);
        let space = boxes::Space::of(&table, &areas);
        let paths = near::Paths::of(&table, &written.programs);
        Ok(Self {
            identity: Arc::new(PolicyIdentity { id: written.id, revision: written.revision, digest }),
            title: written.title,
            mode: written.mode,
            cite: written.cite,
            local_time: local_time::LocalTime::of(&written.time_zone),
            time_zone: written.time_zone,
            holidays: written.holidays,
            sources: written.sources,
            deciders: written.deciders,
            programs: written.programs,
            waivers: written.waivers,
            questions: written.questions.into_iter().map(|(fact, texts)| (fact, Arc::new(texts))).collect(),
            relief: reach::Relief::of(&table),
            paths,
            table,
            space,
        })
    }

    fn program_summaries(&self) -> Vec<ProgramSummary> {
        let zones = self.sources.zones.value_names();
        let facts = self.sources.vocabulary.facts();
        self.programs
            .iter()
            .map(|program| ProgramSummary {
                id: program.id.clone(),
                title: program.title.to_string(),
                kind: program.kind,
                capacity: program.capacity.last().map(|phase| phase.calls),
                area: program.area.as_ref().map(|area| area.iter().map(|entry| spoken_area(entry, &zones)).collect()),
                required: program
                    .required
                    .iter()
                    .filter_map(|fact| facts.get(*fact))
                    .map(|fact| fact.name.to_string())
                    .collect(),
                channels: program.legs.iter().map(|leg| leg.channel.clone()).collect(),
                crew: program.crew.iter().map(|crew| (crew.officer, crew.members.clone())).collect(),
                cite: program.cite.clone(),
            })
            .collect()
    }

    fn waiver_summaries(&self) -> Vec<WaiverSummary> {
        self.waivers
            .iter()
            .map(|waiver| WaiverSummary {
                safeguard: waiver.safeguard.clone(),
                signed_by: waiver.signed_by.clone(),
                because: waiver.because.clone(),
                signed_on: waiver.signed_on.clone(),
            })
            .collect()
    }
}

/// Zones that programs' areas name, on whatever date.
fn area_zones(programs: &[Program]) -> Vec<usize> {
    programs.iter().flat_map(|program| program.area.iter().flatten()).flat_map(|area| area.zones.clone()).collect()
}

/// `north, south`, with the dates where it has any.
fn spoken_area(area: &language::Area, zones: &[String]) -> String {
    let names: Vec<&str> = area.zones.iter().filter_map(|zone| zones.get(*zone)).map(String::as_str).collect();
    let dates = [("from", area.effective.from), ("until", area.effective.to)];
    let dates = dates.into_iter().filter_map(|(word, date)| Some(format!(" {word} {}", date?)));
    dates.fold(names.join(", "), |text, date| text + &date)
}

/// The built-in exclusions that no waiver lifts, as rows of the table like any other.
fn built_in_rows(written: &Written) -> Result<Vec<Row>, String> {
    let facts = written.sources.vocabulary.facts();
    let unaccompanied = language::Barred { programs: 0, unaccompanied: true };
    let mut rows = Vec::new();
    for (id, fact, values, all, because) in BUILT_IN {
        if written.waivers.iter().any(|waiver| waiver.safeguard == id) {
            continue;
        }
        let found = facts.iter().enumerate().find(|(_, known)| known.name == fact);
        let cell = found.and_then(|(place, known)| Cell::parse(place, known, values).ok().flatten());
        // A built-in exclusion that is not in the table would be no exclusion at all.
        let cell = cell.ok_or_else(|| format!("the built-in safeguard `{id}` cannot be compiled"))?;
        rows.push(Row {
            id: id.to_owned(),
            line: 0,
            cells: vec![cell],
            because: because.to_owned(),
            cite: None,
            effective: hours::Effective::default(),
            surge: None,
            kind: RowKind::Exclusion(if all { Bars::All } else { Bars::Some(unaccompanied) }),
        });
    }
    Ok(rows)
}

fn gap(unlearnt: Unlearnt) -> Gap {
    Gap { fact: unlearnt.fact, why: unlearnt.why.to_owned() }
}

/// SHA-256 over every file of the folder: each name and content with its length in front, in order of name.
impl PolicyFiles {
    /// SHA-256 over names and contents, lower-case hex: the digest of the policy that these files make.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for (name, content) in &self.files {
            for part in [name.as_bytes(), content.as_slice()] {
                hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                hasher.update(part);
            }
        }
        hex::encode(hasher.finalize())
    }
}

impl Decision {
    /// A decision that says why the call could not be assessed. The ordinary route.
    pub fn not_assessed(why: &str, text: &str, policy: impl Into<Arc<PolicyIdentity>>, gaps: Vec<Gap>) -> Self {
        Self {
            status: Status::NotAssessed { why: why.to_owned() },
            route: Route::Ordinary,
            rule: None,
            exclusions: Vec::new(),
            reasons: vec![Reason { code: why.to_owned(), text: text.to_owned(), cite: None }],
            options: Vec::new(),
            questions: Vec::new(),
            nearest_flip: None,
            steps: Vec::new(),
            automatic: false,
            follow_up: Vec::new(),
            gaps,
            policy: policy.into(),
        }
    }
}
