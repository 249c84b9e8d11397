//! What people say of a call: the call-taker's answers, and the hazards a team reports.

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

    fn after(&self, before: &Facts, fact: &str, value: &str, source: Source) -> Result<Facts, FactError> {
        let mut facts = before.clone();
        facts.state(&self.vocabulary, fact, value, source)?;
        Ok(facts)
    }
}
