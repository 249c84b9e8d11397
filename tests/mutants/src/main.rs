//! Mutants of the policy and of the incident: every small change to their code, and whether a test sees it.
//!
//! cargo-mutants builds the crate once for each change, about twenty seconds of it. Here all changes that it would make are
//! planted in one copy of the sources, each behind a number, and the test program is built once; `MUTANT=17` then runs change 17.
//! Each test is run alone first, to learn which places it reaches: a change is tried on the tests that reach it, quickest first.
//!
//! `survivors.csv` lists the changes that no test sees, each with the reason why that is right. A survivor that is not in it
//! fails the run.

#![allow(clippy::disallowed_methods, reason = "how long a test takes is what is asked here, of no clock of a call")]

mod plant;
mod run;
mod survivors;

use plant::Mutant;
use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What is mutated, and the tests that are tried on it, by the beginning of their names.
const ROOMS: [(&str, &[&str]); 2] =
    [("src/policy", &["policy::"]), ("src/incident", &["incident::", "call_processing::"])];
/// Left out of it: tests, and what only reads or prints (the reader of the language, differences, examples).
const LEFT_OUT: [&str; 6] = ["tests", "language", "cases.rs", "changes.rs", "diff.rs", "example.rs"];
/// Tests that are not tried: each starts a PostgreSQL.
const NOT_TRIED: &str = "homecoming";
/// Checks of the planted copy, at most: in each, the changes that do not compile are taken out.
const CHECKS_MAX: usize = 40;

fn main() -> ExitCode {
    let only: Vec<String> = env::args().skip(1).collect();
    match mutants(&only) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("mutants: {problem}");
            ExitCode::from(2)
        }
    }
}

fn mutants(only: &[String]) -> Outcome<bool> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = home.ancestors().nth(2).ok_or("the crate is not where it was built")?;
    let tree = root.join("target/mutants/tree");
    copy(root, &tree)?;
    let files = files(root, only)?;
    let mutants = planted(root, &tree, &files)?;
    let program = build(&tree)?;
    let reached = run::reached(&program, &tree, mutants.len())?;
    let survivors = run::survivors(&program, &tree, &mutants, &reached)?;
    survivors::judge(&home.join("survivors.csv"), &mutants, &survivors, &files)
}

/// The crate's files, as git knows them.
fn copy(root: &Path, tree: &Path) -> Outcome<()> {
    let listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git").current_dir(root).args(listing).output()?;
    let _ = fs::remove_dir_all(tree);
    for name in String::from_utf8(listed.stdout)?.split_terminator('\0') {
        let target = tree.join(name);
        fs::create_dir_all(target.parent().unwrap_or(tree))?;
        fs::copy(root.join(name), target)?;
    }
    Ok(())
}

/// Files to mutate, relative to the crate; of those asked for by a part of their path, where any is asked for.
fn files(root: &Path, only: &[String]) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for (room, _) in ROOMS {
        for entry in walkdir::WalkDir::new(root.join(room)).sort_by_file_name() {
            let entry = entry?;
            let path = entry.path().strip_prefix(root)?.to_path_buf();
            let is_left_out = path.iter().any(|part| LEFT_OUT.iter().any(|name| part == *name));
            let is_asked_for = only.is_empty() || only.iter().any(|part| path.to_string_lossy().contains(part));
            if path.extension().is_some_and(|extension| extension == "rs") && !is_left_out && is_asked_for {
                files.push(path);
            }
        }
    }
    Ok(files)
}

/// Plants every change in the copy and takes out those that do not compile, until it compiles.
fn planted(root: &Path, tree: &Path, files: &[PathBuf]) -> Outcome<Vec<Mutant>> {
    let library = fs::read_to_string(root.join("src/lib.rs"))?;
    let library = library.replace("pub mod record;", "mod planted;\npub mod record;");
    fs::write(tree.join("src/lib.rs"), library)?;
    fs::write(tree.join("src/planted.rs"), include_str!("planted.txt"))?;
    let mut unviable = BTreeSet::new();
    for _ in 0..CHECKS_MAX {
        let mut mutants = Vec::new();
        for file in files {
            let text = plant::plant(&fs::read_to_string(root.join(file))?, file, &unviable, &mut mutants)?;
            fs::write(tree.join(file), text)?;
        }
        let faulty = faulty(tree)?;
        if faulty.is_empty() {
            let (all, out) = (mutants.len(), unviable.len());
            println!("{} files, {all} changes, {out} of them do not compile", files.len());
            mutants.retain(|mutant| !unviable.contains(&mutant.number));
            return Ok(mutants);
        }
        println!("checked: {} more changes do not compile", faulty.difference(&unviable).count());
        if faulty.is_subset(&unviable) {
            return Err("the planted copy does not compile for another reason than a change".into());
        }
        unviable.extend(faulty);
    }
    Err("the planted copy does not compile".into())
}

/// The changes that the compiler faults: the nearest number above each error.
fn faulty(tree: &Path) -> Outcome<BTreeSet<u32>> {
    let number = regex::Regex::new(r"planted::on\((\d+)u32\)")?;
    let mut faulty = BTreeSet::new();
    let checked = cargo(tree, &["check", "--lib", "--message-format=json"]).stderr(Stdio::null()).output()?;
    for line in String::from_utf8_lossy(&checked.stdout).lines().filter(|line| line.starts_with('{')) {
        let message: serde_json::Value = serde_json::from_str(line)?;
        if message["message"]["level"] != "error" {
            continue;
        }
        let spans = message["message"]["spans"].as_array().into_iter().flatten();
        for span in spans.filter(|span| span["is_primary"] == true) {
            let file = span["file_name"].as_str().unwrap_or_default();
            let text = fs::read_to_string(tree.join(file)).unwrap_or_default();
            let end = usize::try_from(span["line_end"].as_u64().unwrap_or_default())?;
            let above: Vec<&str> = text.lines().take(end).collect();
            let found = above.iter().rev().take(20).find_map(|line| number.captures_iter(line).last());
            match found.and_then(|found| found[1].parse().ok()) {
                Some(number) => drop(faulty.insert(number)),
                None => eprintln!("{file}:{end}: {}", message["message"]["message"]),
            }
        }
    }
    if faulty.is_empty() && !checked.status.success() {
        return Err("the planted copy does not compile, and no change is to blame".into());
    }
    Ok(faulty)
}

fn build(tree: &Path) -> Outcome<PathBuf> {
    let mut building = cargo(tree, &["test", "--lib", "--no-run", "--message-format=json"]);
    let built = building.stderr(Stdio::null()).output()?;
    let lines = String::from_utf8_lossy(&built.stdout);
    let messages = lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut programs = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    programs.next_back().ok_or_else(|| "the planted copy's tests were not built".into())
}

fn cargo(tree: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(tree).env("CARGO_TARGET_DIR", tree.with_file_name("built"));
    command.args(args).args(["--profile", "quick", "--locked"]);
    command
}
