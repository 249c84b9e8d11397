//! Delimited text, one record a row, read with the sender's layout.

mod layout;
mod row;

pub use layout::Layout;

use self::layout::Place;
use self::row::Filling;
use super::{DecodeError, RECORD_BYTES_MAX, SenderProfile, detect, identity, list_unknown};
use crate::record::{CallRecord, Format};
use csv::{ReaderBuilder, StringRecord, Trim};
use std::io::Cursor;

/// Columns in one row, at most.
const COLUMNS_MAX: usize = 1024;

/// Fills a record from text that holds exactly one row (after the header, where the layout has one).
pub(super) fn fill(record: &mut CallRecord, text: &str, sender: &SenderProfile) -> Result<(), DecodeError> {
    let mut rows = Rows::new(text.to_owned(), sender)?;
    let Some(row) = rows.next_row()? else {
        return Err(DecodeError::new("not-recognised", "line 1", "there is no row"));
    };
    rows.fill(record, &row)?;
    if rows.next_row()?.is_some() {
        let detail = "a call record is one row; send each row by itself, with the header where the layout has one";
        return Err(DecodeError::new("several-rows", format!("line {}", rows.line), detail));
    }
    Ok(())
}

/// Decodes a file of many rows. Each row is its own record; a row that cannot be read does not end the file.
///
/// `content_sha256` is of the row's own bytes, in UTF-8.
///
/// # Errors
/// Where the sender has no layout, the bytes are not text, or the header lacks a column of the layout.
pub fn decode_rows<'s>(bytes: &[u8], sender: &'s SenderProfile) -> Result<Rows<'s>, DecodeError> {
    let input = detect::text_of(bytes, sender.layout.as_ref().and_then(Layout::encoding))?;
    Rows::new(input.text.into_owned(), sender)
}

/// The rows of a file as call records. See [`decode_rows`].
pub struct Rows<'s> {
    sender: &'s SenderProfile,
    layout: &'s Layout,
    reader: csv::Reader<Cursor<String>>,
    /// Positions of the layout's columns, each with its second.
    places: Vec<(usize, Option<usize>)>,
    unknown: Vec<String>,
    line: u64,
    raw_from: usize,
    ended: bool,
}

impl Iterator for Rows<'_> {
    type Item = Result<CallRecord, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = match self.next_row() {
            Ok(row) => row?,
            Err(error) => return Some(Err(error)),
        };
        let mut record = CallRecord::new(identity(self.raw().as_bytes(), self.sender), Format::Delimited);
        Some(self.fill(&mut record, &row).map(|()| record))
    }
}

impl<'s> Rows<'s> {
    fn new(text: String, sender: &'s SenderProfile) -> Result<Self, DecodeError> {
        let Some(layout) = &sender.layout else {
            return Err(DecodeError::new("no-layout", "record", "delimited text is read with a layout; configure one"));
        };
        let mut builder = ReaderBuilder::new();
        builder.delimiter(layout.delimiter).has_headers(false).flexible(true).trim(Trim::All);
        match layout.quote {
            Some(quote) => builder.quote(quote),
            None => builder.quoting(false),
        };
        let reader = builder.from_reader(Cursor::new(text));
        let (places, unknown) = (Vec::new(), Vec::new());
        let mut rows = Self { sender, layout, reader, places, unknown, line: 0, raw_from: 0, ended: false };
        let header = if layout.header {
            let header = rows.next_row()?;
            Some(
                header
                    .ok_or_else(|| DecodeError::new("missing-header", "line 1", "the layout says there is a header"))?,
            )
        } else {
            None
        };
        for column in &layout.columns {
            let first = position(&column.place, header.as_ref())?;
            let second = column.and.as_ref().map(|place| position(place, header.as_ref())).transpose()?;
            rows.places.push((first, second));
        }
        if let Some(header) = &header {
            for (index, name) in header.iter().enumerate() {
                if !rows.is_placed(index) {
                    let path = if name.is_empty() { format!("column {}", index + 1) } else { name.to_owned() };
                    list_unknown(&mut rows.unknown, &path);
                }
            }
        }
        Ok(rows)
    }

    fn is_placed(&self, index: usize) -> bool {
        self.places.iter().any(|(first, second)| *first == index || *second == Some(index))
    }

    /// The raw text of the row just read.
    fn raw(&self) -> &str {
        let to = usize::try_from(self.reader.position().byte()).unwrap_or(usize::MAX);
        self.reader.get_ref().get_ref().get(self.raw_from..to).unwrap_or_default().trim_matches(['\r', '\n'])
    }

    fn next_row(&mut self) -> Result<Option<StringRecord>, DecodeError> {
        self.line = self.reader.position().line();
        self.raw_from = usize::try_from(self.reader.position().byte()).unwrap_or(usize::MAX);
        let mut row = StringRecord::new();
        let place = format!("line {}", self.line);
        match self.reader.read_record(&mut row) {
            Ok(true) => {}
            Ok(false) => {
                self.ended = true;
                return Ok(None);
            }
            Err(_) => {
                self.ended = true;
                return Err(DecodeError::new("malformed-row", place, "the row cannot be read"));
            }
        }
        let raw = self.raw();
        if raw.len() > RECORD_BYTES_MAX {
            return Err(DecodeError::new("too-large", place, format!("a row has at most {RECORD_BYTES_MAX} bytes")));
        }
        if row.len() > COLUMNS_MAX {
            let detail = format!("a row has at most {COLUMNS_MAX} columns");
            return Err(DecodeError::new("too-many-elements", place, detail));
        }
        // The csv crate reads a quote that never closes to the end of the file, as if it were whole.
        if self.layout.quote.is_some_and(|quote| ends_inside_quotes(raw, self.layout.delimiter, quote)) {
            return Err(DecodeError::new("malformed-row", place, "a quoted field is not closed"));
        }
        Ok(Some(row))
    }

    fn fill(&self, record: &mut CallRecord, row: &StringRecord) -> Result<(), DecodeError> {
        let line = format!("line {}", self.line);
        record.unknown_fields.clone_from(&self.unknown);
        if !self.layout.header {
            for index in (0..row.len()).filter(|index| !self.is_placed(*index)) {
                list_unknown(&mut record.unknown_fields, &format!("column {}", index + 1));
            }
        }
        let mut filling = Filling::new(record, self.sender, self.layout);
        for (column, (first, second)) in self.layout.columns.iter().zip(&self.places) {
            let path = named(&column.place);
            let Some(cell) = row.get(*first) else {
                return Err(DecodeError::new("missing-field", format!("{line}, {path}"), "the row is too short"));
            };
            let joined;
            let cell = match second.and_then(|second| row.get(second)) {
                Some(more) if !more.is_empty() => {
                    joined = format!("{cell} {more}");
                    joined.as_str()
                }
                _ => cell,
            };
            filling.cell(column, cell, &path);
        }
        filling.finish();
        for system in [&self.layout.call_types, &self.sender.call_types].into_iter().flatten() {
            record.nature.declare(system);
        }
        if record.identity.incident.is_empty() {
            return Err(DecodeError::new("missing-field", line, "the column of the incident is empty"));
        }
        Ok(())
    }
}

/// True where a field that opens with a quote is never closed. A quote inside an open field (`5" pipe`) is text.
fn ends_inside_quotes(raw: &str, delimiter: u8, quote: u8) -> bool {
    let (mut field_starts, mut inside) = (true, false);
    for byte in raw.bytes() {
        // A doubled quote closes and opens again at once.
        if byte == quote && (inside || field_starts) {
            inside = !inside;
            field_starts = !inside;
        } else {
            field_starts = !inside && (byte == delimiter || byte == b'\n');
        }
    }
    inside
}

fn position(place: &Place, header: Option<&StringRecord>) -> Result<usize, DecodeError> {
    match place {
        Place::Index(index) => Ok(*index),
        Place::Name(name) => {
            let mut found = header.into_iter().flatten().enumerate();
            let position = found.find(|(_, title)| title.eq_ignore_ascii_case(name)).map(|(index, _)| index);
            if found.any(|(_, title)| title.eq_ignore_ascii_case(name)) {
                let detail = format!("the header has the column `{name}` twice");
                return Err(DecodeError::new("duplicate-key", "line 1", detail));
            }
            position.ok_or_else(|| {
                let detail = format!("the header has no column `{name}`, which the layout names");
                DecodeError::new("missing-column", "line 1", detail)
            })
        }
    }
}

fn named(place: &Place) -> String {
    match place {
        Place::Name(name) => name.clone(),
        Place::Index(index) => format!("column {}", index + 1),
    }
}
