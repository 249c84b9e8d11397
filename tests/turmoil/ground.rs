//! What every world stands on and none changes: certificates, the policy, the adapter's configuration, the log.

use crate::oracle::{EN_ROUTE_WITHIN_S, RECALL_WITHIN_S, RETURN_WITHIN_S};
use crate::plan::TEAMS;
use crate::records::LAYOUT;
use fourth_option::access::hash_token;
use fourth_option::app::Reading;
use fourth_option::configuration::{Configuration, read_policy_folder};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Ports of the adapter's doors, and of everybody else's.
pub const INTAKE: u16 = 8_411;
pub const TEAMS_DOOR: u16 = 8_412;
pub const PAGES: u16 = 8_413;
pub const OPERATIONS: u16 = 8_414;
pub const PEER: u16 = 9_000;

/// What messages to teams are signed with.
pub fn secret_of(team: &str) -> String {
    format!("the shared secret of {team}")
}

/// Who somebody is to the adapter.
pub fn token_of(who: &str) -> String {
    format!("the token of {who}")
}

/// The token by which the adapter is known to the CAD.
pub const CAD_BEARER: &str = "what-the-adapter-shows-to-the-cad";

pub struct Ground {
    pub reading: Reading,
    pub plain: Configuration,
    pub secured: Configuration,
    pub acceptor: TlsAcceptor,
    pub connector: TlsConnector,
    // Holds the files that the configurations name.
    _folder: tempfile::TempDir,
}

impl Ground {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        std::fs::write(place.join("layout.toml"), LAYOUT).unwrap();
        // Ed25519: its signatures have one length, so that a handshake of one world has the same lengths each time.
        let names: Vec<String> =
            ["adapter", "cad", "desk"].iter().chain(&TEAMS).map(|name| (*name).to_owned()).collect();
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        std::fs::write(place.join("certificate.pem"), certificate.pem()).unwrap();
        std::fs::write(place.join("key.pem"), key.serialize_pem()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/turmoil/policy");
        let reading = Reading::of(read_policy_folder(&policy));
        assert!(matches!(reading, Reading::Loadable(_)), "{reading:?}");
        let configuration = |tls: bool| Configuration::parse(&text(tls), &place.join("fourth.toml")).unwrap();
        Self {
            reading,
            plain: configuration(false),
            secured: configuration(true),
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
            _folder: folder,
        }
    }
}

/// The configuration: the product's, with times of seconds in place of minutes so that a world of a minute sees them pass.
fn text(tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let mut text = format!(
        r#"
[policy]
folder = "policy"

[journal]
path = "unused.db"

[listen]
intake = "0.0.0.0:{INTAKE}"
teams = "0.0.0.0:{TEAMS_DOOR}"
pages = "0.0.0.0:{PAGES}"
operations = "0.0.0.0:{OPERATIONS}"

[[sender]]
name = "default"
agency = "turmoil.example"
element = "cad.turmoil.example"
time_zone = "UTC"

[[sender]]
name = "delimited"
agency = "turmoil.example"
element = "other.turmoil.example"
time_zone = "UTC"
layout = "layout.toml"

[answers]
en_route_within_s = {EN_ROUTE_WITHIN_S}
recall_acknowledged_within_s = {RECALL_WITHIN_S}
return_acknowledged_within_s = {RETURN_WITHIN_S}

[http.pass_through]
cad_base_url = "{scheme}://cad:{PEER}"
connect_ms = 1500
answer_ms = 4000
stall_ms = 4000

[http.limits.intake]
request_ms = 6000
first_byte_ms = 3000
header_read_ms = 3000
body_total_ms = 8000

[http.limits.teams]
request_ms = 6000
first_byte_ms = 3000
header_read_ms = 3000

[handoff]
try_timeout_ms = 2000
attempts_max = 4
backoff_first_ms = 300
backoff_max_ms = 1500
cad_backoff_max_ms = 2000
retry_after_max_s = 2
recall_retry_for_s = 15
cad_retry_for_s = 18
breaker_failures = 4
breaker_open_s = 4
recovery_s = 4
public_url = "{scheme}://adapter:{TEAMS_DOOR}"

[handoff.cad]
url = "{scheme}://cad:{PEER}/updates"
agency = "fourth.turmoil.example"
element = "adapter.turmoil.example"
bearer = "{CAD_BEARER}"
"#
    );
    if tls {
        let doors = ["intake", "teams", "pages", "operations"];
        text = text.replace("[handoff]\n", "[handoff]\nca_file = \"certificate.pem\"\n");
        text = text.replace("[http.pass_through]\n", "[http.pass_through]\ncad_authority = \"certificate.pem\"\n");
        for door in doors {
            let _ = writeln!(text, "[http.tls.{door}]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n");
        }
    }
    for (channel, kind, teams) in
        [("webhook", "webhook", &["team", "east", "officer"][..]), ("warm-transfer", "warm-transfer", &["line"])]
    {
        let _ = writeln!(text, "[handoff.channel.{channel}]\nkind = \"{kind}\"\n");
        for team in teams {
            let url = format!("{scheme}://{team}:{PEER}/fourth");
            let secret = secret_of(team);
            let _ =
                writeln!(text, "[handoff.channel.{channel}.program.{team}]\nurl = \"{url}\"\nsecret = \"{secret}\"\n");
        }
    }
    for (name, roles, program) in [
        ("cad", r#"["cad"]"#, None),
        ("position", r#"["call-taker", "operator"]"#, None),
        ("team", r#""team""#, Some("team")),
        ("east", r#""team""#, Some("east")),
        ("line", r#""team""#, Some("line")),
        ("officer", r#""team""#, Some("officer")),
    ] {
        let token = hash_token(&token_of(name));
        let _ = writeln!(text, "[[access.identity]]\nname = \"{name}\"\nrole = {roles}\ntoken_sha256 = \"{token}\"");
        if let Some(program) = program {
            let _ = writeln!(text, "program = \"{program}\"");
        }
    }
    text
}

thread_local! {
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What was logged on this thread since the last time.
pub fn logged() -> String {
    String::from_utf8_lossy(&LOG.take()).into_owned()
}

/// Keeps the lines of each thread apart: a thread runs one world at a time.
struct Lines;

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

/// Everything that the adapter logs at any level, and what others log from `info` up.
pub fn set_up_logs() {
    let filter = EnvFilter::new("info,fourth_option=trace,turmoil=off");
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).without_time().with_writer(|| Lines).init();
}
