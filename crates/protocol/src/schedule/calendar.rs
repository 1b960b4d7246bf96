//! Calendars: days and hours in which nothing fires.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};
use serde::{Deserialize, Serialize};

use super::crontab::{weekday_names, weekdays};
use super::text::is_zone;
use super::zone::{Segment, wall_seconds};
use super::{Due, Schedule, ScheduleError, Zone};
use crate::Timestamp;

mod rule;

use rule::Rule;

/// Excludes days and hours on the wall of a zone.
///
/// Its text is a list; the zone stands at its end where it is not given from outside:
///
/// ```text
/// sat,sun,2026-12-24..2027-01-01,12-25,22:00-06:00 Europe/Berlin
/// ```
///
/// That is: weekdays (also `sat-sun`), a date or a range of dates, the same without the year for every year (a range
/// may wrap around its end), and a window of hours on every day (from its first moment to before its last; it may wrap
/// around midnight). The empty calendar excludes nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Calendar {
    rules: Vec<Rule>,
    zone: Zone,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { rules: Vec::new(), zone: Zone::UTC }
    }
}

impl Calendar {
    /// Reads a calendar; where its text names no zone it is that of a given one.
    ///
    /// # Errors
    ///
    /// The error says which part is wrong and what to type.
    pub fn parse_in(text: &str, zone: &Zone) -> Result<Self, ScheduleError> {
        let mut words: Vec<&str> =
            text.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty()).collect();
        let zone = match words.last() {
            Some(last) if is_zone(last) => words.pop().map_or(Ok(zone.clone()), str::parse)?,
            _ => zone.clone(),
        };
        let mut rules: Vec<Rule> = Vec::new();
        for rule in words.into_iter().map(Rule::parse) {
            let rule = rule?;
            let joined = rules.iter_mut().any(|earlier| earlier.join(&rule));
            if !joined {
                rules.push(rule);
            }
        }
        Ok(Self { rules, zone })
    }

    /// Says whether it excludes nothing.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Says whether it excludes a moment.
    pub fn excludes(&self, at: Timestamp) -> bool {
        let wall = self.zone.wall(at);
        self.rules.iter().any(|rule| rule.excludes(wall))
    }

    /// Returns when what excludes a moment ends, which is later than the moment; at a switch of the clocks at the latest,
    /// since what the wall shows then has to be looked at anew.
    fn excluded_until(&self, at: Timestamp) -> Option<Timestamp> {
        let wall = self.zone.wall(at);
        let end = self.rules.iter().filter(|rule| rule.excludes(wall)).map(|rule| rule.end(wall)).max()?;
        let segment = self.segment(at);
        let end = wall_seconds(end) - segment.offset;
        Some(moment(segment.end.map_or(end, |switch| switch.min(end))))
    }

    /// Returns when what excludes a moment began, which is not later than the moment; at a switch at the earliest.
    fn excluded_since(&self, at: Timestamp) -> Option<Timestamp> {
        let wall = self.zone.wall(at);
        let start =
            self.rules.iter().filter(|rule| rule.excludes(wall)).map(|rule| rule.start(wall)).min()?;
        let segment = self.segment(at);
        let start = wall_seconds(start) - segment.offset;
        Some(moment(segment.start.map_or(start, |switch| switch.max(start))))
    }

    fn segment(&self, at: Timestamp) -> Segment {
        self.zone.segment(at.as_micros().div_euclid(1_000_000))
    }
}

fn moment(second: i64) -> Timestamp {
    Timestamp::from_micros(second.saturating_mul(1_000_000))
}

impl FromStr for Calendar {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        Self::parse_in(text, &Zone::UTC)
    }
}

impl TryFrom<String> for Calendar {
    type Error = ScheduleError;

    fn try_from(text: String) -> Result<Self, ScheduleError> {
        text.parse()
    }
}

impl From<Calendar> for String {
    fn from(calendar: Calendar) -> Self {
        calendar.to_string()
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rule) in self.rules.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{rule}")?;
        }
        // Written also where it is UTC, so that the text means the same wherever it is read.
        if self.is_empty() { Ok(()) } else { write!(f, " {}", self.zone) }
    }
}

impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A schedule with a calendar: what is due when nothing excludes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timetable {
    /// When it would be due.
    pub schedule: Schedule,
    /// What is left out.
    #[serde(default, skip_serializing_if = "Calendar::is_empty")]
    pub calendar: Calendar,
}

/// Stretches of a calendar that one search may jump over: more than ten years of days, each excluded by itself.
const MAX_SKIPS: usize = 4_000;

impl From<Schedule> for Timetable {
    fn from(schedule: Schedule) -> Self {
        Self { schedule, calendar: Calendar::default() }
    }
}

impl Timetable {
    /// Returns the first due time later than an instant that the calendar lets through.
    ///
    /// Each excluded stretch is jumped over as a whole; after 4,000 of them there is none in sight.
    pub fn next_after(&self, instant: Timestamp) -> Option<Due> {
        let mut after = instant;
        for _ in 0..MAX_SKIPS {
            let due = self.schedule.next_after(after)?;
            let Some(end) = self.calendar.excluded_until(due.at) else { return Some(due) };
            after = Timestamp::from_micros(end.as_micros().saturating_sub(1));
        }
        None
    }

    /// Returns the last due time earlier than an instant that the calendar lets through; bounded as
    /// [`Timetable::next_after`].
    pub fn previous_before(&self, instant: Timestamp) -> Option<Due> {
        let mut before = instant;
        for _ in 0..MAX_SKIPS {
            let due = self.schedule.previous_before(before)?;
            let Some(start) = self.calendar.excluded_since(due.at) else { return Some(due) };
            before = start;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calendar_is_written_as_it_is_read() {
        let check = |text: &str, expected: &str| {
            let calendar: Calendar = text.parse().unwrap();
            assert_eq!(calendar.to_string(), expected, "{text}");
            assert_eq!(expected.parse::<Calendar>().unwrap(), calendar, "{text}");
        };
        check("", "");
        check("sat, sun", "sun,sat UTC");
        check("sat-sun Europe/Berlin", "sun,sat Europe/Berlin");
        check(
            "2026-12-24..2027-01-01, 12-25, 22:00-06:00 UTC",
            "2026-12-24..2027-01-01,12-25,22:00-06:00 UTC",
        );
        check("12-24..01-02,2026-05-01,20:30-24:00", "12-24..01-02,2026-05-01,20:30-24:00 UTC");
    }

    #[test]
    fn errors_say_what_to_type() {
        let check = |text: &str, expected: &str| {
            assert_eq!(text.parse::<Calendar>().unwrap_err().to_string(), expected, "{text}");
        };
        let wanted = "type a weekday (`sat`), a date (`2026-12-24`, `12-25` for every year), dates \
                      (`2026-12-24..2027-01-01`) or hours (`22:00-06:00`)";
        check("2026-13-01", &format!("calendar `2026-13-01` is no date; {wanted}"));
        check("25-12", &format!("calendar `25-12` is no date; {wanted}"));
        check(
            "sat,2027-01-02..2026-12-24",
            &format!("calendar `2027-01-02..2026-12-24` ends before it begins; {wanted}"),
        );
        check("22:00", &format!("calendar `22:00` is no window of hours; {wanted}"));
        check("22:00-25:00", &format!("calendar `22:00-25:00` is no window of hours; {wanted}"));
        check("71582789:00-06:00", &format!("calendar `71582789:00-06:00` is no window of hours; {wanted}"));
        check("06:00-06:00", &format!("calendar `06:00-06:00` is no window of hours; {wanted}"));
        check("sta", "day of week `sta` is not within 0-6 or sun-sat; did you mean `sat`?");
    }

    fn due(schedule: &str, calendar: &str, from: &str, count: usize) -> Vec<String> {
        let timetable =
            Timetable { schedule: schedule.parse().unwrap(), calendar: calendar.parse().unwrap() };
        let mut after: Timestamp = from.parse().unwrap();
        let mut found = Vec::new();
        for _ in 0..count {
            let Some(due) = timetable.next_after(after) else { break };
            if let Some(before) = found.last() {
                assert_eq!(
                    timetable.previous_before(due.at).as_ref(),
                    Some(before),
                    "{schedule} without {calendar}"
                );
            }
            after = due.at;
            found.push(due);
        }
        let wall = |due: &Due| timetable.calendar.zone.wall(due.at).strftime("%m-%d %H:%M").to_string();
        found.iter().map(wall).collect()
    }

    #[test]
    fn what_is_excluded_is_jumped_over() {
        let check = |schedule: &str, calendar: &str, from: &str, expected: &[&str]| {
            assert_eq!(
                due(schedule, calendar, from, expected.len()),
                expected,
                "{schedule} without {calendar}"
            );
        };
        check(
            "0 9 * * *",
            "sat,sun,11-25",
            "2026-11-20T12:00Z",
            &["11-23 09:00", "11-24 09:00", "11-26 09:00"],
        );
        check("0 9 * * *", "12-24..01-02", "2026-12-22T12:00Z", &["12-23 09:00", "01-03 09:00"]);
        check(
            "* * * * * Europe/Berlin",
            "22:00-06:00 Europe/Berlin",
            "2026-11-22T20:57Z",
            &["11-22 21:58", "11-22 21:59", "11-23 06:00"],
        );
        check("every 1s", "2026-01-01..2026-06-30", "2025-12-31T23:59:58Z", &["12-31 23:59", "07-01 00:00"]);
        check("0 0 * * *", "2026-12-24..2026-12-26,12-27,sun-mon", "2026-12-23T12:00Z", &["12-29 00:00"]);
    }

    #[test]
    fn windows_hold_in_both_passes_of_an_hour_and_at_the_edge_of_a_jump() {
        let every = "*/30 * * * * Europe/Berlin";
        assert_eq!(
            due(every, "01:00-02:30 Europe/Berlin", "2026-10-24T22:29Z", 5),
            ["10-25 00:30", "10-25 02:30", "10-25 02:30", "10-25 03:00", "10-25 03:30",]
        );
        assert_eq!(
            due(every, "01:00-02:30 Europe/Berlin", "2026-03-28T23:29Z", 2),
            ["03-29 00:30", "03-29 03:00"]
        );
    }

    #[test]
    fn a_calendar_that_lets_nothing_through_ends_the_search() {
        assert!(due("30 2 * * *", "02:00-03:00", "2026-01-01", 1).is_empty());
        assert!(due("* * * * *", "mon-sun", "2026-01-01", 1).is_empty());
    }
}
