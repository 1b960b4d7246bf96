//! `schedule run-now` and `schedule backfill`: jobs out of turn.

use celeriac_store::query::schedules::MAX_CATCH_UP;
use clap::Args;
use serde::Serialize;

use super::due::local;
use super::moment::Moment;
use super::opened::{Opened, zone_of};
use crate::commands::jobs::wait::{Waiting, follow};
use crate::config::Period;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::{Paint, counted};
use crate::platform::Use;
use crate::views::{instant, instant_or_none};

/// Arguments of `schedule run-now`.
#[derive(Args, Debug)]
pub(super) struct RunNowArgs {
    /// The schedule
    name: String,
    /// Wait until the job has ended, and print its result
    #[arg(long, short)]
    wait: bool,
    /// Wait for this long at most [default: no limit; Ctrl-C ends the waiting, not the job]
    #[arg(long, value_name = "SPAN", requires = "wait")]
    timeout: Option<Period>,
}

/// A job that was asked for. The field names are stable.
#[derive(Serialize)]
struct RunNowView<'a> {
    name: &'a str,
    id: &'a str,
    due_at: String,
}

/// Runs `schedule run-now`.
pub(super) async fn run_now(context: &Context, args: &RunNowArgs) -> Result<Exit> {
    let used_for = if args.wait { Use::Hearing } else { Use::Changing };
    let opened = Opened::new(context, used_for).await?;
    opened.find(&args.name).await?;
    let run = opened.named(opened.schedules.run_now(&args.name).await).await?;
    let (output, id) = (&context.output, run.job.id());
    match (args.wait, output.is_json()) {
        (true, false) => output.note(format_args!("enqueued {id}")),
        (true, true) => {}
        (false, true) => {
            output.json(&RunNowView { name: &args.name, id: id.as_str(), due_at: instant(run.due_at) })?;
        }
        (false, false) => output.line(id)?,
    }
    if !args.wait {
        return Ok(Exit::Done);
    }
    let waiting = Waiting { timeout: args.timeout.map(|timeout| timeout.0), recorded: true };
    follow(context, &opened.platform.client, id, waiting).await
}

/// Arguments of `schedule backfill`.
#[derive(Args, Debug)]
pub(super) struct BackfillArgs {
    /// The schedule
    name: String,
    /// From there: a date and time on its wall, or a span back from now
    #[arg(long, value_name = "WHEN")]
    from: Moment,
    /// Up to there, and with it; never beyond now
    #[arg(long, value_name = "WHEN", default_value = "now")]
    to: Moment,
    /// At most this many jobs
    #[arg(long, short, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CATCH_UP)))]
    limit: u32,
    /// Say which due times have no job and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What a backfill came to. The field names are stable.
#[derive(Serialize)]
struct BackfillView<'a> {
    name: &'a str,
    dry_run: bool,
    due_at: Vec<String>,
    /// Due times that have jobs already.
    had_jobs: u64,
    /// Where to go on.
    next: Option<String>,
}

/// Runs `schedule backfill`.
pub(super) async fn backfill(context: &Context, args: &BackfillArgs) -> Result<Exit> {
    let used_for = if args.dry_run { Use::Reading } else { Use::Changing };
    let opened = Opened::new(context, used_for).await?;
    let record =
        opened.find(&args.name).await?.schedule.record.map_err(celeriac_control::SchedulesError::from)?;
    let (zone, now) = (zone_of(&record.entry), context.clock.now());
    let (from, to) = (args.from.back(&zone, now)?, args.to.back(&zone, now)?);
    let found = match args.dry_run {
        true => opened.schedules.rehearse_backfill(&args.name, from, to, args.limit).await,
        false => opened.schedules.backfill(&args.name, from, to, args.limit).await,
    };
    let found = opened.named(found).await?;
    let output = &context.output;
    if output.is_json() {
        let due_at = found.enqueued.iter().copied().map(instant).collect();
        let (name, dry_run) = (args.name.as_str(), args.dry_run);
        let next = instant_or_none(found.next);
        output.json(&BackfillView { name, dry_run, due_at, had_jobs: found.had_jobs, next })?;
        return Ok(Exit::Done);
    }
    for at in &found.enqueued {
        output.line(local(*at, &zone))?;
    }
    let done = if args.dry_run { "would be enqueued" } else { "enqueued" };
    let had = format!("{} had one already", counted(found.had_jobs, "due time"));
    output.note(format_args!(
        "{} {done}; {}",
        counted(found.enqueued.len() as u64, "job"),
        output.paint_stderr(Paint::Faint, &had)
    ));
    if let Some(next) = found.next {
        output.note(format_args!("there are more: --from {next}"));
    }
    Ok(Exit::Done)
}
