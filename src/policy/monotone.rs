//! The built-in proof that danger never opens a door: a call that the policy leaves on the ordinary route does not go to a
//! team without an officer because a risk fact is higher.
//!
//! Proved of the compiled table on every pair of values, with everybody on duty and free. A rule that is meant otherwise (a
//! crisis line for suicidal callers) is named in a `[[waiver]]` of `built-in.monotone`, fact by fact.

use super::Compiled;
use super::boxes::{Box, TooHard};
use super::example::{ExampleCall, Shows};
use super::language::MONOTONE;
use super::ordered::{Entry, Scene, View};
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

impl Compiled {
    /// For each risk fact that the policy uses, whether raising it can take a call off the ordinary route.
    pub(super) fn monotone(&self, stretches: &[Stretch]) -> Vec<Proof> {
        let facts = self.sources.vocabulary.facts().iter().enumerate();
        let used = |place: usize| self.table.columns.iter().any(|column| column.fact == place);
        facts
            .filter(|(place, fact)| fact.is_risk() && used(*place))
            .map(|(place, fact)| {
                let rises: Vec<Rise> = self
                    .space
                    .raises(&self.table, place, &fact.danger)
                    .into_iter()
                    .map(|(low, high)| Rise { fact: place, low, high })
                    .collect();
                let named = self.waivers.iter().filter(|waiver| waiver.fact.as_deref() == Some(&*fact.name));
                let meant: BTreeSet<&str> = named.flat_map(|waiver| &waiver.rules).map(String::as_str).collect();
                Proof::of(&format!("{MONOTONE}.{}", fact.name), None, self.rise_that_opens(&rises, &meant, stretches))
            })
            .collect()
    }

    fn rise_that_opens(
        &self,
        rises: &[Rise],
        meant: &BTreeSet<&str>,
        stretches: &[Stretch],
    ) -> Result<Option<ExampleCall>, TooHard> {
        let view = self.view();
        for stretch in stretches {
            // On the first date of a stretch the crew of the day before may still be out.
            for officers_first in [false, true] {
                let scene = self.all_on_duty(stretch, officers_first);
                let entries = view.entries(&scene)?;
                for rise in rises {
                    if let Some(found) = self.opened(&view, &entries, &scene, *rise, meant)? {
                        return Ok(Some(found));
                    }
                }
                if (0..self.programs.len()).all(|program| !(stretch.can(program, true) && stretch.can(program, false)))
                {
                    break;
                }
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
        view: &View<'_>,
        entries: &[Entry],
        scene: &Scene,
        rise: Rise,
        meant: &BTreeSet<&str>,
    ) -> Result<Option<ExampleCall>, TooHard> {
        let at = |class: usize| -> Vec<Option<Box>> {
            let fixed = |entry: &Entry| view.space.fixed(&self.table, &entry.space, rise.fact, class);
            let freed = |own: Box| view.space.without_fact(&self.table, &own, rise.fact);
            entries.iter().map(|entry| fixed(entry).map(freed)).collect()
        };
        let (low, high) = (at(rise.low), at(rise.high));
        let unaccompanied = |program: usize| scene.duties.get(program).is_some_and(|duty| !duty.accompanied);
        for (place, entry) in entries.iter().enumerate() {
            let Some(program) = entry.program.filter(|program| unaccompanied(*program)) else {
                continue;
            };
            let (Some(row), Some(Some(after))) = (entry.row, high.get(place)) else {
                continue;
            };
            if meant.contains(self.table.id(row)) {
                continue;
            }
            for (other, ordinary) in entries.iter().enumerate().filter(|(_, other)| other.program.is_none()) {
                // Where the entry holds before the rise too, only what stands before it can have kept the call ordinary.
                if low.get(other) == high.get(other) && other < place
                    || low.get(place).is_some_and(|own| own.as_ref() == Some(after)) && other > place
                {
                    continue;
                }
                let Some(target) = low.get(other).and_then(Option::as_ref).and_then(|own| view.space.meet(after, own))
                else {
                    continue;
                };
                let covers: Vec<&Box> = high.iter().take(place).chain(low.iter().take(other)).flatten().collect();
                if let Some(call) = view.space.uncovered(&target, &covers)?
                    && let Some(call) = view.space.fixed(&self.table, &call, rise.fact, rise.high)
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
