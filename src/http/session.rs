//! One peer's WebSocket of EIDO conveyance: its subscriptions, what it is told, and what it sends.

use super::State;
use super::conveyance::{ConveyanceSettings, PeerSettings};
use super::limits::{ms, size};
use super::listener::stopped;
use super::told_incident::told;
use crate::call_processing::{CallProblem, IncidentView};
use crate::clock::{monotonic_now, random_bytes};
use crate::incident::{Asked, Incident, Owner, Phase};
use crate::journal::{Entry, Subject};
use crate::policy::Status as Standing;
use crate::record::{Format, IncidentId};
use crate::wire::{
    Cancel, ConveyanceFault, ConveyanceMessage, Ending, Notification, Push, REQUEST_TERMINATED, Receipt, Response,
    Status, Subscribe,
};
use bytes::Bytes;
use futures_util::SinkExt;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};
use tokio_rustls::server::TlsStream;
use tokio_stream::StreamExt;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;

/// Notifications without an answer after which a subscriber counts as gone.
const UNANSWERED_MAX: u32 = 3;
/// EIDOs in one notification, at most.
const NOTIFIED_AT_ONCE_MAX: usize = 64;
/// The answer to a cancellation of what was not asked, by SIP's (RFC 3261 sections 9.2 and 21.4.19). The list of the draft of
/// version 1.1 has neither this nor [`REQUEST_TERMINATED`], and nothing that says the same.
const NO_REQUEST: u16 = 481;
/// Requests for service whose final answer is still owed, at most.
const REQUESTS_MAX: usize = 256;

/// One connection.
pub(super) struct Session {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    peer: PeerSettings,
    settings: Arc<ConveyanceSettings>,
    state: State,
    subscriptions: BTreeMap<String, Subscription>,
    /// Requests for service in hand, by incident: their answer follows from what becomes of the call.
    requests: BTreeMap<IncidentId, String>,
    unanswered: u32,
    sent: u64,
    name: String,
}

struct Subscription {
    /// One incident, or all.
    incident: Option<IncidentId>,
    until: Instant,
}

/// Why a connection ends.
type Ended = &'static str;

impl Session {
    pub(super) fn new(
        socket: WebSocketStream<TlsStream<TcpStream>>,
        peer: PeerSettings,
        settings: Arc<ConveyanceSettings>,
        state: State,
    ) -> Self {
        let name = random_bytes::<8>().map(hex::encode).unwrap_or_else(|_| "connection".to_owned());
        let (subscriptions, requests) = (BTreeMap::new(), BTreeMap::new());
        Self { socket, peer, settings, state, subscriptions, requests, unanswered: 0, sent: 0, name }
    }

    /// Hears and tells until the connection ends; returns why it did.
    pub(super) async fn run(mut self, mut shutdown: watch::Receiver<bool>) -> Ended {
        let mut entries = self.state.desk.subscribe();
        let mut beats = tokio::time::interval(ms(self.settings.limits.event_heartbeat_ms));
        let idle = ms(self.settings.limits.idle_ms);
        let mut heard = monotonic_now();
        loop {
            let ended = tokio::select! {
                biased;
                () = stopped(&mut shutdown) => {
                    self.end_all().await;
                    return "stopped";
                }
                frame = self.socket.next() => match frame {
                    Some(Ok(frame)) => {
                        heard = monotonic_now();
                        self.hear(frame).await
                    }
                    Some(Err(_)) => return "broken",
                    None => return "left",
                },
                entry = entries.recv() => match self.changed(entry, &mut entries) {
                    Some(changed) => self.tell(changed).await,
                    None => return "stopped",
                },
                _ = beats.tick() => {
                    if heard.elapsed() > idle {
                        return "idle";
                    }
                    self.expire().await
                }
            };
            if let Err(why) = ended {
                let _ = tokio::time::timeout(Duration::from_secs(1), self.socket.close(None)).await;
                return why;
            }
        }
    }

    /// The incidents that changed: one notification for each, however many entries there are. `None` at the end.
    fn changed(
        &self,
        first: Result<Arc<Entry>, RecvError>,
        entries: &mut broadcast::Receiver<Arc<Entry>>,
    ) -> Option<BTreeSet<IncidentId>> {
        let mut changed = BTreeSet::new();
        let mut next = match first {
            Ok(entry) => Ok(entry),
            // What was missed is told by the state as it is: a subscriber wants where things stand, not their history.
            Err(RecvError::Lagged(_)) => return Some(self.open_incidents()),
            Err(RecvError::Closed) => return None,
        };
        loop {
            match next {
                Ok(entry) => {
                    if let Subject::Incident(incident) = &entry.subject {
                        changed.insert(incident.clone());
                    }
                }
                Err(TryRecvError::Lagged(_)) => return Some(self.open_incidents()),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return Some(changed),
            }
            next = entries.try_recv();
        }
    }

    fn open_incidents(&self) -> BTreeSet<IncidentId> {
        self.state.desk.open_incidents().iter().map(|view| view.incident.id.clone()).collect()
    }

    async fn send(&mut self, message: &ConveyanceMessage) -> Result<(), Ended> {
        // A subscriber that does not read holds up nobody but itself.
        let stall = ms(self.settings.limits.write_stall_ms);
        match tokio::time::timeout(stall, self.socket.send(Frame::text(message.text()))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err("broken"),
            Err(_) => Err("write-stalled"),
        }
    }

    async fn hear(&mut self, frame: Frame) -> Result<(), Ended> {
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Ping(_) | Frame::Pong(_) | Frame::Close(_) | Frame::Frame(_) => return Ok(()),
            Frame::Binary(_) => return Err("not-text"),
        };
        let message = match ConveyanceMessage::read(text.as_str()) {
            Ok(message) => message,
            Err(ConveyanceFault::Malformed | ConveyanceFault::Identifier | ConveyanceFault::TooMany) => {
                return Err("malformed");
            }
        };
        match message {
            ConveyanceMessage::Subscribe(asked) => self.subscribe(asked).await,
            ConveyanceMessage::Unsubscribe(ending) => self.unsubscribe(ending).await,
            ConveyanceMessage::Event(event) => self.records(event).await,
            ConveyanceMessage::RequestForService(push) => self.service(push).await,
            ConveyanceMessage::RequestAwareness(push) => {
                let (code, words) = match self.receive(push.eido, None).await {
                    Ok(_) => (200, "OK"),
                    Err(refusal) => refusal,
                };
                self.respond(push.request_id, code, words).await
            }
            ConveyanceMessage::EventResponse(_) => {
                self.unanswered = 0;
                Ok(())
            }
            ConveyanceMessage::CancelRequest(cancel) => self.cancel(cancel).await,
            // We are nobody's subscriber.
            other @ ConveyanceMessage::Terminate(_) => match other.not_implemented() {
                Some(answer) => self.send(&answer).await,
                None => Ok(()),
            },
            ConveyanceMessage::SubscribeResponse(_)
            | ConveyanceMessage::UnsubscribeResponse(_)
            | ConveyanceMessage::TerminateResponse(_)
            | ConveyanceMessage::Response(_) => Ok(()),
        }
    }

    async fn respond(&mut self, request_id: String, response_code: u16, words: &str) -> Result<(), Ended> {
        let response_text = words.to_owned();
        self.send(&ConveyanceMessage::Response(Response { request_id, response_code, response_text })).await
    }

    async fn subscribe(&mut self, asked: Subscribe) -> Result<(), Ended> {
        let answer = |code: u16, words: &str, of: Option<(String, u64)>| {
            let (subscription_id, expires) = of.unzip();
            let (request_id, status_text) = (Some(asked.request_id.clone()), words.to_owned());
            let status = Status { request_id, subscription_id, expires, status_code: code, status_text };
            ConveyanceMessage::SubscribeResponse(status)
        };
        let span = asked.expires.unwrap_or(u64::MAX).min(self.settings.expires_max_s.into()).max(1);
        let until = monotonic_now() + Duration::from_secs(span);
        if let Some(renewed) = &asked.subscription_id {
            let message = match self.subscriptions.get_mut(renewed) {
                Some(subscription) => {
                    subscription.until = until;
                    answer(200, "OK", Some((renewed.clone(), span)))
                }
                None => answer(481, "no such subscription", None),
            };
            return self.send(&message).await;
        }
        let incident = match self.acceptable(&asked).await {
            Ok(incident) => incident,
            Err((code, words)) => return self.send(&answer(code, words, None)).await,
        };
        self.sent = self.sent.saturating_add(1);
        let id = format!("{}-{}", self.name, self.sent);
        self.send(&answer(200, "OK", Some((id.clone(), span)))).await?;
        let at_once = incident.clone().map_or_else(|| self.open_incidents(), |one| BTreeSet::from([one]));
        self.subscriptions.insert(id.clone(), Subscription { incident, until });
        // Where things stand now; an empty notification where nothing matches.
        let views = self.views(&at_once).await;
        self.notify(&id, &views).await
    }

    /// The incident that is asked for (`None`: all), or why not.
    async fn acceptable(&self, asked: &Subscribe) -> Result<Option<IncidentId>, (u16, &'static str)> {
        if self.peer.release.is_none() {
            return Err((403, "this peer may not subscribe"));
        }
        if asked.request_type.as_deref() != Some("EIDO") {
            return Err((400, "requestType is EIDO"));
        }
        match (&asked.qual_filter, &asked.incident_id) {
            (Some(_), Some(_)) => return Err((400, "qualFilter must not stand beside incidentId")),
            // Passing over a filter would tell more than was asked for, or less. No published text says how one is written.
            (Some(_), None) => {
                return Err((406, "qualFilter: no filter is known here, for its grammar is not published"));
            }
            (None, _) => {}
        }
        if self.subscriptions.len() >= size(self.settings.subscriptions_max) {
            return Err((503, "too many subscriptions"));
        }
        match (asked.request_sub_type.as_deref(), &asked.incident_id) {
            (Some("new"), None) => Ok(None),
            (Some("single"), Some(named)) => {
                let incident = IncidentId::new(own_name(named));
                match self.state.desk.view(&incident).await {
                    Ok(_) => Ok(Some(incident)),
                    Err(_) => Err((404, "no such incident")),
                }
            }
            (Some("single"), None) => Err((400, "single needs incidentId")),
            (_, _) => Err((406, "requestSubType is new, or single with incidentId")),
        }
    }

    async fn unsubscribe(&mut self, ending: Ending) -> Result<(), Ended> {
        let known = self.subscriptions.remove(&ending.subscription_id).is_some();
        let (status_code, words) = if known { (200, "OK") } else { (481, "no such subscription") };
        let status = Status {
            request_id: Some(ending.request_id),
            subscription_id: Some(ending.subscription_id),
            expires: None,
            status_code,
            status_text: words.to_owned(),
        };
        self.send(&ConveyanceMessage::UnsubscribeResponse(status)).await
    }

    /// Records that the peer sends as notifications.
    async fn records(&mut self, event: Notification) -> Result<(), Ended> {
        let (mut status_code, mut words) = (200, "OK");
        for eido in event.notification {
            if let Err((code, why)) = self.receive(eido, None).await {
                (status_code, words) = (if code == 403 { 481 } else { code }, why);
            }
        }
        let receipt = Receipt { transaction_id: event.transaction_id, status_code, status_text: words.to_owned() };
        self.send(&ConveyanceMessage::EventResponse(receipt)).await
    }

    /// Another agency asks for service: the call goes the same line as any other, and the answer follows from it.
    async fn service(&mut self, push: Push) -> Result<(), Ended> {
        if self.requests.len() >= REQUESTS_MAX {
            return self.respond(push.request_id, 503, "too many requests in hand").await;
        }
        let asked = Asked { by: self.peer.name.clone(), request: push.request_id.clone() };
        let (incident, standing) = match self.receive(push.eido, Some(asked)).await {
            Ok(received) => received,
            Err((code, words)) => return self.respond(push.request_id, code, words).await,
        };
        match standing {
            Standing::Eligible | Standing::NeedsAnswer => {
                self.requests.insert(incident.clone(), push.request_id.clone());
                self.respond(push.request_id, 182, "queued: a person decides").await?;
                // One that is sent again, after a broken link say, may have been settled meanwhile: nothing will change.
                for view in self.views(&BTreeSet::from([incident])).await {
                    self.settle(&view.incident).await?;
                }
                Ok(())
            }
            Standing::NotAssessed { .. }
            | Standing::Ineligible { .. }
            | Standing::EligibleOutOfHours
            | Standing::EligibleOutOfArea
            | Standing::EligibleNoUnit
            | Standing::ShadowEligible => {
                self.respond(push.request_id, 488, "ordinary route: no team may take this call").await
            }
        }
    }

    /// Whoever asked for service takes it back; 200 means durable. The request is found by the peer and its name for it in
    /// the journal, whatever connection it came over.
    async fn cancel(&mut self, cancel: Cancel) -> Result<(), Ended> {
        let asked = Asked { by: self.peer.name.clone(), request: cancel.request_id.clone() };
        let desk = Arc::clone(&self.state.desk);
        match self.state.to_the_end(async move { Ok(desk.cancel_request(asked).await) }).await {
            Ok(Ok(view)) => {
                self.respond(cancel.request_id.clone(), 200, "taken back").await?;
                if self.requests.get(&view.incident.id) == Some(&cancel.request_id) {
                    self.requests.remove(&view.incident.id);
                    return self.respond(cancel.request_id, REQUEST_TERMINATED, "taken back by whoever asked").await;
                }
                Ok(())
            }
            Ok(Err(CallProblem::NoSuchIncident)) => {
                self.respond(cancel.request_id, NO_REQUEST, "no such request").await
            }
            // A team is there, or another agency has this call too.
            Ok(Err(CallProblem::Refused(_))) => {
                self.respond(
                    cancel.request_id,
                    403,
                    "the request stands: a team is there, or another agency has this call too",
                )
                .await
            }
            Ok(Err(_)) | Err(_) => {
                self.respond(cancel.request_id, 503, "not taken back: nothing can be made durable now").await
            }
        }
    }

    /// One record through the whole line. 2xx to the peer means durable.
    async fn receive(
        &self,
        eido: Box<RawValue>,
        asked: Option<Asked>,
    ) -> Result<(IncidentId, Standing), (u16, &'static str)> {
        let sender = self.peer.sender.clone().ok_or((403, "this peer may send no records"))?;
        let (desk, bytes) = (Arc::clone(&self.state.desk), Bytes::from(String::from(Box::<str>::from(eido))));
        let line = async move {
            match asked {
                Some(asked) => desk.receive_request(bytes, Some(Format::EidoJson), &sender, asked).await,
                None => desk.receive(bytes, Some(Format::EidoJson), &sender).await,
            }
        };
        match self.state.to_the_end(line).await {
            Ok(answer) => Ok((answer.incident, answer.decision.status.clone())),
            Err(problem) => Err(match problem.status() {
                413 => (413, "too large"),
                400..500 => (400, "not an EIDO that can be read"),
                _ => (503, "not taken: keep the call on the ordinary route"),
            }),
        }
    }

    async fn views(&self, incidents: &BTreeSet<IncidentId>) -> Vec<IncidentView> {
        let mut views = Vec::new();
        for incident in incidents {
            // One that cannot be read now is told at its next change.
            views.extend(self.state.desk.view(incident).await.ok());
        }
        views
    }

    async fn notify(&mut self, subscription: &str, views: &[IncidentView]) -> Result<(), Ended> {
        let release = self.peer.release.clone().unwrap_or_default();
        let now = self.state.desk.clock().now();
        let eidos: Vec<_> = views.iter().filter_map(|view| told(view, &release, &self.settings, now)).collect();
        let mut parts = eidos.chunks(NOTIFIED_AT_ONCE_MAX).map(<[_]>::to_vec).collect::<Vec<_>>();
        if parts.is_empty() {
            parts.push(Vec::new());
        }
        for notification in parts {
            if self.unanswered >= UNANSWERED_MAX {
                return Err("unanswered");
            }
            self.unanswered = self.unanswered.saturating_add(1);
            self.sent = self.sent.saturating_add(1);
            let transaction_id = format!("{}-{}", self.name, self.sent);
            let subscription_id = subscription.to_owned();
            let event = Notification { subscription_id, transaction_id, notification };
            self.send(&ConveyanceMessage::Event(event)).await?;
        }
        Ok(())
    }

    /// Tells every subscriber of this connection what changed, and answers requests for service that are settled.
    async fn tell(&mut self, changed: BTreeSet<IncidentId>) -> Result<(), Ended> {
        let wanted: Vec<(String, Option<IncidentId>)> =
            self.subscriptions.iter().map(|(id, one)| (id.clone(), one.incident.clone())).collect();
        if wanted.is_empty() && self.requests.is_empty() {
            return Ok(());
        }
        let views = self.views(&changed).await;
        for view in &views {
            self.settle(&view.incident).await?;
        }
        for (subscription, one) in wanted {
            let of_it = |view: &&IncidentView| one.as_ref().is_none_or(|one| *one == view.incident.id);
            let matching: Vec<IncidentView> = views.iter().filter(of_it).cloned().collect();
            if !matching.is_empty() {
                self.notify(&subscription, &matching).await?;
            }
            // A single incident that is over has had its last state.
            if one.is_some() && matching.iter().any(|view| view.incident.phase == Phase::Closed) {
                self.end(&subscription).await?;
            }
        }
        Ok(())
    }

    /// Gives the final answer to a request for service, once there is one.
    async fn settle(&mut self, incident: &Incident) -> Result<(), Ended> {
        if let Some((code, words)) = settled(incident)
            && let Some(request) = self.requests.remove(&incident.id)
        {
            self.respond(request, code, words).await?;
        }
        Ok(())
    }

    /// Ends what has expired, and lets the peer show that it lives.
    async fn expire(&mut self) -> Result<(), Ended> {
        let now = monotonic_now();
        let expired: Vec<String> =
            self.subscriptions.iter().filter(|(_, one)| one.until <= now).map(|(id, _)| id.clone()).collect();
        for subscription in expired {
            self.end(&subscription).await?;
        }
        let stall = ms(self.settings.limits.write_stall_ms);
        match tokio::time::timeout(stall, self.socket.send(Frame::Ping(Bytes::new()))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err("broken"),
            Err(_) => Err("write-stalled"),
        }
    }

    async fn end(&mut self, subscription: &str) -> Result<(), Ended> {
        self.subscriptions.remove(subscription);
        self.sent = self.sent.saturating_add(1);
        let request_id = format!("{}-{}", self.name, self.sent);
        self.send(&ConveyanceMessage::Terminate(Ending { request_id, subscription_id: subscription.to_owned() })).await
    }

    async fn end_all(&mut self) {
        let all: Vec<String> = self.subscriptions.keys().cloned().collect();
        for subscription in all {
            if self.end(&subscription).await.is_err() {
                return;
            }
        }
        let _ = tokio::time::timeout(Duration::from_secs(1), self.socket.close(None)).await;
    }
}

/// Our own name of an incident, alone or inside an incident tracking identifier.
fn own_name(named: &str) -> &str {
    let inside = named.strip_prefix("urn:emergency:uid:incidentid:").and_then(|rest| rest.split(':').next());
    inside.unwrap_or(named)
}

/// The final answer to a request for service, once there is one.
fn settled(incident: &Incident) -> Option<(u16, &'static str)> {
    match (&incident.owner, incident.phase) {
        (Owner::Team(_), _) => Some((200, "a team has accepted")),
        (Owner::Psap, Phase::Closed) => Some((603, "the call has ended without a team")),
        (Owner::Psap, Phase::Ordinary) if incident.settled => Some((603, "ordinary route: no team took this call")),
        (Owner::Psap, Phase::Assessed | Phase::Ordinary | Phase::Offered | Phase::WithTeam) => None,
    }
}
