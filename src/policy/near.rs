//! How near a call is to each row: by how many facts it is kept from it. Worked out once a decision, so that what a change of
//! one, two or three facts would meet is told by a few words of bits, for the questions and for the nearest flip alike.

use super::compile::{Coded, Table};
use super::decide::Assessment;
use super::language::{Bars, Program, RowKind, StepForm};
use super::route::DutyState;
use super::row_set::{RowSet, Rows};
use std::cell::Cell;

/// Facts changed at a time, at most.
pub(super) const CHANGES_MAX: usize = 3;

/// What the rows of a policy send to and ask for, by program and by column.
#[derive(Debug)]
pub(super) struct Paths {
    programs: Vec<Sends>,
    /// By column: rules that ask for its fact.
    asks: Vec<RowSet>,
    /// By row: the columns in which it has a cell, as bits.
    cells: Vec<u64>,
    /// Columns, as bits, that are looked at beside the cells: the zone, what rules ask for and what programs require.
    consulted: u64,
}

#[derive(Debug, Clone, Copy)]
struct Sends {
    /// Live rules with a step to the program, referrals left out: nobody goes there first.
    rules: RowSet,
    /// Exclusions that send to it.
    exclusions: RowSet,
}

/// One call at one moment, with how near each row is to it, in as many machine words as the rows need. Rules in shadow are left
/// out.
pub(super) struct Near<'a, const W: usize> {
    pub assessment: &'a Assessment<'a>,
    /// Rows in effect that exactly so many columns reject.
    exactly: [Rows<W>; CHANGES_MAX + 1],
    /// Rows that could send the call to a program on duty, by how many columns keep them from it.
    sending: [Rows<W>; CHANGES_MAX + 1],
    /// Of those, rows that could send to a program that an officer goes along with.
    accompanied: Rows<W>,
    columns: Vec<Apart<W>>,
    /// Exclusions that bar every program.
    bars_all: Rows<W>,
    bars_all_but: Rows<W>,
    bars_unaccompanied: Rows<W>,
    /// Verdicts asked for, which the bits alone could not tell.
    asked: Cell<u32>,
}

/// What one column of the call keeps apart from it.
#[derive(Debug, Clone, Copy)]
struct Apart<const W: usize> {
    /// Rows that reject it.
    rejecting: Rows<W>,
    /// Rows that it keeps from sending: those, rules that ask for it, and rules all of whose programs lack it.
    keeping: Rows<W>,
}

impl Paths {
    pub(super) fn of(table: &Table, programs: &[Program]) -> Self {
        let none = Sends { rules: RowSet::EMPTY, exclusions: RowSet::EMPTY };
        let mut paths = Self {
            programs: vec![none; programs.len()],
            asks: vec![RowSet::EMPTY; table.columns.len()],
            cells: vec![0; table.rows.len()],
            consulted: table.zone_column.map_or(0, |place| 1 << place),
        };
        for (place, row) in table.rows.iter().enumerate() {
            match &row.kind {
                RowKind::Exclusion(Bars::AllBut(program)) => {
                    paths.programs.get_mut(*program).into_iter().for_each(|sends| sends.exclusions.insert(place));
                }
                RowKind::Exclusion(Bars::All | Bars::Some(_)) => {}
                RowKind::Rule { send, ask, .. } => {
                    let goes = send.iter().filter(|step| !matches!(step.form, StepForm::ReferredBy(_)));
                    for program in goes.flat_map(|step| &step.programs) {
                        paths.programs.get_mut(*program).into_iter().for_each(|sends| sends.rules.insert(place));
                    }
                    for (column, asks) in table.columns.iter().zip(&mut paths.asks) {
                        if ask.contains(&column.fact) {
                            asks.insert(place);
                        }
                    }
                }
            }
        }
        for (place, (column, asks)) in table.columns.iter().zip(&paths.asks).enumerate() {
            for row in column.asked_by.iter() {
                paths.cells.get_mut(row).into_iter().for_each(|cells| *cells |= 1 << place);
            }
            let required = programs.iter().any(|program| program.required.contains(&column.fact));
            paths.consulted |= u64::from(required || !asks.is_empty()) << place;
        }
        paths
    }

    /// The columns in which a row has a cell, as bits.
    pub(super) fn cells(&self, row: usize) -> u64 {
        self.cells.get(row).copied().unwrap_or(0)
    }

    /// Whether a verdict may look at a column beside the cells of the rows.
    pub(super) fn consults(&self, place: usize) -> bool {
        self.consulted & (1 << place) != 0
    }
}

impl<'a> Assessment<'a> {
    /// How near each row is to the call.
    pub(super) fn near<const W: usize>(&'a self) -> Near<'a, W> {
        let table = &self.policy.table;
        let live = self.moment.effective.in_words().without(&table.shadow.in_words());
        let codes = table.columns.iter().zip(&self.call.codes).enumerate();
        let mut columns: Vec<Apart<W>> = Vec::with_capacity(table.columns.len());
        let mut exactly = [live, Rows::EMPTY, Rows::EMPTY, Rows::EMPTY];
        for ((place, (column, code)), asks) in codes.zip(&self.policy.paths.asks) {
            let rejecting = live.without(&table.accepts(place, column, *code, &self.call).in_words());
            further(&mut exactly, &rejecting);
            let keeping = if *code == 0 { rejecting.or(&asks.in_words()) } else { rejecting };
            columns.push(Apart { rejecting, keeping });
        }
        let (able, accompanied) = self.able(&mut columns);
        let mut sending = [live.and(&able), Rows::EMPTY, Rows::EMPTY, Rows::EMPTY];
        columns.iter().for_each(|column| further(&mut sending, &column.keeping));
        Near {
            assessment: self,
            exactly,
            sending,
            accompanied,
            columns,
            bars_all: table.bars_all.in_words(),
            bars_all_but: table.bars_all_but.in_words(),
            bars_unaccompanied: table.bars_unaccompanied.in_words(),
            asked: Cell::new(0),
        }
    }

    /// Rows that could send to a program on duty, and to one with an officer. Rules all of whose programs on duty lack a
    /// column are kept by it.
    fn able<const W: usize>(&self, columns: &mut [Apart<W>]) -> (Rows<W>, Rows<W>) {
        let (mut able, mut accompanied) = (Rows::EMPTY, Rows::EMPTY);
        let mut lacking: Vec<(u64, Rows<W>)> = Vec::with_capacity(self.policy.programs.len());
        for (place, (program, sends)) in self.policy.programs.iter().zip(&self.policy.paths.programs).enumerate() {
            let Some(duty) = self.moment.duty(place).filter(|duty| duty.state == DutyState::Open) else { continue };
            let Some(lacks) = self.policy.lacks(&self.call, program, &duty) else { continue };
            let (rules, exclusions) = (sends.rules.in_words(), sends.exclusions.in_words());
            able = able.or(&rules);
            if duty.accompanied {
                able = able.or(&exclusions);
                accompanied = accompanied.or(&rules).or(&exclusions);
            }
            lacking.push((lacks, rules));
        }
        let rules = able.and(&self.policy.table.rules.in_words());
        let mut lacked = lacking.iter().fold(0, |all, (lacks, _)| all | lacks);
        while lacked != 0 {
            let place = lacked.trailing_zeros() as usize;
            lacked &= lacked - 1;
            let having = lacking.iter().filter(|(lacks, _)| lacks & (1 << place) == 0);
            let kept = having.fold(rules, |kept, (_, rules)| kept.without(rules));
            if let Some(column) = columns.get_mut(place) {
                column.keeping = column.keeping.or(&kept);
            }
        }
        (able, accompanied)
    }
}

/// Takes one more column into account: who was kept by so many, and by this one too, is kept by one more.
#[inline]
fn further<const W: usize>(counted: &mut [Rows<W>; CHANGES_MAX + 1], by: &Rows<W>) {
    let mut fewer = Rows::EMPTY;
    for rows in counted {
        let more = rows.and(by);
        *rows = rows.without(by).or(&fewer);
        fewer = more;
    }
}

impl<const W: usize> Near<'_, W> {
    /// Rows that exactly so many columns reject.
    pub(super) fn exactly(&self, count: usize) -> Rows<W> {
        self.exactly.get(count).copied().unwrap_or(Rows::EMPTY)
    }

    /// Rows that could send and that exactly so many columns keep from it.
    pub(super) fn sending(&self, count: usize) -> Rows<W> {
        self.sending.get(count).copied().unwrap_or(Rows::EMPTY)
    }

    /// By column: rows that it keeps from sending.
    pub(super) fn keeping(&self) -> impl Iterator<Item = &Rows<W>> {
        self.columns.iter().map(|column| &column.keeping)
    }

    /// Rows that no other column than these rejects.
    pub(super) fn others(&self, places: &[usize]) -> Rows<W> {
        self.but_for(&self.exactly, places, |column| &column.rejecting)
    }

    /// Rows that could send and that no other column than these keeps from it.
    pub(super) fn senders(&self, places: &[usize]) -> Rows<W> {
        self.but_for(&self.sending, places, |column| &column.keeping)
    }

    /// Exclusions that hold as the call stands and bar every program.
    pub(super) fn barring(&self) -> Rows<W> {
        self.exactly(0).and(&self.bars_all)
    }

    /// Exclusions that bar every program.
    pub(super) fn bars_all(&self) -> &Rows<W> {
        &self.bars_all
    }

    /// Verdicts asked for so far.
    #[cfg(test)]
    pub(super) fn asked(&self) -> u32 {
        self.asked.get()
    }

    /// Of rows counted by columns, those that no other column than these (at most three) counts against.
    #[inline]
    fn but_for(
        &self,
        [none, one, two, three]: &[Rows<W>; CHANGES_MAX + 1],
        places: &[usize],
        by: impl Fn(&Apart<W>) -> &Rows<W>,
    ) -> Rows<W> {
        let by = |place: Option<&usize>| {
            place.and_then(|place| self.columns.get(*place)).map_or(Rows::EMPTY, |column| *by(column))
        };
        let (a, b, c) = (by(places.first()), by(places.get(1)), by(places.get(2)));
        let pairs = a.and(&b).or(&a.and(&c)).or(&b.and(&c));
        let all = a.and(&b).and(&c);
        none.or(&one.and(&a.or(&b).or(&c))).or(&two.and(&pairs)).or(&three.and(&all))
    }

    /// The call, one fact of it to be varied.
    pub(super) fn varied(&self, place: usize) -> Varied<'_, W> {
        let (others, senders) = (self.others(&[place]), self.senders(&[place]));
        Varied { near: self, place, others, senders }
    }

    /// Where the call goes with these facts changed, of which the rows that hold then are known; `change` makes the changed call,
    /// where the bits do not tell.
    pub(super) fn goes(
        &self,
        changed: &[usize],
        held: &Rows<W>,
        senders: &Rows<W>,
        change: impl FnOnce() -> Coded,
    ) -> Option<usize> {
        let Assessment { policy, moment, verdict, .. } = self.assessment;
        let alike = || {
            let looked_at = changed.iter().any(|place| policy.paths.consults(*place));
            !looked_at && *held == self.exactly(0) && held.and(&self.bars_all_but).is_empty()
        };
        if alike() {
            return verdict.program();
        }
        if !self.could_go(held, senders) {
            return None;
        }
        self.asked.set(self.asked.get() + 1);
        policy.goes(&change(), moment, held)
    }

    /// Whether a call could go to a program at all, as far as bits can tell: of the rows that hold, and those of them that
    /// could send it. Most calls that go nowhere are told by them alone.
    fn could_go(&self, held: &Rows<W>, senders: &Rows<W>) -> bool {
        let with_officer = !held.and(&self.bars_unaccompanied).is_empty();
        let sending = if with_officer { senders.and(&self.accompanied) } else { *senders };
        held.and(&self.bars_all).is_empty() && !sending.is_empty()
    }
}

/// A call of which one fact is varied: what the other facts say is told once.
pub(super) struct Varied<'a, const W: usize> {
    near: &'a Near<'a, W>,
    place: usize,
    /// Rows that the other facts meet, and those of them that could send.
    others: Rows<W>,
    senders: Rows<W>,
}

impl<const W: usize> Varied<'_, W> {
    /// Where the call goes if the fact has this code, which is not `unknown`.
    pub(super) fn program(&self, code: u16) -> Option<usize> {
        let Assessment { policy, call, .. } = self.near.assessment;
        let accept = policy.table.columns.get(self.place)?.accept.get(usize::from(code))?.in_words();
        let (held, senders) = (self.others.and(&accept), self.senders.and(&accept));
        self.near.goes(&[self.place], &held, &senders, || policy.table.changed(call, self.place, code))
    }
}
