//! `fourth check`: reads a policy, proves its safeguards over all calls, runs its cases, reports what they cover.

use super::{BadInput, Ending, Verdict};
use crate::clock::monotonic_now;
use crate::configuration::read_policy_folder;
use crate::policy::{
    Candidate, CaseReport, Finding, PolicyFault, PolicyIdentity, ProgramSummary, Proof, WaiverSummary,
};
use comfy_table::{Table, presets};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Arguments of `fourth check`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Policy folders.
    #[arg(required = true)]
    pub policies: Vec<PathBuf>,
    /// One JSON object per policy.
    #[arg(long)]
    pub json: bool,
    /// Least share of rows that the cases must cover, in per cent.
    #[arg(long, value_name = "PERCENT")]
    pub min_coverage: Option<f64>,
}

/// Everything found about one policy.
#[derive(Debug, Serialize)]
struct Report {
    folder: String,
    policy: PolicyIdentity,
    title: String,
    rules: usize,
    exclusions: usize,
    programs: Vec<ProgramSummary>,
    proofs: Vec<Proof>,
    proofs_ns: u64,
    overlaps: Vec<String>,
    waivers: Vec<WaiverSummary>,
    cases: CaseReport,
    coverage_percent: f64,
    findings: Vec<Finding>,
    good: bool,
}

/// Checks every folder; the exit status is that of the worst.
///
/// # Errors
/// A folder that cannot be read, or a policy with faults: each fault has been written with its file and line.
pub fn run(args: &Args, out: &mut dyn Write) -> Ending {
    let mut unreadable: Vec<BadInput> = Vec::new();
    let mut verdict = Verdict::Good;
    for folder in &args.policies {
        match check(folder, args) {
            Ok(report) => {
                if !report.good {
                    verdict = Verdict::NotSo;
                }
                if args.json {
                    let line = serde_json::to_string(&report).map_err(|error| BadInput::new(error.to_string()))?;
                    writeln!(out, "{line}")?;
                } else {
                    write_report(&report, out)?;
                }
            }
            Err(Unreadable::Folder(problem)) => unreadable.push(problem),
            Err(Unreadable::Policy(faults)) => {
                write_faults(folder, &faults, args.json, out)?;
                let message = format!("`{}` has faults: {}", folder.display(), faults.len());
                unreadable.push(BadInput::new(message).help("each is listed above with its file, line and key"));
            }
        }
    }
    unreadable.into_iter().next().map_or(Ok(verdict), Err)
}

enum Unreadable {
    Folder(BadInput),
    Policy(Vec<PolicyFault>),
}

fn check(folder: &Path, args: &Args) -> Result<Report, Unreadable> {
    let files = read_policy_folder(folder).map_err(Unreadable::Folder)?;
    let candidate = Candidate::read(&files).map_err(|faults| Unreadable::Policy(faults.0))?;
    let started = monotonic_now();
    let proofs = candidate.prove();
    let proofs_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let overlaps: Vec<String> = candidate.overlaps().into_iter().map(|fault| fault.message).collect();
    let cases = candidate.run_cases();
    let coverage_percent = cases.coverage_percent();
    let (rules, exclusions) = candidate.row_counts();
    let good = proofs.iter().all(|proof| proof.waived || proof.holds())
        && overlaps.is_empty()
        && cases.results.iter().all(crate::policy::CaseResult::passes)
        && args.min_coverage.is_none_or(|least| coverage_percent >= least);
    Ok(Report {
        folder: folder.display().to_string(),
        policy: candidate.identity().clone(),
        title: candidate.title().to_owned(),
        rules,
        exclusions,
        programs: candidate.programs(),
        proofs,
        proofs_ns,
        overlaps,
        waivers: candidate.waivers(),
        cases,
        coverage_percent,
        findings: candidate.findings(),
        good,
    })
}

fn write_faults(folder: &Path, faults: &[PolicyFault], json: bool, out: &mut dyn Write) -> std::io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        folder: String,
        file: &'a str,
        line: Option<u32>,
        key: &'a str,
        fault: &'a str,
        help: Option<&'a str>,
    }
    for fault in faults {
        if json {
            let line = Line {
                folder: folder.display().to_string(),
                file: &fault.file,
                line: fault.line,
                key: &fault.key,
                fault: &fault.message,
                help: fault.help.as_deref(),
            };
            writeln!(out, "{}", serde_json::to_string(&line).unwrap_or_default())?;
            continue;
        }
        let place = fault.line.map_or_else(String::new, |line| format!(":{line}"));
        let path = folder.join(&fault.file);
        writeln!(out, "{}{place}: `{}`: {}", path.display(), fault.key, fault.message)?;
        if let Some(help) = &fault.help {
            writeln!(out, "  help: {help}")?;
        }
    }
    Ok(())
}

fn write_report(report: &Report, out: &mut dyn Write) -> std::io::Result<()> {
    let proved = report.proofs.iter().filter(|proof| proof.holds()).count();
    let passed = report.cases.results.iter().filter(|result| result.passes()).count();
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let proofs_ms = format!("{:.1} ms", precise(report.proofs_ns) / 1e6);
    table.add_row(["policy".to_owned(), format!("{} · {}", report.policy.id, report.title)]);
    table.add_row(["revision".to_owned(), report.policy.revision.clone()]);
    table.add_row(["digest".to_owned(), report.policy.digest.clone()]);
    table.add_row(["rows".to_owned(), format!("{} rules, {} exclusions", report.rules, report.exclusions)]);
    let programs: Vec<&str> = report.programs.iter().map(|program| program.id.as_str()).collect();
    table.add_row(["programs".to_owned(), programs.join(", ")]);
    let total = report.proofs.len();
    table.add_row(["safeguards".to_owned(), format!("{proved} of {total} proved for every call, in {proofs_ms}")]);
    table.add_row(["cases".to_owned(), format!("{passed} of {} pass", report.cases.results.len())]);
    let covered = report.cases.rows - report.cases.uncovered.len();
    let coverage = format!("{covered} of {} rows covered ({:.0} %)", report.cases.rows, report.coverage_percent);
    table.add_row(["coverage".to_owned(), coverage]);
    table.add_row(["verdict".to_owned(), if report.good { "good".to_owned() } else { "not so".to_owned() }]);
    writeln!(out, "{}", table.trim_fmt())?;
    for waiver in &report.waivers {
        let when = waiver.signed_on.as_deref().map_or_else(String::new, |date| format!(" on {date}"));
        writeln!(out, "waived: `{}`, signed by {}{when}: {}", waiver.safeguard, waiver.signed_by, waiver.because)?;
    }
    for proof in &report.proofs {
        if let Some(example) = &proof.counter_example {
            writeln!(out, "not proved: `{}`: {example}", proof.safeguard)?;
        }
    }
    for overlap in &report.overlaps {
        writeln!(out, "overlap: {overlap}")?;
    }
    for result in report.cases.results.iter().filter(|result| !result.passes()) {
        writeln!(out, "case fails: cases.toml:{}: `{}`", result.line, result.case)?;
        for difference in &result.differences {
            writeln!(out, "  {difference}")?;
        }
    }
    if !report.cases.uncovered.is_empty() {
        writeln!(out, "no case covers: {}", report.cases.uncovered.join(", "))?;
    }
    for finding in &report.findings {
        let line = finding.line.map_or_else(String::new, |line| format!("policy.toml:{line}: "));
        writeln!(out, "finding: {line}`{}`: {} ({})", finding.row, finding.text, finding.code)?;
    }
    writeln!(out)
}

/// Nanoseconds for display; the loss beyond 2^53 does not show.
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn precise(nanoseconds: u64) -> f64 {
    nanoseconds as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::Builder::new().prefix(name).tempdir().unwrap();
        for (file, content) in files {
            std::fs::write(folder.path().join(file), content).unwrap();
        }
        folder
    }

    const POLICY: &str = r#"[policy]
id = "small"
title = "Small"
revision = "1"
time_zone = "America/Vancouver"
mode = "advise"
[program.team]
kind = "community"
hours = [{ days = "Mon..Sun", from = "00:00", to = "24:00" }]
legs = [{ channel = "webhook", accept_deadline_s = 60 }]
[[rule]]
id = "noise"
nature = "noise"
because = "noise"
send = ["team"]
"#;

    fn ran(folder: &Path, json: bool, min_coverage: Option<f64>) -> (Ending, String) {
        let args = Args { policies: vec![folder.to_owned()], json, min_coverage };
        let mut out = Vec::new();
        let ending = run(&args, &mut out);
        (ending, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_good_policy_is_reported_and_coverage_can_be_required() {
        let folder = folder("good", &[("policy.toml", POLICY)]);
        let (ending, text) = ran(folder.path(), false, None);
        assert_eq!(ending, Ok(Verdict::Good));
        assert!(text.contains("7 of 7 proved for every call") && text.contains("no case covers: noise"), "{text}");
        assert_eq!(ran(folder.path(), false, Some(50.0)).0, Ok(Verdict::NotSo));
        let (_, json) = ran(folder.path(), true, None);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["policy"]["id"], "small");
        assert_eq!(value["coverage_percent"], 0.0);
        assert_eq!(json.lines().count(), 1);
    }

    #[test]
    fn a_failing_case_and_a_failing_proof_are_not_so() {
        let cases = "[[case]]\nid = \"a\"\nat = \"2026-01-01T12:00\"\nfacts = { nature = \"noise\" }\nexpect = { status = \"ineligible\" }\n";
        let failing = folder("case", &[("policy.toml", POLICY), ("cases.toml", cases)]);
        let (ending, text) = ran(failing.path(), false, None);
        assert_eq!(ending, Ok(Verdict::NotSo));
        assert!(text.contains("cases.toml:1") && text.contains("expected ineligible, found eligible"), "{text}");
        let hole = format!(
            "{POLICY}[[safeguard]]\nid = \"s\"\nnever = {{ send = \"team\", when = {{ weapon = \"unknown\" }} }}\n"
        );
        let hole = folder("hole", &[("policy.toml", &hole)]);
        let (ending, text) = ran(hole.path(), false, None);
        assert_eq!(ending, Ok(Verdict::NotSo));
        assert!(text.contains("not proved: `s`: a call with weapon unknown"), "{text}");
    }

    #[test]
    fn a_policy_with_faults_is_bad_input_with_every_line() {
        let faulty = folder("bad", &[("policy.toml", &POLICY.replace("send", "snd").replace("kind", "knid"))]);
        let (ending, text) = ran(faulty.path(), false, None);
        assert!(ending.unwrap_err().message.contains("faults"));
        assert!(text.contains("policy.toml:7: `program.team.kind`") && text.contains("did you mean `send`?"), "{text}");
        let nowhere = Path::new("/nowhere/at/all");
        assert!(ran(nowhere, true, None).0.unwrap_err().message.contains("/nowhere/at/all"));
    }
}
