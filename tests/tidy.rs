//! Rules about the code, as tests: who may import whom, which outside crate belongs where, sizes, first lines, marks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Who may import whom (ARCHITECTURE.md has the same table). A room that is not here does not exist.
const ROOMS: &[(&str, &[&str])] = &[
    ("record", &[]),
    ("wire", &["record"]),
    ("facts", &["record"]),
    ("policy", &["record", "facts"]),
    ("incident", &["record", "facts", "policy"]),
    ("journal", &["record", "facts", "policy", "incident", "clock", "telemetry"]),
    ("call_processing", &["record", "wire", "facts", "policy", "incident", "journal", "clock", "telemetry"]),
    ("access", &["record", "facts"]),
    (
        "handoff",
        &["record", "wire", "facts", "policy", "incident", "journal", "access", "clock", "network", "telemetry"],
    ),
    ("measures", &["record", "policy", "incident", "journal"]),
    ("history", &["record", "facts", "policy", "measures"]),
    (
        "http",
        &[
            "call_processing",
            "record",
            "wire",
            "facts",
            "policy",
            "incident",
            "journal",
            "access",
            "clock",
            "network",
            "telemetry",
        ],
    ),
    (
        "pages",
        &[
            "call_processing",
            "record",
            "facts",
            "policy",
            "incident",
            "journal",
            "measures",
            "access",
            "clock",
            "telemetry",
        ],
    ),
    ("canaries", &[]),
    ("clock", &[]),
    ("network", &[]),
    ("telemetry", &[]),
    ("input", &[]),
    (
        "configuration",
        &[
            "record",
            "wire",
            "policy",
            "incident",
            "journal",
            "handoff",
            "access",
            "http",
            "pages",
            "input",
            "clock",
            "telemetry",
        ],
    ),
    ("app", &["*"]),
    ("commands", &["*"]),
    ("lib", &[]),
    ("main", &["commands"]),
];

/// Outside crates that only these rooms may name.
const OUTSIDE: &[(&str, &[&str])] = &[
    ("hyper", &["http", "handoff", "network"]),
    ("hyper_util", &["http", "handoff", "network"]),
    ("hyper_rustls", &["http", "handoff"]),
    ("tower", &["http", "handoff", "network", "pages"]),
    ("tower_http", &["http", "pages"]),
    ("rustls", &["http", "handoff", "journal"]),
    ("tokio_postgres", &["journal"]),
    ("deadpool", &["journal"]),
    ("tokio_rustls", &["http", "handoff", "journal"]),
    ("lettre", &["handoff"]),
    ("tokio_tungstenite", &["http", "handoff"]),
    ("futures_util", &["http", "handoff"]),
    ("axum", &["http", "pages", "app"]),
    ("maud", &["pages"]),
    ("quick_xml", &["wire"]),
    ("encoding_rs", &["wire"]),
    ("aho_corasick", &["facts"]),
    ("csv", &["wire", "facts"]),
    ("rusqlite", &["journal", "history"]),
    ("aws_lc_rs", &["journal"]),
    ("metrics", &["telemetry"]),
    ("metrics_exporter_prometheus", &["telemetry"]),
    ("getrandom", &["clock"]),
    ("geo", &["facts"]),
    ("geojson", &["facts"]),
    ("clap", &["commands", "main"]),
    ("indicatif", &["commands"]),
    ("comfy_table", &["commands"]),
    ("fourth_simulators", &["commands"]),
];

/// Rooms that take time and everything else as a value.
const PURE: &[&str] = &["record", "wire", "facts", "policy", "incident", "measures", "access"];

/// Lines in one source file, at most.
const FILE_LINES_MAX: usize = 600;

struct Source {
    path: PathBuf,
    room: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &Path, extension: &str, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                files_below(&path, extension, into);
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            into.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut paths = Vec::new();
    files_below(&src, "rs", &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let first = path.strip_prefix(&src).unwrap().components().next().unwrap();
        let room = first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
        Source { room, text: fs::read_to_string(&path).unwrap(), path }
    };
    paths.into_iter().map(read).collect()
}

/// The code of a file without comments and without its test module, which may reach further.
fn code(text: &str) -> String {
    let product = text.split("#[cfg(test)]\nmod").next().unwrap();
    product.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

fn is_test_file(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
}

/// Names that follow `prefix` in the code (`crate::` → rooms, `use ` → crates).
fn names_after<'a>(code: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        names.insert(&rest[..end]);
    }
    names
}

fn imports(source: &Source) -> BTreeSet<String> {
    let code = code(&source.text);
    let mut rooms: BTreeSet<String> = names_after(&code, "crate::").into_iter().map(str::to_owned).collect();
    if let Some(at) = code.find("use crate::{") {
        let list = code[at..].split("};").next().unwrap();
        for (room, _) in ROOMS {
            if list.contains(&format!(" {room}::")) || list.contains(&format!("{{{room}")) {
                rooms.insert((*room).to_owned());
            }
        }
    }
    rooms.retain(|room| *room != source.room && ROOMS.iter().any(|(name, _)| name == room));
    rooms
}

#[test]
fn every_room_is_in_the_table_and_imports_only_what_it_may() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| !is_test_file(&source.path)) {
        let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| *room == source.room) else {
            faults.push(format!("{}: room `{}` is not in the table", source.path.display(), source.room));
            continue;
        };
        for import in imports(source) {
            if !allowed.contains(&"*") && !allowed.contains(&import.as_str()) {
                faults.push(format!("{}: `{}` may not import `{import}`", source.path.display(), source.room));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_rooms_make_no_circle() {
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources().iter().filter(|source| !is_test_file(&source.path)) {
        let rooms = imports(source);
        graph.entry(source.room.clone()).or_default().extend(rooms);
    }
    while let Some(leaf) = graph.iter().find(|(_, rooms)| rooms.is_empty()).map(|(room, _)| room.clone()) {
        graph.remove(&leaf);
        for rooms in graph.values_mut() {
            rooms.remove(&leaf);
        }
    }
    assert!(graph.is_empty(), "rooms that import each other: {graph:?}");
}

#[test]
fn outside_crates_stay_in_their_rooms() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| !is_test_file(&source.path)) {
        let code = code(&source.text);
        for (name, rooms) in OUTSIDE {
            let named = [format!("use {name}::"), format!(" {name}::"), format!("({name}::"), format!("<{name}::")];
            if named.iter().any(|form| code.contains(form.as_str())) && !rooms.contains(&source.room.as_str()) {
                faults.push(format!("{}: `{name}` belongs to {rooms:?}", source.path.display()));
            }
        }
        let environment = code.contains("std::env") || code.contains("env::var");
        if environment && !["configuration", "main"].contains(&source.room.as_str()) {
            faults.push(format!("{}: the environment is read in configuration only", source.path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn pure_rooms_do_no_io() {
    let forbidden =
        ["tokio::", "std::fs", "std::net", "std::thread", "Instant::now", "Timestamp::now", "SystemTime", "tracing::"];
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| PURE.contains(&source.room.as_str()) && !is_test_file(&source.path))
    {
        let code = code(&source.text);
        for word in forbidden.iter().filter(|word| code.contains(**word)) {
            faults.push(format!("{}: `{word}` in a pure room", source.path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A new event, command or state must be thought of everywhere in the state machine: no arm takes what is not named.
#[test]
fn the_state_machine_has_no_catch_all_arm() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| source.room == "incident" && !is_test_file(&source.path)) {
        for (number, line) in code(&source.text).lines().enumerate() {
            let arm = line.trim_start();
            if ["_ =>", "_ if ", "| _ =>"].iter().any(|open| arm.starts_with(open)) || arm.contains("(_, _) =>") {
                faults.push(format!("{}:{}: `{arm}`", source.path.display(), number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "name every variant:\n{}", faults.join("\n"));
}

#[test]
fn every_file_says_what_it_is_and_keeps_its_size() {
    let mut paths = Vec::new();
    for folder in ["src", "simulators/src", "tests"] {
        files_below(&root().join(folder), "rs", &mut paths);
    }
    let mut faults = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        if !text.starts_with("//! ") {
            faults.push(format!("{}: the first line says what the file is (`//! …`)", path.display()));
        }
        if text.lines().count() > FILE_LINES_MAX {
            faults.push(format!("{}: {} lines, at most {FILE_LINES_MAX}", path.display(), text.lines().count()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn nothing_is_left_unfinished() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!"), concat!("unimplemented", "!")];
    let mut paths = Vec::new();
    for folder in ["src", "simulators", "tests", "schemas"] {
        for extension in ["rs", "toml", "md", "sql", "yaml"] {
            files_below(&root().join(folder), extension, &mut paths);
        }
    }
    let mut faults = Vec::new();
    for path in paths {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for mark in marks.iter().filter(|mark| text.contains(**mark)) {
            faults.push(format!("{}: `{mark}`", path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
