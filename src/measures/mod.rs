//! Figures computed from the journal only. The measures room's own takes the place of this file.

use crate::journal::Entry;

/// A table of figures: codes and numbers, put into words by whoever shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name, kebab-case.
    pub title: String,
    /// Its columns, kebab-case.
    pub headers: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
}

/// Figures kept as entries come.
#[derive(Debug, Default)]
pub struct Figures {
    entries: u64,
}

impl Figures {
    /// Takes one entry in.
    pub fn absorb(&mut self, _entry: &Entry) {
        self.entries += 1;
    }

    /// The tables.
    #[must_use]
    pub fn tables(&self) -> Vec<Table> {
        let row = vec!["entries".to_owned(), self.entries.to_string()];
        vec![Table { title: "journal".into(), headers: vec!["name".into(), "count".into()], rows: vec![row] }]
    }
}
