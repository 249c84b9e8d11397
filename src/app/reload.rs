//! The policy's folder, watched: what lies there is read until it holds still, proved, and put in force or refused.

use super::read_policy;
use crate::call_processing::{Desk, RefusedPolicy};
use crate::configuration::PolicySettings;
use crate::input::BadInput;
use crate::policy::{Candidate, Policy, PolicyFault, PolicyFaults, PolicyFiles};
use crate::telemetry;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Faults kept and logged of one refused policy; `fourth check` lists them all.
pub const FAULTS_SHOWN: usize = 10;
/// A new policy that would have diverted more than this many more of the recent calls, per cent of what the one in force
/// diverts, is logged loudly and counted by itself.
const MORE_PERCENT_MAX: usize = 20;
/// Fewer calls than this are no reason to be loud.
const MORE_CALLS_MIN: usize = 5;
/// How often a folder that keeps changing is read before it is left for the next look.
const READINGS_MAX: u32 = 20;

/// The policy of a folder, where it reads, its cases come out as they expect, and its safeguards hold for all calls.
///
/// # Errors
/// Every fault found.
pub fn loadable(files: &PolicyFiles) -> Result<Policy, PolicyFaults> {
    let candidate = Candidate::read(files)?;
    let failing = candidate.run_cases().results.into_iter().filter(|case| !case.passes());
    let mut faults: Vec<PolicyFault> = failing
        .map(|case| PolicyFault {
            file: "cases.toml".to_owned(),
            line: Some(case.line),
            key: case.case,
            message: format!("the case does not come out as it expects: {}", case.differences.join("; ")),
            help: Some("mend the row, or the case where it is out of date".to_owned()),
        })
        .collect();
    match candidate.into_policy() {
        Ok(policy) if faults.is_empty() => Ok(policy),
        Ok(_) => Err(PolicyFaults(faults)),
        Err(more) => {
            faults.extend(more.0);
            Err(PolicyFaults(faults))
        }
    }
}

/// One fault in one line: its file, line, key, and what is wrong.
#[must_use]
pub fn told(fault: &PolicyFault) -> String {
    let mut line = fault.file.clone();
    if let Some(number) = fault.line {
        let _ = write!(line, " line {number}");
    }
    let _ = write!(line, ", `{}`: {}", fault.key, fault.message);
    line
}

/// What reading and proving a folder came to.
#[derive(Debug, Clone)]
pub enum Reading {
    /// It may be loaded.
    Loadable(Arc<Policy>),
    /// It may not.
    Faulty {
        /// Digest over the folder.
        digest: String,
        /// Why.
        faults: PolicyFaults,
    },
    /// It cannot be read.
    Unreadable(BadInput),
}

impl Reading {
    /// Reads and proves the files of a folder.
    #[must_use]
    pub fn of(files: Result<PolicyFiles, BadInput>) -> Self {
        match files {
            Err(input) => Self::Unreadable(input),
            Ok(files) => match loadable(&files) {
                Ok(policy) => Self::Loadable(Arc::new(policy)),
                Err(faults) => Self::Faulty { digest: files.digest(), faults },
            },
        }
    }

    /// The policy, if it may be loaded.
    pub(super) fn loaded(&self) -> Option<Arc<Policy>> {
        match self {
            Self::Loadable(policy) => Some(Arc::clone(policy)),
            Self::Faulty { .. } | Self::Unreadable(_) => None,
        }
    }

    /// The policy; or a refusal, which is noted and logged.
    pub(super) fn policy(self, desk: &Desk) -> Option<Arc<Policy>> {
        let (digest, faults, outcome) = match self {
            Self::Loadable(policy) => return Some(policy),
            Self::Faulty { digest, faults } => (Some(digest), faults.0.iter().map(told).collect(), "refused"),
            Self::Unreadable(input) => (None, vec![input.message], "unreadable"),
        };
        refuse(desk, digest, faults, outcome);
        None
    }
}

fn refuse(desk: &Desk, digest: Option<String>, mut faults: Vec<String>, outcome: &'static str) {
    let faults_total = faults.len();
    faults.truncate(FAULTS_SHOWN);
    let before = desk.refused_policy();
    // Said once for each state of the folder, not at every look.
    if before.is_some_and(|before| before.digest == digest && before.faults == faults) {
        return;
    }
    telemetry::policy_load(outcome);
    let policy = desk.policy();
    let kept = policy.as_ref().map_or("none: every call takes the ordinary route", |kept| &kept.identity().digest);
    tracing::error!(faults = faults_total, kept, "the policy in the folder is not loaded; `fourth check` says more");
    for fault in &faults {
        tracing::error!(fault, "a fault of the policy");
    }
    desk.note_policy(Some(RefusedPolicy { digest, since: desk.clock().now(), faults, faults_total }));
}

/// Watches one folder for one desk.
pub(super) struct Watch {
    pub(super) desk: Arc<Desk>,
    pub(super) settings: PolicySettings,
    /// Rung where somebody asks (SIGHUP).
    pub(super) asked: Arc<Notify>,
}

impl Watch {
    /// Looks for ever: at every interval, and when asked.
    pub(super) async fn run(self) {
        loop {
            let interval = async {
                match self.settings.watch_ms {
                    0 => std::future::pending().await,
                    watch_ms => tokio::time::sleep(Duration::from_millis(watch_ms)).await,
                }
            };
            tokio::select! {
                () = interval => {}
                () = self.asked.notified() => tracing::info!("the policy's folder is read again, as asked"),
            }
            self.look().await;
        }
    }

    async fn look(&self) {
        let folder = self.settings.folder.clone();
        let read = || {
            let reading = tokio::task::spawn_blocking({
                let folder = folder.clone();
                move || read_policy(&folder)
            });
            async {
                reading.await.unwrap_or_else(|failure| Err(BadInput::new(format!("the policy's folder: {failure}"))))
            }
        };
        let in_force = self.desk.policy().map(|policy| policy.identity().digest.clone());
        let refused = self.desk.refused_policy().and_then(|refused| refused.digest.clone());
        let known = |digest: &String| Some(digest) == in_force.as_ref() || Some(digest) == refused.as_ref();
        let files = match settled(read, known, Duration::from_millis(self.settings.settle_ms)).await {
            None => return tracing::warn!("the policy's folder keeps changing; it is looked at again later"),
            Some(Ok(files)) if Some(files.digest()) == in_force => {
                if self.desk.refused_policy().is_some() {
                    tracing::info!("the policy's folder holds the policy in force again");
                    self.desk.note_policy(None);
                }
                return;
            }
            Some(Ok(files)) if Some(files.digest()) == refused => return,
            Some(files) => files,
        };
        // Proving may take long: not on the threads that answer.
        let reading = tokio::task::spawn_blocking(move || Reading::of(files)).await;
        let reading = reading.unwrap_or_else(|_| {
            telemetry::panic_caught();
            Reading::Unreadable(BadInput::new("the policy's folder: reading it failed inside the adapter"))
        });
        let Some(policy) = reading.policy(&self.desk) else { return };
        let more = self.weigh(&policy);
        let identity = policy.identity().clone();
        match self.desk.put_policy(policy).await {
            Ok(()) => {
                telemetry::policy_load(if more { "loaded-diverts-more" } else { "loaded" });
                let (policy, revision, digest) = (identity.id, identity.revision, identity.digest);
                tracing::info!(policy, revision, digest, before = in_force, "the policy is in force");
            }
            Err(error) => tracing::error!(%error, "the policy could not be journaled and is not loaded yet"),
        }
    }
}

impl Watch {
    /// Says what a new policy would have done with the recent calls; true where it would divert many more of them
    /// (fault 45: somebody should look before the next shift does).
    fn weigh(&self, policy: &Policy) -> bool {
        let before = self.desk.policy().map_or(0, |policy| self.desk.recent_calls_diverted(&policy).0);
        let (after, calls) = self.desk.recent_calls_diverted(policy);
        let more = diverts_many_more(before, after);
        if more {
            tracing::error!(calls, before, after, "the new policy would have diverted many more of the recent calls");
        } else {
            tracing::info!(calls, before, after, "recent calls diverted by the policy before and by the new one");
        }
        more
    }
}

fn diverts_many_more(before: usize, after: usize) -> bool {
    let more = after.saturating_sub(before);
    more >= MORE_CALLS_MIN && more.saturating_mul(100) > before.saturating_mul(MORE_PERCENT_MAX)
}

/// Reads until two readings, `settle` apart, are the same, so that a folder that is being written is not read half;
/// what is `known` already needs no second reading. `None` where the folder does not come to rest.
async fn settled<R>(
    mut read: impl FnMut() -> R,
    known: impl Fn(&String) -> bool,
    settle: Duration,
) -> Option<Result<PolicyFiles, BadInput>>
where
    R: Future<Output = Result<PolicyFiles, BadInput>>,
{
    let same = |one: &Result<PolicyFiles, BadInput>, other: &Result<PolicyFiles, BadInput>| match (one, other) {
        (Ok(one), Ok(other)) => one.digest() == other.digest(),
        (Err(one), Err(other)) => one == other,
        _ => false,
    };
    let mut reading = read().await;
    for _ in 1..READINGS_MAX {
        if reading.as_ref().is_ok_and(|files| known(&files.digest())) {
            return Some(reading);
        }
        tokio::time::sleep(settle).await;
        let again = read().await;
        if same(&reading, &again) {
            return Some(again);
        }
        reading = again;
    }
    None
}

#[cfg(test)]
mod tests;
