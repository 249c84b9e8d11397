//! One row's cells into a call record.

use super::layout::{Column, Field, Layout, Meaning};
use crate::record::{
    AgencyId, CallRecord, Caution, DispositionNote, Lifecycle, Location, Note, Person, SourceId, TimePoint, UnitStatus,
};
use crate::wire::{SenderProfile, pidf_lo, times};
use jiff::Timestamp;

/// The oldest age that is believed, years.
const AGE_YEARS_MAX: u16 = 125;

/// A record being filled from a row; parts that several columns make are put together at the end.
pub(super) struct Filling<'r> {
    record: &'r mut CallRecord,
    sender: &'r SenderProfile,
    layout: &'r Layout,
    location: Location,
    latitude: Option<Option<f64>>,
    longitude: Option<Option<f64>>,
    caller: Person,
    person: Person,
    unit: Option<String>,
    unit_type: Option<String>,
    disposition: DispositionNote,
}

impl<'r> Filling<'r> {
    /// Nothing filled yet.
    pub(super) fn new(record: &'r mut CallRecord, sender: &'r SenderProfile, layout: &'r Layout) -> Self {
        Self {
            record,
            sender,
            layout,
            location: Location::default(),
            latitude: None,
            longitude: None,
            caller: Person::default(),
            person: Person::default(),
            unit: None,
            unit_type: None,
            disposition: DispositionNote::default(),
        }
    }

    /// Takes one cell. An empty one says nothing; one that the layout's values do not have is left out and listed,
    /// because unknown is never `no`.
    pub(super) fn cell(&mut self, column: &Column, cell: &str, path: &str) {
        if cell.is_empty() {
            return;
        }
        let cell = match column.values.get(&cell.to_lowercase()) {
            Some(value) => value.as_str(),
            None if column.values.is_empty() => cell,
            None => return self.record.repair(path, "value-not-in-layout"),
        };
        match &column.meaning {
            Meaning::Ignored => {}
            Meaning::Fact(fact) => self.record.stated_facts.push((fact.clone(), cell.to_owned())),
            Meaning::Field(field) => self.field(*field, cell, path),
        }
    }

    fn field(&mut self, field: Field, cell: &str, path: &str) {
        let text = || Some(cell.to_owned());
        let number = || cell.parse::<f64>().ok().filter(|number| number.is_finite());
        let record = &mut *self.record;
        match field {
            Field::Incident => cell.clone_into(&mut record.identity.incident),
            Field::Agency => record.identity.agency = AgencyId::new(cell),
            Field::Element => record.identity.element = SourceId::new(cell),
            Field::UpdatedAt => self.record.identity.updated_at = self.time(cell, path),
            Field::CallType => record.nature.call_type = text(),
            Field::CallTypeText => record.nature.call_type_text = text(),
            Field::CallTypeVendor => record.nature.call_type_vendor = text(),
            Field::CallTypeVersion => record.nature.call_type_version = text(),
            Field::FurtherCallType => record.nature.further_call_types.extend(text()),
            Field::CommonType => record.nature.common_type = text(),
            Field::PriorityText => record.nature.priority_text = text(),
            Field::CommonPriority => match cell.parse::<u8>() {
                Ok(priority) if priority <= 10 => record.nature.common_priority = Some(priority),
                _ => record.repair(path, "priority-out-of-range"),
            },
            Field::Beat => record.nature.beat = text(),
            Field::Latitude => self.latitude = Some(number()),
            Field::Longitude => self.longitude = Some(number()),
            Field::UncertaintyM => self.location.uncertainty_m = number().filter(|metres| *metres >= 0.0),
            Field::Street => self.location.street = text(),
            Field::City => self.location.city = text(),
            Field::Region => self.location.region = text(),
            Field::PostalCode => self.location.postal_code = text(),
            Field::Place => self.location.description = text(),
            Field::PlaceType => self.location.place_type = Some(cell.to_lowercase()),
            Field::CallerName => self.caller.name = text(),
            Field::Callback => {
                record.callbacks.extend(text());
                self.caller.phone = text();
            }
            Field::PersonName => self.person.name = text(),
            Field::PersonAge => match cell.parse::<u16>() {
                Ok(years) if years <= AGE_YEARS_MAX => self.person.age_years = Some(years),
                _ => record.repair(path, "age-unreadable"),
            },
            Field::CallSource => record.call_source = text(),
            Field::Note => record.notes.push(Note { at: None, text: cell.to_owned() }),
            Field::Caution => record.cautions.push(Caution { kind: cell.to_owned(), severity: None }),
            Field::Unit => self.unit = text(),
            Field::UnitType => self.unit_type = text(),
            Field::Disposition => self.disposition.text = text(),
            Field::DispositionCode => self.disposition.common_code = text(),
            Field::Lifecycle => self.lifecycle(cell, path),
            // Whatever stands there but a clear "no", no real team is sent on the strength of it.
            Field::Test => record.test |= !matches!(cell.to_lowercase().as_str(), "false" | "no" | "n" | "0"),
            Field::Received => self.point(TimePoint::Received, cell, path),
            Field::Answered => self.point(TimePoint::Answered, cell, path),
            Field::Entered => self.point(TimePoint::Entered, cell, path),
            Field::Dispatched => self.point(TimePoint::Dispatched, cell, path),
            Field::EnRoute => self.point(TimePoint::EnRoute, cell, path),
            Field::OnScene => self.point(TimePoint::OnScene, cell, path),
            Field::WithPerson => self.point(TimePoint::WithPerson, cell, path),
            Field::Cleared => self.point(TimePoint::Cleared, cell, path),
            Field::Closed => self.point(TimePoint::Closed, cell, path),
        }
    }

    fn lifecycle(&mut self, cell: &str, path: &str) {
        match cell.to_lowercase().as_str() {
            "open" => self.record.lifecycle = Lifecycle::Open,
            "closed" => self.record.lifecycle = Lifecycle::Closed,
            "cancelled" | "canceled" => self.record.lifecycle = Lifecycle::Cancelled,
            _ => self.record.repair(path, "value-not-in-layout"),
        }
    }

    fn point(&mut self, point: TimePoint, cell: &str, path: &str) {
        if let Some(at) = self.time(cell, path) {
            self.record.times.state(point, at);
        }
    }

    fn time(&mut self, cell: &str, path: &str) -> Option<Timestamp> {
        let own = self.layout.time_formats.iter().find_map(|format| {
            let parts = jiff::fmt::strtime::parse(format, cell).ok()?;
            match parts.to_timestamp() {
                Ok(at) => Some((at, None)),
                Err(_) => times::zoned(parts.to_datetime().ok()?, &self.sender.time_zone),
            }
        });
        match own.or_else(|| times::read(cell, &self.sender.time_zone)) {
            // That its times are local is the layout's nature, so only the doubtful hours are listed.
            Some((at, None | Some("local-time-zoned"))) => Some(at),
            Some((at, Some(kind))) => {
                self.record.repair(path, kind);
                Some(at)
            }
            None => {
                self.record.repair(path, "time-unreadable");
                None
            }
        }
    }

    /// Puts together what several columns make.
    pub(super) fn finish(mut self) {
        match self.latitude.zip(self.longitude) {
            Some((Some(latitude), Some(longitude))) => {
                let (point, repair) = pidf_lo::checked(latitude, longitude);
                self.location.point = point;
                if let Some(kind) = repair {
                    self.record.repair("latitude", kind);
                }
            }
            Some(_) => self.record.repair("latitude", "coordinates-unreadable"),
            None => {}
        }
        if self.location != Location::default() {
            self.location.role = Some("CurrentIncident".to_owned());
            self.record.locations.push(self.location);
        }
        for (role, mut person) in [("Caller", self.caller), ("InvolvedPerson", self.person)] {
            if person != Person::default() {
                person.roles.push(role.to_owned());
                self.record.persons.push(person);
            }
        }
        if self.disposition != DispositionNote::default() {
            self.record.dispositions.push(self.disposition);
        }
        if let Some(unit) = self.unit {
            let of_unit = self.record.times.iter().filter(|(point, _)| {
                matches!(
                    point,
                    TimePoint::Dispatched
                        | TimePoint::EnRoute
                        | TimePoint::OnScene
                        | TimePoint::WithPerson
                        | TimePoint::Cleared
                )
            });
            let unit_type = self.unit_type;
            let statuses = of_unit.map(|(status, at)| UnitStatus {
                unit: unit.clone(),
                unit_type: unit_type.clone(),
                status,
                at: Some(at),
            });
            let statuses: Vec<UnitStatus> = statuses.collect();
            self.record.units.extend(statuses);
        }
    }
}
