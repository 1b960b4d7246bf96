//! `jobs cancel`: takes waiting jobs out of their queue and tells running ones to stop.

use celeriac_control::JobDesk;
use celeriac_engine::CancelOutcome;
use celeriac_protocol::{JobId, JobStatus};
use clap::Args;
use serde::Serialize;

use crate::commands::names;
use crate::context::Context;
use crate::error::{Code, Result};
use crate::exit::Exit;
use crate::output::Paint;
use crate::platform::Use;
use crate::values::job_id;

/// Arguments of `jobs cancel`.
#[derive(Args, Debug)]
pub(super) struct CancelArgs {
    /// The jobs, each by its id or the beginning of it
    #[arg(required = true, value_parser = job_id)]
    ids: Vec<JobId>,
    /// Why, as the record will say
    #[arg(long, default_value = "cancelled by an operator", hide_default_value = true)]
    reason: String,
}

/// What a cancellation came to, as JSON. The field names are stable.
#[derive(Serialize)]
struct CancelView<'a> {
    id: &'a JobId,
    outcome: &'static str,
    status: Option<JobStatus>,
}

/// Runs the command; the exit code is the worst of what happened.
pub(super) async fn run(context: &Context, args: &CancelArgs) -> Result<Exit> {
    let platform = context.open(Use::Changing).await?;
    let desk = JobDesk::new(&platform.environment());
    let mut exit = Exit::Done;
    for id in &names::jobs(&platform, &args.ids).await? {
        let outcome = desk.cancel(id, &args.reason).await?;
        print(context, id, outcome)?;
        exit = match (exit, outcome) {
            (_, CancelOutcome::NotFound) | (Exit::NotFound, _) => Exit::NotFound,
            (_, CancelOutcome::AlreadyFinished(_) | CancelOutcome::OutOfReach) => Exit::Negative,
            (before, CancelOutcome::Cancelled | CancelOutcome::Requested) => before,
        };
    }
    if exit == Exit::NotFound {
        context.output.note(format_args!(
            "{} {}",
            context.output.paint_stderr(Paint::Hint, " hint:"),
            Code::UnknownJob.hint().unwrap_or_default()
        ));
    }
    Ok(exit)
}

fn print(context: &Context, id: &JobId, outcome: CancelOutcome) -> Result {
    let (word, text, status) = match outcome {
        CancelOutcome::Cancelled => ("cancelled", "cancelled".to_owned(), Some(JobStatus::Cancelled)),
        CancelOutcome::Requested => {
            ("requested", "is running and was told to stop".to_owned(), Some(JobStatus::Running))
        }
        CancelOutcome::OutOfReach => (
            "out_of_reach",
            "can't be cancelled: a worker that is none of ours has it, or will".to_owned(),
            None,
        ),
        CancelOutcome::AlreadyFinished(status) => {
            ("already_finished", format!("had ended before: {status}"), Some(status))
        }
        CancelOutcome::NotFound => ("not_found", "is not known".to_owned(), None),
    };
    if context.output.is_json() {
        context.output.json(&CancelView { id, outcome: word, status })
    } else {
        context.output.line(format_args!("{id} {text}"))
    }
}
