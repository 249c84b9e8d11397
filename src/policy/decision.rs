//! The answer to one call: never a bare yes or no, and always with its reasons.

use crate::record::{ProgramId, ReleasedField};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the policy says about one call at one instant.
///
/// Everything that went wrong on the way shows as [`Status::NotAssessed`] or a gap, and the route is ordinary.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// One status from the closed set.
    pub status: Status,
    /// Where the call should go now. Ordinary for every status but `eligible`.
    pub route: Route,
    /// The rule that decides (or would decide, for the `eligible-*` and `needs-answer` statuses).
    pub rule: Option<String>,
    /// Every exclusion that counts, in order of id.
    pub exclusions: Vec<ExclusionHit>,
    /// Why, as sentences a call-taker can read aloud; the most decisive first. Never empty (invariant I16).
    pub reasons: Vec<Reason>,
    /// Every program considered and why it can or cannot take this call now.
    pub options: Vec<ProgramOption>,
    /// Unknown facts whose answer would change the route, the most decisive first.
    pub questions: Vec<Question>,
    /// The smallest change of facts that would change the route.
    pub nearest_flip: Option<Flip>,
    /// What the legs of the route look like, in the order they are tried. Empty for the ordinary route.
    pub steps: Vec<RouteStep>,
    /// The row allows an offer without a call-taker's key (mode `automatic` only).
    pub automatic: bool,
    /// Follow-ups owed after contact, in the order of the rule.
    #[serde(alias = "follow_up_h")]
    pub follow_up: Vec<FollowUp>,
    /// What could not be learnt on the way here.
    pub gaps: Vec<Gap>,
    /// The exact policy that decided.
    pub policy: Arc<PolicyIdentity>,
}

/// The closed set of statuses, one per call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "name")]
pub enum Status {
    /// The call could not be assessed: the ordinary route, and why.
    NotAssessed {
        /// Short kebab-case reason (`no-call-type`, `call-type-not-in-table`, `no-policy`, `test-record`, …).
        why: String,
    },
    /// An exclusion holds, or no rule takes the call.
    Ineligible {
        /// Row id of the exclusion, or `no-rule`.
        because: String,
    },
    /// The ordinary route until the questions are answered.
    NeedsAnswer,
    /// A rule takes the call; every program in its chain is closed now.
    EligibleOutOfHours,
    /// A rule takes the call; the place is outside every program's area.
    EligibleOutOfArea,
    /// A rule takes the call; no program in its chain has capacity or staff.
    EligibleNoUnit,
    /// A rule takes the call and a program can take it now.
    Eligible,
    /// As `eligible`, but the row or the policy is in shadow: recorded, offered to nobody.
    ShadowEligible,
}

impl Status {
    /// The name in JSON, reports and metrics, without the reason.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotAssessed { .. } => "not-assessed",
            Self::Ineligible { .. } => "ineligible",
            Self::NeedsAnswer => "needs-answer",
            Self::EligibleOutOfHours => "eligible-out-of-hours",
            Self::EligibleOutOfArea => "eligible-out-of-area",
            Self::EligibleNoUnit => "eligible-no-unit",
            Self::Eligible => "eligible",
            Self::ShadowEligible => "shadow-eligible",
        }
    }
}

/// Where a call should go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// Police, fire or EMS as before the product was installed.
    Ordinary,
    /// To this program first; the chain is in [`Decision::steps`].
    Program(ProgramId),
}

/// How a program responds; decides what the built-in safeguards forbid it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramKind {
    /// An unarmed community team.
    Community,
    /// A clinician or worker together with an officer.
    CoResponse,
    /// A phone line; nobody is sent.
    Phone,
    /// A liaison that calls the reporter back; no automatic response.
    Liaison,
    /// Police in a community role.
    PoliceCommunity,
}

impl ProgramKind {
    /// True where no officer is part of the response.
    #[must_use]
    pub fn unaccompanied(self) -> bool {
        matches!(self, Self::Community | Self::Phone | Self::Liaison)
    }
}

/// One follow-up that is owed after contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenFollowUp")]
pub struct FollowUp {
    /// Hours after contact from which it may be done; 0: at once.
    pub after_h: u32,
    /// Hours after contact within which it is owed.
    pub within_h: u32,
    /// The program that owes it; `None`: the one that had the contact.
    pub by: Option<ProgramId>,
}

/// A follow-up as journals hold it: the first ones stated the hours alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenFollowUp {
    Hours(u32),
    Whole { after_h: u32, within_h: u32, by: Option<ProgramId> },
}

impl From<WrittenFollowUp> for FollowUp {
    fn from(written: WrittenFollowUp) -> Self {
        match written {
            WrittenFollowUp::Hours(within_h) => Self { after_h: 0, within_h, by: None },
            WrittenFollowUp::Whole { after_h, within_h, by } => Self { after_h, within_h, by },
        }
    }
}

/// One step of a route: one leg, or several offered at once (a broadcast, or a tandem: see [`LegPlan::together`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteStep {
    /// The legs of this step; exactly one unless broadcast or tandem.
    pub legs: Vec<LegPlan>,
}

/// How one program is to be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegPlan {
    /// The program.
    pub program: ProgramId,
    /// Its title, for people.
    pub title: String,
    /// Its kind at the time of the decision (crew phases change it).
    pub kind: ProgramKind,
    /// Channel name (`webhook`, `warm-transfer`, …), resolved to an address by the configuration.
    pub channel: String,
    /// Seconds from the durable offer to the accept deadline (i3: ring-no-answer timer).
    pub accept_deadline_s: u32,
    /// How often the offer is tried on the channel before it counts as unreachable, at least 1.
    pub attempts: u32,
    /// The fields this destination may see; everything else is withheld.
    pub release: Vec<ReleasedField>,
    /// Minutes within which the destination must call the reporter back, where obliged.
    pub call_back_within_min: Option<u32>,
    /// A tandem: these programs must all accept, else the step fails; the first leads and owns the call. Empty for a
    /// leg that stands alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub together: Vec<ProgramId>,
    /// A referral: offered only where this program has declined the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referred_by: Option<ProgramId>,
    /// Where the call stands in the order of the program's queue, for programs that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueuePlace>,
}

/// Where a call stands in the order of a program's queue: a lower place is taken first, whoever came first within it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePlace {
    /// From 1, the first.
    pub place: u32,
    /// Places that the queue has; the last is for every call that no entry names.
    pub of: u32,
    /// Why, in the policy's words; `None` in the last place.
    pub because: Option<String>,
}

/// An exclusion that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExclusionHit {
    /// Row id; built-in safeguards are `built-in.<name>`.
    pub id: String,
    /// Why, in the policy's words.
    pub because: String,
    /// Source of the row.
    pub cite: Option<String>,
    /// True where it holds only because these facts are unknown.
    pub for_want_of: Vec<String>,
    /// The co-response program it sends to instead of the ordinary route, if it does.
    pub send: Option<ProgramId>,
    /// Whom it bars, where it leaves the others of a chain. `None`: every program but the one it sends to; a built-in
    /// safeguard bars whoever comes without an officer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bars: Option<BarredPrograms>,
}

/// Whom an exclusion bars.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BarredPrograms {
    /// These, in order of id.
    pub programs: Vec<ProgramId>,
    /// And whoever comes without an officer.
    pub unaccompanied: bool,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Row id or a kebab-case code (`no-rule`, `out-of-hours`, …): what reports count by.
    pub code: String,
    /// The sentence, in the policy's words.
    pub text: String,
    /// Source of the rule.
    pub cite: Option<String>,
}

/// A program considered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramOption {
    /// The program.
    pub program: ProgramId,
    /// Its title.
    pub title: Arc<str>,
    /// True where it can take this call now.
    pub can_take: bool,
    /// Kebab-case code: `can-take`, `out-of-hours`, `out-of-area`, `no-unit`, `no-decider`, `excluded`, `no-rule`,
    /// `needs-answer`, `missing-field`, `officer-needed`.
    pub code: Cow<'static, str>,
    /// The sentence (`opens Tuesday 16:00`).
    pub why: Cow<'static, str>,
    /// Next opening, where closed.
    pub opens_at: Option<Timestamp>,
}

/// A question whose answer would change the route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The fact asked for.
    pub fact: String,
    /// The question by language tag (`en`, `fr`).
    pub ask: Arc<BTreeMap<String, String>>,
    /// The answers, in the fact's order.
    pub values: Arc<[String]>,
    /// For each answer, true where it would open a fourth-option route (with all else as it stands).
    pub opens: Vec<bool>,
}

/// The smallest change of facts that would change the route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flip {
    /// Fact, value now, value needed.
    pub changes: Vec<FlipChange>,
    /// Where the call would then go.
    pub route: Route,
}

/// One changed fact of a flip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlipChange {
    /// The fact.
    pub fact: String,
    /// Its value now (`unknown` included).
    pub from: String,
    /// The value that would flip the route.
    pub to: String,
}

/// Something that could not be learnt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The fact concerned.
    pub fact: String,
    /// Kebab-case reason (`call-type-not-in-table`, `location-outside-every-zone`, `value-out-of-domain`, …).
    pub why: String,
}

/// The exact policy that decided: enough to re-run the decision years later (invariant I9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyIdentity {
    /// `policy.id`.
    pub id: String,
    /// `policy.revision`.
    pub revision: String,
    /// SHA-256 over every file of the policy folder, lower-case hex.
    pub digest: String,
}

/// What the product does with a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Decide and record, offer nothing.
    Shadow,
    /// The call-taker chooses.
    Advise,
    /// Rows marked `automatic` are offered without a key.
    Automatic,
}
