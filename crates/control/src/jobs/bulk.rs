//! All jobs that match are changed by a job of its own, which tells how far it is and can be cancelled.

use std::collections::BTreeMap;
use std::fmt;

use celeriac_protocol::{JobId, JobStatus};
use celeriac_store::query::jobs::{self, Counted, JobFilter, StatusFilter};
use serde::{Deserialize, Serialize};

use super::{JobDesk, JobsError};

mod task;

pub use task::{BULK_JOBS, bulk_jobs};

/// The most jobs that are counted before somebody is asked whether all of them are meant.
pub const MOST_COUNTED: u64 = 10_000;

/// What is done to all that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkAction {
    /// Runs them again.
    Retry,
    /// Cancels them.
    Cancel,
    /// Deletes their records.
    Delete,
}

impl BulkAction {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Retry, Self::Cancel, Self::Delete];

    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Cancel => "cancel",
            Self::Delete => "delete",
        }
    }

    /// Returns what is meant where no status is asked for: not the jobs that completed, of which a retry would make copies.
    const fn meant(self) -> StatusFilter {
        match self {
            Self::Retry => StatusFilter::In(JobStatus::Failed),
            Self::Cancel => StatusFilter::Open,
            Self::Delete => StatusFilter::Ended,
        }
    }

    /// Says whether it can be done to jobs that stand so.
    pub(super) const fn fits(self, status: JobStatus) -> bool {
        match self {
            Self::Retry | Self::Delete => status.is_final(),
            Self::Cancel => !status.is_final(),
        }
    }

    fn fits_all(self, status: StatusFilter) -> bool {
        match status {
            StatusFilter::In(status) => self.fits(status),
            StatusFilter::Dead | StatusFilter::Ended => self.fits(JobStatus::Failed),
            StatusFilter::Open => self.fits(JobStatus::Pending),
        }
    }

    /// Returns the filter with what is meant where it asks for no status.
    ///
    /// # Errors
    /// It asks for jobs to which this can't be done.
    pub fn narrow(self, filter: JobFilter) -> Result<JobFilter, JobsError> {
        let status = filter.status.unwrap_or(self.meant());
        if !self.fits_all(status) {
            return Err(JobsError::Unfit { action: self, status });
        }
        Ok(JobFilter { status: Some(status), ..filter })
    }
}

impl fmt::Display for BulkAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Asks for something to be done to all that match.
#[derive(Clone, Debug)]
pub struct BulkRequest {
    /// What.
    pub action: BulkAction,
    /// To which. Those that come, or end, after the asking are not among them.
    pub filter: JobFilter,
    /// Who asks, for what is noted of it.
    pub by: String,
}

/// What came of it. The field names are stable.
///
/// Where its worker was lost on the way, jobs that were dealt with since it last told how far it was may be missing here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkReport {
    /// How many jobs were looked at.
    pub matched: u64,
    /// To how many it was done; running jobs that were told to stop are among them.
    pub done: u64,
    /// How many had changed since they were asked for, so that it has no meaning any more.
    pub skipped: u64,
    /// How many were left as they are for another reason, by that, in a word of [`JobsError::word`] or `out_of_reach`.
    pub refused: BTreeMap<String, u64>,
}

impl JobDesk {
    /// Counts the jobs that fit, and stops behind `most`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn count(&self, filter: &JobFilter, most: u64) -> Result<Counted, JobsError> {
        Ok(jobs::count(self.database.reader(), filter, most).await?)
    }

    /// Has something done to all jobs that match, by a job of its own in the platform's queue, and returns that.
    ///
    /// It goes through them page by page, newest first, tells how far it is, can be cancelled, and goes on where it was when its
    /// worker was lost. Its result is a [`BulkReport`].
    ///
    /// # Errors
    /// The filter asks for jobs to which it can't be done; queue or record can't be reached.
    pub async fn change_all(&self, request: BulkRequest) -> Result<JobId, JobsError> {
        let BulkRequest { action, filter, by } = request;
        let filter = action.narrow(filter)?;
        let until = self.client.clock().now().to_string();
        let handle = self.client.enqueue(bulk_jobs(action, filter, until, by)).await?;
        Ok(handle.id().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(action: BulkAction, status: Option<&str>, meant: Option<&str>) {
        let filter = JobFilter { status: status.map(|word| word.parse().unwrap()), ..JobFilter::default() };
        let narrowed = action.narrow(filter).ok().and_then(|filter| filter.status).map(StatusFilter::as_str);
        assert_eq!(narrowed, meant, "{action} {status:?}");
    }

    #[test]
    fn what_is_done_to_all_is_done_only_to_those_that_it_can_be_done_to() {
        check(BulkAction::Retry, None, Some("failed"));
        check(BulkAction::Retry, Some("dead"), Some("dead"));
        check(BulkAction::Retry, Some("completed"), Some("completed"));
        check(BulkAction::Retry, Some("running"), None);
        check(BulkAction::Retry, Some("open"), None);
        check(BulkAction::Cancel, None, Some("open"));
        check(BulkAction::Cancel, Some("scheduled"), Some("scheduled"));
        check(BulkAction::Cancel, Some("failed"), None);
        check(BulkAction::Cancel, Some("dead"), None);
        check(BulkAction::Delete, None, Some("ended"));
        check(BulkAction::Delete, Some("cancelled"), Some("cancelled"));
        check(BulkAction::Delete, Some("pending"), None);
    }
}
