//! Repeat contact: within a day, a week, a month; never the incident itself; nothing that a stranger could read.

use super::*;
use crate::facts::{CallTypes, Vocabulary, Zones};
use crate::record::{Format, Location, RecordIdentity, SourceId};
use jiff::SignedDuration;
use proptest::prelude::*;

const SECRET: &str = "a secret of this test, which nobody else has";
const STREET: &str = "742 Canary Terrace";
const PHONE: &str = "250-555-0142";

fn key() -> RepeatKey {
    RepeatKey::new(SECRET).unwrap()
}

fn record(agency: &str, street: Option<&str>, phone: Option<&str>) -> CallRecord {
    let identity = RecordIdentity {
        agency: AgencyId::new(agency),
        element: SourceId::new("cad"),
        incident: "1".to_owned(),
        updated_at: None,
        content_sha256: String::new(),
    };
    let mut record = CallRecord::new(identity, Format::Delimited);
    let street = street.map(str::to_owned);
    record.locations = vec![Location { role: Some("CurrentIncident".to_owned()), street, ..Location::default() }];
    record.callbacks = phone.map(str::to_owned).into_iter().collect();
    record
}

fn after_hours(hours: i64) -> Timestamp {
    "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hours)
}

/// An agency whose first record of all came at the beginning, and one contact after another.
struct Memory {
    history: ContactHistory,
    key: RepeatKey,
}

impl Memory {
    fn new() -> Self {
        let mut memory = Self { history: ContactHistory::default(), key: key() };
        memory.hears("first", &record("a", Some("1 Other St"), None), 0);
        memory
    }

    fn asks(&self, incident: &str, record: &CallRecord, hour: i64) -> Repeats {
        let traced = self.key.trace(record, after_hours(hour)).unwrap();
        self.history.repeats(&traced, &IncidentId::new(incident), after_hours(hour))
    }

    fn hears(&mut self, incident: &str, record: &CallRecord, hour: i64) {
        let traced = self.key.trace(record, after_hours(hour)).unwrap();
        self.history.note(&traced.traces, &record.identity.agency, &IncidentId::new(incident), after_hours(hour));
    }
}

#[test]
fn a_place_and_a_number_are_recognised_for_a_day_a_week_and_a_month() {
    let mut memory = Memory::new();
    let call = record("a", Some(STREET), Some(PHONE));
    memory.hears("i-1", &call, 1_000);
    let place = record("a", Some("742 CANARY TER."), None);
    let number = record("a", None, Some("tel:+1-250-555-0142"));
    for (hours, value) in [(0, "24h"), (23, "24h"), (24, "7d"), (167, "7d"), (168, "30d"), (719, "30d"), (720, "none")]
    {
        let same = Repeats { place: Some(value), person: None };
        assert_eq!(memory.asks("i-2", &place, 1_000 + hours), same, "after {hours} h");
        let same = Repeats { place: None, person: Some(value) };
        assert_eq!(memory.asks("i-2", &number, 1_000 + hours), same, "after {hours} h");
    }
    let elsewhere = record("a", Some("743 Canary Terrace"), Some("250-555-0143"));
    assert_eq!(memory.asks("i-3", &elsewhere, 1_001), Repeats { place: Some("none"), person: Some("none") });
}

#[test]
fn an_incident_is_no_repeat_of_itself_nor_of_what_came_after_it() {
    let mut memory = Memory::new();
    let call = record("a", Some(STREET), None);
    memory.hears("i-1", &call, 1_000);
    assert_eq!(memory.asks("i-1", &call, 1_002).place, Some("none"), "its own later record");
    memory.hears("i-1", &call, 1_002);
    memory.hears("i-2", &call, 1_003);
    assert_eq!(memory.asks("i-1", &call, 1_004).place, Some("none"), "the second is the repeat, not the first");
    assert_eq!(memory.asks("i-2", &call, 1_030).place, Some("24h"), "as it was when the call came");
}

#[test]
fn silence_means_none_only_where_the_memory_reaches_back_a_month() {
    let mut memory = Memory::new();
    let call = record("a", Some(STREET), None);
    assert_eq!(memory.asks("i-1", &call, 719).place, None, "unknown is not none");
    assert_eq!(memory.asks("i-1", &call, 720).place, Some("none"));
    let other = record("b", Some(STREET), None);
    memory.hears("i-2", &other, 900);
    assert_eq!(memory.asks("i-3", &other, 901).place, Some("24h"));
    assert_eq!(memory.asks("i-3", &record("b", Some("9 Else St"), None), 901).place, None, "that agency is new");
    memory.key = RepeatKey::new("another secret of this test, as after a change of the key").unwrap();
    assert_eq!(memory.asks("i-4", &call, 1_700).place, None, "what an older key left says nothing under a new one");
}

#[test]
fn agencies_periods_and_kinds_cannot_be_joined() {
    let trace = |agency: &str, hour| {
        let traced = key().trace(&record(agency, Some(STREET), Some(PHONE)), after_hours(hour)).unwrap();
        (traced.traces.places[0].clone(), traced.traces.numbers[0].clone())
    };
    let all = [trace("a", 0), trace("b", 0), trace("a", 31 * 24)];
    let mut hashes: Vec<_> = all.iter().flat_map(|(place, number)| [place, number]).collect();
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), 6, "{all:?}");
    assert_eq!(trace("a", 0), trace("a", 1), "the same within a period");
}

#[test]
fn what_is_journaled_and_printed_says_nothing_of_anybody() {
    let traced = key().trace(&record("a", Some(STREET), Some(PHONE)), after_hours(0)).unwrap();
    let told = format!("{} {traced:?} {:?}", serde_json::to_string(&traced.traces).unwrap(), key());
    for secret in ["742", "Canary", "CANARY", "555", "0142", SECRET] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
    let read: ContactTraces = serde_json::from_str(&serde_json::to_string(&traced.traces).unwrap()).unwrap();
    assert_eq!(read, traced.traces);
    assert!(RepeatKey::new("too short").is_none());
    let mut test = record("a", Some(STREET), None);
    test.test = true;
    assert!(key().trace(&test, after_hours(0)).is_none(), "an exercise is nobody's call");
    assert!(key().trace(&record("a", None, None), after_hours(0)).is_none());
}

#[test]
fn what_is_remembered_is_bounded_and_what_was_forgotten_is_not_denied() {
    let mut history = ContactHistory::default();
    let whose = AgencyId::new("a");
    let traces =
        |number: usize| ContactTraces { key: key().id, places: vec![format!("{number:032x}")], numbers: Vec::new() };
    history.note(&traces(0), &whose, &IncidentId::new("old"), after_hours(0));
    for number in 1..=REMEMBERED_MAX + 10 {
        history.note(&traces(number), &whose, &IncidentId::new(number.to_string()), after_hours(721));
    }
    assert!(history.order.len() <= REMEMBERED_MAX && history.by_hash.len() <= REMEMBERED_MAX);
    let traced = key().trace(&record("a", Some(STREET), None), after_hours(722)).unwrap();
    assert_eq!(history.repeats(&traced, &IncidentId::new("new"), after_hours(722)).place, None);
    for incident in 0..100 {
        history.note(&traces(1), &whose, &IncidentId::new(format!("again {incident}")), after_hours(721));
    }
    assert!(history.by_hash.values().all(|contacts| contacts.len() <= INCIDENTS_MAX));
    history.note(&traces(7), &whose, &IncidentId::new("last"), after_hours(3_000));
    assert_eq!((history.order.len(), history.by_hash.len()), (1, 1), "a month on, all of it is forgotten");
}

#[test]
fn what_is_remembered_stands_only_where_nobody_states_otherwise() {
    let vocabulary = Vocabulary::new(Vec::new(), &Zones::default());
    let call_types = CallTypes::default();
    let sources = FactSources {
        vocabulary,
        call_types,
        zones: Zones::default(),
        priorities: BTreeMap::new(),
        narratives: crate::facts::Narratives::default(),
    };
    let recalled = |facts: &Facts, place| sources.recalled(facts, Repeats { place: Some(place), person: None });
    let none = recalled(&Facts::default(), "none");
    assert_eq!((none.value("repeat_place"), none.source("repeat_place")), (Some("none"), Some(Source::History)));
    let week = recalled(&none, "7d");
    assert_eq!(week.value("repeat_place"), Some("7d"));
    assert_eq!(recalled(&week, "30d").value("repeat_place"), Some("7d"), "a call does not become less recent");
    assert_eq!(week.value("repeat_person"), None);
    let stated = sources.answered(&week, "repeat_place", "none").unwrap();
    assert_eq!(recalled(&stated, "24h").value("repeat_place"), Some("none"), "a person knows better");
}

proptest! {
    /// Against a list of all contacts, read from end to end.
    #[test]
    fn the_memory_says_what_the_list_of_all_contacts_says(
        contacts in prop::collection::vec((0_usize..4, 0_usize..3, 0_i64..40), 1..40),
        asked in (0_usize..3, 0_i64..40),
    ) {
        let streets = ["1 A St", "2 B St", "3 C St"].map(|street| record("a", Some(street), None));
        let mut memory = Memory::new();
        let (mut hour, mut list) = (0, Vec::new());
        for (incident, street, step) in contacts {
            hour += step * 5;
            // One incident is one place here: an incident of many places is remembered by each of them.
            let incident = format!("i-{incident}-{street}");
            memory.hears(&incident, &streets[street], hour);
            list.retain(|(_, _, at)| hour - at <= 720);
            // In a new period its hash is another, so that it counts anew.
            let known = (incident, after_hours(hour).as_second().div_euclid(PERIOD_S));
            if !list.iter().any(|(before, _, _)| *before == known) {
                list.push((known, street, hour));
            }
        }
        let (street, step) = asked;
        hour += step * 5;
        let last = list.iter().filter(|(_, place, _)| *place == street).map(|(_, _, at)| hour - at).min();
        let expected = match last {
            Some(hours) if hours < 24 => Some("24h"),
            Some(hours) if hours < 168 => Some("7d"),
            Some(hours) if hours < 720 => Some("30d"),
            _ => (hour >= 720).then_some("none"),
        };
        prop_assert_eq!(memory.asks("new", &streets[street], hour).place, expected);
    }
}
