//! Instants as requests write them: a time, or a span from now or back.

use std::time::Duration;

use celeriac_protocol::{Span, Timestamp};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// An instant as a request writes it: RFC 3339, or a span such as `30s`, `5m`, `2h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instant {
    /// At this instant.
    At(Timestamp),
    /// This far from now.
    Span(Duration),
}

impl Instant {
    /// Returns the instant, with a span counted forward.
    pub(crate) fn ahead(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Span(span) => now + span,
        }
    }

    /// Returns the instant, with a span counted back.
    pub(crate) fn back(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Span(span) => now - span,
        }
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Ok(Span(span)) = text.parse() {
            return Ok(Self::Span(span));
        }
        // What stands in an address as `+` arrives as a space.
        text.replace(' ', "+").parse().map(Self::At).map_err(|_| {
            D::Error::custom(format!(
                "\"{text}\" is neither a time such as 2026-12-24T18:00:00Z nor a span such as 30s, 5m, 2h, 7d"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_a_time_or_a_span() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let read = |text: &str| serde_json::from_value::<Instant>(text.into());
        assert_eq!(read("1d").unwrap().back(now).to_string(), "2026-01-01T00:00:00+00:00");
        assert_eq!(
            read("2026-01-01T02:00:00 01:00").unwrap().ahead(now).to_string(),
            "2026-01-01T01:00:00+00:00"
        );
        assert!(read("tomorrow").unwrap_err().to_string().contains("neither a time"));
    }
}
