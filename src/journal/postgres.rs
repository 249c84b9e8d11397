//! The shared store: one PostgreSQL database under several adapters. Its tables and functions are in `schemas/journal/postgres/`.
//!
//! An append is one round trip under the lock of the agency's head: the order, the chain, the versions and the fence are
//! all decided there. It is answered when the commit was confirmed, by the synchronous standby too where there is one.

mod common;
mod keeper;
mod reader;
mod reading;
mod rows;
mod session;
mod settings;
mod tls;
mod writer;

#[cfg(test)]
mod tests;

pub use reader::PostgresReader;
pub use settings::{Settings as PostgresSettings, Url};

use settings::Settings;

use super::restart::{self, Called, KINDS_READ_AT_OPEN, Unsettled};
use super::{Batch, Entry, Heard, Journal, JournalError, Pending, Shared};
use crate::clock::random_bytes;
use crate::record::IncidentId;
use bytes::Bytes;
use common::Common;
use jiff::Timestamp;
use reading::Reading;
use session::Trouble;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use writer::Writer;

/// The tables and functions, in the order in which they are run on a new database.
const SCHEMA: [&str; 3] = [
    include_str!("../../schemas/journal/postgres/001_tables.sql"),
    include_str!("../../schemas/journal/postgres/002_append.sql"),
    include_str!("../../schemas/journal/postgres/003_adapters.sql"),
];
/// Key of the advisory lock under which the schema is made (`4OPT` in ASCII): two adapters may meet a new database at once.
const SCHEMA_LOCK: i64 = 0x344F_5054;
/// The one format this program reads and writes.
const FORMAT: i32 = 1;
/// Messages that may wait for the desk.
const HEARD_MAX: usize = 64;

/// The shared journal. Dropping it appends what waits, and lets others take over at once what it held.
pub struct PostgresJournal {
    writer: Writer,
    reading: Arc<Reading>,
    common: Arc<Common>,
    heard: Mutex<Option<mpsc::Receiver<Heard>>>,
    #[cfg(test)]
    keeper: tokio::task::AbortHandle,
    // Aborted when dropped.
    _tasks: JoinSet<()>,
}

impl std::fmt::Debug for PostgresJournal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PostgresJournal").finish_non_exhaustive()
    }
}

impl PostgresJournal {
    /// Opens the journal, makes its tables where there are none, and joins the adapters that share it.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`] where the settings do not fit together or no server can be written to in time;
    /// [`JournalError::Corrupt`] where the tables are of an unknown format.
    pub async fn open(settings: &Settings) -> Result<Self, JournalError> {
        let instance = random_bytes().map_err(|_| JournalError::Unavailable("no randomness for a name".to_owned()))?;
        let (ear, heard) = mpsc::channel(HEARD_MAX);
        let common = Arc::new(Common::new(settings.clone(), instance, ear)?);
        let prepared = tokio::time::timeout(settings.read_deadline(), prepare(&common)).await;
        prepared.unwrap_or_else(|_| Err(Trouble::Unknown("no answer in time").into()))?;
        let writer = Writer::start(&common).await?;
        let reading = Arc::new(Reading::new(&common)?);
        // The desk reads what is there; it hears of what comes.
        common.followed.store(reading.head().await?, std::sync::atomic::Ordering::Release);
        let mut tasks = JoinSet::new();
        tasks.spawn(keeper::follow(Arc::clone(&common), Arc::clone(&reading)));
        let keeper = tasks.spawn(keeper::keep(Arc::clone(&common)));
        #[cfg(not(test))]
        drop(keeper);
        Ok(Self {
            writer,
            reading,
            common,
            heard: Mutex::new(Some(heard)),
            #[cfg(test)]
            keeper,
            _tasks: tasks,
        })
    }
}

impl PostgresJournal {
    /// For how long the database has not been heard of taking appends.
    #[must_use]
    pub fn unheard_for(&self) -> Duration {
        self.common.unheard_for()
    }

    /// True where this adapter appends nothing any more, whatever the database does.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.common.state.load(std::sync::atomic::Ordering::Acquire) == common::ENDED
    }
}

#[cfg(test)]
impl PostgresJournal {
    /// As if this process stood still, for all that others can see: no sign of life comes any more.
    fn stop_signs_of_life(&self) {
        self.keeper.abort();
    }
}

/// Makes the tables on a new database, and looks at what is there on another.
async fn prepare(common: &Common) -> Result<(), JournalError> {
    let session = common.connector.open(true, None).await?;
    let there = session.prepare("SELECT to_regclass('fourth.agency') IS NOT NULL, current_setting('server_encoding'), current_setting('server_version_num')::integer").await?;
    let row = session.read(&there, &[]).await?;
    let row = row.first().ok_or_else(|| JournalError::Unavailable("the database does not answer".to_owned()))?;
    let unfit = |why: &str| Err(JournalError::Unavailable(why.to_owned()));
    if rows::field::<&str>(row, 1)? != "UTF8" {
        return unfit("the database is not in UTF8; `createdb --encoding=UTF8` makes one that is");
    }
    if rows::field::<i32>(row, 2)? < 150_000 {
        return unfit("the server is older than PostgreSQL 15");
    }
    if !rows::field::<bool>(row, 0)? {
        let once = format!(
            "BEGIN; SELECT pg_advisory_xact_lock({SCHEMA_LOCK});
             DO $once$ BEGIN IF to_regclass('fourth.agency') IS NULL THEN EXECUTE $schema${}$schema$; END IF; END $once$;
             COMMIT",
            SCHEMA.join("\n")
        );
        session.script(&once).await?;
    }
    let format = session.prepare("SELECT format FROM fourth.agency WHERE agency_id = $1").await?;
    let known = session.read(&format, &[&common.settings.agency]).await?;
    let known: Option<i32> = known.first().map(|row| rows::field(row, 0)).transpose()?;
    match known {
        Some(format) if format != FORMAT => {
            let why = format!("the tables are of format {format}, this program knows {FORMAT}");
            Err(JournalError::Corrupt { sequence: 0, why })
        }
        Some(_) | None => Ok(()),
    }
}

impl Journal for PostgresJournal {
    fn append(&self, batch: Batch) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        Box::pin(self.writer.append(batch))
    }

    fn read_after(&self, after: u64, limit: usize) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        Box::pin(self.reading.after(after, limit))
    }

    fn read_incident(&self, incident: &IncidentId) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        let incident = incident.clone();
        Box::pin(async move { self.reading.of_incident(&incident).await })
    }

    fn read_kind_before<'a>(
        &'a self,
        kind: &'a str,
        before: u64,
        limit: usize,
    ) -> Pending<'a, Result<Vec<Entry>, JournalError>> {
        if KINDS_READ_AT_OPEN.contains(&kind) {
            Box::pin(self.reading.of_kind(kind, before, limit))
        } else {
            Box::pin(restart::kind_before(self, kind, before, limit))
        }
    }

    fn unsettled(&self) -> Pending<'_, Result<Vec<Unsettled>, JournalError>> {
        Box::pin(self.reading.unsettled())
    }

    fn called_since(&self, since: Timestamp) -> Pending<'_, Result<Vec<(IncidentId, Called)>, JournalError>> {
        Box::pin(self.reading.called_since(since))
    }

    fn last_instant(&self) -> Pending<'_, Result<Option<Timestamp>, JournalError>> {
        Box::pin(self.reading.last_instant())
    }

    fn content(&self, _incident: &IncidentId, sha256: &str) -> Pending<'_, Result<Option<Bytes>, JournalError>> {
        let sha256 = sha256.to_owned();
        Box::pin(async move { self.reading.content(&sha256).await })
    }

    fn ready(&self) -> bool {
        self.writer.ready()
    }

    fn shared(&self) -> Option<&dyn Shared> {
        Some(self)
    }
}

impl Shared for PostgresJournal {
    fn hear(&self) -> Option<mpsc::Receiver<Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn held(&self) -> Pending<'_, Result<BTreeSet<IncidentId>, JournalError>> {
        Box::pin(self.reading.held())
    }

    fn claim(&self, name_sha256: [u8; 32], incident: &IncidentId) -> Pending<'_, Result<IncidentId, JournalError>> {
        let incident = incident.clone();
        Box::pin(async move { self.reading.claim(&name_sha256, &incident).await })
    }
}
