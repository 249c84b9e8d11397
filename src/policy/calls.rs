//! Past calls in columns, good for any policy: what is known of each as a few small numbers.
//!
//! The values of a fact are numbered as they occur, and facts of few values share one number, so that a policy asks a handful
//! of tables for each call and not one for each fact.

use super::Gap;
use crate::facts::{Facts, Source};
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// Distinct values of one fact, at most.
const VALUES_MAX: usize = u16::MAX as usize - 1;
/// Combinations of values that facts sharing a number may have: few enough that a policy's table of them stays in a cache.
const SHARED_MAX: usize = 1_024;
/// The value number of a fact of which nothing was stated.
pub(super) const NOT_STATED: u16 = 0;
/// The fact that counts are told by: its number is its own.
const ZONE: &str = "zone";

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
    pub(super) columns: Vec<Column>,
    pub(super) groups: Vec<Group>,
    /// By profile and group: the number of the combination of values.
    numbers: Vec<u16>,
    /// By profile: the gap for which it cannot be assessed, whatever the table says, as a place in `whys` from 1; 0 is none.
    gaps: Vec<u32>,
    whys: Vec<String>,
    /// By profile: its first call in `rows`; one more at the end.
    starts: Vec<usize>,
    /// Grouped by profile: the call's number as it was given, and its instant.
    rows: Vec<(u32, Timestamp)>,
}

/// One fact of all profiles.
#[derive(Debug)]
pub(super) struct Column {
    pub name: String,
    /// The values that occur; their numbers count from 1.
    pub values: Vec<String>,
}

/// Columns that share one number: it counts through the values of the first, then of the second, and so on.
#[derive(Debug)]
pub(super) struct Group {
    /// Place in the columns, and how many numbers its values have, the one for nothing stated included.
    pub columns: Vec<(usize, usize)>,
    /// Combinations.
    pub numbers: usize,
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
        let mut each = vec![NOT_STATED; profiles.len() * places.len()];
        for (profile, numbers) in profiles.iter().zip(each.chunks_mut(places.len().max(1))) {
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
        let columns: Vec<Column> = columns.into_iter().map(|(_, column)| column).collect();
        let groups = groups(&columns);
        let mut numbers = Vec::with_capacity(profiles.len() * groups.len());
        for each in each.chunks(columns.len().max(1)) {
            numbers.extend(groups.iter().map(|group| group.number(each)));
        }
        let (starts, rows) = grouped(profiles.len(), calls)?;
        let mut whys: Vec<String> = Vec::new();
        let gaps =
            profiles.iter().map(|profile| barring_gap(profile).map_or(0, |why| place_of(&mut whys, why))).collect();
        Ok(Self { columns, groups, numbers, gaps, whys, starts, rows })
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

    /// A profile's numbers, by group.
    pub(super) fn numbers(&self, profile: usize) -> &[u16] {
        let stride = self.groups.len();
        self.numbers.get(profile * stride..(profile + 1) * stride).unwrap_or_default()
    }

    /// Why a profile cannot be assessed under any policy.
    pub(super) fn gap(&self, profile: usize) -> Option<&str> {
        let place = usize::try_from(*self.gaps.get(profile)?).ok()?.checked_sub(1)?;
        self.whys.get(place).map(String::as_str)
    }

    /// The calls of each profile: their numbers as they were given, and their instants.
    pub(super) fn by_profile(&self) -> impl Iterator<Item = &[(u32, Timestamp)]> {
        self.starts.windows(2).map(|ends| match ends {
            [start, end] => self.rows.get(*start..*end).unwrap_or_default(),
            _ => &[],
        })
    }
}

impl Group {
    /// The number of a combination of value numbers.
    fn number(&self, each: &[u16]) -> u16 {
        let number = self.columns.iter().rev().fold(0, |number, (place, count)| {
            number * count + usize::from(each.get(*place).copied().unwrap_or(NOT_STATED))
        });
        u16::try_from(number).unwrap_or(NOT_STATED)
    }

    /// The value number of each of its columns in a combination, by the place of the column.
    pub(super) fn each(&self, number: usize) -> impl Iterator<Item = (usize, usize)> {
        let mut left = number;
        self.columns.iter().map(move |(place, count)| {
            let own = left % count.max(&1);
            left /= count.max(&1);
            (*place, own)
        })
    }
}

/// Columns that share a number, the widest first; each group takes in what it has room for.
fn groups(columns: &[Column]) -> Vec<Group> {
    let mut counts: Vec<(usize, usize)> = columns.iter().map(|column| column.values.len() + 1).enumerate().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    let mut groups: Vec<Group> = Vec::new();
    for (place, count) in counts {
        let alone = |place: usize| columns.get(place).is_some_and(|column| column.name == ZONE);
        let has_room = |group: &&mut Group| {
            group.numbers * count <= SHARED_MAX && !alone(place) && !group.columns.iter().any(|(own, _)| alone(*own))
        };
        match groups.iter_mut().find(has_room) {
            Some(group) => {
                group.numbers *= count;
                group.columns.push((place, count));
            }
            None => groups.push(Group { columns: vec![(place, count)], numbers: count }),
        }
    }
    groups
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
fn barring_gap(profile: &Profile) -> Option<&str> {
    let unsettled = |fact: &str| profile.facts.source(fact) != Some(Source::Answer);
    let bars = |gap: &&Gap| gap.why == "value-out-of-domain" && unsettled(&gap.fact);
    let about_nature = |gap: &&Gap| gap.fact == "nature" && unsettled("nature");
    let gaps = || profile.gaps.iter();
    gaps().find(bars).or_else(|| gaps().find(about_nature)).map(|gap| gap.why.as_str())
}

/// A word's place in a list, from 1; it is added where it is new.
fn place_of(words: &mut Vec<String>, word: &str) -> u32 {
    let place = words.iter().position(|known| known == word).unwrap_or_else(|| {
        words.push(word.to_owned());
        words.len() - 1
    });
    u32::try_from(place + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_of_a_profile_that_is_not_there_is_refused_and_none_is_left_out() {
        let profiles = vec![Profile { facts: Facts::default(), gaps: Vec::new() }; 2];
        let calls = |last: u32| Calls::new(&profiles, &[(0, Timestamp::UNIX_EPOCH), (last, Timestamp::UNIX_EPOCH)]);
        let columns = calls(1).unwrap();
        assert_eq!((columns.len(), columns.is_empty()), (2, false));
        assert!(Calls::new(&profiles, &[]).unwrap().is_empty());
        let fault = ColumnsError::NoSuchProfile { call: 1, profile: 2, profiles: 2 };
        assert_eq!(calls(2).err(), Some(fault));
    }
}
