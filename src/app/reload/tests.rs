//! A folder that changes while the adapter runs: what is whole and proved comes into force, everything else leaves what was.

use super::*;
use crate::clock::Clock;
use crate::configuration::read_policy_folder;
use crate::journal::{AdapterEvent, EmbeddedJournal, Journal, Settings, Stored};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use tokio::task::JoinSet;

/// One adapter's desk, its folder and its watch, looked at by hand.
struct Place {
    folder: tempfile::TempDir,
    watch: Watch,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("policy");
        std::fs::create_dir(&policy).unwrap();
        let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/policy/library/kamloops");
        for (name, bytes) in read_policy_folder(&library).unwrap().files {
            std::fs::write(policy.join(name), bytes).unwrap();
        }
        let journal = EmbeddedJournal::open(&Settings::new(folder.path().join("journal.db"))).unwrap();
        let journal: Arc<dyn Journal> = Arc::new(journal);
        let first = Arc::new(loadable(&read_policy_folder(&policy).unwrap()).unwrap());
        let desk = Desk::open(Clock::system(), journal, Some(first), BTreeMap::new()).await.unwrap();
        let settings = PolicySettings { folder: policy, watch_ms: 0, settle_ms: 1 };
        Self { folder, watch: Watch { desk: Arc::new(desk), settings, asked: Arc::default() } }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.watch.settings.folder.join(name)
    }

    fn change(&self, name: &str, change: impl Fn(String) -> String) {
        let text = std::fs::read_to_string(self.file(name)).unwrap();
        let changed = change(text.clone());
        assert_ne!(text, changed, "the change finds its place in {name}");
        std::fs::write(self.file(name), changed).unwrap();
    }

    fn in_force(&self) -> String {
        self.watch.desk.policy().unwrap().identity().digest.clone()
    }

    async fn loads(&self) -> Vec<(Option<String>, String)> {
        let entries = self.watch.desk.journal().read_after(0, 1_000).await.unwrap();
        let loaded = entries.into_iter().filter_map(|entry| match entry.stored {
            Stored::Adapter(AdapterEvent::PolicyLoaded { digest, replaces, .. }) => Some((replaces, digest)),
            _ => None,
        });
        loaded.collect()
    }
}

/// A file, what is said of it, and the change that makes it faulty.
type Fault<'a> = (&'a str, &'a str, &'a dyn Fn(String) -> String);

fn another_revision(text: String) -> String {
    let line = text.lines().find(|line| line.starts_with("revision")).unwrap().to_owned();
    text.replace(&line, "revision = \"another\"")
}

#[tokio::test]
async fn a_new_revision_comes_into_force_and_the_journal_says_what_it_replaces() {
    let place = Place::new().await;
    let before = place.in_force();
    place.watch.look().await;
    assert_eq!(place.loads().await, [], "an unchanged folder is no news");
    place.change("policy.toml", another_revision);
    place.watch.look().await;
    let after = place.in_force();
    assert_ne!(before, after);
    assert_eq!(place.watch.desk.policy().unwrap().identity().revision, "another");
    assert_eq!(place.loads().await, [(Some(before), after.clone())]);
    place.watch.look().await;
    assert_eq!(place.in_force(), after);
    assert_eq!(place.loads().await.len(), 1);
}

#[tokio::test]
async fn what_may_not_be_loaded_leaves_the_last_good_one_and_says_where_it_is_at_fault() {
    let place = Place::new().await;
    let good = place.in_force();
    let kept = read_policy_folder(&place.watch.settings.folder).unwrap();
    let unsafe_rule = "\n[[rule]]\nid = \"reckless\"\nrank = 99\nnature = \"noise\"\nbecause = \"test\"\nsend = [\"cso-north\"]\n\n[[safeguard]]\nid = \"no-noise\"\nnever = { send = \"any\", when = { nature = \"noise\" } }\n";
    let faulty: [Fault<'_>; 4] = [
        ("policy.toml", "line 1", &|text| format!("surprise = 1\n{text}")),
        ("policy.toml", "the safeguard does not hold", &|text| text + unsafe_rule),
        ("cases.toml", "the case does not come out as it expects", &|text| {
            text.replacen("status = \"eligible\"", "status = \"ineligible\"", 1)
        }),
        ("call_types.csv", "call_types.csv line 2", &|text| text.replacen(",welfare-check,", ",wellfare-check,", 1)),
    ];
    for (name, said, change) in faulty {
        place.change(name, change);
        place.watch.look().await;
        assert_eq!(place.in_force(), good, "{said}");
        let refused = place.watch.desk.refused_policy().expect(said);
        assert!(refused.faults.iter().any(|fault| fault.contains(said)), "{said}: {:?}", refused.faults);
        assert!(refused.digest.is_some() && refused.faults_total >= refused.faults.len());
        std::fs::write(place.file(name), &kept.files[name]).unwrap();
        place.watch.look().await;
        assert_eq!(place.watch.desk.refused_policy(), None, "the folder holds what is in force again");
    }
    std::fs::remove_dir_all(&place.watch.settings.folder).unwrap();
    place.watch.look().await;
    assert_eq!((place.in_force(), place.loads().await), (good, Vec::new()));
    let refused = place.watch.desk.refused_policy().unwrap();
    assert_eq!((refused.digest.as_ref(), refused.faults_total), (None, 1));
    assert!(place.folder.path().exists());
}

#[test]
fn a_policy_that_diverts_many_more_calls_is_told_from_one_that_diverts_a_few_more() {
    let told = [(0, 4), (0, 5), (100, 120), (100, 121), (100, 50), (10, 14), (10, 15)];
    let loud = told.map(|(before, after)| diverts_many_more(before, after));
    assert_eq!(loud, [false, true, false, true, false, false, true]);
}

#[tokio::test]
async fn a_refusal_is_noted_once_for_each_state_of_the_folder() {
    let place = Place::new().await;
    place.change("policy.toml", |text| format!("surprise = 1\n{text}"));
    place.watch.look().await;
    let first = place.watch.desk.refused_policy().unwrap();
    place.watch.look().await;
    assert!(Arc::ptr_eq(&first, &place.watch.desk.refused_policy().unwrap()), "nothing new is said");
    place.change("policy.toml", |text| format!("surprise = 2\n{text}"));
    place.watch.look().await;
    assert_ne!(first, place.watch.desk.refused_policy().unwrap());
}

#[tokio::test]
async fn a_folder_that_is_being_written_is_not_read_half() {
    let reading = |text: &str| {
        let files = BTreeMap::from([("policy.toml".to_owned(), text.as_bytes().to_vec())]);
        Ok(PolicyFiles { folder: "test".to_owned(), files })
    };
    let gone = || Err(BadInput::new("not there"));
    let first = |mut readings: VecDeque<Result<PolicyFiles, BadInput>>, known: &'static str| async move {
        let known = move |digest: &String| *digest == reading(known).unwrap().digest();
        let read = || {
            let next = readings.pop_front().unwrap_or_else(|| reading(&format!("{}", Clock::system().now())));
            std::future::ready(next)
        };
        settled(read, known, Duration::from_micros(1)).await.map(|read| read.map(|files| files.digest()))
    };
    let digest = |text: &str| Some(Ok(reading(text).unwrap().digest()));
    let half = VecDeque::from([reading("ne"), gone(), reading("new"), reading("new")]);
    assert_eq!(first(half, "old").await, digest("new"));
    assert_eq!(
        first(VecDeque::from([reading("old")]), "old").await,
        digest("old"),
        "what is known needs no second look"
    );
    assert_eq!(first(VecDeque::from([gone(), gone()]), "old").await, Some(Err(BadInput::new("not there"))));
    assert_eq!(first(VecDeque::new(), "old").await, None, "a folder that never rests is left for the next look");
}

#[tokio::test]
async fn a_watch_looks_by_itself_and_when_asked() {
    let mut place = Place::new().await;
    place.watch.settings.watch_ms = 2;
    let (desk, asked) = (Arc::clone(&place.watch.desk), Arc::clone(&place.watch.asked));
    let (folder, settings) = (place.folder, place.watch.settings.clone());
    let mut running = JoinSet::new();
    running.spawn(place.watch.run());
    let policy = settings.folder.join("policy.toml");
    let text = std::fs::read_to_string(&policy).unwrap();
    let until = async |revision: &str| {
        let found = async {
            while desk.policy().unwrap().identity().revision != revision {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), found).await.expect("the new revision comes into force");
    };
    std::fs::write(&policy, another_revision(text.clone())).unwrap();
    until("another").await;
    running.shutdown().await;
    let watch = Watch { desk: Arc::clone(&desk), settings: PolicySettings { watch_ms: 0, ..settings }, asked };
    let ring = Arc::clone(&watch.asked);
    running.spawn(watch.run());
    std::fs::write(&policy, another_revision(text).replace("\"another\"", "\"a third\"")).unwrap();
    ring.notify_one();
    until("a third").await;
    drop(folder);
}
