//! Readings, on a few pooled sessions. Nothing is handed out before it is known to be durable.

use super::common::Common;
use super::rows::{self, field};
use super::session::{Session, Trouble};
use super::writer::SELECT_HELD;
use crate::journal::stored::{corrupt, whole};
use crate::journal::{Called, Entry, JournalError, Unsettled};
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
const SELECT_CONTENT: &str = include_str!("../../../schemas/journal/postgres/select_content.sql");
const SELECT_HEAD: &str = "SELECT head_sequence FROM fourth.agency WHERE agency_id = $1";
const SELECT_OF_KIND: &str = include_str!("../../../schemas/journal/postgres/select_entries_of_kind_before.sql");
const SELECT_UNSETTLED: &str = include_str!("../../../schemas/journal/postgres/select_unsettled.sql");
const SELECT_CALLED_SINCE: &str = include_str!("../../../schemas/journal/postgres/select_called_since.sql");
const CLAIM_CALL_NAME: &str = include_str!("../../../schemas/journal/postgres/claim_call_name.sql");

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

    pub(super) async fn content(&self, sha256: &str) -> Result<Option<Bytes>, JournalError> {
        let rows = self.rows(SELECT_CONTENT, &[&self.common.settings.agency, &sha256]).await?;
        let bytes: Option<&[u8]> = rows.first().map(|row| field(row, 0)).transpose()?;
        match bytes {
            Some(bytes) if hex::encode(Sha256::digest(bytes)) != sha256 => {
                Err(corrupt(0, format!("content `{sha256}` is not what its digest says")))
            }
            bytes => Ok(bytes.map(Bytes::copy_from_slice)),
        }
    }

    pub(super) async fn head(&self) -> Result<u64, JournalError> {
        let rows = self.rows(SELECT_HEAD, &[&self.common.settings.agency]).await?;
        let head: Option<i64> = rows.first().map(|row| field(row, 0)).transpose()?;
        Ok(head.and_then(|head| u64::try_from(head).ok()).unwrap_or_default())
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
