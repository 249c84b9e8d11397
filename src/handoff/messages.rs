//! What is sent for an effect: the message, where it goes, how it is carried and how hard it is tried.

use super::email::MailAddress;
use super::health::Urgency;
use super::retry::Effort;
use super::settings::{Address, CadSettings, Secret, Settings, To};
use super::{cad_writeback, eido_offer, notice, webhook};
use crate::incident::{Act, CadNotice, DutyKind, Outgoing};
use crate::record::{IncidentId, LegId};
use crate::wire::ConveyanceMessage;
use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio::sync::Notify;

/// Name of the CAD's queue.
pub(super) const CAD: &str = "cad";

/// One message, ready to send: what may leave has been taken out of the record already.
pub(super) struct Job {
    pub(super) incident: IncidentId,
    pub(super) key: String,
    pub(super) destination: String,
    pub(super) kind: Kind,
    pub(super) urgency: Urgency,
    pub(super) carrier: Carrier,
    pub(super) body: Bytes,
    pub(super) effort: Effort,
    /// False for a notice beside a message: how it ends is counted, and is nobody's answer.
    pub(super) reported: bool,
    /// A recall of the same leg was submitted.
    pub(super) superseded: Notify,
    /// Something that cannot wait stands behind this message: its pause is over.
    pub(super) hurry: Notify,
}

/// What a message is to the others of its incident.
#[derive(PartialEq, Eq)]
pub(super) enum Kind {
    /// An offer; a recall of its leg ends it.
    Offer(LegId),
    /// A withdrawal, a stand-back, or the word to go.
    Recall(LegId),
    /// A notice to the CAD.
    Notice,
}

/// How a message is carried.
pub(super) enum Carrier {
    /// An HTTP request.
    Post(Post),
    /// A mail.
    Mail { to: Vec<MailAddress> },
    /// A message of EIDO conveyance, about the request of this name.
    Eido { message: Box<ConveyanceMessage>, request: String },
}

/// Where a request goes and what it carries besides the body.
pub(super) struct Post {
    pub(super) url: Address,
    /// Tried as well where the first address fails or is slow.
    pub(super) second_url: Option<Address>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Signs each try anew.
    pub(super) secret: Option<Secret>,
}

impl Post {
    /// The headers of one try.
    pub(super) fn signed_headers(&self, body: &[u8], now: Timestamp) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = self.headers.clone();
        if let Some(secret) = &self.secret {
            let timestamp = now.as_second().to_string();
            let signature = webhook::sign(secret, &timestamp, body);
            // Digits and hex: always a header value.
            if let (Ok(timestamp), Ok(signature)) = (timestamp.parse(), signature.parse()) {
                headers.push((HeaderName::from_static(webhook::TIMESTAMP_HEADER), timestamp));
                headers.push((HeaderName::from_static(webhook::SIGNATURE_HEADER), signature));
            }
        }
        headers
    }
}

impl Job {
    /// The notices beside the message of an effect, where its channel has any.
    pub(super) fn notices_of(outgoing: &Outgoing, settings: &Settings, now: Timestamp) -> Vec<Self> {
        let plan = match &outgoing.effect.act {
            Act::Offer { plan, .. }
            | Act::Withdraw { plan, .. }
            | Act::StandBack { plan, .. }
            | Act::Proceed { plan, .. } => plan,
            Act::TellCad(_) => return Vec::new(),
        };
        let channels = settings.channel.get(&plan.channel).map_or(&[][..], |channel| &channel.notices);
        let notice = |channel: &String| {
            let mut beside = outgoing.clone();
            match &mut beside.effect.act {
                Act::Offer { plan, .. }
                | Act::Withdraw { plan, .. }
                | Act::StandBack { plan, .. }
                | Act::Proceed { plan, .. } => plan.channel.clone_from(channel),
                Act::TellCad(_) => {}
            }
            beside.effect.key = format!("{}.{channel}", outgoing.effect.key);
            // A program that nobody is to be told of on this channel has no notice there.
            Self::of(&beside, settings, now).ok().map(|job| Self { reported: false, ..job })
        };
        channels.iter().filter_map(notice).collect()
    }

    /// The message of an effect, or why there is none to send.
    pub(super) fn of(outgoing: &Outgoing, settings: &Settings, now: Timestamp) -> Result<Self, &'static str> {
        let act = &outgoing.effect.act;
        let (kind, destination, carrier, body) = match act {
            Act::Offer { leg, plan, .. }
            | Act::Withdraw { leg, plan, .. }
            | Act::StandBack { leg, plan, .. }
            | Act::Proceed { leg, plan } => {
                let to = settings.destination(&plan.channel, &plan.program).ok_or("no-such-channel")?;
                let offer = matches!(act, Act::Offer { .. });
                let kind = if offer { Kind::Offer(leg.clone()) } else { Kind::Recall(leg.clone()) };
                let (carrier, body) = to_team(outgoing, leg, &to.to, settings, now)?;
                (kind, to.name, carrier, body)
            }
            Act::TellCad(notice) => {
                let cad = settings.cad.as_ref().ok_or("no-cad")?;
                let record = outgoing.record.as_deref().ok_or("no-record")?;
                let post = to_cad(outgoing, notice, cad)?;
                // Made once: every try sends the same bytes, and a CAD orders notices by the instant they carry.
                let body = Bytes::from(cad_writeback::body(record, notice, cad, now));
                (Kind::Notice, CAD.to_owned(), Carrier::Post(post), body)
            }
        };
        Ok(Self {
            incident: outgoing.incident.clone(),
            key: outgoing.effect.key.clone(),
            destination,
            kind,
            urgency: urgency(act),
            carrier,
            body,
            effort: effort(act, settings, now),
            reported: true,
            superseded: Notify::new(),
            hurry: Notify::new(),
        })
    }
}

/// The message to a team, as its channel carries it.
fn to_team(
    outgoing: &Outgoing,
    leg: &LegId,
    to: &To<'_>,
    settings: &Settings,
    now: Timestamp,
) -> Result<(Carrier, Bytes), &'static str> {
    let text = || {
        let page = settings.team_page.as_ref().ok_or("no-team-page")?;
        notice::text(&outgoing.effect.act, page).ok_or("no-message")
    };
    let mut headers = key_header(&outgoing.effect.key)?;
    match to {
        To::Webhook { url, secret } => {
            let body = match webhook::body(outgoing, settings) {
                Some(Ok(body)) => body,
                Some(Err(_)) | None => return Err("no-message"),
            };
            headers.extend(json_headers());
            let (url, secret) = ((*url).clone(), Some((*secret).clone()));
            Ok((Carrier::Post(Post { url, second_url: None, headers, secret }), Bytes::from(body)))
        }
        To::Mail(to) => Ok((Carrier::Mail { to: to.to_vec() }, Bytes::from(text()?))),
        To::Sms(number) => {
            let gateway = settings.sms.as_ref().ok_or("no-gateway")?;
            let (own, body) = notice::sms(gateway, number.text(), &text()?)?;
            headers.extend(own);
            let url = gateway.url.clone();
            Ok((Carrier::Post(Post { url, second_url: None, headers, secret: None }), body))
        }
        To::Eido(conveyance) => {
            let message = Box::new(eido_offer::message(outgoing, conveyance, now)?);
            Ok((Carrier::Eido { message, request: leg.to_string() }, Bytes::new()))
        }
    }
}

type Headers = Vec<(HeaderName, HeaderValue)>;

/// The header by which a receiver knows a repeat.
pub(super) fn key_header(key: &str) -> Result<Headers, &'static str> {
    let key = HeaderValue::from_str(key).map_err(|_| "key-not-sendable")?;
    Ok(vec![(HeaderName::from_static(webhook::KEY_HEADER), key)])
}

/// The headers of a webhook besides its key and its signature.
pub(super) fn json_headers() -> Headers {
    vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))]
}

/// The headers by which the CAD knows us.
pub(super) fn cad_headers(cad: &CadSettings) -> Result<Headers, &'static str> {
    let mut headers = Vec::new();
    if let Some(bearer) = &cad.bearer {
        let value = HeaderValue::from_str(&format!("Bearer {}", bearer.text()));
        let mut value = value.map_err(|_| "bearer-not-sendable")?;
        value.set_sensitive(true);
        headers.push((AUTHORIZATION, value));
    }
    Ok(headers)
}

fn to_cad(outgoing: &Outgoing, notice: &CadNotice, cad: &CadSettings) -> Result<Post, &'static str> {
    let mut headers = key_header(&outgoing.effect.key)?;
    headers.push((CONTENT_TYPE, HeaderValue::from_static(cad_writeback::CONTENT_TYPE)));
    let name = HeaderValue::from_static(notice.name());
    headers.push((HeaderName::from_static(cad_writeback::NOTICE_HEADER), name));
    headers.extend(cad_headers(cad)?);
    Ok(Post { url: cad.url.clone(), second_url: cad.second_url.clone(), headers, secret: cad.secret.clone() })
}

/// How soon the message of an effect must go.
fn urgency(act: &Act) -> Urgency {
    match act {
        Act::Withdraw { .. } | Act::StandBack { .. } | Act::Proceed { .. } => Urgency::AtOnce,
        Act::Offer { .. } => Urgency::Soon,
        Act::TellCad(notice) => match notice {
            CadNotice::Backup { .. } => Urgency::AtOnce,
            // A team may be going where it must not.
            CadNotice::Overdue { duty: DutyKind::Recall, .. } => Urgency::AtOnce,
            CadNotice::Overdue { duty: DutyKind::Return | DutyKind::EnRoute, .. } => Urgency::Soon,
            CadNotice::Overdue { duty: DutyKind::CallBack | DutyKind::FollowUp, .. } => Urgency::Routine,
            CadNotice::OrdinaryRoute { .. } => Urgency::Soon,
            CadNotice::TeamAccepted { .. }
            | CadNotice::TeamMoved { .. }
            | CadNotice::HandedOn { .. }
            | CadNotice::Cleared { .. } => Urgency::Routine,
        },
    }
}

fn effort(act: &Act, settings: &Settings, now: Timestamp) -> Effort {
    let for_s = |seconds: u32| now.checked_add(SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MAX);
    let millis = |millis: u32| Duration::from_millis(millis.into());
    let recall = Effort {
        attempts_max: u32::MAX,
        try_timeout: settings.try_timeout(),
        until: for_s(settings.recall_retry_for_s),
        until_why: "retry-time-exhausted",
        backoff_first: millis(settings.backoff_first_ms),
        backoff_max: millis(settings.backoff_max_ms),
        retry_after_max: Duration::from_secs(settings.retry_after_max_s.into()),
    };
    match act {
        Act::Offer { plan, deadline, .. } => {
            // Less than a quarter of the deadline, so that a gateway that always answers late cannot eat it up.
            let quarter = Duration::from_millis((u64::from(plan.accept_deadline_s) * 250).saturating_sub(1).max(1));
            Effort {
                attempts_max: plan.attempts.clamp(1, settings.attempts_max.max(1)),
                try_timeout: recall.try_timeout.min(quarter),
                until: *deadline,
                until_why: "deadline-passed",
                ..recall
            }
        }
        Act::Withdraw { .. } | Act::StandBack { .. } | Act::Proceed { .. } => recall,
        Act::TellCad(_) => Effort {
            until: for_s(settings.cad_retry_for_s),
            backoff_max: millis(settings.cad_backoff_max_ms),
            ..recall
        },
    }
}
