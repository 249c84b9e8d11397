//! Tests of the mapping from errors to problem documents.

use super::*;
use http_body_util::BodyExt;
use serde_json::Value;

async fn document(problem: Problem) -> (u16, Value, Response<()>) {
    let (parts, body) = problem.into_response().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), serde_json::from_slice(&bytes).unwrap(), Response::from_parts(parts, ()))
}

fn decode(problem: &'static str) -> CallProblem {
    DecodeError { problem, place: "$.callComponent[0]".into(), detail: "what is wrong".into() }.into()
}

fn unknown_value() -> FactError {
    FactError::UnknownValue { fact: "weapon".into(), value: "Jane 555-0100".into(), valid: vec!["none".into()] }
}

#[test]
fn every_error_has_its_status() {
    let why = || "timed-out".to_owned();
    let table: Vec<(CallProblem, u16, &str)> = vec![
        (decode("malformed-json"), 400, "malformed-json"),
        (decode("too-deep"), 400, "too-deep"),
        (decode("doctype-refused"), 400, "doctype-refused"),
        (decode("missing-field"), 422, "missing-field"),
        (decode("not-recognised"), 400, "not-recognised"),
        (decode("too-large"), 413, "too-large"),
        (CallProblem::NoSuchIncident, 404, "not-found"),
        (Refusal::NoSuchLeg.into(), 404, "not-found"),
        (Refusal::NoLongerYours { why: why() }.into(), 409, "no-longer-yours"),
        (Refusal::Closed.into(), 409, "incident-closed"),
        (Refusal::Excluded { row: "weapon".into() }.into(), 409, "excluded"),
        (Refusal::ReasonRequired.into(), 422, "reason-required"),
        (Refusal::NothingToChoose { why: why() }.into(), 409, "nothing-to-choose"),
        (Refusal::NotOwed { why: why() }.into(), 409, "not-owed"),
        (Refusal::OutOfOrder { stands: "offered".into(), asked: "cleared".into() }.into(), 409, "out-of-order"),
        (FactError::UnknownFact { fact: "wepon".into(), nearest: None }.into(), 422, "unknown-fact"),
        (unknown_value().into(), 422, "unknown-value"),
        (FactError::MayOnlyRaise { fact: "weapon".into() }.into(), 422, "may-only-raise"),
        (JournalError::Conflict { expected: 1, found: 2 }.into(), 409, "changed-meanwhile"),
        (JournalError::Unavailable("disk full at /var/x".into()).into(), 503, "journal-unavailable"),
        (JournalError::Poisoned.into(), 503, "journal-poisoned"),
        (JournalError::Corrupt { sequence: 7, why: why() }.into(), 500, "journal-corrupt"),
        (CallProblem::UnknownSender("x".into()), 422, "unknown-sender"),
        (CallProblem::NoSuchProgram("x".into()), 422, "unknown-program"),
    ];
    for (error, status, name) in table {
        let problem = Problem::from(error);
        assert_eq!((problem.status(), problem.name()), (status, name));
    }
}

#[tokio::test]
async fn nothing_acknowledged_means_503_with_retry_after_and_never_a_2xx() {
    for error in [JournalError::Unavailable("locked".into()), JournalError::Poisoned] {
        let (status, document, response) = document(Problem::from(CallProblem::from(error))).await;
        assert_eq!(status, 503);
        assert!(response.headers().contains_key(header::RETRY_AFTER));
        assert!(document["next"].as_str().unwrap().contains("ordinary route"));
    }
}

#[tokio::test]
async fn the_document_has_the_members_of_rfc_9457() {
    let (_, document, response) = document(Problem::from(decode("missing-field"))).await;
    assert_eq!(document["type"], "urn:fourth:problem:missing-field");
    assert_eq!(document["status"], 422);
    assert_eq!(document["detail"], "what is wrong");
    assert_eq!(document["place"], "$.callComponent[0]");
    assert!(document["title"].is_string() && document["next"].is_string());
    assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM_MEDIA_TYPE);
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
}

#[tokio::test]
async fn what_was_given_is_never_repeated() {
    let given = "Jane 555-0100";
    for error in [
        unknown_value().into(),
        FactError::UnknownFact { fact: given.into(), nearest: Some("weapon".into()) }.into(),
        CallProblem::UnknownSender(given.into()),
        CallProblem::NoSuchProgram(given.into()),
        JournalError::Unavailable(given.into()).into(),
    ] {
        let (_, document, _) = document(Problem::from(error)).await;
        assert!(!document.to_string().contains("555-0100"), "{document}");
    }
}

#[tokio::test]
async fn an_unknown_word_gets_the_nearest_or_the_valid_ones() {
    let nearest = FactError::UnknownFact { fact: "wepon".into(), nearest: Some("weapon".into()) };
    let (_, near, _) = document(nearest.into()).await;
    assert_eq!(near["nearest"], "weapon");
    let (_, valid, _) = document(unknown_value().into()).await;
    assert_eq!(valid["valid"], serde_json::json!(["none"]));
}

#[tokio::test]
async fn not_signed_in_says_how_to_sign_in() {
    let (status, _, response) = document(Problem::new(NOT_SIGNED_IN, "no token")).await;
    assert_eq!(status, 401);
    assert!(response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().starts_with("Bearer"));
}

#[test]
fn kinds_are_kebab_case_and_distinct() {
    let mut names = std::collections::BTreeSet::new();
    for kind in KINDS {
        assert!(names.insert(kind.name));
        assert!(kind.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
        assert!(StatusCode::from_u16(kind.status).unwrap().as_u16() >= 400);
    }
}
