//! One call as the raw journal entries tell it, folded by other code than the machine's.

use crate::dangers::bars;
use crate::oracle::Violation;
use fourth_option::incident::{DutyKind, Event};
use fourth_option::policy::LegPlan;
use fourth_option::record::{DutyId, LegId};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    Offered,
    Agreed,
    Owns,
    Beside,
    Ended(&'static str),
}

#[derive(Debug)]
pub struct Leg {
    pub plan: LegPlan,
    pub deadline: Timestamp,
    /// The same deadline by the world's own clock, which nobody steps.
    pub due_ms: u64,
    pub stands: Stands,
    pub accepted: bool,
}

/// What an event obliges the adapter to send, by the last word of its key, and to whom.
pub type Owed = (&'static str, Option<LegId>);

#[derive(Debug, Default)]
pub struct Account {
    pub version: u64,
    pub name: String,
    pub received: BTreeSet<String>,
    pub newest: Option<Timestamp>,
    pub legs: BTreeMap<LegId, Leg>,
    pub offered_at: BTreeMap<u64, LegId>,
    pub closed: bool,
    pub returned: bool,
    /// A choice stands: somebody is asked or has the call, or it comes back.
    pub chosen: bool,
    /// Facts of which a danger was heard that no person has cleared.
    pub dangers: BTreeSet<String>,
    answered: BTreeSet<String>,
    /// The last step has ended and neither the next nor the return has been written, since this instant.
    pub hangs_since_ms: Option<u64>,
    /// What is owed by people and not yet overdue: its term, and by when on the world's own clock.
    pub duties: BTreeMap<DutyId, (Timestamp, u64)>,
}

/// What the outside knows beside the journal.
pub struct Told<'a> {
    /// Dangers that each record states, by its digest.
    pub dangers: &'a BTreeMap<String, Vec<(&'static str, &'static str)>>,
    pub now_ms: u64,
    pub terms_s: &'a dyn Fn(DutyKind) -> u32,
}

fn broken(invariant: &'static str, what: impl Into<String>) -> Violation {
    Violation::new(invariant, what)
}

impl Account {
    pub fn owner(&self) -> Option<&LegId> {
        self.legs.iter().find(|(_, leg)| leg.stands == Stands::Owns).map(|(id, _)| id)
    }

    pub fn open(&self) -> impl Iterator<Item = (&LegId, &Leg)> {
        self.legs.iter().filter(|(_, leg)| matches!(leg.stands, Stands::Offered | Stands::Agreed))
    }

    fn leg(&mut self, leg: &LegId) -> Result<&mut Leg, Violation> {
        self.legs.get_mut(leg).ok_or_else(|| broken("I6", "an event of a leg that was never offered"))
    }

    fn ends(&mut self, leg: &LegId, why: &'static str) -> Result<(), Violation> {
        let seen = self.leg(leg)?;
        if let Stands::Ended(before) = seen.stands {
            return Err(broken("I2", format!("a leg that was {before} is {why}")));
        }
        seen.stands = Stands::Ended(why);
        Ok(())
    }

    /// Takes one entry in; says what it obliges to, or what it breaks.
    pub fn take(
        &mut self,
        event: &Event,
        version: u64,
        at: Timestamp,
        told: &Told<'_>,
    ) -> Result<Vec<Owed>, Violation> {
        if version != self.version + 1 {
            return Err(broken("I10", format!("version {version} follows {}", self.version)));
        }
        self.version = version;
        let mut owed: Vec<Owed> = Vec::new();
        match event {
            Event::RecordReceived(received) => {
                let identity = &received.identity;
                if !self.received.insert(identity.content_sha256.clone()) {
                    return Err(broken("I7", "one record is in the journal twice"));
                }
                let stale = matches!((identity.updated_at, self.newest), (Some(at), Some(newest)) if at < newest);
                if received.applied == (stale || self.closed) {
                    return Err(broken(
                        "I8",
                        format!("a record that is stale ({stale}) was applied: {}", received.applied),
                    ));
                }
                if received.applied {
                    self.newest = self.newest.max(identity.updated_at);
                }
                self.name.clone_from(&identity.incident);
                for (fact, _) in told.dangers.get(&identity.content_sha256).into_iter().flatten() {
                    if !self.closed && !self.answered.contains(*fact) {
                        self.dangers.insert((*fact).to_owned());
                    }
                }
            }
            Event::Assessed { decision, .. } if decision.reasons.is_empty() => {
                return Err(broken("I16", "a decision without a reason"));
            }
            Event::AnswerGiven { fact, value, .. } => {
                self.dangers.remove(fact);
                self.answered.insert(fact.clone());
                if bars(fact, value) {
                    self.dangers.insert(fact.clone());
                }
            }
            Event::HazardReported { fact, value, .. } if bars(fact, value) => {
                self.dangers.insert(fact.clone());
            }
            Event::Chosen { .. } => {
                if self.closed || self.owner().is_some() || self.open().next().is_some() {
                    return Err(broken("I2", "chosen while the call is closed, on offer or with a team"));
                }
                (self.chosen, self.returned) = (true, false);
            }
            Event::OrdinaryChosen { .. } => (self.chosen, self.returned) = (false, true),
            Event::Offered { leg, plan, deadline } => {
                if *deadline != at + SignedDuration::from_secs(i64::from(plan.accept_deadline_s)) {
                    return Err(broken("I3", "an offer's deadline is not its instant and the policy's term"));
                }
                if !self.chosen {
                    return Err(broken("I4", "offered although nothing was chosen, or the call had come back"));
                }
                if plan.kind.unaccompanied() && !self.dangers.is_empty() {
                    return Err(broken(
                        "I5",
                        format!("{} is asked although {:?} is known", plan.program, self.dangers),
                    ));
                }
                let due_ms = told.now_ms + u64::from(plan.accept_deadline_s) * 1_000;
                let seen =
                    Leg { plan: plan.clone(), deadline: *deadline, due_ms, stands: Stands::Offered, accepted: false };
                self.legs.insert(leg.clone(), seen);
                self.offered_at.insert(version, leg.clone());
                owed.push(("offer", Some(leg.clone())));
            }
            Event::Accepted { leg, .. } => self.accepted(leg, at, &mut owed)?,
            Event::Declined { leg, .. } => self.ends(leg, "declined")?,
            Event::TimedOut { leg } => {
                if self.leg(leg)?.deadline > at {
                    return Err(broken("I3", "timed out before its deadline"));
                }
                self.ends(leg, "timed-out")?;
            }
            Event::Withdrawn { leg, .. } => {
                self.ends(leg, "withdrawn")?;
                owed.push(("withdraw", Some(leg.clone())));
            }
            Event::AnsweredLate { leg, .. } => owed.push(("withdraw", Some(leg.clone()))),
            Event::StoodBack { leg, .. } => {
                self.ends(leg, "stood-back")?;
                owed.push(("stand-back", Some(leg.clone())));
            }
            Event::HandedOn { leg, .. } => {
                self.ends(leg, "handed-on")?;
                owed.push(("cad", None));
            }
            Event::TeamMoved { leg, .. } => match self.leg(leg)?.stands {
                Stands::Owns => owed.push(("cad", None)),
                Stands::Beside => {}
                Stands::Offered | Stands::Agreed | Stands::Ended(_) => {
                    return Err(broken("I2", "a team that does not have the call moves it"));
                }
            },
            Event::Cleared { leg, .. } => {
                if self.leg(leg)?.stands != Stands::Owns {
                    return Err(broken("I2", "cleared by a team that does not have the call"));
                }
                for seen in self.legs.values_mut().filter(|seen| !matches!(seen.stands, Stands::Ended(_))) {
                    seen.stands = Stands::Ended("cleared");
                }
                owed.push(("cad", None));
            }
            Event::ReturnedToOrdinary { why, leg } => {
                if why.is_empty() {
                    return Err(broken("I16", "a call comes back without a reason"));
                }
                (self.chosen, self.returned) = (false, true);
                for (id, seen) in &mut self.legs {
                    let beside = seen.stands == Stands::Beside && leg.as_ref() == Some(id);
                    if seen.stands == Stands::Owns || beside {
                        seen.stands = Stands::Ended("returned");
                    }
                }
                owed.push(("cad", None));
            }
            Event::Closed { why } => {
                if why.is_empty() {
                    return Err(broken("I16", "a call is closed without a reason"));
                }
                (self.closed, self.chosen) = (true, false);
            }
            Event::BackupRequested { .. } => owed.push(("cad", None)),
            Event::Undeliverable { key, .. } => {
                self.unreachable(key);
                // A team that was not reached may be on its way into danger: the PSAP must hear of it.
                if key.ends_with(".stand-back") {
                    owed.push(("cad", None));
                }
            }
            Event::DutyOpened { duty, kind, due, .. } => {
                let term_s = (told.terms_s)(*kind);
                if *due != at + SignedDuration::from_secs(i64::from(term_s)) {
                    return Err(broken("I3", format!("a duty ({}) is due at another instant", kind.name())));
                }
                self.duties.insert(duty.clone(), (*due, told.now_ms + u64::from(term_s) * 1_000));
            }
            Event::DutyOverdue { duty, .. } => {
                if self.duties.remove(duty).is_none_or(|(due, _)| due > at) {
                    return Err(broken("I3", "an alarm before its time, or for nothing that is owed"));
                }
                owed.push(("cad", None));
            }
            Event::DutyClosed { duty, .. } => {
                self.duties.remove(duty);
            }
            _ => {}
        }
        Ok(owed)
    }

    fn accepted(&mut self, leg: &LegId, at: Timestamp, owed: &mut Vec<Owed>) -> Result<(), Violation> {
        let seen = self.leg(leg)?;
        if seen.stands != Stands::Offered {
            return Err(broken("I6", format!("an acceptance counts on a leg that is {:?}", seen.stands)));
        }
        if at >= seen.deadline {
            return Err(broken("I3", "an acceptance counts that came at or after the deadline"));
        }
        seen.accepted = true;
        let together = seen.plan.together.clone();
        if together.is_empty() {
            seen.stands = Stands::Owns;
            owed.push(("cad", None));
            return Ok(());
        }
        seen.stands = Stands::Agreed;
        let agreed = |other: &&mut Leg| other.stands == Stands::Agreed && other.plan.together == together;
        if self.legs.values_mut().filter(agreed).count() == 2 {
            let mut first = None;
            for (id, half) in self.legs.iter_mut().filter(|(_, half)| half.stands == Stands::Agreed) {
                let leads = together.first() == Some(&half.plan.program);
                half.stands = if leads { Stands::Owns } else { Stands::Beside };
                if id != leg {
                    first = Some(id.clone());
                }
            }
            owed.push(("cad", None));
            owed.push(("proceed", first));
        }
        Ok(())
    }

    /// An offer that could not be sent ends its leg; the key of an offer names the version at which it was made.
    fn unreachable(&mut self, key: &str) {
        let version = key.strip_suffix(".offer").and_then(|key| key.rsplit_once('.')?.1.parse::<u64>().ok());
        let Some(leg) = version.and_then(|version| self.offered_at.get(&version)) else { return };
        if let Some(seen) = self.legs.get_mut(leg).filter(|seen| seen.stands == Stands::Offered) {
            seen.stands = Stands::Ended("unreachable");
        }
    }

    /// What must hold whenever a batch is whole.
    pub fn check(&mut self, now_ms: u64) -> Result<(), Violation> {
        let owners = self.legs.values().filter(|leg| leg.stands == Stands::Owns).count();
        if owners > 1 {
            return Err(broken("I2", format!("{owners} teams own one call")));
        }
        if self.closed && (owners > 0 || self.open().next().is_some()) {
            return Err(broken("I2", "closed while a team is still asked or going"));
        }
        if !self.closed && !self.dangers.is_empty() {
            let exposed = self.legs.values().find(|leg| {
                matches!(leg.stands, Stands::Offered | Stands::Agreed | Stands::Owns | Stands::Beside)
                    && leg.plan.kind.unaccompanied()
            });
            if let Some(leg) = exposed {
                let (program, stands) = (&leg.plan.program, leg.stands);
                return Err(broken(
                    "I5",
                    format!("{program} stands as {stands:?} although {:?} is known", self.dangers),
                ));
            }
        }
        let hangs = self.chosen && !self.closed && owners == 0 && self.open().next().is_none();
        self.hangs_since_ms = hangs.then(|| self.hangs_since_ms.unwrap_or(now_ms));
        Ok(())
    }
}
