//! `schedule run-now` and `schedule backfill`: jobs out of turn.

use std::time::Duration;

use celeriac_protocol::Timestamp;
use celeriac_protocol::schedule::{Calendar, Timetable};
use celeriac_store::query::schedules::{MAX_CATCH_UP, ScheduleRecord};
use clap::Args;
use serde::Serialize;

use super::due::local;
use super::moment::Moment;
use super::opened::{Opened, anchored, schedule_of, zone_of};
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
    /// Due times that have jobs already; not counted where nothing is changed.
    had_jobs: u64,
    /// Where to go on.
    next: Option<String>,
}

/// What is to be enqueued, or was.
struct Found {
    due: Vec<Timestamp>,
    had_jobs: u64,
    next: Option<Timestamp>,
}

/// Runs `schedule backfill`.
pub(super) async fn backfill(context: &Context, args: &BackfillArgs) -> Result<Exit> {
    let used_for = if args.dry_run { Use::Reading } else { Use::Changing };
    let opened = Opened::new(context, used_for).await?;
    let record =
        opened.find(&args.name).await?.schedule.record.map_err(celeriac_control::SchedulesError::from)?;
    let (zone, now) = (zone_of(&record.entry), context.clock.now());
    let (from, to) = (args.from.back(&zone, now)?, args.to.back(&zone, now)?);
    let found = if args.dry_run {
        rehearse(&opened, &record, (from, to.min(now)), args.limit).await?
    } else {
        let done = opened.schedules.backfill(&args.name, from, to, args.limit).await;
        let done = opened.named(done).await?;
        Found { due: done.enqueued, had_jobs: done.had_jobs, next: done.next }
    };
    let output = &context.output;
    if output.is_json() {
        let due_at = found.due.iter().copied().map(instant).collect();
        let (name, dry_run) = (args.name.as_str(), args.dry_run);
        let next = instant_or_none(found.next);
        output.json(&BackfillView { name, dry_run, due_at, had_jobs: found.had_jobs, next })?;
        return Ok(Exit::Done);
    }
    for at in &found.due {
        output.line(local(*at, &zone))?;
    }
    let done = if args.dry_run { "would be enqueued" } else { "enqueued" };
    let had = format!("{} had one already", counted(found.had_jobs, "due time"));
    output.note(format_args!(
        "{} {done}; {}",
        counted(found.due.len() as u64, "job"),
        output.paint_stderr(Paint::Faint, &had)
    ));
    if let Some(next) = found.next {
        output.note(format_args!("there are more: --from {next}"));
    }
    Ok(Exit::Done)
}

/// How many firings are read at once, and how often.
const PAGE: u64 = 1_000;
/// See [`PAGE`].
const PAGES: usize = 50;

/// Finds what a backfill would enqueue.
async fn rehearse(
    opened: &Opened,
    record: &ScheduleRecord,
    (from, to): (Timestamp, Timestamp),
    limit: u32,
) -> Result<Found> {
    let entry = anchored(record);
    let schedule = schedule_of(&entry)?.anchored(entry.anchor_at.unwrap_or(record.created_at));
    let calendar = entry.calendar.as_deref().map(|text| Calendar::parse_in(text, &zone_of(&entry)));
    let timetable = Timetable { schedule, calendar: calendar.transpose()?.unwrap_or_default() };
    let have = with_jobs(opened, &entry.name, from, to).await?;
    let first = timetable.next_after(from - Duration::from_micros(1));
    let due = std::iter::successors(first, |due| timetable.next_after(due.at)).map(|due| due.at);
    let mut found = Found { due: Vec::new(), had_jobs: 0, next: None };
    for at in due.take_while(|at| *at <= to) {
        if have.contains(&at) {
            found.had_jobs += 1;
        } else if found.due.len() == limit as usize {
            found.next = Some(at);
            break;
        } else {
            found.due.push(at);
        }
    }
    Ok(found)
}

/// Returns the due times that have jobs.
async fn with_jobs(
    opened: &Opened,
    name: &str,
    from: Timestamp,
    to: Timestamp,
) -> Result<std::collections::BTreeSet<Timestamp>> {
    let (mut have, mut before) = (std::collections::BTreeSet::new(), Some(to + Duration::from_micros(1)));
    for _ in 0..PAGES {
        let page = opened.schedules.history(name, None, before, PAGE).await?;
        let reached = page.firings.last().is_some_and(|firing| firing.due_at < from);
        have.extend(
            page.firings.iter().filter(|firing| firing.outcome.has_job()).map(|firing| firing.due_at),
        );
        before = page.next;
        if reached || before.is_none() {
            break;
        }
    }
    Ok(have)
}
