//! The `[http]` part of the configuration: the pass-through, and each door's limits and TLS.

use super::{ConveyanceSettings, DoorName, Limits, ProxySettings, TlsSettings};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Settings of the doors. Doors are named `intake`, `teams`, `pages`, `operations`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The CAD that `ANY /cad/*` goes to; without it there is no pass-through.
    pub pass_through: Option<ProxySettings>,
    /// Limits by door, where they differ from the defaults.
    pub limits: BTreeMap<DoorName, Limits>,
    /// Certificate and key by door; a door without them speaks plain HTTP.
    pub tls: BTreeMap<DoorName, TlsSettings>,
    /// The door for EIDO conveyance; without it there is none.
    pub conveyance: Option<ConveyanceSettings>,
    /// Seconds without a record from any CAD after which the pages, `/metrics` and the log raise an alarm; 0 for never.
    pub silence_alarm_s: u32,
}

impl Default for Settings {
    fn default() -> Self {
        // An hour: a small centre's quiet night has such gaps, a cut line is seen before the shift ends.
        Self {
            pass_through: None,
            limits: BTreeMap::new(),
            tls: BTreeMap::new(),
            conveyance: None,
            silence_alarm_s: 3_600,
        }
    }
}

impl Settings {
    /// The limits of a door.
    #[must_use]
    pub fn limits_of(&self, door: DoorName) -> Limits {
        self.limits.get(&door).cloned().unwrap_or_default()
    }

    /// The certificate and key of a door, if it has them.
    #[must_use]
    pub fn tls_of(&self, door: DoorName) -> Option<&TlsSettings> {
        self.tls.get(&door)
    }
}
