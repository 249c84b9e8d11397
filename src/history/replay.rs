//! What a policy would have done with past calls, and what two policies would have done differently.
//!
//! Every call is decided by the policy that runs, in columns, through the same reading of facts as a live record. Every program is taken to be
//! staffed and free, for history does not tell.

use super::columns::Columns;
use crate::facts::FactError;
use crate::policy::{Answer, Availability, Gap, Policy, PolicyIdentity, Profile, StatusKind};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Calls named as examples of one kind of move, at most.
const EXAMPLES_MAX: usize = 3;

/// A value taken for a fact wherever it is not known: never from the record, and said wherever the figures are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assumption {
    /// The fact.
    pub fact: String,
    /// The value.
    pub value: String,
}

/// How one call comes out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Outcome {
    /// One of the closed set of statuses.
    pub status: &'static str,
    /// The program that would be asked first, or `ordinary`. In shadow: the program that would be asked if it were not.
    pub route: String,
    /// The row that decides: the rule, else the exclusion, `no-rule`, or the reason of `not-assessed`.
    pub row: String,
}

impl Outcome {
    /// True where the call goes to a program, in shadow or not.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        matches!(self.status, "eligible" | "shadow-eligible")
    }

    /// True where an answer would tell.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.status == "needs-answer"
    }
}

/// Calls that the policy cannot tell apart.
#[derive(Debug, Clone)]
pub(super) struct Situation {
    pub outcome: Outcome,
    /// Facts asked for, the most decisive first, and whether some answer opens a route by itself.
    pub asks: Vec<(String, bool)>,
    pub zone: Option<String>,
    pub gaps: Vec<Gap>,
    /// Which assumptions were made, by their place.
    pub assumed: u64,
}

/// Every call of a store, decided.
#[derive(Debug)]
pub struct Replay {
    /// By call: place in `situations`.
    pub(super) of: Vec<u32>,
    pub(super) situations: Vec<Situation>,
    pub(super) assumptions: Vec<Assumption>,
    pub(super) policy: PolicyIdentity,
}

/// Why a replay cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// An assumption that the policy does not understand.
    #[error(transparent)]
    Assumption(#[from] FactError),
    /// Calls that cannot be put in columns.
    #[error("{0}")]
    Columns(String),
}

/// Decides every call. `progress` is told how many are done, of how many.
///
/// # Errors
/// Where an assumption names a fact or value that the policy does not have, or the store is too varied for columns.
pub fn replay(
    columns: &Columns,
    policy: &Policy,
    assumptions: &[Assumption],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Replay, ReplayError> {
    let understood = columns.understood(policy, assumptions)?;
    let mut of = vec![0_u32; columns.len()];
    let mut situations: Vec<Situation> = Vec::new();
    // Calls come profile by profile: what is known of the last one, by moment.
    let mut last: Option<(u32, Vec<Option<u32>>)> = None;
    let mut done = 0;
    policy.what_if_each(&understood.calls, &Availability::default(), |call, moment, answer| {
        let number = understood.of.get(call).copied().unwrap_or(u32::MAX);
        let (_, by_moment) = match &mut last {
            Some(held) if held.0 == number => held,
            held => held.insert((number, Vec::new())),
        };
        if by_moment.len() <= moment {
            by_moment.resize(moment + 1, None);
        }
        let situation = by_moment.get_mut(moment).map(|known| {
            *known.get_or_insert_with(|| {
                let place = number as usize;
                let assumed = understood.assumed.get(place).copied().unwrap_or(0);
                let at = columns.instant(call);
                situations
                    .extend(understood.known.get(place).map(|known| situation(policy, known, answer, at, assumed)));
                u32::try_from(situations.len()).unwrap_or(u32::MAX).saturating_sub(1)
            })
        });
        if let (Some(row), Some(situation)) = (of.get_mut(call), situation) {
            *row = situation;
        }
        done += 1;
        progress(done, columns.len());
    });
    Ok(Replay { of, situations, assumptions: assumptions.to_vec(), policy: policy.identity().clone() })
}

/// What is told of calls alike; the whole decision is made only where the answer alone does not say enough.
fn situation(policy: &Policy, known: &Profile, answer: Answer<'_>, at: Timestamp, assumed: u64) -> Situation {
    let available = Availability::default();
    let Answer { status, because, toward, rule, .. } = answer;
    let mut situation = Situation {
        outcome: Outcome {
            status: status.name(),
            route: toward.map_or_else(|| "ordinary".to_owned(), ToString::to_string),
            row: because.or(rule).unwrap_or("no-rule").to_owned(),
        },
        asks: Vec::new(),
        zone: known.facts.value("zone").map(str::to_owned),
        gaps: known.gaps.clone(),
        assumed,
    };
    let said = because.or(rule).is_some() && because != Some("value-out-of-domain");
    if status == StatusKind::NeedsAnswer || !said {
        let decision = policy.decide(&known.facts, &known.gaps, at, &available);
        let questions = decision.questions.into_iter();
        situation.asks = questions.map(|question| (question.fact, question.opens.contains(&true))).collect();
        situation.gaps = decision.gaps;
        if let Some(exclusion) = decision.exclusions.first().filter(|_| !said && status != StatusKind::NotAssessed) {
            situation.outcome.row.clone_from(&exclusion.id);
        }
    }
    situation
}

/// Calls counted in one hour of the week.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Hour {
    /// All calls.
    pub calls: u64,
    /// Calls that a program takes.
    pub taken: u64,
    /// Calls that need an answer first.
    pub waiting: u64,
    /// Calls that a program would take if it were open.
    pub out_of_hours: u64,
}

/// A fact that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Calls for which it is one of the questions.
    pub calls: u64,
    /// Calls for which it is the first question.
    pub first: u64,
    /// Calls for which some answer to it alone would open a route.
    pub alone: u64,
}

/// Calls of one kind, and how many of them a program takes or might take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// All calls.
    pub calls: u64,
    /// Calls that a program takes.
    pub taken: u64,
    /// Calls that need an answer first.
    pub waiting: u64,
}

impl Share {
    fn add(&mut self, outcome: &Outcome, calls: u64) {
        self.calls += calls;
        self.taken += if outcome.is_taken() { calls } else { 0 };
        self.waiting += if outcome.is_waiting() { calls } else { 0 };
    }
}

/// The figures of a replay.
#[derive(Debug, Serialize)]
pub struct Counts {
    /// The policy that decided.
    pub policy: PolicyIdentity,
    /// Calls decided.
    pub calls: u64,
    /// The first and the last call.
    pub span: Option<(Timestamp, Timestamp)>,
    /// By status.
    pub statuses: BTreeMap<&'static str, u64>,
    /// Where the calls go.
    pub routes: BTreeMap<String, u64>,
    /// By status and the row that decides.
    pub rows: BTreeMap<&'static str, BTreeMap<String, u64>>,
    /// By zone (a call in several counts in each); `unknown` where it is not known.
    pub zones: BTreeMap<String, Share>,
    /// By day (Monday first) and hour of the policy's time zone.
    pub hours: [[Hour; 24]; 7],
    /// By what is asked, of the calls that need an answer.
    pub questions: BTreeMap<String, Asked>,
    /// Call types of calls that were not assessed.
    pub unassessed_call_types: BTreeMap<String, u64>,
    /// What could not be learnt: `fact: why`.
    pub gaps: BTreeMap<String, u64>,
    /// By how the calls ended, where the agency says.
    pub dispositions: BTreeMap<String, Share>,
    /// Assumptions, and the calls for which each was made.
    pub assumed: Vec<(Assumption, u64)>,
}

impl Counts {
    /// Counts a replay of these columns.
    #[must_use]
    pub fn of(columns: &Columns, replay: &Replay, policy: &Policy) -> Self {
        let mut counts = Self {
            policy: replay.policy.clone(),
            calls: replay.of.len() as u64,
            span: None,
            statuses: BTreeMap::new(),
            routes: BTreeMap::new(),
            rows: BTreeMap::new(),
            zones: BTreeMap::new(),
            hours: [[Hour::default(); 24]; 7],
            questions: BTreeMap::new(),
            unassessed_call_types: BTreeMap::new(),
            gaps: BTreeMap::new(),
            dispositions: BTreeMap::new(),
            assumed: replay.assumptions.iter().map(|assumption| (assumption.clone(), 0)).collect(),
        };
        let instant = |second: &i64| Timestamp::from_second(*second).ok();
        counts.span = columns.at.iter().min().and_then(instant).zip(columns.at.iter().max().and_then(instant));
        let mut calls = vec![0_u64; replay.situations.len()];
        for situation in &replay.of {
            if let Some(count) = calls.get_mut(*situation as usize) {
                *count += 1;
            }
        }
        for (situation, calls) in replay.situations.iter().zip(calls) {
            counts.add_situation(situation, calls);
        }
        counts.add_calls(columns, replay, policy);
        counts
    }

    fn add_situation(&mut self, situation: &Situation, calls: u64) {
        let Outcome { status, route, row } = &situation.outcome;
        *self.statuses.entry(status).or_default() += calls;
        *self.routes.entry(route.clone()).or_default() += calls;
        *self.rows.entry(status).or_default().entry(row.clone()).or_default() += calls;
        for zone in situation.zone.as_deref().unwrap_or(crate::facts::UNKNOWN).split(',') {
            self.zones.entry(zone.to_owned()).or_default().add(&situation.outcome, calls);
        }
        if situation.outcome.is_waiting() {
            for (place, (fact, alone)) in situation.asks.iter().enumerate() {
                let asked = self.questions.entry(fact.clone()).or_default();
                asked.calls += calls;
                asked.first += if place == 0 { calls } else { 0 };
                asked.alone += if *alone { calls } else { 0 };
            }
        }
        for gap in &situation.gaps {
            *self.gaps.entry(format!("{}: {}", gap.fact, gap.why)).or_default() += calls;
        }
        for (place, (_, made)) in self.assumed.iter_mut().enumerate() {
            *made += if situation.assumed & (1 << place.min(63)) == 0 { 0 } else { calls };
        }
    }

    fn add_calls(&mut self, columns: &Columns, replay: &Replay, policy: &Policy) {
        let rows = columns.at.iter().zip(&columns.profile).zip(&columns.disposition).zip(&replay.of);
        for (((at, profile), disposition), situation) in rows {
            let Some(situation) = replay.situations.get(*situation as usize) else {
                continue;
            };
            let outcome = &situation.outcome;
            if let Some(hour) = hour_of_week(*at, policy).and_then(|(day, hour)| self.hours.get_mut(day)?.get_mut(hour))
            {
                hour.calls += 1;
                hour.taken += u64::from(outcome.is_taken());
                hour.waiting += u64::from(outcome.is_waiting());
                hour.out_of_hours += u64::from(outcome.status == "eligible-out-of-hours");
            }
            if let Some(code) = (*disposition as usize).checked_sub(1).and_then(|place| columns.dispositions.get(place))
            {
                match self.dispositions.get_mut(code) {
                    Some(share) => share.add(outcome, 1),
                    None => self.dispositions.entry(code.clone()).or_default().add(outcome, 1),
                }
            }
            if outcome.status == "not-assessed" {
                let call_type = columns.profiles.get(*profile as usize).and_then(|profile| profile.call_type.clone());
                *self.unassessed_call_types.entry(call_type.unwrap_or_else(|| "none".to_owned())).or_default() += 1;
            }
        }
    }

    /// Calls that a program takes.
    #[must_use]
    pub fn taken(&self) -> u64 {
        ["eligible", "shadow-eligible"].iter().filter_map(|status| self.statuses.get(status)).sum()
    }
}

fn hour_of_week(second: i64, policy: &Policy) -> Option<(usize, usize)> {
    let local = policy.time_zone().to_datetime(Timestamp::from_second(second).ok()?);
    let day = usize::try_from(local.date().weekday().to_monday_zero_offset()).ok()?;
    Some((day, usize::try_from(local.hour()).ok()?))
}

/// One kind of move between two policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Move {
    /// How the calls come out by the first.
    pub from: Outcome,
    /// How they come out by the second.
    pub to: Outcome,
    /// How many.
    pub calls: u64,
    /// Numbers of the first of them in the store.
    pub examples: Vec<i64>,
}

/// What moves between two policies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Moves {
    /// Calls decided by both.
    pub calls: u64,
    /// Calls with another status or another route; another row alone moves nothing.
    pub moved: u64,
    /// Calls that a program takes by the second only.
    pub gained: u64,
    /// Calls that a program takes by the first only.
    pub lost: u64,
    /// By kind, the most calls first.
    pub kinds: Vec<Move>,
}

/// Compares two replays of the same columns.
#[must_use]
pub fn compare(columns: &Columns, first: &Replay, second: &Replay) -> Moves {
    let mut moves = Moves { calls: columns.len() as u64, ..Moves::default() };
    let mut kinds: HashMap<(u32, u32), (u64, Vec<i64>)> = HashMap::new();
    for ((from, to), id) in first.of.iter().zip(&second.of).zip(&columns.ids) {
        let (calls, examples) = kinds.entry((*from, *to)).or_default();
        *calls += 1;
        if examples.len() < EXAMPLES_MAX {
            examples.push(*id);
        }
    }
    let mut by_outcome: BTreeMap<(&Outcome, &Outcome), (u64, Vec<i64>)> = BTreeMap::new();
    for ((from, to), (calls, examples)) in kinds {
        let outcomes = (first.situations.get(from as usize), second.situations.get(to as usize));
        let (Some(from), Some(to)) = outcomes else {
            continue;
        };
        let (from, to) = (&from.outcome, &to.outcome);
        if (from.status, &from.route) == (to.status, &to.route) {
            continue;
        }
        moves.moved += calls;
        moves.gained += if to.is_taken() && !from.is_taken() { calls } else { 0 };
        moves.lost += if from.is_taken() && !to.is_taken() { calls } else { 0 };
        let kind = by_outcome.entry((from, to)).or_default();
        kind.0 += calls;
        kind.1.extend(examples);
    }
    for ((from, to), (calls, mut examples)) in by_outcome {
        examples.sort_unstable();
        examples.truncate(EXAMPLES_MAX);
        moves.kinds.push(Move { from: from.clone(), to: to.clone(), calls, examples });
    }
    moves.kinds.sort_by_key(|kind| std::cmp::Reverse(kind.calls));
    moves
}
