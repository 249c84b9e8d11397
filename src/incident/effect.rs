//! What must be carried out after an event: the same event always yields the same effects and keys.

use super::duty::DutyKind;
use super::event::BackupService;
use crate::facts::Facts;
use crate::policy::{Decision, LegPlan};
use crate::record::{CallRecord, IncidentId, LegId, ProgramId, TimePoint};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One thing to carry out, at least once, with an idempotency key that never changes.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// Idempotency key: `<incident>.<version of the event>.<what>` ([`Effect::key_of`]).
    pub key: String,
    /// What to do.
    pub act: Act,
}

impl Effect {
    /// The key of an effect: the incident, the version of the event that made it, and what it does
    /// (`offer`, `withdraw`, `stand-back`, `proceed`, `cad`). One event makes at most one effect of a kind.
    ///
    /// `kept_apart` counts the stories that the incident keeps from while the shared journal was away, this event's own
    /// among them: they have made effects under the versions that follow, which must not be taken for these.
    #[must_use]
    pub fn key_of(incident: &IncidentId, version: u64, kept_apart: usize, what: &str) -> String {
        match kept_apart {
            0 => format!("{incident}.{version}.{what}"),
            kept => format!("{incident}.{version}-{kept}.{what}"),
        }
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Offer a leg on its channel.
    Offer {
        /// The leg.
        leg: LegId,
        /// How to ask.
        plan: LegPlan,
        /// The accept deadline; trying past it is pointless.
        deadline: Timestamp,
    },
    /// Tell a team that an offer is taken back, or that its late answer did not win.
    Withdraw {
        /// The leg.
        leg: LegId,
        /// How it was asked.
        plan: LegPlan,
        /// Kebab-case reason.
        why: String,
    },
    /// Tell the owning team to stand back.
    StandBack {
        /// The leg.
        leg: LegId,
        /// How it was asked.
        plan: LegPlan,
        /// Why.
        why: String,
    },
    /// Tell a team that had agreed first that its tandem is whole: go.
    Proceed {
        /// The leg.
        leg: LegId,
        /// How it was asked.
        plan: LegPlan,
    },
    /// Tell the CAD.
    TellCad(CadNotice),
}

impl Act {
    /// The last word of the effect's key.
    #[must_use]
    pub fn what(&self) -> &'static str {
        match self {
            Self::Offer { .. } => "offer",
            Self::Withdraw { .. } => "withdraw",
            Self::StandBack { .. } => "stand-back",
            Self::Proceed { .. } => "proceed",
            Self::TellCad(_) => "cad",
        }
    }
}

/// What the CAD must see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "notice")]
pub enum CadNotice {
    /// A team accepted: it is now the responder.
    TeamAccepted {
        /// The program.
        program: ProgramId,
    },
    /// A team moved.
    TeamMoved {
        /// The program.
        program: ProgramId,
        /// `en-route`, `on-scene`, `with-person`, `cleared`.
        status: TimePoint,
    },
    /// A phone team handed the call on: the next team is being asked, and the PSAP owns the call meanwhile.
    HandedOn {
        /// The program.
        program: ProgramId,
    },
    /// The call is on the ordinary route; send police, fire or EMS as usual.
    OrdinaryRoute {
        /// Kebab-case reason.
        why: String,
    },
    /// Back-up is needed at the incident now.
    Backup {
        /// Which service.
        service: BackupService,
        /// True where a team asked.
        team_requested: bool,
    },
    /// The team is done and the incident can be closed.
    Cleared {
        /// The program.
        program: ProgramId,
        /// Disposition name.
        disposition: String,
        /// APCO ANS 1.111.2-2018 code.
        apco_code: String,
        /// By whom transported, to whom transferred or referred: [`Party::name`](super::Party::name).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        party: Option<String>,
    },
    /// An alarm: something owed is overdue, and somebody must see to it now.
    Overdue {
        /// What.
        duty: DutyKind,
        /// The program that owes it; `None`: the PSAP itself.
        program: Option<ProgramId>,
    },
}

impl CadNotice {
    /// Kebab-case name, as in its JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::TeamAccepted { .. } => "team-accepted",
            Self::TeamMoved { .. } => "team-moved",
            Self::HandedOn { .. } => "handed-on",
            Self::OrdinaryRoute { .. } => "ordinary-route",
            Self::Backup { .. } => "backup",
            Self::Cleared { .. } => "cleared",
            Self::Overdue { .. } => "overdue",
        }
    }
}

/// An effect on its way to the outbox, with what its message may be made of.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The incident.
    pub incident: IncidentId,
    /// What to carry out.
    pub effect: Effect,
    /// The last applied record, where its content is still kept. Personal data: released by the leg's list only.
    pub record: Option<Arc<CallRecord>>,
    /// What is known.
    pub facts: Facts,
    /// The last decision.
    pub decision: Option<Arc<Decision>>,
}
