//! Where messages go and how hard they are tried. Secrets never print.

use super::contacts::TestPeriod;
use super::email::{MailAddress, MailSettings};
use super::notice::{self, PhoneNumber};
use crate::record::ProgramId;
use hyper::Uri;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of the hand-off.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Channels by the name that a policy's legs use (`webhook`, `warm-transfer`).
    pub channel: BTreeMap<String, ChannelSettings>,
    /// The CAD's door for updates; without it every notice ends as `no-cad`.
    pub cad: Option<CadSettings>,
    /// The mail server for channels of kind `email`.
    pub mail: Option<MailSettings>,
    /// The gateway for channels of kind `sms`.
    pub sms: Option<SmsSettings>,
    /// What channels of kind `eido` need.
    pub conveyance: Option<ConveyanceSettings>,
    /// The team's page, which notices point to.
    pub team_page: Option<Address>,
    /// Address under which teams reach this adapter, put before the links in messages; links are paths without it.
    pub public_url: Option<Address>,
    /// PEM file of the only authorities that https destinations may be vouched for by; Mozilla's list without it.
    pub ca_file: Option<PathBuf>,
    /// Messages that may wait for one destination; above it a message ends as `queue-full`.
    pub queue_max: usize,
    /// Requests that run at once to one destination.
    pub concurrency_max: usize,
    /// One try takes at most this long, milliseconds; for an offer at most a quarter of its accept deadline.
    pub try_timeout_ms: u32,
    /// Tries of one offer at most, whatever the policy says.
    pub attempts_max: u32,
    /// First pause between tries at most, milliseconds; doubled for each later one, and a random part of it is taken.
    pub backoff_first_ms: u32,
    /// Longest pause between tries to a team, milliseconds.
    pub backoff_max_ms: u32,
    /// Longest pause between tries to the CAD, milliseconds.
    pub cad_backoff_max_ms: u32,
    /// Longest pause that a destination may ask for with `Retry-After`, seconds.
    pub retry_after_max_s: u32,
    /// How long a withdrawal or stand-back is tried, seconds.
    pub recall_retry_for_s: u32,
    /// How long a notice to the CAD is tried, seconds.
    pub cad_retry_for_s: u32,
    /// Failed tries in a row after which a destination is down: new offers to it end at once as `destination-down`.
    pub breaker_failures: u32,
    /// How long a destination that is down is left alone before one offer probes it, seconds.
    pub breaker_open_s: u32,
    /// How long messages go out at a measured pace after a destination came back, or after the start, seconds.
    pub recovery_s: u32,
    /// That pace: tries a second of each class of message. Recalls and back-up wait for no turn.
    pub recovery_rate_max_per_s: u32,
    /// Hours between two tests of every destination, so that a wrong address is known before a call needs it; 0 for none.
    pub contact_test_every_h: TestPeriod,
    /// Addresses for a host's name where no name server answers and none was ever learnt.
    pub fallback_addresses: BTreeMap<String, Vec<IpAddr>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            channel: BTreeMap::new(),
            cad: None,
            mail: None,
            sms: None,
            conveyance: None,
            team_page: None,
            public_url: None,
            ca_file: None,
            queue_max: 1_024,
            concurrency_max: 8,
            try_timeout_ms: 5_000,
            attempts_max: 10,
            backoff_first_ms: 500,
            backoff_max_ms: 10_000,
            cad_backoff_max_ms: 60_000,
            retry_after_max_s: 300,
            recall_retry_for_s: 3_600,
            cad_retry_for_s: 86_400,
            breaker_failures: 5,
            breaker_open_s: 30,
            recovery_s: 30,
            recovery_rate_max_per_s: 50,
            contact_test_every_h: TestPeriod::default(),
            fallback_addresses: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// Where the legs of a program on a channel go; `None` where nobody has said.
    #[must_use]
    pub(super) fn destination(&self, channel: &str, program: &ProgramId) -> Option<Destination<'_>> {
        let settings = self.channel.get(channel)?;
        let own = settings.program.get(program.as_str());
        let name = if own.is_some() { format!("{channel}/{program}") } else { channel.to_owned() };
        let to = match settings.kind {
            ChannelKind::Webhook | ChannelKind::WarmTransfer => {
                let (url, secret) = match own {
                    Some(own) => (own.url.as_ref(), own.secret.as_ref()),
                    None => (settings.url.as_ref(), settings.secret.as_ref()),
                };
                To::Webhook { url: url?, secret: secret? }
            }
            ChannelKind::Email => To::Mail(own.map(|own| own.to.as_slice()).filter(|to| !to.is_empty())?),
            ChannelKind::Sms => To::Sms(own?.to_number.as_ref()?),
            ChannelKind::Eido => {
                own.map_or(settings.url.as_ref(), |own| own.url.as_ref())?;
                To::Eido(self.conveyance.as_ref()?)
            }
        };
        Some(Destination { name, to })
    }

    /// Every destination of EIDO conveyance, by name.
    pub(super) fn peers(&self) -> Vec<(String, &Address)> {
        let mut peers = Vec::new();
        for (channel, settings) in self.channel.iter().filter(|(_, settings)| settings.kind == ChannelKind::Eido) {
            peers.extend(settings.url.as_ref().map(|url| (channel.clone(), url)));
            let own = settings.program.iter().filter_map(|(program, own)| Some((program, own.url.as_ref()?)));
            peers.extend(own.map(|(program, url)| (format!("{channel}/{program}"), url)));
        }
        peers
    }

    /// True where legs of this program on this channel go to this destination.
    #[must_use]
    pub fn goes_to(&self, channel: &str, program: &ProgramId, destination: &str) -> bool {
        self.destination(channel, program).is_some_and(|found| found.name == destination)
    }

    /// What the parts must be to each other.
    ///
    /// # Errors
    /// What is missing or contradicts, in one sentence that names it.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(sms) = &self.sms {
            notice::check_template(sms)?;
        }
        if self.channel.contains_key(super::messages::CAD) {
            return Err("`channel.cad`: `cad` is the name of the CAD itself; call the channel otherwise".to_owned());
        }
        for (name, channel) in &self.channel {
            let fault = |why: &str| Err(format!("`channel.{name}` {why}"));
            let is_notice = channel.kind.is_notice();
            if is_notice && self.team_page.is_none() {
                return fault("tells teams to open their page: `team_page` is needed");
            }
            match channel.kind {
                ChannelKind::Webhook | ChannelKind::WarmTransfer => {}
                ChannelKind::Email if self.mail.is_none() => return fault("sends e-mail: `[handoff.mail]` is needed"),
                ChannelKind::Sms if self.sms.is_none() => return fault("sends SMS: `[handoff.sms]` is needed"),
                ChannelKind::Eido if self.conveyance.is_none() => {
                    return fault("speaks EIDO conveyance: `[handoff.conveyance]` is needed");
                }
                ChannelKind::Email | ChannelKind::Sms | ChannelKind::Eido => {}
            }
            let addresses = channel.url.iter().chain(channel.program.values().filter_map(|own| own.url.as_ref()));
            for address in addresses {
                let wanted = channel.kind == ChannelKind::Eido;
                if address.is_websocket() != wanted {
                    let begins = if wanted { "`wss://`" } else { "`http://` or `https://`" };
                    return fault(&format!("has an address of another kind: its own begins with {begins}"));
                }
            }
            for (program, own) in &channel.program {
                let whole = match channel.kind {
                    ChannelKind::Webhook | ChannelKind::WarmTransfer => own.url.is_some() && own.secret.is_some(),
                    ChannelKind::Email => !own.to.is_empty(),
                    ChannelKind::Sms => own.to_number.is_some(),
                    ChannelKind::Eido => own.url.is_some(),
                };
                if !whole {
                    let needed = channel.kind.needs();
                    return Err(format!("`channel.{name}.program.{program}` has no {needed}"));
                }
            }
            for other in &channel.notices {
                if is_notice || !self.channel.get(other).is_some_and(|other| other.kind.is_notice()) {
                    return fault(&format!("cannot have notices by `{other}`: name channels of kind `email` or `sms`"));
                }
            }
        }
        Ok(())
    }

    /// The longest that one try takes.
    #[must_use]
    pub(super) fn try_timeout(&self) -> Duration {
        Duration::from_millis(u64::from(self.try_timeout_ms.max(1)))
    }
}

/// One way of reaching programs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelSettings {
    /// What kind of channel.
    pub kind: ChannelKind,
    /// Where messages of every program go that is not listed under `program`.
    #[serde(default)]
    pub url: Option<Address>,
    /// What they are signed with.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// Notice channels by which its programs are told besides, of every message; what becomes of a notice is nobody's answer.
    #[serde(default)]
    pub notices: Vec<String>,
    /// Programs with an address and secret of their own, so that one team can neither read nor forge another's.
    #[serde(default)]
    pub program: BTreeMap<String, DestinationSettings>,
}

/// Address and secret of one program on a channel, or whom to tell on a notice channel.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DestinationSettings {
    /// Where its messages go.
    pub url: Option<Address>,
    /// What they are signed with.
    pub secret: Option<Secret>,
    /// Who gets its mails.
    pub to: Vec<MailAddress>,
    /// The telephone that gets its SMS.
    pub to_number: Option<PhoneNumber>,
}

/// Kinds of channel. Webhooks and warm transfers are signed requests of one shape, and the kind tells the receiver what to
/// do with the call; notice channels carry a link to the team's page and nothing about the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelKind {
    /// A team's own system.
    Webhook,
    /// A telephony or 211 desk, which bridges the caller.
    WarmTransfer,
    /// A notice by e-mail.
    Email,
    /// A notice by SMS.
    Sms,
    /// Another agency's desk, by EIDO conveyance (NENA-STA-024 1.1): it answers offers itself.
    Eido,
}

impl ChannelKind {
    /// True where only a link may go out.
    #[must_use]
    pub fn is_notice(self) -> bool {
        match self {
            Self::Webhook | Self::WarmTransfer | Self::Eido => false,
            Self::Email | Self::Sms => true,
        }
    }

    /// The name in the configuration.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::WarmTransfer => "warm-transfer",
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Eido => "eido",
        }
    }

    fn needs(self) -> &'static str {
        match self {
            Self::Webhook | Self::WarmTransfer => "`url` and `secret`",
            Self::Email => "`to`",
            Self::Sms => "`to_number`",
            Self::Eido => "`url`",
        }
    }
}

/// Who we are to the peers of EIDO conveyance.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConveyanceSettings {
    /// PEM file of our certificate and those above it.
    pub certificate_file: PathBuf,
    /// PEM file of its key.
    pub key_file: PathBuf,
    /// Our agency in EIDOs.
    pub agency: String,
    /// This adapter's element in EIDOs.
    pub element: String,
    /// EIDO agency type: from the registry, or a local extension.
    #[serde(default = "default_agency_type")]
    pub agency_type: String,
}

/// The HTTP gateway that takes SMS.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmsSettings {
    /// Where the request goes.
    pub url: Address,
    /// How its body is written.
    #[serde(default)]
    pub form: GatewayBody,
    /// The body, with `{to}` for the number and `{text}` for the text.
    pub body: String,
    /// Headers, such as the gateway's token.
    #[serde(default)]
    pub header: BTreeMap<String, Secret>,
}

/// How the body for an SMS gateway is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GatewayBody {
    /// JSON.
    #[default]
    Json,
    /// A form, percent-encoded.
    Form,
}

/// Where the CAD takes updates.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CadSettings {
    /// Where updates are posted.
    pub url: Address,
    /// Asked too within two seconds where the first address fails or is slow; the same CAD, or the PSAP that stands in.
    #[serde(default)]
    pub second_url: Option<Address>,
    /// Sent as `Authorization: Bearer`, where the CAD asks for it.
    #[serde(default)]
    pub bearer: Option<Secret>,
    /// Signed with this as webhooks are, where given.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// This adapter's agency in updates (EIDO agency id, `fourth.example.gov`).
    #[serde(default = "default_agency")]
    pub agency: String,
    /// This adapter's element in updates (EIDO `issuingElementIdentification`).
    #[serde(default = "default_element")]
    pub element: String,
    /// EIDO agency type: from the registry, or a local extension.
    #[serde(default = "default_agency_type")]
    pub agency_type: String,
}

fn default_agency() -> String {
    "fourth.invalid".to_owned()
}

fn default_element() -> String {
    "fourth".to_owned()
}

fn default_agency_type() -> String {
    "x_community_crisis".to_owned()
}

/// A resolved destination.
#[derive(Debug, Clone)]
pub(super) struct Destination<'a> {
    /// Name in logs and of its queue; never an address.
    pub(super) name: String,
    pub(super) to: To<'a>,
}

/// Where it is.
#[derive(Debug, Clone)]
pub(super) enum To<'a> {
    Webhook {
        url: &'a Address,
        secret: &'a Secret,
    },
    Mail(&'a [MailAddress]),
    Sms(&'a PhoneNumber),
    /// The destination's own connection.
    Eido(&'a ConveyanceSettings),
}

/// An absolute http, https or wss address. Prints without path and query, which may carry a token.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address(Uri);

impl Address {
    pub(super) fn uri(&self) -> &Uri {
        &self.0
    }

    fn is_websocket(&self) -> bool {
        self.0.scheme_str() == Some("wss")
    }

    /// The address without a slash at its end, to put a path behind.
    pub(super) fn as_prefix(&self) -> String {
        self.0.to_string().trim_end_matches('/').to_owned()
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|_| "not an address".to_owned())?;
        let known = matches!(uri.scheme_str(), Some("http" | "https" | "wss"));
        if !known || uri.host().is_none_or(str::is_empty) {
            return Err("an address begins with `http://`, `https://` or `wss://` and names a host".to_owned());
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("an address carries no user and password; use `secret` or `bearer`".to_owned());
        }
        Ok(Self(uri))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or_default();
        write!(formatter, "{scheme}://{}/…", self.0.authority().map_or("", |authority| authority.as_str()))
    }
}

/// A secret. Never prints, never serialises.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Secret(String);

/// Bytes of a secret, at least: 128 bits.
const SECRET_BYTES_MIN: usize = 16;

impl Secret {
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The secret itself, for whoever hashes or signs under it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Secret {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.len() < SECRET_BYTES_MIN {
            return Err(format!("a secret has {SECRET_BYTES_MIN} bytes or more"));
        }
        Ok(Self(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a-secret-of-this-team";

    #[test]
    fn settings_print_no_secret_and_refuse_what_they_do_not_know() {
        let cad =
            "[cad]\nurl = \"https://cad.example.gov/eido?token=in-the-query\"\nbearer = \"a-token-for-the-cad\"\n";
        let team = format!(
            "[channel.webhook]\nkind = \"webhook\"\nurl = \"https://team.example.org/path-token\"\nsecret = \"{SECRET}\"\n"
        );
        let settings: Settings = toml::from_str(&(team + cad)).unwrap();
        let printed = format!("{settings:?}");
        for secret in [SECRET, "in-the-query", "a-token-for-the-cad", "path-token"] {
            assert!(!printed.contains(secret), "{printed}");
        }
        assert!(printed.contains("https://team.example.org/…"));
        for wrong in [
            "retries = 1",
            "[channel.a]\nkind = \"pigeon\"",
            "contact_test_every_h = 169",
            "contact_test_every_h = -1",
            "[channel.a]\nkind = \"webhook\"\nurl = \"ftp://a/\"",
            "[channel.a]\nkind = \"webhook\"\nurl = \"/relative\"",
            "[channel.a]\nkind = \"webhook\"\nurl = \"https://user:password-in-url@a/\"",
            "[channel.a]\nkind = \"webhook\"\nsecret = \"short\"",
        ] {
            let error = toml::from_str::<Settings>(wrong).unwrap_err().message().to_owned();
            assert!(!error.contains("password-in-url") && !error.contains("short\""), "{error}");
        }
        let warm =
            "[channel.line]\nkind = \"warm-transfer\"\nurl = \"http://127.0.0.1/\"\nsecret = \"a-secret-of-the-line\"";
        toml::from_str::<Settings>(warm).unwrap();
    }
}
