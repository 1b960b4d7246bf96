//! One-off schedules: once, at a time on the wall.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;

use super::{DstNote, Due, Zone};
use crate::Timestamp;

/// Fires once, when the wall of a zone shows a date and time: django-celery-beat's clocked schedule.
///
/// A time that comes twice is the first; one that does not exist is the first moment after the jump. The rules of zones
/// change, so the time on the wall is kept and not the moment that it stands for today.
#[derive(Clone, PartialEq, Eq)]
pub struct Clocked {
    wall: DateTime,
    zone: Zone,
}

impl Clocked {
    /// Fires when a zone's wall shows a date and time.
    pub fn new(wall: DateTime, zone: Zone) -> Self {
        Self { wall, zone }
    }

    /// Fires at a moment.
    pub fn at(moment: Timestamp) -> Self {
        Self { wall: Zone::UTC.wall(moment), zone: Zone::UTC }
    }

    /// Returns the zone on whose wall the time is read.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Returns the date and time on the wall.
    pub fn wall(&self) -> DateTime {
        self.wall
    }

    /// Returns the one due time.
    pub(super) fn due(&self) -> Due {
        let ambiguous = self.zone.as_jiff().to_ambiguous_timestamp(self.wall);
        let (note, offset) = match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } => (None, offset),
            AmbiguousOffset::Fold { before, .. } => (Some(DstNote::FirstOnly), before),
            // By the offset from before the jump the time lies as far behind it as it would have been ahead.
            AmbiguousOffset::Gap { before, .. } => {
                let at = before.to_timestamp(self.wall).unwrap_or(jiff::Timestamp::MAX);
                let jump = self.zone.segment(at.as_second()).start.unwrap_or(at.as_second());
                let at = Timestamp::from_micros(jump.saturating_mul(1_000_000));
                return Due { at, note: Some(DstNote::Missing { wall: self.wall }) };
            }
        };
        let at = offset.to_timestamp(self.wall).unwrap_or(jiff::Timestamp::MAX);
        Due { at: Timestamp::from_jiff(at), note }
    }
}

impl fmt::Display for Clocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.wall.second() != 0 || self.wall.subsec_nanosecond() != 0;
        match seconds {
            true => write!(f, "at {}", self.wall)?,
            false => write!(f, "at {}", self.wall.strftime("%Y-%m-%dT%H:%M"))?,
        }
        write!(f, " {}", self.zone)
    }
}

impl fmt::Debug for Clocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_on_the_wall_is_one_moment_also_where_the_clocks_are_changed() {
        let check = |wall: &str, zone: &str, at: &str, note: Option<DstNote>| {
            let due = Clocked::new(wall.parse().unwrap(), zone.parse().unwrap()).due();
            assert_eq!((due.at, due.note), (at.parse().unwrap(), note), "{wall} {zone}");
        };
        let missing = |wall: &str| Some(DstNote::Missing { wall: wall.parse().unwrap() });
        check("2026-07-01T10:00", "Europe/Berlin", "2026-07-01T08:00:00Z", None);
        check("2026-03-29T02:30", "Europe/Berlin", "2026-03-29T01:00:00Z", missing("2026-03-29T02:30"));
        check("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30:00Z", Some(DstNote::FirstOnly));
        check("2026-10-04T02:15", "Australia/Lord_Howe", "2026-10-03T15:30:00Z", missing("2026-10-04T02:15"));
        check("2011-12-30T12:00", "Pacific/Apia", "2011-12-30T10:00:00Z", missing("2011-12-30T12:00"));
    }
}
