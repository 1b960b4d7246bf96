//! Dates and times as people type them: on a wall, in a zone.

use std::str::FromStr;
use std::time::Duration;

use celeriac_protocol::Timestamp;
use celeriac_protocol::schedule::{Schedule, ScheduleError, Zone};
use jiff::civil::Date;

use crate::config::Period;
use crate::error::{Code, Failure, Result};

/// A moment as it is typed: `2027-03-28T02:30`, `2027-03-28 02:30 Europe/Berlin`, `2027-03-28`, `…Z`, `now`, or a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment(String);

impl FromStr for Moment {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.trim().to_owned()))
    }
}

impl Moment {
    /// Returns the moment; what names no zone is read on the wall of a given one, and a span counts ahead.
    ///
    /// # Errors
    /// What is no date and time.
    pub(super) fn ahead(&self, zone: &Zone, now: Timestamp) -> Result<Timestamp> {
        self.read(zone, now, |span| now + span)
    }

    /// Returns the moment; a span counts back.
    ///
    /// # Errors
    /// What is no date and time.
    pub(super) fn back(&self, zone: &Zone, now: Timestamp) -> Result<Timestamp> {
        self.read(zone, now, |span| now - span)
    }

    /// Returns the span, where it is one.
    pub(super) fn span(&self) -> Option<Duration> {
        self.0.parse().ok().map(|Period(span)| span)
    }

    fn read(
        &self,
        zone: &Zone,
        now: Timestamp,
        moved: impl FnOnce(Duration) -> Timestamp,
    ) -> Result<Timestamp> {
        if self.0.eq_ignore_ascii_case("now") {
            return Ok(now);
        }
        if let Some(span) = self.span() {
            return Ok(moved(span));
        }
        on_the_wall(&self.0, zone).map_err(|error| {
            Failure::failed_to(Code::Usage, format_args!("read \"{}\"", self.0)).caused_by(&error).hint(
                "a date, a time with a zone behind it, `now`, or a span such as 90m or 7d are possible, too",
            )
        })
    }
}

/// Reads a date, or a date and time, which are one moment also where the clocks are changed.
fn on_the_wall(text: &str, zone: &Zone) -> Result<Timestamp, ScheduleError> {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    let begins_with_time = rest.starts_with(|c: char| c.is_ascii_digit());
    let at = match first.parse::<Date>() {
        Ok(_) if !first.contains(['T', 't']) && !begins_with_time => format!("at {first}T00:00 {rest}"),
        _ => format!("at {text}"),
    };
    let clocked = Schedule::parse_in(at.trim_end(), zone)?;
    let due = clocked.next_after(Timestamp::from_micros(i64::MIN));
    Ok(due.map_or(Timestamp::EPOCH, |due| due.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_zone_is_read_on_the_given_wall() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        let now: Timestamp = "2027-01-01T12:00Z".parse().unwrap();
        for (text, expected) in [
            ("2027-07-01", "2027-06-30T22:00:00Z"),
            ("2027-07-01T10:00", "2027-07-01T08:00:00Z"),
            ("2027-07-01 10:00", "2027-07-01T08:00:00Z"),
            ("2027-07-01 10:00 Asia/Tokyo", "2027-07-01T01:00:00Z"),
            ("2027-07-01 Asia/Tokyo", "2027-06-30T15:00:00Z"),
            ("2027-07-01T10:00Z", "2027-07-01T10:00:00Z"),
            ("2027-07-01T10:00+05:00", "2027-07-01T05:00:00Z"),
            ("2027-03-28T02:30", "2027-03-28T01:00:00Z"),
            ("now", "2027-01-01T12:00:00Z"),
            ("2h", "2027-01-01T14:00:00Z"),
        ] {
            let read = text.parse::<Moment>().unwrap().ahead(&berlin, now).map_err(|error| error.to_string());
            assert_eq!(read, Ok(expected.parse().unwrap()), "{text}");
        }
        let back = "2h".parse::<Moment>().unwrap().back(&berlin, now).map_err(|error| error.to_string());
        assert_eq!(back, Ok("2027-01-01T10:00Z".parse().unwrap()));
        for text in ["tomorrow", "2027-13-01", "2027-07-01T10:00 Mars/Olympus"] {
            assert!(text.parse::<Moment>().unwrap().ahead(&berlin, now).is_err(), "{text}");
        }
    }
}
