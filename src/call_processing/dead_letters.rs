//! What ended undeliverable since the start or was found so in the journal: what an operator must see.

use super::live::{Desk, lock};
use super::views::{CallProblem, IncidentView};
use crate::incident::{Act, Actor, Command, Event, Incident};
use crate::journal::Stored;
use crate::record::IncidentId;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::VecDeque;

/// Letters held, at most: the newest. The journal has them all (`fourth journal undelivered`).
pub(super) const LETTERS_MAX: usize = 1_000;
/// Ends that are no loss: the offer was taken back, or no CAD is configured that could be told.
const NO_LOSS: [&str; 2] = ["superseded", "no-cad"];

/// One message that was given up. No personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Its idempotency key.
    pub key: String,
    /// The incident.
    pub incident: IncidentId,
    /// What it was: `offer`, `withdraw`, `stand-back`, `proceed`, `cad`.
    pub what: String,
    /// Why it was given up, kebab-case.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

/// Every letter held, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetters {
    /// The letters.
    pub letters: VecDeque<DeadLetter>,
    /// Older ones that are no longer held.
    pub letters_not_listed: u64,
    letters_max: usize,
}

impl Default for DeadLetters {
    fn default() -> Self {
        Self::of_at_most(LETTERS_MAX)
    }
}

impl DeadLetters {
    /// None yet, and never more than so many.
    #[must_use]
    pub fn of_at_most(letters_max: usize) -> Self {
        Self { letters: VecDeque::new(), letters_not_listed: 0, letters_max }
    }

    /// Notes what an event says of a message.
    pub fn note(&mut self, incident: &IncidentId, event: &Event, at: Timestamp) {
        match event {
            Event::Undeliverable { key, why } if !NO_LOSS.contains(&why.as_str()) => {
                self.letters.retain(|letter| letter.key != *key);
                if self.letters.len() >= self.letters_max {
                    self.letters.pop_front();
                    self.letters_not_listed = self.letters_not_listed.saturating_add(1);
                }
                let what = key.rsplit('.').next().unwrap_or_default().to_owned();
                self.letters.push_back(DeadLetter {
                    key: key.clone(),
                    incident: incident.clone(),
                    what,
                    why: why.clone(),
                    at,
                });
            }
            Event::Redriven { key, by: _ } => self.letters.retain(|letter| letter.key != *key),
            _ => {}
        }
    }
}

/// A letter with what it was to do, as the story of its incident tells. No personal data.
#[derive(Debug, Clone)]
pub struct OpenedLetter {
    /// The letter.
    pub letter: DeadLetter,
    /// What was to be carried out; `None` where the story cannot be read.
    pub act: Option<Act>,
    /// Why it is not sent again, kebab-case: `offer-over`, `overtaken`. `None` where it may be.
    pub stays: Option<&'static str>,
}

impl Desk {
    /// What a letter was to do, and whether that may still be done.
    pub async fn open_letter(&self, letter: &DeadLetter) -> OpenedLetter {
        let entries = self.journal().read_incident(&letter.incident).await.unwrap_or_default();
        let mut incident = Incident::new(letter.incident.clone());
        let mut act = None;
        for entry in &entries {
            let Stored::Incident(event) = &entry.stored else { continue };
            let made = incident.on(event, entry.at).into_iter().find(|effect| effect.key == letter.key);
            act = act.or(made.map(|effect| effect.act));
        }
        let stays = act.as_ref().and_then(|act| incident.not_redriven(act));
        OpenedLetter { letter: letter.clone(), act, stays }
    }

    /// What was given up and not sent again.
    #[must_use]
    pub fn dead_letters(&self) -> DeadLetters {
        lock(&self.inner().dead_letters).clone()
    }

    /// An operator has a message that was given up sent again, under its old key. Journaled with who.
    ///
    /// # Errors
    /// [`CallProblem::Refused`] where it was not given up, is an offer, or is no longer true.
    pub async fn redrive(&self, key: &str, by: Actor) -> Result<IncidentView, CallProblem> {
        // `<incident>.<version>.<what>`; an incident's own name has no full stop.
        let incident = key.split('.').next().filter(|name| !name.is_empty()).ok_or(CallProblem::NoSuchIncident)?;
        self.command(&IncidentId::new(incident), Command::Redrive { key: key.to_owned(), by }).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_come_and_go_with_the_events_and_are_bounded() {
        let incident = IncidentId::new("i1");
        let mut held = DeadLetters::default();
        let given_up = |number: usize, why: &str| Event::Undeliverable {
            key: format!("i1.{number}.stand-back"),
            why: why.to_owned(),
        };
        let mut note = |event: &Event| {
            held.note(&incident, event, Timestamp::UNIX_EPOCH);
            (held.letters.len(), held.letters_not_listed)
        };
        assert_eq!(note(&given_up(1, "superseded")), (0, 0), "an offer that was taken back is no loss");
        assert_eq!(note(&given_up(1, "retry-time-exhausted")), (1, 0));
        assert_eq!(note(&given_up(1, "refused-422")), (1, 0), "the last word on a message stands");
        let again = Event::Redriven { key: "i1.1.stand-back".to_owned(), by: Actor::Operator("duty".to_owned()) };
        assert_eq!(note(&again), (0, 0));
        for number in 0..LETTERS_MAX {
            note(&given_up(number, "refused-422"));
        }
        assert_eq!(note(&given_up(LETTERS_MAX, "refused-422")), (LETTERS_MAX, 1));
        let first = held.letters.front().unwrap();
        assert_eq!((first.key.as_str(), first.what.as_str()), ("i1.1.stand-back", "stand-back"));
    }
}
