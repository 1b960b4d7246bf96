//! A run of a workflow as a job like any other: tracked, cancellable, with progress, and never more
//! at a time in the whole cluster than there are slots.

use std::time::Duration;

use celeriac_db::Database;
use celeriac_engine::{Ctx, StopReason, TaskError, task};
use celeriac_protocol::error_text;
use celeriac_store::StoreError;
use celeriac_store::query::workflows::{HeldSlot, SlotRequest, free_slot, renew_slot, take_slot};

use super::{RegisteredWorkflow, RunReport, Workflows};

/// The queue that runs of workflows wait in.
///
/// It is a queue of its own, so that runs don't wait behind a flood of other jobs (a worker asks its queues in turn),
/// and so that Celery's workers, which take from the default queue, never meet a task that they don't know.
pub const WORKFLOW_QUEUE: &str = "celeriac.workflows";

/// How many renewals fall into one lease, so that two may fail before it ends.
const RENEWALS_PER_LEASE: u32 = 3;

/// Moves the rows of a workflow that are due.
#[task(
    crate = celeriac_engine,
    name = "celeriac.run_workflow",
    job_type = "workflow",
    queue = "celeriac.workflows",
    max_retries = 0,
    state(Workflows, Database)
)]
pub async fn run_workflow(workflow: String, ctx: Ctx) -> Result<RunReport, TaskError> {
    let workflow =
        ctx.state::<Workflows>().find(&workflow).map_err(|error| TaskError::discard(error.to_string()))?;
    let database = ctx.state::<Database>();
    let Some(slot) = take(workflow.as_ref(), database, &ctx).await? else {
        let instances = workflow.settings().max_instances;
        return Err(TaskError::cancel(format!("refused: all {instances} slots of the workflow are taken")));
    };
    let result = tokio::select! {
        result = workflow.run(database, &ctx) => result.map_err(TaskError::from),
        lost = hold(slot, workflow.settings().lease, database, &ctx) => Err(lost),
    };
    let (now, more) = (ctx.client().clock().now(), result.as_ref().is_ok_and(|report| report.more));
    let freed: Result<(), StoreError> =
        database.write("free slot", async move |tx| free_slot(tx, slot, now, more).await).await;
    if let Err(error) = freed {
        tracing::warn!(
            workflow = slot.workflow,
            error = error_text(&error),
            "slot could not be freed; it is free when its lease ends"
        );
    }
    match result {
        Ok(_) if ctx.stop_reason() == Some(StopReason::Cancelled) => {
            Err(TaskError::cancel("cancelled while it ran"))
        }
        result => result,
    }
}

async fn take(
    workflow: &dyn RegisteredWorkflow,
    database: &Database,
    ctx: &Ctx,
) -> Result<Option<HeldSlot>, StoreError> {
    let request = SlotRequest {
        workflow: workflow.name(),
        max_instances: workflow.settings().max_instances,
        holder: ctx.id().clone(),
        fence: rand::random(),
        now: ctx.client().clock().now(),
        lease: workflow.settings().lease,
    };
    database.write("take slot", async move |tx| take_slot(tx, &request).await).await
}

/// Renews the slot until it is lost; then the run must end, since somebody else may have it.
async fn hold(slot: HeldSlot, lease: Duration, database: &Database, ctx: &Ctx) -> TaskError {
    let clock = ctx.client().clock();
    let mut held_until = clock.now() + lease;
    loop {
        clock.sleep(lease / RENEWALS_PER_LEASE).await;
        let until = clock.now() + lease;
        let renewed: Result<bool, StoreError> =
            database.write("renew slot", async move |tx| renew_slot(tx, slot, until).await).await;
        match renewed {
            Ok(true) => held_until = until,
            Ok(false) => return TaskError::cancel("the slot was lost to another run"),
            Err(error) if clock.now() < held_until => {
                tracing::warn!(
                    workflow = slot.workflow,
                    error = error_text(&error),
                    "slot could not be renewed, trying again"
                );
            }
            Err(error) => return TaskError::from(error),
        }
    }
}
