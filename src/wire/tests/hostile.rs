//! Input that means harm, or that the wire has broken: refused by name, never a panic, never half a record.

use super::*;
use proptest::prelude::*;
use std::fmt::Write as _;

fn export(inside: &str) -> Vec<u8> {
    format!("<CallExport><CallNumber>1</CallNumber>{inside}</CallExport>").into_bytes()
}

fn eido(members: &str) -> Vec<u8> {
    format!(r#"{{"$id":"urn:emergency:uid:incidentid:7:psap.example",{members}}}"#).into_bytes()
}

#[test]
fn entities_doctypes_and_instructions_are_refused() {
    let laughs = "<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY lol2 \"&lol;&lol;\">]>\
                  <CallExport><CallNumber>&lol2;</CallNumber></CallExport>";
    assert_eq!(problem(laughs.as_bytes()), "doctype-refused");
    let outside = "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><CallExport/>";
    assert_eq!(problem(outside.as_bytes()), "doctype-refused");
    assert_eq!(problem(&export("<CallSource>&lol;</CallSource>")), "entity-refused");
    assert_eq!(problem(&export("<CallSource a=\"&lol;\"/>")), "entity-refused");
    assert_eq!(problem(&export("<?xml-stylesheet href='http://example.org'?>")), "processing-instruction-refused");
    assert_eq!(problem(&export("<CallSource>&#0;</CallSource>")), "malformed-xml");
    assert_eq!(problem(&export("<CallSource>\u{1}</CallSource>")), "malformed-xml");
    assert_eq!(problem(b"<CallExport><CallNumber>1</CallNumber></CallExport><CallExport/>"), "malformed-xml");
    let inner = r#""locationComponent":[{"locationByValue":"<!DOCTYPE a [<!ENTITY b 'c'>]><presence>&b;</presence>"}]"#;
    let error = decode(&eido(inner), None, &sender()).unwrap_err();
    assert_eq!(error.problem, "doctype-refused");
    assert!(error.place.starts_with("$.locationComponent[0].locationByValue"), "{}", error.place);
}

#[test]
fn five_predefined_entities_and_numbers_are_read() {
    let record = decoded(&export("<CallSource>&lt;&gt;&amp;&apos;&quot;&#65;&#x42;</CallSource>"));
    assert_eq!(record.call_source.as_deref(), Some("<>&'\"AB"));
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| {
        let xml = format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        (export(&xml), eido(&format!("\"unknown\":{}{}", "[".repeat(depth), "]".repeat(depth))))
    };
    let (xml, json) = nested(DEPTH_MAX - 1);
    assert_eq!(decoded(&xml).unknown_fields, ["a"]);
    assert_eq!(decoded(&json).unknown_fields, ["unknown"]);
    for depth in [DEPTH_MAX, 100_000] {
        let (xml, json) = nested(depth);
        assert_eq!((problem(&xml), problem(&json)), ("too-deep", "too-deep"));
    }
}

#[test]
fn counts_are_bounded() {
    assert_eq!(problem(&export(&"<a/>".repeat(ELEMENTS_MAX))), "too-many-elements");
    assert_eq!(problem(&eido(&format!("\"unknown\":[{}0]", "0,".repeat(ELEMENTS_MAX)))), "too-many-elements");
    let members: String = (0..ELEMENTS_MAX).fold(String::new(), |mut members, number| {
        let _ = write!(members, "\"{number}\":0,");
        members
    });
    assert_eq!(problem(&eido(&format!("{members}\"last\":0"))), "too-many-elements");
    let attributes: String = (0..50_000).fold(String::new(), |mut attributes, number| {
        let _ = write!(attributes, " a{number}='1'");
        attributes
    });
    assert_eq!(problem(&export(&format!("<CallSource{attributes}/>"))), "too-many-attributes");
    let listed = decoded(&eido(&(0..1000).map(|number| format!("\"u{number}\":0")).collect::<Vec<_>>().join(",")));
    assert_eq!(listed.unknown_fields.len(), UNKNOWN_FIELDS_MAX);
}

#[test]
fn bytes_are_bounded() {
    let filled = |bytes: usize| {
        let empty = eido("\"unknown\":\"\"").len();
        eido(&format!("\"unknown\":\"{}\"", "a".repeat(bytes - empty)))
    };
    assert_eq!(decoded(&filled(RECORD_BYTES_MAX)).unknown_fields, ["unknown"]);
    assert_eq!(problem(&filled(RECORD_BYTES_MAX + 1)), "too-large");
}

#[test]
fn a_member_that_stands_twice_is_refused_whatever_its_spelling() {
    for members in [
        r#""incidentComponent":{"incidentTypeInternalCode":"A","incidentTypeInternalCode":"B"}"#,
        r#""lastUpdateTimeStamp":"2026-06-09T14:00:00Z","lastUpdateTimestamp":"2026-06-09T15:00:00Z""#,
        r#""incidentComponent":{"disposition":[],"dispositionComponent":[]}"#,
        r#""notesComponent":[],"notesComponent":[]"#,
        r#""x_fourth_facts":{"weapon":"present","weapon":"none"}"#,
    ] {
        assert_eq!(problem(&eido(members)), "duplicate-key", "{members}");
    }
}

#[test]
fn facts_of_another_type_are_refused_as_such() {
    assert_eq!(problem(&eido("\"x_fourth_facts\":\"weapon\"")), "wrong-type");
    assert_eq!(problem(&eido("\"x_fourth_facts\":{\"weapon\":{\"seen\":true}}")), "wrong-type");
    assert_eq!(decoded(&eido("\"x_fourth_facts\":{\"weapon\":null}")).stated_facts, []);
}

#[test]
fn an_error_never_quotes_the_record() {
    for bytes in [
        eido("\"callComponent\":[7,\"Marjorie Okafor\"]"),
        eido("\"incidentComponent\":\"Marjorie Okafor\""),
        b"{\"Marjorie Okafor\": nope}".to_vec(),
        b"<CallExport><Marjorie>Okafor</CallExport>".to_vec(),
    ] {
        let error = decode(&bytes, None, &sender()).unwrap_err().to_string();
        assert!(!error.contains("Marjorie") && !error.contains("Okafor"), "{error}");
    }
}

#[test]
fn encodings_that_are_broken_are_refused_or_listed() {
    assert_eq!(problem(&[0xFF, 0xFE, 0, 0, b'<', 0, 0, 0]), "encoding-not-supported");
    assert_eq!(problem(&[0xFF, 0xFE, b'<', 0, b'a']), "malformed-encoding");
    assert_eq!(problem(b""), "not-recognised");
    assert_eq!(problem(b"\xEF\xBB\xBF  \n"), "not-recognised");
    let mut latin = export("<CallSource>Zo");
    let end = latin.windows(2).position(|pair| pair == b"Zo").unwrap() + 2;
    latin.splice(end..end, [0xE9]);
    latin.splice(end + 1..end + 1, *b"</CallSource>");
    let record = decoded(&latin);
    assert_eq!(record.call_source.as_deref(), Some("Zoé"));
    assert!(has_repair(&record, "record", "encoding-assumed-windows-1252"));
}

#[test]
fn no_truncation_of_a_sample_is_taken_for_the_whole() {
    for (name, bytes) in samples("eido").into_iter().chain(samples("call_export")) {
        let whole = decoded(&bytes);
        for end in 0..bytes.len() {
            if let Ok(record) = decode(&bytes[..end], None, &sender()) {
                let lost_only_the_line_end = bytes.len() - end <= 2;
                assert!(lost_only_the_line_end, "{name} cut at {end}");
                assert_eq!(record.identity.incident, whole.identity.incident);
                assert_eq!(record.notes, whole.notes);
            }
        }
    }
}

fn any_sample() -> impl Strategy<Value = Vec<u8>> {
    let all: Vec<Vec<u8>> =
        ["eido", "call_export", "delimited"].into_iter().flat_map(samples).map(|(_, bytes)| bytes).collect();
    prop::sample::select(all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_are_refused_or_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for format in [None, Some(Format::EidoJson), Some(Format::CadExportXml), Some(Format::Delimited)] {
            let _ = decode(&bytes, format, &sender_with_layout());
        }
    }

    #[test]
    fn any_document_like_text_is_refused_or_read_without_panic(
        text in r#"[<{]([<>/!?&;=:"'\[\]{},#xa1e. -]|CallExport|CallNumber|\$id|gml:pos|notesComponent){0,80}"#,
    ) {
        let _ = decode(text.as_bytes(), None, &sender());
        let located = serde_json::json!({ "$id": "urn:a", "locationComponent": [{ "locationByValue": text }] });
        let _ = decode(located.to_string().as_bytes(), None, &sender());
    }

    #[test]
    fn mutated_samples_are_refused_or_read_with_an_identity(
        bytes in any_sample(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..8),
    ) {
        let mut bytes = bytes;
        for (index, byte, kind) in changes {
            let at = index.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { let _ = bytes.remove(at); }
            }
        }
        if let Ok(record) = decode(&bytes, None, &sender()) {
            prop_assert!(!record.identity.incident.is_empty());
            prop_assert_eq!(record.identity.content_sha256.len(), 64);
            for point in record.locations.iter().filter_map(|place| place.point) {
                prop_assert!(point.latitude.abs() <= 90.0 && point.longitude.abs() <= 180.0);
            }
        }
        let _ = decode_rows(&bytes, &sender_with_layout()).map(Iterator::count);
    }
}
