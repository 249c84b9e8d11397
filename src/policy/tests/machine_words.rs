//! However many machine words hold a policy's rows, and on whatever night, the same is asked, told and counted.

use super::allocations::{calls, city, policy};
use super::*;

#[test]
fn questions_and_flips_are_the_same_in_two_words_and_in_sixteen() {
    let city = city::policy(100);
    let policy = policy(&city);
    let available = Availability::default();
    let (mut questions, mut flips) = (0, 0);
    for (facts, at) in &calls(&city) {
        let assessment = policy.compiled.assess(facts, *at, &available);
        let (few, many) = (assessment.near::<2>(), assessment.near::<16>());
        let asked = few.questions();
        assert_eq!(asked, many.questions(), "{facts:?}");
        let flip = few.nearest_flip();
        assert_eq!(flip, many.nearest_flip(), "{facts:?}");
        questions += asked.len();
        flips += usize::from(flip.is_some());
    }
    assert!(questions > 500 && flips > 500, "{questions} questions, {flips} flips");
}

/// A what-if keeps one number more than there are rows: also where the rows fill their words.
#[test]
fn a_what_if_answers_as_one_by_one_where_the_rows_fill_their_words() {
    for (rows, all) in [(100, 107), (121, 128), (122, 129), (249, 256)] {
        let city = city::policy(rows);
        let policy = policy(&city);
        assert_eq!(policy.compiled.table.rows.len(), all);
        let available = Availability::default();
        let calls = calls(&city);
        let profiles: Vec<Profile> =
            calls.iter().map(|(facts, _)| Profile { facts: facts.clone(), gaps: Vec::new() }).collect();
        let numbered: Vec<(u32, Timestamp)> = (0..).zip(&calls).map(|(number, (_, at))| (number, *at)).collect();
        let columns = Calls::new(&profiles, &numbered).unwrap();
        let mut statuses = BTreeSet::new();
        let mut answered = 0;
        policy.what_if_each(&columns, &available, |number, _, answer| {
            let (facts, at) = &calls[number];
            assert_eq!(answer, policy.route_only(facts, &[], *at, &available), "{facts:?} by {all} rows");
            statuses.insert(answer.status);
            answered += 1;
        });
        assert_eq!(answered, calls.len());
        assert!(statuses.len() >= 5, "{statuses:?}");
    }
}

/// A what-if decides by the minute of the clock where it can: not in an hour that comes twice or begins late.
#[test]
fn a_what_if_answers_as_one_by_one_on_nights_on_which_clocks_change() {
    let text = POLICY.replace("from = \"06:00\", to = \"24:00\"", "from = \"20:15\", to = \"01:30\"");
    let policy = compile(&text);
    let yelling = facts(&[("nature", "person-yelling"), ("setting", "outdoors"), ("zone", "city"), ("weapon", "none")]);
    let profiles = [Profile { facts: yelling.clone(), gaps: Vec::new() }];
    let (mut hours, mut statuses) = (BTreeMap::new(), BTreeSet::new());
    for night in ["2025-11-01T19:00", "2026-03-07T19:00"] {
        let minutes =
            (0..12 * 60).map(|minute| at(night).checked_add(jiff::SignedDuration::from_mins(minute)).unwrap());
        let calls: Vec<(u32, Timestamp)> = minutes.map(|at| (0, at)).collect();
        let columns = Calls::new(&profiles, &calls).unwrap();
        let available = Availability::default();
        policy.what_if_each(&columns, &available, |number, _, answer| {
            assert_eq!(answer, policy.route_only(&yelling, &[], calls[number].1, &available), "{}", calls[number].1);
            statuses.insert(answer.status);
        });
        for (hour, counts) in &policy.what_if(&columns, &available).hour {
            *hours.entry(*hour).or_insert(0) += counts.values().sum::<u64>();
        }
    }
    assert_eq!(statuses.len(), 2, "{statuses:?}");
    // One o'clock comes twice in autumn, two o'clock not at all in spring.
    assert_eq!((hours.get(&1), hours.get(&2), hours.get(&3)), (Some(&180), Some(&60), Some(&120)), "{hours:?}");
}
