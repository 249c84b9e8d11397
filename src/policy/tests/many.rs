//! Policies of many rows: they prove, and the work grows with the pairs of rows and not with their combinations.

use super::generated::policy;
use super::*;
use crate::policy::cover::WORK;
use crate::policy::row_set::RowSet;

fn read(rows: usize) -> Candidate {
    let mut files = PolicyFiles { folder: "generated".to_owned(), ..PolicyFiles::default() };
    files.files.insert("policy.toml".to_owned(), policy(rows, 7).into_bytes());
    Candidate::read(&files).unwrap_or_else(|faults| panic!("{}", told(&faults)))
}

/// Covers looked at to tell whether each rule can decide anything, and how many covers there were.
fn work(candidate: &Candidate) -> (u64, u64) {
    let policy = &candidate.compiled;
    let (mut looks, mut covers) = (0, 0);
    for rule in policy.table.rules.iter() {
        let before: RowSet = (0..rule).fold(RowSet::EMPTY, |mut rows, row| {
            rows.insert(row);
            rows
        });
        let before = policy.space.rows(before);
        for own in policy.space.row(rule) {
            looks += policy.space.looks(own, &before);
            covers += u64::try_from(before.len()).unwrap();
        }
    }
    (looks, covers)
}

#[test]
fn a_policy_of_many_rows_and_call_types_proves() {
    let candidate = read(240);
    assert_eq!(candidate.row_counts(), (206, 34));
    for proof in candidate.prove() {
        assert!(proof.holds(), "{proof:?}");
    }
    assert_eq!(candidate.overlaps(), Vec::new());
    assert!(candidate.findings().iter().all(|finding| finding.code != "not-proved"));
    // Values told apart are not limited to what one machine word holds.
    let call_types = candidate.compiled.table.columns.iter().find(|column| column.name == "call_type").unwrap();
    assert!(call_types.accept.len() > 256, "{}", call_types.accept.len());
}

#[test]
fn each_cover_is_looked_at_a_few_times_and_not_once_for_every_combination() {
    let mut last = 0;
    for rows in [60, 120, 240] {
        let (looks, covers) = work(&read(rows));
        assert!(looks < 4 * covers, "{rows} rows: {looks} looks at {covers} covers");
        // Twice the rows are four times the pairs.
        assert!(last == 0 || looks < 8 * last, "{rows} rows: {looks} looks after {last}");
        last = looks;
    }
}

#[test]
fn a_comparison_of_many_rows_finds_the_one_that_changed() {
    let before = read(90).into_policy().unwrap();
    let text = policy(90, 7);
    let changed =
        text.replacen("id = \"r50\"\nbecause = \"r\"\n", "id = \"r50\"\nbecause = \"r\"\npriority = \"> 7\"\n", 1);
    assert_ne!(text, changed);
    let mut files = PolicyFiles::default();
    files.files.insert("policy.toml".to_owned(), changed.into_bytes());
    let after = Policy::compile(&files).unwrap();
    let told = before.compare(&after);
    assert!(told.lets_nothing_more_through() || told.moves[0].call.is_some());
    assert_eq!(before.compare(&before).relation, Relation::Equal);
    let lost = told.moves.iter().find(|moved| moved.kind == MoveKind::ProgramToOrdinary).unwrap();
    let call = lost.call.as_ref().expect("a call that the row took goes nowhere now");
    assert!(call.confirmed && call.facts.contains_key("nature"), "{call:?}");
}

/// What a running adapter must prove before it loads: each row is met with the others of its rank, and little else.
#[test]
fn a_reload_of_a_thousand_rows_proves_with_little_work() {
    let candidate = read(1_000);
    let start = WORK.get();
    let proofs = candidate.prove();
    let proving = WORK.get() - start;
    assert!(proofs.iter().all(Proof::holds), "{proofs:?}");
    let overlaps = candidate.overlaps();
    let overlapping = WORK.get() - start - proving;
    assert_eq!(overlaps, Vec::new());
    println!("1,000 rows: {proving} boxes looked at for the safeguards, {overlapping} for rules of one rank");
    assert!(proving < 800 * 1_000, "{proving}");
    assert!(overlapping < 100 * 1_000, "{overlapping}");
}
