//! The simulated city as data: who calls, about what, where and when, what is true, and how its teams answer.

mod calls;
mod people;
mod shifts;

pub use calls::{Danger, Evening, Family, Later, LaterRecord, SimulatedCall};
pub use shifts::WorkedShift;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The year whose figures the city published (`field/seeds.md`, Kamloops).
pub const PUBLISHED_YEAR: i16 = 2025;

/// A city, read from its `city.toml` and `names.toml`. Keys this crate does not use are left to other readers.
#[derive(Debug, Clone, Deserialize)]
pub struct City {
    /// Name, zone, numbers.
    pub city: CityFacts,
    /// What a simulated year must add up to.
    pub totals: Totals,
    /// The evening that the demo plays.
    pub evening: EveningPlan,
    /// Relative weight of each hour of the day, by name of the curve; each sums to 24.
    pub hours: BTreeMap<String, Vec<f64>>,
    /// Relative weight of each month, by name of the curve; each sums to 12.
    pub months: BTreeMap<String, Vec<f64>>,
    /// Where calls come from.
    #[serde(rename = "neighbourhood")]
    pub neighbourhoods: Vec<Neighbourhood>,
    /// Invented streets.
    pub streets: Streets,
    /// Words for a place, by setting.
    pub places: BTreeMap<String, Vec<String>>,
    /// Words that fill narratives.
    pub fill: Fill,
    /// What is true about a call: set, fact, value, weight.
    pub truth: BTreeMap<String, TruthSet>,
    /// How much of it is known when the record first arrives, and what call-takers do about the rest.
    pub screening: Screening,
    /// What is learnt later.
    #[serde(rename = "escalation")]
    pub escalations: Vec<Escalation>,
    /// How each program answers and works.
    #[serde(rename = "team")]
    pub teams: Vec<TeamHabits>,
    /// Kinds of call.
    #[serde(rename = "kind")]
    pub kinds: Vec<Kind>,
    /// Made-up names.
    #[serde(default)]
    pub names: Names,
}

/// Fact, then value, then weight.
pub type TruthSet = BTreeMap<String, BTreeMap<String, f64>>;

/// Name, zone, numbers.
#[derive(Debug, Clone, Deserialize)]
pub struct CityFacts {
    /// `kamloops`.
    pub id: String,
    /// For people.
    pub title: String,
    /// IANA time zone.
    pub time_zone: String,
    /// Province or state, two letters.
    pub province: String,
    /// ISO 3166 country.
    pub country: String,
    /// An invented postal code.
    pub postal_code: String,
    /// EIDO agency id of the simulated centre.
    pub agency: String,
    /// The caller's language, by weight.
    pub languages: BTreeMap<String, f64>,
    /// Call-back numbers: this, then four digits.
    pub callback_prefix: String,
    /// First of the four digits' range.
    pub callback_from: u16,
    /// Last of it.
    pub callback_to: u16,
}

/// What a simulated year must add up to, within `tolerance` (published figures; the city's README has the sources).
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "the names are those of city.toml, which explains each")]
pub struct Totals {
    pub tolerance: f64,
    pub vulnerable_person_files: f64,
    pub first_answered_by_outreach_share: f64,
    pub shifts: u32,
    pub interactions: f64,
    pub interactions_per_full_shift: f64,
    pub full_shift_share: f64,
    pub interactions_per_short_shift: f64,
    pub interactions_per_shift_peak: u32,
    pub ordinary_calls: f64,
}

/// The evening that the demo plays: local times, and calls an hour by family.
#[derive(Debug, Clone, Deserialize)]
pub struct EveningPlan {
    /// Local start.
    pub from: DateTime,
    /// Local end.
    pub to: DateTime,
    /// Calls about vulnerable people, an hour.
    pub vulnerable_per_hour: f64,
    /// All other calls, an hour.
    pub ordinary_per_hour: f64,
}

/// Where calls come from: a circle, and its weight for each family of calls.
#[derive(Debug, Clone, Deserialize)]
pub struct Neighbourhood {
    /// Name.
    pub name: String,
    /// Zone of the policy's `zones.geojson` that holds the circle; `outside` for none.
    pub zone: String,
    /// WGS 84 latitude of the centre, degrees.
    pub lat: f64,
    /// WGS 84 longitude of the centre, degrees.
    pub lon: f64,
    /// Radius, metres.
    pub radius_m: f64,
    /// Weight for calls about vulnerable people.
    pub vulnerable: f64,
    /// Weight for all other calls.
    pub ordinary: f64,
}

/// Invented addresses: a number in `from … to` on one of the streets.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "said in the sentence above")]
pub struct Streets {
    pub from: u32,
    pub to: u32,
    pub names: Vec<String>,
}

/// Words that fill `{clothing}`, `{minutes}`, `{count}` and `{belongings}`.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "said in the sentence above")]
pub struct Fill {
    pub clothing: Vec<String>,
    pub minutes: Vec<u32>,
    pub count: Vec<String>,
    pub belongings: Vec<String>,
}

/// What is known at first, and what call-takers do about the rest.
#[derive(Debug, Clone, Deserialize)]
pub struct Screening {
    /// Share of records that come with every fact of `script` answered.
    pub complete: f64,
    /// The facts of a whole screening.
    pub script: Vec<String>,
    /// In the other records: the share in which each fact of the screening is known.
    pub known_otherwise: BTreeMap<String, f64>,
    /// The share in which each further fact is known, drawn for every record.
    pub known_always: BTreeMap<String, f64>,
    /// Share of `needs-answer` calls in which the call-taker asks.
    pub asked_by_call_taker: f64,
    /// Share of questions that the caller cannot answer.
    pub caller_does_not_know: f64,
    /// Seconds from question to answer, least and most.
    pub answer_delay_s: [f64; 2],
    /// Share of recommended programs that the call-taker overrides to the ordinary route.
    pub override_share: f64,
    /// With one of these reasons.
    pub override_reasons: Vec<String>,
}

/// Something learnt after the hand-over.
#[derive(Debug, Clone, Deserialize)]
pub struct Escalation {
    /// Per call of the families.
    pub share: f64,
    /// Families it happens in.
    pub families: Vec<Family>,
    /// The fact.
    pub fact: String,
    /// Its value.
    pub value: String,
    /// Seconds, least and most: after the call came in (caller), or after arrival (team).
    pub after_s: [f64; 2],
    /// Who tells.
    pub by: Teller,
    /// What the record says then.
    pub note: String,
}

/// Who tells of an escalation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Teller {
    /// A team on scene, as a hazard.
    Team,
    /// A caller, as a later record.
    Caller,
}

/// How a program answers an offer and works a call. Times in seconds: least, median, most.
#[derive(Debug, Clone, Deserialize)]
pub struct TeamHabits {
    /// Program id of the policy.
    pub program: String,
    /// Shares of `accepted`, `declined`, `timed-out`, `unreachable`.
    pub answer: BTreeMap<String, f64>,
    /// From the offer to the answer.
    pub answer_s: [f64; 3],
    /// Decline causes by weight.
    pub decline_causes: BTreeMap<String, f64>,
    /// From acceptance to en route.
    pub turnout_s: [f64; 3],
    /// From en route to on scene.
    pub travel_s: [f64; 3],
    /// From on scene to cleared.
    pub on_scene_s: [f64; 3],
    /// Share of calls with a back-up request.
    pub backup_share: f64,
    /// Dispositions by weight.
    pub dispositions: BTreeMap<String, f64>,
}

/// A kind of call.
#[derive(Debug, Clone, Deserialize)]
pub struct Kind {
    /// Name of the kind.
    pub id: String,
    /// The CAD's call type code.
    pub call_type: String,
    /// About vulnerable people, or not.
    pub family: Family,
    /// Calls a year.
    pub per_year: f64,
    /// Name of the hour curve.
    pub hours: String,
    /// Name of the month curve.
    pub months: String,
    /// The agency's own priority, `1` most urgent.
    pub priority: String,
    /// Name of the truth set.
    pub truth: String,
    /// Facts that differ from the set.
    #[serde(default)]
    pub also: TruthSet,
    /// Narratives with `{…}` to fill.
    pub narratives: Vec<String>,
    /// The same in French; English is used where there is none.
    #[serde(default)]
    pub narratives_fr: Vec<String>,
}

/// Made-up names.
#[derive(Debug, Clone, Default, Deserialize)]
#[expect(missing_docs, reason = "said in the sentence above")]
pub struct Names {
    pub given: Vec<String>,
    pub family: Vec<String>,
}

/// Why a city cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum CityError {
    /// The file is not of the shape.
    #[error("{file}: {error}")]
    Shape {
        /// Which.
        file: &'static str,
        /// Where and what.
        error: Box<toml::de::Error>,
    },
    /// No city of this name is built in.
    #[error("no city is named `{0}`: the built-in one is `kamloops`")]
    NoSuchCity(String),
    /// Something named is not there, or a curve has the wrong length.
    #[error("{file}: {place}: {problem}")]
    Inconsistent {
        /// Which.
        file: &'static str,
        /// Where.
        place: String,
        /// What.
        problem: &'static str,
    },
}

const CITY_FILE: &str = "city.toml";
const NAMES_FILE: &str = "names.toml";

impl City {
    /// A built-in city by name.
    ///
    /// # Errors
    /// Where there is none of this name.
    pub fn named(name: &str) -> Result<Self, CityError> {
        match name {
            "kamloops" => Self::kamloops(),
            _ => Err(CityError::NoSuchCity(name.to_owned())),
        }
    }

    /// The built-in Kamloops.
    ///
    /// # Errors
    /// Where its files are not of the shape; a test holds that they are.
    pub fn kamloops() -> Result<Self, CityError> {
        Self::read(include_str!("../../cities/kamloops/city.toml"), include_str!("../../cities/kamloops/names.toml"))
    }

    /// Reads a city from the text of its two files and checks that everything it names is there.
    ///
    /// # Errors
    /// The first fault found, with file and place.
    pub fn read(city: &str, names: &str) -> Result<Self, CityError> {
        let shape = |file| move |error| CityError::Shape { file, error: Box::new(error) };
        let mut city: Self = toml::from_str(city).map_err(shape(CITY_FILE))?;
        city.names = toml::from_str(names).map_err(shape(NAMES_FILE))?;
        city.check()?;
        Ok(city)
    }

    /// The city's time zone.
    #[must_use]
    pub fn zone(&self) -> TimeZone {
        // Checked when the city was read.
        TimeZone::get(&self.city.time_zone).unwrap_or(TimeZone::UTC)
    }

    /// How a program answers and works, where the city knows it.
    #[must_use]
    pub fn team(&self, program: &str) -> Option<&TeamHabits> {
        self.teams.iter().find(|team| team.program == program)
    }

    fn check(&self) -> Result<(), CityError> {
        let wrong = |place: String, problem| Err(CityError::Inconsistent { file: CITY_FILE, place, problem });
        if TimeZone::get(&self.city.time_zone).is_err() {
            return wrong("city.time_zone".to_owned(), "no such time zone");
        }
        if self.city.callback_from > self.city.callback_to || self.streets.from > self.streets.to {
            return wrong("city.callback_from, streets.from".to_owned(), "must not be above the end of the range");
        }
        for (curves, length, name) in [(&self.hours, 24, "hours"), (&self.months, 12, "months")] {
            if let Some((curve, _)) = curves.iter().find(|(_, weights)| weights.len() != length) {
                return wrong(format!("{name}.{curve}"), "needs one weight for each hour or month");
            }
        }
        for kind in &self.kinds {
            let known = self.hours.contains_key(&kind.hours)
                && self.months.contains_key(&kind.months)
                && self.truth.contains_key(&kind.truth);
            if !known || kind.narratives.is_empty() {
                return wrong(
                    format!("kind `{}`", kind.id),
                    "names an hour curve, month curve or truth set that is not there, or has no narrative",
                );
            }
        }
        Ok(())
    }
}

/// A simulated year of the built-in Kamloops, call by call in order of time, with the surge of May to October.
///
/// # Errors
/// As [`City::kamloops`].
pub fn year(seed: u64) -> Result<impl Iterator<Item = SimulatedCall>, CityError> {
    Ok(City::kamloops()?.year(PUBLISHED_YEAR, seed))
}

#[cfg(test)]
mod tests;
