//! How late a due time may be met, as people write it: a span, or `unlimited`.

use std::fmt;
use std::time::Duration;

use celeriac_protocol::Span;
use serde::de::{self, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is written where there is no limit.
const UNLIMITED: &str = "unlimited";

/// A span, or no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grace(pub(super) Option<Duration>);

impl Serialize for Grace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(span) => Span(span).serialize(serializer),
            None => serializer.serialize_str(UNLIMITED),
        }
    }
}

impl<'de> Deserialize<'de> for Grace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GraceVisitor)
    }
}

struct GraceVisitor;

fn span<'de, E: de::Error>(given: impl IntoDeserializer<'de, E>) -> Result<Grace, E> {
    Span::deserialize(given.into_deserializer()).map(|span| Grace(Some(span.0)))
}

impl Visitor<'_> for GraceVisitor {
    type Value = Grace;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a span of time such as \"30s\", or \"{UNLIMITED}\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Grace, E> {
        match text.trim() {
            UNLIMITED => Ok(Grace(None)),
            text => span(text),
        }
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Grace, E> {
        span(seconds)
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Grace, E> {
        span(seconds)
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Grace, E> {
        span(seconds)
    }
}
