//! Several adapters on one journal: this desk follows what the others append, and takes over what the dead ones held.
//!
//! Who owns a call is decided in the journal's order, by the incident's version, and never here. That an incident is held
//! elsewhere only means that another adapter fires its deadlines and sends what follows from it.

use super::finding::{CallKey, Found, is_reused, new_incident_id, stated_begin};
use super::live::{Desk, Slot, lock};
use super::recovery::roster_of;
use super::views::CallProblem;
use crate::incident::{Hands, Incident};
use crate::journal::{AwayJournal, Entry, Heard, JournalError, Shared, Stored, Subject};
use crate::record::{CallRecord, IncidentId};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often one name for a call can have been used before, for it to be found in one go.
pub(super) const USED_BEFORE_MAX: usize = 64;
/// How soon a store that could not be read is read again.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Desk {
    /// Hears for ever; returns at once where the journal is this adapter's alone.
    pub async fn run_sharing(&self) {
        let Some(mut hearing) = self.journal().shared().and_then(Shared::hear) else { return };
        let away = self.journal().shared().and_then(Shared::away);
        loop {
            let heard = tokio::select! {
                biased;
                heard = hearing.recv() => match heard {
                    Some(heard) => heard,
                    None => return,
                },
                () = back(away) => {
                    if let Some(away) = away {
                        self.bring_home(away).await;
                    }
                    continue;
                }
            };
            match heard {
                Heard::Reached => self.read_what_is_shared().await,
                Heard::Missed => {
                    self.read_what_is_in_memory().await;
                    self.read_what_is_shared().await;
                }
                Heard::Appended(entries) => self.follow(entries, false).await,
                Heard::Recovered(entries) => self.follow(entries, true).await,
                Heard::TakenOver(incidents) => {
                    for id in incidents {
                        self.take_over(&id).await;
                    }
                }
                Heard::Holding(incidents) => {
                    for id in incidents.iter().filter(|id| !self.holds(id)) {
                        self.take_over(id).await;
                    }
                }
            }
        }
    }

    /// The store is there for the first time: what it holds is taken in, as at an opening.
    async fn read_what_is_shared(&self) {
        while let Err(error) = self.read_in().await {
            tracing::warn!(%error, "what the journal's database holds cannot be read; it is tried again");
            tokio::time::sleep(READ_AGAIN_AFTER).await;
        }
        self.resume().await;
    }

    /// A period was dropped before all of it was heard of: what ended in it is gone, and was at rest.
    async fn read_what_is_in_memory(&self) {
        let slots: Vec<_> = lock(&self.inner().live).slots.values().cloned().collect();
        for slot in slots.iter().filter(|slot| !self.is_apart(&slot.id)) {
            let mut state = slot.state.lock().await;
            // One of which nothing is appended yet is just being begun.
            if state.incident.version == 0 || state.in_doubt.is_some() {
                continue;
            }
            let incident = match self.fold(&slot.id).await {
                Ok(incident) => incident,
                Err(CallProblem::NoSuchIncident) => Incident::new(slot.id.clone()),
                Err(problem) => {
                    // Its next command finds that the version has moved on, and reads it again.
                    tracing::error!(%problem, incident = %slot.id, "an incident could not be read again");
                    continue;
                }
            };
            if incident.version != state.incident.version {
                self.becomes(slot, &mut state, incident, !slot.is_held_elsewhere());
                self.settle(slot, &state);
            }
        }
    }

    /// At the opening: what other adapters hold is left to them.
    pub(super) async fn leave_to_others(&self) -> Result<(), JournalError> {
        let Some(shared) = self.journal().shared() else { return Ok(()) };
        let held = shared.held().await?;
        let slots: Vec<_> = lock(&self.inner().live).slots.values().cloned().collect();
        for slot in slots.iter().filter(|slot| !held.contains(&slot.id)) {
            slot.held_elsewhere(true);
            self.move_deadline(&slot.id, lock(&slot.view).incident.next_deadline(), None);
        }
        Ok(())
    }

    fn holds(&self, id: &IncidentId) -> bool {
        lock(&self.inner().live).slots.get(id).is_some_and(|slot| !slot.is_held_elsewhere())
    }

    /// Brings the memory up to entries that did not come from a command in hand. `ours`: this adapter appended them and
    /// was told that the outcome was not known, so that nothing has been sent yet of what follows from them.
    async fn follow(&self, entries: Vec<Entry>, ours: bool) {
        let mut stories: BTreeMap<IncidentId, Vec<&Entry>> = BTreeMap::new();
        for entry in &entries {
            if let Subject::Incident(id) = &entry.subject {
                stories.entry(id.clone()).or_default().push(entry);
            }
        }
        let apart = |id: &IncidentId| self.is_apart(id);
        for (id, story) in stories.into_iter().filter(|(id, _)| !apart(id)) {
            if let Err(problem) = self.follow_one(&id, &story, ours).await {
                // Its next command finds that the version has moved on, and reads it again.
                tracing::error!(%problem, incident = %id, "what was appended to an incident elsewhere could not be followed");
            }
        }
        for entry in entries {
            if let Some(roster) = roster_of(entry.stored.clone()) {
                *lock(&self.inner().roster) = roster;
            }
            self.publish_entry(entry);
        }
        self.follow_ties().await;
    }

    async fn follow_one(&self, id: &IncidentId, story: &[&Entry], ours: bool) -> Result<(), CallProblem> {
        // Never built of what is heard alone: this adapter may have closed and forgotten it before it heard of the beginning.
        let known = lock(&self.inner().live).slots.get(id).cloned();
        let unknown = known.is_none();
        let slot = match known {
            Some(slot) => slot,
            None if canary!(BuiltOfHearsay) && story.first().is_some_and(|first| first.version == 1) => {
                self.slot_or_new(id)
            }
            None => self.slot(id).await?,
        };
        let mut state = slot.state.lock().await;
        let mut incident = Incident::clone(&state.incident);
        for entry in story {
            let Stored::Incident(event) = &entry.stored else { continue };
            let is_news = entry.version > state.incident.version;
            if is_news || unknown {
                self.remember(id, event, entry.at);
            }
            if !is_news {
                continue;
            }
            if entry.version == incident.version.saturating_add(1) {
                let _ = incident.on(event, entry.at);
            } else if entry.version > incident.version {
                incident = self.fold(id).await?;
            }
        }
        let last = story.last().map_or(0, |entry| entry.version);
        let newer = incident.version > state.incident.version;
        if newer || (unknown && !canary!(BuiltOfHearsay)) || (ours && incident.version == last) {
            self.becomes(&slot, &mut state, incident, ours);
            self.settle(&slot, &state);
        }
        if ours {
            self.resume_one(&slot, &mut state).await;
        }
        Ok(())
    }

    /// Fires the deadlines of an incident from now on, the overdue ones at once, and sends again what was not reported as
    /// delivered: its key keeps it from acting twice.
    async fn take_over(&self, id: &IncidentId) {
        if self.is_apart(id) || canary!(TakesOverNothing) {
            return;
        }
        let taken = async {
            let slot = self.slot(id).await?;
            let mut state = slot.state.lock().await;
            let incident = self.fold(id).await?;
            self.becomes(&slot, &mut state, incident, true);
            self.settle(&slot, &state);
            self.resume_one(&slot, &mut state).await;
            drop(state);
            self.follow_ties().await;
            Ok::<_, CallProblem>(())
        };
        if let Err(problem) = taken.await {
            tracing::error!(%problem, incident = %id, "an incident was taken over and cannot be read: call its team and its caller");
        }
    }

    /// The slot of a call that this desk does not know, under the name that the first of all adapters gave it.
    pub(super) async fn named_slot(
        &self,
        shared: &dyn Shared,
        record: &CallRecord,
        mut before: Option<IncidentId>,
    ) -> Result<Arc<Slot>, CallProblem> {
        let key = CallKey::of(&record.identity);
        for _ in 0..USED_BEFORE_MAX {
            let proposed = new_incident_id(self.clock())?;
            let id = shared.claim(name_sha256(&key, before.as_ref()), &proposed).await?;
            let known = if id == proposed { Err(CallProblem::NoSuchIncident) } else { self.slot(&id).await };
            match known {
                Ok(slot) => {
                    let found = Found::of(&lock(&slot.view).incident);
                    if !is_reused(&found, stated_begin(&record.times), self.clock().now()) {
                        return Ok(slot);
                    }
                    before = Some(id);
                }
                // Named, and nothing appended yet: whoever appends first begins it.
                Err(CallProblem::NoSuchIncident) => {
                    let found = Found { incident: id.clone(), began: stated_begin(&record.times), closed_at: None };
                    lock(&self.inner().live).by_call.insert(key, found);
                    return Ok(self.slot_or_new(&id));
                }
                Err(problem) => return Err(problem),
            }
        }
        Err(JournalError::Unavailable("the sender used this name for too many calls".to_owned()).into())
    }

    /// What the others cannot see must not change hands (fault 68).
    pub(super) fn hands(&self, id: &IncidentId) -> Hands {
        match self.journal().shared() {
            Some(shared) if shared.is_apart(id) => Hands::Bound,
            Some(_) | None => Hands::Free,
        }
    }

    /// Since when the journal is away, so that nothing is handed over.
    #[must_use]
    pub fn journal_away_since(&self) -> Option<Timestamp> {
        let away_for = self.journal().shared()?.away_for()?;
        Some(self.clock().now() - SignedDuration::try_from(away_for).unwrap_or(SignedDuration::ZERO))
    }

    /// How many incidents are journaled here only, because the shared journal is or was away.
    #[must_use]
    pub fn incidents_apart(&self) -> usize {
        let away = self.journal().shared().and_then(Shared::away);
        away.map_or(0, |away| away.groups().len())
    }

    /// True while an incident goes on in the local journal: what is heard of it is taken in when it is brought home.
    fn is_apart(&self, id: &IncidentId) -> bool {
        self.journal().shared().and_then(Shared::away).is_some_and(|away| away.goes_on_here(id))
    }

    pub(super) fn slot_or_new(&self, id: &IncidentId) -> Arc<Slot> {
        let mut live = lock(&self.inner().live);
        Arc::clone(live.slots.entry(id.clone()).or_insert_with(|| Slot::new(Incident::new(id.clone()))))
    }
}

#[cfg(not(feature = "adapter"))]
impl Desk {
    /// There is no local journal to bring anything home from.
    #[expect(clippy::unused_async, reason = "it stands for one that waits")]
    async fn bring_home(&self, away: &AwayJournal) {
        match *away {}
    }
}

/// Waits for something to bring home; for ever where there never is anything.
async fn back(away: Option<&AwayJournal>) {
    match away {
        Some(away) => away.back().await,
        None => std::future::pending().await,
    }
}

/// What a call is known by among adapters: its sender's name, and the incident that bore the name before.
pub(super) fn name_sha256(key: &CallKey, before: Option<&IncidentId>) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in [key.agency.as_str(), key.incident.as_str(), before.map_or("", IncidentId::as_str)] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}
