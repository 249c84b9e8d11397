//! Carries out effects: offers, withdrawals and stand-backs to teams, and notices to the CAD.
//!
//! Delivery is at least once and every message carries an idempotency key that never changes, so that its effect is
//! once (I7). Every message ends in *delivered* or *undeliverable*, and that is reported (I16). Nothing here decides.

mod cad_writeback;
mod carriers;
mod client;
mod contacts;
mod conveyance;
mod eido_offer;
mod email;
mod health;
mod messages;
mod names;
mod notice;
mod outbox;
mod retry;
mod settings;
mod webhook;

#[cfg(test)]
mod tests;

pub use carriers::Carriers;
pub use client::ClientFault;
pub use contacts::{ContactState, TestPeriod};
pub use conveyance::PeerAnswer;
pub use email::{MailAddress, MailSecurity, MailSettings};
pub use health::BreakerState;
pub use notice::PhoneNumber;
pub use outbox::{DestinationState, Outbox, OutboxHandle};
pub use settings::{
    Address, CadSettings, ChannelKind, ChannelSettings, ConveyanceSettings, DestinationSettings, GatewayBody, Secret,
    Settings, SmsSettings,
};
pub use webhook::{SignatureFault, sign, verify};

use crate::journal::Pending;
use crate::record::{IncidentId, LegId};

/// Told how each message ended. The app implements it over the desk, which journals it.
pub trait Outcomes: Send + Sync {
    /// The destination has taken the message (2xx).
    fn delivered(&self, incident: &IncidentId, key: &str) -> Pending<'_, ()>;

    /// The message was given up. `why` is kebab-case: `no-such-channel`, `refused-422`, `attempts-exhausted`,
    /// `deadline-passed`, `retry-time-exhausted`, `superseded`, `queue-full`, `destination-down`, `no-cad`, `no-record`, `too-large`.
    fn undeliverable(&self, incident: &IncidentId, key: &str, why: &str) -> Pending<'_, ()>;

    /// A destination that answers offers itself has answered this one, or its recall. Whether the leg is its own is the
    /// implementation's to see. `code` is what the answer was read from.
    fn answered(&self, destination: &str, leg: &LegId, answer: PeerAnswer, code: u16) -> Pending<'_, ()>;
}
