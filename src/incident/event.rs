//! What has happened to an incident: past tense, versioned, free of personal data.

use super::duty::{Bounds, DutyKind, DutyOutcome};
use crate::facts::{ContactTraces, Facts};
use crate::policy::{Decision, LegPlan, Mode, RouteStep};
use crate::record::{
    DutyId, Format, IncidentId, LegId, Lifecycle, ProgramId, RecordIdentity, Related, TimePoint, TimePoints,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The version written beside every stored event; a reader refuses a later one rather than skip it.
pub const EVENT_VERSION: u32 = 1;

/// One event. The wire names are frozen by `schemas/journal/`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A record of this incident was received; the bytes are in the content store under their digest.
    RecordReceived(RecordReceived),
    /// The policy decided on what was known.
    Assessed {
        /// The decision, whole.
        decision: Arc<Decision>,
        /// The facts it was made on.
        facts: Facts,
        /// What made it happen.
        cause: AssessmentCause,
    },
    /// A call-taker answered a question.
    AnswerGiven {
        /// The fact.
        fact: String,
        /// The value given.
        value: String,
        /// Who.
        by: Actor,
    },
    /// The fourth option was chosen: the legs that will be tried.
    Chosen {
        /// The steps, in order.
        steps: Vec<RouteStep>,
        /// Who; [`Actor::Policy`] for automatic rows.
        by: Actor,
        /// Given where the choice departs from the recommendation.
        override_reason: Option<String>,
    },
    /// The ordinary route was chosen by a person.
    OrdinaryChosen {
        /// Who.
        by: Actor,
        /// Given where the choice departs from the recommendation.
        override_reason: Option<String>,
    },
    /// An offer to a program was made; its accept deadline runs from this event.
    Offered {
        /// The leg.
        leg: LegId,
        /// How the program is asked.
        plan: LegPlan,
        /// The accept deadline.
        deadline: Timestamp,
    },
    /// The outbox carried an effect to its destination.
    Delivered {
        /// The effect's idempotency key.
        key: String,
    },
    /// The outbox gave an effect up.
    Undeliverable {
        /// The effect's idempotency key.
        key: String,
        /// Kebab-case reason (`attempts-exhausted`, `refused-422`, `no-such-channel`, …).
        why: String,
    },
    /// An operator had an effect that had been given up carried out once more, under its old key.
    Redriven {
        /// The effect's idempotency key.
        key: String,
        /// Who.
        by: Actor,
    },
    /// A team's acceptance: from here it owns the call. Of a tandem the lead owns it from the second acceptance on.
    Accepted {
        /// The leg.
        leg: LegId,
        /// Who.
        by: Actor,
    },
    /// A team declined.
    Declined {
        /// The leg.
        leg: LegId,
        /// Why, from the closed set.
        cause: DeclineCause,
        /// Who.
        by: Actor,
    },
    /// The accept deadline passed without an answer.
    TimedOut {
        /// The leg.
        leg: LegId,
    },
    /// An open offer was taken back.
    Withdrawn {
        /// The leg.
        leg: LegId,
        /// Kebab-case reason (`taken-by-other`, `hazard`, `overridden`, `cancelled-by-source`, …).
        why: String,
    },
    /// An answer came for a leg that was no longer open; the team was told so.
    AnsweredLate {
        /// The leg.
        leg: LegId,
        /// `accepted` or `declined`.
        answer: String,
    },
    /// The owning team moved: en route, on scene, with person.
    TeamMoved {
        /// The leg.
        leg: LegId,
        /// Which of the three.
        status: TimePoint,
        /// Who.
        by: Actor,
    },
    /// A phone team that had the call handed it on to the next step of the chain; the PSAP owns it meanwhile.
    HandedOn {
        /// The leg.
        leg: LegId,
        /// Who.
        by: Actor,
    },
    /// Back-up was asked for or sent. Never refused.
    BackupRequested {
        /// The leg, where a team is involved.
        leg: Option<LegId>,
        /// Which service.
        service: BackupService,
        /// True where the team asked, false where an operator sent it.
        team_requested: bool,
        /// Who.
        by: Actor,
    },
    /// A team reported a hazard; it only raises.
    HazardReported {
        /// The leg.
        leg: LegId,
        /// The fact raised.
        fact: String,
        /// Its value.
        value: String,
        /// Who.
        by: Actor,
    },
    /// The owning team was told to stand back; the call is the PSAP's again and police are asked for.
    StoodBack {
        /// The leg.
        leg: LegId,
        /// Row id or kebab-case reason.
        why: String,
    },
    /// The owning team is done.
    Cleared {
        /// The leg.
        leg: LegId,
        /// What came of it.
        disposition: Disposition,
        /// By whom it was transported, or to whom transferred or referred, where the team said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        party: Option<Party>,
        /// Who.
        by: Actor,
    },
    /// The call is on the ordinary route again.
    ReturnedToOrdinary {
        /// Kebab-case reason (`no-team-accepted`, `team-returned`, `hazard`, `overridden`, …).
        why: String,
        /// The leg it came back from, if any.
        leg: Option<LegId>,
    },
    /// An ordinary unit's status was first seen in a record of the CAD.
    UnitSeen {
        /// The unit's name.
        unit: String,
        /// The status.
        status: TimePoint,
        /// When the unit took it, by the sender's clock.
        at: Timestamp,
    },
    /// The incident has ended.
    Closed {
        /// Kebab-case reason (`cleared`, `closed-by-source`, `cancelled-by-source`, `merged`).
        why: String,
    },
    /// Somebody owes something from here on; its deadline is stated and never moves.
    DutyOpened {
        /// Its name.
        duty: DutyId,
        /// What is owed.
        kind: DutyKind,
        /// The program that owes it; `None`: the PSAP.
        program: Option<ProgramId>,
        /// The leg it came from, where one did.
        leg: Option<LegId>,
        /// From when it may be done.
        from: Timestamp,
        /// By when it is owed.
        due: Timestamp,
    },
    /// The deadline of something owed has passed: an alarm. It is owed still.
    DutyOverdue {
        /// Which.
        duty: DutyId,
        /// What is owed.
        kind: DutyKind,
        /// The program that owes it; `None`: the PSAP.
        program: Option<ProgramId>,
    },
    /// Something owed has ended.
    DutyClosed {
        /// Which.
        duty: DutyId,
        /// What was owed.
        kind: DutyKind,
        /// How.
        outcome: DutyOutcome,
        /// Whose word; [`Actor::Policy`] where it ended by itself.
        by: Actor,
    },
    /// What an adapter journaled on its own while the shared journal was away, and what does not follow from this story
    /// because it went on elsewhere meanwhile. It is kept here whole and changes no owner.
    KeptApart {
        /// The name the incident had there: another one where the adapter took a known call for a new one.
        incident: IncidentId,
        /// The version of this story after which that one went its own way.
        after: u64,
        /// Chain value of its first entry there, lower-case hex: no two stories share one.
        first_hash: String,
        /// What was journaled there, in order.
        entries: Vec<ApartEntry>,
    },
}

/// One entry of a story that went its own way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApartEntry {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub happened: Event,
}

/// The first event of an incident, and one more for every later record of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordReceived {
    /// Sender, incident and version.
    pub identity: RecordIdentity,
    /// The format recognised.
    pub format: Format,
    /// The time points the sender stated.
    pub times: TimePoints,
    /// What the sender says has become of the incident.
    pub lifecycle: Lifecycle,
    /// Marked as a test: never offered to a team.
    pub test: bool,
    /// How many repairs the decoder made.
    pub repairs: u32,
    /// Mode in force when the record came.
    pub mode: Mode,
    /// False where a newer version of the same sender had been applied before (stored, not applied; invariant I8).
    pub applied: bool,
    /// Keyed hashes of the place and the numbers, where repeat contact is looked for: nothing without the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactTraces>,
    /// How soon people must answer, by the adapter's configuration when the record came. `None` in journals from
    /// before it was watched: then nobody owes an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
    /// Other incidents that the record ties to this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Related>,
    /// The request for service that it came with, where another agency asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
}

/// A request for service of another agency (EIDO conveyance 1.1). Kept with the record, so that whoever asked can take it
/// back by this name, over any connection and after a restart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Asked {
    /// The peer that asked, as the configuration names it.
    pub by: String,
    /// The peer's own name of the request.
    pub request: String,
}

/// What made an assessment happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AssessmentCause {
    /// A record came.
    Record,
    /// A question was answered.
    Answer,
    /// A team reported a hazard.
    Hazard,
    /// A danger is known of an incident that is tied to this one.
    Linked,
}

/// Who did something: a role and an opaque name from the access list, never a person's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// A call-taker's position or login.
    CallTaker(String),
    /// A team's login.
    Team(String),
    /// The policy itself, in automatic mode.
    Policy,
    /// An operator.
    Operator(String),
}

/// Why a team declined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeclineCause {
    /// All crews are on other calls.
    Busy,
    /// The team judges it unsafe.
    Unsafe,
    /// Outside the team's mandate.
    OutOfMandate,
    /// Too far away.
    TooFar,
    /// The team is going off shift.
    EndOfShift,
    /// Known to the team, who will contact the person another way.
    OtherArrangement,
    /// None of these.
    Other,
}

/// A service that back-up comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackupService {
    /// Police.
    Police,
    /// Emergency medical services.
    Ems,
    /// Fire.
    Fire,
}

/// What came of a team's response. The first eleven are the programs' common outcomes; codes of
/// APCO ANS 1.111.2-2018 are given by [`Disposition::apco_code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disposition {
    /// Care given on scene.
    Treated,
    /// Support, supplies, de-escalation or advocacy given.
    Supported,
    /// Resolved by phone.
    ResolvedByPhone,
    /// The person refused service.
    Refused,
    /// The person was not found.
    CouldNotLocate,
    /// The person had left.
    GoneOnArrival,
    /// Another responder was there first.
    OtherResponderFirst,
    /// Cancelled on the way.
    Cancelled,
    /// Taken somewhere by the team.
    Transported,
    /// Handed to another service on scene.
    Transferred,
    /// Referred to a service.
    Referred,
}

/// By whom somebody was transported, or to whom they were transferred or referred: a closed set, since what a team
/// writes could name a person. Which of them go with which disposition: [`Disposition::parties`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// The team itself.
    Team,
    /// Emergency medical services.
    Ems,
    /// Police.
    Police,
    /// Fire.
    Fire,
    /// Another team of this policy.
    OtherTeam,
    /// Family or friends.
    Family,
    /// A taxi, a bus, a ride.
    Ride,
    /// A hospital or its emergency department.
    Hospital,
    /// A crisis, stabilisation or sobering centre.
    CrisisCentre,
    /// A crisis line or 988.
    CrisisLine,
    /// 211 or another information and referral service.
    InformationLine,
    /// Mental-health or substance-use care.
    HealthCare,
    /// A shelter, or housing services.
    Housing,
    /// Income, food and other social services.
    SocialServices,
    /// Another service than these.
    Other,
}
