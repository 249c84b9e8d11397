//! A table of figures, as text cells: what the report, the demo and the pages print alike.

use serde::Serialize;

/// One table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Column names, with units.
    pub headers: Vec<String>,
    /// Rows, each as long as the headers.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(title: &str, headers: &[&str]) -> Self {
        Self {
            title: title.to_owned(),
            headers: headers.iter().map(|&header| header.to_owned()).collect(),
            rows: vec![],
        }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// The cell in the row that starts with these cells, in this column.
    #[must_use]
    pub fn cell(&self, starts_with: &[&str], column: &str) -> Option<&str> {
        let column = self.headers.iter().position(|header| header == column)?;
        let row =
            self.rows.iter().find(|row| starts_with.iter().zip(row.iter()).all(|(wanted, cell)| wanted == cell))?;
        row.get(column).map(String::as_str)
    }
}
