//! Every generated record is well-formed in its format by a reading that shares no code with the writers.

use super::*;
use crate::clock::after;
use quick_xml::events::Event;
use std::time::Duration;

/// Sheets of an evening, first versions and last ones with units and a disposition.
fn sheets() -> Vec<Sheet> {
    let city = City::kamloops().unwrap();
    let centre = Arc::new(Centre::of(&city));
    let mut sheets = Vec::new();
    for call in city.evening(21, 2.0) {
        let answered = after(call.arrives, Duration::from_secs(9));
        let entered = after(answered, Duration::from_secs(30));
        let first = Sheet::entered(Arc::new(call), Arc::clone(&centre), answered, entered);
        let mut last = first.clone();
        last.version_at = after(entered, Duration::from_secs(1800));
        last.notes.push((last.version_at, "She said \"no\", <loudly> & left; l'appelant attend.".to_owned()));
        last.stated.insert("weapon".to_owned(), "present".to_owned());
        let taken = [UnitState::Dispatched, UnitState::EnRoute, UnitState::OnScene, UnitState::Cleared];
        let taken = taken.into_iter().map(|state| (state, last.version_at)).collect();
        last.units.push(UnitLine { name: "P12".to_owned(), service: Service::Police, taken });
        last.life = Life::Closed;
        last.disposition = Some(("18", "Settled by contact"));
        sheets.extend([first, last]);
    }
    assert!(sheets.len() > 300);
    sheets
}

fn read_text(bytes: &[u8], encoding: Encoding) -> String {
    let units =
        |of: fn([u8; 2]) -> u16| -> Vec<u16> { bytes.as_chunks::<2>().0.iter().map(|pair| of(*pair)).collect() };
    let text = match encoding {
        Encoding::Utf8 => return String::from_utf8(bytes.to_vec()).unwrap(),
        Encoding::Utf8Marked => String::from_utf8(bytes.to_vec()).unwrap(),
        Encoding::Utf16Le => String::from_utf16(&units(u16::from_le_bytes)).unwrap(),
        Encoding::Utf16Be => String::from_utf16(&units(u16::from_be_bytes)).unwrap(),
    };
    text.strip_prefix('\u{feff}').expect("a byte order mark").to_owned()
}

/// Reads the whole document and returns element texts by path.
fn read_xml(text: &str) -> Vec<(String, String)> {
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let (mut path, mut found) = (Vec::<String>::new(), Vec::<(String, String)>::new());
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                path.push(start.name().as_ref().to_owned());
                found.push((path.join("/"), String::new()));
            }
            Event::End(_) => {
                path.pop();
            }
            Event::Text(text) => {
                if let Some(last) = found.last_mut() {
                    last.1.push_str(&text);
                }
            }
            Event::GeneralRef(name) => {
                let resolved = match &*name {
                    "amp" => "&",
                    "lt" => "<",
                    "gt" => ">",
                    "quot" => "\"",
                    "apos" => "'",
                    other => panic!("entity {other}"),
                };
                found.last_mut().unwrap().1.push_str(resolved);
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert!(path.is_empty());
    found.into_iter().map(|(path, text)| (path, text.trim_end_matches('\n').to_owned())).collect()
}

#[test]
fn every_eido_has_its_required_members_and_references_that_resolve() {
    for sheet in sheets() {
        let bytes = sheet.write(RecordFormat::EidoJson, Encoding::Utf8);
        let eido: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        for member in [
            "$id",
            "lastUpdateTimeStamp",
            "updatedByAgencyReference",
            "eidoVersion",
            "issuingElementIdentification",
            "agencyComponent",
        ] {
            assert!(!eido[member].is_null(), "{member}");
        }
        assert_eq!(eido["$id"], sheet.incident_id(RecordFormat::EidoJson));
        let version: Timestamp = eido["lastUpdateTimeStamp"].as_str().unwrap().parse().unwrap();
        assert_eq!(version.as_millisecond(), sheet.version_at.as_millisecond());
        let (mut ids, mut references) = (Vec::new(), Vec::new());
        collect(&eido, &mut ids, &mut references);
        for reference in references {
            assert!(ids.contains(&reference), "{reference}");
        }
        let pidf = eido["locationComponent"][0]["locationByValue"].as_str().unwrap();
        let elements = read_xml(pidf);
        let of = |name: &str| elements.iter().find(|(path, _)| path.ends_with(name)).unwrap().1.clone();
        assert_eq!(of("gml:pos"), format!("{} {}", sheet.call.latitude, sheet.call.longitude));
        assert_eq!(of("ca:RD"), sheet.call.street);
        let code = eido["incidentComponent"]["incidentTypeCommonRegistryText"].as_str().unwrap();
        assert_ne!(code, "TROUBLE", "{} has no common type", sheet.call.call_type);
        assert_eq!(eido["notesComponent"].as_array().unwrap().len(), sheet.notes.len());
    }
}

fn collect(value: &serde_json::Value, ids: &mut Vec<String>, references: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            ids.extend(members.get("$id").and_then(|id| id.as_str()).map(str::to_owned));
            references.extend(members.get("$ref").and_then(|id| id.as_str()).map(str::to_owned));
            members.values().for_each(|member| collect(member, ids, references));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, ids, references)),
        _ => {}
    }
}

#[test]
fn every_call_export_is_well_formed_in_every_encoding() {
    for (number, sheet) in sheets().iter().enumerate() {
        let encodings = [Encoding::Utf8, Encoding::Utf8Marked, Encoding::Utf16Le, Encoding::Utf16Be];
        let encoding = encodings[number % encodings.len()];
        let elements = read_xml(&read_text(&sheet.write(RecordFormat::CadExportXml, encoding), encoding));
        let of = |name: &str| elements.iter().find(|(path, _)| path == name).unwrap().1.clone();
        assert_eq!(of("CallExport/CallNumber"), sheet.call.number);
        assert_eq!(of("CallExport/AgencyContexts/AgencyContext/CallType"), sheet.call.call_type);
        assert!(of("CallExport/CreateDateTime").parse::<jiff::civil::DateTime>().is_ok());
        let texts = elements.iter().filter(|(path, _)| path.ends_with("Narrative/Text"));
        let texts: Vec<&String> = texts.map(|(_, text)| text).collect();
        assert_eq!(texts, sheet.notes.iter().map(|note| &note.1).collect::<Vec<_>>());
        let closed = of("CallExport/ClosedFlag");
        assert_eq!(closed, if sheet.life == Life::Open { "false" } else { "true" });
    }
}

#[test]
fn every_row_has_its_columns_and_says_what_the_sheet_says() {
    for sheet in sheets() {
        let bytes = sheet.write(RecordFormat::Delimited, Encoding::Utf8);
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let headers = reader.headers().unwrap().clone();
        let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
        assert_eq!(rows.len(), 1);
        let of = |name: &str| rows[0].get(headers.iter().position(|header| header == name).unwrap()).unwrap();
        assert_eq!(of("IncidentNumber"), sheet.call.number);
        assert_eq!(of("Weapon"), sheet.stated.get("weapon").map(String::as_str).unwrap_or_default());
        assert_eq!(of("SelfHarm"), sheet.stated.get("self_harm").map(String::as_str).unwrap_or_default());
        assert_eq!(of("Age"), sheet.stated.get("age").map(String::as_str).unwrap_or_default());
        let notes: Vec<&str> = sheet.notes.iter().map(|note| note.1.as_str()).collect();
        assert_eq!(of("Narrative"), notes.join("\n"));
    }
}

#[test]
fn all_formats_encodings_and_doors_are_drawn() {
    let mut rng = chance::stream(1, "channels", 0);
    let channels: Vec<Channel> = (0..2_000).map(|_| Channel::draw(&mut rng)).collect();
    let share = |test: fn(&Channel) -> bool| channels.iter().filter(|channel| test(channel)).count();
    assert!((1_100..1_300).contains(&share(|channel| channel.format == RecordFormat::EidoJson)));
    assert!(share(|channel| channel.encoding == Encoding::Utf16Le) > 100);
    assert!(share(|channel| channel.encoding == Encoding::Utf16Be) > 20);
    assert!((400..600).contains(&share(|channel| channel.door == Door::Intake)));
    assert_eq!(share(|channel| channel.format == RecordFormat::EidoJson && channel.encoding != Encoding::Utf8), 0);
}
