//! Opening the desk: every incident that does not rest is folded from the journal by the live transition function (invariant I10).

use super::live::{CLOSED_KEPT_H, Desk, Slot, lock};
use super::load::held_by;
use super::roster::Roster;
use crate::clock::Clock;
use crate::facts::ContactTraces;
use crate::incident::{Asked, Event, Incident, RecordReceived};
use crate::journal::{self, AdapterEvent, Entry, Journal, JournalError, Standing, Stored, Subject};
use crate::policy::Policy;
use crate::record::{AgencyId, IncidentId, Related};
use crate::wire::SenderProfile;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Stories read and folded at one time.
const FOLDED_AT_ONCE_MAX: usize = 8;
/// Entries of one kind read at a time, newest first.
const READ_ENTRIES: usize = 500;
/// Hours of records whose traces of places and numbers are read again: the thirty days that are remembered and one more,
/// by which the memory is known to reach back.
const CONTACTS_H: i64 = 31 * 24;
/// Records in a row that are older than that, after which no younger ones are looked for. Civil clocks have stood wrong.
const OLDER_IN_A_ROW_MAX: usize = READ_ENTRIES;
/// Assessments read again for the recent calls, at most: a call that is assessed often counts once.
const ASSESSED_READ_MAX: usize = 4 * super::remembering::RECENT_MAX;

/// Messages given up that are read again, at most: those that were no loss are among them.
const LETTERS_READ_MAX: usize = 2 * super::dead_letters::LETTERS_MAX;

/// What one record left to be remembered.
struct Met {
    incident: IncidentId,
    agency: AgencyId,
    contact: Option<ContactTraces>,
    asked: Option<Asked>,
    /// Its ties to other incidents, where it is of the last days: what rests is not folded, and may not have told them yet.
    related: Vec<Related>,
    at: Timestamp,
}

impl Desk {
    /// Opens the desk on a journal. Deadlines are as durable as the offers they belong to: those that passed while
    /// nothing ran are due at once when [`Desk::run_deadlines`] starts.
    ///
    /// What is read grows with the open incidents, the calls of the last days and the contacts of the last month, not
    /// with the journal.
    ///
    /// # Errors
    /// [`JournalError`] where the journal cannot be read.
    pub async fn open(
        clock: Clock,
        journal: Arc<dyn Journal>,
        policy: Option<Arc<Policy>>,
        senders: BTreeMap<String, SenderProfile>,
    ) -> Result<Self, JournalError> {
        let senders = senders.into_iter().map(|(name, profile)| (name, Arc::new(profile))).collect();
        let clock = going_on(clock, journal.last_instant().await?);
        let desk = Self::new(clock, journal, policy, senders);
        desk.read_in().await?;
        Ok(desk)
    }

    /// Takes in what the journal holds, beside what is in memory.
    pub(super) async fn read_in(&self) -> Result<(), JournalError> {
        let (journal, now) = (self.journal(), self.clock().now());
        for (incident, called) in journal.called_since(now - SignedDuration::from_hours(CLOSED_KEPT_H)).await? {
            self.call_it(&incident, called);
        }
        self.fold_unsettled().await?;
        self.leave_to_others().await?;
        for Met { incident, agency, contact, asked, related, at } in met(&**journal, now).await?.iter().rev() {
            if let Some(traces) = contact {
                lock(&self.inner().contacts).note(traces, agency, incident, *at);
            }
            if let Some(asked) = asked {
                lock(&self.inner().requests).note(asked, incident);
            }
            self.note_named(incident, agency, related, *at);
        }
        for entry in assessed(&**journal).await?.iter().rev() {
            if let (Subject::Incident(id), Stored::Incident(event)) = (&entry.subject, &entry.stored) {
                self.remember(id, event, entry.at);
            }
        }
        for entry in letters(&**journal).await? {
            if let (Subject::Incident(id), Stored::Incident(event)) = (&entry.subject, &entry.stored) {
                lock(&self.inner().dead_letters).note(id, event, entry.at);
            }
        }
        if let Some(roster) = last_roster(&**journal).await? {
            *lock(&self.inner().roster) = roster;
        }
        Ok(())
    }

    async fn fold_unsettled(&self) -> Result<(), JournalError> {
        let mut left = self.journal().unsettled().await?.into_iter();
        let mut folding = JoinSet::new();
        loop {
            while folding.len() < FOLDED_AT_ONCE_MAX
                && let Some((id, called)) = left.next()
            {
                let journal = Arc::clone(self.journal());
                folding.spawn(async move {
                    let mut entries = journal.read_incident(&id).await;
                    if canary!(ReplayByOtherCode) {
                        let other = |entry: &Entry| !matches!(entry.stored, Stored::Incident(Event::StoodBack { .. }));
                        entries = entries.map(|entries| entries.into_iter().filter(other).collect());
                    }
                    let folded = entries.map(|entries| journal::fold(&id, &entries));
                    (id, called, folded)
                });
            }
            match folding.join_next().await {
                Some(Ok((_, _, Ok(folded)))) => self.adopt(folded),
                Some(Ok((id, called, Err(error @ JournalError::Corrupt { .. })))) => {
                    // The PSAP has the call, and whoever asks for it or sends a record of it is refused with the place
                    // of the damage. It keeps no other call from being served.
                    tracing::error!(incident = %id, %error, "an open incident cannot be read: call its team and its caller");
                    called.into_iter().for_each(|called| self.call_it(&id, called));
                }
                Some(Ok((_, _, Err(error)))) => return Err(error),
                Some(Err(_)) => return Err(JournalError::Unavailable("an incident could not be folded".to_owned())),
                None => return Ok(()),
            }
        }
    }

    /// Puts a recovered incident in its place.
    pub(super) fn adopt(&self, incident: Incident) {
        if let Some(called) = Standing::of(&incident).called {
            self.call_it(&incident.id, called);
        }
        if incident.rests() || lock(&self.inner().live).slots.contains_key(&incident.id) {
            return;
        }
        self.note_read(&incident);
        let mut deadline = incident.next_deadline().filter(|_| !canary!(TimerLostAtRestart));
        if canary!(DeadlineLengthenedByRestart) {
            deadline = deadline.map(|at| at.max(self.inner().clock.now() + SignedDuration::from_secs(60)));
        }
        self.move_deadline(&incident.id, None, deadline);
        lock(&self.inner().live).slots.insert(incident.id.clone(), Slot::new(incident));
    }

    /// What an incident that was read whole is counted, owed and tied to: that it is heard of later is then no news.
    pub(super) fn note_read(&self, incident: &Incident) {
        self.note_load(&[], &held_by(incident));
        self.note_owed(incident);
        self.note_ties(incident);
    }
}

/// A clock that goes on from the journal where the machine's stands before its last entry: a clock that was set back, or
/// that is not set yet, lengthens no deadline and turns no interval round (invariants I3 and I18).
fn going_on(clock: Clock, last: Option<Timestamp>) -> Clock {
    let Some(last) = last.filter(|_| !canary!(ClockSetBackTrusted)) else { return clock };
    let behind_s = last.duration_since(clock.now()).as_secs();
    if behind_s > 0 {
        tracing::error!(
            behind_s,
            "the machine's clock stands before the journal's last entry: set it, and start again"
        );
    }
    clock.not_before(last)
}

/// Goes through entries of one kind from the newest, until `enough` says so.
async fn back_from_newest(
    journal: &dyn Journal,
    kind: &str,
    mut enough: impl FnMut(Entry) -> bool,
) -> Result<(), JournalError> {
    let mut before = u64::MAX;
    loop {
        let page = journal.read_kind_before(kind, before, READ_ENTRIES).await?;
        let Some(last) = page.last() else { return Ok(()) };
        before = last.sequence;
        for entry in page {
            if enough(entry) {
                return Ok(());
            }
        }
    }
}

/// The traces that the records of the last month left, and the requests that they came with, newest first.
async fn met(journal: &dyn Journal, now: Timestamp) -> Result<Vec<Met>, JournalError> {
    let mut met = Vec::new();
    let mut older = 0_usize;
    back_from_newest(journal, "record-received", |entry| {
        let young = now.duration_since(entry.at).as_hours() <= CONTACTS_H;
        older = if young { 0 } else { older.saturating_add(1) };
        if let (Subject::Incident(id), Stored::Incident(Event::RecordReceived(received))) =
            (entry.subject, entry.stored)
            && (received.contact.is_some() || received.asked.is_some() || !received.related.is_empty())
        {
            let RecordReceived { contact, asked, identity, mut related, .. } = received;
            if now.duration_since(entry.at).as_hours() >= CLOSED_KEPT_H {
                related.clear();
            }
            met.push(Met { incident: id, agency: identity.agency, contact, asked, related, at: entry.at });
        }
        older >= OLDER_IN_A_ROW_MAX
    })
    .await?;
    Ok(met)
}

/// The last assessment of each of the calls assessed last, newest first.
async fn assessed(journal: &dyn Journal) -> Result<Vec<Entry>, JournalError> {
    let (mut met, mut last) = (BTreeSet::new(), Vec::new());
    let mut read = 0_usize;
    back_from_newest(journal, "assessed", |entry| {
        read = read.saturating_add(1);
        if let Subject::Incident(id) = &entry.subject
            && met.insert(id.clone())
        {
            last.push(entry);
        }
        last.len() >= super::remembering::RECENT_MAX || read >= ASSESSED_READ_MAX
    })
    .await?;
    Ok(last)
}

/// What was given up last and what was sent again, oldest first.
async fn letters(journal: &dyn Journal) -> Result<Vec<Entry>, JournalError> {
    let mut letters = journal.read_kind_before("undeliverable", u64::MAX, LETTERS_READ_MAX).await?;
    letters.extend(journal.read_kind_before("redriven", u64::MAX, LETTERS_READ_MAX).await?);
    letters.sort_by_key(|entry| entry.sequence);
    Ok(letters)
}

async fn last_roster(journal: &dyn Journal) -> Result<Option<Roster>, JournalError> {
    let entry = journal.read_kind_before("roster-set", u64::MAX, 1).await?.pop();
    Ok(entry.and_then(|entry| roster_of(entry.stored)))
}

/// The roster that an event sets.
pub(super) fn roster_of(stored: Stored) -> Option<Roster> {
    match stored {
        Stored::Adapter(AdapterEvent::RosterSet { surge, unstaffed, deciders_away }) => {
            Some(Roster { surge, unstaffed, deciders_away: deciders_away.into_iter().collect() })
        }
        Stored::Adapter(_) | Stored::Incident(_) => None,
    }
}
