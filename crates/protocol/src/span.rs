//! A span of time as people write it: `30s`, `5m`, `1h30m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A span of time as people write it: `500ms`, `30s`, `5m`, `1h30m`, `7d`. A number alone is seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// Units from the longest to the shortest, in microseconds.
const UNITS: [(&str, u64); 7] = [
    ("w", 7 * 86_400_000_000),
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// The longest span, a hundred years: far enough, and nothing overflows.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let unreadable = || format!("\"{text}\" is no span of time; write 500ms, 30s, 5m, 2h, 7d or 1h30m");
        if let Ok(seconds) = text.parse::<f64>() {
            return seconds_of(seconds).ok_or_else(unreadable);
        }
        let (mut rest, mut micros) = (text, 0_u64);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(unreadable)?;
            let letters = rest[digits..].find(|c: char| !c.is_ascii_alphabetic());
            let end = letters.map_or(rest.len(), |letters| digits + letters);
            let count: u64 = rest[..digits].parse().map_err(|_| unreadable())?;
            let unit = UNITS.iter().find(|(name, _)| *name == &rest[digits..end]).ok_or_else(unreadable)?.1;
            micros =
                count.checked_mul(unit).and_then(|part| micros.checked_add(part)).ok_or_else(unreadable)?;
            rest = rest[end..].trim_start();
        }
        let span = Duration::from_micros(micros);
        if text.is_empty() || span > LONGEST { Err(unreadable()) } else { Ok(Self(span)) }
    }
}

fn seconds_of(seconds: f64) -> Option<Span> {
    let span = Duration::try_from_secs_f64(seconds).ok()?;
    (span <= LONGEST).then_some(Span(span))
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut micros = u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX);
        if micros == 0 {
            return f.write_str("0s");
        }
        // Weeks are read and never written: a month is 30d to most people, and 4w2d to nobody.
        for (name, unit) in UNITS.into_iter().filter(|(name, _)| *name != "w") {
            if micros >= unit {
                write!(f, "{}{name}", micros / unit)?;
                micros %= unit;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SpanVisitor)
    }
}

struct SpanVisitor;

impl Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a span of time such as \"30s\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Span, E> {
        self.visit_f64(seconds as f64)
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Span, E> {
        self.visit_f64(seconds as f64)
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Span, E> {
        seconds_of(seconds).ok_or_else(|| E::custom(format!("{seconds} seconds are no span of time")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them_and_written_back() {
        for (text, micros, back) in [
            ("30s", 30_000_000, "30s"),
            ("500ms", 500_000, "500ms"),
            ("1h30m", 5_400_000_000, "1h30m"),
            ("1h 30m", 5_400_000_000, "1h30m"),
            ("90", 90_000_000, "1m30s"),
            ("0.5", 500_000, "500ms"),
            ("7d", 604_800_000_000, "7d"),
            ("2w", 1_209_600_000_000, "14d"),
            ("0", 0, "0s"),
        ] {
            let period: Span = text.parse().unwrap();
            assert_eq!(period.0.as_micros(), micros, "{text}");
            assert_eq!(period.to_string(), back);
            assert_eq!(period.to_string().parse(), Ok(period));
        }
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in ["", "soon", "5x", "m", "-3", "-3s", "1e99", "999999999999w", "5 5", "NaN"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
