//! What must hold, judged by the raw journal entries and by what the outside sends, hears and is answered. No code of the machine.

use crate::ledger::{Account, Stands, Told};
use crate::records::{CANARY, Record};
use fourth_option::incident::{DutyKind, Event};
use fourth_option::journal::{Entry, Stored, Subject};
use fourth_option::record::{IncidentId, LegId};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// How long after its instant something may be done, while nothing hinders it (a deadline fires within D + 1 s).
const BOUND_MS: u64 = 1_000;
/// Entries of one world, at most, for each message that reached the adapter.
const ENTRIES_EACH_MAX: u64 = 40;
/// What people are held to, seconds: the configuration of the worlds says the same.
pub const EN_ROUTE_WITHIN_S: u32 = 12;
pub const RECALL_WITHIN_S: u32 = 7;
pub const RETURN_WITHIN_S: u32 = 9;

fn term_s(kind: DutyKind) -> u32 {
    match kind {
        DutyKind::EnRoute => EN_ROUTE_WITHIN_S,
        DutyKind::Recall => RECALL_WITHIN_S,
        DutyKind::Return => RETURN_WITHIN_S,
        DutyKind::CallBack | DutyKind::FollowUp => 0,
    }
}

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

type Held = Result<(), Violation>;

fn broken(invariant: &'static str, what: impl Into<String>) -> Held {
    Err(Violation::new(invariant, what))
}

/// A message that an event obliges the adapter to send.
#[derive(Debug)]
struct Owed {
    leg: Option<LegId>,
    /// The journal says how it ended.
    over: bool,
}

/// What reached somebody outside under a key.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    by: String,
    kind: String,
    leg: Option<String>,
    taken: bool,
}

/// A message as somebody outside gets it.
#[derive(Debug)]
pub struct Message<'a> {
    pub by: &'a str,
    pub key: &'a str,
    pub kind: &'a str,
    pub leg: Option<&'a str>,
    pub program: Option<&'a str>,
    pub signed: bool,
    pub text: &'a str,
}

#[derive(Default)]
pub struct Oracle {
    pub accounts: BTreeMap<IncidentId, Account>,
    calls: BTreeMap<String, IncidentId>,
    owed: BTreeMap<String, Owed>,
    heard: BTreeMap<String, Heard>,
    dangers: BTreeMap<String, Vec<(&'static str, &'static str)>>,
    /// Records that must be acknowledged in the end, by digest.
    waited_for: BTreeSet<String>,
    entries: u64,
    asked: u64,
    pub checks: u64,
}

impl Oracle {
    /// A record is on its way: what it says is the truth by which the adapter is judged.
    pub fn will_send(&mut self, record: &Record, acknowledged_in_the_end: bool) {
        self.dangers.entry(record.sha256.clone()).or_insert_with(|| record.dangers.clone());
        if acknowledged_in_the_end {
            self.waited_for.insert(record.sha256.clone());
        }
    }

    /// A request is on its way to the adapter.
    pub fn asks(&mut self) {
        self.asked += 1;
    }

    pub fn incident_of(&self, name: &str) -> Option<&IncidentId> {
        self.calls.get(name)
    }

    /// An adapter starts with a civil clock that stands before the journal's last entry. How long nothing ran cannot be
    /// known then: terms go on from that entry, and no further.
    pub fn clock_was_set_back(&mut self, last: Timestamp, now_ms: u64) {
        let from = |due: Timestamp| now_ms + u64::try_from(due.duration_since(last).as_millis().max(0)).unwrap();
        for account in self.accounts.values_mut() {
            for leg in account.legs.values_mut() {
                leg.due_ms = leg.due_ms.max(from(leg.deadline));
            }
            for (due, due_ms) in account.duties.values_mut() {
                *due_ms = (*due_ms).max(from(*due));
            }
        }
    }

    /// One batch was written.
    pub fn written(&mut self, entries: &[Entry], now_ms: u64) -> Held {
        self.entries += entries.len() as u64;
        let mut touched = None;
        for entry in entries {
            if let (Subject::Incident(id), Stored::Incident(event)) = (&entry.subject, &entry.stored) {
                self.entry(id, event, entry.version, entry.at, now_ms)?;
                touched = Some(id.clone());
            }
        }
        if let Some(account) = touched.and_then(|id| self.accounts.get_mut(&id)) {
            account.check(now_ms)?;
            self.checks += 4;
        }
        if self.entries > (self.asked + 20) * ENTRIES_EACH_MAX {
            return broken("I11", format!("{} entries for {} messages", self.entries, self.asked));
        }
        Ok(())
    }

    fn entry(&mut self, id: &IncidentId, event: &Event, version: u64, at: Timestamp, now_ms: u64) -> Held {
        if let Event::RecordReceived(received) = event {
            let known = self.calls.entry(received.identity.incident.clone()).or_insert_with(|| id.clone());
            if known != id {
                return broken("I7", "one call has become two incidents");
            }
            if !self.dangers.contains_key(&received.identity.content_sha256) {
                return broken("I15", "a record is in the journal that nobody sent");
            }
        }
        if let Event::Delivered { key } = event
            && !self.heard.get(key).is_some_and(|heard| heard.taken)
        {
            return broken("I1", format!("`{}` counts as delivered, and nobody has taken it", last_word(key)));
        }
        if let Event::Delivered { key } | Event::Undeliverable { key, .. } = event {
            let Some(owed) = self.owed.get_mut(key) else {
                return broken("I7", "a message ends that no event made");
            };
            owed.over = true;
        }
        let account = self.accounts.entry(id.clone()).or_default();
        let told = Told { dangers: &self.dangers, now_ms, terms_s: &term_s };
        for (word, leg) in account.take(event, version, at, &told)? {
            self.owed.insert(format!("{id}.{version}.{word}"), Owed { leg, over: false });
        }
        // Whether the CAD is told of it depends on what was there before; nothing is owed for certain.
        if matches!(event, Event::OrdinaryChosen { .. }) {
            self.owed.insert(format!("{id}.{version}.cad"), Owed { leg: None, over: true });
        }
        self.checks += 3;
        Ok(())
    }

    /// A record was answered with a success: it is in the journal now, once, under the incident that the answer names.
    pub fn acknowledged(&mut self, record: &Record, incident: &str) -> Held {
        self.checks += 3;
        self.waited_for.remove(&record.sha256);
        let holding = self.accounts.values().filter(|account| account.received.contains(&record.sha256)).count();
        if holding != 1 {
            return broken("I1", format!("acknowledged, and in the journal {holding} times"));
        }
        if self.calls.get(&record.name).is_none_or(|known| known.as_str() != incident) {
            return broken("I7", "acknowledged under the name of another incident");
        }
        Ok(())
    }

    /// A record was refused: with a time to come back, and as no fault of the sender's.
    pub fn refused(&mut self, status: u16, retry_after_s: Option<u64>) -> Held {
        self.checks += 2;
        match (status, retry_after_s) {
            (503, Some(1..)) => Ok(()),
            (503, _) => broken("I17", "refused without a time to come back"),
            (status, _) => broken("I4", format!("a record was answered with {status}")),
        }
    }

    /// A message reached somebody outside.
    pub fn hears(&mut self, message: &Message<'_>) -> Held {
        self.checks += 6;
        let Message { by, key, kind, leg, program, signed, text } = *message;
        let Some(owed) = self.owed.get(key) else {
            return broken("I7", format!("`{kind}` came under a key that no event in the journal makes"));
        };
        if last_word(key) != kind {
            return broken("I7", format!("`{kind}` came under the key of another message"));
        }
        if owed.leg.as_ref().map(LegId::as_str) != leg {
            return broken("I7", format!("`{kind}` names another leg than the event"));
        }
        if !signed {
            return broken("I14", format!("`{kind}` came without our signature"));
        }
        if program.is_some_and(|program| program != by) {
            return broken("I14", format!("what is for {program:?} came to {by}"));
        }
        if text.contains(CANARY) {
            return broken("I14", format!("`{kind}` to {by} holds what no release names"));
        }
        let heard = Heard { by: by.to_owned(), kind: kind.to_owned(), leg: leg.map(str::to_owned), taken: false };
        match self.heard.get(key) {
            Some(before) if (&before.by, &before.kind, &before.leg) != (&heard.by, &heard.kind, &heard.leg) => {
                broken("I7", "two messages under one key")
            }
            Some(_) => Ok(()),
            None => {
                self.heard.insert(key.to_owned(), heard);
                Ok(())
            }
        }
    }

    /// Whoever heard it answers that it is taken.
    pub fn takes(&mut self, key: &str) {
        if let Some(heard) = self.heard.get_mut(key) {
            heard.taken = true;
        }
    }

    /// A team's acceptance was answered.
    pub fn acceptance_answered(&mut self, leg: &str, status: u16, yours: bool) -> Held {
        self.checks += 1;
        let leg = LegId::new(leg);
        let account = self.accounts.get(&leg.incident());
        let seen = account.and_then(|account| account.legs.get(&leg));
        match (status, seen) {
            (200, Some(seen)) if seen.accepted => Ok(()),
            (200, _) => broken(
                "I6",
                format!("a team is told that it has a call (yours: {yours}), and the journal knows nothing of it"),
            ),
            (409, Some(seen)) if seen.stands == Stands::Owns => {
                broken("I6", "the owner is told that the call is no longer its")
            }
            (404, _) => broken("I6", "a team is told that its leg does not exist"),
            _ => Ok(()),
        }
    }

    /// The adapter says where an incident stands, to somebody who asks at rest.
    pub fn shown(&mut self, incident: &str, version: u64, owner: Option<&str>) -> Held {
        self.checks += 1;
        let Some(account) = self.accounts.get(&IncidentId::new(incident)) else {
            return broken("I10", "an incident is shown that the journal does not have");
        };
        if account.version != version {
            return broken("I10", format!("shown at version {version}, in the journal at {}", account.version));
        }
        let known = account.owner().map(LegId::as_str);
        if known != owner {
            return broken("I2", format!("the adapter says that {owner:?} has the call, the journal {known:?}"));
        }
        Ok(())
    }

    /// Deadlines and chains are acted on within the bound while nothing has hindered the adapter since then.
    pub fn in_time(&mut self, now_ms: u64, free_since_ms: u64) -> Held {
        if now_ms.saturating_sub(free_since_ms) <= BOUND_MS {
            return Ok(());
        }
        self.checks += 1;
        for account in self.accounts.values().filter(|account| !account.closed) {
            for (_, seen) in account.open().filter(|(_, seen)| seen.stands == Stands::Offered) {
                let over_ms = now_ms.saturating_sub(seen.due_ms);
                if over_ms > BOUND_MS {
                    return broken("I3", format!("{} is asked {over_ms} ms after its deadline", seen.plan.program));
                }
            }
            if account.hangs_since_ms.is_some_and(|since| now_ms - since > BOUND_MS) {
                return broken("I3", "a call whose last leg has ended is neither offered on nor returned");
            }
        }
        let overdue = |account: &Account| account.duties.values().any(|(_, due_ms)| now_ms > due_ms + BOUND_MS);
        if self.accounts.values().any(overdue) {
            return broken("I3", "something is overdue and nobody was told");
        }
        Ok(())
    }

    /// True once nothing more is to be expected of the adapter: every record acknowledged, every leg and duty ended, every
    /// message delivered or given up.
    pub fn is_settled(&self) -> bool {
        self.waits_for().is_none()
    }

    /// What a world still waits for.
    pub fn waits_for(&self) -> Option<String> {
        if !self.waited_for.is_empty() {
            return Some(format!("{} records are not acknowledged", self.waited_for.len()));
        }
        for account in self.accounts.values() {
            if account.open().next().is_some() {
                return Some("a leg is on offer".to_owned());
            }
            if account.hangs_since_ms.is_some() {
                return Some("a call hangs between two legs".to_owned());
            }
            if !account.duties.is_empty() {
                return Some("a duty is neither met nor overdue".to_owned());
            }
        }
        let owed =
            self.owed.iter().find(|(key, owed)| !(owed.over || last_word(key) == "offer" && self.has_ended(owed)));
        owed.map(|(key, _)| format!("`{}` is neither delivered nor given up", last_word(key)))
    }

    /// True where the leg of an offer is no longer on offer: nobody need be asked any more.
    fn has_ended(&self, owed: &Owed) -> bool {
        let seen = owed.leg.as_ref().and_then(|leg| self.accounts.get(&leg.incident())?.legs.get(leg));
        seen.is_none_or(|seen| seen.stands != Stands::Offered)
    }

    /// The end of a world, healed and at rest: every call has one owner, a team or the PSAP, and everybody who was recalled
    /// was told so, or the CAD that they were not.
    pub fn at_rest(&mut self) -> Held {
        self.checks += 1;
        match self.waits_for() {
            Some(what) => broken("I1", format!("the world does not come to rest: {what}")),
            None => Ok(()),
        }
    }

    pub fn incidents(&self) -> Vec<IncidentId> {
        self.accounts.keys().cloned().collect()
    }
}

fn last_word(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(_, word)| word)
}
