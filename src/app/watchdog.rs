//! A thread outside the runtime that ends the process where the runtime stands still (fault 46): a supervisor starts it
//! again, and recovery takes up what was durable. A frozen adapter that looks alive is worse than a dead one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often the thread looks, and how often the runtime says that it lives.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Looks in a row without a word: five seconds. Looks are counted and not time, so that a machine that was paused, and
/// this thread with it, is not taken for a runtime that stands still.
const SILENT_LOOKS_MAX: u32 = 20;

/// Watches the runtime that this is called on until the returned guard is dropped; `stalled` is called once.
///
/// # Errors
/// Where the thread cannot be started.
pub(super) fn watch(stalled: impl FnOnce() + Send + 'static) -> std::io::Result<Guard> {
    let (alive, done) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let (beating, ended) = (Arc::clone(&alive), Arc::clone(&done));
    let beat = tokio::spawn(async move {
        loop {
            beating.store(true, Ordering::Relaxed);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
        let mut silent_looks = 0;
        while !ended.load(Ordering::Relaxed) {
            silent_looks = if alive.swap(false, Ordering::Relaxed) { 0 } else { silent_looks + 1 };
            if silent_looks > SILENT_LOOKS_MAX {
                return stalled();
            }
            std::thread::sleep(LOOK_EVERY);
        }
    })?;
    Ok(Guard { done, beat })
}

/// What `serve` does where the runtime stands still.
pub(super) fn end_the_process() {
    tracing::error!("the adapter's runtime stands still; the process ends so that it is started again");
    std::process::abort();
}

/// Ends the watch when dropped.
pub(super) struct Guard {
    done: Arc<AtomicBool>,
    beat: tokio::task::JoinHandle<()>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        self.beat.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_runtime_that_stands_still_is_told_and_one_that_works_or_is_dropped_is_not() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (tell, told) = mpsc::channel();
        let (tell_other, told_other) = mpsc::channel();
        runtime.block_on(async {
            let _working = watch(move || tell.send(()).unwrap()).unwrap();
            drop(watch(move || tell_other.send(()).unwrap()).unwrap());
            tokio::time::sleep(LOOK_EVERY * (SILENT_LOOKS_MAX + 4)).await;
            assert!(told.try_recv().is_err(), "it worked all the time");
            // The one worker is held: nothing on it moves until the thread has spoken.
            told.recv_timeout(LOOK_EVERY * SILENT_LOOKS_MAX * 8).unwrap();
        });
        assert!(told_other.recv().is_err(), "dropped without a word");
    }
}
