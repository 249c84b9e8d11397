//! The adapters of a world: how each life begins and ends, and what comes up from it.

use super::{BOUNDS, Happening, News, World};
use crate::chance::Chance;
use crate::oracle::Violation;
use crate::sharing::LEASE_MS;
use crate::store::{Died, Life, SimulatedJournal, held};
use fourth_option::call_processing::Desk;
use fourth_option::clock::Clock;
use fourth_option::journal::AdapterEvent;
use fourth_option::wire::SenderProfile;
use jiff::SignedDuration;
use std::collections::BTreeMap;
use std::sync::Arc;

impl World<'_> {
    /// A process starts: the desk is opened on what the store has.
    pub(super) async fn begin_life(&mut self, node: usize) {
        let life = self.nodes[node].life;
        let last = held(&self.store).disk.entries.last().map(|entry| entry.at);
        if let Some(last) = last.filter(|last| *last > self.civil()) {
            self.oracle.clock_was_set_back(last, self.now_ms());
        }
        let desk = self.open(life).await;
        if let Some(place) = self.in_force {
            self.oracle.started_with(&self.policies.0[place].identity().digest);
        }
        let (store, tell) = (Arc::clone(&self.store), self.tell.clone());
        desk.deliver_through(Box::new(move |outgoing| {
            if held(&store).hands_on(life) {
                let _ = tell.send(News::Effect(life, Box::new(outgoing)));
            }
        }));
        let (timers, sharing, resumed, started) = (desk.clone(), desk.clone(), desk.clone(), desk.clone());
        self.nodes[node].tasks.push(tokio::spawn(async move { timers.run_deadlines().await }));
        if self.plan.nodes > 1 {
            self.nodes[node].tasks.push(tokio::spawn(async move { sharing.run_sharing().await }));
            // Whoever comes gives the others the time of a lease before it takes over what they held.
            self.at(self.now_ms() + LEASE_MS, Happening::LeaseEnds(node, self.zero));
        }
        tokio::spawn(async move { resumed.resume().await });
        tokio::spawn(async move {
            let event =
                AdapterEvent::Started { version: String::new(), policy_digest: String::new(), waived: Vec::new() };
            let _ = started.record_of_adapter(event).await;
        });
        self.nodes[node].desk = Some(desk);
        self.note(|| format!("adapter {node} starts (life {})", life.number / 2 + 1));
    }

    pub(super) async fn open(&self, life: Life) -> Desk {
        let journal = SimulatedJournal { store: Arc::clone(&self.store), life, is_shared: self.plan.nodes > 1 };
        let clock = Clock::seeded(self.civil(), self.plan.seed ^ life.number << 40 ^ (life.node as u64) << 56);
        let policy = self.in_force.map(|place| Arc::clone(&self.policies.0[place]));
        let profile = SenderProfile {
            agency: "worlds.example".to_owned(),
            element: "cad.worlds.example".to_owned(),
            time_zone: jiff::tz::TimeZone::UTC,
            layout: None,
            call_types: None,
        };
        let senders = BTreeMap::from([("default".to_owned(), profile)]);
        let desk =
            Desk::open(clock, Arc::new(journal), policy, senders).await.expect("the simulated store can be read");
        desk.watch(BOUNDS);
        desk
    }

    pub(super) fn heard(&mut self, news: News) -> Result<(), Violation> {
        match news {
            News::Died(died) => {
                let Died { node, down_ms, clock_step_s } = died;
                self.note(|| format!("adapter {node} dies, for {down_ms} ms"));
                self.nodes[node].desk = None;
                self.nodes[node].outbox.clear();
                self.nodes[node].tasks.drain(..).for_each(|task| task.abort());
                if clock_step_s != 0 {
                    self.oracle.disturbed.time = true;
                    self.inject("the civil clock is stepped while the process is down");
                }
                self.clock_step += SignedDuration::from_secs(clock_step_s);
                self.at(self.now_ms() + down_ms, Happening::Revive(node));
                self.is_lost(node);
            }
            News::Poisoned(died) => {
                self.note(|| "a sync failed: the journal is poisoned".to_owned());
                self.at(self.now_ms() + 1_000, Happening::Kill(died));
            }
            News::Appended(by) => {
                let entries = held(&self.store).disk.entries.len() as u64;
                for node in (0..self.nodes.len()).filter(|node| *node != by) {
                    let delay =
                        Chance::of(self.plan.seed, &[11, entries, node as u64]).below(self.plan.hears_within_ms);
                    self.at(self.now_ms() + delay, Happening::Follow(node));
                }
            }
            News::Doubted(node) => {
                let entries = held(&self.store).disk.entries.len() as u64;
                let delay = Chance::of(self.plan.seed, &[12, entries]).between(1, 1_500);
                self.at(self.now_ms() + delay, Happening::Recover(node));
            }
            News::Runaway => return Err(Violation::new("I11", "the adapter asks its store without end")),
            News::Effect(life, outgoing) => {
                self.observe()?;
                self.note(|| format!("        effect: {}", outgoing.effect.key));
                self.oracle.handed_on(&outgoing, life, self.plan.nodes == 1)?;
                if held(&self.store).lives(life) {
                    self.enqueue(life, outgoing);
                }
            }
            News::Finished(life, request, outcome) => {
                self.observe()?;
                self.finished(life, request, *outcome)?;
            }
        }
        Ok(())
    }

    /// A node is dead or cut off: its lease ends if that lasts.
    fn is_lost(&mut self, node: usize) {
        if self.plan.nodes > 1 {
            let since = held(&self.store).is_lost(node);
            self.at(self.now_ms() + LEASE_MS, Happening::LeaseEnds(node, since));
        }
    }
}
