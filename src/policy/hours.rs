//! When a program is on duty: days, times past midnight, holidays and effective dates, in the policy's time zone.

use super::local_time::Local;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::collections::BTreeSet;

/// Days searched for the next opening.
const DAYS_AHEAD: usize = 400;
/// Minutes in a civil day.
pub(super) const DAY_MIN: u16 = 24 * 60;

/// From one date to another, both included, either open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Effective {
    pub from: Option<Date>,
    pub to: Option<Date>,
}

impl Effective {
    pub(super) fn holds(&self, date: Date) -> bool {
        self.from.is_none_or(|from| from <= date) && self.to.is_none_or(|to| date <= to)
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let starts_in = |one: &Self, other: &Self| match (one.from, other.to) {
            (Some(from), Some(to)) => from <= to,
            _ => true,
        };
        starts_in(self, other) && starts_in(other, self)
    }

    pub(super) fn is_always(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    /// Reads `2026-05-01..`, `..2026-12-31` or both ends.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once("..")?;
        let date = |text: &str| match text.trim() {
            "" => Some(None),
            text => text.parse::<Date>().ok().map(Some),
        };
        let effective = Self { from: date(from)?, to: date(to)? };
        let in_order = !matches!((effective.from, effective.to), (Some(from), Some(to)) if from > to);
        (in_order && !effective.is_always()).then_some(effective)
    }
}

/// One entry of `hours`: a shift that begins on each of its days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shift {
    /// By weekday, Monday first.
    pub days: [bool; 7],
    /// Begins on holidays too, whatever the weekday.
    pub on_holidays: bool,
    /// Does not begin on holidays.
    pub except_holidays: bool,
    /// Minutes after midnight.
    pub from_min: u16,
    /// Minutes after midnight; not after `from_min` where the shift ends on the next day.
    pub to_min: u16,
    /// Dates on which it may begin.
    pub effective: Effective,
    /// Counts only in surge mode, or only outside it; `None`: always.
    pub surge: Option<bool>,
}

impl Shift {
    pub(super) fn begins_on(&self, date: Date, holidays: &BTreeSet<Date>) -> bool {
        let weekday = usize::from(date.weekday().to_monday_zero_offset().unsigned_abs());
        let holiday = holidays.contains(&date);
        let day = self.days.get(weekday).copied().unwrap_or(false) || (self.on_holidays && holiday);
        day && !(self.except_holidays && holiday) && self.effective.holds(date)
    }

    /// Whether it counts in surge mode (`true`) or outside it.
    pub(super) fn counts(&self, surge: bool) -> bool {
        self.surge.is_none_or(|wanted| wanted == surge)
    }

    /// First instant of the shift that begins on `date`, and the first after it.
    pub(super) fn span(&self, date: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let start = instant(date, self.from_min, zone)?;
        let end_date = if self.ends_next_day() { date.tomorrow().ok()? } else { date };
        Some((start, instant(end_date, self.to_min, zone)?))
    }

    fn ends_next_day(&self) -> bool {
        self.to_min <= self.from_min
    }

    /// True where some minute of it lies on the day after the one on which it begins.
    pub(super) fn runs_past_midnight(&self) -> bool {
        self.ends_next_day() && self.to_min > 0
    }
}

/// A civil minute as an instant: one that DST skips counts from the jump, one that comes twice is the first.
fn instant(date: Date, minutes: u16, zone: &TimeZone) -> Option<Timestamp> {
    let (date, minutes) = if minutes >= DAY_MIN { (date.tomorrow().ok()?, minutes - DAY_MIN) } else { (date, minutes) };
    let hour = i8::try_from(minutes / 60).ok()?;
    let minute = i8::try_from(minutes % 60).ok()?;
    zone.to_timestamp(date.at(hour, minute, 0, 0)).ok()
}

/// The date on which the shift that covers an instant began, `None` where no shift does.
pub(super) fn on_duty_since(
    shifts: &[Shift],
    local: &Local,
    zone: &TimeZone,
    holidays: &BTreeSet<Date>,
    surge: bool,
) -> Option<Date> {
    let covers = |date: Date, today: bool| {
        shifts.iter().filter(|shift| shift.counts(surge) && shift.begins_on(date, holidays)).any(|shift| {
            if local.unsettled {
                shift.span(date, zone).is_some_and(|(start, end)| start <= local.at && local.at < end)
            } else if today {
                shift.from_min <= local.minute && (shift.ends_next_day() || local.minute < shift.to_min)
            } else {
                shift.ends_next_day() && local.minute < shift.to_min
            }
        })
    };
    if covers(local.date, true) {
        return Some(local.date);
    }
    local.date.yesterday().ok().filter(|yesterday| covers(*yesterday, false))
}

/// The next instant after `at` at which a shift begins, within about a year. `today` is the civil date.
pub(super) fn next_opening(
    shifts: &[Shift],
    at: Timestamp,
    today: Date,
    zone: &TimeZone,
    holidays: &BTreeSet<Date>,
    surge: bool,
    staffed_on: impl Fn(Date) -> bool,
) -> Option<Timestamp> {
    let mut date = today;
    for _ in 0..DAYS_AHEAD {
        let opening = shifts
            .iter()
            .filter(|shift| shift.counts(surge) && shift.begins_on(date, holidays) && staffed_on(date))
            .filter_map(|shift| shift.span(date, zone))
            .filter(|(start, end)| *start > at && start < end)
            .map(|(start, _)| start)
            .min();
        if opening.is_some() {
            return opening;
        }
        date = date.tomorrow().ok()?;
    }
    None
}

/// `Tuesday 16:00` within the week to come, `2026-05-01 16:00` beyond it.
pub(super) fn spoken(opening: Timestamp, today: Date, zone: &TimeZone) -> String {
    let local = zone.to_datetime(opening);
    let (hour, minute) = (local.hour(), local.minute());
    let soon = today.checked_add(6.days()).is_ok_and(|week| local.date() <= week);
    if local.date() == today {
        format!("today {hour:02}:{minute:02}")
    } else if soon {
        format!("{} {hour:02}:{minute:02}", weekday_name(local.date().weekday()))
    } else {
        format!("{} {hour:02}:{minute:02}", local.date())
    }
}

pub(super) fn weekday_name(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

#[cfg(test)]
mod tests {
    use super::super::local_time::LocalTime;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        /// The clock's minutes and the instants themselves say the same of every shift, on days of changed clocks too.
        #[test]
        fn minutes_by_the_clock_and_instants_agree(
            shifts in prop::collection::vec((any::<[bool; 7]>(), 0_u16..DAY_MIN, 0_u16..=DAY_MIN), 1..4),
            minute in 0_i64..4 * 24 * 60,
            start in prop::sample::select(vec!["2026-03-07T00:00:00-08:00", "2026-10-31T00:00:00-07:00", "2026-07-01T00:00:00-07:00"]),
        ) {
            let shifts: Vec<Shift> =
                shifts.into_iter().map(|(days, from, to)| Shift { days, ..shift(from / 15 * 15, to / 15 * 15) }).collect();
            let start: Timestamp = start.parse().unwrap();
            let at = start.checked_add(jiff::SignedDuration::from_mins(minute)).unwrap();
            let zone = vancouver();
            let local = LocalTime::of(&zone).at(at);
            let by_clock = on_duty_since(&shifts, &local, &zone, &BTreeSet::new(), false);
            let by_instants = on_duty_since(&shifts, &Local { unsettled: true, ..local }, &zone, &BTreeSet::new(), false);
            prop_assert_eq!(by_clock, by_instants);
        }
    }

    fn shift(from_min: u16, to_min: u16) -> Shift {
        Shift {
            days: [true; 7],
            on_holidays: false,
            except_holidays: false,
            from_min,
            to_min,
            effective: Effective::default(),
            surge: None,
        }
    }

    fn vancouver() -> TimeZone {
        TimeZone::get("America/Vancouver").unwrap()
    }

    fn open(shifts: &[Shift], at: &str) -> bool {
        let at: Timestamp = at.parse().unwrap();
        let zone = vancouver();
        on_duty_since(shifts, &LocalTime::of(&zone).at(at), &zone, &BTreeSet::new(), false).is_some()
    }

    #[test]
    fn a_shift_past_midnight_belongs_to_the_day_it_began() {
        let mut late = shift(16 * 60, 2 * 60);
        late.days = [false, true, false, false, false, false, false];
        // Tuesday 2026-03-03, Pacific standard time (UTC-8).
        assert!(!open(&[late.clone()], "2026-03-03T15:59:59-08:00"));
        assert!(open(&[late.clone()], "2026-03-03T16:00:00-08:00"));
        assert!(open(&[late.clone()], "2026-03-04T01:59:59-08:00"));
        assert!(!open(&[late.clone()], "2026-03-04T02:00:00-08:00"));
        late.effective = Effective::parse("..2026-03-02").unwrap();
        assert!(!open(&[late], "2026-03-04T01:00:00-08:00"));
    }

    #[test]
    fn a_shift_that_ends_at_the_hour_it_begins_is_a_whole_day() {
        let mut round = shift(8 * 60, 8 * 60);
        round.days = [false, true, false, false, false, false, false];
        assert!(!open(&[round.clone()], "2026-03-03T07:59:59-08:00"));
        assert!(open(&[round.clone()], "2026-03-03T08:00:00-08:00"));
        assert!(open(&[round.clone()], "2026-03-04T07:59:59-08:00"));
        assert!(!open(&[round], "2026-03-04T08:00:00-08:00"));
    }

    #[test]
    fn clocks_going_forward_and_back_leave_no_gap_and_no_double_cover() {
        let night = [shift(22 * 60, 90)];
        // 2026-03-08 02:00 PST → 03:00 PDT; the shift ends at 01:30 before the jump.
        assert!(open(&night, "2026-03-08T01:29:59-08:00"));
        assert!(!open(&night, "2026-03-08T01:30:00-08:00"));
        // 2026-11-01 02:00 PDT → 01:00 PST: 01:30 comes twice and the shift ends at the first.
        assert!(open(&night, "2026-11-01T01:29:59-07:00"));
        assert!(!open(&night, "2026-11-01T01:30:00-07:00"));
        assert!(!open(&night, "2026-11-01T01:10:00-08:00"));
        // A shift that begins in the hour that is skipped begins at the jump; a day is covered from end to end.
        let early = [shift(150, 300)];
        assert!(open(&early, "2026-03-08T03:30:00-07:00"));
        assert!(!open(&early, "2026-03-08T03:29:59-07:00"));
        let all = [shift(0, DAY_MIN)];
        for hour in 0..48_i64 {
            let at: Timestamp = "2026-10-31T07:00:00Z".parse().unwrap();
            let at = at.checked_add(jiff::SignedDuration::from_hours(hour)).unwrap();
            assert!(open(&all, &at.to_string()), "{at}");
        }
    }

    #[test]
    fn holidays_add_and_take_away() {
        let holidays: BTreeSet<Date> = ["2026-07-01".parse().unwrap()].into();
        let mut weekdays = shift(9 * 60, 17 * 60);
        weekdays.days = [true, true, true, true, true, false, false];
        let wednesday: Date = "2026-07-01".parse().unwrap();
        assert!(weekdays.begins_on(wednesday, &holidays));
        weekdays.except_holidays = true;
        assert!(!weekdays.begins_on(wednesday, &holidays));
        let holiday_only = Shift { days: [false; 7], on_holidays: true, ..shift(0, 60) };
        assert!(holiday_only.begins_on(wednesday, &holidays));
        assert!(!holiday_only.begins_on(wednesday.tomorrow().unwrap(), &holidays));
    }

    #[test]
    fn the_next_opening_looks_past_effective_dates_and_is_spoken() {
        let zone = vancouver();
        let at: Timestamp = "2026-03-02T23:00:00-08:00".parse().unwrap();
        let local = zone.to_datetime(at).date();
        let mut later = shift(16 * 60, 0);
        let next = |shift: &Shift| {
            next_opening(std::slice::from_ref(shift), at, local, &zone, &BTreeSet::new(), false, |_| true).unwrap()
        };
        assert_eq!(spoken(next(&later), local, &zone), "Tuesday 16:00");
        later.effective = Effective::parse("2026-05-01..").unwrap();
        assert_eq!(spoken(next(&later), local, &zone), "2026-05-01 16:00");
        assert_eq!(next(&later), "2026-05-01T16:00:00-07:00".parse::<Timestamp>().unwrap());
        // A shift that begins now is open and no opening to come.
        later = shift(23 * 60, 2 * 60);
        assert_eq!(next(&later), "2026-03-03T23:00:00-08:00".parse::<Timestamp>().unwrap());
        assert_eq!(spoken("2026-03-09T09:05:00-07:00".parse().unwrap(), local, &zone), "2026-03-09 09:05");
        assert_eq!(spoken("2026-03-08T09:05:00-07:00".parse().unwrap(), local, &zone), "Sunday 09:05");
    }

    #[test]
    fn effective_dates_are_read_strictly() {
        assert!(Effective::parse("2026-05-01..2026-05-01").unwrap().holds("2026-05-01".parse().unwrap()));
        for bad in ["..", "2026-05-01", "2026-13-01..", "2026-05-02..2026-05-01", "soon.."] {
            assert_eq!(Effective::parse(bad), None, "{bad}");
        }
        let before = Effective::parse("..2026-05-01").unwrap();
        assert!(before.overlaps(&Effective::parse("2026-05-01..").unwrap()));
        assert!(!before.overlaps(&Effective::parse("2026-05-02..").unwrap()));
    }
}
