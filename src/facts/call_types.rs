//! The agency's call types: code or determinant → nature, priority and implied facts.

use super::csv_rows::read_rows;
use super::natures::{nature, natures, pairs};
use super::vocabulary::canonical_code;
use super::{FactError, FileFault, Vocabulary, nearest_word};
use std::collections::HashMap;

/// Rows of the table, at most.
const ROWS_MAX: usize = 20_000;

/// The table of `call_types.csv`.
#[derive(Debug, Clone, Default)]
pub struct CallTypes {
    exact: HashMap<String, Implied>,
    prefixes: HashMap<String, Implied>,
    longest_prefix: usize,
}

/// What one call type says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Implied {
    /// The nature; `None` where the code alone does not tell.
    pub nature: Option<String>,
    /// EIDO common priority, 0…10, 10 the most urgent.
    pub priority: Option<u8>,
    /// Facts and values.
    pub facts: Vec<(String, String)>,
}

impl CallTypes {
    /// Reads the table; every fault is listed.
    #[must_use]
    pub fn read(bytes: &[u8], vocabulary: &Vocabulary) -> (Self, Vec<FileFault>) {
        let mut faults = Vec::new();
        let mut table = Self::default();
        let columns = ["code", "nature", "vendor", "version", "priority", "implies", "cite"];
        let rows = read_rows(bytes, columns, 2, &mut faults);
        if rows.len() > ROWS_MAX {
            faults.push(FileFault::new(None, "code", format!("more than {ROWS_MAX} rows")));
        }
        for row in rows.into_iter().take(ROWS_MAX) {
            let line = Some(row.line);
            let [code, nature_name, _vendor, _version, priority, implies, _cite] = row.cells;
            let mut implied = Implied::default();
            if !nature_name.is_empty() {
                if nature(&nature_name).is_none() {
                    let fault = FileFault::new(line, "nature", format!("no nature is named `{nature_name}`"));
                    let near = nearest_word(&nature_name, natures().iter().map(|nature| nature.name.as_str()));
                    faults.push(match near {
                        Some(near) => fault.help(format!("did you mean `{near}`?")),
                        None => fault.help("the natures are listed in schemas/policy/LANGUAGE.md"),
                    });
                }
                implied.nature = Some(nature_name);
            }
            if !priority.is_empty() {
                match priority.parse::<u8>() {
                    Ok(number) if number <= 10 => implied.priority = Some(number),
                    _ => faults.push(FileFault::new(line, "priority", format!("`{priority}` is not a number 0…10"))),
                }
            }
            for (fact, value) in pairs(&implies) {
                match vocabulary.canonical(&fact, &value) {
                    Ok(_) if matches!(fact.as_str(), "nature" | "call_type" | "zone" | "priority") => {
                        faults.push(FileFault::new(line, "implies", format!("`{fact}` cannot be implied")));
                    }
                    Ok(value) => implied.facts.push((fact, value)),
                    Err(error) => faults.push(fault_of(line, "implies", &error)),
                }
            }
            table.insert(line, &code, implied, &mut faults);
        }
        (table, faults)
    }

    fn insert(&mut self, line: Option<u32>, code: &str, implied: Implied, faults: &mut Vec<FileFault>) {
        let (stem, is_prefix) = match code.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (code, false),
        };
        if stem.contains('*') {
            faults.push(FileFault::new(line, "code", format!("`{code}`: `*` may only stand at the end")));
            return;
        }
        let key = if is_prefix && stem.trim().is_empty() { Some(String::new()) } else { canonical_code(stem) };
        let Some(key) = key else {
            faults.push(FileFault::new(line, "code", "the code is empty or too long"));
            return;
        };
        self.longest_prefix = self.longest_prefix.max(if is_prefix { key.len() } else { 0 });
        let map = if is_prefix { &mut self.prefixes } else { &mut self.exact };
        if map.insert(key, implied).is_some() {
            faults.push(FileFault::new(line, "code", format!("`{code}` stands twice")));
        }
    }

    /// What a code says: the exact row, else the row of the longest prefix that matches; `None` where no row does.
    #[must_use]
    pub fn look_up(&self, code: &str) -> Option<&Implied> {
        let code = canonical_code(code)?;
        self.exact.get(&code).or_else(|| {
            let longest = self.longest_prefix.min(code.len());
            (0..=longest).rev().filter_map(|length| code.get(..length)).find_map(|stem| self.prefixes.get(stem))
        })
    }

    /// Every row in order of its pattern (`25*`).
    pub fn iter(&self) -> impl Iterator<Item = (String, &Implied)> {
        let exact = self.exact.iter().map(|(code, implied)| (code.clone(), implied));
        let prefixes = self.prefixes.iter().map(|(stem, implied)| (format!("{stem}*"), implied));
        exact.chain(prefixes).collect::<std::collections::BTreeMap<_, _>>().into_iter()
    }

    /// Rows in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.exact.len() + self.prefixes.len()
    }

    /// True where the table has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

pub(super) fn fault_of(line: Option<u32>, key: &str, error: &FactError) -> FileFault {
    let fault = FileFault::new(line, key, error.to_string());
    match error {
        FactError::UnknownFact { nearest: Some(near), .. } => fault.help(format!("did you mean `{near}`?")),
        FactError::UnknownValue { value, valid, .. } => match nearest_word(value, valid.iter().map(String::as_str)) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault.help(format!("values: {}", valid.join(", "))),
        },
        _ => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Zones;
    use super::*;

    fn read(text: &str) -> (CallTypes, Vec<FileFault>) {
        CallTypes::read(text.as_bytes(), &Vocabulary::new(Vec::new(), &Zones::default()))
    }

    #[test]
    fn the_longest_pattern_decides_and_case_does_not() {
        let (table, faults) = read(
            "code,vendor,version,nature,priority,implies,cite\n25A01,MPDS,13,person-in-crisis,3,self_harm=none; violence=none,\n25*,MPDS,13,unknown-trouble,,,\n25A*,,,welfare-check,,,\nStructure Fire,,,structure-fire,10,,\n",
        );
        assert_eq!(faults, Vec::new());
        let nature = |code: &str| table.look_up(code).and_then(|row| row.nature.clone());
        assert_eq!(nature("25a01").as_deref(), Some("person-in-crisis"));
        assert_eq!(nature("25A02").as_deref(), Some("welfare-check"));
        assert_eq!(nature("25B03").as_deref(), Some("unknown-trouble"));
        assert_eq!(nature(" structure  fire ").as_deref(), Some("structure-fire"));
        assert_eq!(nature("26A01"), None);
        assert_eq!(nature("2é"), None);
    }

    #[test]
    fn every_fault_has_its_line_and_the_nearest_word() {
        let (_, faults) =
            read("code,nature,prioriti,implies\nA,persn-in-crisis,3,\nB,noise,,weapon=presnt\nA,noise,,\n*X,noise,,\n");
        let told: Vec<_> = faults.iter().map(|fault| (fault.line, fault.key.as_str(), fault.help.as_deref())).collect();
        assert_eq!(
            told,
            [
                (Some(1), "prioriti", Some("did you mean `priority`?")),
                (Some(2), "nature", Some("did you mean `person-in-crisis`?")),
                (Some(3), "implies", Some("did you mean `present`?")),
                (Some(4), "code", None),
                (Some(5), "code", None),
            ]
        );
    }
}
