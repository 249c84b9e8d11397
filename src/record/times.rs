//! The time points of an incident and their names.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A named instant in the life of a call.
///
/// Names follow NENA-STA-020.1-2020 and NFPA 1225 (received, answered, dispatched, en route, on scene),
/// NEMSIS 3.5 (with person) and this product's own hand-over (assessed, offered, accepted).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimePoint {
    /// The call reached the centre.
    Received,
    /// A call-taker answered.
    Answered,
    /// The record was created in the CAD.
    Entered,
    /// The adapter's first decision was durable.
    Assessed,
    /// An offer to a team was durable.
    Offered,
    /// A team's acceptance was durable.
    Accepted,
    /// A unit was assigned or dispatched.
    Dispatched,
    /// A unit or team is on its way.
    EnRoute,
    /// A unit or team has arrived.
    OnScene,
    /// A unit or team is with the person.
    WithPerson,
    /// A unit or team is done.
    Cleared,
    /// The incident is closed.
    Closed,
}

/// Time points a record states; one instant per point, the earliest where several are stated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TimePoints(BTreeMap<TimePoint, Timestamp>);

impl TimePoints {
    /// The instant of a point, if stated.
    #[must_use]
    pub fn get(&self, point: TimePoint) -> Option<Timestamp> {
        self.0.get(&point).copied()
    }

    /// States an instant; the earliest statement of a point stands.
    pub fn state(&mut self, point: TimePoint, at: Timestamp) {
        let entry = self.0.entry(point).or_insert(at);
        *entry = (*entry).min(at);
    }

    /// All stated points in story order.
    pub fn iter(&self) -> impl Iterator<Item = (TimePoint, Timestamp)> + '_ {
        self.0.iter().map(|(point, at)| (*point, *at))
    }
}
