//! Where a call stands for the person at the desk: one word that decides what the page offers.

use crate::call_processing::IncidentView;
use crate::incident::{Incident, Leg, LegState, Owner, Phase};
use crate::policy::{Decision, Mode, Route, Status};

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// A person must choose now.
    Choose,
    /// Teams have been asked.
    Offered,
    /// A team owns it.
    WithTeam,
    /// Recorded only: shadow mode or a shadow row.
    Shadow,
    /// Recorded only: a test record.
    Test,
    /// On the ordinary route.
    Ordinary,
    /// Ended.
    Closed,
}

impl Standing {
    /// Where an incident stands.
    #[must_use]
    pub fn of(incident: &Incident) -> Self {
        let shadow_row = |decision: &Decision| decision.status == Status::ShadowEligible;
        match incident.phase {
            Phase::Closed => Self::Closed,
            Phase::WithTeam => Self::WithTeam,
            Phase::Offered => Self::Offered,
            Phase::Assessed => Self::Choose,
            Phase::Ordinary if incident.test => Self::Test,
            Phase::Ordinary if incident.mode == Mode::Shadow => Self::Shadow,
            Phase::Ordinary if incident.decision.as_deref().is_some_and(shadow_row) => Self::Shadow,
            Phase::Ordinary => Self::Ordinary,
        }
    }

    /// The code under which the words tables know it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Choose => "choose",
            Self::Offered => "offered",
            Self::WithTeam => "with-team",
            Self::Shadow => "shadow",
            Self::Test => "test",
            Self::Ordinary => "ordinary",
            Self::Closed => "closed",
        }
    }
}

/// What the reader saw when a button was drawn. A press that carries another than the one in force changes nothing:
/// nobody accepts a recommendation they have not read.
#[must_use]
pub fn seen(incident: &Incident) -> String {
    let (status, route) = match &incident.decision {
        None => ("none", "ordinary"),
        Some(decision) => (decision.status.name(), route_name(&decision.route)),
    };
    format!("{}.{status}.{route}", Standing::of(incident).code())
}

/// A route as one word: `ordinary`, or the program's name.
#[must_use]
pub fn route_name(route: &Route) -> &str {
    match route {
        Route::Ordinary => "ordinary",
        Route::Program(program) => program.as_str(),
    }
}

/// The title of a route's program as the decision gives it.
#[must_use]
pub fn program_title<'a>(decision: &'a Decision, program: &'a str) -> &'a str {
    let options = decision.options.iter().map(|option| (&option.program, &*option.title));
    let legs = decision.steps.iter().flat_map(|step| &step.legs).map(|leg| (&leg.program, leg.title.as_str()));
    options.chain(legs).find(|(id, _)| id.as_str() == program).map_or(program, |(_, title)| title)
}

/// The leg that owns the call.
#[must_use]
pub fn owning_leg(incident: &Incident) -> Option<&Leg> {
    match &incident.owner {
        Owner::Psap => None,
        Owner::Team(owner) => incident.legs.iter().find(|leg| leg.id == *owner),
    }
}

/// The open offer that ends first.
#[must_use]
pub fn open_offer(incident: &Incident) -> Option<&Leg> {
    incident.legs.iter().filter(|leg| leg.state == LegState::Offered).min_by_key(|leg| leg.deadline)
}

/// Calls in the order of the queue: who must be decided on first, then what runs, then what only waits; oldest first.
#[must_use]
pub fn in_queue_order(mut calls: Vec<IncidentView>) -> Vec<IncidentView> {
    calls.sort_by_key(|call| {
        let since = call.incident.times.values().min().copied();
        (Standing::of(&call.incident), since, call.incident.id.clone())
    });
    calls
}
