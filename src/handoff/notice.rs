//! Notices by e-mail and SMS: that something waits on the team's page, and nothing else.
//!
//! What these channels carry is read on lock screens and kept by strangers: a fixed sentence and the page's address,
//! never who called, nor where, nor what was said. A notice answers nothing: whoever is told accepts on the page.

use super::settings::{Address, GatewayBody, SmsSettings};
use crate::incident::Act;
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use std::fmt;
use std::fmt::Write as _;

/// The subject of every mail: the same, so that it tells nothing.
pub(super) const SUBJECT: &str = "Fourth: open the team page";

/// The subject and the text of a test: nobody must take it for a call, or a call for it.
pub(super) const TEST_SUBJECT: &str = "Fourth: TEST, nothing to do";
pub(super) const TEST_TEXT: &str = "TEST of this contact. There is no call and nothing to do.\n";

/// Headers and body of a request.
pub(super) type Request = (Vec<(HeaderName, HeaderValue)>, Bytes);

/// The text of a notice; `None` for what is not a team's.
pub(super) fn text(act: &Act, page: &Address) -> Option<String> {
    let sentence = match act {
        Act::Offer { .. } => "A call is offered to your team.",
        Act::Withdraw { .. } => "An offer has been taken back.",
        Act::StandBack { .. } => "STAND BACK: do not go on with your call.",
        Act::Proceed { .. } => "Your partner team has accepted: go ahead.",
        Act::TellCad(_) => return None,
    };
    Some(format!("{sentence}\n{}\n", page.uri()))
}

/// The request to an SMS gateway: its template with the number and the text put in, each as the body's form wants it.
pub(super) fn sms(settings: &SmsSettings, to: &str, text: &str) -> Result<Request, &'static str> {
    let (kind, escape): (_, fn(&str) -> String) = match settings.form {
        GatewayBody::Json => ("application/json", json_escaped),
        GatewayBody::Form => ("application/x-www-form-urlencoded", form_escaped),
    };
    let mut headers = vec![(CONTENT_TYPE, HeaderValue::from_static(kind))];
    for (name, value) in &settings.header {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "header-not-sendable")?;
        let mut value = HeaderValue::from_str(value.text()).map_err(|_| "header-not-sendable")?;
        value.set_sensitive(true);
        headers.push((name, value));
    }
    // One pass: what is put in is not looked into again.
    let mut body = String::new();
    let mut rest = settings.body.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        body.push_str(before);
        rest = match (after.strip_prefix("to}"), after.strip_prefix("text}")) {
            (Some(after), _) => {
                body.push_str(&escape(to));
                after
            }
            (None, Some(after)) => {
                body.push_str(&escape(text));
                after
            }
            (None, None) => {
                body.push('{');
                after
            }
        };
    }
    body.push_str(rest);
    Ok((headers, Bytes::from(body)))
}

fn json_escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default().to_owned()
}

fn form_escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._*".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _infallible = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// Where a template fails: said at the start, not at the first call.
pub(super) fn check_template(settings: &SmsSettings) -> Result<(), String> {
    let fault = |why: &str| Err(format!("`sms.body` {why}"));
    if !settings.body.contains("{to}") || !settings.body.contains("{text}") {
        return fault("needs `{to}` and `{text}`");
    }
    let (_, body) =
        sms(settings, "+15550100", "a \"text\"\nof two lines").map_err(|why| format!("`sms.header`: {why}"))?;
    if settings.form == GatewayBody::Json && serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_err() {
        return fault("is not JSON once `{to}` and `{text}` are put in (they stand inside quotes)");
    }
    Ok(())
}

/// A telephone number for SMS. Prints as nothing: it may be a person's.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct PhoneNumber(String);

impl PhoneNumber {
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.strip_prefix('+').unwrap_or(&text);
        if !(3..=15).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("a number for SMS is digits, with `+` and the country before them".to_owned());
        }
        Ok(Self(text))
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PhoneNumber(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gateway(form: &str, body: &str) -> SmsSettings {
        let header = "[header]\nauthorization = \"Bearer a-token-of-the-gateway\"\n";
        let url = "https://gateway.example/send";
        toml::from_str(&format!("url = \"{url}\"\nform = \"{form}\"\nbody = '{body}'\n{header}")).unwrap()
    }

    #[test]
    fn templates_are_checked_at_the_start() {
        for (form, body, good) in [
            ("json", r#"{"to": "{to}", "text": "{text}", "from": {"id": 7}}"#, true),
            ("json", r#"{"to": "{to}"}"#, false),
            ("json", r#"{"to": {to}, "text": {text}}"#, false),
            ("form", "to={to}&body={text}", true),
            ("form", "body={text}", false),
        ] {
            assert_eq!(check_template(&gateway(form, body)).is_ok(), good, "{body}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_put_in_comes_out_as_it_was(to in "[0-9]{3,15}", text in "\\PC{0,80}") {
            let (_, body) = sms(&gateway("json", r#"{"n": "{to}", "t": "{text}", "x": [{}]}"#), &to, &text).unwrap();
            let read: serde_json::Value = serde_json::from_slice(&body).unwrap();
            prop_assert_eq!((read["n"].as_str().unwrap(), read["t"].as_str().unwrap()), (to.as_str(), text.as_str()));
            let (_, body) = sms(&gateway("form", "n={to}&t={text}"), &to, &text).unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            let (number, said) = body.strip_prefix("n=").unwrap().split_once("&t=").unwrap();
            prop_assert_eq!(number, &to);
            let mut bytes = Vec::new();
            let mut rest = said.as_bytes();
            while let Some((first, after)) = rest.split_first() {
                if *first == b'%' {
                    bytes.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
                    rest = &after[2..];
                } else {
                    bytes.push(*first);
                    rest = after;
                }
            }
            prop_assert_eq!(String::from_utf8(bytes).unwrap(), text);
        }
    }
}
