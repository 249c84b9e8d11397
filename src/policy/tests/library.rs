//! The policies in `schemas/policy/library` load, prove and pass their own cases.

use super::*;
use std::path::Path;

pub(super) fn folder(path: &Path) -> PolicyFiles {
    let mut files = PolicyFiles { folder: path.display().to_string(), ..PolicyFiles::default() };
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        files.files.insert(name, std::fs::read(entry.path()).unwrap());
    }
    files
}

#[test]
fn every_policy_of_the_library_is_good_and_its_cases_cover_every_row() {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/policy/library");
    let mut seen = 0;
    for entry in std::fs::read_dir(library).unwrap() {
        let path = entry.unwrap().path();
        let candidate = Candidate::read(&folder(&path)).unwrap_or_else(|faults| panic!("{path:?}\n{}", told(&faults)));
        assert!(
            candidate.prove().iter().all(|proof| proof.waived || proof.holds()),
            "{path:?} {:?}",
            candidate.prove()
        );
        assert_eq!(candidate.overlaps(), Vec::new(), "{path:?}");
        let report = candidate.run_cases();
        let failing: Vec<_> = report.results.iter().filter(|result| !result.passes()).collect();
        assert!(failing.is_empty() && !report.results.is_empty(), "{path:?} {failing:#?}");
        assert_eq!(report.uncovered, Vec::<String>::new(), "{path:?}");
        seen += 1;
    }
    assert!(seen >= 4);
}

#[test]
fn the_language_page_names_every_fact_value_and_nature() {
    let page = include_str!("../../../schemas/policy/LANGUAGE.md");
    let words: BTreeSet<&str> = page
        .split(|letter: char| !(letter.is_alphanumeric() || letter == '-' || letter == '_' || letter == '.'))
        .collect();
    let vocabulary = crate::facts::Vocabulary::new(Vec::new(), &crate::facts::Zones::default());
    for fact in vocabulary.facts() {
        assert!(words.contains(&*fact.name), "{}", fact.name);
        for value in fact.values().iter().filter(|value| value.parse::<i64>().is_err()) {
            assert!(words.contains(value.as_str()), "{} {value}", fact.name);
        }
    }
    for (id, ..) in BUILT_IN {
        assert!(words.contains(id), "{id}");
    }
}
