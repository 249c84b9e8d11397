//! `CallExport` in.

use super::*;
use crate::record::{Format, Lifecycle, Point, TimePoint};

#[test]
fn a_structure_fire_is_read_whole() {
    let record = decoded(&sample("call_export/structure_fire.xml"));
    assert_eq!(record.format, Format::CadExportXml);
    assert_eq!(record.identity.incident, "2026-810001");
    assert_eq!(record.identity.agency.as_str(), "kamloops.example");
    assert_eq!(record.identity.updated_at, None, "the format states no version");
    assert_eq!(record.nature.call_type.as_deref(), Some("Structure Fire"));
    assert_eq!(record.nature.further_call_types, ["Traffic Control", "69D03"], "`xsi:nil` is no determinant");
    assert_eq!(record.times.get(TimePoint::Entered), Some(at("2026-06-11T03:12:05-07:00")));
    assert_eq!(record.times.get(TimePoint::Dispatched), Some(at("2026-06-11T03:12:55-07:00")));
    assert_eq!(record.times.get(TimePoint::OnScene), Some(at("2026-06-11T03:18:20-07:00")));
    assert_eq!(record.times.get(TimePoint::Cleared), None, "year 1 is no time");
    assert_eq!(record.locations[0].point, Some(Point { latitude: 50.6739, longitude: -120.3316 }));
    assert_eq!(record.nature.beat.as_deref(), Some("SOUTH-2"));
    assert_eq!(record.notes[0].text, "Caller sees smoke <thick>", "oldest first, CDATA as it stands");
    assert_eq!(record.notes[1].text, "Flames at rear & smoke on 2nd floor. Occupants out.");
    assert_eq!(record.persons[1].age_years, Some(61));
    let rescue: Vec<TimePoint> = record.units.iter().filter(|unit| unit.unit == "R1").map(|unit| unit.status).collect();
    assert_eq!(rescue, [TimePoint::Dispatched, TimePoint::EnRoute], "the log fills what the unit lacks");
    assert_eq!(record.unknown_fields, ["Location/RoofType"]);
    assert_eq!(record.lifecycle, Lifecycle::Open);
}

#[test]
fn every_encoding_says_the_same() {
    for name in ["utf8_mark", "utf16_le_mark", "utf16_be_mark", "utf16_le_bare", "utf16_be_bare", "windows_1252"] {
        let record = decoded(&sample(&format!("call_export/{name}.xml")));
        assert_eq!(record.persons[0].name.as_deref(), Some("Zoé Lafrenière"), "{name}");
        assert_eq!(record.nature.call_type.as_deref(), Some("Person Down"), "{name}");
        assert_eq!(kinds(&record).contains(&"byte-order-guessed"), name.ends_with("bare"), "{name}");
    }
    let record = decoded(&sample("call_export/wrong_mark.xml"));
    assert!(has_repair(&record, "record", "byte-order-mark-wrong"));
}

#[test]
fn the_repeated_hour_is_the_earlier_and_the_missing_hour_moves_on() {
    let record = decoded(&sample("call_export/cancelled_in_dst.xml"));
    assert_eq!(record.lifecycle, Lifecycle::Cancelled);
    let times: Vec<_> = record.notes.iter().filter_map(|note| note.at).collect();
    assert_eq!(times, [at("2026-03-08T03:30:00-07:00"), at("2026-11-01T01:30:00-07:00")]);
    assert!(has_repair(&record, "Narratives/Narrative[0]/CreateDateTime", "local-time-ambiguous"));
    assert!(has_repair(&record, "Narratives/Narrative[1]/CreateDateTime", "local-time-missing"));
}

#[test]
fn an_export_without_number_is_named_by_its_id_and_without_both_refused() {
    let record = decoded(b"<CallExport><CallId>9</CallId><CallSource>TEST desk</CallSource></CallExport>");
    assert_eq!(record.identity.incident, "9");
    assert!(has_repair(&record, "CallNumber", "call-id-for-call-number"));
    assert!(record.test);
    assert_eq!(problem(b"<CallExport><CallNumber> </CallNumber></CallExport>"), "missing-field");
    assert_eq!(problem(b"<Invoice/>"), "not-recognised");
}

#[test]
fn an_unreadable_flag_leaves_the_incident_open() {
    let record = decoded(b"<CallExport><CallNumber>1</CallNumber><ClosedFlag>maybe</ClosedFlag></CallExport>");
    assert_eq!((record.lifecycle, kinds(&record)), (Lifecycle::Open, vec!["flag-unreadable"]));
}

#[test]
fn known_elements_are_sorted_for_the_search() {
    assert!(crate::wire::cad_export_xml::KNOWN.is_sorted());
}
