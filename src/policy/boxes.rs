//! Exact questions about all calls: rows as boxes over the finite values, and what is left of one when others are cut out.
//!
//! Everything is read from the compiled bit-sets. Values that no row tells apart are one class, a bit in a dimension's set.
//! A call may be in several zones, so each zone that a row names is a dimension of its own (in or not in).

use super::column::{Coding, Column};
use super::compile::{Coded, Table};
use super::language::{Cell, Test};
use super::row_set::RowSet;
use std::collections::BTreeMap;

/// Classes in one dimension, at most.
const CLASSES_MAX: usize = 128;
/// Cuts that one question may need; beyond it the answer is "not proved".
const CUTS_MAX: u64 = 4_000_000;

/// A set of classes of one dimension.
type Classes = u128;
/// A box: the classes allowed in each dimension.
pub(super) type Box = Vec<Classes>;

/// Where the zone stands: unknown, outside every zone, or inside some.
const ZONE_UNKNOWN: Classes = 1;
const ZONE_INSIDE: Classes = 4;
const ZONE_STATES: Classes = 7;

/// One dimension of the space of calls.
#[derive(Debug)]
enum Dimension {
    /// A fact: for each class a code that stands for it, and the codes in it.
    Fact { column: usize, classes: Vec<Vec<u16>> },
    /// Unknown, outside, inside.
    ZoneState,
    /// In this zone (1) or not (2).
    Zone { place: usize },
}

/// The space of all calls, as the table can tell them apart.
#[derive(Debug)]
pub(super) struct Space {
    dimensions: Vec<Dimension>,
    /// By row: its boxes (several where a zone list needs them).
    rows: Vec<Vec<Box>>,
    /// Dimensions with unknown in class 0 of the mask `unknown`.
    unknown: Vec<Classes>,
    /// Calls that cannot be: in a zone and not in one that it is part of.
    impossible: Vec<Box>,
}

/// The question needed more work than is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooHard;

impl Space {
    /// `areas` are the zones that programs' areas name: they are told apart too.
    pub(super) fn of(table: &Table, areas: &[usize]) -> Result<Self, String> {
        let mut space = Self { dimensions: Vec::new(), rows: Vec::new(), unknown: Vec::new(), impossible: Vec::new() };
        let claims = |fact: usize| table.further_cells.iter().filter(move |cell| cell.fact == fact);
        for (place, column) in table.columns.iter().enumerate() {
            if let Coding::Zones { named, .. } = &column.coding {
                space.dimensions.push(Dimension::ZoneState);
                space.unknown.push(ZONE_UNKNOWN);
                // The last value is `outside`, a state of its own.
                for (zone, rows) in named.iter().enumerate().take(named.len().saturating_sub(1)) {
                    let claimed = claims(column.fact).any(|cell| cell.tests.contains(&Test::Word(zone)));
                    if !rows.is_empty() || claimed || areas.contains(&zone) {
                        space.dimensions.push(Dimension::Zone { place: zone });
                        space.unknown.push(0);
                    }
                }
                continue;
            }
            let mut by_rows: BTreeMap<(&RowSet, Vec<bool>), Vec<u16>> = BTreeMap::new();
            for (code, rows) in column.accept.iter().enumerate().skip(1) {
                let code = u16::try_from(code).unwrap_or(u16::MAX);
                let claimed = claims(column.fact).map(|cell| column.cell_accepts(cell, code)).collect();
                by_rows.entry((rows, claimed)).or_default().push(code);
            }
            // Unknown is a class of its own, for it is asked about by name (ask, required facts, safeguards).
            let mut classes = vec![vec![0]];
            classes.extend(split_absent(column, by_rows.into_values()));
            classes.get_mut(1..).unwrap_or_default().sort();
            if classes.len() > CLASSES_MAX {
                return Err(format!("the policy tells apart more than {CLASSES_MAX} values of `{}`", column.name));
            }
            space.dimensions.push(Dimension::Fact { column: place, classes });
            space.unknown.push(1);
        }
        space.impossible = space.impossible_zones(table);
        space.rows = (0..table.rows.len()).map(|row| space.row_boxes(table, row)).collect();
        Ok(space)
    }

    fn impossible_zones(&self, table: &Table) -> Vec<Box> {
        let Some(Coding::Zones { closures, .. }) =
            table.zone_column.and_then(|place| table.columns.get(place)).map(|column| &column.coding)
        else {
            return Vec::new();
        };
        let zones = || {
            self.dimensions.iter().filter_map(|dimension| match dimension {
                Dimension::Zone { place } => Some(*place),
                _ => None,
            })
        };
        let part_of =
            |part: usize, whole: usize| part != whole && closures.get(part).is_some_and(|closure| closure.holds(whole));
        let everything: Box = self.dimensions.iter().map(|dimension| self.full(dimension)).collect();
        let pairs =
            zones().flat_map(|part| zones().filter(move |whole| part_of(part, *whole)).map(move |whole| (part, whole)));
        pairs
            .map(|(part, whole)| {
                self.map(&everything, |dimension, classes| match dimension {
                    Dimension::Zone { place } if *place == part => 1,
                    Dimension::Zone { place } if *place == whole => 2,
                    _ => classes,
                })
            })
            .collect()
    }

    fn full(&self, dimension: &Dimension) -> Classes {
        match dimension {
            Dimension::Fact { classes, .. } => low_bits(classes.len()),
            Dimension::ZoneState => ZONE_STATES,
            Dimension::Zone { .. } => 3,
        }
    }

    /// Every call: the zone unknown, outside, or inside with any of the named zones.
    pub(super) fn everything(&self) -> Vec<Box> {
        let whole: Box = self.dimensions.iter().map(|dimension| self.full(dimension)).collect();
        if !self.dimensions.iter().any(|dimension| matches!(dimension, Dimension::ZoneState)) {
            return vec![whole];
        }
        let inside = self.map(&whole, |dimension, classes| match dimension {
            Dimension::ZoneState => ZONE_INSIDE,
            _ => classes,
        });
        let not_inside = self.map(&whole, |dimension, classes| match dimension {
            Dimension::ZoneState => ZONE_STATES & !ZONE_INSIDE,
            Dimension::Zone { .. } => 2,
            Dimension::Fact { .. } => classes,
        });
        vec![inside, not_inside]
    }

    fn map(&self, from: &Box, change: impl Fn(&Dimension, Classes) -> Classes) -> Box {
        self.dimensions.iter().zip(from).map(|(dimension, classes)| change(dimension, *classes)).collect()
    }

    fn row_boxes(&self, table: &Table, row: usize) -> Vec<Box> {
        let whole: Box = self
            .dimensions
            .iter()
            .map(|dimension| match dimension {
                Dimension::Fact { column, classes } => {
                    let accept = table.columns.get(*column).map(|column| &column.accept);
                    let accepts = |code: u16| {
                        accept.and_then(|accept| accept.get(usize::from(code))).is_some_and(|rows| rows.contains(row))
                    };
                    accepted(classes, accepts)
                }
                other => self.full(other),
            })
            .collect();
        let zone = table.zone_column.and_then(|place| table.columns.get(place));
        if let Some(column) = zone
            && let Coding::Zones { named, negated, .. } = &column.coding
            && column.asked_by.contains(row)
        {
            let names = |zone: usize| named.get(zone).is_some_and(|rows| rows.contains(row));
            let unknown = column.accept.first().is_some_and(|rows| rows.contains(row));
            return self.zone_boxes(&whole, &names, named.len(), negated.contains(row), unknown);
        }
        vec![whole]
    }

    /// The boxes of a conjunction of cells: a row that is not in the table, whose values the table tells apart all the same.
    pub(super) fn of_cells(&self, table: &Table, cells: &[Cell]) -> Vec<Box> {
        cells.iter().fold(self.everything(), |boxes, cell| {
            let own = self.of_cell(table, cell);
            boxes.iter().flat_map(|one| own.iter().filter_map(move |other| Self::meet(one, other))).collect()
        })
    }

    fn of_cell(&self, table: &Table, cell: &Cell) -> Vec<Box> {
        let whole: Box = self
            .dimensions
            .iter()
            .map(|dimension| match dimension {
                Dimension::Fact { column, classes } => match table.columns.get(*column) {
                    Some(column) if column.fact == cell.fact => {
                        accepted(classes, |code| column.cell_accepts(cell, code))
                    }
                    _ => self.full(dimension),
                },
                other => self.full(other),
            })
            .collect();
        match table.zone_column.and_then(|place| table.columns.get(place)) {
            Some(column) if column.fact == cell.fact => {
                let names = |zone: usize| cell.tests.contains(&Test::Word(zone));
                self.zone_boxes(&whole, &names, column.names.len(), cell.negated, cell.accepts_unknown())
            }
            _ => vec![whole],
        }
    }

    /// A zone list is one box for each zone that it names; `not(…)` is one box.
    fn zone_boxes(
        &self,
        whole: &Box,
        names: &dyn Fn(usize) -> bool,
        zones: usize,
        negated: bool,
        unknown: bool,
    ) -> Vec<Box> {
        let outside = names(zones.saturating_sub(1)) != negated;
        let states = (if unknown { ZONE_UNKNOWN } else { 0 }) | (if outside { 2 } else { 0 });
        if negated {
            return vec![self.map(whole, |dimension, classes| match dimension {
                Dimension::ZoneState => states | ZONE_INSIDE,
                Dimension::Zone { place } if names(*place) => 2,
                _ => classes,
            })];
        }
        let mut boxes = Vec::new();
        if states != 0 {
            boxes.push(self.map(whole, |dimension, classes| match dimension {
                Dimension::ZoneState => states,
                _ => classes,
            }));
        }
        for dimension in &self.dimensions {
            let Dimension::Zone { place: wanted } = dimension else {
                continue;
            };
            if names(*wanted) {
                boxes.push(self.map(whole, |dimension, classes| match dimension {
                    Dimension::ZoneState => ZONE_INSIDE,
                    Dimension::Zone { place } if place == wanted => 1,
                    _ => classes,
                }));
            }
        }
        boxes
    }

    /// A row's box with the facts that another row names left free.
    pub(super) fn freed(&self, table: &Table, own: &Box, by: usize) -> Box {
        let names = |place: usize| table.columns.get(place).is_some_and(|column| column.asked_by.contains(by));
        let zone = table.zone_column.is_some_and(names);
        self.map(own, |dimension, classes| match dimension {
            Dimension::Fact { column, .. } if names(*column) => self.full(dimension),
            Dimension::ZoneState | Dimension::Zone { .. } if zone => self.full(dimension),
            _ => classes,
        })
    }

    /// The boxes of a row.
    pub(super) fn row(&self, row: usize) -> &[Box] {
        self.rows.get(row).map_or(&[], Vec::as_slice)
    }

    /// The boxes of several rows.
    pub(super) fn rows(&self, rows: RowSet) -> Vec<&Box> {
        rows.iter().flat_map(|row| self.row(row)).collect()
    }

    /// A box cut down to what is known of a call; unknown facts that can be asked stay free.
    pub(super) fn around(&self, table: &Table, call: &Coded) -> Vec<Box> {
        let free_zone = table.zone_column.is_some_and(|place| call.codes.get(place) == Some(&0));
        let around = |whole: &Box| {
            self.map(whole, |dimension, classes| match dimension {
                Dimension::Fact { column, classes: members } => {
                    let code = call.codes.get(*column).copied().unwrap_or(0);
                    let askable = table.columns.get(*column).is_some_and(|column| column.askable);
                    if code == 0 && askable {
                        return classes;
                    }
                    let class = members.iter().position(|codes| codes.contains(&code)).unwrap_or(0);
                    classes & (1 << class)
                }
                Dimension::ZoneState if free_zone => classes,
                Dimension::ZoneState => {
                    let outside = table
                        .zone_column
                        .and_then(|place| table.columns.get(place))
                        .and_then(|column| column.names.len().checked_sub(1));
                    let is_outside = outside.is_some_and(|outside| call.zones.holds(outside));
                    classes & if is_outside { 2 } else { ZONE_INSIDE }
                }
                Dimension::Zone { .. } if free_zone => classes,
                Dimension::Zone { place } => classes & if call.zones.holds(*place) { 1 } else { 2 },
            })
        };
        self.everything().iter().map(around).filter(|space| space.iter().all(|classes| *classes != 0)).collect()
    }

    /// A box without the calls in which this fact is unknown; where `present`, also without those in which it is `none`.
    pub(super) fn known(&self, table: &Table, from: &Box, fact: usize, present: bool) -> Box {
        let zone = table.zone_column.and_then(|place| table.columns.get(place));
        self.dimensions
            .iter()
            .zip(from)
            .zip(&self.unknown)
            .map(|((dimension, classes), unknown)| match dimension {
                Dimension::Fact { column, classes: members } => match table.columns.get(*column) {
                    Some(column) if column.fact == fact => {
                        let absent = accepted(members, |code| present && Some(code) == column.absent);
                        classes & !unknown & !absent
                    }
                    _ => *classes,
                },
                Dimension::ZoneState if zone.is_some_and(|column| column.fact == fact) => classes & !unknown,
                _ => *classes,
            })
            .collect()
    }

    /// The part of a box in which the call is in one of these zones, a box for each.
    pub(super) fn within(&self, from: &Box, zones: &[usize]) -> Vec<Box> {
        zones
            .iter()
            .map(|zone| {
                self.map(from, |dimension, classes| match dimension {
                    Dimension::ZoneState => classes & ZONE_INSIDE,
                    Dimension::Zone { place } if place == zone => classes & 1,
                    _ => classes,
                })
            })
            .filter(|space| space.iter().all(|classes| *classes != 0))
            .collect()
    }

    /// Two boxes' common part, `None` where they have none.
    pub(super) fn meet(one: &Box, other: &Box) -> Option<Box> {
        let meet: Box = one.iter().zip(other).map(|(one, other)| one & other).collect();
        meet.iter().all(|classes| *classes != 0).then_some(meet)
    }

    /// A part of `target` that none of the covers holds, `None` where they hold all of it.
    pub(super) fn uncovered(&self, target: &Box, covers: &[&Box]) -> Result<Option<Box>, TooHard> {
        let covers: Vec<&Box> = covers.iter().copied().chain(&self.impossible).collect();
        uncovered(target.clone(), &covers, &mut 0)
    }

    /// One call of a box: for each fact that the box restricts a code (0: unknown), and the zones it is in (`None`: not
    /// restricted). Unrestricted facts are left out.
    pub(super) fn example(&self, of: &Box) -> Example {
        let mut example = Example { codes: Vec::new(), zone_state: None, zones: Vec::new() };
        for (dimension, classes) in self.dimensions.iter().zip(of) {
            if *classes == self.full(dimension) {
                continue;
            }
            match dimension {
                Dimension::Fact { column, classes: members } => {
                    let class = classes.trailing_zeros() as usize;
                    let code = members.get(class).and_then(|codes| codes.first()).copied().unwrap_or(0);
                    example.codes.push((*column, code));
                }
                Dimension::ZoneState => example.zone_state = Some(*classes & ZONE_UNKNOWN == 0),
                Dimension::Zone { place } if *classes == 1 => example.zones.push(*place),
                Dimension::Zone { .. } => {}
            }
        }
        example
    }
}

/// One call out of a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Example {
    /// Column and code.
    pub codes: Vec<(usize, u16)>,
    /// Whether the zone is known, where it matters.
    pub zone_state: Option<bool>,
    /// Zones it is in.
    pub zones: Vec<usize>,
}

/// `none` of a presence fact is told apart from its other values, for a program may require them.
fn split_absent(column: &Column, classes: impl Iterator<Item = Vec<u16>>) -> Vec<Vec<u16>> {
    let mut split = Vec::new();
    for codes in classes {
        let (absent, present): (Vec<u16>, Vec<u16>) = codes.into_iter().partition(|code| Some(*code) == column.absent);
        split.extend([absent, present].into_iter().filter(|codes| !codes.is_empty()));
    }
    split
}

fn accepted(classes: &[Vec<u16>], accepts: impl Fn(u16) -> bool) -> Classes {
    classes.iter().enumerate().fold(0, |set, (class, codes)| {
        if codes.first().is_some_and(|code| accepts(*code)) { set | (1 << class) } else { set }
    })
}

fn low_bits(count: usize) -> Classes {
    if count >= CLASSES_MAX { Classes::MAX } else { (1 << count) - 1 }
}

fn uncovered(mut target: Box, covers: &[&Box], cuts: &mut u64) -> Result<Option<Box>, TooHard> {
    let meets = |cover: &&Box| target.iter().zip(cover.iter()).all(|(target, cover)| target & cover != 0);
    let Some(place) = covers.iter().position(meets) else {
        return Ok(Some(target));
    };
    let (Some(cover), Some(others)) = (covers.get(place), covers.get(place + 1..)) else {
        return Ok(Some(target));
    };
    for dimension in 0..target.len() {
        let (Some(classes), Some(cut)) = (target.get(dimension).copied(), cover.get(dimension)) else {
            continue;
        };
        let outside = classes & !cut;
        if outside == 0 {
            continue;
        }
        *cuts += 1;
        if *cuts > CUTS_MAX {
            return Err(TooHard);
        }
        let mut part = target.clone();
        if let Some(place) = part.get_mut(dimension) {
            *place = outside;
        }
        if let Some(found) = uncovered(part, others, cuts)? {
            return Ok(Some(found));
        }
        if let Some(place) = target.get_mut(dimension) {
            *place = classes & cut;
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(space: &Box, point: &[u32]) -> bool {
        space.iter().zip(point).all(|(classes, value)| classes & (1 << value) != 0)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn what_is_left_is_what_a_count_of_every_point_says(
            target in prop::collection::vec(1_u128..16, 4),
            covers in prop::collection::vec(prop::collection::vec(0_u128..16, 4), 0..7),
        ) {
            let references: Vec<&Box> = covers.iter().collect();
            let left = uncovered(target.clone(), &references, &mut 0).unwrap();
            let mut points = Vec::new();
            for point in 0_u32..256 {
                let point = [point & 3, point >> 2 & 3, point >> 4 & 3, point >> 6 & 3];
                if holds(&target, &point) && !covers.iter().any(|cover| holds(cover, &point)) {
                    points.push(point);
                }
            }
            match left {
                None => prop_assert!(points.is_empty()),
                Some(left) => {
                    let inside = (0_u32..256)
                        .map(|point| [point & 3, point >> 2 & 3, point >> 4 & 3, point >> 6 & 3])
                        .filter(|point| holds(&left, point));
                    let mut any = false;
                    for point in inside {
                        any = true;
                        prop_assert!(points.contains(&point));
                    }
                    prop_assert!(any);
                }
            }
        }
    }
}
