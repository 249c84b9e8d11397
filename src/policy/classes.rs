//! The classes of values that proofs tell apart: those that no row, claim, area or requirement of any side separates.
//!
//! Read from the compiled columns, so that a proof is about the table that runs.

use super::column::{Coding, Column};
use super::compile::Table;
use super::language::Test;
use super::row_set::RowSet;
use crate::facts::UNKNOWN;
use std::collections::{BTreeMap, BTreeSet};

/// The fact whose example is an adult's wherever it can be.
pub(super) const AGE: &str = "age";
const EXAMPLE_AGE: i64 = 34;
/// A code that no row accepts: the value is no value of that policy's.
const STRANGER: u16 = u16::MAX;

/// Values of a fact that no row tells apart.
#[derive(Debug)]
pub(super) struct Class {
    /// A code that stands for it, by side.
    codes: Vec<u16>,
    /// Every code in it, of the first side.
    pub members: Vec<u16>,
    /// A value in it, as records would state it.
    pub example: String,
}

/// One policy's part in a space.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub table: &'a Table,
    /// Zones that programs' areas name: they are told apart too.
    pub areas: &'a [usize],
}

impl Class {
    pub(super) fn code(&self, side: usize) -> u16 {
        self.codes.get(side).copied().unwrap_or(STRANGER)
    }

    pub(super) fn age_distance(&self) -> u64 {
        self.example.parse::<i64>().map_or(u64::MAX, |age| age.abs_diff(EXAMPLE_AGE))
    }
}

/// True where on some side the one zone is part of the other.
pub(super) fn is_part(sides: &[Side<'_>], part: &[Option<usize>], whole: &[Option<usize>]) -> bool {
    sides.iter().zip(part.iter().zip(whole)).any(|(side, (part, whole))| {
        let column = side.table.zone_column.and_then(|place| side.table.columns.get(place));
        match (column.map(|column| &column.coding), part, whole) {
            (Some(Coding::Zones { closures, .. }), Some(part), Some(whole)) => {
                part != whole && closures.get(*part).is_some_and(|closure| closure.holds(*whole))
            }
            _ => false,
        }
    })
}

/// Zones that a row, a safeguard or an area of some side names, with their place on each side.
pub(super) fn told_apart_zones(sides: &[Side<'_>]) -> Vec<(String, Vec<Option<usize>>)> {
    let mut names: Vec<&String> = Vec::new();
    for Side { table, areas } in sides {
        let Some(column) = table.zone_column.and_then(|place| table.columns.get(place)) else {
            continue;
        };
        let Coding::Zones { named, .. } = &column.coding else {
            continue;
        };
        // The last value is `outside`, a state of its own.
        for (zone, rows) in named.iter().enumerate().take(named.len().saturating_sub(1)) {
            let mut claims = table.further_cells.iter().filter(|cell| cell.fact == column.fact);
            let claimed = claims.any(|cell| cell.tests.contains(&Test::Word(zone)));
            if (!rows.is_empty() || claimed || areas.contains(&zone))
                && let Some(name) = column.names.get(zone)
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
    }
    let place = |side: &Side<'_>, name: &String| {
        let column = side.table.zone_column.and_then(|place| side.table.columns.get(place))?;
        column.names.iter().position(|known| known == name)
    };
    let places = |name: &String| sides.iter().map(|side| place(side, name)).collect();
    names.into_iter().map(|name| (name.clone(), places(name))).collect()
}

/// The classes of a fact's values: unknown first, then those that no row, claim or requirement of a side tells apart.
pub(super) fn classes(sides: &[Side<'_>], places: &[Option<usize>]) -> Vec<Class> {
    type Key<'a> = Vec<(Option<&'a RowSet>, Vec<bool>, bool)>;
    let columns: Vec<Option<&Column>> =
        sides.iter().zip(places).map(|(side, place)| place.and_then(|place| side.table.columns.get(place))).collect();
    let mut by_key: BTreeMap<Key<'_>, Class> = BTreeMap::new();
    let mut unknown = None;
    for (codes, example) in values(&columns) {
        if codes.iter().all(|code| *code == 0) {
            unknown = Some(Class { members: vec![0], codes, example });
            continue;
        }
        let key = sides.iter().zip(&columns).zip(&codes).map(|((side, column), code)| {
            let claims =
                side.table.further_cells.iter().filter(|cell| column.is_some_and(|column| column.fact == cell.fact));
            let claimed = claims.map(|cell| column.is_some_and(|column| column.cell_accepts(cell, *code))).collect();
            let rows = column.and_then(|column| column.accept.get(usize::from(*code)));
            (rows, claimed, column.is_some_and(|column| column.absent == Some(*code)))
        });
        let member = codes.first().copied().unwrap_or(0);
        let class = by_key.entry(key.collect()).or_insert_with(|| Class {
            members: Vec::new(),
            codes: codes.clone(),
            example: example.clone(),
        });
        class.members.push(member);
        let value = Class { members: Vec::new(), codes, example };
        if value.age_distance() < class.age_distance() {
            class.example = value.example;
        }
    }
    let mut classes: Vec<Class> = by_key.into_values().collect();
    classes.sort_by(|one, other| one.codes.cmp(&other.codes));
    unknown.into_iter().chain(classes).collect()
}

/// Values that between them stand for every value of a fact: the codes on each side, and an example.
fn values(columns: &[Option<&Column>]) -> Vec<(Vec<u16>, String)> {
    let mut texts: Vec<String> = Vec::new();
    let mut patterns: Vec<(String, bool)> = Vec::new();
    for column in columns.iter().flatten() {
        match &column.coding {
            Coding::Words | Coding::Zones { .. } => texts.extend(column.names.iter().cloned()),
            Coding::Numbers { least, cuts } => {
                texts.extend([*least].iter().chain(cuts).map(ToString::to_string));
                texts.extend((column.name == AGE).then(|| EXAMPLE_AGE.to_string()));
            }
            Coding::Codes { patterns: own, .. } => patterns.extend(own.iter().cloned()),
        }
    }
    if columns.iter().flatten().any(|column| matches!(column.coding, Coding::Codes { .. })) {
        texts.extend((0..patterns.len()).filter_map(|place| code_of_class(&patterns, place)));
        texts.push("~".to_owned());
    }
    let code =
        |column: &Option<&Column>, text: &str| column.map_or(0, |column| column.code_of(text).unwrap_or(STRANGER));
    let mut seen = BTreeSet::new();
    let unknown = (vec![0; columns.len()], UNKNOWN.to_owned());
    let known = texts.into_iter().map(|text| (columns.iter().map(|column| code(column, &text)).collect(), text));
    std::iter::once(unknown).chain(known).filter(|(_, text)| seen.insert(text.clone())).collect()
}

/// A code whose longest pattern is this one, `None` where a longer one takes every such code.
fn code_of_class(patterns: &[(String, bool)], place: usize) -> Option<String> {
    let (stem, prefix) = patterns.get(place)?;
    let is_longer = |other: &(String, bool)| (other.0.len(), !other.1) > (stem.len(), !prefix);
    let taken = |text: &str| {
        let matches = |other: &(String, bool)| if other.1 { text.starts_with(&other.0) } else { text == other.0 };
        patterns.iter().any(|other| is_longer(other) && matches(other))
    };
    let endings: &[&str] = if *prefix { &["", "1", "~"] } else { &[""] };
    endings.iter().map(|ending| format!("{stem}{ending}")).find(|text| !taken(text))
}
