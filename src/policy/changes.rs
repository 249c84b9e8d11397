//! What is written differently in two policy folders, key by key, whatever it does to calls.

use super::PolicyFiles;
use super::language::POLICY_FILE;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// One key of one row, program or other table that is written differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The table: ``rule `psr.person-down` ``, ``program `psr` ``, ``call type `25A01` ``, a file.
    pub what: String,
    /// The key; `None` where the whole table was added or taken away.
    pub key: Option<String>,
    /// As A has it.
    pub before: Option<String>,
    /// As B has it.
    pub after: Option<String>,
}

/// Tables by what they are, their keys and values as text.
type Tables = BTreeMap<String, BTreeMap<String, String>>;

/// Every difference but those of `cases.toml`, in order of what it is about.
#[must_use]
pub fn changes(a: &PolicyFiles, b: &PolicyFiles) -> Vec<Change> {
    let (tables_a, tables_b) = (tables(a), tables(b));
    let mut changes = Vec::new();
    let whats: BTreeSet<&String> = tables_a.keys().chain(tables_b.keys()).collect();
    for what in whats {
        match (tables_a.get(what), tables_b.get(what)) {
            (Some(one), Some(other)) => {
                let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
                changes.extend(keys.into_iter().filter(|key| one.get(*key) != other.get(*key)).map(|key| Change {
                    what: what.clone(),
                    key: Some(key.clone()),
                    before: one.get(key).cloned(),
                    after: other.get(key).cloned(),
                }));
            }
            (one, other) => {
                let said = |table: Option<&BTreeMap<String, String>>| table.map(spoken);
                changes.push(Change { what: what.clone(), key: None, before: said(one), after: said(other) });
            }
        }
    }
    changes
}

fn spoken(table: &BTreeMap<String, String>) -> String {
    table.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ")
}

fn tables(files: &PolicyFiles) -> Tables {
    let mut tables = Tables::new();
    for (name, content) in &files.files {
        let text = String::from_utf8_lossy(content);
        if name == POLICY_FILE {
            read_policy(&text, &mut tables);
        } else if name.ends_with(".csv") {
            // The first line names the columns; a code stands once, so that its row is told by it.
            for line in text.lines().skip(1).filter(|line| !line.trim().is_empty()) {
                let code = line.split(',').next().unwrap_or(line).trim_matches('"');
                let row = BTreeMap::from([("row".to_owned(), line.to_owned())]);
                let known = tables.entry(format!("call type `{code}`")).or_default();
                let key = format!("row {}", known.len() + 1);
                known.extend(row.into_values().map(|line| (key.clone(), line)));
            }
        } else if name.ends_with(".geojson") {
            let digest = format!("{} bytes, {:016x}", content.len(), fingerprint(content));
            tables.insert(name.clone(), BTreeMap::from([("content".to_owned(), digest)]));
        }
    }
    tables
}

fn read_policy(text: &str, tables: &mut Tables) {
    let Ok(document) = text.parse::<toml::Table>() else {
        return;
    };
    for (key, value) in document {
        match value {
            toml::Value::Array(rows) => {
                for row in rows {
                    let Some(row) = row.as_table() else { continue };
                    let name = ["id", "safeguard", "fact"].iter().filter_map(|key| row.get(*key)?.as_str());
                    let name = name.collect::<Vec<_>>().join(" ");
                    tables.insert(format!("{key} `{name}`"), keys(row));
                }
            }
            toml::Value::Table(inner) if !inner.is_empty() && inner.values().all(toml::Value::is_table) => {
                for (name, table) in &inner {
                    tables.insert(format!("{key} `{name}`"), table.as_table().map(keys).unwrap_or_default());
                }
            }
            toml::Value::Table(inner) => drop(tables.insert(key, keys(&inner))),
            other => drop(tables.insert(key, BTreeMap::from([("value".to_owned(), other.to_string())]))),
        }
    }
}

fn keys(table: &toml::Table) -> BTreeMap<String, String> {
    table.iter().map(|(key, value)| (key.clone(), value.to_string())).collect()
}

/// FNV-1a: enough to see that two files differ.
fn fingerprint(content: &[u8]) -> u64 {
    content.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
