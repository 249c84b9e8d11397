//! The phrases that are looked for, as one automaton: cues, what negates or weakens them, and what looks like a cue and is none.

use super::fold::Words;
use super::shorthand::Shorthand;
use crate::facts::csv_rows::{CsvRow, read_rows};
use crate::facts::natures::pairs;
use aho_corasick::{AhoCorasick, BuildError};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// How a cue is said. Several may hold of one cue; the bits of [`Senses`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sense {
    /// It is not so.
    Negated,
    /// Somebody says that it is not so: a claim, not a fact.
    Denied,
    /// Nobody knows whether it is so.
    Uncertain,
    /// It was so once.
    Historical,
    /// It may come to be so.
    Hypothetical,
}

impl Sense {
    fn named(word: &str) -> Option<Self> {
        match word {
            "negated" => Some(Self::Negated),
            "denied" => Some(Self::Denied),
            "uncertain" => Some(Self::Uncertain),
            "historical" => Some(Self::Historical),
            "hypothetical" => Some(Self::Hypothetical),
            _ => None,
        }
    }
}

/// A set of senses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Senses(u8);

impl Senses {
    pub(super) fn with(self, sense: Sense) -> Self {
        Self(self.0 | 1 << (sense as u8))
    }

    pub(super) fn has(self, sense: Sense) -> bool {
        self.0 & (1 << (sense as u8)) != 0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What a phrase is. The words are those of the column `role` of `data/context.csv`, which explains them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// A cue, by its place among the cues.
    Cue(usize),
    /// Stands before what it governs. A wide one passes through pronouns and verbs too.
    Trigger { sense: Sense, wide: bool },
    /// Looks like a trigger and is none.
    Pseudo,
    /// A scope passes through it; through a wide one only the scope of a wide trigger.
    Through { wide: bool },
    /// Carries a scope from one cue to the next.
    Or,
    /// What a form's label is answered with.
    Answer(Sense),
    /// A form's label that is no cue itself.
    Label,
    /// A verb or preposition that puts a thing into somebody's hand.
    Carrier,
    /// Looks like a cue and is none.
    Ignore,
    /// Ends a scope in running prose.
    Stop,
}

/// A cue: what it is called, what it states, and whether it may be the label of a form (`Weapons: none`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CueWord {
    pub term: String,
    pub states: Vec<(String, String)>,
    pub label: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Phrase {
    /// As it is looked for: folded, between spaces.
    pub text: String,
    pub words: usize,
    pub mark: Mark,
    /// Of the agency's own table: it hides nothing of the product's.
    pub own: bool,
}

/// Phrases, cues and the automaton over them.
#[derive(Debug)]
pub(super) struct Lexicon {
    pub automaton: Option<AhoCorasick>,
    pub phrases: Vec<Phrase>,
    pub cues: Vec<CueWord>,
    /// Phrases that stand for other words, and those words.
    pub expansions: Option<(AhoCorasick, Vec<(usize, Words)>)>,
}

/// What a value becomes by how it is said: a row of `data/levels.csv`. `None`: nothing.
#[derive(Debug, Default)]
struct Level {
    uncertain: Option<String>,
    denied: Option<String>,
    historical: Option<String>,
    hypothetical: Option<String>,
}

static LEVELS: LazyLock<BTreeMap<String, BTreeMap<String, Level>>> = LazyLock::new(|| {
    let columns = ["fact", "value", "uncertain", "denied", "historical", "hypothetical", "because"];
    let some = |value: String| Some(value).filter(|value| !value.is_empty());
    let mut levels: BTreeMap<String, BTreeMap<String, Level>> = BTreeMap::new();
    for CsvRow { cells: [fact, value, uncertain, denied, historical, hypothetical, _], .. } in
        rows(include_bytes!("data/levels.csv"), columns)
    {
        let level = Level {
            uncertain: some(uncertain),
            denied: some(denied),
            historical: some(historical),
            hypothetical: some(hypothetical),
        };
        levels.entry(fact).or_default().insert(value, level);
    }
    levels
});

static BUILT_IN: LazyLock<Arc<Lexicon>> = LazyLock::new(|| {
    // The product's own table is tested: it builds. An automaton that did not would find nothing, so that test is a bar.
    Arc::new(Lexicon::build(built_in_phrases(), &Shorthand::default()).unwrap_or_else(|_| Lexicon::nothing()))
});

/// The value that a cue states when it is said in these senses, `None` where it says nothing.
///
/// Not known is stronger than not so: `unk if no wpns` raises. A value that the table does not know is not weakened.
pub(super) fn level<'a>(fact: &str, value: &'a str, senses: Senses) -> Option<&'a str> {
    if senses.is_empty() {
        return Some(value);
    }
    if senses.has(Sense::Negated) && !senses.has(Sense::Uncertain) {
        return None;
    }
    let Some(level) = LEVELS.get(fact).and_then(|values| values.get(value)) else {
        return Some(value);
    };
    let said = if senses.has(Sense::Uncertain) {
        &level.uncertain
    } else if senses.has(Sense::Denied) {
        &level.denied
    } else if senses.has(Sense::Hypothetical) {
        &level.hypothetical
    } else {
        &level.historical
    };
    said.as_deref()
}

fn rows<const N: usize>(bytes: &'static [u8], columns: [&str; N]) -> impl Iterator<Item = CsvRow<N>> {
    read_rows(bytes, columns, N, &mut Vec::new()).into_iter()
}

static GROUPS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    rows(include_bytes!("data/groups.csv"), ["group", "words"])
        .map(|CsvRow { cells: [group, words], .. }| (group, words))
        .collect()
});

/// Every form of a pattern: forms are parted by `;`, the words that may stand in one place by `|`; an empty one may be left
/// out, and `{who}` stands for the words of a group (`data/groups.csv`).
fn forms(pattern: &str) -> Vec<String> {
    let mut all = Vec::new();
    let pattern = GROUPS.iter().fold(pattern.to_owned(), |text, (group, words)| text.replace(group, words));
    for form in pattern.split(';').map(str::trim).filter(|form| !form.is_empty()) {
        let mut texts = vec![String::new()];
        for place in form.split_whitespace() {
            texts = place.split('|').flat_map(|word| texts.iter().map(move |text| format!("{text} {word}"))).collect();
        }
        all.append(&mut texts);
    }
    all
}

/// Every phrase of the product's tables, folded, for the tables' own tests.
#[cfg(test)]
pub(super) fn built_in_marks() -> Vec<(String, Mark)> {
    built_in_phrases().phrases.into_iter().map(|phrase| (phrase.text, phrase.mark)).collect()
}

/// The phrases of the product's own tables, folded, and its cues.
struct Written {
    phrases: Vec<Phrase>,
    cues: Vec<CueWord>,
}

fn built_in_phrases() -> Written {
    let mut written = Written { phrases: Vec::new(), cues: Vec::new() };
    let columns = ["term", "forms", "language", "states", "label"];
    for CsvRow { cells: [term, pattern, _, states, label], .. } in rows(include_bytes!("data/cues.csv"), columns) {
        let mark = if states.is_empty() { Mark::Ignore } else { Mark::Cue(written.cues.len()) };
        for form in forms(&pattern) {
            written.push(&form, mark, false);
        }
        if !states.is_empty() {
            written.cues.push(CueWord { term, states: pairs(&states), label: label == "yes" });
        }
    }
    let columns = ["forms", "language", "role", "sense"];
    for CsvRow { cells: [pattern, _, role, sense], .. } in rows(include_bytes!("data/context.csv"), columns) {
        if let Some(mark) = mark_of(&role, &sense) {
            for form in forms(&pattern) {
                written.push(&form, mark, false);
            }
        }
    }
    written
}

pub(super) fn mark_of(role: &str, sense: &str) -> Option<Mark> {
    Some(match role {
        "before" => Mark::Trigger { sense: Sense::named(sense)?, wide: false },
        "before-clause" => Mark::Trigger { sense: Sense::named(sense)?, wide: true },
        "answer" => Mark::Answer(Sense::named(sense)?),
        "pseudo" => Mark::Pseudo,
        "through" => Mark::Through { wide: false },
        "through-clause" => Mark::Through { wide: true },
        "or" => Mark::Or,
        "carrier" => Mark::Carrier,
        "label" => Mark::Label,
        "stop" => Mark::Stop,
        _ => return None,
    })
}

impl Written {
    fn push(&mut self, form: &str, mark: Mark, own: bool) {
        let words = Words::of(form);
        if words.len() > 0 {
            self.phrases.push(Phrase { words: words.len(), text: words.joined, mark, own });
        }
    }
}

impl Lexicon {
    /// The product's own lexicon.
    pub(super) fn built_in() -> Arc<Self> {
        Arc::clone(&BUILT_IN)
    }

    /// The product's own lexicon with an agency's shorthand.
    pub(super) fn with(shorthand: &Shorthand) -> Result<Arc<Self>, BuildError> {
        if shorthand.is_empty() {
            Ok(Self::built_in())
        } else {
            Self::build(built_in_phrases(), shorthand).map(Arc::new)
        }
    }

    fn build(mut written: Written, shorthand: &Shorthand) -> Result<Self, BuildError> {
        for (phrase, states) in shorthand.cues() {
            let mark = Mark::Cue(written.cues.len());
            written.push(phrase, mark, true);
            written.cues.push(CueWord { term: phrase.to_owned(), states: states.to_vec(), label: false });
        }
        for phrase in shorthand.ignored() {
            written.push(phrase, Mark::Ignore, true);
        }
        let expansions: Vec<(String, Words)> =
            shorthand.expansions().map(|(phrase, text)| (Words::of(phrase).joined, Words::of(text))).collect();
        let expansions = if expansions.is_empty() {
            None
        } else {
            let automaton = AhoCorasick::new(expansions.iter().map(|(phrase, _)| phrase))?;
            let counted = |(phrase, text): (String, Words)| (phrase.split_whitespace().count(), text);
            Some((automaton, expansions.into_iter().map(counted).collect()))
        };
        let automaton = AhoCorasick::new(written.phrases.iter().map(|phrase| &phrase.text))?;
        Ok(Self { automaton: Some(automaton), phrases: written.phrases, cues: written.cues, expansions })
    }

    /// The product's context with annotated concepts as the cues, in their order.
    #[cfg(test)]
    pub(super) fn for_concepts(concepts: &[&str]) -> Self {
        let mut written = built_in_phrases();
        written.phrases.retain(|phrase| !matches!(phrase.mark, Mark::Cue(_) | Mark::Ignore));
        written.cues.clear();
        for concept in concepts {
            written.push(concept, Mark::Cue(written.cues.len()), true);
            written.cues.push(CueWord { term: (*concept).to_owned(), states: Vec::new(), label: false });
        }
        Self::build(written, &Shorthand::default()).unwrap_or_else(|_| Self::nothing())
    }

    /// The words by which a cue was found, as the lexicon has them (folded): what a call-taker is shown.
    pub(super) fn form(&self, phrase: usize) -> &str {
        self.phrases.get(phrase).map(|phrase| phrase.text.trim()).unwrap_or_default()
    }

    /// True where a whole phrase, folded and with its outer spaces, is of a wanted kind.
    pub(super) fn has_word(&self, folded: &str, wanted: impl Fn(Mark) -> bool) -> bool {
        let Some(automaton) = &self.automaton else { return false };
        automaton.find_overlapping_iter(folded).any(|found| {
            let whole = found.start() == 0 && found.end() == folded.len();
            whole && self.phrases.get(found.pattern().as_usize()).is_some_and(|phrase| wanted(phrase.mark))
        })
    }

    fn nothing() -> Self {
        Self { automaton: None, phrases: Vec::new(), cues: Vec::new(), expansions: None }
    }
}
