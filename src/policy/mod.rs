//! The policy: a decision table that has been proved before it is loaded.

mod decision;

pub use decision::{
    Decision, ExclusionHit, Flip, FlipChange, Gap, LegPlan, Mode, PolicyIdentity, ProgramKind, ProgramOption, Question,
    Reason, Route, RouteStep, Status,
};

use crate::facts::{FactError, Facts};
use crate::record::{CallRecord, ProgramId};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The files of a policy folder by name (`policy.toml`, `call_types.csv`, …), read by whoever does I/O.
#[derive(Debug, Clone, Default)]
pub struct PolicyFiles {
    /// Folder name, for error messages.
    pub folder: String,
    /// Bytes by file name.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// A compiled, proved policy. Cheap to share (`Arc`), immutable.
#[derive(Debug)]
pub struct Policy {
    identity: PolicyIdentity,
    mode: Mode,
}

/// Everything wrong with a policy, each with file, line, key and the nearest valid word.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the policy has {} faults", .0.len())]
pub struct PolicyFaults(pub Vec<PolicyFault>);

/// One fault of a policy.
#[derive(Debug, Clone)]
pub struct PolicyFault {
    /// File within the folder.
    pub file: String,
    /// Line from 1, where known.
    pub line: Option<u32>,
    /// The key or row concerned.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
}

/// What is free now: how many calls each program has, and whether it is staffed.
#[derive(Debug, Clone, Default)]
pub struct Availability {
    /// Calls a program holds or has been offered now.
    pub load: BTreeMap<ProgramId, u32>,
    /// Programs known to have no crew or decider on duty.
    pub unstaffed: Vec<ProgramId>,
}

impl Policy {
    /// Reads, checks, compiles and proves. A policy whose safeguards fail does not compile.
    ///
    /// # Errors
    /// Every fault found, not only the first.
    pub fn compile(_files: &PolicyFiles) -> Result<Self, PolicyFaults> {
        unimplemented!()
    }

    /// Which policy this is.
    pub fn identity(&self) -> &PolicyIdentity {
        &self.identity
    }

    /// Its mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Facts of a record, merged into what was known before. Never fails: returns what it knows and what it could not learn.
    pub fn gather(&self, _record: &CallRecord, _before: &Facts) -> (Facts, Vec<Gap>) {
        unimplemented!()
    }

    /// Facts after a call-taker's answer (may set any value).
    ///
    /// # Errors
    /// Where fact or value is not in the vocabulary.
    pub fn answered(&self, _before: &Facts, _fact: &str, _value: &str) -> Result<Facts, FactError> {
        unimplemented!()
    }

    /// Facts after a hazard reported by a team (only raises).
    ///
    /// # Errors
    /// Where fact or value is not in the vocabulary, or the report would lower a risk.
    pub fn hazard(&self, _before: &Facts, _fact: &str, _value: &str) -> Result<Facts, FactError> {
        unimplemented!()
    }

    /// The decision on these facts at this instant.
    pub fn decide(&self, _facts: &Facts, _gaps: &[Gap], _at: Timestamp, _availability: &Availability) -> Decision {
        unimplemented!()
    }

    /// The steps that would offer the call to one named program (for an override by the call-taker).
    pub fn steps_to(&self, _program: &ProgramId, _at: Timestamp) -> Option<Vec<RouteStep>> {
        unimplemented!()
    }
}

impl Decision {
    /// A decision that says why the call could not be assessed. The ordinary route.
    pub fn not_assessed(why: &str, text: &str, policy: PolicyIdentity, gaps: Vec<Gap>) -> Self {
        Self {
            status: Status::NotAssessed { why: why.to_owned() },
            route: Route::Ordinary,
            rule: None,
            exclusions: Vec::new(),
            reasons: vec![Reason { code: why.to_owned(), text: text.to_owned(), cite: None }],
            options: Vec::new(),
            questions: Vec::new(),
            nearest_flip: None,
            steps: Vec::new(),
            automatic: false,
            follow_up_h: Vec::new(),
            gaps,
            policy,
        }
    }
}
