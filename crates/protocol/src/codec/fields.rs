//! Objects of which some fields are understood and the others are kept to the letter.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::{CeleriacHeader, Continuation, RawValue};

/// Fields that are not understood here, in the order they came.
pub(super) type Unknown = Vec<(String, Box<RawValue>)>;

/// An object of which some fields are understood.
pub(super) trait PartlyKnown<'de>: Default {
    /// Where the others are kept.
    fn unknown(&mut self) -> &mut Unknown;

    /// Reads the value of `key` from `map` if the key is understood; returns whether it was.
    fn read<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error>;
}

/// Reads an object, whatever is in it.
pub(super) fn read<'de, T: PartlyKnown<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_map(Object(PhantomData))
}

/// Writes what was not understood.
pub(super) fn write<M: SerializeMap>(map: &mut M, unknown: &Unknown) -> Result<(), M::Error> {
    unknown.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))
}

/// Passes over a value, whatever it is.
pub(super) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

/// A field's name, borrowed where it has no escapes: by itself a `Cow` is read as text of its own.
#[derive(serde::Deserialize)]
struct Key<'k>(#[serde(borrow)] Cow<'k, str>);

struct Object<T>(PhantomData<T>);

impl<'de, T: PartlyKnown<'de>> Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut object = T::default();
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            if !object.read(&key, &mut map)? {
                let value = map.next_value()?;
                object.unknown().push((key.into_owned(), value));
            }
        }
        Ok(object)
    }
}

impl<'de> PartlyKnown<'de> for Continuation {
    fn unknown(&mut self) -> &mut Unknown {
        &mut self.extra
    }

    fn read<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "callbacks" => self.callbacks = map.next_value()?,
            "errbacks" => self.errbacks = map.next_value()?,
            "chain" => self.chain = map.next_value()?,
            "chord" => self.chord = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl<'de> Deserialize<'de> for Continuation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer)
    }
}

impl Serialize for Continuation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("callbacks", &self.callbacks)?;
        map.serialize_entry("errbacks", &self.errbacks)?;
        map.serialize_entry("chain", &self.chain)?;
        map.serialize_entry("chord", &self.chord)?;
        write(&mut map, &self.extra)?;
        map.end()
    }
}

/// Our header while it is read: its version must be among the fields.
#[derive(Default)]
struct Header {
    fields: CeleriacHeader,
    has_version: bool,
}

impl<'de> PartlyKnown<'de> for Header {
    fn unknown(&mut self) -> &mut Unknown {
        &mut self.fields.extra
    }

    fn read<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        let fields = &mut self.fields;
        match key {
            "v" => (fields.v, self.has_version) = (map.next_value()?, true),
            "job_type" => fields.job_type = map.next_value()?,
            "max_retries" => fields.max_retries = map.next_value()?,
            "generation" => fields.generation = map.next_value()?,
            "sent_at" => fields.sent_at = map.next_value()?,
            "past_deliveries" => fields.past_deliveries = map.next_value()?,
            "past_attempts" => fields.past_attempts = map.next_value()?,
            "schedule" => fields.schedule = map.next_value()?,
            "due_at" => fields.due_at = map.next_value()?,
            "again_at" => fields.again_at = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl<'de> Deserialize<'de> for CeleriacHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let header: Header = read(deserializer)?;
        if header.has_version { Ok(header.fields) } else { Err(D::Error::missing_field("v")) }
    }
}

impl Serialize for CeleriacHeader {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("v", &self.v)?;
        if let Some(job_type) = &self.job_type {
            map.serialize_entry("job_type", job_type)?;
        }
        if let Some(max_retries) = self.max_retries {
            map.serialize_entry("max_retries", &max_retries)?;
        }
        if self.generation > 0 {
            map.serialize_entry("generation", &self.generation)?;
        }
        if let Some(sent_at) = self.sent_at {
            map.serialize_entry("sent_at", &sent_at)?;
        }
        for (name, number) in
            [("past_deliveries", self.past_deliveries), ("past_attempts", self.past_attempts)]
        {
            if number > 0 {
                map.serialize_entry(name, &number)?;
            }
        }
        if let Some(schedule) = &self.schedule {
            map.serialize_entry("schedule", schedule)?;
        }
        for (name, instant) in [("due_at", self.due_at), ("again_at", self.again_at)] {
            if let Some(instant) = instant {
                map.serialize_entry(name, &instant)?;
            }
        }
        write(&mut map, &self.extra)?;
        map.end()
    }
}
