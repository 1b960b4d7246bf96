//! One signature as it travels: read as far as needed, and changed without losing what is not understood.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::CanvasError;
use crate::RawValue;

/// A task with arguments and options, not yet sent.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
pub(super) struct Signature {
    pub(super) task: String,
    #[serde(default = "no_args")]
    pub(super) args: Box<RawValue>,
    #[serde(default = "no_kwargs")]
    pub(super) kwargs: Box<RawValue>,
    #[serde(default)]
    pub(super) options: Members,
    #[serde(default)]
    pub(super) subtask_type: Option<String>,
    #[serde(default)]
    pub(super) immutable: bool,
}

impl Signature {
    pub(super) fn read(raw: &RawValue) -> Result<Self, CanvasError> {
        serde_json::from_str(raw.get()).map_err(|error| CanvasError::Signature(error.to_string()))
    }

    pub(super) fn write(&self) -> Box<RawValue> {
        serde_json::value::to_raw_value(self).expect("texts and raw JSON always serialize")
    }

    /// Says whether it is a `chain`, a `group` or a `chord`.
    pub(super) fn is(&self, kind: &str) -> bool {
        self.subtask_type.as_deref() == Some(kind)
    }

    /// Returns what a chain or group is made of, in its order; nothing for a task.
    pub(super) fn tasks(&self) -> Result<Option<Vec<Box<RawValue>>>, CanvasError> {
        #[derive(serde::Deserialize)]
        struct Kwargs {
            tasks: Vec<Box<RawValue>>,
        }
        if !self.is("chain") && !self.is("group") {
            return Ok(None);
        }
        let kwargs: Kwargs = serde_json::from_str(self.kwargs.get())
            .map_err(|error| CanvasError::Signature(format!("the tasks of {}: {error}", self.task)))?;
        Ok(Some(kwargs.tasks))
    }
}

fn no_args() -> Box<RawValue> {
    raw("[]")
}

fn no_kwargs() -> Box<RawValue> {
    raw("{}")
}

/// Takes over JSON that was written here.
pub(super) fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect("it is JSON")
}

/// Says whether something is there and not null.
pub(super) fn is_said(raw: Option<&RawValue>) -> bool {
    raw.is_some_and(|raw| raw.get() != "null")
}

/// Reads a list, or one thing that stands for a list of it.
pub(super) fn list_of(raw: Option<&RawValue>) -> Result<Vec<&RawValue>, CanvasError> {
    match raw {
        Some(raw) if raw.get().starts_with('[') => {
            serde_json::from_str(raw.get()).map_err(|error| CanvasError::Signature(error.to_string()))
        }
        Some(raw) if raw.get() != "null" => Ok(vec![raw]),
        _ => Ok(Vec::new()),
    }
}

/// The members of an object in their order, each unread.
#[derive(Clone, Debug, Default)]
pub(super) struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    pub(super) fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// Reads one; what is not of the type says nothing.
    pub(super) fn read<T: for<'de> serde::Deserialize<'de>>(&self, name: &str) -> Option<T> {
        self.get(name).and_then(|raw| serde_json::from_str::<Option<T>>(raw.get()).ok().flatten())
    }

    pub(super) fn set(&mut self, name: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Takes over what another has and this has not.
    pub(super) fn inherit(&mut self, from: &Self, names: &[&str]) {
        for name in names {
            if let (Some(value), false) = (from.get(name), is_said(self.get(name))) {
                self.set(name, value.to_owned());
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), &**value))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_unit<E>(self) -> Result<Members, E> {
                Ok(Members::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_any(Object)
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
