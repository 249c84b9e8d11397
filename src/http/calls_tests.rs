//! Tests of what the call doors read and send, without the desk.

use super::*;
use crate::incident::Owner;
use crate::policy::{Decision, PolicyIdentity};

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn choice(body: &str) -> Result<Choice, Problem> {
    serde_json::from_str::<GivenChoice>(body).unwrap().checked()
}

#[test]
fn only_delimited_text_and_the_named_json_are_settled_by_their_label() {
    for (declared, expected) in [
        ("text/csv; charset=utf-8", Some(Format::Delimited)),
        ("TEXT/Tab-Separated-Values", Some(Format::Delimited)),
        ("application/eido+json", Some(Format::EidoJson)),
        ("application/json", None),
        ("text/xml", None),
        ("application/x-www-form-urlencoded", None),
    ] {
        assert_eq!(declared_format(&headers(&[("content-type", declared)])), expected, "{declared}");
    }
    assert_eq!(declared_format(&HeaderMap::new()), None);
}

#[test]
fn the_sender_is_named_once_or_is_the_default() {
    assert_eq!(sender_of(&HeaderMap::new()).unwrap(), DEFAULT_SENDER);
    assert_eq!(sender_of(&headers(&[("fourth-sender", "east")])).unwrap(), "east");
    assert_eq!(sender_of(&headers(&[("fourth-sender", "")])).unwrap_err().status(), 400);
    let twice = headers(&[("fourth-sender", "east"), ("fourth-sender", "west")]);
    assert_eq!(sender_of(&twice).unwrap_err().status(), 400);
}

#[test]
fn choices_carry_what_they_need_and_nothing_else() {
    assert_eq!(choice(r#"{"choice":"accept"}"#).unwrap(), Choice::Accept);
    assert_eq!(choice(r#"{"choice":"ordinary"}"#).unwrap(), Choice::Ordinary { reason: None });
    let ordinary = choice(r#"{"choice":"ordinary","reason":" uneasy "}"#).unwrap();
    assert_eq!(ordinary, Choice::Ordinary { reason: Some("uneasy".into()) });
    let program = choice(r#"{"choice":"program","program":"psr","reason":"known to them"}"#).unwrap();
    assert_eq!(program, Choice::Program { program: ProgramId::new("psr"), reason: "known to them".into() });
    let long = format!(r#"{{"choice":"ordinary","reason":"{}"}}"#, "x".repeat(REASON_CHARS_MAX + 1));
    for (body, name) in [
        (r#"{"choice":"program","program":"psr"}"#, "reason-required"),
        (r#"{"choice":"program","program":"psr","reason":"  "}"#, "reason-required"),
        (r#"{"choice":"program","reason":"x"}"#, "invalid-body"),
        (r#"{"choice":"accept","reason":"x"}"#, "invalid-body"),
        (r#"{"choice":"ordinary","program":"psr"}"#, "invalid-body"),
        (long.as_str(), "invalid-body"),
    ] {
        assert_eq!(choice(body).unwrap_err().name(), name, "{body}");
    }
    assert!(serde_json::from_str::<GivenChoice>(r#"{"choice":"accept","other":1}"#).is_err());
}

#[test]
fn names_that_cannot_be_ours_are_not_found() {
    assert!(incident_id("0a1b-2c_3D").is_ok());
    assert!(leg_id("0a1b.2").is_ok());
    for bad in ["", "..", "a/b", "a b", "a.1", "é", "a\0", &"x".repeat(NAME_BYTES_MAX + 1)] {
        assert_eq!(incident_id(bad).unwrap_err().status(), 404, "{bad}");
    }
}

#[test]
fn a_record_of_another_incident_is_409_and_says_where_it_went() {
    let (asked, other) = (IncidentId::new("a1"), IncidentId::new("b2"));
    assert!(of_this_incident(&asked, &asked.clone()).is_ok());
    let problem = of_this_incident(&asked, &other).unwrap_err();
    assert_eq!(problem.status(), 409);
    assert!(format!("{problem:?}").contains("b2"));
}

/// A decision in the shape that the policy room serialises.
fn decision() -> Decision {
    let policy = PolicyIdentity { id: "p".into(), revision: "1".into(), digest: "d".into() };
    Decision::not_assessed("no-call-type", "the record has no call type", policy, vec![])
}

#[test]
fn the_answer_has_every_member_of_the_contract_side_by_side() {
    let incident = IncidentId::new("a1");
    let state = IncidentState { version: 2, phase: crate::incident::Phase::Assessed, owner: Owner::Psap, legs: vec![] };
    let facts = Facts::default();
    let decision = decision();
    let body = AnswerBody {
        call: Some("2026-000123"),
        incident: &incident,
        repeat: false,
        format: Some(Format::EidoJson),
        repairs: &[],
        unknown_fields: &[],
        facts: &facts,
        decision: decision.told(),
        decide_ns: 1_234,
        state: StateBody::of(&state),
    };
    let sent = serde_json::to_value(&body).unwrap();
    // The list of design/commands.md, with what the door adds.
    for member in [
        "call",
        "format",
        "repairs",
        "facts",
        "status",
        "route",
        "rule",
        "exclusions",
        "reasons",
        "options",
        "questions",
        "nearest_flip",
        "policy",
        "decide_ns",
        "incident",
        "repeat",
        "state",
    ] {
        assert!(sent.get(member).is_some(), "{member} is missing");
    }
    crate::http::shapes::tests::assert_fits(&sent, "Answer");
}

#[test]
fn the_state_shows_where_an_incident_stands_and_no_record() {
    let incident = Incident::new(IncidentId::new("a1"));
    let sent = state_of(&incident);
    assert_eq!(sent["owner"], "psap");
    assert_eq!(sent["status"], Value::Null);
    crate::http::shapes::tests::assert_fits(&sent, "State");
    for held_back in ["facts", "record", "identity", "seen"] {
        assert!(sent.get(held_back).is_none(), "{held_back} is in the state");
    }
}
