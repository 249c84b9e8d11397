//! The embedded store: SQLite, one writer with natural batching.

use serde::Deserialize;

/// Stub.
#[derive(Debug)]
pub struct EmbeddedJournal;

/// Settings of the embedded journal.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Database file.
    pub path: std::path::PathBuf,
}
