//! How a record finds its incident: by the sender's name for it, unless that name has been used again.

use super::views::CallProblem;
use crate::clock::Clock;
use crate::incident::Incident;
use crate::journal::{JournalError, Standing};
use crate::record::{AgencyId, IncidentId, RecordIdentity, TimePoint, TimePoints};
use jiff::Timestamp;

#[derive(Clone)]
pub(super) struct Found {
    pub(super) incident: IncidentId,
    pub(super) began: Option<Timestamp>,
    pub(super) closed_at: Option<Timestamp>,
}

impl Found {
    pub(super) fn of(incident: &Incident) -> Self {
        let closed_at = Standing::of(incident).called.and_then(|called| called.closed_at);
        Self { incident: incident.id.clone(), began: incident.began(), closed_at }
    }
}

/// How a sender's incident is recognised. EIDO incident tracking identifiers are unique across agencies
/// (NENA-STA-021.1b 2.2), so that two agencies' EIDOs of one incident meet; other names are an agency's own.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct CallKey {
    pub(super) agency: String,
    pub(super) incident: String,
}

impl CallKey {
    pub(super) fn of(identity: &RecordIdentity) -> Self {
        Self::named(&identity.agency, &identity.incident)
    }

    pub(super) fn named(agency: &AgencyId, incident: &str) -> Self {
        let global = incident.starts_with("urn:emergency:uid:incidentid:");
        let agency = if global { String::new() } else { agency.as_str().to_owned() };
        Self { agency, incident: incident.to_owned() }
    }
}

pub(super) fn stated_begin(times: &TimePoints) -> Option<Timestamp> {
    times.get(TimePoint::Received).or_else(|| times.get(TimePoint::Entered))
}

/// True where a sender uses the name of a closed incident for a new call (fault 5): it began at another time, or, where
/// the sender states no time, the old one has been closed for half a day.
pub(super) fn is_reused(found: &Found, stated: Option<Timestamp>, now: Timestamp) -> bool {
    let Some(closed_at) = found.closed_at else { return false };
    match (found.began, stated) {
        (Some(before), Some(stated)) => before != stated && stated > closed_at,
        (None, _) | (_, None) => now.duration_since(closed_at).as_hours() >= 12,
    }
}

/// A random name: opaque, and long enough that nobody can guess another's.
pub(super) fn new_incident_id(clock: &Clock) -> Result<IncidentId, CallProblem> {
    let bytes =
        clock.random_bytes::<10>().map_err(|_| JournalError::Unavailable("no randomness for a name".to_owned()))?;
    Ok(IncidentId::new(format!("i-{}", hex::encode(bytes))))
}
