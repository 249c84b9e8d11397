//! The policies in `schemas/policy/library` load, prove and pass their own cases.

use super::*;
use std::path::{Path, PathBuf};

pub(super) fn folder(path: &Path) -> PolicyFiles {
    let mut files = PolicyFiles { folder: path.display().to_string(), ..PolicyFiles::default() };
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        files.files.insert(name, std::fs::read(entry.path()).unwrap());
    }
    files
}

/// The folders of the library, in order.
pub(super) fn library() -> Vec<PathBuf> {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/policy/library");
    let entries = std::fs::read_dir(library).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

#[test]
fn every_policy_of_the_library_is_good_and_its_cases_cover_every_row_and_cell() {
    let mut seen = 0;
    for path in library() {
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
        assert_eq!(report.uncovered_cells, Vec::<String>::new(), "{path:?}");
        seen += 1;
    }
    assert!(seen >= 20, "{seen} policies");
}

/// A reader must be able to tell what a city has published from what this library has filled in.
#[test]
fn every_program_row_and_zone_of_the_library_cites_a_source_or_says_that_it_is_an_assumption() {
    let told = |text: &str| text.contains("cite = \"") || text.contains("assumption");
    for path in library() {
        let read = |name: &str| std::fs::read_to_string(path.join(name)).unwrap_or_default();
        let policy = read("policy.toml");
        // A table begins at a line that opens with `[`; comment lines between tables belong to none.
        let lines = policy.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
        let tables: Vec<&str> = lines.split("\n[").collect();
        let due = tables
            .iter()
            .filter(|table| ["program.", "[rule]", "[exclusion]"].iter().any(|kind| table.starts_with(kind)));
        for table in due {
            assert!(told(table), "{path:?}: no source, and no assumption either:\n[{table}");
        }
        let call_types = read("call_types.csv");
        let cited = |row: &str| row.rsplit_once(',').is_some_and(|(_, cite)| !cite.is_empty());
        assert!(
            call_types.contains("assumption") || call_types.lines().all(cited),
            "{path:?}: call_types.csv gives no source"
        );
        for feature in read("zones.geojson").split("\"Feature\"").skip(1) {
            assert!(feature.contains("\"cite\""), "{path:?}: a zone without a source: {feature}");
        }
        let page = read("README.md");
        assert!(page.contains("ssumption"), "{path:?}: README.md lists no assumptions");
    }
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
