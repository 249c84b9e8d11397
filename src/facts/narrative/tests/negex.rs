//! The context engine on the annotated sentences of the NegEx test set, beside the published figures.

use super::super::context::{self, Reach};
use super::super::fold::Words;
use super::super::lexicon::{Lexicon, Sense};
use std::path::Path;

struct Sentence {
    concept: String,
    text: String,
    negated: bool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    hit: u32,
    missed: u32,
    wrong: u32,
    right_affirmed: u32,
    concept_not_found: u32,
}

impl Counts {
    fn recall(self) -> f64 {
        f64::from(self.hit) / f64::from((self.hit + self.missed).max(1))
    }

    fn precision(self) -> f64 {
        f64::from(self.hit) / f64::from((self.hit + self.wrong).max(1))
    }

    fn f_score(self) -> f64 {
        let (precision, recall) = (self.precision(), self.recall());
        2.0 * precision * recall / (precision + recall).max(f64::EPSILON)
    }

    /// Affirmed findings that were called negated, of all affirmed.
    fn wrongly_negated(self) -> f64 {
        f64::from(self.wrong) / f64::from((self.wrong + self.right_affirmed).max(1))
    }
}

#[expect(clippy::disallowed_methods, reason = "a test finds the public samples by the environment")]
fn sentences() -> Vec<Sentence> {
    let shared = std::env::var("FOURTH_SHARED")
        .unwrap_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").display().to_string());
    let path = Path::new(&shared).join("data/negation/negex_annotations_1-120.txt");
    let bytes = std::fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let [_, concept, text, verdict] = cells.as_slice() else { return None };
            let clean = |cell: &str| cell.trim().trim_matches('"').to_owned();
            Some(Sentence { concept: clean(concept), text: clean(text), negated: verdict.trim() == "Negated" })
        })
        .collect()
}

/// Reads each sentence with its annotated concept as the only cue.
fn evaluate(lexicon: &Lexicon, sentences: &[Sentence], reach: Reach) -> Counts {
    let mut counts = Counts::default();
    for (cue, sentence) in sentences.iter().enumerate() {
        let found = context::read_one(lexicon, cue, &sentence.text, reach);
        if found.is_empty() {
            counts.concept_not_found += 1;
        }
        // A concept that stands twice is negated where any of its places is; the set marks the sentence, not the place.
        let negated = found.iter().any(|found| found.senses.has(Sense::Negated) || found.senses.has(Sense::Denied));
        let slot = match (sentence.negated, negated) {
            (true, true) => &mut counts.hit,
            (true, false) => &mut counts.missed,
            (false, true) => &mut counts.wrong,
            (false, false) => &mut counts.right_affirmed,
        };
        *slot += 1;
    }
    counts
}

#[test]
#[cfg_attr(not(public_samples), ignore = "FOURTH_SHARED is absent: the annotated sentences were not read")]
fn fewer_affirmed_findings_are_wrongly_negated_than_in_the_published_figures() {
    let sentences = sentences();
    let concepts: Vec<&str> = sentences.iter().map(|sentence| sentence.concept.as_str()).collect();
    let lexicon = Lexicon::for_concepts(&concepts);
    let negated = sentences.iter().filter(|sentence| sentence.negated).count();
    println!("{} sentences, {negated} negated", sentences.len());
    println!("{:<34} recall  precision       F  wrongly negated", "engine");
    println!("{:<34} 0.9593     0.9327  0.9458  34/1885 = 1.80 %", "GenNegEx 1.2, as published");
    for (name, reach) in
        [("dispatch scope, as it runs", Reach::Dispatch), ("prose scope, 5 words and lists", Reach::Prose(5))]
    {
        let counts = evaluate(&lexicon, &sentences, reach);
        let affirmed = counts.wrong + counts.right_affirmed;
        println!(
            "{name:<34} {:.4}     {:.4}  {:.4}  {}/{affirmed} = {:.2} %  (concept not found: {})",
            counts.recall(),
            counts.precision(),
            counts.f_score(),
            counts.wrong,
            100.0 * counts.wrongly_negated(),
            counts.concept_not_found,
        );
        assert!(affirmed > 1_800 && negated > 400, "the set is not the one that is cited");
        assert!(counts.wrongly_negated() <= 34.0 / 1_885.0);
        assert!(counts.recall() > 0.5);
    }
}

#[test]
fn a_concept_is_read_like_a_cue() {
    let lexicon = Lexicon::for_concepts(&["night sweats"]);
    let one = |text: &str, reach: Reach| {
        context::read_one(&lexicon, 0, text, reach).first().unwrap().senses.has(Sense::Negated)
    };
    assert!(one("No fever, chills, night sweats, or cough.", Reach::Prose(5)));
    assert!(!one("No fever but night sweats.", Reach::Prose(5)));
    assert!(!one("No fever, chills, night sweats, or cough.", Reach::Dispatch));
    assert!(one("There are no night sweats.", Reach::Dispatch));
    assert_eq!(Words::of("night sweats").len(), 2);
}
