//! The columns of a store in memory: a number for every distinct saying and place, so that each is understood once.

use super::kept::{Place, Profile};
use super::replay::{Assumption, ReplayError};
use crate::facts::Facts;
use crate::policy::{Calls, Gap, Policy, Profile as Known};
use jiff::Timestamp;
use std::collections::HashMap;

/// All calls of a store, a column a field. Row `n` of every column is the same call.
#[derive(Debug, Default)]
pub struct Columns {
    /// Numbers of the calls in the store.
    pub(super) ids: Vec<i64>,
    /// When the call came in, seconds since 1970 UTC.
    pub(super) at: Vec<i64>,
    /// Place in `profiles`.
    pub(super) profile: Vec<u32>,
    /// Place in `places`.
    pub(super) place: Vec<u32>,
    /// Place in `dispositions` and one more; 0 where none is stated.
    pub(super) disposition: Vec<u32>,
    pub(super) profiles: Vec<Profile>,
    pub(super) places: Vec<Place>,
    pub(super) dispositions: Vec<String>,
}

/// The calls as one policy reads them.
#[derive(Debug)]
pub(super) struct Understood {
    /// What is known of calls of one profile at one place, each distinct pair once.
    pub known: Vec<Known>,
    /// Which assumptions were made for each of them, a bit each.
    pub assumed: Vec<u64>,
    /// By call: place in `known`.
    pub of: Vec<u32>,
    /// The same for the policy's table.
    pub calls: Calls,
}

impl Columns {
    /// Calls.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True where there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// When a call came in.
    pub(super) fn instant(&self, call: usize) -> Timestamp {
        let second = self.at.get(call).copied().unwrap_or_default();
        Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The calls as a policy reads them: through the same gathering of facts as a live record.
    pub(super) fn understood(&self, policy: &Policy, assumptions: &[Assumption]) -> Result<Understood, ReplayError> {
        // An assumption that means nothing is told even where there is no call.
        assume(policy, &mut Facts::default(), assumptions)?;
        let places: Vec<Known> = self.places.iter().map(|place| at_place(policy, place)).collect();
        let profiles: Vec<_> = self.profiles.iter().map(Profile::record).collect();
        let mut numbers: HashMap<(u32, u32), u32> = HashMap::new();
        let (mut known, mut assumed, mut of) = (Vec::new(), Vec::new(), Vec::with_capacity(self.len()));
        for pair in self.profile.iter().copied().zip(self.place.iter().copied()) {
            if let Some(number) = numbers.get(&pair) {
                of.push(*number);
                continue;
            }
            let (Some(profile), Some(place)) = (profiles.get(pair.0 as usize), places.get(pair.1 as usize)) else {
                return Err(ReplayError::Columns("a call names what is not there".to_owned()));
            };
            let (mut facts, mut gaps) = policy.gather(profile, &place.facts);
            // Without a place the profile cannot know its zone; the place has said so where it is so.
            gaps.retain(|gap| gap.fact != "zone" || gap.why == "value-out-of-domain");
            gaps.extend(place.gaps.iter().cloned());
            assumed.push(assume(policy, &mut facts, assumptions)?);
            let number = u32::try_from(known.len()).unwrap_or(u32::MAX);
            known.push(Known { facts, gaps });
            numbers.insert(pair, number);
            of.push(number);
        }
        let rows: Vec<(u32, Timestamp)> =
            of.iter().enumerate().map(|(call, number)| (*number, self.instant(call))).collect();
        let calls = Calls::new(&known, &rows).map_err(|error| ReplayError::Columns(error.to_string()))?;
        Ok(Understood { known, assumed, of, calls })
    }
}

/// What a place alone tells.
fn at_place(policy: &Policy, place: &Place) -> Known {
    let (facts, mut gaps) = policy.gather(&place.record(), &Facts::default());
    // That a place has no call type says nothing of the call.
    gaps.retain(|gap: &Gap| gap.fact != "nature");
    Known { facts, gaps }
}

/// Fills in what is not known. What is known stands.
fn assume(policy: &Policy, facts: &mut Facts, assumptions: &[Assumption]) -> Result<u64, ReplayError> {
    let mut made = 0;
    for (place, assumption) in assumptions.iter().enumerate() {
        let answered = policy.answered(facts, &assumption.fact, &assumption.value)?;
        if facts.value(&assumption.fact).is_none() {
            *facts = answered;
            made |= 1_u64.checked_shl(u32::try_from(place).unwrap_or(u32::MAX)).unwrap_or(0);
        }
    }
    Ok(made)
}
