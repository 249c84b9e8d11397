//! What people say of a call, and other calls tied to it: the call-taker's answers, the hazards a team reports, linked dangers.

use super::{FactError, FactSources, Facts, Source};

impl FactSources {
    /// Facts after a call-taker's answer, which may set any value, `unknown` included.
    ///
    /// # Errors
    /// Where fact or value is not in the vocabulary.
    pub fn answered(&self, before: &Facts, fact: &str, value: &str) -> Result<Facts, FactError> {
        self.after(before, fact, value, Source::Answer)
    }

    /// Facts after a hazard reported by a team, which only raises.
    ///
    /// # Errors
    /// Where fact or value is not in the vocabulary, or the report would lower a risk.
    pub fn hazard(&self, before: &Facts, fact: &str, value: &str) -> Result<Facts, FactError> {
        self.after(before, fact, value, Source::TeamHazard)
    }

    /// Facts with every danger that a linked incident knows of at first hand. What it has from others it passes on to
    /// nobody, so that a call-taker's answer on either incident is not undone by its own echo.
    #[must_use]
    pub fn linked(&self, before: &Facts, other: &Facts) -> Facts {
        let mut facts = before.clone();
        for (fact, known) in other.at_first_hand() {
            // What is no danger, or of another policy's words, is refused and says nothing here.
            let _ = facts.state(&self.vocabulary, fact, &known.value, Source::Linked);
        }
        facts
    }

    fn after(&self, before: &Facts, fact: &str, value: &str, source: Source) -> Result<Facts, FactError> {
        let mut facts = before.clone();
        facts.state(&self.vocabulary, fact, value, source)?;
        Ok(facts)
    }
}
