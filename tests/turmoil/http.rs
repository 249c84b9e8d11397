//! HTTP as the hosts outside the adapter speak it: one request a connection, and a server that answers each by a function.

use crate::ground::Ground;
use crate::plan::Manner;
use crate::wire::Wire;
use crate::world::{Shared, held};
use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep, timeout};
use turmoil::net::TcpListener;

/// An answer, whole.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn retry_after_s(&self) -> Option<u64> {
        self.headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Asks the adapter or whoever is named, over a connection of its own; what fails is no answer.
pub async fn ask<B>(
    world: &Shared,
    from: &'static str,
    to: &'static str,
    port: u16,
    request: Request<B>,
    limit: Duration,
) -> Option<Reply>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let ground = held(world).ground.clone();
    let asked = async move {
        let wire = Wire::connect(world, from, to, port).await.ok()?;
        if held(world).plan.tls {
            let name = ServerName::try_from(to).ok()?;
            exchange(ground.connector.connect(name, wire).await.ok()?, request).await
        } else {
            exchange(wire, request).await
        }
    };
    timeout(limit, asked).await.ok()?
}

async fn exchange<S, B>(stream: S, request: Request<B>) -> Option<Reply>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let driving = tokio::spawn(connection);
    let answered = async {
        let response = sender.send_request(request).await.ok()?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
    };
    let reply = answered.await;
    driving.abort();
    reply
}

/// A body whose bytes come a few at a time.
pub struct Drip {
    left: VecDeque<Bytes>,
    pause: Pin<Box<Sleep>>,
}

/// The pause between two drops.
const DRIP: Duration = Duration::from_millis(60);

impl Drip {
    pub fn of(bytes: &Bytes, drops: usize) -> Self {
        let size = bytes.len().div_ceil(drops).max(1);
        Self { left: bytes.chunks(size).map(Bytes::copy_from_slice).collect(), pause: Box::pin(sleep(DRIP)) }
    }
}

impl Body for Drip {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        ready!(self.pause.as_mut().poll(context));
        self.pause = Box::pin(sleep(DRIP));
        Poll::Ready(self.left.pop_front().map(|drop| Ok(Frame::data(drop))))
    }
}

/// Serves a host for ever; `answer` says what becomes of a request once its body is whole, and is told whether it will be heard.
pub async fn serve<A>(world: Shared, ground: Arc<Ground>, host: &'static str, port: u16, answer: A) -> turmoil::Result
where
    A: Fn(&Parts, Bytes, bool) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
{
    let listener = TcpListener::bind(("0.0.0.0", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let wire = Wire::accepted(&world, host, stream);
        let (world, ground, answer) = (Arc::clone(&world), Arc::clone(&ground), answer.clone());
        tokio::spawn(async move {
            let tls = held(&world).plan.tls;
            let service = service_fn(move |request| {
                let (world, answer) = (Arc::clone(&world), answer.clone());
                async move { with_manners(&world, host, request, answer).await }
            });
            let http = hyper::server::conn::http1::Builder::new();
            if tls {
                let Ok(stream) = ground.acceptor.accept(wire).await else { return };
                let _ended = http.serve_connection(TokioIo::new(stream), service).await;
            } else {
                let _ended = http.serve_connection(TokioIo::new(wire), service).await;
            }
        });
    }
}

/// Answers as the host's manners are now.
async fn with_manners<A>(
    world: &Shared,
    host: &'static str,
    request: Request<Incoming>,
    answer: A,
) -> Result<Response<Full<Bytes>>, io::Error>
where
    A: Fn(&Parts, Bytes, bool) -> Response<Full<Bytes>>,
{
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let manner = held(world).manner_of(host);
    let refusal = |status: u16| {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    };
    match manner {
        Manner::Well => Ok(answer(&parts, body, true)),
        Manner::Slow(by_ms) => {
            let response = answer(&parts, body, true);
            sleep(Duration::from_millis(by_ms)).await;
            Ok(response)
        }
        Manner::Busy(seconds) => {
            let mut response = refusal(503);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            Ok(response)
        }
        Manner::Broken => Ok(refusal(500)),
        Manner::Refuses => Ok(refusal(422)),
        Manner::Swallows => {
            let _unsaid = answer(&parts, body, false);
            std::future::pending().await
        }
        Manner::HangsUp => Err(io::ErrorKind::ConnectionReset.into()),
    }
}
