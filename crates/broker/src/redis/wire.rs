//! Celery's message as it lies in a Redis list: kombu's envelope, between [`Envelope`] and JSON text.
//!
//! What kombu's envelope has no place for travels as `properties.celeriac`, and only where it can't be
//! told from the rest: a message of ours that asks for nothing special has Celery's fields and no others.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use celeriac_protocol::{Content, Envelope, JobId, MAX_PRIORITY, RawValue, Timestamp};
use serde::{Deserialize, Serialize};

use self::object::Object;

mod object;

/// Properties that belong to the transport: written anew for each push, and not shown to whoever fetches.
const OF_THE_TRANSPORT: &[&str] = &["delivery_info", "priority", "body_encoding", "delivery_tag", "celeriac"];

/// How priorities are written: Redis serves 0 first, and we 9.
#[derive(Clone, Copy, Debug)]
pub(super) struct Priorities {
    /// Where a message stands that says nothing, on our scale.
    pub(super) unset: u8,
}

impl Priorities {
    /// Returns the number on the wire, of which 0 is served first.
    pub(super) fn on_wire(self, said: Option<u8>) -> u8 {
        MAX_PRIORITY - said.unwrap_or(self.unset).min(MAX_PRIORITY)
    }

    /// Returns what such a number says; the place of those who say nothing says nothing.
    fn said(self, on_wire: Option<i64>) -> Option<u8> {
        let on_wire = u8::try_from(on_wire?.clamp(0, MAX_PRIORITY.into())).unwrap_or(0);
        (on_wire != self.on_wire(None)).then(|| MAX_PRIORITY - on_wire)
    }
}

/// What kombu's envelope has no place for.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Mark<'m> {
    /// The job's id, where the headers name another or none.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'m, str>>,
    /// The due time in microseconds, where it is not the header `eta`; the inner `None` is at once.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    due_at: Option<Option<i64>>,
    /// The unique key.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    unique_key: Option<Cow<'m, str>>,
    /// The headers as text, where they are no JSON object.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    headers: Option<Cow<'m, str>>,
    /// The properties as text, where they are no JSON object.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    properties: Option<Cow<'m, str>>,
}

/// Tells `null` from nothing.
fn said<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<i64>>, D::Error> {
    Option::<i64>::deserialize(deserializer).map(Some)
}

/// The headers that a queue has to know.
#[derive(Debug, Default)]
struct Headers<'h> {
    id: Option<Cow<'h, str>>,
    eta: Option<Timestamp>,
}

impl<'h> Headers<'h> {
    fn read(text: &'h str) -> Option<Self> {
        let [id, eta] = object::fields(text, ["id", "eta"])?;
        let eta = eta.and_then(object::text).and_then(|eta| eta.parse().ok());
        Some(Self { id: id.and_then(object::text), eta })
    }
}

/// Writes a message as kombu does, to the space between its words.
pub(super) fn write(envelope: &Envelope, delivery_tag: &str, priorities: Priorities) -> String {
    let content = &envelope.content;
    let headers = Headers::read(&content.headers);
    let properties = serde_json::from_str::<Object<'_>>(&content.properties).ok();
    let mark = mark(envelope, headers.as_ref(), properties.is_some());
    let mut out = String::with_capacity(
        content.body.len() / 3 * 4 + content.headers.len() + content.properties.len() + 320,
    );
    out.push_str("{\"body\": \"");
    BASE64.encode_string(&content.body, &mut out);
    out.push_str("\", \"content-encoding\": ");
    push_json(&mut out, &content.content_encoding);
    out.push_str(", \"content-type\": ");
    push_json(&mut out, &content.content_type);
    out.push_str(", \"headers\": ");
    out.push_str(if headers.is_some() { content.headers.trim() } else { "{}" });
    out.push_str(", \"properties\": {");
    for (name, value) in properties.iter().flat_map(|object| &object.0) {
        if !OF_THE_TRANSPORT.contains(&&**name) {
            push_json(&mut out, name);
            let _ = write!(out, ": {value}, ");
        }
    }
    out.push_str("\"delivery_info\": {\"exchange\": \"\", \"routing_key\": ");
    push_json(&mut out, &envelope.queue);
    let priority = priorities.on_wire(envelope.priority);
    let _ = write!(out, "}}, \"priority\": {priority}, \"body_encoding\": \"base64\", \"delivery_tag\": ");
    push_json(&mut out, delivery_tag);
    if let Some(mark) = mark {
        out.push_str(", \"celeriac\": ");
        push_json(&mut out, &mark);
    }
    out.push_str("}}");
    out
}

fn mark<'e>(envelope: &'e Envelope, headers: Option<&Headers<'_>>, has_properties: bool) -> Option<Mark<'e>> {
    let content = &envelope.content;
    let (told_id, told_due) = headers.map_or((None, None), |headers| (headers.id.as_deref(), headers.eta));
    let mark = Mark {
        id: (told_id != Some(envelope.id.as_str())).then(|| envelope.id.as_str().into()),
        due_at: (told_due != envelope.due_at).then(|| envelope.due_at.map(Timestamp::as_micros)),
        unique_key: envelope.unique_key.as_deref().map(Cow::from),
        headers: headers.is_none().then(|| content.headers.as_str().into()),
        properties: (!has_properties).then(|| content.properties.as_str().into()),
    };
    let Mark { id: None, due_at: None, unique_key: None, headers: None, properties: None } = mark else {
        return Some(mark);
    };
    None
}

fn push_json<T: Serialize + ?Sized>(out: &mut String, value: &T) {
    out.push_str(&serde_json::to_string(value).expect("texts and numbers always serialize"));
}

/// Kombu's envelope.
#[derive(Deserialize)]
struct Message<'m> {
    #[serde(borrow)]
    body: Cow<'m, str>,
    #[serde(borrow, default, rename = "content-encoding")]
    content_encoding: Option<Cow<'m, str>>,
    #[serde(borrow, default, rename = "content-type")]
    content_type: Option<Cow<'m, str>>,
    #[serde(borrow)]
    headers: &'m RawValue,
    #[serde(borrow)]
    properties: Object<'m>,
}

/// Why a message can't be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// It is not kombu's envelope.
    #[error("read message: {0}")]
    Json(#[from] serde_json::Error),
    /// Its body is not what it says.
    #[error("read body as base64: {0}")]
    Body(#[from] base64::DecodeError),
    /// It names no job.
    #[error("find the job's id: {0}")]
    Id(String),
}

/// Reads what somebody pushed to `queue`.
///
/// # Errors
/// It is no message as Celery writes them.
pub(super) fn read(raw: &[u8], queue: &str, priorities: Priorities) -> Result<Envelope, WireError> {
    let message: Message<'_> = serde_json::from_slice(raw)?;
    let properties = &message.properties;
    let mark: Mark<'_> = properties.get("celeriac").map_or(Ok(Mark::default()), serde_json::from_str)?;
    let headers = Headers::read(message.headers.get()).unwrap_or_default();
    let id = mark.id.or(headers.id).or_else(|| properties.text("correlation_id"));
    let id = id.ok_or_else(|| WireError::Id("it is named nowhere".to_owned()))?;
    Ok(Envelope {
        id: JobId::parse(&id).map_err(|error| WireError::Id(error.to_string()))?,
        queue: queue.to_owned(),
        priority: priorities.said(properties.number("priority")),
        due_at: mark.due_at.map_or(headers.eta, |due| due.map(Timestamp::from_micros)),
        unique_key: mark.unique_key.map(Cow::into_owned),
        content: Content {
            headers: mark.headers.map_or_else(|| message.headers.get().to_owned(), Cow::into_owned),
            properties: mark.properties.map_or_else(|| others(properties), Cow::into_owned),
            content_type: message.content_type.unwrap_or_default().into_owned(),
            content_encoding: message.content_encoding.unwrap_or_default().into_owned(),
            body: body(&message.body, properties)?,
        },
    })
}

/// Makes a message of bytes that are none, for whoever looks at dead letters: they are its body.
pub(super) fn unread(raw: Vec<u8>, queue: &str, id: JobId) -> Envelope {
    Envelope {
        id,
        queue: queue.to_owned(),
        priority: None,
        due_at: None,
        unique_key: None,
        content: Content {
            headers: "{}".to_owned(),
            properties: "{}".to_owned(),
            content_type: "application/data".to_owned(),
            content_encoding: "binary".to_owned(),
            body: raw,
        },
    }
}

/// Writes the properties that are not the transport's own.
fn others(properties: &Object<'_>) -> String {
    let mut out = String::from("{");
    for (name, value) in properties.0.iter().filter(|(name, _)| !OF_THE_TRANSPORT.contains(&&**name)) {
        if out.len() > 1 {
            out.push(',');
        }
        push_json(&mut out, name);
        let _ = write!(out, ":{value}");
    }
    out.push('}');
    out
}

fn body(text: &str, properties: &Object<'_>) -> Result<Vec<u8>, base64::DecodeError> {
    match properties.text("body_encoding").as_deref() {
        Some("base64") => BASE64.decode(text),
        _ => Ok(text.as_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests;
