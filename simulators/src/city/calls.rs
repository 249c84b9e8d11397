//! The stream of simulated calls: Poisson arrivals by hour and month, each call whole, everything from one seed.

use super::people::{Words, point_within};
use super::{City, Kind, Teller};
use crate::chance;
use crate::clock::after;
use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;
use rand::RngExt;
use rand::rngs::StdRng;
use serde::Deserialize;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Share of calls that the caller cancels (rings back: all is well, they have gone).
const CANCEL_SHARE: f64 = 0.03;
/// Share of calls with a further, harmless note.
const FURTHER_NOTE_SHARE: f64 = 0.15;

/// Whom a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// A vulnerable person: the work the community programs were made for.
    Vulnerable,
    /// The centre's ordinary work around them.
    Ordinary,
}

/// One simulated call, whole: what the caller says, what is true, and what will be learnt later.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedCall {
    /// The CAD's number of the incident, unique within the stream (`20260605-00017`).
    pub number: String,
    /// Name of the kind in `city.toml`.
    pub kind: String,
    /// The CAD's call type code.
    pub call_type: String,
    /// Whom it is about.
    pub family: Family,
    /// The agency's own priority, `1` most urgent.
    pub priority: String,
    /// When the call reached the centre.
    pub arrives: Timestamp,
    /// Where.
    pub neighbourhood: String,
    /// Zone of the policy that the place lies in; `outside` for none.
    pub zone: String,
    /// WGS 84, degrees.
    pub latitude: f64,
    /// WGS 84, degrees.
    pub longitude: f64,
    /// House number.
    pub house_number: String,
    /// Street.
    pub street: String,
    /// The place in words.
    pub place: String,
    /// Given and family name, made up.
    pub name: (String, String),
    /// Call-back number, a number reserved for fiction; `None` where the caller has none.
    pub callback: Option<String>,
    /// The caller's language.
    pub language: String,
    /// The first note.
    pub narrative: String,
    /// What is true, by fact of the policy's vocabulary.
    pub truth: BTreeMap<String, String>,
    /// The part of it that the first record holds.
    pub known: BTreeMap<String, String>,
    /// Later records, in order of time.
    pub later: Vec<LaterRecord>,
    /// In a simulated year: an outreach team answered it first (always false for the ordinary family).
    pub answered_first_by_outreach: bool,
}

/// A later record of the same incident.
#[derive(Debug, Clone, PartialEq)]
pub struct LaterRecord {
    /// After the call came in.
    pub after: Duration,
    /// What it adds.
    pub what: Later,
}

/// What a later record adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Later {
    /// A further note that changes nothing.
    Note(String),
    /// Danger learnt.
    Danger(Danger),
    /// The caller cancels.
    Cancelled(String),
}

/// Danger learnt: the fact, its value, and the words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Danger {
    /// The fact.
    pub fact: String,
    /// Its value.
    pub value: String,
    /// What the record says.
    pub note: String,
}

/// How many calls of a kind come in an hour.
#[derive(Debug, Clone, Copy)]
enum Rates {
    /// As in `per_year`, spread by the kind's curves over the days of the year.
    Life,
    /// A fixed number an hour by family; the kinds share it by their weight in that hour and month.
    Dense { vulnerable: f64, ordinary: f64 },
}

/// A stream of calls in order of time. Deterministic: the same city, seed, span and rates give the same calls.
#[derive(Debug)]
pub struct Evening {
    city: City,
    zone: TimeZone,
    rates: Rates,
    hour: Timestamp,
    until: Timestamp,
    /// Sum over the year's days of each month curve, so that a kind's year adds up whatever the lengths of months.
    days_by_curve: BTreeMap<String, f64>,
    arrivals: StdRng,
    seed: u64,
    sequence: u64,
    due: VecDeque<(Timestamp, usize)>,
}

impl City {
    /// The evening that `city.toml` names, `rate` times as dense.
    #[must_use]
    pub fn evening(&self, seed: u64, rate: f64) -> Evening {
        let plan = &self.evening;
        let zone = self.zone();
        let instant = |local: jiff::civil::DateTime| zone.to_ambiguous_timestamp(local).compatible().ok();
        let from = instant(plan.from).unwrap_or(Timestamp::UNIX_EPOCH);
        let until = instant(plan.to).unwrap_or(from);
        self.evening_between(from, until, seed, rate)
    }

    /// The same mix between two instants, `rate` times as dense as `city.toml` says.
    #[must_use]
    pub fn evening_between(&self, from: Timestamp, until: Timestamp, seed: u64, rate: f64) -> Evening {
        let rate = if rate.is_finite() { rate.max(0.0) } else { 1.0 };
        let rates = Rates::Dense {
            vulnerable: self.evening.vulnerable_per_hour * rate,
            ordinary: self.evening.ordinary_per_hour * rate,
        };
        self.stream(from, until, rates, seed)
    }

    /// A whole civil year, kinds, hours and months as in life.
    #[must_use]
    pub fn year(&self, year: i16, seed: u64) -> Evening {
        let zone = self.zone();
        let start = |year: i16| {
            zone.to_ambiguous_timestamp(date(year, 1, 1).at(0, 0, 0, 0)).compatible().unwrap_or(Timestamp::UNIX_EPOCH)
        };
        self.stream(start(year), start(year.saturating_add(1)), Rates::Life, seed)
    }

    fn stream(&self, from: Timestamp, until: Timestamp, rates: Rates, seed: u64) -> Evening {
        let zone = self.zone();
        let year = from.to_zoned(zone.clone()).date().year();
        let days_by_curve = self
            .months
            .iter()
            .map(|(name, weights)| {
                let days = (1..=12)
                    .zip(weights)
                    .map(|(month, weight)| f64::from(date(year, month, 1).days_in_month()) * weight);
                (name.clone(), days.sum())
            })
            .collect();
        Evening {
            city: self.clone(),
            zone,
            rates,
            hour: from,
            until,
            days_by_curve,
            arrivals: chance::stream(seed, "arrivals", 0),
            seed,
            sequence: 0,
            due: VecDeque::new(),
        }
    }
}

impl Iterator for Evening {
    type Item = SimulatedCall;

    fn next(&mut self) -> Option<SimulatedCall> {
        while self.due.is_empty() {
            if self.hour >= self.until {
                return None;
            }
            self.fill_hour();
        }
        let (at, kind) = self.due.pop_front()?;
        self.sequence += 1;
        let kind = self.city.kinds.get(kind)?;
        Some(self.call(kind, at))
    }
}

impl Evening {
    /// Draws the arrivals of the next hour (or what is left before the end), in order of time.
    fn fill_hour(&mut self) {
        let end = after(self.hour, Duration::from_secs(3600)).min(self.until);
        let length_h = end.duration_since(self.hour).as_secs_f64() / 3600.0;
        let rates = self.rates_at(self.hour);
        let total: f64 = rates.iter().map(|rate| rate.1).sum();
        if total > 0.0 {
            let mut at_h = chance::exponential(&mut self.arrivals, 1.0 / total);
            while at_h < length_h {
                if let Some((kind, _)) = chance::weighted(&mut self.arrivals, &rates, |rate| rate.1) {
                    // Whole seconds, as CADs write them.
                    let seconds = (at_h * 3600.0).floor();
                    self.due.push_back((after(self.hour, Duration::from_secs_f64(seconds)), *kind));
                }
                at_h += chance::exponential(&mut self.arrivals, 1.0 / total);
            }
        }
        self.hour = end;
    }

    /// Calls an hour of each kind (by index) at the instant's local hour and month.
    fn rates_at(&self, at: Timestamp) -> Vec<(usize, f64)> {
        let local = at.to_zoned(self.zone.clone());
        let hour = usize::try_from(local.hour()).unwrap_or(0);
        let month = usize::try_from(local.month()).unwrap_or(1).saturating_sub(1);
        let weights: Vec<f64> = self.city.kinds.iter().map(|kind| self.per_hour(kind, hour, month)).collect();
        let share = |family: Family| -> f64 {
            let of_family = self.city.kinds.iter().zip(&weights).filter(|(kind, _)| kind.family == family);
            of_family.map(|(_, weight)| weight).sum()
        };
        let scale = match self.rates {
            Rates::Life => (1.0, 1.0),
            Rates::Dense { vulnerable, ordinary } => {
                let per = |wanted: f64, have: f64| if have > 0.0 { wanted / have } else { 0.0 };
                (per(vulnerable, share(Family::Vulnerable)), per(ordinary, share(Family::Ordinary)))
            }
        };
        let scaled = |kind: &Kind, weight: f64| match kind.family {
            Family::Vulnerable => weight * scale.0,
            Family::Ordinary => weight * scale.1,
        };
        self.city.kinds.iter().zip(&weights).map(|(kind, weight)| scaled(kind, *weight)).enumerate().collect()
    }

    /// Calls of the kind in one hour of life.
    fn per_hour(&self, kind: &Kind, hour: usize, month: usize) -> f64 {
        let weight = |curves: &BTreeMap<String, Vec<f64>>, name: &str, at: usize| {
            curves.get(name).and_then(|curve| curve.get(at)).copied().unwrap_or(0.0)
        };
        let days = self.days_by_curve.get(&kind.months).copied().unwrap_or(365.0);
        let in_month = weight(&self.city.months, &kind.months, month);
        let in_hour = weight(&self.city.hours, &kind.hours, hour) / 24.0;
        if days > 0.0 { kind.per_year * in_month / days * in_hour } else { 0.0 }
    }

    /// Draws everything about one call from a stream of its own, so that no call's draws move another's.
    fn call(&self, kind: &Kind, arrives: Timestamp) -> SimulatedCall {
        let city = &self.city;
        let mut rng = chance::stream(self.seed, "call", self.sequence);
        let rng = &mut rng;
        let truth = city.draw_truth(kind, rng);
        let known = city.draw_known(&truth, rng);
        let neighbourhood = city.draw_neighbourhood(kind.family, rng);
        let (latitude, longitude) = neighbourhood.map_or((0.0, 0.0), |one| point_within(one, rng));
        let (house_number, street) = city.draw_address(rng);
        let place = city.draw_place(&truth, rng);
        let name = city.draw_name(rng);
        let number = city.draw_callback(rng);
        let callback = (truth.get("callback").map(String::as_str) != Some("none")).then_some(number);
        let language = city.draw_language(rng);
        let person = format!("{} {}", name.0, name.1);
        let words = Words {
            place: &place,
            street: &street,
            number: &house_number,
            neighbourhood: neighbourhood.map(|one| one.name.as_str()).unwrap_or_default(),
            person: &person,
            age: truth.get("age").map(String::as_str).unwrap_or_default(),
        };
        let narrative = city.draw_narrative(kind, &language, &words, rng);
        let later = later_records(city, kind, rng);
        let outreach = chance::happens(rng, city.totals.first_answered_by_outreach_share);
        let day = arrives.to_zoned(self.zone.clone()).strftime("%Y%m%d").to_string();
        SimulatedCall {
            number: format!("{day}-{:05}", self.sequence),
            kind: kind.id.clone(),
            call_type: kind.call_type.clone(),
            family: kind.family,
            priority: kind.priority.clone(),
            arrives,
            neighbourhood: words.neighbourhood.to_owned(),
            zone: neighbourhood.map(|one| one.zone.clone()).unwrap_or_default(),
            latitude,
            longitude,
            house_number,
            street,
            place,
            name,
            callback,
            language,
            narrative,
            truth,
            known,
            later,
            answered_first_by_outreach: outreach && kind.family == Family::Vulnerable,
        }
    }
}

fn later_records(city: &City, kind: &Kind, rng: &mut StdRng) -> Vec<LaterRecord> {
    let within = |rng: &mut StdRng, [least, most]: [f64; 2]| {
        let seconds = if least < most { rng.random_range(least..most) } else { least };
        Duration::from_secs_f64(seconds.max(0.0).round())
    };
    let mut later = Vec::new();
    for one in city.escalations.iter().filter(|one| one.by == Teller::Caller && one.families.contains(&kind.family)) {
        if chance::happens(rng, one.share) {
            let danger = Danger { fact: one.fact.clone(), value: one.value.clone(), note: one.note.clone() };
            later.push(LaterRecord { after: within(rng, one.after_s), what: Later::Danger(danger) });
        }
    }
    if chance::happens(rng, FURTHER_NOTE_SHARE) {
        let notes =
            ["Second caller, same thing.", "Caller will wait nearby.", "Caller gives a side door as the entrance."];
        let note = chance::one_of(rng, &notes).copied().unwrap_or_default();
        later.push(LaterRecord { after: within(rng, [30.0, 400.0]), what: Later::Note(note.to_owned()) });
    }
    if chance::happens(rng, CANCEL_SHARE) {
        let note = "Caller back: person has left, nothing further needed.".to_owned();
        later.push(LaterRecord { after: within(rng, [60.0, 900.0]), what: Later::Cancelled(note) });
    }
    later.sort_by_key(|one| one.after);
    later
}
