//! `fourth check`: reads a policy, proves its safeguards over all calls, runs its cases, reports what they cover.

use super::{BadInput, Ending, Verdict, table};
use crate::clock::monotonic_now;
use crate::configuration::read_policy_folder;
use crate::policy::{
    Candidate, CaseReport, CaseResult, Finding, Gaps, PolicyFault, PolicyIdentity, ProgramSummary, Proof, WaiverSummary,
};
use comfy_table::{Table, presets};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Names in a list that is read by people, at most.
const NAMES_SHOWN: usize = 15;

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
    cell_coverage_percent: f64,
    findings: Vec<Finding>,
    gaps: Gaps,
    /// Reading, proving, looking for findings and running the cases.
    total_ns: u64,
    good: bool,
}

/// Checks every folder; the exit status is that of the worst.
///
/// # Errors
/// A folder that cannot be read, or a policy with faults: each fault has been written with its file and line.
pub fn run(args: &Args, out: &mut dyn Write) -> Ending {
    let mut unreadable: Vec<BadInput> = Vec::new();
    let mut reports: Vec<Report> = Vec::new();
    for folder in &args.policies {
        match check(folder, args) {
            Ok(report) => {
                if args.json {
                    let line = serde_json::to_string(&report).map_err(|error| BadInput::new(error.to_string()))?;
                    writeln!(out, "{line}")?;
                } else {
                    write_report(&report, out)?;
                }
                reports.push(report);
            }
            Err(Unreadable::Folder(problem)) => unreadable.push(problem),
            Err(Unreadable::Policy(faults)) => {
                write_faults(folder, &faults, args.json, out)?;
                let message = format!("`{}` has faults: {}", folder.display(), faults.len());
                unreadable.push(BadInput::new(message).help("each is listed above with its file, line and key"));
            }
        }
    }
    if reports.len() > 1 && !args.json {
        write_summary(&reports, out)?;
    }
    let verdict = if reports.iter().all(|report| report.good) { Verdict::Good } else { Verdict::NotSo };
    unreadable.into_iter().next().map_or(Ok(verdict), Err)
}

pub(super) enum Unreadable {
    Folder(BadInput),
    Policy(Vec<PolicyFault>),
}

fn check(folder: &Path, args: &Args) -> Result<Report, Unreadable> {
    let started = monotonic_now();
    let files = read_policy_folder(folder).map_err(Unreadable::Folder)?;
    let candidate = Candidate::read(&files).map_err(|faults| Unreadable::Policy(faults.0))?;
    let proving = monotonic_now();
    let proofs = candidate.prove();
    let proofs_ns = nanoseconds(proving.elapsed());
    let overlaps: Vec<String> = candidate.overlaps().into_iter().map(|fault| fault.message).collect();
    let cases = candidate.run_cases();
    let coverage_percent = cases.coverage_percent();
    let (rules, exclusions) = candidate.row_counts();
    let good = proofs.iter().all(|proof| proof.waived || proof.holds())
        && overlaps.is_empty()
        && cases.results.iter().all(CaseResult::passes)
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
        cell_coverage_percent: cases.cell_coverage_percent(),
        cases,
        coverage_percent,
        findings: candidate.findings(),
        gaps: candidate.gaps(),
        total_ns: nanoseconds(started.elapsed()),
        good,
    })
}

fn nanoseconds(spent: std::time::Duration) -> u64 {
    u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX)
}

/// Faults with file, line and key, one on a line.
pub(super) fn write_faults(
    folder: &Path,
    faults: &[PolicyFault],
    json: bool,
    out: &mut dyn Write,
) -> std::io::Result<()> {
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

impl Report {
    fn proved(&self) -> String {
        let proved = self.proofs.iter().filter(|proof| proof.holds()).count();
        format!("{proved} of {}", self.proofs.len())
    }

    fn passed(&self) -> String {
        let passed = self.cases.results.iter().filter(|result| result.passes()).count();
        format!("{passed} of {}", self.cases.results.len())
    }

    fn verdict(&self) -> &'static str {
        if self.good { "good" } else { "not so" }
    }
}

fn milliseconds(nanoseconds: u64) -> String {
    format!("{:.1} ms", precise(nanoseconds) / 1e6)
}

fn write_report(report: &Report, out: &mut dyn Write) -> std::io::Result<()> {
    let mut lines = Table::new();
    lines.load_style(presets::NOTHING);
    lines.add_row(["policy".to_owned(), format!("{} · {}", report.policy.id, report.title)]);
    lines.add_row(["revision".to_owned(), report.policy.revision.clone()]);
    lines.add_row(["digest".to_owned(), report.policy.digest.clone()]);
    lines.add_row(["rows".to_owned(), format!("{} rules, {} exclusions", report.rules, report.exclusions)]);
    let programs: Vec<&str> = report.programs.iter().map(|program| program.id.as_str()).collect();
    lines.add_row(["programs".to_owned(), programs.join(", ")]);
    let proofs_ms = milliseconds(report.proofs_ns);
    lines.add_row(["safeguards".to_owned(), format!("{} proved for every call, in {proofs_ms}", report.proved())]);
    lines.add_row(["cases".to_owned(), format!("{} pass", report.passed())]);
    let covered = |open: &[String], all: usize, percent: f64, what: &str| {
        format!("{} of {all} {what} covered ({percent:.0} %)", all - open.len())
    };
    let cases = &report.cases;
    lines.add_row(["coverage".to_owned(), covered(&cases.uncovered, cases.rows, report.coverage_percent, "rows")]);
    let cells = covered(&cases.uncovered_cells, cases.cells, report.cell_coverage_percent, "cells");
    lines.add_row([String::new(), format!("{cells}: a case meets the row, another misses it by that cell alone")]);
    lines.add_row(["time".to_owned(), milliseconds(report.total_ns)]);
    lines.add_row(["verdict".to_owned(), report.verdict().to_owned()]);
    writeln!(out, "{}", lines.trim_fmt())?;
    write_failures(report, out)?;
    write_findings(report, out)?;
    writeln!(out)
}

fn write_failures(report: &Report, out: &mut dyn Write) -> std::io::Result<()> {
    for waiver in &report.waivers {
        let when = waiver.signed_on.as_deref().map_or_else(String::new, |date| format!(" on {date}"));
        writeln!(out, "waived: `{}`, signed by {}{when}: {}", waiver.safeguard, waiver.signed_by, waiver.because)?;
    }
    for proof in &report.proofs {
        if let Some(example) = &proof.counter_example {
            let line = proof.line.map_or_else(String::new, |line| format!("policy.toml:{line}: "));
            writeln!(out, "not proved: {line}`{}`: {example}", proof.safeguard)?;
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
    Ok(())
}

fn write_findings(report: &Report, out: &mut dyn Write) -> std::io::Result<()> {
    let listed = |what: &str, names: &[String], out: &mut dyn Write| {
        let shown = names.iter().take(NAMES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = match names.len().checked_sub(NAMES_SHOWN) {
            None | Some(0) => String::new(),
            Some(more) => format!(", and {more} more (`--json` names all)"),
        };
        if names.is_empty() { Ok(()) } else { writeln!(out, "{what} ({}): {shown}{more}", names.len()) }
    };
    listed("no case covers", &report.cases.uncovered, out)?;
    listed("cells of which no two cases show both sides", &report.cases.uncovered_cells, out)?;
    listed("call types that say no nature", &report.gaps.call_types_to_nothing, out)?;
    listed("call types that no row names", &report.gaps.call_types, out)?;
    listed("natures that no row names", &report.gaps.natures, out)?;
    if report.findings.is_empty() {
        return Ok(());
    }
    let rows: Vec<Vec<String>> = report
        .findings
        .iter()
        .map(|finding| {
            let line = finding.line.map_or_else(String::new, |line| format!("policy.toml:{line}"));
            let fact = finding.fact.clone().unwrap_or_default();
            vec![line, finding.row.clone(), fact, finding.code.to_owned(), finding.text.clone()]
        })
        .collect();
    writeln!(out, "{}", table(&["at", "row", "cell", "finding", "why"], &rows).trim_fmt())
}

/// One line for each policy, where several were checked.
fn write_summary(reports: &[Report], out: &mut dyn Write) -> std::io::Result<()> {
    let rows: Vec<Vec<String>> = reports
        .iter()
        .map(|report| {
            vec![
                report.policy.id.clone(),
                (report.rules + report.exclusions).to_string(),
                report.proved(),
                report.passed(),
                format!("{:.0} %", report.coverage_percent),
                format!("{:.0} %", report.cell_coverage_percent),
                report.findings.len().to_string(),
                milliseconds(report.total_ns),
                report.verdict().to_owned(),
            ]
        })
        .collect();
    let headers = ["policy", "rows", "proved", "cases", "rows covered", "cells covered", "findings", "time", "verdict"];
    writeln!(out, "{}", table(&headers, &rows).trim_fmt())
}

/// Nanoseconds for display; the loss beyond 2^53 does not show.
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn precise(nanoseconds: u64) -> f64 {
    nanoseconds as f64
}

#[cfg(test)]
mod tests {
    use super::super::trial::{self, folder};
    use super::*;

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
        trial::ran(|out| run(&args, out))
    }

    #[test]
    fn a_good_policy_is_reported_and_coverage_can_be_required() {
        let folder = folder(&[("policy.toml", POLICY)]);
        let (ending, text) = ran(folder.path(), false, None);
        assert_eq!(ending, Ok(Verdict::Good));
        assert!(
            text.contains("14 of 14 proved for every call") && text.contains("no case covers (1): noise"),
            "{text}"
        );
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
        let failing = folder(&[("policy.toml", POLICY), ("cases.toml", cases)]);
        let (ending, text) = ran(failing.path(), false, None);
        assert_eq!(ending, Ok(Verdict::NotSo));
        assert!(text.contains("cases.toml:1") && text.contains("expected ineligible, found eligible"), "{text}");
        let hole = format!(
            "{POLICY}[[safeguard]]\nid = \"s\"\nnever = {{ send = \"team\", when = {{ weapon = \"unknown\" }} }}\n"
        );
        let hole = folder(&[("policy.toml", &hole)]);
        let (ending, text) = ran(hole.path(), false, None);
        assert_eq!(ending, Ok(Verdict::NotSo));
        assert!(text.contains("`s`: somebody, noise, weapon unknown, Thursday 18:00 → team, by rule noise"), "{text}");
    }

    #[test]
    fn a_policy_with_faults_is_bad_input_with_every_line() {
        let faulty = folder(&[("policy.toml", &POLICY.replace("send", "snd").replace("kind", "knid"))]);
        let (ending, text) = ran(faulty.path(), false, None);
        assert!(ending.unwrap_err().message.contains("faults"));
        assert!(text.contains("policy.toml:7: `program.team.kind`") && text.contains("did you mean `send`?"), "{text}");
        let nowhere = Path::new("/nowhere/at/all");
        assert!(ran(nowhere, true, None).0.unwrap_err().message.contains("/nowhere/at/all"));
    }
}
