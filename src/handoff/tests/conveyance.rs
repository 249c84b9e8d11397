//! Offers over EIDO conveyance to desks named by how they misbehave: WebSocket, mutual TLS, codes, reconnection.

use super::*;
use crate::handoff::PeerAnswer;
use crate::incident::DeclineCause;
use crate::wire::{ConveyanceMessage, Response as Said};
use futures_util::SinkExt;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use std::path::Path;
use tokio_rustls::TlsAcceptor;
use tokio_stream::StreamExt;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::server::{Request as Asked, Response as Opened};

/// An authority, and what it vouches for.
pub(super) struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let authority = Self { folder, issuer: Issuer::new(params, key) };
        let (certificate, key) = authority.vouch("adapter.example");
        std::fs::write(authority.path("client.pem"), certificate.pem()).unwrap();
        std::fs::write(authority.path("client.key"), key.serialize_pem()).unwrap();
        authority
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn vouch(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// TLS of a desk that lets in only whom this authority vouches for.
    fn acceptor(&self) -> TlsAcceptor {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).unwrap()).unwrap();
        let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let (certificate, key) = self.vouch("127.0.0.1");
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap())
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Arc::new(config).into()
    }

    pub(super) fn settings(&self, port: u16, more: &str) -> Settings {
        let path = |name: &str| self.path(name).display().to_string();
        let text = format!(
            "ca_file = \"{}\"\n[conveyance]\ncertificate_file = \"{}\"\nkey_file = \"{}\"\nagency = \"psap.example\"\n\
             element = \"adapter.psap.example\"\n[channel.eido]\nkind = \"eido\"\n\
             url = \"wss://127.0.0.1:{port}/IncidentData/ent\"\n{more}",
            path("ca.pem"),
            path("client.pem"),
            path("client.key")
        );
        Settings { try_timeout_ms: 5_000, ..settings(&text) }
    }
}

/// What a desk does with its n-th message (from 0): frames to answer with, or hang up.
pub(super) type Desk = fn(usize, &ConveyanceMessage) -> Option<Vec<Frame>>;

pub(super) struct NextDesk {
    pub(super) port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl NextDesk {
    pub(super) async fn start(authority: &Authority, protocol: &'static str, desk: Desk) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (log, acceptor) = (Arc::clone(&heard), authority.acceptor());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (log, acceptor) = (Arc::clone(&log), acceptor.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    #[expect(clippy::result_large_err, reason = "the shape is the library's")]
                    let choose = |asked: &Asked, mut opened: Opened| {
                        assert_eq!(asked.headers()["sec-websocket-protocol"], "emergency-ent1.0");
                        assert_eq!(asked.uri().path(), "/IncidentData/ent");
                        opened.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(protocol));
                        Ok::<_, tokio_tungstenite::tungstenite::handshake::server::ErrorResponse>(opened)
                    };
                    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, choose).await else { return };
                    while let Some(Ok(frame)) = socket.next().await {
                        let Frame::Text(text) = frame else { continue };
                        let number = {
                            let mut log = log.lock().unwrap();
                            log.push(text.to_string());
                            log.len() - 1
                        };
                        let Some(answers) = desk(number, &ConveyanceMessage::read(&text).unwrap()) else { return };
                        for answer in answers {
                            if socket.send(answer).await.is_err() {
                                return;
                            }
                        }
                    }
                });
            }
        });
        Self { port, heard }
    }

    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

fn says(request: &str, code: u16) -> Frame {
    let (request_id, response_text) = (request.to_owned(), "in words".to_owned());
    Frame::text(ConveyanceMessage::Response(Said { request_id, response_code: code, response_text }).text())
}

fn request(message: &ConveyanceMessage) -> String {
    match message {
        ConveyanceMessage::RequestForService(push) => push.request_id.clone(),
        ConveyanceMessage::CancelRequest(cancel) => cancel.request_id.clone(),
        other => panic!("{other:?}"),
    }
}

pub(super) const PROTOCOL: &str = "emergency-ent1.0";

/// Started outbox whose ends and answers are told.
fn told(settings: Settings) -> (OutboxHandle, mpsc::UnboundedReceiver<End>) {
    outbox(settings)
}

#[tokio::test]
async fn an_offer_is_a_request_for_service_and_its_answer_the_teams_word() {
    let authority = Authority::new();
    let desk: Desk = |_, message| Some(vec![says(&request(message), 180), says(&request(message), 200)]);
    let next_desk = NextDesk::start(&authority, PROTOCOL, desk).await;
    let (outbox, mut ends) = told(authority.settings(next_desk.port, ""));
    outbox.submit(offer("i1", "eido", 3));
    // Told by tasks of their own, in any order: the desk takes them so.
    let mut two = [next(&mut ends).await, next(&mut ends).await];
    two.sort();
    assert_eq!(two, [answered("i1.1", "eido", PeerAnswer::Accepted, 200), delivered("i1.3.offer")]);
    let heard = next_desk.heard();
    assert_eq!(heard.len(), 1);
    let message: Value = serde_json::from_str(&heard[0]).unwrap();
    let push = &message["requestForService"];
    assert_eq!((&push["requestId"], &push["eido"]["eidoVersion"]), (&json!("i1.1"), &json!("1.0")));
    assert_eq!(push["eido"]["incidentComponent"]["incidentTypeInternalText"], "welfare-check");
    let text = push.to_string();
    assert!(text.contains("+1 250 555 0100") && text.contains("weapon: none"), "what the list names is there: {text}");
    for canary in ["canary", "cad-number"] {
        assert!(!text.contains(canary), "{text}");
    }
}

#[tokio::test]
async fn what_a_desk_answers_is_mapped_to_the_closed_list() {
    let authority = Authority::new();
    let desk: Desk = |number, message| Some(vec![says(&request(message), [603, 488, 302, 299, 501, 408][number])]);
    let next_desk = NextDesk::start(&authority, PROTOCOL, desk).await;
    let (outbox, mut ends) = told(authority.settings(next_desk.port, ""));
    for (number, code, cause) in [
        (0, 603, Some(DeclineCause::Other)),
        (1, 488, Some(DeclineCause::OutOfMandate)),
        (2, 302, Some(DeclineCause::OtherArrangement)),
        (3, 299, Some(DeclineCause::Other)),
        (4, 501, None),
        (5, 408, Some(DeclineCause::Busy)),
    ] {
        let incident = format!("i{number}");
        outbox.submit(offer(&incident, "eido", 3));
        let key = format!("{incident}.3.offer");
        let Some(cause) = cause else {
            assert_eq!(next(&mut ends).await, given_up(&key, &format!("refused-{code}")));
            continue;
        };
        let mut two = [next(&mut ends).await, next(&mut ends).await];
        two.sort();
        let mut expected =
            [delivered(&key), answered(&format!("{incident}.1"), "eido", PeerAnswer::Declined(cause), code)];
        expected.sort();
        assert_eq!(two, expected);
    }
}

/// Said to a cancellation, `200` is no acceptance: it says that the recall was heard. What else is said to it says nothing
/// of the team, and the end of the request itself is not the answer.
#[tokio::test]
async fn a_recall_is_a_cancelled_request_and_only_200_says_that_it_was_heard() {
    let authority = Authority::new();
    let desk: Desk = |number, message| {
        let all = |codes: &[u16]| codes.iter().map(|code| says(&request(message), *code)).collect();
        Some(all([&[200][..], &[182, 487, 200], &[481], &[403], &[501]][number]))
    };
    let next_desk = NextDesk::start(&authority, PROTOCOL, desk).await;
    let (outbox, mut ends) = told(authority.settings(next_desk.port, ""));
    for (number, heard) in [true, true, false, false, false].into_iter().enumerate() {
        let incident = format!("i{number}");
        outbox.submit(withdraw(&incident, "eido"));
        let mut expected = vec![delivered(&format!("{incident}.5.withdraw"))];
        expected.extend(heard.then(|| answered(&format!("{incident}.1"), "eido", PeerAnswer::RecallHeard, 200)));
        let mut told = Vec::new();
        while told.len() < expected.len() {
            told.push(next(&mut ends).await);
        }
        told.sort();
        expected.sort();
        assert_eq!(told, expected);
        assert_eq!(next_desk.heard()[number], format!(r#"{{"cancelRequest":{{"requestId":"{incident}.1"}}}}"#));
    }
    // Each message is answered in order, so that nothing of an earlier one can be on its way still.
    assert!(ends.try_recv().is_err());
}

/// What is not durable over there is not taken: the recall is said again until it is.
#[tokio::test]
async fn a_recall_that_a_desk_cannot_take_now_is_sent_again() {
    let authority = Authority::new();
    let desk: Desk = |number, message| Some(vec![says(&request(message), [503, 504, 200][number])]);
    let next_desk = NextDesk::start(&authority, PROTOCOL, desk).await;
    let (outbox, mut ends) = told(authority.settings(next_desk.port, ""));
    outbox.submit(withdraw("i1", "eido"));
    let mut two = [next(&mut ends).await, next(&mut ends).await];
    two.sort();
    assert_eq!(two, [answered("i1.1", "eido", PeerAnswer::RecallHeard, 200), delivered("i1.5.withdraw")]);
    assert_eq!(next_desk.heard().len(), 3);
}

/// Nobody subscribes here: what comes of a subscription is told that there is none.
#[tokio::test]
async fn a_desk_that_takes_us_for_its_subscriber_is_told_that_we_are_none() {
    let authority = Authority::new();
    let desk: Desk = |number, _message| {
        Some(match number {
            0 => vec![
                Frame::text(r#"{"terminate":{"requestId":"t","subscriptionId":"s"}}"#),
                Frame::text(r#"{"event":{"subscriptionId":"s","transactionId":"e"}}"#),
                Frame::text(r#"{"subscribe":{"requestId":"u"}}"#),
            ],
            1..3 => Vec::new(),
            _ => vec![says("i1.1", 182)],
        })
    };
    let next_desk = NextDesk::start(&authority, PROTOCOL, desk).await;
    let (outbox, mut ends) = told(authority.settings(next_desk.port, ""));
    outbox.submit(offer("i1", "eido", 1));
    assert_eq!(next(&mut ends).await, delivered("i1.3.offer"));
    let heard = next_desk.heard();
    let code = |number: usize, name: &str, key: &str| {
        serde_json::from_str::<Value>(&heard[number]).unwrap()[name][key].as_u64()
    };
    assert_eq!(code(1, "terminateResponse", "statusCode"), Some(481), "{heard:?}");
    assert_eq!(code(2, "eventResponse", "statusCode"), Some(481), "{heard:?}");
    assert_eq!(code(3, "response", "responseCode"), Some(501), "{heard:?}");
}

/// Fault 33 over a WebSocket: taken by TCP, answered by nobody.
#[tokio::test]
async fn a_desk_that_swallows_messages_has_not_got_them() {
    let authority = Authority::new();
    let next_desk = NextDesk::start(&authority, PROTOCOL, |_, _| Some(Vec::new())).await;
    let settings = authority.settings(next_desk.port, "");
    let (outbox, mut ends) = told(Settings { try_timeout_ms: 300, ..settings });
    outbox.submit(offer("i1", "eido", 2));
    assert_eq!(next(&mut ends).await, given_up("i1.3.offer", "attempts-exhausted"));
    assert_eq!(next_desk.heard().len(), 2);
}

/// The link is made again without a new message, since a person may still answer.
#[tokio::test]
async fn a_broken_link_is_made_again_and_the_message_sent_again_under_its_name() {
    let authority = Authority::new();
    let desk: Desk = |number, message| (number >= 2).then(|| vec![says(&request(message), 182)]);
    let next_desk = NextDesk::start(&authority, PROTOCOL, desk).await;
    let (outbox, mut ends) = told(authority.settings(next_desk.port, ""));
    outbox.submit(offer("i1", "eido", 9));
    assert_eq!(next(&mut ends).await, delivered("i1.3.offer"));
    let heard = next_desk.heard();
    assert_eq!(heard.len(), 3);
    assert!(heard.iter().all(|text| text == &heard[0]), "the same bytes at every try");
}

#[tokio::test]
async fn strangers_and_other_protocols_are_not_spoken_to() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let answers: Desk = |_, message| Some(vec![says(&request(message), 200)]);
    let next_desk = NextDesk::start(&authority, PROTOCOL, answers).await;
    let other_protocol = NextDesk::start(&authority, "chat", answers).await;
    let ours = |port| Settings { backoff_max_ms: 1, ..authority.settings(port, "") };
    let mut unknown_desk = ours(next_desk.port);
    unknown_desk.ca_file = Some(stranger.path("ca.pem"));
    let mut unknown_here = ours(next_desk.port);
    let certificate = unknown_here.conveyance.as_mut().unwrap();
    certificate.certificate_file = stranger.path("client.pem");
    certificate.key_file = stranger.path("client.key");
    for settings in [unknown_desk, unknown_here, ours(other_protocol.port)] {
        let (outbox, mut ends) = told(settings);
        outbox.submit(offer("i1", "eido", 2));
        assert_eq!(next(&mut ends).await, given_up("i1.3.offer", "attempts-exhausted"));
    }
    assert_eq!(next_desk.heard().len() + other_protocol.heard().len(), 0);
}

#[tokio::test]
async fn hostile_frames_end_no_more_than_their_connection() {
    let authority = Authority::new();
    let desk: Desk = |number, message| {
        Some(match number {
            0 => vec![Frame::text("x".repeat(1_000_000))],
            1 => vec![Frame::text("{\"response\":{}}"), Frame::text("[[[["), says(&request(message), 182)],
            2 => vec![Frame::binary(vec![0_u8; 10]), says("somebody.else", 200), says(&request(message), 182)],
            _ => vec![says(&request(message), 182)],
        })
    };
    let next_desk = NextDesk::start(&authority, PROTOCOL, desk).await;
    let (outbox, mut ends) = told(authority.settings(next_desk.port, ""));
    for number in 0..3 {
        outbox.submit(offer(&format!("i{number}"), "eido", 5));
        let mut end = next(&mut ends).await;
        if end == answered("somebody.else", "eido", PeerAnswer::Accepted, 200) {
            end = next(&mut ends).await;
        }
        assert_eq!(end, delivered(&format!("i{number}.3.offer")));
    }
}

#[test]
fn a_channel_without_a_certificate_is_refused_before_the_first_call() {
    let channel = "[channel.eido]\nkind = \"eido\"\nurl = \"wss://desk.example/ent\"\n";
    let files = "certificate_file = \"/nowhere\"\nkey_file = \"/nowhere\"\n";
    let authority = Authority::new();
    let ca_file = authority.path("ca.pem").display().to_string();
    let conveyance = format!("ca_file = \"{ca_file}\"\n[conveyance]\n{files}agency = \"a\"\nelement = \"b\"\n");
    for (text, why) in [
        (channel.to_owned(), "`[handoff.conveyance]` is needed"),
        (format!("{conveyance}{channel}"), "`conveyance.certificate_file`"),
        (format!("{conveyance}{}", channel.replace("wss", "https")), "its own begins with `wss://`"),
        (channel.replace("\"eido\"", "\"webhook\""), "its own begins with `http://` or `https://`"),
    ] {
        let settings: Settings = toml::from_str(&text).unwrap();
        let fault = Carriers::new(&settings, None).unwrap_err().to_string();
        assert!(fault.contains(why), "{fault}");
    }
    assert!(Path::new("/nowhere").metadata().is_err());
}
