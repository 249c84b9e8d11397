//! The desk on a real embedded journal and the Kamloops policy: the line, its deadlines, restarts, repeats and failures.

use super::*;
use crate::clock::Clock;
use crate::configuration::read_policy_folder;
use crate::incident::{Act, Bounds, CadNotice, DutyKind, Event, Owner, Phase, Refusal};
use crate::journal::{AdapterEvent, EmbeddedJournal, Journal, JournalError, Settings, UnavailableJournal};
use crate::policy::{Route, Status};
use crate::record::ProgramId;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

pub(super) const EVENING: &str = "2026-05-15T20:00:00-07:00";

fn profile() -> SenderProfile {
    SenderProfile {
        agency: "kamloops.example".into(),
        element: "cad.kamloops.example".into(),
        time_zone: jiff::tz::TimeZone::get("America/Vancouver").unwrap(),
        layout: None,
        call_types: None,
    }
}

fn policy() -> Arc<Policy> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/policy/library/kamloops");
    Arc::new(Policy::compile(&read_policy_folder(&folder).unwrap()).unwrap())
}

pub(super) fn journal(folder: &Path) -> Arc<dyn Journal> {
    Arc::new(EmbeddedJournal::open(&Settings::new(folder.join("journal.db"))).unwrap())
}

pub(super) async fn desk_on(journal: Arc<dyn Journal>, speed: f64) -> Desk {
    let senders = BTreeMap::from([("default".to_owned(), profile())]);
    let clock = Clock::starting_at(EVENING.parse().unwrap(), speed);
    Desk::open(clock, journal, Some(policy()), senders).await.unwrap()
}

/// What a desk hands to the outbox, kept.
fn outgoing(desk: &Desk) -> Arc<Mutex<Vec<(String, Act)>>> {
    let kept: Arc<Mutex<Vec<(String, Act)>>> = Arc::default();
    let into = Arc::clone(&kept);
    desk.deliver_through(Box::new(move |out| into.lock().unwrap().push((out.effect.key, out.effect.act))));
    kept
}

pub(super) fn record(incident: &str, started: &str, weapon: &str) -> Bytes {
    let component = |id: &str, more: &str| {
        format!(
            r#"{{"$id":"{id}","lastUpdateTimeStamp":"{started}","updatedByAgencyReference":{{"$ref":"kamloops.example"}}{more}}}"#
        )
    };
    let place = "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:gp='urn:ietf:params:xml:ns:pidf:geopriv10' \
        xmlns:gml='http://www.opengis.net/gml' entity='pres:c@kamloops.example'><tuple id='t'><status><gp:geopriv>\
        <gp:location-info><gml:Point srsName='urn:ogc:def:crs:EPSG::4326'><gml:pos>50.6980 -120.3700</gml:pos>\
        </gml:Point></gp:location-info></gp:geopriv></status></tuple></presence>";
    let incident_part =
        component("inc", r#","incidentTypeCommonRegistryText":"WELFARE","locationReference":[{"$ref":"loc"}]"#);
    let call = component(
        "call",
        &format!(
            r#","direction":"incoming","standardPrimaryCallType":"emergency","callStateRegistryText":"callAnswered","callStartTimestamp":"{started}""#
        ),
    );
    let location = component(
        "loc",
        &format!(r#","locationTypeDescriptionRegistryText":"CurrentIncident","locationByValue":"{place}""#),
    );
    let agency = component(
        "kamloops.example",
        r#","agencyRoleDescriptionRegistryText":["CallReceiving"],"agencyType":["psap"]"#,
    );
    let facts = format!(
        r#"{{"weapon":"{weapon}","violence":"none","self_harm":"none","medical":"none","crime":"none","setting":"outdoors","housing":"unsheltered","age":"40"}}"#
    );
    let whole = component(
        &format!("urn:emergency:uid:incidentid:{incident}:kamloops.example"),
        &format!(
            r#","eidoVersion":"1.0","issuingElementIdentification":"cad.kamloops.example","x_fourth_facts":{facts},"incidentComponent":{incident_part},"callComponent":[{call}],"locationComponent":[{location}],"agencyComponent":[{agency}]"#
        ),
    );
    Bytes::from(whole)
}

pub(super) fn by() -> Actor {
    Actor::CallTaker("position-1".into())
}

pub(super) fn team() -> Actor {
    Actor::Team("cso-north".into())
}

async fn eligible(desk: &Desk, name: &str) -> Answer {
    let answer = desk.receive(record(name, EVENING, "none"), None, "default").await.unwrap();
    assert_eq!(answer.decision.status, Status::Eligible, "{:?}", answer.decision);
    answer
}

#[tokio::test]
async fn a_call_is_decided_offered_accepted_and_cleared_and_the_cad_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk_on(journal(folder.path()), 1.0).await;
    let out = outgoing(&desk);
    let answer = eligible(&desk, "one").await;
    let chosen = desk.choose(&answer.incident, Choice::Accept, by()).await.unwrap();
    let leg = chosen.incident.legs[0].id.clone();
    assert_eq!(
        (chosen.incident.phase, &chosen.incident.owner),
        (Phase::Offered, &Owner::Psap),
        "the PSAP owns what is only offered"
    );
    let accepted = desk.command(&answer.incident, Command::AcceptLeg { leg: leg.clone(), by: team() }).await.unwrap();
    assert_eq!(accepted.incident.owner, Owner::Team(leg.clone()));
    let disposition = crate::incident::Disposition::Supported;
    let cleared =
        desk.command(&answer.incident, Command::ClearLeg { leg, disposition, party: None, by: team() }).await.unwrap();
    assert_eq!((cleared.incident.phase, &cleared.incident.owner), (Phase::Closed, &Owner::Psap));
    let kinds: Vec<_> = out.lock().unwrap().iter().map(|(_, act)| std::mem::discriminant(act)).collect();
    assert_eq!(kinds.len(), 3, "the offer, the acceptance and the clearance: {:?}", out.lock().unwrap());
}

#[tokio::test]
async fn a_repeat_changes_nothing_and_a_weapon_learnt_later_takes_the_offer_back() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk_on(journal(folder.path()), 1.0).await;
    let out = outgoing(&desk);
    let answer = eligible(&desk, "two").await;
    let again = desk.receive(record("two", EVENING, "none"), None, "default").await.unwrap();
    assert!(again.repeat && again.state.version == answer.state.version);
    desk.choose(&answer.incident, Choice::Accept, by()).await.unwrap();
    let worse = desk.receive(record("two", "2026-05-15T20:01:00-07:00", "present"), None, "default").await.unwrap();
    assert_eq!(worse.incident, answer.incident, "a later record of the same incident");
    let view = desk.view(&answer.incident).await.unwrap();
    assert_eq!((view.incident.phase, &view.incident.owner), (Phase::Ordinary, &Owner::Psap));
    let told = out.lock().unwrap().iter().any(|(_, act)| matches!(act, Act::TellCad(CadNotice::OrdinaryRoute { .. })));
    assert!(told, "the CAD hears that the call is back");
    let poorer = desk.receive(record("two", "2026-05-15T20:02:00-07:00", "none"), None, "default").await.unwrap();
    assert_eq!(poorer.facts.value("weapon"), Some("present"), "a poorer record clears no danger");
}

#[tokio::test]
async fn a_deadline_nobody_answers_brings_the_call_back() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk_on(journal(folder.path()), 600.0).await;
    let timers = desk.clone();
    let running = tokio::spawn(async move { timers.run_deadlines().await });
    let answer = eligible(&desk, "three").await;
    desk.choose(&answer.incident, Choice::Accept, by()).await.unwrap();
    let back = async {
        loop {
            let view = desk.view(&answer.incident).await.unwrap();
            if view.incident.phase == Phase::Ordinary {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let view = tokio::time::timeout(Duration::from_secs(20), back).await.expect("every leg times out");
    assert_eq!(view.incident.owner, Owner::Psap);
    let late =
        desk.command(&answer.incident, Command::AcceptLeg { leg: view.incident.legs[0].id.clone(), by: team() }).await;
    assert!(matches!(late, Err(CallProblem::Refused(Refusal::NoLongerYours { .. }))));
    running.abort();
}

#[tokio::test]
async fn a_restart_rebuilds_every_incident_its_deadline_and_what_is_undelivered() {
    let folder = tempfile::tempdir().unwrap();
    let (before, keys) = {
        let desk = desk_on(journal(folder.path()), 1.0).await;
        let out = outgoing(&desk);
        let answer = eligible(&desk, "four").await;
        let view = desk.choose(&answer.incident, Choice::Accept, by()).await.unwrap();
        let keys: Vec<String> = out.lock().unwrap().iter().map(|(key, _)| key.clone()).collect();
        (view, keys)
    };
    let desk = desk_on(journal(folder.path()), 1.0).await;
    let out = outgoing(&desk);
    desk.resume().await;
    let after = desk.view(&before.incident.id).await.unwrap();
    assert_eq!(after.incident, before.incident, "recovery is the live transition");
    assert_eq!(after.record, before.record, "the record is decoded again from the content store");
    let resumed: Vec<String> = out.lock().unwrap().iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(resumed, keys, "what was not reported as delivered goes out again under the same key");
    assert_eq!(desk.find("urn:emergency:uid:incidentid:four:kamloops.example"), Some(before.incident.id.clone()));
}

#[tokio::test]
async fn bad_bytes_are_refused_and_the_refusal_is_journaled_without_them() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk_on(journal(folder.path()), 1.0).await;
    let refused = desk.receive(Bytes::from_static(b"{\"Canary\": "), None, "default").await;
    assert!(matches!(refused, Err(CallProblem::Decode(_))));
    let entries = desk.journal().read_after(0, 10).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert!(!serde_json::to_string(&entries).unwrap().contains("Canary"));
    assert!(matches!(desk.receive(Bytes::new(), None, "nobody").await, Err(CallProblem::UnknownSender(_))));
}

#[tokio::test]
async fn without_a_journal_nothing_is_taken_and_nothing_is_left_behind() {
    let closed = UnavailableJournal::because(JournalError::Unavailable("test".into()));
    let desk = desk_on(Arc::new(closed), 1.0).await;
    let refused = desk.receive(record("five", EVENING, "none"), None, "default").await;
    assert!(matches!(refused, Err(CallProblem::Journal(JournalError::Unavailable(_)))));
    assert!(desk.open_incidents().is_empty());
    assert_eq!(desk.find("urn:emergency:uid:incidentid:five:kamloops.example"), None);
}

#[tokio::test]
async fn without_a_policy_every_call_takes_the_ordinary_route_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let senders = BTreeMap::from([("default".to_owned(), profile())]);
    let clock = Clock::starting_at(EVENING.parse().unwrap(), 1.0);
    let desk = Desk::open(clock, journal(folder.path()), None, senders).await.unwrap();
    let answer = desk.receive(record("six", EVENING, "none"), None, "default").await.unwrap();
    assert_eq!(answer.decision.status, Status::NotAssessed { why: "no-policy".into() });
    assert!(!answer.decision.reasons.is_empty());
    let answered = desk.answer(&answer.incident, "weapon", "none", by()).await;
    assert!(matches!(answered, Err(CallProblem::NoPolicy)));
}

#[tokio::test]
async fn danger_heard_without_a_policy_is_known_to_the_one_that_comes() {
    let folder = tempfile::tempdir().unwrap();
    let senders = BTreeMap::from([("default".to_owned(), profile())]);
    let clock = Clock::starting_at(EVENING.parse().unwrap(), 1.0);
    let desk = Desk::open(clock, journal(folder.path()), None, senders).await.unwrap();
    desk.receive(record("fourteen", EVENING, "used"), None, "default").await.unwrap();
    desk.put_policy(policy()).await.unwrap();
    let answer = desk.receive(record("fourteen", EVENING, "none"), None, "default").await.unwrap();
    assert_eq!(answer.facts.value("weapon"), Some("used"), "a poorer record clears nothing");
    assert_eq!(answer.decision.route, Route::Ordinary);
    // The agency's own words could not be read: a person says that nothing else was there.
    let answer = desk.answer(&answer.incident, "weapon", "none", by()).await.unwrap();
    assert_eq!(answer.decision.route, Route::Ordinary);
    let answer = desk.answer(&answer.incident, "doubt", "no", by()).await.unwrap();
    assert_eq!(answer.decision.status, Status::Eligible);
}

#[tokio::test]
async fn danger_in_an_overtaken_record_is_known_though_no_policy_weighed_it() {
    let folder = tempfile::tempdir().unwrap();
    let senders = BTreeMap::from([("default".to_owned(), profile())]);
    let clock = Clock::starting_at(EVENING.parse().unwrap(), 1.0);
    let desk = Desk::open(clock, journal(folder.path()), None, senders).await.unwrap();
    let later = |second: u32| format!("2026-05-15T20:00:{second}-07:00");
    desk.receive(record("fifteen", &later(10), "none"), None, "default").await.unwrap();
    desk.receive(record("fifteen", EVENING, "used"), None, "default").await.unwrap();
    desk.put_policy(policy()).await.unwrap();
    let answer = desk.receive(record("fifteen", &later(20), "none"), None, "default").await.unwrap();
    assert_eq!(answer.facts.value("weapon"), Some("used"));
    assert_eq!(answer.decision.route, Route::Ordinary);
}

#[tokio::test]
async fn overrides_need_a_reason_and_never_pass_an_exclusion() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk_on(journal(folder.path()), 1.0).await;
    let answer = eligible(&desk, "seven").await;
    let silent = desk.choose(&answer.incident, Choice::Ordinary { reason: None }, by()).await;
    assert!(matches!(silent, Err(CallProblem::Refused(Refusal::ReasonRequired))));
    let armed = desk.receive(record("eight", EVENING, "used"), None, "default").await.unwrap();
    let program = ProgramId::new("cso-north");
    let forced = desk.choose(&armed.incident, Choice::Program { program, reason: "known to them".into() }, by()).await;
    assert!(matches!(forced, Err(CallProblem::Refused(Refusal::Excluded { .. }))), "{forced:?}");
    let nobody = ProgramId::new("nobody");
    let unknown = desk.choose(&answer.incident, Choice::Program { program: nobody, reason: "why".into() }, by()).await;
    assert!(matches!(unknown, Err(CallProblem::NoSuchProgram(_))));
}

#[tokio::test]
async fn a_name_used_again_after_the_close_is_a_new_incident() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk_on(journal(folder.path()), 1.0).await;
    let first = eligible(&desk, "nine").await;
    let chosen = desk.choose(&first.incident, Choice::Accept, by()).await.unwrap();
    let leg = chosen.incident.legs[0].id.clone();
    desk.command(&first.incident, Command::AcceptLeg { leg: leg.clone(), by: team() }).await.unwrap();
    let disposition = crate::incident::Disposition::Supported;
    desk.command(&first.incident, Command::ClearLeg { leg, disposition, party: None, by: team() }).await.unwrap();
    let second = desk.receive(record("nine", "2026-05-16T21:00:00-07:00", "none"), None, "default").await.unwrap();
    assert_ne!(second.incident, first.incident, "a counter that starts again swallows no call");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_make_one_incident_each_and_two_teams_never_own_one() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk_on(journal(folder.path()), 1.0).await;
    let answer = eligible(&desk, "ten").await;
    let chosen = desk.choose(&answer.incident, Choice::Accept, by()).await.unwrap();
    let leg = chosen.incident.legs[0].id.clone();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..32 {
        let (desk, leg, incident) = (desk.clone(), leg.clone(), answer.incident.clone());
        tasks.spawn(async move {
            let same = desk.receive(record("shared", EVENING, "none"), None, "default").await.unwrap();
            let by = Actor::Team(format!("device-{number}"));
            let _ = desk.command(&incident, Command::AcceptLeg { leg, by }).await;
            same.incident
        });
    }
    let incidents: std::collections::BTreeSet<_> = tasks.join_all().await.into_iter().collect();
    assert_eq!(incidents.len(), 1, "thirty-two copies of one record are one incident");
    let entries = desk.journal().read_incident(&answer.incident).await.unwrap();
    let accepted = entries
        .iter()
        .filter(|entry| {
            matches!(&entry.stored, crate::journal::Stored::Incident(crate::incident::Event::Accepted { .. }))
        })
        .count();
    assert_eq!(accepted, 1);
}

/// A policy that nobody could take for [`policy`]: another mode, and a program of another name.
fn other_policy() -> Arc<Policy> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/policy/library/kamloops");
    let mut files = read_policy_folder(&folder).unwrap();
    files.files.remove("cases.toml");
    let text = String::from_utf8(files.files.remove("policy.toml").unwrap()).unwrap();
    assert!(text.contains("mode = \"advise\"") && text.contains("cso-north"));
    let text = text.replace("mode = \"advise\"", "mode = \"shadow\"").replace("cso-north", "cso-elsewhere");
    files.files.insert("policy.toml".to_owned(), text.into_bytes());
    Arc::new(Policy::compile(&files).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_among_many_calls_gives_each_the_whole_of_one_revision() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk_on(journal(folder.path()), 1.0).await;
    let revisions = [desk.policy().unwrap(), other_policy()];
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..4 {
        let desk = desk.clone();
        tasks.spawn(async move {
            for number in 0..25 {
                let name = format!("reload-{task}-{number}");
                let answer = desk.receive(record(&name, EVENING, "none"), None, "default").await.unwrap();
                // A question answered is a decision too.
                desk.answer(&answer.incident, "consent", "given", by()).await.unwrap();
            }
        });
    }
    let mut turns = revisions.iter().rev().cycle();
    let mut loads = 0;
    while tasks.try_join_next().is_none_or(|done| done.is_ok()) && !tasks.is_empty() {
        desk.put_policy(Arc::clone(turns.next().unwrap())).await.unwrap();
        loads += 1;
    }
    let entries = desk.journal().read_after(0, 100_000).await.unwrap();
    let (mut received, mut decided, mut noted) = (None, [0, 0], Vec::new());
    for entry in &entries {
        match &entry.stored {
            crate::journal::Stored::Incident(crate::incident::Event::RecordReceived(event)) => {
                received = Some((entry.subject.clone(), entry.at, event.mode));
            }
            crate::journal::Stored::Incident(crate::incident::Event::Assessed { decision, facts, .. }) => {
                let place = revisions.iter().position(|policy| *policy.identity() == *decision.policy);
                let policy = &revisions[place.expect("one of the two, whole")];
                decided[place.unwrap()] += 1;
                let again = policy.decide(facts, &decision.gaps, entry.at, &Availability::default());
                assert_eq!(again, **decision, "the decision is that revision's own (invariant I9)");
                if let Some((subject, at, mode)) = received.take() {
                    assert_eq!((subject, at), (entry.subject.clone(), entry.at), "one record is one append");
                    assert_eq!(mode, policy.mode(), "the whole line of one record sees one revision");
                }
            }
            crate::journal::Stored::Adapter(AdapterEvent::PolicyLoaded { digest, replaces, .. }) => {
                noted.push((replaces.clone().unwrap(), digest.clone()));
            }
            _ => {}
        }
    }
    assert_eq!(decided.iter().sum::<i32>(), 200);
    assert_eq!(noted.len(), loads);
    let digests = revisions.map(|policy| policy.identity().digest.clone());
    assert_eq!(noted[0], (digests[0].clone(), digests[1].clone()));
    assert!(noted.windows(2).all(|pair| pair[0].1 == pair[1].0), "each load names the one it replaces");
}

#[tokio::test]
async fn the_roster_takes_a_team_off_duty_and_a_name_that_is_not_understood_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let desk = desk_on(journal(folder.path()), 1.0).await;
    let program = eligible(&desk, "before").await.decision.steps[0].legs[0].program.clone();
    let misspelt = Roster { unstaffed: vec![ProgramId::new("cso-nroth")], ..Roster::default() };
    let fault = desk.set_roster(misspelt).await.unwrap_err();
    let RosterFault::Unknown { nearest, .. } = fault else { panic!("{fault}") };
    assert_eq!(nearest.as_deref(), Some("cso-north"));
    let unknown = Roster { deciders_away: ["nobody".to_owned()].into(), ..Roster::default() };
    assert!(desk.set_roster(unknown).await.is_err());
    assert_eq!(desk.roster(), Roster::default(), "nothing of a roster that is not understood is taken");
    let away = Roster { unstaffed: vec![program.clone()], surge: true, ..Roster::default() };
    desk.set_roster(away.clone()).await.unwrap();
    let answer = desk.receive(record("after", EVENING, "none"), None, "default").await.unwrap();
    let option = answer.decision.options.iter().find(|option| option.program == program).unwrap();
    assert_eq!((&*option.code, &*option.why), ("no-unit", "nobody is on duty"));
    drop(desk);
    let desk = desk_on(journal(folder.path()), 1.0).await;
    assert_eq!(desk.roster(), away, "a restart brings nobody back on duty");
    desk.set_roster(Roster::default()).await.unwrap();
    drop(desk);
    let desk = desk_on(journal(folder.path()), 1.0).await;
    assert_eq!(desk.roster(), Roster::default());
}

#[tokio::test]
async fn a_new_policy_is_weighed_by_the_last_decision_on_each_recent_call_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/policy/library/kamloops");
    let mut files = read_policy_folder(&library).unwrap();
    files.files.remove("cases.toml");
    let row = "\n[[exclusion]]\nid = \"nobody\"\nage = \"40\"\nbecause = \"test\"\n";
    files.files.get_mut("policy.toml").unwrap().extend(row.as_bytes());
    let stricter = Policy::compile(&files).unwrap();
    let weighed =
        |desk: &Desk| [desk.recent_calls_diverted(&desk.policy().unwrap()), desk.recent_calls_diverted(&stricter)];
    {
        let desk = desk_on(journal(folder.path()), 1.0).await;
        for number in 0..6 {
            eligible(&desk, &format!("recent-{number}")).await;
        }
        let armed = desk.receive(record("recent-0", "2026-05-15T20:01:00-07:00", "used"), None, "default").await;
        assert!(!armed.unwrap().repeat);
        assert_eq!(weighed(&desk), [(5, 6), (0, 6)], "one call counts once, as it stands");
    }
    let desk = desk_on(journal(folder.path()), 1.0).await;
    assert_eq!(weighed(&desk), [(5, 6), (0, 6)]);
}

/// [`policy`] with an exclusion for a place that was called for within a week.
fn policy_for_repeats() -> Arc<Policy> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/policy/library/kamloops");
    let mut files = read_policy_folder(&folder).unwrap();
    files.files.remove("cases.toml");
    let row = "\n[[exclusion]]\nid = \"again\"\nrepeat_place = \">= 7d\"\nbecause = \"called for within a week\"\n";
    files.files.get_mut("policy.toml").unwrap().extend(row.as_bytes());
    Arc::new(Policy::compile(&files).unwrap())
}

async fn remembering(journal: Arc<dyn Journal>, at: &str) -> Desk {
    let senders = BTreeMap::from([("default".to_owned(), profile())]);
    let clock = Clock::starting_at(at.parse().unwrap(), 1.0);
    let desk = Desk::open(clock, journal, Some(policy_for_repeats()), senders).await.unwrap();
    desk.recognise_by(crate::facts::RepeatKey::new("a secret of this test, which nobody else has").unwrap());
    desk
}

#[tokio::test]
async fn a_place_called_for_again_is_recognised_before_and_after_a_restart_and_forgotten_after_a_month() {
    let folder = tempfile::tempdir().unwrap();
    let held = |answer: &Answer| answer.decision.exclusions.iter().any(|hit| hit.id == "again");
    {
        let desk = remembering(journal(folder.path()), EVENING).await;
        let first = eligible(&desk, "first").await;
        assert_eq!(first.facts.value("repeat_place"), None, "a new adapter does not know what it has not seen");
        let update = desk.receive(record("first", "2026-05-15T20:00:30-07:00", "none"), None, "default").await.unwrap();
        assert!(!update.repeat && !held(&update), "an incident is no repeat of itself");
        let second = desk.receive(record("second", EVENING, "none"), None, "default").await.unwrap();
        assert_eq!(second.facts.value("repeat_place"), Some("24h"));
        assert_eq!(second.facts.source("repeat_place"), Some(crate::facts::Source::History));
        assert!(held(&second) && second.decision.status != Status::Eligible, "{:?}", second.decision);
        assert!(desk.view(&second.incident).await.unwrap().incident.facts.value("repeat_place") == Some("24h"));
    }
    {
        let desk = remembering(journal(folder.path()), "2026-05-20T20:00:00-07:00").await;
        let id = desk.find("urn:emergency:uid:incidentid:second:kamloops.example").unwrap();
        let kept = desk.view(&id).await.unwrap();
        assert_eq!(kept.incident.facts.value("repeat_place"), Some("24h"), "what was decided on is what was journaled");
        let third = desk.receive(record("third", "2026-05-20T20:00:00-07:00", "none"), None, "default").await.unwrap();
        assert_eq!(third.facts.value("repeat_place"), Some("7d"), "rebuilt from the journal");
        let entries = serde_json::to_string(&desk.journal().read_after(0, 100).await.unwrap()).unwrap();
        assert!(entries.contains("\"contact\"") && !entries.contains("50.698"), "hashes, and no place");
    }
    let desk = remembering(journal(folder.path()), "2026-07-20T20:00:00-07:00").await;
    let last = desk.receive(record("last", "2026-07-20T20:00:00-07:00", "none"), None, "default").await.unwrap();
    assert_eq!(last.facts.value("repeat_place"), Some("none"), "{:?}", last.facts);
    assert!(!held(&last));
}

/// [`policy`] in which every rule owes a follow-up within 48 hours.
fn policy_that_follows_up() -> Arc<Policy> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/policy/library/kamloops");
    let mut files = read_policy_folder(&folder).unwrap();
    let text = files.files.get_mut("policy.toml").unwrap();
    let said = String::from_utf8(text.clone()).unwrap();
    let said = said.replace("\nfollow_up = [\"48h\"]", "\n");
    *text = said.replace("\nsend = [", "\nfollow_up = [\"48h\"]\nsend = [").into_bytes();
    Arc::new(Policy::compile(&files).unwrap())
}

async fn following_up(journal: Arc<dyn Journal>, at: &str) -> Desk {
    let senders = BTreeMap::from([("default".to_owned(), profile())]);
    let clock = Clock::starting_at(at.parse().unwrap(), 1.0);
    let desk = Desk::open(clock, journal, Some(policy_that_follows_up()), senders).await.unwrap();
    desk.watch(Bounds::default());
    desk
}

/// Faults 43 and 57: what a closed call still owes is as durable as its deadline.
#[tokio::test]
async fn a_follow_up_outlives_the_call_and_the_process_and_is_an_alarm_when_late() {
    let folder = tempfile::tempdir().unwrap();
    let kinds = |desk: &Desk| desk.owed().iter().map(|duty| duty.kind).collect::<Vec<_>>();
    let owed = {
        let desk = following_up(journal(folder.path()), EVENING).await;
        let answer = eligible(&desk, "owed").await;
        let chosen = desk.choose(&answer.incident, Choice::Accept, by()).await.unwrap();
        let leg = chosen.incident.legs[0].id.clone();
        desk.command(&answer.incident, Command::AcceptLeg { leg: leg.clone(), by: team() }).await.unwrap();
        assert_eq!(kinds(&desk), [DutyKind::EnRoute]);
        let disposition = crate::incident::Disposition::Supported;
        let clear = Command::ClearLeg { leg, disposition, party: None, by: team() };
        let cleared = desk.command(&answer.incident, clear).await.unwrap();
        assert_eq!(cleared.incident.phase, Phase::Closed);
        assert_eq!(kinds(&desk), [DutyKind::FollowUp]);
        desk.owed()
    };
    let desk = following_up(journal(folder.path()), "2026-05-20T20:00:00-07:00").await;
    assert_eq!(desk.owed(), owed, "a restart moves no deadline");
    let out = outgoing(&desk);
    let mut entries = desk.subscribe();
    let running = desk.clone();
    let deadlines = tokio::spawn(async move { running.run_deadlines().await });
    let late = tokio::time::timeout(Duration::from_secs(60), entries.recv()).await.unwrap().unwrap();
    deadlines.abort();
    let expected =
        Event::DutyOverdue { duty: owed[0].id.clone(), kind: DutyKind::FollowUp, program: owed[0].program.clone() };
    assert_eq!(late.stored, crate::journal::Stored::Incident(expected));
    let alarms =
        out.lock().unwrap().iter().filter(|(_, act)| matches!(act, Act::TellCad(CadNotice::Overdue { .. }))).count();
    assert_eq!(alarms, 1, "and the CAD is told");
    assert_eq!(desk.owed()[0].state, crate::incident::DutyState::Overdue);
    let duty = owed[0].id.clone();
    let done = Command::CloseDuty { duty, outcome: crate::incident::DutyOutcome::NotReached, by: team() };
    desk.command(&owed[0].id.incident(), done).await.unwrap();
    assert!(desk.owed().is_empty());
}
