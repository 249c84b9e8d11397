//! Contacts over real sockets: what a test of each kind is, what proves it, what is an alarm, and what ends one (fault 31).

use super::conveyance::{Authority, Desk, NextDesk, PROTOCOL};
use super::notices::MailServer;
use super::*;
use crate::handoff::ContactState;
use std::collections::BTreeSet;

/// An outbox that proves its contacts, by a clock of this speed.
fn proving(settings: Settings, speed: f64) -> (OutboxHandle, mpsc::UnboundedReceiver<End>) {
    let (told, ends) = mpsc::unbounded_channel();
    let carriers = Carriers::new(&settings, None).unwrap();
    let clock = Clock::starting_at(Clock::system().now(), speed);
    let outbox = Outbox::start(settings, clock, carriers, Arc::new(Told(told)));
    tokio::spawn(outbox.clone().prove_contacts());
    (outbox, ends)
}

fn unhurried(toml: &str) -> Settings {
    // At the clock's speed a try has a quarter of a second of the machine's time; a busy machine may need more.
    Settings { try_timeout_ms: 3_000_000, ..settings(toml) }
}

fn contact(outbox: &OutboxHandle, name: &str) -> ContactState {
    outbox.contacts().unwrap().into_iter().find(|contact| contact.name == name).expect(name)
}

/// Waits until a contact is as asked.
async fn until(outbox: &OutboxHandle, name: &str, wanted: impl Fn(&ContactState) -> bool) -> ContactState {
    for _ in 0..2_400 {
        let now = contact(outbox, name);
        if wanted(&now) {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{:?}", contact(outbox, name));
}

async fn proved(outbox: &OutboxHandle, name: &str) -> ContactState {
    until(outbox, name, |contact| contact.proved_at.is_some() && contact.unproved.is_none()).await
}

async fn unproved(outbox: &OutboxHandle, name: &str, why: &str) -> ContactState {
    until(outbox, name, |contact| contact.unproved.as_deref() == Some(why)).await
}

#[tokio::test]
async fn a_test_of_a_team_is_signed_names_no_call_and_only_a_2xx_proves_it() {
    let peer = Peer::start(|number| ([404, 204][number], None, AT_ONCE)).await;
    let own = format!("[channel.webhook.program.psr]\nurl = \"{}\"\nsecret = \"{SECRET}\"\n", peer.url);
    let (outbox, mut ends) = proving(unhurried(&format!("[channel.webhook]\nkind = \"webhook\"\n{own}")), 1.0);
    assert_eq!(contact(&outbox, "webhook/psr").unproved, None, "new, and not yet an alarm");
    assert!(outbox.test_contacts(Some("webhook/psr")) && !outbox.test_contacts(Some("webhook/nobody")));
    assert_eq!(unproved(&outbox, "webhook/psr", "refused-404").await.proved_at, None);
    assert!(outbox.test_contacts(Some("webhook/psr")));
    proved(&outbox, "webhook/psr").await;
    let tests = peer.received();
    assert_eq!(tests.len(), 2);
    let mut keys = BTreeSet::new();
    for test in &tests {
        let secret = Secret::try_from(SECRET.to_owned()).unwrap();
        let (stamp, signature) = (test.header("fourth-timestamp"), test.header("fourth-signature"));
        let at = Timestamp::from_second(stamp.parse().unwrap()).unwrap();
        verify(&secret, stamp, &test.body, signature, at, Duration::from_secs(1)).unwrap();
        assert!(keys.insert(test.header("idempotency-key").to_owned()), "each test is one of its own");
        let mut message = test.json();
        let message = message.as_object_mut().unwrap();
        assert!(message.remove("sent_at").unwrap().as_str().unwrap().parse::<Timestamp>().is_ok());
        let expected = json!({ "kind": "contact-test", "channel": "webhook", "program": "psr" });
        assert_eq!(&Value::Object(message.clone()), &expected);
    }
    assert!(ends.try_recv().is_err(), "a test is nobody's message");
    assert_eq!(outbox.destinations(), [], "and moves no breaker");
}

/// Telstra's list: a number that nobody ever tried. Here it is an alarm before a call needs it, and ends when it is mended.
#[tokio::test]
async fn a_wrong_contact_is_an_alarm_before_a_call_needs_it_and_a_mended_one_is_proved() {
    let port = crate::journal::server::port::free_port();
    let wrong = format!("http://127.0.0.1:{port}/hook");
    // Nobody presses anything: the first test comes within an hour of the start, which is 0.6 s here.
    let (outbox, _ends) = proving(unhurried(&channel("webhook", &wrong)), 6_000.0);
    unproved(&outbox, "webhook", "no-connection").await;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service_fn(|_: Request<Incoming>| async {
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async move { drop(connection.await) });
        }
    });
    proved(&outbox, "webhook").await;
}

/// A CAD with two addresses.
fn cad_at(first: &Peer, second: &Peer) -> Settings {
    unhurried(&format!(
        "[cad]\nurl = \"{}\"\nsecond_url = \"{}\"\nbearer = \"a-token-for-the-cad\"\nsecret = \"{SECRET}\"\n",
        first.url, second.url
    ))
}

#[tokio::test]
async fn nothing_reaches_the_cad_by_a_test_and_each_of_its_addresses_is_proved_by_itself() {
    // One knows nobody of this path; the other takes POST alone, and says so.
    let first = Peer::start(|_| (404, None, AT_ONCE)).await;
    let second = Peer::start(|_| (405, None, AT_ONCE)).await;
    let (outbox, mut ends) = proving(cad_at(&first, &second), 1.0);
    assert!(outbox.test_contacts(None));
    unproved(&outbox, "cad", "refused-404").await;
    proved(&outbox, "cad/second").await;
    for test in [first.received(), second.received()].concat() {
        assert_eq!((test.method.as_str(), test.body.len()), ("OPTIONS", 0));
        assert_eq!(test.header("authorization"), "Bearer a-token-for-the-cad");
        assert!(test.headers.contains_key("fourth-signature") && !test.headers.contains_key("fourth-notice"));
    }
    assert!(ends.try_recv().is_err());
}

#[tokio::test]
async fn where_the_first_address_of_the_cad_failed_its_test_the_second_is_asked_with_it() {
    // It refuses the test and swallows what comes after: without the test the second would be asked 1.5 s later.
    let script: Script = |number| if number == 0 { (404, None, AT_ONCE) } else { (200, None, Duration::from_secs(60)) };
    let (swallows, takes) = (Peer::start(script).await, Peer::start(|_| (200, None, AT_ONCE)).await);
    // The 1.5 s are 15 s by this clock.
    let (outbox, mut ends) = proving(cad_at(&swallows, &takes), 0.1);
    assert!(outbox.test_contacts(Some("cad")));
    unproved(&outbox, "cad", "refused-404").await;
    let started = crate::clock::monotonic_now();
    outbox.submit(notice("i1", 1));
    assert_eq!(next(&mut ends).await, delivered("i1.1.tell-cad"));
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert_eq!((swallows.received().len(), takes.received().len()), (2, 1), "both are asked");
    assert!(contact(&outbox, "cad/second").proved_at.is_some(), "by the notice that it took");
    assert!(contact(&outbox, "cad").unproved.is_some(), "and the first is an alarm still");
}

#[tokio::test]
async fn a_desk_is_proved_by_a_sign_of_life_on_its_connection_and_is_told_nothing() {
    let authority = Authority::new();
    let desk: Desk = |_, _| panic!("a test is no message");
    let next_desk = NextDesk::start(&authority, PROTOCOL, desk).await;
    let (outbox, _ends) = proving(authority.settings(next_desk.port, ""), 1.0);
    assert!(outbox.test_contacts(None));
    proved(&outbox, "eido").await;
    assert!(next_desk.heard().is_empty());
    let other = NextDesk::start(&authority, "another-protocol", desk).await;
    let (outbox, _ends) = proving(authority.settings(other.port, ""), 1.0);
    assert!(outbox.test_contacts(None));
    unproved(&outbox, "eido", "no-websocket").await;
    let nobody = crate::journal::server::port::free_port();
    let (outbox, _ends) = proving(authority.settings(nobody, ""), 1.0);
    assert!(outbox.test_contacts(None));
    unproved(&outbox, "eido", "no-connection").await;
}

#[tokio::test]
async fn a_mistyped_mail_address_is_found_beside_a_good_one_and_the_mail_says_that_it_is_a_test() {
    let server = MailServer::start(&[]).await;
    let good = server.settings(
        &server.ca_file(),
        "start-tls",
        "program.cso.to = [\"nobody@team.example\", \"crew@team.example\"]\n",
    );
    let (outbox, mut ends) = proving(good, 1.0);
    assert!(outbox.test_contacts(None));
    for name in ["mail/psr#1", "mail/psr#2", "mail/cso#2"] {
        proved(&outbox, name).await;
    }
    unproved(&outbox, "mail/cso#1", "refused-550").await;
    let mails = server.mails();
    assert_eq!(mails.len(), 3, "one for each address that takes it");
    let mut addressed = Vec::new();
    for mail in &mails {
        assert!(mail.contains("Subject: Fourth: TEST, nothing to do"), "{mail}");
        assert!(mail.contains("TEST of this contact. There is no call and nothing to do."), "{mail}");
        assert!(!mail.contains("is offered") && !mail.contains("/team"), "{mail}");
        addressed.extend(mail.lines().filter(|line| line.starts_with("To: ")).map(str::to_owned));
    }
    addressed.sort();
    let one_each = ["To: Lead <lead@team.example>", "To: crew@team.example", "To: duty@team.example"];
    assert_eq!(addressed, one_each);
    assert!(ends.try_recv().is_err());
    assert!(!format!("{:?}", outbox.contacts()).contains("team.example"));
}

#[tokio::test]
async fn a_test_by_sms_says_that_it_is_one_and_the_gateways_2xx_proves_it() {
    let gateway = Peer::start(|number| (if number == 0 { 503 } else { 202 }, None, AT_ONCE)).await;
    let text = format!(
        "team_page = \"https://fourth.example.gov/team\"\n[channel.text]\nkind = \"sms\"\nprogram.psr.to_number = \"+12505550199\"\n\
         [sms]\nurl = \"{}\"\nbody = '{{\"number\": \"{{to}}\", \"message\": \"{{text}}\"}}'\n\
         header.authorization = \"Bearer of-the-gateway\"\n",
        gateway.url
    );
    let (outbox, _ends) = proving(unhurried(&text), 1.0);
    assert!(outbox.test_contacts(Some("text/psr")));
    unproved(&outbox, "text/psr", "status-503").await;
    assert!(outbox.test_contacts(Some("text/psr")));
    proved(&outbox, "text/psr").await;
    let sent = &gateway.received()[1];
    assert_eq!(sent.header("authorization"), "Bearer of-the-gateway");
    let message = "TEST of this contact. There is no call and nothing to do.\n";
    assert_eq!(sent.json(), json!({ "number": "+12505550199", "message": message }));
}

#[tokio::test]
async fn what_is_delivered_proves_and_is_no_occasion_for_a_test() {
    let peer = Peer::start(|_| (200, None, AT_ONCE)).await;
    let (outbox, mut ends) = proving(settings(&channel("webhook", &peer.url)), 1.0);
    outbox.submit(offer("i1", "webhook", 1));
    assert_eq!(next(&mut ends).await, delivered("i1.3.offer"));
    assert!(contact(&outbox, "webhook").proved_at.is_some());
    assert_eq!(peer.received().len(), 1);
}

#[tokio::test]
async fn where_tests_are_turned_off_none_is_made_and_none_is_shown() {
    let peer = Peer::start(|_| (200, None, AT_ONCE)).await;
    let off = settings(&format!("contact_test_every_h = 0\n{}", channel("webhook", &peer.url)));
    let (told, _ends) = mpsc::unbounded_channel();
    let carriers = Carriers::new(&off, None).unwrap();
    let outbox = Outbox::start(off, Clock::system(), carriers, Arc::new(Told(told)));
    outbox.clone().prove_contacts().await;
    assert_eq!((outbox.contacts(), outbox.test_contacts(None)), (None, false));
}

#[test]
fn a_channel_may_not_have_the_name_of_the_cad() {
    let settings: Settings = toml::from_str(&channel("cad", "http://127.0.0.1:1/")).unwrap();
    assert!(Carriers::new(&settings, None).unwrap_err().to_string().contains("`cad` is the name of the CAD itself"));
}
