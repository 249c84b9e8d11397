//! One fact of the compiled table: how its values are coded, and which rows accept which code.
//!
//! Values that the policy cannot tell apart share a code: numbers are cut at the thresholds that the cells name, codes fall
//! into the class of the longest pattern that matches them.

use super::language::{Cell, Row, Test};
use super::row_set::RowSet;
use super::stems::Stems;
use super::words::Words;
use crate::facts::{Domain, Fact, natures};
use std::sync::Arc;

/// Zones of a policy, at most.
pub(super) const ZONES_MAX: usize = 512;

/// A set of zone places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ZoneSet([u64; ZONES_MAX / 64]);

impl ZoneSet {
    pub(super) fn insert(&mut self, zone: usize) {
        if let Some(word) = self.0.get_mut(zone / 64) {
            *word |= 1 << (zone % 64);
        }
    }

    pub(super) fn holds(&self, zone: usize) -> bool {
        self.0.get(zone / 64).is_some_and(|word| word & (1 << (zone % 64)) != 0)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        super::row_set::bits(self.0)
    }

    pub(super) fn of(zones: &[usize]) -> Self {
        let mut set = Self::default();
        for zone in zones {
            set.insert(*zone);
        }
        set
    }
}

/// How a column's values are coded. Code 0 is always `unknown`.
#[derive(Debug, Clone)]
pub(super) enum Coding {
    /// Code = place in the list + 1.
    Words,
    /// Code = 1 + how many of these thresholds are not above the number.
    Numbers {
        /// The least number of the domain.
        least: i64,
        /// First numbers of the stretches after the first.
        cuts: Vec<i64>,
    },
    /// Code = 1 + place of the longest pattern that matches; the last code is every other code.
    Codes {
        /// Stem, and whether it is a prefix; the longest first.
        patterns: Vec<(String, bool)>,
        /// The same, to be searched.
        stems: Stems,
    },
    /// Code = place in the list + 1, where the call is in that zone and those that it is part of.
    Zones {
        /// By zone: the rows whose cell names it.
        named: Vec<RowSet>,
        /// The rows whose cell is `not(…)`, or that have none.
        negated: RowSet,
        /// By zone: itself and the zones that it is part of.
        closures: Vec<ZoneSet>,
    },
}

/// One fact that the policy uses.
#[derive(Debug)]
pub(super) struct Column {
    /// Place of the fact in the vocabulary.
    pub fact: usize,
    pub name: String,
    /// The fact's values, where they can be listed.
    pub names: Arc<[String]>,
    /// The same, to be searched.
    places: Words,
    pub coding: Coding,
    /// By code: the rows that accept it.
    pub accept: Vec<RowSet>,
    /// By code: the least code that no row and no requirement tells apart from it.
    pub same_as: Vec<u16>,
    /// One code of each class of known values that nothing tells apart: the least dangerous, and of these the first.
    pub classes: Vec<u16>,
    /// By code: how dangerous the value is, nothing known being the least; empty where values do not differ in danger.
    danger: Vec<u8>,
    /// Rows that accept `unknown` here and would not accept every known value: they may hold for want of an answer.
    pub soft: RowSet,
    /// Rows with a cell here.
    pub asked_by: RowSet,
    /// Whether a call-taker can be asked.
    pub askable: bool,
    /// The code that says the thing is absent, where a program may require it.
    pub absent: Option<u16>,
}

impl Column {
    pub(super) fn build(place: usize, fact: &Fact, rows: &[Row], further: &[Cell]) -> Self {
        let cells: Vec<Option<&Cell>> =
            rows.iter().map(|row| row.cells.iter().find(|cell| cell.fact == place)).collect();
        let further = further.iter().filter(|cell| cell.fact == place);
        let told_apart: Vec<&Cell> = cells.iter().copied().flatten().chain(further).collect();
        let (coding, accept) = coding(fact, &cells, &told_apart);
        let every_known = accept.iter().skip(1).fold(RowSet::first(rows.len()), |every, accept| every.and(accept));
        let unknown = accept.first().copied().unwrap_or(RowSet::EMPTY);
        let mut asked_by = RowSet::EMPTY;
        cells.iter().enumerate().filter(|(_, cell)| cell.is_some()).for_each(|(row, _)| asked_by.insert(row));
        let absent_place = if fact.presence { fact.values().iter().position(|value| value == "none") } else { None };
        let absent = absent_place.and_then(|place| u16::try_from(place + 1).ok());
        // Zones stay apart, for areas name them; unknown stays apart from every known value.
        let apart =
            |code: usize| code == 0 || matches!(coding, Coding::Zones { .. }) || absent == u16::try_from(code).ok();
        let same_as: Vec<u16> = (0..accept.len())
            .map(|code| {
                let first = |other: &usize| {
                    *other == code || (!apart(code) && !apart(*other) && accept.get(*other) == accept.get(code))
                };
                u16::try_from((0..=code).find(first).unwrap_or(code)).unwrap_or(u16::MAX)
            })
            .collect();
        let danger = danger(fact, accept.len());
        Self {
            fact: place,
            name: fact.name.to_string(),
            coding,
            // What nobody can be asked stays as it is: such a row holds for certain.
            soft: if fact.askable { unknown.without(&every_known) } else { RowSet::EMPTY },
            accept,
            asked_by,
            askable: fact.askable,
            classes: classes(&same_as, &danger),
            same_as,
            danger,
            absent,
            places: Words::of(fact.values()),
            names: fact.values().into(),
        }
    }

    /// The code of a known value, `None` where the value is no value of this fact.
    pub(super) fn code_of(&self, value: &str) -> Option<u16> {
        let place = match &self.coding {
            Coding::Words => self.places.find(value)?,
            Coding::Zones { .. } => {
                let mut first = None;
                for zone in value.split(',') {
                    let place = self.places.find(zone)?;
                    first = first.or(Some(place));
                }
                first?
            }
            Coding::Numbers { cuts, .. } => {
                let number: i64 = value.parse().ok()?;
                cuts.partition_point(|cut| *cut <= number)
            }
            Coding::Codes { patterns, stems } => stems.longest(value).unwrap_or(patterns.len()),
        };
        u16::try_from(place + 1).ok()
    }

    /// The rows that accept each class of values that rows tell apart, `unknown` first.
    pub(super) fn distinct(&self) -> impl Iterator<Item = &RowSet> {
        let classes = self.same_as.iter().enumerate().filter(|(code, class)| usize::from(**class) == *code);
        classes.filter_map(|(code, _)| self.accept.get(code))
    }

    /// Whether a cell on this column's fact accepts a code. Exact for the cells that the column was built with.
    pub(super) fn cell_accepts(&self, cell: &Cell, code: u16) -> bool {
        let Some(place) = usize::from(code).checked_sub(1) else {
            return cell.accepts_unknown();
        };
        match &self.coding {
            Coding::Words | Coding::Zones { .. } => cell.accepts_word(place),
            Coding::Numbers { least, cuts } => {
                let first = place.checked_sub(1).and_then(|below| cuts.get(below)).unwrap_or(least);
                cell.accepts_number(*first)
            }
            Coding::Codes { patterns, .. } => class_accepted(cell, patterns.get(place)),
        }
    }

    /// A value that has this code, for people to read.
    pub(super) fn example(&self, code: u16, near: Option<i64>) -> String {
        let Some(place) = usize::from(code).checked_sub(1) else {
            return crate::facts::UNKNOWN.to_owned();
        };
        match &self.coding {
            Coding::Words | Coding::Zones { .. } => self.names.get(place).cloned().unwrap_or_default(),
            Coding::Numbers { cuts, .. } => {
                let least = place.checked_sub(1).and_then(|below| cuts.get(below)).copied();
                let most = cuts.get(place).map(|next| next - 1);
                let number = match (near, least, most) {
                    (Some(near), Some(least), _) if near < least => least,
                    (Some(near), _, Some(most)) if near > most => most,
                    (Some(near), ..) => near,
                    (None, Some(least), _) => least,
                    (None, None, Some(most)) => most,
                    (None, None, None) => 0,
                };
                number.to_string()
            }
            Coding::Codes { patterns, .. } => match patterns.get(place) {
                Some((stem, false)) => stem.clone(),
                Some((stem, true)) => format!("{stem}*"),
                None => "another code".to_owned(),
            },
        }
    }

    /// How dangerous a value is beside the others of its fact; `unknown` is as harmless as any.
    pub(super) fn danger(&self, code: u16) -> u8 {
        danger_of(&self.danger, code)
    }

    /// The place of a zone by its name.
    pub(super) fn zone(&self, name: &str) -> Option<usize> {
        self.places.find(name)
    }

    /// The zones of a call that is known to be in one: that zone, and those that it is part of.
    pub(super) fn closure(&self, code: u16) -> ZoneSet {
        match (&self.coding, usize::from(code).checked_sub(1)) {
            (Coding::Zones { closures, .. }, Some(zone)) => closures.get(zone).copied().unwrap_or_default(),
            _ => ZoneSet::default(),
        }
    }

    /// Rows that accept a set of zones; unknown where not `known`.
    pub(super) fn zone_rows(&self, known: bool, zones: &ZoneSet) -> RowSet {
        match (&self.coding, known) {
            (Coding::Zones { named, negated, .. }, true) => rows_of_zones(named, negated, zones),
            _ => self.accept.first().copied().unwrap_or(RowSet::EMPTY),
        }
    }
}

/// By code, of so many: the danger of a risk fact's values, of a nature, and of a priority, which is the higher the more urgent.
fn danger(fact: &Fact, codes: usize) -> Vec<u8> {
    let known: Vec<u8> = match &*fact.name {
        "nature" => natures().iter().map(|nature| nature.danger).collect(),
        "priority" => (0..codes.saturating_sub(1)).map(|place| u8::try_from(place).unwrap_or(u8::MAX)).collect(),
        _ => fact.danger.clone(),
    };
    if known.is_empty() { known } else { std::iter::once(0).chain(known).collect() }
}

fn danger_of(danger: &[u8], code: u16) -> u8 {
    danger.get(usize::from(code)).copied().unwrap_or(0)
}

/// One known code of each class, in the order of the classes.
fn classes(same_as: &[u16], danger: &[u8]) -> Vec<u16> {
    let codes = || (0..).zip(same_as).skip(1);
    let firsts = codes().filter(|(code, class)| code == *class).map(|(code, _)| code);
    let least = |first: u16| {
        let members = codes().filter(|(_, class)| **class == first).map(|(code, _)| code);
        members.min_by_key(|code| danger_of(danger, *code)).unwrap_or(first)
    };
    firsts.map(least).collect()
}

/// How a fact's values are coded, and by code the rows that accept it.
fn coding(fact: &Fact, cells: &[Option<&Cell>], told_apart: &[&Cell]) -> (Coding, Vec<RowSet>) {
    let rows_where = |accepts: &dyn Fn(&Cell) -> bool| {
        let mut set = RowSet::EMPTY;
        for (row, cell) in cells.iter().enumerate() {
            if cell.is_none_or(accepts) {
                set.insert(row);
            }
        }
        set
    };
    let mut accept = vec![rows_where(&Cell::accepts_unknown)];
    let coding = match &fact.domain {
        Domain::Words { values, .. } => {
            accept.extend((0..values.len()).map(|value| rows_where(&|cell| cell.accepts_word(value))));
            Coding::Words
        }
        Domain::Number { min, max } => {
            let cuts = cuts(told_apart, *min, *max);
            let firsts = std::iter::once(*min).chain(cuts.iter().copied());
            accept.extend(firsts.map(|number| rows_where(&|cell| cell.accepts_number(number))));
            Coding::Numbers { least: *min, cuts }
        }
        Domain::Code => {
            let patterns = patterns(told_apart);
            accept.extend(patterns.iter().map(|pattern| rows_where(&|cell| class_accepted(cell, Some(pattern)))));
            accept.push(rows_where(&|cell| class_accepted(cell, None)));
            Coding::Codes { stems: Stems::of(&patterns), patterns }
        }
        Domain::Zones { names, closures } => {
            let names_it = |zone: usize| {
                let mut set = RowSet::EMPTY;
                for (row, cell) in cells.iter().enumerate() {
                    if cell.is_some_and(|cell| cell.tests.contains(&Test::Word(zone))) {
                        set.insert(row);
                    }
                }
                set
            };
            let named: Vec<RowSet> = (0..names.len()).map(names_it).collect();
            let negated = rows_where(&|cell| cell.negated);
            let place = |zone: &String| names.iter().position(|name| name == zone);
            let closures: Vec<ZoneSet> =
                closures.iter().map(|zones| ZoneSet::of(&zones.iter().filter_map(place).collect::<Vec<_>>())).collect();
            accept.extend(closures.iter().map(|zones| rows_of_zones(&named, &negated, zones)));
            Coding::Zones { named, negated, closures }
        }
    };
    (coding, accept)
}

/// Rows that accept a call in these zones: lists that name one of them, and `not(…)` cells that name none.
fn rows_of_zones(named: &[RowSet], negated: &RowSet, zones: &ZoneSet) -> RowSet {
    let mut met = RowSet::EMPTY;
    for named in zones.iter().filter_map(|zone| named.get(zone)) {
        met = met.or(named);
    }
    met.xor(negated)
}

/// First numbers of the stretches that no cell cuts, the least number left out.
fn cuts(cells: &[&Cell], min: i64, max: i64) -> Vec<i64> {
    let mut cuts: Vec<i64> = Vec::new();
    for test in cells.iter().flat_map(|cell| &cell.tests) {
        if let Test::Between(least, most) = test {
            cuts.extend([*least, most + 1]);
        }
    }
    // A stretch beyond the greatest number would be calls that cannot be, and proofs would speak of them.
    cuts.retain(|cut| *cut > min && *cut <= max);
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

/// All patterns of a column, longest first, an exact code before a prefix of the same letters.
fn patterns(cells: &[&Cell]) -> Vec<(String, bool)> {
    let mut patterns: Vec<(String, bool)> = Vec::new();
    for test in cells.iter().flat_map(|cell| &cell.tests) {
        match test {
            Test::Code(stem) => patterns.push((stem.clone(), false)),
            Test::Prefix(stem) => patterns.push((stem.clone(), true)),
            Test::Word(_) | Test::Between(..) => {}
        }
    }
    patterns.sort_by(|one, other| {
        (std::cmp::Reverse(one.0.len()), one.1, &one.0).cmp(&(std::cmp::Reverse(other.0.len()), other.1, &other.0))
    });
    patterns.dedup();
    patterns
}

/// Whether a cell accepts the codes whose longest matching pattern is this one. A prefix stands for its own class: the
/// codes that begin so and match nothing longer.
fn class_accepted(cell: &Cell, class: Option<&(String, bool)>) -> bool {
    let listed = class.is_some_and(|(stem, prefix)| {
        cell.tests.iter().any(|test| match test {
            Test::Code(exact) => !prefix && exact == stem,
            Test::Prefix(outer) => stem.starts_with(outer.as_str()),
            Test::Word(_) | Test::Between(..) => false,
        })
    });
    listed != cell.negated
}
