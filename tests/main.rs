//! One test binary: rules about the code, and the whole adapter started on port 0 against the simulators.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that panics has failed, which is its job; tests print what they measured"
)]

// The fuzz targets name the crate that would run them.
extern crate self as libfuzzer_sys;

mod commands;
mod conveyance;
mod demo;
mod fault_table;
mod faults;
mod fuzz_targets;
mod history;
mod kill;
mod line;
mod outbox;
mod browser;
mod pages;
mod shared_journal;
mod storms;
mod support;
mod tidy;
