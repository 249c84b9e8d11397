//! The `CallExport` XML that a CAD drops whole at every change: local times, several agencies, units with their times.

use super::xml::{Element, Tree};
use super::{DecodeError, SenderProfile, list_unknown, pidf_lo, times};
use crate::record::{CallRecord, Caution, DispositionNote, Lifecycle, Location, Note, Person, TimePoint, UnitStatus};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Every element that is of the known shape, as a path below the root, sorted.
pub(super) const KNOWN: &[&str] = &[
    "AgencyContexts",
    "AgencyContexts/AgencyContext",
    "AgencyContexts/AgencyContext/AgencyType",
    "AgencyContexts/AgencyContext/CallType",
    "AgencyContexts/AgencyContext/CanceledFlag",
    "AgencyContexts/AgencyContext/ClosedDateTime",
    "AgencyContexts/AgencyContext/ClosedFlag",
    "AgencyContexts/AgencyContext/CreatedDateTime",
    "AgencyContexts/AgencyContext/Dispatcher",
    "AgencyContexts/AgencyContext/EmdCaseNumber",
    "AgencyContexts/AgencyContext/EmdCode",
    "AgencyContexts/AgencyContext/FDID",
    "AgencyContexts/AgencyContext/Priority",
    "AgencyContexts/AgencyContext/Status",
    "AlarmLevel",
    "AssignedUnits",
    "AssignedUnits/Unit",
    "AssignedUnits/Unit/ArriveDateTime",
    "AssignedUnits/Unit/AssignedDateTime",
    "AssignedUnits/Unit/AtHospitalDateTime",
    "AssignedUnits/Unit/AtPatientDateTime",
    "AssignedUnits/Unit/ClearDateTime",
    "AssignedUnits/Unit/DispatchDateTime",
    "AssignedUnits/Unit/Dispositions",
    "AssignedUnits/Unit/Dispositions/Disposition",
    "AssignedUnits/Unit/Dispositions/Disposition/Count",
    "AssignedUnits/Unit/Dispositions/Disposition/DateTime",
    "AssignedUnits/Unit/Dispositions/Disposition/Description",
    "AssignedUnits/Unit/Dispositions/Disposition/Name",
    "AssignedUnits/Unit/EnrouteDateTime",
    "AssignedUnits/Unit/IsPrimary",
    "AssignedUnits/Unit/Jurisdiction",
    "AssignedUnits/Unit/Personnel",
    "AssignedUnits/Unit/Personnel/UnitPersonnel",
    "AssignedUnits/Unit/Personnel/UnitPersonnel/FirstName",
    "AssignedUnits/Unit/Personnel/UnitPersonnel/IDNumber",
    "AssignedUnits/Unit/Personnel/UnitPersonnel/IsPrimaryOfficer",
    "AssignedUnits/Unit/Personnel/UnitPersonnel/Jurisdiction",
    "AssignedUnits/Unit/Personnel/UnitPersonnel/LastName",
    "AssignedUnits/Unit/Personnel/UnitPersonnel/MiddleName",
    "AssignedUnits/Unit/Personnel/UnitPersonnel/ShieldNumber",
    "AssignedUnits/Unit/StagedDateTime",
    "AssignedUnits/Unit/TransportDateTime",
    "AssignedUnits/Unit/Type",
    "AssignedUnits/Unit/UnitLogs",
    "AssignedUnits/Unit/UnitLogs/UnitLog",
    "AssignedUnits/Unit/UnitLogs/UnitLog/DateTime",
    "AssignedUnits/Unit/UnitLogs/UnitLog/Location",
    "AssignedUnits/Unit/UnitLogs/UnitLog/Status",
    "AssignedUnits/Unit/UnitNumber",
    "CallId",
    "CallNumber",
    "CallSource",
    "CallerName",
    "CallerPhone",
    "CanceledFlag",
    "ClosedDateTime",
    "ClosedFlag",
    "CreateDateTime",
    "Dispositions",
    "Dispositions/CallDisposition",
    "Dispositions/CallDisposition/Count",
    "Dispositions/CallDisposition/DateTime",
    "Dispositions/CallDisposition/Description",
    "Dispositions/CallDisposition/Name",
    "Incidents",
    "Incidents/Incident",
    "Incidents/Incident/CreateDateTime",
    "Incidents/Incident/Jurisdiction",
    "Incidents/Incident/Number",
    "Incidents/Incident/Type",
    "Location",
    "Location/Apartment",
    "Location/Cautions",
    "Location/Cautions/Caution",
    "Location/City",
    "Location/CommonName",
    "Location/FullAddress",
    "Location/HouseNumber",
    "Location/LatitudeY",
    "Location/LocationType",
    "Location/LongitudeX",
    "Location/NearestCrossStreets",
    "Location/PoliceBeat",
    "Location/State",
    "Location/StreetDirection",
    "Location/StreetName",
    "Location/StreetType",
    "Location/Zip",
    "Narratives",
    "Narratives/Narrative",
    "Narratives/Narrative/CreateDateTime",
    "Narratives/Narrative/CreateUser",
    "Narratives/Narrative/Restriction",
    "Narratives/Narrative/Text",
    "Narratives/Narrative/Type",
    "NatureOfCall",
    "Persons",
    "Persons/Person",
    "Persons/Person/Age",
    "Persons/Person/FirstName",
    "Persons/Person/LastName",
    "Persons/Person/MiddleName",
    "Persons/Person/Phone",
    "Persons/Person/Role",
    "Vehicles",
    "Vehicles/Vehicle",
    "Vehicles/Vehicle/LicensePlate",
    "Vehicles/Vehicle/LicenseState",
    "Vehicles/Vehicle/Make",
    "Vehicles/Vehicle/Model",
    "Vehicles/Vehicle/Year",
];

/// Unit times and the points they are; of two for one point the first that is stated stands.
const UNIT_TIMES: &[(&str, TimePoint)] = &[
    ("DispatchDateTime", TimePoint::Dispatched),
    ("AssignedDateTime", TimePoint::Dispatched),
    ("EnrouteDateTime", TimePoint::EnRoute),
    ("ArriveDateTime", TimePoint::OnScene),
    ("AtPatientDateTime", TimePoint::WithPerson),
    ("ClearDateTime", TimePoint::Cleared),
];

/// Statuses of a unit's log in small letters without spaces, and the points they are.
const LOG_STATUSES: &[(&str, TimePoint)] = &[
    ("assigned", TimePoint::Dispatched),
    ("dispatched", TimePoint::Dispatched),
    ("dispatch", TimePoint::Dispatched),
    ("enroute", TimePoint::EnRoute),
    ("onscene", TimePoint::OnScene),
    ("arrived", TimePoint::OnScene),
    ("arrive", TimePoint::OnScene),
    ("atpatient", TimePoint::WithPerson),
    ("patientcontact", TimePoint::WithPerson),
    ("clear", TimePoint::Cleared),
    ("cleared", TimePoint::Cleared),
];

/// Fills a record from a `CallExport`.
pub(super) fn fill(record: &mut CallRecord, text: &str, sender: &SenderProfile) -> Result<(), DecodeError> {
    let tree = Tree::parse(text)?;
    let Some(root) = tree.root().filter(|root| root.name() == "CallExport") else {
        return Err(DecodeError::new("not-recognised", "root element", "the root element is not `CallExport`"));
    };
    let mut filling = Filling { record, sender, zoned: false };
    filling.unknown(root, &mut String::new());
    filling.identity(root)?;
    filling.times(root);
    filling.nature(root);
    filling.lifecycle(root);
    filling.place(root);
    filling.persons(root);
    filling.notes(root);
    filling.dispositions(root);
    for (index, unit) in below(root, "AssignedUnits", "Unit").enumerate() {
        filling.unit(unit, index);
    }
    Ok(())
}

fn below<'t, 'a>(
    root: Element<'t, 'a>,
    list: &'static str,
    item: &'static str,
) -> impl Iterator<Item = Element<'t, 'a>> {
    root.children()
        .filter(move |child| child.name() == list)
        .flat_map(Element::children)
        .filter(move |child| child.name() == item)
}

struct Filling<'r> {
    record: &'r mut CallRecord,
    sender: &'r SenderProfile,
    /// A local time has been zoned and listed: the format has no others, so once is enough.
    zoned: bool,
}

impl Filling<'_> {
    fn unknown(&mut self, element: Element<'_, '_>, path: &mut String) {
        for child in element.children() {
            let length = path.len();
            if length > 0 {
                path.push('/');
            }
            path.push_str(child.name());
            if KNOWN.binary_search(&path.as_str()).is_ok() {
                self.unknown(child, path);
            } else {
                list_unknown(&mut self.record.unknown_fields, path);
            }
            path.truncate(length);
        }
    }

    fn identity(&mut self, root: Element<'_, '_>) -> Result<(), DecodeError> {
        let number = root.child_text("CallNumber");
        let Some(incident) = number.or_else(|| root.child_text("CallId")) else {
            return Err(DecodeError::new(
                "missing-field",
                "CallNumber",
                "a CallExport has a `CallNumber` or a `CallId`",
            ));
        };
        if number.is_none() {
            self.record.repair("CallNumber", "call-id-for-call-number");
        }
        self.record.identity.incident = incident.to_owned();
        Ok(())
    }

    fn time(&mut self, parent: Element<'_, '_>, name: &str, path: impl FnOnce() -> String) -> Option<Timestamp> {
        let text = parent.child_text(name)?;
        match times::read(text, &self.sender.time_zone) {
            Some((at, None)) => Some(at),
            Some((at, Some("local-time-zoned"))) => {
                if !self.zoned {
                    self.zoned = true;
                    self.record.repair("CallExport", "local-time-zoned");
                }
                Some(at)
            }
            Some((at, Some(kind))) => {
                self.record.repair(path(), kind);
                Some(at)
            }
            None if times::is_none(text) => None,
            None => {
                self.record.repair(path(), "time-unreadable");
                None
            }
        }
    }

    fn times(&mut self, root: Element<'_, '_>) {
        if let Some(at) = self.time(root, "CreateDateTime", || "CreateDateTime".to_owned()) {
            self.record.times.state(TimePoint::Entered, at);
            // The format states no time of arrival at the centre; the record's creation is the nearest it has.
            self.record.times.state(TimePoint::Received, at);
            self.record.repair("CreateDateTime", "received-from-created");
        }
        if let Some(at) = self.time(root, "ClosedDateTime", || "ClosedDateTime".to_owned()) {
            self.record.times.state(TimePoint::Closed, at);
        }
    }

    fn nature(&mut self, root: Element<'_, '_>) {
        let mut types: Vec<String> = Vec::new();
        let mut determinants: Vec<String> = Vec::new();
        for context in below(root, "AgencyContexts", "AgencyContext") {
            types.extend(context.child_text("CallType").map(str::to_owned));
            determinants.extend(context.child_text("EmdCode").map(str::to_owned));
            if self.record.nature.priority_text.is_none() {
                self.record.nature.priority_text = context.child_text("Priority").map(str::to_owned);
            }
        }
        types.append(&mut determinants);
        let nature = &mut self.record.nature;
        nature.call_type_text = root.child_text("NatureOfCall").map(str::to_owned);
        let mut types = types.into_iter();
        nature.call_type = types.next();
        for further in types {
            if nature.call_type.as_ref() != Some(&further) && !nature.further_call_types.contains(&further) {
                nature.further_call_types.push(further);
            }
        }
        self.record.call_source = root.child_text("CallSource").map(str::to_owned);
        let is_test = |text: Option<&String>| {
            text.and_then(|text| text.split_whitespace().next()).is_some_and(|word| word.eq_ignore_ascii_case("test"))
        };
        let nature = &self.record.nature;
        self.record.test = [&self.record.call_source, &nature.call_type, &nature.call_type_text]
            .into_iter()
            .any(|text| is_test(text.as_ref()));
    }

    fn flag(&mut self, root: Element<'_, '_>, name: &str) -> bool {
        match root.child_text(name).map(str::to_ascii_lowercase).as_deref() {
            Some("true" | "1" | "yes" | "y") => true,
            None | Some("false" | "0" | "no" | "n") => false,
            Some(_) => {
                self.record.repair(name, "flag-unreadable");
                false
            }
        }
    }

    fn lifecycle(&mut self, root: Element<'_, '_>) {
        let closed = self.flag(root, "ClosedFlag");
        self.record.lifecycle = if self.flag(root, "CanceledFlag") {
            Lifecycle::Cancelled
        } else if closed {
            Lifecycle::Closed
        } else {
            Lifecycle::Open
        };
    }

    fn place(&mut self, root: Element<'_, '_>) {
        let Some(location) = root.child("Location") else { return };
        let text = |name: &str| location.child_text(name).map(str::to_owned);
        let composed = || {
            let names = ["HouseNumber", "StreetDirection", "StreetName", "StreetType", "Apartment"];
            let parts: Vec<&str> = names.iter().filter_map(|name| location.child_text(name)).collect();
            (!parts.is_empty()).then(|| parts.join(" "))
        };
        let description = [text("CommonName"), text("NearestCrossStreets")].into_iter().flatten().collect::<Vec<_>>();
        let mut place = Location {
            role: Some("CurrentIncident".to_owned()),
            street: text("FullAddress").or_else(composed),
            city: text("City"),
            region: text("State"),
            postal_code: text("Zip"),
            description: (!description.is_empty()).then(|| description.join("; ")),
            place_type: text("LocationType").map(|kind| kind.to_lowercase()),
            ..Location::default()
        };
        self.record.nature.beat = text("PoliceBeat");
        let degrees = |name: &str| location.child_text(name).map(str::parse::<f64>);
        match degrees("LatitudeY").zip(degrees("LongitudeX")) {
            Some((Ok(latitude), Ok(longitude))) => {
                let (point, repair) = pidf_lo::checked(latitude, longitude);
                place.point = point;
                if let Some(kind) = repair {
                    self.record.repair("Location/LatitudeY", kind);
                }
            }
            Some(_) => self.record.repair("Location/LatitudeY", "coordinates-unreadable"),
            None => {}
        }
        for caution in below(location, "Cautions", "Caution").filter_map(Element::text) {
            self.record.cautions.push(Caution { kind: caution.to_owned(), severity: None });
        }
        if place != (Location { role: place.role.clone(), ..Location::default() }) {
            self.record.locations.push(place);
        }
    }

    fn persons(&mut self, root: Element<'_, '_>) {
        let phone = root.child_text("CallerPhone").map(str::to_owned);
        self.record.callbacks.extend(phone.clone());
        let name = root.child_text("CallerName").map(str::to_owned);
        if name.is_some() || phone.is_some() {
            self.record.persons.push(Person { roles: vec!["Caller".to_owned()], name, phone, age_years: None });
        }
        for (index, person) in below(root, "Persons", "Person").enumerate() {
            let parts: Vec<&str> =
                ["FirstName", "MiddleName", "LastName"].iter().filter_map(|part| person.child_text(part)).collect();
            let age_years = person.child_text("Age").and_then(|age| {
                let years = age.parse().ok();
                if years.is_none() {
                    self.record.repair(format!("Persons/Person[{index}]/Age"), "age-unreadable");
                }
                years
            });
            self.record.persons.push(Person {
                roles: person.child_text("Role").map(str::to_owned).into_iter().collect(),
                name: (!parts.is_empty()).then(|| parts.join(" ")),
                phone: person.child_text("Phone").map(str::to_owned),
                age_years,
            });
        }
    }

    fn notes(&mut self, root: Element<'_, '_>) {
        for (index, narrative) in below(root, "Narratives", "Narrative").enumerate() {
            let at = self.time(narrative, "CreateDateTime", || format!("Narratives/Narrative[{index}]/CreateDateTime"));
            if let Some(text) = narrative.child_text("Text") {
                self.record.notes.push(Note { at, text: text.to_owned() });
            }
        }
        self.record.notes.sort_by_key(|note| note.at);
    }

    fn dispositions(&mut self, root: Element<'_, '_>) {
        let of_units = below(root, "AssignedUnits", "Unit").flat_map(|unit| below(unit, "Dispositions", "Disposition"));
        for disposition in below(root, "Dispositions", "CallDisposition").chain(of_units) {
            let text = disposition.child_text("Name").or_else(|| disposition.child_text("Description"));
            if let Some(text) = text {
                self.record.dispositions.push(DispositionNote { common_code: None, text: Some(text.to_owned()) });
            }
        }
    }

    fn unit(&mut self, unit: Element<'_, '_>, index: usize) {
        let name = unit.child_text("UnitNumber").map_or_else(|| format!("unit {}", index + 1), str::to_owned);
        let unit_type = unit.child_text("Type").map(str::to_owned);
        let mut points: BTreeMap<TimePoint, Timestamp> = BTreeMap::new();
        for (element, point) in UNIT_TIMES {
            if let Some(at) = self.time(unit, element, || format!("AssignedUnits/Unit[{index}]/{element}")) {
                points.entry(*point).or_insert(at);
            }
        }
        for (number, log) in below(unit, "UnitLogs", "UnitLog").enumerate() {
            let status: Option<String> = log.child_text("Status").map(|status| {
                status.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
            });
            let known = LOG_STATUSES.iter().find(|(word, _)| status.as_deref() == Some(*word));
            let path = || format!("AssignedUnits/Unit[{index}]/UnitLogs/UnitLog[{number}]/DateTime");
            if let (Some((_, point)), Some(at)) = (known, self.time(log, "DateTime", path)) {
                points.entry(*point).or_insert(at);
            }
        }
        for (status, at) in points {
            self.record.times.state(status, at);
            let unit = UnitStatus { unit: name.clone(), unit_type: unit_type.clone(), status, at: Some(at) };
            self.record.units.push(unit);
        }
    }
}
