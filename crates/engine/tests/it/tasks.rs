//! Tasks that the tests run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use celeriac_engine::{Ctx, Registry, TaskError, task};
use tokio::sync::Semaphore;

/// Adds two numbers.
#[task(crate = celeriac_engine, name = "math.add", aliases("old.add"), job_type = "arithmetic")]
pub(crate) async fn add(x: i64, #[default(10)] y: i64, note: Option<String>) -> i64 {
    drop(note);
    x + y
}

/// Adds two numbers on a thread.
#[task(crate = celeriac_engine, name = "math.add_blocking")]
pub(crate) fn add_blocking(x: i64, y: i64, ctx: Ctx) -> Result<i64, TaskError> {
    let doubled = ctx.block_on(async { x * 2 });
    Ok(doubled - x + y)
}

/// Fails with an error of its own choice.
#[task(crate = celeriac_engine, name = "fail", max_retries = 2, retry_backoff = "10s", retry_jitter = false)]
pub(crate) async fn fail(how: String) -> Result<(), TaskError> {
    match how.as_str() {
        "plainly" => Err(std::io::Error::other("disk on fire").into()),
        "for good" => Err(TaskError::discard("no such account")),
        "cancelled" => Err(TaskError::cancel("nothing to do")),
        "later" => Err(TaskError::retry_in(Duration::from_secs(300), "slow down")),
        _ => std::panic::panic_any(format!("panicked {how}")),
    }
}

/// Fails with errors of which only some are retried.
#[task(crate = celeriac_engine, name = "picky", retry_on(std::io::Error), default_retry_delay = "5s", max_retries = None)]
pub(crate) async fn picky(io: bool) -> Result<(), TaskError> {
    if io { Err(std::io::Error::other("io"))? } else { Err("x".parse::<i32>().unwrap_err())? }
}

/// Snoozes until its third run, then succeeds.
#[task(crate = celeriac_engine, name = "snooze", max_retries = 0, state(Runs))]
pub(crate) async fn snooze(ctx: Ctx) -> Result<u32, TaskError> {
    match ctx.state::<Runs>().0.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => Err(TaskError::snooze(Duration::from_secs(60))),
        _ => Ok(ctx.attempt()),
    }
}

/// Enqueues a child and tells its progress.
#[task(crate = celeriac_engine, name = "parent")]
pub(crate) async fn parent(ctx: Ctx) -> Result<(), TaskError> {
    ctx.progress_of(1, 4);
    ctx.progress_with(50, "half", &[1, 2])?;
    ctx.enqueue(add(1, 2, None)).await?;
    Ok(())
}

/// Waits at a gate that the test opens.
#[task(crate = celeriac_engine, name = "gate", state(Gate), record = "all")]
pub(crate) async fn gate(ctx: Ctx) -> Result<(), TaskError> {
    let gate = ctx.state::<Gate>();
    gate.entered.add_permits(1);
    gate.most.fetch_max(gate.inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    let permit = gate.open.acquire().await?;
    permit.forget();
    gate.inside.fetch_sub(1, Ordering::SeqCst);
    Ok(())
}

/// Waits to be told to stop, and obeys.
#[task(crate = celeriac_engine, name = "obedient", state(Gate), soft_time_limit = "60s", max_retries = 0)]
pub(crate) async fn obedient(ctx: Ctx) -> Result<(), TaskError> {
    ctx.state::<Gate>().entered.add_permits(1);
    ctx.cancelled().await;
    Err(TaskError::discard("stopped as told"))
}

/// Never stops by itself.
#[task(crate = celeriac_engine, name = "deaf", state(Gate))]
pub(crate) async fn deaf(ctx: Ctx) {
    ctx.state::<Gate>().entered.add_permits(1);
    std::future::pending::<()>().await;
}

/// Is lost with its worker.
#[task(crate = celeriac_engine, name = "at_most_once", acks_late = false, state(Gate), max_retries = 1, default_retry_delay = "1s")]
pub(crate) async fn at_most_once(ctx: Ctx) -> Result<(), TaskError> {
    let gate = ctx.state::<Gate>();
    gate.entered.add_permits(1);
    gate.open.acquire().await?.forget();
    if ctx.retries() == 0 { Err(TaskError::from(std::io::Error::other("once more"))) } else { Ok(()) }
}

/// Is lost with its worker, and fails whenever it runs.
#[task(crate = celeriac_engine, name = "always_at_most_once", acks_late = false, state(Gate), max_retries = 2, default_retry_delay = "1s")]
pub(crate) async fn always_at_most_once(ctx: Ctx) -> Result<(), TaskError> {
    ctx.state::<Gate>().open.acquire().await?.forget();
    Err(TaskError::from(std::io::Error::other("never")))
}

/// Panics before it runs: in the default of an argument.
#[task(crate = celeriac_engine, name = "bad_default", max_retries = 0)]
pub(crate) async fn bad_default(#[default(no_default())] x: i64) -> i64 {
    x
}

fn no_default() -> i64 {
    std::panic::panic_any("there is no default")
}

/// A type of the user's that bears the name of one that the macro writes.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct Args {
    pub(crate) x: i64,
}

/// Takes a type called as the macro's own.
#[task(crate = celeriac_engine, name = "args")]
pub(crate) async fn takes_args(args: Args) -> i64 {
    args.x
}

/// Throws its result away and is not recorded unless it fails.
#[task(crate = celeriac_engine, name = "quiet", ignore_result, record = "failures", max_retries = 0)]
pub(crate) async fn quiet(fail: bool) -> Result<i64, TaskError> {
    if fail { Err(TaskError::discard("loud")) } else { Ok(1) }
}

#[derive(Default)]
pub(crate) struct Runs(pub(crate) AtomicUsize);

/// Lets a test see jobs come in, and let them out.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) entered: Arc<Semaphore>,
    pub(crate) open: Arc<Semaphore>,
    pub(crate) inside: Arc<AtomicUsize>,
    pub(crate) most: Arc<AtomicUsize>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            entered: Arc::new(Semaphore::new(0)),
            open: Arc::new(Semaphore::new(0)),
            inside: Arc::default(),
            most: Arc::default(),
        }
    }
}

impl Gate {
    /// Waits until `count` more jobs have come in.
    pub(crate) async fn entered(&self, count: u32) {
        self.entered.acquire_many(count).await.unwrap().forget();
    }
}

pub(crate) fn registry() -> Registry {
    Registry::builder()
        .module("math", |m| m.task::<add>().task::<add_blocking>())
        .module("faults", |m| m.task::<fail>().task::<picky>())
        .task::<snooze>()
        .task::<parent>()
        .task::<gate>()
        .task::<obedient>()
        .task::<deaf>()
        .task::<at_most_once>()
        .task::<always_at_most_once>()
        .task::<quiet>()
        .task::<bad_default>()
        .task::<takes_args>()
        .build()
        .unwrap()
}
