//! The message to a team: what it says, how it is signed, and how a receiver checks it.
//!
//! `POST` of JSON with `Fourth-Timestamp` (Unix seconds), `Fourth-Signature: v1=<hex of HMAC-SHA-256 under the shared
//! secret over timestamp, a full stop, and the body>`, and `Idempotency-Key`. Each try is signed anew; the body and
//! the key stay.

use super::settings::{ChannelKind, Secret, Settings};
use crate::access::{Released, release};
use crate::incident::{Act, Outgoing};
use crate::policy::QueuePlace;
use crate::record::ProgramId;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::Serialize;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// Header of the signing instant, Unix seconds.
pub(super) const TIMESTAMP_HEADER: &str = "fourth-timestamp";
/// Header of the signature.
pub(super) const SIGNATURE_HEADER: &str = "fourth-signature";
/// Header by which a receiver knows a repeat.
pub(super) const KEY_HEADER: &str = "idempotency-key";

/// What a team is told. Personal data only in `released`.
#[derive(Serialize)]
struct Message<'a> {
    kind: &'static str,
    leg: &'a str,
    incident: &'a str,
    program: &'a str,
    title: &'a str,
    channel: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_back_within_min: Option<u32>,
    /// A tandem: who must all accept; the first leads.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    together: &'a [ProgramId],
    /// A referral: who declined the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    referred_by: Option<&'a ProgramId>,
    /// Where the call stands in the order of the team's queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<&'a QueuePlace>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Because<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    released: Option<Released>,
    links: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct Because<'a> {
    code: &'a str,
    text: &'a str,
}

/// A test of the contact: no leg, no incident, no link, so that there is nothing in it to act on.
#[derive(Serialize)]
struct ContactTest<'a> {
    kind: &'static str,
    channel: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<&'a str>,
    sent_at: Timestamp,
}

/// The body of a test: `kind` is `contact-test`. A receiver answers 2xx and does nothing.
pub(super) fn contact_test(
    channel: &'static str,
    program: Option<&str>,
    sent_at: Timestamp,
) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&ContactTest { kind: "contact-test", channel, program, sent_at })
}

/// The body for a leg's effect; `None` for an effect that is not a team's.
pub(super) fn body(outgoing: &Outgoing, settings: &Settings) -> Option<Result<Vec<u8>, serde_json::Error>> {
    let (kind, leg, plan) = match &outgoing.effect.act {
        Act::Offer { leg, plan, .. } => ("offer", leg, plan),
        Act::Withdraw { leg, plan, .. } => ("withdraw", leg, plan),
        Act::StandBack { leg, plan, .. } => ("stand-back", leg, plan),
        Act::Proceed { leg, plan } => ("proceed", leg, plan),
        Act::TellCad(_) => return None,
    };
    let (deadline, why) = match &outgoing.effect.act {
        Act::Offer { deadline, .. } => (Some(*deadline), None),
        Act::Withdraw { why, .. } | Act::StandBack { why, .. } => (None, Some(why.as_str())),
        Act::Proceed { .. } | Act::TellCad(_) => (None, None),
    };
    let offer = deadline.is_some();
    let facts: BTreeMap<&str, &str> = outgoing.facts.iter().map(|(name, known)| (name, &*known.value)).collect();
    let decision = outgoing.decision.as_deref().filter(|_| offer);
    let reasons = decision.map(|decision| decision.reasons.iter());
    let message = Message {
        kind,
        leg: leg.as_str(),
        incident: outgoing.incident.as_str(),
        program: plan.program.as_str(),
        title: &plan.title,
        channel: match settings.channel.get(&plan.channel).map(|channel| channel.kind) {
            Some(ChannelKind::WarmTransfer) => "warm-transfer",
            // Notices say nothing of this; who has no channel is sent nothing.
            Some(ChannelKind::Webhook | ChannelKind::Email | ChannelKind::Sms | ChannelKind::Eido) | None => "webhook",
        },
        deadline,
        call_back_within_min: plan.call_back_within_min.filter(|_| offer),
        together: &plan.together,
        referred_by: plan.referred_by.as_ref().filter(|_| offer),
        queue: plan.queue.as_ref().filter(|_| offer),
        why,
        reasons: reasons.into_iter().flatten().map(|one| Because { code: &one.code, text: &one.text }).collect(),
        // Taking an offer back needs nothing about the caller.
        released: offer.then(|| release(outgoing.record.as_deref(), &facts, &plan.release)),
        links: links(settings, leg.as_str(), links_of(&outgoing.effect.act)),
    };
    Some(serde_json::to_vec(&message))
}

/// What a team may do next. A recall is to be acknowledged.
fn links_of(act: &Act) -> &'static [&'static str] {
    match act {
        Act::Offer { .. } => &["accept", "decline", "status", "backup"],
        Act::Withdraw { .. } | Act::StandBack { .. } => &["acknowledge", "status", "backup"],
        Act::Proceed { .. } | Act::TellCad(_) => &["status", "backup"],
    }
}

fn links(settings: &Settings, leg: &str, names: &[&'static str]) -> BTreeMap<&'static str, String> {
    let prefix = settings.public_url.as_ref().map(super::Address::as_prefix).unwrap_or_default();
    names.iter().map(|name| (*name, format!("{prefix}/v1/legs/{leg}/{name}"))).collect()
}

/// The value of `Fourth-Signature` for a body at an instant (Unix seconds as text).
#[must_use]
pub fn sign(secret: &Secret, timestamp: &str, body: &[u8]) -> String {
    format!("v1={}", hex::encode(code(secret, timestamp, body)))
}

fn code(secret: &Secret, timestamp: &str, body: &[u8]) -> [u8; 32] {
    // HMAC takes a key of any length, so the empty fallback is never used; an all-zero code matches nothing real.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.bytes()) else { return [0; 32] };
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

/// Why a signature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// Not of the form `v1=<64 hex digits>`, or the timestamp is no number.
    #[error("the signature headers cannot be read")]
    Unreadable,
    /// Not the signature of this body at this instant under this secret.
    #[error("the signature does not match")]
    Mismatch,
    /// Signed too long ago, or in the future.
    #[error("the signature is too old or from the future")]
    Stale,
}

/// What a receiver does: checks the signature in constant time, then its age. `signature` may list several, parted
/// by commas, while a secret is being changed.
///
/// # Errors
/// [`SignatureFault`]; nothing of the body may be acted on then.
pub fn verify(
    secret: &Secret,
    timestamp: &str,
    body: &[u8],
    signature: &str,
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), SignatureFault> {
    let at = timestamp.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let at = at.ok_or(SignatureFault::Unreadable)?;
    let stated: Vec<[u8; 32]> = signature
        .split(',')
        .filter_map(|one| hex::decode(one.trim().strip_prefix("v1=")?).ok()?.try_into().ok())
        .collect();
    if stated.is_empty() {
        return Err(SignatureFault::Unreadable);
    }
    let right = code(secret, timestamp, body);
    // Every candidate is compared, so that the time taken tells nothing.
    let matches = stated.iter().fold(subtle::Choice::from(0), |found, one| found | one.ct_eq(&right));
    if !bool::from(matches) {
        return Err(SignatureFault::Mismatch);
    }
    if at.duration_since(now).unsigned_abs() > tolerance { Err(SignatureFault::Stale) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a-secret-of-this-team";

    #[test]
    fn signatures_verify_and_nothing_else_does() {
        use SignatureFault::{Mismatch, Stale, Unreadable};
        let secret = Secret::try_from(SECRET.to_owned()).unwrap();
        let other = Secret::try_from("another-teams-secret".to_owned()).unwrap();
        let now = Timestamp::from_second(1_767_225_600).unwrap();
        let limit = Duration::from_secs(300);
        let good = sign(&secret, "1767225600", b"{}");
        // `printf '1767225600.{}' | openssl dgst -sha256 -hmac a-secret-of-this-team`
        assert_eq!(good, OPENSSL_SAYS);
        let check = |secret, stamp, body: &[u8], signature: &str| verify(secret, stamp, body, signature, now, limit);
        assert_eq!(check(&secret, "1767225600", b"{}", &good), Ok(()));
        assert_eq!(check(&secret, "1767225600", b"{}", &format!("v1={}, {good}", "0".repeat(64))), Ok(()));
        assert_eq!(check(&secret, "1767225600", b"{ }", &good), Err(Mismatch));
        assert_eq!(check(&secret, "1767225601", b"{}", &good), Err(Mismatch));
        assert_eq!(check(&other, "1767225600", b"{}", &good), Err(Mismatch));
        assert_eq!(check(&secret, "1767225600", b"{}", "v1=00"), Err(Unreadable));
        assert_eq!(check(&secret, "soon", b"{}", &good), Err(Unreadable));
        for stale in ["1767225200", "1767226000"] {
            assert_eq!(check(&secret, stale, b"{}", &sign(&secret, stale, b"{}")), Err(Stale));
        }
    }

    const OPENSSL_SAYS: &str = "v1=cddedabc3a601ed23fd2f6f6f1848f6ae968ad99a3bb666906dd2b9bf5c0e072";
}
