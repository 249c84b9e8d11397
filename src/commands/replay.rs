//! `fourth replay`: what a policy would have done with past calls, and what moves between two policies.

use super::decide::load;
use super::import::of_store;
use super::{BadInput, Ending, Verdict};
use crate::facts::FactError;
use crate::history::{
    Assumption, Columns, Counts, Hour, Moves, Outcome, Replay, ReplayError, Share, Store, compare, replay,
};
use crate::policy::{Policy, PolicyIdentity};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Rows of one table, at most; what is left is told in one row.
const ROWS_MAX: usize = 15;
/// Letters in the longest bar.
const BAR_CHARS: u64 = 30;
/// Assumptions, at most.
const ASSUMPTIONS_MAX: usize = 32;
/// Kinds of move that are told with examples, at most.
const MOVES_MAX: usize = 25;

/// Arguments of `fourth replay`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Policy folder.
    #[arg(long)]
    pub policy: PathBuf,
    /// A second policy folder: what it would have done differently.
    #[arg(long, value_name = "POLICY")]
    pub against: Option<PathBuf>,
    /// A value for a fact wherever it is not known: how much hangs on it. May be given several times.
    #[arg(long = "assume", value_name = "FACT=VALUE")]
    pub assume: Vec<String>,
    /// One JSON object instead of tables.
    #[arg(long)]
    pub json: bool,
    /// Store of past calls, made by `fourth import`.
    pub store: PathBuf,
}

/// Everything found, as machines are told it.
#[derive(Debug, Serialize)]
struct Told<'a> {
    store: String,
    agencies: &'a [String],
    #[serde(flatten)]
    counts: &'a Counts,
    taken: u64,
    against: Option<&'a Counts>,
    moves: Option<MovesTold>,
}

/// Moves with the agencies' own identifiers of the examples.
#[derive(Debug, Serialize)]
pub(super) struct MovesTold {
    calls: u64,
    moved: u64,
    gained: u64,
    lost: u64,
    kinds: Vec<MoveTold>,
}

#[derive(Debug, Serialize)]
struct MoveTold {
    from: Outcome,
    to: Outcome,
    calls: u64,
    examples: Vec<String>,
}

/// Replays a store.
///
/// # Errors
/// A policy or store that cannot be read, or an assumption that the policy does not understand.
pub fn run(args: &Args, out: &mut dyn Write) -> Ending {
    let policy = load(&args.policy)?;
    let against = args.against.as_deref().map(load).transpose()?;
    let assumptions = assumptions(&args.assume)?;
    let (store, columns) = open(&args.store)?;
    let agencies = store.agencies().map_err(|error| of_store(&args.store, &error))?;
    if columns.is_empty() {
        return Err(BadInput::new(format!("store `{}` has no calls", args.store.display()))
            .help("`fourth import --layout LAYOUT FILE… --into STORE` brings some"));
    }
    let first = decided(&columns, &policy, &assumptions)?;
    let counts = Counts::of(&columns, &first, &policy);
    let second = match &against {
        Some(policy) => Some((decided(&columns, policy, &assumptions)?, policy)),
        None => None,
    };
    let second_counts = second.as_ref().map(|(replay, policy)| Counts::of(&columns, replay, policy));
    let moves = second.as_ref().map(|(second, _)| compare(&columns, &first, second));
    let told = moves.as_ref().map(|moves| moves_told(&store, &args.store, moves)).transpose()?;
    if args.json {
        let told = Told {
            store: args.store.display().to_string(),
            agencies: &agencies,
            taken: counts.taken(),
            counts: &counts,
            against: second_counts.as_ref(),
            moves: told,
        };
        let line = serde_json::to_string(&told).map_err(|error| BadInput::new(error.to_string()))?;
        writeln!(out, "{line}")?;
        return Ok(Verdict::Good);
    }
    write_counts(&agencies, &counts, policy.time_zone(), out)?;
    if let (Some(told), Some(second)) = (&told, &second_counts) {
        write_moves(&counts.policy, &second.policy, told, out)?;
    }
    Ok(Verdict::Good)
}

fn open(path: &Path) -> Result<(Store, Columns), BadInput> {
    let opened = Store::open_read_only(path).and_then(|store| {
        let columns = store.columns()?;
        Ok((store, columns))
    });
    opened.map_err(|error| of_store(path, &error))
}

fn assumptions(given: &[String]) -> Result<Vec<Assumption>, BadInput> {
    if given.len() > ASSUMPTIONS_MAX {
        return Err(BadInput::new(format!("at most {ASSUMPTIONS_MAX} assumptions can be made")));
    }
    let split = |text: &String| {
        let (fact, value) = text
            .split_once('=')
            .ok_or_else(|| BadInput::new(format!("`{text}` is not an assumption")).help("`--assume weapon=none`"))?;
        Ok(Assumption { fact: fact.trim().to_owned(), value: value.trim().to_owned() })
    };
    given.iter().map(split).collect()
}

/// Decides every call, with a bar on a terminal.
fn decided(columns: &Columns, policy: &Policy, assumptions: &[Assumption]) -> Result<Replay, BadInput> {
    let bar = ProgressBar::new(columns.len() as u64);
    let bar = match ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    bar.set_message(policy.identity().id.clone());
    let replayed = replay(columns, policy, assumptions, &mut |done, _| {
        if done.is_multiple_of(1_000) {
            bar.set_position(done as u64);
        }
    });
    bar.finish_and_clear();
    replayed.map_err(|error| {
        let help = match &error {
            ReplayError::Assumption(FactError::UnknownFact { nearest: Some(near), .. }) => {
                format!("did you mean `{near}`?")
            }
            ReplayError::Assumption(FactError::UnknownValue { valid, .. }) if !valid.is_empty() => {
                format!("one of: {}", valid.join(", "))
            }
            ReplayError::Columns(_) => "import fewer agencies into one store".to_owned(),
            _ => "schemas/policy/LANGUAGE.md lists the facts and their values".to_owned(),
        };
        match &error {
            ReplayError::Assumption(_) => BadInput::new(format!("`--assume`: {error}")),
            ReplayError::Columns(_) => BadInput::new(format!("the store cannot be replayed: {error}")),
        }
        .help(help)
    })
}

/// What moves between two policies on a store: for `fourth diff A B --history STORE`.
///
/// # Errors
/// Where the store cannot be read.
pub(super) fn moves_between(path: &Path, first: &Policy, second: &Policy) -> Result<MovesTold, BadInput> {
    let (store, columns) = open(path)?;
    let moves = compare(&columns, &decided(&columns, first, &[])?, &decided(&columns, second, &[])?);
    moves_told(&store, path, &moves)
}

fn moves_told(store: &Store, path: &Path, moves: &Moves) -> Result<MovesTold, BadInput> {
    let mut kinds = Vec::new();
    for (place, kind) in moves.kinds.iter().enumerate() {
        let mut examples = Vec::new();
        for id in kind.examples.iter().filter(|_| place < MOVES_MAX) {
            let found = store.incident(*id).map_err(|error| of_store(path, &error))?;
            examples.extend(found.map(|(_, incident)| incident));
        }
        kinds.push(MoveTold { from: kind.from.clone(), to: kind.to.clone(), calls: kind.calls, examples });
    }
    Ok(MovesTold { calls: moves.calls, moved: moves.moved, gained: moves.gained, lost: moves.lost, kinds })
}

fn write_counts(
    agencies: &[String],
    counts: &Counts,
    time_zone: &TimeZone,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let all = counts.calls;
    let PolicyIdentity { id, revision, digest } = &counts.policy;
    let digest = digest.get(..12).unwrap_or(digest);
    writeln!(out, "policy {id} {revision} {digest} on {all} calls of {}", agencies.join(", "))?;
    if let Some((first, last)) = counts.span {
        let local = |at: Timestamp| time_zone.to_datetime(at).strftime("%Y-%m-%d %H:%M").to_string();
        writeln!(out, "from {} to {}; every program taken to be staffed and free", local(first), local(last))?;
    }
    for (assumption, calls) in &counts.assumed {
        let (fact, value) = (&assumption.fact, &assumption.value);
        writeln!(out, "ASSUMED, not known: {fact} = {value} for {calls} calls ({})", percent(*calls, all))?;
    }
    writeln!(out)?;
    section("status", STATUSES.iter().filter_map(|name| Some((*name, *counts.statuses.get(name)?))), all, out)?;
    section("route", most(&counts.routes), all, out)?;
    for status in STATUSES {
        if let Some(rows) = counts.rows.get(status) {
            section(&format!("{status}, by row"), most(rows), all, out)?;
        }
    }
    write_questions(counts, out)?;
    section("could not be learnt (fact: why)", most(&counts.gaps), all, out)?;
    section("call types not assessed", most(&counts.unassessed_call_types), all, out)?;
    write_shares("zone", &counts.zones, out)?;
    write_shares("how the calls ended", &counts.dispositions, out)?;
    write_week(counts, out)
}

const STATUSES: [&str; 8] = [
    "eligible",
    "shadow-eligible",
    "eligible-no-unit",
    "eligible-out-of-area",
    "eligible-out-of-hours",
    "needs-answer",
    "ineligible",
    "not-assessed",
];

/// The most frequent first; equal ones in order of name.
fn most<K: AsRef<str> + Ord>(counts: &BTreeMap<K, u64>) -> impl Iterator<Item = (&str, u64)> {
    let mut sorted: Vec<(&str, u64)> = counts.iter().map(|(name, calls)| (name.as_ref(), *calls)).collect();
    sorted.sort_by_key(|(_, calls)| std::cmp::Reverse(*calls));
    sorted.into_iter()
}

/// A table of counts with bars. Bars are shares of all calls, so that tables can be compared by eye.
fn section<'a>(
    title: &str,
    counts: impl Iterator<Item = (&'a str, u64)>,
    all: u64,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let counts: Vec<(&str, u64)> = counts.collect();
    if counts.is_empty() {
        return Ok(());
    }
    let line = |name: &str, calls: u64| vec![name.to_owned(), calls.to_string(), percent(calls, all), bar(calls, all)];
    let mut rows: Vec<Vec<String>> = counts.iter().take(ROWS_MAX).map(|(name, calls)| line(name, *calls)).collect();
    if let Some(rest) = counts.get(ROWS_MAX..).filter(|rest| !rest.is_empty()) {
        rows.push(line(&format!("{} more", rest.len()), rest.iter().map(|(_, calls)| calls).sum()));
    }
    writeln!(out, "{}\n", super::table(&[title, "calls", "share", ""], &rows).trim_fmt())
}

/// What the calls that need an answer wait for.
fn write_questions(counts: &Counts, out: &mut dyn Write) -> std::io::Result<()> {
    let waiting = counts.statuses.get("needs-answer").copied().unwrap_or(0);
    if waiting == 0 {
        return Ok(());
    }
    let mut asked: Vec<_> = counts.questions.iter().collect();
    asked.sort_by_key(|(_, asked)| std::cmp::Reverse((asked.calls, asked.first)));
    let row = |(fact, asked): &(&String, &crate::history::Asked)| {
        vec![
            (*fact).clone(),
            asked.calls.to_string(),
            percent(asked.calls, waiting),
            asked.first.to_string(),
            asked.alone.to_string(),
            bar(asked.calls, waiting),
        ]
    };
    let rows: Vec<Vec<String>> = asked.iter().map(row).collect();
    writeln!(out, "{waiting} calls need an answer before the policy can tell:\n")?;
    let headers = ["unknown fact", "calls", "of those", "asked first", "opens alone", ""];
    writeln!(out, "{}\n", super::table(&headers, &rows).trim_fmt())
}

fn write_shares(title: &str, shares: &BTreeMap<String, Share>, out: &mut dyn Write) -> std::io::Result<()> {
    if shares.is_empty() || shares.keys().all(|name| name == crate::facts::UNKNOWN) {
        return Ok(());
    }
    let mut sorted: Vec<_> = shares.iter().collect();
    sorted.sort_by_key(|(_, share)| std::cmp::Reverse((share.taken, share.waiting, share.calls)));
    let row = |name: &str, share: Share| {
        let Share { calls, taken, waiting } = share;
        let figures = [calls.to_string(), taken.to_string(), percent(taken, calls), waiting.to_string()];
        [name.to_owned()].into_iter().chain(figures).chain([bar(taken, calls)]).collect::<Vec<String>>()
    };
    let mut rows: Vec<_> = sorted.iter().take(ROWS_MAX).map(|(name, share)| row(name, **share)).collect();
    if let Some(rest) = sorted.get(ROWS_MAX..).filter(|rest| !rest.is_empty()) {
        let sum = rest.iter().fold(Share::default(), |sum, (_, share)| Share {
            calls: sum.calls + share.calls,
            taken: sum.taken + share.taken,
            waiting: sum.waiting + share.waiting,
        });
        rows.push(row(&format!("{} more", rest.len()), sum));
    }
    writeln!(
        out,
        "{}\n",
        super::table(&[title, "calls", "to a program", "share", "need an answer", ""], &rows).trim_fmt()
    )
}

/// What is counted of an hour.
type OfHour = fn(&Hour) -> u64;

/// The week as pictures: a line a day, a letter an hour, darker for more.
fn write_week(counts: &Counts, out: &mut dyn Write) -> std::io::Result<()> {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const HOURS: &str = "0     6     12    18    ";
    let pictures: [(&str, OfHour); 4] = [
        ("all calls", |hour| hour.calls),
        ("to a program", |hour| hour.taken),
        ("need an answer", |hour| hour.waiting),
        ("program closed", |hour| hour.out_of_hours),
    ];
    let most = |of: OfHour| counts.hours.iter().flatten().map(of).max().unwrap_or(0);
    let shown: Vec<_> = pictures.into_iter().filter(|(_, of)| most(*of) > 0).collect();
    writeln!(out, "the week in the policy's time zone, a letter an hour:\n")?;
    let titles: Vec<String> =
        shown.iter().map(|(title, of)| format!("{:<24}", format!("{title} (█ = {})", most(*of)))).collect();
    writeln!(out, "     {}", titles.join("  ").trim_end())?;
    writeln!(out, "     {}", vec![HOURS; shown.len()].join("  ").trim_end())?;
    for (day, hours) in DAYS.iter().zip(&counts.hours) {
        let lines: Vec<String> =
            shown.iter().map(|(_, of)| hours.iter().map(|hour| shade(of(hour), most(*of))).collect()).collect();
        writeln!(out, "{day}  {}", lines.join("  ").trim_end())?;
    }
    writeln!(out)
}

pub(super) fn write_moves(
    first: &PolicyIdentity,
    second: &PolicyIdentity,
    moves: &MovesTold,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let alike = (&first.id, &first.revision) == (&second.id, &second.revision);
    let named = |policy: &PolicyIdentity| match alike {
        true => format!("{} {:.12}", policy.id, policy.digest),
        false => format!("{} {}", policy.id, policy.revision),
    };
    let (first, second) = (named(first), named(second));
    let MovesTold { calls, moved, gained, lost, kinds } = moves;
    writeln!(out, "from {first} to {second}: {moved} of {calls} calls move ({})", percent(*moved, *calls))?;
    writeln!(out, "  {gained} to a program that stayed, {lost} stay that went to a program\n")?;
    let name = |outcome: &Outcome| match outcome.route.as_str() {
        "ordinary" => format!("{} ({})", outcome.status, outcome.row),
        route => format!("{} → {route} ({})", outcome.status, outcome.row),
    };
    let row = |kind: &MoveTold| {
        vec![
            name(&kind.from),
            name(&kind.to),
            kind.calls.to_string(),
            bar(kind.calls, *moved),
            kind.examples.join(", "),
        ]
    };
    let rows: Vec<Vec<String>> = kinds.iter().take(MOVES_MAX).map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "{}\n", super::table(&[first.as_str(), &second, "calls", "", "for example"], &rows).trim_fmt())?;
    if let Some(rest) = kinds.get(MOVES_MAX..).filter(|rest| !rest.is_empty()) {
        let left: u64 = rest.iter().map(|kind| kind.calls).sum();
        writeln!(out, "{} more kinds of move with {left} calls; `--json` has them all\n", rest.len())?;
    }
    Ok(())
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let tenths = (u128::from(part) * 1_000 + u128::from(whole) / 2) / u128::from(whole);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// A bar in eighths of a letter; something is never nothing.
fn bar(part: u64, whole: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (part.saturating_mul(BAR_CHARS * 8)).checked_div(whole).unwrap_or(0).max(u64::from(part > 0));
    let (whole, rest) = (usize::try_from(eighths / 8).unwrap_or(0), usize::try_from(eighths % 8).unwrap_or(0));
    format!("{}{}", "█".repeat(whole), EIGHTHS.get(rest).copied().unwrap_or_default())
}

fn shade(part: u64, most: u64) -> char {
    const SHADES: [char; 5] = ['·', '░', '▒', '▓', '█'];
    let step = (part.saturating_mul(4)).div_ceil(most.max(1));
    SHADES.get(usize::try_from(step).unwrap_or(4)).copied().unwrap_or('█')
}
