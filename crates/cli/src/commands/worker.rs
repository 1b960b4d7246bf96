//! `worker`: runs jobs until it is stopped.

use std::collections::BTreeSet;

use celeriac_control::Driver;
use celeriac_control::workflow::{WORKFLOW_QUEUE, run_workflow};
use celeriac_engine::{Registry, Task, Worker, WorkerOptions};
use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::beat;
use crate::arguments::flag;
use crate::config::{Config, Flag, Period};
use crate::context::Context;
use crate::error::{CliError, Code, Result};
use crate::exit::Exit;
use crate::output::{Output, Paint};
use crate::platform::{Platform, Use};
use crate::shutdown::Shutdown;
use crate::suggest::did_you_mean;
use crate::{loops, readiness};

/// Arguments of `worker`.
#[derive(Args, Debug)]
pub(crate) struct WorkerArgs {
    /// Take jobs from these queues, separated by commas [default: celery]
    #[arg(long, short = 'Q', value_name = "QUEUES")]
    queues: Option<String>,
    /// Run this many jobs at a time [default: 8]
    #[arg(long, short = 'c', value_name = "JOBS")]
    concurrency: Option<usize>,
    /// Run the tasks of these modules only, separated by commas
    #[arg(long, value_name = "MODULES")]
    modules: Option<String>,
    // Not a doc comment: rustdoc would take what stands in brackets for a link.
    #[arg(
        long,
        short = 'n',
        value_name = "NAME",
        help = "Go by this name in records and leases [default: app-pid@host]"
    )]
    name: Option<String>,
    /// Let running jobs finish for this long when stopped [default: 30s]
    #[arg(long, value_name = "SPAN")]
    shutdown_patience: Option<Period>,
}

impl WorkerArgs {
    /// Returns the keys that these flags set.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let mut flags = Vec::new();
        flags.extend(self.queues.as_ref().map(|value| flag("--queues", "worker.queues", value)));
        flags.extend(self.concurrency.map(|value| flag("--concurrency", "worker.concurrency", value)));
        flags.extend(self.modules.as_ref().map(|value| flag("--modules", "worker.modules", value)));
        flags.extend(self.name.as_ref().map(|value| flag("--name", "worker.name", value)));
        let patience = self.shutdown_patience;
        flags.extend(patience.map(|value| flag("--shutdown-patience", "worker.shutdown_patience", value)));
        flags
    }
}

/// What the worker says of itself to programs. The field names are stable.
#[derive(Serialize)]
struct WorkerView<'a> {
    event: &'static str,
    worker: &'a str,
    queues: &'a [String],
    concurrency: usize,
    tasks: Vec<&'static str>,
}

/// Runs jobs and loops until a signal comes, then lets running jobs finish.
pub(super) async fn run(mut context: Context) -> Result<Exit> {
    let shutdown = Shutdown::listen()?;
    let platform = context.open(Use::Hearing).await?;
    let registry = tasks_of(&context)?;
    let options = options_of(&context, &registry);
    let states = platform.make_states(&mut context).await?;
    if context.loaded.config.beat.enabled {
        beat::merge_declared(&context, &platform).await?;
    }
    let own_loops = context.take_loops();
    let driver = loops::driver(&context.loaded.config, &platform, &states, own_loops)?;
    let worker = Worker::new(platform.client.clone(), registry.clone(), states, options.clone())?;
    announce(&context, &platform, &registry, &options)?;
    platform.warn_of_dangers().await;
    readiness::tell(readiness::READY);
    let exit = until_stopped(&context.output, worker, driver, shutdown, &options).await;
    say(&context.output, "stopped", &registry, &options)?;
    Ok(exit)
}

/// Returns how the worker runs. Who runs workflows takes from the queue of their runs, too.
fn options_of(context: &Context, registry: &Registry) -> WorkerOptions {
    let mut options = context.loaded.config.worker.options(&context.worker_name());
    let runs_workflows = registry.find(run_workflow::NAME).is_some();
    if runs_workflows && !options.queues.iter().any(|queue| queue == WORKFLOW_QUEUE) {
        options.queues.push(WORKFLOW_QUEUE.to_owned());
    }
    options
}

/// Returns the tasks that this worker runs; without any it would only make dead letters.
fn tasks_of(context: &Context) -> Result<Registry> {
    let all = &context.app.registry;
    if all.tasks().next().is_none() {
        return Err(CliError::failed_to(Code::AppInvalid, "start worker")
            .because("no tasks are registered in this app")
            .hint("register yours with `App::task` in a binary of your own; `examples/hello.rs` shows how"));
    }
    let modules = &context.loaded.config.worker.modules;
    if modules.is_empty() {
        return Ok(all.clone());
    }
    let subset = all.subset(modules).map_err(|error| {
        let known: BTreeSet<&str> = all.tasks().map(|task| task.module).collect();
        let unknown = modules.iter().find(|module| !known.contains(module.as_str()));
        let hint = unknown.and_then(|unknown| did_you_mean(unknown, known));
        // The hint lists them, or names the one that is meant.
        let error = match unknown.filter(|_| hint.is_some()) {
            Some(unknown) => {
                CliError::failed_to(Code::ConfigInvalidValue, format_args!("find module \"{unknown}\""))
            }
            None => CliError::failed_to(Code::ConfigInvalidValue, error),
        };
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })?;
    warn_of_strays(all, &subset, &context.loaded.config);
    Ok(subset)
}

/// Warns of tasks that are left out and yet go to a queue that this worker takes from.
fn warn_of_strays(all: &Registry, subset: &Registry, config: &Config) {
    let sending = config.tasks.sending();
    for task in all.tasks().filter(|task| subset.find(task.name).is_none()) {
        let queue = task.options.queue.unwrap_or_else(|| sending.queue_of(task.name));
        if config.worker.queues.iter().any(|taken| taken == queue) {
            tracing::warn!(
                task.name = task.name,
                queue,
                "task is not among this worker's modules but goes to one of its queues: its jobs would go to the dead letters"
            );
        }
    }
}

async fn until_stopped(
    output: &Output,
    worker: Worker,
    driver: Driver,
    mut shutdown: Shutdown,
    options: &WorkerOptions,
) -> Exit {
    let (stop, hurry) = (CancellationToken::new(), worker.hurry());
    let running = async { tokio::join!(worker.run(stop.clone()), driver.run(stop.clone())) };
    let mut running = std::pin::pin!(running);
    tokio::select! {
        _ = &mut running => return Exit::Done,
        signal = shutdown.next() => {
            let patience = Period(options.shutdown_patience);
            output.note(format_args!(
                "{signal}: taking no more jobs, letting running ones finish for up to {patience}; once more stops at once"
            ));
            readiness::tell(readiness::STOPPING);
            stop.cancel();
        }
    }
    tokio::select! {
        _ = &mut running => return Exit::Done,
        signal = shutdown.next() => {
            output.note(format_args!("{signal}: giving running jobs back"));
            hurry.cancel();
        }
    }
    tokio::select! {
        _ = running => {}
        signal = shutdown.next() => {
            let lease = Period(options.lease);
            output.note(format_args!("{signal}: left at once; jobs that were running come back within {lease}"));
        }
    }
    Exit::Interrupted
}

fn announce(context: &Context, platform: &Platform, registry: &Registry, options: &WorkerOptions) -> Result {
    let output = &context.output;
    if output.stderr_is_terminal() {
        output.note(banner(context, platform, registry, options));
    }
    say(output, "started", registry, options)
}

fn say(output: &Output, event: &'static str, registry: &Registry, options: &WorkerOptions) -> Result {
    if !output.is_json() {
        return Ok(());
    }
    let tasks = registry.tasks().map(|task| task.name).collect();
    let WorkerOptions { name, queues, concurrency, .. } = options;
    output.json(&WorkerView { event, worker: name, queues, concurrency: *concurrency, tasks })
}

fn banner(context: &Context, platform: &Platform, registry: &Registry, options: &WorkerOptions) -> String {
    let output = &context.output;
    let version = context.app.version.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"));
    let mut text = format!("{} {version}\n", output.paint_stderr(Paint::Strong, &context.app.name));
    let names: Vec<&str> = registry.tasks().map(|task| task.name).collect();
    for (label, value) in [
        ("worker", options.name.clone()),
        ("queues", options.queues.join(", ")),
        ("concurrency", options.concurrency.to_string()),
        ("tasks", some_of(&names)),
        ("broker", context.loaded.config.broker.url.shown()),
        ("database", platform.database.name().to_owned()),
    ] {
        text.push_str(&format!("  {} {value}\n", output.paint_stderr(Paint::Faint, &format!("{label:<11}"))));
    }
    text.push_str("Ctrl-C lets running jobs finish; twice stops at once.");
    text
}

/// Names the first few, and counts the rest.
fn some_of(names: &[&str]) -> String {
    /// How many names are shown.
    const SHOWN: usize = 6;
    let mut text = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if let Some(more) = names.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
