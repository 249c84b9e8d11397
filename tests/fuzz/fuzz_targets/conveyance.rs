//! Any text as a message of EIDO conveyance: read, and then written and read back alike, or refused; never a panic.
#![no_main]

use fourth_option::wire::ConveyanceMessage;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(message) = ConveyanceMessage::read(text) {
        let written = message.text();
        assert_eq!(ConveyanceMessage::read(&written).map(|again| again.text()), Ok(written));
    }
});
