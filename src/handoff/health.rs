//! How a destination is: a circuit breaker and a pace, both pure, so that every case can be tested without a socket.
//!
//! The breaker spares a dead destination new offers, and spares their callers the wait: they fall to the next leg at
//! once. It never stops a recall, nor anything to the CAD (fault 35).

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// When a destination counts as down, and how it is treated when it comes back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thresholds {
    /// Failed tries in a row after which it is down.
    pub(super) failures: u32,
    /// How long it is left alone before one offer probes it.
    pub(super) left_alone: SignedDuration,
    /// How long after it came back, or after the start, first tries are paced too.
    pub(super) recovery: SignedDuration,
    /// Between two paced tries of one class.
    pub(super) interval: SignedDuration,
}

/// How soon a message must go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Recalls and back-up: waits for nothing, and has request slots of its own.
    AtOnce,
    /// Offers, and notices that police, fire or EMS must be sent.
    Soon,
    /// Any other notice.
    Routine,
}

/// What one try changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// The destination went down.
    WentDown,
    /// The destination came back.
    CameBack,
}

/// Where the breaker stands, for metrics and operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Offers go out.
    Closed,
    /// New offers end at once as `destination-down`.
    Open,
    /// One offer is out to see whether the destination is back.
    HalfOpen,
}

impl BreakerState {
    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed { failures: u32 },
    Open { until: Timestamp },
    HalfOpen { until: Timestamp },
}

/// How one destination is.
#[derive(Debug)]
pub(super) struct Health {
    thresholds: Thresholds,
    state: State,
    down_since: Option<Timestamp>,
    recovering_until: Timestamp,
    next_soon: Timestamp,
    next_routine: Timestamp,
    /// Of two addresses, the first did not answer in time when it was last asked.
    pub(super) first_is_dead: bool,
}

impl Health {
    /// A destination nothing is known of yet: what a restart hands over again is paced like what a recovery does.
    pub(super) fn new(thresholds: Thresholds, now: Timestamp) -> Self {
        Self {
            thresholds,
            state: State::Closed { failures: 0 },
            down_since: None,
            recovering_until: after(now, thresholds.recovery),
            next_soon: now,
            next_routine: now,
            first_is_dead: false,
        }
    }

    /// True where a new offer may be tried. In the half-open state that is one, the probe; a probe that has come to
    /// nothing (its offer was taken back) makes room for another after the same span.
    pub(super) fn lets_begin(&mut self, now: Timestamp) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until } | State::HalfOpen { until } if until <= now => {
                self.state = State::HalfOpen { until: after(now, self.thresholds.left_alone) };
                true
            }
            State::Open { .. } | State::HalfOpen { .. } => false,
        }
    }

    /// Notes a try of any message: `answered` where the destination showed that it lives. `jitter` is in 0 … 1.
    pub(super) fn note(&mut self, answered: bool, now: Timestamp, jitter: f64) -> Change {
        if answered {
            self.state = State::Closed { failures: 0 };
            if self.down_since.take().is_none() {
                return Change::None;
            }
            self.recovering_until = after(now, self.thresholds.recovery);
            return Change::CameBack;
        }
        // A part more, at random, so that many adapters do not probe as one.
        let alone = self.thresholds.left_alone;
        let open = State::Open { until: after(now, alone.saturating_add(spread(alone, jitter))) };
        match self.state {
            State::Closed { failures } if failures.saturating_add(1) < self.thresholds.failures.max(1) => {
                self.state = State::Closed { failures: failures.saturating_add(1) };
                Change::None
            }
            State::Closed { .. } => {
                self.state = open;
                self.down_since = Some(now);
                Change::WentDown
            }
            State::HalfOpen { .. } => {
                self.state = open;
                Change::None
            }
            // A recall that fails too tells nothing new, and does not put the probe off.
            State::Open { .. } => Change::None,
        }
    }

    /// How long a try waits for its turn: retries always take turns, first tries while the destination is down or has
    /// just come back. Each class has turns of its own, so that a backlog of routine notices holds up no other.
    pub(super) fn turn(&mut self, urgency: Urgency, first_try: bool, now: Timestamp) -> Duration {
        let well = self.down_since.is_none() && self.recovering_until <= now;
        let next = match urgency {
            Urgency::AtOnce => return Duration::ZERO,
            Urgency::Soon | Urgency::Routine if first_try && well => return Duration::ZERO,
            Urgency::Soon => &mut self.next_soon,
            Urgency::Routine => &mut self.next_routine,
        };
        let turn = (*next).max(now);
        *next = after(turn, self.thresholds.interval);
        Duration::try_from(turn.duration_since(now)).unwrap_or_default()
    }

    /// Where the breaker stands.
    pub(super) fn breaker(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Since when it has been down, where it is.
    pub(super) fn down_since(&self) -> Option<Timestamp> {
        self.down_since
    }
}

fn after(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// Up to a quarter of a span.
fn spread(span: SignedDuration, jitter: f64) -> SignedDuration {
    let quarter = Duration::try_from(span).unwrap_or_default().div_f64(4.0);
    SignedDuration::try_from(quarter.mul_f64(jitter.clamp(0.0, 1.0))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn health() -> Health {
        let thresholds = Thresholds {
            failures: 3,
            left_alone: SignedDuration::from_secs(30),
            recovery: SignedDuration::from_secs(20),
            interval: SignedDuration::from_millis(100),
        };
        Health::new(thresholds, at(0))
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_000_000 + millis).unwrap()
    }

    #[test]
    fn it_opens_after_failures_in_a_row_probes_with_one_and_closes_on_any_answer() {
        let mut health = health();
        for (answered, change) in [(false, Change::None), (false, Change::None), (true, Change::None)] {
            assert_eq!(health.note(answered, at(0), 0.0), change);
        }
        for change in [Change::None, Change::None, Change::WentDown, Change::None] {
            assert_eq!(health.note(false, at(10), 0.0), change);
        }
        assert_eq!((health.breaker(), health.down_since()), (BreakerState::Open, Some(at(10))));
        assert!(!health.lets_begin(at(30_009)));
        assert!(health.lets_begin(at(30_010)), "the probe");
        assert!(!health.lets_begin(at(30_011)), "one probe at a time");
        assert_eq!(health.note(false, at(30_020), 1.0), Change::None);
        assert!(!health.lets_begin(at(67_519)), "left alone a quarter longer, by jitter");
        assert!(health.lets_begin(at(67_520)));
        assert_eq!(health.note(true, at(67_600), 0.0), Change::CameBack);
        assert_eq!((health.breaker(), health.down_since()), (BreakerState::Closed, None));
        assert!(health.lets_begin(at(67_601)) && health.lets_begin(at(67_601)));
    }

    #[test]
    fn a_probe_that_comes_to_nothing_makes_room_for_another() {
        let mut health = health();
        for _ in 0..3 {
            health.note(false, at(0), 0.0);
        }
        assert!(health.lets_begin(at(30_000)));
        assert!(!health.lets_begin(at(59_999)));
        assert!(health.lets_begin(at(60_000)));
    }

    #[test]
    fn turns_are_taken_by_class_and_a_recall_waits_for_none() {
        let mut health = health();
        let millis = |health: &mut Health, urgency, first| health.turn(urgency, first, at(0)).as_millis();
        for expected in [0, 100, 200] {
            assert_eq!(millis(&mut health, Urgency::Routine, true), expected, "after a start");
        }
        assert_eq!(millis(&mut health, Urgency::Soon, true), 0, "another class has turns of its own");
        assert_eq!(millis(&mut health, Urgency::AtOnce, false), 0);
        assert_eq!(health.turn(Urgency::Routine, true, at(20_000)), Duration::ZERO);
        assert_eq!(health.turn(Urgency::Routine, true, at(20_000)), Duration::ZERO, "all is well: no turns");
        assert_eq!(health.turn(Urgency::Routine, false, at(20_000)), Duration::ZERO);
        assert_eq!(health.turn(Urgency::Routine, false, at(20_000)).as_millis(), 100, "retries take turns");
    }

    proptest! {
        #[test]
        fn whatever_comes_a_dead_destination_is_probed_again_and_a_recall_never_waits(
            steps in proptest::collection::vec((0_u8..4, 0_i64..40_000, 0.0_f64..=1.0), 1..60),
        ) {
            let mut health = health();
            let mut now = 0;
            for (what, pause, jitter) in steps {
                now += pause;
                match what {
                    0 => { health.note(false, at(now), jitter); }
                    1 => {
                        health.note(true, at(now), jitter);
                        prop_assert_eq!(health.breaker(), BreakerState::Closed);
                    }
                    2 => { health.lets_begin(at(now)); }
                    _ => { health.turn(Urgency::Soon, false, at(now)); }
                }
                prop_assert_eq!(health.turn(Urgency::AtOnce, true, at(now)), Duration::ZERO);
                prop_assert_eq!(health.down_since().is_some(), health.breaker() != BreakerState::Closed);
            }
            prop_assert!(health.lets_begin(at(now + 37_500)), "at the latest after the span and its jitter");
        }
    }
}
