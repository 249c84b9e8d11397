//! A community team: receives offers as signed webhooks, accepts, declines or stays silent, and does the work it accepted.

use crate::chance;
use crate::client::Client;
use crate::clock::{ScaledClock, after};
use crate::doors::KnownDoors;
use crate::habits::{Habits, Mind, named};
use crate::leg::LegInHand;
use crate::line211;
use crate::server::{Received, Reply, Server};
use crate::signature;
use crate::tally::{Counters, count, lock};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rand::rngs::StdRng;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Idempotency keys a peer remembers.
const KEYS_MAX: usize = 20_000;
/// Seconds of simulated time a signature may be away from this peer's clock: as other webhook receivers, three times over.
const SIGNATURE_AGE_S: u64 = 900;
/// Seconds of the machine's time it may be away at least, so that a fast clock leaves room for a retry.
const SIGNATURE_AGE_REAL_S: f64 = 20.0;
/// Seconds an offer without a deadline counts as open.
const DEADLINE_ASSUMED_S: u64 = 60;

/// What the peers of the city share.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub(crate) clock: ScaledClock,
    pub(crate) client: Client,
    pub(crate) doors: KnownDoors,
    pub(crate) counters: Arc<Counters>,
    pub(crate) zone: TimeZone,
    pub(crate) seed: u64,
}

/// The webhook's body: what a team may rely on. Further fields are optional and not needed to answer.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Webhook {
    /// `offer`, `withdraw`, `stand-back`, or `contact-test`.
    pub(crate) kind: String,
    /// The leg, which names the incident too; a test of the contact has none.
    #[serde(default)]
    pub(crate) leg: String,
    /// The accept deadline.
    #[serde(default)]
    pub(crate) deadline: Option<Timestamp>,
}

/// A running team.
#[derive(Debug)]
pub(crate) struct TeamPeer {
    pub(crate) server: Server,
}

/// What a team is and holds.
#[derive(Debug)]
pub(crate) struct Team {
    pub(crate) program: String,
    pub(crate) habits: Habits,
    pub(crate) token: String,
    secret: String,
    pub(crate) around: Surroundings,
    crews: Arc<Semaphore>,
    desk: Mutex<Desk>,
}

/// What has come in: keys in order of arrival, and the legs being thought about or worked, each with its stop switch.
#[derive(Debug, Default)]
struct Desk {
    keys: BTreeSet<String>,
    key_order: VecDeque<String>,
    legs: BTreeMap<String, watch::Sender<bool>>,
    unreachable: BTreeSet<String>,
    offers: u64,
}

impl TeamPeer {
    /// Listens for webhooks.
    ///
    /// # Errors
    /// Where the address cannot be bound.
    pub(crate) async fn start(
        address: SocketAddr,
        program: &str,
        habits: Habits,
        (secret, token): (String, String),
        around: Surroundings,
    ) -> std::io::Result<Self> {
        let crews = Arc::new(Semaphore::new(habits.crews));
        let desk = Mutex::new(Desk::default());
        let state = Arc::new(Team { program: program.to_owned(), habits, token, secret, around, crews, desk });
        let server = Server::start(address, move |received| {
            let team = Arc::clone(&state);
            async move { team.receive(&received) }
        })
        .await?;
        Ok(Self { server })
    }
}

impl Team {
    fn receive(self: &Arc<Self>, received: &Received) -> Reply {
        let clock = &self.around.clock;
        let tolerance = Duration::from_secs(SIGNATURE_AGE_S)
            .max(Duration::from_secs_f64(SIGNATURE_AGE_REAL_S).mul_f64(clock.speed()));
        if let Err(error) = signature::verify(received, self.secret.as_bytes(), clock.now(), tolerance) {
            count(&self.around.counters.webhooks_refused);
            return Reply::json(401, &serde_json::json!({ "title": error.to_string() }));
        }
        let webhook = serde_json::from_slice::<Webhook>(&received.body).ok();
        if webhook.as_ref().is_some_and(|webhook| webhook.kind == "contact-test") {
            count(&self.around.counters.contact_tests);
            return Reply::json(200, &serde_json::json!({ "received": "contact-test" }));
        }
        let Some(webhook) = webhook.filter(|webhook| !webhook.leg.is_empty()) else {
            count(&self.around.counters.webhooks_refused);
            return Reply::json(422, &serde_json::json!({ "title": "`kind` and `leg` are required" }));
        };
        let key = received.header("idempotency-key").unwrap_or_default();
        if !key.is_empty() && lock(&self.desk).seen(key) {
            count(&self.around.counters.webhooks_repeated);
            return Reply::json(200, &serde_json::json!({ "received": webhook.leg, "repeated": true }));
        }
        match webhook.kind.as_str() {
            "offer" if !self.offered(&webhook) => {
                return Reply::json(503, &serde_json::json!({ "title": "not reachable now" }));
            }
            "withdraw" => {
                count(&self.around.counters.withdrawals);
                self.stop(&webhook.leg);
                self.hears(webhook.leg.clone());
            }
            "stand-back" => {
                count(&self.around.counters.stand_backs);
                self.stop(&webhook.leg);
                self.hears(webhook.leg.clone());
            }
            _ => {}
        }
        if !key.is_empty() {
            lock(&self.desk).remember(key);
        }
        Reply::json(200, &serde_json::json!({ "received": webhook.leg }))
    }

    /// Somebody at the team says that the recall was heard: the adapter asks for a person's word.
    fn hears(self: &Arc<Self>, leg: String) {
        let team = Arc::clone(self);
        tokio::spawn(async move {
            let doors = team.around.doors.wait().await;
            let url = format!("{}/v1/legs/{leg}/acknowledge", doors.teams);
            if team.around.client.post_json(&url, &team.token, &serde_json::json!({})).await.is_ok_and(|a| a.good()) {
                count(&team.around.counters.recalls_heard);
            }
        });
    }

    /// Takes an offer in and thinks about it on a task of its own; a leg offered twice is one offer.
    /// False where the team cannot be reached for this leg.
    fn offered(self: &Arc<Self>, webhook: &Webhook) -> bool {
        let (stop, stopped) = watch::channel(false);
        let (mut rng, mind) = {
            let mut desk = lock(&self.desk);
            if desk.unreachable.contains(&webhook.leg) {
                return false;
            }
            if desk.legs.contains_key(&webhook.leg) {
                count(&self.around.counters.webhooks_repeated);
                return true;
            }
            desk.offers += 1;
            count(&self.around.counters.offers);
            let mut rng = chance::stream(self.around.seed, &format!("team {}", self.program), desk.offers);
            let mind = self.habits.mind(desk.offers, &mut rng);
            if mind == Mind::Unreachable {
                count(&self.around.counters.unreachable);
                desk.cannot_reach(&webhook.leg);
                return false;
            }
            desk.legs.insert(webhook.leg.clone(), stop);
            (rng, mind)
        };
        let now = self.around.clock.now();
        let deadline = webhook.deadline.unwrap_or_else(|| after(now, Duration::from_secs(DEADLINE_ASSUMED_S)));
        let answer_s = self.habits.answer_s.draw(&mut rng);
        let leg = LegInHand::new(Arc::clone(self), webhook.leg.clone(), deadline, rng, stopped);
        let team = Arc::clone(self);
        tokio::spawn(async move {
            let name = leg.name.clone();
            team.answer(leg, mind, answer_s).await;
            lock(&team.desk).legs.remove(&name);
        });
        true
    }

    fn stop(&self, leg: &str) {
        if let Some(stop) = lock(&self.desk).legs.get(leg) {
            stop.send_replace(true);
        }
    }

    async fn answer(&self, mut leg: LegInHand, mind: Mind, answer_s: f64) {
        let on_shift = self.habits.shifts.is_empty()
            || self.habits.shifts.iter().any(|shift| shift.covers(self.around.clock.now(), &self.around.zone));
        let crew = Arc::clone(&self.crews).try_acquire_owned().ok();
        match mind {
            Mind::Unreachable => {}
            Mind::Ignore => count(&self.around.counters.ignored),
            Mind::AcceptLate => {
                drop(crew);
                leg.oversleep().await;
                // Granted only where the offer had been left open; the call is then theirs like any other.
                if leg.accept(false).await {
                    leg.clear_stop();
                    self.work(leg, None).await;
                }
            }
            Mind::Accept if on_shift && crew.is_some() => {
                if leg.think(answer_s).await && leg.accept(self.habits.double_accept).await {
                    self.work(leg, crew).await;
                }
            }
            Mind::Accept | Mind::Decline => {
                let cause = match (on_shift, crew.is_some()) {
                    (false, _) => "end-of-shift".to_owned(),
                    (true, false) => "busy".to_owned(),
                    (true, true) => {
                        named(&mut leg.rng, &self.habits.decline_causes).unwrap_or_else(|| "other".to_owned())
                    }
                };
                drop(crew);
                if leg.think(answer_s).await {
                    leg.decline(&cause).await;
                }
            }
        }
    }

    /// Does the work; the crew is free again when this ends.
    async fn work(&self, mut leg: LegInHand, _crew: Option<OwnedSemaphorePermit>) {
        let mut rng = leg.fork();
        if self.habits.by_phone {
            line211::talk(&mut leg, &mut rng, &self.habits).await;
        } else {
            attend(&mut leg, &mut rng, &self.habits).await;
        }
    }
}

impl Desk {
    /// True where a webhook of this key was taken before.
    fn seen(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// Remembers a key, forgetting the oldest beyond the bound.
    fn remember(&mut self, key: &str) {
        if self.keys.insert(key.to_owned()) {
            self.key_order.push_back(key.to_owned());
        }
        if self.key_order.len() > KEYS_MAX
            && let Some(oldest) = self.key_order.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }

    fn cannot_reach(&mut self, leg: &str) {
        if self.unreachable.len() >= KEYS_MAX {
            self.unreachable.pop_first();
        }
        self.unreachable.insert(leg.to_owned());
    }
}

/// Drives there, meets the person, does what can be done, and clears. Ends early when the call is taken back.
async fn attend(leg: &mut LegInHand, rng: &mut StdRng, habits: &Habits) -> Option<()> {
    leg.pause(habits.turnout_s.draw(rng)).await?;
    leg.status("en-route").await?;
    leg.pause(habits.travel_s.draw(rng)).await?;
    leg.status("on-scene").await?;
    let mut left_s = habits.on_scene_s.draw(rng);
    let disposition = named(rng, &habits.dispositions).unwrap_or_else(|| "supported".to_owned());
    let found = !matches!(disposition.as_str(), "gone-on-arrival" | "could-not-locate" | "other-responder-first");
    if found {
        let walk_s = left_s.min(chance::about(rng, 90.0));
        leg.pause(walk_s).await?;
        left_s -= walk_s;
        leg.status("with-person").await?;
    }
    for hazard in &habits.hazards {
        if !chance::happens(rng, hazard.share) {
            continue;
        }
        let [least, most] = hazard.after_s;
        leg.pause(chance::about(rng, (least + most) / 4.0)).await?;
        // A withdrawn consent may not be among the facts that a team can raise; the team then leaves as asked.
        if leg.hazard(&hazard.fact, &hazard.value).await.is_none() {
            return leg.clear("refused").await;
        }
    }
    if chance::happens(rng, habits.back_up) {
        let services = [("police", 3.0), ("ems", 2.0)];
        let service = chance::weighted(rng, &services, |one| one.1).map_or("police", |one| one.0);
        leg.back_up(service).await?;
    }
    if chance::happens(rng, habits.hand_back) {
        return leg.hand_back("needs-other-service").await;
    }
    leg.pause(if found { left_s } else { left_s / 3.0 }).await?;
    leg.clear(&disposition).await
}

#[cfg(test)]
#[path = "team_tests.rs"]
mod tests;
