//! A layout file: how one sender's delimited text is cut, and what each column means.

use crate::record::CodeSystem;
use crate::wire::DecodeError;
use encoding_rs::Encoding;
use serde::Deserialize;
use std::collections::BTreeMap;

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
    /// Whose call-type codes the rows carry, where no column says.
    pub(super) call_types: Option<CodeSystem>,
    encoding: Option<&'static Encoding>,
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
    call_types: Option<CodeSystem>,
    column: Vec<toml::Spanned<FileColumn>>,
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
        let File { header, time_formats, call_types, .. } = file;
        Ok(Self { delimiter, quote, header, time_formats, columns, call_types, encoding })
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
        Ok(Column { place, and, meaning, values })
    }
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
