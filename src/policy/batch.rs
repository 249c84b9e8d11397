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

/// What the table says of a call by some of its facts, in as many machine words as the rows need: what most calls are told by,
/// kept apart from the rest, so that more of it stays in a cache.
#[derive(Debug, Clone, Copy)]
struct Said<const W: usize> {
    /// Rows that accept them; and the row after the last one, where nothing of them keeps the call from being assessed.
    accept: Rows<W>,
    /// Rows that may hold only because one of them is not known.
    soft: Rows<W>,
}

/// What else it says.
#[derive(Debug, Clone, Copy)]
struct Open<const W: usize> {
    /// The rows that accept them where answers may still change them: every row.
    free: Rows<W>,
    /// The columns' bits, where they are not known and can be asked.
    open: u64,
    /// True where the table does not know a value.
    strange: bool,
}

impl<const W: usize> Said<W> {
    const NOTHING: Self = Self { accept: Rows::EVERY, soft: Rows::EMPTY };

    /// Both together.
    #[inline]
    fn and(&self, other: &Self) -> Self {
        Self { accept: self.accept.and(&other.accept), soft: self.soft.or(&other.soft) }
    }
}

impl<const W: usize> Open<W> {
    const NOTHING: Self = Self { free: Rows::EVERY, open: 0, strange: false };

    fn and(&self, other: &Self) -> Self {
        Self { free: self.free.and(&other.free), open: self.open | other.open, strange: self.strange || other.strange }
    }
}

/// What a policy makes of the values that occur.
struct Batch<'a, const W: usize> {
    calls: &'a Calls,
    /// What is said by the columns of which no call states anything.
    silent: (Said<W>, Open<W>),
    groups: Vec<Shared<W>>,
    /// The zone's group, and by its number the call with that zone alone.
    zones: Option<(usize, Vec<Coded>)>,
    /// The nature's column in the calls, and its group.
    nature: Option<(usize, usize)>,
    /// The number after that of the last row: held where a call can be assessed.
    assessable: usize,
}

/// What a policy makes of the values of one group, by their shared number.
struct Shared<const W: usize> {
    /// Place of the group in the calls.
    of: usize,
    said: Vec<Said<W>>,
    open: Vec<Open<W>>,
    /// Columns of the table in it, and by number and such a column the table's code.
    places: Vec<usize>,
    codes: Vec<u16>,
}

/// What a policy makes of the values of one of its columns.
struct Own<const W: usize> {
    place: usize,
    said: Vec<(Said<W>, Open<W>)>,
    coded: Vec<Coded>,
}

impl<'a, const W: usize> Batch<'a, W> {
    fn of(policy: &Compiled, calls: &'a Calls) -> Self {
        let table = &policy.table;
        let mut silent = (Said::NOTHING, Open::NOTHING);
        let nothing = table.code(&Facts::default());
        // By column of the calls that the policy uses.
        let mut own: Vec<Option<Own<W>>> = calls.columns.iter().map(|_| None).collect();
        for (place, column) in table.columns.iter().enumerate() {
            let found = calls.columns.iter().zip(&mut own).find(|(stated, _)| stated.name == column.name);
            let Some((stated, own)) = found else {
                let (said, open) = said(policy, place, &nothing);
                silent = (silent.0.and(&said), silent.1.and(&open));
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
        Self { calls, silent, groups, zones, nature: group_of("nature"), assessable: table.rows.len() }
    }

    /// The zones of each number of a zone's value; none where no call states a zone.
    fn zone_sets(&self) -> Vec<ZoneSet> {
        self.zones.iter().flat_map(|(_, zones)| zones).map(|call| call.zones).collect()
    }

    /// What is said of a profile by all columns.
    #[inline]
    fn said(&self, numbers: &[u16]) -> Said<W> {
        let each = self.groups.iter().filter_map(|group| group.said.get(group.number(numbers)));
        each.fold(self.silent.0, |all, said| all.and(said))
    }

    fn open(&self, numbers: &[u16]) -> Open<W> {
        let each = self.groups.iter().filter_map(|group| group.open.get(group.number(numbers)));
        each.fold(self.silent.1, |all, open| all.and(open))
    }

    /// A profile's codes, in place of the last one's.
    fn code(&self, numbers: &[u16], call: &mut Coded) {
        let at = |of: usize| usize::from(numbers.get(of).copied().unwrap_or(NOT_STATED));
        for group in &self.groups {
            let codes = group.codes.iter().skip(group.number(numbers) * group.places.len());
            for (place, found) in group.places.iter().zip(codes) {
                call.codes.get_mut(*place).into_iter().for_each(|code| *code = *found);
            }
        }
        if let Some(zoned) = self.zones.as_ref().and_then(|(of, zones)| zones.get(at(*of))) {
            call.zones = zoned.zones;
            call.zone_rows = zoned.zone_rows;
        }
    }

    /// As [`super::outcome::unassessed`] says of one call.
    fn unassessed(&self, profile: usize, numbers: &[u16], said: &Said<W>) -> Option<&'a str> {
        let gap = self.calls.gap(profile);
        if said.accept.contains(self.assessable) {
            return gap;
        }
        if self.open(numbers).strange {
            return Some("value-out-of-domain");
        }
        if gap.is_some() {
            return gap;
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
        let used = || group.columns.iter().filter_map(|(place, _)| own.get(*place)?.as_ref());
        let places = used().map(|own| own.place).collect();
        let mut shared = Self { of, said: Vec::new(), open: Vec::new(), places, codes: Vec::new() };
        if shared.places.is_empty() {
            return shared;
        }
        for number in 0..group.numbers {
            let mut all = (Said::NOTHING, Open::NOTHING);
            for (place, value) in group.each(number) {
                let Some(own) = own.get(place).and_then(Option::as_ref) else { continue };
                if let Some((said, open)) = own.said.get(value) {
                    all = (all.0.and(said), all.1.and(open));
                }
                shared
                    .codes
                    .push(own.coded.get(value).and_then(|call| call.codes.get(own.place)).copied().unwrap_or(0));
            }
            shared.said.push(all.0);
            shared.open.push(all.1);
        }
        shared
    }

    /// A profile's number.
    fn number(&self, numbers: &[u16]) -> usize {
        usize::from(numbers.get(self.of).copied().unwrap_or(NOT_STATED))
    }
}

/// What the table says of a call by one column alone.
fn said<const W: usize>(policy: &Compiled, place: usize, call: &Coded) -> (Said<W>, Open<W>) {
    let table = &policy.table;
    let code = call.codes.get(place).copied().unwrap_or(0);
    let Some(column) = table.columns.get(place) else { return (Said::NOTHING, Open::NOTHING) };
    let mut accept = table.accepts(place, column, code, call).in_words();
    let strange = call.strangers & (1 << place) != 0;
    let is_open = code == 0 && column.askable;
    let free = if is_open { Rows::EVERY } else { accept };
    let is_nature = table.nature_column == Some(place);
    if !(strange || (is_open && is_nature)) {
        accept.insert(table.rows.len());
    }
    let said = Said { accept, soft: if code == 0 { column.soft.in_words() } else { Rows::EMPTY } };
    (said, Open { free, open: u64::from(is_open) << place, strange })
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
        // There is one number more than there are rows.
        match self.table.rows.len() / 64 {
            0..2 => self.run_in::<2>(calls, availability, each),
            2..4 => self.run_in::<4>(calls, availability, each),
            4..8 => self.run_in::<8>(calls, availability, each),
            8..WORDS => self.run_in::<WORDS>(calls, availability, each),
            _ => self.run_in::<{ WORDS + 1 }>(calls, availability, each),
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
        let mut memo: Vec<Option<Outcome<'a>>> = Vec::new();
        for (profile, rows) in calls.by_profile().enumerate() {
            if rows.is_empty() {
                continue;
            }
            let numbers = calls.numbers(profile);
            let said = batch.said(numbers);
            let zone = batch.zones.as_ref().and_then(|(of, _)| numbers.get(*of)).copied().unwrap_or(NOT_STATED);
            let mut open: Option<Open<W>> = None;
            let unassessed = batch.unassessed(profile, numbers, &said);
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
                            let open = open.get_or_insert_with(|| {
                                batch.code(numbers, &mut call);
                                batch.open(numbers)
                            });
                            self.outcome_of(&call, &said, open, settled)
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

    fn outcome_of<'a, const W: usize>(
        &self,
        call: &Coded,
        said: &Said<W>,
        open: &Open<W>,
        moment: &Moment<'_>,
    ) -> Outcome<'a> {
        let verdict = self.verdict_of(call, moment, &said.accept, said.soft, false);
        let reached = if self.may_need_answers(verdict.way) {
            let possible = open.free.and(&moment.effective.in_words());
            self.first_reachable(call, moment, open.open, &possible, &verdict.rules)
        } else {
            None
        };
        self.outcome(call, moment, verdict.way, reached)
    }
}
