//! How a workflow runs.

use std::time::Duration;

use celeriac_protocol::schedule::{Schedule, ScheduleError, Zone};
use celeriac_protocol::{Backoff, RetryPolicy, Span};

mod form;
mod grace;

pub use form::SettingsForm;

/// How a workflow runs. Every value can be set by file and environment, per workflow: `[workflow.page]`,
/// `CELERIAC_WORKFLOW__PAGE__BATCH_SIZE`, `PAGE_SCHEDULER_BATCH_SIZE`.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkflowSettings {
    /// Whether it runs at all.
    pub enabled: bool,
    /// How often its job is due (`<NAME>_SCHEDULER_INTERVAL_MINUTES`), where [`cron`](Self::cron) says nothing else.
    /// Rows that are announced start a run at once, unless it is throttled.
    pub interval: Duration,
    /// The crontab by which its job is due, in place of the interval: five fields, as in a schedule. Rows that are
    /// announced wait for it.
    pub cron: Option<String>,
    /// The zone in which the crontab is read, an IANA name; UTC where none is given.
    pub timezone: Option<String>,
    /// By how much at most a due time is put off, so that not all workflows begin at once.
    pub jitter: Duration,
    /// How late a due time may be met: what is later is missed, and the next is waited for. Without a limit the last of
    /// those that were missed is met, however late.
    pub misfire_grace: Option<Duration>,
    /// Whether several due times that are met together make one run.
    pub coalesce: bool,
    /// How many rows one claim takes, and how many are processed side by side
    /// (`<NAME>_SCHEDULER_BATCH_SIZE`).
    pub batch_size: usize,
    /// How many runs may go on at a time, in the whole cluster (`<NAME>_SCHEDULER_MAX_INSTANCES`).
    pub max_instances: u32,
    /// Whether a run goes on while rows are due, or takes one batch per due time as a throttle.
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
            cron: None,
            timezone: None,
            jitter: Duration::ZERO,
            misfire_grace: None,
            coalesce: true,
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

/// The most runs that may go on at a time.
const MAX_INSTANCES: u32 = 10_000;

/// A setting with a value that it can't have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("set {setting} = {value}: {reason}")]
pub struct SettingsError {
    /// The setting.
    pub setting: &'static str,
    /// Its value.
    pub value: String,
    /// What is wrong.
    pub reason: String,
}

/// What the text of a crontab begins with.
pub(crate) const CRONTAB: &str = "crontab ";

/// What is wrong with a setting: its name, its value, and the reason.
type Fault = (&'static str, String, String);

impl WorkflowSettings {
    /// Checks every value.
    ///
    /// # Errors
    /// The first that can't be.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let found = self.wrong_number().or_else(|| self.wrong_span()).or_else(|| self.wrong_time());
        found.map_or(Ok(()), |(setting, value, reason)| Err(SettingsError { setting, value, reason }))
    }

    fn wrong_number(&self) -> Option<Fault> {
        let wrong = |setting, value: &dyn ToString, reason: &str| {
            Some((setting, value.to_string(), reason.to_owned()))
        };
        if self.batch_size == 0 || self.batch_size > MAX_BATCH_SIZE {
            return wrong("batch_size", &self.batch_size, "1 to 10000 are possible");
        }
        if self.max_instances == 0 {
            return wrong("max_instances", &0, "to stop a workflow, disable it");
        }
        if self.max_instances > MAX_INSTANCES {
            return wrong("max_instances", &self.max_instances, "1 to 10000 are possible");
        }
        if self.max_attempts == 0 {
            return wrong("max_attempts", &0, "no row would ever be tried");
        }
        None
    }

    fn wrong_span(&self) -> Option<Fault> {
        let second = Duration::from_secs(1);
        let wrong = |setting, value: Duration, reason: &str| {
            Some((setting, Span(value).to_string(), reason.to_owned()))
        };
        if self.interval.is_zero() {
            return wrong("interval", self.interval, "the workflow would never rest");
        }
        if self.item_limit.is_zero() {
            return wrong("item_limit", self.item_limit, "every row would fail at once");
        }
        if self.lease < second {
            return wrong("lease", self.lease, "below a second it would end between two renewals");
        }
        if self.cron.is_none() && self.jitter > self.interval {
            return wrong(
                "jitter",
                self.jitter,
                "what is put off by more than the interval would pass the next",
            );
        }
        let grace = self.misfire_grace.filter(|grace| *grace < second)?;
        wrong("misfire_grace", grace, "below a second nearly every due time would be missed")
    }

    fn wrong_time(&self) -> Option<Fault> {
        let zone = match self.zone() {
            Ok(zone) => zone,
            Err(error) => return Some(("timezone", self.timezone.clone()?, error.to_string())),
        };
        let cron = self.cron.as_ref()?;
        match Schedule::parse_in(&self.spec(), &zone) {
            Ok(_) => None,
            Err(error) => Some(("cron", cron.clone(), error.to_string())),
        }
    }

    /// Returns when its job is due, in the text form of a schedule.
    pub(crate) fn spec(&self) -> String {
        match &self.cron {
            Some(cron) => format!("{CRONTAB}{cron}"),
            None => format!("every {}", Span(self.interval)),
        }
    }

    /// Returns the zone in which its crontab is read.
    fn zone(&self) -> Result<Zone, ScheduleError> {
        self.timezone.as_ref().map_or(Ok(Zone::UTC), |zone| zone.parse())
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
        let cron = |cron: &str| WorkflowSettings { cron: Some(cron.to_owned()), ..good.clone() };
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
            (
                WorkflowSettings { jitter: Duration::from_secs(61), ..good.clone() },
                "set jitter = 1m1s: what is put off by more than the interval would pass the next",
            ),
            (
                WorkflowSettings { misfire_grace: Some(Duration::ZERO), ..good.clone() },
                "set misfire_grace = 0s: below a second nearly every due time would be missed",
            ),
            (
                WorkflowSettings { timezone: Some("Europe/Berln".to_owned()), ..good.clone() },
                "set timezone = Europe/Berln: no time zone is called `Europe/Berln`; did you mean `Europe/Berlin`?",
            ),
        ] {
            assert_eq!(bad.validate().unwrap_err().to_string(), expected);
        }
        cron("0 2 * * mon-fri").validate().unwrap();
        for bad in ["0 2 * *", "every 5m", "0 25 * * *"] {
            assert_eq!(cron(bad).validate().unwrap_err().setting, "cron", "{bad}");
        }
    }
}
