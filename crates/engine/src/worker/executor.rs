//! Runs one delivery: gate, execute, judge. What it came to is handed to the settler.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use celeriac_broker::{Delivery, LeaseTag, Settle, Settled, Settlement};
use celeriac_protocol::{
    ErrorKind, JobError, JobFacts, Outcome, RawValue, RetryPolicy, RunError, RunResult, TaskMessage,
    TimeLimits, Timestamp, error_text, judge, panic_text,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::gate::{self, Admitted, Counted, Passage, Refusal};
use super::held::Begun;
use super::{Checkpoints, Shared, second};
use crate::RegisteredTask;
use crate::ctx::{Ctx, CtxParts, Progress, ProgressCell, StopReason, StopSignal};

/// A delivery that has come to its end here, and how.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The lease it was held under.
    pub(crate) tag: LeaseTag,
    /// The message, unless it was acknowledged before it ran.
    pub(crate) delivery: Option<Delivery>,
    /// The job.
    pub(crate) job: Arc<JobFacts>,
    /// Which hand-out it was.
    pub(crate) number: u32,
    /// Which attempt it was.
    pub(crate) attempt: u32,
    /// The run, if it came to one.
    pub(crate) run: Option<RunTimes>,
    /// What was told last of its progress and is not written yet.
    pub(crate) progress: Option<Progress>,
    /// How it ended.
    pub(crate) ending: Ending,
}

/// When an attempt began, and how long it took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunTimes {
    pub(crate) started_at: Timestamp,
    pub(crate) took: Duration,
}

/// How a delivery ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The task ran, or was refused, and this is what it came to.
    Outcome {
        /// What it came to.
        outcome: Outcome,
        /// The message, where it goes back into the queue or others follow it.
        message: Option<Box<TaskMessage>>,
        /// Whether the result is thrown away.
        ignore_result: bool,
    },
    /// It is given back, uncharged; with the message where that was acknowledged early.
    Released(Option<Box<TaskMessage>>),
    /// The lease was lost: it is somebody else's.
    LeaseLost,
    /// It was let go of already, and nothing is to be told of it.
    LetGo,
}

/// Runs one delivery to its end.
pub(super) async fn run(shared: &Arc<Shared>, delivery: Delivery, stop: StopSignal) -> Finished {
    match gate::check(shared, &delivery, shared.clock().now()) {
        Passage::Admitted(admitted) => admit(shared, delivery, *admitted, stop).await,
        Passage::Refused(counted, refusal, message) => {
            let outcome = match refusal {
                Refusal::Cancelled(reason) => Outcome::Cancelled { reason },
                Refusal::Dead(error) => Outcome::Failed { error },
                Refusal::Early(until) => Outcome::Snoozed { until },
            };
            Finished::unrun(delivery, counted, Ending::Outcome { outcome, message, ignore_result: false })
        }
    }
}

/// Acknowledges first where the task wants at most once, then runs it.
async fn admit(shared: &Arc<Shared>, delivery: Delivery, admitted: Admitted, stop: StopSignal) -> Finished {
    if stop.reason() == Some(StopReason::Shutdown) {
        return Finished::unrun(delivery, admitted.counted, Ending::Released(None));
    }
    if let Some(settle) = second::look(shared, &delivery, &admitted.message).await {
        return let_go(shared, delivery, admitted.counted, settle).await;
    }
    if admitted.task.options.acks_late {
        return execute(shared, Ok(delivery), admitted, stop).await;
    }
    let tag = delivery.tag;
    let settlement = [Settlement { delivery, settle: Settle::Ack }];
    // Before it is acknowledged: a renewal in between would find no lease and take it for lost.
    shared.held.forget_lease(tag);
    let settled = shared.client.broker().settle(&settlement).await;
    if matches!(settled.as_deref(), Ok([Settled::Done])) {
        return execute(shared, Err(tag), admitted, stop).await;
    }
    // Without the acknowledgement it must not run.
    let [Settlement { delivery, .. }] = settlement;
    let ending = match settled {
        Ok(_) => Ending::LeaseLost,
        Err(error) => {
            let (id, error) = (&delivery.envelope.id, error_text(&error));
            tracing::warn!(worker = %shared.name, job.id = %id, error, "message could not be acknowledged, giving it back");
            Ending::Released(None)
        }
    };
    Finished::unrun(delivery, admitted.counted, ending)
}

/// Lets go of a message without a word of its job, of which another message tells.
async fn let_go(shared: &Shared, delivery: Delivery, counted: Counted, settle: Settle) -> Finished {
    let settlement = [Settlement { delivery, settle }];
    shared.held.forget_lease(settlement[0].delivery.tag);
    let settled = shared.client.broker().settle(&settlement).await;
    let [Settlement { delivery, .. }] = settlement;
    if let Err(error) = settled {
        let (id, error) = (&delivery.envelope.id, error_text(&error));
        tracing::warn!(worker = %shared.name, job.id = %id, error, "second message could not be let go of, its lease will bring it back");
    }
    Finished::unrun(delivery, counted, Ending::LetGo)
}

/// Runs what was admitted: with its delivery, or with the tag of one that was acknowledged early.
async fn execute(
    shared: &Arc<Shared>,
    delivery: Result<Delivery, LeaseTag>,
    admitted: Admitted,
    stop: StopSignal,
) -> Finished {
    let tag = delivery.as_ref().map_or_else(|tag| *tag, |delivery| delivery.tag);
    let progress = Arc::new(ProgressCell::default());
    let started_at = shared.clock().now();
    shared.held.begin(tag, begun(&admitted.counted, started_at, &progress));
    let ctx = context(shared, &admitted, &stop, &progress);
    shared.reach(Checkpoints::STARTING);
    let ran = run_task(shared, tag, &admitted, &ctx, &stop).await;
    let now = shared.clock().now();
    shared.held.end(tag);
    let Admitted { message, task, counted: Counted { job, number, attempt } } = admitted;
    let ending = match ran {
        Ran::Released => Ending::Released(delivery.is_err().then(|| Box::new(message))),
        Ran::LeaseLost => Ending::LeaseLost,
        Ran::Result(result) => judged(result, message, &task, &job, now),
    };
    let run = Some(RunTimes { started_at, took: now.since(started_at) });
    Finished { tag, delivery: delivery.ok(), job, number, attempt, run, progress: progress.take(), ending }
}

/// Notes what is told of a job while it runs.
fn begun(counted: &Counted, started_at: Timestamp, progress: &Arc<ProgressCell>) -> Begun {
    let Counted { job, number, attempt } = counted;
    let (job, progress) = (Arc::clone(job), Arc::clone(progress));
    Begun { job, delivery: *number, attempt: *attempt, started_at, progress }
}

/// Makes what a task may ask of its worker.
fn context(shared: &Shared, admitted: &Admitted, stop: &StopSignal, progress: &Arc<ProgressCell>) -> Ctx {
    Ctx::new(CtxParts {
        job: Arc::clone(&admitted.counted.job),
        attempt: admitted.counted.attempt,
        retries: admitted.message.retries,
        worker: Arc::clone(&shared.name),
        states: shared.states.clone(),
        client: shared.client.clone(),
        stop: stop.clone(),
        progress: Arc::clone(progress),
    })
}

/// Binds the arguments and runs the task.
async fn run_task(shared: &Shared, tag: LeaseTag, admitted: &Admitted, ctx: &Ctx, stop: &StopSignal) -> Ran {
    let Admitted { message, task, .. } = admitted;
    // Binding runs code of the user's too (defaults, deserializers), so it may panic as well.
    let run = match catch_unwind(AssertUnwindSafe(|| task.start(&message.args, ctx.clone()))) {
        Ok(Ok(run)) => run,
        Ok(Err(error)) => return Ran::Result(Err(RunError::Discard(error))),
        Err(payload) => return Ran::Result(panicked(payload)),
    };
    let limits = TimeLimits {
        soft: message.time_limits.soft.or(task.options.soft_limit),
        hard: message.time_limits.hard.or(task.options.hard_limit),
    };
    supervise(shared, tag, run, ctx, stop, limits).await
}

/// Judges what a run came to; the message is kept where it goes back or others follow it.
fn judged(
    result: RunResult,
    message: TaskMessage,
    task: &RegisteredTask,
    job: &JobFacts,
    now: Timestamp,
) -> Ending {
    let result = result.and_then(|value| followed(&message, value));
    let max_retries = job.max_retries.or(task.options.retry.max_retries);
    let policy = RetryPolicy { max_retries, ..task.options.retry };
    let outcome = judge(result, message.retries, &policy, now, rand::random());
    let ignore_result = message.ignore_result.unwrap_or(task.options.ignore_result);
    let goes_back = matches!(outcome, Outcome::Retry { .. } | Outcome::Snoozed { .. });
    let is_wanted = goes_back || !message.continuation.parts().is_empty();
    Ending::Outcome { outcome, message: is_wanted.then(|| Box::new(message)), ignore_result }
}

/// Refuses a result that all the jobs which follow can't have; trying again would not make it smaller.
fn followed(message: &TaskMessage, value: Box<RawValue>) -> RunResult {
    match message.continuation.check_result(&value) {
        Ok(()) => Ok(value),
        Err(error) => Err(RunError::Discard(JobError::new(ErrorKind::Error, error.to_string()))),
    }
}

/// What running came to.
enum Ran {
    Result(RunResult),
    Released,
    LeaseLost,
}

/// Polls the task to its end, tells it to stop when it must, and drops it when it will not.
async fn supervise(
    shared: &Shared,
    tag: LeaseTag,
    run: BoxFuture<'static, RunResult>,
    ctx: &Ctx,
    stop: &StopSignal,
    limits: TimeLimits,
) -> Ran {
    let mut run = pin!(AssertUnwindSafe(run).catch_unwind().map(|caught| caught.unwrap_or_else(panicked)));
    let mut over_hard = pin!(over(shared, limits.hard).fuse());
    let told = |reason| shared.held.stop(tag, reason, shared.clock().now());
    let mut is_over = false;
    tokio::select! {
        biased;
        result = &mut run => return match stop.reason() {
            Some(reason) => after_stop(Some(result), reason, stop, limits),
            None => Ran::Result(result),
        },
        () = stop.stopped() => {}
        () = &mut over_hard => {
            is_over = true;
            told(StopReason::HardLimit);
        }
        () = over(shared, limits.soft) => told(StopReason::SoftLimit),
    }
    let result = if is_over {
        None
    } else {
        tokio::select! {
            biased;
            result = &mut run => Some(result),
            () = over_hard => {
                is_over = true;
                None
            }
            () = shared.clock().sleep(shared.options.stop_grace) => None,
            () = shared.hurry.cancelled() => None,
        }
    };
    // A thread can't be dropped: its slot stays accounted for, and the job is reported as stuck.
    let result = match result {
        None if ctx.is_blocking() => Some(run.await),
        result => result,
    };
    match stop.reason().unwrap_or(StopReason::Shutdown) {
        StopReason::SoftLimit if is_over => after_stop(result, StopReason::HardLimit, stop, limits),
        reason => after_stop(result, reason, stop, limits),
    }
}

async fn over(shared: &Shared, limit: Option<Duration>) {
    match limit {
        Some(limit) => shared.clock().sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// Reads what a task made of being told to stop; `None` means it was dropped.
fn after_stop(result: Option<RunResult>, reason: StopReason, stop: &StopSignal, limits: TimeLimits) -> Ran {
    let over = |which: &str, limit: Option<Duration>, type_name| {
        let text = format!("the task ran longer than its {which} limit of {:?}", limit.unwrap_or_default());
        JobError::new(ErrorKind::TimeLimit, text).with_type(type_name)
    };
    match (reason, result) {
        (StopReason::LeaseLost, _) => Ran::LeaseLost,
        (_, Some(Ok(value))) => Ran::Result(Ok(value)),
        (StopReason::Shutdown, _) => Ran::Released,
        (StopReason::Cancelled, _) => {
            let why = stop.why().filter(|why| !why.is_empty()).unwrap_or("cancelled while it ran");
            Ran::Result(Err(RunError::Cancel(why.to_owned())))
        }
        (StopReason::SoftLimit, _) => {
            Ran::Result(Err(RunError::Retry(over("soft", limits.soft, "SoftTimeLimitExceeded"))))
        }
        // As with Celery, what had to be ended is not tried again.
        (StopReason::HardLimit, _) => {
            Ran::Result(Err(RunError::Discard(over("hard", limits.hard, "TimeLimitExceeded"))))
        }
    }
}

/// Makes an ordinary failure of a panic.
fn panicked(payload: Box<dyn std::any::Any + Send>) -> RunResult {
    let text = panic_text(&*payload).unwrap_or("the task panicked with a value that is no text");
    Err(RunError::Retry(JobError::new(ErrorKind::Panic, text).with_type("panic")))
}

impl Finished {
    fn unrun(delivery: Delivery, counted: Counted, ending: Ending) -> Self {
        let (tag, Counted { job, number, attempt }) = (delivery.tag, counted);
        Self { tag, delivery: Some(delivery), job, number, attempt, run: None, progress: None, ending }
    }
}
