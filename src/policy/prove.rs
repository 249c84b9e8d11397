//! Proofs over all calls, of the compiled table: safeguards, rules that overlap, rows that can never decide.
//!
//! Facts are finite once numbers are cut at the policy's thresholds; hours, capacities and rosters are free, so that every
//! program of a chain is taken to be the one that answers, for the calls within its area. Dates are cut where a row or a crew changes; a program's
//! crew is that of the shift's first day, so on the first date of a stretch the crew of the day before is proved too.

use super::boxes::{Box, Space, TooHard};
use super::compile::rank;
use super::language::{Bars, Cell, Promise, Row, RowKind, Safeguard, SendTarget};
use super::row_set::RowSet;
use super::{Compiled, PolicyFault};
use jiff::civil::Date;
use serde::Serialize;
use std::collections::BTreeSet;

/// How a safeguard came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The safeguard; built-in ones are `built-in.<name>`.
    pub safeguard: String,
    /// Lifted by a waiver, and so not proved.
    pub waived: bool,
    /// A call for which it does not hold; `None` where it holds for every call.
    pub counter_example: Option<String>,
    /// Line in `policy.toml`, for authored ones.
    pub line: Option<u32>,
}

impl Proof {
    /// True where it holds for every call.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.waived && self.counter_example.is_none()
    }
}

/// Something about a row that its author should know; the policy runs all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The row or program.
    pub row: String,
    /// Kebab-case: `never-holds`, `hidden`, `makes-no-difference`, `reason-only`, `unused-program`.
    pub code: &'static str,
    /// The sentence.
    pub text: String,
    /// Line in `policy.toml`.
    pub line: Option<u32>,
}

/// A stretch of dates on which the same rows are in effect and the same crews work.
struct Stretch {
    date: Date,
    surge: bool,
    effective: RowSet,
    /// By program: whether a team may come without an officer, and with one.
    without_officer: Vec<bool>,
    with_officer: Vec<bool>,
}

/// What a safeguard is about, resolved.
struct Claim<'a> {
    targets: &'a [SendTarget],
    when: Vec<Box>,
}

impl Compiled {
    /// Every safeguard, built-in and authored, over all calls.
    pub(super) fn proofs(&self, authored: &[Safeguard]) -> Vec<Proof> {
        let stretches = self.stretches();
        let facts = self.sources.vocabulary.facts();
        let mut proofs = Vec::new();
        for (id, fact, values, all, _) in super::language::BUILT_IN {
            let waived = self.waivers.iter().any(|waiver| waiver.safeguard == id);
            let target = if all { SendTarget::Any } else { SendTarget::Unaccompanied };
            let cell = facts
                .iter()
                .enumerate()
                .find(|(_, known)| known.name == fact)
                .and_then(|(place, known)| Cell::parse(place, known, values).ok().flatten());
            let counter_example = match cell {
                _ if waived => None,
                Some(cell) => self.refute(&[target], &[cell], &stretches),
                None => Some(format!("`{fact}` is not in the vocabulary")),
            };
            proofs.push(Proof { safeguard: id.to_owned(), waived, counter_example, line: None });
        }
        for safeguard in authored {
            let counter_example = match &safeguard.promise {
                Promise::Never(targets) => self.refute(targets, &safeguard.when, &stretches),
                Promise::AlwaysOrdinary => self.refute(&[SendTarget::Any], &safeguard.when, &stretches),
                // Every answer of the table that is not a program is the ordinary route, and a route is one or the other.
                Promise::AlwaysSomebody => None,
            };
            let line = Some(safeguard.line);
            proofs.push(Proof { safeguard: safeguard.id.clone(), waived: false, counter_example, line });
        }
        proofs
    }

    /// Dates at which anything changes, each with what is in effect from it on.
    fn stretches(&self) -> Vec<Stretch> {
        let mut dates: BTreeSet<Date> = BTreeSet::new();
        let crews = self.programs.iter().flat_map(|program| program.crew.iter().map(|crew| crew.effective));
        for effective in self.table.rows.iter().map(|row| row.effective).chain(crews) {
            dates.extend(effective.from);
            dates.extend(effective.to.and_then(|to| to.tomorrow().ok()));
        }
        let before = dates.first().and_then(|date| date.yesterday().ok());
        dates.insert(before.unwrap_or(jiff::civil::date(2026, 1, 1)));
        let mut stretches: Vec<Stretch> = Vec::new();
        let surges: &[bool] =
            if self.table.rows.iter().any(|row| row.surge.is_some()) { &[false, true] } else { &[false] };
        for (date, surge) in dates.into_iter().flat_map(|date| surges.iter().map(move |surge| (date, *surge))) {
            let mut effective = RowSet::EMPTY;
            for (place, row) in self.table.rows.iter().enumerate() {
                if row.counts(date, surge) {
                    effective.insert(place);
                }
            }
            let shift_dates: Vec<Date> = [Some(date), date.yesterday().ok()].into_iter().flatten().collect();
            let on_some = |wanted: bool| {
                let programs = self.programs.iter();
                programs
                    .map(|program| {
                        let mut staffed = shift_dates.iter().filter(|date| program.staffed_on(**date));
                        staffed.any(|date| program.accompanied_on(*date) == wanted)
                    })
                    .collect::<Vec<_>>()
            };
            let stretch =
                Stretch { date, surge, effective, without_officer: on_some(false), with_officer: on_some(true) };
            let known = stretches.iter().any(|known| {
                known.effective == stretch.effective
                    && known.without_officer == stretch.without_officer
                    && known.with_officer == stretch.with_officer
            });
            if !known {
                stretches.push(stretch);
            }
        }
        stretches
    }

    /// A call that goes to one of the targets although it meets `when`; `None` where there is none.
    fn refute(&self, targets: &[SendTarget], when: &[Cell], stretches: &[Stretch]) -> Option<String> {
        let claim = Claim { targets, when: self.space.of_cells(&self.table, when) };
        stretches.iter().find_map(|stretch| match self.refute_in(&claim, stretch) {
            Ok(found) => found,
            Err(TooHard) => Some("this could not be proved within the bound of work".to_owned()),
        })
    }

    fn refute_in(&self, claim: &Claim<'_>, stretch: &Stretch) -> Result<Option<String>, TooHard> {
        let table = &self.table;
        let live = table.rules.without(&table.shadow).and(&stretch.effective);
        let ordinary = table.bars_all.and(&stretch.effective);
        let elsewhere = table.bars_all_but.and(&stretch.effective);
        for row in live.iter() {
            let targets = self.meet_all(self.space.row(row), &claim.when);
            let targets = self.with_known(targets, &self.ask(row), false);
            for program in self.chain(row).into_iter().flatten() {
                for accompanied in self.ways(claim, stretch, program) {
                    let mut barring = ordinary.or(&elsewhere);
                    if !accompanied {
                        barring = barring.or(&table.bars_unaccompanied.and(&stretch.effective));
                    }
                    let covers = self.space.rows(barring);
                    for target in self.takeable(targets.clone(), program) {
                        if let Some(call) = self.space.uncovered(&target, &covers)? {
                            return Ok(Some(self.tell(&call, program, row, stretch)));
                        }
                    }
                }
            }
        }
        for row in elsewhere.iter() {
            if let Some(told) = self.refute_elsewhere(claim, stretch, row)? {
                return Ok(Some(told));
            }
        }
        Ok(None)
    }

    /// A co-response exclusion sends where it holds for certain and a rule would take the call but for what it names.
    fn refute_elsewhere(&self, claim: &Claim<'_>, stretch: &Stretch, row: usize) -> Result<Option<String>, TooHard> {
        let table = &self.table;
        let Some(Row { kind: RowKind::Exclusion(Bars::AllBut(program)), .. }) = table.rows.get(row) else {
            return Ok(None);
        };
        // It sends only where an officer comes.
        if !self.ways(claim, stretch, *program).contains(&true) {
            return Ok(None);
        }
        let covers = self.space.rows(table.bars_all.and(&stretch.effective));
        let certain: Vec<usize> =
            table.columns.iter().filter(|column| column.soft.contains(row)).map(|column| column.fact).collect();
        let own = self.with_known(self.meet_all(self.space.row(row), &claim.when), &certain, false);
        let own = self.takeable(own, *program);
        let live = table.rules.without(&table.shadow).and(&stretch.effective);
        for rule in live.iter() {
            let freed: Vec<Box> = self.space.row(rule).iter().map(|rule| self.space.freed(table, rule, row)).collect();
            for target in self.meet_all(&own, &freed) {
                if let Some(call) = self.space.uncovered(&target, &covers)? {
                    return Ok(Some(self.tell(&call, *program, row, stretch)));
                }
            }
        }
        Ok(None)
    }

    /// In which ways a program that the claim speaks of may come on these dates: with an officer, without.
    fn ways(&self, claim: &Claim<'_>, stretch: &Stretch, program: usize) -> Vec<bool> {
        let can = |ways: &[bool]| ways.get(program).copied().unwrap_or(false);
        let Some(known) = self.programs.get(program) else {
            return Vec::new();
        };
        [(true, can(&stretch.with_officer)), (false, can(&stretch.without_officer))]
            .into_iter()
            .filter(|(accompanied, possible)| {
                *possible
                    && claim.targets.iter().any(|target| match target {
                        SendTarget::Any => true,
                        SendTarget::Unaccompanied => !accompanied,
                        SendTarget::Program(place) => *place == program,
                        SendTarget::Kind(kind) => known.kind == *kind,
                    })
            })
            .map(|(accompanied, _)| accompanied)
            .collect()
    }

    fn ask(&self, row: usize) -> Vec<usize> {
        match self.table.rows.get(row).map(|row| &row.kind) {
            Some(RowKind::Rule { ask, .. }) => ask.clone(),
            _ => Vec::new(),
        }
    }

    /// The calls that a program may take at all: what it requires is there, and the place is within its area.
    fn takeable(&self, boxes: Vec<Box>, program: usize) -> Vec<Box> {
        let Some(program) = self.programs.get(program) else {
            return Vec::new();
        };
        let boxes = self.with_known(boxes, &program.required, true);
        match &program.area {
            Some(area) => boxes.iter().flat_map(|own| self.space.within(own, area)).collect(),
            None => boxes,
        }
    }

    fn with_known(&self, boxes: Vec<Box>, facts: &[usize], present: bool) -> Vec<Box> {
        let known =
            |from: Box| facts.iter().fold(from, |from, fact| self.space.known(&self.table, &from, *fact, present));
        boxes.into_iter().map(known).filter(|space| space.iter().all(|classes| *classes != 0)).collect()
    }

    fn meet_all(&self, ones: &[Box], others: &[Box]) -> Vec<Box> {
        ones.iter().flat_map(|one| others.iter().filter_map(move |other| Space::meet(one, other))).collect()
    }

    fn tell(&self, call: &Box, program: usize, row: usize, stretch: &Stretch) -> String {
        let program = self.programs.get(program).map_or("", |program| program.id.as_str());
        let when = if self.table.dated.is_empty() && self.programs.iter().all(|program| program.crew.len() < 2) {
            String::new()
        } else {
            format!(" on {}", stretch.date)
        };
        let surge = if stretch.surge { " in surge mode" } else { "" };
        format!("a call{when}{surge} with {} → {program}, by `{}`", self.spell(call), self.table.id(row))
    }

    /// A call out of a box, in words.
    pub(super) fn spell(&self, call: &Box) -> String {
        let example = self.space.example(call);
        let zone = self.table.zone_column.and_then(|place| self.table.columns.get(place));
        let mut words: Vec<String> = example
            .codes
            .iter()
            .filter_map(|(column, code)| Some((self.table.columns.get(*column)?, *code)))
            .map(|(column, code)| format!("{} {}", column.name, column.example(code, None)))
            .collect();
        let zones: Vec<&str> =
            example.zones.iter().filter_map(|place| zone?.names.get(*place)).map(String::as_str).collect();
        match (zones.is_empty(), example.zone_state) {
            (false, _) => words.push(format!("zone {}", zones.join(", "))),
            (true, Some(false)) => words.push("zone unknown".to_owned()),
            (true, Some(true)) => words.push("zone outside".to_owned()),
            (true, None) => {}
        }
        if words.is_empty() { "anything".to_owned() } else { words.join(", ") }
    }

    /// Rules of one rank that can hold for the same call and do not send alike.
    pub(super) fn overlaps(&self) -> Vec<PolicyFault> {
        let mut faults = Vec::new();
        let table = &self.table;
        let rules: Vec<(usize, &Row)> =
            table.rules.iter().filter_map(|place| Some((place, table.rows.get(place)?))).collect();
        for (turn, (place, rule)) in rules.iter().enumerate() {
            for (other_place, other) in rules.iter().skip(turn + 1) {
                if rank(rule) != rank(other)
                    || rule.sends_like(other)
                    || table.shadow.contains(*place) != table.shadow.contains(*other_place)
                    || !rule.counts_with(other)
                {
                    continue;
                }
                let covers = self.always_in_effect(table.bars_all);
                let both = self.meet_all(self.space.row(*place), self.space.row(*other_place));
                let both = self.meet_all(&both, &self.space.everything());
                for target in both {
                    let told = match self.space.uncovered(&target, &covers) {
                        Ok(None) => continue,
                        Ok(Some(call)) => format!("a call with {}", self.spell(&call)),
                        Err(TooHard) => "this could not be proved within the bound of work".to_owned(),
                    };
                    faults.push(PolicyFault {
                        file: super::language::POLICY_FILE.to_owned(),
                        line: Some(other.line),
                        key: other.id.clone(),
                        message: format!(
                            "`{}` and `{}` hold for the same call and send differently: {told}",
                            rule.id, other.id
                        ),
                        help: Some("give one of them a higher `rank`, or the same `send`".to_owned()),
                    });
                    break;
                }
            }
        }
        faults
    }

    fn always_in_effect(&self, rows: RowSet) -> Vec<&Box> {
        let always = rows.iter().filter(|row| self.table.rows.get(*row).is_some_and(|row| row.always_counts()));
        let mut set = RowSet::EMPTY;
        always.for_each(|row| set.insert(row));
        self.space.rows(set)
    }

    /// What the author should know: rows that can never decide, programs that nothing sends to.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let table = &self.table;
        let mut findings = Vec::new();
        let stretches = self.stretches();
        let mut used: BTreeSet<usize> = BTreeSet::new();
        for (place, row) in table.rows.iter().enumerate().filter(|(_, row)| row.line > 0) {
            used.extend(self.chain(place).into_iter().flatten());
            if let RowKind::Rule { follow_up, .. } = &row.kind {
                used.extend(follow_up.iter().filter_map(|due| due.by));
            }
            let found = if table.rules.contains(place) {
                self.rule_finding(place, &stretches)
            } else {
                self.exclusion_finding(place, row)
            };
            if let Some((code, text)) = found {
                findings.push(Finding { row: row.id.clone(), code, text, line: Some(row.line) });
            }
        }
        for (place, program) in self.programs.iter().enumerate() {
            if !used.contains(&place) {
                let text = "no rule and no exclusion sends to this program, and no follow-up is its".to_owned();
                findings.push(Finding { row: program.id.to_string(), code: "unused-program", text, line: None });
            }
        }
        findings
    }

    fn rule_finding(&self, row: usize, stretches: &[Stretch]) -> Option<(&'static str, String)> {
        let table = &self.table;
        let own = self.meet_all(self.space.row(row), &self.space.everything());
        if own.is_empty() {
            return Some(("never-holds", "the cells accept no call at all".to_owned()));
        }
        let decides = stretches.iter().filter(|stretch| stretch.effective.contains(row)).any(|stretch| {
            let officer = |place: usize| stretch.with_officer.get(place).copied().unwrap_or(false);
            let mut barring = table.bars_all.or(&table.bars_all_but);
            if !self.chain(row).into_iter().flatten().any(officer) {
                barring = barring.or(&table.bars_unaccompanied);
            }
            let covers = self.space.rows(barring.and(&stretch.effective));
            own.iter().any(|own| !matches!(self.space.uncovered(own, &covers), Ok(None)))
        });
        if decides {
            return None;
        }
        let hiding = table.bars_all.or(&table.bars_all_but).or(&table.bars_unaccompanied).iter();
        let hiding: Vec<&str> = hiding
            .filter(|other| !self.meet_all(&own, self.space.row(*other)).is_empty())
            .map(|other| table.id(other))
            .collect();
        Some(("hidden", format!("exclusions hide it for every call: {}", hiding.join(", "))))
    }

    fn exclusion_finding(&self, row: usize, exclusion: &Row) -> Option<(&'static str, String)> {
        let table = &self.table;
        let own = self.meet_all(self.space.row(row), &self.space.everything());
        if own.is_empty() {
            return Some(("never-holds", "the cells accept no call at all".to_owned()));
        }
        let rules =
            table.rules.iter().filter(|rule| table.rows.get(*rule).is_some_and(|rule| rule.counts_with(exclusion)));
        let meets = |rule: usize| {
            let freed: Vec<Box> = self.space.row(rule).iter().map(|rule| self.space.freed(table, rule, row)).collect();
            let boxes = if table.bars_all_but.contains(row) { freed } else { self.space.row(rule).to_vec() };
            !self.meet_all(&own, &boxes).is_empty()
        };
        let met: Vec<usize> = rules.filter(|rule| meets(*rule)).collect();
        if met.is_empty() {
            return Some(("reason-only", "no rule takes a call that it excludes; it only gives the reason".to_owned()));
        }
        if !table.bars_all.contains(row) {
            return None;
        }
        let mut others = RowSet::EMPTY;
        let outlasts =
            |other: &usize| *other != row && table.rows.get(*other).is_some_and(|other| other.always_counts());
        table.bars_all.iter().filter(outlasts).for_each(|other| others.insert(other));
        let covers = self.space.rows(others);
        let hidden = own.iter().all(|own| matches!(self.space.uncovered(own, &covers), Ok(None)));
        hidden.then(|| ("makes-no-difference", "other exclusions hold wherever it does".to_owned()))
    }
}
