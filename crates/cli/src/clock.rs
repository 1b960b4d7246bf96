//! The clock that everybody is handed: the node's own, or in tests one that runs faster.

use std::sync::Arc;
use std::time::Duration;

use celeriac_engine::SystemClock;
use celeriac_protocol::{Clock, Timestamp, WhenReached};

use crate::error::{Code, Failure, Result};

/// Makes every process of a test tell the same faster time: `INSTANT*SPEED`, where `INSTANT` is the
/// instant at which it and the node's clock agree.
const VARIABLE: &str = "CELERIAC_TEST_CLOCK";

/// Returns the node's clock, or the one that the test's environment asks for.
#[expect(clippy::disallowed_methods, reason = "the command line alone reads the environment")]
pub(crate) fn from_environment() -> Result<Arc<dyn Clock>> {
    match std::env::var(VARIABLE) {
        Ok(text) => Ok(Arc::new(ScaledClock::parse(&text)?)),
        Err(_) => Ok(Arc::new(SystemClock)),
    }
}

/// Tells a time that runs `speed` times as fast as the node's, from an instant at which both agree.
#[derive(Clone, Copy, Debug)]
struct ScaledClock {
    pivot: Timestamp,
    speed: u32,
}

impl ScaledClock {
    fn parse(text: &str) -> Result<Self> {
        let parts = text.split_once('*').and_then(|(pivot, speed)| {
            Some(Self { pivot: pivot.parse().ok()?, speed: speed.parse().ok().filter(|speed| *speed > 0)? })
        });
        parts.ok_or_else(|| {
            Failure::failed_to(Code::ConfigInvalidValue, format_args!("read {VARIABLE}"))
                .because(format_args!("\"{text}\" is not INSTANT*SPEED"))
        })
    }

    fn at(self, real: Timestamp) -> Timestamp {
        self.pivot + real.since(self.pivot).saturating_mul(self.speed)
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> Timestamp {
        self.at(SystemClock.now())
    }

    fn steady(&self) -> Option<Duration> {
        SystemClock.steady().map(|steady| steady.saturating_mul(self.speed))
    }

    fn sleep_until(&self, instant: Timestamp) -> WhenReached<'_> {
        let real = self.pivot + instant.since(self.pivot) / self.speed;
        // Rounded up, so that the time has come when the sleeper wakes.
        Box::pin(async move { SystemClock.sleep_until(real + Duration::from_micros(1)).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_runs_faster_from_the_pivot_on() {
        let clock = ScaledClock::parse("2026-01-01T00:00:00Z*60").unwrap();
        let later = clock.pivot + Duration::from_secs(2);
        assert_eq!(clock.at(later), clock.pivot + Duration::from_secs(120));
    }

    #[test]
    fn what_is_no_clock_is_refused() {
        for text in ["", "60", "2026-01-01T00:00:00Z*0", "now*60"] {
            assert!(ScaledClock::parse(text).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn sleeping_is_over_when_the_scaled_time_has_come() {
        let clock = ScaledClock { pivot: SystemClock.now(), speed: 1_000 };
        let until = clock.now() + Duration::from_secs(3);
        clock.sleep_until(until).await;
        assert!(clock.now() >= until);
    }
}
