//! The local journal: which stories went on in it, from which version, and what becomes of the file.
//!
//! A story that goes on here is a group of entries under the incident's name and the version after which they follow, so
//! that the file itself says where they belong. Files are numbered; one that was brought home is sealed and stays.

use crate::clock::monotonic_now;
use crate::journal::restart::{Called, Unsettled};
use crate::journal::{
    AdapterApart, AdapterEvent, Batch, Content, EmbeddedJournal, Entry, Journal, JournalError, Settings, Stored,
    Subject,
};
use crate::record::IncidentId;
use bytes::Bytes;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, RwLock};

/// Between an incident's name and the version after which the group follows.
const AFTER: char = '@';
/// Entries read at a time.
const READ_ENTRIES: usize = 1_000;
/// Notes of the adapter in one event of the shared journal.
const NOTES_MAX: usize = 500;

/// A story that goes on in the local journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The incident.
    pub incident: IncidentId,
    /// The version after which its entries follow; 0 where the incident began here.
    pub after: u64,
}

impl Group {
    fn name(&self) -> IncidentId {
        match self.after {
            0 => self.incident.clone(),
            after => IncidentId::new(format!("{}{AFTER}{after}", self.incident)),
        }
    }

    fn named(name: &IncidentId) -> Self {
        let parts = name.as_str().rsplit_once(AFTER);
        let parted = parts.and_then(|(incident, after)| Some((incident, after.parse().ok()?)));
        parted.map_or_else(
            || Self { incident: name.clone(), after: 0 },
            |(incident, after)| Self { incident: IncidentId::new(incident), after },
        )
    }

    /// The entry as it stands in the incident's own story.
    fn entry(&self, here: Entry) -> Entry {
        let version = here.version.saturating_add(self.after);
        Entry { sequence: 0, subject: Subject::Incident(self.incident.clone()), version, ..here }
    }
}

#[derive(Debug)]
pub(super) struct Beside {
    settings: Settings,
    /// Read by whoever appends, written by whoever begins the next file.
    file: RwLock<Arc<EmbeddedJournal>>,
    groups: Mutex<Groups>,
    /// True where the file holds anything that is not known to be home.
    holds_anything: AtomicBool,
    begun: Notify,
    opened: Instant,
}

/// For each incident the versions after which it went on here, each with its place in the order in which they began.
#[derive(Debug, Default)]
struct Groups {
    of: BTreeMap<IncidentId, BTreeMap<u64, u64>>,
    begun: u64,
}

impl Groups {
    fn add(&mut self, group: &Group) {
        self.begun = self.begun.saturating_add(1);
        self.of.entry(group.incident.clone()).or_default().entry(group.after).or_insert(self.begun);
    }

    fn remove(&mut self, group: &Group) {
        let Some(afters) = self.of.get_mut(&group.incident) else { return };
        afters.remove(&group.after);
        if afters.is_empty() {
            self.of.remove(&group.incident);
        }
    }
}

impl Beside {
    pub(super) async fn open(settings: &Settings) -> Result<Self, JournalError> {
        let mut file = Arc::new(open_at(settings, last_file(&settings.path)).await?);
        if is_sealed(&file).await? {
            file = Arc::new(open_at(settings, next_file(&settings.path)).await?);
        }
        let mut groups = Groups::default();
        groups_in(&file, &mut groups).await?;
        if !groups.of.is_empty() {
            tracing::warn!(incidents = groups.of.len(), "what an earlier run journaled here is to be brought home");
        }
        let holds_anything = AtomicBool::new(!file.read_after(0, 1).await?.is_empty());
        let (file, groups, begun) = (RwLock::new(file), Mutex::new(groups), Notify::new());
        Ok(Self { settings: settings.clone(), file, groups, holds_anything, begun, opened: monotonic_now() })
    }

    pub(super) fn open_for(&self) -> Duration {
        self.opened.elapsed()
    }

    fn known(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is not known to be home, in the order in which it began.
    pub(super) fn groups(&self) -> Vec<Group> {
        let known = self.known();
        let each = known
            .of
            .iter()
            .flat_map(|(incident, afters)| afters.iter().map(move |(after, at)| (*at, incident, *after)));
        let mut groups: Vec<(u64, Group)> =
            each.map(|(at, incident, after)| (at, Group { incident: incident.clone(), after })).collect();
        groups.sort_by_key(|(at, _)| *at);
        groups.into_iter().map(|(_, group)| group).collect()
    }

    /// The group in which an incident goes on: of several the last.
    pub(super) fn group_of(&self, incident: &IncidentId) -> Option<Group> {
        let after = *self.known().of.get(incident)?.last_key_value()?.0;
        Some(Group { incident: incident.clone(), after })
    }

    pub(super) fn is_home(&self, group: &Group) {
        self.known().remove(group);
    }

    pub(super) fn is_not_home(&self, group: &Group) {
        self.known().add(group);
    }

    pub(super) async fn wind_down(&self) -> Result<(), JournalError> {
        self.file.read().await.wind_down().await
    }

    pub(super) fn ready(&self) -> bool {
        // Held for writing only while the next file is begun.
        self.file.try_read().is_ok_and(|file| file.ready())
    }

    /// Waits until there is something to bring home.
    pub(super) async fn has_anything(&self) {
        while !self.holds_anything.load(Ordering::Acquire) {
            self.begun.notified().await;
        }
    }

    pub(super) async fn append(&self, batch: Batch) -> Result<Vec<Entry>, JournalError> {
        let file = self.file.read().await;
        if !self.holds_anything.swap(true, Ordering::AcqRel) {
            tracing::error!(
                "the journal's database is away: what happens is journaled here, and nothing is handed over"
            );
            self.begun.notify_one();
        }
        let incident = match &batch.subject {
            Subject::Incident(incident) => incident.clone(),
            Subject::Adapter => {
                let entries = file.append(batch).await?;
                return Ok(entries.into_iter().map(|entry| Entry { sequence: 0, ..entry }).collect());
            }
        };
        let known = self.group_of(&incident);
        let group = known.clone().unwrap_or(Group { incident, after: batch.expected_version });
        let Some(expected_version) = batch.expected_version.checked_sub(group.after) else {
            return Err(JournalError::Conflict { expected: batch.expected_version, found: group.after });
        };
        let entries = file.append(Batch { subject: Subject::Incident(group.name()), expected_version, ..batch }).await;
        let entries = entries.map_err(|error| match error {
            JournalError::Conflict { expected, found } => {
                let of_it = |version: u64| version.saturating_add(group.after);
                JournalError::Conflict { expected: of_it(expected), found: of_it(found) }
            }
            other => other,
        })?;
        let entries = entries.into_iter().map(|entry| group.entry(entry)).collect();
        if known.is_none() {
            self.known().add(&group);
        }
        Ok(entries)
    }

    pub(super) async fn entries_of(&self, group: &Group) -> Result<Vec<Entry>, JournalError> {
        let entries = self.file.read().await.read_incident(&group.name()).await?;
        Ok(entries.into_iter().map(|entry| group.entry(entry)).collect())
    }

    pub(super) async fn content_of(&self, group: &Group, sha256: &str) -> Result<Option<Bytes>, JournalError> {
        self.file.read().await.content(&group.name(), sha256).await
    }

    /// Incidents that began here. Of others the beginning is in the shared journal, which knows of them.
    pub(super) async fn unsettled(&self) -> Result<Vec<Unsettled>, JournalError> {
        let unsettled = self.file.read().await.unsettled().await?;
        Ok(unsettled.into_iter().filter(|(name, _)| Group::named(name).after == 0).collect())
    }

    pub(super) async fn called_since(&self, since: Timestamp) -> Result<Vec<(IncidentId, Called)>, JournalError> {
        let called = self.file.read().await.called_since(since).await?;
        let own = called.into_iter().map(|(name, called)| (Group::named(&name).incident, called));
        Ok(own.collect())
    }

    pub(super) async fn last_instant(&self) -> Result<Option<Timestamp>, JournalError> {
        self.file.read().await.last_instant().await
    }

    pub(super) async fn finish(&self, home: &dyn Journal, at: Timestamp) -> Result<bool, JournalError> {
        let mut file = self.file.write().await;
        // What is sealed was brought home, and only the next file could not be begun.
        let sealed = file.seals().await?.pop().map_or(0, |seal| seal.through);
        let mut notes: Vec<AdapterApart> = Vec::new();
        let (mut read, mut last) = (sealed, None);
        loop {
            let page = file.read_after(read, READ_ENTRIES).await?;
            let Some(end) = page.last() else { break };
            read = end.sequence;
            for entry in page {
                match &entry.stored {
                    Stored::Adapter(AdapterEvent::PeriodSealed(_)) => continue,
                    Stored::Adapter(event) => notes.push(AdapterApart { at: entry.at, noted: event.clone() }),
                    Stored::Incident(_) => {}
                }
                last = Some((entry.sequence, entry.hash));
            }
        }
        if last.is_none() && sealed == 0 {
            self.holds_anything.store(false, Ordering::Release);
            return Ok(true);
        }
        if !self.known().of.is_empty() {
            return Ok(false);
        }
        if let Some((entries, last_hash)) = last {
            note_brought_home(home, at, (entries, last_hash), notes).await?;
            // What is seen there may be gone again where a standby is away; reading the end waits until it cannot.
            home.last_instant().await?;
            // A seal takes in what happened before an instant: everything did.
            file.seal(Timestamp::MAX, at).await?;
            tracing::info!(
                entries,
                "what was journaled here is in the shared journal; the local one is sealed and kept"
            );
        }
        let next = open_at(&self.settings, next_file(&self.settings.path)).await?;
        self.holds_anything.store(false, Ordering::Release);
        let home_now = std::mem::replace(&mut *file, Arc::new(next));
        // Its writer's thread is waited for: not on this one.
        drop(tokio::task::spawn_blocking(move || drop(home_now)).await);
        Ok(true)
    }
}

/// Appends at home what the adapter noted of itself here, with where the local chain ends, once.
async fn note_brought_home(
    home: &dyn Journal,
    at: Timestamp,
    (entries, last_hash): (u64, String),
    notes: Vec<AdapterApart>,
) -> Result<(), JournalError> {
    // The one entry that an append at home has no version to be told apart by: its content is.
    let checkpoint = format!("{entries}:{last_hash}\n");
    let sha256 = hex::encode(Sha256::digest(&checkpoint));
    if home.content(&IncidentId::new(""), &sha256).await?.is_some() {
        return Ok(());
    }
    let mut parts: Vec<Vec<AdapterApart>> = notes.chunks(NOTES_MAX).map(<[_]>::to_vec).collect();
    if parts.is_empty() {
        parts.push(Vec::new());
    }
    let event = |notes| AdapterEvent::BroughtHome { entries, last_hash: last_hash.clone(), notes };
    let events = parts.into_iter().map(|notes| Stored::Adapter(event(notes))).collect();
    let mut batch = Batch::new(Subject::Adapter, 0, at, events);
    batch.content = Some(Content { sha256, bytes: Bytes::from(checkpoint) });
    home.append(batch).await.map(drop)
}

/// The file of a number, from 1.
fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// How many files there are: their numbers have no gap unless somebody took one away.
fn files(path: &Path) -> u64 {
    let own = path.file_name().map(|name| format!("{}.", name.to_string_lossy())).unwrap_or_default();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let numbers = names.filter_map(|entry| entry.file_name().to_str()?.strip_prefix(&own)?.parse::<u64>().ok());
    numbers.max().unwrap_or_default()
}

fn last_file(path: &Path) -> PathBuf {
    numbered(path, files(path).max(1))
}

fn next_file(path: &Path) -> PathBuf {
    numbered(path, files(path).saturating_add(1))
}

async fn open_at(settings: &Settings, path: PathBuf) -> Result<EmbeddedJournal, JournalError> {
    let settings = Settings { path, postgres: None, ..settings.clone() };
    let opened = tokio::task::spawn_blocking(move || EmbeddedJournal::open(&settings)).await;
    opened.map_err(|_| unavailable("the local journal could not be opened"))?
}

/// True where the last thing noted is the seal.
async fn is_sealed(file: &EmbeddedJournal) -> Result<bool, JournalError> {
    let Some(seal) = file.seals().await?.pop() else { return Ok(false) };
    Ok(file.read_after(seal.through, 2).await?.len() == 1)
}

/// Adds the groups in a file, in the order in which they began.
async fn groups_in(file: &EmbeddedJournal, groups: &mut Groups) -> Result<(), JournalError> {
    let mut after = 0;
    loop {
        let page = file.read_after(after, READ_ENTRIES).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.sequence;
        for entry in page {
            if let Subject::Incident(name) = entry.subject {
                groups.add(&Group::named(&name));
            }
        }
    }
}

pub(super) fn unavailable(why: &str) -> JournalError {
    JournalError::Unavailable(why.to_owned())
}
