//! `dead retry` and `dead drop`: one, some, or all that match.

use celeriac_control::JobDesk;
use celeriac_protocol::JobId;
use clap::{ArgGroup, Args};
use serde::Serialize;

use super::Filter;
use crate::commands::names;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::counted;
use crate::platform::Use;
use crate::values::job_id;

/// Arguments of `dead retry` and `dead drop`.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true).args(["ids", "all"]))]
pub(super) struct ChangeArgs {
    /// The jobs, each by its id or the beginning of it
    #[arg(value_parser = job_id)]
    ids: Vec<JobId>,
    /// All that match
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: Filter,
}

/// What a change came to, as JSON. The field names are stable.
#[derive(Serialize)]
struct RetriedView {
    retried: u64,
    unreadable: u64,
}

/// What a change came to, as JSON. The field names are stable.
#[derive(Serialize)]
struct DroppedView {
    dropped: u64,
}

/// Puts dead letters back into their queues.
pub(super) async fn retry(context: &Context, args: ChangeArgs) -> Result<Exit> {
    let platform = context.open(Use::Changing).await?;
    let desk = JobDesk::new(&platform.environment());
    let told = match args.all {
        true => desk.retry_letters_that(args.filter.into()).await?,
        false => desk.retry_letters(&names::jobs(&platform, &args.ids).await?).await?,
    };
    report_retried(context, &RetriedView { retried: told.retried, unreadable: told.unreadable })
}

/// Drops dead letters for good.
pub(super) async fn drop(context: &Context, args: ChangeArgs) -> Result<Exit> {
    let platform = context.open(Use::Changing).await?;
    let desk = JobDesk::new(&platform.environment());
    let dropped = match args.all {
        true => desk.drop_letters_that(args.filter.into()).await?,
        false => desk.drop_letters(&names::jobs(&platform, &args.ids).await?).await?,
    };
    let output = &context.output;
    if output.is_json() {
        output.json(&DroppedView { dropped })?;
    } else {
        output.line(format_args!("{} dropped", counted(dropped, "dead letter")))?;
    }
    Ok(Exit::Done)
}

fn report_retried(context: &Context, view: &RetriedView) -> Result<Exit> {
    let output = &context.output;
    if output.is_json() {
        output.json(view)?;
    } else {
        let queues = if view.retried == 1 { "its queue" } else { "their queues" };
        output.line(format_args!("{} put back into {queues}", counted(view.retried, "dead letter")))?;
        if view.unreadable > 0 {
            output.note(format_args!(
                "{} left alone: they can't be read, so they would only die again",
                counted(view.unreadable, "dead letter")
            ));
        }
    }
    Ok(Exit::Done)
}
