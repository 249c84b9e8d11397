//! Text as words: lower case, accents folded, articles dropped, and before every word what parts it from the last.

/// Words that carry no meaning here, English and French: a phrase holds with and without them.
const ARTICLES: [&str; 8] = ["a", "an", "un", "une", "de", "d", "du", "des"];

/// Articles that say that the thing is there.
const DEFINITE: [&str; 16] =
    ["the", "his", "their", "my", "our", "your", "le", "la", "les", "l", "au", "aux", "son", "ses", "leur", "mon"];

/// What stands between a word and the one before it, from the closest to the farthest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gap {
    /// A space or a hyphen.
    Space,
    /// `w/knife`, `gun/knife`.
    Slash,
    /// A new line, which may be a wrapped one, or a sign without a meaning here.
    Line,
    /// A comma, a bracket, a loose dash.
    Comma,
    /// `:`, `?` or `=`: what follows may be the answer to a form's label.
    Form,
    /// The end of a sentence, or of the text.
    End,
}

/// The words of a text, joined by single spaces with one at either end, so that ` knife ` is a whole word.
#[derive(Debug)]
pub(super) struct Words {
    pub joined: String,
    /// By word: where it ends in `joined`, and what stands before it.
    ends: Vec<(usize, Gap)>,
    /// The words that a definite article leads, in order.
    definite: Vec<usize>,
    /// What stands after the last word.
    last: Gap,
}

impl Words {
    /// Reads a text once.
    pub(super) fn of(text: &str) -> Self {
        let mut folding = Folding {
            words: Self::none(text.len()),
            word: String::new(),
            gap: Gap::End,
            minus: false,
            definite: false,
        };
        let mut letters = text.chars().peekable();
        let mut before = ' ';
        while let Some(letter) = letters.next() {
            let next = letters.peek().copied().unwrap_or(' ');
            match letter {
                '\u{300}'..='\u{36f}' => continue,
                '\'' | '’' | '‘' | '`' => folding.apostrophe(),
                '-' | '‐' | '‑' | '–' | '—' => folding.dash(before, next),
                '.' | ',' if before.is_ascii_digit() && next.is_ascii_digit() => folding.word.push('.'),
                '&' => folding.lone("and"),
                letter if letter.is_alphanumeric() => push_folded(letter, &mut folding.word),
                letter => folding.part(gap_of(letter, before, next)),
            }
            before = letter;
        }
        folding.part(Gap::Space);
        folding.words.last = folding.gap;
        folding.words
    }

    fn none(bytes: usize) -> Self {
        let mut joined = String::with_capacity(bytes + 2);
        joined.push(' ');
        Self { joined, ends: Vec::with_capacity(bytes / 5), definite: Vec::new(), last: Gap::Space }
    }

    /// The same words, with some of their runs replaced: `runs` are (first, count, what stands instead), in order and apart.
    pub(super) fn with_replaced(&self, runs: &[(usize, usize, &Words)]) -> Self {
        let mut replaced = Self { last: self.last, ..Self::none(self.joined.len()) };
        let mut runs = runs.iter().peekable();
        let mut word = 0;
        while word < self.len() {
            match runs.next_if(|(first, _, _)| *first == word) {
                Some((_, count, instead)) => {
                    if self.is_definite(word) {
                        replaced.definite.push(replaced.len());
                    }
                    for inner in 0..instead.len() {
                        let gap = if inner == 0 { self.gap(word) } else { instead.gap(inner) };
                        replaced.push(instead.word(inner), gap);
                    }
                    word += (*count).max(1);
                }
                None => {
                    if self.is_definite(word) {
                        replaced.definite.push(replaced.len());
                    }
                    replaced.push(self.word(word), self.gap(word));
                    word += 1;
                }
            }
        }
        replaced
    }

    fn push(&mut self, word: &str, gap: Gap) {
        self.joined.push_str(word);
        self.ends.push((self.joined.len(), gap));
        self.joined.push(' ');
    }

    /// How many words there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// What stands before a word; [`Gap::End`] before the first.
    pub(super) fn gap(&self, word: usize) -> Gap {
        self.ends.get(word).map_or(Gap::End, |(_, gap)| *gap)
    }

    /// True where a word, or the end of the text, comes after a sign that asks for an answer.
    pub(super) fn is_asked(&self, word: usize) -> bool {
        self.ends.get(word).map_or(self.last, |(_, gap)| *gap) == Gap::Form
    }

    /// True where a definite article stands right before a word.
    pub(super) fn is_definite(&self, word: usize) -> bool {
        self.definite.binary_search(&word).is_ok()
    }

    /// Where a word ends in `joined`.
    pub(super) fn end(&self, word: usize) -> usize {
        self.ends.get(word).map_or(self.joined.len(), |(end, _)| *end)
    }

    /// One word.
    pub(super) fn word(&self, word: usize) -> &str {
        let start = if word == 0 { 1 } else { self.end(word - 1) + 1 };
        self.joined.get(start..self.end(word)).unwrap_or_default()
    }

    /// The widest gap inside a phrase of `count` words that begins at `start`.
    pub(super) fn widest_inside(&self, start: usize, count: usize) -> Gap {
        (start + 1..start + count).map(|word| self.gap(word)).max().unwrap_or(Gap::Space)
    }
}

struct Folding {
    words: Words,
    word: String,
    gap: Gap,
    /// The word that is being read has a minus before it.
    minus: bool,
    /// A definite article stands before the word that comes next.
    definite: bool,
}

impl Folding {
    /// Ends the word that is being read and notes what follows it.
    fn part(&mut self, gap: Gap) {
        if !self.word.is_empty() {
            if std::mem::take(&mut self.minus) && self.word == "ve" {
                self.word.insert_str(0, "minus");
            }
            let definite = DEFINITE.contains(&self.word.as_str());
            self.definite |= definite;
            if !definite && !ARTICLES.contains(&self.word.as_str()) {
                if std::mem::take(&mut self.definite) {
                    self.words.definite.push(self.words.len());
                }
                self.words.push(&self.word, self.gap);
                self.gap = Gap::Space;
            }
            self.word.clear();
        }
        self.gap = self.gap.max(gap);
    }

    /// A sign that is a word.
    fn lone(&mut self, word: &str) {
        self.part(Gap::Space);
        self.word.push_str(word);
        self.part(Gap::Space);
    }

    /// `d'arme`, `n'a`, `qu'il` are two words; `doesn't` is one, as it is typed in haste.
    fn apostrophe(&mut self) {
        if self.word.chars().count() == 1 || self.word.ends_with("qu") {
            self.part(Gap::Space);
        }
    }

    /// `box-cutter` is a phrase, `male - armed` two clauses, `-ve` the shorthand for negative.
    fn dash(&mut self, before: char, next: char) {
        let glued = (!before.is_whitespace(), !next.is_whitespace());
        match glued {
            (true, true) if before == '-' || next == '-' => self.part(Gap::Comma),
            (true, true) => self.part(Gap::Space),
            (left, _) => {
                self.part(Gap::Comma);
                self.minus = !left;
            }
        }
    }
}

fn gap_of(letter: char, before: char, next: char) -> Gap {
    match letter {
        '/' | '\\' if before == letter => Gap::End,
        '/' | '\\' if before.is_whitespace() || next.is_whitespace() => Gap::Comma,
        '/' | '\\' => Gap::Slash,
        '.' | '!' | ';' | '…' | '|' | '*' | '•' => Gap::End,
        ':' | '?' | '=' => Gap::Form,
        ',' | '(' | ')' | '[' | ']' | '<' | '>' | '{' | '}' => Gap::Comma,
        '"' | '“' | '”' | '«' | '»' | '#' | '+' => Gap::Space,
        letter if letter.is_whitespace() && letter != '\n' && letter != '\r' => Gap::Space,
        _ => Gap::Line,
    }
}

/// A letter in lower case without its accent. What has no plain Latin letter stays as it is.
fn push_folded(letter: char, into: &mut String) {
    for letter in letter.to_lowercase() {
        match letter {
            'à'..='å' | 'ā' | 'ă' | 'ą' => into.push('a'),
            'ç' | 'ć' | 'č' => into.push('c'),
            'è'..='ë' | 'ē' | 'ė' | 'ę' | 'ě' => into.push('e'),
            'ì'..='ï' | 'ī' | 'į' => into.push('i'),
            'ñ' | 'ń' => into.push('n'),
            'ò'..='ö' | 'ø' | 'ō' => into.push('o'),
            'ù'..='ü' | 'ū' => into.push('u'),
            'ý' | 'ÿ' => into.push('y'),
            'š' | 'ś' => into.push('s'),
            'ž' | 'ź' | 'ż' => into.push('z'),
            'æ' => into.push_str("ae"),
            'œ' => into.push_str("oe"),
            'ß' => into.push_str("ss"),
            '\u{300}'..='\u{36f}' => {}
            // Full-width forms, as some keyboards send them.
            '\u{ff10}'..='\u{ff19}' | '\u{ff41}'..='\u{ff5a}' => {
                into.extend(char::from_u32(u32::from(letter) - 0xfee0));
            }
            letter => into.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Gap, Words};

    fn told(text: &str) -> Vec<(String, Gap)> {
        let words = Words::of(text);
        (0..words.len()).map(|word| (words.word(word).to_owned(), words.gap(word))).collect()
    }

    fn joined(text: &str) -> String {
        Words::of(text).joined
    }

    #[test]
    fn case_accents_articles_and_haste_do_not_matter() {
        assert_eq!(joined("Il N'A PAS d’arme"), " il n pas arme ");
        assert_eq!(joined("doesn't HAVE the knife"), " doesnt have knife ");
        assert_eq!(joined("Blesse\u{301}e au cou, œil"), " blessee cou oeil ");
        assert_eq!(joined("B&E, box-cutter"), " b and e box cutter ");
        assert_eq!(joined("-ve wpns, we've"), " minusve wpns weve ");
        assert_eq!(joined(""), " ");
    }

    #[test]
    fn what_parts_two_words_is_kept() {
        let gaps = |text: &str| told(text).into_iter().map(|(_, gap)| gap).collect::<Vec<_>>();
        assert_eq!(gaps("w/knife, bat"), [Gap::End, Gap::Slash, Gap::Comma]);
        assert_eq!(gaps("wpns: none. male"), [Gap::End, Gap::Form, Gap::End]);
        assert_eq!(gaps("no inj.has knife"), [Gap::End, Gap::Space, Gap::End, Gap::Space]);
        assert_eq!(gaps("male - armed -- now"), [Gap::End, Gap::Comma, Gap::Comma]);
        assert_eq!(gaps("not\r\nbreathing"), [Gap::End, Gap::Line]);
        assert_eq!(gaps("seen. The knife"), [Gap::End, Gap::End]);
        assert_eq!(gaps("2.5 m away"), [Gap::End, Gap::Space, Gap::Space]);
    }
}
