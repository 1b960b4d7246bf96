//! The task that is meant by a name, and what a call of it must be like.

use celeriac_engine::{Call, EnqueueError, RegisteredTask, Registry};
use celeriac_protocol::suggest::{closest, did_you_mean};

use crate::HOUSE_MODULE;

/// No task goes by a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown task `{name}`")]
pub struct UnknownTask {
    /// The name.
    pub name: String,
    /// Which one was probably meant, or which there are, in a sentence.
    pub hint: Option<String>,
}

/// Finds a task by its name or an alias, or says which one was probably meant.
///
/// # Errors
/// [`UnknownTask`].
pub fn find_task<'a>(registry: &'a Registry, name: &str) -> Result<&'a RegisteredTask, UnknownTask> {
    registry.find(name).map(AsRef::as_ref).ok_or_else(|| {
        let names =
            |task: &'a RegisteredTask| std::iter::once(task.name).chain(task.options.aliases.iter().copied());
        let is_ours = |task: &&RegisteredTask| task.module == HOUSE_MODULE;
        let tasks = || registry.tasks().map(AsRef::as_ref);
        let theirs = tasks().filter(|task| !is_ours(task)).flat_map(names);
        // What every app has is named only where it is meant.
        let ours = closest(name, tasks().filter(is_ours).flat_map(names));
        let known = theirs.chain(ours);
        UnknownTask { name: name.to_owned(), hint: did_you_mean(name, known.collect::<Vec<_>>()) }
    })
}

/// Checks that a call's arguments fit, before it costs anybody an attempt.
///
/// # Errors
/// They don't; and which the task takes, in a sentence.
pub fn check_call(call: &Call, task: &RegisteredTask) -> Result<(), Box<(EnqueueError, String)>> {
    call.check(task).map_err(|error| {
        let param = |param: &celeriac_engine::Param| match param.required {
            true => format!("<{}: {}>", param.name, param.type_name),
            false => format!("[{}: {}]", param.name, param.type_name),
        };
        let params: Vec<String> = task.params.iter().map(param).collect();
        let takes = if params.is_empty() { "no arguments".to_owned() } else { params.join(" ") };
        Box::new((error, format!("`{}` takes {takes}", task.name)))
    })
}
