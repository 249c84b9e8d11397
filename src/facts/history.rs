//! Repeat contact: whether a place or a call-back number was met before. Kept as keyed hashes; no name, number or address.

mod normal;
#[cfg(test)]
mod tests;

use super::{FactSources, Facts, Source};
use crate::record::{AgencyId, CallRecord, IncidentId};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;

/// Hours that are looked back on: thirty days.
const WINDOW_H: i64 = 30 * 24;
/// The values of the facts, most recent first: within so many hours.
const WITHIN_H: [(i64, &str); 3] = [(24, "24h"), (7 * 24, "7d"), (WINDOW_H, "30d")];
/// The value where nothing is known within the window.
const NONE: &str = "none";
/// Seconds for which one key serves. Longer than the window, so that two keys cover it; a new one after that, so that
/// hashes of one period cannot be joined with those of another without the key they come from.
const PERIOD_S: i64 = 31 * 24 * 3_600;
/// Bytes of the key, at least.
const KEY_BYTES_MIN: usize = 32;
/// Hashes of one kind in one record, at most.
const TRACES_MAX: usize = 4;
/// Hashes remembered, at most: thirty days of a city of a million calls a year. Above it the oldest are forgotten.
const REMEMBERED_MAX: usize = 200_000;
/// Incidents remembered for one hash: the most recent other than the one asked about is wanted.
const INCIDENTS_MAX: usize = 4;
/// Agencies whose memory is known to reach back, at most.
const AGENCIES_MAX: usize = 256;

/// The secret that places and numbers are hashed under. Never prints. Without it hashes say nothing and cannot be joined;
/// whoever destroys it destroys what they could tell.
#[derive(Clone)]
pub struct RepeatKey {
    secret: Vec<u8>,
    id: String,
}

impl fmt::Debug for RepeatKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RepeatKey(…)")
    }
}

/// What a record leaves behind: hashes under the keys of its agency and period. In hexadecimal, 128 bits each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactTraces {
    /// Which secret they were made under, so that those of a secret since changed are not taken for silence.
    pub key: String,
    /// The place, by its civic address, else by its point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
    /// The numbers to call back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<String>,
}

/// The traces of a record, and the hashes under which an earlier record may have left the same.
#[derive(Debug, Clone)]
pub struct Traced {
    /// To be journaled with the record.
    pub traces: ContactTraces,
    agency: AgencyId,
    places: Vec<String>,
    numbers: Vec<String>,
}

/// How recently the place and the number of a record were met in another incident: values of `repeat_place` and
/// `repeat_person`, `None` where that is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repeats {
    /// The same place.
    pub place: Option<&'static str>,
    /// The same number to call back.
    pub person: Option<&'static str>,
}

impl RepeatKey {
    /// A key from its secret text, `None` where that is shorter than 32 bytes.
    #[must_use]
    pub fn new(secret: &str) -> Option<Self> {
        let secret = secret.as_bytes().to_vec();
        let id = hash(&secret, &[b"fourth repeat contact: name of the key"]).get(..8)?.to_owned();
        (secret.len() >= KEY_BYTES_MIN).then_some(Self { secret, id })
    }

    /// What a record leaves behind at an instant; `None` for tests, and where it has neither place nor number.
    #[must_use]
    pub fn trace(&self, record: &CallRecord, at: Timestamp) -> Option<Traced> {
        if record.test {
            return None;
        }
        let period = at.as_second().div_euclid(PERIOD_S);
        let agency = &record.identity.agency;
        let under = |kind: &str, period: i64, texts: &[String]| -> Vec<String> {
            let period = period.to_be_bytes();
            let parts: [&[u8]; 4] =
                [b"fourth repeat contact: key", agency.as_str().as_bytes(), kind.as_bytes(), &period];
            let key = hash(&self.secret, &parts);
            texts.iter().map(|text| hash(key.as_bytes(), &[text.as_bytes()])).collect()
        };
        let places = normal::places(record);
        let own: Vec<String> = places.iter().take(TRACES_MAX).filter_map(|place| place.first().cloned()).collect();
        let near: Vec<String> = places.into_iter().take(TRACES_MAX).flatten().collect();
        let numbers: Vec<String> = normal::numbers(record).into_iter().take(TRACES_MAX).collect();
        if own.is_empty() && numbers.is_empty() {
            return None;
        }
        let both = |kind: &str, texts: &[String]| {
            [under(kind, period, texts), under(kind, period.saturating_sub(1), texts)].concat()
        };
        Some(Traced {
            traces: ContactTraces {
                key: self.id.clone(),
                places: under("place", period, &own),
                numbers: under("number", period, &numbers),
            },
            agency: agency.clone(),
            places: both("place", &near),
            numbers: both("number", &numbers),
        })
    }
}

/// HMAC-SHA-256 over the parts, each with its length before it; the first 128 bits in hexadecimal.
fn hash(key: &[u8], parts: &[&[u8]]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    for part in parts {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    let digest = mac.finalize().into_bytes();
    hex::encode(digest.get(..16).unwrap_or_default())
}

/// What is remembered of the last thirty days, in memory; rebuilt from the journal, where the traces are.
#[derive(Debug, Default)]
pub struct ContactHistory {
    by_hash: HashMap<String, Vec<Contact>>,
    /// By time, for forgetting.
    order: VecDeque<(Timestamp, String)>,
    /// Since when the contacts of an agency are remembered, by key and agency.
    since: BTreeMap<(String, AgencyId), Timestamp>,
}

#[derive(Debug)]
struct Contact {
    incident: IncidentId,
    at: Timestamp,
}

impl ContactHistory {
    /// Remembers the traces of a record. The first record of an incident counts (within one period of
    /// the key), later ones add what is new in them.
    pub fn note(&mut self, traces: &ContactTraces, agency: &AgencyId, incident: &IncidentId, at: Timestamp) {
        self.forget(at);
        let whose = (traces.key.clone(), agency.clone());
        if self.since.len() < AGENCIES_MAX || self.since.contains_key(&whose) {
            self.since.entry(whose).or_insert(at);
        }
        for hash in traces.places.iter().chain(&traces.numbers) {
            let contacts = self.by_hash.entry(hash.clone()).or_default();
            if contacts.iter().any(|contact| contact.incident == *incident) {
                continue;
            }
            if contacts.len() >= INCIDENTS_MAX {
                contacts.remove(0);
            }
            contacts.push(Contact { incident: incident.clone(), at });
            self.order.push_back((at, hash.clone()));
        }
        self.forget(at);
    }

    /// Forgets what is older than the window or more than may be remembered.
    fn forget(&mut self, now: Timestamp) {
        while let Some((at, hash)) = self.order.front() {
            let old = now.duration_since(*at).as_hours() > WINDOW_H;
            if !old && self.order.len() <= REMEMBERED_MAX {
                break;
            }
            let at = *at;
            if let Some(contacts) = self.by_hash.get_mut(hash) {
                contacts.retain(|contact| contact.at > at);
                if contacts.is_empty() {
                    self.by_hash.remove(hash);
                }
            }
            self.order.pop_front();
            if !old {
                // What was forgotten for want of room can no longer be denied.
                self.since.values_mut().for_each(|since| *since = at.max(*since));
            }
        }
    }

    /// How recently the record's place and number were met in another incident that was heard of before this one.
    #[must_use]
    pub fn repeats(&self, traced: &Traced, incident: &IncidentId, now: Timestamp) -> Repeats {
        let since = self.since.get(&(traced.traces.key.clone(), traced.agency.clone()));
        let whole = since.is_some_and(|since| now.duration_since(*since).as_hours() >= WINDOW_H);
        let value = |left: &[String], hashes: &[String]| {
            if left.is_empty() {
                return None;
            }
            let contacts = || hashes.iter().filter_map(|hash| self.by_hash.get(hash)).flatten();
            let own = contacts().filter(|contact| contact.incident == *incident).map(|contact| contact.at).min();
            let reference = own.unwrap_or(now);
            let others = contacts().filter(|contact| contact.incident != *incident && contact.at <= reference);
            let hours = others.map(|contact| reference.duration_since(contact.at).as_hours()).min();
            let met = hours.and_then(|hours| WITHIN_H.iter().find(|(within, _)| hours < *within));
            // Nothing found says "none" only where everything of the window is remembered: unknown is not none.
            met.map(|(_, value)| *value).or_else(|| whole.then_some(NONE))
        };
        Repeats {
            place: value(&traced.traces.places, &traced.places),
            person: value(&traced.traces.numbers, &traced.numbers),
        }
    }
}

impl FactSources {
    /// Facts with what the adapter remembers of the place and the number; what a person or a record states stands.
    #[must_use]
    pub fn recalled(&self, before: &Facts, repeats: Repeats) -> Facts {
        let mut facts = before.clone();
        for (fact, value) in [("repeat_place", repeats.place), ("repeat_person", repeats.person)] {
            if let Some(value) = value {
                // Both facts are in every vocabulary, with these values; a source that may not change one leaves it.
                let _ = facts.state(&self.vocabulary, fact, value, Source::History);
            }
        }
        facts
    }
}
