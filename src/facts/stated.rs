//! What is stated of one call: built-in facts by their place in the vocabulary and their words by their place in the
//! domain, so that a table reads most of them without looking at a letter.

use super::vocabulary::{built_in, built_in_name, built_in_word};
use super::{Cue, Known, Source, UNKNOWN};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Facts by name. A fact that is absent, or present with the value `unknown`, is unknown.
///
/// Serialised as `{fact: {value, source}}`, with `overruled` beside them where an answer lowered what a record states, `own`
/// where a linked incident knows of worse than is known here, and `heard` where a narrative speaks of the fact.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts(Vec<Stated>);

/// One stated fact. In order of name within [`Facts`].
#[derive(Debug, Clone, PartialEq)]
pub struct Stated {
    name: Name,
    word: Word,
    pub(super) entry: Entry,
}

/// Built-in facts stand at the same place in every policy's vocabulary; an agency's own do not.
#[derive(Debug, Clone, PartialEq)]
enum Name {
    BuiltIn(u8),
    Declared(Box<str>),
}

/// A value as its domain has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Nobody knows.
    Unknown,
    /// The word at this place of a built-in fact's words.
    At(u16),
    /// To be read by its letters: a number, a code, zones, a word of an agency's own.
    Spelt,
}

/// A known value and, where an answer lowered it, the most dangerous value that the answer set aside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    #[serde(flatten)]
    pub known: Known,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overruled: Option<String>,
    /// The danger that is known here at first hand, beneath what a linked incident knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Known>,
    /// The cues of narratives that were heard so far, whether they raised the value or not: the same words are no news.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<Cue>,
    /// The latest dated note that holds such a cue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_until: Option<Timestamp>,
}

impl Stated {
    /// The fact's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.name {
            Name::BuiltIn(place) => built_in_name(*place),
            Name::Declared(name) => name,
        }
    }

    /// The fact's place in every vocabulary; `None` for a fact of an agency's own.
    #[must_use]
    pub fn place(&self) -> Option<usize> {
        match &self.name {
            Name::BuiltIn(place) => Some(usize::from(*place)),
            Name::Declared(_) => None,
        }
    }

    /// The value as its domain has it.
    #[must_use]
    pub fn word(&self) -> Word {
        self.word
    }

    /// The value and where it came from.
    #[must_use]
    pub fn known(&self) -> &Known {
        &self.entry.known
    }

    fn of(fact: &str, known: Known) -> Self {
        let name = built_in(fact).map_or_else(|| Name::Declared(fact.into()), Name::BuiltIn);
        let entry = Entry { known, overruled: None, own: None, heard: Vec::new(), heard_until: None };
        let mut stated = Self { name, word: Word::Spelt, entry };
        stated.read();
        stated
    }

    /// Finds the value's place among the words of its domain, which need not be kept again for each call.
    fn read(&mut self) {
        let known = &mut self.entry.known;
        self.word = Word::Spelt;
        if known.value == UNKNOWN {
            self.word = Word::Unknown;
            known.value = Cow::Borrowed(UNKNOWN);
        } else if let Name::BuiltIn(fact) = &self.name
            && let Some((place, word)) = built_in_word(*fact, &known.value)
        {
            self.word = Word::At(place);
            known.value = Cow::Borrowed(word);
        }
    }
}

impl Facts {
    /// The value of a fact, `None` where unknown.
    #[must_use]
    pub fn value(&self, fact: &str) -> Option<&str> {
        self.get(fact).map(|entry| &*entry.known.value).filter(|value| *value != UNKNOWN)
    }

    /// Where a fact's value came from, `None` where nobody has stated it. An answer of `unknown` has a source too.
    #[must_use]
    pub fn source(&self, fact: &str) -> Option<Source> {
        self.get(fact).map(|entry| entry.known.source)
    }

    /// All stated facts in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Known)> + '_ {
        self.0.iter().map(|stated| (stated.name(), stated.known()))
    }

    /// What is known at first hand, also beneath what a linked incident knows.
    pub(super) fn at_first_hand(&self) -> impl Iterator<Item = (&str, &Known)> + '_ {
        self.0.iter().filter_map(|stated| {
            let own =
                if stated.known().source == Source::Linked { stated.entry.own.as_ref() } else { Some(stated.known()) };
            Some((stated.name(), own?))
        })
    }

    /// The same as a table reads them.
    #[must_use]
    pub fn stated(&self) -> &[Stated] {
        &self.0
    }

    /// These facts with one more, as it stands: no merge rule, no check. For cases, history and tests.
    #[must_use]
    pub fn with(mut self, fact: &str, value: &str, source: Source) -> Self {
        self.0.retain(|stated| stated.name() != fact);
        self.put(fact, Known { value: Cow::Owned(value.to_owned()), source }, None);
        self
    }

    /// The narratives' cues for a fact, for the call-taker to see why it was raised.
    #[must_use]
    pub fn cues(&self, fact: &str) -> &[Cue] {
        self.get(fact).map(|entry| entry.heard.as_slice()).unwrap_or_default()
    }

    pub(super) fn get(&self, fact: &str) -> Option<&Entry> {
        let place = self.find(fact).ok()?;
        self.0.get(place).map(|stated| &stated.entry)
    }

    pub(super) fn get_mut(&mut self, fact: &str) -> Option<&mut Entry> {
        let place = self.find(fact).ok()?;
        self.0.get_mut(place).map(|stated| &mut stated.entry)
    }

    /// States a value. What was heard stays heard, whoever speaks next.
    pub(super) fn put(&mut self, fact: &str, known: Known, overruled: Option<String>) {
        match self.find(fact) {
            Ok(place) => {
                if let Some(stated) = self.0.get_mut(place) {
                    (stated.entry.known, stated.entry.overruled, stated.entry.own) = (known, overruled, None);
                    stated.read();
                }
            }
            Err(place) => {
                let mut stated = Stated::of(fact, known);
                stated.entry.overruled = overruled;
                self.0.insert(place, stated);
            }
        }
    }

    fn find(&self, fact: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|stated| stated.name().cmp(fact))
    }
}

impl Serialize for Facts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|stated| (stated.name(), &stated.entry)))
    }
}

impl<'de> Deserialize<'de> for Facts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By name, and of a name that comes twice the last, as of any map.
        let entries = BTreeMap::<String, Entry>::deserialize(deserializer)?;
        let stated = entries.into_iter().map(|(name, entry)| {
            let mut stated = Stated::of(&name, entry.known.clone());
            stated.entry = Entry { known: stated.entry.known, ..entry };
            stated
        });
        Ok(Self(stated.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_is_read_and_stored_again_letter_for_letter() {
        let stored = concat!(
            r#"{"age":{"value":"34","source":"structured"},"#,
            r#""heat_warning":{"value":"yes","source":"structured"},"#,
            r#""nature":{"value":"welfare-check","source":"call-type"},"#,
            r#""violence":{"value":"unknown","source":"answer"},"#,
            r#""weapon":{"value":"none","source":"answer","overruled":"present","#,
            r#""heard":[{"term":"knife","value":"present","times":2}],"heard_until":"2026-03-04T12:00:00Z"},"#,
            r#""zone":{"value":"city,east","source":"structured"}}"#
        );
        let facts: Facts = serde_json::from_str(stored).unwrap();
        assert_eq!(serde_json::to_string(&facts).unwrap(), stored);
        assert_eq!(facts, serde_json::from_str(&serde_json::to_string_pretty(&facts).unwrap()).unwrap());
        let words: Vec<(&str, Word)> = facts.stated().iter().map(|stated| (stated.name(), stated.word())).collect();
        let welfare_check = super::super::natures().iter().position(|nature| nature.name == "welfare-check").unwrap();
        let expected = [
            ("age", Word::Spelt),
            ("heat_warning", Word::Spelt),
            ("nature", Word::At(u16::try_from(welfare_check).unwrap())),
            ("violence", Word::Unknown),
            ("weapon", Word::At(0)),
            ("zone", Word::Spelt),
        ];
        assert_eq!(words, expected);
        assert_eq!((facts.value("weapon"), facts.value("violence")), (Some("none"), None));
    }

    /// A table reads a word by its place and never by its letters: both must be the vocabulary's.
    #[test]
    fn every_word_of_every_built_in_fact_is_known_by_its_place() {
        let vocabulary = super::super::Vocabulary::new(Vec::new(), &super::super::Zones::default());
        for (place, fact) in vocabulary.facts().iter().enumerate() {
            let super::super::Domain::Words { values, .. } = &fact.domain else { continue };
            for (at, value) in (0..).zip(values) {
                let facts = Facts::default().with(&fact.name, value, Source::Structured);
                let stated = &facts.stated()[0];
                assert_eq!((stated.place(), stated.word()), (Some(place), Word::At(at)), "{} {value}", fact.name);
                assert_eq!(facts.value(&fact.name), Some(&**value));
            }
        }
    }
}
