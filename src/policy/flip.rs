//! The smallest change of facts that would change the route, found by asking the table itself.

use super::column::Column;
use super::compile::Coded;
use super::decide::Assessment;
use super::decision::{Flip, FlipChange, Route};
use super::near::{CHANGES_MAX, Near};
use super::row_set::{Rows, columns};
use std::cmp::Reverse;

/// Facts in a flip that takes a call off its program, at most.
const AWAY_FACTS_MAX: usize = 2;

/// A change of the call: column and code.
type Change = (usize, u16);

impl<const W: usize> Near<'_, W> {
    /// The smallest change of facts that would change the route; the nature and the call type are changed only where
    /// nothing else would do, and the call-taker's doubt only where the product raised it. No flip to a program raises a
    /// danger: nobody is to read that a team comes where more danger is stated.
    pub(super) fn nearest_flip(&self) -> Option<Flip> {
        let Assessment { policy, moment, facts, verdict, .. } = self.assessment;
        let changes = match verdict.program() {
            Some(now) => self.flip_away(now),
            None => self.flip_to_open(),
        }?;
        let route = policy.verdict(&self.changed(&changes), moment).program();
        let program = route.and_then(|place| policy.programs.get(place));
        let change = |(place, code): &Change| {
            let column = policy.table.columns.get(*place)?;
            let now = facts.value(&column.name);
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

    fn column(&self, place: usize) -> Option<&Column> {
        self.assessment.policy.table.columns.get(place)
    }

    /// The rows that accept a code.
    fn accept(&self, place: usize, code: u16) -> Rows<W> {
        let rows = self.column(place).and_then(|column| column.accept.get(usize::from(code)));
        rows.map_or(Rows::EMPTY, |rows| rows.in_words())
    }

    /// Whether a change states more danger than is known of the call.
    fn raises(&self, place: usize, code: u16) -> bool {
        let now = self.assessment.call.codes.get(place).copied().unwrap_or(0);
        self.column(place).is_some_and(|column| column.danger(code) > column.danger(now))
    }

    fn changed(&self, changes: &[Change]) -> Coded {
        let mut call = self.assessment.call;
        for (place, code) in changes {
            self.assessment.policy.table.change(&mut call, *place, *code);
        }
        call
    }

    /// Columns that may be changed, as bits.
    fn changeable(&self, essence: bool) -> u64 {
        let may = |column: &Column| match column.name.as_str() {
            "doubt" => self.assessment.facts.value("doubt") == Some("yes"),
            "nature" | "call_type" | "first_call_type" | "priority" => essence,
            _ => true,
        };
        let columns = self.assessment.policy.table.columns.iter().enumerate();
        columns.fold(0, |bits, (place, column)| bits | (u64::from(may(column)) << place))
    }

    /// The fewest changed facts, one or two, that take the call off its program.
    fn flip_away(&self, now: usize) -> Option<Vec<Change>> {
        [false, true].into_iter().find_map(|essence| {
            let may = self.changeable(essence);
            (1..=AWAY_FACTS_MAX).find_map(|size| {
                let mut sets = Sets { may, barring: &[], found: Vec::new() };
                sets.add_any(0, size, 0);
                Sweep { near: self, from: Some(now), changes: Vec::new(), chosen: Vec::new() }.find(&sets.in_order())
            })
        })
    }

    /// The fewest changed facts that open a program: every set of one, two and three facts that could is tried.
    fn flip_to_open(&self) -> Option<Vec<Change>> {
        let near = (0..=CHANGES_MAX).fold(Rows::EMPTY, |near, count| near.or(&self.sending(count)));
        if near.is_empty() {
            return None;
        }
        let cells = |row: usize| self.assessment.policy.paths.cells(row);
        let barring: Vec<u64> = self.barring().iter().map(cells).collect();
        let keeping = self.columns_by_row(near, self.keeping());
        for essence in [false, true] {
            let may = self.changeable(essence);
            // An exclusion that bars every program and names no fact that may be changed bars for good.
            if barring.iter().any(|named| named & may == 0) {
                continue;
            }
            for size in 1..=CHANGES_MAX {
                let mut sets = Sets { may, barring: &barring, found: Vec::new() };
                let rows = (0..=size).fold(Rows::EMPTY, |rows, count| rows.or(&self.sending(count)));
                let mut keeping: Vec<u64> = rows.iter().filter_map(|row| keeping.get(row).copied()).collect();
                keeping.sort_unstable();
                keeping.dedup();
                for kept in keeping.into_iter().filter(|kept| kept & !may == 0) {
                    sets.add(kept, size - kept.count_ones() as usize);
                }
                let sets = sets.in_order();
                let sweep = Sweep { near: self, from: None, changes: Vec::new(), chosen: Vec::new() };
                if let Some(changes) = sweep.find(&sets) {
                    return Some(changes);
                }
            }
        }
        None
    }

    /// By row, for these rows: the columns of which it is among the column's rows, as bits.
    fn columns_by_row<'b>(&'b self, rows: Rows<W>, by_column: impl Iterator<Item = &'b Rows<W>>) -> Vec<u64> {
        let mut by_row = vec![0; 64 * W];
        for (place, column) in by_column.enumerate() {
            for row in column.and(&rows).iter() {
                by_row.get_mut(row).into_iter().for_each(|columns| *columns |= 1 << place);
            }
        }
        by_row
    }
}

/// Sets of columns, each as bits, of which a change could do what is wanted.
struct Sets<'a> {
    /// Columns that may be changed.
    may: u64,
    /// By exclusion that must be lifted: the columns that it names.
    barring: &'a [u64],
    found: Vec<u64>,
}

impl Sets<'_> {
    /// Every set with these columns and so many more that names a column of each exclusion that must be lifted.
    fn add(&mut self, set: u64, left: usize) {
        match self.barring.iter().find(|named| *named & set == 0) {
            Some(_) if left == 0 => {}
            Some(named) => columns(named & self.may).for_each(|place| self.add(set | (1 << place), left - 1)),
            None => self.add_any(set, left, 0),
        }
    }

    /// Every set with these columns and so many more, from one place on.
    fn add_any(&mut self, set: u64, left: usize, from: usize) {
        if left == 0 {
            self.found.push(set);
            return;
        }
        let later = u64::MAX.checked_shl(u32::try_from(from).unwrap_or(u32::MAX)).unwrap_or(0);
        for place in columns(self.may & !set & later) {
            self.add_any(set | (1 << place), left - 1, place + 1);
        }
    }

    /// The sets in the order of their columns, each once.
    fn in_order(mut self) -> Vec<u64> {
        self.found.sort_unstable_by_key(|set| Reverse(set.reverse_bits()));
        self.found.dedup();
        self.found
    }
}

/// Every way of changing the facts of some sets, in the order of the facts and of their values, the hopeless ones left out by
/// what the rows say of them.
struct Sweep<'a, const W: usize> {
    near: &'a Near<'a, W>,
    /// The program that the call is to be taken off; `None` where any program is to be opened.
    from: Option<usize>,
    changes: Vec<Change>,
    chosen: Vec<usize>,
}

impl<const W: usize> Sweep<'_, W> {
    fn find(mut self, sets: &[u64]) -> Option<Vec<Change>> {
        for set in sets {
            self.chosen.clear();
            self.chosen.extend(columns(*set));
            let (held, senders) = (self.near.others(&self.chosen), self.near.senders(&self.chosen));
            if self.values(0, &held, &senders) {
                return Some(self.changes);
            }
        }
        None
    }

    /// Tries the values of the chosen columns. `held` and `senders`: rows that the columns so far leave.
    fn values(&mut self, turn: usize, held: &Rows<W>, senders: &Rows<W>) -> bool {
        let Some(place) = self.chosen.get(turn).copied() else {
            return self.turns(held, senders);
        };
        let near = self.near;
        let Some(column) = near.column(place) else { return false };
        let later = self.chosen.get(turn + 1..).unwrap_or_default().iter().filter_map(|place| near.column(*place));
        // Exclusions that no later column can lift.
        let lasting = later.fold(*near.bars_all(), |lasting, column| lasting.without(&column.asked_by.in_words()));
        for code in &column.classes {
            if self.from.is_none() && near.raises(place, *code) {
                continue;
            }
            let accept = near.accept(place, *code);
            let (held, senders) = (held.and(&accept), senders.and(&accept));
            if self.from.is_none() && (senders.is_empty() || !held.and(&lasting).is_empty()) {
                continue;
            }
            self.changes.push((place, *code));
            if self.values(turn + 1, &held, &senders) {
                return true;
            }
            self.changes.pop();
        }
        false
    }

    /// Whether the changes do what is wanted.
    fn turns(&self, held: &Rows<W>, senders: &Rows<W>) -> bool {
        let goes = self.near.goes(&self.chosen, held, senders, || self.near.changed(&self.changes));
        let raises = || self.changes.iter().any(|(place, code)| self.near.raises(*place, *code));
        goes != self.from && (goes.is_none() || !raises())
    }
}
