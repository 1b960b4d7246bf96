//! Which times on the wall a crontab names, with no thought of zones.

use jiff::civil::Date;

use super::field::{greatest_to, least_from};
use super::{Crontab, Dialect};
use crate::schedule::zone::{civil, wall_seconds};

/// How far ahead and back a time is looked for.
///
/// The rarest day is 29 February on a given weekday, which around a century without a leap day (2100) is 40 years away
/// from the one before.
const HORIZON_YEARS: i16 = 41;

/// The number of months that all have at most `n` days is settled by these lengths, February's at its longest.
const LONGEST: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

const DAY: i64 = 86_400;

impl Crontab {
    /// Says whether any year has a day that the fields name.
    pub(super) fn has_a_day(&self) -> bool {
        let some_month =
            self.month.numbers().any(|month| self.day_of_month.first() <= LONGEST[month as usize - 1]);
        some_month || (self.either_day_is_enough() && self.day_of_week.bits != 0)
    }

    /// Says whether one matching field of days is enough.
    pub(super) fn either_day_is_enough(&self) -> bool {
        let named = self.day_of_month.step().is_none() && self.day_of_week.step().is_none();
        self.dialect == Dialect::Vixie && named
    }

    /// Returns the earliest time that matches and is not before a given one.
    pub(super) fn wall_from(&self, from: i64) -> Option<i64> {
        let (date, second) = split(from);
        let day = self.day_from(date)?;
        if day == date
            && let Some(second) = self.time_from(second)
        {
            return Some(join(day, second));
        }
        let day = if day == date { self.day_from(date.tomorrow().ok()?)? } else { day };
        Some(join(day, self.first_time()))
    }

    /// Returns the latest time that matches and is not after a given one.
    pub(super) fn wall_upto(&self, upto: i64) -> Option<i64> {
        let (date, second) = split(upto);
        let day = self.day_upto(date)?;
        if day == date
            && let Some(second) = self.time_upto(second)
        {
            return Some(join(day, second));
        }
        let day = if day == date { self.day_upto(date.yesterday().ok()?)? } else { day };
        Some(join(day, self.last_time()))
    }

    /// Says whether a time matches.
    pub(super) fn matches(&self, wall: i64) -> bool {
        self.wall_from(wall) == Some(wall)
    }

    fn first_time(&self) -> u32 {
        clock(self.hour.first(), self.minute.first(), self.second.first())
    }

    fn last_time(&self) -> u32 {
        clock(self.hour.last(), self.minute.last(), self.second.last())
    }

    fn time_from(&self, from: u32) -> Option<u32> {
        let (hour, minute, second) = (from / 3600, from / 60 % 60, from % 60);
        if self.hour.has(hour) {
            if self.minute.has(minute)
                && let Some(second) = self.second.at_least(second)
            {
                return Some(clock(hour, minute, second));
            }
            if let Some(minute) = self.minute.at_least(minute + 1) {
                return Some(clock(hour, minute, self.second.first()));
            }
        }
        let hour = self.hour.at_least(hour + 1)?;
        Some(clock(hour, self.minute.first(), self.second.first()))
    }

    fn time_upto(&self, upto: u32) -> Option<u32> {
        let (hour, minute, second) = (upto / 3600, upto / 60 % 60, upto % 60);
        if self.hour.has(hour) {
            if self.minute.has(minute)
                && let Some(second) = self.second.at_most(second)
            {
                return Some(clock(hour, minute, second));
            }
            let earlier = minute.checked_sub(1).and_then(|minute| self.minute.at_most(minute));
            if let Some(minute) = earlier {
                return Some(clock(hour, minute, self.second.last()));
            }
        }
        let hour = self.hour.at_most(hour.checked_sub(1)?)?;
        Some(clock(hour, self.minute.last(), self.second.last()))
    }

    fn day_from(&self, from: Date) -> Option<Date> {
        let (mut year, mut month, mut day) = parts(from);
        let last = year.saturating_add(HORIZON_YEARS);
        while year <= last {
            if self.month.has(month)
                && let Some(found) = least_from(self.days_of(year, month)?, day)
            {
                return date(year, month, found);
            }
            match self.month.at_least(month + 1) {
                Some(later) => month = later,
                None => (year, month) = (year + 1, self.month.first()),
            }
            day = 1;
        }
        None
    }

    fn day_upto(&self, upto: Date) -> Option<Date> {
        let (mut year, mut month, mut day) = parts(upto);
        let last = year.saturating_sub(HORIZON_YEARS);
        while year >= last {
            if self.month.has(month)
                && let Some(found) = greatest_to(self.days_of(year, month)?, day)
            {
                return date(year, month, found);
            }
            match self.month.at_most(month - 1) {
                Some(earlier) => month = earlier,
                None => (year, month) = (year - 1, self.month.last()),
            }
            day = 31;
        }
        None
    }

    /// Returns the days of a month that match, bit `n` for day `n`; nothing where the civil calendar ends.
    fn days_of(&self, year: i16, month: u32) -> Option<u64> {
        let first = date(year, month, 1)?;
        let existing = (1_u64 << (first.days_in_month() + 1)) - 2;
        let weekdays = by_weekday(self.day_of_week.bits, first);
        let named = if self.either_day_is_enough() {
            self.day_of_month.bits | weekdays
        } else {
            self.day_of_month.bits & weekdays
        };
        Some(named & existing)
    }
}

/// Spreads weekdays over the days of a month whose first is given.
fn by_weekday(weekdays: u64, first: Date) -> u64 {
    let shift = first.weekday().to_sunday_zero_offset();
    // Bit 0 is now the weekday of the first.
    let week = ((weekdays >> shift) | (weekdays << (7 - shift))) & 0x7f;
    (week | week << 7 | week << 14 | week << 21 | week << 28) << 1
}

fn clock(hour: u32, minute: u32, second: u32) -> u32 {
    hour * 3600 + minute * 60 + second
}

fn split(wall: i64) -> (Date, u32) {
    let second = u32::try_from(wall.rem_euclid(DAY)).unwrap_or(0);
    (civil(wall).date(), second)
}

fn join(date: Date, second: u32) -> i64 {
    wall_seconds(date.to_datetime(jiff::civil::Time::midnight())) + i64::from(second)
}

fn parts(date: Date) -> (i16, u32, u32) {
    (date.year(), u32::from(date.month().unsigned_abs()), u32::from(date.day().unsigned_abs()))
}

fn date(year: i16, month: u32, day: u32) -> Option<Date> {
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::DateTime;

    use super::*;
    use crate::schedule::Zone;

    fn at(text: &str) -> i64 {
        wall_seconds(text.parse::<DateTime>().unwrap())
    }

    #[track_caller]
    fn check(dialect: Dialect, text: &str, from: &str, expected: &str) {
        let crontab = Crontab::parse(text, dialect, Zone::UTC).unwrap();
        let found = crontab.wall_from(at(from)).unwrap();
        assert_eq!(civil(found), expected.parse::<DateTime>().unwrap(), "{text} from {from}");
        assert_eq!(crontab.wall_upto(found), Some(found), "{text}: back from {expected}");
        assert_eq!(crontab.wall_from(found), Some(found), "{text}");
        if found > at(from) {
            let before = crontab.wall_upto(found - 1).unwrap();
            assert!(before < at(from), "{text}: {} lies between {from} and {expected}", civil(before));
            assert_eq!(crontab.wall_from(before + 1), Some(found), "{text}: on from {}", civil(before));
        }
    }

    #[test]
    fn the_next_time_is_found_field_by_field() {
        let celery = |text, from, expected| check(Dialect::Celery, text, from, expected);
        celery("* * * * *", "2026-01-01T00:00:00", "2026-01-01T00:00:00");
        celery("* * * * *", "2026-01-01T00:00:01", "2026-01-01T00:01:00");
        celery("30 2 * * *", "2026-01-01T02:30:01", "2026-01-02T02:30:00");
        celery("30 2 * * mon-fri", "2026-11-20T03:00:00", "2026-11-23T02:30:00");
        celery("59 23 31 12 *", "2026-12-31T23:59:01", "2027-12-31T23:59:00");
        celery("*/15 9-17 * * *", "2026-05-05T17:45:01", "2026-05-06T09:00:00");
        celery("0 0 29 2 *", "2024-02-29T00:00:01", "2028-02-29T00:00:00");
        celery("0 0 29 2 *", "2096-03-01T00:00:00", "2104-02-29T00:00:00");
        celery("0 0 29 2 mon", "2072-03-01T00:00:00", "2112-02-29T00:00:00");
        celery("0 0 31 * *", "2026-04-01T00:00:00", "2026-05-31T00:00:00");
        celery("0 0 * feb *", "2026-03-01T00:00:00", "2027-02-01T00:00:00");
        celery("*/20 59 23 * * *", "2026-12-31T23:59:41", "2027-01-01T23:59:00");
        celery("5,50 * 12 * * *", "2026-12-31T12:30:06", "2026-12-31T12:30:50");
    }

    #[test]
    fn days_must_both_match_for_celery_and_either_for_cron() {
        check(Dialect::Celery, "0 0 13 * fri", "2026-03-14T00:00:00", "2026-11-13T00:00:00");
        check(Dialect::Vixie, "0 0 13 * fri", "2026-03-14T00:00:00", "2026-03-20T00:00:00");
        // A star in one of them leaves the other to decide.
        check(Dialect::Vixie, "0 0 * * fri", "2026-03-14T00:00:00", "2026-03-20T00:00:00");
        check(Dialect::Vixie, "0 0 */2 * fri", "2026-03-14T00:00:00", "2026-03-27T00:00:00");
    }

    #[test]
    fn the_search_ends_with_the_civil_calendar() {
        let crontab = Crontab::parse("0 0 1 1 *", Dialect::Celery, Zone::UTC).unwrap();
        assert_eq!(crontab.wall_from(at("9999-06-01T00:00:00")), None);
        let feb = Crontab::parse("0 0 1 2 *", Dialect::Celery, Zone::UTC).unwrap();
        assert_eq!(feb.wall_upto(at("-009999-01-15T00:00:00")), None);
    }
}
