//! A proof's counter-example as a call that anybody can read, and that the table has been asked about.

use super::boxes::{Box, Point};
use super::hours::{next_opening, weekday_name};
use super::language::StepForm;
use super::ordered::Scene;
use super::route::{DutyState, Way};
use super::row_set::RowSet;
use super::{Availability, Compiled};
use crate::facts::{Facts, Source, UNKNOWN};
use crate::record::ProgramId;
use jiff::civil::{Date, DateTime};
use jiff::{Timestamp, ToSpan};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Hours of the day at which an example is looked for first.
const HOURS: [i8; 5] = [18, 12, 9, 21, 3];
/// Days from the first of a stretch on which an example is looked for.
const DAYS: i64 = 8;
/// Openings looked at where no common hour serves.
const OPENINGS_MAX: usize = 40;

/// One call that shows something about a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExampleCall {
    /// What is known of it; every other fact is unknown.
    pub facts: BTreeMap<String, String>,
    /// When, in the policy's zone, as `2025-11-04T18:00:00`.
    pub at: String,
    /// Surge mode is on.
    pub surge: bool,
    /// Programs that are taken to be full or away.
    pub away: Vec<ProgramId>,
    /// `ordinary`, or the program that takes it first.
    pub route: String,
    /// The row that decides, where one does.
    pub row: Option<String>,
    /// The table was asked about exactly this call and answered so.
    pub confirmed: bool,
    /// The sentence.
    pub text: String,
}

/// What an example is to show.
pub(super) struct Shows<'a> {
    /// Rows in effect, and the first date on which they are.
    pub effective: &'a RowSet,
    pub date: Date,
    pub surge: bool,
    pub program: usize,
    pub accompanied: bool,
    pub row: usize,
    /// Facts that are spoken of although they are unknown.
    pub named: &'a BTreeSet<String>,
}

impl Compiled {
    /// A call out of a box that this row sends to this program.
    pub(super) fn example(&self, of: &Box, shows: &Shows<'_>) -> ExampleCall {
        let point = self.space.point(of);
        let (at, open) = self.time_for(shows);
        let facts = facts_of(&point.facts);
        let route = self.programs.get(shows.program).map_or("", |program| program.id.as_str());
        // Whose units it works with is not away where it comes.
        let lender = self.programs.get(shows.program).and_then(|program| program.units_of);
        let others = || {
            let apart = self.programs.iter().enumerate().filter(|(place, _)| Some(*place) != lender);
            apart.filter(|(_, program)| program.id.as_str() != route).map(|(_, program)| program.id.clone())
        };
        let answers = |away: &[ProgramId]| {
            let availability = Availability { unstaffed: away.to_vec(), surge: shows.surge, ..Availability::default() };
            let verdict = self.verdict(&self.table.code(&facts), &self.moment(at, &availability));
            matches!(verdict.way, Way::Go { row, step, program } if row == shows.row && self.offers(row, step, program, shows.program))
        };
        let mut away = Vec::new();
        let mut confirmed = answers(&away);
        if !confirmed {
            away = others().collect();
            confirmed = answers(&away);
        }
        if confirmed {
            self.call_back(&mut away, answers);
        } else {
            away.clear();
        }
        let local = self.time_zone.to_datetime(at);
        let mut text = format!("{}, {}", self.who_and_what(&point, shows.named), self.when(local));
        if shows.surge {
            text += ", in surge mode";
        }
        if !open {
            text += ", were it open";
        }
        if !away.is_empty() {
            let names: Vec<&str> = away.iter().map(ProgramId::as_str).collect();
            text += &format!(", with {} full or away", names.join(", "));
        }
        let row = self.table.id(shows.row);
        let kind = if self.table.rules.contains(shows.row) { "rule" } else { "exclusion" };
        text += &format!(" → {route}, by {kind} {row}");
        ExampleCall {
            facts: point.facts,
            at: local.to_string(),
            surge: shows.surge,
            away,
            route: route.to_owned(),
            row: Some(row.to_owned()),
            confirmed,
            text,
        }
    }

    /// Whether a program is offered a call that goes to the first of a step: it is the first, of a tandem with it, or
    /// whom it refers to.
    fn offers(&self, row: usize, step: usize, first: usize, wanted: usize) -> bool {
        let steps = self.steps_of(row, step);
        let mut asked = BTreeSet::from([first]);
        asked.extend(
            steps.first().filter(|step| step.form == StepForm::AllOf).into_iter().flat_map(|step| &step.programs),
        );
        for step in &steps {
            if let StepForm::ReferredBy(by) = step.form
                && asked.contains(&by)
            {
                asked.extend(&step.programs);
            }
        }
        asked.contains(&wanted)
    }

    /// Calls back everybody who need not be away for the answer to stay.
    fn call_back(&self, away: &mut Vec<ProgramId>, answers: impl Fn(&[ProgramId]) -> bool) {
        for program in self.programs.iter().map(|program| &program.id) {
            let fewer: Vec<ProgramId> = away.iter().filter(|other| *other != program).cloned().collect();
            if fewer.len() < away.len() && answers(&fewer) {
                *away = fewer;
            }
        }
    }

    /// An instant at which the program is open in the way wanted and the same rows are in effect; false where there is none.
    fn time_for(&self, shows: &Shows<'_>) -> (Timestamp, bool) {
        let areas: Vec<u64> = self.programs.iter().map(|program| program.area_on(shows.date)).collect();
        let serves = |scene: &Scene| {
            let duty = scene.duties.get(shows.program);
            scene.effective == *shows.effective
                && scene.duties.iter().map(|duty| duty.area).eq(areas.iter().copied())
                && duty.is_some_and(|duty| duty.state == DutyState::Open && duty.accompanied == shows.accompanied)
        };
        let serving = |at: &Timestamp| serves(&Scene::of(self, *at, shows.surge));
        let instant = |day: i64, hour: i8| {
            let date = shows.date.checked_add(day.days()).ok()?;
            self.time_zone.to_timestamp(date.at(hour, 0, 0, 0)).ok()
        };
        let common = HOURS.iter().flat_map(|hour| (0..DAYS).filter_map(move |day| instant(day, *hour)));
        if let Some(at) = common.into_iter().chain(instant(0, 0)).find(serving) {
            return (at, true);
        }
        let mut at = instant(0, 0).unwrap_or(Timestamp::UNIX_EPOCH);
        let fallback = instant(0, 12).unwrap_or(at);
        let Some(program) = self.programs.get(shows.program) else {
            return (fallback, false);
        };
        for _ in 0..OPENINGS_MAX {
            let today = self.time_zone.to_datetime(at).date();
            let wanted = |date: Date| program.staffed_on(date) && program.accompanied_on(date) == shows.accompanied;
            match next_opening(&program.shifts, at, today, &self.time_zone, &self.holidays, shows.surge, wanted) {
                Some(opening) if serving(&opening) => return (opening, true),
                Some(opening) => at = opening,
                None => break,
            }
        }
        (fallback, false)
    }

    /// `a 34-year-old, welfare check, weapon unknown`.
    pub(super) fn who_and_what(&self, point: &Point, named: &BTreeSet<String>) -> String {
        let spoken = |fact: &str| named.contains(fact) && point.restricted.contains(fact);
        let who = match point.facts.get("age") {
            Some(age) => format!("{} {age}-year-old", article(age)),
            None if spoken("age") => "somebody of unknown age".to_owned(),
            None => "somebody".to_owned(),
        };
        let mut words = vec![who];
        match point.facts.get("nature") {
            Some(nature) => words.push(nature.replace('-', " ")),
            None if spoken("nature") => words.push("nature unknown".to_owned()),
            None => {}
        }
        for fact in self.sources.vocabulary.facts().iter().map(|fact| &*fact.name) {
            let value = point.facts.get(fact).map(String::as_str);
            let value = value.or_else(|| spoken(fact).then_some(UNKNOWN));
            if let Some(value) = value.filter(|_| fact != "age" && fact != "nature") {
                words.push(format!("{} {}", fact.replace('_', " "), value.replace(',', " and ")));
            }
        }
        words.join(", ")
    }

    /// `Tuesday 18:00`, with the date where the policy changes on some date.
    pub(super) fn when(&self, local: DateTime) -> String {
        let day = weekday_name(local.date().weekday());
        let (hour, minute) = (local.hour(), local.minute());
        let dated = self.table.rows.iter().any(|row| !row.effective.is_always())
            || self.programs.iter().any(|program| program.crew.len() > 1)
            || self
                .programs
                .iter()
                .flat_map(|program| program.area.iter().flatten())
                .any(|area| !area.effective.is_always());
        if dated {
            format!("{day} {} {hour:02}:{minute:02}", local.date())
        } else {
            format!("{day} {hour:02}:{minute:02}")
        }
    }
}

/// The facts of a point, as a record would have stated them.
pub(super) fn facts_of(known: &BTreeMap<String, String>) -> Facts {
    known.iter().fold(Facts::default(), |facts, (fact, value)| facts.with(fact, value, Source::Structured))
}

fn article(age: &str) -> &'static str {
    if age.starts_with('8') || age == "11" || age == "18" { "an" } else { "a" }
}
