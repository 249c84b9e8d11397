//! The measuring instrument: what happened and how long it took, computed from the journal only.

mod course;
mod intervals;
mod outcomes;
mod table;
mod tables;

pub use intervals::{Distribution, Interval, Sample, Summary};
pub use outcomes::{Figures, ProgramFigures, Totals};
pub use table::Table;

#[cfg(test)]
mod tests;
