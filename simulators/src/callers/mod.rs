//! The caller mix: which format each call's record is sent in, through which door, and the CAD's sheet it is written from.

mod cad_export;
mod codes;
mod delimited;
mod eido;

pub use delimited::{COLUMNS as DELIMITED_COLUMNS, LAYOUT as DELIMITED_LAYOUT};

use crate::chance;
use crate::city::{City, SimulatedCall};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The header that names the sender of a record.
pub const SENDER_HEADER: &str = "Fourth-Sender";

/// A format a record is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordFormat {
    /// NENA EIDO JSON.
    EidoJson,
    /// `CallExport` XML, whole at every change, local times without offset.
    CadExportXml,
    /// A header line and one row of comma-separated values.
    Delimited,
}

/// How the text becomes bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8 without a byte order mark.
    Utf8,
    /// UTF-8 with a byte order mark.
    Utf8Marked,
    /// UTF-16, little end first, with a byte order mark.
    Utf16Le,
    /// UTF-16, big end first, with a byte order mark.
    Utf16Be,
}

/// The door a record goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// `POST {intake}/cad/records`: passed on to the CAD as it is; the adapter works on a copy.
    PassThrough,
    /// `POST {intake}/v1/calls`: answered with the decision.
    Intake,
}

/// A sender of records, as the adapter must know it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SenderFacts {
    /// The name in the `Fourth-Sender` header.
    pub name: &'static str,
    /// The agency it belongs to.
    pub agency: String,
    /// The format it sends.
    pub format: RecordFormat,
    /// The zone of its local times without an offset.
    pub time_zone: String,
    /// The layout file of its rows, where it sends rows.
    pub layout: Option<&'static str>,
}

/// The three senders of the city's centre, one a format.
#[must_use]
pub fn senders(city: &City) -> Vec<SenderFacts> {
    [RecordFormat::EidoJson, RecordFormat::CadExportXml, RecordFormat::Delimited]
        .into_iter()
        .map(|format| SenderFacts {
            name: format.sender(),
            agency: city.city.agency.clone(),
            format,
            time_zone: city.city.time_zone.clone(),
            layout: (format == RecordFormat::Delimited).then_some(DELIMITED_LAYOUT),
        })
        .collect()
}

impl RecordFormat {
    /// The sender's name in the `Fourth-Sender` header.
    #[must_use]
    pub fn sender(self) -> &'static str {
        match self {
            Self::EidoJson => "cad-eido",
            Self::CadExportXml => "cad-export",
            Self::Delimited => "cad-rows",
        }
    }

    /// The `Content-Type` it is sent as.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::EidoJson => "application/json",
            Self::CadExportXml => "application/xml",
            Self::Delimited => "text/csv",
        }
    }
}

/// How one call's records are sent: the same way for its whole life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel {
    /// The format.
    pub format: RecordFormat,
    /// The encoding; only XML comes in others than plain UTF-8.
    pub encoding: Encoding,
    /// The door.
    pub door: Door,
}

/// Formats by weight: the open standard first, the vendor's drop next, rows for what has neither.
const FORMATS: [(RecordFormat, f64); 3] =
    [(RecordFormat::EidoJson, 0.6), (RecordFormat::CadExportXml, 0.25), (RecordFormat::Delimited, 0.15)];
/// Encodings of the vendor's XML by weight: all four are seen in its files.
const XML_ENCODINGS: [(Encoding, f64); 4] =
    [(Encoding::Utf8, 0.4), (Encoding::Utf8Marked, 0.2), (Encoding::Utf16Le, 0.3), (Encoding::Utf16Be, 0.1)];
/// Share of calls whose records go straight to the intake; all others go through the pass-through.
const INTAKE_SHARE: f64 = 0.25;

impl Channel {
    /// Draws how a call's records are sent.
    pub fn draw(rng: &mut StdRng) -> Self {
        let format = chance::weighted(rng, &FORMATS, |one| one.1).map_or(RecordFormat::EidoJson, |one| one.0);
        let encoding = match format {
            RecordFormat::CadExportXml => {
                chance::weighted(rng, &XML_ENCODINGS, |one| one.1).map_or(Encoding::Utf8, |one| one.0)
            }
            RecordFormat::EidoJson | RecordFormat::Delimited => Encoding::Utf8,
        };
        let door = if chance::happens(rng, INTAKE_SHARE) { Door::Intake } else { Door::PassThrough };
        Self { format, encoding, door }
    }
}

/// The CAD's sheet of one incident: everything it knows now, from which every record is written whole.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// The call.
    pub call: Arc<SimulatedCall>,
    /// The centre.
    pub centre: Arc<Centre>,
    /// When the CAD last changed the sheet: the record's version.
    pub version_at: Timestamp,
    /// When the call was answered.
    pub answered_at: Timestamp,
    /// Notes, oldest first.
    pub notes: Vec<(Timestamp, String)>,
    /// What the record states of the screening facts.
    pub stated: BTreeMap<String, String>,
    /// Units and the statuses they took.
    pub units: Vec<UnitLine>,
    /// Open, closed or cancelled.
    pub life: Life,
    /// APCO disposition code and text, once closed.
    pub disposition: Option<(&'static str, &'static str)>,
}

/// The centre that writes the records.
#[derive(Debug, Clone)]
pub struct Centre {
    /// EIDO agency id.
    pub agency: String,
    /// Municipality.
    pub city: String,
    /// Province.
    pub province: String,
    /// Country.
    pub country: String,
    /// Postal code.
    pub postal_code: String,
    /// Zone of local times.
    pub zone: TimeZone,
}

impl Centre {
    /// The city's own.
    #[must_use]
    pub fn of(city: &City) -> Self {
        let facts = &city.city;
        Self {
            agency: facts.agency.clone(),
            // "Kamloops (simulated)" is a title; addresses hold the name alone.
            city: facts.title.split(" (").next().unwrap_or_default().to_owned(),
            province: facts.province.clone(),
            country: facts.country.clone(),
            postal_code: facts.postal_code.clone(),
            zone: city.zone(),
        }
    }
}

/// A unit on an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitLine {
    /// Its name (`P12`).
    pub name: String,
    /// What it is.
    pub service: Service,
    /// Statuses and when it took them, oldest first.
    pub taken: Vec<(UnitState, Timestamp)>,
}

/// An ordinary service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// Police.
    Police,
    /// Fire.
    Fire,
    /// Emergency medical services.
    Ems,
}

/// A status a unit takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnitState {
    /// Dispatched.
    Dispatched,
    /// On its way.
    EnRoute,
    /// There.
    OnScene,
    /// Done.
    Cleared,
}

/// What has become of the incident, by the CAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Running.
    Open,
    /// Closed.
    Closed,
    /// Cancelled.
    Cancelled,
}

impl Sheet {
    /// The sheet as it is first entered.
    #[must_use]
    pub fn entered(call: Arc<SimulatedCall>, centre: Arc<Centre>, answered_at: Timestamp, now: Timestamp) -> Self {
        let notes = vec![(now, call.narrative.clone())];
        // Doubt is a key the call-taker presses, never a field of a record.
        let stated = call.known.iter().filter(|(fact, _)| *fact != "doubt");
        let stated = stated.map(|(fact, value)| (fact.clone(), value.clone())).collect();
        Self {
            call,
            centre,
            version_at: now,
            answered_at,
            notes,
            stated,
            units: Vec::new(),
            life: Life::Open,
            disposition: None,
        }
    }

    /// The sender's name of the incident in the format, by which the adapter knows it.
    #[must_use]
    pub fn incident_id(&self, format: RecordFormat) -> String {
        match format {
            RecordFormat::EidoJson => {
                format!("urn:emergency:uid:incidentid:{}:{}", self.call.number, self.centre.agency)
            }
            RecordFormat::CadExportXml | RecordFormat::Delimited => self.call.number.clone(),
        }
    }

    /// The record as bytes.
    #[must_use]
    pub fn write(&self, format: RecordFormat, encoding: Encoding) -> Vec<u8> {
        let text = match format {
            RecordFormat::EidoJson => eido::write(self),
            RecordFormat::CadExportXml => cad_export::write(self, encoding),
            RecordFormat::Delimited => delimited::write(self),
        };
        encode(&text, encoding)
    }
}

/// The text in the encoding, with its byte order mark.
#[must_use]
pub fn encode(text: &str, encoding: Encoding) -> Vec<u8> {
    let marked = || std::iter::once(0xFEFF_u16).chain(text.encode_utf16());
    match encoding {
        Encoding::Utf8 => text.as_bytes().to_vec(),
        Encoding::Utf8Marked => [b"\xEF\xBB\xBF".as_slice(), text.as_bytes()].concat(),
        Encoding::Utf16Le => marked().flat_map(u16::to_le_bytes).collect(),
        Encoding::Utf16Be => marked().flat_map(u16::to_be_bytes).collect(),
    }
}

/// A time without offset in the centre's zone, whole seconds, as the vendor's XML and the rows have it.
fn local(at: Timestamp, sheet: &Sheet) -> String {
    at.to_zoned(sheet.centre.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests;
