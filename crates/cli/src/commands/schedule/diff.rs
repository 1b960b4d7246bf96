//! `schedule diff`: what is declared against what is stored.

use celeriac_control::{DeclaredDifference, Difference, MergeStep};
use serde::Serialize;

use super::opened::Opened;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::output::{Cell, Column, Paint, Table};
use crate::platform::Use;

/// What differs of an entry. The field names are stable.
#[derive(Serialize)]
struct DiffView {
    name: String,
    /// add, change, keep, switch_off, name_taken or refuse.
    step: &'static str,
    reason: Option<String>,
    fields: Vec<FieldView>,
}

/// A field that is not as it is declared. The field names are stable.
#[derive(Serialize)]
struct FieldView {
    field: String,
    declared: String,
    stored: String,
    /// declared, edited or both: who has changed it. Only what the declaration alone has changed is taken over.
    changed_by: &'static str,
}

/// Runs the command; the exit code says whether a start would change anything.
pub(super) async fn run(context: &Context) -> Result<Exit> {
    let opened = Opened::new(context, Use::Reading).await?;
    let declared = context.declared_schedules()?;
    let differences = opened.schedules.diff_declared(&context.app.name, declared).await?;
    let views: Vec<DiffView> = differences.iter().map(view).collect();
    context.output.list(&views, table)?;
    let changes = differences.iter().any(|difference| difference.step != MergeStep::Keep);
    Ok(if changes { Exit::Negative } else { Exit::Done })
}

fn view(difference: &DeclaredDifference) -> DiffView {
    let fields = difference.fields.iter().map(|field| FieldView {
        field: field.field.clone(),
        declared: field.declared.clone(),
        stored: field.stored.clone(),
        changed_by: match field.why {
            Difference::Declared => "declared",
            Difference::Edited => "edited",
            Difference::Both => "both",
        },
    });
    let (step, reason) = step(&difference.step);
    DiffView { name: difference.name.clone(), step, reason, fields: fields.collect() }
}

/// Returns the word for a step, and why it is taken.
pub(crate) fn step(step: &MergeStep) -> (&'static str, Option<String>) {
    match step {
        MergeStep::Add => ("add", None),
        MergeStep::Change => ("change", None),
        MergeStep::Keep => ("keep", None),
        MergeStep::SwitchOff(reason) => ("switch_off", Some(reason.as_str().to_owned())),
        MergeStep::NameTaken => {
            ("name_taken", Some("another schedule, which is not declared here, has the name".to_owned()))
        }
        MergeStep::Refuse(faults) => {
            let faults = faults.iter().map(ToString::to_string).collect::<Vec<_>>();
            ("refuse", Some(faults.join("; ")))
        }
    }
}

fn table(views: &[DiffView]) -> Table {
    let columns = [
        Column::new("NAME"),
        Column::new("AT START"),
        Column::new("FIELD"),
        Column::elastic("DECLARED"),
        Column::elastic("STORED"),
        Column::wrapping("WHY"),
    ];
    let mut table = Table::new(columns, "everything is as it is declared");
    for view in views {
        let paint = if matches!(view.step, "refuse" | "name_taken") { Paint::Bad } else { Paint::Strong };
        let head = |step: &str| [Cell::new(&view.name), Cell::painted(paint, step)];
        if view.fields.is_empty() {
            let why = Cell::new(view.reason.clone().unwrap_or_default());
            table.row(head(view.step).into_iter().chain([Cell::new(""), Cell::new(""), Cell::new(""), why]));
        }
        for field in &view.fields {
            let why = match field.changed_by {
                "declared" => "the declaration has changed and is taken over",
                "edited" => "an operator has edited it, which stays",
                _ => "both have changed; the operator's edit stays",
            };
            let cells = [&field.field, &field.declared, &field.stored].map(Cell::new);
            table.row(head(view.step).into_iter().chain(cells).chain([Cell::painted(Paint::Faint, why)]));
        }
    }
    table
}
