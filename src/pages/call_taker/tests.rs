//! The call-taker's page on hand-built calls: hostile text, one key a thing, French, labels, and what a press carries.

use super::{Shown, seen};
use crate::access::Role;
use crate::call_processing::IncidentView;
use crate::incident::LegState;
use crate::pages::samples;
use crate::pages::visitor::Visitor;
use crate::pages::words::Language;
use crate::policy::Mode;

fn page(language: Language, calls: &[IncidentView], selected: usize) -> String {
    let visitor = samples::visitor(language, &[Role::CallTaker]);
    let entries = samples::life(calls[selected].incident.id.as_str());
    let (selected, mode) = (Some(&calls[selected]), Some(Mode::Advise));
    let shown = Shown { visitor: &visitor, calls, selected, entries: &entries, owed: &[], mode, now: samples::now() };
    shown.page(None, 1.0).into_string()
}

#[test]
fn a_hostile_narrative_is_shown_as_text() {
    let html = page(Language::English, &samples::queue(), 0);
    assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;"), "the narrative is not shown");
    assert!(!html.contains("<img"), "the narrative became markup");
    assert!(!html.contains('\u{202E}'), "a direction override got through");
}

#[test]
fn nothing_is_inline_so_that_the_content_security_policy_can_forbid_it() {
    let html = page(Language::English, &samples::queue(), 0);
    for forbidden in [" style=", " onclick=", " onsubmit=", " onload=", "<style", "javascript:", "http://", "https://"]
    {
        let found = html.replace("http://www.w3.org/2000/svg", "").contains(forbidden);
        assert!(!found, "`{forbidden}` is in the page");
    }
    assert_eq!(html.matches("<script").count(), 1);
}

#[test]
fn each_thing_to_do_has_its_key_and_only_one() {
    let html = page(Language::English, &samples::queue(), 0);
    for key in ["a", "d", "o", "n"] {
        assert_eq!(html.matches(&format!("data-key=\"{key}\"")).count(), 1, "key {key}");
    }
    let question = &html[html.find("id=\"question\"").unwrap()..];
    for digit in 1..=5 {
        assert_eq!(question.matches(&format!("data-digit=\"{digit}\"")).count(), 1, "answer {digit}");
    }
    assert!(html.contains("Send to CSO Outreach, North Shore"));
    assert!(html.contains("CSO protocol 4.2"), "the source of the rule is not shown");
    assert!(html.contains("opens Wednesday 16:00"), "the policy's why is not shown");
}

#[test]
fn a_press_carries_what_was_seen_and_what_is_seen_changes_with_the_recommendation() {
    let (to_team, to_answer) = (samples::to_choose(), samples::to_answer());
    assert_eq!(seen(&to_team.incident), "choose.eligible.cso-north");
    assert_eq!(seen(&to_answer.incident), "choose.needs-answer.ordinary");
    let offered = samples::with_leg("i-1", LegState::Offered, 60);
    assert_ne!(seen(&to_team.incident), seen(&offered.incident));
    let html = page(Language::English, &[to_team], 0);
    assert!(html.contains("name=\"seen\" value=\"choose.eligible.cso-north\""));
}

#[test]
fn doubt_is_there_in_every_open_call_and_accept_only_where_there_is_something_to_choose() {
    let calls = samples::queue();
    for (index, call) in calls.iter().enumerate() {
        let html = page(Language::English, &calls, index);
        let path = |act: &str| format!("action=\"/calls/{}/{act}\"", call.incident.id);
        assert!(html.contains(&path("doubt")), "no doubt on {}", call.incident.id);
        assert_eq!(html.contains(&path("accept")), index < 2, "accept on {}", call.incident.id);
    }
}

#[test]
fn french_pages_speak_french() {
    let html = page(Language::French, &samples::queue(), 1);
    assert!(html.contains("<html lang=\"fr\">"));
    for french in [
        "Voie ordinaire, sauf si une réponse la change",
        "Y a-t-il une arme",
        "J'ai un doute",
        "Personne en crise",
        "fermé; ouvre mercredi 16:00",
        "Qui pourrait le prendre",
        "Trace de cet appel",
    ] {
        assert!(html.contains(french), "`{french}` is missing");
    }
    for english in
        ["Recommendation", "Override", "I am in doubt", "Open calls", "Ordinary route", "What is known", "Narrative"]
    {
        assert!(!html.contains(english), "`{english}` is in the French page");
    }
}

#[test]
fn silence_from_the_cad_is_an_alert_on_the_page_in_both_languages() {
    for (language, words) in [(Language::English, "No record has come"), (Language::French, "Aucun dossier")] {
        let mut visitor = samples::visitor(language, &[Role::CallTaker]);
        let shown = |visitor: &Visitor| {
            let shown =
                Shown { visitor, calls: &[], selected: None, entries: &[], owed: &[], mode: None, now: samples::now() };
            shown.page(None, 1.0).into_string()
        };
        assert!(!shown(&visitor).contains(words));
        visitor.silent_since = Some(samples::ago(4_000));
        let html = shown(&visitor);
        let alert = html.split("role=\"alert\"").nth(1).unwrap();
        assert!(alert.contains(words) && alert.contains("20:06"), "since when, in the zone of the pages: {alert:.200}");
    }
}

#[test]
fn a_journal_that_is_away_is_an_alert_on_the_page_in_both_languages() {
    for (language, words) in [(Language::English, "has been away since"), (Language::French, "est absente depuis")] {
        let mut visitor = samples::visitor(language, &[Role::CallTaker]);
        let shown = |visitor: &Visitor| {
            let shown =
                Shown { visitor, calls: &[], selected: None, entries: &[], owed: &[], mode: None, now: samples::now() };
            shown.page(None, 1.0).into_string()
        };
        assert!(!shown(&visitor).contains(words));
        visitor.journal_away_since = Some(samples::ago(4_000));
        let html = shown(&visitor);
        let alert = html.split("role=\"alert\"").nth(1).unwrap();
        assert!(alert.contains(words) && alert.contains("20:06"), "since when, in the zone of the pages: {alert:.200}");
    }
}

#[test]
fn a_status_is_never_told_by_colour_alone() {
    let html = page(Language::English, &samples::queue(), 0);
    for (chip, word) in [("chip-ask", "Question"), ("chip-team", "CSO Outreach"), ("chip-ordinary", "Ordinary")] {
        let at = html.find(&format!("chip {chip}")).unwrap_or_else(|| panic!("{chip}"));
        assert!(html[at..at + 420].contains(word), "{chip} has no word");
    }
}

#[test]
fn every_control_has_a_name() {
    crate::pages::tests::controls_are_named(&page(Language::English, &samples::queue(), 0));
    crate::pages::tests::controls_are_named(&page(Language::French, &samples::queue(), 2));
}

#[test]
fn many_open_calls_are_listed_up_to_a_bound() {
    let calls: Vec<_> = (0..400).map(|number| samples::ordinary(&format!("i-{number:05}"), "noise")).collect();
    let html = page(Language::English, &calls, 0);
    assert_eq!(html.matches("data-call-row").count(), 150);
    assert!(html.contains("More on the ordinary route: 250"));
}
