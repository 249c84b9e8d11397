//! Request bodies under a pace, and the two ways they are read: whole bytes, or one small JSON object.

use super::limits::{Limits, ms};
use super::problem::{self, Problem};
use crate::clock::monotonic_now;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// Bytes in a JSON command (an answer, a choice, a status), at most.
const COMMAND_BYTES_MAX: usize = 16 * 1024;

/// How fast a body must come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// From the first read to the end; none for a body whose reading waits for somebody else.
    total: Option<Duration>,
    /// Before the rate counts.
    grace: Duration,
    /// Least average bytes a second.
    bytes_per_s_min: f64,
    /// Longest pause.
    stall: Duration,
}

impl Pace {
    /// For a body that is read as fast as it comes.
    pub(super) fn of(limits: &Limits) -> Self {
        Self {
            total: Some(ms(limits.body_total_ms)),
            grace: ms(limits.body_grace_ms),
            bytes_per_s_min: f64::from(limits.body_bytes_per_s_min),
            stall: ms(limits.body_stall_ms),
        }
    }

    /// For a body that is passed on: only its pauses count, and only while it is waited for, because the time in
    /// which the next party does not take bytes is not the sender's.
    pub(super) fn of_pauses(stall: Duration) -> Self {
        Self { total: None, grace: Duration::ZERO, bytes_per_s_min: 1.0, stall }
    }

    fn deadline(&self, began: Instant, received: f64, now: Instant) -> Instant {
        let paused = now + self.stall;
        let Some(total) = self.total else { return paused };
        let earned = Duration::try_from_secs_f64(received / self.bytes_per_s_min).unwrap_or(total);
        paused.min(began + total).min(began + self.grace.saturating_add(earned))
    }
}

/// A body came too slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body came too slowly")]
pub(super) struct TooSlow;

/// A body that fails with [`TooSlow`] when it falls behind its pace.
pub(super) struct PacedBody {
    inner: Body,
    pace: Pace,
    began: Option<Instant>,
    received: f64,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl PacedBody {
    pub(super) fn new(inner: Body, pace: Pace) -> Self {
        Self { inner, pace, began: None, received: 0.0, waiting: None }
    }
}

impl http_body::Body for PacedBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                this.waiting = None;
                let arrived = frame.data_ref().map_or(0, Bytes::len);
                this.received += f64::from(u32::try_from(arrived).unwrap_or(u32::MAX));
                this.began.get_or_insert_with(monotonic_now);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let waiting = this.waiting.get_or_insert_with(|| {
                    let now = monotonic_now();
                    let began = *this.began.get_or_insert(now);
                    let until = this.pace.deadline(began, this.received, now);
                    Box::pin(tokio::time::sleep_until(until.into()))
                });
                ready!(waiting.as_mut().poll(context));
                Poll::Ready(Some(Err(Box::new(TooSlow))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A body that keeps something (a place, a count) until its last byte is gone.
pub(super) struct HeldBody<B, G> {
    body: B,
    _held: G,
}

impl<B, G> HeldBody<B, G> {
    pub(super) fn new(body: B, held: G) -> Self {
        Self { body, _held: held }
    }
}

impl<B: http_body::Body + Unpin, G: Unpin> http_body::Body for HeldBody<B, G> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Reads a body of at most so many bytes.
///
/// # Errors
/// 413 above the limit, 408 where it falls behind its pace, 400 where it breaks off.
pub(super) async fn read_bytes(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let read = Limited::new(body, bytes_max).collect().await;
    read.map(http_body_util::Collected::to_bytes).map_err(|error| {
        let error: &(dyn Error + 'static) = error.as_ref();
        if cause::<LengthLimitError>(error).is_some() {
            Problem::new(problem::TOO_LARGE, format!("the body may have {bytes_max} bytes at most"))
        } else if cause::<TooSlow>(error).is_some() {
            Problem::new(problem::TOO_SLOW, "the body fell behind the least rate or the deadline of this door")
        } else {
            Problem::new(problem::BAD_REQUEST, "the body broke off")
        }
    })
}

/// Reads one small JSON object. An empty body counts as `{}`.
///
/// # Errors
/// 415 where it is not declared as JSON (which also keeps forms of other sites out), 400 where it is not JSON, 422
/// where it does not fit; the place is a line and column, because a parser's own words may quote the content.
pub(super) async fn read_command<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    let undeclared = !headers.contains_key(header::CONTENT_TYPE);
    let not_json = || {
        Problem::new(problem::UNSUPPORTED, "the body must be JSON")
            .at("header `Content-Type`")
            .next("send `Content-Type: application/json`")
    };
    if !undeclared && !is_json(headers) {
        return Err(not_json());
    }
    let bytes = read_bytes(body, COMMAND_BYTES_MAX).await?;
    if undeclared && !bytes.is_empty() {
        return Err(not_json());
    }
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(text).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Data => {
                Problem::new(problem::INVALID_BODY, "a member is missing, unknown, repeated or of the wrong kind")
                    .at(place)
                    .next("`/v1/openapi.yaml` has the members and their values")
            }
            _ => Problem::new(problem::MALFORMED_BODY, "this is not JSON").at(place),
        }
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    declared.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use tokio_stream::StreamExt;

    fn limits() -> Limits {
        Limits {
            body_total_ms: 300,
            body_grace_ms: 60,
            body_bytes_per_s_min: 1_000,
            body_stall_ms: 100,
            ..Limits::default()
        }
    }

    fn dripping(bytes: usize, every: Duration, times: usize) -> Body {
        let drop = move || Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; bytes]));
        Body::from_stream(tokio_stream::iter(std::iter::repeat_with(drop).take(times)).throttle(every))
    }

    async fn read(body: Body, pace: Pace) -> Result<Bytes, Problem> {
        read_bytes(Body::new(PacedBody::new(body, pace)), 1_000).await
    }

    #[tokio::test]
    async fn a_dripping_body_is_cut_off_at_408_though_it_never_pauses_long() {
        let body = dripping(1, Duration::from_millis(20), 40);
        let problem = read(body, Pace::of(&limits())).await.unwrap_err();
        assert_eq!(problem.status(), 408);
    }

    #[tokio::test]
    async fn a_body_that_stops_is_cut_off_and_one_that_keeps_pace_is_read() {
        let stopped = Body::from_stream(tokio_stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(read(stopped, Pace::of(&limits())).await.unwrap_err().status(), 408);
        let steady = dripping(50, Duration::from_millis(10), 10);
        assert_eq!(read(steady, Pace::of(&limits())).await.unwrap().len(), 500);
    }

    #[tokio::test]
    async fn a_passed_on_body_may_be_slow_but_not_stand_still() {
        let slow = dripping(1, Duration::from_millis(20), 20);
        assert_eq!(read(slow, Pace::of_pauses(Duration::from_millis(200))).await.unwrap().len(), 20);
        let stopped = Body::from_stream(tokio_stream::pending::<Result<Bytes, std::io::Error>>());
        let stalled = read(stopped, Pace::of_pauses(Duration::from_millis(50))).await;
        assert_eq!(stalled.unwrap_err().status(), 408);
    }

    #[tokio::test]
    async fn a_body_above_the_limit_is_413() {
        assert_eq!(read_bytes(Body::from(vec![0; 11]), 10).await.unwrap_err().status(), 413);
        assert_eq!(read_bytes(Body::from(vec![0; 10]), 10).await.unwrap().len(), 10);
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Command {
        fact: Option<String>,
    }

    async fn command(declared: &str, body: &'static str) -> Result<Command, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, declared.parse().unwrap());
        read_command(&headers, Body::from(body)).await
    }

    #[tokio::test]
    async fn commands_are_json_and_their_faults_have_a_place_but_no_content() {
        assert_eq!(command("application/json", "").await.unwrap(), Command::default());
        let read = command("Application/JSON; charset=utf-8", r#"{"fact":"weapon"}"#).await.unwrap();
        assert_eq!(read.fact.as_deref(), Some("weapon"));
        assert_eq!(read_command::<Command>(&HeaderMap::new(), Body::empty()).await.unwrap(), Command::default());
        assert_eq!(read_command::<Command>(&HeaderMap::new(), Body::from("{}")).await.unwrap_err().status(), 415);
        assert_eq!(command("text/plain", "{}").await.unwrap_err().status(), 415);
        assert_eq!(command("application/json", "{\"fact\":").await.unwrap_err().status(), 400);
        let unknown = command("application/json", r#"{"Jane Doe":1}"#).await.unwrap_err();
        assert_eq!(unknown.status(), 422);
        assert!(!format!("{unknown:?}").contains("Jane"));
        assert_eq!(command("application/json", r#"{"fact":"a","fact":"b"}"#).await.unwrap_err().status(), 422);
    }
}
