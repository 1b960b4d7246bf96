//! The moments that sitemaps and feeds write.

use celeriac_protocol::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

/// Reads a moment in any of the six precisions of the W3C's note on date and time, or as mail writes it.
///
/// What is not said is the earliest: `2027` is the first moment of that year. A moment without an offset is
/// taken as UTC. Forgiven are a space for the `T`, small letters, and an offset without its colon.
pub(super) fn read_moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if !text.is_ascii() {
        return None;
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 4 {
        return read_w3c(text);
    }
    let mail = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text);
    mail.ok().map(Timestamp::from_jiff)
}

fn read_w3c(text: &str) -> Option<Timestamp> {
    let mut rest = Rest(text);
    let year = i16::try_from(rest.number(4)?).ok()?;
    let month = if rest.take(b"-") { rest.number(2)? } else { 1 };
    let day = if rest.take(b"-") { rest.number(2)? } else { 1 };
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    let (time, offset) =
        if rest.take(b"Tt ") { read_time(&mut rest)? } else { (Time::midnight(), Offset::UTC) };
    if !rest.0.is_empty() {
        return None;
    }
    offset.to_timestamp(DateTime::from_parts(date, time)).ok().map(Timestamp::from_jiff)
}

fn read_time(rest: &mut Rest<'_>) -> Option<(Time, Offset)> {
    let hour = rest.number(2)?;
    if !rest.take(b":") {
        return None;
    }
    let minute = rest.number(2)?;
    // A leap second is the second before it: the clock that we count by has none.
    let second = if rest.take(b":") { rest.number(2)?.min(59) } else { 0 };
    let nanoseconds = if rest.take(b".,") { rest.fraction()? } else { 0 };
    let part = |number: u32| i8::try_from(number).ok();
    let time = Time::new(part(hour)?, part(minute)?, part(second)?, i32::try_from(nanoseconds).ok()?).ok()?;
    Some((time, read_offset(rest)?))
}

fn read_offset(rest: &mut Rest<'_>) -> Option<Offset> {
    rest.0 = rest.0.trim_start();
    if rest.0.is_empty() || rest.take(b"Zz") {
        return Some(Offset::UTC);
    }
    let is_behind = rest.0.starts_with('-');
    if !rest.take(b"+-") {
        return None;
    }
    let hours = rest.number(2)?;
    rest.take(b":");
    let minutes = if rest.0.is_empty() { 0 } else { rest.number(2)? };
    let seconds = i32::try_from(hours * 3_600 + minutes * 60).ok()?;
    Offset::from_seconds(if is_behind { -seconds } else { seconds }).ok()
}

/// Is what is left of a text that is known to be ASCII.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    /// Takes one of some characters, if it is there.
    fn take(&mut self, any_of: &[u8]) -> bool {
        let is_there = self.0.bytes().next().is_some_and(|byte| any_of.contains(&byte));
        if is_there {
            self.0 = &self.0[1..];
        }
        is_there
    }

    /// Takes a number of so many digits.
    fn number(&mut self, digits: usize) -> Option<u32> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        self.0 = rest;
        if is_number { number.parse().ok() } else { None }
    }

    /// Takes a fraction of any length, in billionths.
    fn fraction(&mut self) -> Option<u32> {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (fraction, rest) = self.0.split_at(digits);
        self.0 = rest;
        let nine: String = fraction.chars().chain("000000000".chars()).take(9).collect();
        if digits == 0 { None } else { nine.parse().ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_every_precision_are_read() {
        for (text, wanted) in [
            ("2027", "2027-01-01T00:00:00+00:00"),
            ("2027-06", "2027-06-01T00:00:00+00:00"),
            ("2027-06-25", "2027-06-25T00:00:00+00:00"),
            ("2027-06-25T15:30Z", "2027-06-25T15:30:00+00:00"),
            ("2027-06-25T15:30:45+02:00", "2027-06-25T13:30:45+00:00"),
            ("2027-06-25T15:30:45.123456789-05:30", "2027-06-25T21:00:45.123456+00:00"),
            ("2027-06-25T15:30:45.5Z", "2027-06-25T15:30:45.500000+00:00"),
            (" 2027-06-25 15:30:45 ", "2027-06-25T15:30:45+00:00"),
            ("2027-06-25t15:30:45z", "2027-06-25T15:30:45+00:00"),
            ("2027-06-25T15:30:45+0200", "2027-06-25T13:30:45+00:00"),
            ("2027-06-25T15:30:45 +02", "2027-06-25T13:30:45+00:00"),
            ("2028-02-29", "2028-02-29T00:00:00+00:00"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59+00:00"),
            ("Fri, 25 Jun 2027 15:00:00 GMT", "2027-06-25T15:00:00+00:00"),
            ("25 Jun 2027 15:00:00 -0500", "2027-06-25T20:00:00+00:00"),
        ] {
            let found = read_moment(text).map(|moment| moment.to_string());
            assert_eq!(found.as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_nothing() {
        for text in [
            "",
            "yesterday",
            "2027-13",
            "2027-02-30",
            "0000-00-00",
            "2027-06-25T",
            "2027-06-25T15",
            "2027-06-25T25:00",
            "2027-06-25T15:30:45+99:00",
            "2027-06-25T15:30:45.Z",
            "2027-06-25 at noon",
            "1750864545",
            "25.06.2027",
            "２０２７",
            "2027/06/25",
        ] {
            assert_eq!(read_moment(text), None, "{text}");
        }
    }
}
