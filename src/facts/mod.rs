//! What is known about a call: facts of a closed vocabulary, each with its value and where it came from.

use crate::record::CallRecord;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Stub to be replaced by the facts room's builder: fact name to value and source. Absent means unknown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Facts(BTreeMap<String, Known>);

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The value in the fact's domain (a number as decimal text).
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
}

impl Facts {
    /// The value of a fact, `None` where unknown.
    #[must_use]
    pub fn value(&self, fact: &str) -> Option<&str> {
        self.0.get(fact).map(|known| known.value.as_str())
    }

    /// All known facts in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Known)> + '_ {
        self.0.iter().map(|(name, known)| (name.as_str(), known))
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

#[doc(hidden)]
pub fn unused(_: &CallRecord) {}
