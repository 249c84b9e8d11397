//! What stands behind the recommendation: options, facts with their sources, the nearest flip, legs, and the record.

use super::standing::{Standing, program_title};
use crate::call_processing::IncidentView;
use crate::facts::{Source, UNKNOWN, Vocabulary, Zones};
use crate::incident::{BackupService, Incident, LegState};
use crate::pages::caller_text;
use crate::pages::layout::{Icon, icon, timer, token};
use crate::pages::risks;
use crate::pages::trail::kebab;
use crate::pages::visitor::Visitor;
use crate::pages::words::{Language, Words};
use crate::policy::{Decision, ProgramOption, Route};
use crate::record::{CallRecord, Location, Person};
use jiff::Timestamp;
use maud::{Markup, html};
use std::sync::LazyLock;

/// Narrative notes shown at most, the newest first.
const NOTES_MAX: usize = 30;
/// People, call-back addresses, places, units or cautions shown at most, each.
const ITEMS_MAX: usize = 10;

/// The built-in facts and their values. What an agency declares itself is asked by the policy's questions.
static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| Vocabulary::new(Vec::new(), &Zones::default()));

/// Every program considered, and why it can or cannot.
#[must_use]
pub fn options(words: &Words, decision: &Decision, now: Timestamp) -> Markup {
    html! {
        section.card aria-labelledby="options-title" {
            h2 #options-title { (words.t("options.title")) }
            @if decision.options.is_empty() { p.muted { (words.t("options.none")) } }
            ul.options {
                @for option in &decision.options {
                    li {
                        span.yes[option.can_take].no[!option.can_take] {
                            (icon(if option.can_take { Icon::Tick } else { Icon::Cross }))
                            span.unseen { (words.t(if option.can_take { "options.can" } else { "options.cannot" })) ": " }
                        }
                        strong { (option.title) }
                        span.muted dir="auto" { (option_why(words, option, now)) }
                    }
                }
            }
            @if let Some(flip) = &decision.nearest_flip {
                p.flip {
                    strong { (words.with("flip.title", &[("route", &route_title(words, decision, &flip.route))])) }
                    @for (index, change) in flip.changes.iter().enumerate() {
                        @if index > 0 { "; " } @else { " " }
                        (words.with("flip.change", &[("fact", &words.fact(&change.fact)), ("to", &words.value(&change.fact, &change.to)), ("from", &words.value(&change.fact, &change.from))]))
                    }
                }
            }
        }
    }
}

fn route_title(words: &Words, decision: &Decision, route: &Route) -> String {
    match route {
        Route::Ordinary => words.t("route.ordinary").to_owned(),
        Route::Program(program) => program_title(decision, program.as_str()).to_owned(),
    }
}

/// Why a program can or cannot take the call: the policy's own sentence, and in another language the product's words
/// for the code, with the next opening.
#[must_use]
pub fn option_why(words: &Words, option: &ProgramOption, now: Timestamp) -> String {
    if words.language == Language::POLICY {
        return option.why.to_string();
    }
    match (option.opens_at, words.known(&format!("option.{}", option.code))) {
        (Some(opens), _) => words.with("option.opens", &[("when", &words.day_and_time(opens, now))]),
        (None, Some(text)) => text.to_owned(),
        (None, None) => option.why.to_string(),
    }
}

/// What is known, with where it came from.
#[must_use]
pub fn facts(visitor: &Visitor, incident: &Incident) -> Markup {
    let words = &visitor.words;
    html! {
        section.card aria-labelledby="facts-title" {
            h2 #facts-title { (words.t("facts.title")) }
            table.facts {
                thead { tr { th scope="col" { (words.t("facts.fact")) } th scope="col" { (words.t("facts.value")) } th scope="col" { (words.t("facts.source")) } } }
                tbody {
                    @for (fact, known) in risks::first(incident.facts.iter()) {
                        tr.not-known[known.is_none()] {
                            th scope="row" { (words.fact(fact)) }
                            @match known {
                                Some(known) => {
                                    td { (caller_text::line(&words.value(fact, &known.value))) }
                                    td.muted {
                                        (words.code("source", &kebab(&known.source)))
                                        // The lexicon's words that were heard, never the narrative's.
                                        @for cue in incident.facts.cues(fact) { " · " (cue.term) }
                                    }
                                }
                                None => { td { (words.value(fact, "unknown")) } td {} }
                            }
                        }
                    }
                }
            }
            (corrections(visitor, incident))
            @if let Some(decision) = &incident.decision && !decision.gaps.is_empty() {
                h3 { (words.t("gaps.title")) }
                ul.gaps { @for gap in &decision.gaps { li { (words.fact(&gap.fact)) ": " (words.code("gap", &gap.why)) } } }
            }
        }
    }
}

/// A wrong key must be put right as fast as it was pressed: each answer given can be given again.
fn corrections(visitor: &Visitor, incident: &Incident) -> Markup {
    let words = &visitor.words;
    let answered = |fact: &str| incident.facts.source(fact) == Some(Source::Answer);
    let facts: Vec<_> =
        VOCABULARY.facts().iter().filter(|fact| answered(&fact.name) && !fact.values().is_empty()).collect();
    html! {
        @if !facts.is_empty() && Standing::of(incident) != Standing::Closed {
            details #correct.correct {
                summary { (words.t("facts.correct")) }
                @for fact in facts {
                    @let id = format!("correct-{}", fact.name);
                    form.inline method="post" action={ "/calls/" (incident.id) "/answer" } {
                        (token(visitor)) input type="hidden" name="fact" value=(fact.name);
                        label for=(id) { (words.fact(&fact.name)) }
                        select id=(id) name="value" {
                            @for value in fact.values().iter().map(String::as_str).chain([UNKNOWN]) {
                                option value=(value) selected[incident.facts.value(&fact.name).unwrap_or(UNKNOWN) == value] {
                                    (words.value(&fact.name, value))
                                }
                            }
                        }
                        button type="submit" { (words.t("facts.change")) }
                    }
                }
            }
        }
    }
}

/// Who was asked and where each stands; back-up.
#[must_use]
pub fn legs(visitor: &Visitor, incident: &Incident, now: Timestamp) -> Markup {
    let words = &visitor.words;
    html! {
        @if !incident.legs.is_empty() {
            section.card aria-labelledby="legs-title" {
                h2 #legs-title { (words.t("legs.title")) }
                ol.legs {
                    @for leg in &incident.legs {
                        li {
                            strong { (leg.plan.title) }
                            span.leg.{ "leg-" (kebab(&leg.state)) } { (words.code("leg", &kebab(&leg.state))) }
                            @if leg.state == LegState::Offered { (timer(leg.deadline, now)) }
                            span.muted { (words.with("legs.asked", &[("time", &words.clock_time(leg.offered_at)), ("channel", &words.code("channel", &leg.plan.channel))])) }
                        }
                    }
                }
                @if !incident.steps_left.is_empty() && Standing::of(incident) == Standing::Offered {
                    @let next: Vec<_> = incident.steps_left.iter().flat_map(|step| &step.legs).map(|leg| leg.title.as_str()).collect();
                    p.muted { (words.with("legs.next", &[("programs", &next.join(", "))])) }
                }
                @if !incident.outstanding.is_empty() {
                    p.undelivered { (icon(Icon::Clock)) (words.with("legs.undelivered", &[("n", &incident.outstanding.len().to_string())])) }
                }
                @if !incident.undelivered.is_empty() {
                    p.alarm { (icon(Icon::Warning)) (words.with("legs.given-up", &[("n", &incident.undelivered.len().to_string())])) }
                }
                @if Standing::of(incident) != Standing::Closed {
                    form.backup method="post" action={ "/calls/" (incident.id) "/backup" } {
                        (token(visitor))
                        span { (words.t("backup.send")) }
                        @for service in BackupService::ALL {
                            button type="submit" name="service" value=(kebab(&service)) { (words.code("service", &kebab(&service))) }
                        }
                    }
                }
            }
        }
    }
}

/// The record: the only place of the page with personal data.
#[must_use]
pub fn record(words: &Words, record: Option<&CallRecord>) -> Markup {
    html! {
        section.card.record aria-labelledby="record-title" {
            h2 #record-title { (words.t("record.title")) }
            @if let Some(record) = record {
                dl {
                    @for location in record.locations.iter().take(ITEMS_MAX) { (place(words, location)) }
                    @for callback in record.callbacks.iter().take(ITEMS_MAX) {
                        div { dt { (words.t("record.callback")) } dd.big { (caller_text::line(callback.trim_start_matches("tel:"))) } }
                    }
                    @for person in record.persons.iter().take(ITEMS_MAX) {
                        div {
                            dt { (words.t("record.person")) }
                            dd {
                                @for (index, part) in person_parts(words, record, person).iter().enumerate() {
                                    @if index > 0 { " · " }
                                    (caller_text::line(part))
                                }
                            }
                        }
                    }
                    @if let Some(text) = record.nature.call_type_text.as_ref().or(record.nature.call_type.as_ref()) {
                        div { dt { (words.t("record.call-type")) } dd { (caller_text::line(text)) @if let Some(code) = &record.nature.call_type { " " code { (caller_text::line(code)) } } } }
                    }
                    @for caution in record.cautions.iter().take(ITEMS_MAX) {
                        div { dt { (words.t("record.caution")) } dd.caution { (icon(Icon::Warning)) (caller_text::line(&caution.kind)) } }
                    }
                    @for unit in record.units.iter().take(ITEMS_MAX) {
                        div { dt { (words.t("record.unit")) } dd { (caller_text::line(&unit.unit)) " · " (words.code("moved", &kebab(&unit.status))) } }
                    }
                    div { dt { (words.t("record.sender")) } dd { (caller_text::line(record.identity.agency.as_str())) " · " (caller_text::line(call_name(&record.identity.incident))) } }
                }
                h3 { (words.t("record.narrative")) }
                @if record.notes.is_empty() { p.muted { (words.t("record.no-narrative")) } }
                @for note in record.notes.iter().rev().take(NOTES_MAX) {
                    @if let Some(at) = note.at { time.muted datetime=(at) { (words.clock_time(at)) } }
                    (caller_text::note(&note.text))
                }
                @if record.notes.len() > NOTES_MAX {
                    p.muted { (words.with("record.more-notes", &[("n", &(record.notes.len() - NOTES_MAX).to_string())])) }
                }
            } @else {
                p.muted { (words.t("record.gone")) }
            }
        }
    }
}

/// The sender's name of the incident as people say it: of an EIDO tracking identifier
/// (`urn:emergency:uid:incidentid:<name>:<agency>`, NENA-STA-021.1b 2.2) its name part.
fn call_name(incident: &str) -> &str {
    incident.strip_prefix("urn:emergency:uid:incidentid:").and_then(|rest| rest.split(':').next()).unwrap_or(incident)
}

/// What is known of a person, name first; a number that stands among the call-back addresses is not said twice.
fn person_parts(words: &Words, record: &CallRecord, person: &Person) -> Vec<String> {
    let age = person.age_years.map(|age| words.with("record.age", &[("n", &age.to_string())]));
    let phone = person.phone.clone().filter(|phone| !is_stated(record, phone));
    let roles = person.roles.iter().take(3).cloned();
    person.name.clone().into_iter().chain(age).chain(phone).chain(roles).collect()
}

/// True for a number that stands among the call-back addresses already.
fn is_stated(record: &CallRecord, phone: &str) -> bool {
    let bare = |number: &str| number.trim_start_matches("tel:").to_owned();
    record.callbacks.iter().any(|callback| bare(callback) == bare(phone))
}

fn place(words: &Words, location: &Location) -> Markup {
    let parts = [&location.street, &location.city, &location.region, &location.postal_code];
    let stated: Vec<_> = parts.into_iter().flatten().map(String::as_str).collect();
    html! {
        @if !stated.is_empty() {
            div { dt { (words.t("record.address")) } dd.big { (caller_text::line(&stated.join(", "))) } }
        }
        @if let Some(description) = &location.description {
            div { dt { (words.t("record.where")) } dd { (caller_text::line(description)) } }
        }
        @if let Some(point) = location.point {
            div { dt { (words.t("record.point")) } dd { (format!("{:.5}, {:.5}", point.latitude, point.longitude))
                @if let Some(metres) = location.uncertainty_m { " ± " (format!("{metres:.0}")) " m" } } }
        }
    }
}

/// The whole panel of one call, as the page and the script's fragment both show it.
#[must_use]
pub fn call(
    visitor: &Visitor,
    view: &IncidentView,
    trail: &Markup,
    alarms: &Markup,
    next: Option<&str>,
    now: Timestamp,
) -> Markup {
    let words = &visitor.words;
    let incident = &view.incident;
    html! {
        div #call.call data-fragment="call" data-now=(now.as_millisecond()) data-call=(incident.id) tabindex="-1" {
            div.middle {
                @if incident.test { p.notice.notice-plain { (words.t("test.banner")) } }
                (alarms)
                div.call-head {
                    h2 { (super::queue::nature(words, view)) }
                    (super::queue::age(words, incident, now))
                    @if let Some(next) = next {
                        a.button.next href={ "/?call=" (next) "#call" } data-key="n" { (words.t("next-call")) " " kbd { "N" } }
                    }
                }
                (super::recommendation::recommendation(visitor, view, now))
                (super::recommendation::questions(visitor, view))
                (crate::pages::owed::owed(visitor, &incident.duties_owed().collect::<Vec<_>>(), "/duties", now))
                (legs(visitor, incident, now))
                div.two {
                    @if let Some(decision) = &incident.decision { (options(words, decision, now)) }
                    (facts(visitor, incident))
                }
                details #trail.card {
                    summary { h2 { (words.t("trail.title")) } }
                    (trail)
                }
            }
            (record(words, view.record.as_deref()))
        }
    }
}
