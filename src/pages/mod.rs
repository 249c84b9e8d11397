//! What people see: the call-taker's page, the team's, the evaluator's, the operator's. Server-rendered; script only enhances.
//!
//! Every page comes from one of two doors in [`visitor`]: an `Entrant` may look, a `Press` may change something.
//! A look never changes anything; a press answers with a redirect back to what was looked at.

pub mod assets;
pub mod caller_text;
pub mod words;
pub mod session;
pub mod visitor;
pub mod headers;
pub mod layout;
pub mod trail;
mod risks;
mod owed;
pub mod call_taker;
pub mod team;
pub mod evaluation;
pub mod operations;
mod contacts;
mod events;
mod sign_in;

pub use contacts::{Contact, Contacts};

use crate::access::Access;
use crate::call_processing::{CallProblem, Desk};
use crate::clock::{Clock, NoRandomness};
use crate::incident::Refusal;
use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{Html, IntoResponse, Response};
use evaluation::LiveFigures;
use jiff::tz::TimeZone;
use maud::Markup;
use serde::Deserialize;
use session::Sessions;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};
use visitor::{Doors, Visitor};

/// Bytes of a form at most; the largest real one is below 1 KiB.
const FORM_BYTES_MAX: usize = 16 * 1024;

/// Settings of the pages.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// IANA zone in which times are shown (`America/Vancouver`); the policy's own where not given.
    pub time_zone: Option<String>,
    /// True where the pages are reached over TLS (here or at a proxy in front): cookies are then `Secure`.
    pub tls: bool,
    /// Hours from sign-in after which a session ends, however much it is used.
    pub session_h_max: u32,
    /// Open event streams at most; one more is refused and its page reloads by hand.
    pub event_streams_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { time_zone: None, tls: false, session_h_max: 12, event_streams_max: 256 }
    }
}

/// Everything the pages are drawn from.
#[derive(Clone)]
pub struct PageState {
    /// The live calls.
    pub desk: Arc<Desk>,
    /// Who may come in.
    pub doors: Doors,
    /// The evaluator's figures, kept as the journal grows.
    pub figures: Arc<LiveFigures>,
    /// Places for event streams.
    streams: Arc<Semaphore>,
    /// Turns true when the adapter stops: streams end, so that draining does too.
    stopping: watch::Receiver<bool>,
}

impl PageState {
    /// The state of the pages; `zone` shows the times.
    ///
    /// # Errors
    /// Where the operating system gives no randomness for the form tokens.
    pub fn new(
        desk: Arc<Desk>,
        access: Arc<Access>,
        clock: Clock,
        zone: TimeZone,
        settings: &Settings,
        stopping: watch::Receiver<bool>,
    ) -> Result<Self, NoRandomness> {
        let sessions = Arc::new(Sessions::new(settings.session_h_max)?);
        let doors =
            Doors { access, sessions, clock, tls: settings.tls, zone, desk: Some(Arc::clone(&desk)), contacts: None };
        Ok(Self {
            desk,
            doors,
            figures: Arc::new(LiveFigures::default()),
            streams: Arc::new(Semaphore::new(settings.event_streams_max)),
            stopping,
        })
    }

    /// With what is known of the contacts.
    #[must_use]
    pub fn with_contacts(mut self, contacts: Arc<dyn Contacts>) -> Self {
        self.doors.contacts = Some(contacts);
        self
    }
}

impl FromRef<PageState> for Doors {
    fn from_ref(state: &PageState) -> Self {
        state.doors.clone()
    }
}

/// The pages as one router, with their headers on every answer.
///
/// The listener must put the peer's address into each request as `axum::extract::ConnectInfo<SocketAddr>`; without
/// it nobody counts as being on this machine and everybody must sign in.
pub fn router(state: PageState) -> Router {
    let routes = Router::new()
        .merge(call_taker::routes())
        .merge(team::routes())
        .merge(evaluation::routes())
        .merge(operations::routes())
        .merge(contacts::routes())
        .merge(events::routes())
        .merge(sign_in::routes())
        .merge(assets::routes())
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX));
    headers::secured(sign_in::remembering_language(routes).with_state(state))
}

/// A page or fragment as an answer.
fn see(markup: &Markup) -> Response {
    Html(markup.0.clone()).into_response()
}

/// A name from an address, if it is one the adapter could have given: letters, digits, `-`, `_`, `.`, at most 96.
fn wire_name(name: &str) -> Option<&str> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    ((1..=96).contains(&name.len()) && name.chars().all(plain)).then_some(name)
}

/// A value of a closed set by its kebab-case name.
fn of_kebab<T: serde::de::DeserializeOwned>(name: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).ok()
}

/// After a press: back to the page with a code of what was done or why not; or a page that says nothing was recorded.
fn after(visitor: &Visitor, page: &str, anchor: &str, done: Result<&'static str, CallProblem>) -> Response {
    let said = match done {
        Ok(said) => said,
        Err(CallProblem::Refused(refusal)) => refusal_code(&refusal),
        Err(CallProblem::Fact(_)) => "fact-refused",
        Err(CallProblem::NoSuchProgram(_)) => "no-such-program",
        Err(CallProblem::NoSuchIncident) => {
            return layout::problem(&visitor.words, StatusCode::NOT_FOUND, "no-call", page);
        }
        // The journal's, and whatever else kept it from being done: say aloud that nothing was.
        Err(_) => {
            return layout::problem(&visitor.words, StatusCode::SERVICE_UNAVAILABLE, "not-recorded", page);
        }
    };
    let joiner = if page.contains('?') { '&' } else { '?' };
    (StatusCode::SEE_OTHER, [(LOCATION, format!("{page}{joiner}said={said}{anchor}"))]).into_response()
}

fn refusal_code(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NoSuchLeg => "no-leg",
        Refusal::NoLongerYours { .. } => "no-longer-yours",
        Refusal::Closed => "closed",
        Refusal::Excluded { .. } => "excluded",
        Refusal::ReasonRequired => "reason-required",
        Refusal::NothingToChoose { .. } => "nothing-to-choose",
        Refusal::OutOfOrder { .. } => "out-of-order",
        Refusal::NotOwed { .. } => "not-owed",
        // No page takes another agency's request back.
        Refusal::NotTakenBack { .. } => "out-of-order",
        Refusal::KindNotAllowed { .. } => "kind-not-allowed",
        Refusal::NotRedriven { .. } => "not-sent-again",
    }
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
