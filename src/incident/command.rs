//! What is asked of an incident, and why it may be refused.

use super::duty::DutyOutcome;
use super::event::{Actor, ApartEntry, Asked, BackupService, DeclineCause, Disposition, Party, RecordReceived};
use crate::facts::Facts;
use crate::policy::{Decision, ProgramKind, RouteStep};
use crate::record::{DutyId, IncidentId, LegId, TimePoint, UnitStatus};
use std::sync::Arc;

/// A request to the state machine. Facts and decisions are computed by the caller (they are pure) and handed in,
/// so that one command is one atomic append.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A record came; assessed on the merged facts.
    Receive {
        /// The record's event form.
        received: Box<RecordReceived>,
        /// Unit statuses the record shows.
        units: Vec<UnitStatus>,
        /// Merged facts after this record.
        facts: Facts,
        /// The decision on them.
        decision: Arc<Decision>,
    },
    /// Whoever asked for service takes it back.
    CancelRequest {
        /// The request.
        asked: Asked,
    },
    /// A call-taker answered a question; re-assessed.
    Answer {
        /// The fact.
        fact: String,
        /// The value.
        value: String,
        /// Who.
        by: Actor,
        /// Merged facts after the answer.
        facts: Facts,
        /// The decision on them.
        decision: Arc<Decision>,
    },
    /// The call-taker accepts the recommendation as it stands (ordinary or fourth option).
    AcceptRecommendation {
        /// Who.
        by: Actor,
    },
    /// The call-taker sends the call the ordinary way; always allowed while the call is open.
    OverrideToOrdinary {
        /// Who.
        by: Actor,
        /// Why: required where the recommendation was a program.
        reason: Option<String>,
    },
    /// The call-taker sends the call to programs although the recommendation says otherwise.
    /// Refused where an exclusion counts.
    OverrideToPrograms {
        /// Who.
        by: Actor,
        /// Why.
        reason: String,
        /// The steps.
        steps: Vec<RouteStep>,
    },
    /// A team accepts.
    AcceptLeg {
        /// The leg.
        leg: LegId,
        /// Who.
        by: Actor,
    },
    /// A team declines.
    DeclineLeg {
        /// The leg.
        leg: LegId,
        /// Why.
        cause: DeclineCause,
        /// Who.
        by: Actor,
    },
    /// The owning team moves: `en-route`, `on-scene`, `with-person`.
    MoveLeg {
        /// The leg.
        leg: LegId,
        /// Which.
        status: TimePoint,
        /// Who.
        by: Actor,
    },
    /// The owning team is done.
    ClearLeg {
        /// The leg.
        leg: LegId,
        /// What came of it.
        disposition: Disposition,
        /// By whom, or to whom: [`Disposition::parties`].
        party: Option<Party>,
        /// Who.
        by: Actor,
    },
    /// The owning team hands the call back to the PSAP.
    ReturnLeg {
        /// The leg.
        leg: LegId,
        /// Kebab-case reason.
        why: String,
        /// Who.
        by: Actor,
    },
    /// The owning phone team hands the call on to the next step of the chain.
    HandOnLeg {
        /// The leg.
        leg: LegId,
        /// Who.
        by: Actor,
    },
    /// The owning phone team, a second decider, answers a question; re-assessed.
    AnswerOnLeg {
        /// The leg.
        leg: LegId,
        /// The fact.
        fact: String,
        /// The value.
        value: String,
        /// Who.
        by: Actor,
        /// Merged facts after the answer.
        facts: Facts,
        /// The decision on them.
        decision: Arc<Decision>,
    },
    /// A recalled team has heard it.
    AcknowledgeRecall {
        /// The leg.
        leg: LegId,
        /// Who.
        by: Actor,
    },
    /// A person at the PSAP has the call that came back.
    AcknowledgeReturn {
        /// Who.
        by: Actor,
    },
    /// A person says how something owed has ended.
    CloseDuty {
        /// Which.
        duty: DutyId,
        /// How.
        outcome: DutyOutcome,
        /// Who.
        by: Actor,
    },
    /// Back-up. Never refused.
    Backup {
        /// The leg, where a team asks.
        leg: Option<LegId>,
        /// Which service.
        service: BackupService,
        /// True where the team asks.
        team_requested: bool,
        /// Who.
        by: Actor,
    },
    /// A team reports a hazard; re-assessed.
    ReportHazard {
        /// The leg.
        leg: LegId,
        /// The fact raised.
        fact: String,
        /// Its value.
        value: String,
        /// Who.
        by: Actor,
        /// Merged facts.
        facts: Facts,
        /// The decision on them.
        decision: Arc<Decision>,
    },
    /// The outbox carried an effect out.
    EffectDelivered {
        /// Its key.
        key: String,
    },
    /// The outbox gave an effect up.
    EffectUndeliverable {
        /// Its key.
        key: String,
        /// Kebab-case reason.
        why: String,
    },
    /// An operator wants an effect that was given up carried out once more. Offers are refused: their call has moved on.
    Redrive {
        /// Its key.
        key: String,
        /// Who.
        by: Actor,
    },
    /// A story of this incident that went its own way while the shared journal was away is kept in this one. The facts are
    /// those of before, with every danger that was learnt there; assessed on them where they are news.
    KeepApart {
        /// The name the incident had there.
        incident: IncidentId,
        /// The version after which it went its own way.
        after: u64,
        /// Chain value of its first entry there, lower-case hex.
        first_hash: String,
        /// What was journaled there.
        entries: Vec<ApartEntry>,
        /// Merged facts.
        facts: Facts,
        /// The decision on them.
        decision: Arc<Decision>,
    },
    /// What is known of the incidents that are tied to this one holds for it too; assessed where that is news.
    FollowLinks {
        /// The facts of before, with every danger of theirs.
        facts: Facts,
        /// The decision on them.
        decision: Arc<Decision>,
        /// True where this incident was merged into another that is open: it ends here.
        merged: bool,
    },
    /// Time has passed: whatever deadline is due fires.
    Tick,
}

/// Whether a call may change hands by what is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hands {
    /// It may.
    Free,
    /// It may only come back: what is journaled now, another adapter cannot see, so that an offer or an acceptance here
    /// could meet another one there.
    Bound,
}

/// Why nothing was offered, or nothing could be accepted, while the shared journal was away.
pub(super) const JOURNAL_AWAY: &str = "journal-away";

/// Why an incident that was merged into another is offered to nobody, comes back, or has ended.
pub(super) const MERGED: &str = "merged";

/// Why a command changed nothing, or was recorded but not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The leg is not one of this incident's.
    #[error("no leg of this name")]
    NoSuchLeg,
    /// The leg is no longer the answering team's: timed out, withdrawn, taken by another, or declined.
    #[error("no longer yours: {why}")]
    NoLongerYours {
        /// Kebab-case reason (`timed-out`, `taken-by-other`, `withdrawn`, `declined`, …).
        why: String,
    },
    /// The incident is closed.
    #[error("the incident is closed")]
    Closed,
    /// An exclusion counts: no override can send this call to an unaccompanied team.
    #[error("excluded by `{row}`")]
    Excluded {
        /// The exclusion.
        row: String,
    },
    /// A reason is required for this choice.
    #[error("a reason is required to depart from the recommendation")]
    ReasonRequired,
    /// There is nothing to choose now (already offered, already owned by a team, or in shadow mode).
    #[error("nothing to choose: {why}")]
    NothingToChoose {
        /// Kebab-case reason.
        why: String,
    },
    /// The step does not follow from where the leg stands.
    #[error("the leg is {stands}, it cannot become {asked}")]
    OutOfOrder {
        /// Where the leg stands.
        stands: String,
        /// What was asked.
        asked: String,
    },
    /// Nothing of this kind is owed, or it does not end so.
    #[error("not owed: {why}")]
    NotOwed {
        /// Kebab-case reason (`no-such-duty`, `not-yours`, `already-closed`, `not-this-outcome`, `too-early`,
        /// `not-recalled`, `not-returned`).
        why: String,
    },
    /// The effect is not one that may be carried out once more.
    #[error("not to be sent again: {why}")]
    NotRedriven {
        /// Kebab-case reason: `not-given-up`, `offer-over`, `overtaken`.
        why: &'static str,
    },
    /// A request for service stands: it cannot be taken back alone.
    #[error("the request stands: {why}")]
    NotTakenBack {
        /// Kebab-case reason: `not-asked`, `another-agency`, `team-arrived`.
        why: &'static str,
    },
    /// The program's kind may not take this call.
    #[error("a {kind:?} program may not take this call")]
    KindNotAllowed {
        /// The kind.
        kind: ProgramKind,
    },
}
