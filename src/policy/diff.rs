//! What moves between two policies, proved over all calls: facts, dates, crews and hours; everybody on duty and free.
//!
//! In every state that dates and hours can bring about, each policy is an ordered list of boxes (`ordered`). Entries that
//! both lists have in one order cannot move a call by themselves, so only pairs with a changed entry are asked about: is there
//! a call that the one entry answers in the first policy and the other in the second? Capacities and rosters are not
//! compared here: they show among the changed keys.

use super::boxes::{Box, Side, Space, TooHard};
use super::decision::{Route, Status};
use super::example::facts_of;
use super::ordered::{Entry, Scene, View};
use super::route::Way;
use super::states::states;
use super::{Availability, Compiled, Policy, area_zones};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Calls asked about in search of one whose status alone changes.
const STATUS_TRIES_MAX: usize = 400;

/// How the calls that B diverts lie to those that A diverts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// The same calls.
    Equal,
    /// Some of A's calls and no other.
    Subset,
    /// All of A's calls and more.
    Superset,
    /// Each diverts calls that the other does not.
    Neither,
    /// It took more work than is allowed to tell.
    NotProved,
}

/// What a move is from and to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MoveKind {
    /// From the ordinary route to a program.
    OrdinaryToProgram,
    /// From a program to the ordinary route.
    ProgramToOrdinary,
    /// From one program to another.
    ProgramToProgram,
    /// Ordinary under both, for another reason in kind.
    StatusOnly,
}

/// What is known of one kind of move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Move {
    /// From what to what.
    pub kind: MoveKind,
    /// A call that moves so.
    pub call: Option<MovedCall>,
    /// Where there is no such call: whether that is proved for every call. (Of the status alone it never is: it is searched.)
    pub proved: bool,
}

/// One call that the two policies answer differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MovedCall {
    /// What is known of it; every other fact is unknown.
    pub facts: BTreeMap<String, String>,
    /// When, in A's zone.
    pub at: String,
    /// What A says: status, route and row.
    pub before: CallAnswer,
    /// What B says.
    pub after: CallAnswer,
    /// Both tables were asked about exactly this call and answered so.
    pub confirmed: bool,
    /// The sentence.
    pub text: String,
}

/// One policy's answer to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallAnswer {
    /// Name of the status.
    pub status: &'static str,
    /// `ordinary`, or the program that takes it first.
    pub route: String,
    /// The row that decides, where one does.
    pub row: Option<String>,
}

/// Two policies compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// What is proved of B's calls.
    pub relation: Relation,
    /// States of dates, crews and hours in which every call was compared.
    pub states: usize,
    /// One of each kind.
    pub moves: Vec<Move>,
}

impl Comparison {
    /// True where it is proved that B diverts no call that A leaves on the ordinary route.
    #[must_use]
    pub fn lets_nothing_more_through(&self) -> bool {
        matches!(self.relation, Relation::Equal | Relation::Subset)
    }
}

impl Policy {
    /// Compares with another policy, which would replace this one.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Comparison {
        compare(&self.compiled, &other.compiled)
    }
}

/// The comparison under way.
struct Differ<'a> {
    views: [View<'a>; 2],
    found: BTreeMap<MoveKind, MovedCall>,
    unproved: BTreeSet<MoveKind>,
    tries: usize,
}

pub(super) fn compare(a: &Compiled, b: &Compiled) -> Comparison {
    let areas = [area_zones(&a.programs), area_zones(&b.programs)];
    let [of_a, of_b] = &areas;
    let space = Space::over(&[Side { table: &a.table, areas: of_a }, Side { table: &b.table, areas: of_b }]);
    let view = |policy, side| View { policy, space: &space, side };
    let mut differ =
        Differ { views: [view(a, 0), view(b, 1)], found: BTreeMap::new(), unproved: BTreeSet::new(), tries: 0 };
    let states = states(&[a, b]);
    let mut seen: HashSet<(Vec<Entry>, Vec<Entry>)> = HashSet::new();
    for scenes in &states {
        let [in_a, in_b] = scenes.as_slice() else {
            continue;
        };
        let [view_a, view_b] = differ.views;
        match (view_a.entries(in_a), view_b.entries(in_b)) {
            (Ok(entries_a), Ok(entries_b)) => {
                if seen.insert((entries_a.clone(), entries_b.clone())) {
                    differ.state([in_a, in_b], &entries_a, &entries_b);
                }
            }
            _ => differ.unproved.extend(DIVERSIONS),
        }
    }
    differ.comparison(states.len())
}

const DIVERSIONS: [MoveKind; 3] =
    [MoveKind::OrdinaryToProgram, MoveKind::ProgramToOrdinary, MoveKind::ProgramToProgram];

impl Differ<'_> {
    fn comparison(mut self, states: usize) -> Comparison {
        let kinds = DIVERSIONS.into_iter().chain([MoveKind::StatusOnly]);
        let some = |kind: MoveKind| self.found.contains_key(&kind);
        let open = |kind: MoveKind| self.unproved.contains(&kind) && !some(kind);
        let (gain, loss) = (MoveKind::OrdinaryToProgram, MoveKind::ProgramToOrdinary);
        let relation = match (some(gain), some(loss)) {
            _ if open(gain) || open(loss) => Relation::NotProved,
            (false, false) => Relation::Equal,
            (false, true) => Relation::Subset,
            (true, false) => Relation::Superset,
            (true, true) => Relation::Neither,
        };
        let moves = kinds.map(|kind| {
            let call = self.found.remove(&kind);
            let proved = call.is_none() && kind != MoveKind::StatusOnly && !self.unproved.contains(&kind);
            Move { kind, call, proved }
        });
        let moves = moves.collect();
        Comparison { relation, states, moves }
    }

    fn program<'a>(view: &View<'a>, entry: &Entry) -> Option<&'a str> {
        entry.program.and_then(|place| view.policy.programs.get(place)).map(|program| program.id.as_str())
    }

    /// Every pair of entries that might move a call in one state.
    fn state(&mut self, scenes: [&Scene; 2], a: &[Entry], b: &[Entry]) {
        let [view_a, view_b] = self.views;
        let alike = |one: &Entry, other: &Entry| {
            one.space == other.space && Self::program(&view_a, one) == Self::program(&view_b, other)
        };
        let (kept_a, kept_b) = kept(a, b, alike);
        for (place, one) in a.iter().enumerate() {
            let is_kept = kept_a.contains(&place);
            for (other_place, other) in b.iter().enumerate() {
                if is_kept && kept_b.contains(&other_place) {
                    continue;
                }
                let (from, to) = (Self::program(&view_a, one), Self::program(&view_b, other));
                let kind = match (from, to) {
                    (None, None) => MoveKind::StatusOnly,
                    (None, Some(_)) => MoveKind::OrdinaryToProgram,
                    (Some(_), None) => MoveKind::ProgramToOrdinary,
                    (Some(from), Some(to)) if from != to => MoveKind::ProgramToProgram,
                    (Some(_), Some(_)) => continue,
                };
                if self.found.contains_key(&kind) || (kind == MoveKind::StatusOnly && self.tries > STATUS_TRIES_MAX) {
                    continue;
                }
                let Some(target) = view_a.space.meet(&one.space, &other.space) else {
                    continue;
                };
                let covers: Vec<&Box> =
                    a.iter().take(place).chain(b.iter().take(other_place)).map(|entry| &entry.space).collect();
                match view_a.space.uncovered(&target, &covers) {
                    Ok(None) => {}
                    Ok(Some(call)) => self.tell(kind, &call, scenes, [one, other]),
                    Err(TooHard) => drop(self.unproved.insert(kind)),
                }
            }
        }
        for (entries, kept, view) in [(a, &kept_a, view_a), (b, &kept_b, view_b)] {
            let changed =
                entries.iter().enumerate().filter(|(place, entry)| !kept.contains(place) && entry.program.is_some());
            for (_, entry) in changed {
                self.less_known(&view, entry, scenes);
            }
        }
    }

    /// A changed row also changes what must be asked: the same call with one fact less known may wait for an answer.
    fn less_known(&mut self, view: &View<'_>, entry: &Entry, scenes: [&Scene; 2]) {
        let point = view.space.point(&entry.space);
        for fact in &point.restricted {
            if self.found.contains_key(&MoveKind::StatusOnly) || self.tries > STATUS_TRIES_MAX {
                return;
            }
            let mut point = point.clone();
            if point.facts.remove(fact).is_some() {
                self.ask(MoveKind::StatusOnly, point, scenes, &BTreeSet::new());
            }
        }
    }

    fn tell(&mut self, kind: MoveKind, call: &Box, scenes: [&Scene; 2], entries: [&Entry; 2]) {
        let mut named = BTreeSet::new();
        for (view, entry) in self.views.iter().zip(entries) {
            named.extend(entry.row.into_iter().flat_map(|row| view.policy.facts_of_row(row)));
        }
        let point = self.views[0].space.point(call);
        self.ask(kind, point, scenes, &named);
    }

    /// Asks both tables about a call and keeps it where it shows the kind of move.
    fn ask(&mut self, kind: MoveKind, point: super::boxes::Point, scenes: [&Scene; 2], named: &BTreeSet<String>) {
        let [a, b] = self.views.map(|view| view.policy);
        let [in_a, in_b] = scenes;
        let (before, after) = (a.call_answer(&point.facts, in_a), b.call_answer(&point.facts, in_b));
        let ordinary = |answer: &CallAnswer| answer.route == "ordinary";
        let confirmed = match kind {
            MoveKind::OrdinaryToProgram => ordinary(&before) && !ordinary(&after),
            MoveKind::ProgramToOrdinary => !ordinary(&before) && ordinary(&after),
            MoveKind::ProgramToProgram => !ordinary(&before) && !ordinary(&after) && before.route != after.route,
            MoveKind::StatusOnly => {
                self.tries += 1;
                ordinary(&before) && ordinary(&after) && before.status != after.status
            }
        };
        if kind == MoveKind::StatusOnly && !confirmed {
            return;
        }
        let words = a.who_and_what(&point, named);
        let surge = if in_a.surge { ", in surge mode" } else { "" };
        let text = format!("{words}, {}{surge}: {} → {}", a.when(in_a.local), before.spoken(), after.spoken());
        let call = MovedCall { facts: point.facts, at: in_a.local.to_string(), before, after, confirmed, text };
        self.found.insert(kind, call);
    }
}

impl CallAnswer {
    fn spoken(&self) -> String {
        match (&self.row, self.route.as_str()) {
            (Some(row), "ordinary") => format!("ordinary ({}: {row})", self.status),
            (None, "ordinary") => format!("ordinary ({})", self.status),
            (Some(row), program) => format!("{program}, by {row}"),
            (None, program) => program.to_owned(),
        }
    }
}

impl Compiled {
    /// The answer to a call at a moment, the policy's mode left aside.
    fn call_answer(&self, known: &BTreeMap<String, String>, scene: &Scene) -> CallAnswer {
        let facts = facts_of(known);
        let call = self.table.code(&facts);
        let availability = Availability { surge: scene.surge, ..Availability::default() };
        let moment = self.moment(scene.at, &availability);
        if let Way::Go { row, program, .. } = self.verdict(&call, &moment).way
            && call.strangers == 0
        {
            let route = self.programs.get(program).map_or_else(String::new, |program| program.id.to_string());
            return CallAnswer { status: "eligible", route, row: Some(self.table.id(row).to_owned()) };
        }
        let decision = self.decide(&facts, &[], scene.at, &availability);
        let row = match &decision.status {
            Status::Ineligible { because } | Status::NotAssessed { why: because } => Some(because.clone()),
            _ => decision.rule.clone(),
        };
        CallAnswer { status: decision.status.name(), route: Route::Ordinary.name().to_owned(), row }
    }
}

/// Entries that both lists have, in one order: the longest such sequence, as places in each.
fn kept(a: &[Entry], b: &[Entry], alike: impl Fn(&Entry, &Entry) -> bool) -> (HashSet<usize>, HashSet<usize>) {
    let (mut kept_a, mut kept_b) = (HashSet::new(), HashSet::new());
    let front = a.iter().zip(b).take_while(|(one, other)| alike(one, other)).count();
    let short = a.len().min(b.len()) - front;
    let back = a.iter().rev().zip(b.iter().rev()).take(short).take_while(|(one, other)| alike(one, other)).count();
    kept_a.extend((0..front).chain(a.len() - back..a.len()));
    kept_b.extend((0..front).chain(b.len() - back..b.len()));
    let (mid_a, mid_b) =
        (a.get(front..a.len() - back).unwrap_or_default(), b.get(front..b.len() - back).unwrap_or_default());
    // lengths[i][j]: how many entries of mid_a[i..] and mid_b[j..] can be kept.
    let mut lengths = vec![vec![0_u32; mid_b.len() + 1]; mid_a.len() + 1];
    let at = |lengths: &[Vec<u32>], i: usize, j: usize| lengths.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0);
    for (i, one) in mid_a.iter().enumerate().rev() {
        for (j, other) in mid_b.iter().enumerate().rev() {
            let most = if alike(one, other) {
                at(&lengths, i + 1, j + 1) + 1
            } else {
                at(&lengths, i + 1, j).max(at(&lengths, i, j + 1))
            };
            if let Some(length) = lengths.get_mut(i).and_then(|row| row.get_mut(j)) {
                *length = most;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    while let (Some(one), Some(other)) = (mid_a.get(i), mid_b.get(j)) {
        if alike(one, other) {
            kept_a.insert(front + i);
            kept_b.insert(front + j);
            (i, j) = (i + 1, j + 1);
        } else if at(&lengths, i + 1, j) >= at(&lengths, i, j + 1) {
            i += 1;
        } else {
            j += 1;
        }
    }
    (kept_a, kept_b)
}
