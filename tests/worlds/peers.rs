//! Who stands outside the adapter: teams and what they do with an offer. They know only what reaches them.

use crate::chance::Chance;
use fourth_option::call_processing::{CallProblem, IncidentView};
use fourth_option::incident::{Act, Actor, Command, DeclineCause, Disposition, LegState, Refusal};
use fourth_option::record::{LegId, TimePoint};
use std::collections::{BTreeMap, BTreeSet};

/// The CAD and the programs of the policy.
pub const NAMES: [&str; PEERS] = ["cad", "team", "east", "line", "worker", "officer"];
pub const PEERS: usize = 6;
pub const CAD: usize = 0;

pub fn peer_of(program: &str) -> usize {
    NAMES.iter().position(|name| *name == program).unwrap()
}

/// What a team asks of the adapter.
#[derive(Debug, Clone)]
pub enum Ask {
    Command(Command),
    Hazard {
        leg: LegId,
        fact: &'static str,
        value: &'static str,
    },
    /// A phone team that has the call answers a question of the policy's.
    Answer {
        leg: LegId,
        fact: &'static str,
        value: &'static str,
    },
}

/// Something a team means to do at a later instant.
#[derive(Debug, Clone)]
pub struct Intention {
    pub leg: LegId,
    pub at_ms: u64,
    pub ask: Ask,
    /// Done even where the team has been told to stop: it was on the radio already.
    pub stubborn: bool,
}

#[derive(Debug, Default)]
pub struct Team {
    seen: BTreeSet<String>,
    stopped: BTreeSet<LegId>,
    gone: BTreeSet<LegId>,
    /// Legs whose acceptance the adapter has confirmed.
    pub confirmed: BTreeMap<LegId, bool>,
}

impl Team {
    /// True where the team still means to do anything for this leg.
    pub fn works_on(&self, leg: &LegId) -> bool {
        !self.stopped.contains(leg)
    }

    /// A message of the adapter's; repeats under one key are known by it.
    pub fn hears(&mut self, seed: u64, peer: usize, key: &str, act: &Act, now_ms: u64, left_ms: u64) -> Vec<Intention> {
        if !self.seen.insert(key.to_owned()) {
            return Vec::new();
        }
        match act {
            Act::Offer { leg, .. } if self.stopped.contains(leg) => Vec::new(),
            Act::Offer { leg, .. } => answers(&mut stream(seed, peer, leg, 1), peer, leg, now_ms, left_ms),
            Act::Withdraw { leg, .. } | Act::StandBack { leg, .. } => {
                self.stopped.insert(leg.clone());
                let mut chance = stream(seed, peer, leg, 3);
                let at_ms = now_ms + chance.between(100, 90_000);
                let by = Actor::Team(NAMES[peer].to_owned());
                let ask = Ask::Command(Command::AcknowledgeRecall { leg: leg.clone(), by });
                let heard = Intention { leg: leg.clone(), at_ms, ask, stubborn: true };
                if chance.percent(60) { vec![heard] } else { Vec::new() }
            }
            Act::Proceed { leg, .. } => self.goes(seed, peer, leg, now_ms),
            _ => Vec::new(),
        }
    }

    /// The adapter's answer to what this team asked.
    pub fn is_answered(
        &mut self,
        seed: u64,
        peer: usize,
        leg: &LegId,
        answer: &Result<IncidentView, CallProblem>,
        now_ms: u64,
    ) -> Vec<Intention> {
        match answer {
            Ok(view) => {
                let owns = view.incident.leg(leg).is_some_and(|leg| leg.state == LegState::Accepted);
                self.confirmed.insert(leg.clone(), true);
                if owns { self.goes(seed, peer, leg, now_ms) } else { Vec::new() }
            }
            Err(CallProblem::Refused(Refusal::NoLongerYours { .. } | Refusal::Closed)) => {
                self.stopped.insert(leg.clone());
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }

    /// The team goes: on the way, there, perhaps a hazard, perhaps back-up, and an end.
    fn goes(&mut self, seed: u64, peer: usize, leg: &LegId, now_ms: u64) -> Vec<Intention> {
        if !self.gone.insert(leg.clone()) || self.stopped.contains(leg) {
            return Vec::new();
        }
        let mut chance = stream(seed, peer, leg, 2);
        let mut at_ms = now_ms;
        let mut plan = Vec::new();
        let by = || Actor::Team(NAMES[peer].to_owned());
        let mut then = |at_ms: u64, ask: Ask| plan.push(Intention { leg: leg.clone(), at_ms, ask, stubborn: false });
        let moved = |status| Ask::Command(Command::MoveLeg { leg: leg.clone(), status, by: by() });
        if NAMES[peer] != "line" {
            for status in [TimePoint::EnRoute, TimePoint::OnScene, TimePoint::WithPerson] {
                at_ms += chance.between(500, 25_000);
                if chance.percent(35) {
                    then(at_ms, moved(status));
                }
            }
        }
        if chance.percent(12) {
            let (fact, value) = *chance.pick(&[("weapon", "present"), ("violence", "physical")]);
            then(at_ms + chance.below(10_000), Ask::Hazard { leg: leg.clone(), fact, value });
        }
        if NAMES[peer] == "line" && chance.percent(20) {
            let value = *chance.pick(&["none", "none", "present"]);
            then(at_ms + chance.below(10_000), Ask::Answer { leg: leg.clone(), fact: "weapon", value });
        }
        if chance.percent(6) {
            let service = fourth_option::incident::BackupService::Police;
            let leg = Some(leg.clone());
            then(at_ms, Ask::Command(Command::Backup { leg, service, team_requested: true, by: by() }));
        }
        at_ms += chance.between(1_000, 60_000);
        let leg_id = leg.clone();
        let end = match chance.below(20) {
            0..=9 => Command::ClearLeg { leg: leg_id, disposition: Disposition::Supported, party: None, by: by() },
            10..=12 => Command::ReturnLeg { leg: leg_id, why: "beyond-us".to_owned(), by: by() },
            13..=14 => Command::DeclineLeg { leg: leg_id, cause: DeclineCause::Unsafe, by: by() },
            15..=17 => Command::HandOnLeg { leg: leg_id, by: by() },
            _ => return plan,
        };
        then(at_ms, Ask::Command(end));
        plan
    }
}

fn stream(seed: u64, peer: usize, leg: &LegId, question: u64) -> Chance {
    let number = leg.as_str().rsplit_once('.').and_then(|(_, number)| number.parse().ok()).unwrap_or(0);
    Chance::of(seed, &[5, peer as u64, number, question])
}

/// What a team does with an offer.
fn answers(chance: &mut Chance, peer: usize, leg: &LegId, now_ms: u64, left_ms: u64) -> Vec<Intention> {
    let by = || Actor::Team(NAMES[peer].to_owned());
    let accept = || Ask::Command(Command::AcceptLeg { leg: leg.clone(), by: by() });
    let stubborn = chance.percent(15);
    let then = |at_ms: u64, ask: Ask| Intention { leg: leg.clone(), at_ms, ask, stubborn };
    let soon = now_ms + chance.between(50, left_ms.max(100));
    match chance.below(20) {
        // In good time.
        0..=9 => vec![then(now_ms + chance.between(50, 12_000), accept())],
        10 => vec![then(soon, accept()), then(soon + chance.below(3_000), accept())],
        // About the deadline: a hair before, at it, after it.
        11..=13 => {
            let edge = now_ms + left_ms;
            vec![then((edge + chance.below(4)).saturating_sub(2 + *chance.pick(&[0, 5, 20])), accept())]
        }
        14 => vec![then(now_ms + left_ms + chance.below(60_000), accept())],
        15..=17 => {
            let causes = [DeclineCause::Busy, DeclineCause::Unsafe, DeclineCause::TooFar];
            let decline =
                Ask::Command(Command::DeclineLeg { leg: leg.clone(), cause: *chance.pick(&causes), by: by() });
            let mut plan = vec![then(soon, decline)];
            if chance.percent(20) {
                plan.push(then(soon + chance.below(5_000), accept()));
            }
            plan
        }
        _ => Vec::new(),
    }
}
