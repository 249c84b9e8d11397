//! The door for EIDO conveyance from outside: who gets in, what a subscriber is told, and what its records become.

use crate::support::{Place, SAFE, Served, TOKEN, eido, eventually, free_port};
use fourth_simulators::client::Client;
use fourth_simulators::server::{Reply, Server};
use futures_util::SinkExt;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_stream::StreamExt;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{Request as Asked, Response as Opened};

const PATIENCE: Duration = Duration::from_secs(20);

struct Peer {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Peer {
    fn digest(&self) -> String {
        hex::encode(Sha256::digest(&self.certificate))
    }
}

struct Network {
    place: Place,
    port: u16,
    authority: CertificateDer<'static>,
    neighbour: Peer,
    watcher: Peer,
    unlisted: Peer,
    /// Another agency's desk, which the adapter asks.
    desk: Peer,
    _files: tempfile::TempDir,
}

type Socket = WebSocketStream<TlsStream<TcpStream>>;

impl Network {
    fn new() -> Self {
        Self::with("")
    }

    fn with(further: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let vouch = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
            (certificate, key)
        };
        let peer = |name: &str| {
            let (certificate, key) = vouch(name);
            Peer { certificate: certificate.der().clone(), key: key.serialize_der() }
        };
        let (neighbour, watcher, unlisted) = (peer("neighbour"), peer("watcher"), peer("unlisted"));
        let desk = peer("127.0.0.1");
        let files = tempfile::tempdir().unwrap();
        let file = |name: &str, pem: String| {
            let path = files.path().join(name);
            std::fs::write(&path, pem).unwrap();
            path.display().to_string()
        };
        let (own, own_key) = vouch("127.0.0.1");
        let port = free_port();
        let more = format!(
            "[http.conveyance]\nlisten = \"127.0.0.1:{port}\"\ncertificate = \"{}\"\nkey = \"{}\"\n\
             client_authorities = \"{}\"\nagency = \"fourth.example\"\nelement = \"adapter.fourth.example\"\n\
             subscriptions_max = 2\nlimits.body_bytes_max = 65536\n\
             [[http.conveyance.peer]]\nname = \"neighbour\"\ncertificate_sha256 = \"{}\"\nsender = \"default\"\n\
             release = [\"nature\", \"facts\"]\n\
             [[http.conveyance.peer]]\nname = \"watcher\"\ncertificate_sha256 = \"{}\"\nrelease = []\n{further}",
            file("own.pem", own.pem()),
            file("own.key", own_key.serialize_pem()),
            file("ca.pem", ca.pem()),
            neighbour.digest(),
            watcher.digest(),
        )
        .replace("{files}", &files.path().display().to_string());
        let always =
            |policy: String| policy.replace("from = \"08:00\", to = \"24:00\"", "from = \"00:00\", to = \"24:00\"");
        let (place, authority) = (Place::new(always, &more), ca.der().clone());
        Self { place, port, authority, neighbour, watcher, unlisted, desk, _files: files }
    }

    fn roots(&self) -> rustls::RootCertStore {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        roots
    }

    /// The other agency's desk: it says yes to every request, and to a cancellation what `to_cancel` says.
    fn open_desk(&self, listener: TcpListener, to_cancel: &Arc<AtomicU64>) -> Arc<AtomicU64> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()), Arc::clone(&provider));
        let key = PrivateKeyDer::try_from(self.desk.key.clone()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap())
            .with_single_cert(vec![self.desk.certificate.clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let (to_cancel, cancelled) = (Arc::clone(to_cancel), Arc::<AtomicU64>::default());
        let counted = Arc::clone(&cancelled);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, to_cancel, counted) = (acceptor.clone(), Arc::clone(&to_cancel), Arc::clone(&counted));
                tokio::spawn(async move {
                    let stream = acceptor.accept(stream).await.unwrap();
                    #[expect(clippy::result_large_err, reason = "the shape is the library's")]
                    let choose = |_: &Asked, mut opened: Opened| {
                        opened.headers_mut().insert("sec-websocket-protocol", "emergency-ent1.0".parse().unwrap());
                        Ok(opened)
                    };
                    let mut socket = tokio_tungstenite::accept_hdr_async(stream, choose).await.unwrap();
                    while let Some(Ok(frame)) = socket.next().await {
                        let Frame::Text(text) = frame else { continue };
                        let message: Value = serde_json::from_str(&text).unwrap();
                        let (kind, asked) = message.as_object().unwrap().iter().next().unwrap();
                        let code = match kind.as_str() {
                            "requestForService" => 200,
                            "cancelRequest" => {
                                counted.fetch_add(1, Ordering::SeqCst);
                                to_cancel.load(Ordering::SeqCst)
                            }
                            other => panic!("{other}"),
                        };
                        let request = &asked["requestId"];
                        let said =
                            json!({"response": {"requestId": request, "responseCode": code, "responseText": ""}});
                        if socket.send(Frame::text(said.to_string())).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        cancelled
    }

    async fn dial(&self, peer: Option<&Peer>, path: &str, protocol: &'static str) -> Option<Socket> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots());
        let config = match peer {
            None => config.with_no_client_auth(),
            Some(peer) => {
                let key = PrivateKeyDer::try_from(peer.key.clone()).unwrap();
                config.with_client_auth_cert(vec![peer.certificate.clone()], key).unwrap()
            }
        };
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = connector.connect(name, stream).await.ok()?;
        let mut request = format!("wss://127.0.0.1:{}{path}", self.port).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        Some(tokio_tungstenite::client_async(request, stream).await.ok()?.0)
    }

    async fn join(&self, peer: &Peer) -> Socket {
        self.dial(Some(peer), "/IncidentData/ent", "emergency-ent1.0").await.expect("the peer is let in")
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let client = Client::new(Duration::from_secs(10));
        client.post_json(&format!("{}{path}", self.place.url(0)), TOKEN, body).await.unwrap().json()
    }
}

async fn say(socket: &mut Socket, message: &Value) {
    socket.send(Frame::text(message.to_string())).await.unwrap();
}

/// The next text message.
async fn hear(socket: &mut Socket) -> Value {
    let next = async {
        loop {
            match socket.next().await {
                Some(Ok(Frame::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(_)) => {}
                other => panic!("the connection ended: {other:?}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, next).await.expect("a message comes")
}

/// True once the adapter has ended the connection.
async fn ended(socket: &mut Socket) -> bool {
    let end = async { while let Some(Ok(_)) = socket.next().await {} };
    tokio::time::timeout(PATIENCE, end).await.is_ok()
}

async fn subscribed(socket: &mut Socket) -> String {
    say(socket, &json!({"subscribe": {"requestId": "r1", "requestType": "EIDO", "requestSubType": "new"}})).await;
    let answer = hear(socket).await;
    let answer = &answer["subscribeResponse"];
    assert_eq!(
        (&answer["requestId"], &answer["statusCode"], &answer["expires"]),
        (&json!("r1"), &json!(200), &json!(3600))
    );
    answer["subscriptionId"].as_str().unwrap().to_owned()
}

async fn take(socket: &mut Socket) -> Value {
    let event = hear(socket).await;
    let event = event["event"].clone();
    let transaction = event["transactionId"].as_str().unwrap();
    say(socket, &json!({"eventResponse": {"transactionId": transaction, "statusCode": 200, "statusText": "OK"}})).await;
    event
}

fn record(number: &str, facts: &[(&str, &str)]) -> Value {
    let id = format!("urn:emergency:uid:incidentid:{number}:kamloops.example");
    serde_json::from_str(&eido(&id, "2026-05-01T13:00:00-07:00", "WELFARE", facts)).unwrap()
}

#[tokio::test]
async fn a_subscriber_is_told_what_its_list_names_and_nothing_else() {
    let network = Network::new();
    let served = Served::start(&network.place);
    let mut socket = network.join(&network.neighbour).await;
    let subscription = subscribed(&mut socket).await;
    let first = take(&mut socket).await;
    assert_eq!(
        (&first["subscriptionId"], &first["notification"]),
        (&json!(subscription), &json!([])),
        "nothing is open"
    );
    let call = network.post("/v1/calls", &record("conv1", SAFE)).await;
    let incident = call["incident"].as_str().unwrap();
    let event = take(&mut socket).await;
    let told = &event["notification"][0];
    assert_eq!(told["incidentComponent"]["internalIncidentId"], incident);
    let text = told.to_string();
    assert!(text.contains("welfare-check") && text.contains("weapon: none") && text.contains("with PSAP"), "{text}");
    assert!(!text.contains("Canary-") && !text.contains("conv1"), "{text}");
    // A peer whose list is empty learns that there is an incident and who has it.
    let mut watcher = network.join(&network.watcher).await;
    subscribed(&mut watcher).await;
    let text = take(&mut watcher).await["notification"][0].to_string();
    assert!(text.contains(incident) && !text.contains("welfare-check") && !text.contains("Canary-"), "{text}");
    let single = json!({"subscribe": {"requestId": "r2", "requestType": "EIDO", "requestSubType": "single", "incidentId": incident}});
    say(&mut watcher, &single).await;
    assert_eq!(hear(&mut watcher).await["subscribeResponse"]["statusCode"], 200);
    assert_eq!(take(&mut watcher).await["notification"].as_array().unwrap().len(), 1);
    for (asked, code) in [
        (json!({"requestId": "x", "requestType": "EIDO", "requestSubType": "new"}), 503),
        (json!({"requestId": "x", "requestType": "EIDO", "requestSubType": "new", "qualFilter": "a"}), 406),
        (json!({"requestId": "x", "requestType": "EIDO", "qualFilter": "a", "incidentId": incident}), 400),
        (json!({"requestId": "x", "requestType": "XML"}), 400),
        (json!({"requestId": "x", "subscriptionId": "nobodys"}), 481),
    ] {
        say(&mut watcher, &json!({ "subscribe": asked })).await;
        assert_eq!(hear(&mut watcher).await["subscribeResponse"]["statusCode"], code);
    }
    for code in [200, 481] {
        say(&mut socket, &json!({"unsubscribe": {"requestId": "r3", "subscriptionId": subscription}})).await;
        assert_eq!(hear(&mut socket).await["unsubscribeResponse"]["statusCode"], code);
    }
    // An orderly stop ends every subscription in words.
    let stopping = tokio::task::spawn_blocking(move || served.terminate());
    let mut words = 0;
    while words < 2 {
        words += usize::from(hear(&mut watcher).await.get("terminate").is_some());
    }
    assert!(ended(&mut watcher).await && stopping.await.unwrap().success());
}

#[tokio::test]
async fn what_a_peer_sends_goes_the_same_line_as_any_record() {
    let network = Network::new();
    let _served = Served::start(&network.place);
    let mut socket = network.join(&network.neighbour).await;
    let event = |transaction: &str, eido: &Value| json!({"event": {"subscriptionId": "ours", "transactionId": transaction, "notification": [eido]}});
    say(&mut socket, &event("t1", &record("conv2", SAFE))).await;
    let receipt = hear(&mut socket).await;
    assert_eq!(
        (&receipt["eventResponse"]["transactionId"], &receipt["eventResponse"]["statusCode"]),
        (&json!("t1"), &json!(200))
    );
    let client = Client::new(Duration::from_secs(10));
    let name = "urn:emergency:uid:incidentid:conv2:kamloops.example";
    let found = client.get(&format!("{}/v1/calls?call={name}", network.place.url(0)), TOKEN).await.unwrap();
    assert_eq!(found.status, 200, "2xx to the peer means that the call is there");
    say(&mut socket, &event("t2", &json!({}))).await;
    assert_eq!(hear(&mut socket).await["eventResponse"]["statusCode"], 400);
    let mut watcher = network.join(&network.watcher).await;
    say(&mut watcher, &event("t3", &record("conv3", SAFE))).await;
    assert_eq!(hear(&mut watcher).await["eventResponse"]["statusCode"], 481, "this peer may send none");
    say(&mut watcher, &json!({"requestForService": {"requestId": "q", "eido": record("conv3", SAFE)}})).await;
    assert_eq!(hear(&mut watcher).await["response"]["responseCode"], 403);
}

#[tokio::test]
async fn a_request_for_service_is_answered_by_what_becomes_of_the_call() {
    let network = Network::new();
    let _served = Served::start(&network.place);
    let mut socket = network.join(&network.neighbour).await;
    let push = |kind: &str, request: &str, eido: &Value| json!({ kind: {"requestId": request, "eido": eido} });
    say(&mut socket, &push("requestForService", "q1", &record("conv4", SAFE))).await;
    assert_eq!(
        hear(&mut socket).await["response"],
        json!({"requestId": "q1", "responseCode": 182, "responseText": "queued: a person decides"})
    );
    let client = Client::new(Duration::from_secs(10));
    let name = "urn:emergency:uid:incidentid:conv4:kamloops.example";
    let found = client.get(&format!("{}/v1/calls?call={name}", network.place.url(0)), TOKEN).await.unwrap().json();
    // No channel is configured, so that no team can be reached and the call comes back.
    let path = format!("/v1/calls/{}/choice", found["incident"].as_str().unwrap());
    network.post(&path, &json!({"choice": "accept"})).await;
    let answer = hear(&mut socket).await;
    assert_eq!((&answer["response"]["requestId"], &answer["response"]["responseCode"]), (&json!("q1"), &json!(603)));
    let armed: Vec<(&str, &str)> =
        SAFE.iter().map(|(fact, value)| (*fact, if *fact == "weapon" { "present" } else { value })).collect();
    say(&mut socket, &push("requestForService", "q2", &record("conv5", &armed))).await;
    assert_eq!(hear(&mut socket).await["response"]["responseCode"], 488);
    say(&mut socket, &push("requestAwareness", "q3", &record("conv6", &armed))).await;
    assert_eq!(hear(&mut socket).await["response"]["responseCode"], 200);
    // We subscribe to nobody.
    say(&mut socket, &json!({"terminate": {"requestId": "t1", "subscriptionId": "s"}})).await;
    let answer = hear(&mut socket).await["terminateResponse"].clone();
    assert_eq!((&answer["requestId"], &answer["statusCode"]), (&json!("t1"), &json!(481)));
}

/// A team's door that says yes to whatever comes and keeps the names of what came.
async fn team_door() -> (Server, Arc<Mutex<Vec<String>>>) {
    let keys: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&keys);
    let door = Server::start("127.0.0.1:0".parse().unwrap(), move |received| {
        kept.lock().unwrap().push(received.header("idempotency-key").unwrap().to_owned());
        async { Reply::json(202, &json!({})) }
    });
    (door.await.unwrap(), keys)
}

const TEAM: &str = "a-team-for-the-test-only";

#[tokio::test]
async fn a_request_is_taken_back_by_whoever_asked_over_any_connection_and_by_nobody_else() {
    let (door, told) = team_door().await;
    let network = Network::with(&format!(
        "[handoff.channel.webhook]\nkind = \"webhook\"\nurl = \"{}/offers\"\n\
         secret = \"0123456789abcdef0123456789abcdef\"\n\
         [[access.identity]]\nname = \"team\"\nrole = \"team\"\nprogram = \"cso-north\"\ntoken_sha256 = \"{}\"\n",
        door.url(),
        fourth_option::access::hash_token(TEAM),
    ));
    let served = Served::start(&network.place);
    let mut socket = network.join(&network.neighbour).await;
    let client = Client::new(Duration::from_secs(10));
    let (intake, teams) = (network.place.url(0), network.place.url(1));
    let push =
        |request: &str, call: &str| json!({"requestForService": {"requestId": request, "eido": record(call, SAFE)}});
    let cancel = |request: &str| json!({"cancelRequest": {"requestId": request}});
    let incident = async |call: &str| {
        let name = format!("urn:emergency:uid:incidentid:{call}:kamloops.example");
        let found = client.get(&format!("{intake}/v1/calls?call={name}"), TOKEN).await.unwrap().json();
        found["incident"].as_str().unwrap().to_owned()
    };
    let stands = async |incident: &str| {
        let shown = client.get(&format!("{intake}/v1/calls/{incident}"), TOKEN).await.unwrap().json();
        (shown["phase"].as_str().unwrap().to_owned(), shown["legs"][0]["state"].as_str().map(str::to_owned))
    };
    // Asked for, and a team goes.
    let team_goes = async |socket: &mut Socket, request: &str, call: &str| {
        say(socket, &push(request, call)).await;
        assert_eq!(response(socket).await, (request.to_owned(), 182));
        let incident = incident(call).await;
        network.post(&format!("/v1/calls/{incident}/choice"), &json!({"choice": "accept"})).await;
        let accept = format!("{teams}/v1/legs/{incident}.1/accept");
        assert_eq!(client.post_json(&accept, TEAM, &json!({})).await.unwrap().status, 200);
        assert_eq!(response(socket).await, (request.to_owned(), 200));
        incident
    };
    let going = team_goes(&mut socket, "q1", "take1").await;
    // Nobody else, and nothing else.
    let mut watcher = network.join(&network.watcher).await;
    for (socket, request) in [(&mut watcher, "q1"), (&mut socket, "q2")] {
        say(socket, &cancel(request)).await;
        assert_eq!(response(socket).await, (request.to_owned(), 481));
    }
    assert_eq!(stands(&going).await, ("with-team".to_owned(), Some("accepted".to_owned())));
    // Over another connection, to a process that was started anew; twice. The final answer to the request was given.
    drop(socket);
    served.terminate();
    let _served = Served::start(&network.place);
    let mut socket = network.join(&network.neighbour).await;
    for _ in 0..2 {
        say(&mut socket, &cancel("q1")).await;
        assert_eq!(response(&mut socket).await, ("q1".to_owned(), 200));
        assert_eq!(stands(&going).await, ("closed".to_owned(), Some("stood-back".to_owned())));
    }
    eventually("the team is told to stand back", PATIENCE, async || {
        told.lock().unwrap().iter().any(|key| key.starts_with(&going) && key.ends_with(".stand-back")).then_some(())
    })
    .await;
    let journal = network.place.journal().to_str().unwrap().to_owned();
    let (_, shown, _) = crate::support::fourth(&["journal", "show", "--json", "--journal", &journal, &going]);
    assert!(shown.contains(r#""asked":{"by":"neighbour","request":"q1"}"#), "{shown}");
    assert_eq!(shown.matches(r#""event":"closed","why":"cancelled-by-source""#).count(), 1, "{shown}");
    // While its answer is owed, that answer is that it was taken back, after the answer to the cancellation.
    say(&mut socket, &push("q3", "take3")).await;
    assert_eq!(response(&mut socket).await, ("q3".to_owned(), 182));
    say(&mut socket, &cancel("q3")).await;
    assert_eq!(response(&mut socket).await, ("q3".to_owned(), 200));
    assert_eq!(response(&mut socket).await, ("q3".to_owned(), 487));
    assert_eq!(stands(&incident("take3").await).await, ("closed".to_owned(), None));
    // Asked again for what is over: that is said at once, for nothing will change any more.
    say(&mut socket, &push("q3", "take3")).await;
    assert_eq!(response(&mut socket).await, ("q3".to_owned(), 182));
    assert_eq!(response(&mut socket).await, ("q3".to_owned(), 603));
    // A team that is there keeps the call.
    let there = team_goes(&mut socket, "q4", "take4").await;
    let moves = format!("{teams}/v1/legs/{there}.1/status");
    assert_eq!(client.post_json(&moves, TEAM, &json!({"status": "on-scene"})).await.unwrap().status, 200);
    say(&mut socket, &cancel("q4")).await;
    assert_eq!(response(&mut socket).await, ("q4".to_owned(), 403));
    assert_eq!(stands(&there).await, ("with-team".to_owned(), Some("on-scene".to_owned())));
}

/// A recall over EIDO conveyance is owed until the desk says that it has heard it, and no other code says that.
#[tokio::test]
async fn a_desk_that_says_200_to_a_recall_has_heard_it_and_one_that_says_481_has_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let network = Network::with(&format!(
        "[handoff]\nca_file = \"{{files}}/ca.pem\"\n[handoff.conveyance]\ncertificate_file = \"{{files}}/own.pem\"\n\
         key_file = \"{{files}}/own.key\"\nagency = \"fourth.example\"\nelement = \"adapter.fourth.example\"\n\
         [handoff.channel.webhook]\nkind = \"eido\"\nurl = \"wss://{}/ent\"\n",
        listener.local_addr().unwrap()
    ));
    let to_cancel = Arc::new(AtomicU64::new(200));
    let cancelled = network.open_desk(listener, &to_cancel);
    let _served = Served::start(&network.place);
    let client = Client::new(Duration::from_secs(10));
    let shown = async |incident: &str| {
        let path = format!("{}/v1/calls/{incident}", network.place.url(0));
        client.get(&path, TOKEN).await.unwrap().json()
    };
    // Offered, accepted by the desk, and taken back by the call-taker; then what is owed for the recall.
    let recall = async |call: &str| {
        let answer = network.post("/v1/calls", &record(call, SAFE)).await;
        let incident = answer["incident"].as_str().unwrap().to_owned();
        let choice = format!("/v1/calls/{incident}/choice");
        network.post(&choice, &json!({"choice": "accept"})).await;
        eventually("the desk accepts", PATIENCE, async || {
            (shown(&incident).await["phase"] == "with-team").then_some(())
        })
        .await;
        network.post(&choice, &json!({"choice": "ordinary", "reason": "police are nearer"})).await;
        eventually("the recall is delivered", PATIENCE, async || {
            (shown(&incident).await["undelivered"] == 0).then_some(())
        })
        .await;
        incident
    };
    let owed = async |incident: &str| {
        let duties = shown(incident).await["duties"].as_array().unwrap().clone();
        let recall = duties.into_iter().find(|duty| duty["kind"] == "recall").expect("the recall is watched");
        (recall["state"].as_str().unwrap().to_owned(), recall["outcome"].as_str().map(str::to_owned))
    };
    let heard = recall("heard1").await;
    eventually("the recall is acknowledged", PATIENCE, async || {
        (owed(&heard).await == ("closed".to_owned(), Some("acknowledged".to_owned()))).then_some(())
    })
    .await;
    let journal = network.place.journal().to_str().unwrap().to_owned();
    let (_, story, _) = crate::support::fourth(&["journal", "show", "--json", "--journal", &journal, &heard]);
    let closed = story.lines().find(|line| line.contains("\"duty-closed\"") && line.contains("\"recall\""));
    assert!(closed.is_some_and(|line| line.contains(r#""by":{"team":"webhook:200"}"#)), "{story}");
    to_cancel.store(481, Ordering::SeqCst);
    let unheard = recall("heard2").await;
    assert_eq!(cancelled.load(Ordering::SeqCst), 2, "each was cancelled once");
    // An answer that counts would be journaled before one that comes after it on the same connection.
    to_cancel.store(200, Ordering::SeqCst);
    let after = recall("heard3").await;
    eventually("the next is acknowledged", PATIENCE, async || (owed(&after).await.0 == "closed").then_some(())).await;
    assert_eq!(owed(&unheard).await, ("open".to_owned(), None));
}

/// The request and the code of the next answer to a push.
async fn response(socket: &mut Socket) -> (String, u64) {
    let said = hear(socket).await["response"].clone();
    (said["requestId"].as_str().unwrap().to_owned(), said["responseCode"].as_u64().unwrap())
}

#[tokio::test]
async fn strangers_stay_out_and_hostile_frames_end_their_own_connection_only() {
    let network = Network::new();
    let _served = Served::start(&network.place);
    let (path, ours) = ("/IncidentData/ent", "emergency-ent1.0");
    for (peer, path, protocol) in [
        (None, path, ours),
        (Some(&network.unlisted), path, ours),
        (Some(&network.neighbour), "/elsewhere", ours),
        (Some(&network.neighbour), path, "chat"),
    ] {
        assert!(network.dial(peer, path, protocol).await.is_none(), "{path} {protocol}");
    }
    let mut bystander = network.join(&network.watcher).await;
    subscribed(&mut bystander).await;
    take(&mut bystander).await;
    for frame in [
        Frame::text("x".repeat(70_000)),
        Frame::text("[".repeat(5_000)),
        Frame::text("{\"subscribe\":{\"requestId\":\"\"}}"),
        Frame::binary(vec![0_u8; 100]),
    ] {
        let mut socket = network.join(&network.neighbour).await;
        let _ = socket.send(frame).await;
        assert!(ended(&mut socket).await);
    }
    network.post("/v1/calls", &record("conv7", SAFE)).await;
    assert_eq!(take(&mut bystander).await["notification"].as_array().unwrap().len(), 1);
    // Who never answers what it is told is let go.
    let mut silent = network.join(&network.neighbour).await;
    subscribed(&mut silent).await;
    for number in 8..12 {
        network.post("/v1/calls", &record(&format!("conv{number}"), SAFE)).await;
    }
    assert!(ended(&mut silent).await);
    eventually("the adapter still serves", PATIENCE, async || {
        let client = Client::new(Duration::from_secs(10));
        (client.get(&format!("{}/readyz", network.place.url(3)), TOKEN).await.ok()?.status == 200).then_some(())
    })
    .await;
}
