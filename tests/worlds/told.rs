//! What an entry is judged by beside the journal: when it was written, and what records say.

use crate::plan::Record;
use std::collections::{BTreeMap, BTreeSet};

/// When something was written: by the world's own clock, and in which batch.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub ms: u64,
    pub batch: usize,
}

/// What the outside knows beside the journal.
pub struct Told<'a> {
    /// What each record says, by its digest.
    pub records: &'a BTreeMap<String, Record>,
    /// Policies that were ever in force by the journal or at a start.
    pub digests: &'a BTreeSet<String>,
    pub now_ms: u64,
    /// Something was heard while no policy was in force: that is doubt, and a danger like any other.
    pub unread: bool,
    /// The batch that the entry is of.
    pub batch: usize,
}

impl Told<'_> {
    pub fn now(&self) -> Moment {
        Moment { ms: self.now_ms, batch: self.batch }
    }
}
