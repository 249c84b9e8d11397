//! A CAD's sheet as an EIDO (NENA-STA-021.1b-2022, cautions of the 1.1 draft): a snapshot of all the centre knows.

use super::codes::{
    call_type_text, common_priority, common_type, place_type, priority_text, resource_type, unit_status,
};
use super::{Life, Sheet, UnitLine, UnitState};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

pub(super) fn write(sheet: &Sheet) -> String {
    let call = &sheet.call;
    let agency = &sheet.centre.agency;
    let mut eido = component(sheet, &sheet.incident_id(super::RecordFormat::EidoJson), sheet.version_at);
    eido.set("eidoVersion", json!("1.0"));
    eido.set("issuingElementIdentification", json!(format!("cad.{agency}")));
    eido.set("incidentComponent", incident(sheet));
    eido.set("callComponent", json!([call_component(sheet)]));
    if let Some(number) = &call.callback {
        let mut callback = component(sheet, &id(sheet, "callback"), call.arrives);
        callback.set("callBackInformationUri", json!([format!("tel:{number}")]));
        eido.set("callbackComponent", json!([callback]));
    }
    eido.set("agencyComponent", agencies(sheet));
    eido.set("agentComponent", json!([agent(sheet)]));
    eido.set("locationComponent", json!([location(sheet)]));
    eido.set("personComponent", json!([person(sheet)]));
    eido.set("notesComponent", notes(sheet));
    // Screening answers have no place in the standard; the adapter documents this member for them.
    if !sheet.stated.is_empty() {
        eido.set("x_fourth_facts", json!(sheet.stated));
    }
    let cautions = cautions(sheet);
    if !cautions.is_empty() {
        eido.set("cautionComponent", json!(cautions));
    }
    if !sheet.units.is_empty() {
        eido.set("dispatchComponent", sheet.units.iter().map(|unit| dispatch(sheet, unit)).collect::<Value>());
        eido.set("emergencyResourceComponent", sheet.units.iter().map(|unit| resource(sheet, unit)).collect::<Value>());
    }
    Value::from(eido).to_string()
}

/// An EIDO component being filled.
#[derive(Serialize)]
#[serde(transparent)]
struct Component(Map<String, Value>);

impl Component {
    fn set(&mut self, member: &str, value: impl Into<Value>) {
        self.0.insert(member.to_owned(), value.into());
    }
}

impl From<Component> for Value {
    fn from(component: Component) -> Self {
        Self::Object(component.0)
    }
}

/// A component with the prologue that every one has.
fn component(sheet: &Sheet, id: &str, at: Timestamp) -> Component {
    let mut component = Component(Map::new());
    component.set("$id", json!(id));
    component.set("lastUpdateTimeStamp", json!(stamp(at, sheet)));
    component.set("updatedByAgencyReference", json!({ "$ref": sheet.centre.agency }));
    component
}

/// A component's id: the same in all versions of the incident.
fn id(sheet: &Sheet, what: &str) -> String {
    format!("urn:emergency:uid:eidodatacomponent:{}-{what}:{}", sheet.call.number, sheet.centre.agency)
}

fn reference(sheet: &Sheet, what: &str) -> Value {
    json!({ "$ref": id(sheet, what) })
}

/// A time with the centre's offset and milliseconds.
fn stamp(at: Timestamp, sheet: &Sheet) -> String {
    at.to_zoned(sheet.centre.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}

fn agent_name(sheet: &Sheet) -> String {
    format!("position-4@{}", sheet.centre.agency)
}

fn incident(sheet: &Sheet) -> Component {
    let call = &sheet.call;
    let status = match sheet.life {
        Life::Closed => "Closed",
        Life::Cancelled => "Cancelled",
        Life::Open => match sheet.units.iter().filter_map(|unit| unit.taken.last()).map(|taken| taken.0).max() {
            None => "Active",
            Some(UnitState::Dispatched) => "ResourcesAssigned",
            Some(UnitState::EnRoute) => "ResourcesEnroute",
            Some(UnitState::OnScene | UnitState::Cleared) => "ResourcesOnscene",
        },
    };
    let mut incident = component(sheet, &id(sheet, "incident"), sheet.version_at);
    incident.set("incidentTypeInternalCode", json!(call.call_type));
    incident.set("incidentTypeInternalText", json!(call_type_text(&call.kind)));
    incident.set("incidentTypeCommonRegistryText", json!(common_type(&call.call_type)));
    incident.set("incidentStatusCommonRegistryText", json!([status]));
    incident.set("internalIncidentId", json!(call.number));
    incident.set("incidentPriorityInternalText", json!(priority_text(&call.priority)));
    incident.set("incidentCommonPriorityNumber", json!(common_priority(&call.priority)));
    incident.set("beatOrDispatchGroupText", json!(call.neighbourhood));
    incident.set("locationReference", json!([reference(sheet, "location")]));
    incident.set("personReference", json!([reference(sheet, "person")]));
    incident.set(
        "notesReference",
        (0..sheet.notes.len()).map(|number| reference(sheet, &format!("note-{number}"))).collect::<Value>(),
    );
    if let Some((code, text)) = sheet.disposition {
        let mut disposition = component(sheet, &id(sheet, "disposition"), sheet.version_at);
        disposition.set("dispositionCommonRegistryCode", json!(code));
        disposition.set("dispositionDescriptionText", json!(text));
        disposition.set("dispositionPrimaryIndicator", json!(true));
        incident.set("dispositionComponent", json!([disposition]));
    }
    incident
}

fn call_component(sheet: &Sheet) -> Component {
    let call = &sheet.call;
    let call_id = format!("urn:emergency:uid:callid:{}:{}", call.number, sheet.centre.agency);
    let mut component = component(sheet, &call_id, sheet.answered_at);
    component.set("standardPrimaryCallType", json!("emergency"));
    component.set("direction", json!("incoming"));
    component.set("callStartTimestamp", json!(stamp(call.arrives, sheet)));
    component.set("answerDate", json!(stamp(sheet.answered_at, sheet)));
    component.set("callStateRegistryText", json!("callAnswered"));
    component.set("agentReference", json!([{ "$ref": agent_name(sheet) }]));
    component.set("locationReference", json!([reference(sheet, "location")]));
    component.set("personReference", json!([reference(sheet, "person")]));
    if call.callback.is_some() {
        component.set("callBackReference", reference(sheet, "callback"));
    }
    component
}

fn agencies(sheet: &Sheet) -> Value {
    let mut psap = component(sheet, &sheet.centre.agency, sheet.call.arrives);
    psap.set("agencyRoleDescriptionRegistryText", json!(["CallReceiving", "Dispatching"]));
    psap.set("agencyType", json!(["psap"]));
    psap.set("incidentOwningAgencyIndicator", json!(true));
    json!([psap])
}

fn agent(sheet: &Sheet) -> Component {
    let mut agent = component(sheet, &agent_name(sheet), sheet.call.arrives);
    agent.set("agentRoleRegistryText", json!(["Call Taking"]));
    agent.set("agencyReference", json!({ "$ref": sheet.centre.agency }));
    agent
}

/// The location as PIDF-LO: a point and a civic address, XML in a JSON string as the standard has it.
fn location(sheet: &Sheet) -> Component {
    let call = &sheet.call;
    let centre = &sheet.centre;
    let place_type = sheet
        .stated
        .get("setting")
        .map_or(String::new(), |setting| format!("<ca:PLC>{}</ca:PLC>", place_type(setting)));
    let pidf = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
         xmlns:gp=\"urn:ietf:params:xml:ns:pidf:geopriv10\" xmlns:gml=\"http://www.opengis.net/gml\" \
         xmlns:ca=\"urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr\" entity=\"pres:incident@{agency}\">\
         <tuple id=\"p1\"><status><gp:geopriv><gp:location-info>\
         <gml:Point srsName=\"urn:ogc:def:crs:EPSG::4326\"><gml:pos>{latitude} {longitude}</gml:pos></gml:Point>\
         <ca:civicAddress><ca:country>{country}</ca:country><ca:A1>{province}</ca:A1><ca:A3>{city}</ca:A3>\
         <ca:RD>{street}</ca:RD><ca:HNO>{number}</ca:HNO><ca:PC>{postal_code}</ca:PC>{place_type}</ca:civicAddress>\
         </gp:location-info><gp:usage-rules/></gp:geopriv></status></tuple></presence>",
        agency = centre.agency,
        latitude = call.latitude,
        longitude = call.longitude,
        country = centre.country,
        province = centre.province,
        city = super::cad_export::escaped(&centre.city),
        street = super::cad_export::escaped(&call.street),
        number = call.house_number,
        postal_code = centre.postal_code,
    );
    let mut location = component(sheet, &id(sheet, "location"), call.arrives);
    location.set("locationTypeDescriptionRegistryText", json!("CurrentIncident"));
    location.set("locationByValue", json!(pidf));
    location.set("locationDescriptionText", json!(call.place));
    location
}

fn person(sheet: &Sheet) -> Component {
    let call = &sheet.call;
    let own_call = sheet.stated.get("caller").is_some_and(|caller| caller == "first-party");
    let mut person = component(sheet, &id(sheet, "person"), call.arrives);
    person.set(
        "personIncidentRoleRegistryText",
        if own_call { json!(["Caller", "InvolvedPerson"]) } else { json!(["InvolvedPerson"]) },
    );
    person.set("callIdentifier", json!([format!("urn:emergency:uid:callid:{}:{}", call.number, sheet.centre.agency)]));
    let mut details = Component(Map::new());
    let name = json!({ "personGivenName": call.name.0, "personSurName": call.name.1 });
    details.set("personName", json!([name]));
    if let Some(age) = sheet.stated.get("age").and_then(|age| age.parse::<u16>().ok()) {
        details.set("ageMeasure", json!([{ "measureIntegerValue": age, "timeUnitCode": "ANN" }]));
    }
    person.set("ncPersonComponent", details);
    if call.callback.is_some() {
        person.set("callBackReference", reference(sheet, "callback"));
    }
    person
}

fn notes(sheet: &Sheet) -> Value {
    let notes = sheet.notes.iter().enumerate().map(|(number, (at, text))| {
        let mut note = component(sheet, &id(sheet, &format!("note-{number}")), *at);
        // Notes are HTML fragments.
        note.set("notesActionComments", json!(format!("<p>{}</p>", super::cad_export::escaped(text))));
        note.set("agentReference", json!({ "$ref": agent_name(sheet) }));
        note
    });
    notes.collect()
}

/// Cautions for what the sheet states of weapons and violence.
fn cautions(sheet: &Sheet) -> Vec<Component> {
    let stated = |fact: &str| sheet.stated.get(fact).map(String::as_str).unwrap_or_default();
    let mut cautions = Vec::new();
    let mut caution = |what: &str, common: &str, internal: &str| {
        let mut caution = component(sheet, &id(sheet, what), sheet.version_at);
        caution.set("cautionTypeCommonRegistryText", json!(common));
        caution.set("cautionTypeInternalText", json!(internal));
        caution.set("cautionSeverity", json!("high"));
        cautions.push(caution);
    };
    if matches!(stated("weapon"), "access" | "present" | "used") {
        caution("caution-weapon", "Weapon", if stated("weapon") == "access" { "Weapon" } else { "Armed" });
    }
    if matches!(stated("violence"), "threat" | "physical") {
        caution("caution-violence", "Violent", "Violent");
    }
    cautions
}

fn dispatch(sheet: &Sheet, unit: &UnitLine) -> Component {
    let at = unit.taken.first().map_or(sheet.version_at, |taken| taken.1);
    let mut dispatch = component(sheet, &id(sheet, &format!("dispatch-{}", unit.name)), at);
    dispatch.set("agencyReference", json!({ "$ref": sheet.centre.agency }));
    dispatch.set("emergencyResourceReference", json!([reference(sheet, &format!("unit-{}", unit.name))]));
    dispatch
}

/// A unit with its latest status, stamped with when it took it: EIDO carries no other arrival time.
fn resource(sheet: &Sheet, unit: &UnitLine) -> Component {
    let (state, at) = unit.taken.last().copied().unwrap_or((UnitState::Dispatched, sheet.version_at));
    let mut resource = component(sheet, &id(sheet, &format!("unit-{}", unit.name)), at);
    resource.set("emergencyResourceTypeCommonRegistryText", json!(resource_type(unit.service)));
    resource.set("resourceAttributeRegistryText", json!([]));
    resource.set("emergencyResourceName", json!(unit.name));
    resource.set(
        "primaryUnitStatusRegistryText",
        json!(if state == UnitState::Cleared { "Available" } else { "NotAvailable" }),
    );
    resource.set("secondaryUnitStatusRegistryText", json!([unit_status(state)]));
    resource.set("agentReference", json!([{ "$ref": agent_name(sheet) }]));
    resource
}
