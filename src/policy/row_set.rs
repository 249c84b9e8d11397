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

    pub(super) fn insert(&mut self, row: usize) {
        if let Some(word) = self.0.get_mut(row / 64) {
            *word |= 1 << (row % 64);
        }
    }

    pub(super) fn contains(&self, row: usize) -> bool {
        self.0.get(row / 64).is_some_and(|word| word & (1 << (row % 64)) != 0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn and(mut self, other: &Self) -> Self {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= other;
        }
        self
    }

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

    pub(super) fn without(mut self, other: &Self) -> Self {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= !other;
        }
        self
    }

    /// The rows in order.
    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(index, word)| {
            std::iter::successors(Some(word), |word| Some(word & word.wrapping_sub(1)))
                .take_while(|word| *word != 0)
                .map(move |word| index * 64 + word.trailing_zeros() as usize)
        })
    }
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
