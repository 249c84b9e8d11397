//! The account of an import: every row of a file is taken or refused, and says why.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Row numbers listed for each reason, at most; further ones are counted.
const LISTED_MAX: usize = 10;

/// Rows by number: how many, and the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// How many.
    pub count: u64,
    /// Lines of the first of them, from 1.
    pub lines: Vec<u64>,
}

impl Rows {
    fn add(&mut self, line: u64) {
        self.count += 1;
        if self.lines.len() < LISTED_MAX {
            self.lines.push(line);
        }
    }

    /// `line 3, 17, 20 …`
    #[must_use]
    pub fn listed(&self) -> String {
        let listed: Vec<String> = self.lines.iter().map(u64::to_string).collect();
        let more = if self.count > self.lines.len() as u64 { " …" } else { "" };
        format!("line {}{more}", listed.join(", "))
    }
}

/// What became of the rows of a file: `rows` = `added` + `replaced` + `unchanged` + `older` + all `refused`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Rows in the file, its header aside.
    pub rows: u64,
    /// Calls that were not there before.
    pub added: u64,
    /// Rows of an incident that was there with another content: the row stands in its place.
    pub replaced: Rows,
    /// Rows that were there already, as they are.
    pub unchanged: u64,
    /// Rows whose incident is there in a later version, by the export's own time of it.
    pub older: Rows,
    /// Rows of which something was mended, whatever it was.
    pub repaired: u64,
    /// What was mended: `kind (column)`.
    pub repairs: BTreeMap<String, Rows>,
    /// Rows not taken, by reason.
    pub refused: BTreeMap<String, Rows>,
    /// Columns that the layout does not speak of.
    pub unread_columns: Vec<String>,
}

impl Tally {
    /// Rows that are in the store now.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.added + self.replaced.count + self.unchanged + self.older.count
    }

    /// Rows that are not.
    #[must_use]
    pub fn refused_rows(&self) -> u64 {
        self.refused.values().map(|rows| rows.count).sum()
    }

    /// Counts a row that is not taken, with the lines that it swallowed.
    pub fn refuse(&mut self, line: u64, lines: u64, reason: String) {
        let rows = self.refused.entry(reason).or_default();
        for line in line..line.saturating_add(lines.max(1)) {
            rows.add(line);
            self.rows += 1;
        }
    }

    /// Counts what was mended in a row that is taken.
    pub fn repair<'r>(&mut self, line: u64, repairs: impl Iterator<Item = (&'r str, &'r str)>) {
        // A cell of many times may be mended many times: rows are counted.
        let kinds: BTreeSet<String> = repairs.map(|(kind, place)| format!("{kind} ({place})")).collect();
        self.repaired += u64::from(!kinds.is_empty());
        for kind in kinds {
            self.repairs.entry(kind).or_default().add(line);
        }
    }

    /// Counts a row that is in the store now.
    pub fn take(&mut self, line: u64, taken: super::Taken) {
        self.rows += 1;
        match taken {
            super::Taken::Added => self.added += 1,
            super::Taken::Replaced => self.replaced.add(line),
            super::Taken::Unchanged => self.unchanged += 1,
            super::Taken::Older => self.older.add(line),
        }
    }
}
