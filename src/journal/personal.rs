//! Personal bytes under a key for each incident, itself wrapped by the key of the key file: whoever destroys the incident's
//! key forgets its people, and the chain, which commits to digests only, still verifies.
//!
//! AES-256-GCM with random nonces; stored as nonce (12 bytes), ciphertext, tag (16 bytes). A wrapped key is bound to its
//! incident and a record to its incident and digest, so that neither can be put in another's place.

use super::JournalError;
use crate::clock::random_bytes;
use crate::record::IncidentId;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use std::path::Path;

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// The key of the key file. Never prints.
pub struct MasterKey(RandomizedNonceKey);

/// The key of one incident. Never prints.
pub struct IncidentKey(RandomizedNonceKey);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("MasterKey(…)")
    }
}

impl MasterKey {
    /// Reads the key file: 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`] where it cannot be read or is no such key: no record may be kept readable because its
    /// key is not there.
    pub fn read(path: &Path) -> Result<Self, JournalError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| unusable(&format!("the key file `{}` cannot be read: {error}", path.display())))?;
        Self::from_hex(&text).ok_or_else(|| {
            let path = path.display();
            unusable(&format!("the key file `{path}` is not 64 hexadecimal digits; `openssl rand -hex 32` makes one"))
        })
    }

    /// A key from its hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0_u8; KEY_BYTES];
        hex::decode_to_slice(text.trim(), &mut bytes).ok()?;
        Some(Self(RandomizedNonceKey::new(&AES_256_GCM, &bytes).ok()?))
    }

    /// A new key for an incident, and its wrapped form to be stored.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`] where the machine gives no randomness.
    pub fn new_key(&self, incident: &IncidentId) -> Result<(IncidentKey, Vec<u8>), JournalError> {
        let bytes = random_bytes::<KEY_BYTES>().map_err(|_| unusable("the machine gives no randomness for a key"))?;
        let wrapped = lock(&self.0, &wrapping(incident), &bytes)?;
        Ok((IncidentKey::from_bytes(&bytes)?, wrapped))
    }

    /// The key of an incident from its wrapped form; `None` where it is another's, or was wrapped by another key file.
    #[must_use]
    pub fn unwrap(&self, incident: &IncidentId, wrapped: &[u8]) -> Option<IncidentKey> {
        IncidentKey::from_bytes(&unlock(&self.0, &wrapping(incident), wrapped)?).ok()
    }
}

impl IncidentKey {
    fn from_bytes(bytes: &[u8]) -> Result<Self, JournalError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes);
        key.map(Self).map_err(|_| unusable("a key could not be made"))
    }

    /// A record's bytes as they are stored.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`] where the machine gives no randomness.
    pub fn lock(&self, incident: &IncidentId, sha256: &str, bytes: &[u8]) -> Result<Vec<u8>, JournalError> {
        lock(&self.0, &binding(incident, sha256), bytes)
    }

    /// A record's bytes as they came; `None` where they were changed, or are not of this incident and digest.
    #[must_use]
    pub fn unlock(&self, incident: &IncidentId, sha256: &str, locked: &[u8]) -> Option<Vec<u8>> {
        unlock(&self.0, &binding(incident, sha256), locked)
    }
}

fn unusable(why: &str) -> JournalError {
    JournalError::Unavailable(why.to_owned())
}

fn wrapping(incident: &IncidentId) -> Vec<u8> {
    format!("fourth journal: key of incident\0{incident}").into_bytes()
}

fn binding(incident: &IncidentId, sha256: &str) -> Vec<u8> {
    format!("fourth journal: record\0{incident}\0{sha256}").into_bytes()
}

fn lock(key: &RandomizedNonceKey, bound_to: &[u8], bytes: &[u8]) -> Result<Vec<u8>, JournalError> {
    let mut sealed = bytes.to_vec();
    let nonce = key
        .seal_in_place_append_tag(Aad::from(bound_to), &mut sealed)
        .map_err(|_| unusable("a record could not be encrypted"))?;
    let mut locked = nonce.as_ref().to_vec();
    locked.append(&mut sealed);
    Ok(locked)
}

fn unlock(key: &RandomizedNonceKey, bound_to: &[u8], locked: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = locked.split_at_checked(NONCE_LEN)?;
    let mut bytes = sealed.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let length = key.open_in_place(nonce, Aad::from(bound_to), &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master(digit: &str) -> MasterKey {
        MasterKey::from_hex(&digit.repeat(64)).unwrap()
    }

    #[test]
    fn what_is_locked_opens_only_under_its_key_for_its_incident_and_digest() {
        let (one, two) = (IncidentId::new("one"), IncidentId::new("two"));
        let (key, wrapped) = master("a").new_key(&one).unwrap();
        let locked = key.lock(&one, "digest", b"Canary-Name").unwrap();
        assert!(!locked.windows(6).any(|window| window == b"Canary"));
        assert_ne!(locked, key.lock(&one, "digest", b"Canary-Name").unwrap(), "no nonce twice");
        let again = master("a").unwrap(&one, &wrapped).unwrap();
        assert_eq!(again.unlock(&one, "digest", &locked).unwrap(), b"Canary-Name");
        assert!(again.unlock(&two, "digest", &locked).is_none());
        assert!(again.unlock(&one, "another", &locked).is_none());
        assert!(master("a").unwrap(&two, &wrapped).is_none(), "a key put in another's place");
        assert!(master("b").unwrap(&one, &wrapped).is_none(), "another key file");
        for place in 0..locked.len() {
            let mut changed = locked.clone();
            changed[place] ^= 1;
            assert!(again.unlock(&one, "digest", &changed).is_none());
            assert!(again.unlock(&one, "digest", &locked[..place]).is_none());
        }
    }

    #[test]
    fn a_key_file_that_is_none_is_refused_and_its_content_never_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let missing = MasterKey::read(&path).unwrap_err().to_string();
        assert!(missing.contains("cannot be read"), "{missing}");
        for text in ["", "0123", &"x".repeat(64), &"a".repeat(66)] {
            std::fs::write(&path, text).unwrap();
            let refused = MasterKey::read(&path).unwrap_err().to_string();
            assert!(refused.contains("openssl rand -hex 32") && !refused.contains("0123"), "{refused}");
        }
        std::fs::write(&path, format!("{}\n", "c".repeat(64))).unwrap();
        assert_eq!(format!("{:?}", MasterKey::read(&path).unwrap()), "MasterKey(…)");
    }
}
