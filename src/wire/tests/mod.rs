//! Tests of the decoders on the project's own samples, on hostile input, and by properties.

mod eido;
mod cad_export_xml;
mod conveyance;
mod delimited;
mod hostile;

use super::*;
use std::path::{Path, PathBuf};

fn samples_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/call_record")
}

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(samples_folder().join(name)).unwrap()
}

/// Every sample of a folder: name and bytes.
fn samples(folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(samples_folder().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names.iter().map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect()
}

fn sender() -> SenderProfile {
    SenderProfile {
        agency: "kamloops.example".to_owned(),
        element: "cad".to_owned(),
        time_zone: TimeZone::get("America/Vancouver").unwrap(),
        layout: None,
        call_types: None,
    }
}

fn sender_with_layout() -> SenderProfile {
    let text = String::from_utf8(sample("delimited/layout.toml")).unwrap();
    SenderProfile { layout: Some(Layout::parse(&text).unwrap()), ..sender() }
}

fn decoded(bytes: &[u8]) -> CallRecord {
    decode(bytes, None, &sender()).unwrap()
}

fn problem(bytes: &[u8]) -> &'static str {
    decode(bytes, None, &sender()).unwrap_err().problem
}

fn kinds(record: &CallRecord) -> Vec<&str> {
    record.repairs.iter().map(|repair| repair.kind.as_str()).collect()
}

fn has_repair(record: &CallRecord, path: &str, kind: &str) -> bool {
    record.repairs.iter().any(|repair| repair.path == path && repair.kind == kind)
}

fn at(text: &str) -> jiff::Timestamp {
    text.parse().unwrap()
}

#[test]
fn every_repair_kind_that_a_sample_needs_is_described_in_the_readme() {
    let readme = String::from_utf8(sample("README.md")).unwrap();
    for (name, bytes) in samples("eido").into_iter().chain(samples("call_export")) {
        for kind in kinds(&decoded(&bytes)) {
            assert!(readme.contains(&format!("`{kind}`")), "{kind} of {name}");
        }
    }
}

fn names(object: &serde_json::Map<String, serde_json::Value>) -> std::collections::BTreeSet<&str> {
    object.keys().map(String::as_str).collect()
}

#[test]
fn every_sample_serialises_in_the_shape_of_the_schema() {
    let schema: serde_json::Value = serde_json::from_slice(&sample("call_record.schema.json")).unwrap();
    let properties = schema["properties"].as_object().unwrap();
    for (name, bytes) in samples("eido").into_iter().chain(samples("call_export")) {
        let record = serde_json::to_value(decoded(&bytes)).unwrap();
        assert_eq!(names(record.as_object().unwrap()), names(properties), "{name}");
        for (list, definition) in [("locations", "location"), ("persons", "person"), ("units", "unit_status")] {
            let known = schema["$defs"][definition]["properties"].as_object().unwrap();
            for item in record[list].as_array().unwrap() {
                assert_eq!(names(item.as_object().unwrap()), names(known), "{list} of {name}");
            }
        }
    }
}
