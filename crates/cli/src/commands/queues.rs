//! `queues`: what waits where; pausing, resuming and emptying a queue.

use celeriac_broker::QueueDepth;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::confirm::confirm;
use super::names;
use crate::context::Context;
use crate::error::{CliError, Code, Result};
use crate::exit::Exit;
use crate::output::counted;
use crate::platform::{Platform, Use};
use crate::suggest::did_you_mean;
use crate::views::QueueView;

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
        Some(Action::Pause { queue }) => set_paused(context, &queue, true).await,
        Some(Action::Resume { queue }) => set_paused(context, &queue, false).await,
        Some(Action::Purge { queue, yes }) => purge(context, &queue, yes).await,
    }
}

async fn list(context: &Context) -> Result<Exit> {
    let platform = context.open(Use::Reading).await?;
    let mut depths = platform.broker().admin().depths().await?;
    depths.extend(platform.client.outbox_depths().await?);
    let views: Vec<QueueView> = depths.into_iter().map(Into::into).collect();
    let now = context.clock.now();
    context.output.list(&views, |views| QueueView::table(views, now))?;
    Ok(Exit::Done)
}

/// A queue that holds nothing may be paused, before its first job comes; only a paused one resumes.
async fn set_paused(context: &Context, queue: &str, paused: bool) -> Result<Exit> {
    let platform = context.open(Use::Changing).await?;
    let admin = platform.broker().admin();
    if paused {
        admin.pause(queue).await?;
        if find(&platform, queue).await.is_ok_and(|depth| depth.ready + depth.delayed + depth.held == 0) {
            names::note_queue(context, queue);
        }
    } else {
        find(&platform, queue).await?;
        admin.resume(queue).await?;
    }
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
    let depth = find(&platform, queue).await?;
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

async fn find(platform: &Platform, queue: &str) -> Result<QueueDepth> {
    let depths = platform.broker().admin().depths().await?;
    let names: Vec<String> = depths.iter().map(|depth| depth.queue.clone()).collect();
    depths.into_iter().find(|depth| depth.queue == queue).ok_or_else(|| {
        let error =
            CliError::plain(Code::UnknownQueue, format!("queue {queue} holds nothing and is not paused"));
        match did_you_mean(queue, names.iter().map(String::as_str)) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })
}
