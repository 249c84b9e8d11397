//! Several adapters on one simulated store: who holds which incident, whose lease has ended, what each hears of the others.
//!
//! As `src/journal/postgres/` has it: who appends to an incident holds it; an adapter that is dead or cut off for a lease's
//! time is fenced, and a living one takes over what it held; who comes back is told what it still holds.

use crate::store::{Life, SimulatedJournal, Store, held};
use fourth_option::journal::{Entry, Heard, JournalError, Pending, Shared};
use fourth_option::record::IncidentId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How long an adapter is believed to be alive without a word.
pub const LEASE_MS: u64 = 3_000;
/// How long an append waits for a store that does not answer.
pub const APPEND_DEADLINE_MS: u64 = 2_000;
/// Messages that may wait for a desk: more than any world has.
const HEARD_MAX: usize = 4_096;

/// The adapters on one store.
pub struct Sharing {
    members: Vec<Member>,
    holders: BTreeMap<IncidentId, Holder>,
    claims: BTreeMap<[u8; 32], IncidentId>,
    /// Who wrote each entry.
    authors: Vec<usize>,
}

struct Member {
    /// Dead, or cut off from the store, since this instant.
    lost_since: Option<Instant>,
    cut: bool,
    /// An append was not answered since it was cut off: whatever comes next is refused at once.
    failing: bool,
    fenced: bool,
    /// Appends that wait for an answer which does not come.
    waiting: u32,
    /// Since when it has been there again.
    back_since: Instant,
    followed: usize,
    /// What it appended last, where it does not know whether that was made.
    in_doubt: Option<Range<usize>>,
    ear: Option<mpsc::Sender<Heard>>,
    hearing: Option<mpsc::Receiver<Heard>>,
}

#[derive(Clone, Copy)]
struct Holder {
    node: usize,
    since: Instant,
}

impl Sharing {
    pub fn of(nodes: usize) -> Self {
        let member = || Member {
            lost_since: Some(Instant::now()),
            cut: false,
            failing: false,
            fenced: false,
            waiting: 0,
            back_since: Instant::now(),
            followed: 0,
            in_doubt: None,
            ear: None,
            hearing: None,
        };
        Self {
            members: (0..nodes).map(|_| member()).collect(),
            holders: BTreeMap::new(),
            claims: BTreeMap::new(),
            authors: Vec::new(),
        }
    }

    pub fn is_shared(&self) -> bool {
        self.members.len() > 1
    }

    /// An append waits in vain, or has stopped waiting.
    pub fn waits(&mut self, node: usize, so: bool) {
        let member = &mut self.members[node];
        if so {
            member.waiting += 1;
        } else {
            member.waiting = member.waiting.saturating_sub(1);
            member.back_since = Instant::now();
        }
    }

    pub fn is_waiting(&self, node: usize) -> bool {
        self.members[node].waiting > 0
    }

    pub fn is_cut(&self, node: usize) -> bool {
        self.members[node].cut
    }

    /// Who holds an incident, and since when it does and can be reached by it.
    pub fn holder(&self, incident: &IncidentId) -> Option<(usize, Instant)> {
        if !self.is_shared() {
            return Some((0, self.members[0].back_since));
        }
        let holder = self.holders.get(incident)?;
        Some((holder.node, holder.since.max(self.members[holder.node].back_since)))
    }

    /// Since when a node is away, or is there again.
    pub fn parted(&self, node: usize) -> Instant {
        let member = &self.members[node];
        member.lost_since.unwrap_or(member.back_since)
    }

    /// The first append since the cut waits for an answer; the ones after it are refused at once.
    pub fn refuses_at_once(&mut self, node: usize) -> bool {
        std::mem::replace(&mut self.members[node].failing, true)
    }

    pub fn wrote(&mut self, node: usize, incident: Option<&IncidentId>, entries: usize) {
        self.authors.extend(std::iter::repeat_n(node, entries));
        if let Some(id) = incident.filter(|_| self.is_shared()) {
            let since = Instant::now();
            let before = self.holders.get(id).filter(|holder| holder.node == node).map(|holder| holder.since);
            self.holders.insert(id.clone(), Holder { node, since: before.unwrap_or(since) });
        }
    }

    pub fn doubts(&mut self, node: usize, entries: Range<usize>) {
        self.members[node].in_doubt = Some(entries);
    }

    fn tell(&mut self, node: usize, heard: Heard) {
        if let Some(ear) = &self.members[node].ear {
            ear.try_send(heard).expect("an ear that takes all of a world");
        }
    }
}

impl Store {
    /// A new life joins: its lease runs, and it hears from here on.
    pub fn joins(&mut self, node: usize) {
        let (ear, hearing) = mpsc::channel(HEARD_MAX);
        let followed = self.disk.entries.len();
        let member = &mut self.sharing.members[node];
        let cut = member.cut;
        *member = Member {
            lost_since: if cut { Some(Instant::now()) } else { None },
            cut,
            failing: false,
            fenced: false,
            waiting: 0,
            back_since: Instant::now(),
            followed,
            in_doubt: None,
            ear: Some(ear),
            hearing: Some(hearing),
        };
    }

    /// A node is dead or cut off from now on; answers since when, for [`Store::lease_ends`].
    pub fn is_lost(&mut self, node: usize) -> Instant {
        let member = &mut self.sharing.members[node];
        *member.lost_since.get_or_insert_with(Instant::now)
    }

    pub fn cut(&mut self, node: usize) -> Instant {
        self.sharing.members[node].cut = true;
        self.is_lost(node)
    }

    /// A node that was cut off is back: it joins again, and is told what it holds and what it had written.
    pub fn mend(&mut self, node: usize) {
        let down = self.is_down(node);
        let held = self.held_by(node);
        let member = &mut self.sharing.members[node];
        if !std::mem::take(&mut member.cut) || down {
            return;
        }
        (member.lost_since, member.fenced, member.failing) = (None, false, false);
        member.back_since = Instant::now();
        self.sharing.tell(node, Heard::Holding(held));
        self.recovers(node);
        self.follow(node);
    }

    /// What a node had appended, and was not told of, is made known to it.
    pub fn recovers(&mut self, node: usize) {
        if self.is_away(node) {
            return;
        }
        if let Some(written) = self.sharing.members[node].in_doubt.take() {
            let entries = self.disk.entries[written].to_vec();
            self.sharing.tell(node, Heard::Recovered(entries));
        }
    }

    fn is_away(&self, node: usize) -> bool {
        self.is_down(node) || self.sharing.is_cut(node)
    }

    /// A node hears what others appended.
    pub fn follow(&mut self, node: usize) {
        if self.is_away(node) {
            return;
        }
        let member = &mut self.sharing.members[node];
        let from = std::mem::replace(&mut member.followed, self.disk.entries.len());
        let others = self.disk.entries[from..].iter().zip(&self.sharing.authors[from..]).filter(|(_, by)| **by != node);
        let entries: Vec<Entry> = others.map(|(entry, _)| entry.clone()).collect();
        if !entries.is_empty() {
            self.sharing.tell(node, Heard::Appended(entries));
        }
    }

    /// A lease that has run out since a node was lost: it is fenced, and somebody takes over.
    pub fn lease_ends(&mut self, node: usize, lost_since: Instant) {
        let member = &mut self.sharing.members[node];
        if member.lost_since == Some(lost_since) && lost_since.elapsed() >= Duration::from_millis(LEASE_MS) {
            member.fenced = true;
        }
        self.take_over();
    }

    /// Whoever is there takes over what the fenced held.
    pub fn take_over(&mut self) {
        let away = |node: &usize| self.is_away(*node) || self.sharing.members[*node].fenced;
        let Some(heir) = (0..self.sharing.members.len()).find(|node| !away(node)) else { return };
        let fenced = |node: usize| self.sharing.members[node].fenced;
        let orphans: Vec<IncidentId> = self
            .unsettled_now()
            .filter(|id| self.sharing.holders.get(*id).is_some_and(|by| fenced(by.node)))
            .cloned()
            .collect();
        if orphans.is_empty() {
            return;
        }
        self.count("an adapter takes over from a dead one");
        for id in &orphans {
            self.sharing.holders.insert(id.clone(), Holder { node: heir, since: Instant::now() });
        }
        self.sharing.tell(heir, Heard::TakenOver(orphans));
    }

    fn held_by(&self, node: usize) -> BTreeSet<IncidentId> {
        let by = |id: &&IncidentId| self.sharing.holders.get(*id).is_some_and(|holder| holder.node == node);
        self.unsettled_now().filter(by).cloned().collect()
    }
}

impl Shared for SimulatedJournal {
    fn hear(&self) -> Option<mpsc::Receiver<Heard>> {
        held(&self.store).sharing.members[self.life.node].hearing.take()
    }

    fn held(&self) -> Pending<'_, Result<BTreeSet<IncidentId>, JournalError>> {
        let Life { node, .. } = self.life;
        Box::pin(self.read(move |store| store.held_by(node)))
    }

    fn claim(&self, name_sha256: [u8; 32], incident: &IncidentId) -> Pending<'_, Result<IncidentId, JournalError>> {
        let named = self.read(|_| ());
        let incident = incident.clone();
        Box::pin(async move {
            named.await?;
            Ok(held(&self.store).sharing.claims.entry(name_sha256).or_insert(incident).clone())
        })
    }
}
