//! What the platform asks of itself: its own tasks, some of them periodic.

use celeriac_engine::RegistryBuilder;
use celeriac_store::query::schedules::{CatchUp, Overlap, ScheduleEntry};

use crate::cleanup::{CLEANUP_OLD_JOBS, cleanup_old_jobs};
use crate::health::{HEALTH_CHECK, health_check};
use crate::jobs::bulk_jobs;

/// The queue that the platform's own periodic tasks wait in.
///
/// It is a queue of its own for the reasons of [`WORKFLOW_QUEUE`](crate::workflow::WORKFLOW_QUEUE): they don't wait behind a flood of
/// jobs, and Celery's workers never meet a task that they don't know.
pub const HOUSE_QUEUE: &str = "celeriac.house";

/// The module of the platform's own periodic tasks, which every app has; a worker that is given some modules only runs them
/// where this is among these.
pub const HOUSE_MODULE: &str = "celeriac.house";

/// Adds the platform's own periodic tasks. Their short names yield to the app's own tasks.
pub(crate) fn register(tasks: RegistryBuilder) -> RegistryBuilder {
    tasks.task_yielding::<health_check>().task_yielding::<cleanup_old_jobs>().task_yielding::<bulk_jobs>()
}

/// Returns the entries by which the platform looks after itself: a health check every five minutes, a cleanup on the first of
/// each month at three, in UTC. While one of their jobs goes on the next is skipped, and a missed one is not made up for.
///
/// No library declares them: whoever starts a worker or a scheduler does, where its configuration says so.
pub fn house_schedules() -> [ScheduleEntry; 2] {
    let entry = |name: &str, spec: &str, description: &str| ScheduleEntry {
        overlap: Overlap::Skip,
        catch_up: CatchUp::None,
        description: description.to_owned(),
        owner: "celeriac".to_owned(),
        ..ScheduleEntry::new(name, name, spec)
    };
    [
        entry(HEALTH_CHECK, "*/5 * * * *", "checks broker, database, workers, disk and schedule"),
        entry(CLEANUP_OLD_JOBS, "0 3 1 * *", "removes the records of jobs that ended long ago"),
    ]
}
