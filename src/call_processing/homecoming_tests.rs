//! Two desks on one database, the line of one of them cut: what it may do alone, and what becomes of it afterwards.

use super::tests::{EVENING, by, desk_on, record};
use super::*;
use crate::incident::{Act, CadNotice, Effect, Event, Owner, Phase, Refusal};
use crate::journal::server::{Cluster, Line};
use crate::journal::{
    AwayJournal, EmbeddedJournal, Entry, Journal, PostgresJournal, PostgresSettings, Settings, Stored,
};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;
use tokio::task::JoinSet;

/// A desk with its tasks, as `app.rs` starts them.
struct Served {
    desk: Desk,
    sent: Arc<Mutex<Vec<Effect>>>,
    _tasks: JoinSet<()>,
}

async fn serve(journal: Arc<dyn Journal>) -> Served {
    let desk = desk_on(journal, 1.0).await;
    let sent: Arc<Mutex<Vec<Effect>>> = Arc::default();
    let into = Arc::clone(&sent);
    desk.deliver_through(Box::new(move |out| into.lock().unwrap().push(out.effect)));
    let mut tasks = JoinSet::new();
    let (sharing, deadlines) = (desk.clone(), desk.clone());
    tasks.spawn(async move { sharing.run_sharing().await });
    tasks.spawn(async move { deadlines.run_deadlines().await });
    Served { desk, sent, _tasks: tasks }
}

fn settings(url: &str, adapter: &str) -> PostgresSettings {
    let settings = PostgresSettings::new(url.parse().unwrap(), "a", adapter);
    PostgresSettings { append_deadline_ms: 700, read_deadline_ms: 1_000, away_after_ms: 1_000, ..settings }
}

async fn east(line: &Line, folder: &Path) -> Served {
    let local = Settings::new(folder.join("away.db"));
    serve(Arc::new(AwayJournal::open(&settings(&line.url(), "east"), &local).await.unwrap())).await
}

async fn west(cluster: &Cluster) -> Served {
    serve(Arc::new(PostgresJournal::open(&settings(&cluster.url(&[]), "west")).await.unwrap())).await
}

async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let started = monotonic_now();
    while !look().await {
        assert!(started.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn goes_away(served: &Served, line: &Line) {
    line.cut();
    until("it is away", async || served.desk.journal_away_since().is_some()).await;
}

/// Mends the line, and waits until the local journal is sealed and the next one begun.
async fn comes_home(served: &Served, line: &Line, folder: &Path) {
    line.mend();
    until("everything is home", async || folder.join("away.db.2").exists()).await;
    assert!(served.desk.journal_away_since().is_none() && served.desk.incidents_apart() == 0);
}

/// Everything in the database, in order, by a reader that takes no part.
async fn entries(cluster: &Cluster) -> Vec<Entry> {
    let reader = PostgresJournal::open(&settings(&cluster.url(&[]), "reader")).await.unwrap();
    reader.read_after(0, 10_000).await.unwrap()
}

fn events<'a>(entries: &'a [Entry], incident: &IncidentId) -> Vec<&'a Event> {
    let of_it = |entry: &'a Entry| match &entry.stored {
        Stored::Incident(event) if entry.subject == crate::journal::Subject::Incident(incident.clone()) => Some(event),
        Stored::Incident(_) | Stored::Adapter(_) => None,
    };
    entries.iter().filter_map(of_it).collect()
}

fn received(entries: &[Entry], name: &str) -> usize {
    let of_it = |entry: &&Entry| matches!(&entry.stored, Stored::Incident(Event::RecordReceived(received)) if received.identity.incident.contains(name));
    entries.iter().filter(of_it).count()
}

async fn receive(served: &Served, name: &str, weapon: &str) -> Answer {
    // Refused while it is being found out that the database is away, as a CAD sees it: sent again.
    let started = monotonic_now();
    loop {
        match served.desk.receive(record(name, EVENING, weapon), None, "default").await {
            Ok(answer) => return answer,
            Err(problem) => assert!(started.elapsed() < Duration::from_secs(30), "{problem}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn offered(served: &Served, name: &str) -> (IncidentId, LegId) {
    let answer = receive(served, name, "none").await;
    let chosen = served.desk.choose(&answer.incident, Choice::Accept, by()).await.unwrap();
    (answer.incident, chosen.incident.legs[0].id.clone())
}

fn team() -> Actor {
    Actor::Team("cso-north".into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_on_while_the_database_is_away_none_is_handed_over_and_all_come_home_as_they_were() {
    let (cluster, folder) = (Cluster::start(&[]), tempfile::tempdir().unwrap());
    let line = Line::to(&cluster);
    let east = east(&line, folder.path()).await;
    let (open, open_leg) = offered(&east, "open").await;
    let (taken, taken_leg) = offered(&east, "taken").await;
    east.desk.command(&taken, Command::AcceptLeg { leg: taken_leg.clone(), by: team() }).await.unwrap();
    goes_away(&east, &line).await;

    let new = receive(&east, "new", "none").await;
    assert_eq!(new.decision.status.name(), "eligible", "decided and shown");
    let chosen = east.desk.choose(&new.incident, Choice::Accept, by()).await;
    let away = || Refusal::NothingToChoose { why: "journal-away".to_owned() };
    assert!(matches!(&chosen, Err(CallProblem::Refused(refusal)) if *refusal == away()), "{chosen:?}");
    let accepted = east.desk.command(&open, Command::AcceptLeg { leg: open_leg, by: team() }).await;
    assert!(matches!(accepted, Err(CallProblem::Refused(Refusal::NoLongerYours { .. }))), "{accepted:?}");
    // A team that has a call goes on with it, and danger recalls it as ever.
    let moved = Command::MoveLeg { leg: taken_leg, status: crate::record::TimePoint::EnRoute, by: team() };
    east.desk.command(&taken, moved).await.unwrap();
    let view = east.desk.view(&taken).await.unwrap();
    assert_eq!(view.incident.owner, Owner::Team(view.incident.legs[0].id.clone()));
    east.desk.receive(record("taken", "2026-05-15T20:01:00-07:00", "present"), None, "default").await.unwrap();
    let recalled = east.desk.view(&taken).await.unwrap().incident;
    assert_eq!(recalled.owner, Owner::Psap);
    assert!(east.sent.lock().unwrap().iter().any(|sent| matches!(sent.act, Act::StandBack { .. })), "and it is told");
    assert_eq!(east.desk.incidents_apart(), 2);

    comes_home(&east, &line, folder.path()).await;
    let entries = entries(&cluster).await;
    for name in ["open", "new"] {
        assert_eq!(received(&entries, name), 1, "{name}");
    }
    assert_eq!(received(&entries, "taken"), 2);
    let (_, new_events) = (east.desk.view(&new.incident).await.unwrap(), events(&entries, &new.incident));
    assert_eq!(new_events.len(), 2, "received and assessed: {new_events:?}");
    let folded = |id: &IncidentId| {
        let of_it: Vec<Entry> = entries
            .iter()
            .filter(|entry| entry.subject == crate::journal::Subject::Incident(id.clone()))
            .cloned()
            .collect();
        crate::journal::fold(id, &of_it)
    };
    assert_eq!(folded(&taken), *recalled, "the very story that went on here");
    assert_eq!(folded(&new.incident), *east.desk.view(&new.incident).await.unwrap().incident);
    // And hands are free again.
    let chosen = east.desk.choose(&new.incident, Choice::Accept, by()).await.unwrap();
    assert_eq!(chosen.incident.phase, Phase::Offered);
    let sealed = EmbeddedJournal::open_read_only(&folder.path().join("away.db.1")).unwrap();
    assert_eq!(sealed.verify(&mut |_, _| {}).unwrap().fault, None, "kept");
}

/// Fault 68: both alive, and one of them cut off from the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_are_parted_the_one_without_the_database_makes_no_second_owner_and_its_danger_is_not_unlearnt() {
    let (cluster, folder) = (Cluster::start(&[]), tempfile::tempdir().unwrap());
    let line = Line::to(&cluster);
    let (east, west) = (east(&line, folder.path()).await, west(&cluster).await);
    let (call, leg) = offered(&east, "call").await;
    let (other, other_leg) = offered(&east, "other").await;
    until("west knows of both", async || west.desk.view(&call).await.is_ok() && west.desk.view(&other).await.is_ok())
        .await;
    goes_away(&east, &line).await;
    // The team accepts where the database is, and is refused where it is not.
    let accept = |leg: &LegId| Command::AcceptLeg { leg: leg.clone(), by: team() };
    for (incident, leg) in [(&call, &leg), (&other, &other_leg)] {
        west.desk.command(incident, accept(leg)).await.unwrap();
        assert!(east.desk.command(incident, accept(leg)).await.is_err());
    }
    // East hears of a weapon in the one call, and of a call-taker's mind changed in the other.
    east.desk.receive(record("call", "2026-05-15T20:01:00-07:00", "present"), None, "default").await.unwrap();
    let reason = Some("caller-insists".to_owned());
    east.desk.choose(&other, Choice::Ordinary { reason }, by()).await.unwrap();
    east.desk
        .command(
            &other,
            Command::Backup {
                leg: None,
                service: crate::incident::BackupService::Ems,
                team_requested: false,
                by: by(),
            },
        )
        .await
        .unwrap();
    for incident in [&call, &other] {
        assert_eq!(east.desk.view(incident).await.unwrap().incident.owner, Owner::Psap, "nobody but the PSAP, there");
    }
    comes_home(&east, &line, folder.path()).await;

    let entries = entries(&cluster).await;
    let accepted =
        |id: &IncidentId| events(&entries, id).iter().filter(|event| matches!(event, Event::Accepted { .. })).count();
    assert_eq!((accepted(&call), accepted(&other)), (1, 1), "one acceptance each");
    let call_events = events(&entries, &call);
    let at = |find: fn(&Event) -> bool| call_events.iter().position(|event| find(event));
    let (kept, accepted, stood_back) = (
        at(|event| matches!(event, Event::KeptApart { .. })).expect("kept"),
        at(|event| matches!(event, Event::Accepted { .. })).unwrap(),
        at(|event| matches!(event, Event::StoodBack { .. })).expect("the danger recalls west's team"),
    );
    assert!(accepted < stood_back && accepted < kept);
    assert_eq!(received(&entries, "call"), 2, "the record that only east had is in the one story, once");
    for served in [&east, &west] {
        until("both see the PSAP's call", async || {
            served.desk.view(&call).await.is_ok_and(|view| view.incident.owner == Owner::Psap)
        })
        .await;
        until("and the team's", async || {
            served.desk.view(&other).await.is_ok_and(|view| view.incident.owner == Owner::Team(other_leg.clone()))
        })
        .await;
    }
    // The CAD is told again whose each call was found to be.
    let kept_at = |id: &IncidentId| {
        let kept =
            events(&entries, id).iter().position(|event| matches!(event, Event::KeptApart { .. })).expect("kept");
        Effect::key_of(id, kept as u64 + 1, 1, "cad")
    };
    let told = |id: &IncidentId| {
        let key = kept_at(id);
        east.sent.lock().unwrap().iter().find(|sent| sent.key == key).map(|sent| sent.act.clone())
    };
    for incident in [&call, &other] {
        assert!(matches!(told(incident), Some(Act::TellCad(CadNotice::TeamAccepted { .. }))), "{:?}", told(incident));
    }
    let came_back = east.sent.lock().unwrap().iter().any(|sent| {
        let of_it = sent.key.starts_with(call.as_str()) && sent.key.contains("-1.");
        of_it && matches!(&sent.act, Act::TellCad(CadNotice::OrdinaryRoute { why }) if why == "hazard")
    });
    assert!(came_back, "and, after that, that the one is back on the ordinary route");
    let backups =
        events(&entries, &other).iter().filter(|event| matches!(event, Event::BackupRequested { .. })).count();
    assert_eq!(backups, 1, "said again to the story as it went on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_that_starts_while_the_database_is_away_takes_calls_and_a_known_one_is_found_out_to_be_known() {
    let (cluster, folder) = (Cluster::start(&[]), tempfile::tempdir().unwrap());
    let line = Line::to(&cluster);
    let west = west(&cluster).await;
    let (known, _) = offered(&west, "known").await;
    line.cut();
    let east = east(&line, folder.path()).await;
    assert!(east.desk.journal_away_since().is_some() && east.desk.journal().ready());
    let again = receive(&east, "known", "none").await;
    assert_ne!(again.incident, known, "it cannot know");
    let armed =
        east.desk.receive(record("known", "2026-05-15T20:01:00-07:00", "present"), None, "default").await.unwrap();
    assert_eq!(armed.incident, again.incident);
    let new = receive(&east, "new", "none").await;
    comes_home(&east, &line, folder.path()).await;

    let entries = entries(&cluster).await;
    assert!(events(&entries, &again.incident).is_empty(), "one call is one incident");
    assert_eq!(received(&entries, "known"), 2, "the first came to west, the second to east");
    assert_eq!(received(&entries, "new"), 1);
    let story = events(&entries, &known);
    assert!(
        story.iter().any(|event| matches!(event, Event::KeptApart { incident, .. } if *incident == again.incident))
    );
    for served in [&east, &west] {
        until("the weapon has brought the call back", async || {
            served.desk.view(&known).await.is_ok_and(|view| view.incident.phase == Phase::Ordinary)
        })
        .await;
    }
    let later =
        east.desk.receive(record("known", "2026-05-15T20:02:00-07:00", "present"), None, "default").await.unwrap();
    assert_eq!(later.incident, known, "and its next record finds it");
    assert_eq!(events(&entries, &new.incident).len(), 2);
}

/// Broken off at every place: what is home is recognised, and the rest is brought.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_homecoming_that_is_broken_off_and_begun_again_brings_everything_once() {
    let (cluster, folder) = (Cluster::start(&[]), tempfile::tempdir().unwrap());
    let line = Line::to(&cluster);
    let first = east(&line, folder.path()).await;
    let west = west(&cluster).await;
    let (moved_on, leg) = offered(&first, "moved-on").await;
    until("west knows of it", async || west.desk.view(&moved_on).await.is_ok()).await;
    goes_away(&first, &line).await;
    for number in 0..12 {
        receive(&first, &format!("new{number}"), "none").await;
    }
    first.desk.receive(record("moved-on", "2026-05-15T20:01:00-07:00", "present"), None, "default").await.unwrap();
    west.desk.command(&moved_on, Command::AcceptLeg { leg, by: team() }).await.unwrap();
    let copy = |to: &Path| {
        for end in ["", "-wal"] {
            let from = folder.path().join(format!("away.db.1{end}"));
            if from.exists() {
                std::fs::copy(from, to.join(format!("away.db.1{end}"))).unwrap();
            }
        }
    };
    // What a process that was killed leaves: the file as it was before anything was brought home.
    let killed = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    killed.iter().for_each(|folder| copy(folder.path()));
    drop(first);
    line.mend();
    // One that is killed when some of it is home, and one after all of it was, before it could note so.
    let half = east(&line, killed[0].path()).await;
    until("some of it is home", async || half.desk.incidents_apart() < 10).await;
    drop(half);
    let copied = east(&line, killed[1].path()).await;
    comes_home(&copied, &line, killed[1].path()).await;
    let before = entries(&cluster).await;
    drop(copied);
    let again = east(&line, folder.path()).await;
    comes_home(&again, &line, folder.path()).await;

    let entries = entries(&cluster).await;
    for number in 0..12 {
        assert_eq!(received(&entries, &format!("new{number}:")), 1, "new{number}");
    }
    assert_eq!(received(&entries, "moved-on"), 2);
    let kept = events(&entries, &moved_on).iter().filter(|event| matches!(event, Event::KeptApart { .. })).count();
    assert_eq!(kept, 1, "kept once");
    let told = |entries: &[Entry]| entries.iter().filter(|entry| matches!(entry.stored, Stored::Adapter(_))).count();
    assert_eq!(told(&entries), told(&before), "and noted once");
}

/// Under a key file the local files hold nothing to be read, and what comes home is under the shared journal's keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_under_keys_here_and_at_home() {
    let (cluster, folder) = (Cluster::start(&[]), tempfile::tempdir().unwrap());
    let key_file = Some(folder.path().join("key"));
    std::fs::write(folder.path().join("key"), "a".repeat(64)).unwrap();
    let line = Line::to(&cluster);
    let keyed = |settings: PostgresSettings| PostgresSettings { key_file: key_file.clone(), ..settings };
    let local = Settings { key_file: key_file.clone(), ..Settings::new(folder.path().join("away.db")) };
    let shared = keyed(settings(&line.url(), "east"));
    let east = serve(Arc::new(AwayJournal::open(&shared, &local).await.unwrap())).await;
    let known = receive(&east, "known", "none").await.incident;
    goes_away(&east, &line).await;
    let new = receive(&east, "new", "none").await.incident;
    let update = record("known", "2026-05-15T20:01:00-07:00", "unknown");
    east.desk.receive(update.clone(), None, "default").await.unwrap();
    // Stands in the records and in no event.
    let stands_in = |bytes: &[u8]| bytes.windows(7).any(|window| window == b"gml:pos");
    assert!(stands_in(&update));
    for suffix in ["1", "1-wal"] {
        let kept = std::fs::read(folder.path().join(format!("away.db.{suffix}"))).unwrap_or_default();
        assert!(!stands_in(&kept), "{suffix}");
    }
    assert!(east.desk.view(&new).await.unwrap().record.is_some(), "but whoever has the key reads it");
    comes_home(&east, &line, folder.path()).await;
    let west = PostgresJournal::open(&keyed(settings(&cluster.url(&[]), "west"))).await.unwrap();
    let entries = west.read_after(0, 10_000).await.unwrap();
    let mut records = Vec::new();
    for entry in &entries {
        let Stored::Incident(Event::RecordReceived(received)) = &entry.stored else { continue };
        let crate::journal::Subject::Incident(incident) = &entry.subject else { panic!("{entry:?}") };
        records.push(west.content(incident, &received.identity.content_sha256).await.unwrap().unwrap());
    }
    assert_eq!(records.len(), 3);
    assert!(records.contains(&update) && records.iter().all(|bytes| stands_in(bytes)));
    let of_incidents =
        "incident IN ($i$KNOWN$i$, $i$NEW$i$)".replace("KNOWN", known.as_str()).replace("NEW", new.as_str());
    let keys = cluster.sql(&format!("SELECT count(*) FROM fourth.incident_key WHERE {of_incidents}"));
    let locked = cluster.sql(&format!("SELECT count(*) FROM fourth.record WHERE locked AND {of_incidents}"));
    let open = cluster.sql("SELECT count(*) FROM fourth.record WHERE position('gml:pos'::bytea IN bytes) > 0");
    assert_eq!((keys.as_str(), locked.as_str(), open.as_str()), ("2", "3", "0"));
    // With another key file the shared journal is not taken for one that is away.
    std::fs::write(folder.path().join("other"), "b".repeat(64)).unwrap();
    let other = Some(folder.path().join("other"));
    let elsewhere = tempfile::tempdir().unwrap();
    let local = Settings { key_file: other.clone(), ..Settings::new(elsewhere.path().join("away.db")) };
    let shared = PostgresSettings { key_file: other, ..settings(&cluster.url(&[]), "north") };
    let refused = AwayJournal::open(&shared, &local).await.unwrap_err();
    assert!(refused.to_string().contains("under another key file"), "{refused}");
}

/// An adapter without its line to the database while a period is dropped: what ended in it is gone from memory too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_was_dropped_with_its_period_while_the_line_was_cut_is_gone_from_memory_too() {
    let cluster = Cluster::start(&[]);
    let line = Line::to(&cluster);
    let west = serve(Arc::new(PostgresJournal::open(&settings(&line.url(), "west")).await.unwrap())).await;
    let dropped = receive(&west, "dropped", "none").await.incident;
    let stays = receive(&west, "stays", "none").await.incident;
    line.cut();
    let upkeep = PostgresJournal::open_for_upkeep(&settings(&cluster.url(&[]), "west")).await.unwrap();
    let closed = async |incident: &IncidentId| {
        let story = upkeep.read_incident(incident).await.unwrap();
        let last = story.last().unwrap().clone();
        let events = vec![Stored::Incident(Event::Closed { why: "cleared".to_owned() })];
        let told = crate::journal::Standing { rests: true, next_deadline: None, called: None };
        let subject = crate::journal::Subject::Incident(incident.clone());
        let batch = crate::journal::Batch::new(subject, last.version, last.at, events);
        upkeep.append(crate::journal::Batch { standing: Some(told), ..batch }).await.unwrap().pop().unwrap()
    };
    closed(&dropped).await;
    let now = jiff::Timestamp::MAX;
    let seal = upkeep.seal(now, EVENING.parse().unwrap()).await.unwrap().unwrap();
    let refused = upkeep.drop_sealed(seal.through, EVENING.parse().unwrap()).await.unwrap_err().to_string();
    assert!(refused.contains(stays.as_str()) && refused.contains("is open"), "{refused}");
    closed(&stays).await;
    upkeep.drop_sealed(seal.through, EVENING.parse().unwrap()).await.unwrap();
    assert!(west.desk.view(&dropped).await.is_ok(), "it has heard nothing of all this");
    line.mend();
    for incident in [&dropped, &stays] {
        until("it is gone", async || matches!(west.desk.view(incident).await, Err(CallProblem::NoSuchIncident))).await;
    }
    // The sender's name is free again, and the adapter serves.
    let again = receive(&west, "dropped", "none").await.incident;
    assert_ne!(again, dropped, "a new incident under a name of its own");
    assert_eq!(
        upkeep.read_incident(&again).await.unwrap().len(),
        west.desk.view(&again).await.unwrap().incident.version as usize
    );
}
