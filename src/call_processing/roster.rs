//! What an operator says of the roster: who is away, and whether surge mode is on. Never from a record.

use super::Desk;
use super::live::lock;
use crate::facts::nearest_word;
use crate::record::ProgramId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Who is away, and whether surge mode is on. In memory only: after a restart everybody counts as there and surge mode is
/// off, so that what was said of yesterday's shift outlives it in no case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Roster {
    /// Surge mode is on.
    pub surge: bool,
    /// Programs without a crew.
    pub unstaffed: Vec<ProgramId>,
    /// Deciders that are away.
    pub deciders_away: BTreeSet<String>,
}

/// A name on the roster that the policy in force does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy in force has no {what} `{name}`")]
pub struct RosterFault {
    what: &'static str,
    name: String,
    /// The nearest that it has.
    pub nearest: Option<String>,
}

impl Desk {
    /// The roster as last said.
    #[must_use]
    pub fn roster(&self) -> Roster {
        lock(&self.inner().roster).clone()
    }

    /// Takes a whole roster in place of the one before. Open calls are assessed by it when something new is heard of them.
    ///
    /// # Errors
    /// A name that the policy in force does not have: an absence that is not understood must not be dropped.
    pub fn set_roster(&self, roster: Roster) -> Result<(), RosterFault> {
        let policy = self.policy();
        let programs: Vec<String> =
            policy.iter().flat_map(|policy| policy.programs()).map(|program| program.id.as_str().to_owned()).collect();
        let deciders = policy.map(|policy| policy.deciders()).unwrap_or_default();
        let known = |what, name: &str, valid: &[String]| {
            if valid.iter().any(|known| known == name) {
                return Ok(());
            }
            let nearest = nearest_word(name, valid.iter().map(String::as_str)).map(str::to_owned);
            Err(RosterFault { what, name: name.to_owned(), nearest })
        };
        roster.unstaffed.iter().try_for_each(|program| known("program", program.as_str(), &programs))?;
        roster.deciders_away.iter().try_for_each(|decider| known("decider", decider, &deciders))?;
        tracing::info!(
            surge = roster.surge,
            unstaffed = roster.unstaffed.len(),
            deciders_away = roster.deciders_away.len(),
            "the roster was set"
        );
        *lock(&self.inner().roster) = roster;
        Ok(())
    }
}
