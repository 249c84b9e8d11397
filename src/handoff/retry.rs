//! When a message is tried again and when it ends: pure rules, so that every case can be tested without a socket.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// How hard one message is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Effort {
    /// Tries at most.
    pub(super) attempts_max: u32,
    /// The longest that one try takes.
    pub(super) try_timeout: Duration,
    /// No try begins or ends after this instant.
    pub(super) until: Timestamp,
    /// How the message ends then.
    pub(super) until_why: &'static str,
    /// The pause after the first try at most.
    pub(super) backoff_first: Duration,
    /// The longest pause.
    pub(super) backoff_max: Duration,
    /// The longest pause the destination may ask for.
    pub(super) retry_after_max: Duration,
}

/// What came of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The destination has it.
    Taken,
    /// Not now.
    Later {
        /// Kebab-case reason.
        why: String,
        /// True where the destination showed that it lives.
        alive: bool,
        /// The pause it asks for, seconds.
        asked_s: Option<u64>,
    },
    /// Never: kebab-case reason.
    Refused(String),
}

impl Answer {
    /// Another try may do better; no pause was asked for.
    pub(super) fn later(why: &str, alive: bool) -> Self {
        Self::Later { why: why.to_owned(), alive, asked_s: None }
    }

    /// What an HTTP status says. Redirects are not followed: a signed message goes where the configuration says and
    /// nowhere else.
    pub(super) fn of_status(status: u16, asked_s: Option<u64>) -> Self {
        match status {
            200..300 => Self::Taken,
            408 | 425 | 429 | 500.. => Self::Later { why: format!("status-{status}"), alive: status < 500, asked_s },
            _ => Self::Refused(format!("refused-{status}")),
        }
    }

    /// True where the destination showed that it lives, whatever it thinks of the message.
    pub(super) fn alive(&self) -> bool {
        match self {
            Self::Taken | Self::Refused(_) => true,
            Self::Later { alive, .. } => *alive,
        }
    }

    /// The better of two answers to one message: taken, then worth another try, then refused.
    pub(super) fn or(self, other: Self) -> Self {
        let rank = |answer: &Self| match answer {
            Self::Taken => 0,
            Self::Later { .. } => 1,
            Self::Refused(_) => 2,
        };
        if rank(&other) < rank(&self) { other } else { self }
    }
}

/// What follows from one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// The destination has it.
    Delivered,
    /// Given up, and why.
    Undeliverable(String),
    /// Again after this pause.
    Again(Duration),
}

impl Effort {
    /// What follows from the answer to try number `attempt` (from 1). `jitter` is in 0 … 1.
    pub(super) fn next(&self, attempt: u32, answer: &Answer, now: Timestamp, jitter: f64) -> Next {
        let asked_pause = match answer {
            Answer::Taken => return Next::Delivered,
            Answer::Refused(why) => return Next::Undeliverable(why.clone()),
            Answer::Later { asked_s, .. } => *asked_s,
        };
        if attempt >= self.attempts_max {
            return Next::Undeliverable("attempts-exhausted".to_owned());
        }
        let asked = Duration::from_secs(asked_pause.unwrap_or_default()).min(self.retry_after_max);
        let pause = self.backoff(attempt, jitter).max(asked);
        if SignedDuration::try_from(pause).map_or(true, |pause| self.until.duration_since(now) <= pause) {
            return Next::Undeliverable(self.until_why.to_owned());
        }
        Next::Again(pause)
    }

    /// Exponential with full jitter: a random part of a span that doubles, so that many callers do not come back as one.
    fn backoff(&self, attempt: u32, jitter: f64) -> Duration {
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1).min(30));
        let span = self.backoff_first.saturating_mul(doubled).min(self.backoff_max);
        span.mul_f64(jitter.clamp(0.0, 1.0))
    }

    /// The time one try may take from now; `None` where there is none left.
    pub(super) fn time_for_try(&self, now: Timestamp) -> Option<Duration> {
        let left = Duration::try_from(self.until.duration_since(now)).ok().filter(|left| !left.is_zero())?;
        Some(left.min(self.try_timeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn effort() -> Effort {
        Effort {
            attempts_max: 5,
            try_timeout: Duration::from_secs(5),
            until: instant(60),
            until_why: "deadline-passed",
            backoff_first: Duration::from_millis(500),
            backoff_max: Duration::from_secs(10),
            retry_after_max: Duration::from_secs(30),
        }
    }

    fn instant(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000 + seconds).unwrap()
    }

    fn answered(status: u16, retry_after_s: Option<u64>) -> Answer {
        Answer::of_status(status, retry_after_s)
    }

    #[test]
    fn every_status_has_its_end() {
        for status in 100..600 {
            let next = effort().next(1, &answered(status, None), instant(0), 1.0);
            match status {
                200..300 => assert_eq!(next, Next::Delivered, "{status}"),
                408 | 425 | 429 | 500.. => assert_eq!(next, Next::Again(Duration::from_millis(500)), "{status}"),
                _ => assert_eq!(next, Next::Undeliverable(format!("refused-{status}")), "{status}"),
            }
        }
    }

    #[test]
    fn tries_and_time_are_bounded() {
        let failed = &Answer::later("no-connection", false);
        assert_eq!(effort().next(5, failed, instant(0), 1.0), Next::Undeliverable("attempts-exhausted".to_owned()));
        let late = effort().next(1, failed, instant(59), 1.0);
        assert_eq!(late, Next::Again(Duration::from_millis(500)));
        let too_late = effort().next(3, failed, instant(59), 1.0);
        assert_eq!(too_late, Next::Undeliverable("deadline-passed".to_owned()));
        assert_eq!(effort().time_for_try(instant(57)), Some(Duration::from_secs(3)));
        assert_eq!(effort().time_for_try(instant(60)), None);
        assert_eq!(effort().time_for_try(instant(61)), None);
    }

    #[test]
    fn retry_after_is_honoured_within_its_bounds() {
        let next = |asked| effort().next(1, &answered(503, Some(asked)), instant(0), 0.0);
        assert_eq!(next(7), Next::Again(Duration::from_secs(7)));
        assert_eq!(next(u64::MAX), Next::Again(Duration::from_secs(30)));
        let close = effort().next(1, &answered(429, Some(20)), instant(50), 0.0);
        assert_eq!(close, Next::Undeliverable("deadline-passed".to_owned()));
    }

    proptest! {
        #[test]
        fn no_pause_reaches_the_end(attempt in 1_u32..200, at in 0_i64..80, jitter in 0.0_f64..=1.0, asked in proptest::option::of(0_u64..1_000)) {
            let effort = Effort { attempts_max: 500, ..effort() };
            match effort.next(attempt, &answered(503, asked), instant(at), jitter) {
                Next::Again(pause) => {
                    prop_assert!(pause <= Duration::from_secs(30));
                    prop_assert!(SignedDuration::try_from(pause).unwrap() < effort.until.duration_since(instant(at)));
                }
                other => prop_assert_eq!(other, Next::Undeliverable("deadline-passed".to_owned())),
            }
        }
    }
}
