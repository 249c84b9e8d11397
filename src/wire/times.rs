//! Times as senders write them: with an offset, or local and zoned by the sender's profile.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// Earliest year that is taken for a real time: .NET writes year 1 and Unix software 1970 where they mean "none".
const YEAR_MIN: i16 = 1971;

/// An instant, and the repair kind where it had no offset.
///
/// `None` where the text is no date with a time, or lies before [`YEAR_MIN`].
pub(super) fn read(text: &str, zone: &TimeZone) -> Option<(Timestamp, Option<&'static str>)> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return (at.to_zoned(TimeZone::UTC).year() >= YEAR_MIN).then_some((at, None));
    }
    if !text.contains(':') {
        return None;
    }
    zoned(text.parse::<DateTime>().ok()?, zone)
}

/// A local time made an instant: in the repeated hour the earlier, in the missing hour read with the offset before
/// the change, so that 02:30 becomes 03:30 (RFC 5545 section 3.3.5).
pub(super) fn zoned(local: DateTime, zone: &TimeZone) -> Option<(Timestamp, Option<&'static str>)> {
    if local.year() < YEAR_MIN {
        return None;
    }
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let kind = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => "local-time-zoned",
        AmbiguousOffset::Gap { .. } => "local-time-missing",
        AmbiguousOffset::Fold { .. } => "local-time-ambiguous",
    };
    ambiguous.compatible().ok().map(|at| (at, Some(kind)))
}

/// True where the text stands for "no time" (`0001-01-01T00:00:00`, the zero of .NET; the Unix epoch).
pub(super) fn is_none(text: &str) -> bool {
    text.starts_with("0001-01-01") || text.starts_with("1970-01-01")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_second_is_read_and_stands_between_its_neighbours() {
        let read = |text| read(text, &TimeZone::UTC).unwrap_or_else(|| panic!("{text}")).0;
        for [before, leap, after] in [
            ["2016-12-31T23:59:59Z", "2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"],
            ["2016-12-31T15:59:59-08:00", "2016-12-31T15:59:60-08:00", "2016-12-31T16:00:00-08:00"],
            ["2016-12-31T23:59:59", "2016-12-31T23:59:60", "2017-01-01T00:00:00"],
        ] {
            assert!(read(before) <= read(leap) && read(leap) <= read(after), "{leap}");
        }
    }
}
