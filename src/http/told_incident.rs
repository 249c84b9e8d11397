//! An incident as a subscriber may see it: an EIDO of what its release list names, where the call stands, and nothing else.

use super::conveyance::ConveyanceSettings;
use crate::access::release;
use crate::call_processing::IncidentView;
use crate::incident::{LegState, Phase};
use crate::record::{
    AgencyId, CallRecord, Format, Lifecycle, Note, RecordIdentity, ReleasedField, SourceId, TimePoint, UnitStatus,
};
use crate::wire::{Emitter, encode_eido};
use jiff::Timestamp;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What kind of unit a community team is (EIDO registry of resource types).
const TEAM_UNIT_TYPE: &str = "CrisisInterventionUnit";

pub(super) fn told(
    view: &IncidentView,
    fields: &[ReleasedField],
    settings: &ConveyanceSettings,
    now: Timestamp,
) -> Option<Box<RawValue>> {
    let incident = &view.incident;
    let facts: BTreeMap<&str, &str> = incident.facts.iter().map(|(name, known)| (name, &*known.value)).collect();
    let released = release(view.record.as_deref(), &facts, fields);
    let emitter = Emitter {
        agency: AgencyId::new(&settings.agency),
        element: SourceId::new(&settings.element),
        agency_type: settings.agency_type.clone(),
    };
    // The adapter's own name of the incident: the CAD's number is on no release list.
    let identity = RecordIdentity {
        agency: emitter.agency.clone(),
        element: emitter.element.clone(),
        incident: incident.id.to_string(),
        updated_at: None,
        content_sha256: String::new(),
    };
    let mut record = CallRecord::new(identity, Format::EidoJson);
    record.nature.call_type_text.clone_from(&released.nature);
    record.test = incident.test;
    record.lifecycle = if incident.phase == Phase::Closed { Lifecycle::Closed } else { Lifecycle::Open };
    record.units.extend(incident.owning_leg().and_then(|leg| {
        let status = point(leg.state)?;
        let (unit, unit_type) = (leg.plan.program.to_string(), Some(TEAM_UNIT_TYPE.to_owned()));
        Some(UnitStatus { unit, unit_type, status, at: incident.times.get(&status).copied() })
    }));
    let say = |text: String| Note { at: Some(now), text };
    let owner = incident.owning_leg().map_or_else(|| "PSAP".to_owned(), |leg| leg.plan.program.to_string());
    record.notes.push(say(format!("FOURTH: the call is with {owner}")));
    record.notes.extend(released.in_words().into_iter().map(say));
    record.notes.extend(released.narrative.into_iter().map(|note| Note { at: note.at, text: note.text }));
    let text = String::from_utf8(encode_eido(&record, &emitter, now)).ok()?;
    RawValue::from_string(text).ok()
}

/// The point on the time line at which an owning team stands.
fn point(state: LegState) -> Option<TimePoint> {
    match state {
        LegState::Accepted => Some(TimePoint::Accepted),
        LegState::EnRoute => Some(TimePoint::EnRoute),
        LegState::OnScene => Some(TimePoint::OnScene),
        LegState::WithPerson => Some(TimePoint::WithPerson),
        LegState::Offered
        | LegState::Agreed
        | LegState::Accompanying
        | LegState::Declined
        | LegState::TimedOut
        | LegState::Unreachable
        | LegState::Withdrawn
        | LegState::StoodBack
        | LegState::Returned
        | LegState::HandedOn
        | LegState::Cleared => None,
    }
}
