//! A free port of this machine that nobody else takes meanwhile.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports below those that outgoing connections are given (Linux: from 32768).
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Each once in a process, which begins at a place of its own.
pub fn free_port() -> u16 {
    static TURN: AtomicU32 = AtomicU32::new(0);
    loop {
        let turn = (std::process::id() * 97).wrapping_add(TURN.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + u16::try_from(turn % u32::from(PORTS.end - PORTS.start)).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
