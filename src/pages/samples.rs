//! Hand-built calls, entries and visitors for the tests of the pages. Every personal field holds a canary.

use super::session::Sessions;
use super::visitor::{Doors, Visitor};
use super::words::{Language, Words};
use crate::access::{Access, Identity, Role};
use crate::call_processing::IncidentView;
use crate::clock::Clock;
use crate::facts::Facts;
use crate::incident::{Actor, Event, Incident, Leg, LegState, Owner, Phase};
use crate::journal::{Entry, Stored, Subject};
use crate::policy::{
    Decision, ExclusionHit, Flip, FlipChange, LegPlan, Mode, PolicyIdentity, ProgramKind, ProgramOption, Question,
    Reason, Route, RouteStep, Status,
};
use crate::record::{
    AgencyId, CallRecord, Caution, Format, IncidentId, LegId, Location, Note, Person, Point, ProgramId, RecordIdentity,
    ReleasedField, SourceId, TimePoint,
};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What must never be seen where it was not released.
pub const CANARY_NAME: &str = "Canary Nightingale";
pub const CANARY_PHONE: &str = "+1 250 555 0199";
pub const CANARY_STREET: &str = "742 Canary Terrace";
pub const CANARY_NOTE: &str =
    "canarynote <img src=x onerror=alert(1)> \u{202E}elttob\u{202C} seen lying by the bus stop, breathing, not moving";

pub fn now() -> Timestamp {
    "2026-05-06T04:12:40Z".parse().unwrap()
}

pub fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

pub fn zone() -> TimeZone {
    TimeZone::get("America/Vancouver").unwrap()
}

pub fn visitor(language: Language, roles: &[Role]) -> Visitor {
    Visitor {
        identity: Identity { name: "desk-3".to_owned(), roles: roles.to_vec() },
        words: Words::new(language, zone()),
        form_token: "f0".repeat(32),
        session: Some([7; 32]),
        waived: Vec::new(),
        silent_since: None,
        journal_away_since: None,
        contacts_unproved: 0,
    }
}

pub fn doors(access: Access) -> Doors {
    let sessions = Arc::new(Sessions::new(12).unwrap());
    Doors {
        access: Arc::new(access),
        sessions,
        clock: Clock::starting_at(now(), 1.0),
        tls: false,
        zone: zone(),
        desk: None,
        contacts: None,
    }
}

pub fn facts(pairs: &[(&str, &str, &str)]) -> Facts {
    let one =
        |(fact, value, source): &(&str, &str, &str)| ((*fact).to_owned(), json!({ "value": value, "source": source }));
    serde_json::from_value(serde_json::Value::Object(pairs.iter().map(one).collect())).unwrap()
}

pub fn record() -> CallRecord {
    let identity = RecordIdentity {
        agency: AgencyId::new("kamloops.bc.ca"),
        element: SourceId::new("cad"),
        incident: "K26-004417".to_owned(),
        updated_at: Some(ago(90)),
        content_sha256: "ab".repeat(32),
    };
    let mut record = CallRecord::new(identity, Format::EidoJson);
    record.nature.call_type = Some("WELCK".to_owned());
    record.nature.call_type_text = Some("Welfare check".to_owned());
    record.locations.push(Location {
        role: Some("CurrentIncident".to_owned()),
        street: Some(CANARY_STREET.to_owned()),
        city: Some("Kamloops".to_owned()),
        region: Some("BC".to_owned()),
        description: Some("bus shelter across from the library".to_owned()),
        point: Some(Point { latitude: 50.674_52, longitude: -120.327_27 }),
        uncertainty_m: Some(12.0),
        ..Location::default()
    });
    record.persons.push(Person {
        roles: vec!["Caller".to_owned()],
        name: Some(CANARY_NAME.to_owned()),
        phone: Some(CANARY_PHONE.to_owned()),
        age_years: None,
    });
    record.callbacks.push(format!("tel:{CANARY_PHONE}"));
    record.notes.push(Note {
        at: Some(ago(150)),
        text: "Caller walked past, did not stop. Man about 30 under a blanket.".to_owned(),
    });
    record.notes.push(Note { at: Some(ago(80)), text: CANARY_NOTE.to_owned() });
    record.cautions.push(Caution { kind: "Dog on premises".to_owned(), severity: None });
    record
}

pub fn plan(program: &str, title: &str) -> LegPlan {
    LegPlan {
        program: ProgramId::new(program),
        title: title.to_owned(),
        kind: ProgramKind::Community,
        channel: "webhook".to_owned(),
        accept_deadline_s: 120,
        attempts: 2,
        release: vec![ReleasedField::Nature, ReleasedField::Address, ReleasedField::Facts],
        call_back_within_min: None,
        together: Vec::new(),
        referred_by: None,
        queue: None,
    }
}

fn option(program: &str, title: &str, code: &str, opens: Option<&str>) -> ProgramOption {
    ProgramOption {
        program: ProgramId::new(program),
        title: title.into(),
        can_take: code == "can-take",
        code: code.to_owned().into(),
        why: opens.map_or_else(|| code.replace('-', " "), |_| "opens Wednesday 16:00".to_owned()).into(),
        opens_at: opens.map(|at| at.parse().unwrap()),
    }
}

pub fn decision(status: Status, route: &str) -> Decision {
    let to_team = route != "ordinary";
    Decision {
        status,
        route: if to_team { Route::Program(ProgramId::new(route)) } else { Route::Ordinary },
        rule: Some("cso.person-down".to_owned()),
        exclusions: Vec::new(),
        reasons: vec![Reason {
            code: "cso.person-down".to_owned(),
            text: "a person is down outdoors and nobody has checked".to_owned(),
            cite: Some("CSO protocol 4.2".to_owned()),
        }],
        options: vec![
            option("cso-north", "CSO Outreach, North Shore", "can-take", None),
            option("cso-south", "CSO Outreach, South Shore", "out-of-area", None),
            option("mcor", "Mobile Crisis Outreach Response", "out-of-hours", Some("2026-05-06T23:00:00Z")),
            option("line-211", "211 line", "no-rule", None),
        ],
        questions: vec![
            question(
                "weapon",
                "Is there a weapon, or has anyone spoken of one?",
                "Y a-t-il une arme, ou en a-t-on parlé ?",
                &["none", "mentioned", "access", "present", "used"],
            ),
            question(
                "checked",
                "Has anyone checked on the person?",
                "Quelqu'un est-il allé voir la personne ?",
                &["yes", "no"],
            ),
        ],
        nearest_flip: Some(Flip {
            changes: vec![FlipChange {
                fact: "weapon".to_owned(),
                from: "unknown".to_owned(),
                to: "present".to_owned(),
            }],
            route: Route::Ordinary,
        }),
        steps: if to_team {
            vec![RouteStep { legs: vec![plan(route, "CSO Outreach, North Shore")] }]
        } else {
            Vec::new()
        },
        automatic: false,
        follow_up: Vec::new(),
        gaps: Vec::new(),
        policy: Arc::new(PolicyIdentity {
            id: "kamloops".to_owned(),
            revision: "2026-05-01".to_owned(),
            digest: "3fa94c17d2".repeat(6),
        }),
    }
}

fn question(fact: &str, en: &str, fr: &str, values: &[&str]) -> Question {
    Question {
        fact: fact.to_owned(),
        ask: BTreeMap::from([("en".to_owned(), en.to_owned()), ("fr".to_owned(), fr.to_owned())]).into(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        opens: values.iter().map(|value| *value == "none" || *value == "no").collect(),
    }
}

fn incident(id: &str, began_s: i64, phase: Phase, decision: Decision, known: &[(&str, &str, &str)]) -> Incident {
    let mut incident = Incident::new(IncidentId::new(id));
    incident.version = 4;
    incident.phase = phase;
    incident.mode = Mode::Advise;
    incident.facts = facts(known);
    incident.decision = Some(Arc::new(decision));
    incident.times = BTreeMap::from([(TimePoint::Received, ago(began_s)), (TimePoint::Assessed, ago(began_s - 2))]);
    incident
}

const DOWN: &[(&str, &str, &str)] = &[
    ("nature", "person-down", "call-type"),
    ("setting", "outdoors", "structured"),
    ("zone", "north-shore", "structured"),
    ("checked", "no", "answer"),
    ("violence", "none", "answer"),
    ("caller", "third-party", "structured"),
];

pub fn view(incident: Incident) -> IncidentView {
    IncidentView { incident: Arc::new(incident), record: Some(Arc::new(record())) }
}

/// To a team, by the recommendation.
pub fn to_choose() -> IncidentView {
    view(incident("i-5c0ffee1", 170, Phase::Assessed, decision(Status::Eligible, "cso-north"), DOWN))
}

/// The ordinary route until a question is answered.
pub fn to_answer() -> IncidentView {
    let mut asks = decision(Status::NeedsAnswer, "ordinary");
    asks.exclusions.push(ExclusionHit {
        id: "weapon".to_owned(),
        because: "a weapon is reported or cannot be ruled out".to_owned(),
        cite: Some("pilot protocol 3.2".to_owned()),
        for_want_of: vec!["weapon".to_owned()],
        send: None,
        bars: None,
    });
    let known = &[
        ("nature", "person-in-crisis", "call-type"),
        ("setting", "public-indoor", "structured"),
        ("zone", "north-shore", "structured"),
    ];
    view(incident("i-0a11ce22", 45, Phase::Assessed, asks, known))
}

pub fn leg(incident: &str, number: u32, state: LegState, left_s: i64) -> Leg {
    Leg {
        id: LegId::of(&IncidentId::new(incident), number),
        plan: plan("cso-north", "CSO Outreach, North Shore"),
        state,
        offered_at: ago(120 - left_s),
        deadline: ago(-left_s),
    }
}

/// On offer, or further on, with the team.
pub fn with_leg(id: &str, state: LegState, left_s: i64) -> IncidentView {
    let phase = match state {
        LegState::Offered => Phase::Offered,
        LegState::StoodBack | LegState::TimedOut => Phase::Ordinary,
        _ => Phase::WithTeam,
    };
    let mut incident = incident(id, 400 - left_s, phase, decision(Status::Eligible, "cso-north"), DOWN);
    incident.legs.push(leg(id, 1, state, left_s));
    if phase == Phase::WithTeam {
        incident.owner = Owner::Team(LegId::of(&incident.id, 1));
    }
    view(incident)
}

/// Ordinary by an exclusion.
pub fn ordinary(id: &str, nature: &str) -> IncidentView {
    let mut fire = decision(Status::Ineligible { because: "fire".to_owned() }, "ordinary");
    fire.rule = None;
    fire.questions.clear();
    fire.reasons = vec![Reason { code: "no-rule".to_owned(), text: "no rule takes this call".to_owned(), cite: None }];
    view(incident(
        id,
        700,
        Phase::Ordinary,
        fire,
        &[("nature", nature, "call-type"), ("zone", "south-shore", "structured")],
    ))
}

/// Everything of a busy evening.
pub fn queue() -> Vec<IncidentView> {
    vec![
        to_choose(),
        to_answer(),
        with_leg("i-77aa0001", LegState::Offered, 74),
        with_leg("i-77aa0002", LegState::EnRoute, 0),
        with_leg("i-77aa0003", LegState::OnScene, -300),
        ordinary("i-f1fe0001", "structure-fire"),
        ordinary("i-f1fe0002", "traffic-collision"),
    ]
}

pub fn entries(incident: &str, events: Vec<(i64, Event)>) -> Vec<Entry> {
    let entry = |(index, (seconds, event)): (u64, (i64, Event))| Entry {
        sequence: 100 + index,
        subject: Subject::Incident(IncidentId::new(incident)),
        version: index + 1,
        at: ago(seconds),
        stored: Stored::Incident(event),
        hash: "00".repeat(32),
    };
    (0_u64..).zip(events).map(entry).collect()
}

/// A life with a back-up in it.
pub fn life(incident: &str) -> Vec<Entry> {
    let leg = LegId::of(&IncidentId::new(incident), 1);
    let desk = || Actor::CallTaker("desk-3".to_owned());
    let team = || Actor::Team("cso-north-2".to_owned());
    let assessed = Event::Assessed {
        decision: Arc::new(decision(Status::Eligible, "cso-north")),
        facts: facts(DOWN),
        cause: crate::incident::AssessmentCause::Record,
    };
    let chosen = Event::Chosen { steps: Vec::new(), by: desk(), override_reason: None };
    let plan = plan("cso-north", "CSO Outreach, North Shore");
    let backup = Event::BackupRequested {
        leg: Some(leg.clone()),
        service: crate::incident::BackupService::Ems,
        team_requested: true,
        by: team(),
    };
    entries(
        incident,
        vec![
            (168, assessed),
            (120, Event::AnswerGiven { fact: "checked".to_owned(), value: "no".to_owned(), by: desk() }),
            (110, chosen),
            (110, Event::Offered { leg: leg.clone(), plan, deadline: ago(-10) }),
            (80, Event::Accepted { leg: leg.clone(), by: team() }),
            (70, Event::TeamMoved { leg, status: TimePoint::EnRoute, by: team() }),
            (30, backup),
        ],
    )
}
