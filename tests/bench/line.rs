//! The line without the disk: decode, facts and decide, per record, with p50, p99 and n. Run by `make bench`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, measures time, and stops where it cannot measure"
)]

use fourth_option::configuration::read_policy_folder;
use fourth_option::facts::Facts;
use fourth_option::policy::{Availability, Policy};
use fourth_option::wire::{self, SenderProfile};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const WARM_UP: usize = 2_000;
const RUNS: usize = 20_000;

struct Spread {
    p50: Duration,
    p99: Duration,
}

fn measure<T>(mut step: impl FnMut() -> T) -> Spread {
    for _ in 0..WARM_UP {
        black_box(step());
    }
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let started = Instant::now();
            black_box(step());
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    Spread { p50: times[RUNS / 2], p99: times[RUNS * 99 / 100] }
}

fn samples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var("FOURTH_SHARED").map_or_else(|_| root.join("../shared"), PathBuf::from);
    let mut files =
        vec![shared.join("standards/eido/call_transfer.json"), shared.join("standards/cad-xml/full_call.xml")];
    if !files[0].exists() {
        println!("FOURTH_SHARED is absent: the public EIDO sample is not measured, only our own");
        files.clear();
    }
    let folders = ["schemas/call_record/eido", "schemas/call_record/call_export"];
    let own = folders.iter().flat_map(|folder| std::fs::read_dir(root.join(folder)).expect("own samples"));
    let mut own: Vec<_> = own.map(|entry| entry.unwrap().path()).collect();
    own.retain(|path| path.extension().is_some_and(|found| found == "json" || found == "xml"));
    own.sort();
    files.extend(own);
    files
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = read_policy_folder(&root.join("schemas/policy/library/kamloops")).expect("the Kamloops policy");
    let policy = Policy::compile(&files).expect("the Kamloops policy compiles");
    let time_zone = jiff::tz::TimeZone::get("America/Vancouver").expect("zone");
    let sender = SenderProfile {
        agency: "bench.example".into(),
        element: "cad.bench.example".into(),
        time_zone,
        layout: None,
        call_types: None,
    };
    let at: jiff::Timestamp = "2026-05-01T20:00:00-07:00".parse().expect("instant");
    println!(
        "{:<34} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7}",
        "record", "decode", "facts", "decide", "line p50", "line p99", "bytes", "n"
    );
    for file in samples() {
        let bytes = std::fs::read(&file).expect("sample");
        let record = match wire::decode(&bytes, None, &sender) {
            Ok(record) => record,
            Err(_) => continue,
        };
        let (facts, gaps) = policy.gather(&record, &Facts::default());
        let available = Availability::default();
        let decode = measure(|| wire::decode(black_box(&bytes), None, &sender));
        let gather = measure(|| policy.gather(black_box(&record), &Facts::default()));
        let decide = measure(|| policy.decide(black_box(&facts), &gaps, at, &available));
        let line = measure(|| {
            let record = wire::decode(black_box(&bytes), None, &sender).expect("decodes");
            let (facts, gaps) = policy.gather(&record, &Facts::default());
            policy.decide(&facts, &gaps, at, &available)
        });
        let name = file.file_name().expect("name").to_string_lossy().into_owned();
        let us = |duration: Duration| format!("{:.1} µs", duration.as_secs_f64() * 1e6);
        println!(
            "{name:<34} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {RUNS:>7}",
            us(decode.p50),
            us(gather.p50),
            us(decide.p50),
            us(line.p50),
            us(line.p99),
            bytes.len(),
        );
    }
}
