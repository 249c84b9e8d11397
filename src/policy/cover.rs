//! Whether boxes cover a box: exact, by cutting what one cover leaves and following what has no choice.
//!
//! A point that no cover holds must leave every cover in some dimension. A cover that holds the target in all dimensions but
//! one leaves no choice: the target loses what that cover accepts there. Only where every cover left has two ways out
//! does the search branch, on the one with the fewest.

use std::collections::BTreeSet;

/// A box: the classes allowed in each dimension, one dimension's machine words after the other's.
pub(super) type Box = Vec<u64>;

/// Covers looked at for one question, at most; beyond it the answer is "not proved".
const LOOKS_MAX: u64 = 4_000_000;

/// Where one dimension's classes lie within a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub start: usize,
    pub words: usize,
    pub classes: usize,
}

impl Span {
    pub(super) fn part<'a>(&self, of: &'a [u64]) -> &'a [u64] {
        of.get(self.start..self.start + self.words).unwrap_or_default()
    }

    pub(super) fn part_mut<'a>(&self, of: &'a mut [u64]) -> &'a mut [u64] {
        of.get_mut(self.start..self.start + self.words).unwrap_or_default()
    }

    pub(super) fn holds(&self, of: &[u64], class: usize) -> bool {
        self.part(of).get(class / 64).is_some_and(|word| word & (1 << (class % 64)) != 0)
    }

    /// The classes that a box allows here.
    pub(super) fn classes<'a>(&'a self, of: &'a [u64]) -> impl Iterator<Item = usize> + 'a {
        (0..self.classes).filter(|class| self.holds(of, *class))
    }

    fn without(&self, from: &mut [u64], cut: &[u64]) {
        for (word, cut) in self.part_mut(from).iter_mut().zip(self.part(cut)) {
            *word &= !cut;
        }
    }

    fn within(&self, from: &mut [u64], keep: &[u64]) {
        for (word, keep) in self.part_mut(from).iter_mut().zip(self.part(keep)) {
            *word &= keep;
        }
    }
}

/// The question needed more work than is allowed: nothing is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooHard;

/// How a cover lies to a target.
enum Lies {
    Apart,
    /// It holds the whole target.
    Around,
    /// A point of the target can leave it in this dimension only.
    One(usize),
    /// In so many dimensions.
    Several(usize),
}

/// One question: what of a target no cover holds.
pub(super) struct Question<'a> {
    spans: &'a [Span],
    /// Covers looked at so far.
    pub(super) looks: u64,
    /// Places of covers without which the answer "covered" was not reached.
    used: Option<&'a mut BTreeSet<usize>>,
}

impl<'a> Question<'a> {
    pub(super) fn new(spans: &'a [Span], used: Option<&'a mut BTreeSet<usize>>) -> Self {
        Self { spans, looks: 0, used }
    }

    /// A part of the target that no cover holds, `None` where they hold all of it.
    pub(super) fn uncovered<'b>(
        &mut self,
        mut target: Box,
        covers: impl Iterator<Item = (usize, &'b Box)>,
    ) -> Result<Option<Box>, TooHard> {
        if self.spans.iter().any(|span| span.part(&target).iter().all(|word| *word == 0)) {
            return Ok(None);
        }
        let mut left: Vec<(usize, &Box)> = Vec::new();
        for (place, cover) in covers {
            self.looks += 1;
            match self.lies(&target, cover) {
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
                match self.lies(&target, cover) {
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
        for span in self.spans {
            let mut part = target.clone();
            span.without(&mut part, cover);
            if span.part(&part).iter().all(|word| *word == 0) {
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
        if let Some(span) = self.spans.get(dimension) {
            span.without(target, cover);
        }
    }

    fn lies(&self, target: &Box, cover: &Box) -> Lies {
        let mut ways = 0;
        let mut last = 0;
        for (dimension, span) in self.spans.iter().enumerate() {
            let (mut meets, mut leaves) = (0, 0);
            for (target, cover) in span.part(target).iter().zip(span.part(cover)) {
                meets |= target & cover;
                leaves |= target & !cover;
            }
            if meets == 0 {
                return Lies::Apart;
            }
            if leaves != 0 {
                ways += 1;
                last = dimension;
            }
        }
        match ways {
            0 => Lies::Around,
            1 => Lies::One(last),
            _ => Lies::Several(ways),
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

    fn spans() -> Vec<Span> {
        let mut start = 0;
        CLASSES
            .iter()
            .map(|classes| {
                let span = Span { start, words: classes.div_ceil(64), classes: *classes };
                start += span.words;
                span
            })
            .collect()
    }

    /// A box that accepts in each dimension the classes whose number, folded into six bits, is set.
    fn folded(sets: &[u8]) -> Box {
        let spans = spans();
        let mut space = vec![0; 5];
        for (span, set) in spans.iter().zip(sets) {
            for class in (0..span.classes).filter(|class| set & (1 << (class % 6)) != 0) {
                span.part_mut(&mut space)[class / 64] |= 1 << (class % 64);
            }
        }
        space
    }

    fn holds(space: &Box, point: &[usize]) -> bool {
        spans().iter().zip(point).all(|(span, class)| span.holds(space, *class))
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
            let spans = spans();
            let mut used = BTreeSet::new();
            let left = Question::new(&spans, Some(&mut used)).uncovered(target.clone(), covers.iter().enumerate()).unwrap();
            match left {
                None => {
                    prop_assert!(open.is_empty());
                    // The covers that it names are enough.
                    let named = covers.iter().enumerate().filter(|(place, _)| used.contains(place));
                    prop_assert_eq!(Question::new(&spans, None).uncovered(target, named).unwrap(), None);
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
        let spans = spans();
        let mut question = Question { spans: &spans, looks: LOOKS_MAX, used: None };
        let cover = folded(&[1, 1, 63, 63]);
        assert_eq!(question.uncovered(folded(&[63, 63, 63, 63]), [(0, &cover)].into_iter()), Err(TooHard));
    }
}
