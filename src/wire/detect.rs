//! What the bytes are: their character encoding and their format, from their content alone.

use super::DecodeError;
use crate::record::Format;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use std::borrow::Cow;

/// How far an XML declaration may reach, bytes.
const DECLARATION_BYTES_MAX: usize = 200;

/// Text and what was mended to read it.
pub(super) struct Input<'a> {
    /// The text without byte-order mark.
    pub(super) text: Cow<'a, str>,
    /// Repair kinds, each of the whole record.
    pub(super) repairs: Vec<&'static str>,
}

/// Bytes to text: byte-order mark, UTF-16 without one, the XML declaration, then UTF-8.
///
/// `configured` is the encoding of the sender's delimited text; a mark wins over it, and documents do not follow it.
pub(super) fn text_of<'a>(bytes: &'a [u8], configured: Option<&'static Encoding>) -> Result<Input<'a>, DecodeError> {
    if bytes.starts_with(&[0xFF, 0xFE, 0, 0]) || bytes.starts_with(&[0, 0, 0xFE, 0xFF]) {
        return Err(DecodeError::new("encoding-not-supported", "byte 0", "UTF-32 is not read; send UTF-8"));
    }
    if let Some((encoding, mark_bytes)) = Encoding::for_bom(bytes) {
        let rest = bytes.get(mark_bytes..).unwrap_or_default();
        // A real CAD writes the mark of UTF-16 before plain UTF-8; text in UTF-16 has a NUL in every line.
        if let (true, false, Ok(text)) = (encoding != UTF_8, rest.contains(&0), std::str::from_utf8(rest)) {
            return Ok(Input { text: Cow::Borrowed(text), repairs: vec!["byte-order-mark-wrong"] });
        }
        return decoded(encoding, rest, Vec::new());
    }
    match bytes {
        [0, second, ..] if *second != 0 => return decoded(UTF_16BE, bytes, vec!["byte-order-guessed"]),
        [first, 0, ..] if *first != 0 => return decoded(UTF_16LE, bytes, vec!["byte-order-guessed"]),
        _ => {}
    }
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let is_document = matches!(first, Some(b'{' | b'<'));
    if let Some(encoding) = configured.filter(|encoding| *encoding != UTF_8 && !is_document) {
        return decoded(encoding, bytes, Vec::new());
    }
    match (declared_encoding(bytes), std::str::from_utf8(bytes)) {
        (Some(declared), _) if !is_unicode(declared) && !bytes.is_ascii() => decoded(declared, bytes, Vec::new()),
        (Some(declared), Ok(text)) if declared == UTF_16LE || declared == UTF_16BE => {
            Ok(Input { text: Cow::Borrowed(text), repairs: vec!["encoding-declared-wrongly"] })
        }
        (_, Ok(text)) => Ok(Input { text: Cow::Borrowed(text), repairs: Vec::new() }),
        // Losing an update over one accented letter would be worse than reading the letter wrongly.
        (_, Err(_)) => decoded(WINDOWS_1252, bytes, vec!["encoding-assumed-windows-1252"]),
    }
}

fn is_unicode(encoding: &'static Encoding) -> bool {
    encoding == UTF_8 || encoding == UTF_16LE || encoding == UTF_16BE
}

fn decoded<'a>(
    encoding: &'static Encoding,
    bytes: &'a [u8],
    mut repairs: Vec<&'static str>,
) -> Result<Input<'a>, DecodeError> {
    let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(bytes) else {
        return Err(DecodeError::new(
            "malformed-encoding",
            "record",
            format!("the bytes are not whole, valid {}; send UTF-8", encoding.name()),
        ));
    };
    let declared = declared_encoding(text.as_bytes());
    if encoding != UTF_8 && is_unicode(encoding) && declared == Some(UTF_8) {
        repairs.push("encoding-declared-wrongly");
    }
    Ok(Input { text, repairs })
}

/// The encoding that an XML declaration names.
fn declared_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..DECLARATION_BYTES_MAX.min(bytes.len()))?;
    let head = head.strip_prefix(b"<?xml")?;
    let head: String = head.iter().take_while(|byte| **byte != b'>').map(|byte| char::from(*byte)).collect();
    let (_, rest) = head.split_once("encoding")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    Encoding::for_label(rest.split(quote).nth(1)?.as_bytes())
}

/// The format, from the first character that is not white space.
pub(super) fn format_of(text: &str, has_layout: bool) -> Result<Format, DecodeError> {
    let refused = |detail: &str| Err(DecodeError::new("not-recognised", "byte 0", detail));
    match text.trim_start().chars().next() {
        Some('{') => Ok(Format::EidoJson),
        Some('<') => Ok(Format::CadExportXml),
        Some(_) if has_layout => Ok(Format::Delimited),
        Some('[') => refused("this is a list; send one EIDO at a time"),
        Some(_) => refused(
            "neither an EIDO (JSON) nor a CallExport (XML); for delimited text configure a layout for this sender",
        ),
        None => refused("the record is empty"),
    }
}
