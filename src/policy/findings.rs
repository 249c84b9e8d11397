//! What the author should know of rows, cells and programs: what can never decide, what makes no difference, what nothing names.
//!
//! Everything here is proved over all calls, rosters free: a row is reported as hidden only where no call, no date and no
//! roster lets it decide, and a cell as indifferent only where its removal changes neither route nor status of any call.

use super::Compiled;
use super::boxes::{Box, TooHard};
use super::column::Column;
use super::compile::rank;
use super::language::{Bars, Row, RowKind};
use super::ordered::{Party, View};
use super::prove::{Stretch, TOO_HARD};
use super::row_set::RowSet;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Something about a row that its author should know; the policy runs all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The row or program.
    pub row: String,
    /// The cell, where it is about one.
    pub fact: Option<String>,
    /// Kebab-case: `never-holds`, `hidden`, `asks-only`, `makes-no-difference`, `reason-only`, `indifferent-cell`, `unused-program`,
    /// `not-proved`.
    pub code: &'static str,
    /// The sentence.
    pub text: String,
    /// Line in `policy.toml`.
    pub line: Option<u32>,
}

/// What no row speaks of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Gaps {
    /// Natures that no rule and no exclusion names.
    pub natures: Vec<String>,
    /// Call types of the table that no row names, neither by themselves nor by their nature.
    pub call_types: Vec<String>,
    /// Call types of the table that say no nature: such calls wait for a call-taker.
    pub call_types_to_nothing: Vec<String>,
}

/// Code and sentence of a finding.
type Found = Option<(&'static str, String)>;

/// What all findings share.
struct Finder<'a> {
    view: View<'a>,
    stretches: Vec<Stretch>,
    live: RowSet,
    /// By row: the calls that it holds and for which a fact that it asks for is not known.
    unasked: Vec<Vec<Box>>,
}

/// Boxes, and the row that each is of.
#[derive(Default)]
struct Covers<'a> {
    rows: Vec<usize>,
    boxes: Vec<&'a Box>,
}

impl<'a> Covers<'a> {
    fn add(&mut self, row: usize, boxes: &'a [Box]) {
        self.rows.extend(boxes.iter().map(|_| row));
        self.boxes.extend(boxes);
    }
}

impl Compiled {
    /// What the author should know of rows, cells and programs.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let live = self.table.rules.without(&self.table.shadow);
        let view = self.view();
        let finder = Finder { view, stretches: self.stretches(), live, unasked: view.unasked_by_row() };
        let mut findings = Vec::new();
        let mut used: BTreeSet<usize> = BTreeSet::new();
        for (place, row) in self.table.rows.iter().enumerate().filter(|(_, row)| row.line > 0) {
            used.extend(self.chain(place).into_iter().flatten());
            if let RowKind::Rule { follow_up, .. } = &row.kind {
                used.extend(follow_up.iter().filter_map(|due| due.by));
            }
            let finding = |fact: Option<String>, (code, text): (&'static str, String)| Finding {
                row: row.id.clone(),
                fact,
                code,
                text,
                line: Some(row.line),
            };
            match finder.row(place) {
                Ok(Some(found)) => findings.push(finding(None, found)),
                Ok(None) => findings
                    .extend(finder.cells(place, row).into_iter().map(|(fact, found)| finding(Some(fact), found))),
                Err(TooHard) => findings.push(finding(None, ("not-proved", TOO_HARD.to_owned()))),
            }
        }
        for (_, program) in self.programs.iter().enumerate().filter(|(place, _)| !used.contains(place)) {
            let text = "no rule and no exclusion sends to this program, and no follow-up is its".to_owned();
            let row = program.id.to_string();
            findings.push(Finding { row, fact: None, code: "unused-program", text, line: None });
        }
        findings
    }

    /// What no row speaks of.
    pub(super) fn gaps(&self) -> Gaps {
        let table = &self.table;
        let authored = |row: usize| table.rows.get(row).is_some_and(|row| row.line > 0);
        let named = |fact: &str, value: &str| {
            table.columns.iter().find(|column| column.name == fact).is_some_and(|column| {
                let accepting = column.code_of(value).and_then(|code| column.accept.get(usize::from(code)));
                accepting.is_some_and(|rows| rows.and(&column.asked_by).iter().any(authored))
            })
        };
        let natures = crate::facts::natures().iter().map(|nature| nature.name.clone());
        let mut gaps = Gaps { natures: natures.filter(|nature| !named("nature", nature)).collect(), ..Gaps::default() };
        // A code may have a row for each version of its vendor's table.
        let by_code: BTreeMap<String, _> = self.sources.call_types.iter().collect();
        for (code, implied) in by_code {
            let by_itself = named("call_type", code.trim_end_matches('*'));
            match &implied.nature {
                None if !by_itself => gaps.call_types_to_nothing.push(code),
                Some(nature) if !by_itself && gaps.natures.contains(nature) => gaps.call_types.push(code),
                _ => {}
            }
        }
        gaps
    }
}

impl Finder<'_> {
    fn row(&self, row: usize) -> Result<Found, TooHard> {
        let mut possible = false;
        for own in self.view.row(row) {
            possible |= self.view.space.uncovered(own, &[])?.is_some();
        }
        if !possible {
            return Ok(Some(("never-holds", "the cells accept no call at all".to_owned())));
        }
        if self.view.policy.table.rules.contains(row) { self.rule(row) } else { self.exclusion(row) }
    }

    /// A rule is hidden where on no date any program of its chain can come by it.
    fn rule(&self, row: usize) -> Result<Found, TooHard> {
        let view = &self.view;
        let asked = view.with_known(view.row(row).to_vec(), &view.ask(row), false);
        let mut hiding: BTreeSet<usize> = BTreeSet::new();
        for party in view.parties(row).iter().filter(|party| party.referred_by.is_none()) {
            for accompanied in [true, false] {
                let can = |stretch: &Stretch| {
                    let mut programs = party.programs.iter();
                    if accompanied {
                        programs.all(|program| stretch.can(*program, true))
                    } else {
                        programs.any(|program| stretch.can(*program, false))
                    }
                };
                for stretch in self.stretches.iter().filter(|stretch| stretch.effective.contains(row) && can(stretch)) {
                    let covers = self.before(row, party, accompanied, &stretch.effective);
                    for target in &view.takeable_by(asked.clone(), party, |program| stretch.area(program)) {
                        match view.space.covered_by(target, &covers.boxes)? {
                            None => return Ok(None),
                            Some(used) => hiding.extend(self.needed(target, &covers, &used)?),
                        }
                    }
                }
            }
        }
        if self.any_open(view.row(row), &self.answered_without(row))? {
            let text = "it sends nobody anything: it only makes calls wait for an answer, or says why nobody can come";
            return Ok(Some(("asks-only", text.to_owned())));
        }
        let names: Vec<&str> = hiding.iter().map(|row| view.policy.table.id(*row)).collect();
        Ok(Some(if names.is_empty() {
            ("hidden", "no program of its chain can take such a call".to_owned())
        } else {
            ("hidden", format!("it never decides, for these decide every call of it: {}", names.join(", ")))
        }))
    }

    /// Calls that have the same answer with and without a rule, on every date: exclusions, and rules that stand before it and
    /// send to all of its programs.
    fn answered_without(&self, row: usize) -> Vec<&Box> {
        let table = &self.view.policy.table;
        let sends_all = |other: &usize| {
            let alone = self.view.parties(*other).into_iter().filter(|party| party.programs.len() == 1);
            let sent: BTreeSet<usize> = alone.flat_map(|party| party.programs).collect();
            self.view.policy.chain(row).iter().flatten().all(|program| sent.contains(program))
        };
        let mut barring = table.bars_all.or(&table.bars_all_but);
        if !self.with_officer(row) {
            barring = barring.or(&self.bars_alone());
        }
        let mut covers = self.view.space.rows(self.view.policy.always_in_effect(&barring));
        let before = self.view.policy.always_in_effect(&self.live).iter().take_while(|other| *other < row);
        covers.extend(before.filter(sends_all).flat_map(|other| self.view.row(other)));
        covers
    }

    /// Exclusions that for certain bar whoever comes without an officer: what they bar waits for no answer.
    fn bars_alone(&self) -> RowSet {
        let table = &self.view.policy.table;
        table.bars_unaccompanied.without(&table.may_be_soft())
    }

    /// Whether on some date some program of a rule's chain has an officer with it.
    fn with_officer(&self, row: usize) -> bool {
        let chain = self.view.policy.chain(row);
        self.stretches.iter().any(|stretch| chain.iter().flatten().any(|program| stretch.can(*program, true)))
    }

    /// What comes before a rule for one program whatever the roster: exclusions, the rules of a higher rank (or of its own
    /// and named first) that would have found the same program, and what any rule of such a rank asks first.
    fn before(&self, row: usize, party: &Party, accompanied: bool, effective: &RowSet) -> Covers<'_> {
        let table = &self.view.policy.table;
        let together = table.bars_together(party.programs.iter().copied(), !accompanied);
        let barring = table.bars_all.or(&table.bars_all_but).or(&together);
        let same_shadow = if table.shadow.contains(row) { table.shadow } else { self.live };
        let mut covers = Covers::default();
        for other in barring.and(effective).iter() {
            covers.add(other, self.view.row(other));
        }
        let sends = |other: &usize| {
            let mut parties = self.view.parties(*other).into_iter().filter(|other| other.referred_by.is_none());
            parties.any(|other| other.programs.iter().all(|program| party.programs.contains(program)))
        };
        // Rows stand by rank, then by id: what stands first is asked first.
        for other in same_shadow.and(effective).iter().take_while(|other| *other < row).filter(sends) {
            covers.add(other, self.view.row(other));
        }
        let rank_of = |row: usize| table.rows.get(row).map(rank);
        for other in same_shadow.and(effective).iter().filter(|other| rank_of(*other) >= rank_of(row)) {
            covers.add(other, self.unasked.get(other).map_or(&[], Vec::as_slice));
        }
        covers
    }

    /// Of the covers that a proof used, rows without which it does not hold any more.
    fn needed(&self, target: &Box, covers: &Covers<'_>, used: &BTreeSet<usize>) -> Result<BTreeSet<usize>, TooHard> {
        let mut rows: BTreeSet<usize> = used.iter().filter_map(|place| covers.rows.get(*place)).copied().collect();
        for row in rows.clone() {
            let kept = covers.rows.iter().zip(&covers.boxes).filter(|(of, _)| rows.contains(of) && **of != row);
            let boxes: Vec<&Box> = kept.map(|(_, own)| *own).collect();
            if rows.len() > 1 && self.view.space.uncovered(target, &boxes)?.is_none() {
                rows.remove(&row);
            }
        }
        Ok(rows)
    }

    fn exclusion(&self, row: usize) -> Result<Found, TooHard> {
        let table = &self.view.policy.table;
        let own = self.view.row(row);
        let Some(exclusion) = table.rows.get(row) else {
            return Ok(None);
        };
        let rules =
            table.rules.iter().filter(|rule| table.rows.get(*rule).is_some_and(|rule| rule.counts_with(exclusion)));
        let to_co_response = table.bars_all_but.contains(row);
        let barred = match &exclusion.kind {
            RowKind::Exclusion(Bars::Some(barred)) => Some(*barred),
            _ => None,
        };
        // One that bars some programs concerns the rules that send to them, and exclusions that do.
        let concerns = |program: &usize| barred.is_none_or(|barred| barred.unaccompanied || barred.names(*program));
        if barred.is_some()
            && table.bars_all_but.iter().any(|row| self.view.co_response(row).is_some_and(|program| concerns(&program)))
        {
            return Ok(None);
        }
        let meets = |rule: usize| {
            if !self.view.policy.sends_to(rule).any(|program| concerns(&program)) {
                return false;
            }
            let boxes = self.view.row(rule);
            let freed = || boxes.iter().map(|rule| self.view.space.freed(0, table, rule, row)).collect::<Vec<_>>();
            let boxes = if to_co_response { freed() } else { boxes.to_vec() };
            !self.view.space.meet_all(own, &boxes).is_empty()
        };
        if !rules.into_iter().any(meets) {
            return Ok(Some((
                "reason-only",
                "no rule takes a call that it excludes; it only gives the reason".to_owned(),
            )));
        }
        if to_co_response {
            return Ok(None);
        }
        let as_much = |other: &usize| match (barred, table.rows.get(*other).map(|row| &row.kind)) {
            (Some(barred), Some(RowKind::Exclusion(Bars::Some(other)))) => other.bars_as_much_as(barred),
            _ => false,
        };
        let mut barring = table.bars_all;
        table.bars_some.iter().filter(as_much).for_each(|other| barring.insert(other));
        let covers = self.other_exclusions(row, &self.view.policy.always_in_effect(&barring));
        let mut hiding = BTreeSet::new();
        for target in own {
            match self.view.space.covered_by(target, &covers.boxes)? {
                None => return Ok(None),
                Some(used) => hiding.extend(self.needed(target, &covers, &used)?),
            }
        }
        let names: Vec<&str> = hiding.iter().map(|row| table.id(*row)).collect();
        Ok(Some(("makes-no-difference", format!("other exclusions hold wherever it does: {}", names.join(", ")))))
    }

    fn other_exclusions(&self, row: usize, among: &RowSet) -> Covers<'_> {
        let mut covers = Covers::default();
        for other in among.iter().filter(|other| *other != row) {
            covers.add(other, self.view.row(other));
        }
        covers
    }

    /// Cells whose removal changes no call's route or status.
    fn cells(&self, place: usize, row: &Row) -> Vec<(String, (&'static str, String))> {
        let facts = self.view.policy.sources.vocabulary.facts();
        let mut found = Vec::new();
        for fact in row.cells.iter().map(|cell| cell.fact) {
            let differs = match row.kind {
                RowKind::Rule { .. } => self.rule_cell_matters(place, fact),
                RowKind::Exclusion(_) => self.exclusion_cell_matters(place, fact),
            };
            let said = match differs {
                Ok(true) => continue,
                Ok(false) => {
                    ("indifferent-cell", "without this cell every call is answered as it is with it".to_owned())
                }
                Err(TooHard) => ("not-proved", TOO_HARD.to_owned()),
            };
            found.extend(facts.get(fact).map(|fact| (fact.name.to_string(), said)));
        }
        found
    }

    fn widened(&self, row: usize, fact: usize) -> Vec<Box> {
        let view = &self.view;
        let mut boxes: Vec<Box> =
            view.row(row).iter().map(|own| view.space.without_fact(&view.policy.table, own, fact)).collect();
        boxes.sort_unstable();
        boxes.dedup();
        boxes
    }

    fn any_open(&self, targets: &[Box], covers: &[&Box]) -> Result<bool, TooHard> {
        for target in targets {
            if self.view.space.uncovered(target, covers)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a rule without one of its cells would take part in a call in which it takes none.
    fn rule_cell_matters(&self, row: usize, fact: usize) -> Result<bool, TooHard> {
        let view = &self.view;
        let table = &view.policy.table;
        let wider = self.widened(row, fact);
        let chain = view.policy.chain(row);
        let own_ask = view.ask(row);
        let shadow = table.shadow.contains(row);
        let rank_of = |row: usize| table.rows.get(row).map_or(0, rank);
        // Another rule that sends alike, ranks no lower and asks for as much answers the same with or without this one.
        let alike = |other: &usize| {
            *other != row
                && table.shadow.contains(*other) == shadow
                && rank_of(*other) >= rank_of(row)
                && table.rows.get(*other).zip(table.rows.get(row)).is_some_and(|(one, other)| one.sends_like(other))
                && own_ask.iter().all(|fact| view.ask(*other).contains(fact))
        };
        let same: Vec<usize> = table.rules.iter().filter(alike).collect();
        let comes_with_officer = |stretch: &Stretch| chain.iter().flatten().any(|program| stretch.can(*program, true));
        let hard: Vec<(usize, Vec<Box>)> = table.bars_all_but.iter().map(|other| (other, view.hard(other))).collect();
        for stretch in self.stretches.iter().filter(|stretch| stretch.effective.contains(row)) {
            let mut barring = table.bars_all;
            if !comes_with_officer(stretch) {
                barring = barring.or(&self.bars_alone());
            }
            let mut covers: Vec<&Box> = view.row(row).iter().collect();
            covers.extend(view.space.rows(barring.and(&stretch.effective)));
            covers.extend(hard.iter().filter(|(other, _)| stretch.effective.contains(*other)).flat_map(|(_, own)| own));
            covers.extend(
                same.iter().filter(|other| stretch.effective.contains(**other)).flat_map(|other| view.row(*other)),
            );
            if self.any_open(&wider, &covers)? {
                return Ok(true);
            }
            for exclusion in table.bars_all_but.and(&stretch.effective).iter().filter(|_| !shadow) {
                let freed: Vec<Box> = wider.iter().map(|own| view.space.freed(0, table, own, exclusion)).collect();
                let targets = view.space.meet_all(view.row(exclusion), &freed);
                let already = view.rules_but_for(exclusion, &stretch.effective);
                let mut covers = view.space.rows(table.bars_all.and(&stretch.effective));
                covers.extend(&already);
                if self.any_open(&targets, &covers)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether an exclusion without one of its cells would bar (or send) a call that it leaves alone, or the other way.
    fn exclusion_cell_matters(&self, row: usize, fact: usize) -> Result<bool, TooHard> {
        let view = &self.view;
        let table = &view.policy.table;
        // A cell for want of which a co-response, or a program that is barred, waits: without it nobody would be asked.
        let waits = |column: &Column| column.fact == fact && column.soft.contains(row);
        if !table.bars_all.contains(row) && table.columns.iter().any(waits) {
            return Ok(true);
        }
        let wider = self.widened(row, fact);
        for stretch in self.stretches.iter().filter(|stretch| stretch.effective.contains(row)) {
            let others = self.other_exclusions(row, &table.bars_all.and(&stretch.effective)).boxes;
            let mut covers = others.clone();
            covers.extend(view.row(row));
            let rules = table.rules.and(&stretch.effective);
            if view.co_response(row).is_none() {
                for rule in rules.iter() {
                    if self.any_open(&view.space.meet_all(&wider, view.row(rule)), &covers)? {
                        return Ok(true);
                    }
                }
                for exclusion in table.bars_all_but.and(&stretch.effective).iter() {
                    let sent =
                        view.space.meet_all(view.row(exclusion), &view.rules_but_for(exclusion, &stretch.effective));
                    if self.any_open(&view.space.meet_all(&wider, &sent), &covers)? {
                        return Ok(true);
                    }
                }
                continue;
            }
            // Without the cell its fact is no longer left out of account when a rule is looked for.
            let kept: Vec<Box> = rules
                .iter()
                .flat_map(|rule| view.row(rule))
                .map(|own| {
                    let freed = view.space.freed(0, table, own, row);
                    view.space.with_fact_of(table, &freed, own, fact)
                })
                .collect();
            let mut still = others;
            still.extend(&kept);
            let before = view.rules_but_for(row, &stretch.effective);
            if self.any_open(&view.space.meet_all(&wider, &kept), &covers)?
                || self.any_open(&view.space.meet_all(view.row(row), &before), &still)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
