//! The outreach teams' year as a shift book: which shift, in which zone, with how many interactions.

use super::City;
use crate::chance;
use jiff::civil::{Date, date};
use rand::RngExt;
use rand::rngs::StdRng;

/// One shift worked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkedShift {
    /// The day it began.
    pub day: Date,
    /// Zone patrolled.
    pub zone: String,
    /// A whole shift; a short tour otherwise.
    pub full: bool,
    /// People spoken with or helped, files and patrol contacts alike.
    pub interactions: u32,
}

impl City {
    /// The shift book of a civil year, in order of day. The year adds up to the published totals within their tolerance.
    ///
    /// Every zone has a shift on every day; the rest are further tours, drawn by the surge. Interactions of a full shift
    /// vary around the published mean by the month's surge, so that peaks above the published one come in summer.
    #[must_use]
    pub fn shift_book(&self, year: i16, seed: u64) -> Vec<WorkedShift> {
        let mut rng = chance::stream(seed, "shifts", 0);
        let zones = self.outreach_zones();
        let days: Vec<Date> =
            date(year, 1, 1).series(jiff::Span::new().days(1)).take_while(|day| day.year() == year).collect();
        let mut begun: Vec<(Date, String)> =
            days.iter().flat_map(|day| zones.iter().map(|zone| (*day, zone.clone()))).collect();
        let wanted = usize::try_from(self.totals.shifts).unwrap_or(0);
        while begun.len() < wanted {
            let day = chance::weighted(&mut rng, &days, |day| self.surge(*day).powi(3)).copied();
            let zone = chance::one_of(&mut rng, &zones).cloned();
            let (Some(day), Some(zone)) = (day, zone) else { break };
            begun.push((day, zone));
        }
        begun.truncate(wanted);
        begun.sort();
        begun.into_iter().map(|(day, zone)| self.work(day, zone, &mut rng)).collect()
    }

    fn work(&self, day: Date, zone: String, rng: &mut StdRng) -> WorkedShift {
        let full = chance::happens(rng, self.totals.full_shift_share);
        let mean = if full {
            self.totals.interactions_per_full_shift * self.surge(day) / self.mean_surge(day.year())
        } else {
            self.totals.interactions_per_short_shift
        };
        WorkedShift { day, zone, full, interactions: poisson(rng, mean) }
    }

    fn surge(&self, day: Date) -> f64 {
        let month = usize::try_from(day.month()).unwrap_or(1).saturating_sub(1);
        self.months.get("surge").and_then(|curve| curve.get(month)).copied().unwrap_or(1.0)
    }

    /// Mean surge over the days of the year.
    fn mean_surge(&self, year: i16) -> f64 {
        let firsts = (1..=12).map(|month| date(year, month, 1));
        let (days, weighted) = firsts.fold((0.0, 0.0), |(days, sum), first| {
            let length = f64::from(first.days_in_month());
            (days + length, sum + length * self.surge(first))
        });
        if weighted > 0.0 { weighted / days } else { 1.0 }
    }

    /// The zones that neighbourhoods lie in, each once.
    fn outreach_zones(&self) -> Vec<String> {
        let zones = self.neighbourhoods.iter().map(|one| one.zone.clone()).filter(|zone| zone != "outside");
        zones.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }
}

/// A Poisson number by counting unit-rate arrivals; for means of up to some hundreds.
fn poisson(rng: &mut StdRng, mean: f64) -> u32 {
    let mut number = 0;
    let mut at = -(1.0 - rng.random::<f64>()).ln();
    while at < mean {
        number += 1;
        at -= (1.0 - rng.random::<f64>()).ln();
    }
    number
}
