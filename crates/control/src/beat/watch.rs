//! What time it is for the beat: the server's where there is one, and whether a clock was set.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use celeriac_protocol::{Clock, Timestamp};
use celeriac_store::StoreError;
use celeriac_store::query::schedules::server_time;
use sea_orm::ConnectionTrait;

/// A step shorter than this is not told of: clocks are slewed all the time, and a busy machine looks late.
const TOLD_STEP: Duration = Duration::from_secs(2);

/// How far the node's clock may be from the server's before that is told.
const TOLD_SKEW: Duration = Duration::from_secs(2);

/// Whose clock says what is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BeatClock {
    /// The database server's, so that all schedulers have one; the process's own on a file.
    #[default]
    Database,
    /// The process's own, for tests in which it runs faster.
    Own,
}

/// Is responsible for knowing the time: it asks the server's clock, and notices when a clock was set.
#[derive(Debug, Default)]
pub(super) struct Watch {
    clock: BeatClock,
    seen: Mutex<Seen>,
}

/// What was seen last.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    own: Option<(Timestamp, Duration)>,
    /// By how many microseconds the server is ahead, as it was told last.
    told_skew: i64,
}

/// The time, as the beat takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    /// The present instant.
    pub(super) now: Timestamp,
    /// By how many microseconds it is ahead of the process's own clock.
    ahead: i64,
    /// Whether the process's own clock was set back since it was last asked.
    pub(super) was_set_back: bool,
}

impl Time {
    /// Returns an instant as the process's own clock will tell it.
    pub(super) fn on_own_clock(self, at: Timestamp) -> Timestamp {
        shifted(at, self.ahead.saturating_neg())
    }

    /// Returns the present instant, as `clock` has moved on since.
    pub(super) fn again(self, clock: &dyn Clock) -> Timestamp {
        shifted(clock.now(), self.ahead)
    }
}

impl Watch {
    pub(super) fn new(clock: BeatClock) -> Self {
        Self { clock, seen: Mutex::default() }
    }

    /// Tells the time, and logs when a clock was set or is wrong.
    pub(super) async fn look(
        &self,
        clock: &dyn Clock,
        reader: &impl ConnectionTrait,
    ) -> Result<Time, StoreError> {
        let before = clock.now();
        let step = self.step(before, clock.steady());
        step.inspect(|step| tell_step(*step));
        let server = match self.clock {
            BeatClock::Database => server_time(reader).await?,
            BeatClock::Own => None,
        };
        let own = clock.now();
        let ahead = server.map_or(0, |server| difference(server, middle(before, own)));
        self.tell_skew(ahead);
        Ok(Time { now: shifted(own, ahead), ahead, was_set_back: step.is_some_and(|step| step < 0) })
    }

    /// Returns by how many microseconds the clock was set since it was last looked at.
    fn step(&self, now: Timestamp, steady: Option<Duration>) -> Option<i64> {
        let steady = steady?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (then, steady_then) = seen.own.replace((now, steady))?;
        let step = difference(now, then + steady.saturating_sub(steady_then));
        (step.unsigned_abs() >= micros(TOLD_STEP)).then_some(step)
    }

    fn tell_skew(&self, ahead: i64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if ahead.abs_diff(seen.told_skew) < micros(TOLD_SKEW) {
            return;
        }
        seen.told_skew = ahead;
        if ahead.unsigned_abs() < micros(TOLD_SKEW) {
            tracing::info!("the clock of this machine and the database server's agree again");
        } else {
            let (by, side) =
                (Duration::from_micros(ahead.unsigned_abs()), if ahead > 0 { "behind" } else { "ahead of" });
            tracing::warn!(
                ?by,
                "the clock of this machine is {side} the database server's, which schedules go by"
            );
        }
    }
}

fn tell_step(step: i64) {
    let (by, way) = (Duration::from_micros(step.unsigned_abs()), if step > 0 { "ahead" } else { "back" });
    let after = if step > 0 {
        "what fell due meanwhile is caught up with as each schedule says"
    } else {
        "what was due until then has run, and does not run again"
    };
    tracing::warn!(?by, "the clock was set {way}, or the machine slept; {after}");
}

fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}

fn difference(later: Timestamp, earlier: Timestamp) -> i64 {
    later.as_micros().saturating_sub(earlier.as_micros())
}

fn shifted(at: Timestamp, by: i64) -> Timestamp {
    Timestamp::from_micros(at.as_micros().saturating_add(by))
}

fn middle(before: Timestamp, after: Timestamp) -> Timestamp {
    before + after.since(before) / 2
}

#[cfg(test)]
mod tests {
    use celeriac_protocol::ManualClock;

    use super::*;

    #[test]
    fn a_clock_that_is_set_is_noticed_once_with_the_size_of_the_step() {
        let (watch, clock) = (Watch::default(), ManualClock::default());
        let step = || watch.step(clock.now(), clock.steady());
        let hour = Duration::from_secs(3_600);
        assert_eq!(step(), None);
        clock.advance(hour);
        assert_eq!(step(), None, "time has passed");
        clock.step(clock.now() + hour);
        clock.advance(Duration::from_secs(1));
        assert_eq!(step(), Some(3_600_000_000));
        assert_eq!(step(), None);
        clock.step(clock.now() - hour);
        assert_eq!(step(), Some(-3_600_000_000));
        clock.step(clock.now() - Duration::from_millis(500));
        assert_eq!(step(), None, "too little to be told");
    }

    #[test]
    fn an_instant_is_waited_for_by_the_own_clock() {
        let time = Time { now: Timestamp::from_millis(5_000), ahead: 2_000_000, was_set_back: false };
        assert_eq!(time.on_own_clock(Timestamp::from_millis(9_000)), Timestamp::from_millis(7_000));
        let clock = ManualClock::at(Timestamp::from_millis(4_000));
        assert_eq!(time.again(&clock), Timestamp::from_millis(6_000));
    }
}
