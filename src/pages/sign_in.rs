//! Signing in with a token of the access list, and out again.

use super::visitor::{Doors, LANGUAGE_COOKIE, Press, Recognised, from_this_site, language_asked};
use super::{PageState, layout, see};
use axum::Router;
use axum::extract::{Form, FromRef, FromRequest, Query, Request, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;

/// The routes.
pub fn routes() -> Router<PageState> {
    doors_routes::<PageState>()
}

/// The routes over whatever holds the doors.
pub fn doors_routes<S: Clone + Send + Sync + 'static>() -> Router<S>
where
    Doors: FromRef<S>,
{
    Router::new().route("/sign-in", get(look).post(sign_in)).route("/sign-out", post(sign_out))
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    next: Option<String>,
}

async fn look(State(doors): State<Doors>, Query(asked): Query<Asked>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    see(&layout::sign_in(&doors.words(&parts), safe_next(asked.next.as_deref()), false))
}

#[derive(Deserialize)]
struct SignIn {
    secret: String,
    next: Option<String>,
}

async fn sign_in(State(doors): State<Doors>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let words = doors.words(&parts);
    if let Err(page) = from_this_site(&parts, &words) {
        return *page;
    }
    let old = doors.visitor(&parts).and_then(|visitor| visitor.session);
    let Ok(Form(form)) = Form::<SignIn>::from_request(Request::from_parts(parts, body), &()).await else {
        return layout::problem(&words, StatusCode::BAD_REQUEST, "unreadable", "/sign-in");
    };
    let next = safe_next(form.next.as_deref());
    let Some(identity) = doors.access.authenticate(form.secret.trim()) else {
        return (StatusCode::UNAUTHORIZED, see(&layout::sign_in(&words, next, true))).into_response();
    };
    let home = super::visitor::home_of(&identity);
    let Ok(id) = doors.sessions.begin(identity, doors.clock.now()) else {
        return layout::problem(&words, StatusCode::SERVICE_UNAVAILABLE, "not-recorded", "/sign-in");
    };
    // A new session takes the place of the old one on this screen.
    if let Some(old) = old {
        doors.sessions.end(&old);
    }
    let to = if next == "/" { home } else { next };
    let seconds = doors.sessions.seconds();
    redirect(to, &cookie(&doors, &id, seconds))
}

async fn sign_out(State(doors): State<Doors>, press: Press<Recognised>) -> Response {
    if let Some(session) = &press.visitor.session {
        doors.sessions.end(session);
    }
    redirect("/sign-in", &cookie(&doors, "", 0))
}

fn redirect(to: &str, cookie: &str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, to), (SET_COOKIE, cookie)]).into_response()
}

/// The session cookie: not for script, not for other sites, for this host alone.
fn cookie(doors: &Doors, id: &str, seconds: i64) -> String {
    let secure = if doors.tls { "; Secure" } else { "" };
    format!("{}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}", doors.session_cookie())
}

/// Where to go after signing in: a path of this site, never another's address.
fn safe_next(next: Option<&str>) -> &str {
    match next {
        Some("/team") => "/team",
        Some("/evaluation") => "/evaluation",
        Some("/operations") => "/operations",
        _ => "/",
    }
}

/// Remembers a language asked for in the address, so that it holds on the next page too.
pub fn remembering_language<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.layer(from_fn(async |request: Request, next: Next| -> Response {
        let asked = language_asked(request.uri().query());
        let mut response = next.run(request).await;
        let line =
            asked.map(|asked| format!("{LANGUAGE_COOKIE}={}; Path=/; SameSite=Strict; Max-Age=31536000", asked.tag()));
        if let Some(value) = line.and_then(|line| HeaderValue::from_str(&line).ok()) {
            response.headers_mut().append(SET_COOKIE, value);
        }
        response
    }))
}
