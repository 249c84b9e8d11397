//! What happened in the simulated city so far, counted by the peers themselves: the other side's view of the adapter.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// Counts since the start, read at one instant. Notices are counted by kind in [`Tally::write_backs`].
        #[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
        pub struct Tally {
            $($(#[doc = $doc])* pub $name: u64,)*
            /// Notices the adapter wrote back to the CAD, by kind.
            pub write_backs: BTreeMap<String, u64>,
        }

        /// The counters behind a [`Tally`], shared by the peers.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
            pub(crate) write_backs: Mutex<BTreeMap<String, u64>>,
        }

        impl Counters {
            /// The counts now.
            pub(crate) fn tally(&self) -> Tally {
                Tally {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    write_backs: lock(&self.write_backs).clone(),
                }
            }
        }
    };
}

counters! {
    /// Calls that came in: first records due to be sent.
    calls,
    /// Records due to be sent, first ones and later ones, whatever came of them.
    records_sent,
    /// Records answered with a 2xx.
    records_acknowledged,
    /// Records refused with a 4xx.
    records_refused,
    /// Records given up: no 2xx or 4xx within the tries.
    records_given_up,
    /// Records sent a second time with the same bytes.
    records_repeated,
    /// Records sent through the pass-through.
    sent_by_pass_through,
    /// Records the CAD received through the pass-through, repeats included.
    passed_through,
    /// Later records that made a call worse (escalation, danger learnt).
    dangers_sent,
    /// Later records that cancelled a call.
    cancels_sent,
    /// Incidents whose assessment the call-taker did not get to see within the bound.
    not_assessed_in_time,
    /// Answers given to questions.
    answers,
    /// Choices made.
    choices,
    /// Recommendations accepted as they stood.
    choices_accepted,
    /// Recommended programs overridden to the ordinary route.
    overrides_to_ordinary,
    /// Ordinary recommendations overridden to a program, granted.
    overrides_to_program,
    /// Choices refused with a 4xx (excluded, nothing to choose, already offered).
    choices_refused,
    /// Times the doubt key was pressed.
    doubts,
    /// Offers received by teams and the phone line, repeats not counted.
    offers,
    /// Webhooks with an idempotency key seen before: answered, not acted on.
    webhooks_repeated,
    /// Webhooks refused for a bad or missing signature.
    webhooks_refused,
    /// Tests of the contact: answered, and no call.
    contact_tests,
    /// Acceptances granted.
    accepts,
    /// Declines taken.
    declines,
    /// Offers left unanswered on purpose.
    ignored,
    /// Offers answered 503 on every try.
    unreachable,
    /// Answers told "no longer yours" (409).
    conflicts,
    /// Offers taken back.
    withdrawals,
    /// Times a team was told to stand back.
    stand_backs,
    /// Recalls that a team said it had heard.
    recalls_heard,
    /// Returned calls that the centre said it had.
    returns_acknowledged,
    /// Statuses taken: en route, on scene, with person.
    statuses,
    /// Calls cleared with a disposition.
    clears,
    /// Calls a team handed back.
    returns,
    /// Back-up requests taken.
    backups,
    /// Hazards reported and taken.
    hazards,
    /// Team requests that failed otherwise (4xx but 409, 5xx, no connection).
    team_requests_failed,
    /// Ordinary units dispatched.
    units_dispatched,
    /// Incidents the CAD closed.
    closed_by_cad,
    /// Write-backs received with a key or content seen before.
    write_backs_repeated,
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Locks; a holder that panicked leaves counts behind that are still worth showing.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
