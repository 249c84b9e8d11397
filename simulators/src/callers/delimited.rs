//! A CAD's sheet as a header line and one row of comma-separated values (RFC 4180), screening answers in columns of their own.

use super::codes::{call_type_text, common_priority, unit_type};
use super::{Life, Sheet, UnitState, local};

/// The layout file by which the adapter reads these rows.
pub const LAYOUT: &str = include_str!("cad_rows.layout.toml");

/// The columns, in order. Times are local without an offset; screening columns hold values of the policy's vocabulary
/// or nothing.
pub const COLUMNS: [&str; 36] = [
    "IncidentNumber",
    "Updated",
    "Received",
    "Answered",
    "Status",
    "CallType",
    "CallTypeText",
    "Priority",
    "Source",
    "Street",
    "City",
    "Province",
    "Latitude",
    "Longitude",
    "Place",
    "CallerName",
    "CallBack",
    "Narrative",
    "Disposition",
    "Unit",
    "UnitType",
    "Dispatched",
    "EnRoute",
    "OnScene",
    "Cleared",
    "Age",
    "Weapon",
    "Violence",
    "SelfHarm",
    "Medical",
    "Crime",
    "Setting",
    "Caller",
    "Consent",
    "Checked",
    "Housing",
];

pub(super) fn write(sheet: &Sheet) -> String {
    let cells: Vec<String> = COLUMNS.iter().map(|column| quoted(&cell(sheet, column))).collect();
    format!("{}\r\n{}\r\n", COLUMNS.join(","), cells.join(","))
}

fn cell(sheet: &Sheet, column: &str) -> String {
    let call = &sheet.call;
    let stated = |fact: &str| sheet.stated.get(fact).cloned().unwrap_or_default();
    let unit = sheet.units.first();
    let taken = |wanted: UnitState| {
        unit.and_then(|unit| unit.taken.iter().find(|taken| taken.0 == wanted))
            .map(|taken| local(taken.1, sheet))
            .unwrap_or_default()
    };
    match column {
        "IncidentNumber" => call.number.clone(),
        // Two changes within a second are two versions.
        "Updated" => sheet.version_at.to_zoned(sheet.centre.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string(),
        "Received" => local(call.arrives, sheet),
        "Answered" => local(sheet.answered_at, sheet),
        "Status" => status(sheet),
        "CallType" => call.call_type.clone(),
        "CallTypeText" => call_type_text(&call.kind),
        "Priority" => common_priority(&call.priority).to_string(),
        "Source" => "911".to_owned(),
        "Street" => format!("{} {}", call.house_number, call.street),
        "City" => sheet.centre.city.clone(),
        "Province" => sheet.centre.province.clone(),
        "Latitude" => call.latitude.to_string(),
        "Longitude" => call.longitude.to_string(),
        "Place" => call.place.clone(),
        "CallerName" => format!("{} {}", call.name.0, call.name.1),
        "CallBack" => call.callback.clone().unwrap_or_default(),
        "Narrative" => sheet.notes.iter().map(|note| note.1.as_str()).collect::<Vec<_>>().join("\n"),
        "Disposition" => sheet.disposition.map(|disposition| disposition.1.to_owned()).unwrap_or_default(),
        "Unit" => unit.map(|unit| unit.name.clone()).unwrap_or_default(),
        "UnitType" => unit.map(|unit| unit_type(unit.service).to_owned()).unwrap_or_default(),
        "Dispatched" => taken(UnitState::Dispatched),
        "EnRoute" => taken(UnitState::EnRoute),
        "OnScene" => taken(UnitState::OnScene),
        "Cleared" => taken(UnitState::Cleared),
        "SelfHarm" => stated("self_harm"),
        // Age and the screening columns are the facts' names with a capital.
        other => stated(&other.to_ascii_lowercase()),
    }
}

fn status(sheet: &Sheet) -> String {
    match sheet.life {
        Life::Open => "Open",
        Life::Closed => "Closed",
        Life::Cancelled => "Cancelled",
    }
    .to_owned()
}

/// Quoted where it must be.
fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}
