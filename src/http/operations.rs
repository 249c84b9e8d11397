//! Health, readiness, metrics, and what the policy does not know.

use super::State;
use super::bodies::read_command;
use super::layers::json;
use super::problem::{self, Problem};
use crate::call_processing::{CallProblem, RefusedPolicy, Roster, RosterFault};
use crate::policy::PolicyIdentity;
use crate::telemetry;
use axum::body::Body;
use axum::extract;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json as object;
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
        policy: policy.as_ref().map(|policy| policy.identity()),
        refused: state.desk.refused_policy(),
        undelivered,
        undelivered_max: state.undelivered_max,
        stopping: *state.shutdown.borrow(),
    });
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &readiness)
}

/// `GET /metrics`: the Prometheus text exposition, version 0.0.4.
pub(super) async fn metrics(state: Shared) -> Response {
    telemetry::incidents_open(state.desk.open_incidents().len());
    telemetry::outbox_depth(state.desk.undelivered().len());
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, state.metrics.render()).into_response()
}

/// `GET /v1/call-types/unmapped`: what to add to `call_types.csv`.
pub(super) async fn unmapped(state: Shared) -> Response {
    json(StatusCode::OK, &state.desk.unmapped_call_types())
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
    policy: Option<&'a PolicyIdentity>,
    refused: Option<Arc<RefusedPolicy>>,
    undelivered: usize,
    undelivered_max: usize,
    stopping: bool,
}

#[derive(Debug, Serialize)]
struct Readiness<'a> {
    ready: bool,
    journal: Part,
    policy: Policy<'a>,
    outbox: Outbox,
    stopping: bool,
}

#[derive(Debug, Serialize)]
struct Part {
    ready: bool,
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

impl<'a> Readiness<'a> {
    fn of(signs: &Signs<'a>) -> Self {
        let policy = signs.policy.is_some();
        let refused = signs.refused.clone();
        let outbox = signs.undelivered <= signs.undelivered_max;
        Self {
            ready: signs.journal && policy && outbox && !signs.stopping,
            journal: Part { ready: signs.journal },
            policy: Policy {
                ready: policy,
                revision: signs.policy.map_or("", |policy| &policy.revision),
                digest: signs.policy.map_or("", |policy| &policy.digest),
                refused,
            },
            outbox: Outbox { ready: outbox, undelivered: signs.undelivered, undelivered_max: signs.undelivered_max },
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
            policy: Some(policy),
            refused: None,
            undelivered: 3,
            undelivered_max: 3,
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

    #[test]
    fn readiness_names_the_part_that_is_not() {
        let sent = serde_json::to_value(Readiness::of(&Signs { undelivered: 9, ..signs(&policy()) })).unwrap();
        assert_eq!(sent["journal"]["ready"], true);
        assert_eq!(sent["outbox"], object!({ "ready": false, "undelivered": 9, "undelivered_max": 3 }));
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

    #[tokio::test]
    async fn alive_is_200() {
        assert_eq!(alive().await.status(), 200);
    }
}
