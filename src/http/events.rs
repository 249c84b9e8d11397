//! `GET /v1/events`: the journal as server-sent events, resumable at any sequence, without personal data.

use super::State;
use super::layers::single;
use super::limits::ms;
use super::listener::stopped;
use super::problem::{self, Problem};
use crate::call_processing::CallProblem;
use crate::incident::Event;
use crate::journal::{Entry, JournalError, Stored, Subject};
use crate::telemetry;
use axum::extract;
use axum::http::HeaderMap;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// Entries read from the journal at a time.
const PAGE: usize = 256;
/// Events waiting for a reader, at most; a slower reader is caught up from the journal.
const WAITING_MAX: usize = 64;

/// `GET /v1/events`.
pub(super) async fn stream(state: extract::State<State>, headers: HeaderMap) -> Result<Response, Problem> {
    let after = resume_after(&headers)?;
    let place = Arc::clone(&state.event_streams).try_acquire_owned().map_err(|_| {
        telemetry::request_shed("intake");
        Problem::new(problem::TOO_BUSY, "too many event streams are open").retry_after_s(5)
    })?;
    let live = state.desk.subscribe();
    let (reader, events) = mpsc::channel(WAITING_MAX);
    let desk = Arc::clone(&state.desk);
    let read = move |after| {
        let desk = Arc::clone(&desk);
        async move { desk.journal().read_after(after, PAGE).await }
    };
    if let Some(after) = after {
        // A journal that cannot be read must show as a status, not as a stream that ends at once.
        let tried = read.clone();
        state.to_the_end(async move { tried(after).await.map_err(CallProblem::from) }).await?;
    }
    let feed = Feed { last: after, dropped: 0, reader, shutdown: state.shutdown.clone() };
    telemetry::event_stream_opened();
    tokio::spawn(async move {
        let _place = place;
        feed.run(read, live).await;
        telemetry::event_stream_ended();
    });
    let events = ReceiverStream::new(events).map(|entry: Arc<Entry>| Ok::<_, Infallible>(event_of(&entry)));
    let beat = KeepAlive::new().interval(ms(state.limits.event_heartbeat_ms)).text("alive");
    Ok(Sse::new(events).keep_alive(beat).into_response())
}

fn resume_after(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    if !headers.contains_key("last-event-id") {
        return Ok(None);
    }
    let given = single(headers, "last-event-id").and_then(|id| id.trim().parse().ok());
    given.map(Some).ok_or_else(|| {
        Problem::new(problem::BAD_REQUEST, "the id of an event is its sequence, a whole number")
            .at("header `Last-Event-ID`")
    })
}

/// Brings one reader every entry after the last it has, in order and once.
struct Feed {
    last: Option<u64>,
    /// Entries dropped before the first was brought.
    dropped: u64,
    reader: mpsc::Sender<Arc<Entry>>,
    shutdown: watch::Receiver<bool>,
}

/// The feed is over: the reader left, the adapter stops, or the journal cannot be read. The reader resumes by itself.
struct Over;

impl Feed {
    async fn run<R, F>(mut self, read: R, mut live: broadcast::Receiver<Arc<Entry>>)
    where
        R: Fn(u64) -> F,
        F: Future<Output = Result<Vec<Entry>, JournalError>>,
    {
        let mut stop = self.shutdown.clone();
        let reader = self.reader.clone();
        let feeding = async {
            if let Some(after) = self.last {
                self.catch_up(&read, after).await?;
            }
            loop {
                match live.recv().await {
                    Ok(entry) => self.bring(&read, entry).await?,
                    // The reader was too slow: what was dropped is in the journal.
                    Err(RecvError::Lagged(dropped)) => match self.last {
                        Some(last) => self.catch_up(&read, last).await?,
                        None => self.dropped += dropped,
                    },
                    Err(RecvError::Closed) => return Err::<(), Over>(Over),
                }
            }
        };
        tokio::select! {
            _over = feeding => {}
            () = reader.closed() => {}
            () = stopped(&mut stop) => {}
        }
    }

    async fn bring<R, F>(&mut self, read: &R, entry: Arc<Entry>) -> Result<(), Over>
    where
        R: Fn(u64) -> F,
        F: Future<Output = Result<Vec<Entry>, JournalError>>,
    {
        match self.last {
            // Journaled apart while the database is away: it has its place in the order when it is brought home.
            _ if entry.sequence == 0 => Ok(()),
            Some(last) if entry.sequence <= last => Ok(()),
            // Entries of several incidents may be announced out of order: the journal has them in order.
            Some(last) if entry.sequence > last + 1 => self.catch_up(read, last).await,
            None if self.dropped > 0 => {
                let before = entry.sequence.saturating_sub(self.dropped + 1);
                self.catch_up(read, before).await
            }
            _ => self.hand_over(entry).await,
        }
    }

    async fn catch_up<R, F>(&mut self, read: &R, mut after: u64) -> Result<(), Over>
    where
        R: Fn(u64) -> F,
        F: Future<Output = Result<Vec<Entry>, JournalError>>,
    {
        loop {
            let page = read(after).await.map_err(|_| Over)?;
            let full = page.len() >= PAGE;
            for entry in page {
                after = entry.sequence;
                self.hand_over(Arc::new(entry)).await?;
            }
            if !full {
                return Ok(());
            }
        }
    }

    async fn hand_over(&mut self, entry: Arc<Entry>) -> Result<(), Over> {
        let sequence = entry.sequence;
        self.reader.send(entry).await.map_err(|_| Over)?;
        self.last = Some(sequence);
        Ok(())
    }
}

fn event_of(entry: &Entry) -> sse::Event {
    let data = data_of(entry);
    let named = sse::Event::default().id(entry.sequence.to_string());
    named.event(data.event.clone()).data(serde_json::to_string(&data).unwrap_or_default())
}

/// What a reader learns of an entry: an allow-list, so that a new member of an event stays here until it is added.
#[derive(Serialize)]
struct Data<'a> {
    sequence: u64,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<&'a str>,
    version: u64,
    event: String,
    #[serde(flatten)]
    more: Value,
}

fn data_of(entry: &Entry) -> Data<'_> {
    let incident = match &entry.subject {
        Subject::Incident(incident) => Some(incident.as_str()),
        Subject::Adapter => None,
    };
    let more = match &entry.stored {
        Stored::Incident(event) => more_of(event),
        Stored::Adapter(_) => json!({}),
    };
    let Entry { sequence, version, .. } = *entry;
    Data { sequence, at: entry.at.to_string(), incident, version, event: name_of(&entry.stored), more }
}

/// The wire name of what is stored: its serialised tag.
fn name_of(stored: &Stored) -> String {
    let tagged = serde_json::to_value(stored).unwrap_or_default();
    tagged.get("event").and_then(Value::as_str).unwrap_or("unknown").to_owned()
}

fn more_of(event: &Event) -> Value {
    match event {
        Event::Assessed { decision, cause, .. } => json!({
            "status": decision.status.name(), "route": decision.route, "rule": decision.rule, "cause": cause,
        }),
        Event::AnswerGiven { fact, .. } => json!({ "fact": fact }),
        Event::Offered { leg, plan, deadline } => {
            json!({ "leg": leg, "program": plan.program, "deadline": deadline })
        }
        Event::Accepted { leg, .. } | Event::HandedOn { leg, .. } | Event::TimedOut { leg } => json!({ "leg": leg }),
        Event::Declined { leg, cause, .. } => json!({ "leg": leg, "cause": cause }),
        Event::Withdrawn { leg, why } | Event::StoodBack { leg, why } => json!({ "leg": leg, "why": why }),
        Event::AnsweredLate { leg, answer } => json!({ "leg": leg, "answer": answer }),
        Event::TeamMoved { leg, status, .. } => json!({ "leg": leg, "team": status }),
        Event::BackupRequested { leg, service, team_requested, .. } => {
            json!({ "leg": leg, "service": service, "team_requested": team_requested })
        }
        Event::HazardReported { leg, fact, .. } => json!({ "leg": leg, "fact": fact }),
        Event::Cleared { leg, disposition, party, .. } => {
            json!({ "leg": leg, "disposition": disposition, "party": party })
        }
        Event::DutyOpened { duty, kind, program, leg, from, due } => {
            json!({ "duty": duty, "owed": kind, "program": program, "leg": leg, "from": from, "due": due })
        }
        Event::DutyOverdue { duty, kind, program } => {
            json!({ "duty": duty, "owed": kind, "program": program, "why": kind.alarm() })
        }
        Event::DutyClosed { duty, kind, outcome, .. } => json!({ "duty": duty, "owed": kind, "outcome": outcome }),
        Event::ReturnedToOrdinary { why, leg } => json!({ "leg": leg, "why": why }),
        Event::Closed { why } => json!({ "why": why }),
        Event::Undeliverable { why, .. } => json!({ "why": why }),
        Event::UnitSeen { status, .. } => json!({ "unit_status": status }),
        Event::KeptApart { entries, .. } => json!({ "entries": entries.len() }),
        Event::RecordReceived(_)
        | Event::Chosen { .. }
        | Event::OrdinaryChosen { .. }
        | Event::Delivered { .. }
        | Event::Redriven { .. } => json!({}),
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
