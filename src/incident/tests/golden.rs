//! Frozen samples of version-1 events: what was once written must be readable, byte for byte, for ever.

use super::*;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Every kind of event by its wire name. [`kind`] fails to compile when a variant is added.
pub(super) const KINDS: [&str; 27] = [
    "record-received",
    "assessed",
    "answer-given",
    "chosen",
    "ordinary-chosen",
    "offered",
    "delivered",
    "undeliverable",
    "accepted",
    "declined",
    "timed-out",
    "withdrawn",
    "answered-late",
    "team-moved",
    "backup-requested",
    "hazard-reported",
    "stood-back",
    "cleared",
    "returned-to-ordinary",
    "unit-seen",
    "closed",
    "handed-on",
    "redriven",
    "duty-opened",
    "duty-overdue",
    "duty-closed",
    "kept-apart",
];

fn kind(event: &Event) -> &'static str {
    let place = match event {
        Event::RecordReceived(_) => 0,
        Event::Assessed { .. } => 1,
        Event::AnswerGiven { .. } => 2,
        Event::Chosen { .. } => 3,
        Event::OrdinaryChosen { .. } => 4,
        Event::Offered { .. } => 5,
        Event::Delivered { .. } => 6,
        Event::Undeliverable { .. } => 7,
        Event::Accepted { .. } => 8,
        Event::Declined { .. } => 9,
        Event::TimedOut { .. } => 10,
        Event::Withdrawn { .. } => 11,
        Event::AnsweredLate { .. } => 12,
        Event::TeamMoved { .. } => 13,
        Event::BackupRequested { .. } => 14,
        Event::HazardReported { .. } => 15,
        Event::StoodBack { .. } => 16,
        Event::Cleared { .. } => 17,
        Event::ReturnedToOrdinary { .. } => 18,
        Event::UnitSeen { .. } => 19,
        Event::Closed { .. } => 20,
        Event::HandedOn { .. } => 21,
        Event::Redriven { .. } => 22,
        Event::DutyOpened { .. } => 23,
        Event::DutyOverdue { .. } => 24,
        Event::DutyClosed { .. } => 25,
        Event::KeptApart { .. } => 26,
    };
    KINDS[place]
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas/journal/events/v1")
}

fn pretty(event: &Event) -> String {
    format!("{}\n", serde_json::to_string_pretty(event).unwrap())
}

#[test]
fn every_kind_of_event_has_a_frozen_sample_that_reads_and_writes_back_alike() {
    assert_eq!(EVENT_VERSION, 1, "a new version needs a new folder; the old samples stay readable");
    let mut files: Vec<String> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    let mut expected: Vec<String> = KINDS.iter().map(|kind| format!("{kind}.json")).collect();
    expected.sort();
    assert_eq!(files, expected);
    for name in KINDS {
        let frozen = std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
        let event: Event = serde_json::from_str(&frozen).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(kind(&event), name);
        assert_eq!(names(std::slice::from_ref(&event)), [name]);
        assert_eq!(pretty(&event), frozen, "{name}");
    }
}

/// Members that were added to events of version 1: files of before lack them, and these have them.
#[test]
fn events_with_members_added_later_read_and_write_back_alike() {
    for name in ["cleared_party", "record-received_bounds", "record-received_asked", "record-received_related"] {
        let path = folder().with_file_name("v1_grown").join(format!("{name}.json"));
        let frozen = std::fs::read_to_string(path).unwrap();
        let event: Event = serde_json::from_str(&frozen).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(pretty(&event), frozen, "{name}");
    }
}

/// Shapes that are no longer written and are read for ever.
#[test]
fn events_in_an_older_shape_of_version_1_read() {
    let older = std::fs::read_to_string(folder().with_file_name("v1_older").join("assessed_follow_up_h.json")).unwrap();
    let today = std::fs::read_to_string(folder().join("assessed.json")).unwrap();
    let read = |text: &str| match serde_json::from_str(text).unwrap() {
        Event::Assessed { decision, .. } => decision,
        other => panic!("{other:?}"),
    };
    assert_eq!(read(&older), read(&today));
}

/// The words inside events are as frozen as the events: a renamed word makes old journals unreadable.
#[test]
fn the_words_inside_events_are_frozen() {
    let path = folder().with_file_name("v1_words.json");
    let frozen: BTreeMap<String, Vec<serde_json::Value>> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    fn reads<T: serde::Serialize + serde::de::DeserializeOwned>(words: &[serde_json::Value], count: usize) {
        assert_eq!(words.len(), count);
        for word in words {
            let value: T = serde_json::from_value(word.clone()).unwrap_or_else(|error| panic!("{word}: {error}"));
            assert_eq!(&serde_json::to_value(&value).unwrap(), word);
        }
    }
    reads::<Status>(&frozen["status"], 8);
    reads::<Route>(&frozen["route"], 2);
    reads::<ProgramKind>(&frozen["program-kind"], 5);
    reads::<Mode>(&frozen["mode"], 3);
    reads::<Lifecycle>(&frozen["lifecycle"], 3);
    reads::<Format>(&frozen["format"], 3);
    reads::<AssessmentCause>(&frozen["assessment-cause"], 4);
    reads::<Actor>(&frozen["actor"], 4);
    reads::<DeclineCause>(&frozen["decline-cause"], 7);
    reads::<BackupService>(&frozen["backup-service"], 3);
    reads::<Disposition>(&frozen["disposition"], 11);
    reads::<TimePoint>(&frozen["time-point"], 12);
    reads::<ReleasedField>(&frozen["released-field"], 8);
    reads::<crate::facts::Source>(&frozen["fact-source"], 7);
    reads::<DutyKind>(&frozen["duty-kind"], 5);
    reads::<DutyOutcome>(&frozen["duty-outcome"], 9);
    reads::<Party>(&frozen["party"], 15);
    reads::<crate::record::Relation>(&frozen["relation"], 5);
    assert_eq!(frozen.len(), 18);
}
