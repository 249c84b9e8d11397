//! The compiled table: for each fact and value a bit-set of the rows that accept it.
//!
//! Values that the policy cannot tell apart share a code: numbers are cut at the thresholds that the cells name, codes fall
//! into the class of the longest pattern that matches them. What is proved is proved of this table, not of the text.

use super::language::{Bars, Cell, Program, Row, RowKind, Test, Written};
use super::row_set::{ROWS_MAX, RowSet};
use crate::facts::{Domain, Fact, Facts, Source};

/// Facts that a policy may use, at most.
pub(super) const COLUMNS_MAX: usize = 64;
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

    pub(super) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(one, other)| one & other != 0)
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
    /// Code = 1 + place of the longest pattern that matches; the last code is every other code. (stem, is a prefix)
    Codes(Vec<(String, bool)>),
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
    pub names: Vec<String>,
    pub coding: Coding,
    /// By code: the rows that accept it.
    pub accept: Vec<RowSet>,
    /// By code: the least code that no row and no requirement tells apart from it.
    pub same_as: Vec<u16>,
    /// Rows that accept `unknown` here and would not accept every known value: they may hold for want of an answer.
    pub soft: RowSet,
    /// Rows with a cell here.
    pub asked_by: RowSet,
    /// Whether a call-taker can be asked.
    pub askable: bool,
    /// The code that says the thing is absent, where a program may require it.
    pub absent: Option<u16>,
}

/// The compiled table.
#[derive(Debug)]
pub(super) struct Table {
    pub columns: Vec<Column>,
    /// Built-in exclusions, authored exclusions in order of id, rules by rank (highest first), then id.
    pub rows: Vec<Row>,
    pub all: RowSet,
    pub rules: RowSet,
    /// Rules in shadow.
    pub shadow: RowSet,
    /// Exclusions that mean the ordinary route.
    pub bars_all: RowSet,
    /// Exclusions that send to a co-response.
    pub bars_all_but: RowSet,
    /// Built-in exclusions that bar the unaccompanied.
    pub bars_unaccompanied: RowSet,
    /// Rows with effective dates.
    pub dated: Vec<usize>,
    /// Column of the zone, where the policy uses it.
    pub zone_column: Option<usize>,
    /// Cells of safeguards: their values are told apart too, so that proofs about them are exact.
    pub safeguard_cells: Vec<Cell>,
}

/// A call as codes: what the table can tell of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coded {
    pub codes: [u16; COLUMNS_MAX],
    pub zones: ZoneSet,
    /// Rows that accept the zones.
    pub zone_rows: RowSet,
    /// Columns whose fact has a value that the policy does not have.
    pub strangers: u64,
}

impl Table {
    pub(super) fn compile(written: &Written, built_in: Vec<Row>) -> Result<Self, String> {
        let mut exclusions = written.exclusions.clone();
        exclusions.sort_by(|one, other| one.id.cmp(&other.id));
        let mut rules = written.rules.clone();
        rules.sort_by(|one, other| (rank(other), &one.id).cmp(&(rank(one), &other.id)));
        let rows: Vec<Row> = built_in.into_iter().chain(exclusions).chain(rules).collect();
        if rows.len() > ROWS_MAX {
            return Err(format!("the policy has more than {ROWS_MAX} rows"));
        }
        let facts = written.sources.vocabulary.facts();
        let safeguard_cells: Vec<Cell> =
            written.safeguards.iter().flat_map(|safeguard| safeguard.when.iter().cloned()).collect();
        let columns: Vec<Column> = used_facts(&rows, &safeguard_cells, &written.programs, facts)
            .into_iter()
            .filter_map(|place| Some(Column::build(place, facts.get(place)?, &rows, &safeguard_cells)))
            .collect();
        if columns.len() > COLUMNS_MAX {
            return Err(format!("the policy uses more than {COLUMNS_MAX} facts"));
        }
        if written.sources.zones.names().len() >= ZONES_MAX {
            return Err(format!("the policy has more than {} zones", ZONES_MAX - 1));
        }
        let select = |wanted: &dyn Fn(&RowKind) -> bool| {
            let mut set = RowSet::EMPTY;
            rows.iter().enumerate().filter(|(_, row)| wanted(&row.kind)).for_each(|(place, _)| set.insert(place));
            set
        };
        Ok(Self {
            zone_column: columns.iter().position(|column| matches!(column.coding, Coding::Zones { .. })),
            columns,
            all: RowSet::first(rows.len()),
            rules: select(&|kind| matches!(kind, RowKind::Rule { .. })),
            shadow: select(&|kind| matches!(kind, RowKind::Rule { shadow: true, .. })),
            bars_all: select(&|kind| *kind == RowKind::Exclusion(Bars::All)),
            bars_all_but: select(&|kind| matches!(kind, RowKind::Exclusion(Bars::AllBut(_)))),
            bars_unaccompanied: select(&|kind| *kind == RowKind::Exclusion(Bars::Unaccompanied)),
            dated: (0..rows.len()).filter(|row| rows.get(*row).is_some_and(|row| !row.effective.is_always())).collect(),
            rows,
            safeguard_cells,
        })
    }

    /// A call's facts as codes. No allocation.
    pub(super) fn code(&self, facts: &Facts) -> Coded {
        let mut coded =
            Coded { codes: [0; COLUMNS_MAX], zones: ZoneSet::default(), zone_rows: RowSet::EMPTY, strangers: 0 };
        for ((place, column), code) in self.columns.iter().enumerate().zip(coded.codes.iter_mut()) {
            let Some(value) = facts.value(&column.name) else {
                continue;
            };
            match column.code_of(value) {
                Some(found) => *code = found,
                None => coded.strangers |= 1 << place,
            }
        }
        if let Some(place) = self.zone_column
            && let Some(column) = self.columns.get(place)
        {
            let value = facts.value(&column.name);
            for zone in value.into_iter().flat_map(|value| value.split(',')) {
                if let Some(code) = column.code_of(zone) {
                    coded.zones.insert(usize::from(code).saturating_sub(1));
                }
            }
            coded.zone_rows = column.zone_rows(value.is_some(), &coded.zones);
        }
        coded
    }

    /// The same call with one fact changed; a zone code puts it in that zone and those that it is part of.
    pub(super) fn changed(&self, call: &Coded, place: usize, code: u16) -> Coded {
        let mut call = *call;
        if let Some(old) = call.codes.get_mut(place) {
            *old = code;
        }
        call.strangers &= !(1 << place);
        if self.zone_column == Some(place)
            && let Some(column) = self.columns.get(place)
        {
            call.zones = column.closure(code);
            call.zone_rows = column.zone_rows(code > 0, &call.zones);
        }
        call
    }

    /// The rows whose cells all accept the call: the *and* of one bit-set per fact.
    pub(super) fn matching(&self, call: &Coded) -> RowSet {
        let mut rows = self.all;
        for (place, (column, code)) in self.columns.iter().zip(&call.codes).enumerate() {
            rows = rows.and(self.accepts(place, column, *code, call));
        }
        rows
    }

    pub(super) fn accepts<'a>(&self, place: usize, column: &'a Column, code: u16, call: &'a Coded) -> &'a RowSet {
        const NONE: &RowSet = &RowSet::EMPTY;
        if self.zone_column == Some(place) {
            &call.zone_rows
        } else {
            column.accept.get(usize::from(code)).unwrap_or(NONE)
        }
    }

    /// Rows that, if they hold, may hold only because something is unknown.
    pub(super) fn soft(&self, call: &Coded) -> RowSet {
        let mut soft = RowSet::EMPTY;
        for (column, code) in self.columns.iter().zip(&call.codes) {
            if *code == 0 {
                soft = soft.or(&column.soft);
            }
        }
        soft
    }

    pub(super) fn known(&self, call: &Coded, fact: usize) -> bool {
        self.code_at(call, fact).is_some_and(|(_, code)| code != 0)
    }

    /// The column of a fact and the call's code in it.
    pub(super) fn code_at(&self, call: &Coded, fact: usize) -> Option<(&Column, u16)> {
        self.columns.iter().zip(call.codes).find(|(column, _)| column.fact == fact)
    }
}

pub(super) fn rank(row: &Row) -> i64 {
    match &row.kind {
        RowKind::Rule { rank, .. } => *rank,
        RowKind::Exclusion(_) => 0,
    }
}

/// Facts with a cell, under `ask`, required by a program, or needed for an area, in the vocabulary's order.
fn used_facts(rows: &[Row], further: &[Cell], programs: &[Program], facts: &[Fact]) -> Vec<usize> {
    let cells = rows.iter().flat_map(|row| &row.cells).chain(further);
    let mut used: Vec<usize> = cells.map(|cell| cell.fact).collect();
    for row in rows {
        if let RowKind::Rule { ask, .. } = &row.kind {
            used.extend(ask);
        }
    }
    for program in programs {
        used.extend(&program.required);
        if program.area.is_some() {
            used.extend(facts.iter().position(|fact| matches!(fact.domain, Domain::Zones { .. })));
        }
    }
    used.sort_unstable();
    used.dedup();
    used
}

impl Column {
    fn build(place: usize, fact: &Fact, rows: &[Row], further: &[Cell]) -> Self {
        let cells: Vec<Option<&Cell>> =
            rows.iter().map(|row| row.cells.iter().find(|cell| cell.fact == place)).collect();
        let further = further.iter().filter(|cell| cell.fact == place);
        let told_apart: Vec<&Cell> = cells.iter().copied().flatten().chain(further).collect();
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
            Domain::Number { min, .. } => {
                let cuts = cuts(&told_apart, *min);
                let firsts = std::iter::once(*min).chain(cuts.iter().copied());
                accept.extend(firsts.map(|number| rows_where(&|cell| cell.accepts_number(number))));
                Coding::Numbers { least: *min, cuts }
            }
            Domain::Code => {
                let patterns = patterns(&told_apart);
                accept.extend(patterns.iter().map(|pattern| rows_where(&|cell| class_accepted(cell, Some(pattern)))));
                accept.push(rows_where(&|cell| class_accepted(cell, None)));
                Coding::Codes(patterns)
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
                let closures: Vec<ZoneSet> = closures
                    .iter()
                    .map(|zones| ZoneSet::of(&zones.iter().filter_map(place).collect::<Vec<_>>()))
                    .collect();
                accept.extend(closures.iter().map(|zones| rows_of_zones(&named, &negated, zones)));
                Coding::Zones { named, negated, closures }
            }
        };
        let every_known = accept.iter().skip(1).fold(RowSet::first(rows.len()), |every, accept| every.and(accept));
        let unknown = accept.first().copied().unwrap_or(RowSet::EMPTY);
        let mut asked_by = RowSet::EMPTY;
        cells.iter().enumerate().filter(|(_, cell)| cell.is_some()).for_each(|(row, _)| asked_by.insert(row));
        let absent_place = if fact.presence { fact.values().iter().position(|value| value == "none") } else { None };
        let absent = absent_place.and_then(|place| u16::try_from(place + 1).ok());
        // Zones stay apart, for areas name them; unknown stays apart from every known value.
        let apart =
            |code: usize| code == 0 || matches!(coding, Coding::Zones { .. }) || absent == u16::try_from(code).ok();
        let same_as = (0..accept.len())
            .map(|code| {
                let first = |other: &usize| {
                    *other == code || (!apart(code) && !apart(*other) && accept.get(*other) == accept.get(code))
                };
                u16::try_from((0..=code).find(first).unwrap_or(code)).unwrap_or(u16::MAX)
            })
            .collect();
        Self {
            fact: place,
            name: fact.name.to_string(),
            coding,
            // What nobody can be asked stays as it is: such a row holds for certain.
            soft: if fact.askable { unknown.without(&every_known) } else { RowSet::EMPTY },
            accept,
            asked_by,
            askable: fact.askable,
            same_as,
            absent,
            names: fact.values(),
        }
    }

    /// The code of a known value, `None` where the value is no value of this fact.
    pub(super) fn code_of(&self, value: &str) -> Option<u16> {
        let place = match &self.coding {
            Coding::Words => self.names.iter().position(|name| name == value)?,
            Coding::Zones { .. } => {
                let mut first = None;
                for zone in value.split(',') {
                    let place = self.names.iter().position(|name| name == zone)?;
                    first = first.or(Some(place));
                }
                first?
            }
            Coding::Numbers { cuts, .. } => {
                let number: i64 = value.parse().ok()?;
                cuts.partition_point(|cut| *cut <= number)
            }
            Coding::Codes(patterns) => {
                // Patterns stand longest first, so that the first that matches is the longest.
                let matches = |(stem, prefix): &(String, bool)| {
                    if *prefix { value.starts_with(stem.as_str()) } else { value == stem }
                };
                patterns.iter().position(matches).unwrap_or(patterns.len())
            }
        };
        u16::try_from(place + 1).ok()
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
            Coding::Codes(patterns) => class_accepted(cell, patterns.get(place)),
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
            Coding::Codes(patterns) => match patterns.get(place) {
                Some((stem, false)) => stem.clone(),
                Some((stem, true)) => format!("{stem}*"),
                None => "another code".to_owned(),
            },
        }
    }

    /// The zones of a call that is known to be in one: that zone, and those that it is part of.
    fn closure(&self, code: u16) -> ZoneSet {
        match (&self.coding, usize::from(code).checked_sub(1)) {
            (Coding::Zones { closures, .. }, Some(zone)) => closures.get(zone).copied().unwrap_or_default(),
            _ => ZoneSet::default(),
        }
    }

    /// Rows that accept a set of zones; unknown where not `known`.
    fn zone_rows(&self, known: bool, zones: &ZoneSet) -> RowSet {
        match (&self.coding, known) {
            (Coding::Zones { named, negated, .. }, true) => rows_of_zones(named, negated, zones),
            _ => self.accept.first().copied().unwrap_or(RowSet::EMPTY),
        }
    }
}

/// Rows that accept a call in these zones: lists that name one of them, and `not(…)` cells that name none.
fn rows_of_zones(named: &[RowSet], negated: &RowSet, zones: &ZoneSet) -> RowSet {
    let mut met = RowSet::EMPTY;
    for (zone, named) in named.iter().enumerate() {
        if zones.holds(zone) {
            met = met.or(named);
        }
    }
    met.xor(negated)
}

/// First numbers of the stretches that no cell cuts, the least number left out.
fn cuts(cells: &[&Cell], min: i64) -> Vec<i64> {
    let mut cuts: Vec<i64> = Vec::new();
    for test in cells.iter().flat_map(|cell| &cell.tests) {
        if let Test::Between(least, most) = test {
            cuts.extend([*least, most + 1]);
        }
    }
    cuts.retain(|cut| *cut > min);
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

/// True where a fact's value was doubtful and no answer has settled it since.
pub(super) fn unsettled(facts: &Facts, fact: &str) -> bool {
    facts.source(fact) != Some(Source::Answer)
}
