//! Who stands before a page and what they may do: every page and every press goes through one of two extractors.

use super::contacts::{self, Contacts};
use super::layout;
use super::session::{IdHash, Sessions, hash_of};
use super::words::{Language, Words};
use crate::access::{Access, Action, Identity, Role};
use crate::call_processing::Desk;
use crate::clock::Clock;
use crate::policy::WaiverSummary;
use crate::record::ProgramId;
use axum::extract::{ConnectInfo, Form, FromRef, FromRequest, FromRequestParts, Request};
use axum::http::header::{ACCEPT_LANGUAGE, COOKIE, HOST, LOCATION, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The cookie that remembers the language. Not personal, so it may be read by anything of this site.
pub const LANGUAGE_COOKIE: &str = "lang";

/// What is needed to recognise a visitor.
#[derive(Clone)]
pub struct Doors {
    /// The access list.
    pub access: Arc<Access>,
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// Time.
    pub clock: Clock,
    /// True where the pages are reached over TLS: cookies are then `Secure` and host-bound.
    pub tls: bool,
    /// The zone in which times are shown.
    pub zone: TimeZone,
    /// Where the policy in force is known.
    pub desk: Option<Arc<Desk>>,
    /// Where the contacts are known.
    pub contacts: Option<Arc<dyn Contacts>>,
}

/// Somebody recognised, with the words they read.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Who, by the access list.
    pub identity: Identity,
    /// Their words.
    pub words: Words,
    /// Goes into every form.
    pub form_token: String,
    /// Their session; `None` for the open loopback.
    pub session: Option<IdHash>,
    /// Built-in safeguards that the policy in force lifts: every page says so.
    pub waived: Vec<WaiverSummary>,
    /// Since when no record has come from the CAD, where that is too long.
    pub silent_since: Option<Timestamp>,
    /// Since when the journal's database is away, so that no call changes hands.
    pub journal_away_since: Option<Timestamp>,
    /// How many contacts are not known to work.
    pub contacts_unproved: usize,
}

impl Visitor {
    /// The programs whose calls this visitor may see, as its roles name them.
    #[must_use]
    pub fn programs(&self) -> Vec<ProgramId> {
        let of = |role: &Role| if let Role::Team(program) = role { Some(program.clone()) } else { None };
        self.identity.roles.iter().filter_map(of).collect()
    }

    /// True for whoever plays every team of a demonstration and must say which.
    #[must_use]
    pub fn plays_every_team(&self) -> bool {
        self.identity.roles.contains(&Role::EveryTeam)
    }

    /// True for the open loopback, where no sign-in was asked for.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.session.is_none()
    }
}

/// Something only some roles may do; [`Identity::may`] has the table.
pub trait Duty: Send + Sync + 'static {
    /// What it takes.
    const ACTIONS: &'static [Action];

    /// True where this visitor may.
    fn allows(visitor: &Visitor) -> bool {
        Self::ACTIONS.iter().all(|action| visitor.identity.may(*action))
    }
}

macro_rules! duty {
    ($(#[$doc:meta])* $name:ident = $($action:ident),*) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl Duty for $name {
            const ACTIONS: &'static [Action] = &[$(Action::$action),*];
        }
    };
}

duty!(
    /// Seeing the queue and what callers said, answering, choosing, sending back-up.
    CallTaking = SeeQueue, AnswerQuestion, Choose, SendBackup
);
duty!(
    /// Seeing and answering legs; which, [`Identity::may_touch_leg_of`] says.
    TeamWork = ActAsTeam
);
duty!(
    /// Seeing figures.
    Evaluating = SeeFigures
);
duty!(
    /// Seeing what could not be delivered, and having it sent again.
    Operating = SeeOperations, Redrive
);
duty!(
    /// Being recognised at all.
    Recognised =
);

/// A visitor who may look at this page.
#[derive(Debug)]
pub struct Entrant<D>(pub Visitor, PhantomData<D>);

/// A visitor who pressed a button: same site, signed in, allowed, and with this session's form token.
#[derive(Debug)]
pub struct Press<D> {
    /// Who.
    pub visitor: Visitor,
    /// What the form said.
    pub fields: Fields,
    duty: PhantomData<D>,
}

/// The fields of a form; a field given twice counts as not given, so that nobody can choose which one is read.
#[derive(Debug, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// A field's text, if it was given exactly once.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(key, _)| key == name);
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value.as_str())
    }
}

impl Doors {
    /// The words for a request: `?lang=`, then the cookie, then `Accept-Language`, then English.
    #[must_use]
    pub fn words(&self, parts: &Parts) -> Words {
        let language = language_asked(parts.uri.query())
            .or_else(|| cookie(&parts.headers, LANGUAGE_COOKIE).and_then(Language::of_tag))
            .or_else(|| Language::of_accept(parts.headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?))
            .unwrap_or_default();
        Words::new(language, self.zone.clone())
    }

    /// The session cookie's name: host-bound where TLS allows it (RFC 6265bis `__Host-`).
    #[must_use]
    pub fn session_cookie(&self) -> &'static str {
        if self.tls { "__Host-fourth" } else { "fourth" }
    }

    /// Who a request comes from: by session, else as the open loopback.
    #[must_use]
    pub fn visitor(&self, parts: &Parts) -> Option<Visitor> {
        let words = self.words(parts);
        let now = self.clock.now();
        let session = cookie(&parts.headers, self.session_cookie()).map(hash_of);
        if let Some(hash) = session
            && let Some(identity) = self.sessions.identity(&hash, now)
        {
            let form_token = self.sessions.form_token(Some(&hash));
            return Some(Visitor {
                identity,
                words,
                form_token,
                session,
                waived: self.waived(),
                silent_since: self.silent_since(),
                journal_away_since: self.journal_away_since(),
                contacts_unproved: self.contacts_unproved(),
            });
        }
        let identity = if is_loopback(parts) { self.access.loopback_identity() } else { None }?;
        let form_token = self.sessions.form_token(None);
        Some(Visitor {
            identity,
            words,
            form_token,
            session: None,
            waived: self.waived(),
            silent_since: self.silent_since(),
            journal_away_since: self.journal_away_since(),
            contacts_unproved: self.contacts_unproved(),
        })
    }

    fn journal_away_since(&self) -> Option<Timestamp> {
        self.desk.as_ref()?.journal_away_since()
    }

    fn silent_since(&self) -> Option<Timestamp> {
        self.desk.as_ref()?.silent_since()
    }

    fn contacts_unproved(&self) -> usize {
        self.contacts.as_deref().map_or(0, contacts::unproved)
    }

    fn waived(&self) -> Vec<WaiverSummary> {
        self.desk.as_ref().and_then(|desk| desk.policy()).map(|policy| policy.waivers()).unwrap_or_default()
    }
}

/// The language a query asks for.
#[must_use]
pub fn language_asked(query: Option<&str>) -> Option<Language> {
    query?.split('&').find_map(|pair| pair.strip_prefix("lang=")).and_then(Language::of_tag)
}

/// A cookie's value.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    all.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// True where the peer is this machine, asked by a loopback name (a rebound name is somebody else's page), and no
/// proxy stands between.
fn is_loopback(parts: &Parts) -> bool {
    let peer =
        parts.extensions.get::<ConnectInfo<SocketAddr>>().is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).is_some_and(is_loopback_name);
    let proxied = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
    peer && host && !proxied.iter().any(|name| parts.headers.contains_key(*name))
}

fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// False where the browser says that another site sent the request. Under `Referrer-Policy: no-referrer` a browser
/// that sends no `Sec-Fetch-Site` (plain HTTP off loopback) says `Origin: null`; there the form token alone decides.
fn is_same_site(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    match text(ORIGIN.as_str()) {
        None | Some("null") => true,
        Some(origin) => origin.split_once("://").map(|(_, host)| host) == text(HOST.as_str()),
    }
}

/// Checks a request that changes something but for the form token: used by sign-in, where there is no session yet.
///
/// # Errors
/// The page that says so.
pub fn from_this_site(parts: &Parts, words: &Words) -> Result<(), Box<Response>> {
    if is_same_site(&parts.headers) {
        return Ok(());
    }
    Err(Box::new(layout::problem(words, StatusCode::FORBIDDEN, "other-site", "/")))
}

impl<D: Duty, S: Send + Sync> FromRequestParts<S> for Entrant<D>
where
    Doors: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let doors = Doors::from_ref(state);
        let Some(visitor) = doors.visitor(parts) else {
            // A fragment or a stream is asked for by script: it needs the status, not another page.
            let scripted = parts.uri.path() == "/events" || parts.uri.query().is_some_and(|q| q.contains("fragment="));
            return Err(if scripted {
                StatusCode::UNAUTHORIZED.into_response()
            } else {
                let next = format!("/sign-in?next={}", parts.uri.path());
                (StatusCode::SEE_OTHER, [(LOCATION, next)]).into_response()
            });
        };
        if !D::allows(&visitor) {
            let back = home(&visitor);
            // Whoever has another page is shown it instead of a refusal at the front door.
            if parts.uri.path() == "/" && back != "/" && back != "/sign-in" {
                return Err((StatusCode::SEE_OTHER, [(LOCATION, back)]).into_response());
            }
            return Err(layout::problem(&visitor.words, StatusCode::FORBIDDEN, "not-allowed", back));
        }
        Ok(Self(visitor, PhantomData))
    }
}

impl<D: Duty, S: Send + Sync> FromRequest<S> for Press<D>
where
    Doors: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let doors = Doors::from_ref(state);
        let (parts, body) = request.into_parts();
        let words = doors.words(&parts);
        from_this_site(&parts, &words).map_err(|page| *page)?;
        let Some(visitor) = doors.visitor(&parts) else {
            return Err(layout::problem(&words, StatusCode::UNAUTHORIZED, "signed-out", "/sign-in"));
        };
        let back = home(&visitor);
        if !D::allows(&visitor) {
            return Err(layout::problem(&words, StatusCode::FORBIDDEN, "not-allowed", back));
        }
        let Ok(Form(pairs)) =
            Form::<Vec<(String, String)>>::from_request(Request::from_parts(parts, body), state).await
        else {
            return Err(layout::problem(&words, StatusCode::BAD_REQUEST, "unreadable", back));
        };
        let fields = Fields(pairs);
        let given = fields.text("token").unwrap_or_default();
        if !doors.sessions.token_is_right(visitor.session.as_ref(), given) {
            return Err(layout::problem(&words, StatusCode::FORBIDDEN, "form-old", back));
        }
        Ok(Self { visitor, fields, duty: PhantomData })
    }
}

/// The first page a visitor may see.
#[must_use]
pub fn home(visitor: &Visitor) -> &'static str {
    home_of(&visitor.identity)
}

/// The first page an identity may see.
#[must_use]
pub fn home_of(identity: &Identity) -> &'static str {
    if identity.may(Action::SeeQueue) {
        "/"
    } else if identity.may(Action::ActAsTeam) {
        "/team"
    } else if identity.may(Action::SeeFigures) {
        "/evaluation"
    } else if identity.may(Action::SeeOperations) {
        "/operations"
    } else {
        "/sign-in"
    }
}
