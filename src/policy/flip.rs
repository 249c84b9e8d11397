//! The smallest change of facts that would change the route, found by asking the table itself.

use super::column::Column;
use super::compile::Coded;
use super::decide::Assessment;
use super::decision::{Flip, FlipChange, Route};
use super::language::RowKind;
use super::near::{CHANGES_MAX, Near};
use super::route::{Can, Way};
use super::row_set::{Rows, columns};
use std::cmp::Reverse;

/// Facts in a flip that takes a call off its program, at most.
const AWAY_FACTS_MAX: usize = 2;
/// Tables asked while one obstacle after the other is searched, at most.
const FLIP_TRIES_MAX: u32 = 1_500;

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

    /// The fewest changed facts that open a program. Every set of one, two and three facts that could is tried; of equally
    /// small ways that way is told which leads to the first rule, one obstacle after the other.
    fn flip_to_open(&self) -> Option<Vec<Change>> {
        let near = (0..=CHANGES_MAX).fold(Rows::EMPTY, |near, count| near.or(&self.sending(count)));
        if near.is_empty() {
            return None;
        }
        let cells = |row: usize| self.assessment.policy.paths.cells(row);
        let barring: Vec<u64> = self.barring().iter().map(cells).collect();
        let keeping = self.columns_by_row(near, self.keeping());
        let mut tries = 0;
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
                let Some(swept) = sweep.find(&sets) else { continue };
                let within = (0..=size).fold(Rows::EMPTY, |within, count| within.or(&self.exactly(count)));
                let within = within.and(&self.assessment.policy.table.rules.in_words());
                let rejecting = self.columns_by_row(within, self.rejecting());
                for rule in within.iter() {
                    let rejecting = rejecting.get(rule).copied().unwrap_or(0);
                    let mut search =
                        Search { near: self, rule, may, sets: &sets, changes: Vec::new(), tries: &mut tries };
                    if search.open(&self.assessment.call, rejecting, size) {
                        return Some(search.changes);
                    }
                }
                return Some(swept);
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

/// The search for a way to one rule.
struct Search<'a, const W: usize> {
    near: &'a Near<'a, W>,
    rule: usize,
    /// Columns that may be changed.
    may: u64,
    /// Sets of columns that could open a program.
    sets: &'a [u64],
    changes: Vec<Change>,
    tries: &'a mut u32,
}

impl<const W: usize> Search<'_, W> {
    /// `rejecting`: the columns that reject the rule, as bits.
    fn open(&mut self, call: &Coded, rejecting: u64, left: usize) -> bool {
        let changed = self.changes.iter().fold(0, |bits, (place, _)| bits | 1 << place);
        let needed = changed | rejecting;
        if !self.sets.iter().any(|set| needed & !set == 0) {
            return false;
        }
        let Assessment { policy, moment, .. } = self.near.assessment;
        let table = &policy.table;
        if let Some(place) = columns(rejecting).next() {
            let Some(column) = table.columns.get(place) else { return false };
            let wanted = |code: u16| column.accept.get(usize::from(code)).is_some_and(|rows| rows.contains(self.rule));
            let codes: Vec<u16> = column.classes.iter().copied().filter(|code| wanted(*code)).collect();
            return self.try_each(call, rejecting, place, column, &codes, left);
        }
        *self.tries += 1;
        if *self.tries > FLIP_TRIES_MAX {
            return false;
        }
        let places: Vec<usize> = self.changes.iter().map(|(place, _)| *place).collect();
        let accepts = |rows: Rows<W>| {
            self.changes.iter().fold(rows, |rows, (place, code)| rows.and(&self.near.accept(*place, *code)))
        };
        let (held, senders) = (accepts(self.near.others(&places)), accepts(self.near.senders(&places)));
        if self.near.goes(&places, &held, &senders, || *call).is_some() {
            return true;
        }
        if left == 0 {
            return false;
        }
        let verdict = policy.verdict_of(call, moment, &held, table.soft(call), false);
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
            && self.try_each(call, 0, place, column, &column.classes, left)
        {
            return true;
        }
        // An exclusion need not be what stands in the way where the table asks, or nobody is there.
        verdict.exclusions.iter().next().is_some_and(|barring| self.past(call, barring, left))
    }

    fn is_asked(&self, fact: usize) -> bool {
        let policy = self.near.assessment.policy;
        let asks = policy.table.rows.get(self.rule).is_some_and(|row| match &row.kind {
            RowKind::Rule { ask, .. } => ask.contains(&fact),
            RowKind::Exclusion(_) => false,
        });
        let mut programs = policy.sends_to(self.rule).filter_map(|place| policy.programs.get(place));
        let zone = policy.table.zone_column.and_then(|place| policy.table.columns.get(place));
        asks || programs.any(|program| {
            program.required.contains(&fact) || (program.area.is_some() && zone.is_some_and(|zone| zone.fact == fact))
        })
    }

    /// Changes one of the facts that an exclusion names so that it no longer holds and the rule still does.
    fn past(&mut self, call: &Coded, barring: usize, left: usize) -> bool {
        let policy = self.near.assessment.policy;
        for place in columns(policy.paths.cells(barring)) {
            let Some(column) = policy.table.columns.get(place) else { continue };
            let frees = |code: u16| {
                column
                    .accept
                    .get(usize::from(code))
                    .is_some_and(|rows| !rows.contains(barring) && rows.contains(self.rule))
            };
            let codes: Vec<u16> = column.classes.iter().copied().filter(|code| frees(*code)).collect();
            if self.try_each(call, 0, place, column, &codes, left) {
                return true;
            }
        }
        false
    }

    fn try_each(
        &mut self,
        call: &Coded,
        rejecting: u64,
        place: usize,
        column: &Column,
        codes: &[u16],
        left: usize,
    ) -> bool {
        let again = self.changes.iter().any(|(changed, _)| *changed == place);
        if left == 0 || again || self.may & (1 << place) == 0 {
            return false;
        }
        for code in codes.iter().filter(|code| !self.near.raises(place, **code)) {
            let changed = self.near.assessment.policy.table.changed(call, place, *code);
            let accepts = column.accept.get(usize::from(*code)).is_some_and(|rows| rows.contains(self.rule));
            let rejecting = (rejecting & !(1 << place)) | (u64::from(!accepts) << place);
            self.changes.push((place, *code));
            if self.open(&changed, rejecting, left - 1) {
                return true;
            }
            self.changes.pop();
        }
        false
    }
}
