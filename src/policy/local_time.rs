//! Civil time by arithmetic: a zone's changes of clock are listed once, so that an instant costs a search and no conversion.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

const DAY_S: i64 = 86_400;
/// Changes of clock are listed from 1990 to 2060; other instants are converted one by one.
const FIRST_S: i64 = 631_152_000;
const LAST_S: i64 = 2_840_140_800;
/// Days since 1970 that are numbered, one before and after in case a zone is ahead or behind.
pub(super) const DAYS_LISTED: usize = 32_873;

/// An instant as the clocks of a zone show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Local {
    pub at: Timestamp,
    pub date: Date,
    /// Whole minutes after midnight by the clock.
    pub minute: u16,
    /// Clocks changed a moment ago, so that their minutes do not tell what came first: instants must be compared.
    pub unsettled: bool,
}

/// A zone whose changes of clock are known beforehand.
#[derive(Debug)]
pub(super) struct LocalTime {
    zone: TimeZone,
    changes: Vec<Change>,
}

#[derive(Debug, Clone, Copy)]
struct Change {
    at_s: i64,
    offset_s: i64,
    unsettled_until_s: i64,
}

impl LocalTime {
    pub(super) fn of(zone: &TimeZone) -> Self {
        let mut changes = Vec::new();
        if let Ok(first) = Timestamp::from_second(FIRST_S) {
            let mut offset_s = i64::from(zone.to_offset(first).seconds());
            changes.push(Change { at_s: FIRST_S, offset_s, unsettled_until_s: FIRST_S });
            for change in zone.following(first).take_while(|change| change.timestamp().as_second() < LAST_S) {
                let (at_s, before_s) = (change.timestamp().as_second(), offset_s);
                offset_s = i64::from(change.offset().seconds());
                // Put back, an hour comes twice; put forward, what begins in the hour left out begins at the change.
                let unsettled_until_s = at_s + (offset_s - before_s).abs();
                changes.push(Change { at_s, offset_s, unsettled_until_s });
            }
        }
        Self { zone: zone.clone(), changes }
    }

    pub(super) fn at(&self, at: Timestamp) -> Local {
        self.listed(at).unwrap_or_else(|| {
            let local = self.zone.to_datetime(at);
            let minute = i16::from(local.hour()) * 60 + i16::from(local.minute());
            Local { at, date: local.date(), minute: minute.unsigned_abs(), unsettled: true }
        })
    }

    /// The day since 1970 and the minute by the clock, `None` where clocks changed a moment ago or the instant is not listed.
    pub(super) fn settled(&self, at: Timestamp) -> Option<(usize, u16)> {
        let (day, minute, unsettled) = self.split(at)?;
        let day = usize::try_from(day).ok()?;
        (!unsettled).then_some((day, minute))
    }

    fn listed(&self, at: Timestamp) -> Option<Local> {
        let (day, minute, unsettled) = self.split(at)?;
        Some(Local { at, date: date_of(day)?, minute, unsettled })
    }

    fn split(&self, at: Timestamp) -> Option<(i64, u16, bool)> {
        let second = at.as_second();
        if !(FIRST_S..LAST_S).contains(&second) {
            return None;
        }
        let after = self.changes.partition_point(|change| change.at_s <= second);
        let change = self.changes.get(after.checked_sub(1)?)?;
        let civil = second + change.offset_s;
        let minute = u16::try_from(civil.rem_euclid(DAY_S) / 60).ok()?;
        Some((civil.div_euclid(DAY_S), minute, second < change.unsettled_until_s))
    }
}

/// The date so many days after 1970-01-01, by the proleptic Gregorian calendar: eras of 400 years that begin on 1 March.
fn date_of(days: i64) -> Option<Date> {
    let shifted = days + 719_468;
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + shifted.div_euclid(146_097) * 400 + i64::from(month <= 2);
    Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_second_of_each_change_of_clocks_is_told_as_the_zone_database_tells_it() {
        for zone in ["America/Vancouver", "America/Toronto", "Australia/Lord_Howe"] {
            let zone = TimeZone::get(zone).unwrap();
            let local_time = LocalTime::of(&zone);
            assert!(local_time.changes.len() > 50);
            for change in local_time.changes.iter().skip(1) {
                for second in change.at_s - 1..=change.at_s + 1 {
                    let at = Timestamp::from_second(second).unwrap();
                    let (found, expected) = (local_time.at(at), zone.to_datetime(at));
                    assert_eq!(found.date, expected.date());
                    let minute = i16::from(expected.hour()) * 60 + i16::from(expected.minute());
                    assert_eq!(i16::try_from(found.minute).unwrap(), minute, "{at}");
                    let unsettled = (change.at_s..change.unsettled_until_s).contains(&second);
                    assert_eq!(found.unsettled, unsettled, "{at}");
                    assert_eq!(local_time.settled(at).is_none(), found.unsettled, "{at}");
                }
                let settled = Timestamp::from_second(change.unsettled_until_s).unwrap();
                assert!(!local_time.at(settled).unsettled && local_time.settled(settled).is_some());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn arithmetic_and_the_zone_database_agree(
            second in 600_000_000_i64..2_900_000_000,
            zone in prop::sample::select(vec!["America/Vancouver", "America/Toronto", "America/Phoenix", "Australia/Lord_Howe", "UTC"]),
            near in prop::option::of((0_usize..130, -7_300_i64..7_300)),
        ) {
            let zone = TimeZone::get(zone).unwrap();
            let local_time = LocalTime::of(&zone);
            // Half of them near a change of clocks.
            let second = near.and_then(|(place, by)| Some(local_time.changes.get(place)?.at_s + by)).unwrap_or(second);
            let at = Timestamp::from_second(second).unwrap();
            let (found, expected) = (local_time.at(at), zone.to_datetime(at));
            prop_assert_eq!(found.date, expected.date());
            prop_assert_eq!(i16::try_from(found.minute).unwrap(), i16::from(expected.hour()) * 60 + i16::from(expected.minute()));
        }
    }
}
