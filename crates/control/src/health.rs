//! Checks of what the platform stands on: broker, database, workers, disk, schedule. The command `doctor` and the periodic
//! task [`health_check()`] look by the same rules.

use std::borrow::Cow;
use std::time::Duration;

use celeriac_broker::BrokerError;
use celeriac_db::DbError;
use celeriac_protocol::error_text;
use celeriac_store::StoreError;
use serde::{Deserialize, Serialize};

use crate::Environment;

mod broker;
mod database;
mod disk;
mod schedules;
mod task;
mod workers;

pub use broker::of_dangers;
pub use disk::free_space;
pub use schedules::{OVERDUE, schedules};
pub use task::{HEALTH_CHECK, health_check};
pub use workers::{UNTAKEN, present, queues, running};

/// What a check came to. The field names are stable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The check.
    pub check: Cow<'static, str>,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How bad it is; the worst is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// There is nothing to be looked at here.
    Skipped,
    /// All is well.
    Ok,
    /// It works, and somebody should know.
    Warning,
    /// It does not work, or soon will not.
    Failed,
}

impl Finding {
    /// All is well.
    pub fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check: check.into(), verdict: Verdict::Ok, detail: detail.into(), hint: None }
    }

    /// It works, and somebody should know.
    pub fn warning(check: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into());
        Self { check: check.into(), verdict: Verdict::Warning, detail: detail.into(), hint }
    }

    /// It does not work, or soon will not.
    pub fn wrong(check: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { verdict: Verdict::Failed, ..Self::warning(check, detail, hint) }
    }

    /// It could not be looked at, for this reason.
    pub fn skipped(check: &'static str, reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skipped, ..Self::ok(check, reason) }
    }

    /// Says whether all is well.
    pub fn is_ok(&self) -> bool {
        self.verdict == Verdict::Ok
    }

    /// Makes one finding of several: as bad as the worst, with what was found of that kind, and the first advice.
    fn joined(check: &'static str, findings: Vec<Self>) -> Self {
        let verdict = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok);
        let told: Vec<Self> = findings.into_iter().filter(|finding| finding.verdict == verdict).collect();
        let detail = told.iter().map(|finding| finding.detail.as_str()).collect::<Vec<_>>().join("; ");
        let hint = told.into_iter().find_map(|finding| finding.hint);
        Self { check: check.into(), verdict, detail, hint }
    }
}

/// A check that could not be made, which is a finding by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HealthError {
    /// The platform's tables can't be read.
    #[error("use the platform's tables")]
    Store(#[from] StoreError),
    /// The queue can't be asked.
    #[error("ask the queue")]
    Broker(#[from] BrokerError),
    /// The database can't be used.
    #[error("use the database")]
    Database(#[from] DbError),
}

impl HealthError {
    /// Returns the finding that it is.
    fn found_by(&self, check: &'static str) -> Finding {
        let hint = match self {
            Self::Broker(error) => error.advice().map(str::to_owned),
            Self::Store(_) | Self::Database(_) => None,
        };
        Finding { hint, ..Finding::wrong(check, error_text(self), "") }
    }
}

/// Where a check ceases to be well. The defaults are those of the task's arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthLimits {
    /// The least free space of the disk that an embedded database lies on, in bytes.
    pub min_free: u64,
    /// How long a job may be ready and not be taken.
    pub max_wait: Duration,
    /// How late a due time of the schedule may be.
    pub max_lag: Duration,
    /// How long a write to the database may take before it is a warning.
    pub slow_write: Duration,
}

impl Default for HealthLimits {
    fn default() -> Self {
        Self {
            min_free: 256 << 20,
            max_wait: Duration::from_secs(600),
            max_lag: OVERDUE,
            slow_write: Duration::from_secs(1),
        }
    }
}

/// What all checks came to. The field names are stable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// The worst of them.
    pub verdict: Verdict,
    /// One finding each of `broker`, `database`, `workers`, `disk` and `schedule`.
    pub checks: Vec<Finding>,
}

impl HealthReport {
    /// Makes all checks. What can't be looked at is a finding, not an error.
    pub async fn of(environment: &Environment, limits: &HealthLimits) -> Self {
        let (client, database) = (environment.client(), environment.database());
        let now = environment.clock().now();
        let checks = vec![
            broker::check(client).await,
            database::check(environment, limits.slow_write).await,
            workers::check(environment, now, limits.max_wait).await,
            disk::check(database, limits.min_free),
            schedules::check(database, now, limits.max_lag).await,
        ];
        let verdict = checks.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok);
        Self { verdict, checks }
    }

    /// Says what failed, in one line; `None`: nothing did.
    pub fn failures(&self) -> Option<String> {
        let failed = self.checks.iter().filter(|finding| finding.verdict == Verdict::Failed);
        let told: Vec<String> =
            failed.map(|finding| format!("{}: {}", finding.check, finding.detail)).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_finding_of_several_is_as_bad_as_the_worst_and_tells_of_that() {
        let joined = |findings| Finding::joined("workers", findings);
        let (fine, also) = (Finding::ok("a", "fine"), Finding::ok("b", "also"));
        assert_eq!(joined(vec![fine.clone(), also.clone()]), Finding::ok("workers", "fine; also"));
        let late = Finding::warning("c", "late", "hurry");
        assert_eq!(joined(vec![fine, late.clone(), also]), Finding::warning("workers", "late", "hurry"));
        let gone = Finding::wrong("d", "gone", "look");
        assert_eq!(joined(vec![late, gone]), Finding::wrong("workers", "gone", "look"));
    }

    #[test]
    fn a_report_is_as_bad_as_its_worst_check_and_names_what_failed() {
        let checks = vec![Finding::ok("disk", "10 GiB free"), Finding::wrong("broker", "away", "start it")];
        let report = HealthReport { verdict: Verdict::Failed, checks };
        assert_eq!(report.failures().as_deref(), Some("broker: away"));
        let written = serde_json::to_value(&report).unwrap();
        assert_eq!(written["checks"][1]["verdict"], "failed");
        assert_eq!(serde_json::from_value::<HealthReport>(written).unwrap(), report);
    }
}
