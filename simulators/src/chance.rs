//! Chance from a seed: one named stream per purpose, so that adding a draw in one place moves no other.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sha2::{Digest, Sha256};

/// A random stream for one purpose (`arrivals`, `team cso-north`, …) and ordinal under a seed.
#[must_use]
pub fn stream(seed: u64, purpose: &str, ordinal: u64) -> StdRng {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(ordinal.to_be_bytes());
    hash.update(purpose.as_bytes());
    StdRng::from_seed(hash.finalize().into())
}

/// An exponentially distributed number with the given mean: the gap between arrivals of a Poisson stream.
pub fn exponential(rng: &mut StdRng, mean: f64) -> f64 {
    let uniform: f64 = rng.random();
    -mean * (1.0 - uniform).ln()
}

/// A number around `middle`, never below a third nor above three times it: most people take about as long as usual,
/// some take much longer. Log-normal with sigma 0.45.
pub fn about(rng: &mut StdRng, middle: f64) -> f64 {
    (middle * (0.45 * standard_normal(rng)).exp()).clamp(middle / 3.0, middle * 3.0)
}

/// A standard normal number (Box and Muller's transform).
pub fn standard_normal(rng: &mut StdRng) -> f64 {
    let radius: f64 = rng.random();
    let angle: f64 = rng.random();
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// One of the choices by weight; `None` where there is none or no weight is positive.
pub fn weighted<'a, T>(rng: &mut StdRng, choices: &'a [T], weight: impl Fn(&T) -> f64) -> Option<&'a T> {
    let total: f64 = choices.iter().map(|choice| weight(choice).max(0.0)).sum();
    if total <= 0.0 {
        return None;
    }
    let mut left = rng.random::<f64>() * total;
    let mut last = None;
    for choice in choices {
        let share = weight(choice).max(0.0);
        if share > 0.0 {
            last = Some(choice);
            if left < share {
                return last;
            }
            left -= share;
        }
    }
    last
}

/// One of the choices, each as likely.
pub fn one_of<'a, T>(rng: &mut StdRng, choices: &'a [T]) -> Option<&'a T> {
    if choices.is_empty() {
        return None;
    }
    choices.get(rng.random_range(0..choices.len()))
}

/// True with the given probability; a probability outside 0 … 1 is cut to it.
pub fn happens(rng: &mut StdRng, probability: f64) -> bool {
    rng.random::<f64>() < probability
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_purpose_and_ordinal_give_the_same_stream_and_any_other_another() {
        let first = |mut rng: StdRng| rng.random::<u64>();
        assert_eq!(first(stream(7, "arrivals", 0)), first(stream(7, "arrivals", 0)));
        assert_ne!(first(stream(7, "arrivals", 0)), first(stream(8, "arrivals", 0)));
        assert_ne!(first(stream(7, "arrivals", 0)), first(stream(7, "arrivals", 1)));
        assert_ne!(first(stream(7, "arrivals", 0)), first(stream(7, "people", 0)));
    }

    #[test]
    fn weights_are_kept_and_a_choice_without_weight_is_never_taken() {
        let mut rng = stream(1, "weights", 0);
        let choices = [("never", 0.0), ("often", 3.0), ("seldom", 1.0)];
        let mut often = 0;
        for _ in 0..4_000 {
            let (name, _) = weighted(&mut rng, &choices, |choice| choice.1).unwrap();
            assert_ne!(*name, "never");
            often += i32::from(*name == "often");
        }
        assert!((2_850..3_150).contains(&often), "{often} of 4000");
    }

    #[test]
    fn exponential_gaps_have_the_mean_asked_for() {
        let mut rng = stream(1, "gaps", 0);
        let mean = (0..20_000).map(|_| exponential(&mut rng, 5.0)).sum::<f64>() / 20_000.0;
        assert!((4.8..5.2).contains(&mean), "{mean}");
    }
}
