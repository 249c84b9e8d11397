//! What would a policy of 100 rows have done with a million calls? In columns, on one thread, beside one by one; and through a
//! store of past calls, from the file to the figures. Run by `make bench`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, measures time, and stops where it cannot measure"
)]

#[path = "city.rs"]
mod city;

use fourth_option::facts::{Facts, Source};
use fourth_option::history::{Counts, SourceFile, Store, Tally, kept, replay};
use fourth_option::policy::{Availability, Calls, Policy, PolicyFiles, Profile};
use fourth_option::record::{AgencyId, CallRecord, Format, RecordIdentity, SourceId, TimePoint};
use jiff::Timestamp;
use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

const CALLS: usize = 1_000_000;
const ROWS: usize = 100;
const RUNS: usize = 9;
/// Facts that an export of a CAD has; the others only a call-taker's answers have.
const OF_AN_EXPORT: [&str; 5] = ["nature", "call_type", "priority", "zone", "callback"];

fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

/// Time that this thread has had a processor, where Linux tells: on a shared machine the clock on the wall tells of others.
fn on_processor() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(told.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Least, middle and greatest of some runs, by the clock and on the processor.
fn spread<T>(mut step: impl FnMut() -> T) -> String {
    let (mut times, mut used): (Vec<Duration>, Vec<Duration>) = (0..RUNS)
        .map(|_| {
            let (started, before) = (Instant::now(), on_processor());
            black_box(step());
            (started.elapsed(), on_processor() - before)
        })
        .unzip();
    times.sort_unstable();
    used.sort_unstable();
    let shown = |times: &[Duration]| format!("{} … {} … {}", ms(times[0]), ms(times[RUNS / 2]), ms(times[RUNS - 1]));
    format!("{} by the clock, {} on the processor, n {RUNS} runs", shown(&times), shown(&used))
}

fn at(call: &city::Call) -> Timestamp {
    Timestamp::from_second(call.at_s).expect("an instant of 2026")
}

/// Distinct facts, and for each call which and when.
fn profiles(calls: &[city::Call], told: impl Fn(&str) -> bool) -> (Vec<Profile>, Vec<(u32, Timestamp)>) {
    let mut numbers: HashMap<Vec<(&str, &str)>, u32> = HashMap::new();
    let mut profiles = Vec::new();
    let mut rows = Vec::with_capacity(calls.len());
    for call in calls {
        let known: Vec<(&str, &str)> =
            call.facts.iter().filter(|(fact, _)| told(fact)).map(|(fact, value)| (*fact, value.as_str())).collect();
        let number = *numbers.entry(known).or_insert_with_key(|known| {
            let facts =
                known.iter().fold(Facts::default(), |facts, (fact, value)| facts.with(fact, value, Source::Structured));
            profiles.push(Profile { facts, gaps: Vec::new() });
            u32::try_from(profiles.len() - 1).expect("fewer than 4 billion")
        });
        rows.push((number, at(call)));
    }
    (profiles, rows)
}

/// Measures one set of facts, and asserts that columns answer every call as it is answered alone.
fn measure(title: &str, policy: &Policy, calls: &[city::Call], told: impl Fn(&str) -> bool) {
    let available = Availability::default();
    let (profiles, rows) = profiles(calls, told);
    let started = Instant::now();
    let columns = Calls::new(&profiles, &rows).expect("columns");
    let built = started.elapsed();
    println!("{title}: {} calls, {} of them different in facts", rows.len(), profiles.len());
    println!("  put in columns once   {}", ms(built));
    println!("  what if, one thread   {}", spread(|| policy.what_if(black_box(&columns), &available)));
    let mut compared = 0;
    let mut by_columns = Duration::ZERO;
    let started = Instant::now();
    policy.what_if_each(&columns, &available, |row, _, answer| {
        let (profile, at) = rows[row];
        let profile = &profiles[profile as usize];
        assert_eq!(answer, policy.route_only(&profile.facts, &profile.gaps, at, &available), "call {row}");
        compared += 1;
    });
    by_columns += started.elapsed();
    assert_eq!(compared, rows.len());
    println!("  equal to one by one   {compared} of {} answers, in {} both ways", rows.len(), ms(by_columns));
    let tally = policy.what_if(&columns, &available);
    let told: Vec<String> = tally.status.iter().map(|(status, calls)| format!("{status} {calls}")).collect();
    println!("  {}\n", told.join(", "));
}

/// The same calls as an export would tell them, through the store.
fn through_the_store(policy: &Policy, calls: &[city::Call], zones: &[String]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("calls.db");
    let mut store = Store::open(&path).expect("a store");
    let digest = |number: u64| format!("{number:016x}{:048}", 0);
    let source = SourceFile { name: "generated".to_owned(), sha256: digest(1), layout_sha256: digest(2) };
    let started = Instant::now();
    let mut import = store.import(&source).expect("an import");
    for (number, call) in calls.iter().enumerate() {
        let identity = RecordIdentity {
            agency: AgencyId::new("generated"),
            element: SourceId::new("export"),
            incident: format!("G{number:07}"),
            updated_at: None,
            content_sha256: digest(number as u64),
        };
        let mut record = CallRecord::new(identity, Format::Delimited);
        record.nature.call_type = call.value("call_type").map(str::to_owned);
        record.nature.common_priority = call.value("priority").and_then(|text| text.parse().ok());
        record.nature.beat = call
            .value("zone")
            .and_then(|zone| zones.iter().position(|known| known == zone))
            .map(|zone| format!("B{zone}"));
        record.callbacks = call
            .value("callback")
            .filter(|word| *word == "available")
            .map(|_| "2505550134".to_owned())
            .into_iter()
            .collect();
        record.times.state(TimePoint::Received, at(call));
        import.take(number as u64 + 2, &kept(&record).expect("a call")).expect("a row");
    }
    import.finish(&Tally::default()).expect("a commit");
    println!("through a store: {} calls", calls.len());
    println!("  written               {}", ms(started.elapsed()));
    println!("  file                  {} MB", std::fs::metadata(&path).expect("the file").len() / 1_000_000);
    let started = Instant::now();
    let columns = store.columns().expect("columns");
    println!("  opened into columns   {}", ms(started.elapsed()));
    let started = Instant::now();
    let replayed = replay(&columns, policy, &[], &mut |_, _| {}).expect("a replay");
    println!("  replayed, with facts, columns, questions  {}", ms(started.elapsed()));
    let started = Instant::now();
    let counts = Counts::of(&columns, &replayed, policy);
    println!("  counted               {}", ms(started.elapsed()));
    let told: Vec<String> = counts.statuses.iter().map(|(status, calls)| format!("{status} {calls}")).collect();
    println!("  {}", told.join(", "));
}

fn main() {
    let made = city::policy(ROWS);
    let mut files = PolicyFiles::default();
    files.files.insert("policy.toml".to_owned(), made.toml().into_bytes());
    files.files.insert("call_types.csv".to_owned(), call_types().into_bytes());
    let policy = Policy::compile(&files).expect("the generated policy compiles");
    let calls = city::calls(&made, CALLS);
    measure("as an export tells them", &policy, &calls, |fact| OF_AN_EXPORT.contains(&fact));
    measure("as call-takers' answers tell them", &policy, &calls, |_| true);
    through_the_store(&policy, &calls, &made.zones);
}

/// A table for the call types of the generated city: the first nature that is written so.
fn call_types() -> String {
    let mut table = "code,nature\n".to_owned();
    for (code, nature) in [
        ("WELFARE", "welfare-check"),
        ("121A*", "welfare-check"),
        ("25*", "person-in-crisis"),
        ("MENTAL", "person-in-crisis"),
        ("YOUTH", "youth-crisis"),
        ("32B*", "person-down"),
        ("DOWN", "person-down"),
        ("INTOX", "intoxicated-person"),
        ("23C*", "intoxicated-person"),
        ("OUTREACH", "needs-shelter"),
        ("129*", "unwanted-person"),
        ("CAMP", "encampment"),
        ("NOISE", "noise"),
        ("YELL", "person-yelling"),
        ("106*", "assault"),
        ("69*", "structure-fire"),
        ("6D*", "medical-emergency"),
        ("130*", "theft"),
    ] {
        table += &format!("{code},{nature}\n");
    }
    table
}
