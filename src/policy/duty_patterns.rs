//! What instants settle, worked out once for each pattern of rows in effect and programs on duty.

use super::hours::DAY_MIN;
use super::local_time::Local;
use super::route::{Duty, Moment};
use super::{Availability, Compiled};
use jiff::Timestamp;
use jiff::civil::Date;
use std::collections::HashMap;

/// Moments by the instants that they stand for.
pub(super) struct DutyPatterns<'a> {
    policy: &'a Compiled,
    availability: &'a Availability,
    moments: Vec<Moment<'a>>,
    /// By stretch of rows in effect and duty of each program.
    by_pattern: HashMap<(usize, Vec<Duty>), usize>,
    /// Minutes of the day at which some shift begins or ends.
    cuts: Vec<u16>,
    /// By minute of the day: how many cuts are not after it, less one.
    cut_of: Vec<usize>,
    /// Of each day met so far, by cut: the moment from there on.
    days: Vec<u32>,
    /// By day since 1970: where its part of `days` begins + 1, 0 where it has not come yet.
    by_day: Vec<u32>,
}

impl<'a> DutyPatterns<'a> {
    pub(super) fn new(policy: &'a Compiled, availability: &'a Availability) -> Self {
        let deciders = policy.deciders.iter().flat_map(|decider| &decider.shifts);
        let shifts = policy.programs.iter().flat_map(|program| &program.shifts).chain(deciders);
        let mut cuts: Vec<u16> = shifts.flat_map(|shift| [shift.from_min, shift.to_min]).chain([0]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        Self {
            policy,
            availability,
            moments: Vec::new(),
            by_pattern: HashMap::new(),
            cut_of: (0..DAY_MIN).map(|minute| cuts.partition_point(|cut| *cut <= minute).saturating_sub(1)).collect(),
            cuts,
            days: Vec::new(),
            by_day: vec![0; super::local_time::DAYS_LISTED],
        }
    }

    pub(super) fn get(&self, moment: usize) -> Option<&Moment<'a>> {
        self.moments.get(moment)
    }

    /// The hour of the day, and the place of the moment.
    pub(super) fn at(&mut self, at: Timestamp) -> (usize, usize) {
        let Some((day, minute)) = self.policy.local_time.settled(at) else {
            let local = self.policy.local_time.at(at);
            return (usize::from(local.minute / 60), self.pattern(local));
        };
        let known = self.by_day.get(day).and_then(|place| usize::try_from(*place).ok()?.checked_sub(1));
        let start = known.unwrap_or_else(|| self.add_day(day, self.policy.local_time.at(at)));
        let cut = self.cut_of.get(usize::from(minute)).copied().unwrap_or(0);
        let moment = self.days.get(start + cut).and_then(|moment| usize::try_from(*moment).ok()).unwrap_or(0);
        (usize::from(minute / 60), moment)
    }

    fn add_day(&mut self, day: usize, local: Local) -> usize {
        let start = self.days.len();
        for minute in self.cuts.clone() {
            let moment = self.pattern(Local { minute, ..local });
            self.days.push(u32::try_from(moment).unwrap_or(0));
        }
        if let (Some(known), Ok(next)) = (self.by_day.get_mut(day), u32::try_from(start + 1)) {
            *known = next;
        }
        start
    }

    fn pattern(&mut self, local: Local) -> usize {
        let moment = self.policy.moment_of(local, self.availability).with_duties();
        let duties = (0..self.policy.programs.len()).filter_map(|program| moment.duty(program));
        // The day on which a shift began does not change where a call goes, only who comes, which the duty says too.
        let duties = duties.map(|duty| Duty { shift_date: Date::MIN, ..duty }).collect();
        let next = self.moments.len();
        let place = *self.by_pattern.entry((self.policy.table.stretch(local.date), duties)).or_insert(next);
        if place == next {
            self.moments.push(moment);
        }
        place
    }
}
