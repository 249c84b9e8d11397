//! Programs as written: kind, crew by date, hours, area, capacity, required facts, legs, release.

use super::cells::Cell;
use super::reader::{Item, Reader, Table};
use super::rows::cells;
use super::{check_identifier, effective};
use crate::facts::{Vocabulary, ZONE_OUTSIDE, Zones};
use crate::policy::ProgramKind;
use crate::policy::hours::{DAY_MIN, Effective, Shift};
use crate::record::{ProgramId, ReleasedField};
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::sync::Arc;
use toml::de::DeValue;

/// Programs of a policy, at most.
const PROGRAMS_MAX: usize = 64;
/// What to do about phases that overlap.
const APART: &str = "let the one end before the other begins, as `..2026-03-31` and `2026-04-01..`";
/// Entries of an area, at most: as many as a machine word has bits.
const AREAS_MAX: usize = 64;

/// One program.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Program {
    pub id: ProgramId,
    pub title: Arc<str>,
    pub kind: ProgramKind,
    /// Empty where the policy says nothing of crews.
    pub crew: Vec<Crew>,
    pub shifts: Vec<Shift>,
    /// Where it goes; the entries in effect add up. `None`: everywhere.
    pub area: Option<Vec<Area>>,
    /// Calls at a time, by date; empty: no limit known.
    pub capacity: Vec<Capacity>,
    /// Capacity in surge mode, where it differs.
    pub surge_capacity: Option<u32>,
    /// Place in the list of programs: whose units it works with. One capacity holds for both.
    pub units_of: Option<usize>,
    /// Place in the list of deciders: without this post on duty the program takes nothing.
    pub decider: Option<usize>,
    /// Place in the list of programs: whom what it declines is referred to.
    pub refers_to: Option<usize>,
    /// The order of its queue, the first to be taken first.
    pub queue: Vec<QueueEntry>,
    /// Places of facts in the vocabulary.
    pub required: Vec<usize>,
    pub legs: Vec<Leg>,
    pub release: Vec<ReleasedField>,
    pub call_back_within_min: Option<u32>,
    pub cite: Option<String>,
}

/// One entry of an area: zones, and the dates on which they belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct Area {
    /// Places in the list of zone values.
    pub zones: Vec<usize>,
    pub effective: Effective,
}

/// How many calls at a time, while a phase lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) struct Capacity {
    pub calls: u32,
    pub effective: Effective,
}

/// Who comes, while a phase lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct Crew {
    pub members: Vec<String>,
    pub officer: Option<bool>,
    pub effective: Effective,
}

/// A post that must be on duty for some programs to take calls: a clinician on the floor, a dispatcher of their own.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Decider {
    pub id: String,
    pub title: String,
    pub shifts: Vec<Shift>,
}

/// One entry of a program's queue: calls that meet its cells stand in its place.
#[derive(Debug, Clone)]
pub(in crate::policy) struct QueueEntry {
    pub cells: Vec<Cell>,
    pub because: String,
}

/// One way of asking a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct Leg {
    pub channel: String,
    pub accept_deadline_s: u32,
    pub attempts: u32,
}

impl Program {
    /// The crew of a shift that began on `date`; `None` where crews are given and none covers it.
    pub(in crate::policy) fn staffed_on(&self, date: Date) -> bool {
        self.crew.is_empty() || self.crew.iter().any(|crew| crew.effective.holds(date))
    }

    /// Whether an officer is part of the response of a shift that began on `date`.
    pub(in crate::policy) fn accompanied_on(&self, date: Date) -> bool {
        let officer = self.crew.iter().find(|crew| crew.effective.holds(date)).and_then(|crew| crew.officer);
        officer.unwrap_or(!self.kind.unaccompanied())
    }

    /// Calls at a time on a date, in surge mode or out of it; `None`: no limit known.
    pub(in crate::policy) fn capacity_on(&self, date: Date, surge: bool) -> Option<u32> {
        let usual = || self.capacity.iter().find(|phase| phase.effective.holds(date)).map(|phase| phase.calls);
        self.surge_capacity.filter(|_| surge).or_else(usual)
    }

    /// The entries of its area that are in effect on a date, as bits.
    pub(in crate::policy) fn area_on(&self, date: Date) -> u64 {
        let entries = self.area.iter().flatten().enumerate();
        entries.fold(0, |bits, (place, area)| bits | (u64::from(area.effective.holds(date)) << place))
    }

    /// The zones of these entries of its area; `None`: everywhere.
    pub(in crate::policy) fn zones_of(&self, entries: u64) -> Option<impl Iterator<Item = usize> + '_> {
        let listed = self.area.as_ref()?.iter().enumerate();
        let counting = listed.filter(move |(place, _)| entries & (1 << place) != 0);
        Some(counting.flat_map(|(_, area)| &area.zones).copied())
    }

    /// The kind as it works on a date: crew phases bring an officer or take him away.
    pub(in crate::policy) fn kind_on(&self, date: Date) -> ProgramKind {
        match (self.kind.unaccompanied(), self.accompanied_on(date)) {
            (true, true) => ProgramKind::CoResponse,
            (false, false) => ProgramKind::Community,
            _ => self.kind,
        }
    }
}

pub(super) fn read(
    reader: &mut Reader,
    root: &Table<'_>,
    vocabulary: &Vocabulary,
    zones: &Zones,
    releases: &BTreeMap<String, Vec<ReleasedField>>,
    deciders: &[Decider],
) -> Vec<Program> {
    let tables = reader.named_tables(root, "program");
    if tables.len() > PROGRAMS_MAX {
        reader.fault(root.line, "program", format!("more than {PROGRAMS_MAX} programs"), None);
    }
    let ids: Vec<&str> = tables.iter().map(|(id, _)| *id).collect();
    let mut programs = Vec::new();
    for (id, table) in tables {
        check_identifier(reader, table.line, &table.path, id);
        if matches!(id, "ordinary" | "any" | "unaccompanied") || kind_named(id).is_some() {
            let help = "kinds and the words of `send` cannot name a program".to_owned();
            reader.fault(table.line, table.path.clone(), format!("`{id}` cannot name a program"), Some(help));
        }
        let kind = reader.required_text(&table, "kind").and_then(|word| kind_named(&word));
        let crew = crew(reader, &table);
        let shifts = hours(reader, &table);
        let legs = legs(reader, &table);
        let area = area(reader, &table, zones);
        let capacity = capacity(reader, &table);
        let surge_capacity = number(reader, &table, "surge_capacity");
        let posts: Vec<&str> = deciders.iter().map(|decider| decider.id.as_str()).collect();
        let decider = named(reader, &table, "decider", "decider", &posts);
        let refers_to = another(reader, &table, "refers_to", &ids, id);
        let units_of = another(reader, &table, "units_of", &ids, id);
        if let Some(item) = reader.get(&table, "capacity").filter(|_| units_of.is_some()) {
            let help = Some("write the capacity beside the program whose units they are".to_owned());
            reader.fault(
                item.line,
                item.path,
                "a program that works with another's units has no capacity of its own",
                help,
            );
        }
        let queue = queue(reader, &table, vocabulary);
        let call_back_within_min = number(reader, &table, "call_back_within_min");
        let title = reader.optional_text(&table, "title").unwrap_or_else(|| id.to_owned());
        let cite = reader.optional_text(&table, "cite");
        let required = required(reader, &table, "required", vocabulary);
        let release = release(reader, &table, releases);
        programs.push(Program {
            id: ProgramId::new(id),
            title: title.into(),
            // A kind that cannot be read is a fault; the program is kept so that its name does not cause others.
            kind: kind.unwrap_or(ProgramKind::Community),
            crew,
            shifts,
            area,
            capacity,
            surge_capacity,
            units_of,
            decider,
            refers_to,
            queue,
            required,
            legs,
            release,
            call_back_within_min,
            cite,
        });
    }
    lent_once(reader, root, &programs);
    programs
}

/// Units are lent by the program whose they are, and not lent on.
fn lent_once(reader: &mut Reader, root: &Table<'_>, programs: &[Program]) {
    for (id, table) in reader.named_tables(root, "program") {
        let of = |id: &str| programs.iter().find(|program| program.id.as_str() == id)?.units_of;
        let Some(lender) = of(id).and_then(|place| programs.get(place)).map(|lender| lender.id.as_str()) else {
            continue;
        };
        if let (Some(owner), Some(item)) =
            (of(lender).and_then(|place| programs.get(place)), reader.get(&table, "units_of"))
            && lender != id
        {
            let help = Some(format!("name `{}`, whose units they are", owner.id));
            reader.fault(item.line, item.path, format!("`{lender}` works with another program's units itself"), help);
        }
    }
}

/// The kinds by the names the language gives them.
pub(super) const KINDS: [(&str, ProgramKind); 5] = [
    ("community", ProgramKind::Community),
    ("co-response", ProgramKind::CoResponse),
    ("phone", ProgramKind::Phone),
    ("liaison", ProgramKind::Liaison),
    ("police-community", ProgramKind::PoliceCommunity),
];

pub(super) fn kind_named(word: &str) -> Option<ProgramKind> {
    KINDS.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind)
}

fn crew(reader: &mut Reader, table: &Table<'_>) -> Vec<Crew> {
    let mut crew: Vec<Crew> = Vec::new();
    for phase in reader.tables(table, "crew") {
        let members: Vec<String> = reader.texts(&phase, "members").into_iter().map(|(member, _)| member).collect();
        if members.is_empty() && phase.has("members") {
            reader.fault(phase.line, phase.key("members"), "the crew has no members", None);
        }
        let officer = reader.optional_flag(&phase, "officer");
        let effective = effective(reader, &phase);
        if crew.iter().any(|before| before.effective.overlaps(&effective)) {
            reader.fault(phase.line, phase.path.clone(), "two crews cover the same date", Some(APART.to_owned()));
        }
        crew.push(Crew { members, officer, effective });
    }
    crew
}

/// `capacity = 2`, or phases: `capacity = [{ calls = 1, effective = "..2021-12-31" }]`.
fn capacity(reader: &mut Reader, table: &Table<'_>) -> Vec<Capacity> {
    if let Some(calls) = number(reader, table, "capacity") {
        return vec![Capacity { calls, effective: Effective::default() }];
    }
    let mut phases: Vec<Capacity> = Vec::new();
    for phase in reader.tables(table, "capacity") {
        let effective = effective(reader, &phase);
        if phases.iter().any(|before| before.effective.overlaps(&effective)) {
            reader.fault(phase.line, phase.path.clone(), "two phases cover the same date", Some(APART.to_owned()));
        }
        phases.extend(number(reader, &phase, "calls").map(|calls| Capacity { calls, effective }));
    }
    phases
}

fn legs(reader: &mut Reader, table: &Table<'_>) -> Vec<Leg> {
    let mut legs = Vec::new();
    for leg in reader.tables(table, "legs") {
        let channel = reader.required_text(&leg, "channel");
        let deadline = number(reader, &leg, "accept_deadline_s");
        let attempts = number(reader, &leg, "attempts").unwrap_or(1);
        if let (Some(channel), Some(accept_deadline_s)) = (channel, deadline) {
            legs.push(Leg { channel, accept_deadline_s, attempts });
        }
    }
    if legs.is_empty() && table.has("legs") && !reader.faulted(&table.key("legs")) {
        let help = "legs = [{ channel = \"webhook\", accept_deadline_s = 120 }]".to_owned();
        reader.fault(table.line, table.key("legs"), "the program has no legs", Some(help));
    }
    legs
}

/// The place of the word under a key in a list of names.
fn named(reader: &mut Reader, table: &Table<'_>, key: &str, what: &str, valid: &[&str]) -> Option<usize> {
    let item = reader.get(table, key)?;
    let word = reader.text(&item)?;
    let place = valid.iter().position(|name| *name == word);
    if place.is_none() {
        reader.not_among(item.line, &item.path, what, &word, valid);
    }
    place
}

/// The place of another program under a key.
fn another(reader: &mut Reader, table: &Table<'_>, key: &str, ids: &[&str], own: &str) -> Option<usize> {
    let place = named(reader, table, key, "program", ids)?;
    if ids.get(place) == Some(&own) {
        let line = reader.get(table, key).map_or(table.line, |item| item.line);
        let help = Some("name another program, or leave it out".to_owned());
        reader.fault(line, table.key(key), format!("`{key}` names the program itself"), help);
    }
    Some(place)
}

/// The order of a queue: entries of cells, each with its reason.
fn queue(reader: &mut Reader, table: &Table<'_>, vocabulary: &Vocabulary) -> Vec<QueueEntry> {
    let mut queue = Vec::new();
    for entry in reader.tables(table, "queue") {
        let because = reader.required_text(&entry, "because");
        let cells = cells(reader, vocabulary, &entry, super::keys::QUEUE);
        if cells.is_empty() {
            reader.fault(
                entry.line,
                entry.path.clone(),
                "the entry names no fact: every call would stand here",
                Some("name the calls it is about, as `self_harm = \">= ideation\"`".to_owned()),
            );
        }
        if let Some(because) = because {
            queue.push(QueueEntry { cells, because });
        }
    }
    queue
}

/// The posts under `[decider.<id>]`.
pub(super) fn deciders(reader: &mut Reader, root: &Table<'_>) -> Vec<Decider> {
    let mut deciders = Vec::new();
    for (id, table) in reader.named_tables(root, "decider") {
        check_identifier(reader, table.line, &table.path, id);
        let title = reader.optional_text(&table, "title").unwrap_or_else(|| id.to_owned());
        let shifts = hours(reader, &table);
        deciders.push(Decider { id: id.to_owned(), title, shifts });
    }
    deciders
}

fn number(reader: &Reader, table: &Table<'_>, key: &str) -> Option<u32> {
    let item = reader.get(table, key)?;
    reader.integer(&item).and_then(|number| u32::try_from(number).ok())
}

/// `area = "north, south"`, or entries with dates: `area = [{ zones = "north" }, { zones = "south", effective = "2026-05-01.." }]`.
fn area(reader: &mut Reader, table: &Table<'_>, zones: &Zones) -> Option<Vec<Area>> {
    let item = reader.get(table, "area")?;
    if let DeValue::String(text) = item.value {
        let zones = zone_list(reader, &item, text, zones);
        return Some(vec![Area { zones, effective: Effective::default() }]);
    }
    let mut area = Vec::new();
    for entry in reader.tables(table, "area") {
        let effective = effective(reader, &entry);
        let Some(named) = reader.get(&entry, "zones") else { continue };
        let Some(text) = reader.text(&named) else { continue };
        area.push(Area { zones: zone_list(reader, &named, &text, zones), effective });
    }
    if area.len() > AREAS_MAX {
        reader.fault(item.line, item.path, format!("more than {AREAS_MAX} entries"), None);
    } else if area.is_empty() && !reader.faulted(&item.path) {
        let help = Some("leave `area` out where the program serves every place".to_owned());
        reader.fault(item.line, item.path, "the area has no entries", help);
    }
    Some(area)
}

fn zone_list(reader: &mut Reader, item: &Item<'_>, text: &str, zones: &Zones) -> Vec<usize> {
    let names = zones.value_names();
    let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| *name != ZONE_OUTSIDE).collect();
    let mut list = Vec::new();
    for zone in text.split(',').map(str::trim) {
        match names.iter().position(|name| *name == zone) {
            Some(place) => list.push(place),
            None => reader.not_among(item.line, &item.path, "zone", zone, &names),
        }
    }
    list
}

/// A list of facts by name.
pub(super) fn required(reader: &mut Reader, table: &Table<'_>, key: &str, vocabulary: &Vocabulary) -> Vec<usize> {
    let mut facts = Vec::new();
    for (name, item) in reader.texts(table, key) {
        match vocabulary.find(&name) {
            Some((place, _)) => facts.push(place),
            None => {
                let names: Vec<&str> = vocabulary.facts().iter().map(|fact| &*fact.name).collect();
                reader.not_among(item.line, &item.path, "fact", &name, &names);
            }
        }
    }
    facts.sort_unstable();
    facts.dedup();
    facts
}

fn release(
    reader: &mut Reader,
    table: &Table<'_>,
    releases: &BTreeMap<String, Vec<ReleasedField>>,
) -> Vec<ReleasedField> {
    let named = reader.optional_text(table, "release");
    let name = named.as_deref().unwrap_or("minimum");
    releases.get(name).cloned().unwrap_or_else(|| {
        let names: Vec<&str> = releases.keys().map(String::as_str).collect();
        let line = reader.get(table, "release").map_or(table.line, |item| item.line);
        reader.not_among(line, &table.key("release"), "release", name, &names);
        Vec::new()
    })
}

fn hours(reader: &mut Reader, table: &Table<'_>) -> Vec<Shift> {
    let mut shifts = Vec::new();
    for entry in reader.tables(table, "hours") {
        let from = time(reader, &entry, "from");
        let to = time(reader, &entry, "to");
        let effective = effective(reader, &entry);
        let except_holidays = reader.optional_flag(&entry, "except_holidays").unwrap_or(false);
        let surge = reader.optional_flag(&entry, "surge");
        let days = days(reader, &entry);
        let (Some(from_min), Some(to_min), Some((days, on_holidays))) = (from, to, days) else {
            continue;
        };
        if from_min == to_min || from_min == DAY_MIN {
            let help = "`from = \"00:00\", to = \"24:00\"` is the whole day".to_owned();
            reader.fault(entry.line, entry.path.clone(), "the shift has no length", Some(help));
        }
        if on_holidays && except_holidays {
            reader.fault(
                entry.line,
                entry.path.clone(),
                "holidays are both among the days and excepted",
                Some("leave one of the two out".to_owned()),
            );
        }
        shifts.push(Shift { days, on_holidays, except_holidays, from_min, to_min, effective, surge });
    }
    shifts
}

/// `HH:MM` up to `24:00`, as minutes.
fn time(reader: &mut Reader, table: &Table<'_>, key: &str) -> Option<u16> {
    let text = reader.required_text(table, key)?;
    let minutes = text.split_once(':').and_then(|(hours, minutes)| {
        let two = |part: &str| {
            (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse::<u16>().ok())?
        };
        let (hours, minutes) = (two(hours)?, two(minutes)?);
        (minutes < 60 && hours * 60 + minutes <= DAY_MIN).then_some(hours * 60 + minutes)
    });
    if minutes.is_none() {
        let line = reader.get(table, key).map_or(table.line, |item| item.line);
        reader.fault(line, table.key(key), format!("`{text}` is not a time"), Some("`08:00` … `24:00`".to_owned()));
    }
    minutes
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// `Mon..Fri, Sun, holidays`; a range may pass Sunday.
fn days(reader: &mut Reader, table: &Table<'_>) -> Option<([bool; 7], bool)> {
    let text = reader.required_text(table, "days")?;
    let item: Item<'_> = reader.get(table, "days")?;
    let mut days = [false; 7];
    let mut holidays = false;
    for part in text.split(',').map(str::trim) {
        if part == "holidays" {
            holidays = true;
            continue;
        }
        let (first, last) = part.split_once("..").unwrap_or((part, part));
        let place = |word: &str| DAYS.iter().position(|day| *day == word.trim());
        match (place(first), place(last)) {
            (Some(first), Some(last)) => {
                let length = (last + 7 - first) % 7;
                for step in 0..=length {
                    if let Some(day) = days.get_mut((first + step) % 7) {
                        *day = true;
                    }
                }
            }
            _ => {
                let valid: Vec<&str> = DAYS.into_iter().chain(["holidays"]).collect();
                let wrong = if place(first).is_none() { first } else { last };
                reader.not_among(item.line, &item.path, "day", wrong, &valid);
                return None;
            }
        }
    }
    Some((days, holidays))
}
