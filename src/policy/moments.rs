//! Instants at which a policy behaves alike, so that a year of calls is decided once for each and not once a call.

use super::route::{DutyState, Moment};
use super::row_set::RowSet;
use super::{Availability, Policy};
use jiff::Timestamp;

/// Many instants by the few situations that they fall into: rows in effect, and who is on duty.
#[derive(Debug, Default)]
pub struct Moments {
    /// For each instant its situation.
    pub of: Vec<u32>,
    /// For each situation one instant of it.
    pub examples: Vec<Timestamp>,
}

type Situation = (RowSet, Vec<(DutyState, bool)>);

impl Policy {
    /// The situations that these instants (seconds since 1970 UTC) fall into, with every program staffed and free. Hours
    /// and dates of a policy are whole minutes, and so are the offsets of time zones since 1972.
    #[must_use]
    pub fn moments(&self, seconds: &[i64]) -> Moments {
        let available = Availability::default();
        let mut moments = Moments::default();
        let mut situations: Vec<Situation> = Vec::new();
        let mut known: std::collections::HashMap<i64, u32> = std::collections::HashMap::new();
        for second in seconds {
            let minute = second.div_euclid(60);
            let number = *known.entry(minute).or_insert_with(|| {
                let at = Timestamp::from_second(minute.saturating_mul(60)).unwrap_or(Timestamp::UNIX_EPOCH);
                let situation = situation(&self.compiled.moment(at, &available), self.compiled.programs.len());
                let place = situations.iter().position(|before| *before == situation).unwrap_or_else(|| {
                    situations.push(situation);
                    moments.examples.push(at);
                    situations.len() - 1
                });
                u32::try_from(place).unwrap_or(u32::MAX)
            });
            moments.of.push(number);
        }
        moments
    }
}

fn situation(moment: &Moment<'_>, programs: usize) -> Situation {
    let duties = (0..programs).filter_map(|program| moment.duty(program));
    (*moment.effective, duties.map(|duty| (duty.state, duty.accompanied)).collect())
}
