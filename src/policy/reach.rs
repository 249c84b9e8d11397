//! Which rules the answers to open questions could still reach.
//!
//! For each open fact and each rule the table knows the value that frees the rule from the most exclusions. Where one value
//! frees it from all that any value does, as `none` of a weapon mostly is, the question is settled by bit-sets; boxes are
//! cut only where no value is the best one.

use super::Compiled;
use super::column::{Coding, Column};
use super::compile::{Coded, Table};
use super::route::Moment;
use super::row_set::{RowSet, Rows};

/// What the best value of each fact does for each rule.
#[derive(Debug)]
pub(super) struct Relief {
    /// First rule and how many rules; exclusions stand before them.
    first_rule: usize,
    rules: usize,
    /// Machine words of a set of exclusions.
    words: usize,
    /// By column, rule and word: exclusions that the best value frees the rule from.
    freed: Vec<u64>,
    /// By rule: the columns, as bits, of which no one value is best.
    torn: Vec<u64>,
    /// By rule: the columns of which it accepts no single value.
    shut: Vec<u64>,
}

impl Relief {
    pub(super) fn of(table: &Table) -> Self {
        let first_rule = table.rules.iter().next().unwrap_or(table.rows.len());
        let (rules, words) = (table.rows.len() - first_rule, table.exclusion_words);
        let mut relief = Self {
            first_rule,
            rules,
            words,
            freed: vec![0; table.columns.len() * rules * words],
            torn: vec![0; rules],
            shut: vec![0; rules],
        };
        let bars = table.bars_all.or(&table.bars_some);
        for (place, column) in table.columns.iter().enumerate().filter(|(_, column)| column.askable) {
            let at_stake = column.asked_by.and(&bars);
            // By class of codes: the rows that accept it, and the exclusions that it frees from.
            let choices: Vec<(&RowSet, RowSet)> =
                column.distinct().map(|accept| (accept, at_stake.without(accept))).collect();
            // A call may be in several zones at once, which the codes, one zone each, do not tell.
            let told = at_stake.is_empty() || !matches!(column.coding, Coding::Zones { .. });
            for rule in 0..rules {
                match best(&choices, first_rule + rule) {
                    Some((freed, is_best)) => {
                        relief.set(place, rule, &freed);
                        mark(&mut relief.torn, rule, place, !(is_best && told));
                    }
                    None => mark(&mut relief.shut, rule, place, true),
                }
            }
        }
        relief
    }

    fn set(&mut self, column: usize, rule: usize, freed: &RowSet) {
        let start = (column * self.rules + rule) * self.words;
        for (index, word) in self.freed.iter_mut().skip(start).take(self.words).enumerate() {
            *word = freed.word(index);
        }
    }

    /// Whether the best answers to the open facts free a rule from these exclusions; `None` where that is not all that
    /// answers can do.
    fn settles<const W: usize>(&self, row: usize, mut open: u64, exclusions: &Rows<W>) -> Option<bool> {
        let rule = row.checked_sub(self.first_rule)?;
        if self.shut.get(rule)? & open != 0 {
            return None;
        }
        let torn = self.torn.get(rule)? & open != 0;
        let mut left = *exclusions;
        while open != 0 {
            let column = open.trailing_zeros() as usize;
            open &= open - 1;
            let start = (column * self.rules + rule) * self.words;
            left.drop_words(self.freed.get(start..start + self.words)?);
        }
        match (left.is_empty(), torn) {
            (true, _) => Some(true),
            (false, false) => Some(false),
            (false, true) => None,
        }
    }
}

fn mark(marks: &mut [u64], rule: usize, column: usize, is_so: bool) {
    if let Some(marks) = marks.get_mut(rule) {
        *marks |= u64::from(is_so) << column;
    }
}

/// The exclusions that the best class that a rule accepts frees it from, and whether it frees from all that any does.
fn best(choices: &[(&RowSet, RowSet)], rule: usize) -> Option<(RowSet, bool)> {
    let mut best: Option<RowSet> = None;
    let mut all = RowSet::EMPTY;
    for (_, freed) in choices.iter().filter(|(accept, _)| accept.contains(rule)) {
        all = all.or(freed);
        if best.is_none_or(|best| freed.count() > best.count()) {
            best = Some(*freed);
        }
    }
    best.map(|best| (best, best == all))
}

impl Compiled {
    /// Live rules of which some completion of the unknown facts makes a way to a program.
    pub(super) fn reachable(&self, call: &Coded, moment: &Moment<'_>) -> RowSet {
        let open = self.table.open(call);
        let possible: RowSet = self.possible(call, moment, open);
        let mut reachable = RowSet::EMPTY;
        for row in
            self.possible_rules(&possible).iter().filter(|row| self.can_reach(call, moment, &possible, open, *row))
        {
            reachable.insert(row);
        }
        reachable
    }

    /// Whether any live rule can be reached, and the first reachable one that holds already. `open` and `possible`: the open
    /// columns, and the rows that answers to them could make hold.
    pub(super) fn first_reachable<const W: usize>(
        &self,
        call: &Coded,
        moment: &Moment<'_>,
        open: u64,
        possible: &Rows<W>,
        held: &Rows<W>,
    ) -> Option<Option<usize>> {
        let rules = self.possible_rules(possible);
        let reached = |row: &usize| self.can_reach(call, moment, possible, open, *row);
        if let Some(row) = rules.and(held).iter().find(reached) {
            return Some(Some(row));
        }
        rules.without(held).iter().any(|row| reached(&row)).then_some(None)
    }

    /// Rows that some answers to the open facts could make hold, exclusions included.
    pub(super) fn possible<const W: usize>(&self, call: &Coded, moment: &Moment<'_>, open: u64) -> Rows<W> {
        let possible: Rows<W> = self.table.matching_but(call, |place, _: &Column| open & (1 << place) != 0);
        possible.and(&moment.effective.in_words())
    }

    fn possible_rules<const W: usize>(&self, possible: &Rows<W>) -> Rows<W> {
        possible.and(&self.table.rules.in_words()).without(&self.table.shadow.in_words())
    }

    fn can_reach<const W: usize>(
        &self,
        call: &Coded,
        moment: &Moment<'_>,
        possible: &Rows<W>,
        open: u64,
        row: usize,
    ) -> bool {
        let mut last: Option<Rows<W>> = None;
        self.sends_to(row).any(|program| {
            let exclusions = possible.and(&self.bars_at(moment, program));
            // What bars one program of a chain mostly bars the next too.
            if last.replace(exclusions) == Some(exclusions) {
                return false;
            }
            let settled = self.relief.settles(row, open, &exclusions);
            settled.unwrap_or_else(|| {
                let bars: RowSet = self.bars_at(moment, program);
                self.reaches_by_cuts(call, row, &bars.and(moment.effective))
            })
        })
    }

    /// Exclusions that leave a program no call that they hold, as it comes at a moment.
    fn bars_at<const W: usize>(&self, moment: &Moment<'_>, program: usize) -> Rows<W> {
        let accompanied = moment.duty(program).is_some_and(|duty| duty.accompanied);
        self.table.bars_all.in_words().or(&self.table.bars_of(program, accompanied))
    }

    /// The same by exact cuts alone, to compare with.
    #[cfg(test)]
    pub(super) fn reachable_by_cuts(&self, call: &Coded, moment: &Moment<'_>) -> RowSet {
        let table = &self.table;
        let possible: RowSet = self.possible(call, moment, table.open(call));
        let mut reachable = RowSet::EMPTY;
        for row in self.possible_rules(&possible).iter() {
            let bars = |program: usize| self.bars_at(moment, program).and(moment.effective);
            if self.sends_to(row).any(|program| self.reaches_by_cuts(call, row, &bars(program))) {
                reachable.insert(row);
            }
        }
        reachable
    }

    /// The exact answer: the calls that the rule accepts and that are still possible, the exclusions cut out.
    pub(super) fn reaches_by_cuts(&self, call: &Coded, row: usize, exclusions: &RowSet) -> bool {
        let around = self.space.around(&self.table, call);
        let covers = self.space.rows(*exclusions);
        let own = self.space.row(row).iter();
        let mut open = own.flat_map(|own| around.iter().filter_map(move |space| self.space.meet(own, space)));
        // A question too hard to settle stays a question.
        open.any(|target| !matches!(self.space.uncovered(&target, &covers), Ok(None)))
    }
}
