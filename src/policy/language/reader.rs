//! Reading TOML with a line for every key: nothing is ignored, and every fault is kept.

use crate::facts::nearest_word;
use crate::policy::PolicyFault;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Collects faults of one file while it is read.
pub(in crate::policy) struct Reader {
    file: &'static str,
    line_starts: Vec<usize>,
    /// Everything found wrong so far.
    pub faults: Vec<PolicyFault>,
}

/// A table and where it stands.
#[derive(Clone)]
pub(in crate::policy) struct Table<'a> {
    /// Its key from the root (`rule[2]`).
    pub path: String,
    /// Its line.
    pub line: u32,
    entries: &'a DeTable<'a>,
}

/// A value and where it stands.
#[derive(Clone)]
pub(in crate::policy) struct Item<'a> {
    /// Its key from the root (`rule[2].nature`).
    pub path: String,
    /// Its line.
    pub line: u32,
    pub value: &'a DeValue<'a>,
}

impl Reader {
    pub(in crate::policy) fn new(file: &'static str, text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(place, _)| place + 1);
        Self { file, line_starts: std::iter::once(0).chain(breaks).collect(), faults: Vec::new() }
    }

    fn line_at(&self, offset: usize) -> u32 {
        u32::try_from(self.line_starts.partition_point(|start| *start <= offset)).unwrap_or(u32::MAX)
    }

    pub(in crate::policy) fn fault(
        &mut self,
        line: u32,
        key: impl Into<String>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.faults.push(PolicyFault {
            file: self.file.to_owned(),
            line: Some(line),
            key: key.into(),
            message: message.into(),
            help,
        });
    }

    /// True where something at this key or below it has been faulted.
    pub(in crate::policy) fn faulted(&self, key: &str) -> bool {
        self.faults.iter().any(|fault| fault.key.starts_with(key))
    }

    /// A word that is not among the valid ones, with the nearest of them or all of them.
    pub(in crate::policy) fn not_among(&mut self, line: u32, key: &str, what: &str, word: &str, valid: &[&str]) {
        let help = did_you_mean(word, valid);
        self.fault(line, key, format!("no {what} is named `{word}`"), help);
    }

    /// Parses the whole text; syntax faults are kept with their lines.
    pub(in crate::policy) fn parse<'a>(&mut self, text: &'a str) -> Spanned<DeTable<'a>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let line = self.line_at(error.span().map_or(0, |span| span.start));
            let help = "a text stands in quotes, a list in `[ ]`, a table on one line in `{ }`".to_owned();
            self.fault(line, "syntax", error.message().trim().to_owned(), Some(help));
        }
        table
    }

    pub(in crate::policy) fn root<'a>(&self, table: &'a Spanned<DeTable<'a>>) -> Table<'a> {
        Table { path: String::new(), line: self.line_at(table.span().start), entries: table.get_ref() }
    }

    /// Every entry of a table.
    pub(in crate::policy) fn items<'a>(&self, table: &Table<'a>) -> Vec<(&'a str, Item<'a>)> {
        table
            .entries
            .iter()
            .map(|(key, value)| {
                let name: &'a str = key.get_ref().as_ref();
                let item = Item { path: table.key(name), line: self.line_at(key.span().start), value: value.get_ref() };
                (name, item)
            })
            .collect()
    }

    pub(in crate::policy) fn get<'a>(&self, table: &Table<'a>, key: &str) -> Option<Item<'a>> {
        let (name, value) = table.entries.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(Item { path: table.key(key), line: self.line_at(name.span().start), value: value.get_ref() })
    }

    // What has not its shape has been faulted already (`Reader::shaped`): reading is silent about it.

    pub(in crate::policy) fn table<'a>(&self, item: &Item<'a>) -> Option<Table<'a>> {
        match item.value {
            DeValue::Table(entries) => Some(Table { path: item.path.clone(), line: item.line, entries }),
            _ => None,
        }
    }

    /// A list's items, each with its own line.
    pub(in crate::policy) fn list<'a>(&self, item: &Item<'a>) -> Vec<Item<'a>> {
        let DeValue::Array(array) = item.value else {
            return Vec::new();
        };
        array
            .iter()
            .enumerate()
            .map(|(number, value)| Item {
                path: format!("{}[{number}]", item.path),
                line: self.line_at(value.span().start),
                value: value.get_ref(),
            })
            .collect()
    }

    pub(in crate::policy) fn text(&self, item: &Item<'_>) -> Option<String> {
        match item.value {
            DeValue::String(text) => Some(text.trim().to_owned()),
            _ => None,
        }
    }

    pub(in crate::policy) fn flag(&self, item: &Item<'_>) -> Option<bool> {
        match item.value {
            DeValue::Boolean(flag) => Some(*flag),
            _ => None,
        }
    }

    pub(in crate::policy) fn integer(&self, item: &Item<'_>) -> Option<i64> {
        match item.value {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        }
    }

    /// The text of a key, where there is one that is not empty.
    pub(in crate::policy) fn required_text(&self, table: &Table<'_>, key: &str) -> Option<String> {
        self.optional_text(table, key).filter(|text| !text.is_empty())
    }

    pub(in crate::policy) fn optional_text(&self, table: &Table<'_>, key: &str) -> Option<String> {
        let item = self.get(table, key)?;
        self.text(&item)
    }

    pub(in crate::policy) fn optional_flag(&self, table: &Table<'_>, key: &str) -> Option<bool> {
        let item = self.get(table, key)?;
        self.flag(&item)
    }

    /// The tables under `key = [{…}, …]` or `[[key]]`.
    pub(in crate::policy) fn tables<'a>(&self, table: &Table<'a>, key: &str) -> Vec<Table<'a>> {
        let Some(item) = self.get(table, key) else {
            return Vec::new();
        };
        let items = self.list(&item);
        items.iter().filter_map(|item| self.table(item)).collect()
    }

    /// The tables under `[key.<name>]`, by name.
    pub(in crate::policy) fn named_tables<'a>(&self, table: &Table<'a>, key: &str) -> Vec<(&'a str, Table<'a>)> {
        let Some(item) = self.get(table, key) else {
            return Vec::new();
        };
        let Some(outer) = self.table(&item) else {
            return Vec::new();
        };
        let items = self.items(&outer);
        items.into_iter().filter_map(|(name, item)| Some((name, self.table(&item)?))).collect()
    }

    /// The texts of a list, each with where it stands.
    pub(in crate::policy) fn texts<'a>(&self, table: &Table<'a>, key: &str) -> Vec<(String, Item<'a>)> {
        let Some(item) = self.get(table, key) else {
            return Vec::new();
        };
        let items = self.list(&item);
        items.into_iter().filter_map(|item| Some((self.text(&item)?, item))).collect()
    }
}

impl Table<'_> {
    pub(in crate::policy) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(in crate::policy) fn has(&self, key: &str) -> bool {
        self.entries.keys().any(|name| name.get_ref() == key)
    }
}

/// `did you mean …` where a word is near, else the list of valid words.
pub(in crate::policy) fn did_you_mean(word: &str, valid: &[&str]) -> Option<String> {
    match nearest_word(word, valid.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if valid.is_empty() => Some("the policy declares none".to_owned()),
        None => Some(format!("one of: {}", valid.join(", "))),
    }
}

pub(super) fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number out of range or of another kind",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time without quotes",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
