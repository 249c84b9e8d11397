//! Which answers matter: those of the smallest sets of answers that change the route.
//!
//! A set of answers to open facts is smallest where it changes the route and no part of it does: no answer in it is idle.
//! The sets are looked for row by row. A row that is to decide needs an answer wherever it rejects `unknown`; what then
//! still stands in the way (an exclusion that holds for want of an answer, a rule that asks, a program that misses a fact)
//! names the answers of which one must follow.

use super::Compiled;
use super::column::Column;
use super::compile::{Coded, rank};
use super::decide::Assessment;
use super::language::{RowKind, StepForm};
use super::near::Near;
use super::route::{Can, Moment, Verdict, Way};
use super::row_set::{RowSet, Rows};
use std::collections::BTreeSet;

/// Tables asked while looking, at most.
const TRIES_MAX: u32 = 600;
/// Answers of a set of which every part is tried, at most; of a larger set, every part that lacks one answer.
const PARTS_MAX: usize = 6;

/// A fact that is not known and can be asked.
#[derive(Debug)]
pub(super) struct OpenFact<'a> {
    /// Its column.
    pub place: usize,
    /// One code of each class of its values that changes nothing alone.
    pub idle: &'a [u16],
    /// Some value of it changes the route alone.
    pub decides: bool,
}

/// What the search found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// Columns, as bits.
    pub columns: u64,
    /// All sets were looked at.
    pub is_all: bool,
}

/// An answer: column and code.
type Answer = (usize, u16);

/// What an answer must do for a row.
#[derive(Debug, Clone, Copy)]
enum Must {
    Meet(usize),
    Leave(usize),
    BeKnown,
}

struct Search<'a, const W: usize> {
    policy: &'a Compiled,
    moment: &'a Moment<'a>,
    call: &'a Coded,
    open: &'a [OpenFact<'a>],
    /// Rows in effect that the facts that are not open accept, and those that may hold for want of one of these.
    settled: Rows<W>,
    settled_soft: Rows<W>,
    /// The program that the call goes to now; `None` is the ordinary route.
    now: Option<usize>,
    /// Exclusions that keep the call on the ordinary route for want of an answer.
    holding: Rows<W>,
    /// Columns that could be in a set, and those that are in one.
    wanted: u64,
    found: u64,
    tries: u32,
    /// Sets of answers that were looked at, by the row that they are to bring about.
    seen: BTreeSet<(Option<usize>, Vec<Answer>)>,
}

impl<const W: usize> Near<'_, W> {
    /// The columns of the smallest sets of answers that change the route.
    pub(super) fn smallest(&self, open: &[OpenFact<'_>]) -> Found {
        let Assessment { policy, call, moment, verdict, .. } = self.assessment;
        let decides = open.iter().filter(|fact| fact.decides).fold(0, |bits, fact| bits | 1 << fact.place);
        let open_bits = open.iter().fold(0_u64, |bits, fact| bits | 1 << fact.place);
        let settled = policy.possible(call, moment, open_bits);
        let soft = policy.table.columns.iter().zip(&call.codes).enumerate();
        let soft = soft.filter(|(place, (_, code))| **code == 0 && open_bits & (1 << place) == 0);
        let mut search = Search {
            policy,
            moment,
            call,
            open,
            settled,
            settled_soft: soft.fold(Rows::EMPTY, |soft, (_, (column, _))| soft.or(&column.soft.in_words())),
            now: verdict.program(),
            holding: match verdict.program() {
                None => self.barring(),
                Some(_) => Rows::EMPTY,
            },
            wanted: 0,
            found: decides,
            tries: 0,
            seen: BTreeSet::new(),
        };
        search.wanted = search.columns_of(&settled) & open_bits;
        search.look(verdict.way, &settled);
        Found { columns: search.found, is_all: search.tries <= TRIES_MAX }
    }
}

impl Compiled {
    fn column(&self, place: usize) -> Option<&Column> {
        self.table.columns.get(place)
    }

    fn accepts_code(&self, place: usize, code: u16, row: usize) -> bool {
        let rows = self.column(place).and_then(|column| column.accept.get(usize::from(code)));
        rows.is_some_and(|rows| rows.contains(row))
    }

    /// Columns of the facts that a rule asks for.
    fn asked(&self, row: usize) -> u64 {
        match self.table.rows.get(row).map(|row| &row.kind) {
            Some(RowKind::Rule { ask, .. }) => ask.iter().fold(0, |bits, fact| bits | self.table.bit_of(*fact)),
            _ => 0,
        }
    }

    /// Columns of the facts that a program must know.
    fn required(&self, program: usize) -> u64 {
        let Some(program) = self.programs.get(program) else {
            return 0;
        };
        let area = self.table.zone_column.filter(|_| program.area.is_some()).map_or(0, |place| 1 << place);
        program.required.iter().fold(area, |bits, fact| bits | self.table.bit_of(*fact))
    }

    /// What a row's programs wait for now: columns of facts that they miss, and exclusions that bar them for want of an answer.
    fn waited_for<const W: usize>(
        &self,
        call: &Coded,
        moment: &Moment<'_>,
        verdict: &Verdict<W>,
        row: usize,
    ) -> Vec<(u64, Must)> {
        let barring = verdict.barring(&self.table);
        let mut waited_for = Vec::new();
        for place in self.sends_to(row) {
            match moment.duty(place).map(|duty| self.can_take(call, place, &duty, barring)) {
                Some(Can::Missing(_)) => waited_for.push((self.required(place), Must::BeKnown)),
                Some(Can::Waits(by)) => waited_for.push((u64::MAX, Must::Leave(by))),
                Some(
                    Can::Take
                    | Can::Barred(_)
                    | Can::OutOfArea
                    | Can::OutOfHours
                    | Can::NoUnit
                    | Can::NoDecider
                    | Can::Absent(_),
                )
                | None => {}
            }
        }
        waited_for
    }
}

impl<const W: usize> Search<'_, W> {
    /// The verdict of the call with some open facts answered.
    fn verdict(&self, call: &Coded) -> Verdict<W> {
        let (mut held, mut soft) = (self.settled, self.settled_soft);
        for fact in self.open {
            let (Some(column), Some(code)) = (self.policy.column(fact.place), call.codes.get(fact.place)) else {
                continue;
            };
            held = held.and(&column.accept.get(usize::from(*code)).map_or(Rows::EMPTY, RowSet::in_words));
            if *code == 0 {
                soft = soft.or(&column.soft.in_words());
            }
        }
        self.policy.verdict_of(call, self.moment, &held, soft, false)
    }

    /// Columns of which an answer could be in a smallest set.
    fn columns_of(&self, possible: &Rows<W>) -> u64 {
        let table = &self.policy.table;
        let live = self.live();
        let elsewhere = possible.and(&table.bars_all_but.in_words());
        // A rule that a co-response exclusion would send but for what it names need not be possible itself.
        let rules = if elsewhere.is_empty() { live.and(possible) } else { live };
        let mut asking = Rows::EMPTY;
        let mut columns = 0;
        for row in rules.or(&elsewhere).iter() {
            let asked = self.policy.asked(row);
            let required = self.policy.sends_to(row).fold(0, |bits, program| bits | self.policy.required(program));
            columns |= asked | required;
            if asked != 0 {
                asking.insert(row);
            }
        }
        let excluding = possible.without(&table.rules.in_words());
        for fact in self.open {
            let Some(column) = self.policy.column(fact.place) else { continue };
            let unknown = column.accept.first().map_or(Rows::EMPTY, RowSet::in_words);
            let named = column.asked_by.in_words();
            let may = match self.now {
                // Of a call on the ordinary route: what a row waits for, and what moves a row that asks out of the way.
                None => {
                    !rules.or(&elsewhere).without(&unknown).is_empty()
                        || !excluding.and(&column.soft.in_words()).is_empty()
                        || !asking.and(&named).is_empty()
                }
                Some(_) => !rules.or(&excluding).and(&named).is_empty(),
            };
            columns |= u64::from(may) << fact.place;
        }
        columns
    }

    /// Rules in effect that are not in shadow.
    fn live(&self) -> Rows<W> {
        let table = &self.policy.table;
        self.moment.effective.in_words().and(&table.rules.in_words()).without(&table.shadow.in_words())
    }

    fn look(&mut self, way: Way, possible: &Rows<W>) {
        let table = &self.policy.table;
        let elsewhere = possible.and(&table.bars_all_but.in_words());
        let live = table.rules.in_words().without(&table.shadow.in_words());
        let mut targets = elsewhere.or(&possible.and(&live));
        let mut others = Rows::EMPTY;
        if let (Way::Go { row, .. }, Some(program)) = (way, self.now) {
            let accompanied = self.moment.duty(program).is_some_and(|duty| duty.accompanied);
            let barring = table.bars_all.in_words().or(&table.bars_of(program, accompanied));
            self.look_at_exclusions(&possible.and(&barring));
            // What bars only others keeps nobody from this program, but in a tandem that it leads.
            if self.has_tandem(&targets) {
                others = possible.and(&table.bars_some.in_words()).without(&barring);
            }
            if live.contains(row) && !self.may_break(row) {
                targets = self.above(row, &targets);
            } else if live.contains(row) {
                self.toward(None, &self.call.clone(), &mut Vec::new());
            }
        }
        // An exclusion that sends elsewhere holds for certain, whatever is answered: only one of its kind can decide.
        if self.sending_elsewhere(way).is_some() {
            (targets, others) = (elsewhere, Rows::EMPTY);
        }
        for target in targets.iter().chain(others.iter()) {
            self.toward(Some(target), &self.call.clone(), &mut Vec::new());
        }
    }

    /// The exclusion that decides and leaves a co-response.
    fn sending_elsewhere(&self, way: Way) -> Option<usize> {
        match way {
            Way::Excluded(row) | Way::Ask(row) | Way::Nobody { row, .. } | Way::Go { row, .. } => Some(row),
            Way::Barred { rule, .. } => Some(rule),
            Way::Unsure | Way::NoRule => None,
        }
        .filter(|row| self.policy.table.bars_all_but.contains(*row))
    }

    fn has_tandem(&self, rows: &Rows<W>) -> bool {
        rows.iter().filter_map(|row| self.policy.table.rows.get(row)).any(|row| match &row.kind {
            RowKind::Rule { send, .. } => send.iter().any(|step| step.form == StepForm::AllOf),
            RowKind::Exclusion(_) => false,
        })
    }

    /// An exclusion that bars whoever takes the call now needs no other answer: a set of two is smallest where neither answer
    /// does it alone.
    fn look_at_exclusions(&mut self, exclusions: &Rows<W>) {
        for row in exclusions.iter() {
            let needs = |fact: &&OpenFact<'_>| !self.policy.accepts_code(fact.place, 0, row);
            let bits = self.open.iter().filter(needs).fold(0_u64, |bits, fact| bits | 1 << fact.place);
            if bits.count_ones() == 2 {
                let meets =
                    |fact: &OpenFact<'_>| fact.idle.iter().any(|code| self.policy.accepts_code(fact.place, *code, row));
                if self.open.iter().filter(needs).all(meets) {
                    self.found |= bits;
                }
            } else if bits.count_ones() > 2 {
                self.toward(Some(row), &self.call.clone(), &mut Vec::new());
            }
        }
    }

    /// Whether an answer that changes nothing alone takes the row that decides away.
    fn may_break(&self, row: usize) -> bool {
        let breaks =
            |fact: &OpenFact<'_>| fact.idle.iter().any(|code| !self.policy.accepts_code(fact.place, *code, row));
        self.open.iter().any(breaks)
    }

    /// Those of the rows that a rule that decides does not stand before: where it stays, only they can change anything.
    fn above(&self, decider: usize, rows: &Rows<W>) -> Rows<W> {
        let table = &self.policy.table;
        let own = table.rows.get(decider).map_or(0, rank);
        let mut above = rows.and(&table.bars_all_but.in_words());
        for row in rows.and(&table.rules.in_words()).iter() {
            if row == decider || table.rows.get(row).is_some_and(|row| rank(row) >= own) {
                above.insert(row);
            }
        }
        above
    }

    fn is_done(&self) -> bool {
        self.tries > TRIES_MAX || self.wanted & !self.found == 0
    }

    /// False where the same answers have been given in another order.
    fn is_new(&mut self, target: Option<usize>, answers: &[Answer]) -> bool {
        if answers.len() < 2 {
            return true;
        }
        let mut answers = answers.to_vec();
        answers.sort_unstable();
        self.seen.insert((target, answers))
    }

    /// Answers after answers, as long as nothing changes; the target is the row that is to decide, if a row is.
    fn toward(&mut self, target: Option<usize>, call: &Coded, answers: &mut Vec<Answer>) {
        if self.is_done() || !self.is_new(target, answers) {
            return;
        }
        self.tries += 1;
        let verdict = self.verdict(call);
        if verdict.program() != self.now {
            self.note(answers);
            return;
        }
        let rejects = |row: usize| {
            let mut columns = self.policy.table.columns.iter().zip(&call.codes).enumerate();
            let accepts = |place: usize, column: &Column, code: u16| {
                self.policy.table.accepts(place, column, code, call).contains(row)
            };
            columns.find(|(place, (column, code))| !accepts(*place, column, **code)).map(|(place, _)| place)
        };
        if let Some((row, place)) = target.and_then(|row| Some((row, rejects(row)?))) {
            self.answer(target, call, answers, 1 << place, Must::Meet(row));
            return;
        }
        for (columns, must) in self.obstacles(target, call, &verdict) {
            self.answer(target, call, answers, columns, must);
        }
    }

    /// What still stands in the way: columns of which one must be answered, and how. Every larger set that could change
    /// the route has one of them.
    fn obstacles(&self, target: Option<usize>, call: &Coded, verdict: &Verdict<W>) -> Vec<(u64, Must)> {
        let table = &self.policy.table;
        match verdict.way {
            Way::Unsure => {
                let first = verdict.exclusions.and(&table.bars_all.in_words()).least();
                let waiting = verdict.exclusions.and(&table.bars_all_but.in_words()).and(&verdict.soft);
                match (first, target.filter(|row| table.bars_all_but.contains(*row))) {
                    (Some(row), _) => vec![(u64::MAX, Must::Leave(row))],
                    (None, Some(row)) if waiting.contains(row) => self.to_be_certain(call, row),
                    (None, Some(_)) => {
                        waiting.iter().map(|row| (self.policy.paths.cells(row), Must::BeKnown)).collect()
                    }
                    (None, None) => waiting.iter().take(1).map(|row| (u64::MAX, Must::Leave(row))).collect(),
                }
            }
            Way::Excluded(row) if table.bars_all.contains(row) => Vec::new(),
            way => match (self.sending_elsewhere(way), target) {
                // The first that holds for certain decides, and holds whatever is answered.
                (Some(decider), Some(row)) if row == decider => self.obstacles_elsewhere(call, verdict, row),
                (Some(decider), Some(row)) if row < decider => self.to_be_certain(call, row),
                (Some(_), _) => Vec::new(),
                (None, _) => self.obstacles_of_rules(target, call, verdict),
            },
        }
    }

    /// The same where the target decides and leaves a co-response.
    fn obstacles_elsewhere(&self, call: &Coded, verdict: &Verdict<W>, exclusion: usize) -> Vec<(u64, Must)> {
        match verdict.way {
            Way::Excluded(_) => self.rules_to_come(call, exclusion),
            Way::Go { .. } => {
                let rules = self.policy.rules_but_for(call, self.moment, exclusion);
                rules.iter().map(|rule| (u64::MAX, Must::Leave(rule))).collect()
            }
            _ => self.policy.waited_for(call, self.moment, verdict, exclusion),
        }
    }

    /// An exclusion that holds for want of answers holds for certain once each of them is known: the first.
    fn to_be_certain(&self, call: &Coded, exclusion: usize) -> Vec<(u64, Must)> {
        let columns = self.policy.table.columns.iter().zip(&call.codes).enumerate();
        let mut soft = columns.filter(|(_, (column, code))| **code == 0 && column.soft.contains(exclusion));
        soft.next().map(|(place, _)| (1 << place, Must::BeKnown)).into_iter().collect()
    }

    /// The same where no exclusion decides.
    fn obstacles_of_rules(&self, target: Option<usize>, call: &Coded, verdict: &Verdict<W>) -> Vec<(u64, Must)> {
        let table = &self.policy.table;
        let own = target.and_then(|row| table.rows.get(row)).map(rank);
        let mut obstacles = Vec::new();
        for row in verdict.rules.iter() {
            let asked = self.policy.asked(row);
            let stands_before = table.rows.get(row).map(rank) >= own && asked & self.unknown(call) != 0;
            // A call goes past rules that send nobody, but for those that ask first.
            if target == Some(row) || self.now.is_some() {
                obstacles.extend(self.policy.waited_for(call, self.moment, verdict, row));
            }
            if stands_before || self.now.is_some() {
                obstacles.push((asked, Must::BeKnown));
                if target != Some(row) {
                    obstacles.push((u64::MAX, Must::Leave(row)));
                }
            }
        }
        obstacles
    }

    fn unknown(&self, call: &Coded) -> u64 {
        let codes = call.codes.iter().enumerate().filter(|(_, code)| **code == 0);
        codes.fold(0, |bits, (place, _)| bits | 1 << place)
    }

    /// A co-response exclusion sends only where a rule would take the call but for what it names.
    fn rules_to_come(&self, call: &Coded, exclusion: usize) -> Vec<(u64, Must)> {
        let table = &self.policy.table;
        let first = |rule: usize| {
            let columns = table.columns.iter().zip(&call.codes).enumerate();
            let mut counted = columns.filter(|(_, (column, _))| !column.asked_by.contains(exclusion));
            counted.find(|(place, (column, code))| !table.accepts(*place, column, **code, call).contains(rule))
        };
        self.live().iter().filter_map(|rule| Some((1 << first(rule)?.0, Must::Meet(rule)))).collect()
    }

    /// Every further answer to one of these columns that does what it must and that the target accepts.
    fn answer(&mut self, target: Option<usize>, call: &Coded, answers: &mut Vec<Answer>, columns: u64, must: Must) {
        let open = self.open;
        for fact in open.iter().filter(|fact| columns & (1 << fact.place) != 0) {
            if call.codes.get(fact.place) != Some(&0) {
                continue;
            }
            for code in fact.idle {
                let accepts = |row: usize| self.policy.accepts_code(fact.place, *code, row);
                let does = match must {
                    Must::Meet(row) => accepts(row),
                    Must::Leave(row) => !accepts(row),
                    Must::BeKnown => true,
                };
                if !does || !target.is_none_or(accepts) {
                    continue;
                }
                let changed = self.policy.table.changed(call, fact.place, *code);
                answers.push((fact.place, *code));
                self.toward(target, &changed, answers);
                answers.pop();
                if self.is_done() {
                    return;
                }
            }
        }
    }

    /// Notes the columns of a set that changes the route, where no part of it does.
    fn note(&mut self, answers: &[Answer]) {
        let bits = |answers: &[Answer]| answers.iter().fold(0_u64, |bits, (place, _)| bits | 1 << place);
        if bits(answers) & !self.found == 0 {
            return;
        }
        // An answer that alone takes away an exclusion that holds for want of one is in every part that changes anything.
        let mut needed = 0_u64;
        for row in self.holding.iter() {
            let mut leaving = answers.iter().filter(|(place, code)| !self.policy.accepts_code(*place, *code, row));
            if let (Some((place, _)), None) = (leaving.next(), leaving.next()) {
                needed |= 1 << place;
            }
        }
        let (always, others): (Vec<Answer>, Vec<Answer>) =
            answers.iter().partition(|(place, _)| needed & (1 << place) != 0);
        if others.len() > PARTS_MAX {
            for (place, _) in answers {
                let part: Vec<Answer> = answers.iter().filter(|(other, _)| other != place).copied().collect();
                self.found |= u64::from(!self.changes(&part)) << place;
            }
            return;
        }
        let whole = (1_u32 << others.len()) - 1;
        for chosen in 0..whole {
            let picked = others.iter().enumerate().filter(|(turn, _)| chosen & (1 << turn) != 0).map(|(_, one)| *one);
            let part: Vec<Answer> = always.iter().copied().chain(picked).collect();
            // One answer alone has been tried.
            if part.len() > 1 && self.changes(&part) {
                return;
            }
        }
        self.found |= bits(answers);
    }

    fn changes(&mut self, answers: &[Answer]) -> bool {
        self.tries += 1;
        let mut call = *self.call;
        for (place, code) in answers {
            self.policy.table.change(&mut call, *place, *code);
        }
        self.verdict(&call).program() != self.now
    }
}
