//! What every journal must do of what it keeps and does not: records under keys, people forgotten, periods sealed and dropped.

use super::{Until, all, batch, instant, life};
use crate::incident::{EVENT_VERSION, Event};
use crate::journal::{
    AdapterEvent, Batch, Chain, Content, Entry, Journal, JournalError, Link, Pending, Seal, Standing, Stored, Subject,
    Verification, restart,
};
use crate::record::IncidentId;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use std::sync::Arc;

const CANARY: &str = "Canary-Name, Canary-Street 4711";

/// A store as these tests need it: opened again and again, verified, looked into, and changed behind its back.
pub trait Store: Sync {
    /// Opens it to serve, under the key of 64 times this digit or none.
    fn open<'a>(&'a self, key: Option<&'a str>) -> Pending<'a, Result<Arc<dyn Journal>, JournalError>>;

    /// Opens it to forget, seal or drop.
    fn open_for_upkeep(&self) -> Pending<'_, Arc<dyn Journal>>;

    /// Verifies its whole chain as a command does.
    fn verify(&self) -> Pending<'_, Verification>;

    /// True where a text stands in what it keeps.
    fn holds(&self, text: &str) -> bool;

    /// Changes it without its programs.
    fn change(&self, change: Change);
}

/// What somebody does to a store that is closed.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// The key of an incident is gone, its record is not.
    LosesKey(&'static str),
    /// The records of one incident are put in another's place.
    MovesRecords(&'static str, &'static str),
    /// Its seals are dropped, and the entries up to a sequence taken away.
    DropsUpTo(u64),
    /// The chain values of its seals are others.
    ForgesSeals,
}

/// Everything, with and without a key file; `empty` gives a new store.
pub async fn suite<S: Store>(empty: impl Fn(&str) -> S) {
    records_are_under_keys(&empty("keys")).await;
    another_key_file_or_none_is_refused_before_a_record_is_lost(&empty("key-files")).await;
    for (name, key) in [("keyed", Some("a")), ("plain", None)] {
        let store = empty(name);
        a_person_is_forgotten_and_the_chain_stays(&store, key).await;
        a_person_forgotten_who_calls_again_is_kept_anew(&store, key).await;
        sealed_periods_are_dropped_and_the_rest_goes_on(&store, key).await;
    }
    what_is_left_verifies_from_the_seal_and_a_forged_seal_shows(&empty("verified")).await;
    a_drop_that_was_cut_short_is_finished_and_hides_nothing(&empty("cut-short")).await;
    nobody_seals_or_drops_twice(&empty("twice")).await;
}

async fn append(journal: &Arc<dyn Journal>, batches: Vec<Batch>) {
    for batch in batches {
        journal.append(batch).await.unwrap();
    }
}

async fn records_are_under_keys(store: &dyn Store) {
    let journal = store.open(Some("a")).await.unwrap();
    let of = |name: &str| life_with_record(name, instant(0), Until::Rest, &format!("{CANARY} of {name}"));
    let (one, two) = (IncidentId::new("one"), IncidentId::new("two"));
    let ((batches, of_one), (others, of_two)) = (of("one"), of("two"));
    append(&journal, batches).await;
    append(&journal, others).await;
    drop(journal);
    assert!(!store.holds(CANARY), "no personal byte stands in the store");
    let journal = store.open(Some("a")).await.unwrap();
    for (incident, sha256) in [(&one, &of_one), (&two, &of_two)] {
        let bytes = journal.content(incident, sha256).await.unwrap().unwrap();
        assert!(bytes.starts_with(CANARY.as_bytes()));
    }
    assert_eq!(journal.content(&two, &of_one).await.unwrap(), None, "a record is its incident's");
    // A later record of an incident that this handle has not written to goes under the key that is there.
    let later = format!("{CANARY} again");
    let sha256 = hex::encode(Sha256::digest(&later));
    let version = journal.read_incident(&one).await.unwrap().len() as u64;
    let content = Some(Content { sha256: sha256.clone(), bytes: Bytes::from(later.clone()) });
    journal.append(Batch { content, ..batch("one", version, 1) }).await.unwrap();
    for (sha256, bytes) in [(&sha256, later), (&of_one, format!("{CANARY} of one"))] {
        assert_eq!(journal.content(&one, sha256).await.unwrap().unwrap(), bytes);
    }
    drop(journal);
    store.change(Change::LosesKey("one"));
    let journal = store.open(Some("a")).await.unwrap();
    assert_eq!(journal.content(&one, &of_one).await.unwrap(), None, "without its key it is gone, also in a copy");
    drop(journal);
    store.change(Change::MovesRecords("one", "two"));
    let journal = store.open(Some("a")).await.unwrap();
    let read = journal.content(&two, &of_one).await;
    assert!(matches!(read, Err(JournalError::Corrupt { .. })), "a record in another's place: {read:?}");
}

async fn another_key_file_or_none_is_refused_before_a_record_is_lost(store: &dyn Store) {
    // What was kept before there was a key file stays readable.
    let journal = store.open(None).await.unwrap();
    let (batches, before) = life_with_record("before", instant(0), Until::Rest, "kept as it came");
    append(&journal, batches).await;
    drop(journal);
    let journal = store.open(Some("a")).await.unwrap();
    append(&journal, life_with_record("under", instant(0), Until::Rest, CANARY).0).await;
    drop(journal);
    for (key, why) in [(None, "set `journal.key_file`"), (Some("b"), "under another key file")] {
        let refused = store.open(key).await.map(drop).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    let journal = store.open(Some("a")).await.unwrap();
    assert_eq!(journal.content(&IncidentId::new("before"), &before).await.unwrap().unwrap(), "kept as it came");
    drop(journal);
    // To forget, no key is needed.
    let upkeep = store.open_for_upkeep().await;
    upkeep.forget(&IncidentId::new("under"), instant(9)).await.unwrap();
    upkeep.wind_down().await.unwrap();
}

/// A life whose record is kept beside it: its bytes are `bytes`.
fn life_with_record(name: &str, from: Timestamp, until: Until, bytes: &str) -> (Vec<Batch>, String) {
    let sha256 = hex::encode(Sha256::digest(bytes));
    let mut batches = life(name, from, until);
    for stored in &mut batches[0].events {
        if let Stored::Incident(Event::RecordReceived(received)) = stored {
            received.identity.content_sha256 = sha256.clone();
        }
    }
    batches[0].content = Some(Content { sha256: sha256.clone(), bytes: Bytes::from(bytes.to_owned()) });
    (batches, sha256)
}

async fn a_person_is_forgotten_and_the_chain_stays(store: &dyn Store, key: Option<&str>) {
    let journal = store.open(key).await.unwrap();
    let mut sha256 = String::new();
    for (name, until) in [("gone", Until::Rest), ("stays", Until::Rest), ("open", Until::Offered)] {
        let (batches, digest) = life_with_record(name, instant(0), until, "Canary-Name of a caller");
        sha256 = digest;
        for batch in batches {
            journal.append(batch).await.unwrap();
        }
    }
    let [gone, stays, open_one] = ["gone", "stays", "open"].map(IncidentId::new);
    for incident in [&gone, &stays, &open_one] {
        assert_eq!(journal.content(incident, &sha256).await.unwrap().unwrap(), "Canary-Name of a caller");
    }
    let story = journal.read_incident(&gone).await.unwrap();
    let before = all(&journal).await;
    for refused in [&open_one, &IncidentId::new("nobody")] {
        let refused = journal.forget(refused, instant(9)).await;
        assert!(matches!(refused, Err(JournalError::Unavailable(_))), "{refused:?}");
    }
    assert_eq!(all(&journal).await, before, "a refusal appends nothing");
    let entry = journal.forget(&gone, instant(9)).await.unwrap();
    assert_eq!(entry.stored, Stored::Adapter(AdapterEvent::PersonForgotten { incident: gone.clone() }));
    drop(journal);
    let journal = store.open(key).await.unwrap();
    assert_eq!(journal.content(&gone, &sha256).await.unwrap(), None);
    assert_eq!(journal.content(&stays, &sha256).await.unwrap().unwrap(), "Canary-Name of a caller", "another's record");
    assert_eq!(journal.read_incident(&gone).await.unwrap(), story, "what happened stays");
    assert_eq!(all(&journal).await.last(), Some(&entry));
    assert!(journal.forget(&gone, instant(9)).await.is_ok(), "asked twice, done twice");
}

async fn sealed_periods_are_dropped_and_the_rest_goes_on(store: &dyn Store, key: Option<&str>) {
    let journal = store.open(key).await.unwrap();
    let year = SignedDuration::from_hours(365 * 24);
    let roster = AdapterEvent::RosterSet { surge: true, unstaffed: Vec::new(), deciders_away: Vec::new() };
    let said = Batch::new(Subject::Adapter, 0, instant(10), vec![Stored::Adapter(roster.clone())]);
    journal.append(said).await.unwrap();
    let ends = instant(0) + year;
    for (name, from) in [("of-last-year", instant(60)), ("of-this-year", ends + SignedDuration::from_secs(60))] {
        for batch in life(name, from, Until::Rest) {
            journal.append(batch).await.unwrap();
        }
    }
    let whole = all(&journal).await;
    let now = ends + SignedDuration::from_hours(24);
    let seal = journal.seal(ends, now).await.unwrap().unwrap();
    let last = whole.iter().rfind(|entry| entry.at < ends).unwrap();
    assert_eq!((seal.through, &seal.hash, seal.ended_at), (last.sequence, &last.hash, last.at));
    assert_eq!(seal.entries, last.sequence);
    assert_eq!(journal.seal(ends, now).await.unwrap(), None, "there is nothing more to seal");
    assert_eq!(journal.seals().await.unwrap(), std::slice::from_ref(&seal));
    assert!(journal.drop_sealed(seal.through - 1, now).await.is_err(), "no seal ends there");
    let refused = journal.drop_sealed(seal.through, now).await;
    assert!(matches!(refused, Err(JournalError::Unavailable(_))), "an open incident began in the period: {refused:?}");
    assert_eq!(journal.read_after(0, 1).await.unwrap(), whole[..1]);
    for (id, _) in journal.unsettled().await.unwrap() {
        let version = journal.read_incident(&id).await.unwrap().len() as u64;
        let events = vec![Stored::Incident(Event::Closed { why: "cleared".to_owned() })];
        let told = Standing { rests: true, next_deadline: None, called: None };
        let closing = Batch::new(Subject::Incident(id), version, now, events);
        journal.append(Batch { standing: Some(told), ..closing }).await.unwrap();
    }
    let before = all(&journal).await;
    assert_eq!(journal.drop_sealed(seal.through, now).await.unwrap(), seal.entries);
    drop(journal);
    let journal = store.open(key).await.unwrap();
    let left = all(&journal).await;
    assert_eq!(left[0].sequence, seal.through + 1);
    assert!(left.starts_with(&before[usize::try_from(seal.through).unwrap()..]), "what came after is as it was");
    assert_eq!(journal.read_incident(&IncidentId::new("of-last-year")).await.unwrap(), []);
    assert!(!journal.read_incident(&IncidentId::new("of-this-year")).await.unwrap().is_empty());
    let kept = journal.read_kind_before("roster-set", u64::MAX, 1).await.unwrap().pop().unwrap();
    assert_eq!(kept.stored, Stored::Adapter(roster), "the roster in force outlives its period");
    let next = journal.append(batch("after-the-drop", 0, 1)).await.unwrap();
    assert_eq!(next[0].sequence, left.last().unwrap().sequence + 1);
}

/// The key of somebody forgotten does not come back with the next record, also where the writer had it in memory.
async fn a_person_forgotten_who_calls_again_is_kept_anew(store: &dyn Store, key: Option<&str>) {
    let journal = store.open(key).await.unwrap();
    let (batches, before) = life_with_record("calls-again", instant(0), Until::Rest, CANARY);
    let id = IncidentId::new("calls-again");
    append(&journal, batches).await;
    journal.forget(&id, instant(9)).await.unwrap();
    let version = journal.read_incident(&id).await.unwrap().len() as u64;
    let (bytes, told) = ("another record", Some(Standing { rests: true, next_deadline: None, called: None }));
    let content = Some(Content { sha256: hex::encode(Sha256::digest(bytes)), bytes: Bytes::from(bytes) });
    journal.append(Batch { content, standing: told, ..batch("calls-again", version, 1) }).await.unwrap();
    drop(journal);
    let journal = store.open(key).await.unwrap();
    assert_eq!(journal.content(&id, &before).await.unwrap(), None);
    assert_eq!(journal.content(&id, &hex::encode(Sha256::digest(bytes))).await.unwrap().unwrap(), bytes);
}

/// What the entries after a seal commit to, worked out from the seal by nothing of the store's.
fn chain_from(seal: &Seal, entries: &[Entry]) -> Chain {
    let mut hash = [0; 32];
    hex::decode_to_slice(&seal.hash, &mut hash).unwrap();
    entries.iter().fold(Chain::standing_at(seal.through, hash), |chain, entry| {
        let (subject, incident) = match &entry.subject {
            Subject::Incident(id) => ("incident", id.as_str()),
            Subject::Adapter => ("adapter", ""),
        };
        chain.extended(&Link {
            sequence: entry.sequence,
            subject,
            incident,
            version: entry.version,
            at: &entry.at.to_string(),
            kind: &entry.stored.kind().unwrap(),
            event_version: EVENT_VERSION,
            payload: &serde_json::to_vec(&entry.stored).unwrap(),
        })
    })
}

/// Four lives of last year and four of this one, and a seal between them.
async fn two_years(journal: &Arc<dyn Journal>) -> Seal {
    let year = SignedDuration::from_hours(365 * 24);
    for (age, from) in [("old", instant(0)), ("new", instant(0) + year)] {
        for number in 0..4 {
            let from = from + SignedDuration::from_secs(number);
            append(journal, life(&format!("{age}-{number}"), from, Until::Rest)).await;
        }
    }
    journal.seal(instant(0) + year, instant(99) + year).await.unwrap().unwrap()
}

async fn what_is_left_verifies_from_the_seal_and_a_forged_seal_shows(store: &dyn Store) {
    let journal = store.open(None).await.unwrap();
    let seal = two_years(&journal).await;
    let whole = all(&journal).await;
    assert_eq!(store.verify().await.begins_after, 0);
    journal.drop_sealed(seal.through, instant(100)).await.unwrap();
    let left = all(&journal).await;
    assert_eq!(chain_from(&seal, &left).hash_hex(), left.last().unwrap().hash);
    drop(journal);
    let verified = store.verify().await;
    let due = Verification {
        entries: left.len() as u64,
        begins_after: seal.through,
        last_hash: left.last().unwrap().hash.clone(),
        fault: None,
    };
    assert_eq!(verified, due);
    assert_eq!(left[0], whole[usize::try_from(seal.through).unwrap()]);
    store.change(Change::ForgesSeals);
    assert_eq!(store.verify().await.fault.unwrap().sequence, seal.through + 1);
}

async fn a_drop_that_was_cut_short_is_finished_and_hides_nothing(store: &dyn Store) {
    let journal = store.open(None).await.unwrap();
    let Seal { through, .. } = two_years(&journal).await;
    drop(journal);
    // Dropped, and only the first entries taken away.
    store.change(Change::DropsUpTo(3));
    let journal = store.open(None).await.unwrap();
    assert_eq!(journal.read_after(0, 1).await.unwrap()[0].sequence, through + 1);
    for number in 0..4 {
        assert_eq!(journal.read_incident(&IncidentId::new(format!("old-{number}"))).await.unwrap(), []);
    }
    assert_eq!(journal.read_kind_before("assessed", u64::MAX, 99).await.unwrap().len(), 4);
    assert_eq!(journal.drop_sealed(through, instant(0)).await.unwrap(), through - 3);
    assert_eq!(journal.drop_sealed(through, instant(0)).await.unwrap(), 0);
    assert_eq!(restart::standings(&*journal).await.unwrap().len(), 4);
    assert_eq!(journal.unsettled().await.unwrap(), []);
    let called = journal.called_since(Timestamp::MIN).await.unwrap();
    assert!(called.iter().all(|(id, _)| id.as_str().starts_with("new-")), "names go with their incidents: {called:?}");
}

async fn nobody_seals_or_drops_twice(store: &dyn Store) {
    let journal = store.open(None).await.unwrap();
    let seal = two_years(&journal).await;
    let end = instant(200) + SignedDuration::from_hours(365 * 24);
    let sealed = tokio::join!(journal.seal(end, end), journal.seal(end, end));
    let made: Vec<Seal> = [sealed.0, sealed.1].into_iter().filter_map(|sealed| sealed.ok().flatten()).collect();
    assert!(!made.is_empty());
    let seals = journal.seals().await.unwrap();
    assert_eq!(
        seals,
        [vec![seal.clone()], made].concat(),
        "each that was made is there, and follows on the one before"
    );
    let periods = seals.windows(2).all(|pair| pair[0].through + pair[1].entries == pair[1].through);
    assert!(periods, "{seals:?}");
    let dropped = tokio::join!(journal.drop_sealed(seal.through, end), journal.drop_sealed(seal.through, end));
    assert!(dropped.0.is_ok() || dropped.1.is_ok(), "{dropped:?}");
    let noted = all(&journal)
        .await
        .into_iter()
        .filter(|entry| entry.stored == Stored::Adapter(AdapterEvent::PeriodDropped { through: seal.through }));
    assert_eq!(noted.count(), 1);
    let left = all(&journal).await;
    assert_eq!(chain_from(&seal, &left).hash_hex(), left.last().unwrap().hash);
}
