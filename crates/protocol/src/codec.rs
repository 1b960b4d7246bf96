//! Celery's message protocol 2, between [`TaskMessage`] and [`Envelope`].

use std::time::Duration;

use serde::de::{Deserialize, Deserializer, MapAccess};
use serde::ser::{SerializeMap, Serializer};

use crate::body::{self, AcceptContent, BodyForm, EncodeError};
use crate::{
    Arguments, CeleriacHeader, Content, Continuation, Envelope, ErrorKind, JobError, JobId, RawValue,
    TaskMessage, TimeLimits, Timestamp,
};

mod fields;
mod version1;

use fields::PartlyKnown;

/// How many bytes of arguments are shown in `argsrepr` and `kwargsrepr`, as in Celery.
const REPR_BYTES: usize = 1024;

/// The headers that the encoder writes by itself, in its order: Celery's, kombu's and ours.
const OWN_HEADERS: [&str; 19] = [
    "lang",
    "task",
    "id",
    "shadow",
    "eta",
    "expires",
    "group",
    "group_index",
    "retries",
    "timelimit",
    "root_id",
    "parent_id",
    "argsrepr",
    "kwargsrepr",
    "origin",
    "ignore_result",
    "replaced_task_nesting",
    "compression",
    "celeriac",
];

/// Says whether a header of this name is written for every message, so that nobody may set it beside. Celery's stamps
/// are whoever's sends them.
pub fn is_own_header(name: &str) -> bool {
    OWN_HEADERS.contains(&name)
}

/// Why a message can't be read. It goes whole to the dead letters; the worker goes on.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The headers are no JSON object.
    #[error("read headers: {0}")]
    Headers(#[source] serde_json::Error),
    /// A header that every message needs is missing.
    #[error("find header \"{0}\"")]
    MissingHeader(&'static str),
    /// A header has a value that it can't have.
    #[error("read header \"{name}\": {reason}")]
    Header {
        /// The header.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The body is in a serializer that is not accepted; pickle never is. The words are kombu's.
    #[error("accept the body: Refusing to deserialize untrusted content of type {0}")]
    Refused(String),
    /// The body is compressed in a way that is not understood.
    #[error("decompress body: compression \"{0}\" is not supported")]
    Compression(String),
    /// The body is not what its compression says.
    #[error("decompress body as {compression}: {reason}")]
    Expand {
        /// Kombu's name of the compression.
        compression: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The body would grow beyond [`MAX_BODY_BYTES`](crate::MAX_BODY_BYTES).
    #[error("decompress body: it grows beyond {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body is not what its content type says.
    #[error("read body as {serializer}: {reason}")]
    Serialized {
        /// Kombu's name of the serializer.
        serializer: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The body is no message of protocol 1.
    #[error("read body as a message of protocol 1: {0}")]
    Version1(#[source] serde_json::Error),
    /// The body is no JSON, or not the triple that protocol 2 asks for.
    #[error("read body as [args, kwargs, embed]: {0}")]
    Body(#[source] serde_json::Error),
    /// The arguments have the wrong shape.
    #[error("read arguments: {0}")]
    Arguments(&'static str),
}

impl DecodeError {
    /// Returns the failure that is recorded for the job.
    pub fn to_job_error(&self) -> JobError {
        JobError::new(ErrorKind::Undecodable, format!("failed to {self}"))
    }
}

impl TaskMessage {
    /// Writes the message as Celery's protocol 2: all nineteen headers in Celery's order, then ours; the
    /// body in the message's [form](TaskMessage::form).
    ///
    /// What has no word in that form travels as plain JSON; [`TaskMessage::encode_exactly`] refuses it.
    pub fn encode(&self) -> Envelope {
        self.encode_exactly().unwrap_or_else(|_| {
            self.encode_as(BodyForm::default()).expect("a message is held as JSON, which writes it whole")
        })
    }

    /// Does what [`TaskMessage::encode`] does, in the message's own form or not at all.
    ///
    /// # Errors
    /// The form has no word for something in the arguments.
    pub fn encode_exactly(&self) -> Result<Envelope, EncodeError> {
        self.encode_as(self.form)
    }

    fn encode_as(&self, form: BodyForm) -> Result<Envelope, EncodeError> {
        Ok(Envelope {
            id: self.id.clone(),
            queue: self.queue.clone(),
            priority: self.priority,
            due_at: self.eta,
            unique_key: self.unique_key.clone(),
            content: Content {
                headers: encode_headers(self, form),
                properties: encode_properties(self),
                content_type: form.serializer.content_type().to_owned(),
                content_encoding: form.serializer.content_encoding().to_owned(),
                body: body::write(form, encode_body(self))?,
            },
        })
    }

    /// Reads what a transport handed out, in any serializer that is read here.
    ///
    /// # Errors
    /// See [`DecodeError`]; nothing is lost by it, since the envelope is only looked at.
    pub fn decode(envelope: &Envelope) -> Result<Self, DecodeError> {
        Self::decode_accepted(envelope, AcceptContent::default())
    }

    /// Reads what a transport handed out: protocol 2, or protocol 1 where no header names the task.
    ///
    /// What JSON has no word for is treated so: `NaN` is `null`; an infinity is a number that no `f64`
    /// takes and that Python reads as infinity again; a whole number keeps its digits, however many; a
    /// lone half of a surrogate pair passes through, and only a parameter that is a `String` refuses it.
    ///
    /// # Errors
    /// See [`DecodeError`]; nothing is lost by it, since the envelope is only looked at.
    pub fn decode_accepted(envelope: &Envelope, accept: AcceptContent) -> Result<Self, DecodeError> {
        let content = &envelope.content;
        let mut headers: Headers = serde_json::from_str(&content.headers).map_err(DecodeError::Headers)?;
        let (form, json) = body::read(content, headers.compression.as_deref(), accept)?;
        let (args, continuation) = decode_tolerantly(&json, &mut headers)?;
        let task = headers.task.ok_or(DecodeError::MissingHeader("task"))?;
        let properties = Properties::of(content);
        Ok(Self {
            id: envelope.id.clone(),
            task,
            queue: envelope.queue.clone(),
            priority: envelope.priority,
            args,
            continuation,
            form,
            eta: instant("eta", headers.eta)?,
            expires: instant("expires", headers.expires)?,
            retries: headers.retries.unwrap_or(0),
            time_limits: headers.time_limits,
            root_id: headers.root_id,
            parent_id: headers.parent_id,
            group: headers.group,
            group_index: headers.group_index,
            shadow: headers.shadow,
            ignore_result: headers.ignore_result,
            origin: headers.origin.unwrap_or_default(),
            replaced_task_nesting: headers.replaced_task_nesting.unwrap_or(0),
            reply_to: properties.reply_to,
            properties: properties.others,
            unique_key: envelope.unique_key.clone(),
            celeriac: headers.celeriac.unwrap_or_default(),
            extra: headers.extra,
        })
    }

    /// Reads the task's name alone, from a message that can't be read whole.
    pub fn peek_task(content: &Content) -> Option<String> {
        serde_json::from_str::<Headers>(&content.headers).ok().and_then(|headers| headers.task)
    }

    /// Reads what can be read of a message that can't be read whole: its task's name, or an empty one, and where its
    /// sender waits.
    pub fn peek(envelope: &Envelope) -> Self {
        let headers = serde_json::from_str::<Headers>(&envelope.content.headers).unwrap_or_default();
        let properties = Properties::of(&envelope.content);
        Self {
            queue: envelope.queue.clone(),
            priority: envelope.priority,
            ignore_result: headers.ignore_result,
            reply_to: properties.reply_to,
            properties: properties.others,
            ..Self::new(envelope.id.clone(), headers.task.unwrap_or_default(), Arguments::default())
        }
    }
}

fn instant(name: &'static str, text: Option<String>) -> Result<Option<Timestamp>, DecodeError> {
    text.map(|text| {
        text.parse().map_err(|e: jiff::Error| DecodeError::Header { name, reason: e.to_string() })
    })
    .transpose()
}

fn encode_body(message: &TaskMessage) -> String {
    let embed = &message.continuation;
    let triple = (&message.args.positional, &message.args.named, embed);
    serde_json::to_string(&triple).expect("raw JSON always serializes")
}

/// Reads a body, and reads it again without Python's own words should it be no JSON with them.
fn decode_tolerantly(json: &[u8], headers: &mut Headers) -> Result<(Arguments, Continuation), DecodeError> {
    match decode_body(json, headers) {
        Err(error @ (DecodeError::Body(_) | DecodeError::Version1(_))) => match body::tolerate(json) {
            Some(json) => decode_body(&json, headers),
            None => Err(error),
        },
        read => read,
    }
}

fn decode_body(body: &[u8], headers: &mut Headers) -> Result<(Arguments, Continuation), DecodeError> {
    type Triple = (Box<RawValue>, Box<RawValue>, Option<Continuation>);
    if headers.task.is_none() && body.trim_ascii_start().starts_with(b"{") {
        return version1::read(body, headers);
    }
    let (positional, named, embed): Triple = serde_json::from_slice(body).map_err(DecodeError::Body)?;
    Ok((arguments(positional, named)?, embed.unwrap_or_default()))
}

fn arguments(positional: Box<RawValue>, named: Box<RawValue>) -> Result<Arguments, DecodeError> {
    if !positional.get().starts_with('[') {
        return Err(DecodeError::Arguments("the positional arguments are no JSON array"));
    }
    if !named.get().starts_with('{') {
        return Err(DecodeError::Arguments("the named arguments are no JSON object"));
    }
    Ok(Arguments { positional, named })
}

/// The properties of protocol 2; what is not asked for here is kept as the sender wrote it.
#[derive(Default)]
struct Properties {
    reply_to: Option<String>,
    others: fields::Unknown,
}

impl Properties {
    /// Reads them. What is no object asks for nothing; the transport has understood what it had to.
    fn of(content: &Content) -> Self {
        serde_json::from_str(&content.properties).unwrap_or_default()
    }
}

impl<'de> PartlyKnown<'de> for Properties {
    fn unknown(&mut self) -> &mut fields::Unknown {
        &mut self.others
    }

    fn read<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        if key == "reply_to" {
            self.reply_to = map.next_value()?;
        }
        Ok(key == "reply_to")
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fields::read(deserializer)
    }
}

fn encode_properties(message: &TaskMessage) -> String {
    to_json(128, |map| {
        let is_said = |name: &str| message.properties.iter().any(|(key, _)| key == name);
        if !is_said("correlation_id") {
            map.serialize_entry("correlation_id", &message.id)?;
        }
        map.serialize_entry("reply_to", &message.reply_to)?;
        if !is_said("delivery_mode") {
            map.serialize_entry("delivery_mode", &2)?;
        }
        fields::write(map, &message.properties)
    })
}

fn encode_headers(message: &TaskMessage, form: BodyForm) -> String {
    to_json(640, |map| write_headers(message, form, map))
}

/// An object that is being written.
type Object<'w> = serde_json::ser::Compound<'w, &'w mut Vec<u8>, serde_json::ser::CompactFormatter>;

/// Writes an object of about `size` bytes.
fn to_json(size: usize, write: impl FnOnce(&mut Object<'_>) -> Result<(), serde_json::Error>) -> String {
    let mut out = Vec::with_capacity(size);
    let mut serializer = serde_json::Serializer::new(&mut out);
    let written = (&mut serializer).serialize_map(None).and_then(|mut map| {
        write(&mut map)?;
        SerializeMap::end(map)
    });
    written.expect("writing to memory does not fail");
    String::from_utf8(out).expect("JSON is UTF-8")
}

fn write_headers<M: SerializeMap<Error = serde_json::Error>>(
    message: &TaskMessage,
    form: BodyForm,
    map: &mut M,
) -> Result<(), serde_json::Error> {
    let seconds = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64());
    map.serialize_entry("lang", "rs")?;
    map.serialize_entry("task", &message.task)?;
    map.serialize_entry("id", &message.id)?;
    map.serialize_entry("shadow", &message.shadow)?;
    map.serialize_entry("eta", &message.eta.map(|at| at.to_string()))?;
    map.serialize_entry("expires", &message.expires.map(|at| at.to_string()))?;
    map.serialize_entry("group", &message.group)?;
    map.serialize_entry("group_index", &message.group_index)?;
    map.serialize_entry("retries", &message.retries)?;
    map.serialize_entry(
        "timelimit",
        &[seconds(message.time_limits.hard), seconds(message.time_limits.soft)],
    )?;
    map.serialize_entry("root_id", message.root_id.as_ref().unwrap_or(&message.id))?;
    map.serialize_entry("parent_id", &message.parent_id)?;
    map.serialize_entry("argsrepr", &repr(&message.args.positional, '(', ')'))?;
    map.serialize_entry("kwargsrepr", &repr(&message.args.named, '{', '}'))?;
    map.serialize_entry("origin", &message.origin)?;
    map.serialize_entry("ignore_result", &message.ignore_result)?;
    map.serialize_entry("replaced_task_nesting", &message.replaced_task_nesting)?;
    for (name, default) in [("stamped_headers", "null"), ("stamps", "{}")] {
        if !message.extra.iter().any(|(key, _)| key == name) {
            map.serialize_entry(name, &RawValue::from_string(default.to_owned())?)?;
        }
    }
    fields::write(map, &message.extra)?;
    if let Some(compression) = form.compression {
        map.serialize_entry("compression", compression.content_type())?;
    }
    map.serialize_entry("celeriac", &message.celeriac)
}

/// Shows arguments to people: JSON, but with the brackets that Python's readers expect.
fn repr(raw: &RawValue, open: char, close: char) -> String {
    let json = raw.get();
    let inner = json.get(1..json.len().saturating_sub(1)).unwrap_or("");
    if inner.len() <= REPR_BYTES {
        return format!("{open}{inner}{close}");
    }
    format!("{open}{}...{close}", &inner[..inner.floor_char_boundary(REPR_BYTES)])
}

/// The headers of protocol 2; what is not known here lands in `extra`, untouched.
#[derive(Default)]
struct Headers {
    task: Option<String>,
    shadow: Option<String>,
    eta: Option<String>,
    expires: Option<String>,
    group: Option<String>,
    group_index: Option<i64>,
    retries: Option<u32>,
    time_limits: TimeLimits,
    root_id: Option<JobId>,
    parent_id: Option<JobId>,
    origin: Option<String>,
    ignore_result: Option<bool>,
    replaced_task_nesting: Option<u32>,
    compression: Option<String>,
    celeriac: Option<CeleriacHeader>,
    extra: Vec<(String, Box<RawValue>)>,
}

impl<'de> PartlyKnown<'de> for Headers {
    fn unknown(&mut self) -> &mut fields::Unknown {
        &mut self.extra
    }

    fn read<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        match key {
            "task" => self.task = map.next_value()?,
            "shadow" => self.shadow = map.next_value()?,
            "eta" => self.eta = map.next_value()?,
            "expires" => self.expires = map.next_value()?,
            "group" => self.group = map.next_value()?,
            "group_index" => self.group_index = map.next_value()?,
            "retries" => self.retries = map.next_value()?,
            "timelimit" => self.time_limits = limits(map.next_value()?),
            "root_id" => self.root_id = map.next_value()?,
            "parent_id" => self.parent_id = map.next_value()?,
            "origin" => self.origin = map.next_value()?,
            "ignore_result" => self.ignore_result = map.next_value()?,
            "replaced_task_nesting" => self.replaced_task_nesting = map.next_value()?,
            "compression" => self.compression = map.next_value()?,
            "celeriac" => self.celeriac = map.next_value()?,
            // The id is the envelope's; the texts are written anew; `lang` says nothing.
            "id" | "lang" | "argsrepr" | "kwargsrepr" => fields::skip(map)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fields::read(deserializer)
    }
}

/// Turns `[hard, soft]` in seconds into limits; what is no positive number sets none.
fn limits(pair: Option<(Option<f64>, Option<f64>)>) -> TimeLimits {
    let (hard, soft) = pair.unwrap_or_default();
    let limit = |seconds: Option<f64>| {
        seconds.filter(|s| *s > 0.0).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    };
    TimeLimits { hard: limit(hard), soft: limit(soft) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Compression, Serializer};

    fn envelope(headers: &str, body: &str) -> Envelope {
        Envelope {
            id: JobId::parse("my-id").unwrap(),
            queue: "celery".into(),
            priority: None,
            due_at: None,
            unique_key: None,
            content: Content {
                headers: headers.into(),
                properties: "{}".into(),
                content_type: "application/json".into(),
                content_encoding: "utf-8".into(),
                body: body.into(),
            },
        }
    }

    /// The headers of `apply_async` with every option, as Celery 5.7 sends them.
    const FULL: &str = r#"{"lang": "py", "task": "wapp.add", "id": "my-id", "shadow": "shadowed",
        "eta": "2026-11-22T03:44:17.619136+00:00", "expires": "2026-11-22T03:45:07.619136+00:00", "group": null,
        "group_index": null, "retries": 1, "timelimit": [30, 20.5], "root_id": "my-id", "parent_id": null,
        "argsrepr": "(2, 3)", "kwargsrepr": "{}", "origin": "gen19748@vm", "ignore_result": true,
        "replaced_task_nesting": 0, "stamped_headers": ["tenant"], "stamps": {"tenant": "acme"}, "x-custom": 1e400}"#;

    #[test]
    fn a_celery_message_is_read_and_passes_through_whole() {
        let body = r#"[[2, 123456789012345678901234567890], {"z": 1.0}, {"callbacks": null, "chain": [], "more": 1}]"#;
        let message = TaskMessage::decode(&envelope(FULL, body)).unwrap();
        assert_eq!(message.task, "wapp.add");
        assert_eq!(message.time_limits.hard, Some(Duration::from_secs(30)));
        assert_eq!(message.time_limits.soft, Some(Duration::from_millis(20_500)));
        assert_eq!(message.retries, 1);
        assert_eq!(message.continuation.parts(), Vec::<&str>::new());
        let again = message.encode();
        assert!(again.content.headers.contains(r#""x-custom":1e400"#), "{}", again.content.headers);
        assert!(
            again.content.headers.contains(r#""stamps":{"tenant": "acme"}"#),
            "{}",
            again.content.headers
        );
        assert!(String::from_utf8(again.content.body).unwrap().contains("123456789012345678901234567890"));
    }

    #[test]
    fn the_smallest_message_that_a_python_worker_runs_is_read() {
        for body in ["[[], {}, {}]", "[[], {}, null]"] {
            let message = TaskMessage::decode(&envelope(r#"{"task": "t", "id": "my-id"}"#, body)).unwrap();
            assert_eq!(message.retries, 0);
        }
    }

    #[test]
    fn what_we_write_has_celerys_headers_in_celerys_order() {
        let message = TaskMessage::new(JobId::parse("my-id").unwrap(), "t", Arguments::default());
        let headers: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&message.encode().content.headers).unwrap();
        let names: Vec<&str> = headers.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "lang",
                "task",
                "id",
                "shadow",
                "eta",
                "expires",
                "group",
                "group_index",
                "retries",
                "timelimit",
                "root_id",
                "parent_id",
                "argsrepr",
                "kwargsrepr",
                "origin",
                "ignore_result",
                "replaced_task_nesting",
                "stamped_headers",
                "stamps",
                "celeriac"
            ]
        );
        assert_eq!(headers["root_id"], "my-id");
    }

    #[test]
    fn poison_is_named() {
        let good = r#"{"task": "t", "id": "my-id"}"#;
        for (headers, body, expected) in [
            ("{", "[[],{},{}]", "read headers"),
            ("{}", "[[],{},{}]", "find header \"task\""),
            (r#"{"task": "t", "eta": "soon"}"#, "[[],{},{}]", "read header \"eta\""),
            (good, "not json", "read body"),
            (good, "[[],{}]", "read body"),
            (good, "{}", "read body"),
            (good, "[{},{},{}]", "read arguments: the positional"),
            (good, "[[],[],{}]", "read arguments: the named"),
            (r#"{"task": "t", "compression": "application/zstd"}"#, "[[],{},{}]", "decompress body as zstd"),
            (r#"{"task": "t", "compression": "application/x-brotli"}"#, "[[],{},{}]", "decompress body: "),
            ("{}", "{}", "read body as a message of protocol 1"),
        ] {
            let error = TaskMessage::decode(&envelope(headers, body)).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error} / {expected}");
        }
    }

    #[test]
    fn a_message_of_protocol_1_is_read_and_goes_on_as_protocol_2() {
        // Captured: task_protocol=1 with a countdown; its headers are empty.
        let body = r#"{"task": "wapp.add", "id": "my-id", "args": [2, 3], "kwargs": {}, "group": null,
            "group_index": null, "retries": 2, "eta": "2026-11-22T03:44:12.672256+00:00", "expires": null,
            "utc": true, "callbacks": [{"task": "t"}], "errbacks": null, "timelimit": [30, null],
            "taskset": "g", "chord": null}"#;
        let message = TaskMessage::decode(&envelope("{}", body)).unwrap();
        assert_eq!((message.task.as_str(), message.retries), ("wapp.add", 2));
        assert_eq!(message.args.positional.get(), "[2, 3]");
        assert_eq!(message.group.as_deref(), Some("g"));
        assert_eq!(message.time_limits.hard, Some(Duration::from_secs(30)));
        assert_eq!(message.eta, Some("2026-11-22T03:44:12.672256Z".parse().unwrap()));
        assert_eq!(message.continuation.parts(), ["callbacks"]);
        let again = message.encode().content;
        assert!(again.headers.contains(r#""task":"wapp.add""#) && again.body.starts_with(b"[[2, 3],{},"));
        let least = r#"{"task": "t", "id": "p1-1", "args": [1, NaN]}"#;
        assert_eq!(TaskMessage::decode(&envelope("{}", least)).unwrap().args.positional.get(), "[1, null]");
    }

    #[test]
    fn numbers_that_json_lacks_are_read_by_the_stated_rule() {
        let body = r#"[[NaN, -Infinity, 1e400, "NaN", "\ud800"], {"x": Infinity}, {}]"#;
        let message = TaskMessage::decode(&envelope(r#"{"task": "t"}"#, body)).unwrap();
        assert_eq!(message.args.positional.get(), r#"[null, -1e999, 1e400, "NaN", "\ud800"]"#);
        assert_eq!(message.args.named.get(), r#"{"x": 1e999}"#);
    }

    #[test]
    fn a_compressed_body_of_another_serializer_is_read_where_it_is_accepted() {
        let mut sent = envelope(r#"{"task": "t", "compression": "application/x-gzip"}"#, "");
        let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packer, &[0x93, 0x92, 2, 3, 0x80, 0x80]).unwrap();
        sent.content.body = packer.finish().unwrap();
        sent.content.content_type = "application/x-msgpack".to_owned();
        assert_eq!(TaskMessage::decode(&sent).unwrap().args.positional.get(), "[2,3]");
        let accept = AcceptContent::of(&["json"]).unwrap();
        let error = TaskMessage::decode_accepted(&sent, accept).unwrap_err().to_job_error();
        let words = "Refusing to deserialize untrusted content of type msgpack (application/x-msgpack)";
        assert!(error.message.ends_with(words), "{}", error.message);
    }

    #[test]
    fn a_message_goes_out_in_the_form_it_came_in() {
        let mut sent = envelope(r#"{"task": "t", "compression": "application/x-bz2"}"#, "");
        let form = BodyForm { serializer: Serializer::Msgpack, compression: Some(Compression::Bzip2) };
        sent.content.body = body::write(form, "[[1],{},{}]".to_owned()).unwrap();
        sent.content.content_type = "application/x-msgpack".to_owned();
        let mut message = TaskMessage::decode(&sent).unwrap();
        message.retries += 1;
        let again = message.encode();
        assert!(again.content.headers.contains(r#""compression":"application/x-bz2""#));
        let Content { content_type, content_encoding, .. } = &again.content;
        assert_eq!((content_type.as_str(), content_encoding.as_str()), ("application/x-msgpack", "binary"));
        let read = TaskMessage::decode(&again).unwrap();
        assert_eq!((read.form, read.retries, read.args.positional.get()), (form, 1, "[1]"));
    }

    #[test]
    fn what_its_form_has_no_word_for_is_refused_or_travels_as_json() {
        let mut message = TaskMessage::new(JobId::parse("a").unwrap(), "t", Arguments::default());
        message.form = BodyForm { serializer: Serializer::Msgpack, compression: Some(Compression::Zlib) };
        message.args = Arguments::from_positional(&[u128::MAX]).unwrap();
        let error = message.encode_exactly().unwrap_err();
        assert!(error.to_string().ends_with("has more than 64 bits"), "{error}");
        let sent = message.encode().content;
        assert_eq!(sent.content_type, "application/json");
        assert!(!sent.headers.contains("compression") && sent.body.starts_with(b"[[34028"));
    }

    #[test]
    fn a_newer_version_of_our_header_is_kept() {
        let headers = r#"{"task": "t", "celeriac": {"v": 9, "generation": 2, "later": {"a": 1}}}"#;
        let message = TaskMessage::decode(&envelope(headers, "[[],{},{}]")).unwrap();
        assert_eq!(message.celeriac.generation, 2);
        assert!(message.encode().content.headers.contains(r#""v":9,"generation":2,"later":{"a": 1}"#));
    }

    #[test]
    fn every_header_that_is_written_is_known_to_be_our_own() {
        let compression = Some(Compression::Zlib);
        let form = BodyForm { compression, ..BodyForm::default() };
        let message =
            TaskMessage { form, ..TaskMessage::new(JobId::parse("a").unwrap(), "t", Arguments::default()) };
        let written = message.encode().content.headers;
        let written: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&written).unwrap();
        let stamps = ["stamped_headers", "stamps"];
        let own: Vec<&str> =
            written.keys().map(String::as_str).filter(|name| !stamps.contains(name)).collect();
        assert_eq!(own, OWN_HEADERS);
        assert!(is_own_header("celeriac") && !stamps.iter().any(|name| is_own_header(name)));
    }

    #[test]
    fn our_header_says_which_entry_of_the_schedule_it_comes_from() {
        let mut message = TaskMessage::new(JobId::parse("a").unwrap(), "t", Arguments::default());
        message.celeriac.schedule = Some("nightly".to_owned());
        message.celeriac.due_at = Some(Timestamp::from_micros(7));
        let sent = message.encode();
        assert!(
            sent.content.headers.contains(r#""schedule":"nightly","due_at":7"#),
            "{}",
            sent.content.headers
        );
        let read = TaskMessage::decode(&sent).unwrap().celeriac;
        assert_eq!(
            (read.schedule.as_deref(), read.due_at),
            (Some("nightly"), Some(Timestamp::from_micros(7)))
        );
    }

    #[test]
    fn what_is_not_understood_passes_through_to_the_letter() {
        let strange = r#"{"n":1234567890123456789012345,"f":1.10,"e":1E5,"deep":[{"x":  null}]}"#;
        let headers =
            format!(r#"{{"task": "t", "x-more": {strange}, "celeriac": {{"v": 1, "later": {strange}}}}}"#);
        let mut sent = envelope(&headers, &format!(r#"[[1.0], {{}}, {{"chain": null, "more": {strange}}}]"#));
        sent.content.properties = format!(
            r#"{{"correlation_id": "its-own", "reply_to": "r", "delivery_mode": 1, "later": {strange}}}"#
        );
        let mut message = TaskMessage::decode(&sent).unwrap();
        message.retries += 1;
        let Content { headers, properties, body, .. } = message.encode().content;
        let body = String::from_utf8(body).unwrap();
        for (part, name) in
            [(&headers, "x-more"), (&headers, "later"), (&properties, "later"), (&body, "more")]
        {
            assert!(part.contains(&format!(r#""{name}":{strange}"#)), "{part}");
        }
        let said = r#"{"reply_to":"r","correlation_id":"its-own","delivery_mode":1,"#;
        assert!(properties.starts_with(said), "{properties}");
    }

    #[test]
    fn parts_that_ask_for_something_are_named() {
        let body = r#"[[], {}, {"callbacks": [{}], "errbacks": [], "chain": null, "chord": {"task": "x"}}]"#;
        let message = TaskMessage::decode(&envelope(r#"{"task": "t"}"#, body)).unwrap();
        assert_eq!(message.continuation.parts(), ["callbacks", "chord"]);
    }
}
