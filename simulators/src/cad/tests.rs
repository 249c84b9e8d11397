//! A whole evening against a few lines that answer as the contract says; and what a written-back EIDO is read as.

use super::*;
use crate::city::City;
use crate::clock::{ScaledClock, after};
use crate::doors::Doors;
use crate::fake_adapter::FakeAdapter;
use crate::habits::Habits;
use crate::peers::{Behaviour, Peers, PeersSettings, ProgramPeer};
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_evening_is_played_through_both_doors_and_every_byte_arrives() {
    let city = City::kamloops().unwrap();
    let start = "2026-06-05T23:30:00Z".parse().unwrap();
    let clock = ScaledClock::starting_at(start, 900.0);
    let habits = Habits { decline: 0.15, accept: 0.65, late: 0.1, unreachable: 0.02, ..Habits::of(&city, "cso-south") };
    let programs = vec![ProgramPeer { program: "cso-south".to_owned(), behaviour: Behaviour::Team(Box::new(habits)) }];
    let settings = PeersSettings { programs, rate: 3.0, duplicates: 0.1, ..PeersSettings::of(city, 9, clock) };
    let peers = Peers::start(settings).await.unwrap();
    let adapter = FakeAdapter::start(&peers, "cso-south", clock).await;
    let doors = Doors { intake: adapter.server.url(), teams: adapter.server.url() };
    let tally = peers.play(doors, after(start, Duration::from_secs(5_400))).await;
    assert!(tally.calls > 60, "{tally:?}");
    // What is under way may finish.
    peers.rest();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let tally = peers.tally();
    assert!(tally.records_sent > tally.calls, "updates are sent: {tally:?}");
    assert_eq!((tally.records_refused, tally.records_given_up, tally.webhooks_refused), (0, 0, 0), "{tally:?}");
    assert!(peers.pass_through_missing().is_empty());
    assert!(tally.passed_through >= tally.sent_by_pass_through.saturating_sub(2), "{tally:?}");
    for (name, number) in [
        ("repeats", tally.records_repeated),
        ("answers", tally.answers),
        ("choices accepted", tally.choices_accepted),
        ("offers", tally.offers),
        ("accepts", tally.accepts),
        ("declines", tally.declines),
        ("late answers", tally.conflicts),
        ("statuses", tally.statuses),
        ("clears", tally.clears),
        ("units", tally.units_dispatched),
        ("closed", tally.closed_by_cad),
        ("ordinary routes", tally.write_backs["ordinary-route"]),
        ("acceptances told", tally.write_backs["team-accepted"]),
    ] {
        assert!(number > 0, "{name}: {tally:?}");
    }
}

#[tokio::test]
async fn a_cad_that_is_down_answers_503_and_a_half_open_one_answers_when_it_opens() {
    let counters = Arc::new(Counters::default());
    let cad = CadServer::start(([127, 0, 0, 1], 0).into(), Arc::clone(&counters)).await.unwrap();
    let client = crate::client::Client::new(Duration::from_secs(2));
    let url = format!("{}/records", cad.server.url());
    let post = |body: &'static str| client.send(Method::POST, &url, &[], body);
    cad.desk.set_door(CadDoor::Down);
    assert_eq!(post("x").await.unwrap().status, 503);
    assert_eq!(cad.desk.received_times(&digest(b"x")), 0);
    cad.desk.set_door(CadDoor::HalfOpen);
    let (answer, ()) = tokio::join!(post("x"), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cad.desk.set_door(CadDoor::Up);
    });
    assert_eq!(answer.unwrap().status, 202);
    assert_eq!(cad.desk.received_times(&digest(b"x")), 1);
}

#[tokio::test]
async fn a_notice_written_back_twice_is_recorded_once() {
    let counters = Arc::new(Counters::default());
    let cad = CadServer::start(([127, 0, 0, 1], 0).into(), Arc::clone(&counters)).await.unwrap();
    let client = crate::client::Client::new(Duration::from_secs(2));
    let url = format!("{}/write-back", cad.server.url());
    let eido =
        json!({ "$id": "urn:x", "incidentComponent": { "incidentStatusInternalText": ["cleared"] } }).to_string();
    for _ in 0..2 {
        let answer = client
            .send(Method::POST, &url, &[("idempotency-key", "k"), ("fourth-notice", "cleared")], eido.clone())
            .await
            .unwrap();
        assert_eq!(answer.status, 200);
    }
    assert_eq!(cad.desk.notices("urn:x"), vec![Notice::Cleared]);
    let tally = counters.tally();
    assert_eq!((tally.write_backs["cleared"], tally.write_backs_repeated), (1, 1));
}

#[test]
fn a_notice_is_read_from_its_header_or_as_a_cad_would_that_does_not_know_it() {
    let read = |eido: serde_json::Value| Notice::read(None, &eido).1;
    let status =
        |status: &str| read(json!({ "emergencyResourceComponent": [{ "secondaryUnitStatusRegistryText": [status] }] }));
    assert_eq!(status("EnRoute"), Notice::TeamMoved);
    assert_eq!(status("Assigned"), Notice::TeamAccepted);
    assert_eq!(status("Cleared"), Notice::Cleared);
    let note = |words: &str| json!({ "notesComponent": [{ "notesActionComments": words }] });
    let back_up = note("FOURTH: BACK-UP NEEDED NOW: EMS, asked for by the team on scene");
    assert_eq!(read(back_up.clone()), Notice::Backup("ems".to_owned()));
    assert_eq!(Notice::read(Some("backup"), &back_up).1, Notice::Backup("ems".to_owned()));
    assert_eq!(read(note("FOURTH: ordinary route, send police, fire or EMS as usual")), Notice::OrdinaryRoute);
    assert_eq!(Notice::read(Some("cleared"), &json!({})).1, Notice::Cleared);
    let own = json!({ "$id": "urn:a", "incidentComponent": { "internalIncidentId": "20260605-00001" } });
    assert_eq!(Notice::read(None, &own).0.as_deref(), Some("20260605-00001"));
}
