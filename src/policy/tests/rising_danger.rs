//! Danger opens no door, tried on random calls of every policy of the library, beside the proof of it.
//!
//! One risk fact of a call rises by one step. A call that was on the ordinary route must not be on the way to a team without
//! an officer then, unless the policy says so and why: a `[[waiver]]` of `built-in.monotone` that names fact and rule.

use super::library::{folder, library};
use super::*;
use crate::policy::column::{Coding, Column};
use crate::policy::route::Way;

/// Calls of each policy; a call has about five risk facts that can rise.
const CALLS: usize = 1_200;

/// Knuth's MMIX generator: its upper bits are good enough to choose among a few values.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }
}

/// A value of a column as a record would state it, `None` for unknown.
fn value(column: &Column, code: u16, compiled: &Compiled) -> Option<String> {
    if code == 0 {
        return None;
    }
    if let Coding::Zones { .. } = column.coding {
        let names: Vec<&str> = column.closure(code).iter().map(|zone| column.names[zone].as_str()).collect();
        return Some(names.join(","));
    }
    let told = column.example(code, None).replace("another code", "ZZ9").replace('*', "");
    compiled.sources.vocabulary.canonical(&column.name, &told).ok()
}

/// A call that some rule nearly takes: of most facts a value that it accepts, of some any value.
fn near_a_rule(compiled: &Compiled, numbers: &mut Numbers) -> Facts {
    let rules: Vec<usize> = compiled.table.rules.iter().collect();
    let rule = rules[numbers.below(rules.len())];
    let mut facts = Facts::default();
    for column in &compiled.table.columns {
        let all = 0..u16::try_from(column.accept.len()).unwrap();
        let accepted: Vec<u16> = all.clone().filter(|code| column.accept[usize::from(*code)].contains(rule)).collect();
        let any: Vec<u16> = all.collect();
        let fact = &compiled.sources.vocabulary.facts()[column.fact];
        // Half of all risk facts are as harmless as can be: else nothing would be taken, and nothing could rise.
        let harmless = fact.is_risk() && numbers.below(2) == 0;
        let codes = if harmless || accepted.is_empty() || numbers.below(8) == 0 { any } else { accepted };
        let least = usize::from(codes[0] == 0 && codes.len() > 1);
        let at = if harmless || numbers.below(3) > 0 { least } else { numbers.below(codes.len()) };
        if let Some(value) = value(column, codes[at], compiled) {
            facts = facts.with(&column.name, &value, Source::Structured);
        }
    }
    facts
}

/// The same call with one risk fact one step more dangerous, for each fact and each value of the next danger.
fn rises(compiled: &Compiled, facts: &Facts) -> Vec<(String, Facts)> {
    let mut rises = Vec::new();
    for fact in compiled.sources.vocabulary.facts().iter().filter(|fact| fact.is_risk()) {
        let Some(now) = facts.value(&fact.name).map(|value| fact.danger_of(value)) else { continue };
        let values = fact.values();
        let next = values.iter().map(|value| fact.danger_of(value)).filter(|danger| *danger > now).min();
        for value in values.iter().filter(|value| Some(fact.danger_of(value)) == next) {
            rises.push((fact.name.to_string(), facts.clone().with(&fact.name, value, Source::Structured)));
        }
    }
    rises
}

#[derive(Default, Debug)]
struct Seen {
    rises: usize,
    from_ordinary: usize,
    taken: usize,
    by_waiver: usize,
    opened: Vec<String>,
}

fn look(policy: &Policy, calls: usize, seed: u64, seen: &mut Seen) {
    let compiled = &policy.compiled;
    let mut numbers = Numbers(seed);
    let start = at("2021-01-01T00:00");
    for _ in 0..calls {
        let facts = near_a_rule(compiled, &mut numbers);
        let minutes = i64::try_from(numbers.below(6 * 365 * 24 * 60)).unwrap();
        let at = start + jiff::SignedDuration::from_mins(minutes);
        let mut availability = Availability { surge: numbers.below(4) == 0, ..Availability::default() };
        if numbers.below(3) == 0 {
            let programs = compiled.programs.iter().filter(|_| numbers.below(2) == 0);
            availability.unstaffed = programs.map(|program| program.id.clone()).collect();
        }
        let moment = compiled.moment(at, &availability);
        // As the live rules answer, whatever the policy's mode: nothing is offered in shadow, and it must be safe all the same.
        let way = |facts: &Facts| compiled.verdict(&compiled.table.code(facts), &moment).way;
        let before = way(&facts);
        let is_taken = matches!(before, Way::Go { .. });
        seen.taken += usize::from(is_taken);
        for (fact, raised) in rises(compiled, &facts) {
            seen.rises += 1;
            if is_taken {
                continue;
            }
            seen.from_ordinary += 1;
            let Way::Go { row, program, .. } = way(&raised) else { continue };
            if moment.duty(program).unwrap().accompanied {
                continue;
            }
            let rule = compiled.table.id(row);
            let program = &compiled.programs[program].id;
            let mut waivers = compiled.waivers.iter().filter(|waiver| waiver.fact.as_deref() == Some(&fact));
            if waivers.any(|waiver| waiver.rules.iter().any(|meant| meant == rule)) {
                seen.by_waiver += 1;
            } else {
                seen.opened.push(format!("{fact} opens {program} by {rule} at {at}: {facts:?}"));
            }
        }
    }
}

#[test]
fn a_risk_that_rises_by_a_step_takes_no_call_of_the_library_from_the_ordinary_route_to_a_community_team() {
    let mut seen = Seen::default();
    let mut policies = 0;
    for (path, seed) in library().iter().zip(1..) {
        let policy = Policy::compile(&folder(path)).unwrap_or_else(|faults| panic!("{path:?}\n{}", told(&faults)));
        let taken = seen.taken;
        look(&policy, CALLS, seed, &mut seen);
        assert!(seen.opened.is_empty(), "{path:?}: {:#?}", seen.opened);
        assert!(seen.taken > taken, "{path:?}: no random call was taken, so that nothing was tried near a rule");
        policies += 1;
    }
    println!(
        "{policies} policies, {} rises of a risk fact, {} of a call on the ordinary route, {} meant by a waiver",
        seen.rises, seen.from_ordinary, seen.by_waiver
    );
    assert!(policies >= 20 && seen.from_ordinary >= 20_000, "{seen:?}");
}

/// The test above can fail: a rule for the more dangerous calls only is found, and with a waiver that names it, is meant.
#[test]
fn a_rule_that_danger_opens_is_found_on_random_calls_unless_a_waiver_names_it() {
    let rule = "[[rule]]\nid = \"armed-noise\"\nbecause = \"x\"\nrank = -9\nnature = \"noise\"\nweapon = \"mentioned\"\nsend = [\"psr\"]\n";
    let waiver = "[[waiver]]\nsafeguard = \"built-in.monotone\"\nfact = \"weapon\"\nrules = [\"armed-noise\"]\nsigned_by = \"x\"\nbecause = \"x\"\n";
    let unproved = Candidate::read(&files(&format!("{POLICY}{rule}"))).unwrap();
    let refuted = |proof: &&Proof| !proof.waived && !proof.holds();
    let failing: Vec<String> = unproved.prove().iter().filter(refuted).map(|proof| proof.safeguard.clone()).collect();
    assert_eq!(failing, ["built-in.monotone.weapon"]);
    let mut seen = Seen::default();
    look(&Policy { compiled: unproved.compiled }, CALLS, 1, &mut seen);
    assert!(seen.opened.iter().any(|opened| opened.starts_with("weapon opens psr by armed-noise")), "{seen:?}");
    let meant = compile(&format!("{POLICY}{rule}{waiver}"));
    let mut seen = Seen::default();
    look(&meant, CALLS, 1, &mut seen);
    assert!(seen.opened.is_empty() && seen.by_waiver > 0, "{seen:?}");
}
