//! Contacts on the operator's page: whether each is known to work, since when and why not, and a press that has it tested.

use super::layout::{Icon, icon, token};
use super::visitor::{Operating, Press, Visitor};
use super::words::Words;
use super::{PageState, after};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use jiff::Timestamp;
use maud::{Markup, html};

/// What is known of the contacts; the composition root gives it.
pub trait Contacts: Send + Sync {
    /// Every contact; `None` where contacts are not tested.
    fn shown(&self) -> Option<Vec<Contact>>;

    /// Has one contact, or every one, tested now. False where none is of this name.
    fn test(&self, name: Option<&str>) -> bool;
}

/// One contact. Its name comes from the configuration; it holds no address.
#[derive(Debug, Clone)]
pub struct Contact {
    /// Its name.
    pub name: String,
    /// What kind of destination, kebab-case.
    pub kind: &'static str,
    /// When it was last proved, if it was since the start.
    pub proved_at: Option<Timestamp>,
    /// Why it counts as unproved, kebab-case, where it does.
    pub unproved: Option<String>,
}

/// The routes.
pub fn routes() -> Router<PageState> {
    Router::new().route("/operations/contacts/test", post(test))
}

async fn test(State(state): State<PageState>, press: Press<Operating>) -> Response {
    let (name, all) = (press.fields.text("contact"), press.fields.text("all").is_some());
    let contacts = state.doors.contacts.as_ref().filter(|_| name.is_some() != all);
    let found = contacts.is_some_and(|contacts| contacts.test(name));
    after(&press.visitor, "/operations", "#contacts", Ok(if found { "contact-asked" } else { "no-contact" }))
}

/// How many are an alarm.
pub fn unproved(contacts: &dyn Contacts) -> usize {
    contacts.shown().iter().flatten().filter(|contact| contact.unproved.is_some()).count()
}

/// The part of the page.
pub fn section(visitor: &Visitor, contacts: Option<&[Contact]>, now: Timestamp) -> Markup {
    let words = &visitor.words;
    let some = contacts.unwrap_or_default();
    html! {
        section #contacts.card aria-labelledby="contacts-title" {
            h2 #contacts-title { (words.t("contacts.title")) " " span.count { (some.len()) } }
            @match contacts {
                None => p.notice.notice-plain { (icon(Icon::Warning)) (words.t("contacts.off")) },
                Some([]) => p.empty { (words.t("contacts.none")) },
                Some(_) => p.muted { (words.t("contacts.meaning")) },
            }
            @for contact in some { (line(visitor, contact, now)) }
            @if some.len() > 1 {
                form.inline.contact-line method="post" action="/operations/contacts/test" {
                    (token(visitor))
                    button type="submit" name="all" value="all" { (words.t("contacts.test-all")) }
                }
            }
        }
    }
}

fn line(visitor: &Visitor, contact: &Contact, now: Timestamp) -> Markup {
    let words = &visitor.words;
    let (sign, state) = state(words, contact, now);
    html! {
        div.contact-line.inline {
            p.alarm[contact.unproved.is_some()] {
                (icon(sign)) " "
                span { strong { (contact.name) } " · " (words.code("contact.kind", contact.kind)) " · " (state) }
            }
            form.inline method="post" action="/operations/contacts/test" {
                (token(visitor))
                input type="hidden" name="contact" value=(contact.name);
                button type="submit" { (words.t("contacts.test")) span.unseen { ": " (contact.name) } }
            }
        }
    }
}

fn state(words: &Words, contact: &Contact, now: Timestamp) -> (Icon, Markup) {
    let proved = contact.proved_at.map(|at| words.with("contacts.proved", &[("age", &words.age(at, now))]));
    let Some(why) = &contact.unproved else {
        return match proved {
            Some(proved) => (Icon::Tick, html! { (proved) }),
            None => (Icon::Clock, html! { (words.t("contacts.new")) }),
        };
    };
    let since = match proved {
        Some(proved) => words.with("contacts.last", &[("proved", &proved)]),
        None => words.t("contacts.never").to_owned(),
    };
    (Icon::Warning, html! { strong { (words.t("contacts.unproved")) } ": " (why_of(words, why)) " · " (since) })
}

/// Why something was not taken, in words.
pub(super) fn why_of(words: &Words, why: &str) -> String {
    for (prefix, key) in [("refused-", "letters.refused"), ("status-", "letters.status")] {
        if let Some(code) = why.strip_prefix(prefix) {
            return words.with(key, &[("code", code)]);
        }
    }
    words.why(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;
    use crate::pages::samples;
    use crate::pages::tests::controls_are_named;
    use crate::pages::words::Language;

    fn contact(name: &str, kind: &'static str, proved_ago_s: Option<i64>, unproved: Option<&str>) -> Contact {
        let (name, unproved) = (name.to_owned(), unproved.map(str::to_owned));
        Contact { name, kind, proved_at: proved_ago_s.map(samples::ago), unproved }
    }

    fn contacts() -> [Contact; 5] {
        [
            contact("cad", "cad", Some(3 * 3_600), None),
            contact("cad/second", "cad", None, Some("refused-404")),
            contact("mail/cso-north#2", "email", Some(90_000), Some("contact-overdue")),
            contact("webhook/cso-north", "webhook", None, None),
            contact("text/cso-north", "sms", Some(40), Some("status-503")),
        ]
    }

    fn drawn(language: Language, contacts: Option<&[Contact]>) -> String {
        let visitor = samples::visitor(language, &[Role::Operator]);
        section(&visitor, contacts, samples::now()).into_string()
    }

    #[test]
    fn each_contact_says_whether_it_is_proved_since_when_and_why_not_and_can_be_tested() {
        let html = drawn(Language::English, Some(&contacts()));
        for said in [
            "proved 3 h 0 min ago",
            "NOT proved</strong>: refused with code 404 · not once since the start",
            "its test is overdue",
            "last proved 25 h 0 min ago",
            "New: it is tested soon",
            "answered with code 503",
            "not that anybody reads it",
            "Test all now",
        ] {
            assert!(html.contains(said), "{said}: {html}");
        }
        assert_eq!(html.matches("name=\"contact\"").count(), 5);
        assert_eq!(html.matches("name=\"token\"").count(), 6, "every form is this session's");
        controls_are_named(&html);
    }

    #[test]
    fn the_same_is_french_in_french() {
        let html = drawn(Language::French, Some(&contacts()));
        for said in ["vérifié il y a", "NON vérifié", "Tester maintenant", "CAD", "Courriel", "texto"] {
            assert!(html.to_lowercase().contains(&said.to_lowercase()), "{said}: {html}");
        }
        for word in ["proved", "Test all", "refused", "mail server"] {
            let visible: String =
                html.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text).collect();
            assert!(!visible.contains(word), "{word}: {visible}");
        }
        controls_are_named(&html);
    }

    #[test]
    fn where_contacts_are_not_tested_the_page_says_so() {
        assert!(drawn(Language::English, None).contains("Contacts are NOT tested"));
        assert!(drawn(Language::English, Some(&[])).contains("No contact is configured"));
        let one = [contact("cad", "cad", None, None)];
        assert!(!drawn(Language::English, Some(&one)).contains("Test all now"));
    }

    #[test]
    fn every_cause_of_the_outbox_has_a_word_in_both_languages() {
        for language in Language::ALL {
            let words = Words::new(language, samples::zone());
            for why in [
                "contact-overdue",
                "no-connection",
                "no-answer",
                "no-answer-in-time",
                "no-tls",
                "no-address",
                "no-websocket",
                "connection-lost",
                "connection-busy",
                "peer-silent",
                "mail-deferred",
                "no-mail-server",
                "no-gateway",
                "internal-fault",
                "header-not-sendable",
                "bearer-not-sendable",
            ] {
                assert!(words.known(&format!("why.{why}")).is_some(), "{why}");
            }
            for kind in ["cad", "webhook", "warm-transfer", "eido", "email", "sms"] {
                assert!(words.known(&format!("contact.kind.{kind}")).is_some(), "{kind}");
            }
        }
    }
}
