//! The offer and its recall as pushes of EIDO conveyance 1.1: what the release list names, in an EIDO, and nothing else.

use super::settings::ConveyanceSettings;
use crate::access::release;
use crate::incident::{Act, Outgoing};
use crate::policy::LegPlan;
use crate::record::{AgencyId, CallRecord, Format, Note, RecordIdentity, SourceId};
use crate::wire::{Cancel, ConveyanceMessage, Emitter, Push, encode_eido};
use jiff::Timestamp;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What is sent for a leg's effect.
pub(super) fn message(
    outgoing: &Outgoing,
    settings: &ConveyanceSettings,
    now: Timestamp,
) -> Result<ConveyanceMessage, &'static str> {
    match &outgoing.effect.act {
        Act::Offer { leg, plan, deadline } => {
            let eido = eido(outgoing, plan, *deadline, settings, now)?;
            Ok(ConveyanceMessage::RequestForService(Push { request_id: leg.to_string(), eido }))
        }
        Act::Withdraw { leg, .. } | Act::StandBack { leg, .. } => {
            Ok(ConveyanceMessage::CancelRequest(Cancel { request_id: leg.to_string() }))
        }
        // The protocol has no word for it; a tandem over it is taken back as one that was not told.
        Act::Proceed { .. } => Err("not-on-this-channel"),
        Act::TellCad(_) => Err("no-message"),
    }
}

fn eido(
    outgoing: &Outgoing,
    plan: &LegPlan,
    deadline: Timestamp,
    settings: &ConveyanceSettings,
    now: Timestamp,
) -> Result<Box<RawValue>, &'static str> {
    let facts: BTreeMap<&str, &str> = outgoing.facts.iter().map(|(name, known)| (name, &*known.value)).collect();
    let released = release(outgoing.record.as_deref(), &facts, &plan.release);
    // The adapter's own name of the incident: the CAD's number is not on any release list.
    let identity = RecordIdentity {
        agency: AgencyId::new(&settings.agency),
        element: SourceId::new(&settings.element),
        incident: outgoing.incident.to_string(),
        updated_at: None,
        content_sha256: String::new(),
    };
    let mut record = CallRecord::new(identity, Format::EidoJson);
    record.nature.call_type_text.clone_from(&released.nature);
    let say = |text: String| Note { at: Some(now), text };
    record.notes.push(say(format!("FOURTH: service asked of {}, answer by {deadline}", plan.title)));
    record.notes.extend(released.in_words().into_iter().map(say));
    record.notes.extend(released.narrative.into_iter().map(|note| Note { at: note.at, text: note.text }));
    let emitter = Emitter {
        agency: AgencyId::new(&settings.agency),
        element: SourceId::new(&settings.element),
        agency_type: settings.agency_type.clone(),
    };
    let text = String::from_utf8(encode_eido(&record, &emitter, now)).map_err(|_| "no-message")?;
    RawValue::from_string(text).map_err(|_| "no-message")
}
