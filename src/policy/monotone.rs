//! The built-in proof that danger never opens a door: a call that the policy leaves on the ordinary route does not go to a
//! team without an officer because a risk fact is higher.
//!
//! Proved of the compiled table on every pair of values, with everybody on duty and free. A rule that is meant otherwise (a
//! crisis line for suicidal callers) is named in a `[[waiver]]` of `built-in.monotone`, fact by fact.

use super::Compiled;
use super::boxes::{Box, TooHard};
use super::example::{ExampleCall, Shows};
use super::language::MONOTONE;
use super::ordered::{Entry, Scene};
use super::prove::{Proof, Stretch};
use super::route::{Duty, DutyState};
use std::collections::BTreeSet;

/// One rise of one fact: its place in the vocabulary, the class before and the class after.
#[derive(Clone, Copy)]
struct Rise {
    fact: usize,
    low: usize,
    high: usize,
}

/// What is known of a risk fact that the policy uses.
struct Risk<'a> {
    name: &'a str,
    rises: Vec<Rise>,
    /// Rules that a waiver names.
    meant: BTreeSet<&'a str>,
}

/// The list of boxes before a rise and after it.
struct Answers<'a> {
    entries: &'a [Entry],
    /// Each entry's box with the fact left free.
    freed: &'a [Box],
    /// By entry: whether it allows the value before, and after.
    low: Vec<bool>,
    high: Vec<bool>,
}

impl<'a> Answers<'a> {
    /// The boxes that stand before an entry and allow the value.
    fn first(&self, at: &'a [bool], until: usize) -> impl Iterator<Item = &'a Box> {
        self.freed.iter().zip(at).take(until).filter(|(_, held)| **held).map(|(own, _)| own)
    }
}

impl Compiled {
    /// For each risk fact that the policy uses, whether raising it can take a call off the ordinary route.
    pub(super) fn monotone(&self, stretches: &[Stretch]) -> Vec<Proof> {
        let facts = self.sources.vocabulary.facts().iter().enumerate();
        let used = |place: usize| self.table.columns.iter().any(|column| column.fact == place);
        let risks: Vec<Risk<'_>> = facts
            .filter(|(place, fact)| fact.is_risk() && used(*place))
            .map(|(place, fact)| {
                let pairs = self.space.raises(&self.table, place, &fact.danger);
                let named = self.waivers.iter().filter(|waiver| waiver.fact.as_deref() == Some(&*fact.name));
                Risk {
                    name: &fact.name,
                    rises: pairs.into_iter().map(|(low, high)| Rise { fact: place, low, high }).collect(),
                    meant: named.flat_map(|waiver| &waiver.rules).map(String::as_str).collect(),
                }
            })
            .collect();
        let mut found: Vec<Result<Option<ExampleCall>, TooHard>> = vec![Ok(None); risks.len()];
        for scene in self.scenes(stretches) {
            let entries = self.view().entries(&scene);
            for (risk, found) in risks.iter().zip(&mut found).filter(|(_, found)| **found == Ok(None)) {
                *found = match &entries {
                    Ok(entries) => self.rise_that_opens(risk, entries, &scene),
                    Err(TooHard) => Err(TooHard),
                };
            }
        }
        let told = risks.iter().zip(found);
        told.map(|(risk, found)| Proof::of(&format!("{MONOTONE}.{}", risk.name), None, found)).collect()
    }

    /// Every stretch of dates with everybody on duty; twice where the crew of the day before may still be out.
    fn scenes<'a>(&'a self, stretches: &'a [Stretch]) -> impl Iterator<Item = Scene> + 'a {
        stretches.iter().flat_map(|stretch| {
            let mixed =
                (0..self.programs.len()).any(|program| stretch.can(program, true) && stretch.can(program, false));
            let crews: &[bool] = if mixed { &[false, true] } else { &[false] };
            crews.iter().map(|officers_first| self.all_on_duty(stretch, *officers_first))
        })
    }

    fn rise_that_opens(
        &self,
        risk: &Risk<'_>,
        entries: &[Entry],
        scene: &Scene,
    ) -> Result<Option<ExampleCall>, TooHard> {
        let Some(fact) = risk.rises.first().map(|rise| rise.fact) else {
            return Ok(None);
        };
        let freed: Vec<Box> =
            entries.iter().map(|entry| self.space.without_fact(&self.table, &entry.space, fact)).collect();
        // Of two rises that part the entries alike one says all that the other does.
        let mut tried: BTreeSet<(Vec<bool>, Vec<bool>)> = BTreeSet::new();
        for rise in &risk.rises {
            let allows = |class: usize| -> Vec<bool> {
                entries.iter().map(|entry| self.space.allows(&self.table, &entry.space, fact, class)).collect()
            };
            let answers = Answers { entries, freed: &freed, low: allows(rise.low), high: allows(rise.high) };
            if !tried.insert((answers.low.clone(), answers.high.clone())) {
                continue;
            }
            let found = self.opened(&answers, scene, *rise, &risk.meant)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn all_on_duty(&self, stretch: &Stretch, officers_first: bool) -> Scene {
        let local = stretch.date.at(12, 0, 0, 0);
        let duty = |program: usize| {
            let staffed = stretch.can(program, true) || stretch.can(program, false);
            Duty {
                shift_date: stretch.date,
                state: if staffed { DutyState::Open } else { DutyState::NoCrew },
                accompanied: stretch.can(program, officers_first) == officers_first,
                area: stretch.area(program),
            }
        };
        Scene {
            at: self.time_zone.to_timestamp(local).unwrap_or_default(),
            local,
            surge: stretch.surge,
            effective: stretch.effective,
            duties: (0..self.programs.len()).map(duty).collect(),
        }
    }

    /// A call that this rise takes from the ordinary route to a team without an officer.
    fn opened(
        &self,
        answers: &Answers<'_>,
        scene: &Scene,
        rise: Rise,
        meant: &BTreeSet<&str>,
    ) -> Result<Option<ExampleCall>, TooHard> {
        let Answers { entries, freed, low, high } = answers;
        let both = || entries.iter().zip(freed.iter()).zip(low.iter().zip(high)).enumerate();
        // Of two entries that both hold before and after the rise the earlier answers both times: the later opens only where
        // it did not hold before, the earlier kept the call only where it does not hold after.
        let kept: Vec<(usize, &Entry, &Box, bool)> = both()
            .filter(|(_, ((entry, _), (low, _)))| entry.program.is_none() && **low)
            .map(|(place, ((entry, own), (_, high)))| (place, entry, own, *high))
            .collect();
        let unaccompanied = |program: usize| scene.duties.get(program).is_some_and(|duty| !duty.accompanied);
        for (place, ((entry, own), (was, _))) in both().filter(|(_, (_, (_, high)))| **high) {
            let (Some(program), Some(row)) = (entry.program.filter(|program| unaccompanied(*program)), entry.row)
            else {
                continue;
            };
            if meant.contains(self.table.id(row)) {
                continue;
            }
            let may_keep = |(other, _, _, still): &&(usize, &Entry, &Box, bool)| {
                if *other < place { !still } else { !was }
            };
            for (other, ordinary, kept, _) in kept.iter().filter(may_keep) {
                let Some(target) = self.space.meet(own, kept) else {
                    continue;
                };
                let covers: Vec<&Box> = answers.first(high, place).chain(answers.first(low, *other)).collect();
                if let Some(call) = self.space.uncovered(&target, &covers)?
                    && let Some(call) = self.space.fixed(&self.table, &call, rise.fact, rise.high)
                {
                    let because = ordinary.row.map_or("no rule takes it", |row| self.table.id(row));
                    return Ok(Some(self.tell_rise(&call, program, row, scene, rise, because)));
                }
            }
        }
        Ok(None)
    }

    fn tell_rise(
        &self,
        call: &Box,
        program: usize,
        row: usize,
        scene: &Scene,
        rise: Rise,
        because: &str,
    ) -> ExampleCall {
        let mut named = self.facts_of_row(row);
        let fact = self.sources.vocabulary.facts().get(rise.fact).map_or("", |fact| &fact.name);
        named.insert(fact.to_owned());
        let accompanied = scene.duties.get(program).is_some_and(|duty| duty.accompanied);
        let (effective, date) = (&scene.effective, scene.local.date());
        let surge = scene.surge;
        let mut example =
            self.example(call, &Shows { effective, date, surge, program, accompanied, row, named: &named });
        let low = self.space.fixed(&self.table, &self.space.everything(), rise.fact, rise.low);
        let before = low.and_then(|low| self.space.point(&low).facts.remove(fact)).unwrap_or_default();
        let fact = fact.replace('_', " ");
        example.text += &format!("; with {fact} {before} it stays on the ordinary route ({because})");
        example
    }
}
