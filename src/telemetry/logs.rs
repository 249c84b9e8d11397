//! Logs that intake never waits for, and the fields that must never be in one.

use serde::Deserialize;
use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Names that may never be a field of a log line or be formatted into one: they hold what a caller said or where a
/// caller is, secrets, or bytes as they came (invariant I14). A test scans the sources for them.
pub const NEVER_LOG: &[&str] = &[
    "address",
    "age_years",
    "authorization",
    "body",
    "bytes",
    "callback",
    "callbacks",
    "caller",
    "caller_name",
    "cautions",
    "content",
    "coordinates",
    "description",
    "latitude",
    "location",
    "locations",
    "longitude",
    "narrative",
    "note",
    "notes",
    "override_reason",
    "password",
    "payload",
    "person",
    "persons",
    "phone",
    "postal_code",
    "raw",
    "record",
    "secret",
    "street",
    "token",
    "uri",
    "view",
];

/// Lines waiting to be written, at most; above it they are dropped and counted (fault 49).
const LINES_WAITING_MAX: usize = 4096;

/// The `[log]` part of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// For people or for machines.
    pub format: LogFormat,
    /// What is logged, in the terms of `tracing-subscriber`'s filter (`info`, `fourth_option::http=debug,info`).
    pub filter: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// One line of text.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why logs could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("logs cannot be set up: {0}")]
pub struct LogFault(String);

/// Sets up logs on standard error, and a panic hook that tells the place of a panic and never its message, because a
/// message can quote what a caller said.
///
/// # Errors
/// Where the filter cannot be read, or logs had been set up before.
pub fn set_up_logs(settings: &LogSettings) -> Result<(), LogFault> {
    let filter = EnvFilter::try_new(&settings.filter).map_err(|error| LogFault(error.to_string()))?;
    let lines = Lines::to(io::stderr()).map_err(|error| LogFault(error.to_string()))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines);
    let set_up = match settings.format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    set_up.map_err(|error| LogFault(error.to_string()))?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
    Ok(())
}

/// A writer that hands whole lines to a thread and never waits for it.
#[derive(Debug, Clone)]
struct Lines(SyncSender<Vec<u8>>);

impl Lines {
    fn to(mut output: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = sync_channel::<Vec<u8>>(LINES_WAITING_MAX);
        std::thread::Builder::new().name("log-writer".to_owned()).spawn(move || {
            for line in receiver {
                if output.write_all(&line).and_then(|()| output.flush()).is_err() {
                    super::log_line_dropped();
                }
            }
        })?;
        Ok(Self(sender))
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.0.try_send(line.to_vec()) {
            super::log_line_dropped();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::sync::mpsc;

    const MACROS: &[&str] = &[
        "trace!",
        "debug!",
        "info!",
        "warn!",
        "error!",
        "event!",
        "span!",
        "trace_span!",
        "debug_span!",
        "info_span!",
        "warn_span!",
        "error_span!",
    ];

    /// The argument texts of every tracing macro in a source file.
    fn macro_arguments(source: &str) -> Vec<String> {
        let mut found = Vec::new();
        for name in MACROS {
            for (at, _) in source.match_indices(name) {
                let before = source[..at].chars().next_back();
                if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                    continue;
                }
                let rest = &source[at + name.len()..];
                if rest.starts_with('(') {
                    found.push(balanced(rest));
                }
            }
        }
        found
    }

    fn balanced(text: &str) -> String {
        let mut depth = 0;
        let mut inside = String::new();
        for character in text.chars() {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            inside.push(character);
            if depth == 0 {
                break;
            }
        }
        inside
    }

    /// Words that name a value: all outside string literals, and what stands in `{…}` inside them.
    fn words(arguments: &str) -> Vec<String> {
        let mut values = String::new();
        for (index, part) in arguments.split('"').enumerate() {
            if index % 2 == 0 {
                values.push_str(part);
            } else {
                for captured in part.split('{').skip(1) {
                    values.push_str(captured.split('}').next().unwrap_or(""));
                    values.push(' ');
                }
            }
            values.push(' ');
        }
        values.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect()
    }

    fn offences(source: &str) -> Vec<String> {
        macro_arguments(source)
            .iter()
            .flat_map(|arguments| words(arguments))
            .filter(|word| NEVER_LOG.contains(&word.as_str()))
            .collect()
    }

    fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }

    #[test]
    fn no_log_line_holds_a_field_of_the_never_log_list() {
        let mut files = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        assert!(files.len() > 20);
        for file in files.iter().filter(|file| !file.ends_with("telemetry/logs.rs")) {
            let found = offences(&std::fs::read_to_string(file).unwrap());
            assert!(found.is_empty(), "{} logs {found:?}", file.display());
        }
    }

    #[test]
    fn the_scan_sees_fields_captures_and_spans() {
        for bad in [
            "tracing::warn!(phone = %p, \"late\");",
            "info!(\"from {caller}\")",
            "tracing::error!(\n  why,\n  ?person.name,\n  \"x\")",
            "tracing::info_span!(\"s\", token)",
            "debug!(len = record.notes.len(), \"decoded\")",
        ] {
            assert!(!offences(bad).is_empty(), "missed: {bad}");
        }
        for good in ["tracing::warn!(why, \"the phone line is silent\");", "info!(incident = %id, \"{count} left\")"] {
            assert!(offences(good).is_empty(), "false alarm: {good}");
        }
    }

    #[test]
    fn a_stalled_log_drops_lines_and_never_waits() {
        struct Stalled(mpsc::Receiver<()>);
        impl Write for Stalled {
            fn write(&mut self, line: &[u8]) -> io::Result<usize> {
                let _ended = self.0.recv();
                Ok(line.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (release, stalled) = mpsc::channel::<()>();
        let mut lines = Lines::to(Stalled(stalled)).unwrap();
        let started = crate::clock::monotonic_now();
        for _ in 0..LINES_WAITING_MAX * 2 {
            lines.write_all(b"line\n").unwrap();
        }
        assert!(started.elapsed().as_secs() < 2, "the writer waited for a stalled log");
        drop(release);
    }
}
