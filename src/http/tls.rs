//! TLS for a door: certificate and key from files; ALPN decides between HTTP/2 and HTTP/1.

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Where a door's certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// PEM file with the certificate and its chain, the door's own first.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot be used for TLS: {why}", .path.display())]
pub struct TlsFault {
    path: PathBuf,
    why: String,
}

impl TlsFault {
    pub(super) fn new(path: &Path, why: &dyn std::fmt::Display) -> Self {
        Self { path: path.to_owned(), why: why.to_string() }
    }
}

/// A certificate with those above it, and its key.
pub(super) fn chain_and_key(
    certificate: &Path,
    key: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsFault> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| TlsFault::new(certificate, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsFault::new(key, &error))?;
    Ok((chain, private))
}

/// Reads certificate and key. TLS 1.2 and 1.3 only (rustls has no other), no client certificates.
///
/// # Errors
/// Where a file cannot be read, holds no certificate or key, or the two do not belong together.
pub fn acceptor(settings: &TlsSettings) -> Result<TlsAcceptor, TlsFault> {
    let certificate = settings.certificate.as_path();
    let (chain, private) = chain_and_key(certificate, &settings.key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsFault::new(certificate, &error))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| TlsFault::new(certificate, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
