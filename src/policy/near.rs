//! How near a call is to each row: by how many facts it is kept from it. Worked out once a decision, so that what a change of
//! one, two or three facts would meet is told by a few words of bits, for the questions and for the nearest flip alike.

use super::Compiled;
use super::compile::{Coded, Table};
use super::decide::Assessment;
use super::language::{Bars, Program, RowKind, StepForm};
use super::route::{DutyState, Moment};
use super::row_set::RowSet;
use std::cell::Cell;

/// Facts changed at a time, at most.
pub(super) const CHANGES_MAX: usize = 3;

/// What the rows of a policy send to and ask for, by program and by column.
#[derive(Debug)]
pub(super) struct Paths {
    programs: Vec<Sends>,
    /// By column: rules that ask for its fact.
    asks: Vec<RowSet>,
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

/// Rows by how near they are to one call at one moment. Rules in shadow are left out.
#[derive(Debug)]
pub(super) struct Near {
    words: usize,
    /// Rows in effect that exactly so many columns reject.
    exactly: [RowSet; CHANGES_MAX + 1],
    /// Rows that could send the call to a program on duty, by how many columns keep them from it.
    sending: [RowSet; CHANGES_MAX + 1],
    /// Of those, rows that could send to a program that an officer goes along with.
    accompanied: RowSet,
    columns: Vec<Apart>,
    /// Verdicts asked for, which the bits alone could not tell.
    asked: Cell<u32>,
}

/// What one column of the call keeps apart from it.
#[derive(Debug, Clone, Copy)]
struct Apart {
    /// Rows that reject it.
    rejecting: RowSet,
    /// Rows that it keeps from sending: those, rules that ask for it, and rules all of whose programs lack it.
    keeping: RowSet,
}

impl Paths {
    pub(super) fn of(table: &Table, programs: &[Program]) -> Self {
        let none = Sends { rules: RowSet::EMPTY, exclusions: RowSet::EMPTY };
        let mut paths = Self {
            programs: vec![none; programs.len()],
            asks: vec![RowSet::EMPTY; table.columns.len()],
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
            let required = programs.iter().any(|program| program.required.contains(&column.fact));
            paths.consulted |= u64::from(required || !asks.is_empty()) << place;
        }
        paths
    }

    /// Whether a verdict may look at a column beside the cells of the rows.
    pub(super) fn consults(&self, place: usize) -> bool {
        self.consulted & (1 << place) != 0
    }
}

impl Compiled {
    /// How near each row is to a call.
    pub(super) fn near(&self, call: &Coded, moment: &Moment<'_>) -> Near {
        let table = &self.table;
        let words = table.words;
        let live = RowSet::of_words(words, |word| moment.effective.word(word) & !table.shadow.word(word));
        let codes = table.columns.iter().zip(&call.codes).enumerate();
        let mut columns: Vec<Apart> = Vec::with_capacity(table.columns.len());
        let mut exactly = [live, RowSet::EMPTY, RowSet::EMPTY, RowSet::EMPTY];
        for ((place, (column, code)), asks) in codes.zip(&self.paths.asks) {
            let accept = table.accepts(place, column, *code, call);
            let rejecting = RowSet::of_words(words, |word| live.word(word) & !accept.word(word));
            further(&mut exactly, &rejecting, words);
            let mut keeping = rejecting;
            if *code == 0 {
                keeping.add(asks, words);
            }
            columns.push(Apart { rejecting, keeping });
        }
        let (able, accompanied) = self.able(call, moment, &mut columns);
        let mut sending = [live.and(&able), RowSet::EMPTY, RowSet::EMPTY, RowSet::EMPTY];
        columns.iter().for_each(|column| further(&mut sending, &column.keeping, words));
        Near { words, exactly, sending, accompanied, columns, asked: Cell::new(0) }
    }

    /// Rows that could send to a program on duty, and to one with an officer. Rules all of whose programs on duty lack a
    /// column are kept by it.
    fn able(&self, call: &Coded, moment: &Moment<'_>, columns: &mut [Apart]) -> (RowSet, RowSet) {
        let (mut able, mut accompanied) = (RowSet::EMPTY, RowSet::EMPTY);
        let mut lacking: Vec<(u64, &RowSet)> = Vec::with_capacity(self.programs.len());
        for (place, (program, sends)) in self.programs.iter().zip(&self.paths.programs).enumerate() {
            let Some(duty) = moment.duty(place).filter(|duty| duty.state == DutyState::Open) else { continue };
            let Some(lacks) = self.lacks(call, program, &duty) else { continue };
            able.add(&sends.rules, self.table.words);
            if duty.accompanied {
                able.add(&sends.exclusions, self.table.exclusion_words);
                accompanied.add(&sends.rules, self.table.words);
                accompanied.add(&sends.exclusions, self.table.exclusion_words);
            }
            lacking.push((lacks, &sends.rules));
        }
        let mut lacked = lacking.iter().fold(0, |all, (lacks, _)| all | lacks);
        while lacked != 0 {
            let place = lacked.trailing_zeros() as usize;
            lacked &= lacked - 1;
            let mut kept = able.and(&self.table.rules);
            for (_, rules) in lacking.iter().filter(|(lacks, _)| lacks & (1 << place) == 0) {
                kept = kept.without(rules);
            }
            if let Some(column) = columns.get_mut(place) {
                column.keeping.add(&kept, self.table.words);
            }
        }
        (able, accompanied)
    }
}

/// Takes one more column into account: who was kept by so many, and by this one too, is kept by one more.
#[inline]
fn further(counted: &mut [RowSet; CHANGES_MAX + 1], by: &RowSet, words: usize) {
    let mut fewer = RowSet::EMPTY;
    for rows in counted {
        let more = RowSet::of_words(words, |word| rows.word(word) & by.word(word));
        *rows = RowSet::of_words(words, |word| (rows.word(word) & !by.word(word)) | fewer.word(word));
        fewer = more;
    }
}

impl Near {
    /// The rows that hold as the call stands.
    pub(super) fn held(&self) -> &RowSet {
        let [held, ..] = &self.exactly;
        held
    }

    /// Rows that exactly so many columns reject.
    pub(super) fn exactly(&self, count: usize) -> RowSet {
        self.exactly.get(count).copied().unwrap_or(RowSet::EMPTY)
    }

    /// Rows that a column rejects.
    pub(super) fn rejecting(&self, place: usize) -> &RowSet {
        self.columns.get(place).map_or(&RowSet::EMPTY, |column| &column.rejecting)
    }

    /// Rows that no other column than these rejects.
    pub(super) fn others(&self, places: &[usize]) -> RowSet {
        self.but_for(&self.exactly, places, |column| &column.rejecting)
    }

    /// Rows that could send and that no other column than these keeps from it.
    pub(super) fn senders(&self, places: &[usize]) -> RowSet {
        self.but_for(&self.sending, places, |column| &column.keeping)
    }

    /// Rows that could send and that at most one column beside these keeps from it.
    pub(super) fn senders_but_one(&self, places: &[usize]) -> RowSet {
        let [none, one, two, three] = &self.sending;
        let keeping =
            |place: &usize, word: usize| self.columns.get(*place).map_or(0, |column| column.keeping.word(word));
        RowSet::of_words(self.words, |word| {
            let (mut any, mut all) = (0, u64::MAX);
            for place in places {
                let by = keeping(place, word);
                any |= by;
                all &= by;
            }
            let two_of_two = if places.len() > 1 { all } else { 0 };
            none.word(word) | one.word(word) | (two.word(word) & any) | (three.word(word) & two_of_two)
        })
    }

    /// Verdicts asked for so far.
    #[cfg(test)]
    pub(super) fn asked(&self) -> u32 {
        self.asked.get()
    }

    /// True where no three facts could bring the call to a program.
    pub(super) fn is_far(&self) -> bool {
        self.sending.iter().all(RowSet::is_empty)
    }

    /// Of rows counted by columns, those that no other column than these (at most three) counts against.
    #[inline]
    fn but_for(&self, counted: &[RowSet; CHANGES_MAX + 1], places: &[usize], by: impl Fn(&Apart) -> &RowSet) -> RowSet {
        let by = |place: Option<&usize>, word: usize| {
            place.and_then(|place| self.columns.get(*place)).map_or(0, |column| by(column).word(word))
        };
        let [none, one, two, three] = counted;
        RowSet::of_words(self.words, |word| {
            let (a, b, c) = (by(places.first(), word), by(places.get(1), word), by(places.get(2), word));
            none.word(word)
                | (one.word(word) & (a | b | c))
                | (two.word(word) & ((a & b) | (a & c) | (b & c)))
                | (three.word(word) & a & b & c)
        })
    }
}

/// A call of which one fact is varied: what the other facts say is told once.
pub(super) struct Varied<'a> {
    assessment: &'a Assessment<'a>,
    place: usize,
    call: Coded,
    /// Rows that the other facts meet, and those of them that could send.
    others: RowSet,
    senders: RowSet,
}

impl Assessment<'_> {
    /// The call, one fact of it to be varied.
    pub(super) fn varied(&self, place: usize) -> Varied<'_> {
        let (others, senders) = (self.near.others(&[place]), self.near.senders(&[place]));
        Varied { assessment: self, place, call: self.call, others, senders }
    }

    /// Where the call goes with these facts changed, of which the rows that hold then are known.
    pub(super) fn goes(&self, call: &Coded, changed: &[usize], held: &RowSet, senders: &RowSet) -> Option<usize> {
        let policy = self.policy;
        let alike = || {
            let looked_at = changed.iter().any(|place| policy.paths.consults(*place));
            !looked_at && held == self.near.held() && held.and(&policy.table.bars_all_but).is_empty()
        };
        if alike() {
            return self.verdict.program();
        }
        if !policy.could_go(held, senders, &self.near.accompanied) {
            return None;
        }
        self.near.asked.set(self.near.asked.get() + 1);
        policy.goes(call, &self.moment, held)
    }
}

impl Varied<'_> {
    /// Where the call goes if the fact has this code, which is not `unknown`.
    pub(super) fn program(&mut self, code: u16) -> Option<usize> {
        let table = &self.assessment.policy.table;
        let accept = table.columns.get(self.place)?.accept.get(usize::from(code))?;
        let met = |rows: &RowSet| RowSet::of_words(table.words, |word| rows.word(word) & accept.word(word));
        let (held, senders) = (met(&self.others), met(&self.senders));
        table.change(&mut self.call, self.place, code);
        self.assessment.goes(&self.call, &[self.place], &held, &senders)
    }
}
