//! How one host is treated: how many requests at a time, how far apart, and how long to stay away.
//!
//! Pure rules over a host's state. The state lives in a row that is claimed together with the rows of the
//! host's pages, so that a pause holds for all workers together and not for each of them.

use std::time::Duration;

use celeriac_protocol::Timestamp;
use thiserror::Error;

use super::error::FetchError;

/// No setting of time may be longer than this; a host that must wait for more is a host to switch off.
const WAIT_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Beyond this, doubling has long reached any cap.
const DOUBLINGS_MAX: u32 = 20;

/// Says how hosts are treated. The defaults are those of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostPolicy {
    /// How many requests may be under way at a time, where the host's pause is shorter than
    /// [`exclusive_delay`](Self::exclusive_delay). 2.
    pub concurrency: u32,
    /// The least pause between two requests, whatever robots.txt says. 0.5 s.
    pub min_delay: Duration,
    /// The longest Crawl-delay that is obeyed; a longer one is cut to this. 300 s.
    pub crawl_delay_max: Duration,
    /// From this pause on, requests do not overlap, and the pause is counted from the end of one to the
    /// beginning of the next. Below it, it is counted from beginning to beginning, so that one slow page
    /// does not hold up the rest. 1 s.
    pub exclusive_delay: Duration,
    /// How long the first stay away lasts after a host said "too much" without saying for how long, or
    /// failed too often. Each further one in a row lasts twice as long. 10 s.
    pub backoff_start: Duration,
    /// The longest stay away of one's own accord. 15 min.
    pub backoff_max: Duration,
    /// The longest stay away that the host may ask for. 1 h.
    pub retry_after_max: Duration,
    /// How many failures in a row, other than "too much", make the host as a whole suspect. 5.
    pub failures_max: u32,
}

impl Default for HostPolicy {
    fn default() -> Self {
        Self {
            concurrency: 2,
            min_delay: Duration::from_millis(500),
            crawl_delay_max: Duration::from_secs(300),
            exclusive_delay: Duration::from_secs(1),
            backoff_start: Duration::from_secs(10),
            backoff_max: Duration::from_secs(15 * 60),
            retry_after_max: Duration::from_secs(60 * 60),
            failures_max: 5,
        }
    }
}

/// What is known of one host; a row has the same columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostState {
    /// The Crawl-delay of its robots.txt, as written.
    pub crawl_delay: Option<Duration>,
    /// The earliest instant at which the next request may begin.
    pub next_allowed_at: Timestamp,
    /// How many requests are under way.
    pub in_flight: u32,
    /// Until when the host is left alone because it asked for it or fails; nothing if it is well.
    pub parked_until: Option<Timestamp>,
    /// How many times in a row it did not answer, or said "too much".
    pub failures: u32,
    /// How many stays away in a row led to nothing better.
    pub backoffs: u32,
}

/// What one request told about its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostSignal {
    /// It answered; a page that is missing or forbidden is an answer too.
    Answered,
    /// It said that this is too much (429 or 503), perhaps for how long.
    Overloaded {
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// It failed in another way that may pass: 5xx, a time-out, no connection.
    Failed {
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// Nothing was asked of it, so nothing is known.
    NotAsked,
}

impl HostPolicy {
    /// Checks that the settings make sense together.
    ///
    /// # Errors
    /// [`HostPolicyError`], which names the setting.
    pub fn validate(&self) -> Result<(), HostPolicyError> {
        if self.concurrency == 0 || self.failures_max == 0 {
            let name = if self.concurrency == 0 { "concurrency" } else { "failures_max" };
            return Err(HostPolicyError { name, expected: "at least 1" });
        }
        for (name, value) in [
            ("min_delay", self.min_delay),
            ("crawl_delay_max", self.crawl_delay_max),
            ("exclusive_delay", self.exclusive_delay),
            ("backoff_start", self.backoff_start),
            ("backoff_max", self.backoff_max),
            ("retry_after_max", self.retry_after_max),
        ] {
            if value > WAIT_MAX {
                return Err(HostPolicyError { name, expected: "at most a week" });
            }
        }
        if self.backoff_start.is_zero() || self.backoff_start > self.backoff_max {
            return Err(HostPolicyError {
                name: "backoff_start",
                expected: "above zero, up to \"backoff_max\"",
            });
        }
        Ok(())
    }

    /// Returns the pause between two requests to the host.
    pub fn delay(&self, host: &HostState) -> Duration {
        host.crawl_delay.unwrap_or_default().min(self.crawl_delay_max).max(self.min_delay)
    }

    /// Returns how many more requests may be begun now. None before its time, none while it is parked.
    pub fn free_slots(&self, host: &HostState, now: Timestamp) -> u32 {
        if self.next_start(host) > now {
            return 0;
        }
        self.slots(host).saturating_sub(host.in_flight)
    }

    /// Returns the earliest instant at which a request may begin, if a slot is free then.
    pub fn next_start(&self, host: &HostState) -> Timestamp {
        host.next_allowed_at.max(host.parked_until.unwrap_or(Timestamp::EPOCH))
    }

    /// Takes a slot for a request, and returns when it may begin: at once or soon. Nothing if none is free.
    ///
    /// The caller waits until then. Taking several slots at once spaces them, as far as `ahead` allows.
    pub fn reserve(&self, host: &mut HostState, now: Timestamp, ahead: Duration) -> Option<Timestamp> {
        let start = self.next_start(host).max(now);
        if host.in_flight >= self.slots(host) || start > now + ahead {
            return None;
        }
        host.in_flight += 1;
        host.next_allowed_at = start + self.delay(host);
        Some(start)
    }

    /// Gives the slot back and draws the conclusions from what the request told.
    pub fn settle(&self, host: &mut HostState, signal: HostSignal, now: Timestamp) {
        host.in_flight = host.in_flight.saturating_sub(1);
        if self.is_exclusive(host) && signal != HostSignal::NotAsked {
            host.next_allowed_at = host.next_allowed_at.max(now + self.delay(host));
        }
        match signal {
            HostSignal::NotAsked => {}
            HostSignal::Answered => self.recover(host, now),
            HostSignal::Overloaded { retry_after } => {
                host.failures = host.failures.saturating_add(1);
                self.park(host, retry_after, now);
            }
            HostSignal::Failed { retry_after } => {
                host.failures = host.failures.saturating_add(1);
                if retry_after.is_some() || host.failures >= self.failures_max {
                    self.park(host, retry_after, now);
                }
            }
        }
    }

    fn slots(&self, host: &HostState) -> u32 {
        if self.is_exclusive(host) { 1 } else { self.concurrency }
    }

    fn is_exclusive(&self, host: &HostState) -> bool {
        let delay = self.delay(host);
        !delay.is_zero() && delay >= self.exclusive_delay
    }

    /// An answer to a request from before a stay away does not end it.
    fn recover(&self, host: &mut HostState, now: Timestamp) {
        if host.parked_until.is_some_and(|until| until > now) {
            return;
        }
        host.failures = 0;
        host.backoffs = 0;
        host.parked_until = None;
    }

    /// Several requests under way when the host falls over count as one stay away.
    fn park(&self, host: &mut HostState, retry_after: Option<Duration>, now: Timestamp) {
        let is_parked = host.parked_until.is_some_and(|until| until > now);
        if !is_parked {
            host.backoffs = host.backoffs.saturating_add(1);
        }
        let doublings = host.backoffs.saturating_sub(1).min(DOUBLINGS_MAX);
        let own = self.backoff_start.saturating_mul(1 << doublings).min(self.backoff_max);
        let wait = retry_after.map_or(own, |asked| asked.min(self.retry_after_max));
        host.parked_until = host.parked_until.max(Some(now + wait));
    }
}

impl HostSignal {
    /// Reads what a failed fetch tells about the host that it was meant for.
    pub fn of_error(error: &FetchError) -> Self {
        let retry_after = error.retry_after();
        match error {
            FetchError::Unavailable { status: 429 | 503, .. } => Self::Overloaded { retry_after },
            FetchError::RobotsUnreachable { .. }
            | FetchError::BadUrl { .. }
            | FetchError::UrlTooLong { .. }
            | FetchError::BadHeader { .. }
            | FetchError::Refused { .. } => Self::NotAsked,
            _ if error.is_retryable() => Self::Failed { retry_after },
            _ => Self::Answered,
        }
    }
}

/// Says which setting of the politeness makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("use this value for \"{name}\": expected {expected}")]
pub struct HostPolicyError {
    /// The setting.
    pub name: &'static str,
    /// What is possible.
    pub expected: &'static str,
}

#[cfg(test)]
mod tests;
