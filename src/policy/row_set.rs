//! A set of rows as bits: what a cell accepts, what a call meets.

/// Machine words in a set.
const WORDS: usize = 16;
/// Rows in a policy, built-in ones included, at most.
pub(super) const ROWS_MAX: usize = WORDS * 64;

/// A set of row numbers below [`ROWS_MAX`]. Plain bits on the stack: no operation allocates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct RowSet([u64; WORDS]);

impl RowSet {
    pub(super) const EMPTY: Self = Self([0; WORDS]);

    pub(super) fn first(rows: usize) -> Self {
        let mut set = Self::EMPTY;
        for row in 0..rows {
            set.insert(row);
        }
        set
    }

    #[inline]
    pub(super) fn insert(&mut self, row: usize) {
        if let Some(word) = self.0.get_mut(row / 64) {
            *word |= 1 << (row % 64);
        }
    }

    #[inline]
    pub(super) fn contains(&self, row: usize) -> bool {
        self.0.get(row / 64).is_some_and(|word| word & (1 << (row % 64)) != 0)
    }

    /// One machine word of it; words follow the order of the rows.
    #[inline]
    pub(super) fn word(&self, index: usize) -> u64 {
        self.0.get(index).copied().unwrap_or(0)
    }

    /// Machine words up to the last row held.
    #[inline]
    pub(super) fn words(&self) -> usize {
        WORDS - self.0.iter().rev().take_while(|word| **word == 0).count()
    }

    /// Keeps what `other` holds too, in the first `words` words; the rest is left as it is.
    #[inline]
    pub(super) fn keep(&mut self, other: &Self, words: usize) {
        for (word, other) in self.0.iter_mut().zip(&other.0).take(words) {
            *word &= other;
        }
    }

    /// Adds what `other` holds in the first `words` words.
    #[inline]
    pub(super) fn add(&mut self, other: &Self, words: usize) {
        for (word, other) in self.0.iter_mut().zip(&other.0).take(words) {
            *word |= other;
        }
    }

    /// Takes away what these words hold.
    #[inline]
    pub(super) fn drop_words(&mut self, words: &[u64]) {
        for (word, other) in self.0.iter_mut().zip(words) {
            *word &= !other;
        }
    }

    /// How many rows.
    pub(super) fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// A set made word by word, of the first `words` words.
    #[inline]
    pub(super) fn of_words(words: usize, make: impl Fn(usize) -> u64) -> Self {
        let mut set = Self::EMPTY;
        for (index, word) in set.0.iter_mut().enumerate().take(words) {
            *word = make(index);
        }
        set
    }

    /// The first row of a set that is made word by word and need not be kept.
    #[inline]
    pub(super) fn lowest(words: usize, make: impl Fn(usize) -> u64) -> Option<usize> {
        (0..words).find_map(|index| {
            let word = make(index);
            (word != 0).then(|| index * 64 + word.trailing_zeros() as usize)
        })
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    #[inline]
    pub(super) fn and(mut self, other: &Self) -> Self {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= other;
        }
        self
    }

    #[inline]
    pub(super) fn or(mut self, other: &Self) -> Self {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word |= other;
        }
        self
    }

    pub(super) fn xor(mut self, other: &Self) -> Self {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word ^= other;
        }
        self
    }

    #[inline]
    pub(super) fn without(mut self, other: &Self) -> Self {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= !other;
        }
        self
    }

    /// The rows in order.
    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        bits(self.0)
    }
}

/// The places of the bits that are set, in order.
pub(super) fn bits<const COUNT: usize>(words: [u64; COUNT]) -> impl Iterator<Item = usize> {
    words.into_iter().enumerate().filter(|(_, word)| *word != 0).flat_map(|(index, word)| {
        std::iter::successors(Some(word), |word| Some(word & word.wrapping_sub(1)))
            .take_while(|word| *word != 0)
            .map(move |word| index * 64 + word.trailing_zeros() as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in_them_in_order() {
        let mut set = RowSet::EMPTY;
        for row in [900, 3, 64, 1023, 63] {
            set.insert(row);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [3, 63, 64, 900, 1023]);
        assert_eq!(set.without(&RowSet::first(64)).iter().collect::<Vec<_>>(), [64, 900, 1023]);
        assert!(set.contains(63) && !set.contains(62) && !set.contains(ROWS_MAX));
    }
}
