//! Schedules: when something is due next, as pure arithmetic.
//!
//! A [`Schedule`] is read from text as an operator types it and written back in one canonical form, which is also its
//! form in serde and in a table:
//!
//! ```text
//! crontab "30 2 * * mon-fri" Europe/Berlin       30 2 * * mon-fri Europe/Berlin       @daily
//! every 5m                                       every 7d from 2027-01-01T00:00Z
//! at 2027-01-01T10:00 Europe/Berlin
//! solar sunset 52.5,13.4
//! ```
//!
//! What goes in is time on the wall and a zone; what comes out is an instant, with a note where a switch of the clocks
//! touched it. The rule for times that do not exist and times that come twice stands at [`Crontab`].

use std::iter::FusedIterator;

use serde::{Deserialize, Serialize};

mod calendar;
mod clocked;
mod crontab;
mod describe;
mod due;
mod error;
mod interval;
mod plan;
mod rules;
mod solar;
mod text;
mod zone;

#[cfg(test)]
mod tests;

pub use calendar::{Calendar, Timetable};
pub use clocked::Clocked;
pub use crontab::{Crontab, CrontabFields, Dialect};
pub use due::{DstNote, Due};
pub use error::ScheduleError;
pub use interval::{Interval, Period};
pub use plan::{
    CatchUp, ClockStep, Count, Fire, Life, MAX_BELIEVED, MAX_COUNTED, MAX_FIRED, Plan, Policy, Skipped, Why,
    due_times, jitter,
};
pub use solar::{Solar, SolarEvent};
pub use zone::Zone;

use crate::Timestamp;

/// Says when something is due.
///
/// Its text, also in serde, is described at [`crate::schedule`]; `Display` writes the canonical form of what
/// `FromStr` reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Schedule {
    /// At times on a wall that match fields.
    Crontab(Crontab),
    /// Every so long.
    Interval(Interval),
    /// Once.
    Clocked(Clocked),
    /// With the sun.
    Solar(Solar),
}

impl Schedule {
    /// Returns the first due time later than an instant, or nothing where there is none in sight.
    ///
    /// A crontab looks 41 years ahead, and the sun a year. What it costs stands with each kind: below a microsecond for
    /// an interval and most crontabs, two for a rare one, some twenty for the sun.
    pub fn next_after(&self, instant: Timestamp) -> Option<Due> {
        let due = match self {
            Self::Crontab(crontab) => crontab.next_after(instant),
            Self::Interval(interval) => interval.next_after(instant),
            Self::Clocked(clocked) => Some(clocked.due()),
            Self::Solar(solar) => solar.next_after(instant),
        };
        // Where the civil calendar ends, so do due times.
        due.filter(|due| due.at > instant)
    }

    /// Returns the last due time earlier than an instant, or nothing where there is none in sight.
    pub fn previous_before(&self, instant: Timestamp) -> Option<Due> {
        let due = match self {
            Self::Crontab(crontab) => crontab.previous_before(instant),
            Self::Interval(interval) => interval.previous_before(instant),
            Self::Clocked(clocked) => Some(clocked.due()),
            Self::Solar(solar) => solar.previous_before(instant),
        };
        due.filter(|due| due.at < instant)
    }

    /// Returns the due times from one instant to before another, each computed when it is asked for.
    ///
    /// Of a schedule that fires each second these are many; who wants few takes few.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> Between<'_> {
        Between { schedule: self, after: Timestamp::from_micros(from.as_micros().saturating_sub(1)), to }
    }

    /// Returns the zone on whose wall its times are read; UTC for those that need no wall.
    pub fn zone(&self) -> &Zone {
        match self {
            Self::Crontab(crontab) => crontab.zone(),
            Self::Clocked(clocked) => clocked.zone(),
            Self::Interval(_) | Self::Solar(_) => const { &Zone::UTC },
        }
    }

    /// Sets from when an interval is counted, where its text has not; leaves every other schedule as it is.
    ///
    /// An entry sets this to the moment of its creation, and keeps it: so a rare entry fires though the process is
    /// started anew more often than that.
    #[must_use]
    pub fn anchored(self, anchor: Timestamp) -> Self {
        match self {
            Self::Interval(interval) if interval.anchor().is_none() => {
                Self::Interval(interval.from_anchor(anchor))
            }
            other => other,
        }
    }
}

/// Yields due times in order; see [`Schedule::between`].
#[derive(Clone, Debug)]
pub struct Between<'a> {
    schedule: &'a Schedule,
    after: Timestamp,
    to: Timestamp,
}

impl Iterator for Between<'_> {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        let due = self.schedule.next_after(self.after).filter(|due| due.at < self.to);
        self.after = due.map_or(self.to, |due| due.at);
        due
    }
}

impl FusedIterator for Between<'_> {}
