//! A policy at one instant as an ordered list of boxes: the first that holds a call answers it.
//!
//! The list is made of the compiled rows and of who is on duty, in the order in which `route` asks them, so that two
//! policies, or one policy on two calls, can be compared for all calls at once.

use super::boxes::{Box, Space, TooHard};
use super::compile::rank;
use super::language::{Bars, RowKind, Step, StepForm};
use super::route::{Duty, DutyState};
use super::row_set::RowSet;
use super::{Availability, Compiled};
use jiff::Timestamp;
use jiff::civil::DateTime;

/// Boxes into which one row's calls may be cut by what bars its programs, at most.
const PIECES_MAX: usize = 4_096;

/// One policy's rows in a space.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub policy: &'a Compiled,
    pub space: &'a Space,
    pub side: usize,
}

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub space: Box,
    /// The program that takes the call first, `None` for the ordinary route.
    pub program: Option<usize>,
    /// The row that answers, `None` for "no rule".
    pub row: Option<usize>,
}

/// What an instant settles, whatever the call: rows in effect, and what every program is up to.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub at: Timestamp,
    pub local: DateTime,
    pub surge: bool,
    pub effective: RowSet,
    /// By program.
    pub duties: Vec<Duty>,
}

/// Programs that come together for a row.
pub(super) struct Party {
    /// All of them, the one that leads first.
    pub programs: Vec<usize>,
    /// Who must have been asked before, where they are only referred to.
    pub referred_by: Option<usize>,
}

impl Scene {
    /// As the table that runs sees the instant, everybody on duty free.
    pub(super) fn of(policy: &Compiled, at: Timestamp, surge: bool) -> Self {
        let availability = Availability { surge, ..Availability::default() };
        let moment = policy.moment(at, &availability);
        let duties = (0..policy.programs.len()).filter_map(|program| moment.duty(program)).collect();
        Self { at, local: policy.time_zone.to_datetime(at), surge, effective: *moment.effective, duties }
    }
}

impl<'a> View<'a> {
    pub(super) fn row(&self, row: usize) -> &'a [Box] {
        self.space.row_of(self.side, row)
    }

    fn known(&self, boxes: &[Box], fact: usize, known: bool, present: bool) -> Vec<Box> {
        let table = &self.policy.table;
        let cut = |own: &Box| self.space.known(self.side, table, own, fact, known, present);
        boxes.iter().map(cut).filter(|own| !self.space.is_empty(own)).collect()
    }

    /// Boxes in which all these facts are known.
    pub(super) fn with_known(&self, boxes: Vec<Box>, facts: &[usize], present: bool) -> Vec<Box> {
        facts.iter().fold(boxes, |boxes, fact| self.known(&boxes, *fact, true, present))
    }

    /// The calls that a program may take at all: what it requires is there, and the place is within these entries of its
    /// area.
    pub(super) fn takeable(&self, boxes: Vec<Box>, program: usize, area: u64) -> Vec<Box> {
        let Some(program) = self.policy.programs.get(program) else {
            return Vec::new();
        };
        let boxes = self.with_known(boxes, &program.required, true);
        match program.zones_of(area) {
            Some(zones) => {
                let zones: Vec<usize> = zones.collect();
                boxes.iter().flat_map(|own| self.space.within(self.side, own, &zones)).collect()
            }
            None => boxes,
        }
    }

    /// Who may come for a row: each program of a step, all of a tandem, and those that a call may be referred to.
    pub(super) fn parties(&self, row: usize) -> Vec<Party> {
        let steps: Vec<Step> = self.policy.steps_of(row, 0);
        let party = |programs: Vec<usize>, referred_by| Party { programs, referred_by };
        let each = |step: Step| match step.form {
            StepForm::AllOf => vec![party(step.programs, None)],
            StepForm::AnyOf => step.programs.into_iter().map(|program| party(vec![program], None)).collect(),
            StepForm::ReferredBy(by) => {
                step.programs.into_iter().map(|program| party(vec![program], Some(by))).collect::<Vec<_>>()
            }
        };
        steps.into_iter().flat_map(each).collect()
    }

    /// The calls that everybody of a party may take, and whoever refers to it; `areas` are those in effect, by program.
    pub(super) fn takeable_by(&self, boxes: Vec<Box>, party: &Party, areas: impl Fn(usize) -> u64) -> Vec<Box> {
        let programs = party.programs.iter().chain(&party.referred_by);
        programs.fold(boxes, |boxes, program| self.takeable(boxes, *program, areas(*program)))
    }

    /// True where somebody of a party serves other places on other dates.
    pub(super) fn area_is_dated(&self, party: &Party) -> bool {
        let programs = party.programs.iter().chain(&party.referred_by);
        let mut areas = programs.filter_map(|program| self.policy.programs.get(*program)?.area.as_ref()).flatten();
        areas.any(|area| !area.effective.is_always())
    }

    /// Facts that a rule asks for.
    pub(super) fn ask(&self, row: usize) -> Vec<usize> {
        match self.policy.table.rows.get(row).map(|row| &row.kind) {
            Some(RowKind::Rule { ask, .. }) => ask.clone(),
            _ => Vec::new(),
        }
    }

    /// The calls that a rule holds and for which a fact that it asks for is not known.
    pub(super) fn unasked(&self, row: usize) -> Vec<Box> {
        self.ask(row).into_iter().flat_map(|fact| self.known(self.row(row), fact, false, false)).collect()
    }

    /// The same of every row.
    pub(super) fn unasked_by_row(&self) -> Vec<Vec<Box>> {
        (0..self.policy.table.rows.len()).map(|row| self.unasked(row)).collect()
    }

    /// Facts for want of which a row may hold.
    fn soft_facts(&self, row: usize) -> Vec<usize> {
        let columns = self.policy.table.columns.iter();
        columns.filter(|column| column.soft.contains(row)).map(|column| column.fact).collect()
    }

    /// The calls for which an exclusion holds for certain.
    pub(super) fn hard(&self, row: usize) -> Vec<Box> {
        self.with_known(self.row(row).to_vec(), &self.soft_facts(row), false)
    }

    /// The calls for which an exclusion holds only for want of an answer.
    pub(super) fn soft(&self, row: usize) -> Vec<Box> {
        self.soft_facts(row).into_iter().flat_map(|fact| self.known(self.row(row), fact, false, false)).collect()
    }

    /// The boxes of live rules with the facts that a row names left free.
    pub(super) fn rules_but_for(&self, row: usize, effective: &RowSet) -> Vec<Box> {
        let table = &self.policy.table;
        let live = table.rules.without(&table.shadow).and(effective).iter();
        let mut boxes: Vec<Box> = live
            .flat_map(|rule| self.row(rule).iter().map(|own| self.space.freed(self.side, table, own, row)))
            .collect();
        boxes.sort_unstable();
        boxes.dedup();
        boxes
    }

    /// The co-response that an exclusion sends to.
    pub(super) fn co_response(&self, row: usize) -> Option<usize> {
        match self.policy.table.rows.get(row).map(|row| &row.kind) {
            Some(RowKind::Exclusion(Bars::AllBut(program))) => Some(*program),
            _ => None,
        }
    }

    /// Boxes without the calls that these exclusions keep from a program.
    fn without_barred(&self, own: Vec<Box>, bars: &RowSet) -> Result<Vec<Box>, TooHard> {
        let mut left = own;
        for barred in bars.iter().flat_map(|row| self.row(row)) {
            left = left.iter().flat_map(|own| self.space.cut(own, barred)).collect();
            if left.len() > PIECES_MAX {
                return Err(TooHard);
            }
        }
        Ok(left)
    }

    /// The whole list at an instant, everybody on duty free.
    pub(super) fn entries(&self, scene: &Scene) -> Result<Vec<Entry>, TooHard> {
        let table = &self.policy.table;
        let mut entries = Vec::new();
        let effective = &scene.effective;
        for row in table.bars_all.and(effective).iter() {
            self.push(&mut entries, self.row(row).to_vec(), None, Some(row));
        }
        self.push_elsewhere(&mut entries, scene)?;
        let live: Vec<usize> = table.rules.without(&table.shadow).and(effective).iter().collect();
        let rank_of = |row: &usize| table.rows.get(*row).map(rank);
        for group in live.chunk_by(|one, other| rank_of(one) == rank_of(other)) {
            for row in group {
                self.push(&mut entries, self.unasked(*row), None, Some(*row));
            }
            for row in group {
                self.push_rule(&mut entries, scene, *row)?;
            }
        }
        self.push(&mut entries, vec![self.space.everything()], None, None);
        Ok(entries)
    }

    fn push(&self, entries: &mut Vec<Entry>, boxes: Vec<Box>, program: Option<usize>, row: Option<usize>) {
        entries.extend(boxes.into_iter().map(|space| Entry { space, program, row }));
    }

    /// Exclusions that send to a co-response: the first that holds for certain decides, unless one with another aim might
    /// hold; where none holds for certain and one might, the call waits.
    fn push_elsewhere(&self, entries: &mut Vec<Entry>, scene: &Scene) -> Result<(), TooHard> {
        let rows: Vec<usize> = self.policy.table.bars_all_but.and(&scene.effective).iter().collect();
        for row in &rows {
            let hard = self.hard(*row);
            let target = self.co_response(*row);
            for other in rows.iter().filter(|other| self.co_response(**other) != target) {
                self.push(entries, self.space.meet_all(&hard, &self.soft(*other)), None, Some(*other));
            }
            let duty = target.and_then(|target| scene.duties.get(target));
            if let Some(target) = target
                && duty.is_some_and(|duty| duty.state == DutyState::Open && duty.accompanied)
            {
                let wanted = self.space.meet_all(&hard, &self.rules_but_for(*row, &scene.effective));
                let wanted = self.takeable(wanted, target, duty.map_or(0, |duty| duty.area));
                let bars = self.policy.table.bars_of(target, true).and(&scene.effective);
                self.push(entries, self.without_barred(wanted, &bars)?, Some(target), Some(*row));
            }
            self.push(entries, hard, None, Some(*row));
        }
        for row in &rows {
            self.push(entries, self.soft(*row), None, Some(*row));
        }
        Ok(())
    }

    fn push_rule(&self, entries: &mut Vec<Entry>, scene: &Scene, row: usize) -> Result<(), TooHard> {
        for party in self.parties(row).iter().filter(|party| party.referred_by.is_none()) {
            let duties: Vec<&Duty> = party.programs.iter().filter_map(|program| scene.duties.get(*program)).collect();
            if duties.len() < party.programs.len() || duties.iter().any(|duty| duty.state != DutyState::Open) {
                continue;
            }
            let alone = duties.iter().any(|duty| !duty.accompanied);
            let areas = |program: usize| scene.duties.get(program).map_or(0, |duty| duty.area);
            let own = self.takeable_by(self.row(row).to_vec(), party, areas);
            let bars = self.policy.table.bars_together(party.programs.iter().copied(), alone);
            let own = self.without_barred(own, &bars.and(&scene.effective))?;
            self.push(entries, own, party.programs.first().copied(), Some(row));
        }
        Ok(())
    }
}
