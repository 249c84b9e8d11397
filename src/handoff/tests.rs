//! Tests of the outbox against peers named by how they misbehave.

mod contacts;
mod conveyance;
mod notices;
mod recovery;

use super::{Carriers, Outbox, OutboxHandle, Outcomes, PeerAnswer, Secret, Settings, sign, verify};
use crate::clock::Clock;
use crate::incident::{Effect, Outgoing};
use crate::journal::Pending;
use crate::record::{AgencyId, CallRecord, Format, IncidentId, LegId, Note, Person, RecordIdentity, SourceId};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const SECRET: &str = "a-secret-of-this-team";

/// One request as it came.
#[derive(Debug, Clone)]
struct Received {
    at: std::time::Instant,
    method: hyper::Method,
    headers: HeaderMap,
    body: Bytes,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A destination that answers its n-th request (from 0) with this status, these seconds of `Retry-After`, after this pause.
struct Peer {
    url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

type Script = fn(usize) -> (u16, Option<u32>, Duration);

async fn served(request: Request<Incoming>, log: &Mutex<Vec<Received>>, script: Script) -> Response<Full<Bytes>> {
    let headers = request.headers().clone();
    let method = request.method().clone();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let number = {
        let mut log = log.lock().unwrap();
        log.push(Received { at: crate::clock::monotonic_now(), method, headers, body });
        log.len() - 1
    };
    let (status, retry_after, pause) = script(number);
    tokio::time::sleep(pause).await;
    let mut response = Response::new(Full::default());
    *response.status_mut() = status.try_into().unwrap();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert("retry-after", HeaderValue::from(seconds));
    }
    response
}

impl Peer {
    async fn start(script: Script) -> Self {
        Self::listen(script, None).await
    }

    async fn listen(script: Script, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/hook", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&received);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (log, tls) = (Arc::clone(&log), tls.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let log = Arc::clone(&log);
                        async move { Ok::<_, Infallible>(served(request, &log, script).await) }
                    });
                    let builder = hyper::server::conn::http1::Builder::new();
                    // A client that goes away in the middle is part of the play.
                    match tls {
                        None => drop(builder.serve_connection(TokioIo::new(stream), service).await),
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            drop(builder.serve_connection(TokioIo::new(stream), service).await);
                        }
                    }
                });
            }
        });
        Self { url, received }
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

/// How a message ended: its key, and why it was given up if it was.
type End = (String, Option<String>);

struct Told(mpsc::UnboundedSender<End>);

impl Outcomes for Told {
    fn answered(&self, destination: &str, leg: &LegId, answer: PeerAnswer, code: u16) -> Pending<'_, ()> {
        self.0.send(answered(leg.as_str(), destination, answer, code)).unwrap();
        Box::pin(async {})
    }

    fn delivered(&self, _incident: &IncidentId, key: &str) -> Pending<'_, ()> {
        self.0.send((key.to_owned(), None)).unwrap();
        Box::pin(async {})
    }

    fn undeliverable(&self, _incident: &IncidentId, key: &str, why: &str) -> Pending<'_, ()> {
        self.0.send((key.to_owned(), Some(why.to_owned()))).unwrap();
        Box::pin(async {})
    }
}

fn outbox(settings: Settings) -> (OutboxHandle, mpsc::UnboundedReceiver<End>) {
    let (told, ends) = mpsc::unbounded_channel();
    let carriers = Carriers::new(&settings, None).unwrap();
    (Outbox::start(settings, Clock::system(), carriers, Arc::new(Told(told))), ends)
}

fn settings(toml: &str) -> Settings {
    let quick = "recovery_rate_max_per_s = 1000\nbackoff_first_ms = 20\nbackoff_max_ms = 40\ncad_backoff_max_ms = 40\ntry_timeout_ms = 400\n";
    toml::from_str(&format!("{quick}{toml}")).unwrap()
}

fn channel(name: &str, url: &str) -> String {
    format!("[channel.{name}]\nkind = \"webhook\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"\n")
}

fn answered(leg: &str, destination: &str, answer: PeerAnswer, code: u16) -> End {
    (format!("{leg} answered"), Some(format!("{destination} {answer:?} {code}")))
}

async fn next(ends: &mut mpsc::UnboundedReceiver<End>) -> End {
    tokio::time::timeout(Duration::from_secs(10), ends.recv()).await.expect("a message ends").unwrap()
}

fn delivered(key: &str) -> End {
    (key.to_owned(), None)
}

fn given_up(key: &str, why: &str) -> End {
    (key.to_owned(), Some(why.to_owned()))
}

fn record() -> CallRecord {
    let identity = RecordIdentity {
        agency: AgencyId::new("psap"),
        element: SourceId::new("cad"),
        incident: "cad-number-7".to_owned(),
        updated_at: None,
        content_sha256: "canary-digest".to_owned(),
    };
    let mut record = CallRecord::new(identity, Format::EidoJson);
    record.callbacks.push("+1 250 555 0100".to_owned());
    record.notes.push(Note { at: None, text: "canary-narrative".to_owned() });
    let roles = vec!["Caller".to_owned()];
    record.persons.push(Person { roles, name: Some("canary-name".to_owned()), ..Person::default() });
    record
}

fn outgoing(incident: &str, key: &str, act: Value) -> Outgoing {
    let effect: Effect = serde_json::from_value(json!({ "key": key, "act": act })).unwrap();
    Outgoing {
        incident: IncidentId::new(incident),
        effect,
        record: Some(Arc::new(record())),
        facts: serde_json::from_value(json!({
            "nature": { "value": "welfare-check", "source": "call-type" },
            "weapon": { "value": "none", "source": "answer" },
        }))
        .unwrap(),
        decision: None,
    }
}

fn plan(channel: &str, attempts: u32) -> Value {
    json!({
        "program": "psr", "title": "Street response", "kind": "community", "channel": channel,
        "accept_deadline_s": 60, "attempts": attempts, "release": ["nature", "callback", "facts"],
        "call_back_within_min": 30,
    })
}

fn offer_within(incident: &str, channel: &str, attempts: u32, deadline: SignedDuration) -> Outgoing {
    let deadline = Clock::system().now() + deadline;
    let leg = format!("{incident}.1");
    let act = json!({ "offer": { "leg": leg, "plan": plan(channel, attempts), "deadline": deadline } });
    outgoing(incident, &format!("{incident}.3.offer"), act)
}

fn offer(incident: &str, channel: &str, attempts: u32) -> Outgoing {
    offer_within(incident, channel, attempts, SignedDuration::from_secs(60))
}

fn withdraw(incident: &str, channel: &str) -> Outgoing {
    let act = json!({ "withdraw": { "leg": format!("{incident}.1"), "plan": plan(channel, 1), "why": "hazard" } });
    outgoing(incident, &format!("{incident}.5.withdraw"), act)
}

fn notice(incident: &str, version: u32) -> Outgoing {
    let act = json!({ "tell-cad": { "notice": "team-accepted", "program": "psr" } });
    outgoing(incident, &format!("{incident}.{version}.tell-cad"), act)
}

const AT_ONCE: Duration = Duration::ZERO;

#[tokio::test]
async fn a_busy_team_is_tried_again_under_the_same_key_with_the_same_bytes() {
    let peer = Peer::start(|number| if number < 2 { (503, None, AT_ONCE) } else { (202, None, AT_ONCE) }).await;
    let (outbox, mut ends) = outbox(settings(&channel("webhook", &peer.url)));
    outbox.submit(offer("i1", "webhook", 5));
    assert_eq!(next(&mut ends).await, delivered("i1.3.offer"));
    let tries = peer.received();
    assert_eq!(tries.len(), 3);
    for one in &tries {
        assert_eq!((&one.method, one.header("idempotency-key")), (&hyper::Method::POST, "i1.3.offer"));
        assert_eq!(one.body, tries[0].body);
        let secret = Secret::try_from(SECRET.to_owned()).unwrap();
        let (stamp, signature) = (one.header("fourth-timestamp"), one.header("fourth-signature"));
        let now = Clock::system().now();
        verify(&secret, stamp, &one.body, signature, now, Duration::from_secs(60)).unwrap();
    }
}

#[tokio::test]
async fn an_offer_says_what_the_list_allows_and_no_more() {
    let peer = Peer::start(|_| (200, None, AT_ONCE)).await;
    let public = "public_url = \"https://fourth.example.gov/\"\n";
    let (outbox, mut ends) = outbox(settings(&format!("{public}{}", channel("webhook", &peer.url))));
    outbox.submit(offer("i1", "webhook", 1));
    assert_eq!(next(&mut ends).await, delivered("i1.3.offer"));
    let message = peer.received()[0].json();
    let expected = json!({
        "nature": "welfare-check",
        "callback": ["+1 250 555 0100"],
        "facts": { "nature": "welfare-check", "weapon": "none" },
    });
    assert_eq!(message["released"], expected);
    assert_eq!(
        (&message["kind"], &message["leg"], &message["program"]),
        (&json!("offer"), &json!("i1.1"), &json!("psr"))
    );
    assert_eq!(message["call_back_within_min"], 30);
    assert!(message["deadline"].as_str().unwrap().parse::<Timestamp>().is_ok());
    let links = &message["links"];
    assert_eq!(links["accept"], "https://fourth.example.gov/v1/legs/i1.1/accept");
    assert_eq!(links.as_object().unwrap().len(), 4);
    let text = message.to_string();
    assert!(!text.contains("canary") && !text.contains("cad-number"), "{text}");
}

#[tokio::test]
async fn a_withdrawal_says_nothing_about_the_caller() {
    let peer = Peer::start(|_| (200, None, AT_ONCE)).await;
    let (outbox, mut ends) = outbox(settings(&channel("webhook", &peer.url)));
    outbox.submit(withdraw("i1", "webhook"));
    assert_eq!(next(&mut ends).await, delivered("i1.5.withdraw"));
    let message = peer.received()[0].json();
    assert_eq!(
        (&message["kind"], &message["why"], &message["leg"]),
        (&json!("withdraw"), &json!("hazard"), &json!("i1.1"))
    );
    assert_eq!((message.get("released"), message.get("deadline")), (None, None));
    assert!(!message.to_string().contains("555"));
}

#[tokio::test]
async fn a_slow_team_delays_no_other() {
    let slow = Peer::start(|_| (200, None, Duration::from_secs(30))).await;
    let quick = Peer::start(|_| (200, None, AT_ONCE)).await;
    let both = [channel("slow", &slow.url), channel("quick", &quick.url)].concat();
    let (outbox, mut ends) = outbox(settings(&format!("concurrency_max = 2\n{both}")));
    for number in 0..20 {
        outbox.submit(offer(&format!("s{number}"), "slow", 3));
    }
    let started = crate::clock::monotonic_now();
    outbox.submit(offer("q", "quick", 1));
    assert_eq!(next(&mut ends).await, delivered("q.3.offer"));
    assert!(started.elapsed() < Duration::from_millis(300), "{:?}", started.elapsed());
    assert_eq!(outbox.waiting()["slow"], 20);
}

#[tokio::test]
async fn one_silent_incident_does_not_hold_up_the_others_of_its_destination() {
    let peer =
        Peer::start(|number| if number == 0 { (200, None, Duration::from_secs(30)) } else { (200, None, AT_ONCE) });
    let peer = peer.await;
    let (outbox, mut ends) = outbox(settings(&channel("webhook", &peer.url)));
    outbox.submit(offer("a", "webhook", 1));
    tokio::time::sleep(Duration::from_millis(100)).await;
    outbox.submit(offer("b", "webhook", 1));
    assert_eq!(next(&mut ends).await, delivered("b.3.offer"));
    assert_eq!(next(&mut ends).await, given_up("a.3.offer", "attempts-exhausted"));
}

#[tokio::test]
async fn the_deadline_ends_the_tries() {
    let peer = Peer::start(|_| (503, None, AT_ONCE)).await;
    let (outbox, mut ends) = outbox(settings(&channel("webhook", &peer.url)));
    let started = crate::clock::monotonic_now();
    outbox.submit(offer_within("i1", "webhook", 1_000, SignedDuration::from_millis(150)));
    // `attempts_max` of the settings is 10, so either bound may come first; the deadline always holds.
    let (_, why) = next(&mut ends).await;
    assert!(["deadline-passed", "attempts-exhausted"].contains(&why.unwrap().as_str()));
    assert!(started.elapsed() < Duration::from_millis(400));
    outbox.submit(offer_within("i2", "webhook", 3, SignedDuration::from_secs(-1)));
    assert_eq!(next(&mut ends).await, given_up("i2.3.offer", "deadline-passed"));
    assert!(peer.received().iter().all(|one| one.header("idempotency-key") == "i1.3.offer"), "no try after it");
}

#[tokio::test]
async fn a_silent_team_is_given_up_within_its_tries() {
    let peer = Peer::start(|_| (200, None, Duration::from_secs(30))).await;
    let quick = Settings { try_timeout_ms: 100, ..settings(&channel("webhook", &peer.url)) };
    let (outbox, mut ends) = outbox(quick);
    outbox.submit(offer("i1", "webhook", 2));
    assert_eq!(next(&mut ends).await, given_up("i1.3.offer", "attempts-exhausted"));
    assert_eq!(peer.received().len(), 2);
}

#[tokio::test]
async fn a_refusal_ends_at_once_and_redirects_are_not_followed() {
    for (script, why) in [
        ((|_| (422, None, AT_ONCE)) as Script, "refused-422"),
        (|_| (401, None, AT_ONCE), "refused-401"),
        (|_| (307, None, AT_ONCE), "refused-307"),
    ] {
        let peer = Peer::start(script).await;
        let (outbox, mut ends) = outbox(settings(&channel("webhook", &peer.url)));
        outbox.submit(offer("i1", "webhook", 5));
        assert_eq!(next(&mut ends).await, given_up("i1.3.offer", why));
        assert_eq!(peer.received().len(), 1);
    }
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let peer = Peer::start(|number| if number == 0 { (429, Some(1), AT_ONCE) } else { (200, None, AT_ONCE) }).await;
    let (outbox, mut ends) = outbox(settings(&channel("webhook", &peer.url)));
    let started = crate::clock::monotonic_now();
    outbox.submit(offer("i1", "webhook", 2));
    assert_eq!(next(&mut ends).await, delivered("i1.3.offer"));
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn what_has_nowhere_to_go_is_given_up_at_once() {
    let (outbox, mut ends) = outbox(settings(""));
    outbox.submit(offer("i1", "pigeon", 5));
    assert_eq!(next(&mut ends).await, given_up("i1.3.offer", "no-such-channel"));
    outbox.submit(notice("i1", 4));
    assert_eq!(next(&mut ends).await, given_up("i1.4.tell-cad", "no-cad"));
    let dead = channel("dead", "http://127.0.0.1:1/");
    let (outbox, mut ends) = self::outbox(settings(&dead));
    outbox.submit(offer("i2", "dead", 2));
    assert_eq!(next(&mut ends).await, given_up("i2.3.offer", "attempts-exhausted"));
}

#[tokio::test]
async fn programs_on_one_channel_have_their_own_doors_and_secrets() {
    let (general, own) = (Peer::start(|_| (200, None, AT_ONCE)).await, Peer::start(|_| (200, None, AT_ONCE)).await);
    let program =
        format!("[channel.webhook.program.psr]\nurl = \"{}\"\nsecret = \"the-secret-of-psr-alone\"\n", own.url);
    let (outbox, mut ends) = outbox(settings(&[channel("webhook", &general.url), program].concat()));
    outbox.submit(offer("i1", "webhook", 1));
    assert_eq!(next(&mut ends).await, delivered("i1.3.offer"));
    assert!(general.received().is_empty());
    let one = own.received().remove(0);
    let secret = Secret::try_from("the-secret-of-psr-alone".to_owned()).unwrap();
    assert_eq!(one.header("fourth-signature"), sign(&secret, one.header("fourth-timestamp"), &one.body));
}

#[tokio::test]
async fn a_withdrawal_overtakes_the_offer_it_takes_back() {
    let peer =
        Peer::start(|number| if number == 0 { (200, None, Duration::from_secs(30)) } else { (200, None, AT_ONCE) });
    let peer = peer.await;
    let slow = settings(&channel("webhook", &peer.url));
    let (outbox, mut ends) = outbox(Settings { try_timeout_ms: 20_000, ..slow });
    outbox.submit(offer("i1", "webhook", 5));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let started = crate::clock::monotonic_now();
    outbox.submit(withdraw("i1", "webhook"));
    assert_eq!(next(&mut ends).await, given_up("i1.3.offer", "superseded"));
    assert_eq!(next(&mut ends).await, delivered("i1.5.withdraw"));
    assert!(started.elapsed() < Duration::from_millis(500));
}

#[tokio::test]
async fn notices_of_one_incident_arrive_in_order_however_the_cad_falters() {
    let peer = Peer::start(|number| (if number % 3 == 2 { 200 } else { 500 }, None, AT_ONCE)).await;
    let cad = format!("[cad]\nurl = \"{}\"\nbearer = \"a-token-for-the-cad\"\n", peer.url);
    let (outbox, mut ends) = outbox(settings(&cad));
    for version in 1..=5 {
        outbox.submit(notice("i1", version));
        outbox.submit(notice("i1", version));
    }
    for version in 1..=5 {
        assert_eq!(next(&mut ends).await, delivered(&format!("i1.{version}.tell-cad")));
    }
    let received = peer.received();
    assert_eq!(received.len(), 15, "a key that is waiting is not taken twice");
    let mut keys: Vec<&str> = received.iter().map(|one| one.header("idempotency-key")).collect();
    keys.dedup();
    assert_eq!(keys.len(), 5);
    let one = &received[0];
    assert_eq!(one.header("content-type"), "application/emergency.eido+json; version=\"1\"");
    assert_eq!(
        (one.header("fourth-notice"), one.header("authorization")),
        ("team-accepted", "Bearer a-token-for-the-cad")
    );
    assert!(!String::from_utf8_lossy(&one.body).contains("canary-n"));
}

#[tokio::test]
async fn a_full_queue_refuses_offers_and_still_takes_recalls() {
    let peer = Peer::start(|_| (200, None, Duration::from_secs(30))).await;
    let (outbox, mut ends) = outbox(settings(&format!("queue_max = 3\n{}", channel("webhook", &peer.url))));
    for number in 0..3 {
        outbox.submit(offer(&format!("i{number}"), "webhook", 9));
    }
    outbox.submit(offer("late", "webhook", 9));
    assert_eq!(next(&mut ends).await, given_up("late.3.offer", "queue-full"));
    outbox.submit(withdraw("other", "webhook"));
    assert_eq!(outbox.waiting()["webhook"], 4);
}

#[tokio::test]
async fn everything_ends_and_nothing_stays_waiting() {
    let peer = Peer::start(|number| ([200, 500, 404, 503][number % 4], None, AT_ONCE)).await;
    let (outbox, mut ends) = outbox(settings(&channel("webhook", &peer.url)));
    let mut keys = std::collections::BTreeSet::new();
    for number in 0..200 {
        outbox.submit(offer(&format!("i{number}"), "webhook", 3));
    }
    for _ in 0..200 {
        assert!(keys.insert(next(&mut ends).await.0), "each key ends once");
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(outbox.waiting()["webhook"], 0);
}

#[tokio::test]
async fn tls_trusts_the_configured_authority_and_no_other() {
    let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    let peer = Peer::listen(|_| (200, None, AT_ONCE), Some(Arc::new(server).into())).await;
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, signed.cert.pem()).unwrap();
    let trusting = Settings { ca_file: Some(ca_file), ..settings(&channel("webhook", &peer.url)) };
    let (outbox, mut ends) = outbox(trusting);
    outbox.submit(offer("i1", "webhook", 1));
    assert_eq!(next(&mut ends).await, delivered("i1.3.offer"));
    let (outbox, mut ends) = self::outbox(settings(&channel("webhook", &peer.url)));
    outbox.submit(offer("i2", "webhook", 1));
    assert_eq!(next(&mut ends).await, given_up("i2.3.offer", "attempts-exhausted"));
    assert_eq!(peer.received().len(), 1);
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let empty = Settings { ca_file: Some(empty), ..Settings::default() };
    assert!(Carriers::new(&empty, None).unwrap_err().to_string().ends_with("holds no certificate"));
}
