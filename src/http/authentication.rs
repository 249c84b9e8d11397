//! Who is asking: bearer tokens, the open loopback of a demonstration, and the check of each route's action.

use super::layers::single;
use super::problem::{self, Problem};
use crate::access::{Access, Action, Identity};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Where a token may stand besides `Authorization`: on the pass-through that header belongs to the CAD's own sign-in.
pub(super) const OWN_AUTHORIZATION: HeaderName = HeaderName::from_static("fourth-authorization");

/// Headers that only a reverse proxy adds: behind one, everybody comes from loopback.
const FORWARDED: &[&str] = &["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// The header that held the token by which a request was recognised.
#[derive(Debug, Clone)]
pub(super) struct RecognisedBy(pub(super) HeaderName);

/// What a route asks of who comes.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) access: Arc<Access>,
    pub(super) action: Action,
}

/// Lets a request through with its [`Identity`] in the extensions, or answers 401 or 403.
pub(super) async fn gate(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let (identity, by) = match recognise(&gate.access, &request) {
        Ok(recognised) => recognised,
        Err(problem) => return problem.into_response(),
    };
    if !identity.may(gate.action) {
        return Problem::new(problem::NOT_ALLOWED, "none of this identity's roles allows it").into_response();
    }
    request.extensions_mut().insert(identity);
    if let Some(by) = by {
        request.extensions_mut().insert(RecognisedBy(by));
    }
    next.run(request).await
}

fn recognise(access: &Access, request: &Request) -> Result<(Identity, Option<HeaderName>), Problem> {
    let headers = request.headers();
    let mut presented = false;
    for name in [OWN_AUTHORIZATION, header::AUTHORIZATION] {
        presented |= headers.contains_key(&name);
        let identity = bearer(headers, name.as_str()).and_then(|token| access.authenticate(token));
        if let Some(identity) = identity {
            return Ok((identity, Some(name)));
        }
    }
    if let Some(identity) = loopback(access, request) {
        // On the pass-through `Authorization` may be the CAD's; elsewhere a wrong token must not pass for none.
        let for_us =
            headers.contains_key(OWN_AUTHORIZATION) || (presented && !request.uri().path().starts_with("/cad/"));
        if !for_us {
            return Ok((identity, None));
        }
    }
    let detail = if presented { "the token is not known here" } else { "no token was sent" };
    Err(Problem::new(problem::NOT_SIGNED_IN, detail).next("send `Authorization: Bearer` with the token you were given"))
}

fn bearer<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let (scheme, token) = single(headers, name)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Somebody at this machine itself. A page of another site open in a browser here, or a name of another site that was
/// pointed at this machine (DNS rebinding), is not; nor is anybody whom a reverse proxy on this machine lets in.
fn loopback(access: &Access, request: &Request) -> Option<Identity> {
    let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    let headers = request.headers();
    let forwarded = FORWARDED.iter().any(|name| headers.contains_key(*name));
    let host = single(headers, "host").or_else(|| request.uri().authority().map(|authority| authority.as_str()))?;
    let own_page = match headers.get(header::ORIGIN).map(|origin| origin.to_str()) {
        None => true,
        Some(Ok(origin)) => origin.split_once("://").is_some_and(|(_, from)| from == host),
        Some(Err(_)) => false,
    };
    let other_site = single(headers, "sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site");
    let here = peer.ip().to_canonical().is_loopback() && host_is_an_address(host);
    (here && own_page && !forwarded && !other_site).then(|| access.loopback_identity()).flatten()
}

fn host_is_an_address(host: &str) -> bool {
    let without_port = match host.strip_prefix('[') {
        Some(address) => address.split_once(']').map_or("", |(address, _)| address),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    without_port.eq_ignore_ascii_case("localhost") || without_port.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Settings, hash_token};
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tower::ServiceExt;

    fn access(open: bool) -> Arc<Access> {
        let settings: Settings = toml::from_str(&format!(
            "open_on_loopback = {open}\n[[identity]]\nname = \"cad\"\nrole = \"cad\"\ntoken_sha256 = \"{}\"",
            hash_token("t0ken")
        ))
        .unwrap();
        Arc::new(Access::new(&settings).unwrap())
    }

    async fn ask(open: bool, action: Action, peer: &str, headers: &[(&str, &str)]) -> (u16, String) {
        ask_at("/", open, action, peer, headers).await
    }

    async fn ask_at(path: &str, open: bool, action: Action, peer: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let who = |request: Request| async move { request.extensions().get::<Identity>().unwrap().name.clone() };
        let gate_state = Gate { access: access(open), action };
        let router =
            Router::new().route("/", get(who)).route("/cad/x", get(who)).layer(from_fn_with_state(gate_state, gate));
        let mut builder = Request::builder().uri(path).extension(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let response = router.oneshot(builder.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    const FAR: &str = "192.0.2.1:40000";
    const HERE: &str = "127.0.0.1:40000";

    #[tokio::test]
    async fn a_token_opens_what_its_role_lists_and_nothing_else() {
        let bearer = [("authorization", "Bearer t0ken")];
        assert_eq!(ask(false, Action::SendRecord, FAR, &bearer).await, (200, "cad".into()));
        assert_eq!(ask(false, Action::SendRecord, FAR, &[("fourth-authorization", "bearer t0ken")]).await.0, 200);
        assert_eq!(ask(false, Action::Choose, FAR, &bearer).await.0, 403);
        for wrong in ["Bearer wrong", "t0ken", "Basic t0ken", "Bearer "] {
            assert_eq!(ask(false, Action::SendRecord, FAR, &[("authorization", wrong)]).await.0, 401, "{wrong}");
        }
        assert_eq!(ask(false, Action::SendRecord, FAR, &[]).await.0, 401);
        let twice = [("authorization", "Bearer t0ken"), ("authorization", "Bearer t0ken")];
        assert_eq!(ask(false, Action::SendRecord, FAR, &twice).await.0, 401);
    }

    #[tokio::test]
    async fn loopback_is_open_only_where_configured_and_only_from_here() {
        let host = [("host", "127.0.0.1:8080")];
        assert_eq!(ask(true, Action::Choose, HERE, &host).await, (200, "loopback".into()));
        assert_eq!(ask(true, Action::Choose, "[::ffff:127.0.0.1]:1", &[("host", "localhost:1")]).await.0, 200);
        assert_eq!(ask(false, Action::Choose, HERE, &host).await.0, 401);
        assert_eq!(ask(true, Action::Choose, FAR, &host).await.0, 401);
    }

    #[tokio::test]
    async fn a_wrong_token_from_here_does_not_pass_for_none() {
        let headers = [("host", "localhost"), ("authorization", "Bearer wrong")];
        assert_eq!(ask(true, Action::Choose, HERE, &headers).await.0, 401);
    }

    #[tokio::test]
    async fn on_the_pass_through_authorization_may_be_the_cads_own() {
        let headers = [("host", "localhost"), ("authorization", "Basic the-cads-own")];
        assert_eq!(ask_at("/cad/x", true, Action::PassThrough, HERE, &headers).await.0, 200);
        let ours_wrong = [("host", "localhost"), ("fourth-authorization", "Bearer wrong")];
        assert_eq!(ask_at("/cad/x", true, Action::PassThrough, HERE, &ours_wrong).await.0, 401);
        assert_eq!(ask_at("/cad/x", false, Action::PassThrough, HERE, &headers).await.0, 401);
    }

    #[tokio::test]
    async fn other_sites_rebound_names_and_proxies_are_not_from_here() {
        for headers in [
            vec![("host", "evil.example")],
            vec![("host", "localhost"), ("origin", "http://evil.example")],
            vec![("host", "localhost"), ("origin", "null")],
            vec![("host", "localhost"), ("sec-fetch-site", "cross-site")],
            vec![("host", "localhost"), ("x-forwarded-for", "192.0.2.1")],
            vec![("host", "localhost"), ("via", "1.1 proxy")],
        ] {
            assert_eq!(ask(true, Action::Choose, HERE, &headers).await.0, 401, "{headers:?}");
        }
        let own_page = [("host", "localhost:8080"), ("origin", "http://localhost:8080")];
        assert_eq!(ask(true, Action::Choose, HERE, &own_page).await.0, 200);
    }
}
