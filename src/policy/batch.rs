//! What would this policy have done with a year of calls? Calls in columns, decided by the same table, row for row.
//!
//! The columns know nothing of a policy: for each fact the values that occur, and for each profile which of them it has. A
//! policy reads each value once, then a call is one look-up for each fact; what an instant settles is worked out once for
//! each pattern of duty that occurs. The answers are those of [`Policy::route_only`], one by one.

use super::column::ZoneSet;
use super::compile::Coded;
use super::duty_patterns::DutyPatterns;
use super::outcome::{Because, Outcome, StatusKind};
use super::route::Moment;
use super::row_set::RowSet;
use super::tally::Counts;
use super::{Answer, Availability, Compiled, Gap, Policy, Tally};
use crate::facts::{Facts, Source};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// Distinct values of one fact, at most.
const VALUES_MAX: usize = u16::MAX as usize - 1;
/// The value number of a fact of which nothing was stated.
const NOT_STATED: u16 = 0;

/// Facts that many calls share, and what could not be learnt of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// What is known.
    pub facts: Facts,
    /// What could not be learnt.
    pub gaps: Vec<Gap>,
}

/// Calls in columns: profiles, and for each profile the instants at which such a call came. Good for any policy.
#[derive(Debug, Default)]
pub struct Calls {
    columns: Vec<Column>,
    /// By profile and column: the number of the value, counted from 1.
    numbers: Vec<u16>,
    /// By profile: the gap for which it cannot be assessed, whatever the table says.
    gaps: Vec<Option<String>>,
    /// By profile: its first call in `rows`; one more at the end.
    starts: Vec<usize>,
    /// Grouped by profile: the call's number as it was given, and its instant.
    rows: Vec<(u32, Timestamp)>,
}

/// One fact of all profiles.
#[derive(Debug)]
struct Column {
    name: String,
    values: Vec<String>,
}

/// Why calls cannot be put in columns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnsError {
    /// A fact has too many different values.
    #[error("`{fact}` has more than {VALUES_MAX} different values")]
    TooManyValues {
        /// The fact.
        fact: String,
    },
    /// A call names a profile that is not there.
    #[error("call {call} names profile {profile}, and there are {profiles}")]
    NoSuchProfile {
        /// Number of the call, from 0.
        call: usize,
        /// The profile it names.
        profile: u32,
        /// How many there are.
        profiles: usize,
    },
}

impl Calls {
    /// Profiles, and calls as (profile, instant).
    ///
    /// # Errors
    /// Where a fact has more than 65,534 different values, or a call names a profile that is not there.
    pub fn new(profiles: &[Profile], calls: &[(u32, Timestamp)]) -> Result<Self, ColumnsError> {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for name in profiles.iter().flat_map(|profile| profile.facts.iter()).map(|(name, _)| name) {
            let next = places.len();
            places.entry(name).or_insert(next);
        }
        let mut values: Vec<Values<'_>> = places.iter().map(|_| Values::default()).collect();
        let mut numbers = vec![NOT_STATED; profiles.len() * places.len()];
        for (profile, numbers) in profiles.iter().zip(numbers.chunks_mut(places.len().max(1))) {
            for (name, known) in profile.facts.iter() {
                let place = places.get(name).copied().unwrap_or(0);
                if let (Some(values), Some(number)) = (values.get_mut(place), numbers.get_mut(place)) {
                    *number = values
                        .number(&known.value)
                        .ok_or_else(|| ColumnsError::TooManyValues { fact: name.to_owned() })?;
                }
            }
        }
        let mut columns: Vec<(usize, Column)> = Vec::new();
        for (name, place) in places {
            let values = values.get(place).map_or(&[][..], |values| &values.values);
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            columns.push((place, Column { name: name.to_owned(), values }));
        }
        columns.sort_unstable_by_key(|(place, _)| *place);
        let (starts, rows) = grouped(profiles.len(), calls)?;
        Ok(Self {
            columns: columns.into_iter().map(|(_, column)| column).collect(),
            numbers,
            gaps: profiles.iter().map(barring_gap).collect(),
            starts,
            rows,
        })
    }

    /// How many calls.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True where there is no call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// The values of a fact that occur, numbered from 1.
#[derive(Default)]
struct Values<'a> {
    numbers: HashMap<&'a str, u16>,
    values: Vec<&'a str>,
}

impl<'a> Values<'a> {
    fn number(&mut self, value: &'a str) -> Option<u16> {
        if let Some(number) = self.numbers.get(value) {
            return Some(*number);
        }
        let number = u16::try_from(self.values.len() + 1).ok().filter(|number| usize::from(*number) <= VALUES_MAX)?;
        self.values.push(value);
        self.numbers.insert(value, number);
        Some(number)
    }
}

/// Where the calls of each profile begin, and for each call its number and instant.
type Grouped = (Vec<usize>, Vec<(u32, Timestamp)>);

/// Calls grouped by profile, in order of time within each.
fn grouped(profiles: usize, calls: &[(u32, Timestamp)]) -> Result<Grouped, ColumnsError> {
    let mut order: Vec<(u32, Timestamp, u32)> = Vec::with_capacity(calls.len());
    for (call, (profile, at)) in calls.iter().enumerate() {
        if usize::try_from(*profile).map_or(true, |place| place >= profiles) {
            return Err(ColumnsError::NoSuchProfile { call, profile: *profile, profiles });
        }
        order.push((*profile, *at, u32::try_from(call).unwrap_or(u32::MAX)));
    }
    order.sort_unstable();
    let mut starts = Vec::with_capacity(profiles + 1);
    let mut next = 0;
    for profile in 0..=profiles {
        while order.get(next).is_some_and(|(own, ..)| usize::try_from(*own).is_ok_and(|own| own < profile)) {
            next += 1;
        }
        starts.push(next);
    }
    Ok((starts, order.into_iter().map(|(_, at, call)| (call, at)).collect()))
}

/// The gap that keeps a profile from being assessed under every policy.
fn barring_gap(profile: &Profile) -> Option<String> {
    let unsettled = |fact: &str| profile.facts.source(fact) != Some(Source::Answer);
    let bars = |gap: &&Gap| gap.why == "value-out-of-domain" && unsettled(&gap.fact);
    let about_nature = |gap: &&Gap| gap.fact == "nature" && unsettled("nature");
    let gaps = || profile.gaps.iter();
    gaps().find(bars).or_else(|| gaps().find(about_nature)).map(|gap| gap.why.clone())
}

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

/// What the table says of one value of one fact, in as many machine words as the rows need.
#[derive(Debug, Clone, Copy)]
struct Said<const W: usize> {
    /// Rows that accept it.
    accept: [u64; W],
    /// The same, where answers may still change it: every row.
    free: [u64; W],
    /// Rows that may hold only because it is not known.
    soft: [u64; W],
    /// The column's bit, where it is not known and can be asked.
    open: u64,
    /// The column's bit, where the table does not know the value.
    strange: u64,
}

impl<const W: usize> Said<W> {
    /// Both together.
    fn and(&mut self, other: &Self) {
        for place in 0..W {
            if let (Some(own), Some(other)) = (self.accept.get_mut(place), other.accept.get(place)) {
                *own &= other;
            }
            if let (Some(own), Some(other)) = (self.free.get_mut(place), other.free.get(place)) {
                *own &= other;
            }
            if let (Some(own), Some(other)) = (self.soft.get_mut(place), other.soft.get(place)) {
                *own |= other;
            }
        }
        self.open |= other.open;
        self.strange |= other.strange;
    }
}

/// What a policy makes of the values that occur.
struct Batch<'a, const W: usize> {
    calls: &'a Calls,
    /// What is said by the columns of which no call states anything.
    silent: Said<W>,
    /// By column that the policy uses: its place in the calls and in the table, and by value number what is said.
    said: Vec<(usize, usize, Vec<Said<W>>)>,
    /// By such a column and value number: the table's code.
    codes: Vec<Vec<u16>>,
    /// The zone's column: its place in the calls, and by value number the call with that zone alone.
    zones: Option<(usize, Vec<Coded>)>,
    nature: Option<usize>,
}

impl<'a, const W: usize> Batch<'a, W> {
    fn of(policy: &Compiled, calls: &'a Calls) -> Self {
        let table = &policy.table;
        let none = [0; W];
        let all = std::array::from_fn(|word| table.all.word(word));
        let mut batch = Self {
            calls,
            silent: Said { accept: all, free: all, soft: none, open: 0, strange: 0 },
            said: Vec::new(),
            codes: Vec::new(),
            zones: None,
            nature: calls.columns.iter().position(|column| column.name == "nature"),
        };
        let nothing = table.code(&Facts::default());
        for (place, column) in table.columns.iter().enumerate() {
            let Some((of, stated)) = calls.columns.iter().enumerate().find(|(_, stated)| stated.name == column.name)
            else {
                batch.silent.and(&said(policy, place, &nothing));
                continue;
            };
            let values =
                stated.values.iter().map(|value| Facts::default().with(&column.name, value, Source::Structured));
            let coded: Vec<Coded> = std::iter::once(nothing).chain(values.map(|facts| table.code(&facts))).collect();
            batch.said.push((of, place, coded.iter().map(|call| said(policy, place, call)).collect()));
            batch.codes.push(coded.iter().map(|call| call.codes.get(place).copied().unwrap_or(0)).collect());
            if table.zone_column == Some(place) {
                batch.zones = Some((of, coded));
            }
        }
        batch
    }

    /// The zones of each number of a zone's value; none where no call states a zone.
    fn zone_sets(&self) -> Vec<ZoneSet> {
        self.zones.iter().flat_map(|(_, zones)| zones).map(|call| call.zones).collect()
    }

    fn numbers(&self, profile: usize) -> &[u16] {
        let stride = self.calls.columns.len();
        self.calls.numbers.get(profile * stride..(profile + 1) * stride).unwrap_or_default()
    }

    /// What is said of a profile by all columns.
    fn said(&self, numbers: &[u16]) -> Said<W> {
        let mut all = self.silent;
        for (of, _, said) in &self.said {
            let number = numbers.get(*of).copied().unwrap_or(NOT_STATED);
            if let Some(said) = said.get(usize::from(number)) {
                all.and(said);
            }
        }
        all
    }

    /// A profile's codes, in place of the last one's.
    fn code(&self, numbers: &[u16], strange: u64, call: &mut Coded) {
        let at = |of: usize| usize::from(numbers.get(of).copied().unwrap_or(NOT_STATED));
        for ((of, place, _), codes) in self.said.iter().zip(&self.codes) {
            if let (Some(code), Some(found)) = (call.codes.get_mut(*place), codes.get(at(*of))) {
                *code = *found;
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
        if let Some(why) = self.calls.gaps.get(profile).and_then(Option::as_ref) {
            return Some(why);
        }
        if said.open & nature == 0 {
            return None;
        }
        let stated = self.nature.and_then(|of| numbers.get(of)).is_some_and(|number| *number != NOT_STATED);
        Some(if stated { "nature-unknown" } else { "no-call-type" })
    }
}

/// What the table says of a call by one column alone.
fn said<const W: usize>(policy: &Compiled, place: usize, call: &Coded) -> Said<W> {
    let table = &policy.table;
    let code = call.codes.get(place).copied().unwrap_or(0);
    let Some(column) = table.columns.get(place) else {
        return Said { accept: [0; W], free: [0; W], soft: [0; W], open: 0, strange: 0 };
    };
    let accept = table.accepts(place, column, code, call);
    let open = code == 0 && column.askable;
    Said {
        accept: std::array::from_fn(|word| accept.word(word)),
        free: std::array::from_fn(|word| if open { u64::MAX } else { accept.word(word) }),
        soft: std::array::from_fn(|word| if code == 0 { column.soft.word(word) } else { 0 }),
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
            0..=1 => self.run_in::<1>(calls, availability, each),
            2 => self.run_in::<2>(calls, availability, each),
            3..=4 => self.run_in::<4>(calls, availability, each),
            5..=8 => self.run_in::<8>(calls, availability, each),
            _ => self.run_in::<16>(calls, availability, each),
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
        for (profile, ends) in calls.starts.windows(2).enumerate() {
            let &[start, end] = ends else { break };
            let rows = calls.rows.get(start..end).unwrap_or_default();
            if rows.is_empty() {
                continue;
            }
            let numbers = batch.numbers(profile);
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
        let table = &self.table;
        let hard = |word: usize| {
            of(&said.accept, word) & !of(&said.soft, word) & table.bars_all.word(word) & moment.effective.word(word)
        };
        let row = RowSet::lowest(table.exclusion_words, hard)?;
        Some(Outcome { because: Because::Row(row), ..Outcome::new(StatusKind::Ineligible, Some(row)) })
    }

    fn outcome_of<'a, const W: usize>(&self, call: &Coded, said: &Said<W>, moment: &Moment<'_>) -> Outcome<'a> {
        let set = |words: &[u64; W]| RowSet::of_words(W, |word| of(words, word));
        let verdict = self.verdict_of(call, moment, &set(&said.accept), set(&said.soft), false);
        let reached = if self.may_need_answers(&verdict) {
            let possible = RowSet::of_words(W, |word| of(&said.free, word) & moment.effective.word(word));
            self.first_reachable(call, moment, said.open, &possible, &verdict.rules)
        } else {
            None
        };
        self.outcome(call, moment, &verdict, reached)
    }
}

fn of<const W: usize>(words: &[u64; W], word: usize) -> u64 {
    words.get(word).copied().unwrap_or(0)
}
