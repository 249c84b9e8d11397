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
#![cfg_attr(not(feature = "adapter"), allow(dead_code, reason = "the rooms that use the rest are left out"))]

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
#[cfg(feature = "adapter")]
pub mod handoff;
#[cfg(feature = "adapter")]
pub mod measures;
#[cfg(feature = "adapter")]
pub mod history;
#[cfg(feature = "adapter")]
pub mod access;
#[cfg(feature = "adapter")]
pub mod http;
#[cfg(feature = "adapter")]
pub mod pages;
pub mod clock;
#[cfg(feature = "adapter")]
pub mod network;
pub mod telemetry;
#[cfg(feature = "adapter")]
pub mod input;
#[cfg(feature = "adapter")]
pub mod configuration;
#[cfg(feature = "adapter")]
pub mod app;
#[cfg(feature = "adapter")]
pub mod commands;
