//! Requests for service of other agencies: found again with the record, taken back by whoever asked and by nobody else.

use super::*;

fn asked(request: &str) -> Asked {
    Asked { by: "neighbour".to_owned(), request: request.to_owned() }
}

fn cancel(request: &str) -> Command {
    Command::CancelRequest { asked: asked(request) }
}

fn stands(why: &'static str) -> Refusal {
    Refusal::NotTakenBack { why }
}

/// Asked for with the first record, and then as far as the commands go.
fn asked_then(commands: &[(i64, Command)]) -> World {
    let mut world = World::new();
    world.good(0, Record { asked: Some(asked("q1")), ..record("d0", 0) }.with(eligible(&[&["a"], &["b"]])));
    for (seconds, command) in commands {
        world.good(*seconds, command.clone());
    }
    world
}

fn chosen() -> (i64, Command) {
    (10, Command::AcceptRecommendation { by: taker() })
}

#[test]
fn a_request_taken_back_recalls_whoever_is_asked_or_going_and_ends_the_call_once() {
    let over = Event::Closed { why: "cancelled-by-source".to_owned() };
    for (commands, expected, leg_states) in [
        (&[][..], &["closed"][..], &[][..]),
        (&[chosen()], &["withdrawn", "closed"], &[LegState::Withdrawn]),
        (&[chosen(), (20, accept(1))], &["stood-back", "closed"], &[LegState::StoodBack]),
        (
            &[chosen(), (20, accept(1)), (30, moved(1, TimePoint::EnRoute))],
            &["stood-back", "closed"],
            &[LegState::StoodBack],
        ),
        (&[(10, to_ordinary(Some("because")))], &["closed"], &[]),
    ] {
        let mut world = asked_then(commands);
        let acts = {
            let (events, effects) = world.send(60, &cancel("q1")).unwrap();
            assert_eq!(
                (names(&events), events.last()),
                (expected.iter().map(|&name| name.to_owned()).collect(), Some(&over))
            );
            effects.into_iter().map(|effect| effect.act.what()).collect::<Vec<_>>()
        };
        let told: &[&str] = match leg_states.first() {
            None => &[],
            Some(LegState::Withdrawn) => &["withdraw"],
            Some(_) => &["stand-back"],
        };
        assert_eq!(acts, told);
        assert_eq!((world.stands(), &world.leg_states()[..]), ((Phase::Closed, Owner::Psap), leg_states));
        assert_eq!(world.good(61, cancel("q1")), [], "once");
        assert_eq!(world.good(4_000, Command::Tick), [], "nobody is asked after it");
    }
}

#[test]
fn nobody_takes_back_what_was_not_asked_for_by_this_name() {
    let mut world = asked_then(&[chosen(), (20, accept(1))]);
    let others = Command::CancelRequest { asked: Asked { by: "watcher".to_owned(), ..asked("q1") } };
    for command in [cancel("q2"), others.clone()] {
        assert_eq!(world.bad(60, command), stands("not-asked"));
    }
    assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(1))));
    world.good(70, cancel("q1"));
    assert_eq!(world.bad(80, others), stands("not-asked"), "nor of a call that is over");
}

#[test]
fn a_team_that_is_there_keeps_the_call_and_so_does_another_agency() {
    let mut there = asked_then(&[chosen(), (20, accept(1)), (40, moved(1, TimePoint::OnScene))]);
    assert_eq!(there.bad(60, cancel("q1")), stands("team-arrived"));
    assert_eq!(there.stands(), (Phase::WithTeam, Owner::Team(leg(1))));
    let mut both = asked_then(&[chosen()]);
    both.good(20, Record { agency: "other", element: "its-cad", ..record("d1", 20) }.with(eligible(&[&["a"], &["b"]])));
    assert_eq!(both.bad(60, cancel("q1")), stands("another-agency"));
    // Nor where the other's record was overtaken, and only its request counts.
    let mut late = asked_then(&[chosen()]);
    let overtaken = Asked { by: "other".to_owned(), ..asked("q9") };
    let stale = Record { agency: "other", element: "cad", updated_s: None, asked: Some(overtaken), ..record("d1", 0) };
    late.good(20, stale.with(eligible(&[&["a"], &["b"]])));
    late.good(30, record("d2", 30).with(eligible(&[&["a"], &["b"]])));
    assert_eq!(late.bad(60, cancel("q1")), stands("another-agency"));
    assert_eq!((both.stands(), late.stands()), ((Phase::Offered, Owner::Psap), (Phase::Offered, Owner::Psap)));
}

#[test]
fn a_known_record_that_asks_anew_is_kept_for_its_request_and_changes_nothing_else() {
    let mut world = World::offered(&[&["a"], &["b"]]);
    let again = || Record { asked: Some(asked("q1")), ..record("d0", 0) }.with(dangerous());
    let before = (world.stands(), world.incident.facts.clone(), world.incident.decision.clone());
    let events = world.good(20, again());
    let [Event::RecordReceived(kept)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((kept.applied, kept.asked.as_ref()), (false, Some(&asked("q1"))));
    assert_eq!((world.stands(), world.incident.facts.clone(), world.incident.decision.clone()), before);
    assert_eq!(world.good(21, again()), [], "once");
    assert_eq!(names(&world.good(30, cancel("q1"))), ["withdrawn", "closed"]);
}

/// An agency takes back a request only where nobody else's record or request stands in the incident, whichever came last.
#[test]
fn a_call_that_any_other_agency_has_is_not_of_one_agency() {
    let (own, other) = (AgencyId::new("own"), AgencyId::new("own-county"));
    let asked_by = |agency: &AgencyId| (asked("q1"), agency.clone());
    let mut incident = asked_then(&[]).incident;
    let seen = incident.identity.clone().unwrap();
    let mut stands = |last: &AgencyId, element: &str, asking: &AgencyId| {
        incident.identity = Some(RecordIdentity { agency: last.clone(), ..seen.clone() });
        incident.applied = [("own/e1".to_owned(), at(0)), (element.to_owned(), at(1))].into();
        incident.asked = [asked_by(&own), asked_by(asking)].into();
        incident.is_of_one_agency(&own)
    };
    assert!(stands(&own, "own/e2", &own));
    assert!(!stands(&other, "own/e2", &own), "the newest record");
    assert!(!stands(&own, "own-county/e2", &own), "a record before it");
    assert!(!stands(&own, "own/e2", &other), "a request");
}
