//! The generator: deterministic from a seed, and a year that adds up to the published totals.

use super::*;
use std::collections::BTreeSet;

fn city() -> City {
    City::kamloops().unwrap()
}

#[test]
fn the_same_seed_gives_the_same_evening_and_another_seed_another() {
    let city = city();
    let one: Vec<SimulatedCall> = city.evening(11, 1.0).collect();
    let same: Vec<SimulatedCall> = city.evening(11, 1.0).collect();
    let other: Vec<SimulatedCall> = city.evening(12, 1.0).collect();
    assert_eq!(one, same);
    assert_ne!(one, other);
    // 8.5 hours of 24 calls an hour; four standard deviations of a Poisson number of 204 are 57.
    assert!((147..=261).contains(&one.len()), "{}", one.len());
    assert!(one.is_sorted_by_key(|call| call.arrives));
    let numbers: BTreeSet<&str> = one.iter().map(|call| call.number.as_str()).collect();
    assert_eq!(numbers.len(), one.len());
}

#[test]
fn the_rate_multiplies_the_arrivals() {
    let city = city();
    let once = city.evening(5, 1.0).count() as f64;
    let fivefold = city.evening(5, 5.0).count() as f64;
    assert!((4.0..6.2).contains(&(fivefold / once)), "{once} {fivefold}");
    assert_eq!(city.evening(5, 0.0).count(), 0);
}

#[test]
fn every_call_is_whole_and_nobody_in_it_is_real() {
    let city = city();
    for call in city.evening(3, 4.0) {
        assert!(!call.narrative.contains('{'), "{}", call.narrative);
        assert!(!call.narrative.is_empty() && !call.street.is_empty() && !call.name.1.is_empty());
        assert!((50.6..50.8).contains(&call.latitude) && (-120.5..-120.1).contains(&call.longitude));
        if let Some(callback) = &call.callback {
            let last: u16 = callback.strip_prefix("+1250555").unwrap().parse().unwrap();
            assert!((100..=199).contains(&last));
        }
        assert!(call.known.iter().all(|(fact, value)| call.truth.get(fact) == Some(value)));
        assert!(call.truth.get("age").is_none_or(|age| age.parse::<u16>().is_ok()));
        assert!(call.later.is_sorted_by_key(|later| later.after));
    }
}

#[test]
fn the_share_of_first_records_with_a_whole_screening_is_the_citys() {
    let city = city();
    let (mut whole, mut all) = (0.0, 0.0);
    for call in city.evening(2, 10.0) {
        all += 1.0;
        let screened = city.screening.script.iter().all(|fact| call.known.contains_key(fact));
        whole += f64::from(u8::from(screened));
    }
    // The others are whole by chance now and then; four standard deviations of 2,000 draws are 0.045.
    let share = whole / all;
    assert!((city.screening.complete - 0.045..city.screening.complete + 0.065).contains(&share), "{share}");
}

#[test]
fn a_simulated_year_adds_up_to_the_published_totals() {
    let city = city();
    let totals = &city.totals;
    let near = |name: &str, got: f64, wanted: f64| {
        let off = (got - wanted).abs() / wanted;
        assert!(off <= totals.tolerance, "{name}: {got} is not within {} of {wanted}", totals.tolerance);
    };
    let (mut vulnerable, mut ordinary, mut outreach, mut surge) = (0.0, 0.0, 0.0, 0.0);
    for call in year(2025).unwrap() {
        match call.family {
            Family::Vulnerable => {
                vulnerable += 1.0;
                outreach += f64::from(u8::from(call.answered_first_by_outreach));
                let month = call.arrives.to_zoned(city.zone()).month();
                surge += f64::from(u8::from((5..=10).contains(&month)));
            }
            Family::Ordinary => ordinary += 1.0,
        }
    }
    near("files", vulnerable, totals.vulnerable_person_files);
    near("ordinary calls", ordinary, totals.ordinary_calls);
    near("first answered by outreach", outreach / vulnerable, totals.first_answered_by_outreach_share);
    // May to October hold well over half of the files.
    assert!(surge / vulnerable > 0.58, "{}", surge / vulnerable);
}

#[test]
fn the_shift_book_of_a_year_adds_up_to_the_published_totals() {
    let city = city();
    let book = city.shift_book(PUBLISHED_YEAR, 1);
    assert_eq!(book.len(), usize::try_from(city.totals.shifts).unwrap());
    let interactions: f64 = book.iter().map(|shift| f64::from(shift.interactions)).sum();
    let off = (interactions - city.totals.interactions).abs() / city.totals.interactions;
    assert!(off <= city.totals.tolerance, "{interactions}");
    let full: Vec<f64> = book.iter().filter(|shift| shift.full).map(|shift| f64::from(shift.interactions)).collect();
    let mean = full.iter().sum::<f64>() / full.len() as f64;
    let off = (mean - city.totals.interactions_per_full_shift).abs() / city.totals.interactions_per_full_shift;
    assert!(off <= city.totals.tolerance, "{mean}");
    let peaks = book.iter().filter(|shift| shift.interactions > city.totals.interactions_per_shift_peak);
    assert!(peaks.clone().count() > 10);
    assert!(peaks.filter(|shift| (5..=10).contains(&shift.day.month())).count() > 10);
    assert_eq!(book, city.shift_book(PUBLISHED_YEAR, 1));
}

#[test]
fn a_city_that_names_what_is_not_there_is_refused_with_its_place() {
    let text = include_str!("../../cities/kamloops/city.toml").replacen("truth = \"calm\"", "truth = \"clam\"", 1);
    let error = City::read(&text, include_str!("../../cities/kamloops/names.toml")).unwrap_err();
    assert!(error.to_string().contains("welfare-unsheltered"), "{error}");
    assert!(matches!(City::named("atlantis"), Err(CityError::NoSuchCity(_))));
}
