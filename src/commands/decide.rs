//! `fourth decide`: decodes each file and prints one decision for each.

use super::{BadInput, Ending, Verdict};
use crate::clock::{Clock, monotonic_now};
use crate::configuration::read_policy_folder;
use crate::facts::Facts;
use crate::policy::{Availability, Candidate, Decision, Policy, Told};
use crate::record::{CallRecord, CodeSystem, Format, TimePoints};
use crate::wire::{RECORD_BYTES_MAX, SenderProfile, decode};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Arguments of `fourth decide`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Policy folder.
    #[arg(long)]
    pub policy: PathBuf,
    /// The instant decided at (`2026-03-01T12:00-08:00`, or local time in the policy's zone); now where left out.
    #[arg(long)]
    pub at: Option<String>,
    /// A call-taker's answer; may be given several times.
    #[arg(long = "answer", value_name = "FACT=VALUE")]
    pub answers: Vec<String>,
    /// One JSON object per file.
    #[arg(long)]
    pub json: bool,
    /// The files' format (`eido-json`, `cad-export-xml`, `delimited`); recognised from their content where left out.
    #[arg(long)]
    pub format: Option<String>,
    /// Time zone of local times in the files; the policy's where left out.
    #[arg(long, value_name = "TIME_ZONE")]
    pub zone: Option<String>,
    /// Whose call-type codes the files carry, where they do not say (`MPDS/13.3`).
    #[arg(long, value_name = "VENDOR/VERSION")]
    pub call_types: Option<String>,
    /// Call records.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
}

/// One decision as printed. Holds no personal data: no name, number, address or narrative.
#[derive(Debug, Serialize)]
struct Printed<'a> {
    file: String,
    call: Call<'a>,
    format: &'static str,
    repairs: &'a [crate::record::Repair],
    unknown_fields: &'a [String],
    facts: &'a Facts,
    #[serde(flatten)]
    decision: Told<'a>,
    at: Timestamp,
    decide_ns: u64,
}

/// What may be told of a call.
#[derive(Debug, Serialize)]
struct Call<'a> {
    agency: &'a str,
    incident: &'a str,
    updated_at: Option<Timestamp>,
    call_type: Option<&'a str>,
    call_type_text: Option<&'a str>,
    common_type: Option<&'a str>,
    times: &'a TimePoints,
    zone: Option<&'a str>,
    test: bool,
}

/// A record decided on.
struct Decided {
    record: CallRecord,
    facts: Facts,
    decision: Decision,
    at: Timestamp,
    decide_ns: u64,
}

/// Prints one decision for each file.
///
/// # Errors
/// A policy that does not load, an argument that cannot be read, or a file that is no call record; the other files are
/// decided all the same.
pub fn run(args: &Args, out: &mut dyn Write) -> Ending {
    let policy = load(&args.policy)?;
    let at = instant(args.at.as_deref(), &policy)?;
    let answers = answers(&args.answers)?;
    let format = format(args.format.as_deref())?;
    let time_zone = match &args.zone {
        None => policy.time_zone().clone(),
        Some(name) => TimeZone::get(name).map_err(|_| {
            BadInput::new(format!("no time zone is named `{name}`")).help("an IANA name, as `America/Vancouver`")
        })?,
    };
    let sender = SenderProfile {
        agency: "unnamed".to_owned(),
        element: "file".to_owned(),
        time_zone,
        layout: None,
        call_types: args.call_types.as_deref().map(code_system),
    };
    let mut unreadable: Option<BadInput> = None;
    for file in &args.files {
        let decided = record(file, format, &sender).and_then(|record| decide(&policy, record, &answers, at));
        match decided {
            Ok(decided) if args.json => {
                let printed = printed(file, &decided);
                let line = serde_json::to_string(&printed).map_err(|error| BadInput::new(error.to_string()))?;
                writeln!(out, "{line}")?;
            }
            Ok(decided) => write_text(file, &decided, out)?,
            Err(problem) => drop(unreadable.get_or_insert(problem)),
        }
    }
    unreadable.map_or(Ok(Verdict::Good), Err)
}

/// `MPDS/13.3`, or `MPDS` alone.
fn code_system(text: &str) -> CodeSystem {
    let (vendor, version) = text.split_once('/').map_or((text, None), |(vendor, version)| (vendor, Some(version)));
    CodeSystem { vendor: vendor.to_owned(), version: version.map(str::to_owned) }
}

pub(super) fn load(folder: &Path) -> Result<Policy, BadInput> {
    let files = read_policy_folder(folder)?;
    let loaded = Candidate::read(&files).and_then(Candidate::into_policy);
    loaded.map_err(|faults| {
        let first = faults.0.first().map_or_else(String::new, |fault| {
            let line = fault.line.map_or_else(String::new, |line| format!(":{line}"));
            format!(": {}{line}: `{}`: {}", fault.file, fault.key, fault.message)
        });
        BadInput::new(format!("`{}` cannot be loaded{first}", folder.display())).help(format!(
            "`fourth check {}` lists all {} faults",
            folder.display(),
            faults.0.len()
        ))
    })
}

fn instant(at: Option<&str>, policy: &Policy) -> Result<Timestamp, BadInput> {
    let Some(text) = at else {
        return Ok(Clock::system().now());
    };
    let absolute = text.parse::<Timestamp>().ok();
    let local = || text.parse::<DateTime>().ok().and_then(|local| policy.time_zone().to_timestamp(local).ok());
    absolute.or_else(local).ok_or_else(|| {
        BadInput::new(format!("`{text}` is not a time"))
            .help("`2026-03-01T12:00` (the policy's zone) or `2026-03-01T20:00Z`")
    })
}

fn answers(given: &[String]) -> Result<Vec<(String, String)>, BadInput> {
    let split = |answer: &String| {
        let (fact, value) = answer
            .split_once('=')
            .ok_or_else(|| BadInput::new(format!("`{answer}` is not an answer")).help("`--answer weapon=none`"))?;
        Ok((fact.trim().to_owned(), value.trim().to_owned()))
    };
    given.iter().map(split).collect()
}

fn format(name: Option<&str>) -> Result<Option<Format>, BadInput> {
    let formats = [Format::EidoJson, Format::CadExportXml, Format::Delimited];
    name.map(|name| {
        formats.into_iter().find(|format| format.name() == name).ok_or_else(|| {
            let names = formats.map(Format::name).join(", ");
            BadInput::new(format!("no format is named `{name}`")).help(format!("one of: {names}"))
        })
    })
    .transpose()
}

fn record(file: &Path, format: Option<Format>, sender: &SenderProfile) -> Result<CallRecord, BadInput> {
    let problem = |what: &dyn std::fmt::Display| BadInput::new(format!("`{}`: {what}", file.display()));
    let mut bytes = Vec::new();
    let limit = u64::try_from(RECORD_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(file)
        .and_then(|opened| opened.take(limit).read_to_end(&mut bytes))
        .map_err(|error| problem(&error))?;
    decode(&bytes, format, sender).map_err(|error| problem(&error))
}

fn decide(
    policy: &Policy,
    record: CallRecord,
    answers: &[(String, String)],
    at: Timestamp,
) -> Result<Decided, BadInput> {
    let (mut facts, gaps) = policy.gather(&record, &Facts::default());
    for (fact, value) in answers {
        facts = policy.answered(&facts, fact, value).map_err(|error| {
            let help = match &error {
                crate::facts::FactError::UnknownFact { nearest: Some(near), .. } => format!("did you mean `{near}`?"),
                crate::facts::FactError::UnknownValue { valid, .. } => format!("one of: {}", valid.join(", ")),
                _ => "`fourth check` lists the policy's facts".to_owned(),
            };
            BadInput::new(error.to_string()).help(help)
        })?;
    }
    let started = monotonic_now();
    let decision = policy.decide(&facts, &gaps, at, &Availability::default());
    let decide_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    Ok(Decided { record, facts, decision, at, decide_ns })
}

fn printed<'a>(file: &Path, decided: &'a Decided) -> Printed<'a> {
    let Decided { record, facts, decision, at, decide_ns } = decided;
    Printed {
        file: file.display().to_string(),
        call: Call {
            agency: record.identity.agency.as_str(),
            incident: &record.identity.incident,
            updated_at: record.identity.updated_at,
            call_type: record.nature.call_type.as_deref(),
            call_type_text: record.nature.call_type_text.as_deref(),
            common_type: record.nature.common_type.as_deref(),
            times: &record.times,
            zone: facts.value("zone"),
            test: record.test,
        },
        format: record.format.name(),
        repairs: &record.repairs,
        unknown_fields: &record.unknown_fields,
        facts,
        decision: decision.told(),
        at: *at,
        decide_ns: *decide_ns,
    }
}

fn write_text(file: &Path, decided: &Decided, out: &mut dyn Write) -> std::io::Result<()> {
    let Decided { record, facts, decision, decide_ns, .. } = decided;
    let because = decision.status.because().map_or_else(String::new, |because| format!(" ({because})"));
    writeln!(out, "{}{because} → {}", decision.status.name(), decision.route.name())?;
    for reason in &decision.reasons {
        let cite = reason.cite.as_deref().map_or_else(String::new, |cite| format!(" [{cite}]"));
        writeln!(out, "  {} · {}{cite}", reason.code, reason.text)?;
    }
    for question in &decision.questions {
        let asked = question.ask.get("en").map_or("", String::as_str);
        writeln!(out, "  ask {}: {asked}", question.fact)?;
    }
    for option in &decision.options {
        writeln!(out, "  option {}: {} ({})", option.program, option.why, option.code)?;
    }
    if let Some(flip) = &decision.nearest_flip {
        let change = |change: &crate::policy::FlipChange| format!("{} {} → {}", change.fact, change.from, change.to);
        let changes: Vec<String> = flip.changes.iter().map(change).collect();
        writeln!(out, "  nearest flip: {} → {}", changes.join(", "), flip.route.name())?;
    }
    for (fact, known) in facts.iter() {
        writeln!(out, "  fact {fact} = {} ({})", known.value, known.source.name())?;
    }
    for gap in &decision.gaps {
        writeln!(out, "  gap {}: {}", gap.fact, gap.why)?;
    }
    let call_type = record.nature.call_type.as_deref().or(record.nature.call_type_text.as_deref()).unwrap_or("none");
    let test = if record.test { ", a test record: never offered" } else { "" };
    writeln!(
        out,
        "  call {} · type {call_type} · {} · {} repairs{test}",
        record.identity.incident,
        record.format.name(),
        record.repairs.len()
    )?;
    let crate::policy::PolicyIdentity { id, revision, digest } = &*decision.policy;
    writeln!(out, "  policy {id} {revision} {} · decided in {decide_ns} ns", digest.get(..12).unwrap_or(digest))?;
    writeln!(out, "  {}\n", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::PolicyFiles;
    use crate::record::{AgencyId, Location, Note, Person, Point, RecordIdentity, SourceId};

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
[[exclusion]]
id = "weapon"
weapon = "not(none)"
because = "a weapon cannot be ruled out"
[[rule]]
id = "crisis"
nature = "person-in-crisis"
because = "a crisis"
send = ["team"]
"#;

    fn policy() -> Policy {
        let mut files = PolicyFiles::default();
        files.files.insert("policy.toml".to_owned(), POLICY.as_bytes().to_vec());
        Policy::compile(&files).unwrap()
    }

    fn call() -> CallRecord {
        let identity = RecordIdentity {
            agency: AgencyId::new("psap"),
            element: SourceId::new("cad"),
            incident: "I-1".to_owned(),
            updated_at: None,
            content_sha256: String::new(),
        };
        let mut record = CallRecord::new(identity, Format::EidoJson);
        record.nature.common_type = Some("MNTL".to_owned());
        record.callbacks = vec!["tel:+1-250-555-0134".to_owned()];
        record.notes = vec![Note { at: None, text: "secret narrative".to_owned() }];
        record.persons = vec![Person { name: Some("Jane Doe".to_owned()), age_years: Some(34), ..Person::default() }];
        record.locations = vec![Location {
            street: Some("742 Evergreen Terrace".to_owned()),
            point: Some(Point { latitude: 50.7, longitude: -120.3 }),
            ..Location::default()
        }];
        record
    }

    fn at() -> Timestamp {
        "2026-01-01T20:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_decision_is_printed_with_every_listed_key_and_nothing_personal() {
        let answers = [("weapon".to_owned(), "none".to_owned())];
        let decided = decide(&policy(), call(), &answers, at()).unwrap();
        let json = serde_json::to_value(printed(Path::new("a.json"), &decided)).unwrap();
        for key in [
            "call",
            "format",
            "repairs",
            "facts",
            "status",
            "route",
            "rule",
            "exclusions",
            "reasons",
            "options",
            "questions",
            "nearest_flip",
            "policy",
            "decide_ns",
        ] {
            assert!(json.get(key).is_some(), "{key}");
        }
        assert_eq!((json["status"].as_str(), json["route"].as_str()), (Some("eligible"), Some("team")));
        assert_eq!(json["facts"]["weapon"], serde_json::json!({ "value": "none", "source": "answer" }));
        let mut text = Vec::new();
        write_text(Path::new("a.json"), &decided, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("eligible → team\n  crisis · a crisis\n"), "{text}");
        for secret in ["Evergreen", "Jane", "0134", "secret", "-120.3"] {
            assert!(!text.contains(secret) && !json.to_string().contains(secret), "{secret}");
        }
    }

    #[test]
    fn without_the_answer_it_is_asked_for() {
        let decided = decide(&policy(), call(), &[], at()).unwrap();
        let printed = printed(Path::new("a.json"), &decided);
        assert_eq!((printed.decision.status, printed.decision.route), ("needs-answer", "ordinary"));
        assert_eq!(decided.decision.questions[0].fact, "weapon");
    }

    #[test]
    fn arguments_that_cannot_be_read_name_themselves() {
        assert!(answers(&["weapon".to_owned()]).unwrap_err().message.contains("`weapon`"));
        assert!(format(Some("eido")).unwrap_err().help.unwrap().contains("eido-json"));
        assert!(instant(Some("noon"), &policy()).unwrap_err().message.contains("`noon`"));
        let local = instant(Some("2026-01-01T12:00"), &policy()).unwrap();
        assert_eq!(local, at());
        let wrong = [("wepon".to_owned(), "none".to_owned())];
        assert_eq!(
            decide(&policy(), call(), &wrong, at()).err().unwrap().help.as_deref(),
            Some("did you mean `weapon`?")
        );
        let nowhere = Path::new("/nowhere");
        let sender = SenderProfile {
            agency: String::new(),
            element: String::new(),
            time_zone: TimeZone::UTC,
            layout: None,
            call_types: None,
        };
        assert!(record(nowhere, None, &sender).unwrap_err().message.contains("/nowhere"));
    }
}
