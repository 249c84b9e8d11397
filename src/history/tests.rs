//! What is kept, what an import does to a store, and that a replay decides as the policy does one call at a time.

use super::*;
use crate::facts::Facts;
use crate::policy::{Availability, Policy, PolicyFiles};
use crate::record::{
    AgencyId, CallRecord, Caution, Format, Location, Note, Person, Point, RecordIdentity, SourceId, TimePoint,
};
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use sha2::Digest;
use std::collections::BTreeMap;

const POLICY: &str = r#"[policy]
id = "small"
title = "Small"
revision = "1"
time_zone = "America/Vancouver"
mode = "advise"
[zone.north]
beats = ["N1"]
[program.team]
kind = "community"
area = "north"
hours = [
  { days = "Mon..Fri", from = "08:00", to = "20:30" },
  { days = "Sat, Sun", from = "22:00", to = "02:00", effective = "2026-03-01..2026-11-15" },
]
legs = [{ channel = "webhook", accept_deadline_s = 60 }]
[program.line]
kind = "phone"
hours = [{ days = "Mon..Sun", from = "00:00", to = "24:00" }]
required = ["callback"]
legs = [{ channel = "webhook", accept_deadline_s = 60 }]
[[exclusion]]
id = "weapon"
weapon = "not(none)"
because = "a weapon cannot be ruled out"
[[rule]]
id = "crisis"
nature = "person-in-crisis"
because = "a crisis"
send = ["team", "line"]
effective = "2026-02-01.."
[[rule]]
id = "noise"
nature = "noise"
because = "noise"
send = ["line"]
rank = 1
"#;

const CALL_TYPES: &str =
    "code,nature,implies\nCRISIS,person-in-crisis,\nNOISE,noise,weapon=none\nSAFE,person-in-crisis,weapon=none\n";

fn policy_of(text: &str) -> Policy {
    let mut files = PolicyFiles::default();
    files.files.insert("policy.toml".to_owned(), text.as_bytes().to_vec());
    files.files.insert("call_types.csv".to_owned(), CALL_TYPES.as_bytes().to_vec());
    Policy::compile(&files).unwrap()
}

fn call(incident: &str, call_type: &str, at: &str) -> CallRecord {
    let identity = RecordIdentity {
        agency: AgencyId::new("psap"),
        element: SourceId::new("export"),
        incident: incident.to_owned(),
        updated_at: None,
        content_sha256: hex::encode(sha2::Sha256::digest(format!("{incident}{call_type}{at}"))),
    };
    let mut record = CallRecord::new(identity, Format::Delimited);
    record.nature.call_type = Some(call_type.to_owned());
    record.nature.beat = Some("N1".to_owned());
    record.times.state(TimePoint::Received, at.parse().unwrap());
    record
}

fn source(layout: &str) -> SourceFile {
    let sha256 = |text: &str| hex::encode(sha2::Sha256::digest(text));
    SourceFile { name: "calls.csv".to_owned(), sha256: sha256("file"), layout_sha256: sha256(layout) }
}

fn imported(store: &mut Store, layout: &str, calls: &[CallRecord]) -> Vec<Taken> {
    let mut import = store.import(&source(layout)).unwrap();
    let taken = calls.iter().zip(2..).map(|(call, line)| import.take(line, &kept(call).unwrap()).unwrap()).collect();
    import.finish(&Tally::default()).unwrap();
    taken
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("calls.db")).unwrap();
    (folder, store)
}

fn personal() -> CallRecord {
    let mut record = call("I-1", "CRISIS", "2026-05-04T19:00:00Z");
    record.callbacks = vec!["tel:+1-250-555-0134".to_owned()];
    record.notes = vec![Note { at: None, text: "secret narrative".to_owned() }];
    record.persons = vec![Person {
        roles: vec!["Caller".to_owned()],
        name: Some("Jane Doe".to_owned()),
        phone: Some("250-555-0134".to_owned()),
        age_years: Some(34),
    }];
    record.locations = vec![Location {
        street: Some("742 Evergreen Terrace".to_owned()),
        description: Some("behind the shed".to_owned()),
        city: Some("Springfield".to_owned()),
        postal_code: Some("V2C 1A1".to_owned()),
        point: Some(Point { latitude: 50.678_123, longitude: -120.336_789 }),
        ..Location::default()
    }];
    record
}

#[test]
fn nothing_personal_reaches_the_file() {
    let (folder, mut store) = store();
    imported(&mut store, "layout", &[personal()]);
    drop(store);
    let bytes = std::fs::read(folder.path().join("calls.db")).unwrap();
    let holds = |secret: &str| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
    for secret in
        ["Jane", "Doe", "0134", "secret", "Evergreen", "742", "shed", "V2C", "678123", "336789", "Springfield"]
    {
        assert!(!holds(secret), "{secret}");
    }
    assert!(holds("CRISIS") && holds("50678"), "the call type and the rounded place are kept");
}

#[test]
fn an_export_imported_twice_is_there_once_and_a_later_row_takes_the_place_of_an_earlier() {
    let (_folder, mut store) = store();
    let calls = [call("A", "CRISIS", "2026-05-04T19:00:00Z"), call("B", "NOISE", "2026-05-04T20:00:00Z")];
    assert_eq!(imported(&mut store, "layout", &calls), [Taken::Added, Taken::Added]);
    assert_eq!(imported(&mut store, "layout", &calls), [Taken::Unchanged, Taken::Unchanged]);
    assert_eq!(imported(&mut store, "another layout", &calls[..1]), [Taken::Replaced], "it may say something else now");
    let mut later = call("B", "CRISIS", "2026-05-04T20:00:00Z");
    later.identity.updated_at = Some("2026-05-05T00:00:00Z".parse().unwrap());
    let mut earlier = call("B", "SAFE", "2026-05-04T20:00:00Z");
    earlier.identity.updated_at = Some("2026-05-04T00:00:00Z".parse().unwrap());
    assert_eq!(imported(&mut store, "layout", &[later, earlier]), [Taken::Replaced, Taken::Older]);
    let columns = store.columns().unwrap();
    assert_eq!(columns.len(), 2);
    assert_eq!(columns.profiles[columns.profile[1] as usize].call_type.as_deref(), Some("CRISIS"));
    assert_eq!(store.incident(columns.ids[1]).unwrap(), Some(("psap".to_owned(), "B".to_owned())));
}

#[test]
fn an_import_that_does_not_finish_leaves_nothing() {
    let (_folder, mut store) = store();
    let mut import = store.import(&source("layout")).unwrap();
    import.take(2, &kept(&call("A", "CRISIS", "2026-05-04T19:00:00Z")).unwrap()).unwrap();
    drop(import);
    assert!(store.columns().unwrap().is_empty());
}

#[test]
fn a_file_that_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    assert!(matches!(Store::open_read_only(&path), Err(StoreError::NotOpened(_))));
    assert!(!path.exists());
    std::fs::write(&path, "id,time\n1,2\n".repeat(100)).unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::NotAStore)));
    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
    assert!(matches!(Store::open(&other), Err(StoreError::NotAStore)));
}

#[test]
fn tests_and_calls_without_a_time_are_not_kept_and_the_first_time_is_the_calls() {
    let mut test = call("A", "CRISIS", "2026-05-04T19:00:00Z");
    test.test = true;
    assert_eq!(kept(&test), Err(NotKept::Test));
    let mut untimed = call("A", "CRISIS", "2026-05-04T19:00:00Z");
    untimed.times = crate::record::TimePoints::default();
    assert_eq!(kept(&untimed), Err(NotKept::NoTime));
    untimed.times.state(TimePoint::OnScene, "2026-05-04T19:05:00Z".parse().unwrap());
    untimed.times.state(TimePoint::Dispatched, "2026-05-04T19:10:00Z".parse().unwrap());
    let call = kept(&untimed).unwrap();
    assert_eq!(call.at, "2026-05-04T19:10:00Z".parse::<Timestamp>().unwrap());
    assert_eq!(call.times[&TimePoint::OnScene], -300, "an interval that is negative stays so");
}

#[test]
fn prose_is_not_kept_as_a_code() {
    let mut record = call("A", "CRISIS", "2026-05-04T19:00:00Z");
    record.dispositions = vec![crate::record::DispositionNote { common_code: None, text: Some("word ".repeat(40)) }];
    let call = kept(&record).unwrap();
    assert_eq!((call.disposition, call.prose), (None, vec!["disposition"]));
}

#[test]
fn the_tally_counts_every_row_once_and_lists_the_first() {
    let mut tally = Tally::default();
    tally.take(2, Taken::Added);
    tally.take(3, Taken::Replaced);
    tally.take(4, Taken::Unchanged);
    tally.take(5, Taken::Older);
    tally.refuse(6, 1, "no-time".to_owned());
    tally.refuse(7, 20, "malformed-row".to_owned());
    tally.repair(2, [("time-unreadable", "Answered"), ("time-unreadable", "Answered")].into_iter());
    assert_eq!((tally.rows, tally.taken(), tally.refused_rows()), (25, 4, 21));
    assert_eq!(tally.refused["malformed-row"].listed(), "line 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 …");
    assert_eq!((tally.repaired, tally.repairs["time-unreadable (Answered)"].count), (1, 1));
}

fn replayed(store: &Store, policy: &Policy, assumptions: &[(&str, &str)]) -> (Columns, Replay) {
    let columns = store.columns().unwrap();
    let assumptions: Vec<Assumption> = assumptions
        .iter()
        .map(|(fact, value)| Assumption { fact: (*fact).to_owned(), value: (*value).to_owned() })
        .collect();
    let replay = replay(&columns, policy, &assumptions, &mut |_, _| {}).unwrap();
    (columns, replay)
}

#[test]
fn figures_say_what_is_unknown_and_what_an_assumption_moves() {
    let (_folder, mut store) = store();
    let calls = [
        call("A", "CRISIS", "2026-05-04T19:00:00Z"), // Monday noon
        call("B", "CRISIS", "2026-05-05T06:00:00Z"), // Monday 23:00
        call("C", "SAFE", "2026-05-04T19:00:00Z"),
        call("D", "WHAT", "2026-05-04T19:00:00Z"),
        call("E", "SAFE", "2026-01-05T19:00:00Z"), // the rule is not yet in effect
    ];
    imported(&mut store, "layout", &calls);
    let policy = policy_of(POLICY);
    let (columns, replay) = replayed(&store, &policy, &[]);
    let counts = Counts::of(&columns, &replay, &policy);
    let by_status = |counts: &Counts| counts.statuses.clone().into_iter().collect::<Vec<_>>();
    assert_eq!(by_status(&counts), [("eligible", 1), ("ineligible", 1), ("needs-answer", 2), ("not-assessed", 1)]);
    assert_eq!(counts.questions["weapon"], Asked { calls: 2, first: 2, alone: 1 });
    assert_eq!(counts.unassessed_call_types, BTreeMap::from([("WHAT".to_owned(), 1)]));
    assert_eq!(counts.zones["north"], Share { calls: 5, taken: 1, waiting: 2 });
    assert_eq!(counts.hours[0][12], Hour { calls: 3, taken: 1, waiting: 1, out_of_hours: 0 });
    let (columns, assumed) = replayed(&store, &policy, &[("weapon", "none")]);
    let counts = Counts::of(&columns, &assumed, &policy);
    assert_eq!(counts.assumed[0].1, 3, "where the call type says it, nothing is assumed");
    assert_eq!(counts.taken(), 2);
    assert_eq!(counts.questions["callback"].calls, 1, "in the night only the line is open, and it must call back");
    let moves = compare(&columns, &replay, &assumed);
    assert_eq!((moves.moved, moves.gained, moves.lost), (1, 1, 0));
    assert_eq!(store.incident(moves.kinds[0].examples[0]).unwrap().unwrap().1, "A");
    let wrong = Assumption { fact: "wepon".to_owned(), value: "none".to_owned() };
    assert!(super::replay(&columns, &policy, &[wrong], &mut |_, _| {}).is_err());
}

#[test]
fn a_policy_in_shadow_says_where_its_calls_would_go() {
    let (_folder, mut store) = store();
    imported(&mut store, "layout", &[call("C", "SAFE", "2026-05-04T19:00:00Z")]);
    let policy = policy_of(&POLICY.replace("advise", "shadow"));
    let (columns, replay) = replayed(&store, &policy, &[]);
    let counts = Counts::of(&columns, &replay, &policy);
    assert_eq!((counts.statuses["shadow-eligible"], counts.routes["team"]), (1, 1));
}

fn records() -> impl Strategy<Value = Vec<CallRecord>> {
    let one = (
        prop::sample::select(vec!["CRISIS", "NOISE", "SAFE", "WHAT", ""]),
        // Around the change of clocks and the ends of effective dates.
        prop::sample::select(vec![
            "2026-02-01T07:00:00Z",
            "2026-03-08T09:00:00Z",
            "2026-11-01T08:00:00Z",
            "2026-11-16T07:59:00Z",
        ]),
        -4_000_i64..4_000,
        prop::sample::select(vec!["N1", "S1", ""]),
        any::<[bool; 5]>(),
        prop::option::of(0_u16..130),
    );
    prop::collection::vec(one, 1..60).prop_map(|ones| {
        type One = (&'static str, &'static str, i64, &'static str, [bool; 5], Option<u16>);
        let of = |(number, one): (usize, One)| {
            let (call_type, at, minutes, beat, [name, phone, street, weapon, violent], age) = one;
            let mut record = call(&format!("I{number}"), call_type, at);
            record.times = crate::record::TimePoints::default();
            record.times.state(TimePoint::Received, at.parse::<Timestamp>().unwrap() + minutes.minutes());
            record.nature.beat = (!beat.is_empty()).then(|| String::from(beat));
            record.persons = vec![Person {
                roles: vec!["Caller".to_owned(), "Patient".to_owned()],
                name: Some(if name { "N" } else { " " }.to_owned()),
                phone: Some(if phone { "2505550134" } else { "ext. 12" }.to_owned()),
                age_years: age,
            }];
            let street = street.then(|| "Street".to_owned());
            record.locations = vec![Location { street, ..Location::default() }];
            record.stated_facts = weapon.then(|| ("weapon".to_owned(), "access".to_owned())).into_iter().collect();
            let caution = Caution { kind: "Violent".to_owned(), severity: None };
            record.cautions = violent.then_some(caution).into_iter().collect();
            record
        };
        ones.into_iter().enumerate().map(of).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// The replay of a store is, call by call, the live decision on the records that it is from.
    #[test]
    fn a_replay_decides_as_one_by_one(records in records()) {
        let (_folder, mut store) = store();
        imported(&mut store, "layout", &records);
        let policy = policy_of(POLICY);
        let (_, replay) = replayed(&store, &policy, &[]);
        for (record, situation) in records.iter().zip(&replay.of) {
            let (facts, gaps) = policy.gather(record, &Facts::default());
            let at = record.times.get(TimePoint::Received).unwrap();
            let live = policy.decide(&facts, &gaps, at, &Availability::default());
            let told = live.told();
            let outcome = &replay.situations[*situation as usize].outcome;
            prop_assert_eq!((outcome.status, outcome.route.as_str()), (told.status, told.route));
            let zone = facts.value("zone");
            prop_assert_eq!(replay.situations[*situation as usize].zone.as_deref(), zone);
        }
    }
}
