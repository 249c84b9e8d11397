//! What instants settle, worked out once for each pattern of rows in effect and programs on duty.

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
    /// Of a day the minutes at which the pattern changes, and the moment from there on.
    days: Vec<Vec<(u16, usize)>>,
    /// By day since 1970: its place among the days + 1, 0 where it has not come yet.
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
        let place = known.unwrap_or_else(|| self.add_day(day, self.policy.local_time.at(at)));
        let moments = self.days.get(place).map_or(&[][..], Vec::as_slice);
        let after = moments.iter().take_while(|(from, _)| *from <= minute).count();
        (usize::from(minute / 60), moments.get(after.saturating_sub(1)).map_or(0, |(_, moment)| *moment))
    }

    fn add_day(&mut self, day: usize, local: Local) -> usize {
        let place = self.days.len();
        let mut moments: Vec<(u16, usize)> = Vec::new();
        for minute in self.cuts.clone() {
            let moment = self.pattern(Local { minute, ..local });
            if moments.last().is_none_or(|(_, last)| *last != moment) {
                moments.push((minute, moment));
            }
        }
        self.days.push(moments);
        if let (Some(known), Ok(next)) = (self.by_day.get_mut(day), u32::try_from(place + 1)) {
            *known = next;
        }
        place
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
