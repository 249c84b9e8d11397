//! Calls of a what-if, counted.

use super::Compiled;
use super::batch::Decided;
use super::column::ZoneSet;
use super::outcome::{Because, Outcome, StatusKind};
use crate::facts::UNKNOWN;
use serde::Serialize;
use std::collections::BTreeMap;

const HOURS: usize = 24;
const KINDS: usize = StatusKind::ALL.len();

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

/// Counts by place.
pub(super) struct Counts {
    kinds: [u64; KINDS],
    programs: Vec<u64>,
    ordinary: u64,
    /// By row: how often it decided or would have, and how often it was the reason.
    rows: Vec<[u64; 2]>,
    no_rule: u64,
    missing_field: u64,
    why: BTreeMap<String, u64>,
    /// By number of the zone's value.
    zones: Vec<[u64; KINDS]>,
    hours: [[u64; KINDS]; HOURS],
}

impl Counts {
    pub(super) fn new(policy: &Compiled) -> Self {
        Self {
            kinds: [0; KINDS],
            programs: vec![0; policy.programs.len()],
            ordinary: 0,
            rows: vec![[0; 2]; policy.table.rows.len()],
            no_rule: 0,
            missing_field: 0,
            why: BTreeMap::new(),
            zones: Vec::new(),
            hours: [[0; KINDS]; HOURS],
        }
    }

    pub(super) fn add(&mut self, decided: &Decided<'_>) {
        let Outcome { kind, because, row, program } = decided.outcome;
        let goes = program.filter(|_| kind == StatusKind::Eligible);
        let kind = kind as usize;
        bump(self.kinds.get_mut(kind));
        bump(Some(match goes.and_then(|place| self.programs.get_mut(place)) {
            Some(program) => program,
            None => &mut self.ordinary,
        }));
        bump(row.and_then(|row| self.rows.get_mut(row)).map(|[decided, _]| decided));
        match because {
            Because::Nothing => {}
            Because::Row(row) => bump(self.rows.get_mut(row).map(|[_, reason]| reason)),
            Because::NoRule => self.no_rule += 1,
            Because::MissingField => self.missing_field += 1,
            Because::Why(why) => match self.why.get_mut(why) {
                Some(count) => *count += 1,
                None => drop(self.why.insert(why.to_owned(), 1)),
            },
        }
        bump(self.hours.get_mut(decided.hour).and_then(|hour| hour.get_mut(kind)));
        if self.zones.len() <= decided.zone {
            self.zones.resize(decided.zone + 1, [0; KINDS]);
        }
        bump(self.zones.get_mut(decided.zone).and_then(|zone| zone.get_mut(kind)));
    }

    /// `zones`: the zones of each number of a zone's value.
    pub(super) fn tally(self, policy: &Compiled, zones: &[ZoneSet]) -> Tally {
        let table = &policy.table;
        let by_kind = |counts: &[u64; KINDS]| -> BTreeMap<&'static str, u64> {
            let counted = StatusKind::ALL.iter().zip(counts).filter(|(_, count)| **count > 0);
            counted.map(|(kind, count)| (kind.name(), *count)).collect()
        };
        let programs = policy.programs.iter().map(|program| program.id.to_string());
        let routes = std::iter::once(("ordinary".to_owned(), self.ordinary)).chain(programs.zip(self.programs));
        let rows = || self.rows.iter().enumerate();
        let rules = rows().filter(|(row, [count, _])| table.rules.contains(*row) && *count > 0);
        let words = [("no-rule", self.no_rule), ("missing-field", self.missing_field)];
        let words = words.map(|(word, count)| (word.to_owned(), count)).into_iter();
        let reasons = rows().map(|(row, [_, count])| (table.id(row).to_owned(), *count)).chain(words);
        let column = table.zone_column.and_then(|place| table.columns.get(place));
        let names = column.map_or(&[][..], |column| &column.names);
        let mut by_zone: BTreeMap<String, [u64; KINDS]> = BTreeMap::new();
        for (number, counts) in self.zones.iter().enumerate() {
            let known = zones.get(number).into_iter().flat_map(ZoneSet::iter).filter_map(|zone| names.get(zone));
            let mut within: Vec<&str> = known.map(String::as_str).collect();
            if within.is_empty() {
                within.push(UNKNOWN);
            }
            for zone in within {
                let sums = by_zone.entry(zone.to_owned()).or_insert([0; KINDS]);
                sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
        }
        Tally {
            calls: self.kinds.iter().sum(),
            status: by_kind(&self.kinds),
            route: routes.filter(|(_, count)| *count > 0).collect(),
            rule: rules.map(|(row, [count, _])| (table.id(row).to_owned(), *count)).collect(),
            because: reasons.filter(|(_, count)| *count > 0).chain(self.why.clone()).collect(),
            zone: by_zone
                .iter()
                .map(|(zone, counts)| (zone.clone(), by_kind(counts)))
                .filter(|(_, counts)| !counts.is_empty())
                .collect(),
            hour: self.hours.iter().map(by_kind).enumerate().filter(|(_, counts)| !counts.is_empty()).collect(),
        }
    }
}

fn bump(count: Option<&mut u64>) {
    if let Some(count) = count {
        *count += 1;
    }
}
