//! What the table settles of a call: its status, where it goes and by which row, without a word of explanation.

use super::compile::{Coded, Table, unsettled};
use super::decision::Gap;
use super::route::{Can, Moment, Verdict, Way};
use super::row_set::{RowSet, WORDS};
use super::{Availability, Compiled, Mode};
use crate::facts::Facts;
use crate::record::ProgramId;
use jiff::Timestamp;

/// The closed set of statuses without what they carry; [`super::Status`] has their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatusKind {
    /// The call could not be assessed.
    NotAssessed,
    /// An exclusion holds, or no rule takes the call.
    Ineligible,
    /// The ordinary route until the questions are answered.
    NeedsAnswer,
    /// Every program that would take it is closed now.
    EligibleOutOfHours,
    /// The place is outside every program's area.
    EligibleOutOfArea,
    /// Nobody has capacity or staff.
    EligibleNoUnit,
    /// A program can take it now.
    Eligible,
    /// As `eligible`, and recorded only.
    ShadowEligible,
}

impl StatusKind {
    /// Every status, in the order of the closed set.
    pub const ALL: [Self; 8] = [
        Self::NotAssessed,
        Self::Ineligible,
        Self::NeedsAnswer,
        Self::EligibleOutOfHours,
        Self::EligibleOutOfArea,
        Self::EligibleNoUnit,
        Self::Eligible,
        Self::ShadowEligible,
    ];

    /// The name in JSON, reports and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotAssessed => "not-assessed",
            Self::Ineligible => "ineligible",
            Self::NeedsAnswer => "needs-answer",
            Self::EligibleOutOfHours => "eligible-out-of-hours",
            Self::EligibleOutOfArea => "eligible-out-of-area",
            Self::EligibleNoUnit => "eligible-no-unit",
            Self::Eligible => "eligible",
            Self::ShadowEligible => "shadow-eligible",
        }
    }
}

/// The answer to one call without its explanation.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Its status.
    pub status: StatusKind,
    /// Row of an `ineligible`, reason of a `not-assessed`.
    pub because: Option<&'a str>,
    /// The program that it goes to first; `None` is the ordinary route.
    pub program: Option<&'a ProgramId>,
    /// The same, and for a `shadow-eligible` the program that would take it if it were offered.
    pub toward: Option<&'a ProgramId>,
    /// The rule that decides, or would decide.
    pub rule: Option<&'a str>,
}

/// A call as one policy's table reads it, made by [`super::Policy::read`] and good for that policy only.
#[derive(Debug, Clone, Copy)]
pub struct ReadCall<'a> {
    call: Coded,
    unassessed: Option<&'a str>,
}

/// The same in places of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome<'a> {
    pub kind: StatusKind,
    pub because: Because<'a>,
    /// The row that the status speaks of.
    pub row: Option<usize>,
    /// The program that the call goes to.
    pub program: Option<usize>,
}

/// Why a call is ineligible or could not be assessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Because<'a> {
    Nothing,
    Row(usize),
    NoRule,
    MissingField,
    Why(&'a str),
}

impl<'a> Outcome<'a> {
    pub(super) fn new(kind: StatusKind, row: Option<usize>) -> Self {
        Self { kind, because: Because::Nothing, row, program: None }
    }

    pub(super) fn unassessed(why: &'a str) -> Self {
        Self { because: Because::Why(why), ..Self::new(StatusKind::NotAssessed, None) }
    }
}

impl Compiled {
    /// A call's facts as the table reads them. No allocation.
    pub(super) fn read<'a>(&self, facts: &Facts, gaps: &'a [Gap]) -> ReadCall<'a> {
        let call = self.table.code(facts);
        let unassessed = unassessed(&self.table, facts, &call, gaps);
        ReadCall { call, unassessed }
    }

    /// Status, route and rule. No allocation but where an exact cut must settle what answers could reach.
    pub(super) fn answer<'a>(&'a self, read: &ReadCall<'a>, at: Timestamp, availability: &Availability) -> Answer<'a> {
        if let Some(why) = read.unassessed {
            return self.told(Outcome::unassessed(why));
        }
        let moment = self.moment(at, availability);
        self.told(match self.table.words {
            0..=2 => self.outcome_in::<2>(&read.call, &moment),
            3..=4 => self.outcome_in::<4>(&read.call, &moment),
            5..=8 => self.outcome_in::<8>(&read.call, &moment),
            _ => self.outcome_in::<WORDS>(&read.call, &moment),
        })
    }

    /// The outcome, looked for in so many machine words.
    fn outcome_in<'a, const W: usize>(&self, call: &Coded, moment: &Moment<'_>) -> Outcome<'a> {
        let verdict: Verdict<W> = self.verdict_in(call, moment);
        let reached = self.reached(call, moment, &verdict);
        self.outcome(call, moment, verdict.way, reached)
    }

    pub(super) fn told<'a>(&'a self, outcome: Outcome<'a>) -> Answer<'a> {
        let rule = outcome.row.filter(|row| self.table.rules.contains(*row));
        let toward = outcome.program.and_then(|place| self.programs.get(place)).map(|program| &program.id);
        Answer {
            status: outcome.kind,
            because: self.reason(outcome.because),
            program: toward.filter(|_| outcome.kind == StatusKind::Eligible),
            toward,
            rule: rule.map(|rule| self.table.id(rule)),
        }
    }

    /// The word or row of a reason.
    pub(super) fn reason<'a>(&'a self, because: Because<'a>) -> Option<&'a str> {
        match because {
            Because::Nothing => None,
            Because::Row(row) => Some(self.table.id(row)),
            Because::NoRule => Some("no-rule"),
            Because::MissingField => Some("missing-field"),
            Because::Why(why) => Some(why),
        }
    }

    /// Whether the status depends on what answers could still reach.
    pub(super) fn may_need_answers(&self, way: Way) -> bool {
        match way {
            Way::Unsure | Way::NoRule => true,
            Way::Excluded(row) => self.table.bars_unaccompanied.contains(row),
            _ => false,
        }
    }

    /// Whether answers could still reach a rule, and the first of those that holds already.
    fn reached<const W: usize>(
        &self,
        call: &Coded,
        moment: &Moment<'_>,
        verdict: &Verdict<W>,
    ) -> Option<Option<usize>> {
        if !self.may_need_answers(verdict.way) {
            return None;
        }
        let open = self.table.open(call);
        self.first_reachable(call, moment, open, &self.possible(call, moment, open), &verdict.rules)
    }

    /// The status of a call that goes this way. `reached`: whether answers could reach a rule, and the first such rule that holds.
    pub(super) fn outcome<'a>(
        &self,
        call: &Coded,
        moment: &Moment<'_>,
        way: Way,
        reached: Option<Option<usize>>,
    ) -> Outcome<'a> {
        let outcome = Outcome::new;
        let ineligible = |because, row| Outcome { because, ..outcome(StatusKind::Ineligible, row) };
        match (way, reached) {
            (Way::Excluded(_) | Way::Unsure | Way::NoRule, Some(held)) => outcome(StatusKind::NeedsAnswer, held),
            (Way::Excluded(row), None) => ineligible(Because::Row(row), Some(row)),
            (Way::Unsure, None) => ineligible(Because::NoRule, None),
            (Way::NoRule, None) => match self.shadow_rule(call, moment) {
                Some((row, program)) => {
                    Outcome { program: Some(program), ..outcome(StatusKind::ShadowEligible, Some(row)) }
                }
                None => ineligible(Because::NoRule, None),
            },
            (Way::Ask(row), _) => outcome(StatusKind::NeedsAnswer, Some(row)),
            (Way::Barred { rule: _, by }, _) => ineligible(Because::Row(by), Some(by)),
            (Way::Nobody { row, why }, _) => match why {
                Can::OutOfHours => outcome(StatusKind::EligibleOutOfHours, Some(row)),
                Can::OutOfArea => outcome(StatusKind::EligibleOutOfArea, Some(row)),
                Can::Absent(_) => ineligible(Because::MissingField, Some(row)),
                _ => outcome(StatusKind::EligibleNoUnit, Some(row)),
            },
            (Way::Go { row, program, .. }, _) => {
                let in_shadow = self.mode == Mode::Shadow && !canary!(ShadowOffers);
                let kind = if in_shadow { StatusKind::ShadowEligible } else { StatusKind::Eligible };
                Outcome { program: Some(program), ..outcome(kind, Some(row)) }
            }
        }
    }

    /// The rule in shadow that would take a call that no live rule takes, and the program it sends to.
    fn shadow_rule(&self, call: &Coded, moment: &Moment<'_>) -> Option<(usize, usize)> {
        if self.table.shadow == RowSet::EMPTY {
            return None;
        }
        match self.shadow_verdict(call, moment).way {
            Way::Go { row, program, .. } => Some((row, program)),
            _ => None,
        }
    }
}

/// Why a call cannot be assessed, if it cannot.
pub(super) fn unassessed<'a>(table: &Table, facts: &Facts, call: &Coded, gaps: &'a [Gap]) -> Option<&'a str> {
    const OUT_OF_DOMAIN: &str = "value-out-of-domain";
    let stranger = |gap: &Gap| gap.why == OUT_OF_DOMAIN && unsettled(facts, &gap.fact);
    if call.strangers != 0 || gaps.iter().any(stranger) {
        return Some(OUT_OF_DOMAIN);
    }
    if let Some(gap) = gaps.iter().find(|gap| gap.fact == "nature").filter(|_| unsettled(facts, "nature")) {
        return Some(&gap.why);
    }
    if table.nature_column.is_none_or(|place| call.codes.get(place) != Some(&0)) {
        return None;
    }
    match facts.source("nature") {
        Some(_) => Some("nature-unknown"),
        None => Some("no-call-type"),
    }
}
