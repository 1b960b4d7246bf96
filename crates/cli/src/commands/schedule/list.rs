//! `schedule list`: entries by name, page by page.

use celeriac_control::Schedules;
use celeriac_protocol::Timestamp;
use celeriac_store::query::schedules::{Firing, FiringOutcome, Origin, ScheduleFilter, ScheduleSummary};
use clap::Args;

use super::opened::Opened;
use super::view::ScheduleView;
use crate::commands::names;
use crate::config::Period;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::platform::Use;

/// Arguments of `schedule list`.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Only those with this text in their names
    text: Option<String>,
    /// Only those that are switched on
    #[arg(long, conflicts_with = "disabled")]
    enabled: bool,
    /// Only those that are switched off
    #[arg(long)]
    disabled: bool,
    /// Only those whose last due time came to nothing
    #[arg(long)]
    failing: bool,
    /// Only those that are due within this span, such as 2h
    #[arg(long, value_name = "SPAN")]
    due_within: Option<Period>,
    /// Only this task's
    #[arg(long, short)]
    task: Option<String>,
    /// Only those of this queue
    #[arg(long, short = 'Q')]
    queue: Option<String>,
    /// Only this owner's
    #[arg(long)]
    owner: Option<String>,
    /// Only those that came from there: operator, declared or imported
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<Origin>,
    /// At most this many
    #[arg(long, short, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=PAGE))]
    limit: u64,
    /// Go on behind the schedule of this name
    #[arg(long, value_name = "NAME")]
    cursor: Option<String>,
}

/// How many entries are read at once, and shown at most.
const PAGE: u64 = 1_000;

impl ListArgs {
    fn filter(&self) -> ScheduleFilter {
        ScheduleFilter {
            enabled: if self.due_within.is_some() || self.enabled {
                Some(true)
            } else {
                self.disabled.then_some(false)
            },
            task: self.task.clone(),
            queue: self.queue.clone(),
            owner: self.owner.clone(),
            origin: self.origin,
            failing: self.failing,
            name_text: self.text.clone(),
        }
    }

    fn fits(&self, summary: &ScheduleSummary, now: Timestamp) -> bool {
        let within = |span: Period| summary.state.next_due_at.is_some_and(|due| due <= now + span.0);
        self.due_within.is_none_or(within)
    }
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: ListArgs) -> Result<Exit> {
    let opened = Opened::new(context, Use::Reading).await?;
    let now = context.clock.now();
    let (found, next) = found(&opened.schedules, &args, now).await?;
    let mut views = Vec::with_capacity(found.len());
    for summary in &found {
        views.push(view(&opened.schedules, summary, now).await?);
    }
    context.output.list(&views, |views| ScheduleView::table(views, now))?;
    if views.is_empty() {
        args.task.iter().for_each(|task| names::note_task(context, task));
    }
    if let (Some(next), true) = (next, context.output.stdout_is_terminal()) {
        context.output.note(format_args!("there are more: --cursor {next:?}"));
    }
    Ok(Exit::Done)
}

/// Reads on until as many fit as are wanted.
async fn found(
    schedules: &Schedules,
    args: &ListArgs,
    now: Timestamp,
) -> Result<(Vec<ScheduleSummary>, Option<String>)> {
    let (filter, limit) = (args.filter(), usize::try_from(args.limit).unwrap_or(usize::MAX));
    let size = if args.due_within.is_some() { PAGE } else { args.limit };
    let (mut found, mut after) = (Vec::new(), args.cursor.clone());
    loop {
        let page = schedules.list(&filter, after.as_deref(), size).await?;
        found.extend(page.schedules.into_iter().filter(|summary| args.fits(summary, now)));
        if found.len() > limit {
            found.truncate(limit);
            let last = found.last().map(|summary| summary.name().to_owned());
            return Ok((found, last));
        }
        match page.next {
            Some(next) if found.len() < limit => after = Some(next),
            next => return Ok((found, next)),
        }
    }
}

/// Looks at an entry and how late its last firing was.
pub(super) async fn view(
    schedules: &Schedules,
    summary: &ScheduleSummary,
    now: Timestamp,
) -> Result<ScheduleView> {
    let lateness = match summary.state.last_run_at {
        Some(_) => {
            let last = schedules.history(summary.name(), Some(FiringOutcome::Fired), None, 1).await?;
            last.firings.first().map(Firing::lateness)
        }
        None => None,
    };
    Ok(ScheduleView::new(summary, lateness, now))
}
