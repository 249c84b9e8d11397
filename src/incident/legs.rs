//! What a leg may still do, and what stands against a program.

use super::{Incident, Leg, LegState, Refusal};
use crate::policy::{Decision, ExclusionHit, LegPlan};
use crate::record::{LegId, TimePoint};

impl LegState {
    /// The name in JSON, reports and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Agreed => "agreed",
            Self::Accepted => "accepted",
            Self::EnRoute => "en-route",
            Self::OnScene => "on-scene",
            Self::WithPerson => "with-person",
            Self::Accompanying => "accompanying",
            Self::Declined => "declined",
            Self::TimedOut => "timed-out",
            Self::Unreachable => "unreachable",
            Self::Withdrawn => "withdrawn",
            Self::StoodBack => "stood-back",
            Self::Returned => "returned",
            Self::HandedOn => "handed-on",
            Self::Cleared => "cleared",
        }
    }

    /// True while this leg's team owns the call.
    #[must_use]
    pub fn owns(self) -> bool {
        match self {
            Self::Accepted | Self::EnRoute | Self::OnScene | Self::WithPerson => true,
            Self::Offered
            | Self::Agreed
            | Self::Accompanying
            | Self::Declined
            | Self::TimedOut
            | Self::Unreachable
            | Self::Withdrawn
            | Self::StoodBack
            | Self::Returned
            | Self::HandedOn
            | Self::Cleared => false,
        }
    }

    /// True while the call is on this leg's hands: asked, agreed, owning it or beside the owner.
    #[must_use]
    pub fn holds(self) -> bool {
        self.owns() || matches!(self, Self::Offered | Self::Agreed | Self::Accompanying)
    }

    /// How far along the way to the person an owning team is; `None` for every other state.
    pub(super) fn progress(self) -> Option<u8> {
        match self {
            Self::Accepted => Some(0),
            Self::EnRoute => Some(1),
            Self::OnScene => Some(2),
            Self::WithPerson => Some(3),
            Self::Offered
            | Self::Agreed
            | Self::Accompanying
            | Self::Declined
            | Self::TimedOut
            | Self::Unreachable
            | Self::Withdrawn
            | Self::StoodBack
            | Self::Returned
            | Self::HandedOn
            | Self::Cleared => None,
        }
    }

    /// True where the team has reached the place.
    pub(crate) fn has_arrived(self) -> bool {
        matches!(self, Self::OnScene | Self::WithPerson)
    }

    /// The state a team's status stands for; `None` for points that are not a team's to report.
    pub(super) fn of_status(status: TimePoint) -> Option<Self> {
        match status {
            TimePoint::EnRoute => Some(Self::EnRoute),
            TimePoint::OnScene => Some(Self::OnScene),
            TimePoint::WithPerson => Some(Self::WithPerson),
            TimePoint::Received
            | TimePoint::Answered
            | TimePoint::Entered
            | TimePoint::Assessed
            | TimePoint::Offered
            | TimePoint::Accepted
            | TimePoint::Dispatched
            | TimePoint::Cleared
            | TimePoint::Closed => None,
        }
    }
}

/// The name of a time point, as in JSON.
pub(super) fn point_name(point: TimePoint) -> &'static str {
    match point {
        TimePoint::Received => "received",
        TimePoint::Answered => "answered",
        TimePoint::Entered => "entered",
        TimePoint::Assessed => "assessed",
        TimePoint::Offered => "offered",
        TimePoint::Accepted => "accepted",
        TimePoint::Dispatched => "dispatched",
        TimePoint::EnRoute => "en-route",
        TimePoint::OnScene => "on-scene",
        TimePoint::WithPerson => "with-person",
        TimePoint::Cleared => "cleared",
        TimePoint::Closed => "closed",
    }
}

/// Ids of the built-in safeguards begin so; they bar programs without an officer and no other (policy.md).
const BUILT_IN: &str = "built-in.";

/// True where the exclusion keeps the program from this call.
///
/// An exclusion that says whom it bars bars nobody else. Of the others, a program with an officer is admitted by the
/// built-in safeguards, and by an exclusion that sends to it; a program without one is barred by every exclusion, even
/// one that names it: its crew may have changed since the row was written.
pub(super) fn bars(exclusion: &ExclusionHit, plan: &LegPlan) -> bool {
    if let Some(bars) = &exclusion.bars {
        return bars.programs.contains(&plan.program) || (bars.unaccompanied && plan.kind.unaccompanied());
    }
    let admitted = exclusion.send.as_ref() == Some(&plan.program) || exclusion.id.starts_with(BUILT_IN);
    plan.kind.unaccompanied() || !admitted
}

/// The first exclusion that bars a program from this call, by the order of the decision.
pub(super) fn barring<'a>(decision: &'a Decision, plan: &LegPlan) -> Option<&'a ExclusionHit> {
    decision.exclusions.iter().find(|exclusion| bars(exclusion, plan))
}

/// Why a program may not be sent on this decision.
pub(super) fn bar_refusal(exclusion: &ExclusionHit, plan: &LegPlan) -> Refusal {
    if exclusion.send.as_ref() == Some(&plan.program) {
        Refusal::KindNotAllowed { kind: plan.kind }
    } else {
        Refusal::Excluded { row: exclusion.id.clone() }
    }
}

impl Incident {
    /// The leg, where its team owns the call.
    ///
    /// # Errors
    /// [`Refusal::NoSuchLeg`], [`Refusal::OutOfOrder`] while it is still on offer or is beside the owner, [`Refusal::NoLongerYours`] after.
    pub(super) fn owned(&self, id: &LegId, asked: &str) -> Result<&Leg, Refusal> {
        let leg = self.leg(id).ok_or(Refusal::NoSuchLeg)?;
        if leg.state.owns() {
            Ok(leg)
        } else if leg.state.holds() {
            Err(Refusal::OutOfOrder { stands: leg.state.name().to_owned(), asked: asked.to_owned() })
        } else {
            Err(Refusal::NoLongerYours { why: self.ended_why(leg) })
        }
    }

    /// Why a leg is no longer its team's, in one kebab-case word.
    pub(super) fn ended_why(&self, leg: &Leg) -> String {
        self.recalled.get(&leg.id).cloned().unwrap_or_else(|| leg.state.name().to_owned())
    }
}
