//! Every failure as an RFC 9457 problem document, and the one mapping from the product's errors to HTTP.

use crate::call_processing::CallProblem;
use crate::facts::FactError;
use crate::incident::Refusal;
use crate::journal::JournalError;
use crate::telemetry;
use crate::wire::DecodeError;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Media type of a problem document (RFC 9457).
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// A problem type: the last part of its URN, its status and its title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// `urn:fourth:problem:<name>`.
    pub name: &'static str,
    /// HTTP status.
    pub status: u16,
    /// The same words for every occurrence.
    pub title: &'static str,
}

macro_rules! kinds {
    ($($constant:ident = $name:literal, $status:literal, $title:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`, ", stringify!($status), ": ", $title, ".")]
            pub const $constant: Kind = Kind { name: $name, status: $status, title: $title };
        )*

        /// Every problem type of the doors (a decoder's own types come besides, see [`Problem::from`]).
        pub const KINDS: &[Kind] = &[$($constant),*];
    };
}

// An exclusion is 409, not 403: it depends on what is known of the call, not on who asks; an answer may lift it.
kinds! {
    BAD_REQUEST = "bad-request", 400, "the request is malformed";
    MALFORMED_BODY = "malformed-body", 400, "the body is not the JSON it should be";
    NOT_SIGNED_IN = "not-signed-in", 401, "a token is needed";
    NOT_ALLOWED = "not-allowed", 403, "this identity may not do this";
    NOT_FOUND = "not-found", 404, "there is nothing of this name";
    NO_CAD = "no-cad", 404, "no CAD is configured for the pass-through";
    METHOD_NOT_ALLOWED = "method-not-allowed", 405, "this cannot be done here";
    TOO_SLOW = "too-slow", 408, "the body came too slowly";
    NO_LONGER_YOURS = "no-longer-yours", 409, "the leg is no longer yours";
    INCIDENT_CLOSED = "incident-closed", 409, "the incident is closed";
    EXCLUDED = "excluded", 409, "an exclusion keeps this call on the ordinary route";
    NOTHING_TO_CHOOSE = "nothing-to-choose", 409, "there is nothing to choose now";
    OUT_OF_ORDER = "out-of-order", 409, "this step does not follow from where the leg stands";
    NOT_OWED = "not-owed", 409, "nothing of this kind is owed, or it does not end so";
    KIND_NOT_ALLOWED = "kind-not-allowed", 409, "a program of this kind may not take this call";
    NOT_SENT_AGAIN = "not-sent-again", 409, "this message is not one to send again";
    OTHER_INCIDENT = "other-incident", 409, "the record is of another incident";
    CHANGED_MEANWHILE = "changed-meanwhile", 409, "the incident changed meanwhile";
    TOO_LARGE = "too-large", 413, "the body is too large";
    UNSUPPORTED = "unsupported-media-type", 415, "the body is of a kind that is not read here";
    INVALID_BODY = "invalid-body", 422, "the body does not say what it must";
    REASON_REQUIRED = "reason-required", 422, "a reason is required";
    UNKNOWN_FACT = "unknown-fact", 422, "no fact has this name";
    UNKNOWN_VALUE = "unknown-value", 422, "the fact has no such value";
    MAY_ONLY_RAISE = "may-only-raise", 422, "a report from a team may only raise a risk";
    UNKNOWN_PROGRAM = "unknown-program", 422, "the policy has no such program";
    NO_POLICY = "no-policy", 503, "no policy is in force: every call takes the ordinary route";
    UNKNOWN_SENDER = "unknown-sender", 422, "no such sender is configured";
    INTERNAL = "internal", 500, "the adapter failed on this request";
    JOURNAL_CORRUPT = "journal-corrupt", 500, "an entry of the journal cannot be read";
    CAD_UNREACHABLE = "cad-unreachable", 502, "the CAD cannot be reached";
    TOO_BUSY = "too-busy", 503, "too many requests are in hand";
    DEADLINE_PASSED = "deadline-passed", 503, "the answer was not ready in time";
    JOURNAL_UNAVAILABLE = "journal-unavailable", 503, "nothing can be made durable now";
    JOURNAL_POISONED = "journal-poisoned", 503, "nothing can be made durable until the adapter restarts";
    CAD_TIMED_OUT = "cad-timed-out", 504, "the CAD did not answer in time";
}

/// What to do when nothing was made durable: the sender keeps the call.
const KEEP_THE_CALL: &str = "nothing was acknowledged: keep the call on the ordinary route and send the record again";

/// One problem. Holds no personal data: neither names nor numbers nor places nor what somebody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    name: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    place: Option<String>,
    next: Option<String>,
    retry_after_s: Option<u32>,
    nearest: Option<String>,
    valid: Vec<String>,
    reason: Option<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    valid: &'a [String],
}

impl Problem {
    /// A problem of a kind; `detail` says what is wrong with this request, without its content.
    #[must_use]
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            name: kind.name,
            title: kind.title,
            status: kind.status,
            detail: detail.into(),
            place: None,
            next: None,
            retry_after_s: None,
            nearest: None,
            valid: Vec::new(),
            reason: None,
        }))
    }

    /// With the place in the input.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.0.place = Some(place.into());
        self
    }

    /// With what to do next.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.0.next = Some(next.into());
        self
    }

    /// With the seconds after which trying again makes sense.
    #[must_use]
    pub fn retry_after_s(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// With a machine-readable reason: a row id or a kebab-case code.
    #[must_use]
    fn because(mut self, reason: impl Into<String>) -> Self {
        self.0.reason = Some(reason.into());
        self
    }

    /// The last part of its type.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// Its HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The same request may succeed later as it stands.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.retry_after_s.is_some()
    }

    /// The problem that a bare answer of this status stands for (a router's or a layer's own).
    #[must_use]
    pub fn of_status(status: StatusCode) -> Self {
        let named = |kind: &&Kind| kind.status == status.as_u16();
        let kind = KINDS.iter().find(named).copied().unwrap_or(INTERNAL);
        Self::new(kind, kind.title)
    }

    fn document(&self) -> Document<'_> {
        Document {
            kind: format!("urn:fourth:problem:{}", self.0.name),
            title: self.0.title,
            status: self.0.status,
            detail: &self.0.detail,
            place: self.0.place.as_deref(),
            next: self.0.next.as_deref(),
            reason: self.0.reason.as_deref(),
            nearest: self.0.nearest.as_deref(),
            valid: &self.0.valid,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        telemetry::refused(self.0.name);
        let body = serde_json::to_vec(&self.document()).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        let mut set = |name: HeaderName, value: HeaderValue| {
            headers.insert(name, value);
        };
        set(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
        // A problem opened in a browser must neither run, nor be framed, nor be guessed at, nor stay in a cache.
        set(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
        set(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        set(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        set(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.0.retry_after_s {
            set(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.0.status == NOT_SIGNED_IN.status {
            set(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"fourth\""));
        }
        response
    }
}

impl From<CallProblem> for Problem {
    fn from(problem: CallProblem) -> Self {
        match problem {
            CallProblem::Decode(error) => error.into(),
            CallProblem::NoSuchIncident => Self::new(NOT_FOUND, "no incident of this name"),
            CallProblem::Refused(refusal) => refusal.into(),
            CallProblem::Fact(error) => error.into(),
            CallProblem::Journal(error) => error.into(),
            CallProblem::UnknownSender(_) => Self::new(UNKNOWN_SENDER, "no sender of this name is configured")
                .at("header `Fourth-Sender`")
                .next("name a sender of the configuration, or leave the header out for the default one"),
            CallProblem::NoPolicy => {
                Self::new(NO_POLICY, "no policy is in force").next("keep the call on the ordinary route")
            }
            CallProblem::NoSuchProgram(_) => {
                Self::new(UNKNOWN_PROGRAM, "the policy in force has no program of this name")
                    .at("$.program")
                    .next("name a program of the incident's `options`")
            }
        }
    }
}

/// Decoders' problem types that are not 400 (malformed), by status.
const DECODE_STATUS: &[(&str, u16)] = &[
    ("too-large", 413),
    ("version-not-supported", 415),
    ("encoding-not-supported", 415),
    ("missing-field", 422),
    ("missing-header", 422),
    ("missing-column", 422),
    ("no-layout", 422),
    ("several-rows", 422),
    ("wrong-type", 422),
];

impl From<DecodeError> for Problem {
    fn from(error: DecodeError) -> Self {
        let named = DECODE_STATUS.iter().find(|(name, _)| *name == error.problem);
        let status = named.map_or(400, |(_, status)| *status);
        let title = match status {
            413 => TOO_LARGE.title,
            415 => UNSUPPORTED.title,
            422 => "the record can be read but does not say what it must",
            _ => "the record cannot be read",
        };
        let problem = Self::new(Kind { name: error.problem, status, title }, error.detail);
        problem.at(error.place).next("mend the record at its source; until then the call stays on the ordinary route")
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::NoSuchLeg => Self::new(NOT_FOUND, "no leg of this name"),
            Refusal::NoLongerYours { why } => {
                Self::new(NO_LONGER_YOURS, detail).because(why).next("do not respond to this call; the centre has it")
            }
            Refusal::Closed => Self::new(INCIDENT_CLOSED, detail),
            Refusal::Excluded { row } => {
                Self::new(EXCLUDED, detail).because(row).next("answer the open questions, or keep the ordinary route")
            }
            Refusal::ReasonRequired => Self::new(REASON_REQUIRED, detail).at("$.reason").next("say why in `reason`"),
            Refusal::NothingToChoose { why } => Self::new(NOTHING_TO_CHOOSE, detail).because(why),
            Refusal::OutOfOrder { stands, .. } => Self::new(OUT_OF_ORDER, detail).because(stands),
            Refusal::NotOwed { why } => Self::new(NOT_OWED, detail).because(why),
            Refusal::NotRedriven { why } => Self::new(NOT_SENT_AGAIN, detail).because(why),
            Refusal::NotTakenBack { why } => Self::new(OUT_OF_ORDER, detail).because(why),
            Refusal::KindNotAllowed { .. } => Self::new(KIND_NOT_ALLOWED, KIND_NOT_ALLOWED.title),
        }
    }
}

impl From<FactError> for Problem {
    // Neither the fact nor the value as given is repeated: a slip of the hand may have put a caller's words there.
    fn from(error: FactError) -> Self {
        match error {
            FactError::UnknownFact { nearest, .. } => {
                let mut problem = Self::new(UNKNOWN_FACT, "no fact of this name is in the vocabulary").at("$.fact");
                if let Some(word) = &nearest {
                    problem = problem.next(format!("did you mean `{word}`"));
                }
                problem.0.nearest = nearest;
                problem
            }
            FactError::UnknownValue { fact, valid, .. } => {
                let mut problem = Self::new(UNKNOWN_VALUE, format!("`{fact}` has no such value"))
                    .at("$.value")
                    .next("give one of `valid`");
                problem.0.valid = valid;
                problem
            }
            FactError::MayOnlyRaise { fact } => {
                Self::new(MAY_ONLY_RAISE, format!("`{fact}` can only be raised from here"))
                    .next("a call-taker can lower it with an answer")
            }
        }
    }
}

impl From<JournalError> for Problem {
    // The store's own words stay in the log of the store: they may name paths.
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Conflict { .. } => {
                Self::new(CHANGED_MEANWHILE, "somebody else changed the incident first").retry_after_s(1)
            }
            JournalError::Unavailable(_) | JournalError::InDoubt(_) => {
                Self::new(JOURNAL_UNAVAILABLE, "the journal cannot take this now").next(KEEP_THE_CALL).retry_after_s(5)
            }
            JournalError::Poisoned => Self::new(JOURNAL_POISONED, "the journal must recover before it takes anything")
                .next(KEEP_THE_CALL)
                .retry_after_s(30),
            JournalError::Corrupt { sequence, .. } => {
                Self::new(JOURNAL_CORRUPT, format!("journal entry {sequence} cannot be read"))
                    .next("keep the call on the ordinary route; an operator must run `fourth journal verify`")
            }
        }
    }
}

#[cfg(test)]
#[path = "problem_tests.rs"]
mod tests;
