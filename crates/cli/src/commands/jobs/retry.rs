//! `jobs retry`: runs jobs again that have come to their end, as they were or otherwise.

use celeriac_control::JobDesk;
use celeriac_control::jobs::{Each, Edits, Retried};
use celeriac_protocol::{JobId, RawValue};
use clap::Args;
use serde::Serialize;

use super::report;
use crate::commands::names;
use crate::context::Context;
use crate::error::{Code, Failure, Result};
use crate::exit::Exit;
use crate::platform::Use;
use crate::values::{When, job_id};

/// Arguments of `jobs retry`.
#[derive(Args, Debug)]
#[command(
    after_help = "A dead letter is put back into its queue under the id it has. Of a job that was cancelled, \
    has completed, or whose dead letter is gone, a copy is enqueued under a new id. What is edited holds for either."
)]
pub(super) struct RetryArgs {
    /// The jobs, each by its id or the beginning of it
    #[arg(required = true, value_parser = job_id)]
    ids: Vec<JobId>,
    /// With these positional arguments, a JSON array
    #[arg(long, value_name = "JSON")]
    args: Option<String>,
    /// With these named arguments, a JSON object, in place of all that there were
    #[arg(long, value_name = "JSON")]
    kwargs: Option<String>,
    /// In this queue
    #[arg(long, short = 'Q')]
    queue: Option<String>,
    /// With this priority, 0 to 9, higher first
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=9))]
    priority: Option<u8>,
    /// Not before then: a time, or a span such as 10m
    #[arg(long, value_name = "WHEN")]
    eta: Option<When>,
}

/// What a retry came to, as JSON. The field names are stable.
#[derive(Serialize)]
struct RetryView<'a> {
    id: &'a JobId,
    /// The job whose turn it is now: the same one, or a copy.
    runs_as: &'a JobId,
}

/// Runs the command; the exit code is the worst of what happened.
pub(super) async fn run(context: &Context, args: RetryArgs) -> Result<Exit> {
    let edits = args.edits(context)?;
    let platform = context.open(Use::Changing).await?;
    let desk = JobDesk::new(&platform.environment());
    let ids = names::jobs(&platform, &args.ids).await?;
    let several = ids.len() > 1;
    let mut exit = Exit::Done;
    for id in ids {
        let result = desk.retry_with(&id, edits.clone()).await;
        exit = report::worse(exit, report::each(context, Each { id, result }, several, print)?);
    }
    Ok(exit)
}

fn print(context: &Context, id: &JobId, retried: &Retried) -> Result {
    let (output, runs_as) = (&context.output, retried.runs_as());
    if output.is_json() {
        return output.json(&RetryView { id, runs_as });
    }
    if let Retried::Copied(_) = retried {
        output.note(format_args!("a copy of {id} was enqueued"));
    }
    output.line(runs_as)
}

impl RetryArgs {
    fn edits(&self, context: &Context) -> Result<Edits> {
        let json = |flag: &str, text: &Option<String>| {
            let read = |text: &String| {
                RawValue::from_string(text.clone()).map_err(|error| {
                    Failure::failed_to(Code::InvalidArguments, format_args!("read {flag} as JSON"))
                        .caused_by(&error)
                })
            };
            text.as_ref().map(read).transpose()
        };
        Ok(Edits {
            args: json("--args", &self.args)?,
            kwargs: json("--kwargs", &self.kwargs)?,
            queue: self.queue.clone(),
            priority: self.priority,
            max_retries: None,
            eta: self.eta.as_ref().map(|when| when.ahead(context.clock.now())),
        })
    }
}
