//! One connection from its first byte to its end: TLS, HTTP/1 or HTTP/2 with every timer set, and why it ended.

use super::bodies::HeldBody;
use super::framing::{Ambiguity, Watch};
use super::limits::{Limits, ms, size};
use super::listener::stopped;
use super::problem::{self, Problem};
use crate::network::Accepted;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, Response, Version, header};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// How long an idle peer has to end its connection in order.
const GOODBYE: Duration = Duration::from_secs(1);

/// Serves one accepted connection; returns why it ended.
pub(super) async fn serve(
    mut stream: impl Accepted,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    limits: Arc<Limits>,
    router: Router,
    shutdown: watch::Receiver<bool>,
) -> &'static str {
    // A silent client is closed here: neither hyper nor rustls times the wait for the first byte of a connection.
    match timeout(ms(limits.first_byte_ms), stream.peek(&mut [0])).await {
        Ok(Ok(0)) => return "left",
        Ok(Ok(_)) => {}
        Ok(Err(_)) => return "broken",
        Err(_) => return "first-byte-late",
    }
    let Some(acceptor) = tls else {
        return serve_http1(stream, peer, limits, router, shutdown).await;
    };
    match timeout(ms(limits.tls_handshake_ms), acceptor.accept(stream)).await {
        Err(_) => "handshake-late",
        Ok(Err(_)) => "handshake-failed",
        Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
            serve_http2(stream, peer, limits, router, shutdown).await
        }
        Ok(Ok(stream)) => serve_http1(stream, peer, limits, router, shutdown).await,
    }
}

async fn serve_http1<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    peer: SocketAddr,
    limits: Arc<Limits>,
    router: Router,
    shutdown: watch::Receiver<bool>,
) -> &'static str {
    let desk = Service { router, peer, ambiguity: Ambiguity::default(), activity: Activity::default() };
    let activity = desk.activity.clone();
    let watch = Watch::new(desk.ambiguity.clone());
    let io = TokioIo::new(GuardedStream::new(stream, Some(watch), ms(limits.write_stall_ms)));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ms(limits.header_read_ms))
        .max_headers(size(limits.headers_max))
        .max_buf_size(size(limits.header_bytes_max).max(8_192))
        .keep_alive(true)
        .serve_connection(io, service_fn(move |request| desk.clone().answer(request)));
    drive(connection, activity, ms(limits.idle_ms), shutdown).await
}

async fn serve_http2<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: SocketAddr,
    limits: Arc<Limits>,
    router: Router,
    shutdown: watch::Receiver<bool>,
) -> &'static str {
    let desk = Service { router, peer, ambiguity: Ambiguity::default(), activity: Activity::default() };
    let activity = desk.activity.clone();
    let io = TokioIo::new(GuardedStream::new(stream, None, ms(limits.write_stall_ms)));
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams_max)
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_header_list_size(limits.header_bytes_max)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(128)
        .keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .serve_connection(io, service_fn(move |request| desk.clone().answer(request)));
    drive(connection, activity, ms(limits.idle_ms), shutdown).await
}

/// Polls a connection to its end, ends it gracefully on the stop signal, and closes it when it is idle too long.
async fn drive<C>(
    connection: C,
    activity: Activity,
    idle: Duration,
    mut shutdown: watch::Receiver<bool>,
) -> &'static str
where
    C: GracefulConnection,
{
    let mut connection = pin!(connection);
    let mut stopping = false;
    let mut begun_before = 0;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                return match ended {
                    Ok(()) if stopping => "drained",
                    Ok(()) => "finished",
                    Err(_) => "broken",
                };
            }
            () = stopped(&mut shutdown), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = sleep(idle) => {
                let (begun, in_hand) = activity.now();
                if in_hand == 0 && begun == begun_before {
                    // A peer in good faith is told to go; one that stays is left behind.
                    connection.as_mut().graceful_shutdown();
                    let _left = timeout(GOODBYE, connection).await;
                    return "idle";
                }
                begun_before = begun;
            }
        }
    }
}

/// Requests begun and ended on a connection; the difference is in hand.
#[derive(Debug, Clone, Default)]
struct Activity(Arc<(AtomicU64, AtomicU64)>);

impl Activity {
    fn begin(&self) -> InHand {
        self.0.0.fetch_add(1, Ordering::AcqRel);
        InHand(self.clone())
    }

    fn now(&self) -> (u64, u64) {
        let ended = self.0.1.load(Ordering::Acquire);
        let begun = self.0.0.load(Ordering::Acquire);
        (begun, begun.saturating_sub(ended))
    }
}

/// A request in hand, until its answer's last byte.
struct InHand(Activity);

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.0.1.fetch_add(1, Ordering::AcqRel);
    }
}

/// What answers the requests of one connection.
#[derive(Clone)]
struct Service {
    router: Router,
    peer: SocketAddr,
    ambiguity: Ambiguity,
    activity: Activity,
}

impl Service {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let in_hand = self.activity.begin();
        let one_more_only =
            request.version() < Version::HTTP_2 && request.headers().contains_key(header::TRANSFER_ENCODING);
        let mut response = if self.ambiguity.found() {
            Problem::new(problem::BAD_REQUEST, "the request's head can be read in two ways")
                .next("send either `Content-Length` or `Transfer-Encoding`, and end lines with CR LF")
                .into_response()
        } else {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(self.peer));
            match self.router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        };
        if one_more_only || self.ambiguity.found() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response.map(|body| Body::new(HeldBody::new(body, in_hand))))
    }
}

/// A stream whose peer must take what is written in bounded time, and whose heads are watched.
struct GuardedStream<S> {
    stream: S,
    watch: Option<Watch>,
    stall: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> GuardedStream<S> {
    fn new(stream: S, watch: Option<Watch>, stall: Duration) -> Self {
        Self { stream, watch, stall, stalled: None }
    }

    /// Lets a write that cannot go on wait only so long.
    fn bounded<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stall = self.stall;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(stall)));
        match stalled.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for GuardedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if let Some(watch) = &mut this.watch {
            watch.see(buffer.filled().get(before..).unwrap_or_default());
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for GuardedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bounded(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.bounded(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.bounded(context, shut)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.bounded(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
