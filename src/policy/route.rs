//! Which way a call goes: the table's answer at one instant, without a word of explanation and without allocation.

use super::compile::{Coded, Table, rank};
use super::hours::{Shift, on_duty_since};
use super::language::{Bars, Program, Row, RowKind, StepForm};
use super::local_time::Local;
use super::row_set::{RowSet, Rows, WORDS};
use super::{Availability, Compiled};
use jiff::Timestamp;
use jiff::civil::Date;

/// What an instant settles, whatever the call: rows in effect, and who is on duty.
#[derive(Debug)]
pub(super) struct Moment<'a> {
    pub local: Local,
    /// Surge mode is on.
    pub surge: bool,
    /// Rows that count on the civil date, in this mode.
    pub effective: &'a RowSet,
    policy: &'a Compiled,
    availability: &'a Availability,
    /// By program, where many calls or questions are asked of one moment; else worked out when asked.
    known: Vec<Duty>,
}

impl Moment<'_> {
    /// A program's duty; `None` where there is no such program.
    pub(super) fn duty(&self, program: usize) -> Option<Duty> {
        match self.known.get(program) {
            Some(duty) => Some(*duty),
            None => Some(self.policy.duty(self.policy.programs.get(program)?, &self.local, self.availability)),
        }
    }

    /// The same moment with every program's duty worked out.
    pub(super) fn with_duties(mut self) -> Self {
        self.known = self
            .policy
            .programs
            .iter()
            .map(|program| self.policy.duty(program, &self.local, self.availability))
            .collect();
        self
    }
}

/// A program at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Duty {
    /// The date on which the shift on duty began, the civil date where none is.
    pub shift_date: Date,
    pub state: DutyState,
    pub accompanied: bool,
    /// Entries of its area that are in effect on the civil date, as bits.
    pub area: u64,
}

/// Whether a program could take any call at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum DutyState {
    Open,
    Closed,
    /// No crew is set for the date.
    NoCrew,
    /// Nobody on duty, by what is known of the roster.
    Unstaffed,
    /// The post that decides for it is not on duty.
    NoDecider,
    /// As many calls as it can hold.
    Full,
}

/// Whether one program can take one call now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Can {
    Take,
    /// This exclusion bars it.
    Barred(usize),
    /// This exclusion bars it for want of an answer.
    Waits(usize),
    OutOfArea,
    OutOfHours,
    NoUnit,
    /// Its decider is not on duty.
    NoDecider,
    /// This fact must be known (place in the vocabulary).
    Missing(usize),
    /// This fact is known to be absent.
    Absent(usize),
}

/// Where the table sends a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// This exclusion means the ordinary route.
    Excluded(usize),
    /// Exclusions hold for want of an answer.
    Unsure,
    /// No rule holds.
    NoRule,
    /// This row would send, but these facts must be known first.
    Ask(usize),
    /// This rule's programs are all barred, the nearest by this exclusion (an officer is needed, for the built-in ones).
    Barred { rule: usize, by: usize },
    /// This row would send; nobody in its chain can take the call now.
    Nobody { row: usize, why: Can },
    /// This row sends, beginning with this step of its chain (0 for an exclusion) and this program.
    Go { row: usize, step: usize, program: usize },
}

/// Of a call's exclusions those that bar some programs and leave the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Barring<'a, const W: usize> {
    exclusions: &'a Rows<W>,
    soft: &'a Rows<W>,
    /// False where there is none, as mostly.
    any: bool,
}

/// The table's answer, its rows in as many machine words as whoever asks needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdict<const W: usize = WORDS> {
    pub way: Way,
    /// Exclusions that hold.
    pub exclusions: Rows<W>,
    /// Rules that hold and are not in shadow.
    pub rules: Rows<W>,
    /// Rows that may hold only for want of an answer.
    pub soft: Rows<W>,
}

impl<const W: usize> Verdict<W> {
    /// The exclusions that bar some programs only.
    pub(super) fn barring(&self, table: &Table) -> Barring<'_, W> {
        table.barring(&self.exclusions, &self.soft)
    }

    /// The program that the call goes to first, `None` for the ordinary route.
    pub(super) fn program(&self) -> Option<usize> {
        match self.way {
            Way::Go { program, .. } => Some(program),
            _ => None,
        }
    }
}

impl Compiled {
    /// What an instant settles. No allocation.
    pub(super) fn moment<'a>(&'a self, at: Timestamp, availability: &'a Availability) -> Moment<'a> {
        self.moment_of(self.local_time.at(at), availability)
    }

    pub(super) fn moment_of<'a>(&'a self, local: Local, availability: &'a Availability) -> Moment<'a> {
        let surge = availability.surge;
        let effective = self.table.effective_on(local.date, surge);
        Moment { local, surge, effective, policy: self, availability, known: Vec::new() }
    }

    fn duty(&self, program: &Program, local: &Local, availability: &Availability) -> Duty {
        let surge = availability.surge;
        let on_duty = |shifts: &[Shift]| on_duty_since(shifts, local, &self.time_zone, &self.holidays, surge);
        let since = on_duty(&program.shifts);
        let shift_date = since.unwrap_or(local.date);
        // Programs that share units are full together, and away together.
        let pool = program.units_of.and_then(|place| self.programs.get(place)).unwrap_or(program);
        let load = self.load_of(pool, availability);
        let unstaffed = |program: &Program| availability.unstaffed.contains(&program.id);
        let decider = program.decider.and_then(|place| self.deciders.get(place));
        let decided = decider.is_none_or(|decider| {
            !availability.deciders_away.contains(&decider.id) && on_duty(&decider.shifts).is_some()
        });
        let capacity = pool.capacity_on(local.date, surge);
        let state = if !program.staffed_on(shift_date) {
            DutyState::NoCrew
        } else if since.is_none() {
            DutyState::Closed
        } else if unstaffed(program) || unstaffed(pool) {
            DutyState::Unstaffed
        } else if !decided {
            DutyState::NoDecider
        } else if capacity.is_some_and(|capacity| load >= capacity) {
            DutyState::Full
        } else {
            DutyState::Open
        };
        Duty { shift_date, state, accompanied: program.accompanied_on(shift_date), area: program.area_on(local.date) }
    }

    /// Calls that a program's units hold, for itself and for those who share them.
    fn load_of(&self, pool: &Program, availability: &Availability) -> u32 {
        let load = |program: &Program| availability.load.get(&program.id).copied().unwrap_or(0);
        let shares = |other: &&Program| {
            let of = other.units_of.and_then(|place| self.programs.get(place));
            of.is_some_and(|of| of.id == pool.id)
        };
        let shared = if availability.load.is_empty() { 0 } else { self.programs.iter().filter(shares).map(load).sum() };
        load(pool).saturating_add(shared)
    }

    /// The live rules' answer.
    pub(super) fn verdict(&self, call: &Coded, moment: &Moment<'_>) -> Verdict {
        self.verdict_in(call, moment)
    }

    /// The same in as many words as the rows need.
    pub(super) fn verdict_in<const W: usize>(&self, call: &Coded, moment: &Moment<'_>) -> Verdict<W> {
        self.verdict_of(call, moment, &self.table.matching(call), self.table.soft(call), false)
    }

    /// The answer of the rules in shadow.
    pub(super) fn shadow_verdict(&self, call: &Coded, moment: &Moment<'_>) -> Verdict {
        self.verdict_of(call, moment, &self.table.matching(call), self.table.soft(call), true)
    }

    /// The answer where the rows that match and those that may be soft are known already.
    pub(super) fn verdict_of<const W: usize>(
        &self,
        call: &Coded,
        moment: &Moment<'_>,
        matching: &Rows<W>,
        soft: Rows<W>,
        shadow: bool,
    ) -> Verdict<W> {
        let (all_rules, in_shadow) = (self.table.rules.in_words(), self.table.shadow.in_words());
        let held = matching.and(&moment.effective.in_words());
        let (exclusions, rules) = (held.without(&all_rules), held.and(&all_rules));
        let rules = if shadow { rules.and(&in_shadow) } else { rules.without(&in_shadow) };
        let way = self.way(call, moment, &exclusions, &rules, &soft);
        Verdict { way, exclusions, rules, soft }
    }

    fn way<const W: usize>(
        &self,
        call: &Coded,
        moment: &Moment<'_>,
        exclusions: &Rows<W>,
        rules: &Rows<W>,
        soft: &Rows<W>,
    ) -> Way {
        let table = &self.table;
        let all = exclusions.and(&table.bars_all.in_words());
        if let Some(row) = all.without(soft).least() {
            return Way::Excluded(row);
        }
        let elsewhere = exclusions.and(&table.bars_all_but.in_words());
        let hard = elsewhere.without(soft).least();
        let unsure = !all.is_empty() || {
            // Exclusions that hold for want of an answer change nothing where all send to the same co-response.
            let target = hard.and_then(|row| self.target(row));
            elsewhere.and(soft).iter().any(|row| self.target(row) != target)
        };
        if unsure {
            return Way::Unsure;
        }
        match hard {
            Some(row) => self.elsewhere(call, moment, row, table.barring(exclusions, soft)),
            None => self.by_rules(call, moment, table.barring(exclusions, soft), rules),
        }
    }

    fn target(&self, row: usize) -> Option<usize> {
        match self.table.rows.get(row).map(|row| &row.kind) {
            Some(RowKind::Exclusion(Bars::AllBut(program))) => Some(*program),
            _ => None,
        }
    }

    /// An exclusion sends to a co-response, where a rule would take the call but for what the exclusion names.
    fn elsewhere<const W: usize>(&self, call: &Coded, moment: &Moment<'_>, row: usize, barring: Barring<'_, W>) -> Way {
        let Some(target) = self.target(row) else {
            return Way::Excluded(row);
        };
        if self.rules_but_for(call, moment, row).is_empty() {
            return Way::Excluded(row);
        }
        let Some(duty) = moment.duty(target) else {
            return Way::Excluded(row);
        };
        // A co-response whose officer is away is not what the exclusion sends to, whatever bars the unaccompanied.
        let barring = Barring { any: barring.any && duty.accompanied, ..barring };
        match self.can_take(call, target, &duty, barring) {
            Can::Take if duty.accompanied => Way::Go { row, step: 0, program: target },
            Can::Missing(_) | Can::Waits(_) => Way::Ask(row),
            Can::Barred(by) => Way::Barred { rule: row, by },
            why => Way::Nobody { row, why: if why == Can::Take { Can::NoUnit } else { why } },
        }
    }

    /// Live rules that hold when the facts that a row names are left out of account.
    pub(super) fn rules_but_for(&self, call: &Coded, moment: &Moment<'_>, row: usize) -> RowSet {
        let table = &self.table;
        let free: RowSet = table.matching_but(call, |_, column| column.asked_by.contains(row));
        free.and(&table.rules).without(&table.shadow).and(moment.effective)
    }

    fn by_rules<const W: usize>(
        &self,
        call: &Coded,
        moment: &Moment<'_>,
        barring: Barring<'_, W>,
        rules: &Rows<W>,
    ) -> Way {
        let mut best: Option<Way> = None;
        let mut tried: Option<i64> = None;
        for row in rules.iter() {
            let Some(rule) = self.table.rows.get(row) else {
                continue;
            };
            // Rules of one rank that hold together send alike (proved when the policy is compiled).
            if tried == Some(rank(rule)) {
                continue;
            }
            tried = Some(rank(rule));
            if self.unasked(call, rules, rule) {
                return Way::Ask(row);
            }
            let way = self.by_rule(call, moment, row, rule, barring);
            match way {
                Way::Go { .. } => return way,
                _ => best = Some(best.map_or(way, |best| nearer(best, way))),
            }
        }
        best.unwrap_or_else(|| match barring.hard(&self.table.bars_unaccompanied.in_words()) {
            Some(row) => Way::Excluded(row),
            None => Way::NoRule,
        })
    }

    /// True where a rule of this rank that holds asks for a fact that is not known.
    fn unasked<const W: usize>(&self, call: &Coded, rules: &Rows<W>, rule: &Row) -> bool {
        let same_rank = rules.iter().filter_map(|row| self.table.rows.get(row)).filter(|row| rank(row) == rank(rule));
        same_rank.into_iter().any(|row| match &row.kind {
            RowKind::Rule { ask, .. } => ask.iter().any(|fact| !self.table.known(call, *fact)),
            RowKind::Exclusion(_) => false,
        })
    }

    fn by_rule<const W: usize>(
        &self,
        call: &Coded,
        moment: &Moment<'_>,
        row: usize,
        rule: &Row,
        barring: Barring<'_, W>,
    ) -> Way {
        let RowKind::Rule { send, .. } = &rule.kind else {
            return Way::NoRule;
        };
        let mut best: Option<Way> = None;
        for (place, step) in send.iter().enumerate() {
            let mut willing = 0;
            for program in &step.programs {
                let Some(duty) = moment.duty(*program) else {
                    continue;
                };
                let way = match self.can_take(call, *program, &duty, barring) {
                    Can::Take => {
                        willing += 1;
                        match step.form {
                            StepForm::AnyOf => return Way::Go { row, step: place, program: *program },
                            // All of a tandem, and its first leads; a referral is no way of its own.
                            StepForm::AllOf if willing == step.programs.len() => {
                                let lead = step.programs.first().copied().unwrap_or(*program);
                                return Way::Go { row, step: place, program: lead };
                            }
                            StepForm::AllOf | StepForm::ReferredBy(_) => continue,
                        }
                    }
                    _ if matches!(step.form, StepForm::ReferredBy(_)) => continue,
                    Can::Missing(_) | Can::Waits(_) => Way::Ask(row),
                    Can::Barred(by) => Way::Barred { rule: row, by },
                    why => Way::Nobody { row, why },
                };
                best = Some(best.map_or(way, |best| nearer(best, way)));
            }
        }
        best.unwrap_or(Way::NoRule)
    }

    /// Whether a program can take a call now.
    pub(super) fn can_take<const W: usize>(
        &self,
        call: &Coded,
        place: usize,
        duty: &Duty,
        barring: Barring<'_, W>,
    ) -> Can {
        let Some(program) = self.programs.get(place) else {
            return Can::NoUnit;
        };
        let bars = if barring.any { self.table.bars_of(place, duty.accompanied) } else { Rows::EMPTY };
        if let Some(by) = barring.hard(&bars) {
            return Can::Barred(by);
        }
        let mut missing = None;
        if let Some(mut area) = program.zones_of(duty.area) {
            match self
                .table
                .zone_column
                .and_then(|place| Some((self.table.columns.get(place)?, call.codes.get(place)?)))
            {
                Some((_, code)) if *code != 0 => {
                    if !area.any(|zone| call.zones.holds(zone)) {
                        return Can::OutOfArea;
                    }
                }
                Some((column, _)) => missing = Some(column.fact),
                None => return Can::OutOfArea,
            }
        }
        match duty.state {
            DutyState::Closed => return Can::OutOfHours,
            DutyState::NoDecider => return Can::NoDecider,
            DutyState::NoCrew | DutyState::Unstaffed | DutyState::Full => return Can::NoUnit,
            DutyState::Open => {}
        }
        for fact in &program.required {
            match self.table.code_at(call, *fact) {
                Some((_, 0)) | None => missing = missing.or(Some(*fact)),
                Some((column, code)) if column.absent == Some(code) => return Can::Absent(*fact),
                Some(_) => {}
            }
        }
        match (missing, barring.soft(&bars)) {
            (Some(fact), _) => Can::Missing(fact),
            (None, Some(by)) => Can::Waits(by),
            (None, None) => Can::Take,
        }
    }

    /// The columns, as bits, of which [`Compiled::can_take`] wants other values, whoever is on duty; `None` where none would do.
    pub(super) fn lacks(&self, call: &Coded, program: &Program, duty: &Duty) -> Option<u64> {
        let table = &self.table;
        let mut lacks = 0;
        if let Some(mut area) = program.zones_of(duty.area) {
            let place = table.zone_column?;
            let known = call.codes.get(place).is_some_and(|code| *code != 0);
            lacks |= u64::from(!(known && area.any(|zone| call.zones.holds(zone)))) << place;
        }
        for fact in &program.required {
            let place = table.place_of(*fact)?;
            let (column, code) = (table.columns.get(place)?, *call.codes.get(place)?);
            lacks |= u64::from(code == 0 || column.absent == Some(code)) << place;
        }
        Some(lacks)
    }

    /// The program that a call goes to first, of which the rows that hold are known; none of them bars all.
    pub(super) fn goes<const W: usize>(&self, call: &Coded, moment: &Moment<'_>, held: &Rows<W>) -> Option<usize> {
        // What may hold for want of an answer matters to exclusions only.
        let sends_elsewhere = !held.and(&self.table.bars_all_but.in_words()).is_empty();
        let soft = if sends_elsewhere { self.table.soft(call) } else { Rows::EMPTY };
        self.verdict_of(call, moment, held, soft, false).program()
    }
}

impl<const W: usize> Barring<'_, W> {
    /// The first of these rows that holds for certain.
    fn hard(&self, rows: &Rows<W>) -> Option<usize> {
        if self.any { self.exclusions.and(rows).without(self.soft).least() } else { None }
    }

    /// The first of them that holds for want of an answer.
    fn soft(&self, rows: &Rows<W>) -> Option<usize> {
        if self.any { self.exclusions.and(rows).and(self.soft).least() } else { None }
    }
}

/// Of two failures the one nearer to a team: an answer away, then a free unit, hours, area, a thing that is not there.
fn nearer(one: Way, other: Way) -> Way {
    let distance = |way: &Way| match way {
        Way::Ask(_) => 0,
        Way::Nobody { why: Can::NoUnit | Can::NoDecider, .. } => 1,
        Way::Nobody { why: Can::OutOfHours, .. } => 2,
        Way::Nobody { why: Can::OutOfArea, .. } => 3,
        Way::Nobody { .. } => 4,
        Way::Barred { .. } => 5,
        _ => 6,
    };
    if distance(&other) < distance(&one) { other } else { one }
}

impl Table {
    fn barring<'a, const W: usize>(&self, exclusions: &'a Rows<W>, soft: &'a Rows<W>) -> Barring<'a, W> {
        Barring { exclusions, soft, any: !exclusions.and(&self.bars_some.in_words()).is_empty() }
    }

    /// The row's identifier.
    pub(super) fn id(&self, row: usize) -> &str {
        self.rows.get(row).map_or("", |row| row.id.as_str())
    }
}
