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
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = address.uri().clone();
        request.headers_mut().extend(headers);
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) => return Answer::later(if error.is_connect() { "no-connection" } else { "no-answer" }, false),
        };
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after_s = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        // Read so that the peer can close in order; what it says does not matter, its status does.
        let _ = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        Answer::of_status(status, retry_after_s)
    }
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
