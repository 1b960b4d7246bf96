//! A run of a workflow as a job like any other: tracked, cancellable, with progress, and never more
//! at a time in the whole cluster than there are slots.

use std::marker::PhantomData;
use std::time::Duration;

use celeriac_db::{Database, DbTx};
use celeriac_engine::{
    Ctx, Need, Param, RetryPolicy, Signature, StopReason, Task, TaskError, TaskOptions, task,
};
use celeriac_protocol::error_text;
use celeriac_store::StoreError;
use celeriac_store::query::workflows::{
    HeldSlot, SlotRequest, changed_settings, free_slot, lock_workflow, renew_slot, take_slot,
};
use serde::{Deserialize, Serialize};

use super::{RegisteredWorkflow, RunReport, Workflow, WorkflowSettings, Workflows, changes};

/// The queue that runs of workflows wait in.
///
/// It is a queue of its own, so that runs don't wait behind a flood of other jobs (a worker asks its queues in turn),
/// and so that Celery's workers, which take from the default queue, never meet a task that they don't know.
pub const WORKFLOW_QUEUE: &str = "celeriac.workflows";

/// The label that runs of workflows are listed under.
const JOB_TYPE: &str = "workflow";

/// How many renewals fall into one lease, so that two may fail before it ends.
const RENEWALS_PER_LEASE: u32 = 3;

/// The task of a workflow's runs, which moves the rows that are due. Its name is the workflow's [`Workflow::JOB`].
#[derive(Debug)]
pub struct ProcessPending<W>(PhantomData<fn() -> W>);

/// A run has no arguments.
#[derive(Debug, Serialize, Deserialize)]
pub struct NoArguments {}

/// Makes the signature of a workflow's run; nothing is sent yet.
pub fn process_pending<W: Workflow>() -> Signature<ProcessPending<W>> {
    Signature::new(&NoArguments {})
}

impl<W: Workflow> Task for ProcessPending<W> {
    type Args = NoArguments;
    type Output = RunReport;
    const NAME: &'static str = W::JOB;
    const PARAMS: &'static [Param] = &[];

    fn options() -> TaskOptions {
        TaskOptions {
            queue: Some(WORKFLOW_QUEUE),
            job_type: Some(JOB_TYPE),
            description: W::DESCRIPTION,
            retry: RetryPolicy { max_retries: Some(0), ..RetryPolicy::default() },
            needs: vec![Need::of::<Workflows>(), Need::of::<Database>()],
            ..TaskOptions::default()
        }
    }

    async fn run(_args: NoArguments, ctx: Ctx) -> Result<RunReport, TaskError> {
        run(W::NAME, ctx).await
    }
}

/// Moves the rows of a workflow that are due; the form for who has its name only.
#[task(
    crate = celeriac_engine,
    name = "celeriac.run_workflow",
    job_type = "workflow",
    queue = "celeriac.workflows",
    max_retries = 0,
    state(Workflows, Database)
)]
pub async fn run_workflow(workflow: String, ctx: Ctx) -> Result<RunReport, TaskError> {
    run(&workflow, ctx).await
}

async fn run(workflow: &str, ctx: Ctx) -> Result<RunReport, TaskError> {
    let workflow =
        ctx.state::<Workflows>().find(workflow).map_err(|error| TaskError::discard(error.to_string()))?;
    let database = ctx.state::<Database>();
    let (slot, settings) = take(workflow.as_ref(), database, &ctx).await?;
    let Some(slot) = slot else {
        let instances = settings.max_instances;
        return Err(TaskError::cancel(format!("refused: all {instances} slots of the workflow are taken")));
    };
    let result = tokio::select! {
        result = workflow.run(&settings, database, &ctx) => result.map_err(TaskError::from),
        lost = hold(slot, workflow.job(), settings.lease, database, &ctx) => Err(lost),
    };
    let (now, more) = (ctx.client().clock().now(), result.as_ref().is_ok_and(|report| report.more));
    let freed: Result<(), StoreError> =
        database.write("free slot", async move |tx| free_slot(tx, slot, now, more).await).await;
    if let Err(error) = freed {
        tracing::warn!(
            workflow = slot.workflow,
            scheduler.id = workflow.job(),
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

/// Takes a slot by the settings in force, which nobody changes meanwhile.
async fn take(
    workflow: &dyn RegisteredWorkflow,
    database: &Database,
    ctx: &Ctx,
) -> Result<(Option<HeldSlot>, WorkflowSettings), StoreError> {
    let (name, declared) = (workflow.name(), workflow.settings().clone());
    let (holder, now) = (ctx.id().clone(), ctx.client().clock().now());
    let take = async move |tx: &DbTx| {
        lock_workflow(tx, name).await?;
        let changed = changed_settings(tx, name).await?;
        let settings = changes::in_force(name, &declared, changed.as_deref());
        let request = SlotRequest {
            workflow: name,
            max_instances: settings.max_instances,
            holder,
            fence: rand::random(),
            now,
            lease: settings.lease,
        };
        Ok((take_slot(tx, &request).await?, settings))
    };
    database.write("take slot", take).await
}

/// Renews the slot until it is lost; then the run must end, since somebody else may have it.
async fn hold(slot: HeldSlot, job: &str, lease: Duration, database: &Database, ctx: &Ctx) -> TaskError {
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
                    scheduler.id = job,
                    error = error_text(&error),
                    "slot could not be renewed, trying again"
                );
            }
            Err(error) => return TaskError::from(error),
        }
    }
}
