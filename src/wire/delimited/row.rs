//! One row's cells into a call record.

use super::layout::{Column, Field, Layout, Meaning};
use crate::record::{
    AgencyId, CallRecord, Caution, DispositionNote, Lifecycle, Location, Note, Person, SourceId, TimePoint, UnitStatus,
};
use crate::wire::{SenderProfile, pidf_lo, times};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

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
    /// The first time of day that was given a date: others are placed around it.
    first_of_day: Option<DateTime>,
}

/// Times of day may be this much earlier than the first one before they are taken for the next day's, hours.
const SAME_DAY_H: i64 = 6;

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
            first_of_day: None,
        }
    }

    /// Takes a cell of times of day, whose date stands in another.
    pub(super) fn times_of_day(&mut self, column: &Column, cell: &str, date: &str, path: &str) {
        let Meaning::Field(field) = &column.meaning else {
            return;
        };
        if self.is_missing(column, cell) {
            return;
        }
        let Some(date) = self.date(date) else {
            return self.record.repair(path, "date-unreadable");
        };
        let mut before: Option<DateTime> = None;
        for part in cell.splitn(if column.unit_times { usize::MAX } else { 1 }, ',') {
            let (unit, clock) = match part.rsplit_once('=').filter(|_| column.unit_times) {
                Some((unit, clock)) => (Some(unit.trim()), clock),
                None => (None, part),
            };
            let Ok(clock) = clock.trim().parse::<Time>() else {
                self.record.repair(path, "time-unreadable");
                continue;
            };
            let local = self.placed(date.to_datetime(clock), before, path);
            before = Some(local);
            let Some((at, kind)) = times::zoned(local, self.time_zone()) else {
                continue;
            };
            if kind.is_some_and(|kind| kind != "local-time-zoned") {
                self.record.repair(path, kind.unwrap_or_default());
            }
            match field.point() {
                None => self.record.identity.updated_at = Some(at),
                Some(point) => {
                    self.record.times.state(point, at);
                    if let Some(unit) = unit {
                        let unit = unit.to_owned();
                        self.record.units.push(UnitStatus { unit, unit_type: None, status: point, at: Some(at) });
                    }
                }
            }
        }
    }

    /// The day of a time of day: the date's, or a later one where midnight has passed since the time before in the same
    /// list, or since the first time of the row.
    fn placed(&mut self, on_date: DateTime, before: Option<DateTime>, path: &str) -> DateTime {
        let earliest = match (before, self.first_of_day) {
            (Some(before), _) => before,
            (None, Some(first)) => first.saturating_sub(SAME_DAY_H.hours()),
            (None, None) => on_date,
        };
        self.first_of_day.get_or_insert(on_date);
        let mut local = on_date;
        while local < earliest {
            let Ok(next) = local.tomorrow() else {
                break;
            };
            local = next;
        }
        if local != on_date && !self.record.repairs.iter().any(|known| known.path == path) {
            self.record.repair(path, "midnight-passed");
        }
        local
    }

    fn date(&self, cell: &str) -> Option<Date> {
        let own = |format: &String| jiff::fmt::strtime::parse(format, cell).ok()?.to_date().ok();
        self.layout.time_formats.iter().find_map(own).or_else(|| cell.parse().ok())
    }

    fn time_zone(&self) -> &'r TimeZone {
        self.layout.time_zone.as_ref().unwrap_or(&self.sender.time_zone)
    }

    fn is_missing(&self, column: &Column, cell: &str) -> bool {
        let cell = cell.to_lowercase();
        cell.is_empty() || self.layout.missing.contains(&cell) || column.missing.contains(&cell)
    }

    /// Takes one cell. An empty one says nothing; one that the layout's values do not have is left out and listed,
    /// because unknown is never `no`.
    pub(super) fn cell(&mut self, column: &Column, cell: &str, path: &str) {
        if self.is_missing(column, cell) {
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
            Field::FirstCallType => record.nature.first_call_type = text(),
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
            Field::Received
            | Field::Answered
            | Field::Entered
            | Field::Dispatched
            | Field::EnRoute
            | Field::OnScene
            | Field::WithPerson
            | Field::Cleared
            | Field::Closed => self.point(field, cell, path),
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

    fn point(&mut self, field: Field, cell: &str, path: &str) {
        if let (Some(point), Some(at)) = (field.point(), self.time(cell, path)) {
            self.record.times.state(point, at);
        }
    }

    fn time(&mut self, cell: &str, path: &str) -> Option<Timestamp> {
        let own = self.layout.time_formats.iter().find_map(|format| {
            let parts = jiff::fmt::strtime::parse(format, cell).ok()?;
            match parts.to_timestamp() {
                Ok(at) => Some((at, None)),
                Err(_) => times::zoned(parts.to_datetime().ok()?, self.time_zone()),
            }
        });
        match own.or_else(|| times::read(cell, self.time_zone())) {
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
