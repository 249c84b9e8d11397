//! Messages of EIDO conveyance over a WebSocket (NENA-STA-024.1a-2023, and the pushes of version 1.1): text ⇄ message.
//!
//! One JSON object a text message; its single key names the message. Read liberally, written strictly: two keys are
//! misspelt in the published schema of version 1.1, and both spellings are read.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The WebSocket sub-protocol.
pub const SUBPROTOCOL: &str = "emergency-ent1.0";

/// What is answered to a request that was taken back (RFC 3261 section 21.4.25); no answer to the cancellation itself (9.1).
pub const REQUEST_TERMINATED: u16 = 487;
/// Bytes of one identifier, at most.
const IDENTIFIER_BYTES_MAX: usize = 256;
/// Bytes of the words beside a code, at most: more is cut off.
const WORDS_BYTES_MAX: usize = 256;
/// Said of a subscription that is not there.
const NO_SUBSCRIPTION: &str = "no such subscription";
/// EIDOs in one notification, at most.
const NOTIFICATION_MAX: usize = 256;

/// One message. EIDOs stand in it as the bytes they came in, unread.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Message {
    /// Asks to be told of incidents, or renews a subscription.
    Subscribe(Subscribe),
    /// Answers it.
    SubscribeResponse(Status),
    /// Ends a subscription, from the subscriber.
    Unsubscribe(Ending),
    /// Answers it.
    UnsubscribeResponse(Status),
    /// Tells a subscriber.
    Event(Notification),
    /// Answers it.
    EventResponse(Receipt),
    /// Ends a subscription, from the notifier.
    Terminate(Ending),
    /// Answers it.
    TerminateResponse(Status),
    /// Asks another agency to take an incident (1.1).
    RequestForService(Push),
    /// Tells another agency of an incident (1.1).
    #[serde(alias = "requestAwarenes")]
    RequestAwareness(Push),
    /// Takes a request back (1.1).
    #[serde(alias = "cancelREequest")]
    CancelRequest(Cancel),
    /// Answers a push (1.1), or says that a request is not implemented (1.0).
    Response(Response),
}

/// `subscribe`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscribe {
    /// Returned in the answer.
    pub request_id: String,
    /// `EIDO`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_type: Option<String>,
    /// `single`, `new` or `resource`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_sub_type: Option<String>,
    /// Media type and versions that the subscriber reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_accepts: Option<String>,
    /// A filter expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qual_filter: Option<String>,
    /// A subscription to renew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<String>,
    /// One incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident_id: Option<String>,
    /// Seconds for which the subscription is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// How a request about a subscription came out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The request's own. Published samples leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<String>,
    /// Seconds until it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// Three digits.
    pub status_code: u16,
    /// In words.
    #[serde(default)]
    pub status_text: String,
}

/// `unsubscribe` and `terminate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    /// Returned in the answer.
    pub request_id: String,
    /// The subscription.
    pub subscription_id: String,
}

/// `event`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// The subscription.
    pub subscription_id: String,
    /// Returned in the answer.
    pub transaction_id: String,
    /// EIDOs; none where nothing matches yet.
    #[serde(default)]
    pub notification: Vec<Box<RawValue>>,
}

/// `eventResponse`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The notification's own.
    pub transaction_id: String,
    /// Three digits.
    pub status_code: u16,
    /// In words.
    #[serde(default)]
    pub status_text: String,
}

/// `requestForService` and `requestAwareness`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Push {
    /// Returned in every answer.
    pub request_id: String,
    /// The incident.
    pub eido: Box<RawValue>,
}

/// `cancelRequest`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cancel {
    /// The request that is taken back.
    pub request_id: String,
}

/// `response`: of version 1.1, or of 1.0 with `statusCode` and `statusText`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The request's own.
    pub request_id: String,
    /// Three digits, by analogy with SIP.
    #[serde(alias = "statusCode")]
    pub response_code: u16,
    /// In words.
    #[serde(alias = "statusText", default)]
    pub response_text: String,
}

/// Why text is no message. Holds nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConveyanceFault {
    /// Not one JSON object with one key that names a message and what that message needs.
    #[error("not a message of EIDO conveyance")]
    Malformed,
    /// An identifier that is empty, too long, or holds control characters.
    #[error("an identifier is empty, too long, or not printable")]
    Identifier,
    /// Too many EIDOs in one notification.
    #[error("a notification holds too many EIDOs")]
    TooMany,
}

impl Message {
    /// Reads one text message.
    ///
    /// # Errors
    /// [`ConveyanceFault`].
    pub fn read(text: &str) -> Result<Self, ConveyanceFault> {
        // A bare word would name a message without content; the object is what the standard has.
        let object = text.trim_start().starts_with('{');
        let read = object.then(|| serde_json::from_str::<Self>(text).ok()).flatten();
        let mut message = read.ok_or(ConveyanceFault::Malformed)?;
        if let Self::Event(event) = &message
            && event.notification.len() > NOTIFICATION_MAX
        {
            return Err(ConveyanceFault::TooMany);
        }
        let sound = |id: &&str| (1..=IDENTIFIER_BYTES_MAX).contains(&id.len()) && !id.chars().any(char::is_control);
        if !message.identifiers().iter().all(sound) {
            return Err(ConveyanceFault::Identifier);
        }
        if let Some(words) = message.words() {
            words.truncate(words.floor_char_boundary(WORDS_BYTES_MAX));
        }
        Ok(message)
    }

    /// The text message.
    #[must_use]
    pub fn text(&self) -> String {
        // Strings, numbers and JSON that was read before: nothing that cannot be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What is answered to a request by whoever does not do what it asks, and to what comes of a subscription by whoever has
    /// none; `None` for what asks nothing.
    #[must_use]
    pub fn not_implemented(&self) -> Option<Self> {
        let (status_code, words) = (501, "Not implemented".to_owned());
        let answer = |request: &str| {
            let request_id = request.to_owned();
            Self::Response(Response { request_id, response_code: status_code, response_text: words.clone() })
        };
        match self {
            Self::Subscribe(one) => Some(answer(&one.request_id)),
            Self::Unsubscribe(one) => Some(answer(&one.request_id)),
            Self::RequestForService(one) | Self::RequestAwareness(one) => Some(answer(&one.request_id)),
            Self::CancelRequest(one) => Some(answer(&one.request_id)),
            Self::Event(one) => {
                let (transaction_id, status_text) = (one.transaction_id.clone(), NO_SUBSCRIPTION.to_owned());
                Some(Self::EventResponse(Receipt { transaction_id, status_code: 481, status_text }))
            }
            Self::Terminate(one) => Some(Self::TerminateResponse(Status {
                request_id: Some(one.request_id.clone()),
                subscription_id: Some(one.subscription_id.clone()),
                expires: None,
                status_code: 481,
                status_text: NO_SUBSCRIPTION.to_owned(),
            })),
            Self::SubscribeResponse(_)
            | Self::UnsubscribeResponse(_)
            | Self::EventResponse(_)
            | Self::TerminateResponse(_)
            | Self::Response(_) => None,
        }
    }

    fn identifiers(&self) -> Vec<&str> {
        match self {
            Self::Subscribe(one) => [Some(&one.request_id), one.subscription_id.as_ref(), one.incident_id.as_ref()]
                .into_iter()
                .flatten()
                .map(String::as_str)
                .collect(),
            Self::SubscribeResponse(one) | Self::UnsubscribeResponse(one) | Self::TerminateResponse(one) => {
                [&one.request_id, &one.subscription_id].into_iter().flatten().map(String::as_str).collect()
            }
            Self::Unsubscribe(one) | Self::Terminate(one) => vec![&one.request_id, &one.subscription_id],
            Self::Event(one) => vec![&one.subscription_id, &one.transaction_id],
            Self::EventResponse(one) => vec![&one.transaction_id],
            Self::RequestForService(one) | Self::RequestAwareness(one) => vec![&one.request_id],
            Self::CancelRequest(one) => vec![&one.request_id],
            Self::Response(one) => vec![&one.request_id],
        }
    }

    fn words(&mut self) -> Option<&mut String> {
        match self {
            Self::SubscribeResponse(one) | Self::UnsubscribeResponse(one) | Self::TerminateResponse(one) => {
                Some(&mut one.status_text)
            }
            Self::EventResponse(one) => Some(&mut one.status_text),
            Self::Response(one) => Some(&mut one.response_text),
            Self::Subscribe(_)
            | Self::Unsubscribe(_)
            | Self::Event(_)
            | Self::Terminate(_)
            | Self::RequestForService(_)
            | Self::RequestAwareness(_)
            | Self::CancelRequest(_) => None,
        }
    }
}
