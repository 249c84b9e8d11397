//! Reading CSV tables with the line of every row, and the fault of one of a policy's files.

/// One fault of a file of the policy folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    /// Line from 1, where known.
    pub line: Option<u32>,
    /// The key, column or row concerned.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
}

impl FileFault {
    /// A fault without a next step.
    #[must_use]
    pub fn new(line: Option<u32>, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { line, key: key.into(), message: message.into(), help: None }
    }

    /// With the next step.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A row: its line from 1 and its cells in the order of the asked-for columns, trimmed; a column left out gives `""`.
pub(super) struct CsvRow<const N: usize> {
    pub line: u32,
    pub cells: [String; N],
}

/// Reads the rows of a table whose columns are among `columns`, the first `required` of which must be there.
pub(super) fn read_rows<const N: usize>(
    bytes: &[u8],
    columns: [&str; N],
    required: usize,
    faults: &mut Vec<FileFault>,
) -> Vec<CsvRow<N>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(false).trim(csv::Trim::All).from_reader(bytes);
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(error) => {
            faults.push(fault_of(&error));
            return Vec::new();
        }
    };
    for (place, name) in header.iter().enumerate() {
        if !columns.contains(&name) {
            let fault = FileFault::new(Some(1), name, format!("no column is named `{name}`"));
            faults.push(match super::nearest_word(name, columns) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault.help(format!("columns: {}", columns.join(", "))),
            });
        } else if header.iter().take(place).any(|before| before == name) {
            faults.push(FileFault::new(Some(1), name, format!("the column `{name}` stands twice")));
        }
    }
    let places: Vec<Option<usize>> =
        columns.iter().map(|column| header.iter().position(|name| name == *column)).collect();
    for (column, place) in columns.iter().zip(&places).take(required) {
        if place.is_none() {
            let fault = FileFault::new(Some(1), *column, format!("the column `{column}` is missing"));
            faults.push(fault.help(format!("columns: {}", columns.join(", "))));
        }
    }
    if places.iter().take(required).any(Option::is_none) {
        return Vec::new();
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Err(error) => faults.push(fault_of(&error)),
            Ok(record) => {
                let line = record.position().map_or(0, |position| u32::try_from(position.line()).unwrap_or(u32::MAX));
                let cells = std::array::from_fn(|index| {
                    let place = places.get(index).copied().flatten();
                    place.and_then(|place| record.get(place)).unwrap_or_default().to_owned()
                });
                rows.push(CsvRow { line, cells });
            }
        }
    }
    rows
}

fn fault_of(error: &csv::Error) -> FileFault {
    let line = error.position().map(|position| u32::try_from(position.line()).unwrap_or(u32::MAX));
    let what = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let fault = format!("the row has {len} cells where the header has {expected_len}");
            return FileFault::new(line, "row", fault)
                .help("an empty cell still has its comma; a cell with a comma stands in quotes");
        }
        csv::ErrorKind::Utf8 { .. } => "the row is not UTF-8 text".to_owned(),
        _ => "the row cannot be read".to_owned(),
    };
    FileFault::new(line, "row", what)
}
