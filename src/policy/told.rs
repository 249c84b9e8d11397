//! A decision as machines are told it: the same members on the command line and over HTTP.

use super::decision::{
    Decision, ExclusionHit, Flip, FollowUp, Gap, PolicyIdentity, ProgramOption, Question, Reason, Route, RouteStep,
    Status,
};
use serde::Serialize;

/// What is told of a decision. No personal data.
#[derive(Debug, Clone, Serialize)]
pub struct Told<'a> {
    /// Name of the status.
    pub status: &'static str,
    /// Row of an `ineligible`, reason of a `not-assessed`.
    pub because: Option<&'a str>,
    /// `ordinary`, or the program that comes first.
    pub route: &'a str,
    rule: Option<&'a str>,
    exclusions: &'a [ExclusionHit],
    reasons: &'a [Reason],
    options: &'a [ProgramOption],
    questions: &'a [Question],
    nearest_flip: Option<&'a Flip>,
    steps: &'a [RouteStep],
    automatic: bool,
    follow_up: &'a [FollowUp],
    gaps: &'a [Gap],
    /// Which policy decided.
    pub policy: PolicyTold<'a>,
}

/// Which policy decided.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyTold<'a> {
    name: &'a str,
    revision: &'a str,
    digest: &'a str,
}

impl Decision {
    /// The decision as machines are told it.
    #[must_use]
    pub fn told(&self) -> Told<'_> {
        let PolicyIdentity { id, revision, digest } = &*self.policy;
        Told {
            status: self.status.name(),
            because: self.status.because(),
            route: self.route.name(),
            rule: self.rule.as_deref(),
            exclusions: &self.exclusions,
            reasons: &self.reasons,
            options: &self.options,
            questions: &self.questions,
            nearest_flip: self.nearest_flip.as_ref(),
            steps: &self.steps,
            automatic: self.automatic,
            follow_up: &self.follow_up,
            gaps: &self.gaps,
            policy: PolicyTold { name: id, revision, digest },
        }
    }
}

impl Status {
    /// Row of an `ineligible`, reason of a `not-assessed`.
    #[must_use]
    pub fn because(&self) -> Option<&str> {
        match self {
            Self::NotAssessed { why } => Some(why),
            Self::Ineligible { because } => Some(because),
            Self::NeedsAnswer
            | Self::EligibleOutOfHours
            | Self::EligibleOutOfArea
            | Self::EligibleNoUnit
            | Self::Eligible
            | Self::ShadowEligible => None,
        }
    }
}

impl Route {
    /// `ordinary`, or the program that comes first.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Ordinary => "ordinary",
            Self::Program(program) => program.as_str(),
        }
    }
}
