//! Deadlines: one task that wakes at the earliest one and fires what is due.

use super::live::{Desk, lock};
use super::views::CallProblem;
use crate::incident::Command;
use crate::record::IncidentId;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;

/// Deadlines fired at one time: enough for the journal to share commits, few enough that a restart with thousands of
/// overdue ones does not fall on everybody in one instant.
const FIRED_AT_ONCE_MAX: usize = 64;
/// How soon a deadline that could not be journaled is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(250);

impl Desk {
    /// Fires deadlines for ever, the most overdue first.
    pub async fn run_deadlines(&self) {
        loop {
            let next = lock(&self.inner().deadlines).first().cloned();
            let Some((at, _)) = next else {
                self.inner().deadline_moved.notified().await;
                continue;
            };
            if at > self.inner().clock.now() {
                tokio::select! {
                    biased;
                    () = self.inner().clock.sleep_until(at) => {}
                    () = self.inner().deadline_moved.notified() => {}
                }
                continue;
            }
            self.fire_due().await;
        }
    }

    async fn fire_due(&self) {
        let now = self.inner().clock.now();
        let due: Vec<(Timestamp, IncidentId)> = {
            let mut deadlines = lock(&self.inner().deadlines);
            let due: Vec<_> =
                deadlines.iter().take_while(|(at, _)| *at <= now).take(FIRED_AT_ONCE_MAX).cloned().collect();
            for deadline in &due {
                deadlines.remove(deadline);
            }
            due
        };
        let mut firing = JoinSet::new();
        // One tick for one incident, however many of its deadlines are due: what fails comes back once.
        let mut last: BTreeMap<IncidentId, Timestamp> = BTreeMap::new();
        let firsts: Vec<IncidentId> =
            due.into_iter().filter_map(|(at, id)| last.insert(id.clone(), at).is_none().then_some(id)).collect();
        for id in firsts {
            let at = last.get(&id).copied().unwrap_or(now);
            let desk = self.clone();
            firing.spawn(async move { (desk.command(&id, Command::Tick).await, at, id) });
        }
        let mut failed = Vec::new();
        while let Some(fired) = firing.join_next().await {
            let Ok((outcome, at, id)) = fired else { continue };
            match outcome {
                Err(CallProblem::Journal(error)) => {
                    tracing::error!(%error, incident = %id, "a deadline could not be journaled; it is tried again");
                    failed.push((at, id));
                }
                Ok(view) => {
                    // A tick that changed nothing (the clock stood a hair before the deadline) must not be lost.
                    failed.extend(view.incident.next_deadline().filter(|next| *next <= at).map(|next| (next, id)));
                }
                Err(_) => {}
            }
        }
        if !failed.is_empty() && !canary!(TimerLostOnFailure) {
            tokio::time::sleep(RETRY_AFTER).await;
            lock(&self.inner().deadlines).extend(failed);
        }
    }
}
