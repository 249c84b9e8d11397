//! What the tasks of one shared journal know of each other: how it stands, what is durable, and what the desk must hear.

use super::Settings;
use super::session::{Connector, Session, Trouble};
use crate::journal::{Chain, Entry, Heard, JournalError, MasterKey};
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, Notify, mpsc};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Statement;

const SETTLE: &str = include_str!("../../../schemas/journal/postgres/settle.sql");

/// Appends are taken.
pub(super) const READY: u8 = 0;
/// Not now: the database is away, or the outcome of the last append is not known.
pub(super) const FAILING: u8 = 1;
/// Never again: another process has this adapter's name, or the database has lost what was acknowledged.
pub(super) const ENDED: u8 = 2;

pub(super) struct Common {
    pub(super) settings: Settings,
    pub(super) connector: Connector,
    /// The key file's, where one is configured and records are read or kept.
    pub(super) master: Option<MasterKey>,
    /// 16 random bytes of this process.
    pub(super) instance: [u8; 16],
    pub(super) state: AtomicU8,
    pub(super) waiting: AtomicUsize,
    pub(super) waiting_bytes: AtomicUsize,
    /// The epoch under which this adapter may write; 0 while it may not.
    pub(super) epoch: AtomicI64,
    /// Up to here the desk has been told of everything that others appended.
    pub(super) followed: AtomicU64,
    /// Other adapters that are alive.
    pub(super) others: AtomicUsize,
    /// The writer must join again.
    pub(super) rejoin: Notify,
    /// Something of ours is durable: others are told.
    pub(super) announce: Notify,
    /// Something of others may be there.
    pub(super) follow: Notify,
    pub(super) heard: mpsc::Sender<Heard>,
    durable: Mutex<Chain>,
    heard_at: Mutex<Instant>,
    settler: AsyncMutex<Option<(Session, Statement)>>,
}

impl Common {
    pub(super) fn new(
        settings: Settings,
        master: Option<MasterKey>,
        instance: [u8; 16],
        heard: mpsc::Sender<Heard>,
    ) -> Result<Self, JournalError> {
        Ok(Self {
            connector: Connector::new(&settings)?,
            settings,
            master,
            instance,
            state: AtomicU8::new(FAILING),
            waiting: AtomicUsize::default(),
            waiting_bytes: AtomicUsize::default(),
            epoch: AtomicI64::default(),
            followed: AtomicU64::default(),
            others: AtomicUsize::default(),
            rejoin: Notify::new(),
            announce: Notify::new(),
            follow: Notify::new(),
            heard,
            durable: Mutex::default(),
            heard_at: Mutex::new(Instant::now()),
            settler: AsyncMutex::default(),
        })
    }

    /// An end is for ever; everything else comes and goes.
    pub(super) fn becomes(&self, state: u8) {
        let before = self.state.fetch_max(state, Ordering::AcqRel);
        if before == FAILING && state == READY {
            self.state.store(READY, Ordering::Release);
            tracing::info!("the journal's database takes appends");
        } else if before == READY && state != READY {
            tracing::error!("the journal's database takes no appends");
        }
    }

    /// The database took an append, or gave a sign of life while appends are taken.
    pub(super) fn heard_of(&self) {
        if self.state.load(Ordering::Acquire) == READY {
            *self.heard_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
    }

    pub(super) fn unheard_for(&self) -> Duration {
        self.heard_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    pub(super) fn leave(&self, bytes: usize) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        self.waiting_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// The last entry that is known to be durable.
    pub(super) fn durable(&self) -> Chain {
        *self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that an entry, and with it everything before it, is durable.
    pub(super) fn is_durable(&self, entry: &Entry) {
        let mut hash = [0; 32];
        if hex::decode_to_slice(&entry.hash, &mut hash).is_err() {
            return;
        }
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if entry.sequence > durable.sequence() {
            *durable = Chain::standing_at(entry.sequence, hash);
        }
    }

    /// Makes sure that what was read is durable before anybody acts on it. Visible is not enough: a commit that waited
    /// for a dead standby becomes visible when it is cancelled, or when the primary restarts.
    pub(super) async fn settle(&self, last: &Entry) -> Result<(), JournalError> {
        if last.sequence <= self.durable().sequence() {
            return Ok(());
        }
        let mut settler = self.settler.lock().await;
        if last.sequence <= self.durable().sequence() {
            return Ok(());
        }
        let deadline = Instant::now() + self.settings.append_deadline();
        let work = async {
            let (session, statement) = match settler.take().filter(|(session, _)| !session.is_closed()) {
                Some(kept) => kept,
                None => {
                    let session = self.connector.open(true, None).await?;
                    let statement = settle_statement(&session).await?;
                    (session, statement)
                }
            };
            let held = settled_at(&session, &statement, &self.settings, (last.sequence, &last.hash)).await?;
            Ok::<_, Trouble>((session, statement, held))
        };
        let (session, statement, held) =
            timeout_at(deadline, work).await.unwrap_or(Err(Trouble::Unknown("no answer in time")))?;
        *settler = Some((session, statement));
        if !held {
            return Err(JournalError::Unavailable("what was read is not in the database any more".to_owned()));
        }
        self.is_durable(last);
        Ok(())
    }
}

/// Commits durably and tells whether this server has a chain value at a sequence, or has dropped what it was of: then a later
/// seal stands for it.
pub(super) async fn settled_at(
    session: &Session,
    settle: &Statement,
    settings: &Settings,
    (sequence, hash): (u64, &str),
) -> Result<bool, Trouble> {
    let at = i64::try_from(sequence).unwrap_or(i64::MAX);
    let rows = session.commit(settle, &[&settings.agency, &settings.adapter, &at]).await?;
    let found: Option<&[u8]> = rows.first().and_then(|row| row.try_get(0).ok()).flatten();
    let dropped = rows.first().and_then(|row| row.try_get(1).ok()).unwrap_or(false);
    Ok(found.map_or(dropped, |found| hex::encode(found) == hash))
}

/// The statement that [`settled_at`] runs.
pub(super) async fn settle_statement(session: &Session) -> Result<Statement, Trouble> {
    session.prepare(SETTLE).await
}
