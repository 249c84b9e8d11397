//! The recommendation, large; what may be done about it, each by one key; and the next question.

use super::detail::option_why;
use super::standing::{Standing, open_offer, owning_leg, program_title, route_name, seen};
use crate::call_processing::IncidentView;
use crate::incident::{Incident, Owner};
use crate::pages::layout::{Icon, icon, timer, token};
use crate::pages::trail::kebab;
use crate::pages::visitor::Visitor;
use crate::pages::words::{Language, Words};
use crate::policy::{Decision, ExclusionHit, ProgramOption, Question, Reason, Route, Status};
use jiff::Timestamp;
use maud::{Markup, html};
use std::borrow::Cow;

/// Why a call-taker departs from the recommendation: a closed set, so that it can be counted and takes one press.
pub const OVERRIDE_REASONS: [&str; 8] = [
    "danger-heard",
    "caller-asks-police",
    "caller-asks-team",
    "person-or-place-known",
    "facts-wrong",
    "responders-already-there",
    "supervisor",
    "other",
];

/// Buttons that a digit key reaches.
const DIGITS: usize = 9;

/// The recommendation with its actions.
#[must_use]
pub fn recommendation(visitor: &Visitor, call: &IncidentView, now: Timestamp) -> Markup {
    let words = &visitor.words;
    let incident = &call.incident;
    let Some(decision) = &incident.decision else {
        return html! { section #recommendation.card.reco.reco-ordinary { h1 { (words.t("reco.none")) } } };
    };
    let standing = Standing::of(incident);
    let to_team = match standing {
        Standing::Choose => decision.route != Route::Ordinary,
        Standing::Offered | Standing::WithTeam => true,
        _ => false,
    };
    html! {
        section #recommendation.card.reco.reco-team[to_team].reco-ordinary[!to_team] aria-labelledby="reco-title" data-seen=(seen(incident)) {
            p.kicker {
                (words.t(&format!("kicker.{}", standing.code())))
                span.owner { (owner(words, incident)) }
            }
            h1 #reco-title { (icon(if to_team { Icon::Team } else { Icon::Ordinary })) span { (headline(words, incident, decision, now)) } }
            (reasons(words, decision, now))
            @if standing == Standing::Choose { (acts(visitor, incident, decision)) }
            @else if standing != Standing::Closed { (later_acts(visitor, incident, decision)) }
            p.provenance {
                (words.with("provenance", &[("status", &words.code("status", decision.status.name())), ("policy", &decision.policy.id), ("revision", &decision.policy.revision)]))
                @if let Some(rule) = &decision.rule { " · " (words.t("provenance.rule")) " " code { (rule) } }
                " · " code title=(decision.policy.digest) { (decision.policy.digest.get(..10).unwrap_or_default()) }
            }
        }
    }
}

fn owner(words: &Words, incident: &Incident) -> String {
    match (&incident.owner, owning_leg(incident)) {
        (Owner::Team(_), Some(leg)) => words.with("owner.team", &[("team", &leg.plan.title)]),
        _ => words.t("owner.psap").to_owned(),
    }
}

fn headline(words: &Words, incident: &Incident, decision: &Decision, now: Timestamp) -> Markup {
    let title = |leg: Option<&crate::incident::Leg>| leg.map(|leg| leg.plan.title.clone()).unwrap_or_default();
    match Standing::of(incident) {
        Standing::Choose => match (&decision.status, &decision.route) {
            (_, Route::Program(program)) => {
                html! { (words.with("reco.send", &[("program", program_title(decision, program.as_str()))])) }
            }
            (Status::NeedsAnswer, _) => html! { (words.t("reco.until-answered")) },
            _ => html! { (words.t("reco.ordinary")) },
        },
        Standing::Offered => {
            let leg = open_offer(incident);
            html! {
                (words.with("reco.offered", &[("program", &title(leg))])) " "
                @if let Some(leg) = leg { (timer(leg.deadline, now)) }
            }
        }
        Standing::WithTeam => {
            let leg = owning_leg(incident);
            let state = leg.map(|leg| words.code("leg", &kebab(&leg.state)).into_owned()).unwrap_or_default();
            html! { (words.with("reco.with-team", &[("program", &title(leg)), ("state", &state)])) }
        }
        Standing::Closed => html! { (words.t("reco.closed")) },
        _ => html! { (words.t("reco.ordinary")) },
    }
}

/// A reason: the policy's own sentence, and in another language the product's words for the product's codes. A program
/// that cannot take the call is named with its why, as in the list of options.
fn reason_text<'a>(words: &Words, decision: &'a Decision, reason: &'a Reason, now: Timestamp) -> Cow<'a, str> {
    if words.language == Language::POLICY {
        return Cow::Borrowed(&reason.text);
    }
    let of = |option: &&ProgramOption| option.code == reason.code && reason.text.starts_with(&*option.title);
    if let Some(option) = decision.options.iter().find(of) {
        return Cow::Owned(
            words.with("reason.program", &[("program", &option.title), ("why", &option_why(words, option, now))]),
        );
    }
    Cow::Borrowed(words.known(&format!("reason-code.{}", reason.code)).unwrap_or(&reason.text))
}

fn reasons(words: &Words, decision: &Decision, now: Timestamp) -> Markup {
    let excluded = |reason: &&Reason| !decision.exclusions.iter().any(|hit| hit.id == reason.code);
    html! {
        ul.reasons {
            @for hit in &decision.exclusions { li { (exclusion(words, decision, hit)) } }
            @for reason in decision.reasons.iter().filter(excluded).take(6) {
                li {
                    span dir="auto" { (reason_text(words, decision, reason, now)) }
                    @if let Some(cite) = &reason.cite { " " cite { (cite) } }
                }
            }
        }
    }
}

fn exclusion(words: &Words, decision: &Decision, hit: &ExclusionHit) -> Markup {
    let barred = hit.bars.as_ref().map(|bars| {
        let titles = bars.programs.iter().map(|program| program_title(decision, program.as_str()));
        let alone = bars.unaccompanied.then(|| words.t("exclusion.unaccompanied"));
        titles.chain(alone).collect::<Vec<_>>().join(", ")
    });
    html! {
        span.tag { (icon(Icon::Cross)) (words.t("exclusion")) }
        @let own = words.known(&format!("reason-code.{}", hit.id)).filter(|_| words.language != Language::POLICY);
        " " span dir="auto" { (own.unwrap_or(&hit.because)) }
        @if let Some(programs) = &barred {
            " " span.muted dir="auto" { (words.with("exclusion.bars", &[("programs", programs)])) }
        }
        @if !hit.for_want_of.is_empty() {
            @let facts: Vec<_> = hit.for_want_of.iter().map(|fact| words.fact(fact)).collect();
            " " span.muted { (words.with("exclusion.unknown", &[("facts", &facts.join(", "))])) }
        }
        @if let Some(cite) = &hit.cite { " " cite { (cite) } }
    }
}

fn acts(visitor: &Visitor, incident: &Incident, decision: &Decision) -> Markup {
    let words = &visitor.words;
    let accept = match &decision.route {
        Route::Ordinary => words.t("accept.ordinary").to_owned(),
        Route::Program(program) => {
            words.with("accept.program", &[("program", program_title(decision, program.as_str()))])
        }
    };
    html! {
        div.acts {
            form method="post" action={ "/calls/" (incident.id) "/accept" } {
                (token(visitor)) input type="hidden" name="seen" value=(seen(incident));
                button.primary type="submit" data-key="a" { span { (words.t("accept")) small { (accept) } } kbd { "A" } }
            }
            (doubt(visitor, incident))
            (override_list(visitor, incident, decision))
        }
    }
}

/// What may still be done once the choice is made: the ordinary route and doubt stay one press away while it is open.
fn later_acts(visitor: &Visitor, incident: &Incident, decision: &Decision) -> Markup {
    html! {
        div.acts {
            (doubt(visitor, incident))
            (override_list(visitor, incident, decision))
        }
    }
}

fn doubt(visitor: &Visitor, incident: &Incident) -> Markup {
    let words = &visitor.words;
    html! {
        form method="post" action={ "/calls/" (incident.id) "/doubt" } {
            (token(visitor))
            button.doubt type="submit" data-key="d" title=(words.t("doubt.explained")) {
                span { (words.t("doubt")) small { (words.t("doubt.explained")) } } kbd { "D" }
            }
        }
    }
}

fn override_list(visitor: &Visitor, incident: &Incident, decision: &Decision) -> Markup {
    let words = &visitor.words;
    let standing = Standing::of(incident);
    let choosing = standing == Standing::Choose;
    let open_now = choosing || standing == Standing::Ordinary;
    let recommended = if choosing { route_name(&decision.route) } else { "ordinary" };
    let with_team = matches!(standing, Standing::Offered | Standing::WithTeam);
    let other = |program: &str| program != recommended;
    let programs =
        decision.options.iter().filter(|option| open_now && option.can_take && other(option.program.as_str()));
    let mut targets: Vec<(&str, String)> = Vec::new();
    if other("ordinary") || with_team {
        targets.push(("ordinary", words.t("override.to-ordinary").to_owned()));
    }
    targets.extend(
        programs
            .map(|option| (option.program.as_str(), words.with("override.to-program", &[("program", &option.title)]))),
    );
    html! {
        details #override.override {
            summary data-key="o" { span { (words.t("override")) } kbd { "O" } }
            div.panel {
                @if targets.is_empty() {
                    p { (words.t("override.nowhere")) }
                } @else {
                    form method="post" action={ "/calls/" (incident.id) "/override" } {
                        (token(visitor)) input type="hidden" name="seen" value=(seen(incident));
                        fieldset {
                            legend { (words.t("override.where")) }
                            @for (index, (name, label)) in targets.iter().enumerate() {
                                label.radio { input type="radio" name="target" value=(name) checked[index == 0] required; (label) }
                            }
                        }
                        fieldset.choices {
                            legend { (words.t("override.why")) }
                            @for (index, reason) in OVERRIDE_REASONS.iter().enumerate() {
                                button type="submit" name="reason" value=(reason) data-digit=[digit(index)] {
                                    @if let Some(digit) = digit(index) { kbd { (digit) } }
                                    span { (words.code("reason", reason)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn digit(index: usize) -> Option<usize> {
    (index < DIGITS).then_some(index + 1)
}

/// The next question with one button an answer, then the others.
#[must_use]
pub fn questions(visitor: &Visitor, call: &IncidentView) -> Markup {
    let words = &visitor.words;
    let open = Standing::of(&call.incident) != Standing::Closed;
    let asked = call.incident.decision.as_ref().filter(|_| open).map_or(&[][..], |decision| &decision.questions);
    let Some((first, others)) = asked.split_first() else { return html! {} };
    html! {
        section #question.card.question aria-labelledby="question-title" data-seen=(first.fact) {
            p.kicker { (words.t("question.next")) }
            h2 #question-title { (icon(Icon::Question)) span { (ask(words, first)) } }
            (answers(visitor, &call.incident, first, true))
            @if !others.is_empty() {
                details #more-questions {
                    summary { (words.with("question.more", &[("n", &others.len().to_string())])) }
                    @for question in others {
                        h3 { (ask(words, question)) }
                        (answers(visitor, &call.incident, question, false))
                    }
                }
            }
        }
    }
}

/// The question in the reader's language, else in English, else the fact's name.
fn ask(words: &Words, question: &Question) -> String {
    let asked = question.ask.get(words.language.tag()).or_else(|| question.ask.get("en"));
    asked.cloned().unwrap_or_else(|| words.with("question.plain", &[("fact", &words.fact(&question.fact))]))
}

fn answers(visitor: &Visitor, incident: &Incident, question: &Question, keys: bool) -> Markup {
    let words = &visitor.words;
    let choosing = Standing::of(incident) == Standing::Choose;
    let to_team = incident.decision.as_ref().is_some_and(|decision| decision.route != Route::Ordinary);
    html! {
        form.answers method="post" action={ "/calls/" (incident.id) "/answer" } {
            (token(visitor)) input type="hidden" name="fact" value=(question.fact);
            @if question.values.is_empty() {
                // A number or a code: typed, because no list of buttons holds it.
                label.unseen for={ "value-" (question.fact) } { (ask(words, question)) }
                input id={ "value-" (question.fact) } type="text" name="value" required maxlength="60" autocomplete="off";
                button type="submit" { (words.t("question.answer")) }
            }
            @for (index, value) in question.values.iter().enumerate() {
                @let opens = question.opens.get(index).copied().unwrap_or(to_team);
                @let changes = choosing && opens != to_team;
                @let digit = digit(index).filter(|_| keys);
                button type="submit" name="value" value=(value) data-digit=[digit] {
                    @if let Some(digit) = digit { kbd { (digit) } }
                    span { (words.value(&question.fact, value)) @if changes { small { (words.t(if opens { "question.opens" } else { "question.closes" })) } } }
                }
            }
        }
    }
}
