//! The commands, one file each. Exit status: 0 good, 1 something asked about is not so, 2 bad usage or input.

pub mod check;
pub mod decide;
pub mod decode;
#[cfg(feature = "demo")]
pub mod demo;
pub mod diff;
pub mod import;
pub mod journal;
mod journal_keeping;
pub mod replay;
pub mod report;
pub mod serve;
mod source;

pub use crate::input::BadInput;

use clap::{Parser, Subcommand};
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

/// How a command that ran to its end came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Done and good: exit status 0.
    Good,
    /// Done, and something asked about is not so: exit status 1.
    NotSo,
}

/// What every command returns.
pub type Ending = Result<Verdict, BadInput>;

/// The fourth option for 911 and 211: finds the calls a community team may take, hands them over, measures every step.
#[derive(Debug, Parser)]
#[command(name = "fourth", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The adapter with a simulated city around it.
    #[cfg(feature = "demo")]
    Demo(demo::Args),
    /// The adapter beside a CAD.
    Serve(serve::Args),
    /// Read, prove and test policies.
    Check(check::Args),
    /// What moves from one policy to another, proved for every call.
    Diff(diff::Args),
    /// What a policy says about call records.
    Decide(decide::Args),
    /// Any accepted format as the canonical call record.
    Decode(decode::Args),
    /// Verify the chain, or show the life of one incident.
    Journal(journal::Args),
    /// Other people's CAD exports into a store of past calls.
    Import(import::Args),
    /// What a policy would have done with past calls.
    Replay(replay::Args),
    /// The evaluator's tables, computed from the journal.
    Report(report::Args),
}

/// Runs the command line.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout().lock();
    let ending = match &arguments.command {
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(args, &mut out),
        Command::Serve(args) => serve::run(args, &mut out),
        Command::Check(args) => check::run(args, &mut out),
        Command::Diff(args) => diff::run(args, &mut out),
        Command::Decide(args) => decide::run(args, &mut out),
        Command::Decode(args) => decode::run(args, &mut out),
        Command::Journal(args) => journal::run(args, &mut out),
        Command::Import(args) => import::run(args, &mut out),
        Command::Replay(args) => replay::run(args, &mut out),
        Command::Report(args) => report::run(args, &mut out),
    };
    match ending.and_then(|verdict| Ok(out.flush().map(|()| verdict)?)) {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::NotSo) => ExitCode::from(1),
        // Whoever reads our output has seen enough (`| head`).
        Err(input) if input.is_closed() => ExitCode::SUCCESS,
        Err(input) => {
            let _ = writeln!(std::io::stderr(), "fourth: {input}");
            ExitCode::from(2)
        }
    }
}

/// Runs a future on a runtime of its own.
fn in_runtime(work: impl Future<Output = Ending>) -> Ending {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| BadInput::new(format!("the runtime cannot start: {error}")))?.block_on(work)
}

/// Returns at SIGTERM or Ctrl-C.
async fn until_told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        }
        // Without signals nobody can ask us to stop: serve for ever.
        (Err(_), _) | (_, Err(_)) => std::future::pending().await,
    }
}

/// A lined-up table: a rule below the headers, columns of numbers to the right.
fn table<T: AsRef<str>>(headers: &[T], rows: &[Vec<String>]) -> comfy_table::Table {
    use comfy_table::{CellAlignment, LineStyle, Table, presets};
    let mut table = Table::new();
    table.load_style(presets::NOTHING.header_separator(LineStyle::none().fill('─').junction('─')));
    table.set_header(headers.iter().map(AsRef::as_ref)).add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        let is_number = |cell: &String| {
            cell.is_empty() || cell.starts_with(|first: char| first.is_ascii_digit() || first == '-' || first == '–')
        };
        if rows.iter().filter_map(|row| row.get(index)).all(is_number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// What the tests of several commands share.
#[cfg(test)]
mod trial {
    use super::Ending;

    /// A folder of these files, gone when the test ends.
    pub fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (file, content) in files {
            std::fs::write(folder.path().join(file), content).unwrap();
        }
        folder
    }

    /// How a command ended, and what it printed.
    pub fn ran(run: impl FnOnce(&mut Vec<u8>) -> Ending) -> (Ending, String) {
        let mut out = Vec::new();
        let ending = run(&mut out);
        (ending, String::from_utf8(out).unwrap())
    }
}
