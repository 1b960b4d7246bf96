//! Retry arithmetic: how often, and how long to wait in between.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Retries granted where nothing else is said: Celery's `max_retries`, so 3 retries are 4 attempts.
pub const DEFAULT_MAX_RETRIES: u32 = 3;

/// How long to wait before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Backoff {
    /// The same wait every time: Celery's `default_retry_delay`.
    Fixed {
        /// The wait.
        delay: Duration,
    },
    /// `base`, `2 base`, `4 base` ... but never above `cap`: Celery's `retry_backoff` and `retry_backoff_max`.
    Exponential {
        /// The first wait.
        base: Duration,
        /// The longest wait.
        cap: Duration,
    },
}

/// Says how failures of one task are retried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Retries after the first attempt; `None` never gives up.
    pub max_retries: Option<u32>,
    /// The wait before each.
    pub backoff: Backoff,
    /// Whether a wait is drawn at random from its upper half, so that jobs that failed together
    /// do not come back together.
    pub jitter: bool,
}

impl Default for RetryPolicy {
    /// Three retries, waiting 1 s, 2 s, 4 s (less jitter), never above ten minutes.
    fn default() -> Self {
        Self {
            max_retries: Some(DEFAULT_MAX_RETRIES),
            backoff: Backoff::Exponential { base: Duration::from_secs(1), cap: Duration::from_secs(600) },
            jitter: true,
        }
    }
}

impl RetryPolicy {
    /// Says whether a job that has used `retries` may have one more.
    pub fn allows(&self, retries: u32) -> bool {
        self.max_retries.is_none_or(|max| retries < max)
    }

    /// Returns the wait before retry number `retries + 1`; `draw` is uniform in `[0, 1)`.
    ///
    /// With jitter the wait lies in `[half, full)` of the computed one. Celery draws from the whole
    /// range; that may retry at once, which helps nobody, so the lower half is left out here.
    pub fn delay(&self, retries: u32, draw: f64) -> Duration {
        let full = match self.backoff {
            Backoff::Fixed { delay } => delay,
            Backoff::Exponential { base, cap } => base
                .checked_mul(1_u32.checked_shl(retries).unwrap_or(u32::MAX))
                .map_or(cap, |wait| wait.min(cap)),
        };
        if self.jitter { full.mul_f64(0.5 + draw.clamp(0.0, 1.0) / 2.0) } else { full }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_never_overflow() {
        let base = Duration::from_secs(2);
        let cap = Duration::from_secs(60);
        let policy =
            RetryPolicy { max_retries: None, backoff: Backoff::Exponential { base, cap }, jitter: false };
        for (retries, seconds) in
            [(0, 2), (1, 4), (2, 8), (4, 32), (5, 60), (31, 60), (32, 60), (u32::MAX, 60)]
        {
            assert_eq!(policy.delay(retries, 0.5), Duration::from_secs(seconds), "retries {retries}");
        }
    }

    #[test]
    fn jitter_stays_in_the_upper_half() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.delay(1, 0.0), Duration::from_secs(1));
        assert!(policy.delay(1, 0.999_999) < Duration::from_secs(2));
    }

    #[test]
    fn three_retries_are_four_attempts() {
        let policy = RetryPolicy::default();
        assert_eq!((0..10).take_while(|retries| policy.allows(*retries)).count(), 3);
    }
}
