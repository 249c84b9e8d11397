//! The frame around every page: head, banner, navigation, language switch, notices, and the page that says what went wrong.

use super::assets;
use super::visitor::{CallTaking, Duty, Evaluating, Operating, TeamWork, Visitor};
use super::words::{Language, Words};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{Html, IntoResponse, Response};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// What a page shows and where it stands.
pub struct Page<'a> {
    /// Who looks.
    pub visitor: &'a Visitor,
    /// Key of the title.
    pub title: &'a str,
    /// Path of the page, for the navigation.
    pub path: &'a str,
    /// Query to keep when the language is switched, without `lang` (`call=…`), already safe for an address.
    pub query: String,
    /// Now, by the clock of the adapter.
    pub now: Timestamp,
    /// How fast that clock runs.
    pub speed: f64,
    /// Chips at the right of the banner (mode, policy).
    pub chips: Markup,
    /// The page itself.
    pub body: Markup,
}

/// A whole page.
#[must_use]
pub fn page(page: &Page<'_>) -> Markup {
    let words = &page.visitor.words;
    html! {
        (DOCTYPE)
        html lang=(words.language.tag()) {
            (head(words, words.t(page.title)))
            body data-now=(page.now.as_millisecond()) data-speed=(page.speed) data-page=(page.path)
                data-lost=(words.t("live.lost")) data-live=(words.t("live.on")) {
                a.skip href="#main" { (words.t("skip")) }
                header.banner {
                    a.brand href=(super::visitor::home(page.visitor)) { (icon(Icon::Fourth)) "Fourth" }
                    nav aria-label=(words.t("nav.label")) {
                        @for (path, key, allowed) in pages_of(page.visitor) {
                            @if allowed {
                                a href=(path) aria-current=[(path == page.path).then_some("page")] { (words.t(key)) }
                            }
                        }
                    }
                    div.right {
                        (page.chips)
                        span #live.live role="status" {}
                        button #keys type="button" hidden aria-pressed="true" { (words.t("keys.switch")) }
                        (language_switch(words, page.path, &page.query))
                        @if page.visitor.is_open() {
                            span.who title=(words.t("open.explained")) { (words.t("open.loopback")) }
                        } @else {
                            span.who { (page.visitor.identity.name) }
                            form method="post" action="/sign-out" {
                                (token(page.visitor))
                                button.quiet type="submit" { (words.t("sign-out")) }
                            }
                        }
                    }
                }
                noscript { p.notice.notice-plain { (words.t("noscript")) " " a href=(address(page.path, &page.query)) { (words.t("reload")) } } }
                @if let Some(since) = page.visitor.silent_since {
                    p.notice.notice-bad role="alert" { (icon(Icon::Warning)) (words.with("silent", &[("since", &words.day_and_time(since, page.now))])) }
                }
                @if let Some(since) = page.visitor.journal_away_since {
                    p.notice.notice-bad role="alert" { (icon(Icon::Warning)) (words.with("journal-away", &[("since", &words.day_and_time(since, page.now))])) }
                }
                @if page.visitor.contacts_unproved > 0 && Operating::allows(page.visitor) {
                    p.notice.notice-bad role="alert" {
                        (icon(Icon::Warning))
                        a href="/operations#contacts" { (words.with("contacts.alarm", &[("n", &page.visitor.contacts_unproved.to_string())])) }
                    }
                }
                @for waiver in &page.visitor.waived {
                    p.notice.notice-plain {
                        (words.with("waived", &[("safeguard", &waiver.safeguard), ("by", &waiver.signed_by), ("because", &waiver.because)]))
                    }
                }
                main #main tabindex="-1" { (page.body) }
                div #announce.unseen aria-live="assertive" aria-atomic="true" {}
            }
        }
    }
}

fn pages_of(visitor: &Visitor) -> [(&'static str, &'static str, bool); 4] {
    [
        ("/", "nav.calls", CallTaking::allows(visitor)),
        ("/team", "nav.team", TeamWork::allows(visitor)),
        ("/evaluation", "nav.evaluation", Evaluating::allows(visitor)),
        ("/operations", "nav.operations", Operating::allows(visitor)),
    ]
}

fn head(words: &Words, title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="robots" content="noindex";
            title { (title) " · Fourth" }
            link rel="stylesheet" href=(assets::style_address());
            link rel="icon" href=(ICON);
            script src=(assets::script_address()) defer {}
            meta name="language" content=(words.language.tag());
        }
    }
}

/// A drawn mark, so that no file is fetched for it.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' \
height='16' rx='3' fill='%230b6e63'/%3E%3Cpath d='M9 3 4 9.5h5M9 3v10' stroke='%23fff' stroke-width='2' fill='none'/%3E%3C/svg%3E";

fn language_switch(words: &Words, path: &str, query: &str) -> Markup {
    html! {
        nav.languages aria-label=(words.t("language")) {
            @for language in Language::ALL {
                @let joined = if query.is_empty() { String::new() } else { format!("{query}&") };
                @if language == words.language {
                    span aria-current="true" { (language.tag().to_uppercase()) }
                } @else {
                    a href={ (path) "?" (joined) "lang=" (language.tag()) } lang=(language.tag()) hreflang=(language.tag())
                        aria-label=(language.own_name()) title=(language.own_name()) { (language.tag().to_uppercase()) }
                }
            }
        }
    }
}

fn address(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// The hidden field that every form carries.
#[must_use]
pub fn token(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="token" value=(visitor.form_token); }
}

/// What has just happened, from a closed set of codes: an unknown code in the address shows nothing.
#[must_use]
pub fn notice(words: &Words, said: Option<&str>) -> Markup {
    let known = said.and_then(|code| words.known(&format!("notice.{code}")).map(|text| (code, text)));
    html! {
        @if let Some((code, text)) = known {
            @let bad = BAD_NEWS.contains(&code);
            p.notice.notice-bad[bad].notice-good[!bad] role=(if bad { "alert" } else { "status" }) {
                (icon(if bad { Icon::Warning } else { Icon::Tick })) (text)
            }
        }
    }
}

/// Notices that mean: it did not happen, look again.
const BAD_NEWS: &[&str] = &[
    "changed",
    "closed",
    "excluded",
    "no-longer-yours",
    "out-of-order",
    "not-owed",
    "not-sent-again",
    "no-contact",
    "nothing-to-choose",
    "reason-required",
    "no-leg",
    "kind-not-allowed",
    "no-such-program",
    "fact-refused",
    "refused",
];

/// A page that says what went wrong, in words for whoever must act now.
#[must_use]
pub fn problem(words: &Words, status: StatusCode, code: &str, back: &str) -> Response {
    let body = html! {
        (DOCTYPE)
        html lang=(words.language.tag()) {
            (head(words, words.t(&format!("problem.{code}.title"))))
            body.plain {
                main #main.problem {
                    p.kicker { (status.as_u16()) }
                    h1 { (icon(Icon::Warning)) (words.t(&format!("problem.{code}.title"))) }
                    p.lead role="alert" { (words.t(&format!("problem.{code}.text"))) }
                    p { a.button href=(back) { (words.t("back")) } }
                }
            }
        }
    };
    if status == StatusCode::SERVICE_UNAVAILABLE {
        return (status, [(RETRY_AFTER, "2")], Html(body.into_string())).into_response();
    }
    (status, Html(body.into_string())).into_response()
}

/// The sign-in page.
#[must_use]
pub fn sign_in(words: &Words, next: &str, failed: bool) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(words.language.tag()) {
            (head(words, words.t("sign-in")))
            body.plain {
                main #main.problem {
                    p.brand { (icon(Icon::Fourth)) "Fourth" }
                    h1 { (words.t("sign-in")) }
                    @if failed { p.notice.notice-bad role="alert" { (icon(Icon::Warning)) (words.t("sign-in.failed")) } }
                    form.stack method="post" action="/sign-in" {
                        input type="hidden" name="next" value=(next);
                        label for="secret" { (words.t("sign-in.token")) }
                        input #secret type="password" name="secret" autocomplete="current-password" required
                            aria-describedby="secret-help" maxlength="512";
                        p #secret-help.muted { (words.t("sign-in.help")) }
                        button.primary type="submit" { (words.t("sign-in")) }
                    }
                    (language_switch(words, "/sign-in", ""))
                }
            }
        }
    }
}

/// The drawn signs of the pages; each stands beside a word, never alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    /// The product.
    Fourth,
    /// People: a community team.
    Team,
    /// A shield: police, fire, EMS as usual.
    Ordinary,
    /// A question mark.
    Question,
    /// An exclamation in a triangle.
    Warning,
    /// A tick.
    Tick,
    /// A cross.
    Cross,
    /// A clock face.
    Clock,
}

/// An icon as inline SVG, hidden from assistive technology.
#[must_use]
pub fn icon(icon: Icon) -> Markup {
    let path = match icon {
        Icon::Fourth => {
            r#"<rect class="fill" width="16" height="16" rx="3.5"/><path class="on" d="M9.4 3 4.4 9.6h6.8M9.4 3v10"/>"#
        }
        Icon::Team => {
            r#"<circle cx="5.5" cy="5" r="2.3"/><circle cx="11" cy="6" r="1.8"/><path d="M1.5 13c0-2.6 1.8-4.2 4-4.2s4 1.6 4 4.2M10.5 9.5c2.2 0 4 1.2 4 3.5"/>"#
        }
        Icon::Ordinary => r#"<path d="M8 1.5 2.8 3.4v4.2c0 3.2 2.2 5.6 5.2 6.9 3-1.3 5.2-3.7 5.2-6.9V3.4z"/>"#,
        Icon::Question => {
            r#"<circle cx="8" cy="8" r="6.4"/><path d="M6 6.3c0-1.2.9-2 2-2s2 .8 2 1.9c0 1.5-2 1.6-2 3.1M8 11.4v.3"/>"#
        }
        Icon::Warning => r#"<path d="M8 1.8 1.2 14h13.6zM8 6.2v4M8 12v.3"/>"#,
        Icon::Tick => r#"<path d="m2.5 8.5 3.6 3.6 7.4-8"/>"#,
        Icon::Cross => r#"<path d="m3.5 3.5 9 9m0-9-9 9"/>"#,
        Icon::Clock => r#"<circle cx="8" cy="8" r="6.4"/><path d="M8 4.2V8l2.6 1.8"/>"#,
    };
    html! { svg.icon viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false" { (PreEscaped(path)) } }
}

/// A countdown to a deadline: text from the server, kept running by script, silent to assistive technology.
#[must_use]
pub fn timer(deadline: Timestamp, now: Timestamp) -> Markup {
    html! {
        span.timer role="timer" aria-live="off" data-deadline=(deadline.as_millisecond()) {
            (super::words::countdown(deadline, now))
        }
    }
}
