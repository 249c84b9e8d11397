//! What the raw journal entries say, folded by other code than the product's: who has each call, what is on offer, what is owed.

use crate::dangers::bars;
use crate::oracle::Violation;
use crate::plan::Tie;
use crate::ties::is_there;
use crate::told::{Moment, Told};
use crate::world::BOUNDS;
use fourth_option::incident::{Actor, DutyKind, DutyOutcome, Event};
use fourth_option::policy::{LegPlan, Mode, ProgramKind, Status};
use fourth_option::record::{DutyId, LegId, RecordIdentity};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    Offered,
    Agreed,
    Owns,
    Beside,
    Ended,
}

#[derive(Debug)]
pub struct LegSeen {
    pub plan: LegPlan,
    pub deadline: Timestamp,
    /// The same deadline by the world's own clock, which nobody steps.
    pub due_ms: u64,
    pub stands: Stands,
    pub arrived: bool,
    /// Its team has reported any status.
    pub moved: bool,
    /// Ended by the deadline, a decline, a recall: who answers it afterwards is late.
    pub accepted_once: bool,
    pub why_ended: &'static str,
}

/// Something owed, and by when: by the adapter's clock, and by the world's own, which nobody steps.
#[derive(Debug)]
pub struct DutySeen {
    pub kind: DutyKind,
    pub due: Timestamp,
    pub due_ms: u64,
}

/// One incident as the entries tell it.
#[derive(Debug)]
pub struct Account {
    pub version: u64,
    pub call: Option<RecordIdentity>,
    pub begun: Moment,
    pub received: BTreeSet<String>,
    pub newest: Option<Timestamp>,
    pub legs: BTreeMap<LegId, LegSeen>,
    pub closed: bool,
    pub ended: Option<Moment>,
    /// It ended because another stands in its place.
    pub merged_away: bool,
    /// Its sender says that another does.
    merged: bool,
    /// Since when a team that has the call is there, or none is.
    pub there_since: Option<u64>,
    pub vacant_since: Option<u64>,
    /// A choice stands, or the call came back: nothing is offered without a person's word.
    pub settled: bool,
    pub chosen_now: bool,
    pub test: bool,
    pub mode: Mode,
    pub status: Option<Status>,
    pub automatic: bool,
    /// Facts of which a danger was heard that no person has cleared.
    pub dangers: BTreeSet<String>,
    /// Since when each of them is known, by the world's own clock.
    pub dangers_since: BTreeMap<String, u64>,
    /// Facts that stand by what a linked incident knows.
    linked: BTreeSet<String>,
    /// Facts on which a person has spoken while a danger was known: the record's old words set nothing aside again.
    pub answered: BTreeSet<String>,
    /// An offered step has ended and neither the next nor the return has been written, since this instant.
    pub hangs_since: Option<u64>,
    /// The newest version that was applied.
    pub applied: Option<String>,
    pub unsafe_said: bool,
    /// What is owed and not yet overdue.
    pub duties: BTreeMap<DutyId, DutySeen>,
    /// What is owed, overdue or not.
    pub owing: BTreeMap<DutyId, (DutyKind, Option<LegId>)>,
    /// What events of this batch made owed, and what has not been opened yet.
    unopened: Vec<(DutyKind, Option<LegId>)>,
    /// The leg offered at each version: the key of its offer names it.
    pub offered_at: BTreeMap<u64, LegId>,
}

/// What an event obliges the adapter to send, by the last word of its key.
pub fn owed_for(account: &Account, event: &Event) -> Vec<&'static str> {
    match event {
        Event::Offered { .. } => vec!["offer"],
        Event::Withdrawn { .. } | Event::AnsweredLate { .. } => vec!["withdraw"],
        Event::StoodBack { .. } => vec!["stand-back"],
        Event::Accepted { leg, .. } => {
            let seen = &account.legs[leg];
            match (seen.stands, seen.plan.together.is_empty()) {
                (Stands::Owns, true) => vec!["cad"],
                (Stands::Owns | Stands::Beside, false) => vec!["cad", "proceed"],
                _ => Vec::new(),
            }
        }
        Event::TeamMoved { leg, .. } if account.legs[leg].stands == Stands::Owns => vec!["cad"],
        Event::ReturnedToOrdinary { .. }
        | Event::HandedOn { .. }
        | Event::BackupRequested { .. }
        | Event::Cleared { .. }
        | Event::DutyOverdue { .. } => vec!["cad"],
        // A team that was not reached may be on its way into danger: the PSAP must hear of it.
        Event::Undeliverable { key, .. } if key.ends_with(".stand-back") => vec!["cad"],
        _ => Vec::new(),
    }
}

impl Account {
    pub fn new() -> Self {
        Self {
            version: 0,
            call: None,
            begun: Moment { ms: 0, batch: 0 },
            received: BTreeSet::new(),
            newest: None,
            legs: BTreeMap::new(),
            closed: false,
            ended: None,
            merged_away: false,
            merged: false,
            there_since: None,
            vacant_since: None,
            settled: false,
            chosen_now: false,
            test: false,
            mode: Mode::Shadow,
            status: None,
            automatic: false,
            dangers: BTreeSet::new(),
            dangers_since: BTreeMap::new(),
            linked: BTreeSet::new(),
            answered: BTreeSet::new(),
            hangs_since: None,
            applied: None,
            unsafe_said: false,
            duties: BTreeMap::new(),
            owing: BTreeMap::new(),
            unopened: Vec::new(),
            offered_at: BTreeMap::new(),
        }
    }

    pub fn owner(&self) -> Option<&LegId> {
        self.legs.iter().find(|(_, leg)| leg.stands == Stands::Owns).map(|(id, _)| id)
    }

    pub fn open(&self) -> impl Iterator<Item = (&LegId, &LegSeen)> {
        self.legs.iter().filter(|(_, leg)| matches!(leg.stands, Stands::Offered | Stands::Agreed))
    }

    /// Takes one entry in, and says what it breaks by itself.
    pub fn take(&mut self, event: &Event, version: u64, at: Timestamp, world: &Told<'_>) -> Result<(), Violation> {
        if version != self.version + 1 {
            return Err(Violation::new("I10", format!("version {version} follows {}", self.version)));
        }
        self.version = version;
        match event {
            Event::RecordReceived(received) => self.received(received, world)?,
            Event::Assessed { decision, facts, .. } => {
                if decision.reasons.is_empty() || decision.reasons.iter().any(|reason| reason.code.is_empty()) {
                    return Err(Violation::new("I16", "a decision without a reason"));
                }
                let digest = decision.policy.digest.as_str();
                if !world.digests.contains(digest) && !digest.is_empty() {
                    return Err(Violation::new("I9", "decided by a policy that the journal does not know"));
                }
                // What was heard stays heard, in the very facts that are written down; without a policy none are.
                let fallen = self.dangers.iter().find(|fact| !bars(fact, facts.value(fact).unwrap_or("unknown")));
                if let Some(fact) = fallen.filter(|_| !digest.is_empty()) {
                    let known = facts.value(fact).unwrap_or("unknown");
                    return Err(Violation::new("I5", format!("`{fact}` fell to {known} without a person's word")));
                }
                let linked = facts.iter().filter(|(_, known)| known.source == fourth_option::facts::Source::Linked);
                self.linked = linked.map(|(fact, _)| fact.to_owned()).collect();
                self.status = Some(decision.status.clone());
                self.automatic = decision.automatic;
            }
            Event::AnswerGiven { fact, value, .. } => {
                let by_link = self.linked.remove(fact);
                if self.dangers.remove(fact) || by_link {
                    self.answered.insert(fact.clone());
                }
                if bars(fact, value) {
                    self.dangers.insert(fact.clone());
                }
            }
            Event::HazardReported { fact, value, .. } if bars(fact, value) => {
                self.dangers.insert(fact.clone());
            }
            Event::Chosen { by, steps, .. } => self.chosen(by, steps.len())?,
            Event::OrdinaryChosen { .. } => self.settled = true,
            Event::Offered { leg, plan, deadline } => self.offered(leg, plan, *deadline, at, world.now_ms)?,
            Event::Accepted { leg, .. } => self.accepted(leg, at)?,
            Event::Declined { leg, cause, .. } => {
                self.unsafe_said |= *cause == fourth_option::incident::DeclineCause::Unsafe;
                self.ends(leg, "declined")?;
            }
            Event::TimedOut { leg } => {
                if self.leg(leg)?.deadline > at {
                    return Err(Violation::new("I3", "timed out before its deadline"));
                }
                self.ends(leg, "timed-out")?;
            }
            Event::Withdrawn { leg, why } => {
                let goes = matches!(self.leg(leg)?.stands, Stands::Agreed | Stands::Beside);
                self.ends(leg, "withdrawn")?;
                if goes && why != "left" {
                    self.owes(DutyKind::Recall, Some(leg));
                }
            }
            Event::StoodBack { leg, why } => {
                let there = self.leg(leg).is_ok_and(|seen| seen.stands == Stands::Owns && seen.arrived);
                if there && !world.unread && matches!(why.as_str(), "merged" | "built-in.doubt") {
                    return Err(Violation::new("I2", format!("a team that is there is called away: {why}")));
                }
                self.ends(leg, "stood-back")?;
                self.owes(DutyKind::Recall, Some(leg));
            }
            Event::HandedOn { leg, .. } => self.ends(leg, "handed-on")?,
            Event::TeamMoved { leg, status, .. } => {
                let arrived = matches!(
                    status,
                    fourth_option::record::TimePoint::OnScene | fourth_option::record::TimePoint::WithPerson
                );
                let seen = self.leg(leg)?;
                seen.arrived |= arrived;
                seen.moved = true;
                if !matches!(seen.stands, Stands::Owns | Stands::Beside) {
                    return Err(Violation::new("I2", "a team that does not have the call moves it"));
                }
            }
            Event::Cleared { leg, .. } => {
                if self.leg(leg)?.stands != Stands::Owns {
                    return Err(Violation::new("I2", "cleared by a team that does not have the call"));
                }
                self.all_end("cleared");
            }
            Event::ReturnedToOrdinary { why, leg } => {
                if why.is_empty() {
                    return Err(Violation::new("I16", "a call comes back without a reason"));
                }
                if let Some(leg) = leg {
                    self.leg(leg)?;
                }
                // Who takes the call back by hand has it already.
                if why != "overridden" {
                    self.owes(DutyKind::Return, None);
                }
                self.settled = true;
                self.chosen_now = false;
                for (id, seen) in &mut self.legs {
                    let it = leg.as_ref() == Some(id) && matches!(seen.stands, Stands::Owns | Stands::Beside);
                    if it || seen.stands == Stands::Owns {
                        (seen.stands, seen.why_ended) = (Stands::Ended, "returned");
                    }
                }
            }
            Event::Closed { why } => {
                if why.is_empty() {
                    return Err(Violation::new("I16", "a call is closed without a reason"));
                }
                self.closed = true;
                self.ended = Some(world.now());
                self.merged_away = why == "merged";
                self.chosen_now = false;
            }
            Event::Undeliverable { key, .. } => self.undeliverable(key),
            Event::DutyOpened { duty, kind, leg, due, .. } => {
                let term_s = match kind {
                    DutyKind::EnRoute => BOUNDS.en_route_within_s,
                    DutyKind::Recall => BOUNDS.recall_acknowledged_within_s,
                    DutyKind::Return => BOUNDS.return_acknowledged_within_s,
                    DutyKind::CallBack | DutyKind::FollowUp => {
                        return Err(Violation::new("I3", "a duty that the policy of the worlds knows nothing of"));
                    }
                };
                if *due != at + SignedDuration::from_secs(i64::from(term_s)) {
                    return Err(Violation::new("I3", format!("a duty ({}) is due at another instant", kind.name())));
                }
                self.unopened.retain(|owed| *owed != (*kind, leg.clone()));
                self.owing.insert(duty.clone(), (*kind, leg.clone()));
                let due_ms = world.now_ms + u64::from(term_s) * 1_000;
                self.duties.insert(duty.clone(), DutySeen { kind: *kind, due: *due, due_ms });
            }
            Event::DutyOverdue { duty, .. } => self.overdue(duty, at)?,
            Event::DutyClosed { duty, outcome, by, .. } => {
                self.duties.remove(duty);
                let (kind, leg) = self.owing.remove(duty).unwrap_or((DutyKind::FollowUp, None));
                self.ends_of_itself(kind, leg.as_ref(), *outcome, by)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn leg(&mut self, leg: &LegId) -> Result<&mut LegSeen, Violation> {
        self.legs.get_mut(leg).ok_or_else(|| Violation::new("I6", "an event of a leg that was never offered"))
    }

    /// Something is owed from here on, unless it was already.
    fn owes(&mut self, kind: DutyKind, leg: Option<&LegId>) {
        let owed = (kind, leg.cloned());
        if !self.owing.values().any(|open| *open == owed) {
            self.unopened.push(owed);
        }
    }

    fn overdue(&mut self, duty: &DutyId, at: Timestamp) -> Result<(), Violation> {
        match self.duties.remove(duty) {
            Some(seen) if seen.due <= at => Ok(()),
            _ => Err(Violation::new("I3", "an alarm before its time, or for nothing that is owed")),
        }
    }

    /// What nobody answered for ends of itself only where what it rested on is gone.
    fn ends_of_itself(
        &mut self,
        kind: DutyKind,
        leg: Option<&LegId>,
        outcome: DutyOutcome,
        by: &Actor,
    ) -> Result<(), Violation> {
        if *by != Actor::Policy {
            return Ok(());
        }
        let gone = match (kind, leg, outcome) {
            (DutyKind::EnRoute, Some(leg), DutyOutcome::Met) => self.leg(leg)?.moved,
            (DutyKind::EnRoute, Some(leg), DutyOutcome::Lapsed) => self.leg(leg)?.stands == Stands::Ended,
            (DutyKind::Return, None, DutyOutcome::Lapsed) => self.closed,
            _ => false,
        };
        if gone { Ok(()) } else { Err(Violation::new("I3", format!("a duty ({}) ends of itself", kind.name()))) }
    }

    fn received(
        &mut self,
        received: &fourth_option::incident::RecordReceived,
        world: &Told<'_>,
    ) -> Result<(), Violation> {
        let identity = &received.identity;
        if !self.received.insert(identity.content_sha256.clone()) {
            return Err(Violation::new("I7", "one record is received twice"));
        }
        let stale = matches!((identity.updated_at, self.newest), (Some(at), Some(newest)) if at < newest);
        if received.applied == (stale || self.closed) {
            return Err(Violation::new(
                "I8",
                format!("a record that is {} was applied: {}", if stale { "stale" } else { "new" }, received.applied),
            ));
        }
        if received.applied {
            self.newest = self.newest.max(identity.updated_at);
            self.test = received.test;
            self.mode = received.mode;
            self.applied = Some(identity.content_sha256.clone());
        }
        if self.call.is_none() {
            (self.call, self.begun) = (Some(identity.clone()), world.now());
        }
        let record = world.records.get(&identity.content_sha256);
        self.merged |= record.is_some_and(|record| record.ties.iter().any(|(_, how)| *how == Tie::MergedInto));
        for (fact, _) in record.into_iter().flat_map(|record| &record.dangers) {
            if !self.closed && !self.answered.contains(*fact) {
                self.dangers.insert((*fact).to_owned());
            }
        }
        Ok(())
    }

    /// What must hold whenever a batch is whole.
    pub fn check(&mut self, now_ms: u64) -> Result<(), Violation> {
        self.dangers_since.retain(|fact, _| self.dangers.contains(fact));
        for fact in &self.dangers {
            self.dangers_since.entry(fact.clone()).or_insert(now_ms);
        }
        let owners = self.legs.values().filter(|leg| leg.stands == Stands::Owns).count();
        if owners > 1 {
            return Err(Violation::new("I2", format!("{owners} teams own one call")));
        }
        if self.closed && (owners > 0 || self.open().next().is_some()) {
            return Err(Violation::new("I2", "closed while a team is still asked or going"));
        }
        let there = is_there(self);
        self.there_since = there.then(|| self.there_since.unwrap_or(now_ms));
        self.vacant_since = (!there).then(|| self.vacant_since.unwrap_or(now_ms));
        if self.merged && !there && self.legs.values().any(|leg| leg.stands != Stands::Ended) {
            return Err(Violation::new("I2", "a team is asked or goes for a call that its sender merged into another"));
        }
        if !self.closed
            && !self.dangers.is_empty()
            && let Some(leg) = self.exposed()
        {
            let (program, stands) = (&leg.plan.program, leg.stands);
            return Err(Violation::new("I5", format!("{program} is {stands:?} although {:?} is known", self.dangers)));
        }
        if let Some((kind, _)) = self.unopened.first() {
            return Err(Violation::new("I3", format!("a duty ({}) that nobody is held to", kind.name())));
        }
        let hangs = self.chosen_now && owners == 0 && self.open().next().is_none();
        self.hangs_since = hangs.then(|| self.hangs_since.unwrap_or(now_ms));
        Ok(())
    }

    /// A team with no officer that is asked, or has the call.
    pub fn exposed(&self) -> Option<&LegSeen> {
        self.legs.values().find(|leg| leg.stands != Stands::Ended && leg.plan.kind.unaccompanied())
    }

    /// What is known of a linked incident, since when both were known to be linked, holds here too.
    pub fn check_linked(&self, other: &Self, linked_ms: u64, due: impl Fn(u64) -> bool) -> Result<(), Violation> {
        let Some(leg) = self.exposed().filter(|_| !self.closed) else { return Ok(()) };
        let holds =
            |(fact, since_ms): &(&String, &u64)| due(linked_ms.max(**since_ms)) && !self.answered.contains(*fact);
        match other.dangers_since.iter().find(holds) {
            Some((fact, _)) => Err(Violation::new(
                "I5",
                format!("{} is {:?} although `{fact}` is known of a linked incident", leg.plan.program, leg.stands),
            )),
            None => Ok(()),
        }
    }

    fn chosen(&mut self, by: &Actor, steps: usize) -> Result<(), Violation> {
        if *by == Actor::Policy {
            let may = self.automatic && self.status == Some(Status::Eligible) && self.mode == Mode::Automatic;
            if !may || self.settled {
                return Err(Violation::new("I4", "offered without a person's word where one is needed"));
            }
        }
        if self.mode == Mode::Shadow {
            return Err(Violation::new("I4", "chosen under a policy in shadow"));
        }
        // A person may overrule what a team judged, with a reason.
        self.unsafe_said &= *by == Actor::Policy;
        if steps == 0 || self.closed || self.open().next().is_some() || self.owner().is_some() {
            return Err(Violation::new("I2", "chosen while the call is closed, on offer or with a team"));
        }
        self.settled = true;
        self.chosen_now = true;
        Ok(())
    }

    fn offered(
        &mut self,
        leg: &LegId,
        plan: &LegPlan,
        deadline: Timestamp,
        at: Timestamp,
        now_ms: u64,
    ) -> Result<(), Violation> {
        let due = at + SignedDuration::from_secs(i64::from(plan.accept_deadline_s));
        if deadline != due {
            return Err(Violation::new("I3", format!("the deadline is {deadline}, the policy's is {due}")));
        }
        if !self.chosen_now {
            return Err(Violation::new("I4", "offered again after the call came back, without a person's word"));
        }
        if self.merged {
            return Err(Violation::new("I2", "offered although its sender merged it into another"));
        }
        if self.test {
            return Err(Violation::new("I4", "a test call is offered"));
        }
        if self.closed || self.owner().is_some() {
            return Err(Violation::new("I2", "offered while closed or with a team"));
        }
        if self.unsafe_said {
            return Err(Violation::new("I5", "offered on after a team judged it unsafe"));
        }
        if !self.dangers.is_empty() && plan.kind.unaccompanied() {
            return Err(Violation::new(
                "I5",
                format!("offered to {} although {:?} is known", plan.program, self.dangers),
            ));
        }
        self.offered_at.insert(self.version, leg.clone());
        let seen = LegSeen {
            plan: plan.clone(),
            deadline,
            due_ms: now_ms + u64::from(plan.accept_deadline_s) * 1_000,
            stands: Stands::Offered,
            arrived: false,
            moved: false,
            accepted_once: false,
            why_ended: "",
        };
        if self.legs.insert(leg.clone(), seen).is_some() {
            return Err(Violation::new("I7", "one leg is offered twice"));
        }
        Ok(())
    }

    fn accepted(&mut self, leg: &LegId, at: Timestamp) -> Result<(), Violation> {
        if let Some(owner) = self.owner() {
            return Err(Violation::new("I6", format!("accepted by a second team: {owner} has it")));
        }
        let seen = self.leg(leg)?;
        if seen.stands != Stands::Offered {
            return Err(Violation::new(
                "I6",
                format!("an acceptance counts that came after the leg was {}", seen.why_ended),
            ));
        }
        if at >= seen.deadline {
            return Err(Violation::new("I3", "an acceptance counts that came at or after the deadline"));
        }
        seen.accepted_once = true;
        let together = seen.plan.together.clone();
        if together.is_empty() {
            seen.stands = Stands::Owns;
            if comes(&seen.plan) {
                self.owes(DutyKind::EnRoute, Some(leg));
            }
            return Ok(());
        }
        seen.stands = Stands::Agreed;
        let mut agreed: Vec<&mut LegSeen> = self
            .legs
            .values_mut()
            .filter(|other| other.stands == Stands::Agreed && other.plan.together == together)
            .collect();
        if agreed.len() == 2 {
            for half in &mut agreed {
                let leads = together.first() == Some(&half.plan.program);
                half.stands = if leads { Stands::Owns } else { Stands::Beside };
            }
            let going = |seen: &LegSeen| matches!(seen.stands, Stands::Owns | Stands::Beside) && comes(&seen.plan);
            let both: Vec<LegId> = self.legs.iter().filter(|(_, seen)| going(seen)).map(|(id, _)| id.clone()).collect();
            both.iter().for_each(|leg| self.owes(DutyKind::EnRoute, Some(leg)));
        }
        Ok(())
    }

    fn ends(&mut self, leg: &LegId, why: &'static str) -> Result<(), Violation> {
        let seen = self.leg(leg)?;
        if seen.stands == Stands::Ended {
            return Err(Violation::new("I2", format!("a leg that was {} is {why}", seen.why_ended)));
        }
        (seen.stands, seen.why_ended) = (Stands::Ended, why);
        Ok(())
    }

    fn all_end(&mut self, why: &'static str) {
        for seen in self.legs.values_mut().filter(|seen| seen.stands != Stands::Ended) {
            (seen.stands, seen.why_ended) = (Stands::Ended, why);
        }
    }

    /// An offer that could not be sent ends its leg; the key of an offer names the version at which it was made.
    fn undeliverable(&mut self, key: &str) {
        let Some(version) = key
            .strip_suffix(".offer")
            .and_then(|key| key.rsplit_once('.'))
            .and_then(|(_, version)| version.parse::<u64>().ok())
        else {
            return;
        };
        if let Some(leg) = self.offered_at.get(&version).cloned()
            && let Some(seen) = self.legs.get_mut(&leg)
            && seen.stands == Stands::Offered
        {
            (seen.stands, seen.why_ended) = (Stands::Ended, "unreachable");
        }
    }
}

/// A team that comes in person must set out.
fn comes(plan: &LegPlan) -> bool {
    !matches!(plan.kind, ProgramKind::Phone | ProgramKind::Liaison)
}
