//! The team's page: what the release list does not name is not there, and a stand-back cannot be missed.

use super::{Board, Shown, page};
use crate::access::Role;
use crate::call_processing::IncidentView;
use crate::incident::LegState;
use crate::pages::samples::{self, CANARY_NAME, CANARY_PHONE, CANARY_STREET};
use crate::pages::team::released::released;
use crate::pages::words::Language;
use crate::record::{ProgramId, ReleasedField};
use maud::html;
use std::sync::Arc;

fn page_of(language: Language, views: &[IncidentView]) -> String {
    let visitor = samples::visitor(language, &[Role::Team(ProgramId::new("cso-north"))]);
    let shown: Vec<Shown> = views
        .iter()
        .map(|view| {
            let leg = view.incident.legs[0].clone();
            Shown { call: released(view, &leg), leg, alarms: html! {} }
        })
        .collect();
    page(&visitor, &Board { legs: &shown, owed: &[] }, None, &html! {}, String::new(), samples::now(), 1.0)
        .into_string()
}

fn with_release(state: LegState, release: &[ReleasedField]) -> IncidentView {
    let mut view = samples::with_leg("i-77aa0001", state, 74);
    Arc::make_mut(&mut view.incident).legs[0].plan.release = release.to_vec();
    view
}

const CANARIES: [(&str, ReleasedField); 4] = [
    (CANARY_NAME, ReleasedField::CallerName),
    (CANARY_PHONE, ReleasedField::Callback),
    (CANARY_STREET, ReleasedField::Address),
    ("canarynote", ReleasedField::Narrative),
];

#[test]
fn a_team_sees_the_fields_of_its_release_list_and_no_other() {
    for state in [LegState::Offered, LegState::Accepted, LegState::OnScene] {
        for (released, field) in CANARIES {
            let html = page_of(Language::English, &[with_release(state, &[field])]);
            for (canary, _) in CANARIES {
                assert_eq!(html.contains(canary), canary == released, "{state:?}, released {field:?}: `{canary}`");
            }
        }
        let html = page_of(Language::English, &[with_release(state, &[])]);
        for leaked in CANARIES.map(|(canary, _)| canary).into_iter().chain(["Person down", "North", "50.67"]) {
            let html = html.replace("CSO Outreach, North Shore", "");
            assert!(!html.contains(leaked), "{state:?}: `{leaked}` with nothing released");
        }
    }
}

#[test]
fn what_is_no_longer_theirs_shows_nothing_but_that() {
    let everything = [
        ReleasedField::Nature,
        ReleasedField::Address,
        ReleasedField::Callback,
        ReleasedField::CallerName,
        ReleasedField::Facts,
        ReleasedField::Narrative,
    ];
    for state in [LegState::TimedOut, LegState::Declined, LegState::Withdrawn, LegState::Returned] {
        let html = page_of(Language::English, &[with_release(state, &everything)]);
        for (canary, _) in CANARIES {
            assert!(!html.contains(canary), "{state:?}: `{canary}`");
        }
        assert!(html.contains("do not go"), "{state:?}");
        assert!(!html.contains("action=\"/team/legs/"), "{state:?} can still be pressed");
    }
}

#[test]
fn a_stand_back_is_an_alert_with_the_place_and_no_step_onward() {
    let html = page_of(
        Language::English,
        &[with_release(LegState::StoodBack, &[ReleasedField::Address, ReleasedField::CallerName])],
    );
    assert!(html.contains("STAND BACK. Do not approach."));
    assert!(html.contains("role=\"alert\""));
    assert!(html.contains(CANARY_STREET) && !html.contains(CANARY_NAME));
    assert!(!html.contains("/move\""));
}

#[test]
fn back_up_is_one_press_for_whoever_has_the_call() {
    for state in [LegState::Accepted, LegState::EnRoute, LegState::OnScene, LegState::WithPerson] {
        let html = page_of(Language::English, &[samples::with_leg("i-77aa0002", state, 0)]);
        assert!(html.contains("action=\"/team/legs/i-77aa0002.1/backup\""), "{state:?}");
        assert!(html.contains("value=\"police\""), "{state:?}");
    }
}

#[test]
fn french_and_named_controls() {
    let views = [samples::with_leg("i-1", LegState::Offered, 74), samples::with_leg("i-2", LegState::OnScene, 0)];
    let html = page_of(Language::French, &views);
    for french in ["Accepter : nous y allons", "RENFORT : police", "Répondre d'ici", "Toutes les équipes sont occupées"]
    {
        assert!(html.contains(french), "`{french}`");
    }
    for english in ["Accept:", "Decline", "BACK-UP", "Hazard", "Clear the call"] {
        assert!(!html.contains(english), "`{english}`");
    }
    crate::pages::tests::controls_are_named(&html);
}
