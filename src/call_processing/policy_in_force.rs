//! Which policy is in force: swapped in whole and journaled; and which one stands refused in its folder.

use super::live::{Desk, lock};
use crate::journal::{AdapterEvent, JournalError};
use crate::policy::Policy;
use crate::telemetry;
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;

/// What lies in the policy's folder and may not be loaded. The policy in force, if any, stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefusedPolicy {
    /// Digest over the folder; `None` where it cannot be read.
    pub digest: Option<String>,
    /// Since when it has been refused.
    pub since: Timestamp,
    /// The first faults, each with its file, line and key.
    pub faults: Vec<String>,
    /// How many faults there are.
    pub faults_total: usize,
}

impl Desk {
    /// The policy in force, if any. What is decided on it is decided on all of it: hold the `Arc` for the whole of one call.
    #[must_use]
    pub fn policy(&self) -> Option<Arc<Policy>> {
        self.inner().policy.load_full()
    }

    /// What was refused since, if the folder of the policy still holds it.
    #[must_use]
    pub fn refused_policy(&self) -> Option<Arc<RefusedPolicy>> {
        lock(&self.inner().refused_policy).clone()
    }

    /// Puts a policy in force: journaled with the digest of the one before, then swapped in whole. Open incidents are
    /// assessed by it when something new is heard of them, and keep what was decided until then.
    ///
    /// # Errors
    /// The journal's; the policy before stays in force.
    pub async fn put_policy(&self, policy: Arc<Policy>) -> Result<(), JournalError> {
        let identity = policy.identity().clone();
        let replaces = self.policy().map(|before| before.identity().digest.clone());
        let loaded = AdapterEvent::PolicyLoaded {
            id: identity.id,
            revision: identity.revision,
            digest: identity.digest,
            replaces,
            waived: policy.waivers(),
        };
        if canary!(PolicyBeforeJournal) {
            self.inner().policy.store(Some(Arc::clone(&policy)));
        }
        self.record_of_adapter(loaded).await?;
        self.inner().policy.store(Some(policy));
        self.note_policy(None);
        telemetry::policy_loaded(self.clock().now().as_second());
        Ok(())
    }

    /// Notes that what lies in the folder may not be loaded, or, with `None`, that it is what is in force.
    pub fn note_policy(&self, refused: Option<RefusedPolicy>) {
        telemetry::policy_refused(refused.is_some());
        *lock(&self.inner().refused_policy) = refused.map(Arc::new);
    }
}
