//! Narratives read for cues of danger, English and French. Text only raises: what it denies, it leaves as it was.
//!
//! One pass of one automaton over the folded words ([`fold`], [`lexicon`]), one pass over what it found ([`context`]). What
//! a cue states by how it is said is `data/levels.csv`; the cues are `data/cues.csv`, and what negates or weakens them is
//! `data/context.csv`. The figures of both evaluations are in `tests/narrative/README.md`.

mod context;
mod fold;
mod lexicon;
mod shorthand;

#[cfg(test)]
mod tests;

pub use shorthand::Shorthand;

use super::Cue;
use crate::record::CallRecord;
use context::Reach;
use jiff::Timestamp;
use lexicon::Lexicon;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of narrative that are read of one record, at most. What is beyond is not read, and not waved through.
pub(super) const NARRATIVE_BYTES_MAX: usize = 256 * 1024;

/// Reads narratives with the product's lexicon and an agency's shorthand.
#[derive(Debug, Clone)]
pub struct Narratives {
    lexicon: Arc<Lexicon>,
}

/// What a record's narrative says of one fact.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Each term and value once, in order of the text.
    pub cues: Vec<Cue>,
    /// The latest note that holds one of them, where the sender dates notes.
    pub until: Option<Timestamp>,
}

impl Default for Narratives {
    fn default() -> Self {
        Self { lexicon: Lexicon::built_in() }
    }
}

impl Narratives {
    /// With an agency's shorthand.
    ///
    /// # Errors
    /// Where the phrases together are more than one automaton can hold.
    pub fn with(shorthand: &Shorthand) -> Result<Self, &'static str> {
        let lexicon = Lexicon::with(shorthand).map_err(|_| "the phrases are too many for one automaton")?;
        Ok(Self { lexicon })
    }

    /// What the notes of a record say, by fact; `true` where they are longer than is read.
    pub(super) fn read(&self, record: &CallRecord) -> (BTreeMap<String, Said>, bool) {
        let mut said: BTreeMap<String, Said> = BTreeMap::new();
        let mut left = NARRATIVE_BYTES_MAX;
        let mut too_long = false;
        for note in &record.notes {
            let Some(rest) = left.checked_sub(note.text.len()) else {
                too_long = true;
                continue;
            };
            left = rest;
            for (fact, term, value) in self.states(&note.text) {
                let entry = said.entry(fact.to_owned()).or_default();
                entry.until = entry.until.max(note.at);
                let known = entry.cues.iter_mut().find(|cue| cue.term == term && cue.value == value);
                match known {
                    Some(cue) => cue.times = cue.times.saturating_add(1),
                    None => entry.cues.push(Cue { term: term.to_owned(), value: value.to_owned(), times: 1 }),
                }
            }
        }
        (said, too_long)
    }

    /// What one text states, in order of its words: fact, the lexicon's phrase, value.
    fn states(&self, text: &str) -> Vec<(&str, &str, &str)> {
        let (found, _) = context::read(&self.lexicon, text, Reach::Dispatch);
        let mut states = Vec::new();
        for found in found {
            let Some(cue) = self.lexicon.cues.get(found.cue) else { continue };
            for (fact, value) in &cue.states {
                if let Some(value) = lexicon::level(fact, value, found.senses) {
                    states.push((fact.as_str(), self.lexicon.form(found.phrase), value));
                }
            }
        }
        states
    }
}
