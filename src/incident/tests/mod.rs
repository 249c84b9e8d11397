//! Tests of the state machine, and the world they run in: an incident, its log and a hand on the clock.

mod apart;
mod choices;
mod golden;
mod forms;
mod handover;
mod ledger;
mod sequences;
mod owed;
mod requests;
mod team;
mod updates;

use super::*;
use crate::facts::Facts;
use crate::policy::{
    BarredPrograms, Decision, ExclusionHit, LegPlan, Mode, PolicyIdentity, ProgramKind, Reason, Route, RouteStep,
    Status,
};
use crate::record::{
    AgencyId, DutyId, Format, IncidentId, LegId, Lifecycle, ProgramId, RecordIdentity, ReleasedField, SourceId,
    TimePoint, TimePoints, UnitStatus,
};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// Seconds after the start of the test evening.
fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-06-02T20:00:00Z".parse().unwrap();
    start + SignedDuration::from_secs(seconds)
}

fn leg(number: u32) -> LegId {
    LegId::of(&IncidentId::new("i1"), number)
}

fn taker() -> Actor {
    Actor::CallTaker("position-1".to_owned())
}

fn team() -> Actor {
    Actor::Team("team-1".to_owned())
}

fn plan_of(program: &str, kind: ProgramKind, accept_deadline_s: u32) -> LegPlan {
    LegPlan {
        program: ProgramId::new(program),
        title: program.to_uppercase(),
        kind,
        channel: "webhook".to_owned(),
        accept_deadline_s,
        attempts: 2,
        release: vec![ReleasedField::Nature, ReleasedField::Facts],
        call_back_within_min: None,
        together: Vec::new(),
        referred_by: None,
        queue: None,
    }
}

fn plan(program: &str) -> LegPlan {
    plan_of(program, ProgramKind::Community, 120)
}

/// Two programs that must both accept; the first leads.
fn tandem(lead: LegPlan, other: LegPlan) -> RouteStep {
    let together = vec![lead.program.clone(), other.program.clone()];
    RouteStep { legs: [lead, other].map(|plan| LegPlan { together: together.clone(), ..plan }).into() }
}

/// A tandem of a team and an officer, then a phone line, then a team, and whom that team refers to.
fn tandem_line_and_referral() -> Vec<RouteStep> {
    let one = |plan: LegPlan| RouteStep { legs: vec![plan] };
    vec![
        tandem(plan("a"), plan_of("officer", ProgramKind::PoliceCommunity, 60)),
        one(plan_of("line", ProgramKind::Phone, 60)),
        one(plan("b")),
        one(LegPlan { referred_by: Some(ProgramId::new("b")), ..plan("elsewhere") }),
    ]
}

/// One step for each group; a group of several is a broadcast.
fn steps(groups: &[&[&str]]) -> Vec<RouteStep> {
    groups.iter().map(|group| RouteStep { legs: group.iter().map(|program| plan(program)).collect() }).collect()
}

fn decision(status: Status) -> Decision {
    Decision {
        reasons: vec![Reason { code: status.name().to_owned(), text: "because".to_owned(), cite: None }],
        status,
        route: Route::Ordinary,
        rule: None,
        exclusions: Vec::new(),
        options: Vec::new(),
        questions: Vec::new(),
        nearest_flip: None,
        steps: Vec::new(),
        automatic: false,
        follow_up: Vec::new(),
        gaps: Vec::new(),
        policy: PolicyIdentity { id: "p".to_owned(), revision: "1".to_owned(), digest: "00".to_owned() }.into(),
    }
}

fn eligible(groups: &[&[&str]]) -> Decision {
    let steps = steps(groups);
    let first = steps[0].legs[0].program.clone();
    Decision { route: Route::Program(first), rule: Some("rule-1".to_owned()), steps, ..decision(Status::Eligible) }
}

fn automatic(groups: &[&[&str]]) -> Decision {
    Decision { automatic: true, ..eligible(groups) }
}

fn exclusion(id: &str, for_want_of: &[&str], send: Option<&str>) -> ExclusionHit {
    ExclusionHit {
        id: id.to_owned(),
        because: "it is".to_owned(),
        cite: None,
        for_want_of: for_want_of.iter().map(|fact| (*fact).to_owned()).collect(),
        send: send.map(ProgramId::new),
        bars: None,
    }
}

/// An exclusion that bars this program and leaves the others.
fn exclusion_of(id: &str, program: &str) -> ExclusionHit {
    let bars = BarredPrograms { programs: vec![ProgramId::new(program)], unaccompanied: false };
    ExclusionHit { bars: Some(bars), ..exclusion(id, &[], None) }
}

/// An exclusion on known facts: the ordinary route.
fn dangerous() -> Decision {
    Decision {
        exclusions: vec![exclusion("weapon", &[], None)],
        ..decision(Status::Ineligible { because: "weapon".to_owned() })
    }
}

/// An exclusion that holds only for want of an answer.
fn doubtful() -> Decision {
    Decision { exclusions: vec![exclusion("weapon", &["weapon"], None)], ..decision(Status::NeedsAnswer) }
}

/// A record as a command; changed by the tests before it is sent.
#[derive(Clone)]
struct Record {
    digest: String,
    element: &'static str,
    updated_s: Option<i64>,
    lifecycle: Lifecycle,
    test: bool,
    mode: Mode,
    units: Vec<UnitStatus>,
    times: TimePoints,
    bounds: Option<Bounds>,
    agency: &'static str,
    asked: Option<Asked>,
}

fn record(digest: &str, updated_s: i64) -> Record {
    Record {
        digest: digest.to_owned(),
        element: "cad",
        updated_s: Some(updated_s),
        lifecycle: Lifecycle::Open,
        test: false,
        mode: Mode::Advise,
        units: Vec::new(),
        times: TimePoints::default(),
        bounds: None,
        agency: "agency",
        asked: None,
    }
}

impl Record {
    fn received(&self) -> RecordReceived {
        RecordReceived {
            identity: RecordIdentity {
                agency: AgencyId::new(self.agency),
                element: SourceId::new(self.element),
                incident: "2026-1".to_owned(),
                updated_at: self.updated_s.map(at),
                content_sha256: self.digest.clone(),
            },
            format: Format::EidoJson,
            times: self.times.clone(),
            lifecycle: self.lifecycle,
            test: self.test,
            repairs: 0,
            mode: self.mode,
            applied: true,
            contact: None,
            related: Vec::new(),
            bounds: self.bounds,
            asked: self.asked.clone(),
        }
    }

    fn with(self, decision: Decision) -> Command {
        Command::Receive {
            received: Box::new(self.received()),
            units: self.units,
            facts: Facts::default(),
            decision: Arc::new(decision),
        }
    }
}

/// An incident under test.
struct World {
    incident: Incident,
    log: Vec<(Event, Timestamp)>,
    effects: Vec<Effect>,
}

impl World {
    fn new() -> Self {
        Self { incident: Incident::new(IncidentId::new("i1")), log: Vec::new(), effects: Vec::new() }
    }

    /// In advise mode, assessed so.
    fn assessed(decision: Decision) -> Self {
        let mut world = Self::new();
        world.good(0, record("d0", 0).with(decision));
        world
    }

    /// In advise mode, the first step on offer since second 10.
    fn offered(groups: &[&[&str]]) -> Self {
        let mut world = Self::assessed(eligible(groups));
        world.good(10, Command::AcceptRecommendation { by: taker() });
        world
    }

    /// Accepted by the first leg at second 20.
    fn with_team() -> Self {
        let mut world = Self::offered(&[&["a"], &["b"]]);
        world.good(20, Command::AcceptLeg { leg: leg(1), by: team() });
        world
    }

    /// On scene since second 40.
    fn on_scene() -> Self {
        let mut world = Self::with_team();
        world.good(40, moved(1, TimePoint::OnScene));
        world
    }

    fn apply(&mut self, events: &[Event], now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        for event in events {
            effects.extend(self.incident.on(event, now));
            self.log.push((event.clone(), now));
        }
        self.effects.extend(effects.clone());
        effects
    }

    /// As the desk does it: events of a granted command, or those a refusal still carries.
    fn send(&mut self, seconds: i64, command: &Command) -> Result<(Vec<Event>, Vec<Effect>), Refusal> {
        let now = at(seconds);
        match self.incident.handle(command, now, Hands::Free) {
            Ok(events) => {
                let effects = self.apply(&events, now);
                Ok((events, effects))
            }
            Err(refusal) => {
                let events = self.incident.refusal_events(command, &refusal, now, Hands::Free);
                self.apply(&events, now);
                Err(refusal)
            }
        }
    }

    /// Events of a command that must be granted.
    fn good(&mut self, seconds: i64, command: Command) -> Vec<Event> {
        self.send(seconds, &command).unwrap().0
    }

    /// Acts of a command that must be granted.
    fn acts(&mut self, seconds: i64, command: Command) -> Vec<Act> {
        self.send(seconds, &command).unwrap().1.into_iter().map(|effect| effect.act).collect()
    }

    fn bad(&mut self, seconds: i64, command: Command) -> Refusal {
        self.send(seconds, &command).unwrap_err()
    }

    fn stands(&self) -> (Phase, Owner) {
        (self.incident.phase, self.incident.owner.clone())
    }

    fn leg_states(&self) -> Vec<LegState> {
        self.incident.legs.iter().map(|leg| leg.state).collect()
    }

    /// The keys of outstanding offers.
    fn offers_outstanding(&self) -> usize {
        self.incident.outstanding.values().filter(|effect| matches!(effect.act, Act::Offer { .. })).count()
    }

    fn key_of(&self, what: &str) -> String {
        self.effects.iter().rev().find(|effect| effect.act.what() == what).unwrap().key.clone()
    }
}

fn names(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned()).collect()
}

fn accept(number: u32) -> Command {
    Command::AcceptLeg { leg: leg(number), by: team() }
}

fn decline(number: u32) -> Command {
    Command::DeclineLeg { leg: leg(number), cause: DeclineCause::Busy, by: team() }
}

fn moved(number: u32, status: TimePoint) -> Command {
    Command::MoveLeg { leg: leg(number), status, by: team() }
}

fn clear(number: u32) -> Command {
    Command::ClearLeg { leg: leg(number), disposition: Disposition::Supported, party: None, by: team() }
}

fn answer(decision: Decision) -> Command {
    Command::Answer {
        fact: "weapon".to_owned(),
        value: "none".to_owned(),
        by: taker(),
        facts: Facts::default(),
        decision: Arc::new(decision),
    }
}

fn hazard(number: u32, decision: Decision) -> Command {
    Command::ReportHazard {
        leg: leg(number),
        fact: "weapon".to_owned(),
        value: "present".to_owned(),
        by: team(),
        facts: Facts::default(),
        decision: Arc::new(decision),
    }
}

fn redrive(key: &str) -> Command {
    Command::Redrive { key: key.to_owned(), by: Actor::Operator("duty".to_owned()) }
}

fn to_ordinary(reason: Option<&str>) -> Command {
    Command::OverrideToOrdinary { by: taker(), reason: reason.map(str::to_owned) }
}

fn to_programs(groups: &[&[&str]]) -> Command {
    Command::OverrideToPrograms { by: taker(), reason: "known to the team".to_owned(), steps: steps(groups) }
}

fn ordinary_route(why: &str) -> Act {
    Act::TellCad(CadNotice::OrdinaryRoute { why: why.to_owned() })
}
