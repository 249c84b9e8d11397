//! How the CAD's own words stand in the standards: incident types, priorities, statuses, places.

use super::{Service, UnitState};

/// EIDO IncidentType-Common (APCO ANS 2.103.2-2019) by the centre's call type code; the first prefix that fits counts.
const COMMON_TYPES: [(&str, &str); 49] = [
    ("CS-ENCF", "FOTHER"),
    ("CS-PAN", "PHANDLE"),
    ("CS-LOI", "VAG"),
    ("CS-SLP", "VAG"),
    ("CS-ENC", "VAG"),
    ("CS-UNW", "TRESPASS"),
    ("CS-BLK", "CITASST"),
    ("CS-BIO", "CITASST"),
    ("CS-REF", "CITASST"),
    ("CS-SHL", "CITASST"),
    ("CS-", "WELFARE"),
    ("SU-INT", "INTOX"),
    ("SU-OD", "OD"),
    ("SU-", "DRUGS"),
    ("MH-VIO", "MTLV"),
    ("MH-SUIA", "SUICIDE"),
    ("MH-SUI", "SUICTHRT"),
    ("MH-", "MNTL"),
    ("DS-DOM", "DVA"),
    ("DS-FGT", "FIGHT"),
    ("DS-NOI", "NOISE"),
    ("DS-IND", "INDECENT"),
    ("DS-YTH", "JUV"),
    ("DS-", "DISORD"),
    ("PC-ASL", "ASSAULT"),
    ("PC-WPN", "WEAPON"),
    ("PC-THR", "THREATS"),
    ("PC-ROB", "ROBBERY"),
    ("PC-BNE", "BURGLARY"),
    ("PC-SHT", "SHOOT"),
    ("PC-SEX", "SEXOFFNS"),
    ("PC-SHP", "SHOPLIFT"),
    ("PC-MISY", "RUNAWAY"),
    ("PC-MISS", "SAR"),
    ("PC-MIS", "VANDAL"),
    ("PC-SUS", "PERSUSP"),
    ("PC-IMP", "DUI"),
    ("PC-ALM", "ALRU"),
    ("PC-HUP", "911H"),
    ("PC-PRK", "PARKING"),
    ("PC-ANI", "ANIMAL"),
    ("PC-FRD", "FRAUD"),
    ("PC-", "LARCENY"),
    ("TR-COLI", "MVAINJY"),
    ("TR-COL", "MVA"),
    ("TR-", "THAZ"),
    ("FD-STR", "FSTRU"),
    ("EM-CAR", "CARDIAC"),
    ("EM-UNC", "PERUNCON"),
];
/// The rest of fire and medical.
const FURTHER_COMMON_TYPES: [(&str, &str); 6] = [
    ("FD-VEH", "FVEH"),
    ("FD-GRS", "FBRUSH"),
    ("FD-ALM", "ALRF"),
    ("FD-HAZ", "HAZMAT"),
    ("FD-RES", "RESCUE"),
    ("EM-", "SICK"),
];

/// The common incident type of a call type code; `TROUBLE` (unknown type trouble) where none fits.
pub(super) fn common_type(call_type: &str) -> &'static str {
    COMMON_TYPES
        .iter()
        .chain(&FURTHER_COMMON_TYPES)
        .find(|(prefix, _)| call_type.starts_with(prefix))
        .map_or("TROUBLE", |(_, common)| common)
}

/// `incidentCommonPriorityNumber`, 10 highest (NENA-STA-021.1b), of the centre's own priority, `1` most urgent.
pub(super) fn common_priority(priority: &str) -> u8 {
    match priority {
        "1" => 10,
        "2" => 8,
        "3" => 6,
        "4" => 4,
        _ => 2,
    }
}

/// The centre's own words for its priority.
pub(super) fn priority_text(priority: &str) -> &'static str {
    match priority {
        "1" => "Immediate",
        "2" => "High",
        "3" => "Medium",
        "4" => "Low",
        _ => "Routine",
    }
}

/// EIDO SecondaryUnitStatus of a unit's state.
pub(super) fn unit_status(state: UnitState) -> &'static str {
    match state {
        UnitState::Dispatched => "Dispatched",
        UnitState::EnRoute => "EnRoute",
        UnitState::OnScene => "OnScene",
        UnitState::Cleared => "Cleared",
    }
}

/// EIDO EmergencyResourceType of a service's unit.
pub(super) fn resource_type(service: Service) -> &'static str {
    match service {
        Service::Police => "PatrolUnit",
        Service::Fire => "StructureFireEngineType1",
        Service::Ems => "GroundBLSAmbulance",
    }
}

/// The vendor's words for a service's unit.
pub(super) fn unit_type(service: Service) -> &'static str {
    match service {
        Service::Police => "Patrol",
        Service::Fire => "Engine",
        Service::Ems => "Ambulance",
    }
}

/// RFC 4589 place type (PIDF-LO `PLC`) of a setting.
pub(super) fn place_type(setting: &str) -> &'static str {
    match setting {
        "outdoors" => "outdoors",
        "public-indoor" => "public",
        "private-residence" => "residence",
        "vehicle" => "automobile",
        "roadway" => "street",
        "school" => "school",
        _ => "other",
    }
}

/// The call type in words: the kind's name as a CAD shows it (`person-down` → `Person down`).
pub(super) fn call_type_text(kind: &str) -> String {
    let mut text = kind.replace('-', " ");
    if let Some(first) = text.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    text
}
