//! What is owed, as both pages show it: overdue first and loud, with a press for each way it can end.

use super::layout::{Icon, icon, timer, token};
use super::team::reference;
use super::trail::who_owes;
use super::visitor::Visitor;
use super::words::Words;
use crate::incident::{Duty, DutyState};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

/// Lines drawn at most, the most urgent first; the rest are counted.
const LINES_MAX: usize = 40;

/// What is owed, with the presses that end it: they go to `<to>/<duty>`.
#[must_use]
pub fn owed(visitor: &Visitor, duties: &[&Duty], to: &str, now: Timestamp) -> Markup {
    let words = &visitor.words;
    html! {
        @if !duties.is_empty() {
            section.card.owed aria-labelledby="owed-title" {
                h2 #owed-title { (words.t("owed.title")) " " span.count { (duties.len()) } }
                @for duty in duties.iter().take(LINES_MAX) {
                    div.owed-line id={ "duty-" (duty.id) } {
                        (line(words, duty, now))
                        form.inline method="post" action={ (to) "/" (duty.id) } {
                            (token(visitor))
                            @for outcome in duty.kind.outcomes() {
                                button type="submit" name="outcome" value=(outcome.name()) { (words.code("outcome", outcome.name())) }
                            }
                        }
                    }
                }
                (more(words, duties.len()))
            }
        }
    }
}

/// What is overdue on any call, as links to the calls: it stands above everything else until somebody answers for it.
#[must_use]
pub fn overdue(words: &Words, duties: &[Duty], now: Timestamp) -> Markup {
    let overdue: Vec<&Duty> = duties.iter().filter(|duty| duty.state == DutyState::Overdue).collect();
    html! {
        @if !overdue.is_empty() {
            section.overdue role="alert" aria-labelledby="overdue-title" {
                h3 #overdue-title { (words.t("owed.overdue")) " " span.count { (overdue.len()) } }
                @for duty in overdue.iter().take(LINES_MAX) {
                    a href={ "/?call=" (duty.id.incident()) "#call" } { (line(words, duty, now)) }
                }
                (more(words, overdue.len()))
            }
        }
    }
}

fn more(words: &Words, count: usize) -> Markup {
    html! {
        @if count > LINES_MAX { p.muted { (words.with("queue.more", &[("n", &(count - LINES_MAX).to_string())])) } }
    }
}

/// What, on which call, who owes it, and by when.
fn line(words: &Words, duty: &Duty, now: Timestamp) -> Markup {
    let overdue = duty.state == DutyState::Overdue;
    let what = if overdue { words.code("alarm", duty.kind.alarm()) } else { words.code("duty", duty.kind.name()) };
    let soon = duty.due.duration_since(now) < SignedDuration::from_hours(1);
    html! {
        p.alarm[overdue].due[!overdue] {
            (icon(if overdue { Icon::Warning } else { Icon::Clock }))
            strong { (what) } " "
            (words.t("team.reference")) " " code { (reference(duty.id.incident().as_str())) } " · "
            (who_owes(words, duty.program.as_ref())) " · "
            @if overdue || !soon { time datetime=(duty.due) { (words.with("owed.by", &[("time", &words.day_and_time(duty.due, now))])) } }
            @else { (timer(duty.due, now)) }
            @if duty.from > now { " · " (words.with("owed.from", &[("time", &words.day_and_time(duty.from, now))])) }
        }
    }
}
