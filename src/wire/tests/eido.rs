//! EIDO in and out.

use super::*;
use crate::record::{
    Caution, DispositionNote, Format, Lifecycle, NatureFields, Note, Point, RELATED_MAX, Relation, TimePoint,
    UnitStatus,
};
use proptest::prelude::*;
use serde_json::json;

const ID: &str = "urn:emergency:uid:incidentid:7:psap.example";

fn eido(members: serde_json::Value) -> Vec<u8> {
    let mut eido = json!({
        "$id": ID,
        "lastUpdateTimeStamp": "2026-06-09T14:05:40-07:00",
        "updatedByAgencyReference": { "$ref": "psap.example" },
        "eidoVersion": "1.0",
        "issuingElementIdentification": "cad.psap.example",
    });
    for (key, value) in members.as_object().unwrap() {
        eido[key] = value.clone();
    }
    eido.to_string().into_bytes()
}

#[test]
fn a_welfare_check_is_read_whole_and_nothing_is_mended() {
    let record = decoded(&sample("eido/welfare_check.json"));
    assert_eq!(record.format, Format::EidoJson);
    assert_eq!(record.identity.agency.as_str(), "psap.kamloops.example");
    assert_eq!(record.identity.element.as_str(), "cad.psap.kamloops.example");
    assert_eq!(record.identity.updated_at, Some(at("2026-06-09T14:05:40-07:00")));
    assert_eq!(record.times.get(TimePoint::Received), Some(at("2026-06-09T14:03:10-07:00")));
    assert_eq!(record.times.get(TimePoint::Answered), Some(at("2026-06-09T14:03:18-07:00")));
    assert_eq!(record.times.get(TimePoint::Entered), None, "the incident's stamp is of its last update");
    assert_eq!(
        record.nature,
        NatureFields {
            call_type: Some("WELCK".to_owned()),
            call_type_text: Some("Welfare check".to_owned()),
            common_type: Some("WELFARE".to_owned()),
            common_priority: Some(3),
            beat: Some("SOUTH-2".to_owned()),
            ..NatureFields::default()
        }
    );
    let [place] = record.locations.as_slice() else { panic!("one place") };
    assert_eq!(place.street.as_deref(), Some("100 Lorne Street"));
    assert_eq!(place.point, Some(Point { latitude: 50.6781, longitude: -120.3367 }));
    assert_eq!(place.description.as_deref(), Some("Riverside Park bandshell; bench facing the river"));
    assert_eq!(place.place_type.as_deref(), Some("outdoors"));
    assert_eq!(record.persons[0].name.as_deref(), Some("Marjorie Okafor"));
    assert!(record.persons[0].phone.as_deref().unwrap().starts_with("tel:"));
    assert_eq!(record.persons[1].age_years, Some(45));
    assert!(record.notes[0].text.ends_with("No weapon seen & nobody has checked on him."));
    assert!(record.stated_facts.contains(&("age".to_owned(), "45".to_owned())));
    assert_eq!((record.repairs, record.unknown_fields, record.test), (Vec::new(), Vec::new(), false));
}

#[test]
fn circle_caution_and_unit_are_read() {
    let place = decoded(&sample("eido/encampment.json")).locations.remove(0);
    assert_eq!(place.uncertainty_m, Some(35.0));
    let record = decoded(&sample("eido/weapon.json"));
    assert_eq!(record.cautions[0], Caution { kind: "Weapon".to_owned(), severity: Some("highest".to_owned()) });
    assert_eq!(record.cautions[1].kind, "Edged weapon");
    let unit = &record.units[0];
    assert_eq!((unit.unit.as_str(), unit.status), ("K-14", TimePoint::EnRoute));
    assert_eq!(unit.at, Some(at("2026-06-13T22:16:20-07:00")));
}

/// Fault 12: what was merged, split and linked; the direction codes are the schema's.
#[test]
fn merges_splits_and_links_are_read_once_each_and_bounded() {
    let other = |name: &str| format!("urn:emergency:uid:incidentid:{name}:psap.example");
    let merge = |name: &str, code: &str| json!({ "incidentTrackingIdentifier": other(name), "incidentMergeDirectionCode": code });
    let link = |name: &str, code: &str| json!({ "incidentTrackingIdentifier": other(name), "linkDirectionCode": code });
    let record = decoded(&eido(json!({
        "mergeComponent": [
            merge("into", "REPLACED"), merge("from", "REPLACING"), merge("split", "split"), merge("what", "SIDEWAYS"),
            merge("7", "REPLACED"), json!({ "incidentMergeDirectionCode": "SPLIT" }),
        ],
        "linkComponent": [
            link("up", "PARENT"), link("down", "CHILD"), link("beside", "RELATED"), link("apart", "UNLINK"),
            link("into", "RELATED"), link("what", "UNLINK"),
            json!({ "incidentTrackingIdentifier": "urn:emergency:uid:incidentid:0:psap.example", "linkDirectionCode": "RELATED" }),
        ],
    })));
    let told: Vec<(&str, Relation)> = record.related.iter().map(|tie| (tie.incident.as_str(), tie.how)).collect();
    let expected = [
        ("into", Relation::MergedInto),
        ("from", Relation::MergedFrom),
        ("split", Relation::SplitFrom),
        ("what", Relation::Linked),
        ("up", Relation::Linked),
        ("down", Relation::Linked),
        ("beside", Relation::Linked),
        ("apart", Relation::Unlinked),
    ]
    .map(|(name, how)| (other(name), how));
    assert_eq!(told, expected.each_ref().map(|(name, how)| (name.as_str(), *how)));
    for (path, kind) in [
        ("mergeComponent[2].incidentMergeDirectionCode", "enum-spelling"),
        ("mergeComponent[3].incidentMergeDirectionCode", "direction-unknown"),
        ("mergeComponent[5].incidentTrackingIdentifier", "no-incident-named"),
        ("linkComponent[6].incidentTrackingIdentifier", "no-incident-named"),
    ] {
        assert!(has_repair(&record, path, kind), "{path} {kind}: {:?}", record.repairs);
    }
    assert!(record.unknown_fields.is_empty(), "{:?}", record.unknown_fields);
    let many: Vec<_> = (100..200).map(|number| link(&number.to_string(), "RELATED")).collect();
    let record = decoded(&eido(json!({ "linkComponent": many })));
    assert_eq!(record.related.len(), RELATED_MAX + 1, "one more than are followed");
}

#[test]
fn scripts_are_dropped_and_said_so() {
    let record = decoded(&sample("eido/youth_crisis.json"));
    assert!(!record.notes[0].text.contains("alert"));
    assert!(record.notes[0].text.contains("bus exchange, says she cannot go home.\nNot hurt."));
    assert_eq!(kinds(&record), ["script-dropped"]);
}

#[test]
fn what_real_senders_get_wrong_is_mended_and_listed() {
    let record = decoded(&sample("eido/faulty_sender.json"));
    for (path, kind) in [
        ("$id", "hash-stripped"),
        ("lastUpdateTimestamp", "renamed-key"),
        ("lastUpdateTimeStamp", "local-time-zoned"),
        ("incidentComponent", "unwrapped-list"),
        ("incidentComponent[0].disposition", "renamed-key"),
        ("callComponent", "wrapped-in-list"),
        ("notesComponent[0]", "wrapped-in-object"),
        ("alarmsSensorComponent", "renamed-key"),
        ("locationComponent[0].locationByValue", "location-from-object"),
        ("locationComponent[0].locationByValue", "coordinates-exchanged"),
        ("locationComponent[1]", "not-the-incident-place"),
        ("locationComponent[2].locationByReferenceUrl", "reference-not-fetched"),
        ("personComponent[0].personIncidentRoleRegistryText[0]", "enum-spelling"),
    ] {
        assert!(has_repair(&record, path, kind), "{path} {kind}");
    }
    assert_eq!(record.identity.incident, "urn:emergency:uid:incidentid:faults1:psap.kamloops.example");
    assert_eq!(record.identity.updated_at, Some(at("2026-06-14T08:30:00-07:00")));
    assert_eq!(record.nature.common_type.as_deref(), Some("WELFARE"));
    assert_eq!(record.nature.common_priority, Some(3));
    assert_eq!(record.dispositions[0].common_code.as_deref(), Some("05"));
    assert_eq!(record.notes[0].text, "bp <90 over 60, caller says <knife on the table");
    assert_eq!(record.persons[0].age_years, Some(35), "the thirty-sixth birthday is the day after the call");
    assert_eq!(record.unknown_fields, ["incidentComponent[0].shoeSize", "vendorBlob"]);
    assert!(record.test);
    assert_eq!(record.locations.len(), 1, "neither the mast nor an unfetched reference is a place");
}

#[test]
fn the_incident_place_comes_before_the_caller_and_the_routing_sector() {
    let place = |id: &str, role: &str| json!({ "$id": id, "locationTypeDescriptionRegistryText": role, "locationDescriptionText": id });
    let record = decoded(&eido(json!({
        "incidentComponent": { "locationReference": [{ "$ref": "#named" }] },
        "locationComponent": [
            place("sector", "RoutingLocation"), place("caller", "Caller"), place("named", "x_local"),
            place("unit", "UnitLocation"), place("current", "currentincident"),
        ],
    })));
    let order: Vec<_> = record.locations.iter().filter_map(|place| place.description.as_deref()).collect();
    assert_eq!(order, ["current", "named", "caller", "sector"]);
}

#[test]
fn re_opened_outweighs_closed_and_unknown_statuses_are_opaque() {
    let lifecycle = |statuses: serde_json::Value| {
        decoded(&eido(json!({ "incidentComponent": { "incidentStatusCommonRegistryText": statuses } }))).lifecycle
    };
    assert_eq!(lifecycle(json!(["Closed"])), Lifecycle::Closed);
    assert_eq!(lifecycle(json!(["closed", "CANCELLED"])), Lifecycle::Cancelled);
    assert_eq!(lifecycle(json!(["Closed", "Re-Opened"])), Lifecycle::Open);
    assert_eq!(lifecycle(json!(["Simmering", null])), Lifecycle::Open);
}

#[test]
fn several_incidents_keep_the_dangerous_type_of_each() {
    let record = decoded(&eido(json!({ "incidentComponent": [
        { "incidentTypeInternalCode": "WELCK", "incidentTypeCommonRegistryText": "WELFARE" },
        { "incidentTypeInternalCode": "SHOTS", "incidentTypeCommonRegistryText": "SHOOT" },
    ] })));
    assert_eq!(record.nature.call_type.as_deref(), Some("WELCK"));
    assert_eq!(record.nature.further_call_types, ["SHOTS", "SHOOT"]);
    assert!(has_repair(&record, "incidentComponent", "unwrapped-list"));
}

#[test]
fn a_unit_on_its_way_to_hospital_is_not_on_its_way_to_the_scene() {
    let point = |statuses: serde_json::Value| {
        let resource = json!([{ "emergencyResourceName": "A1", "secondaryUnitStatusRegistryText": statuses }]);
        decoded(&eido(json!({ "emergencyResourceComponent": resource }))).units.first().map(|unit| unit.status)
    };
    assert_eq!(point(json!(["EnRoute"])), Some(TimePoint::EnRoute));
    assert_eq!(point(json!(["en route", "Hospital"])), None);
    assert_eq!(point(json!(["Dispatched", "PatientContact"])), Some(TimePoint::WithPerson));
    assert_eq!(point(json!(["Meal"])), None);
    let other = json!([{ "secondaryUnitStatusRegistryText": ["OnScene"], "activeOnIncidentId": "urn:other" }]);
    assert!(decoded(&eido(json!({ "emergencyResourceComponent": other }))).units.is_empty());
}

#[test]
fn words_survive_the_wrong_shape() {
    let note = json!([{ "notesActionComments": { "lines": ["he has", { "what": "a knife" }] } }]);
    let record = decoded(&eido(json!({ "notesComponent": note })));
    assert_eq!(record.notes[0].text, "he has a knife");
    assert_eq!(kinds(&record), ["text-from-structure"]);
}

#[test]
fn without_a_call_the_incident_stamp_stands_in_for_the_entry() {
    let stamp = json!({ "lastUpdateTimeStamp": "2026-06-09T21:00:00Z" });
    let record = decoded(&eido(json!({ "incidentComponent": stamp, "alarmsSensorsComponent": [{}] })));
    assert_eq!(record.times.get(TimePoint::Entered), Some(at("2026-06-09T21:00:00Z")));
    assert_eq!(record.call_source.as_deref(), Some("alarm"));
}

#[test]
fn a_record_without_identity_or_of_another_kind_is_refused_by_name() {
    assert_eq!(problem(b"{}"), "missing-field");
    assert_eq!(problem(br#"{"$id":"urn:emergency:uid:incidentid:0:psap.example"}"#), "missing-field");
    let envelope = format!(r#"{{"event":{{"notification":[{{"$id":"{ID}"}}]}}}}"#);
    let error = decode(envelope.as_bytes(), None, &sender()).unwrap_err();
    assert_eq!((error.problem, error.place.as_str()), ("eido-envelope", "$.event"));
    assert_eq!(problem(&eido(json!({ "eidoVersion": "2.0" }))), "version-not-supported");
    assert_eq!(problem(br#"[{"$id":"a"}]"#), "not-recognised");
}

#[test]
fn polygons_and_unknown_coordinate_systems() {
    let shape = |xml: &str| {
        let xml = format!("<presence><gp:location-info>{xml}</gp:location-info></presence>");
        decoded(&eido(json!({ "locationComponent": [{ "locationByValue": xml }] })))
    };
    let square = "<gs:Polygon srsName='urn:ogc:def:crs:EPSG::4326'><gml:exterior><gml:LinearRing><gml:posList>\
                  50 -120 50.002 -120 50.002 -120.002 50 -120.002 50 -120</gml:posList></gml:LinearRing></gml:exterior></gs:Polygon>";
    let place = shape(square).locations.remove(0);
    assert!((place.point.unwrap().latitude - 50.001).abs() < 1e-9);
    assert!((100.0..200.0).contains(&place.uncertainty_m.unwrap()));
    let record =
        shape("<gml:Point srsName='urn:ogc:def:crs:EPSG::26910'><gml:pos>5600000 690000</gml:pos></gml:Point>");
    assert!(record.locations.is_empty());
    assert_eq!(kinds(&record), ["unknown-coordinate-system"]);
    assert_eq!(kinds(&shape("<gml:Point><gml:pos>NaN 1</gml:pos></gml:Point>")), ["coordinates-unreadable"]);
}

fn text() -> impl Strategy<Value = String> {
    "[ -~àéñ]{1,24}".prop_map(|text| text.trim().to_owned()).prop_filter("not blank", |text| !text.is_empty())
}

fn record() -> impl Strategy<Value = CallRecord> {
    let point = prop::sample::select(vec![
        TimePoint::Dispatched,
        TimePoint::EnRoute,
        TimePoint::OnScene,
        TimePoint::WithPerson,
        TimePoint::Cleared,
    ]);
    let units = prop::collection::btree_map("[A-Z]{1,2}[0-9]{1,3}", (point, 0_i64..2_000_000_000), 0..4);
    let notes = prop::collection::vec((text(), 100_000_000_i64..2_000_000_000), 0..5);
    let lifecycle = prop::sample::select(vec![Lifecycle::Open, Lifecycle::Closed, Lifecycle::Cancelled]);
    let dispositions = prop::collection::vec(("[0-4][0-9]", prop::option::of(text())), 0..3);
    let nature = (prop::option::of(text()), prop::option::of(text()), "[A-Z]{3,8}", prop::option::of(0_u8..=10));
    (nature, units, notes, lifecycle, dispositions).prop_map(|(nature, units, notes, lifecycle, dispositions)| {
        let mut record = CallRecord::new(identity(b"", &sender()), Format::EidoJson);
        record.identity.incident = ID.to_owned();
        record.nature.call_type = nature.0;
        record.nature.call_type_text = nature.1;
        record.nature.common_type = Some(nature.2);
        record.nature.common_priority = nature.3;
        record.lifecycle = lifecycle;
        let instant = |second| jiff::Timestamp::from_second(second).unwrap();
        record.units.extend(units.into_iter().map(|(unit, (status, second))| UnitStatus {
            unit,
            unit_type: Some("CrisisInterventionUnit".to_owned()),
            status,
            at: Some(instant(second + 100_000_000)),
        }));
        record.notes.extend(notes.into_iter().map(|(text, second)| Note { at: Some(instant(second)), text }));
        record.notes.sort_by_key(|note| note.at);
        record
            .dispositions
            .extend(dispositions.into_iter().map(|(code, text)| DispositionNote { common_code: Some(code), text }));
        record
    })
}

fn emitter() -> Emitter {
    Emitter {
        agency: AgencyId::new("team.kamloops.example"),
        element: SourceId::new("fourth.kamloops.example"),
        agency_type: "x_community_crisis".to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_encoded_is_decoded_again_and_needs_no_repair(record in record()) {
        let now = at("2026-06-09T22:00:00Z");
        let back = decoded(&encode_eido(&record, &emitter(), now));
        prop_assert_eq!(&back.repairs, &Vec::new());
        prop_assert_eq!(&back.unknown_fields, &Vec::<String>::new());
        prop_assert_eq!(back.identity.incident, record.identity.incident);
        prop_assert_eq!(back.identity.updated_at, Some(now));
        prop_assert_eq!(back.identity.agency.as_str(), "team.kamloops.example");
        prop_assert_eq!(back.nature, record.nature);
        prop_assert_eq!(back.notes, record.notes);
        prop_assert_eq!(back.units, record.units);
        prop_assert_eq!(back.dispositions, record.dispositions);
        prop_assert_eq!(back.lifecycle, record.lifecycle);
    }
}

#[test]
fn the_furthest_status_of_a_unit_is_sent_and_a_foreign_incident_gets_an_identifier() {
    let mut record = decoded(&sample("call_export/structure_fire.xml"));
    record.units.retain(|unit| unit.unit == "E2");
    let back = decoded(&encode_eido(&record, &emitter(), at("2026-06-11T11:00:00Z")));
    assert_eq!(back.identity.incident, "urn:emergency:uid:incidentid:2026-810001:kamloops.example");
    let statuses: Vec<TimePoint> = back.units.iter().map(|unit| unit.status).collect();
    assert_eq!(statuses, [TimePoint::OnScene]);
    assert_eq!(back.notes.len(), 2);
}
