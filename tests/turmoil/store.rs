//! The simulated journal: survives every crash, and is where appends die, tear, fail, wait, or lose their answer.

use crate::chance::Chance;
use crate::disk::{Disk, kind};
use crate::plan::{Aim, Fault, Plan, Point};
use crate::world::{Crash, Life, Shared, held, now_ms};
use bytes::Bytes;
use fourth_option::journal::{Batch, Called, Entry, Journal, JournalError, Pending};
use fourth_option::record::IncidentId;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::sleep;

/// What is on the disk, and what is going to go wrong with it.
pub struct Store {
    pub disk: Disk,
    faults: Vec<(Aim, Fault)>,
    appends: u64,
    kinds: BTreeMap<&'static str, u64>,
    replies: u64,
    sent: u64,
    poisoned_life: Option<u64>,
    refuses_until_ms: u64,
    stalls_until_ms: u64,
    /// The last instant at which the store hindered the adapter, and the appends under way that do.
    hindered_at_ms: u64,
    under_way: u32,
    slow_appends: u64,
    seed: u64,
    healed: bool,
}

enum Fate {
    Dead,
    Refused(JournalError),
    Taken { after_ms: u64, then: Then },
}

#[derive(Clone, Copy)]
enum Then {
    Answer,
    Die(Crash),
    LoseAnswer,
    Poison(u64),
}

impl Store {
    pub fn new(plan: &Plan) -> Self {
        Self {
            disk: Disk::default(),
            faults: plan.faults.clone(),
            appends: 0,
            kinds: BTreeMap::new(),
            replies: 0,
            sent: 0,
            poisoned_life: None,
            refuses_until_ms: 0,
            stalls_until_ms: 0,
            hindered_at_ms: 0,
            under_way: 0,
            slow_appends: plan.slow_appends,
            seed: plan.seed,
            healed: false,
        }
    }

    /// From here nothing goes wrong any more.
    pub fn heal(&mut self, now_ms: u64) {
        self.healed = true;
        self.faults.clear();
        if self.refuses_until_ms.max(self.stalls_until_ms) > now_ms {
            self.hindered_at_ms = now_ms;
        }
        (self.refuses_until_ms, self.stalls_until_ms) = (0, 0);
    }

    /// Answers nothing until then.
    pub fn stall(&mut self, until_ms: u64) {
        self.stalls_until_ms = self.stalls_until_ms.max(until_ms);
    }

    pub fn is_shut(&self, now_ms: u64) -> bool {
        now_ms < self.stalls_until_ms.max(self.refuses_until_ms)
    }

    /// Since when the store has hindered nobody; `None` while it does.
    pub fn free_since_ms(&self, now_ms: u64) -> Option<u64> {
        let since = self.hindered_at_ms.max(self.refuses_until_ms).max(self.stalls_until_ms);
        (self.under_way == 0 && since <= now_ms).then_some(since)
    }

    pub fn hinders(&mut self, now_ms: u64) {
        self.hindered_at_ms = self.hindered_at_ms.max(now_ms);
    }

    /// The process died: what it waited for waits no more.
    pub fn died(&mut self, now_ms: u64) {
        self.under_way = 0;
        self.hinders(now_ms);
    }

    pub fn is_poisoned(&self, life: u64) -> bool {
        self.poisoned_life == Some(life)
    }

    /// The fault aimed at what happens now, once.
    fn aimed(&mut self, hits: impl Fn(&Aim) -> bool) -> Option<Fault> {
        let place = self.faults.iter().position(|(aim, _)| hits(aim))?;
        Some(self.faults.remove(place).1)
    }

    /// An answer's first bytes are about to leave: the crash that is aimed at it, if any.
    pub fn replies(&mut self) -> Option<Crash> {
        self.replies += 1;
        let nth = self.replies;
        self.aimed(|aim| *aim == Aim::Reply(nth)).map(Crash::of)
    }

    /// A message of the outbox has left: the crash that is aimed at what follows, if any.
    pub fn sent(&mut self) -> Option<Crash> {
        self.sent += 1;
        let nth = self.sent;
        self.aimed(|aim| *aim == Aim::Sent(nth)).map(Crash::of)
    }
}

impl Crash {
    fn of(fault: Fault) -> Self {
        match fault {
            Fault::Die { down_ms, power, clock_step_s, .. } => Self { down_ms, power, clock_step_s },
            _ => Self { down_ms: 1_000, power: false, clock_step_s: 0 },
        }
    }
}

/// The store as one life of the adapter sees it.
pub struct SimulatedJournal {
    pub world: Shared,
    pub life: Life,
}

impl SimulatedJournal {
    fn fate(&self, batch: &Batch) -> Fate {
        let mut world = held(&self.world);
        let now_ms = now_ms();
        let life = self.life.number;
        if !self.life.is_alive() {
            return Fate::Dead;
        }
        let store = &mut world.store;
        if store.is_poisoned(life) {
            return Fate::Refused(JournalError::Poisoned);
        }
        store.appends += 1;
        let mut hits = vec![Aim::Append(store.appends)];
        for stored in &batch.events {
            let nth = store.kinds.entry(kind(stored)).or_default();
            *nth += 1;
            hits.push(Aim::Event(kind(stored), *nth));
        }
        if now_ms < store.refuses_until_ms {
            world.inject("the store refuses an append");
            return Fate::Refused(JournalError::Unavailable("full".to_owned()));
        }
        let stall_ms = store.stalls_until_ms.saturating_sub(now_ms);
        let mut slow = Chance::of(store.seed, &[7, store.appends]);
        let slow_ms = if !store.healed && slow.percent(store.slow_appends) { slow.between(1, 30) } else { 0 };
        let after_ms = stall_ms.max(slow_ms);
        let fault = store.aimed(|aim| hits.contains(aim));
        if fault.is_some() {
            store.hindered_at_ms = now_ms;
        }
        if stall_ms > 0 {
            world.inject("an append waits for a store that stands still");
        }
        match fault {
            None => Fate::Taken { after_ms, then: Then::Answer },
            Some(fault @ Fault::Die { point, .. }) => {
                let crash = Crash::of(fault);
                match point {
                    Point::Before => world.inject("the process dies before a write"),
                    Point::Torn => world.inject("the process dies halfway through a write"),
                    Point::After => {
                        world.inject("the process dies between a write and its answer");
                        return Fate::Taken { after_ms, then: Then::Die(crash) };
                    }
                }
                world.die(&self.life, crash);
                Fate::Dead
            }
            Some(Fault::FailedSync { durable, down_ms }) => {
                world.inject("a sync fails");
                if durable {
                    return Fate::Taken { after_ms, then: Then::Poison(down_ms) };
                }
                world.poison(&self.life, down_ms);
                Fate::Refused(JournalError::Poisoned)
            }
            Some(Fault::Refuse { for_ms }) => {
                world.inject("the store refuses an append");
                world.store.refuses_until_ms = now_ms + for_ms;
                Fate::Refused(JournalError::Unavailable("full".to_owned()))
            }
            Some(Fault::AnswerLost) => {
                world.inject("a commit's answer is lost");
                Fate::Taken { after_ms, then: Then::LoseAnswer }
            }
            Some(Fault::Slow { by_ms }) => {
                world.inject("an append is slow");
                Fate::Taken { after_ms: after_ms.max(by_ms), then: Then::Answer }
            }
        }
    }

    /// Readings are never answered to the dead, and wait while the store stands still.
    async fn read<T>(&self, work: impl FnOnce(&Store) -> T) -> Result<T, JournalError> {
        loop {
            let left_ms = held(&self.world).store.stalls_until_ms.saturating_sub(now_ms());
            if left_ms == 0 {
                break;
            }
            sleep(Duration::from_millis(left_ms.min(100))).await;
        }
        if !self.life.is_alive() {
            return std::future::pending().await;
        }
        Ok(work(&held(&self.world).store))
    }
}

impl crate::world::World {
    fn poison(&mut self, life: &Life, down_ms: u64) {
        self.store.poisoned_life = Some(life.number);
        // Whoever supervises the process sees it poisoned and starts it again.
        self.supervisor = Some((now_ms() + 1_000, life.clone(), Crash { down_ms, power: false, clock_step_s: 0 }));
    }
}

impl Journal for SimulatedJournal {
    fn append(&self, batch: Batch) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        Box::pin(async move {
            let (mut after_ms, then) = match self.fate(&batch) {
                Fate::Dead => return std::future::pending().await,
                Fate::Refused(error) => return Err(error),
                Fate::Taken { after_ms, then } => (after_ms, then),
            };
            if after_ms > 0 {
                held(&self.world).store.under_way += 1;
                while after_ms > 0 {
                    // In short steps: a store that is mended meanwhile goes on.
                    let step = after_ms.min(100);
                    sleep(Duration::from_millis(step)).await;
                    after_ms = if held(&self.world).store.healed { 0 } else { after_ms - step };
                }
                let mut world = held(&self.world);
                world.store.under_way = world.store.under_way.saturating_sub(1);
                world.store.hinders(now_ms());
            }
            let answer = {
                let mut world = held(&self.world);
                if self.life.is_alive() {
                    let written = world.store.disk.commit(batch);
                    if let Ok(entries) = &written {
                        world.written(entries, now_ms());
                    }
                    match then {
                        Then::Answer => Some(written),
                        Then::LoseAnswer => {
                            Some(written.and_then(|_| Err(JournalError::InDoubt("no answer".to_owned()))))
                        }
                        Then::Poison(down_ms) => {
                            world.poison(&self.life, down_ms);
                            Some(Err(JournalError::Poisoned))
                        }
                        Then::Die(crash) => {
                            world.die(&self.life, crash);
                            None
                        }
                    }
                } else {
                    None
                }
            };
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }

    fn read_after(&self, after: u64, limit: usize) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        Box::pin(self.read(move |store| store.disk.after(after, limit)))
    }

    fn read_incident(&self, incident: &IncidentId) -> Pending<'_, Result<Vec<Entry>, JournalError>> {
        let incident = incident.clone();
        Box::pin(self.read(move |store| store.disk.of_incident(&incident)))
    }

    fn read_kind_before<'a>(
        &'a self,
        wanted: &'a str,
        before: u64,
        limit: usize,
    ) -> Pending<'a, Result<Vec<Entry>, JournalError>> {
        Box::pin(self.read(move |store| store.disk.of_kind_before(wanted, before, limit)))
    }

    fn unsettled(&self) -> Pending<'_, Result<Vec<(IncidentId, Option<Called>)>, JournalError>> {
        Box::pin(self.read(|store| store.disk.unsettled()))
    }

    fn called_since(&self, since: Timestamp) -> Pending<'_, Result<Vec<(IncidentId, Called)>, JournalError>> {
        Box::pin(self.read(move |store| store.disk.called_since(since)))
    }

    fn last_instant(&self) -> Pending<'_, Result<Option<Timestamp>, JournalError>> {
        Box::pin(async {
            let last = self.read(|store| store.disk.last_instant()).await?;
            held(&self.world).goes_on_from(last);
            Ok(last)
        })
    }

    fn content(&self, _: &IncidentId, sha256: &str) -> Pending<'_, Result<Option<Bytes>, JournalError>> {
        let sha256 = sha256.to_owned();
        Box::pin(self.read(move |store| store.disk.content(&sha256)))
    }

    fn ready(&self) -> bool {
        !held(&self.world).store.is_poisoned(self.life.number)
    }
}
