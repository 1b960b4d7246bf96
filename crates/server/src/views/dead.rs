//! Dead letters.

use celeriac_broker::DeadLetter;
use celeriac_protocol::{RawValue, TaskMessage};
use serde::Serialize;
use utoipa::ToSchema;

use super::Moment;

/// A dead letter of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub struct DeadView {
    /// The job's id.
    pub id: String,
    /// The task's name; null where it can't be read.
    pub task: Option<String>,
    /// The queue that it was in.
    pub queue: String,
    /// Why it died, in one word.
    pub reason: String,
    /// Why it died, in full.
    pub detail: String,
    /// The number of its last attempt.
    pub attempt: u32,
    /// How often it was handed out.
    pub delivery: u32,
    /// When it died.
    pub died_at: Moment,
    /// Whether this database has a record of the job.
    pub recorded: bool,
    /// Pass as cursor to go on behind this letter.
    pub cursor: i64,
}

impl DeadView {
    /// Takes what a list shows of a letter; `recorded` says whether this database knows the job.
    pub fn new(letter: &DeadLetter, recorded: bool) -> Self {
        Self {
            id: letter.envelope.id.to_string(),
            task: TaskMessage::peek_task(&letter.envelope.content),
            queue: letter.envelope.queue.clone(),
            reason: letter.reason.clone(),
            detail: letter.detail.clone(),
            attempt: letter.attempt,
            delivery: letter.delivery,
            died_at: letter.died_at.into(),
            recorded,
            cursor: letter.key,
        }
    }
}

/// All of a dead letter, its bytes included.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = DeadLetterDetail)]
pub struct DeadDetailView {
    /// What lists show.
    #[serde(flatten)]
    pub letter: DeadView,
    /// Positional arguments; null where the message can't be read.
    #[schema(value_type = Option<serde_json::Value>)]
    pub args: Option<Box<RawValue>>,
    /// Named arguments; null where the message can't be read.
    #[schema(value_type = Option<serde_json::Value>)]
    pub kwargs: Option<Box<RawValue>>,
    /// The message's headers, as the text that travels.
    pub headers: String,
    /// The message's properties, as the text that travels.
    pub properties: String,
    /// The MIME type of its body.
    pub content_type: String,
    /// The character set of its body, or `binary`.
    pub content_encoding: String,
    /// How long its body is, in bytes.
    pub body_bytes: usize,
    /// The body where it is text.
    pub body: Option<String>,
    /// The body in hexadecimal where it is not.
    pub body_hex: Option<String>,
    /// Why the message can't be read, where it can't.
    pub unreadable: Option<String>,
}

impl DeadDetailView {
    /// Takes the whole letter; `recorded` says whether this database knows the job.
    pub fn new(letter: &DeadLetter, recorded: bool) -> Self {
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
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
