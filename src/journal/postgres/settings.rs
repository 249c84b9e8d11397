//! Settings of the shared journal. The password is in the URL or in a file of its own, and never prints.

use crate::journal::defaults as bounds;
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tokio_postgres::config::{Host, SslMode};

/// Where the shared journal is, and how long its database may take.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `postgres://user@primary,standby/database?sslmode=require`, or a key-value string as libpq knows it. Name every
    /// server that may be the primary, not a pooler: sessions are kept.
    pub url: Url,
    /// File that holds the password, where the URL has none.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// `journal.key_file`, the same for both stores: each incident's key is under the key in it.
    #[serde(skip)]
    pub key_file: Option<PathBuf>,
    /// PEM file of the only authorities that the server may be vouched for by; needed for `sslmode=require`.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Whose journal: adapters with the same value share the work. Leads every key, so that the tables shard by it.
    pub agency: String,
    /// This adapter's name among those that share the work. No two processes may run under one name.
    pub adapter: String,
    /// Time that an append has from the queue to its durable answer, milliseconds. On expiry its outcome is unknown, the
    /// caller is told so, and nothing is taken until it is known.
    #[serde(default = "defaults::append_deadline_ms")]
    pub append_deadline_ms: u32,
    /// Time that a reading has, milliseconds.
    #[serde(default = "defaults::read_deadline_ms")]
    pub read_deadline_ms: u32,
    /// Time that one server has to answer a connection, milliseconds.
    #[serde(default = "defaults::connect_deadline_ms")]
    pub connect_deadline_ms: u32,
    /// Time without a word after which another adapter takes over what this one holds, milliseconds.
    #[serde(default = "defaults::lease_ms")]
    pub lease_ms: u32,
    /// Time without a word from the database after which what happens is journaled in the file of `journal.path` until it
    /// is back, where there is one, milliseconds. Until then, and without that file, records are answered 503.
    #[serde(default = "defaults::away_after_ms")]
    pub away_after_ms: u32,
    /// Batches that may wait for the writer; above it an append is refused at once.
    #[serde(default = "bounds::queue_max")]
    pub queue_max: usize,
    /// Bytes of payload and content that may wait for the writer.
    #[serde(default = "bounds::queue_bytes_max")]
    pub queue_bytes_max: usize,
    /// Batches that share one commit at most. The writer takes what waits and never waits to fill.
    #[serde(default = "bounds::commit_batches_max")]
    pub commit_batches_max: usize,
    /// Readings that run at once at most, each on its own connection.
    #[serde(default = "bounds::readers_max")]
    pub readers_max: usize,
}

mod defaults {
    //! Defaults of what only this store has.
    pub(super) fn append_deadline_ms() -> u32 {
        3_000
    }
    pub(super) fn read_deadline_ms() -> u32 {
        10_000
    }
    pub(super) fn connect_deadline_ms() -> u32 {
        1_000
    }
    pub(super) fn lease_ms() -> u32 {
        3_000
    }
    pub(super) fn away_after_ms() -> u32 {
        5_000
    }
}

impl Settings {
    /// The defaults for a database.
    #[must_use]
    pub fn new(url: Url, agency: impl Into<String>, adapter: impl Into<String>) -> Self {
        Self {
            url,
            password_file: None,
            key_file: None,
            ca_file: None,
            agency: agency.into(),
            adapter: adapter.into(),
            append_deadline_ms: defaults::append_deadline_ms(),
            read_deadline_ms: defaults::read_deadline_ms(),
            connect_deadline_ms: defaults::connect_deadline_ms(),
            lease_ms: defaults::lease_ms(),
            away_after_ms: defaults::away_after_ms(),
            queue_max: bounds::queue_max(),
            queue_bytes_max: bounds::queue_bytes_max(),
            commit_batches_max: bounds::commit_batches_max(),
            readers_max: bounds::readers_max(),
        }
    }

    /// What the parts must be to each other, and to the network.
    ///
    /// # Errors
    /// A sentence that names the key and never a secret.
    pub fn check(&self) -> Result<(), String> {
        let name = |text: &str| !text.is_empty() && text.len() <= 200 && !text.contains('\0');
        if !name(&self.agency) || !name(&self.adapter) {
            return Err("`agency` and `adapter` have 1 to 200 bytes".to_owned());
        }
        if self.lease_ms < 300 {
            return Err("`lease_ms` is below 300: a busy machine would lose its incidents to others".to_owned());
        }
        if self.away_after_ms < 1_000 {
            return Err("`away_after_ms` is below 1000: a busy machine would take its database for away".to_owned());
        }
        if self.append_deadline_ms == 0 || self.read_deadline_ms == 0 || self.connect_deadline_ms == 0 {
            return Err("a deadline of 0 ms leaves no time at all".to_owned());
        }
        let config = &self.url.0;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("`url` names no host".to_owned());
        }
        if config.get_ssl_mode() == SslMode::Require && self.ca_file.is_none() {
            return Err("`sslmode=require` without `ca_file`: nobody vouches for the server".to_owned());
        }
        let far = config.get_hosts().iter().any(|host| match host {
            Host::Tcp(name) => !["localhost", "127.0.0.1", "::1"].contains(&name.as_str()),
            #[cfg(unix)]
            Host::Unix(_) => false,
        });
        if far && config.get_ssl_mode() != SslMode::Require {
            // The host is not quoted: in a mistyped address it may hold the password.
            let clear = "call records would travel in the clear";
            return Err(format!("`url` names another machine and does not say `sslmode=require`: {clear}"));
        }
        Ok(())
    }

    pub(super) fn append_deadline(&self) -> Duration {
        Duration::from_millis(self.append_deadline_ms.into())
    }

    pub(super) fn read_deadline(&self) -> Duration {
        Duration::from_millis(self.read_deadline_ms.into())
    }

    pub(super) fn connect_deadline(&self) -> Duration {
        Duration::from_millis(self.connect_deadline_ms.into())
    }

    pub(super) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms.into())
    }
}

/// How the database is reached. Prints without the password.
#[derive(Clone)]
pub struct Url(pub(super) tokio_postgres::Config);

impl FromStr for Url {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The parser's own words may quote a part of the text, and a part of the text may be a password.
        let unreadable = "`url` is no PostgreSQL address: postgres://user@host/database, or `host=… user=… dbname=…`";
        text.parse().map(Self).map_err(|_| unreadable)
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (at, host) in self.0.get_hosts().iter().enumerate() {
            let ports = self.0.get_ports();
            let port = ports.get(at).or(ports.first()).unwrap_or(&5432);
            parts.push(match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                #[cfg(unix)]
                Host::Unix(path) => format!("{}:{port}", path.display()),
            });
        }
        write!(formatter, "postgres://{}/{}", parts.join(","), self.0.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> Settings {
        Settings::new(url.parse().unwrap(), "psap.example", "east")
    }

    #[test]
    fn a_password_never_prints() {
        let settings = settings("postgres://fourth:canary-password@127.0.0.1,[::1]:5433/journal");
        assert!(!format!("{settings:?} {}", settings.url).contains("canary"));
        assert_eq!(settings.url.to_string(), "postgres://127.0.0.1:5432,::1:5433/journal");
        for broken in ["host=a canary-password=b", "postgres://u:canary-password@h:notaport/d", "canary-password"] {
            assert!(!broken.parse::<Url>().unwrap_err().contains("canary"));
        }
    }

    #[test]
    fn records_do_not_cross_a_network_in_the_clear() {
        assert!(settings("postgres://fourth@db.example/journal").check().unwrap_err().contains("sslmode=require"));
        let over_tls = settings("postgres://fourth@db.example/journal?sslmode=require");
        assert!(over_tls.check().unwrap_err().contains("ca_file"));
        assert_eq!(Settings { ca_file: Some("ca.pem".into()), ..over_tls }.check(), Ok(()));
        assert_eq!(settings("postgres://fourth@localhost/journal").check(), Ok(()));
        assert_eq!(settings("host=/var/run/postgresql dbname=journal").check(), Ok(()));
        assert!(settings("dbname=journal").check().unwrap_err().contains("no host"));
        let nobody = Settings { adapter: String::new(), ..settings("host=/run") };
        assert!(nobody.check().is_err());
    }
}
