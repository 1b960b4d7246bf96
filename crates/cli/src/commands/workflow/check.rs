//! `workflow NAME check`: how the rows stand.

use std::collections::BTreeMap;

use celeriac_control::workflow::{ItemStatus, RegisteredWorkflow, WorkflowCheck};
use celeriac_protocol::Timestamp;
use serde::Serialize;

use super::Opened;
use super::reset::meaning;
use crate::commands::collecting::shortened;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::{Cell, Column, Output, Paint, Table, ago, grouped};
use crate::platform::Use;
use crate::views::{instant, instant_or_none};

/// How the rows of a workflow stand. The field names are stable; the words of statuses are the table's.
#[derive(Serialize)]
struct CheckView<'a> {
    name: &'a str,
    counts: BTreeMap<&'a str, u64>,
    oldest_waiting_at: Option<String>,
    done_last_hour: u64,
    last_errors: Vec<ErrorView<'a>>,
}

#[derive(Serialize)]
struct ErrorView<'a> {
    id: i64,
    row: &'a str,
    reason: &'a str,
    at: String,
}

/// Runs the command.
pub(super) async fn run(context: &mut Context, name: &str) -> Result<Exit> {
    let opened = Opened::new(context, Use::Reading).await?;
    let (workflow, now) = (opened.find(name)?, context.clock.now());
    let check = workflow.check(opened.platform.database.reader(), now).await?;
    if context.output.is_json() {
        context.output.json(&view(&check))?;
    } else {
        print(&context.output, workflow.as_ref(), &check, now)?;
    }
    Ok(Exit::Done)
}

fn view(check: &WorkflowCheck) -> CheckView<'_> {
    let errors = check.last_errors.iter().map(|error| ErrorView {
        id: error.id,
        row: &error.label,
        reason: &error.reason,
        at: instant(error.at),
    });
    CheckView {
        name: check.name,
        counts: check.counts.iter().map(|(word, rows)| (word.as_str(), *rows)).collect(),
        oldest_waiting_at: instant_or_none(check.oldest_waiting_at),
        done_last_hour: check.done_last_hour,
        last_errors: errors.collect(),
    }
}

fn print(
    output: &Output,
    workflow: &dyn RegisteredWorkflow,
    check: &WorkflowCheck,
    now: Timestamp,
) -> Result {
    output.line(format_args!(
        "{}  {}",
        output.paint(Paint::Strong, check.name),
        output.paint(Paint::Faint, workflow.description())
    ))?;
    output.line("")?;
    let statuses = workflow.statuses();
    for (word, rows) in &check.counts {
        let status = ItemStatus::ALL.into_iter().find(|status| statuses.word(*status) == word);
        let paint = match status {
            _ if *rows == 0 => Paint::Faint,
            Some(ItemStatus::Waiting) => Paint::Waiting,
            Some(ItemStatus::Processing) => Paint::Busy,
            Some(ItemStatus::Done) => Paint::Good,
            Some(ItemStatus::Error) => Paint::Bad,
            None => Paint::Warning,
        };
        // What the status means comes first, since it is the same for every table; then the table's own word.
        let meaning = match status {
            Some(status) => meaning(status),
            None => word.as_str(),
        };
        let own =
            if meaning == word { String::new() } else { output.paint(Paint::Faint, &format!("  {word}")) };
        let count = output.paint(paint, &format!("{:>10}", grouped(*rows)));
        output.line(format_args!("{meaning:<18} {count}{own}"))?;
    }
    let label = |text: &str| output.paint(Paint::Faint, &format!("{text:<18}"));
    output.line(format_args!("{} {:>10}", label("done last hour"), grouped(check.done_last_hour)))?;
    if let Some(oldest) = check.oldest_waiting_at {
        output.line(format_args!("{} {:>10}", label("oldest waiting"), ago(oldest, now)))?;
    }
    print_errors(output, check, now)
}

fn print_errors(output: &Output, check: &WorkflowCheck, now: Timestamp) -> Result {
    if check.last_errors.is_empty() {
        return Ok(());
    }
    let columns = [
        Column::number("ID"),
        Column::wrapping("LAST ERRORS"),
        Column::wrapping("REASON"),
        Column::new("WHEN"),
    ];
    let mut table = Table::new(columns, "");
    for error in &check.last_errors {
        table.row([
            Cell::new(error.id.to_string()),
            Cell::new(error.label.as_str()),
            Cell::painted(Paint::Bad, shortened(&error.reason, &error.label)),
            Cell::painted(Paint::Faint, ago(error.at, now)),
        ]);
    }
    output.line("")?;
    output.table_for_people(&table)
}
