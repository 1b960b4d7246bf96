//! One part of a calendar.

use std::fmt;

use jiff::ToSpan as _;

use super::{Date, DateTime, ScheduleError, Time, weekday_names, weekdays};

/// What is excluded, on the wall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Days of the week, bit 0 for Sunday.
    Weekdays(u64),
    /// From one date to another, both of them too.
    Dates(Date, Date),
    /// The same every year, as month and day; it may wrap around.
    Yearly((i8, i8), (i8, i8)),
    /// From one minute of every day to before another; it may wrap around midnight.
    Hours(u32, u32),
}

const DAY_MINUTES: u32 = 24 * 60;

impl Rule {
    pub(super) fn parse(token: &str) -> Result<Self, ScheduleError> {
        if token.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return weekdays(token).map(Self::Weekdays);
        }
        if token.contains(':') {
            return hours(token).ok_or_else(|| wrong(token, "is no window of hours"));
        }
        let (first, last) = token.split_once("..").unwrap_or((token, token));
        if let (Some(first), Some(last)) = (month_and_day(first), month_and_day(last)) {
            return Ok(Self::Yearly(first, last));
        }
        match (first.parse::<Date>(), last.parse::<Date>()) {
            (Ok(first), Ok(last)) if first <= last => Ok(Self::Dates(first, last)),
            (Ok(_), Ok(_)) => Err(wrong(token, "ends before it begins")),
            _ => Err(wrong(token, "is no date")),
        }
    }

    /// Takes another rule in, where both are days of the week.
    pub(super) fn join(&mut self, other: &Self) -> bool {
        let (Self::Weekdays(mine), Self::Weekdays(others)) = (self, other) else { return false };
        *mine |= others;
        true
    }

    pub(super) fn excludes(&self, wall: DateTime) -> bool {
        match self {
            Self::Weekdays(bits) => bits & (1 << wall.weekday().to_sunday_zero_offset()) != 0,
            Self::Dates(first, last) => (*first..=*last).contains(&wall.date()),
            Self::Yearly(first, last) => {
                let day = (wall.month(), wall.day());
                if first <= last { (*first..=*last).contains(&day) } else { day >= *first || day <= *last }
            }
            Self::Hours(from, to) => {
                let minute = minute_of(wall);
                if from < to { (*from..*to).contains(&minute) } else { minute >= *from || minute < *to }
            }
        }
    }

    /// Returns when it ends, at the earliest, for a time that it excludes.
    pub(super) fn end(&self, wall: DateTime) -> DateTime {
        match self {
            Self::Dates(_, last) => midnight_after(*last),
            Self::Hours(from, to) if from >= to && minute_of(wall) >= *from => {
                on_the_clock(midnight_after(wall.date()).date(), *to)
            }
            Self::Hours(_, to) => on_the_clock(wall.date(), *to),
            Self::Weekdays(_) | Self::Yearly(..) => midnight_after(wall.date()),
        }
    }

    /// Returns when it began, at the latest, for a time that it excludes.
    pub(super) fn start(&self, wall: DateTime) -> DateTime {
        match self {
            Self::Dates(first, _) => first.to_datetime(Time::midnight()),
            Self::Hours(from, to) if from >= to && minute_of(wall) < *to => {
                on_the_clock(wall.date().saturating_sub(1.day()), *from)
            }
            Self::Hours(from, _) => on_the_clock(wall.date(), *from),
            Self::Weekdays(_) | Self::Yearly(..) => wall.date().to_datetime(Time::midnight()),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weekdays(bits) => f.write_str(&weekday_names(*bits)),
            Self::Dates(first, last) if first == last => write!(f, "{first}"),
            Self::Dates(first, last) => write!(f, "{first}..{last}"),
            Self::Yearly((month, day), last) if (month, day) == (&last.0, &last.1) => {
                write!(f, "{month:02}-{day:02}")
            }
            Self::Yearly(first, last) => {
                write!(f, "{:02}-{:02}..{:02}-{:02}", first.0, first.1, last.0, last.1)
            }
            Self::Hours(from, to) => {
                write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
            }
        }
    }
}

fn wrong(token: &str, wrong: &str) -> ScheduleError {
    ScheduleError::Calendar {
        token: token.to_owned(),
        wrong: format!(
            "{wrong}; type a weekday (`sat`), a date (`2026-12-24`, `12-25` for every year), dates \
             (`2026-12-24..2027-01-01`) or hours (`22:00-06:00`)"
        ),
    }
}

/// Reads `12-25`; 29 February is a day of some years.
fn month_and_day(text: &str) -> Option<(i8, i8)> {
    let (month, day) = text.split_once('-').filter(|_| text.len() == 5)?;
    let date = Date::new(2000, month.parse().ok()?, day.parse().ok()?).ok()?;
    Some((date.month(), date.day()))
}

fn hours(text: &str) -> Option<Rule> {
    let (from, to) = text.split_once('-')?;
    let (from, to) = (minute(from)?, minute(to)?);
    (from != to && from < DAY_MINUTES).then_some(Rule::Hours(from, to))
}

fn minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute) = (hour.parse::<u32>().ok()?, minute.parse::<u32>().ok()?);
    let whole = hour.checked_mul(60)?.checked_add(minute)?;
    (minute < 60 && whole <= DAY_MINUTES).then_some(whole)
}

fn minute_of(wall: DateTime) -> u32 {
    u32::from(wall.hour().unsigned_abs()) * 60 + u32::from(wall.minute().unsigned_abs())
}

fn midnight_after(date: Date) -> DateTime {
    date.saturating_add(1.day()).to_datetime(Time::midnight())
}

fn on_the_clock(date: Date, minute: u32) -> DateTime {
    date.to_datetime(Time::midnight()).saturating_add(i64::from(minute).minutes())
}
