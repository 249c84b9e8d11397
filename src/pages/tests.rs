//! The doors of the pages: headers, sign-in, form tokens, roles, same site, the open loopback.

use super::session::hash_of;
use super::visitor::{CallTaking, Doors, Entrant, Evaluating, Press, TeamWork};
use super::{assets, headers, samples, sign_in, wire_name};
use crate::access::{Access, Settings, hash_token};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{CONTENT_SECURITY_POLICY, LOCATION, SET_COOKIE};
use axum::http::{Request, Response, StatusCode};
use axum::routing::{get, post};
use http_body_util::BodyExt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tower::ServiceExt;

/// Fails where a control of a page has no name that assistive technology could say.
pub fn controls_are_named(html: &str) {
    for tag in html.split('<').filter(|tag| tag.starts_with("input ") || tag.starts_with("select ")) {
        let (tag, rest) = tag.split_once('>').unwrap_or((tag, ""));
        if tag.contains("type=\"hidden\"") || tag.contains("aria-label") {
            continue;
        }
        let id = tag.split(" id=\"").nth(1).and_then(|rest| rest.split('"').next());
        let labelled = id.is_some_and(|id| html.contains(&format!("for=\"{id}\"")));
        // A radio button stands inside its label.
        assert!(labelled || (tag.contains("type=\"radio\"") && !rest.trim().is_empty()), "no name: <{tag}>");
    }
    for button in html.split("<button").skip(1) {
        let (_, inside) = button.split_once('>').unwrap();
        let inside = inside.split("</button>").next().unwrap();
        let text: String = inside.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect();
        assert!(!text.trim().is_empty(), "a button without words: {button}");
    }
}

fn access() -> Access {
    let list = format!(
        "open_on_loopback = false\n\
         [[identity]]\nname = \"desk-3\"\nrole = \"call-taker\"\ntoken_sha256 = \"{}\"\n\
         [[identity]]\nname = \"cso-2\"\nrole = \"team\"\nprogram = \"cso-north\"\ntoken_sha256 = \"{}\"\n\
         [[identity]]\nname = \"eva-1\"\nrole = \"evaluator\"\ntoken_sha256 = \"{}\"\n",
        hash_token("desk-token"),
        hash_token("team-token"),
        hash_token("eva-token"),
    );
    Access::new(&toml::from_str::<Settings>(&list).unwrap()).unwrap()
}

fn open() -> Access {
    Access::new(&toml::from_str::<Settings>("open_on_loopback = true").unwrap()).unwrap()
}

/// The doors as the pages use them, before pages that count how often they were let through.
fn app(doors: &Doors) -> (Router, Arc<AtomicUsize>) {
    let pressed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&pressed);
    let routes: Router<Doors> = Router::new()
        .route("/", get(async |_: Entrant<CallTaking>| "calls"))
        .route("/team", get(async |_: Entrant<TeamWork>| "legs"))
        .route("/evaluation", get(async |_: Entrant<Evaluating>| "figures"))
        .route(
            "/press",
            post(async move |_: Press<CallTaking>| {
                count.fetch_add(1, Ordering::SeqCst);
                "pressed"
            }),
        )
        .merge(sign_in::doors_routes())
        .merge(assets::routes());
    let app = headers::secured(sign_in::remembering_language(routes).with_state(doors.clone()));
    (app, pressed)
}

async fn ask(app: &Router, request: Request<Body>) -> Response<Body> {
    app.clone().oneshot(request).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn request(method: &str, path: &str, cookie: &str, body: &str, more: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).header("host", "fourth.example:8443");
    if !cookie.is_empty() {
        request = request.header("cookie", cookie);
    }
    if method == "POST" {
        request = request.header("content-type", "application/x-www-form-urlencoded");
    }
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

async fn signed_in(app: &Router, token: &str) -> String {
    let answer = ask(app, request("POST", "/sign-in", "", &format!("secret={token}&next=/"), &[])).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let line = answer.headers()[SET_COOKIE].to_str().unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(line.contains(part), "{line}");
    }
    line.split(';').next().unwrap().to_owned()
}

fn form_token(doors: &Doors, cookie: &str) -> String {
    doors.sessions.form_token(Some(&hash_of(cookie.split_once('=').unwrap().1)))
}

#[tokio::test]
async fn every_answer_carries_the_security_headers_errors_included() {
    let doors = samples::doors(access());
    let (app, _) = app(&doors);
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/sign-in"),
        ("GET", "/nowhere"),
        ("POST", "/press"),
        ("DELETE", "/"),
        ("GET", "/assets/page.js"),
    ] {
        let answer = ask(&app, request(method, path, "", "", &[])).await;
        let headers = answer.headers();
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{path}: {part}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(headers[name], value, "{method} {path}");
        }
        let kept = headers["cache-control"].to_str().unwrap();
        assert_eq!(kept.contains("no-store"), !path.starts_with("/assets"), "{method} {path}: {kept}");
    }
}

#[tokio::test]
async fn nobody_unknown_gets_in_and_a_wrong_token_stays_out() {
    let doors = samples::doors(access());
    let (app, pressed) = app(&doors);
    let answer = ask(&app, request("GET", "/", "", "", &[])).await;
    assert_eq!(answer.headers()[LOCATION], "/sign-in?next=/");
    let answer = ask(&app, request("GET", "/?fragment=queue", "fourth=0000", "", &[])).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let answer = ask(&app, request("POST", "/sign-in", "", "secret=guess&next=/", &[])).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(answer.headers().get(SET_COOKIE).is_none());
    let answer = ask(&app, request("POST", "/press", "", "token=", &[])).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(text(answer).await.contains("NOT done"));
    assert_eq!(pressed.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_press_needs_this_sessions_token_and_this_site() {
    let doors = samples::doors(access());
    let (app, pressed) = app(&doors);
    let (mine, other) = (signed_in(&app, "desk-token").await, signed_in(&app, "desk-token").await);
    let good = form_token(&doors, &mine);
    let strangers = [
        (String::new(), "same-origin"),
        ("token=".to_owned(), "same-origin"),
        (format!("token={}", form_token(&doors, &other)), "same-origin"),
        (format!("token={good}&token={good}"), "same-origin"),
        (format!("token={good}"), "cross-site"),
        (format!("token={good}"), "same-site"),
        (format!("token={good}"), "none"),
    ];
    for (body, site) in strangers {
        let answer = ask(&app, request("POST", "/press", &mine, &body, &[("sec-fetch-site", site)])).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{body} from {site}");
    }
    let body = format!("token={good}");
    for (origin, status) in [
        ("https://evil.example", StatusCode::FORBIDDEN),
        ("https://fourth.example:8443.evil.example", StatusCode::FORBIDDEN),
        ("https://fourth.example:8443", StatusCode::OK),
    ] {
        let answer = ask(&app, request("POST", "/press", &mine, &body, &[("origin", origin)])).await;
        assert_eq!(answer.status(), status, "{origin}");
    }
    assert_eq!(pressed.load(Ordering::SeqCst), 1);
    let answer = ask(&app, request("POST", "/press", &mine, &body, &[("sec-fetch-site", "same-origin")])).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(pressed.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_look_never_changes_anything_and_a_press_is_never_a_look() {
    let doors = samples::doors(access());
    let (app, pressed) = app(&doors);
    let mine = signed_in(&app, "desk-token").await;
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        let path = format!("/press?token={}", form_token(&doors, &mine));
        let answer = ask(&app, request(method, &path, &mine, "", &[])).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    assert_eq!(pressed.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn each_role_sees_its_own_page_and_no_other() {
    let doors = samples::doors(access());
    let (app, _) = app(&doors);
    for (token, own) in [("desk-token", "/"), ("team-token", "/team"), ("eva-token", "/evaluation")] {
        let cookie = signed_in(&app, token).await;
        for path in ["/", "/team", "/evaluation"] {
            let answer = ask(&app, request("GET", path, &cookie, "", &[])).await;
            if path == own {
                assert_eq!(answer.status(), StatusCode::OK, "{token} {path}");
            } else if path == "/" {
                assert_eq!(answer.headers()[LOCATION], own, "{token}");
            } else {
                assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{token} {path}");
            }
        }
        let body = format!("token={}", form_token(&doors, &cookie));
        let answer = ask(&app, request("POST", "/press", &cookie, &body, &[])).await;
        assert_eq!(answer.status() == StatusCode::OK, own == "/", "{token}");
    }
}

#[tokio::test]
async fn signing_out_ends_the_session_everywhere() {
    let doors = samples::doors(access());
    let (app, _) = app(&doors);
    let cookie = signed_in(&app, "desk-token").await;
    let body = format!("token={}", form_token(&doors, &cookie));
    let answer = ask(&app, request("POST", "/sign-out", &cookie, &body, &[])).await;
    assert!(answer.headers()[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    let answer = ask(&app, request("GET", "/", &cookie, "", &[])).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn under_tls_the_cookie_is_secure_and_bound_to_the_host() {
    let doors = Doors { tls: true, ..samples::doors(access()) };
    let (app, _) = app(&doors);
    let answer = ask(&app, request("POST", "/sign-in", "", "secret=desk-token&next=//evil.example", &[])).await;
    let line = answer.headers()[SET_COOKIE].to_str().unwrap();
    assert!(line.starts_with("__Host-fourth=") && line.ends_with("; Secure"), "{line}");
    assert_eq!(answer.headers()[LOCATION], "/", "an address of another site must not be followed");
}

#[tokio::test]
async fn the_open_loopback_is_for_this_machine_asked_by_its_own_name() {
    let doors = samples::doors(open());
    let (app, _) = app(&doors);
    let from = |peer: &str, host: &str, more: Option<(&str, &str)>| {
        let mut request = Request::builder().uri("/").header("host", host);
        if let Some((name, value)) = more {
            request = request.header(name, value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        request
    };
    let cases = [
        ("127.0.0.1:9000", "127.0.0.1:8080", None, true),
        ("[::1]:9000", "[::1]:8080", None, true),
        ("[::ffff:127.0.0.1]:9000", "localhost:8080", None, true),
        ("10.0.0.7:9000", "127.0.0.1:8080", None, false),
        ("127.0.0.1:9000", "rebound.example:8080", None, false),
        ("127.0.0.1:9000", "127.0.0.1.evil.example", None, false),
        ("127.0.0.1:9000", "localhost", Some(("x-forwarded-for", "10.0.0.7")), false),
    ];
    for (peer, host, more, let_in) in cases {
        let answer = ask(&app, from(peer, host, more)).await;
        assert_eq!(answer.status() == StatusCode::OK, let_in, "{peer} asking {host} {more:?}");
    }
    let answer = ask(&app, request("GET", "/", "", "", &[])).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER, "a request without a known peer was let in");
}

#[tokio::test]
async fn a_language_asked_for_is_remembered() {
    let doors = samples::doors(access());
    let (app, _) = app(&doors);
    let answer = ask(&app, request("GET", "/sign-in?lang=fr", "", "", &[])).await;
    assert!(answer.headers()[SET_COOKIE].to_str().unwrap().starts_with("lang=fr; Path=/; SameSite=Strict"));
    assert!(text(answer).await.contains("<html lang=\"fr\">"));
    let answer = ask(&app, request("GET", "/sign-in", "lang=fr", "", &[("accept-language", "en")])).await;
    assert!(text(answer).await.contains("Se connecter"));
    let answer = ask(&app, request("GET", "/sign-in?lang=%3Cscript%3E", "", "", &[("accept-language", "fr-CA")])).await;
    assert!(answer.headers().get(SET_COOKIE).is_none());
    let html = text(answer).await;
    assert!(html.contains("Jeton d'accès"));
    controls_are_named(&html);
}

#[test]
fn names_from_an_address_are_the_adapters_own_or_nothing() {
    assert_eq!(wire_name("i-0a1b.2"), Some("i-0a1b.2"));
    for bad in ["", "a b", "a/b", "a\r\nset-cookie: x", "é", "a%2f", &"x".repeat(97)] {
        assert_eq!(wire_name(bad), None, "{bad:?}");
    }
}
