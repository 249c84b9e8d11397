//! What one call is about: the truth of it, how much is known at first, the place, the person and the words.

use super::{City, Family, Kind, Neighbourhood, TruthSet};
use crate::chance;
use rand::RngExt;
use rand::rngs::StdRng;
use std::collections::BTreeMap;

/// Metres in a degree of latitude.
const METRES_PER_DEGREE: f64 = 111_320.0;

/// Fact and value.
pub(super) type FactValues = BTreeMap<String, String>;

impl City {
    /// Draws what is true about a call of the kind.
    pub(super) fn draw_truth(&self, kind: &Kind, rng: &mut StdRng) -> FactValues {
        let empty = TruthSet::new();
        let set = self.truth.get(&kind.truth).unwrap_or(&empty);
        let mut truth = FactValues::new();
        for (fact, weights) in set.iter().filter(|(fact, _)| !kind.also.contains_key(*fact)).chain(&kind.also) {
            let choices: Vec<(&String, &f64)> = weights.iter().collect();
            if let Some((value, _)) = chance::weighted(rng, &choices, |choice| *choice.1) {
                let value = if fact == "age" { age_within(value, rng) } else { (*value).clone() };
                truth.insert(fact.clone(), value);
            }
        }
        truth
    }

    /// Draws which of it the first record holds.
    pub(super) fn draw_known(&self, truth: &FactValues, rng: &mut StdRng) -> FactValues {
        let screening = &self.screening;
        let complete = chance::happens(rng, screening.complete);
        let mut known = |fact: &String| {
            let of = |shares: &BTreeMap<String, f64>| shares.get(fact).copied();
            if complete && screening.script.contains(fact) {
                return true;
            }
            let share = of(&screening.known_always).or_else(|| of(&screening.known_otherwise)).unwrap_or(0.0);
            chance::happens(rng, share)
        };
        truth.iter().filter(|(fact, _)| known(fact)).map(|(fact, value)| (fact.clone(), value.clone())).collect()
    }

    /// A neighbourhood by its weight for the family.
    pub(super) fn draw_neighbourhood(&self, family: Family, rng: &mut StdRng) -> Option<&Neighbourhood> {
        chance::weighted(rng, &self.neighbourhoods, |one| match family {
            Family::Vulnerable => one.vulnerable,
            Family::Ordinary => one.ordinary,
        })
    }

    /// A made-up name.
    pub(super) fn draw_name(&self, rng: &mut StdRng) -> (String, String) {
        let given = chance::one_of(rng, &self.names.given).cloned().unwrap_or_default();
        let family = chance::one_of(rng, &self.names.family).cloned().unwrap_or_default();
        (given, family)
    }

    /// A number reserved for fiction.
    pub(super) fn draw_callback(&self, rng: &mut StdRng) -> String {
        let number = rng.random_range(self.city.callback_from..=self.city.callback_to);
        format!("{}{number:04}", self.city.callback_prefix)
    }

    /// A language by weight.
    pub(super) fn draw_language(&self, rng: &mut StdRng) -> String {
        let choices: Vec<(&String, &f64)> = self.city.languages.iter().collect();
        chance::weighted(rng, &choices, |choice| *choice.1).map_or_else(|| "en".to_owned(), |choice| choice.0.clone())
    }

    /// A place that fits the setting, in words.
    pub(super) fn draw_place(&self, truth: &FactValues, rng: &mut StdRng) -> String {
        let setting = truth.get("setting").map_or("outdoors", String::as_str);
        let places = self.places.get(setting).map(Vec::as_slice).unwrap_or_default();
        chance::one_of(rng, places).cloned().unwrap_or_default()
    }

    /// A narrative of the kind in the language, filled.
    pub(super) fn draw_narrative(&self, kind: &Kind, language: &str, words: &Words<'_>, rng: &mut StdRng) -> String {
        let french = language == "fr" && !kind.narratives_fr.is_empty();
        let narratives = if french { &kind.narratives_fr } else { &kind.narratives };
        let template = chance::one_of(rng, narratives).map(String::as_str).unwrap_or_default();
        let mut fill = |choices: &[String]| chance::one_of(rng, choices).cloned().unwrap_or_default();
        let clothing = fill(&self.fill.clothing);
        let count = fill(&self.fill.count);
        let belongings = fill(&self.fill.belongings);
        let minutes = chance::one_of(rng, &self.fill.minutes).map(u32::to_string).unwrap_or_default();
        [
            ("{place}", words.place),
            ("{street}", words.street),
            ("{number}", words.number),
            ("{neighbourhood}", words.neighbourhood),
            ("{person}", words.person),
            ("{age}", words.age),
            ("{clothing}", &clothing),
            ("{minutes}", &minutes),
            ("{count}", &count),
            ("{belongings}", &belongings),
        ]
        .into_iter()
        .fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    /// A street and a number on it.
    pub(super) fn draw_address(&self, rng: &mut StdRng) -> (String, String) {
        let street = chance::one_of(rng, &self.streets.names).cloned().unwrap_or_default();
        (rng.random_range(self.streets.from..=self.streets.to).to_string(), street)
    }
}

/// What fills a narrative besides the city's own words.
pub(super) struct Words<'a> {
    pub(super) place: &'a str,
    pub(super) street: &'a str,
    pub(super) number: &'a str,
    pub(super) neighbourhood: &'a str,
    pub(super) person: &'a str,
    pub(super) age: &'a str,
}

/// A point drawn evenly in the neighbourhood's circle: latitude and longitude, degrees.
pub(super) fn point_within(neighbourhood: &Neighbourhood, rng: &mut StdRng) -> (f64, f64) {
    let distance = neighbourhood.radius_m * rng.random::<f64>().sqrt();
    let bearing = rng.random::<f64>() * std::f64::consts::TAU;
    let latitude = neighbourhood.lat + distance * bearing.cos() / METRES_PER_DEGREE;
    let longitude =
        neighbourhood.lon + distance * bearing.sin() / (METRES_PER_DEGREE * neighbourhood.lat.to_radians().cos());
    // Six decimals are a tenth of a metre, as CADs write them.
    ((latitude * 1e6).round() / 1e6, (longitude * 1e6).round() / 1e6)
}

/// A whole number of years within `from-to`; the text itself where it is not a range.
fn age_within(range: &str, rng: &mut StdRng) -> String {
    let ends = range.split_once('-').and_then(|(from, to)| Some((from.parse::<u16>().ok()?, to.parse::<u16>().ok()?)));
    match ends {
        Some((from, to)) if from <= to => rng.random_range(from..=to).to_string(),
        _ => range.to_owned(),
    }
}
