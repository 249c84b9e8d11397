//! The ordinary responders: police, fire and EMS units that are sent, drive, arrive and clear, seen in later CAD records.

use crate::callers::{Service, UnitState};
use crate::city::SimulatedCall;
use crate::clock::after;
use crate::habits::Spread;
use jiff::Timestamp;
use rand::rngs::StdRng;
use std::time::Duration;

/// Units on duty in the demo's evening, which is denser than life.
const UNITS: [(Service, &str, u16); 3] = [(Service::Police, "P", 14), (Service::Fire, "E", 5), (Service::Ems, "A", 8)];
/// Seconds from dispatch to en route, to on scene and to cleared: least, median, most. Medians near what the four
/// agencies of `../shared/data/calls` publish for mid priorities.
const TURNOUT_S: Spread = Spread([15.0, 60.0, 240.0]);
const TRAVEL_S: Spread = Spread([90.0, 420.0, 1800.0]);
const ON_SCENE_S: Spread = Spread([240.0, 1200.0, 5400.0]);
/// Seconds from the decision to dispatch where a unit is free, by priority `1` to `5`.
const QUEUE_S: [Spread; 5] = [
    Spread([5.0, 20.0, 60.0]),
    Spread([10.0, 45.0, 240.0]),
    Spread([20.0, 180.0, 900.0]),
    Spread([30.0, 420.0, 2400.0]),
    Spread([60.0, 900.0, 3600.0]),
];

/// The units of the city and when each is free again.
#[derive(Debug)]
pub struct Police {
    units: Vec<Unit>,
}

#[derive(Debug)]
struct Unit {
    service: Service,
    name: String,
    free_at: Timestamp,
}

/// One unit's work on one incident: each status and when it takes it, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The unit.
    pub unit: String,
    /// Its service.
    pub service: Service,
    /// Dispatched, en route, on scene, cleared.
    pub taken: [(UnitState, Timestamp); 4],
}

impl Default for Police {
    fn default() -> Self {
        Self::on_duty()
    }
}

impl Police {
    /// All units free.
    #[must_use]
    pub fn on_duty() -> Self {
        let units = UNITS.iter().flat_map(|(service, letter, number)| {
            (1..=*number).map(move |n| Unit {
                service: *service,
                name: format!("{letter}{}", 10 + n),
                free_at: Timestamp::MIN,
            })
        });
        Self { units: units.collect() }
    }

    /// Sends the first free unit of the service, or the first to be free; `None` where the service has none.
    pub fn respond(&mut self, service: Service, priority: &str, at: Timestamp, rng: &mut StdRng) -> Option<Response> {
        let unit =
            self.units.iter_mut().filter(|unit| unit.service == service).min_by_key(|unit| unit.free_at.max(at))?;
        let rank = priority.parse::<usize>().unwrap_or(3).clamp(1, 5);
        let queue = QUEUE_S.get(rank - 1).unwrap_or(&QUEUE_S[2]);
        let step = |from: Timestamp, spread: &Spread, rng: &mut StdRng| {
            after(from, Duration::from_secs_f64(spread.draw(rng).round()))
        };
        let dispatched = step(at, queue, rng).max(unit.free_at);
        let en_route = step(dispatched, &TURNOUT_S, rng);
        let on_scene = step(en_route, &TRAVEL_S, rng);
        let cleared = step(on_scene, &ON_SCENE_S, rng);
        unit.free_at = cleared;
        let taken = [
            (UnitState::Dispatched, dispatched),
            (UnitState::EnRoute, en_route),
            (UnitState::OnScene, on_scene),
            (UnitState::Cleared, cleared),
        ];
        Some(Response { unit: unit.name.clone(), service, taken })
    }
}

/// The service an ordinary call of this kind gets first.
#[must_use]
pub fn first_service(call: &SimulatedCall) -> Service {
    let acute = call.truth.get("medical").is_some_and(|value| value == "acute");
    match call.call_type.split('-').next() {
        Some("FD") => Service::Fire,
        Some("EM") => Service::Ems,
        _ if call.call_type == "CS-ENCF" => Service::Fire,
        _ if call.call_type == "SU-OD" || acute => Service::Ems,
        _ => Service::Police,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance;

    #[test]
    fn a_unit_takes_its_statuses_in_order_and_serves_one_call_at_a_time() {
        let mut police = Police::on_duty();
        let mut rng = chance::stream(1, "police", 0);
        let start: Timestamp = "2026-06-05T17:00:00-07:00".parse().unwrap();
        let mut busy_until = std::collections::BTreeMap::<String, Timestamp>::new();
        for number in 0..60 {
            let at = after(start, Duration::from_secs(number * 30));
            let response = police.respond(Service::Police, "2", at, &mut rng).unwrap();
            assert!(response.taken.is_sorted_by_key(|taken| taken.1));
            assert!(response.taken[0].1 >= at);
            if let Some(until) = busy_until.insert(response.unit, response.taken[3].1) {
                assert!(response.taken[0].1 >= until);
            }
        }
        assert_eq!(busy_until.len(), 14);
    }
}
