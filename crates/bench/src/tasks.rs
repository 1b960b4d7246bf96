//! The tasks that are measured.

use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use celeriac_engine::{Ctx, Registry, TaskError, task};

/// Does nothing, and is recorded whole.
#[task(crate = celeriac_engine, name = "bench.noop", ignore_result)]
pub(crate) async fn noop(number: u64) {
    let _ = number;
}

/// Does nothing, and is recorded only if it fails.
#[task(crate = celeriac_engine, name = "bench.quiet", ignore_result, record = "failures")]
pub(crate) async fn quiet(number: u64) {
    let _ = number;
}

/// Notes how long it took from enqueue to start.
#[task(crate = celeriac_engine, name = "bench.stamp", ignore_result, state(Latencies))]
pub(crate) async fn stamp(sent_at: i64, ctx: Ctx) {
    let now = ctx.client().clock().now().as_micros();
    ctx.state::<Latencies>().0.lock().expect("nobody panics with the lock").push(now - sent_at);
}

/// Writes a line in a journal, as something that must not be lost would; every tenth fails once.
#[task(crate = celeriac_engine, name = "bench.journal", state(Journal), default_retry_delay = "50ms")]
pub(crate) async fn journal(number: u64, ctx: Ctx) -> Result<u64, TaskError> {
    note(number, &ctx)
}

/// Does the same, and is recorded only if it fails for good.
#[task(
    crate = celeriac_engine, name = "bench.quiet_journal", state(Journal), default_retry_delay = "50ms",
    record = "failures"
)]
pub(crate) async fn quiet_journal(number: u64, ctx: Ctx) -> Result<u64, TaskError> {
    note(number, &ctx)
}

fn note(number: u64, ctx: &Ctx) -> Result<u64, TaskError> {
    let line = format!("{} {number}\n", ctx.id());
    ctx.state::<Journal>().0.lock().expect("nobody panics with the lock").write_all(line.as_bytes())?;
    if number.is_multiple_of(10) && ctx.retries() == 0 {
        Err(std::io::Error::other("the first try of every tenth fails"))?;
    }
    Ok(number)
}

/// Microseconds from enqueue to start.
#[derive(Clone, Default)]
pub(crate) struct Latencies(pub(crate) Arc<Mutex<Vec<i64>>>);

/// A file that every execution is noted in, one write a line.
pub(crate) struct Journal(pub(crate) Mutex<File>);

pub(crate) fn registry() -> Registry {
    let tasks = Registry::builder().task::<noop>().task::<quiet>().task::<stamp>().task::<journal>();
    let tasks = tasks.task::<quiet_journal>();
    tasks.build().expect("the names differ")
}
