//! The trail of one call as the journal has it: who did what, when, in words; free of personal data because events are.

use super::layout::{Icon, icon};
use super::words::Words;
use crate::incident::{Actor, Event};
use crate::journal::{Entry, Stored};
use crate::policy::Route;
use crate::record::{LegId, ProgramId};
use jiff::Timestamp;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Entries shown at most, the newest first; the journal keeps them all.
const SHOWN_MAX: usize = 60;

/// The trail, newest first.
#[must_use]
pub fn trail(words: &Words, entries: &[Entry]) -> Markup {
    let programs = programs_of(entries);
    let lines: Vec<_> = entries
        .iter()
        .rev()
        .filter_map(|entry| Some((entry, line(words, event_of(entry)?, entry.at, &programs)?)))
        .collect();
    html! {
        ol.trail {
            @for (entry, (what, who)) in lines.iter().take(SHOWN_MAX) {
                li {
                    time datetime=(entry.at) { (words.clock_time_exact(entry.at)) }
                    span { (what) @if let Some(who) = who { span.muted { " · " (who) } } }
                }
            }
            @if lines.len() > SHOWN_MAX { li { (words.with("trail.more", &[("n", &(lines.len() - SHOWN_MAX).to_string())])) } }
        }
    }
}

/// Back-ups and hazards of a call, oldest first: what everybody on it must still see.
#[must_use]
pub fn alarms(words: &Words, entries: &[Entry]) -> Markup {
    let programs = programs_of(entries);
    let alarming = |event: &Event| {
        matches!(
            event,
            Event::BackupRequested { .. }
                | Event::HazardReported { .. }
                | Event::StoodBack { .. }
                | Event::DutyOverdue { .. }
        )
    };
    html! {
        @for entry in entries {
            @if let Some(event) = event_of(entry) && alarming(event) && let Some((what, _)) = line(words, event, entry.at, &programs) {
                p.alarm { (icon(Icon::Warning)) time datetime=(entry.at) { (words.clock_time(entry.at)) } " " (what) }
            }
        }
    }
}

fn event_of(entry: &Entry) -> Option<&Event> {
    match &entry.stored {
        Stored::Incident(event) => Some(event),
        Stored::Adapter(_) => None,
    }
}

/// The title of each leg's program, from the offers.
fn programs_of(entries: &[Entry]) -> BTreeMap<LegId, String> {
    let offered = |entry| match event_of(entry)? {
        Event::Offered { leg, plan, .. } => Some((leg.clone(), plan.title.clone())),
        _ => None,
    };
    entries.iter().filter_map(offered).collect()
}

/// One event as a sentence, and who did it; nothing for events that say nothing to a person.
fn line(
    words: &Words,
    event: &Event,
    at: Timestamp,
    programs: &BTreeMap<LegId, String>,
) -> Option<(String, Option<String>)> {
    let team = |leg: &LegId| programs.get(leg).cloned().unwrap_or_else(|| leg.to_string());
    let says = |key: &str, names: &[(&str, &str)]| words.with(key, names);
    let by = |actor: &Actor| Some(actor_name(words, actor));
    Some(match event {
        Event::RecordReceived(received) if received.applied => (says("trail.record", &[]), None),
        Event::RecordReceived(_) => (says("trail.record-old", &[]), None),
        Event::Assessed { decision, .. } => {
            let route = match &decision.route {
                Route::Ordinary => words.t("route.ordinary").to_owned(),
                Route::Program(program) => title_of(decision, program.as_str()),
            };
            let status = words.code("status", decision.status.name());
            (says("trail.assessed", &[("status", &status), ("route", &route)]), None)
        }
        Event::AnswerGiven { fact, value, by: who } => {
            let names = [("fact", &*words.fact(fact)), ("value", &*words.value(fact, value))];
            (says("trail.answer", &names), by(who))
        }
        Event::Chosen { override_reason, by: who, .. } => {
            (with_reason(words, "trail.chosen", override_reason), by(who))
        }
        Event::OrdinaryChosen { override_reason, by: who } => {
            (with_reason(words, "trail.ordinary", override_reason), by(who))
        }
        Event::Offered { leg, deadline, .. } => {
            (says("trail.offered", &[("team", &team(leg)), ("time", &words.clock_time_exact(*deadline))]), None)
        }
        Event::Delivered { .. } => return None,
        Event::Undeliverable { why, .. } => (says("trail.undeliverable", &[("why", &words.why(why))]), None),
        Event::Redriven { by: who, .. } => (says("trail.redriven", &[]), by(who)),
        Event::Accepted { leg, by: who } => (says("trail.accepted", &[("team", &team(leg))]), by(who)),
        Event::Declined { leg, cause, by: who } => {
            let cause = words.code("cause", &kebab(cause)).into_owned();
            (says("trail.declined", &[("team", &team(leg)), ("why", &cause)]), by(who))
        }
        Event::TimedOut { leg } => (says("trail.timed-out", &[("team", &team(leg))]), None),
        Event::Withdrawn { leg, why } => {
            (says("trail.withdrawn", &[("team", &team(leg)), ("why", &words.why(why))]), None)
        }
        Event::AnsweredLate { leg, .. } => (says("trail.late", &[("team", &team(leg))]), None),
        Event::TeamMoved { leg, status, by: who } => {
            let status = words.code("moved", &kebab(status)).into_owned();
            (says("trail.moved", &[("team", &team(leg)), ("status", &status)]), by(who))
        }
        Event::BackupRequested { service, team_requested, by: who, .. } => {
            let key = if *team_requested { "trail.backup-team" } else { "trail.backup-sent" };
            (says(key, &[("service", &words.code("service", &kebab(service)))]), by(who))
        }
        Event::HazardReported { fact, value, by: who, .. } => {
            let names = [("fact", &*words.fact(fact)), ("value", &*words.value(fact, value))];
            (says("trail.hazard", &names), by(who))
        }
        Event::HandedOn { leg, by: who } => (says("trail.handed-on", &[("team", &team(leg))]), by(who)),
        Event::StoodBack { leg, .. } => (says("trail.stood-back", &[("team", &team(leg))]), None),
        Event::Cleared { leg, disposition, party, by: who } => {
            let party = party.map(|party| format!(" ({})", words.code("party", party.name()))).unwrap_or_default();
            let what = format!("{}{party}", words.code("disposition", &kebab(disposition)));
            (says("trail.cleared", &[("team", &team(leg)), ("what", &what)]), by(who))
        }
        Event::DutyOpened { kind, program, due, .. } => {
            let (what, who) = (words.code("duty", kind.name()), who_owes(words, program.as_ref()));
            let due = words.day_and_time(*due, at);
            (says("trail.owed", &[("what", &what), ("who", &who), ("time", &due)]), None)
        }
        Event::DutyOverdue { kind, program, .. } => {
            let names = [("what", &*words.code("alarm", kind.alarm())), ("who", &*who_owes(words, program.as_ref()))];
            (says("trail.overdue", &names), None)
        }
        Event::DutyClosed { kind, outcome, by: who, .. } => {
            let names = [("what", &*words.code("duty", kind.name())), ("how", &*words.code("outcome", outcome.name()))];
            (says("trail.owed-no-more", &names), by(who))
        }
        Event::ReturnedToOrdinary { why, .. } => (says("trail.returned", &[("why", &words.why(why))]), None),
        Event::UnitSeen { unit, status, .. } => {
            let status = words.code("moved", &kebab(status)).into_owned();
            (says("trail.unit", &[("unit", unit), ("status", &status)]), None)
        }
        Event::KeptApart { entries, .. } => (says("trail.kept-apart", &[("n", &entries.len().to_string())]), None),
        Event::Closed { why } => (says("trail.closed", &[("why", &words.why(why))]), None),
    })
}

/// Who owes something: a program, or the centre.
#[must_use]
pub fn who_owes(words: &Words, program: Option<&ProgramId>) -> String {
    program.map_or_else(|| words.t("owed.centre").to_owned(), ToString::to_string)
}

fn with_reason(words: &Words, key: &str, reason: &Option<String>) -> String {
    match reason {
        None => words.t(key).to_owned(),
        Some(reason) => format!("{} ({})", words.t(key), words.code("reason", reason)),
    }
}

fn title_of(decision: &crate::policy::Decision, program: &str) -> String {
    let option = decision.options.iter().find(|option| option.program.as_str() == program);
    option.map_or_else(|| program.to_owned(), |option| option.title.to_string())
}

/// An actor as the list of access names it.
#[must_use]
pub fn actor_name(words: &Words, actor: &Actor) -> String {
    match actor {
        Actor::CallTaker(name) => words.with("actor.call-taker", &[("name", name)]),
        Actor::Team(name) => words.with("actor.team", &[("name", name)]),
        Actor::Policy => words.t("actor.policy").to_owned(),
        Actor::Operator(name) => words.with("actor.operator", &[("name", name)]),
    }
}

/// The kebab-case name of a unit variant of a closed set, as serde writes it: the one naming of the journal.
#[must_use]
pub fn kebab<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}
