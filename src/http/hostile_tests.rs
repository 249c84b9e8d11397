//! Hostile and unlucky clients against a door on a real socket (fault rows 1, 2, 15, 71 to 73).

use super::*;
use crate::clock::monotonic_now;
use axum::http::StatusCode;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Bounds so short that a test runs in milliseconds, and so long that a busy machine meets them.
fn short() -> Limits {
    Limits {
        first_byte_ms: 150,
        header_read_ms: 150,
        tls_handshake_ms: 150,
        body_total_ms: 1_000,
        body_grace_ms: 150,
        body_stall_ms: 150,
        idle_ms: 200,
        write_stall_ms: 200,
        drain_ms: 2_000,
        ..Limits::default()
    }
}

struct Open {
    address: std::net::SocketAddr,
    stop: watch::Sender<bool>,
    served: JoinHandle<Drained>,
}

async fn open(limits: Limits, tls: Option<tokio_rustls::TlsAcceptor>) -> Open {
    let endless = || async {
        let zeros = tokio_stream::iter(std::iter::repeat_with(|| Ok::<_, std::io::Error>(vec![0_u8; 65_536])));
        axum::body::Body::from_stream(zeros)
    };
    let router = Router::new()
        .route("/fine", get(|| async { "fine" }))
        .route("/slow", get(|| async { sleep(Duration::from_millis(400)).await }))
        .route("/endless", get(endless))
        .route("/echo", post(|request: axum::extract::Request| async { read_whole(request).await }));
    let router = guard(router, DoorName::Intake, &limits);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, shutdown) = watch::channel(false);
    let door = Door { name: DoorName::Intake, listener, tls, limits };
    Open { address, stop, served: tokio::spawn(serve(door, router, shutdown)) }
}

async fn read_whole(request: axum::extract::Request) -> Result<bytes::Bytes, Problem> {
    bodies::read_bytes(request.into_body(), 1024 * 1024).await
}

impl Open {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads until the door closes the connection.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        to_the_close(&mut stream).await
    }
}

/// What the door sends until it closes; fails where it leaves the connection open.
async fn to_the_close(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let closed = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    // A reset is a close too.
    let _read = closed.expect("the connection stays open");
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

const FINE: &[u8] = b"GET /fine HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

async fn still_serves(door: &Open) {
    assert_eq!(status(&door.exchange(FINE).await), 200);
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let door = open(short(), None).await;
    let began = monotonic_now();
    assert_eq!(to_the_close(&mut door.connect().await).await, "");
    assert!(began.elapsed() >= Duration::from_millis(100));
    still_serves(&door).await;
}

#[tokio::test]
async fn slow_heads_are_closed_though_a_byte_comes_now_and_then() {
    let door = open(short(), None).await;
    let mut stream = door.connect().await;
    stream.write_all(b"GET /fine HTTP/1.1\r\n").await.unwrap();
    let mut dripped = 0;
    while stream.write_all(b"X: y\r\n").await.is_ok() && dripped < 100 {
        dripped += 1;
        sleep(Duration::from_millis(20)).await;
    }
    assert!(dripped < 100, "the door took a head for two seconds");
    still_serves(&door).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_answer() {
    let door = open(short(), None).await;
    let answer = door.exchange(b"GET /fine HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(status(&answer), 200);
}

#[tokio::test]
async fn half_a_body_is_answered_408_and_closed() {
    let door = open(short(), None).await;
    let answer = door.exchange(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf").await;
    assert_eq!(status(&answer), 408, "{answer}");
    still_serves(&door).await;
}

#[tokio::test]
async fn a_dripping_body_is_cut_off_and_others_are_served_meanwhile() {
    let door = open(short(), None).await;
    let mut stream = door.connect().await;
    stream.write_all(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n").await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let dripping = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    });
    let began = monotonic_now();
    still_serves(&door).await;
    assert!(began.elapsed() < Duration::from_secs(1));
    let mut answer = Vec::new();
    let _reset = timeout(Duration::from_secs(5), reader.read_to_end(&mut answer)).await.expect("still open");
    assert_eq!(status(&String::from_utf8_lossy(&answer)), 408);
    dripping.abort();
}

#[tokio::test]
async fn heads_too_many_or_too_large_are_431() {
    let door = open(short(), None).await;
    let many: String = (0..200).map(|number| format!("X-{number}: y\r\n")).collect();
    let answer = door.exchange(format!("GET /fine HTTP/1.1\r\nHost: a\r\n{many}\r\n").as_bytes()).await;
    assert_eq!(status(&answer), 431);
    let large = "y".repeat(40_000);
    let answer = door.exchange(format!("GET /fine HTTP/1.1\r\nHost: a\r\nX: {large}\r\n\r\n").as_bytes()).await;
    assert_eq!(status(&answer), 431);
    still_serves(&door).await;
}

#[tokio::test]
async fn heads_that_two_readers_read_differently_are_400() {
    let door = open(short(), None).await;
    for head in [
        "GET /fine HTTP/1.1\r\n\r\n",
        "GET /fine HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /fine HTTP/1.1\r\nHost: a\r\nX_Real: b\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "GET /fine HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET /fine HTTP/1.1\nHost: a\n\n",
    ] {
        let answer = door.exchange(head.as_bytes()).await;
        assert_eq!(status(&answer), 400, "{head:?} was answered {answer:?}");
    }
    still_serves(&door).await;
}

#[tokio::test]
async fn a_request_smuggled_behind_another_is_never_answered() {
    let door = open(short(), None).await;
    let smuggled = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n\
                    0\r\n\r\nGET /fine HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = door.exchange(smuggled.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert_eq!(status(&answer), 400);
}

#[tokio::test]
async fn chunked_bodies_are_read_and_connections_are_kept() {
    let door = open(short(), None).await;
    let chunked = door
        .exchange(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        .await;
    assert_eq!((status(&chunked), chunked.ends_with("hello")), (200, true));
    let one = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let twice = door.exchange(format!("{one}{one}").as_bytes()).await;
    assert_eq!(twice.matches("HTTP/1.1 200").count(), 2);
}

#[tokio::test]
async fn a_body_declared_too_large_is_413_before_its_bytes_come() {
    let door = open(short(), None).await;
    let began = monotonic_now();
    let answer = door.exchange(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n").await;
    assert_eq!(status(&answer), 413);
    assert!(answer.contains("urn:fourth:problem:too-large"), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_body_too_large_without_a_declared_length_is_413_at_the_limit() {
    let door = open(Limits { body_bytes_max: 1_000, ..short() }, None).await;
    let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
    let request =
        format!("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n");
    assert_eq!(status(&door.exchange(request.as_bytes()).await), 413);
}

#[tokio::test]
async fn connections_above_the_cap_are_refused_at_once_and_places_come_back() {
    let door = open(Limits { connections_max: 2, first_byte_ms: 2_000, ..short() }, None).await;
    let (first, _second) = (door.connect().await, door.connect().await);
    sleep(Duration::from_millis(50)).await;
    let began = monotonic_now();
    let refused = to_the_close(&mut door.connect().await).await;
    assert_eq!(status(&refused), 503);
    assert!(refused.contains("Retry-After"), "{refused}");
    assert!(began.elapsed() < Duration::from_millis(500));
    drop(first);
    sleep(Duration::from_millis(50)).await;
    still_serves(&door).await;
}

#[tokio::test]
async fn one_peer_cannot_take_every_place() {
    let door = open(Limits { connections_per_peer_max: 1, first_byte_ms: 2_000, ..short() }, None).await;
    let _first = door.connect().await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(status(&to_the_close(&mut door.connect().await).await), 503);
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_let_go() {
    let door = open(short(), None).await;
    let mut stream = door.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(800)).await;
    door.stop.send(true).unwrap();
    let drained = timeout(Duration::from_secs(1), door.served).await.expect("the stalled answer holds its place");
    assert_eq!(drained.unwrap(), Drained { cut_off: 0 });
}

#[tokio::test]
async fn a_drain_finishes_what_is_in_hand_and_takes_nothing_new() {
    let door = open(short(), None).await;
    let mut in_hand = door.connect().await;
    in_hand.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut idle = door.connect().await;
    idle.write_all(b"GET /fine HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    door.stop.send(true).unwrap();
    assert_eq!(status(&to_the_close(&mut in_hand).await), 200, "the request in hand was dropped");
    assert_eq!(status(&to_the_close(&mut idle).await), 200);
    assert_eq!(timeout(Duration::from_secs(5), door.served).await.unwrap().unwrap(), Drained { cut_off: 0 });
    assert!(TcpStream::connect(door.address).await.is_err(), "the port is still open");
}

#[tokio::test]
async fn a_drain_ends_at_its_bound() {
    let door = open(Limits { drain_ms: 50, ..short() }, None).await;
    let mut in_hand = door.connect().await;
    in_hand.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    door.stop.send(true).unwrap();
    assert_eq!(timeout(Duration::from_secs(2), door.served).await.unwrap().unwrap(), Drained { cut_off: 1 });
}

#[tokio::test]
async fn a_thousand_clients_at_once_are_each_served_or_refused() {
    let door = Arc::new(open(Limits { connections_max: 200, connections_per_peer_max: 200, ..short() }, None).await);
    let clients: Vec<_> = (0..1_000)
        .map(|_| {
            let door = Arc::clone(&door);
            tokio::spawn(async move {
                let Ok(mut stream) = TcpStream::connect(door.address).await else { return 0 };
                let _reset = stream.write_all(FINE).await;
                status(&to_the_close(&mut stream).await)
            })
        })
        .collect();
    let mut served = 0;
    for client in clients {
        match client.await.unwrap() {
            200 => served += 1,
            // A refusal may be cut short by the reset that follows it.
            503 | 0 => {}
            other => panic!("answered {other}"),
        }
    }
    assert!(served >= 200, "only {served} were served");
    still_serves(&door).await;
}

/// A door with a certificate of its own, and a client that trusts it.
async fn open_with_tls() -> (Open, Arc<rustls::ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = TlsSettings { certificate: folder.path().join("door.pem"), key: folder.path().join("door.key") };
    std::fs::write(&settings.certificate, made.cert.pem()).unwrap();
    std::fs::write(&settings.key, made.signing_key.serialize_pem()).unwrap();
    let door = open(short(), Some(acceptor(&settings).unwrap())).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (door, Arc::new(client))
}

async fn connect_tls(
    door: &Open,
    client: &rustls::ClientConfig,
    protocol: &[u8],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut client = client.clone();
    client.alpn_protocols = vec![protocol.to_vec()];
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(client)).connect(name, door.connect().await).await.unwrap()
}

#[tokio::test]
async fn tls_serves_http_1_and_http_2_as_agreed_in_the_handshake() {
    let (door, client) = open_with_tls().await;
    let mut stream = connect_tls(&door, &client, b"http/1.1").await;
    stream.write_all(FINE).await.unwrap();
    let mut answer = Vec::new();
    let _closed = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(status(&String::from_utf8_lossy(&answer)), 200);

    let stream = connect_tls(&door, &client, b"h2").await;
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, axum::body::Body>(executor, io).await.unwrap();
    let connected = tokio::spawn(connection);
    let request = axum::http::Request::get("https://localhost/fine").body(axum::body::Body::empty()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), StatusCode::OK);
    // Nothing further is asked: an idle connection is closed, also where its peer answers every ping.
    timeout(Duration::from_secs(5), connected).await.expect("the idle connection stays open").unwrap().unwrap();
    drop(sender);
}

#[tokio::test]
async fn half_a_preface_and_a_silent_handshake_are_closed() {
    let (door, client) = open_with_tls().await;
    let mut stream = connect_tls(&door, &client, b"h2").await;
    stream.write_all(b"PRI * HTTP/2").await.unwrap();
    let mut answer = Vec::new();
    let _closed = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.expect("half a preface");
    let mut silent = door.connect().await;
    silent.write_all(b"\x16").await.unwrap();
    assert_eq!(to_the_close(&mut silent).await, "");
}

#[test]
fn a_key_that_is_not_the_certificates_is_refused_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let settings = TlsSettings { certificate: folder.path().join("door.pem"), key: folder.path().join("door.key") };
    assert!(acceptor(&settings).err().unwrap().to_string().contains("door.pem"), "a missing file is named");
    let made = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&settings.certificate, made().cert.pem()).unwrap();
    std::fs::write(&settings.key, made().signing_key.serialize_pem()).unwrap();
    assert!(acceptor(&settings).is_err());
}
