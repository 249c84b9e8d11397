//! The agency's call types: code or determinant → nature, priority and implied facts, by vendor and version.

use super::csv_rows::read_rows;
use super::natures::{nature, natures, pairs};
use super::vocabulary::canonical_code;
use super::{FactError, FileFault, Vocabulary, nearest_word};
use crate::record::{CodeSystem, NatureFields};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// Rows of the table, at most.
const ROWS_MAX: usize = 20_000;

/// The table of `call_types.csv`.
#[derive(Debug, Clone, Default)]
pub struct CallTypes {
    exact: HashMap<String, Vec<Row>>,
    prefixes: HashMap<String, Vec<Row>>,
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

/// Whose codes these are and of which version, as canonical codes: what a row is pinned to, and what a record declares.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pin {
    vendor: Option<String>,
    version: Option<String>,
}

#[derive(Debug, Clone)]
struct Row {
    pin: Pin,
    implied: Implied,
}

/// Why the table says nothing of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unmapped {
    /// No row matches it.
    NotInTable,
    /// Rows match it, and they are of another vendor or version than the record's.
    VersionMismatch,
}

impl Unmapped {
    /// The reason in gaps and lists.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotInTable => "call-type-not-in-table",
            Self::VersionMismatch => "call-type-version-mismatch",
        }
    }
}

impl Pin {
    /// A vendor and version as written in a table, a record or a configuration; empty text is none.
    #[must_use]
    pub fn new(vendor: Option<&str>, version: Option<&str>) -> Self {
        Self { vendor: vendor.and_then(canonical_code), version: version.and_then(canonical_code) }
    }

    /// What a record declares.
    #[must_use]
    pub fn of(fields: &NatureFields) -> Self {
        Self::new(fields.call_type_vendor.as_deref(), fields.call_type_version.as_deref())
    }

    /// True where a sender's configuration declares what a row is pinned to.
    #[must_use]
    pub fn is_declared_by(&self, system: &CodeSystem) -> bool {
        self.admits(&Self::new(Some(&system.vendor), system.version.as_deref()))
    }

    /// True where a row pinned so speaks of what `declared` sends.
    fn admits(&self, declared: &Self) -> bool {
        let fits = |pinned: &Option<String>, stated: &Option<String>| pinned.is_none() || pinned == stated;
        fits(&self.vendor, &declared.vendor) && fits(&self.version, &declared.version)
    }

    fn parts(&self) -> usize {
        usize::from(self.vendor.is_some()) + usize::from(self.version.is_some())
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.vendor.as_deref().unwrap_or("any vendor"))?;
        self.version.iter().try_for_each(|version| write!(formatter, " {version}"))
    }
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
            let [code, nature_name, vendor, version, priority, implies, _cite] = row.cells;
            let pin = pin(line, &vendor, &version, &mut faults);
            let implied = implied(line, nature_name, &priority, &implies, vocabulary, &mut faults);
            table.insert(line, &code, Row { pin, implied }, &mut faults);
        }
        (table, faults)
    }

    fn insert(&mut self, line: Option<u32>, code: &str, row: Row, faults: &mut Vec<FileFault>) {
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
        let rows = if is_prefix { &mut self.prefixes } else { &mut self.exact }.entry(key).or_default();
        if rows.iter().any(|before| before.pin == row.pin) {
            let fault = format!("`{code}` stands twice for the same vendor and version");
            faults.push(
                FileFault::new(line, "code", fault).help("leave one of the rows out, or tell them apart by version"),
            );
        }
        rows.push(row);
        // The row that names most is looked at first.
        rows.sort_by_key(|row| std::cmp::Reverse(row.pin.parts()));
    }

    /// What a code says to a record that declares `pin`: the row of the exact code, else of the longest prefix that
    /// matches, among those that admit the pin.
    ///
    /// # Errors
    /// Where no row speaks of it. A row that leaves the version open does not stand in for a longer pattern of another
    /// version: whoever wrote that one knew that the version matters.
    pub fn look_up(&self, code: &str, pin: &Pin) -> Result<&Implied, Unmapped> {
        let code = canonical_code(code).ok_or(Unmapped::NotInTable)?;
        let longest = self.longest_prefix.min(code.len());
        let stems = (0..=longest).rev().filter_map(|length| code.get(..length));
        let patterns = self.exact.get(&code).into_iter().chain(stems.filter_map(|stem| self.prefixes.get(stem)));
        let mut passed_over = false;
        for rows in patterns {
            match rows.iter().find(|row| row.pin.admits(pin)) {
                Some(row) if passed_over && row.pin.parts() < 2 => break,
                Some(row) => return Ok(&row.implied),
                None => passed_over = true,
            }
        }
        Err(if passed_over { Unmapped::VersionMismatch } else { Unmapped::NotInTable })
    }

    /// The agency's own codes of a record that the table says nothing of, each with why; a code whose text is in the
    /// table is none of them.
    #[must_use]
    pub fn unmapped<'r>(&self, fields: &'r NatureFields) -> Vec<(&'r str, Unmapped)> {
        let pin = Pin::of(fields);
        let own = self.own(fields, &pin).and_then(|(code, found)| Some((code, found.err()?)));
        let further = fields.first_call_type.iter().chain(&fields.further_call_types);
        let further = further.filter_map(|code| Some((code.as_str(), self.look_up(code, &pin).err()?)));
        own.into_iter().chain(further).collect()
    }

    /// The record's own code, or its text where it has no code, and what the table says of it. The text stands in for
    /// a code that no row knows, and not for one of another version.
    pub(super) fn own<'r>(&self, fields: &'r NatureFields, pin: &Pin) -> Option<(&'r str, Result<&Implied, Unmapped>)> {
        let text = fields.call_type_text.as_deref();
        let code = fields.call_type.as_deref().or(text)?;
        let found = self.look_up(code, pin).or_else(|why| match (why, text) {
            (Unmapped::NotInTable, Some(text)) => self.look_up(text, pin),
            _ => Err(why),
        });
        Some((code, found))
    }

    /// What rows are pinned to, in order, each with how many rows; rows that are pinned to nothing left aside.
    #[must_use]
    pub fn pins(&self) -> Vec<(Pin, usize)> {
        let mut pins: BTreeMap<&Pin, usize> = BTreeMap::new();
        for row in self.exact.values().chain(self.prefixes.values()).flatten().filter(|row| row.pin.parts() > 0) {
            *pins.entry(&row.pin).or_default() += 1;
        }
        pins.into_iter().map(|(pin, rows)| (pin.clone(), rows)).collect()
    }

    /// Every row in order of its pattern (`25*`).
    pub fn iter(&self) -> impl Iterator<Item = (String, &Implied)> {
        let exact = self.exact.iter().map(|(code, rows)| (code.clone(), rows));
        let prefixes = self.prefixes.iter().map(|(stem, rows)| (format!("{stem}*"), rows));
        let by_pattern: BTreeMap<String, &Vec<Row>> = exact.chain(prefixes).collect();
        by_pattern.into_iter().flat_map(|(code, rows)| rows.iter().map(move |row| (code.clone(), &row.implied)))
    }

    /// Rows in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.exact.values().chain(self.prefixes.values()).map(Vec::len).sum()
    }

    /// True where the table has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn pin(line: Option<u32>, vendor: &str, version: &str, faults: &mut Vec<FileFault>) -> Pin {
    let pin = Pin::new(Some(vendor), Some(version));
    if pin.vendor.is_none() && pin.version.is_some() {
        let fault = FileFault::new(line, "version", format!("the version `{version}` is of no vendor"));
        faults.push(fault.help("name the `vendor` whose version it is, or leave both out"));
    }
    for (key, text, read) in [("vendor", vendor, &pin.vendor), ("version", version, &pin.version)] {
        if read.is_none() && !text.trim().is_empty() {
            faults.push(FileFault::new(line, key, format!("the {key} is too long")));
        }
    }
    pin
}

fn implied(
    line: Option<u32>,
    nature_name: String,
    priority: &str,
    implies: &str,
    vocabulary: &Vocabulary,
    faults: &mut Vec<FileFault>,
) -> Implied {
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
            _ => {
                let fault = FileFault::new(line, "priority", format!("`{priority}` is not a number 0…10"));
                faults.push(fault.help("10 is the most urgent; empty where the code does not tell"));
            }
        }
    }
    for (fact, value) in pairs(implies) {
        match vocabulary.canonical(&fact, &value) {
            Ok(_) if matches!(fact.as_str(), "nature" | "call_type" | "zone" | "priority") => {
                faults.push(FileFault::new(line, "implies", format!("`{fact}` cannot be implied")));
            }
            Ok(value) => implied.facts.push((fact, value)),
            Err(error) => faults.push(fault_of(line, "implies", &error)),
        }
    }
    implied
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
    use proptest::prelude::*;

    fn read(text: &str) -> (CallTypes, Vec<FileFault>) {
        CallTypes::read(text.as_bytes(), &Vocabulary::new(Vec::new(), &Zones::default()))
    }

    fn mpds(version: &str) -> Pin {
        Pin::new(Some("mpds"), Some(version))
    }

    fn nature_of<'t>(table: &'t CallTypes, code: &str, pin: &Pin) -> Result<&'t str, Unmapped> {
        table.look_up(code, pin).map(|row| row.nature.as_deref().unwrap_or_default())
    }

    #[test]
    fn the_longest_pattern_decides_and_case_does_not() {
        let (table, faults) = read(
            "code,vendor,version,nature,priority,implies,cite\n25A01,MPDS,13,person-in-crisis,3,self_harm=none; violence=none,\n25*,MPDS,13,unknown-trouble,,,\n25A*,,,welfare-check,,,\nStructure Fire,,,structure-fire,10,,\n",
        );
        assert_eq!(faults, Vec::new());
        let nature = |code: &str| nature_of(&table, code, &mpds("13"));
        assert_eq!(nature("25a01"), Ok("person-in-crisis"));
        assert_eq!(nature("25A02"), Ok("welfare-check"));
        assert_eq!(nature("25B03"), Ok("unknown-trouble"));
        assert_eq!(nature(" structure  fire "), Ok("structure-fire"));
        assert_eq!(nature("26A01"), Err(Unmapped::NotInTable));
        assert_eq!(nature("2é"), Err(Unmapped::NotInTable));
        assert_eq!(table.len(), 4);
    }

    #[test]
    fn a_determinant_means_what_its_own_version_says() {
        let (table, faults) = read(
            "code,vendor,version,nature\n25A01,MPDS,13.3,welfare-check\n25A01,MPDS,14,weapon-incident\n25A01,APCO,,noise\n26A*,MPDS,13.3,medical-minor\n26*,MPDS,14,medical-emergency\n26*,,,other\n27,,,alarm\n",
        );
        assert_eq!(faults, Vec::new());
        let nature = |code: &str, pin: &Pin| nature_of(&table, code, pin).map(str::to_owned);
        assert_eq!(nature("25A01", &mpds("13.3")).as_deref(), Ok("welfare-check"));
        assert_eq!(nature("25A01", &mpds("14")).as_deref(), Ok("weapon-incident"));
        assert_eq!(nature("25A01", &Pin::new(Some("apco"), Some("2"))).as_deref(), Ok("noise"));
        assert_eq!(nature("25A01", &mpds("15")), Err(Unmapped::VersionMismatch));
        assert_eq!(nature("25A01", &Pin::new(Some("MPDS"), None)), Err(Unmapped::VersionMismatch));
        assert_eq!(nature("25A01", &Pin::default()), Err(Unmapped::VersionMismatch));
        assert_eq!(nature("26A01", &mpds("14")).as_deref(), Ok("medical-emergency"), "its own version's wider row");
        assert_eq!(nature("26A01", &mpds("15")), Err(Unmapped::VersionMismatch), "an open row does not stand in");
        assert_eq!(nature("26B01", &mpds("15")).as_deref(), Ok("other"), "nothing more exact was written");
        assert_eq!(nature("27", &mpds("15")).as_deref(), Ok("alarm"));
    }

    #[test]
    fn a_record_lists_its_unmapped_codes_with_why() {
        let (table, _) =
            read("code,vendor,version,nature\nWELCK,,,welfare-check\n25A,MPDS,13,noise\nWelfare,,,welfare-check\n");
        let mut fields = NatureFields { call_type: Some("ZZZ".to_owned()), ..NatureFields::default() };
        fields.further_call_types = vec!["WELCK".to_owned(), "25A".to_owned()];
        assert_eq!(table.unmapped(&fields), [("ZZZ", Unmapped::NotInTable), ("25A", Unmapped::VersionMismatch)]);
        fields.call_type_vendor = Some("MPDS".to_owned());
        fields.call_type_version = Some("13".to_owned());
        fields.call_type_text = Some("welfare".to_owned());
        assert_eq!(table.unmapped(&fields), []);
        fields.call_type = Some("25A".to_owned());
        fields.call_type_version = Some("14".to_owned());
        fields.further_call_types.clear();
        assert_eq!(table.unmapped(&fields), [("25A", Unmapped::VersionMismatch)], "its text does not stand in");
    }

    #[test]
    fn every_fault_has_its_line_and_the_nearest_word() {
        let (_, faults) = read(
            "code,nature,prioriti,implies,version\nA,persn-in-crisis,3,,\nB,noise,,weapon=presnt,\nA,noise,,,\n*X,noise,,,\nC,noise,,,13\n",
        );
        let told: Vec<_> = faults.iter().map(|fault| (fault.line, fault.key.as_str(), fault.help.as_deref())).collect();
        assert_eq!(
            told,
            [
                (Some(1), "prioriti", Some("did you mean `priority`?")),
                (Some(2), "nature", Some("did you mean `person-in-crisis`?")),
                (Some(3), "implies", Some("did you mean `present`?")),
                (Some(4), "code", Some("leave one of the rows out, or tell them apart by version")),
                (Some(5), "code", None),
                (Some(6), "version", Some("name the `vendor` whose version it is, or leave both out")),
            ]
        );
    }

    /// The rule of LANGUAGE.md, read off a list of rows: what matches and applies, best first; then what forbids it.
    fn slow<'r>(rows: &'r [(String, Pin, String)], code: &str, pin: &Pin) -> Result<&'r str, Unmapped> {
        let matches = |pattern: &str| match pattern.strip_suffix('*') {
            Some(stem) => code.starts_with(stem),
            None => code == pattern,
        };
        let weight = |pattern: &str| if pattern.ends_with('*') { pattern.len() } else { usize::MAX };
        let matching: Vec<_> = rows.iter().filter(|(pattern, ..)| matches(pattern)).collect();
        let best = matching.iter().filter(|(_, row, _)| row.admits(pin));
        let best = best.max_by_key(|(pattern, row, _)| (weight(pattern), row.parts()));
        let Some((pattern, row, nature)) = best else {
            return Err(if matching.is_empty() { Unmapped::NotInTable } else { Unmapped::VersionMismatch });
        };
        let longer = matching.iter().any(|(other, ..)| weight(other) > weight(pattern));
        if longer && row.parts() < 2 { Err(Unmapped::VersionMismatch) } else { Ok(nature) }
    }

    fn pins() -> Vec<Pin> {
        let pin = |vendor, version| Pin::new(Some(vendor), Some(version));
        vec![Pin::default(), pin("A", ""), pin("A", "1"), pin("A", "2"), pin("B", "1")]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn the_table_says_what_the_list_of_its_rows_says(
            written in prop::collection::btree_map(("[12]{0,3}[*]?", 0_usize..5), 0_usize..70, 0..12),
            code in "[12]{1,3}",
            pin in prop::sample::select(pins()),
        ) {
            let mut table = CallTypes::default();
            let mut rows = Vec::new();
            for ((pattern, pin), nature) in written.into_iter().filter(|((pattern, _), _)| !pattern.is_empty()) {
                let (pin, name) = (pins()[pin].clone(), natures()[nature].name.clone());
                let implied = Implied { nature: Some(name.clone()), ..Implied::default() };
                table.insert(None, &pattern, Row { pin: pin.clone(), implied }, &mut Vec::new());
                rows.push((pattern, pin, name));
            }
            prop_assert_eq!(nature_of(&table, &code, &pin), slow(&rows, &code, &pin));
        }
    }
}
