//! What to ask next, and the smallest change that would change the route: both found by asking the table itself.

use super::column::Column;
use super::compile::{Coded, rank, unsettled};
use super::decide::Assessment;
use super::decision::{Flip, FlipChange, Question, Route};
use super::language::RowKind;
use super::route::{Can, Way};
use super::row_set::RowSet;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Facts in a flip, at most.
const FLIP_FACTS_MAX: usize = 3;
/// Tables asked while searching a flip, at most.
const FLIP_TRIES_MAX: u32 = 1_500;

/// How decisive a question is: named, rows that wait for it, share of answers that change the route, its place.
type Order = (Reverse<bool>, Reverse<u32>, Reverse<usize>, usize);
/// A change of the call: column and code.
type Change = (usize, u16);

impl Assessment<'_> {
    /// Unknown facts whose answer would change the route, the most decisive first: those that rows wait for (the more
    /// rows the earlier), then those of whose answers the greater share would change it. `named` are asked for first.
    pub(super) fn questions(&self, named: &[&str]) -> Vec<Question> {
        let waiting = self.needed();
        let mut asked: Vec<(Order, Question)> = Vec::new();
        for (place, column) in self.policy.table.columns.iter().enumerate() {
            let is_named = named.contains(&column.name.as_str());
            if !self.open_to_questions(place, column, is_named) {
                continue;
            }
            let (question, changing) = self.question(place, column);
            let rows = waiting.get(&place).copied().unwrap_or(0);
            if is_named || rows > 0 || changing > 0 || column.name == "doubt" {
                asked.push(((Reverse(is_named), Reverse(rows), Reverse(changing), place), question));
            }
        }
        asked.sort_by_key(|(order, _)| *order);
        asked.into_iter().map(|(_, question)| question).collect()
    }

    fn open_to_questions(&self, place: usize, column: &Column, is_named: bool) -> bool {
        if column.name == "doubt" {
            // The call-taker's own key is never asked for; doubt that the product raised is.
            return self.facts.value("doubt") == Some("yes") && unsettled(self.facts, "doubt");
        }
        is_named || (column.askable && self.call.codes.get(place) == Some(&0))
    }

    /// The question for a fact, and the share (per thousand) of its known values that would change the route.
    fn question(&self, place: usize, column: &Column) -> (Question, usize) {
        let now = self.verdict.program();
        let mut by_class: BTreeMap<u16, Option<usize>> = BTreeMap::new();
        let mut routes: Vec<Option<usize>> = Vec::with_capacity(column.same_as.len());
        for (code, class) in column.same_as.iter().enumerate().skip(1) {
            let route = *by_class.entry(*class).or_insert_with(|| {
                let code = u16::try_from(code).unwrap_or(0);
                let call = self.policy.table.changed(&self.call, place, code);
                self.policy.verdict(&call, &self.moment).program()
            });
            routes.push(route);
        }
        let changing = routes.iter().filter(|route| **route != now).count() * 1000 / routes.len().max(1);
        let values = column.names.clone();
        let opens = if values.is_empty() { Vec::new() } else { routes.iter().map(Option::is_some).collect() };
        let ask = self.policy.questions.get(&column.name).cloned().unwrap_or_default();
        (Question { fact: column.name.clone(), ask, values, opens }, changing)
    }

    /// Unknown facts that rows wait for, and how many rows.
    pub(super) fn needed(&self) -> BTreeMap<usize, u32> {
        let mut needed = BTreeMap::new();
        let table = &self.policy.table;
        let mut wait = |place: usize| *needed.entry(place).or_insert(0) += 1;
        let unknown = || {
            let columns = table.columns.iter().zip(&self.call.codes).enumerate();
            columns
                .filter(|(_, (column, code))| **code == 0 && column.askable)
                .map(|(place, (column, _))| (place, column))
        };
        if self.verdict.way == Way::Unsure && !self.reachable.is_empty() {
            for row in self.verdict.exclusions.and(&self.verdict.soft).iter() {
                unknown().filter(|(_, column)| column.soft.contains(row)).for_each(|(place, _)| wait(place));
            }
        }
        // Where a reachable rule holds already, no answer is needed for the others.
        let held = self.reachable.and(&self.verdict.rules);
        let waiting = if held.is_empty() { self.reachable } else { RowSet::EMPTY };
        for row in waiting.iter() {
            let rejects = |column: &Column| !column.accept.first().is_some_and(|rows| rows.contains(row));
            unknown().filter(|(_, column)| rejects(column)).for_each(|(place, _)| wait(place));
            for fact in self.asked_facts(row) {
                unknown().filter(|(_, column)| column.fact == fact).for_each(|(place, _)| wait(place));
            }
        }
        if let Way::Ask(row) = self.verdict.way {
            for fact in self.asked_facts(row) {
                unknown().filter(|(_, column)| column.fact == fact).for_each(|(place, _)| wait(place));
            }
        }
        needed
    }

    /// Facts that the deciding rank asks for, and that the programs of its chain miss.
    fn asked_facts(&self, row: usize) -> Vec<usize> {
        let table = &self.policy.table;
        let mut facts = Vec::new();
        let decider = table.rows.get(row).map_or(0, rank);
        let held = self.verdict.rules.iter().chain([row]).filter_map(|row| table.rows.get(row));
        for rule in held.filter(|rule| rank(rule) == decider) {
            if let RowKind::Rule { ask, .. } = &rule.kind {
                facts.extend(ask);
            }
        }
        let free = self.verdict.exclusions.and(&table.bars_unaccompanied).is_empty();
        for place in self.policy.chain(row).into_iter().flatten() {
            let program = self.policy.programs.get(place).zip(self.moment.duty(place));
            if let Some((program, duty)) = program
                && let Can::Missing(fact) = self.policy.can_take(&self.call, program, &duty, free)
            {
                facts.push(fact);
                facts.extend(&program.required);
            }
        }
        facts.sort_unstable();
        facts.dedup();
        facts
    }

    /// The smallest change of facts that would change the route; the nature and the call type are changed only where
    /// nothing else would do, and the call-taker's doubt only where the product raised it.
    pub(super) fn nearest_flip(&self) -> Option<Flip> {
        let changes = match self.verdict.program() {
            Some(_) => self.flip_away(),
            None => self.flip_to_open(),
        }?;
        let mut call = self.call;
        for (place, code) in &changes {
            call = self.policy.table.changed(&call, *place, *code);
        }
        let route = self.policy.verdict(&call, &self.moment).program();
        let program = route.and_then(|place| self.policy.programs.get(place));
        let change = |(place, code): &Change| {
            let column = self.policy.table.columns.get(*place)?;
            let now = self.facts.value(&column.name);
            let near = now.and_then(|now| now.parse().ok());
            Some(FlipChange {
                fact: column.name.clone(),
                from: now.unwrap_or(crate::facts::UNKNOWN).to_owned(),
                to: column.example(*code, near),
            })
        };
        Some(Flip {
            changes: changes.iter().filter_map(change).collect(),
            route: program.map_or(Route::Ordinary, |program| Route::Program(program.id.clone())),
        })
    }

    fn may_flip(&self, column: &Column, essence: bool) -> bool {
        match column.name.as_str() {
            "doubt" => self.facts.value("doubt") == Some("yes"),
            "nature" | "call_type" | "priority" => essence,
            _ => true,
        }
    }

    /// One changed fact that takes the call off its program.
    fn flip_away(&self) -> Option<Vec<Change>> {
        let now = self.verdict.program();
        for essence in [false, true] {
            for (place, column) in self.policy.table.columns.iter().enumerate() {
                if !self.may_flip(column, essence) {
                    continue;
                }
                for code in classes(column) {
                    let call = self.policy.table.changed(&self.call, place, code);
                    if self.policy.verdict(&call, &self.moment).program() != now {
                        return Some(vec![(place, code)]);
                    }
                }
            }
        }
        None
    }

    /// The fewest changed facts that open a program: one obstacle after the other, deepening step by step.
    fn flip_to_open(&self) -> Option<Vec<Change>> {
        let table = &self.policy.table;
        let rules = table.rules.without(&table.shadow).and(self.moment.effective);
        let mut tries = 0;
        for essence in [false, true] {
            for depth in 1..=FLIP_FACTS_MAX {
                for rule in rules.iter() {
                    let mut search = Search { assessment: self, rule, essence, changes: Vec::new(), tries: &mut tries };
                    if search.open(&self.call, depth) {
                        return Some(search.changes);
                    }
                }
            }
        }
        None
    }
}

/// The search for a way to one rule.
struct Search<'a> {
    assessment: &'a Assessment<'a>,
    rule: usize,
    essence: bool,
    changes: Vec<Change>,
    tries: &'a mut u32,
}

impl Search<'_> {
    fn open(&mut self, call: &Coded, left: usize) -> bool {
        let policy = self.assessment.policy;
        let table = &policy.table;
        let rejects = |place: usize, column: &Column| {
            let code = call.codes.get(place).copied().unwrap_or(0);
            !table.accepts(place, column, code, call).contains(self.rule)
        };
        let mut rejecting = table.columns.iter().enumerate().filter(|(place, column)| rejects(*place, column));
        let first = rejecting.next();
        if rejecting.count() + usize::from(first.is_some()) > left {
            return false;
        }
        if let Some((place, column)) = first {
            let wanted = |code: u16| column.accept.get(usize::from(code)).is_some_and(|rows| rows.contains(self.rule));
            let codes: Vec<u16> = classes(column).filter(|code| wanted(*code)).collect();
            return self.try_each(call, place, column, &codes, left);
        }
        *self.tries += 1;
        if *self.tries > FLIP_TRIES_MAX {
            return false;
        }
        let verdict = policy.verdict(call, &self.assessment.moment);
        if verdict.program().is_some() {
            return true;
        }
        if left == 0 {
            return false;
        }
        if let Some(barring) = verdict.exclusions.iter().next() {
            return self.past(call, barring, left);
        }
        let asked = match verdict.way {
            Way::Ask(_) => table
                .columns
                .iter()
                .enumerate()
                .find(|(place, column)| call.codes.get(*place) == Some(&0) && self.is_asked(column.fact)),
            Way::Nobody { why: Can::OutOfArea, .. } => {
                table.zone_column.and_then(|place| Some((place, table.columns.get(place)?)))
            }
            Way::Nobody { why: Can::Absent(fact), .. } => {
                table.columns.iter().enumerate().find(|(_, column)| column.fact == fact)
            }
            _ => None,
        };
        let Some((place, column)) = asked else {
            return false;
        };
        let codes: Vec<u16> = classes(column).collect();
        self.try_each(call, place, column, &codes, left)
    }

    fn is_asked(&self, fact: usize) -> bool {
        let policy = self.assessment.policy;
        let asks = policy.table.rows.get(self.rule).is_some_and(|row| match &row.kind {
            RowKind::Rule { ask, .. } => ask.contains(&fact),
            RowKind::Exclusion(_) => false,
        });
        let chain = policy.chain(self.rule);
        let mut programs = chain.iter().flatten().filter_map(|place| policy.programs.get(*place));
        let zone = policy.table.zone_column.and_then(|place| policy.table.columns.get(place));
        asks || programs.any(|program| {
            program.required.contains(&fact) || (program.area.is_some() && zone.is_some_and(|zone| zone.fact == fact))
        })
    }

    /// Changes one of the facts that an exclusion names so that it no longer holds and the rule still does.
    fn past(&mut self, call: &Coded, barring: usize, left: usize) -> bool {
        let policy = self.assessment.policy;
        for (place, column) in policy.table.columns.iter().enumerate() {
            if !column.asked_by.contains(barring) || self.changes.iter().any(|(changed, _)| *changed == place) {
                continue;
            }
            let frees = |code: u16| {
                column
                    .accept
                    .get(usize::from(code))
                    .is_some_and(|rows| !rows.contains(barring) && rows.contains(self.rule))
            };
            let codes: Vec<u16> = classes(column).filter(|code| frees(*code)).collect();
            if self.try_each(call, place, column, &codes, left) {
                return true;
            }
        }
        false
    }

    fn try_each(&mut self, call: &Coded, place: usize, column: &Column, codes: &[u16], left: usize) -> bool {
        if left == 0 || !self.assessment.may_flip(column, self.essence) {
            return false;
        }
        for code in codes {
            let changed = self.assessment.policy.table.changed(call, place, *code);
            self.changes.push((place, *code));
            if self.open(&changed, left - 1) {
                return true;
            }
            self.changes.pop();
        }
        false
    }
}

/// One code of each class of known values.
fn classes(column: &Column) -> impl Iterator<Item = u16> + '_ {
    let codes = column.same_as.iter().enumerate().skip(1);
    codes.filter(|(code, class)| usize::from(**class) == *code).map(|(_, class)| *class)
}
