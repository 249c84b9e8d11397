//! Readings, on a few pooled sessions. Nothing is handed out before it is known to be durable.

use super::common::Common;
use super::keys::other_key_file;
use super::rows::{self, field};
use super::session::{Session, Trouble};
use super::writer::SELECT_HELD;
use crate::journal::stored::{corrupt, whole};
use crate::journal::{Called, Chain, Entry, JournalError, Seal, Unsettled};
use crate::record::IncidentId;
use bytes::Bytes;
use deadpool::managed::{self, Metrics, Pool, RecycleError, RecycleResult};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

const SELECT_AFTER: &str = include_str!("../../../schemas/journal/postgres/select_entries_after.sql");
const SELECT_OF_OTHERS: &str = include_str!("../../../schemas/journal/postgres/select_entries_of_others.sql");
const SELECT_INCIDENT: &str = include_str!("../../../schemas/journal/postgres/select_entries_of_incident.sql");
const SELECT_RECORD: &str = include_str!("../../../schemas/journal/postgres/select_record.sql");
const SELECT_ENDS: &str = include_str!("../../../schemas/journal/postgres/select_ends.sql");
const SELECT_SEALS: &str = include_str!("../../../schemas/journal/postgres/select_seals.sql");
const SELECT_OPEN_SINCE: &str = include_str!("../../../schemas/journal/postgres/select_open_since.sql");
const SELECT_INSTANT: &str = "SELECT at FROM fourth.entry WHERE agency_id = $1 AND sequence = $2";
const TAKE_AWAY: &str = "SELECT fourth.take_away($1, $2, $3)";
const LEAVE: &str = include_str!("../../../schemas/journal/postgres/leave.sql");
const SELECT_OF_KIND: &str = include_str!("../../../schemas/journal/postgres/select_entries_of_kind_before.sql");
const SELECT_UNSETTLED: &str = include_str!("../../../schemas/journal/postgres/select_unsettled.sql");
const SELECT_CALLED_SINCE: &str = include_str!("../../../schemas/journal/postgres/select_called_since.sql");
const CLAIM_CALL_NAME: &str = include_str!("../../../schemas/journal/postgres/claim_call_name.sql");

/// Entries of dropped periods taken away at a time: an append waits for no more than these.
const TAKEN_AT_ONCE: i64 = 1_000;

/// Where the chain ends, and where it begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    /// Sequence of the last entry.
    pub(super) head: u64,
    /// The end of the last dropped period, or the place before the first entry.
    pub(super) begins: Chain,
}

/// Makes the pool's sessions.
struct Sessions(Arc<Common>);

impl managed::Manager for Sessions {
    type Type = Session;
    type Error = Trouble;

    async fn create(&self) -> Result<Session, Trouble> {
        self.0.connector.open(false, None).await
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<Trouble> {
        if session.is_closed() { Err(RecycleError::message("closed")) } else { Ok(()) }
    }
}

pub(super) struct Reading {
    common: Arc<Common>,
    pool: Pool<Sessions>,
    /// False for who acts on nothing that is read: then nothing is written to know it durable.
    settles: bool,
}

impl Reading {
    pub(super) fn new(common: &Arc<Common>) -> Result<Self, JournalError> {
        let pool = Pool::builder(Sessions(Arc::clone(common)))
            .max_size(common.settings.readers_max.max(1))
            .build()
            .map_err(|_| JournalError::Unavailable("the pool of sessions cannot be made".to_owned()))?;
        Ok(Self { common: Arc::clone(common), pool, settles: true })
    }

    pub(super) fn of_an_onlooker(common: &Arc<Common>) -> Result<Self, JournalError> {
        Ok(Self { settles: false, ..Self::new(common)? })
    }

    async fn rows(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, JournalError> {
        let late = || JournalError::from(Trouble::Unknown("no answer in time"));
        timeout(self.common.settings.read_deadline(), async {
            let session =
                self.pool.get().await.map_err(|_| JournalError::Unavailable("the database is away".to_owned()))?;
            let read = async {
                let statement = session.prepare(sql).await?;
                session.read(&statement, parameters).await
            };
            let rows = read.await;
            if rows.is_err() {
                // A session that met an error is not trusted again.
                drop(managed::Object::take(session));
            }
            rows.map_err(JournalError::from)
        })
        .await
        .unwrap_or_else(|_| Err(late()))
    }

    async fn durable(&self, entries: Vec<Entry>) -> Result<Vec<Entry>, JournalError> {
        if let Some(last) = entries.iter().max_by_key(|entry| entry.sequence).filter(|_| self.settles) {
            self.common.settle(last).await?;
        }
        Ok(entries)
    }

    pub(super) async fn after(&self, after: u64, limit: usize) -> Result<Vec<Entry>, JournalError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let Ok(from) = i64::try_from(after) else { return Ok(Vec::new()) };
        let rows = self.rows(SELECT_AFTER, &[&self.common.settings.agency, &from, &limit]).await?;
        self.durable(rows::in_order(&rows, after)?).await
    }

    pub(super) async fn of_incident(&self, incident: &IncidentId) -> Result<Vec<Entry>, JournalError> {
        if incident.as_str().contains('\0') {
            return Ok(Vec::new());
        }
        let rows = self.rows(SELECT_INCIDENT, &[&self.common.settings.agency, &incident.as_str()]).await?;
        self.durable(rows::of_one_incident(&rows)?).await
    }

    /// Entries of a kind that is kept at hand, newest first.
    pub(super) async fn of_kind(&self, kind: &str, before: u64, limit: usize) -> Result<Vec<Entry>, JournalError> {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.rows(SELECT_OF_KIND, &[&self.common.settings.agency, &kind, &before, &limit]).await?;
        let entries: Result<Vec<Entry>, JournalError> = rows.iter().map(rows::entry_of).collect();
        self.durable(entries?).await
    }

    pub(super) async fn unsettled(&self) -> Result<Vec<Unsettled>, JournalError> {
        let rows = self.rows(SELECT_UNSETTLED, &[&self.common.settings.agency]).await?;
        rows.iter().map(rows::named).collect()
    }

    pub(super) async fn called_since(&self, since: Timestamp) -> Result<Vec<(IncidentId, Called)>, JournalError> {
        let second = since.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        let rows = self.rows(SELECT_CALLED_SINCE, &[&self.common.settings.agency, &second]).await?;
        let named: Result<Vec<_>, JournalError> = rows.iter().map(rows::named).collect();
        let called = named?.into_iter().filter_map(|(id, called)| Some((id, called?)));
        Ok(called.filter(|(_, called)| called.closed_at.is_some_and(|at| at >= since)).collect())
    }

    pub(super) async fn last_instant(&self) -> Result<Option<Timestamp>, JournalError> {
        let head = self.head().await?;
        Ok(self.after(head.saturating_sub(1), 1).await?.first().map(|entry| entry.at))
    }

    /// What other adapters appended in a range.
    pub(super) async fn of_others(&self, after: u64, upto: u64) -> Result<Vec<Entry>, JournalError> {
        let settings = &self.common.settings;
        let (after, upto) = (whole(after)?, whole(upto)?);
        let rows = self.rows(SELECT_OF_OTHERS, &[&settings.agency, &after, &upto, &settings.adapter]).await?;
        let entries: Result<Vec<Entry>, JournalError> = rows.iter().map(rows::entry_of).collect();
        self.durable(entries?).await
    }

    pub(super) async fn content(&self, incident: &IncidentId, sha256: &str) -> Result<Option<Bytes>, JournalError> {
        if incident.as_str().contains('\0') {
            return Ok(None);
        }
        let agency = &self.common.settings.agency;
        let rows = self.rows(SELECT_RECORD, &[agency, &incident.as_str(), &sha256]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (locked, kept): (bool, &[u8]) = (field(row, 0)?, field(row, 1)?);
        let damaged = |why: &str| corrupt(0, format!("record `{sha256}` {why}"));
        let bytes = if locked {
            // Without the incident's key the person is forgotten, although a copy may still hold the row.
            let Some(wrapped) = field::<Option<&[u8]>>(row, 2)? else { return Ok(None) };
            let Some(master) = &self.common.master else {
                let why = "the record is under a key file, and none is configured";
                return Err(JournalError::Unavailable(why.to_owned()));
            };
            let key = master.unwrap(incident, wrapped).ok_or_else(|| other_key_file(incident))?;
            key.unlock(incident, sha256, kept).ok_or_else(|| damaged("does not open under its key"))?
        } else {
            kept.to_vec()
        };
        if hex::encode(Sha256::digest(&bytes)) != sha256 {
            return Err(damaged("is not what its digest says"));
        }
        Ok(Some(Bytes::from(bytes)))
    }

    pub(super) async fn ends(&self) -> Result<Ends, JournalError> {
        let rows = self.rows(SELECT_ENDS, &[&self.common.settings.agency]).await?;
        let Some(row) = rows.first() else { return Ok(Ends { head: 0, begins: Chain::default() }) };
        let number = |number: i64| u64::try_from(number).unwrap_or_default();
        let begins = match (field::<Option<i64>>(row, 1)?, field::<Option<&[u8]>>(row, 2)?) {
            (Some(through), Some(hash)) => {
                let hash =
                    hash.try_into().map_err(|_| corrupt(0, "the seal that the chain begins at cannot be read"))?;
                Chain::standing_at(number(through), hash)
            }
            (_, _) => Chain::default(),
        };
        Ok(Ends { head: number(field(row, 0)?), begins })
    }

    pub(super) async fn head(&self) -> Result<u64, JournalError> {
        Ok(self.ends().await?.head)
    }

    /// The seals, oldest first, each with whether its period was dropped.
    pub(super) async fn seals(&self) -> Result<Vec<(Seal, bool)>, JournalError> {
        let rows = self.rows(SELECT_SEALS, &[&self.common.settings.agency]).await?;
        rows.iter().map(rows::seal_of).collect()
    }

    /// An incident that began up to a sequence and does not rest.
    pub(super) async fn open_since(&self, through: u64) -> Result<Option<IncidentId>, JournalError> {
        let rows = self.rows(SELECT_OPEN_SINCE, &[&self.common.settings.agency, &whole(through)?]).await?;
        rows.first().map(|row| Ok(IncidentId::new(field::<&str>(row, 0)?))).transpose()
    }

    /// When an entry happened, by its sequence.
    pub(super) async fn instant_of(&self, sequence: i64) -> Result<Timestamp, JournalError> {
        let rows = self.rows(SELECT_INSTANT, &[&self.common.settings.agency, &sequence]).await?;
        let place = u64::try_from(sequence).unwrap_or_default();
        let at: Option<&str> = rows.first().map(|row| field(row, 0)).transpose()?;
        at.ok_or_else(|| corrupt(place, "the entry is missing"))?
            .parse()
            .map_err(|_| corrupt(place, "column `at` is no instant"))
    }

    /// Takes some of the oldest entries of dropped periods away; answers how many. Done twice, it is done once.
    pub(super) async fn take_away(&self, through: u64) -> Result<u64, JournalError> {
        let rows = self.rows(TAKE_AWAY, &[&self.common.settings.agency, &whole(through)?, &TAKEN_AT_ONCE]).await?;
        let taken: Option<i64> = rows.first().map(|row| field(row, 0)).transpose()?;
        Ok(taken.and_then(|taken| u64::try_from(taken).ok()).unwrap_or_default())
    }

    /// Takes this adapter's name out of the tables: it was here for one command.
    pub(super) async fn leave(&self) -> Result<(), JournalError> {
        let settings = &self.common.settings;
        self.rows(LEAVE, &[&settings.agency, &settings.adapter]).await.map(drop)
    }

    pub(super) async fn held(&self) -> Result<BTreeSet<IncidentId>, JournalError> {
        let settings = &self.common.settings;
        let rows = self.rows(SELECT_HELD, &[&settings.agency, &settings.adapter]).await?;
        rows.iter().map(|row| Ok(IncidentId::new(field::<&str>(row, 0)?))).collect()
    }

    pub(super) async fn claim(
        &self,
        name_sha256: &[u8; 32],
        incident: &IncidentId,
    ) -> Result<IncidentId, JournalError> {
        let (agency, name) = (&self.common.settings.agency, name_sha256.as_slice());
        let rows = self.rows(CLAIM_CALL_NAME, &[agency, &name, &incident.as_str()]).await?;
        let row = rows.first().ok_or_else(|| JournalError::Unavailable("a call could not be named".to_owned()))?;
        Ok(IncidentId::new(field::<&str>(row, 0)?))
    }
}
