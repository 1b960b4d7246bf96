//! The task that changes all jobs that match, page by page.

use std::sync::Arc;

use celeriac_engine::{CancelOutcome, Ctx, TaskError, task};
use celeriac_protocol::{JobId, JobStatus, Timestamp};
use celeriac_store::JobSummary;
use celeriac_store::query::jobs::{self, JobFilter};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::{BulkAction, BulkReport};
use crate::Environment;
use crate::jobs::{Edits, JobDesk, JobsError};
use crate::words::grouped;

/// The name of the task.
pub const BULK_JOBS: &str = "celeriac.bulk_jobs";

/// How many jobs are read together; between two pages it looks whether to go on.
const PAGE: u64 = 100;

/// How many jobs are changed side by side, so that their writes share commits.
const SIDE_BY_SIDE: usize = 16;

/// The most jobs that are counted to tell how far it is.
const MOST_COUNTED: u64 = 100_000;

/// Does something to all jobs that match and were there at the instant `until`. Asked for by [`JobDesk::change_all`].
///
/// Nothing is done twice though a page may be gone through twice: a dead letter that is back has none any more, copies have ids
/// that follow from this job's and theirs, and what ends after `until` is left alone.
#[task(
    crate = celeriac_engine,
    name = "celeriac.bulk_jobs",
    job_type = "bulk_jobs",
    queue = "celeriac.house",
    max_retries = 10,
    state(Environment)
)]
pub async fn bulk_jobs(
    action: BulkAction,
    filter: JobFilter,
    until: String,
    by: String,
    ctx: Ctx,
) -> Result<BulkReport, TaskError> {
    let Ok(until) = until.parse::<Timestamp>() else {
        return Err(TaskError::discard(format!("\"{until}\" is no time")));
    };
    let filter = action.narrow(filter).map_err(|error| TaskError::discard(error.to_string()))?;
    let environment = ctx.state::<Environment>();
    let work = Work {
        desk: JobDesk::new(environment),
        id: ctx.id().clone(),
        action,
        until,
        reason: format!("cancelled with all that matched, by {by}"),
    };
    let filter = JobFilter { until: Some(filter.until.map_or(until, |asked| asked.min(until))), ..filter };
    go_through(&ctx, Arc::new(work), &filter).await
}

/// How far it is, kept on its record: whoever takes it up again goes on from there.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    /// Behind which job to go on.
    cursor: Option<i64>,
    /// How many jobs matched when it began.
    total: u64,
    /// Whether there were more than that.
    more: bool,
    #[serde(flatten)]
    report: BulkReport,
}

impl Checkpoint {
    fn tell(&self, ctx: &Ctx) -> Result<(), TaskError> {
        let percent = (self.report.matched.saturating_mul(100) / self.total.max(1)).min(99);
        let more = if self.more { "more than " } else { "" };
        let message = format!("{} of {more}{}", grouped(self.report.matched), grouped(self.total));
        ctx.progress_with(u8::try_from(percent).unwrap_or(99), message, self)
    }
}

async fn go_through(ctx: &Ctx, work: Arc<Work>, filter: &JobFilter) -> Result<BulkReport, TaskError> {
    let mut at = match resumed(ctx).await? {
        Some(checkpoint) => checkpoint,
        None => {
            let counted = work.desk.count(filter, MOST_COUNTED).await?;
            Checkpoint { total: counted.jobs, more: counted.more, ..Checkpoint::default() }
        }
    };
    loop {
        at.tell(ctx)?;
        if ctx.is_cancelled() {
            let BulkReport { matched, done, .. } = at.report;
            return Err(TaskError::cancel(format!(
                "stopped when {} jobs were looked at and {} changed",
                grouped(matched),
                grouped(done)
            )));
        }
        let page = jobs::list(work.desk.database.reader(), filter, at.cursor, PAGE).await?;
        for verdict in change(&work, page.jobs).await {
            at.report.count(verdict?);
        }
        match page.next {
            Some(next) => at.cursor = Some(next),
            None => return Ok(at.report),
        }
    }
}

/// Returns how far an earlier attempt has told that it was.
async fn resumed(ctx: &Ctx) -> Result<Option<Checkpoint>, TaskError> {
    let told = ctx.client().snapshot(ctx.id()).await?.and_then(|snapshot| snapshot.partial);
    Ok(told.and_then(|told| serde_json::from_str(told.get()).ok()))
}

async fn change(work: &Arc<Work>, jobs: Vec<JobSummary>) -> Vec<Result<Verdict, JobsError>> {
    let changes = jobs.into_iter().map(|job| {
        let work = Arc::clone(work);
        async move { work.change(&job).await }
    });
    stream::iter(changes).buffer_unordered(SIDE_BY_SIDE).collect().await
}

/// What came of one job.
enum Verdict {
    Done,
    Skipped,
    Refused(&'static str),
}

impl BulkReport {
    fn count(&mut self, verdict: Verdict) {
        self.matched += 1;
        match verdict {
            Verdict::Done => self.done += 1,
            Verdict::Skipped => self.skipped += 1,
            Verdict::Refused(word) => *self.refused.entry(word.to_owned()).or_default() += 1,
        }
    }
}

/// What is to be done, and who asks.
struct Work {
    desk: JobDesk,
    id: JobId,
    action: BulkAction,
    until: Timestamp,
    reason: String,
}

impl Work {
    async fn change(&self, job: &JobSummary) -> Result<Verdict, JobsError> {
        // What has ended since then, a job that was revived a moment ago among it, is nothing that was asked for.
        let ended_later = job.completed_at.is_some_and(|ended_at| ended_at >= self.until);
        if job.id == self.id || ended_later || !self.action.fits(job.status) {
            return Ok(Verdict::Skipped);
        }
        let changed = match self.action {
            BulkAction::Retry => self.retry(&job.id).await,
            BulkAction::Cancel => self.cancel(&job.id).await,
            BulkAction::Delete => self.desk.delete(&job.id).await.map(|_| Verdict::Done),
        };
        match changed {
            Err(JobsError::NotEnded { .. }) => Ok(Verdict::Skipped),
            Err(error) if error.is_refusal() => Ok(Verdict::Refused(error.word())),
            other => other,
        }
    }

    async fn retry(&self, id: &JobId) -> Result<Verdict, JobsError> {
        let copy = JobId::derived(&self.id, id.as_str());
        if jobs::progress(self.desk.database.reader(), &copy).await?.is_none() {
            self.desk.retry_under(id, Edits::default(), Some(copy)).await?;
        }
        Ok(Verdict::Done)
    }

    async fn cancel(&self, id: &JobId) -> Result<Verdict, JobsError> {
        Ok(match self.desk.cancel(id, &self.reason).await? {
            CancelOutcome::Cancelled | CancelOutcome::Requested => Verdict::Done,
            CancelOutcome::AlreadyFinished(JobStatus::Cancelled) => Verdict::Done,
            CancelOutcome::AlreadyFinished(_) => Verdict::Skipped,
            CancelOutcome::OutOfReach => Verdict::Refused("out_of_reach"),
            CancelOutcome::NotFound => Verdict::Refused("unknown"),
        })
    }
}
