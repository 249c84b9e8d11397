//! The sender that every target decodes for: a zone with daylight saving and the sample layout.

use fourth_option::wire::{Layout, SenderProfile};
use jiff::tz::TimeZone;
use std::sync::LazyLock;

/// Built once.
pub static SENDER: LazyLock<SenderProfile> = LazyLock::new(|| SenderProfile {
    agency: "kamloops.example".to_owned(),
    element: "cad".to_owned(),
    time_zone: TimeZone::get("America/Vancouver").expect("the bundled time zones have Vancouver"),
    layout: Layout::parse(include_str!("../../../schemas/call_record/delimited/layout.toml")).ok(),
    call_types: None,
});
