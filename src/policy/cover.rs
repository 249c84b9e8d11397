//! Whether boxes cover a box: exact, by cutting what one cover leaves and following what has no choice.
//!
//! A point that no cover holds must leave every cover in some dimension. A cover that holds the target in all dimensions but
//! one leaves no choice: the target loses what that cover accepts there. Only where every cover left has two ways out
//! does the search branch, on the one with the fewest.

use super::grid::{Box, Grid, Lies};
use std::collections::BTreeSet;

/// Covers looked at for one question, at most; beyond it the answer is "not proved".
const LOOKS_MAX: u64 = 4_000_000;

/// The question needed more work than is allowed: nothing is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooHard;

/// One question: what of a target no cover holds.
pub(super) struct Question<'a> {
    grid: &'a Grid,
    /// Covers looked at so far.
    pub(super) looks: u64,
    /// Places of covers without which the answer "covered" was not reached.
    used: Option<&'a mut BTreeSet<usize>>,
}

impl<'a> Question<'a> {
    pub(super) fn new(grid: &'a Grid, used: Option<&'a mut BTreeSet<usize>>) -> Self {
        Self { grid, looks: 0, used }
    }

    /// A part of the target that no cover holds, `None` where they hold all of it.
    pub(super) fn uncovered<'b>(
        &mut self,
        mut target: Box,
        covers: impl Iterator<Item = (usize, &'b Box)>,
    ) -> Result<Option<Box>, TooHard> {
        if self.grid.is_empty(&target) {
            return Ok(None);
        }
        let mut left: Vec<(usize, &Box)> = Vec::new();
        for (place, cover) in covers {
            self.looks += 1;
            match self.grid.lies(&target, cover) {
                Lies::Apart => {}
                Lies::Around => return Ok(self.covered_by(place)),
                Lies::One(dimension) => self.follow(&mut target, place, cover, dimension),
                Lies::Several(_) => left.push((place, cover)),
            }
        }
        self.settle(target, left)
    }

    fn settle(&mut self, mut target: Box, mut left: Vec<(usize, &Box)>) -> Result<Option<Box>, TooHard> {
        loop {
            let mut followed = false;
            let mut fewest: Option<(usize, usize)> = None;
            let mut kept: Vec<(usize, &Box)> = Vec::with_capacity(left.len());
            for (place, cover) in left {
                self.looks += 1;
                match self.grid.lies(&target, cover) {
                    Lies::Apart => {}
                    Lies::Around => return Ok(self.covered_by(place)),
                    Lies::One(dimension) => {
                        self.follow(&mut target, place, cover, dimension);
                        followed = true;
                    }
                    Lies::Several(ways) => {
                        if fewest.is_none_or(|(least, _)| ways < least) {
                            fewest = Some((ways, kept.len()));
                        }
                        kept.push((place, cover));
                    }
                }
            }
            if self.looks > LOOKS_MAX {
                return Err(TooHard);
            }
            if followed {
                left = kept;
                continue;
            }
            return match fewest {
                None => Ok(Some(target)),
                Some((_, at)) => {
                    let (place, cover) = kept.swap_remove(at);
                    self.branch(target, place, cover, &kept)
                }
            };
        }
    }

    /// Each way out of one cover in turn.
    fn branch(
        &mut self,
        mut target: Box,
        place: usize,
        cover: &Box,
        others: &[(usize, &Box)],
    ) -> Result<Option<Box>, TooHard> {
        for span in self.grid.spans() {
            let mut part = target.clone();
            span.without(&mut part, cover);
            if span.is_empty(&part) {
                continue;
            }
            if let Some(found) = self.settle(part, others.to_vec())? {
                return Ok(Some(found));
            }
            span.within(&mut target, cover);
        }
        Ok(self.covered_by(place))
    }

    fn covered_by(&mut self, place: usize) -> Option<Box> {
        if let Some(used) = &mut self.used {
            used.insert(place);
        }
        None
    }

    fn follow(&mut self, target: &mut Box, place: usize, cover: &Box, dimension: usize) {
        self.covered_by(place);
        if let Some(span) = self.grid.spans().get(dimension) {
            span.without(target, cover);
        }
    }
}

#[cfg(test)]
thread_local! {
    /// Covers looked at and boxes met by this thread: the work of proofs, which no clock can blur.
    pub(super) static WORK: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
impl Drop for Question<'_> {
    fn drop(&mut self) {
        WORK.set(WORK.get() + self.looks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Four dimensions: of 4, 70, 3 and 2 classes, so that one needs two words.
    const CLASSES: [usize; 4] = [4, 70, 3, 2];

    fn grid() -> Grid {
        let mut grid = Grid::default();
        CLASSES.iter().for_each(|classes| grid.push(*classes));
        grid
    }

    /// A box that accepts in each dimension the classes whose number, folded into six bits, is set.
    fn folded(sets: &[u8]) -> Box {
        let grid = grid();
        let mut space = grid.whole();
        for (span, set) in grid.spans().iter().zip(sets) {
            span.restrict(&mut space, |class| set & (1 << (class % 6)) != 0);
        }
        space
    }

    fn holds(space: &Box, point: &[usize]) -> bool {
        grid().spans().iter().zip(point).all(|(span, class)| span.holds(space, *class))
    }

    fn points() -> impl Iterator<Item = [usize; 4]> {
        (0..4).flat_map(|a| (0..70).flat_map(move |b| (0..3).flat_map(move |c| (0..2).map(move |d| [a, b, c, d]))))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn what_is_left_is_what_a_count_of_every_point_says(
            target in prop::collection::vec(1_u8..64, 4),
            covers in prop::collection::vec(prop::collection::vec(0_u8..64, 4), 0..9),
        ) {
            let target = folded(&target);
            let covers: Vec<Box> = covers.iter().map(|sets| folded(sets)).collect();
            let open: Vec<_> =
                points().filter(|point| holds(&target, point) && !covers.iter().any(|cover| holds(cover, point))).collect();
            let grid = grid();
            let mut used = BTreeSet::new();
            let left = Question::new(&grid, Some(&mut used)).uncovered(target.clone(), covers.iter().enumerate()).unwrap();
            match left {
                None => {
                    prop_assert!(open.is_empty());
                    // The covers that it names are enough.
                    let named = covers.iter().enumerate().filter(|(place, _)| used.contains(place));
                    prop_assert_eq!(Question::new(&grid, None).uncovered(target, named).unwrap(), None);
                }
                Some(left) => {
                    let inside: Vec<_> = points().filter(|point| holds(&left, point)).collect();
                    prop_assert!(!inside.is_empty());
                    prop_assert!(inside.iter().all(|point| open.contains(point)));
                }
            }
        }
    }

    #[test]
    fn a_question_beyond_the_bound_of_work_is_not_answered() {
        let grid = grid();
        let mut question = Question { grid: &grid, looks: LOOKS_MAX, used: None };
        let cover = folded(&[1, 1, 63, 63]);
        assert_eq!(question.uncovered(folded(&[63, 63, 63, 63]), [(0, &cover)].into_iter()), Err(TooHard));
    }
}
