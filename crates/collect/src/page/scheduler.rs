//! The job that moves pages: asked for by name in code, and added to a scheduler while it runs.

use celeriac_control::workflow::{ProcessPending, Workflow as _, WorkflowSettings, process_pending};
use celeriac_control::{Scheduler, SchedulerError};
use celeriac_engine::Signature;

use super::workflow::PageWorkflow;
use crate::collector::Collector;

/// The id of the job: its name in the schedule, among the tasks and among the loops.
pub const JOB: &str = PageWorkflow::JOB;

/// The task of the runs that move pages, named [`JOB`].
#[expect(non_camel_case_types, reason = "the type bears the function's name, as every task's does")]
pub type process_pending_pages = ProcessPending<PageWorkflow>;

/// Makes the signature of one run, which moves the pages that are due; nothing is sent yet.
pub fn process_pending_pages() -> Signature<process_pending_pages> {
    process_pending()
}

/// Adds the job to a scheduler under its id, in place of the one that was added before; [`Scheduler::remove`] with [`JOB`]
/// takes it away. [`module`](crate::module()) does so for an app's own pages.
///
/// # Errors
/// A setting with a value that it can't have; what the database says.
pub async fn setup_page_scheduler(
    scheduler: &Scheduler,
    collector: &Collector,
    settings: WorkflowSettings,
) -> Result<(), SchedulerError> {
    scheduler.add(PageWorkflow::new(collector.clone()), settings).await
}
