//! The shapes that members take: texts, identifiers, numbers, lists, facts, places, and what is skipped.

use super::read::{Component, ComponentVisitor, Read, Reading, component, each, member, next_key, scalars, value};
use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A text, trimmed; `None` where absent, null or blank.
pub(super) type Text<'a> = Option<Cow<'a, str>>;

fn trimmed(text: &str) -> Option<&str> {
    let text = text.trim();
    (!text.is_empty()).then_some(text)
}

impl<'de> Read<'de> for Text<'de> {
    fn read<D: Deserializer<'de>>(reading: &mut Reading, from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextVisitor(reading))
    }
}

struct TextVisitor<'r>(&'r mut Reading);

impl<'de> Visitor<'de> for TextVisitor<'_> {
    type Value = Text<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(trimmed(text).map(Cow::Borrowed))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(trimmed(text).map(|text| Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Text<'de>, E> {
        self.0.repair("null-dropped");
        Ok(None)
    }

    scalars! { Text<'de>, |visitor, value| {
        visitor.0.repair("text-from-scalar");
        Ok(Some(Cow::Owned(value.to_string())))
    } }

    // Words must not be lost to a shape: whatever says `knife` anywhere in it still says so.
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Text<'de>, A::Error> {
        self.0.repair("text-from-structure");
        Leaves::read(self.0, SeqAccessDeserializer::new(list)).map(Leaves::text)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Text<'de>, A::Error> {
        self.0.repair("text-from-structure");
        Leaves::read(self.0, MapAccessDeserializer::new(map)).map(Leaves::text)
    }
}

/// Every text and number of a value, each with the member name it stands under.
#[derive(Debug, Default)]
pub(super) struct Leaves(pub(super) Vec<(String, String)>);

impl Leaves {
    /// All leaves in one text; `None` where there are none.
    pub(super) fn text<'a>(self) -> Text<'a> {
        let texts: Vec<String> = self.0.into_iter().map(|(_, text)| text).collect();
        (!texts.is_empty()).then(|| Cow::Owned(texts.join(" ")))
    }
}

impl<'de> Read<'de> for Leaves {
    fn read<D: Deserializer<'de>>(reading: &mut Reading, from: D) -> Result<Self, D::Error> {
        from.deserialize_any(LeavesVisitor(reading))
    }
}

struct LeavesVisitor<'r>(&'r mut Reading);

impl<'de> Visitor<'de> for LeavesVisitor<'_> {
    type Value = Leaves;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Leaves, E> {
        Ok(Leaves(trimmed(text).map(|text| (String::new(), text.to_owned())).into_iter().collect()))
    }

    fn visit_unit<E: Error>(self) -> Result<Leaves, E> {
        Ok(Leaves::default())
    }

    scalars! { Leaves, |_visitor, value| Ok(Leaves(vec![(String::new(), value.to_string())])) }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Leaves, A::Error> {
        let mut leaves = Leaves::default();
        each::<Leaves, A>(self.0, &mut list, |mut item| leaves.0.append(&mut item.0))?;
        Ok(leaves)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Leaves, A::Error> {
        self.0.enter()?;
        let mut leaves = Leaves::default();
        while let Some(key) = next_key(self.0, &mut map)? {
            // JSON-LD and XML attributes (`@type`, `@lang`) describe the value and are not part of it.
            if key.starts_with('@') {
                value::<Skipped, A>(self.0, &mut map)?;
                continue;
            }
            let below: Leaves = value(self.0, &mut map)?;
            leaves.0.extend(
                below.0.into_iter().map(|(name, text)| (if name.is_empty() { key.to_string() } else { name }, text)),
            );
        }
        self.0.leave();
        Ok(leaves)
    }
}

/// An identifier; a leading `#` is no part of it.
#[derive(Debug, Default)]
pub(super) struct Id<'a>(Text<'a>);

impl Id<'_> {
    /// The identifier without a leading `#`.
    pub(super) fn get(&self) -> Option<&str> {
        self.0.as_deref().map(|id| id.strip_prefix('#').unwrap_or(id))
    }
}

impl<'a> From<Text<'a>> for Id<'a> {
    fn from(text: Text<'a>) -> Self {
        Self(text)
    }
}

impl<'de> Read<'de> for Id<'de> {
    fn read<D: Deserializer<'de>>(reading: &mut Reading, from: D) -> Result<Self, D::Error> {
        let text = Text::read(reading, from)?;
        if text.as_deref().is_some_and(|id| id.starts_with('#')) {
            reading.repair("hash-stripped");
        }
        Ok(Self(text))
    }
}

component! {
    /// A reference to a component.
    Reference {
        /// The identifier referred to.
        target: Id<'a> = "$ref" or "$id",
    } unread [] text target
}

/// A number, also where it was sent as text.
#[derive(Debug, Default)]
pub(super) struct Number(pub(super) Option<f64>);

impl<'de> Read<'de> for Number {
    fn read<D: Deserializer<'de>>(reading: &mut Reading, from: D) -> Result<Self, D::Error> {
        let mut leaves = Leaves::read(reading, from)?.0;
        let number = leaves.pop().and_then(|(_, text)| text.parse::<f64>().ok()).filter(|number| number.is_finite());
        if !leaves.is_empty() || number.is_none() {
            reading.repair("number-unreadable");
            return Ok(Self(None));
        }
        Ok(Self(number))
    }
}

/// Stated facts: an object of scalars.
#[derive(Debug, Default)]
pub(super) struct StatedFacts(pub(super) Vec<(String, String)>);

impl<'de> Read<'de> for StatedFacts {
    fn read<D: Deserializer<'de>>(reading: &mut Reading, from: D) -> Result<Self, D::Error> {
        from.deserialize_map(StatedFactsVisitor(reading))
    }
}

struct StatedFactsVisitor<'r>(&'r mut Reading);

impl<'de> Visitor<'de> for StatedFactsVisitor<'_> {
    type Value = StatedFacts;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of facts and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StatedFacts, A::Error> {
        self.0.enter()?;
        let mut facts: Vec<(String, String)> = Vec::new();
        while let Some(fact) = next_key(self.0, &mut map)? {
            let Leaves(leaves) = value(self.0, &mut map)?;
            if facts.iter().any(|(known, _)| *known == *fact) {
                return Err(self.0.refuse("duplicate-key", "a fact stands twice; send it once"));
            }
            match <[_; 1]>::try_from(leaves) {
                Ok([(name, value)]) if name.is_empty() => facts.push((fact.into_owned(), value)),
                Err(leaves) if leaves.is_empty() => {}
                _ => return Err(self.0.refuse("wrong-type", "a fact has one value: a text, a number or a boolean")),
            }
        }
        self.0.leave();
        Ok(StatedFacts(facts))
    }
}

/// A place by value: PIDF-LO as the standard has it, or an object as some senders write.
#[derive(Debug)]
pub(super) enum Place<'a> {
    /// Text, normally PIDF-LO.
    Document(Cow<'a, str>),
    /// An object's leaves.
    Object(Leaves),
}

impl<'de> Read<'de> for Option<Place<'de>> {
    fn read<D: Deserializer<'de>>(reading: &mut Reading, from: D) -> Result<Self, D::Error> {
        from.deserialize_any(PlaceVisitor(reading))
    }
}

struct PlaceVisitor<'r>(&'r mut Reading);

impl<'de> Visitor<'de> for PlaceVisitor<'_> {
    type Value = Option<Place<'de>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PIDF-LO as text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(trimmed(text).map(|text| Place::Document(Cow::Borrowed(text))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(trimmed(text).map(|text| Place::Document(Cow::Owned(text.to_owned()))))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        self.0.repair("null-dropped");
        Ok(None)
    }

    scalars! { Self::Value, |visitor, _value| Err(visitor.0.refuse("wrong-type", "PIDF-LO belongs here, as text")) }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        self.0.repair("location-from-object");
        Leaves::read(self.0, SeqAccessDeserializer::new(list)).map(|leaves| Some(Place::Object(leaves)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        self.0.repair("location-from-object");
        Leaves::read(self.0, MapAccessDeserializer::new(map)).map(|leaves| Some(Place::Object(leaves)))
    }
}

/// Any value, counted and dropped.
pub(super) struct Skipped;

impl<'de> Read<'de> for Skipped {
    fn read<D: Deserializer<'de>>(reading: &mut Reading, from: D) -> Result<Self, D::Error> {
        from.deserialize_any(SkippedVisitor(reading))
    }
}

struct SkippedVisitor<'r>(&'r mut Reading);

impl<'de> Visitor<'de> for SkippedVisitor<'_> {
    type Value = Skipped;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    scalars! { Skipped, |_visitor, _value| Ok(Skipped) }

    fn visit_str<E: Error>(self, _: &str) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_unit<E: Error>(self) -> Result<Skipped, E> {
        Ok(Skipped)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Skipped, A::Error> {
        each::<Skipped, A>(self.0, &mut list, |_| {})?;
        Ok(Skipped)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Skipped, A::Error> {
        self.0.enter()?;
        while next_key(self.0, &mut map)?.is_some() {
            value::<Skipped, A>(self.0, &mut map)?;
        }
        self.0.leave();
        Ok(Skipped)
    }
}

/// Zero or more; a single value is taken as a list of one.
impl<'de, T: Read<'de>> Read<'de> for Vec<T> {
    fn read<D: Deserializer<'de>>(reading: &mut Reading, from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ListVisitor::<T>(reading, PhantomData))
    }
}

struct ListVisitor<'r, T>(&'r mut Reading, PhantomData<T>);

impl<'de, T: Read<'de>> ListVisitor<'_, T> {
    fn wrap<D: Deserializer<'de>>(self, from: D) -> Result<Vec<T>, D::Error> {
        self.0.repair("wrapped-in-list");
        Ok(vec![T::read(self.0, from)?])
    }
}

impl<'de, T: Read<'de>> Visitor<'de> for ListVisitor<'_, T> {
    type Value = Vec<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::new();
        each::<T, A>(self.0, &mut list, |item| items.push(item))?;
        Ok(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
        self.wrap(MapAccessDeserializer::new(map))
    }

    fn visit_unit<E: Error>(self) -> Result<Vec<T>, E> {
        self.0.repair("null-dropped");
        Ok(Vec::new())
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Vec<T>, E> {
        self.wrap(BorrowedStrDeserializer::new(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<T>, E> {
        self.wrap(StrDeserializer::new(text))
    }

    scalars! { Vec<T>, |visitor, value| visitor.wrap(value.into_deserializer()) }
}

/// One or more where the standard has one: the first leads, the others are kept.
#[derive(Debug)]
pub(super) struct Lead<T>(pub(super) Vec<T>);

impl<T> Default for Lead<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Read<'de>> Read<'de> for Lead<T> {
    fn read<D: Deserializer<'de>>(reading: &mut Reading, from: D) -> Result<Self, D::Error> {
        from.deserialize_any(LeadVisitor::<T>(reading, PhantomData))
    }
}

struct LeadVisitor<'r, T>(&'r mut Reading, PhantomData<T>);

impl<'de, T: Read<'de>> Visitor<'de> for LeadVisitor<'_, T> {
    type Value = Lead<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Lead<T>, A::Error> {
        Ok(Lead(vec![T::read(self.0, MapAccessDeserializer::new(map))?]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Lead<T>, A::Error> {
        self.0.repair("unwrapped-list");
        Ok(Lead(Vec::<T>::read(self.0, SeqAccessDeserializer::new(list))?))
    }

    fn visit_unit<E: Error>(self) -> Result<Lead<T>, E> {
        self.0.repair("null-dropped");
        Ok(Lead::default())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Lead<T>, E> {
        Err(self.0.refuse("wrong-type", "an object belongs here"))
    }

    scalars! { Lead<T>, |visitor, _value| Err(visitor.0.refuse("wrong-type", "an object belongs here")) }
}
