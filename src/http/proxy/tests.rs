//! Tests of the pass-through against a CAD of our own on a real socket.

use super::*;
use crate::call_processing::CallProblem;
use crate::clock::{Clock, monotonic_now};
use crate::journal::JournalError;
use axum::Router;
use axum::routing::any;
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use tokio::net::TcpListener;
use tokio_stream::StreamExt;

/// What the CAD saw of one request.
#[derive(Debug, Clone)]
struct Seen {
    method: Method,
    path: String,
    headers: HeaderMap,
    digest: String,
    length: usize,
}

struct Cad {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A CAD that notes every request and sends its body back; `/slow/…` answers after two seconds.
async fn cad() -> Cad {
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let answer = move |request: Request| {
        let noted = Arc::clone(&noted);
        async move {
            if request.uri().path().contains("/slow/") {
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            let (parts, body) = request.into_parts();
            let Ok(bytes) = body.collect().await else { return Response::new(Body::empty()) };
            let bytes = bytes.to_bytes();
            noted.lock().unwrap().push(Seen {
                method: parts.method,
                path: parts.uri.to_string(),
                headers: parts.headers,
                digest: digest(&bytes),
                length: bytes.len(),
            });
            let mut response = Response::new(Body::from(bytes));
            response.headers_mut().insert("x-cad", "yes".parse().unwrap());
            response.headers_mut().insert("keep-alive", "timeout=5".parse().unwrap());
            response
        }
    };
    let url = serve_plainly(Router::new().fallback(any(answer))).await;
    Cad { url, seen }
}

async fn serve_plainly(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let door = crate::http::Door {
        name: crate::http::DoorName::Operations,
        listener,
        tls: None,
        limits: crate::http::Limits::default(),
    };
    let (stop, shutdown) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        let _kept = stop;
        crate::http::serve(door, router, shutdown).await;
    });
    url
}

fn request(method: Method, path: &str, body: Body) -> Request {
    Request::builder().method(method).uri(path).header(header::HOST, "adapter").body(body).unwrap()
}

async fn read(response: Response) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

fn content(length: usize) -> Bytes {
    (0..length).map(|index| u8::try_from((index * 31 + index / 251) % 256).unwrap()).collect::<Vec<u8>>().into()
}

fn chunked(bytes: &Bytes, chunk: usize) -> Body {
    let parts: Vec<Result<Bytes, Infallible>> =
        bytes.chunks(chunk).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
    Body::from_stream(tokio_stream::iter(parts))
}

#[tokio::test]
async fn bytes_go_through_exactly_in_both_directions_and_the_copy_is_the_same() {
    let cad = cad().await;
    let (proxy, mut copies) = Proxy::new(ProxySettings::to(format!("{}/base/", cad.url)), None).unwrap();
    for length in [1, 7, 1_000, 65_536, 300_001, 1_048_576] {
        let bytes = content(length);
        for body in [Body::from(bytes.clone()), chunked(&bytes, 777.max(length / 50))] {
            let response = forward(Arc::clone(&proxy), request(Method::POST, "/cad/calls?x=%20y", body)).await;
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["x-cad"], "yes");
            assert!(!response.headers().contains_key("keep-alive"), "a header of one hop came through");
            assert_eq!(digest(&read(response).await), digest(&bytes), "the answer of {length} bytes");
            let seen = cad.seen.lock().unwrap().pop().unwrap();
            assert_eq!((seen.length, seen.digest), (length, digest(&bytes)), "the request of {length} bytes");
            assert_eq!((seen.method, seen.path.as_str()), (Method::POST, "/base/calls?x=%20y"));
            assert_eq!(copies.recv().await.unwrap().bytes, bytes, "the copy of {length} bytes");
        }
    }
}

#[tokio::test]
async fn only_posts_and_puts_with_a_body_are_copied_and_any_method_passes() {
    let cad = cad().await;
    let (proxy, mut copies) = Proxy::new(ProxySettings::to(&cad.url), None).unwrap();
    for (method, body) in [
        (Method::GET, Body::empty()),
        (Method::DELETE, Body::empty()),
        (Method::PATCH, Body::from("p")),
        (Method::POST, Body::empty()),
    ] {
        let response = forward(Arc::clone(&proxy), request(method.clone(), "/cad/x", body)).await;
        assert_eq!(response.status(), 200, "{method}");
    }
    assert!(copies.try_recv().is_err());
    forward(Arc::clone(&proxy), request(Method::PUT, "/cad/x", Body::from("record"))).await;
    let copy = copies.recv().await.unwrap();
    assert_eq!((copy.bytes.as_ref(), copy.sender.as_str()), (b"record".as_ref(), "default"));
    let seen = cad.seen.lock().unwrap();
    let bare = seen.iter().find(|seen| seen.method == Method::GET).unwrap();
    assert!(!bare.headers.contains_key(header::TRANSFER_ENCODING), "a request without body got one");
}

#[tokio::test]
async fn a_record_too_large_to_copy_still_passes_whole() {
    let cad = cad().await;
    let (proxy, mut copies) = Proxy::new(ProxySettings::to(&cad.url), None).unwrap();
    let bytes = content(3 * 1024 * 1024);
    let response = forward(Arc::clone(&proxy), request(Method::POST, "/cad/x", chunked(&bytes, 60_000))).await;
    assert_eq!(digest(&read(response).await), digest(&bytes));
    assert!(copies.try_recv().is_err());
}

#[tokio::test]
async fn a_stalled_desk_neither_slows_nor_stops_the_forwarding() {
    let cad = cad().await;
    let settings = ProxySettings { copies_waiting_max: 2, copies_bytes_max: 4_000, ..ProxySettings::to(&cad.url) };
    let (proxy, copies) = Proxy::new(settings, None).unwrap();
    let began = monotonic_now();
    // Nobody takes the copies: after two the queue is full.
    for _ in 0..50 {
        let response = forward(Arc::clone(&proxy), request(Method::POST, "/cad/x", Body::from(content(1_500)))).await;
        assert_eq!(response.status(), 200);
        assert_eq!(read(response).await.len(), 1_500);
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(copies.len(), 2);
    assert_eq!(proxy.copies.room.available_permits(), 1_000, "dropped copies gave their room back");
    drop(copies);
    let response = forward(Arc::clone(&proxy), request(Method::POST, "/cad/x", Body::from("after"))).await;
    assert_eq!(response.status(), 200, "no desk at all");
}

#[tokio::test]
async fn a_slow_cad_keeps_others_waiting_for_nothing() {
    let cad = cad().await;
    let (proxy, _copies) = Proxy::new(ProxySettings::to(&cad.url), None).unwrap();
    let slow: Vec<_> = (0..20)
        .map(|_| tokio::spawn(forward(Arc::clone(&proxy), request(Method::POST, "/cad/slow/x", Body::from("s")))))
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = monotonic_now();
    let response = forward(Arc::clone(&proxy), request(Method::POST, "/cad/fast", Body::from("f"))).await;
    assert_eq!(response.status(), 200);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    for exchange in slow {
        assert_eq!(exchange.await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_cad_that_is_down_is_502_and_the_copy_is_still_assessed() {
    // Nothing listens on the port of tcpmux, and no other test can be given it.
    let nobody = "http://127.0.0.1:1".to_owned();
    let (proxy, mut copies) = Proxy::new(ProxySettings::to(nobody), None).unwrap();
    let bytes = content(200_000);
    let response = forward(Arc::clone(&proxy), request(Method::POST, "/cad/x", chunked(&bytes, 1_000))).await;
    assert_eq!(response.status(), 502);
    assert_eq!(response.headers()[header::CONTENT_TYPE], problem::PROBLEM_MEDIA_TYPE);
    assert_eq!(copies.recv().await.unwrap().bytes, bytes);
}

#[tokio::test]
async fn a_cad_that_does_not_answer_is_504_and_one_with_no_place_is_503() {
    let cad = cad().await;
    let settings = ProxySettings { answer_ms: 100, connect_ms: 50, exchanges_max: 1, ..ProxySettings::to(&cad.url) };
    let (proxy, mut copies) = Proxy::new(settings, None).unwrap();
    let slow = tokio::spawn(forward(Arc::clone(&proxy), request(Method::POST, "/cad/slow/x", Body::from("s"))));
    tokio::time::sleep(Duration::from_millis(20)).await;
    let busy = forward(Arc::clone(&proxy), request(Method::POST, "/cad/x", Body::from("b"))).await;
    assert_eq!(busy.status(), 503);
    assert_eq!(slow.await.unwrap().status(), 504);
    let mut taken = vec![copies.recv().await.unwrap().bytes, copies.recv().await.unwrap().bytes];
    taken.sort();
    assert_eq!(taken, ["b", "s"], "both records are assessed all the same");
}

#[tokio::test]
async fn a_peer_that_breaks_off_reaches_neither_the_cad_as_whole_nor_the_desk() {
    let cad = cad().await;
    let (proxy, mut copies) = Proxy::new(ProxySettings::to(&cad.url), None).unwrap();
    let parts = tokio_stream::iter(vec![Ok(Bytes::from("half")), Err(io::Error::other("gone"))]);
    let response = forward(proxy, request(Method::POST, "/cad/x", Body::from_stream(parts))).await;
    assert_eq!(response.status(), 502);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(cad.seen.lock().unwrap().is_empty(), "the CAD took a part for the whole");
    assert!(copies.try_recv().is_err());
}

#[tokio::test]
async fn a_peer_that_hangs_up_after_sending_still_reaches_the_cad() {
    let cad = cad().await;
    let (proxy, _copies) = Proxy::new(ProxySettings::to(&cad.url), None).unwrap();
    let asked = forward(proxy, request(Method::POST, "/cad/slow/x", Body::from("urgent")));
    assert!(timeout(Duration::from_millis(50), asked).await.is_err(), "the peer hung up");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(cad.seen.lock().unwrap().first().map(|seen| seen.length), Some(6));
}

#[tokio::test]
async fn the_first_bytes_reach_the_cad_before_the_last_are_sent() {
    let (first_seen, first) = tokio::sync::oneshot::channel::<()>();
    let first_seen = Arc::new(Mutex::new(Some(first_seen)));
    let answer = move |request: Request| {
        let first_seen = Arc::clone(&first_seen);
        async move {
            let mut body = request.into_body();
            body.frame().await.unwrap().unwrap();
            first_seen.lock().unwrap().take().unwrap().send(()).unwrap();
            body.collect().await.unwrap().to_bytes()
        }
    };
    let url = serve_plainly(Router::new().fallback(any(answer))).await;
    let (proxy, _copies) = Proxy::new(ProxySettings::to(url), None).unwrap();
    let (feed, frames) = mpsc::channel::<Result<Bytes, Infallible>>(1);
    let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(frames));
    let exchange = tokio::spawn(forward(proxy, request(Method::POST, "/cad/x", body)));
    feed.send(Ok(Bytes::from("first"))).await.unwrap();
    timeout(Duration::from_secs(5), first).await.expect("the first bytes waited for the last").unwrap();
    feed.send(Ok(Bytes::from("last"))).await.unwrap();
    drop(feed);
    assert_eq!(read(exchange.await.unwrap()).await, "last");
}

#[test]
fn headers_of_one_hop_and_our_own_do_not_reach_the_cad() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("connection", "close, X-Hop, Content-Length"),
        ("x-hop", "1"),
        ("te", "trailers"),
        ("upgrade", "websocket"),
        ("host", "adapter"),
        ("expect", "100-continue"),
        ("fourth-sender", "east"),
        ("fourth-authorization", "Bearer ours"),
        ("authorization", "Basic the-cads-own"),
        ("content-length", "5"),
        ("x-kept", "1"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    let mut ours = headers.clone();
    strip_request(&mut headers, Some(OWN_AUTHORIZATION));
    let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["authorization", "content-length", "x-kept"]);
    strip_request(&mut ours, Some(header::AUTHORIZATION));
    assert!(!ours.contains_key(header::AUTHORIZATION), "our token reached the CAD");
}

#[test]
fn addresses_that_are_no_cad_are_refused() {
    for bad in ["", "cad.example", "ftp://cad", "http://", "http://cad/x?y=1", "/cad"] {
        assert_eq!(Proxy::new(ProxySettings::to(bad), None).err(), Some(ProxyFault::Address), "{bad}");
    }
}

#[tokio::test]
async fn copies_are_tried_again_where_nothing_could_be_made_durable_and_a_panic_costs_one_copy() {
    let (queue, receiver) = mpsc::channel(8);
    let copies = Copies::new(queue, 100, 1_000);
    for text in ["poison", "later", "never", "fine"] {
        let mut copying = copies.begin("east".into());
        copying.take_in(&Bytes::from(text));
        copying.finish();
    }
    drop(copies);
    let tries = Arc::new(AtomicUsize::new(0));
    let done: Arc<Mutex<Vec<Bytes>>> = Arc::default();
    let (tried, noted) = (Arc::clone(&tries), Arc::clone(&done));
    let assess = move |bytes: Bytes, sender: String| {
        let (tried, noted) = (Arc::clone(&tried), Arc::clone(&noted));
        async move {
            assert_eq!(sender, "east");
            match bytes.as_ref() {
                b"poison" => panic!("planted"),
                b"later" if tried.fetch_add(1, Ordering::AcqRel) == 0 => {
                    Err(CallProblem::from(JournalError::Unavailable("locked".into())))
                }
                b"never" => Err(CallProblem::NoSuchIncident),
                _ => {
                    noted.lock().unwrap().push(bytes);
                    Ok(())
                }
            }
        }
    };
    assess_copies(receiver, 2, Clock::system(), assess).await;
    let mut done = done.lock().unwrap().clone();
    done.sort();
    assert_eq!(done, ["fine", "later"]);
    assert_eq!(tries.load(Ordering::Acquire), 2);
}

#[tokio::test]
async fn many_small_frames_need_no_more_room_than_their_bytes() {
    let (queue, mut receiver) = mpsc::channel(8);
    let copies = Copies::new(queue, 1_000, 1_000);
    let mut copying = copies.begin("east".into());
    let mut drops = tokio_stream::iter(vec![Bytes::from("x"); 1_000]);
    while let Some(drop) = drops.next().await {
        copying.take_in(&drop);
    }
    assert_eq!(copies.room.available_permits(), 0);
    copying.finish();
    assert_eq!(receiver.recv().await.unwrap().bytes.len(), 1_000);
    assert_eq!(copies.room.available_permits(), 1_000);
}
