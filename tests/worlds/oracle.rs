//! What must hold, judged after every step by what the outside saw and by the raw journal entries alone.

use crate::ledger::{Account, Stands, owed_for};
use crate::plan::Record;
use crate::sharing::LEASE_MS;
use crate::store::{Life, Store};
use crate::ties::{Known, Ties};
use crate::told::{Moment, Told};
use fourth_option::call_processing::{Answer, CallProblem, IncidentView};
use fourth_option::incident::{Act, Command, Event, Outgoing, Owner, Refusal};
use fourth_option::journal::{AdapterEvent, Stored, Subject};
use fourth_option::record::{IncidentId, LegId};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// How long after its instant something may be done, while nothing hinders it (a deadline fires within D + 1 s).
const BOUND_MS: u64 = 1_000;
/// Entries of one world, at most, for each message that reached the adapter.
const ENTRIES_EACH_MAX: u64 = 40;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub invariant: &'static str,
    pub what: String,
}

impl Violation {
    pub fn new(invariant: &'static str, what: impl Into<String>) -> Self {
        Self { invariant, what: what.into() }
    }
}

/// How often each invariant was judged, by its number.
#[derive(Debug, Clone, Copy, Default)]
pub struct Checked(pub [u64; 19]);

impl Checked {
    fn count(&mut self, invariants: &[usize]) {
        invariants.iter().for_each(|number| self.0[*number] += 1);
    }

    pub fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(all, more)| *all += more);
    }
}

/// What an entry lets be judged.
fn judged_by(event: &Event) -> &'static [usize] {
    match event {
        Event::RecordReceived(_) => &[7, 8, 10],
        Event::Assessed { .. } => &[5, 9, 10, 16],
        Event::Chosen { .. } => &[2, 4, 10],
        Event::Offered { .. } => &[2, 3, 4, 5, 7, 10],
        Event::Accepted { .. } => &[3, 6, 10],
        Event::ReturnedToOrdinary { .. } | Event::Closed { .. } => &[10, 16],
        Event::TimedOut { .. } | Event::DutyOpened { .. } | Event::DutyOverdue { .. } | Event::DutyClosed { .. } => {
            &[3, 10]
        }
        Event::Withdrawn { .. } | Event::StoodBack { .. } | Event::Cleared { .. } | Event::TeamMoved { .. } => &[2, 10],
        _ => &[10],
    }
}

/// An effect that an event obliges the adapter to hand on.
#[derive(Debug)]
struct Owed {
    incident: IncidentId,
    since_ms: u64,
    handed_on_by: Vec<Life>,
    act: Option<Act>,
    delivered: bool,
    over: bool,
    optional: bool,
    /// The leg of an offer: once it has ended nobody need be asked any more.
    offer: Option<LegId>,
}

/// What was done to a world so far that must delay nobody else's deadline.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disturbed {
    /// Bytes that are no record, a link that is cut.
    pub isolation: bool,
    /// A clock that was stepped, or a night on which clocks change.
    pub time: bool,
}

pub struct Oracle {
    accounts: BTreeMap<IncidentId, Account>,
    calls: BTreeMap<String, IncidentId>,
    owed: BTreeMap<String, Owed>,
    read: usize,
    batches: usize,
    /// What each record says, by its digest.
    records: BTreeMap<String, Record>,
    ties: Ties,
    /// The longest time until one adapter hears of another's incident; 0 where there is one.
    hears_within_ms: u64,
    digests: BTreeSet<String>,
    /// Something was assessed while no policy was in force.
    unread: bool,
    asked: u64,
    /// Kinds of events as they were taken, for items that wait for them.
    pub fresh: Vec<&'static str>,
    pub checked: Checked,
    pub disturbed: Disturbed,
}

impl Oracle {
    pub fn new() -> Self {
        Self {
            accounts: BTreeMap::new(),
            calls: BTreeMap::new(),
            owed: BTreeMap::new(),
            read: 0,
            batches: 0,
            records: BTreeMap::new(),
            ties: Ties::default(),
            hears_within_ms: 0,
            digests: BTreeSet::new(),
            unread: false,
            asked: 0,
            fresh: Vec::new(),
            checked: Checked::default(),
            disturbed: Disturbed::default(),
        }
    }

    /// Several adapters, each of which hears late of what the others append.
    pub fn several(&mut self, hears_within_ms: u64) {
        self.hears_within_ms = hears_within_ms;
    }

    /// A policy was in force when an adapter started.
    pub fn started_with(&mut self, digest: &str) {
        self.digests.insert(digest.to_owned());
    }

    /// An adapter starts with a civil clock that stands before the journal's last entry. How long nothing ran cannot be
    /// known then: terms go on from that entry, and no further.
    pub fn clock_was_set_back(&mut self, last: Timestamp, now_ms: u64) {
        for leg in self.accounts.values_mut().flat_map(|account| account.legs.values_mut()) {
            let left_ms = leg.deadline.duration_since(last).as_millis().max(0);
            leg.due_ms = leg.due_ms.max(now_ms + u64::try_from(left_ms).unwrap());
        }
        for duty in self.accounts.values_mut().flat_map(|account| account.duties.values_mut()) {
            let left_ms = duty.due.duration_since(last).as_millis().max(0);
            duty.due_ms = duty.due_ms.max(now_ms + u64::try_from(left_ms).unwrap());
        }
    }

    /// A record is on its way: what it says is the truth by which the adapter is judged.
    pub fn will_send(&mut self, record: &Record) {
        self.records.entry(record.sha256.clone()).or_insert_with(|| record.clone());
    }

    /// A message reached the adapter.
    pub fn reached(&mut self) {
        self.asked += 1;
    }

    pub fn incident_of(&self, call: &str) -> Option<&IncidentId> {
        self.calls.get(call)
    }

    /// The latest deadline of any leg on offer.
    pub fn last_deadline_ms(&self) -> Option<u64> {
        let legs = self.accounts.values().flat_map(|account| account.open().map(|(_, leg)| leg.due_ms));
        legs.chain(self.accounts.values().flat_map(|account| account.duties.values().map(|duty| duty.due_ms))).max()
    }

    /// True once nothing more is to be expected of the adapter.
    pub fn is_settled(&self) -> bool {
        self.accounts.values().all(|account| {
            account.open().next().is_none() && account.hangs_since.is_none() && account.duties.is_empty()
        })
    }

    /// New entries, whole batches at a time, and then whatever must hold at this instant.
    pub fn step(&mut self, store: &Store, now_ms: u64) -> Result<(), Violation> {
        while let Some(end) = store.batches.get(self.batches).copied() {
            self.batches += 1;
            let from = std::mem::replace(&mut self.read, end);
            let (mut touched, mut merged) = (None, None);
            for entry in &store.disk.entries[from..end] {
                self.fresh.push(crate::disk::kind(&entry.stored));
                match (&entry.subject, &entry.stored) {
                    (Subject::Incident(id), Stored::Incident(event)) => {
                        self.entry(id, event, entry.version, entry.at, now_ms)?;
                        if matches!(event, Event::Closed { why } if why == "merged") {
                            merged = Some(id.clone());
                        }
                        touched = Some(id.clone());
                    }
                    (_, Stored::Adapter(AdapterEvent::PolicyLoaded { digest, .. })) => {
                        self.digests.insert(digest.clone());
                    }
                    _ => {}
                }
            }
            if let Some(account) = touched.and_then(|id| self.accounts.get_mut(&id)) {
                account.check(now_ms)?;
                self.checked.count(&[2, 3, 5]);
            }
            if let Some(call) = merged.and_then(|id| self.accounts.get(&id)?.call.clone()) {
                self.ties.ended(&call.incident, &self.known(store, now_ms))?;
                self.checked.count(&[1, 2]);
            }
        }
        self.checked.count(&[11]);
        if store.disk.entries.len() as u64 > (self.asked + 20) * ENTRIES_EACH_MAX {
            return Err(Violation::new(
                "I11",
                format!("{} entries for {} messages", store.disk.entries.len(), self.asked),
            ));
        }
        self.in_time(store, now_ms)
    }

    fn entry(
        &mut self,
        id: &IncidentId,
        event: &Event,
        version: u64,
        at: Timestamp,
        now_ms: u64,
    ) -> Result<(), Violation> {
        let account = self.accounts.entry(id.clone()).or_insert_with(Account::new);
        self.unread |= matches!(event, Event::Assessed { decision, .. } if decision.policy.digest.is_empty());
        let (unread, batch) = (self.unread, self.batches);
        let told = Told { records: &self.records, digests: &self.digests, now_ms, unread, batch };
        account.take(event, version, at, &told)?;
        self.checked.count(judged_by(event));
        if let Event::RecordReceived(received) = event {
            let known = self.calls.entry(received.identity.incident.clone()).or_insert_with(|| id.clone());
            if known != id {
                return Err(Violation::new("I7", "one call has become two incidents"));
            }
            if let Some(record) = self.records.get(&received.identity.content_sha256) {
                self.ties.said(record, Moment { ms: now_ms, batch: self.batches });
            }
        }
        if let Event::Delivered { key } | Event::Undeliverable { key, .. } = event
            && let Some(owed) = self.owed.get_mut(key)
        {
            owed.over = true;
            owed.delivered |= matches!(event, Event::Delivered { .. });
        }
        let offer = if let Event::Offered { leg, .. } = event { Some(leg.clone()) } else { None };
        let optional = matches!(event, Event::OrdinaryChosen { .. });
        let what = if optional { vec!["cad"] } else { owed_for(account, event) };
        for what in what {
            let owed = Owed {
                incident: id.clone(),
                since_ms: now_ms,
                handed_on_by: Vec::new(),
                act: None,
                delivered: false,
                over: false,
                optional,
                offer: offer.clone(),
            };
            self.owed.insert(format!("{id}.{version}.{what}"), owed);
        }
        Ok(())
    }

    /// Deadlines, chains and effects are acted on within the bound while nothing hinders whoever holds the incident.
    fn in_time(&mut self, store: &Store, now_ms: u64) -> Result<(), Violation> {
        for (id, account) in &self.accounts {
            let Some((_, free_since_ms)) = store.free_since(id) else { continue };
            if now_ms.saturating_sub(free_since_ms) <= BOUND_MS {
                continue;
            }
            for (leg, seen) in account.open().filter(|(_, seen)| seen.stands == Stands::Offered && !account.closed) {
                let over = now_ms.saturating_sub(seen.due_ms);
                if over > BOUND_MS {
                    return Err(Violation::new("I3", format!("{leg} is on offer {over} ms after its deadline")));
                }
            }
            if !account.closed && account.hangs_since.is_some_and(|since| now_ms - since > BOUND_MS) {
                return Err(Violation::new("I3", "a call whose last leg has ended is neither offered on nor returned"));
            }
            if let Some(duty) = account.duties.values().find(|duty| now_ms > duty.due_ms + BOUND_MS) {
                let what = duty.kind.name();
                return Err(Violation::new("I3", format!("a duty ({what}) is overdue and nobody was told")));
            }
            self.checked.count(&[3, 7]);
            if self.disturbed.isolation {
                self.checked.count(&[12]);
            }
            if self.disturbed.time {
                self.checked.count(&[18]);
            }
        }
        for _ in 0..self.ties.in_time(&self.known(store, now_ms))? {
            self.checked.count(&[2, 5]);
        }
        for (key, owed) in &self.owed {
            if owed.over || owed.optional || now_ms - owed.since_ms <= BOUND_MS {
                continue;
            }
            let Some((holder, free_since_ms)) = store.free_since(&owed.incident) else { continue };
            // Whoever has it in its outbox lives, though another may hold the incident by now.
            let under_way = owed.handed_on_by.iter().any(|&life| {
                let mourned = || now_ms.saturating_sub(store.parted_ms(life.node)) > LEASE_MS + BOUND_MS;
                life == holder || store.lives(life) || (store.sharing.is_shared() && !mourned())
            });
            if under_way || now_ms.saturating_sub(free_since_ms) <= BOUND_MS {
                continue;
            }
            let ended = owed.offer.as_ref().is_some_and(|leg| {
                let account = self.accounts.get(&owed.incident);
                account.and_then(|account| account.legs.get(leg)).is_none_or(|leg| leg.stands != Stands::Offered)
            });
            if !ended {
                return Err(Violation::new("I7", format!("`{}` is owed and not handed on", last_word(key))));
            }
        }
        Ok(())
    }

    fn known<'a>(&'a self, store: &'a Store, now_ms: u64) -> Known<'a> {
        let (calls, accounts) = (&self.calls, &self.accounts);
        let (within_ms, alone) = (BOUND_MS + self.hears_within_ms, self.hears_within_ms == 0);
        Known { calls, accounts, store, now_ms, within_ms, alone }
    }

    /// An effect was handed to the outbox.
    pub fn handed_on(&mut self, out: &Outgoing, life: Life, alone: bool) -> Result<(), Violation> {
        self.checked.count(&[7]);
        let Some(owed) = self.owed.get_mut(&out.effect.key) else {
            return Err(Violation::new(
                "I7",
                format!("an effect under a key that no event made: `{}`", last_word(&out.effect.key)),
            ));
        };
        if owed.act.as_ref().is_some_and(|act| *act != out.effect.act) {
            return Err(Violation::new("I7", "two effects under one key"));
        }
        // Of several adapters one may send again what another has just delivered: its key keeps it from acting twice.
        if owed.delivered && alone {
            return Err(Violation::new("I7", "what was delivered goes out again"));
        }
        if owed.handed_on_by.contains(&life) && alone {
            return Err(Violation::new("I7", "one effect is handed on twice by one life"));
        }
        owed.handed_on_by.push(life);
        owed.act = Some(out.effect.act.clone());
        Ok(())
    }

    /// A record was answered.
    pub fn record_answered(&mut self, record: &Record, answer: &Result<Answer, CallProblem>) -> Result<(), Violation> {
        let Ok(answer) = answer else {
            self.checked.count(&[17]);
            return Ok(());
        };
        self.checked.count(&[1, 7, 16]);
        let durable =
            self.accounts.get(&answer.incident).is_some_and(|account| account.received.contains(&record.sha256));
        if !durable {
            return Err(Violation::new("I1", "acknowledged and not in the journal"));
        }
        if self.calls.get(&record.name) != Some(&answer.incident) {
            return Err(Violation::new("I7", "acknowledged under the name of another incident"));
        }
        if answer.decision.reasons.is_empty() {
            return Err(Violation::new("I16", "answered without a reason"));
        }
        Ok(())
    }

    /// Any other command was answered.
    pub fn answered(
        &mut self,
        command: Option<&Command>,
        answer: &Result<IncidentView, CallProblem>,
    ) -> Result<(), Violation> {
        if matches!(command, Some(Command::AcceptLeg { .. })) {
            self.checked.count(&[1, 6]);
        }
        match (command, answer) {
            (Some(Command::AcceptLeg { leg, .. }), Ok(view)) => {
                let account = self.accounts.get(&view.incident.id);
                if !account.and_then(|account| account.legs.get(leg)).is_some_and(|leg| leg.accepted_once) {
                    return Err(Violation::new(
                        "I6",
                        "a team is told that it has the call, and the journal knows nothing of it",
                    ));
                }
            }
            (Some(Command::AcceptLeg { leg, .. }), Err(CallProblem::Refused(Refusal::NoLongerYours { why }))) => {
                if why.is_empty() {
                    return Err(Violation::new("I16", "refused without a reason"));
                }
                let account = self.accounts.get(&leg.incident());
                if account.and_then(|account| account.legs.get(leg)).is_some_and(|leg| leg.stands == Stands::Owns) {
                    return Err(Violation::new("I6", "the owner is told that the call is no longer its"));
                }
            }
            _ => {}
        }
        match answer {
            Ok(view) => self.seen(view),
            Err(_) => Ok(()),
        }
    }

    /// A view, judged where the journal has nothing that is newer.
    pub fn seen(&mut self, view: &IncidentView) -> Result<(), Violation> {
        let incident = &view.incident;
        let Some(account) = self.accounts.get(&incident.id).filter(|account| account.version == incident.version)
        else {
            return Ok(());
        };
        self.checked.count(&[2, 3, 8, 10]);
        let owner = match &incident.owner {
            Owner::Psap => None,
            Owner::Team(leg) => Some(leg),
        };
        if owner != account.owner() {
            return Err(Violation::new(
                "I2",
                format!("the adapter says that {owner:?} has the call, the journal {:?}", account.owner()),
            ));
        }
        if let Some((leg, seen)) =
            account.open().find(|(leg, seen)| incident.leg(leg).is_none_or(|held| held.deadline != seen.deadline))
        {
            return Err(Violation::new(
                "I3",
                format!("the adapter holds another deadline of {leg} than {}", seen.deadline),
            ));
        }
        if incident.is_open() == account.closed {
            return Err(Violation::new("I10", "open in memory and closed in the journal, or the other way round"));
        }
        let applied = incident.identity.as_ref().map(|identity| &identity.content_sha256);
        if applied != account.applied.as_ref() {
            return Err(Violation::new("I8", "the adapter holds another version of the record than the newest"));
        }
        Ok(())
    }

    /// The end of a world, healed and at rest.
    pub fn at_rest(&mut self) -> Result<(), Violation> {
        for account in self.accounts.values() {
            if account.open().next().is_some() {
                return Err(Violation::new("I3", "a leg is on offer for ever"));
            }
            if account.received.is_empty() {
                return Err(Violation::new("I1", "an incident without a record"));
            }
        }
        Ok(())
    }
}

fn last_word(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(_, word)| word)
}
