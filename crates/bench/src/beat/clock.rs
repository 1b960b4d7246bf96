//! A clock that runs faster than the world's, the same for all who are told its pivot.

use std::time::Duration;

use celeriac_engine::SystemClock;
use celeriac_protocol::{Clock, Timestamp, WhenReached};

/// Tells a time that runs `speed` times as fast as the node's, from an instant at which both agree.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct ScaledClock {
    /// The instant at which both agree, in microseconds.
    #[arg(long)]
    pivot_micros: i64,
    #[arg(long)]
    speed: u32,
}

impl ScaledClock {
    /// Lets time run faster from now on.
    pub(crate) fn starting_now(speed: u32) -> Self {
        Self { pivot_micros: SystemClock.now().as_micros(), speed }
    }

    /// Writes it as another process is told.
    pub(crate) fn arguments(self) -> [String; 4] {
        let (pivot, speed) = (self.pivot_micros.to_string(), self.speed.to_string());
        ["--pivot-micros".to_owned(), pivot, "--speed".to_owned(), speed]
    }

    /// Returns its present instant.
    pub(crate) fn told(self) -> Timestamp {
        self.now()
    }

    /// Returns the real instant at which it tells `told`.
    pub(crate) fn real(self, told: Timestamp) -> Timestamp {
        self.pivot() + told.since(self.pivot()) / self.speed
    }

    fn pivot(self) -> Timestamp {
        Timestamp::from_micros(self.pivot_micros)
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> Timestamp {
        self.pivot() + SystemClock.now().since(self.pivot()).saturating_mul(self.speed)
    }

    fn steady(&self) -> Option<Duration> {
        SystemClock.steady().map(|steady| steady.saturating_mul(self.speed))
    }

    fn sleep_until(&self, instant: Timestamp) -> WhenReached<'_> {
        // Rounded up, so that the time has come when the sleeper wakes.
        let real = self.real(instant) + Duration::from_micros(1);
        Box::pin(async move { SystemClock.sleep_until(real).await })
    }
}
