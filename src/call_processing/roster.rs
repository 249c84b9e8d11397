//! What an operator says of the roster: who is away, and whether surge mode is on. Never from a record.

use super::Desk;
use super::live::lock;
use crate::facts::nearest_word;
use crate::journal::{AdapterEvent, JournalError};
use crate::record::ProgramId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Who is away, and whether surge mode is on. Journaled when it is said, and in force again after a restart: a team that
/// was away does not count as there because the adapter was started anew.
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

/// Why a roster was not taken. The one before stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterFault {
    /// A name that the policy in force does not have.
    #[error("the policy in force has no {what} `{name}`")]
    Unknown {
        /// `program` or `decider`.
        what: &'static str,
        /// The name given.
        name: String,
        /// The nearest that it has.
        nearest: Option<String>,
    },
    /// It could not be journaled.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Desk {
    /// The roster as last said.
    #[must_use]
    pub fn roster(&self) -> Roster {
        lock(&self.inner().roster).clone()
    }

    /// Takes a whole roster in place of the one before, journaled first. Open calls are assessed by it when something new
    /// is heard of them.
    ///
    /// # Errors
    /// A name that the policy in force does not have: an absence that is not understood must not be dropped. Or the
    /// journal's.
    pub async fn set_roster(&self, roster: Roster) -> Result<(), RosterFault> {
        let policy = self.policy();
        let programs: Vec<String> =
            policy.iter().flat_map(|policy| policy.programs()).map(|program| program.id.as_str().to_owned()).collect();
        let deciders = policy.map(|policy| policy.deciders()).unwrap_or_default();
        let known = |what, name: &str, valid: &[String]| {
            if valid.iter().any(|known| known == name) {
                return Ok(());
            }
            let nearest = nearest_word(name, valid.iter().map(String::as_str)).map(str::to_owned);
            Err(RosterFault::Unknown { what, name: name.to_owned(), nearest })
        };
        roster.unstaffed.iter().try_for_each(|program| known("program", program.as_str(), &programs))?;
        roster.deciders_away.iter().try_for_each(|decider| known("decider", decider, &deciders))?;
        let Roster { surge, unstaffed, deciders_away } = roster.clone();
        let deciders_away = deciders_away.into_iter().collect();
        self.record_of_adapter(AdapterEvent::RosterSet { surge, unstaffed, deciders_away }).await?;
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
