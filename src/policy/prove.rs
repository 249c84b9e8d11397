//! Proofs over all calls, of the compiled table: safeguards, and rules that overlap.
//!
//! Facts are finite once numbers are cut at the policy's thresholds; hours, capacities and rosters are free, so that every
//! program of a chain is taken to be the one that answers, for the calls within its area. Dates are cut where a row or a crew changes; a program's
//! crew is that of the shift's first day, so on the first date of a stretch the crew of the day before is proved too, where a
//! shift runs past midnight.

use super::boxes::{Box, TooHard};
use super::compile::rank;
use super::example::{ExampleCall, Shows};
use super::hours::Shift;
use super::language::{Cell, Promise, Row, Safeguard, SendTarget};
use super::ordered::{Party, View};
use super::row_set::RowSet;
use super::{Compiled, PolicyFault};
use jiff::civil::Date;
use serde::Serialize;
use std::collections::BTreeSet;

/// What is said of a question that needed more work than is allowed. It counts as failed.
pub(super) const TOO_HARD: &str = "this could not be proved within the bound of work";

/// How a safeguard came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The safeguard; built-in ones are `built-in.<name>`.
    pub safeguard: String,
    /// Lifted by a waiver, and so not proved.
    pub waived: bool,
    /// A call for which it does not hold, or why it could not be proved; `None` where it holds for every call.
    pub counter_example: Option<String>,
    /// That call.
    pub call: Option<ExampleCall>,
    /// Line in `policy.toml`, for authored ones.
    pub line: Option<u32>,
}

impl Proof {
    /// True where it holds for every call.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.waived && self.counter_example.is_none()
    }

    pub(super) fn of(safeguard: &str, line: Option<u32>, found: Result<Option<ExampleCall>, TooHard>) -> Self {
        let (counter_example, call) = match found {
            Ok(None) => (None, None),
            Ok(Some(call)) => (Some(call.text.clone()), Some(call)),
            Err(TooHard) => (Some(TOO_HARD.to_owned()), None),
        };
        Self { safeguard: safeguard.to_owned(), waived: false, counter_example, call, line }
    }
}

/// A stretch of dates on which the same rows are in effect, the same crews work and the same areas are served.
pub(super) struct Stretch {
    pub date: Date,
    pub surge: bool,
    pub effective: RowSet,
    /// By program: whether a team may come without an officer, and with one.
    without_officer: Vec<bool>,
    with_officer: Vec<bool>,
    /// By program: the entries of its area that are in effect.
    areas: Vec<u64>,
}

impl Stretch {
    /// The entries of a program's area that are in effect.
    pub(super) fn area(&self, program: usize) -> u64 {
        self.areas.get(program).copied().unwrap_or(0)
    }

    /// Whether a program may come in this way.
    pub(super) fn can(&self, program: usize, accompanied: bool) -> bool {
        let ways = if accompanied { &self.with_officer } else { &self.without_officer };
        ways.get(program).copied().unwrap_or(false)
    }
}

/// What a safeguard is about, resolved.
struct Claim<'a> {
    targets: &'a [SendTarget],
    when: Vec<Box>,
    /// Facts that its cells name.
    facts: BTreeSet<String>,
    /// Ways of coming, with an officer or without, from which exclusions alone keep every such call.
    excluded: Vec<bool>,
}

/// Everything that the safeguards' proofs share.
struct Prover<'a> {
    view: View<'a>,
    stretches: Vec<Stretch>,
    /// By row: the calls that it holds and for which a fact that it asks for is not known.
    unasked: Vec<Vec<Box>>,
    live: RowSet,
}

/// One program that comes in a party for a rule, with an officer or without.
struct Comes<'a> {
    party: &'a Party,
    program: usize,
    accompanied: bool,
    row: usize,
}

impl Comes<'_> {
    /// Everybody of the party, and whoever refers to it.
    fn all(&self) -> impl Iterator<Item = usize> + '_ {
        self.party.programs.iter().chain(&self.party.referred_by).copied()
    }

    /// Whether it may so come in a stretch, and then whether everybody of the party may have an officer with them.
    fn on(&self, stretch: &Stretch) -> Option<bool> {
        if !stretch.effective.contains(self.row) || !stretch.can(self.program, self.accompanied) {
            return None;
        }
        let mut others = self.all().filter(|other| *other != self.program);
        Some(self.accompanied && others.all(|other| stretch.can(other, true)))
    }
}

impl Compiled {
    /// This policy's rows in its own space.
    pub(super) fn view(&self) -> View<'_> {
        View { policy: self, space: &self.space, side: 0 }
    }

    /// Every safeguard, built-in and authored, over all calls.
    pub(super) fn proofs(&self, authored: &[Safeguard]) -> Vec<Proof> {
        let view = self.view();
        let prover = Prover {
            view,
            stretches: self.stretches(),
            unasked: view.unasked_by_row(),
            live: self.table.rules.without(&self.table.shadow),
        };
        let facts = self.sources.vocabulary.facts();
        let mut proofs = Vec::new();
        for (id, fact, values, all, _) in super::language::BUILT_IN {
            let waived = self.waivers.iter().any(|waiver| waiver.safeguard == id);
            let target = if all { SendTarget::Any } else { SendTarget::Unaccompanied };
            let cell = facts
                .iter()
                .enumerate()
                .find(|(_, known)| known.name == fact)
                .and_then(|(place, known)| Cell::parse(place, known, values).ok().flatten());
            let found = match cell {
                _ if waived => Ok(None),
                Some(cell) => prover.refute(&[target], &[cell]),
                // A built-in safeguard about a fact that is not there proves nothing.
                None => Err(TooHard),
            };
            proofs.push(Proof { waived, ..Proof::of(id, None, found) });
        }
        for safeguard in authored {
            let found = match &safeguard.promise {
                Promise::Never(targets) => prover.refute(targets, &safeguard.when),
                Promise::AlwaysOrdinary => prover.refute(&[SendTarget::Any], &safeguard.when),
                // Every answer of the table that is not a program is the ordinary route, and a route is one or the other.
                Promise::AlwaysSomebody => Ok(None),
            };
            proofs.push(Proof::of(&safeguard.id, Some(safeguard.line), found));
        }
        proofs.extend(self.monotone(&prover.stretches));
        proofs
    }

    /// Dates at which anything changes, the latest first (so that an example is of today rather than of long ago), each with
    /// what is in effect from it on.
    pub(super) fn stretches(&self) -> Vec<Stretch> {
        let mut dates: BTreeSet<Date> = BTreeSet::new();
        let crews = self.programs.iter().flat_map(|program| &program.crew).map(|crew| crew.effective);
        let areas = self.programs.iter().flat_map(|program| program.area.iter().flatten()).map(|area| area.effective);
        for effective in self.table.rows.iter().map(|row| row.effective).chain(crews).chain(areas) {
            dates.extend(effective.from);
            dates.extend(effective.to.and_then(|to| to.tomorrow().ok()));
        }
        let before = dates.first().and_then(|date| date.yesterday().ok());
        dates.insert(before.unwrap_or(jiff::civil::date(2026, 1, 1)));
        let mut stretches: Vec<Stretch> = Vec::new();
        let surges: &[bool] =
            if self.table.rows.iter().any(|row| row.surge.is_some()) { &[false, true] } else { &[false] };
        let each = dates.into_iter().rev().flat_map(|date| surges.iter().map(move |surge| (date, *surge)));
        for (date, surge) in each {
            let mut effective = RowSet::EMPTY;
            for (place, row) in self.table.rows.iter().enumerate() {
                if row.counts(date, surge) {
                    effective.insert(place);
                }
            }
            let on_some = |wanted: bool| {
                let programs = self.programs.iter();
                programs
                    .map(|program| {
                        // Yesterday's crew can still be out only where a shift runs past midnight.
                        let overnight = program.shifts.iter().any(Shift::runs_past_midnight);
                        let yesterday = date.yesterday().ok().filter(|_| overnight);
                        let mut staffed = [Some(date), yesterday].into_iter().flatten();
                        staffed.any(|date| program.staffed_on(date) && program.accompanied_on(date) == wanted)
                    })
                    .collect::<Vec<_>>()
            };
            let (without_officer, with_officer) = (on_some(false), on_some(true));
            let areas = self.programs.iter().map(|program| program.area_on(date)).collect();
            let stretch = Stretch { date, surge, effective, without_officer, with_officer, areas };
            let known = stretches.iter().any(|known| {
                known.effective == stretch.effective
                    && known.without_officer == stretch.without_officer
                    && known.with_officer == stretch.with_officer
                    && known.areas == stretch.areas
            });
            if !known {
                stretches.push(stretch);
            }
        }
        stretches
    }

    /// The names of the facts that a row's cells name.
    pub(super) fn facts_of_row(&self, row: usize) -> BTreeSet<String> {
        let columns = self.table.columns.iter().filter(|column| column.asked_by.contains(row));
        columns.map(|column| column.name.clone()).collect()
    }

    /// Rules of one rank that can hold for the same call and do not send alike.
    pub(super) fn overlaps(&self) -> Vec<PolicyFault> {
        let mut faults = Vec::new();
        let table = &self.table;
        let rules: Vec<(usize, &Row)> =
            table.rules.iter().filter_map(|place| Some((place, table.rows.get(place)?))).collect();
        let covers = self.space.rows(self.always_in_effect(&table.bars_all));
        for (turn, (place, rule)) in rules.iter().enumerate() {
            for (other_place, other) in rules.iter().skip(turn + 1) {
                if rank(rule) != rank(other) {
                    break;
                }
                if rule.sends_like(other)
                    || table.shadow.contains(*place) != table.shadow.contains(*other_place)
                    || !rule.counts_with(other)
                {
                    continue;
                }
                let both = self.space.meet_all(self.space.row(*place), self.space.row(*other_place));
                if let Some(told) = both.iter().find_map(|target| self.open_call(target, &covers, *place, *other_place))
                {
                    faults.push(PolicyFault {
                        file: super::language::POLICY_FILE.to_owned(),
                        line: Some(other.line),
                        key: other.id.clone(),
                        message: format!(
                            "`{}` and `{}` hold for the same call and send differently: {told}",
                            rule.id, other.id
                        ),
                        help: Some("give one of them a higher `rank`, or the same `send`".to_owned()),
                    });
                }
            }
        }
        faults
    }

    /// A call of the target that no exclusion holds, in words.
    fn open_call(&self, target: &Box, covers: &[&Box], one: usize, other: usize) -> Option<String> {
        match self.space.uncovered(target, covers) {
            Ok(None) => None,
            Ok(Some(call)) => {
                let named = self.facts_of_row(one).union(&self.facts_of_row(other)).cloned().collect();
                Some(self.who_and_what(&self.space.point(&call), &named))
            }
            Err(TooHard) => Some(TOO_HARD.to_owned()),
        }
    }

    /// Those of the rows that count on every date and in every mode.
    pub(super) fn always_in_effect(&self, rows: &RowSet) -> RowSet {
        self.table.dated.iter().fold(*rows, |rows, dated| {
            let mut one = RowSet::EMPTY;
            one.insert(*dated);
            rows.without(&one)
        })
    }
}

impl Prover<'_> {
    /// A call that goes to one of the targets although it meets `when`; `None` where there is none.
    fn refute(&self, targets: &[SendTarget], when: &[Cell]) -> Result<Option<ExampleCall>, TooHard> {
        let policy = self.view.policy;
        let vocabulary = policy.sources.vocabulary.facts();
        let names = when.iter().filter_map(|cell| vocabulary.get(cell.fact)).map(|fact| fact.name.to_string());
        let when = self.view.space.of_cells(&policy.table, when);
        let excluded = [true, false].into_iter().filter(|accompanied| self.excluded(&when, *accompanied)).collect();
        let claim = Claim { targets, when, facts: names.collect(), excluded };
        let mut hard = false;
        for row in self.live.iter() {
            match self.refute_rule(&claim, row) {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                // A call that another row sends is worth more than a question left open.
                Err(TooHard) => hard = true,
            }
        }
        for row in policy.table.bars_all_but.iter() {
            match self.refute_elsewhere(&claim, row) {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(TooHard) => hard = true,
            }
        }
        if hard { Err(TooHard) } else { Ok(None) }
    }

    /// Whether exclusions that hold on every date cover these calls: then no rule has to be looked at one by one.
    fn excluded(&self, when: &[Box], accompanied: bool) -> bool {
        let policy = self.view.policy;
        let covers = self.view.space.rows(policy.always_in_effect(&self.barring(accompanied)));
        when.iter().all(|own| self.view.space.uncovered(own, &covers) == Ok(None))
    }

    /// Exclusions that keep a rule's call from whoever comes with an officer, or without, whatever program it is.
    fn barring(&self, accompanied: bool) -> RowSet {
        let table = &self.view.policy.table;
        let barring = table.bars_all.or(&table.bars_all_but);
        if accompanied { barring } else { barring.or(&table.bars_unaccompanied) }
    }

    fn refute_rule(&self, claim: &Claim<'_>, row: usize) -> Result<Option<ExampleCall>, TooHard> {
        if claim.excluded == [true, false] {
            return Ok(None);
        }
        let view = &self.view;
        let targets = view.space.meet_all(view.row(row), &claim.when);
        let targets = view.with_known(targets, &view.ask(row), false);
        if targets.is_empty() {
            return Ok(None);
        }
        let always = view.policy.always_in_effect(&view.policy.table.all);
        for party in view.parties(row) {
            for program in &party.programs {
                let ways = self.ways(claim, *program).into_iter();
                for accompanied in ways.filter(|accompanied| !claim.excluded.contains(accompanied)) {
                    let comes = Comes { party: &party, program: *program, accompanied, row };
                    if let Some((call, stretch)) = self.reached(&targets, &comes, &always)? {
                        return Ok(Some(self.tell(claim, &call, *program, accompanied, row, stretch)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// A call of the targets to which a program may come in this way, and when.
    fn reached(&self, targets: &[Box], comes: &Comes<'_>, always: &RowSet) -> Result<Option<(Box, &Stretch)>, TooHard> {
        if !self.stretches.iter().any(|stretch| comes.on(stretch).is_some()) {
            return Ok(None);
        }
        // What is covered on every date needs no second look on each.
        let covers = self.before(comes, comes.accompanied, always);
        let mut open = Vec::new();
        for target in self.view.takeable_by(targets.to_vec(), comes.party, |_| u64::MAX) {
            if self.view.space.uncovered(&target, &covers)?.is_some() {
                open.push(target);
            }
        }
        if open.is_empty() {
            return Ok(None);
        }
        let dated = self.view.area_is_dated(comes.party);
        for stretch in &self.stretches {
            let Some(all_accompanied) = comes.on(stretch) else {
                continue;
            };
            let covers = self.before(comes, all_accompanied, &stretch.effective);
            let served = || self.view.takeable_by(targets.to_vec(), comes.party, |program| stretch.area(program));
            for target in &if dated { served() } else { open.clone() } {
                if let Some(call) = self.view.space.uncovered(target, &covers)? {
                    return Ok(Some((call, stretch)));
                }
            }
        }
        Ok(None)
    }

    /// What keeps a rule from a call whoever is on duty: exclusions, and facts not known that a rule of its rank or of a
    /// higher one asks for.
    fn before(&self, comes: &Comes<'_>, accompanied: bool, effective: &RowSet) -> Vec<&Box> {
        let table = &self.view.policy.table;
        let own = table.rows.get(comes.row).map_or(0, rank);
        let barring = table.bars_all.or(&table.bars_all_but).or(&table.bars_together(comes.all(), !accompanied));
        let mut covers = self.view.space.rows(barring.and(effective));
        let asking =
            self.live.and(effective).iter().filter(|other| table.rows.get(*other).is_some_and(|row| rank(row) >= own));
        covers.extend(asking.filter_map(|other| self.unasked.get(other)).flatten());
        covers
    }

    /// A co-response exclusion sends where it holds for certain and a rule would take the call but for what it names.
    fn refute_elsewhere(&self, claim: &Claim<'_>, row: usize) -> Result<Option<ExampleCall>, TooHard> {
        let view = &self.view;
        let table = &view.policy.table;
        // It sends only where an officer comes.
        let Some(program) = view.co_response(row).filter(|program| self.ways(claim, *program).contains(&true)) else {
            return Ok(None);
        };
        let wanted = view.space.meet_all(&view.hard(row), &claim.when);
        if view.takeable(wanted.clone(), program, u64::MAX).is_empty() {
            return Ok(None);
        }
        let others: Vec<usize> = table.bars_all_but.iter().filter(|other| *other != row).collect();
        let possible = |stretch: &&Stretch| stretch.effective.contains(row) && stretch.can(program, true);
        for stretch in self.stretches.iter().filter(possible) {
            let mut doubtful: Vec<Box> = Vec::new();
            for other in others.iter().filter(|other| stretch.effective.contains(**other)) {
                if view.co_response(*other) != Some(program) {
                    doubtful.extend(view.soft(*other));
                }
                if *other < row {
                    doubtful.extend(view.hard(*other));
                }
            }
            let barring = table.bars_all.or(&table.bars_of(program, true));
            let mut covers = view.space.rows(barring.and(&stretch.effective));
            covers.extend(&doubtful);
            let own = view.takeable(wanted.clone(), program, stretch.area(program));
            for target in view.space.meet_all(&own, &view.rules_but_for(row, &stretch.effective)) {
                if let Some(call) = view.space.uncovered(&target, &covers)? {
                    return Ok(Some(self.tell(claim, &call, program, true, row, stretch)));
                }
            }
        }
        Ok(None)
    }

    /// In which ways a program may come of which the claim speaks: with an officer, without.
    fn ways(&self, claim: &Claim<'_>, program: usize) -> Vec<bool> {
        let Some(known) = self.view.policy.programs.get(program) else {
            return Vec::new();
        };
        let speaks = |accompanied: bool| {
            claim.targets.iter().any(|target| match target {
                SendTarget::Any => true,
                SendTarget::Unaccompanied => !accompanied,
                SendTarget::Program(place) => *place == program,
                SendTarget::Kind(kind) => known.kind == *kind,
            })
        };
        [true, false].into_iter().filter(|accompanied| speaks(*accompanied)).collect()
    }

    fn tell(
        &self,
        claim: &Claim<'_>,
        call: &Box,
        program: usize,
        accompanied: bool,
        row: usize,
        stretch: &Stretch,
    ) -> ExampleCall {
        let policy = self.view.policy;
        let named = claim.facts.union(&policy.facts_of_row(row)).cloned().collect();
        let Stretch { effective, date, surge, .. } = stretch;
        let shows = Shows { effective, date: *date, surge: *surge, program, accompanied, row, named: &named };
        policy.example(call, &shows)
    }
}
