//! What is said of a name that nothing goes by, where it is no error: it may be another program's.

use std::collections::BTreeSet;

use celeriac_control::workflow::WORKFLOW_QUEUE;
use celeriac_engine::RegisteredTask;

use crate::context::Context;
use crate::suggest::did_you_mean;

/// Returns the queues that this app's tasks go to, and those that its worker takes from.
pub(super) fn queues(context: &Context) -> BTreeSet<String> {
    let registry = &context.app.registry;
    let sending = context.loaded.config.tasks.sending();
    let queue_of =
        |task: &RegisteredTask| task.options.queue.unwrap_or_else(|| sending.queue_of(task.name)).to_owned();
    let of_tasks = registry.tasks().map(|task| queue_of(task));
    let of_worker = context.loaded.config.worker.queues.iter().cloned();
    of_tasks.chain(of_worker).chain([WORKFLOW_QUEUE.to_owned()]).collect()
}

/// Says that no task of this app goes by a name.
pub(super) fn note_task(context: &Context, name: &str) {
    let registry = &context.app.registry;
    if registry.find(name).is_none() {
        note(
            context,
            format!("no task of this app is called {name}"),
            name,
            registry.tasks().map(|task| task.name).collect::<Vec<_>>(),
        );
    }
}

/// Says that no task of this app goes to a queue.
pub(super) fn note_queue(context: &Context, name: &str) {
    let known = queues(context);
    if !known.contains(name) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        note(context, format!("no task of this app goes to queue {name}"), name, known);
    }
}

/// Says something of a name, and which one may have been meant.
pub(super) fn note<'a>(
    context: &Context,
    text: String,
    name: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) {
    let hint = did_you_mean(name, known).map(|hint| format!("; {hint}")).unwrap_or_default();
    context.output.note(format_args!("{text}{hint}"));
}
