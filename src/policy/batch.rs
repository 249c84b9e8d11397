//! What would this policy have done with a year of calls? Calls in columns, decided by the same table, row for row.
//!
//! The columns know nothing of a policy: for each fact the values that occur, and for each profile which of them it has. A
//! policy reads each value once, then every call is a few array look-ups; what an instant settles is worked out once for each
//! pattern of duty that occurs. The answers are those of [`Policy::route_only`], one by one.

use super::column::ZoneSet;
use super::compile::Coded;
use super::local_time::Local;
use super::outcome::{Outcome, StatusKind};
use super::route::{Duty, Moment};
use super::row_set::RowSet;
use super::{Answer, Availability, Compiled, Gap, Policy};
use crate::facts::{Facts, Source, UNKNOWN};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Distinct values of one fact, at most.
const VALUES_MAX: usize = u16::MAX as usize - 1;
/// The value number of a fact of which nothing was stated.
const NOT_STATED: u16 = 0;
const HOURS: usize = 24;
const KINDS: usize = StatusKind::ALL.len();

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
    /// By profile: why it cannot be assessed whatever the table says, and the wording of its nature gap.
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
    /// Value numbers count from 1.
    values: Vec<String>,
    /// By profile.
    codes: Vec<u16>,
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
        let mut columns: BTreeMap<&str, Builder<'_>> = BTreeMap::new();
        for (place, profile) in profiles.iter().enumerate() {
            for (name, known) in profile.facts.iter() {
                let column = columns.entry(name).or_insert_with(|| Builder::new(profiles.len()));
                column.put(place, &known.value).map_err(|()| ColumnsError::TooManyValues { fact: name.to_owned() })?;
            }
        }
        let columns = columns.into_iter().map(|(name, builder)| builder.column(name)).collect();
        let (starts, rows) = grouped(profiles.len(), calls)?;
        Ok(Self { columns, gaps: profiles.iter().map(barring_gap).collect(), starts, rows })
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

struct Builder<'a> {
    numbers: HashMap<&'a str, u16>,
    values: Vec<&'a str>,
    codes: Vec<u16>,
}

impl<'a> Builder<'a> {
    fn new(profiles: usize) -> Self {
        Self { numbers: HashMap::new(), values: Vec::new(), codes: vec![NOT_STATED; profiles] }
    }

    fn put(&mut self, profile: usize, value: &'a str) -> Result<(), ()> {
        let next = self.values.len() + 1;
        let number = match self.numbers.get(value) {
            Some(number) => *number,
            None if next > VALUES_MAX => return Err(()),
            None => {
                let number = u16::try_from(next).map_err(|_| ())?;
                self.values.push(value);
                self.numbers.insert(value, number);
                number
            }
        };
        if let Some(code) = self.codes.get_mut(profile) {
            *code = number;
        }
        Ok(())
    }

    fn column(self, name: &str) -> Column {
        let values = self.values.into_iter().map(str::to_owned).collect();
        Column { name: name.to_owned(), values, codes: self.codes }
    }
}

/// Calls grouped by profile, in order of time within each.
fn grouped(profiles: usize, calls: &[(u32, Timestamp)]) -> Result<(Vec<usize>, Vec<(u32, Timestamp)>), ColumnsError> {
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

/// How many calls came out how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// All of them.
    pub calls: u64,
    /// By status.
    pub status: BTreeMap<&'static str, u64>,
    /// By route: `ordinary`, or the program.
    pub route: BTreeMap<String, u64>,
    /// By the rule that decides or would decide.
    pub rule: BTreeMap<String, u64>,
    /// By row of an `ineligible` and reason of a `not-assessed`.
    pub because: BTreeMap<String, u64>,
    /// By zone and status; a call counts in every zone that it is in, and in `unknown` where it is in none.
    pub zone: BTreeMap<String, BTreeMap<&'static str, u64>>,
    /// By hour of the day in the policy's time zone, 0 to 23, and status.
    pub hour: BTreeMap<usize, BTreeMap<&'static str, u64>>,
}

impl Policy {
    /// What this policy does with these calls, counted. `availability` holds for all of them.
    #[must_use]
    pub fn what_if(&self, calls: &Calls, availability: &Availability) -> Tally {
        self.compiled.what_if(calls, availability)
    }

    /// What this policy does with each of these calls: the call's number as it was given, the number of its moment, and the
    /// answer. Calls of one profile and one moment are alike in everything, questions included. They come in the order of
    /// their profiles, not of their numbers.
    pub fn what_if_each(&self, calls: &Calls, availability: &Availability, each: impl FnMut(usize, usize, Answer<'_>)) {
        self.compiled.what_if_each(calls, availability, each);
    }
}

/// One call decided.
struct Decided<'a> {
    number: u32,
    hour: usize,
    moment: usize,
    outcome: Outcome<'a>,
}

/// A column of the calls as the table reads it.
struct Read<'a> {
    /// Place in the table.
    place: usize,
    codes: &'a [u16],
    /// By value number: the table's code, and whether the table does not know the value.
    known: Vec<(u16, bool)>,
}

/// What a policy makes of the values that occur.
struct Batch<'a> {
    reads: Vec<Read<'a>>,
    /// The zone's column: by value number its zones and the rows that accept them.
    zones: Vec<(ZoneSet, RowSet)>,
    zone_codes: Option<&'a [u16]>,
    /// By profile: the value number of the nature.
    natures: Option<&'a [u16]>,
}

impl<'a> Batch<'a> {
    fn of(policy: &Compiled, calls: &'a Calls) -> Self {
        let table = &policy.table;
        let mut batch = Self { reads: Vec::new(), zones: Vec::new(), zone_codes: None, natures: None };
        for column in &calls.columns {
            if column.name == "nature" {
                batch.natures = Some(&column.codes);
            }
            let Some(place) = table.columns.iter().position(|known| known.name == column.name) else { continue };
            let mut known = vec![(0, false)];
            let is_zone = table.zone_column == Some(place);
            let coded = std::iter::once(UNKNOWN).chain(column.values.iter().map(String::as_str));
            let coded: Vec<Coded> = coded.map(|value| table.code(&only(&column.name, value))).collect();
            known.extend(
                coded
                    .iter()
                    .skip(1)
                    .map(|call| (call.codes.get(place).copied().unwrap_or(0), call.strangers & (1 << place) != 0)),
            );
            if is_zone {
                batch.zones = coded.iter().map(|call| (call.zones, call.zone_rows)).collect();
                batch.zone_codes = Some(&column.codes);
            }
            batch.reads.push(Read { place, codes: &column.codes, known });
        }
        batch
    }

    /// A profile as the table's codes, in place of the last one.
    fn code(&self, profile: usize, call: &mut Coded) {
        call.strangers = 0;
        for read in &self.reads {
            let number = read.codes.get(profile).copied().unwrap_or(NOT_STATED);
            let (code, stranger) = read.known.get(usize::from(number)).copied().unwrap_or((0, true));
            if let Some(place) = call.codes.get_mut(read.place) {
                *place = code;
            }
            call.strangers |= u64::from(stranger) << read.place;
        }
        if let Some(number) = self.zone_codes.and_then(|codes| codes.get(profile))
            && let Some((zones, rows)) = self.zones.get(usize::from(*number))
        {
            call.zones = *zones;
            call.zone_rows = *rows;
        }
    }
}

fn only(fact: &str, value: &str) -> Facts {
    Facts::default().with(fact, value, Source::Structured)
}

impl Compiled {
    pub(super) fn what_if(&self, calls: &Calls, availability: &Availability) -> Tally {
        let mut counts = Counts::new(self);
        self.run(calls, availability, |call, decided| counts.add(call, decided));
        counts.tally(self)
    }

    pub(super) fn what_if_each(
        &self,
        calls: &Calls,
        availability: &Availability,
        mut each: impl FnMut(usize, usize, Answer<'_>),
    ) {
        self.run(calls, availability, |_, decided| {
            let number = usize::try_from(decided.number).unwrap_or(usize::MAX);
            each(number, decided.moment, self.told(decided.outcome));
        });
    }

    /// Decides every call, profile by profile.
    fn run<'a>(&'a self, calls: &'a Calls, availability: &'a Availability, mut each: impl FnMut(&Coded, Decided<'a>)) {
        let batch = Batch::of(self, calls);
        let mut moments = Moments::new(self, availability);
        let mut call = self.table.code(&Facts::default());
        let mut memo: Vec<Option<Outcome<'a>>> = Vec::new();
        for (profile, barring) in calls.gaps.iter().enumerate() {
            let (Some(start), Some(end)) = (calls.starts.get(profile), calls.starts.get(profile + 1)) else { break };
            let rows = calls.rows.get(*start..*end).unwrap_or_default();
            if rows.is_empty() {
                continue;
            }
            batch.code(profile, &mut call);
            let unassessed = self.unassessed_profile(&batch, profile, &call, barring.as_deref());
            let matching = self.table.matching(&call);
            let soft = self.table.soft(&call);
            memo.clear();
            for (number, at) in rows {
                let (hour, moment) = moments.at(*at);
                if memo.len() <= moment {
                    memo.resize(moment + 1, None);
                }
                let outcome = match (unassessed, memo.get(moment).copied().flatten()) {
                    (Some(because), _) => Outcome { kind: StatusKind::NotAssessed, because, row: None, program: None },
                    (None, Some(outcome)) => outcome,
                    (None, None) => {
                        let Some(settled) = moments.moments.get(moment) else { continue };
                        let verdict = self.verdict_of(&call, settled, &matching, soft, false);
                        let reached = self.reached(&call, settled, &verdict);
                        let outcome = self.outcome(&call, settled, &verdict, reached);
                        if let Some(place) = memo.get_mut(moment) {
                            *place = Some(outcome);
                        }
                        outcome
                    }
                };
                each(&call, Decided { number: *number, hour, moment, outcome });
            }
        }
    }

    /// As [`super::outcome::unassessed`] says of one call.
    fn unassessed_profile<'a>(
        &self,
        batch: &Batch<'_>,
        profile: usize,
        call: &Coded,
        barring: Option<&'a str>,
    ) -> Option<&'a str> {
        if call.strangers != 0 {
            return Some("value-out-of-domain");
        }
        if barring.is_some() {
            return barring;
        }
        let place = self.table.nature_column?;
        if call.codes.get(place) != Some(&0) {
            return None;
        }
        let stated = batch.natures.and_then(|codes| codes.get(profile)).is_some_and(|number| *number != NOT_STATED);
        Some(if stated { "nature-unknown" } else { "no-call-type" })
    }
}

/// What instants settle, once for each pattern of rows in effect and programs on duty.
struct Moments<'a> {
    policy: &'a Compiled,
    availability: &'a Availability,
    moments: Vec<Moment<'a>>,
    /// By stretch of rows in effect and duty of each program.
    by_pattern: HashMap<(usize, Vec<Duty>), usize>,
    /// Minutes of the day at which some shift begins or ends.
    cuts: Vec<u16>,
    /// Of a day the minutes at which the pattern changes, and the moment from there on.
    days: Vec<Vec<(u16, usize)>>,
    by_date: HashMap<Date, usize>,
    last: Option<(Date, usize)>,
}

impl<'a> Moments<'a> {
    fn new(policy: &'a Compiled, availability: &'a Availability) -> Self {
        let deciders = policy.deciders.iter().flat_map(|decider| &decider.shifts);
        let shifts = policy.programs.iter().flat_map(|program| &program.shifts).chain(deciders);
        let mut cuts: Vec<u16> = shifts.flat_map(|shift| [shift.from_min, shift.to_min]).chain([0]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        Self {
            policy,
            availability,
            moments: Vec::new(),
            by_pattern: HashMap::new(),
            cuts,
            days: Vec::new(),
            by_date: HashMap::new(),
            last: None,
        }
    }

    /// The hour of the day, and the place of the moment.
    fn at(&mut self, at: Timestamp) -> (usize, usize) {
        let local = self.policy.local_time.at(at);
        let hour = usize::from(local.minute / 60);
        if local.unsettled {
            return (hour, self.pattern(local));
        }
        let place = match self.last {
            Some((date, place)) if date == local.date => place,
            _ => match self.by_date.get(&local.date) {
                Some(place) => *place,
                None => self.add_day(local),
            },
        };
        self.last = Some((local.date, place));
        let day = self.days.get(place).map_or(&[][..], Vec::as_slice);
        let after = day.partition_point(|(from, _)| *from <= local.minute);
        (hour, day.get(after.saturating_sub(1)).map_or(0, |(_, moment)| *moment))
    }

    fn add_day(&mut self, local: Local) -> usize {
        let place = self.days.len();
        let mut day: Vec<(u16, usize)> = Vec::new();
        for minute in self.cuts.clone() {
            let moment = self.pattern(Local { minute, ..local });
            if day.last().is_none_or(|(_, last)| *last != moment) {
                day.push((minute, moment));
            }
        }
        self.days.push(day);
        self.by_date.insert(local.date, place);
        place
    }

    fn pattern(&mut self, local: Local) -> usize {
        let moment = self.policy.moment_of(local, self.availability).with_duties();
        let duties = (0..self.policy.programs.len()).filter_map(|program| moment.duty(program));
        // The day on which a shift began does not change where a call goes, only who comes, which the duty says too.
        let duties = duties.map(|duty| Duty { shift_date: Date::MIN, ..duty }).collect();
        let next = self.moments.len();
        let place = *self.by_pattern.entry((self.policy.table.stretch(local.date), duties)).or_insert(next);
        if place == next {
            self.moments.push(moment);
        }
        place
    }
}

/// Counts by place.
struct Counts {
    calls: u64,
    kinds: [u64; KINDS],
    programs: Vec<u64>,
    ordinary: u64,
    rules: Vec<u64>,
    because: BTreeMap<String, u64>,
    zones: Vec<[u64; KINDS]>,
    hours: [[u64; KINDS]; HOURS],
}

impl Counts {
    fn new(policy: &Compiled) -> Self {
        let zones = policy.table.zone_column.and_then(|place| policy.table.columns.get(place));
        Self {
            calls: 0,
            kinds: [0; KINDS],
            programs: vec![0; policy.programs.len()],
            ordinary: 0,
            rules: vec![0; policy.table.rows.len()],
            because: BTreeMap::new(),
            zones: vec![[0; KINDS]; zones.map_or(0, |column| column.names.len()) + 1],
            hours: [[0; KINDS]; HOURS],
        }
    }

    fn add(&mut self, call: &Coded, decided: Decided<'_>) {
        let Decided { outcome: Outcome { kind, because, row, program }, hour, .. } = decided;
        let bump = |count: Option<&mut u64>| count.map_or((), |count| *count += 1);
        let goes = program.filter(|_| kind == StatusKind::Eligible);
        let kind = kind as usize;
        self.calls += 1;
        bump(self.kinds.get_mut(kind));
        bump(Some(match goes.and_then(|place| self.programs.get_mut(place)) {
            Some(program) => program,
            None => &mut self.ordinary,
        }));
        bump(row.and_then(|row| self.rules.get_mut(row)));
        bump(self.hours.get_mut(hour).and_then(|hour| hour.get_mut(kind)));
        if !because.is_empty() {
            match self.because.get_mut(because) {
                Some(count) => *count += 1,
                None => drop(self.because.insert(because.to_owned(), 1)),
            }
        }
        let mut in_none = true;
        for zone in call.zones.iter() {
            in_none = false;
            bump(self.zones.get_mut(zone).and_then(|zone| zone.get_mut(kind)));
        }
        if in_none {
            bump(self.zones.last_mut().and_then(|zone| zone.get_mut(kind)));
        }
    }

    fn tally(self, policy: &Compiled) -> Tally {
        let table = &policy.table;
        let by_kind = |counts: &[u64; KINDS]| -> BTreeMap<&'static str, u64> {
            let counted = StatusKind::ALL.iter().zip(counts).filter(|(_, count)| **count > 0);
            counted.map(|(kind, count)| (kind.name(), *count)).collect()
        };
        let programs = policy.programs.iter().map(|program| program.id.to_string());
        let routes = std::iter::once(("ordinary".to_owned(), self.ordinary)).chain(programs.zip(self.programs));
        let rules = self.rules.iter().enumerate().filter(|(row, count)| table.rules.contains(*row) && **count > 0);
        let zone_names =
            table.zone_column.and_then(|place| table.columns.get(place)).map_or(&[][..], |column| &column.names);
        let zones = zone_names.iter().cloned().chain([UNKNOWN.to_owned()]).zip(&self.zones);
        Tally {
            calls: self.calls,
            status: by_kind(&self.kinds),
            route: routes.filter(|(_, count)| *count > 0).collect(),
            rule: rules.map(|(row, count)| (table.id(row).to_owned(), *count)).collect(),
            because: self.because,
            zone: zones
                .map(|(zone, counts)| (zone, by_kind(counts)))
                .filter(|(_, counts)| !counts.is_empty())
                .collect(),
            hour: self.hours.iter().map(by_kind).enumerate().filter(|(_, counts)| !counts.is_empty()).collect(),
        }
    }
}
