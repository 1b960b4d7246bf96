//! Celery's message as RabbitMQ carries it: between [`Envelope`] and AMQP's properties, headers and body.
//!
//! What AMQP has no place for, and Celery no name, travels in two places of ours. The short counts are in
//! the property `app_id`, which Celery does not send on when it retries; a message that was never handed out
//! and asks for nothing special has none. The header [`MARK`] keeps the words of what a table can't hold.

use std::fmt::Write as _;

use celeriac_protocol::{Content, Envelope, JobId, MAX_PRIORITY, Timestamp};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::table;

/// The header that keeps the words of what a table can't hold.
const MARK: &str = "celeriac-mark";

/// What our counts begin with.
const COUNTS: &str = "celeriac ";

/// Written to disk.
const PERSISTENT: u8 = 2;

/// How a message without a priority is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Priorities {
    /// Its place.
    pub(super) unset: u8,
}

/// What happened to a message before it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// How often it was handed out.
    pub(super) handed: u32,
    /// How many of these were charged.
    pub(super) attempts: u32,
    /// How many holders in a row vanished.
    pub(super) lost: u32,
}

/// A message as it goes to the server.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) properties: BasicProperties,
    pub(super) body: Vec<u8>,
}

/// A message as it came.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) envelope: Envelope,
    pub(super) counts: Counts,
    /// How often a quorum queue has seen it come back.
    pub(super) returned: u32,
}

/// The words of what AMQP can't hold.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Mark {
    /// The job's id, where the headers name another or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The headers as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    headers: Option<String>,
    /// The properties as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    properties: Option<String>,
}

/// Why a message can't be written or read.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// A text is too long for its place.
    #[error("write {what}: it is longer than 255 bytes")]
    TooLong {
        /// What it is.
        what: &'static str,
    },
    /// A header is no text.
    #[error("read header \"{0}\": it is no text")]
    Header(String),
    /// Our own words are none.
    #[error("read header \"{MARK}\": {0}")]
    Mark(#[from] serde_json::Error),
    /// It names no job.
    #[error("find the job's id: {0}")]
    Id(String),
}

/// Makes a short text of AMQP's.
pub(super) fn short(what: &'static str, text: &str) -> Result<ShortString, WireError> {
    ShortString::try_new(text).map_err(|_| WireError::TooLong { what })
}

/// Writes a message as Celery does.
///
/// # Errors
/// A text is too long.
pub(super) fn write(
    envelope: &Envelope,
    counts: Counts,
    priorities: Priorities,
) -> Result<Written, WireError> {
    let content = &envelope.content;
    let parsed = serde_json::from_str::<Map<String, Value>>(&content.headers).ok();
    let table = parsed.as_ref().and_then(table::to_table);
    // What is kept as text tells nothing to whoever reads the table.
    let parsed = parsed.filter(|_| table.is_some());
    let told_id = parsed.as_ref().and_then(|headers| headers.get("id")?.as_str());
    let told_due = parsed.as_ref().and_then(|headers| eta(headers.get("eta")));
    let mut properties = BasicProperties::default();
    let fits = apply(&content.properties, &mut properties);
    let mark = Mark {
        id: (told_id != Some(envelope.id.as_str())).then(|| envelope.id.to_string()),
        headers: table.is_none().then(|| content.headers.clone()),
        properties: (!fits).then(|| content.properties.clone()),
    };
    let mut table = table.unwrap_or_default();
    if let Mark { id: None, headers: None, properties: None } = mark {
    } else {
        let text = serde_json::to_string(&mark).expect("texts always serialize");
        table.insert(MARK.into(), AMQPValue::LongString(LongString::from(text)));
    }
    let due_at = (told_due != envelope.due_at).then_some(envelope.due_at);
    if let Some(counts) = counts.to_text(due_at) {
        properties = properties.with_app_id(counts.into());
    }
    let priority = envelope.priority.unwrap_or(priorities.unset).min(MAX_PRIORITY);
    let mode = properties.delivery_mode().unwrap_or(PERSISTENT);
    properties = properties.with_headers(table).with_priority(priority).with_delivery_mode(mode);
    properties = properties.with_content_type(short("content type", &content.content_type)?);
    properties = properties.with_content_encoding(short("content encoding", &content.content_encoding)?);
    Ok(Written { properties, body: content.body.clone() })
}

/// Sets the properties that a JSON object names; says whether all of it could be set.
///
/// `expiration` is never set: RabbitMQ would drop the message without a word, and its job would wait for
/// ever. The header `expires` says the same, and whoever takes the message heeds it.
fn apply(text: &str, properties: &mut BasicProperties) -> bool {
    let Ok(object) = serde_json::from_str::<Map<String, Value>>(text) else { return false };
    let mut fits = true;
    for (name, value) in &object {
        let text = value.as_str().and_then(|text| ShortString::try_new(text).ok());
        let before = std::mem::take(properties);
        *properties = match (name.as_str(), text, value.as_u64()) {
            ("correlation_id", Some(text), _) => before.with_correlation_id(text),
            ("reply_to", Some(text), _) => before.with_reply_to(text),
            ("message_id", Some(text), _) => before.with_message_id(text),
            ("type", Some(text), _) => before.with_type(text),
            ("cluster_id", Some(text), _) => before.with_cluster_id(text),
            ("timestamp", _, Some(number)) => before.with_timestamp(number),
            ("delivery_mode", _, Some(mode @ 1..=2)) => before.with_delivery_mode(mode as u8),
            _ => {
                fits &= value.is_null() || OF_THE_TRANSPORT.contains(&name.as_str());
                before
            }
        };
    }
    fits
}

/// Properties that are written anew for each message, and not shown to whoever fetches.
const OF_THE_TRANSPORT: &[&str] =
    &["delivery_info", "priority", "body_encoding", "delivery_tag", "delivery_mode"];

/// Headers that the server adds on a message's way, and ours.
fn is_of_the_way(name: &str) -> bool {
    name == MARK
        || name == "x-death"
        || name == "x-delivery-count"
        || name == "x-acquired-count"
        || name == super::dead::FACTS
        || name.starts_with("x-first-death-")
        || name.starts_with("x-last-death-")
}

fn eta(value: Option<&Value>) -> Option<Timestamp> {
    value?.as_str()?.parse().ok()
}

impl Counts {
    /// Writes the counts and the due time that no header tells; `None` where there is nothing to say.
    fn to_text(self, due_at: Option<Option<Timestamp>>) -> Option<String> {
        let Self { handed, attempts, lost } = self;
        if self == Self::default() && due_at.is_none() {
            return None;
        }
        let mut text = format!("{COUNTS}h{handed} a{attempts} l{lost}");
        if let Some(due_at) = due_at {
            let _ = match due_at {
                Some(due_at) => write!(text, " t{}", due_at.as_micros()),
                None => write!(text, " t-"),
            };
        }
        Some(text)
    }

    /// Reads the same; what is no text of ours says nothing.
    fn from_text(text: &str) -> Option<(Self, Option<Option<Timestamp>>)> {
        let (mut counts, mut due_at) = (Self::default(), None);
        for word in text.strip_prefix(COUNTS)?.split(' ') {
            let (kind, number) = word.split_at_checked(1)?;
            match kind {
                "h" => counts.handed = number.parse().ok()?,
                "a" => counts.attempts = number.parse().ok()?,
                "l" => counts.lost = number.parse().ok()?,
                "t" if number == "-" => due_at = Some(None),
                "t" => due_at = Some(Some(Timestamp::from_micros(number.parse().ok()?))),
                // What a newer version may add.
                _ => {}
            }
        }
        Some((counts, due_at))
    }
}

/// Reads what somebody published to `queue`.
///
/// # Errors
/// It is no message as Celery writes them; its body comes back.
pub(super) fn read(
    properties: &BasicProperties,
    body: Vec<u8>,
    queue: &str,
    priorities: Priorities,
) -> Result<Read, (WireError, Vec<u8>)> {
    match read_without_body(properties, queue, priorities) {
        Ok(mut read) => {
            read.envelope.content.body = body;
            Ok(read)
        }
        Err(error) => Err((error, body)),
    }
}

fn read_without_body(
    properties: &BasicProperties,
    queue: &str,
    priorities: Priorities,
) -> Result<Read, WireError> {
    let nothing = FieldTable::default();
    let headers = properties.headers().as_ref().unwrap_or(&nothing);
    let mark: Mark = table::text(headers, MARK).map_or(Ok(Mark::default()), serde_json::from_str)?;
    let json = table::to_json(headers, is_of_the_way).map_err(WireError::Header)?;
    let said = properties.app_id().as_ref().and_then(|text| Counts::from_text(text.as_str()));
    let (counts, due_at) = said.unwrap_or_default();
    let correlation = properties.correlation_id().as_ref().map(ShortString::to_string);
    let id = mark.id.or_else(|| table::text(headers, "id").map(ToOwned::to_owned)).or(correlation);
    let id = id.ok_or_else(|| WireError::Id("it is named nowhere".to_owned()))?;
    let envelope = Envelope {
        id: JobId::parse(&id).map_err(|error| WireError::Id(error.to_string()))?,
        queue: queue.to_owned(),
        priority: priorities.said(*properties.priority()),
        due_at: due_at.unwrap_or_else(|| table::text(headers, "eta")?.parse().ok()),
        unique_key: None,
        content: Content {
            headers: mark.headers.unwrap_or(json),
            properties: mark.properties.unwrap_or_else(|| others(properties, said.is_some())),
            content_type: shown(properties.content_type()),
            content_encoding: shown(properties.content_encoding()),
            body: Vec::new(),
        },
    };
    let returned = table::number(headers, "x-delivery-count").unwrap_or(0);
    Ok(Read { envelope, counts, returned: u32::try_from(returned).unwrap_or(0) })
}

fn shown(text: &Option<ShortString>) -> String {
    text.as_ref().map_or_else(String::new, ShortString::to_string)
}

impl Priorities {
    fn said(self, on_wire: Option<u8>) -> Option<u8> {
        on_wire.map(|priority| priority.min(MAX_PRIORITY)).filter(|priority| *priority != self.unset)
    }
}

/// Makes a message of one that can't be read, for whoever looks at dead letters.
pub(super) fn unread(properties: &BasicProperties, body: Vec<u8>, queue: &str, id: JobId) -> Envelope {
    let headers = properties.headers().as_ref();
    let headers = headers.and_then(|table| table::to_json(table, is_of_the_way).ok());
    Envelope {
        id,
        queue: queue.to_owned(),
        priority: None,
        due_at: None,
        unique_key: None,
        content: Content {
            headers: headers.unwrap_or_else(|| "{}".to_owned()),
            properties: others(properties, false),
            content_type: shown(properties.content_type()),
            content_encoding: shown(properties.content_encoding()),
            body,
        },
    }
}

/// Writes the properties that are not the transport's own.
fn others(properties: &BasicProperties, app_id_is_ours: bool) -> String {
    let mut object = Map::new();
    let mut add = |name: &str, text: &Option<ShortString>| {
        if let Some(text) = text {
            object.insert(name.to_owned(), text.as_str().into());
        }
    };
    add("correlation_id", properties.correlation_id());
    add("reply_to", properties.reply_to());
    add("expiration", properties.expiration());
    add("message_id", properties.message_id());
    add("type", properties.kind());
    add("cluster_id", properties.cluster_id());
    if !app_id_is_ours {
        add("app_id", properties.app_id());
    }
    if let Some(timestamp) = properties.timestamp() {
        object.insert("timestamp".to_owned(), (*timestamp).into());
    }
    if let Some(mode) = properties.delivery_mode().filter(|mode| *mode != PERSISTENT) {
        object.insert("delivery_mode".to_owned(), mode.into());
    }
    Value::Object(object).to_string()
}

#[cfg(test)]
mod tests;
