//! Any bytes as a file of rows: each row a record with an identity, or a refusal; never a panic.
#![no_main]

mod sender;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(rows) = fourth_option::wire::decode_rows(bytes, &sender::SENDER) else { return };
    for record in rows.flatten() {
        assert!(!record.identity.incident.is_empty());
    }
});
