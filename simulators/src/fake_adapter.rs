//! A few lines that answer as the adapter's contract says, for the peers' own tests. No policy: every third call is ordinary.

use crate::client::Client;
use crate::clock::{ScaledClock, after};
use crate::peers::{Peers, TeamAccess};
use crate::server::{Received, Reply, Server};
use crate::signature::sign;
use crate::tally::lock;
use bytes::Bytes;
use hyper::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Seconds an offer stays open.
const OPEN_S: u64 = 120;

/// The adapter's state, to be looked at by tests.
#[derive(Default)]
pub(crate) struct Book {
    /// Source incident by the adapter's name of it.
    pub(crate) incidents: BTreeMap<String, String>,
    /// State and deadline of each leg.
    pub(crate) legs: BTreeMap<String, (&'static str, Option<Timestamp>)>,
    /// Posts on legs, in order.
    pub(crate) posts: Vec<(String, String, Value, u16)>,
    /// Answers given.
    pub(crate) answers: Vec<(String, Value)>,
    sequence: u64,
}

pub(crate) struct FakeAdapter {
    pub(crate) server: Server,
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) book: Mutex<Book>,
    clock: ScaledClock,
    client: Client,
    cad: String,
    write_back: String,
    team: TeamAccess,
}

impl FakeAdapter {
    pub(crate) async fn start(peers: &Peers, program: &str, clock: ScaledClock) -> Self {
        let inner = Arc::new(Inner {
            book: Mutex::default(),
            clock,
            client: Client::new(Duration::from_secs(5)),
            cad: peers.cad_url(),
            write_back: peers.cad_write_back_url(),
            team: peers.teams()[program].clone(),
        });
        let of_handler = Arc::clone(&inner);
        let server = Server::start(([127, 0, 0, 1], 0).into(), move |received| {
            let inner = Arc::clone(&of_handler);
            async move { inner.answer(received).await }
        })
        .await
        .unwrap();
        Self { server, inner }
    }
}

impl Inner {
    async fn answer(self: &Arc<Self>, received: Received) -> Reply {
        let path: Vec<&str> = received.path.trim_matches('/').split('/').collect();
        match (received.method.clone(), path.as_slice()) {
            (Method::POST, ["cad", "records"]) => {
                self.take(&received.body);
                let url = format!("{}/records", self.cad);
                let passed = self.client.send(Method::POST, &url, &[], received.body).await;
                passed.map_or(Reply { status: 502, body: String::new() }, |answer| Reply {
                    status: answer.status,
                    body: String::new(),
                })
            }
            (Method::POST, ["v1", "calls"]) | (Method::POST, ["v1", "calls", _, "updates"]) => {
                let incident = self.take(&received.body);
                Reply::json(200, &self.view(&incident))
            }
            (Method::GET, ["v1", "calls"]) => {
                let wanted = received.query.strip_prefix("call=").unwrap().replace("%3A", ":");
                let book = lock(&self.book);
                match book.incidents.iter().find(|(_, source)| **source == wanted) {
                    Some((incident, _)) => Reply::json(200, &json!({ "incident": incident })),
                    None => Reply::json(404, &json!({})),
                }
            }
            (Method::GET, ["v1", "calls", incident]) => Reply::json(200, &self.view(incident)),
            (Method::POST, ["v1", "calls", incident, "answers"]) => {
                let body = serde_json::from_slice(&received.body).unwrap();
                lock(&self.book).answers.push(((*incident).to_owned(), body));
                Reply::json(200, &self.view(incident))
            }
            (Method::POST, ["v1", "calls", incident, "choice"]) => {
                let body: Value = serde_json::from_slice(&received.body).unwrap();
                self.chosen(incident, &body).await
            }
            (Method::POST, ["v1", "legs", leg, action]) => {
                assert_eq!(received.header("authorization"), Some(format!("Bearer {}", self.team.token).as_str()));
                let body: Value = serde_json::from_slice(&received.body).unwrap();
                let status = self.leg(leg, action, &body).await;
                lock(&self.book).posts.push(((*leg).to_owned(), (*action).to_owned(), body, status));
                Reply::json(status, &json!({}))
            }
            other => panic!("no such door: {other:?}"),
        }
    }

    /// Finds the source's number in any of the three formats.
    fn take(&self, body: &[u8]) -> String {
        let text: String = body.iter().filter(|byte| **byte != 0).map(|byte| char::from(*byte)).collect();
        let source = if let Ok(eido) = serde_json::from_slice::<Value>(body) {
            eido["$id"].as_str().unwrap().to_owned()
        } else if let Some((_, rest)) = text.split_once("<CallNumber>") {
            rest.split('<').next().unwrap().to_owned()
        } else {
            text.lines().nth(1).unwrap().split(',').next().unwrap().to_owned()
        };
        let mut book = lock(&self.book);
        if let Some((incident, _)) = book.incidents.iter().find(|(_, known)| **known == source) {
            return incident.clone();
        }
        book.sequence += 1;
        let incident = format!("i{}", book.sequence);
        book.incidents.insert(incident.clone(), source);
        incident
    }

    fn view(&self, incident: &str) -> Value {
        let number: u64 = incident[1..].parse().unwrap();
        let answered = lock(&self.book).answers.iter().any(|(of, _)| of == incident);
        let decision = match (number % 3, answered) {
            (0, _) => {
                json!({ "status": { "name": "ineligible", "because": "no-rule" }, "route": "ordinary", "questions": [], "options": [] })
            }
            (1, false) => json!({
                "status": { "name": "needs-answer" }, "route": "ordinary", "options": [],
                "questions": [{ "fact": "weapon" }, { "fact": "violence" }],
            }),
            _ => {
                json!({ "status": { "name": "eligible" }, "route": { "program": "cso-south" }, "questions": [], "options": [] })
            }
        };
        json!({ "incident": incident, "decision": decision })
    }

    async fn chosen(self: &Arc<Self>, incident: &str, choice: &Value) -> Reply {
        let eligible = self.view(incident)["decision"]["route"]["program"].is_string();
        match choice["choice"].as_str().unwrap() {
            "accept" if eligible => {
                let leg = format!("{incident}.1");
                self.offer(&leg).await;
                let inner = Arc::clone(self);
                tokio::spawn(async move {
                    inner.clock.sleep(Duration::from_secs(OPEN_S)).await;
                    let timed_out = {
                        let mut book = lock(&inner.book);
                        let state = book.legs.get_mut(&leg).unwrap();
                        let open = state.0 == "offered";
                        if open {
                            state.0 = "timed-out";
                        }
                        open
                    };
                    if timed_out {
                        inner.webhook("withdraw", &leg, &format!("{leg}.withdraw")).await;
                        inner.tell_cad(&leg, "ordinary-route").await;
                    }
                });
            }
            "program" => return Reply::json(409, &json!({})),
            _ => self.tell_cad(incident, "ordinary-route").await,
        }
        Reply::json(200, &json!({}))
    }

    pub(crate) async fn offer(&self, leg: &str) -> Option<u16> {
        let deadline = after(self.clock.now(), Duration::from_secs(OPEN_S));
        lock(&self.book).legs.insert(leg.to_owned(), ("offered", Some(deadline)));
        self.webhook("offer", leg, &format!("{leg}.offer")).await
    }

    pub(crate) async fn webhook(&self, kind: &str, leg: &str, key: &str) -> Option<u16> {
        let deadline = lock(&self.book).legs.get(leg).and_then(|leg| leg.1);
        let body =
            json!({ "kind": kind, "leg": leg, "incident": "i", "program": "p", "deadline": deadline }).to_string();
        let timestamp = self.clock.now().as_second().to_string();
        let signature = sign(self.team.secret.as_bytes(), &timestamp, body.as_bytes());
        let headers = [
            ("fourth-timestamp", timestamp.as_str()),
            ("fourth-signature", signature.as_str()),
            ("idempotency-key", key),
        ];
        let body = Bytes::from(body);
        self.client.send(Method::POST, &self.team.url, &headers, body).await.ok().map(|answer| answer.status)
    }

    async fn leg(&self, leg: &str, action: &str, body: &Value) -> u16 {
        let (before, now) = {
            let mut book = lock(&self.book);
            let Some(state) = book.legs.get_mut(leg) else { return 404 };
            let before = state.0;
            let next = match (action, before, body["status"].as_str()) {
                ("accept", "offered" | "accepted", _) => "accepted",
                ("decline", "offered", _) => "declined",
                ("status", "accepted", Some("cleared")) => "cleared",
                ("status", "accepted", Some("returned")) => "returned",
                ("status" | "backup" | "hazard", "accepted", _) => before,
                _ => return 409,
            };
            state.0 = next;
            (before, next)
        };
        match (action, now) {
            ("accept", "accepted") if before == "offered" => self.tell_cad(leg, "team-accepted").await,
            ("decline", _) | (_, "returned") => self.tell_cad(leg, "ordinary-route").await,
            (_, "cleared") => self.tell_cad(leg, "cleared").await,
            ("backup", _) => self.tell_cad(leg, "backup").await,
            ("hazard", _) => {
                self.webhook("stand-back", leg, &format!("{leg}.stand-back")).await;
                self.tell_cad(leg, "ordinary-route").await;
            }
            _ => {}
        }
        200
    }

    async fn tell_cad(&self, leg: &str, notice: &str) {
        let incident = leg.split('.').next().unwrap();
        let source = lock(&self.book).incidents.get(incident).cloned().unwrap_or_default();
        let eido = json!({ "$id": source });
        let key = format!("{leg}.{notice}");
        let headers = [("idempotency-key", key.as_str()), ("fourth-notice", notice)];
        let _ = self.client.send(Method::POST, &self.write_back, &headers, eido.to_string()).await;
    }
}
