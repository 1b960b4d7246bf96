//! What an attempt came to, and the pure decision that says so.

use std::time::Duration;

use crate::{JobError, RawValue, RetryPolicy, Timestamp};

/// The shortest wait that a job may ask for uncharged, since nothing else bounds how often it does.
pub const SHORTEST_SNOOZE: Duration = Duration::from_millis(100);

/// What running the task gave, before anybody has judged it.
pub type RunResult = Result<Box<RawValue>, RunError>;

/// An attempt that did not return a result.
#[derive(Clone, Debug)]
pub enum RunError {
    /// It failed in a way that may pass: retried while the policy allows.
    Retry(JobError),
    /// It failed and asks for its own delay, charged against `max_retries` (Celery's `self.retry(countdown=...)`).
    RetryIn(JobError, Duration),
    /// It failed for good: no retry, whatever the policy says.
    Discard(JobError),
    /// It asks to be cancelled, or was told to stop and did.
    Cancel(String),
    /// It is not ready yet and wants to be run again later, uncharged.
    Snooze(Duration),
}

/// What an attempt came to.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The job is completed with this result, as JSON.
    Succeeded(Box<RawValue>),
    /// The job runs again at `at`; one retry is charged.
    Retry {
        /// When it is due.
        at: Timestamp,
        /// Why this attempt failed.
        error: JobError,
    },
    /// The job runs again at `until`; nothing is charged.
    Snoozed {
        /// When it is due.
        until: Timestamp,
    },
    /// The job was stopped.
    Cancelled {
        /// Who or what stopped it.
        reason: String,
    },
    /// The job has failed for good and goes to the dead letters.
    Failed {
        /// Why.
        error: JobError,
    },
}

/// Decides what `result` comes to for a job that has used `retries` of its policy.
///
/// Pure: `now` and `draw` (uniform in `[0, 1)`, for jitter) are handed in.
pub fn judge(result: RunResult, retries: u32, policy: &RetryPolicy, now: Timestamp, draw: f64) -> Outcome {
    match result {
        Ok(value) => Outcome::Succeeded(value),
        Err(RunError::Retry(error)) if policy.allows(retries) => {
            Outcome::Retry { at: now + policy.delay(retries, draw), error }
        }
        Err(RunError::RetryIn(error, delay)) if policy.allows(retries) => {
            Outcome::Retry { at: now + delay, error }
        }
        Err(RunError::Retry(error) | RunError::RetryIn(error, _) | RunError::Discard(error)) => {
            Outcome::Failed { error }
        }
        Err(RunError::Cancel(reason)) => Outcome::Cancelled { reason },
        Err(RunError::Snooze(delay)) => Outcome::Snoozed { until: now + delay.max(SHORTEST_SNOOZE) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn check(result: RunResult, retries: u32, expected: &str) {
        let policy = RetryPolicy { jitter: false, ..RetryPolicy::default() };
        let outcome = judge(result, retries, &policy, Timestamp::EPOCH, 0.0);
        let told = match outcome {
            Outcome::Succeeded(value) => format!("succeeded {value}"),
            Outcome::Retry { at, error } => format!("retry at {} s: {error}", at.as_millis() / 1_000),
            Outcome::Snoozed { until } => format!("snoozed until {} s", until.as_millis() / 1_000),
            Outcome::Cancelled { reason } => format!("cancelled: {reason}"),
            Outcome::Failed { error } => format!("failed: {error}"),
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn every_result_is_judged() {
        let error = || JobError::new(ErrorKind::Error, "boom");
        let minute = Duration::from_secs(60);
        check(Ok(RawValue::from_string("5".into()).unwrap()), 0, "succeeded 5");
        check(Err(RunError::Retry(error())), 0, "retry at 1 s: boom");
        check(Err(RunError::Retry(error())), 2, "retry at 4 s: boom");
        check(Err(RunError::Retry(error())), 3, "failed: boom");
        check(Err(RunError::RetryIn(error(), minute)), 2, "retry at 60 s: boom");
        check(Err(RunError::RetryIn(error(), minute)), 3, "failed: boom");
        check(Err(RunError::Discard(error())), 0, "failed: boom");
        check(Err(RunError::Cancel("operator".into())), 9, "cancelled: operator");
        check(Err(RunError::Snooze(minute)), 9, "snoozed until 60 s");
    }
}
