//! Intervals: every so long, counted from a fixed moment.

use std::fmt;

use super::{Due, ScheduleError};
use crate::Timestamp;

/// Fires at an anchor and then every so long after it, without drift: a firing that comes late moves none of those
/// that follow.
///
/// Its length is time as it passes, so a day is 24 hours and a week 168, also where the clocks are changed; who wants
/// the same time on the wall every day takes a crontab. Where no anchor is set it is 1970-01-01T00:00Z, so that `every
/// 5m` fires at minutes 0, 5, 10 and so on, on every node and after every restart alike.
///
/// The next time costs one division.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    micros: i64,
    anchor: Option<Timestamp>,
}

/// The units of django-celery-beat's periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// 24 hours each.
    Days,
    /// Hours.
    Hours,
    /// Minutes.
    Minutes,
    /// Seconds.
    Seconds,
    /// Millionths of a second.
    Microseconds,
}

/// The longest interval, a hundred years; longer ones are taken for slips of the finger.
const LONGEST_DAYS: i64 = 36_525;

/// Units as they are typed, beginning with the ones that are written.
const UNITS: [(&str, i64); 30] = [
    ("d", DAY),
    ("h", HOUR),
    ("m", MINUTE),
    ("s", SECOND),
    ("ms", 1_000),
    ("us", 1),
    ("w", 7 * DAY),
    ("week", 7 * DAY),
    ("weeks", 7 * DAY),
    ("day", DAY),
    ("days", DAY),
    ("hr", HOUR),
    ("hrs", HOUR),
    ("hour", HOUR),
    ("hours", HOUR),
    ("min", MINUTE),
    ("mins", MINUTE),
    ("minute", MINUTE),
    ("minutes", MINUTE),
    ("sec", SECOND),
    ("secs", SECOND),
    ("second", SECOND),
    ("seconds", SECOND),
    ("millisecond", 1_000),
    ("milliseconds", 1_000),
    ("µs", 1),
    ("usec", 1),
    ("usecs", 1),
    ("microsecond", 1),
    ("microseconds", 1),
];

/// How many of [`UNITS`], from the largest to the smallest, are used in canonical text.
const WRITTEN_UNITS: usize = 6;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl Interval {
    /// Fires every `count` periods.
    ///
    /// # Errors
    ///
    /// Fails where that is nothing, or more than a hundred years.
    pub fn every(count: u64, period: Period) -> Result<Self, ScheduleError> {
        let unit = match period {
            Period::Days => DAY,
            Period::Hours => HOUR,
            Period::Minutes => MINUTE,
            Period::Seconds => SECOND,
            Period::Microseconds => 1,
        };
        let micros = i64::try_from(count).ok().and_then(|count| count.checked_mul(unit));
        Self::of(micros, &format!("{count} {period:?}"))
    }

    fn of(micros: Option<i64>, text: &str) -> Result<Self, ScheduleError> {
        match micros {
            Some(micros) if micros <= 0 => Err(wrong(text, "is nothing; type a length such as `5m`")),
            Some(micros) if micros <= LONGEST_DAYS * DAY => Ok(Self { micros, anchor: None }),
            _ => Err(wrong(text, "is longer than a hundred years")),
        }
    }

    /// Reads a length such as `5m`, `1h30m`, `90 seconds`.
    pub(super) fn parse_length(text: &str) -> Result<Self, ScheduleError> {
        let mut rest = text.trim_start();
        let mut micros = Some(0_i64);
        if rest.is_empty() {
            return Err(wrong(text, WANTED));
        }
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
            let (number, behind) = rest.split_at(digits);
            let behind = behind.trim_start();
            let letters = behind.find(|letter: char| !letter.is_alphabetic()).unwrap_or(behind.len());
            let (unit, behind) = behind.split_at(letters);
            let unit = UNITS.iter().find(|(known, _)| *known == unit.to_lowercase());
            let (false, Some((_, unit))) = (number.is_empty(), unit) else {
                return Err(wrong(text, WANTED));
            };
            let part = number.parse::<i64>().ok().and_then(|number| number.checked_mul(*unit));
            micros = micros.zip(part).and_then(|(sum, part)| sum.checked_add(part));
            rest = behind.trim_start();
        }
        Self::of(micros, text)
    }

    /// Sets the moment from which it is counted, which is its first.
    #[must_use]
    pub fn from_anchor(self, anchor: Timestamp) -> Self {
        Self { anchor: Some(anchor), ..self }
    }

    /// Returns the moment from which it is counted, where one was set.
    pub fn anchor(&self) -> Option<Timestamp> {
        self.anchor
    }

    /// Returns its length.
    pub fn length(&self) -> std::time::Duration {
        std::time::Duration::from_micros(self.micros.unsigned_abs())
    }

    /// Returns the first due time later than an instant.
    pub(super) fn next_after(&self, after: Timestamp) -> Option<Due> {
        let anchor = self.anchor_micros();
        let done = after.as_micros().saturating_sub(anchor).div_euclid(self.micros);
        self.nth(done.checked_add(1)?.max(0))
    }

    /// Returns the last due time earlier than an instant.
    pub(super) fn previous_before(&self, before: Timestamp) -> Option<Due> {
        let anchor = self.anchor_micros();
        let since = before.as_micros().checked_sub(1)?.saturating_sub(anchor);
        // Where no anchor is set, the row has no beginning.
        if since < 0 && self.anchor.is_some() { None } else { self.nth(since.div_euclid(self.micros)) }
    }

    /// Counts the due times from one instant to before another.
    pub(super) fn count(&self, from: Timestamp, to: Timestamp) -> u64 {
        let index = |at: Timestamp| {
            let passed = at.as_micros().saturating_sub(1).saturating_sub(self.anchor_micros());
            let index = passed.div_euclid(self.micros).saturating_add(1);
            if self.anchor.is_some() { index.max(0) } else { index }
        };
        u64::try_from(index(to).saturating_sub(index(from))).unwrap_or(0)
    }

    fn anchor_micros(&self) -> i64 {
        self.anchor.unwrap_or(Timestamp::EPOCH).as_micros()
    }

    fn nth(&self, index: i64) -> Option<Due> {
        let micros = index.checked_mul(self.micros)?.checked_add(self.anchor_micros())?;
        Some(Due::plain(Timestamp::from_micros(micros)))
    }

    /// Writes the length in the largest unit that divides it.
    pub(super) fn length_text(&self) -> String {
        let (unit, micros) = self.unit();
        format!("{}{unit}", self.micros / micros)
    }

    fn unit(&self) -> (&'static str, i64) {
        let written = &UNITS[..WRITTEN_UNITS];
        written.iter().copied().find(|(_, micros)| self.micros % micros == 0).unwrap_or(("us", 1))
    }

    /// Returns the length as a number and the unit's full name, singular.
    pub(super) fn in_words(&self) -> (i64, &'static str) {
        let (unit, micros) = self.unit();
        let name = match unit {
            "d" => "day",
            "h" => "hour",
            "m" => "minute",
            "s" => "second",
            "ms" => "millisecond",
            _ => "microsecond",
        };
        (self.micros / micros, name)
    }
}

const WANTED: &str = "is no length; type numbers with units, such as `30s`, `5m`, `1h30m`, `7d`";

fn wrong(text: &str, wrong: &str) -> ScheduleError {
    ScheduleError::Interval { text: text.to_owned(), wrong: wrong.to_owned() }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "every {}", self.length_text())?;
        self.anchor.map_or(Ok(()), |anchor| write!(f, " from {}", anchor.to_jiff()))
    }
}

impl fmt::Debug for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn it_does_not_drift_however_late_one_asks() {
        let every = Interval::every(10, Period::Seconds).unwrap().from_anchor(secs(103));
        let next = |after: i64| every.next_after(secs(after)).map(|due| due.at);
        for (after, expected) in
            [(0, 103), (102, 103), (103, 113), (112, 113), (119, 123), (1_000_003, 1_000_013)]
        {
            assert_eq!(next(after), Some(secs(expected)), "after {after}");
        }
        let previous = |before: i64| every.previous_before(secs(before)).map(|due| due.at);
        for (before, expected) in [(103, None), (104, Some(103)), (113, Some(103)), (114, Some(113))] {
            assert_eq!(previous(before), expected.map(secs), "before {before}");
        }
    }

    #[test]
    fn without_an_anchor_it_falls_on_the_round_minutes_for_ever() {
        let every = Interval::every(5, Period::Minutes).unwrap();
        assert_eq!(every.next_after(secs(-1)).unwrap().at, secs(0));
        assert_eq!(every.next_after(secs(301)).unwrap().at, secs(600));
        assert_eq!(every.previous_before(secs(0)).unwrap().at, secs(-300));
    }

    #[test]
    fn due_times_are_counted_without_walking_over_them() {
        let every = Interval::every(1, Period::Microseconds).unwrap();
        assert_eq!(every.count(secs(0), secs(31_536_000)), 31_536_000_000_000);
        let anchored = Interval::every(10, Period::Seconds).unwrap().from_anchor(secs(100));
        for (from, to, expected) in [(0, 100, 0), (0, 101, 1), (100, 110, 1), (101, 121, 2), (121, 101, 0)] {
            assert_eq!(anchored.count(secs(from), secs(to)), expected, "{from}..{to}");
        }
    }

    #[test]
    fn lengths_are_read_as_they_are_typed() {
        let check = |text: &str, expected: &str| match Interval::parse_length(text) {
            Ok(every) => assert_eq!(every.length_text(), expected, "{text}"),
            Err(error) => assert_eq!(error.to_string(), expected, "{text}"),
        };
        check("5m", "5m");
        check("300 seconds", "5m");
        check("1h30m", "90m");
        check("1w", "7d");
        check("24h", "1d");
        check("2 Days 1 hour", "49h");
        check("1500ms", "1500ms");
        check("7us", "7us");
        check("0s", "interval `0s` is nothing; type a length such as `5m`");
        check("36526d", "interval `36526d` is longer than a hundred years");
        check("99999999999999999999s", "interval `99999999999999999999s` is longer than a hundred years");
        for text in ["", "5", "m", "5x", "5m 3", "-5m", "1.5h"] {
            check(text, &format!("interval `{text}` {WANTED}"));
        }
    }
}
