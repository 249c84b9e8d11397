//! The queue: every open call in the order in which it needs a person.

use super::standing::{Standing, open_offer, owning_leg, program_title};
use crate::call_processing::IncidentView;
use crate::incident::Incident;
use crate::pages::caller_text;
use crate::pages::layout::{Icon, icon, timer};
use crate::pages::words::Words;
use crate::policy::{Route, Status};
use crate::record::{IncidentId, TimePoint};
use jiff::Timestamp;
use maud::{Markup, html};

/// Calls listed at most; the rest are counted (they are on the ordinary route: what needs a person comes first).
const LISTED_MAX: usize = 150;

/// The queue, with the selected call marked.
#[must_use]
pub fn queue(
    words: &Words,
    calls: &[IncidentView],
    selected: Option<&IncidentId>,
    overdue: &Markup,
    now: Timestamp,
) -> Markup {
    let waiting = calls.iter().filter(|call| Standing::of(&call.incident) == Standing::Choose).count();
    let announce = words.with("queue.announce", &[("n", &waiting.to_string())]);
    html! {
        nav #queue.queue aria-label=(words.t("queue.title")) data-fragment="queue" data-now=(now.as_millisecond()) data-waiting=(waiting) data-announce=(announce) {
            (overdue)
            h2 { (words.t("queue.title")) " " span.count { (calls.len()) } }
            @if calls.is_empty() { p.empty { (words.t("queue.empty")) } }
            @let mut last = None;
            @for call in calls.iter().take(LISTED_MAX) {
                @let standing = Standing::of(&call.incident);
                @if last.replace(standing) != Some(standing) {
                    h3 { (words.t(&format!("standing.{}", standing.code()))) " "
                        span.count { (calls.iter().filter(|other| Standing::of(&other.incident) == standing).count()) } }
                }
                (row(words, call, selected == Some(&call.incident.id), now))
            }
            @if calls.len() > LISTED_MAX {
                p.muted { (words.with("queue.more", &[("n", &(calls.len() - LISTED_MAX).to_string())])) }
            }
        }
    }
}

fn row(words: &Words, call: &IncidentView, selected: bool, now: Timestamp) -> Markup {
    let incident = &call.incident;
    html! {
        a.row href={ "/?call=" (incident.id) "#call" } aria-current=[selected.then_some("true")] data-call-row=(incident.id) {
            span.row-top {
                strong { (nature(words, call)) }
                (age(words, incident, now))
            }
            span.row-mid { (place(words, incident)) }
            span.row-end {
                (status(words, incident))
                @if let Some(leg) = open_offer(incident) { (timer(leg.deadline, now)) }
            }
        }
    }
}

/// What the call is about: the policy's nature, else the sender's own words.
#[must_use]
pub fn nature(words: &Words, call: &IncidentView) -> Markup {
    if let Some(nature) = call.incident.facts.value("nature") {
        return html! { (words.value("nature", nature)) };
    }
    let stated = call.record.as_ref().map(|record| &record.nature);
    let text = stated.and_then(|nature| nature.call_type_text.as_deref().or(nature.call_type.as_deref()));
    match text {
        Some(text) => caller_text::line(text),
        None => html! { (words.t("queue.nature-unknown")) },
    }
}

fn place(words: &Words, incident: &Incident) -> Markup {
    html! {
        @match incident.facts.value("zone") {
            Some(zone) => (words.value("zone", zone)),
            None => (words.t("queue.zone-unknown")),
        }
        @if let Some(setting) = incident.facts.value("setting") { " · " (words.value("setting", setting)) }
    }
}

/// When the call began, as its age, kept running by script.
#[must_use]
pub fn age(words: &Words, incident: &Incident, now: Timestamp) -> Markup {
    let began = incident.times.get(&TimePoint::Received).or_else(|| incident.times.values().min()).copied();
    html! {
        @if let Some(began) = began {
            time.age datetime=(began) title=(words.with("queue.since", &[("time", &words.clock_time(began))])) {
                (words.age(began, now))
            }
        }
    }
}

/// The status as a drawn sign and words.
fn status(words: &Words, incident: &Incident) -> Markup {
    let chip = |kind: &str, sign: Icon, text: &str| html! { span.chip.{ "chip-" (kind) } { (icon(sign)) (text) } };
    let decision = incident.decision.as_ref();
    match Standing::of(incident) {
        Standing::Choose => match decision.map(|decision| (&decision.status, &decision.route)) {
            Some((Status::NeedsAnswer, _)) => chip("ask", Icon::Question, words.t("chip.question")),
            Some((_, Route::Program(program))) => {
                chip("team", Icon::Team, decision.map_or("", |decision| program_title(decision, program.as_str())))
            }
            _ => chip("ordinary", Icon::Ordinary, words.t("chip.ordinary")),
        },
        Standing::Offered => chip("wait", Icon::Clock, open_offer(incident).map_or("", |leg| leg.plan.title.as_str())),
        Standing::WithTeam => {
            let leg = owning_leg(incident);
            let state = leg.map(|leg| words.code("leg", &crate::pages::trail::kebab(&leg.state)).into_owned());
            let title = leg.map_or("", |leg| leg.plan.title.as_str());
            chip("team", Icon::Team, &format!("{title}: {}", state.unwrap_or_default()))
        }
        Standing::Shadow => chip("quiet", Icon::Ordinary, words.t("chip.shadow")),
        Standing::Test => chip("quiet", Icon::Ordinary, words.t("chip.test")),
        Standing::Ordinary => chip("ordinary", Icon::Ordinary, words.t("chip.ordinary")),
        Standing::Closed => chip("quiet", Icon::Tick, words.t("chip.closed")),
    }
}
