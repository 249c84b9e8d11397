//! The HTTP client of the outbox: POST, bounded, TLS by the configured authorities, redirects never followed.

use super::names::Names;
use super::retry::Answer;
use super::settings::Address;
use crate::network::{Connector, Dial};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of an answer that are read; the rest is of no use.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Connecting takes at most this long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the client cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ClientFault(pub(super) String);

/// A client for http and https. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct HttpClient {
    client: Client<HttpsConnector<Connector<HttpConnector<Names>>>, Full<Bytes>>,
}

impl HttpClient {
    /// A client that trusts the authorities of a PEM file, or Mozilla's list without one. `names` finds
    /// the hosts, unless `dial` reaches them.
    ///
    /// # Errors
    /// Where the file cannot be read or holds no certificate.
    pub(super) fn new(ca_file: Option<&Path>, names: Names, dial: Option<Dial>) -> Result<Self, ClientFault> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ClientFault(format!("TLS cannot be set up: {error}")))?;
        let config = match ca_file {
            Some(path) => config.with_root_certificates(roots(path)?).with_no_client_auth(),
            None => config.with_webpki_roots().with_no_client_auth(),
        };
        let mut http = HttpConnector::new_with_resolver(names);
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));
        http.set_nodelay(true);
        let https = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
        let https = https.wrap_connector(Connector::new(http, dial));
        // A fresh connection for every try: messages are few, and a kept connection that has died meanwhile
        // would cost a try, of which an offer has only a handful.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(https);
        Ok(Self { client })
    }

    /// Posts once. The caller bounds the time. Where no answer came the reason is `no-connection` or `no-answer`.
    pub(super) async fn post(&self, address: &Address, headers: Vec<(HeaderName, HeaderValue)>, body: Bytes) -> Answer {
        match self.ask(Method::POST, address, headers, body).await {
            Ok((status, retry_after_s)) => Answer::of_status(status, retry_after_s),
            Err(why) => Answer::later(why, false),
        }
    }

    /// Asks with OPTIONS whether anything stands at an address; the caller bounds the time. It is the one method that says
    /// something of a resource without acting on it or fetching it (RFC 9110 section 9.3.7).
    pub(super) async fn probe(&self, address: &Address, headers: Vec<(HeaderName, HeaderValue)>) -> Answer {
        match self.ask(Method::OPTIONS, address, headers, Bytes::new()).await {
            Ok((status, _)) if shows_the_way(status) => Answer::Taken,
            Ok((status, _)) => Answer::Refused(format!("refused-{status}")),
            Err(why) => Answer::later(why, false),
        }
    }

    async fn ask(
        &self,
        method: Method,
        address: &Address,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<(u16, Option<u64>), &'static str> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = address.uri().clone();
        request.headers_mut().extend(headers);
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) => return Err(if error.is_connect() { "no-connection" } else { "no-answer" }),
        };
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after_s = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        // Read so that the peer can close in order; what it says does not matter, its status does.
        let _ = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        Ok((status, retry_after_s))
    }
}

/// True where an answer to OPTIONS shows that a message would find its way: also 405, of a door that only takes POST. Not a
/// redirect, which is not followed; not what says that nobody is known here (404, 410) or that we are not (401, 403); and not
/// a gateway's word that it finds nobody behind it.
fn shows_the_way(status: u16) -> bool {
    !matches!(status, 300..=399 | 401 | 403 | 404 | 407 | 410 | 421 | 502..=504)
}

pub(super) fn roots(path: &Path) -> Result<RootCertStore, ClientFault> {
    let fault = |why: String| ClientFault(format!("`{}` {why}", path.display()));
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| fault(format!("cannot be read: {error}")))?;
        roots.add(certificate).map_err(|error| fault(format!("holds a certificate that is unusable: {error}")))?;
    }
    if roots.is_empty() {
        return Err(fault("holds no certificate".to_owned()));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_options_proves_an_address_unless_it_says_that_nobody_is_there_or_we_are_nobody() {
        for status in [200, 204, 400, 405, 406, 415, 422, 429, 500, 501] {
            assert!(shows_the_way(status), "{status}");
        }
        for status in [301, 302, 308, 401, 403, 404, 407, 410, 421, 502, 503, 504] {
            assert!(!shows_the_way(status), "{status}");
        }
    }
}
