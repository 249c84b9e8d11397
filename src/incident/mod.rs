//! The life after the decision: a pure state machine with legs, owners and deadlines. No socket, no clock, no store.

mod command;
mod effect;
mod event;
mod state;
mod legs;
mod transition;
mod handle;
mod redrive;
mod reassess;
mod words;

pub use command::{Command, Refusal};
pub use effect::{Act, CadNotice, Effect, Outgoing};
pub use event::{
    Actor, AssessmentCause, BackupService, DeclineCause, Disposition, EVENT_VERSION, Event, RecordReceived,
};
pub use state::{GivenUp, Incident, Leg, LegState, Owner, Phase};

#[cfg(test)]
mod tests;
