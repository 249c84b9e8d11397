//! Rows, safeguards and waivers as written: what they are, and the built-in ones.

use super::cells::Cell;
use crate::policy::ProgramKind;
use crate::policy::hours::Effective;
use jiff::civil::Date;

/// One row of the table.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Row {
    pub id: String,
    /// Line in `policy.toml`; 0 for built-in rows.
    pub line: u32,
    pub cells: Vec<Cell>,
    pub because: String,
    pub cite: Option<String>,
    pub effective: Effective,
    /// Counts only in surge mode, or only outside it; `None`: always.
    pub surge: Option<bool>,
    pub kind: RowKind,
}

impl Row {
    /// Whether the row counts on a date, in surge mode (`true`) or outside it.
    pub(in crate::policy) fn counts(&self, date: Date, surge: bool) -> bool {
        self.effective.holds(date) && self.surge.is_none_or(|wanted| wanted == surge)
    }

    /// True where neither date nor mode changes whether it counts.
    pub(in crate::policy) fn always_counts(&self) -> bool {
        self.effective.is_always() && self.surge.is_none()
    }

    /// True where both are rules that send alike.
    pub(in crate::policy) fn sends_like(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (RowKind::Rule { send, .. }, RowKind::Rule { send: others, .. }) => send == others,
            _ => false,
        }
    }

    /// True where both rows can count at once.
    pub(in crate::policy) fn counts_with(&self, other: &Self) -> bool {
        let apart = matches!((self.surge, other.surge), (Some(one), Some(two)) if one != two);
        !apart && self.effective.overlaps(&other.effective)
    }
}

/// One step of a rule's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct Step {
    /// Places in the list of programs.
    pub programs: Vec<usize>,
    pub form: StepForm,
}

/// How the programs of a step are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum StepForm {
    /// One program, or several at once of which the first to accept has the call (a broadcast).
    AnyOf,
    /// Several that must all accept (a tandem); the first leads.
    AllOf,
    /// What this program declines is referred here; not a way of its own.
    ReferredBy(usize),
}

impl Step {
    pub(in crate::policy) fn one(program: usize) -> Self {
        Self { programs: vec![program], form: StepForm::AnyOf }
    }
}

/// A follow-up as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct FollowUpDue {
    pub after_h: u32,
    pub within_h: u32,
    /// Place in the list of programs.
    pub by: Option<usize>,
}

/// What a row does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) enum RowKind {
    /// An exclusion and what it bars.
    Exclusion(Bars),
    /// A rule.
    Rule {
        /// Tried in order.
        send: Vec<Step>,
        rank: i64,
        shadow: bool,
        automatic: bool,
        /// Facts that must be known.
        ask: Vec<usize>,
        follow_up: Vec<FollowUpDue>,
    },
}

/// What an exclusion bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Bars {
    /// Every program: the ordinary route.
    All,
    /// Every program but this co-response, to which it sends.
    AllBut(usize),
    /// Some programs; the others of a chain may take the call.
    Some(Barred),
}

/// The programs that an exclusion bars, where it leaves the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) struct Barred {
    /// Places in the list of programs, as bits.
    pub programs: u64,
    /// Whoever comes without an officer, as crew phases have it on the date (built-in safeguards bar these alone).
    pub unaccompanied: bool,
}

impl Barred {
    pub(in crate::policy) fn names(self, program: usize) -> bool {
        self.programs.checked_shr(u32::try_from(program).unwrap_or(u32::MAX)).unwrap_or(0) & 1 == 1
    }

    /// True where it bars whoever the other bars.
    pub(in crate::policy) fn bars_as_much_as(self, other: Self) -> bool {
        other.programs & !self.programs == 0 && (self.unaccompanied || !other.unaccompanied)
    }
}

/// One authored safeguard.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Safeguard {
    pub id: String,
    pub line: u32,
    pub promise: Promise,
    pub when: Vec<Cell>,
}

/// What a safeguard promises of every call within its `when`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) enum Promise {
    /// Never to any of these.
    Never(Vec<SendTarget>),
    /// Always the ordinary route.
    AlwaysOrdinary,
    /// Somebody always owns the call: true of every table, for the ordinary route is always there.
    AlwaysSomebody,
}

/// Whom a safeguard speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum SendTarget {
    Any,
    Unaccompanied,
    Kind(ProgramKind),
    Program(usize),
}

/// A built-in safeguard lifted, by whom and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct Waiver {
    pub safeguard: String,
    pub signed_by: String,
    pub because: String,
    pub signed_on: Option<String>,
    /// Of `built-in.monotone`: the risk fact, and the rules that a higher value of it may open.
    pub fact: Option<String>,
    pub rules: Vec<String>,
}

/// The built-in exclusions: id, fact, values, what it bars, and its sentence. Known values only, so that none of them ever
/// holds for want of an answer.
pub(in crate::policy) const BUILT_IN: [(&str, &str, &str, bool, &str); 7] = [
    ("built-in.weapon", "weapon", "present, used", false, "a weapon is present or has been used"),
    ("built-in.violence", "violence", "physical", false, "somebody is being physically violent"),
    ("built-in.medical", "medical", "acute", false, "somebody needs acute medical care"),
    ("built-in.crime", "crime", "in-progress", false, "a crime is in progress"),
    (
        "built-in.self-harm",
        "self_harm",
        "means, attempt",
        false,
        "the person has the means in hand or is making an attempt",
    ),
    ("built-in.consent", "consent", "refused, withdrawn", false, "the person refuses, or no longer agrees"),
    ("built-in.doubt", "doubt", "yes", true, "there is doubt about this call"),
];

/// The built-in safeguard that danger opens no door, which a waiver lifts for one risk fact and some rules.
pub(in crate::policy) const MONOTONE: &str = "built-in.monotone";
