//! `jobs retry`: runs a job again that has come to its end.

use celeriac_engine::Call;
use celeriac_protocol::{Arguments, JobId};
use celeriac_store::query::jobs;
use celeriac_store::{JobRecord, limits};
use clap::Args;
use serde::Serialize;

use super::unknown;
use crate::commands::names;
use crate::context::Context;
use crate::error::{CliError, Code, Result};
use crate::exit::Exit;
use crate::platform::{Platform, Use};
use crate::values::job_id;

/// Arguments of `jobs retry`.
#[derive(Args, Debug)]
#[command(
    after_help = "A dead letter is put back into its queue under the id it has. Of a job that was cancelled, \
    has completed, or whose dead letter is gone, a copy is enqueued under a new id."
)]
pub(super) struct RetryArgs {
    /// The job, by its id or the beginning of it
    #[arg(value_parser = job_id)]
    id: JobId,
}

/// What a retry came to, as JSON. The field names are stable.
#[derive(Serialize)]
struct RetryView<'a> {
    id: &'a JobId,
    /// The job whose turn it is now: the same one, or a copy.
    runs_as: &'a JobId,
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: &RetryArgs) -> Result<Exit> {
    let platform = context.open(Use::Changing).await?;
    let id = names::job(&platform, &args.id).await?;
    let runs_as = retry(&platform, &id).await?;
    let output = &context.output;
    if output.is_json() {
        output.json(&RetryView { id: &id, runs_as: &runs_as })?;
    } else {
        if runs_as != id {
            output.note(format_args!("a copy of {id} was enqueued"));
        }
        output.line(&runs_as)?;
    }
    Ok(Exit::Done)
}

async fn retry(platform: &Platform, id: &JobId) -> Result<JobId> {
    if let Some(letter) = platform.client.dead_letter(id).await?
        && platform.client.revive(letter).await?
    {
        return Ok(id.clone());
    }
    let Some(record) = jobs::find(platform.database.reader(), id).await? else {
        return Err(unknown(&platform.client, id).await);
    };
    let status = record.summary.status;
    if !status.is_final() {
        return Err(CliError::plain(Code::JobState, format!("job {id} has not ended, it is {status}")));
    }
    Ok(platform.client.send(copy(record)?).await?.id().clone())
}

/// Asks once more for what a job was asked for.
fn copy(record: JobRecord) -> Result<Call> {
    let JobRecord { summary: job, args, kwargs, .. } = record;
    let marker = format!("{{\"{}\":", limits::TRUNCATED);
    if args.get().starts_with(&marker) || kwargs.get().starts_with(&marker) {
        return Err(CliError::failed_to(Code::JobState, format_args!("copy job {}", job.id))
            .because("its arguments were too long to be kept in the record"));
    }
    let call = Call::new(job.task, Arguments { positional: args, named: kwargs });
    let call = call.queue(job.queue).job_type(job.job_type);
    let call = job.priority.into_iter().fold(call, Call::priority);
    Ok(job.max_retries.into_iter().fold(call, Call::max_retries))
}
