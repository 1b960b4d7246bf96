//! The recurrence rules of redbeat: `rrule` of python-dateutil, after RFC 5545.
//!
//! Those that a crontab or an interval can say are turned into one; the others have no place here.

use celeriac_protocol::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::Deserialize;
use serde_json::Value;

use super::definition::{Fields, Timing};
use super::redbeat::Scheduled;

/// A rule as redbeat writes it. Times are seconds since 1970 with the offset in minutes beside them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Rule {
    freq: u8,
    interval: Option<i64>,
    count: Option<i64>,
    dtstart: Option<i64>,
    dtstart_tz: f64,
    until: Option<i64>,
    bysetpos: Value,
    bymonth: Value,
    bymonthday: Value,
    byyearday: Value,
    byeaster: Value,
    byweekno: Value,
    byweekday: Value,
    byhour: Value,
    byminute: Value,
    bysecond: Value,
}

const YEARLY: u8 = 0;
const MONTHLY: u8 = 1;
const WEEKLY: u8 = 2;
const DAILY: u8 = 3;
const HOURLY: u8 = 4;
const MINUTELY: u8 = 5;

/// The length of one period in seconds, from weeks to seconds.
const LENGTHS: [i64; 5] = [604_800, 86_400, 3_600, 60, 1];

impl Rule {
    /// Says it in another way.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn scheduled(&self) -> Result<Scheduled, String> {
        if let Some(count) = self.count {
            return Err(format!("its rrule ends after {count} runs, and counts them from its start"));
        }
        let unsaid = [
            ("bysetpos", &self.bysetpos),
            ("byyearday", &self.byyearday),
            ("byeaster", &self.byeaster),
            ("byweekno", &self.byweekno),
        ];
        if let Some((name, _)) = unsaid.into_iter().find(|(_, value)| !is_empty(value)) {
            return Err(format!("its rrule has `{name}`, which neither a crontab nor an interval can say"));
        }
        let start = self.dtstart.ok_or("its rrule has no start")?;
        let timing = match self.plain_length() {
            Some(seconds) => {
                let micros = seconds.checked_mul(1_000_000).ok_or("its rrule's interval is too long")?;
                Timing::Interval { micros, relative: false, anchor: Some(instant(start)) }
            }
            None => self.crontab(start)?,
        };
        Ok(Scheduled { timing, start_at: Some(instant(start)), end_at: self.until.map(instant) })
    }

    /// Returns the length between two times in seconds, where nothing but that picks them.
    fn plain_length(&self) -> Option<i64> {
        let picks =
            [&self.bymonth, &self.bymonthday, &self.byweekday, &self.byhour, &self.byminute, &self.bysecond];
        let unit = LENGTHS.get(usize::from(self.freq.checked_sub(WEEKLY)?))?;
        let every = self.interval.unwrap_or(1);
        (every > 0 && picks.iter().all(|value| is_empty(value))).then(|| unit.checked_mul(every)).flatten()
    }

    fn crontab(&self, start: i64) -> Result<Timing, String> {
        if self.interval.unwrap_or(1) != 1 {
            return Err("its rrule picks times and leaves some of them out by its interval".to_owned());
        }
        let (wall, zone) = self.wall(start)?;
        // What a rule leaves open is that of its start.
        let days_are_open = [&self.bymonthday, &self.byweekday].iter().all(|value| is_empty(value));
        let or = |value: &Value, is_open: bool, of_start: i8| match is_empty(value) {
            true if is_open => of_start.to_string(),
            true => "*".to_owned(),
            false => String::new(),
        };
        let second = numbers(&self.bysecond, "bysecond", 0..=59)?;
        let minute = numbers(&self.byminute, "byminute", 0..=59)?;
        let hour = numbers(&self.byhour, "byhour", 0..=23)?;
        let month = numbers(&self.bymonth, "bymonth", 1..=12)?;
        let day = numbers(&self.bymonthday, "bymonthday", 1..=31)?;
        let weekday = weekdays(&self.byweekday)?;
        let freq = self.freq;
        let monday_first = wall.weekday().to_sunday_zero_offset();
        Ok(Timing::Crontab {
            fields: Fields {
                second: second + &or(&self.bysecond, freq <= MINUTELY, wall.second()),
                minute: minute + &or(&self.byminute, freq <= HOURLY, wall.minute()),
                hour: hour + &or(&self.byhour, freq <= DAILY, wall.hour()),
                day_of_month: day + &or(&self.bymonthday, days_are_open && freq <= MONTHLY, wall.day()),
                month_of_year: month + &or(&self.bymonth, days_are_open && freq == YEARLY, wall.month()),
                day_of_week: weekday + &or(&self.byweekday, days_are_open && freq == WEEKLY, monday_first),
            },
            zone: Some(zone),
        })
    }

    /// Returns the start on its own wall, and the zone that always has its offset.
    fn wall(&self, start: i64) -> Result<(DateTime, String), String> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "an offset is a day at most, and is refused otherwise"
        )]
        let minutes = self.dtstart_tz as i32;
        let hours = minutes / 60;
        // In these names what lies east of Greenwich has a minus.
        let zone = match hours {
            0 => "UTC".to_owned(),
            _ => format!("Etc/GMT{:+}", -hours),
        };
        if minutes % 60 != 0 || !(-12..=14).contains(&hours) {
            return Err(format!(
                "its rrule is in an offset of {minutes} minutes, for which there is no zone"
            ));
        }
        let offset = Offset::from_seconds(minutes * 60).map_err(|error| error.to_string())?;
        Ok((offset.to_datetime(instant(start).to_jiff()), zone))
    }
}

fn instant(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds.saturating_mul(1_000_000))
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// Lists the numbers of a part, which may be one; nothing where the part is not there.
fn numbers(value: &Value, name: &str, range: std::ops::RangeInclusive<i64>) -> Result<String, String> {
    let one = |value: &Value| {
        let number = value.as_i64().filter(|number| range.contains(number));
        number.map(|number| number.to_string()).ok_or_else(|| format!("its rrule's {name} has {value}"))
    };
    let list = match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().map(one).collect::<Result<_, _>>()?,
        value => vec![one(value)?],
    };
    Ok(list.join(","))
}

/// Lists days of the week in the manner of crontabs. In rules Monday is 0.
fn weekdays(value: &Value) -> Result<String, String> {
    let one = |value: &Value| {
        let number = value.as_i64().or_else(|| value["wkday"].as_i64()).filter(|day| (0..=6).contains(day));
        number
            .map(|day| ((day + 1) % 7).to_string())
            .ok_or_else(|| format!("its rrule's byweekday has {value}"))
    };
    let list = match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().map(one).collect::<Result<_, _>>()?,
        value => vec![one(value)?],
    };
    Ok(list.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// 2026-11-02 09:30:15 in UTC, a Monday.
    const START: i64 = 1_793_611_815;

    fn scheduled(mut rule: Value) -> Result<Timing, String> {
        rule["dtstart"] = START.into();
        serde_json::from_value::<Rule>(rule).unwrap().scheduled().map(|scheduled| scheduled.timing)
    }

    #[test]
    fn a_rule_that_picks_nothing_is_an_interval_from_its_start() {
        let check = |rule: Value, seconds: i64| {
            let anchor = Some(instant(START));
            let expected = Timing::Interval { micros: seconds * 1_000_000, relative: false, anchor };
            assert_eq!(scheduled(rule.clone()), Ok(expected), "{rule}");
        };
        check(json!({"freq": 3, "interval": 3}), 259_200);
        check(json!({"freq": 2, "interval": 2, "byweekday": null}), 1_209_600);
        check(json!({"freq": 6, "interval": 90, "byhour": []}), 90);
    }

    #[test]
    fn a_rule_that_picks_times_is_a_crontab_with_what_its_start_adds() {
        let check = |rule: Value, expected: &str, zone: &str| {
            let Ok(Timing::Crontab { fields: f, zone: Some(found) }) = scheduled(rule.clone()) else {
                panic!("{rule}: {:?}", scheduled(rule.clone()))
            };
            let parts = [f.second, f.minute, f.hour, f.day_of_month, f.month_of_year, f.day_of_week];
            assert_eq!((parts.join(" ").as_str(), found.as_str()), (expected, zone), "{rule}");
        };
        check(json!({"freq": 2, "byweekday": [0, 2, 4], "byhour": [8, 20]}), "15 30 8,20 * * 1,3,5", "UTC");
        check(json!({"freq": 2, "byhour": 7, "bysecond": 0}), "0 30 7 * * 1", "UTC");
        check(json!({"freq": 3, "byhour": [7], "byminute": [0], "bysecond": [0]}), "0 0 7 * * *", "UTC");
        check(json!({"freq": 1}), "15 30 9 2 * *", "UTC");
        check(json!({"freq": 1, "byweekday": [{"__type__": "weekday", "wkday": 6}]}), "15 30 9 * * 0", "UTC");
        check(json!({"freq": 0}), "15 30 9 2 11 *", "UTC");
        check(json!({"freq": 0, "bymonth": [1, 7]}), "15 30 9 2 1,7 *", "UTC");
        check(json!({"freq": 4, "byhour": [9, 17]}), "15 30 9,17 * * *", "UTC");
        check(json!({"freq": 5, "byhour": [9]}), "15 * 9 * * *", "UTC");
        check(json!({"freq": 1, "dtstart_tz": 60}), "15 30 10 2 * *", "Etc/GMT-1");
        check(json!({"freq": 1, "dtstart_tz": -300}), "15 30 4 2 * *", "Etc/GMT+5");
    }

    #[test]
    fn a_rule_that_nothing_else_can_say_is_left_out() {
        let check = |rule: Value, reason: &str| {
            let refused = scheduled(rule.clone()).unwrap_err();
            assert!(refused.contains(reason), "{rule}: {refused}");
        };
        check(json!({"freq": 3, "count": 5}), "after 5 runs");
        check(json!({"freq": 1, "byweekday": 4, "bysetpos": -1}), "`bysetpos`");
        check(json!({"freq": 1, "bymonthday": [-1]}), "bymonthday has -1");
        check(json!({"freq": 2, "interval": 2, "byweekday": [0, 2]}), "leaves some of them out");
        check(json!({"freq": 1, "interval": 2}), "leaves some of them out");
        check(json!({"freq": 1, "dtstart_tz": 330}), "330 minutes");
    }
}
