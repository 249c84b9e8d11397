//! Health, readiness, metrics, and what the policy does not know.

use super::State;
use super::layers::json;
use crate::telemetry;
use axum::extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json as object;

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
        policy: policy.as_ref().map_or("", |policy| policy.identity().revision.as_str()),
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

/// What readiness is judged by.
struct Signs<'a> {
    journal: bool,
    policy: &'a str,
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
}

#[derive(Debug, Serialize)]
struct Outbox {
    ready: bool,
    undelivered: usize,
    undelivered_max: usize,
}

impl<'a> Readiness<'a> {
    fn of(signs: &Signs<'a>) -> Self {
        let policy = !signs.policy.is_empty();
        let outbox = signs.undelivered <= signs.undelivered_max;
        Self {
            ready: signs.journal && policy && outbox && !signs.stopping,
            journal: Part { ready: signs.journal },
            policy: Policy { ready: policy, revision: signs.policy },
            outbox: Outbox { ready: outbox, undelivered: signs.undelivered, undelivered_max: signs.undelivered_max },
            stopping: signs.stopping,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs() -> Signs<'static> {
        Signs { journal: true, policy: "2026-1", undelivered: 3, undelivered_max: 3, stopping: false }
    }

    #[test]
    fn ready_only_where_every_part_is() {
        assert!(Readiness::of(&signs()).ready);
        for bad in [
            Signs { journal: false, ..signs() },
            Signs { policy: "", ..signs() },
            Signs { undelivered: 4, ..signs() },
            Signs { stopping: true, ..signs() },
        ] {
            assert!(!Readiness::of(&bad).ready);
        }
    }

    #[test]
    fn readiness_names_the_part_that_is_not() {
        let sent = serde_json::to_value(Readiness::of(&Signs { undelivered: 9, ..signs() })).unwrap();
        assert_eq!(sent["journal"]["ready"], true);
        assert_eq!(sent["outbox"], object!({ "ready": false, "undelivered": 9, "undelivered_max": 3 }));
        crate::http::shapes::tests::assert_fits(&sent, "Readiness");
    }

    #[tokio::test]
    async fn alive_is_200() {
        assert_eq!(alive().await.status(), 200);
    }
}
