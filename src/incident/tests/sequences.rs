//! Random lives of a call, watched by a book-keeper that knows the rules of ownership and nothing of the machine.

use super::ledger::Ledger;
use super::*;
use crate::policy::FollowUp;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// One thing that happens, after some seconds.
#[derive(Debug, Clone)]
enum Happens {
    Record { digest: u8, updated: Option<i64>, fire_cad: bool, lifecycle: Lifecycle, test: bool, mode: Mode, says: u8 },
    Answered(u8),
    Recommended,
    ToOrdinary(bool),
    ToPrograms(u8),
    Accept(u32),
    Decline(u32, DeclineCause),
    Move(u32, TimePoint),
    Clear(u32),
    Return(u32),
    HandOn(u32),
    Backup(Option<u32>),
    Hazard(u32, u8),
    AnsweredOnLeg(u32, u8),
    HeardRecall(u32),
    HasReturn,
    Answers(u32, DutyOutcome, bool),
    Delivered(usize),
    Undeliverable(usize),
    Redrive(usize),
    KeptApart(u8, u8),
    TakenBack,
    Tick,
    AtDeadline(Box<Happens>),
}

fn says(choice: u8) -> Decision {
    let mut pact = steps(&[&["pact"], &["a"]]);
    pact[0].legs[0].kind = ProgramKind::CoResponse;
    match choice {
        15..=18 => Decision {
            route: Route::Program(ProgramId::new("a")),
            steps: tandem_line_and_referral(),
            ..decision(Status::Eligible)
        },
        19 | 20 => {
            let follow_up = vec![
                FollowUp { after_h: 0, within_h: 1, by: None },
                FollowUp { after_h: 1, within_h: 2, by: Some(ProgramId::new("outreach")) },
            ];
            let mut owing = Decision { follow_up, ..eligible(&[&["a"], &["b"]]) };
            owing.steps[0].legs[0].call_back_within_min = Some(2);
            owing
        }
        0..=2 | 13 | 21.. => eligible(&[&["a"], &["b"]]),
        3..=4 => automatic(&[&["a", "b"], &["c"]]),
        5 => dangerous(),
        6 => doubtful(),
        7 => decision(Status::EligibleOutOfHours),
        8 => decision(Status::NotAssessed { why: "no-call-type".to_owned() }),
        9 => decision(Status::Ineligible { because: "no-rule".to_owned() }),
        10 => Decision {
            exclusions: vec![exclusion("threat", &[], Some("pact"))],
            route: Route::Program(ProgramId::new("pact")),
            steps: pact,
            ..decision(Status::Eligible)
        },
        // A policy that contradicts itself: nothing of it may be offered.
        11 => Decision { exclusions: dangerous().exclusions, ..automatic(&[&["a"], &["b"]]) },
        12 => decision(Status::ShadowEligible),
        14 => Decision {
            exclusions: vec![exclusion("built-in.weapon", &[], None)],
            route: Route::Program(ProgramId::new("pact")),
            steps: pact,
            ..decision(Status::Eligible)
        },
    }
}

fn happens() -> impl Strategy<Value = Happens> {
    let legs = prop_oneof![3 => Just(0_u32), 1 => 1_u32..4];
    let lifecycle =
        prop_oneof![40 => Just(Lifecycle::Open), 1 => Just(Lifecycle::Closed), 1 => Just(Lifecycle::Cancelled)];
    let mode = prop_oneof![12 => Just(Mode::Advise), 12 => Just(Mode::Automatic), 1 => Just(Mode::Shadow)];
    let test = prop::bool::weighted(0.02);
    let updated = prop::option::weighted(0.9, 0_i64..20);
    let record = (0_u8..24, updated, any::<bool>(), lifecycle, test, mode, 0_u8..24).prop_map(
        |(digest, updated, fire_cad, lifecycle, test, mode, says)| Happens::Record {
            digest,
            updated,
            fire_cad,
            lifecycle,
            test,
            mode,
            says,
        },
    );
    let status =
        prop::sample::select(vec![TimePoint::EnRoute, TimePoint::OnScene, TimePoint::WithPerson, TimePoint::Received]);
    let plain = prop_oneof![
        3 => record,
        2 => (0_u8..24).prop_map(Happens::Answered),
        6 => Just(Happens::Recommended),
        1 => prop::bool::weighted(0.3).prop_map(Happens::ToOrdinary),
        4 => (0_u8..6).prop_map(Happens::ToPrograms),
        8 => legs.clone().prop_map(Happens::Accept),
        4 => (legs.clone(), prop::sample::select(DeclineCause::ALL.to_vec()))
            .prop_map(|(leg, cause)| Happens::Decline(leg, cause)),
        5 => (legs.clone(), status).prop_map(|(leg, status)| Happens::Move(leg, status)),
        1 => legs.clone().prop_map(Happens::Clear),
        1 => legs.clone().prop_map(Happens::Return),
        9 => legs.clone().prop_map(Happens::HandOn),
        1 => prop::option::of(legs.clone()).prop_map(Happens::Backup),
        1 => (legs.clone(), 0_u8..24).prop_map(|(leg, says)| Happens::Hazard(leg, says)),
        1 => (legs.clone(), 0_u8..24).prop_map(|(leg, says)| Happens::AnsweredOnLeg(leg, says)),
        1 => legs.prop_map(Happens::HeardRecall),
        1 => Just(Happens::HasReturn),
        4 => (0_u32..4, prop::sample::select(DutyOutcome::ALL.to_vec()), any::<bool>())
            .prop_map(|(back, outcome, team)| Happens::Answers(back, outcome, team)),
        3 => (0_usize..8).prop_map(Happens::Delivered),
        2 => (0_usize..8).prop_map(Happens::Undeliverable),
        2 => (0_usize..4).prop_map(Happens::Redrive),
        1 => (0_u8..8, 0_u8..24).prop_map(|(which, says)| Happens::KeptApart(which, says)),
        1 => Just(Happens::TakenBack),
        3 => Just(Happens::Tick),
    ];
    prop_oneof![
        6 => plain.clone(),
        1 => plain.prop_map(|happens| Happens::AtDeadline(Box::new(happens))),
    ]
}

fn command(world: &World, happens: &Happens) -> Command {
    match happens {
        Happens::Record { digest, updated, fire_cad, lifecycle, test, mode, says: choice } => Record {
            digest: format!("d{digest}"),
            element: if *fire_cad { "fire-cad" } else { "cad" },
            updated_s: *updated,
            lifecycle: *lifecycle,
            test: *test,
            mode: *mode,
            units: vec![UnitStatus {
                unit: format!("E{}", digest % 3),
                unit_type: None,
                status: TimePoint::EnRoute,
                at: None,
            }],
            times: TimePoints::default(),
            // Most records are watched.
            bounds: (digest % 8 != 0).then_some(Bounds {
                en_route_within_s: 60,
                recall_acknowledged_within_s: 30,
                return_acknowledged_within_s: 45,
            }),
            agency: "agency",
            asked: (digest % 8 == 1).then(|| Asked { by: "neighbour".to_owned(), request: "q".to_owned() }),
        }
        .with(says(*choice)),
        Happens::Answered(choice) => answer(says(*choice)),
        Happens::Recommended => Command::AcceptRecommendation { by: taker() },
        Happens::ToOrdinary(reasoned) => to_ordinary(reasoned.then_some("because")),
        Happens::ToPrograms(0) => to_programs(&[&["a", "c"], &["b"]]),
        Happens::ToPrograms(1) => to_programs(&[]),
        Happens::ToPrograms(which @ 2..=4) => Command::OverrideToPrograms {
            by: taker(),
            reason: "r".to_owned(),
            steps: tandem_line_and_referral().split_off(usize::from(which.saturating_sub(3))),
        },
        Happens::ToPrograms(_) => {
            Command::OverrideToPrograms { by: taker(), reason: "r".to_owned(), steps: says(10).steps }
        }
        Happens::Accept(back) => Command::AcceptLeg { leg: leg_near(world, *back), by: team() },
        Happens::Decline(back, cause) => Command::DeclineLeg { leg: leg_near(world, *back), cause: *cause, by: team() },
        Happens::Move(back, status) => Command::MoveLeg { leg: leg_near(world, *back), status: *status, by: team() },
        Happens::Clear(back) => Command::ClearLeg {
            leg: leg_near(world, *back),
            disposition: Disposition::Treated,
            party: None,
            by: team(),
        },
        Happens::Return(back) => Command::ReturnLeg { leg: leg_near(world, *back), why: "busy".to_owned(), by: team() },
        Happens::HandOn(back) => Command::HandOnLeg { leg: leg_near(world, *back), by: team() },
        Happens::Backup(back) => Command::Backup {
            leg: back.map(|back| leg_near(world, back)),
            service: BackupService::Police,
            team_requested: back.is_some(),
            by: team(),
        },
        Happens::Hazard(back, choice) => Command::ReportHazard {
            leg: leg_near(world, *back),
            fact: "weapon".to_owned(),
            value: "present".to_owned(),
            by: team(),
            facts: Facts::default(),
            decision: Arc::new(says(*choice)),
        },
        Happens::AnsweredOnLeg(back, choice) => Command::AnswerOnLeg {
            leg: leg_near(world, *back),
            fact: "weapon".to_owned(),
            value: "none".to_owned(),
            by: team(),
            facts: Facts::default(),
            decision: Arc::new(says(*choice)),
        },
        Happens::HeardRecall(back) => Command::AcknowledgeRecall { leg: leg_near(world, *back), by: team() },
        Happens::HasReturn => Command::AcknowledgeReturn { by: taker() },
        Happens::Answers(back, outcome, a_team) => {
            let opened = u32::try_from(world.incident.duties.len()).unwrap();
            let duty = DutyId::of(&world.incident.id, opened.saturating_sub(*back));
            Command::CloseDuty { duty, outcome: *outcome, by: if *a_team { team() } else { taker() } }
        }
        Happens::Delivered(which) => Command::EffectDelivered { key: effect_key(world, *which) },
        Happens::Undeliverable(which) => {
            Command::EffectUndeliverable { key: effect_key(world, *which), why: "attempts-exhausted".to_owned() }
        }
        Happens::Redrive(which) => {
            let key = world.incident.undelivered.keys().rev().nth(*which).or(world.incident.undelivered.keys().last());
            let key = key.cloned().unwrap_or_else(|| effect_key(world, *which));
            Command::Redrive { key, by: Actor::Operator("duty".to_owned()) }
        }
        Happens::KeptApart(which, choice) => apart::keep_apart(&format!("{which:02x}"), says(*choice)),
        Happens::TakenBack => {
            Command::CancelRequest { asked: Asked { by: "neighbour".to_owned(), request: "q".to_owned() } }
        }
        Happens::Tick => Command::Tick,
        Happens::AtDeadline(inner) => command(world, inner),
    }
}

/// The leg that counts now (owning, else the first on offer, else the last) or one so many before it.
fn leg_near(world: &World, back: u32) -> LegId {
    let incident = &world.incident;
    let unanswered = |leg: &&Leg| leg.state == LegState::Offered;
    let now = incident.owning_leg().or_else(|| incident.open_legs().find(unanswered)).or_else(|| incident.legs.last());
    let number =
        now.and_then(|leg| leg.id.as_str().rsplit_once('.')).map_or(1_u32, |(_, number)| number.parse().unwrap());
    leg(number.saturating_sub(back).max(u32::from(back < 3)))
}

/// The key of one of the last effects made, delivered already or not.
fn effect_key(world: &World, back: usize) -> String {
    world.effects.iter().rev().nth(back).map_or_else(|| "i1.0.none".to_owned(), |effect| effect.key.clone())
}

/// What an onlooker knows from the events alone.
#[derive(Default)]
struct BookKeeper {
    open: BTreeMap<LegId, Timestamp>,
    /// Halves of tandems that have accepted and wait for the other.
    agreed: BTreeSet<LegId>,
    /// The team beside the owner, and whether the owner has arrived.
    beside: Option<LegId>,
    arrived: bool,
    declined: BTreeMap<ProgramId, bool>,
    plans: BTreeMap<LegId, LegPlan>,
    ended: BTreeSet<LegId>,
    owner: Option<LegId>,
    closed: bool,
    test: bool,
    shadow: bool,
    last: Option<Decision>,
    ledger: Ledger,
}

/// True where the exclusion lets this program go: it needs an officer, and to be named by a row that is not built in.
fn admits(hit: &ExclusionHit, plan: &LegPlan) -> bool {
    let officer = matches!(plan.kind, ProgramKind::CoResponse | ProgramKind::PoliceCommunity);
    officer && (hit.id == "built-in.weapon" || hit.send == Some(plan.program.clone()))
}

fn known_danger(decision: &Decision) -> impl Iterator<Item = &ExclusionHit> {
    decision.exclusions.iter().filter(|hit| hit.for_want_of.is_empty())
}

impl BookKeeper {
    fn permitted(&self, plan: &LegPlan) -> bool {
        self.last.as_ref().is_some_and(|decision| decision.exclusions.iter().all(|hit| admits(hit, plan)))
    }

    /// Nobody who is asked or sent is asked or sent into what this decision knows to be dangerous.
    fn heeds(&self, decision: &Decision) {
        for leg in self.open.keys().chain(&self.agreed).chain(&self.owner).chain(&self.beside) {
            let plan = &self.plans[leg];
            assert!(known_danger(decision).all(|hit| admits(hit, plan)), "{leg} is asked or sent into danger");
        }
    }

    fn ends(&mut self, leg: &LegId) {
        let agreed = self.agreed.remove(leg);
        assert!(self.open.remove(leg).is_some() || agreed, "only an open offer ends");
        assert!(self.ended.insert(leg.clone()), "an offer ends once");
        self.declined.insert(self.plans[leg].program.clone(), false);
    }

    /// A yes: the call is this team's, or, of a tandem, the lead's once both have said it.
    fn accepts(&mut self, leg: &LegId) {
        let plan = self.plans[leg].clone();
        if plan.together.is_empty() {
            self.ends(leg);
            assert_eq!(self.owner.replace(leg.clone()), None, "two owners");
        } else if let Some(other) =
            self.agreed.iter().find(|other| self.plans[*other].together == plan.together).cloned()
        {
            assert_ne!(self.plans[&other].program, plan.program);
            self.ends(leg);
            self.ends(&other);
            let leads = plan.together[0] == plan.program;
            let (lead, beside) = if leads { (leg.clone(), other) } else { (other, leg.clone()) };
            assert_eq!(self.owner.replace(lead), None, "two owners");
            assert_eq!(self.beside.replace(beside), None);
        } else {
            self.open.remove(leg).unwrap();
            self.agreed.insert(leg.clone());
        }
        self.arrived = false;
    }

    fn releases(&mut self, leg: &LegId) {
        if self.beside.as_ref() == Some(leg) {
            self.beside = None;
            return;
        }
        assert_eq!(self.owner.as_ref(), Some(leg), "only the owner ends its response");
        self.owner = None;
    }

    fn sees(&mut self, event: &Event, at: Timestamp) {
        self.ledger.sees(event, at);
        if self.closed {
            let trailing = match event {
                Event::AnsweredLate { .. }
                | Event::BackupRequested { .. }
                | Event::Delivered { .. }
                | Event::DutyOverdue { .. }
                | Event::DutyClosed { .. }
                | Event::Undeliverable { .. }
                | Event::KeptApart { .. }
                | Event::Redriven { .. } => true,
                Event::RecordReceived(received) => !received.applied,
                _ => false,
            };
            assert!(trailing, "after the end: {event:?}");
        }
        match event {
            Event::RecordReceived(received) if received.applied => {
                self.test = received.test;
                self.shadow = received.mode == Mode::Shadow;
            }
            Event::Assessed { decision, .. } => self.last = Some((**decision).clone()),
            Event::Offered { leg, plan, deadline } => {
                assert!(self.permitted(plan), "offered although excluded");
                assert!(self.owner.is_none() && !self.ended.contains(leg));
                assert!(*deadline > at);
                if let Some(by) = &plan.referred_by {
                    assert!(self.declined.get(by) == Some(&true), "a referral of what was not declined");
                }
                self.plans.insert(leg.clone(), plan.clone());
                assert!(self.open.insert(leg.clone(), *deadline).is_none());
            }
            Event::Chosen { .. } => assert!(!self.test && !self.shadow && self.open.is_empty()),
            Event::Accepted { leg, .. } => {
                assert!(at < self.open[leg], "accepted at or after the deadline");
                self.accepts(leg);
            }
            Event::TimedOut { leg } => {
                assert!(at >= self.open[leg]);
                self.ends(leg);
            }
            Event::Declined { leg, .. } => {
                self.ends(leg);
                self.declined.insert(self.plans[leg].program.clone(), true);
            }
            Event::Withdrawn { leg, .. } if self.beside.as_ref() == Some(leg) => {
                assert!(self.arrived, "half a tandem goes alone");
                self.beside = None;
            }
            Event::Withdrawn { leg, .. } => self.ends(leg),
            Event::TeamMoved { leg, status, .. } => {
                assert!(self.owner.as_ref() == Some(leg) || self.beside.as_ref() == Some(leg));
                self.arrived |= self.owner.as_ref() == Some(leg) && *status != TimePoint::EnRoute;
            }
            Event::Cleared { leg, .. } => {
                self.beside = None;
                self.releases(leg);
            }
            Event::StoodBack { leg, .. } => self.releases(leg),
            Event::HandedOn { leg, .. } => {
                assert_eq!(self.plans[leg].kind, ProgramKind::Phone);
                self.releases(leg);
            }
            Event::ReturnedToOrdinary { leg, .. } => {
                self.owner = None;
                if leg.is_some() && self.beside == *leg {
                    self.beside = None;
                }
            }
            Event::AnsweredLate { leg, .. } => assert!(self.ended.contains(leg)),
            Event::Closed { .. } => {
                assert!(self.owner.is_none() && self.beside.is_none(), "closed over a team's head");
                self.closed = true;
            }
            _ => {}
        }
    }

    /// An undeliverable offer ends its leg; which leg it was is in the effect.
    fn gives_up(&mut self, effects: &[Effect], key: &str) {
        let given_up = effects.iter().find(|effect| effect.key == key).unwrap();
        if let Act::Offer { leg, .. } = &given_up.act {
            self.ends(leg);
        }
    }

    fn agrees(&self, world: &World, now: Timestamp, granted: bool) {
        let incident = &world.incident;
        let owner = self.owner.clone().map_or(Owner::Psap, Owner::Team);
        assert_eq!(incident.owner, owner);
        let phase_fits = match incident.phase {
            Phase::Closed => self.closed,
            Phase::WithTeam => self.owner.is_some() && self.open.is_empty() && self.agreed.is_empty(),
            Phase::Offered => self.owner.is_none() && !self.open.is_empty(),
            Phase::Assessed | Phase::Ordinary => self.owner.is_none() && self.open.is_empty() && !self.closed,
        };
        assert!(phase_fits, "{:?}", incident.phase);
        let tandem = self.owner.as_ref().is_some_and(|owner| !self.plans[owner].together.is_empty());
        assert!(!tandem || self.arrived || self.beside.is_some(), "half a tandem is on its way");
        assert!(self.beside.is_none() || self.owner.is_some(), "beside nobody");
        let half = |leg: &LegId| self.open.keys().any(|other| self.plans[other].together == self.plans[leg].together);
        assert!(self.agreed.iter().all(half), "half a tandem waits for nobody");
        let due = self.open.values().copied().chain(self.ledger.next()).min();
        assert_eq!(incident.next_deadline(), due, "a deadline for every open offer and everything owed");
        if granted {
            assert!(self.open.values().all(|deadline| *deadline > now), "an overdue offer outlived a command");
        }
        if let Some(last) = &self.last {
            self.heeds(last);
        }
        let still_to_send = incident.outstanding.values().filter_map(|effect| match &effect.act {
            Act::Offer { leg, .. } => Some(leg),
            _ => None,
        });
        assert!(still_to_send.into_iter().all(|leg| self.open.contains_key(leg)), "an ended offer would be sent");
    }
}

/// What a command tells: in a stale record, an answer or a hazard, its danger is heeded.
fn told_by(command: &Command) -> Option<&Decision> {
    match command {
        Command::Receive { decision, .. }
        | Command::Answer { decision, .. }
        | Command::AnswerOnLeg { decision, .. }
        | Command::ReportHazard { decision, .. } => Some(decision),
        _ => None,
    }
}

/// Sends one command as the desk does, and lets the book-keeper watch.
fn step(world: &mut World, keeper: &mut BookKeeper, now: Timestamp, command: &Command, hands: Hands) {
    let owned = keeper.owner.is_some();
    let known_effects = world.effects.len();
    let (events, granted) = match world.incident.handle(command, now, hands) {
        Ok(events) => {
            assert_eq!(
                world.incident.handle(command, now, hands).as_ref(),
                Ok(&events),
                "the same question, another answer"
            );
            let granted = !events.is_empty();
            (events, granted)
        }
        Err(refusal) => (world.incident.refusal_events(command, &refusal, now, hands), false),
    };
    let changes_hands = |event: &Event| matches!(event, Event::Offered { .. } | Event::Accepted { .. });
    assert!(hands == Hands::Free || !events.iter().any(changes_hands), "with bound hands: {events:?}");
    for event in &events {
        if let Event::Undeliverable { key, .. } = event {
            keeper.gives_up(&world.effects, key);
        }
        keeper.sees(event, now);
    }
    world.apply(&events, now);
    keeper.agrees(world, now, granted);
    keeper.ledger.agrees(world, now, granted);
    if let (true, Some(decision)) = (granted, told_by(command)) {
        keeper.heeds(decision);
    }
    let told = |effect: &Effect| matches!(&effect.act, Act::TellCad(_));
    if owned && keeper.owner.is_none() && !keeper.closed {
        assert!(world.effects[known_effects..].iter().any(told), "the call came back and nobody was told");
    }
}

/// A second reader of the journal: the events as stored bytes, folded from nothing.
fn replays_alike(world: &World) {
    let mut again = World::new();
    for (event, at) in &world.log {
        let bytes = serde_json::to_vec(event).unwrap();
        let stored: Event = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(serde_json::to_vec(&stored).unwrap(), bytes);
        again.apply(&[stored], *at);
    }
    assert_eq!(again.incident, world.incident);
    assert_eq!(again.effects, world.effects);
    let keys: BTreeSet<_> = again.effects.iter().map(|effect| &effect.key).collect();
    let sent_again = world.log.iter().filter(|(event, _)| matches!(event, Event::Redriven { .. })).count();
    assert_eq!(keys.len() + sent_again, again.effects.len(), "two effects with one key");
    let state = serde_json::to_vec(&world.incident).unwrap();
    assert_eq!(serde_json::from_slice::<Incident>(&state).unwrap(), world.incident);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn every_life_keeps_the_rules(life in prop::collection::vec((0_i64..40, happens(), prop::bool::weighted(0.1)), 40)) {
        let mut world = World::new();
        let mut keeper = BookKeeper::default();
        let mut now = at(0);
        step(&mut world, &mut keeper, now, &record("first", 0).with(eligible(&[&["a", "b"], &["c"]])), Hands::Free);
        for (seconds, happens, bound) in &life {
            now += SignedDuration::from_secs(*seconds);
            if let (Happens::AtDeadline(_), Some(deadline)) = (happens, world.incident.next_deadline()) {
                now = now.max(deadline);
            }
            let command = command(&world, happens);
            step(&mut world, &mut keeper, now, &command, if *bound { Hands::Bound } else { Hands::Free });
        }
        // Silence from here on: every offer still ends by itself.
        for _ in 0..60 {
            let Some(deadline) = world.incident.next_deadline() else { break };
            now = now.max(deadline);
            step(&mut world, &mut keeper, now, &Command::Tick, Hands::Free);
        }
        prop_assert!(keeper.open.is_empty());
        prop_assert_eq!(keeper.ledger.next(), None, "what is owed is done, or has been an alarm");
        replays_alike(&world);
    }
}

/// The generator must reach what the rules are about, or the property proves little.
#[test]
fn random_lives_reach_every_kind_of_event() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..800 {
        let life = prop::collection::vec((0_i64..40, happens()), 40).new_tree(&mut runner).unwrap().current();
        let mut world = World::new();
        let mut now = at(0);
        world.good(0, record("first", 0).with(eligible(&[&["a", "b"], &["c"]])));
        for (seconds, happens) in &life {
            now += SignedDuration::from_secs(*seconds);
            if let (Happens::AtDeadline(_), Some(deadline)) = (happens, world.incident.next_deadline()) {
                now = now.max(deadline);
            }
            let command = command(&world, happens);
            let events = match world.incident.handle(&command, now, Hands::Free) {
                Ok(events) => events,
                Err(refusal) => world.incident.refusal_events(&command, &refusal, now, Hands::Free),
            };
            for name in names(&events) {
                *met.entry(name).or_default() += 1;
            }
            world.apply(&events, now);
        }
    }
    assert_eq!(met.len(), golden::KINDS.len(), "{met:?}");
    assert!(met.values().all(|count| *count >= 10), "{met:?}");
}
