//! The smallest change of facts that would change the route, found by asking the table itself.

use super::column::Column;
use super::compile::Coded;
use super::decide::Assessment;
use super::decision::{Flip, FlipChange, Route};
use super::language::RowKind;
use super::near::CHANGES_MAX;
use super::route::{Can, Way};
use super::row_set::RowSet;

/// Facts in a flip that takes a call off its program, at most.
const AWAY_FACTS_MAX: usize = 2;
/// Tables asked while one obstacle after the other is searched, at most.
const FLIP_TRIES_MAX: u32 = 1_500;

/// A change of the call: column and code.
type Change = (usize, u16);

impl Assessment<'_> {
    /// The smallest change of facts that would change the route; the nature and the call type are changed only where
    /// nothing else would do, and the call-taker's doubt only where the product raised it.
    pub(super) fn nearest_flip(&self) -> Option<Flip> {
        let changes = match self.verdict.program() {
            Some(now) => self.flip_away(now),
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

    /// The fewest changed facts, one or two, that take the call off its program.
    fn flip_away(&self, now: usize) -> Option<Vec<Change>> {
        [false, true].into_iter().find_map(|essence| {
            let columns = self.changeable(essence);
            (1..=AWAY_FACTS_MAX).find_map(|size| Sweep::of(self, &columns, Some(now)).find(size))
        })
    }

    /// The fewest changed facts that open a program. Every set of one, two and three facts that could is tried; of equally
    /// small ways that way is told which leads to the first rule, one obstacle after the other.
    fn flip_to_open(&self) -> Option<Vec<Change>> {
        if self.near.is_far() {
            return None;
        }
        let mut tries = 0;
        for essence in [false, true] {
            if self.is_barred_for_good(essence) {
                continue;
            }
            let columns = self.changeable(essence);
            for size in 1..=CHANGES_MAX {
                let Some(swept) = Sweep::of(self, &columns, None).find(size) else { continue };
                for rule in self.rules_within(size, essence).iter() {
                    let mut search = Search { assessment: self, rule, essence, changes: Vec::new(), tries: &mut tries };
                    if search.open(&self.call, size) {
                        return Some(search.changes);
                    }
                }
                return Some(swept);
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

    /// Columns that may be changed.
    fn changeable(&self, essence: bool) -> Vec<(usize, &Column)> {
        self.policy.table.columns.iter().enumerate().filter(|(_, column)| self.may_flip(column, essence)).collect()
    }

    /// Live rules that at most so many columns reject, only columns that may be changed.
    fn rules_within(&self, size: usize, essence: bool) -> RowSet {
        let table = &self.policy.table;
        let within = (0..=size).fold(RowSet::EMPTY, |within, count| within.or(&self.near.exactly(count)));
        let columns = table.columns.iter().enumerate();
        let for_good = columns.filter(|(_, column)| !self.may_flip(column, essence));
        for_good.fold(within.and(&table.rules), |rules, (place, _)| rules.without(self.near.rejecting(place)))
    }
}

/// Every way of changing so many facts, in the order of the facts and of their values, the hopeless ones left out by
/// what the rows say of them.
struct Sweep<'a> {
    assessment: &'a Assessment<'a>,
    columns: &'a [(usize, &'a Column)],
    /// The program that the call is to be taken off; `None` where any program is to be opened.
    from: Option<usize>,
    changes: Vec<Change>,
    chosen: Vec<usize>,
}

impl<'a> Sweep<'a> {
    fn of(assessment: &'a Assessment<'a>, columns: &'a [(usize, &'a Column)], from: Option<usize>) -> Self {
        Self { assessment, columns, from, changes: Vec::new(), chosen: Vec::with_capacity(CHANGES_MAX) }
    }

    fn find(mut self, size: usize) -> Option<Vec<Change>> {
        let barring = self.assessment.verdict.exclusions.and(&self.assessment.policy.table.bars_all);
        self.choose(0, size, &barring).then_some(self.changes)
    }

    /// Chooses the columns to be changed. `barring`: exclusions that hold, bar all, and name no column chosen so far.
    fn choose(&mut self, from: usize, left: usize, barring: &RowSet) -> bool {
        let near = &self.assessment.near;
        for (turn, (place, column)) in self.columns.iter().enumerate().skip(from) {
            let barring = barring.without(&column.asked_by);
            if left == 1 && self.from.is_none() && !barring.is_empty() {
                continue;
            }
            self.chosen.push(*place);
            let found = if left > 1 {
                let hopeless = left == 2 && self.from.is_none() && near.senders_but_one(&self.chosen).is_empty();
                !hopeless && self.choose(turn + 1, left - 1, &barring)
            } else {
                let senders = near.senders(&self.chosen);
                let hopeless = self.from.is_none() && senders.is_empty();
                !hopeless && self.values(0, &near.others(&self.chosen), &senders)
            };
            if found {
                return true;
            }
            self.chosen.pop();
        }
        false
    }

    /// Tries the values of the chosen columns. `held` and `senders`: rows that the columns so far leave.
    fn values(&mut self, turn: usize, held: &RowSet, senders: &RowSet) -> bool {
        let table = &self.assessment.policy.table;
        let Some(place) = self.chosen.get(turn).copied() else {
            return self.turns(held, senders);
        };
        let Some(column) = table.columns.get(place) else { return false };
        let later = self.chosen.get(turn + 1..).unwrap_or_default();
        let named = |word: usize| {
            let columns = later.iter().filter_map(|place| table.columns.get(*place));
            columns.fold(0, |named, column| named | column.asked_by.word(word))
        };
        // Exclusions that no later column can lift.
        let lasting = RowSet::of_words(table.exclusion_words, |word| table.bars_all.word(word) & !named(word));
        for code in &column.classes {
            let Some(accept) = column.accept.get(usize::from(*code)) else { continue };
            if self.from.is_none() {
                let bars = |word: usize| held.word(word) & accept.word(word) & lasting.word(word);
                let sends = |word: usize| senders.word(word) & accept.word(word);
                if RowSet::lowest(table.exclusion_words, bars).is_some() || RowSet::lowest(table.words, sends).is_none()
                {
                    continue;
                }
            }
            let met = |rows: &RowSet| RowSet::of_words(table.words, |word| rows.word(word) & accept.word(word));
            self.changes.push((place, *code));
            if self.values(turn + 1, &met(held), &met(senders)) {
                return true;
            }
            self.changes.pop();
        }
        false
    }

    /// Whether the changes do what is wanted.
    fn turns(&self, held: &RowSet, senders: &RowSet) -> bool {
        let mut call = self.assessment.call;
        for (place, code) in &self.changes {
            self.assessment.policy.table.change(&mut call, *place, *code);
        }
        let goes = self.assessment.goes(&call, &self.chosen, held, senders);
        if self.from.is_some() { goes != self.from } else { goes.is_some() }
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
            let codes: Vec<u16> = column.classes.iter().copied().filter(|code| wanted(*code)).collect();
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
        if let Some((place, column)) = asked
            && self.try_each(call, place, column, &column.classes, left)
        {
            return true;
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
            let codes: Vec<u16> = column.classes.iter().copied().filter(|code| frees(*code)).collect();
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
