//! Contacts: every destination that may have to be used, when it was last proved to work, and when it is tried next.
//!
//! A list of addresses that nobody ever tried is a list of wrong addresses (fault 31): what is not proved is an alarm. Pure:
//! the time is an argument, so that every case can be tested without a socket. What a test is, `outbox/proving.rs` says.

use super::email::MailAddress;
use super::messages::CAD;
use super::notice::PhoneNumber;
use super::settings::{Address, ChannelKind, Secret, Settings};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// Hours between two tests of a contact, at most: a week.
const HOURS_MAX: u32 = 168;
/// A period has so many parts. The first tests are spread over one; a test waits for messages to go first as long at most;
/// failed ones are repeated at least as often.
const PARTS: i32 = 24;
/// A part has so many looks at what is due; the first pause after a failure is one.
const LOOKS: i32 = 60;
/// A proof that is older than the period by so many parts is an alarm, and no proof so long after the start.
const GRACE_PARTS: i32 = 3;
/// How late in the period the next test comes at least, parts; the rest is at random.
const NEXT_AFTER_PARTS: i32 = 18;
/// Why a contact is unproved of which no test failed.
const OVERDUE: &str = "contact-overdue";

/// Hours between two tests of a contact; 0: contacts are not tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct TestPeriod(u32);

impl Default for TestPeriod {
    fn default() -> Self {
        Self(24)
    }
}

impl TryFrom<u32> for TestPeriod {
    type Error = String;

    fn try_from(hours: u32) -> Result<Self, String> {
        if hours > HOURS_MAX {
            return Err(format!("tests of a contact are {HOURS_MAX} hours apart at most; 0 turns them off"));
        }
        Ok(Self(hours))
    }
}

impl TestPeriod {
    /// The hours.
    #[must_use]
    pub fn hours(self) -> u32 {
        self.0
    }

    fn parts(self, parts: i32) -> SignedDuration {
        SignedDuration::from_hours(self.0.into()) / PARTS * parts
    }

    /// How often is looked at what is due.
    pub(super) fn look(self) -> Duration {
        Duration::try_from(self.parts(1) / LOOKS).unwrap_or_default()
    }
}

/// One destination, and all that its test needs.
#[derive(Debug)]
pub(super) struct Contact {
    /// Its name in logs, metrics and pages, from the configuration; never an address.
    pub(super) name: String,
    /// The queue of its messages.
    pub(super) destination: String,
    /// What kind of destination, kebab-case.
    pub(super) kind: &'static str,
    pub(super) way: Way,
}

/// How it is reached.
#[derive(Debug)]
pub(super) enum Way {
    Webhook { program: Option<String>, url: Address, secret: Secret },
    Cad(Address),
    Eido,
    Mail(MailAddress),
    Sms(PhoneNumber),
}

impl Contact {
    /// Every contact of a configuration. Each mail address is one of its own: one mistyped one must be seen beside a good one.
    pub(super) fn all(settings: &Settings) -> Vec<Self> {
        let mut all = Vec::new();
        let mut add = |name: &str, destination: &str, kind, way| {
            all.push(Self { name: name.to_owned(), destination: destination.to_owned(), kind, way });
        };
        if let Some(cad) = &settings.cad {
            add(CAD, CAD, CAD, Way::Cad(cad.url.clone()));
            if let Some(second) = &cad.second_url {
                add(&format!("{CAD}/second"), CAD, CAD, Way::Cad(second.clone()));
            }
        }
        for (channel, of) in &settings.channel {
            let kind = of.kind.name();
            let webhook = |program, url: &Option<Address>, secret: &Option<Secret>| {
                Some(Way::Webhook { program, url: url.clone()?, secret: secret.clone()? })
            };
            let shared = match of.kind {
                ChannelKind::Webhook | ChannelKind::WarmTransfer => webhook(None, &of.url, &of.secret),
                ChannelKind::Eido => of.url.as_ref().map(|_| Way::Eido),
                ChannelKind::Email | ChannelKind::Sms => None,
            };
            shared.into_iter().for_each(|way| add(channel, channel, kind, way));
            for (program, own) in &of.program {
                let destination = format!("{channel}/{program}");
                let way = match of.kind {
                    ChannelKind::Webhook | ChannelKind::WarmTransfer => {
                        webhook(Some(program.clone()), &own.url, &own.secret)
                    }
                    ChannelKind::Eido => own.url.as_ref().map(|_| Way::Eido),
                    ChannelKind::Sms => own.to_number.clone().map(Way::Sms),
                    ChannelKind::Email => None,
                };
                way.into_iter().for_each(|way| add(&destination, &destination, kind, way));
                if of.kind == ChannelKind::Email {
                    for (number, to) in own.to.iter().enumerate() {
                        let name = format!("{destination}#{}", number + 1);
                        add(
                            if own.to.len() == 1 { &destination } else { &name },
                            &destination,
                            kind,
                            Way::Mail(to.clone()),
                        );
                    }
                }
            }
        }
        all
    }
}

/// How one contact is, for operators. Its name comes from the configuration; it holds no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactState {
    /// Its name: the CAD, a channel, or a channel and a program.
    pub name: String,
    /// What kind of destination, kebab-case.
    pub kind: &'static str,
    /// When a test or a message last proved it.
    pub proved_at: Option<Timestamp>,
    /// Why it counts as unproved, kebab-case; `None` where it is proved, or is new and will be tested soon.
    pub unproved: Option<String>,
}

/// A contact became an alarm, or is one no longer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) name: String,
    /// Why; `None` where the alarm has ended.
    pub(super) why: Option<String>,
}

/// What is known of every contact. It is not kept over a restart: all is tried again soon after.
#[derive(Debug)]
pub(super) struct Book {
    period: TestPeriod,
    opened_at: Timestamp,
    standings: Vec<Standing>,
}

#[derive(Debug)]
struct Standing {
    contact: Arc<Contact>,
    due_at: Timestamp,
    /// A person waits for the test.
    asked: bool,
    under_way: bool,
    proved_at: Option<Timestamp>,
    /// Why the last test failed, if it did.
    failed: Option<String>,
    failures: u32,
    alarmed: bool,
}

impl Book {
    /// Contacts of which nothing is known yet. They are tried one after another over the first part of the period, and none
    /// at once: an adapter that is started again and again sends nobody a test each time. `jitter` gives numbers in 0 … 1.
    pub(super) fn open(period: TestPeriod, contacts: Vec<Contact>, now: Timestamp, jitter: impl Fn() -> f64) -> Self {
        let contacts = if period.hours() == 0 { Vec::new() } else { contacts };
        let first = after(now, period.parts(1) / LOOKS);
        let room = period.parts(1) - period.parts(1) / LOOKS;
        let slice = room / i32::try_from(contacts.len().max(1)).unwrap_or(i32::MAX);
        let mut due_at = first;
        let standing = |contact| {
            let own = after(due_at, part(slice, jitter()));
            due_at = after(due_at, slice);
            Standing {
                contact: Arc::new(contact),
                due_at: own,
                asked: false,
                under_way: false,
                proved_at: None,
                failed: None,
                failures: 0,
                alarmed: false,
            }
        };
        Self { period, opened_at: now, standings: contacts.into_iter().map(standing).collect() }
    }

    /// The contacts to be tested now. One whose destination is busy is left for later, within bounds: messages go first, and
    /// what becomes of them says more than a test.
    pub(super) fn take_due(&mut self, now: Timestamp, busy: impl Fn(&str) -> bool) -> Vec<(usize, Arc<Contact>)> {
        let put_off = self.period.parts(1);
        let mut due = Vec::new();
        for (place, standing) in self.standings.iter_mut().enumerate() {
            let waits = !standing.asked && now < after(standing.due_at, put_off) && busy(&standing.contact.destination);
            if standing.due_at <= now && !standing.under_way && !waits {
                standing.under_way = true;
                standing.asked = false;
                due.push((place, Arc::clone(&standing.contact)));
            }
        }
        due
    }

    /// Has one contact, or every one, tested at once. False where none is of this name.
    pub(super) fn ask(&mut self, name: Option<&str>, now: Timestamp) -> bool {
        let mut found = false;
        for standing in self.standings.iter_mut().filter(|one| name.is_none_or(|name| one.contact.name == name)) {
            standing.due_at = standing.due_at.min(now);
            standing.asked = true;
            found = true;
        }
        found
    }

    /// A test has ended: the contact is proved, or why not.
    pub(super) fn tested(&mut self, place: usize, result: Result<(), String>, now: Timestamp, jitter: f64) {
        let period = self.period;
        let Some(standing) = self.standings.get_mut(place) else { return };
        standing.under_way = false;
        match result {
            Ok(()) => standing.prove(period, now, jitter),
            Err(why) => {
                let looks = 2_i32.saturating_pow(standing.failures.min(16)).min(LOOKS);
                let pause = period.parts(1) / LOOKS * looks;
                standing.failures = standing.failures.saturating_add(1);
                standing.failed = Some(why);
                standing.due_at = after(now, pause / 2 + part(pause / 2, jitter));
            }
        }
    }

    /// A message was taken by a destination, of the CAD's by the one of its addresses: that proves more than a test does.
    pub(super) fn delivered(&mut self, destination: &str, at: Option<&Address>, now: Timestamp, jitter: f64) {
        let period = self.period;
        let by = |contact: &Contact| {
            contact.destination == destination
                && if let Way::Cad(address) = &contact.way { at.is_none_or(|at| at == address) } else { true }
        };
        self.standings.iter_mut().filter(|one| by(&one.contact)).for_each(|one| one.prove(period, now, jitter));
    }

    /// True where the last test of this contact failed.
    pub(super) fn fails(&self, name: &str) -> bool {
        self.standings.iter().any(|one| one.contact.name == name && one.failed.is_some())
    }

    /// What has become an alarm or ceased to be one since this was last asked.
    pub(super) fn turns(&mut self, now: Timestamp) -> Vec<Turn> {
        let (period, opened_at) = (self.period, self.opened_at);
        let mut turns = Vec::new();
        for standing in &mut self.standings {
            let why = standing.unproved(period, opened_at, now).map(str::to_owned);
            if why.is_some() != standing.alarmed {
                standing.alarmed = why.is_some();
                turns.push(Turn { name: standing.contact.name.clone(), why });
            }
        }
        turns
    }

    /// Every contact as it is now; `None` where contacts are not tested.
    pub(super) fn shown(&self, now: Timestamp) -> Option<Vec<ContactState>> {
        let state = |standing: &Standing| ContactState {
            name: standing.contact.name.clone(),
            kind: standing.contact.kind,
            proved_at: standing.proved_at,
            unproved: standing.unproved(self.period, self.opened_at, now).map(str::to_owned),
        };
        (self.period.hours() > 0).then(|| self.standings.iter().map(state).collect())
    }
}

impl Standing {
    fn prove(&mut self, period: TestPeriod, now: Timestamp, jitter: f64) {
        self.proved_at = Some(now);
        self.failed = None;
        self.failures = 0;
        let late = period.parts(PARTS - NEXT_AFTER_PARTS);
        // What a person asked for is done although a message has just come through.
        if !self.asked {
            self.due_at = after(now, period.parts(NEXT_AFTER_PARTS).saturating_add(part(late, jitter)));
        }
    }

    fn unproved(&self, period: TestPeriod, opened_at: Timestamp, now: Timestamp) -> Option<&str> {
        let good_until = match self.proved_at {
            Some(at) => after(at, period.parts(PARTS + GRACE_PARTS)),
            None => after(opened_at, period.parts(GRACE_PARTS)),
        };
        self.failed.as_deref().or((good_until <= now).then_some(OVERDUE))
    }
}

fn after(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// A part of a span; `share` is in 0 … 1.
fn part(span: SignedDuration, share: f64) -> SignedDuration {
    let span = Duration::try_from(span).unwrap_or_default();
    SignedDuration::try_from(span.mul_f64(share.clamp(0.0, 1.0))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: TestPeriod = TestPeriod(24);
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn contacts(count: usize) -> Vec<Contact> {
        let teams: String = (0..count)
            .map(|number| format!("[channel.c{number:03}]\nkind = \"webhook\"\nurl = \"http://127.0.0.1/{number}\"\nsecret = \"0123456789abcdef\"\n"))
            .collect();
        Contact::all(&toml::from_str(&teams).unwrap())
    }

    fn one() -> Book {
        Book::open(DAY, contacts(1), at(0), || 0.0)
    }

    fn due(book: &mut Book, now: i64) -> Vec<usize> {
        book.take_due(at(now), |_| false).into_iter().map(|(place, _)| place).collect()
    }

    fn turned(book: &mut Book, now: i64) -> Vec<(String, Option<String>)> {
        book.turns(at(now)).into_iter().map(|turn| (turn.name, turn.why)).collect()
    }

    fn refused() -> Result<(), String> {
        Err("refused-404".to_owned())
    }

    #[test]
    fn every_destination_of_a_configuration_is_a_contact_by_its_name_and_never_by_its_address() {
        let settings = "team_page = \"https://fourth.example/team\"\n[cad]\nurl = \"https://cad.example/eido\"\n\
            second_url = \"https://second.example/eido\"\n\
            [channel.hook]\nkind = \"webhook\"\nurl = \"https://all.example/\"\nsecret = \"0123456789abcdef\"\n\
            [channel.hook.program.psr]\nurl = \"https://psr.example/\"\nsecret = \"0123456789abcdef\"\n\
            [channel.line]\nkind = \"warm-transfer\"\n[channel.line.program.l211]\nurl = \"https://line.example/\"\nsecret = \"0123456789abcdef\"\n\
            [channel.desk]\nkind = \"eido\"\nurl = \"wss://desk.example/ent\"\nprogram.psr.url = \"wss://own.example/ent\"\n\
            [channel.mail]\nkind = \"email\"\nprogram.psr.to = [\"a@team.example\", \"b@team.example\"]\nprogram.cso.to = [\"c@team.example\"]\n\
            [channel.text]\nkind = \"sms\"\nprogram.psr.to_number = \"+12505550100\"\n";
        let settings: Settings = toml::from_str(settings).unwrap();
        let mut book = Book::open(DAY, Contact::all(&settings), at(0), || 0.5);
        let shown = book.shown(at(0)).unwrap();
        let named: Vec<(&str, &str)> = shown.iter().map(|one| (one.name.as_str(), one.kind)).collect();
        let expected = [
            ("cad", "cad"),
            ("cad/second", "cad"),
            ("desk", "eido"),
            ("desk/psr", "eido"),
            ("hook", "webhook"),
            ("hook/psr", "webhook"),
            ("line/l211", "warm-transfer"),
            ("mail/cso", "email"),
            ("mail/psr#1", "email"),
            ("mail/psr#2", "email"),
            ("text/psr", "sms"),
        ];
        assert_eq!(named, expected);
        assert!(shown.iter().all(|one| one.proved_at.is_none() && one.unproved.is_none()));
        // A mail to two is one message; one to the CAD's first address says nothing of its second.
        book.delivered("mail/psr", None, at(60), 0.0);
        book.delivered("cad", Some(&settings.cad.as_ref().unwrap().url), at(60), 0.0);
        let proved: Vec<_> = book.shown(at(61)).unwrap().into_iter().filter(|one| one.proved_at.is_some()).collect();
        let proved: Vec<_> = proved.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(proved, ["cad", "mail/psr#1", "mail/psr#2"]);
        assert!(!format!("{shown:?}").contains("example") && !format!("{shown:?}").contains("555"));
    }

    #[test]
    fn the_first_tests_are_spread_over_the_first_hour_of_a_day_and_none_is_at_once() {
        for share in [0.0, 1.0] {
            let mut book = Book::open(DAY, contacts(60), at(0), || share);
            assert!(due(&mut book, MINUTE - 1).is_empty(), "no storm at the start, nor by starting again and again");
            for minute in 1..=60 {
                assert!(due(&mut book, minute * MINUTE).len() <= 2, "not all in one instant");
            }
            let left = book.standings.iter().filter(|one| !one.under_way).count();
            assert_eq!(left, 0, "all are tried within the hour");
        }
    }

    #[test]
    fn a_proof_lasts_a_period_and_its_grace_and_the_next_test_comes_before() {
        let mut book = one();
        assert_eq!(due(&mut book, MINUTE), [0]);
        assert!(due(&mut book, MINUTE).is_empty(), "one test of a contact at a time");
        book.tested(0, Ok(()), at(MINUTE), 1.0);
        assert!(due(&mut book, MINUTE + 24 * HOUR - 1).is_empty());
        book.tested(0, Ok(()), at(MINUTE), 0.0);
        assert!(due(&mut book, MINUTE + 18 * HOUR - 1).is_empty());
        assert_eq!(turned(&mut book, MINUTE + 27 * HOUR - 1), []);
        let overdue = Some(OVERDUE.to_owned());
        assert_eq!(turned(&mut book, MINUTE + 27 * HOUR), [("c000".to_owned(), overdue)]);
        assert_eq!(turned(&mut book, MINUTE + 28 * HOUR), [], "said once");
        assert_eq!(due(&mut book, MINUTE + 28 * HOUR), [0]);
        book.tested(0, Ok(()), at(29 * HOUR), 0.0);
        assert_eq!(turned(&mut book, 29 * HOUR), [("c000".to_owned(), None)]);
    }

    #[test]
    fn what_was_never_proved_is_an_alarm_a_few_hours_after_the_start() {
        let mut book = one();
        assert_eq!(turned(&mut book, 3 * HOUR - 1), []);
        assert_eq!(turned(&mut book, 3 * HOUR), [("c000".to_owned(), Some(OVERDUE.to_owned()))]);
    }

    #[test]
    fn a_failed_test_is_an_alarm_at_once_and_is_repeated_soon_and_then_less_often() {
        let mut book = one();
        let mut now = MINUTE;
        for pause in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert_eq!(due(&mut book, now), [0]);
            book.tested(0, refused(), at(now), 1.0);
            assert!(due(&mut book, now + pause * MINUTE - 1).is_empty());
            now += pause * MINUTE;
        }
        assert_eq!(turned(&mut book, now), [("c000".to_owned(), Some("refused-404".to_owned()))]);
        assert!(book.fails("c000"));
        // A message that is taken meanwhile ends it as a test does.
        book.delivered("c000", None, at(now), 0.0);
        assert_eq!(turned(&mut book, now), [("c000".to_owned(), None)]);
        assert!(!book.fails("c000") && due(&mut book, now + 18 * HOUR - 1).is_empty());
    }

    #[test]
    fn a_test_waits_for_messages_to_go_first_within_a_bound_and_not_where_a_person_asks() {
        let mut book = one();
        let due_while_busy = |book: &mut Book, now| book.take_due(at(now), |name| name == "c000").len();
        assert_eq!(due_while_busy(&mut book, MINUTE), 0);
        assert_eq!(due_while_busy(&mut book, MINUTE + HOUR - 1), 0);
        assert_eq!(
            due_while_busy(&mut book, MINUTE + HOUR),
            1,
            "a destination that is always busy is tested all the same"
        );
        book.tested(0, Ok(()), at(2 * HOUR), 0.0);
        assert!(book.ask(Some("c000"), at(2 * HOUR)) && !book.ask(Some("c001"), at(2 * HOUR)));
        book.delivered("c000", None, at(2 * HOUR), 0.0);
        assert_eq!(due_while_busy(&mut book, 2 * HOUR), 1);
        book.tested(0, Ok(()), at(2 * HOUR), 0.0);
        assert!(book.ask(None, at(2 * HOUR)));
        assert_eq!(due(&mut book, 2 * HOUR), [0], "all");
    }

    #[test]
    fn periods_are_bounded_and_zero_turns_tests_off() {
        for hours in [1, 24, HOURS_MAX] {
            assert_eq!(TestPeriod::try_from(hours).unwrap().hours(), hours);
        }
        assert!(TestPeriod::try_from(HOURS_MAX + 1).unwrap_err().contains("168 hours apart at most; 0 turns them off"));
        let mut off = Book::open(TestPeriod(0), contacts(3), at(0), || 0.5);
        assert!(due(&mut off, 1_000 * HOUR).is_empty() && turned(&mut off, 1_000 * HOUR).is_empty());
        assert_eq!(off.shown(at(0)), None);
        assert!(!off.ask(None, at(0)));
    }

    proptest! {
        /// Whatever comes of tests and messages: a working contact is never an alarm while tests are made when they are due,
        /// and what does not work is one.
        #[test]
        fn a_contact_that_works_is_never_an_alarm_and_one_that_does_not_always_is(
            hours in 1_u32..=HOURS_MAX,
            steps in proptest::collection::vec((0_i64..60, any::<bool>(), 0.0_f64..=1.0), 1..80),
        ) {
            let period = TestPeriod(hours);
            let mut book = Book::open(period, contacts(3), at(0), || 0.5);
            let minute = i64::from(hours) * 150 / 60;
            let mut now = at(0);
            for (looks, works, jitter) in steps {
                for _ in 0..looks {
                    now = after(now, SignedDuration::from_secs(minute.max(1)));
                    for (place, _) in book.take_due(now, |_| false) {
                        book.tested(place, if works { Ok(()) } else { refused() }, now, jitter);
                    }
                }
                let shown = book.shown(now).unwrap();
                for (one, standing) in shown.iter().zip(&book.standings) {
                    prop_assert_eq!(one.unproved.is_some(), standing.failed.is_some(), "{:?}", one);
                    prop_assert!(standing.due_at > now && standing.due_at <= after(now, period.parts(PARTS)));
                }
            }
        }
    }
}
