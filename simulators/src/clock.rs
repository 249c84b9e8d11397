//! The simulated city's clock: civil time that runs `speed` times as fast as the machine's. The only door to time here.

use jiff::{SignedDuration, Timestamp};
use std::time::{Duration, Instant};

/// Civil time derived from the monotonic clock, scaled. Copies show the same time.
#[derive(Debug, Clone, Copy)]
pub struct ScaledClock {
    started: Instant,
    civil_start: Timestamp,
    speed: f64,
}

impl ScaledClock {
    /// A clock that shows `civil_start` now and runs `speed` times as fast as the machine's; a speed that is not a
    /// positive number counts as 1.
    #[must_use]
    pub fn starting_at(civil_start: Timestamp, speed: f64) -> Self {
        Self::since(monotonic_now(), civil_start, speed)
    }

    /// A clock that showed `civil_start` at the monotonic instant `started`, so that two processes' parts agree.
    #[must_use]
    pub fn since(started: Instant, civil_start: Timestamp, speed: f64) -> Self {
        let speed = if speed.is_finite() && speed > 0.0 { speed } else { 1.0 };
        Self { started, civil_start, speed }
    }

    /// The civil instant now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let elapsed = monotonic_now().saturating_duration_since(self.started).mul_f64(self.speed);
        after(self.civil_start, elapsed)
    }

    /// How many times as fast as the machine's clock this one runs.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// Sleeps for a duration of simulated time.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration.div_f64(self.speed)).await;
    }

    /// Sleeps until this clock shows the instant; returns at once where it is past.
    pub async fn sleep_until(&self, at: Timestamp) {
        if let Ok(left) = Duration::try_from(at.duration_since(self.now())) {
            self.sleep(left).await;
        }
    }
}

/// The instant `by` later; the last representable one where there is none.
#[must_use]
pub fn after(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

/// A monotonic reading for latencies.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the simulators' door to time")]
pub fn monotonic_now() -> Instant {
    Instant::now()
}
