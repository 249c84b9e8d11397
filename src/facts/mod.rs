//! What is known about a call: facts of a closed vocabulary, each with its value and where it came from.

mod answers;
mod call_types;
mod csv_rows;
mod history;
mod merge;
mod narrative;
mod natures;
mod nearest;
mod structured;
mod vocabulary;
mod zones;

pub use call_types::{CallTypes, Implied, Pin, Unmapped};
pub use csv_rows::FileFault;
pub use history::{ContactHistory, ContactTraces, RepeatKey, Repeats, Traced};
pub use narrative::{Narratives, Shorthand};
pub use natures::{Nature, natures};
pub use nearest::nearest_word;
pub use structured::{Unlearnt, can_be_called};
pub use vocabulary::{DeclaredFact, Domain, Fact, UNKNOWN, Vocabulary};
pub use zones::{ZONE_OUTSIDE, Zones};

use crate::record::CallRecord;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Facts by name. A fact that is absent, or present with the value `unknown`, is unknown.
///
/// Serialised as `{fact: {value, source}}`, with `overruled` beside them where an answer lowered what a record states, and
/// `heard` where a narrative speaks of the fact.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Facts(BTreeMap<String, Entry>);

/// A known value and, where an answer lowered it, the most dangerous value that the answer set aside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    known: Known,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    overruled: Option<String>,
    /// The cues of narratives that were heard so far, whether they raised the value or not: the same words are no news.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    heard: Vec<Cue>,
    /// The latest dated note that holds such a cue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    heard_until: Option<Timestamp>,
}

/// A cue of the lexicon that a narrative holds: the lexicon's word, never the narrative's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cue {
    /// The phrase of the lexicon or of the agency's shorthand, in lower case, without accents and articles (`pulled knife on`).
    pub term: String,
    /// What it states as it is said there.
    pub value: String,
    /// How often one record said it, at most.
    pub times: u16,
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The value in the fact's domain (a number as decimal text, zones joined by `,`); `unknown` where asked in vain.
    pub value: String,
    /// Where it came from.
    pub source: Source,
}

/// Where a fact's value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// An answer given by the call-taker: may set any value.
    Answer,
    /// A structured field of the record: sets; its disappearance clears nothing.
    Structured,
    /// The call type: implies.
    CallType,
    /// The narrative: only raises risk.
    Narrative,
    /// A hazard reported by a team: only raises.
    TeamHazard,
    /// What this adapter remembers of earlier calls: stands where nobody states otherwise.
    History,
}

impl Source {
    /// The name in JSON and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Structured => "structured",
            Self::CallType => "call-type",
            Self::Narrative => "narrative",
            Self::TeamHazard => "team-hazard",
            Self::History => "history",
        }
    }
}

impl Facts {
    /// The value of a fact, `None` where unknown.
    #[must_use]
    pub fn value(&self, fact: &str) -> Option<&str> {
        self.0.get(fact).map(|entry| entry.known.value.as_str()).filter(|value| *value != UNKNOWN)
    }

    /// Where a fact's value came from, `None` where nobody has stated it. An answer of `unknown` has a source too.
    #[must_use]
    pub fn source(&self, fact: &str) -> Option<Source> {
        self.0.get(fact).map(|entry| entry.known.source)
    }

    /// All stated facts in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Known)> + '_ {
        self.0.iter().map(|(name, entry)| (name.as_str(), &entry.known))
    }

    /// These facts with one more, as it stands: no merge rule, no check. For cases, history and tests.
    #[must_use]
    pub fn with(mut self, fact: &str, value: &str, source: Source) -> Self {
        self.0.insert(fact.to_owned(), Entry::of(Known { value: value.to_owned(), source }));
        self
    }

    /// The narratives' cues for a fact, for the call-taker to see why it was raised.
    #[must_use]
    pub fn cues(&self, fact: &str) -> &[Cue] {
        self.0.get(fact).map(|entry| entry.heard.as_slice()).unwrap_or_default()
    }
}

impl Entry {
    fn of(known: Known) -> Self {
        Self { known, overruled: None, heard: Vec::new(), heard_until: None }
    }
}

/// A fact or value that the vocabulary does not have, or a lowering that the source may not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactError {
    /// No such fact; the nearest valid word where one is near.
    #[error("no fact is named `{fact}`")]
    UnknownFact {
        /// As given.
        fact: String,
        /// Nearest valid word.
        nearest: Option<String>,
    },
    /// No such value.
    #[error("`{fact}` has no value `{value}`")]
    UnknownValue {
        /// The fact.
        fact: String,
        /// As given.
        value: String,
        /// The fact's values.
        valid: Vec<String>,
    },
    /// This source may only raise risk.
    #[error("`{fact}` can only be raised from this source")]
    MayOnlyRaise {
        /// The fact.
        fact: String,
    },
}

/// What a policy brings to the reading of records: its words, its call types, its zones, its priority words, its shorthand.
#[derive(Debug)]
pub struct FactSources {
    /// The closed vocabulary.
    pub vocabulary: Vocabulary,
    /// The agency's call types.
    pub call_types: CallTypes,
    /// The policy's zones.
    pub zones: Zones,
    /// The agency's priority words in lower case, as 0…10 (10 the most urgent).
    pub priorities: BTreeMap<String, u8>,
    /// The reading of narratives, with the agency's shorthand.
    pub narratives: Narratives,
}

impl FactSources {
    /// Facts of a record merged into what was known before, and what could not be learnt. Never fails.
    #[must_use]
    pub fn gather(&self, record: &CallRecord, before: &Facts) -> (Facts, Vec<Unlearnt>) {
        structured::gather(self, record, before)
    }
}
