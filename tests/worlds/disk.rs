//! What a simulated store has on its disk: entries, records, how incidents stand. It forgets nothing, and gives back what it has.

use bytes::Bytes;
use fourth_option::incident::Event;
use fourth_option::journal::{AdapterEvent, Batch, Called, Entry, JournalError, Standing, Stored, Subject, Unsettled};
use fourth_option::record::IncidentId;
use jiff::Timestamp;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Disk {
    pub entries: Vec<Entry>,
    versions: BTreeMap<IncidentId, u64>,
    contents: BTreeMap<String, Bytes>,
    pub standings: BTreeMap<IncidentId, Standing>,
}

impl Disk {
    /// Writes a batch, where its incident stands at the version that it expects.
    pub fn commit(&mut self, batch: Batch) -> Result<Vec<Entry>, JournalError> {
        let (mut version, incident) = match &batch.subject {
            Subject::Adapter => (0, None),
            Subject::Incident(id) => (self.versions.get(id).copied().unwrap_or(0), Some(id.clone())),
        };
        if incident.is_some() && version != batch.expected_version {
            return Err(JournalError::Conflict { expected: batch.expected_version, found: version });
        }
        if let Some(content) = batch.content {
            self.contents.insert(content.sha256, content.bytes);
        }
        let from = self.entries.len();
        for stored in batch.events {
            version += u64::from(incident.is_some());
            self.entries.push(Entry {
                sequence: self.entries.len() as u64 + 1,
                subject: batch.subject.clone(),
                version,
                at: batch.at,
                stored,
                hash: String::new(),
            });
        }
        if let Some(id) = incident {
            if let Some(standing) = batch.standing {
                self.standings.insert(id.clone(), standing);
            }
            self.versions.insert(id, version);
        }
        Ok(self.entries[from..].to_vec())
    }

    pub fn after(&self, sequence: u64, limit: usize) -> Vec<Entry> {
        self.entries.iter().skip(usize::try_from(sequence).unwrap()).take(limit).cloned().collect()
    }

    pub fn of_incident(&self, incident: &IncidentId) -> Vec<Entry> {
        let of_it = |entry: &&Entry| matches!(&entry.subject, Subject::Incident(id) if id == incident);
        self.entries.iter().filter(of_it).cloned().collect()
    }

    /// The newest of a kind first.
    pub fn of_kind_before(&self, wanted: &str, before: u64, limit: usize) -> Vec<Entry> {
        let found = |entry: &&Entry| entry.sequence < before && kind(&entry.stored) == wanted;
        self.entries.iter().rev().filter(found).take(limit).cloned().collect()
    }

    pub fn unsettled(&self) -> Vec<Unsettled> {
        let open = self.standings.iter().filter(|(_, standing)| !standing.rests);
        open.map(|(id, standing)| (id.clone(), standing.called.clone())).collect()
    }

    pub fn called_since(&self, since: Timestamp) -> Vec<(IncidentId, Called)> {
        let resting = self.standings.iter().filter(|(_, standing)| standing.rests);
        let called = resting.filter_map(|(id, standing)| Some((id.clone(), standing.called.clone()?)));
        called.filter(|(_, called)| called.closed_at.is_none_or(|at| at >= since)).collect()
    }

    pub fn last_instant(&self) -> Option<Timestamp> {
        self.entries.last().map(|entry| entry.at)
    }

    pub fn content(&self, sha256: &str) -> Option<Bytes> {
        self.contents.get(sha256).cloned()
    }
}

/// The name of an event, as in its JSON.
pub fn kind(stored: &Stored) -> &'static str {
    let event = match stored {
        Stored::Incident(event) => event,
        Stored::Adapter(AdapterEvent::PolicyLoaded { .. }) => return "policy-loaded",
        Stored::Adapter(AdapterEvent::Started { .. }) => return "started",
        Stored::Adapter(_) => return "adapter",
    };
    match event {
        Event::RecordReceived(_) => "record-received",
        Event::Assessed { .. } => "assessed",
        Event::Chosen { .. } => "chosen",
        Event::Offered { .. } => "offered",
        Event::Accepted { .. } => "accepted",
        Event::Declined { .. } => "declined",
        Event::TimedOut { .. } => "timed-out",
        Event::Withdrawn { .. } => "withdrawn",
        Event::AnsweredLate { .. } => "answered-late",
        Event::TeamMoved { .. } => "team-moved",
        Event::HazardReported { .. } => "hazard-reported",
        Event::StoodBack { .. } => "stood-back",
        Event::ReturnedToOrdinary { .. } => "returned-to-ordinary",
        Event::Cleared { .. } => "cleared",
        Event::Closed { .. } => "closed",
        Event::Delivered { .. } => "delivered",
        Event::Undeliverable { .. } => "undeliverable",
        Event::HandedOn { .. } => "handed-on",
        Event::BackupRequested { .. } => "backup-requested",
        Event::AnswerGiven { .. } => "answer-given",
        Event::DutyOpened { .. } => "duty-opened",
        Event::DutyOverdue { .. } => "duty-overdue",
        Event::DutyClosed { .. } => "duty-closed",
        _ => "other",
    }
}
