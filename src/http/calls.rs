//! The call record's door and the call-taker's commands.

use super::bodies::{read_bytes, read_command};
use super::layers::{json, single};
use super::limits::size;
use super::problem::{self, Problem};
use super::{DEFAULT_SENDER, State};
use crate::access::Identity;
use crate::call_processing::{Answer, Choice, IncidentState};
use crate::facts::Facts;
use crate::incident::{Actor, Command, Duty, DutyOutcome, DutyState, Incident, Leg, LegState};
use crate::policy::Told;
use crate::record::{DutyId, Format, IncidentId, LegId, ProgramId, Repair};
use axum::body::Body;
use axum::extract::{self, Extension, Path, Query};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json as object};
use std::sync::Arc;

/// Header that names the configured sender of a record.
pub(super) const SENDER: &str = "fourth-sender";
/// Bytes in a name given in a header, a path or a query, at most.
const NAME_BYTES_MAX: usize = 256;
/// Characters in a reason that a person gives, at most.
const REASON_CHARS_MAX: usize = 500;

type Shared = extract::State<State>;

/// `POST /v1/calls`.
pub(super) async fn send(state: Shared, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let answer = receive(&state, &headers, body).await?;
    answered(&state, answer).await
}

/// `POST /v1/calls/{incident}/updates`: a later record, which must be of this incident.
pub(super) async fn update(
    state: Shared,
    Path(incident): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let incident = incident_id(&incident)?;
    state.desk.view(&incident).await?;
    let answer = receive(&state, &headers, body).await?;
    of_this_incident(&incident, &answer.incident)?;
    answered(&state, answer).await
}

/// `GET /v1/calls?call=`.
pub(super) async fn find(state: Shared, Query(wanted): Query<Wanted>) -> Result<Response, Problem> {
    if wanted.call.is_empty() || wanted.call.len() > NAME_BYTES_MAX {
        return Err(Problem::new(problem::BAD_REQUEST, "a name has 1 to 256 bytes").at("query `call`"));
    }
    let found = state.desk.find(&wanted.call);
    let incident = found.ok_or_else(|| Problem::new(problem::NOT_FOUND, "no record of this incident was received"))?;
    Ok(json(StatusCode::OK, &object!({ "incident": incident })))
}

/// `GET /v1/calls/{incident}`.
pub(super) async fn show(state: Shared, Path(incident): Path<String>) -> Result<Response, Problem> {
    let view = state.desk.view(&incident_id(&incident)?).await?;
    Ok(json(StatusCode::OK, &state_of(&view.incident)))
}

/// `POST /v1/calls/{incident}/answers`.
pub(super) async fn answer(
    state: Shared,
    Path(incident): Path<String>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let incident = incident_id(&incident)?;
    let given: GivenFact = read_command(&headers, body).await?;
    let desk = Arc::clone(&state.desk);
    let by = Actor::CallTaker(identity.name);
    let answer = state.to_the_end(async move { desk.answer(&incident, &given.fact, &given.value, by).await }).await?;
    answered(&state, answer).await
}

/// `POST /v1/calls/{incident}/choice`.
pub(super) async fn choose(
    state: Shared,
    Path(incident): Path<String>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let incident = incident_id(&incident)?;
    let choice = read_command::<GivenChoice>(&headers, body).await?.checked()?;
    let desk = Arc::clone(&state.desk);
    let by = Actor::CallTaker(identity.name);
    let view = state.to_the_end(async move { desk.choose(&incident, choice, by).await }).await?;
    Ok(json(StatusCode::OK, &state_of(&view.incident)))
}

/// `POST /v1/calls/{incident}/acknowledge`: a person at the centre has the call that came back.
pub(super) async fn acknowledge(
    state: Shared,
    Path(incident): Path<String>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let incident = incident_id(&incident)?;
    read_command::<Nothing>(&headers, body).await?;
    let desk = Arc::clone(&state.desk);
    let command = Command::AcknowledgeReturn { by: Actor::CallTaker(identity.name) };
    let view = state.to_the_end(async move { desk.command(&incident, command).await }).await?;
    Ok(json(StatusCode::OK, &state_of(&view.incident)))
}

/// `POST /v1/calls/{incident}/duties/{duty}`: the centre's word on something owed.
pub(super) async fn close_duty(
    state: Shared,
    Path((incident, duty)): Path<(String, String)>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (incident, duty) = (incident_id(&incident)?, duty_id(&duty)?);
    let given: GivenOutcome = read_command(&headers, body).await?;
    let desk = Arc::clone(&state.desk);
    let command = Command::CloseDuty { duty, outcome: given.outcome, by: Actor::CallTaker(identity.name) };
    let view = state.to_the_end(async move { desk.command(&incident, command).await }).await?;
    Ok(json(StatusCode::OK, &state_of(&view.incident)))
}

/// `GET /v1/owed`: everything owed on all incidents, overdue first.
pub(super) async fn owed(state: Shared) -> Response {
    json(StatusCode::OK, &object!({ "owed": state.desk.owed().iter().map(duty_of).collect::<Vec<_>>() }))
}

async fn receive(state: &State, headers: &HeaderMap, body: Body) -> Result<Answer, Problem> {
    let sender = sender_of(headers)?;
    let format = declared_format(headers);
    let bytes = read_bytes(body, size(state.limits.body_bytes_max)).await?;
    let desk = Arc::clone(&state.desk);
    state.to_the_end(async move { desk.receive(bytes, format, &sender).await }).await
}

async fn answered(state: &State, answer: Answer) -> Result<Response, Problem> {
    let view = state.desk.view(&answer.incident).await.ok();
    let call = view.and_then(|view| view.incident.identity.clone()).map(|identity| identity.incident);
    Ok(json(StatusCode::OK, &AnswerBody::of(&answer, call.as_deref())))
}

/// What a query asks for.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    call: String,
}

/// A fact and its value, as a call-taker or a team gives them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenFact {
    pub(super) fact: String,
    pub(super) value: String,
}

/// A command without members.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// How something owed has ended.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenOutcome {
    pub(super) outcome: DutyOutcome,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenChoice {
    choice: ChoiceName,
    program: Option<ProgramId>,
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ChoiceName {
    Accept,
    Ordinary,
    Program,
}

impl GivenChoice {
    fn checked(self) -> Result<Choice, Problem> {
        let reason = self.reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
        if reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_CHARS_MAX) {
            let detail = format!("a reason has {REASON_CHARS_MAX} characters at most");
            return Err(Problem::new(problem::INVALID_BODY, detail).at("$.reason"));
        }
        let extra = |place| Problem::new(problem::INVALID_BODY, "this choice has no such member").at(place);
        match (self.choice, self.program, reason) {
            (ChoiceName::Accept, None, None) => Ok(Choice::Accept),
            (ChoiceName::Ordinary, None, reason) => Ok(Choice::Ordinary { reason }),
            (ChoiceName::Program, Some(program), Some(reason)) => Ok(Choice::Program { program, reason }),
            (ChoiceName::Program, None, _) => {
                Err(Problem::new(problem::INVALID_BODY, "the program must be named").at("$.program"))
            }
            (ChoiceName::Program, Some(_), None) => {
                Err(Problem::new(problem::REASON_REQUIRED, "departing from the recommendation needs a reason")
                    .at("$.reason"))
            }
            (ChoiceName::Accept | ChoiceName::Ordinary, Some(_), _) => Err(extra("$.program")),
            (ChoiceName::Accept, None, Some(_)) => Err(extra("$.reason")),
        }
    }
}

/// The answer to a record as it is sent: the decision's members stand beside the others.
#[derive(Serialize)]
pub(super) struct AnswerBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'a str>,
    incident: &'a IncidentId,
    repeat: bool,
    format: Option<Format>,
    repairs: &'a [Repair],
    unknown_fields: &'a [String],
    facts: &'a Facts,
    #[serde(flatten)]
    decision: Told<'a>,
    decide_ns: u64,
    state: StateBody<'a>,
}

impl<'a> AnswerBody<'a> {
    fn of(answer: &'a Answer, call: Option<&'a str>) -> Self {
        Self {
            call,
            incident: &answer.incident,
            repeat: answer.repeat,
            format: answer.format,
            repairs: &answer.repairs,
            unknown_fields: &answer.unknown_fields,
            facts: &answer.facts,
            decision: answer.decision.told(),
            decide_ns: answer.decide_ns,
            state: StateBody::of(&answer.state),
        }
    }
}

#[derive(Serialize)]
struct StateBody<'a> {
    version: u64,
    phase: crate::incident::Phase,
    owner: &'a crate::incident::Owner,
    legs: Vec<Value>,
}

impl<'a> StateBody<'a> {
    fn of(state: &'a IncidentState) -> Self {
        let legs = state.legs.iter().map(leg_of).collect();
        Self { version: state.version, phase: state.phase, owner: &state.owner, legs }
    }
}

/// Where an incident stands: no personal data.
fn state_of(incident: &Incident) -> Value {
    let decision = incident.decision.as_ref();
    object!({
        "incident": incident.id,
        "version": incident.version,
        "phase": incident.phase,
        "owner": incident.owner,
        "mode": incident.mode,
        "test": incident.test,
        "status": decision.map(|decision| decision.status.name()),
        "because": decision.and_then(|decision| decision.status.because()),
        "route": decision.map(|decision| decision.route.name()),
        "rule": decision.and_then(|decision| decision.rule.as_deref()),
        "exclusions": decision.map(|decision| decision.exclusions.iter().map(|hit| hit.id.as_str()).collect::<Vec<_>>()),
        "reasons": decision.map(|decision| &decision.reasons),
        "options": decision.map(|decision| &decision.options),
        "questions": decision.map(|decision| &decision.questions),
        "policy": decision.map(|decision| decision.told().policy),
        "legs": incident.legs.iter().map(leg_of).collect::<Vec<_>>(),
        "times": incident.times,
        "duties": incident.duties.iter().map(duty_of).collect::<Vec<_>>(),
        "undelivered": incident.outstanding.len(),
    })
}

/// One leg: whom it was offered to and where it stands, not where that is nor what was released.
pub(super) fn leg_of(leg: &Leg) -> Value {
    object!({
        "leg": leg.id,
        "program": leg.plan.program,
        "kind": leg.plan.kind,
        "state": leg.state,
        "open": matches!(leg.state, LegState::Offered),
        "offered_at": leg.offered_at,
        "deadline": leg.deadline,
    })
}

/// Something owed: no personal data.
pub(super) fn duty_of(duty: &Duty) -> Value {
    let (state, outcome) = match duty.state {
        DutyState::Open => ("open", None),
        DutyState::Overdue => ("overdue", None),
        DutyState::Closed(outcome) => ("closed", Some(outcome)),
    };
    object!({
        "duty": duty.id,
        "incident": duty.id.incident(),
        "kind": duty.kind,
        "program": duty.program,
        "leg": duty.leg,
        "from": duty.from,
        "due": duty.due,
        "state": state,
        "outcome": outcome,
        "outcomes": duty.kind.outcomes(),
    })
}

/// The format that a `Content-Type` alone can settle. JSON and XML are recognised from their content, because senders
/// mislabel them; delimited text shows nothing of itself.
fn declared_format(headers: &HeaderMap) -> Option<Format> {
    let declared = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase();
    match declared.split(';').next()?.trim() {
        "text/csv" | "text/tab-separated-values" => Some(Format::Delimited),
        "application/eido+json" => Some(Format::EidoJson),
        _ => None,
    }
}

/// The sender that a request names, or the default one.
pub(super) fn sender_of(headers: &HeaderMap) -> Result<String, Problem> {
    if !headers.contains_key(SENDER) {
        return Ok(DEFAULT_SENDER.to_owned());
    }
    let named = single(headers, SENDER).filter(|name| !name.is_empty() && name.len() <= NAME_BYTES_MAX);
    named.map(str::to_owned).ok_or_else(|| {
        Problem::new(problem::BAD_REQUEST, "the sender must be named once, in ASCII").at("header `Fourth-Sender`")
    })
}

/// An incident's name from a path. A name that cannot be one of ours is nobody's.
fn incident_id(text: &str) -> Result<IncidentId, Problem> {
    name_is_ours(text, false)
        .then(|| IncidentId::new(text))
        .ok_or_else(|| Problem::new(problem::NOT_FOUND, "no incident of this name"))
}

/// A leg's name from a path.
pub(super) fn leg_id(text: &str) -> Result<LegId, Problem> {
    name_is_ours(text, true)
        .then(|| LegId::new(text))
        .ok_or_else(|| Problem::new(problem::NOT_FOUND, "no leg of this name"))
}

/// A duty's name from a path.
pub(super) fn duty_id(text: &str) -> Result<DutyId, Problem> {
    name_is_ours(text, true)
        .then(|| DutyId::new(text))
        .ok_or_else(|| Problem::new(problem::NOT_FOUND, "nothing of this name is owed"))
}

fn name_is_ours(text: &str, dots: bool) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (dots && byte == b'.');
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(safe)
}

/// A record of another incident was taken, because no record is ever dropped, but it is not what was asked.
fn of_this_incident(asked: &IncidentId, taken: &IncidentId) -> Result<(), Problem> {
    if asked == taken {
        return Ok(());
    }
    Err(Problem::new(problem::OTHER_INCIDENT, "the record was taken, as a record of the incident it names itself")
        .next(format!("that incident is `{taken}`; send its updates there")))
}

#[cfg(test)]
#[path = "calls_tests.rs"]
mod tests;
