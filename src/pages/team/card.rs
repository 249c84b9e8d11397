//! One leg as its team sees it: what is offered, what is theirs, what is no longer, and what they can press.

use super::released::TeamCall;
use crate::incident::{BackupService, DeclineCause, Disposition, Leg, LegState, Party};
use crate::pages::caller_text;
use crate::pages::layout::{Icon, icon, timer, token};
use crate::pages::risks;
use crate::pages::trail::kebab;
use crate::pages::visitor::Visitor;
use crate::pages::words::Words;
use crate::policy::ProgramKind;
use crate::record::{ReleasedField, TimePoint};
use jiff::Timestamp;
use maud::{Markup, html};

/// Notes and facts shown at most.
const ITEMS_MAX: usize = 20;

/// Hazards a team can report in one press: fact and value. They only raise.
pub const HAZARDS: [(&str, &str); 7] = [
    ("weapon", "present"),
    ("weapon", "used"),
    ("violence", "threat"),
    ("violence", "physical"),
    ("medical", "acute"),
    ("self_harm", "attempt"),
    ("crime", "in-progress"),
];

/// Why a team hands a call back.
pub const RETURN_REASONS: [&str; 6] =
    ["needs-police", "needs-ems", "person-refuses-team", "outside-mandate", "end-of-shift", "other"];

/// Facts that another line of the card says, or that only say that the record has a field.
const SAID_OTHERWISE: [&str; 8] =
    ["nature", "call_type", "first_call_type", "priority", "age", "address", "callback", "caller_name"];

/// One leg as a card.
#[must_use]
pub fn card(visitor: &Visitor, leg: &Leg, call: &TeamCall, alarms: &Markup, now: Timestamp) -> Markup {
    let words = &visitor.words;
    let state = kebab(&leg.state);
    html! {
        article.card.leg-card.{ "leg-is-" (state) } id={ "leg-" (leg.id) } aria-labelledby={ "title-" (leg.id) } data-leg=(leg.id) data-state=(state) {
            p.kicker {
                span { (leg.plan.title) " · " (words.t("team.reference")) " " code { (call.reference) } }
                span.leg.{ "leg-" (state) } { (words.code("leg", &state)) }
            }
            @match leg.state {
                LegState::Offered => (offered(visitor, leg, call, now)),
                LegState::StoodBack => (stood_back(words, leg, call, alarms)),
                _ => (owned(visitor, leg, call, alarms)),
            }
        }
    }
}

fn title(words: &Words, leg: &Leg, call: &TeamCall) -> Markup {
    html! {
        h2 id={ "title-" (leg.id) } {
            @match &call.released.nature { Some(nature) => (words.value("nature", nature)), None => (words.t("team.call")) }
        }
    }
}

fn offered(visitor: &Visitor, leg: &Leg, call: &TeamCall, now: Timestamp) -> Markup {
    let words = &visitor.words;
    html! {
        div.leg-head {
            (title(words, leg, call))
            p.answer-by { (icon(Icon::Clock)) (words.t("team.answer-within")) " " (timer(leg.deadline, now)) }
        }
        (what(words, leg, call))
        div.acts {
            form method="post" action={ "/team/legs/" (leg.id) "/accept" } {
                (token(visitor)) button.primary type="submit" name="do" value="accept" { (words.t("team.accept")) }
            }
            form.inline method="post" action={ "/team/legs/" (leg.id) "/decline" } {
                (token(visitor))
                label for={ "cause-" (leg.id) } { (words.t("team.cause")) }
                select id={ "cause-" (leg.id) } name="cause" {
                    @for cause in DeclineCause::ALL { option value=(kebab(&cause)) { (words.code("cause", &kebab(&cause))) } }
                }
                button type="submit" { (words.t("team.decline")) }
            }
        }
        p.muted { (words.t("team.silence")) }
    }
}

fn stood_back(words: &Words, leg: &Leg, call: &TeamCall, alarms: &Markup) -> Markup {
    html! {
        h2.stand-back id={ "title-" (leg.id) } role="alert" { (icon(Icon::Warning)) (words.t("team.stand-back")) }
        p.lead { (words.t("team.stand-back.text")) }
        (what(words, leg, call))
        (alarms)
    }
}

fn owned(visitor: &Visitor, leg: &Leg, call: &TeamCall, alarms: &Markup) -> Markup {
    let words = &visitor.words;
    let next = match leg.state {
        LegState::Accepted => Some(TimePoint::EnRoute),
        LegState::EnRoute => Some(TimePoint::OnScene),
        LegState::OnScene => Some(TimePoint::WithPerson),
        _ => None,
    };
    html! {
        (title(words, leg, call))
        (alarms)
        (what(words, leg, call))
        div.acts {
            form.steps method="post" action={ "/team/legs/" (leg.id) "/move" } {
                (token(visitor))
                @for point in [TimePoint::EnRoute, TimePoint::OnScene, TimePoint::WithPerson] {
                    @if is_ahead(leg.state, point) {
                        button.primary[next == Some(point)] type="submit" name="status" value=(kebab(&point)) { (words.code("move", &kebab(&point))) }
                    }
                }
            }
            form.backup-team method="post" action={ "/team/legs/" (leg.id) "/backup" } {
                (token(visitor))
                button.alarm-button type="submit" name="service" value="police" { (icon(Icon::Warning)) (words.t("team.backup")) }
                button type="submit" name="service" value=(kebab(&BackupService::Ems)) { (words.code("service", "ems")) }
                button type="submit" name="service" value=(kebab(&BackupService::Fire)) { (words.code("service", "fire")) }
            }
        }
        div.three {
            form.inline method="post" action={ "/team/legs/" (leg.id) "/clear" } {
                (token(visitor))
                label for={ "disposition-" (leg.id) } { (words.t("team.disposition")) }
                select id={ "disposition-" (leg.id) } name="disposition" required {
                    option value="" { (words.t("team.choose")) }
                    @for disposition in Disposition::ALL { option value=(kebab(&disposition)) { (words.code("disposition", &kebab(&disposition))) } }
                }
                label for={ "party-" (leg.id) } { (words.t("team.party")) }
                select id={ "party-" (leg.id) } name="party" {
                    option value="" { (words.t("team.choose")) }
                    @for party in Party::ALL { option value=(party.name()) { (words.code("party", party.name())) } }
                }
                button.primary[next.is_none()] type="submit" { (words.t("team.clear")) }
            }
            form.inline method="post" action={ "/team/legs/" (leg.id) "/hazard" } {
                (token(visitor))
                label for={ "hazard-" (leg.id) } { (words.t("team.hazard")) }
                select id={ "hazard-" (leg.id) } name="hazard" required {
                    option value="" { (words.t("team.choose")) }
                    @for (fact, value) in HAZARDS {
                        option value={ (fact) "." (value) } { (words.fact(fact)) ": " (words.value(fact, value)) }
                    }
                }
                button type="submit" { (words.t("team.report")) }
            }
            @if leg.plan.kind == ProgramKind::Phone {
                form.inline method="post" action={ "/team/legs/" (leg.id) "/hand-on" } {
                    (token(visitor)) button type="submit" { (words.t("team.hand-on")) }
                }
            }
            form.inline method="post" action={ "/team/legs/" (leg.id) "/return" } {
                (token(visitor))
                label for={ "why-" (leg.id) } { (words.t("team.why")) }
                select id={ "why-" (leg.id) } name="why" required {
                    option value="" { (words.t("team.choose")) }
                    @for why in RETURN_REASONS { option value=(why) { (words.code("why", why)) } }
                }
                button type="submit" { (words.t("team.return")) }
            }
        }
    }
}

fn is_ahead(state: LegState, point: TimePoint) -> bool {
    let reached = match state {
        LegState::EnRoute => TimePoint::EnRoute,
        LegState::OnScene => TimePoint::OnScene,
        LegState::WithPerson => TimePoint::WithPerson,
        _ => TimePoint::Accepted,
    };
    point > reached
}

/// The released fields, and nothing else.
fn what(words: &Words, leg: &Leg, call: &TeamCall) -> Markup {
    let released = &call.released;
    html! {
        dl.released {
            @if let Some(address) = &released.address {
                @let parts = [&address.street, &address.city, &address.region, &address.postal_code];
                @let line = parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ");
                div { dt { (words.t("record.address")) } dd.big { (caller_text::line(&line)) } }
                @if let Some(description) = &address.description {
                    div { dt { (words.t("record.where")) } dd { (caller_text::line(description)) } }
                }
            }
            @if let Some(point) = released.point {
                div { dt { (words.t("record.point")) } dd { (format!("{:.5}, {:.5}", point.latitude, point.longitude))
                    @if let Some(metres) = point.uncertainty_m { " ± " (format!("{metres:.0}")) " m" } } }
            }
            @for callback in released.callback.iter().take(ITEMS_MAX) {
                div { dt { (words.t("record.callback")) } dd.big { (caller_text::line(callback.trim_start_matches("tel:"))) } }
            }
            @if let Some(name) = &released.caller_name { div { dt { (words.t("record.person")) } dd { (caller_text::line(name)) } } }
            @if let Some(age) = released.age_years { div { dt { (words.fact("age")) } dd { (words.with("record.age", &[("n", &age.to_string())])) } } }
            @for (fact, value) in facts(leg, call).into_iter().take(ITEMS_MAX) {
                div.not-known[value.is_none()] {
                    dt { (words.fact(fact)) }
                    dd { (caller_text::line(&words.value(fact, value.map_or("unknown", String::as_str)))) }
                }
            }
            (how_asked(words, leg))
            @if let Some(minutes) = leg.plan.call_back_within_min {
                div { dt { (words.t("team.obligation")) } dd { strong { (words.with("team.call-back", &[("n", &minutes.to_string())])) } } }
            }
        }
        @for note in released.narrative.iter().rev().take(ITEMS_MAX) {
            @if let Some(at) = note.at { time.muted datetime=(at) { (words.clock_time(at)) } }
            (caller_text::note(&note.text))
        }
    }
}

/// With whom the team goes, who referred the call to it, and where it stands in its queue.
fn how_asked(words: &Words, leg: &Leg) -> Markup {
    let others: Vec<&str> = leg
        .plan
        .together
        .iter()
        .filter(|program| **program != leg.plan.program)
        .map(|program| program.as_str())
        .collect();
    html! {
        @if !others.is_empty() { div { dt { (words.t("team.together")) } dd { strong { (others.join(", ")) } } } }
        @if let Some(by) = &leg.plan.referred_by { div { dt { (words.t("team.referred-by")) } dd { (by) } } }
        @if let Some(queue) = &leg.plan.queue {
            div { dt { (words.t("team.queue")) } dd {
                (words.with("team.queue-place", &[("place", &queue.place.to_string()), ("of", &queue.of.to_string())]))
                @if let Some(because) = &queue.because { ": " (because) }
            } }
        }
    }
}

/// The released facts, risks first; a risk nobody asked about is shown as not known, for a team must not read it as "no".
fn facts<'a>(leg: &Leg, call: &'a TeamCall) -> Vec<(&'a str, Option<&'a String>)> {
    if !leg.plan.release.contains(&ReleasedField::Facts) || leg.state == LegState::StoodBack {
        return Vec::new();
    }
    let told = call.released.facts.iter().filter(|(fact, _)| !SAID_OTHERWISE.contains(&fact.as_str()));
    risks::first(told.map(|(fact, value)| (fact.as_str(), value)))
}
