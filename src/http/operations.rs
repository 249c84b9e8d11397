//! Health, readiness, metrics, and what the policy does not know.

use super::State;
use super::bodies::read_command;
use super::calls::{Nothing, leg_id};
use super::layers::json;
use super::problem::{self, Problem};
use crate::access::Identity;
use crate::call_processing::{CallProblem, DeadLetter, DeadLetters, RefusedPolicy, Roster, RosterFault};
use crate::incident::Actor;
use crate::policy::PolicyIdentity;
use crate::telemetry;
use axum::body::Body;
use axum::extract::{self, Extension, Path};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json as object;
use std::collections::VecDeque;
use std::sync::Arc;

type Shared = extract::State<State>;

/// `GET /healthz`: the process answers, nothing more.
pub(super) async fn alive() -> Response {
    json(StatusCode::OK, &object!({ "alive": true }))
}

/// `GET /readyz`: 200 where a record would be taken now, 503 otherwise; says which part is not ready.
pub(super) async fn ready(state: Shared) -> Response {
    let undelivered = state.desk.undelivered().len();
    let policy = state.desk.policy();
    let readiness = Readiness::of(&Signs {
        journal: state.desk.journal().ready(),
        journal_away_since: state.desk.journal_away_since(),
        policy: policy.as_ref().map(|policy| policy.identity()),
        refused: state.desk.refused_policy(),
        undelivered,
        undelivered_max: state.undelivered_max,
        contacts: contacts_of(&state),
        stopping: *state.shutdown.borrow(),
    });
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &readiness)
}

/// `GET /metrics`: the Prometheus text exposition, version 0.0.4.
pub(super) async fn metrics(state: Shared) -> Response {
    telemetry::incidents_open(state.desk.open_incidents().len());
    telemetry::record_heard(state.desk.last_heard().as_second(), state.desk.silent_since().is_some());
    telemetry::outbox_depth(state.desk.undelivered().len());
    for contact in contacts_of(&state).unwrap_or_default() {
        let proved_at = contact.proved_at.map_or(0, Timestamp::as_second);
        telemetry::contact(&contact.name, proved_at, contact.unproved.is_some());
    }
    telemetry::journal_away(state.desk.journal_away_since().is_some(), state.desk.incidents_apart());
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, state.metrics.render()).into_response()
}

/// `GET /v1/call-types/unmapped`: what to add to `call_types.csv`.
pub(super) async fn unmapped(state: Shared) -> Response {
    json(StatusCode::OK, &state.desk.unmapped_call_types())
}

/// `GET /v1/undelivered`: what was given up, what still waits, and how each destination is.
pub(super) async fn undelivered(state: Shared) -> Response {
    let DeadLetters { letters, letters_not_listed, .. } = state.desk.dead_letters();
    let destinations = state.destinations.as_ref().map(|destinations| destinations()).unwrap_or_default();
    let waiting = state.desk.undelivered().len();
    let contacts = contacts_of(&state).unwrap_or_default();
    let shown = Undelivered { letters, letters_not_listed, waiting, destinations, contacts };
    json(StatusCode::OK, &shown)
}

fn contacts_of(state: &State) -> Option<Vec<Contact>> {
    state.contacts.as_ref().and_then(|contacts| contacts())
}

/// `POST /v1/undelivered/{key}/redrive`.
pub(super) async fn redrive(
    state: Shared,
    Path(key): Path<String>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    read_command::<Nothing>(&headers, body).await?;
    // As long as a leg's name and made of the same letters; any other is nobody's.
    leg_id(&key).map_err(|_| Problem::new(problem::NOT_FOUND, "no message of this name"))?;
    let desk = Arc::clone(&state.desk);
    let (sent, by) = (key.clone(), Actor::Operator(identity.name));
    let view = state.to_the_end(async move { desk.redrive(&sent, by).await }).await?;
    Ok(json(StatusCode::OK, &object!({ "key": key, "incident": view.incident.id, "sent_again": true })))
}

/// How a destination is, as the outbox tells it.
#[derive(Debug, Clone, Serialize)]
pub struct Destination {
    /// Its name in the configuration.
    pub name: String,
    /// Messages waiting or being tried.
    pub waiting: usize,
    /// `closed`, `open` or `half-open`.
    pub breaker: &'static str,
    /// Since when it has been down, where it is.
    pub down_since: Option<Timestamp>,
}

/// Whether a destination is known to work, as the outbox tells it.
#[derive(Debug, Clone, Serialize)]
pub struct Contact {
    /// Its name in the configuration.
    pub name: String,
    /// What kind of destination, kebab-case.
    pub kind: &'static str,
    /// When it was last proved, if it was since the start.
    pub proved_at: Option<Timestamp>,
    /// Why it counts as unproved, where it does: an alarm.
    pub unproved: Option<String>,
}

#[derive(Debug, Serialize)]
struct Undelivered {
    letters: VecDeque<DeadLetter>,
    letters_not_listed: u64,
    waiting: usize,
    destinations: Vec<Destination>,
    contacts: Vec<Contact>,
}

/// `GET /v1/roster`.
pub(super) async fn roster(state: Shared) -> Response {
    json(StatusCode::OK, &state.desk.roster())
}

/// `PUT /v1/roster`: the whole roster in place of the one before.
pub(super) async fn set_roster(state: Shared, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let given: Roster = read_command(&headers, body).await?;
    match state.desk.set_roster(given).await {
        Ok(()) => {}
        Err(RosterFault::Journal(error)) => return Err(CallProblem::Journal(error).into()),
        Err(fault @ RosterFault::Unknown { .. }) => {
            let problem = Problem::new(problem::INVALID_BODY, fault.to_string());
            return Err(match &fault {
                RosterFault::Unknown { nearest: Some(near), .. } => problem.next(format!("did you mean `{near}`?")),
                RosterFault::Unknown { nearest: None, .. } | RosterFault::Journal(_) => problem,
            });
        }
    }
    Ok(roster(state).await)
}

/// What readiness is judged by.
struct Signs<'a> {
    journal: bool,
    journal_away_since: Option<Timestamp>,
    policy: Option<&'a PolicyIdentity>,
    refused: Option<Arc<RefusedPolicy>>,
    undelivered: usize,
    undelivered_max: usize,
    contacts: Option<Vec<Contact>>,
    stopping: bool,
}

#[derive(Debug, Serialize)]
struct Readiness<'a> {
    ready: bool,
    journal: Part,
    policy: Policy<'a>,
    outbox: Outbox,
    contacts: Contacts,
    stopping: bool,
}

#[derive(Debug, Serialize)]
struct Part {
    ready: bool,
    /// Since when the shared journal's database is away: records are taken here meanwhile, and no call changes hands.
    away_since: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct Policy<'a> {
    ready: bool,
    revision: &'a str,
    digest: &'a str,
    /// What lies in the folder instead and may not be loaded: the policy in force is older than its author thinks.
    refused: Option<Arc<RefusedPolicy>>,
}

#[derive(Debug, Serialize)]
struct Outbox {
    ready: bool,
    undelivered: usize,
    undelivered_max: usize,
}

/// Never what readiness is judged by: an adapter that is taken out for a contact would take away the good ones too.
#[derive(Debug, Serialize)]
struct Contacts {
    tested: bool,
    unproved: usize,
}

impl<'a> Readiness<'a> {
    fn of(signs: &Signs<'a>) -> Self {
        let policy = signs.policy.is_some();
        let refused = signs.refused.clone();
        let outbox = signs.undelivered <= signs.undelivered_max;
        Self {
            ready: signs.journal && policy && outbox && !signs.stopping,
            journal: Part { ready: signs.journal, away_since: signs.journal_away_since },
            policy: Policy {
                ready: policy,
                revision: signs.policy.map_or("", |policy| &policy.revision),
                digest: signs.policy.map_or("", |policy| &policy.digest),
                refused,
            },
            outbox: Outbox { ready: outbox, undelivered: signs.undelivered, undelivered_max: signs.undelivered_max },
            contacts: Contacts {
                tested: signs.contacts.is_some(),
                unproved: signs.contacts.iter().flatten().filter(|contact| contact.unproved.is_some()).count(),
            },
            stopping: signs.stopping,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(policy: &PolicyIdentity) -> Signs<'_> {
        Signs {
            journal: true,
            journal_away_since: None,
            policy: Some(policy),
            refused: None,
            undelivered: 3,
            undelivered_max: 3,
            contacts: None,
            stopping: false,
        }
    }

    fn policy() -> PolicyIdentity {
        PolicyIdentity { id: "test".to_owned(), revision: "2026-1".to_owned(), digest: "ab".to_owned() }
    }

    #[test]
    fn ready_only_where_every_part_is() {
        let policy = policy();
        assert!(Readiness::of(&signs(&policy)).ready);
        for bad in [
            Signs { journal: false, ..signs(&policy) },
            Signs { policy: None, ..signs(&policy) },
            Signs { undelivered: 4, ..signs(&policy) },
            Signs { stopping: true, ..signs(&policy) },
        ] {
            assert!(!Readiness::of(&bad).ready);
        }
    }

    fn contact(unproved: Option<&str>) -> Contact {
        let (name, unproved) = ("webhook/cso-north".to_owned(), unproved.map(str::to_owned));
        Contact { name, kind: "webhook", proved_at: Some(Timestamp::UNIX_EPOCH), unproved }
    }

    #[test]
    fn an_unproved_contact_is_shown_and_leaves_the_adapter_ready() {
        let policy = policy();
        let contacts = Some(vec![contact(None), contact(Some("refused-404"))]);
        let sent = serde_json::to_value(Readiness::of(&Signs { contacts, ..signs(&policy) })).unwrap();
        assert_eq!((&sent["ready"], &sent["contacts"]), (&object!(true), &object!({ "tested": true, "unproved": 1 })));
        crate::http::shapes::tests::assert_fits(&sent, "Readiness");
    }

    #[test]
    fn readiness_names_the_part_that_is_not() {
        let sent = serde_json::to_value(Readiness::of(&Signs { undelivered: 9, ..signs(&policy()) })).unwrap();
        assert_eq!(sent["journal"]["ready"], true);
        assert_eq!(sent["outbox"], object!({ "ready": false, "undelivered": 9, "undelivered_max": 3 }));
        crate::http::shapes::tests::assert_fits(&sent, "Readiness");
    }

    #[test]
    fn a_journal_that_is_away_is_shown_and_records_are_taken_all_the_same() {
        let policy = policy();
        let away = Signs { journal_away_since: Some(Timestamp::UNIX_EPOCH), ..signs(&policy) };
        let sent = serde_json::to_value(Readiness::of(&away)).unwrap();
        assert_eq!(sent["journal"], object!({ "ready": true, "away_since": "1970-01-01T00:00:00Z" }));
        assert_eq!(sent["ready"], true);
        crate::http::shapes::tests::assert_fits(&sent, "Readiness");
    }

    #[test]
    fn a_refused_policy_is_shown_and_the_last_good_one_keeps_the_adapter_ready() {
        let refused = RefusedPolicy {
            digest: Some("cd".to_owned()),
            since: "2026-05-01T20:00:00Z".parse().unwrap(),
            faults: vec!["policy.toml line 7, `rule`: no program is named `cso`".to_owned()],
            faults_total: 1,
        };
        let policy = policy();
        let sent = serde_json::to_value(Readiness::of(&Signs { refused: Some(Arc::new(refused)), ..signs(&policy) }));
        let sent = sent.unwrap();
        assert_eq!((&sent["ready"], &sent["policy"]["digest"]), (&object!(true), &object!("ab")));
        assert_eq!(sent["policy"]["refused"]["digest"], "cd");
        assert_eq!(sent["policy"]["refused"]["faults"][0], "policy.toml line 7, `rule`: no program is named `cso`");
        crate::http::shapes::tests::assert_fits(&sent, "Readiness");
    }

    #[test]
    fn what_is_undelivered_is_of_its_shape() {
        let mut held = DeadLetters::default();
        let given_up =
            crate::incident::Event::Undeliverable { key: "i1.3.cad".to_owned(), why: "refused-422".to_owned() };
        held.note(&crate::record::IncidentId::new("i1"), &given_up, Timestamp::UNIX_EPOCH);
        let DeadLetters { letters, letters_not_listed, .. } = held;
        let down_since = Some(Timestamp::UNIX_EPOCH);
        let cad = Destination { name: "cad".to_owned(), waiting: 2, breaker: "open", down_since };
        let destinations = vec![cad.clone(), Destination { breaker: "closed", down_since: None, ..cad }];
        let contacts = vec![contact(None), Contact { proved_at: None, ..contact(Some("no-connection")) }];
        let sent = Undelivered { letters, letters_not_listed, waiting: 2, destinations, contacts };
        let sent = serde_json::to_value(sent).unwrap();
        for contact in sent["contacts"].as_array().unwrap() {
            crate::http::shapes::tests::assert_fits(contact, "Contact");
        }
        assert_eq!(
            (&sent["letters"][0]["what"], &sent["letters"][0]["why"]),
            (&object!("cad"), &object!("refused-422"))
        );
        crate::http::shapes::tests::assert_fits(&sent, "Undelivered");
    }

    #[tokio::test]
    async fn alive_is_200() {
        assert_eq!(alive().await.status(), 200);
    }
}
