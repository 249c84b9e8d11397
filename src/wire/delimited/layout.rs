//! A layout file: how one sender's delimited text is cut, and what each column means.

use crate::record::{CodeSystem, TimePoint};
use crate::wire::DecodeError;
use encoding_rs::Encoding;
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// How one sender writes rows: delimiter, header, encoding, and the meaning of each column.
///
/// Written as TOML; unknown keys are refused. `schemas/call_record/delimited/layout.toml` is a whole one.
#[derive(Debug, Clone)]
pub struct Layout {
    pub(super) delimiter: u8,
    pub(super) quote: Option<u8>,
    pub(super) header: bool,
    pub(super) time_formats: Vec<String>,
    pub(super) columns: Vec<Column>,
    /// Texts in lower case that stand for an empty cell, in every column (`null`).
    pub(super) missing: BTreeSet<String>,
    pub(super) leave_out: Vec<LeaveOut>,
    pub(super) time_zone: Option<TimeZone>,
    pub(super) agency: Option<String>,
    /// Whose call-type codes the rows carry, where no column says.
    pub(super) call_types: Option<CodeSystem>,
    encoding: Option<&'static Encoding>,
}

/// Rows that are no calls of their own (tests, duplicates, log entries), by the text of one column. Read by imports into
/// history only: a live record is never left out.
#[derive(Debug, Clone)]
pub(super) struct LeaveOut {
    pub(super) place: Place,
    /// In lower case, without their stars.
    values: Vec<(String, Matching)>,
    pub(super) because: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Matching {
    /// `DUP`
    Whole,
    /// `DUP*`
    Start,
    /// `*DUP*`
    Anywhere,
}

impl LeaveOut {
    /// True where the rule speaks of a row with this cell.
    pub(super) fn holds(&self, cell: &str) -> bool {
        let cell = cell.to_lowercase();
        self.values.iter().any(|(value, matching)| match matching {
            Matching::Whole => cell == *value,
            Matching::Start => cell.starts_with(value.as_str()),
            Matching::Anywhere => cell.contains(value.as_str()),
        })
    }
}

/// Which column it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// By its name in the header.
    Name(String),
    /// By its position, counted from 0.
    Index(usize),
}

/// What a column is to the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A field of the call record.
    Field(Field),
    /// A fact of the product's vocabulary.
    Fact(String),
    /// Known and not read.
    Ignored,
}

/// One column of a layout.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) place: Place,
    /// A second column whose text is put after this one's with a space (a date and its time).
    pub(super) and: Option<Place>,
    pub(super) meaning: Meaning,
    /// Where not empty: the sender's values (compared without case) and what they are; others are left out.
    pub(super) values: BTreeMap<String, String>,
    /// Texts in lower case that stand for an empty cell in this column (`-1`).
    pub(super) missing: BTreeSet<String>,
    /// The column with the date, where this one holds times of day only.
    pub(super) on: Option<Place>,
    /// The cell lists units with their times of day: `E12=06:51:33, M5=07:05:17`.
    pub(super) unit_times: bool,
}

/// The fields of a call record that a column may fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Field {
    Incident,
    Agency,
    Element,
    UpdatedAt,
    Received,
    Answered,
    Entered,
    Dispatched,
    EnRoute,
    OnScene,
    WithPerson,
    Cleared,
    Closed,
    CallType,
    CallTypeText,
    CallTypeVendor,
    CallTypeVersion,
    FirstCallType,
    FurtherCallType,
    CommonType,
    PriorityText,
    CommonPriority,
    Beat,
    Latitude,
    Longitude,
    UncertaintyM,
    Street,
    City,
    Region,
    PostalCode,
    Place,
    PlaceType,
    CallerName,
    Callback,
    PersonName,
    PersonAge,
    CallSource,
    Note,
    Caution,
    Unit,
    UnitType,
    Disposition,
    DispositionCode,
    Lifecycle,
    Test,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "comma")]
    delimiter: String,
    #[serde(default = "double_quote")]
    quote: String,
    #[serde(default = "yes")]
    header: bool,
    encoding: Option<String>,
    #[serde(default)]
    time_formats: Vec<String>,
    time_zone: Option<String>,
    agency: Option<String>,
    #[serde(default)]
    missing: Vec<String>,
    #[serde(default)]
    leave_out: Vec<toml::Spanned<FileLeaveOut>>,
    call_types: Option<CodeSystem>,
    column: Vec<toml::Spanned<FileColumn>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileLeaveOut {
    name: Option<String>,
    index: Option<usize>,
    values: Vec<String>,
    because: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileColumn {
    name: Option<String>,
    index: Option<usize>,
    and_name: Option<String>,
    and_index: Option<usize>,
    field: Option<Field>,
    fact: Option<String>,
    #[serde(default)]
    ignored: bool,
    #[serde(default)]
    values: BTreeMap<String, String>,
    #[serde(default)]
    missing: Vec<String>,
    on_name: Option<String>,
    on_index: Option<usize>,
    #[serde(default)]
    unit_times: bool,
}

fn comma() -> String {
    ",".to_owned()
}

fn double_quote() -> String {
    "\"".to_owned()
}

fn yes() -> bool {
    true
}

impl Layout {
    /// Reads a layout file.
    ///
    /// # Errors
    /// `malformed-layout` with the line where it is not TOML, has an unknown key or field, or a column without place
    /// or meaning, or no column for the incident.
    pub fn parse(text: &str) -> Result<Self, DecodeError> {
        let mut file: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            let words = error.message().lines().next().unwrap_or("not a layout");
            fault(line, words)
        })?;
        let delimiter = one_byte(&file.delimiter).ok_or_else(|| fault(1, "`delimiter` is one ASCII character"))?;
        let quote = match file.quote.as_str() {
            "" => None,
            quote => Some(one_byte(quote).ok_or_else(|| fault(1, "`quote` is one ASCII character or empty"))?),
        };
        let encoding = match file.encoding.as_deref() {
            None => None,
            Some(label) => Some(
                Encoding::for_label(label.as_bytes())
                    .ok_or_else(|| fault(1, &format!("`{label}` is not an encoding of the WHATWG list")))?,
            ),
        };
        let mut columns = Vec::new();
        for column in std::mem::take(&mut file.column) {
            let line = line_of(text, column.span().start);
            columns.push(column.into_inner().checked(file.header).map_err(|detail| fault(line, detail))?);
        }
        if !columns.iter().any(|column| column.meaning == Meaning::Field(Field::Incident)) {
            return Err(fault(1, "no column has `field = \"incident\"`"));
        }
        let mut leave_out = Vec::new();
        for rule in file.leave_out {
            let line = line_of(text, rule.span().start);
            leave_out.push(rule.into_inner().checked(file.header).map_err(|detail| fault(line, detail))?);
        }
        let time_zone = file.time_zone.map(|name| {
            TimeZone::get(&name)
                .map_err(|_| fault(1, &format!("`{name}` is not an IANA time zone (`America/Vancouver`)")))
        });
        Ok(Self {
            delimiter,
            quote,
            header: file.header,
            time_formats: file.time_formats,
            columns,
            missing: lower_case(file.missing),
            leave_out,
            time_zone: time_zone.transpose()?,
            agency: file.agency,
            call_types: file.call_types,
            encoding,
        })
    }

    /// The zone of its local times, where it says; else the sender's holds.
    #[must_use]
    pub fn time_zone(&self) -> Option<&TimeZone> {
        self.time_zone.as_ref()
    }

    /// The agency whose rows these are, where it says; else the sender's.
    #[must_use]
    pub fn agency(&self) -> Option<&str> {
        self.agency.as_deref()
    }

    /// The encoding of the sender's files, where it is not UTF-8.
    pub(crate) fn encoding(&self) -> Option<&'static Encoding> {
        self.encoding
    }
}

impl FileColumn {
    fn checked(self, header: bool) -> Result<Column, &'static str> {
        let place = placed(self.name, self.index, header)?.ok_or("a column has a `name` or an `index`")?;
        let and = placed(self.and_name, self.and_index, header)?;
        let meaning = match (self.field, self.fact, self.ignored) {
            (Some(field), None, false) => Meaning::Field(field),
            (None, Some(fact), false) => Meaning::Fact(fact),
            (None, None, true) => Meaning::Ignored,
            _ => return Err("a column has exactly one of `field`, `fact` and `ignored = true`"),
        };
        let values = self.values.into_iter().map(|(theirs, ours)| (theirs.trim().to_lowercase(), ours)).collect();
        let on = placed(self.on_name, self.on_index, header)?;
        let is_time = matches!(meaning, Meaning::Field(field) if field.is_time());
        if (on.is_some() || self.unit_times) && !is_time {
            return Err("`on_name`, `on_index` and `unit_times` belong to a field that is a time (`dispatched`)");
        }
        if self.unit_times && on.is_none() {
            return Err("`unit_times` needs the column of their date: `on_name` or `on_index`");
        }
        Ok(Column { place, and, meaning, values, missing: lower_case(self.missing), on, unit_times: self.unit_times })
    }
}

impl FileLeaveOut {
    fn checked(self, header: bool) -> Result<LeaveOut, &'static str> {
        let place = placed(self.name, self.index, header)?.ok_or("`leave_out` has a `name` or an `index`")?;
        if self.because.trim().is_empty() {
            return Err("`because` says why the rows are left out (`duplicate`)");
        }
        let value = |text: String| {
            let text = text.trim().to_lowercase();
            match (text.strip_prefix('*'), text.strip_suffix('*')) {
                (Some(_), Some(_)) => (text.trim_matches('*').to_owned(), Matching::Anywhere),
                (None, Some(start)) => (start.to_owned(), Matching::Start),
                _ => (text, Matching::Whole),
            }
        };
        let values: Vec<_> = self.values.into_iter().map(value).collect();
        if values.is_empty() || values.iter().any(|(text, matching)| text.is_empty() && *matching != Matching::Whole) {
            return Err("`leave_out` names the texts to leave out: `TEST`, `TEST*` or `*DUP*`");
        }
        Ok(LeaveOut { place, values, because: self.because })
    }
}

impl Field {
    fn is_time(self) -> bool {
        self == Self::UpdatedAt || self.point().is_some()
    }

    /// The time point that a column of this field states.
    pub(super) fn point(self) -> Option<TimePoint> {
        Some(match self {
            Self::Received => TimePoint::Received,
            Self::Answered => TimePoint::Answered,
            Self::Entered => TimePoint::Entered,
            Self::Dispatched => TimePoint::Dispatched,
            Self::EnRoute => TimePoint::EnRoute,
            Self::OnScene => TimePoint::OnScene,
            Self::WithPerson => TimePoint::WithPerson,
            Self::Cleared => TimePoint::Cleared,
            Self::Closed => TimePoint::Closed,
            _ => return None,
        })
    }
}

fn lower_case(texts: Vec<String>) -> BTreeSet<String> {
    texts.into_iter().map(|text| text.trim().to_lowercase()).collect()
}

fn placed(name: Option<String>, index: Option<usize>, header: bool) -> Result<Option<Place>, &'static str> {
    match (name, index) {
        (Some(_), Some(_)) => Err("a column has a `name` or an `index`, not both"),
        (Some(_), None) if !header => Err("without a header a column is given by its `index`"),
        (Some(name), None) => Ok(Some(Place::Name(name))),
        (None, Some(index)) => match index.checked_sub(1) {
            Some(index) => Ok(Some(Place::Index(index))),
            None => Err("`index` counts from 1"),
        },
        (None, None) => Ok(None),
    }
}

fn one_byte(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Some(*byte),
        _ => None,
    }
}

fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

fn fault(line: usize, detail: &str) -> DecodeError {
    DecodeError::new("malformed-layout", format!("line {line}"), detail)
}
