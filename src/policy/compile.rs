//! The compiled table: for each fact and value a bit-set of the rows that accept it.
//!
//! What is proved is proved of this table, not of the text.

use super::column::{Coding, Column, ZONES_MAX, ZoneSet};
use super::language::{Bars, Cell, Program, Row, RowKind, Written};
use super::row_set::{ROWS_MAX, RowSet, Rows};
use super::words::Words;
use crate::facts::{Domain, Fact, Facts, Source, Word};
use jiff::civil::Date;

/// Facts that a policy may use, at most.
pub(super) const COLUMNS_MAX: usize = 64;

/// The compiled table.
#[derive(Debug)]
pub(super) struct Table {
    pub columns: Vec<Column>,
    /// Built-in exclusions, authored exclusions in order of id, rules by rank (highest first), then id.
    pub rows: Vec<Row>,
    pub all: RowSet,
    /// Machine words that hold all rows, and those that hold the exclusions, which stand first.
    pub words: usize,
    pub exclusion_words: usize,
    pub rules: RowSet,
    /// Rules in shadow.
    pub shadow: RowSet,
    /// Exclusions that mean the ordinary route.
    pub bars_all: RowSet,
    /// Exclusions that send to a co-response.
    pub bars_all_but: RowSet,
    /// Exclusions that bar some programs and leave the others.
    pub bars_some: RowSet,
    /// Those of them that bar whoever comes without an officer.
    pub bars_unaccompanied: RowSet,
    /// By program: those that name it.
    bars_named: Vec<RowSet>,
    /// Rows that do not always count: with effective dates, or for surge mode.
    pub dated: Vec<usize>,
    /// Rows that count from a date on, until the next; in surge mode second.
    stretches: Vec<(Date, [RowSet; 2])>,
    /// Columns by the name of their fact, and by the fact's place in the vocabulary.
    names: Words,
    by_fact: Vec<Option<usize>>,
    /// Column of the zone, where the policy uses it.
    pub zone_column: Option<usize>,
    /// Column of the nature, where the policy uses it.
    pub nature_column: Option<usize>,
    /// Cells of safeguards and queues: their values are told apart too, so that what is said of them is exact.
    pub further_cells: Vec<Cell>,
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
        let queues = written.programs.iter().flat_map(|program| &program.queue).flat_map(|entry| &entry.cells);
        let further_cells: Vec<Cell> =
            written.safeguards.iter().flat_map(|safeguard| &safeguard.when).chain(queues).cloned().collect();
        let columns: Vec<Column> = used_facts(&rows, &further_cells, &written.programs, facts)
            .into_iter()
            .filter_map(|place| Some(Column::build(place, facts.get(place)?, &rows, &further_cells)))
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
        let all = RowSet::first(rows.len());
        let rules = select(&|kind| matches!(kind, RowKind::Rule { .. }));
        Ok(Self {
            words: all.words(),
            exclusion_words: all.without(&rules).words(),
            stretches: stretches(&rows),
            names: Words::of(columns.iter().map(|column| column.name.clone()).collect()),
            by_fact: (0..facts.len()).map(|fact| columns.iter().position(|column| column.fact == fact)).collect(),
            nature_column: columns.iter().position(|column| column.name == "nature"),
            zone_column: columns.iter().position(|column| matches!(column.coding, Coding::Zones { .. })),
            columns,
            all,
            rules,
            shadow: select(&|kind| matches!(kind, RowKind::Rule { shadow: true, .. })),
            bars_all: select(&|kind| *kind == RowKind::Exclusion(Bars::All)),
            bars_all_but: select(&|kind| matches!(kind, RowKind::Exclusion(Bars::AllBut(_)))),
            bars_some: select(&|kind| matches!(kind, RowKind::Exclusion(Bars::Some(_)))),
            bars_unaccompanied: select(
                &|kind| matches!(kind, RowKind::Exclusion(Bars::Some(barred)) if barred.unaccompanied),
            ),
            bars_named: (0..written.programs.len())
                .map(|program| {
                    select(&|kind| matches!(kind, RowKind::Exclusion(Bars::Some(barred)) if barred.names(program)))
                })
                .collect(),
            dated: (0..rows.len()).filter(|row| rows.get(*row).is_some_and(|row| !row.always_counts())).collect(),
            rows,
            further_cells,
        })
    }

    /// A call's facts as codes. No allocation.
    pub(super) fn code(&self, facts: &Facts) -> Coded {
        let mut coded =
            Coded { codes: [0; COLUMNS_MAX], zones: ZoneSet::default(), zone_rows: RowSet::EMPTY, strangers: 0 };
        if let Some(column) = self.zone_column.and_then(|place| self.columns.get(place)) {
            coded.zone_rows = column.zone_rows(false, &coded.zones);
        }
        for stated in facts.stated() {
            let place = match stated.place() {
                Some(fact) => self.place_of(fact),
                None => self.names.find(stated.name()),
            };
            let Some(place) = place else { continue };
            match stated.word() {
                Word::Unknown => {}
                Word::At(word) => coded.codes.get_mut(place).into_iter().for_each(|code| *code = word + 1),
                Word::Spelt => self.code_one(&mut coded, place, &stated.known().value),
            }
        }
        coded
    }

    fn code_one(&self, coded: &mut Coded, place: usize, value: &str) {
        let (Some(column), Some(code)) = (self.columns.get(place), coded.codes.get_mut(place)) else {
            return;
        };
        if self.zone_column != Some(place) {
            match column.code_of(value) {
                Some(found) => *code = found,
                None => coded.strangers |= 1 << place,
            }
            return;
        }
        let mut first = None;
        for zone in value.split(',') {
            match column.zone(zone) {
                Some(zone) => {
                    // Also where a record names only the part: no call is in a zone and not in what that is part of.
                    let code = u16::try_from(zone + 1).unwrap_or(0);
                    column.closure(code).iter().for_each(|zone| coded.zones.insert(zone));
                    first = first.or(Some(zone));
                }
                None => coded.strangers |= 1 << place,
            }
        }
        if coded.strangers & (1 << place) == 0 {
            *code = first.and_then(|zone| u16::try_from(zone + 1).ok()).unwrap_or(0);
        }
        coded.zone_rows = column.zone_rows(true, &coded.zones);
    }

    /// Exclusions that bar this program and leave others, as it comes: with an officer or without.
    pub(super) fn bars_of<const W: usize>(&self, program: usize, accompanied: bool) -> Rows<W> {
        let named = self.bars_named.get(program).map_or(Rows::EMPTY, RowSet::in_words);
        if accompanied { named } else { named.or(&self.bars_unaccompanied.in_words()) }
    }

    /// The same of several who come together: what bars one of them bars all. `alone`: one of them has no officer.
    pub(super) fn bars_together(&self, programs: impl IntoIterator<Item = usize>, alone: bool) -> RowSet {
        let none = if alone { self.bars_unaccompanied } else { RowSet::EMPTY };
        programs.into_iter().fold(none, |rows, program| rows.or(&self.bars_of(program, true)))
    }

    /// Rows that may hold only for want of an answer.
    pub(super) fn may_be_soft(&self) -> RowSet {
        self.columns.iter().fold(RowSet::EMPTY, |rows, column| rows.or(&column.soft))
    }

    /// The rows that count on a date, in surge mode or out of it.
    pub(super) fn effective_on(&self, date: Date, surge: bool) -> &RowSet {
        self.stretches
            .get(self.stretch(date))
            .map_or(&self.all, |(_, [usual, in_surge])| if surge { in_surge } else { usual })
    }

    /// Which stretch of dates with the same rows in effect a date is in.
    pub(super) fn stretch(&self, date: Date) -> usize {
        self.stretches.partition_point(|(from, _)| *from <= date).saturating_sub(1)
    }

    /// The same call with one fact changed; a zone code puts it in that zone and those that it is part of.
    pub(super) fn changed(&self, call: &Coded, place: usize, code: u16) -> Coded {
        let mut call = *call;
        self.change(&mut call, place, code);
        call
    }

    /// Changes one fact of a call.
    pub(super) fn change(&self, call: &mut Coded, place: usize, code: u16) {
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
    }

    /// The rows whose cells all accept the call: the *and* of one bit-set per fact.
    pub(super) fn matching<const W: usize>(&self, call: &Coded) -> Rows<W> {
        self.matching_but(call, |_, _| false)
    }

    /// The same with some columns left out of account.
    pub(super) fn matching_but<const W: usize>(
        &self,
        call: &Coded,
        left_out: impl Fn(usize, &Column) -> bool,
    ) -> Rows<W> {
        let mut rows = self.all.in_words();
        for (place, (column, code)) in self.columns.iter().zip(&call.codes).enumerate() {
            if !left_out(place, column) {
                rows = rows.and(&self.accepts(place, column, *code, call).in_words());
            }
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

    /// Whether the call meets every one of these cells.
    pub(super) fn meets(&self, call: &Coded, cells: &[Cell]) -> bool {
        cells.iter().all(|cell| {
            let Some((column, code)) = self.code_at(call, cell.fact) else {
                return cell.accepts_unknown();
            };
            if code == 0 || !matches!(column.coding, Coding::Zones { .. }) {
                return column.cell_accepts(cell, code);
            }
            // A call may be in several zones: a list accepts where one of them is named, `not(…)` where none is.
            let mut zones = (0..column.names.len()).filter(|zone| call.zones.holds(*zone));
            if cell.negated {
                zones.all(|zone| cell.accepts_word(zone))
            } else {
                zones.any(|zone| cell.accepts_word(zone))
            }
        })
    }

    /// Rows that, if they hold, may hold only because something is unknown.
    pub(super) fn soft<const W: usize>(&self, call: &Coded) -> Rows<W> {
        let unknown = self.columns.iter().zip(&call.codes).filter(|(_, code)| **code == 0);
        unknown.fold(Rows::EMPTY, |soft, (column, _)| soft.or(&column.soft.in_words()))
    }

    /// The columns whose fact is not known and can be asked, as bits.
    pub(super) fn open(&self, call: &Coded) -> u64 {
        let mut open = 0;
        for (place, (column, code)) in self.columns.iter().zip(&call.codes).enumerate() {
            open |= u64::from(*code == 0 && column.askable) << place;
        }
        open
    }

    pub(super) fn known(&self, call: &Coded, fact: usize) -> bool {
        self.code_at(call, fact).is_some_and(|(_, code)| code != 0)
    }

    /// The column of a fact, as a bit; none where the policy does not use it.
    pub(super) fn bit_of(&self, fact: usize) -> u64 {
        self.by_fact.get(fact).copied().flatten().map_or(0, |place| 1 << place)
    }

    /// The column of a fact and the call's code in it.
    pub(super) fn code_at(&self, call: &Coded, fact: usize) -> Option<(&Column, u16)> {
        let place = self.place_of(fact)?;
        Some((self.columns.get(place)?, *call.codes.get(place)?))
    }

    /// The column of a fact, `None` where the policy does not use it.
    pub(super) fn place_of(&self, fact: usize) -> Option<usize> {
        *self.by_fact.get(fact)?
    }
}

/// Dates at which rows come into effect or go out of it, each with the rows in effect from it on.
fn stretches(rows: &[Row]) -> Vec<(Date, [RowSet; 2])> {
    let mut dates = vec![Date::MIN];
    for row in rows {
        dates.extend(row.effective.from);
        dates.extend(row.effective.to.and_then(|to| to.tomorrow().ok()));
    }
    dates.sort_unstable();
    dates.dedup();
    let counting = |date: Date, surge: bool| {
        let mut set = RowSet::EMPTY;
        let counting = rows.iter().enumerate().filter(|(_, row)| row.counts(date, surge));
        counting.for_each(|(place, _)| set.insert(place));
        set
    };
    dates.into_iter().map(|date| (date, [false, true].map(|surge| counting(date, surge)))).collect()
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

/// True where a fact's value was doubtful and no answer has settled it since.
pub(super) fn unsettled(facts: &Facts, fact: &str) -> bool {
    facts.source(fact) != Some(Source::Answer)
}
