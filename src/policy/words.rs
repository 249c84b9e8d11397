//! Words found fast: the places of a fixed list of words, by a hash that reads eight letters at each end.

/// Where each of a list of words stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    names: Vec<String>,
    /// Place + 1, 0 where the slot is free; a power of two of them, at least twice the words.
    slots: Vec<u16>,
}

impl Words {
    /// Of equal words the first counts. At most 65,534 words.
    pub(super) fn of(names: Vec<String>) -> Self {
        let mut words = Self { slots: vec![0; (names.len() * 2).next_power_of_two().max(2)], names };
        for place in 0..words.names.len() {
            let Some(name) = words.names.get(place) else { continue };
            if words.find(name).is_some() {
                continue;
            }
            let mut at = words.slot(name);
            while words.slots.get(at).is_some_and(|slot| *slot != 0) {
                at = (at + 1) & (words.slots.len() - 1);
            }
            if let (Some(slot), Ok(place)) = (words.slots.get_mut(at), u16::try_from(place + 1)) {
                *slot = place;
            }
        }
        words
    }

    /// The place of a word in the list.
    pub(super) fn find(&self, word: &str) -> Option<usize> {
        let mut at = self.slot(word);
        loop {
            let place = usize::from(*self.slots.get(at)?).checked_sub(1)?;
            if self.names.get(place).is_some_and(|name| name == word) {
                return Some(place);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    fn slot(&self, word: &str) -> usize {
        let mixed = key(word.as_bytes()).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        usize::try_from(mixed >> 40).unwrap_or(0) & self.slots.len().wrapping_sub(1)
    }
}

/// The first and the last eight bytes and the length, mixed.
fn key(bytes: &[u8]) -> u64 {
    let length = bytes.len() as u64;
    match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => {
            u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(23) ^ (length << 56)
        }
        _ => bytes.iter().fold(length, |key, byte| key << 8 | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_word_is_found_at_its_first_place_and_no_other_is(
            names in prop::collection::vec("[a-c]{0,3}(-[a-c]{5,9})?", 0..80),
            strangers in prop::collection::vec("[a-d]{0,3}(-[a-c]{5,9})?", 0..20),
        ) {
            let words = Words::of(names.clone());
            for word in names.iter().chain(&strangers) {
                prop_assert_eq!(words.find(word), names.iter().position(|name| name == word));
            }
        }
    }
}
