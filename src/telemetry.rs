//! What is counted and logged: one registry of metrics, one function for each use, and the never-log list.

#[cfg(feature = "adapter")]
mod logs;

#[cfg(feature = "adapter")]
pub use logs::{LogFault, LogFormat, LogSettings, NEVER_LOG, set_up_logs};
#[cfg(feature = "adapter")]
pub use metrics_exporter_prometheus::PrometheusHandle;

use metrics::{Unit, counter, gauge, histogram};
#[cfg(feature = "adapter")]
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
#[cfg(feature = "adapter")]
use std::sync::OnceLock;
use std::time::Duration;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counted into the fixed buckets of [`SECONDS_BUCKETS`].
    Histogram,
}

/// One metric of the registry.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its unit.
    pub unit: Unit,
    /// Names of its labels. Values come from closed sets, never from input (fault 50).
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// Upper bounds of the buckets of every duration, seconds: from a decision (microseconds) to a drain (half a minute).
pub const SECONDS_BUCKETS: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0,
];

const CALLS_DECIDED: &str = "fourth_calls_decided_total";
const CALL_TYPES_UNMAPPED: &str = "fourth_call_types_unmapped_total";
const DECIDE_SECONDS: &str = "fourth_decide_seconds";
const RECEIVE_SECONDS: &str = "fourth_receive_seconds";
const REPAIRS: &str = "fourth_repairs_total";
const REFUSED: &str = "fourth_refused_total";
const RECORD_HEARD_AT: &str = "fourth_record_heard_at_seconds";
const CAD_SILENT: &str = "fourth_cad_silent";
const INCIDENTS_OPEN: &str = "fourth_incidents_open";
const LEGS: &str = "fourth_legs_total";
const DUTIES: &str = "fourth_duties_total";
const EFFECTS: &str = "fourth_effects_total";
const OUTBOX_DEPTH: &str = "fourth_outbox_depth";
const DESTINATION_DOWN: &str = "fourth_destination_down";
const PEER_CONNECTED: &str = "fourth_peer_connected";
const CONTACT_PROVED_AT: &str = "fourth_contact_proved_at_seconds";
const CONTACT_UNPROVED: &str = "fourth_contact_unproved";
const JOURNAL_APPEND_SECONDS: &str = "fourth_journal_append_seconds";
const JOURNAL_ENTRIES: &str = "fourth_journal_entries_total";
const JOURNAL_AWAY: &str = "fourth_journal_away";
const JOURNAL_APART: &str = "fourth_journal_apart_incidents";
const POLICY_LOADS: &str = "fourth_policy_loads_total";
const POLICY_REFUSED: &str = "fourth_policy_refused";
const POLICY_LOADED_AT: &str = "fourth_policy_loaded_at_seconds";
const CONNECTIONS_OPEN: &str = "fourth_connections_open";
const CONNECTIONS_REFUSED: &str = "fourth_connections_refused_total";
const CONNECTIONS_ENDED: &str = "fourth_connections_ended_total";
const REQUESTS: &str = "fourth_requests_total";
const REQUEST_SECONDS: &str = "fourth_request_seconds";
const REQUESTS_SHED: &str = "fourth_requests_shed_total";
const CAD_FORWARDED: &str = "fourth_cad_forwarded_total";
const CAD_COPIES: &str = "fourth_cad_copies_total";
const EVENT_STREAMS_OPEN: &str = "fourth_event_streams_open";
const PANICS: &str = "fourth_panics_total";
const LOG_LINES_DROPPED: &str = "fourth_log_lines_dropped_total";

const fn counts(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, unit: Unit::Count, labels, help }
}

const fn level(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, unit: Unit::Count, labels, help }
}

const fn seconds(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, unit: Unit::Seconds, labels, help }
}

/// Every metric of the product.
pub const METRICS: &[Metric] = &[
    counts(CALLS_DECIDED, &["status"], "Decisions made, by status"),
    counts(CALL_TYPES_UNMAPPED, &["why"], "Call types of records that the policy's table says nothing of, by why"),
    seconds(DECIDE_SECONDS, &[], "Time spent deciding one call"),
    seconds(RECEIVE_SECONDS, &[], "Time from the whole record to its durable answer"),
    counts(REPAIRS, &["format", "kind"], "Things a decoder mended, by format and kind"),
    counts(REFUSED, &["problem"], "Requests answered with a problem document, by problem"),
    Metric {
        unit: Unit::Seconds,
        ..level(RECORD_HEARD_AT, &[], "When a record was last heard, or the adapter was started, seconds since 1970")
    },
    level(CAD_SILENT, &[], "1 where no record has been heard for longer than `http.silence_alarm_s`"),
    level(INCIDENTS_OPEN, &[], "Incidents not yet closed"),
    counts(LEGS, &["outcome"], "Legs, by what came of them"),
    counts(
        DUTIES,
        &["kind", "outcome"],
        "Things owed (acknowledgements, call-backs, follow-ups), by what became of them",
    ),
    counts(EFFECTS, &["outcome"], "Attempts to carry out an effect, by outcome"),
    level(OUTBOX_DEPTH, &[], "Effects not yet delivered or given up"),
    level(
        DESTINATION_DOWN,
        &["destination"],
        "1 where a destination of the configuration is down, so that offers pass it by",
    ),
    level(
        PEER_CONNECTED,
        &["destination"],
        "1 while a connection for EIDO conveyance stands, by destination of the configuration",
    ),
    Metric {
        unit: Unit::Seconds,
        ..level(
            CONTACT_PROVED_AT,
            &["contact"],
            "When a contact of the configuration was last proved to work, seconds since 1970; 0 where not since the start",
        )
    },
    level(CONTACT_UNPROVED, &["contact"], "1 where a contact failed its test, or was not proved for too long"),
    seconds(JOURNAL_APPEND_SECONDS, &[], "Time of one append until it was durable"),
    counts(JOURNAL_ENTRIES, &[], "Entries appended to the journal"),
    level(JOURNAL_AWAY, &[], "1 while the shared journal's database is away, so that no call changes hands"),
    level(JOURNAL_APART, &[], "Incidents journaled here that are not yet in the shared journal"),
    counts(POLICY_LOADS, &["outcome"], "Policies found in the folder, by what became of them"),
    level(
        POLICY_REFUSED,
        &[],
        "1 where the folder holds a policy that may not be loaded, so that an older one is in force",
    ),
    Metric {
        unit: Unit::Seconds,
        ..level(POLICY_LOADED_AT, &[], "When the policy in force was loaded, seconds since 1970; 0 where none is")
    },
    level(CONNECTIONS_OPEN, &["door"], "Connections open now"),
    counts(CONNECTIONS_REFUSED, &["door", "why"], "Connections refused at the door"),
    counts(CONNECTIONS_ENDED, &["door", "why"], "Connections ended, by why"),
    counts(REQUESTS, &["door", "class"], "Requests answered, by class of status"),
    seconds(REQUEST_SECONDS, &["door"], "Time from a request's head to its answer's head"),
    counts(REQUESTS_SHED, &["door"], "Requests refused because too many were in flight"),
    counts(CAD_FORWARDED, &["outcome"], "Requests passed through to the CAD, by outcome"),
    counts(CAD_COPIES, &["outcome"], "Copies of passed-through records, by what became of them"),
    level(EVENT_STREAMS_OPEN, &[], "Event streams open now"),
    counts(PANICS, &[], "Panics caught at a task's edge"),
    counts(LOG_LINES_DROPPED, &[], "Log lines dropped because the log was too slow"),
];

/// The kinds of repair that have a label of their own; the decoder names them, and any other counts as `other`.
const REPAIR_KINDS: &[&str] = &[
    "age-unreadable",
    "byte-order-guessed",
    "byte-order-mark-wrong",
    "call-id-for-call-number",
    "coordinates-exchanged",
    "coordinates-unreadable",
    "coordinates-zero",
    "direction-unknown",
    "eido-envelope",
    "encoding-declared-wrongly",
    "enum-spelling",
    "flag-unreadable",
    "hash-stripped",
    "local-time-ambiguous",
    "local-time-missing",
    "local-time-zoned",
    "location-from-object",
    "location-from-text",
    "location-unreadable",
    "location-without-place",
    "missing-update-time",
    "no-incident-named",
    "not-the-incident-place",
    "null-dropped",
    "number-unreadable",
    "person-unreadable",
    "priority-out-of-range",
    "received-from-created",
    "reference-not-fetched",
    "renamed-key",
    "script-dropped",
    "taken-from-sender-profile",
    "text-from-scalar",
    "text-from-structure",
    "time-unreadable",
    "unit-of-another-incident",
    "unknown-coordinate-system",
    "unwrapped-list",
    "value-not-in-layout",
    "version-assumed",
    "wrapped-in-list",
    "wrapped-in-object",
];

/// The registry could not be installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("metrics cannot be set up: {0}")]
pub struct MetricsFault(String);

/// Installs the recorder once for the process and returns the handle that renders it; later calls return the same.
/// A thread of its own drains the histograms every few seconds, so that they stay bounded when nobody scrapes.
///
/// # Errors
/// Where another recorder had been installed, or the thread cannot be started.
#[cfg(feature = "adapter")]
pub fn install() -> Result<PrometheusHandle, MetricsFault> {
    static INSTALLED: OnceLock<Result<PrometheusHandle, MetricsFault>> = OnceLock::new();
    INSTALLED.get_or_init(install_recorder).clone()
}

#[cfg(feature = "adapter")]
fn install_recorder() -> Result<PrometheusHandle, MetricsFault> {
    let fault = |error: &dyn std::fmt::Display| MetricsFault(error.to_string());
    let mut builder = PrometheusBuilder::new();
    for metric in METRICS.iter().filter(|metric| metric.kind == Kind::Histogram) {
        let name = Matcher::Full(metric.name.to_owned());
        builder = builder.set_buckets_for_metric(name, SECONDS_BUCKETS).map_err(|error| fault(&error))?;
    }
    let handle = builder.install_recorder().map_err(|error| fault(&error))?;
    for metric in METRICS {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.unit, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.unit, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.unit, metric.help),
        }
    }
    let drained = handle.clone();
    std::thread::Builder::new()
        .name("metrics-upkeep".to_owned())
        .spawn(move || {
            loop {
                std::thread::sleep(Duration::from_secs(5));
                drained.run_upkeep();
            }
        })
        .map_err(|error| fault(&error))?;
    Ok(handle)
}

/// A value of a closed set, or `other`: the only way text that is not static may become a label.
fn closed(value: &str, set: &[&'static str]) -> &'static str {
    set.iter().find(|known| **known == value).copied().unwrap_or("other")
}

/// One decision was made; `status` is the status's name.
pub fn call_decided(status: &'static str, spent: Duration) {
    counter!(CALLS_DECIDED, "status" => status).increment(1);
    histogram!(DECIDE_SECONDS).record(spent);
}

/// A record carried a call type that the policy's table says nothing of; never the code itself, which is input.
pub fn call_type_unmapped(why: &'static str) {
    counter!(CALL_TYPES_UNMAPPED, "why" => why).increment(1);
}

/// One record went from bytes to a durable answer.
pub fn call_received(spent: Duration) {
    histogram!(RECEIVE_SECONDS).record(spent);
}

/// A decoder mended something.
pub fn repair_counted(format: &'static str, kind: &str) {
    counter!(REPAIRS, "format" => format, "kind" => closed(kind, REPAIR_KINDS)).increment(1);
}

/// A request was answered with a problem document.
pub fn refused(problem: &'static str) {
    counter!(REFUSED, "problem" => problem).increment(1);
}

/// A record was last heard at this second since 1970; whether that is too long ago.
pub fn record_heard(second: i64, silent: bool) {
    gauge!(RECORD_HEARD_AT).set(u32::try_from(second).map_or(0.0, f64::from));
    gauge!(CAD_SILENT).set(f64::from(u8::from(silent)));
}

/// So many incidents are open.
pub fn incidents_open(count: usize) {
    gauge!(INCIDENTS_OPEN).set(measure(count));
}

/// Something came of a leg (`offered`, `accepted`, `declined`, `timed-out`, …).
pub fn leg_counted(outcome: &'static str) {
    counter!(LEGS, "outcome" => outcome).increment(1);
}

/// Something came of what somebody owes (`opened`, `overdue`, or how it ended). `overdue` is an alarm.
pub fn duty_counted(kind: &'static str, outcome: &'static str) {
    counter!(DUTIES, "kind" => kind, "outcome" => outcome).increment(1);
}

/// An effect was tried (`delivered`, `retried`, `undeliverable`).
pub fn effect_counted(outcome: &'static str) {
    counter!(EFFECTS, "outcome" => outcome).increment(1);
}

/// So many effects are outstanding.
pub fn outbox_depth(count: usize) {
    gauge!(OUTBOX_DEPTH).set(measure(count));
}

/// A destination went down or came back. Its name stands in the configuration, never in what somebody sent.
pub fn destination_down(destination: &str, down: bool) {
    gauge!(DESTINATION_DOWN, "destination" => destination.to_owned()).set(f64::from(u8::from(down)));
}

/// A connection for EIDO conveyance was made or lost; named as [`destination_down`] is.
pub fn peer_connected(destination: &str, connected: bool) {
    gauge!(PEER_CONNECTED, "destination" => destination.to_owned()).set(f64::from(u8::from(connected)));
}

/// A contact was last proved at this second since 1970, 0 for never, and is an alarm or not; named as [`destination_down`] is.
pub fn contact(contact: &str, proved_at: i64, unproved: bool) {
    let at = u32::try_from(proved_at).map_or(0.0, f64::from);
    gauge!(CONTACT_PROVED_AT, "contact" => contact.to_owned()).set(at);
    gauge!(CONTACT_UNPROVED, "contact" => contact.to_owned()).set(f64::from(u8::from(unproved)));
}

/// An append of so many entries became durable.
pub fn journal_appended(entries: u64, spent: Duration) {
    counter!(JOURNAL_ENTRIES).increment(entries);
    histogram!(JOURNAL_APPEND_SECONDS).record(spent);
}

/// Whether the shared journal's database is away, and how many incidents are journaled here only.
pub fn journal_away(away: bool, incidents_apart: usize) {
    gauge!(JOURNAL_AWAY).set(f64::from(u8::from(away)));
    gauge!(JOURNAL_APART).set(measure(incidents_apart));
}

/// Something became of a policy found in the folder (`loaded`, `loaded-diverts-more`, `refused`, `unreadable`).
pub fn policy_load(outcome: &'static str) {
    counter!(POLICY_LOADS, "outcome" => outcome).increment(1);
}

/// Whether what lies in the policy's folder may not be loaded.
pub fn policy_refused(refused: bool) {
    gauge!(POLICY_REFUSED).set(f64::from(u8::from(refused)));
}

/// A policy came into force at this second since 1970.
pub fn policy_loaded(second: i64) {
    gauge!(POLICY_LOADED_AT).set(u32::try_from(second).map_or(0.0, f64::from));
}

/// A connection was let in at a door.
pub fn connection_opened(door: &'static str) {
    gauge!(CONNECTIONS_OPEN, "door" => door).increment(1.0);
}

/// A connection that had been let in ended.
pub fn connection_ended(door: &'static str, why: &'static str) {
    gauge!(CONNECTIONS_OPEN, "door" => door).decrement(1.0);
    counter!(CONNECTIONS_ENDED, "door" => door, "why" => why).increment(1);
}

/// A connection was not let in.
pub fn connection_refused(door: &'static str, why: &'static str) {
    counter!(CONNECTIONS_REFUSED, "door" => door, "why" => why).increment(1);
}

/// A request was answered.
pub fn request_answered(door: &'static str, status: u16, spent: Duration) {
    let class = match status {
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "other",
    };
    counter!(REQUESTS, "door" => door, "class" => class).increment(1);
    histogram!(REQUEST_SECONDS, "door" => door).record(spent);
}

/// A request was refused because too many were in flight.
pub fn request_shed(door: &'static str) {
    counter!(REQUESTS_SHED, "door" => door).increment(1);
}

/// A request was passed through to the CAD (`answered`, `unreachable`, `timed-out`, `busy`).
pub fn cad_forwarded(outcome: &'static str) {
    counter!(CAD_FORWARDED, "outcome" => outcome).increment(1);
}

/// Something became of a copy of a passed-through record.
pub fn cad_copy(outcome: &'static str) {
    counter!(CAD_COPIES, "outcome" => outcome).increment(1);
}

/// An event stream was opened.
pub fn event_stream_opened() {
    gauge!(EVENT_STREAMS_OPEN).increment(1.0);
}

/// An event stream ended.
pub fn event_stream_ended() {
    gauge!(EVENT_STREAMS_OPEN).decrement(1.0);
}

/// A panic was caught at a task's edge.
pub fn panic_caught() {
    counter!(PANICS).increment(1);
}

/// A log line was dropped.
fn log_line_dropped() {
    counter!(LOG_LINES_DROPPED).increment(1);
}

/// A count as a gauge's value; exact below 2^32, saturating above.
fn measure(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_metric_has_one_entry_a_unit_and_help() {
        let mut names = BTreeSet::new();
        for metric in METRICS {
            assert!(names.insert(metric.name), "{} is listed twice", metric.name);
            assert!(metric.name.starts_with("fourth_"), "{}", metric.name);
            assert!(!metric.help.is_empty() && !metric.help.ends_with('.'), "{}", metric.name);
            match metric.kind {
                Kind::Counter => assert!(metric.name.ends_with("_total"), "{}", metric.name),
                Kind::Histogram => assert!(metric.name.ends_with("_seconds"), "{}", metric.name),
                Kind::Gauge => assert!(!metric.name.ends_with("_total"), "{}", metric.name),
            }
        }
    }

    #[test]
    fn every_name_in_this_file_is_in_the_registry_and_used() {
        let source = include_str!("telemetry.rs");
        let source = source.split("#[cfg(test)]").next().unwrap();
        let mut constants = 0;
        for line in source.lines().filter(|line| line.contains(": &str = \"fourth_")) {
            let constant = line.split_whitespace().nth(1).unwrap().trim_end_matches(':');
            assert!(source.matches(constant).count() >= 3, "{constant} is not both registered and used");
            constants += 1;
        }
        assert_eq!(constants, METRICS.len());
    }

    #[test]
    fn rendering_shows_what_was_counted_with_help_and_fixed_buckets() {
        let handle = install().unwrap();
        call_decided("eligible", Duration::from_micros(40));
        repair_counted("eido-json", "renamed-key");
        repair_counted("eido-json", "742 evergreen terrace");
        request_answered("intake", 503, Duration::from_millis(3));
        let text = handle.render();
        for expected in [
            "# HELP fourth_calls_decided_total Decisions made, by status",
            "# TYPE fourth_decide_seconds histogram",
            "fourth_decide_seconds_bucket{le=\"0.00005\"}",
            "fourth_repairs_total{format=\"eido-json\",kind=\"renamed-key\"}",
            "fourth_repairs_total{format=\"eido-json\",kind=\"other\"}",
            "fourth_requests_total{door=\"intake\",class=\"5xx\"}",
        ] {
            assert!(text.contains(expected), "{expected} is missing in\n{text}");
        }
        assert!(!text.contains("evergreen"), "input became a label");
        assert!(!install().unwrap().render().is_empty(), "a second installation shares the first");
    }
}
