//! One session with the primary: found among the servers, told what we rely on, and watched for what PostgreSQL only warns of.

use super::Settings;
use super::tls::Tls;
use crate::journal::JournalError;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Config, Host, SslMode, TargetSessionAttrs};
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::{AsyncMessage, Client, Row, Statement, types::ToSql};

/// SQLSTATEs of our own functions.
const FENCED: &str = "FO001";
const NAME_TAKEN: &str = "FO002";
const OTHER_KEY: &str = "FO003";
const MOVED_ON: &str = "FO004";

/// What a statement can fail with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It did not happen, and the session is as it was.
    Refused(String),
    /// It did not happen: this adapter's epoch has passed.
    Fenced,
    /// Another process has joined under this adapter's name.
    NameTaken,
    /// It did not happen: a record was under a key that is not its incident's, or not any more.
    OtherKey,
    /// It did not happen: what it was decided upon is not so any more.
    MovedOn,
    /// It may have happened or not: no answer came in time, the connection broke, or the commit was let through without its standby.
    Unknown(&'static str),
}

impl From<Trouble> for JournalError {
    fn from(trouble: Trouble) -> Self {
        Self::Unavailable(match trouble {
            Trouble::Refused(why) => format!("the database refused: {why}"),
            Trouble::Fenced => "another adapter took this one for dead; it is joining again".to_owned(),
            Trouble::NameTaken => "another process has joined under this adapter's name; give each its own".to_owned(),
            Trouble::OtherKey => "the keys of its incidents change; sending the record again is safe".to_owned(),
            Trouble::MovedOn => "somebody else changed it in the same moment; look again".to_owned(),
            Trouble::Unknown(why) => format!("the outcome is not known ({why}); sending the record again is safe"),
        })
    }
}

/// Makes sessions. Every server is tried in turn, the one that answered last first.
pub(super) struct Connector {
    servers: Vec<Config>,
    last: AtomicUsize,
    tls: Tls,
    deadline: Duration,
    lock_timeout_ms: u128,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Connector").field("servers", &self.servers.len()).finish_non_exhaustive()
    }
}

impl Connector {
    pub(super) fn new(settings: &Settings) -> Result<Self, JournalError> {
        let unavailable = |why: String| JournalError::Unavailable(why);
        settings.check().map_err(unavailable)?;
        let mut whole = settings.url.0.clone();
        if let Some(file) = &settings.password_file {
            let read = std::fs::read_to_string(file)
                .map_err(|error| unavailable(format!("`{}` cannot be read: {error}", file.display())))?;
            whole.password(read.trim_end_matches(['\r', '\n']));
        }
        let servers = each_server(&whole, settings);
        let tls = Tls::trusting(settings.ca_file.as_deref())?;
        let lock_timeout_ms = settings.append_deadline().as_millis();
        Ok(Self { servers, last: AtomicUsize::new(0), tls, deadline: settings.connect_deadline(), lock_timeout_ms })
    }

    /// A session with a server that can be written to. `durable`: its commits wait for the disk and the standby.
    /// Notifications go to `heard`.
    pub(super) async fn open(
        &self,
        durable: bool,
        heard: Option<mpsc::UnboundedSender<()>>,
    ) -> Result<Session, Trouble> {
        let first = self.last.load(Ordering::Relaxed);
        let mut fault = Trouble::Unknown("no server can be written to");
        for step in 0..self.servers.len() {
            let at = (first + step) % self.servers.len().max(1);
            let Some(server) = self.servers.get(at) else { continue };
            let opened = tokio::time::timeout(self.deadline, self.open_on(server, durable, heard.clone())).await;
            match opened.unwrap_or(Err(Trouble::Unknown("no server answers"))) {
                Ok(session) => {
                    self.last.store(at, Ordering::Relaxed);
                    return Ok(session);
                }
                Err(trouble) => fault = trouble,
            }
        }
        Err(fault)
    }

    /// Another server is tried first from now on: this one took too long.
    pub(super) fn look_elsewhere(&self) {
        self.last.fetch_add(1, Ordering::Relaxed);
    }

    async fn open_on(
        &self,
        server: &Config,
        durable: bool,
        heard: Option<mpsc::UnboundedSender<()>>,
    ) -> Result<Session, Trouble> {
        let (client, mut connection) = server.connect(self.tls.clone()).await.map_err(|error| trouble(&error))?;
        let warned = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&warned);
        let driver = tokio::spawn(async move {
            // A notice is met here before the answer that follows it is passed on: who sees the answer sees the flag.
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                match message {
                    // The words are translated by the server; the severity is not. Nothing else here warns.
                    AsyncMessage::Notice(notice)
                        if !matches!(
                            notice.parsed_severity(),
                            Some(Severity::Notice | Severity::Info | Severity::Log | Severity::Debug)
                        ) =>
                    {
                        seen.store(true, Ordering::Release);
                        tracing::error!(routine = notice.routine(), "the database let a commit through with a warning");
                    }
                    AsyncMessage::Notification(_) => {
                        if let Some(heard) = &heard {
                            let _ = heard.send(());
                        }
                    }
                    _ => {}
                }
            }
        });
        let session = Session { client, warned, driver };
        // A durable commit is on the disk, and at the synchronous standby where there is one; a stronger setting stays.
        // What waits for a lock ends by itself when we have given up on it, and so does what we no longer listen to.
        let commits = if durable {
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')"
        } else {
            "SET synchronous_commit = off"
        };
        let rules = format!(
            "{commits}; SET lock_timeout = {}; SET client_connection_check_interval = 1000; SET standard_conforming_strings = on",
            self.lock_timeout_ms
        );
        session.client.batch_execute(&rules).await.map_err(|error| trouble(&error))?;
        Ok(session)
    }
}

/// One configuration a server, so that one that accepts and never answers does not stand in the way of the next.
fn each_server(whole: &Config, settings: &Settings) -> Vec<Config> {
    let ports = whole.get_ports();
    let of = |at: usize| {
        let mut one = Config::new();
        if let Some(user) = whole.get_user() {
            one.user(user);
        }
        if let Some(password) = whole.get_password() {
            one.password(password);
        }
        if let Some(name) = whole.get_dbname() {
            one.dbname(name);
        }
        if let Some(options) = whole.get_options() {
            one.options(options);
        }
        one.application_name(format!("fourth {}", settings.adapter))
            .ssl_mode(if settings.ca_file.is_some() { whole.get_ssl_mode() } else { SslMode::Disable })
            .ssl_negotiation(whole.get_ssl_negotiation())
            .channel_binding(whole.get_channel_binding())
            .connect_timeout(settings.connect_deadline())
            .tcp_user_timeout(settings.append_deadline())
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        if let Some(port) = ports.get(at).or(ports.first()) {
            one.port(*port);
        }
        if let Some(address) = whole.get_hostaddrs().get(at) {
            one.hostaddr(*address);
        }
        one
    };
    let hosts = whole.get_hosts();
    if hosts.is_empty() {
        return (0..whole.get_hostaddrs().len()).map(of).collect();
    }
    let with_host = |(at, host): (usize, &Host)| {
        let mut one = of(at);
        match host {
            Host::Tcp(name) => one.host(name),
            #[cfg(unix)]
            Host::Unix(path) => one.host_path(path),
        };
        one
    };
    hosts.iter().enumerate().map(with_host).collect()
}

/// A session: dropped, its connection is closed and whatever it waited for ends when the server notices.
pub(super) struct Session {
    client: Client,
    warned: Arc<AtomicBool>,
    driver: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Session {
    pub(super) async fn prepare(&self, sql: &str) -> Result<Statement, Trouble> {
        self.client.prepare(sql).await.map_err(|error| trouble(&error))
    }

    /// Runs a statement as a transaction of its own, and answers when its commit has been confirmed without a warning.
    pub(super) async fn commit(
        &self,
        statement: &Statement,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Trouble> {
        self.warned.store(false, Ordering::Release);
        let rows = self.client.query(statement, parameters).await.map_err(|error| trouble(&error))?;
        if self.warned.load(Ordering::Acquire) {
            return Err(Trouble::Unknown("committed here, and perhaps not at the standby"));
        }
        Ok(rows)
    }

    pub(super) async fn read(
        &self,
        statement: &Statement,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Trouble> {
        self.client.query(statement, parameters).await.map_err(|error| trouble(&error))
    }

    /// Runs a script without parameters.
    pub(super) async fn script(&self, sql: &str) -> Result<(), Trouble> {
        self.client.batch_execute(sql).await.map_err(|error| trouble(&error))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

/// What an error of the driver means. Its own words are not passed on: they may quote what was stored.
fn trouble(error: &tokio_postgres::Error) -> Trouble {
    let Some(told) = error.as_db_error() else { return Trouble::Unknown("the connection broke") };
    // An ERROR undoes its transaction; what is worse ends the session, and the commit may have been made.
    if !matches!(told.parsed_severity(), Some(Severity::Error)) {
        return Trouble::Unknown("the server ended the session");
    }
    match told.code().code() {
        FENCED => Trouble::Fenced,
        NAME_TAKEN => Trouble::NameTaken,
        OTHER_KEY => Trouble::OtherKey,
        MOVED_ON => Trouble::MovedOn,
        _ if *told.code() == SqlState::LOCK_NOT_AVAILABLE => {
            Trouble::Refused("another commit is still waiting".to_owned())
        }
        _ if [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME].contains(told.code()) => {
            Trouble::Refused("it has not the tables of this program, which an adapter makes at its start".to_owned())
        }
        _ if *told.code() == SqlState::DISK_FULL => Trouble::Refused("its disk is full".to_owned()),
        code => Trouble::Refused(format!("SQLSTATE {code}")),
    }
}
