//! The questions against every set of answers, on random policies and calls.
//!
//! What is asked is exactly the facts of the smallest sets of answers that change the route: nothing in vain, and
//! nothing left out. Here every set is tried; `smallest.rs` finds them by the rows.

use super::*;
use crate::policy::compile::Coded;
use crate::policy::language::read;
use proptest::prelude::*;
use std::cell::Cell as Counter;

/// Sets of answers to one call, at most: where there would be more, facts are known instead.
const SETS_MAX: usize = 3_000;

/// A fact that is not known, and a code of each class of its values.
struct Open {
    place: usize,
    codes: Vec<u16>,
}

fn codes(compiled: &Compiled, place: usize) -> Vec<u16> {
    let same_as = &compiled.table.columns[place].same_as;
    (1..same_as.len()).filter(|code| usize::from(same_as[*code]) == *code).map(|code| same_as[code]).collect()
}

/// A call of which so many facts are open that every set of answers can be tried. `choices` say what is open and what is known.
fn some_open(compiled: &Compiled, choices: &[usize]) -> (Facts, Vec<Open>) {
    let mut facts = Facts::default();
    let mut open = Vec::new();
    let mut sets = 1;
    for (place, (column, choice)) in compiled.table.columns.iter().zip(choices.iter().cycle()).enumerate() {
        let codes = codes(compiled, place);
        if column.askable
            && !codes.is_empty()
            && column.name != "doubt"
            && column.name != "nature"
            && choice % 4 != 0
            && sets * (codes.len() + 1) <= SETS_MAX
        {
            sets *= codes.len() + 1;
            open.push(Open { place, codes });
            continue;
        }
        // Known, and mostly harmless: what bars everything leaves nothing to ask.
        let code = if choice % 7 == 0 || column.name == "nature" {
            codes.get(choice / 4 % codes.len().max(1))
        } else {
            codes.first()
        };
        let value = column.example(*code.unwrap(), None);
        let value = value.replace("another code", "9").replace('*', "");
        let value = compiled.sources.vocabulary.canonical(&column.name, &value).unwrap_or(value);
        facts = facts.with(&column.name, &value, Source::Structured);
    }
    (facts, open)
}

/// Where each set of answers takes a call, by the set's number in mixed radix: of each open fact no answer, or one of its codes.
fn every_set(
    open: &[Open],
    call: &Coded,
    goes: &mut dyn FnMut(&Coded) -> Option<usize>,
    compiled: &Compiled,
) -> Vec<Option<usize>> {
    let sets = open.iter().map(|fact| fact.codes.len() + 1).product();
    let mut all = Vec::with_capacity(sets);
    for number in 0..sets {
        let (mut left, mut call) = (number, *call);
        for fact in open {
            let digit = left % (fact.codes.len() + 1);
            left /= fact.codes.len() + 1;
            if digit > 0 {
                compiled.table.change(&mut call, fact.place, fact.codes[digit - 1]);
            }
        }
        all.push(goes(&call));
    }
    all
}

/// The open facts, by place in the list, of the sets that change the route and of which no part does.
fn in_smallest_sets(open: &[Open], goes: &[Option<usize>]) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    // Whether a set or a part of it changes the route; a part has a lower number.
    let mut reached = vec![false; goes.len()];
    for number in 0..goes.len() {
        let (mut left, mut weight) = (number, 1);
        let (mut answered, mut part_changes) = (Vec::new(), false);
        for (turn, fact) in open.iter().enumerate() {
            let digit = left % (fact.codes.len() + 1);
            left /= fact.codes.len() + 1;
            if digit > 0 {
                answered.push(turn);
                part_changes |= reached[number - digit * weight];
            }
            weight *= fact.codes.len() + 1;
        }
        let changes = goes[number] != goes[0];
        reached[number] = changes || part_changes;
        if changes && !part_changes {
            found.extend(answered);
        }
    }
    found
}

fn names(compiled: &Compiled, places: impl Iterator<Item = usize>) -> BTreeSet<String> {
    places.map(|place| compiled.table.columns[place].name.clone()).collect()
}

#[derive(Default)]
struct Seen {
    calls: Counter<usize>,
    with_questions: Counter<usize>,
    of_several: Counter<usize>,
    in_vain: Counter<usize>,
}

fn add(counter: &Counter<usize>, is_so: bool) {
    counter.set(counter.get() + usize::from(is_so));
}

fn asked_is_what_matters(text: &str, choices: &[usize], time: usize, seen: &Seen) -> Result<(), TestCaseError> {
    let written = read(&files(text)).unwrap_or_else(|faults| panic!("{}\n{text}", told(&PolicyFaults(faults))));
    let compiled = Compiled::build(written, String::new()).unwrap();
    // Same-rank rules that send differently make a policy that cannot be loaded.
    prop_assume!(compiled.overlaps().is_empty());
    let at = at(super::slow::TIMES[time]);
    let availability = Availability::default();
    let (facts, open) = some_open(&compiled, choices);
    let decision = compiled.decide(&facts, &[], at, &availability);
    prop_assume!(!matches!(decision.status, Status::NotAssessed { .. }));
    let call = compiled.table.code(&facts);
    let moment = compiled.moment(at, &availability).with_duties();
    let goes = every_set(&open, &call, &mut |call| compiled.verdict(call, &moment).program(), &compiled);
    let wanted = names(&compiled, in_smallest_sets(&open, &goes).into_iter().map(|turn| open[turn].place));
    let asked: Vec<&str> =
        decision.questions.iter().map(|question| question.fact.as_str()).filter(|fact| *fact != "doubt").collect();
    let is_asked: BTreeSet<String> = asked.iter().map(|fact| (*fact).to_owned()).collect();
    let changes_alone = |place: usize| {
        codes(&compiled, place)
            .into_iter()
            .any(|code| compiled.verdict(&compiled.table.changed(&call, place, code), &moment).program() != goes[0])
    };
    let assessment = compiled.assess(&facts, at, &availability);
    let waiting = assessment.needed();
    let weight = |fact: &str| {
        let place = compiled.table.columns.iter().position(|column| column.name == fact).unwrap();
        let column = &compiled.table.columns[place];
        let known = 1..column.same_as.len();
        let changing = known.clone().filter(|code| {
            let changed = compiled.table.changed(&call, place, u16::try_from(*code).unwrap());
            compiled.verdict(&changed, &moment).program() != goes[0]
        });
        (waiting.get(&place).copied().unwrap_or(0), (changing.count() * 1000).div_ceil(known.len().max(1)))
    };
    add(&seen.calls, true);
    add(&seen.with_questions, !wanted.is_empty());
    add(&seen.of_several, !wanted.is_empty() && !open.iter().any(|fact| changes_alone(fact.place)));
    if wanted.is_empty() && decision.status == Status::NeedsAnswer {
        // Nobody can come now, whatever is answered: what rows wait for is asked, so that the status can be told.
        add(&seen.in_vain, true);
        prop_assert!(!is_asked.is_empty());
        prop_assert!(is_asked.iter().all(|fact| weight(fact).0 > 0), "{:?} of {:?} {}", asked, facts, text);
    } else {
        prop_assert_eq!(&is_asked, &wanted, "{:?} at {} {}", facts, super::slow::TIMES[time], text);
    }
    // The most decisive first: what more rows wait for, then what more answers change alone.
    for pair in asked.windows(2) {
        prop_assert!(weight(pair[0]) >= weight(pair[1]), "{:?} of {:?} {}", pair, facts, text);
    }
    Ok(())
}

fn policies() -> impl Strategy<Value = String> {
    let city = "\n[zone.city]\nzones = [\"east\", \"west\"]\n";
    prop_oneof![super::points::small_policy(), super::slow::policy_text().prop_map(move |text| format!("{text}{city}"))]
}

fn tried(cases: u32) -> Seen {
    let seen = Seen::default();
    let config = ProptestConfig { cases, max_global_rejects: 100 * cases, ..ProptestConfig::default() };
    let strategy = (policies(), prop::collection::vec(0..1000_usize, 12), 0..super::slow::TIMES.len());
    let outcome = proptest::test_runner::TestRunner::new(config)
        .run(&strategy, |(text, choices, time)| asked_is_what_matters(&text, &choices, time, &seen));
    println!(
        "{} calls, {} with questions, {} of them by several answers only, {} that wait in vain",
        seen.calls.get(),
        seen.with_questions.get(),
        seen.of_several.get(),
        seen.in_vain.get()
    );
    outcome.unwrap();
    seen
}

#[test]
fn a_fact_is_asked_if_and_only_if_a_smallest_set_of_answers_holds_it() {
    let seen = tried(240);
    assert!(seen.with_questions.get() >= 25);
}

/// The same, at length: `cargo test --lib -- --ignored every_question`.
#[test]
#[ignore = "minutes: run when the questions change"]
fn every_question_of_ten_thousand_calls_is_in_a_smallest_set_of_answers() {
    let seen = tried(10_000);
    assert!(seen.of_several.get() >= 50);
}

/// Regression: the zone was asked for a team that stands after a line which would take the call anyway.
#[test]
fn what_only_a_later_program_of_the_chain_needs_is_not_asked() {
    let asked = |chain: &str, known: &[(&str, &str)]| -> Vec<String> {
        let rule = format!(
            "[[rule]]\nid = \"chain\"\nbecause = \"x\"\nnature = \"found-person\"\nweapon = \"none\"\nsend = [{chain}]\n"
        );
        let known: Vec<_> = known.iter().copied().chain([("nature", "found-person")]).collect();
        let decision = decide(&compile(&format!("{POLICY}{rule}")), &known, "2025-11-04T12:00");
        decision.questions.into_iter().map(|question| question.fact).collect()
    };
    assert_eq!(asked("\"crisis-line\", \"psr\"", &[]), ["weapon"]);
    // Where the team stands first its need is asked as soon as nothing else stands in the way.
    assert_eq!(asked("\"psr\", \"crisis-line\"", &[]), ["weapon"]);
    assert!(asked("\"psr\", \"crisis-line\"", &[("weapon", "none")]).contains(&"zone".to_owned()));
    assert!(!asked("\"crisis-line\", \"psr\"", &[("weapon", "none")]).contains(&"zone".to_owned()));
}

/// Regression: of exclusions that send to one co-response the first that holds for certain decides, and it sends only where a
/// rule would take the call but for what it names. That an answer makes an earlier one certain was not looked for.
#[test]
fn what_makes_an_earlier_co_response_exclusion_certain_is_asked() {
    let asked = |rule: &str, nature: &str| -> (Route, Vec<String>) {
        let head = super::points::HEAD;
        let text = format!(
            r#"{head}
            [[exclusion]]
            id = "armed-and-willing"
            because = "a weapon cannot be ruled out, and the person may agree"
            weapon = "not(none)"
            consent = "not(refused, withdrawn)"
            send = "pact"
            [[exclusion]]
            id = "crisis"
            because = "a person in crisis"
            nature = "person-in-crisis"
            send = "pact"
            [[rule]]
            id = "rule"
            because = "x"
            send = ["line"]
            {rule}"#
        );
        let decision = decide(&compile(&text), &[("nature", nature)], "2025-11-04T12:00");
        (decision.route, decision.questions.into_iter().map(|question| question.fact).collect())
    };
    let pact = Route::Program(ProgramId::new("pact"));
    let both = ["weapon", "consent"].map(str::to_owned).to_vec();
    // But for the nature the rule takes the call: the co-response comes, unless it is the weapon that decides.
    assert_eq!(asked("nature = \"noise\"", "person-in-crisis"), (pact, both.clone()));
    // But for the weapon the rule takes the call: the co-response comes where that is what decides.
    assert_eq!(asked("weapon = \"none\"", "person-in-crisis"), (Route::Ordinary, both));
}
