//! The call record: what one sender knew about one incident at one instant. Pure data, no formats, no I/O.

mod identifiers;
mod times;

pub use identifiers::{AgencyId, DutyId, IncidentId, LegId, ProgramId, RecordIdentity, SourceId};
pub use times::{TimePoint, TimePoints};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The wire format a record was recognised as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// NENA-STA-021.1b-2022 Emergency Incident Data Object, JSON (and the 1.1 draft's additions).
    EidoJson,
    /// The `CallExport` XML that a CAD vendor drops whole at every change.
    CadExportXml,
    /// Delimited text read with a layout file.
    Delimited,
}

impl Format {
    /// The name used on the command line, in JSON and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EidoJson => "eido-json",
            Self::CadExportXml => "cad-export-xml",
            Self::Delimited => "delimited",
        }
    }
}

/// One thing the decoder mended, so that the sender can mend it at the source.
///
/// `path` names the place in the input (`callComponent[0].lastUpdateTimestamp`), never its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// Where, in the format's own terms. Holds no value from the record.
    pub path: String,
    /// What was done, from a closed set of short kebab-case words (`renamed-key`, `wrapped-in-list`, `local-time-zoned`, …).
    pub kind: String,
}

/// A call record in the product's own shape. Every wire format converts to and from this at the edge.
///
/// Absence means "not asserted by this sender in this record", never "no": a later record that lacks
/// a field clears nothing (NENA-STA-021.1b chapter 2 leaves absence ambiguous).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallRecord {
    /// Who sent which incident, in which version.
    pub identity: RecordIdentity,
    /// The format the bytes were in.
    pub format: Format,
    /// The time points the sender stated.
    pub times: TimePoints,
    /// What the call is about, in the sender's words and codes.
    pub nature: NatureFields,
    /// Where the incident is; the first that resolves to a zone is used.
    pub locations: Vec<Location>,
    /// People named in the record. Personal data: never logged, never journaled outside the content store.
    pub persons: Vec<Person>,
    /// Call-back addresses (`tel:` or `sip:` URIs or bare numbers). Personal data.
    pub callbacks: Vec<String>,
    /// How the call reached the centre, in the sender's words (`911`, `311`, `officer`, `alarm`, …).
    pub call_source: Option<String>,
    /// Narrative notes, oldest first. Personal data.
    pub notes: Vec<Note>,
    /// Cautions and premise hazards the sender states in structured form.
    pub cautions: Vec<Caution>,
    /// Unit statuses the sender states.
    pub units: Vec<UnitStatus>,
    /// Structured screening answers the sender states, as pairs of fact name and value in the product's vocabulary.
    ///
    /// A delimited layout or an EIDO extension may carry them; values are checked by `facts`.
    pub stated_facts: Vec<(String, String)>,
    /// Dispositions the sender states: APCO ANS 1.111.2-2018 code where common, and the agency's text.
    pub dispositions: Vec<DispositionNote>,
    /// What the sender says has become of the incident.
    pub lifecycle: Lifecycle,
    /// Other incidents that the sender ties to this one, each once, this one not among them; at most one more than
    /// [`RELATED_MAX`], by which it is known that there are more.
    pub related: Vec<Related>,
    /// True where the record is marked as a test or exercise: it is assessed, and never offered to a team.
    pub test: bool,
    /// Paths of fields that were present and are not part of the known shape. Kept in the raw bytes; listed here.
    pub unknown_fields: Vec<String>,
    /// What the decoder mended.
    pub repairs: Vec<Repair>,
}

impl CallRecord {
    /// An empty record of the given identity and format, for decoders to fill.
    #[must_use]
    pub fn new(identity: RecordIdentity, format: Format) -> Self {
        Self {
            identity,
            format,
            times: TimePoints::default(),
            nature: NatureFields::default(),
            locations: Vec::new(),
            persons: Vec::new(),
            callbacks: Vec::new(),
            call_source: None,
            notes: Vec::new(),
            cautions: Vec::new(),
            units: Vec::new(),
            stated_facts: Vec::new(),
            dispositions: Vec::new(),
            lifecycle: Lifecycle::Open,
            related: Vec::new(),
            test: false,
            unknown_fields: Vec::new(),
            repairs: Vec::new(),
        }
    }

    /// Ties another incident to this one; of several statements of one incident the strongest stands.
    pub fn relate(&mut self, incident: &str, how: Relation) {
        if let Some(known) = self.related.iter_mut().find(|known| known.incident == incident) {
            known.how = known.how.min(how);
        } else if incident != self.identity.incident && self.related.len() <= RELATED_MAX {
            self.related.push(Related { incident: incident.to_owned(), how });
        }
    }

    /// Lists one repair.
    pub fn repair(&mut self, path: impl Into<String>, kind: &str) {
        self.repairs.push(Repair { path: path.into(), kind: kind.to_owned() });
    }
}

/// What the call is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatureFields {
    /// The agency's own call-type code or determinant (`25A01`, `10-56`, `WELCK`).
    pub call_type: Option<String>,
    /// The agency's own text for it (`Structure Fire`).
    pub call_type_text: Option<String>,
    /// Whose codes they are (`MPDS`, `APCO`), where the record or its sender's configuration declares it.
    pub call_type_vendor: Option<String>,
    /// Their version (`13.3`): the same determinant changes meaning between versions.
    pub call_type_version: Option<String>,
    /// The code that the call had first, where the record states it beside the one it has now.
    #[serde(default)]
    pub first_call_type: Option<String>,
    /// Other call types that the record carries (one per agency context): the most dangerous rules.
    pub further_call_types: Vec<String>,
    /// EIDO IncidentType-Common (APCO ANS 2.103.2-2019): `MNTL`, `WELFARE`, …
    pub common_type: Option<String>,
    /// The agency's own priority text.
    pub priority_text: Option<String>,
    /// EIDO `incidentCommonPriorityNumber`, 0–10, 10 highest (NENA-STA-021.1b).
    pub common_priority: Option<u8>,
    /// Beat or dispatch group, an agency's own area code.
    pub beat: Option<String>,
}

/// Whose call-type codes a sender uses, and of which version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeSystem {
    /// The protocol or vendor (`MPDS`).
    pub vendor: String,
    /// Its version (`13.3`), where known.
    pub version: Option<String>,
}

impl NatureFields {
    /// Declares a sender's code system where the record itself is silent. A record that names another vendor does not
    /// get this one's version.
    pub fn declare(&mut self, system: &CodeSystem) {
        let vendor = self.call_type_vendor.get_or_insert_with(|| system.vendor.clone());
        if self.call_type_version.is_none() && vendor.trim().eq_ignore_ascii_case(system.vendor.trim()) {
            self.call_type_version.clone_from(&system.version);
        }
    }
}

/// A place, as civic address, coordinates, or both.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// What the location is of (EIDO LocationType: `CurrentIncident`, `Caller`, `RoutingLocation`, …).
    pub role: Option<String>,
    /// Latitude and longitude, WGS 84 degrees.
    pub point: Option<Point>,
    /// Radius of uncertainty around the point, metres.
    pub uncertainty_m: Option<f64>,
    /// Street line (`742 Evergreen Terrace`). Personal data.
    pub street: Option<String>,
    /// Municipality.
    pub city: Option<String>,
    /// Province or state.
    pub region: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// Words that say where (`behind the library`). Personal data.
    pub description: Option<String>,
    /// What kind of place, in the sender's words (PIDF-LO `PLC`, RFC 4589: `street`, `residence`, `school`, …).
    pub place_type: Option<String>,
}

/// WGS 84 position in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// −90 … 90.
    pub latitude: f64,
    /// −180 … 180.
    pub longitude: f64,
}

/// A person named in the record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// EIDO PersonRole: `Caller`, `Patient`, `InvolvedPerson`, …
    pub roles: Vec<String>,
    /// Name in one line.
    pub name: Option<String>,
    /// Phone number or URI.
    pub phone: Option<String>,
    /// Age in whole years at the time of the call.
    pub age_years: Option<u16>,
}

/// One narrative note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When it was written, if the sender says.
    pub at: Option<Timestamp>,
    /// Plain text; HTML of an EIDO note is stripped by the decoder.
    pub text: String,
}

/// A structured caution (EIDO 1.1 draft `cautionComponent`; premise hazard).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caution {
    /// Common registry text or the agency's own (`Weapon`, `Violent`, …).
    pub kind: String,
    /// `highest|high|normal|low|lowest` where stated.
    pub severity: Option<String>,
}

/// A disposition as a record states it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DispositionNote {
    /// APCO ANS 1.111.2-2018 code (`15`), where the sender uses the common registry.
    pub common_code: Option<String>,
    /// The agency's own text.
    pub text: Option<String>,
}

/// One status of one unit, as the sender's record shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitStatus {
    /// The unit's name (`E12`).
    pub unit: String,
    /// What the unit is (`Engine`, `CrisisInterventionUnit`).
    pub unit_type: Option<String>,
    /// The status as a point on the incident's time line.
    pub status: TimePoint,
    /// When the unit took it.
    pub at: Option<Timestamp>,
}

/// What the sender says has become of the incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lifecycle {
    /// Still running.
    Open,
    /// Closed by the sender.
    Closed,
    /// Cancelled by the sender.
    Cancelled,
}

/// Incidents that may be tied to one, at most. What names more is doubt.
pub const RELATED_MAX: usize = 32;

/// Another incident that a sender ties to this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Related {
    /// The sender's name for it (EIDO incident tracking identifier).
    pub incident: String,
    /// How it is tied.
    pub how: Relation,
}

/// How another incident is tied to this one; the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// This incident was merged into the other, which is worked on from now on.
    MergedInto,
    /// The other was merged into this one.
    MergedFrom,
    /// One was split from the other.
    SplitFrom,
    /// They belong together.
    Linked,
    /// They are not linked any more; what was merged or split stays so.
    Unlinked,
}

/// A field of a record that may be released to a destination. Release lists are allow-lists (invariant I14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleasedField {
    /// What the call is about, in the policy's neutral words.
    Nature,
    /// Street address and description of the place.
    Address,
    /// Coordinates.
    Point,
    /// Call-back address of the caller.
    Callback,
    /// The caller's name.
    CallerName,
    /// Age of the person concerned.
    Age,
    /// The facts that the decision was made on (weapon, violence, medical, …).
    Facts,
    /// The narrative.
    Narrative,
}
