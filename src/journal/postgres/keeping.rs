//! What stands beside an append of the adapter's own: a person forgotten, a period sealed, sealed periods dropped.
//!
//! What is to be done is found by reading, and done in one commit in which the database looks whether it is still so.

use super::PostgresJournal;
use super::reading::Reading;
use crate::journal::stored::whole;
use crate::journal::{AdapterEvent, Batch, Entry, JournalError, Seal, Stored, Subject, digests_of, fold};
use crate::record::IncidentId;
use jiff::Timestamp;

/// What a commit does beside its append.
#[derive(Debug, Clone)]
pub(super) enum Beside {
    /// Destroys the key and the records of an incident that was seen to rest at a version.
    Forgets { incident: IncidentId, version: u64, digests: Vec<String> },
    /// Keeps a seal whose entry was seen to have this chain value.
    Seals { seal: Seal, hash: Vec<u8> },
    /// Lets the chain begin after a seal, the newest roster being the one of this sequence.
    Drops { through: u64, roster: u64 },
}

/// The last parameters of `fourth.keep`, borrowed.
#[derive(Debug, Default)]
pub(super) struct BesideColumns<'a> {
    pub(super) forget: Option<&'a str>,
    pub(super) version: Option<i64>,
    pub(super) digests: Option<&'a [String]>,
    pub(super) seal: Option<i64>,
    pub(super) hash: Option<&'a [u8]>,
    pub(super) entries: Option<i64>,
    pub(super) ended_at: Option<String>,
    pub(super) drop: Option<i64>,
    pub(super) roster: Option<i64>,
}

impl Beside {
    pub(super) fn columns(&self) -> BesideColumns<'_> {
        let number = |number: &u64| i64::try_from(*number).ok();
        match self {
            Self::Forgets { incident, version, digests } => BesideColumns {
                forget: Some(incident.as_str()),
                version: number(version),
                digests: Some(digests),
                ..BesideColumns::default()
            },
            Self::Seals { seal, hash } => BesideColumns {
                seal: number(&seal.through),
                hash: Some(hash),
                entries: number(&seal.entries),
                ended_at: Some(seal.ended_at.to_string()),
                ..BesideColumns::default()
            },
            Self::Drops { through, roster } => {
                BesideColumns { drop: number(through), roster: number(roster), ..BesideColumns::default() }
            }
        }
    }
}

impl PostgresJournal {
    pub(super) async fn forget_person(&self, incident: &IncidentId, at: Timestamp) -> Result<Entry, JournalError> {
        let entries = self.reading.of_incident(incident).await?;
        let Some(last) = entries.last() else {
            return Err(unavailable(format!("it has no incident `{incident}`")));
        };
        if !fold(incident, &entries).rests() {
            return Err(unavailable(format!(
                "incident `{incident}` is open, and its record is needed; close it first"
            )));
        }
        let beside =
            Beside::Forgets { incident: incident.clone(), version: last.version, digests: digests_of(&entries) };
        let forgotten = AdapterEvent::PersonForgotten { incident: incident.clone() };
        let appended = self.writer.keep(noted(at, vec![forgotten]), beside).await?;
        appended.into_iter().next().ok_or_else(|| unavailable("nothing was appended"))
    }

    pub(super) async fn seal_period(&self, before: Timestamp, at: Timestamp) -> Result<Option<Seal>, JournalError> {
        let ends = self.reading.ends().await?;
        let sealed = self.reading.seals().await?.pop().map_or(ends.begins.sequence(), |(seal, _)| seal.through);
        let Some(through) = last_before(&self.reading, sealed, ends.head, before).await? else { return Ok(None) };
        let found = self.reading.after(through.saturating_sub(1), 1).await?.pop();
        let Some(last) = found.filter(|entry| entry.sequence == through) else {
            return Err(unavailable("its period was dropped meanwhile"));
        };
        let entries = through.saturating_sub(sealed);
        let seal = Seal { through, hash: last.hash, entries, ended_at: last.at };
        let hash = hex::decode(&seal.hash).unwrap_or_default();
        let event = AdapterEvent::PeriodSealed(seal.clone());
        self.writer.keep(noted(at, vec![event]), Beside::Seals { seal: seal.clone(), hash }).await?;
        Ok(Some(seal))
    }

    pub(super) async fn drop_period(&self, through: u64, at: Timestamp) -> Result<u64, JournalError> {
        let sealed = self.reading.seals().await?;
        let Some((_, dropped)) = sealed.iter().find(|(seal, _)| seal.through == through) else {
            return Err(unavailable(format!("no seal ends at entry {through}")));
        };
        if !dropped {
            self.begin_drop(through, at).await?;
        }
        let begins = self.reading.ends().await?.begins.sequence();
        let mut gone = 0_u64;
        while let taken @ 1.. = self.reading.take_away(begins).await? {
            gone = gone.saturating_add(taken);
        }
        Ok(gone)
    }

    async fn begin_drop(&self, through: u64, at: Timestamp) -> Result<(), JournalError> {
        if let Some(incident) = self.reading.open_since(through).await? {
            return Err(unavailable(format!("incident `{incident}` began in the period and is open; close it first")));
        }
        let mut events = vec![AdapterEvent::PeriodDropped { through }];
        // The roster in force is a word that must outlive its period.
        let roster = self.reading.of_kind("roster-set", u64::MAX, 1).await?.pop();
        let newest = roster.as_ref().map_or(0, |entry| entry.sequence);
        if let Some(Entry { sequence, stored: Stored::Adapter(roster), .. }) = roster
            && sequence <= through
        {
            events.push(roster);
        }
        self.writer.keep(noted(at, events), Beside::Drops { through, roster: newest }).await.map(drop)
    }
}

/// The last entry after `after` and at most at `last` that happened before an instant, found by halving: instants go
/// upwards, except where a civil clock was set back or two differ.
async fn last_before(reading: &Reading, after: u64, last: u64, before: Timestamp) -> Result<Option<u64>, JournalError> {
    let (mut low, mut high, mut found) = (after, last, None);
    while low < high {
        let middle = low.saturating_add(high.saturating_sub(low).div_ceil(2));
        if reading.instant_of(whole(middle)?).await? < before {
            (low, found) = (middle, Some(middle));
        } else {
            high = middle.saturating_sub(1);
        }
    }
    Ok(found)
}

fn noted(at: Timestamp, events: Vec<AdapterEvent>) -> Batch {
    Batch::new(Subject::Adapter, 0, at, events.into_iter().map(Stored::Adapter).collect())
}

fn unavailable(why: impl Into<String>) -> JournalError {
    JournalError::Unavailable(why.into())
}
