//! The JSON form of an entry's fields, and the defaults of those that are left out.

use std::time::{Duration, TryFromFloatSecsError};

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

/// Writes JSON without what stands between its parts and means nothing; what is no JSON stays as it is.
pub(super) fn compact(json: &str) -> String {
    if serde_json::from_str::<serde::de::IgnoredAny>(json).is_err() {
        return json.to_owned();
    }
    let (mut in_text, mut escaped) = (false, false);
    let mut keep = |c: &char| {
        let is_quote = *c == '"' && !escaped;
        escaped = in_text && *c == '\\' && !escaped;
        in_text ^= is_quote;
        in_text || !matches!(c, ' ' | '\t' | '\n' | '\r')
    };
    json.chars().filter(|c| keep(c)).collect()
}

/// Returns a length of so many seconds, to the microsecond: rows hold no more, and the digits of a fraction behind that
/// are what its binary form makes of it.
fn duration(seconds: f64) -> Result<Duration, TryFromFloatSecsError> {
    let nanos = Duration::try_from_secs_f64(seconds)?.as_nanos();
    Ok(Duration::from_micros(u64::try_from((nanos + 500) / 1_000).unwrap_or(u64::MAX)))
}

/// JSON text that stands in JSON as what it says.
pub(super) mod json {
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(text: &str, to: S) -> Result<S::Ok, S::Error> {
        let raw: &serde_json::value::RawValue = serde_json::from_str(text).map_err(S::Error::custom)?;
        raw.serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
        // To the letter, so that no number is rounded.
        Ok(Box::<serde_json::value::RawValue>::deserialize(from)?.get().to_owned())
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
        seconds.map(|seconds| super::duration(seconds).map_err(de::Error::custom)).transpose()
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
        super::duration(f64::deserialize(from)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_nothing_is_left_out_and_nothing_else() {
        for (json, compacted) in [
            ("[ 1.10,\n\t2 ]", "[1.10,2]"),
            (r#"{ "a b" : "c \" d \\" , "e": [ ] }"#, r#"{"a b":"c \" d \\","e":[]}"#),
            ("123456789012345678901234567890 ", "123456789012345678901234567890"),
            ("[ 1", "[ 1"),
        ] {
            assert_eq!(compact(json), compacted);
        }
    }

    #[test]
    fn lengths_are_read_to_the_microsecond() {
        for micros in [0, 1, 999_999, 10_000_000_000_001, 3_000_000_000_000_003] {
            let length = Duration::from_micros(micros);
            assert_eq!(duration(length.as_secs_f64()), Ok(length));
        }
        assert!(duration(-1.0).is_err());
    }
}
