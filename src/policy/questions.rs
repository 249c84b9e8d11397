//! What to ask next, found by asking the table itself.

use super::column::Column;
use super::compile::{rank, unsettled};
use super::decide::Assessment;
use super::decision::Question;
use super::language::RowKind;
use super::route::{Can, Way};
use super::row_set::RowSet;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How decisive a question is: named, rows that wait for it, share of answers that change the route, its place.
type Order = (Reverse<bool>, Reverse<u32>, Reverse<usize>, usize);

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
        let mut varied = self.varied(place);
        let mut routes: Vec<Option<usize>> = Vec::with_capacity(column.same_as.len());
        for (code, class) in (0..).zip(&column.same_as).skip(1) {
            // Of values that no row tells apart the first has been asked about already.
            let known = if *class < code { routes.get(usize::from(*class).saturating_sub(1)).copied() } else { None };
            routes.push(known.unwrap_or_else(|| varied.program(code)));
        }
        let changing = routes.iter().filter(|route| **route != now).count() * 1000 / routes.len().max(1);
        let values = Arc::clone(&column.names);
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
        let barring = self.verdict.barring(table);
        for place in self.policy.chain(row).into_iter().flatten() {
            let program = self.policy.programs.get(place).zip(self.moment.duty(place));
            let Some((program, duty)) = program else { continue };
            match self.policy.can_take(&self.call, place, &duty, barring) {
                Can::Missing(fact) => {
                    facts.push(fact);
                    facts.extend(&program.required);
                }
                Can::Waits(by) => {
                    let waiting = table.columns.iter().filter(|column| column.soft.contains(by));
                    facts.extend(waiting.map(|column| column.fact));
                }
                _ => {}
            }
        }
        facts.sort_unstable();
        facts.dedup();
        facts
    }
}
