//! The node's own clock: the one place that asks the system for the time.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use celeriac_protocol::{Clock, Timestamp, WhenReached};

/// How long one sleep lasts at most before the time is looked at again, so that a clock that was
/// set forward is noticed. One that was set back makes no sleep longer.
const LONGEST_NAP: Duration = Duration::from_secs(60);

/// From when steady time is counted.
#[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is handed")]
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Tells the node's wall-clock time.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is handed")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::EPOCH + since_epoch
    }

    fn steady(&self) -> Option<Duration> {
        Some(BEGINNING.elapsed())
    }

    fn sleep_until(&self, instant: Timestamp) -> WhenReached<'_> {
        Box::pin(async move {
            let steady_until = BEGINNING.elapsed() + instant.since(self.now());
            loop {
                let left = instant.since(self.now()).min(steady_until.saturating_sub(BEGINNING.elapsed()));
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LONGEST_NAP)).await;
            }
        })
    }
}
