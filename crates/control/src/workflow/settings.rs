//! How a workflow runs.

use std::time::Duration;

use celeriac_protocol::{Backoff, RetryPolicy};

/// How a workflow runs. Every value can be set by file and environment, per workflow: `[workflow.page]`,
/// `CELERIAC_WORKFLOW__PAGE__BATCH_SIZE`, `PAGE_SCHEDULER_BATCH_SIZE`.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkflowSettings {
    /// Whether it runs at all.
    pub enabled: bool,
    /// How long it rests when there is nothing to do (`<NAME>_SCHEDULER_INTERVAL_MINUTES`). Rows
    /// that the platform itself adds wake it at once.
    pub interval: Duration,
    /// How many rows one claim takes, and how many are processed side by side
    /// (`<NAME>_SCHEDULER_BATCH_SIZE`).
    pub batch_size: usize,
    /// How many runs may go on at a time, in the whole cluster (`<NAME>_SCHEDULER_MAX_INSTANCES`).
    pub max_instances: u32,
    /// Whether a run goes on while rows are due, or takes one batch per interval as a throttle.
    pub continuous: bool,
    /// How long a claim holds unless renewed; also how long the rows of a killed worker wait.
    pub lease: Duration,
    /// How many times a row is tried before it ends in *error*.
    pub max_attempts: u32,
    /// The wait before a row is tried again.
    pub backoff: Backoff,
    /// How long one row may take before it counts as failed.
    pub item_limit: Duration,
    /// How long one run may go on before it hands over to the next; a run of 0 takes one batch.
    pub run_limit: Duration,
}

impl Default for WorkflowSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(60),
            batch_size: 10,
            max_instances: 1,
            continuous: true,
            lease: Duration::from_secs(60),
            max_attempts: 3,
            backoff: Backoff::Exponential { base: Duration::from_secs(5), cap: Duration::from_secs(600) },
            item_limit: Duration::from_secs(300),
            run_limit: Duration::from_secs(300),
        }
    }
}

/// The most rows that one claim may take.
pub const MAX_BATCH_SIZE: usize = 10_000;

/// A setting with a value that it can't have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("set {setting} = {value}: {reason}")]
pub struct SettingsError {
    /// The setting.
    pub setting: &'static str,
    /// Its value.
    pub value: String,
    /// What is wrong.
    pub reason: &'static str,
}

impl WorkflowSettings {
    /// Checks every value.
    ///
    /// # Errors
    /// The first that can't be.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let fail = |setting, value: String, reason| Err(SettingsError { setting, value, reason });
        if self.batch_size == 0 || self.batch_size > MAX_BATCH_SIZE {
            return fail("batch_size", self.batch_size.to_string(), "1 to 10000 are possible");
        }
        if self.max_instances == 0 {
            return fail("max_instances", "0".to_owned(), "to stop a workflow, disable it");
        }
        if self.max_attempts == 0 {
            return fail("max_attempts", "0".to_owned(), "no row would ever be tried");
        }
        if self.interval.is_zero() {
            return fail("interval", "0".to_owned(), "the workflow would never rest");
        }
        if self.item_limit.is_zero() {
            return fail("item_limit", "0".to_owned(), "every row would fail at once");
        }
        if self.lease < Duration::from_secs(1) {
            return fail(
                "lease",
                format!("{:?}", self.lease),
                "below a second it would end between two renewals",
            );
        }
        Ok(())
    }

    /// Returns how failures are retried, in the words of jobs.
    pub(crate) fn retry(&self) -> RetryPolicy {
        RetryPolicy {
            max_retries: Some(self.max_attempts.saturating_sub(1)),
            backoff: self.backoff,
            jitter: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_cannot_be_are_named() {
        let good = WorkflowSettings::default();
        good.validate().unwrap();
        for (bad, expected) in [
            (
                WorkflowSettings { batch_size: 0, ..good.clone() },
                "set batch_size = 0: 1 to 10000 are possible",
            ),
            (
                WorkflowSettings { max_instances: 0, ..good.clone() },
                "set max_instances = 0: to stop a workflow, disable it",
            ),
            (
                WorkflowSettings { max_attempts: 0, ..good.clone() },
                "set max_attempts = 0: no row would ever be tried",
            ),
        ] {
            assert_eq!(bad.validate().unwrap_err().to_string(), expected);
        }
    }
}
