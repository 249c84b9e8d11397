//! What keeps an adapter among the living, finds the dead, and hears what others append.

use super::common::Common;
use super::reading::Reading;
use super::rows::field;
use super::session::{Session, Trouble};
use crate::journal::{Entry, Heard, JournalError};
use crate::record::IncidentId;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_postgres::Statement;

const SIGN_OF_LIFE: &str = "SELECT * FROM fourth.sign_of_life($1, $2, $3, $4)";
const FENCE_THE_DEAD: &str = "SELECT fourth.fence_the_dead($1, $2)";
const CLAIM_ORPHANS: &str = include_str!("../../../schemas/journal/postgres/claim_orphans.sql");

/// Incidents taken over at one time: small, so that survivors share them, and a burst of overdue deadlines is spread.
const CLAIMED_AT_ONCE_MAX: i64 = 256;
/// Sequences looked through at one time for what others appended.
const FOLLOWED_AT_ONCE_MAX: u64 = 2_000;
/// Signs of life in one lease: two may be lost.
const SIGNS_A_LEASE: u32 = 3;

/// Gives signs of life, takes over from the dead, tells others of what is durable. Ends with its handle.
pub(super) async fn keep(common: Arc<Common>) {
    let beat = common.settings.lease() / SIGNS_A_LEASE;
    loop {
        if let Err(trouble) = keep_session(&common, beat).await {
            tracing::warn!(error = %JournalError::from(trouble), "no signs of life can be given");
        }
        tokio::time::sleep(beat.min(Duration::from_millis(250))).await;
    }
}

struct Keeping {
    session: Session,
    sign: Statement,
    fence: Statement,
    claim: Statement,
    channel: String,
}

async fn keep_session(common: &Common, beat: Duration) -> Result<(), Trouble> {
    let (heard, mut hearing) = mpsc::unbounded_channel();
    let session = common.connector.open(false, Some(heard)).await?;
    let channel = channel_of(&common.settings.agency);
    session.script(&format!("LISTEN {channel}")).await?;
    let keeping = Keeping {
        sign: session.prepare(SIGN_OF_LIFE).await?,
        fence: session.prepare(FENCE_THE_DEAD).await?,
        claim: session.prepare(CLAIM_ORPHANS).await?,
        session,
        channel,
    };
    common.follow.notify_one();
    let since = Instant::now();
    let mut beats = interval(beat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let limit = common.settings.append_deadline();
    loop {
        tokio::select! {
            _ = beats.tick() => {
                let patient = since.elapsed() >= common.settings.lease();
                timeout(limit, keeping.beat(common, patient)).await.unwrap_or(Err(Trouble::Unknown("no answer in time")))?;
            }
            () = common.announce.notified() => {
                let notify = format!("NOTIFY {}", keeping.channel);
                let told = keeping.session.script(&notify);
                timeout(limit, told).await.unwrap_or(Err(Trouble::Unknown("no answer in time")))?;
            }
            told = hearing.recv() => match told {
                Some(()) => common.follow.notify_one(),
                None => return Err(Trouble::Unknown("the connection broke")),
            }
        }
    }
}

impl Keeping {
    /// A sign of life; then, where somebody died and this adapter has been here for a lease's time itself, a take-over.
    /// After a fail-over everybody's lease has ended: whoever is back first gives the others that time.
    async fn beat(&self, common: &Common, patient: bool) -> Result<(), Trouble> {
        let epoch = common.epoch.load(Ordering::Acquire);
        if epoch == 0 {
            return Ok(());
        }
        let (agency, adapter) = (&common.settings.agency, &common.settings.adapter);
        let lease_ms = i64::from(common.settings.lease_ms);
        let told = match self.session.read(&self.sign, &[agency, adapter, &epoch, &lease_ms]).await {
            Err(Trouble::Fenced) => {
                // The writer may have joined again meanwhile; then the epoch is another one.
                if common.epoch.load(Ordering::Acquire) == epoch {
                    common.rejoin.notify_one();
                }
                return Ok(());
            }
            told => told?,
        };
        let Some(row) = told.first() else { return Ok(()) };
        let read = || Ok::<_, JournalError>((field::<i64>(row, 0)?, field::<i64>(row, 1)?, field::<bool>(row, 2)?));
        let (head, others, orphans) = read().map_err(|_| Trouble::Unknown("an answer that is not ours"))?;
        common.heard_of();
        common.others.store(usize::try_from(others).unwrap_or_default(), Ordering::Release);
        if u64::try_from(head).unwrap_or_default() > common.followed.load(Ordering::Acquire) {
            common.follow.notify_one();
        }
        if orphans && patient {
            self.take_over(common).await?;
        }
        Ok(())
    }

    async fn take_over(&self, common: &Common) -> Result<(), Trouble> {
        let (agency, adapter) = (&common.settings.agency, &common.settings.adapter);
        self.session.read(&self.fence, &[agency, adapter]).await?;
        loop {
            let rows = self.session.read(&self.claim, &[agency, adapter, &CLAIMED_AT_ONCE_MAX]).await?;
            let named = rows.iter().filter_map(|row| field::<&str>(row, 0).ok()).map(IncidentId::new);
            let taken: Vec<IncidentId> = named.collect();
            if taken.is_empty() {
                return Ok(());
            }
            tracing::warn!(incidents = taken.len(), "another adapter is dead; its incidents are taken over");
            if common.heard.send(Heard::TakenOver(taken)).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Reads what others appended, whenever there may be something, and tells the desk. Ends with its handle.
pub(super) async fn follow(common: Arc<Common>, reading: Arc<Reading>) {
    loop {
        common.follow.notified().await;
        while let Err(error) = follow_to_head(&common, &reading).await {
            tracing::warn!(%error, "what other adapters appended cannot be read; it is tried again");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
}

async fn follow_to_head(common: &Common, reading: &Reading) -> Result<(), JournalError> {
    let mut ends = reading.ends().await?;
    loop {
        let after = common.followed.load(Ordering::Acquire);
        if ends.begins.sequence() > after {
            tracing::warn!("a period was dropped before all of it was heard of here; what is in memory is read again");
            if common.heard.send(Heard::Missed).await.is_err() {
                return Ok(());
            }
            common.followed.fetch_max(ends.begins.sequence(), Ordering::AcqRel);
            continue;
        }
        if ends.head <= after {
            return Ok(());
        }
        let upto = ends.head.min(after.saturating_add(FOLLOWED_AT_ONCE_MAX));
        let entries: Vec<Entry> = reading.of_others(after, upto).await?;
        // Asked after the entries: none of them was taken away before it was read, where the chain still begins before them.
        ends = reading.ends().await?;
        if ends.begins.sequence() > after {
            continue;
        }
        if !entries.is_empty() && common.heard.send(Heard::Appended(entries)).await.is_err() {
            return Ok(());
        }
        common.followed.fetch_max(upto, Ordering::AcqRel);
    }
}

/// One channel an agency, so that nobody wakes for another's calls.
fn channel_of(agency: &str) -> String {
    let digest = hex::encode(Sha256::digest(agency.as_bytes()));
    format!("fourth_{}", digest.get(..32).unwrap_or_default())
}
