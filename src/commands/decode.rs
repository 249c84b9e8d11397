//! `fourth decode`: any accepted format as the canonical call record in JSON, with every repair listed.

use crate::commands::{BadInput, Ending, Verdict};
use crate::record::{CallRecord, Format};
use crate::wire::{Layout, RECORD_BYTES_MAX, SenderProfile, decode, decode_rows};
use jiff::tz::TimeZone;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Bytes in one file of many delimited rows, at most.
pub(super) const ROWS_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Bytes in one layout file, at most.
pub(super) const LAYOUT_BYTES_MAX: usize = 1024 * 1024;

/// Which files, and what the decoder must know of their sender.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Files, each one call record; with a layout, each a file of rows.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Format, where it is not to be recognised from the content: eido-json, cad-export-xml or delimited.
    #[arg(long, value_parser = format_by_name)]
    pub format: Option<Format>,
    /// IANA zone of times without an offset.
    #[arg(long, default_value = "UTC")]
    pub zone: String,
    /// Layout file of delimited text.
    #[arg(long)]
    pub layout: Option<PathBuf>,
}

/// Prints each record as one JSON object on its own line.
///
/// # Errors
/// [`BadInput`] that names the file and the place in it; the records before it have been printed.
pub fn run(args: &Args, out: &mut dyn Write) -> Ending {
    let sender = sender_profile(&args.zone, args.layout.as_deref())?;
    for file in &args.files {
        for record in records(file, args.format, &sender)? {
            let line = serde_json::to_string(&record?)
                .map_err(|error| BadInput::new(format!("output cannot be written: {error}")))?;
            writeln!(out, "{line}")?;
        }
    }
    Ok(Verdict::Good)
}

/// Records of one file, or why one cannot be read.
pub type Records<'s> = Box<dyn Iterator<Item = Result<CallRecord, BadInput>> + 's>;

/// The records of one file: one, or with a layout one for each row.
///
/// # Errors
/// [`BadInput`] where the file cannot be read.
pub fn records<'s>(file: &'s Path, format: Option<Format>, sender: &'s SenderProfile) -> Result<Records<'s>, BadInput> {
    let of_file = move |error: crate::wire::DecodeError| BadInput::new(format!("`{}`: {error}", file.display()));
    let bytes = read(file, if sender.layout.is_some() { ROWS_BYTES_MAX } else { RECORD_BYTES_MAX + 1 })?;
    let many_rows = match format {
        Some(format) => format == Format::Delimited,
        None => sender.layout.is_some() && !starts_a_document(&bytes),
    };
    if many_rows {
        let rows = decode_rows(&bytes, sender).map_err(of_file)?;
        return Ok(Box::new(rows.map(move |row| row.map_err(of_file))));
    }
    Ok(Box::new(std::iter::once(decode(&bytes, format, sender).map_err(of_file))))
}

/// True where the first character that is neither a byte-order mark, NUL nor white space opens JSON or XML.
fn starts_a_document(bytes: &[u8]) -> bool {
    let first =
        bytes.iter().find(|byte| !matches!(byte, 0xEF | 0xBB | 0xBF | 0xFE | 0xFF | 0) && !byte.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'<'))
}

/// What a decoder must know of a sender that only the command line describes.
///
/// # Errors
/// Where the zone is unknown, or the layout cannot be read.
pub fn sender_profile(zone: &str, layout: Option<&Path>) -> Result<SenderProfile, BadInput> {
    let time_zone = TimeZone::get(zone).map_err(|_| {
        BadInput::new(format!("`{zone}` is not a time zone")).help("give an IANA name such as `America/Vancouver`")
    })?;
    let layout = layout.map(read_layout).transpose()?;
    Ok(SenderProfile { agency: "local".to_owned(), element: "file".to_owned(), time_zone, layout, call_types: None })
}

pub(super) fn read_layout(path: &Path) -> Result<Layout, BadInput> {
    let bytes = read(path, LAYOUT_BYTES_MAX)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| BadInput::new(format!("`{}` is not UTF-8", path.display())))?;
    Layout::parse(text).map_err(|error| {
        BadInput::new(format!("`{}`: {error}", path.display()))
            .help("schemas/call_record/README.md describes layouts and shows a whole one")
    })
}

/// Reads a file of at most `bytes_max` bytes.
pub(super) fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, BadInput> {
    let fault = |error: &dyn std::fmt::Display| BadInput::new(format!("`{}` cannot be read: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| fault(&error))?;
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(|error| fault(&error))?;
    if bytes.len() > bytes_max {
        return Err(fault(&format!("it is larger than {bytes_max} bytes")));
    }
    Ok(bytes)
}

/// A format by the name it has on the command line.
///
/// # Errors
/// The valid names.
pub fn format_by_name(name: &str) -> Result<Format, String> {
    [Format::EidoJson, Format::CadExportXml, Format::Delimited]
        .into_iter()
        .find(|format| format.name() == name)
        .ok_or_else(|| "the formats are eido-json, cad-export-xml and delimited".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(files: &[&str], layout: Option<&str>) -> Args {
        let sample = |name: &&str| Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/call_record").join(name);
        Args {
            files: files.iter().map(sample).collect(),
            format: None,
            zone: "America/Vancouver".to_owned(),
            layout: layout.map(|name| sample(&name)),
        }
    }

    #[test]
    fn every_record_is_one_line_of_json() {
        let mut out = Vec::new();
        let args = args(&["eido/welfare_check.json", "call_export/structure_fire.xml"], None);
        assert_eq!(run(&args, &mut out), Ok(Verdict::Good));
        let text = String::from_utf8(out).unwrap();
        let records: Vec<CallRecord> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            records.iter().map(|record| record.format.name()).collect::<Vec<_>>(),
            ["eido-json", "cad-export-xml"]
        );
    }

    #[test]
    fn a_file_of_rows_is_a_line_for_each_row() {
        let mut out = Vec::new();
        let args = args(&["delimited/calls.csv", "eido/welfare_check.json"], Some("delimited/layout.toml"));
        assert_eq!(run(&args, &mut out), Ok(Verdict::Good));
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 5);
    }

    #[test]
    fn bad_input_names_the_file() {
        let mut out = Vec::new();
        let error = run(&args(&["README.md"], None), &mut out).unwrap_err();
        assert!(error.message.contains("README.md") && error.message.contains("not-recognised"), "{error}");
        let error = run(&args(&["no-such-file.json"], None), &mut out).unwrap_err();
        assert!(error.message.contains("no-such-file.json"), "{error}");
        assert!(sender_profile("Mars/Olympus", None).unwrap_err().message.contains("Mars/Olympus"));
    }
}
