//! The tables' own tests and the traps of dispatch text, one by one; the evaluations and properties stand beside.

mod labelled;
mod negex;
mod properties;
mod shorthand;

use super::super::{Vocabulary, Zones};
use super::context::{self, Reach};
use super::lexicon::{self, Lexicon, Mark};
use super::{Narratives, Shorthand};
use std::collections::BTreeMap;

fn vocabulary() -> Vocabulary {
    Vocabulary::new(Vec::new(), &Zones::default())
}

/// The most dangerous value of each fact that a reading states.
fn levels_by(narratives: &Narratives, text: &str) -> BTreeMap<String, String> {
    let vocabulary = vocabulary();
    let mut levels: BTreeMap<String, String> = BTreeMap::new();
    for (fact, _, value) in narratives.states(text) {
        let definition = vocabulary.find(fact).unwrap().1;
        let best = levels.entry(fact.to_owned()).or_insert_with(|| value.to_owned());
        if definition.danger_of(value) > definition.danger_of(best) {
            *best = value.to_owned();
        }
    }
    levels
}

fn levels(text: &str) -> BTreeMap<String, String> {
    levels_by(&Narratives::default(), text)
}

fn level(text: &str, fact: &str) -> Option<String> {
    levels(text).get(fact).cloned()
}

#[test]
fn the_tables_are_whole_and_speak_the_vocabulary() {
    let vocabulary = vocabulary();
    let lexicon = Lexicon::built_in();
    assert!(lexicon.automaton.is_some() && lexicon.cues.len() > 60 && lexicon.phrases.len() > 2_000);
    for cue in &lexicon.cues {
        assert!(!cue.term.is_empty() && !cue.states.is_empty(), "{}", cue.term);
        for (fact, value) in &cue.states {
            let definition = vocabulary.find(fact).unwrap().1;
            assert!(definition.danger_of(value) > 0, "{}: {fact}={value} raises nothing", cue.term);
        }
    }
}

/// A phrase that is a label in one row and none in another would be half answered by `Weapons: none`; one that is a cue and
/// ignored would be hidden; one that is two triggers would be read as the first.
#[test]
fn no_phrase_contradicts_itself() {
    let lexicon = Lexicon::built_in();
    let mut seen: BTreeMap<(String, &str), String> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (text, mark) in lexicon::built_in_marks() {
        let (kind, name) = match mark {
            Mark::Cue(cue) => ("cue", format!("cue, label {}", lexicon.cues[cue].label)),
            Mark::Ignore => ("cue", "ignored".to_owned()),
            Mark::Trigger { sense, wide } => ("trigger", format!("{sense:?}, wide {wide}")),
            _ => continue,
        };
        let before = seen.insert((text.clone(), kind), name.clone());
        if before.as_ref().is_some_and(|before| *before != name) {
            wrong.push(format!("`{text}`: {name} and {}", before.unwrap_or_default()));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_row_of_the_tables_is_read() {
    use super::super::csv_rows::read_rows;
    let mut faults = Vec::new();
    let cues =
        read_rows(include_bytes!("../data/cues.csv"), ["term", "forms", "language", "states", "label"], 5, &mut faults);
    for row in &cues {
        let [_, forms, language, _, label] = &row.cells;
        assert!(!forms.is_empty() && ["en", "fr"].contains(&language.as_str()), "line {}", row.line);
        assert!(["", "yes"].contains(&label.as_str()), "line {}", row.line);
    }
    let context =
        read_rows(include_bytes!("../data/context.csv"), ["forms", "language", "role", "sense"], 4, &mut faults);
    for row in &context {
        let [_, _, role, sense] = &row.cells;
        assert!(lexicon::mark_of(role, sense).is_some(), "line {}: role `{role}`, sense `{sense}`", row.line);
    }
    let columns = ["fact", "value", "uncertain", "denied", "historical", "hypothetical", "because"];
    let vocabulary = vocabulary();
    for row in read_rows(include_bytes!("../data/levels.csv"), columns, 7, &mut faults) {
        let [fact, value, weakened @ .., because] = &row.cells;
        let definition = vocabulary.find(fact).unwrap().1;
        assert!(!because.is_empty() && definition.danger_of(value) > 0, "line {}", row.line);
        for weaker in weakened.iter().filter(|weaker| !weaker.is_empty()) {
            let danger = definition.danger_of(weaker);
            assert!(danger > 0 && danger <= definition.danger_of(value), "line {}: `{weaker}`", row.line);
        }
    }
    assert_eq!(faults, Vec::new());
}

#[test]
fn what_looks_like_a_negation_and_is_none_leaves_the_weapon_standing() {
    for text in [
        "no wpns but has knife",
        "NO WPN KNIFE IN HAND",
        "DROPPED THE GUN",
        "no longer has knife",
        "wont drop the knife",
        "did not drop the knife",
        "brother has a gun",
        "n'a pas lâché le couteau",
        "pas d'arme, a un couteau",
    ] {
        assert_eq!(level(text, "weapon").as_deref(), Some("present"), "{text}");
    }
    for text in ["cannot see a weapon", "unk if armed", "ne voit pas d'arme"] {
        assert_eq!(level(text, "weapon").as_deref(), Some("mentioned"), "{text}");
    }
}

#[test]
fn what_clears_a_cue_stands_before_it_or_answers_its_label() {
    for text in [
        "no weapons",
        "NO KNOWN WPNS",
        "neg wpns",
        "Weapons: none",
        "pas d'arme",
        "aucune arme",
        "nail gun",
        "Gunn St",
        "1200 Shotgun Rd",
        "knife & fork",
    ] {
        assert_eq!(level(text, "weapon"), None, "{text}");
    }
    for text in
        ["has knife none hurt", "knife. none seen", "HAS KNIFE NEG INJ", "with a gun - no", "threatening with nail gun"]
    {
        assert!(level(text, "weapon").is_some(), "{text}");
    }
}

#[test]
fn a_phrase_is_found_at_word_boundaries_without_regard_to_case_or_accents() {
    assert_eq!(level("ÉTRANGLÉE", "violence").as_deref(), Some("physical"));
    assert_eq!(level("begun, gunnel, knifelike", "weapon"), None);
    assert_eq!(level("not\r\nbreathing", "medical").as_deref(), Some("acute"));
}

#[test]
fn the_reading_is_linear_in_its_text() {
    let line = "NO WPNS SEEN MALE HAS KNIFE, no guns, SI, HI, or weapons, not sure if armed, weapons: none ";
    let lexicon = Lexicon::built_in();
    let work = |times: usize| context::read(&lexicon, &line.repeat(times), Reach::Dispatch).1.0;
    let (one, many) = (work(50), work(5_000));
    assert!(many <= one * 101, "{one} units for 50 lines, {many} for 5,000");
    let commas = |times: usize| context::read(&lexicon, &"no weapons, ".repeat(times), Reach::Dispatch).1.0;
    assert!(commas(10_000) <= commas(100) * 101);
}
