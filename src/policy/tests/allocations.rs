//! What is said to allocate nothing allocates nothing.

use super::*;

#[path = "../../../tests/bench/city.rs"]
mod city;

/// Facts of the made city's calls.
fn calls(city: &city::Policy) -> Vec<(Facts, Timestamp)> {
    let with = |facts: Facts, (fact, value): &(&'static str, String)| facts.with(fact, value, Source::Structured);
    let calls = city::calls(city, 2_000);
    let at = |call: &city::Call| Timestamp::from_second(call.at_s).unwrap();
    calls.iter().map(|call| (call.facts.iter().fold(Facts::default(), with), at(call))).collect()
}

#[test]
fn where_a_call_goes_is_told_without_allocation() {
    let city = city::policy(100);
    let mut files = PolicyFiles::default();
    files.files.insert("policy.toml".to_owned(), city.toml().into_bytes());
    let policy = Policy::compile(&files).unwrap_or_else(|faults| panic!("{}", told(&faults)));
    let available = Availability::default();
    let mut allocating = 0;
    let mut statuses = BTreeSet::new();
    let calls = calls(&city);
    for (facts, at) in &calls {
        let mut status = StatusKind::NotAssessed;
        let counted = allocation_counter::measure(|| {
            status = policy.route_only(facts, &[], *at, &available).status;
        });
        allocating += usize::from(counted.count_total > 0);
        // Whether answers could still reach a rule is cut out of boxes where bit-sets cannot tell; nothing else allocates.
        let may_be_cut = matches!(status, StatusKind::Ineligible | StatusKind::NeedsAnswer);
        assert!(counted.count_total == 0 || may_be_cut, "{facts:?} at {at}");
        statuses.insert(status);
    }
    println!("{allocating} of {} calls needed an exact cut", calls.len());
    assert!(statuses.len() >= 5, "{statuses:?}");
    let whole =
        allocation_counter::measure(|| drop(policy.decide(&Facts::default(), &[], at("2026-01-01T12:00"), &available)));
    assert!(whole.count_total > 0, "the counter counts");
}
