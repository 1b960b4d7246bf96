//! A JSON object whose values stay as they were written, in the order they came.

use std::borrow::Cow;
use std::fmt;

use celeriac_protocol::RawValue;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

/// Names and the JSON of their values.
#[derive(Debug)]
pub(super) struct Object<'o>(pub(super) Vec<(Cow<'o, str>, &'o str)>);

impl<'o> Object<'o> {
    /// Returns the JSON of a value.
    pub(super) fn get(&self, name: &str) -> Option<&'o str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// Returns a value that is a text with something in it.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'o, str>> {
        text(self.get(name)?)
    }

    /// Returns a value that is a whole number.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        serde_json::from_str(self.get(name)?).ok()
    }
}

/// Returns the JSON of those fields of an object that have these names, of each the first; `None` where it is no object.
pub(super) fn fields<'o, const N: usize>(json: &'o str, names: [&str; N]) -> Option<[Option<&'o str>; N]> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let found = deserializer.deserialize_map(Named { names }).ok()?;
    deserializer.end().ok()?;
    Some(found)
}

/// Reads a value that is a text with something in it.
pub(super) fn text(json: &str) -> Option<Cow<'_, str>> {
    let text: Text<'_> = serde_json::from_str(json).ok()?;
    Some(text.0).filter(|text| !text.is_empty())
}

struct Named<'n, const N: usize> {
    names: [&'n str; N],
}

impl<'de, const N: usize> Visitor<'de> for Named<'_, N> {
    type Value = [Option<&'de str>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
            match self.names.iter().position(|wanted| *wanted == name) {
                Some(place) if found[place].is_none() => {
                    found[place] = Some(map.next_value::<&'de RawValue>()?.get());
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// A text, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

impl<'de: 'o, 'o> Deserialize<'de> for Object<'o> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(20));
        while let Some(name) = map.next_key::<Text<'de>>()? {
            entries.push((name.0, map.next_value::<&'de RawValue>()?.get()));
        }
        Ok(Object(entries))
    }
}
