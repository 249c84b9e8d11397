//! Notices by e-mail, through a real mail server (Debian's aiosmtpd), and by SMS through a gateway: a link and nothing else.

use super::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

const PAGE: &str = "https://fourth.example.gov/team";

/// What the mail server runs: it keeps mails, and knows no mailbox whose name begins with `nobody`.
const KNOWN_ONLY: &str = "
import aiosmtpd.handlers
class Mailbox(aiosmtpd.handlers.Mailbox):
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith('nobody'):
            return '550 5.1.1 no such mailbox'
        envelope.rcpt_tos.append(address)
        return '250 OK'
";

/// A mail server of its own, that keeps what it takes in a Maildir.
pub(super) struct MailServer {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl MailServer {
    pub(super) async fn start(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("known.py"), KNOWN_ONLY).unwrap();
        let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(folder.path().join("ca.pem"), signed.cert.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), signed.signing_key.serialize_pem()).unwrap();
        let port = crate::journal::server::port::free_port();
        let (cert, key) = (folder.path().join("ca.pem"), folder.path().join("key.pem"));
        // Debian's interpreter: another one in the path knows nothing of Debian's packages.
        let child = Command::new("/usr/bin/python3")
            .args(["-m", "aiosmtpd", "-n", "-l", &format!("127.0.0.1:{port}")])
            .args(["--tlscert", cert.to_str().unwrap(), "--tlskey", key.to_str().unwrap()])
            .args(more)
            .args(["-c", "known.Mailbox"])
            .current_dir(&folder)
            .arg(folder.path().join("mail"))
            .spawn()
            .expect("`make install` installs python3-aiosmtpd");
        // Ended by its drop whatever comes.
        let server = Self { child, port, folder };
        let greeted = || {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
            stream.read_exact(&mut [0; 3]).ok()?;
            stream.write_all(b"QUIT\r\n").ok()
        };
        for _ in 0..600 {
            if greeted().is_some() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the mail server does not answer: is Debian's python3-aiosmtpd installed? (`make install`)");
    }

    pub(super) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(super) fn mails(&self) -> Vec<String> {
        let Ok(files) = std::fs::read_dir(self.folder.path().join("mail/new")) else { return Vec::new() };
        files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
    }

    /// Settings whose channel `mail` goes to this server under the authority of this file.
    pub(super) fn settings(&self, ca_file: &Path, security: &str, more: &str) -> Settings {
        let port = self.port;
        let text = format!(
            "team_page = \"{PAGE}\"\nca_file = \"{}\"\n[mail]\nhost = \"127.0.0.1\"\nport = {port}\n\
             security = \"{security}\"\nfrom = \"fourth@psap.example\"\n[channel.mail]\nkind = \"email\"\n\
             program.psr.to = [\"duty@team.example\", \"Lead <lead@team.example>\"]\n{more}",
            ca_file.display()
        );
        Settings { try_timeout_ms: 10_000, ..settings(&text) }
    }
}

fn clean(text: &str) {
    for canary in ["canary", "555", "cad-number", "welfare", "weapon", "Street response", "i1"] {
        assert!(!text.contains(canary), "`{canary}` is in: {text}");
    }
}

/// The body of a mail, its lines as they were written.
fn body(mail: &str) -> String {
    mail.replace("\r\n", "\n").split_once("\n\n").unwrap().1.trim_end().to_owned()
}

#[tokio::test]
async fn a_mail_holds_a_sentence_and_the_link_and_nothing_about_the_call() {
    let server = MailServer::start(&[]).await;
    let (outbox, mut ends) = outbox(server.settings(&server.ca_file(), "start-tls", ""));
    outbox.submit(offer("i1", "mail", 3));
    assert_eq!(next(&mut ends).await, delivered("i1.3.offer"));
    outbox.submit(withdraw("i1", "mail"));
    assert_eq!(next(&mut ends).await, delivered("i1.5.withdraw"));
    let mut mails = server.mails();
    mails.sort_by_key(|mail| !mail.contains("offered"));
    assert_eq!(mails.len(), 2);
    assert_eq!(body(&mails[0]), format!("A call is offered to your team.\n{PAGE}"));
    assert_eq!(body(&mails[1]), format!("An offer has been taken back.\n{PAGE}"));
    let mut ids = std::collections::BTreeSet::new();
    for mail in &mails {
        clean(mail);
        assert!(mail.contains("Subject: Fourth: open the team page"), "{mail}");
        assert!(mail.contains("duty@team.example") && mail.contains("lead@team.example"), "{mail}");
        ids.insert(mail.lines().find(|line| line.starts_with("Message-ID: <")).unwrap().to_owned());
    }
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn a_mail_goes_to_no_server_that_the_authority_does_not_vouch_for() {
    let (server, other) = (MailServer::start(&[]).await, MailServer::start(&[]).await);
    let (outbox, mut ends) = outbox(server.settings(&other.ca_file(), "start-tls", ""));
    outbox.submit(offer("i1", "mail", 2));
    assert_eq!(next(&mut ends).await, given_up("i1.3.offer", "attempts-exhausted"));
    assert_eq!(server.mails().len() + other.mails().len(), 0);
}

#[tokio::test]
async fn what_the_mail_server_refuses_for_good_is_not_tried_again() {
    let server = MailServer::start(&["-s", "20", "--no-requiretls"]).await;
    let (outbox, mut ends) = outbox(server.settings(&server.ca_file(), "none", ""));
    outbox.submit(offer("i1", "mail", 9));
    assert_eq!(next(&mut ends).await, given_up("i1.3.offer", "refused-552"));
    assert_eq!(server.mails().len(), 0);
}

fn beside(team: &str, gateway: &str) -> String {
    format!(
        "[channel.text]\nkind = \"sms\"\nprogram.psr.to_number = \"+12505550199\"\n\
         [sms]\nurl = \"{gateway}\"\nbody = '{{\"number\": \"{{to}}\", \"message\": \"{{text}}\"}}'\n\
         header.authorization = \"Bearer of-the-gateway\"\n\
         [channel.webhook]\nkind = \"webhook\"\nurl = \"{team}\"\nsecret = \"{SECRET}\"\nnotices = [\"mail\", \"text\"]\n"
    )
}

/// The team's system is asked; mail and SMS say that it was. What becomes of them is nobody's answer.
#[tokio::test]
async fn notices_go_beside_the_message_and_only_the_message_counts() {
    let server = MailServer::start(&[]).await;
    let team = Peer::start(|_| (200, None, AT_ONCE)).await;
    let gateway = Peer::start(|_| (200, None, AT_ONCE)).await;
    let told = server.settings(&server.ca_file(), "start-tls", &beside(&team.url, &gateway.url));
    let (outbox, mut ends) = outbox(told);
    outbox.submit(offer("i1", "webhook", 3));
    assert_eq!(next(&mut ends).await, delivered("i1.3.offer"));
    for _ in 0..200 {
        if outbox.waiting().values().sum::<usize>() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(ends.try_recv().is_err(), "a notice was reported as if it were the offer");
    assert!(team.received()[0].json().to_string().contains("555"), "the team's system has what its list releases");
    assert_eq!(server.mails().len(), 1);
    clean(&server.mails()[0]);
    let sms = gateway.received();
    assert_eq!(sms.len(), 1);
    assert_eq!(sms[0].header("authorization"), "Bearer of-the-gateway");
    let expected = json!({ "number": "+12505550199", "message": format!("A call is offered to your team.\n{PAGE}\n") });
    assert_eq!(sms[0].json(), expected);
    assert_eq!(sms[0].headers.get("fourth-signature"), None);
    assert_eq!(sms[0].header("idempotency-key"), "i1.3.offer.text");
}

#[tokio::test]
async fn a_dead_mail_server_and_a_dead_gateway_keep_no_offer_back() {
    let server = MailServer::start(&[]).await;
    let team = Peer::start(|_| (200, None, AT_ONCE)).await;
    let settings = server.settings(&server.ca_file(), "start-tls", &beside(&team.url, "http://127.0.0.1:1/"));
    let (outbox, mut ends) = outbox(settings);
    drop(server);
    outbox.submit(offer("i1", "webhook", 2));
    assert_eq!(next(&mut ends).await, delivered("i1.3.offer"));
    outbox.submit(withdraw("i1", "webhook"));
    assert_eq!(next(&mut ends).await, delivered("i1.5.withdraw"));
    assert!(ends.try_recv().is_err());
}

#[test]
fn settings_that_contradict_are_refused_before_the_first_call() {
    let mail = "[mail]\nhost = \"mail.example\"\nfrom = \"fourth@psap.example\"\n";
    let page = format!("team_page = \"{PAGE}\"\n");
    let channel = "[channel.mail]\nkind = \"email\"\nprogram.psr.to = [\"duty@team.example\"]\n";
    let webhook = "[channel.webhook]\nkind = \"webhook\"\nnotices = [\"webhook\"]\n";
    let nobody = channel.replace("to = [\"duty@team.example\"]", "secret = \"0123456789abcdef\"");
    let far = mail.replace("[mail]", "[mail]\nsecurity = \"none\"");
    let half = format!("{mail}user = \"fourth\"\n");
    for (settings, why) in [
        (format!("{mail}{channel}"), "`team_page` is needed"),
        (format!("{page}{channel}"), "`[handoff.mail]` is needed"),
        (format!("{page}{mail}{nobody}"), "`channel.mail.program.psr` has no `to`"),
        (webhook.to_owned(), "cannot have notices by `webhook`"),
        (format!("{page}{far}{channel}"), "on this machine only"),
        (format!("{page}{half}{channel}"), "`user` and `password` stand together"),
    ] {
        let settings: Settings = toml::from_str(&settings).unwrap();
        let fault = Carriers::new(&settings, None).unwrap_err().to_string();
        assert!(fault.contains(why), "{fault}");
        assert!(!format!("{settings:?}").contains("team.example"), "{settings:?}");
    }
}
