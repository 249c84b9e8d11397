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

/// Programs of a policy, at most.
const PROGRAMS_MAX: usize = 64;

/// One program.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Program {
    pub id: ProgramId,
    pub title: String,
    pub kind: ProgramKind,
    /// Empty where the policy says nothing of crews.
    pub crew: Vec<Crew>,
    pub shifts: Vec<Shift>,
    /// Places in the list of zone values; `None`: everywhere.
    pub area: Option<Vec<usize>>,
    pub capacity: Option<u32>,
    /// Capacity in surge mode, where it differs.
    pub surge_capacity: Option<u32>,
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
        let capacity = number(reader, &table, "capacity");
        let surge_capacity = number(reader, &table, "surge_capacity");
        let posts: Vec<&str> = deciders.iter().map(|decider| decider.id.as_str()).collect();
        let decider = named(reader, &table, "decider", "decider", &posts);
        let refers_to = named(reader, &table, "refers_to", "program", &ids);
        if refers_to.is_some_and(|target| ids.get(target) == Some(&id)) {
            let line = reader.get(&table, "refers_to").map_or(table.line, |item| item.line);
            let help = Some("name another program, or leave it out".to_owned());
            reader.fault(line, table.key("refers_to"), "a program cannot refer to itself", help);
        }
        let queue = queue(reader, &table, vocabulary);
        let call_back_within_min = number(reader, &table, "call_back_within_min");
        let title = reader.optional_text(&table, "title").unwrap_or_else(|| id.to_owned());
        let cite = reader.optional_text(&table, "cite");
        let required = required(reader, &table, "required", vocabulary);
        let release = release(reader, &table, releases);
        programs.push(Program {
            id: ProgramId::new(id),
            title,
            // A kind that cannot be read is a fault; the program is kept so that its name does not cause others.
            kind: kind.unwrap_or(ProgramKind::Community),
            crew,
            shifts,
            area,
            capacity,
            surge_capacity,
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
    programs
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
            reader.fault(
                phase.line,
                phase.path.clone(),
                "two crews cover the same date",
                Some("let the one end before the other begins, as `..2026-03-31` and `2026-04-01..`".to_owned()),
            );
        }
        crew.push(Crew { members, officer, effective });
    }
    crew
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

fn area(reader: &mut Reader, table: &Table<'_>, zones: &Zones) -> Option<Vec<usize>> {
    let item = reader.get(table, "area")?;
    let text = reader.text(&item)?;
    let names = zones.value_names();
    let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| *name != ZONE_OUTSIDE).collect();
    let mut area = Vec::new();
    for zone in text.split(',').map(str::trim) {
        match names.iter().position(|name| *name == zone) {
            Some(place) => area.push(place),
            None => reader.not_among(item.line, &item.path, "zone", zone, &names),
        }
    }
    Some(area)
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
