//! NENA EIDO JSON (NENA-STA-021.1b-2022, and the additions of the 1.1 draft): liberal in, strict out.

mod components;
mod encode;
mod html;
mod person;
mod places;
mod read;
mod registries;
mod shapes;

pub use encode::{Emitter, encode_eido};

use self::components::{Call, Eido, Incident, PersonComponent, Resource};
use self::read::{Read, Reading};
use self::shapes::{Id, Text};
use super::{DecodeError, SenderProfile, times};
use crate::record::{
    AgencyId, CallRecord, Caution, DispositionNote, Lifecycle, Note, Person, Relation, SourceId, TimePoint, UnitStatus,
};
use jiff::Timestamp;

/// Start of an incident tracking identifier that is about no incident (NENA-STA-021.1b-2022, 2.2).
const NO_INCIDENT: &str = "urn:emergency:uid:incidentid:0:";
/// Members that show a NENA-STA-024 message around an EIDO.
const ENVELOPES: &[&str] = &[
    "event",
    "subscribe",
    "subscribeResponse",
    "unsubscribe",
    "unsubscribeResponse",
    "response",
    "eventResponse",
    "terminate",
    "terminateResponse",
    "requestForService",
    "cancelRequest",
    "requestAwareness",
    "resourceMessage",
];

/// Fills a record from an EIDO.
pub(super) fn fill(record: &mut CallRecord, text: &str, sender: &SenderProfile) -> Result<(), DecodeError> {
    let mut reading = Reading::default();
    let mut lexer = serde_json::Deserializer::from_str(text);
    let eido = Eido::read(&mut reading, &mut lexer).and_then(|eido| lexer.end().map(|()| eido));
    let eido = match eido {
        Ok(eido) => eido,
        Err(error) => return Err(reading.failure.unwrap_or_else(|| malformed(&error))),
    };
    record.repairs.append(&mut reading.repairs);
    record.unknown_fields = reading.unknown;
    let mut filling = Filling { record, sender };
    filling.identity(&eido)?;
    filling.incident(&eido);
    filling.calls(&eido);
    filling.entered(&eido);
    filling.callbacks(&eido);
    filling.persons(&eido);
    filling.notes(&eido);
    places::fill(filling.record, &eido)?;
    filling.cautions(&eido);
    filling.units(&eido);
    filling.related(&eido);
    record.stated_facts = eido.facts.0;
    Ok(())
}

/// What serde's lexer says, without the words of the record that it quotes.
fn malformed(error: &serde_json::Error) -> DecodeError {
    let (problem, detail) = match error.classify() {
        serde_json::error::Category::Eof => ("malformed-json", "the text ends before the object does"),
        serde_json::error::Category::Data => ("wrong-type", "a value of another type belongs here"),
        _ => ("malformed-json", "the text is not well-formed JSON"),
    };
    DecodeError::new(problem, format!("line {} column {}", error.line(), error.column()), detail)
}

fn owned(text: &Text<'_>) -> Option<String> {
    text.as_deref().map(str::to_owned)
}

struct Filling<'r> {
    record: &'r mut CallRecord,
    sender: &'r SenderProfile,
}

impl Filling<'_> {
    fn identity(&mut self, eido: &Eido<'_>) -> Result<(), DecodeError> {
        let Some(id) = eido.id.get() else {
            if let Some(envelope) =
                ENVELOPES.iter().find(|name| self.record.unknown_fields.iter().any(|key| key == *name))
            {
                return Err(DecodeError::new(
                    "eido-envelope",
                    format!("$.{envelope}"),
                    format!("`{envelope}` is a NENA-STA-024 conveyance message; send each EIDO inside it by itself"),
                ));
            }
            return Err(DecodeError::new("missing-field", "$.$id", "an EIDO has an incident tracking identifier"));
        };
        if id.starts_with(NO_INCIDENT) {
            return Err(DecodeError::new("missing-field", "$.$id", "this EIDO is about no incident"));
        }
        let identity = &mut self.record.identity;
        identity.incident = id.to_owned();
        match eido.agency.as_ref().and_then(|agency| agency.target.get()) {
            Some(agency) => identity.agency = AgencyId::new(agency),
            None => self.record.repair("updatedByAgencyReference", "taken-from-sender-profile"),
        }
        match eido.element.as_deref() {
            Some(element) => self.record.identity.element = SourceId::new(element),
            None => self.record.repair("issuingElementIdentification", "taken-from-sender-profile"),
        }
        match eido.version.as_deref() {
            Some("1.0") => {}
            None => self.record.repair("eidoVersion", "version-assumed"),
            // A minor version adds (NENA-STA-021.1b chapter 2); a major one may mean something else by the same name.
            Some(version) if version == "1" || version.starts_with("1.") => {
                self.record.repair("eidoVersion", "version-assumed");
            }
            Some(_) => {
                let detail = "only version 1 of the EIDO is read; send `1.0`";
                return Err(DecodeError::new("version-not-supported", "$.eidoVersion", detail));
            }
        }
        self.record.identity.updated_at = self.time(&eido.updated, || "lastUpdateTimeStamp".to_owned());
        if eido.updated.is_none() {
            self.record.repair("lastUpdateTimeStamp", "missing-update-time");
        }
        Ok(())
    }

    /// An instant where the text is one; what had to be mended is listed at the path.
    fn time(&mut self, text: &Text<'_>, path: impl FnOnce() -> String) -> Option<Timestamp> {
        let text = text.as_deref()?;
        match times::read(text, &self.sender.time_zone) {
            Some((at, None)) => Some(at),
            Some((at, Some(kind))) => {
                self.record.repair(path(), kind);
                Some(at)
            }
            None => {
                self.record.repair(path(), "time-unreadable");
                None
            }
        }
    }

    /// The registry's spelling where the text is one of its values, else the text.
    fn registered(&mut self, text: &str, names: &[&'static str], path: impl FnOnce() -> String) -> String {
        match registries::canonical(text, names.iter().copied()) {
            Some(name) => {
                if name != text {
                    self.record.repair(path(), "enum-spelling");
                }
                name.to_owned()
            }
            None => text.to_owned(),
        }
    }

    fn incident(&mut self, eido: &Eido<'_>) {
        for (index, incident) in eido.incident.0.iter().enumerate() {
            if index == 0 {
                self.leading_incident(incident);
            } else {
                // The most dangerous type of several must be seen, whichever stands first.
                let types = [owned(&incident.code), owned(&incident.common), owned(&incident.text)];
                self.record.nature.further_call_types.extend(types.into_iter().flatten());
            }
        }
        self.record.lifecycle = self.lifecycle(&eido.incident.0);
        if self.record.nature.common_type.as_deref().is_some_and(|common| common == "NCRTESTF") {
            self.record.test = true;
        }
    }

    fn leading_incident(&mut self, incident: &Incident<'_>) {
        self.record.nature.call_type = owned(&incident.code);
        self.record.nature.call_type_text = owned(&incident.text);
        self.record.nature.priority_text = owned(&incident.priority_text);
        self.record.nature.beat = owned(&incident.beat);
        if let Some(common) = incident.common.as_deref() {
            let is_code = common.len() <= 12 && common.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if is_code && common.bytes().any(|byte| byte.is_ascii_lowercase()) {
                self.record.repair("incidentComponent.incidentTypeCommonRegistryText", "enum-spelling");
                self.record.nature.common_type = Some(common.to_ascii_uppercase());
            } else {
                self.record.nature.common_type = Some(common.to_owned());
            }
        }
        if let Some(priority) = incident.priority.0 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be 0 … 10")]
            if (0.0..=10.0).contains(&priority) && priority.fract() == 0.0 {
                self.record.nature.common_priority = Some(priority as u8);
            } else {
                self.record.repair("incidentComponent.incidentCommonPriorityNumber", "priority-out-of-range");
            }
        }
        for (index, disposition) in incident.dispositions.iter().enumerate() {
            let code = disposition.code.as_deref().map(|code| {
                if code.len() == 1 && code.bytes().all(|byte| byte.is_ascii_digit()) {
                    let path = format!("incidentComponent.dispositionComponent[{index}].dispositionCommonRegistryCode");
                    self.record.repair(path, "enum-spelling");
                    return format!("0{code}");
                }
                code.to_owned()
            });
            let text = owned(&disposition.text).or_else(|| owned(&disposition.category));
            if code.is_some() || text.is_some() {
                self.record.dispositions.push(DispositionNote { common_code: code, text });
            }
        }
    }

    /// Re-opened outweighs closed: an incident that may still run is not taken from anybody.
    fn lifecycle(&mut self, incidents: &[Incident<'_>]) -> Lifecycle {
        let mut lifecycle = Lifecycle::Open;
        let Some(incident) = incidents.first() else { return lifecycle };
        let mut reopened = false;
        for (index, status) in incident.statuses.iter().enumerate() {
            let Some(status) = status.as_deref() else { continue };
            let path = || format!("incidentComponent.incidentStatusCommonRegistryText[{index}]");
            match self.registered(status, registries::INCIDENT_STATUSES, path).as_str() {
                "Cancelled" | "Canceled" => lifecycle = Lifecycle::Cancelled,
                "Closed" if lifecycle == Lifecycle::Open => lifecycle = Lifecycle::Closed,
                "ReOpened" => reopened = true,
                _ => {}
            }
        }
        if reopened { Lifecycle::Open } else { lifecycle }
    }

    fn calls(&mut self, eido: &Eido<'_>) {
        for (index, call) in eido.calls.iter().enumerate() {
            let Call { primary_type, local_type, started, answered } = call;
            if let Some(at) = self.time(started, || format!("callComponent[{index}].callStartTimestamp")) {
                self.record.times.state(TimePoint::Received, at);
            }
            if let Some(at) = self.time(answered, || format!("callComponent[{index}].answerDate")) {
                self.record.times.state(TimePoint::Answered, at);
            }
            let is_test = |text: &Text<'_>| {
                text.as_deref().and_then(|text| text.get(..4)).is_some_and(|start| start.eq_ignore_ascii_case("test"))
            };
            self.record.test |= is_test(primary_type) || is_test(local_type);
            if self.record.call_source.is_none() {
                self.record.call_source = owned(local_type).or_else(|| owned(primary_type));
            }
        }
        if eido.calls.is_empty() && !eido.alarms.is_empty() {
            self.record.call_source = Some("alarm".to_owned());
        }
    }

    /// An EIDO states no time of entry. The incident's own stamp is one only in the first snapshot, which a single
    /// record cannot tell; so it stands in only where there is no call whose times would say more.
    fn entered(&mut self, eido: &Eido<'_>) {
        if self.record.times.iter().next().is_some() {
            return;
        }
        let Some(incident) = eido.incident.0.first() else { return };
        if let Some(at) = self.time(&incident.updated, || "incidentComponent.lastUpdateTimeStamp".to_owned()) {
            self.record.times.state(TimePoint::Entered, at);
        }
    }

    fn callbacks(&mut self, eido: &Eido<'_>) {
        for callback in &eido.callbacks {
            // The corrected number comes first: it is the one that reaches the caller.
            let corrected = callback.updated_number.as_ref().and_then(|number| number.uri.as_deref());
            for uri in corrected.into_iter().chain(callback.uris.iter().filter_map(Option::as_deref)) {
                if !self.record.callbacks.iter().any(|known| known == uri) {
                    self.record.callbacks.push(uri.to_owned());
                }
            }
        }
    }

    fn persons(&mut self, eido: &Eido<'_>) {
        let called = self.record.times.get(TimePoint::Received).or(self.record.identity.updated_at);
        let day = called.map(|at| at.to_zoned(self.sender.time_zone.clone()).date());
        for (index, component) in eido.persons.iter().enumerate() {
            let PersonComponent { niem, roles, callback } = component;
            let roles = roles.iter().flatten().enumerate().map(|(role, text)| {
                let path = || format!("personComponent[{index}].personIncidentRoleRegistryText[{role}]");
                self.registered(text, registries::PERSON_ROLES, path)
            });
            let roles = roles.collect();
            let phone = callback.as_ref().and_then(|callback| callback.target.get()).and_then(|wanted| {
                let callback = eido.callbacks.iter().find(|callback| callback.id.get() == Some(wanted))?;
                let corrected = callback.updated_number.as_ref().and_then(|number| owned(&number.uri));
                corrected.or_else(|| callback.uris.iter().find_map(owned))
            });
            let age_years =
                niem.age_years.or_else(|| niem.born.zip(day).and_then(|(born, day)| person::years_between(born, day)));
            self.record.persons.push(Person { roles, name: niem.name.clone(), phone, age_years });
        }
    }

    fn notes(&mut self, eido: &Eido<'_>) {
        for (index, note) in eido.notes.iter().enumerate() {
            let Some(comments) = note.comments.as_deref() else { continue };
            let (text, dropped) = html::to_text(comments);
            if dropped {
                self.record.repair(format!("notesComponent[{index}].notesActionComments"), "script-dropped");
            }
            let at = self.time(&note.updated, || format!("notesComponent[{index}].lastUpdateTimeStamp"));
            if !text.is_empty() {
                self.record.notes.push(Note { at, text: text.into_owned() });
            }
        }
        self.record.notes.sort_by_key(|note| note.at);
    }

    fn cautions(&mut self, eido: &Eido<'_>) {
        for caution in &eido.cautions {
            let kinds = [&caution.common, &caution.text].into_iter().chain(&caution.further);
            for kind in kinds.filter_map(|kind| kind.as_deref()) {
                let stated = Caution { kind: kind.to_owned(), severity: owned(&caution.severity) };
                if !self.record.cautions.contains(&stated) {
                    self.record.cautions.push(stated);
                }
            }
        }
    }

    /// Incidents that were merged with this one, split from it or linked to it. The published schema has the directions
    /// without their meaning: `REPLACED` is read as "the incident named stands in the place of this one", `REPLACING` as
    /// the other way round. What says neither is a link, for danger passes along every tie.
    fn related(&mut self, eido: &Eido<'_>) {
        for (index, merge) in eido.merges.iter().enumerate() {
            let path = || format!("mergeComponent[{index}].incidentMergeDirectionCode");
            let direction = self.registered(merge.direction.as_deref().unwrap_or_default(), registries::MERGES, path);
            let how = match direction.as_str() {
                "REPLACED" => Relation::MergedInto,
                "REPLACING" => Relation::MergedFrom,
                "SPLIT" => Relation::SplitFrom,
                _ => self.tied_somehow(path()),
            };
            self.relate(&merge.incident, how, || format!("mergeComponent[{index}].incidentTrackingIdentifier"));
        }
        for (index, link) in eido.links.iter().enumerate() {
            let path = || format!("linkComponent[{index}].linkDirectionCode");
            let direction = self.registered(link.direction.as_deref().unwrap_or_default(), registries::LINKS, path);
            let how = match direction.as_str() {
                "PARENT" | "CHILD" | "RELATED" => Relation::Linked,
                "UNLINK" => Relation::Unlinked,
                _ => self.tied_somehow(path()),
            };
            self.relate(&link.incident, how, || format!("linkComponent[{index}].incidentTrackingIdentifier"));
        }
    }

    fn tied_somehow(&mut self, path: String) -> Relation {
        self.record.repair(path, "direction-unknown");
        Relation::Linked
    }

    fn relate(&mut self, incident: &Id<'_>, how: Relation, path: impl FnOnce() -> String) {
        match incident.get().filter(|incident| !incident.starts_with(NO_INCIDENT)) {
            Some(incident) => self.record.relate(incident, how),
            None => self.record.repair(path(), "no-incident-named"),
        }
    }

    fn units(&mut self, eido: &Eido<'_>) {
        for (index, resource) in eido.resources.iter().enumerate() {
            let Resource { id, updated, name, kind, kind_text, statuses, active_on } = resource;
            if active_on.get().is_some_and(|incident| incident != self.record.identity.incident) {
                // The 1.1 draft lets a unit stand in the object while it works on another incident.
                self.record.repair(format!("emergencyResourceComponent[{index}]"), "unit-of-another-incident");
                continue;
            }
            let Some(status) = registries::unit_point(statuses.iter().filter_map(|status| status.as_deref())) else {
                continue;
            };
            let path = || format!("emergencyResourceComponent[{index}].emergencyResourceTypeCommonRegistryText");
            let unit_type = match kind.as_deref() {
                Some(kind) => Some(self.registered(kind, registries::RESOURCE_TYPES, path)),
                None => owned(kind_text),
            };
            let at = self.time(updated, || format!("emergencyResourceComponent[{index}].lastUpdateTimeStamp"));
            let unit = owned(name).or_else(|| id.get().map(str::to_owned));
            let unit = unit.unwrap_or_else(|| format!("unit {}", index + 1));
            self.record.units.push(UnitStatus { unit, unit_type, status, at });
        }
    }
}
