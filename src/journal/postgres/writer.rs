//! The one writer: takes what waits, appends it in one commit and one round trip, and only then answers.
//!
//! Where no answer comes, the outcome is unknown. It becomes known by joining again: under the head's lock, after which
//! nothing that was sent before can be written, the adapter's row tells the key of its last commit.

use super::Settings;
use super::common::{Common, ENDED, FAILING, READY, settle_statement, settled_at};
use super::keeping::Beside;
use super::keys::{Keys, Lock, SELECT_KEYS};
use super::rows::{self, Arrays, Prepared, field};
use super::session::{Session, Trouble};
use crate::clock::random_bytes;
use crate::journal::{Batch, Entry, Heard, JournalError};
use crate::record::IncidentId;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::Statement;

const APPEND: &str = "SELECT * FROM fourth.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)";
const KEEP: &str =
    "SELECT * FROM fourth.keep($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
const JOIN: &str = "SELECT * FROM fourth.join_adapter($1, $2, $3, $4, $5)";
const SELECT_AFTER: &str = include_str!("../../../schemas/journal/postgres/select_entries_after.sql");
pub(super) const SELECT_HELD: &str = include_str!("../../../schemas/journal/postgres/select_held.sql");

/// How soon a database that was away is tried again.
const RETRY_EVERY: Duration = Duration::from_millis(250);

type Reply = Result<Vec<Entry>, JournalError>;

struct Ask {
    prepared: Prepared,
    /// What the commit does besides; such a batch has one of its own.
    beside: Option<Beside>,
    bytes: usize,
    reply: oneshot::Sender<Reply>,
}

/// The caller's side of the writer.
pub(super) struct Writer {
    asks: mpsc::Sender<Ask>,
    common: Arc<Common>,
}

impl Writer {
    /// Joins, and starts the task.
    pub(super) async fn start(common: &Arc<Common>) -> Result<Self, JournalError> {
        let (asks, inbox) = mpsc::channel(common.settings.queue_max.max(1));
        let (common, keys) = (Arc::clone(common), Keys::default());
        let mut task = Task { common: Arc::clone(&common), inbox, keys, joined: None, doubt: None, first: true };
        let deadline = Instant::now() + common.settings.append_deadline();
        task.join(deadline).await?;
        tokio::spawn(async move { task.run().await });
        Ok(Self { asks, common })
    }

    /// Hands a batch over and waits until it is durable. Dropping the future does not take the batch back.
    pub(super) async fn append(&self, batch: Batch) -> Reply {
        self.ask(batch, None).await
    }

    /// As [`Writer::append`], with something done beside it in the same commit.
    pub(super) async fn keep(&self, batch: Batch, beside: Beside) -> Reply {
        self.ask(batch, Some(beside)).await
    }

    async fn ask(&self, batch: Batch, beside: Option<Beside>) -> Reply {
        match self.common.state.load(Ordering::Acquire) {
            READY => {}
            FAILING => return Err(unavailable("the database is away, or the outcome of the last append is not known")),
            _ => return Err(JournalError::Poisoned),
        }
        if batch.events.is_empty() {
            return Ok(Vec::new());
        }
        let prepared = Prepared::new(batch)?;
        let bytes = prepared.bytes();
        let (reply, answer) = oneshot::channel();
        let before = self.common.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        self.common.waiting.fetch_add(1, Ordering::AcqRel);
        // A lone batch is always let in, whatever its size: the doors bound it.
        if before > 0 && before.saturating_add(bytes) > self.common.settings.queue_bytes_max {
            self.common.leave(bytes);
            return Err(unavailable("too many bytes wait to be written"));
        }
        if self.asks.try_send(Ask { prepared, beside, bytes, reply }).is_err() {
            self.common.leave(bytes);
            return Err(unavailable("too many batches wait to be written"));
        }
        answer.await.unwrap_or_else(|_| Err(unavailable("the writer has ended")))
    }

    pub(super) fn ready(&self) -> bool {
        self.common.state.load(Ordering::Acquire) == READY
            && self.common.waiting.load(Ordering::Acquire) < self.common.settings.queue_max
            && !self.asks.is_closed()
    }
}

/// What could not be read back stays in doubt.
fn in_doubt(error: JournalError) -> JournalError {
    match error {
        JournalError::Unavailable(why) => JournalError::InDoubt(why),
        other => other,
    }
}

fn unavailable(why: &str) -> JournalError {
    JournalError::Unavailable(why.to_owned())
}

/// The right to write, on one session.
struct Joined {
    session: Session,
    epoch: i64,
    append: Statement,
    keep: Statement,
    keys: Statement,
}

struct Task {
    common: Arc<Common>,
    inbox: mpsc::Receiver<Ask>,
    keys: Keys,
    joined: Option<Joined>,
    /// Key of the append whose outcome is not known. Nothing is appended before it is.
    doubt: Option<[u8; 16]>,
    first: bool,
}

impl Task {
    async fn run(&mut self) {
        loop {
            tokio::select! {
                biased;
                ask = self.inbox.recv() => match ask {
                    Some(first) => self.take_what_waits(first).await,
                    None => break,
                },
                () = self.common.rejoin.notified() => self.part(),
                () = sleep(RETRY_EVERY), if self.joined.is_none() => self.come_back().await,
            }
        }
        self.say_goodbye().await;
    }

    fn part(&mut self) {
        self.common.epoch.store(0, Ordering::Release);
        self.keys.doubt();
        self.joined = None;
    }

    async fn take_what_waits(&mut self, first: Ask) {
        let mut batches = Vec::new();
        let mut replies = Vec::new();
        let mut alone = None;
        let mut next = Some(first);
        while let Some(Ask { prepared, beside, bytes, reply }) = next {
            self.common.leave(bytes);
            if let Some(beside) = beside {
                alone = Some((prepared, beside, reply));
                break;
            }
            batches.push(prepared);
            replies.push(reply);
            let full = batches.len() >= self.common.settings.commit_batches_max.max(1);
            next = if full { None } else { self.inbox.try_recv().ok() };
        }
        if !batches.is_empty() {
            self.commit_and_answer(Work::Batches(&batches), replies).await;
        }
        if let Some((prepared, beside, reply)) = alone {
            self.commit_and_answer(Work::Kept(&prepared, &beside), vec![reply]).await;
        }
    }

    async fn commit_and_answer(&mut self, work: Work<'_>, replies: Vec<oneshot::Sender<Reply>>) {
        let deadline = Instant::now() + self.common.settings.append_deadline();
        match self.commit(work, deadline).await {
            Ok(outcomes) => {
                self.keys.settled(work.batches(), &outcomes);
                for (reply, outcome) in replies.into_iter().zip(outcomes) {
                    // A caller that went away has no one to tell.
                    let _ = reply.send(outcome);
                }
            }
            Err(error) => {
                tracing::error!(%error, "the journal did not take an append");
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// One commit over all of the work. It is tried again only when it is certain that it was not made.
    async fn commit(&mut self, work: Work<'_>, deadline: Instant) -> Result<Vec<Reply>, JournalError> {
        if self.common.state.load(Ordering::Acquire) != READY && self.joined.is_none() {
            return Err(unavailable("the database is away"));
        }
        let batches = work.batches();
        loop {
            if self.joined.is_none() {
                self.join(deadline).await?;
            }
            let Some(joined) = &self.joined else { continue };
            let asked = self.keys.ask(&self.common, (&joined.session, &joined.keys), batches);
            if !matches!(timeout_at(deadline, asked).await, Ok(Ok(()))) {
                // Nothing was sent that could have been written.
                self.part();
                continue;
            }
            let key = random_bytes::<16>().map_err(|_| unavailable("no randomness for a key"))?;
            let locks = self.keys.lock(self.common.master.as_ref(), batches);
            let appended = timeout_at(deadline, joined.append(&self.common.settings, &key, work, &locks)).await;
            let trouble = match appended {
                Ok(Ok(rows)) => {
                    let outcomes = rows::outcomes(batches, locks, &rows)?;
                    self.common.heard_of();
                    self.note(outcomes.iter().flatten().flatten());
                    return Ok(outcomes);
                }
                Ok(Err(trouble)) => trouble,
                Err(_) => {
                    self.common.connector.look_elsewhere();
                    Trouble::Unknown("no answer in time")
                }
            };
            match trouble {
                Trouble::OtherKey if Instant::now() < deadline => self.keys.doubt(),
                Trouble::OtherKey | Trouble::MovedOn => return Err(trouble.into()),
                // Appends may go on: it is what was done beside this one that the database does not let us do.
                Trouble::Refused(_) if matches!(work, Work::Kept(..)) => return Err(trouble.into()),
                Trouble::Refused(_) => {
                    self.part();
                    self.common.becomes(FAILING);
                    return Err(trouble.into());
                }
                Trouble::Fenced => self.part(),
                Trouble::NameTaken => {
                    self.common.becomes(ENDED);
                    return Err(trouble.into());
                }
                Trouble::Unknown(why) => {
                    tracing::warn!(why, "the outcome of an append is not known; it is read back");
                    self.part();
                    self.doubt = Some(key);
                    if let Some(entries) = self.join(deadline).await.map_err(in_doubt)? {
                        return Ok(rows::outcomes_read_back(batches, entries));
                    }
                }
            }
        }
    }

    /// What is durable now, and how far it is known what others appended.
    fn note<'a>(&self, entries: impl Iterator<Item = &'a Entry>) {
        let (mut first, mut last) = (None, None);
        for entry in entries {
            first = first.or(Some(entry.sequence));
            last = Some(entry);
        }
        let (Some(first), Some(last)) = (first, last) else { return };
        self.common.is_durable(last);
        let before = first.saturating_sub(1);
        let step = self.common.followed.compare_exchange(before, last.sequence, Ordering::AcqRel, Ordering::Acquire);
        if step.is_err_and(|followed| followed < before) {
            self.common.follow.notify_one();
        }
        if self.common.others.load(Ordering::Acquire) > 0 {
            self.common.announce.notify_one();
        }
    }

    /// Joins within the deadline, however often that takes, and makes known what was in doubt: the entries of that append,
    /// or `None` where it was not made and never will be.
    async fn join(&mut self, deadline: Instant) -> Result<Option<Vec<Entry>>, JournalError> {
        let News { joined, last_commit, written, held } = loop {
            let late = || Err(Trouble::Unknown("no answer in time").into());
            match timeout_at(deadline, join(&self.common, self.first)).await.unwrap_or_else(|_| late()) {
                Ok(news) => break news,
                Err(error @ (JournalError::Poisoned | JournalError::Corrupt { .. })) => {
                    self.common.becomes(ENDED);
                    return Err(error);
                }
                Err(error) if Instant::now() + RETRY_EVERY >= deadline => {
                    self.common.becomes(FAILING);
                    return Err(error);
                }
                Err(_) => sleep(RETRY_EVERY).await,
            }
        };
        self.common.epoch.store(joined.epoch, Ordering::Release);
        self.joined = Some(joined);
        let settled = self.doubt.take().filter(|key| last_commit.as_ref() == Some(key)).map(|_| written);
        if let Some(entries) = &settled {
            self.note(entries.iter());
        }
        if !self.first {
            self.tell(Heard::Holding(held));
        }
        self.first = false;
        self.common.becomes(READY);
        self.common.heard_of();
        Ok(settled)
    }

    /// Tries to come back after the callers have been answered.
    async fn come_back(&mut self) {
        let deadline = Instant::now() + self.common.settings.append_deadline();
        match self.join(deadline).await {
            // The desk was told that it does not know of these: now it must.
            Ok(Some(entries)) => self.tell(Heard::Recovered(entries)),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the journal's database is still away"),
        }
    }

    fn tell(&self, heard: Heard) {
        // The desk may be waiting for this task: it is not waited for.
        let ear = self.common.heard.clone();
        tokio::spawn(async move { ear.send(heard).await });
    }

    /// An adapter that stops in order is not waited for by those who take over.
    async fn say_goodbye(&self) {
        let Some(joined) = &self.joined else { return };
        let Settings { agency, adapter, .. } = &self.common.settings;
        let goodbye = async {
            let statement = joined.session.prepare("SELECT fourth.say_goodbye($1, $2, $3)").await?;
            joined.session.read(&statement, &[agency, adapter, &joined.epoch]).await
        };
        let deadline = Instant::now() + self.common.settings.append_deadline();
        if !matches!(timeout_at(deadline, goodbye).await, Ok(Ok(_))) {
            tracing::warn!("others wait for this adapter's lease to end");
        }
    }
}

/// What one commit writes.
#[derive(Clone, Copy)]
enum Work<'a> {
    /// Batches that share it.
    Batches(&'a [Prepared]),
    /// One of the adapter's own, with what is done beside it.
    Kept(&'a Prepared, &'a Beside),
}

impl<'a> Work<'a> {
    fn batches(self) -> &'a [Prepared] {
        match self {
            Self::Batches(batches) => batches,
            Self::Kept(prepared, _) => std::slice::from_ref(prepared),
        }
    }
}

impl Joined {
    async fn append(
        &self,
        settings: &Settings,
        key: &[u8; 16],
        work: Work<'_>,
        locks: &[Lock],
    ) -> Result<Vec<tokio_postgres::Row>, Trouble> {
        let arrays = Arrays::of(work.batches(), locks);
        let key = key.as_slice();
        let Settings { agency, adapter, .. } = settings;
        if let Work::Kept(_, beside) = work {
            let columns = beside.columns();
            let at = arrays.ats.first().copied().unwrap_or_default();
            let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 17] = [
                agency,
                adapter,
                &self.epoch,
                &key,
                &at,
                &arrays.kinds,
                &arrays.event_versions,
                &arrays.payloads,
                &columns.forget,
                &columns.version,
                &columns.digests,
                &columns.seal,
                &columns.hash,
                &columns.entries,
                &columns.ended_at,
                &columns.drop,
                &columns.roster,
            ];
            return self.session.commit(&self.keep, &parameters).await;
        }
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 20] = [
            agency,
            adapter,
            &self.epoch,
            &key,
            &arrays.incidents,
            &arrays.expected,
            &arrays.ats,
            &arrays.rests,
            &arrays.called_by,
            &arrays.called,
            &arrays.began,
            &arrays.closed_at,
            &arrays.events,
            &arrays.kinds,
            &arrays.event_versions,
            &arrays.payloads,
            &arrays.digests,
            &arrays.contents,
            &arrays.wrapped,
            &arrays.new_keys,
        ];
        self.session.commit(&self.append, &parameters).await
    }
}

/// What joining tells.
struct News {
    joined: Joined,
    last_commit: Option<[u8; 16]>,
    /// The entries of the last commit.
    written: Vec<Entry>,
    held: BTreeSet<IncidentId>,
}

async fn join(common: &Common, first: bool) -> Result<News, JournalError> {
    let settings = &common.settings;
    let session = common.connector.open(true, None).await?;
    let (agency, adapter) = (&settings.agency, &settings.adapter);
    let statement = session.prepare(JOIN).await?;
    let append = session.prepare(APPEND).await?;
    let keep = session.prepare(KEEP).await?;
    let keys = session.prepare(SELECT_KEYS).await?;
    let settle = settle_statement(&session).await?;
    let instance = common.instance.as_slice();
    let lease_ms = i64::from(settings.lease_ms);
    let told = session.read(&statement, &[agency, adapter, &instance, &first, &lease_ms]).await;
    let told = told.map_err(|trouble| if trouble == Trouble::NameTaken { ended(&trouble) } else { trouble.into() })?;
    let Some(row) = told.first() else { return Err(unavailable("the database did not let this adapter join")) };
    let epoch: i64 = field(row, 0)?;
    let last_commit: Option<&[u8]> = field(row, 1)?;
    let (from, to): (Option<i64>, Option<i64>) = (field(row, 2)?, field(row, 3)?);
    // A commit with all its waits, before anything is promised; and a look whether this server has what was acknowledged.
    let durable = common.durable();
    let held = settled_at(&session, &settle, settings, (durable.sequence(), &durable.hash_hex())).await?;
    if durable.sequence() > 0 && !held {
        let why = "it was acknowledged and this server has not got it (an old backup, or a standby that was behind)";
        return Err(JournalError::Corrupt { sequence: durable.sequence(), why: why.to_owned() });
    }
    let mut written = Vec::new();
    if let (Some(from), Some(to)) = (from, to) {
        let statement = session.prepare(SELECT_AFTER).await?;
        let (before, count) = (from.saturating_sub(1), to.saturating_sub(from).saturating_add(1));
        let found = session.read(&statement, &[agency, &before, &count]).await?;
        written = rows::in_order(&found, u64::try_from(before).unwrap_or_default())?;
        // Where they were dropped meanwhile, what was read is what follows on them.
        written.retain(|entry| i64::try_from(entry.sequence).is_ok_and(|sequence| sequence <= to));
    }
    let statement = session.prepare(SELECT_HELD).await?;
    let mut held = BTreeSet::new();
    for row in session.read(&statement, &[agency, adapter]).await? {
        held.insert(IncidentId::new(field::<&str>(&row, 0)?));
    }
    let last_commit = last_commit.and_then(|key| key.try_into().ok());
    Ok(News { joined: Joined { session, epoch, append, keep, keys }, last_commit, written, held })
}

fn ended(trouble: &Trouble) -> JournalError {
    let error = JournalError::from(trouble.clone());
    tracing::error!(%error, "this adapter appends nothing any more");
    JournalError::Poisoned
}
