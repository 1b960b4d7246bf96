//! What goes wrong again and again is said in the log seldom, and whole.

use std::error::Error;
use std::time::Duration;

use celeriac_protocol::{Timestamp, error_text};

/// The shortest time between two lines of the log about one thing.
const BETWEEN_LINES: Duration = Duration::from_mins(1);

/// Counts what happens often, to be told once a minute at most.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    untold: u64,
    told_at: Option<Timestamp>,
}

impl Counted {
    /// Counts one more; returns how many there were since it was last told, where it is time to tell.
    pub(crate) fn count(&mut self, now: Timestamp) -> Option<u64> {
        self.untold += 1;
        if !is_time(self.told_at, now) {
            return None;
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

/// Remembers why something does not work, to be told when it begins and when the reason is another one, once a minute
/// at most.
#[derive(Debug, Default)]
pub(crate) struct Fault {
    told: Option<String>,
    told_at: Option<Timestamp>,
}

impl Fault {
    /// Says in the log what does not work and why, where that is to be told.
    pub(crate) fn tell(&mut self, error: &(dyn Error + 'static), now: Timestamp, what: &str) {
        let error = error_text(error);
        if self.is_news(&error, now) {
            tracing::warn!(error, "{what}");
        }
    }

    /// Says whether this reason is to be told.
    fn is_news(&mut self, reason: &str, now: Timestamp) -> bool {
        let is_news = self.told.as_deref() != Some(reason) && is_time(self.told_at, now);
        if is_news {
            (self.told, self.told_at) = (Some(reason.to_owned()), Some(now));
        }
        is_news
    }

    /// Notes that it works: what stops it after this is told again.
    pub(crate) fn mend(&mut self) {
        self.told = None;
    }
}

fn is_time(told_at: Option<Timestamp>, now: Timestamp) -> bool {
    told_at.is_none_or(|told_at| now.since(told_at) >= BETWEEN_LINES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    #[test]
    fn what_happens_often_is_counted_and_told_once_a_minute() {
        let mut counted = Counted::default();
        let told = [0, 1, 59, 60, 61, 200].map(|at| counted.count(second(at)));
        assert_eq!(told, [Some(1), None, None, Some(3), None, Some(2)]);
    }

    #[test]
    fn fault_is_told_at_first_and_when_its_reason_changes() {
        let mut fault = Fault::default();
        let said = [("a", 0), ("a", 90), ("b", 91), ("c", 92), ("c", 151), ("c", 300)];
        let told = said.map(|(reason, at)| fault.is_news(reason, second(at)));
        assert_eq!(told, [true, false, true, false, true, false]);
        fault.mend();
        assert!(fault.is_news("c", second(301)));
    }
}
