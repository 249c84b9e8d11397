//! The hash chain: each entry commits to the one before, so that any change to the past shows.
//!
//! `h_n = SHA-256(0x01 ‖ h_{n-1} ‖ canonical(entry n))`, and `h_0` is 32 zero bytes ([`GENESIS`]).
//!
//! The canonical form of an entry is its stored columns in this order, each as a 4-byte big-endian length and that
//! many bytes: sequence (8 bytes, big-endian), subject (`incident` or `adapter`), incident (empty for the adapter),
//! version (8 bytes, big-endian), at (RFC 3339 text as stored), kind, event version (4 bytes, big-endian), payload
//! (the JSON bytes as stored). Nothing is ever re-serialised to verify: the bytes in the store are what is hashed,
//! so that a verifier in any language needs no knowledge of the events.

use sha2::{Digest, Sha256};

/// Chain value before the first entry.
pub const GENESIS: [u8; 32] = [0; 32];

/// Domain separation: no entry's preimage is a preimage of anything else that is hashed here.
const ENTRY_PREFIX: u8 = 0x01;

/// The stored columns of one entry, borrowed as they stand in the store.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// Position in the global order, from 1.
    pub sequence: u64,
    /// `incident` or `adapter`.
    pub subject: &'a str,
    /// The incident's name; empty for the adapter.
    pub incident: &'a str,
    /// Version of the incident after the entry; 0 for the adapter.
    pub version: u64,
    /// RFC 3339 instant as stored.
    pub at: &'a str,
    /// Name of the event.
    pub kind: &'a str,
    /// Version of the events' shape.
    pub event_version: u32,
    /// The payload's bytes as stored.
    pub payload: &'a [u8],
}

impl Link<'_> {
    /// The chain value of this entry after the one before.
    #[must_use]
    pub fn hash(&self, before: &[u8; 32]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update([ENTRY_PREFIX]);
        hasher.update(before);
        let fields: [&[u8]; 8] = [
            &self.sequence.to_be_bytes(),
            self.subject.as_bytes(),
            self.incident.as_bytes(),
            &self.version.to_be_bytes(),
            self.at.as_bytes(),
            self.kind.as_bytes(),
            &self.event_version.to_be_bytes(),
            self.payload,
        ];
        for field in fields {
            // A field of 4 GiB cannot be stored (SQLite's limit is 1 GB), so the length never saturates.
            hasher.update(u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
            hasher.update(field);
        }
        hasher.finalize().into()
    }
}

/// Where a chain stands: the last sequence and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    sequence: u64,
    hash: [u8; 32],
}

impl Default for Chain {
    fn default() -> Self {
        Self { sequence: 0, hash: GENESIS }
    }
}

impl Chain {
    /// A chain that already stands somewhere.
    #[must_use]
    pub fn standing_at(sequence: u64, hash: [u8; 32]) -> Self {
        Self { sequence, hash }
    }

    /// Sequence of the last entry, 0 before the first.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Chain value of the last entry.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Chain value of the last entry, lower-case hex.
    #[must_use]
    pub fn hash_hex(&self) -> String {
        hex::encode(self.hash)
    }

    /// The chain after one more entry.
    #[must_use]
    pub fn extended(&self, link: &Link<'_>) -> Self {
        Self { sequence: link.sequence, hash: link.hash(&self.hash) }
    }

    /// Goes one entry further where that entry is the next one and its stored value is right.
    ///
    /// # Errors
    /// [`ChainFault`] naming the first position that is not as it was written; the chain stays where it was.
    pub fn check(&mut self, link: &Link<'_>, stored: &[u8]) -> Result<(), ChainFault> {
        let due = self.sequence.saturating_add(1);
        if link.sequence != due {
            let why = format!("entry is missing: {} follows {}", link.sequence, self.sequence);
            return Err(ChainFault { sequence: due, why });
        }
        let next = self.extended(link);
        if next.hash.as_slice() != stored {
            let why = "its content, or that of the entry before, is not what the chain committed to".to_owned();
            return Err(ChainFault { sequence: due, why });
        }
        *self = next;
        Ok(())
    }
}

/// Where a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainFault {
    /// Position.
    pub sequence: u64,
    /// What is wrong.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn link<'a>(sequence: u64, kind: &'a str, payload: &'a [u8]) -> Link<'a> {
        Link {
            sequence,
            subject: "incident",
            incident: "i1",
            version: sequence,
            at: "2026-03-01T08:00:00Z",
            kind,
            event_version: 1,
            payload,
        }
    }

    #[test]
    fn the_value_is_the_documented_one() {
        // Built by hand from the module's documentation, byte by byte.
        let mut bytes = vec![1_u8];
        bytes.extend([0_u8; 32]);
        for field in [
            1_u64.to_be_bytes().to_vec(),
            b"incident".to_vec(),
            b"i1".to_vec(),
            1_u64.to_be_bytes().to_vec(),
            b"2026-03-01T08:00:00Z".to_vec(),
            b"offered".to_vec(),
            1_u32.to_be_bytes().to_vec(),
            b"{}".to_vec(),
        ] {
            bytes.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
            bytes.extend(field);
        }
        let by_hand: [u8; 32] = Sha256::digest(&bytes).into();
        assert_eq!(link(1, "offered", b"{}").hash(&GENESIS), by_hand);
    }

    #[test]
    fn a_gap_is_located_at_the_missing_entry() {
        let mut chain = Chain::default();
        let first = link(1, "a", b"1");
        chain.check(&first, &first.hash(&GENESIS)).unwrap();
        let third = link(3, "a", b"3");
        let fault = chain.check(&third, &third.hash(chain.hash())).unwrap_err();
        assert_eq!(fault.sequence, 2);
        assert_eq!(chain.sequence(), 1);
    }

    proptest! {
        #[test]
        fn moving_a_byte_over_a_field_border_changes_the_value(kind in "[a-z]{2,8}", payload in "[a-z]{1,8}", cut in 1_usize..2) {
            let joined = format!("{kind}{payload}");
            let (short, rest) = joined.split_at(kind.len() - cut);
            let moved = link(1, short, rest.as_bytes()).hash(&GENESIS);
            prop_assert_ne!(link(1, &kind, payload.as_bytes()).hash(&GENESIS), moved);
        }

        #[test]
        fn any_flipped_bit_changes_the_value(mut payload in proptest::collection::vec(any::<u8>(), 1..64), bit in 0_u8..8, at in any::<prop::sample::Index>()) {
            let before = link(1, "a", &payload).hash(&GENESIS);
            let place = at.index(payload.len());
            payload[place] ^= 1 << bit;
            prop_assert_ne!(before, link(1, "a", &payload).hash(&GENESIS));
        }
    }
}
