//! The periodic task that removes what is old, for those who want it at a time of their own, or by hand.

use std::time::Duration;

use celeriac_db::Database;
use celeriac_engine::{Ctx, TaskError, task};
use serde::{Deserialize, Serialize};

use crate::r#loop::LoopCtx;
use crate::pruner::{Pruner, PrunerSettings};

/// The name of the task, and of its entry in the schedule.
pub const CLEANUP_OLD_JOBS: &str = "celeriac.cleanup_old_jobs";

/// How many batches are made between two words of progress, and looks at whether to go on.
const BATCHES_PER_STEP: u32 = 10;

/// The most such steps of one run, of up to 5000 rows each; where more is left, the next run goes on.
const MOST_STEPS: u32 = 20_000;

/// What a cleanup has removed. The field names are stable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanupReport {
    /// Records of jobs that had ended.
    pub jobs: u64,
    /// What came of due times of schedules.
    pub firings: u64,
    /// Whether it ended before it had got to the end, since one run removes no more.
    pub more: bool,
}

/// Removes the records of jobs that ended more than `days` ago, and what came of due times as old, in small batches; the last
/// firings of each schedule stay.
///
/// It removes as the [`Pruner`] does, which every worker that keeps house runs by `records.keep_*`, and which as a rule has been there
/// before. Cancelled, it ends between two batches, and what is removed is removed.
#[task(
    crate = celeriac_engine,
    name = "celeriac.cleanup_old_jobs",
    aliases("cleanup_old_jobs"),
    job_type = "cleanup_old_jobs",
    queue = "celeriac.house",
    state(Database)
)]
pub async fn cleanup_old_jobs(#[default(30)] days: u32, ctx: Ctx) -> Result<CleanupReport, TaskError> {
    let keep = Some(Duration::from_secs(u64::from(days) * 24 * 3_600));
    let settings = PrunerSettings {
        keep_completed: keep,
        keep_failed: keep,
        keep_cancelled: keep,
        keep_firings: keep,
        // What people did is kept as long as the settings say, which a task does not know.
        keep_audit: None,
        batches_per_pass: BATCHES_PER_STEP,
        ..PrunerSettings::default()
    };
    let pruner = Pruner::new(ctx.state::<Database>().clone(), settings)?;
    let step = LoopCtx::new(ctx.client().clock().clone(), ctx.cancellation_token());
    let mut report = CleanupReport { more: true, ..CleanupReport::default() };
    for _ in 0..MOST_STEPS {
        let swept = pruner.sweep(&step).await?;
        report.jobs += swept.jobs;
        report.firings += swept.firings;
        report.more = swept.more;
        if !report.more {
            break;
        }
        if ctx.is_cancelled() {
            return Err(TaskError::cancel(format!("stopped when {} were removed", told(report))));
        }
        ctx.progress_with(0, format!("{} removed", told(report)), &report)?;
    }
    Ok(report)
}

fn told(CleanupReport { jobs, firings, .. }: CleanupReport) -> String {
    format!("{jobs} records of jobs and {firings} firings")
}
