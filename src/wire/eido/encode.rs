//! A call record to an EIDO for the CAD: strictly NENA-STA-021.1b-2022, only what the emitter may say.

use super::registries::{RESOURCE_TYPES, UNIT_STATUSES, canonical};
use crate::record::{AgencyId, CallRecord, Lifecycle, SourceId, TimePoint, UnitStatus};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Who sends: the agency on whose behalf the adapter speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitter {
    /// Agency, by its fully qualified name (`kamloops.ca`).
    pub agency: AgencyId,
    /// The adapter's element name, as the agency's network knows it (`fourth.kamloops.ca`).
    pub element: SourceId,
    /// Agency type from the registry of responders, or a local extension (`x_community_crisis`).
    pub agency_type: String,
}

/// Common incident type where the record states none: `TROUBLE`, unknown type trouble (APCO ANS 2.103.2-2019).
const TYPE_UNKNOWN: &str = "TROUBLE";
/// Common disposition where a record states only words: `13`, information/administrative (APCO ANS 1.111.2-2018).
const DISPOSITION_IN_WORDS: &str = "13";
/// Common resource type of a team that the registry has no value for.
const TEAM: &str = "CrisisInterventionUnit";

/// Encodes the incident's type, status, notes, dispositions and units. People and places are not repeated to the
/// CAD that sent them.
///
/// A unit is stated in its furthest status. Points that are no unit's (received, offered, …) have no place in an EIDO.
#[must_use]
pub fn encode_eido(record: &CallRecord, emitter: &Emitter, now: Timestamp) -> Vec<u8> {
    let encoding = Encoding { emitter, now };
    let units = latest(&record.units);
    let notes: Vec<Value> = record.notes.iter().enumerate().map(|(index, note)| encoding.note(index, note)).collect();
    let resources: Vec<Value> =
        units.values().enumerate().map(|(index, unit)| encoding.resource(index, unit)).collect();
    let mut eido = encoding.prologue(&tracking_identifier(record), now);
    put(&mut eido, "eidoVersion", json!("1.0"));
    put(&mut eido, "issuingElementIdentification", json!(emitter.element.as_str()));
    put(&mut eido, "incidentComponent", encoding.incident(record, &units));
    put(&mut eido, "agencyComponent", json!([encoding.agency(!units.is_empty())]));
    put(&mut eido, "agentComponent", json!([encoding.agent()]));
    if !notes.is_empty() {
        put(&mut eido, "notesComponent", Value::Array(notes));
    }
    if !resources.is_empty() {
        let mut dispatch = encoding.prologue(&encoding.id("dispatch", 0), now);
        put(&mut dispatch, "agencyReference", reference(emitter.agency.as_str()));
        put(&mut dispatch, "emergencyResourceReference", encoding.references("unit", resources.len()));
        put(&mut eido, "dispatchComponent", json!([dispatch]));
        put(&mut eido, "emergencyResourceComponent", Value::Array(resources));
    }
    Value::Object(eido).to_string().into_bytes()
}

/// The incident tracking identifier: the record's own where it is one, else one made of the sender's name for it.
fn tracking_identifier(record: &CallRecord) -> String {
    let incident = &record.identity.incident;
    if incident.starts_with("urn:") {
        return incident.clone();
    }
    let unique: String =
        incident.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    format!("urn:emergency:uid:incidentid:{unique}:{}", record.identity.agency)
}

/// The furthest status of each unit, by name. Points that no unit status of the registry shows are left out.
fn latest(units: &[UnitStatus]) -> BTreeMap<&str, &UnitStatus> {
    let mut latest: BTreeMap<&str, &UnitStatus> = BTreeMap::new();
    for unit in units.iter().filter(|unit| status_name(unit.status).is_some()) {
        let entry = latest.entry(unit.unit.as_str()).or_insert(unit);
        if (unit.at, unit.status) > (entry.at, entry.status) {
            *entry = unit;
        }
    }
    latest
}

fn status_name(point: TimePoint) -> Option<&'static str> {
    match point {
        TimePoint::Accepted => Some("Assigned"),
        TimePoint::Dispatched => Some("Dispatched"),
        TimePoint::OnScene => Some("OnScene"),
        TimePoint::WithPerson => Some("PatientContact"),
        TimePoint::Cleared => Some("Cleared"),
        _ => UNIT_STATUSES.iter().find(|(_, known)| *known == Some(point)).map(|(name, _)| *name),
    }
}

fn reference(id: &str) -> Value {
    json!({ "$ref": id })
}

fn put(object: &mut Map<String, Value>, key: &str, value: Value) {
    object.insert(key.to_owned(), value);
}

fn put_text(object: &mut Map<String, Value>, key: &str, text: Option<&String>) {
    if let Some(text) = text {
        put(object, key, json!(text));
    }
}

/// A note is an HTML fragment (NENA-STA-021.1b, Notes component), so that its text is escaped.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

struct Encoding<'e> {
    emitter: &'e Emitter,
    now: Timestamp,
}

impl Encoding<'_> {
    fn id(&self, kind: &str, index: usize) -> String {
        format!("urn:emergency:uid:eidodatacomponent:{kind}-{index}:{}", self.emitter.agency)
    }

    fn agent_id(&self) -> String {
        format!("adapter@{}", self.emitter.agency)
    }

    fn references(&self, kind: &str, count: usize) -> Value {
        (0..count).map(|index| reference(&self.id(kind, index))).collect()
    }

    fn prologue(&self, id: &str, at: Timestamp) -> Map<String, Value> {
        let mut component = Map::new();
        put(&mut component, "$id", json!(id));
        put(&mut component, "lastUpdateTimeStamp", json!(at.to_string()));
        put(&mut component, "updatedByAgencyReference", reference(self.emitter.agency.as_str()));
        component
    }

    fn incident(&self, record: &CallRecord, units: &BTreeMap<&str, &UnitStatus>) -> Value {
        let nature = &record.nature;
        let mut incident = self.prologue(&self.id("incident", 0), self.now);
        put(
            &mut incident,
            "incidentTypeCommonRegistryText",
            json!(nature.common_type.as_deref().unwrap_or(TYPE_UNKNOWN)),
        );
        put_text(&mut incident, "incidentTypeInternalCode", nature.call_type.as_ref());
        put_text(&mut incident, "incidentTypeInternalText", nature.call_type_text.as_ref());
        put_text(&mut incident, "incidentPriorityInternalText", nature.priority_text.as_ref());
        put_text(&mut incident, "beatOrDispatchGroupText", nature.beat.as_ref());
        if let Some(priority) = nature.common_priority {
            put(&mut incident, "incidentCommonPriorityNumber", json!(priority));
        }
        if !record.identity.incident.starts_with("urn:") {
            put(&mut incident, "internalIncidentId", json!(record.identity.incident));
        }
        put(&mut incident, "incidentStatusCommonRegistryText", statuses(record.lifecycle, units));
        if !record.notes.is_empty() {
            put(&mut incident, "notesReference", self.references("note", record.notes.len()));
        }
        let dispositions: Vec<Value> = record
            .dispositions
            .iter()
            .enumerate()
            .map(|(index, stated)| {
                let mut disposition = self.prologue(&self.id("disposition", index), self.now);
                let code = stated.common_code.as_deref().unwrap_or(DISPOSITION_IN_WORDS);
                put(&mut disposition, "dispositionCommonRegistryCode", json!(code));
                put_text(&mut disposition, "dispositionDescriptionText", stated.text.as_ref());
                Value::Object(disposition)
            })
            .collect();
        if !dispositions.is_empty() {
            put(&mut incident, "dispositionComponent", Value::Array(dispositions));
        }
        Value::Object(incident)
    }

    fn note(&self, index: usize, note: &crate::record::Note) -> Value {
        let mut component = self.prologue(&self.id("note", index), note.at.unwrap_or(self.now));
        put(&mut component, "notesActionComments", json!(escaped(&note.text)));
        Value::Object(component)
    }

    fn agency(&self, dispatched: bool) -> Value {
        let mut agency = self.prologue(self.emitter.agency.as_str(), self.now);
        let role = if dispatched { "Dispatched" } else { "Informational" };
        put(&mut agency, "agencyRoleDescriptionRegistryText", json!([role]));
        put(&mut agency, "agencyType", json!([self.emitter.agency_type]));
        Value::Object(agency)
    }

    fn agent(&self) -> Value {
        let mut agent = self.prologue(&self.agent_id(), self.now);
        put(&mut agent, "agentRoleRegistryText", json!(["Dispatching"]));
        put(&mut agent, "agencyReference", reference(self.emitter.agency.as_str()));
        Value::Object(agent)
    }

    fn resource(&self, index: usize, unit: &UnitStatus) -> Value {
        let mut resource = self.prologue(&self.id("unit", index), unit.at.unwrap_or(self.now));
        let stated = unit.unit_type.as_deref();
        let common = stated.and_then(|kind| canonical(kind, RESOURCE_TYPES.iter().copied()));
        put(&mut resource, "emergencyResourceTypeCommonRegistryText", json!(common.unwrap_or(TEAM)));
        if common.is_none() {
            put_text(&mut resource, "emergencyResourceTypeInternalText", unit.unit_type.as_ref());
        }
        put(&mut resource, "emergencyResourceName", json!(unit.unit));
        let attributes =
            if common.unwrap_or(TEAM) == TEAM { json!(["CrisisInterventionSpecialist"]) } else { json!([]) };
        put(&mut resource, "resourceAttributeRegistryText", attributes);
        let primary = if unit.status == TimePoint::Cleared { "Available" } else { "NotAvailable" };
        put(&mut resource, "primaryUnitStatusRegistryText", json!(primary));
        put(
            &mut resource,
            "secondaryUnitStatusRegistryText",
            json!(status_name(unit.status).into_iter().collect::<Vec<_>>()),
        );
        put(&mut resource, "agentReference", json!([reference(&self.agent_id())]));
        Value::Object(resource)
    }
}

fn statuses(lifecycle: Lifecycle, units: &BTreeMap<&str, &UnitStatus>) -> Value {
    let mut statuses = vec![match lifecycle {
        Lifecycle::Open => "Active",
        Lifecycle::Closed => "Closed",
        Lifecycle::Cancelled => "Cancelled",
    }];
    let furthest = units.values().map(|unit| unit.status).filter(|status| *status != TimePoint::Cleared).max();
    statuses.extend(match furthest {
        Some(TimePoint::OnScene | TimePoint::WithPerson) => Some("ResourcesOnscene"),
        Some(TimePoint::EnRoute) => Some("ResourcesEnroute"),
        Some(_) => Some("ResourcesAssigned"),
        None => None,
    });
    json!(statuses)
}
