//! What the reader accepts, as one table of keys: the reader faults unknown and missing keys and wrong kinds of values
//! from it, and `schemas/policy/*.schema.json` are printed from it.

use super::reader::{Item, Reader, Table, did_you_mean, found};
use crate::facts::Vocabulary;
use toml::de::DeValue;

/// One key of a table.
#[derive(Debug)]
pub(in crate::policy) struct Key {
    pub name: &'static str,
    pub needed: bool,
    pub shape: Shape,
    /// What it says, for editors and for `LANGUAGE.md`.
    pub about: &'static str,
}

/// What a value may be.
#[derive(Debug)]
pub(in crate::policy) enum Shape {
    /// A text that is not empty.
    Text,
    /// A text in a form of its own, with an example: read further by whoever knows the form.
    Form(&'static str, &'static str),
    /// One of these words.
    Word(&'static [&'static str]),
    Flag,
    /// A whole number between both.
    Integer(i64, i64),
    List(&'static Shape),
    /// A table with these keys and no other.
    Table(&'static [Key]),
    /// A table with these keys and, by the names of facts, cells.
    Row(&'static [Key]),
    /// Values by the names of facts.
    Values,
    /// Any names, each with such a value.
    Named(&'static Shape),
    /// The one or the other: told apart by whether the value is a table, a list or neither.
    Either(&'static Shape, &'static Shape),
    /// A local date and time, in quotes or not.
    LocalTime,
}

pub(in crate::policy) const fn need(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, needed: true, shape, about }
}

pub(in crate::policy) const fn may(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, needed: false, shape, about }
}

impl Shape {
    fn wanted(&self) -> String {
        match self {
            Self::Text | Self::Word(_) => "a text in quotes".to_owned(),
            Self::Form(_, example) => format!("a text as `{example}`"),
            Self::Flag => "true or false".to_owned(),
            Self::Integer(least, most) => format!("a whole number {least}…{most}"),
            Self::List(_) => "a list".to_owned(),
            Self::Table(_) | Self::Row(_) | Self::Values | Self::Named(_) => "a table".to_owned(),
            Self::Either(one, other) => format!("{} or {}", one.wanted(), other.wanted()),
            Self::LocalTime => "a local time".to_owned(),
        }
    }

    /// True where the value is a table, a list or neither, as this shape wants it.
    fn is_like(&self, value: &DeValue<'_>) -> bool {
        match self {
            Self::Table(_) | Self::Row(_) | Self::Values | Self::Named(_) => matches!(value, DeValue::Table(_)),
            Self::List(_) => matches!(value, DeValue::Array(_)),
            Self::Either(one, other) => one.is_like(value) || other.is_like(value),
            Self::Text | Self::Form(..) | Self::Word(_) | Self::Flag | Self::Integer(..) | Self::LocalTime => {
                !matches!(value, DeValue::Table(_) | DeValue::Array(_))
            }
        }
    }

    /// How such a value is written, for a key that is missing or wrong.
    fn example(&self) -> Option<String> {
        Some(match self {
            Self::Text => "\"…\"".to_owned(),
            Self::Form(_, example) => format!("\"{example}\""),
            Self::Word(words) => format!("\"{}\"", words.first()?),
            Self::Flag => "true".to_owned(),
            Self::Integer(least, _) => least.max(&1).to_string(),
            Self::List(one) => format!("[{}]", one.example()?),
            Self::Table(keys) | Self::Row(keys) => {
                let members = keys.iter().filter(|key| key.needed);
                let members: Option<Vec<String>> =
                    members.map(|key| Some(format!("{} = {}", key.name, key.shape.example()?))).collect();
                format!("{{ {} }}", members?.join(", "))
            }
            Self::Either(one, _) => one.example()?,
            Self::LocalTime => "\"2025-11-04T21:30\"".to_owned(),
            Self::Values | Self::Named(_) => return None,
        })
    }
}

impl Reader {
    /// Faults everything in a table that has not the shape of its keys: unknown and missing keys, wrong kinds, numbers
    /// out of range, empty texts, words that are not among the valid ones.
    pub(in crate::policy) fn shaped(&mut self, table: &Table<'_>, keys: &[Key], vocabulary: &Vocabulary) {
        self.members(table, keys, vocabulary, false);
    }

    fn members(&mut self, table: &Table<'_>, keys: &[Key], vocabulary: &Vocabulary, cells: bool) {
        let facts = vocabulary.facts().iter().map(|fact| &*fact.name).filter(|_| cells);
        let valid: Vec<&str> = keys.iter().map(|key| key.name).chain(facts).collect();
        for (name, item) in self.items(table) {
            match keys.iter().find(|key| key.name == name) {
                Some(key) => self.value(&item, key.name, &key.shape, vocabulary),
                None if !valid.contains(&name) => {
                    let what = if cells { "no key or fact" } else { "no key" };
                    let help = did_you_mean(name, &valid);
                    self.fault(item.line, item.path, format!("{what} is named `{name}`"), help);
                }
                None if !matches!(item.value, DeValue::String(_) | DeValue::Integer(_)) => {
                    let help = "a cell is a text: `\"present, used\"`, `\"not(none)\"`, `\"<= 26\"`".to_owned();
                    self.fault(item.line, item.path, "this is not a cell", Some(help));
                }
                None => {}
            }
        }
        for key in keys.iter().filter(|key| key.needed && !table.has(key.name)) {
            let help = key.shape.example().map(|example| format!("as in `{} = {example}`", key.name));
            let message = match key.shape {
                Shape::Table(_) if table.path.is_empty() => format!("the table `[{}]` is missing", key.name),
                _ => format!("`{}` is missing", key.name),
            };
            self.fault(table.line, table.key(key.name), message, help);
        }
    }

    fn value(&mut self, item: &Item<'_>, name: &str, shape: &Shape, vocabulary: &Vocabulary) {
        let fits = match (shape, item.value) {
            (Shape::Either(one, other), _) => {
                return match (one.is_like(item.value), other.is_like(item.value)) {
                    (true, _) => self.value(item, name, one, vocabulary),
                    (_, true) => self.value(item, name, other, vocabulary),
                    _ => self.wrong(item, shape, name),
                };
            }
            (Shape::Text | Shape::Form(..), DeValue::String(text)) => {
                if text.trim().is_empty() {
                    let help = "write what it should say, or leave the key out where it may be left out".to_owned();
                    self.fault(item.line, item.path.clone(), format!("`{name}` is empty"), Some(help));
                }
                true
            }
            (Shape::Word(words), DeValue::String(word)) => {
                if !words.contains(&word.trim()) {
                    // Of a list one element is spoken of: `fields[3]` is a field.
                    let what = name.split_once('[').map_or(name, |(list, _)| list.trim_end_matches('s'));
                    self.not_among(item.line, &item.path, what, word.trim(), words);
                }
                true
            }
            (Shape::Flag, DeValue::Boolean(_)) | (Shape::LocalTime, DeValue::String(_) | DeValue::Datetime(_)) => true,
            (Shape::Integer(least, most), DeValue::Integer(_)) => {
                self.integer(item).is_some_and(|number| (*least..=*most).contains(&number))
            }
            (Shape::List(one), DeValue::Array(_)) => {
                for (number, item) in self.list(item).iter().enumerate() {
                    self.value(item, &format!("{name}[{number}]"), one, vocabulary);
                }
                true
            }
            (Shape::Table(keys), DeValue::Table(_)) => {
                self.inside(item, |reader, table| reader.members(table, keys, vocabulary, false));
                true
            }
            (Shape::Row(keys), DeValue::Table(_)) => {
                self.inside(item, |reader, table| reader.members(table, keys, vocabulary, true));
                true
            }
            (Shape::Named(one), DeValue::Table(_)) => {
                self.inside(item, |reader, table| {
                    for (name, item) in reader.items(table) {
                        reader.value(&item, name, one, vocabulary);
                    }
                });
                true
            }
            // Names and values of facts are judged, with the nearest valid one, by whoever reads them.
            (Shape::Values, DeValue::Table(_)) => true,
            _ => false,
        };
        if !fits {
            self.wrong(item, shape, name);
        }
    }

    fn inside(&mut self, item: &Item<'_>, read: impl FnOnce(&mut Self, &Table<'_>)) {
        if let Some(table) = self.table(item) {
            read(self, &table);
        }
    }

    fn wrong(&mut self, item: &Item<'_>, shape: &Shape, name: &str) {
        let message = format!("expected {}, found {}", shape.wanted(), found(item.value));
        let help = shape.example().and_then(|example| match shape {
            _ if !name.ends_with(']') => Some(format!("as in `{name} = {example}`")),
            Shape::Table(_) => Some(format!("as in `{example}`")),
            _ => None,
        });
        self.fault(item.line, item.path.clone(), message, help);
    }
}
