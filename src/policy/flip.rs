//! The smallest change of facts that would change the route, found by asking the table itself.

use super::column::Column;
use super::compile::Coded;
use super::decide::Assessment;
use super::decision::{Flip, FlipChange, Route};
use super::language::RowKind;
use super::route::{Can, Way};
use super::row_set::RowSet;

/// Facts in a flip, at most.
const FLIP_FACTS_MAX: usize = 3;
/// Tables asked while searching a flip, at most.
const FLIP_TRIES_MAX: u32 = 1_500;

/// A change of the call: column and code.
type Change = (usize, u16);

impl Assessment<'_> {
    /// The smallest change of facts that would change the route; the nature and the call type are changed only where
    /// nothing else would do, and the call-taker's doubt only where the product raised it.
    pub(super) fn nearest_flip(&self) -> Option<Flip> {
        let changes = match self.verdict.program() {
            Some(_) => self.flip_away(),
            None => self.flip_to_open(),
        }?;
        let mut call = self.call;
        for (place, code) in &changes {
            self.policy.table.change(&mut call, *place, *code);
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
                let mut varied = self.policy.varied(&self.call, &self.moment, place);
                let found = classes(column).find(|code| varied.verdict(*code).program() != now);
                if let Some(code) = found {
                    return Some(vec![(place, code)]);
                }
            }
        }
        None
    }

    /// The fewest changed facts that open a program: one obstacle after the other, deepening step by step.
    fn flip_to_open(&self) -> Option<Vec<Change>> {
        let mut tries = 0;
        for essence in [false, true] {
            let near = self.near(essence);
            for (depth, rules) in near.iter().enumerate().skip(1) {
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

    /// Live rules of which at most so many columns reject the call, by how many; only columns that may be changed.
    fn near(&self, essence: bool) -> [RowSet; FLIP_FACTS_MAX + 1] {
        let table = &self.policy.table;
        let mut exactly = [RowSet::EMPTY; FLIP_FACTS_MAX + 1];
        exactly[0] = table.rules.without(&table.shadow).and(self.moment.effective);
        for (place, (column, code)) in table.columns.iter().zip(&self.call.codes).enumerate() {
            let accept = table.accepts(place, column, *code, &self.call);
            let may = self.may_flip(column, essence);
            let mut fewer = RowSet::EMPTY;
            for rules in &mut exactly {
                let rejected = if may { rules.without(accept) } else { RowSet::EMPTY };
                *rules = rules.and(accept).or(&fewer);
                fewer = rejected;
            }
        }
        let mut at_most = RowSet::EMPTY;
        exactly.map(|rules| {
            at_most = at_most.or(&rules);
            at_most
        })
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
