//! Properties: text only raises, whatever the text is; what is written later clears nothing; what was answered stands.

use super::super::super::{CallTypes, FactSources, Facts, Source};
use super::{levels, vocabulary};
use crate::facts::{Narratives, Zones};
use crate::record::{AgencyId, CallRecord, Format, Note, RecordIdentity, SourceId};
use jiff::Timestamp;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn sources() -> FactSources {
    FactSources {
        vocabulary: vocabulary(),
        call_types: CallTypes::default(),
        zones: Zones::default(),
        priorities: BTreeMap::new(),
        narratives: Narratives::default(),
    }
}

fn record(notes: &[&str]) -> CallRecord {
    let dated: Vec<(Option<Timestamp>, &str)> = notes.iter().map(|text| (None, *text)).collect();
    dated_record(&dated)
}

fn dated_record(notes: &[(Option<Timestamp>, &str)]) -> CallRecord {
    let identity = RecordIdentity {
        agency: AgencyId::new("a"),
        element: SourceId::new("cad"),
        incident: "1".to_owned(),
        updated_at: None,
        content_sha256: String::new(),
    };
    let mut record = CallRecord::new(identity, Format::CadExportXml);
    record.notes = notes.iter().map(|(at, text)| Note { at: *at, text: (*text).to_owned() }).collect();
    record
}

fn gathered(before: &Facts, notes: &[&str]) -> Facts {
    sources().gather(&record(notes), before).0
}

#[test]
fn a_cue_raises_with_its_term_and_a_negated_one_sets_nothing() {
    let facts = gathered(&Facts::default(), &["NO WPNS SEEN", "male has knife"]);
    assert_eq!((facts.value("weapon"), facts.source("weapon")), (Some("present"), Some(Source::Narrative)));
    let told: Vec<_> =
        facts.cues("weapon").iter().map(|cue| (cue.term.as_str(), cue.value.as_str(), cue.times)).collect();
    assert_eq!(told, [("knife", "present", 1)]);
    let none = gathered(&Facts::default(), &["no weapons, not violent"]);
    assert_eq!((none.value("weapon"), none.source("weapon"), none.value("violence")), (None, None, None));
}

#[test]
fn an_answer_outlives_the_same_words_and_not_a_worse_cue() {
    let sources = sources();
    let heard = gathered(&Facts::default(), &["male has knife"]);
    let answered = sources.answered(&heard, "weapon", "none").unwrap();
    let again = gathered(&answered, &["male has knife"]);
    assert_eq!((again.value("weapon"), again.source("weapon")), (Some("none"), Some(Source::Answer)));
    let worse = gathered(&again, &["male has knife", "stabbed a bystander"]);
    assert_eq!(worse.value("weapon"), Some("used"));
}

#[test]
fn a_new_line_with_the_same_cue_is_news_and_the_old_line_is_not() {
    let sources = sources();
    let heard = gathered(&Facts::default(), &["male has knife"]);
    let answered = sources.answered(&heard, "weapon", "none").unwrap();
    let new_line = gathered(&answered, &["male has knife", "now has a knife again"]);
    assert_eq!(new_line.value("weapon"), Some("present"));
    // A sender that sends only the new line: its time tells.
    let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
    let first = dated_record(&[(at("2026-01-01T10:00:00Z"), "male has knife")]);
    let (heard, _) = sources.gather(&first, &Facts::default());
    let answered = sources.answered(&heard, "weapon", "none").unwrap();
    assert_eq!(sources.gather(&first, &answered).0.value("weapon"), Some("none"));
    let later = dated_record(&[(at("2026-01-01T10:05:00Z"), "male has knife")]);
    assert_eq!(sources.gather(&later, &answered).0.value("weapon"), Some("present"));
}

#[test]
fn news_raises_to_its_own_danger_and_not_to_what_was_set_aside() {
    let sources = sources();
    let heard = gathered(&Facts::default(), &["male has knife"]);
    let answered = sources.answered(&heard, "weapon", "none").unwrap();
    let news = gathered(&answered, &["male has knife", "unk if armed"]);
    assert_eq!(news.value("weapon"), Some("mentioned"));
    let again = gathered(&news, &["male has knife", "unk if armed"]);
    assert_eq!(again.value("weapon"), Some("mentioned"));
}

#[test]
fn a_cue_below_what_is_known_is_heard_all_the_same() {
    let sources = sources();
    let mut stated = record(&["male has knife"]);
    stated.stated_facts = vec![("weapon".to_owned(), "used".to_owned())];
    let (facts, _) = sources.gather(&stated, &Facts::default());
    assert_eq!((facts.value("weapon"), facts.source("weapon")), (Some("used"), Some(Source::Structured)));
    let answered = sources.answered(&facts, "weapon", "none").unwrap();
    assert_eq!(sources.gather(&stated, &answered).0.value("weapon"), Some("none"));
}

#[test]
fn a_narrative_beyond_the_bound_is_doubt_and_the_rest_is_read() {
    let long = "calm ".repeat(60_000);
    let (facts, gaps) = sources().gather(&record(&[&long, "male has knife"]), &Facts::default());
    assert_eq!((facts.value("doubt"), facts.value("weapon")), (Some("yes"), Some("present")));
    assert!(gaps.iter().any(|gap| gap.why == "narrative-too-long"));
}

#[test]
fn facts_of_a_journal_written_before_narratives_were_read_still_read() {
    let old = r#"{"weapon":{"value":"none","source":"answer","overruled":"access"}}"#;
    let facts: Facts = serde_json::from_str(old).unwrap();
    assert_eq!(facts.value("weapon"), Some("none"));
    assert_eq!(serde_json::to_string(&facts).unwrap(), old);
    let heard = gathered(&Facts::default(), &["male has knife"]);
    let written = serde_json::to_string(&heard).unwrap();
    assert_eq!(serde_json::from_str::<Facts>(&written).unwrap(), heard);
}

/// Words that dispatch text is made of: cues, triggers, and what stands between them.
fn dispatch_text() -> impl Strategy<Value = String> {
    let words = [
        "no",
        "not",
        "neg",
        "unk",
        "if",
        "wpns",
        "knife",
        "gun",
        "has",
        "male",
        "with",
        "or",
        "none",
        "denies",
        "hx",
        "of",
        "SI",
        "HI",
        ",",
        ".",
        "/",
        "\n",
        ":",
        "?",
        "violent",
        "hit",
        "nail",
        "shop",
        "pas",
        "d'arme",
        "couteau",
        "aucune",
        "he",
        "seen",
        "weapons",
        "injured",
        "not breathing",
        "never",
        "seen",
        "years ago",
        "call back if",
        "and",
        "fork",
        "rd",
        "1200",
        "ruled out",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..24).prop_map(|words| words.join(" "))
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![dispatch_text(), any::<String>(), "\\PC{0,200}"]
}

fn dangers(facts: &Facts) -> BTreeMap<String, u8> {
    let vocabulary = vocabulary();
    let danger = |fact: &str, value: &str| vocabulary.find(fact).unwrap().1.danger_of(value);
    facts.iter().map(|(fact, known)| (fact.to_owned(), danger(fact, &known.value))).collect()
}

fn at_least(after: &BTreeMap<String, u8>, before: &BTreeMap<String, u8>) -> bool {
    before.iter().all(|(fact, danger)| after.get(fact).copied().unwrap_or(0) >= *danger)
}

/// Lines that affirm something, for the suffix property.
const AFFIRMED: [(&str, &str, &str); 10] = [
    ("male has a knife", "weapon", "present"),
    ("shots fired", "weapon", "used"),
    ("a un couteau", "weapon", "present"),
    ("punched the driver", "violence", "physical"),
    ("il frappe sa conjointe", "violence", "physical"),
    ("uttering threats", "violence", "threat"),
    ("not breathing", "medical", "acute"),
    ("ne respire pas", "medical", "acute"),
    ("armed with", "weapon", "present"),
    ("unresponsive", "medical", "acute"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_read_and_lowers_nothing(text in any_text(), answered in prop::bool::ANY) {
        let sources = sources();
        let mut before = Facts::default();
        before.state(&sources.vocabulary, "weapon", "access", Source::Structured).unwrap();
        if answered {
            before = sources.answered(&before, "violence", "verbal").unwrap();
        }
        let (after, _) = sources.gather(&record(&[&text]), &before);
        prop_assert!(at_least(&dangers(&after), &dangers(&before)));
    }

    #[test]
    fn a_sentence_or_note_more_lowers_nothing(one in any_text(), other in any_text()) {
        let lower = |text: &str| dangers(&gathered(&Facts::default(), &[text]));
        let both = lower(&format!("{one}. {other}"));
        prop_assert!(at_least(&both, &lower(&one)), "after");
        prop_assert!(at_least(&both, &lower(&other)), "before");
        let notes = dangers(&gathered(&Facts::default(), &[&one, &other]));
        prop_assert!(at_least(&notes, &lower(&one)) && at_least(&notes, &lower(&other)));
    }

    #[test]
    fn nothing_written_after_an_affirmed_cue_clears_it(line in prop::sample::select(AFFIRMED.to_vec()), rest in dispatch_text()) {
        let (text, fact, value) = line;
        let vocabulary = vocabulary();
        let danger = |value: &str| vocabulary.find(fact).unwrap().1.danger_of(value);
        prop_assert_eq!(super::level(text, fact), Some(value.to_owned()));
        let longer = levels(&format!("{text} {rest}")).get(fact).map_or(0, |value| danger(value));
        prop_assert!(longer >= danger(value), "`{}` read lower", rest);
    }

    #[test]
    fn no_words_before_it_clear_who_has_a_weapon(before in dispatch_text()) {
        for affirmed in ["male has a knife", "he is holding a gun", "il a un couteau dans la main, a frappé sa mère"] {
            prop_assert!(super::level(&format!("{before} {affirmed}"), "weapon").is_some(), "`{}`", affirmed);
        }
    }

    #[test]
    fn a_snapshot_that_repeats_itself_changes_nothing(one in any_text(), other in any_text()) {
        let first = gathered(&Facts::default(), &[&one]);
        let second = gathered(&first, &[&one, &other]);
        prop_assert!(at_least(&dangers(&second), &dangers(&first)));
        prop_assert_eq!(gathered(&second, &[&one, &other]), second);
    }
}
