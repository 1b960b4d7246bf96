//! `queues`: what waits where; pausing, resuming and emptying a queue.

use std::collections::BTreeSet;

use celeriac_broker::QueueDepth;
use celeriac_protocol::suggest::did_you_mean;
use celeriac_server::views::QueueView;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::confirm::confirm;
use super::names;
use crate::context::Context;
use crate::error::{Code, Failure, Result};
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
    let mut depths = platform.broker().admin().depths().await?;
    depths.extend(platform.client.outbox_depths().await?);
    let views: Vec<QueueView> = depths.into_iter().map(Into::into).collect();
    let now = context.clock.now();
    context.output.list(&views, |views| queues_table(views, now))?;
    Ok(Exit::Done)
}

/// A queue that holds nothing may be paused, before its first job comes, if a task or a worker of this app names it.
async fn pause(context: &Context, queue: &str, force: bool) -> Result<Exit> {
    let platform = context.open(Use::Changing).await?;
    if !force && !names::queues(context).contains(queue) {
        known(context, &platform, queue).await?;
    }
    platform.broker().admin().pause(queue).await?;
    report(context, queue, true)
}

/// Only a paused queue resumes, or one that holds something.
async fn resume(context: &Context, queue: &str) -> Result<Exit> {
    let platform = context.open(Use::Changing).await?;
    find(&platform, queue).await?;
    platform.broker().admin().resume(queue).await?;
    report(context, queue, false)
}

/// Looks whether a queue that this app does not name is there all the same.
async fn known(context: &Context, platform: &Platform, queue: &str) -> Result {
    let depths = platform.broker().admin().depths().await?;
    let names = names::queues(context).into_iter().chain(depths.into_iter().map(|depth| depth.queue));
    let names: BTreeSet<String> = names.collect();
    if names.contains(queue) {
        return Ok(());
    }
    let ahead = format!("`queues pause {queue} --force` pauses it before its first job comes");
    let meant = did_you_mean(queue, names.iter().map(String::as_str));
    let hint = meant.map_or_else(|| ahead.clone(), |meant| format!("{meant} {ahead}"));
    let text = format!("queue {queue} holds nothing, and no task of this app goes to it");
    Err(Failure::plain(Code::UnknownQueue, text).hint(hint))
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
            Failure::plain(Code::UnknownQueue, format!("queue {queue} holds nothing and is not paused"));
        match did_you_mean(queue, names.iter().map(String::as_str)) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })
}
