//! `workflow list`: the workflows of this app, and how each goes.

use celeriac_control::workflow::RegisteredWorkflow;
use celeriac_protocol::Timestamp;
use celeriac_store::query::workflows::{WorkflowState, workflow_states};
use serde::Serialize;

use super::Opened;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::{Cell, Column, Paint, Table, ago, grouped};
use crate::platform::Use;
use crate::views::instant_or_none;

/// One workflow in a list. The field names are stable.
#[derive(Serialize)]
struct WorkflowView {
    name: &'static str,
    description: &'static str,
    state: &'static str,
    runs: u64,
    running: u32,
    refused: u64,
    last_started_at: Option<String>,
    #[serde(skip)]
    started_at: Option<Timestamp>,
}

/// Runs the command.
pub(super) async fn run(context: &mut Context) -> Result<Exit> {
    let opened = Opened::new(context, Use::Reading).await?;
    let now = context.clock.now();
    let states = workflow_states(opened.platform.database.reader(), now).await?;
    let state = |name: &str| states.iter().find(|(known, _)| known == name).map(|(_, state)| state.clone());
    let views: Vec<WorkflowView> = opened
        .workflows()?
        .iter()
        .map(|workflow| view(workflow.as_ref(), state(workflow.name()).unwrap_or_default()))
        .collect();
    context.output.list(&views, |views| table(views, now))?;
    Ok(Exit::Done)
}

fn view(workflow: &dyn RegisteredWorkflow, state: WorkflowState) -> WorkflowView {
    WorkflowView {
        name: workflow.name(),
        description: workflow.description(),
        state: match () {
            () if !workflow.settings().enabled => "disabled",
            () if state.paused_at.is_some() => "paused",
            () if state.held_slots > 0 => "running",
            () => "idle",
        },
        runs: state.runs,
        running: state.held_slots,
        refused: state.refused,
        last_started_at: instant_or_none(state.last_started_at),
        started_at: state.last_started_at,
    }
}

fn table(views: &[WorkflowView], now: Timestamp) -> Table {
    let columns = [
        Column::new("NAME"),
        Column::new("STATE"),
        Column::number("RUNS"),
        Column::new("LAST RUN"),
        Column::elastic("WHAT IT DOES"),
    ];
    let mut table = Table::new(columns, "this app has no workflows");
    for view in views {
        let last = match view.started_at {
            Some(at) => Cell::new(ago(at, now)).exactly(at.to_string()),
            None => Cell::painted(Paint::Faint, "never").exactly(""),
        };
        table.row([
            Cell::painted(Paint::Strong, view.name),
            Cell::painted(if view.state == "running" { Paint::Busy } else { Paint::Plain }, view.state),
            Cell::new(grouped(view.runs)).exactly(view.runs.to_string()),
            last,
            Cell::painted(Paint::Faint, view.description),
        ]);
    }
    table
}
