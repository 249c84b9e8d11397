//! `fourth journal`: whether the chain is whole, one incident's life as a table, and what could not be delivered.

use super::source::{Source, Where};
use super::{BadInput, Ending, Verdict, journal_keeping};
use crate::call_processing::{DeadLetter, DeadLetters};
use crate::journal::{ChainFault, Entry, JournalError, Stored, Subject, Verification};
use crate::record::IncidentId;
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::io::Write;

/// Entries between two movements of the progress bar.
const PROGRESS_EVERY: u64 = 512;

/// Arguments of `fourth journal`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

/// What is asked of the journal.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Recomputes the hash chain; exit status 1 and the place where it is broken
    Verify {
        #[command(flatten)]
        journal: Where,
        /// A checkpoint published before, as `<sequence>:<hash>`: the entry must be there and have that hash; may be repeated
        #[arg(long, value_name = "CHECKPOINT")]
        checkpoint: Vec<Checkpoint>,
        /// One JSON object instead of a sentence
        #[arg(long)]
        json: bool,
    },
    /// Shows one incident's life, event by event; without personal data
    Show {
        #[command(flatten)]
        journal: Where,
        /// The adapter's name of the incident
        incident: String,
        /// One JSON object a line instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Writes every entry as one JSON object a line, without anything personal
    Export {
        #[command(flatten)]
        journal: Where,
        /// Only entries after this one
        #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
        after: u64,
    },
    /// Destroys what is kept of the people behind an incident; what happened to it stays, and the chain still verifies
    Forget {
        #[command(flatten)]
        journal: Where,
        /// The adapter's name of the incident
        incident: String,
    },
    /// Seals the period before an instant: its last hash and count, a checkpoint to be published
    Seal {
        #[command(flatten)]
        journal: Where,
        /// Where the period ends, as `2026-01-01T00:00:00Z`
        #[arg(long, value_name = "INSTANT")]
        before: jiff::Timestamp,
    },
    /// Drops every entry up to the end of a sealed period; the rest verifies from the seal
    Drop {
        #[command(flatten)]
        journal: Where,
        /// Sequence of the entry that the seal ends at
        #[arg(long, value_name = "SEQUENCE")]
        through: u64,
    },
    /// Lists the messages that were given up and not sent again; exit status 1 where there are any
    Undelivered {
        #[command(flatten)]
        journal: Where,
        /// One JSON object a line instead of a table
        #[arg(long)]
        json: bool,
    },
}

/// What a journal stood at when somebody wrote it down.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Checkpoint {
    sequence: u64,
    hash: String,
}

impl std::str::FromStr for Checkpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').and_then(|(sequence, hash)| Some((sequence.parse().ok()?, hash)));
        let whole = |hash: &str| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        match parts {
            Some((sequence, hash)) if whole(hash) => Ok(Self { sequence, hash: hash.to_ascii_lowercase() }),
            Some(_) | None => Err("a checkpoint is `<sequence>:<64 hexadecimal digits>`".to_owned()),
        }
    }
}

/// Entries read from the journal at a time.
const PAGE_ENTRIES: usize = 10_000;

/// Runs the command.
///
/// # Errors
/// Where the file cannot be read or is no journal, or no incident has this name.
pub fn run(args: &Args, out: &mut dyn Write) -> Ending {
    match &args.action {
        Action::Verify { journal, checkpoint, json } => verify(&journal.open()?, checkpoint, *json, out),
        Action::Export { journal, after } => journal_keeping::export(&journal.open()?, *after, out),
        Action::Forget { journal, incident } => journal_keeping::forget(&journal.open_for_upkeep()?, incident, out),
        Action::Seal { journal, before } => journal_keeping::seal(&journal.open_for_upkeep()?, before, out),
        Action::Drop { journal, through } => journal_keeping::drop_sealed(&journal.open_for_upkeep()?, *through, out),
        Action::Show { journal, incident, json } => show(&journal.open()?, incident, *json, out),
        Action::Undelivered { journal, json } => undelivered(&journal.open()?, *json, out),
    }
}

fn verify(journal: &Source, checkpoints: &[Checkpoint], as_json: bool, out: &mut dyn Write) -> Ending {
    let bar = ProgressBar::new(0).with_message("entries verified");
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} {msg}, {eta} left") {
        bar.set_style(style);
    }
    let found = journal
        .verify(&mut |done, of| {
            if done % PROGRESS_EVERY == 0 {
                bar.set_length(of);
                bar.set_position(done);
            }
        })
        .map_err(|error| journal.unreadable(&error));
    bar.finish_and_clear();
    let Verification { entries, begins_after, last_hash, mut fault } = found?;
    if fault.is_none() {
        fault = against(journal, begins_after, checkpoints).map_err(|error| journal.unreadable(&error))?;
    }
    if as_json {
        let fault = fault.as_ref().map(|fault| json!({ "sequence": fault.sequence, "why": fault.why }));
        let whole = fault.is_none();
        let last = begins_after.saturating_add(entries);
        let told = json!({
            "whole": whole, "entries": entries, "begins_after": begins_after, "last": last, "last_hash": last_hash, "fault": fault
        });
        writeln!(out, "{told}")?;
    } else if let Some(fault) = &fault {
        writeln!(out, "the chain is broken at entry {}: {}", fault.sequence, fault.why)?;
        writeln!(out, "{entries} entries before it are as they were written, the last with hash {last_hash}")?;
    } else {
        writeln!(out, "the chain is whole: {entries} entries, the last with hash {last_hash}")?;
    }
    if begins_after > 0 && !as_json {
        writeln!(out, "it begins at the seal of entry {begins_after}: what was before it is dropped")?;
    }
    Ok(if fault.is_none() { Verdict::Good } else { Verdict::NotSo })
}

/// The first checkpoint that the journal does not bear out: it is another journal from there on, or an older copy.
fn against(
    journal: &Source,
    begins_after: u64,
    checkpoints: &[Checkpoint],
) -> Result<Option<ChainFault>, JournalError> {
    let mut checkpoints: Vec<&Checkpoint> = checkpoints.iter().collect();
    checkpoints.sort_by_key(|checkpoint| checkpoint.sequence);
    let mut borne_out = begins_after;
    for Checkpoint { sequence, hash } in checkpoints {
        let sequence = *sequence;
        let why = match journal.chain_value(sequence)? {
            Some(value) if value == *hash => {
                borne_out = sequence;
                continue;
            }
            Some(_) => format!("it is another chain than the published one, from after entry {borne_out} on"),
            None if sequence <= begins_after => continue,
            None => {
                format!("entries up to {sequence} were published and are missing: this is an older copy, or cut off")
            }
        };
        return Ok(Some(ChainFault { sequence, why }));
    }
    Ok(None)
}

fn show(journal: &Source, incident: &str, as_json: bool, out: &mut dyn Write) -> Ending {
    let entries = journal.entries_of(&IncidentId::new(incident)).map_err(|error| journal.unreadable(&error))?;
    if entries.is_empty() {
        return Err(BadInput::new(format!("journal `{}` has no incident `{incident}`", journal.name())));
    }
    if as_json {
        for entry in &entries {
            writeln!(out, "{}", journal_keeping::released(entry)?)?;
        }
    } else {
        writeln!(out, "incident {incident}, times in UTC\n")?;
        for line in table(&entries).lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
    }
    Ok(Verdict::Good)
}

fn undelivered(journal: &Source, as_json: bool, out: &mut dyn Write) -> Ending {
    let mut held = DeadLetters::of_at_most(usize::MAX);
    let mut after = 0;
    loop {
        let entries = journal.entries_after(after, PAGE_ENTRIES).map_err(|error| journal.unreadable(&error))?;
        let Some(last) = entries.last() else { break };
        after = last.sequence;
        for entry in &entries {
            if let (Subject::Incident(incident), Stored::Incident(event)) = (&entry.subject, &entry.stored) {
                held.note(incident, event, entry.at);
            }
        }
    }
    if as_json {
        for letter in &held.letters {
            serde_json::to_writer(&mut *out, letter).map_err(std::io::Error::from)?;
            writeln!(out)?;
        }
    } else if held.letters.is_empty() {
        writeln!(out, "everything was delivered, or sent again since")?;
    } else {
        let row = |letter: &DeadLetter| {
            let at = letter.at.strftime("%Y-%m-%d %H:%M:%S").to_string();
            [at, letter.what.clone(), letter.why.clone(), letter.key.clone()]
        };
        let rows: Vec<_> = held.letters.iter().map(|letter| row(letter).to_vec()).collect();
        let headers = ["time (UTC)", "what", "why", "key"].map(str::to_owned);
        writeln!(out, "{}", super::table(&headers, &rows))?;
        writeln!(out, "\na running adapter sends one again: POST /v1/undelivered/KEY/redrive on its operations door")?;
    }
    Ok(if held.letters.is_empty() { Verdict::Good } else { Verdict::NotSo })
}

fn table(entries: &[Entry]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["version", "time", "after", "event", "what"]);
    let mut before = None;
    for entry in entries {
        let after = before.map_or_else(String::new, |before| lasted(entry.at.duration_since(before)));
        before = Some(entry.at);
        let event = fields(&entry.stored);
        let kind = text(&event, "/event").unwrap_or_default();
        let time = entry.at.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string();
        table.add_row([entry.version.to_string(), time, after, kind, what(&event)]);
    }
    table.to_string()
}

/// A duration as people read it; a negative one (a clock that stepped) shows its sign.
fn lasted(duration: SignedDuration) -> String {
    let sign = if duration.is_negative() { "-" } else { "+" };
    let millis = duration.as_millis().unsigned_abs();
    let (minutes, hours) = (millis / 60_000 % 60, millis / 3_600_000);
    let seconds = millis / 1_000 % 60;
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}.{:03} s", millis % 1_000),
        (0, _) => format!("{sign}{minutes} min {seconds:02} s"),
        _ => format!("{sign}{hours} h {minutes:02} min"),
    }
}

fn fields(stored: &Stored) -> Value {
    serde_json::to_value(stored).unwrap_or(Value::Null)
}

fn text(event: &Value, pointer: &str) -> Option<String> {
    match event.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(true) => Some("yes".to_owned()),
        _ => None,
    }
}

/// What is worth a column, in this order. An allow-list: nothing else of an event is printed, so neither a free
/// text typed by a call-taker nor a field that a later event brings can appear by accident.
const SHOWN: [(&str, &str); 25] = [
    ("leg", "/leg"),
    ("program", "/plan/program"),
    ("channel", "/plan/channel"),
    ("status", "/status"),
    ("status", "/decision/status/name"),
    ("route", "/decision/route"),
    ("route", "/decision/route/program"),
    ("because", "/decision/status/because"),
    ("because", "/decision/status/why"),
    ("rule", "/decision/rule"),
    ("policy", "/decision/policy/revision"),
    ("format", "/format"),
    ("mode", "/mode"),
    ("lifecycle", "/lifecycle"),
    ("cause", "/cause"),
    ("answer", "/answer"),
    ("disposition", "/disposition"),
    ("service", "/service"),
    ("fact", "/fact"),
    ("value", "/value"),
    ("unit", "/unit"),
    ("first program", "/steps/0/legs/0/program"),
    ("why", "/why"),
    ("deadline", "/deadline"),
    ("effect", "/key"),
];

fn what(event: &Value) -> String {
    let shown = SHOWN.iter().filter_map(|(label, pointer)| Some(format!("{label} {}", text(event, pointer)?)));
    let mut parts: Vec<String> = shown.collect();
    if text(event, "/override_reason").is_some() {
        parts.push("with a reason given".to_owned());
    }
    parts.extend(by(event));
    parts.join(" · ")
}

/// The role and opaque name of who did it.
fn by(event: &Value) -> Option<String> {
    match event.get("by")? {
        Value::String(role) => Some(format!("by {role}")),
        Value::Object(named) => {
            let (role, name) = named.iter().next()?;
            Some(format!("by {role} {}", name.as_str()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::{Actor, DeclineCause, Event};
    use crate::journal::conformance::{batch, instant};
    use crate::journal::{Batch, EmbeddedJournal, Journal, Settings};
    use crate::record::LegId;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn fourth(words: &[&str]) -> (Ending, String) {
        let line = Line::try_parse_from([&["journal"], words].concat()).unwrap();
        crate::commands::trial::ran(|out| run(&line.args, out))
    }

    async fn filled(folder: &tempfile::TempDir) -> String {
        let path = folder.path().join("journal.db");
        let journal = EmbeddedJournal::open(&Settings::new(&path)).unwrap();
        let incident = IncidentId::new("inc-1");
        let leg = LegId::of(&incident, 1);
        let chosen = Event::OrdinaryChosen {
            by: Actor::CallTaker("desk-4".to_owned()),
            override_reason: Some("Jane Doe is known to be armed".to_owned()),
        };
        let events = [
            (0, Event::TimedOut { leg: leg.clone() }),
            (75, Event::Declined { leg, cause: DeclineCause::TooFar, by: Actor::Team("psr-2".to_owned()) }),
            (76, chosen),
        ];
        for (version, (at, event)) in events.into_iter().enumerate() {
            let subject = Subject::Incident(incident.clone());
            let events = vec![Stored::Incident(event)];
            let expected_version = version as u64;
            let batch = Batch { subject, expected_version, at: instant(at), events, content: None, standing: None };
            journal.append(batch).await.unwrap();
        }
        journal.append(batch("inc-2", 0, 2)).await.unwrap();
        path.display().to_string()
    }

    #[tokio::test]
    async fn a_whole_chain_is_good_and_a_broken_one_is_not_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(&folder).await;
        let (ending, said) = fourth(&["verify", "--journal", &path]);
        assert_eq!(ending, Ok(Verdict::Good));
        assert!(said.starts_with("the chain is whole: 5 entries, the last with hash "), "{said}");
        let mut file = std::fs::read(&path).unwrap();
        let place = file.windows(5).position(|window| window == b"psr-2").unwrap();
        file[place] = b'q';
        std::fs::write(&path, file).unwrap();
        let (ending, said) = fourth(&["verify", "--journal", &path]);
        assert_eq!(ending, Ok(Verdict::NotSo));
        assert!(said.starts_with("the chain is broken at entry 2: "), "{said}");
        let (ending, said) = fourth(&["verify", "--json", "--journal", &path]);
        assert_eq!(ending, Ok(Verdict::NotSo));
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(
            (&said["whole"], &said["entries"], &said["fault"]["sequence"]),
            (&json!(false), &json!(1), &json!(2))
        );
    }

    #[tokio::test]
    async fn a_checkpoint_tells_a_fork_and_an_older_copy() {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(&folder).await;
        let (_, said) = fourth(&["verify", "--json", "--journal", &path]);
        let said: Value = serde_json::from_str(&said).unwrap();
        let published = format!("{}:{}", said["last"], said["last_hash"].as_str().unwrap());
        let verified = |checkpoint: &str| {
            let (ending, said) = fourth(&["verify", "--json", "--journal", &path, "--checkpoint", checkpoint]);
            (ending, serde_json::from_str::<Value>(&said).unwrap()["fault"]["sequence"].clone())
        };
        assert_eq!(verified(&published), (Ok(Verdict::Good), Value::Null));
        assert_eq!(verified(&format!("3:{}", "0".repeat(64))), (Ok(Verdict::NotSo), json!(3)));
        assert_eq!(verified(&format!("99:{}", "0".repeat(64))), (Ok(Verdict::NotSo), json!(99)));
        assert!(Line::try_parse_from(["journal", "verify", "--journal", &path, "--checkpoint", "7"]).is_err());
    }

    #[tokio::test]
    async fn everything_is_exported_and_a_period_is_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(&folder).await;
        let (ending, said) = fourth(&["export", "--journal", &path, "--after", "2"]);
        assert_eq!(ending, Ok(Verdict::Good));
        let sequences = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["sequence"].clone());
        assert_eq!(sequences.collect::<Vec<_>>(), [json!(3), json!(4), json!(5)]);
        assert!(!said.contains("Jane"));
        // A command has a runtime of its own.
        let in_thread = |words: [String; 5]| {
            let run = move || fourth(&words.iter().map(String::as_str).collect::<Vec<_>>());
            std::thread::spawn(run).join().unwrap()
        };
        let words = |word: &str, key: &str, value: &str| [word, "--journal", &path, key, value].map(str::to_owned);
        let (ending, said) = in_thread(words("seal", "--before", "2027-01-01T00:00:00Z"));
        assert_eq!(ending, Ok(Verdict::Good));
        assert!(said.starts_with("sealed: 5 entries up to entry 5") && said.contains("checkpoint 5:"), "{said}");
        let (ending, _) = in_thread(words("drop", "--through", "5"));
        assert!(ending.unwrap_err().message.contains("is open; close it first"));
        let forget = ["forget", "--journal", &path, "--", "inc-1"].map(str::to_owned);
        assert!(in_thread(forget).0.unwrap_err().message.contains("is open"));
    }

    #[tokio::test]
    async fn one_life_is_shown_lined_up_and_without_free_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(&folder).await;
        let (ending, said) = fourth(&["show", "--journal", &path, "inc-1"]);
        assert_eq!(ending, Ok(Verdict::Good));
        let rows: Vec<&str> = said.lines().skip(2).collect();
        assert_eq!(rows.len(), 4, "{said}");
        let column = rows[0].find("event").unwrap();
        assert_eq!(rows[2].find("declined"), Some(column));
        assert!(rows[2].contains("+1 min 15 s") && rows[2].contains("leg inc-1.1 · cause too-far · by team psr-2"));
        assert!(rows[3].contains("+1.000 s") && rows[3].contains("with a reason given · by call-taker desk-4"));
        assert!(!said.contains("Jane") && !said.contains("inc-2"));
        let (ending, said) = fourth(&["show", "--json", "--journal", &path, "inc-2"]);
        assert_eq!(ending, Ok(Verdict::Good));
        assert_eq!(said.lines().map(|line| serde_json::from_str::<Entry>(line).unwrap().version).sum::<u64>(), 3);
        let (_, said) = fourth(&["show", "--json", "--journal", &path, "inc-1"]);
        assert!(said.contains(r#""override_reason":"given""#) && !said.contains("Jane"));
    }

    #[tokio::test]
    async fn what_was_given_up_is_listed_until_it_is_sent_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(&folder).await;
        let listed = |words: &[&str]| fourth(&[&["undelivered", "--journal", &path], words].concat());
        assert_eq!(listed(&[]), (Ok(Verdict::Good), "everything was delivered, or sent again since\n".to_owned()));
        let key = "inc-1.9.stand-back".to_owned();
        let why = "retry-time-exhausted".to_owned();
        let given_up = Event::Undeliverable { key: key.clone(), why };
        let again = Event::Redriven { key, by: Actor::Operator("duty".to_owned()) };
        for (version, event, count) in [(3, given_up, 1), (4, again, 0)] {
            let journal = EmbeddedJournal::open(&Settings::new(&path)).unwrap();
            let (subject, events) = (Subject::Incident(IncidentId::new("inc-1")), vec![Stored::Incident(event)]);
            let batch =
                Batch { subject, expected_version: version, at: instant(80), events, content: None, standing: None };
            journal.append(batch).await.unwrap();
            drop(journal);
            let (ending, said) = listed(&["--json"]);
            assert_eq!((ending, said.lines().count()), (Ok([Verdict::Good, Verdict::NotSo][count]), count));
            let shown = listed(&[]).1;
            assert_eq!(shown.contains("stand-back") && shown.contains("retry-time-exhausted"), count == 1, "{shown}");
        }
    }

    #[tokio::test]
    async fn what_is_not_there_is_bad_input_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(&folder).await;
        let (ending, said) = fourth(&["show", "--journal", &path, "inc-9"]);
        assert_eq!(said, "");
        assert_eq!(ending, Err(BadInput::new(format!("journal `{path}` has no incident `inc-9`"))));
        let (ending, _) = fourth(&["verify", "--journal", "/nowhere/journal.db"]);
        assert!(ending.unwrap_err().message.starts_with("journal `/nowhere/journal.db` cannot be read: "));
    }

    #[test]
    fn durations_read_naturally() {
        for (millis, words) in
            [(0, "+0.000 s"), (61_000, "+1 min 01 s"), (7_380_000, "+2 h 03 min"), (-1_500, "-1.500 s")]
        {
            assert_eq!(lasted(SignedDuration::from_millis(millis)), words);
        }
    }
}
