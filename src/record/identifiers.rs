//! Identifiers, each its own type so that one cannot be handed where another belongs. Copies share one text.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps the text as it stands.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into().into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

identifier!(
    /// An agency, by its fully qualified name (EIDO agency id, `state.pa.us`) or the name the configuration gives it.
    AgencyId
);
identifier!(
    /// The sending element of an agency (EIDO `issuingElementIdentification`, a CAD's name).
    SourceId
);
identifier!(
    /// The adapter's own name of an incident: opaque, drawn at random, safe in logs and URLs.
    IncidentId
);
identifier!(
    /// A program of the policy (`psr`, `line-211`, `pact`).
    ProgramId
);
identifier!(
    /// One leg of an incident's hand-over: `<incident>.<n>`, n counted from 1.
    LegId
);

impl LegId {
    /// The n-th leg (from 1) of an incident.
    #[must_use]
    pub fn of(incident: &IncidentId, number: u32) -> Self {
        Self::new(format!("{incident}.{number}"))
    }

    /// The incident this leg belongs to.
    #[must_use]
    pub fn incident(&self) -> IncidentId {
        let incident = self.0.rsplit_once('.').map_or(self.as_str(), |(incident, _)| incident);
        IncidentId::new(incident)
    }
}

identifier!(
    /// Something owed on an incident: `<incident>.d<n>`, n counted from 1.
    DutyId
);

impl DutyId {
    /// The n-th duty (from 1) of an incident.
    #[must_use]
    pub fn of(incident: &IncidentId, number: u32) -> Self {
        Self::new(format!("{incident}.d{number}"))
    }

    /// The incident this duty belongs to.
    #[must_use]
    pub fn incident(&self) -> IncidentId {
        let incident = self.0.rsplit_once('.').map_or(self.as_str(), |(incident, _)| incident);
        IncidentId::new(incident)
    }
}

/// Who sent which incident in which version: equal identities are the same record sent again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordIdentity {
    /// The sending agency.
    pub agency: AgencyId,
    /// The sending element; a snapshot replaces the last snapshot of the same element.
    pub element: SourceId,
    /// The sender's name of the incident (EIDO incident tracking identifier, `CallNumber`).
    pub incident: String,
    /// The sender's time of this version, by which versions are ordered; arrival order never is.
    pub updated_at: Option<Timestamp>,
    /// SHA-256 of the bytes as they came, lower-case hex.
    pub content_sha256: String,
}
