//! Hands bound while the shared journal is away, and a story that went its own way meanwhile.

use super::*;

impl World {
    /// As [`World::send`], with what the others cannot see.
    fn bound(&mut self, seconds: i64, command: &Command) -> Result<Vec<Event>, Refusal> {
        let events = self.incident.handle(command, at(seconds), Hands::Bound)?;
        self.apply(&events, at(seconds));
        Ok(events)
    }
}

pub(super) fn keep_apart(first_hash: &str, decision: Decision) -> Command {
    let happened =
        Event::BackupRequested { leg: None, service: BackupService::Police, team_requested: true, by: team() };
    Command::KeepApart {
        incident: IncidentId::new("i1"),
        after: 3,
        first_hash: first_hash.to_owned(),
        entries: vec![ApartEntry { at: at(15), happened }],
        facts: Facts::default(),
        decision: Arc::new(decision),
    }
}

#[test]
fn with_bound_hands_nothing_is_offered_by_itself_or_by_a_person() {
    let mut world = World::new();
    let automatic_record = Record { mode: Mode::Automatic, ..record("d0", 0) }.with(automatic(&[&["a"]]));
    let events = world.bound(0, &automatic_record).unwrap();
    assert_eq!(names(&events), ["record-received", "assessed"], "decided and shown, and that is all");
    for command in [Command::AcceptRecommendation { by: taker() }, to_programs(&[&["a"]])] {
        let refused = world.bound(5, &command).unwrap_err();
        assert_eq!(refused, Refusal::NothingToChoose { why: "journal-away".to_owned() });
    }
    assert_eq!(names(&world.bound(6, &to_ordinary(Some("busy"))).unwrap()), ["ordinary-chosen"]);
    // The same record with free hands is offered: the test would see it if hands were not looked at.
    let mut free = World::new();
    let offered = Record { mode: Mode::Automatic, ..record("d0", 0) }.with(automatic(&[&["a"]]));
    assert!(names(&free.good(0, offered)).contains(&"offered".to_owned()));
}

#[test]
fn with_bound_hands_a_deadline_that_passes_brings_the_call_back_and_no_team_is_asked_next() {
    let mut world = World::offered(&[&["a"], &["b"]]);
    let events = world.bound(130, &Command::Tick).unwrap();
    assert_eq!(names(&events), ["timed-out", "returned-to-ordinary"]);
    assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
    assert_eq!(world.effects.last().unwrap().act, ordinary_route("journal-away"));
    let mut declined = World::offered(&[&["a"], &["b"]]);
    assert_eq!(names(&declined.bound(20, &decline(1)).unwrap()), ["declined", "returned-to-ordinary"]);
}

#[test]
fn with_bound_hands_no_acceptance_counts_and_the_team_is_told_so() {
    let mut world = World::offered(&[&["a"]]);
    let refused = world.bound(20, &accept(1)).unwrap_err();
    assert_eq!(refused, Refusal::NoLongerYours { why: "journal-away".to_owned() });
    assert_eq!((world.stands(), world.leg_states()), ((Phase::Offered, Owner::Psap), vec![LegState::Offered]));
    // A team that has the call keeps it, and may do everything that leads back.
    let mut with_team = World::with_team();
    for (seconds, command, events) in [
        (40, accept(1), &[][..]),
        (41, moved(1, TimePoint::OnScene), &["team-moved"][..]),
        (
            42,
            hazard(1, dangerous()),
            &["hazard-reported", "assessed", "stood-back", "returned-to-ordinary", "backup-requested"][..],
        ),
    ] {
        assert_eq!(names(&with_team.bound(seconds, &command).unwrap()), events);
    }
    let mut cleared = World::on_scene();
    assert_eq!(names(&cleared.bound(50, &clear(1)).unwrap()), ["cleared", "closed"]);
}

#[test]
fn a_story_that_went_its_own_way_is_kept_once_and_the_owner_stays() {
    let mut world = World::with_team();
    let acts = world.acts(60, keep_apart("ab", eligible(&[&["a"]])));
    assert_eq!(
        acts,
        [Act::TellCad(CadNotice::TeamAccepted { program: ProgramId::new("a") })],
        "the CAD hears whose it is"
    );
    assert_eq!(world.stands(), (Phase::WithTeam, Owner::Team(leg(1))));
    assert_eq!(world.good(61, keep_apart("ab", eligible(&[&["a"]]))), [], "once");
    assert_eq!(names(&world.good(62, keep_apart("cd", eligible(&[&["a"]])))), ["kept-apart"], "another one");
    let mut ordinary = World::assessed(decision(Status::NeedsAnswer));
    assert_eq!(ordinary.acts(60, keep_apart("ab", decision(Status::NeedsAnswer))), [ordinary_route("kept-apart")]);
    let mut closed = World::on_scene();
    closed.good(50, clear(1));
    assert_eq!(closed.acts(60, keep_apart("ab", dangerous())), [], "kept, and nothing to send anybody for");
    assert!(closed.incident.kept_apart.contains("ab"));
}

#[test]
fn what_follows_a_story_that_was_kept_goes_out_under_keys_that_were_not_used_in_it() {
    let mut world = World::with_team();
    let keys = |world: &World| world.effects.iter().map(|effect| effect.key.clone()).collect::<Vec<_>>();
    let before = keys(&world);
    assert!(before.iter().all(|key| !key.contains('-')), "{before:?}");
    world.good(60, keep_apart("ab", dangerous()));
    let after = keys(&world).split_off(before.len());
    assert!(!after.is_empty() && after.iter().all(|key| key.contains("-1.")), "{after:?}");
    world.good(61, keep_apart("cd", dangerous()));
    assert!(keys(&world).last().unwrap().contains("-2."), "{:?}", keys(&world));
}

#[test]
fn danger_that_was_learnt_apart_recalls_the_team_that_has_the_call_now() {
    let mut world = World::with_team();
    let events = world.good(60, keep_apart("ab", dangerous()));
    assert_eq!(names(&events), ["kept-apart", "assessed", "stood-back", "returned-to-ordinary"]);
    assert_eq!(world.stands(), (Phase::Ordinary, Owner::Psap));
}
