//! Dead letters as they are printed.

use celeriac_protocol::{RawValue, Timestamp};
use celeriac_server::views::{DeadDetailView, DeadView};

use super::pretty;
use crate::output::{Cell, Column, Output, Paint, Table, ago};

/// Lists letters.
pub(crate) fn letters_table(views: &[DeadView], now: Timestamp) -> Table {
    let columns = [
        Column::new("ID"),
        Column::elastic("TASK"),
        Column::new("QUEUE").spare(),
        Column::new("REASON"),
        Column::number("TRY"),
        Column::new("DIED").spare(),
        Column::wrapping("DETAIL"),
    ];
    let mut table = Table::new(columns, "no dead letters");
    for view in views {
        table.row([
            Cell::new(&view.id),
            Cell::new(view.task.as_deref().unwrap_or("?")),
            Cell::new(&view.queue),
            Cell::painted(Paint::Bad, &view.reason),
            Cell::new(view.attempt.to_string()),
            Cell::painted(Paint::Faint, ago(view.died_at.0, now)).exactly(view.died_at.to_string()),
            Cell::painted(Paint::Faint, &view.detail),
        ]);
    }
    table
}

/// Writes it for a person.
pub(crate) fn letter_text(detail: &DeadDetailView, output: &Output, now: Timestamp) -> String {
    let letter = &detail.letter;
    let mut text = format!("{}\n", output.paint(Paint::Strong, &letter.id));
    let died = output.told(letter.died_at.0, now);
    let body = detail.body.clone().or_else(|| detail.body_hex.clone()).unwrap_or_default();
    let tries = format!("{}, handed out {}", letter.attempt, times(letter.delivery));
    let facts = [
        ("task", letter.task.clone()),
        ("queue", Some(letter.queue.clone())),
        ("reason", Some(output.paint(Paint::Bad, &letter.reason))),
        ("detail", Some(letter.detail.clone())),
        ("died", Some(died)),
        ("attempts", Some(tries)),
        ("args", detail.args.as_deref().map(pretty)),
        ("kwargs", detail.kwargs.as_deref().map(pretty)),
        ("unreadable", detail.unreadable.clone()),
        (
            "headers",
            Some(
                RawValue::from_string(detail.headers.clone())
                    .map_or(detail.headers.clone(), |json| pretty(&json)),
            ),
        ),
        ("body", Some(format!("{} bytes of {}\n{body}", detail.body_bytes, detail.content_type))),
    ];
    for (label, value) in facts.into_iter().filter_map(|(label, value)| Some((label, value?))) {
        let indented = value.replace('\n', &format!("\n{}", " ".repeat(14)));
        text.push_str(&format!("  {} {indented}\n", output.paint(Paint::Faint, &format!("{label:<11}"))));
    }
    text
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}
