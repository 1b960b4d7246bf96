//! Which tasks a worker runs, and how.

use std::collections::BTreeSet;

use celeriac_control::workflow::WORKFLOW_QUEUE;
use celeriac_control::{HOUSE_MODULE, HOUSE_QUEUE};
use celeriac_engine::{Registry, WorkerOptions};
use celeriac_protocol::suggest::did_you_mean;

use crate::config::Config;
use crate::context::Context;
use crate::error::{Code, Failure, Result};

/// Returns the tasks that this process's worker runs, and how it runs.
///
/// # Errors
/// There is nothing to run, or no module of a name that the settings ask for.
pub(super) fn plan(context: &Context) -> Result<(Registry, WorkerOptions)> {
    let registry = of(context)?;
    let options = options(context, &registry);
    Ok((registry, options))
}

/// Returns how the worker runs. Who runs workflows takes from the queue of their runs, too, and who knows the platform's own
/// tasks from theirs.
fn options(context: &Context, registry: &Registry) -> WorkerOptions {
    let mut options = context.loaded.config.worker.options(&context.worker_name());
    for own in [WORKFLOW_QUEUE, HOUSE_QUEUE] {
        let runs_its_tasks = registry.tasks().any(|task| task.options.queue == Some(own));
        if runs_its_tasks && !options.queues.iter().any(|queue| queue == own) {
            options.queues.push(own.to_owned());
        }
    }
    options
}

/// Returns the tasks that this worker runs; without any it would only make dead letters.
fn of(context: &Context) -> Result<Registry> {
    let all = &context.app.registry;
    if all.tasks().all(|task| task.module == HOUSE_MODULE) {
        return Err(Failure::failed_to(Code::AppInvalid, "start worker")
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
                Failure::failed_to(Code::ConfigInvalidValue, format_args!("find module \"{unknown}\""))
            }
            None => Failure::failed_to(Code::ConfigInvalidValue, error),
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
