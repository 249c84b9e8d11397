//! A checkpoint kept outside the journal's file: a journal that ends before it, or is another chain, is an old copy, and is not
//! served unseen (reliability.md 9, fault 64).

use super::file::{beside, unavailable};
use super::rows;
use crate::journal::stored::corrupt;
use crate::journal::{Chain, JournalError};
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// Entries between two checkpoints under load; when nothing happens one is written anyway.
const EVERY_ENTRIES: u64 = 1_000;

/// Where checkpoints are written, if anywhere.
pub(super) struct CheckpointFile {
    path: Option<PathBuf>,
    written: u64,
}

impl CheckpointFile {
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self { path, written: 0 }
    }

    /// Writes where the chain ends, where that is due. A failure stops no append: it is logged, and tried again.
    pub(super) fn note(&mut self, chain: &Chain, idle: bool) {
        let Some(path) = &self.path else { return };
        let due = if idle { 1 } else { EVERY_ENTRIES };
        if chain.sequence() < self.written.saturating_add(due) {
            return;
        }
        let new = beside(path, ".new");
        let text = format!("{}:{}\n", chain.sequence(), chain.hash_hex());
        match std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, path)) {
            Ok(()) => self.written = chain.sequence(),
            Err(error) => tracing::error!(%error, "the journal's checkpoint cannot be written"),
        }
    }
}

/// That the journal has what the checkpoint says it had.
pub(super) fn check(path: &Path, connection: &Connection, head: &Chain) -> Result<(), JournalError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unavailable(format!("its checkpoint `{}` cannot be read: {error}", path.display()))),
    };
    let parts = text.trim().split_once(':');
    let Some((sequence, hash)) = parts.and_then(|(sequence, hash)| Some((sequence.parse::<u64>().ok()?, hash))) else {
        return Err(corrupt(0, format!("its checkpoint `{}` is none", path.display())));
    };
    let go_on = format!("to go on with this journal all the same, move `{}` away", path.display());
    if head.sequence() < sequence {
        let first = head.sequence().saturating_add(1);
        let why =
            format!("entries {first} to {sequence} were written and are not here: an old copy was put back? {go_on}");
        return Err(corrupt(first, why));
    }
    if sequence > 0 && rows::chain_at(connection, sequence)?.hash_hex() != hash {
        return Err(corrupt(sequence, format!("it is another chain than the one that was written before; {go_on}")));
    }
    Ok(())
}
