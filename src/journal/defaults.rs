//! Defaults of what both stores bound, measured in `reliability.md` 6.

/// Batches that may wait for a writer.
pub(super) fn queue_max() -> usize {
    4_096
}

/// Bytes of payload and content that may wait for a writer.
pub(super) fn queue_bytes_max() -> usize {
    64 * 1024 * 1024
}

/// Batches that share one commit at most.
pub(super) fn commit_batches_max() -> usize {
    64
}

/// Readings that run at once at most.
pub(super) fn readers_max() -> usize {
    4
}
