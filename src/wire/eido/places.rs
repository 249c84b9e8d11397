//! The places of an EIDO in the order in which they say where the incident is.

use super::components::Eido;
use super::registries::{LOCATION_TYPES, canonical};
use super::shapes::{Leaves, Place};
use crate::record::{CallRecord, Location};
use crate::wire::{DecodeError, pidf_lo};

/// How well a place says where the incident is; lower is better. `None`: it says where something else is.
fn standing(role: Option<&str>, referenced_by_incident: bool) -> Option<u8> {
    match role {
        Some("CurrentIncident") => Some(0),
        Some("TowerLocation" | "UnitLocation" | "Staging") => None,
        _ if referenced_by_incident => Some(1),
        Some("InitialIncident") => Some(2),
        Some("Caller") => Some(3),
        // Where the network thought the call came from, often a cell sector: the last resort.
        Some("RoutingLocation") => Some(5),
        _ => Some(4),
    }
}

/// Fills the record's locations, the best first. References by URL are listed and not fetched.
pub(super) fn fill(record: &mut CallRecord, eido: &Eido<'_>) -> Result<(), DecodeError> {
    let mut ordered: Vec<(u8, Location)> = Vec::new();
    for (index, locus) in eido.places.iter().enumerate() {
        let path = |member: &str| format!("locationComponent[{index}].{member}");
        let role = locus.role.as_deref().map(|role| match canonical(role, LOCATION_TYPES.iter().copied()) {
            Some(name) => {
                if name != role {
                    record.repair(path("locationTypeDescriptionRegistryText"), "enum-spelling");
                }
                name.to_owned()
            }
            None => role.to_owned(),
        });
        let id = locus.id.get();
        let referenced = eido.incident.0.first().is_some_and(|incident| {
            id.is_some() && incident.places.iter().any(|reference| reference.target.get() == id)
        });
        let Some(standing) = standing(role.as_deref(), referenced) else {
            record.repair(format!("locationComponent[{index}]"), "not-the-incident-place");
            continue;
        };
        let mut location = Location { role, ..Location::default() };
        match &locus.place {
            Some(Place::Document(text)) if text.starts_with('<') => {
                document(text, &mut location, record, &path("locationByValue"))?;
            }
            Some(Place::Document(text)) => {
                record.repair(path("locationByValue"), "location-from-text");
                location.description = Some(text.to_string());
            }
            Some(Place::Object(leaves)) => {
                if let Some(kind) = object(leaves, &mut location) {
                    record.repair(path("locationByValue"), kind);
                }
            }
            None if locus.reference.is_some() => record.repair(path("locationByReferenceUrl"), "reference-not-fetched"),
            None => {}
        }
        if let Some(words) = locus.description.as_deref() {
            location.description = Some(match location.description.take() {
                Some(before) => format!("{before}; {words}"),
                None => words.to_owned(),
            });
        }
        if location != (Location { role: location.role.clone(), ..Location::default() }) {
            ordered.push((standing, location));
        }
    }
    ordered.sort_by_key(|(standing, _)| *standing);
    record.locations = ordered.into_iter().map(|(_, location)| location).collect();
    Ok(())
}

/// PIDF-LO. What is merely broken costs the place and is listed; what is an attack costs the record.
fn document(text: &str, location: &mut Location, record: &mut CallRecord, path: &str) -> Result<(), DecodeError> {
    match pidf_lo::read(text, location) {
        Ok(kinds) => {
            for kind in kinds {
                record.repair(path, kind);
            }
            Ok(())
        }
        Err(error) if error.problem == "malformed-xml" => {
            record.repair(path, "location-unreadable");
            Ok(())
        }
        Err(error) => Err(DecodeError { place: format!("$.{path}, {}", error.place), ..error }),
    }
}

/// A place as an object: names of addresses, of RFC 5139 and of GeoJSON, wherever they nest. Returns a repair kind.
fn object(leaves: &Leaves, location: &mut Location) -> Option<&'static str> {
    let get = |names: &[&str]| {
        let found = leaves.0.iter().find(|(key, _)| {
            let key = key.rsplit_once(':').map_or(key.as_str(), |(_, local)| local);
            names.iter().any(|name| key.eq_ignore_ascii_case(name))
        });
        found.map(|(_, text)| text.clone())
    };
    let joined = |names: &[&str]| {
        let parts: Vec<String> = names.iter().filter_map(|name| get(&[name])).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    };
    location.street = get(&["street", "streetAddress", "fullAddress", "address", "addressLine1"])
        .or_else(|| get(&["RD"]).and_then(|_| joined(&["HNO", "HNS", "PRD", "PRM", "RD", "STS", "POD", "POM"])));
    location.city = get(&["A3", "city", "municipality", "locality"]);
    location.region = get(&["A1", "state", "province", "region"]);
    location.postal_code = get(&["PC", "postalCode", "zip", "zipCode"]);
    location.description = get(&["LMK", "landmark", "NAM", "locationName", "description", "commonName"]);
    location.place_type = get(&["PLC", "placeType"]).map(|kind| kind.to_ascii_lowercase());
    let number = |text: String| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let named =
        get(&["latitude", "lat"]).and_then(number).zip(get(&["longitude", "lon", "lng", "long"]).and_then(number));
    let position = named.or_else(|| {
        // GeoJSON (RFC 7946) puts the longitude first.
        let mut pair =
            leaves.0.iter().filter(|(key, _)| key == "coordinates").filter_map(|(_, text)| text.parse().ok());
        let (longitude, latitude) = (pair.next()?, pair.next()?);
        Some((latitude, longitude))
    });
    let (latitude, longitude) = position?;
    location.uncertainty_m = get(&["uncertainty", "radius"]).and_then(number).filter(|metres| *metres >= 0.0);
    let (point, repair) = pidf_lo::checked(latitude, longitude);
    location.point = point;
    repair
}
