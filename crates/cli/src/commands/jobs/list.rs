//! `jobs list`: jobs, newest first, page by page.

use celeriac_protocol::JobStatus;
use celeriac_server::views::JobView;
use celeriac_store::query::jobs::{self, JobFilter, MAX_PAGE, StatusFilter};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::commands::names;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::platform::Use;
use crate::values::When;
use crate::views::jobs_table;

/// Arguments of `jobs list`.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Only these: scheduled, pending, running, retrying, completed, failed, cancelled, or dead
    #[arg(long, short, value_name = "STATUS", hide_possible_values = true, value_parser = status())]
    status: Option<StatusFilter>,
    /// Only this task's
    #[arg(long, short)]
    task: Option<String>,
    /// Only those of this queue
    #[arg(long, short = 'Q')]
    queue: Option<String>,
    /// Only those listed under this label
    #[arg(long = "type", value_name = "LABEL")]
    job_type: Option<String>,
    /// Only those whose newest attempt this worker ran
    #[arg(long)]
    worker: Option<String>,
    /// Only those with this account key
    #[arg(long, value_name = "KEY")]
    account: Option<String>,
    /// Only those that this schedule has enqueued
    #[arg(long, value_name = "NAME")]
    schedule: Option<String>,
    /// Only those whose error has this text in it
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Only those made since then: a time, or a span such as 2h
    #[arg(long, value_name = "WHEN")]
    since: Option<When>,
    /// Only those made before then
    #[arg(long, value_name = "WHEN")]
    until: Option<When>,
    /// At most this many
    #[arg(long, short, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=MAX_PAGE))]
    limit: u64,
    /// Go on behind the job with this cursor
    #[arg(long)]
    cursor: Option<i64>,
}

/// Reads a status; what is none is answered with those that there are.
fn status() -> impl TypedValueParser<Value = StatusFilter> {
    let words = JobStatus::ALL.into_iter().map(JobStatus::as_str).chain(["dead"]);
    PossibleValuesParser::new(words).try_map(|word| word.parse::<StatusFilter>())
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: ListArgs) -> Result<Exit> {
    let platform = context.open(Use::Reading).await?;
    let now = context.clock.now();
    let (task, queue) = (args.task.clone(), args.queue.clone());
    let filter = JobFilter {
        status: args.status,
        task: args.task,
        job_type: args.job_type,
        queue: args.queue,
        worker: args.worker,
        account_key: args.account,
        schedule: args.schedule,
        since: args.since.map(|when| when.back(now)),
        until: args.until.map(|when| when.back(now)),
        error_text: args.error,
        ..JobFilter::default()
    };
    let page = jobs::list(platform.database.reader(), &filter, args.cursor, args.limit).await?;
    let views: Vec<JobView> = page.jobs.into_iter().map(Into::into).collect();
    context.output.list(&views, |views| jobs_table(views, now))?;
    if views.is_empty() {
        task.iter().for_each(|task| names::note_task(context, task));
        queue.iter().for_each(|queue| names::note_queue(context, queue));
    }
    if let (Some(next), true) = (page.next, context.output.stdout_is_terminal()) {
        context.output.note(format_args!("there are more: --cursor {next}"));
    }
    Ok(Exit::Done)
}
