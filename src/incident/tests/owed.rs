//! What is owed: acknowledgements under a deadline, call-backs, follow-ups; who may answer for it, and what ends it.

use super::*;
use crate::policy::FollowUp;

const BOUNDS: Bounds =
    Bounds { en_route_within_s: 300, recall_acknowledged_within_s: 60, return_acknowledged_within_s: 90 };

fn watched(digest: &str, updated_s: i64) -> Record {
    Record { bounds: Some(BOUNDS), ..record(digest, updated_s) }
}

/// Accepted by the first leg at second 20, and watched.
fn accepted(decision: Decision) -> World {
    let mut world = World::new();
    world.good(0, watched("d0", 0).with(decision));
    world.good(10, Command::AcceptRecommendation { by: taker() });
    world.good(20, accept(1));
    world
}

fn one_team() -> World {
    accepted(eligible(&[&["a"], &["b"]]))
}

fn with_plan(change: impl Fn(&mut LegPlan)) -> Decision {
    let mut decision = eligible(&[&["a"], &["b"]]);
    decision.steps.iter_mut().flat_map(|step| &mut step.legs).for_each(change);
    decision
}

fn owes_call_back() -> Decision {
    with_plan(|plan| plan.call_back_within_min = Some(30))
}

fn follow_up(after_h: u32, within_h: u32, by: Option<&str>) -> FollowUp {
    FollowUp { after_h, within_h, by: by.map(ProgramId::new) }
}

fn owes_follow_ups() -> Decision {
    let follow_up = vec![follow_up(0, 48, None), follow_up(24, 72, Some("outreach"))];
    Decision { follow_up, ..eligible(&[&["a"]]) }
}

fn close(number: u32, outcome: DutyOutcome, by: Actor) -> Command {
    Command::CloseDuty { duty: DutyId::of(&IncidentId::new("i1"), number), outcome, by }
}

fn not_owed(why: &str) -> Refusal {
    Refusal::NotOwed { why: why.to_owned() }
}

/// Kind, due second and state of each duty.
fn owed(world: &World) -> Vec<(DutyKind, i64, DutyState)> {
    let second = |at: Timestamp| at.duration_since(super::at(0)).as_secs();
    world.incident.duties.iter().map(|duty| (duty.kind, second(duty.due), duty.state)).collect()
}

fn overdue_act(duty: DutyKind, program: Option<&str>) -> Act {
    Act::TellCad(CadNotice::Overdue { duty, program: program.map(ProgramId::new) })
}

fn closed_of(outcome: DutyOutcome) -> DutyState {
    DutyState::Closed(outcome)
}

/// Fault 24.
#[test]
fn a_team_that_accepts_and_does_not_set_out_is_an_alarm_once() {
    let mut world = one_team();
    assert_eq!(owed(&world), [(DutyKind::EnRoute, 320, DutyState::Open)]);
    assert_eq!(world.incident.next_deadline(), Some(at(320)));
    assert_eq!(world.good(319, Command::Tick), []);
    assert_eq!(world.acts(320, Command::Tick), [overdue_act(DutyKind::EnRoute, Some("a"))]);
    assert_eq!(world.incident.next_deadline(), None);
    assert_eq!(world.good(900, Command::Tick), [], "one alarm");
    assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(1))), "an alarm takes nothing from the team");
    assert_eq!(names(&world.good(901, moved(1, TimePoint::EnRoute))), ["team-moved", "duty-closed"]);
    assert_eq!(owed(&world), [(DutyKind::EnRoute, 320, closed_of(DutyOutcome::Met))]);
}

#[test]
fn any_status_meets_the_en_route_check_and_the_end_of_the_leg_voids_it() {
    for status in [TimePoint::EnRoute, TimePoint::OnScene, TimePoint::WithPerson] {
        let mut world = one_team();
        world.good(100, moved(1, status));
        assert_eq!(owed(&world), [(DutyKind::EnRoute, 320, closed_of(DutyOutcome::Met))]);
        assert_eq!(world.incident.next_deadline(), None);
    }
    let mut world = one_team();
    world.good(100, clear(1));
    assert_eq!(owed(&world), [(DutyKind::EnRoute, 320, closed_of(DutyOutcome::Lapsed))]);
    let mut late = one_team();
    assert_eq!(names(&late.good(320, moved(1, TimePoint::EnRoute))), ["duty-overdue", "team-moved", "duty-closed"]);
}

#[test]
fn who_answers_by_phone_is_not_asked_to_set_out() {
    for kind in [ProgramKind::Phone, ProgramKind::Liaison] {
        let world = accepted(with_plan(|plan| plan.kind = kind));
        assert_eq!(owed(&world), []);
    }
    for kind in [ProgramKind::CoResponse, ProgramKind::PoliceCommunity] {
        assert_eq!(owed(&accepted(with_plan(|plan| plan.kind = kind))).len(), 1);
    }
}

#[test]
fn each_team_of_a_tandem_is_watched_once_both_have_accepted() {
    let mut whole = eligible(&[&["a"]]);
    whole.steps = vec![tandem(plan("a"), plan_of("officer", ProgramKind::PoliceCommunity, 60))];
    let mut world = accepted(whole);
    assert_eq!(owed(&world), []);
    world.good(30, accept(2));
    let both = |first, second| [(DutyKind::EnRoute, 330, first), (DutyKind::EnRoute, 330, second)];
    assert_eq!(owed(&world), both(DutyState::Open, DutyState::Open));
    world.good(40, moved(2, TimePoint::EnRoute));
    let met = closed_of(DutyOutcome::Met);
    let officer = world.incident.duties.iter().find(|duty| duty.leg == Some(leg(2))).unwrap();
    assert_eq!(officer.state, met);
    assert_eq!(world.acts(330, Command::Tick), [overdue_act(DutyKind::EnRoute, Some("a"))]);
}

/// Faults 9 and 36.
#[test]
fn a_recall_is_acknowledged_by_the_team_or_an_alarm() {
    let mut world = one_team();
    let events = world.good(30, record("d1", 30).with(dangerous()));
    let expected = ["stood-back", "duty-opened", "returned-to-ordinary", "duty-opened", "duty-closed"];
    assert_eq!(names(&events[2..]), expected);
    assert_eq!(owed(&world)[1], (DutyKind::Recall, 90, DutyState::Open));
    assert_eq!(names(&world.good(40, Command::AcknowledgeRecall { leg: leg(1), by: team() })), ["duty-closed"]);
    assert_eq!(world.good(41, Command::AcknowledgeRecall { leg: leg(1), by: team() }), [], "a repeat");
    assert_eq!(world.acts(500, Command::Tick), [overdue_act(DutyKind::Return, None)], "the return is another matter");

    let mut silent = one_team();
    silent.good(30, record("d1", 30).with(dangerous()));
    assert_eq!(silent.acts(90, Command::Tick), [overdue_act(DutyKind::Recall, Some("a"))]);
    let heard = Command::AcknowledgeRecall { leg: leg(1), by: team() };
    assert_eq!(names(&silent.good(100, heard)), ["duty-closed"], "late is better than never");
    assert_eq!(owed(&silent)[1].2, closed_of(DutyOutcome::Acknowledged));
}

#[test]
fn a_delivered_recall_is_not_an_acknowledged_one() {
    let mut world = one_team();
    world.good(30, record("d1", 30).with(dangerous()));
    let key = world.key_of("stand-back");
    world.good(31, Command::EffectDelivered { key });
    assert_eq!(world.acts(90, Command::Tick), [overdue_act(DutyKind::Recall, Some("a"))]);
}

#[test]
fn only_who_had_said_yes_is_asked_to_acknowledge_a_recall() {
    let mut world = World::new();
    world.good(0, watched("d0", 0).with(eligible(&[&["a", "b"]])));
    world.good(10, Command::AcceptRecommendation { by: taker() });
    world.good(20, accept(1));
    assert_eq!(world.leg_states(), [LegState::Accepted, LegState::Withdrawn]);
    assert!(owed(&world).iter().all(|(kind, _, _)| *kind == DutyKind::EnRoute));
    let heard = Command::AcknowledgeRecall { leg: leg(2), by: team() };
    assert_eq!(world.good(21, heard), [], "a courtesy changes nothing");
    assert_eq!(world.bad(21, Command::AcknowledgeRecall { leg: leg(1), by: team() }), not_owed("not-recalled"));
    assert_eq!(world.bad(21, Command::AcknowledgeRecall { leg: leg(9), by: team() }), Refusal::NoSuchLeg);
    // Half a tandem has said yes.
    let mut half = World::new();
    let mut whole = eligible(&[&["a"]]);
    whole.steps = vec![tandem(plan("a"), plan("b"))];
    half.good(0, watched("d0", 0).with(whole));
    half.good(10, Command::AcceptRecommendation { by: taker() });
    half.good(20, accept(1));
    half.good(30, decline(2));
    assert_eq!(owed(&half)[0], (DutyKind::Recall, 90, DutyState::Open));
}

#[test]
fn a_partner_that_leaves_of_itself_was_not_recalled() {
    let mut whole = eligible(&[&["a"]]);
    whole.steps = vec![tandem(plan("a"), plan("b"))];
    let mut world = accepted(whole);
    world.good(30, accept(2));
    world.good(40, moved(1, TimePoint::OnScene));
    world.good(50, clear(2));
    assert_eq!(world.leg_states(), [LegState::OnScene, LegState::Withdrawn]);
    assert!(owed(&world).iter().all(|(kind, _, _)| *kind == DutyKind::EnRoute));
}

/// Faults 8, 36: what is cancelled before arrival is recalled, and the call's end does not end the recall.
#[test]
fn a_recall_outlives_the_call() {
    let mut world = one_team();
    world.good(30, Record { lifecycle: Lifecycle::Cancelled, ..record("d1", 30) }.with(eligible(&[&["a"]])));
    assert_eq!(world.incident.phase, Phase::Closed);
    assert!(!world.incident.rests());
    assert_eq!(world.incident.next_deadline(), Some(at(90)));
    assert_eq!(world.acts(90, Command::Tick), [overdue_act(DutyKind::Recall, Some("a"))]);
    world.good(100, close(2, DutyOutcome::ToldByVoice, taker()));
    assert!(world.incident.duties_owed().next().is_none());
}

/// Faults 21 and 22 (I1, I3): a call that comes back is acknowledged by a person at the PSAP, or is shown overdue.
#[test]
fn a_return_is_stopped_by_a_person_at_the_psap_alone() {
    let mut world = World::new();
    world.good(0, watched("d0", 0).with(eligible(&[&["a"]])));
    world.good(10, Command::AcceptRecommendation { by: taker() });
    let events = world.good(130, Command::Tick);
    assert_eq!(names(&events), ["timed-out", "returned-to-ordinary", "duty-opened"]);
    assert_eq!(owed(&world), [(DutyKind::Return, 220, DutyState::Open)]);
    let key = world.key_of("cad");
    world.good(131, Command::EffectDelivered { key });
    assert_eq!(world.bad(132, close(1, DutyOutcome::Acknowledged, team())), not_owed("not-yours"));
    assert_eq!(world.bad(132, close(1, DutyOutcome::Acknowledged, Actor::Policy)), not_owed("not-yours"));
    assert_eq!(world.bad(132, close(1, DutyOutcome::Reached, taker())), not_owed("not-this-outcome"));
    assert_eq!(world.acts(220, Command::Tick), [overdue_act(DutyKind::Return, None)]);
    assert_eq!(names(&world.good(230, Command::AcknowledgeReturn { by: taker() })), ["duty-closed"]);
    assert_eq!(world.good(231, Command::AcknowledgeReturn { by: taker() }), [], "a repeat");
    assert_eq!(
        World::assessed(doubtful()).bad(1, Command::AcknowledgeReturn { by: taker() }),
        not_owed("not-returned")
    );
}

#[test]
fn an_operator_may_acknowledge_a_return_too() {
    let mut world = one_team();
    world.good(25, decline(1));
    let operator = Actor::Operator("supervisor-1".to_owned());
    assert_eq!(names(&world.good(30, Command::AcknowledgeReturn { by: operator })), ["duty-closed"]);
}

#[test]
fn who_takes_the_call_back_by_hand_has_it() {
    let mut world = one_team();
    world.good(30, to_ordinary(Some("r")));
    let kinds: Vec<_> = owed(&world).iter().map(|(kind, _, _)| *kind).collect();
    assert_eq!(kinds, [DutyKind::EnRoute, DutyKind::Recall], "the team is to acknowledge, the call-taker has it");
}

#[test]
fn who_chooses_for_a_returned_call_has_seen_it() {
    for command in [to_ordinary(Some("r")), to_programs(&[&["b"]])] {
        let mut world = one_team();
        world.good(25, decline(1));
        assert_eq!(owed(&world)[1], (DutyKind::Return, 115, DutyState::Open));
        let events = world.good(30, command);
        assert_eq!(names(&events)[0], "duty-closed");
        assert_eq!(owed(&world)[1].2, closed_of(DutyOutcome::Acknowledged));
    }
}

#[test]
fn a_second_return_does_not_move_the_deadline_of_the_first() {
    let mut world = one_team();
    world.good(25, decline(1));
    // The stand-back of a team that was not reached is told as a further ordinary-route notice, not as a new return.
    world.apply(&[Event::ReturnedToOrdinary { why: "no-team-accepted".to_owned(), leg: None }], at(60));
    let again = Event::ReturnedToOrdinary { why: "hazard".to_owned(), leg: None };
    assert_eq!(world.incident.opens(&again, None, at(100)), []);
    assert_eq!(world.incident.next_deadline(), Some(at(115)));
}

#[test]
fn a_return_lapses_where_the_sender_ends_the_call() {
    let mut world = one_team();
    world.good(25, decline(1));
    world.good(40, Record { lifecycle: Lifecycle::Closed, ..record("d1", 40) }.with(doubtful()));
    assert_eq!(owed(&world)[1].2, closed_of(DutyOutcome::Lapsed));
    assert!(!world.incident.rests(), "the CAD has not been told all of it");
}

#[test]
fn a_call_back_runs_from_the_acceptance_and_outlives_the_close() {
    let mut world = accepted(owes_call_back());
    let due = 20 + 30 * 60;
    assert_eq!(owed(&world)[1], (DutyKind::CallBack, due, DutyState::Open));
    world.good(100, clear(1));
    assert_eq!(world.incident.phase, Phase::Closed);
    assert_eq!(world.incident.next_deadline(), Some(at(due)));
    assert_eq!(world.acts(due, Command::Tick), [overdue_act(DutyKind::CallBack, Some("a"))]);
    let events = world.good(due + 60, close(2, DutyOutcome::Reached, team()));
    let closed = Event::DutyClosed {
        duty: DutyId::of(&IncidentId::new("i1"), 2),
        kind: DutyKind::CallBack,
        outcome: DutyOutcome::Reached,
        by: team(),
    };
    assert_eq!(events, [closed]);
    assert_eq!(world.good(due + 61, close(2, DutyOutcome::Reached, team())), [], "a repeat");
    assert_eq!(world.bad(due + 62, close(2, DutyOutcome::NotReached, team())), not_owed("already-closed"));
    assert_eq!(world.bad(due + 62, close(9, DutyOutcome::Reached, team())), not_owed("no-such-duty"));
}

#[test]
fn a_call_back_falls_away_with_a_leg_that_ends_otherwise_than_by_clearance() {
    let back = Command::ReturnLeg { leg: leg(1), why: "busy".to_owned(), by: team() };
    for command in [back, decline(1), to_ordinary(Some("r")), record("d1", 30).with(dangerous())] {
        let mut world = accepted(owes_call_back());
        world.good(30, command);
        assert_eq!(owed(&world)[1].2, closed_of(DutyOutcome::Lapsed));
    }
    let mut line = accepted(with_plan(|plan| {
        plan.kind = ProgramKind::Phone;
        plan.call_back_within_min = Some(30);
    }));
    line.good(30, Command::HandOnLeg { leg: leg(1), by: team() });
    assert_eq!(owed(&line), [(DutyKind::CallBack, 1820, closed_of(DutyOutcome::Lapsed))]);
    line.good(40, accept(2));
    assert_eq!(owed(&line)[1], (DutyKind::CallBack, 1840, DutyState::Open), "the next team owes its own");
}

#[test]
fn follow_ups_open_at_clearance_after_contact_with_their_windows() {
    let mut world = accepted(owes_follow_ups());
    world.good(50, moved(1, TimePoint::OnScene));
    let events = world.good(600, clear(1));
    assert_eq!(names(&events), ["cleared", "duty-opened", "duty-opened", "closed"]);
    let h = 3600;
    let owes: Vec<_> = world.incident.duties_owed().map(|duty| (duty.program.clone(), duty.leg.clone())).collect();
    assert_eq!(owes, [(Some(ProgramId::new("a")), Some(leg(1))), (Some(ProgramId::new("outreach")), None)]);
    let due =
        [(DutyKind::FollowUp, 600 + 48 * h, DutyState::Open), (DutyKind::FollowUp, 600 + 72 * h, DutyState::Open)];
    assert_eq!(owed(&world)[1..], due);
    let early = 600 + 24 * h - 1;
    assert_eq!(world.bad(early, close(3, DutyOutcome::Reached, team())), not_owed("too-early"));
    world.good(early + 1, close(3, DutyOutcome::NotReached, team()));
    assert_eq!(world.acts(600 + 48 * h, Command::Tick), [overdue_act(DutyKind::FollowUp, Some("a"))]);
    assert_eq!(world.incident.next_deadline(), None);
}

#[test]
fn a_follow_up_that_is_not_wanted_may_be_ended_before_its_window() {
    for outcome in [DutyOutcome::Refused, DutyOutcome::PassedOn, DutyOutcome::NotNeeded] {
        let mut world = accepted(owes_follow_ups());
        world.good(600, clear(1));
        assert_eq!(names(&world.good(700, close(3, outcome, team()))), ["duty-closed"]);
    }
}

#[test]
fn nothing_is_followed_up_where_nobody_was_met_or_the_call_came_back() {
    let nobody_met = [
        Disposition::CouldNotLocate,
        Disposition::GoneOnArrival,
        Disposition::OtherResponderFirst,
        Disposition::Cancelled,
    ];
    for disposition in Disposition::ALL {
        let mut world = accepted(owes_follow_ups());
        world.good(600, Command::ClearLeg { leg: leg(1), disposition, party: None, by: team() });
        let follow_ups = owed(&world).iter().filter(|(kind, _, _)| *kind == DutyKind::FollowUp).count();
        assert_eq!(follow_ups, if nobody_met.contains(&disposition) { 0 } else { 2 }, "{disposition:?}");
    }
    let mut back = accepted(owes_follow_ups());
    back.good(600, Command::ReturnLeg { leg: leg(1), why: "busy".to_owned(), by: team() });
    assert!(owed(&back).iter().all(|(kind, _, _)| *kind != DutyKind::FollowUp));
}

#[test]
fn what_either_rule_promised_is_owed_once() {
    let mut world = accepted(owes_follow_ups());
    let follow_up = vec![follow_up(0, 48, None), follow_up(0, 12, None)];
    world.good(30, record("d1", 30).with(Decision { follow_up, ..eligible(&[&["a"]]) }));
    world.good(600, clear(1));
    let due: Vec<_> = owed(&world)[1..].iter().map(|(_, due, _)| (due - 600) / 3600).collect();
    assert_eq!(due, [48, 72, 12]);
}

#[test]
fn what_was_promised_is_owed_although_the_last_decision_promises_nothing() {
    let mut world = accepted(owes_follow_ups());
    world.good(50, moved(1, TimePoint::OnScene));
    world.good(60, record("d1", 60).with(decision(Status::EligibleOutOfHours)));
    world.good(600, clear(1));
    assert_eq!(owed(&world)[1..].len(), 2);
}

/// Fault 57: other settings, other policies and restarts move no deadline.
#[test]
fn a_deadline_never_moves_once_it_is_stated() {
    let mut world = accepted(owes_call_back());
    let before = owed(&world);
    let laxer = Bounds { en_route_within_s: 9_000, ..BOUNDS };
    world.good(30, Record { bounds: Some(laxer), ..record("d1", 30) }.with(eligible(&[&["a"]])));
    world.good(40, Record { bounds: None, ..record("d2", 40) }.with(eligible(&[&["a"]])));
    assert_eq!(owed(&world), before);
    let mut again = Incident::new(IncidentId::new("i1"));
    for (event, at) in &world.log {
        drop(again.on(event, *at));
    }
    assert_eq!(again, world.incident);
    assert_eq!(again.next_deadline(), Some(at(320)));
}

#[test]
fn nobody_is_held_to_an_answer_that_is_not_watched() {
    for bounds in
        [None, Some(Bounds { en_route_within_s: 0, recall_acknowledged_within_s: 0, return_acknowledged_within_s: 0 })]
    {
        let mut world = World::new();
        world.good(0, Record { bounds, ..record("d0", 0) }.with(eligible(&[&["a"]])));
        world.good(10, Command::AcceptRecommendation { by: taker() });
        world.good(20, accept(1));
        world.good(30, record("d1", 30).with(dangerous()));
        assert_eq!(owed(&world), []);
        let heard = Command::AcknowledgeRecall { leg: leg(1), by: team() };
        assert_eq!(world.good(40, heard), [], "said although nobody asked");
    }
}

#[test]
fn a_second_decider_assesses_again_and_others_do_not() {
    let on_leg = |decision: Decision| Command::AnswerOnLeg {
        leg: leg(1),
        fact: "weapon".to_owned(),
        value: "none".to_owned(),
        by: team(),
        facts: Facts::default(),
        decision: Arc::new(decision),
    };
    let line = || accepted(with_plan(|plan| plan.kind = ProgramKind::Phone));
    assert_eq!(names(&line().good(30, on_leg(eligible(&[&["b"]])))), ["answer-given", "assessed"]);
    for worse in [dangerous(), doubtful()] {
        let mut world = line();
        world.good(30, on_leg(worse));
        assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
    }
    let mut moved_on = line();
    moved_on.good(30, Command::HandOnLeg { leg: leg(1), by: team() });
    assert!(matches!(moved_on.bad(31, on_leg(eligible(&[&["b"]]))), Refusal::NoLongerYours { .. }));
    assert!(matches!(one_team().bad(30, on_leg(eligible(&[&["a"]]))), Refusal::OutOfOrder { .. }));
    let mut offered = World::offered(&[&["a"]]);
    assert!(matches!(offered.bad(30, on_leg(eligible(&[&["a"]]))), Refusal::OutOfOrder { .. }));
}

#[test]
fn a_second_decider_resolves_refers_hands_on_or_gives_back() {
    let line = || accepted(with_plan(|plan| plan.kind = ProgramKind::Phone));
    let clears = |disposition, party| Command::ClearLeg { leg: leg(1), disposition, party, by: team() };
    let mut resolved = line();
    assert_eq!(names(&resolved.good(30, clears(Disposition::ResolvedByPhone, None))), ["cleared", "closed"]);
    let mut referred = line();
    let acts = referred.acts(30, clears(Disposition::Referred, Some(Party::Housing)));
    let Act::TellCad(CadNotice::Cleared { party, apco_code, .. }) = &acts[0] else { panic!("{acts:?}") };
    assert_eq!((party.as_deref(), apco_code.as_str()), (Some("housing"), "15"));
    let mut handed_on = line();
    assert_eq!(names(&handed_on.good(30, Command::HandOnLeg { leg: leg(1), by: team() })), ["handed-on", "offered"]);
    let mut back = line();
    let events = back.good(30, Command::ReturnLeg { leg: leg(1), why: "needs-police".to_owned(), by: team() });
    assert_eq!(names(&events), ["returned-to-ordinary", "duty-opened"]);
}

#[test]
fn a_party_goes_with_its_disposition_and_a_clearance_is_never_lost_for_one() {
    for disposition in Disposition::ALL {
        for party in Party::ALL {
            let mut world = one_team();
            let events = world.good(30, Command::ClearLeg { leg: leg(1), disposition, party: Some(party), by: team() });
            let Event::Cleared { party: kept, .. } = &events[0] else { panic!("{events:?}") };
            assert_eq!(*kept, disposition.parties().contains(&party).then_some(party));
        }
    }
    for party in Party::ALL {
        assert_eq!(serde_json::to_value(party).unwrap(), party.name());
        assert!(Disposition::ALL.iter().any(|disposition| disposition.parties().contains(&party)), "{party:?}");
    }
}

/// What the CAD is told again is true when it is told: this alarm, not another of the same team.
#[test]
fn an_alarm_that_was_given_up_is_told_again_only_while_that_very_duty_is_overdue() {
    let mut world = one_team();
    assert_eq!(world.acts(320, Command::Tick), [overdue_act(DutyKind::EnRoute, Some("a"))]);
    let key = world.key_of("cad");
    let given_up = |world: &mut World, seconds| {
        world.good(seconds, Command::EffectUndeliverable { key: key.clone(), why: "destination-down".to_owned() });
    };
    given_up(&mut world, 330);
    assert_eq!(names(&world.good(340, redrive(&key))), ["redriven"]);
    given_up(&mut world, 350);
    world.good(360, moved(1, TimePoint::EnRoute));
    world.good(370, hazard(1, dangerous()));
    world.good(430, Command::Tick);
    let overdue = world.incident.duties_owed().filter(|duty| duty.state == DutyState::Overdue);
    assert!(overdue.map(|duty| duty.kind).any(|kind| kind == DutyKind::Recall));
    assert_eq!(world.bad(440, redrive(&key)), Refusal::NotRedriven { why: "overtaken" });
}

/// A restart passes over what rests, so nothing that may still happen or must still be seen may rest (I10).
#[test]
fn a_call_rests_once_it_is_closed_everything_is_delivered_and_nothing_is_owed() {
    fn deliver(world: &mut World, seconds: i64) {
        for key in world.incident.outstanding.keys().cloned().collect::<Vec<_>>() {
            world.good(seconds, Command::EffectDelivered { key });
        }
    }
    let mut world = World::with_team();
    deliver(&mut world, 30);
    assert_eq!(world.incident.next_deadline(), None);
    assert!(!world.incident.rests(), "open, though nothing is outstanding or owed");
    world.good(60, clear(1));
    assert!(!world.incident.rests(), "the CAD has not heard of it");
    deliver(&mut world, 61);
    assert!(world.incident.rests());

    let mut owing = accepted(owes_follow_ups());
    owing.good(60, clear(1));
    deliver(&mut owing, 61);
    assert!(!owing.incident.rests(), "a follow-up has its deadline before it");
    let long_after = 60 + 72 * 3600;
    owing.good(long_after, Command::Tick);
    deliver(&mut owing, long_after);
    assert_eq!(owing.incident.next_deadline(), None);
    assert!(!owing.incident.rests(), "overdue, and owed still");
    for number in [2, 3] {
        owing.good(long_after + 1, close(number, DutyOutcome::NotNeeded, taker()));
    }
    deliver(&mut owing, long_after + 2);
    assert!(owing.incident.rests());
}

#[test]
fn every_word_of_what_is_owed_is_its_name_on_the_wire() {
    for kind in DutyKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        assert!(!kind.outcomes().contains(&DutyOutcome::Met) && !kind.outcomes().contains(&DutyOutcome::Lapsed));
    }
    for outcome in DutyOutcome::ALL {
        assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.name());
    }
    let alarms: std::collections::BTreeSet<_> = DutyKind::ALL.iter().map(|kind| kind.alarm()).collect();
    assert_eq!(alarms.len(), DutyKind::ALL.len(), "each alarm has its own reason code");
}
