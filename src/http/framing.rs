//! Watches the raw heads of an HTTP/1 connection for what the parser forgives: two body lengths and bare line feeds.
//!
//! hyper lets `Transfer-Encoding` win over `Content-Length`, drops the latter before a handler can see it, and takes
//! a line feed without carriage return for a line's end. A peer that reads such a request otherwise sees another
//! request in it (request smuggling), so it is refused whole. The watch follows `Content-Length` from head to head; after
//! a chunked request it stops, because the connection is closed after that one's answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of a header's name or length that are kept; longer ones are none of the two looked for.
const WORD_BYTES_MAX: usize = 20;

/// Shared between the watch and the handlers of one connection: true once a head was ambiguous, for good.
#[derive(Debug, Clone, Default)]
pub(super) struct Ambiguity(Arc<AtomicBool>);

impl Ambiguity {
    pub(super) fn found(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn report(&self) {
        self.0.store(true, Ordering::Release);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before or in the request line.
    RequestLine,
    /// In a header's name.
    Name,
    /// In a header's value.
    Value,
    /// In a body with so many bytes to go.
    Body(u64),
    /// Nothing further is watched.
    End,
}

/// The state of the watch.
#[derive(Debug)]
pub(super) struct Watch {
    ambiguity: Ambiguity,
    at: At,
    line_bytes: usize,
    after_return: bool,
    name: Vec<u8>,
    value: Vec<u8>,
    length: Option<u64>,
    chunked: bool,
}

impl Watch {
    pub(super) fn new(ambiguity: Ambiguity) -> Self {
        Self {
            ambiguity,
            at: At::RequestLine,
            line_bytes: 0,
            after_return: false,
            name: Vec::new(),
            value: Vec::new(),
            length: None,
            chunked: false,
        }
    }

    /// Sees the next bytes as they came from the peer.
    pub(super) fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.at {
                At::End => return,
                At::Body(left) => {
                    let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = bytes.get(skipped..).unwrap_or_default();
                    let left = left.saturating_sub(u64::try_from(skipped).unwrap_or(u64::MAX));
                    self.at = if left == 0 { At::RequestLine } else { At::Body(left) };
                }
                At::RequestLine | At::Name | At::Value => {
                    let Some((byte, rest)) = bytes.split_first() else { return };
                    bytes = rest;
                    self.see_head(*byte);
                }
            }
        }
    }

    fn see_head(&mut self, byte: u8) {
        if byte == b'\n' {
            if !self.after_return {
                self.ambiguity.report();
            }
            self.end_line();
            return;
        }
        // A return is only part of a line where something other than a line feed follows; hyper refuses that.
        if byte != b'\r' {
            self.line_bytes += 1;
        }
        self.after_return = byte == b'\r';
        match self.at {
            At::Name if byte == b':' => self.at = At::Value,
            At::Name => keep(&mut self.name, byte.to_ascii_lowercase()),
            At::Value if !matches!(byte, b' ' | b'\t' | b'\r') => keep(&mut self.value, byte),
            _ => {}
        }
    }

    fn end_line(&mut self) {
        let empty = self.line_bytes == 0;
        match self.at {
            // Empty lines before a request line are allowed (RFC 9112, 2.2).
            At::RequestLine if empty => {}
            At::RequestLine => self.at = At::Name,
            _ if empty => self.end_head(),
            _ => {
                self.end_header();
                self.at = At::Name;
            }
        }
        self.line_bytes = 0;
        self.after_return = false;
        self.name.clear();
        self.value.clear();
    }

    fn end_header(&mut self) {
        match self.name.as_slice() {
            b"transfer-encoding" => self.chunked = true,
            b"content-length" => {
                let digits = std::str::from_utf8(&self.value).ok();
                // An unreadable length is hyper's to refuse; it ends the connection.
                self.length = Some(digits.and_then(|digits| digits.parse().ok()).unwrap_or(u64::MAX));
            }
            _ => {}
        }
    }

    fn end_head(&mut self) {
        if self.chunked && self.length.is_some() {
            self.ambiguity.report();
        }
        self.at = match (self.chunked, self.length.take()) {
            (true, _) => At::End,
            (false, Some(length)) if length > 0 => At::Body(length),
            (false, _) => At::RequestLine,
        };
        self.chunked = false;
    }
}

fn keep(word: &mut Vec<u8>, byte: u8) {
    if word.len() < WORD_BYTES_MAX {
        word.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ambiguous(parts: &[&[u8]]) -> bool {
        let mut watch = Watch::new(Ambiguity::default());
        for part in parts {
            watch.see(part);
        }
        watch.ambiguity.found()
    }

    const SOUND: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na\nb\n\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nX-Content-Length: 5\r\nContent-Length-Not: transfer-encoding\r\n\r\n",
    ];

    #[test]
    fn both_lengths_are_found_in_either_order_and_any_case() {
        let heads: [&[u8]; 3] = [
            b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST / HTTP/1.1\r\nTRANSFER-encoding: chunked\r\ncontent-LENGTH: 5\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length:\t5\r\nHost: a\r\nTransfer-Encoding:chunked\r\n\r\n",
        ];
        for head in heads {
            assert!(ambiguous(&[head]));
        }
    }

    #[test]
    fn a_bare_line_feed_in_a_head_is_found_but_not_in_a_body() {
        assert!(ambiguous(&[b"GET / HTTP/1.1\nHost: a\n\n"]));
        assert!(ambiguous(&[b"GET / HTTP/1.1\r\nHost: a\n\r\n"]));
        assert!(!ambiguous(SOUND));
    }

    #[test]
    fn one_length_in_each_of_two_requests_is_sound() {
        let first = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nok";
        let second = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        assert!(!ambiguous(&[first, second]));
    }

    #[test]
    fn a_smuggled_second_request_is_found() {
        let first = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nok";
        let second = b"POST / HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(ambiguous(&[first, second]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn where_the_reads_fall_makes_no_difference(cuts in proptest::collection::vec(0_usize..400, 0..12), end in 0_usize..3) {
            let tails: [&[u8]; 3] = [
                b"GET / HTTP/1.1\r\n\r\n",
                b"GET / HTTP/1.1\nA: b\r\n\r\n",
                b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            ];
            let mut all = SOUND.concat();
            all.extend_from_slice(tails[end]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(all.len())).collect();
            cuts.push(0);
            cuts.push(all.len());
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &all[pair[0]..pair[1]]).collect();
            prop_assert_eq!(ambiguous(&parts), end > 0);
        }

        #[test]
        fn no_bytes_break_the_watch(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            Watch::new(Ambiguity::default()).see(&bytes);
        }
    }
}
