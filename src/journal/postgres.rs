//! The shared store: one PostgreSQL database under several adapters. Its tables and functions are in `schemas/journal/postgres/`.
//!
//! An append is one round trip under the lock of the agency's head: the order, the chain, the versions and the fence are
//! all decided there. It is answered when the commit was confirmed, by the synchronous standby too where there is one.

mod common;
mod keeper;
mod keeping;
mod keys;
mod reader;
mod reading;
mod rows;
mod session;
mod settings;
mod tls;
mod writer;

#[cfg(test)]
mod keeping_tests;
#[cfg(test)]
mod tests;

pub use reader::PostgresReader;
pub use settings::{Settings as PostgresSettings, Url};

use settings::Settings;

use super::restart::{self, Called, KINDS_READ_AT_OPEN, Unsettled};
use super::{Batch, Entry, Heard, Journal, JournalError, MasterKey, Pending, Seal, Shared};
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
const SCHEMA: [&str; 4] = [
    include_str!("../../schemas/journal/postgres/001_tables.sql"),
    include_str!("../../schemas/journal/postgres/002_append.sql"),
    include_str!("../../schemas/journal/postgres/003_adapters.sql"),
    include_str!("../../schemas/journal/postgres/004_keeping.sql"),
];
/// What a database of an earlier program lacks, in the order in which it is run there.
const ADDED: [&str; 2] = [SCHEMA[1], SCHEMA[3]];
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
    /// Here for one command: it holds nothing, takes nothing over, and leaves no trace but its entries.
    for_upkeep: bool,
    #[cfg(test)]
    keeper: Option<tokio::task::AbortHandle>,
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
    /// [`JournalError::Unavailable`] where the settings do not fit together, the key file cannot be read, or no server can be
    /// written to in time; [`JournalError::Corrupt`] where the tables are of an unknown format or their records are under
    /// another key file.
    pub async fn open(settings: &Settings) -> Result<Self, JournalError> {
        let master = settings.key_file.as_deref().map(MasterKey::read).transpose()?;
        Self::open_under(settings.clone(), master, false).await
    }

    /// Opens an existing journal to forget, seal or drop beside running adapters, under a name of its own and without the
    /// key file: records can be neither read nor kept. [`Journal::wind_down`] takes the name out of the tables again.
    ///
    /// # Errors
    /// As [`PostgresJournal::open`].
    pub async fn open_for_upkeep(settings: &Settings) -> Result<Self, JournalError> {
        let name = random_bytes::<8>().map_err(|_| unavailable("no randomness for a name"))?;
        let adapter = format!("upkeep-{}", hex::encode(name));
        Self::open_under(Settings { adapter, ..settings.clone() }, None, true).await
    }

    async fn open_under(settings: Settings, master: Option<MasterKey>, for_upkeep: bool) -> Result<Self, JournalError> {
        let instance = random_bytes().map_err(|_| unavailable("no randomness for a name"))?;
        let (ear, heard) = mpsc::channel(HEARD_MAX);
        let read_deadline = settings.read_deadline();
        let common = Arc::new(Common::new(settings, master, instance, ear)?);
        let prepared = tokio::time::timeout(read_deadline, prepare(&common, for_upkeep)).await;
        prepared.unwrap_or_else(|_| Err(Trouble::Unknown("no answer in time").into()))?;
        let writer = Writer::start(&common).await?;
        let reading = Arc::new(Reading::new(&common)?);
        // The desk reads what is there; it hears of what comes.
        common.followed.store(reading.head().await?, std::sync::atomic::Ordering::Release);
        let mut tasks = JoinSet::new();
        let keeper = (!for_upkeep).then(|| {
            tasks.spawn(keeper::follow(Arc::clone(&common), Arc::clone(&reading)));
            tasks.spawn(keeper::keep(Arc::clone(&common)))
        });
        #[cfg(not(test))]
        drop(keeper);
        Ok(Self {
            writer,
            reading,
            common,
            heard: Mutex::new(Some(heard)),
            for_upkeep,
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
        self.keeper.iter().for_each(tokio::task::AbortHandle::abort);
    }

    /// As if it had heard of nothing after a sequence.
    fn stand_behind(&self, sequence: u64) {
        self.common.followed.store(sequence, std::sync::atomic::Ordering::Release);
        self.common.follow.notify_one();
    }
}

fn unavailable(why: &str) -> JournalError {
    JournalError::Unavailable(why.to_owned())
}

/// Makes the tables on a new database, adds to those of an earlier program, and looks at what is there.
async fn prepare(common: &Common, for_upkeep: bool) -> Result<(), JournalError> {
    let session = common.connector.open(true, None).await?;
    let there = session.prepare("SELECT to_regclass('fourth.agency') IS NOT NULL, current_setting('server_encoding'), current_setting('server_version_num')::integer, to_regclass('fourth.seal') IS NOT NULL").await?;
    let row = session.read(&there, &[]).await?;
    let row = row.first().ok_or_else(|| unavailable("the database does not answer"))?;
    if rows::field::<&str>(row, 1)? != "UTF8" {
        return Err(unavailable("the database is not in UTF8; `createdb --encoding=UTF8` makes one that is"));
    }
    if rows::field::<i32>(row, 2)? < 150_000 {
        return Err(unavailable("the server is older than PostgreSQL 15"));
    }
    match (rows::field::<bool>(row, 0)?, rows::field::<bool>(row, 3)?) {
        (true, true) => {}
        (false, _) if for_upkeep => return Err(unavailable("no journal is in this database")),
        (tables, _) => {
            let made = session.script(&made_once()).await;
            let by_owner = "the tables are of an earlier program, and this adapter may not add to them: have their owner \
                run 002_append.sql and 004_keeping.sql of schemas/journal/postgres";
            made.map_err(|trouble| match trouble {
                Trouble::Refused(_) if tables => unavailable(by_owner),
                other => other.into(),
            })?;
        }
    }
    let format = session.prepare("SELECT format FROM fourth.agency WHERE agency_id = $1").await?;
    let known = session.read(&format, &[&common.settings.agency]).await?;
    let known: Option<i32> = known.first().map(|row| rows::field(row, 0)).transpose()?;
    match known {
        Some(format) if format != FORMAT => {
            let why = format!("the tables are of format {format}, this program knows {FORMAT}");
            Err(JournalError::Corrupt { sequence: 0, why })
        }
        None if for_upkeep => Err(unavailable("no journal of this agency is in the database")),
        Some(_) | None if for_upkeep => Ok(()),
        Some(_) | None => keys::check_key_file(common, &session).await,
    }
}

/// The script that makes what is not there, however many adapters meet a database at once.
fn made_once() -> String {
    let (all, added) = (SCHEMA.join("\n"), ADDED.join("\n"));
    format!(
        "BEGIN; SELECT pg_advisory_xact_lock({SCHEMA_LOCK});
         DO $once$ BEGIN
             IF to_regclass('fourth.agency') IS NULL THEN EXECUTE $schema${all}$schema$;
             ELSIF to_regclass('fourth.seal') IS NULL THEN EXECUTE $schema${added}$schema$;
             END IF;
         END $once$;
         COMMIT"
    )
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

    fn content(&self, incident: &IncidentId, sha256: &str) -> Pending<'_, Result<Option<Bytes>, JournalError>> {
        let (incident, sha256) = (incident.clone(), sha256.to_owned());
        Box::pin(async move { self.reading.content(&incident, &sha256).await })
    }

    fn forget(&self, incident: &IncidentId, at: Timestamp) -> Pending<'_, Result<Entry, JournalError>> {
        let incident = incident.clone();
        Box::pin(async move { self.forget_person(&incident, at).await })
    }

    fn seal(&self, before: Timestamp, at: Timestamp) -> Pending<'_, Result<Option<Seal>, JournalError>> {
        Box::pin(self.seal_period(before, at))
    }

    fn drop_sealed(&self, through: u64, at: Timestamp) -> Pending<'_, Result<u64, JournalError>> {
        Box::pin(self.drop_period(through, at))
    }

    fn seals(&self) -> Pending<'_, Result<Vec<Seal>, JournalError>> {
        Box::pin(async { Ok(self.reading.seals().await?.into_iter().map(|(seal, _)| seal).collect()) })
    }

    fn wind_down(&self) -> Pending<'_, Result<(), JournalError>> {
        Box::pin(async { if self.for_upkeep { self.reading.leave().await } else { Ok(()) } })
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
