//! The call-taker's page: one recommendation, the next question, and one key for each thing that can be done.

mod detail;
mod queue;
mod recommendation;
mod standing;

use super::layout::{self, Page};
use super::visitor::{CallTaking, Entrant, Press, Visitor};
use super::{PageState, of_kebab, owed, see, trail, wire_name};
use crate::call_processing::{CallProblem, Choice, IncidentView};
use crate::incident::{Actor, BackupService, Command, Duty, Phase};
use crate::journal::Entry;
use crate::policy::Mode;
use crate::record::{DutyId, IncidentId, ProgramId};
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use maud::{Markup, html};
pub use recommendation::OVERRIDE_REASONS;
use serde::Deserialize;
use standing::{Standing, in_queue_order, seen};

/// The routes: one page to look at, one address for each press.
pub fn routes() -> Router<PageState> {
    Router::new()
        .route("/", get(look))
        .route("/calls/{incident}/answer", post(answer))
        .route("/calls/{incident}/accept", post(accept))
        .route("/calls/{incident}/override", post(choose_otherwise))
        .route("/calls/{incident}/doubt", post(doubt))
        .route("/calls/{incident}/backup", post(backup))
        .route("/duties/{duty}", post(close_duty))
}

/// What the address may ask for.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    call: Option<String>,
    said: Option<String>,
    fragment: Option<String>,
}

async fn look(State(state): State<PageState>, entrant: Entrant<CallTaking>, Query(asked): Query<Asked>) -> Response {
    let visitor = entrant.0;
    let now = state.doors.clock.now();
    let calls = in_queue_order(state.desk.open_incidents());
    let selected = match asked.call.as_deref().and_then(wire_name) {
        // A closed call is still shown to who was looking at it; what never was is not.
        Some(name) => state.desk.view(&IncidentId::new(name)).await.ok(),
        None => calls.first().cloned(),
    };
    let entries = match &selected {
        Some(call) => state.desk.journal().read_incident(&call.incident.id).await.unwrap_or_default(),
        None => Vec::new(),
    };
    let mode = state.desk.policy().map(|policy| policy.mode());
    let owed = state.desk.owed();
    let selected = selected.as_ref();
    let shown = Shown { visitor: &visitor, calls: &calls, selected, entries: &entries, owed: &owed, mode, now };
    match asked.fragment.as_deref() {
        Some("queue") => see(&shown.queue()),
        Some("call") => see(&shown.call()),
        Some(_) => StatusCode::NOT_FOUND.into_response(),
        None => see(&shown.page(asked.said.as_deref(), state.doors.clock.speed())),
    }
}

/// Everything one look at the page is drawn from.
pub struct Shown<'a> {
    /// Who looks.
    pub visitor: &'a Visitor,
    /// The open calls in queue order.
    pub calls: &'a [IncidentView],
    /// The call in the middle.
    pub selected: Option<&'a IncidentView>,
    /// Its entries in the journal.
    pub entries: &'a [Entry],
    /// What is owed on all calls, closed ones too.
    pub owed: &'a [Duty],
    /// The mode of the policy in force; `None` where none is, and every call takes the ordinary route.
    pub mode: Option<Mode>,
    /// Now.
    pub now: Timestamp,
}

impl Shown<'_> {
    fn queue(&self) -> Markup {
        let overdue = owed::overdue(&self.visitor.words, self.owed, self.now);
        let selected = self.selected.map(|call| &call.incident.id);
        queue::queue(&self.visitor.words, self.calls, selected, &overdue, self.now)
    }

    fn call(&self) -> Markup {
        let words = &self.visitor.words;
        let Some(call) = self.selected else {
            return html! { div #call.call.call-none data-fragment="call" { p.empty { (words.t("call.none")) } } };
        };
        let waits = |other: &&IncidentView| {
            Standing::of(&other.incident) == Standing::Choose && other.incident.id != call.incident.id
        };
        let next = self.calls.iter().find(waits).map(|other| other.incident.id.as_str());
        let (trail, alarms) = (trail::trail(words, self.entries), trail::alarms(words, self.entries));
        detail::call(self.visitor, call, &trail, &alarms, next, self.now)
    }

    /// The whole page.
    #[must_use]
    pub fn page(&self, said: Option<&str>, speed: f64) -> Markup {
        let words = &self.visitor.words;
        let query = self.selected.map(|call| format!("call={}", call.incident.id)).unwrap_or_default();
        let mode = self.mode.map_or_else(|| "no-policy".to_owned(), |mode| trail::kebab(&mode));
        layout::page(&Page {
            visitor: self.visitor,
            title: "title.calls",
            path: "/",
            query,
            now: self.now,
            speed,
            chips: html! { span.mode.{ "mode-" (mode) } { (words.code("mode", &mode)) } },
            body: html! {
                (layout::notice(words, said))
                div.desk { (self.queue()) (self.call()) }
            },
        })
    }
}

fn actor(visitor: &Visitor) -> Actor {
    Actor::CallTaker(visitor.identity.name.clone())
}

async fn answer(State(state): State<PageState>, Path(name): Path<String>, press: Press<CallTaking>) -> Response {
    let Some(incident) = incident_of(&name) else { return no_such_call(&press.visitor) };
    let (Some(fact), Some(value)) = (press.fields.text("fact"), press.fields.text("value")) else {
        return after(&press.visitor, &incident, Ok("refused"));
    };
    let done = state.desk.answer(&incident, fact, value, actor(&press.visitor)).await;
    after(&press.visitor, &incident, done.map(|_| "answered"))
}

/// Accepts what the call-taker saw, or nothing: where the recommendation has changed since, they must look again.
async fn accept(State(state): State<PageState>, Path(name): Path<String>, press: Press<CallTaking>) -> Response {
    let Some(incident) = incident_of(&name) else { return no_such_call(&press.visitor) };
    let view = match state.desk.view(&incident).await {
        Ok(view) => view,
        Err(problem) => return after(&press.visitor, &incident, Err(problem)),
    };
    if press.fields.text("seen") != Some(seen(&view.incident).as_str()) {
        let again = Standing::of(&view.incident) != Standing::Choose;
        return after(&press.visitor, &incident, Ok(if again { "already" } else { "changed" }));
    }
    let done = state.desk.choose(&incident, Choice::Accept, actor(&press.visitor)).await;
    after(&press.visitor, &incident, done.map(|_| "accepted"))
}

async fn choose_otherwise(
    State(state): State<PageState>,
    Path(name): Path<String>,
    press: Press<CallTaking>,
) -> Response {
    let Some(incident) = incident_of(&name) else { return no_such_call(&press.visitor) };
    let reason = press.fields.text("reason").filter(|reason| OVERRIDE_REASONS.contains(reason)).map(str::to_owned);
    let choice = match (press.fields.text("target"), reason) {
        (_, None) => return after(&press.visitor, &incident, Ok("reason-required")),
        (Some("ordinary"), reason) => Choice::Ordinary { reason },
        (Some(program), Some(reason)) => Choice::Program { program: ProgramId::new(program), reason },
        (None, _) => return after(&press.visitor, &incident, Ok("refused")),
    };
    if let Choice::Program { .. } = choice {
        // Towards a team only on what was read; towards the ordinary route always.
        match state.desk.view(&incident).await {
            Ok(view) if press.fields.text("seen") != Some(seen(&view.incident).as_str()) => {
                return after(&press.visitor, &incident, Ok("changed"));
            }
            Ok(_) => {}
            Err(problem) => return after(&press.visitor, &incident, Err(problem)),
        }
    }
    let done = state.desk.choose(&incident, choice, actor(&press.visitor)).await;
    after(&press.visitor, &incident, done.map(|_| "overridden"))
}

/// The call-taker is uneasy: the fact is recorded, and the call goes the ordinary way whatever came of recording it.
async fn doubt(State(state): State<PageState>, Path(name): Path<String>, press: Press<CallTaking>) -> Response {
    let Some(incident) = incident_of(&name) else { return no_such_call(&press.visitor) };
    let by = actor(&press.visitor);
    let recorded = state.desk.answer(&incident, "doubt", "yes", by.clone()).await;
    let sent = state.desk.choose(&incident, Choice::Ordinary { reason: Some("doubt".to_owned()) }, by).await;
    let ordinary = match (&sent, recorded) {
        (Ok(_), _) => true,
        (Err(CallProblem::Refused(_)), Ok(answer)) => !matches!(answer.state.phase, Phase::Offered | Phase::WithTeam),
        (Err(_), _) => false,
    };
    after(&press.visitor, &incident, if ordinary { Ok("doubt") } else { sent.map(|_| "doubt") })
}

/// The centre's word on something owed.
async fn close_duty(State(state): State<PageState>, Path(name): Path<String>, press: Press<CallTaking>) -> Response {
    let Some(duty) = wire_name(&name).map(DutyId::new) else { return no_such_call(&press.visitor) };
    let incident = duty.incident();
    let Some(outcome) = press.fields.text("outcome").and_then(of_kebab) else {
        return after(&press.visitor, &incident, Ok("refused"));
    };
    let command = Command::CloseDuty { duty, outcome, by: actor(&press.visitor) };
    let done = state.desk.command(&incident, command).await;
    after(&press.visitor, &incident, done.map(|_| "owed-no-more"))
}

async fn backup(State(state): State<PageState>, Path(name): Path<String>, press: Press<CallTaking>) -> Response {
    let Some(incident) = incident_of(&name) else { return no_such_call(&press.visitor) };
    // Never refused: a press that names no service asks for police.
    let service = press.fields.text("service").and_then(super::of_kebab).unwrap_or(BackupService::Police);
    let command = Command::Backup { leg: None, service, team_requested: false, by: actor(&press.visitor) };
    let done = state.desk.command(&incident, command).await;
    after(&press.visitor, &incident, done.map(|_| "backup"))
}

fn incident_of(name: &str) -> Option<IncidentId> {
    wire_name(name).map(IncidentId::new)
}

fn no_such_call(visitor: &Visitor) -> Response {
    layout::problem(&visitor.words, StatusCode::NOT_FOUND, "no-call", "/")
}

/// Back to the same call with what was done, or what was not and why.
fn after(visitor: &Visitor, incident: &IncidentId, done: Result<&'static str, CallProblem>) -> Response {
    super::after(visitor, &format!("/?call={incident}"), "#call", done)
}

#[cfg(test)]
mod tests;
