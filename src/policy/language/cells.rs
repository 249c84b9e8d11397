//! Cells: the unary tests of a decision table (after S-FEEL), over the closed vocabulary.

use crate::facts::{Domain, Fact, UNKNOWN, nearest_word};

/// What one row asks of one fact. A row is the *and* of its cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct Cell {
    /// Place of the fact in the vocabulary.
    pub fact: usize,
    /// `not(…)`: accepts what the tests do not.
    pub negated: bool,
    /// `unknown` is among the tests.
    pub unknown: bool,
    /// The tests; any may hold.
    pub tests: Vec<Test>,
}

/// One unary test, on a value in its canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) enum Test {
    /// The value of this place in the fact's list (words, zones).
    Word(usize),
    /// A number between both, both included.
    Between(i64, i64),
    /// Exactly this code.
    Code(String),
    /// A code that begins so.
    Prefix(String),
}

/// Why a text is not a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct CellFault {
    pub message: String,
    pub help: Option<String>,
}

impl CellFault {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Cell {
    /// Reads a cell; `None` for `-`, which accepts anything.
    pub(in crate::policy) fn parse(place: usize, fact: &Fact, text: &str) -> Result<Option<Self>, CellFault> {
        let text = text.trim();
        if text == "-" {
            return Ok(None);
        }
        let (negated, inner) = match text.strip_prefix("not").map(str::trim_start) {
            Some(rest) if rest.starts_with('(') => match rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'))
            {
                Some(inner) => (true, inner),
                None => {
                    let fault = CellFault::new(format!("`{text}`: a bracket is open"));
                    return Err(fault.help("`not(present, used)`"));
                }
            },
            _ => (false, text),
        };
        let mut cell = Self { fact: place, negated, unknown: false, tests: Vec::new() };
        for part in inner.split(',').map(str::trim) {
            if part.is_empty() {
                return Err(CellFault::new("the cell has an empty test").help("`-` accepts anything"));
            }
            if part.eq_ignore_ascii_case(UNKNOWN) {
                cell.unknown = true;
            } else {
                cell.tests.extend(tests(fact, part)?);
            }
        }
        Ok(Some(cell))
    }

    fn any(&self, holds: impl Fn(&Test) -> bool) -> bool {
        self.tests.iter().any(holds) != self.negated
    }

    pub(in crate::policy) fn accepts_unknown(&self) -> bool {
        self.unknown != self.negated
    }

    pub(in crate::policy) fn accepts_word(&self, place: usize) -> bool {
        self.any(|test| *test == Test::Word(place))
    }

    pub(in crate::policy) fn accepts_number(&self, number: i64) -> bool {
        self.any(|test| matches!(test, Test::Between(least, most) if (*least..=*most).contains(&number)))
    }

    #[cfg(test)]
    pub(in crate::policy) fn accepts_code(&self, code: &str) -> bool {
        self.any(|test| match test {
            Test::Code(exact) => exact == code,
            Test::Prefix(stem) => code.starts_with(stem.as_str()),
            Test::Word(_) | Test::Between(..) => false,
        })
    }
}

fn tests(fact: &Fact, part: &str) -> Result<Vec<Test>, CellFault> {
    match &fact.domain {
        Domain::Number { min, max } => number_test(part, *min, *max).map(|test| vec![test]),
        Domain::Code => code_test(part).map(|test| vec![test]),
        Domain::Words { values, ordered } => {
            let values: Vec<&str> = values.iter().map(|value| &**value).collect();
            if let Some((comparison, word)) = comparison(part) {
                if !ordered {
                    let fault = CellFault::new(format!("the values of `{}` have no order", fact.name));
                    return Err(fault.help("list the values that are meant, or `not(…)` those that are not"));
                }
                let place = word_place(fact, &values, word)?;
                let range = match comparison {
                    Comparison::Less => 0..place,
                    Comparison::AtMost => 0..place + 1,
                    Comparison::Greater => place + 1..values.len(),
                    Comparison::AtLeast => place..values.len(),
                };
                return Ok(range.map(Test::Word).collect());
            }
            Ok(vec![Test::Word(word_place(fact, &values, part)?)])
        }
        Domain::Zones { names, .. } => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            Ok(vec![Test::Word(word_place(fact, &names, part)?)])
        }
    }
}

fn word_place(fact: &Fact, values: &[&str], word: &str) -> Result<usize, CellFault> {
    let what = if matches!(fact.domain, Domain::Zones { .. }) { "zone" } else { "value" };
    values.iter().position(|value| *value == word).ok_or_else(|| {
        let fault = CellFault::new(format!("`{}` has no {what} `{word}`", fact.name));
        match nearest_word(word, values.iter().copied().chain([UNKNOWN])) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None if values.is_empty() => fault.help("the policy has no zones"),
            None => fault.help(format!("one of: {}, {UNKNOWN}", values.join(", "))),
        }
    })
}

enum Comparison {
    Less,
    AtMost,
    Greater,
    AtLeast,
}

fn comparison(part: &str) -> Option<(Comparison, &str)> {
    let signs =
        [("<=", Comparison::AtMost), (">=", Comparison::AtLeast), ("<", Comparison::Less), (">", Comparison::Greater)];
    signs.into_iter().find_map(|(sign, comparison)| Some((comparison, part.strip_prefix(sign)?.trim())))
}

fn number_test(part: &str, min: i64, max: i64) -> Result<Test, CellFault> {
    let number = |text: &str| {
        let number = text.trim().parse::<i64>().ok().filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| {
            CellFault::new(format!("`{part}` is not a number {min}…{max}"))
                .help("a number, `<= 26`, `[13..26]`, or `unknown`")
        })
    };
    if let Some((comparison, text)) = comparison(part) {
        let number = number(text)?;
        return Ok(match comparison {
            Comparison::Less => Test::Between(min, number - 1),
            Comparison::AtMost => Test::Between(min, number),
            Comparison::Greater => Test::Between(number + 1, max),
            Comparison::AtLeast => Test::Between(number, max),
        });
    }
    if let Some((left, right)) = part.split_once("..") {
        let brackets =
            |text: &'static str| CellFault::new(format!("`{part}`: a range needs {text}")).help("`[13..26]`");
        let (open_left, left) = match (left.strip_prefix('['), left.strip_prefix('(')) {
            (Some(rest), _) => (0, rest),
            (_, Some(rest)) => (1, rest),
            _ => return Err(brackets("a bracket in front")),
        };
        let (open_right, right) = match (right.strip_suffix(']'), right.strip_suffix(')')) {
            (Some(rest), _) => (0, rest),
            (_, Some(rest)) => (1, rest),
            _ => return Err(brackets("a bracket at its end")),
        };
        let (least, most) = (number(left)? + open_left, number(right)? - open_right);
        if least > most {
            return Err(
                CellFault::new(format!("`{part}` holds no number")).help("the lesser number stands first: `[13..26]`")
            );
        }
        return Ok(Test::Between(least, most));
    }
    let number = number(part)?;
    Ok(Test::Between(number, number))
}

fn code_test(part: &str) -> Result<Test, CellFault> {
    let (stem, prefix) = match part.strip_suffix('*') {
        Some(stem) => (stem, true),
        None => (part, false),
    };
    let stem = stem.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase();
    if stem.contains('*') {
        return Err(CellFault::new(format!("`{part}`: `*` may only stand at the end")).help("`25A*`"));
    }
    if stem.is_empty() {
        return Err(CellFault::new(format!("`{part}` accepts every code")).help("`not(unknown)` says so"));
    }
    Ok(if prefix { Test::Prefix(stem) } else { Test::Code(stem) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Vocabulary, Zones};

    fn cell(fact: &str, text: &str) -> Result<Option<Cell>, CellFault> {
        let vocabulary = Vocabulary::new(Vec::new(), &Zones::default());
        let (place, fact) = vocabulary.find(fact).unwrap();
        Cell::parse(place, fact, text)
    }

    fn ages(text: &str) -> Vec<i64> {
        let cell = cell("age", text).unwrap().unwrap();
        (0..=130).filter(|age| cell.accepts_number(*age)).collect()
    }

    #[test]
    fn numbers_ranges_and_unknown() {
        assert_eq!(ages("[13..26]"), (13..=26).collect::<Vec<_>>());
        assert_eq!(ages("(13..26)"), (14..=25).collect::<Vec<_>>());
        assert_eq!(ages("<= 2, >129"), [0, 1, 2, 130]);
        assert_eq!(ages("not(< 128)"), [128, 129, 130]);
        assert!(!cell("age", ">= 18").unwrap().unwrap().accepts_unknown());
        assert!(cell("age", ">= 18, unknown").unwrap().unwrap().accepts_unknown());
        for bad in ["eighteen", "[13..26", "13..26", "[26..13]", "> 131", ""] {
            assert!(cell("age", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn not_includes_unknown_unless_it_is_named() {
        let not_none = cell("weapon", "not(none)").unwrap().unwrap();
        assert!(not_none.accepts_unknown() && !not_none.accepts_word(0) && not_none.accepts_word(4));
        assert!(!cell("weapon", "not(none, unknown)").unwrap().unwrap().accepts_unknown());
        let at_least = cell("weapon", ">= present").unwrap().unwrap();
        assert!(at_least.accepts_word(4) && at_least.accepts_word(3) && !at_least.accepts_word(2));
        assert_eq!(cell("weapon", " - "), Ok(None));
    }

    #[test]
    fn codes_by_prefix_and_faults_with_the_nearest_word() {
        let codes = cell("call_type", "25a*, Structure  fire").unwrap().unwrap();
        assert!(codes.accepts_code("25A01") && codes.accepts_code("STRUCTURE FIRE") && !codes.accepts_code("25B01"));
        let fault = cell("weapon", "presnt").unwrap_err();
        assert_eq!(fault.help.as_deref(), Some("did you mean `present`?"));
        assert!(cell("setting", ">= outdoors").is_err());
        assert!(cell("call_type", "2*5").is_err());
        assert!(cell("call_type", "*").is_err());
        assert!(cell("weapon", "none,, used").is_err());
    }
}
