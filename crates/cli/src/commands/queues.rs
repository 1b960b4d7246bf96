//! `queues`: what waits where; pausing, resuming and emptying a queue.

use celeriac_control::QueueDesk;
use celeriac_server::views::QueueView;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::confirm::confirm;
use super::names;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::counted;
use crate::platform::{Platform, Use};
use crate::views::queues_table;

/// Arguments of `queues`.
#[derive(Args, Debug)]
pub(crate) struct QueuesArgs {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the queues that hold something or are paused, and what waits in the outbox for them
    List,
    /// Stop a queue from handing out jobs; running ones go on
    Pause {
        /// The queue
        queue: String,
        /// Pause it although nothing is known of it yet
        #[arg(long, short)]
        force: bool,
    },
    /// Let a paused queue hand out again
    Resume {
        /// The queue
        queue: String,
    },
    /// Cancel all jobs that wait in a queue; running ones go on
    Purge {
        /// The queue
        queue: String,
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// What a change came to, as JSON. The field names are stable.
#[derive(Serialize)]
struct ChangeView<'a> {
    queue: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purged: Option<u64>,
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: QueuesArgs) -> Result<Exit> {
    match args.action {
        None | Some(Action::List) => list(context).await,
        Some(Action::Pause { queue, force }) => pause(context, &queue, force).await,
        Some(Action::Resume { queue }) => resume(context, &queue).await,
        Some(Action::Purge { queue, yes }) => purge(context, &queue, yes).await,
    }
}

async fn list(context: &Context) -> Result<Exit> {
    let platform = context.open(Use::Reading).await?;
    let depths = desk(context, &platform).list().await?;
    let views: Vec<QueueView> = depths.into_iter().map(Into::into).collect();
    let now = context.clock.now();
    context.output.list(&views, |views| queues_table(views, now))?;
    Ok(Exit::Done)
}

async fn pause(context: &Context, queue: &str, force: bool) -> Result<Exit> {
    let platform = context.open(Use::Changing).await?;
    let desk = desk(context, &platform);
    if force {
        desk.pause_unseen(queue).await?;
    } else {
        desk.pause(queue).await?;
    }
    report(context, queue, true)
}

async fn resume(context: &Context, queue: &str) -> Result<Exit> {
    let platform = context.open(Use::Changing).await?;
    desk(context, &platform).resume(queue).await?;
    report(context, queue, false)
}

fn desk(context: &Context, platform: &Platform) -> QueueDesk {
    QueueDesk::new(&platform.environment(), names::queues(context))
}

fn report(context: &Context, queue: &str, paused: bool) -> Result<Exit> {
    let output = &context.output;
    if output.is_json() {
        output.json(&ChangeView { queue, paused: Some(paused), purged: None })?;
    } else {
        let word = if paused { "paused" } else { "resumed" };
        output.line(format_args!("queue {queue} {word}"))?;
    }
    Ok(Exit::Done)
}

async fn purge(context: &Context, queue: &str, yes: bool) -> Result<Exit> {
    let platform = context.open(Use::Changing).await?;
    let depth = desk(context, &platform).find(queue).await?;
    let waiting = depth.ready + depth.delayed;
    let question = || format!("cancel {} in queue {queue}", counted(waiting, "job"));
    if !yes && waiting > 0 && !confirm(&context.output, &question())? {
        return Ok(Exit::Negative);
    }
    let purged = platform.client.purge(queue, "purged by an operator").await?;
    let output = &context.output;
    if output.is_json() {
        output.json(&ChangeView { queue, paused: None, purged: Some(purged) })?;
    } else {
        output.line(format_args!("{} of queue {queue} cancelled", counted(purged, "job")))?;
    }
    Ok(Exit::Done)
}
