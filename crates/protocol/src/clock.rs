//! Time as the platform sees it: an integer newtype and the clock that everybody is handed.

use std::fmt;
use std::future::Future;
use std::ops::{Add, Sub};
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

#[cfg(feature = "testing")]
mod manual;

#[cfg(feature = "testing")]
pub use manual::ManualClock;

/// Counts microseconds since 1970-01-01T00:00:00Z, as Unix does: leap seconds do not exist.
///
/// Rows, leases and due times all use it. Its text form is the one that Python's
/// `datetime.isoformat()` writes for UTC (`2026-11-22T03:44:17.619136+00:00`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The first instant, 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// Takes microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Takes milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Returns microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Returns whole milliseconds since the Unix epoch, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Returns how long `earlier` lies back, or zero where it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Converts to the civil-time library; a value outside of its range is moved to the nearest end.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }

    /// Converts from the civil-time library, dropping what is below a microsecond.
    pub fn from_jiff(instant: jiff::Timestamp) -> Self {
        Self(instant.as_microsecond())
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// Moves forward; saturates at the end of time.
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    /// Moves back; saturates at the beginning of time.
    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text =
            if self.0 % 1_000_000 == 0 { "%Y-%m-%dT%H:%M:%S+00:00" } else { "%Y-%m-%dT%H:%M:%S.%6f+00:00" };
        write!(f, "{}", self.to_jiff().strftime(text))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads ISO 8601 as Celery's senders write it: with an offset, with `Z`, without either (then UTC),
/// or a date alone (then midnight UTC).
impl FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::from_jiff(instant));
        }
        let civil: jiff::civil::DateTime = text.parse()?;
        Ok(Self::from_jiff(civil.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp()))
    }
}

/// Resolves when an instant has come.
pub type WhenReached<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Tells the time and waits for it.
///
/// Nothing else in the platform may ask the system for the time: a test hands in a clock that it
/// moves by hand, and a server's own clock can take the node's place for leases.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Returns the present instant.
    fn now(&self) -> Timestamp;

    /// Returns how much time has passed since some instant, by a clock that nobody sets; `None` where there is none. What
    /// `now()` has moved more or less was a step.
    fn steady(&self) -> Option<Duration> {
        None
    }

    /// Resolves once `now()` has reached `instant`, at once if it already has; or once as much time has passed as was left
    /// until then, so that nobody sleeps for longer because the clock was set back meanwhile.
    fn sleep_until(&self, instant: Timestamp) -> WhenReached<'_>;

    /// Resolves after `period`, by this clock.
    fn sleep(&self, period: Duration) -> WhenReached<'_> {
        self.sleep_until(self.now() + period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_pythons_isoformat_and_reads_back() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00+00:00"),
            (1_795_319_057_619_136, "2026-11-22T03:44:17.619136+00:00"),
            (1_795_319_057_000_000, "2026-11-22T03:44:17+00:00"),
            (-1, "1969-12-31T23:59:59.999999+00:00"),
        ] {
            assert_eq!(Timestamp::from_micros(micros).to_string(), text);
            assert_eq!(text.parse::<Timestamp>().unwrap(), Timestamp::from_micros(micros));
        }
    }

    #[test]
    fn every_form_a_sender_may_write_is_read() {
        let midnight = "2030-01-01T00:00:00+00:00".parse::<Timestamp>().unwrap();
        for text in ["2030-01-01T00:00:00", "2030-01-01T00:00:00Z", "2030-01-01", "2030-01-01T01:00:00+01:00"]
        {
            assert_eq!(text.parse::<Timestamp>().unwrap(), midnight, "{text}");
        }
        for text in ["", "soon", "2030-13-01T00:00:00", "1735689600"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(
            Timestamp::from_micros(i64::MAX) + Duration::from_secs(1),
            Timestamp::from_micros(i64::MAX)
        );
        assert_eq!(Timestamp::EPOCH.since(Timestamp::from_micros(5)), Duration::ZERO);
    }
}
