//! Runs the planted test program: which test reaches which places, and which changes no test sees.

use crate::plant::Mutant;
use crate::{NOT_TRIED, Outcome, ROOMS};
use std::collections::BTreeSet;
use std::fs;
use std::io::IsTerminal;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Tests as quick as this are run in one process.
const QUICK: Duration = Duration::from_millis(500);
/// A change that makes tests take this much longer, and this much at least, is seen.
const SLOWER: u32 = 10;
const SLOWER_BY: Duration = Duration::from_secs(20);
/// Random tests are drawn from one seed, so that a run can be told from another by the code alone.
const SEED: &str = "4";

/// One test and the places that it reaches.
#[derive(Debug)]
pub struct Reach {
    test: String,
    takes: Duration,
    places: BTreeSet<u32>,
}

/// Runs every test alone; the quickest come first.
pub fn reached(program: &Path, tree: &Path, count: usize) -> Outcome<Vec<Reach>> {
    let listed = Command::new(program).current_dir(tree).args(["--list", "--format", "terse"]).output()?;
    let listed = String::from_utf8(listed.stdout)?;
    let named = listed.lines().filter_map(|line| line.strip_suffix(": test"));
    let is_tried = |name: &&str| ROOMS.iter().any(|(_, tests)| is_of(name, tests)) && !name.contains(NOT_TRIED);
    let tests: Vec<&str> = named.filter(is_tried).collect();
    let mut reaches = each(&tests, |test| {
        let path = tree.with_file_name(format!("reached-{}", test.replace(':', "_")));
        let begun = Instant::now();
        let mut command = test_program(program, tree, &[*test]);
        let status = command.env("REACHED", &path).status()?;
        let takes = begun.elapsed();
        if !status.success() {
            return Err(format!("{test} fails without any change").into());
        }
        let bytes = fs::read(&path).unwrap_or_default();
        let _ = fs::remove_file(&path);
        let places = bytes.chunks_exact(4).filter_map(|four| Some(u32::from_le_bytes(four.try_into().ok()?))).collect();
        Ok(Reach { test: (*test).to_owned(), takes, places })
    })?;
    reaches.sort_by_key(|reach| reach.takes);
    let all: BTreeSet<u32> = reaches.iter().flat_map(|reach| &reach.places).copied().collect();
    println!("{} tests reach {} of {count} places", reaches.len(), all.len());
    Ok(reaches)
}

/// The numbers of the changes that no test sees.
pub fn survivors(program: &Path, tree: &Path, mutants: &[Mutant], reaches: &[Reach]) -> Outcome<BTreeSet<u32>> {
    let found = each(mutants, |mutant| {
        let own = |reach: &&Reach| {
            ROOMS.iter().any(|(room, tests)| mutant.file.starts_with(room) && is_of(&reach.test, tests))
        };
        let tests: Vec<&Reach> =
            reaches.iter().filter(|reach| reach.places.contains(&mutant.number)).filter(own).collect();
        let (quick, slow): (Vec<&Reach>, Vec<&Reach>) = tests.into_iter().partition(|reach| reach.takes <= QUICK);
        let runs = [quick].into_iter().chain(slow.into_iter().map(|one| vec![one])).filter(|run| !run.is_empty());
        for run in runs {
            let names: Vec<&str> = run.iter().map(|reach| reach.test.as_str()).collect();
            let bound = SLOWER_BY + SLOWER * run.iter().map(|reach| reach.takes).sum::<Duration>();
            let mut command = test_program(program, tree, &names);
            let status = bounded(command.env("MUTANT", mutant.number.to_string()), bound)?;
            if status.is_none_or(|status| !status.success()) {
                return Ok(None);
            }
        }
        println!("  {}:{} {}: {}", mutant.file, mutant.line, mutant.function, mutant.change);
        Ok(Some(mutant.number))
    })?;
    Ok(found.into_iter().flatten().collect())
}

fn is_of(test: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| test.starts_with(prefix))
}

fn test_program(program: &Path, tree: &Path, tests: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.current_dir(tree).args(["--exact", "--test-threads", "1", "-Zunstable-options", "--fail-fast"]).args(tests);
    command.env("RUSTC_BOOTSTRAP", "1").env("RUST_BACKTRACE", "0").env("PROPTEST_MAX_SHRINK_ITERS", "0");
    command.env("PROPTEST_FAILURE_PERSISTENCE", "off").env("PROPTEST_RNG_SEED", SEED);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// How a program ended; `None` where it had to be ended.
fn bounded(command: &mut Command, bound: Duration) -> Outcome<Option<ExitStatus>> {
    let mut child = command.spawn()?;
    let (ended, waits) = std::sync::mpsc::channel::<()>();
    let id = child.id().to_string();
    let watch = thread::spawn(move || {
        let late =
            waits.recv_timeout(bound).is_err_and(|problem| problem == std::sync::mpsc::RecvTimeoutError::Timeout);
        late && Command::new("kill").args(["-9", &id]).status().is_ok()
    });
    let status = child.wait()?;
    drop(ended);
    Ok((!watch.join().unwrap_or(true)).then_some(status))
}

/// Does something with each, on every processor, in order of the results.
fn each<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> Outcome<R> + Sync) -> Outcome<Vec<R>> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let (problem, is_watched) = (Mutex::new(None), std::io::stderr().is_terminal());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((place, one)) = {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    all.get(place).map(|one| (place, one))
                } {
                    match work(one) {
                        Ok(result) => results.lock().unwrap_or_else(|held| held.into_inner()).push((place, result)),
                        Err(error) => {
                            *problem.lock().unwrap_or_else(|held| held.into_inner()) = Some(error.to_string());
                            next.store(all.len(), Ordering::Relaxed);
                        }
                    }
                    if is_watched {
                        eprint!("\r{} of {} ", place + 1, all.len());
                    }
                }
            });
        }
    });
    match problem.into_inner().unwrap_or_else(|held| held.into_inner()) {
        Some(problem) => Err(problem.into()),
        None => {
            let mut results = results.into_inner().unwrap_or_else(|held| held.into_inner());
            results.sort_by_key(|(place, _)| *place);
            Ok(results.into_iter().map(|(_, result)| result).collect())
        }
    }
}
