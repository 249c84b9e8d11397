//! How a box lies in machine words: a bit for each class of each dimension, the small dimensions side by side in one word.
//!
//! What is asked of two boxes (do they meet in every dimension, in which does one reach beyond the other) is asked of all
//! dimensions of a word at once: with the highest class of each marked, an addition carries into the mark wherever a lower one
//! is set.

/// A box: the classes allowed in each dimension.
pub(super) type Box = Vec<u64>;

/// Bits in a word.
const BITS: usize = 64;

/// Where one dimension's classes lie within a box: within one word, or in words of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    word: usize,
    shift: usize,
    pub classes: usize,
}

/// The dimensions of a space of boxes.
#[derive(Debug, Default)]
pub(super) struct Grid {
    spans: Vec<Span>,
    /// Dimensions in words of their own.
    wide: Vec<usize>,
    words: Vec<Word>,
}

/// One word of a box.
#[derive(Debug, Clone, Copy, Default)]
struct Word {
    /// The bits of the dimensions that share it, the highest class of each apart from the others.
    highest: u64,
    lower: u64,
    used: usize,
}

/// How a cover lies to a target.
pub(super) enum Lies {
    Apart,
    /// It holds the whole target.
    Around,
    /// A point of the target can leave it in this dimension only.
    One(usize),
    /// In so many dimensions.
    Several(usize),
}

impl Span {
    /// The words of it, each with its bits there.
    fn parts(self) -> impl Iterator<Item = (usize, u64)> {
        (0..self.classes.div_ceil(BITS)).map(move |part| {
            let bits = match self.classes - BITS * part {
                left @ 0..BITS => (1 << left) - 1,
                _ => u64::MAX,
            };
            (self.word + part, bits << self.shift)
        })
    }

    /// The bits of a box in this dimension, word by word.
    fn of(self, own: &[u64]) -> impl Iterator<Item = u64> {
        self.parts().map(|(word, bits)| own.get(word).copied().unwrap_or(0) & bits)
    }

    pub(super) fn holds(self, own: &[u64], class: usize) -> bool {
        let at = self.shift + class;
        class < self.classes && own.get(self.word + at / BITS).is_some_and(|word| word & (1 << (at % BITS)) != 0)
    }

    /// The classes that a box allows here.
    pub(super) fn classes(self, own: &[u64]) -> impl Iterator<Item = usize> + '_ {
        (0..self.classes).filter(move |class| self.holds(own, *class))
    }

    /// True where a box allows nothing here.
    pub(super) fn is_empty(self, own: &[u64]) -> bool {
        self.of(own).all(|bits| bits == 0)
    }

    /// True where two boxes allow the same here.
    pub(super) fn is_alike(self, one: &[u64], other: &[u64]) -> bool {
        self.of(one).eq(self.of(other))
    }

    /// Keeps of a box, in this dimension, the classes that are wanted.
    pub(super) fn restrict(self, own: &mut [u64], keep: impl Fn(usize) -> bool) {
        for class in (0..self.classes).filter(|class| !keep(*class)) {
            let at = self.shift + class;
            own.get_mut(self.word + at / BITS).into_iter().for_each(|word| *word &= !(1 << (at % BITS)));
        }
    }

    pub(super) fn without(self, own: &mut [u64], cut: &[u64]) {
        self.change(own, cut, |own, cut| own & !cut);
    }

    pub(super) fn within(self, own: &mut [u64], keep: &[u64]) {
        self.change(own, keep, |own, keep| own & keep);
    }

    /// A box as another has it in this dimension.
    pub(super) fn take(self, own: &mut [u64], other: &[u64]) {
        self.change(own, other, |_, other| other);
    }

    fn change(self, own: &mut [u64], other: &[u64], to: impl Fn(u64, u64) -> u64) {
        for (word, bits) in self.parts() {
            if let (Some(own), Some(other)) = (own.get_mut(word), other.get(word)) {
                *own = (*own & !bits) | (to(*own, *other) & bits);
            }
        }
    }
}

impl Word {
    /// The highest bit of each dimension of which any bit is set.
    #[inline]
    fn filled(self, bits: u64) -> u64 {
        (((bits & self.lower) + self.lower) | bits) & self.highest
    }
}

impl Grid {
    /// One more dimension, of so many classes.
    pub(super) fn push(&mut self, classes: usize) {
        let alone = classes > BITS;
        let room = self.words.iter().position(|word| !alone && word.used + classes <= BITS);
        let word = room.unwrap_or(self.words.len());
        if room.is_none() {
            let words = classes.div_ceil(BITS).max(1);
            self.words.resize(word + words, Word { used: if alone { BITS } else { 0 }, ..Word::default() });
        }
        let shift = self.words.get(word).map_or(0, |word| if alone { 0 } else { word.used });
        let span = Span { word, shift, classes };
        if alone {
            self.wide.push(self.spans.len());
        } else if let Some(word) = self.words.get_mut(word) {
            let bits = span.parts().fold(0, |all, (_, bits)| all | bits);
            let highest = if classes == 0 { 0 } else { 1 << (shift + classes - 1) };
            word.highest |= highest;
            word.lower |= bits & !highest;
            word.used += classes;
        }
        self.spans.push(span);
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The box that allows everything.
    pub(super) fn whole(&self) -> Box {
        let mut whole = vec![0; self.words.len()];
        for (word, bits) in self.spans.iter().flat_map(|span| span.parts()) {
            whole.get_mut(word).into_iter().for_each(|word| *word |= bits);
        }
        whole
    }

    fn wide(&self) -> impl Iterator<Item = (usize, Span)> {
        self.wide.iter().filter_map(|place| Some((*place, *self.spans.get(*place)?)))
    }

    /// True where a box allows nothing in some dimension.
    pub(super) fn is_empty(&self, own: &[u64]) -> bool {
        let lacks = |(word, bits): (&Word, &u64)| word.filled(*bits) != word.highest;
        self.words.iter().zip(own).any(lacks) || self.wide().any(|(_, span)| span.is_empty(own))
    }

    /// Two boxes' common part, `None` where they have none.
    pub(super) fn meet(&self, one: &[u64], other: &[u64]) -> Option<Box> {
        if self.are_apart(one, other) {
            return None;
        }
        Some(one.iter().zip(other).map(|(one, other)| one & other).collect())
    }

    fn are_apart(&self, one: &[u64], other: &[u64]) -> bool {
        let lacks = |(word, (one, other)): (&Word, (&u64, &u64))| word.filled(one & other) != word.highest;
        let apart = |span: Span| span.of(one).zip(span.of(other)).all(|(one, other)| one & other == 0);
        self.words.iter().zip(one.iter().zip(other)).any(lacks) || self.wide().any(|(_, span)| apart(span))
    }

    /// How a cover lies to a target that is not empty.
    pub(super) fn lies(&self, target: &[u64], cover: &[u64]) -> Lies {
        if self.are_apart(target, cover) {
            return Lies::Apart;
        }
        let mut ways = 0;
        let mut last = None;
        for (place, (word, (target, cover))) in self.words.iter().zip(target.iter().zip(cover)).enumerate() {
            let leaving = word.filled(target & !cover);
            if leaving != 0 {
                ways += leaving.count_ones() as usize;
                last = Some((place, leaving));
            }
        }
        let mut dimension = None;
        for (place, span) in self.wide() {
            if span.of(target).zip(span.of(cover)).any(|(target, cover)| target & !cover != 0) {
                ways += 1;
                dimension = Some(place);
            }
        }
        match (ways, dimension, last) {
            (0, ..) => Lies::Around,
            (1, Some(dimension), _) => Lies::One(dimension),
            (1, None, Some((word, bit))) => self.dimension(word, bit).map_or(Lies::Several(1), Lies::One),
            _ => Lies::Several(ways),
        }
    }

    /// The dimension of which this bit is the highest class.
    fn dimension(&self, word: usize, bit: u64) -> Option<usize> {
        let at = bit.trailing_zeros() as usize;
        self.spans.iter().position(|span| span.word == word && span.shift + span.classes == at + 1)
    }
}
