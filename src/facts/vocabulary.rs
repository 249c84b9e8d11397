//! The closed vocabulary: every fact, its domain, and the question that asks for it.

use super::{FactError, Zones, nearest_word};
use std::borrow::Cow;

/// The value of a fact that is not known: a value of every fact, never the same as "no".
pub const UNKNOWN: &str = "unknown";

/// Letters in a code (`call_type`, `language`), at most.
const CODE_CHARS_MAX: usize = 100;

/// What values a fact may take, `unknown` aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Domain {
    /// Named values; where `ordered`, from the least to the most.
    Words {
        /// The values.
        values: Vec<Cow<'static, str>>,
        /// Whether their order means anything.
        ordered: bool,
    },
    /// Whole numbers, both ends included.
    Number {
        /// Least.
        min: i64,
        /// Greatest.
        max: i64,
    },
    /// An open set of short codes, compared without regard to case.
    Code,
    /// A set of the policy's zones, or `outside`.
    Zones {
        /// Zone names in order, `outside` last.
        names: Vec<String>,
        /// By zone: itself and the zones that it is part of, in order.
        closures: Vec<Vec<String>>,
    },
}

/// One fact of the vocabulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Its name in policies, JSON and answers.
    pub name: Cow<'static, str>,
    /// Its values.
    pub domain: Domain,
    /// For a risk fact the danger of each value, by its place in the domain; empty where the fact is no risk fact.
    /// A record may raise a risk fact and never lower it.
    pub danger: Vec<u8>,
    /// Whether a call-taker can be asked for it.
    pub askable: bool,
    /// `none` means the thing is absent, so that a program that requires it cannot take the call.
    pub presence: bool,
    /// The built-in question, English and French.
    pub question: [Cow<'static, str>; 2],
}

/// A fact that an agency declares for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredFact {
    /// Its name.
    pub name: String,
    /// Its values in order.
    pub values: Vec<String>,
    /// Whether their order means anything.
    pub ordered: bool,
    /// Raised and never lowered by records.
    pub risk: bool,
}

/// All facts a policy may speak of.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    facts: Vec<Fact>,
}

enum Shape {
    Words(&'static [&'static str]),
    Ordered(&'static [&'static str]),
    Number(i64, i64),
    Code,
    Natures,
    Zones,
}

struct BuiltIn {
    name: &'static str,
    shape: Shape,
    danger: &'static [u8],
    askable: bool,
    presence: bool,
    en: &'static str,
    fr: &'static str,
}

const fn fact(name: &'static str, shape: Shape, en: &'static str, fr: &'static str) -> BuiltIn {
    BuiltIn { name, shape, danger: &[], askable: true, presence: false, en, fr }
}

const fn risk(
    name: &'static str,
    values: &'static [&'static str],
    danger: &'static [u8],
    en: &'static str,
    fr: &'static str,
) -> BuiltIn {
    BuiltIn { name, shape: Shape::Ordered(values), danger, askable: true, presence: false, en, fr }
}

const fn present(name: &'static str, value: &'static [&'static str], en: &'static str, fr: &'static str) -> BuiltIn {
    BuiltIn { name, shape: Shape::Words(value), danger: &[], askable: true, presence: true, en, fr }
}

/// What the adapter remembers of earlier calls: nobody is asked for it, and no answer is no danger.
const fn remembered(name: &'static str, en: &'static str, fr: &'static str) -> BuiltIn {
    let shape = Shape::Ordered(&["none", "30d", "7d", "24h"]);
    BuiltIn { name, shape, danger: &[], askable: false, presence: false, en, fr }
}

/// The built-in facts in the order in which they are asked. Values after the programs' published criteria.
static BUILT_IN: &[BuiltIn] = &[
    risk(
        "weapon",
        &["none", "mentioned", "access", "present", "used"],
        &[0, 1, 2, 3, 4],
        "Is there a weapon, or has anyone spoken of one?",
        "Y a-t-il une arme, ou quelqu'un en a-t-il parlé ?",
    ),
    risk(
        "violence",
        &["none", "verbal", "threat", "physical"],
        &[0, 1, 2, 3],
        "Is anyone being threatened or hurt?",
        "Quelqu'un est-il menacé ou blessé ?",
    ),
    risk(
        "self_harm",
        &["none", "ideation", "plan", "means", "attempt"],
        &[0, 1, 2, 3, 4],
        "Is the person thinking of harming themselves?",
        "La personne pense-t-elle à se faire du mal ?",
    ),
    risk(
        "medical",
        &["none", "minor", "acute"],
        &[0, 1, 2],
        "Does anyone need medical help now?",
        "Quelqu'un a-t-il besoin d'aide médicale maintenant ?",
    ),
    risk(
        "crime",
        &["none", "past", "in-progress"],
        &[0, 1, 2],
        "Is a crime happening or has one happened?",
        "Un crime est-il en cours ou a-t-il été commis ?",
    ),
    fact("nature", Shape::Natures, "What is the call about?", "De quoi s'agit-il ?"),
    fact(
        "setting",
        Shape::Words(&["outdoors", "public-indoor", "private-residence", "vehicle", "roadway", "height", "school"]),
        "What kind of place is it?",
        "Dans quel genre de lieu ?",
    ),
    fact("zone", Shape::Zones, "Which part of the city is it in?", "Dans quel secteur est-ce ?"),
    fact(
        "checked",
        Shape::Words(&["yes", "no"]),
        "Has anyone checked on the person?",
        "Quelqu'un est-il allé voir la personne ?",
    ),
    BuiltIn {
        name: "consent",
        shape: Shape::Words(&["given", "not-sought", "refused", "withdrawn"]),
        danger: &[0, 0, 1, 1],
        askable: true,
        presence: false,
        en: "Does the person agree to a community team coming?",
        fr: "La personne accepte-t-elle la venue d'une équipe communautaire ?",
    },
    fact(
        "prefers",
        Shape::Words(&["community", "police", "none"]),
        "Whom does the caller want to come?",
        "Qui la personne qui appelle veut-elle voir venir ?",
    ),
    fact("age", Shape::Number(0, 130), "How old is the person?", "Quel âge a la personne ?"),
    fact(
        "caller",
        Shape::Words(&["first-party", "second-party", "third-party", "officer", "agency", "anonymous"]),
        "Is the caller the person, with them, or someone else?",
        "La personne qui appelle est-elle la personne concernée, avec elle, ou un tiers ?",
    ),
    present("callback", &["available", "none"], "What number can we call back?", "À quel numéro peut-on rappeler ?"),
    present(
        "caller_name",
        &["given", "none"],
        "What is the caller's name?",
        "Quel est le nom de la personne qui appelle ?",
    ),
    present("address", &["given", "none"], "What is the address?", "Quelle est l'adresse ?"),
    fact(
        "already_notified",
        Shape::Words(&["none", "police", "fire", "ems", "several"]),
        "Have police, fire or ambulance been notified?",
        "La police, les pompiers ou l'ambulance ont-ils été avertis ?",
    ),
    fact(
        "on_scene",
        Shape::Words(&["none", "community", "clinician", "police", "fire", "ems", "several"]),
        "Is anyone already on scene?",
        "Quelqu'un est-il déjà sur place ?",
    ),
    fact(
        "housing",
        Shape::Words(&["housed", "precarious", "sheltered", "unsheltered"]),
        "Does the person have somewhere to live?",
        "La personne a-t-elle un logement ?",
    ),
    fact("tier", Shape::Number(0, 99), "Which risk level?", "Quel niveau de risque ?"),
    fact("language", Shape::Code, "Which language does the person speak?", "Quelle langue la personne parle-t-elle ?"),
    BuiltIn {
        name: "call_type",
        shape: Shape::Code,
        danger: &[],
        askable: false,
        presence: false,
        en: "Which call type?",
        fr: "Quel type d'appel ?",
    },
    BuiltIn {
        name: "first_call_type",
        shape: Shape::Code,
        danger: &[],
        askable: false,
        presence: false,
        en: "Which call type was it first?",
        fr: "Quel était le premier type d'appel ?",
    },
    BuiltIn {
        name: "priority",
        shape: Shape::Number(0, 10),
        danger: &[],
        askable: false,
        presence: false,
        en: "Which priority?",
        fr: "Quelle priorité ?",
    },
    remembered(
        "repeat_place",
        "How recently was this place called for before?",
        "Quand ce lieu a-t-il déjà fait l'objet d'un appel ?",
    ),
    remembered("repeat_person", "How recently did this number call before?", "Quand ce numéro a-t-il déjà appelé ?"),
    BuiltIn {
        name: "doubt",
        shape: Shape::Ordered(&["no", "yes"]),
        danger: &[0, 1],
        // The call-taker's own key: always there, never asked for.
        askable: false,
        presence: false,
        en: "Are you uneasy about this call?",
        fr: "Cet appel vous inquiète-t-il ?",
    },
];

impl Vocabulary {
    /// The built-in facts with an agency's own, over a policy's zones.
    #[must_use]
    pub fn new(declared: Vec<DeclaredFact>, zones: &Zones) -> Self {
        let mut facts: Vec<Fact> = BUILT_IN.iter().map(|built_in| built_in.fact(zones)).collect();
        facts.extend(declared.into_iter().map(|fact| Fact {
            question: [Cow::Owned(format!("{}?", fact.name)), Cow::Owned(format!("{} ?", fact.name))],
            danger: if fact.risk { (0..=u8::MAX).take(fact.values.len()).collect() } else { Vec::new() },
            domain: Domain::Words {
                values: fact.values.into_iter().map(Cow::Owned).collect(),
                ordered: fact.ordered || fact.risk,
            },
            name: Cow::Owned(fact.name),
            askable: true,
            presence: false,
        }));
        Self { facts }
    }

    /// True where `name` is a built-in fact, which no policy may declare anew.
    #[must_use]
    pub fn is_built_in(name: &str) -> bool {
        BUILT_IN.iter().any(|fact| fact.name == name)
    }

    /// All facts, in the order in which they are asked.
    #[must_use]
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// One fact and its place.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<(usize, &Fact)> {
        self.facts.iter().enumerate().find(|(_, fact)| fact.name == name)
    }

    /// The nearest fact name.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<String> {
        nearest_word(name, self.facts.iter().map(|fact| &*fact.name)).map(str::to_owned)
    }

    /// A value as the vocabulary writes it: outer spaces and case do not matter, `_` and spaces stand for `-`.
    ///
    /// # Errors
    /// Where the fact or the value is not in the vocabulary.
    pub fn canonical(&self, name: &str, value: &str) -> Result<String, FactError> {
        let Some((_, fact)) = self.find(name) else {
            return Err(FactError::UnknownFact { fact: name.to_owned(), nearest: self.nearest(name) });
        };
        fact.canonical(value).ok_or_else(|| FactError::UnknownValue {
            fact: name.to_owned(),
            value: value.to_owned(),
            valid: fact.values(),
        })
    }
}

impl BuiltIn {
    fn fact(&self, zones: &Zones) -> Fact {
        let words = |values: &'static [&'static str]| values.iter().copied().map(Cow::Borrowed).collect();
        let domain = match self.shape {
            Shape::Words(values) => Domain::Words { values: words(values), ordered: false },
            Shape::Ordered(values) => Domain::Words { values: words(values), ordered: true },
            Shape::Number(min, max) => Domain::Number { min, max },
            Shape::Code => Domain::Code,
            Shape::Natures => Domain::Words {
                values: super::natures().iter().map(|nature| Cow::Borrowed(nature.name.as_str())).collect(),
                ordered: false,
            },
            Shape::Zones => {
                let names = zones.value_names();
                let closures = names.iter().map(|name| zones.closure(name)).collect();
                Domain::Zones { names, closures }
            }
        };
        Fact {
            name: Cow::Borrowed(self.name),
            domain,
            danger: self.danger.to_vec(),
            askable: self.askable,
            presence: self.presence,
            question: [Cow::Borrowed(self.en), Cow::Borrowed(self.fr)],
        }
    }
}

impl Fact {
    /// True where records may raise the fact and never lower it.
    #[must_use]
    pub fn is_risk(&self) -> bool {
        !self.danger.is_empty()
    }

    /// The danger of a value of a risk fact; 0 for `unknown` and for facts that are no risk.
    #[must_use]
    pub fn danger_of(&self, value: &str) -> u8 {
        match &self.domain {
            Domain::Words { values, .. } => values
                .iter()
                .position(|known| known == value)
                .and_then(|place| self.danger.get(place))
                .copied()
                .unwrap_or(0),
            _ => 0,
        }
    }

    /// The values that can be listed, in the fact's order; empty for codes and for numbers of a wide range.
    #[must_use]
    pub fn values(&self) -> Vec<String> {
        match &self.domain {
            Domain::Words { values, .. } => values.iter().map(|value| value.clone().into_owned()).collect(),
            Domain::Number { min, max } if max - min <= 20 => (*min..=*max).map(|number| number.to_string()).collect(),
            Domain::Zones { names, .. } => names.clone(),
            Domain::Number { .. } | Domain::Code => Vec::new(),
        }
    }

    /// A value as the vocabulary writes it, `None` where it is no value of this fact. `unknown` is one of every fact.
    #[must_use]
    pub fn canonical(&self, value: &str) -> Option<String> {
        let trimmed = value.trim();
        if trimmed.eq_ignore_ascii_case(UNKNOWN) {
            return Some(UNKNOWN.to_owned());
        }
        match &self.domain {
            Domain::Words { values, .. } => {
                let word = kebab(trimmed);
                values.iter().find(|known| **known == word).map(|known| known.clone().into_owned())
            }
            Domain::Number { min, max } => {
                let number: i64 = trimmed.parse().ok()?;
                (*min..=*max).contains(&number).then(|| number.to_string())
            }
            Domain::Code => canonical_code(trimmed),
            Domain::Zones { names, closures } => {
                let mut zones: Vec<&str> = Vec::new();
                for part in trimmed.split(',') {
                    let word = part.trim().to_lowercase();
                    let place = names.iter().position(|known| *known == word)?;
                    zones.extend(closures.get(place)?.iter().map(String::as_str));
                }
                zones.sort_unstable();
                zones.dedup();
                Some(zones.join(","))
            }
        }
    }
}

/// The place of a built-in fact, which is the same in every vocabulary.
pub(super) fn built_in(name: &str) -> Option<u8> {
    BUILT_IN.iter().position(|fact| fact.name == name).and_then(|place| u8::try_from(place).ok())
}

/// The built-in fact at a place.
pub(super) fn built_in_name(place: u8) -> &'static str {
    BUILT_IN.get(usize::from(place)).map_or("", |fact| fact.name)
}

/// A value's place among the words of a built-in fact, and the word as the vocabulary keeps it; `None` where it is none of
/// them, or the fact has no words that are the same under every policy.
pub(super) fn built_in_word(place: u8, value: &str) -> Option<(u16, &'static str)> {
    fn among(mut words: impl Iterator<Item = &'static str>, value: &str) -> Option<(u16, &'static str)> {
        let (place, word) = (0..).zip(&mut words).find(|(_, word)| *word == value)?;
        Some((place, word))
    }
    match BUILT_IN.get(usize::from(place))?.shape {
        Shape::Words(words) | Shape::Ordered(words) => among(words.iter().copied(), value),
        Shape::Natures => among(super::natures().iter().map(|nature| nature.name.as_str()), value),
        Shape::Number(..) | Shape::Code | Shape::Zones => None,
    }
}

/// A code without outer spaces, inner runs of spaces made one, in upper case; `None` where empty or too long.
pub(super) fn canonical_code(code: &str) -> Option<String> {
    let mut text = String::with_capacity(code.len());
    for part in code.split_whitespace() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(part);
    }
    if text.is_empty() || text.chars().count() > CODE_CHARS_MAX {
        return None;
    }
    Some(text.to_uppercase())
}

fn kebab(word: &str) -> String {
    word.to_lowercase().chars().map(|letter| if matches!(letter, '_' | ' ') { '-' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_risk_fact_has_a_danger_for_every_value_and_every_fact_a_question_in_both_languages() {
        let vocabulary = Vocabulary::new(Vec::new(), &Zones::default());
        for fact in vocabulary.facts() {
            assert!(fact.danger.is_empty() || fact.danger.len() == fact.values().len(), "{}", fact.name);
            assert!(fact.question.iter().all(|text| text.ends_with('?')), "{}", fact.name);
            assert_eq!(fact.canonical("Unknown").as_deref(), Some("unknown"));
        }
        let risks: Vec<_> = vocabulary.facts().iter().filter(|fact| fact.is_risk()).map(|fact| &*fact.name).collect();
        assert_eq!(risks, ["weapon", "violence", "self_harm", "medical", "crime", "consent", "doubt"]);
    }

    #[test]
    fn values_are_folded_and_strangers_refused() {
        let vocabulary = Vocabulary::new(Vec::new(), &Zones::default());
        assert_eq!(vocabulary.canonical("crime", " In Progress "), Ok("in-progress".to_owned()));
        assert_eq!(vocabulary.canonical("age", "034"), Ok("34".to_owned()));
        assert_eq!(vocabulary.canonical("call_type", " structure  fire"), Ok("STRUCTURE FIRE".to_owned()));
        assert!(vocabulary.canonical("age", "131").is_err());
        assert!(vocabulary.canonical("age", "-1").is_err());
        assert!(
            matches!(vocabulary.canonical("weapon", "knife"), Err(FactError::UnknownValue { valid, .. }) if valid.len() == 5)
        );
        assert_eq!(
            vocabulary.canonical("wepon", "none"),
            Err(FactError::UnknownFact { fact: "wepon".to_owned(), nearest: Some("weapon".to_owned()) })
        );
    }
}
