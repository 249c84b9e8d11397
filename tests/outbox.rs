//! What could not be delivered, from outside: listed, sent again by an operator, and offers never.

use crate::support::{Place, SAFE, Served, TOKEN, eido, eventually, fourth};
use fourth_simulators::client::{Answer, Client};
use fourth_simulators::server::{Reply, Server};
use hyper::Method;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const INTAKE: usize = 0;
const OPERATIONS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(20);

async fn send(place: &Place, door: usize, method: Method, path: &str, body: impl Into<bytes::Bytes>) -> Answer {
    let bearer = format!("Bearer {TOKEN}");
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend((path != "/v1/calls").then_some(("content-type", "application/json")));
    let client = Client::new(Duration::from_secs(10));
    client.send(method, &format!("{}{path}", place.url(door)), &headers, body).await.unwrap()
}

/// The letters of a kind, once there are any.
async fn letter(place: &Place, what: &str) -> Value {
    eventually("the letter is listed", PATIENCE, async || {
        let shown = send(place, OPERATIONS, Method::GET, "/v1/undelivered", "").await.json();
        shown["letters"].as_array().unwrap().iter().find(|letter| letter["what"] == what).cloned()
    })
    .await
}

async fn redrive(place: &Place, key: &str) -> Answer {
    send(place, OPERATIONS, Method::POST, &format!("/v1/undelivered/{key}/redrive"), "{}").await
}

#[tokio::test]
async fn what_the_cad_refused_is_listed_and_sent_again_under_its_key_and_an_offer_is_not() {
    let (refuses, keys) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(Vec::new())));
    let (refusing, kept) = (Arc::clone(&refuses), Arc::clone(&keys));
    let cad = Server::start("127.0.0.1:0".parse().unwrap(), move |received| {
        kept.lock().unwrap().push(received.header("idempotency-key").unwrap().to_owned());
        let status = if refusing.load(Ordering::SeqCst) { 422 } else { 200 };
        async move { Reply::json(status, &json!({})) }
    })
    .await
    .unwrap();
    let always =
        |policy: String| policy.replace("from = \"08:00\", to = \"24:00\"", "from = \"00:00\", to = \"24:00\"");
    let place = Place::new(always, &format!("[handoff.cad]\nurl = \"{}/eido\"\n", cad.url()));
    let served = Served::start(&place);
    let id = "urn:emergency:uid:incidentid:outbox1:kamloops.example";
    let record = eido(id, "2026-05-01T13:00:00-07:00", "WELFARE", SAFE);
    let call = send(&place, INTAKE, Method::POST, "/v1/calls", record).await.json();
    let incident = call["incident"].as_str().unwrap();
    let choice = json!({"choice": "accept"}).to_string();
    let chosen = send(&place, INTAKE, Method::POST, &format!("/v1/calls/{incident}/choice"), choice).await;
    assert_eq!(chosen.status, 200, "{}", chosen.json());
    // No channel is configured: the offer is given up, the call comes back, and the CAD, which refuses, is told.
    let offer = letter(&place, "offer").await;
    assert_eq!(offer["why"], "no-such-channel");
    let refused = redrive(&place, offer["key"].as_str().unwrap()).await;
    assert_eq!((refused.status, &refused.json()["type"]), (409, &json!("urn:fourth:problem:not-sent-again")));
    let notice = letter(&place, "cad").await;
    assert_eq!((&notice["why"], &notice["incident"]), (&json!("refused-422"), &json!(incident)));
    let key = notice["key"].as_str().unwrap();
    let journal = place.journal().to_str().unwrap().to_owned();
    let (status, listed, _) = fourth(&["journal", "undelivered", "--journal", &journal]);
    assert!(status == 1 && listed.contains(key) && listed.contains("no-such-channel"), "{status}: {listed}");
    for nobodys in ["i-0.1.cad", "a%2Fb", "nothing"] {
        assert_eq!(redrive(&place, nobodys).await.status, 404, "{nobodys}");
    }
    refuses.store(false, Ordering::SeqCst);
    let again = redrive(&place, key).await;
    assert_eq!((again.status, &again.json()["sent_again"]), (200, &json!(true)));
    eventually("the CAD has it", PATIENCE, async || {
        (keys.lock().unwrap().iter().filter(|one| *one == key).count() == 2).then_some(())
    })
    .await;
    eventually("nothing waits", PATIENCE, async || {
        let shown = send(&place, OPERATIONS, Method::GET, "/v1/undelivered", "").await.json();
        assert_eq!(shown["destinations"][0]["name"], "cad");
        let listed = shown["letters"].as_array().unwrap().iter().any(|letter| letter["key"] == key);
        (!listed && shown["waiting"] == 0).then_some(())
    })
    .await;
    assert_eq!(redrive(&place, key).await.status, 409, "it was delivered");
    let (_, shown, _) = fourth(&["journal", "show", "--json", "--journal", &journal, incident]);
    let redriven = shown.lines().find(|line| line.contains("\"redriven\"")).expect("the journal says who");
    assert!(redriven.contains("\"operator\":\"test\"") && redriven.contains(key), "{redriven}");
    // What was given up is found again after a restart.
    served.terminate();
    let _served = Served::start(&place);
    assert_eq!(letter(&place, "offer").await, offer);
}
