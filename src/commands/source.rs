//! Which journal a command reads: a file, or whatever a configuration names, a shared database too.

use super::BadInput;
use crate::configuration::Configuration;
use crate::journal::{EmbeddedJournal, Entry, JournalError, PostgresReader, Verification};
use crate::record::IncidentId;
use std::path::{Path, PathBuf};
use tokio::runtime::Runtime;

/// The journal to read.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Where {
    /// The journal's file; an adapter may be running on it
    #[arg(long, value_name = "PATH")]
    pub journal: Option<PathBuf>,
    /// The adapter's configuration: the journal that it names, in a file or in a shared database
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// A journal opened to read it.
pub(super) enum Source {
    File(EmbeddedJournal, PathBuf),
    Shared(Box<PostgresReader>, Runtime, String),
}

impl Where {
    pub(super) fn open(&self) -> Result<Source, BadInput> {
        let (file, shared) = match (&self.journal, &self.config) {
            (Some(file), _) => (file.clone(), None),
            (None, Some(file)) => {
                let journal = Configuration::read(file)?.journal;
                (journal.path, journal.postgres)
            }
            (None, None) => return Err(BadInput::new("neither `--journal` nor `--config` is given")),
        };
        let Some(shared) = shared else {
            let opened = EmbeddedJournal::open_read_only(&file);
            return opened
                .map(|journal| Source::File(journal, file.clone()))
                .map_err(|error| unreadable(&file, &error));
        };
        let name = format!("{} of agency {}", shared.url, shared.agency);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| BadInput::new(format!("no runtime: {error}")))?;
        let opened = runtime.block_on(PostgresReader::open(&shared));
        let reader = opened.map_err(|error| BadInput::new(format!("journal `{name}` cannot be read: {error}")))?;
        Ok(Source::Shared(Box::new(reader), runtime, name))
    }
}

pub(super) fn unreadable(path: &Path, error: &JournalError) -> BadInput {
    let path = path.display();
    match error {
        // The journal's own words for a file that cannot be opened or is none name it already.
        JournalError::Unavailable(why) | JournalError::Corrupt { sequence: 0, why } => {
            BadInput::new(format!("journal `{path}` cannot be read: {why}"))
        }
        other => BadInput::new(format!("journal `{path}`: {other}"))
            .help(format!("`fourth journal verify --journal {path}` finds every entry up to the damage")),
    }
}

impl Source {
    pub(super) fn entries_after(&self, after: u64, limit: usize) -> Result<Vec<Entry>, JournalError> {
        match self {
            Self::File(journal, _) => journal.entries_after(after, limit),
            Self::Shared(reader, runtime, _) => runtime.block_on(reader.entries_after(after, limit)),
        }
    }

    pub(super) fn entries_of(&self, incident: &IncidentId) -> Result<Vec<Entry>, JournalError> {
        match self {
            Self::File(journal, _) => journal.entries_of(incident),
            Self::Shared(reader, runtime, _) => runtime.block_on(reader.entries_of(incident)),
        }
    }

    pub(super) fn chain_value(&self, sequence: u64) -> Result<Option<String>, JournalError> {
        match self {
            Self::File(journal, _) => journal.chain_value(sequence),
            Self::Shared(reader, runtime, _) => runtime.block_on(reader.chain_value(sequence)),
        }
    }

    pub(super) fn verify(&self, progress: &mut (dyn FnMut(u64, u64) + Send)) -> Result<Verification, JournalError> {
        match self {
            Self::File(journal, _) => journal.verify(progress),
            Self::Shared(reader, runtime, _) => runtime.block_on(reader.verify(progress)),
        }
    }

    /// An error with this journal's name, and what to do next.
    pub(super) fn unreadable(&self, error: &JournalError) -> BadInput {
        match self {
            Self::File(_, path) => unreadable(path, error),
            Self::Shared(_, _, name) => BadInput::new(format!("journal `{name}` cannot be read: {error}"))
                .help("`fourth journal verify --config FILE` finds every entry up to the damage"),
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::File(_, path) => path.display().to_string(),
            Self::Shared(_, _, name) => name.clone(),
        }
    }
}
