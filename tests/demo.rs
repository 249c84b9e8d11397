//! The demo, played to its end: every outcome occurs, and its summary is what the report computes from the journal alone.

use crate::support::fourth;

/// The count in the summary's row that begins with `what`.
fn count(summary: &str, what: &str) -> u64 {
    let row = summary.lines().map(str::trim).find(|line| line.starts_with(what) && line.ends_with(char::is_numeric));
    let row = row.unwrap_or_else(|| panic!("no row `{what}` in:\n{summary}"));
    row.split_whitespace().next_back().unwrap().parse().unwrap()
}

/// Show 3 of the first issue: the two hours of `demo --minutes 2 --speed 60`, played three times as fast.
#[test]
fn an_evening_ends_with_every_call_owned_and_the_report_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.db");
    let journal = journal.to_str().unwrap();
    let (status, out, err) =
        fourth(&["demo", "--minutes", "0.67", "--speed", "180", "--listen", "127.0.0.1:0", "--journal", journal]);
    assert_eq!(status, 0, "{out}{err}");
    let summary = out.split("\nSummary\n").nth(1).expect("a summary");
    for outcome in ["offered", "accepted", "declined", "timed out", "incidents closed", "questions answered"] {
        assert!(count(summary, outcome) > 0, "`{outcome}` never occurred:\n{summary}");
    }
    let returned = summary.lines().any(|line| line.trim().starts_with("returned"));
    assert!(returned, "no call came back:\n{summary}");
    assert_eq!(count(summary, "incidents not offered, reason not recorded"), 0);
    assert_eq!(count(summary, "records acknowledged by the pass-through that the CAD never got"), 0);
    let (status, report, err) = fourth(&["report", "--journal", journal]);
    assert_eq!(status, 0, "{err}");
    assert!(summary.contains(report.trim()), "summary and report differ:\n{summary}\n---\n{report}");
    let (status, verified, _) = fourth(&["journal", "verify", "--journal", journal]);
    assert_eq!(status, 0, "{verified}");
}
