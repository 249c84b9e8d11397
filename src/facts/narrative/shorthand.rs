//! An agency's own shorthand: `shorthand.csv` of the policy folder. Codes collide between agencies, so the product has none built in.

use super::context::{self, Reach};
use super::fold::Words;
use super::lexicon::{Lexicon, Mark};
use crate::facts::csv_rows::{CsvRow, read_rows};
use crate::facts::natures::pairs;
use crate::facts::{FileFault, Vocabulary, call_types::fault_of, nearest_word};

/// Words in one phrase, and in what it stands for, at most.
const PHRASE_WORDS_MAX: usize = 8;

/// Rows in one table, at most.
const ROWS_MAX: usize = 2_000;

/// What a phrase means, as the column `means` has it.
const MEANINGS: [&str; 3] = ["cue", "expansion", "ignore"];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    /// It states these risk facts.
    Cue(Vec<(String, String)>),
    /// It stands for these words, which are then read like any others.
    Expansion(String),
    /// A street, a shop: what looks like a cue inside it is none.
    Ignore,
}

/// The table, phrases in the agency's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shorthand {
    rows: Vec<(String, Meaning)>,
}

impl Shorthand {
    /// Reads `shorthand.csv`: `phrase,means,value,cite`, with `means` one of `cue` (value `fact=value; …`, risk facts only),
    /// `expansion` (value: the words it stands for) and `ignore` (no value). Faults go to `faults`.
    #[must_use]
    pub fn read(bytes: &[u8], vocabulary: &Vocabulary, faults: &mut Vec<FileFault>) -> Self {
        let mut table = Self::default();
        let mut seen: Vec<String> = Vec::new();
        for CsvRow { line, cells: [phrase, means, value, _] } in
            read_rows(bytes, ["phrase", "means", "value", "cite"], 2, faults)
        {
            let folded = Words::of(&phrase);
            let fault = |key: &str, message: String| FileFault::new(Some(line), key, message);
            if table.rows.len() >= ROWS_MAX {
                faults.push(fault("phrase", format!("the table has more than {ROWS_MAX} rows")));
                break;
            }
            if folded.len() == 0 || folded.len() > PHRASE_WORDS_MAX {
                faults.push(fault("phrase", format!("`{phrase}` is not a phrase of 1 to {PHRASE_WORDS_MAX} words")));
                continue;
            }
            if seen.contains(&folded.joined) {
                faults.push(fault("phrase", format!("`{phrase}` stands twice")));
                continue;
            }
            seen.push(folded.joined.clone());
            match meaning(&phrase, &means, &value, vocabulary) {
                Ok(meaning) => table.rows.push((phrase, meaning)),
                Err(mut wrong) => {
                    wrong.line = Some(line);
                    faults.push(wrong);
                }
            }
        }
        table
    }

    /// Rows in the table.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True where the table has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn cues(&self) -> impl Iterator<Item = (&str, &[(String, String)])> {
        self.rows.iter().filter_map(|(phrase, meaning)| match meaning {
            Meaning::Cue(states) => Some((phrase.as_str(), states.as_slice())),
            _ => None,
        })
    }

    pub(super) fn expansions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rows.iter().filter_map(|(phrase, meaning)| match meaning {
            Meaning::Expansion(text) => Some((phrase.as_str(), text.as_str())),
            _ => None,
        })
    }

    pub(super) fn ignored(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().filter(|(_, meaning)| *meaning == Meaning::Ignore).map(|(phrase, _)| phrase.as_str())
    }
}

fn meaning(phrase: &str, means: &str, value: &str, vocabulary: &Vocabulary) -> Result<Meaning, FileFault> {
    let valueless = || FileFault::new(None, "value", format!("`{phrase}` has no value"));
    match means {
        "cue" if value.is_empty() => Err(valueless().help("`weapon=present; violence=threat`")),
        "cue" => Ok(Meaning::Cue(stated(value, vocabulary)?)),
        "expansion" if Words::of(value).len() == 0 => Err(valueless().help("the words that it stands for")),
        "expansion" if Words::of(value).len() > PHRASE_WORDS_MAX => {
            Err(FileFault::new(None, "value", format!("more than {PHRASE_WORDS_MAX} words")))
        }
        "expansion" => match hidden_cue(phrase) {
            Some(cue) => Err(FileFault::new(None, "phrase", format!("`{phrase}` would hide the cue `{cue}`"))
                .help("an expansion stands for a code, not for words that are read anyway")),
            None => Ok(Meaning::Expansion(value.to_owned())),
        },
        "ignore" if !value.is_empty() => Err(FileFault::new(None, "value", "a phrase that is ignored has no value")
            .help("leave the value empty, or let `means` be `cue` or `expansion`")),
        "ignore" => match bare_cue(phrase) {
            Some(cue) => Err(FileFault::new(None, "phrase", format!("`{phrase}` would hide the cue `{cue}` itself"))
                .help("write the whole name, as `gunsmith lane` or `the knife shop`")),
            None => Ok(Meaning::Ignore),
        },
        other => {
            let fault = FileFault::new(None, "means", format!("`{other}` is no meaning"));
            Err(match nearest_word(other, MEANINGS) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault.help(format!("meanings: {}", MEANINGS.join(", "))),
            })
        }
    }
}

/// `fact=value; …` with risk facts only, each raised above its least value: text only raises.
fn stated(value: &str, vocabulary: &Vocabulary) -> Result<Vec<(String, String)>, FileFault> {
    pairs(value)
        .into_iter()
        .map(|(name, word)| {
            let canonical = vocabulary.canonical(&name, &word).map_err(|error| fault_of(None, "value", &error))?;
            let raises = vocabulary.find(&name).is_some_and(|(_, fact)| fact.danger_of(&canonical) > 0);
            if raises {
                return Ok((name, canonical));
            }
            Err(FileFault::new(None, "value", format!("`{name}={word}` raises no risk, and text only raises"))
                .help("a risk fact at more than its least value, as `weapon=present`"))
        })
        .collect()
}

/// The cue of the product's own that a phrase holds.
fn hidden_cue(phrase: &str) -> Option<String> {
    let lexicon = Lexicon::built_in();
    let (found, _) = context::read(&lexicon, phrase, Reach::Dispatch);
    found.first().and_then(|found| lexicon.cues.get(found.cue)).map(|cue| cue.term.clone())
}

/// The cue of a phrase that is nothing but a cue with words around it that carry or govern it: `has a gun`.
fn bare_cue(phrase: &str) -> Option<String> {
    let lexicon = Lexicon::built_in();
    let words = Words::of(phrase);
    let (found, _) = context::read(&lexicon, phrase, Reach::Dispatch);
    let known = |word: usize| {
        let text = format!(" {} ", words.word(word));
        let inside = found.iter().any(|found| (found.start..found.end).contains(&word));
        inside || lexicon.has_word(&text, |mark| !matches!(mark, Mark::Ignore))
    };
    let nothing_else = (0..words.len()).all(known);
    let cue = found.first().and_then(|found| lexicon.cues.get(found.cue))?;
    nothing_else.then(|| cue.term.clone())
}
