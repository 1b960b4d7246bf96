//! A JSON object whose values stay as they were written, in the order they came.

use std::borrow::Cow;
use std::fmt;

use celeriac_protocol::RawValue;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

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
        let text: Text<'o> = serde_json::from_str(self.get(name)?).ok()?;
        Some(text.0).filter(|text| !text.is_empty())
    }

    /// Returns a value that is a whole number.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        serde_json::from_str(self.get(name)?).ok()
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
