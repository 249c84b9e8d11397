//! What to ask next, found by asking the table itself.
//!
//! A fact is asked if and only if it is in a smallest set of answers that changes the route: the program that the call goes
//! to first, or the ordinary route. A set is smallest where no part of it changes the route. So nothing is asked in vain,
//! what matters alone is asked, and where nothing is asked no answers change the route (`smallest.rs`).
//!
//! Beside these, only what a call needs to be assessed at all is asked, and doubt that the product raised. A call that waits
//! for answers although none can bring a program now (all are closed) is asked what its rows wait for, so that its status
//! can be told; so is one for which the search is too long.

use super::column::Column;
use super::compile::{rank, unsettled};
use super::decide::Assessment;
use super::decision::Question;
use super::language::RowKind;
use super::route::{Can, Way};
use super::row_set::RowSet;
use super::smallest::OpenFact;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How decisive a question is: rows that wait for it, share of answers that change the route alone, its place.
type Order = (Reverse<u32>, Reverse<usize>, usize);

/// A question, and what its answers do with all else as it stands.
struct Tried {
    question: Question,
    /// Of a thousand known values, how many change the route.
    changing: usize,
    /// One code of each class that changes nothing.
    idle: Vec<u16>,
}

impl Assessment<'_> {
    /// The facts of the smallest sets of answers that change the route, the most decisive first: those that more
    /// rows wait for, then those of whose answers the greater share would change it alone, then in the vocabulary's order.
    pub(super) fn questions(&self) -> Vec<Question> {
        let mut tried: BTreeMap<usize, Tried> = BTreeMap::new();
        let mut open: Vec<OpenFact> = Vec::new();
        // An exclusion that holds for certain goes on holding, whatever is answered.
        let is_settled = matches!(self.verdict.way, Way::Excluded(row) if self.policy.table.bars_all.contains(row));
        for (place, column) in self.policy.table.columns.iter().enumerate() {
            if self.is_open(place, column) && !is_settled {
                let mut one = self.tried(place, column);
                open.push(OpenFact { place, idle: std::mem::take(&mut one.idle), decides: one.changing > 0 });
                tried.insert(place, one);
            } else if self.is_raised_doubt(column) {
                tried.insert(place, self.tried(place, column));
            }
        }
        let found = self.policy.smallest(&self.call, &self.moment, &self.verdict, &open);
        let waiting = self.needed();
        let all_that_waits = !found.is_all || (found.columns == 0 && self.waits());
        let mut asked: Vec<(Order, Question)> = Vec::new();
        for (place, Tried { question, changing, .. }) in tried {
            let rows = waiting.get(&place).copied().unwrap_or(0);
            let is_asked = found.columns & (1 << place) != 0 || (all_that_waits && rows > 0);
            if is_asked || question.fact == "doubt" {
                asked.push(((Reverse(rows), Reverse(changing), place), question));
            }
        }
        asked.sort_by_key(|(order, _)| *order);
        asked.into_iter().map(|(_, question)| question).collect()
    }

    /// What a call that could not be assessed needs first: the facts of its gaps, and what it is about.
    pub(super) fn first_questions(&self, named: &[&str]) -> Vec<Question> {
        let nature = |column: &Column| column.name == "nature" && named.is_empty();
        let columns = self.policy.table.columns.iter().enumerate();
        columns
            .filter(|(_, column)| {
                named.contains(&column.name.as_str()) || nature(column) || self.is_raised_doubt(column)
            })
            .map(|(place, column)| self.tried(place, column).question)
            .collect()
    }

    fn is_open(&self, place: usize, column: &Column) -> bool {
        column.askable && column.name != "doubt" && self.call.codes.get(place) == Some(&0)
    }

    /// The call-taker's own key is never asked for; doubt that the product raised is.
    fn is_raised_doubt(&self, column: &Column) -> bool {
        column.name == "doubt" && self.facts.value("doubt") == Some("yes") && unsettled(self.facts, "doubt")
    }

    /// Whether the status speaks of answers that are awaited.
    fn waits(&self) -> bool {
        matches!(self.verdict.way, Way::Ask(_)) || !self.reachable.is_empty()
    }

    /// The question for a fact, and what each of its known values would do.
    fn tried(&self, place: usize, column: &Column) -> Tried {
        let now = self.verdict.program();
        let mut varied = self.varied(place);
        let mut routes: Vec<Option<usize>> = Vec::with_capacity(column.same_as.len());
        let mut idle = Vec::new();
        for (code, class) in (0..).zip(&column.same_as).skip(1) {
            // Of values that no row tells apart the first has been asked about already.
            let known = if *class < code { routes.get(usize::from(*class).saturating_sub(1)).copied() } else { None };
            let route = known.unwrap_or_else(|| varied.program(code));
            if route == now && *class == code {
                idle.push(code);
            }
            routes.push(route);
        }
        let changing = routes.iter().filter(|route| **route != now).count() * 1000;
        let changing = changing.div_ceil(routes.len().max(1));
        let values = Arc::clone(&column.names);
        let opens = if values.is_empty() { Vec::new() } else { routes.iter().map(Option::is_some).collect() };
        let ask = self.policy.questions.get(&column.name).cloned().unwrap_or_default();
        Tried { question: Question { fact: column.name.clone(), ask, values, opens }, changing, idle }
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
        for place in self.policy.sends_to(row) {
            let Some((program, duty)) = self.policy.programs.get(place).zip(self.moment.duty(place)) else {
                continue;
            };
            match self.policy.can_take(&self.call, place, &duty, barring) {
                Can::Missing(fact) => {
                    facts.push(fact);
                    facts.extend(&program.required);
                }
                Can::Waits(by) => {
                    let waiting = table.columns.iter().filter(|column| column.soft.contains(by));
                    facts.extend(waiting.map(|column| column.fact));
                }
                // Whoever stands after one that can take the call is not asked.
                Can::Take => break,
                Can::Barred(_) | Can::OutOfArea | Can::OutOfHours | Can::NoUnit | Can::NoDecider | Can::Absent(_) => {}
            }
        }
        facts.sort_unstable();
        facts.dedup();
        facts
    }
}
