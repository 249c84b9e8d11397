//! One leg in a team's hands: what its people press, and what the adapter answers to it.

use crate::chance;
use crate::client::Answer;
use crate::clock::after;
use crate::tally::count;
use crate::team::Team;
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::watch;

/// How often a request is tried while no answer or a 5xx comes: the adapter may be restarting.
const TRIES: u32 = 6;
/// Pause before the second try; doubled for each later one.
const RETRY_PAUSE: Duration = Duration::from_millis(150);

/// A leg, from the offer until it is answered, cleared, handed back or taken away.
#[derive(Debug)]
pub(crate) struct LegInHand {
    team: Arc<Team>,
    pub(crate) name: String,
    deadline: Timestamp,
    pub(crate) rng: StdRng,
    stopped: watch::Receiver<bool>,
    stop_counts: bool,
}

impl LegInHand {
    pub(crate) fn new(
        team: Arc<Team>,
        name: String,
        deadline: Timestamp,
        rng: StdRng,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        Self { team, name, deadline, rng, stopped, stop_counts: true }
    }

    /// A further stream for what happens after acceptance.
    pub(crate) fn fork(&mut self) -> StdRng {
        StdRng::seed_from_u64(self.rng.random())
    }

    /// Lets a stop that came before a late acceptance was granted count for nothing.
    pub(crate) fn clear_stop(&mut self) {
        self.stop_counts = !*self.stopped.borrow_and_update();
    }

    /// Waits so many simulated seconds; `None` where the call was taken back meanwhile.
    pub(crate) async fn pause(&mut self, seconds: f64) -> Option<()> {
        let clock = self.team.around.clock;
        let wait = clock.sleep(Duration::from_secs_f64(seconds.max(0.0)));
        if !self.stop_counts {
            wait.await;
            return Some(());
        }
        tokio::select! {
            biased;
            _ = self.stopped.wait_for(|stopped| *stopped) => None,
            () = wait => Some(()),
        }
    }

    /// Thinks so many seconds, but answers in time for the deadline. False where the offer was taken back meanwhile.
    pub(crate) async fn think(&mut self, seconds: f64) -> bool {
        let left = self.deadline.duration_since(self.team.around.clock.now()).as_secs_f64();
        self.pause(seconds.min(left * 0.8).max(0.0)).await.is_some()
    }

    /// Waits until somewhat after the deadline, whatever is said meanwhile.
    pub(crate) async fn oversleep(&mut self) {
        let by = Duration::from_secs_f64(chance::about(&mut self.rng, 20.0));
        self.team.around.clock.sleep_until(after(self.deadline, by)).await;
    }

    /// Presses accept, or lets two people press it at once. True where the call is theirs now.
    pub(crate) async fn accept(&self, twice: bool) -> bool {
        let counters = &self.team.around.counters;
        let granted = if twice {
            let body = json!({});
            let (one, other) = tokio::join!(self.post("accept", &body), self.post("accept", &body));
            [one, other].into_iter().flatten().any(|answer| answer.good())
        } else {
            self.post("accept", &json!({})).await.is_some_and(|answer| answer.good())
        };
        if granted {
            count(&counters.accepts);
        }
        granted
    }

    pub(crate) async fn decline(&self, cause: &str) {
        let _ = self.tell("decline", &json!({ "cause": cause }), &self.team.around.counters.declines).await;
    }

    /// En route, on scene or with person.
    pub(crate) async fn status(&self, status: &str) -> Option<()> {
        self.tell("status", &json!({ "status": status }), &self.team.around.counters.statuses).await
    }

    pub(crate) async fn clear(&self, disposition: &str) -> Option<()> {
        let body = json!({ "status": "cleared", "disposition": disposition });
        self.tell("status", &body, &self.team.around.counters.clears).await
    }

    pub(crate) async fn hand_back(&self, why: &str) -> Option<()> {
        self.tell("status", &json!({ "status": "returned", "why": why }), &self.team.around.counters.returns).await
    }

    pub(crate) async fn back_up(&self, service: &str) -> Option<()> {
        self.tell("backup", &json!({ "service": service }), &self.team.around.counters.backups).await
    }

    pub(crate) async fn hazard(&self, fact: &str, value: &str) -> Option<()> {
        let body = json!({ "fact": fact, "value": value });
        self.tell("hazard", &body, &self.team.around.counters.hazards).await
    }

    /// Sends and counts; `None` where it was not granted.
    async fn tell(&self, action: &str, body: &Value, counter: &AtomicU64) -> Option<()> {
        let answer = self.post(action, body).await?;
        if !answer.good() {
            return None;
        }
        count(counter);
        Some(())
    }

    /// One press, tried again while the adapter cannot be reached. Conflicts and failures are counted here.
    async fn post(&self, action: &str, body: &Value) -> Option<Answer> {
        let around = &self.team.around;
        let mut pause = RETRY_PAUSE;
        for attempt in 1..=TRIES {
            let doors = around.doors.wait().await;
            let url = format!("{}/v1/legs/{}/{action}", doors.teams, self.name);
            match around.client.post_json(&url, &self.team.token, body).await {
                Ok(answer) if answer.status == 409 => {
                    count(&around.counters.conflicts);
                    return Some(answer);
                }
                Ok(answer) if answer.status < 500 => {
                    if !answer.good() {
                        count(&around.counters.team_requests_failed);
                    }
                    return Some(answer);
                }
                Ok(_) | Err(_) if attempt < TRIES => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Ok(_) | Err(_) => {}
            }
        }
        count(&around.counters.team_requests_failed);
        None
    }
}
