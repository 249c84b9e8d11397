//! The life after the decision: a pure state machine with legs, owners and deadlines. No socket, no clock, no store.

mod command;
mod effect;
mod event;
mod duty;
mod state;
mod legs;
mod transition;
mod handle;
mod answering;
mod redrive;
mod reassess;
mod words;

pub use command::{Command, Hands, Refusal};
pub use duty::{Bounds, Duty, DutyKind, DutyOutcome, DutyState};
pub use effect::{Act, CadNotice, Effect, Outgoing};
pub use event::{
    Actor, ApartEntry, Asked, AssessmentCause, BackupService, DeclineCause, Disposition, EVENT_VERSION, Event, Party,
    RecordReceived,
};
pub use state::{GivenUp, Incident, Leg, LegState, Owner, Phase};

#[cfg(test)]
mod tests;
