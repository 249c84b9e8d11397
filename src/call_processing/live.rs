//! The live incidents of one adapter: found, locked, appended to, applied, and their effects handed on.

use super::counting::count;
use super::dead_letters::DeadLetters;
use super::finding::{CallKey, Found, is_reused, new_incident_id, stated_begin};
use super::linked::NamedBy;
use super::load::held_by;
use super::policy_in_force::RefusedPolicy;
use super::remembering::RecentCall;
use super::requests::Requests;
use super::roster::Roster;
use super::sending::Sink;
use super::silence::Silence;
use super::unmapped;
use super::views::{Answer, CallProblem, IncidentState, IncidentView};
use crate::clock::{Clock, monotonic_now};
use crate::facts::{ContactHistory, RepeatKey};
use crate::incident::{Bounds, Command, Duty, Effect, Event, Incident, Phase};
use crate::journal::{
    self, AdapterEvent, Batch, Called, Content, Entry, Journal, JournalError, Standing, Stored, Subject,
};
use crate::policy::{Availability, Policy};
use crate::record::{CallRecord, IncidentId, ProgramId, RecordIdentity};
use crate::telemetry;
use crate::wire::{self, DecodeError, SenderProfile};
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::{Mutex as AsyncMutex, Notify, RwLock, broadcast};

/// Entries a slow subscriber may lag behind before it must read the journal instead.
/// The simulator opens desks by the million, and nobody there subscribes.
const SUBSCRIBER_LAG_MAX: usize = if cfg!(feature = "canaries") { 1 } else { 4_096 };
/// How often a command is tried again after somebody else appended first.
const CONFLICT_RETRIES_MAX: u32 = 4;
/// A closed incident is forgotten (its journal entries are not) this long after its end.
pub(super) const CLOSED_KEPT_H: i64 = 48;

/// The live incidents of one adapter: every call record, answer, choice and team's word goes through here.
#[derive(Clone)]
pub struct Desk {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) clock: Clock,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) policy: ArcSwapOption<Policy>,
    pub(super) refused_policy: Mutex<Option<Arc<RefusedPolicy>>>,
    senders: BTreeMap<String, Arc<SenderProfile>>,
    pub(super) live: Mutex<Live>,
    pub(super) sink: OnceLock<Sink>,
    entries: broadcast::Sender<Arc<Entry>>,
    pub(super) deadlines: Mutex<BTreeSet<(Timestamp, IncidentId)>>,
    pub(super) deadline_moved: Notify,
    pub(super) silence: Silence,
    pub(super) roster: Mutex<Roster>,
    pub(super) unmapped: Mutex<unmapped::Met>,
    pub(super) dead_letters: Mutex<DeadLetters>,
    pub(super) repeat_key: OnceLock<RepeatKey>,
    pub(super) bounds: OnceLock<Bounds>,
    /// What is owed, by incident.
    pub(super) owed: Mutex<BTreeMap<IncidentId, Vec<Duty>>>,
    pub(super) contacts: Mutex<ContactHistory>,
    pub(super) recent: Mutex<VecDeque<RecentCall>>,
    pub(super) ties_to_follow: Mutex<BTreeSet<IncidentId>>,
    pub(super) requests: Mutex<Requests>,
    /// True once the desk is closed; held for reading by every piece of work.
    pub(super) closed: RwLock<bool>,
}

/// What is held in memory: open incidents, recently closed ones, and how to find them.
#[derive(Default)]
pub(super) struct Live {
    pub(super) slots: BTreeMap<IncidentId, Arc<Slot>>,
    pub(super) by_call: HashMap<CallKey, Found>,
    pub(super) named_by: NamedBy,
    pub(super) load: BTreeMap<ProgramId, u32>,
}

/// An incident in memory. Commands take the lock one at a time; readers take the last published view.
pub(super) struct Slot {
    pub(super) id: IncidentId,
    pub(super) state: AsyncMutex<State>,
    pub(super) view: Mutex<IncidentView>,
    /// Another adapter fires its deadlines.
    elsewhere: AtomicBool,
}

pub(super) struct State {
    pub(super) incident: Arc<Incident>,
    pub(super) record: Option<Arc<CallRecord>>,
    /// Events of an append that may be durable although it was not answered so: the journal is read before anything else.
    pub(super) in_doubt: Option<Vec<Event>>,
}

/// What a command is built from, under the incident's lock.
pub(super) struct Situation<'a> {
    pub(super) policy: Option<&'a Policy>,
    pub(super) now: Timestamp,
    pub(super) availability: &'a Availability,
}

/// A command ready to be handled.
pub(super) struct Prepared {
    pub(super) command: Command,
    pub(super) content: Option<Content>,
    pub(super) decide_ns: u64,
}

/// What a piece of work came to.
pub(super) struct Done {
    incident: Arc<Incident>,
    record: Option<Arc<CallRecord>>,
    repeat: bool,
    decide_ns: u64,
}

impl Done {
    /// What a reader sees before any work: an answer made of it promises nothing.
    fn before_work(slot: &Slot) -> Self {
        let IncidentView { incident, record } = lock(&slot.view).clone();
        Self { incident, record, repeat: false, decide_ns: 0 }
    }

    pub(super) fn view(self) -> IncidentView {
        IncidentView { incident: self.incident, record: self.record }
    }

    pub(super) fn answer(self, record: Option<&CallRecord>) -> Answer {
        let incident = &self.incident;
        let none = || Arc::new(super::not_assessed("no-decision", "nothing has been decided yet", None, &[]));
        Answer {
            incident: incident.id.clone(),
            repeat: self.repeat,
            format: record.map(|record| record.format),
            repairs: record.map(|record| record.repairs.clone()).unwrap_or_default(),
            unknown_fields: record.map(|record| record.unknown_fields.clone()).unwrap_or_default(),
            facts: incident.facts.clone(),
            decision: incident.decision.clone().unwrap_or_else(none),
            decide_ns: self.decide_ns,
            state: IncidentState::of(incident),
        }
    }
}

/// A poisoned lock only means that another thread panicked while it held plain data that is whole at every step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    pub(super) fn new(
        clock: Clock,
        journal: Arc<dyn Journal>,
        policy: Option<Arc<Policy>>,
        senders: BTreeMap<String, Arc<SenderProfile>>,
    ) -> Self {
        let inner = Inner {
            silence: Silence::since(clock.now()),
            clock,
            journal,
            policy: ArcSwapOption::from(policy),
            refused_policy: Mutex::default(),
            senders,
            live: Mutex::default(),
            sink: OnceLock::new(),
            entries: broadcast::Sender::new(SUBSCRIBER_LAG_MAX),
            deadlines: Mutex::default(),
            deadline_moved: Notify::new(),
            roster: Mutex::default(),
            unmapped: Mutex::default(),
            dead_letters: Mutex::default(),
            repeat_key: OnceLock::new(),
            bounds: OnceLock::new(),
            owed: Mutex::default(),
            contacts: Mutex::default(),
            recent: Mutex::default(),
            ties_to_follow: Mutex::default(),
            requests: Mutex::default(),
            closed: RwLock::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// The clock that the desk works by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.inner.journal
    }

    /// Every entry appended from now on. A subscriber that lags more than 4,096 entries is told so and reads the journal.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Entry>> {
        self.inner.entries.subscribe()
    }

    /// Every open incident, oldest first by the instant of its first record.
    #[must_use]
    pub fn open_incidents(&self) -> Vec<IncidentView> {
        let slots: Vec<_> = lock(&self.inner.live).slots.values().cloned().collect();
        let mut views: Vec<_> = slots
            .iter()
            .map(|slot| lock(&slot.view).clone())
            .filter(|view| view.incident.version > 0 && view.incident.phase != Phase::Closed)
            .collect();
        views.sort_by_key(|view| (view.incident.began(), view.incident.id.clone()));
        views
    }

    /// Effects that have not been carried out yet, by incident and key.
    #[must_use]
    pub fn undelivered(&self) -> Vec<(IncidentId, String)> {
        let slots: Vec<_> = lock(&self.inner.live).slots.values().cloned().collect();
        let keys = |slot: &Arc<Slot>| {
            let view = lock(&slot.view).clone();
            view.incident.outstanding.keys().map(|key| (slot.id.clone(), key.clone())).collect::<Vec<_>>()
        };
        slots.iter().flat_map(keys).collect()
    }

    /// The incident of a sender's own name for it, the newest where several agencies use the name.
    #[must_use]
    pub fn find(&self, call: &str) -> Option<IncidentId> {
        let live = lock(&self.inner.live);
        let named = live.by_call.iter().filter(|(key, _)| key.incident == call);
        named.max_by_key(|(_, found)| found.began).map(|(_, found)| found.incident.clone())
    }

    /// One incident, open or closed, with its last record where its content is still kept.
    ///
    /// # Errors
    /// [`CallProblem::NoSuchIncident`], or the journal's.
    pub async fn view(&self, incident: &IncidentId) -> Result<IncidentView, CallProblem> {
        let slot = self.slot(incident).await?;
        let mut state = slot.state.lock().await;
        self.fetch_record(&mut state).await;
        *lock(&slot.view) = IncidentView { incident: Arc::clone(&state.incident), record: state.record.clone() };
        Ok(lock(&slot.view).clone())
    }

    pub(super) fn sender(&self, name: &str) -> Result<Arc<SenderProfile>, CallProblem> {
        self.inner.senders.get(name).cloned().ok_or_else(|| CallProblem::UnknownSender(name.to_owned()))
    }

    /// Journals that bytes were refused: what and where, never the bytes.
    pub(super) async fn refuse(&self, error: DecodeError, bytes: &Bytes) -> CallProblem {
        let refused = AdapterEvent::RecordRefused {
            problem: error.problem.to_owned(),
            place: error.place.clone(),
            content_sha256: hex::encode(Sha256::digest(bytes)),
            length_bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        };
        if let Err(problem) = self.record_of_adapter(refused).await {
            tracing::warn!(%problem, "a refusal could not be journaled");
        }
        error.into()
    }

    /// Appends something that happened to the adapter itself.
    ///
    /// # Errors
    /// The journal's.
    pub async fn record_of_adapter(&self, event: AdapterEvent) -> Result<(), JournalError> {
        let batch = Batch::new(Subject::Adapter, 0, self.inner.clock.now(), vec![Stored::Adapter(event)]);
        self.inner.journal.append(batch).await?.into_iter().for_each(|entry| self.publish_entry(entry));
        Ok(())
    }

    pub(super) fn publish_entry(&self, entry: Entry) {
        let _ = self.inner.entries.send(Arc::new(entry));
    }

    /// The slot of the incident that a record belongs to; a new one where no incident fits.
    pub(super) async fn slot_for(&self, record: &CallRecord) -> Result<Arc<Slot>, CallProblem> {
        let shared = self.inner.journal.shared();
        let (known, before) = {
            let mut live = lock(&self.inner.live);
            let key = CallKey::of(&record.identity);
            match live.by_call.get(&key) {
                Some(found) if !is_reused(found, stated_begin(&record.times), self.inner.clock.now()) => {
                    (found.incident.clone(), None)
                }
                Some(_) | None if shared.is_none() => {
                    let id = new_incident_id(&self.inner.clock)?;
                    let began = stated_begin(&record.times);
                    live.by_call.insert(key, Found { incident: id.clone(), began, closed_at: None });
                    let slot = Slot::new(Incident::new(id.clone()));
                    live.slots.insert(id, Arc::clone(&slot));
                    return Ok(slot);
                }
                unknown => (IncidentId::new(""), Some(unknown.map(|found| found.incident.clone()))),
            }
        };
        match (shared, before) {
            (Some(shared), Some(before)) => self.named_slot(shared, record, before).await,
            (_, _) => self.slot(&known).await,
        }
    }

    /// The slot of an incident; a closed one that was forgotten is folded from the journal again.
    pub(super) async fn slot(&self, id: &IncidentId) -> Result<Arc<Slot>, CallProblem> {
        if let Some(slot) = lock(&self.inner.live).slots.get(id) {
            return Ok(Arc::clone(slot));
        }
        let slot = Slot::new(self.fold(id).await?);
        // Not in memory: another adapter may have it, and may still be sending what it owes.
        slot.held_elsewhere(self.inner.journal.shared().is_some());
        if lock(&slot.view).incident.phase == Phase::Closed {
            return Ok(slot);
        }
        let mut live = lock(&self.inner.live);
        if live.slots.contains_key(id) {
            return Ok(live.slots.get(id).map_or(slot, Arc::clone));
        }
        live.slots.insert(id.clone(), Arc::clone(&slot));
        drop(live);
        self.note_read(&slot.known());
        Ok(slot)
    }

    pub(super) async fn fold(&self, id: &IncidentId) -> Result<Incident, CallProblem> {
        let entries = self.inner.journal.read_incident(id).await?;
        if entries.is_empty() {
            return Err(CallProblem::NoSuchIncident);
        }
        Ok(journal::fold(id, &entries))
    }

    /// Handles one command under the incident's lock: build, handle, append, apply, hand on.
    ///
    /// Runs in a task of its own, so that a caller who hangs up cannot part the append from what follows it.
    pub(super) async fn work<F>(
        &self,
        slot: Arc<Slot>,
        record: Option<Arc<CallRecord>>,
        build: F,
    ) -> Result<Done, CallProblem>
    where
        F: Fn(&Incident, &Situation<'_>) -> Result<Prepared, CallProblem> + Send + 'static,
    {
        let desk = self.clone();
        let early = canary!(AckBeforeAppend).then(|| Done::before_work(&slot));
        let task = tokio::spawn(async move {
            let closed = desk.inner.closed.read().await;
            if *closed {
                return Err(JournalError::Unavailable("the adapter is stopping".to_owned()).into());
            }
            let mut state = slot.state.lock().await;
            let done = desk.work_locked(&slot, &mut state, record, build).await;
            desk.settle(&slot, &state);
            drop(state);
            desk.follow_ties().await;
            done
        });
        if let Some(early) = early {
            return Ok(early);
        }
        task.await.unwrap_or_else(|failure| {
            tracing::error!(%failure, "a command failed; the call stays where it is");
            Err(JournalError::Unavailable("the command failed inside the adapter".to_owned()).into())
        })
    }

    pub(super) async fn work_locked<F>(
        &self,
        slot: &Slot,
        state: &mut State,
        record: Option<Arc<CallRecord>>,
        build: F,
    ) -> Result<Done, CallProblem>
    where
        F: Fn(&Incident, &Situation<'_>) -> Result<Prepared, CallProblem>,
    {
        let policy = self.policy();
        let mut attempt = 0;
        loop {
            if state.in_doubt.is_some() {
                self.catch_up(slot, state).await?;
            }
            let now = self.inner.clock.now();
            let availability = self.availability_beside(&state.incident);
            let situation = Situation { policy: policy.as_deref(), now, availability: &availability };
            let prepared = build(&state.incident, &situation)?;
            let hands = self.hands(&slot.id);
            let (events, refusal) = match state.incident.handle(&prepared.command, now, hands) {
                Ok(events) => (events, None),
                Err(refusal) => {
                    let late = state.incident.refusal_events(&prepared.command, &refusal, now, hands);
                    (late, Some(refusal))
                }
            };
            let repeat = events.is_empty();
            if !repeat {
                // What the events will make of it is told to the journal beside them, and is so once they are durable.
                let (after, effects) = state.incident.after(&events, now);
                let batch = Batch {
                    subject: Subject::Incident(slot.id.clone()),
                    expected_version: state.incident.version,
                    at: now,
                    events: events.iter().cloned().map(Stored::Incident).collect(),
                    content: prepared.content,
                    standing: Some(Standing::of(&after)),
                };
                let started = monotonic_now();
                match self.inner.journal.append(batch).await {
                    Ok(entries) => {
                        telemetry::journal_appended(
                            u64::try_from(entries.len()).unwrap_or(u64::MAX),
                            started.elapsed(),
                        );
                        count(&events, prepared.decide_ns);
                        self.apply(slot, state, record.as_ref(), &events, (after, effects), entries).await;
                    }
                    Err(JournalError::Unavailable(_)) if canary!(UnavailableIsSuccess) => {}
                    Err(JournalError::Poisoned) if canary!(PoisonedIsSuccess) => {}
                    Err(JournalError::Conflict { .. }) if attempt < CONFLICT_RETRIES_MAX => {
                        attempt += 1;
                        let folded = self.fold(&slot.id).await?;
                        self.becomes(slot, state, folded, false);
                        continue;
                    }
                    Err(error) => {
                        self.doubt(slot, state, events, &error);
                        return Err(error.into());
                    }
                }
            }
            let (incident, record) = (Arc::clone(&state.incident), state.record.clone());
            return refusal.map_or(Ok(Done { incident, record, repeat, decide_ns: prepared.decide_ns }), |refusal| {
                Err(refusal.into())
            });
        }
    }

    /// Applies durable events, publishes the view, moves the deadline, and hands the effects on.
    pub(super) async fn apply(
        &self,
        slot: &Slot,
        state: &mut State,
        record: Option<&Arc<CallRecord>>,
        events: &[Event],
        (incident, effects): (Incident, Vec<Effect>),
        entries: Vec<Entry>,
    ) {
        for (event, entry) in events.iter().zip(&entries) {
            self.remember(&slot.id, event, entry.at);
        }
        if let Some(record) = record.filter(|record| incident.identity.as_ref() == Some(&record.identity)) {
            state.record = Some(Arc::clone(record));
        }
        // What another adapter was still sending is this one's to send now: the other may die with it.
        let inherits = self.inner.journal.shared().is_some() && slot.is_held_elsewhere() && !canary!(InheritsNothing);
        self.becomes(slot, state, incident, true);
        if inherits {
            self.resume_one(slot, state).await;
        } else {
            self.send(slot, state, effects).await;
        }
        entries.into_iter().for_each(|entry| self.publish_entry(entry));
    }

    /// Puts what an incident has become in place: its view, its load, its deadline where this adapter holds it.
    pub(super) fn becomes(&self, slot: &Slot, state: &mut State, incident: Incident, holds: bool) {
        let (deadline, held) = (state.incident.next_deadline(), held_by(&state.incident));
        let of_it = |record: &Arc<CallRecord>| incident.identity.as_ref() == Some(&record.identity);
        state.record = state.record.take().filter(of_it);
        state.incident = Arc::new(incident);
        slot.held_elsewhere(!holds);
        *lock(&slot.view) = IncidentView { incident: Arc::clone(&state.incident), record: state.record.clone() };
        self.note_load(&held, &held_by(&state.incident));
        self.move_deadline(&slot.id, deadline, state.incident.next_deadline().filter(|_| holds));
        self.note_owed(&state.incident);
        self.note_ties(&state.incident);
        if state.incident.phase == Phase::Closed {
            self.note_closed(&state.incident);
        }
    }

    /// Lets the work in hand finish and takes no more: what comes after is answered as if the journal were full.
    pub async fn close(&self) {
        *self.inner.closed.write().await = true;
    }

    /// The last applied record, from the content store where it is not in memory.
    pub(super) async fn fetch_record(&self, state: &mut State) {
        if state.record.is_some() {
            return;
        }
        let Some(identity) = state.incident.identity.clone() else { return };
        let Ok(Some(bytes)) = self.inner.journal.content(&state.incident.id, &identity.content_sha256).await else {
            return;
        };
        state.record = self.decoded(&bytes, &identity).map(Arc::new);
    }

    /// The record of an identity, from its bytes.
    pub(super) fn decoded(&self, bytes: &[u8], identity: &RecordIdentity) -> Option<CallRecord> {
        let profiles = self.inner.senders.values();
        let mut decoded = profiles.filter_map(|profile| wire::decode(bytes, None, profile).ok());
        decoded.find(|record| record.identity == *identity)
    }

    pub(super) fn move_deadline(&self, id: &IncidentId, before: Option<Timestamp>, after: Option<Timestamp>) {
        let mut deadlines = lock(&self.inner.deadlines);
        if let Some(before) = before {
            deadlines.remove(&(before, id.clone()));
        }
        if let Some(after) = after {
            deadlines.insert((after, id.clone()));
        }
        drop(deadlines);
        self.inner.deadline_moved.notify_one();
    }

    /// Remembers that an incident is closed, one that was open elsewhere too, and forgets those closed long ago with nothing left to deliver.
    pub(super) fn note_closed(&self, incident: &Incident) {
        let now = self.inner.clock.now();
        let mut live = lock(&self.inner.live);
        if let Some(identity) = &incident.identity {
            let found = live.by_call.entry(CallKey::of(identity)).or_insert_with(|| Found::of(incident));
            if found.incident == incident.id {
                found.closed_at = Standing::of(incident).called.and_then(|called| called.closed_at).or(Some(now));
            }
        }
        if incident.rests() {
            live.slots.remove(&incident.id);
        }
        let kept = |found: &Found| found.closed_at.is_none_or(|at| now.duration_since(at).as_hours() < CLOSED_KEPT_H);
        live.by_call.retain(|_, found| kept(found));
    }

    /// After work: an incident whose first append failed never was; one that lives is to be found, even where a
    /// record that waited for the same slot was the first to succeed.
    pub(super) fn settle(&self, slot: &Arc<Slot>, state: &State) {
        let incident = &state.incident;
        let mut live = lock(&self.inner.live);
        if incident.version == 0 && state.in_doubt.is_none() {
            live.slots.remove(&slot.id);
            live.by_call.retain(|_, found| found.incident != slot.id);
        } else if incident.phase != Phase::Closed {
            live.slots.entry(slot.id.clone()).or_insert_with(|| Arc::clone(slot));
            if let Some(identity) = &incident.identity {
                let found = Found { incident: slot.id.clone(), began: incident.began(), closed_at: None };
                live.by_call.entry(CallKey::of(identity)).or_insert(found);
            }
        } else if state.in_doubt.is_some() && !canary!(DoubtForgottenWhenClosed) {
            // Closed and forgotten, but for what may have been appended to it just now: the doubt must be found again.
            live.slots.insert(slot.id.clone(), Arc::clone(slot));
        }
    }

    /// Where a later record finds a recovered incident. Of two that were called the same, the one that began later.
    pub(super) fn call_it(&self, incident: &IncidentId, called: Called) {
        let key = CallKey::named(&called.agency, &called.name);
        let found = Found { incident: incident.clone(), began: called.began, closed_at: called.closed_at };
        let mut live = lock(&self.inner.live);
        let order = |found: &Found| (found.closed_at.is_none(), found.began, found.closed_at);
        match live.by_call.get(&key) {
            Some(before) if order(before) > order(&found) => {}
            Some(_) | None => {
                live.by_call.insert(key, found);
            }
        }
    }
}

impl Slot {
    pub(super) fn new(incident: Incident) -> Arc<Self> {
        let incident = Arc::new(incident);
        Arc::new(Self {
            id: incident.id.clone(),
            state: AsyncMutex::new(State { incident: Arc::clone(&incident), record: None, in_doubt: None }),
            view: Mutex::new(IncidentView { incident, record: None }),
            elsewhere: AtomicBool::new(false),
        })
    }

    pub(super) fn held_elsewhere(&self, so: bool) {
        self.elsewhere.store(so, Ordering::Release);
    }

    pub(super) fn is_held_elsewhere(&self) -> bool {
        self.elsewhere.load(Ordering::Acquire)
    }
}
