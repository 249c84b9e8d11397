//! The adapter killed under load, twenty times: every acknowledged record is in the journal once, and deadlines that
//! passed meanwhile fire at restart.

use crate::support::{Place, Served, TOKEN, eventually};
use fourth_option::incident::Event;
use fourth_option::journal::{EmbeddedJournal, Journal, Stored};
use fourth_simulators::faults::SilentTeam;
use fourth_simulators::load::{Load, Outcome};
use std::collections::BTreeMap;
use std::time::Duration;

const KILLS: usize = 20;
