//! Which journal a command reads: a file, or whatever a configuration names, a shared database too.

use super::BadInput;
use crate::configuration::Configuration;
use crate::journal::{
    EmbeddedJournal, Entry, Journal, JournalError, PostgresJournal, PostgresReader, PostgresSettings, Verification,
};
use crate::record::IncidentId;
use std::path::{Path, PathBuf};
use tokio::runtime::Runtime;

/// The journal.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Where {
    /// The journal's file; an adapter may be running on it, but not to forget, seal or drop
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

/// A journal opened to forget, seal or drop: a file that no adapter runs on, or a shared database beside running ones.
pub(super) struct Upkeep {
    pub(super) journal: Box<dyn Journal>,
    pub(super) runtime: Runtime,
    pub(super) name: String,
    /// Where copies of what is destroyed may be.
    pub(super) copies: &'static str,
}

/// What the arguments name.
enum Named {
    File(PathBuf),
    Shared(Box<PostgresSettings>, String),
}

impl Where {
    fn named(&self) -> Result<Named, BadInput> {
        match (&self.journal, &self.config) {
            (Some(file), _) => Ok(Named::File(file.clone())),
            (None, Some(file)) => {
                let journal = Configuration::read(file)?.journal;
                Ok(match journal.postgres {
                    Some(shared) => {
                        let name = format!("{} of agency {}", shared.url, shared.agency);
                        Named::Shared(Box::new(shared), name)
                    }
                    None => Named::File(journal.path),
                })
            }
            (None, None) => Err(BadInput::new("neither `--journal` nor `--config` is given")),
        }
    }

    pub(super) fn open(&self) -> Result<Source, BadInput> {
        match self.named()? {
            Named::File(file) => {
                let opened = EmbeddedJournal::open_read_only(&file);
                opened.map(|journal| Source::File(journal, file.clone())).map_err(|error| unreadable(&file, &error))
            }
            Named::Shared(shared, name) => {
                let runtime = runtime()?;
                let opened = runtime.block_on(PostgresReader::open(&shared));
                let reader =
                    opened.map_err(|error| BadInput::new(format!("journal `{name}` cannot be read: {error}")))?;
                Ok(Source::Shared(Box::new(reader), runtime, name))
            }
        }
    }

    pub(super) fn open_for_upkeep(&self) -> Result<Upkeep, BadInput> {
        let runtime = runtime()?;
        match self.named()? {
            Named::File(file) => {
                let name = file.display().to_string();
                let journal = EmbeddedJournal::open_for_upkeep(&file).map_err(|error| refused(&name, &error))?;
                let copies = "copies of the file made before still hold it";
                Ok(Upkeep { journal: Box::new(journal), runtime, name, copies })
            }
            Named::Shared(shared, name) => {
                let opened = runtime.block_on(PostgresJournal::open_for_upkeep(&shared));
                let journal = opened.map_err(|error| refused(&name, &error))?;
                let copies =
                    "backups and logs of the database made before still hold it, and its files until it is vacuumed";
                Ok(Upkeep { journal: Box::new(journal), runtime, name, copies })
            }
        }
    }
}

fn runtime() -> Result<Runtime, BadInput> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.map_err(|error| BadInput::new(format!("no runtime: {error}")))
}

/// Why something could not be done to a journal.
fn refused(name: &str, error: &JournalError) -> BadInput {
    match error {
        JournalError::Unavailable(why) => BadInput::new(format!("journal `{name}`: {why}")),
        JournalError::Corrupt { sequence: 0, why } => BadInput::new(format!("journal `{name}` cannot be read: {why}")),
        JournalError::InDoubt(why) => {
            BadInput::new(format!("journal `{name}`: whether it was done is not known: {why}"))
                .help("ask again: what was done is not done twice")
        }
        other => BadInput::new(format!("journal `{name}`: {other}"))
            .help("`fourth journal verify` finds every entry up to the damage"),
    }
}

impl Upkeep {
    /// Does something to the journal, and leaves it as whoever opens it next should find it.
    pub(super) fn run<T>(
        &self,
        work: impl AsyncFnOnce(&dyn Journal) -> Result<T, JournalError>,
    ) -> Result<T, BadInput> {
        self.runtime.block_on(async {
            let done = work(&*self.journal).await;
            if let Err(error) = self.journal.wind_down().await {
                tracing::warn!(%error, "the journal could not be left in order");
            }
            done.map_err(|error| refused(&self.name, &error))
        })
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
