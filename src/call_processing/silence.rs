//! Silence from the CAD: a line that looks connected and brings nothing is a fault that only a watch can see (invariant I13).

use super::live::Desk;
use jiff::{SignedDuration, Timestamp};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

/// When something was last heard, and after how long without a word an alarm is due.
#[derive(Debug)]
pub(super) struct Silence {
    heard_ms: AtomicI64,
    alarm_after_s: AtomicU32,
}

impl Silence {
    /// Begins to listen now; no alarm is due until one is asked for.
    pub(super) fn since(now: Timestamp) -> Self {
        Self { heard_ms: AtomicI64::new(now.as_millisecond()), alarm_after_s: AtomicU32::new(0) }
    }

    fn heard(&self) -> Timestamp {
        Timestamp::from_millisecond(self.heard_ms.load(Ordering::Relaxed)).unwrap_or(Timestamp::MIN)
    }

    fn hear(&self, now: Timestamp) {
        self.heard_ms.fetch_max(now.as_millisecond(), Ordering::Relaxed);
    }

    /// Since when nothing has been heard, where that is longer than it should be.
    fn too_long(&self, now: Timestamp) -> Option<Timestamp> {
        let alarm_after_s = self.alarm_after_s.load(Ordering::Relaxed);
        let heard = self.heard();
        let overdue = now.duration_since(heard) >= SignedDuration::from_secs(alarm_after_s.into());
        (alarm_after_s > 0 && overdue).then_some(heard)
    }
}

impl Desk {
    /// Calls for an alarm after so many seconds without a record; 0 for none.
    pub fn alarm_after_silence(&self, alarm_after_s: u32) {
        self.inner().silence.alarm_after_s.store(alarm_after_s, Ordering::Relaxed);
    }

    /// Bytes came from a known sender, whatever they were.
    pub(super) fn note_heard(&self) {
        self.inner().silence.hear(self.clock().now());
    }

    /// When a record was last heard, or the desk was opened.
    #[must_use]
    pub fn last_heard(&self) -> Timestamp {
        self.inner().silence.heard()
    }

    /// Since when nothing has been heard, where that is longer than it should be.
    #[must_use]
    pub fn silent_since(&self) -> Option<Timestamp> {
        self.inner().silence.too_long(self.clock().now())
    }

    /// Waits until the alarm is due, then until a record is heard again; says both in the log. For ever.
    pub async fn watch_silence(&self) {
        /// How soon an end of the silence is seen, real time.
        const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(1);
        let mut told = false;
        loop {
            match (self.silent_since(), told) {
                (Some(since), false) => {
                    tracing::error!(%since, "no record has come from any CAD: is the line alive?");
                    told = true;
                }
                (None, true) => {
                    tracing::info!("records come from the CAD again");
                    told = false;
                }
                (Some(_), true) | (None, false) => {}
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_due_after_the_silence_asked_for_and_ends_with_the_next_record() {
        let start = Timestamp::from_second(1_700_000_000).unwrap();
        let at = |seconds| start + SignedDuration::from_secs(seconds);
        let silence = Silence::since(start);
        assert_eq!(silence.too_long(at(1_000_000)), None, "nobody asked for an alarm");
        silence.alarm_after_s.store(60, Ordering::Relaxed);
        assert_eq!(silence.too_long(at(59)), None);
        assert_eq!(silence.too_long(at(60)), Some(start));
        silence.hear(at(70));
        assert_eq!(silence.too_long(at(129)), None);
        assert_eq!(silence.too_long(at(130)), Some(at(70)));
        silence.hear(at(5));
        assert_eq!(silence.heard(), at(70), "a clock that steps back makes no silence longer than it is");
    }
}
