//! What is said to be cheap is: allocations where there should be none, and verdicts asked for in explaining a call.

use super::*;

#[path = "../../../tests/bench/city.rs"]
pub(super) mod city;

/// Facts of the made city's calls.
pub(super) fn calls(city: &city::Policy) -> Vec<(Facts, Timestamp)> {
    let with = |facts: Facts, (fact, value): &(&'static str, String)| facts.with(fact, value, Source::Structured);
    let calls = city::calls(city, 2_000);
    let at = |call: &city::Call| Timestamp::from_second(call.at_s).unwrap();
    calls.iter().map(|call| (call.facts.iter().fold(Facts::default(), with), at(call))).collect()
}

pub(super) fn policy(city: &city::Policy) -> Policy {
    let mut files = PolicyFiles::default();
    files.files.insert("policy.toml".to_owned(), city.toml().into_bytes());
    Policy::compile(&files).unwrap_or_else(|faults| panic!("{}", told(&faults)))
}

#[test]
fn where_a_call_goes_is_told_without_allocation() {
    let city = city::policy(100);
    let policy = policy(&city);
    let available = Availability::default();
    let mut statuses = BTreeSet::new();
    for (facts, at) in &calls(&city) {
        let mut status = StatusKind::NotAssessed;
        let counted = allocation_counter::measure(|| {
            status = policy.route_only(facts, &[], *at, &available).status;
        });
        assert_eq!(counted.count_total, 0, "{status:?} {facts:?} at {at}");
        statuses.insert(status);
    }
    assert!(statuses.len() >= 5, "{statuses:?}");
    let whole =
        allocation_counter::measure(|| drop(policy.decide(&Facts::default(), &[], at("2026-01-01T12:00"), &available)));
    assert!(whole.count_total > 0, "the counter counts");
}

/// Bits tell most changes of a call apart from those that matter; the table itself is asked for the rest.
#[test]
fn the_questions_and_the_flip_ask_the_table_a_bounded_number_of_times() {
    let city = city::policy(100);
    let policy = policy(&city);
    let available = Availability::default();
    let (mut most, mut all) = ([0; 2], [0; 2]);
    let calls = calls(&city);
    for (facts, at) in &calls {
        let assessment = policy.compiled.assess(facts, *at, &available);
        let near = assessment.near::<2>();
        let _ = near.questions();
        let questions = near.asked();
        let _ = near.nearest_flip();
        for (place, asked) in [questions, near.asked() - questions].into_iter().enumerate() {
            most[place] = most[place].max(asked);
            all[place] += asked;
        }
    }
    println!("questions and flip: {most:?} verdicts at most, {all:?} for {} calls", calls.len());
    let each = u32::try_from(calls.len()).unwrap();
    assert!(most[0] <= 40 && all[0] <= 6 * each, "questions: {most:?} {all:?}");
    assert!(most[1] <= 60 && all[1] <= 6 * each, "flips: {most:?} {all:?}");
}
