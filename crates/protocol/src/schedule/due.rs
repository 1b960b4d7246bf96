//! A due time, and what a switch of the clocks did to it.

use std::fmt;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A moment at which a schedule fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// The moment.
    pub at: Timestamp,
    /// What a switch of the clocks did to it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<DstNote>,
}

impl Due {
    /// Takes a moment that no switch touches.
    pub const fn plain(at: Timestamp) -> Self {
        Self { at, note: None }
    }
}

/// Says how a switch of the clocks touches a due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DstNote {
    /// The time on the wall does not exist on this day; it fires at the first moment after the jump.
    Missing {
        /// The first time that was asked for and does not exist.
        #[serde(with = "as_text")]
        wall: DateTime,
    },
    /// The time on the wall comes twice; it fires the first time, and not again.
    FirstOnly,
    /// The time on the wall comes twice and fires each time; this is the first.
    First,
    /// The time on the wall comes twice and fires each time; this is the second.
    Second,
}

impl fmt::Display for DstNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { wall } => write!(f, "{} does not exist on this day", wall.strftime("%H:%M")),
            Self::FirstOnly => f.write_str("comes twice on this day; only the first fires"),
            Self::First => f.write_str("comes twice on this day; this is the first"),
            Self::Second => f.write_str("comes twice on this day; this is the second"),
        }
    }
}

/// A time on the wall as ISO 8601 text.
mod as_text {
    use jiff::civil::DateTime;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(wall: &DateTime, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(wall)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DateTime, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_due_time_reads_back_from_json() {
        let wall = DateTime::constant(2026, 3, 29, 2, 30, 0, 0);
        let due = Due { at: Timestamp::from_micros(1), note: Some(DstNote::Missing { wall }) };
        let json = serde_json::to_string(&due).unwrap();
        assert_eq!(json, r#"{"at":1,"note":{"kind":"missing","wall":"2026-03-29T02:30:00"}}"#);
        assert_eq!(serde_json::from_str::<Due>(&json).unwrap(), due);
        assert_eq!(serde_json::to_string(&Due::plain(Timestamp::EPOCH)).unwrap(), r#"{"at":0}"#);
    }
}
