//! What a destination may see of a call: an allow-list projection, so that what is not named cannot leave (I14).

use crate::record::{CallRecord, Location, Person, ReleasedField};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Facts that say what another field of the list says, and leave only with that field.
const NATURE_FACTS: [&str; 2] = ["nature", "call_type"];
const PLACE_FACTS: [&str; 3] = ["zone", "beat", "district"];
const AGE_FACT: &str = "age";

/// The part of a call that one destination may see. Absent means withheld or unknown; the two look alike on purpose.
///
/// Personal data: built just before it is sent, never logged, never journaled.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Released {
    /// What the call is about, in the policy's neutral words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nature: Option<String>,
    /// Where the incident is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<ReleasedAddress>,
    /// Coordinates of the incident.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub point: Option<ReleasedPoint>,
    /// Call-back addresses of the caller.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub callback: Vec<String>,
    /// The caller's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_name: Option<String>,
    /// Age of the person concerned, whole years.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_years: Option<u16>,
    /// The facts the decision was made on, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
    /// The narrative, oldest note first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub narrative: Vec<ReleasedNote>,
}

impl Released {
    /// What was released besides nature and narrative, in words: an EIDO's notes are what every desk shows.
    #[must_use]
    pub fn in_words(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(address) = &self.address {
            let parts = [&address.street, &address.city, &address.region, &address.postal_code, &address.description];
            let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
            lines.push(format!("Address: {}", parts.join(", ")));
        }
        if let Some(point) = &self.point {
            lines.push(format!("Position (WGS 84): {}, {}", point.latitude, point.longitude));
        }
        if !self.callback.is_empty() {
            lines.push(format!("Call back: {}", self.callback.join(", ")));
        }
        lines.extend(self.caller_name.iter().map(|name| format!("Caller: {name}")));
        lines.extend(self.age_years.iter().map(|age| format!("Age: {age}")));
        if !self.facts.is_empty() {
            let facts: Vec<String> = self.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            lines.push(format!("Known: {}", facts.join("; ")));
        }
        lines
    }
}

impl std::fmt::Debug for Released {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Released(personal data)")
    }
}

/// Street address and description of a place.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReleasedAddress {
    /// Street line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street: Option<String>,
    /// Municipality.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// Province or state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// Words that say where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A WGS 84 position.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReleasedPoint {
    /// Degrees, −90 … 90.
    pub latitude: f64,
    /// Degrees, −180 … 180.
    pub longitude: f64,
    /// Radius of uncertainty, metres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty_m: Option<f64>,
}

/// One note of the narrative.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedNote {
    /// When it was written, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Plain text. Comes from callers: whoever shows it escapes it.
    pub text: String,
}

/// What a destination with this allow-list may see of the call. `facts` are names and values known now;
/// without a record (its content was destroyed) only facts can be released.
#[must_use]
pub fn release(record: Option<&CallRecord>, facts: &BTreeMap<&str, &str>, fields: &[ReleasedField]) -> Released {
    let mut released = Released::default();
    for field in fields {
        match field {
            ReleasedField::Nature => released.nature = facts.get("nature").map(|nature| (*nature).to_owned()),
            ReleasedField::Address => released.address = record.and_then(address),
            ReleasedField::Point => released.point = record.and_then(point),
            ReleasedField::Callback => released.callback = record.map(callback).unwrap_or_default(),
            ReleasedField::CallerName => {
                released.caller_name = record.and_then(caller).and_then(|caller| caller.name.clone());
            }
            ReleasedField::Age => released.age_years = age(record, facts),
            ReleasedField::Facts => released.facts = released_facts(facts, fields),
            ReleasedField::Narrative => released.narrative = record.map(narrative).unwrap_or_default(),
        }
    }
    released
}

fn released_facts(facts: &BTreeMap<&str, &str>, fields: &[ReleasedField]) -> BTreeMap<String, String> {
    let place = fields.contains(&ReleasedField::Address) || fields.contains(&ReleasedField::Point);
    facts
        .iter()
        .filter(|(name, _)| match **name {
            AGE_FACT => fields.contains(&ReleasedField::Age),
            name if NATURE_FACTS.contains(&name) => fields.contains(&ReleasedField::Nature),
            name if PLACE_FACTS.contains(&name) => place,
            _ => true,
        })
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// The place of the incident before any other; the caller's own place only where there is nothing else.
fn by_closeness(record: &CallRecord) -> Vec<&Location> {
    let mut locations: Vec<&Location> = record.locations.iter().collect();
    locations.sort_by_key(|location| {
        let role = location.role.as_deref().unwrap_or_default().to_ascii_lowercase();
        if role.contains("incident") {
            0
        } else if role.contains("caller") {
            3
        } else if role.is_empty() {
            1
        } else {
            2
        }
    });
    locations
}

fn address(record: &CallRecord) -> Option<ReleasedAddress> {
    by_closeness(record).into_iter().find_map(|location| {
        let said = location.street.is_some() || location.description.is_some() || location.city.is_some();
        said.then(|| ReleasedAddress {
            street: location.street.clone(),
            city: location.city.clone(),
            region: location.region.clone(),
            postal_code: location.postal_code.clone(),
            description: location.description.clone(),
        })
    })
}

fn point(record: &CallRecord) -> Option<ReleasedPoint> {
    by_closeness(record).into_iter().find_map(|location| {
        let point = location.point?;
        let (latitude, longitude) = (point.latitude, point.longitude);
        Some(ReleasedPoint { latitude, longitude, uncertainty_m: location.uncertainty_m })
    })
}

fn is_caller(person: &Person) -> bool {
    person.roles.iter().any(|role| role.eq_ignore_ascii_case("caller"))
}

fn caller(record: &CallRecord) -> Option<&Person> {
    record.persons.iter().find(|person| is_caller(person))
}

fn callback(record: &CallRecord) -> Vec<String> {
    if !record.callbacks.is_empty() {
        return record.callbacks.clone();
    }
    caller(record).and_then(|caller| caller.phone.clone()).into_iter().collect()
}

fn age(record: Option<&CallRecord>, facts: &BTreeMap<&str, &str>) -> Option<u16> {
    let known = facts.get(AGE_FACT).and_then(|age| age.parse().ok());
    // A caller who is also the person concerned carries a second role.
    let concerned = |person: &&Person| !is_caller(person) || person.roles.len() > 1;
    known.or_else(|| record?.persons.iter().filter(concerned).find_map(|person| person.age_years))
}

fn narrative(record: &CallRecord) -> Vec<ReleasedNote> {
    record.notes.iter().map(|note| ReleasedNote { at: note.at, text: note.text.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{AgencyId, Caution, Format, Note, Point, RecordIdentity, SourceId};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const ALL: [ReleasedField; 8] = [
        ReleasedField::Nature,
        ReleasedField::Address,
        ReleasedField::Point,
        ReleasedField::Callback,
        ReleasedField::CallerName,
        ReleasedField::Age,
        ReleasedField::Facts,
        ReleasedField::Narrative,
    ];

    /// A record with a canary in every field, and which field of the list may carry it.
    fn record() -> (CallRecord, Vec<(&'static str, Option<ReleasedField>)>) {
        let identity = RecordIdentity {
            agency: AgencyId::new("canary-agency"),
            element: SourceId::new("canary-element"),
            incident: "canary-number".to_owned(),
            updated_at: None,
            content_sha256: "canary-digest".to_owned(),
        };
        let mut record = CallRecord::new(identity, Format::EidoJson);
        record.nature.call_type_text = Some("canary-type-text".to_owned());
        record.nature.priority_text = Some("canary-priority".to_owned());
        record.nature.beat = Some("canary-beat".to_owned());
        record.call_source = Some("canary-source".to_owned());
        record.locations.push(Location {
            role: Some("Caller".to_owned()),
            street: Some("canary-caller-street".to_owned()),
            point: Some(Point { latitude: 11.5, longitude: 12.5 }),
            ..Location::default()
        });
        record.locations.push(Location {
            role: Some("CurrentIncident".to_owned()),
            street: Some("canary-street".to_owned()),
            description: Some("canary-place".to_owned()),
            point: Some(Point { latitude: 50.25, longitude: -120.25 }),
            place_type: Some("canary-place-type".to_owned()),
            ..Location::default()
        });
        record.persons.push(Person {
            roles: vec!["Caller".to_owned()],
            name: Some("canary-caller".to_owned()),
            phone: Some("canary-caller-phone".to_owned()),
            age_years: Some(61),
        });
        record.persons.push(Person {
            roles: vec!["Patient".to_owned()],
            name: Some("canary-patient".to_owned()),
            phone: Some("canary-patient-phone".to_owned()),
            age_years: Some(37),
        });
        record.callbacks.push("canary-callback".to_owned());
        record.notes.push(Note { at: None, text: "canary-note".to_owned() });
        record.cautions.push(Caution { kind: "canary-caution".to_owned(), severity: None });
        record.stated_facts.push(("canary-stated".to_owned(), "canary-stated-value".to_owned()));
        record.unknown_fields.push("canary-unknown".to_owned());
        let may = vec![
            ("canary-street", Some(ReleasedField::Address)),
            ("canary-place\"", Some(ReleasedField::Address)),
            ("50.25", Some(ReleasedField::Point)),
            ("canary-callback", Some(ReleasedField::Callback)),
            ("canary-caller\"", Some(ReleasedField::CallerName)),
            ("37", Some(ReleasedField::Age)),
            ("canary-note", Some(ReleasedField::Narrative)),
            ("canary-nature", Some(ReleasedField::Nature)),
            ("canary-weapon", Some(ReleasedField::Facts)),
        ];
        (record, may)
    }

    fn facts() -> BTreeMap<&'static str, &'static str> {
        [
            ("nature", "canary-nature"),
            ("weapon", "canary-weapon"),
            ("zone", "canary-zone"),
            ("call_type", "canary-code"),
        ]
        .into()
    }

    proptest! {
        #[test]
        fn nothing_but_the_list_gets_out(fields in proptest::sample::subsequence(ALL.to_vec(), 0..=ALL.len())) {
            let (record, may) = record();
            let json = serde_json::to_string(&release(Some(&record), &facts(), &fields)).unwrap();
            let mut rest = json.clone();
            for (canary, field) in may {
                let allowed = field.is_some_and(|field| fields.contains(&field));
                prop_assert_eq!(json.contains(canary), allowed, "{}", canary);
                rest = rest.replace(canary.trim_end_matches('"'), "");
            }
            let has = |field| fields.contains(&field);
            for (fact, allowed) in [
                ("canary-zone", has(ReleasedField::Address) || has(ReleasedField::Point)),
                ("canary-code", has(ReleasedField::Nature)),
            ] {
                prop_assert_eq!(json.contains(fact), allowed && has(ReleasedField::Facts), "{}", fact);
                rest = rest.replace(fact, "");
            }
            prop_assert!(!rest.contains("canary"), "{}", rest);
            prop_assert!(!rest.contains("11.5") && !rest.contains("61"), "{}", rest);
        }
    }

    #[test]
    fn an_empty_list_releases_nothing_at_all() {
        let (record, _) = record();
        let released = release(Some(&record), &facts(), &[]);
        assert_eq!(serde_json::to_string(&released).unwrap(), "{}");
        assert_eq!(format!("{released:?}"), "Released(personal data)");
    }

    #[test]
    fn without_a_record_only_facts_are_released() {
        let json = serde_json::to_value(release(None, &facts(), &ALL)).unwrap();
        let names: BTreeSet<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, BTreeSet::from(["facts", "nature"]));
    }

    #[test]
    fn the_age_fact_leaves_only_as_age() {
        let facts: BTreeMap<&str, &str> = [("age", "44"), ("weapon", "none")].into();
        let released = release(None, &facts, &[ReleasedField::Facts]);
        assert_eq!(released.facts.keys().collect::<Vec<_>>(), ["weapon"]);
        assert_eq!(release(None, &facts, &[ReleasedField::Age]).age_years, Some(44));
    }

    #[test]
    fn the_callers_phone_stands_in_where_no_callback_is_stated() {
        let (mut record, _) = record();
        record.callbacks.clear();
        let released = release(Some(&record), &facts(), &[ReleasedField::Callback]);
        assert_eq!(released.callback, ["canary-caller-phone"]);
    }
}
