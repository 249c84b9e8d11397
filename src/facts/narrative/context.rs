//! In which sense each cue of a text is said: one pass over the words, in the manner of NegEx and ConText, and narrower.
//!
//! NegEx lets a negation reach over any words up to a termination word or the end of the sentence. Dispatch text has neither,
//! so here a scope passes only through words that the table names (articles, adjectives), ends at every comma and line,
//! and ends with the first cue unless an `or` carries it on. It reaches forwards only: **nothing that is written after a
//! cue clears it.** The one exception is the answer to a form's label (`Weapons: none`), and a label is no statement.

use super::fold::{Gap, Words};
use super::lexicon::{CueWord, Lexicon, Mark, Sense, Senses};

/// Words that a scope may pass through before its cue.
const SCOPE_WORDS_MAX: u8 = 6;

/// Words looked at, at most, to see whether a comma parts the items of a list.
const LIST_WORDS_MAX: usize = 12;

/// How far a scope reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Through the words that the table names only.
    Dispatch,
    /// Through any words but stops, up to a number, and over the commas of a list: NegEx, for text with sentences.
    #[cfg(test)]
    Prose(u8),
}

/// A run of words that the automaton found.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
    mark: Mark,
    own: bool,
    phrase: usize,
}

/// A cue that was found: its place among the lexicon's cues, the phrase it was found by, its words, and how it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub cue: usize,
    pub phrase: usize,
    pub start: usize,
    pub end: usize,
    pub senses: Senses,
}

/// What a reading cost, in words and phrases looked at: linear in the text, which a test holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Work(pub usize);

/// Street types that follow a name which would otherwise be a cue (`Shotgun Rd`), where a place word or number leads it.
const STREETS: [&str; 14] =
    ["rd", "road", "ave", "avenue", "blvd", "ln", "lane", "dr", "drive", "hwy", "cres", "crescent", "trail", "street"];
const PLACE_WORDS: [&str; 12] = ["on", "at", "in", "near", "nr", "off", "along", "by", "blk", "block", "from", "of"];

/// The cues of a text, each in its senses.
pub(super) fn read(lexicon: &Lexicon, text: &str, reach: Reach) -> (Vec<Found>, Work) {
    let words = expanded(lexicon, Words::of(text));
    let spans = spans(lexicon, &words);
    let kept = keep(&words, spans);
    scan(&lexicon.cues, &words, &kept, reach)
}

/// One cue of a text, as if the lexicon had no other.
#[cfg(test)]
pub(super) fn read_one(lexicon: &Lexicon, cue: usize, text: &str, reach: Reach) -> Vec<Found> {
    let words = Words::of(text);
    let mut spans = spans(lexicon, &words);
    for here in &mut spans {
        here.retain(|span| !matches!(span.mark, Mark::Cue(other) if other != cue));
    }
    scan(&lexicon.cues, &words, &keep(&words, spans), reach).0
}

/// The words with the agency's expansions put in.
fn expanded(lexicon: &Lexicon, words: Words) -> Words {
    let Some((automaton, expansions)) = &lexicon.expansions else {
        return words;
    };
    let mut runs: Vec<(usize, usize, &Words)> = Vec::new();
    let mut word = 0;
    for found in automaton.find_overlapping_iter(&words.joined) {
        let Some((count, text)) = expansions.get(found.pattern().as_usize()) else { continue };
        while words.end(word) + 1 < found.end() {
            word += 1;
        }
        let start = (word + 1).saturating_sub(*count);
        if words.widest_inside(start, *count) <= Gap::Slash {
            runs.push((start, *count, text));
        }
    }
    // Of runs that overlap the first begun, then the longest.
    runs.sort_by_key(|(start, count, _)| (*start, usize::MAX - count));
    let mut free = 0;
    runs.retain(|(start, count, _)| {
        let stands = *start >= free;
        if stands {
            free = start + count;
        }
        stands
    });
    if runs.is_empty() { words } else { words.with_replaced(&runs) }
}

/// Every phrase of the lexicon in the text, by the word it begins with.
fn spans(lexicon: &Lexicon, words: &Words) -> Vec<Vec<Span>> {
    let mut by_start: Vec<Vec<Span>> = vec![Vec::new(); words.len()];
    let Some(automaton) = &lexicon.automaton else {
        return by_start;
    };
    let mut word = 0;
    for found in automaton.find_overlapping_iter(&words.joined) {
        let place = found.pattern().as_usize();
        let Some(phrase) = lexicon.phrases.get(place) else { continue };
        while words.end(word) + 1 < found.end() {
            word += 1;
        }
        let end = word + 1;
        let start = end.saturating_sub(phrase.words);
        let widest = match phrase.mark {
            // A cue may be wrapped over two lines; what clears may not.
            Mark::Cue(_) => Gap::Line,
            Mark::Ignore => Gap::Space,
            _ => Gap::Slash,
        };
        if words.widest_inside(start, phrase.words) <= widest
            && let Some(spans) = by_start.get_mut(start)
        {
            spans.push(Span { start, end, mark: phrase.mark, own: phrase.own, phrase: place });
        }
    }
    by_start
}

/// Drops what lies inside something longer: a cue inside a name or a longer cue, a trigger inside a cue or a longer trigger.
fn keep(words: &Words, mut by_start: Vec<Vec<Span>>) -> Vec<Vec<Span>> {
    let carriers: Vec<bool> =
        by_start.iter().map(|spans| spans.iter().any(|span| span.mark == Mark::Carrier)).collect();
    let mut hidden = 0; // up to where a name or thing that is no cue reaches
    let mut cued = 0; // up to where a cue of the product reaches
    let mut governed = 0; // up to where a trigger reaches
    for (start, spans) in by_start.iter_mut().enumerate() {
        let carried = start > 0 && carriers.get(start - 1).copied().unwrap_or(false) && words.gap(start) <= Gap::Slash;
        spans.retain(|span| span.mark != Mark::Ignore || !carried);
        let longest = |wanted: &dyn Fn(&Span) -> bool| {
            spans.iter().filter(|span| wanted(span)).map(|span| span.end).max().unwrap_or(0)
        };
        let ignored = longest(&|span| span.mark == Mark::Ignore).max(hidden);
        let cue = longest(&|span| matches!(span.mark, Mark::Cue(_)) && !span.own);
        let trigger = longest(&|span| matches!(span.mark, Mark::Trigger { .. } | Mark::Pseudo));
        spans.retain(|span| match span.mark {
            Mark::Ignore => false,
            Mark::Cue(_) if ignored >= span.end => false,
            Mark::Cue(_) => {
                span.own || (cued < span.end && cue <= span.end && !is_street_name(words, span.start, span.end))
            }
            Mark::Trigger { .. } | Mark::Answer(_) => {
                cued < span.end && cue <= span.end && governed < span.end && trigger <= span.end
            }
            _ => cued < span.end && cue <= span.end,
        });
        hidden = ignored;
        cued = cued.max(cue);
        governed = governed.max(trigger);
    }
    by_start
}

/// `1200 SHOTGUN RD`, `near Gunner Road`: one word between a place and a street type.
fn is_street_name(words: &Words, start: usize, end: usize) -> bool {
    let close = |word: usize| words.gap(word) <= Gap::Space;
    if end != start + 1 || start == 0 || !close(start) || !close(end) {
        return false;
    }
    let before = words.word(start - 1);
    let numbered = before.len() >= 2 && before.bytes().all(|byte| byte.is_ascii_digit());
    (numbered || PLACE_WORDS.contains(&before)) && STREETS.contains(&words.word(end))
}

/// A trigger that is still in force.
#[derive(Debug, Clone, Copy)]
struct Active {
    sense: Sense,
    wide: bool,
    left: u8,
    /// It has reached a cue: only an `or`, or the next item of a list, carries it on.
    spent: bool,
    /// It was carried over a comma: it reaches labels only.
    labels_only: bool,
}

struct Scan<'a> {
    cues: &'a [CueWord],
    words: &'a Words,
    spans: &'a [Vec<Span>],
    reach: Reach,
    active: Vec<Active>,
    found: Vec<Found>,
    work: usize,
    /// Up to where the words are spoken for: a cue's own words, a trigger's, an answer's.
    busy: usize,
    /// Where the last trigger ends: one that holds cues itself (`denies SI HI`) governs them all.
    trigger_end: usize,
    /// Where the last answer of a form ended: the next label may follow at once.
    answered: Option<usize>,
    /// The senses of the cue whose words are being passed, for cues that begin inside it.
    within: Senses,
    within_end: usize,
}

fn scan(cues: &[CueWord], words: &Words, spans: &[Vec<Span>], reach: Reach) -> (Vec<Found>, Work) {
    let mut scan = Scan {
        cues,
        words,
        spans,
        reach,
        active: Vec::new(),
        found: Vec::new(),
        work: 0,
        busy: 0,
        trigger_end: 0,
        answered: None,
        within: Senses::default(),
        within_end: 0,
    };
    for (word, here) in spans.iter().enumerate() {
        scan.work += 1 + here.len();
        scan.step(word, here);
    }
    (scan.found, Work(scan.work))
}

impl Scan<'_> {
    fn step(&mut self, word: usize, here: &[Span]) {
        self.part(word);
        if self.words.is_definite(word) {
            // `not holding the knife`: there is a knife.
            self.active.retain(|active| matches!(active.sense, Sense::Historical | Sense::Hypothetical));
        }
        let has_cue = here.iter().any(|span| matches!(span.mark, Mark::Cue(_)));
        if has_cue {
            return self.cues_at(word, here);
        }
        if word < self.busy {
            return;
        }
        let trigger = here.iter().find_map(|span| match span.mark {
            Mark::Trigger { sense, wide } => Some((sense, wide, span.end)),
            _ => None,
        });
        let is = |mark: Mark| here.iter().any(|span| span.mark == mark);
        let through = |active: &Active| {
            let passes = is(Mark::Through { wide: false }) || (active.wide && is(Mark::Through { wide: true }));
            passes && !active.spent
        };
        if is(Mark::Or) {
            for active in &mut self.active {
                (active.spent, active.left) = (false, SCOPE_WORDS_MAX);
            }
        } else {
            match self.reach {
                Reach::Dispatch => self.active.retain(through),
                #[cfg(test)]
                Reach::Prose(_) if is(Mark::Stop) => self.active.clear(),
                #[cfg(test)]
                Reach::Prose(_) => {}
            }
            for active in &mut self.active {
                active.left = active.left.saturating_sub(1);
            }
            self.active.retain(|active| active.left > 0);
        }
        if let Some((sense, wide, end)) = trigger {
            let left = match self.reach {
                Reach::Dispatch => SCOPE_WORDS_MAX + 1,
                #[cfg(test)]
                Reach::Prose(words) => words + 1,
            };
            self.active.retain(|active| active.sense != sense);
            self.active.push(Active { sense, wide, left, spent: false, labels_only: false });
            (self.busy, self.trigger_end) = (end, end);
        }
    }

    /// What a comma, a line or the end of a sentence does to the scopes.
    fn part(&mut self, word: usize) {
        let gap = self.words.gap(word);
        if gap == Gap::Slash {
            // `SI/HI` is a list, `NO INJ/KNIFE IN HAND` two clauses.
            for active in self.active.iter_mut().filter(|active| active.spent) {
                (active.spent, active.labels_only) = (false, true);
            }
        }
        if gap <= Gap::Slash || self.active.is_empty() {
            return;
        }
        match self.reach {
            Reach::Dispatch => {
                let list = gap == Gap::Comma && self.list_goes_on(word);
                self.active.retain(|active| list && active.spent);
                for active in &mut self.active {
                    (active.spent, active.labels_only, active.left) = (false, true, SCOPE_WORDS_MAX);
                }
            }
            #[cfg(test)]
            Reach::Prose(words) => {
                let passes = gap == Gap::Line || (gap == Gap::Comma && self.list_goes_on(word));
                self.active.retain(|_| passes);
                if gap == Gap::Comma {
                    self.active.iter_mut().for_each(|active| active.left = words);
                }
            }
        }
    }

    /// True where the words after a comma are items of a list that an `or` closes: `no SI, HI, or weapons`.
    fn list_goes_on(&mut self, word: usize) -> bool {
        let mut at = word;
        while at < (word + LIST_WORDS_MAX).min(self.words.len()) {
            self.work += 1;
            if at > word && self.words.gap(at) > Gap::Comma {
                return false;
            }
            let Some(here) = self.spans.get(at) else { return false };
            if here.iter().any(|span| span.mark == Mark::Or) {
                return true;
            }
            if here.iter().any(|span| matches!(span.mark, Mark::Trigger { .. } | Mark::Pseudo | Mark::Stop)) {
                return false;
            }
            let item = here.iter().find_map(|span| match span.mark {
                Mark::Cue(cue) if self.is_label(cue) => Some(span.end),
                Mark::Through { wide: false } => Some(span.end),
                _ => None,
            });
            at = match (item, self.reach) {
                (Some(end), _) => end,
                (None, Reach::Dispatch) => return false,
                #[cfg(test)]
                (None, Reach::Prose(_)) => at + 1,
            };
        }
        false
    }

    fn is_label(&self, cue: usize) -> bool {
        self.cues.get(cue).is_some_and(|cue| cue.label)
    }

    fn cues_at(&mut self, word: usize, here: &[Span]) {
        let inside = word < self.within_end;
        let mut end = self.busy;
        let mut senses = self.within;
        for span in here {
            let Mark::Cue(cue) = span.mark else { continue };
            if !inside {
                let label = self.is_label(cue);
                senses = self
                    .active
                    .iter()
                    .filter(|active| !active.spent && (label || !active.labels_only))
                    .fold(Senses::default(), |senses, active| senses.with(active.sense));
                if label && let Some((sense, answered)) = self.answer(word, span.end) {
                    senses = senses.with(sense);
                    self.answered = Some(answered);
                    end = end.max(answered);
                }
            }
            end = end.max(span.end);
            self.found.push(Found { cue, phrase: span.phrase, start: span.start, end: span.end, senses });
        }
        if !inside {
            self.within = senses;
        }
        self.within_end = here.iter().map(|span| span.end).max().unwrap_or(0).max(self.within_end);
        self.busy = end;
        if self.within_end >= self.trigger_end {
            self.active.iter_mut().for_each(|active| active.spent = true);
        }
    }

    /// The answer to a form's label: a word of the table right after it, at the end of its clause or before the next label.
    /// A label that asks and has nothing after it says nothing.
    fn answer(&self, word: usize, end: usize) -> Option<(Sense, usize)> {
        let begins = self.words.gap(word) >= Gap::Line || self.answered == Some(word);
        if !begins {
            return None;
        }
        let asked = self.words.is_asked(end);
        let label_at = |word: usize| {
            self.spans.get(word).into_iter().flatten().find_map(|span| match span.mark {
                Mark::Cue(cue) if self.is_label(cue) => Some(span.end),
                Mark::Label => Some(span.end),
                _ => None,
            })
        };
        if asked && (end == self.words.len() || label_at(end).is_some_and(|next| self.words.is_asked(next))) {
            return Some((Sense::Negated, end));
        }
        if self.words.gap(end) > Gap::Form {
            return None;
        }
        self.spans.get(end)?.iter().find_map(|span| match span.mark {
            Mark::Answer(sense) => {
                let closed = self.words.gap(span.end) >= Gap::Line || label_at(span.end).is_some();
                closed.then_some((sense, span.end))
            }
            _ => None,
        })
    }
}
