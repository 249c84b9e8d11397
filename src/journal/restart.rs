//! What a restart needs of a journal without reading all of it: how each incident stands, and the last entries of a kind.
//!
//! Derived data: any store can compute it from the chain, as the functions here do. A store that keeps it beside the
//! chain writes it in the same commit as the entries, and rebuilds it where it is missing or doubted.

use super::{Entry, Journal, JournalError, Stored, Subject};
use crate::incident::{Incident, Phase};
use crate::record::{AgencyId, IncidentId, TimePoint};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Entries read from the journal at a time.
const READ_ENTRIES: usize = 10_000;

/// How an incident stands after its last entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// True where nothing is left to do: closed, nothing to deliver, no deadline. Such an incident is not folded at a restart.
    pub rests: bool,
    /// The earliest instant at which something is due.
    pub next_deadline: Option<Timestamp>,
    /// How its sender calls it; `None` before a record was applied.
    pub called: Option<Called>,
}

/// An incident that does not rest, with its name where it has one.
pub type Unsettled = (IncidentId, Option<Called>);

/// By what name a later record finds an incident, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// The agency that calls it so.
    pub agency: AgencyId,
    /// The sender's name for it.
    pub name: String,
    /// The first instant known of it.
    pub began: Option<Timestamp>,
    /// When it ended.
    pub closed_at: Option<Timestamp>,
}

impl Standing {
    /// How an incident stands.
    #[must_use]
    pub fn of(incident: &Incident) -> Self {
        let called = incident.identity.as_ref().map(|identity| Called {
            agency: identity.agency.clone(),
            name: identity.incident.clone(),
            began: incident.began(),
            closed_at: (incident.phase == Phase::Closed)
                .then(|| incident.times.get(&TimePoint::Closed).copied())
                .flatten(),
        });
        Self { rests: incident.rests(), next_deadline: incident.next_deadline(), called }
    }
}

impl Stored {
    /// The event's name on the wire (`offered`, `roster-set`, …).
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] for an event that has no JSON form.
    pub fn kind(&self) -> Result<String, JournalError> {
        let unnamed = || JournalError::Corrupt { sequence: 0, why: "an event without a name".to_owned() };
        let value = serde_json::to_value(self).map_err(|_| unnamed())?;
        value.get("event").and_then(serde_json::Value::as_str).map(str::to_owned).ok_or_else(unnamed)
    }
}

/// Folds one incident from its entries by the live transition function.
#[must_use]
pub fn fold(id: &IncidentId, entries: &[Entry]) -> Incident {
    let mut incident = Incident::new(id.clone());
    for entry in entries {
        if let Stored::Incident(event) = &entry.stored {
            let _ = incident.on(event, entry.at);
        }
    }
    incident
}

/// How every incident stands, folded from the whole chain: what a store without derived data answers by.
///
/// # Errors
/// As [`Journal::read_after`].
pub async fn standings<J: Journal + ?Sized>(journal: &J) -> Result<BTreeMap<IncidentId, Standing>, JournalError> {
    let mut incidents: BTreeMap<IncidentId, Incident> = BTreeMap::new();
    let mut after = 0;
    loop {
        let entries = journal.read_after(after, READ_ENTRIES).await?;
        let Some(last) = entries.last() else { break };
        after = last.sequence;
        for entry in &entries {
            if let (Subject::Incident(id), Stored::Incident(event)) = (&entry.subject, &entry.stored) {
                let incident = incidents.entry(id.clone()).or_insert_with(|| Incident::new(id.clone()));
                let _ = incident.on(event, entry.at);
            }
        }
    }
    Ok(incidents.iter().map(|(id, incident)| (id.clone(), Standing::of(incident))).collect())
}

/// The newest entries of one kind, found by reading the whole chain.
///
/// # Errors
/// As [`Journal::read_after`].
pub async fn kind_before<J: Journal + ?Sized>(
    journal: &J,
    kind: &str,
    before: u64,
    limit: usize,
) -> Result<Vec<Entry>, JournalError> {
    let mut found = std::collections::VecDeque::new();
    let mut after = 0;
    loop {
        let entries = journal.read_after(after, READ_ENTRIES).await?;
        let Some(last) = entries.last() else { break };
        after = last.sequence;
        for entry in entries {
            if entry.sequence < before && entry.stored.kind()? == kind {
                found.push_front(entry);
                found.truncate(limit);
            }
        }
    }
    Ok(found.into())
}

/// When the last entry happened, found by reading the whole chain.
///
/// # Errors
/// As [`Journal::read_after`].
pub async fn last_instant<J: Journal + ?Sized>(journal: &J) -> Result<Option<Timestamp>, JournalError> {
    let mut last: Option<Entry> = None;
    loop {
        let after = last.as_ref().map_or(0, |entry| entry.sequence);
        match journal.read_after(after, READ_ENTRIES).await?.pop() {
            Some(entry) => last = Some(entry),
            None => return Ok(last.map(|entry| entry.at)),
        }
    }
}

/// Kinds of which a restart reads the last entries.
pub const KINDS_READ_AT_OPEN: [&str; 5] = ["record-received", "assessed", "roster-set", "undeliverable", "redriven"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::Event;
    use crate::journal::AdapterEvent;

    #[test]
    fn the_kinds_read_at_open_are_kinds() {
        let roster = AdapterEvent::RosterSet { surge: true, unstaffed: Vec::new(), deciders_away: Vec::new() };
        assert_eq!(Stored::Adapter(roster).kind().unwrap(), "roster-set");
        for name in KINDS_READ_AT_OPEN.into_iter().filter(|name| *name != "roster-set") {
            let path = format!("{}/schemas/journal/events/v1/{name}.json", env!("CARGO_MANIFEST_DIR"));
            let event: Event = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            assert_eq!(Stored::Incident(event).kind().unwrap(), name);
        }
    }
}
