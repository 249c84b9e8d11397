//! What an EIDO that the adapter wrote back says: which incident, and what has happened to it.

use serde_json::Value;

/// What the adapter tells the CAD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A community team is now the responder.
    TeamAccepted,
    /// The team moved: en route, on scene, with person.
    TeamMoved,
    /// The call is on the ordinary route.
    OrdinaryRoute,
    /// Back-up is needed now, from this service.
    Backup(String),
    /// The team is done.
    Cleared,
    /// Somebody owes something and is late.
    Alarm,
    /// Something else.
    Other(String),
}

/// Kebab-case names of notices as the adapter writes them.
const NAMES: [&str; 6] = ["team-accepted", "team-moved", "ordinary-route", "backup", "cleared", "overdue"];

impl Notice {
    /// The name that it is counted by.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::TeamAccepted => "team-accepted",
            Self::TeamMoved => "team-moved",
            Self::OrdinaryRoute => "ordinary-route",
            Self::Backup(_) => "backup",
            Self::Cleared => "cleared",
            Self::Alarm => "overdue",
            Self::Other(_) => "other",
        }
    }

    /// Reads a written-back EIDO: the source's name of the incident where it is there, and the notice.
    ///
    /// The incident is the EIDO's own `$id`, or its `internalIncidentId` where the source does not speak EIDO. What has
    /// happened is said by the `Fourth-Notice` header where it is there; a CAD that does not know that header reads the
    /// team's unit status, the disposition and the note, and so does this.
    #[must_use]
    pub fn read(header: Option<&str>, eido: &Value) -> (Option<String>, Self) {
        let notes = notes(eido);
        let notice = match header {
            Some(name) if NAMES.contains(&name) => named(name, &notes),
            _ => concluded(eido, &notes),
        };
        (incident(eido), notice)
    }
}

fn incident(eido: &Value) -> Option<String> {
    let internal = eido.pointer("/incidentComponent/internalIncidentId").and_then(Value::as_str);
    let own = eido.get("$id").and_then(Value::as_str);
    internal.or(own).map(str::to_owned)
}

/// The words of all notes, in small letters.
fn notes(eido: &Value) -> String {
    let notes = eido.get("notesComponent").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let words = notes.iter().filter_map(|note| note.get("notesActionComments").and_then(Value::as_str));
    words.collect::<Vec<_>>().join(" ").to_lowercase()
}

fn concluded(eido: &Value, notes: &str) -> Notice {
    let status = eido
        .pointer("/emergencyResourceComponent/0/secondaryUnitStatusRegistryText/0")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match status {
        "Assigned" | "AcknowledgedTransmission" | "Dispatched" => Notice::TeamAccepted,
        "EnRoute" | "Arrived" | "OnScene" | "PatientContact" | "Transporting" => Notice::TeamMoved,
        "Cleared" => Notice::Cleared,
        // Back-up before the ordinary route: of two readings the one that sends more.
        _ if notes.contains("back-up") || notes.contains("backup") => named("backup", notes),
        _ if notes.contains("ordinary route") => Notice::OrdinaryRoute,
        other => Notice::Other(other.to_owned()),
    }
}

fn named(name: &str, notes: &str) -> Notice {
    match name {
        "team-accepted" => Notice::TeamAccepted,
        "team-moved" => Notice::TeamMoved,
        "ordinary-route" => Notice::OrdinaryRoute,
        "cleared" => Notice::Cleared,
        "overdue" => Notice::Alarm,
        _ => {
            let service = ["ems", "fire"].into_iter().find(|service| notes.contains(service)).unwrap_or("police");
            Notice::Backup(service.to_owned())
        }
    }
}
