//! Reading JSON in one pass with the limits, the repairs and the unknown fields kept beside it.
//!
//! `serde_json` lexes; every shape below accepts what real senders write in place of it and lists what it mended.

use super::shapes::Skipped;
use crate::record::Repair;
use crate::wire::{DEPTH_MAX, DecodeError, ELEMENTS_MAX, list_unknown};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;
use std::marker::PhantomData;

/// The visits of booleans and numbers, all by one body.
macro_rules! scalars {
    ($out:ty, |$visitor:ident, $value:ident| $body:expr) => {
        scalars! { @visit_bool bool, $out, |$visitor, $value| $body }
        scalars! { @visit_i64 i64, $out, |$visitor, $value| $body }
        scalars! { @visit_u64 u64, $out, |$visitor, $value| $body }
        scalars! { @visit_f64 f64, $out, |$visitor, $value| $body }
    };
    (@$visit:ident $type:ty, $out:ty, |$visitor:ident, $value:ident| $body:expr) => {
        fn $visit<E: Error>(self, $value: $type) -> Result<$out, E> {
            let $visitor = self;
            $body
        }
    };
}
pub(super) use scalars;

/// One step of a path; keys are names of the standard, never of the input.
#[derive(Debug, Clone, Copy)]
enum Step {
    Key(&'static str),
    Item(usize),
}

/// What goes along with one reading.
#[derive(Default)]
pub(super) struct Reading {
    path: Vec<Step>,
    depth: usize,
    elements: usize,
    pub(super) repairs: Vec<Repair>,
    pub(super) unknown: Vec<String>,
    /// The refusal behind the error that serde carries.
    pub(super) failure: Option<DecodeError>,
}

impl Reading {
    fn place(&self) -> String {
        let mut place = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) if place.is_empty() => place.push_str(key),
                Step::Key(key) => _ = write!(place, ".{key}"),
                Step::Item(index) => _ = write!(place, "[{index}]"),
            }
        }
        place
    }

    fn below(&self, key: &str) -> String {
        let mut place = self.place();
        if !place.is_empty() {
            place.push('.');
        }
        // An unknown key is the sender's own text: enough of it to be found, and no more.
        place.extend(key.chars().filter(|character| !character.is_control()).take(64));
        place
    }

    /// Lists a repair at the place being read.
    pub(super) fn repair(&mut self, kind: &str) {
        let path = self.place();
        self.repairs.push(Repair { path, kind: kind.to_owned() });
    }

    /// Refuses the record at the place being read.
    pub(super) fn refuse<E: Error>(&mut self, problem: &'static str, detail: &str) -> E {
        if self.failure.is_none() {
            let place = self.place();
            let place = if place.is_empty() { "$".to_owned() } else { format!("$.{place}") };
            self.failure = Some(DecodeError::new(problem, place, detail));
        }
        E::custom(problem)
    }

    pub(super) fn enter<E: Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.refuse("too-deep", &format!("objects and lists nest at most {DEPTH_MAX} deep")));
        }
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    fn count<E: Error>(&mut self) -> Result<(), E> {
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            let detail = format!("a record has at most {ELEMENTS_MAX} members and items");
            return Err(self.refuse("too-many-elements", &detail));
        }
        Ok(())
    }
}

/// A shape that can be read from any JSON value with a [`Reading`] beside it.
pub(super) trait Read<'de>: Sized {
    /// Reads the value.
    fn read<D: Deserializer<'de>>(reading: &mut Reading, from: D) -> Result<Self, D::Error>;
}

/// A [`Read`] as serde wants it.
struct Seed<'r, T>(&'r mut Reading, PhantomData<T>);

impl<'de, T: Read<'de>> DeserializeSeed<'de> for Seed<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<T, D::Error> {
        T::read(self.0, from)
    }
}

/// The next key of an object, counted.
pub(super) fn next_key<'de, A: MapAccess<'de>>(
    reading: &mut Reading,
    map: &mut A,
) -> Result<Option<Cow<'de, str>>, A::Error> {
    reading.count()?;
    map.next_key_seed(Key)
}

/// The value that belongs to the key just read.
pub(super) fn value<'de, T: Read<'de>, A: MapAccess<'de>>(reading: &mut Reading, map: &mut A) -> Result<T, A::Error> {
    map.next_value_seed(Seed(reading, PhantomData))
}

/// Reads every item of a list, counted.
pub(super) fn each<'de, T: Read<'de>, A: SeqAccess<'de>>(
    reading: &mut Reading,
    list: &mut A,
    mut take: impl FnMut(T),
) -> Result<(), A::Error> {
    reading.enter()?;
    let mut index = 0;
    loop {
        reading.count()?;
        reading.path.push(Step::Item(index));
        let item = list.next_element_seed(Seed::<T>(reading, PhantomData))?;
        reading.path.pop();
        let Some(item) = item else { break };
        take(item);
        index += 1;
    }
    reading.leave();
    Ok(())
}

struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member name")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

/// A component of the standard: an object with known members. See [`component!`].
pub(super) trait Component<'de>: Read<'de> + Default {
    /// Members that are of the standard and that nothing is decided from.
    const KNOWN_UNREAD: &'static [&'static str];

    /// Reads the member if its name is known; `loose` compares without case.
    fn member<A: MapAccess<'de>>(
        &mut self,
        key: &str,
        loose: bool,
        seen: &mut u64,
        reading: &mut Reading,
        map: &mut A,
    ) -> Result<bool, A::Error>;

    /// Takes a bare text that stands in place of the object; false where it means nothing.
    fn take_text(&mut self, _text: Cow<'de, str>) -> bool {
        false
    }
}

/// Reads one known member into its slot; a second one is refused, because two readers could take different ones.
pub(super) fn member<'de, T: Read<'de>, A: MapAccess<'de>>(
    slot: &mut T,
    (canonical, given): (&'static str, &str),
    (seen, bit): (&mut u64, u64),
    reading: &mut Reading,
    map: &mut A,
) -> Result<(), A::Error> {
    if canonical != given {
        let path = reading.below(given);
        reading.repairs.push(Repair { path, kind: "renamed-key".to_owned() });
    }
    reading.path.push(Step::Key(canonical));
    if *seen & bit != 0 {
        return Err(reading.refuse("duplicate-key", "the member stands twice; send it once"));
    }
    *seen |= bit;
    *slot = value(reading, map)?;
    reading.path.pop();
    Ok(())
}

/// Reads all members of a component.
fn members<'de, T: Component<'de>, A: MapAccess<'de>>(reading: &mut Reading, mut map: A) -> Result<T, A::Error> {
    reading.enter()?;
    let mut component = T::default();
    let mut seen = 0;
    while let Some(key) = next_key(reading, &mut map)? {
        if component.member(&key, false, &mut seen, reading, &mut map)? {
            continue;
        }
        if !T::KNOWN_UNREAD.contains(&&*key) {
            if component.member(&key, true, &mut seen, reading, &mut map)? {
                continue;
            }
            if !T::KNOWN_UNREAD.iter().any(|known| known.eq_ignore_ascii_case(&key)) {
                let path = reading.below(&key);
                list_unknown(&mut reading.unknown, &path);
            }
        }
        value::<Skipped, A>(reading, &mut map)?;
    }
    reading.leave();
    Ok(component)
}

/// Reads a component from an object; a list of one, a null or a meaningful text are mended.
pub(super) struct ComponentVisitor<'r, T>(pub(super) &'r mut Reading, pub(super) PhantomData<T>);

impl<'de, T: Component<'de>> Visitor<'de> for ComponentVisitor<'_, T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        members(self.0, map)
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        self.0.repair("null-dropped");
        Ok(T::default())
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<T, E> {
        self.text(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        self.text(Cow::Owned(text.to_owned()))
    }

    scalars! { T, |visitor, _value| Err(visitor.wrong()) }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<T, A::Error> {
        let mut first = None;
        let mut count = 0_usize;
        each::<T, A>(self.0, &mut list, |item| {
            count += 1;
            first.get_or_insert(item);
        })?;
        if count > 1 {
            return Err(self.0.refuse("wrong-type", "several objects stand where one belongs"));
        }
        self.0.repair("unwrapped-list");
        Ok(first.unwrap_or_default())
    }
}

impl<'de, T: Component<'de>> ComponentVisitor<'_, T> {
    fn text<E: Error>(self, text: Cow<'de, str>) -> Result<T, E> {
        let mut component = T::default();
        if !component.take_text(text) {
            return Err(self.wrong());
        }
        self.0.repair("wrapped-in-object");
        Ok(component)
    }

    fn wrong<E: Error>(self) -> E {
        self.0.refuse("wrong-type", "an object belongs here")
    }
}

/// Declares a component: its struct, and how its members are read.
macro_rules! component {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $kind:ty = $key:literal $(or $alias:literal)*,)*
    } unread [$($unread:literal),* $(,)?] $(text $text_field:ident)?) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(super) struct $name<'a> {
            $($(#[$field_doc])* pub(super) $field: $kind,)*
        }

        impl<'a> Read<'a> for $name<'a> {
            fn read<D: Deserializer<'a>>(reading: &mut Reading, from: D) -> Result<Self, D::Error> {
                from.deserialize_any(ComponentVisitor::<Self>(reading, PhantomData))
            }
        }

        impl<'a> Component<'a> for $name<'a> {
            const KNOWN_UNREAD: &'static [&'static str] = &[$($unread),*];

            fn member<A: MapAccess<'a>>(
                &mut self,
                key: &str,
                loose: bool,
                seen: &mut u64,
                reading: &mut Reading,
                map: &mut A,
            ) -> Result<bool, A::Error> {
                let same = |name: &str| key == name || (loose && key.eq_ignore_ascii_case(name));
                let mut bit = 1_u64;
                $(
                    if same($key) $(|| same($alias))* {
                        member(&mut self.$field, ($key, key), (seen, bit), reading, map)?;
                        return Ok(true);
                    }
                    bit <<= 1;
                )*
                let _ = bit;
                Ok(false)
            }

            $(fn take_text(&mut self, text: std::borrow::Cow<'a, str>) -> bool {
                self.$text_field = Some(text).into();
                true
            })?
        }
    };
}
pub(super) use component;
