//! The outbox of a world: bounded tries over bad links, and a report of how each message ended.

use super::{Happening, TRY_FOR_MS, World};
use crate::peers::{CAD, NAMES, peer_of};
use crate::store::{Life, held};
use fourth_option::incident::{Act, Command, Outgoing};
use fourth_option::policy::LegPlan;
use fourth_option::record::{IncidentId, LegId};
use jiff::Timestamp;

impl World<'_> {
    /// The outbox takes an effect: one under way under its key is not taken twice; a recall ends an offer being tried.
    pub(super) fn enqueue(&mut self, life: Life, outgoing: Box<Outgoing>) {
        let key = outgoing.effect.key.clone();
        if self.nodes[life.node].outbox.contains_key(&key) {
            return;
        }
        let now_ms = self.now_ms();
        let until_ms = match &outgoing.effect.act {
            Act::Offer { deadline, plan, .. } => now_ms + self.left_ms(*deadline, plan),
            _ => now_ms + TRY_FOR_MS,
        };
        if let Act::Withdraw { leg, .. } | Act::StandBack { leg, .. } = &outgoing.effect.act {
            let offers = |other: &Outgoing| matches!(&other.effect.act, Act::Offer { leg: of, .. } if of == leg);
            let outbox = &self.nodes[life.node].outbox;
            let over: Vec<String> =
                outbox.iter().filter(|(_, other)| offers(other)).map(|(key, _)| key.clone()).collect();
            for key in over {
                self.gives_up(life.node, &key, "superseded");
            }
        }
        self.nodes[life.node].outbox.insert(key.clone(), outgoing);
        self.at(now_ms + 1, Happening::Try { life, key, attempt: 1, until_ms });
    }

    /// What is left of a term by the world's civil clock; never more than the term, whatever that clock was set to.
    fn left_ms(&self, deadline: Timestamp, plan: &LegPlan) -> u64 {
        let left_ms = deadline.duration_since(self.civil()).as_millis().max(0);
        u64::try_from(left_ms).unwrap().min(u64::from(plan.accept_deadline_s) * 1_000)
    }

    pub(super) fn attempt(&mut self, life: Life, key: String, attempt: u32, until_ms: u64) {
        let lives = held(&self.store).lives(life);
        let Some(outgoing) = self.nodes[life.node].outbox.get(&key).filter(|_| lives).cloned() else { return };
        let now_ms = self.now_ms();
        let (peer, attempts_max) = match &outgoing.effect.act {
            Act::Offer { plan, .. } => (peer_of(plan.program.as_str()), plan.attempts),
            Act::Withdraw { plan, .. } | Act::StandBack { plan, .. } | Act::Proceed { plan, .. } => {
                (peer_of(plan.program.as_str()), u32::MAX)
            }
            _ => (CAD, u32::MAX),
        };
        if now_ms >= until_ms {
            return self.gives_up(life.node, &key, "deadline-passed");
        }
        let there = self.link(peer);
        for delay in &there {
            let (key, outgoing) = (key.clone(), outgoing.clone());
            self.at(now_ms + delay, Happening::Delivered { key, outgoing });
        }
        // The answer comes back over the same link, and within the time of one try.
        let back = if there.is_empty() { Vec::new() } else { self.link(peer) };
        match (there.first(), back.first()) {
            (Some(there), Some(back)) if there + back < 8_000 => {
                self.at(now_ms + there + back, Happening::Noted { life, key });
            }
            _ if attempt >= attempts_max => self.at(now_ms + 5_000, Happening::Try { life, key, attempt, until_ms: 0 }),
            _ => {
                let pause = (500 << attempt.min(5)).min(10_000);
                self.at(now_ms + pause, Happening::Try { life, key, attempt: attempt + 1, until_ms });
            }
        }
    }

    fn gives_up(&mut self, node: usize, key: &str, why: &str) {
        if let Some(outgoing) = self.nodes[node].outbox.remove(key) {
            self.note(|| format!("the outbox gives up: {why}"));
            let command = Command::EffectUndeliverable { key: key.to_owned(), why: why.to_owned() };
            self.report(node, &outgoing.incident, command);
        }
    }

    /// What became of an effect goes back to the desk; where that cannot be journaled, nobody asks again.
    pub(super) fn report(&mut self, node: usize, incident: &IncidentId, command: Command) {
        let Some(desk) = self.nodes[node].desk.clone() else { return };
        let incident = incident.clone();
        self.oracle.reached();
        tokio::spawn(async move { desk.command(&incident, command).await.is_ok() });
    }

    pub(super) fn delivered(&mut self, key: &str, outgoing: &Outgoing) {
        let (leg, plan, left_ms): (&LegId, _, u64) = match &outgoing.effect.act {
            Act::Offer { leg, plan, deadline } => (leg, plan, self.left_ms(*deadline, plan)),
            Act::Withdraw { leg, plan, .. } | Act::StandBack { leg, plan, .. } | Act::Proceed { leg, plan } => {
                (leg, plan, 0)
            }
            _ => return,
        };
        let peer = peer_of(plan.program.as_str());
        self.note(|| format!("{} hears {} of {leg}", NAMES[peer], outgoing.effect.act.what()));
        let now_ms = self.now_ms();
        let plans = self.teams[peer].hears(self.plan.seed, peer, key, &outgoing.effect.act, now_ms, left_ms);
        self.intend(peer, plans);
    }
}
