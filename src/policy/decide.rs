//! From the table's answer to a decision with its reasons, options and steps.

use super::compile::{Coded, Table};
use super::decision::{
    BarredPrograms, ExclusionHit, Flip, FollowUp, Gap, LegPlan, Mode, ProgramOption, Question, QueuePlace, Reason,
    Route, RouteStep, Status,
};
use super::hours::{next_opening, spoken};
use super::language::{Bars, FollowUpDue, Program, Row, RowKind, Step, StepForm};
use super::near::Near;
use super::outcome::{Outcome, StatusKind, unassessed};
use super::route::{Can, Duty, DutyState, Moment, Verdict, Way};
use super::row_set::{RowSet, WORDS};
use super::{Availability, Compiled, Decision};
use crate::facts::Facts;
use crate::record::ProgramId;
use jiff::Timestamp;
use jiff::civil::Date;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One call at one instant, with everything that explaining it needs.
pub(super) struct Assessment<'a> {
    pub policy: &'a Compiled,
    pub facts: &'a Facts,
    pub call: Coded,
    pub moment: Moment<'a>,
    pub verdict: Verdict,
    /// Rules that answers to unknown facts could make hold, where none holds now.
    pub reachable: RowSet,
}

impl Compiled {
    /// The decision on these facts at this instant.
    pub(super) fn decide(&self, facts: &Facts, gaps: &[Gap], at: Timestamp, availability: &Availability) -> Decision {
        let assessment = self.assess(facts, at, availability);
        let mut gaps = gaps.to_vec();
        add_strangers(&self.table, &assessment.call, &mut gaps);
        match unassessed(&self.table, facts, &assessment.call, &gaps).map(str::to_owned) {
            Some(why) => assessment.unassessed(why, gaps),
            None => assessment.decision(gaps),
        }
    }

    /// The table's answer, with what explaining it needs.
    pub(super) fn assess<'a>(
        &'a self,
        facts: &'a Facts,
        at: Timestamp,
        availability: &'a Availability,
    ) -> Assessment<'a> {
        let call = self.table.code(facts);
        let moment = self.moment(at, availability).with_duties();
        let verdict = self.verdict(&call, &moment);
        let reachable = match self.may_need_answers(verdict.way) {
            true => self.reachable(&call, &moment),
            false => RowSet::EMPTY,
        };
        Assessment { policy: self, facts, call, moment, verdict, reachable }
    }

    pub(super) fn chain(&self, row: usize) -> Vec<Vec<usize>> {
        match self.table.rows.get(row).map(|row| &row.kind) {
            Some(RowKind::Rule { send, .. }) => send.iter().map(|step| step.programs.clone()).collect(),
            Some(RowKind::Exclusion(Bars::AllBut(program))) => vec![vec![*program]],
            _ => Vec::new(),
        }
    }

    /// The programs of a row's chain in order, the steps left aside.
    pub(super) fn sends_to(&self, row: usize) -> impl Iterator<Item = usize> + '_ {
        let (steps, only) = match self.table.rows.get(row).map(|row| &row.kind) {
            Some(RowKind::Rule { send, .. }) => (send.as_slice(), None),
            Some(RowKind::Exclusion(Bars::AllBut(program))) => (&[][..], Some(*program)),
            _ => (&[][..], None),
        };
        steps.iter().flat_map(|step| &step.programs).copied().chain(only)
    }

    /// The steps of a row from one of them on.
    pub(super) fn steps_of(&self, row: usize, from: usize) -> Vec<Step> {
        match self.table.rows.get(row).map(|row| &row.kind) {
            Some(RowKind::Rule { send, .. }) => send.get(from..).map(<[Step]>::to_vec).unwrap_or_default(),
            Some(RowKind::Exclusion(Bars::AllBut(program))) => vec![Step::one(*program)],
            _ => Vec::new(),
        }
    }

    /// How a program is asked, leg by leg.
    fn plans(&self, program: &Program, duty_date: Date, step: &Step, call: Option<&Coded>) -> Vec<LegPlan> {
        let ids = |places: &[usize]| {
            places.iter().filter_map(|place| Some(self.programs.get(*place)?.id.clone())).collect::<Vec<ProgramId>>()
        };
        let together = if step.form == StepForm::AllOf { ids(&step.programs) } else { Vec::new() };
        let referred_by = match step.form {
            StepForm::ReferredBy(place) => ids(&[place]).pop(),
            StepForm::AnyOf | StepForm::AllOf => None,
        };
        let queue = call.and_then(|call| self.queue_place(program, call));
        let plan = |leg: &super::language::Leg| LegPlan {
            program: program.id.clone(),
            title: program.title.to_string(),
            kind: program.kind_on(duty_date),
            channel: leg.channel.clone(),
            accept_deadline_s: leg.accept_deadline_s,
            attempts: leg.attempts,
            release: program.release.clone(),
            call_back_within_min: program.call_back_within_min,
            together: together.clone(),
            referred_by: referred_by.clone(),
            queue: queue.clone(),
        };
        program.legs.iter().map(plan).collect()
    }

    /// Where a call stands in the order of a program's queue.
    fn queue_place(&self, program: &Program, call: &Coded) -> Option<QueuePlace> {
        if program.queue.is_empty() {
            return None;
        }
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let of = number(program.queue.len() + 1);
        let found = program.queue.iter().zip(1..).find(|(entry, _)| self.table.meets(call, &entry.cells));
        Some(match found {
            Some((entry, place)) => QueuePlace { place, of, because: Some(entry.because.clone()) },
            None => QueuePlace { place: of, of, because: None },
        })
    }

    /// The steps of a chain as they are tried: each program's legs in turn, a broadcast's first legs together. `able`
    /// gives the programs that can take the call and the dates on which their shifts began. A tandem of which one
    /// cannot take it is no step; a referral is one only where whoever refers is asked.
    pub(super) fn steps<'a>(
        &'a self,
        chain: Vec<Step>,
        call: Option<&Coded>,
        able: impl Fn(usize) -> Option<(&'a Program, Date)>,
    ) -> Vec<RouteStep> {
        let mut steps = Vec::new();
        let mut asked: BTreeSet<usize> = BTreeSet::new();
        for step in chain {
            let group: Vec<usize> = step.programs.iter().copied().filter(|place| able(*place).is_some()).collect();
            let stands = match step.form {
                StepForm::AnyOf => true,
                StepForm::AllOf => group.len() == step.programs.len(),
                StepForm::ReferredBy(program) => asked.contains(&program),
            };
            if !stands {
                continue;
            }
            asked.extend(&group);
            let plans: Vec<Vec<LegPlan>> = group
                .iter()
                .filter_map(|place| able(*place))
                .map(|(program, date)| self.plans(program, date, &step, call))
                .collect();
            let longest = plans.iter().map(Vec::len).max().unwrap_or(0);
            for turn in 0..longest {
                // A tandem is asked whole in every turn: who has no further leg is asked on the last one again.
                let leg = |plan: &Vec<LegPlan>| match step.form {
                    StepForm::AllOf => plan.get(turn).or_else(|| plan.last()).cloned(),
                    StepForm::AnyOf | StepForm::ReferredBy(_) => plan.get(turn).cloned(),
                };
                steps.push(RouteStep { legs: plans.iter().filter_map(leg).collect() });
            }
        }
        steps
    }
}

impl Assessment<'_> {
    fn row(&self, row: usize) -> Option<&Row> {
        self.policy.table.rows.get(row)
    }

    fn unassessed(&self, why: String, gaps: Vec<Gap>) -> Decision {
        let text = match why.as_str() {
            "call-type-not-in-table" => "the call type is not in the policy's table",
            "call-type-version-mismatch" => {
                "the policy's rows for this call type are of another vendor or version than the record's"
            }
            "call-type-says-nothing" => "the call type does not say what the call is about",
            "no-call-type" => "the record has no call type",
            "nature-unknown" => "what the call is about is not known",
            "value-out-of-domain" => "the record states a value that the policy does not know",
            _ => "the call could not be assessed",
        };
        let named: Vec<&str> = gaps.iter().filter(|gap| gap.why == why).map(|gap| gap.fact.as_str()).collect();
        let mut decision = Decision::not_assessed(&why, text, self.policy.identity.clone(), Vec::new());
        decision.exclusions = self.exclusions();
        // Few questions, of few calls: all the words.
        decision.questions = self.near::<WORDS>().first_questions(&named);
        decision.options = self.options();
        decision.gaps = gaps;
        decision
    }

    fn decision(&self, gaps: Vec<Gap>) -> Decision {
        let (status, row) = self.status();
        let rule = row.filter(|row| self.policy.table.rules.contains(*row));
        let goes = matches!(status, Status::Eligible);
        let program = self.verdict.program().filter(|_| goes).and_then(|place| self.policy.programs.get(place));
        let (questions, nearest_flip) = self.questions_and_flip();
        Decision {
            route: program.map_or(Route::Ordinary, |program| Route::Program(program.id.clone())),
            rule: rule.map(|rule| self.policy.table.id(rule).to_owned()),
            exclusions: self.exclusions(),
            reasons: self.reasons(&status, row, &questions),
            options: self.options(),
            questions,
            nearest_flip,
            steps: if goes { self.route_steps() } else { Vec::new() },
            automatic: goes && (self.policy.mode == Mode::Automatic || canary!(ShadowOffers)) && self.automatic(),
            follow_up: self.follow_up(rule),
            gaps,
            policy: Arc::clone(&self.policy.identity),
            status,
        }
    }

    /// Both by how near each row is to the call, in as many machine words as the rows of the policy need.
    fn questions_and_flip(&self) -> (Vec<Question>, Option<Flip>) {
        fn of<const W: usize>(near: &Near<'_, W>) -> (Vec<Question>, Option<Flip>) {
            (near.questions(), near.nearest_flip())
        }
        match self.policy.table.words {
            0..=2 => of::<2>(&self.near()),
            3..=4 => of::<4>(&self.near()),
            5..=8 => of::<8>(&self.near()),
            _ => of::<WORDS>(&self.near()),
        }
    }

    /// The status and the row that it speaks of.
    fn status(&self) -> (Status, Option<usize>) {
        let held = self.reachable.and(&self.verdict.rules).iter().next();
        let reached = (!self.reachable.is_empty()).then_some(held);
        let Outcome { kind, row, because, .. } =
            self.policy.outcome(&self.call, &self.moment, self.verdict.way, reached);
        let because = self.policy.reason(because).unwrap_or_default();
        let status = match kind {
            StatusKind::NotAssessed => Status::NotAssessed { why: because.to_owned() },
            StatusKind::Ineligible => Status::Ineligible { because: because.to_owned() },
            StatusKind::NeedsAnswer => Status::NeedsAnswer,
            StatusKind::EligibleOutOfHours => Status::EligibleOutOfHours,
            StatusKind::EligibleOutOfArea => Status::EligibleOutOfArea,
            StatusKind::EligibleNoUnit => Status::EligibleNoUnit,
            StatusKind::Eligible => Status::Eligible,
            StatusKind::ShadowEligible => Status::ShadowEligible,
        };
        (status, row)
    }

    /// Every exclusion that holds, in order of id.
    fn exclusions(&self) -> Vec<ExclusionHit> {
        let mut hits: Vec<ExclusionHit> = self
            .verdict
            .exclusions
            .iter()
            .filter_map(|place| {
                let row = self.row(place)?;
                let send = match row.kind {
                    RowKind::Exclusion(Bars::AllBut(program)) => self.policy.programs.get(program),
                    _ => None,
                };
                Some(ExclusionHit {
                    id: row.id.clone(),
                    because: row.because.clone(),
                    cite: row.cite.clone(),
                    for_want_of: self.want_of(place),
                    send: send.map(|program| program.id.clone()),
                    bars: self.barred(row),
                })
            })
            .collect();
        hits.sort_by(|one, other| one.id.cmp(&other.id));
        hits
    }

    /// Whom an authored exclusion bars that leaves others.
    fn barred(&self, row: &Row) -> Option<BarredPrograms> {
        let RowKind::Exclusion(Bars::Some(barred)) = &row.kind else {
            return None;
        };
        let named = self.policy.programs.iter().enumerate().filter(|(place, _)| barred.names(*place));
        let programs = named.map(|(_, program)| program.id.clone()).collect();
        (row.line > 0).then_some(BarredPrograms { programs, unaccompanied: barred.unaccompanied })
    }

    /// The unknown facts for want of which a row holds.
    fn want_of(&self, row: usize) -> Vec<String> {
        let table = &self.policy.table;
        let unknown = table.columns.iter().zip(&self.call.codes).filter(|(_, code)| **code == 0);
        unknown.filter(|(column, _)| column.soft.contains(row)).map(|(column, _)| column.name.clone()).collect()
    }

    fn reasons(&self, status: &Status, row: Option<usize>, questions: &[Question]) -> Vec<Reason> {
        let own = |row: usize| {
            self.row(row).map(|row| Reason { code: row.id.clone(), text: row.because.clone(), cite: row.cite.clone() })
        };
        let mut reasons: Vec<Reason> = Vec::new();
        match status {
            Status::Ineligible { because } => {
                reasons.extend(row.and_then(own));
                if because == "no-rule" {
                    reasons.push(reason("no-rule", "no rule of the policy takes this call"));
                } else if because == "missing-field" {
                    reasons.push(reason("missing-field", "the program needs something that the call does not have"));
                }
                let others = self.verdict.exclusions.without(&self.verdict.soft).iter();
                reasons.extend(others.filter(|other| Some(*other) != row).filter_map(own));
            }
            Status::NeedsAnswer => reasons.extend(self.open_reasons(questions)),
            Status::EligibleOutOfHours | Status::EligibleOutOfArea | Status::EligibleNoUnit => {
                reasons.extend(row.into_iter().flat_map(|row| self.chain_failures(row)));
                reasons.extend(row.and_then(own));
            }
            Status::Eligible | Status::ShadowEligible | Status::NotAssessed { .. } => {
                reasons.extend(row.and_then(own));
                if *status == Status::ShadowEligible {
                    reasons.push(reason("shadow", "recorded only: the rule or the policy is in shadow"));
                }
                reasons.extend(row.into_iter().flat_map(|row| self.chain_failures(row)));
            }
        }
        if reasons.is_empty() {
            reasons.push(reason(status.name(), "the call stays on the ordinary route"));
        }
        reasons
    }

    /// Why the call waits for an answer.
    fn open_reasons(&self, questions: &[Question]) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = Vec::new();
        for place in self.verdict.exclusions.and(&self.verdict.soft).iter() {
            if let Some(row) = self.row(place) {
                let text = format!("{} (not known: {})", row.because, self.want_of(place).join(", "));
                reasons.push(Reason { code: row.id.clone(), text, cite: row.cite.clone() });
            }
        }
        let wanted: BTreeSet<&str> = questions.iter().map(|question| question.fact.as_str()).collect();
        let wanted = wanted.into_iter().collect::<Vec<_>>().join(", ");
        match self.verdict.way {
            Way::Ask(row) => reasons.push(reason(
                "needs-answer",
                &format!("`{}` would take the call; first these must be known: {wanted}", self.policy.table.id(row)),
            )),
            Way::Unsure => {}
            _ => reasons.push(reason("needs-answer", &format!("whether a rule takes the call depends on: {wanted}"))),
        }
        reasons
    }

    /// Programs of a row's chain that cannot take the call now, and why.
    fn chain_failures(&self, row: usize) -> impl Iterator<Item = Reason> + '_ {
        let options = self.policy.sends_to(row).map(|place| self.option(place));
        let failures = options.filter(|option| !option.can_take);
        failures.map(|option| reason(&option.code, &format!("{}: {}", option.title, option.why)))
    }

    /// Programs in the order of the chain that decides, then all others by id.
    fn options(&self) -> Vec<ProgramOption> {
        let policy = self.policy;
        let held = self.verdict.rules.or(&self.verdict.exclusions.and(&policy.table.bars_all_but));
        let first = match self.verdict.way {
            Way::Go { row, .. } | Way::Ask(row) | Way::Nobody { row, .. } | Way::Barred { rule: row, .. } => Some(row),
            _ => None,
        };
        let mut options: Vec<ProgramOption> = Vec::with_capacity(policy.programs.len());
        let mut considered = 0_u64;
        for program in first.into_iter().chain(held.iter()).flat_map(|row| policy.sends_to(row)) {
            if considered & (1 << program) == 0 {
                considered |= 1 << program;
                options.push(self.option(program));
            }
        }
        let waiting = self.reachable.iter().flat_map(|row| policy.sends_to(row));
        let waiting = waiting.fold(0_u64, |programs, program| programs | (1 << program));
        let others = policy.programs.iter().enumerate().filter(|(place, _)| considered & (1 << place) == 0);
        options.extend(others.map(|(place, program)| {
            // The questions can still bring the call to it: "no rule" would be said too early.
            let (code, why) = match waiting & (1 << place) {
                0 => ("no-rule", "no rule sends this call to it"),
                _ => ("needs-answer", "waits for an answer"),
            };
            told_option(program, code, why.into(), None)
        }));
        options
    }

    /// A program that some row considers.
    fn option(&self, place: usize) -> ProgramOption {
        let (Some(program), Some(duty)) = (self.policy.programs.get(place), self.moment.duty(place)) else {
            return ProgramOption {
                program: ProgramId::new(""),
                title: "".into(),
                can_take: false,
                code: "no-rule".into(),
                why: "no rule sends this call to it".into(),
                opens_at: None,
            };
        };
        let excluded = match self.verdict.way {
            Way::Excluded(row) if !self.policy.table.bars_unaccompanied.contains(row) => {
                self.row(row).map(|row| row.because.clone().into())
            }
            Way::Unsure => Some("it waits for an answer".into()),
            _ => None,
        };
        let (code, why, opens_at) = match excluded {
            Some(because) => ("excluded", because, None),
            None => self.why_not(place, program, &duty),
        };
        told_option(program, code, why, opens_at)
    }

    fn why_not(
        &self,
        place: usize,
        program: &Program,
        duty: &Duty,
    ) -> (&'static str, Cow<'static, str>, Option<Timestamp>) {
        let table = &self.policy.table;
        let because = |row: usize| self.row(row).map_or_else(String::new, |row| row.because.clone());
        let name = |fact: usize| {
            self.policy.sources.vocabulary.facts().get(fact).map_or_else(String::new, |fact| fact.name.to_string())
        };
        match self.policy.can_take(&self.call, place, duty, self.verdict.barring(table)) {
            Can::Take => ("can-take", "can take the call now".into(), None),
            Can::Barred(by) if table.bars_of::<WORDS>(place, true).contains(by) => {
                ("excluded", because(by).into(), None)
            }
            Can::Barred(by) => ("officer-needed", because(by).into(), None),
            Can::Waits(by) => {
                let why = format!("{} (not known: {})", because(by), self.want_of(by).join(", "));
                ("needs-answer", why.into(), None)
            }
            Can::OutOfArea => ("out-of-area", "the place is outside its area".into(), None),
            Can::OutOfHours => {
                let (zone, holidays) = (&self.policy.time_zone, &self.policy.holidays);
                let (at, today) = (self.moment.local.at, self.moment.local.date);
                let staffed = |date| program.staffed_on(date);
                let surge = self.moment.surge;
                let opens = next_opening(&program.shifts, at, today, zone, holidays, surge, staffed);
                let why = opens.map_or("it does not open again".into(), |opens| {
                    format!("opens {}", spoken(opens, today, zone)).into()
                });
                ("out-of-hours", why, opens)
            }
            Can::NoUnit => {
                let why = match duty.state {
                    DutyState::Full => "all its places are taken",
                    DutyState::NoCrew => "no crew is set for this date",
                    DutyState::Unstaffed => "nobody is on duty",
                    DutyState::Open | DutyState::Closed | DutyState::NoDecider => "it has nobody to send",
                };
                ("no-unit", why.into(), None)
            }
            Can::NoDecider => {
                let decider = program.decider.and_then(|place| self.policy.deciders.get(place));
                let title = decider.map_or("its decider", |decider| decider.title.as_str());
                ("no-decider", format!("{title} is not on duty").into(), None)
            }
            Can::Missing(fact) => ("missing-field", format!("`{}` must be known", name(fact)).into(), None),
            Can::Absent(fact) => ("missing-field", format!("the call has no `{}`", name(fact)).into(), None),
        }
    }

    /// The legs in the order they are tried: of each step the programs that can take the call.
    fn route_steps(&self) -> Vec<RouteStep> {
        let Way::Go { row, step, .. } = self.verdict.way else {
            return Vec::new();
        };
        let barring = self.verdict.barring(&self.policy.table);
        let able = |place: &usize| {
            let program = self.policy.programs.get(*place)?;
            let duty = self.moment.duty(*place)?;
            (self.policy.can_take(&self.call, *place, &duty, barring) == Can::Take)
                .then_some((program, duty.shift_date))
        };
        self.policy.steps(self.policy.steps_of(row, step), Some(&self.call), |place| able(&place))
    }

    /// True where every rule that holds at the deciding rank may be offered without a key.
    fn automatic(&self) -> bool {
        let Way::Go { row, .. } = self.verdict.way else {
            return false;
        };
        let Some(decider) = self.row(row) else {
            return false;
        };
        let automatic = |row: &Row| matches!(row.kind, RowKind::Rule { automatic: true, .. });
        let same = self
            .verdict
            .rules
            .iter()
            .filter_map(|row| self.row(row))
            .filter(|row| super::compile::rank(row) == super::compile::rank(decider));
        automatic(decider) && same.into_iter().all(automatic)
    }

    fn follow_up(&self, rule: Option<usize>) -> Vec<FollowUp> {
        let Some(RowKind::Rule { follow_up, .. }) = rule.and_then(|rule| self.row(rule)).map(|row| &row.kind) else {
            return Vec::new();
        };
        let told = |due: &FollowUpDue| FollowUp {
            after_h: due.after_h,
            within_h: due.within_h,
            by: due.by.and_then(|place| Some(self.policy.programs.get(place)?.id.clone())),
        };
        follow_up.iter().map(told).collect()
    }
}

/// A value that the policy does not have is a gap.
fn add_strangers(table: &Table, call: &Coded, gaps: &mut Vec<Gap>) {
    for (_, column) in table.columns.iter().enumerate().filter(|(place, _)| call.strangers & (1 << place) != 0) {
        let gap = Gap { fact: column.name.clone(), why: "value-out-of-domain".to_owned() };
        if !gaps.contains(&gap) {
            gaps.push(gap);
        }
    }
}

fn told_option(
    program: &Program,
    code: &'static str,
    why: Cow<'static, str>,
    opens_at: Option<Timestamp>,
) -> ProgramOption {
    ProgramOption {
        program: program.id.clone(),
        title: Arc::clone(&program.title),
        can_take: code == "can-take",
        code: code.into(),
        why,
        opens_at,
    }
}

fn reason(code: &str, text: &str) -> Reason {
    Reason { code: code.to_owned(), text: text.to_owned(), cite: None }
}
