//! `fourth report`: the figures of a journal, as tables in text or one JSON object a table.

use super::source::Where;
use super::{Ending, Verdict};
use crate::journal::{Entry, JournalError};
use crate::measures::{Figures, Table};
use std::io::Write;

/// Entries read from the journal at once.
const PAGE: usize = 4096;

/// What is to be reported.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    journal: Where,
    /// One JSON object a table instead of text: `title`, `headers`, `rows`
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// Where the file cannot be read or is no journal.
pub fn run(args: &Args, out: &mut dyn Write) -> Ending {
    let journal = args.journal.open()?;
    let page_after = |after| journal.entries_after(after, PAGE);
    let figures = figures_of(page_after).map_err(|error| journal.unreadable(&error))?;
    render(&figures.tables(), args.json, out)?;
    Ok(Verdict::Good)
}

/// The figures of all entries, read page by page until a page brings nothing more.
fn figures_of(page_after: impl Fn(u64) -> Result<Vec<Entry>, JournalError>) -> Result<Figures, JournalError> {
    let mut figures = Figures::default();
    loop {
        let read = figures.sequence();
        for entry in &page_after(read)? {
            figures.absorb(entry);
        }
        if figures.sequence() == read {
            return Ok(figures);
        }
    }
}

/// Writes the tables. In text, a table without rows is left out; in JSON it is kept, so that a reader finds all.
pub fn render(tables: &[Table], as_json: bool, out: &mut dyn Write) -> std::io::Result<()> {
    for table in tables {
        if as_json {
            serde_json::to_writer(&mut *out, table)?;
            writeln!(out)?;
        } else if !table.rows.is_empty() {
            writeln!(out, "{}\n\n{}\n", table.title, super::table(&table.headers, &table.rows))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::Event;
    use crate::journal::{Batch, EmbeddedJournal, Journal as _, Settings, Stored, Subject};
    use crate::record::IncidentId;
    use jiff::Timestamp;
    use std::path::PathBuf;

    fn file(path: &std::path::Path) -> Where {
        Where { journal: Some(path.to_owned()), config: None }
    }

    fn printed(args: &Args) -> String {
        let mut out = Vec::new();
        assert_eq!(run(args, &mut out), Ok(Verdict::Good));
        String::from_utf8(out).unwrap()
    }

    /// A journal of more incidents than one page holds.
    fn journal_of(incidents: usize) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sqlite");
        let journal = EmbeddedJournal::open(&Settings::new(&path)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let closed = || Stored::Incident(Event::Closed { why: "closed-by-source".to_owned() });
        for number in 0..incidents {
            let batch = Batch {
                subject: Subject::Incident(IncidentId::new(format!("i{number}"))),
                expected_version: 0,
                at: Timestamp::UNIX_EPOCH,
                events: vec![closed(); PAGE],
                content: None,
                standing: None,
            };
            runtime.block_on(journal.append(batch)).unwrap();
        }
        (folder, path)
    }

    #[test]
    fn a_journal_of_several_pages_is_reported_whole_as_text_and_as_json() {
        let (_folder, path) = journal_of(3);
        let text = printed(&Args { journal: file(&path), json: false });
        let row = text.lines().find(|line| line.contains("incidents closed")).unwrap();
        assert!(row.ends_with(" 12288 ") || row.ends_with(" 12288"), "{row}");
        assert!(!text.contains("Dispositions"), "an empty table is left out of the text");
        let json = printed(&Args { journal: file(&path), json: true });
        let tables: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(tables.len(), Figures::default().tables().len());
        assert_eq!(tables[0]["title"], "Calls");
        assert!(json.contains(r#"["incidents","3"]"#));
    }

    #[test]
    fn a_file_that_is_no_journal_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent.sqlite");
        let bad = run(&Args { journal: file(&path), json: false }, &mut Vec::new()).unwrap_err();
        assert!(bad.message.contains(&path.display().to_string()));
        assert!(!path.exists(), "reading makes no file");
    }
}
