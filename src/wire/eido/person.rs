//! A person as NIEM objects: name and age, whatever prefix, case or nesting the sender's tool writes.

use super::read::{Read, Reading, next_key, scalars, value};
use super::shapes::{Leaves, Skipped};
use jiff::civil::Date;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// The oldest age that is believed, years.
const AGE_YEARS_MAX: f64 = 125.0;

/// What is read of an `nc:Person`.
#[derive(Debug, Default)]
pub(super) struct NiemPerson<'a> {
    /// Name in one line.
    pub(super) name: Option<String>,
    /// Age in whole years.
    pub(super) age_years: Option<u16>,
    /// Date of birth.
    pub(super) born: Option<Date>,
    input: PhantomData<&'a str>,
}

impl<'de> Read<'de> for NiemPerson<'de> {
    fn read<D: Deserializer<'de>>(reading: &mut Reading, from: D) -> Result<Self, D::Error> {
        from.deserialize_any(PersonVisitor(reading))
    }
}

struct PersonVisitor<'r>(&'r mut Reading);

impl<'de> Visitor<'de> for PersonVisitor<'_> {
    type Value = NiemPerson<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a NIEM person")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        self.0.enter()?;
        let mut person = NiemPerson::default();
        while let Some(key) = next_key(self.0, &mut map)? {
            let key = plain(&key);
            if key.contains("personname") || key == "name" {
                let leaves: Leaves = value(self.0, &mut map)?;
                person.name = person.name.or_else(|| name(&leaves));
            } else if key.contains("agemeasure") || key == "age" || key == "personage" {
                let leaves: Leaves = value(self.0, &mut map)?;
                let age = age(&leaves);
                if age.is_none() && !leaves.0.is_empty() {
                    self.0.repair("age-unreadable");
                }
                person.age_years = person.age_years.or(age);
            } else if key.contains("birthdate") {
                let leaves: Leaves = value(self.0, &mut map)?;
                person.born = leaves.0.iter().find_map(|(_, text)| text.get(..10)?.parse().ok());
            } else {
                value::<Skipped, A>(self.0, &mut map)?;
            }
        }
        self.0.leave();
        Ok(person)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        self.0.repair("wrapped-in-object");
        let text = text.trim();
        Ok(NiemPerson { name: (!text.is_empty()).then(|| text.to_owned()), ..NiemPerson::default() })
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        self.0.repair("null-dropped");
        Ok(NiemPerson::default())
    }

    scalars! { Self::Value, |visitor, _value| {
        visitor.0.repair("person-unreadable");
        Ok(NiemPerson::default())
    } }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        self.0.repair("unwrapped-list");
        let mut first = None;
        super::read::each::<NiemPerson<'de>, A>(self.0, &mut list, |person| {
            first.get_or_insert(person);
        })?;
        Ok(first.unwrap_or_default())
    }
}

/// A member name without prefix, case and underscores: `nc:Person_Name` and `ncPersonName` are alike.
fn plain(key: &str) -> String {
    let local = key.rsplit_once(':').map_or(key, |(_, local)| local);
    local.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

fn name(leaves: &Leaves) -> Option<String> {
    let part = |word: &str| leaves.0.iter().find(|(key, _)| plain(key).contains(word)).map(|(_, text)| text.as_str());
    if let Some(full) = part("fullname").or_else(|| part("nametext")) {
        return Some(full.to_owned());
    }
    let parts: Vec<&str> = ["givenname", "middlename", "surname"].iter().filter_map(|word| part(word)).collect();
    match (parts.is_empty(), leaves.0.as_slice()) {
        (false, _) => Some(parts.join(" ")),
        (true, [(_, only)]) => Some(only.clone()),
        (true, _) => None,
    }
}

/// Whole years; `None` for a range, an unknown unit or an age that nobody has.
fn age(leaves: &Leaves) -> Option<u16> {
    let unit = leaves.0.iter().find(|(key, _)| plain(key).contains("unit")).map(|(_, text)| plain(text));
    let years_per_unit = match unit.as_deref() {
        None | Some("year" | "years" | "yr" | "yrs" | "y" | "a" | "ann" | "anum") => 1.0,
        Some("month" | "months" | "mon" | "mo") => 1.0 / 12.0,
        Some("week" | "weeks" | "wee" | "wk") => 7.0 / 365.25,
        Some("day" | "days" | "d") => 1.0 / 365.25,
        Some(_) => return None,
    };
    let mut numbers = leaves.0.iter().filter_map(|(_, text)| text.parse::<f64>().ok());
    let first = numbers.next()?;
    if numbers.any(|other| (other - first).abs() > f64::EPSILON) {
        return None;
    }
    let years = first * years_per_unit;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to lie in 0 … 125")]
    (0.0..=AGE_YEARS_MAX).contains(&years).then_some(years as u16)
}

/// Whole years between a birth and a day; `None` where the birth lies after it.
pub(super) fn years_between(born: Date, on: Date) -> Option<u16> {
    let had_birthday = (on.month(), on.day()) >= (born.month(), born.day());
    let years = i32::from(on.year()) - i32::from(born.year()) - i32::from(!had_birthday);
    u16::try_from(years).ok().filter(|years| f64::from(*years) <= AGE_YEARS_MAX)
}
