//! What history keeps of a call record: codes, times, presence and place. Nothing personal can be written down here.
//!
//! A kept call gives the same facts as the record that it is from, but for the narrative, which is not kept, and for
//! calls within about 100 m of a border of a zone, whose coordinates are rounded.

use crate::facts::can_be_called;
use crate::record::{
    AgencyId, CallRecord, Caution, Format, Location, NatureFields, Person, Point, RecordIdentity, SourceId, TimePoint,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Coordinates are rounded to this share of a degree: 1/1000, about 111 m to the north.
const PER_DEGREE: f64 = 1_000.0;
/// Metres by which a rounded point may be off, for the question whether a border is near.
const ROUNDED_M: f64 = 100.0;
/// Letters in a code, at most. What is longer is prose, and prose is not kept.
const CODE_CHARS_MAX: usize = 100;

/// A call as history keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The agency.
    pub agency: String,
    /// The agency's own identifier of the incident.
    pub incident: String,
    /// First 8 bytes of the SHA-256 of the row.
    pub content: i64,
    /// The export's own time of this version.
    pub updated_at: Option<Timestamp>,
    /// When the call came in.
    pub at: Timestamp,
    /// Other time points, seconds after `at`.
    pub times: BTreeMap<TimePoint, i64>,
    /// How the call ended, in the agency's code.
    pub disposition: Option<String>,
    pub(super) profile: Profile,
    pub(super) place: Place,
    /// Fields that were too long to be codes and were not kept.
    pub prose: Vec<&'static str>,
}

/// Why a record is no call of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// No time of day is known, so that hours cannot be asked.
    #[error("no-time")]
    NoTime,
    /// Marked as a test or an exercise.
    #[error("test-record")]
    Test,
}

/// What a record says of a call, its place and times aside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Profile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_type_text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_type_vendor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_type_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_call_type: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    further_call_types: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    common_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority_text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    common_priority: Option<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    people: Vec<Someone>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    callback: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_source: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cautions: Vec<Caution>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stated: Vec<(String, String)>,
}

/// A person of a record: that there is a name and a number that can be called, not which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Someone {
    roles: Vec<String>,
    named: bool,
    phone: bool,
    age: Option<u16>,
}

/// Where a call was.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Place {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beat: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    locations: Vec<Somewhere>,
}

/// A location of a record: coordinates rounded, that there is an address, not which.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Somewhere {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// Latitude and longitude, thousandths of a degree.
    #[serde(skip_serializing_if = "Option::is_none")]
    point: Option<(i32, i32)>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    address: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    place_type: Option<String>,
}

/// What history keeps of a record.
///
/// # Errors
/// Where the record states no time, or is a test.
pub fn kept(record: &CallRecord) -> Result<Kept, NotKept> {
    if record.test {
        return Err(NotKept::Test);
    }
    let at = came_in(record).ok_or(NotKept::NoTime)?;
    let mut prose = Vec::new();
    let profile = Profile::of(record, &mut prose);
    let place = Place::of(record, &mut prose);
    let disposition = record.dispositions.iter().find_map(|one| one.text.as_deref().or(one.common_code.as_deref()));
    let after = |stated: Timestamp| stated.as_second() - at.as_second();
    Ok(Kept {
        agency: record.identity.agency.to_string(),
        incident: record.identity.incident.clone(),
        content: first_bytes(&record.identity.content_sha256),
        updated_at: record.identity.updated_at,
        at,
        times: record.times.iter().map(|(point, stated)| (point, after(stated))).collect(),
        disposition: disposition.and_then(|text| code(text, "disposition", &mut prose)),
        profile,
        place,
        prose,
    })
}

/// The instant that a policy would have decided at: the first of these that is stated.
fn came_in(record: &CallRecord) -> Option<Timestamp> {
    let first = [TimePoint::Received, TimePoint::Answered, TimePoint::Entered, TimePoint::Dispatched];
    let stated = first.into_iter().find_map(|point| record.times.get(point));
    stated.or_else(|| record.times.iter().map(|(_, at)| at).min())
}

/// The first 8 bytes of a digest in hex, as SQLite's integers are.
pub(super) fn first_bytes(sha256: &str) -> i64 {
    sha256.get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0).cast_signed()
}

fn code(text: &str, field: &'static str, prose: &mut Vec<&'static str>) -> Option<String> {
    let text = text.trim();
    if text.chars().count() > CODE_CHARS_MAX {
        prose.push(field);
        return None;
    }
    (!text.is_empty()).then(|| text.to_owned())
}

fn has_text(text: Option<&String>) -> bool {
    text.is_some_and(|text| !text.trim().is_empty())
}

impl Profile {
    fn of(record: &CallRecord, prose: &mut Vec<&'static str>) -> Self {
        let nature = &record.nature;
        let mut kept = |text: Option<&String>, field| text.and_then(|text| code(text, field, prose));
        Self {
            call_type: kept(nature.call_type.as_ref(), "call-type"),
            call_type_text: kept(nature.call_type_text.as_ref(), "call-type-text"),
            call_type_vendor: kept(nature.call_type_vendor.as_ref(), "call-type-vendor"),
            call_type_version: kept(nature.call_type_version.as_ref(), "call-type-version"),
            first_call_type: kept(nature.first_call_type.as_ref(), "first-call-type"),
            further_call_types: nature
                .further_call_types
                .iter()
                .filter_map(|text| kept(Some(text), "further-call-type"))
                .collect(),
            common_type: kept(nature.common_type.as_ref(), "common-type"),
            priority_text: kept(nature.priority_text.as_ref(), "priority-text"),
            common_priority: nature.common_priority,
            people: record.persons.iter().map(Someone::of).collect(),
            callback: record.callbacks.iter().any(|address| can_be_called(address)),
            call_source: kept(record.call_source.as_ref(), "call-source"),
            cautions: record
                .cautions
                .iter()
                .filter_map(|caution| {
                    Some(Caution { kind: kept(Some(&caution.kind), "caution")?, severity: caution.severity.clone() })
                })
                .collect(),
            stated: record
                .stated_facts
                .iter()
                .filter_map(|(fact, value)| Some((fact.clone(), kept(Some(value), "fact")?)))
                .collect(),
        }
    }

    /// A record that says the same of the call.
    pub(super) fn record(&self) -> CallRecord {
        let mut record = empty();
        record.nature = NatureFields {
            call_type: self.call_type.clone(),
            call_type_text: self.call_type_text.clone(),
            call_type_vendor: self.call_type_vendor.clone(),
            call_type_version: self.call_type_version.clone(),
            first_call_type: self.first_call_type.clone(),
            further_call_types: self.further_call_types.clone(),
            common_type: self.common_type.clone(),
            priority_text: self.priority_text.clone(),
            common_priority: self.common_priority,
            beat: None,
        };
        record.persons = self.people.iter().map(Someone::person).collect();
        record.callbacks = self.callback.then(|| SOME_NUMBER.to_owned()).into_iter().collect();
        record.call_source.clone_from(&self.call_source);
        record.cautions.clone_from(&self.cautions);
        record.stated_facts.clone_from(&self.stated);
        record
    }
}

/// Stands for a number that was given: long enough to be one, and nobody's.
const SOME_NUMBER: &str = "0000000000";
/// Stands for a name or an address that was given.
const GIVEN: &str = "given";

impl Someone {
    fn of(person: &Person) -> Self {
        Self {
            roles: person.roles.clone(),
            named: has_text(person.name.as_ref()),
            phone: person.phone.as_deref().is_some_and(can_be_called),
            age: person.age_years,
        }
    }

    fn person(&self) -> Person {
        Person {
            roles: self.roles.clone(),
            name: self.named.then(|| GIVEN.to_owned()),
            phone: self.phone.then(|| SOME_NUMBER.to_owned()),
            age_years: self.age,
        }
    }
}

impl Place {
    fn of(record: &CallRecord, prose: &mut Vec<&'static str>) -> Self {
        let somewhere = |location: &Location| Somewhere {
            role: location.role.clone(),
            point: location.point.and_then(|point| Some((thousandths(point.latitude)?, thousandths(point.longitude)?))),
            address: has_text(location.street.as_ref()),
            place_type: location.place_type.clone().filter(|word| word.chars().count() <= CODE_CHARS_MAX),
        };
        Self {
            beat: record.nature.beat.as_ref().and_then(|beat| code(beat, "beat", prose)),
            locations: record.locations.iter().map(somewhere).collect(),
        }
    }

    /// A record that says the same of the place.
    pub(super) fn record(&self) -> CallRecord {
        let mut record = empty();
        record.nature.beat.clone_from(&self.beat);
        let degrees = |thousandths: i32| f64::from(thousandths) / PER_DEGREE;
        record.locations = self
            .locations
            .iter()
            .map(|somewhere| Location {
                role: somewhere.role.clone(),
                point: somewhere
                    .point
                    .map(|(latitude, longitude)| Point { latitude: degrees(latitude), longitude: degrees(longitude) }),
                uncertainty_m: somewhere.point.map(|_| ROUNDED_M),
                street: somewhere.address.then(|| GIVEN.to_owned()),
                place_type: somewhere.place_type.clone(),
                ..Location::default()
            })
            .collect();
        record
    }
}

#[expect(clippy::cast_possible_truncation, reason = "360,000 thousandths at most, checked before")]
fn thousandths(degrees: f64) -> Option<i32> {
    (degrees.is_finite() && degrees.abs() <= 360.0).then(|| (degrees * PER_DEGREE).round() as i32)
}

fn empty() -> CallRecord {
    let identity = RecordIdentity {
        agency: AgencyId::new("history"),
        element: SourceId::new("history"),
        incident: String::new(),
        updated_at: None,
        content_sha256: String::new(),
    };
    CallRecord::new(identity, Format::Delimited)
}
