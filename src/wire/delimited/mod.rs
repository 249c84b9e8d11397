//! Delimited text, one record a row, read with the sender's layout.

mod layout;
mod row;

pub use layout::Layout;

use self::layout::Place;
use self::row::Filling;
use super::{DecodeError, RECORD_BYTES_MAX, SenderProfile, detect, identity, list_unknown};
use crate::record::{AgencyId, CallRecord, Format};
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
    /// Positions of the layout's columns, in its order.
    places: Vec<Positions>,
    /// Positions of the columns of the layout's `leave_out`, in its order.
    leave_out: Vec<usize>,
    /// Columns of the header, where there is one.
    width: Option<usize>,
    unknown: Vec<String>,
    line: u64,
    raw_from: usize,
    ended: bool,
}

/// Where a column's cell stands in a row, with the cells that belong to it.
#[derive(Debug, Clone, Copy)]
struct Positions {
    own: usize,
    and: Option<usize>,
    on: Option<usize>,
}

/// One row of a file: where it stands and what became of it.
#[derive(Debug)]
pub struct FileRow {
    /// Line on which it begins, from 1.
    pub line: u64,
    /// Lines that it takes; more than one where a quoted cell has line breaks.
    pub lines: u64,
    /// Why the layout leaves it out of history, if it does.
    pub left_out: Option<String>,
    /// The record, or why there is none.
    pub record: Result<CallRecord, DecodeError>,
}

impl Iterator for Rows<'_> {
    type Item = Result<CallRecord, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_file_row().map(|row| row.record)
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
        let (places, leave_out, unknown) = (Vec::new(), Vec::new(), Vec::new());
        let mut rows = Self {
            sender,
            layout,
            reader,
            places,
            leave_out,
            width: None,
            unknown,
            line: 0,
            raw_from: 0,
            ended: false,
        };
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
            let position = |place: &Place| position(place, header.as_ref());
            rows.places.push(Positions {
                own: position(&column.place)?,
                and: column.and.as_ref().map(position).transpose()?,
                on: column.on.as_ref().map(position).transpose()?,
            });
        }
        for rule in &layout.leave_out {
            rows.leave_out.push(position(&rule.place, header.as_ref())?);
        }
        rows.width = header.as_ref().map(StringRecord::len);
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
        let of_columns = self.places.iter().flat_map(|place| [Some(place.own), place.and, place.on]).flatten();
        of_columns.chain(self.leave_out.iter().copied()).any(|place| place == index)
    }

    /// The next row with its place in the file; `None` at the end.
    pub fn next_file_row(&mut self) -> Option<FileRow> {
        if self.ended {
            return None;
        }
        let read = self.next_row();
        let lines = self.raw().bytes().filter(|byte| *byte == b'\n').count() as u64 + 1;
        let row = match read {
            Ok(row) => row?,
            Err(error) => return Some(FileRow { line: self.line, lines, left_out: None, record: Err(error) }),
        };
        let mut record = CallRecord::new(identity(self.raw().as_bytes(), self.sender), Format::Delimited);
        let record = self.fill(&mut record, &row).map(|()| record);
        Some(FileRow { line: self.line, lines, left_out: self.left_out(&row), record })
    }

    fn left_out(&self, row: &StringRecord) -> Option<String> {
        let rules = self.layout.leave_out.iter().zip(&self.leave_out);
        let mut holding = rules.filter(|(rule, place)| row.get(**place).is_some_and(|cell| rule.holds(cell)));
        holding.next().map(|(rule, _)| rule.because.clone())
    }

    /// Bytes of the text read so far, and of all of it: for whoever shows progress.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        (self.reader.position().byte(), self.reader.get_ref().get_ref().len() as u64)
    }

    /// The raw text of the row just read.
    fn raw(&self) -> &str {
        let to = usize::try_from(self.reader.position().byte()).unwrap_or(usize::MAX);
        self.reader.get_ref().get_ref().get(self.raw_from..to).unwrap_or_default().trim_matches(['\r', '\n'])
    }

    fn next_row(&mut self) -> Result<Option<StringRecord>, DecodeError> {
        self.raw_from = usize::try_from(self.reader.position().byte()).unwrap_or(usize::MAX);
        // The reader stands before the second byte of a CR LF, or before lines that are empty.
        let rest = self.reader.get_ref().get_ref().as_bytes().get(self.raw_from..).unwrap_or_default();
        let ends = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n').count();
        self.line = self.reader.position().line() + ends as u64;
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
        if let Some(agency) = &self.layout.agency {
            record.identity.agency = AgencyId::new(agency.as_str());
        }
        if self.width.is_some_and(|width| row.len() > width) {
            // A stray delimiter moves every cell after it into the next column.
            record.repair(line.as_str(), "row-too-long");
        }
        let mut filling = Filling::new(record, self.sender, self.layout);
        for (column, place) in self.layout.columns.iter().zip(&self.places) {
            let path = named(&column.place);
            let Some(cell) = row.get(place.own) else {
                return Err(DecodeError::new("missing-field", format!("{line}, {path}"), "the row is too short"));
            };
            if let Some(date) = place.on.map(|on| row.get(on).unwrap_or_default()) {
                filling.times_of_day(column, cell, date, &path);
                continue;
            }
            let joined;
            let cell = match place.and.and_then(|and| row.get(and)) {
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
