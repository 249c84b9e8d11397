//! The door for EIDO conveyance (NENA-STA-024): other agencies subscribe to incidents, and send theirs.
//!
//! Its own listener: TLS with certificates on both sides, the limits of every door, one WebSocket a connection. A peer is
//! who its certificate says; what it sees is its release list.

use super::State;
use super::limits::{Limits, ms, size};
use super::listener::{Drained, accept_each};
use super::session::Session;
use super::tls::TlsFault;
use crate::record::ReleasedField;
use crate::wire::SUBPROTOCOL;
use axum::http::{HeaderValue, StatusCode, header};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Name of the door in metrics.
const DOOR: &str = "conveyance";
/// Paths of the WebSocket: the schema's, and the library's that many desks use.
const PATHS: [&str; 2] = ["/ent", "/IncidentData/ent"];

/// Settings of the door.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConveyanceSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// PEM file with its certificate and those above it.
    pub certificate: PathBuf,
    /// PEM file with the key.
    pub key: PathBuf,
    /// PEM file of the only authorities that vouch for peers.
    pub client_authorities: PathBuf,
    /// This adapter's agency in EIDOs.
    pub agency: String,
    /// This adapter's element in EIDOs.
    pub element: String,
    /// EIDO agency type: from the registry, or a local extension.
    #[serde(default = "agency_type")]
    pub agency_type: String,
    /// Subscriptions of one connection, at most.
    #[serde(default = "subscriptions_max")]
    pub subscriptions_max: u32,
    /// Longest span that a subscription is given, seconds; it may be renewed.
    #[serde(default = "expires_max_s")]
    pub expires_max_s: u32,
    /// The door's limits, where they differ from the defaults.
    #[serde(default)]
    pub limits: Limits,
    /// Who may come.
    #[serde(default, rename = "peer")]
    pub peers: Vec<PeerSettings>,
}

fn agency_type() -> String {
    "x_community_crisis".to_owned()
}

fn subscriptions_max() -> u32 {
    16
}

fn expires_max_s() -> u32 {
    3_600
}

/// One peer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerSettings {
    /// Its name in logs.
    pub name: String,
    /// SHA-256 of its certificate (DER), hex: `openssl x509 -in peer.pem -outform der | sha256sum`.
    pub certificate_sha256: String,
    /// The configured sender as which its records are taken; without it, it may send none.
    #[serde(default)]
    pub sender: Option<String>,
    /// What it sees of incidents it subscribes to; without it, it may not subscribe.
    #[serde(default)]
    pub release: Option<Vec<ReleasedField>>,
}

/// The door, bound.
pub struct ConveyanceDoor {
    listener: TcpListener,
    tls: TlsAcceptor,
    settings: Arc<ConveyanceSettings>,
}

/// Why the door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConveyanceDoorFault {
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// The address.
    #[error("{0} cannot be had: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// A limit.
    #[error("`limits`: {0}")]
    Limit(#[from] super::limits::LimitFault),
}

impl ConveyanceDoor {
    /// Binds the door.
    ///
    /// # Errors
    /// [`ConveyanceDoorFault`].
    pub async fn bind(settings: &ConveyanceSettings) -> Result<Self, ConveyanceDoorFault> {
        settings.limits.check()?;
        let tls = mutual(settings)?;
        let listener = TcpListener::bind(settings.listen).await;
        let listener = listener.map_err(|error| ConveyanceDoorFault::Listen(settings.listen, error))?;
        Ok(Self { listener, tls, settings: Arc::new(settings.clone()) })
    }

    /// Where it is.
    ///
    /// # Errors
    /// The operating system's.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the stop signal; every subscriber is told that its subscriptions end.
    pub async fn serve(self, state: State, shutdown: watch::Receiver<bool>) -> Drained {
        let Self { listener, tls, settings } = self;
        let limits = Arc::new(settings.limits.clone());
        let stopping = shutdown.clone();
        accept_each(listener, &limits, DOOR, shutdown, move |stream, _| {
            connection(stream, tls.clone(), Arc::clone(&settings), state.clone(), stopping.clone())
        })
        .await
    }
}

fn mutual(settings: &ConveyanceSettings) -> Result<TlsAcceptor, TlsFault> {
    let path = settings.client_authorities.as_path();
    let mut authorities = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| TlsFault::new(path, &error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| TlsFault::new(path, &error))?;
        authorities.add(certificate).map_err(|error| TlsFault::new(path, &error))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(&provider));
    let verifier = verifier.build().map_err(|error| TlsFault::new(path, &error))?;
    let (chain, key) = super::tls::chain_and_key(&settings.certificate, &settings.key)?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsFault::new(&settings.certificate, &error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| TlsFault::new(&settings.certificate, &error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// One connection from its first byte to its end; returns why it ended.
async fn connection(
    stream: TcpStream,
    tls: TlsAcceptor,
    settings: Arc<ConveyanceSettings>,
    state: State,
    shutdown: watch::Receiver<bool>,
) -> &'static str {
    let limits = &settings.limits;
    let stream = match timeout(ms(limits.tls_handshake_ms), tls.accept(stream)).await {
        Err(_) => return "handshake-late",
        Ok(Err(_)) => return "handshake-failed",
        Ok(Ok(stream)) => stream,
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let digest = certificate.map(|certificate| hex::encode(Sha256::digest(certificate)));
    let known = |peer: &&PeerSettings| digest.as_deref() == Some(peer.certificate_sha256.to_ascii_lowercase().as_str());
    let Some(peer) = settings.peers.iter().find(known).cloned() else { return "unknown-peer" };
    let bytes_max = size(limits.body_bytes_max);
    let sizes = WebSocketConfig::default().max_message_size(Some(bytes_max)).max_frame_size(Some(bytes_max));
    let opening = tokio_tungstenite::accept_hdr_async_with_config(stream, choose, Some(sizes));
    let socket = match timeout(ms(limits.header_read_ms), opening).await {
        Err(_) => return "header-late",
        Ok(Err(_)) => return "no-websocket",
        Ok(Ok(socket)) => socket,
    };
    Session::new(socket, peer, Arc::clone(&settings), state).run(shutdown).await
}

/// Takes our path and our sub-protocol, and nothing else.
#[expect(clippy::result_large_err, reason = "the library's callback has this type")]
fn choose(asked: &Request, mut opened: Response) -> Result<Response, ErrorResponse> {
    let refuse = |status: StatusCode| {
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = status;
        refusal
    };
    if !PATHS.contains(&asked.uri().path()) {
        return Err(refuse(StatusCode::NOT_FOUND));
    }
    let offered = asked.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let ours = offered.iter().filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
    if !ours.map(str::trim).any(|protocol| protocol == SUBPROTOCOL) {
        return Err(refuse(StatusCode::BAD_REQUEST));
    }
    opened.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok(opened)
}
