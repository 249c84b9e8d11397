//! The pages' event stream: which call changed and how, never what is in it. A page asks for its fragment again.

use super::PageState;
use super::session::IdHash;
use super::visitor::{CallTaking, Duty, Entrant, Recognised, Visitor};
use crate::call_processing::Desk;
use crate::incident::Event;
use crate::journal::{Entry, Stored, Subject};
use crate::record::{IncidentId, ProgramId};
use axum::Router;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{self, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

/// Entries sent again after a reconnect at most; one further behind is told to look at everything anew.
const RESUMED_MAX: usize = 500;
/// Seconds between signs of life; also how soon a stream notices that its session has ended.
const ALIVE_S: u64 = 10;
/// Messages waiting for a slow reader at most; then its stream ends and it reconnects.
const WAITING_MAX: usize = 64;

/// The route.
pub fn routes() -> Router<PageState> {
    Router::new().route("/events", get(stream))
}

/// What one message says. No personal data; an evaluator is not even told which call.
#[derive(Debug, Serialize)]
struct Message<'a> {
    sequence: u64,
    incident: Option<&'a str>,
    event: &'a str,
}

async fn stream(State(state): State<PageState>, entrant: Entrant<Recognised>, headers: HeaderMap) -> Response {
    let Ok(place) = Arc::clone(&state.streams).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "10")]).into_response();
    };
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse::<u64>().ok());
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let reader = Reader::of(entrant.0);
    tokio::spawn(async move {
        let _place = place;
        let _closed = run(&state, &reader, last, &sender).await;
    });
    let messages = ReceiverStream::new(receiver);
    let messages = tokio_stream::StreamExt::map(messages, Ok::<_, Infallible>);
    Sse::new(messages).into_response()
}

/// Whose stream it is: decides which calls it hears of.
struct Reader {
    session: Option<IdHash>,
    every_call: bool,
    programs: Vec<ProgramId>,
}

impl Reader {
    fn of(visitor: Visitor) -> Self {
        let every_call = visitor.plays_every_team() || CallTaking::allows(&visitor);
        Self { session: visitor.session, every_call, programs: visitor.programs() }
    }

    /// The incident to name in a message: any to a call-taker, their own to a team, none to an evaluator.
    /// `None` where a team is not to hear of it at all.
    async fn hears<'a>(&self, desk: &Desk, incident: &'a IncidentId) -> Option<Option<&'a str>> {
        if self.every_call {
            return Some(Some(incident.as_str()));
        }
        if self.programs.is_empty() {
            return Some(None);
        }
        let view = desk.view(incident).await.ok()?;
        let own = view.incident.legs.iter().any(|leg| self.programs.contains(&leg.plan.program));
        own.then_some(Some(incident.as_str()))
    }
}

/// The stream has no reader any more.
struct Gone;

async fn run(state: &PageState, reader: &Reader, last: Option<u64>, to: &mpsc::Sender<sse::Event>) -> Result<(), Gone> {
    // Subscribed before the journal is read, so that nothing falls between the two.
    let mut live = state.desk.subscribe();
    let mut stopping = state.stopping.clone();
    let mut sent = last.unwrap_or(0);
    send(to, sse::Event::default().retry(Duration::from_secs(2)).comment("open")).await?;
    if let Some(last) = last {
        match state.desk.journal().read_after(last, RESUMED_MAX).await {
            Ok(missed) if missed.len() < RESUMED_MAX => {
                for entry in &missed {
                    tell(state, reader, entry, to).await?;
                    sent = entry.sequence;
                }
            }
            _ => send(to, again()).await?,
        }
    }
    let mut alive = tokio::time::interval(Duration::from_secs(ALIVE_S));
    loop {
        tokio::select! {
            entry = live.recv() => match entry {
                Ok(entry) if entry.sequence > sent => {
                    tell(state, reader, &entry, to).await?;
                    sent = entry.sequence;
                }
                // Journaled apart while the database is away: the fragments show it, the order has no place for it yet.
                Ok(entry) if entry.sequence == 0 => send(to, again()).await?,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => send(to, again()).await?,
                Err(RecvError::Closed) => return Ok(()),
            },
            _ = alive.tick() => {
                let now = state.doors.clock.now();
                if reader.session.is_some_and(|session| state.doors.sessions.identity(&session, now).is_none()) {
                    return Ok(());
                }
                send(to, sse::Event::default().comment("alive")).await?;
            }
            () = stopped(&mut stopping) => return Ok(()),
            () = to.closed() => return Ok(()),
        }
    }
}

/// Waits until the adapter stops; for ever where nobody can say so any more.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    if stopping.wait_for(|stopping| *stopping).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Says: something was missed, ask for every fragment again.
fn again() -> sse::Event {
    sse::Event::default().event("again").data("{}")
}

async fn tell(state: &PageState, reader: &Reader, entry: &Entry, to: &mpsc::Sender<sse::Event>) -> Result<(), Gone> {
    let (Subject::Incident(incident), Stored::Incident(event)) = (&entry.subject, &entry.stored) else { return Ok(()) };
    let Some(incident) = reader.hears(&state.desk, incident).await else { return Ok(()) };
    let message = Message { sequence: entry.sequence, incident, event: event_name(event) };
    let data = serde_json::to_string(&message).unwrap_or_default();
    send(to, sse::Event::default().id(entry.sequence.to_string()).data(data)).await
}

async fn send(to: &mpsc::Sender<sse::Event>, event: sse::Event) -> Result<(), Gone> {
    to.send(event).await.map_err(|_| Gone)
}

/// An event's wire name (`schemas/journal/`).
#[must_use]
pub fn event_name(event: &Event) -> &'static str {
    match event {
        Event::RecordReceived(_) => "record-received",
        Event::Assessed { .. } => "assessed",
        Event::AnswerGiven { .. } => "answer-given",
        Event::Chosen { .. } => "chosen",
        Event::OrdinaryChosen { .. } => "ordinary-chosen",
        Event::Offered { .. } => "offered",
        Event::Delivered { .. } => "delivered",
        Event::Undeliverable { .. } => "undeliverable",
        Event::Redriven { .. } => "redriven",
        Event::Accepted { .. } => "accepted",
        Event::Declined { .. } => "declined",
        Event::TimedOut { .. } => "timed-out",
        Event::Withdrawn { .. } => "withdrawn",
        Event::AnsweredLate { .. } => "answered-late",
        Event::TeamMoved { .. } => "team-moved",
        Event::BackupRequested { .. } => "backup-requested",
        Event::HazardReported { .. } => "hazard-reported",
        Event::HandedOn { .. } => "handed-on",
        Event::StoodBack { .. } => "stood-back",
        Event::Cleared { .. } => "cleared",
        Event::ReturnedToOrdinary { .. } => "returned-to-ordinary",
        Event::UnitSeen { .. } => "unit-seen",
        Event::Closed { .. } => "closed",
        Event::DutyOpened { .. } => "duty-opened",
        Event::DutyOverdue { .. } => "duty-overdue",
        Event::DutyClosed { .. } => "duty-closed",
        Event::KeptApart { .. } => "kept-apart",
    }
}
