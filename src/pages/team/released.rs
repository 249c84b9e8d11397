//! What a team may see of one call: nothing but the fields its leg's release list names.

use crate::access::{Released, release};
use crate::call_processing::IncidentView;
use crate::incident::{Leg, LegState};
use crate::record::ReleasedField;

/// A call as one team sees it. The page is drawn from this and never sees the record (invariant I14).
#[derive(Debug, Clone, PartialEq)]
pub struct TeamCall {
    /// The call's name, cut to what is said over a radio.
    pub reference: String,
    /// What the release list lets through.
    pub released: Released,
}

/// Fields that stay on the page once a leg is no longer the team's: on a stand-back, where not to go; else nothing.
fn allowed(leg: &Leg) -> Vec<ReleasedField> {
    match leg.state {
        LegState::Offered
        | LegState::Agreed
        | LegState::Accepted
        | LegState::EnRoute
        | LegState::OnScene
        | LegState::WithPerson
        | LegState::Accompanying => leg.plan.release.clone(),
        LegState::StoodBack => {
            leg.plan.release.iter().copied().filter(|field| *field == ReleasedField::Address).collect()
        }
        LegState::Declined
        | LegState::TimedOut
        | LegState::Unreachable
        | LegState::Withdrawn
        | LegState::Returned
        | LegState::HandedOn
        | LegState::Cleared => Vec::new(),
    }
}

/// One call as the team of one leg may see it.
#[must_use]
pub fn released(view: &IncidentView, leg: &Leg) -> TeamCall {
    let facts = view.incident.facts.iter().map(|(name, known)| (name, &*known.value)).collect();
    TeamCall {
        reference: reference(view.incident.id.as_str()),
        released: release(view.record.as_deref(), &facts, &allowed(leg)),
    }
}

/// The last six characters of an incident's name: enough to tell two open calls apart by voice.
#[must_use]
pub fn reference(incident: &str) -> String {
    let mut letters: Vec<char> = incident.chars().rev().filter(char::is_ascii_alphanumeric).take(6).collect();
    letters.reverse();
    letters.into_iter().collect::<String>().to_uppercase()
}
