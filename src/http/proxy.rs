//! The pass-through: a peer's bytes go to the CAD as they come, and a copy is assessed beside them (invariant I4).
//!
//! Nothing here waits for an assessment: the copy is taken on the way, put on a bounded queue or dropped and counted.

mod copies;

pub use copies::{CadCopy, Copies, assess_copies};

use super::State;
use super::authentication::{OWN_AUTHORIZATION, RecognisedBy};
use super::bodies::{HeldBody, Pace, PacedBody};
use super::calls::{SENDER, sender_of};
use super::limits::{ms, size};
use super::problem::{self, Problem};
use crate::network::{Connector, Dial};
use crate::telemetry;
use axum::body::Body;
use axum::extract::{self, Request};
use axum::http::{HeaderMap, HeaderName, Method, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use copies::Copying;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// Frames on their way to the CAD, at most: the CAD's own pace is passed back to the peer.
const FRAMES_WAITING_MAX: usize = 8;

/// The `[pass_through]` part of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxySettings {
    /// Where the CAD is, `http://` or `https://`; what follows `/cad` in a request is put behind it.
    pub cad_base_url: String,
    /// PEM file with the authority that signed the CAD's certificate; without it the public authorities count.
    #[serde(default)]
    pub cad_authority: Option<PathBuf>,
    /// Exchanges with the CAD at once.
    #[serde(default = "exchanges_max")]
    pub exchanges_max: u32,
    /// Milliseconds to connect, and to wait for a place among the exchanges.
    #[serde(default = "connect_ms")]
    pub connect_ms: u64,
    /// Milliseconds from the end of a request's body to the head of the CAD's answer.
    #[serde(default = "answer_ms")]
    pub answer_ms: u64,
    /// Milliseconds that the CAD may stand still, taking or giving a body.
    #[serde(default = "stall_ms")]
    pub stall_ms: u64,
    /// Bytes of a body that is copied for assessment, at most; longer ones are passed through and not assessed.
    #[serde(default = "copy_bytes_max")]
    pub copy_bytes_max: u32,
    /// Bytes of all copies not yet assessed, at most.
    #[serde(default = "copies_bytes_max")]
    pub copies_bytes_max: u32,
    /// Copies waiting to be assessed, at most.
    #[serde(default = "copies_waiting_max")]
    pub copies_waiting_max: u32,
}

fn exchanges_max() -> u32 {
    256
}
fn connect_ms() -> u64 {
    3_000
}
fn answer_ms() -> u64 {
    30_000
}
fn stall_ms() -> u64 {
    30_000
}
fn copy_bytes_max() -> u32 {
    1024 * 1024
}
fn copies_bytes_max() -> u32 {
    64 * 1024 * 1024
}
fn copies_waiting_max() -> u32 {
    1_024
}

impl ProxySettings {
    /// The defaults for a CAD at this address.
    #[must_use]
    pub fn to(cad_base_url: impl Into<String>) -> Self {
        Self {
            cad_base_url: cad_base_url.into(),
            cad_authority: None,
            exchanges_max: exchanges_max(),
            connect_ms: connect_ms(),
            answer_ms: answer_ms(),
            stall_ms: stall_ms(),
            copy_bytes_max: copy_bytes_max(),
            copies_bytes_max: copies_bytes_max(),
            copies_waiting_max: copies_waiting_max(),
        }
    }
}

/// Why the pass-through cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyFault {
    /// Not an address of a CAD.
    #[error("`cad_base_url` must be `http://host…` or `https://host…` without a query")]
    Address,
    /// The authority's file cannot be used.
    #[error("`{}` cannot be used for TLS to the CAD: {why}", .path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A bound that lets nothing through.
    #[error("`{0}` must be at least 1")]
    Bound(&'static str),
}

/// The pass-through to one CAD.
pub struct Proxy {
    base: String,
    client: Client<HttpsConnector<Connector<HttpConnector>>, ToCad>,
    exchanges: Arc<Semaphore>,
    settings: ProxySettings,
    copies: Copies,
}

impl Proxy {
    /// Sets up the pass-through; the receiver yields the copies, for [`assess_copies`]. Nothing is connected yet. The CAD is
    /// reached by `dial` on a simulated network.
    ///
    /// # Errors
    /// [`ProxyFault`].
    pub fn new(
        settings: ProxySettings,
        dial: Option<Dial>,
    ) -> Result<(Arc<Self>, mpsc::Receiver<CadCopy>), ProxyFault> {
        let base = settings.cad_base_url.trim_end_matches('/').to_owned();
        let address: Uri = base.parse().map_err(|_| ProxyFault::Address)?;
        if !matches!(address.scheme_str(), Some("http" | "https")) || address.host().is_none_or(str::is_empty) {
            return Err(ProxyFault::Address);
        }
        if address.query().is_some() {
            return Err(ProxyFault::Address);
        }
        for (bound, value) in [
            ("exchanges_max", settings.exchanges_max),
            ("copy_bytes_max", settings.copy_bytes_max),
            ("copies_bytes_max", settings.copies_bytes_max),
            ("copies_waiting_max", settings.copies_waiting_max),
        ] {
            if value == 0 {
                return Err(ProxyFault::Bound(bound));
            }
        }
        let (queue, receiver) = mpsc::channel(size(settings.copies_waiting_max));
        let copies = Copies::new(queue, size(settings.copy_bytes_max), settings.copies_bytes_max);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(4))
            .pool_max_idle_per_host(size(settings.exchanges_max))
            .build(connector(&settings, dial)?);
        let exchanges = Arc::new(Semaphore::new(size(settings.exchanges_max)));
        Ok((Arc::new(Self { base, client, exchanges, settings, copies }), receiver))
    }

    /// Passes one request on and brings the CAD's answer back, both unbuffered.
    async fn pass(&self, request: Request) -> Result<Response, Problem> {
        let sender = sender_of(request.headers())?;
        let stall = ms(self.settings.stall_ms);
        let copying = matches!(*request.method(), Method::POST | Method::PUT).then(|| self.copies.begin(sender));
        let target = self.target(request.uri())?;
        let recognised_by = request.extensions().get::<RecognisedBy>().map(|by| by.0.clone());
        let (parts, body) = request.into_parts();
        let (body, on_its_way) = split(body, copying, stall);
        let mut onward = hyper::Request::new(body);
        *onward.method_mut() = parts.method;
        *onward.uri_mut() = target;
        *onward.headers_mut() = parts.headers;
        strip_request(onward.headers_mut(), recognised_by);
        let answer = self.exchange(onward, on_its_way).await?;
        let (mut parts, (body, place)) = answer;
        strip_hop_by_hop(&mut parts.headers);
        let paced = PacedBody::new(Body::new(body), Pace::of_pauses(stall));
        Ok(Response::from_parts(parts, Body::new(HeldBody::new(paced, place))))
    }

    async fn exchange<P>(&self, onward: hyper::Request<ToCad>, on_its_way: P) -> Result<Answered, Problem>
    where
        P: Future<Output = ()>,
    {
        let waited = timeout(ms(self.settings.connect_ms), Arc::clone(&self.exchanges).acquire_owned()).await;
        let Ok(Ok(place)) = waited else {
            drop(onward);
            on_its_way.await;
            telemetry::cad_forwarded("busy");
            return Err(Problem::new(problem::TOO_BUSY, "too many exchanges with the CAD are in hand").retry_after_s(1));
        };
        let answer = self.client.request(onward);
        let answer_ms = ms(self.settings.answer_ms);
        let mut on_its_way = std::pin::pin!(on_its_way);
        let mut sent = false;
        tokio::pin!(answer);
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = &mut answer => break Ok(outcome),
                () = on_its_way.as_mut(), if !sent => sent = true,
                // Counted from the end of the body: a long body is not a slow CAD.
                () = tokio::time::sleep(answer_ms), if sent => break Err(()),
            }
        };
        match outcome {
            Ok(Ok(response)) => {
                telemetry::cad_forwarded("answered");
                let (parts, body) = response.into_parts();
                Ok((parts, (body, place)))
            }
            Ok(Err(_)) => {
                telemetry::cad_forwarded("unreachable");
                // What the peer still sends is read to its end, so that the copy is whole and can be assessed.
                if !sent {
                    on_its_way.await;
                }
                Err(Problem::new(problem::CAD_UNREACHABLE, "the CAD cannot be reached or broke off")
                    .next("send the record to the CAD by its other way; a copy is assessed here"))
            }
            Err(()) => {
                telemetry::cad_forwarded("timed-out");
                Err(Problem::new(problem::CAD_TIMED_OUT, "the CAD took the request and did not answer in time")
                    .next("ask the CAD whether it has the record before it is sent again"))
            }
        }
    }

    fn target(&self, asked: &Uri) -> Result<Uri, Problem> {
        let path = asked.path_and_query().map_or("", |path| path.as_str());
        let rest = path.strip_prefix("/cad").unwrap_or(path);
        format!("{}{rest}", self.base)
            .parse()
            .map_err(|_| Problem::new(problem::BAD_REQUEST, "the path cannot be passed on").at("path"))
    }
}

type Answered = (axum::http::response::Parts, (hyper::body::Incoming, tokio::sync::OwnedSemaphorePermit));

/// `ANY /cad/*`. Runs to its end although the peer may hang up: what it sent must reach the CAD.
pub(super) async fn pass_through(state: extract::State<State>, request: Request) -> Response {
    let Some(proxy) = state.proxy.clone() else {
        return Problem::new(problem::NO_CAD, problem::NO_CAD.title).into_response();
    };
    forward(proxy, request).await
}

async fn forward(proxy: Arc<Proxy>, request: Request) -> Response {
    match tokio::spawn(async move { proxy.pass(request).await }).await {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => {
            telemetry::panic_caught();
            Problem::new(problem::INTERNAL, "the pass-through failed on this request").into_response()
        }
    }
}

fn connector(
    settings: &ProxySettings,
    dial: Option<Dial>,
) -> Result<HttpsConnector<Connector<HttpConnector>>, ProxyFault> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_keepalive(Some(Duration::from_secs(10)));
    http.set_connect_timeout(Some(ms(settings.connect_ms)));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = HttpsConnectorBuilder::new();
    let fault = |path: &Path, why: &dyn std::fmt::Display| ProxyFault::Authority {
        path: path.to_owned(),
        why: why.to_string(),
    };
    let public = Path::new("public authorities");
    let builder = match &settings.cad_authority {
        None => builder.with_provider_and_webpki_roots(provider).map_err(|error| fault(public, &error))?,
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| fault(path, &error))? {
                let certificate = certificate.map_err(|error| fault(path, &error))?;
                roots.add(certificate).map_err(|error| fault(path, &error))?;
            }
            let config = rustls::ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| fault(path, &error))?
                .with_root_certificates(roots)
                .with_no_client_auth();
            builder.with_tls_config(config)
        }
    };
    Ok(builder.https_or_http().enable_http1().wrap_connector(Connector::new(http, dial)))
}

/// Headers of one hop only (RFC 9110, 7.6.1), besides those that `Connection` names.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    // A peer must not be able to strip the length or the type of a body by naming it.
    let essential = [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::CONTENT_ENCODING];
    for name in named.iter().filter(|name| !essential.contains(name)) {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(*name);
    }
}

/// Also takes out what was meant for us: our token must not reach the CAD. `Expect` has been met by reading the body.
fn strip_request(headers: &mut HeaderMap, recognised_by: Option<HeaderName>) {
    strip_hop_by_hop(headers);
    for name in [header::HOST, header::EXPECT, OWN_AUTHORIZATION, HeaderName::from_static(SENDER)] {
        headers.remove(name);
    }
    if let Some(name) = recognised_by {
        headers.remove(name);
    }
}

/// A peer's body on its way to the CAD.
struct ToCad {
    frames: mpsc::Receiver<Result<Frame<Bytes>, io::Error>>,
    length: Option<u64>,
    complete: Arc<AtomicBool>,
}

/// Splits a body into what the CAD reads and the work that feeds it. That work goes on by itself although the CAD
/// stops reading, because the copy is to be whole; it waits for the CAD only so long, and for the copy never.
fn split(body: Body, mut copying: Option<Copying>, stall: Duration) -> (ToCad, impl Future<Output = ()>) {
    let (feed, frames) = mpsc::channel(FRAMES_WAITING_MAX);
    let complete = Arc::new(AtomicBool::new(http_body::Body::is_end_stream(&body)));
    let length = http_body::Body::size_hint(&body).exact();
    let to_cad = ToCad { frames, length, complete: Arc::clone(&complete) };
    let feeding = async move {
        let mut body = body;
        let mut feed = Some(feed);
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                // The peer broke off: what it sent is neither a whole request nor a whole record.
                telemetry::cad_copy("broken-off");
                return;
            };
            if let (Some(copying), Some(bytes)) = (&mut copying, frame.data_ref()) {
                copying.take_in(bytes);
            }
            if let Some(open) = &feed
                && !matches!(timeout(stall, open.send(Ok(frame))).await, Ok(Ok(())))
            {
                feed = None;
            }
            if feed.is_none() && copying.is_none() {
                return;
            }
        }
        complete.store(feed.is_some(), Ordering::Release);
        drop(feed);
        if let Some(copying) = copying {
            copying.finish();
        }
    };
    let feeding = tokio::spawn(feeding);
    (to_cad, async move {
        let _ended = feeding.await;
    })
}

impl http_body::Body for ToCad {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let next = std::task::ready!(self.frames.poll_recv(context));
        // An end without completion must break the exchange, or the CAD would take a part for the whole.
        if next.is_none() && !self.complete.load(Ordering::Acquire) {
            self.complete.store(true, Ordering::Release);
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        if let (Some(length), Some(Ok(frame))) = (self.length, &next) {
            let given = frame.data_ref().map_or(0, Bytes::len);
            self.length = Some(length.saturating_sub(u64::try_from(given).unwrap_or(u64::MAX)));
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.length == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
#[path = "proxy/tests.rs"]
mod tests;
