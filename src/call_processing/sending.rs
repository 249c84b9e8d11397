//! What follows from events goes to the outbox, at once or again.

use super::live::{Desk, Slot, State, lock};
use crate::incident::{Effect, Outgoing};

/// Carries an effect out: the outbox, given by the composition root.
pub type Sink = Box<dyn Fn(Outgoing) + Send + Sync>;

impl Desk {
    /// Gives the outbox; effects before this wait as outstanding and are resumed by [`Desk::resume`].
    pub fn deliver_through(&self, sink: Sink) {
        let _ = self.inner().sink.set(sink);
    }

    /// Hands every outstanding effect to the outbox again (after a restart); keys keep them from acting twice.
    pub async fn resume(&self) {
        let slots: Vec<_> = lock(&self.inner().live).slots.values().cloned().collect();
        for slot in slots.iter().filter(|slot| !slot.is_held_elsewhere()) {
            let mut state = slot.state.lock().await;
            self.resume_one(slot, &mut state).await;
        }
        self.follow_ties().await;
    }

    pub(super) async fn resume_one(&self, slot: &Slot, state: &mut State) {
        if canary!(UndeliveredForgottenAtRestart) {
            return;
        }
        let mut outstanding: Vec<Effect> = state.incident.outstanding.values().cloned().collect();
        if canary!(NewKeyAtResume) {
            outstanding.iter_mut().for_each(|effect| effect.key.push('9'));
        }
        self.send(slot, state, outstanding).await;
    }

    /// Hands effects to the outbox, each with what may be said of the incident.
    pub(super) async fn send(&self, slot: &Slot, state: &mut State, effects: Vec<Effect>) {
        if effects.is_empty() {
            return;
        }
        self.fetch_record(state).await;
        lock(&slot.view).record.clone_from(&state.record);
        let decision = state.incident.decision.clone();
        let Some(sink) = self.inner().sink.get() else { return };
        for effect in effects {
            sink(Outgoing {
                incident: slot.id.clone(),
                effect,
                record: state.record.clone(),
                facts: state.incident.facts.clone(),
                decision: decision.clone(),
            });
        }
    }
}
