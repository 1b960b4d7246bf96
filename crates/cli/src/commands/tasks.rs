//! `tasks`: what this app can run.

use celeriac_control::find_task;
use celeriac_engine::{Param, RegisteredTask, Sending};
use celeriac_protocol::{Backoff, RecordLevel, RetryPolicy};
use celeriac_server::views::TaskView;
use clap::Args;

use crate::config::Period;
use crate::context::Context;
use crate::error::{Code, Failure, Result};
use crate::exit::Exit;
use crate::output::{Cell, Column, Paint, Table, brief};

/// Arguments of `tasks`.
#[derive(Args, Debug)]
pub(crate) struct TasksArgs {
    /// Describe this task, by its name or an alias
    name: Option<String>,
    /// List the tasks of this module only
    #[arg(long, short, conflicts_with = "name")]
    module: Option<String>,
}

/// Runs the command.
pub(super) fn run(context: &Context, args: &TasksArgs) -> Result<Exit> {
    match &args.name {
        Some(name) => describe(context, find(context, name)?),
        None => list(context, args.module.as_deref()),
    }
    .map(|()| Exit::Done)
}

/// Finds a task, or says which one was probably meant.
pub(super) fn find<'a>(context: &'a Context, name: &str) -> Result<&'a RegisteredTask> {
    Ok(find_task(&context.app.registry, name)?)
}

/// Takes what is told of a task.
fn view_of(task: &RegisteredTask, sending: &Sending) -> TaskView {
    TaskView::new(task, task.options.queue.unwrap_or_else(|| sending.queue_of(task.name)))
}

fn list(context: &Context, module: Option<&str>) -> Result {
    let registry = match module {
        Some(module) => {
            let subset = context.app.registry.subset(&[module.to_owned()]);
            subset.map_err(|error| Failure::failed_to(Code::Usage, error))?
        }
        None => context.app.registry.clone(),
    };
    let sending = context.loaded.config.tasks.sending();
    let views: Vec<TaskView> = registry.tasks().map(|task| view_of(task, &sending)).collect();
    context.output.list(&views, table)
}

fn table(views: &[TaskView]) -> Table {
    let columns = [
        Column::new("TASK"),
        Column::elastic("PARAMETERS"),
        Column::new("QUEUE"),
        Column::new("MODULE").spare(),
        Column::elastic("DESCRIPTION"),
    ];
    let mut table = Table::new(columns, "no tasks are registered in this app");
    for view in views {
        table.row([
            Cell::painted(Paint::Strong, view.name),
            Cell::new(view.params.iter().map(short).collect::<Vec<_>>().join(" ")),
            Cell::new(view.queue.as_str()),
            Cell::painted(Paint::Faint, view.module),
            Cell::new(view.description),
        ]);
    }
    table
}

fn short(param: &Param) -> String {
    if param.required { format!("<{}>", param.name) } else { format!("[{}]", param.name) }
}

fn describe(context: &Context, task: &RegisteredTask) -> Result {
    let output = &context.output;
    let view = view_of(task, &context.loaded.config.tasks.sending());
    if output.is_json() {
        return output.json(&view);
    }
    output.line(output.paint(Paint::Strong, view.name))?;
    if !view.description.is_empty() {
        output.line(format_args!("  {}", view.description))?;
    }
    for (label, value) in facts(&view, &task.options.retry) {
        output.line(format_args!("  {} {value}", output.paint(Paint::Faint, &format!("{label:<12}"))))?;
    }
    Ok(())
}

fn facts(view: &TaskView, retry: &RetryPolicy) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    for (i, param) in view.params.iter().enumerate() {
        let label = if i == 0 { "parameters" } else { "" };
        let optional = if param.required { "" } else { " (optional)" };
        facts.push((label, format!("{}: {}{optional}", param.name, param.type_name)));
    }
    let or = |list: &[&str]| list.join(", ");
    facts.push(("module", view.module.to_owned()));
    facts.push(("queue", view.queue.clone()));
    facts.push((
        "priority",
        view.priority.map_or("not said: the middle, in Redis and RabbitMQ the last".to_owned(), |priority| {
            priority.to_string()
        }),
    ));
    facts.push(("retries", retries(retry)));
    facts.push((
        "soft limit",
        view.soft_limit_secs
            .map_or("none".to_owned(), |secs| brief(std::time::Duration::from_secs_f64(secs))),
    ));
    facts.push(("delivery", if view.acks_late { "at least once" } else { "at most once" }.to_owned()));
    facts.push(("recorded", recorded(view)));
    facts.push(("job type", view.job_type.to_owned()));
    if !view.aliases.is_empty() {
        facts.push(("aliases", or(&view.aliases)));
    }
    if !view.needs.is_empty() {
        facts.push(("needs", or(&view.needs)));
    }
    facts.push(("defined at", view.defined_at.clone()));
    facts
}

fn retries(policy: &RetryPolicy) -> String {
    let count = match policy.max_retries {
        None => return format!("without end, {}", waits(policy)),
        Some(0) => return "none".to_owned(),
        Some(count) => count,
    };
    format!("{count}, {}", waits(policy))
}

fn waits(policy: &RetryPolicy) -> String {
    let jitter = if policy.jitter { ", with jitter" } else { "" };
    match policy.backoff {
        Backoff::Fixed { delay } => format!("{} apart{jitter}", Period(delay)),
        Backoff::Exponential { base, cap } => {
            format!("after {}, doubling up to {}{jitter}", Period(base), Period(cap))
        }
    }
}

fn recorded(view: &TaskView) -> String {
    let level = match view.record {
        RecordLevel::All => "every job",
        RecordLevel::Failures => "failures only",
        RecordLevel::None => "nothing",
    };
    if view.ignore_result { format!("{level}, without results") } else { level.to_owned() }
}
