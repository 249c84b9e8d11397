//! Any bytes as cad_export_xml: a record with an identity, or a refusal; never a panic.
#![no_main]

mod sender;

use fourth_option::record::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = fourth_option::wire::decode(bytes, Some(Format::CadExportXml), &sender::SENDER) {
        assert!(!record.identity.incident.is_empty());
    }
});
