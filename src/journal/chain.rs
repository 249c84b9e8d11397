//! The hash chain: each entry commits to the one before.

/// Chain value before the first entry.
pub const GENESIS: [u8; 32] = [0; 32];

/// Stub.
#[derive(Debug, Clone)]
pub struct Chain;

/// Where a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainFault {
    /// Position.
    pub sequence: u64,
    /// What is wrong.
    pub why: String,
}
