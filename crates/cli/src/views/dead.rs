//! Dead letters as they are printed.

use celeriac_broker::DeadLetter;
use celeriac_protocol::{RawValue, TaskMessage, Timestamp};
use serde::Serialize;

use super::{instant, pretty};
use crate::output::{Cell, Column, Output, Paint, Table, ago};

/// A dead letter of a list.
#[derive(Serialize)]
pub(crate) struct DeadView {
    id: String,
    task: Option<String>,
    queue: String,
    reason: String,
    detail: String,
    attempt: u32,
    delivery: u32,
    died_at: String,
    /// Whether this database has a record of the job.
    recorded: bool,
    /// Pass as `--cursor` to go on behind this letter.
    cursor: i64,
    #[serde(skip)]
    died: Timestamp,
}

impl DeadView {
    /// Takes what a list shows of a letter; `recorded` says whether this database knows the job.
    pub(crate) fn new(letter: &DeadLetter, recorded: bool) -> Self {
        Self {
            id: letter.envelope.id.to_string(),
            task: TaskMessage::peek_task(&letter.envelope.content),
            queue: letter.envelope.queue.clone(),
            reason: letter.reason.clone(),
            detail: letter.detail.clone(),
            attempt: letter.attempt,
            delivery: letter.delivery,
            died_at: instant(letter.died_at),
            recorded,
            cursor: letter.key,
            died: letter.died_at,
        }
    }

    /// Lists letters.
    pub(crate) fn table(views: &[Self], now: Timestamp) -> Table {
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
                Cell::painted(Paint::Faint, ago(view.died, now)).exactly(&view.died_at),
                Cell::painted(Paint::Faint, &view.detail),
            ]);
        }
        table
    }
}

/// All of a dead letter, its bytes included.
#[derive(Serialize)]
pub(crate) struct DeadDetailView {
    #[serde(flatten)]
    letter: DeadView,
    args: Option<Box<RawValue>>,
    kwargs: Option<Box<RawValue>>,
    headers: String,
    properties: String,
    content_type: String,
    content_encoding: String,
    body_bytes: usize,
    /// The body where it is text.
    body: Option<String>,
    /// The body in hexadecimal where it is not.
    body_hex: Option<String>,
    /// Why the message can't be read, where it can't.
    unreadable: Option<String>,
}

impl DeadDetailView {
    /// Takes the whole letter.
    pub(crate) fn new(letter: &DeadLetter, recorded: bool) -> Self {
        let content = &letter.envelope.content;
        let decoded = TaskMessage::decode(&letter.envelope);
        let text = std::str::from_utf8(&content.body).ok().map(str::to_owned);
        let arguments = decoded.as_ref().ok().map(|message| message.args.clone());
        Self {
            letter: DeadView::new(letter, recorded),
            args: arguments.as_ref().map(|args| args.positional.clone()),
            kwargs: arguments.map(|args| args.named),
            headers: content.headers.clone(),
            properties: content.properties.clone(),
            content_type: content.content_type.clone(),
            content_encoding: content.content_encoding.clone(),
            body_bytes: content.body.len(),
            body_hex: text.is_none().then(|| hex(&content.body)),
            body: text,
            unreadable: decoded.err().map(|error| error.to_string()),
        }
    }

    /// Writes it for a person.
    pub(crate) fn text(&self, output: &Output, now: Timestamp) -> String {
        let letter = &self.letter;
        let mut text = format!("{}\n", output.paint(Paint::Strong, &letter.id));
        let died = output.told(letter.died, now);
        let body = self.body.clone().or_else(|| self.body_hex.clone()).unwrap_or_default();
        let tries = format!("{}, handed out {}", letter.attempt, times(letter.delivery));
        let facts = [
            ("task", letter.task.clone()),
            ("queue", Some(letter.queue.clone())),
            ("reason", Some(output.paint(Paint::Bad, &letter.reason))),
            ("detail", Some(letter.detail.clone())),
            ("died", Some(died)),
            ("attempts", Some(tries)),
            ("args", self.args.as_deref().map(pretty)),
            ("kwargs", self.kwargs.as_deref().map(pretty)),
            ("unreadable", self.unreadable.clone()),
            (
                "headers",
                Some(
                    RawValue::from_string(self.headers.clone())
                        .map_or(self.headers.clone(), |json| pretty(&json)),
                ),
            ),
            ("body", Some(format!("{} bytes of {}\n{body}", self.body_bytes, self.content_type))),
        ];
        for (label, value) in facts.into_iter().filter_map(|(label, value)| Some((label, value?))) {
            let indented = value.replace('\n', &format!("\n{}", " ".repeat(14)));
            text.push_str(&format!("  {} {indented}\n", output.paint(Paint::Faint, &format!("{label:<11}"))));
        }
        text
    }
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
