//! The composition root: one function builds the adapter; `serve`, `demo` and the tests start the same one.

use crate::access::Access;
use crate::call_processing::Desk;
use crate::clock::Clock;
use crate::commands::BadInput;
use crate::configuration::{Configuration, read_policy_folder};
use crate::handoff::{Outbox, OutboxHandle, Outcomes};
use crate::incident::Command;
use crate::journal::{AdapterEvent, EmbeddedJournal, Journal, Pending, Unavailable};
use crate::policy::{Policy, PolicyFiles};
use crate::record::IncidentId;
use crate::{http, pages, telemetry};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A running adapter.
pub struct Application {
    desk: Arc<Desk>,
    addresses: BTreeMap<&'static str, SocketAddr>,
    stop: watch::Sender<bool>,
    doors: JoinSet<()>,
    background: JoinSet<()>,
    drain: Duration,
}

/// What became of effects goes back to the desk, which journals it.
struct ToDesk(Arc<Desk>);

impl Outcomes for ToDesk {
    fn delivered(&self, incident: IncidentId, key: String) -> Pending<'_, ()> {
        Box::pin(self.report(incident, Command::EffectDelivered { key }))
    }

    fn undeliverable(&self, incident: IncidentId, key: String, why: String) -> Pending<'_, ()> {
        Box::pin(self.report(incident, Command::EffectUndeliverable { key, why }))
    }
}

impl ToDesk {
    async fn report(&self, incident: IncidentId, command: Command) {
        if let Err(problem) = self.0.command(&incident, command).await {
            // The effect stays outstanding and is carried out again after a restart; its key keeps it from acting twice.
            tracing::warn!(%problem, %incident, "the outcome of an effect could not be journaled");
        }
    }
}
