//! The operator's page: what could not be delivered, to whom, since when and why, a press that has it sent again, and the contacts.

use super::contacts::{self, Contact, why_of};
use super::layout::{self, Icon, Page, icon, token};
use super::team::reference;
use super::visitor::{Entrant, Operating, Press, Visitor};
use super::words::Words;
use super::{PageState, after, see, wire_name};
use crate::call_processing::{DeadLetter, OpenedLetter};
use crate::incident::{Act, Actor};
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use std::cmp::Reverse;

/// Letters drawn at most, the most urgent first; the rest are counted.
const LETTERS_MAX: usize = 40;

/// The routes.
pub fn routes() -> Router<PageState> {
    Router::new().route("/operations", get(look)).route("/operations/letters/{key}/redrive", post(redrive))
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    said: Option<String>,
    fragment: Option<String>,
}

async fn look(State(state): State<PageState>, entrant: Entrant<Operating>, Query(asked): Query<Asked>) -> Response {
    let visitor = entrant.0;
    let now = state.doors.clock.now();
    let held = state.desk.dead_letters();
    let mut letters = Vec::new();
    for letter in most_urgent(held.letters.iter()) {
        letters.push(state.desk.open_letter(letter).await);
    }
    let not_drawn = u64::try_from(held.letters.len().saturating_sub(letters.len())).unwrap_or(u64::MAX);
    let contacts = state.doors.contacts.as_ref().and_then(|contacts| contacts.shown());
    let shown = Shown {
        visitor: &visitor,
        letters: &letters,
        more: held.letters_not_listed.saturating_add(not_drawn),
        waiting: state.desk.undelivered().len(),
        contacts: contacts.as_deref(),
        now,
    };
    match asked.fragment.as_deref() {
        Some("letters") => see(&shown.letters()),
        Some(_) => StatusCode::NOT_FOUND.into_response(),
        None => see(&shown.page(asked.said.as_deref(), state.doors.clock.speed())),
    }
}

/// The journal says who; a repeat while it is under way changes nothing.
async fn redrive(State(state): State<PageState>, Path(key): Path<String>, press: Press<Operating>) -> Response {
    let Some(key) = wire_name(&key) else {
        return layout::problem(&press.visitor.words, StatusCode::NOT_FOUND, "no-letter", "/operations");
    };
    let by = Actor::Operator(press.visitor.identity.name.clone());
    let done = state.desk.redrive(key, by).await;
    after(&press.visitor, "/operations", "#letters", done.map(|_| "sent-again"))
}

/// Those that are drawn: a team that was not told to stand back before everything else, offers last, since nothing can be
/// done about them; of each the newest first.
fn most_urgent<'a>(letters: impl Iterator<Item = &'a DeadLetter>) -> Vec<&'a DeadLetter> {
    let rank = |letter: &DeadLetter| match &*letter.what {
        "stand-back" | "withdraw" => 0,
        "offer" | "proceed" => 2,
        _ => 1,
    };
    let mut letters: Vec<_> = letters.collect();
    letters.sort_by_key(|letter| (rank(letter), Reverse(letter.at)));
    letters.truncate(LETTERS_MAX);
    letters
}

/// Everything one look at the page is drawn from. No record is read.
pub struct Shown<'a> {
    /// Who looks.
    pub visitor: &'a Visitor,
    /// What was given up, in the order drawn.
    pub letters: &'a [OpenedLetter],
    /// How many more there are.
    pub more: u64,
    /// Messages on their way, or waiting to be tried again.
    pub waiting: usize,
    /// Whether each contact is known to work; `None` where they are not tested.
    pub contacts: Option<&'a [Contact]>,
    /// Now.
    pub now: Timestamp,
}

impl Shown<'_> {
    /// The whole page.
    #[must_use]
    pub fn page(&self, said: Option<&str>, speed: f64) -> Markup {
        layout::page(&Page {
            visitor: self.visitor,
            title: "title.operations",
            path: "/operations",
            query: String::new(),
            now: self.now,
            speed,
            chips: html! {},
            body: html! {
                (layout::notice(&self.visitor.words, said))
                (self.letters())
            },
        })
    }

    fn letters(&self) -> Markup {
        let words = &self.visitor.words;
        html! {
            div #letters.figures data-fragment="letters" data-now=(self.now.as_millisecond()) data-slow="true" {
                div.figures-head {
                    h1 { (words.t("title.operations")) }
                    p.muted { (words.with("letters.waiting", &[("n", &self.waiting.to_string())])) }
                }
                section.card.owed aria-labelledby="letters-title" {
                    h2 #letters-title { (words.t("letters.title")) " " span.count { (self.letters.len()) } }
                    @if self.letters.is_empty() {
                        p.empty { (icon(Icon::Tick)) (words.t("letters.none")) }
                    }
                    @for letter in self.letters { (self.letter(letter)) }
                    @if self.more > 0 {
                        p.muted { (words.with("letters.more", &[("n", &self.more.to_string())])) }
                    }
                }
                (contacts::section(self.visitor, self.contacts, self.now))
            }
        }
    }

    fn letter(&self, opened: &OpenedLetter) -> Markup {
        let words = &self.visitor.words;
        let letter = &opened.letter;
        let what = what_of(words, opened);
        let call = reference(letter.incident.as_str());
        html! {
            div.owed-line id={ "letter-" (letter.key) } {
                p.due {
                    (icon(Icon::Warning)) " " strong { (what) } " · " (to_whom(words, opened)) " · "
                    (words.t("team.reference")) " " code { (call) } " · "
                    time datetime=(letter.at) { (words.with("letters.since", &[("time", &words.day_and_time(letter.at, self.now))])) }
                    " · " (why_of(words, &letter.why))
                }
                @match opened.stays {
                    Some(stays) => p.muted { (words.code("letters.stays", stays)) },
                    None => form.inline method="post" action={ "/operations/letters/" (letter.key) "/redrive" } {
                        (token(self.visitor))
                        button type="submit" {
                            (words.t("letters.send-again"))
                            span.unseen { ": " (what) ", " (words.t("team.reference")) " " (call) }
                        }
                    }
                }
            }
        }
    }
}

/// What the message was to say.
fn what_of(words: &Words, opened: &OpenedLetter) -> String {
    match &opened.act {
        Some(Act::TellCad(notice)) => words.code("letter.cad", notice.name()).into_owned(),
        Some(act) => words.code("letter", act.what()).into_owned(),
        None => words.code("letter", &opened.letter.what).into_owned(),
    }
}

/// The destination: the CAD, or a program by its channel. Where that is, the configuration knows and nobody is shown.
fn to_whom(words: &Words, opened: &OpenedLetter) -> String {
    match &opened.act {
        Some(
            Act::Offer { plan, .. }
            | Act::Withdraw { plan, .. }
            | Act::StandBack { plan, .. }
            | Act::Proceed { plan, .. },
        ) => words.with("letters.to-team", &[("team", &plan.title), ("channel", &plan.channel)]),
        Some(Act::TellCad(_)) => words.t("letters.to-cad").to_owned(),
        None => words.t("letters.to-unknown").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;
    use crate::incident::CadNotice;
    use crate::pages::samples;
    use crate::pages::tests::controls_are_named;
    use crate::pages::words::Language;
    use crate::record::{IncidentId, LegId};

    fn opened(key: &str, why: &str, act: Option<Act>, stays: Option<&'static str>, ago_s: i64) -> OpenedLetter {
        let (incident, what) = (key.split('.').next().unwrap(), key.rsplit('.').next().unwrap().to_owned());
        let (key, why) = (key.to_owned(), why.to_owned());
        let letter = DeadLetter { key, incident: IncidentId::new(incident), what, why, at: samples::ago(ago_s) };
        OpenedLetter { letter, act, stays }
    }

    fn letters() -> [OpenedLetter; 4] {
        let plan = || samples::plan("cso-north", "Outreach North");
        let leg = || LegId::new("i-77aa0001.1");
        let stand_back = Act::StandBack { leg: leg(), plan: plan(), why: "hazard".to_owned() };
        let offer = Act::Offer { leg: leg(), plan: plan(), deadline: samples::now() };
        let cleared = Act::TellCad(CadNotice::OrdinaryRoute { why: "hazard".to_owned() });
        [
            opened("i-77aa0001.9.stand-back", "retry-time-exhausted", Some(stand_back), None, 90),
            opened("i-77aa0001.4.offer", "no-such-channel", Some(offer), Some("offer-over"), 300),
            opened("i-77aa0002.7.cad", "refused-422", Some(cleared), None, 4_000),
            opened("i-77aa0003.7.cad", "queue-full", None, Some("overtaken"), 90_000),
        ]
    }

    fn html(language: Language, letters: &[OpenedLetter], more: u64) -> String {
        let visitor = samples::visitor(language, &[Role::Operator]);
        let shown = Shown { visitor: &visitor, letters, more, waiting: 2, contacts: Some(&[]), now: samples::now() };
        shown.page(Some("sent-again"), 1.0).into_string()
    }

    #[test]
    fn each_letter_says_what_to_whom_since_when_and_why_and_one_press_sends_it_again() {
        let html = html(Language::English, &letters(), 3);
        for said in [
            "Stand back",
            "Outreach North (webhook)",
            "tried until its time was over",
            "the channel is not configured",
            "the CAD",
            "refused with code 422",
            "Ordinary route",
            "More that are not shown: 3",
            "Messages waiting: 2",
            "An offer is never sent again",
            "Sent again",
        ] {
            assert!(html.contains(said), "{said}: {html}");
        }
        assert_eq!(html.matches("/redrive\"").count(), 2, "neither what is over nor what is overtaken");
        assert!(html.contains("action=\"/operations/letters/i-77aa0001.9.stand-back/redrive\""), "{html}");
        assert_eq!(html.matches("name=\"token\"").count(), 3, "both forms and the way out are this session's");
        assert!(!html.contains("i-77aa0001\u{20}") && !html.to_lowercase().contains("canary"), "{html}");
        controls_are_named(&html);
    }

    #[test]
    fn every_word_is_french_in_french() {
        let english = html(Language::English, &letters(), 3);
        let french = html(Language::French, &letters(), 3);
        for said in [
            "Mise en retrait",
            "la répartition",
            "refusé avec le code 422",
            "Envoyer de nouveau",
            "Messages en attente : 2",
        ] {
            assert!(french.contains(said), "{said}: {french}");
        }
        for word in ["Send again", "since ", "refused", "Stand back", "offer", "Operations"] {
            let body =
                |html: &str| html.split("<main").nth(1).unwrap().replace("/letters/", "").replace("stand-back", "");
            let visible = |html: &str| {
                let body = body(html);
                body.split('<')
                    .filter_map(|part| part.split_once('>'))
                    .map(|(_, text)| text.to_owned())
                    .collect::<String>()
            };
            assert!(!visible(&french).contains(word), "{word}");
            assert!(word == "offer" || visible(&english).contains(word), "{word}");
        }
        controls_are_named(&french);
    }

    #[test]
    fn nothing_given_up_is_said_in_words() {
        let html = html(Language::English, &[], 0);
        assert!(html.contains("Everything was delivered"), "{html}");
        assert!(!html.contains("/redrive") && !html.contains("More that are not shown"), "{html}");
    }

    #[test]
    fn recalls_stand_first_and_offers_last_and_of_each_the_newest() {
        let letter =
            |what: &str, ago_s: i64| opened(&format!("i.{ago_s}.{what}"), "queue-full", None, None, ago_s).letter;
        let mut held: Vec<DeadLetter> = (0..50).map(|number| letter("offer", number)).collect();
        held.extend((0..10).map(|number| letter("cad", 100 + number)));
        held.push(letter("withdraw", 9_000));
        held.push(letter("stand-back", 8_000));
        let drawn = most_urgent(held.iter());
        let keys: Vec<&str> = drawn.iter().map(|letter| letter.key.as_str()).collect();
        assert_eq!(keys[..3], ["i.8000.stand-back", "i.9000.withdraw", "i.100.cad"]);
        assert_eq!((keys[11], keys[12], keys.len()), ("i.109.cad", "i.0.offer", LETTERS_MAX));
    }
}
