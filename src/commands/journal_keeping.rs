//! `fourth journal export|forget|seal|drop`: everything as lines of JSON; a person forgotten; periods sealed and dropped.

use super::source::{Source, unreadable};
use super::{BadInput, Ending, Verdict, in_runtime};
use crate::clock::Clock;
use crate::journal::{EmbeddedJournal, Entry, Journal, JournalError, Seal};
use crate::record::IncidentId;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::Path;

/// Entries read from the journal at a time.
const PAGE_ENTRIES: usize = 5_000;

/// What leaves of an event: an allow-list, so that a field that a later event brings stays until somebody puts it here.
/// Not among them: reasons typed by a person, who may name one, and the keyed hashes of places and numbers.
const RELEASED: [&str; 52] = [
    "event",
    "identity",
    "format",
    "times",
    "lifecycle",
    "test",
    "repairs",
    "mode",
    "applied",
    "related",
    "decision",
    "facts",
    "cause",
    "fact",
    "value",
    "by",
    "steps",
    "leg",
    "plan",
    "deadline",
    "key",
    "why",
    "answer",
    "status",
    "service",
    "team_requested",
    "disposition",
    "unit",
    "at",
    "version",
    "policy_digest",
    "waived",
    "problem",
    "length_bytes",
    "id",
    "revision",
    "digest",
    "surge",
    "unstaffed",
    "through",
    "incident",
    "duty",
    "kind",
    "program",
    "from",
    "due",
    "outcome",
    "after",
    "first_hash",
    "last_hash",
    "entries",
    "notes",
];

/// One entry as it may leave the agency.
pub(super) fn released(entry: &Entry) -> Result<Value, std::io::Error> {
    let mut entry = serde_json::to_value(entry).map_err(std::io::Error::from)?;
    if let Some(stored) = entry.get_mut("stored").and_then(Value::as_object_mut) {
        leave_out_what_is_personal(stored);
    }
    Ok(entry)
}

/// Of an event, and of the events that one keeps, what may leave.
fn leave_out_what_is_personal(stored: &mut Map<String, Value>) {
    // That a reason was given is no secret.
    let reason =
        stored.get("override_reason").map(|reason| if reason.is_null() { Value::Null } else { json!("given") });
    let kept = |(key, _): &(String, Value)| RELEASED.contains(&key.as_str());
    let mut kept: Map<String, Value> = std::mem::take(stored).into_iter().filter(kept).collect();
    kept.extend(reason.map(|reason| ("override_reason".to_owned(), reason)));
    for (list, within) in [("entries", "happened"), ("notes", "noted")] {
        for entry in kept.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            match entry.get_mut(within).and_then(Value::as_object_mut) {
                Some(event) => leave_out_what_is_personal(event),
                None => *entry = Value::Null,
            }
        }
    }
    *stored = kept;
}

/// Every entry after a sequence, one JSON object a line.
pub(super) fn export(journal: &Source, after: u64, out: &mut dyn Write) -> Ending {
    let mut after = after;
    loop {
        let page = journal.entries_after(after, PAGE_ENTRIES).map_err(|error| journal.unreadable(&error))?;
        let Some(last) = page.last() else { return Ok(Verdict::Good) };
        after = last.sequence;
        for entry in &page {
            writeln!(out, "{}", released(entry)?)?;
        }
    }
}

/// Destroys what is kept of the people behind an incident.
pub(super) fn forget(path: &Path, incident: &str, out: &mut dyn Write) -> Ending {
    let journal = open(path)?;
    in_runtime(async {
        let forgotten = journal.forget(&IncidentId::new(incident), Clock::system().now()).await;
        let entry = forgotten.map_err(|error| refused(path, &error))?;
        writeln!(out, "what was kept of the people of `{incident}` is destroyed; entry {} says so", entry.sequence)?;
        writeln!(out, "copies of the file made before still hold it, under the key file where one is configured")?;
        Ok(Verdict::Good)
    })
}

/// Seals what happened before an instant.
pub(super) fn seal(path: &Path, before: &Timestamp, out: &mut dyn Write) -> Ending {
    let journal = open(path)?;
    in_runtime(async {
        let sealed = journal.seal(*before, Clock::system().now()).await.map_err(|error| refused(path, &error))?;
        match sealed {
            Some(Seal { through, hash, entries, ended_at }) => writeln!(
                out,
                "sealed: {entries} entries up to entry {through}, which happened at {ended_at}; checkpoint {through}:{hash}"
            )?,
            None => writeln!(out, "nothing that is not sealed yet happened before {before}")?,
        }
        Ok(Verdict::Good)
    })
}

/// Drops what a seal ends.
pub(super) fn drop_sealed(path: &Path, through: u64, out: &mut dyn Write) -> Ending {
    let journal = open(path)?;
    in_runtime(async {
        let gone = journal.drop_sealed(through, Clock::system().now()).await.map_err(|error| refused(path, &error))?;
        writeln!(out, "{gone} entries up to entry {through} are dropped; the chain begins after it")?;
        Ok(Verdict::Good)
    })
}

fn open(path: &Path) -> Result<EmbeddedJournal, BadInput> {
    EmbeddedJournal::open_for_upkeep(path).map_err(|error| refused(path, &error))
}

fn refused(path: &Path, error: &JournalError) -> BadInput {
    match error {
        JournalError::Unavailable(why) => BadInput::new(format!("journal `{}`: {why}", path.display())),
        other => unreadable(path, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Stored;
    use crate::journal::conformance::{Until, instant, life};

    #[test]
    fn every_frozen_event_leaves_whole_but_for_what_a_person_typed_and_the_hashes_of_contacts() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/journal/events/v1");
        for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
            let event: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            let entry = Entry {
                sequence: 1,
                subject: crate::journal::Subject::Incident(IncidentId::new("i1")),
                version: 1,
                at: Timestamp::UNIX_EPOCH,
                stored: serde_json::from_value::<Stored>(event.clone()).unwrap(),
                hash: String::new(),
            };
            let told = released(&entry).unwrap()["stored"].clone();
            let held: Vec<&String> =
                event.as_object().unwrap().keys().filter(|key| told.get(key.as_str()).is_none()).collect();
            assert!(held.iter().all(|key| *key == "contact"), "{}: {held:?}", file.display());
        }
    }

    #[tokio::test]
    async fn a_reason_that_names_somebody_does_not_leave() {
        let mut entry = Entry {
            sequence: 1,
            subject: crate::journal::Subject::Adapter,
            version: 1,
            at: instant(0),
            stored: life("i1", instant(0), Until::Offered)[1].events[0].clone(),
            hash: String::new(),
        };
        if let Stored::Incident(crate::incident::Event::Chosen { override_reason, .. }) = &mut entry.stored {
            *override_reason = Some("Canary-Name is known to be armed".to_owned());
        }
        let mut kept = entry.clone();
        let Stored::Incident(happened) = entry.stored.clone() else { panic!("{entry:?}") };
        kept.stored = Stored::Incident(crate::incident::Event::KeptApart {
            incident: IncidentId::new("i1"),
            after: 3,
            first_hash: "ab".to_owned(),
            entries: vec![crate::incident::ApartEntry { at: instant(0), happened }],
        });
        for entry in [entry, kept] {
            let told = released(&entry).unwrap().to_string();
            assert!(told.contains(r#""override_reason":"given""#) && !told.contains("Canary"), "{told}");
        }
    }
}
