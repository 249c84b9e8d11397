//! Both tables have the same keys and every key that the pages ask for; languages are found; times read as they should.

use super::{ENGLISH, FRENCH, Language, Table, Words, countdown, slug};
use crate::facts::Facts;
use crate::incident::{BackupService, DeclineCause, Disposition, DutyKind, DutyOutcome, Party};
use crate::measures::Figures;
use jiff::Timestamp;
use jiff::tz::TimeZone;

fn words(language: Language) -> Words {
    Words::new(language, TimeZone::get("America/Vancouver").unwrap())
}

#[test]
fn both_languages_have_every_key_and_no_empty_word() {
    let keys = |table: &Table| table.keys().cloned().collect::<Vec<_>>();
    assert!(ENGLISH.len() > 300, "the English table did not read");
    assert_eq!(keys(&ENGLISH), keys(&FRENCH));
    for (key, text) in ENGLISH.iter().chain(FRENCH.iter()) {
        assert!(!text.trim().is_empty(), "{key}");
    }
}

#[test]
fn a_word_names_the_same_places_in_both_languages() {
    let places = |text: &str| {
        let mut found: Vec<String> =
            text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name.to_owned()).collect();
        found.sort();
        found
    };
    for (key, english) in ENGLISH.iter() {
        assert_eq!(places(english), places(&FRENCH[key]), "{key}");
    }
}

/// Reads the sources: a key in `t("…")`, `with("…")`, `says("…")` that no table has would show as itself.
#[test]
fn every_key_that_the_pages_ask_for_is_in_the_tables() {
    let sources = sources(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/pages")));
    let mut asked = 0;
    for (file, text) in &sources {
        for opening in ["t(\"", "with(\"", "says(\"", "title: \""] {
            for rest in text.split(opening).skip(1) {
                let Some((key, _)) = rest.split_once('"') else { continue };
                let is_key = key.contains('.') || ENGLISH.contains_key(key);
                if is_key && !key.contains([' ', '/', '{', '<', '%']) {
                    asked += 1;
                    assert!(ENGLISH.contains_key(key), "{file}: `{key}` is in no table");
                }
            }
        }
    }
    assert!(asked > 100, "only {asked} keys were found in the sources");
}

fn sources(folder: &std::path::Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

#[test]
fn every_code_of_the_closed_sets_has_a_word() {
    let mut keys: Vec<String> = Vec::new();
    keys.extend(DeclineCause::ALL.iter().map(|cause| format!("cause.{}", cause.name())));
    keys.extend(Disposition::ALL.iter().map(|disposition| format!("disposition.{}", disposition.name())));
    keys.extend(BackupService::ALL.iter().map(|service| format!("service.{}", service.name())));
    keys.extend(DutyKind::ALL.iter().map(|duty| format!("duty.{}", duty.name())));
    keys.extend(DutyKind::ALL.iter().map(|duty| format!("alarm.{}", duty.alarm())));
    keys.extend(DutyOutcome::ALL.iter().map(|outcome| format!("outcome.{}", outcome.name())));
    keys.extend(Party::ALL.iter().map(|party| format!("party.{}", party.name())));
    let sets: [(&str, &[&str]); 6] = [
        (
            "status",
            &[
                "not-assessed",
                "ineligible",
                "needs-answer",
                "eligible-out-of-hours",
                "eligible-out-of-area",
                "eligible-no-unit",
                "eligible",
                "shadow-eligible",
            ],
        ),
        (
            "leg",
            &[
                "offered",
                "agreed",
                "accompanying",
                "handed-on",
                "accepted",
                "en-route",
                "on-scene",
                "with-person",
                "declined",
                "timed-out",
                "unreachable",
                "withdrawn",
                "stood-back",
                "returned",
                "cleared",
            ],
        ),
        ("source", &["answer", "structured", "call-type", "narrative", "team-hazard", "history", "linked"]),
        ("mode", &["shadow", "advise", "automatic"]),
        (
            "option",
            &[
                "can-take",
                "out-of-hours",
                "out-of-area",
                "no-unit",
                "no-decider",
                "excluded",
                "no-rule",
                "missing-field",
                "needs-answer",
                "officer-needed",
            ],
        ),
        ("standing", &["choose", "offered", "with-team", "shadow", "test", "ordinary", "closed"]),
    ];
    keys.extend(sets.iter().flat_map(|(set, codes)| codes.iter().map(move |code| format!("{set}.{code}"))));
    keys.extend(crate::pages::call_taker::OVERRIDE_REASONS.iter().map(|reason| format!("reason.{reason}")));
    keys.extend(crate::pages::team::RETURN_REASONS.iter().map(|why| format!("why.{why}")));
    for key in keys {
        assert!(ENGLISH.contains_key(&key), "`{key}`");
    }
    assert!(Facts::default().iter().next().is_none());
}

#[test]
fn every_phrase_of_the_figures_has_a_french_word() {
    for table in Figures::default().tables() {
        let names = table.rows.iter().filter_map(|row| row.first());
        for phrase in std::iter::once(&table.title).chain(&table.headers).chain(names) {
            assert!(FRENCH.contains_key(&format!("figures.{}", slug(phrase))), "`{phrase}`");
        }
    }
}

#[test]
fn the_reader_gets_the_first_language_they_can_read() {
    assert_eq!(Language::of_accept("fr-CA,fr;q=0.9,en;q=0.8"), Some(Language::French));
    assert_eq!(Language::of_accept("de, en;q=0.3, fr;q=0.7"), Some(Language::French));
    assert_eq!(Language::of_accept("fr;q=0, en;q=0.1"), Some(Language::English));
    assert_eq!(Language::of_accept("de,*;q=0.1"), None);
    assert_eq!(Language::of_tag("EN-us"), Some(Language::English));
    assert_eq!(Language::of_tag("<script>"), None);
}

#[test]
fn openings_and_countdowns_read_as_a_person_says_them() {
    let opens: Timestamp = "2026-05-05T23:00:00Z".parse().unwrap();
    assert_eq!(words(Language::English).day_and_time(opens, opens), "Tuesday 16:00");
    assert_eq!(words(Language::French).day_and_time(opens, opens), "mardi 16:00");
    let spring: Timestamp = "2026-04-01T00:00:00Z".parse().unwrap();
    assert_eq!(words(Language::French).day_and_time(opens, spring), "mardi 2026-05-05 16:00");
    let now: Timestamp = "2026-05-05T22:58:25.5Z".parse().unwrap();
    assert_eq!(countdown(opens, now), "1:35");
    assert_eq!(countdown(now, opens), "0:00");
    assert_eq!(words(Language::English).age(now, opens), "1 min");
    assert_eq!(words(Language::English).why("team-returned.needs-police"), "the team returned it: Needs police");
    assert_eq!(words(Language::French).value("weapon", "obsidian-sickle"), "obsidian sickle");
}
