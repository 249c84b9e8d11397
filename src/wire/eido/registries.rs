//! The EIDO registries (NENA-STA-021.1b-2022 chapter 3) that are matched, whatever case or spacing a sender writes.
//!
//! Registries may grow; a value that is not listed stays as it came.

use crate::record::TimePoint;

/// Registry PersonRole.
pub(super) const PERSON_ROLES: &[&str] = &[
    "InvolvedPerson",
    "Caller",
    "Patient",
    "PatientAcquaintance",
    "PatientRelative",
    "PersonOfInterest",
    "ReportingParty",
    "Suspect",
    "Victim",
    "VictimAcquaintance",
    "VictimRelative",
    "Witness",
];

/// Registry LocationType.
pub(super) const LOCATION_TYPES: &[&str] = &[
    "RoutingLocation",
    "Caller",
    "CurrentIncident",
    "InitialIncident",
    "Investigation",
    "Other",
    "Staging",
    "TowerLocation",
    "UnitLocation",
];

/// Directions of a merge or split (`IncidentMergeDirectionCodeSimpleType`).
pub(super) const MERGES: &[&str] = &["REPLACING", "REPLACED", "SPLIT"];

/// Kinds of a link (`LinkDirectionCodeSimpleType`).
pub(super) const LINKS: &[&str] = &["PARENT", "CHILD", "RELATED", "UNLINK"];

/// Registry IncidentStatus-Common.
pub(super) const INCIDENT_STATUSES: &[&str] = &[
    "Active",
    "Cancelled",
    "Closed",
    "FireUnderControl",
    "NewLocation",
    "ReOpened",
    "ResourcesAssigned",
    "ResourcesEnroute",
    "ResourcesOnscene",
    "StructureCleared",
];

/// Registry SecondaryUnitStatus-Common, with the time point it shows where nothing else qualifies it.
pub(super) const UNIT_STATUSES: &[(&str, Option<TimePoint>)] = &[
    ("AcknowledgedTransmission", Some(TimePoint::Dispatched)),
    ("Assigned", Some(TimePoint::Dispatched)),
    ("Dispatched", Some(TimePoint::Dispatched)),
    ("EnRoute", Some(TimePoint::EnRoute)),
    ("Arrived", Some(TimePoint::OnScene)),
    ("OnScene", Some(TimePoint::OnScene)),
    ("PatientContact", Some(TimePoint::WithPerson)),
    ("AssignmentCancelled", Some(TimePoint::Cleared)),
    ("Cleared", Some(TimePoint::Cleared)),
];

/// Secondary statuses that name another place: `EnRoute` beside one of them is not the way to the scene.
const ELSEWHERE: &[&str] = &[
    "AlternateLocation",
    "BacktoAssignedArea",
    "Court",
    "CoveringAlternateArea",
    "Departed",
    "Event",
    "Hospital",
    "Location",
    "Meeting",
    "Post",
    "RollCall",
    "Staging",
    "Station",
    "Transporting",
];

/// Registry EmergencyResourceType-Common.
pub(super) const RESOURCE_TYPES: &[&str] = &[
    "AirAmbulanceFixedWing",
    "AirAmbulanceRotaryWing",
    "AirSearchTeam",
    "AirborneCommunicationRelayTeamFixed",
    "FixedWingAircraft",
    "RotaryWingAircraft",
    "AirborneTransportTeamFixedWing",
    "AirCompressor",
    "AirConditioner-Heater",
    "ATV",
    "GroundALSAmbulance",
    "LargeAnimalRescueTeam",
    "LargeAnimalShelteringTeam",
    "LargeAnimalTransportTeam",
    "SmallAnimalRescueTeam",
    "SmallAnimalShelteringTeam",
    "SmallAnimalTransportTeam",
    "AssaultHomicideUnit",
    "GroundBLSAmbulance",
    "BikeTeam",
    "BombSquad",
    "BrushFireEngineType3",
    "BrushFireEngineType4",
    "BrushFireEngineType5",
    "BrushFireEngineType6",
    "BrushFireEngineType7",
    "Bus",
    "CanineSearchandRescue",
    "DisasterCollapsedStructureCanineTech",
    "CaveSearchandRescue",
    "CivilServiceOfficer",
    "CoastGuard",
    "CollapseSearchandRescue",
    "CommandLevel4",
    "CommandLevel3",
    "CommandLevel2",
    "CommandLevel1",
    "CommSupportTeam",
    "CommunityPolicingUnit",
    "Crane",
    "CrisisInterventionUnit",
    "ResponderCrewTransport",
    "DetoxTransport",
    "UnmannedAerialVehicle",
    "ElectronicBoard",
    "FireBoat",
    "FireTruckLadder",
    "FireFoamTender",
    "FoamTank",
    "ForensicEvidence",
    "FuelTender",
    "GangEnforcement",
    "HazMatTeam",
    "FireHelicopter",
    "HeavyRescue",
    "IncidentManagementTeam",
    "Investigator",
    "LawEnforcementCommandUnit",
    "PatrolUnit",
    "SchoolOfficer",
    "LightRescue",
    "MaintenanceandRepairTeam",
    "ParkingEnforcement",
    "MobileCommunicationCenter",
    "MobileSupportVehicle",
    "CrowdControlTeam",
    "MountedPatrol",
    "MountainSearchandRescueTeam",
    "MedicalTransportVehicle",
    "ParkRanger",
    "DiveTeam",
    "RapidResponseSpecialist",
    "RoadSweeper",
    "SafetyOfficer",
    "SnowBlower",
    "SnowCat",
    "StructureFireEngineType1",
    "StructureFireEngineType2",
    "SWAT",
    "SwiftwaterRescueTeam",
    "VehicularCrimesTeam",
    "Veterinarian",
    "WaterRescueTeam",
    "TrafficUnit",
    "TransitOfficer",
    "DumpTruck",
    "TowTruck",
    "PlowTruck",
    "TugBoat",
    "VictimAdvocate",
    "DeWateringWaterPump",
    "WasteWaterPump",
    "FireWaterTender",
    "WaterTruck",
    "WheelDozer",
    "WheelLoaderBackhoe",
    "WheelLoader",
    "WheelLoaderSkidSteer",
    "WoodChipper",
    "WildlandTaskForce",
    "StrikeTeam",
    "HotShotTeam",
];

/// The first name that equals the text without case, spaces, hyphens and underscores.
pub(super) fn canonical<'n>(text: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    names.into_iter().find(|name| *name == text || letters(name).eq(letters(text)))
}

fn letters(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter(|letter| letter.is_alphanumeric()).map(|letter| letter.to_ascii_lowercase())
}

/// The furthest point that a unit's statuses show on the way to, at, or from the incident.
pub(super) fn unit_point<'t>(statuses: impl Iterator<Item = &'t str> + Clone) -> Option<TimePoint> {
    let elsewhere = statuses.clone().any(|status| canonical(status, ELSEWHERE.iter().copied()).is_some());
    statuses
        .filter_map(|status| {
            let name = canonical(status, UNIT_STATUSES.iter().map(|(name, _)| *name))?;
            let point = UNIT_STATUSES.iter().find(|(known, _)| *known == name).and_then(|(_, point)| *point)?;
            let moving = matches!(name, "EnRoute" | "Arrived");
            (!(elsewhere && moving)).then_some(point)
        })
        .max()
}
