//! `fourth diff`: what moves from one policy to another, proved over all calls, and what is written differently.

use super::check::{Unreadable, write_faults};
use super::replay::{MovesTold, moves_between, write_moves};
use super::{BadInput, Ending, Verdict, table};
use crate::clock::monotonic_now;
use crate::configuration::read_policy_folder;
use crate::policy::{
    Candidate, Change, Comparison, Move, MoveKind, Policy, PolicyFiles, PolicyIdentity, Relation, changes,
};
use comfy_table::{Table, presets};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Arguments of `fourth diff`. Exit status 0 where B is proved to divert no call that A leaves on the ordinary route, 1 where
/// it lets more through (or that could not be proved), 2 where a policy cannot be read or loaded.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The policy as it is: a folder.
    pub a: PathBuf,
    /// The policy that would take its place.
    pub b: PathBuf,
    /// Store of past calls, made by `fourth import`: what moves is counted on them too.
    #[arg(long, value_name = "STORE")]
    pub history: Option<PathBuf>,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Everything found about the two.
#[derive(Debug, Serialize)]
struct Report {
    a: PolicyIdentity,
    b: PolicyIdentity,
    #[serde(flatten)]
    comparison: Comparison,
    changes: Vec<Change>,
    total_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<MovesTold>,
}

/// Compares two policy folders.
///
/// # Errors
/// A folder or store that cannot be read, or a policy that cannot be loaded: each fault has been written with its file and line.
pub fn run(args: &Args, out: &mut dyn Write) -> Ending {
    let started = monotonic_now();
    let mut loaded = Vec::new();
    for folder in [&args.a, &args.b] {
        match load(folder) {
            Ok(found) => loaded.push(found),
            Err(Unreadable::Folder(problem)) => return Err(problem),
            Err(Unreadable::Policy(faults)) => {
                write_faults(folder, &faults, args.json, out)?;
                let message = format!("`{}` cannot be loaded: {} faults", folder.display(), faults.len());
                return Err(BadInput::new(message).help("each is listed above with its file, line and key"));
            }
        }
    }
    let [(files_a, a), (files_b, b)] = loaded.as_slice() else {
        return Err(BadInput::new("two policies are compared"));
    };
    let report = Report {
        a: a.identity().clone(),
        b: b.identity().clone(),
        comparison: a.compare(b),
        changes: changes(files_a, files_b),
        total_ns: u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX),
        history: args.history.as_deref().map(|store| moves_between(store, a, b)).transpose()?,
    };
    if args.json {
        let line = serde_json::to_string(&report).map_err(|error| BadInput::new(error.to_string()))?;
        writeln!(out, "{line}")?;
    } else {
        write_report(&report, out)?;
        if let Some(moves) = &report.history {
            writeln!(out)?;
            write_moves(&report.a, &report.b, moves, out)?;
        }
    }
    Ok(if report.comparison.lets_nothing_more_through() { Verdict::Good } else { Verdict::NotSo })
}

fn load(folder: &Path) -> Result<(PolicyFiles, Policy), Unreadable> {
    let files = read_policy_folder(folder).map_err(Unreadable::Folder)?;
    let policy = Candidate::read(&files).and_then(Candidate::into_policy);
    policy.map(|policy| (files, policy)).map_err(|faults| Unreadable::Policy(faults.0))
}

fn write_report(report: &Report, out: &mut dyn Write) -> std::io::Result<()> {
    let mut lines = Table::new();
    lines.load_style(presets::NOTHING);
    let named =
        |policy: &PolicyIdentity| format!("{}, revision {}, digest {:.12}", policy.id, policy.revision, policy.digest);
    lines.add_row(["A".to_owned(), named(&report.a)]);
    lines.add_row(["B".to_owned(), named(&report.b)]);
    let compared = format!(
        "every call, in each of the {} states that dates, crews and hours bring about; everybody on duty and free",
        report.comparison.states
    );
    lines.add_row(["compared".to_owned(), compared]);
    lines.add_row(["result".to_owned(), said(report.comparison.relation).to_owned()]);
    for moved in &report.comparison.moves {
        lines.add_row([kind(moved.kind).to_owned(), example(moved)]);
    }
    lines.add_row(["time".to_owned(), format!("{} ms", report.total_ns / 1_000_000)]);
    writeln!(out, "{}", lines.trim_fmt())?;
    if report.changes.is_empty() {
        return writeln!(out, "nothing is written differently");
    }
    let rows: Vec<Vec<String>> = report
        .changes
        .iter()
        .map(|change| {
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "–".to_owned());
            let key = change.key.clone().unwrap_or_default();
            vec![change.what.clone(), key, text(&change.before), text(&change.after)]
        })
        .collect();
    writeln!(out, "{}", table(&["written differently", "key", "A", "B"], &rows).trim_fmt())
}

fn said(relation: Relation) -> &'static str {
    match relation {
        Relation::Equal => "B diverts the calls that A diverts, and no other (proved)",
        Relation::Subset => "B diverts fewer calls than A, and none that A does not (proved)",
        Relation::Superset => "B diverts every call that A diverts, and more (proved)",
        Relation::Neither => "B diverts calls that A does not, and leaves calls that A diverts (both shown)",
        Relation::NotProved => "not proved within the bound of work",
    }
}

fn kind(kind: MoveKind) -> &'static str {
    match kind {
        MoveKind::OrdinaryToProgram => "ordinary → program",
        MoveKind::ProgramToOrdinary => "program → ordinary",
        MoveKind::ProgramToProgram => "program → other program",
        MoveKind::StatusOnly => "status only",
    }
}

fn example(moved: &Move) -> String {
    match &moved.call {
        Some(call) if call.confirmed => call.text.clone(),
        Some(call) => format!("{} (the two policies know different zones or facts: not confirmed)", call.text),
        None if moved.proved => "no call (proved)".to_owned(),
        None if moved.kind == MoveKind::StatusOnly => "none found (searched, not proved)".to_owned(),
        None => "not proved within the bound of work".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial;
    use super::*;

    const POLICY: &str = r#"[policy]
id = "small"
title = "Small"
revision = "1"
time_zone = "America/Vancouver"
mode = "advise"
[program.team]
kind = "community"
hours = [{ days = "Mon..Sun", from = "08:00", to = "20:00" }]
capacity = 2
legs = [{ channel = "webhook", accept_deadline_s = 60 }]
[program.line]
kind = "phone"
hours = [{ days = "Mon..Sun", from = "00:00", to = "24:00" }]
legs = [{ channel = "webhook", accept_deadline_s = 60 }]
[[rule]]
id = "noise"
nature = "noise"
weapon = "none, unknown"
because = "noise"
send = ["team"]
"#;

    fn ran(b: &str, json: bool) -> (Ending, String) {
        let folder = |policy: &str| trial::folder(&[("policy.toml", policy)]);
        let (one, other) = (folder(POLICY), folder(b));
        let args = Args { a: one.path().to_owned(), b: other.path().to_owned(), json, history: None };
        trial::ran(|out| run(&args, out))
    }

    #[test]
    fn the_same_fewer_and_more_calls_are_told_apart_by_exit_status_and_example() {
        let (ending, text) = ran(POLICY, false);
        assert_eq!(ending, Ok(Verdict::Good));
        assert!(text.contains("and no other (proved)") && text.contains("nothing is written differently"), "{text}");

        let (ending, text) = ran(&POLICY.replace("\"none, unknown\"", "\"none\""), false);
        assert_eq!(ending, Ok(Verdict::Good), "{text}");
        assert!(text.contains("B diverts fewer calls than A"), "{text}");
        assert!(
            text.contains("noise, weapon unknown, Tuesday 08:00: team, by noise → ordinary (needs-answer"),
            "{text}"
        );
        assert!(text.contains("rule `noise`") && text.contains("\"none, unknown\""), "{text}");

        let (ending, text) = ran(&POLICY.replace("\"none, unknown\"", "\"not(used)\""), false);
        assert_eq!(ending, Ok(Verdict::NotSo));
        assert!(text.contains("B diverts every call that A diverts, and more (proved)"), "{text}");
        assert!(
            text.contains("weapon mentioned, Tuesday 08:00: ordinary (ineligible: no-rule) → team, by noise"),
            "{text}"
        );
    }

    #[test]
    fn hours_are_compared_capacity_is_listed_and_another_program_is_a_move() {
        let (ending, text) = ran(&POLICY.replace("to = \"20:00\"", "to = \"22:00\""), false);
        assert_eq!(ending, Ok(Verdict::NotSo));
        assert!(text.contains("20:00: ordinary (eligible-out-of-hours: noise) → team, by noise"), "{text}");

        let (ending, text) = ran(&POLICY.replace("capacity = 2", "capacity = 3"), false);
        assert_eq!(ending, Ok(Verdict::Good));
        assert!(text.contains("and no other (proved)") && text.contains("capacity"), "{text}");

        let (ending, json) = ran(&POLICY.replace("send = [\"team\"]", "send = [\"team\", \"line\"]"), true);
        assert_eq!(ending, Ok(Verdict::NotSo), "out of the team's hours the line takes it now");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["relation"], "superset");
        assert_eq!(value["moves"][0]["call"]["after"]["route"], "line");
        assert_eq!(value["moves"][0]["call"]["confirmed"], true);

        let (ending, text) = ran(&POLICY.replace("send = [\"team\"]", "send = [\"line\", \"team\"]"), false);
        assert_eq!(ending, Ok(Verdict::NotSo));
        assert!(text.contains("team, by noise → line, by noise"), "{text}");
    }

    #[test]
    fn what_is_only_asked_shows_as_a_change_of_status() {
        let more =
            "[[rule]]\nid = \"camp\"\nnature = \"encampment\"\nage = \"> 17\"\nbecause = \"camp\"\nsend = [\"line\"]\n";
        let (_, text) = ran(&format!("{POLICY}{more}"), false);
        assert!(text.contains("ordinary (ineligible: no-rule) → ordinary (needs-answer"), "{text}");
    }

    #[test]
    fn a_policy_that_cannot_be_loaded_is_bad_input() {
        let (ending, text) = ran(&POLICY.replace("send = [\"team\"]", "send = [\"taem\"]"), false);
        assert!(ending.unwrap_err().message.contains("cannot be loaded"));
        assert!(text.contains("did you mean `team`?"), "{text}");
    }
}
