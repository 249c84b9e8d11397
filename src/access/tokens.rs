//! The access list: who is recognised by which token. Only digests of tokens are kept.

use super::{Identity, Role};
use crate::record::ProgramId;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// Bytes in a presented token, at most; longer ones are nobody's and are not hashed.
pub const TOKEN_BYTES_MAX: usize = 1024;

/// The `[access]` part of the configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whoever connects from this machine itself needs no token and has every role. For a demonstration or a
    /// developer's machine; never behind a reverse proxy on the same machine, where everybody comes from loopback.
    pub open_on_loopback: bool,
    /// Everybody who has a token.
    pub identity: Vec<IdentitySettings>,
}

/// One `[[access.identity]]`. Two may share a name, so that a token can be rotated without a gap.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentitySettings {
    /// Opaque name that goes into the journal (`cad-east`, `position-4`): lower-case letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// One role or a list of roles.
    pub role: RoleNames,
    /// The program of a team; required for the role `team`, refused without it.
    pub program: Option<ProgramId>,
    /// SHA-256 of the token, 64 hexadecimal digits.
    pub token_sha256: TokenDigest,
}

/// One role or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum RoleNames {
    /// `role = "cad"`.
    One(RoleName),
    /// `role = ["call-taker", "evaluator"]`.
    Several(Vec<RoleName>),
}

/// A role as the configuration names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleName {
    /// [`Role::Cad`].
    Cad,
    /// [`Role::CallTaker`].
    CallTaker,
    /// [`Role::Team`] of the identity's `program`.
    Team,
    /// [`Role::Evaluator`].
    Evaluator,
    /// [`Role::Operator`].
    Operator,
}

/// SHA-256 of a token. Does not print.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenDigest(withheld)")
    }
}

impl<'de> Deserialize<'de> for TokenDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut digest = [0_u8; 32];
        hex::decode_to_slice(&text, &mut digest)
            .map_err(|_| D::Error::custom("`token_sha256` must be 64 hexadecimal digits"))?;
        Ok(Self(digest))
    }
}

/// What is wrong with an access list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessFault {
    /// The name would not be safe in a journal or a log.
    #[error("identity {number}: the name must be 1 to 64 of `a-z`, `0-9`, `-`, `_`, `.`")]
    Name {
        /// Position in the list, from 1.
        number: usize,
    },
    /// An identity without a role could do nothing.
    #[error("identity `{name}` has no role")]
    NoRole {
        /// The identity.
        name: String,
    },
    /// A team must belong to a program, and only a team does.
    #[error("identity `{name}`: `program` belongs to the role `team`, and `team` needs it")]
    Program {
        /// The identity.
        name: String,
    },
    /// The digest of the empty text is not a token's.
    #[error("identity `{name}`: `token_sha256` is the digest of an empty token")]
    EmptyToken {
        /// The identity.
        name: String,
    },
    /// One token would name two people.
    #[error("identities `{first}` and `{second}` have the same token")]
    SharedToken {
        /// The earlier identity.
        first: String,
        /// The later one.
        second: String,
    },
}

/// The access list in force.
#[derive(Debug, Clone, Default)]
pub struct Access {
    open_on_loopback: bool,
    entries: Vec<(TokenDigest, Identity)>,
}

impl Access {
    /// Checks a configured list.
    ///
    /// # Errors
    /// The first [`AccessFault`] found.
    pub fn new(settings: &Settings) -> Result<Self, AccessFault> {
        let mut entries: Vec<(TokenDigest, Identity)> = Vec::with_capacity(settings.identity.len());
        for (index, entry) in settings.identity.iter().enumerate() {
            let name = entry.name.clone();
            if !name_is_opaque(&name) {
                return Err(AccessFault::Name { number: index + 1 });
            }
            if entry.token_sha256 == TokenDigest::of("") {
                return Err(AccessFault::EmptyToken { name });
            }
            if let Some((_, first)) = entries.iter().find(|(digest, _)| *digest == entry.token_sha256) {
                return Err(AccessFault::SharedToken { first: first.name.clone(), second: name });
            }
            let roles = roles_of(entry)?;
            entries.push((entry.token_sha256, Identity { name, roles }));
        }
        Ok(Self { open_on_loopback: settings.open_on_loopback, entries })
    }

    /// Who presents this token. Every entry is compared, each in constant time, so that the time taken says nothing
    /// about which digests are near.
    #[must_use]
    pub fn authenticate(&self, token: &str) -> Option<Identity> {
        if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let presented = TokenDigest::of(token);
        let mut found = None;
        for (digest, identity) in &self.entries {
            let same: Choice = digest.0.ct_eq(&presented.0);
            if bool::from(same) {
                found = Some(identity);
            }
        }
        found.cloned()
    }

    /// Who connects from this machine without a token: every role where the list says `open_on_loopback`, else nobody.
    #[must_use]
    pub fn loopback_identity(&self) -> Option<Identity> {
        self.open_on_loopback.then(|| Identity {
            name: "loopback".to_owned(),
            roles: vec![Role::Cad, Role::CallTaker, Role::EveryTeam, Role::Evaluator, Role::Operator],
        })
    }
}

/// The digest that the configuration keeps of a token: SHA-256, lower-case hex.
#[must_use]
pub fn hash_token(token: &str) -> String {
    hex::encode(TokenDigest::of(token).0)
}

fn roles_of(entry: &IdentitySettings) -> Result<Vec<Role>, AccessFault> {
    let names = match &entry.role {
        RoleNames::One(name) => std::slice::from_ref(name),
        RoleNames::Several(names) => names.as_slice(),
    };
    if names.is_empty() {
        return Err(AccessFault::NoRole { name: entry.name.clone() });
    }
    if names.contains(&RoleName::Team) != entry.program.is_some() {
        return Err(AccessFault::Program { name: entry.name.clone() });
    }
    let role = |name: &RoleName| match (name, &entry.program) {
        (RoleName::Cad, _) => Some(Role::Cad),
        (RoleName::CallTaker, _) => Some(Role::CallTaker),
        (RoleName::Evaluator, _) => Some(Role::Evaluator),
        (RoleName::Operator, _) => Some(Role::Operator),
        (RoleName::Team, program) => program.clone().map(Role::Team),
    };
    Ok(names.iter().filter_map(role).collect())
}

fn name_is_opaque(name: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64).contains(&name.len()) && name.bytes().all(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    fn entry(name: &str, role: &str, token: &str) -> String {
        format!("[[identity]]\nname = \"{name}\"\nrole = {role}\ntoken_sha256 = \"{}\"\n", hash_token(token))
    }

    #[test]
    fn a_token_names_its_identity_and_nobody_else() {
        let text = [
            entry("cad-east", "\"cad\"", "s3cret"),
            entry("crew-1", "[\"team\"]\nprogram = \"psr\"", "other"),
            entry("cad-east", "\"cad\"", "s3cret-next"),
        ]
        .concat();
        let access = Access::new(&settings(&text)).unwrap();
        assert_eq!(access.authenticate("s3cret").unwrap().name, "cad-east");
        assert_eq!(access.authenticate("s3cret-next").unwrap().name, "cad-east");
        let crew = access.authenticate("other").unwrap();
        assert_eq!(crew.roles, vec![Role::Team(ProgramId::new("psr"))]);
        for wrong in ["", "S3cret", "s3cret ", &hash_token("s3cret"), &"x".repeat(TOKEN_BYTES_MAX + 1)] {
            assert_eq!(access.authenticate(wrong), None);
        }
    }

    #[test]
    fn loopback_is_closed_unless_the_list_opens_it() {
        assert_eq!(Access::default().loopback_identity(), None);
        let open = Access::new(&settings("open_on_loopback = true")).unwrap();
        assert_eq!(open.loopback_identity().unwrap().name, "loopback");
        assert_eq!(open.authenticate("anything"), None);
    }

    #[test]
    fn a_faulty_list_is_refused_and_says_which_entry() {
        let fault = |text: &str| Access::new(&settings(text)).unwrap_err();
        assert_eq!(fault(&entry("Jane Doe", "\"cad\"", "t")), AccessFault::Name { number: 1 });
        assert_eq!(fault(&entry("a", "[]", "t")), AccessFault::NoRole { name: "a".into() });
        assert_eq!(fault(&entry("a", "\"team\"", "t")), AccessFault::Program { name: "a".into() });
        assert_eq!(fault(&entry("a", "\"cad\"\nprogram = \"psr\"", "t")), AccessFault::Program { name: "a".into() });
        assert_eq!(fault(&entry("a", "\"cad\"", "")), AccessFault::EmptyToken { name: "a".into() });
        let shared = [entry("a", "\"cad\"", "t"), entry("b", "\"operator\"", "t")].concat();
        assert_eq!(fault(&shared), AccessFault::SharedToken { first: "a".into(), second: "b".into() });
    }

    #[test]
    fn unknown_keys_roles_and_digests_are_refused() {
        for text in [
            "open_to_all = true",
            "[[identity]]\nname = \"a\"\nrole = \"god\"\ntoken_sha256 = \"00\"",
            "[[identity]]\nname = \"a\"\nrole = \"cad\"\ntoken_sha256 = \"00\"",
            "[[identity]]\nname = \"a\"\nrole = \"cad\"\ntoken = \"plain\"",
        ] {
            assert!(toml::from_str::<Settings>(text).is_err(), "accepted: {text}");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let printed = format!("{:?}", settings(&entry("cad", "\"cad\"", "t")));
        assert!(!printed.contains(&hash_token("t")), "{printed}");
    }

    #[test]
    fn the_digest_is_sha_256() {
        assert_eq!(hash_token("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
