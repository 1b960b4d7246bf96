//! `jobs delete`: removes the records of jobs that have come to their end.

use celeriac_control::JobDesk;
use celeriac_control::jobs::{Deleted, Each};
use celeriac_protocol::JobId;
use clap::Args;
use serde::Serialize;

use super::report;
use crate::commands::names;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::platform::Use;
use crate::values::job_id;

/// Arguments of `jobs delete`.
#[derive(Args, Debug)]
#[command(
    after_help = "A job goes with its attempts and its dead letter. One that has not ended is left alone: cancel it first."
)]
pub(super) struct DeleteArgs {
    /// The jobs, each by its id or the beginning of it
    #[arg(required = true, value_parser = job_id)]
    ids: Vec<JobId>,
}

/// What a deletion came to, as JSON. The field names are stable.
#[derive(Serialize)]
struct DeleteView<'a> {
    id: &'a JobId,
    outcome: &'static str,
    /// How many dead letters went with it.
    letters: u64,
}

/// Runs the command; the exit code is the worst of what happened.
pub(super) async fn run(context: &Context, args: &DeleteArgs) -> Result<Exit> {
    let platform = context.open(Use::Changing).await?;
    let desk = JobDesk::new(&platform.environment());
    let ids = names::jobs(&platform, &args.ids).await?;
    let several = ids.len() > 1;
    let mut exit = Exit::Done;
    for id in ids {
        let result = desk.delete(&id).await;
        exit = report::worse(exit, report::each(context, Each { id, result }, several, print)?);
    }
    Ok(exit)
}

fn print(context: &Context, id: &JobId, deleted: &Deleted) -> Result {
    if context.output.is_json() {
        return context.output.json(&DeleteView { id, outcome: "deleted", letters: deleted.letters });
    }
    let with = if deleted.letters > 0 { ", and its dead letter with it" } else { "" };
    context.output.line(format_args!("{id} deleted{with}"))
}
