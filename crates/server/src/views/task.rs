//! Tasks.

use celeriac_engine::{Param, RegisteredTask};
use celeriac_protocol::{Backoff, RecordLevel};
use serde::Serialize;
use utoipa::ToSchema;

/// A task that this app knows.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Task)]
pub struct TaskView {
    /// Its name.
    pub name: &'static str,
    /// The module of the app that it belongs to.
    pub module: &'static str,
    /// What it does, in a sentence.
    pub description: &'static str,
    /// The label that its jobs are listed under.
    pub job_type: &'static str,
    /// Other names that it answers to.
    pub aliases: Vec<&'static str>,
    /// Its parameters, in their order.
    #[schema(value_type = Vec<ParamView>)]
    pub params: &'static [Param],
    /// The queue that its jobs go to.
    pub queue: String,
    /// Their priority, where it says one.
    pub priority: Option<u8>,
    /// How often a job is retried; null: without end.
    pub max_retries: Option<u32>,
    /// How long is waited before a retry.
    #[schema(value_type = Object)]
    pub backoff: Backoff,
    /// Whether these waits vary.
    pub jitter: bool,
    /// After how many seconds a job is told to stop.
    pub soft_limit_secs: Option<f64>,
    /// Whether a job runs again whose worker was lost.
    pub acks_late: bool,
    /// Whether what it returns is thrown away.
    pub ignore_result: bool,
    /// Of which of its jobs there are records: `all`, `failures`, `none`.
    #[schema(value_type = String)]
    pub record: RecordLevel,
    /// The types of the states that it needs.
    pub needs: Vec<&'static str>,
    /// Where it stands in the source.
    pub defined_at: String,
}

/// A parameter of a task.
#[derive(Debug, ToSchema)]
#[schema(as = Param)]
#[expect(dead_code, reason = "it describes a type of the engine, which describes nothing")]
pub(crate) struct ParamView {
    /// Its name, as named arguments use it.
    name: String,
    /// Its type as written in the source, for people.
    #[schema(rename = "type")]
    type_name: String,
    /// Whether a call must give it.
    required: bool,
}

impl TaskView {
    /// Takes what is told of a task whose jobs go to this queue.
    pub fn new(task: &RegisteredTask, queue: &str) -> Self {
        let options = &task.options;
        Self {
            name: task.name,
            module: task.module,
            description: options.description,
            job_type: task.job_type(),
            aliases: options.aliases.clone(),
            params: task.params,
            queue: queue.to_owned(),
            priority: options.priority,
            max_retries: options.retry.max_retries,
            backoff: options.retry.backoff,
            jitter: options.retry.jitter,
            soft_limit_secs: options.soft_limit.map(|limit| limit.as_secs_f64()),
            acks_late: options.acks_late,
            ignore_result: options.ignore_result,
            record: options.record,
            needs: options.needs.iter().map(|need| need.type_name).collect(),
            defined_at: options.defined_at.to_string(),
        }
    }
}
