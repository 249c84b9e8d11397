//! The words of the pages: one table a language, the same keys in each, nothing visible written elsewhere.

use crate::facts::{UNKNOWN, natures};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A language the pages speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// French.
    French,
}

impl Language {
    /// The language in which policies write their sentences.
    pub const POLICY: Self = Self::English;

    /// Every language, in the order of the switch.
    pub const ALL: [Self; 2] = [Self::English, Self::French];

    /// The BCP 47 tag: what stands in `<html lang>`, in the address and in the cookie.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
        }
    }

    /// The language's own name for itself.
    #[must_use]
    pub fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::French => "Français",
        }
    }

    /// The language of a tag, by its primary part (`fr-CA` is French).
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// The first language of an `Accept-Language` header that the pages speak, by quality then order (RFC 9110 12.5.4).
    #[must_use]
    pub fn of_accept(header: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for item in header.split(',').take(16) {
            let mut parts = item.split(';');
            let Some(language) = parts.next().and_then(Self::of_tag) else { continue };
            let quality = parts
                .find_map(|part| part.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()))
                .unwrap_or(1.0);
            if quality > 0.0 && best.is_none_or(|(so_far, _)| quality > so_far) {
                best = Some((quality, language));
            }
        }
        best.map(|(_, language)| language)
    }
}

type Table = BTreeMap<String, String>;

static ENGLISH: LazyLock<Table> = LazyLock::new(|| read(include_str!("en.toml")));
static FRENCH: LazyLock<Table> = LazyLock::new(|| read(include_str!("fr.toml")));

/// A table is part of the program; that it reads is proved by a test, so a fault here shows the keys themselves.
fn read(text: &str) -> Table {
    toml::from_str(text).unwrap_or_default()
}

/// The words of one reader: a language, and the zone in which times are shown.
#[derive(Debug, Clone)]
pub struct Words {
    /// The language.
    pub language: Language,
    /// The zone in which times are shown.
    pub zone: TimeZone,
}

impl Words {
    /// Words of a language, with times in a zone.
    #[must_use]
    pub fn new(language: Language, zone: TimeZone) -> Self {
        Self { language, zone }
    }

    fn table(&self) -> &'static Table {
        match self.language {
            Language::English => &ENGLISH,
            Language::French => &FRENCH,
        }
    }

    /// The word of a key; the key itself where the table lacks it (a test proves that it does not).
    #[must_use]
    pub fn t<'a>(&self, key: &'a str) -> &'a str {
        self.known(key).unwrap_or(key)
    }

    /// The word of a key, if the table has it.
    #[must_use]
    pub fn known(&self, key: &str) -> Option<&'static str> {
        self.table().get(key).map(String::as_str)
    }

    /// The word of a key with `{name}` replaced.
    #[must_use]
    pub fn with(&self, key: &str, names: &[(&str, &str)]) -> String {
        names.iter().fold(self.t(key).to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }

    /// The word for a code of a closed set (`status` + `eligible`), or the code in plain letters where an agency
    /// declared it itself.
    #[must_use]
    pub fn code<'a>(&self, set: &str, code: &'a str) -> Cow<'a, str> {
        match self.known(&format!("{set}.{code}")) {
            Some(word) => Cow::Borrowed(word),
            None => Cow::Owned(plain(code)),
        }
    }

    /// Why something happened: a code of the journal, or two joined by a dot (`team-returned.needs-police`).
    #[must_use]
    pub fn why(&self, code: &str) -> String {
        let word = |part: &str| self.code("why", part).into_owned();
        match code.split_once('.') {
            Some((what, more)) if self.known(&format!("why.{what}")).is_some() => {
                format!("{}: {}", word(what), word(more))
            }
            _ => word(code),
        }
    }

    /// A phrase of the figures: the tables speak English, and its slug finds the same in the reader's language.
    #[must_use]
    pub fn figure(&self, phrase: &str) -> Option<&'static str> {
        self.known(&format!("figures.{}", slug(phrase)))
    }

    /// The name of a fact.
    #[must_use]
    pub fn fact<'a>(&self, fact: &'a str) -> Cow<'a, str> {
        self.code("fact", fact)
    }

    /// The word for a fact's value: its own under the fact, else the common one, else the value in plain letters.
    #[must_use]
    pub fn value<'a>(&self, fact: &str, value: &'a str) -> Cow<'a, str> {
        if fact == "nature"
            && let Some(nature) = natures().iter().find(|nature| nature.name == value)
        {
            return Cow::Borrowed(match self.language {
                Language::English => &nature.en,
                Language::French => &nature.fr,
            });
        }
        match self.known(&format!("value.{fact}.{value}")) {
            Some(word) => Cow::Borrowed(word),
            // An agency's code or number is what it is.
            None if value != UNKNOWN && matches!(fact, "call_type" | "first_call_type" | "priority" | "tier") => {
                Cow::Borrowed(value)
            }
            None => self.code("value", value),
        }
    }

    /// An instant as hour and minute.
    #[must_use]
    pub fn clock_time(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%H:%M").to_string()
    }

    /// An instant as hour, minute and second: for trails, where order matters.
    #[must_use]
    pub fn clock_time_exact(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string()
    }

    /// An instant as weekday and time (`Tuesday 16:00`), with its date where that weekday could be another week's.
    #[must_use]
    pub fn day_and_time(&self, at: Timestamp, now: Timestamp) -> String {
        let zoned = at.to_zoned(self.zone.clone());
        let day = zoned.weekday().to_monday_one_offset();
        let form = if at.duration_since(now).as_hours() < 6 * 24 { "%H:%M" } else { "%Y-%m-%d %H:%M" };
        format!("{} {}", self.t(&format!("weekday.{day}")), zoned.strftime(form))
    }

    /// How long ago, in the largest unit that says something (`3 min`).
    #[must_use]
    pub fn age(&self, since: Timestamp, now: Timestamp) -> String {
        let seconds = now.duration_since(since).as_secs().max(0);
        match seconds {
            0..60 => self.with("age.seconds", &[("n", &seconds.to_string())]),
            60..3600 => self.with("age.minutes", &[("n", &(seconds / 60).to_string())]),
            _ => {
                self.with("age.hours", &[("h", &(seconds / 3600).to_string()), ("m", &(seconds / 60 % 60).to_string())])
            }
        }
    }
}

/// Time left until a deadline as `m:ss`, rounded up to the second; `0:00` once it is past.
#[must_use]
pub fn countdown(deadline: Timestamp, now: Timestamp) -> String {
    let left = deadline.duration_since(now).max(SignedDuration::ZERO).as_millis().saturating_add(999) / 1_000;
    format!("{}:{:02}", left / 60, left % 60)
}

/// A phrase as a key: lower case, every run of other signs one `-`.
#[must_use]
pub fn slug(phrase: &str) -> String {
    let lower = phrase.to_lowercase();
    lower
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

/// A kebab-case code in plain letters.
#[must_use]
pub fn plain(code: &str) -> String {
    code.replace(['-', '_'], " ")
}

#[cfg(test)]
mod tests;
