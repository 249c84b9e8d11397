//! Incidents that a CAD merged, split or linked: the dangers of one hold for each (fault 12), and a call that was merged
//! into another incident ends in its own, so that nobody is sent twice for it.
//!
//! Ties hold both ways and through one another. What an incident learns by them is journaled in it like any news, so that a
//! restart and other adapters come to the same; they are gone through again after every append, and at a restart.

use super::decide;
use super::finding::{CallKey, Found, stated_begin};
use super::live::{CLOSED_KEPT_H, Desk, Prepared, Situation, Slot, lock};
use super::views::CallProblem;
use crate::facts::{FactSources, Facts, Source};
use crate::incident::{Command, Event, Incident, Phase};
use crate::journal::{Stored, Subject};
use crate::policy::Policy;
use crate::record::{AgencyId, CallRecord, IncidentId, RELATED_MAX, RecordIdentity, Related, Relation};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// Incidents of one linked set that are looked at from one of them, the nearest first; that there are more is doubt.
const SET_MAX: usize = 64;
/// Records of all incidents that are read again before one ends for another: more than come before they are heard of.
const LAST_RECORDS: usize = 500;
/// How soon ties that could not be followed are followed again.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_millis(250);

/// Who names a call as tied to it, and since when each of them is closed.
pub(super) type NamedBy = HashMap<CallKey, BTreeMap<IncidentId, Option<Timestamp>>>;

/// What the incidents tied to one make of it.
#[derive(Default)]
pub(super) struct Linked {
    others: Vec<Facts>,
    /// A team is with this very call under another name.
    with_team: bool,
    /// Another that is open stands in its place.
    merged: bool,
}

impl Linked {
    /// Facts of an incident with every danger of the others. That a team is with its call under another name is doubt, so
    /// that no second one is sent; a team that is there by its own name as well is not called away for it.
    pub(super) fn raised(&self, policy: Option<&Policy>, facts: Facts, incident: &Incident) -> Facts {
        if canary!(LinkedDangerDropped) {
            return facts;
        }
        let second = self.with_team && !has_arrived(incident) && !canary!(SecondTeamSent);
        self.others.iter().chain(second.then(doubt).as_ref()).fold(facts, |facts, other| match policy {
            Some(policy) => policy.linked(&facts, other),
            None => FactSources::linked_without_policy(&facts, other),
        })
    }
}

impl Desk {
    /// What the incidents tied to one make of it, and of a record that comes for it.
    pub(super) async fn linked(&self, incident: &Incident, record: Option<&CallRecord>) -> Linked {
        let names_none = incident.related.is_empty() && record.is_none_or(|record| record.related.is_empty());
        let identity = incident.identity.as_ref().or_else(|| record.map(|record| &record.identity));
        if names_none && !identity.is_some_and(|identity| self.is_named(identity)) {
            return Linked::default();
        }
        let mut own = incident.clone();
        if let Some(record) = record {
            record.related.iter().for_each(|related| own.relate(related, true));
            own.identity.get_or_insert_with(|| record.identity.clone());
        }
        let more = own.related.len() > RELATED_MAX;
        let LinkedSet { set, cut, unread } = self.set_of(&own, false).await;
        let mut others: Vec<Facts> = set.iter().map(|other| other.facts.clone()).collect();
        let merges = Merges { own: &own, set: &set };
        if more || cut || unread.is_some() {
            // Not all that may be dangerous could be looked at.
            others.push(doubt());
        }
        let (with_team, merged) = (merges.is_with_a_team(), merges.ends_own());
        Linked { others, with_team, merged }
    }

    /// True where another incident names this one.
    fn is_named(&self, identity: &RecordIdentity) -> bool {
        let live = lock(&self.inner().live);
        !live.named_by.is_empty() && live.named_by.contains_key(&CallKey::of(identity))
    }

    /// The incidents tied to one, directly and through others; as the journal has them where that is asked.
    async fn set_of(&self, own: &Incident, afresh: bool) -> LinkedSet {
        let mut found = LinkedSet::default();
        let mut met = BTreeSet::from([own.id.clone()]);
        let mut next = VecDeque::from(self.tied_to(own));
        while let Some(id) = next.pop_front() {
            if !met.insert(id.clone()) {
                continue;
            }
            if found.set.len() >= SET_MAX {
                found.cut = true;
                break;
            }
            match self.known(&id, afresh).await {
                Ok(Some(other)) => {
                    next.extend(self.tied_to(&other));
                    found.set.push(other);
                }
                Ok(None) => {}
                Err(problem) => {
                    tracing::error!(%problem, incident = %id, "an incident that others are tied to cannot be read");
                    found.unread = Some(problem);
                }
            }
        }
        found
    }

    /// Whether an incident ends for another, by what the journal has of the others at this instant. Another adapter, or
    /// another command, may just have heard that one of them is to end for this one: whichever record came last, whoever
    /// took it sees the ones before it here, so that of a circle never every one ends.
    async fn ends_for_another(&self, own: &Incident) -> Result<bool, CallProblem> {
        let afresh = !canary!(MergeEndsOnHearsay);
        if afresh && self.journal().shared().is_some() {
            self.read_last_records().await?;
        }
        let LinkedSet { set, cut: _, unread } = self.set_of(own, afresh).await;
        unread.map_or_else(|| Ok(Merges { own, set: &set }.ends_own()), Err)
    }

    /// Who names whom, and how incidents are called, by the last records, whether or not they have been heard of.
    async fn read_last_records(&self) -> Result<(), CallProblem> {
        let last = self.journal().read_kind_before("record-received", u64::MAX, LAST_RECORDS).await?;
        let now = self.clock().now();
        for entry in last.into_iter().filter(|entry| now.duration_since(entry.at).as_hours() < CLOSED_KEPT_H) {
            let (Subject::Incident(id), Stored::Incident(Event::RecordReceived(received))) =
                (entry.subject, entry.stored)
            else {
                continue;
            };
            self.note_named(&id, &received.identity.agency, &received.related, entry.at);
            let found = Found { incident: id, began: stated_begin(&received.times), closed_at: None };
            lock(&self.inner().live).by_call.entry(CallKey::of(&received.identity)).or_insert(found);
        }
        Ok(())
    }

    /// Whom an incident names, who names it, and who else names the same, known or not.
    fn tied_to(&self, incident: &Incident) -> Vec<IncidentId> {
        let Some(identity) = &incident.identity else { return Vec::new() };
        let live = lock(&self.inner().live);
        let named: Vec<CallKey> = incident.related.keys().map(|name| CallKey::named(&identity.agency, name)).collect();
        let bearing = named.iter().filter_map(|key| live.by_call.get(key)).map(|found| &found.incident);
        let own = CallKey::of(identity);
        let naming = named.iter().chain([&own]).filter_map(|key| live.named_by.get(key)).flat_map(BTreeMap::keys);
        bearing.chain(naming).cloned().collect()
    }

    /// An incident as it stands; `None` where nothing is known of it yet.
    async fn known(&self, id: &IncidentId, afresh: bool) -> Result<Option<Arc<Incident>>, CallProblem> {
        let slot = lock(&self.inner().live).slots.get(id).filter(|_| !afresh).cloned();
        let incident = match slot {
            Some(slot) => slot.known(),
            None => match self.fold(id).await {
                Ok(incident) => Arc::new(incident),
                Err(CallProblem::NoSuchIncident) => return Ok(None),
                Err(problem) => return Err(problem),
            },
        };
        Ok(Some(incident).filter(|incident| incident.version > 0))
    }

    /// Keeps whom an incident names, for those that come later, and that what follows from its ties is gone through soon.
    /// Also of what another adapter appended: neither may have heard of the other's incident when it took its own.
    pub(super) fn note_ties(&self, incident: &Incident) {
        let Some(identity) = &incident.identity else { return };
        let now = self.clock().now();
        let mut live = lock(&self.inner().live);
        if incident.related.is_empty() && live.named_by.is_empty() {
            return;
        }
        let closed_at = (incident.phase == Phase::Closed).then_some(now);
        for name in incident.related.keys() {
            let key = CallKey::named(&identity.agency, name);
            live.named_by.entry(key).or_default().insert(incident.id.clone(), closed_at);
        }
        if closed_at.is_some() {
            let old = |at: &Timestamp| now.duration_since(*at).as_hours() >= CLOSED_KEPT_H;
            live.named_by.retain(|_, naming| {
                naming.retain(|_, closed_at| !closed_at.as_ref().is_some_and(old));
                !naming.is_empty()
            });
        }
        let tied = !incident.related.is_empty() || live.named_by.contains_key(&CallKey::of(identity));
        drop(live);
        if tied {
            lock(&self.inner().ties_to_follow).insert(incident.id.clone());
        }
    }

    /// Ties that a record states, whether or not its incident rests or has been heard of.
    pub(super) fn note_named(&self, id: &IncidentId, agency: &AgencyId, related: &[Related], at: Timestamp) {
        if related.is_empty() {
            return;
        }
        let mut live = lock(&self.inner().live);
        let mut news = false;
        for related in related {
            let naming = live.named_by.entry(CallKey::named(agency, &related.incident)).or_default();
            news |= !naming.contains_key(id);
            naming.entry(id.clone()).or_insert(Some(at));
        }
        drop(live);
        if news {
            lock(&self.inner().ties_to_follow).insert(id.clone());
        }
    }

    /// Goes through what follows from ties since it was last done. What cannot be journaled now is tried again.
    pub(super) async fn follow_ties(&self) {
        let mut failed = Vec::new();
        loop {
            let next = lock(&self.inner().ties_to_follow).pop_first();
            let Some(id) = next else { break };
            if let Err(problem) = self.follow_ties_of(&id).await {
                tracing::error!(%problem, incident = %id, "what follows from linked incidents could not be journaled; it is tried again");
                failed.push(id);
            }
        }
        let again = self.clock().now() + AGAIN_AFTER;
        for id in failed {
            lock(&self.inner().ties_to_follow).insert(id.clone());
            // Any work drains what is to be followed; a deadline of its own sees that there is some.
            self.move_deadline(&id, None, Some(again));
        }
    }

    async fn follow_ties_of(&self, id: &IncidentId) -> Result<(), CallProblem> {
        let Some(own) = self.known(id, false).await? else { return Ok(()) };
        let set = self.set_of(&own, false).await.set;
        for one in std::iter::once(own).chain(set).filter(|one| one.is_open()) {
            let slot = self.slot(&one.id).await?;
            let mut state = slot.state.lock().await;
            let mut linked = self.linked(&state.incident, None).await;
            linked.merged = linked.merged && self.ends_for_another(&state.incident).await?;
            let policy = self.policy();
            let news =
                linked.raised(policy.as_deref(), state.incident.facts.clone(), &state.incident) != state.incident.facts;
            if news || (linked.merged && state.incident.is_open()) {
                let followed = move |incident: &Incident, situation: &Situation<'_>| {
                    let facts = linked.raised(situation.policy, incident.facts.clone(), incident);
                    let gaps = incident.decision.as_ref().map_or(&[][..], |decision| &decision.gaps);
                    let (decision, decide_ns) =
                        decide(situation.policy, &facts, gaps, situation.now, situation.availability);
                    let command = Command::FollowLinks { facts, decision: Arc::new(decision), merged: linked.merged };
                    Ok(Prepared { command, content: None, decide_ns })
                };
                let done = self.work_locked(&slot, &mut state, None, followed).await;
                self.settle(&slot, &state);
                done?;
            }
        }
        Ok(())
    }
}

/// What is tied to one incident.
#[derive(Default)]
struct LinkedSet {
    set: Vec<Arc<Incident>>,
    /// There are more than are looked at.
    cut: bool,
    /// Why one of them could not be looked at.
    unread: Option<CallProblem>,
}

/// Which incidents of a linked set are the same call by their senders' words, and which of them stands in whose place.
struct Merges<'a> {
    own: &'a Incident,
    set: &'a [Arc<Incident>],
}

impl<'a> Merges<'a> {
    /// One was merged into the other: by its own sender's word, or by that of the other's where that is its own too.
    fn into(one: &Incident, other: &Incident) -> bool {
        ties(one, &[Relation::MergedInto], other)
            || (ties(other, &[Relation::MergedFrom], one) && agency(one) == agency(other))
    }

    /// Those of the set that are found from one by going on from each to the next.
    fn from(&self, one: &'a Incident, goes_on: impl Fn(&Incident, &Incident) -> bool) -> Vec<&'a Incident> {
        let all: Vec<&Incident> = self.set.iter().map(|other| &**other).chain([self.own]).collect();
        let (mut found, mut next) = (Vec::<&Incident>::new(), vec![one]);
        while let Some(one) = next.pop() {
            for other in all.iter().filter(|other| goes_on(one, other)) {
                if found.iter().all(|known| known.id != other.id) {
                    found.push(other);
                    next.push(other);
                }
            }
        }
        found
    }

    /// A team is with this very call under another name.
    fn is_with_a_team(&self) -> bool {
        let same = |one: &Incident, other: &Incident| Self::into(one, other) || Self::into(other, one);
        self.from(self.own, same).into_iter().any(|other| other.id != self.own.id && has_arrived(other))
    }

    /// Another that is open stands in its place. Two that are said to stand in each other's both stay open: the call must
    /// not end in neither.
    fn ends_own(&self) -> bool {
        let stays = |other: &&Incident| {
            let round = self.from(other, Self::into).iter().any(|one| one.id == self.own.id);
            other.id != self.own.id && other.is_open() && (!round || canary!(MutualMergeEnds))
        };
        self.from(self.own, Self::into).iter().any(stays) && !canary!(MergedNeverEnds)
    }
}

impl Slot {
    /// The incident as it was published last.
    pub(super) fn known(&self) -> Arc<Incident> {
        Arc::clone(&lock(&self.view).incident)
    }
}

/// True where one incident names another in one of these ways.
fn ties(one: &Incident, ways: &[Relation], other: &Incident) -> bool {
    let (Some(mine), Some(theirs)) = (&one.identity, &other.identity) else { return false };
    let theirs = CallKey::of(theirs);
    let mut named = one.related.iter().filter(|(_, how)| ways.contains(how));
    named.any(|(name, _)| CallKey::named(&mine.agency, name) == theirs)
}

fn has_arrived(incident: &Incident) -> bool {
    incident.owning_leg().is_some_and(|leg| leg.state.has_arrived())
}

fn doubt() -> Facts {
    Facts::default().with("doubt", "yes", Source::Structured)
}

fn agency(incident: &Incident) -> Option<&AgencyId> {
    incident.identity.as_ref().map(|identity| &identity.agency)
}
