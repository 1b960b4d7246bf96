//! `worker`: runs jobs until it is stopped.

use celeriac_control::HOUSE_MODULE;
use celeriac_engine::{Registry, WorkerOptions};
use clap::Args;
use serde::Serialize;

use crate::arguments::flag;
use crate::config::{Flag, Period};
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::{Output, Paint};
use crate::platform::Platform;
use crate::readiness;
use crate::service::{self, Prepared, Roles, Service};
use crate::shutdown::Shutdown;

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
    let prepared = Prepared::new(&mut context, Roles::WORKER).await?;
    let crew = prepared.crew.expect("a worker's roles have it prepared");
    let (registry, options) = (crew.registry.clone(), crew.options.clone());
    announce(&context, &prepared.platform, &registry, &options)?;
    prepared.platform.warn_of_dangers().await;
    readiness::tell(readiness::READY);
    let service = service::start(Some(crew), prepared.driver, None);
    let exit = until_stopped(&context.output, &service, shutdown, &options).await;
    say(&context.output, "stopped", &registry, &options)?;
    match service.failure() {
        Some(failure) => Err(failure.into()),
        None => Ok(exit),
    }
}

/// Waits for signals, of which each makes the stop a harder one.
pub(super) async fn until_stopped(
    output: &Output,
    service: &Service,
    mut shutdown: Shutdown,
    options: &WorkerOptions,
) -> Exit {
    tokio::select! {
        // The rest stops by itself then.
        _ = service.failed() => {}
        signal = shutdown.next() => {
            let patience = Period(options.shutdown_patience);
            output.note(format_args!(
                "{signal}: taking no more jobs, letting running ones finish for up to {patience}; once more stops at once"
            ));
            readiness::tell(readiness::STOPPING);
            service.stop();
        }
    }
    tokio::select! {
        () = service.ended() => return Exit::Done,
        signal = shutdown.next() => {
            output.note(format_args!("{signal}: giving running jobs back"));
            service.hurry();
        }
    }
    tokio::select! {
        () = service.ended() => {}
        signal = shutdown.next() => {
            let lease = Period(options.lease);
            output.note(format_args!("{signal}: left at once; jobs that were running come back within {lease}"));
        }
    }
    Exit::Interrupted
}

pub(super) fn announce(
    context: &Context,
    platform: &Platform,
    registry: &Registry,
    options: &WorkerOptions,
) -> Result {
    let output = &context.output;
    if output.stderr_is_terminal() {
        output.note(banner(context, platform, registry, options));
    }
    say(output, "started", registry, options)
}

pub(super) fn say(
    output: &Output,
    event: &'static str,
    registry: &Registry,
    options: &WorkerOptions,
) -> Result {
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
    let theirs = registry.tasks().filter(|task| task.module != HOUSE_MODULE);
    let names: Vec<&str> = theirs.map(|task| task.name).collect();
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
