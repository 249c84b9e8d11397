//! The simulated city around the adapter: callers, a CAD with call-takers, community teams, a phone line and police.
//!
//! It imports nothing of the product and speaks only its wire formats and its HTTP contract, so that what works with it
//! works with anybody who reads the same contract.
//!
//! ```text
//! city ─▶ callers ─▶ cad ─────▶ adapter ─────▶ team · line211
//! who,    which      sends,     (the product)   accept, decline, stay silent,
//! what,   format,    asks,          │           drive, clear
//! where   door       chooses ◀──────┘ write-back; police go where the CAD sends them
//! ```
//!
//! [`Peers`] starts them all; [`city::year`] generates a year whose totals match the published ones; [`faults`] has peers
//! named by how they misbehave; [`load`] measures an adapter under a fixed schedule.

pub mod city;
pub mod callers;
pub mod cad;
pub mod habits;
pub mod team;
mod leg;
pub mod line211;
pub mod police;
mod peers;
pub mod faults;
pub mod load;
mod doors;
mod tally;
pub mod signature;
pub mod server;
pub mod client;
pub mod clock;
mod chance;
#[cfg(test)]
mod fake_adapter;

pub use doors::Doors;
pub use peers::{Behaviour, Peers, PeersSettings, ProgramPeer, TeamAccess};
pub use tally::Tally;
