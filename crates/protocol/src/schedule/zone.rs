//! Time zones by name, and the stretches of constant offset that a zone is made of.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp as Instant;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

use super::ScheduleError;
use crate::Timestamp;
use crate::suggest::closest;

/// Names a time zone of the IANA database, such as `Europe/Berlin`, and knows its switches.
///
/// The database is the system's; where there is none, as in an image made of nothing but the binary, the one
/// that was built in. Its text, also in serde, is the zone's name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(pub(super) TimeZone);

impl Zone {
    /// Coordinated universal time, in which no hour is missing and none comes twice.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// Returns the name in the database.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// Returns what clocks on walls of this zone show at an instant.
    pub fn wall(&self, instant: Timestamp) -> DateTime {
        self.0.to_datetime(instant.to_jiff())
    }

    /// Returns the zone as the civil-time library has it.
    pub fn as_jiff(&self) -> &TimeZone {
        &self.0
    }

    /// Returns the stretch of constant offset in which a second lies.
    pub(super) fn segment(&self, second: i64) -> Segment {
        Segment {
            start: self.switch_upto(second),
            end: self.switch_after(second),
            offset: self.offset(second),
        }
    }

    /// Returns the first switch later than a second.
    fn switch_after(&self, second: i64) -> Option<i64> {
        self.0.following(instant(second)).next().map(|switch| switch.timestamp().as_second())
    }

    /// Returns the last switch that is not later than a second.
    ///
    /// jiff 0.2.43 walks backwards by a zone's present rule even where that did not hold yet: with the time zones that
    /// it brings itself (and every other database without what the rule makes superfluous) it misses America/Metlakatla's
    /// switch of 2019-01-20. Forwards it is right; so what it says backwards is believed only if forwards agrees.
    fn switch_upto(&self, second: i64) -> Option<i64> {
        let upto = instant(second).checked_add(jiff::SignedDuration::from_nanos(1));
        let before = self.0.preceding(upto.unwrap_or(Instant::MAX)).next();
        let said = before.map(|switch| switch.timestamp().as_second());
        let exists = said.is_none_or(|said| self.switch_after(said - 1) == Some(said));
        let is_last = self.switch_after(said.unwrap_or(i64::MIN)).is_none_or(|next| next > second);
        if exists && is_last { said } else { self.switch_upto_walking(second) }
    }

    /// Finds the last switch that is not later than a second by walking forwards to it.
    fn switch_upto_walking(&self, second: i64) -> Option<i64> {
        STEPS_BACK.into_iter().find_map(|back| {
            let switches = self.0.following(instant(second.saturating_sub(back)));
            let upto = switches.map(|switch| switch.timestamp().as_second()).take_while(|at| *at <= second);
            upto.last()
        })
    }

    /// Returns how far the wall is ahead of UTC, in seconds.
    pub(super) fn offset(&self, second: i64) -> i64 {
        i64::from(self.0.to_offset(instant(second)).seconds())
    }

    /// Returns how the wall changes when a second begins.
    pub(super) fn switch(&self, at: i64) -> Switch {
        Switch { at, before: self.offset(at - 1), after: self.offset(at) }
    }

    /// Returns the next switch later than a second that moves the wall.
    pub(super) fn next_switch(&self, second: i64) -> Option<Switch> {
        let switches = self.0.following(instant(second)).take(MAX_SWITCHES_LOOKED_AT);
        switches
            .map(|switch| self.switch(switch.timestamp().as_second()))
            .find(|switch| switch.before != switch.after)
    }
}

/// How far back a walk begins, in seconds: a good year, eleven, a hundred and more, and the beginning of time.
const STEPS_BACK: [i64; 4] = [400 * 86_400, 4_000 * 86_400, 40_000 * 86_400, i64::MAX];

/// Some switches change a zone's name only; so many in a row end the search for one that moves the wall.
const MAX_SWITCHES_LOOKED_AT: usize = 64;

impl FromStr for Zone {
    type Err = ScheduleError;

    /// Looks a name up, whatever its case.
    fn from_str(name: &str) -> Result<Self, ScheduleError> {
        TimeZone::get(name).map(Self).map_err(|_| ScheduleError::UnknownZone {
            name: name.to_owned(),
            hint: closest(name, jiff::tz::db().available().map(|known| known.to_string())),
        })
    }
}

impl TryFrom<String> for Zone {
    type Error = ScheduleError;

    fn try_from(name: String) -> Result<Self, ScheduleError> {
        name.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name().to_owned()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name())
    }
}

/// A stretch in which the wall runs evenly: from `start` to before `end`, in seconds since 1970 in UTC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) start: Option<i64>,
    pub(super) end: Option<i64>,
    /// What the wall is ahead of UTC.
    pub(super) offset: i64,
}

/// A moment at which the wall jumps: ahead, so that times are missing, or back, so that times come twice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Switch {
    pub(super) at: i64,
    pub(super) before: i64,
    pub(super) after: i64,
}

impl Switch {
    /// Returns the time on the wall at which the jump begins: the first that is missing, or the end of the first pass.
    pub(super) fn wall_before(self) -> i64 {
        self.at + self.before
    }

    /// Returns the time on the wall after the jump.
    pub(super) fn wall_after(self) -> i64 {
        self.at + self.after
    }

    /// Says whether times are missing.
    pub(super) fn is_gap(self) -> bool {
        self.after > self.before
    }

    /// Says whether times come twice.
    pub(super) fn is_fold(self) -> bool {
        self.after < self.before
    }
}

/// Returns an instant of the civil-time library; beyond its range its nearest end.
fn instant(second: i64) -> Instant {
    Instant::from_second(second).unwrap_or(if second < 0 { Instant::MIN } else { Instant::MAX })
}

/// Reads seconds of the wall, counted from 1970-01-01 00:00 as if each day had 24 hours, as a date and a time.
pub(super) fn civil(wall: i64) -> DateTime {
    Offset::UTC.to_datetime(instant(wall))
}

/// Counts the seconds of the wall; what is below a second is dropped.
pub(super) fn wall_seconds(civil: DateTime) -> i64 {
    const BEGIN: Date = Date::constant(1970, 1, 1);
    let time = i64::from(civil.hour()) * 3600 + i64::from(civil.minute()) * 60 + i64::from(civil.second());
    BEGIN.duration_until(civil.date()).as_secs() + time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_and_a_misspelt_one_gets_the_nearest() {
        assert_eq!("europe/berlin".parse::<Zone>().unwrap().name(), "Europe/Berlin");
        assert_eq!("UTC".parse::<Zone>().unwrap(), Zone::UTC);
        let error = "Europe/Berln".parse::<Zone>().unwrap_err().to_string();
        assert_eq!(error, "no time zone is called `Europe/Berln`; did you mean `Europe/Berlin`?");
    }

    #[test]
    fn a_zone_is_its_name_in_json() {
        let zone: Zone = serde_json::from_str("\"Australia/Lord_Howe\"").unwrap();
        assert_eq!(serde_json::to_string(&zone).unwrap(), "\"Australia/Lord_Howe\"");
        assert!(serde_json::from_str::<Zone>("\"Mars/Olympus\"").is_err());
    }

    #[test]
    fn a_segment_begins_with_its_own_switch() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        let switch = "2026-03-29T01:00:00Z".parse::<Timestamp>().unwrap().as_micros() / 1_000_000;
        let after = berlin.segment(switch);
        assert_eq!((after.start, after.offset), (Some(switch), 7200));
        let before = berlin.segment(switch - 1);
        assert_eq!((before.end, before.offset), (Some(switch), 3600));
        assert!(berlin.switch(switch).is_gap());
    }
}
