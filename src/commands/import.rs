//! `fourth import`: other people's CAD exports into a store of past calls, with an account of every row.

use super::decode::{LAYOUT_BYTES_MAX, ROWS_BYTES_MAX, read, read_layout};
use super::{BadInput, Ending, Verdict};
use crate::history::{SourceFile, Store, StoreError, Tally, kept};
use crate::wire::{DecodeError, FileRow, SenderProfile, decode_rows};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Rows between two steps of the progress bar.
const ROWS_A_STEP: u64 = 1_000;

/// Arguments of `fourth import`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Layout of the files (schemas/history/layouts/ has some; schemas/history/README.md describes them).
    #[arg(long)]
    pub layout: PathBuf,
    /// Files of rows.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Store of past calls; made where there is none.
    #[arg(long, value_name = "STORE")]
    pub into: PathBuf,
    /// One JSON object per file.
    #[arg(long)]
    pub json: bool,
}

/// What became of one file.
#[derive(Debug, Serialize)]
struct Imported<'a> {
    file: String,
    store: String,
    taken: u64,
    #[serde(flatten)]
    tally: &'a Tally,
}

/// Imports every file, each whole or not at all.
///
/// # Errors
/// A layout, store or file that cannot be read; the other files are imported all the same.
pub fn run(args: &Args, out: &mut dyn Write) -> Ending {
    let sender = sender(&args.layout)?;
    let layout_sha256 = hex::encode(Sha256::digest(read(&args.layout, LAYOUT_BYTES_MAX)?));
    let mut store = Store::open(&args.into).map_err(|error| of_store(&args.into, &error))?;
    let mut unreadable: Option<BadInput> = None;
    let mut verdict = Verdict::Good;
    for file in &args.files {
        match import(file, &sender, &layout_sha256, &mut store, &args.into) {
            Ok(tally) => {
                if tally.taken() == 0 {
                    verdict = Verdict::NotSo;
                }
                write_account(file, args, &tally, out)?;
            }
            Err(problem) => drop(unreadable.get_or_insert(problem)),
        }
    }
    unreadable.map_or(Ok(verdict), Err)
}

/// What the layout says of the sender: it must name the agency and the zone, for a file has no other sender.
fn sender(layout: &Path) -> Result<SenderProfile, BadInput> {
    let read = read_layout(layout)?;
    let lacks = |key: &str, example: &str| {
        BadInput::new(format!("`{}` does not say `{key}`", layout.display()))
            .help(format!("write `{key} = \"{example}\"` above its columns"))
    };
    let agency = read.agency().ok_or_else(|| lacks("agency", "san-diego-pd"))?.to_owned();
    let time_zone = read.time_zone().ok_or_else(|| lacks("time_zone", "America/Los_Angeles"))?.clone();
    Ok(SenderProfile { agency, element: "export".to_owned(), time_zone, call_types: None, layout: Some(read) })
}

pub(super) fn of_store(path: &Path, error: &StoreError) -> BadInput {
    let help = match error {
        StoreError::NotOpened(_) => "`fourth import --layout LAYOUT FILE… --into STORE` makes one",
        StoreError::NotAStore | StoreError::OtherFormat(_) => "name another file, or a new one, after `--into`",
        StoreError::Damaged(_) => "import the exports again into a new store",
        StoreError::Sqlite(_) => "try again when nobody writes it and the disk has room",
    };
    BadInput::new(format!("store `{}`: {error}", path.display())).help(help)
}

fn import(
    file: &Path,
    sender: &SenderProfile,
    layout_sha256: &str,
    store: &mut Store,
    store_path: &Path,
) -> Result<Tally, BadInput> {
    let bytes = read(file, ROWS_BYTES_MAX)?;
    let source = SourceFile {
        name: file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        sha256: hex::encode(Sha256::digest(&bytes)),
        layout_sha256: layout_sha256.to_owned(),
    };
    let mut rows = decode_rows(&bytes, sender).map_err(|error| {
        BadInput::new(format!("`{}`: {error}", file.display()))
            .help("compare the file's first line with the `name` of each column of the layout")
    })?;
    drop(bytes);
    let failed = |error: StoreError| of_store(store_path, &error);
    let mut import = store.import(&source).map_err(failed)?;
    let mut tally = Tally::default();
    let bar = progress_bar(rows.progress().1, &source.name);
    while let Some(row) = rows.next_file_row() {
        take(&row, &mut tally, &mut import).map_err(failed)?;
        if tally.rows.is_multiple_of(ROWS_A_STEP) {
            bar.set_position(rows.progress().0);
        }
    }
    bar.finish_and_clear();
    import.finish(&tally).map_err(failed)?;
    Ok(tally)
}

/// Shown on a terminal only, on stderr.
fn progress_bar(bytes: u64, name: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}");
    let bar = ProgressBar::new(bytes).with_message(name.to_owned());
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

/// Takes or refuses one row, and counts which.
fn take(row: &FileRow, tally: &mut Tally, import: &mut crate::history::Import<'_>) -> Result<(), StoreError> {
    let record = match &row.record {
        Ok(record) => record,
        Err(error) => {
            tally.refuse(row.line, row.lines, refusal(error));
            return Ok(());
        }
    };
    if tally.rows == 0 {
        tally.unread_columns.clone_from(&record.unknown_fields);
    }
    if let Some(because) = &row.left_out {
        tally.refuse(row.line, 1, because.clone());
        return Ok(());
    }
    if record.repairs.iter().any(|repair| repair.kind == "row-too-long") {
        tally.refuse(row.line, 1, "row-too-long".to_owned());
        return Ok(());
    }
    let call = match kept(record) {
        Ok(call) => call,
        Err(why) => {
            tally.refuse(row.line, 1, why.to_string());
            return Ok(());
        }
    };
    let taken = import.take(row.line, &call)?;
    tally.take(row.line, taken);
    let mended = record.repairs.iter().map(|repair| (repair.kind.as_str(), repair.path.as_str()));
    tally.repair(row.line, mended.chain(call.prose.iter().map(|field| ("prose-not-kept", *field))));
    Ok(())
}

/// `missing-field (Age)`: the problem and its column.
fn refusal(error: &DecodeError) -> String {
    match error.place.split_once(", ") {
        Some((_, column)) => format!("{} ({column})", error.problem),
        None => error.problem.to_owned(),
    }
}

fn write_account(file: &Path, args: &Args, tally: &Tally, out: &mut dyn Write) -> Result<(), BadInput> {
    if args.json {
        let (file, store) = (file.display().to_string(), args.into.display().to_string());
        let line = serde_json::to_string(&Imported { file, store, taken: tally.taken(), tally })
            .map_err(|error| BadInput::new(error.to_string()))?;
        writeln!(out, "{line}")?;
        return Ok(());
    }
    let count = |what: &str, rows: u64, lines: String| vec![what.to_owned(), rows.to_string(), lines];
    let mut lines = vec![
        count("in the file", tally.rows, String::new()),
        count("taken", tally.taken(), String::new()),
        count("  new calls", tally.added, String::new()),
    ];
    if tally.unchanged > 0 {
        lines.push(count("  there already", tally.unchanged, String::new()));
    }
    for (what, rows) in
        [("  in place of an earlier row", &tally.replaced), ("  older than what is there", &tally.older)]
    {
        if rows.count > 0 {
            lines.push(count(what, rows.count, rows.listed()));
        }
    }
    lines.push(count("repaired, of those", tally.repaired, String::new()));
    for (what, rows) in &tally.repairs {
        lines.push(count(&format!("  {what}"), rows.count, rows.listed()));
    }
    lines.push(count("refused", tally.refused_rows(), String::new()));
    for (why, rows) in &tally.refused {
        lines.push(count(&format!("  {why}"), rows.count, rows.listed()));
    }
    writeln!(out, "{} → {}\n", file.display(), args.into.display())?;
    writeln!(out, "{}\n", super::table(&["rows", "n", "where in the file"], &lines).trim_fmt())?;
    if !tally.unread_columns.is_empty() {
        writeln!(out, "columns that the layout does not speak of: {}\n", tally.unread_columns.join(", "))?;
    }
    Ok(())
}
