//! Where the sun stands, and when it stands at a given height.
//!
//! Days are counted from J2000 (2000-01-01T12:00 UTC), angles are in degrees. The difference between UTC and the time
//! of the ephemeris, about a minute, moves the sun by a thousandth of a degree and is left out.

use std::ops::RangeInclusive;

use crate::Timestamp;

/// A place on the globe, in degrees north and east.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) latitude: f64,
    pub(super) longitude: f64,
}

/// A height above the horizon.
#[derive(Clone, Copy)]
pub(super) enum Height {
    /// Of the sun's centre.
    Centre(f64),
    /// Of the sun's upper rim.
    UpperRim(f64),
}

/// J2000 in microseconds since 1970.
const J2000_MICROS: f64 = 946_728_000.0 * 1e6;

const DAY_MICROS: f64 = 86_400.0 * 1e6;

/// Halvings of half a day until what is left is far below a second.
const HALVINGS: usize = 30;

/// Steps until noon is found to far below a second; each leaves a thousandth of the error before it.
const NOON_STEPS: usize = 3;

/// Returns the number of the solar day whose noon is nearest to an instant.
pub(super) fn day_of(instant: Timestamp, longitude: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a timestamp's days are far below 2^53")]
    let day = (days(instant) + longitude / 360.0).round() as i64;
    day
}

impl Place {
    /// Returns when the sun stands highest on a day.
    pub(super) fn noon(self, day: i64) -> Timestamp {
        timestamp(self.transit(day))
    }

    /// Returns when the sun comes up past a height, if it does on that day.
    pub(super) fn rises_past(self, day: i64, height: Height) -> Option<Timestamp> {
        let noon = self.transit(day);
        self.crossing(noon - 0.5..=noon, height)
    }

    /// Returns when the sun goes down past a height, if it does on that day.
    pub(super) fn sinks_past(self, day: i64, height: Height) -> Option<Timestamp> {
        let noon = self.transit(day);
        self.crossing(noon + 0.5..=noon, height)
    }

    fn transit(self, day: i64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a timestamp's days are far below 2^53")]
        let mut at = day as f64 - self.longitude / 360.0;
        for _ in 0..NOON_STEPS {
            at -= Sun::at(at).hour_angle(at, self.longitude) / 360.0;
        }
        at
    }

    /// Finds the crossing between midnight, where the sun must be below the height, and noon, where it must be above.
    fn crossing(self, from_midnight_to_noon: RangeInclusive<f64>, height: Height) -> Option<Timestamp> {
        let (mut below, mut above) = from_midnight_to_noon.into_inner();
        if self.above(below, height) || !self.above(above, height) {
            return None;
        }
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(below, above);
            if self.above(middle, height) { above = middle } else { below = middle }
        }
        Some(timestamp(above))
    }

    fn above(self, at: f64, height: Height) -> bool {
        let sun = Sun::at(at);
        let (latitude, hour) = (self.latitude.to_radians(), sun.hour_angle(at, self.longitude).to_radians());
        let sine =
            latitude.sin() * sun.declination.sin() + latitude.cos() * sun.declination.cos() * hour.cos();
        let centre = sine.clamp(-1.0, 1.0).asin().to_degrees();
        match height {
            Height::Centre(height) => centre > height,
            Height::UpperRim(height) => centre + sun.radius > height,
        }
    }
}

/// The sun as the centre of the earth sees it.
struct Sun {
    /// In degrees.
    ascension: f64,
    /// In radians.
    declination: f64,
    /// Half its apparent width, in degrees.
    radius: f64,
}

impl Sun {
    /// Computes its apparent place to about a hundredth of a degree (Meeus, chapter 25).
    fn at(day: f64) -> Self {
        let century = day / 36_525.0;
        let mean_longitude = 280.466_46 + century * (36_000.769_83 + century * 0.000_303_2);
        let anomaly = (357.529_11 + century * (35_999.050_29 - century * 0.000_153_7)).to_radians();
        let eccentricity = 0.016_708_634 - century * 0.000_042_037;
        let centre = (1.914_602 - century * (0.004_817 + century * 0.000_014)) * anomaly.sin()
            + (0.019_993 - century * 0.000_101) * (2.0 * anomaly).sin()
            + 0.000_289 * (3.0 * anomaly).sin();
        let node = (125.04 - 1_934.136 * century).to_radians();
        let longitude = (mean_longitude + centre - 0.005_69 - 0.004_78 * node.sin()).to_radians();
        let obliquity = (23.439_291 - 0.013_004_2 * century + 0.002_56 * node.cos()).to_radians();
        let true_anomaly = anomaly + centre.to_radians();
        let distance =
            1.000_001_018 * (1.0 - eccentricity * eccentricity) / (1.0 + eccentricity * true_anomaly.cos());
        Self {
            ascension: (obliquity.cos() * longitude.sin()).atan2(longitude.cos()).to_degrees(),
            declination: (obliquity.sin() * longitude.sin()).asin(),
            radius: 0.266_563 / distance,
        }
    }

    /// Returns how far west of the meridian it stands, from -180 to 180.
    fn hour_angle(&self, day: f64, longitude: f64) -> f64 {
        let century = day / 36_525.0;
        let sidereal = 280.460_618_37 + 360.985_647_366_29 * day + 0.000_387_933 * century * century;
        let angle = sidereal + longitude - self.ascension;
        angle - 360.0 * (angle / 360.0).round()
    }
}

fn days(instant: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a due time of the sun is a whole second")]
    let micros = instant.as_micros() as f64;
    (micros - J2000_MICROS) / DAY_MICROS
}

/// Rounds to a whole second, so that machines whose sines differ in the last digit agree on a due time.
fn timestamp(day: f64) -> Timestamp {
    let seconds = ((day * DAY_MICROS + J2000_MICROS) / 1e6).round();
    #[expect(clippy::cast_possible_truncation, reason = "it saturates, and dates of the sun are near")]
    let seconds = seconds as i64;
    Timestamp::from_micros(seconds.saturating_mul(1_000_000))
}
