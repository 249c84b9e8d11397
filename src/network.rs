//! The door to sockets for the doors and for what is sent over HTTP: the machine's own, or a simulated network's.
//!
//! A simulation (`tests/turmoil`) puts its own network here and runs the same accept loop, router and client as the machine.

use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tower::Service;

/// A peer that no longer answers is found within 10 + 3 × 5 s (fault 2: within 30 s).
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;

/// Where doors listen and from where requests go out.
pub trait Network: Send + Sync {
    /// A bound port.
    type Listener: Listener;

    /// Listens at an address.
    ///
    /// # Errors
    /// Where the address cannot be had.
    fn bind(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// How a host of this network is reached; `None` for the machine's own names and sockets.
    fn dial(&self) -> Option<Dial>;
}

/// A bound port.
pub trait Listener: Send + Sync + 'static {
    /// A connection that was let in.
    type Accepted: Accepted;

    /// Waits for the next connection and says whose it is.
    ///
    /// # Errors
    /// Where this connection, or any, cannot be had now.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Accepted, SocketAddr)>> + Send;

    /// Where it listens.
    ///
    /// # Errors
    /// The operating system's.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// A connection that somebody else opened.
pub trait Accepted: Stream + 'static {
    /// Waits for bytes and leaves them where they are; says how many there are, none where the peer has left.
    ///
    /// # Errors
    /// Where the connection is broken.
    fn peek(&mut self, into: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;

    /// Writes what can be written without waiting.
    ///
    /// # Errors
    /// Where nothing can be written now, or ever.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Asks for a peer that is gone to be noticed and for words to go out at once. What cannot be set leaves the
    /// connection usable, only later to notice.
    fn tune(&self);
}

/// Bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Connects to a host and a port of a simulated network.
pub type Dial = Arc<dyn Fn(String, u16) -> Dialling + Send + Sync>;

/// A connection being made.
pub type Dialling = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

/// The machine's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine;

impl Network for Machine {
    type Listener = TcpListener;

    fn bind(&self, address: SocketAddr) -> impl Future<Output = io::Result<TcpListener>> + Send {
        TcpListener::bind(address)
    }

    fn dial(&self) -> Option<Dial> {
        None
    }
}

impl Listener for TcpListener {
    type Accepted = TcpStream;

    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        Self::accept(self)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }
}

impl Accepted for TcpStream {
    fn peek(&mut self, into: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send {
        Self::peek(self, into)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        Self::try_write(self, bytes)
    }

    fn tune(&self) {
        let socket = SockRef::from(self);
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE_IDLE)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_RETRIES);
        let _kept = socket.set_tcp_keepalive(&keepalive);
        #[cfg(target_os = "linux")]
        let _bounded = socket.set_tcp_user_timeout(Some(KEEPALIVE_IDLE + KEEPALIVE_INTERVAL * KEEPALIVE_RETRIES));
        let _undelayed = self.set_nodelay(true);
    }
}

type Fault = Box<dyn Error + Send + Sync>;

/// Connects the requests of an HTTP client: through the machine's connector, or by [`Dial`].
#[derive(Clone)]
pub struct Connector<M> {
    machine: M,
    dial: Option<Dial>,
}

impl<M> Connector<M> {
    /// The machine's connector, and what takes its place on a simulated network.
    pub fn new(machine: M, dial: Option<Dial>) -> Self {
        Self { machine, dial }
    }
}

impl<M> Service<Uri> for Connector<M>
where
    M: Service<Uri, Response = TokioIo<TcpStream>>,
    M::Future: Send + 'static,
    M::Error: Into<Fault>,
{
    type Response = Socket;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Socket, Fault>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.machine.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let Some(dial) = &self.dial else {
            let connecting = self.machine.call(to);
            return Box::pin(async move {
                let stream = connecting.await.map_err(Into::into)?;
                Ok(Socket(TokioIo::new(Box::new(stream.into_inner()))))
            });
        };
        let port = to.port_u16().unwrap_or(if to.scheme_str() == Some("https") { 443 } else { 80 });
        let dialling = dial(to.host().unwrap_or_default().to_owned(), port);
        Box::pin(async move { Ok(Socket(TokioIo::new(dialling.await?))) })
    }
}

/// A connection that we opened.
pub struct Socket(TokioIo<Box<dyn Stream>>);

impl Connection for Socket {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl Write for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }
}
