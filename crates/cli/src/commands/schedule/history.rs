//! `schedule history`: what came of an entry's due times.

use celeriac_protocol::Timestamp;
use celeriac_protocol::schedule::Zone;
use celeriac_store::query::schedules::{Firing, FiringOutcome};
use clap::Args;
use serde::Serialize;

use super::due::local;
use super::opened::{Opened, zone_of};
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::{Cell, Column, Paint, Table, brief};
use crate::platform::Use;
use crate::views::{instant, instant_or_none};

/// Arguments of `schedule history`.
#[derive(Args, Debug)]
pub(super) struct HistoryArgs {
    /// The schedule
    name: String,
    /// Only these: fired, skipped_overlap, missed, failed, manual or backfill
    #[arg(long, short, value_name = "OUTCOME")]
    outcome: Option<FiringOutcome>,
    /// At most this many
    #[arg(long, short, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    limit: u64,
    /// Go on before this due time
    #[arg(long, value_name = "INSTANT")]
    cursor: Option<Timestamp>,
}

/// What came of a due time. The field names are stable.
#[derive(Serialize)]
pub(super) struct FiringView {
    due_at: String,
    handled_at: String,
    lateness_seconds: f64,
    outcome: &'static str,
    /// How many due times it stands for, the last of which is `due_at`.
    count: u64,
    first_due_at: Option<String>,
    job: Option<String>,
    reason: Option<String>,
}

/// Runs the command.
pub(super) async fn run(context: &Context, args: &HistoryArgs) -> Result<Exit> {
    let opened = Opened::new(context, Use::Reading).await?;
    let details = opened.find(&args.name).await?;
    let zone = details.schedule.record.as_ref().map_or(Zone::UTC, |record| zone_of(&record.entry));
    let page = opened.schedules.history(&args.name, args.outcome, args.cursor, args.limit).await?;
    let output = &context.output;
    if output.is_json() {
        page.firings.iter().try_for_each(|firing| output.json(&view(firing)))?;
    } else {
        output.table(&table(&page.firings, &zone))?;
    }
    if let (Some(next), true) = (page.next, output.stdout_is_terminal()) {
        output.note(format_args!("there are more: --cursor {next}"));
    }
    Ok(Exit::Done)
}

/// Looks at a firing.
pub(super) fn view(firing: &Firing) -> FiringView {
    FiringView {
        due_at: instant(firing.due_at),
        handled_at: instant(firing.handled_at),
        lateness_seconds: firing.lateness().as_secs_f64(),
        outcome: firing.outcome.as_str(),
        count: firing.count,
        first_due_at: instant_or_none(firing.first_due_at),
        job: firing.job_id.clone(),
        reason: firing.reason.clone(),
    }
}

/// Writes firings as a table.
pub(super) fn table(firings: &[Firing], zone: &Zone) -> Table {
    let columns = [
        Column::new("DUE"),
        Column::new("OUTCOME"),
        Column::new("LATE"),
        Column::new("JOB").spare(),
        Column::wrapping("WHY"),
    ];
    let mut table = Table::new(columns, "nothing has been due yet");
    for firing in firings {
        let (paint, _) = mark(firing.outcome);
        let several =
            firing.first_due_at.map(|first| format!("{} since {}", firing.count, local(first, zone)));
        let why = [several, firing.reason.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ");
        table.row([
            Cell::new(local(firing.due_at, zone)).exactly(firing.due_at.to_string()),
            Cell::painted(paint, firing.outcome.as_str()),
            Cell::new(brief(firing.lateness())).exactly(firing.lateness().as_secs_f64().to_string()),
            Cell::painted(Paint::Faint, firing.job_id.clone().unwrap_or_default()),
            Cell::painted(Paint::Faint, why),
        ]);
    }
    table
}

/// Returns colour and mark of what came of a due time.
pub(super) fn mark(outcome: FiringOutcome) -> (Paint, char) {
    match outcome {
        FiringOutcome::Fired => (Paint::Good, '✓'),
        FiringOutcome::Manual => (Paint::Good, 'm'),
        FiringOutcome::Backfill => (Paint::Good, 'b'),
        FiringOutcome::SkippedOverlap => (Paint::Warning, '-'),
        FiringOutcome::Missed => (Paint::Warning, '!'),
        FiringOutcome::Failed => (Paint::Bad, '✗'),
    }
}
