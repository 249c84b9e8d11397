//! The shared store on a real server. The suite that every store passes is `journal::conformance`.

use super::{PostgresJournal, Settings};
use crate::clock::monotonic_now;
use crate::journal::conformance::{self, batch};
use crate::journal::server::Cluster;
use crate::journal::{Entry, Heard, Journal, JournalError};
use crate::record::IncidentId;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// One server for all tests that do not stop or change it: each has an agency of its own.
pub(super) fn server() -> &'static Cluster {
    static SERVER: OnceLock<Cluster> = OnceLock::new();
    SERVER.get_or_init(|| Cluster::start(&[]))
}

pub(super) fn settings(cluster: &Cluster, agency: &str, adapter: &str) -> Settings {
    Settings::new(cluster.url(&[]).parse().unwrap(), agency, adapter)
}

pub(super) async fn open(settings: &Settings) -> PostgresJournal {
    PostgresJournal::open(settings).await.unwrap()
}

pub(super) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = monotonic_now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn sequences(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.sequence).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_what_every_journal_must_do() {
    let settings = settings(server(), "conformance", "east");
    let open: conformance::Open<'_> = &|| {
        let settings = settings.clone();
        Box::pin(async move { Arc::new(PostgresJournal::open(&settings).await.unwrap()) as Arc<dyn Journal> })
    };
    conformance::suite(open).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agencies_share_a_database_and_nothing_else() {
    let north = open(&settings(server(), "north", "a")).await;
    let south = open(&settings(server(), "south", "a")).await;
    let first = north.append(batch("same-name", 0, 2)).await.unwrap();
    let other = south.append(batch("same-name", 0, 2)).await.unwrap();
    assert_eq!(sequences(&first), sequences(&other));
    assert_eq!(north.read_after(0, 9).await.unwrap(), first);
    assert_eq!(south.read_incident(&IncidentId::new("same-name")).await.unwrap(), other);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_behind_our_back_is_found() {
    let journal = open(&settings(server(), "tampered", "a")).await;
    journal.append(batch("i", 0, 3)).await.unwrap();
    let by_trigger = std::panic::catch_unwind(|| server().sql("DELETE FROM fourth.entry WHERE agency_id = 'tampered'"));
    assert!(by_trigger.is_err(), "entries are never deleted");
    server().sql(
        "BEGIN; SET LOCAL session_replication_role = replica; UPDATE fourth.entry SET kind = 'declined' WHERE agency_id = 'tampered' AND sequence = 2; COMMIT",
    );
    let found = journal.read_after(0, 9).await;
    assert!(matches!(found, Err(JournalError::Corrupt { sequence: 2, .. })), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_under_one_name_are_found_out() {
    let settings = settings(server(), "twins", "east");
    let (older, newer) = (open(&settings).await, open(&settings).await);
    newer.append(batch("i", 0, 1)).await.unwrap();
    let refused = older.append(batch("i", 1, 1)).await;
    assert!(refused.is_err(), "{refused:?}");
    assert!(!older.ready());
    assert_eq!(older.append(batch("i", 1, 1)).await, Err(JournalError::Poisoned));
    newer.append(batch("i", 1, 1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_hears_once_of_what_the_other_appended() {
    let (east, west) =
        (open(&settings(server(), "pair", "east")).await, open(&settings(server(), "pair", "west")).await);
    let mut hearing = west.shared().unwrap().hear().unwrap();
    assert!(west.shared().unwrap().hear().is_none(), "given once");
    let mut expected = Vec::new();
    let mut heard = Vec::new();
    for version in 0..20 {
        let mine = west.append(batch("of-west", version, 1)).await.unwrap();
        let theirs = east.append(batch("of-east", version, 2)).await;
        expected.extend(theirs.unwrap_or_default());
        assert_eq!(mine.len(), 1);
    }
    while heard.len() < expected.len() {
        match tokio::time::timeout(Duration::from_secs(30), hearing.recv()).await.unwrap().unwrap() {
            Heard::Appended(entries) => heard.extend(entries),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(heard, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_name_a_call_the_first_wins() {
    let (east, west) =
        (open(&settings(server(), "names", "east")).await, open(&settings(server(), "names", "west")).await);
    let (one, two) = (IncidentId::new("one"), IncidentId::new("two"));
    assert_eq!(east.shared().unwrap().claim([7; 32], &one).await.unwrap(), one);
    assert_eq!(west.shared().unwrap().claim([7; 32], &two).await.unwrap(), one);
    assert_eq!(west.shared().unwrap().claim([8; 32], &two).await.unwrap(), two);
}

/// Fault 66 and reliability.md 6.2 (5): a commit that waits for a dead standby is bounded by our own deadline, and is
/// not believed when it is cancelled, although the server then says success and shows the row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_standby_is_waited_for_no_longer_than_the_deadline_and_a_cancelled_commit_is_not_believed() {
    let cluster = Cluster::start(&[]);
    let bounded = Settings { append_deadline_ms: 700, ..settings(&cluster, "a", "east") };
    let east = open(&bounded).await;
    let west = open(&Settings { adapter: "west".to_owned(), ..bounded.clone() }).await;
    let mut hearing = east.shared().unwrap().hear().unwrap();
    let first = east.append(batch("i", 0, 1)).await.unwrap();
    cluster.set("synchronous_standby_names", "nobody");
    let started = monotonic_now();
    let unknown = east.append(batch("i", 1, 1)).await;
    let waited = started.elapsed();
    assert!(matches!(&unknown, Err(JournalError::InDoubt(_))), "{unknown:?}");
    println!("standby dead: the commit that hangs was given up after {} ms (deadline 700 ms)", waited.as_millis());
    assert!(waited >= Duration::from_millis(690), "{waited:?}");
    assert!(!east.ready());
    let started = monotonic_now();
    assert!(east.append(batch("i", 1, 1)).await.is_err(), "nothing is taken before the outcome is known");
    assert!(started.elapsed() < Duration::from_millis(500), "and nobody waits for that");

    // The trap: cancelled, the commit says success to whoever listens and the row is there for all to see.
    cluster.until(
        "the commit waits for the standby",
        "SELECT count(*) >= 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
    );
    cluster.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    cluster.until("the row is visible", "SELECT head_sequence = 2 FROM fourth.agency");
    let read = west.read_after(0, 9).await;
    assert!(read.is_err(), "what is visible and perhaps not replicated is shown to nobody: {read:?}");
    assert!(!east.ready());

    // The operator lets it go on without a standby: what was in doubt becomes known, once.
    cluster.set("synchronous_standby_names", "");
    let recovered = eventually("the outcome becomes known", async || match hearing.try_recv() {
        Ok(Heard::Recovered(entries)) => Some(entries),
        _ => None,
    })
    .await;
    assert_eq!(sequences(&recovered), [2]);
    eventually("appends are taken again", async || east.ready().then_some(())).await;
    let third = east.append(batch("i", 2, 1)).await.unwrap();
    let all = eventually("the other reads it", async || west.read_after(0, 9).await.ok()).await;
    assert_eq!(all, [first, recovered, third].concat());
}

/// The same trap with time left: the append is answered, truthfully, when the standby rule is met after all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_commit_is_acknowledged_only_when_a_later_commit_proves_it_durable() {
    let cluster = Cluster::start(&[]);
    let patient = Settings { append_deadline_ms: 50_000, ..settings(&cluster, "a", "east") };
    let journal = Arc::new(open(&patient).await);
    journal.append(batch("i", 0, 1)).await.unwrap();
    cluster.set("synchronous_standby_names", "nobody");
    let writing = tokio::spawn({
        let journal = Arc::clone(&journal);
        async move { journal.append(batch("i", 1, 2)).await }
    });
    let waiting = "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    cluster.until("the commit waits for the standby", waiting);
    let of_the_append = cluster.sql("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    cluster.sql(&format!("SELECT pg_cancel_backend({of_the_append})"));
    cluster.until(
        "a later commit waits in its place",
        &format!("SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid <> {of_the_append}"),
    );
    assert!(!writing.is_finished(), "success with a warning is no success");
    cluster.set("synchronous_standby_names", "");
    let entries = writing.await.unwrap().unwrap();
    assert_eq!(sequences(&entries), [2, 3]);
    assert_eq!(journal.read_after(1, 9).await.unwrap(), entries, "once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_under_load_loses_and_doubles_nothing() {
    let cluster = Cluster::start(&[]);
    let journal = Arc::new(open(&Settings { append_deadline_ms: 30_000, ..settings(&cluster, "a", "east") }).await);
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for version in 0..60 {
                    acknowledged.extend(journal.append(batch(&format!("w{writer}"), version, 1)).await.unwrap());
                }
                acknowledged
            })
        })
        .collect();
    cluster.until("the load runs", "SELECT head_sequence > 60 FROM fourth.agency");
    cluster.restart();
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    acknowledged.sort_by_key(|entry| entry.sequence);
    assert_eq!(acknowledged.len(), 480, "each was acknowledged, once");
    assert_eq!(journal.read_after(0, 1_000).await.unwrap(), acknowledged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_given_up_on_and_comes_back() {
    let cluster = Cluster::start(&[]);
    let journal = open(&Settings { append_deadline_ms: 500, ..settings(&cluster, "a", "east") }).await;
    let mut hearing = journal.shared().unwrap().hear().unwrap();
    journal.append(batch("i", 0, 1)).await.unwrap();
    cluster.freeze();
    let started = monotonic_now();
    let unknown = journal.append(batch("i", 1, 1)).await;
    assert!(matches!(unknown, Err(JournalError::InDoubt(_))), "{unknown:?}");
    assert!(started.elapsed() >= Duration::from_millis(490) && !journal.ready());
    cluster.thaw();
    eventually("appends are taken again", async || journal.ready().then_some(())).await;
    // Whether the frozen append was made is decided by now, and told where it was.
    let version = journal.read_incident(&IncidentId::new("i")).await.unwrap().len() as u64;
    let told = eventually("what became of it is told", async || match hearing.try_recv() {
        Ok(Heard::Recovered(entries)) => Some(entries.len() as u64),
        Ok(_) => Some(0),
        Err(_) => None,
    })
    .await;
    assert!(version == 1 + told || told == 0, "version {version}, {told} told");
    journal.append(batch("i", version, 1)).await.unwrap();
}

/// Fault 68: an adapter that was taken for dead writes nothing any more under its old right, and what it held has another holder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_incidents_of_a_dead_adapter_are_taken_over_within_five_seconds() {
    let cluster = Cluster::start(&[]);
    let (east, west) = (open(&settings(&cluster, "a", "east")).await, open(&settings(&cluster, "a", "west")).await);
    let mut hearing = west.shared().unwrap().hear().unwrap();
    for name in ["i", "j"] {
        east.append(batch(name, 0, 1)).await.unwrap();
    }
    let both = [IncidentId::new("i"), IncidentId::new("j")];
    assert_eq!(east.shared().unwrap().held().await.unwrap(), both.iter().cloned().collect());
    // West has been here for a lease's time, and everything of east's stops at one instant.
    cluster.until_patient("west");
    east.stop_signs_of_life();
    let started = monotonic_now();
    let taken = eventually("they are taken over", async || match hearing.recv().await {
        Some(Heard::TakenOver(taken)) => Some(taken),
        _ => None,
    })
    .await;
    let after = started.elapsed();
    println!("a dead adapter's incidents were taken over {:.1} s after its last word", after.as_secs_f64());
    assert_eq!(taken, both);
    assert!(after < Duration::from_secs(5), "{after:?}");
    assert_eq!(west.shared().unwrap().held().await.unwrap(), both.iter().cloned().collect());
    // East was only slow: its next append joins again under a new epoch first, and by then the version decides.
    west.append(batch("i", 1, 1)).await.unwrap();
    let refused = east.append(batch("i", 1, 1)).await;
    assert_eq!(refused, Err(JournalError::Conflict { expected: 1, found: 2 }));
    assert_eq!(east.shared().unwrap().held().await.unwrap(), [].into());
}

/// An authority's certificate file, and a certificate and key for `localhost` that it vouches for, PEM.
fn vouched_for(folder: &std::path::Path) -> (std::path::PathBuf, String, String) {
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let file = folder.join("ca.pem");
    std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (file, names.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_it_trusts_the_configured_authority_and_no_other_and_never_falls_back() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ca_file, certificate, key) = vouched_for(folder.path());
    let cluster = Cluster::start_under_tls(&certificate, &key);
    let over = |host: &str, ca_file: std::path::PathBuf| {
        let url = format!("postgres://postgres@{host}:{}/postgres?sslmode=require", cluster.port());
        let settings = Settings::new(url.parse().unwrap(), "a", "east");
        Settings { ca_file: Some(ca_file), append_deadline_ms: 1_000, read_deadline_ms: 5_000, ..settings }
    };
    let journal = open(&over("localhost", ca_file.clone())).await;
    journal.append(batch("i", 0, 1)).await.unwrap();
    let in_the_clear = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
        WHERE application_name = 'fourth east' AND NOT ssl";
    assert_eq!(cluster.sql(in_the_clear), "0");
    assert_ne!(cluster.sql(&in_the_clear.replace("AND NOT ssl", "AND ssl")), "0");
    drop(journal);
    let (stranger, _, _) = vouched_for(other.path());
    for (what, settings) in
        [("another authority", over("localhost", stranger)), ("another name", over("127.0.0.1", ca_file.clone()))]
    {
        let refused = PostgresJournal::open(&settings).await;
        assert!(matches!(refused, Err(JournalError::Unavailable(_))), "{what}: {refused:?}");
    }
    cluster.sql("ALTER SYSTEM SET ssl = off");
    cluster.sql("SELECT pg_reload_conf()");
    cluster.until("it has no TLS any more", "SELECT current_setting('ssl') = 'off'");
    let refused = PostgresJournal::open(&over("localhost", ca_file)).await;
    assert!(matches!(refused, Err(JournalError::Unavailable(_))), "required, and not to be had: {refused:?}");
}
