//! Fourth: a low-latency adapter beside a CAD that finds the calls a community team may take, hands them over,
//! takes them back, and measures every step.
//!
//! The rooms in story order; ARCHITECTURE.md has the house and its rules.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a test that panics has failed, which is its job"
    )
)]

#[macro_use]
#[cfg(feature = "canaries")]
pub mod canaries;
#[macro_use]
#[cfg(not(feature = "canaries"))]
mod canaries;

pub mod record;
pub mod wire;
pub mod facts;
pub mod policy;
pub mod incident;
pub mod journal;
pub mod call_processing;
pub mod handoff;
pub mod measures;
pub mod history;
pub mod access;
pub mod http;
pub mod pages;
pub mod clock;
pub mod network;
pub mod telemetry;
pub mod input;
pub mod configuration;
pub mod app;
pub mod commands;
