//! History: other people's past calls, kept in columns, and what a policy would have done with them.

mod columns;
mod import;
mod kept;
mod replay;
mod store;
#[cfg(test)]
mod tests;

pub use columns::Columns;
pub use import::{Rows, Tally};
pub use kept::{Kept, NotKept, kept};
pub use replay::{Asked, Assumption, Counts, Hour, Move, Moves, Outcome, Replay, ReplayError, Share, compare, replay};
pub use store::{Import, SourceFile, Store, StoreError, Taken};
