//! `jobs show`: all that is known of a job, and why it is not running where it is not.

use celeriac_protocol::JobId;
use celeriac_server::views::JobDetailView;
use celeriac_store::query::jobs;
use clap::Args;

use super::unknown;
use crate::commands::names;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::platform::Use;
use crate::values::job_id;
use crate::views::job_text;

/// Arguments of `jobs show`.
#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    /// The job, by its id or the beginning of it
    #[arg(value_parser = job_id)]
    id: JobId,
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: &ShowArgs) -> Result<Exit> {
    let platform = context.open(Use::Reading).await?;
    let id = names::job(&platform, &args.id).await?;
    let Some(record) = jobs::find(platform.database.reader(), &id).await? else {
        return Err(unknown(&platform.client, &id).await);
    };
    let admin = platform.broker().admin();
    let message = platform.client.find(&id).await?.map(|found| found.state);
    let queue = record.summary.queue.clone();
    let paused_at = match message {
        Some(_) => admin
            .depths()
            .await?
            .into_iter()
            .find(|depth| depth.queue == queue)
            .and_then(|depth| depth.paused_at),
        None => None,
    };
    let now = context.clock.now();
    let view = JobDetailView::new(record, message.as_ref(), paused_at);
    if context.output.is_json() {
        context.output.json(&view)?;
    } else {
        context.output.text(&job_text(&view, &context.output, now))?;
    }
    Ok(Exit::Done)
}
