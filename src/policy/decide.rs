//! From the table's answer to a decision with its reasons, options and steps.

use super::compile::{Coded, unsettled};
use super::decision::{
    ExclusionHit, FollowUp, Gap, LegPlan, Mode, ProgramOption, QueuePlace, Reason, Route, RouteStep, Status,
};
use super::hours::{next_opening, spoken};
use super::language::{Bars, FollowUpDue, Program, Row, RowKind, Step, StepForm};
use super::route::{Can, Duty, DutyState, Moment, Verdict, Way};
use super::row_set::RowSet;
use super::{Availability, Compiled, Decision};
use crate::facts::Facts;
use crate::record::ProgramId;
use jiff::Timestamp;
use jiff::civil::Date;
use std::collections::BTreeSet;

/// One call at one instant, with everything that explaining it needs.
pub(super) struct Assessment<'a> {
    pub policy: &'a Compiled,
    pub facts: &'a Facts,
    pub call: Coded,
    pub moment: Moment,
    pub verdict: Verdict,
    /// Rules that answers to unknown facts could make hold, where none holds now.
    pub reachable: RowSet,
}

impl Compiled {
    /// The decision on these facts at this instant.
    pub(super) fn decide(&self, facts: &Facts, gaps: &[Gap], at: Timestamp, availability: &Availability) -> Decision {
        let call = self.table.code(facts);
        let moment = self.moment(at, availability);
        let verdict = self.verdict(&call, &moment);
        let reachable = match verdict.way {
            Way::Unsure | Way::NoRule => self.reachable(&call, &moment),
            Way::Excluded(row) if self.table.bars_unaccompanied.contains(row) => self.reachable(&call, &moment),
            _ => RowSet::EMPTY,
        };
        let mut gaps = gaps.to_vec();
        let assessment = Assessment { policy: self, facts, call, moment, verdict, reachable };
        match assessment.not_assessed(&mut gaps) {
            Some(why) => assessment.unassessed(why, gaps),
            None => assessment.decision(gaps),
        }
    }

    /// Live rules of which some completion of the unknown facts makes a way to a program.
    fn reachable(&self, call: &Coded, moment: &Moment) -> RowSet {
        let table = &self.table;
        let mut possible = table.rules.without(&table.shadow).and(&moment.effective);
        for (place, (column, code)) in table.columns.iter().zip(&call.codes).enumerate() {
            if *code != 0 || !column.askable {
                possible = possible.and(table.accepts(place, column, *code, call));
            }
        }
        let mut reachable = RowSet::EMPTY;
        if possible.is_empty() {
            return reachable;
        }
        let around = self.space.around(table, call);
        // What bars is the same for every rule of a kind: laid out once, not once a rule.
        let ordinary = table.bars_all.and(&moment.effective);
        let covers_accompanied = self.space.rows(ordinary);
        let covers_unaccompanied = self.space.rows(ordinary.or(&table.bars_unaccompanied));
        for row in possible.iter() {
            let accompanied = self
                .chain(row)
                .iter()
                .flatten()
                .any(|program| moment.programs.get(*program).is_some_and(|duty| duty.accompanied));
            let covers = if accompanied { &covers_accompanied } else { &covers_unaccompanied };
            let open = self
                .space
                .row(row)
                .iter()
                .flat_map(|own| around.iter().filter_map(move |space| super::boxes::Space::meet(own, space)));
            let found = open.into_iter().any(|target| {
                // A question too hard to settle stays a question.
                !matches!(self.space.uncovered(&target, covers), Ok(None))
            });
            if found {
                reachable.insert(row);
            }
        }
        reachable
    }

    pub(super) fn chain(&self, row: usize) -> Vec<Vec<usize>> {
        match self.table.rows.get(row).map(|row| &row.kind) {
            Some(RowKind::Rule { send, .. }) => send.iter().map(|step| step.programs.clone()).collect(),
            Some(RowKind::Exclusion(Bars::AllBut(program))) => vec![vec![*program]],
            _ => Vec::new(),
        }
    }

    /// The steps of a row from one of them on.
    fn steps_of(&self, row: usize, from: usize) -> Vec<Step> {
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
            title: program.title.clone(),
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

    /// Why the call cannot be assessed, if it cannot. Facts out of domain are added to the gaps.
    fn not_assessed(&self, gaps: &mut Vec<Gap>) -> Option<String> {
        for (place, column) in self.policy.table.columns.iter().enumerate() {
            let gap = Gap { fact: column.name.clone(), why: "value-out-of-domain".to_owned() };
            if self.call.strangers & (1 << place) != 0 && !gaps.contains(&gap) {
                gaps.push(gap);
            }
        }
        let stranger = |gap: &&Gap| {
            gap.why == "value-out-of-domain" && (unsettled(self.facts, &gap.fact) || self.is_stranger(&gap.fact))
        };
        if gaps.iter().any(|gap| stranger(&gap)) {
            return Some("value-out-of-domain".to_owned());
        }
        let about_nature = gaps.iter().find(|gap| gap.fact == "nature");
        if let Some(gap) = about_nature.filter(|_| unsettled(self.facts, "nature")) {
            return Some(gap.why.clone());
        }
        let used = self.policy.table.columns.iter().any(|column| column.name == "nature");
        (used && self.facts.value("nature").is_none()).then(|| match self.facts.source("nature") {
            Some(_) => "nature-unknown".to_owned(),
            None => "no-call-type".to_owned(),
        })
    }

    fn is_stranger(&self, fact: &str) -> bool {
        let place = self.policy.table.columns.iter().position(|column| column.name == fact);
        place.is_some_and(|place| self.call.strangers & (1 << place) != 0)
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
        decision.questions = self.questions(&named);
        decision.options = self.options();
        decision.gaps = gaps;
        decision
    }

    fn decision(&self, gaps: Vec<Gap>) -> Decision {
        let (status, row) = self.status();
        let rule = row.filter(|row| self.policy.table.rules.contains(*row));
        let goes = matches!(status, Status::Eligible);
        let program = self.verdict.program().filter(|_| goes).and_then(|place| self.policy.programs.get(place));
        Decision {
            route: program.map_or(Route::Ordinary, |program| Route::Program(program.id.clone())),
            rule: rule.map(|rule| self.policy.table.id(rule).to_owned()),
            exclusions: self.exclusions(),
            reasons: self.reasons(&status, row),
            options: self.options(),
            questions: self.questions(&[]),
            nearest_flip: self.nearest_flip(),
            steps: if goes { self.route_steps() } else { Vec::new() },
            automatic: goes && self.policy.mode == Mode::Automatic && self.automatic(),
            follow_up: self.follow_up(rule),
            gaps,
            policy: self.policy.identity.clone(),
            status,
        }
    }

    /// The status and the row that it speaks of.
    fn status(&self) -> (Status, Option<usize>) {
        let because = |id: &str| Status::Ineligible { because: id.to_owned() };
        let table = &self.policy.table;
        let needs = !self.reachable.is_empty();
        match self.verdict.way {
            Way::Excluded(_) | Way::Unsure | Way::NoRule if needs => {
                (Status::NeedsAnswer, self.reachable.and(&self.verdict.rules).iter().next())
            }
            Way::Excluded(row) => (because(table.id(row)), Some(row)),
            Way::Unsure => (because("no-rule"), None),
            Way::NoRule => match self.shadow_rule() {
                Some(row) => (Status::ShadowEligible, Some(row)),
                None => (because("no-rule"), None),
            },
            Way::Ask(row) => (Status::NeedsAnswer, Some(row)),
            Way::Barred { rule: _, by } => (because(table.id(by)), Some(by)),
            Way::Nobody { row, why } => {
                let status = match why {
                    Can::OutOfHours => Status::EligibleOutOfHours,
                    Can::OutOfArea => Status::EligibleOutOfArea,
                    Can::Absent(_) => because("missing-field"),
                    _ => Status::EligibleNoUnit,
                };
                (status, Some(row))
            }
            Way::Go { row, .. } if self.policy.mode == Mode::Shadow => (Status::ShadowEligible, Some(row)),
            Way::Go { row, .. } => (Status::Eligible, Some(row)),
        }
    }

    /// The rule in shadow that would take a call that no live rule takes.
    fn shadow_rule(&self) -> Option<usize> {
        if self.policy.table.shadow.is_empty() {
            return None;
        }
        match self.policy.verdict_among(&self.call, &self.moment, true).way {
            Way::Go { row, .. } => Some(row),
            _ => None,
        }
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
                })
            })
            .collect();
        hits.sort_by(|one, other| one.id.cmp(&other.id));
        hits
    }

    /// The unknown facts for want of which a row holds.
    fn want_of(&self, row: usize) -> Vec<String> {
        let table = &self.policy.table;
        let unknown = table.columns.iter().zip(&self.call.codes).filter(|(_, code)| **code == 0);
        unknown.filter(|(column, _)| column.soft.contains(row)).map(|(column, _)| column.name.clone()).collect()
    }

    fn reasons(&self, status: &Status, row: Option<usize>) -> Vec<Reason> {
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
            Status::NeedsAnswer => reasons.extend(self.open_reasons()),
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
    fn open_reasons(&self) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = Vec::new();
        for place in self.verdict.exclusions.and(&self.verdict.soft).iter() {
            if let Some(row) = self.row(place) {
                let text = format!("{} (not known: {})", row.because, self.want_of(place).join(", "));
                reasons.push(Reason { code: row.id.clone(), text, cite: row.cite.clone() });
            }
        }
        let wanted: BTreeSet<String> = self
            .needed()
            .into_keys()
            .filter_map(|place| self.policy.table.columns.get(place))
            .map(|column| column.name.clone())
            .collect();
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
    fn chain_failures(&self, row: usize) -> Vec<Reason> {
        let places: Vec<usize> = self.policy.chain(row).into_iter().flatten().collect();
        places
            .into_iter()
            .map(|place| self.option(place, true))
            .filter(|option| !option.can_take)
            .map(|option| reason(&option.code, &format!("{}: {}", option.title, option.why)))
            .collect()
    }

    /// Programs in the order of the chain that decides, then all others by id.
    fn options(&self) -> Vec<ProgramOption> {
        let held = self.verdict.rules.or(&self.verdict.exclusions.and(&self.policy.table.bars_all_but));
        let first: Vec<usize> = match self.verdict.way {
            Way::Go { row, .. } | Way::Ask(row) | Way::Nobody { row, .. } | Way::Barred { rule: row, .. } => vec![row],
            _ => Vec::new(),
        };
        let mut considered: Vec<usize> = Vec::new();
        for row in first.into_iter().chain(held.iter()) {
            for program in self.policy.chain(row).into_iter().flatten() {
                if !considered.contains(&program) {
                    considered.push(program);
                }
            }
        }
        let mut options: Vec<ProgramOption> = considered.iter().map(|place| self.option(*place, true)).collect();
        let waiting: Vec<usize> =
            self.reachable.iter().flat_map(|row| self.policy.chain(row).into_iter().flatten()).collect();
        let others = (0..self.policy.programs.len()).filter(|place| !considered.contains(place));
        options.extend(others.map(|place| {
            ProgramOption {
                // The questions can still bring the call to it: "no rule" would be said too early.
                code: if waiting.contains(&place) { "needs-answer" } else { "no-rule" }.to_owned(),
                why: if waiting.contains(&place) { "waits for an answer" } else { "no rule sends this call to it" }
                    .to_owned(),
                ..self.option(place, false)
            }
        }));
        options
    }

    fn option(&self, place: usize, considered: bool) -> ProgramOption {
        let (Some(program), Some(duty)) = (self.policy.programs.get(place), self.moment.programs.get(place)) else {
            return ProgramOption {
                program: crate::record::ProgramId::new(""),
                title: String::new(),
                can_take: false,
                code: "no-rule".to_owned(),
                why: "no rule sends this call to it".to_owned(),
                opens_at: None,
            };
        };
        let excluded = match self.verdict.way {
            Way::Excluded(row) if !self.policy.table.bars_unaccompanied.contains(row) => {
                self.row(row).map(|row| row.because.clone())
            }
            Way::Unsure => Some("it waits for an answer".to_owned()),
            _ => None,
        };
        let (code, why, opens_at) = match (considered, excluded) {
            (false, _) => ("no-rule", "no rule sends this call to it".to_owned(), None),
            (true, Some(because)) => ("excluded", because, None),
            (true, None) => self.why_not(program, duty),
        };
        ProgramOption {
            program: program.id.clone(),
            title: program.title.clone(),
            can_take: code == "can-take",
            code: code.to_owned(),
            why,
            opens_at,
        }
    }

    fn why_not(&self, program: &Program, duty: &Duty) -> (&'static str, String, Option<Timestamp>) {
        let barred = self.verdict.exclusions.and(&self.policy.table.bars_unaccompanied).iter().next();
        let name = |fact: usize| {
            self.policy.sources.vocabulary.facts().get(fact).map_or_else(String::new, |fact| fact.name.to_string())
        };
        match self.policy.can_take(&self.call, program, duty, barred.is_none()) {
            Can::Take => ("can-take", "can take the call now".to_owned(), None),
            Can::OfficerNeeded => {
                let because = barred.and_then(|row| self.row(row)).map(|row| row.because.clone());
                ("officer-needed", because.unwrap_or_else(|| "an officer is needed".to_owned()), None)
            }
            Can::OutOfArea => ("out-of-area", "the place is outside its area".to_owned(), None),
            Can::OutOfHours => {
                let (zone, holidays) = (&self.policy.time_zone, &self.policy.holidays);
                let local = self.moment.local;
                let staffed = |date| program.staffed_on(date);
                let surge = self.moment.surge;
                let opens = next_opening(&program.shifts, self.moment.at, local, zone, holidays, surge, staffed);
                let why = opens.map_or_else(
                    || "it does not open again".to_owned(),
                    |opens| format!("opens {}", spoken(opens, local, zone)),
                );
                ("out-of-hours", why, opens)
            }
            Can::NoUnit => {
                let why = match duty.state {
                    DutyState::Full => "all its places are taken",
                    DutyState::NoCrew => "no crew is set for this date",
                    DutyState::Unstaffed => "nobody is on duty",
                    DutyState::Open | DutyState::Closed | DutyState::NoDecider => "it has nobody to send",
                };
                ("no-unit", why.to_owned(), None)
            }
            Can::NoDecider => {
                let decider = program.decider.and_then(|place| self.policy.deciders.get(place));
                let title = decider.map_or("its decider", |decider| decider.title.as_str());
                ("no-decider", format!("{title} is not on duty"), None)
            }
            Can::Missing(fact) => ("missing-field", format!("`{}` must be known", name(fact)), None),
            Can::Absent(fact) => ("missing-field", format!("the call has no `{}`", name(fact)), None),
        }
    }

    /// The legs in the order they are tried: of each step the programs that can take the call.
    fn route_steps(&self) -> Vec<RouteStep> {
        let Way::Go { row, step, .. } = self.verdict.way else {
            return Vec::new();
        };
        let free = self.verdict.exclusions.and(&self.policy.table.bars_unaccompanied).is_empty();
        let able = |place: &usize| {
            let program = self.policy.programs.get(*place)?;
            let duty = self.moment.programs.get(*place)?;
            (self.policy.can_take(&self.call, program, duty, free) == Can::Take).then_some((program, duty.shift_date))
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

fn reason(code: &str, text: &str) -> Reason {
    Reason { code: code.to_owned(), text: text.to_owned(), cite: None }
}
