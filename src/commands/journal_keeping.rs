//! `fourth journal export|forget|seal|drop`: everything as lines of JSON; a person forgotten; periods sealed and dropped.

use super::source::{Source, Upkeep};
use super::{Ending, Verdict};
use crate::clock::Clock;
use crate::journal::{Entry, Seal};
use crate::record::IncidentId;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::io::Write;

/// Entries read from the journal at a time.
const PAGE_ENTRIES: usize = 5_000;

/// What leaves of an event: an allow-list, so that a field that a later event brings stays until somebody puts it here.
/// Not among them: reasons typed by a person, who may name one, and the keyed hashes of places and numbers.
const RELEASED: [&str; 53] = [
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
    "asked",
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
pub(super) fn forget(journal: &Upkeep, incident: &str, out: &mut dyn Write) -> Ending {
    let (id, now) = (IncidentId::new(incident), Clock::system().now());
    let entry = journal.run(async |journal| journal.forget(&id, now).await)?;
    writeln!(out, "what was kept of the people of `{incident}` is destroyed; entry {} says so", entry.sequence)?;
    writeln!(out, "{}, under the key file where one is configured", journal.copies)?;
    Ok(Verdict::Good)
}

/// Seals what happened before an instant.
pub(super) fn seal(journal: &Upkeep, before: &Timestamp, out: &mut dyn Write) -> Ending {
    let now = Clock::system().now();
    match journal.run(async |journal| journal.seal(*before, now).await)? {
        Some(Seal { through, hash, entries, ended_at }) => writeln!(
            out,
            "sealed: {entries} entries up to entry {through}, which happened at {ended_at}; checkpoint {through}:{hash}"
        )?,
        None => writeln!(out, "nothing that is not sealed yet happened before {before}")?,
    }
    Ok(Verdict::Good)
}

/// Drops what a seal ends.
pub(super) fn drop_sealed(journal: &Upkeep, through: u64, out: &mut dyn Write) -> Ending {
    let now = Clock::system().now();
    let gone = journal.run(async |journal| journal.drop_sealed(through, now).await)?;
    writeln!(out, "{gone} entries up to entry {through} are dropped; the chain begins after it")?;
    Ok(Verdict::Good)
}

#[cfg(test)]
mod tests {
    use super::super::source::Where;
    use super::*;
    use crate::journal::Stored;
    use crate::journal::conformance::{Until, instant, life};
    use std::path::Path;

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

    /// A command on a thread of its own: it has a runtime of its own.
    fn told(config: &Where, work: impl FnOnce(&Where, &mut dyn Write) -> Ending + Send + 'static) -> (Ending, String) {
        let config = config.clone();
        std::thread::spawn(move || crate::commands::trial::ran(|out| work(&config, out))).join().unwrap()
    }

    /// The same words on a shared database, by the configuration that names it, beside an adapter.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn people_are_forgotten_and_periods_dropped_in_a_shared_database_by_its_configuration() {
        use crate::journal::server::Cluster;
        use crate::journal::{Journal, PostgresJournal, PostgresSettings};
        let (cluster, folder) = (Cluster::start(&[]), tempfile::tempdir().unwrap());
        let sample = include_str!("../../schemas/fourth.toml");
        let shared = format!(
            "[journal]\n[journal.postgres]\nurl = \"{}\"\nagency = \"psap.example\"\nadapter = \"east\"\n#",
            cluster.url(&[])
        );
        let config = folder.path().join("fourth.toml");
        std::fs::write(&config, sample.replace("[journal]\npath = \"fourth.db\" ", &shared)).unwrap();
        let config = Where { journal: None, config: Some(config) };
        let no_journal = told(&config, |config, out| forget(&config.open_for_upkeep()?, "one", out)).0.unwrap_err();
        assert!(no_journal.message.contains("no journal is in this database"), "{no_journal}");
        let settings = PostgresSettings::new(cluster.url(&[]).parse().unwrap(), "psap.example", "east");
        let east = PostgresJournal::open(&settings).await.unwrap();
        for (name, until) in [("one", Until::Rest), ("two", Until::Offered)] {
            for batch in life(name, instant(0), until) {
                east.append(batch).await.unwrap();
            }
        }
        let (ending, said) = told(&config, |config, out| forget(&config.open_for_upkeep()?, "one", out));
        assert_eq!(ending, Ok(Verdict::Good));
        assert!(said.contains("is destroyed") && said.contains("backups and logs of the database"), "{said}");
        let open = told(&config, |config, out| forget(&config.open_for_upkeep()?, "two", out)).0.unwrap_err();
        assert!(open.message.contains("agency psap.example") && open.message.contains("`two` is open"), "{open}");
        let (ending, said) = told(&config, |config, out| seal(&config.open_for_upkeep()?, &instant(3_600), out));
        assert_eq!(ending, Ok(Verdict::Good));
        let last = cluster.sql("SELECT through || ' ' || encode(hash, 'hex') FROM fourth.seal");
        let (through, hash) = last.split_once(' ').unwrap();
        let end: u64 = through.parse().unwrap();
        let dropping =
            |through| told(&config, move |config, out| drop_sealed(&config.open_for_upkeep()?, through, out));
        assert!(said.contains(&format!("checkpoint {through}:{hash}")), "{said}");
        let refused = dropping(1).0.unwrap_err();
        assert!(refused.message.contains("no seal ends at entry 1"), "{refused}");
        let refused = dropping(end);
        assert!(refused.0.unwrap_err().message.contains("`two` began in the period and is open"));
        let version = east.read_incident(&IncidentId::new("two")).await.unwrap().len() as u64;
        let whole = life("two", instant(0), Until::Rest).into_iter();
        for batch in whole.skip_while(|batch| batch.expected_version < version) {
            east.append(batch).await.unwrap();
        }
        let (ending, said) = dropping(end);
        assert_eq!(ending, Ok(Verdict::Good));
        assert!(said.starts_with(&format!("{through} entries up to entry {through} are dropped")), "{said}");
        let (ending, said) = told(&config, |config, out| export(&config.open()?, 0, out));
        assert_eq!(ending, Ok(Verdict::Good));
        let first: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
        assert_eq!(first["sequence"].as_u64().unwrap() - 1, end);
        assert!(!east.read_after(0, 9).await.unwrap().is_empty() && east.ready());
        let names = cluster.sql("SELECT string_agg(adapter || ' ' || epoch, ',') FROM fourth.writer");
        assert_eq!(names, "east 1", "nobody was fenced, and nobody stays");
    }
}
