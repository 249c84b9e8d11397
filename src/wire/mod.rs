//! Bytes to call records and back. Formats are recognised from content; limits hold before anything is built.

mod detect;
mod conveyance;
mod times;
mod xml;
mod pidf_lo;
mod eido;
mod cad_export_xml;
mod delimited;
#[cfg(test)]
mod tests;

pub use conveyance::{
    Cancel, ConveyanceFault, Ending, Message as ConveyanceMessage, Notification, Push, REQUEST_TERMINATED, Receipt,
    Response, SUBPROTOCOL, Status, Subscribe,
};
pub use delimited::{FileRow, Layout, Rows, decode_rows};
pub use eido::{Emitter, encode_eido};

use crate::record::{AgencyId, CallRecord, CodeSystem, Format, RecordIdentity, SourceId};
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

/// Bytes in one record, at most.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;
/// Nesting depth, at most.
pub const DEPTH_MAX: usize = 64;
/// Elements, members and items in one record, at most.
pub const ELEMENTS_MAX: usize = 20_000;
/// Attributes on one XML element, at most.
pub const ATTRIBUTES_MAX: usize = 64;
/// Unknown fields listed by path, at most; further ones are kept in the raw bytes only.
pub const UNKNOWN_FIELDS_MAX: usize = 256;

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
    /// Whose call-type codes its records carry, where they do not say.
    pub call_types: Option<CodeSystem>,
}

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

impl DecodeError {
    fn new(problem: &'static str, place: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { problem, place: place.into(), detail: detail.into() }
    }
}

/// Recognises the format and decodes one record. `format` overrides recognition.
///
/// # Errors
/// [`DecodeError`]; nothing is returned in part.
pub fn decode(bytes: &[u8], format: Option<Format>, sender: &SenderProfile) -> Result<CallRecord, DecodeError> {
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(DecodeError::new(
            "too-large",
            "record",
            format!("a record has at most {RECORD_BYTES_MAX} bytes, this one has {}", bytes.len()),
        ));
    }
    let input = detect::text_of(bytes, sender.layout.as_ref().and_then(Layout::encoding))?;
    let format = match format {
        Some(format) => format,
        None => detect::format_of(&input.text, sender.layout.is_some())?,
    };
    let mut record = CallRecord::new(identity(bytes, sender), format);
    for kind in input.repairs {
        record.repair("record", kind);
    }
    match format {
        Format::EidoJson => eido::fill(&mut record, &input.text, sender)?,
        Format::CadExportXml => cad_export_xml::fill(&mut record, &input.text, sender)?,
        Format::Delimited => delimited::fill(&mut record, &input.text, sender)?,
    }
    if let Some(system) = &sender.call_types {
        record.nature.declare(system);
    }
    Ok(record)
}

/// The identity that holds where the record itself says nothing.
fn identity(bytes: &[u8], sender: &SenderProfile) -> RecordIdentity {
    RecordIdentity {
        agency: AgencyId::new(sender.agency.as_str()),
        element: SourceId::new(sender.element.as_str()),
        incident: String::new(),
        updated_at: None,
        content_sha256: hex::encode(Sha256::digest(bytes)),
    }
}

/// Lists an unknown field once, within [`UNKNOWN_FIELDS_MAX`].
fn list_unknown(unknown: &mut Vec<String>, path: &str) {
    if unknown.len() < UNKNOWN_FIELDS_MAX && !unknown.iter().any(|known| known == path) {
        unknown.push(path.to_owned());
    }
}
