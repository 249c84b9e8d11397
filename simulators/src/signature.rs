//! The webhook signature, from the receiver's side: HMAC-SHA-256 over timestamp, full stop and body.

use crate::server::Received;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use std::time::Duration;

/// Why a webhook is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// `Fourth-Timestamp` or `Fourth-Signature` is missing or cannot be read.
    #[error("signature headers are missing or malformed")]
    Missing,
    /// The signature is not that of this body under this secret.
    #[error("the signature does not match")]
    Mismatch,
    /// The timestamp is too far from this peer's clock.
    #[error("the signature is too old or from the future")]
    Stale,
}

/// Checks a webhook's `Fourth-Signature: v1=<hex>` over `Fourth-Timestamp`, a full stop and the body.
///
/// # Errors
/// [`SignatureError`]; nothing of the body may be acted on then.
pub fn verify(received: &Received, secret: &[u8], now: Timestamp, tolerance: Duration) -> Result<(), SignatureError> {
    let timestamp = received.header("fourth-timestamp").ok_or(SignatureError::Missing)?;
    let stated = received.header("fourth-signature").ok_or(SignatureError::Missing)?;
    // A sender that rotates its secret states several signatures; one that matches is enough.
    let candidates: Vec<Vec<u8>> =
        stated.split(',').filter_map(|one| hex::decode(one.trim().strip_prefix("v1=")?).ok()).collect();
    if candidates.is_empty() {
        return Err(SignatureError::Missing);
    }
    let matches = candidates
        .iter()
        .any(|candidate| mac(secret, timestamp, &received.body).is_some_and(|mac| mac.verify_slice(candidate).is_ok()));
    if !matches {
        return Err(SignatureError::Mismatch);
    }
    let at = instant(timestamp).ok_or(SignatureError::Missing)?;
    let apart = at.duration_since(now).unsigned_abs();
    if apart > tolerance { Err(SignatureError::Stale) } else { Ok(()) }
}

/// The header value a sender would state; for tests and for peers that sign.
#[must_use]
pub fn sign(secret: &[u8], timestamp: &str, body: &[u8]) -> String {
    let code = mac(secret, timestamp, body).map(|mac| hex::encode(mac.finalize().into_bytes()));
    format!("v1={}", code.unwrap_or_default())
}

fn mac(secret: &[u8], timestamp: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
    // HMAC takes keys of any length; the type cannot say so.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    Some(mac)
}

/// Unix seconds, or an RFC 3339 instant.
fn instant(text: &str) -> Option<Timestamp> {
    match text.parse::<i64>() {
        Ok(seconds) => Timestamp::from_second(seconds).ok(),
        Err(_) => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::{HeaderMap, Method};

    fn webhook(timestamp: &str, signature: &str, body: &'static [u8]) -> Received {
        let mut headers = HeaderMap::new();
        headers.insert("fourth-timestamp", timestamp.parse().unwrap());
        headers.insert("fourth-signature", signature.parse().unwrap());
        Received { method: Method::POST, path: "/".to_owned(), query: String::new(), headers, body: body.into() }
    }

    #[test]
    fn a_signature_is_taken_only_for_its_own_secret_body_and_time() {
        let now = Timestamp::from_second(1_767_225_600).unwrap();
        let limit = Duration::from_secs(300);
        let body = br#"{"kind":"offer"}"#;
        let good = sign(b"secret", "1767225600", body);
        assert_eq!(verify(&webhook("1767225600", &good, body), b"secret", now, limit), Ok(()));
        let wrong = SignatureError::Mismatch;
        assert_eq!(verify(&webhook("1767225600", &good, body), b"other", now, limit), Err(wrong));
        assert_eq!(verify(&webhook("1767225600", &good, br#"{"kind":"offer" }"#), b"secret", now, limit), Err(wrong));
        assert_eq!(verify(&webhook("1767225601", &good, body), b"secret", now, limit), Err(wrong));
        assert_eq!(verify(&webhook("1767225600", "v1=00", body), b"secret", now, limit), Err(wrong));
        let missing = SignatureError::Missing;
        assert_eq!(verify(&webhook("1767225600", "sha256=ab", body), b"secret", now, limit), Err(missing));
        let old = sign(b"secret", "1767225000", body);
        assert_eq!(verify(&webhook("1767225000", &old, body), b"secret", now, limit), Err(SignatureError::Stale));
    }

    #[test]
    fn an_rfc_3339_timestamp_and_a_second_signature_are_taken() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let good = sign(b"secret", "2026-01-01T00:00:01Z", b"{}");
        let both = format!("v1=00ff, {good}");
        assert_eq!(
            verify(&webhook("2026-01-01T00:00:01Z", &both, b"{}"), b"secret", now, Duration::from_secs(5)),
            Ok(())
        );
    }
}
