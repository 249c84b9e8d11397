//! What every request passes on its way in, innermost first, each layer with the reason it is there.

use super::bodies::{Pace, PacedBody};
use super::limits::{Limits, ms, size};
use super::listener::DoorName;
use super::problem::{self, PROBLEM_MEDIA_TYPE, Problem};
use crate::clock::monotonic_now;
use crate::telemetry;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Version, header};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;

/// Puts the layers around a router of plain requests: machines' calls and pages alike.
pub fn guard(router: Router, door: DoorName, limits: &Limits) -> Router {
    let shed = Shed { door, places: Arc::new(Semaphore::new(size(limits.requests_in_flight_max))) };
    router
        // A body that drips or stops gives its place back.
        .layer(from_fn_with_state(Pace::of(limits), paced))
        // A length that is declared too large is refused before its bytes are sent; others are cut at the limit.
        .layer(RequestBodyLimitLayer::new(size(limits.body_bytes_max)))
        // Nobody waits longer than this for an answer's head; what had begun goes on and is not undone.
        .layer(from_fn_with_state(ms(limits.request_ms), in_time))
        // Above what can be done in time a request is refused at once, so that those in hand still meet it (I17).
        .layer(from_fn_with_state(shed, shedding))
        // A head that two readers could read differently is refused before anybody reads it.
        .layer(from_fn(well_formed))
        // A panic costs its own request only, and says nothing of what it held (invariant I12).
        .layer(CatchPanicLayer::custom(panicked))
        // A bare 404, 405 or 413 of a router or layer becomes a problem document like any other refusal.
        .layer(map_response(as_problem))
        // Every answer is counted, also those of the layers below.
        .layer(from_fn_with_state(door, counted))
}

/// Puts the layers around the pass-through: nothing that limits, delays or rewrites what is between a peer and its CAD.
pub(super) fn guard_pass_through(router: Router, door: DoorName, limits: &Limits) -> Router {
    router
        // A body may be as long and as slow as it likes, but a peer that stands still gives its place back.
        .layer(from_fn_with_state(Pace::of_pauses(ms(limits.body_stall_ms)), paced))
        // A head that two readers could read differently must not reach the CAD, which is the second reader.
        .layer(from_fn(well_formed))
        // A panic costs its own request only.
        .layer(CatchPanicLayer::custom(panicked))
        // Every answer is counted.
        .layer(from_fn_with_state(door, counted))
}

async fn counted(State(door): State<DoorName>, request: Request, next: Next) -> Response {
    let began = monotonic_now();
    let response = next.run(request).await;
    telemetry::request_answered(door.name(), response.status().as_u16(), began.elapsed());
    response
}

async fn as_problem(response: Response) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let bare = kind.is_empty() || kind.starts_with("text/plain");
    if !bare || kind == PROBLEM_MEDIA_TYPE {
        return response;
    }
    let allow = response.headers().get(header::ALLOW).cloned();
    let mut problem = Problem::of_status(status).into_response();
    if let Some(allow) = allow {
        problem.headers_mut().insert(header::ALLOW, allow);
    }
    problem
}

fn panicked(_message: Box<dyn Any + Send>) -> Response {
    telemetry::panic_caught();
    Problem::new(problem::INTERNAL, "the adapter failed on this request and goes on with the others")
        .next("keep the call on the ordinary route")
        .into_response()
}

async fn well_formed(request: Request, next: Next) -> Response {
    match head_fault(&request) {
        Some(fault) => fault.into_response(),
        None => next.run(request).await,
    }
}

fn head_fault(request: &Request) -> Option<Problem> {
    let headers = request.headers();
    let fault = |detail: &str, place: &str| Some(Problem::new(problem::BAD_REQUEST, detail).at(place));
    let hosts = headers.get_all(header::HOST).iter().count();
    // HTTP/2 carries the host as `:authority`; a `Host` besides is allowed there, two are not.
    let named_otherwise = request.version() >= Version::HTTP_2 && request.uri().authority().is_some();
    if hosts > 1 || (hosts == 0 && !named_otherwise) {
        return fault("exactly one `Host` is needed", "header `Host`");
    }
    if headers.keys().any(|name| name.as_str().contains('_')) {
        // Some servers turn `-` into `_`, so that `X_Y` would pass for `X-Y` behind us.
        return fault("a header's name may not contain an underscore", "headers");
    }
    if headers.contains_key(header::CONTENT_LENGTH) && headers.contains_key(header::TRANSFER_ENCODING) {
        return fault("`Content-Length` and `Transfer-Encoding` exclude each other", "headers");
    }
    None
}

#[derive(Clone)]
struct Shed {
    door: DoorName,
    places: Arc<Semaphore>,
}

async fn shedding(State(shed): State<Shed>, request: Request, next: Next) -> Response {
    let Ok(_place) = shed.places.try_acquire() else {
        telemetry::request_shed(shed.door.name());
        return Problem::new(problem::TOO_BUSY, "the request was not accepted")
            .next("use the ordinary path, and try again")
            .retry_after_s(1)
            .into_response();
    };
    next.run(request).await
}

async fn in_time(State(bound): State<Duration>, request: Request, next: Next) -> Response {
    tokio::time::timeout(bound, next.run(request)).await.unwrap_or_else(|_| {
        Problem::new(problem::DEADLINE_PASSED, "the answer was not ready in time")
            .next("keep the call on the ordinary route, and ask again: a repeat of the same record changes nothing")
            .retry_after_s(1)
            .into_response()
    })
}

async fn paced(State(pace): State<Pace>, request: Request, next: Next) -> Response {
    next.run(request.map(|body| Body::new(PacedBody::new(body, pace)))).await
}

/// The one value of a header, where it is there once and readable.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// A JSON answer that no cache keeps.
pub(super) fn json(status: StatusCode, body: &impl serde::Serialize) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")], axum::Json(body))
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::{get, post};
    use tower::ServiceExt;

    fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> Request {
        let mut builder = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(body).unwrap()
    }

    fn router(limits: &Limits) -> Router {
        let slow = || async { tokio::time::sleep(Duration::from_millis(200)).await };
        let router = Router::new()
            .route("/fine", get(|| async { "fine" }))
            .route("/slow", get(slow))
            .route(
                "/panic",
                get(|| async {
                    if true {
                        panic!("Jane Doe, 555-0100")
                    }
                }),
            )
            .route("/echo", post(|body: axum::body::Bytes| async { body }));
        guard(router, DoorName::Intake, limits)
    }

    async fn status(limits: &Limits, request: Request) -> u16 {
        router(limits).oneshot(request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn heads_that_can_be_read_in_two_ways_are_refused() {
        let limits = Limits::default();
        for (headers, expected) in [
            (vec![("host", "a")], 200),
            (vec![], 400),
            (vec![("host", "a"), ("host", "b")], 400),
            (vec![("host", "a"), ("x_forwarded_for", "b")], 400),
            (vec![("host", "a"), ("content-length", "1"), ("transfer-encoding", "chunked")], 400),
        ] {
            assert_eq!(
                status(&limits, request("GET", "/fine", &headers, Body::empty())).await,
                expected,
                "{headers:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_500_without_its_message_and_the_next_request_is_served() {
        let router = router(&Limits::default());
        let host = [("host", "a")];
        let response = router.clone().oneshot(request("GET", "/panic", &host, Body::empty())).await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM_MEDIA_TYPE);
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("Jane"));
        let next = router.oneshot(request("GET", "/fine", &host, Body::empty())).await.unwrap();
        assert_eq!(next.status(), 200);
    }

    #[tokio::test]
    async fn bare_refusals_become_problem_documents() {
        for (method, path, expected) in [("GET", "/nowhere", 404), ("DELETE", "/fine", 405)] {
            let response = router(&Limits::default())
                .oneshot(request(method, path, &[("host", "a")], Body::empty()))
                .await
                .unwrap();
            assert_eq!(response.status().as_u16(), expected);
            assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM_MEDIA_TYPE);
            assert_eq!(response.headers().contains_key(header::ALLOW), expected == 405);
        }
    }

    #[tokio::test]
    async fn a_body_declared_too_large_is_413_before_it_is_read() {
        let limits = Limits { body_bytes_max: 8, ..Limits::default() };
        let unread = Body::from_stream(tokio_stream::pending::<Result<bytes::Bytes, std::io::Error>>());
        let declared = request("POST", "/echo", &[("host", "a"), ("content-length", "9")], unread);
        assert_eq!(status(&limits, declared).await, 413);
        let fits = request("POST", "/echo", &[("host", "a")], Body::from("12345678"));
        assert_eq!(status(&limits, fits).await, 200);
    }

    #[tokio::test]
    async fn above_the_limit_in_hand_a_request_is_shed_at_once() {
        let router = router(&Limits { requests_in_flight_max: 1, ..Limits::default() });
        let host = [("host", "a")];
        let first = tokio::spawn(router.clone().oneshot(request("GET", "/slow", &host, Body::empty())));
        tokio::time::sleep(Duration::from_millis(50)).await;
        let second = router.clone().oneshot(request("GET", "/fine", &host, Body::empty())).await.unwrap();
        assert_eq!(second.status(), 503);
        assert!(second.headers().contains_key(header::RETRY_AFTER));
        assert_eq!(first.await.unwrap().unwrap().status(), 200);
        let third = router.oneshot(request("GET", "/fine", &host, Body::empty())).await.unwrap();
        assert_eq!(third.status(), 200);
    }

    #[tokio::test]
    async fn an_answer_that_is_late_is_503() {
        let limits = Limits { request_ms: 20, ..Limits::default() };
        assert_eq!(status(&limits, request("GET", "/slow", &[("host", "a")], Body::empty())).await, 503);
    }
}
