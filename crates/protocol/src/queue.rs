//! A message as a transport carries it: a few facts that queues need, and content that they don't read.

use crate::{JobId, Timestamp};

/// The queue that is used where none is named: Celery's `task_default_queue`.
pub const DEFAULT_QUEUE: &str = "celery";

/// The highest priority; the lowest is 0. Higher runs first, on every transport.
pub const MAX_PRIORITY: u8 = 9;

/// Where a message without a priority stands: in the middle, so that 0 can be asked for.
pub const DEFAULT_PRIORITY: u8 = 5;

/// What a transport stores and hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The job it asks for. One queue holds at most one message of an id.
    pub id: JobId,
    /// The queue it waits in; of a message that is on its way there perhaps an exchange's [`Address`](crate::Address).
    pub queue: String,
    /// 0 to [`MAX_PRIORITY`], higher first; `None` was not said and stands at [`DEFAULT_PRIORITY`].
    pub priority: Option<u8>,
    /// Not to be handed out before; `None` is at once.
    pub due_at: Option<Timestamp>,
    /// At most one message with this key waits or runs at a time.
    pub unique_key: Option<String>,
    /// The rest, which only sender and worker read.
    pub content: Content,
}

/// The parts of a Celery message (protocol 2) that travel unread.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Content {
    /// The headers as the text of a JSON object.
    pub headers: String,
    /// The properties as the text of a JSON object (`correlation_id`, `reply_to` ...).
    pub properties: String,
    /// The serializer's media type, `application/json` from us.
    pub content_type: String,
    /// The body's text encoding, `utf-8` or `binary`.
    pub content_encoding: String,
    /// The body, still serialized and perhaps compressed.
    pub body: Vec<u8>,
}

impl Envelope {
    /// Returns the priority to sort by.
    pub fn effective_priority(&self) -> u8 {
        self.priority.unwrap_or(DEFAULT_PRIORITY).min(MAX_PRIORITY)
    }
}
