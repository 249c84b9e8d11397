//! The only door to time and randomness: a value handed to whoever does I/O. Pure rooms take time as an argument.

use jiff::{SignedDuration, Timestamp};
use std::time::{Duration, Instant};

/// Civil time for labels, monotonic time for durations, and sleeping, at a speed (1 except in the demo).
#[derive(Debug, Clone)]
pub struct Clock {
    started: Instant,
    civil_start: Timestamp,
    speed: f64,
    #[cfg(any(feature = "canaries", debug_assertions))]
    chance: Option<std::sync::Arc<std::sync::atomic::AtomicU64>>,
}

impl Clock {
    /// The machine's clock at natural speed.
    #[must_use]
    pub fn system() -> Self {
        Self::starting_at(civil_now(), 1.0)
    }

    /// A clock that shows `civil_start` now and runs `speed` times as fast as the machine's.
    ///
    /// Civil time is derived from the monotonic clock, so that a step of the machine's civil clock can neither
    /// lengthen a deadline nor make an interval negative (invariant I18).
    #[must_use]
    pub fn starting_at(civil_start: Timestamp, speed: f64) -> Self {
        let speed = if speed.is_finite() && speed > 0.0 { speed } else { 1.0 };
        Self {
            started: monotonic_now(),
            civil_start,
            speed,
            #[cfg(any(feature = "canaries", debug_assertions))]
            chance: None,
        }
    }

    /// A clock whose randomness follows from a seed, so that a simulated world can be run again. Its names can be guessed:
    /// it exists in no release build.
    #[cfg(any(feature = "canaries", debug_assertions))]
    #[must_use]
    pub fn seeded(civil_start: Timestamp, seed: u64) -> Self {
        Self { chance: Some(std::sync::Arc::new(seed.into())), ..Self::starting_at(civil_start, 1.0) }
    }

    /// `N` random bytes.
    ///
    /// # Errors
    /// Where the operating system gives none.
    pub fn random_bytes<const N: usize>(&self) -> Result<[u8; N], NoRandomness> {
        #[cfg(any(feature = "canaries", debug_assertions))]
        if let Some(chance) = &self.chance {
            return Ok(drawn(chance));
        }
        random_bytes()
    }

    /// A uniform number in 0 … 1, for jitter; 0.5 where the operating system gives no randomness.
    #[must_use]
    pub fn jitter(&self) -> f64 {
        self.random_bytes::<4>().map_or(0.5, |bytes| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
    }

    /// The civil instant now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let elapsed = monotonic_now().duration_since(self.started).mul_f64(self.speed);
        SignedDuration::try_from(elapsed)
            .ok()
            .and_then(|by| self.civil_start.checked_add(by).ok())
            .unwrap_or(Timestamp::MAX)
    }

    /// This clock, or one that shows `at` now where this one still stands before it.
    #[must_use]
    pub fn not_before(self, at: Timestamp) -> Self {
        if self.now() >= at { self } else { Self { started: monotonic_now(), civil_start: at, ..self } }
    }

    /// How many times as fast as the machine's clock this one runs.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// Sleeps for a duration of this clock's time.
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

/// A monotonic reading for measuring durations within the process.
#[must_use]
pub fn monotonic_now() -> Instant {
    // tokio's, so that a simulation can pause it; elsewhere it is the machine's.
    tokio::time::Instant::now().into_std()
}

#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn civil_now() -> Timestamp {
    Timestamp::now()
}

/// `N` random bytes from the operating system.
///
/// # Errors
/// Where the operating system gives none.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// Bytes that follow from a seed (SplitMix64, Steele, Lea and Flood 2014).
#[cfg(any(feature = "canaries", debug_assertions))]
fn drawn<const N: usize>(chance: &std::sync::atomic::AtomicU64) -> [u8; N] {
    let mut bytes = [0_u8; N];
    for chunk in bytes.chunks_mut(8) {
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut word = chance.fetch_add(step, std::sync::atomic::Ordering::Relaxed).wrapping_add(step);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice((word ^ (word >> 31)).to_le_bytes().get(..chunk.len()).unwrap_or_default());
    }
    bytes
}

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no randomness")]
pub struct NoRandomness;
