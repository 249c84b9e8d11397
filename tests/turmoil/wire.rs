//! Connections of the simulated network, which note what passes over them; the adapter's end is where answers and messages die.

use crate::world::{Life, Shared, held, now_ms};
use bytes::Bytes;
use fourth_option::network::{Accepted, Dial, Listener, Network, Stream};
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

/// The network as one life of the adapter sees it.
#[derive(Clone)]
pub struct Simulated {
    pub world: Shared,
    pub life: Life,
}

impl Network for Simulated {
    type Listener = Port;

    async fn bind(&self, address: SocketAddr) -> io::Result<Port> {
        let listener = TcpListener::bind(address).await?;
        Ok(Port { listener, network: self.clone() })
    }

    fn dial(&self) -> Option<Dial> {
        let network = self.clone();
        Some(Arc::new(move |host: String, port: u16| {
            let Simulated { world, life } = network.clone();
            Box::pin(async move {
                let stream = TcpStream::connect((host.as_str(), port)).await?;
                let wire = Wire::new(world, "adapter", stream, Some((life, Side::Dialled)));
                Ok(Box::new(wire) as Box<dyn Stream>)
            })
        }))
    }
}

/// A bound port of the adapter.
pub struct Port {
    listener: TcpListener,
    network: Simulated,
}

impl Listener for Port {
    type Accepted = Wire;

    async fn accept(&self) -> io::Result<(Wire, SocketAddr)> {
        let (stream, peer) = self.listener.accept().await?;
        let Simulated { world, life } = self.network.clone();
        Ok((Wire::new(world, "adapter", stream, Some((life, Side::Answers))), peer))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Which end of a connection the adapter has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Answers,
    Dialled,
}

/// One connection's end.
pub struct Wire {
    // There until this is dropped.
    stream: Option<TcpStream>,
    world: Shared,
    host: &'static str,
    number: u64,
    adapter: Option<(Life, Side)>,
    noted: bool,
}

impl Wire {
    fn new(world: Shared, host: &'static str, stream: TcpStream, adapter: Option<(Life, Side)>) -> Self {
        let (number, noted) = {
            let mut world = held(&world);
            world.connections += 1;
            (world.connections, world.trace.is_some())
        };
        Self { stream: Some(stream), world, host, number, adapter, noted }
    }

    fn stream(&mut self) -> &mut TcpStream {
        self.stream.as_mut().unwrap()
    }

    /// Connects from a host that is not the adapter.
    pub async fn connect(world: &Shared, host: &'static str, to: &str, port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((to, port)).await?;
        Ok(Self::new(Arc::clone(world), host, stream, None))
    }

    /// A connection that a host that is not the adapter has accepted.
    pub fn accepted(world: &Shared, host: &'static str, stream: TcpStream) -> Self {
        Self::new(Arc::clone(world), host, stream, None)
    }

    fn is_dead(&self) -> bool {
        self.adapter.as_ref().is_some_and(|(life, _)| !life.is_alive())
    }

    /// What passed, whole; of TLS only how much, since its bytes are drawn anew each time.
    fn note(&self, what: &str, bytes: &[u8]) {
        if !self.noted {
            return;
        }
        let mut world = held(&self.world);
        let tls = world.plan.tls;
        let Some(trace) = &mut world.trace else { return };
        let _ = write!(trace, "{} {}#{} {what} {}", now_ms(), self.host, self.number, bytes.len());
        if !tls {
            trace.push(' ');
            trace.push_str(&dateless(&Bytes::copy_from_slice(bytes)));
        }
        trace.push('\n');
    }
}

/// Bytes as text. hyper writes the machine's own civil time into `date`, always 29 bytes long: it is left out.
fn dateless(bytes: &[u8]) -> String {
    let mut text = bytes.escape_ascii().to_string();
    while let Some(at) = text.find("\\ndate: ").map(|at| at + 8).filter(|at| !text[*at..].starts_with('~')) {
        let end = (at + 29).min(text.len());
        text.replace_range(at..end, "~");
    }
    text
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_dead() {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = Pin::new(self.stream()).poll_read(context, buffer);
        match &read {
            Poll::Ready(Ok(())) => self.note("<", &buffer.filled()[before..]),
            Poll::Ready(Err(_)) => self.note("< broken", &[]),
            Poll::Pending => {}
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_dead() {
            return Poll::Pending;
        }
        if let Some((life, Side::Answers)) = self.adapter.clone() {
            let mut world = held(&self.world);
            if let Some(crash) = world.store.replies() {
                world.inject("the process dies before an answer leaves");
                world.die(&life, crash);
                return Poll::Pending;
            }
        }
        let written = Pin::new(self.stream()).poll_write(context, bytes);
        match &written {
            Poll::Ready(Ok(taken)) => self.note(">", &bytes[..*taken]),
            Poll::Ready(Err(_)) => self.note("> broken", &[]),
            Poll::Pending => {}
        }
        if let (Some((life, Side::Dialled)), Poll::Ready(Ok(_))) = (self.adapter.clone(), &written) {
            let mut world = held(&self.world);
            if let Some(crash) = world.store.sent() {
                world.inject("the process dies after a message left");
                world.die(&life, crash);
            }
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream()).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_dead() {
            return Poll::Pending;
        }
        Pin::new(self.stream()).poll_shutdown(context)
    }
}

impl Drop for Wire {
    /// Where a host dies its tasks fall in no order that a seed settles: its connections are closed by number afterwards.
    fn drop(&mut self) {
        let mut world = held(&self.world);
        if world.dying == Some(self.host) {
            world.unclosed.insert(self.number, self.stream.take().unwrap());
        }
    }
}

impl Accepted for Wire {
    async fn peek(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream().peek(into).await
    }

    fn try_write(&self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn tune(&self) {}
}
