//! A set of rows as bits: what a cell accepts, what a call meets.

/// Machine words in a set.
pub(super) const WORDS: usize = 16;
/// Rows in a policy, built-in ones included, at most.
pub(super) const ROWS_MAX: usize = WORDS * 64;

/// A set of row numbers below [`ROWS_MAX`].
pub(super) type RowSet = Rows<WORDS>;

/// A set of row numbers in `W` machine words. Plain bits on the stack: no operation allocates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Rows<const W: usize>([u64; W]);

impl<const W: usize> Rows<W> {
    pub(super) const EMPTY: Self = Self([0; W]);
    /// Every number that it can hold, of rows that there are and of others.
    pub(super) const EVERY: Self = Self([u64::MAX; W]);

    /// The same rows in another number of words: where a policy has few rows, whoever looks at many sets keeps them short.
    #[inline]
    pub(super) fn in_words<const V: usize>(&self) -> Rows<V> {
        let mut rows = Rows::EMPTY;
        for (word, own) in rows.0.iter_mut().zip(&self.0) {
            *word = *own;
        }
        rows
    }

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
        W - self.0.iter().rev().take_while(|word| **word == 0).count()
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

    /// The first row of the set.
    #[inline]
    pub(super) fn least(&self) -> Option<usize> {
        let (index, word) = self.0.iter().enumerate().find(|(_, word)| **word != 0)?;
        Some(index * 64 + word.trailing_zeros() as usize)
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

/// The places of the bits of one word, in order: of columns, mostly.
#[inline]
pub(super) fn columns(word: u64) -> impl Iterator<Item = usize> {
    bits([word])
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
        // The first row, and the words up to the last, wherever it lies.
        for row in [0, 63, 64, 130, 900, 1023] {
            let mut one = RowSet::EMPTY;
            one.insert(row);
            assert_eq!((one.least(), one.words()), (Some(row), row / 64 + 1));
            one.insert(1023);
            assert_eq!((one.least(), one.words()), (Some(row), 16));
        }
        assert_eq!((RowSet::EMPTY.least(), RowSet::EMPTY.words()), (None, 0));
    }
}
