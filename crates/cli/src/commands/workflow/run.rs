//! `workflow NAME run`: one run, in this process, now.

use std::time::Duration;

use celeriac_control::workflow::{RegisteredWorkflow, RunReport, WORKFLOW_QUEUE, run_key};
use celeriac_engine::{JobHandle, JobSnapshot, Worker, WorkerOptions};
use celeriac_protocol::{JobId, JobStatus};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Opened;
use crate::context::Context;
use crate::error::{Code, Failure, Result};
use crate::exit::Exit;
use crate::output::{Output, Paint, grouped};
use crate::platform::Use;
use crate::shutdown::Shutdown;

/// How much longer than its own limit a run is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a run came to. The field names are stable.
#[derive(Serialize)]
struct RunView<'a> {
    name: &'a str,
    job: &'a str,
    done: u64,
    retried: u64,
    failed: u64,
    taken_back: u64,
    more: bool,
}

/// Runs the command.
pub(super) async fn run(context: &mut Context, name: &str) -> Result<Exit> {
    let mut shutdown = Shutdown::listen()?;
    let opened = Opened::new(context, Use::Changing).await?;
    let workflow = opened.find(name)?;
    let limit = workflow.settings().run_limit + PATIENCE;
    let job = enqueue(context, &opened, workflow.as_ref()).await?;
    let stop = CancellationToken::new();
    let mut working = std::pin::pin!(worker(context, &opened)?.run(stop.clone()));
    let ended = tokio::select! {
        () = &mut working => return Ok(Exit::Interrupted),
        ended = job.wait_ended(limit) => Some(ended),
        _ = shutdown.next() => None,
    };
    if ended.is_none() {
        job.cancel().await?;
    }
    stop.cancel();
    working.await;
    match ended {
        Some(ended) => print(&context.output, workflow.name(), job.id(), &ended?),
        None => Ok(Exit::Interrupted),
    }
}

/// Enqueues the run under the key of the first slot, as the loop that starts runs would.
async fn enqueue(context: &Context, opened: &Opened, workflow: &dyn RegisteredWorkflow) -> Result<JobHandle> {
    let id = JobId::fresh(context.clock.now());
    let run = workflow.call(&context.app.registry).id(id.clone()).unique(run_key(workflow.name(), 0));
    let job = opened.platform.client.send(run).await?;
    if *job.id() != id {
        context.output.note(format_args!("run {} waits or goes on already; waiting for that one", job.id()));
    }
    Ok(job)
}

fn worker(context: &Context, opened: &Opened) -> Result<Worker> {
    let options = WorkerOptions {
        name: context.worker_name(),
        queues: vec![WORKFLOW_QUEUE.to_owned()],
        // One after the other: a run that waited before would else take the slot that this one needs.
        concurrency: 1,
        lease: context.loaded.config.worker.lease.0,
        ..WorkerOptions::default()
    };
    let (client, registry) = (opened.platform.client.clone(), context.app.registry.clone());
    Ok(Worker::new(client, registry, opened.states.clone(), options)?)
}

fn print(output: &Output, name: &str, job: &JobId, ended: &JobSnapshot) -> Result<Exit> {
    let report =
        ended.result.as_ref().and_then(|result| serde_json::from_str::<RunReport>(result.get()).ok());
    let Some(report) = report.filter(|_| ended.status == JobStatus::Completed) else {
        return Err(failed(job, ended));
    };
    let RunReport { done, retried, failed, taken_back, more, .. } = report;
    if output.is_json() {
        output.json(&RunView { name, job: job.as_str(), done, retried, failed, taken_back, more })?;
        return Ok(Exit::Done);
    }
    let part = |count: u64, paint: Paint, word: &str| {
        let paint = if count == 0 { Paint::Faint } else { paint };
        format!("{} {word}", output.paint(paint, &grouped(count)))
    };
    let parts = [
        part(done, Paint::Good, "done"),
        part(retried, Paint::Warning, "to retry"),
        part(failed, Paint::Bad, "in error"),
    ];
    let rest = if more { "; more rows are due" } else { "" };
    output.line(format_args!("{}{rest}", parts.join(", ")))?;
    Ok(Exit::Done)
}

fn failed(job: &JobId, ended: &JobSnapshot) -> Failure {
    if ended.status == JobStatus::Cancelled {
        let reason = ended.cancel_reason.as_deref().unwrap_or("nobody said why");
        let error = Failure::plain(Code::JobCancelled, format!("run {job} was cancelled")).because(reason);
        return match reason.starts_with("refused: ") {
            true => error.hint("another run goes on, see `workflow list`; try again when it has ended"),
            false => error,
        };
    }
    let error = Failure::plain(Code::JobFailed, format!("run {job} failed"));
    ended.error.iter().fold(error, |error, cause| error.because(&cause.message))
}
