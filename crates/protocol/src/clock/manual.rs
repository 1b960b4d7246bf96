//! A clock that a test moves by hand.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{Clock, Timestamp, WhenReached};

/// Stands still until a test moves it; everybody who sleeps on it wakes as their instant is passed.
#[derive(Clone, Debug)]
pub struct ManualClock {
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    steady: Duration,
    sleepers: Vec<Sleeper>,
    next_sleeper: u64,
}

#[derive(Debug)]
struct Sleeper {
    id: u64,
    until: Until,
    waker: Waker,
}

/// What somebody sleeps for: whichever comes first.
#[derive(Clone, Copy, Debug)]
struct Until {
    instant: Timestamp,
    steady: Duration,
}

impl Default for ManualClock {
    /// Starts at 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self::at(Timestamp::from_millis(1_767_225_600_000))
    }
}

impl ManualClock {
    /// Starts at `now`.
    pub fn at(now: Timestamp) -> Self {
        let state = State { now, steady: Duration::ZERO, sleepers: Vec::new(), next_sleeper: 0 };
        Self { state: Arc::new((Mutex::new(state), Condvar::new())) }
    }

    /// Moves forward by `period` and wakes whoever is due.
    pub fn advance(&self, period: Duration) {
        let mut state = self.lock();
        let now = state.now + period;
        state.steady += period;
        state.move_to(now);
    }

    /// Moves to `instant`, forwards or back, and wakes whoever is due. As much time passes as it moves forward.
    pub fn set(&self, instant: Timestamp) {
        let mut state = self.lock();
        let passed = instant.since(state.now);
        state.steady += passed;
        state.move_to(instant);
    }

    /// Sets it wrong, or right: moves to `instant` while no time passes.
    pub fn step(&self, instant: Timestamp) {
        self.lock().move_to(instant);
    }

    /// Blocks the calling thread until at least `count` sleepers wait on this clock.
    ///
    /// It is the signal by which a test knows that the code under it has come to rest.
    pub fn wait_for_sleepers(&self, count: usize) {
        let mut state = self.lock();
        while state.sleepers.len() < count {
            state = self.state.1.wait(state).expect("no holder of the clock's lock panics");
        }
    }

    /// Returns how many sleepers wait on this clock.
    pub fn sleepers(&self) -> usize {
        self.lock().sleepers.len()
    }

    /// Returns the nearest instant that somebody sleeps for.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.lock().sleepers.iter().map(|sleeper| sleeper.until.instant).min()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().expect("no holder of the clock's lock panics")
    }
}

impl State {
    fn move_to(&mut self, instant: Timestamp) {
        self.now = instant;
        let (now, steady) = (self.now, self.steady);
        for sleeper in self.sleepers.extract_if(.., |sleeper| sleeper.until.has_come(now, steady)) {
            sleeper.waker.wake();
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    fn steady(&self) -> Option<Duration> {
        Some(self.lock().steady)
    }

    fn sleep_until(&self, instant: Timestamp) -> WhenReached<'_> {
        let state = self.lock();
        let until = Until { instant, steady: state.steady + instant.since(state.now) };
        Box::pin(Sleep { clock: self.clone(), until, id: None })
    }
}

struct Sleep {
    clock: ManualClock,
    until: Until,
    id: Option<u64>,
}

impl Until {
    fn has_come(self, now: Timestamp, steady: Duration) -> bool {
        self.instant <= now || self.steady <= steady
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut state = clock.lock();
        if self.until.has_come(state.now, state.steady) {
            return Poll::Ready(());
        }
        let id = self.id.unwrap_or(state.next_sleeper);
        if self.id.is_none() {
            state.next_sleeper += 1;
            self.id = Some(id);
        }
        state.sleepers.retain(|sleeper| sleeper.id != id);
        state.sleepers.push(Sleeper { id, until: self.until, waker: cx.waker().clone() });
        clock.state.1.notify_all();
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.clock.lock().sleepers.retain(|sleeper| sleeper.id != id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_sleeps_for_longer_because_the_clock_was_set_back() {
        let clock = ManualClock::default();
        let mut sleep = clock.sleep(Duration::from_secs(10));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(sleep.as_mut().poll(&mut cx).is_pending());
        clock.step(Timestamp::EPOCH);
        clock.advance(Duration::from_secs(9));
        assert!(sleep.as_mut().poll(&mut cx).is_pending());
        clock.advance(Duration::from_secs(1));
        assert!(sleep.as_mut().poll(&mut cx).is_ready());
    }
}
