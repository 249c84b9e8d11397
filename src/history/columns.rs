//! The columns of a store in memory: a number for every distinct saying and place, so that each is understood once.

use super::kept::{Place, Profile};

/// All calls of a store, a column a field. Row `n` of every column is the same call.
#[derive(Debug, Default)]
pub struct Columns {
    /// Numbers of the calls in the store.
    pub(super) ids: Vec<i64>,
    /// When the call came in, seconds since 1970 UTC.
    pub(super) at: Vec<i64>,
    /// Place in `profiles`.
    pub(super) profile: Vec<u32>,
    /// Place in `places`.
    pub(super) place: Vec<u32>,
    /// Place in `dispositions` and one more; 0 where none is stated.
    pub(super) disposition: Vec<u32>,
    pub(super) profiles: Vec<Profile>,
    pub(super) places: Vec<Place>,
    pub(super) dispositions: Vec<String>,
}

impl Columns {
    /// Calls.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True where there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}
