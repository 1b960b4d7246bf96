//! Schedules by the sun: dawn, sunrise, noon, sunset and dusk at a place.

use std::fmt;
use std::str::FromStr;

use super::{Due, ScheduleError};
use crate::Timestamp;
use crate::suggest::closest;

mod sun;

/// Fires at an event of the sun's day, as seen from a place.
///
/// The events and their heights are Celery's, which asks the library ephem with its atmosphere switched off: the
/// sun's centre stands 18°, 12° or 6° below the horizon at astronomical, nautical and civil dawn and dusk, and its
/// upper rim 34′ below it at sunrise and sunset. The times are computed by the low-precision formulas of Meeus
/// (*Astronomical Algorithms*, chapter 25), rounded to a whole second; they lie within two minutes of ephem's (see the
/// tests), except where the sun only grazes the height in question.
///
/// A day without the event, as in summer and winter beyond the polar circles, has no due time; the next day that has it
/// is looked for within a year.
///
/// The next time costs some twenty microseconds, and in a polar night a hundred.
#[derive(Clone, Copy, PartialEq)]
pub struct Solar {
    event: SolarEvent,
    latitude: f64,
    longitude: f64,
}

/// An event of the sun's day, named as Celery names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SolarEvent {
    /// The sun's centre rises past 18° below the horizon.
    DawnAstronomical,
    /// The sun's centre rises past 12° below the horizon.
    DawnNautical,
    /// The sun's centre rises past 6° below the horizon.
    DawnCivil,
    /// The sun's upper rim appears.
    Sunrise,
    /// The sun stands highest.
    SolarNoon,
    /// The sun's upper rim vanishes.
    Sunset,
    /// The sun's centre sinks past 6° below the horizon.
    DuskCivil,
    /// The sun's centre sinks past 12° below the horizon.
    DuskNautical,
    /// The sun's centre sinks past 18° below the horizon.
    DuskAstronomical,
}

/// Days that are looked at for one that has the event; Celery looks as far.
const HORIZON_DAYS: i64 = 366;

impl SolarEvent {
    /// All events, in the order of a day.
    pub const ALL: [Self; 9] = [
        Self::DawnAstronomical,
        Self::DawnNautical,
        Self::DawnCivil,
        Self::Sunrise,
        Self::SolarNoon,
        Self::Sunset,
        Self::DuskCivil,
        Self::DuskNautical,
        Self::DuskAstronomical,
    ];

    /// Returns Celery's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DawnAstronomical => "dawn_astronomical",
            Self::DawnNautical => "dawn_nautical",
            Self::DawnCivil => "dawn_civil",
            Self::Sunrise => "sunrise",
            Self::SolarNoon => "solar_noon",
            Self::Sunset => "sunset",
            Self::DuskCivil => "dusk_civil",
            Self::DuskNautical => "dusk_nautical",
            Self::DuskAstronomical => "dusk_astronomical",
        }
    }
}

impl FromStr for SolarEvent {
    type Err = ScheduleError;

    fn from_str(name: &str) -> Result<Self, ScheduleError> {
        let lower = name.to_lowercase();
        let found = Self::ALL.into_iter().find(|event| event.as_str() == lower);
        found.ok_or_else(|| ScheduleError::UnknownEvent {
            name: name.to_owned(),
            hint: closest(&lower, Self::ALL.map(Self::as_str)).map(str::to_owned),
            known: Self::ALL.map(Self::as_str).join(", "),
        })
    }
}

impl Solar {
    /// Fires at an event of the sun at a place: degrees north and east, negative ones south and west.
    ///
    /// # Errors
    ///
    /// Fails where the latitude is not within ±90 or the longitude not within ±180.
    pub fn new(event: SolarEvent, latitude: f64, longitude: f64) -> Result<Self, ScheduleError> {
        let wrong = |wrong| ScheduleError::Place { text: format!("{latitude},{longitude}"), wrong };
        if !(-90.0..=90.0).contains(&latitude) {
            return Err(wrong("the latitude is not within -90 and 90"));
        }
        if !(-180.0..=180.0).contains(&longitude) {
            return Err(wrong("the longitude is not within -180 and 180"));
        }
        Ok(Self { event, latitude, longitude })
    }

    /// Reads a place as `52.5,13.4`.
    pub(super) fn parse(event: &str, place: &str) -> Result<Self, ScheduleError> {
        let event: SolarEvent = event.parse()?;
        let degrees = |text: &str| text.trim().parse::<f64>().ok().filter(|degrees| degrees.is_finite());
        let parts =
            place.split_once(',').map(|(latitude, longitude)| (degrees(latitude), degrees(longitude)));
        let Some((Some(latitude), Some(longitude))) = parts else {
            let wrong = "it is not two numbers with a comma between them";
            return Err(ScheduleError::Place { text: place.to_owned(), wrong });
        };
        Self::new(event, latitude, longitude)
    }

    /// Returns the event.
    pub fn event(&self) -> SolarEvent {
        self.event
    }

    /// Returns latitude and longitude, in degrees north and east.
    pub fn place(&self) -> (f64, f64) {
        (self.latitude, self.longitude)
    }

    /// Returns the first due time later than an instant.
    pub(super) fn next_after(&self, after: Timestamp) -> Option<Due> {
        let day = sun::day_of(after, self.longitude);
        (day - 1..=day + HORIZON_DAYS).find_map(|day| self.on(day).filter(|at| *at > after)).map(Due::plain)
    }

    /// Returns the last due time earlier than an instant.
    pub(super) fn previous_before(&self, before: Timestamp) -> Option<Due> {
        let day = sun::day_of(before, self.longitude);
        let days = (day - HORIZON_DAYS..=day + 1).rev();
        days.into_iter().find_map(|day| self.on(day).filter(|at| *at < before)).map(Due::plain)
    }

    fn on(&self, day: i64) -> Option<Timestamp> {
        let sun = sun::Place { latitude: self.latitude, longitude: self.longitude };
        match self.event {
            SolarEvent::DawnAstronomical => sun.rises_past(day, sun::Height::Centre(-18.0)),
            SolarEvent::DawnNautical => sun.rises_past(day, sun::Height::Centre(-12.0)),
            SolarEvent::DawnCivil => sun.rises_past(day, sun::Height::Centre(-6.0)),
            SolarEvent::Sunrise => sun.rises_past(day, sun::Height::UpperRim(-34.0 / 60.0)),
            SolarEvent::SolarNoon => Some(sun.noon(day)),
            SolarEvent::Sunset => sun.sinks_past(day, sun::Height::UpperRim(-34.0 / 60.0)),
            SolarEvent::DuskCivil => sun.sinks_past(day, sun::Height::Centre(-6.0)),
            SolarEvent::DuskNautical => sun.sinks_past(day, sun::Height::Centre(-12.0)),
            SolarEvent::DuskAstronomical => sun.sinks_past(day, sun::Height::Centre(-18.0)),
        }
    }
}

impl fmt::Display for SolarEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Solar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "solar {} {},{}", self.event, self.latitude, self.longitude)
    }
}

impl fmt::Debug for Solar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds that a due time may lie from ephem's where the sun climbs steeply.
    const NEAR: u64 = 12;

    /// The same near the circles, where the sun may graze the height for minutes.
    const NEAR_THE_POLES: u64 = 120;

    #[test]
    fn due_times_are_those_of_ephem() {
        let lines = include_str!("solar/ephem.tsv").lines().filter(|line| !line.starts_with('#')).skip(1);
        let mut checked = 0;
        for line in lines {
            let cells: Vec<&str> = line.split('\t').collect();
            let [event, latitude, longitude, after, expected] = *cells else { panic!("{line}") };
            let solar = Solar::parse(event, &format!("{latitude},{longitude}")).unwrap();
            let after: Timestamp = after.parse().unwrap();
            let expected: Timestamp = expected.parse().unwrap();
            let found = solar.next_after(after).unwrap().at;
            let apart = found.since(expected).max(expected.since(found)).as_secs();
            let near = if latitude.parse::<f64>().unwrap().abs() < 50.0 { NEAR } else { NEAR_THE_POLES };
            assert!(apart <= near, "{solar} after {after}: {found} is {apart} s from {expected}");
            assert_eq!(solar.previous_before(found + std::time::Duration::from_micros(1)).unwrap().at, found);
            checked += 1;
        }
        assert_eq!(checked, 594);
    }

    #[test]
    fn a_polar_night_waits_for_the_first_sunrise_and_the_poles_for_theirs() {
        let next = |latitude: f64, after: &str| {
            let solar = Solar::new(SolarEvent::Sunrise, latitude, 15.6).unwrap();
            solar
                .next_after(after.parse().unwrap())
                .map(|due| due.at.to_jiff().strftime("%Y-%m-%d").to_string())
        };
        for (latitude, after, expected) in [
            (78.2, "2026-11-01T00:00Z", Some("2027-02-16")),
            (78.2, "2026-04-25T00:00Z", Some("2026-08-24")),
            (0.0, "2026-06-01T00:00Z", Some("2026-06-01")),
        ] {
            assert_eq!(next(latitude, after).as_deref(), expected, "{latitude} after {after}");
        }
    }

    #[test]
    fn times_increase_day_by_day_for_a_year() {
        for event in SolarEvent::ALL {
            for (latitude, longitude) in [(0.0, 180.0), (0.0, -180.0), (60.0, 25.0), (-45.0, 170.5)] {
                let solar = Solar::new(event, latitude, longitude).unwrap();
                let mut at: Timestamp = "2026-01-01T00:00Z".parse().unwrap();
                for _ in 0..365 {
                    let next = solar.next_after(at).unwrap().at;
                    let back = solar.previous_before(next + std::time::Duration::from_micros(1)).unwrap();
                    assert!(next > at && back.at == next, "{solar} after {at}");
                    at = next;
                }
            }
        }
    }
}
