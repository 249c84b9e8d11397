//! Offers: order, deadlines, answers, broadcasts, and late answers.

use super::*;

fn no_longer(why: &str) -> Refusal {
    Refusal::NoLongerYours { why: why.to_owned() }
}

#[test]
fn acceptance_makes_the_team_the_owner_and_tells_the_cad() {
    let mut world = World::offered(&[&["a"], &["b"]]);
    let acts = world.acts(20, accept(1));
    assert_eq!(acts, [Act::TellCad(CadNotice::TeamAccepted { program: ProgramId::new("a") })]);
    assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(1))));
    assert_eq!(world.incident.next_deadline(), None);
    assert_eq!(world.offers_outstanding(), 0);
    assert_eq!(world.good(21, accept(1)), [], "a repeat changes nothing");
}

#[test]
fn legs_are_tried_in_order_and_then_the_call_comes_back() {
    let mut world = World::offered(&[&["a"], &["b"], &["c"]]);
    assert_eq!(names(&world.good(20, decline(1))), ["declined", "offered"]);
    assert_eq!(world.incident.legs[1].deadline, at(140));
    assert_eq!(world.good(139, Command::Tick), []);
    assert_eq!(names(&world.good(140, Command::Tick)), ["timed-out", "offered"]);
    let key = world.key_of("offer");
    let events = world.good(150, Command::EffectUndeliverable { key, why: "attempts-exhausted".to_owned() });
    assert_eq!(names(&events), ["undeliverable", "returned-to-ordinary"]);
    assert_eq!(events[1], Event::ReturnedToOrdinary { why: "no-team-accepted".to_owned(), leg: None });
    assert_eq!(world.leg_states(), [LegState::Declined, LegState::TimedOut, LegState::Unreachable]);
    assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
    assert_eq!(world.effects.last().unwrap().act, ordinary_route("no-team-accepted"));
    assert!(world.incident.undelivered.is_empty(), "an unreachable leg shows as such");
}

/// Fault 25: at the deadline the PSAP keeps the call.
#[test]
fn an_acceptance_exactly_at_the_deadline_comes_too_late_even_where_no_tick_came() {
    let mut world = World::offered(&[&["a"]]);
    assert_eq!(world.bad(130, accept(1)), no_longer("timed-out"));
    let tail: Vec<Event> = world.log[4..].iter().map(|(event, _)| event.clone()).collect();
    assert_eq!(names(&tail), ["timed-out", "answered-late", "returned-to-ordinary"]);
    assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
    let told = world.effects.iter().any(
        |effect| matches!(&effect.act, Act::Withdraw { leg: told, why, .. } if *told == leg(1) && why == "timed-out"),
    );
    assert!(told);

    let world = World::offered(&[&["a"]]);
    let in_time = Command::AcceptLeg { leg: leg(1), by: team() };
    let before = at(130) - SignedDuration::from_millis(1);
    let events = world.incident.handle(&in_time, before, Hands::Free).unwrap();
    assert_eq!(names(&events), ["accepted"]);
}

#[test]
fn a_late_answer_is_recorded_once_whatever_a_team_retries() {
    let mut world = World::offered(&[&["a"], &["b"]]);
    world.good(130, Command::Tick);
    for _ in 0..3 {
        assert_eq!(world.bad(140, accept(1)), no_longer("timed-out"));
        assert_eq!(world.bad(140, decline(1)), no_longer("timed-out"));
    }
    let late: Vec<_> = world.log.iter().filter(|(event, _)| matches!(event, Event::AnsweredLate { .. })).collect();
    assert_eq!(late.len(), 2, "one acceptance and one decline");
    assert_eq!(world.leg_states(), [LegState::TimedOut, LegState::Offered], "the next offer stands");
}

#[test]
fn an_answer_to_a_leg_that_its_team_has_ended_itself_is_refused_and_is_no_late_one() {
    let back = Command::ReturnLeg { leg: leg(1), why: "busy".to_owned(), by: team() };
    for end in [clear(1), back] {
        let mut world = World::with_team();
        world.good(60, end);
        let before = world.log.len();
        for again in [accept(1), decline(1)] {
            assert!(matches!(world.bad(70, again), Refusal::NoLongerYours { .. }));
        }
        assert_eq!(world.log.len(), before);
    }
}

#[test]
fn a_status_said_again_is_a_repeat_after_clearance_and_refused_after_a_return() {
    let again = moved(1, TimePoint::OnScene);
    let mut cleared = World::on_scene();
    cleared.good(60, clear(1));
    assert_eq!(cleared.good(70, again.clone()), []);
    let mut returned = World::on_scene();
    returned.good(60, Command::ReturnLeg { leg: leg(1), why: "busy".to_owned(), by: team() });
    assert!(matches!(returned.bad(70, again), Refusal::NoLongerYours { .. }));
}

#[test]
fn that_one_team_has_the_call_is_not_told_again_while_another_has_it() {
    let mut world = World::with_team();
    let key = world.key_of("cad");
    world.good(21, Command::EffectUndeliverable { key: key.clone(), why: "destination-down".to_owned() });
    world.good(25, decline(1));
    world.good(30, to_programs(&[&["b"]]));
    world.good(40, accept(2));
    assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(2))));
    assert_eq!(world.bad(50, redrive(&key)), Refusal::NotRedriven { why: "overtaken" });
}

#[test]
fn the_next_step_is_not_offered_before_an_overtaking_record_is_weighed() {
    let mut world = World::offered(&[&["a"], &["b"]]);
    let events = world.good(200, record("d1", 150).with(dangerous()));
    assert_eq!(names(&events), ["timed-out", "record-received", "assessed", "returned-to-ordinary"]);
    assert_eq!(world.incident.legs.len(), 1);
}

#[test]
fn a_broadcast_has_one_winner_and_the_others_are_told() {
    let mut world = World::offered(&[&["a", "b", "c"], &["d"]]);
    assert_eq!(world.leg_states(), [LegState::Offered; 3]);
    assert_eq!(names(&world.good(20, decline(3))), ["declined"], "others are still open");
    let events = world.good(30, accept(2));
    assert_eq!(names(&events), ["accepted", "withdrawn"]);
    assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(2))));
    assert_eq!(world.leg_states(), [LegState::Withdrawn, LegState::Accepted, LegState::Declined]);
    assert_eq!(world.bad(31, accept(1)), no_longer("taken-by-other"));
    assert_eq!(world.bad(31, accept(3)), no_longer("declined"));
    assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(2))));
}

#[test]
fn a_broadcast_step_ends_with_its_last_open_leg() {
    let mut world = World::offered(&[&["a", "b"], &["c"]]);
    world.good(20, decline(1));
    assert_eq!(names(&world.good(130, Command::Tick)), ["timed-out", "offered"]);
    assert_eq!(world.leg_states(), [LegState::Declined, LegState::TimedOut, LegState::Offered]);
}

#[test]
fn a_decline_for_danger_is_not_passed_to_the_next_team() {
    let mut world = World::offered(&[&["a", "b"], &["c"]]);
    let unsafe_here = Command::DeclineLeg { leg: leg(1), cause: DeclineCause::Unsafe, by: team() };
    let events = world.good(20, unsafe_here.clone());
    assert_eq!(names(&events), ["declined", "withdrawn", "returned-to-ordinary"]);
    assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
    assert_eq!(world.effects.last().unwrap().act, ordinary_route("declined-unsafe"));
    assert_eq!(world.good(21, unsafe_here), [], "a repeat changes nothing");
}

#[test]
fn a_delivered_offer_is_no_longer_outstanding_and_still_runs_out() {
    let mut world = World::offered(&[&["a"]]);
    let key = world.key_of("offer");
    assert_eq!(names(&world.good(11, Command::EffectDelivered { key: key.clone() })), ["delivered"]);
    assert_eq!(world.offers_outstanding(), 0);
    assert_eq!(world.good(12, Command::EffectDelivered { key: key.clone() }), []);
    assert_eq!(world.good(12, Command::EffectUndeliverable { key, why: "late".to_owned() }), []);
    assert_eq!(world.incident.next_deadline(), Some(at(130)));
    assert_eq!(names(&world.good(500, Command::Tick)), ["timed-out", "returned-to-ordinary"]);
}

#[test]
fn an_ended_offer_is_never_sent_again_after_a_restart() {
    let mut world = World::offered(&[&["a"], &["b"]]);
    assert_eq!(world.offers_outstanding(), 1);
    world.good(130, Command::Tick);
    assert_eq!(world.offers_outstanding(), 1, "only the second is still to be sent");
    world.good(140, to_ordinary(Some("r")));
    assert_eq!(world.offers_outstanding(), 0);
}

#[test]
fn an_undeliverable_notice_is_kept_for_the_operator() {
    let mut world = World::with_team();
    let key = world.key_of("cad");
    let events = world.good(30, Command::EffectUndeliverable { key: key.clone(), why: "refused-500".to_owned() });
    assert_eq!(names(&events), ["undeliverable"]);
    assert_eq!(world.incident.undelivered.get(&key).map(|given_up| given_up.why.as_str()), Some("refused-500"));
    assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(1))));
}

#[test]
fn a_recall_is_sent_again_under_its_key_and_a_repeat_changes_nothing() {
    let mut world = World::with_team();
    world.good(30, to_ordinary(Some("r")));
    let key = world.key_of("stand-back");
    assert_eq!(world.good(40, redrive(&key)), [], "it is under way");
    world.good(90, Command::EffectUndeliverable { key: key.clone(), why: "retry-time-exhausted".to_owned() });
    assert_eq!(names(&world.good(100, redrive(&key))), ["redriven"]);
    let again = world.effects.last().unwrap();
    assert!(again.key == key && matches!(again.act, Act::StandBack { .. }), "{again:?}");
    assert!(world.incident.outstanding.contains_key(&key) && !world.incident.undelivered.contains_key(&key));
    assert_eq!(world.good(110, redrive(&key)), []);
    world.good(120, Command::EffectDelivered { key: key.clone() });
    assert_eq!(world.bad(130, redrive(&key)), Refusal::NotRedriven { why: "not-given-up" });
}

#[test]
fn an_offer_is_never_sent_again_by_hand() {
    let mut world = World::offered(&[&["a"], &["b"]]);
    let key = world.key_of("offer");
    world.good(30, Command::EffectUndeliverable { key: key.clone(), why: "destination-down".to_owned() });
    assert_eq!(world.bad(40, redrive(&key)), Refusal::NotRedriven { why: "not-given-up" });
    assert_eq!(world.incident.leg(&leg(1)).unwrap().state, LegState::Unreachable);
}

#[test]
fn a_notice_that_is_no_longer_true_is_not_sent_again() {
    let mut world = World::with_team();
    let accepted = world.key_of("cad");
    let why = "retry-time-exhausted".to_owned();
    world.good(30, Command::EffectUndeliverable { key: accepted.clone(), why: why.clone() });
    world.good(40, to_ordinary(Some("r")));
    assert_eq!(world.bad(50, redrive(&accepted)), Refusal::NotRedriven { why: "overtaken" });
    let ordinary = world.key_of("cad");
    world.good(60, Command::EffectUndeliverable { key: ordinary.clone(), why });
    assert_eq!(names(&world.good(70, redrive(&ordinary))), ["redriven"]);
}

/// Fault 36.
#[test]
fn a_stand_back_that_does_not_arrive_is_told_to_the_psap() {
    let mut world = World::with_team();
    world.good(30, to_ordinary(Some("r")));
    let key = world.key_of("stand-back");
    let acts = world.acts(90, Command::EffectUndeliverable { key, why: "attempts-exhausted".to_owned() });
    assert_eq!(acts, [ordinary_route("team-not-told-to-stand-back")]);
}

#[test]
fn an_unknown_leg_is_named_as_such() {
    let mut world = World::offered(&[&["a"]]);
    for command in [accept(9), decline(9), moved(9, TimePoint::EnRoute), clear(9), hazard(9, dangerous())] {
        assert_eq!(world.bad(20, command), Refusal::NoSuchLeg);
    }
    assert_eq!(World::new().bad(0, accept(1)), Refusal::NoSuchLeg);
}

#[test]
fn a_deadline_beyond_the_calendar_does_not_break_the_offer() {
    let mut world = World::assessed(eligible(&[&["a"]]));
    let events =
        world.incident.handle(&Command::AcceptRecommendation { by: taker() }, Timestamp::MAX, Hands::Free).unwrap();
    world.apply(&events, Timestamp::MAX);
    assert_eq!(world.incident.next_deadline(), Some(Timestamp::MAX));
}

#[test]
fn an_offered_call_without_an_open_leg_is_overdue_at_once() {
    let mut world = World::offered(&[&["a"], &["b"]]);
    // Only the time-out was appended before a crash, not the offer that follows it.
    world.apply(&[Event::TimedOut { leg: leg(1) }], at(130));
    assert_eq!(world.incident.next_deadline(), Some(at(130)));
    assert_eq!(names(&world.good(131, Command::Tick)), ["offered"]);
}
