//! Later records, answers and hazards: repeats, order of versions, recall, the source's closing.

use super::*;

fn stated(points: &[(TimePoint, i64)]) -> TimePoints {
    let mut times = TimePoints::default();
    for (point, seconds) in points {
        times.state(*point, at(*seconds));
    }
    times
}

fn unit(name: &str, status: TimePoint, seconds: Option<i64>) -> UnitStatus {
    UnitStatus { unit: name.to_owned(), unit_type: None, status, at: seconds.map(at) }
}

#[test]
fn the_same_record_again_changes_nothing_at_any_time() {
    let mut world = World::with_team();
    let version = world.incident.version;
    assert_eq!(world.good(30, record("d0", 0).with(dangerous())), []);
    world.good(40, clear(1));
    assert_eq!(world.good(50, record("d0", 0).with(dangerous())), []);
    assert_eq!(world.incident.version, version + 2);
    let mut overdue = World::offered(&[&["a"]]);
    assert_eq!(overdue.good(500, record("d0", 0).with(dangerous())), [], "deadlines are left to the tick");
    assert_eq!(overdue.incident.next_deadline(), Some(at(130)));
}

#[test]
fn a_call_began_when_it_was_received_or_else_entered_or_else_assessed() {
    let began = |points: &[(TimePoint, i64)]| {
        let mut world = World::new();
        world.good(0, Record { times: stated(points), ..record("d0", 0) }.with(eligible(&[&["a"]])));
        world.incident.began()
    };
    assert_eq!(Incident::new(IncidentId::new("i1")).began(), None);
    assert_eq!(began(&[(TimePoint::Entered, -20), (TimePoint::Received, -60)]), Some(at(-60)));
    assert_eq!(began(&[(TimePoint::Entered, -20)]), Some(at(-20)));
    assert_eq!(began(&[]), Some(at(0)));
}

#[test]
fn a_new_version_is_assessed_and_first_times_stand() {
    let mut world = World::new();
    let first = Record { times: stated(&[(TimePoint::Received, -60)]), ..record("d0", 0) };
    world.good(1, first.with(doubtful()));
    let later = [(TimePoint::Received, -30), (TimePoint::Answered, -50)];
    let second = Record { times: stated(&later), ..record("d1", 10) };
    assert_eq!(names(&world.good(11, second.with(eligible(&[&["a"]])))), ["record-received", "assessed"]);
    assert_eq!(world.incident.times.get(&TimePoint::Received), Some(&at(-60)));
    assert_eq!(world.incident.times.get(&TimePoint::Answered), Some(&at(-50)));
    assert_eq!(world.incident.times.get(&TimePoint::Assessed), Some(&at(1)));
    assert_eq!(world.incident.identity.as_ref().unwrap().content_sha256, "d1");
}

#[test]
fn unit_statuses_are_seen_once_at_the_senders_time() {
    let mut world = World::new();
    let units = vec![
        unit("E12", TimePoint::Dispatched, Some(5)),
        unit("E12", TimePoint::Dispatched, Some(6)),
        unit("E12", TimePoint::OnScene, None),
    ];
    let events = world.good(9, Record { units: units.clone(), ..record("d0", 7) }.with(dangerous()));
    assert_eq!(names(&events), ["record-received", "unit-seen", "unit-seen", "assessed"]);
    assert_eq!(world.incident.times.get(&TimePoint::Dispatched), Some(&at(5)));
    assert_eq!(world.incident.times.get(&TimePoint::OnScene), Some(&at(7)), "the version that showed it first");
    let again = Record { units, ..record("d1", 20) };
    assert_eq!(names(&world.good(21, again.with(dangerous()))), ["record-received", "assessed"]);
}

#[test]
fn an_overtaken_record_is_stored_and_not_applied() {
    let mut world = World::assessed(eligible(&[&["a"]]));
    world.good(20, record("d2", 20).with(doubtful()));
    let stale = Record { lifecycle: Lifecycle::Closed, test: true, ..record("d1", 10) };
    let events = world.good(21, stale.with(eligible(&[&["a"]])));
    assert_eq!(names(&events), ["record-received"]);
    let Event::RecordReceived(received) = &events[0] else { panic!("not a record") };
    assert!(!received.applied);
    assert_eq!(world.incident.identity.as_ref().unwrap().content_sha256, "d2");
    assert_eq!(world.incident.decision.as_deref(), Some(&doubtful()));
    assert!(!world.incident.test);
    assert_eq!(world.good(22, record("d1", 10).with(dangerous())), [], "and it is known by now");
}

#[test]
fn versions_are_ordered_by_element_and_equal_or_unstated_times_are_applied() {
    let mut world = World::assessed(doubtful());
    world.good(20, record("d2", 20).with(doubtful()));
    for (digest, element, updated_s) in [("e1", "fire-cad", Some(5)), ("d3", "cad", Some(20)), ("d4", "cad", None)] {
        let next = Record { element, updated_s, ..record(digest, 0) };
        assert_eq!(names(&world.good(30, next.with(doubtful()))), ["record-received", "assessed"], "{digest}");
    }
    let stale = record("d5", 19);
    assert_eq!(names(&world.good(31, stale.with(doubtful()))), ["record-received"], "an unstated time forgets nothing");
}

#[test]
fn danger_in_an_overtaken_record_still_recalls_the_team() {
    let mut world = World::with_team();
    world.good(30, record("d2", 30).with(eligible(&[&["a"]])));
    let events = world.good(40, record("d1", 25).with(dangerous()));
    assert_eq!(names(&events), ["record-received", "assessed", "stood-back", "returned-to-ordinary"]);
    let again = world.good(41, record("d1b", 26).with(dangerous()));
    assert_eq!(names(&again), ["record-received"], "no news");
    let poorer = world.good(42, record("d1c", 27).with(doubtful()));
    assert_eq!(names(&poorer), ["record-received"], "doubt in a stale record is no news either");
}

/// Faults 6 and 9: whatever the order, a danger told of at any time leaves the call with the PSAP.
#[test]
fn every_order_of_a_script_of_updates_ends_alike() {
    let script = [(1, false), (2, true), (3, false), (4, false)];
    let orders = orders(&script);
    assert_eq!(orders.len(), 24);
    for order in orders {
        let mut world = World::with_team();
        let mut known = false;
        for (arrival, (version, tells)) in (50_i64..).zip(&order) {
            known |= *tells;
            // The caller merges facts, so that danger once told of is in every later decision.
            let decision = if known { dangerous() } else { eligible(&[&["a"]]) };
            world.good(arrival, record(&format!("v{version}"), 20 + version).with(decision));
        }
        assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap), "{order:?}");
        assert_eq!(world.leg_states(), [LegState::StoodBack], "{order:?}");
        assert_eq!(world.incident.identity.as_ref().unwrap().content_sha256, "v4", "{order:?}");
    }
}

#[test]
fn danger_withdraws_every_offer_and_tries_no_further_step() {
    for command in [record("d1", 20).with(dangerous()), answer(dangerous()), hazard(1, dangerous())] {
        let mut world = World::offered(&[&["a", "b"], &["c"]]);
        let events = world.good(20, command);
        assert_eq!(names(&events)[events.len() - 3..], ["withdrawn", "withdrawn", "returned-to-ordinary"]);
        assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
        assert_eq!(world.effects.last().unwrap().act, ordinary_route("hazard"));
        assert_eq!(world.good(900, Command::Tick), []);
        assert_eq!(world.bad(21, accept(1)), Refusal::NoLongerYours { why: "hazard".to_owned() });
    }
}

#[test]
fn danger_stands_the_team_back_and_asks_police_for_a_team_that_is_there() {
    let mut world = World::with_team();
    let events = world.good(30, record("d1", 30).with(dangerous()));
    assert_eq!(names(&events), ["record-received", "assessed", "stood-back", "returned-to-ordinary"]);
    assert_eq!(events[2], Event::StoodBack { leg: leg(1), why: "weapon".to_owned() });

    let mut world = World::on_scene();
    let events = world.good(50, hazard(1, dangerous()));
    let expected = ["hazard-reported", "assessed", "stood-back", "returned-to-ordinary", "backup-requested"];
    assert_eq!(names(&events), expected);
    let asked = Event::BackupRequested {
        leg: Some(leg(1)),
        service: BackupService::Police,
        team_requested: false,
        by: Actor::Policy,
    };
    assert_eq!(events[4], asked);
    assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
    assert_eq!(world.bad(51, moved(1, TimePoint::WithPerson)), Refusal::NoLongerYours { why: "stood-back".to_owned() });
}

#[test]
fn a_hazard_without_an_exclusion_is_recorded_and_the_team_stays() {
    let mut world = World::on_scene();
    let events = world.good(50, hazard(1, eligible(&[&["a"]])));
    assert_eq!(names(&events), ["hazard-reported", "assessed"]);
    assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(1))));
}

#[test]
fn availability_recalls_nobody() {
    for status in
        [Status::EligibleOutOfHours, Status::EligibleOutOfArea, Status::EligibleNoUnit, Status::ShadowEligible]
    {
        for mut world in [World::offered(&[&["a"]]), World::with_team(), World::on_scene()] {
            let before = world.stands();
            world.good(60, record("d1", 60).with(decision(status.clone())));
            assert_eq!(world.stands(), before, "{status:?}");
        }
    }
}

#[test]
fn doubt_recalls_offers_and_teams_on_the_way_but_not_a_team_on_scene() {
    let doubts = [
        doubtful(),
        decision(Status::NotAssessed { why: "call-type-not-in-table".to_owned() }),
        decision(Status::Ineligible { because: "no-rule".to_owned() }),
    ];
    for doubt in doubts {
        for mut world in [World::offered(&[&["a"], &["b"]]), World::with_team()] {
            world.good(60, record("d1", 60).with(doubt.clone()));
            assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap), "{:?}", doubt.status);
            assert_eq!(world.effects.last().unwrap().act, ordinary_route("doubt"));
            let backup = world.log.iter().any(|(event, _)| matches!(event, Event::BackupRequested { .. }));
            assert!(!backup);
        }
        let mut world = World::on_scene();
        world.good(60, record("d1", 60).with(doubt.clone()));
        assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(1))), "{:?}", doubt.status);
    }
}

#[test]
fn a_status_that_was_overridden_is_no_news() {
    let no_rule = decision(Status::Ineligible { because: "no-rule".to_owned() });
    let mut world = World::assessed(no_rule.clone());
    world.good(5, to_programs(&[&["a"]]));
    world.good(10, record("d1", 10).with(no_rule.clone()));
    assert_eq!(world.stands(), (Phase::Offered, Owner::Psap));
    world.good(20, accept(1));
    world.good(30, record("d2", 30).with(no_rule));
    assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(1))));
    world.good(40, record("d3", 40).with(decision(Status::NotAssessed { why: "no-call-type".to_owned() })));
    assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
}

#[test]
fn an_exclusion_that_sends_to_the_owning_co_response_leaves_it_in_place() {
    let to_pact = |status| Decision { exclusions: vec![exclusion("threat", &[], Some("pact"))], ..decision(status) };
    let mut pact = eligible(&[&["pact"]]);
    pact.steps[0].legs[0].kind = ProgramKind::CoResponse;
    let mut world = World::assessed(pact);
    world.good(5, Command::AcceptRecommendation { by: taker() });
    world.good(10, accept(1));
    world.good(20, record("d1", 20).with(to_pact(Status::Eligible)));
    assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(1))));
    let mut both = to_pact(Status::Eligible);
    both.exclusions.push(exclusion("weapon", &[], None));
    world.good(30, record("d2", 30).with(both));
    assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
}

#[test]
fn a_barred_step_is_passed_over() {
    let mut world = World::offered(&[&["a"], &["pact"]]);
    world.incident.steps_left[0].legs[0].kind = ProgramKind::CoResponse;
    world.incident.steps_left.insert(0, steps(&[&["b"]]).remove(0));
    // The exclusion came with no recall of its own, so that only the passing over is seen.
    Arc::make_mut(world.incident.decision.as_mut().unwrap()).exclusions = vec![exclusion("threat", &[], Some("pact"))];
    let events = world.good(20, decline(1));
    assert_eq!(names(&events), ["declined", "offered"]);
    assert_eq!(world.incident.legs[1].plan.program.as_str(), "pact");
    assert!(world.incident.steps_left.is_empty());
}

#[test]
fn the_sources_closing_ends_a_call_that_no_team_has() {
    for (lifecycle, why) in [(Lifecycle::Closed, "closed-by-source"), (Lifecycle::Cancelled, "cancelled-by-source")] {
        let over = || Record { lifecycle, ..record("d9", 60) }.with(eligible(&[&["a"]]));
        for mut world in [World::new(), World::assessed(doubtful()), World::offered(&[&["a", "b"]])] {
            let events = world.good(60, over());
            assert_eq!(events.last(), Some(&Event::Closed { why: why.to_owned() }));
            assert_eq!(world.stands(), (Phase::Closed, Owner::Psap));
            assert!(world.leg_states().iter().all(|state| *state == LegState::Withdrawn));
        }
    }
}

#[test]
fn a_team_keeps_a_call_that_its_source_closes_until_it_clears() {
    let mut world = World::with_team();
    world.good(60, Record { lifecycle: Lifecycle::Closed, ..record("d9", 60) }.with(eligible(&[&["a"]])));
    assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(1))));
    assert_eq!(names(&world.good(600, clear(1))), ["cleared", "closed"]);
}

#[test]
fn a_cancelled_call_stands_back_a_team_on_the_way_and_leaves_one_on_scene() {
    let cancelled = || Record { lifecycle: Lifecycle::Cancelled, ..record("d9", 60) }.with(eligible(&[&["a"]]));
    let mut world = World::with_team();
    let events = world.good(60, cancelled());
    assert_eq!(names(&events), ["record-received", "assessed", "stood-back", "closed"]);
    assert_eq!(world.leg_states(), [LegState::StoodBack]);
    let mut world = World::on_scene();
    world.good(60, cancelled());
    assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(1))));
}

#[test]
fn a_call_recalled_by_the_closing_record_itself_stays_open() {
    for lifecycle in [Lifecycle::Closed, Lifecycle::Cancelled] {
        let mut world = World::on_scene();
        world.good(60, Record { lifecycle, ..record("d9", 60) }.with(dangerous()));
        assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
        world.good(70, Record { lifecycle, ..record("d10", 70) }.with(dangerous()));
        assert_eq!(world.stands(), (Phase::Closed, Owner::Psap), "the next word of the source ends it");
    }
}

#[test]
fn a_record_of_a_closed_call_is_stored_and_opens_nothing() {
    let mut world = World::with_team();
    world.good(60, clear(1));
    let events = world.good(70, record("d9", 70).with(automatic(&[&["a"]])));
    assert_eq!(names(&events), ["record-received"]);
    let Event::RecordReceived(received) = &events[0] else { panic!("not a record") };
    assert!(!received.applied);
    assert_eq!(world.stands(), (Phase::Closed, Owner::Psap));
}

/// Every order of a script's items.
fn orders<T: Clone>(script: &[T]) -> Vec<Vec<T>> {
    let mut orders = vec![vec![]];
    for item in script {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<T>| {
                (0..=order.len()).map(move |place| {
                    let mut next = order.clone();
                    next.insert(place, item.clone());
                    next
                })
            })
            .collect();
    }
    orders
}

/// What I8 says of a state that a script has left: what the newest version says and the worst that any has told.
fn settled(world: &World) -> (Phase, Owner, Option<String>, bool, Mode, Vec<LegState>) {
    let incident = &world.incident;
    let newest = incident.identity.as_ref().map(|identity| identity.content_sha256.clone());
    (incident.phase, incident.owner.clone(), newest, incident.test, incident.mode, world.leg_states())
}

/// Fault 6: every order of every script of up to five versions ends in the same state, before and after acceptance.
#[test]
fn every_order_of_up_to_five_versions_ends_in_the_state_of_the_newest() {
    // Bits: which versions tell of danger.
    let mut tried = 0;
    for length in 1..=5_i64 {
        for tells in [0_u32, 1, 1 << (length - 1), (1 << length) - 1] {
            let script: Vec<i64> = (1..=length).collect();
            let mut ends = Vec::new();
            for order in orders(&script) {
                for make in [(|| World::assessed(eligible(&[&["a"]]))) as fn() -> World, World::with_team] {
                    let mut world = make();
                    let mut known = false;
                    for (arrival, version) in (50_i64..).zip(&order) {
                        known |= tells & (1 << (version - 1)) != 0;
                        let decision = if known { dangerous() } else { eligible(&[&["a"]]) };
                        let last = *version == length;
                        let versioned = Record {
                            test: last && length == 4,
                            mode: if last { Mode::Automatic } else { Mode::Advise },
                            ..record(&format!("v{version}"), 20 + version)
                        };
                        world.good(arrival, versioned.with(decision));
                    }
                    ends.push(settled(&world));
                    tried += 1;
                }
            }
            for pair in ends.chunks(2) {
                assert_eq!(pair, &ends[..2], "{length} {tells:b}");
            }
        }
    }
    assert_eq!(tried, 2 * 4 * (1 + 2 + 6 + 24 + 120));
}

/// Fault 7: there is no "create" to wait for. Each record is whole, so that whichever version comes first makes the
/// incident, and the first version that comes after it is stored and not applied.
#[test]
fn an_update_before_its_create_makes_the_call_and_the_create_changes_nothing_but_danger() {
    let mut world = World::new();
    world.good(5, record("update", 60).with(doubtful()));
    assert_eq!(world.stands(), (Phase::Assessed, Owner::Psap), "with the PSAP until the answer comes");
    let events = world.good(6, record("create", 0).with(eligible(&[&["a"]])));
    assert_eq!(names(&events), ["record-received"]);
    assert_eq!(world.incident.decision.as_deref(), Some(&doubtful()));
    let mut told = World::new();
    told.good(5, record("update", 60).with(eligible(&[&["a"]])));
    told.good(6, record("create", 0).with(dangerous()));
    assert!(matches!(told.incident.decision.as_ref().unwrap().status, Status::Ineligible { .. }));
}

/// Fault 8: a cancellation and what the team presses, in every order and at every distance from the deadline.
#[test]
fn a_cancellation_crosses_acceptance_in_every_order_and_the_call_has_one_owner() {
    let cancelled = || Record { lifecycle: Lifecycle::Cancelled, ..record("d9", 60) }.with(eligible(&[&["a"]]));
    let script = [accept(1), cancelled(), moved(1, TimePoint::EnRoute), moved(1, TimePoint::OnScene), Command::Tick];
    for order in orders(&script) {
        for start in [20_i64, 125] {
            let mut world = World::offered(&[&["a"]]);
            let mut told_off = false;
            for (second, command) in (start..).step_by(2).zip(&order) {
                match world.send(second, command) {
                    Ok(_) => {}
                    Err(Refusal::NoLongerYours { .. }) => told_off = true,
                    Err(Refusal::OutOfOrder { .. } | Refusal::Closed) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
            let position = |wanted: &Command| order.iter().position(|command| command == wanted).unwrap();
            let arrived_first = position(&moved(1, TimePoint::OnScene)) < position(&cancelled())
                && position(&accept(1)) < position(&moved(1, TimePoint::OnScene));
            let (phase, owner) = world.stands();
            match (&owner, phase) {
                (Owner::Team(_), Phase::WithTeam) => assert!(arrived_first, "only who has arrived keeps it: {order:?}"),
                (Owner::Psap, Phase::Closed | Phase::Ordinary) => {}
                other => panic!("{other:?} {order:?}"),
            }
            let accepted_after_cancel = position(&cancelled()) < position(&accept(1));
            let recalled =
                world.effects.iter().any(|effect| matches!(effect.act, Act::StandBack { .. } | Act::Withdraw { .. }));
            assert!(owner != Owner::Psap || recalled || told_off || start == 125, "{order:?}");
            if accepted_after_cancel {
                assert!(told_off && owner == Owner::Psap, "an acceptance after the cancellation is no longer theirs");
            }
        }
    }
}

/// Fault 18: a CAD whose clock is hours wrong moves no deadline of ours; its versions are ordered by its own clock.
#[test]
fn a_clock_that_is_hours_wrong_moves_no_deadline() {
    for wrong_s in [-7 * 3600, 7 * 3600] {
        let mut world = World::new();
        world.good(0, record("d0", wrong_s).with(automatic(&[&["a"]])));
        assert_eq!(world.incident.next_deadline(), None, "advise mode");
        world.good(10, Command::AcceptRecommendation { by: taker() });
        assert_eq!(world.incident.next_deadline(), Some(at(130)), "from our receipt");
        world.good(20, record("d1", wrong_s + 10).with(automatic(&[&["a"]])));
        assert_eq!(world.incident.next_deadline(), Some(at(130)));
        let stale = world.good(21, record("d2", wrong_s + 5).with(doubtful()));
        assert_eq!(names(&stale), ["record-received"], "its own order");
        assert_eq!(names(&world.good(130, Command::Tick)), ["timed-out", "returned-to-ordinary"]);
    }
}

/// Fault 53: the clock steps back, and nothing is owed later for it.
#[test]
fn a_step_back_of_the_clock_lengthens_no_deadline() {
    let mut world = World::offered(&[&["a"]]);
    world.good(-3600, record("d1", 20).with(eligible(&[&["a"]])));
    assert_eq!(world.incident.next_deadline(), Some(at(130)));
    assert_eq!(world.good(129, Command::Tick), []);
    assert_eq!(names(&world.good(130, Command::Tick)), ["timed-out", "returned-to-ordinary"]);
}

/// Fault 20: a test reaches no team, and a mark that comes later takes nothing live back by itself.
#[test]
fn a_test_reaches_no_team_and_a_live_call_is_not_dropped_as_one() {
    let test = |digest: &str, updated| Record { test: true, mode: Mode::Automatic, ..record(digest, updated) };
    let mut world = World::new();
    world.good(0, test("d0", 0).with(automatic(&[&["a"]])));
    assert!(world.incident.legs.is_empty());
    assert_eq!(world.bad(1, to_programs(&[&["a"]])), Refusal::NothingToChoose { why: "test".to_owned() });
    world.good(2, Record { mode: Mode::Automatic, ..record("d1", 10) }.with(automatic(&[&["a"]])));
    assert_eq!(world.leg_states(), [LegState::Offered], "it was live after all");
    let mut live = World::with_team();
    live.good(60, test("d1", 60).with(eligible(&[&["a"]])));
    assert_eq!(live.stands(), (Phase::WithTeam, Owner::Team(leg(1))), "whoever is on the way goes on");
}

#[test]
fn an_exclusion_that_names_whom_it_bars_recalls_that_team_and_no_other() {
    let barring =
        |program: &str| Decision { exclusions: vec![exclusion_of("suicidal", program)], ..eligible(&[&["a"], &["b"]]) };
    // The team that has the call is not named: it keeps it.
    let mut world = World::with_team();
    world.good(30, record("d1", 20).with(barring("b")));
    assert_eq!(world.incident.phase, Phase::WithTeam);
    // It is named: it is told to stand back, and the call is the PSAP's.
    let events = world.good(40, record("d2", 30).with(barring("a")));
    assert!(names(&events).contains(&"stood-back".to_owned()), "{events:?}");
    assert_eq!((world.incident.phase, &world.incident.owner), (Phase::Ordinary, &Owner::Psap));
    // Of a new chain only whoever is not named is asked.
    let mut fresh = World::new();
    fresh.good(0, record("d0", 0).with(barring("a")));
    fresh.good(10, Command::AcceptRecommendation { by: taker() });
    let asked: Vec<&str> = fresh.incident.legs.iter().map(|leg| leg.plan.program.as_str()).collect();
    assert_eq!(asked, ["b"]);
}

/// Ties only grow: a merge is not made a link by a later record, and only a newer record ends a link.
#[test]
fn ties_only_grow_and_a_newer_record_alone_ends_a_link() {
    use crate::record::{RELATED_MAX, Related, Relation};
    let tie = |incident: &mut Incident, how: Relation, applied: bool| {
        incident.relate(&Related { incident: "other".to_owned(), how }, applied);
        incident.related.get("other").copied()
    };
    let kinds = [Relation::MergedInto, Relation::MergedFrom, Relation::SplitFrom, Relation::Linked];
    for (first_at, first) in kinds.into_iter().enumerate() {
        for (then_at, then) in kinds.into_iter().enumerate() {
            let mut incident = Incident::new(IncidentId::new("i1"));
            assert_eq!(tie(&mut incident, first, false), Some(first), "an older record says it too");
            assert_eq!(tie(&mut incident, then, true), Some(kinds[first_at.min(then_at)]));
        }
        let mut incident = Incident::new(IncidentId::new("i1"));
        tie(&mut incident, first, true);
        assert_eq!(tie(&mut incident, Relation::Unlinked, false), Some(first), "an older record unties nothing");
        let left = Some(first).filter(|how| *how != Relation::Linked);
        assert_eq!(tie(&mut incident, Relation::Unlinked, true), left, "what was merged or split stays so");
        assert_eq!(tie(&mut incident, Relation::Unlinked, true), left);
    }
    let mut incident = Incident::new(IncidentId::new("i1"));
    for number in 0..2 * RELATED_MAX {
        incident.relate(&Related { incident: number.to_string(), how: Relation::Linked }, true);
    }
    assert_eq!(incident.related.len(), RELATED_MAX + 1, "one more than are followed, which is doubt");
    incident.relate(&Related { incident: "0".to_owned(), how: Relation::MergedInto }, true);
    assert_eq!(incident.related.get("0"), Some(&Relation::MergedInto), "a tie that is known grows all the same");
}

/// By its sender's word the call is another incident's: whoever declines, and whomever a person chooses, nobody else is asked.
#[test]
fn a_merged_call_is_not_offered_on() {
    let mut world = World::offered(&[&["a"], &["b"]]);
    world.incident.related.insert("other".to_owned(), crate::record::Relation::MergedInto);
    let events = world.good(20, decline(1));
    assert!(!names(&events).contains(&"offered".to_owned()), "{events:?}");
    assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
    let chosen = world.send(30, &to_programs(&[&["b"]]));
    assert_eq!(chosen.unwrap_err(), Refusal::NothingToChoose { why: "merged".to_owned() });
}
