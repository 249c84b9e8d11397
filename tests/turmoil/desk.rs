//! The centre's desk: sends records until they are acknowledged, passes through to the CAD, and presses what a call-taker presses.

use crate::ground::{INTAKE, TEAMS_DOOR, token_of};
use crate::http::{Drip, Reply, ask};
use crate::oracle::Violation;
use crate::plan::{HEALED_MS, Item, Press, Way};
use crate::records::{CANARY, Record};
use crate::wire::Wire;
use crate::world::{Busy, Shared, held, now_ms};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};

/// The longest that the desk waits for an answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// A request that nothing hinders is through well within this.
const PROMPT_MS: u64 = 2_000;
/// Tries of what need not succeed.
const TRIES: u32 = 4;

/// What the desk is told to do, and what it counts as under way by.
pub enum Order {
    Do(Item, Busy),
    /// Where an incident stands.
    Ask(String, Busy),
}

pub async fn run(world: Shared, orders: Arc<Mutex<Option<UnboundedReceiver<Order>>>>) -> turmoil::Result {
    let Some(mut orders) = orders.lock().unwrap().take() else { return Ok(()) };
    while let Some(order) = orders.recv().await {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let _busy = match order {
                Order::Do(item, busy) => {
                    carry_out(&world, item).await;
                    busy
                }
                Order::Ask(incident, busy) => {
                    where_it_stands(&world, &incident).await;
                    busy
                }
            };
        });
    }
    std::future::pending().await
}

async fn carry_out(world: &Shared, item: Item) {
    match item {
        Item::Record { record, by: Way::PassThrough } => pass_record(world, &record).await,
        Item::Record { record, by } => send_record(world, &record, by == Way::Dripping).await,
        Item::Poison => poison(world).await,
        Item::Passes => passes(world).await,
        Item::Press { call, press } => press_on(world, call, press).await,
        Item::Loiter => loiter(world).await,
        _ => {}
    }
}

fn request(method: &str, path: &str, who: &str) -> hyper::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "adapter")
        .header("authorization", format!("Bearer {}", token_of(who)))
}

/// The slowest way there and back, four messages each way with a handshake.
fn slowest_ms(world: &Shared) -> u64 {
    held(world).plan.latency_ms.1 * 12
}

fn says_nothing_of_callers(world: &Shared, reply: &Reply) {
    if String::from_utf8_lossy(&reply.body).contains(CANARY) {
        held(world).judge(Err(Violation::new("I14", "an answer holds what a caller said")));
    }
}

async fn send_record(world: &Shared, record: &Record, dripping: bool) {
    loop {
        let begun_ms = now_ms();
        held(world).oracle.asks();
        let builder = request("POST", "/v1/calls", "cad")
            .header("content-type", record.media_type)
            .header("fourth-sender", record.sender);
        let reply = if dripping {
            ask(world, "desk", "adapter", INTAKE, builder.body(Drip::of(&record.bytes, 6)).unwrap(), PATIENCE).await
        } else {
            ask(world, "desk", "adapter", INTAKE, builder.body(Full::new(record.bytes.clone())).unwrap(), PATIENCE)
                .await
        };
        let Some(reply) = reply else {
            sleep(Duration::from_millis(700)).await;
            continue;
        };
        match record_answered(world, record, begun_ms, &reply) {
            None => return,
            Some(pause) => sleep(pause).await,
        }
    }
}

/// Judges an answer; how long to wait until the record is sent again, if it must be.
fn record_answered(world: &Shared, record: &Record, begun_ms: u64, reply: &Reply) -> Option<Duration> {
    says_nothing_of_callers(world, reply);
    let mut world = held(world);
    if reply.status == 200 {
        let incident = reply.json()["incident"].as_str().unwrap_or_default().to_owned();
        world.note(|| format!("desk: acknowledged as {incident}"));
        let judgement = world.oracle.acknowledged(record, &incident);
        world.judge(judgement);
        return None;
    }
    let (status, after_s) = (reply.status, reply.retry_after_s());
    world.note(|| format!("desk: refused with {status}, {after_s:?}"));
    // A body that a bad link holds up is too slow, and rightly told so.
    if status != 408 || world.is_untroubled("desk", begun_ms) {
        let judgement = world.oracle.refused(status, after_s);
        world.judge(judgement);
    }
    world.inject("a record is refused, to come again");
    Some(Duration::from_secs(after_s.unwrap_or(1).min(2)))
}

/// The record goes to the CAD whatever becomes of its copy.
async fn pass_record(world: &Shared, record: &Record) {
    for _ in 0..TRIES {
        let begun_ms = now_ms();
        held(world).oracle.asks();
        let asked = request("POST", "/cad/records", "nobody")
            .header("fourth-authorization", format!("Bearer {}", token_of("cad")))
            .header("content-type", record.media_type)
            .header("fourth-sender", record.sender)
            .body(Full::new(record.bytes.clone()))
            .unwrap();
        let reply = ask(world, "desk", "adapter", INTAKE, asked, PATIENCE).await;
        judge_passed(world, begun_ms, reply.as_ref(), &record.sha256);
        if reply.is_some_and(|reply| reply.status == 200) {
            return;
        }
        sleep(Duration::from_secs(1)).await;
    }
}

async fn passes(world: &Shared) {
    let begun_ms = now_ms();
    {
        let mut world = held(world);
        world.oracle.asks();
        if world.store.is_shut(begun_ms) {
            world.inject("something passes through while the store takes nothing");
        }
    }
    let asked = request("GET", "/cad/status", "nobody")
        .header("fourth-authorization", format!("Bearer {}", token_of("cad")))
        .body(Full::<Bytes>::default())
        .unwrap();
    let reply = ask(world, "desk", "adapter", INTAKE, asked, PATIENCE).await;
    judge_passed(world, begun_ms, reply.as_ref(), "well");
}

/// What passes through is answered by the CAD itself, soon, unless something stood in the way.
fn judge_passed(world: &Shared, begun_ms: u64, reply: Option<&Reply>, expected: &str) {
    let slowest_ms = slowest_ms(world);
    let mut world = held(world);
    let took_ms = now_ms() - begun_ms;
    world.oracle.checks += 1;
    if let Some(reply) = reply.filter(|reply| reply.status == 200) {
        if reply.body != expected.as_bytes() {
            return world
                .judge(Err(Violation::new("I4", "the CAD's answer, or what it got, is not what passed through")));
        }
        if took_ms <= PROMPT_MS + slowest_ms {
            return;
        }
    }
    if world.is_untroubled("desk", begun_ms) && world.is_untroubled("cad", begun_ms) {
        let status = reply.map(|reply| reply.status);
        let what = format!("what should pass through came to {status:?} after {took_ms} ms");
        world.judge(Err(Violation::new("I4", what)));
    }
}

async fn poison(world: &Shared) {
    let asked = request("POST", "/v1/calls", "cad")
        .body(Full::new(Bytes::from_static(b"{\"Canary-Words\": [not a record")))
        .unwrap();
    held(world).oracle.asks();
    let Some(reply) = ask(world, "desk", "adapter", INTAKE, asked, PATIENCE).await else { return };
    says_nothing_of_callers(world, &reply);
    let mut world = held(world);
    world.oracle.checks += 1;
    if !matches!(reply.status, 400 | 415 | 422 | 503) {
        world
            .judge(Err(Violation::new("I12", format!("bytes that are no record were answered with {}", reply.status))));
    }
}

async fn press_on(world: &Shared, call: u64, press: Press) {
    let (path, body) = match press {
        Press::Accept => ("choice", r#"{"choice":"accept"}"#),
        Press::Ordinary => ("choice", r#"{"choice":"ordinary"}"#),
        Press::Answer => ("answers", r#"{"fact":"weapon","value":"none"}"#),
        Press::Acknowledge => ("acknowledge", "{}"),
    };
    for _ in 0..TRIES {
        let incident = {
            let mut world = held(world);
            let name = world.name_of(call);
            let incident = name.and_then(|name| world.oracle.incident_of(&name).map(ToString::to_string));
            world.oracle.asks();
            incident
        };
        if let Some(incident) = incident {
            let asked = request("POST", &format!("/v1/calls/{incident}/{path}"), "position")
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from_static(body.as_bytes())))
                .unwrap();
            let reply = ask(world, "desk", "adapter", INTAKE, asked, PATIENCE).await;
            if let Some(reply) = &reply {
                says_nothing_of_callers(world, reply);
                held(world).note(|| format!("desk: {press:?} was answered with {}", reply.status));
            }
            if reply.is_some_and(|reply| reply.status != 503) {
                return;
            }
        }
        sleep(Duration::from_millis(1_500)).await;
    }
}

/// A connection that says nothing is closed in time, and keeps nobody else waiting.
async fn loiter(world: &Shared) {
    let begun_ms = now_ms();
    let slowest_ms = slowest_ms(world);
    held(world).inject("a connection says nothing");
    let Ok(mut wire) = Wire::connect(world, "desk", "adapter", TEAMS_DOOR).await else { return };
    let closed = timeout(Duration::from_millis(4_500 + slowest_ms), wire.read(&mut [0; 64])).await;
    let mut world = held(world);
    world.oracle.checks += 1;
    if closed.is_err() && world.is_untroubled("desk", begun_ms) && begun_ms < HEALED_MS {
        world.judge(Err(Violation::new("I11", "a connection that says nothing stays open")));
    }
}

async fn where_it_stands(world: &Shared, incident: &str) {
    loop {
        let asked =
            request("GET", &format!("/v1/calls/{incident}"), "position").body(Full::<Bytes>::default()).unwrap();
        let Some(reply) = ask(world, "desk", "adapter", INTAKE, asked, PATIENCE).await else {
            sleep(Duration::from_millis(500)).await;
            continue;
        };
        says_nothing_of_callers(world, &reply);
        let mut world = held(world);
        if reply.status != 200 {
            let what = format!("asked where a call stands, the adapter answers {}", reply.status);
            return world.judge(Err(Violation::new("I10", what)));
        }
        let shown = reply.json();
        let owner = shown["owner"]["team"].as_str();
        let judgement = world.oracle.shown(incident, shown["version"].as_u64().unwrap_or(0), owner);
        return world.judge(judgement);
    }
}
