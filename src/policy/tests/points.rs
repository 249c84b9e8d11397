//! Proofs, findings and comparisons of small random policies against every point of them, asked one by one.
//!
//! No decision diagram is built. What plays its part is a policy as an ordered list of boxes of which the first that holds a
//! call answers (`ordered.rs`), and cutting boxes to ask about all calls at once (`cover.rs`). Here that list gives the
//! table's answer on every point of the space, and what is proved by cutting is what a count of the points finds.

use super::*;
use crate::policy::diff::{MoveKind, Relation, compare};
use crate::policy::example::facts_of;
use crate::policy::language::{Promise, SendTarget, read};
use crate::policy::ordered::Scene;
use crate::policy::route::Way;
use proptest::prelude::*;

pub(super) const HEAD: &str = r#"
[policy]
id = "small"
title = "Small"
revision = "1"
time_zone = "America/Los_Angeles"
mode = "advise"
[zone.city]
zones = ["east", "west"]
[program.line]
kind = "phone"
hours = [{ days = "Mon..Sun", from = "00:00", to = "24:00" }]
required = ["callback"]
legs = [{ channel = "a", accept_deadline_s = 60 }]
[program.pact]
kind = "co-response"
hours = [{ days = "Mon..Sun", from = "00:00", to = "24:00" }]
legs = [{ channel = "a", accept_deadline_s = 60 }]
[program.team]
kind = "community"
crew = [{ members = ["a"], officer = true, effective = "..2025-12-31" }, { members = ["a"], effective = "2026-01-01.." }]
hours = [{ days = "Mon..Sun", from = "00:00", to = "24:00" }]
area = [{ zones = "east" }, { zones = "west", effective = "2026-01-01.." }]
legs = [{ channel = "a", accept_deadline_s = 60 }]
"#;
const PROGRAMS: [&str; 3] = ["line", "pact", "team"];
const BARS: [&str; 3] = ["[\"team\"]", "[\"unaccompanied\"]", "[\"phone\", \"pact\"]"];

/// Facts, the cells that rows draw from, and every value that can be told apart.
const FACTS: &[(&str, &[&str], &[&str])] = &[
    ("nature", &["noise", "not(theft)", "noise, theft"], &["noise", "person-down", "theft"]),
    ("weapon", &["not(none)", "none, unknown", "none", "not(present, used)"], &["none", "mentioned", "present"]),
    ("age", &["<= 26", ">= 18, unknown"], &["10", "20", "40"]),
    (
        "zone",
        &["east", "not(west)", "west, outside", "not(east, unknown)", "city", "not(city)"],
        &["outside", "city", "city,east", "city,west", "city,east,west"],
    ),
    ("consent", &["given", "not(refused, withdrawn)", "given, unknown"], &["given", "not-sought", "refused"]),
    ("callback", &["available", "not(none)"], &["available", "none"]),
];
/// One on which the team has an officer, one on which it has none.
const DATES: [&str; 2] = ["2025-11-05T12:00", "2026-02-04T12:00"];
/// A day of each kind and a time in each part of it.
const TIMES: [&str; 6] = [
    "2025-11-05T03:00",
    "2025-11-05T12:00",
    "2025-11-05T18:00",
    "2026-02-07T03:00",
    "2026-02-07T12:00",
    "2026-02-07T18:00",
];

type Choice = Vec<(usize, usize)>;

fn cells(choice: &Choice) -> String {
    let mut used = BTreeSet::new();
    let cell = |(fact, cell): &(usize, usize)| {
        let (name, cells, _) = FACTS[fact % FACTS.len()];
        format!("{name} = \"{}\"\n", cells[cell % cells.len()])
    };
    choice.iter().filter(|(fact, _)| used.insert(fact % FACTS.len())).map(cell).collect()
}

fn picks(most: usize) -> impl Strategy<Value = Choice> {
    prop::collection::vec((0..FACTS.len(), 0..8_usize), 0..most)
}

pub(super) fn small_policy() -> impl Strategy<Value = String> {
    let exclusion = (picks(3), 0..3 + BARS.len(), 0..4_usize);
    let rule = (picks(4), prop::collection::vec(0..3_usize, 1..3), -1..2_i64, 0..6_usize, 0..5_usize);
    let claim = (picks(2), 0..4_usize);
    (prop::collection::vec(exclusion, 0..4), prop::collection::vec(rule, 1..5), claim).prop_map(
        |(exclusions, rules, claim)| {
            let mut text = HEAD.to_owned();
            for (number, (choice, send, date)) in exclusions.iter().enumerate() {
                let what = match send {
                    0 => "send = \"pact\"".to_owned(),
                    1 | 2 => "send = \"ordinary\"".to_owned(),
                    bars => format!("bars = {}", BARS[bars - 3]),
                };
                let date = if *date == 0 { "effective = \"2026-01-01..\"\n" } else { "" };
                let cells = cells(choice);
                text += &format!("[[exclusion]]\nid = \"x{number}\"\nbecause = \"x\"\n{what}\n{date}{cells}");
            }
            for (number, (choice, send, rank, ask, date)) in rules.iter().enumerate() {
                let mut seen = BTreeSet::new();
                let chain =
                    send.iter().filter(|place| seen.insert(**place)).map(|place| format!("\"{}\"", PROGRAMS[*place]));
                let chain = chain.collect::<Vec<_>>().join(", ");
                let ask = if *ask == 0 { "ask = [\"consent\"]\n" } else { "" };
                let date = if *date == 0 { "effective = \"..2025-12-31\"\n" } else { "" };
                text += &format!(
                    "[[rule]]\nid = \"r{number}\"\nbecause = \"r\"\nrank = {rank}\nsend = [{chain}]\n{ask}{date}{}",
                    cells(choice)
                );
            }
            let target = ["community", "any", "unaccompanied", "pact"][claim.1];
            let when = cells(&claim.0).trim().replace('\n', ", ");
            format!("{text}[[safeguard]]\nid = \"s\"\nnever = {{ send = \"{target}\", when = {{ {when} }} }}\n")
        },
    )
}

fn built(text: &str) -> (Compiled, Written) {
    let read = || read(&files(text)).unwrap_or_else(|faults| panic!("{}\n{text}", told(&PolicyFaults(faults))));
    (Compiled::build(read(), String::new()).unwrap(), read())
}

/// Every call that can be told apart by these facts, as facts by name.
fn points_of(facts: &[usize]) -> Vec<BTreeMap<String, String>> {
    facts.iter().map(|fact| FACTS[*fact]).fold(vec![BTreeMap::new()], |points, (name, _, values)| {
        let with = |point: &BTreeMap<String, String>, value: Option<&&str>| {
            let mut point = point.clone();
            point.extend(value.map(|value| (name.to_owned(), (*value).to_owned())));
            point
        };
        points
            .iter()
            .flat_map(|point| std::iter::once(None).chain(values.iter().map(Some)).map(|value| with(point, value)))
            .collect()
    })
}

fn points() -> Vec<BTreeMap<String, String>> {
    points_of(&[0, 1, 2, 3, 4, 5])
}

fn away(bits: usize) -> Availability {
    let gone = PROGRAMS.iter().enumerate().filter(|(place, _)| bits & (1 << place) != 0);
    Availability { unstaffed: gone.map(|(_, program)| ProgramId::new(*program)).collect(), ..Availability::default() }
}

/// Same-rank rules that send differently make a policy that cannot be loaded; what it would answer is nobody's concern.
fn loadable(policy: &Compiled) -> bool {
    policy.overlaps().is_empty()
}

fn go(way: Way) -> Option<(usize, usize)> {
    match way {
        Way::Go { row, program, .. } => Some((row, program)),
        _ => None,
    }
}

/// A second co-response, which must know something and whose officer comes on some dates only.
const NURSE: &str = r#"
[program.nurse]
kind = "co-response"
crew = [{ members = ["a"], officer = true, effective = "2026-01-01.." }]
hours = [{ days = "Mon..Sun", from = "00:00", to = "24:00" }]
required = ["callback"]
legs = [{ channel = "a", accept_deadline_s = 60 }]
"#;
/// Facts that the policies of several co-responses name.
const NAMED: [usize; 5] = [0, 1, 3, 4, 5];

/// Several exclusions that send to one of two co-responses, a rule or two behind them, and a safeguard.
fn co_responses() -> impl Strategy<Value = String> {
    let chosen = || prop::collection::vec((prop::sample::select(&NAMED[..]), 0..8_usize), 0..3);
    let exclusion = (chosen(), prop::sample::select(vec!["pact", "pact", "nurse", "ordinary"]), 0..3_usize);
    let rule = (chosen(), prop::sample::select(vec!["line", "team", "pact"]), 0..4_usize);
    let claim = (chosen(), prop::sample::select(vec!["pact", "nurse", "any", "co-response"]));
    (prop::collection::vec(exclusion, 1..4), prop::collection::vec(rule, 1..3), claim).prop_map(
        |(exclusions, rules, (when, target))| {
            let mut text = HEAD.to_owned() + NURSE;
            for (number, (choice, send, date)) in exclusions.iter().enumerate() {
                let date = ["", "", "effective = \"2026-01-01..\"\n"][*date];
                let cells = cells(choice);
                text +=
                    &format!("[[exclusion]]\nid = \"x{number}\"\nbecause = \"x\"\nsend = \"{send}\"\n{date}{cells}");
            }
            for (number, (choice, send, ask)) in rules.iter().enumerate() {
                let ask = ["", "", "ask = [\"consent\"]\n", "ask = [\"zone\"]\n"][*ask];
                let cells = ask.to_owned() + &cells(choice);
                text += &format!(
                    "[[rule]]\nid = \"r{number}\"\nbecause = \"r\"\nrank = {number}\nsend = [\"{send}\"]\n{cells}"
                );
            }
            let when = cells(&when).trim().replace('\n', ", ");
            format!("{text}[[safeguard]]\nid = \"s\"\nnever = {{ send = \"{target}\", when = {{ {when} }} }}\n")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 60, ..ProptestConfig::default() })]

    /// Whose exclusion decides where several hold or may hold, and to whom it sends, to the proof and at every point.
    #[test]
    fn what_is_proved_of_several_co_responses_is_what_every_point_says(text in co_responses()) {
        let (policy, written) = built(&text);
        let proofs = policy.proofs(&written.safeguards);
        let safeguard = &written.safeguards[0];
        let Promise::Never(targets) = &safeguard.promise else { unreachable!() };
        let claim = policy.space.of_cells(&policy.table, &safeguard.when);
        let is_meant = |row_program: usize| targets.iter().any(|target| match target {
            SendTarget::Any => true,
            SendTarget::Kind(kind) => policy.programs[row_program].kind == *kind,
            SendTarget::Program(place) => *place == row_program,
            SendTarget::Unaccompanied => unreachable!(),
        });
        let gone = |bits: usize| {
            let mut away = away(bits);
            away.unstaffed.extend((bits & 8 != 0).then(|| ProgramId::new("nurse")));
            away
        };
        let mut broken = None;
        for date in DATES {
            let gone: Vec<_> = (0..16).map(gone).collect();
            let rosters: Vec<_> = gone.iter().map(|gone| policy.moment(at(date), gone).with_duties()).collect();
            for point in points_of(&NAMED) {
                let call = policy.table.code(&facts_of(&point));
                let at_point = policy.space.around_exactly(&policy.table, &call);
                if !claim.iter().any(|own| policy.space.meet(own, &at_point).is_some()) {
                    continue;
                }
                for moment in &rosters {
                    if go(policy.verdict(&call, moment).way).is_some_and(|(_, program)| is_meant(program)) {
                        broken = Some((date, point.clone()));
                    }
                }
            }
        }
        let proof = proofs.iter().find(|proof| proof.safeguard == "s").unwrap();
        prop_assert_eq!(proof.holds(), broken.is_none(), "{:?} {:?} {}", proof, broken, text);
        prop_assert!(proof.call.as_ref().is_none_or(|call| call.confirmed), "{:?} {}", proof, text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, max_shrink_iters: 60, ..ProptestConfig::default() })]

    /// The safeguards' proofs, monotonicity and hidden rules.
    #[test]
    fn what_is_proved_is_what_every_point_says(text in small_policy()) {
        let (policy, written) = built(&text);
        prop_assume!(loadable(&policy));
        let proofs = policy.proofs(&written.safeguards);
        let findings = policy.findings();
        let safeguard = &written.safeguards[0];
        let Promise::Never(targets) = &safeguard.promise else { unreachable!() };
        let claim = policy.space.of_cells(&policy.table, &safeguard.when);
        let mut broken = false;
        let mut decides: BTreeSet<usize> = BTreeSet::new();
        let mut opened: BTreeSet<&str> = BTreeSet::new();
        for date in DATES {
            let free = Availability::default();
            let full = policy.moment(at(date), &free).with_duties();
            let gone: Vec<_> = (0..8).map(away).collect();
            let rosters: Vec<_> = gone.iter().map(|gone| policy.moment(at(date), gone).with_duties()).collect();
            let mut ordinary: BTreeSet<BTreeMap<String, String>> = BTreeSet::new();
            let mut alone: BTreeSet<BTreeMap<String, String>> = BTreeSet::new();
            for point in points() {
                let call = policy.table.code(&facts_of(&point));
                let at_point = policy.space.around_exactly(&policy.table, &call);
                match go(policy.verdict(&call, &full).way) {
                    None => drop(ordinary.insert(point.clone())),
                    Some((_, program)) if !full.duty(program).unwrap().accompanied => drop(alone.insert(point.clone())),
                    Some(_) => {}
                }
                let meant = claim.iter().any(|own| policy.space.meet(own, &at_point).is_some());
                for moment in &rosters {
                    let Some((row, program)) = go(policy.verdict(&call, moment).way) else { continue };
                    decides.insert(row);
                    let known = &policy.programs[program];
                    broken |= meant && targets.iter().any(|target| match target {
                        SendTarget::Any => true,
                        SendTarget::Unaccompanied => !moment.duty(program).unwrap().accompanied,
                        SendTarget::Kind(kind) => known.kind == *kind,
                        SendTarget::Program(place) => *place == program,
                    });
                }
            }
            for point in &alone {
                for (fact, order) in [("weapon", &["none", "mentioned", "present"][..]), ("consent", &["given", "refused"])] {
                    let height = point.get(fact).and_then(|value| order.iter().position(|known| known == value));
                    for lower in order.iter().take(height.unwrap_or(0)) {
                        let mut before = point.clone();
                        before.insert(fact.to_owned(), (*lower).to_owned());
                        if ordinary.contains(&before) {
                            opened.insert(fact);
                        }
                    }
                }
            }
        }
        let proof = proofs.iter().find(|proof| proof.safeguard == "s").unwrap();
        prop_assert_eq!(proof.holds(), !broken, "{:?} {}", proof, text);
        if let Some(call) = &proof.call {
            prop_assert!(call.confirmed, "{:?} {}", call, text);
        }
        for fact in ["weapon", "consent"] {
            let proof = proofs.iter().find(|proof| proof.safeguard == format!("built-in.monotone.{fact}"));
            if let Some(proof) = proof {
                prop_assert_eq!(!proof.holds(), opened.contains(fact), "{:?} {}", proof, text);
                prop_assert!(proof.call.as_ref().is_none_or(|call| call.confirmed), "{:?} {}", proof, text);
            }
        }
        for row in policy.table.rules.iter() {
            let id = policy.table.id(row);
            let told = findings.iter().any(|finding| {
                finding.row == id && matches!(finding.code, "hidden" | "asks-only" | "never-holds")
            });
            prop_assert_eq!(told, !decides.contains(&row), "{} {:?} {}", id, findings, text);
        }
    }

    /// A cell that is said to be indifferent can be taken out.
    #[test]
    fn an_indifferent_cell_changes_no_answer(text in small_policy()) {
        let (policy, _) = built(&text);
        prop_assume!(loadable(&policy));
        for finding in policy.findings() {
            let Some(fact) = finding.fact else { continue };
            let mut without = read(&files(&text)).unwrap();
            let place = without.sources.vocabulary.find(&fact).unwrap().0;
            for row in without.rules.iter_mut().chain(&mut without.exclusions).filter(|row| row.id == finding.row) {
                row.cells.retain(|cell| cell.fact != place);
            }
            let without = Compiled::build(without, String::new()).unwrap();
            for (date, bits) in DATES.into_iter().flat_map(|date| [0, 1, 2, 4].map(|bits| (date, bits))) {
                let gone = away(bits);
                let (with, less) = (policy.moment(at(date), &gone), without.moment(at(date), &gone));
                for point in points() {
                    let facts = facts_of(&point);
                    let one = go(policy.verdict(&policy.table.code(&facts), &with).way);
                    let other = go(without.verdict(&without.table.code(&facts), &less).way);
                    prop_assert_eq!(
                        one.map(|(_, program)| program), other.map(|(_, program)| program),
                        "{} {} {:?} on {} {}", finding.row, fact, point, date, text
                    );
                }
            }
        }
    }

    /// Two policies compared: each kind of move is found where some point shows it, and only there.
    #[test]
    fn a_comparison_is_what_every_point_says(text in small_policy(), row in 0..5_usize, hours in 0..3_usize, cell in 0..8_usize) {
        // The second policy has one cell changed and perhaps other hours.
        let (from, to) = [("from = \"00:00\"", "from = \"00:00\""), ("from = \"00:00\"", "from = \"08:00\""), ("to = \"24:00\"", "to = \"16:00\"")][hours];
        let id = format!("id = \"{}{row}\"\n", if cell % 2 == 0 { "r" } else { "x" });
        let (_, cells, _) = FACTS[1];
        let changed = text.replacen(from, to, 1).replacen(&id, &format!("{id}priority = \"{}\"\n", ["< 5, unknown", "not(unknown)"][cell % 2]), 1);
        let changed = if cell > 5 { changed.replace("weapon = \"none\"", &format!("weapon = \"{}\"", cells[cell % cells.len()])) } else { changed };
        let ((a, _), (b, _)) = (built(&text), built(&changed));
        prop_assume!(loadable(&a) && loadable(&b));
        let told = compare(&a, &b);
        let mut found: BTreeSet<MoveKind> = BTreeSet::new();
        for time in TIMES {
            let free = Availability::default();
            let moments = [a.moment(at(time), &free), b.moment(at(time), &free)];
            for (point, priority) in points().into_iter().flat_map(|point| [None, Some("3"), Some("7")].map(|priority| (point.clone(), priority))) {
                let mut point = point;
                point.extend(priority.map(|priority| ("priority".to_owned(), priority.to_owned())));
                let facts = facts_of(&point);
                let route = |policy: &Compiled, moment| {
                    let way = policy.verdict(&policy.table.code(&facts), moment).way;
                    go(way).map(|(_, program)| policy.programs[program].id.clone())
                };
                match (route(&a, &moments[0]), route(&b, &moments[1])) {
                    (None, Some(_)) => drop(found.insert(MoveKind::OrdinaryToProgram)),
                    (Some(_), None) => drop(found.insert(MoveKind::ProgramToOrdinary)),
                    (Some(one), Some(other)) if one != other => drop(found.insert(MoveKind::ProgramToProgram)),
                    _ => {}
                }
            }
        }
        for moved in told.moves.iter().filter(|moved| moved.kind != MoveKind::StatusOnly) {
            prop_assert_eq!(moved.call.is_some(), found.contains(&moved.kind), "{:?} {}", moved, changed);
            prop_assert!(moved.call.is_some() || moved.proved);
            prop_assert!(moved.call.as_ref().is_none_or(|call| call.confirmed), "{:?} {}", moved, changed);
        }
        let (gain, loss) = (found.contains(&MoveKind::OrdinaryToProgram), found.contains(&MoveKind::ProgramToOrdinary));
        let expected = match (gain, loss) {
            (false, false) => Relation::Equal,
            (false, true) => Relation::Subset,
            (true, false) => Relation::Superset,
            (true, true) => Relation::Neither,
        };
        prop_assert_eq!(told.relation, expected);
        prop_assert_eq!(compare(&a, &a).relation, Relation::Equal);
    }
}

/// What stands for the decision diagram equals the table on every point of small policies.
#[test]
fn the_ordered_boxes_which_stand_for_a_decision_diagram_answer_every_point_as_the_table_does() {
    let (policies, seen) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let config = ProptestConfig { cases: 16, max_shrink_iters: 60, ..ProptestConfig::default() };
    let outcome = proptest::test_runner::TestRunner::new(config).run(&small_policy(), |text| {
        let (policy, _) = built(&text);
        prop_assume!(loadable(&policy));
        for date in DATES {
            let free = Availability::default();
            let moment = policy.moment(at(date), &free).with_duties();
            let entries = policy.view().entries(&Scene::of(&policy, at(date), false)).unwrap();
            for point in points() {
                let call = policy.table.code(&facts_of(&point));
                let at_point = policy.space.around_exactly(&policy.table, &call);
                let first = entries.iter().find(|entry| policy.space.meet(&entry.space, &at_point).is_some()).unwrap();
                let found = policy.verdict(&call, &moment).program();
                prop_assert_eq!(found, first.program, "{:?} on {} {}", point, date, text);
                seen.set(seen.get() + 1);
            }
        }
        policies.set(policies.get() + 1);
        Ok(())
    });
    outcome.unwrap();
    println!("{} points of {} small policies, on two dates", seen.get(), policies.get());
    assert_eq!(seen.get(), policies.get() * DATES.len() * points().len());
    assert!(seen.get() >= 100_000);
}
