//! `schedule next`: due times to come, of one entry or of all.

use celeriac_protocol::Timestamp;
use celeriac_protocol::schedule::Due;
use celeriac_store::query::schedules::{ScheduleEntry, ScheduleFilter};
use clap::Args;
use serde::Serialize;

use super::due::{self, DueView};
use super::opened::{Opened, zone_of};
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::{Cell, Column, Paint, Table, until};
use crate::platform::Use;

/// Arguments of `schedule next`.
#[derive(Args, Debug)]
pub(super) struct NextArgs {
    /// The schedule; all that are switched on where none is named
    name: Option<String>,
    /// How many due times are told
    #[arg(long, short = 'n', default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    count: u16,
}

/// How many entries are read at once.
const PAGE: u64 = 1_000;

/// A due time to come. The field names are stable.
#[derive(Serialize)]
struct NextView {
    name: String,
    task: String,
    #[serde(flatten)]
    due: DueView,
    #[serde(skip)]
    shown: (Due, String),
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: &NextArgs) -> Result<Exit> {
    let opened = Opened::new(context, Use::Reading).await?;
    let (now, count) = (context.clock.now(), usize::from(args.count));
    let mut views = match &args.name {
        Some(name) => {
            let record =
                opened.find(name).await?.schedule.record.map_err(celeriac_control::SchedulesError::from)?;
            if !record.entry.enabled {
                context.output.note(format_args!("{name} is switched off; so it would be due"));
            }
            views(&record.entry, opened.next(&record, count)?)
        }
        None => of_all(&opened, count).await?,
    };
    views.sort_by_key(|view| view.shown.0.at);
    views.truncate(count);
    context.output.list(&views, |views| table(views, now))?;
    Ok(Exit::Done)
}

async fn of_all(opened: &Opened, count: usize) -> Result<Vec<NextView>> {
    let filter = ScheduleFilter { enabled: Some(true), ..ScheduleFilter::default() };
    let (mut found, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = opened.schedules.list(&filter, after.as_deref(), PAGE).await?;
        for record in page.schedules.into_iter().filter_map(|summary| summary.record.ok()) {
            found.extend(views(&record.entry, opened.next(&record, count).unwrap_or_default()));
        }
        // Only the first few of all are wanted, so no more are kept.
        found.sort_by_key(|view| view.shown.0.at);
        found.truncate(count);
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

fn views(entry: &ScheduleEntry, due: Vec<Due>) -> Vec<NextView> {
    let zone = zone_of(entry);
    let view = |due: Due| NextView {
        name: entry.name.clone(),
        task: entry.task.clone(),
        shown: (due, due::local(due.at, &zone)),
        due: due::view(&due, &zone),
    };
    due.into_iter().map(view).collect()
}

fn table(views: &[NextView], now: Timestamp) -> Table {
    let columns = [
        Column::new("ON THE WALL"),
        Column::new("WHEN"),
        Column::elastic("NAME"),
        Column::elastic("TASK").spare(),
        Column::wrapping("CLOCKS"),
    ];
    let mut table = Table::new(columns, "nothing is due");
    for view in views {
        let (due, local) = &view.shown;
        table.row([
            Cell::new(local).exactly(due.at.to_string()),
            Cell::painted(Paint::Faint, until(due.at, now)),
            Cell::painted(Paint::Strong, &view.name),
            Cell::new(&view.task),
            Cell::painted(Paint::Warning, due.note.map(|note| note.to_string()).unwrap_or_default()),
        ]);
    }
    table
}
