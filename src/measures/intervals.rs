//! Intervals between time points: defined once, sampled exactly, and never mixed with what cannot be true.

use jiff::Timestamp;
use std::collections::BTreeMap;

/// An interval of more than 24 hours is taken for a fault of a clock or of data entry.
const LONGEST_MS: i64 = 24 * 60 * 60 * 1000;

/// An interval that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interval {
    /// Call answered − call received, as the sender states them (NENA-STA-020.1-2020).
    Answer,
    /// First dispatch of a unit − call answered (NFPA 1225 alarm processing).
    Processing,
    /// First decision durable − first record received by the adapter.
    Assess,
    /// Acceptance durable − offer durable, of the leg that accepted.
    HandOver,
    /// Team en route − accepted.
    Turnout,
    /// Team on scene − en route.
    Travel,
    /// Team on scene − call received.
    TeamResponse,
    /// First ordinary unit on scene − call received, of every call where one was seen there.
    UnitResponse,
    /// Team cleared − on scene.
    OnScene,
}

impl Interval {
    /// Every interval, in story order.
    pub const ALL: [Self; 9] = [
        Self::Answer,
        Self::Processing,
        Self::Assess,
        Self::HandOver,
        Self::Turnout,
        Self::Travel,
        Self::TeamResponse,
        Self::UnitResponse,
        Self::OnScene,
    ];

    /// The name in reports and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Processing => "processing",
            Self::Assess => "assess",
            Self::HandOver => "hand-over",
            Self::Turnout => "turnout",
            Self::Travel => "travel",
            Self::TeamResponse => "response, team",
            Self::UnitResponse => "response, ordinary units",
            Self::OnScene => "on scene",
        }
    }

    /// The definition in words.
    #[must_use]
    pub fn definition(self) -> &'static str {
        match self {
            Self::Answer => "answered - received",
            Self::Processing => "dispatched - answered",
            Self::Assess => "assessed - record received",
            Self::HandOver => "accepted - offered",
            Self::Turnout => "en route - accepted",
            Self::Travel => "on scene - en route",
            Self::TeamResponse | Self::UnitResponse => "on scene - received",
            Self::OnScene => "cleared - on scene",
        }
    }
}

/// What is known of one interval of one call or leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// Milliseconds.
    Value(i64),
    /// Negative, or longer than 24 hours: counted as such, never averaged in.
    Impossible,
    /// A point is not recorded.
    Missing,
}

impl Sample {
    /// The interval between two points.
    #[must_use]
    pub fn between(from: Option<Timestamp>, to: Option<Timestamp>) -> Self {
        let (Some(from), Some(to)) = (from, to) else { return Self::Missing };
        let milliseconds = to.as_millisecond().saturating_sub(from.as_millisecond());
        if (0..=LONGEST_MS).contains(&milliseconds) { Self::Value(milliseconds) } else { Self::Impossible }
    }
}

/// Every sample of one interval. Exact: values are kept, counted by their length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distribution {
    values: BTreeMap<i64, u64>,
    count: u64,
    missing: u64,
    impossible: u64,
}

/// A distribution in the figures that are published. Milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many values the percentiles stand on.
    pub n: u64,
    /// Median, nearest rank; `None` without values.
    pub p50: Option<i64>,
    /// 90th percentile, nearest rank.
    pub p90: Option<i64>,
    /// 95th percentile, nearest rank.
    pub p95: Option<i64>,
    /// How many calls or legs lack a point.
    pub missing: u64,
    /// How many are negative or longer than 24 hours.
    pub impossible: u64,
}

impl Distribution {
    /// Counts a sample.
    pub fn add(&mut self, sample: Sample) {
        match sample {
            Sample::Value(milliseconds) => {
                *self.values.entry(milliseconds).or_default() += 1;
                self.count += 1;
            }
            Sample::Impossible => self.impossible += 1,
            Sample::Missing => self.missing += 1,
        }
    }

    /// Takes back a sample counted before, because more has become known of its call.
    pub fn remove(&mut self, sample: Sample) {
        match sample {
            Sample::Value(milliseconds) => {
                if let Some(count) = self.values.get_mut(&milliseconds) {
                    *count -= 1;
                    self.count -= 1;
                    if *count == 0 {
                        self.values.remove(&milliseconds);
                    }
                }
            }
            Sample::Impossible => self.impossible = self.impossible.saturating_sub(1),
            Sample::Missing => self.missing = self.missing.saturating_sub(1),
        }
    }

    /// The percentile by nearest rank: the smallest value that at least `percent` of all values do not exceed.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<i64> {
        let rank = self.count.saturating_mul(percent).div_ceil(100).max(1);
        let mut below = 0;
        self.values.iter().find_map(|(milliseconds, count)| {
            below += count;
            (below >= rank).then_some(*milliseconds)
        })
    }

    /// The published figures.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            n: self.count,
            p50: self.percentile(50),
            p90: self.percentile(90),
            p95: self.percentile(95),
            missing: self.missing,
            impossible: self.impossible,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(milliseconds: i64) -> Option<Timestamp> {
        Some(Timestamp::from_millisecond(milliseconds).unwrap())
    }

    #[test]
    fn negative_and_impossible_intervals_are_counted_and_never_averaged_in() {
        let day = 24 * 60 * 60 * 1000;
        assert_eq!(Sample::between(at(5), at(5)), Sample::Value(0));
        assert_eq!(Sample::between(at(0), at(day)), Sample::Value(day));
        assert_eq!(Sample::between(at(0), at(day + 1)), Sample::Impossible);
        assert_eq!(Sample::between(at(5), at(4)), Sample::Impossible);
        assert_eq!(Sample::between(None, at(4)), Sample::Missing);
        assert_eq!(Sample::between(at(4), None), Sample::Missing);
        assert_eq!(Sample::between(Some(Timestamp::MIN), Some(Timestamp::MAX)), Sample::Impossible);

        let mut distribution = Distribution::default();
        for sample in [Sample::Value(1000), Sample::Impossible, Sample::Missing, Sample::Missing] {
            distribution.add(sample);
        }
        let summary = Summary { n: 1, p50: Some(1000), p90: Some(1000), p95: Some(1000), missing: 2, impossible: 1 };
        assert_eq!(distribution.summary(), summary);
    }

    #[test]
    fn percentiles_are_values_that_occurred_by_nearest_rank() {
        // The worked example of the nearest-rank method: of 15, 20, 35, 40, 50 the 30th percentile is 20.
        let mut distribution = Distribution::default();
        for value in [50, 15, 40, 20, 35] {
            distribution.add(Sample::Value(value));
        }
        let of = |percent| distribution.percentile(percent);
        assert_eq!((of(5), of(30), of(40), of(50), of(100)), (Some(15), Some(20), Some(20), Some(35), Some(50)));
        assert_eq!(Distribution::default().summary(), Summary::default());
    }

    proptest! {
        #[test]
        fn percentiles_equal_those_of_the_sorted_list(
            kept in prop::collection::vec(0_i64..200, 1..80),
            gone in prop::collection::vec(0_i64..200, 0..20),
            percent in 1_u64..=100,
        ) {
            let mut distribution = Distribution::default();
            for value in kept.iter().chain(&gone) {
                distribution.add(Sample::Value(*value));
            }
            for value in &gone {
                distribution.remove(Sample::Value(*value));
            }
            let mut sorted = kept;
            sorted.sort_unstable();
            let at_most = |value: i64| sorted.iter().filter(|other| **other <= value).count() as u64;
            let n = sorted.len() as u64;
            let expected = sorted.iter().copied().find(|value| at_most(*value) * 100 >= percent * n);
            prop_assert_eq!(distribution.percentile(percent), expected);
            prop_assert_eq!(distribution.summary().n, n);
        }
    }
}
