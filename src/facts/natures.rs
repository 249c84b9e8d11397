//! The product's own tables: natures, EIDO common incident types, place types and caution words.

use super::csv_rows::{CsvRow, read_rows};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One agency-neutral nature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nature {
    /// Kebab-case word.
    pub name: String,
    /// How dangerous a call of this nature is taken to be before anything else is known, 0…9; of several natures the highest rules.
    pub danger: u8,
    /// An emergency for police, fire or EMS: a later record cannot turn it into something lesser, only an answer can.
    pub emergency: bool,
    /// In English.
    pub en: String,
    /// In French.
    pub fr: String,
}

/// What a code says: a nature (or none) and the facts it implies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meaning {
    /// The nature, `None` where the code says nothing of it.
    pub nature: Option<String>,
    /// Fact and value pairs.
    pub implies: Vec<(String, String)>,
}

/// A caution word and the fact it raises.
pub(super) struct CautionWord {
    pub word: String,
    pub fact: String,
    pub value: String,
}

static NATURES: LazyLock<Vec<Nature>> = LazyLock::new(|| {
    rows(include_bytes!("data/natures.csv"), ["nature", "danger", "emergency", "en", "fr"])
        .into_iter()
        .map(|CsvRow { cells: [name, danger, emergency, en, fr], .. }| Nature {
            // A danger that cannot be read would be the highest; the table's test keeps it from happening.
            danger: danger.parse().unwrap_or(9),
            emergency: emergency != "no",
            name,
            en,
            fr,
        })
        .collect()
});

static EIDO: LazyLock<BTreeMap<String, Meaning>> = LazyLock::new(|| {
    rows(include_bytes!("data/eido_incident_types.csv"), ["code", "nature", "implies"])
        .into_iter()
        .map(|CsvRow { cells: [code, nature, implies], .. }| {
            let nature = Some(nature).filter(|nature| !nature.is_empty());
            (code, Meaning { nature, implies: pairs(&implies) })
        })
        .collect()
});

static PLACE_TYPES: LazyLock<BTreeMap<String, Option<String>>> = LazyLock::new(|| {
    rows(include_bytes!("data/place_types.csv"), ["place_type", "setting"])
        .into_iter()
        .map(|CsvRow { cells: [word, setting], .. }| (word, Some(setting).filter(|setting| !setting.is_empty())))
        .collect()
});

static CAUTIONS: LazyLock<Vec<CautionWord>> = LazyLock::new(|| {
    rows(include_bytes!("data/cautions.csv"), ["word", "fact", "value"])
        .into_iter()
        .map(|CsvRow { cells: [word, fact, value], .. }| CautionWord { word, fact, value })
        .collect()
});

fn rows<const N: usize>(bytes: &[u8], columns: [&str; N]) -> Vec<CsvRow<N>> {
    read_rows(bytes, columns, N, &mut Vec::new())
}

/// Splits `fact=value; fact=value`. A part without `=` gives an empty value, which no fact has.
pub(super) fn pairs(text: &str) -> Vec<(String, String)> {
    text.split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (fact, value) = part.split_once('=').unwrap_or((part, ""));
            (fact.trim().to_owned(), value.trim().to_owned())
        })
        .collect()
}

/// All natures, in the order of the table.
#[must_use]
pub fn natures() -> &'static [Nature] {
    &NATURES
}

pub(super) fn nature(name: &str) -> Option<&'static Nature> {
    NATURES.iter().find(|nature| nature.name == name)
}

/// The meaning of an EIDO IncidentType-Common code (NENA-STA-021.1b chapter 3, APCO ANS 2.103.2-2019).
pub(super) fn eido_meaning(code: &str) -> Option<&'static Meaning> {
    EIDO.get(&code.trim().to_ascii_uppercase())
}

/// What a place type (RFC 4589 or an everyday word) says of the setting: `None` where the word is not in the table,
/// `Some(None)` where it is and leaves the setting open (`street` may be the sidewalk or the carriageway).
pub(super) fn place_setting(word: &str) -> Option<Option<&'static str>> {
    let key: String = word
        .trim()
        .to_lowercase()
        .chars()
        .map(|letter| if matches!(letter, ' ' | '_') { '-' } else { letter })
        .collect();
    PLACE_TYPES.get(&key).map(Option::as_deref)
}

pub(super) fn caution_words() -> &'static [CautionWord] {
    &CAUTIONS
}

#[cfg(test)]
mod tests {
    use super::super::{Vocabulary, Zones};
    use super::*;

    #[test]
    fn every_row_of_the_tables_is_read_and_speaks_the_vocabulary() {
        let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() - 1;
        assert_eq!(NATURES.len(), lines(include_bytes!("data/natures.csv")));
        assert_eq!(EIDO.len(), 245, "NENA-STA-021.1b lists 245 codes");
        assert_eq!(EIDO.len(), lines(include_bytes!("data/eido_incident_types.csv")));
        assert_eq!(PLACE_TYPES.len(), lines(include_bytes!("data/place_types.csv")));
        assert_eq!(CAUTIONS.len(), lines(include_bytes!("data/cautions.csv")));
        let vocabulary = Vocabulary::new(Vec::new(), &Zones::default());
        for nature in natures() {
            assert!(nature.danger <= 9 && !nature.en.is_empty() && !nature.fr.is_empty(), "{}", nature.name);
        }
        for (code, meaning) in EIDO.iter() {
            if let Some(name) = &meaning.nature {
                assert!(nature(name).is_some(), "{code}: {name}");
            }
            for (fact, value) in &meaning.implies {
                assert!(vocabulary.canonical(fact, value).is_ok(), "{code}: {fact}={value}");
            }
        }
        for setting in PLACE_TYPES.values().flatten() {
            assert!(vocabulary.canonical("setting", setting).is_ok(), "{setting}");
        }
        for caution in CAUTIONS.iter() {
            assert!(vocabulary.canonical(&caution.fact, &caution.value).is_ok(), "{}", caution.word);
        }
    }

    #[test]
    fn dangerous_common_codes_imply_their_danger() {
        let implies = |code: &str, fact: &str| {
            let meaning = eido_meaning(code).unwrap();
            meaning.implies.iter().find(|(name, _)| name == fact).map(|(_, value)| value.clone())
        };
        assert_eq!(implies("MTLV", "violence").as_deref(), Some("physical"));
        assert_eq!(implies("WEAPON", "weapon").as_deref(), Some("present"));
        assert_eq!(implies("DVA", "violence").as_deref(), Some("physical"));
        assert_eq!(implies("SUICTHRT", "self_harm").as_deref(), Some("attempt"));
        assert_eq!(eido_meaning("FSTRU").unwrap().nature.as_deref(), Some("structure-fire"));
        assert_eq!(eido_meaning("mntl").unwrap().implies, Vec::new());
    }
}
