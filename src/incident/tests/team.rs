//! The owning team: moves, clearance, return, back-up.

use super::*;

#[test]
fn moves_go_forward_may_skip_and_repeats_change_nothing() {
    let mut world = World::with_team();
    let moved_act = |status| [Act::TellCad(CadNotice::TeamMoved { program: ProgramId::new("a"), status })];
    assert_eq!(world.acts(30, moved(1, TimePoint::EnRoute)), moved_act(TimePoint::EnRoute));
    assert_eq!(world.good(31, moved(1, TimePoint::EnRoute)), []);
    assert_eq!(world.acts(40, moved(1, TimePoint::WithPerson)), moved_act(TimePoint::WithPerson));
    assert_eq!(world.good(41, moved(1, TimePoint::EnRoute)), [], "a retry of what was recorded");
    let refused = world.bad(42, moved(1, TimePoint::OnScene));
    let back = Refusal::OutOfOrder { stands: "with-person".to_owned(), asked: "on-scene".to_owned() };
    assert_eq!(refused, back);
    assert!(matches!(world.bad(43, moved(1, TimePoint::Cleared)), Refusal::OutOfOrder { .. }));
    assert_eq!(world.incident.times.get(&TimePoint::EnRoute), Some(&at(30)));
    assert_eq!(world.incident.times.get(&TimePoint::OnScene), None);
    assert_eq!(world.incident.times.get(&TimePoint::WithPerson), Some(&at(40)));
}

#[test]
fn a_leg_on_offer_cannot_move_clear_or_return_before_it_is_accepted() {
    let mut world = World::offered(&[&["a"]]);
    let back = Command::ReturnLeg { leg: leg(1), why: String::new(), by: team() };
    for command in [moved(1, TimePoint::EnRoute), clear(1), back] {
        assert!(matches!(world.bad(20, command), Refusal::OutOfOrder { .. }));
    }
    assert_eq!(world.incident.owner, Owner::Psap);
}

#[test]
fn clearing_closes_the_call_with_its_disposition_and_code() {
    let mut world = World::with_team();
    let events = world.good(600, clear(1));
    assert_eq!(names(&events), ["cleared", "closed"]);
    assert_eq!(world.stands(), (Phase::Closed, Owner::Psap));
    let told = Act::TellCad(CadNotice::Cleared {
        program: ProgramId::new("a"),
        disposition: "supported".to_owned(),
        apco_code: "18".to_owned(),
        party: None,
    });
    assert_eq!(world.effects.last().unwrap().act, told);
    assert_eq!(world.good(601, clear(1)), [], "a repeat changes nothing");
    assert_eq!(world.incident.times.get(&TimePoint::Cleared), Some(&at(600)));
    assert_eq!(world.incident.times.get(&TimePoint::Closed), Some(&at(600)));
    assert_eq!(world.bad(602, hazard(1, dangerous())), Refusal::Closed);
    assert_eq!(world.bad(602, answer(dangerous())), Refusal::Closed);
    assert_eq!(world.bad(602, accept(1)), Refusal::NoLongerYours { why: "cleared".to_owned() });
}

#[test]
fn a_returned_call_is_the_psaps_again() {
    let mut world = World::with_team();
    let back = |why: &str| Command::ReturnLeg { leg: leg(1), why: why.to_owned(), by: team() };
    let events = world.good(50, back("needs-police"));
    let returned = Event::ReturnedToOrdinary { why: "team-returned.needs-police".to_owned(), leg: Some(leg(1)) };
    assert_eq!(events, [returned]);
    assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
    assert_eq!(world.leg_states(), [LegState::Returned]);
    assert_eq!(world.effects.last().unwrap().act, ordinary_route("team-returned.needs-police"));
    assert_eq!(world.good(51, back("needs-police")), []);
    assert_eq!(world.bad(52, clear(1)), Refusal::NoLongerYours { why: "returned".to_owned() });
}

#[test]
fn free_text_of_a_return_is_not_kept() {
    for why in ["", "team-returned", "Mr Smith at 250-555-0100", &"a".repeat(65)] {
        let mut world = World::with_team();
        let events = world.good(50, Command::ReturnLeg { leg: leg(1), why: why.to_owned(), by: team() });
        let returned = Event::ReturnedToOrdinary { why: "team-returned".to_owned(), leg: Some(leg(1)) };
        assert_eq!(events, [returned]);
    }
    let longest = "a".repeat(64);
    let events = World::with_team().good(50, Command::ReturnLeg { leg: leg(1), why: longest.clone(), by: team() });
    assert_eq!(events, [Event::ReturnedToOrdinary { why: format!("team-returned.{longest}"), leg: Some(leg(1)) }]);
}

#[test]
fn a_no_after_a_yes_brings_the_call_back() {
    let mut world = World::with_team();
    assert_eq!(names(&world.good(25, decline(1))), ["returned-to-ordinary"]);
    assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
    assert_eq!(world.effects.last().unwrap().act, ordinary_route("declined-after-acceptance"));
}

#[test]
fn backup_is_never_refused() {
    let ask = |leg, team_requested| Command::Backup { leg, service: BackupService::Ems, team_requested, by: team() };
    let told = |team_requested| [Act::TellCad(CadNotice::Backup { service: BackupService::Ems, team_requested })];
    let mut worlds = [World::new(), World::assessed(dangerous()), World::offered(&[&["a"]]), World::on_scene()];
    for world in &mut worlds {
        let before = world.stands();
        assert_eq!(world.acts(60, ask(None, false)), told(false));
        assert_eq!(world.acts(61, ask(Some(leg(9)), true)), told(true), "an unknown leg does not hold it up");
        assert_eq!(world.stands(), before);
    }
    let mut closed = World::with_team();
    closed.good(600, clear(1));
    assert_eq!(closed.acts(601, ask(Some(leg(1)), true)), told(true));
    assert_eq!(closed.stands(), (Phase::Closed, Owner::Psap));
}

#[test]
fn every_disposition_has_its_name_on_the_wire_and_a_code_of_the_registry() {
    for disposition in Disposition::ALL {
        assert_eq!(serde_json::to_value(disposition).unwrap(), disposition.name());
        let code: u32 = disposition.apco_code().parse().unwrap();
        assert!((1..=45).contains(&code) && disposition.apco_code().len() == 2);
    }
    for cause in DeclineCause::ALL {
        assert_eq!(serde_json::to_value(cause).unwrap(), cause.name());
    }
    for service in BackupService::ALL {
        assert_eq!(serde_json::to_value(service).unwrap(), service.name());
    }
    for state in [
        LegState::Offered,
        LegState::Accepted,
        LegState::EnRoute,
        LegState::OnScene,
        LegState::WithPerson,
        LegState::Declined,
        LegState::TimedOut,
        LegState::Unreachable,
        LegState::Withdrawn,
        LegState::StoodBack,
        LegState::Returned,
        LegState::Cleared,
    ] {
        assert_eq!(serde_json::to_value(state).unwrap(), state.name());
    }
    for point in [TimePoint::Received, TimePoint::Answered, TimePoint::Entered, TimePoint::Assessed, TimePoint::Offered]
        .into_iter()
        .chain([TimePoint::Accepted, TimePoint::Dispatched, TimePoint::EnRoute, TimePoint::OnScene])
        .chain([TimePoint::WithPerson, TimePoint::Cleared, TimePoint::Closed])
    {
        assert_eq!(serde_json::to_value(point).unwrap(), legs::point_name(point));
    }
}
