//! The teams' door: accept, decline, move, clear, return, back-up, hazard; each team its own legs only.

use super::State;
use super::bodies::read_command;
use super::calls::{GivenFact, GivenOutcome, Nothing, duty_id, duty_of, leg_id, leg_of};
use super::layers::json;
use super::problem::{self, Problem};
use crate::access::Identity;
use crate::call_processing::IncidentView;
use crate::incident::{Actor, BackupService, Command, DeclineCause, Disposition, Incident, Leg, Party, Refusal};
use crate::record::{LegId, TimePoint};
use axum::body::Body;
use axum::extract::{self, Extension, Path};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// Bytes in a kebab-case reason, at most.
const CODE_BYTES_MAX: usize = 64;

type Shared = extract::State<State>;
type Named = Path<String>;
type Who = Extension<Identity>;

/// `GET /v1/legs/{leg}`.
pub(super) async fn show(state: Shared, Path(leg): Named, Extension(identity): Who) -> Result<Response, Problem> {
    let leg = leg_id(&leg)?;
    let view = own(&state, &leg, &identity).await?;
    shown(&view, &leg)
}

/// `POST /v1/legs/{leg}/accept`.
pub(super) async fn accept(
    state: Shared,
    Path(leg): Named,
    Extension(identity): Who,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let leg = leg_id(&leg)?;
    read_command::<Nothing>(&headers, body).await?;
    let by = Actor::Team(identity.name.clone());
    command(&state, &identity, &leg, Command::AcceptLeg { leg: leg.clone(), by }).await
}

/// `POST /v1/legs/{leg}/decline`.
pub(super) async fn decline(
    state: Shared,
    Path(leg): Named,
    Extension(identity): Who,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let leg = leg_id(&leg)?;
    let given: GivenDecline = read_command(&headers, body).await?;
    let by = Actor::Team(identity.name.clone());
    command(&state, &identity, &leg, Command::DeclineLeg { leg: leg.clone(), cause: given.cause, by }).await
}

/// `POST /v1/legs/{leg}/status`.
pub(super) async fn status(
    state: Shared,
    Path(leg): Named,
    Extension(identity): Who,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let leg = leg_id(&leg)?;
    let given: GivenStatus = read_command(&headers, body).await?;
    let by = Actor::Team(identity.name.clone());
    command(&state, &identity, &leg, given.command(leg.clone(), by)?).await
}

/// `POST /v1/legs/{leg}/backup`: never refused to the team whose leg it is, whatever has become of the leg.
pub(super) async fn backup(
    state: Shared,
    Path(leg): Named,
    Extension(identity): Who,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let leg = leg_id(&leg)?;
    let given: GivenBackup = read_command(&headers, body).await?;
    let by = Actor::Team(identity.name.clone());
    let asked = Command::Backup { leg: Some(leg.clone()), service: given.service, team_requested: true, by };
    command(&state, &identity, &leg, asked).await
}

/// `POST /v1/legs/{leg}/hazard`.
pub(super) async fn hazard(
    state: Shared,
    Path(leg): Named,
    Extension(identity): Who,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let leg = leg_id(&leg)?;
    let given: GivenFact = read_command(&headers, body).await?;
    own(&state, &leg, &identity).await?;
    let desk = Arc::clone(&state.desk);
    let (reported, by) = (leg.clone(), Actor::Team(identity.name));
    let view = state.to_the_end(async move { desk.hazard(&reported, &given.fact, &given.value, by).await }).await?;
    shown(&view, &leg)
}

/// `POST /v1/legs/{leg}/answers`: a phone team that has the call is a second decider.
pub(super) async fn answer(
    state: Shared,
    Path(leg): Named,
    Extension(identity): Who,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let leg = leg_id(&leg)?;
    let given: GivenFact = read_command(&headers, body).await?;
    own(&state, &leg, &identity).await?;
    let desk = Arc::clone(&state.desk);
    let (answered, by) = (leg.clone(), Actor::Team(identity.name));
    let view =
        state.to_the_end(async move { desk.answer_on_leg(&answered, &given.fact, &given.value, by).await }).await?;
    shown(&view, &leg)
}

/// `POST /v1/legs/{leg}/acknowledge`: a recalled team has heard it.
pub(super) async fn acknowledge(
    state: Shared,
    Path(leg): Named,
    Extension(identity): Who,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let leg = leg_id(&leg)?;
    read_command::<Nothing>(&headers, body).await?;
    let by = Actor::Team(identity.name.clone());
    command(&state, &identity, &leg, Command::AcknowledgeRecall { leg: leg.clone(), by }).await
}

/// `GET /v1/duties`: what this team's programs owe.
pub(super) async fn duties(state: Shared, Extension(identity): Who) -> Response {
    let owed = state.desk.owed();
    let own = owed.iter().filter(|duty| duty.program.as_ref().is_some_and(|own| identity.may_touch_leg_of(own)));
    json(StatusCode::OK, &serde_json::json!({ "owed": own.map(duty_of).collect::<Vec<_>>() }))
}

/// `POST /v1/duties/{duty}`: how something that this team's program owes has ended.
pub(super) async fn close_duty(
    state: Shared,
    Path(duty): Named,
    Extension(identity): Who,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let id = duty_id(&duty)?;
    let given: GivenOutcome = read_command(&headers, body).await?;
    // What another program owes and what nobody owes answer alike, so that nobody learns which exist.
    let none = || Problem::new(problem::NOT_FOUND, "nothing of this name is owed");
    let view = state.desk.view(&id.incident()).await.map_err(|_| none())?;
    let program = view.incident.duty(&id).and_then(|duty| duty.program.clone()).ok_or_else(none)?;
    if !identity.may_touch_leg_of(&program) {
        return Err(none());
    }
    let desk = Arc::clone(&state.desk);
    let (closed, incident) = (id.clone(), id.incident());
    let command = Command::CloseDuty { duty: closed, outcome: given.outcome, by: Actor::Team(identity.name) };
    let view = state.to_the_end(async move { desk.command(&incident, command).await }).await?;
    view.incident.duty(&id).map(|duty| json(StatusCode::OK, &duty_of(duty))).ok_or_else(none)
}

async fn command(state: &State, identity: &Identity, leg: &LegId, command: Command) -> Result<Response, Problem> {
    own(state, leg, identity).await?;
    let desk = Arc::clone(&state.desk);
    let incident = leg.incident();
    let view = state.to_the_end(async move { desk.command(&incident, command).await }).await?;
    shown(&view, leg)
}

/// The incident of a leg, where the leg is this identity's to touch. A leg of another team's program and a leg that
/// does not exist answer alike, so that nobody learns which exist.
async fn own(state: &State, leg: &LegId, identity: &Identity) -> Result<IncidentView, Problem> {
    let view = state.desk.view(&leg.incident()).await.map_err(|problem| hidden(problem.into()))?;
    find_own(&view.incident, leg, identity)?;
    Ok(view)
}

/// A missing incident must not read differently from a missing leg.
fn hidden(problem: Problem) -> Problem {
    if problem.status() == problem::NOT_FOUND.status { no_such_leg() } else { problem }
}

fn no_such_leg() -> Problem {
    Refusal::NoSuchLeg.into()
}

fn find_own<'a>(incident: &'a Incident, leg: &LegId, identity: &Identity) -> Result<&'a Leg, Problem> {
    incident
        .legs
        .iter()
        .find(|candidate| candidate.id == *leg && identity.may_touch_leg_of(&candidate.plan.program))
        .ok_or_else(no_such_leg)
}

fn shown(view: &IncidentView, leg: &LegId) -> Result<Response, Problem> {
    leg_body(&view.incident, leg).map(|body| json(StatusCode::OK, &body)).ok_or_else(no_such_leg)
}

/// A leg with where its incident stands.
fn leg_body(incident: &Incident, leg: &LegId) -> Option<Value> {
    let mut body = leg_of(incident.legs.iter().find(|candidate| candidate.id == *leg)?);
    let yours = incident.owner == crate::incident::Owner::Team(leg.clone());
    let members = body.as_object_mut()?;
    members.insert("phase".to_owned(), serde_json::to_value(incident.phase).unwrap_or_default());
    members.insert("yours".to_owned(), Value::Bool(yours));
    Some(body)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenDecline {
    cause: DeclineCause,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenBackup {
    service: BackupService,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenStatus {
    status: StatusName,
    disposition: Option<Disposition>,
    party: Option<Party>,
    why: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StatusName {
    EnRoute,
    OnScene,
    WithPerson,
    Cleared,
    Returned,
    HandedOn,
}

impl GivenStatus {
    fn command(self, leg: LegId, by: Actor) -> Result<Command, Problem> {
        let moved = |status| Ok(Command::MoveLeg { leg: leg.clone(), status, by: by.clone() });
        let fault = |detail: &str, place: &str| Err(Problem::new(problem::INVALID_BODY, detail).at(place));
        let names = |party: &Party| self.disposition.is_some_and(|stated| stated.parties().contains(party));
        if self.party.is_some_and(|party| !names(&party)) {
            return fault("by whom, or to whom, does not go with this disposition", "$.party");
        }
        let party = self.party;
        match (self.status, self.disposition, self.why) {
            (StatusName::EnRoute, None, None) => moved(TimePoint::EnRoute),
            (StatusName::OnScene, None, None) => moved(TimePoint::OnScene),
            (StatusName::WithPerson, None, None) => moved(TimePoint::WithPerson),
            (StatusName::Cleared, Some(disposition), None) => Ok(Command::ClearLeg { leg, disposition, party, by }),
            (StatusName::Cleared, None, None) => fault("`cleared` needs a disposition", "$.disposition"),
            (StatusName::Returned, None, Some(why)) if is_code(&why) => Ok(Command::ReturnLeg { leg, why, by }),
            (StatusName::HandedOn, None, None) => Ok(Command::HandOnLeg { leg, by }),
            (StatusName::Returned, None, _) => {
                fault("`returned` needs a reason of `a-z`, `0-9` and `-`, 64 at most, such as `needs-police`", "$.why")
            }
            (_, Some(_), _) => fault("only `cleared` has a disposition", "$.disposition"),
            (_, None, Some(_)) => fault("only `returned` has a reason", "$.why"),
        }
    }
}

/// A reason from a team goes into the journal, which holds codes and not what somebody wrote.
fn is_code(text: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=CODE_BYTES_MAX).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(safe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;
    use crate::incident::Owner;
    use crate::record::{IncidentId, ProgramId};

    fn incident() -> Incident {
        let mut incident = Incident::new(IncidentId::new("a1"));
        for (number, program) in [(1, "psr"), (2, "cru")] {
            let leg = serde_json::json!({
                "id": format!("a1.{number}"), "state": "offered",
                "offered_at": "2026-03-01T10:00:00Z", "deadline": "2026-03-01T10:01:30Z",
                "plan": { "program": program, "title": "Team", "kind": "community", "channel": "canary-channel",
                    "accept_deadline_s": 90, "attempts": 3, "release": [], "call_back_within_min": null },
            });
            incident.legs.push(serde_json::from_value(leg).unwrap());
        }
        incident
    }

    fn identity(role: Role) -> Identity {
        Identity { name: "crew-1".into(), roles: vec![role] }
    }

    #[test]
    fn a_leg_of_another_program_is_as_one_that_does_not_exist() {
        let incident = incident();
        let team = identity(Role::Team(ProgramId::new("psr")));
        assert!(find_own(&incident, &LegId::new("a1.1"), &team).is_ok());
        let others = find_own(&incident, &LegId::new("a1.2"), &team).unwrap_err();
        let missing = find_own(&incident, &LegId::new("a1.9"), &team).unwrap_err();
        let no_incident = hidden(crate::call_processing::CallProblem::NoSuchIncident.into());
        assert_eq!(others.status(), 404);
        assert_eq!(others, missing);
        assert_eq!(others, no_incident);
        for role in [Role::Cad, Role::CallTaker, Role::Evaluator, Role::Operator] {
            assert!(find_own(&incident, &LegId::new("a1.1"), &identity(role)).is_err());
        }
        assert!(find_own(&incident, &LegId::new("a1.2"), &identity(Role::EveryTeam)).is_ok());
    }

    #[test]
    fn a_leg_shows_where_it_stands_and_not_its_channel() {
        let mut incident = incident();
        let leg = LegId::new("a1.1");
        let body = leg_body(&incident, &leg).unwrap();
        assert_eq!((body["state"].as_str(), body["yours"].as_bool()), (Some("offered"), Some(false)));
        assert!(!body.to_string().contains("canary"));
        crate::http::shapes::tests::assert_fits(&body, "Leg");
        incident.owner = Owner::Team(leg.clone());
        assert_eq!(leg_body(&incident, &leg).unwrap()["yours"], true);
    }

    fn read(body: &str) -> Result<Command, Problem> {
        let given: GivenStatus = serde_json::from_str(body).unwrap();
        given.command(LegId::new("a1.1"), Actor::Team("crew-1".into()))
    }

    #[test]
    fn statuses_become_commands() {
        let (leg, by) = (LegId::new("a1.1"), Actor::Team("crew-1".into()));
        for (name, status) in
            [("en-route", TimePoint::EnRoute), ("on-scene", TimePoint::OnScene), ("with-person", TimePoint::WithPerson)]
        {
            let expected = Command::MoveLeg { leg: leg.clone(), status, by: by.clone() };
            assert_eq!(read(&format!("{{\"status\":\"{name}\"}}")).unwrap(), expected);
        }
        let handed_on = read(r#"{"status":"handed-on"}"#).unwrap();
        assert_eq!(handed_on, Command::HandOnLeg { leg: leg.clone(), by: by.clone() });
        let cleared = read(r#"{"status":"cleared","disposition":"could-not-locate"}"#).unwrap();
        let disposition = Disposition::CouldNotLocate;
        assert_eq!(cleared, Command::ClearLeg { leg: leg.clone(), disposition, party: None, by: by.clone() });
        let taken = read(r#"{"status":"cleared","disposition":"transported","party":"ems"}"#).unwrap();
        let (disposition, party) = (Disposition::Transported, Some(Party::Ems));
        assert_eq!(taken, Command::ClearLeg { leg: leg.clone(), disposition, party, by: by.clone() });
        let returned = read(r#"{"status":"returned","why":"needs-police"}"#).unwrap();
        assert_eq!(returned, Command::ReturnLeg { leg, why: "needs-police".into(), by });
    }

    #[test]
    fn a_status_with_too_little_too_much_or_free_text_is_refused() {
        for body in [
            r#"{"status":"cleared"}"#,
            r#"{"status":"returned"}"#,
            r#"{"status":"returned","why":""}"#,
            r#"{"status":"returned","why":"Jane is angry"}"#,
            r#"{"status":"returned","why":"555-0100"}"#,
            r#"{"status":"en-route","why":"fast"}"#,
            r#"{"status":"en-route","disposition":"treated"}"#,
            r#"{"status":"cleared","disposition":"treated","why":"done"}"#,
            r#"{"status":"cleared","disposition":"treated","party":"ems"}"#,
            r#"{"status":"en-route","party":"ems"}"#,
        ] {
            let problem = read(body).unwrap_err();
            assert_eq!(problem.status(), 422, "{body}");
            assert!(!format!("{problem:?}").contains("Jane"));
        }
        assert!(serde_json::from_str::<GivenStatus>(r#"{"status":"dispatched"}"#).is_err());
        let free = r#"{"status":"cleared","disposition":"referred","party":"her sister Jane"}"#;
        assert!(serde_json::from_str::<GivenStatus>(free).is_err());
    }
}
