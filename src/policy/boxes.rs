//! Exact questions about all calls: rows as boxes over the finite values, and what is left of one when others are cut out.
//!
//! Everything is read from the compiled bit-sets. Values that no row tells apart are one class, a bit in a dimension's set.
//! A call may be in several zones, so each zone that a row names is a dimension of its own (in or not in). A space may
//! hold the rows of two policies side by side, over the values that either tells apart.

use super::classes::{AGE, Class, classes, is_part, told_apart_zones};
use super::column::{Coding, Column};
use super::compile::{Coded, Table};
use super::cover::Question;
use super::grid::{Grid, Span};
use super::language::{Cell, Test};
use super::row_set::RowSet;
use crate::facts::ZONE_OUTSIDE;
use std::collections::{BTreeMap, BTreeSet};

pub(super) use super::classes::Side;
pub(super) use super::cover::TooHard;
pub(super) use super::grid::Box;

/// In a fact's dimension and in that of the zone's state: the value is not known.
const UNKNOWN: usize = 0;
/// States of the zone beside unknown: outside every zone, inside some.
const OUTSIDE: usize = 1;
const INSIDE: usize = 2;
/// In the dimension of one zone: in it, not in it.
const IN: usize = 0;
const NOT_IN: usize = 1;
/// The fact that has several dimensions.
const ZONE: &str = "zone";

/// One dimension of the space of calls.
#[derive(Debug)]
enum Dimension {
    /// A fact: its column on each side that uses it, and the classes of its values.
    Fact { name: String, columns: Vec<Option<usize>>, classes: Vec<Class> },
    /// Unknown, outside, inside.
    ZoneState,
    /// In this zone or not: its place on each side, and its name.
    Zone { places: Vec<Option<usize>>, name: String },
}

/// The space of all calls, as the tables can tell them apart.
#[derive(Debug)]
pub(super) struct Space {
    dimensions: Vec<Dimension>,
    grid: Grid,
    /// Every call.
    whole: Box,
    /// By side and row: its boxes (several where a zone list needs them).
    rows: Vec<Vec<Vec<Box>>>,
    /// Calls that cannot be: outside and in a zone, in a zone and not in one that it is part of.
    impossible: Vec<Box>,
    /// A zone that no dimension stands for, for calls inside that are in none of the others.
    elsewhere: Option<String>,
}

impl Space {
    /// The space of one policy.
    pub(super) fn of(table: &Table, areas: &[usize]) -> Self {
        Self::over(&[Side { table, areas }])
    }

    /// The space of several policies: every value that one of them tells apart is told apart.
    pub(super) fn over(sides: &[Side<'_>]) -> Self {
        let mut space = Self {
            dimensions: Vec::new(),
            grid: Grid::default(),
            whole: Vec::new(),
            rows: Vec::new(),
            impossible: Vec::new(),
            elsewhere: None,
        };
        let mut facts: Vec<&str> = Vec::new();
        for column in sides.iter().flat_map(|side| &side.table.columns) {
            if !facts.contains(&column.name.as_str()) {
                facts.push(&column.name);
            }
        }
        for fact in facts {
            let place = |side: &Side<'_>| side.table.columns.iter().position(|column| column.name == fact);
            let columns: Vec<Option<usize>> = sides.iter().map(place).collect();
            let is_zone =
                sides.iter().zip(&columns).any(|(side, place)| place.is_some() && side.table.zone_column == *place);
            if is_zone {
                space.push(Dimension::ZoneState, 3);
                for (name, places) in told_apart_zones(sides) {
                    space.push(Dimension::Zone { places, name }, 2);
                }
            } else {
                let classes = classes(sides, &columns);
                let count = classes.len();
                space.push(Dimension::Fact { name: fact.to_owned(), columns, classes }, count);
            }
        }
        space.whole = space.grid.whole();
        space.elsewhere = space.zone_elsewhere(sides);
        space.impossible = space.impossible_zones(sides);
        let rows = |(side, Side { table, .. }): (usize, &Side<'_>)| {
            (0..table.rows.len()).map(|row| space.row_boxes(side, table, row)).collect()
        };
        space.rows = sides.iter().enumerate().map(rows).collect();
        space
    }

    fn push(&mut self, dimension: Dimension, classes: usize) {
        self.dimensions.push(dimension);
        self.grid.push(classes);
    }

    /// Every call.
    pub(super) fn everything(&self) -> Box {
        self.whole.clone()
    }

    fn each(&self) -> impl Iterator<Item = (&Dimension, &Span)> {
        self.dimensions.iter().zip(self.grid.spans())
    }

    /// A zone that is in none of those that have a dimension.
    fn zone_elsewhere(&self, sides: &[Side<'_>]) -> Option<String> {
        sides.iter().enumerate().find_map(|(side, Side { table, .. })| {
            let column = table.zone_column.and_then(|place| table.columns.get(place))?;
            let own: Vec<usize> = self
                .dimensions
                .iter()
                .filter_map(|dimension| match dimension {
                    Dimension::Zone { places, .. } => places.get(side).copied().flatten(),
                    _ => None,
                })
                .collect();
            let zones = 0..column.names.len().saturating_sub(1);
            let code = |zone: usize| u16::try_from(zone + 1).unwrap_or(0);
            let free = |zone: &usize| !own.iter().any(|named| column.closure(code(*zone)).holds(*named));
            zones.into_iter().find(free).and_then(|zone| column.names.get(zone).cloned())
        })
    }

    fn impossible_zones(&self, sides: &[Side<'_>]) -> Vec<Box> {
        let mut impossible = Vec::new();
        let whole = self.everything();
        let mut nowhere = whole.clone();
        for (dimension, span) in self.each() {
            match dimension {
                Dimension::ZoneState => span.restrict(&mut nowhere, |state| state == INSIDE),
                Dimension::Zone { .. } => span.restrict(&mut nowhere, |class| class == NOT_IN),
                Dimension::Fact { .. } => {}
            }
        }
        let has_zones = self.dimensions.iter().any(|dimension| matches!(dimension, Dimension::ZoneState));
        if has_zones && self.elsewhere.is_none() {
            impossible.push(nowhere);
        }
        for (part, part_span) in self.each() {
            let Dimension::Zone { places: part, .. } = part else {
                continue;
            };
            let mut not_inside = whole.clone();
            part_span.restrict(&mut not_inside, |class| class == IN);
            for (dimension, span) in self.each() {
                match dimension {
                    Dimension::ZoneState => span.restrict(&mut not_inside, |state| state != INSIDE),
                    Dimension::Zone { places: wholes, .. } if is_part(sides, part, wholes) => {
                        let mut apart = whole.clone();
                        part_span.restrict(&mut apart, |class| class == IN);
                        span.restrict(&mut apart, |class| class == NOT_IN);
                        impossible.push(apart);
                    }
                    _ => {}
                }
            }
            impossible.push(not_inside);
        }
        impossible
    }

    fn row_boxes(&self, side: usize, table: &Table, row: usize) -> Vec<Box> {
        let mut whole = self.everything();
        for (dimension, span) in self.each() {
            if let Dimension::Fact { columns, classes, .. } = dimension
                && let Some(column) = columns.get(side).copied().flatten().and_then(|place| table.columns.get(place))
            {
                restrict_classes(span, &mut whole, classes, |class| accepts(column, class.code(side), row));
            }
        }
        let zone = table.zone_column.and_then(|place| table.columns.get(place));
        if let Some(column) = zone
            && let Coding::Zones { named, negated, .. } = &column.coding
            && column.asked_by.contains(row)
        {
            let names = |zone: usize| named.get(zone).is_some_and(|rows| rows.contains(row));
            let unknown = column.accept.first().is_some_and(|rows| rows.contains(row));
            return self.zone_boxes(side, &whole, &names, named.len(), negated.contains(row), unknown);
        }
        vec![whole]
    }

    /// The boxes of a conjunction of cells: a row that is not in the table, whose values the table tells apart all the same.
    pub(super) fn of_cells(&self, table: &Table, cells: &[Cell]) -> Vec<Box> {
        cells.iter().fold(vec![self.everything()], |boxes, cell| {
            let own = self.of_cell(table, cell);
            self.meet_all(&boxes, &own)
        })
    }

    fn of_cell(&self, table: &Table, cell: &Cell) -> Vec<Box> {
        let mut whole = self.everything();
        for (dimension, span) in self.each() {
            if let Dimension::Fact { columns, classes, .. } = dimension
                && let Some(column) = columns.first().copied().flatten().and_then(|place| table.columns.get(place))
                && column.fact == cell.fact
            {
                restrict_classes(span, &mut whole, classes, |class| column.cell_accepts(cell, class.code(0)));
            }
        }
        match table.zone_column.and_then(|place| table.columns.get(place)) {
            Some(column) if column.fact == cell.fact => {
                let names = |zone: usize| cell.tests.contains(&Test::Word(zone));
                self.zone_boxes(0, &whole, &names, column.names.len(), cell.negated, cell.accepts_unknown())
            }
            _ => vec![whole],
        }
    }

    /// A zone list is one box for each zone that it names; `not(…)` is one box.
    fn zone_boxes(
        &self,
        side: usize,
        whole: &Box,
        names: &dyn Fn(usize) -> bool,
        zones: usize,
        negated: bool,
        unknown: bool,
    ) -> Vec<Box> {
        let outside = names(zones.saturating_sub(1)) != negated;
        let names_it = |places: &[Option<usize>]| places.get(side).copied().flatten().is_some_and(names);
        let state_ok = |state: usize| (state == UNKNOWN && unknown) || (state == OUTSIDE && outside);
        if negated {
            let mut one = whole.clone();
            for (dimension, span) in self.each() {
                match dimension {
                    Dimension::ZoneState => span.restrict(&mut one, |state| state == INSIDE || state_ok(state)),
                    Dimension::Zone { places, .. } if names_it(places) => {
                        span.restrict(&mut one, |class| class == NOT_IN)
                    }
                    _ => {}
                }
            }
            return vec![one];
        }
        let mut boxes = Vec::new();
        for (dimension, span) in self.each() {
            let mut one = whole.clone();
            match dimension {
                Dimension::ZoneState if unknown || outside => span.restrict(&mut one, state_ok),
                Dimension::Zone { places, .. } if names_it(places) => span.restrict(&mut one, |class| class == IN),
                _ => continue,
            }
            boxes.push(one);
        }
        boxes
    }

    /// A row's box with the facts that another row names left free.
    pub(super) fn freed(&self, side: usize, table: &Table, own: &Box, by: usize) -> Box {
        let names = |place: usize| table.columns.get(place).is_some_and(|column| column.asked_by.contains(by));
        self.free_where(own, |dimension| match dimension {
            Dimension::Fact { columns, .. } => columns.get(side).copied().flatten().is_some_and(names),
            Dimension::ZoneState | Dimension::Zone { .. } => table.zone_column.is_some_and(names),
        })
    }

    /// A box with one fact left free.
    pub(super) fn without_fact(&self, table: &Table, own: &Box, fact: usize) -> Box {
        self.with_fact_of(table, own, &self.whole, fact)
    }

    /// A box in which one fact is as another box has it.
    pub(super) fn with_fact_of(&self, table: &Table, own: &Box, other: &Box, fact: usize) -> Box {
        let is_it = |place: usize| table.columns.get(place).is_some_and(|column| column.fact == fact);
        self.taken_from(own, other, |dimension| match dimension {
            Dimension::Fact { columns, .. } => columns.first().copied().flatten().is_some_and(is_it),
            Dimension::ZoneState | Dimension::Zone { .. } => table.zone_column.is_some_and(is_it),
        })
    }

    fn free_where(&self, own: &Box, free: impl Fn(&Dimension) -> bool) -> Box {
        self.taken_from(own, &self.whole, free)
    }

    fn taken_from(&self, own: &Box, other: &Box, taken: impl Fn(&Dimension) -> bool) -> Box {
        let mut mixed = own.clone();
        for (dimension, span) in self.each() {
            if taken(dimension) {
                span.take(&mut mixed, other);
            }
        }
        mixed
    }

    /// The boxes of a row of the first side.
    pub(super) fn row(&self, row: usize) -> &[Box] {
        self.row_of(0, row)
    }

    /// The boxes of a row of one side.
    pub(super) fn row_of(&self, side: usize, row: usize) -> &[Box] {
        self.rows.get(side).and_then(|rows| rows.get(row)).map_or(&[], Vec::as_slice)
    }

    /// The boxes of several rows.
    pub(super) fn rows(&self, rows: RowSet) -> Vec<&Box> {
        rows.iter().flat_map(|row| self.row(row)).collect()
    }

    /// A box cut down to what is known of a call; unknown facts that can be asked stay free.
    pub(super) fn around(&self, table: &Table, call: &Coded) -> Vec<Box> {
        let mut space = self.everything();
        let zone = table.zone_column.and_then(|place| Some((table.columns.get(place)?, call.codes.get(place)?)));
        for (dimension, span) in self.each() {
            match (dimension, zone) {
                (Dimension::Fact { columns, classes, .. }, _) => {
                    let place = columns.first().copied().flatten().unwrap_or(usize::MAX);
                    let code = call.codes.get(place).copied().unwrap_or(0);
                    let askable = table.columns.get(place).is_some_and(|column| column.askable);
                    if code != 0 || !askable {
                        restrict_classes(span, &mut space, classes, |class| class.members.contains(&code));
                    }
                }
                (Dimension::ZoneState, Some((column, code))) if *code != 0 => {
                    let outside = column.names.len().checked_sub(1).is_some_and(|outside| call.zones.holds(outside));
                    span.restrict(&mut space, |state| state == if outside { OUTSIDE } else { INSIDE });
                }
                (Dimension::Zone { places, .. }, Some((_, code))) if *code != 0 => {
                    let place = places.first().copied().flatten();
                    let inside = place.is_some_and(|place| call.zones.holds(place));
                    span.restrict(&mut space, |class| (class == IN) == inside);
                }
                _ => {}
            }
        }
        vec![space]
    }

    /// The one point of a call: what is not known stays unknown.
    #[cfg(test)]
    pub(super) fn around_exactly(&self, table: &Table, call: &Coded) -> Box {
        let mut space = self.around(table, call).remove(0);
        for (dimension, span) in self.each() {
            let unknown = match dimension {
                Dimension::Fact { columns, .. } => columns[0].is_some_and(|place| call.codes[place] == 0),
                Dimension::ZoneState => table.zone_column.is_some_and(|place| call.codes[place] == 0),
                Dimension::Zone { .. } if table.zone_column.is_some_and(|place| call.codes[place] == 0) => {
                    span.restrict(&mut space, |class| class == NOT_IN);
                    false
                }
                Dimension::Zone { .. } => false,
            };
            if unknown {
                span.restrict(&mut space, |class| class == UNKNOWN);
            }
        }
        space
    }

    /// A box with one fact known, or not known; where `present`, without the calls in which it is known to be absent.
    pub(super) fn known(&self, side: usize, table: &Table, from: &Box, fact: usize, known: bool, present: bool) -> Box {
        let mut space = from.clone();
        let is_it = |place: usize| table.columns.get(place).filter(|column| column.fact == fact);
        for (dimension, span) in self.each() {
            match dimension {
                Dimension::Fact { columns, classes, .. } => {
                    let Some(column) = columns.get(side).copied().flatten().and_then(is_it) else {
                        continue;
                    };
                    restrict_classes(span, &mut space, classes, |class| {
                        let code = class.code(side);
                        (code != 0) == known && !(present && Some(code) == column.absent)
                    });
                }
                Dimension::ZoneState if table.zone_column.and_then(is_it).is_some() => {
                    span.restrict(&mut space, |state| (state != UNKNOWN) == known);
                }
                _ => {}
            }
        }
        space
    }

    /// The part of a box in which the call is in one of these zones of a side, a box for each.
    pub(super) fn within(&self, side: usize, from: &Box, zones: &[usize]) -> Vec<Box> {
        let named =
            |places: &[Option<usize>]| places.get(side).copied().flatten().is_some_and(|place| zones.contains(&place));
        let mut boxes = Vec::new();
        for (dimension, span) in self.each() {
            let mut one = from.clone();
            match dimension {
                Dimension::Zone { places, .. } if named(places) => span.restrict(&mut one, |class| class == IN),
                _ => continue,
            }
            boxes.push(one);
        }
        boxes.retain(|one| !self.is_empty(one));
        boxes
    }

    pub(super) fn is_empty(&self, space: &Box) -> bool {
        self.grid.is_empty(space)
    }

    /// Two boxes' common part, `None` where they have none.
    pub(super) fn meet(&self, one: &Box, other: &Box) -> Option<Box> {
        #[cfg(test)]
        super::cover::WORK.set(super::cover::WORK.get() + 1);
        self.grid.meet(one, other)
    }

    /// The common parts of two unions of boxes.
    pub(super) fn meet_all(&self, ones: &[Box], others: &[Box]) -> Vec<Box> {
        ones.iter().flat_map(|one| others.iter().filter_map(move |other| self.meet(one, other))).collect()
    }

    /// A box without another: for each dimension in which the other is not the whole the part beyond it, the parts apart.
    pub(super) fn cut(&self, from: &Box, other: &Box) -> Vec<Box> {
        if self.meet(from, other).is_none() {
            return vec![from.clone()];
        }
        let mut inside = from.clone();
        let mut left = Vec::new();
        for span in self.grid.spans().iter().filter(|span| !span.is_alike(other, &self.whole)) {
            let mut beyond = inside.clone();
            span.restrict(&mut beyond, |class| !span.holds(other, class));
            if !self.is_empty(&beyond) {
                left.push(beyond);
            }
            span.restrict(&mut inside, |class| span.holds(other, class));
        }
        left
    }

    /// A part of `target` that none of the covers holds, `None` where they hold all of it.
    pub(super) fn uncovered(&self, target: &Box, covers: &[&Box]) -> Result<Option<Box>, TooHard> {
        let covers = self.impossible.iter().chain(covers.iter().copied());
        Question::new(&self.grid, None).uncovered(target.clone(), covers.enumerate())
    }

    /// Covers looked at in answering [`Self::uncovered`].
    #[cfg(test)]
    pub(super) fn looks(&self, target: &Box, covers: &[&Box]) -> u64 {
        let mut question = Question::new(&self.grid, None);
        let covers = self.impossible.iter().chain(covers.iter().copied());
        let _ = question.uncovered(target.clone(), covers.enumerate());
        question.looks
    }

    /// As [`Self::uncovered`]; where all is covered, the places of the covers that it took.
    pub(super) fn covered_by(&self, target: &Box, covers: &[&Box]) -> Result<Option<BTreeSet<usize>>, TooHard> {
        let mut used = BTreeSet::new();
        let all = self.impossible.iter().chain(covers.iter().copied());
        let left = Question::new(&self.grid, Some(&mut used)).uncovered(target.clone(), all.enumerate())?;
        let own = |place: usize| place.checked_sub(self.impossible.len());
        Ok(left.is_none().then(|| used.into_iter().filter_map(own).collect()))
    }

    /// One call of a box. A fact is left unknown wherever the box allows it, but for the age, which is that of an adult
    /// wherever it can be.
    pub(super) fn point(&self, of: &Box) -> Point {
        let mut point = Point::default();
        let mut zones: Vec<&str> = Vec::new();
        let mut state = UNKNOWN;
        for (dimension, span) in self.each() {
            let allowed: Vec<usize> = span.classes(of).collect();
            let all = allowed.len() == span.classes;
            match dimension {
                Dimension::Fact { name, classes, .. } => {
                    let chosen = if name == AGE {
                        let known =
                            allowed.iter().filter(|class| **class != UNKNOWN).filter_map(|class| classes.get(*class));
                        known.min_by_key(|class| class.age_distance())
                    } else if allowed.contains(&UNKNOWN) {
                        None
                    } else {
                        allowed.first().and_then(|class| classes.get(*class))
                    };
                    point.facts.extend(chosen.map(|class| (name.clone(), class.example.clone())));
                    point.restricted.extend((!all).then(|| name.clone()));
                }
                Dimension::ZoneState => {
                    state = allowed.first().copied().unwrap_or(UNKNOWN);
                    point.restricted.extend((!all).then(|| ZONE.to_owned()));
                }
                Dimension::Zone { name, .. } => zones.extend((allowed == [IN]).then_some(name.as_str())),
            }
        }
        let place = match state {
            UNKNOWN => None,
            OUTSIDE => Some(ZONE_OUTSIDE.to_owned()),
            _ if zones.is_empty() => self.elsewhere.clone(),
            _ => Some(zones.join(",")),
        };
        point.facts.extend(place.map(|place| (ZONE.to_owned(), place)));
        point
    }

    /// By pairs of values of a fact, the second more dangerous than the first and told apart from it: the classes.
    pub(super) fn raises(&self, table: &Table, fact: usize, danger: &[u8]) -> Vec<(usize, usize)> {
        let mut pairs = BTreeSet::new();
        for dimension in &self.dimensions {
            let Dimension::Fact { columns, classes, .. } = dimension else {
                continue;
            };
            let column = columns.first().copied().flatten().and_then(|place| table.columns.get(place));
            if column.is_none_or(|column| column.fact != fact) {
                continue;
            }
            let values = || {
                classes.iter().enumerate().flat_map(|(place, class)| {
                    class
                        .members
                        .iter()
                        .filter_map(move |code| Some((place, *danger.get(usize::from(*code).checked_sub(1)?)?)))
                })
            };
            for (low, less) in values() {
                pairs.extend(values().filter(|(high, more)| *more > less && *high != low).map(|(high, _)| (low, high)));
            }
        }
        pairs.into_iter().collect()
    }

    /// Whether a box allows one class of a fact.
    pub(super) fn allows(&self, table: &Table, own: &Box, fact: usize, class: usize) -> bool {
        let is_it = |place: usize| table.columns.get(place).is_some_and(|column| column.fact == fact);
        self.each().all(|(dimension, span)| match dimension {
            Dimension::Fact { columns, .. } if columns.first().copied().flatten().is_some_and(is_it) => {
                span.holds(own, class)
            }
            Dimension::Fact { .. } | Dimension::ZoneState | Dimension::Zone { .. } => true,
        })
    }

    /// A box with a fact fixed to one class, `None` where it does not allow that.
    pub(super) fn fixed(&self, table: &Table, from: &Box, fact: usize, class: usize) -> Option<Box> {
        let mut fixed = from.clone();
        for (dimension, span) in self.each() {
            if let Dimension::Fact { columns, .. } = dimension
                && let Some(column) = columns.first().copied().flatten().and_then(|place| table.columns.get(place))
                && column.fact == fact
            {
                span.restrict(&mut fixed, |other| other == class);
            }
        }
        (!self.is_empty(&fixed)).then_some(fixed)
    }
}

/// One call out of a box.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Point {
    /// What is known of it: fact and value.
    pub facts: BTreeMap<String, String>,
    /// The facts of which the box does not allow every value.
    pub restricted: BTreeSet<String>,
}

fn accepts(column: &Column, code: u16, row: usize) -> bool {
    column.accept.get(usize::from(code)).is_some_and(|rows| rows.contains(row))
}

fn restrict_classes(span: &Span, of: &mut Box, classes: &[Class], keep: impl Fn(&Class) -> bool) {
    span.restrict(of, |class| classes.get(class).is_some_and(&keep));
}
