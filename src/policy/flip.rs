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
            "nature" | "call_type" | "first_call_type" | "priority" => essence,
            _ => true,
        }
    }

    /// One changed fact that takes the call off its program; two where no one does.
    fn flip_away(&self) -> Option<Vec<Change>> {
        [false, true]
            .into_iter()
            .find_map(|essence| self.flip_away_by_one(essence).or_else(|| self.flip_away_by_two(essence)))
    }

    fn flip_away_by_one(&self, essence: bool) -> Option<Vec<Change>> {
        let now = self.verdict.program();
        let columns = self.policy.table.columns.iter().enumerate();
        columns.filter(|(_, column)| self.may_flip(column, essence)).find_map(|(place, column)| {
            let mut varied = self.policy.varied(&self.call, &self.moment, place);
            let code = classes(column).find(|code| varied.verdict(*code).program() != now)?;
            Some(vec![(place, code)])
        })
    }

    fn flip_away_by_two(&self, essence: bool) -> Option<Vec<Change>> {
        let now = self.verdict.program();
        let columns = self.changeable(essence);
        for (turn, first) in columns.iter().enumerate() {
            for second in columns.iter().skip(turn + 1) {
                for code in classes(first.column) {
                    let call = self.policy.table.changed(&self.call, first.place, code);
                    let mut varied = self.policy.varied(&call, &self.moment, second.place);
                    let found = classes(second.column).find(|code| varied.verdict(*code).program() != now);
                    if let Some(other) = found {
                        return Some(vec![(first.place, code), (second.place, other)]);
                    }
                }
            }
        }
        None
    }

    /// The fewest changed facts that open a program: one obstacle after the other, deepening step by step, and before
    /// three facts are tried every one and every two that could matter.
    fn flip_to_open(&self) -> Option<Vec<Change>> {
        let mut tries = 0;
        for essence in [false, true] {
            if self.is_barred_for_good(essence) {
                continue;
            }
            let exactly = self.near(essence);
            let mut at_most = exactly.first().copied().unwrap_or(RowSet::EMPTY);
            for (depth, rules) in exactly.iter().enumerate().skip(1) {
                at_most = at_most.or(rules);
                for rule in at_most.iter() {
                    let mut search = Search { assessment: self, rule, essence, changes: Vec::new(), tries: &mut tries };
                    if search.open(&self.call, depth) {
                        return Some(search.changes);
                    }
                }
                let swept = match depth {
                    1 => self.sweep_one(essence, &exactly),
                    2 => self.sweep_two(essence, &exactly),
                    _ => None,
                };
                if swept.is_some() {
                    return swept;
                }
            }
        }
        None
    }

    /// True where an exclusion that bars every program holds and names no fact that may be changed.
    fn is_barred_for_good(&self, essence: bool) -> bool {
        let mut barring = self.verdict.exclusions.and(&self.policy.table.bars_all);
        for column in self.policy.table.columns.iter().filter(|column| self.may_flip(column, essence)) {
            barring = barring.without(&column.asked_by);
        }
        !barring.is_empty()
    }

    /// Columns that may be changed, each with the rules that it rejects.
    fn changeable(&self, essence: bool) -> Vec<Changeable<'_>> {
        let table = &self.policy.table;
        let live = table.rules.without(&table.shadow).and(self.moment.effective);
        let columns = table.columns.iter().zip(&self.call.codes).enumerate();
        columns
            .filter(|(_, (column, _))| self.may_flip(column, essence))
            .map(|(place, (column, code))| {
                let rejected = live.without(table.accepts(place, column, *code, &self.call));
                Changeable { place, column, rejected }
            })
            .collect()
    }

    /// Whether changing these columns could matter: they name every exclusion that bars all, and a rule could then hold.
    fn could_open(&self, columns: &[&Changeable<'_>], exactly: &[RowSet]) -> bool {
        let table = &self.policy.table;
        let mut barring = self.verdict.exclusions.and(&table.bars_all);
        let mut rules = exactly.first().copied().unwrap_or(RowSet::EMPTY);
        let mut all = exactly.get(columns.len()).copied().unwrap_or(RowSet::EMPTY);
        for column in columns {
            barring = barring.without(&column.column.asked_by);
            all = all.and(&column.rejected);
            rules = rules.or(&exactly.get(1).map_or(RowSet::EMPTY, |one| one.and(&column.rejected)));
        }
        // An exclusion that sends to a co-response needs no rule that holds whole.
        barring.is_empty() && !(rules.or(&all).is_empty() && table.bars_all_but.is_empty())
    }

    /// Columns of which a change could matter: what a rule that is near rejects, asks for or needs, what an exclusion names
    /// (one that does not hold may hold after the first change), and what keeps a rule that asks from standing before others.
    fn useful(&self, essence: bool, exactly: &[RowSet]) -> Vec<Changeable<'_>> {
        let policy = self.policy;
        let near = exactly.iter().take(3).fold(RowSet::EMPTY, |near, rules| near.or(rules));
        let table = &policy.table;
        let mut naming = table.bars_all.or(&table.bars_all_but).or(&table.bars_some).and(self.moment.effective);
        let mut needed: Vec<usize> = Vec::new();
        for row in near.iter() {
            if let Some(RowKind::Rule { ask, .. }) = policy.table.rows.get(row).map(|row| &row.kind) {
                needed.extend(ask);
                if !ask.is_empty() {
                    naming.insert(row);
                }
            }
            let programs = policy.sends_to(row).filter_map(|place| policy.programs.get(place));
            needed.extend(programs.flat_map(|program| &program.required));
        }
        let matters = |column: &Changeable<'_>| {
            !column.rejected.and(&near).is_empty()
                || !column.column.asked_by.and(&naming).is_empty()
                || policy.table.zone_column == Some(column.place)
                || needed.contains(&column.column.fact)
        };
        self.changeable(essence).into_iter().filter(matters).collect()
    }

    fn sweep_one(&self, essence: bool, exactly: &[RowSet]) -> Option<Vec<Change>> {
        let columns = self.useful(essence, exactly);
        columns.iter().filter(|column| self.could_open(&[column], exactly)).find_map(|column| {
            let mut varied = self.policy.varied(&self.call, &self.moment, column.place);
            let code = classes(column.column).find(|code| varied.verdict(*code).program().is_some())?;
            Some(vec![(column.place, code)])
        })
    }

    fn sweep_two(&self, essence: bool, exactly: &[RowSet]) -> Option<Vec<Change>> {
        let columns = self.useful(essence, exactly);
        for (turn, first) in columns.iter().enumerate() {
            for second in columns.iter().skip(turn + 1).filter(|second| self.could_open(&[first, second], exactly)) {
                for code in classes(first.column) {
                    let call = self.policy.table.changed(&self.call, first.place, code);
                    let mut varied = self.policy.varied(&call, &self.moment, second.place);
                    let found = classes(second.column).find(|code| varied.verdict(*code).program().is_some());
                    if let Some(other) = found {
                        return Some(vec![(first.place, code), (second.place, other)]);
                    }
                }
            }
        }
        None
    }

    /// Live rules that exactly so many columns reject, by how many; only columns that may be changed.
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
        exactly
    }
}

/// A column that may be changed.
struct Changeable<'a> {
    place: usize,
    column: &'a Column,
    /// Live rules that it rejects.
    rejected: RowSet,
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
        if let Some((place, column)) = asked {
            let codes: Vec<u16> = classes(column).collect();
            if self.try_each(call, place, column, &codes, left) {
                return true;
            }
        }
        // An exclusion need not be what stands in the way where the table asks, or nobody is there.
        verdict.exclusions.iter().next().is_some_and(|barring| self.past(call, barring, left))
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
