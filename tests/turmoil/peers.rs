//! Who is asked and told: teams, and the CAD. They know only what reaches them over the network.

use crate::chance::Chance;
use crate::ground::{CAD_BEARER, Ground, PEER, TEAMS_DOOR, secret_of, token_of};
use crate::http::{ask, serve};
use crate::oracle::Message;
use crate::plan::TEAMS;
use crate::world::{Busy, Shared, held, now_ms, rise};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::Full;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// The longest that a team waits for an answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// Tries of one request; a team on the road gives up.
const TRIES: u32 = 5;

/// What a team remembers; it survives its gateway's restarts.
#[derive(Debug, Default)]
pub struct Team {
    keys: BTreeSet<String>,
    stopped: BTreeSet<String>,
    gone: BTreeSet<String>,
}

/// What a team asks of the adapter: the last part of the path, and the body.
type Ask = (&'static str, String);

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn header<'a>(parts: &'a Parts, name: &str) -> &'a str {
    parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The CAD: takes what passes through, and what the adapter tells it.
pub async fn cad(world: Shared, ground: Arc<Ground>) -> turmoil::Result {
    rise(&world, "cad").await;
    let hears = Arc::clone(&world);
    let answer = move |parts: &Parts, body: Bytes, heard: bool| match parts.uri.path() {
        "/records" => Response::new(Full::new(Bytes::from(hex::encode(Sha256::digest(&body))))),
        // Whether the contact works is asked without effect.
        "/updates" if parts.method == Method::OPTIONS => empty(StatusCode::NO_CONTENT),
        "/status" => Response::new(Full::new(Bytes::from_static(b"well"))),
        "/updates" => {
            let key = header(parts, "idempotency-key");
            let signed = header(parts, "authorization") == format!("Bearer {CAD_BEARER}");
            let text = String::from_utf8_lossy(&body);
            let mut world = held(&hears);
            world.note(|| format!("cad hears {}", header(parts, "fourth-notice")));
            let message = Message { by: "cad", key, kind: "cad", leg: None, program: None, signed, text: &text };
            let judgement = world.oracle.hears(&message);
            world.judge(judgement);
            if heard {
                world.oracle.takes(key);
            }
            empty(StatusCode::NO_CONTENT)
        }
        _ => empty(StatusCode::NOT_FOUND),
    };
    serve(world, ground, "cad", PEER, answer).await
}

/// A team: hears offers and recalls, and does what a team of this seed does.
pub async fn team(world: Shared, ground: Arc<Ground>, name: &'static str) -> turmoil::Result {
    rise(&world, name).await;
    let hears = Arc::clone(&world);
    let answer = move |parts: &Parts, body: Bytes, heard: bool| {
        // A test of the contact is signed like every other message, and is none.
        let is_test = serde_json::from_slice::<Value>(&body).is_ok_and(|told| told["kind"] == "contact-test");
        if !is_test || !is_signed(name, parts, &body) {
            hear(&hears, name, parts, &body, heard);
        }
        empty(StatusCode::OK)
    };
    serve(world, ground, name, PEER, answer).await
}

/// The signature as the documentation says it is made.
fn is_signed(name: &str, parts: &Parts, body: &[u8]) -> bool {
    let Some(given) = header(parts, "fourth-signature").strip_prefix("v1=") else { return false };
    let mut mac = Hmac::<Sha256>::new_from_slice(secret_of(name).as_bytes()).unwrap();
    mac.update(header(parts, "fourth-timestamp").as_bytes());
    mac.update(b".");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes()) == given
}

fn hear(world: &Shared, name: &'static str, parts: &Parts, body: &Bytes, heard: bool) {
    let key = header(parts, "idempotency-key").to_owned();
    let signed = is_signed(name, parts, body);
    let told: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = String::from_utf8_lossy(body);
    let kind = told["kind"].as_str().unwrap_or_default().to_owned();
    let leg = told["leg"].as_str().unwrap_or_default().to_owned();
    let first = {
        let mut world = held(world);
        world.note(|| format!("{name} hears {kind} of {leg}"));
        let program = told["program"].as_str();
        let message = Message { by: name, key: &key, kind: &kind, leg: Some(&leg), program, signed, text: &text };
        let judgement = world.oracle.hears(&message);
        world.judge(judgement);
        if heard {
            world.oracle.takes(&key);
        }
        let team = world.teams.get_mut(name).unwrap();
        if matches!(kind.as_str(), "withdraw" | "stand-back") {
            team.stopped.insert(leg.clone());
        }
        team.keys.insert(key)
    };
    if !first {
        return;
    }
    let seed = held(world).plan.seed;
    let mut chance = stream(seed, name, &leg, 1);
    match kind.as_str() {
        "offer" => {
            let deadline = told["deadline"].as_str().and_then(|text| text.parse::<Timestamp>().ok()).unwrap();
            let civil = held(world).civil();
            // A crew looks at its own clock: a step of the adapter's makes nobody wait an hour.
            let left_ms = u64::try_from(deadline.duration_since(civil).as_millis().clamp(0, 12_000)).unwrap();
            for (after_ms, asked, stubborn) in answers(&mut chance, left_ms) {
                intend(world, name, leg.clone(), after_ms, asked, stubborn);
            }
        }
        "withdraw" | "stand-back" if chance.percent(60) => {
            intend(world, name, leg, chance.between(100, 5_000), ("acknowledge", "{}".to_owned()), true);
        }
        "proceed" => goes(world, name, &leg),
        _ => {}
    }
}

fn stream(seed: u64, name: &str, leg: &str, question: u64) -> Chance {
    let place = TEAMS.iter().position(|team| *team == name).unwrap() as u64;
    let number = leg.rsplit_once('.').and_then(|(_, number)| number.parse().ok()).unwrap_or(0);
    Chance::of(seed, &[6, place, number, question])
}

/// What a team does with an offer: after so long, this, even where it was told to stop.
fn answers(chance: &mut Chance, left_ms: u64) -> Vec<(u64, Ask, bool)> {
    let accept = || ("accept", "{}".to_owned());
    let stubborn = chance.percent(15);
    let soon = chance.between(30, left_ms.max(100));
    match chance.below(20) {
        0..=9 => vec![(chance.between(30, 3_000), accept(), stubborn)],
        10 => vec![(soon, accept(), stubborn), (soon + chance.below(900), accept(), stubborn)],
        // About the deadline: a hair before, at it, after it, for whatever the way takes.
        11..=13 => {
            vec![((left_ms + chance.below(60)).saturating_sub(*chance.pick(&[20, 40, 100, 400])), accept(), stubborn)]
        }
        14 => vec![(left_ms + chance.below(9_000), accept(), stubborn)],
        15..=17 => {
            let cause = chance.pick(&["busy", "unsafe", "too-far"]);
            let mut plan = vec![(soon, ("decline", format!(r#"{{"cause":"{cause}"}}"#)), stubborn)];
            if chance.percent(20) {
                plan.push((soon + chance.below(2_000), accept(), stubborn));
            }
            plan
        }
        _ => Vec::new(),
    }
}

/// A team that has the call goes: on the way, there, perhaps a hazard or a cry for help, and an end.
fn goes(world: &Shared, name: &'static str, leg: &str) {
    let seed = {
        let mut world = held(world);
        let seed = world.plan.seed;
        let team = world.teams.get_mut(name).unwrap();
        if team.stopped.contains(leg) || !team.gone.insert(leg.to_owned()) {
            return;
        }
        seed
    };
    let mut chance = stream(seed, name, leg, 2);
    let mut after_ms = 0;
    let then = |after_ms: u64, asked: Ask| intend(world, name, leg.to_owned(), after_ms, asked, false);
    if name != "line" {
        for status in ["en-route", "on-scene", "with-person"] {
            after_ms += chance.between(200, 5_000);
            if chance.percent(45) {
                then(after_ms, ("status", format!(r#"{{"status":"{status}"}}"#)));
            }
        }
    }
    if chance.percent(12) {
        let (fact, value) = chance.pick(&[("weapon", "present"), ("violence", "physical")]);
        then(after_ms + chance.below(3_000), ("hazard", format!(r#"{{"fact":"{fact}","value":"{value}"}}"#)));
    }
    if chance.percent(6) {
        then(after_ms, ("backup", r#"{"service":"police"}"#.to_owned()));
    }
    after_ms += chance.between(500, 9_000);
    let end = match chance.below(20) {
        0..=9 => ("status", r#"{"status":"cleared","disposition":"supported"}"#),
        10..=12 => ("status", r#"{"status":"returned","why":"beyond-us"}"#),
        13..=14 => ("decline", r#"{"cause":"unsafe"}"#),
        15..=17 => ("status", r#"{"status":"handed-on"}"#),
        _ => return,
    };
    then(after_ms, (end.0, end.1.to_owned()));
}

/// Does it later, from the team's own host: if that dies meanwhile, it is not done.
fn intend(world: &Shared, name: &'static str, leg: String, after_ms: u64, asked: Ask, stubborn: bool) {
    let busy = Busy::begin(world);
    let world = Arc::clone(world);
    tokio::spawn(async move {
        let _busy = busy;
        sleep(Duration::from_millis(after_ms)).await;
        if stubborn || !held(&world).teams[name].stopped.contains(&leg) {
            request(&world, name, &leg, &asked).await;
        }
    });
}

async fn request(world: &Shared, name: &'static str, leg: &str, (path, body): &Ask) {
    for _ in 0..TRIES {
        held(world).oracle.asks();
        let asked = Request::builder()
            .method("POST")
            .uri(format!("/v1/legs/{leg}/{path}"))
            .header("host", "adapter")
            .header("authorization", format!("Bearer {}", token_of(name)))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.clone())))
            .unwrap();
        let begun_ms = now_ms();
        let reply = ask(world, name, "adapter", TEAMS_DOOR, asked, PATIENCE).await;
        let Some(reply) = reply.filter(|reply| reply.status != 503 && reply.status != 408) else {
            sleep(Duration::from_millis(900)).await;
            continue;
        };
        let yours = reply.json()["yours"].as_bool().unwrap_or(false);
        {
            let mut world = held(world);
            world.note(|| {
                format!("{name} asked to {path} {leg} at {begun_ms} and was answered {}, yours {yours}", reply.status)
            });
            if *path == "accept" {
                let judgement = world.oracle.acceptance_answered(leg, reply.status, yours);
                world.judge(judgement);
            }
        }
        if *path == "accept" && reply.status == 200 && yours {
            goes(world, name, leg);
        }
        return;
    }
}
