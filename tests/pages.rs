//! The pages of a served adapter over HTTP: who may look and press, presses that repeat or come late, and what a team sees.

use crate::browser;
use crate::support::{Place, SAFE, Served, TOKEN, eido, eventually, fourth, root};
use axum::http::{Request, StatusCode, header};
use bytes::Bytes;
use fourth_option::access::hash_token;
use fourth_simulators::server::{Reply, Server};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An answer with what the tests look at.
struct Seen {
    status: StatusCode,
    location: String,
    cookie: String,
    text: String,
}

struct Visitor {
    client: Client<HttpConnector, Full<Bytes>>,
    pages: String,
    cookie: String,
}

impl Visitor {
    async fn sign_in(pages: &str, token: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let mut visitor = Self { client, pages: pages.to_owned(), cookie: String::new() };
        let seen = visitor.ask("POST", "/sign-in", &format!("secret={token}&next=/")).await;
        assert_eq!(seen.status, StatusCode::SEE_OTHER, "{token}: {}", seen.text);
        visitor.cookie = seen.cookie;
        visitor
    }

    async fn ask(&self, method: &str, path: &str, form: &str) -> Seen {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.pages));
        if !self.cookie.is_empty() {
            request = request.header(header::COOKIE, &self.cookie);
        }
        if method == "POST" {
            request = request
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header("sec-fetch-site", "same-origin");
        }
        let answer = self.client.request(request.body(Full::from(form.to_owned())).unwrap()).await.unwrap();
        let headed =
            |name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let (location, cookie) = (headed(header::LOCATION), headed(header::SET_COOKIE));
        let status = answer.status();
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Seen { status, location, cookie, text: String::from_utf8_lossy(&text).into_owned() }
    }

    async fn look(&self, path: &str) -> Seen {
        self.ask("GET", path, "").await
    }

    /// Presses a button of a page: with the form token that the page carries, and whatever else the form says.
    async fn press(&self, page: &str, path: &str, fields: &str) -> Seen {
        let text = self.look(page).await.text;
        let token = between(&text, "name=\"token\" value=\"", "\"").unwrap_or_default();
        self.ask("POST", path, &format!("token={token}&{fields}")).await
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    Some(text.split_once(before)?.1.split_once(after)?.0)
}

/// Somebody who takes whatever is sent and says 202: a team's or a CAD's door.
fn taker() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        listener.incoming().flatten().for_each(|stream| drop(std::thread::spawn(|| take(stream))))
    });
    port
}

/// One request: its head, then as many bytes as it says; then the answer.
fn take(mut stream: TcpStream) {
    let (mut got, mut buffer) = (Vec::new(), [0_u8; 16_384]);
    loop {
        let whole =
            std::str::from_utf8(&got).ok().and_then(|text| text.split_once("\r\n\r\n")).is_some_and(|(head, body)| {
                let length = head
                    .to_lowercase()
                    .split("content-length:")
                    .nth(1)
                    .and_then(|rest| rest.lines().next()?.trim().parse().ok());
                body.len() >= length.unwrap_or(0)
            });
        if whole {
            break;
        }
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => got.extend_from_slice(&buffer[..count]),
            _ => return,
        }
    }
    let _told = stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

/// An adapter whose teams are on duty at every hour, with a door that takes offers and one identity of each role.
fn place() -> Place {
    place_with("")
}

/// The same with more rows at the end of its policy.
fn place_with(rows: &str) -> Place {
    let door = taker();
    let mut more = format!(
        "[handoff.channel.webhook]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{door}/offers\"\n\
         secret = \"0123456789abcdef0123456789abcdef\"\n\
         [handoff.cad]\nurl = \"http://127.0.0.1:{door}/cad\"\nagency = \"fourth.kamloops.example\"\n\
         element = \"adapter.fourth.kamloops.example\"\n"
    );
    for (name, role) in [
        ("desk-1", "role = \"call-taker\""),
        ("team-north", "role = \"team\"\nprogram = \"cso-north\""),
        ("team-south", "role = \"team\"\nprogram = \"cso-south\""),
        ("eva", "role = \"evaluator\""),
        ("ops", "role = \"operator\""),
        ("cad", "role = \"cad\""),
    ] {
        more += &format!("[[access.identity]]\nname = \"{name}\"\n{role}\ntoken_sha256 = \"{}\"\n", hash_token(name));
    }
    let always =
        |policy: String| policy.replace("from = \"08:00\", to = \"24:00\"", "from = \"00:00\", to = \"24:00\"") + rows;
    Place::new(always, &more)
}

async fn arrives(place: &Place, number: &str, facts: &[(&str, &str)]) -> String {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let name = format!("urn:emergency:uid:incidentid:{number}:kamloops.example");
    let request = Request::post(format!("{}/v1/calls", place.url(0)))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
        .body(Full::from(eido(&name, "2026-05-05T12:00:00-07:00", "WELFARE", facts)))
        .unwrap();
    let answer = client.request(request).await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    let answer: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    answer["incident"].as_str().unwrap().to_owned()
}

/// Every role at every door of the pages. Who is not let in is told so, changes nothing, and sees nothing of a call.
#[tokio::test]
async fn each_role_may_do_its_own_and_nothing_else() {
    let place = place();
    let _served = Served::start(&place);
    let call = arrives(&place, "matrix", SAFE).await;
    let letter = format!("/operations/letters/{call}.1.cad/redrive");
    let presses = |call: &str| {
        let desk = ["answer", "accept", "override", "doubt", "backup"].map(|act| format!("/calls/{call}/{act}"));
        let team = ["accept", "decline", "move", "clear", "return", "backup", "hazard"]
            .map(|act| format!("/team/legs/{call}.1/{act}"));
        (desk, team)
    };
    let (desk, team) = presses(&call);
    for (name, home) in
        [("team-north", "/team"), ("eva", "/evaluation"), ("ops", "/operations"), ("cad", ""), ("desk-1", "/")]
    {
        let visitor = Visitor::sign_in(&place.url(2), name).await;
        for page in ["/", "/team", "/evaluation", "/operations"] {
            let seen = visitor.look(page).await;
            assert_eq!(seen.status == StatusCode::OK, page == home, "{name} at {page}: {}", seen.status);
            let canary = seen.text.contains("Canary") || seen.text.contains(&call);
            assert!(!canary || (name == "desk-1" && page == "/"), "{name} at {page} sees the call");
        }
        for (own, paths) in [("/", &desk[..]), ("/team", &team[..]), ("/operations", std::slice::from_ref(&letter))] {
            for path in paths {
                let seen = visitor.ask("POST", path, "token=not-a-token").await;
                assert_eq!(seen.status, StatusCode::FORBIDDEN, "{name} at {path}");
                let refusal = if own == home { "too old" } else { "Not for your role" };
                assert!(seen.text.contains(refusal), "{name} at {path}: {}", seen.text);
            }
        }
    }
    let desk = Visitor::sign_in(&place.url(2), "desk-1").await;
    let text = desk.look(&format!("/?call={call}")).await.text;
    assert!(text.contains("data-seen=\"choose.eligible.cso-north\""), "a refused press changed the call");
}

#[tokio::test]
async fn a_press_twice_does_it_once_and_a_press_on_what_has_changed_does_nothing() {
    let place = place();
    let _served = Served::start(&place);
    let call = arrives(&place, "twice", SAFE).await;
    let page = format!("/?call={call}");
    let desk = Visitor::sign_in(&place.url(2), "desk-1").await;
    let stale = desk.press(&page, &format!("/calls/{call}/accept"), "seen=choose.needs-answer.ordinary").await;
    assert!(stale.location.contains("said=changed"), "{}", stale.location);
    assert!(!desk.look(&page).await.text.contains("legs-title"), "what nobody had read was accepted");
    for said in ["accepted", "already"] {
        let seen = desk.press(&page, &format!("/calls/{call}/accept"), "seen=choose.eligible.cso-north").await;
        assert!(seen.location.ends_with(&format!("said={said}#call")), "{}", seen.location);
    }
    let text = desk.look(&page).await.text;
    assert_eq!(text.matches("Sent to the teams").count(), 1, "accepted twice");
    assert!(text.contains("call-taker desk-1"), "the trail does not say who");
    let doubt = desk.press(&page, &format!("/calls/{call}/doubt"), "").await;
    assert!(doubt.location.contains("said=doubt"), "{}", doubt.location);
    let text = desk.look(&page).await.text;
    assert!(
        text.contains("Ordinary route: police, fire or EMS") && text.contains("Owner: this centre"),
        "doubt did not take it back"
    );
}

#[tokio::test]
async fn a_team_sees_what_its_release_list_names_and_touches_its_own_legs_only() {
    let place = place();
    let _served = Served::start(&place);
    let call = arrives(&place, "release", SAFE).await;
    let desk = Visitor::sign_in(&place.url(2), "desk-1").await;
    desk.press(&format!("/?call={call}"), &format!("/calls/{call}/accept"), "seen=choose.eligible.cso-north").await;
    let (north, south) =
        (Visitor::sign_in(&place.url(2), "team-north").await, Visitor::sign_in(&place.url(2), "team-south").await);
    let seen = north.look("/team").await.text;
    assert!(seen.contains("4711") && seen.contains("Canary-Street"), "the address is released to outreach");
    for withheld in ["Canary-Name", "Canary-Narrative"] {
        assert!(!seen.contains(withheld), "{withheld} leaked");
    }
    assert!(!south.look("/team").await.text.contains("Canary"), "another program's call is shown");
    for act in ["accept", "decline", "backup", "move"] {
        let seen = south.press("/team", &format!("/team/legs/{call}.1/{act}"), "status=en-route").await;
        assert_eq!(seen.status, StatusCode::NOT_FOUND, "{act}");
    }
    for said in ["team-accepted", "team-accepted"] {
        let seen = north.press("/team", &format!("/team/legs/{call}.1/accept"), "").await;
        assert!(seen.location.contains(&format!("said={said}")), "{}", seen.location);
    }
    let backup = north.press("/team", &format!("/team/legs/{call}.1/backup"), "service=nonsense").await;
    assert!(backup.location.contains("said=team-backup"), "back-up was refused: {}", backup.location);
    let hazard = north.press("/team", &format!("/team/legs/{call}.1/hazard"), "hazard=weapon.present").await;
    assert!(hazard.location.contains("said=team-hazard"), "{}", hazard.location);
    let seen = north.look("/team").await.text;
    assert!(seen.contains("STAND BACK"), "the team was not told to stand back");
    let late = north.press("/team", &format!("/team/legs/{call}.1/move"), "status=on-scene").await;
    assert!(late.location.contains("said=no-longer-yours"), "{}", late.location);
}

/// A CAD that refuses until it is told not to.
async fn refusing_cad() -> (Server, Arc<AtomicBool>) {
    let refuses = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&refuses);
    let cad = Server::start("127.0.0.1:0".parse().unwrap(), move |_| {
        let status = if asked.load(Ordering::SeqCst) { 422 } else { 200 };
        async move { Reply::json(status, &serde_json::json!({})) }
    });
    (cad.await.unwrap(), refuses)
}

/// No channel is configured for the teams, and the CAD stands at this address.
fn place_that_reaches_nobody(cad: &str) -> Place {
    let place = place();
    let text = std::fs::read_to_string(place.configuration()).unwrap();
    let (before, after) = text.split_once("[handoff.channel.webhook]").unwrap();
    let (_, identities) = after.split_once("[[access.identity]]").unwrap();
    let text = format!("{before}[handoff.cad]\nurl = \"{cad}/eido\"\n[[access.identity]]{identities}");
    std::fs::write(place.configuration(), text).unwrap();
    place
}

/// The same in a real Chromium: by keyboard alone, in both languages, light and dark.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sends_a_letter_again_in_a_real_browser() {
    let (cad, refuses) = refusing_cad().await;
    let place = place_that_reaches_nobody(&cad.url());
    let _served = Served::start(&place);
    let call = arrives(&place, "letters-seen", SAFE).await;
    let desk = Visitor::sign_in(&place.url(2), "desk-1").await;
    desk.press(&format!("/?call={call}"), &format!("/calls/{call}/accept"), "seen=choose.eligible.cso-north").await;
    let ops = Visitor::sign_in(&place.url(2), "ops").await;
    eventually("the notice is given up", Duration::from_secs(20), async || {
        ops.look("/operations").await.text.contains("/redrive\"").then_some(())
    })
    .await;
    refuses.store(false, Ordering::SeqCst);
    let (pages, pictures) = (place.url(2), root().join("target/pictures"));
    tokio::task::spawn_blocking(move || browser::a_letter_is_sent_again_by_keyboard(&pages, &pictures)).await.unwrap();
}

/// A wrong address of the CAD is an alarm on every surface before any call; mended, it is proved. Nobody else may press, no
/// call comes to be by it, and no surface shows an address.
#[tokio::test]
async fn a_wrong_contact_is_an_alarm_on_the_page_and_in_metrics_until_it_is_mended() {
    let (wrong, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(Vec::new())));
    let (is_wrong, kept) = (Arc::clone(&wrong), Arc::clone(&asked));
    let peer = Server::start("127.0.0.1:0".parse().unwrap(), move |received| {
        let status = match received.path.as_str() {
            "/eido" if is_wrong.load(Ordering::SeqCst) => 404,
            "/eido" => 405,
            _ => 200,
        };
        let body = String::from_utf8(received.body.to_vec()).unwrap();
        let signed = received.header("fourth-signature").is_some();
        kept.lock().unwrap().push((received.method.to_string(), received.path, body, signed));
        async move { Reply::json(status, &serde_json::json!({})) }
    });
    let peer = peer.await.unwrap();
    let place = place_that_reaches_nobody(&peer.url());
    let team = format!(
        "[handoff.channel.webhook.program.cso-north]\nurl = \"{}/offers?token=canary-token\"\nsecret = \"0123456789abcdef\"\n\
         [handoff.channel.webhook]\nkind = \"webhook\"\n",
        peer.url()
    );
    let text = std::fs::read_to_string(place.configuration()).unwrap() + team.as_str();
    std::fs::write(place.configuration(), text).unwrap();
    let _served = Served::start(&place);
    let ops = Visitor::sign_in(&place.url(2), "ops").await;
    let page = ops.look("/operations").await.text;
    assert!(page.contains("New: it is tested soon") && !page.contains("NOT proved"), "{page}");
    let desk = Visitor::sign_in(&place.url(2), "desk-1").await;
    let test = "/operations/contacts/test";
    assert_eq!(ops.ask("POST", test, "token=not-a-token&all=all").await.status, StatusCode::FORBIDDEN);
    assert_eq!(desk.press("/", test, "all=all").await.status, StatusCode::FORBIDDEN);
    for nobodys in ["contact=nobody", "contact=cad&all=all", "contact=cad&contact=cad", ""] {
        let refused = ops.press("/operations", test, nobodys).await;
        assert!(refused.location.contains("said=no-contact"), "{nobodys}: {}", refused.location);
    }
    assert!(asked.lock().unwrap().is_empty(), "none of these tested anything");
    let done = ops.press("/operations", test, "all=all").await;
    assert!(done.location.ends_with("/operations?said=contact-asked#contacts"), "{}", done.location);
    let page = eventually("the wrong one is an alarm and the good one proved", Duration::from_secs(20), async || {
        let text = ops.look("/operations").await.text;
        (text.contains("refused with code 404") && text.contains("· proved ")).then_some(text)
    })
    .await;
    assert!(page.contains("Contacts that are not known to work: 1"), "on top of every page of an operator: {page}");
    assert!(!desk.look("/").await.text.contains("not known to work"), "a call-taker can do nothing about it");
    assert!(ops.look("/operations?lang=fr").await.text.contains("refusé avec le code 404"));
    ops.look("/operations?lang=en").await;
    let operations = async |path: &str| {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("authorization", bearer.as_str())];
        let client = fourth_simulators::client::Client::new(Duration::from_secs(10));
        let answer = client.send(hyper::Method::GET, &format!("{}{path}", place.url(3)), &headers, "").await.unwrap();
        (answer.status, String::from_utf8(answer.body.to_vec()).unwrap())
    };
    let metrics = operations("/metrics").await.1;
    for line in [
        "fourth_contact_unproved{contact=\"cad\"} 1",
        "fourth_contact_proved_at_seconds{contact=\"cad\"} 0",
        "fourth_contact_unproved{contact=\"webhook/cso-north\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
    let (status, ready) = operations("/readyz").await;
    assert!(status == 200 && ready.contains("\"contacts\":{\"tested\":true,\"unproved\":1}"), "{status}: {ready}");
    let listed = operations("/v1/undelivered").await.1;
    for shown in [&page, &metrics, &ready, &listed] {
        assert!(!shown.contains("canary") && !shown.contains("/eido") && !shown.contains("/offers"), "{shown}");
    }
    wrong.store(false, Ordering::SeqCst);
    ops.press("/operations", test, "contact=cad").await;
    eventually("it is proved", Duration::from_secs(20), async || {
        let text = ops.look("/operations").await.text;
        (!text.contains("NOT proved") && !text.contains("not known to work")).then_some(())
    })
    .await;
    assert!(operations("/metrics").await.1.lines().any(|line| line == "fourth_contact_unproved{contact=\"cad\"} 0"));
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 3, "two tests of the CAD and one of the team: {asked:?}");
    for (method, path, body, signed) in asked {
        match path.as_str() {
            "/eido" => assert_eq!((method.as_str(), body.as_str()), ("OPTIONS", ""), "nothing comes to be in the CAD"),
            _ => {
                let told: serde_json::Value = serde_json::from_str(&body).unwrap();
                assert!(signed && told["kind"] == "contact-test" && told.get("leg").is_none(), "{body}");
            }
        }
    }
    let journal = place.journal().to_str().unwrap().to_owned();
    let (_, exported, _) = fourth(&["journal", "export", "--journal", &journal]);
    assert!(!exported.contains("contact-test"), "a test is no story of a call: {exported}");
}

/// The dead letters, by form alone: no script, no caller, and only the operator.
#[tokio::test]
async fn an_operator_sees_what_could_not_be_delivered_and_has_it_sent_again() {
    let (cad, refuses) = refusing_cad().await;
    let place = place_that_reaches_nobody(&cad.url());
    let _served = Served::start(&place);
    let ops = Visitor::sign_in(&place.url(2), "ops").await;
    let seen = ops.look("/operations").await;
    assert!(seen.status == StatusCode::OK && seen.text.contains("Everything was delivered"), "{}", seen.text);
    let call = arrives(&place, "letters", SAFE).await;
    let desk = Visitor::sign_in(&place.url(2), "desk-1").await;
    desk.press(&format!("/?call={call}"), &format!("/calls/{call}/accept"), "seen=choose.eligible.cso-north").await;
    let page = eventually("both letters are shown", Duration::from_secs(20), async || {
        let text = ops.look("/operations").await.text;
        (text.contains(".offer\"") && text.contains("/redrive\"")).then_some(text)
    })
    .await;
    for said in ["Ordinary route", "the CAD", "refused with code 422", "the channel is not configured", "(webhook)"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(page.contains("An offer is never sent again") && !page.contains("Canary"), "{page}");
    let french = ops.look("/operations?lang=fr").await.text;
    assert!(french.contains("la répartition") && french.contains("Envoyer de nouveau"), "{french}");
    ops.look("/operations?lang=en").await;
    let again = between(&page, "action=\"/operations/letters/", "/redrive\"").expect("the notice may be sent again");
    assert_eq!(page.matches("/redrive\"").count(), 1, "the notice, and not the offer");
    let press = format!("/operations/letters/{again}/redrive");
    // Without this session's token, and without the role, nothing happens.
    assert_eq!(ops.ask("POST", &press, "token=not-a-token").await.status, StatusCode::FORBIDDEN);
    assert_eq!(desk.press(&format!("/?call={call}"), &press, "").await.status, StatusCode::FORBIDDEN);
    assert_eq!(ops.look(&press).await.status, StatusCode::METHOD_NOT_ALLOWED, "a look never changes anything");
    let keys = page.split("id=\"letter-").skip(1).filter_map(|part| part.split('"').next());
    let offer = keys.into_iter().find(|key| key.ends_with(".offer")).expect("the offer is listed");
    let refused = ops.press("/operations", &format!("/operations/letters/{offer}/redrive"), "").await;
    assert!(refused.location.contains("said=not-sent-again"), "{}", refused.location);
    let nobodys = ops.press("/operations", "/operations/letters/i-0.1.cad/redrive", "").await;
    assert_eq!(nobodys.status, StatusCode::NOT_FOUND);
    refuses.store(false, Ordering::SeqCst);
    let done = ops.press("/operations", &press, "").await;
    assert!(done.location.ends_with("/operations?said=sent-again#letters"), "{}", done.location);
    assert!(ops.look("/operations?said=sent-again").await.text.contains("Sent again: it is being tried now."));
    let shown = |text: &str| text.contains(&format!("id=\"letter-{again}\""));
    assert!(!shown(&ops.look("/operations").await.text), "what is under way is no dead letter");
    let journal = place.journal().to_str().unwrap().to_owned();
    eventually("it is delivered", Duration::from_secs(20), async || {
        let (_, story, _) = fourth(&["journal", "show", "--json", "--journal", &journal, &call]);
        let told = |event: &str| story.lines().any(|line| line.contains(event) && line.contains(again));
        (told("\"redriven\"") && told("\"delivered\"")).then_some(())
    })
    .await;
    let (_, story, _) = fourth(&["journal", "show", "--json", "--journal", &journal, &call]);
    assert!(
        story.lines().any(|line| line.contains("\"redriven\"") && line.contains("\"operator\":\"ops\"")),
        "{story}"
    );
}

/// Show 5 of the first issue: the pages once in a real Chromium, with pictures for the README.
#[test]
fn the_pages_in_a_real_browser() {
    let place = place();
    let _served = Served::start(&place);
    let pictures = root().join("target/pictures");
    browser::a_call_is_answered_accepted_and_cleared(&place.url(2), &place.url(0), &pictures);
}

/// A built-in safeguard that the policy lifts stands on every page, signed, and in the report.
#[tokio::test]
async fn a_lifted_safeguard_is_shown_on_every_page_and_in_the_report() {
    let waiver = "\n[[waiver]]\nsafeguard = \"built-in.medical\"\nsigned_by = \"Dr. Waivers Canary\"\n\
                  because = \"the crew has a paramedic <b>aboard</b>\"\nsigned_on = \"2026-01-15\"\n";
    let pages = [("desk-1", "/"), ("team-north", "/team"), ("eva", "/evaluation")];
    let shown = async |place: &Place| {
        let mut texts = Vec::new();
        for (name, page) in pages {
            let seen = Visitor::sign_in(&place.url(2), name).await.look(page).await;
            assert_eq!(seen.status, StatusCode::OK, "{name} at {page}");
            texts.push((page, seen.text));
        }
        let (status, report, error) = fourth(&["report", "--journal", place.journal().to_str().unwrap()]);
        assert_eq!((status, error.as_str()), (0, ""));
        (texts, report)
    };
    let place = place_with(waiver);
    let _served = Served::start(&place);
    let (texts, report) = shown(&place).await;
    for (page, text) in &texts {
        assert!(text.contains("built-in.medical, signed by Dr. Waivers Canary"), "{page}: {text}");
        assert!(text.contains("a paramedic &lt;b&gt;aboard&lt;/b&gt;"), "{page}: as text, never as markup");
    }
    for said in ["Safeguards lifted by waiver", "built-in.medical", "Dr. Waivers Canary", "2026-01-15", "a paramedic"] {
        assert!(report.contains(said), "{said}: {report}");
    }
    let whole = self::place();
    let _other = Served::start(&whole);
    let (texts, report) = shown(&whole).await;
    assert!(
        texts.iter().all(|(_, text)| !text.contains("Safeguard lifted by waiver: ")),
        "where none is lifted, none is shown"
    );
    assert!(!report.contains("lifted by waiver"), "{report}");
}
