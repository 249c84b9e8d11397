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

mod commands;
mod conveyance;
mod demo;
mod faults;
mod history;
mod kill;
mod line;
mod outbox;
mod browser;
mod pages;
mod storms;
mod support;
mod tidy;
