//! The JSON form of an entry's fields, and the defaults of those that are left out.

pub(super) fn no_args() -> String {
    "[]".to_owned()
}

pub(super) fn no_kwargs() -> String {
    "{}".to_owned()
}

pub(super) fn utc() -> String {
    "UTC".to_owned()
}

pub(super) const fn yes() -> bool {
    true
}

pub(super) const fn one() -> u32 {
    1
}

pub(super) const fn catch_up_limit() -> u32 {
    super::DEFAULT_CATCH_UP
}

/// JSON text that stands in JSON as what it says.
pub(super) mod json {
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    pub(in super::super) fn serialize<S: Serializer>(text: &str, to: S) -> Result<S::Ok, S::Error> {
        let raw: &serde_json::value::RawValue = serde_json::from_str(text).map_err(S::Error::custom)?;
        raw.serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        serde_json::to_string(&value).map_err(de::Error::custom)
    }
}

/// An instant as ISO 8601.
pub(super) mod instant {
    use celeriac_protocol::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    pub(in super::super) fn serialize<S: Serializer>(
        at: &Option<Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        at.map(|at| at.to_string()).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(de::Error::custom)).transpose()
    }
}

/// A length in seconds, where there is one.
pub(super) mod length {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    pub(in super::super) fn serialize<S: Serializer>(
        length: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        length.map(|length| length.as_secs_f64()).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds = Option::<f64>::deserialize(from)?;
        seconds.map(|seconds| Duration::try_from_secs_f64(seconds).map_err(de::Error::custom)).transpose()
    }
}

/// A length in seconds.
pub(super) mod span {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    pub(in super::super) fn serialize<S: Serializer>(length: &Duration, to: S) -> Result<S::Ok, S::Error> {
        length.as_secs_f64().serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(de::Error::custom)
    }
}
