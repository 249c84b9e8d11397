//! Sessions of the pages: who is at the screen, kept in memory, named by a random 256-bit id that is hashed at rest.

use crate::access::Identity;
use crate::clock;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use subtle::ConstantTimeEq;

/// Sessions kept at most; the one that ends first makes room (invariant I11).
const SESSIONS_MAX: usize = 4_096;

/// SHA-256 of a session id: what is kept, so that a memory image holds no usable cookie.
pub type IdHash = [u8; 32];

/// The live sessions.
pub struct Sessions {
    live: Mutex<HashMap<IdHash, Session>>,
    secret: [u8; 32],
    length: SignedDuration,
}

struct Session {
    identity: Identity,
    ends: Timestamp,
}

impl Sessions {
    /// No sessions yet; each will last `hours` from sign-in, however much it is used.
    ///
    /// # Errors
    /// Where the operating system gives no randomness.
    pub fn new(hours: u32) -> Result<Self, clock::NoRandomness> {
        Ok(Self {
            live: Mutex::new(HashMap::new()),
            secret: clock::random_bytes()?,
            length: SignedDuration::from_hours(i64::from(hours)),
        })
    }

    /// Begins a session and gives its id for the cookie. Sign-in always makes a new id (no fixation).
    ///
    /// # Errors
    /// Where the operating system gives no randomness.
    pub fn begin(&self, identity: Identity, now: Timestamp) -> Result<String, clock::NoRandomness> {
        let id = hex::encode(clock::random_bytes::<32>()?);
        let ends = now.checked_add(self.length).unwrap_or(now);
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|_, session| session.ends > now);
        if live.len() >= SESSIONS_MAX
            && let Some(first) = live.iter().min_by_key(|(_, session)| session.ends).map(|(hash, _)| *hash)
        {
            live.remove(&first);
        }
        live.insert(hash_of(&id), Session { identity, ends });
        Ok(id)
    }

    /// Who a session id belongs to, while it lasts.
    #[must_use]
    pub fn identity(&self, hash: &IdHash, now: Timestamp) -> Option<Identity> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.get(hash).filter(|session| session.ends > now).map(|session| session.identity.clone())
    }

    /// How long a session lasts, seconds: the cookie's `Max-Age`.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        self.length.as_secs()
    }

    /// Ends a session; its streams end with their next message.
    pub fn end(&self, hash: &IdHash) {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).remove(hash);
    }

    /// The token that every form of this session carries. Without a session (open loopback) it is the process's own:
    /// another site can neither read it nor guess it.
    #[must_use]
    pub fn form_token(&self, session: Option<&IdHash>) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret) else { return String::new() };
        mac.update(session.map_or(b"open loopback".as_slice(), <[u8; 32]>::as_slice));
        hex::encode(mac.finalize().into_bytes())
    }

    /// True where the token is this session's; compared in constant time. An empty token is never right.
    #[must_use]
    pub fn token_is_right(&self, session: Option<&IdHash>, given: &str) -> bool {
        let expected = self.form_token(session);
        !expected.is_empty() && bool::from(expected.as_bytes().ct_eq(given.as_bytes()))
    }
}

/// The hash under which a session id is kept.
#[must_use]
pub fn hash_of(id: &str) -> IdHash {
    Sha256::digest(id.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::{SESSIONS_MAX, Sessions, hash_of};
    use crate::access::{Identity, Role};
    use jiff::{SignedDuration, Timestamp};

    fn somebody(name: &str) -> Identity {
        Identity { name: name.to_owned(), roles: vec![Role::CallTaker] }
    }

    fn noon() -> Timestamp {
        "2026-05-05T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_session_ends_after_twelve_hours_however_much_it_is_used() {
        let sessions = Sessions::new(12).unwrap();
        let hash = hash_of(&sessions.begin(somebody("desk-1"), noon()).unwrap());
        for hour in 0..12 {
            assert!(sessions.identity(&hash, noon() + SignedDuration::from_hours(hour)).is_some(), "hour {hour}");
        }
        assert!(sessions.identity(&hash, noon() + SignedDuration::from_hours(12)).is_none());
    }

    #[test]
    fn ids_are_long_new_each_time_and_gone_after_sign_out() {
        let sessions = Sessions::new(12).unwrap();
        let first = sessions.begin(somebody("desk-1"), noon()).unwrap();
        let second = sessions.begin(somebody("desk-1"), noon()).unwrap();
        assert_eq!(first.len(), 64);
        assert_ne!(first, second);
        sessions.end(&hash_of(&first));
        assert!(sessions.identity(&hash_of(&first), noon()).is_none());
        assert!(sessions.identity(&hash_of(&second), noon()).is_some());
    }

    #[test]
    fn a_form_token_belongs_to_one_session_of_one_process() {
        let (sessions, other) = (Sessions::new(12).unwrap(), Sessions::new(12).unwrap());
        let (one, two) = (hash_of("one"), hash_of("two"));
        let token = sessions.form_token(Some(&one));
        assert!(sessions.token_is_right(Some(&one), &token));
        assert!(!sessions.token_is_right(Some(&two), &token));
        assert!(!sessions.token_is_right(None, &token));
        assert!(!other.token_is_right(Some(&one), &token));
        assert!(!sessions.token_is_right(Some(&one), ""));
    }

    #[test]
    fn sessions_are_bounded_and_the_oldest_makes_room() {
        let sessions = Sessions::new(12).unwrap();
        let first = sessions.begin(somebody("first"), noon()).unwrap();
        for _ in 0..SESSIONS_MAX {
            sessions.begin(somebody("next"), noon() + SignedDuration::from_secs(1)).unwrap();
        }
        assert!(sessions.identity(&hash_of(&first), noon()).is_none());
        assert!(sessions.live.lock().unwrap().len() <= SESSIONS_MAX);
    }
}
