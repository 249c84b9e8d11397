//! The forms of a leg: two together, a phone line that hands on, and what a team's decline is referred to.

use super::*;

/// A tandem of team `a` and an officer on offer since second 10 (legs 1 and 2); then a line, a team, its referral.
fn offered() -> World {
    let steps = tandem_line_and_referral();
    let decision = Decision { route: Route::Program(ProgramId::new("a")), steps, ..decision(Status::Eligible) };
    let mut world = World::assessed(decision);
    world.good(10, Command::AcceptRecommendation { by: taker() });
    assert_eq!(world.leg_states(), [LegState::Offered, LegState::Offered]);
    world
}

/// Both of the tandem have accepted; the team leads.
fn together() -> World {
    let mut world = offered();
    world.good(20, accept(2));
    world.good(30, accept(1));
    world
}

fn hand_on(number: u32) -> Command {
    Command::HandOnLeg { leg: leg(number), by: team() }
}

fn give_back(number: u32) -> Command {
    Command::ReturnLeg { leg: leg(number), why: "needs-police".to_owned(), by: team() }
}

fn told(acts: &[Act]) -> Vec<&'static str> {
    acts.iter().map(Act::what).collect()
}

#[test]
fn a_tandem_has_the_call_once_both_have_accepted_and_the_first_named_owns_it() {
    let mut world = offered();
    assert_eq!(world.acts(20, accept(2)), [], "nobody has the call yet, and nobody is told that anybody has");
    assert_eq!(world.stands(), (Phase::Offered, Owner::Psap));
    assert_eq!(world.leg_states(), [LegState::Offered, LegState::Agreed]);
    assert_eq!(world.good(21, accept(2)), [], "a repeat changes nothing");
    let acts = world.acts(30, accept(1));
    assert_eq!(told(&acts), ["cad", "proceed"]);
    assert_eq!(acts[0], Act::TellCad(CadNotice::TeamAccepted { program: ProgramId::new("a") }));
    assert!(matches!(&acts[1], Act::Proceed { leg: told, .. } if *told == leg(2)), "who agreed first is told to go");
    assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(1))));
    assert_eq!(world.leg_states(), [LegState::Accepted, LegState::Accompanying]);

    let mut world = offered();
    world.good(20, accept(1));
    world.good(30, accept(2));
    assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(1))), "whoever accepts first");
}

/// I2: at no event of a unit does a team own what it was just stood back from, and nobody else loses the call by it.
#[test]
fn who_is_stood_back_owns_nothing_from_that_very_event_on_and_nobody_else_loses_the_call() {
    let stood_back = |number: u32| Event::StoodBack { leg: leg(number), why: "hazard".to_owned() };
    let mut world = together();
    world.apply(&[stood_back(2)], at(40));
    assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(1))), "who goes beside the owner");
    world.apply(&[stood_back(1)], at(40));
    assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
}

#[test]
fn half_a_tandem_that_cannot_be_told_to_go_brings_the_call_back_unless_its_lead_has_arrived() {
    let not_told = |world: &mut World| {
        let key = world.key_of("proceed");
        names(&world.good(60, Command::EffectUndeliverable { key, why: "destination-down".to_owned() }))
    };
    let mut world = together();
    let events = not_told(&mut world);
    assert_eq!(events, ["undeliverable", "stood-back", "stood-back", "returned-to-ordinary"]);
    assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));

    let mut arrived = together();
    arrived.good(50, moved(1, TimePoint::OnScene));
    assert_eq!(not_told(&mut arrived), ["undeliverable"], "who is on scene sees more than the policy");
    assert_eq!(arrived.stands(), (Phase::WithTeam, Owner::Team(leg(1))));
}

#[test]
fn where_one_of_a_tandem_does_not_come_the_other_need_not_and_the_next_step_is_asked() {
    let mut world = offered();
    world.good(20, accept(1));
    assert_eq!(names(&world.good(30, decline(2))), ["declined", "withdrawn", "offered"]);
    assert_eq!(world.leg_states(), [LegState::Withdrawn, LegState::Declined, LegState::Offered]);
    assert_eq!(world.bad(31, accept(1)), Refusal::NoLongerYours { why: "partner-declined".to_owned() });

    // The officer's deadline is second 70, the team's 130.
    let mut world = offered();
    assert_eq!(world.bad(70, accept(1)), Refusal::NoLongerYours { why: "partner-timed-out".to_owned() });
    assert_eq!(world.leg_states(), [LegState::Withdrawn, LegState::TimedOut, LegState::Offered]);

    let mut world = offered();
    world.good(20, accept(1));
    assert_eq!(names(&world.good(25, decline(1))), ["declined", "withdrawn", "offered"], "a yes may be taken back");
    let key = offered().key_of("offer");
    let events = offered().good(20, Command::EffectUndeliverable { key, why: "attempts-exhausted".to_owned() });
    assert_eq!(names(&events), ["undeliverable", "withdrawn", "offered"]);
}

#[test]
fn half_a_tandem_is_not_offered_where_an_exclusion_bars_the_other() {
    let steps = tandem_line_and_referral();
    let barred = Decision {
        exclusions: vec![exclusion("built-in.weapon", &[], None)],
        route: Route::Program(ProgramId::new("officer")),
        steps: steps[..1].to_vec(),
        ..decision(Status::Eligible)
    };
    let mut world = World::assessed(barred);
    let refused = world.bad(10, Command::AcceptRecommendation { by: taker() });
    assert_eq!(refused, Refusal::Excluded { row: "built-in.weapon".to_owned() });
}

#[test]
fn a_partner_who_leaves_before_arrival_ends_the_tandem_and_after_it_only_itself() {
    for leaves in [decline(2), give_back(2), clear(2)] {
        let mut world = together();
        world.good(40, moved(1, TimePoint::EnRoute));
        let acts = world.acts(50, leaves.clone());
        assert_eq!(told(&acts), ["stand-back", "cad"]);
        assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
        assert_eq!(world.leg_states(), [LegState::StoodBack, LegState::Returned]);

        let mut world = together();
        world.good(40, moved(1, TimePoint::OnScene));
        assert_eq!(names(&world.good(50, leaves)), ["withdrawn"]);
        assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(1))));
        assert_eq!(names(&world.good(60, clear(1))), ["cleared", "closed"]);
    }
}

#[test]
fn the_partner_moves_beside_the_owner_and_ends_with_it() {
    let mut world = together();
    assert_eq!(world.acts(40, moved(2, TimePoint::OnScene)), [], "the call's progress is its owner's");
    assert_eq!(world.good(41, moved(2, TimePoint::OnScene)), []);
    assert!(!world.incident.times.contains_key(&TimePoint::OnScene));
    world.good(50, moved(1, TimePoint::OnScene));
    world.good(60, clear(1));
    assert_eq!(world.leg_states(), [LegState::Cleared, LegState::Cleared]);

    let mut world = together();
    assert_eq!(names(&world.good(40, give_back(1))), ["stood-back", "returned-to-ordinary"]);
    assert_eq!(world.leg_states(), [LegState::Returned, LegState::StoodBack]);
}

#[test]
fn danger_to_either_half_recalls_both() {
    // The officer leads and may go to a weapon; the team beside him may not.
    let lead = plan_of("officer", ProgramKind::PoliceCommunity, 60);
    let steps = vec![tandem(lead, plan("a"))];
    let route = Route::Program(ProgramId::new("officer"));
    let mut world = World::assessed(Decision { route, steps, ..decision(Status::Eligible) });
    world.good(10, Command::AcceptRecommendation { by: taker() });
    world.good(20, accept(1));
    world.good(20, accept(2));
    let weapon = Decision { exclusions: vec![exclusion("built-in.weapon", &[], None)], ..decision(Status::Eligible) };
    let events = world.good(30, hazard(2, weapon));
    assert_eq!(names(&events), ["hazard-reported", "assessed", "stood-back", "stood-back", "returned-to-ordinary"]);
    assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));

    let mut world = offered();
    world.good(20, accept(1));
    world.good(30, answer(dangerous()));
    assert_eq!(world.leg_states(), [LegState::Withdrawn, LegState::Withdrawn], "one that has agreed is recalled too");
    assert_eq!(world.bad(31, accept(1)), Refusal::NoLongerYours { why: "hazard".to_owned() });
}

/// The line (leg 3) has the call.
fn with_line() -> World {
    let mut world = offered();
    world.good(20, decline(1));
    world.good(30, accept(3));
    assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(3))));
    world
}

#[test]
fn a_phone_line_closes_the_call_hands_it_on_or_gives_it_back() {
    let mut world = with_line();
    let closed = Command::ClearLeg { leg: leg(3), disposition: Disposition::ResolvedByPhone, party: None, by: team() };
    assert_eq!(names(&world.good(40, closed)), ["cleared", "closed"]);

    let mut world = with_line();
    let acts = world.acts(40, hand_on(3));
    assert_eq!(told(&acts), ["cad", "offer"]);
    assert_eq!(acts[0], Act::TellCad(CadNotice::HandedOn { program: ProgramId::new("line") }));
    assert_eq!(world.stands(), (Phase::Offered, Owner::Psap), "the PSAP owns it while the next team is asked");
    assert_eq!(world.good(41, hand_on(3)), [], "a repeat changes nothing");
    world.good(50, accept(4));
    assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(4))));
    let refused = world.bad(60, hand_on(4));
    assert_eq!(refused, Refusal::OutOfOrder { stands: "accepted".to_owned(), asked: "handed-on".to_owned() });

    let mut world = with_line();
    assert_eq!(names(&world.good(40, give_back(3))), ["returned-to-ordinary"]);
    assert_eq!(world.incident.steps_left, []);

    let mut world = World::assessed(Decision {
        route: Route::Program(ProgramId::new("line")),
        steps: tandem_line_and_referral()[1..2].to_vec(),
        ..decision(Status::Eligible)
    });
    world.good(10, Command::AcceptRecommendation { by: taker() });
    world.good(20, accept(1));
    assert_eq!(names(&world.good(30, hand_on(1))), ["handed-on", "returned-to-ordinary"], "nobody is left to ask");
}

#[test]
fn a_line_hands_nothing_on_into_danger() {
    let mut world = with_line();
    let steps = tandem_line_and_referral();
    let weapon = Decision {
        exclusions: vec![exclusion("threat", &[], None)],
        steps,
        ..decision(Status::Ineligible { because: "threat".to_owned() })
    };
    world.good(40, answer(weapon));
    assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap), "recalled from the line before it could");
    assert!(matches!(world.bad(41, hand_on(3)), Refusal::NoLongerYours { .. }));
}

#[test]
fn what_is_declined_is_referred_and_what_is_not_answered_is_not() {
    let mut world = offered();
    world.good(20, decline(1));
    world.good(30, decline(3));
    assert_eq!(names(&world.good(40, decline(4))), ["declined", "offered"]);
    let last = world.incident.legs.last().unwrap();
    assert_eq!(last.plan.program, ProgramId::new("elsewhere"));
    assert_eq!(world.stands(), (Phase::Offered, Owner::Psap), "the call stays owned while it is referred");

    let mut world = offered();
    world.good(20, decline(1));
    world.good(30, decline(3));
    let deadline = world.incident.next_deadline().unwrap();
    let events = world.incident.handle(&Command::Tick, deadline, Hands::Free).unwrap();
    assert_eq!(names(&events), ["timed-out", "returned-to-ordinary"]);

    let mut world = offered();
    world.good(20, decline(1));
    world.good(30, decline(3));
    let judged = Command::DeclineLeg { leg: leg(4), cause: DeclineCause::Unsafe, by: team() };
    assert_eq!(names(&world.good(40, judged)), ["declined", "returned-to-ordinary"]);
}

#[test]
fn who_has_declined_is_not_asked_on_a_further_leg() {
    let mut world = World::offered(&[&["a"], &["a"], &["b"]]);
    world.good(20, decline(1));
    assert_eq!(world.incident.legs.last().unwrap().plan.program, ProgramId::new("b"));
}
