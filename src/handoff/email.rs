//! E-mail by SMTP, for notices: TLS by the configured authorities, one connection a message.

use super::client::ClientFault;
use super::retry::Answer;
use super::settings::Secret;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// One command to the server takes at most this long; the outbox bounds the whole try.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// The mail server that takes notices.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailSettings {
    /// Its host.
    pub host: String,
    /// Its port: 587 for `start-tls`, 465 for `tls`.
    #[serde(default = "port")]
    pub port: u16,
    /// How the connection is protected.
    #[serde(default)]
    pub security: MailSecurity,
    /// Who the notices are from.
    pub from: MailAddress,
    /// The name to sign in with, with `password`.
    #[serde(default)]
    pub user: Option<String>,
    /// The password to sign in with.
    #[serde(default)]
    pub password: Option<Secret>,
}

fn port() -> u16 {
    587
}

/// How a connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailSecurity {
    /// STARTTLS, and nothing is sent without it.
    #[default]
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// None: only to a server on this machine.
    None,
}

/// A mail address. Prints as nothing: it may name a person.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct MailAddress(Mailbox);

impl TryFrom<String> for MailAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| "not a mail address".to_owned())
    }
}

impl fmt::Debug for MailAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MailAddress(…)")
    }
}

/// Sends notices to one mail server. Cheap to clone.
#[derive(Clone)]
pub(super) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mailer {
    /// # Errors
    /// Where the authorities cannot be read, a password stands without a user, or the server is far and unprotected.
    pub(super) fn new(settings: &MailSettings, ca_file: Option<&Path>) -> Result<Self, ClientFault> {
        let fault = |why: &str| ClientFault(format!("`mail`: {why}"));
        let parameters = || {
            let builder = TlsParameters::builder(settings.host.clone());
            let builder = match ca_file {
                None => builder.certificate_store(CertificateStore::WebpkiRoots),
                Some(path) => {
                    let pem = std::fs::read(path).map_err(|_| fault("`ca_file` cannot be read"))?;
                    let authorities =
                        Certificate::from_pem(&pem).map_err(|_| fault("`ca_file` holds no certificate"))?;
                    builder.certificate_store(CertificateStore::None).add_root_certificate(authorities)
                }
            };
            builder.build_rustls().map_err(|_| fault("TLS cannot be set up"))
        };
        let tls = match settings.security {
            MailSecurity::StartTls => Tls::Required(parameters()?),
            MailSecurity::Tls => Tls::Wrapper(parameters()?),
            MailSecurity::None if ["localhost", "127.0.0.1", "::1"].contains(&settings.host.as_str()) => Tls::None,
            MailSecurity::None => return Err(fault("`security = \"none\"` is for a server on this machine only")),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.as_str())
            .port(settings.port)
            .tls(tls)
            // This machine's own name is nobody's business.
            .hello_name(ClientId::Domain("fourth.invalid".to_owned()))
            .timeout(Some(COMMAND_TIMEOUT));
        match (&settings.user, &settings.password) {
            (Some(user), Some(password)) => {
                builder = builder.credentials(Credentials::new(user.clone(), password.text().to_owned()));
            }
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => return Err(fault("`user` and `password` stand together")),
        }
        Ok(Self { transport: builder.build(), from: settings.from.0.clone() })
    }

    /// Sends one notice once. A repeat has the same Message-ID, by which a mail system may know it.
    pub(super) async fn send(&self, key: &str, to: &[MailAddress], subject: &str, text: &[u8]) -> Answer {
        let name = hex::encode(Sha256::digest(key));
        let mut message = Message::builder()
            .from(self.from.clone())
            .message_id(Some(format!("<{name}@{}>", self.from.email.domain())))
            .subject(subject)
            .header(ContentType::TEXT_PLAIN);
        for mailbox in to {
            message = message.to(mailbox.0.clone());
        }
        let Ok(message) = message.body(String::from_utf8_lossy(text).into_owned()) else {
            return Answer::Refused("no-message".to_owned());
        };
        match self.transport.send(message).await {
            Ok(_) => Answer::Taken,
            Err(error) => answer_of(&error),
        }
    }
}

fn answer_of(error: &SmtpError) -> Answer {
    match error.status() {
        Some(code) if error.is_permanent() => Answer::Refused(format!("refused-{code}")),
        Some(_) => Answer::later("mail-deferred", true),
        None if error.is_tls() => Answer::later("no-tls", false),
        None => Answer::later("no-connection", false),
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Mailer")
    }
}
