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
use super::language::{RowKind, StepForm};
use super::near::Near;
use super::route::{Can, Way};
use super::row_set::RowSet;
use super::smallest::OpenFact;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// How decisive a question is: rows that wait for it, share of answers that change the route alone, its place.
type Order = (Reverse<u32>, Reverse<usize>, usize);

/// What the answers to one question do with all else as it stands.
struct Tried {
    place: usize,
    /// Of a thousand known values, how many change the route.
    changing: usize,
    /// Where among the answers of all questions those of this one stand.
    answers: Range<usize>,
}

/// The answers that were tried, question after question.
#[derive(Default)]
struct Answers {
    /// Where the call goes with each answer.
    routes: Vec<Option<usize>>,
    /// One code of each class of answers that change nothing.
    idle: Vec<u16>,
}

impl<const W: usize> Near<'_, W> {
    /// The facts of the smallest sets of answers that change the route, the most decisive first: those that more
    /// rows wait for, then those of whose answers the greater share would change it alone, then in the vocabulary's order.
    pub(super) fn questions(&self) -> Vec<Question> {
        let assessment = self.assessment;
        let Assessment { policy, verdict, .. } = assessment;
        let mut answers = Answers::default();
        let mut tried: Vec<Tried> = Vec::with_capacity(policy.table.columns.len());
        let mut open: Vec<(OpenFact<'_>, Range<usize>)> = Vec::with_capacity(policy.table.columns.len());
        // An exclusion that holds for certain goes on holding, whatever is answered.
        let is_settled = matches!(verdict.way, Way::Excluded(row) if policy.table.bars_all.contains(row));
        for (place, column) in policy.table.columns.iter().enumerate() {
            let is_open = assessment.is_open(place, column) && !is_settled;
            if is_open || assessment.is_raised_doubt(column) {
                let before = answers.idle.len();
                let one = self.tried(place, column, &mut answers);
                if is_open {
                    let decides = one.changing > 0;
                    open.push((OpenFact { place, idle: &[], decides }, before..answers.idle.len()));
                }
                tried.push(one);
            }
        }
        let open: Vec<OpenFact<'_>> = open
            .into_iter()
            .map(|(fact, idle)| OpenFact { idle: answers.idle.get(idle).unwrap_or_default(), ..fact })
            .collect();
        let found = self.smallest(&open);
        let waiting = assessment.needed();
        let all_that_waits = !found.is_all || (found.columns == 0 && assessment.waits());
        let mut asked: Vec<(Order, &Tried)> = Vec::with_capacity(tried.len());
        for one in &tried {
            let rows = waiting.get(&one.place).copied().unwrap_or(0);
            let is_doubt = policy.table.columns.get(one.place).is_some_and(|column| column.name == "doubt");
            let is_asked = found.columns & (1 << one.place) != 0 || (all_that_waits && rows > 0);
            if is_asked || is_doubt {
                asked.push(((Reverse(rows), Reverse(one.changing), one.place), one));
            }
        }
        asked.sort_unstable_by_key(|(order, _)| *order);
        asked.into_iter().filter_map(|(_, tried)| self.question(tried, &answers)).collect()
    }

    /// What a call that could not be assessed needs first: the facts of its gaps, and what it is about.
    pub(super) fn first_questions(&self, named: &[&str]) -> Vec<Question> {
        let assessment = self.assessment;
        let nature = |column: &Column| column.name == "nature" && named.is_empty();
        let columns = assessment.policy.table.columns.iter().enumerate();
        columns
            .filter(|(_, column)| {
                named.contains(&column.name.as_str()) || nature(column) || assessment.is_raised_doubt(column)
            })
            .filter_map(|(place, column)| {
                let mut answers = Answers::default();
                self.question(&self.tried(place, column, &mut answers), &answers)
            })
            .collect()
    }

    /// What each known value of a fact would do.
    fn tried(&self, place: usize, column: &Column, answers: &mut Answers) -> Tried {
        let now = self.assessment.verdict.program();
        let varied = self.varied(place);
        let start = answers.routes.len();
        let mut changing = 0;
        for (code, class) in (0..).zip(&column.same_as).skip(1) {
            // Of values that no row tells apart the first has been asked about already.
            let first = (usize::from(*class) + start).checked_sub(1).filter(|_| *class < code);
            let known = first.and_then(|first| answers.routes.get(first).copied());
            let route = known.unwrap_or_else(|| varied.program(code));
            if route == now && *class == code {
                answers.idle.push(code);
            }
            changing += usize::from(route != now);
            answers.routes.push(route);
        }
        let values = answers.routes.len() - start;
        Tried { place, changing: (changing * 1000).div_ceil(values.max(1)), answers: start..answers.routes.len() }
    }

    fn question(&self, tried: &Tried, answers: &Answers) -> Option<Question> {
        let policy = self.assessment.policy;
        let column = policy.table.columns.get(tried.place)?;
        let values = Arc::clone(&column.names);
        let routes = answers.routes.get(tried.answers.clone()).filter(|_| !values.is_empty()).unwrap_or_default();
        let opens = routes.iter().map(Option::is_some).collect();
        let ask = policy.questions.get(&column.name).cloned().unwrap_or_default();
        Some(Question { fact: column.name.clone(), ask, values, opens })
    }
}

impl Assessment<'_> {
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
                // Whoever stands after one that can take the call alone is not asked.
                Can::Take if self.may_go_alone(row, place) => break,
                Can::Take
                | Can::Barred(_)
                | Can::OutOfArea
                | Can::OutOfHours
                | Can::NoUnit
                | Can::NoDecider
                | Can::Absent(_) => {}
            }
        }
        facts.sort_unstable();
        facts.dedup();
        facts
    }

    /// Whether a row sends the call to a program by itself: neither as one half of a tandem nor by a referral.
    fn may_go_alone(&self, row: usize, program: usize) -> bool {
        match self.policy.table.rows.get(row).map(|row| &row.kind) {
            Some(RowKind::Rule { send, .. }) => {
                send.iter().any(|step| step.form == StepForm::AnyOf && step.programs.contains(&program))
            }
            Some(RowKind::Exclusion(_)) | None => true,
        }
    }
}
