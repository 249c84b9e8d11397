//! What is known about a call: facts of a closed vocabulary, each with its value and where it came from.

mod answers;
mod call_types;
mod csv_rows;
mod history;
mod merge;
mod narrative;
mod natures;
mod nearest;
mod stated;
mod structured;
mod vocabulary;
mod zones;

pub use call_types::{CallTypes, Implied, Pin, Unmapped};
pub use csv_rows::FileFault;
pub use history::{ContactHistory, ContactTraces, RepeatKey, Repeats, Traced};
pub use narrative::{Narratives, Shorthand};
pub use natures::{Nature, natures};
pub use nearest::nearest_word;
pub use stated::{Facts, Stated, Word};
pub use structured::{Unlearnt, can_be_called};
pub use vocabulary::{DeclaredFact, Domain, Fact, UNKNOWN, Vocabulary};
pub use zones::{ZONE_OUTSIDE, Zones};

use crate::record::CallRecord;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

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
    pub value: Cow<'static, str>,
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
    /// What is known of an incident that the CAD merged with, split from or linked to this one: only raises.
    Linked,
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
            Self::Linked => "linked",
        }
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
    /// What a record tells in the built-in words, where no policy is in force. What it says of danger stays known to the
    /// policy that comes later (invariant I5); an agency's own words could not be read, which is doubt.
    #[must_use]
    pub fn gather_without_policy(record: &CallRecord, before: &Facts) -> Facts {
        Self::with_doubt(Self::built_in().gather(record, before).0)
    }

    /// What was known, and doubt until a call-taker says that there is none: something was told that could not be read.
    #[must_use]
    pub fn with_doubt(mut facts: Facts) -> Facts {
        // A call-taker's answer stands, as it does against any record.
        let _ = facts.state(&Self::built_in().vocabulary, "doubt", "yes", Source::Structured);
        facts
    }

    /// As [`FactSources::linked`], in the built-in words.
    #[must_use]
    pub fn linked_without_policy(before: &Facts, other: &Facts) -> Facts {
        Self::built_in().linked(before, other)
    }

    fn built_in() -> &'static Self {
        static BUILT_IN: LazyLock<FactSources> = LazyLock::new(|| FactSources {
            vocabulary: Vocabulary::new(Vec::new(), &Zones::default()),
            call_types: CallTypes::default(),
            zones: Zones::default(),
            priorities: BTreeMap::new(),
            narratives: Narratives::default(),
        });
        &BUILT_IN
    }

    /// Facts of a record merged into what was known before, and what could not be learnt. Never fails.
    #[must_use]
    pub fn gather(&self, record: &CallRecord, before: &Facts) -> (Facts, Vec<Unlearnt>) {
        structured::gather(self, record, before)
    }
}
