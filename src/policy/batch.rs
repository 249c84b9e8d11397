//! What would this policy have done with a year of calls? Calls in columns, decided by the same table, row for row.
//!
//! The columns know nothing of a policy: for each fact the values that occur, and for each profile which of them it has. A
//! policy reads each value once, then a call is one look-up for each fact; what an instant settles is worked out once for
//! each pattern of duty that occurs. The answers are those of [`Policy::route_only`], one by one.

use super::calls::{Calls, Group, NOT_STATED};
use super::column::ZoneSet;
use super::compile::Coded;
use super::duty_patterns::DutyPatterns;
use super::outcome::{Because, Outcome, StatusKind};
use super::route::Moment;
use super::row_set::{Rows, WORDS};
use super::tally::Counts;
use super::{Answer, Availability, Compiled, Policy, Tally};
use crate::facts::{Facts, Source};

impl Policy {
    /// What this policy does with these calls, counted. `availability` holds for all of them.
    #[must_use]
    pub fn what_if(&self, calls: &Calls, availability: &Availability) -> Tally {
        self.compiled.what_if(calls, availability)
    }

    /// What this policy does with each of these calls: the call's number as it was given, the number of the moment (equal
    /// where the same rows count and the same programs are on duty), and the answer. They come in the order of their
    /// profiles, not of their numbers.
    pub fn what_if_each(&self, calls: &Calls, availability: &Availability, each: impl FnMut(usize, usize, Answer<'_>)) {
        self.compiled.what_if_each(calls, availability, each);
    }
}

/// One call decided.
pub(super) struct Decided<'a> {
    number: u32,
    /// Hour of the day by the policy's clocks.
    pub hour: usize,
    /// Number of the zone's value, as the calls have it.
    pub zone: usize,
    moment: usize,
    pub outcome: Outcome<'a>,
}

/// What the table says of a call by some of its facts, in as many machine words as the rows need.
#[derive(Debug, Clone, Copy)]
struct Said<const W: usize> {
    /// Rows that accept them.
    accept: Rows<W>,
    /// The same, where answers may still change them: every row.
    free: Rows<W>,
    /// Rows that may hold only because one of them is not known.
    soft: Rows<W>,
    /// The columns' bits, where they are not known and can be asked.
    open: u64,
    /// The columns' bits, where the table does not know the value.
    strange: u64,
}

impl<const W: usize> Said<W> {
    /// Both together.
    #[inline]
    fn and(&mut self, other: &Self) {
        self.accept = self.accept.and(&other.accept);
        self.free = self.free.and(&other.free);
        self.soft = self.soft.or(&other.soft);
        self.open |= other.open;
        self.strange |= other.strange;
    }
}

/// What a policy makes of the values that occur.
struct Batch<'a, const W: usize> {
    calls: &'a Calls,
    /// What is said by the columns of which no call states anything.
    silent: Said<W>,
    groups: Vec<Shared<W>>,
    /// The zone's group, and by its number the call with that zone alone.
    zones: Option<(usize, Vec<Coded>)>,
    /// The nature's column in the calls, and its group.
    nature: Option<(usize, usize)>,
}

/// What a policy makes of the values of one group, by their shared number.
struct Shared<const W: usize> {
    /// Place of the group in the calls.
    of: usize,
    said: Vec<Said<W>>,
    /// Columns of the table in it, and by number and such a column the table's code.
    places: Vec<usize>,
    codes: Vec<u16>,
}

/// What a policy makes of the values of one of its columns.
struct Own<const W: usize> {
    place: usize,
    said: Vec<Said<W>>,
    coded: Vec<Coded>,
}

impl<'a, const W: usize> Batch<'a, W> {
    fn of(policy: &Compiled, calls: &'a Calls) -> Self {
        let table = &policy.table;
        let all = table.all.in_words();
        let mut silent = Said { accept: all, free: all, soft: Rows::EMPTY, open: 0, strange: 0 };
        let nothing = table.code(&Facts::default());
        // By column of the calls that the policy uses.
        let mut own: Vec<Option<Own<W>>> = calls.columns.iter().map(|_| None).collect();
        for (place, column) in table.columns.iter().enumerate() {
            let found = calls.columns.iter().zip(&mut own).find(|(stated, _)| stated.name == column.name);
            let Some((stated, own)) = found else {
                silent.and(&said(policy, place, &nothing));
                continue;
            };
            let values =
                stated.values.iter().map(|value| Facts::default().with(&column.name, value, Source::Structured));
            let coded: Vec<Coded> = std::iter::once(nothing).chain(values.map(|facts| table.code(&facts))).collect();
            *own = Some(Own { place, said: coded.iter().map(|call| said(policy, place, call)).collect(), coded });
        }
        let group_of = |name: &str| {
            let place = calls.columns.iter().position(|column| column.name == name)?;
            let group = calls.groups.iter().position(|group| group.columns.iter().any(|(own, _)| *own == place))?;
            Some((place, group))
        };
        let groups = calls.groups.iter().enumerate();
        let groups = groups.map(|(of, group)| Shared::new(of, group, &own)).filter(|group| !group.places.is_empty());
        let groups = groups.collect();
        let zones = own.into_iter().flatten().find(|own| table.zone_column == Some(own.place));
        let zones = zones.zip(group_of("zone")).map(|(own, (_, group))| (group, own.coded));
        Self { calls, silent, groups, zones, nature: group_of("nature") }
    }

    /// The zones of each number of a zone's value; none where no call states a zone.
    fn zone_sets(&self) -> Vec<ZoneSet> {
        self.zones.iter().flat_map(|(_, zones)| zones).map(|call| call.zones).collect()
    }

    /// What is said of a profile by all columns.
    #[inline]
    fn said(&self, numbers: &[u16]) -> Said<W> {
        let mut all = self.silent;
        for group in &self.groups {
            let number = numbers.get(group.of).copied().unwrap_or(NOT_STATED);
            if let Some(said) = group.said.get(usize::from(number)) {
                all.and(said);
            }
        }
        all
    }

    /// A profile's codes, in place of the last one's.
    fn code(&self, numbers: &[u16], strange: u64, call: &mut Coded) {
        let at = |of: usize| usize::from(numbers.get(of).copied().unwrap_or(NOT_STATED));
        for group in &self.groups {
            let codes = group.codes.iter().skip(at(group.of) * group.places.len());
            for (place, found) in group.places.iter().zip(codes) {
                call.codes.get_mut(*place).into_iter().for_each(|code| *code = *found);
            }
        }
        if let Some(zoned) = self.zones.as_ref().and_then(|(of, zones)| zones.get(at(*of))) {
            call.zones = zoned.zones;
            call.zone_rows = zoned.zone_rows;
        }
        call.strangers = strange;
    }

    /// As [`super::outcome::unassessed`] says of one call.
    fn unassessed(&self, profile: usize, numbers: &[u16], said: &Said<W>, nature: u64) -> Option<&'a str> {
        if said.strange != 0 {
            return Some("value-out-of-domain");
        }
        if let Some(why) = self.calls.gap(profile) {
            return Some(why);
        }
        if said.open & nature == 0 {
            return None;
        }
        let stated = self.nature.is_some_and(|(place, group)| {
            let number = usize::from(numbers.get(group).copied().unwrap_or(NOT_STATED));
            let mut each = self.calls.groups.get(group).into_iter().flat_map(|group| group.each(number));
            each.any(|(own, number)| own == place && number != usize::from(NOT_STATED))
        });
        Some(if stated { "nature-unknown" } else { "no-call-type" })
    }
}

impl<const W: usize> Shared<W> {
    fn new(of: usize, group: &Group, own: &[Option<Own<W>>]) -> Self {
        let nothing = Said { accept: Rows::EVERY, free: Rows::EVERY, soft: Rows::EMPTY, open: 0, strange: 0 };
        let used = || group.columns.iter().filter_map(|(place, _)| own.get(*place)?.as_ref());
        let mut shared =
            Self { of, said: Vec::new(), places: used().map(|own| own.place).collect(), codes: Vec::new() };
        if shared.places.is_empty() {
            return shared;
        }
        for number in 0..group.numbers {
            let mut all = nothing;
            for (place, value) in group.each(number) {
                let Some(own) = own.get(place).and_then(Option::as_ref) else { continue };
                own.said.get(value).into_iter().for_each(|said| all.and(said));
                shared
                    .codes
                    .push(own.coded.get(value).and_then(|call| call.codes.get(own.place)).copied().unwrap_or(0));
            }
            shared.said.push(all);
        }
        shared
    }
}

/// What the table says of a call by one column alone.
fn said<const W: usize>(policy: &Compiled, place: usize, call: &Coded) -> Said<W> {
    let table = &policy.table;
    let code = call.codes.get(place).copied().unwrap_or(0);
    let Some(column) = table.columns.get(place) else {
        return Said { accept: Rows::EMPTY, free: Rows::EMPTY, soft: Rows::EMPTY, open: 0, strange: 0 };
    };
    let accept = table.accepts(place, column, code, call).in_words();
    let open = code == 0 && column.askable;
    Said {
        accept,
        free: if open { Rows::EVERY } else { accept },
        soft: if code == 0 { column.soft.in_words() } else { Rows::EMPTY },
        open: u64::from(open) << place,
        strange: call.strangers & (1 << place),
    }
}

impl Compiled {
    pub(super) fn what_if(&self, calls: &Calls, availability: &Availability) -> Tally {
        let mut counts = Counts::new(self);
        let zones = self.run(calls, availability, |decided| counts.add(&decided));
        counts.tally(self, &zones)
    }

    pub(super) fn what_if_each(
        &self,
        calls: &Calls,
        availability: &Availability,
        mut each: impl FnMut(usize, usize, Answer<'_>),
    ) {
        self.run(calls, availability, |decided| {
            let number = usize::try_from(decided.number).unwrap_or(usize::MAX);
            each(number, decided.moment, self.told(decided.outcome));
        });
    }

    /// Decides every call, profile by profile, with as many machine words as the rows need. Returns the zones of each
    /// number of a zone's value.
    fn run<'a>(
        &'a self,
        calls: &'a Calls,
        availability: &'a Availability,
        each: impl FnMut(Decided<'a>),
    ) -> Vec<ZoneSet> {
        match self.table.words {
            0..=2 => self.run_in::<2>(calls, availability, each),
            3..=4 => self.run_in::<4>(calls, availability, each),
            5..=8 => self.run_in::<8>(calls, availability, each),
            _ => self.run_in::<WORDS>(calls, availability, each),
        }
    }

    fn run_in<'a, const W: usize>(
        &'a self,
        calls: &'a Calls,
        availability: &'a Availability,
        mut each: impl FnMut(Decided<'a>),
    ) -> Vec<ZoneSet> {
        let batch: Batch<'a, W> = Batch::of(self, calls);
        let mut moments = DutyPatterns::new(self, availability);
        let mut call = self.table.code(&Facts::default());
        let nature = self.table.nature_column.map_or(0, |place| 1 << place);
        let mut memo: Vec<Option<Outcome<'a>>> = Vec::new();
        for (profile, rows) in calls.by_profile().enumerate() {
            if rows.is_empty() {
                continue;
            }
            let numbers = calls.numbers(profile);
            let said = batch.said(numbers);
            let zone = batch.zones.as_ref().and_then(|(of, _)| numbers.get(*of)).copied().unwrap_or(NOT_STATED);
            let mut coded = false;
            let unassessed = batch.unassessed(profile, numbers, &said, nature);
            memo.clear();
            for (number, at) in rows {
                let (hour, moment) = moments.at(*at);
                let known = memo.get(moment).copied().flatten();
                let outcome = match (unassessed, known) {
                    (Some(why), _) => Outcome::unassessed(why),
                    (None, Some(outcome)) => outcome,
                    (None, None) => {
                        let Some(settled) = moments.get(moment) else { continue };
                        let outcome = self.hard_exclusion(&said, settled).unwrap_or_else(|| {
                            if !coded {
                                batch.code(numbers, said.strange, &mut call);
                                coded = true;
                            }
                            self.outcome_of(&call, &said, settled)
                        });
                        // A profile that occurs once needs no memory.
                        if rows.len() > 1 {
                            memo.resize(memo.len().max(moment + 1), None);
                            if let Some(place) = memo.get_mut(moment) {
                                *place = Some(outcome);
                            }
                        }
                        outcome
                    }
                };
                each(Decided { number: *number, hour, zone: usize::from(zone), moment, outcome });
            }
        }
        batch.zone_sets()
    }

    /// An exclusion that holds for certain and bars every program: most calls end here.
    fn hard_exclusion<'a, const W: usize>(&self, said: &Said<W>, moment: &Moment<'_>) -> Option<Outcome<'a>> {
        let barring = self.table.bars_all.in_words().and(&moment.effective.in_words());
        let row = said.accept.without(&said.soft).and(&barring).least()?;
        Some(Outcome { because: Because::Row(row), ..Outcome::new(StatusKind::Ineligible, Some(row)) })
    }

    fn outcome_of<'a, const W: usize>(&self, call: &Coded, said: &Said<W>, moment: &Moment<'_>) -> Outcome<'a> {
        let verdict = self.verdict_of(call, moment, &said.accept, said.soft, false);
        let reached = if self.may_need_answers(verdict.way) {
            let possible = said.free.and(&moment.effective.in_words());
            self.first_reachable(call, moment, said.open, &possible, &verdict.rules)
        } else {
            None
        };
        self.outcome(call, moment, verdict.way, reached)
    }
}
