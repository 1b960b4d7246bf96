//! Schedules in plain English.

use super::{DstNote, Interval, Schedule, Solar, SolarEvent};
use crate::Timestamp;

impl Schedule {
    /// Says in plain English when it fires, such as `at 02:30 on weekdays, Europe/Berlin`.
    pub fn describe(&self) -> String {
        match self {
            Self::Crontab(crontab) => format!("{}, {}", crontab.in_words(), crontab.zone()),
            Self::Interval(interval) => describe_interval(interval),
            Self::Clocked(clocked) => {
                let wall = clocked.wall();
                let form = if wall.second() == 0 { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d %H:%M:%S" };
                format!("once, at {}, {}", wall.strftime(form), clocked.zone())
            }
            Self::Solar(solar) => describe_solar(solar),
        }
    }

    /// Says what the next switches of the clocks do to it: one sentence for the next jump ahead that touches it and one
    /// for the next jump back, such as `on 2027-03-28 02:30 does not exist and runs at 03:00`.
    ///
    /// It looks some four years ahead; what no switch touches has none.
    pub fn dst_notes(&self, after: Timestamp) -> Vec<String> {
        match self {
            Self::Crontab(crontab) => crontab.dst_notes(after),
            Self::Clocked(clocked) => {
                let due = clocked.due();
                let on = |what: &str| format!("on {} {what}", clocked.wall().strftime("%Y-%m-%d %H:%M"));
                match due.note {
                    Some(DstNote::Missing { .. }) => {
                        let runs = clocked.zone().wall(due.at).strftime("%Y-%m-%d %H:%M");
                        vec![on(&format!("does not exist and runs at {runs}"))]
                    }
                    Some(_) => vec![on("comes twice and runs the first time only")],
                    None => Vec::new(),
                }
            }
            Self::Interval(_) | Self::Solar(_) => Vec::new(),
        }
    }
}

fn describe_interval(interval: &Interval) -> String {
    let (count, unit) = interval.in_words();
    let every = if count == 1 { format!("every {unit}") } else { format!("every {count} {unit}s") };
    // A day of an interval is no day on the wall.
    let every = if unit == "day" { format!("{every} of 24 hours") } else { every };
    interval.anchor().map_or(every.clone(), |anchor| format!("{every}, counted from {}", anchor.to_jiff()))
}

fn describe_solar(solar: &Solar) -> String {
    let event = match solar.event() {
        SolarEvent::DawnAstronomical => "astronomical dawn",
        SolarEvent::DawnNautical => "nautical dawn",
        SolarEvent::DawnCivil => "civil dawn",
        SolarEvent::Sunrise => "sunrise",
        SolarEvent::SolarNoon => "solar noon",
        SolarEvent::Sunset => "sunset",
        SolarEvent::DuskCivil => "civil dusk",
        SolarEvent::DuskNautical => "nautical dusk",
        SolarEvent::DuskAstronomical => "astronomical dusk",
    };
    let (latitude, longitude) = solar.place();
    let side = |degrees: f64, positive: &str, negative: &str| {
        format!("{}° {}", degrees.abs(), if degrees < 0.0 { negative } else { positive })
    };
    format!(
        "every day at {event} at {}, {}",
        side(latitude, "north", "south"),
        side(longitude, "east", "west")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_said_in_plain_english() {
        let check = |text: &str, expected: &str| {
            assert_eq!(text.parse::<Schedule>().unwrap().describe(), expected, "{text}");
        };
        check("30 2 * * mon-fri Europe/Berlin", "at 02:30 on weekdays, Europe/Berlin");
        check("30 2 * * *", "at 02:30 every day, UTC");
        check("0,30 2 * * sat,sun", "at 02:00 and 02:30 on weekends, UTC");
        check("0 9,12,17 * * mon,fri", "at 09:00, 12:00 and 17:00 on Mondays and Fridays, UTC");
        check("0 0 * * sun", "at 00:00 on Sundays, UTC");
        check("* * * * *", "every minute, UTC");
        check("*/5 * * * *", "every 5 minutes, UTC");
        check("*/7 * * * *", "every 7 minutes from each full hour, UTC");
        check("0 * * * *", "every hour, UTC");
        check("15 * * * *", "at minute 15 of every hour, UTC");
        check("0,15,20-25 * * * *", "at minutes 0, 15 and 20-25 of every hour, UTC");
        check("0 */2 * * *", "every 2 hours, UTC");
        check("15 */4 * * *", "at minute 15 of every 4th hour, UTC");
        check("*/15 9-17 * * mon-fri", "every 15 minutes of every hour from 09:00 to 17:59 on weekdays, UTC");
        check("*/20 2 * * *", "every 20 minutes from 02:00 to 02:59, UTC");
        check("0 9-17 * * *", "at minute 0 of every hour from 09:00 to 17:59, UTC");
        check("5,10 1,3,5,7 * * *", "at minutes 5 and 10 of hours 1, 3, 5 and 7, UTC");
        check("0 0 1 * *", "at 00:00 on day 1 of the month, UTC");
        check("0 0 1,15 * *", "at 00:00 on days 1 and 15 of the month, UTC");
        check("0 0 */2 * *", "at 00:00 on every 2nd day of the month, UTC");
        check("0 0 29 2 *", "at 00:00 on 29 February, UTC");
        check("0 0 1 1,7 *", "at 00:00 on 1 January and 1 July, UTC");
        check("0 0 * jun-aug *", "at 00:00 from June to August, UTC");
        check("0 6 * jan,jul mon", "at 06:00 on Mondays in January and July, UTC");
        check("0 0 13 * fri", "at 00:00 on day 13 of the month where that is a Friday, UTC");
        check("0 0 13 * fri vixie", "at 00:00 on day 13 of the month and on Fridays, UTC");
        check("* * * * * *", "every second, UTC");
        check("*/10 30 2 * * *", "every 10 seconds during 02:30, UTC");
        check("5,50 * 12 * * *", "at seconds 5 and 50 from 12:00 to 12:59, UTC");
        check("5 */2 * * * *", "at second 5 of every 2nd minute of every hour, UTC");
        check(
            "0,30 15 */3 * * *",
            "at seconds 0 and 30 of minute 15 of hours 0, 3, 6, 9, 12, 15, 18 and 21, UTC",
        );
        check("every 5m", "every 5 minutes");
        check("every 1h", "every hour");
        check(
            "every 7d from 2027-01-01T00:00Z",
            "every 7 days of 24 hours, counted from 2027-01-01T00:00:00Z",
        );
        check("at 2027-01-01T10:00 Europe/Berlin", "once, at 2027-01-01 10:00, Europe/Berlin");
        check("solar sunset 52.5,13.4", "every day at sunset at 52.5° north, 13.4° east");
        check("solar dawn_civil -33.9,-70.5", "every day at civil dawn at 33.9° south, 70.5° west");
    }

    #[test]
    fn the_next_switch_that_matters_is_told() {
        let check = |text: &str, after: &str, expected: &[&str]| {
            let notes = text.parse::<Schedule>().unwrap().dst_notes(after.parse().unwrap());
            assert_eq!(notes, expected, "{text}");
        };
        check(
            "30 2 * * * Europe/Berlin",
            "2026-11-22",
            &[
                "on 2027-03-28 02:30 does not exist and runs at 03:00",
                "on 2027-10-31 02:30 comes twice and runs the first time only",
            ],
        );
        check(
            "*/30 2 * * * Europe/Berlin",
            "2026-11-22",
            &[
                "on 2027-03-28 the times from 02:00 to 02:30 do not exist and run once, at 03:00",
                "on 2027-10-31 the times from 02:00 to 02:30 come twice and run both times",
            ],
        );
        check(
            "30 * * * * Europe/Berlin",
            "2026-11-22",
            &[
                "on 2027-03-28 02:30 does not exist; it goes on at 03:30",
                "on 2027-10-31 02:30 comes twice and runs both times",
            ],
        );
        check(
            "*/30 1-3 * * * Europe/Berlin",
            "2026-11-22",
            &[
                "on 2027-03-28 the times from 02:00 to 02:30 do not exist; it goes on at 03:00",
                "on 2027-10-31 the times from 02:00 to 02:30 come twice and run both times",
            ],
        );
        check("30 12 * * * Europe/Berlin", "2026-11-22", &[]);
        check("30 2 * * * Asia/Kolkata", "2026-11-22", &[]);
        check(
            "30 12 * * * Pacific/Apia",
            "2011-12-01",
            &["on 2011-12-30 12:30 does not exist, nor does the day; nothing runs for it"],
        );
        check(
            "at 2027-03-28T02:30 Europe/Berlin",
            "2026-11-22",
            &["on 2027-03-28 02:30 does not exist and runs at 2027-03-28 03:00"],
        );
        check("every 5m", "2026-11-22", &[]);
    }
}
