//! Choosing: modes, recommendation, overrides either way, and who may not be chosen.

use super::*;

#[test]
fn advise_waits_for_the_call_taker_and_one_key_offers_the_first_step() {
    let mut world = World::assessed(eligible(&[&["a"], &["b"]]));
    assert_eq!(world.stands(), (Phase::Assessed, Owner::Psap));
    assert!(world.effects.is_empty());
    let events = world.good(10, Command::AcceptRecommendation { by: taker() });
    assert_eq!(names(&events), ["chosen", "offered"]);
    assert_eq!(world.stands(), (Phase::Offered, Owner::Psap));
    assert_eq!(world.incident.legs[0].deadline, at(130));
    assert_eq!(world.incident.next_deadline(), Some(at(130)));
    assert_eq!(world.incident.steps_left, steps(&[&["b"]]));
    assert_eq!(world.effects[0].key, "i1.4.offer");
}

#[test]
fn shadow_offers_nothing_and_tells_the_cad_nothing() {
    let mut world = World::new();
    let shadow = Record { mode: Mode::Shadow, ..record("d0", 0) };
    let events = world.good(0, shadow.clone().with(automatic(&[&["a"]])));
    assert_eq!(names(&events), ["record-received", "assessed"]);
    assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
    let refused = world.bad(1, Command::AcceptRecommendation { by: taker() });
    assert_eq!(refused, Refusal::NothingToChoose { why: "shadow".to_owned() });
    assert_eq!(world.bad(1, to_programs(&[&["a"]])), Refusal::NothingToChoose { why: "shadow".to_owned() });
    world.good(2, to_ordinary(Some("mine")));
    assert!(world.effects.is_empty());
}

#[test]
fn automatic_rows_are_offered_in_the_batch_of_the_record() {
    let mut world = World::new();
    let record = Record { mode: Mode::Automatic, ..record("d0", 0) };
    let events = world.good(0, record.with(automatic(&[&["a"]])));
    assert_eq!(names(&events), ["record-received", "assessed", "chosen", "offered"]);
    let Event::Chosen { by, override_reason, .. } = &events[2] else { panic!("not chosen") };
    assert_eq!((by, override_reason), (&Actor::Policy, &None));
}

#[test]
fn automatic_mode_waits_where_the_row_is_not_automatic_or_the_call_is_a_test_or_over() {
    for (record, decision) in [
        (record("d0", 0), eligible(&[&["a"]])),
        (Record { test: true, ..record("d0", 0) }, automatic(&[&["a"]])),
        (Record { lifecycle: Lifecycle::Closed, ..record("d0", 0) }, automatic(&[&["a"]])),
        (record("d0", 0), Decision { status: Status::EligibleNoUnit, ..automatic(&[&["a"]]) }),
        (record("d0", 0), Decision { exclusions: dangerous().exclusions, ..automatic(&[&["a"]]) }),
    ] {
        let mut world = World::new();
        world.good(0, Record { mode: Mode::Automatic, ..record }.with(decision));
        assert!(world.incident.legs.is_empty());
        assert_eq!(world.incident.owner, Owner::Psap);
    }
}

#[test]
fn an_answer_that_opens_an_automatic_row_offers_it() {
    let mut world = World::new();
    world.good(0, Record { mode: Mode::Automatic, ..record("d0", 0) }.with(doubtful()));
    assert_eq!(world.stands(), (Phase::Assessed, Owner::Psap));
    let events = world.good(5, answer(automatic(&[&["a"]])));
    assert_eq!(names(&events), ["answer-given", "assessed", "chosen", "offered"]);
}

#[test]
fn a_call_that_came_back_is_not_offered_again_without_a_person() {
    let mut world = World::new();
    let auto = Record { mode: Mode::Automatic, ..record("d0", 0) };
    world.good(0, auto.clone().with(automatic(&[&["a"]])));
    world.good(1, decline(1));
    let next = Record { digest: "d1".to_owned(), updated_s: Some(5), ..auto };
    let events = world.good(5, next.with(automatic(&[&["a"]])));
    assert_eq!(names(&events), ["record-received", "assessed"]);
    assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
    let refused = world.bad(6, Command::AcceptRecommendation { by: taker() });
    assert_eq!(refused, Refusal::NothingToChoose { why: "already-chosen".to_owned() });
    assert_eq!(names(&world.good(7, to_programs(&[&["b"]]))), ["chosen", "offered"]);
}

#[test]
fn accepting_an_ordinary_recommendation_chooses_the_ordinary_route_and_tells_the_cad() {
    for decision in [dangerous(), doubtful(), decision(Status::EligibleOutOfHours), decision(Status::ShadowEligible)] {
        let mut world = World::assessed(decision);
        assert_eq!(world.acts(1, Command::AcceptRecommendation { by: taker() }), [ordinary_route("chosen")]);
        assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
    }
}

#[test]
fn an_ordinary_decision_leaves_the_call_with_the_psap_without_a_word_to_the_cad() {
    for (decision, phase) in [
        (dangerous(), Phase::Ordinary),
        (decision(Status::NotAssessed { why: "no-policy".to_owned() }), Phase::Ordinary),
        (decision(Status::EligibleNoUnit), Phase::Ordinary),
        (doubtful(), Phase::Assessed),
    ] {
        let world = World::assessed(decision);
        assert_eq!(world.stands(), (phase, Owner::Psap));
        assert!(world.effects.is_empty());
    }
}

#[test]
fn departing_from_a_recommended_program_needs_a_reason() {
    let mut world = World::assessed(eligible(&[&["a"]]));
    for reason in [None, Some("  ")] {
        assert_eq!(world.bad(1, to_ordinary(reason)), Refusal::ReasonRequired);
    }
    assert_eq!(world.acts(2, to_ordinary(Some("child nearby"))), [ordinary_route("overridden")]);
    let Event::OrdinaryChosen { override_reason, .. } = &world.log.last().unwrap().0 else { panic!("not chosen") };
    assert_eq!(override_reason.as_deref(), Some("child nearby"));
    assert_eq!(world.good(3, to_ordinary(Some("again"))), []);
}

#[test]
fn overriding_to_the_ordinary_route_takes_back_what_is_on_offer() {
    let mut world = World::offered(&[&["a", "b"]]);
    let events = world.good(20, to_ordinary(Some("doubt")));
    assert_eq!(names(&events), ["ordinary-chosen", "withdrawn", "withdrawn", "returned-to-ordinary"]);
    assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
    assert_eq!(world.incident.next_deadline(), None);
    let told: Vec<_> = world.effects.iter().filter(|effect| effect.act == ordinary_route("overridden")).collect();
    assert_eq!(told.len(), 1, "the CAD is told once");
    assert_eq!(world.offers_outstanding(), 0);
}

#[test]
fn overriding_to_the_ordinary_route_stands_the_owning_team_back() {
    let mut world = World::with_team();
    let events = world.good(30, to_ordinary(Some("changed my mind")));
    assert_eq!(names(&events), ["ordinary-chosen", "stood-back", "returned-to-ordinary"]);
    assert_eq!(world.leg_states(), [LegState::StoodBack]);
    assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
}

#[test]
fn no_override_sends_an_excluded_call_to_a_team() {
    for decision in [dangerous(), doubtful()] {
        let mut world = World::assessed(decision);
        assert_eq!(world.bad(1, to_programs(&[&["a"]])), Refusal::Excluded { row: "weapon".to_owned() });
        assert!(world.incident.legs.is_empty());
    }
}

#[test]
fn an_exclusion_that_sends_to_a_co_response_admits_only_that_program_with_its_officer() {
    let excluded = Decision { exclusions: vec![exclusion("threat", &[], Some("pact"))], ..eligible(&[&["pact"]]) };
    let step = |kind| vec![RouteStep { legs: vec![plan_of("pact", kind, 60)] }];
    let by = |steps| Command::OverrideToPrograms { by: taker(), reason: "r".to_owned(), steps };

    let mut world = World::assessed(excluded.clone());
    assert_eq!(world.bad(1, to_programs(&[&["a"]])), Refusal::Excluded { row: "threat".to_owned() });
    let no_officer = Refusal::KindNotAllowed { kind: ProgramKind::Community };
    assert_eq!(world.bad(1, by(step(ProgramKind::Community))), no_officer);
    assert_eq!(names(&world.good(2, by(step(ProgramKind::CoResponse)))), ["chosen", "offered"]);

    let mut world = World::assessed(excluded);
    assert_eq!(world.bad(1, Command::AcceptRecommendation { by: taker() }), no_officer);
}

#[test]
fn overriding_to_programs_is_refused_where_there_is_nothing_to_rest_it_on() {
    let nothing = |why: &str| Refusal::NothingToChoose { why: why.to_owned() };
    let mut world = World::assessed(decision(Status::NotAssessed { why: "no-call-type".to_owned() }));
    assert_eq!(world.bad(1, to_programs(&[&["a"]])), nothing("not-assessed"));
    let mut world = World::assessed(decision(Status::ShadowEligible));
    assert_eq!(world.bad(1, to_programs(&[&["a"]])), nothing("shadow"));
    let mut world = World::new();
    assert_eq!(world.bad(1, to_programs(&[&["a"]])), nothing("not-assessed"));
    world.good(2, Record { test: true, ..record("d0", 0) }.with(eligible(&[&["a"]])));
    assert_eq!(world.bad(3, to_programs(&[&["a"]])), nothing("test"));
    assert_eq!(world.bad(3, Command::AcceptRecommendation { by: taker() }), nothing("test"));
    let mut world = World::assessed(decision(Status::EligibleOutOfHours));
    assert_eq!(world.bad(1, to_programs(&[])), nothing("no-program"));
    let bare = Command::OverrideToPrograms { by: taker(), reason: " ".to_owned(), steps: steps(&[&["a"]]) };
    assert_eq!(world.bad(1, bare), Refusal::ReasonRequired);
    assert_eq!(names(&world.good(2, to_programs(&[&["a"]]))), ["chosen", "offered"]);
    assert_eq!(world.bad(3, to_programs(&[&["a"]])), nothing("already-offered"));
    world.good(4, accept(1));
    assert_eq!(world.bad(5, to_programs(&[&["a"]])), nothing("with-team"));
    world.good(6, clear(1));
    assert_eq!(world.bad(7, to_programs(&[&["a"]])), Refusal::Closed);
    assert_eq!(world.bad(7, to_ordinary(Some("r"))), Refusal::Closed);
}

#[test]
fn built_in_safeguards_bar_programs_without_an_officer_only() {
    let mut decision = eligible(&[&["pact"], &["a"]]);
    decision.exclusions = vec![exclusion("built-in.weapon", &[], None)];
    decision.steps[0].legs[0].kind = ProgramKind::CoResponse;
    let mut world = World::assessed(decision);
    assert_eq!(world.bad(1, to_programs(&[&["a"]])), Refusal::Excluded { row: "built-in.weapon".to_owned() });
    assert_eq!(names(&world.good(2, Command::AcceptRecommendation { by: taker() })), ["chosen", "offered"]);
    assert_eq!(world.incident.legs[0].plan.program.as_str(), "pact");
    assert_eq!(names(&world.good(3, decline(1))), ["declined", "returned-to-ordinary"], "the next has no officer");
}
