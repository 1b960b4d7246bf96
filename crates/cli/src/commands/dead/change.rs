//! `dead retry` and `dead drop`: one, some, or all that match.

use celeriac_broker::DeadLetter;
use celeriac_db::DbTx;
use celeriac_protocol::JobId;
use celeriac_store::query::jobs;
use clap::{ArgGroup, Args};
use serde::Serialize;

use super::{Filter, Letters, unknown};
use crate::commands::names;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::counted;
use crate::platform::{Platform, Use};
use crate::values::job_id;

/// How many letters are dropped by one call.
const CHUNK: usize = 500;

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
#[derive(Default, Serialize)]
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
    let mut view = RetriedView::default();
    if args.all {
        let mut letters = Letters::new(&platform.client, args.filter, None);
        while let Some(letter) = letters.next().await? {
            if letter.is_readable() {
                view.retried += u64::from(platform.client.revive(letter).await?);
            } else {
                view.unreadable += 1;
            }
        }
    } else {
        for letter in named(&platform, &args.ids).await? {
            view.retried += u64::from(platform.client.revive(letter).await?);
        }
    }
    report_retried(context, &view)
}

/// Drops dead letters for good.
pub(super) async fn drop(context: &Context, args: ChangeArgs) -> Result<Exit> {
    let platform = context.open(Use::Changing).await?;
    let mut dropped = 0;
    if args.all {
        let mut letters = Letters::new(&platform.client, args.filter, None);
        let mut chunk = Vec::with_capacity(CHUNK);
        while let Some(letter) = letters.next().await? {
            chunk.push(letter);
            if chunk.len() == CHUNK {
                dropped += drop_chunk(&platform, std::mem::take(&mut chunk)).await?;
            }
        }
        dropped += drop_chunk(&platform, chunk).await?;
    } else {
        dropped += drop_chunk(&platform, named(&platform, &args.ids).await?).await?;
    }
    let output = &context.output;
    if output.is_json() {
        output.json(&DroppedView { dropped })?;
    } else {
        output.line(format_args!("{} dropped", counted(dropped, "dead letter")))?;
    }
    Ok(Exit::Done)
}

/// Drops letters, and then notes on the records of jobs that have no other one that they are gone.
async fn drop_chunk(platform: &Platform, letters: Vec<DeadLetter>) -> Result<u64> {
    let client = &platform.client;
    let keys: Vec<i64> = letters.iter().map(|letter| letter.key).collect();
    let dropped = client.drop_dead(&keys).await?;
    let mut gone = Vec::with_capacity(letters.len());
    for letter in letters {
        if client.dead_letter(&letter.envelope.id).await?.is_none() {
            gone.push(letter.envelope.id);
        }
    }
    let note = async move |tx: &DbTx| jobs::letters_dropped(tx, &gone).await;
    platform.database.write("note dropped letters", note).await?;
    Ok(dropped)
}

/// Finds every one of them before any is touched.
async fn named(platform: &Platform, ids: &[JobId]) -> Result<Vec<DeadLetter>> {
    let mut letters = Vec::with_capacity(ids.len());
    for id in &names::jobs(platform, ids).await? {
        letters.push(platform.client.dead_letter(id).await?.ok_or_else(|| unknown(id))?);
    }
    Ok(letters)
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

/// Says whether a letter could be run at all.
trait Readable {
    fn is_readable(&self) -> bool;
}

impl Readable for DeadLetter {
    fn is_readable(&self) -> bool {
        celeriac_protocol::TaskMessage::decode(&self.envelope).is_ok()
    }
}
