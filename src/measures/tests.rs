//! The figures against lives of calls whose outcome is worked out by hand.

use super::*;
use crate::facts::Facts;
use crate::incident::{
    Actor, AssessmentCause, BackupService, DeclineCause, Disposition, Effect, Event, RecordReceived,
};
use crate::journal::{AdapterEvent, Entry, Stored, Subject};
use crate::policy::{Decision, LegPlan, Mode, PolicyIdentity, ProgramKind, Reason, Status};
use crate::record::{
    AgencyId, Format, IncidentId, LegId, Lifecycle, ProgramId, RecordIdentity, SourceId, TimePoint, TimePoints,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + seconds)
}

/// A journal written by hand.
#[derive(Default)]
struct Book {
    entries: Vec<Entry>,
    versions: BTreeMap<String, u64>,
}

impl Book {
    fn write(&mut self, incident: &str, seconds: i64, event: Event) -> u64 {
        let version = self.versions.entry(incident.to_owned()).or_default();
        *version += 1;
        let version = *version;
        self.push(Subject::Incident(IncidentId::new(incident)), version, seconds, Stored::Incident(event));
        version
    }

    fn push(&mut self, subject: Subject, version: u64, seconds: i64, stored: Stored) {
        let sequence = self.entries.len() as u64 + 1;
        self.entries.push(Entry { sequence, subject, version, at: at(seconds), stored, hash: String::new() });
    }

    fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        for entry in &self.entries {
            figures.absorb(entry);
            assert_eq!(figures.unexplained(), 0, "an incident without a reason after entry {}", entry.sequence);
            assert_eq!(figures.statuses().values().sum::<u64>(), figures.totals().incidents);
        }
        figures
    }

    /// Received at 0, answered at 5 by the sender's clock; assessed at 8.
    fn call(&mut self, incident: &str, status: Status, reason: &str) {
        let stated = [(TimePoint::Received, 0), (TimePoint::Answered, 5)];
        self.write(incident, 8, received(Mode::Advise, &stated));
        self.write(incident, 8, assessed(status, reason));
    }

    /// Chosen as recommended and offered at 20.
    fn offered(&mut self, incident: &str) -> LegId {
        self.call(incident, Status::Eligible, "rule-1");
        self.write(incident, 20, Event::Chosen { steps: Vec::new(), by: taker(), override_reason: None });
        self.offer(incident, 1, 20)
    }

    fn offer(&mut self, incident: &str, number: u32, seconds: i64) -> LegId {
        let leg = LegId::of(&IncidentId::new(incident), number);
        let offered = Event::Offered { leg: leg.clone(), plan: plan("team"), deadline: at(seconds + 120) };
        self.write(incident, seconds, offered);
        leg
    }
}

fn taker() -> Actor {
    Actor::CallTaker("position-1".to_owned())
}

fn team() -> Actor {
    Actor::Team("team-1".to_owned())
}

fn plan(program: &str) -> LegPlan {
    LegPlan {
        program: ProgramId::new(program),
        title: program.to_owned(),
        kind: ProgramKind::Community,
        channel: "webhook".to_owned(),
        accept_deadline_s: 120,
        attempts: 1,
        release: Vec::new(),
        call_back_within_min: None,
        together: Vec::new(),
        referred_by: None,
        queue: None,
    }
}

fn received(mode: Mode, stated: &[(TimePoint, i64)]) -> Event {
    let mut times = TimePoints::default();
    for (point, seconds) in stated {
        times.state(*point, at(*seconds));
    }
    Event::RecordReceived(RecordReceived {
        identity: RecordIdentity {
            agency: AgencyId::new("agency"),
            element: SourceId::new("cad"),
            incident: "1".to_owned(),
            updated_at: None,
            content_sha256: "00".to_owned(),
        },
        format: Format::EidoJson,
        times,
        lifecycle: Lifecycle::Open,
        test: false,
        repairs: 0,
        mode,
        applied: true,
        contact: None,
        bounds: None,
        related: Vec::new(),
        asked: None,
    })
}

fn assessed(status: Status, reason: &str) -> Event {
    let policy = PolicyIdentity { id: "p".to_owned(), revision: "1".to_owned(), digest: "00".to_owned() };
    let mut decision = Decision::not_assessed("x", "x", policy, Vec::new());
    decision.status = status;
    decision.rule = reason.starts_with("rule").then(|| reason.to_owned());
    decision.reasons = vec![Reason { code: reason.to_owned(), text: String::new(), cite: None }];
    Event::Assessed { decision: Arc::new(decision), facts: Facts::default(), cause: AssessmentCause::Record }
}

fn moved(leg: &LegId, status: TimePoint) -> Event {
    Event::TeamMoved { leg: leg.clone(), status, by: team() }
}

fn closed(why: &str) -> Event {
    Event::Closed { why: why.to_owned() }
}

/// Accepted at 50, en route 110, on scene 650, cleared 2,450.
fn whole_response(book: &mut Book, incident: &str) {
    let leg = book.offered(incident);
    book.write(incident, 50, Event::Accepted { leg: leg.clone(), by: team() });
    book.write(incident, 110, moved(&leg, TimePoint::EnRoute));
    book.write(incident, 650, moved(&leg, TimePoint::OnScene));
    book.write(incident, 2450, Event::Cleared { leg, disposition: Disposition::Supported, party: None, by: team() });
    book.write(incident, 2450, closed("cleared"));
}

fn only(value_s: i64) -> Summary {
    let value = Some(value_s * 1000);
    Summary { n: 1, p50: value, p90: value, p95: value, missing: 0, impossible: 0 }
}

#[test]
fn a_whole_response_has_every_interval_of_a_team() {
    let mut book = Book::default();
    whole_response(&mut book, "a");
    let figures = book.figures();
    let expected = [
        (Interval::Answer, 5),
        (Interval::Assess, 0),
        (Interval::HandOver, 30),
        (Interval::Turnout, 60),
        (Interval::Travel, 540),
        (Interval::TeamResponse, 650),
        (Interval::OnScene, 1800),
    ];
    for (interval, seconds) in expected {
        assert_eq!(figures.interval(interval), only(seconds), "{}", interval.name());
    }
    for interval in [Interval::Processing, Interval::UnitResponse] {
        assert_eq!(figures.interval(interval), Summary::default(), "no ordinary unit took part");
    }
    let totals = figures.totals();
    assert_eq!((totals.incidents, totals.incidents_offered, totals.incidents_accepted, totals.closed), (1, 1, 1, 1));
    let program = figures.programs()[&ProgramId::new("team")];
    assert_eq!(program, ProgramFigures { offered: 1, accepted: 1, cleared: 1, ..ProgramFigures::default() });
}

#[test]
fn intervals_appear_as_soon_as_both_ends_are_known_and_follow_what_is_learnt_later() {
    let mut book = Book::default();
    book.write("a", 8, received(Mode::Advise, &[(TimePoint::Received, 0)]));
    assert_eq!(book.figures().interval(Interval::Answer), Summary { missing: 1, ..Summary::default() });
    book.write("a", 9, received(Mode::Advise, &[(TimePoint::Answered, 4), (TimePoint::Dispatched, 44)]));
    let figures = book.figures();
    assert_eq!(figures.interval(Interval::Answer), only(4));
    assert_eq!(figures.interval(Interval::Processing), only(40));
    book.write("a", 9, received(Mode::Advise, &[(TimePoint::Answered, 2)]));
    let arrival = Event::UnitSeen { unit: "E12".to_owned(), status: TimePoint::OnScene, at: at(304) };
    book.write("a", 310, arrival);
    let figures = book.figures();
    assert_eq!(figures.interval(Interval::Answer), only(2));
    assert_eq!(figures.interval(Interval::Processing), only(42));
    assert_eq!(figures.interval(Interval::UnitResponse), only(304));
}

#[test]
fn skewed_clocks_and_skipped_statuses_are_counted_apart() {
    let mut book = Book::default();
    // The sender's clock is an hour ahead: the team "arrived" before the call was received.
    book.write("a", 8, received(Mode::Advise, &[(TimePoint::Received, 3600)]));
    book.write("a", 8, assessed(Status::Eligible, "rule-1"));
    let leg = book.offer("a", 1, 20);
    book.write("a", 50, Event::Accepted { leg: leg.clone(), by: team() });
    book.write("a", 650, moved(&leg, TimePoint::OnScene));
    let figures = book.figures();
    assert_eq!(figures.interval(Interval::TeamResponse), Summary { impossible: 1, ..Summary::default() });
    assert_eq!(figures.interval(Interval::Turnout), Summary { missing: 1, ..Summary::default() });
    assert_eq!(figures.interval(Interval::Travel), Summary { missing: 1, ..Summary::default() });
    assert_eq!(figures.interval(Interval::OnScene), Summary::default(), "still running");
}

#[test]
fn a_team_recalled_on_its_way_lacks_nothing() {
    let mut book = Book::default();
    let leg = book.offered("a");
    book.write("a", 50, Event::Accepted { leg: leg.clone(), by: team() });
    book.write("a", 60, Event::StoodBack { leg: leg.clone(), why: "weapon".to_owned() });
    book.write("a", 60, Event::ReturnedToOrdinary { why: "hazard".to_owned(), leg: Some(leg) });
    let figures = book.figures();
    assert_eq!(figures.interval(Interval::HandOver), only(30));
    for interval in [Interval::Turnout, Interval::Travel, Interval::TeamResponse, Interval::OnScene] {
        assert_eq!(figures.interval(interval), Summary::default());
    }
    let program = figures.programs()[&ProgramId::new("team")];
    assert_eq!((program.stood_back, program.returned), (1, 0), "it did not hand the call back itself");
}

#[test]
fn every_incident_that_was_not_offered_has_its_reason() {
    let mut book = Book::default();
    book.call("weapon", Status::Ineligible { because: "weapon".to_owned() }, "weapon");
    book.call("no-rule", Status::Ineligible { because: "no-rule".to_owned() }, "no-rule");
    book.call("asked", Status::NeedsAnswer, "consent-unknown");
    book.call("closed-hours", Status::EligibleOutOfHours, "out-of-hours");
    book.call("shadowed", Status::ShadowEligible, "rule-2");
    book.call("open", Status::Eligible, "rule-1");
    book.call("ordinary", Status::Eligible, "rule-1");
    let choice = Event::OrdinaryChosen { by: taker(), override_reason: Some("busy".to_owned()) };
    book.write("ordinary", 30, choice);
    book.call("late", Status::Eligible, "rule-1");
    book.write("late", 90, closed("closed-by-source"));
    book.write("shadow-mode", 8, received(Mode::Shadow, &[]));
    book.write("shadow-mode", 8, assessed(Status::Eligible, "rule-1"));
    book.write("unassessed", 8, received(Mode::Advise, &[]));
    book.offered("offered");
    let mut bare = assessed(Status::EligibleNoUnit, "x");
    if let Event::Assessed { decision, .. } = &mut bare {
        Arc::make_mut(decision).reasons.clear();
    }
    book.write("bare", 8, received(Mode::Advise, &[]));
    book.write("bare", 8, bare);

    let tables = book.figures().tables();
    let why = tables.iter().find(|table| table.title == "Why incidents were not offered").unwrap();
    let expected = [
        ("eligible", "choice-open"),
        ("eligible", "closed-before-choice"),
        ("eligible", "ordinary-chosen"),
        ("eligible", "shadow"),
        ("eligible-no-unit", "eligible-no-unit"),
        ("eligible-out-of-hours", "out-of-hours"),
        ("ineligible", "no-rule"),
        ("ineligible", "weapon"),
        ("needs-answer", "consent-unknown"),
        ("not-yet-assessed", "not-yet-assessed"),
        ("shadow-eligible", "shadow"),
    ];
    assert_eq!(why.rows.len(), expected.len());
    for (status, reason) in expected {
        assert_eq!(why.cell(&[status, reason], "count"), Some("1"), "{status}: {reason}");
    }
    let calls = &tables[0];
    assert_eq!(calls.cell(&["incidents"], "count"), Some("12"));
    assert_eq!(calls.cell(&["incidents not offered, reason not recorded"], "count"), Some("0"));
}

#[test]
fn an_incident_is_counted_once_under_its_last_decision() {
    let mut book = Book::default();
    book.call("a", Status::NeedsAnswer, "rule-1");
    book.write("a", 9, assessed(Status::Eligible, "rule-2"));
    let figures = book.figures();
    assert_eq!(figures.statuses(), &BTreeMap::from([("eligible", 1)]));
    let rules = figures.tables().into_iter().find(|table| table.title.starts_with("Incidents by rule")).unwrap();
    assert_eq!(rules.rows, [["rule-2", "1"]]);
    assert_eq!(figures.totals().assessments, 2);
}

#[test]
fn offers_and_their_ends_are_counted_by_cause_and_program() {
    let mut book = Book::default();
    let leg = book.offered("a");
    book.write("a", 30, Event::Declined { leg, cause: DeclineCause::TooFar, by: team() });
    let second = book.offer("a", 2, 30);
    book.write("a", 150, Event::TimedOut { leg: second.clone() });
    book.write("a", 150, Event::AnsweredLate { leg: second, answer: "accepted".to_owned() });
    book.offer("a", 3, 150);
    let offer = Effect::key_of(&IncidentId::new("a"), book.versions["a"], 0, "offer");
    book.write("a", 160, Event::Undeliverable { key: offer, why: "attempts-exhausted".to_owned() });
    book.write("a", 160, Event::ReturnedToOrdinary { why: "no-team-accepted".to_owned(), leg: None });
    book.write("a", 170, Event::Undeliverable { key: "a.9.cad".to_owned(), why: "refused-500".to_owned() });
    let fourth = book.offer("a", 4, 200);
    book.write("a", 210, Event::Withdrawn { leg: fourth, why: "overridden".to_owned() });
    for (team_requested, by) in [(true, team()), (false, taker()), (false, Actor::Policy)] {
        let service = BackupService::Police;
        book.write("a", 220, Event::BackupRequested { leg: None, service, team_requested, by });
    }
    let figures = book.figures();
    let totals = figures.totals();
    assert_eq!((totals.offers, totals.acceptances, totals.declines, totals.time_outs), (4, 0, 1, 1));
    assert_eq!((totals.unreachable, totals.undelivered_notices, totals.withdrawals), (1, 1, 1));
    assert_eq!((totals.late_acceptances, totals.returns, totals.backups), (1, 1, 3));
    let program = figures.programs()[&ProgramId::new("team")];
    let expected = ProgramFigures {
        offered: 4,
        declined: 1,
        timed_out: 1,
        unreachable: 1,
        withdrawn: 1,
        ..ProgramFigures::default()
    };
    assert_eq!(program, expected);
    let tables = figures.tables();
    let offers = tables.iter().find(|table| table.title == "Offers").unwrap();
    assert_eq!(offers.cell(&["declined: too-far"], "count"), Some("1"));
    let backups = tables.iter().find(|table| table.title == "Back-up").unwrap();
    for by in ["team", "operator", "policy, on danger"] {
        assert_eq!(backups.cell(&["police", by], "count"), Some("1"));
    }
}

#[test]
fn what_comes_after_the_close_is_counted_and_starts_no_new_incident() {
    let mut book = Book::default();
    whole_response(&mut book, "a");
    let leg = LegId::of(&IncidentId::new("a"), 1);
    book.write("a", 3000, Event::AnsweredLate { leg, answer: "declined".to_owned() });
    let Event::RecordReceived(record) = received(Mode::Advise, &[]) else { panic!("not a record") };
    book.write("a", 3001, Event::RecordReceived(RecordReceived { applied: false, ..record }));
    let figures = book.figures();
    let totals = figures.totals();
    assert_eq!((totals.incidents, totals.records, totals.records_not_applied), (1, 2, 1));
    assert_eq!((totals.late_declines, totals.closed), (1, 1));
}

#[test]
fn refused_input_is_counted_by_problem() {
    let mut book = Book::default();
    let refused = AdapterEvent::RecordRefused {
        problem: "malformed-json".to_owned(),
        place: "byte 17".to_owned(),
        content_sha256: "00".to_owned(),
        length_bytes: 40,
    };
    book.push(Subject::Adapter, 0, 1, Stored::Adapter(refused));
    book.push(Subject::Adapter, 0, 2, Stored::Adapter(AdapterEvent::Stopped));
    let figures = book.figures();
    assert_eq!(figures.totals().refused, 1);
    let refusals = figures.tables().into_iter().find(|table| table.title == "Records refused").unwrap();
    assert_eq!(refusals.rows, [["malformed-json", "1"]]);
}

#[test]
fn percentiles_of_many_calls_are_printed_in_seconds() {
    let mut book = Book::default();
    for number in 0..20_i64 {
        let incident = format!("i{number}");
        let leg = book.offered(&incident);
        book.write(&incident, 21 + number, Event::Accepted { leg, by: team() });
    }
    let tables = book.figures().tables();
    let durations = tables.last().unwrap();
    let cell = |column| durations.cell(&["hand-over"], column);
    assert_eq!(
        (cell("n"), cell("p50 s"), cell("p90 s"), cell("p95 s")),
        (Some("20"), Some("10.0"), Some("18.0"), Some("19.0"))
    );
    assert!(tables.iter().all(|table| table.rows.iter().all(|row| row.len() == table.headers.len())));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Live figures and those of a report are one: pages, repeats and interleaving change nothing.
    #[test]
    fn any_interleaving_of_incidents_gives_the_same_figures(order in prop::collection::vec(0_usize..4, 0..60)) {
        let mut alone = Book::default();
        whole_response(&mut alone, "a");
        let leg = alone.offered("b");
        alone.write("b", 400, Event::TimedOut { leg });
        alone.write("b", 400, Event::ReturnedToOrdinary { why: "no-team-accepted".to_owned(), leg: None });
        alone.call("c", Status::NeedsAnswer, "weapon");
        alone.write("c", 500, closed("closed-by-source"));
        whole_response(&mut alone, "d");

        let mut queues: Vec<Vec<Entry>> = ["a", "b", "c", "d"]
            .map(|incident| {
                let subject = Subject::Incident(IncidentId::new(incident));
                alone.entries.iter().rev().filter(|entry| entry.subject == subject).cloned().collect()
            })
            .into();
        let mut mixed = Figures::default();
        let mut sequence = 0;
        let rest = (0..4).flat_map(|queue| std::iter::repeat_n(queue, 20));
        for queue in order.into_iter().chain(rest) {
            if let Some(entry) = queues[queue].pop() {
                sequence += 1;
                let entry = Entry { sequence, ..entry };
                mixed.absorb(&entry);
                mixed.absorb(&entry);
                prop_assert_eq!(mixed.unexplained(), 0);
            }
        }
        prop_assert_eq!(mixed.tables(), alone.figures().tables());
    }
}
