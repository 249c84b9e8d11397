//! Faults of the disk, the clock and the process on the real adapter: nothing is acknowledged that is not durable, what cannot
//! be taken is refused quickly, deadlines fire, and everything goes on when the fault is over. `strace` and `faketime` are Debian's.

use crate::kill::{channels, entries, hasty, offer_some, silent_team};
use crate::support::{Place, SAFE, Served, TOKEN, eido, eventually, fourth};
use fourth_option::incident::Event;
use fourth_option::journal::Stored;
use fourth_simulators::client::{Answer, Client, ClientError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
/// Accept deadline of the hasty policy.
const DEADLINE: Duration = Duration::from_secs(2);

fn name(number: usize) -> String {
    format!("urn:emergency:uid:incidentid:fault{number}:kamloops.example")
}

fn call(number: usize) -> Value {
    serde_json::from_str(&eido(&name(number), "2026-05-01T20:00:00-07:00", "WELFARE", SAFE)).unwrap()
}

/// One adapter and somebody who sends it calls.
struct Centre {
    place: Place,
    client: Client,
}

impl Centre {
    fn new(change: impl Fn(String) -> String, journal: &str, more: &str) -> Self {
        let place = Place::new(change, more);
        let text = std::fs::read_to_string(place.configuration()).unwrap();
        let text = text.replace("path = \"journal.db\"\n", &format!("{journal}\n"));
        std::fs::write(place.configuration(), text).unwrap();
        Self { place, client: Client::new(Duration::from_secs(20)) }
    }

    async fn send(&self, number: usize) -> Result<Answer, ClientError> {
        self.client.post_json(&format!("{}/v1/calls", self.place.url(0)), TOKEN, &call(number)).await
    }

    async fn taken(&self, number: usize) {
        let answer = self.send(number).await.unwrap();
        assert!(answer.good(), "call {number}: {} {}", answer.status, answer.json());
    }

    async fn refused(&self, number: usize) {
        let answer = self.send(number).await.unwrap();
        assert_eq!(answer.status, 503, "call {number}: {}", answer.json());
    }

    async fn ready(&self) -> bool {
        let url = format!("{}/readyz", self.place.url(3));
        self.client.get(&url, TOKEN).await.is_ok_and(|answer| answer.good())
    }

    /// How often each call of this test is in the journal, its chain being whole.
    fn received(&self) -> BTreeMap<String, usize> {
        let mut received = BTreeMap::new();
        for entry in entries(&self.place) {
            if let Stored::Incident(Event::RecordReceived(record)) = &entry.stored {
                *received.entry(record.identity.incident.clone()).or_default() += 1;
            }
        }
        received
    }

    fn timed_out(&self) -> usize {
        let timed_out = |stored: &Stored| matches!(stored, Stored::Incident(Event::TimedOut { .. }));
        entries(&self.place).iter().filter(|entry| timed_out(&entry.stored)).count()
    }

    async fn deadlines_fire(&self, count: usize, within: Duration) {
        eventually("deadlines fire", within, async || (self.timed_out() >= count).then_some(())).await;
    }
}

/// `strace` on a running adapter, which changes what its system calls answer.
struct Injected(Child);

impl Injected {
    fn into(served: &Served, injection: &str) -> Self {
        let mut child = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", injection, "-p"])
            .arg(served.id().to_string())
            .stdin(Stdio::null())
            .spawn()
            .expect("strace is installed (`make install`)");
        // Attached once every thread of the adapter has it as its tracer.
        let tasks = format!("/proc/{}/task", served.id());
        let traced = |task: &Path| {
            let status = std::fs::read_to_string(task.join("status")).unwrap_or_default();
            status.lines().any(|line| line.trim_end() == format!("TracerPid:\t{}", child.id()))
        };
        let started = Instant::now();
        while !std::fs::read_dir(&tasks).unwrap().all(|task| traced(&task.unwrap().path())) {
            assert!(started.elapsed() < PATIENCE, "strace attaches");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(child.try_wait().unwrap().is_none());
        Self(child)
    }

    fn end(mut self) {
        // SIGTERM lets strace go of the adapter; a kill would leave it stopped.
        assert!(Command::new("kill").arg(self.0.id().to_string()).status().unwrap().success());
        self.0.wait().unwrap();
    }
}

/// Fault 59.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_fails_acknowledges_nothing_and_poisons_until_the_restart() {
    let centre = Centre::new(|policy| policy, "path = \"journal.db\"", "");
    let served = Served::start(&centre.place);
    centre.taken(1).await;
    let injected = Injected::into(&served, "inject=fsync,fdatasync:error=EIO");
    centre.refused(2).await;
    assert!(!centre.ready().await);
    injected.end();
    // The disk answers again, and the sync is never tried again: what the kernel dropped nobody knows.
    let asked = Instant::now();
    centre.refused(3).await;
    assert!(asked.elapsed() < Duration::from_secs(2), "refused at once");
    assert!(!centre.ready().await);
    served.kill();
    let served = Served::start(&centre.place);
    for number in 1..=3 {
        centre.taken(number).await;
    }
    assert!(centre.ready().await);
    drop(served);
    let received = centre.received();
    assert!((1..=3).all(|number| received[&name(number)] == 1), "{received:?}");
}

/// Fault 60: three calls wait for a slow disk; those that come in the middle of a slow commit do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_sync_refuses_quickly_and_deadlines_fire() {
    for (delay_ms, slow_ms) in [(100_u64, 1_000_u64), (3_000, 200)] {
        let journal = format!("path = \"journal.db\"\ncommit_slow_ms = {slow_ms}");
        let silent = silent_team().await;
        let centre = Centre::new(hasty, &journal, &channels(&silent));
        let served = Served::start(&centre.place);
        offer_some(&centre.place).await;
        let offered = Instant::now();
        let delay = Duration::from_millis(delay_ms);
        let injection = format!("inject=fsync,fdatasync:delay_enter={}", delay.as_micros());
        let injected = Injected::into(&served, &injection);
        let (mut taken, mut refused) = (Vec::new(), Vec::new());
        for number in 0..40 {
            let asked = Instant::now();
            let sent = async { (number, centre.send(number).await.unwrap().status, asked.elapsed()) };
            let pause = tokio::time::sleep(Duration::from_millis(50));
            // Whoever has an answer has it; whoever waits is asked again below.
            tokio::select! {
                (number, status, took) = sent => match status {
                    503 => refused.push(took),
                    status => {
                        assert!((200..300).contains(&status), "{status}");
                        taken.push(number);
                    }
                },
                () = pause => {}
            }
        }
        centre.deadlines_fire(5, DEADLINE + 6 * delay + Duration::from_secs(3)).await;
        let fired_after = offered.elapsed();
        injected.end();
        eventually("it is ready again", PATIENCE, async || centre.ready().await.then_some(())).await;
        centre.taken(99).await;
        drop(served);
        let received = centre.received();
        assert!(taken.iter().all(|number| received[&name(*number)] == 1), "acknowledged and lost");
        if delay > Duration::from_millis(slow_ms) {
            assert!(refused.len() >= 10, "behind a slow commit callers are refused: {}", refused.len());
            assert!(refused.iter().all(|took| *took < Duration::from_millis(50)), "and at once: {refused:?}");
        } else {
            assert!(refused.is_empty(), "a disk that is only lazy refuses nobody");
        }
        println!(
            "sync delayed by {delay:?}: {} taken, {} refused, five deadlines fired {fired_after:.1?} after the offers",
            taken.len(),
            refused.len()
        );
    }
}

/// A small disk of its own, gone when the test ends; `None` where this user may not mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir(&at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&at).stderr(Stdio::null());
        mount.status().ok().filter(std::process::ExitStatus::success).map(|_| Self(at))
    }

    fn grow(&self, size: &str) {
        let grown = Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(&self.0).status().unwrap();
        assert!(grown.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Posts a call and gives the answer as it stands on the wire.
fn on_the_wire(centre: &Centre, number: usize) -> String {
    let body = call(number).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", centre.place.ports[0])).unwrap();
    write!(
        stream,
        "POST /v1/calls HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Fault 58: on a disk of 2 MiB where this user may mount one, else in a file that may not grow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_with_a_time_to_come_back_and_recovers() {
    let mut centre = Centre::new(|policy| policy, "path = \"disk/journal.db\"", "");
    let disk = SmallDisk::mount(centre.place.folder.path().join("disk"), "2m");
    if disk.is_none() {
        std::fs::remove_dir(centre.place.folder.path().join("disk")).unwrap();
        centre = Centre::new(|policy| policy, "path = \"journal.db\"\nfile_pages_max = 300", "");
    }
    let file = centre.place.folder.path().join(if disk.is_some() { "disk/journal.db" } else { "journal.db" });
    let served = Served::start(&centre.place);
    let mut taken = 0;
    while centre.send(taken).await.unwrap().good() {
        taken += 1;
        assert!(taken < 2_000, "the disk fills");
    }
    assert!(taken > 10);
    let answer = on_the_wire(&centre, taken).to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 503 ") && answer.contains("\r\nretry-after: "), "{answer}");
    assert!(!centre.ready().await);
    // A teams' door and a console that answer are no sign of a journal: but they answer.
    assert!(centre.client.get(&format!("{}/healthz", centre.place.url(3)), TOKEN).await.unwrap().good());
    let served = match &disk {
        Some(disk) => {
            disk.grow("16m");
            eventually("it is ready again by itself", PATIENCE, async || centre.ready().await.then_some(())).await;
            served
        }
        None => {
            drop(served);
            let text = std::fs::read_to_string(centre.place.configuration()).unwrap();
            std::fs::write(centre.place.configuration(), text.replace("file_pages_max = 300", "")).unwrap();
            Served::start(&centre.place)
        }
    };
    centre.taken(taken).await;
    drop(served);
    let path = file.display().to_string();
    let (status, said, _) = fourth(&["journal", "verify", "--journal", &path]);
    assert_eq!(status, 0, "{said}");
    let (_, exported, _) = fourth(&["journal", "export", "--journal", &path]);
    for number in 0..=taken {
        assert_eq!(exported.matches(&format!("\"incident\":\"{}\"", name(number))).count(), 1, "call {number}");
    }
    println!("a full disk: {taken} calls taken, refused with Retry-After, all there after it was grown");
}

/// Fault 54.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_that_passed_while_the_process_was_stopped_fire_at_once() {
    let silent = silent_team().await;
    let centre = Centre::new(hasty, "path = \"journal.db\"", &channels(&silent));
    let served = Served::start(&centre.place);
    offer_some(&centre.place).await;
    let signal = |name: &str| {
        assert!(Command::new("kill").args([name, &served.id().to_string()]).status().unwrap().success());
    };
    signal("-STOP");
    // Longer than the deadline: nothing can be waited for in a process that stands still.
    tokio::time::sleep(DEADLINE + Duration::from_secs(1)).await;
    assert_eq!(centre.timed_out(), 0);
    signal("-CONT");
    centre.deadlines_fire(5, Duration::from_secs(2)).await;
    drop(served);
}

/// The adapter under a civil clock that stands elsewhere; the monotonic one is the machine's.
fn start_at(place: &Place, offset: &str) -> Served {
    let library = ["x86_64", "aarch64"]
        .map(|machine| format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketimeMT.so.1"))
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("faketime is installed (`make install`)");
    let environment = [("LD_PRELOAD", library.as_str()), ("FAKETIME", offset), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
    Served::start_with(place, &environment)
}

/// Faults 53, 56 and 57: a civil clock set back, forward, or not set at all, between two runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_stepped_lengthens_no_deadline() {
    for offset in ["-1h", "+1h", "-9000d"] {
        let silent = silent_team().await;
        let centre = Centre::new(hasty, "path = \"journal.db\"", &channels(&silent));
        let served = Served::start(&centre.place);
        offer_some(&centre.place).await;
        served.kill();
        let served = start_at(&centre.place, offset);
        centre.deadlines_fire(5, DEADLINE + Duration::from_secs(4)).await;
        centre.taken(1).await;
        drop(served);
        let mut before = None;
        for entry in entries(&centre.place) {
            // Two that are handled side by side may be written in the other order.
            let late = before.is_some_and(|before: jiff::Timestamp| before.duration_since(entry.at).as_secs() > 1);
            assert!(!late, "time in the journal goes forward ({offset})");
            before = Some(entry.at);
        }
    }
}

/// Fault 63.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_removed_or_replaced_is_never_acknowledged_into() {
    for replaced in [false, true] {
        let centre = Centre::new(|policy| policy, "path = \"journal.db\"", "");
        let served = Served::start(&centre.place);
        centre.taken(1).await;
        let (file, other) = (centre.place.journal(), centre.place.folder.path().join("other.db"));
        if replaced {
            std::fs::copy(&file, &other).unwrap();
            std::fs::rename(&other, &file).unwrap();
        } else {
            std::fs::remove_file(&file).unwrap();
        }
        centre.refused(2).await;
        assert!(!centre.ready().await);
        centre.refused(3).await;
        drop(served);
    }
}

/// What `strace` would say where it cannot attach, for whoever reads a failure of these tests.
#[test]
fn the_tools_of_these_tests_are_here() {
    let strace = Command::new("strace").arg("-V").output().expect("strace: `make install`");
    let version = String::from_utf8(strace.stdout).unwrap();
    assert!(version.contains("strace"), "{version}");
}
