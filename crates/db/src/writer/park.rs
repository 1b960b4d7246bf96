//! Driving a future on the calling thread, with a deadline and without a runtime.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

thread_local! {
    static WAKER: Waker = Waker::from(Arc::new(Unpark(thread::current())));
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs `future` to its end.
pub(crate) fn drive<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    WAKER.with(|waker| {
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(waker)) {
                return output;
            }
            thread::park();
        }
    })
}

/// Runs `future` for at most `limit`; returns nothing, and drops it, when that has passed.
pub(crate) fn drive_within<F: Future>(future: F, limit: Duration) -> Option<F::Output> {
    let mut future = pin!(future);
    let clock = Stopwatch::start();
    WAKER.with(|waker| {
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(waker)) {
                return Some(output);
            }
            let left = limit.checked_sub(clock.elapsed())?;
            thread::park_timeout(left);
        }
    })
}

/// Waits for `period`, or a little less when something else woke the thread.
pub(crate) fn pause(period: Duration) {
    thread::park_timeout(period);
}

/// Measures how long something takes. It is no clock: nothing that is stored comes from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "a deadline is measured here, no time is told")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn future_that_never_ends_is_given_up_at_the_limit() {
        assert_eq!(drive_within(std::future::pending::<()>(), Duration::from_millis(5)), None);
        assert_eq!(drive_within(async { 7 }, Duration::ZERO), Some(7));
    }

    #[test]
    fn future_woken_from_another_thread_ends() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let other = thread::spawn(move || sender.send(3).ok());
        assert_eq!(drive(receiver), Ok(3));
        other.join().unwrap();
    }
}
