//! Every bound of a door, with its unit last in the name. Defaults are those of `reliability.md` 7.2.

use serde::Deserialize;
use std::time::Duration;

/// The limits of one door. Each door has its own, so that a flood at one leaves the others their room (invariant I12).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections open at once; above it a connection is refused at once, not queued.
    pub connections_max: u32,
    /// Connections open at once from one peer (an IPv4 address or an IPv6 /64).
    pub connections_per_peer_max: u32,
    /// Milliseconds from the accepted connection to its first byte.
    pub first_byte_ms: u64,
    /// Milliseconds for the whole TLS handshake.
    pub tls_handshake_ms: u64,
    /// Milliseconds for a request's head, from the connection's start or the last answer: idle HTTP/1 ends with it.
    pub header_read_ms: u64,
    /// Milliseconds after which a connection without a request in hand is closed (HTTP/2; between one and two times).
    pub idle_ms: u64,
    /// Headers in one request; more are answered 431.
    pub headers_max: u32,
    /// Bytes in one request's head, at least 8,192; more are answered 431.
    pub header_bytes_max: u32,
    /// Bytes in one request's body; more are answered 413, early where the length is declared.
    pub body_bytes_max: u32,
    /// Milliseconds from the first read of a body to its end.
    pub body_total_ms: u64,
    /// Milliseconds before the minimum rate of a body counts.
    pub body_grace_ms: u64,
    /// Bytes a second that a body must bring on average after the grace.
    pub body_bytes_per_s_min: u32,
    /// Milliseconds that a body may stand still.
    pub body_stall_ms: u64,
    /// Milliseconds from a request's head to its answer's head.
    pub request_ms: u64,
    /// Requests in hand at once; above it a request is answered 503 at once (invariant I17).
    pub requests_in_flight_max: u32,
    /// Milliseconds that a peer may leave our bytes unread.
    pub write_stall_ms: u64,
    /// Milliseconds from the stop signal until what is still in hand is cut off.
    pub drain_ms: u64,
    /// Event streams open at once.
    pub event_streams_max: u32,
    /// Milliseconds between heartbeats on an idle event stream.
    pub event_heartbeat_ms: u64,
    /// HTTP/2 streams of one connection at once.
    pub http2_streams_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            connections_per_peer_max: 256,
            first_byte_ms: 5_000,
            tls_handshake_ms: 5_000,
            header_read_ms: 5_000,
            idle_ms: 60_000,
            headers_max: 64,
            header_bytes_max: 16 * 1024,
            body_bytes_max: 1024 * 1024,
            body_total_ms: 30_000,
            body_grace_ms: 5_000,
            body_bytes_per_s_min: 1_024,
            body_stall_ms: 5_000,
            request_ms: 15_000,
            requests_in_flight_max: 512,
            write_stall_ms: 30_000,
            drain_ms: 20_000,
            event_streams_max: 256,
            event_heartbeat_ms: 15_000,
            http2_streams_max: 100,
        }
    }
}

/// A limit that would shut the door for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{limit}` must be at least {least}")]
pub struct LimitFault {
    /// The limit.
    pub limit: &'static str,
    /// Its least value.
    pub least: u64,
}

impl Limits {
    /// Checks that no limit is so small that nothing could come in.
    ///
    /// # Errors
    /// The first limit below its least value.
    pub fn check(&self) -> Result<(), LimitFault> {
        let least = [
            ("connections_max", u64::from(self.connections_max), 1),
            ("connections_per_peer_max", u64::from(self.connections_per_peer_max), 1),
            ("first_byte_ms", self.first_byte_ms, 1),
            ("tls_handshake_ms", self.tls_handshake_ms, 1),
            ("header_read_ms", self.header_read_ms, 1),
            ("idle_ms", self.idle_ms, 1),
            ("headers_max", u64::from(self.headers_max), 1),
            ("header_bytes_max", u64::from(self.header_bytes_max), 8_192),
            ("body_bytes_max", u64::from(self.body_bytes_max), 1),
            ("body_total_ms", self.body_total_ms, 1),
            ("body_bytes_per_s_min", u64::from(self.body_bytes_per_s_min), 1),
            ("body_stall_ms", self.body_stall_ms, 1),
            ("request_ms", self.request_ms, 1),
            ("requests_in_flight_max", u64::from(self.requests_in_flight_max), 1),
            ("write_stall_ms", self.write_stall_ms, 1),
            ("event_heartbeat_ms", self.event_heartbeat_ms, 1),
            ("http2_streams_max", u64::from(self.http2_streams_max), 1),
        ];
        match least.into_iter().find(|(_, value, least)| value < least) {
            Some((limit, _, least)) => Err(LimitFault { limit, least }),
            None => Ok(()),
        }
    }
}

/// Milliseconds as a duration.
pub(super) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A limit as a size in memory.
pub(super) fn size(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound_and_a_part_may_be_configured() {
        Limits::default().check().unwrap();
        let limits: Limits = toml::from_str("connections_max = 8\ndrain_ms = 10").unwrap();
        assert_eq!((limits.connections_max, limits.drain_ms, limits.headers_max), (8, 10, 64));
    }

    #[test]
    fn unknown_keys_and_shut_doors_are_refused() {
        assert!(toml::from_str::<Limits>("connections = 8").is_err());
        let fault = Limits { header_bytes_max: 100, ..Limits::default() }.check().unwrap_err();
        assert_eq!(fault.to_string(), "`header_bytes_max` must be at least 8192");
        assert!(Limits { connections_max: 0, ..Limits::default() }.check().is_err());
    }
}
