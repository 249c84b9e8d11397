//! The shared journal with a local one beside it: while the database is away, what happens is made durable here and is
//! brought home afterwards (`call_processing/homecoming.rs`). An incident that was journaled here goes on here until then.

mod beside;
#[cfg(test)]
mod tests;

pub use beside::Group;

use super::restart::{Called, Unsettled};
use super::{
    AdapterEvent, Batch, Entry, Heard, Journal, JournalError, Pending, PostgresJournal, PostgresSettings, Seal,
    Settings, Shared, Stored, Subject,
};
use crate::incident::Event;
use crate::record::IncidentId;
use beside::{Beside, unavailable};
use bytes::Bytes;
use jiff::Timestamp;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How soon a database that was away when the adapter started is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// How soon it is seen that the database is back.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Names of calls remembered, at most.
const CLAIMS_KEPT: usize = 512;
/// Messages that may wait for the desk.
const HEARD_MAX: usize = 64;

/// The shared journal, and what was journaled here while it was away.
#[derive(Debug)]
pub struct AwayJournal {
    /// Not there before the database was reached for the first time.
    shared: Arc<OnceLock<PostgresJournal>>,
    beside: Beside,
    away_after: Duration,
    heard: Mutex<Option<mpsc::Receiver<Heard>>>,
    /// Names claimed last: a call that the database knew by name when it went away keeps that name.
    claimed: Mutex<VecDeque<([u8; 32], IncidentId)>>,
    // Aborted when dropped.
    _tasks: JoinSet<()>,
}

impl AwayJournal {
    /// Opens the shared journal, and the local one at `local.path`. A database that cannot be reached is no error.
    ///
    /// # Errors
    /// As [`PostgresJournal::open`] where the database answers and cannot be used, and as
    /// [`super::EmbeddedJournal::open`] for the local file: what is to be relied on in an outage must be there before it.
    pub async fn open(postgres: &PostgresSettings, local: &Settings) -> Result<Self, JournalError> {
        let beside = Beside::open(local).await?;
        let (ear, heard) = mpsc::channel(HEARD_MAX);
        let shared = Arc::new(OnceLock::new());
        postgres.check().map_err(JournalError::Unavailable)?;
        match PostgresJournal::open(postgres).await {
            Ok(journal) => drop(shared.set(journal)),
            Err(error @ JournalError::Unavailable(_)) => {
                tracing::error!(%error, "the journal's database is away: what happens is journaled here until it is back");
            }
            Err(error) => return Err(error),
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(reach(Arc::clone(&shared), postgres.clone(), ear));
        Ok(Self {
            shared,
            beside,
            away_after: Duration::from_millis(postgres.away_after_ms.into()),
            heard: Mutex::new(Some(heard)),
            claimed: Mutex::default(),
            _tasks: tasks,
        })
    }

    /// True where the database has not answered for longer than is waited for. One that must not be written to any more
    /// (another process has this adapter's name, or acknowledged entries are missing) is not away.
    fn is_away(&self) -> bool {
        self.shared.get().is_none_or(|shared| !shared.has_ended() && shared.unheard_for() >= self.away_after)
    }

    fn reached(&self) -> Result<&PostgresJournal, JournalError> {
        self.shared.get().filter(|_| !self.is_away()).ok_or_else(|| unavailable("the journal's database is away"))
    }

    /// True while an incident goes on in the local journal.
    #[must_use]
    pub fn goes_on_here(&self, incident: &IncidentId) -> bool {
        self.beside.group_of(incident).is_some()
    }

    /// Waits until there is something to bring home and the database is back.
    pub async fn back(&self) {
        self.beside.has_anything().await;
        while self.is_away() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The shared store itself, past what is journaled here.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`] while it is away.
    pub fn home(&self) -> Result<&dyn Journal, JournalError> {
        self.reached().map(|shared| shared as &dyn Journal)
    }

    /// As [`Shared::claim`], of the database and of nobody else.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`] while it is away.
    pub async fn claim_at_home(&self, name: [u8; 32], incident: &IncidentId) -> Result<IncidentId, JournalError> {
        self.reached()?.claim(name, incident).await
    }

    /// True where this adapter fires the deadlines of an incident at home; false where another does, or none yet.
    ///
    /// # Errors
    /// As [`Shared::held`].
    pub async fn holds_at_home(&self, incident: &IncidentId) -> Result<bool, JournalError> {
        Ok(self.reached()?.held().await?.contains(incident))
    }

    /// What was journaled here and is not known to be home, in the order in which it began.
    #[must_use]
    pub fn groups(&self) -> Vec<Group> {
        self.beside.groups()
    }

    /// The entries of a group, with the versions that they have in the incident's own story and no place in the shared
    /// order (sequence 0).
    ///
    /// # Errors
    /// As [`Journal::read_after`].
    pub async fn left(&self, group: &Group) -> Result<Vec<Entry>, JournalError> {
        self.beside.entries_of(group).await
    }

    /// The bytes of a record that came in a group.
    ///
    /// # Errors
    /// As [`Journal::read_after`].
    pub async fn content_of(&self, group: &Group, sha256: &str) -> Result<Option<Bytes>, JournalError> {
        self.beside.content_of(group, sha256).await
    }

    /// All of a group is in the shared store: its incident goes on there.
    pub fn is_home(&self, group: &Group) {
        self.beside.is_home(group);
    }

    /// A group turned out not to be home yet.
    pub fn is_not_home(&self, group: &Group) {
        self.beside.is_not_home(group);
    }

    /// Once every group is home: what the adapter noted of itself is appended there, with where the local chain ends, and
    /// the local journal is sealed and kept; the next one is begun. False where something came in between.
    ///
    /// # Errors
    /// Of either store; it is safe to try again.
    pub async fn finish(&self, at: Timestamp) -> Result<bool, JournalError> {
        self.beside.finish(self.home()?, at).await
    }
}

/// Opens the shared store where it was away, and passes on what it tells.
async fn reach(shared: Arc<OnceLock<PostgresJournal>>, settings: PostgresSettings, ear: mpsc::Sender<Heard>) {
    if shared.get().is_none() {
        let journal = loop {
            tokio::time::sleep(RETRY_EVERY).await;
            match PostgresJournal::open(&settings).await {
                Ok(journal) => break journal,
                Err(error) => tracing::warn!(%error, "the journal's database is still away"),
            }
        };
        tracing::info!("the journal's database is there");
        drop(shared.set(journal));
        if ear.send(Heard::Reached).await.is_err() {
            return;
        }
    }
    let Some(mut hearing) = shared.get().and_then(Shared::hear) else { return };
    while let Some(heard) = hearing.recv().await {
        if ear.send(heard).await.is_err() {
            return;
        }
    }
}

/// True for what must not be journaled where the others cannot see it.
fn needs_everybody(stored: &Stored) -> bool {
    match stored {
        Stored::Incident(event) => matches!(event, Event::Offered { .. } | Event::Accepted { .. }),
        Stored::Adapter(event) => matches!(event, AdapterEvent::RosterSet { .. }),
    }
}

impl Journal for AwayJournal {
    fn append(&self, batch: Batch) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        let here = match &batch.subject {
            Subject::Incident(incident) => self.is_apart(incident),
            Subject::Adapter => self.is_away(),
        };
        match self.shared.get() {
            Some(shared) if !here => shared.append(batch),
            Some(_) | None if batch.events.iter().any(needs_everybody) => {
                Box::pin(async { Err(unavailable("the journal's database is away, and this every adapter must see")) })
            }
            Some(_) | None => Box::pin(self.beside.append(batch)),
        }
    }

    fn read_after(&self, after: u64, limit: usize) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        match self.reached() {
            Ok(shared) => shared.read_after(after, limit),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn read_incident(&self, incident: &IncidentId) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        let incident = incident.clone();
        Box::pin(async move {
            let Some(group) = self.beside.group_of(&incident) else {
                return self.reached()?.read_incident(&incident).await;
            };
            let mut story = match group.after {
                0 => Vec::new(),
                _ => self.reached()?.read_incident(&incident).await?,
            };
            story.retain(|entry| entry.version <= group.after);
            story.extend(self.beside.entries_of(&group).await?);
            Ok(story)
        })
    }

    fn read_incident_after(
        &self,
        incident: &IncidentId,
        version: u64,
    ) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        let incident = incident.clone();
        Box::pin(async move {
            let mut entries = match self.beside.group_of(&incident) {
                Some(group) if version >= group.after => self.beside.entries_of(&group).await?,
                // Whatever was in doubt when the database went away counts as not written until it is brought home.
                None if self.is_away() => Vec::new(),
                Some(_) | None => self.read_incident(&incident).await?,
            };
            entries.retain(|entry| entry.version > version);
            Ok(entries)
        })
    }

    fn read_kind_before<'a>(
        &'a self,
        kind: &'a str,
        before: u64,
        limit: usize,
    ) -> Pending<'a, Result<Vec<Entry>, JournalError>> {
        match self.reached() {
            Ok(shared) => shared.read_kind_before(kind, before, limit),
            // Only the opening asks: it will ask again when the database is there.
            Err(_) => Box::pin(async { Ok(Vec::new()) }),
        }
    }

    fn unsettled(&self) -> Pending<'_, Result<Vec<Unsettled>, JournalError>> {
        Box::pin(async move {
            let mut unsettled = match self.reached() {
                Ok(shared) => shared.unsettled().await?,
                Err(_) => Vec::new(),
            };
            let known: BTreeSet<IncidentId> = unsettled.iter().map(|(id, _)| id.clone()).collect();
            let begun_here = self.beside.unsettled().await?;
            unsettled.extend(begun_here.into_iter().filter(|(id, _)| !known.contains(id)));
            Ok(unsettled)
        })
    }

    fn called_since(&self, since: Timestamp) -> Pending<'_, Result<Vec<(IncidentId, Called)>, JournalError>> {
        Box::pin(async move {
            let mut called = self.beside.called_since(since).await?;
            if let Ok(shared) = self.reached() {
                called.extend(shared.called_since(since).await?);
            }
            Ok(called)
        })
    }

    fn last_instant(&self) -> Pending<'_, Result<Option<Timestamp>, JournalError>> {
        Box::pin(async move {
            let here = self.beside.last_instant().await?;
            let there = match self.reached() {
                Ok(shared) => shared.last_instant().await?,
                Err(_) => None,
            };
            Ok(here.max(there))
        })
    }

    fn content(&self, incident: &IncidentId, sha256: &str) -> Pending<'_, Result<Option<Bytes>, JournalError>> {
        let (incident, sha256) = (incident.clone(), sha256.to_owned());
        Box::pin(async move {
            if let Some(group) = self.beside.group_of(&incident)
                && let Some(bytes) = self.beside.content_of(&group, &sha256).await?
            {
                return Ok(Some(bytes));
            }
            self.reached()?.content(&incident, &sha256).await
        })
    }

    fn forget(&self, incident: &IncidentId, at: Timestamp) -> Pending<'_, Result<Entry, JournalError>> {
        let incident = incident.clone();
        Box::pin(async move {
            if self.goes_on_here(&incident) {
                return Err(unavailable("the incident goes on in the local journal, and is not home yet"));
            }
            self.reached()?.forget(&incident, at).await
        })
    }

    fn seal(&self, before: Timestamp, at: Timestamp) -> Pending<'_, Result<Option<Seal>, JournalError>> {
        Box::pin(async move { self.reached()?.seal(before, at).await })
    }

    fn drop_sealed(&self, through: u64, at: Timestamp) -> Pending<'_, Result<u64, JournalError>> {
        Box::pin(async move { self.reached()?.drop_sealed(through, at).await })
    }

    fn seals(&self) -> Pending<'_, Result<Vec<Seal>, JournalError>> {
        Box::pin(async move { self.reached()?.seals().await })
    }

    fn wind_down(&self) -> Pending<'_, Result<(), JournalError>> {
        Box::pin(self.beside.wind_down())
    }

    fn ready(&self) -> bool {
        if self.is_away() { self.beside.ready() } else { self.shared.get().is_some_and(Journal::ready) }
    }

    fn shared(&self) -> Option<&dyn Shared> {
        Some(self)
    }
}

impl Shared for AwayJournal {
    fn hear(&self) -> Option<mpsc::Receiver<Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn held(&self) -> Pending<'_, Result<BTreeSet<IncidentId>, JournalError>> {
        Box::pin(async move {
            let mut held = match self.reached() {
                Ok(shared) => shared.held().await?,
                Err(_) => BTreeSet::new(),
            };
            held.extend(self.beside.groups().into_iter().map(|group| group.incident));
            Ok(held)
        })
    }

    fn claim(&self, name: [u8; 32], incident: &IncidentId) -> Pending<'_, Result<IncidentId, JournalError>> {
        let incident = incident.clone();
        Box::pin(async move {
            let asked = match self.reached() {
                Ok(shared) => Some(shared.claim(name, &incident).await?),
                // The name is claimed when the incident is brought home.
                Err(_) => None,
            };
            let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
            let known = claimed.iter().rfind(|(known, _)| *known == name).map(|(_, incident)| incident.clone());
            let incident = asked.or(known).unwrap_or(incident);
            if claimed.len() >= CLAIMS_KEPT {
                claimed.pop_front();
            }
            claimed.push_back((name, incident.clone()));
            Ok(incident)
        })
    }

    fn is_apart(&self, incident: &IncidentId) -> bool {
        self.beside.group_of(incident).is_some() || self.is_away()
    }

    fn away(&self) -> Option<&AwayJournal> {
        Some(self)
    }

    fn away_for(&self) -> Option<Duration> {
        let unheard_for = self.shared.get().map_or_else(|| self.beside.open_for(), PostgresJournal::unheard_for);
        self.is_away().then_some(unheard_for)
    }
}
