//! EIDO conveyance to another agency's desk, as its client: one WebSocket with mutual TLS for each destination.
//!
//! An offer is a `requestForService` under the leg's name, a recall a `cancelRequest` of it. A message counts as delivered
//! once the peer answers it, unless it says that it could not take it now; what it answers to an offer goes to the desk as
//! the team's word, and a 200 to a recall as its word that it has heard it. The
//! connection stands from the start and is made again whenever it is lost: an answer may come at any time, and a desk
//! that cannot be reached is known before a call needs it.

use super::client::ClientFault;
use super::names::Names;
use super::retry::Answer;
use super::settings::{Address, ConveyanceSettings};
use crate::clock::{Clock, monotonic_now};
use crate::incident::DeclineCause;
use crate::telemetry;
use crate::wire::{ConveyanceMessage, REQUEST_TERMINATED, SUBPROTOCOL};
use bytes::Bytes;
use futures_util::SinkExt;
use hyper::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_stream::StreamExt;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Connecting, TLS and the WebSocket's handshake together take at most this long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of one message from the peer, at most. It answers; it has no records to send on a connection that we opened.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// A ping goes out this often; a peer that sends nothing for three of them is gone.
const PING_EVERY: Duration = Duration::from_secs(15);
/// Pause before the connection is made again, at most; doubled from the first, a random part is taken.
const RECONNECT_FIRST: Duration = Duration::from_millis(250);
const RECONNECT_MAX: Duration = Duration::from_secs(10);
/// Messages that may wait for the connection.
const WAITING_MAX: usize = 256;

/// What a peer answered to an offer or to its recall, as far as it is an answer of a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerAnswer {
    /// It has heard that the call is taken back.
    RecallHeard,
    /// It takes the call.
    Accepted,
    /// It does not, and why by the closed list.
    Declined(DeclineCause),
}

/// What a response code means. The standard has the numbers and not their meaning: they are read as SIP's
/// (RFC 3261 section 21), whose list this is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The peer has the request; a person has yet to answer.
    InHand,
    Answer(PeerAnswer),
    /// The peer cannot read or carry the request: the same would fail again.
    NotTaken,
    /// Not now.
    Later,
}

fn meaning(code: u16) -> Meaning {
    let declined = |cause| Meaning::Answer(PeerAnswer::Declined(cause));
    match code {
        // Ringing; queued; any other provisional answer.
        100..200 => Meaning::InHand,
        200 => Meaning::Answer(PeerAnswer::Accepted),
        // Moved: go to another agency.
        302 => declined(DeclineCause::OtherArrangement),
        // Forbidden; not acceptable here; not acceptable anywhere.
        403 | 488 | 606 => declined(DeclineCause::OutOfMandate),
        // Nobody there answered in time.
        408 => declined(DeclineCause::Busy),
        // Declined, without saying why.
        603 => declined(DeclineCause::Other),
        400 | 404 | 500 | 501 | 502 | 505 | 513 => Meaning::NotTaken,
        503 | 504 => Meaning::Later,
        // Nobody knows what it means: it is no yes.
        _ => declined(DeclineCause::Other),
    }
}

/// What a response code means to a recall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecallMeaning {
    /// Not the answer to it: provisional, or the end of the request itself.
    NotYet,
    Heard,
    /// The peer has it, and does not know the request or does not take it back: nobody says that a team has heard it.
    Unheard,
    /// Not durable over there.
    Later,
}

fn recall_meaning(code: u16) -> RecallMeaning {
    match code {
        100..200 | REQUEST_TERMINATED => RecallMeaning::NotYet,
        200 => RecallMeaning::Heard,
        503 | 504 => RecallMeaning::Later,
        _ => RecallMeaning::Unheard,
    }
}

/// Told what peers answer to offers and recalls.
pub(super) type Answers = Arc<dyn Fn(&str, &str, PeerAnswer, u16) + Send + Sync>;

/// What one try asks of the connection.
struct Ask {
    what: What,
    done: oneshot::Sender<Answer>,
}

enum What {
    /// To send a message, and to wait for the peer's answer to its request.
    Message { text: String, request: String, recall: bool },
    /// To stand, and to bring a sign of life.
    Life,
}

/// The connection to one destination. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Peer(mpsc::Sender<Ask>);

impl Peer {
    /// Sends a message once and waits for the peer's answer to it; the caller bounds the time.
    pub(super) async fn send(&self, message: &ConveyanceMessage, request: &str, recall: bool) -> Answer {
        self.ask(What::Message { text: message.text(), request: request.to_owned(), recall }).await
    }

    /// Waits for a sign of life of the peer on an open connection, and tells it nothing; the caller bounds the time.
    pub(super) async fn probe(&self) -> Answer {
        self.ask(What::Life).await
    }

    async fn ask(&self, what: What) -> Answer {
        let (done, answer) = oneshot::channel();
        if self.0.try_send(Ask { what, done }).is_err() {
            return Answer::later("connection-busy", true);
        }
        answer.await.unwrap_or_else(|_| Answer::later("connection-lost", false))
    }
}

/// How connections to peers are made: our certificate, the authorities, the names. Cheap to clone.
#[derive(Clone)]
pub(super) struct Conveyance {
    connector: TlsConnector,
    names: Names,
}

impl std::fmt::Debug for Conveyance {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Conveyance")
    }
}

impl Conveyance {
    /// # Errors
    /// Where our certificate or its key cannot be read.
    pub(super) fn new(
        settings: &ConveyanceSettings,
        authorities: RootCertStore,
        names: Names,
    ) -> Result<Self, ClientFault> {
        let fault = |what: &str, why: &dyn std::fmt::Display| ClientFault(format!("`conveyance.{what}`: {why}"));
        let chain: Vec<_> = CertificateDer::pem_file_iter(&settings.certificate_file)
            .and_then(Iterator::collect)
            .map_err(|error| fault("certificate_file", &error))?;
        let key = PrivateKeyDer::from_pem_file(&settings.key_file).map_err(|error| fault("key_file", &error))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| fault("certificate_file", &error))?
            .with_root_certificates(authorities)
            .with_client_auth_cert(chain, key)
            .map_err(|error| fault("certificate_file", &error))?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), names })
    }

    /// A connection to one destination.
    pub(super) fn peer(
        &self,
        destination: &str,
        address: &Address,
        clock: &Clock,
        answers: Answers,
        runtime: &tokio::runtime::Handle,
    ) -> Peer {
        let (to, asks) = mpsc::channel(WAITING_MAX);
        let link = Link {
            conveyance: self.clone(),
            destination: destination.to_owned(),
            address: address.clone(),
            clock: clock.clone(),
            answers,
            asks,
            waiting: BTreeMap::new(),
            probes: Vec::new(),
        };
        runtime.spawn(link.run());
        Peer(to)
    }

    async fn connect(&self, address: &Address) -> Result<WebSocketStream<TlsStream<TcpStream>>, &'static str> {
        let uri = address.uri();
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(443);
        let mut addresses = match host.trim_matches(['[', ']']).parse() {
            Ok(address) => vec![std::net::SocketAddr::new(address, port)],
            Err(_) => self.names.resolve(host).await.map_err(|_| "no-address")?,
        };
        addresses.iter_mut().for_each(|address| address.set_port(port));
        let stream = TcpStream::connect(addresses.as_slice()).await.map_err(|_| "no-connection")?;
        let _undelayed = stream.set_nodelay(true);
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|_| "no-address")?;
        let stream = self.connector.connect(name, stream).await.map_err(|_| "no-tls")?;
        let mut request = uri.clone().into_client_request().map_err(|_| "no-address")?;
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        // The library refuses a server that does not choose our sub-protocol.
        let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(limits)).await;
        opened.map(|(socket, _)| socket).map_err(|_| "no-websocket")
    }
}

/// One connection and who waits for its answers.
struct Link {
    conveyance: Conveyance,
    destination: String,
    address: Address,
    clock: Clock,
    answers: Answers,
    asks: mpsc::Receiver<Ask>,
    waiting: BTreeMap<String, (bool, oneshot::Sender<Answer>)>,
    /// Told when the peer is next heard.
    probes: Vec<oneshot::Sender<Answer>>,
}

/// Why a connection ended.
enum Ended {
    /// Nobody hands messages over any more.
    Done,
    Lost(&'static str),
}

impl Link {
    async fn run(mut self) {
        let mut failures = 0_u32;
        let mut next: Option<Ask> = None;
        loop {
            let why = match tokio::time::timeout(CONNECT_TIMEOUT, self.conveyance.connect(&self.address)).await {
                Ok(Ok(socket)) => {
                    failures = 0;
                    telemetry::peer_connected(&self.destination, true);
                    let ended = self.serve(socket, next.take()).await;
                    telemetry::peer_connected(&self.destination, false);
                    match ended {
                        Ended::Done => return,
                        Ended::Lost(why) => why,
                    }
                }
                Ok(Err(why)) => why,
                Err(_) => "no-connection",
            };
            tracing::warn!(destination = self.destination, why, "no connection for EIDO conveyance");
            // Whoever waits tries again under its own bounds; nothing is kept for a connection that may never come.
            if let Some(ask) = next.take() {
                let _ = ask.done.send(Answer::later(why, false));
            }
            while let Ok(ask) = self.asks.try_recv() {
                let _ = ask.done.send(Answer::later(why, false));
            }
            let waiting = std::mem::take(&mut self.waiting).into_values().map(|(_, done)| done);
            for done in waiting.chain(self.probes.drain(..)) {
                let _ = done.send(Answer::later(why, false));
            }
            failures = failures.saturating_add(1);
            let span = RECONNECT_FIRST.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(RECONNECT_MAX);
            tokio::select! {
                () = self.clock.sleep(span.mul_f64(self.clock.jitter())) => {}
                ask = self.asks.recv() => match ask {
                    Some(ask) => next = Some(ask),
                    None => return,
                },
            }
        }
    }

    /// Sends and hears until the connection ends.
    async fn serve(&mut self, mut socket: WebSocketStream<TlsStream<TcpStream>>, first: Option<Ask>) -> Ended {
        let mut pings = tokio::time::interval(PING_EVERY);
        let mut heard = monotonic_now();
        let mut next = first;
        loop {
            if let Some(ask) = next.take() {
                self.waiting.retain(|_, (_, done)| !done.is_closed());
                self.probes.retain(|done| !done.is_closed());
                let frame = match ask.what {
                    What::Message { text, request, recall } => {
                        self.waiting.insert(request, (recall, ask.done));
                        Frame::text(text)
                    }
                    What::Life => {
                        self.probes.push(ask.done);
                        Frame::Ping(Bytes::new())
                    }
                };
                let sent = socket.send(frame).await;
                if sent.is_err() {
                    return Ended::Lost("connection-lost");
                }
            }
            tokio::select! {
                ask = self.asks.recv() => match ask {
                    Some(ask) => next = Some(ask),
                    None => {
                        let _ = socket.close(None).await;
                        return Ended::Done;
                    }
                },
                frame = socket.next() => match frame {
                    Some(Ok(frame)) => {
                        heard = monotonic_now();
                        if !frame.is_close() {
                            self.probes.drain(..).for_each(|done| drop(done.send(Answer::Taken)));
                        }
                        if let Some(answer) = self.hear(&frame)
                            && socket.send(answer).await.is_err()
                        {
                            return Ended::Lost("connection-lost");
                        }
                    }
                    Some(Err(_)) | None => return Ended::Lost("connection-lost"),
                },
                _ = pings.tick() => {
                    if heard.elapsed() > PING_EVERY * 3 {
                        return Ended::Lost("peer-silent");
                    }
                    if socket.send(Frame::Ping(Bytes::new())).await.is_err() {
                        return Ended::Lost("connection-lost");
                    }
                }
            }
        }
    }

    /// Takes what the peer said; what is to be said back, if anything.
    fn hear(&mut self, frame: &Frame) -> Option<Frame> {
        let Frame::Text(text) = frame else { return None };
        let response = match ConveyanceMessage::read(text.as_str()) {
            Ok(ConveyanceMessage::Response(response)) => response,
            Ok(other) => return other.not_implemented().map(|answer| Frame::text(answer.text())),
            Err(fault) => {
                tracing::warn!(destination = self.destination, %fault, "a message of a peer cannot be read");
                return None;
            }
        };
        let (request, code) = (response.request_id, response.response_code);
        let recall = self.waiting.get(&request).is_some_and(|(recall, _)| *recall);
        let said = |answer| (self.answers)(&self.destination, &request, answer, code);
        let answer = match (recall, meaning(code), recall_meaning(code)) {
            (true, _, RecallMeaning::NotYet) => return None,
            // `200` to a recall is no acceptance of the call.
            (true, _, RecallMeaning::Heard) => {
                said(PeerAnswer::RecallHeard);
                Answer::Taken
            }
            (true, _, RecallMeaning::Unheard) => Answer::Taken,
            (true, _, RecallMeaning::Later) | (false, Meaning::Later, _) => Answer::later("not-now", true),
            (false, Meaning::InHand, _) => Answer::Taken,
            (false, Meaning::Answer(answer), _) => {
                said(answer);
                Answer::Taken
            }
            (false, Meaning::NotTaken, _) => Answer::Refused(format!("refused-{code}")),
        };
        if let Some((_, done)) = self.waiting.remove(&request) {
            let _ = done.send(answer);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_standard_has_its_meaning_and_only_200_is_a_yes() {
        for code in 0..1_000 {
            let yes = meaning(code) == Meaning::Answer(PeerAnswer::Accepted);
            assert_eq!(yes, code == 200, "{code}");
        }
        for code in [180, 182] {
            assert_eq!(meaning(code), Meaning::InHand);
        }
        for (code, cause) in [
            (302, DeclineCause::OtherArrangement),
            (403, DeclineCause::OutOfMandate),
            (408, DeclineCause::Busy),
            (488, DeclineCause::OutOfMandate),
            (603, DeclineCause::Other),
            (606, DeclineCause::OutOfMandate),
            (299, DeclineCause::Other),
        ] {
            assert_eq!(meaning(code), Meaning::Answer(PeerAnswer::Declined(cause)), "{code}");
        }
        for code in [400, 404, 500, 501, 502, 505, 513] {
            assert_eq!(meaning(code), Meaning::NotTaken, "{code}");
        }
    }

    #[test]
    fn only_200_says_that_a_recall_was_heard() {
        for code in 0..1_000 {
            assert_eq!(recall_meaning(code) == RecallMeaning::Heard, code == 200, "{code}");
        }
        for code in [100, 180, 182, 199, 487] {
            assert_eq!(recall_meaning(code), RecallMeaning::NotYet, "{code}");
        }
        for code in [503, 504] {
            assert_eq!(recall_meaning(code), RecallMeaning::Later, "{code}");
        }
        for code in [299, 400, 403, 404, 481, 500, 501, 603] {
            assert_eq!(recall_meaning(code), RecallMeaning::Unheard, "{code}");
        }
    }
}
