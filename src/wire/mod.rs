//! Bytes to call records and back. Formats are recognised from content; limits hold before anything is built.

use crate::record::{CallRecord, Format};
use jiff::tz::TimeZone;

/// Bytes in one record, at most.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;
/// Nesting depth, at most.
pub const DEPTH_MAX: usize = 64;
/// Elements, members and items in one record, at most.
pub const ELEMENTS_MAX: usize = 20_000;

/// What a decoder must know about the sender, from the configuration.
#[derive(Debug, Clone)]
pub struct SenderProfile {
    /// Agency name used where the format carries none.
    pub agency: String,
    /// Element name used where the format carries none.
    pub element: String,
    /// Zone of local times without an offset.
    pub time_zone: TimeZone,
    /// Layout of delimited text, where the sender uses it.
    pub layout: Option<Layout>,
}

/// Stub for the delimited layout.
#[derive(Debug, Clone)]
pub struct Layout;

/// Why bytes are not a call record. Names the place, never the content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at {place}: {detail}")]
pub struct DecodeError {
    /// Kebab-case problem type (`not-recognised`, `malformed-json`, `too-deep`, `doctype-refused`, `missing-field`, …).
    pub problem: &'static str,
    /// Place in the input (`$.callComponent[0]`, `line 3`, `byte 17`), without content.
    pub place: String,
    /// What is wrong and what to do next, without content.
    pub detail: String,
}

/// Recognises the format and decodes one record. `format` overrides recognition.
///
/// # Errors
/// [`DecodeError`]; nothing is returned in part.
pub fn decode(_bytes: &[u8], _format: Option<Format>, _sender: &SenderProfile) -> Result<CallRecord, DecodeError> {
    unimplemented!()
}

/// Who sends: the agency on whose behalf the adapter speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitter {
    /// Agency, by its fully qualified name (`kamloops.ca`).
    pub agency: crate::record::AgencyId,
    /// The adapter's element name, as the agency's network knows it (`fourth.kamloops.ca`).
    pub element: crate::record::SourceId,
    /// Agency type from the registry of responders, or a local extension (`x_community_crisis`).
    pub agency_type: String,
}

/// Encodes what the emitter may say of a record as an EIDO.
#[must_use]
pub fn encode_eido(record: &CallRecord, emitter: &Emitter, now: jiff::Timestamp) -> Vec<u8> {
    serde_json::json!({
        "$id": record.identity.incident,
        "lastUpdateTimeStamp": now,
        "issuingElementIdentification": emitter.element,
        "notesComponent": record.notes,
        "emergencyResourceComponent": record.units,
        "dispositionComponent": record.dispositions,
    })
    .to_string()
    .into_bytes()
}
