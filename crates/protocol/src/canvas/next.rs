//! Makes messages of signatures, as Celery's `apply_async` does in a worker.

use std::time::Duration;

use super::destination;
use super::signature::{Members, Signature, is_said, list_of, raw};
use super::{CanvasError, Following};
use crate::{
    Arguments, BodyForm, CeleriacHeader, Compression, Continuation, JobId, MAX_PRIORITY, RawValue,
    Serializer, TaskMessage, TimeLimits, Timestamp,
};

/// What a chain hands on to its last step.
const OF_THE_LAST: [&str; 4] = ["task_id", "group_id", "group_index", "link"];

/// The rest of a chain, the next step last.
type Rest<'r> = Vec<&'r RawValue>;

/// Is responsible for the messages that follow one job.
pub(super) struct Maker<'f> {
    following: &'f Following<'f>,
    messages: Vec<TaskMessage>,
}

impl<'f> Maker<'f> {
    pub(super) fn new(following: &'f Following<'f>) -> Self {
        Self { following, messages: Vec::new() }
    }

    pub(super) fn into_messages(self) -> Vec<TaskMessage> {
        self.messages
    }

    /// Applies links: groups by themselves, and others, where there are several, as one group.
    pub(super) fn callbacks(
        &mut self,
        callbacks: &[&RawValue],
        result: &RawValue,
    ) -> Result<(), CanvasError> {
        let read = callbacks.iter().map(|raw| Signature::read(raw)).collect::<Result<Vec<_>, _>>()?;
        let single = read.iter().filter(|signature| !signature.is("group")).count();
        let group = (single > 1).then(|| self.derived("links"));
        for (index, mut signature) in read.into_iter().enumerate() {
            if let (Some(group), false) = (&group, signature.is("group")) {
                join(&mut signature.options, group.as_str(), index);
            }
            self.apply(signature, &format!("link/{index}"), &[result], None)?;
        }
        Ok(())
    }

    /// Applies one signature to what comes before its own arguments; `place` tells it from the others of its parent.
    pub(super) fn apply(
        &mut self,
        mut signature: Signature,
        place: &str,
        before: &[&RawValue],
        rest: Option<Rest<'_>>,
    ) -> Result<(), CanvasError> {
        let Some(tasks) = signature.tasks()? else {
            let message = self.message(&signature, place, before, rest.as_deref())?;
            self.messages.push(message);
            return Ok(());
        };
        let own = signature.args.clone();
        let mut before = before.to_vec();
        if !signature.immutable {
            before.extend(list_of(Some(&own))?);
        }
        if signature.is("chain") {
            return self.chain(&signature, &tasks, place, &before, rest);
        }
        let group = signature.options.read::<String>("task_id");
        let group = group.unwrap_or_else(|| self.derived(place).as_str().to_owned());
        signature.options.set("task_id", raw("null"));
        for (index, task) in tasks.iter().enumerate() {
            let mut member = Signature::read(task)?;
            join(&mut member.options, &group, index);
            self.apply(member, &format!("{place}/{index}"), &before, None)?;
        }
        Ok(())
    }

    /// Applies the first step of a chain; the others go before what is left of the chain that it stands in.
    fn chain(
        &mut self,
        chain: &Signature,
        tasks: &[Box<RawValue>],
        place: &str,
        before: &[&RawValue],
        rest: Option<Rest<'_>>,
    ) -> Result<(), CanvasError> {
        let mut steps = tasks.iter().map(|task| Signature::read(task)).collect::<Result<Vec<_>, _>>()?;
        let Some(last) = steps.last_mut() else {
            return Err(CanvasError::Signature("a chain without a task".to_owned()));
        };
        last.options.inherit(&chain.options, &OF_THE_LAST);
        let mut steps = steps.into_iter();
        let Some(first) = steps.next() else { return Ok(()) };
        let later: Vec<Box<RawValue>> = steps.rev().map(|step| step.write()).collect();
        let mut rest = rest.unwrap_or_default();
        rest.extend(later.iter().map(|step| &**step));
        self.apply(first, place, before, Some(rest))
    }

    fn message(
        &self,
        signature: &Signature,
        place: &str,
        before: &[&RawValue],
        rest: Option<&[&RawValue]>,
    ) -> Result<TaskMessage, CanvasError> {
        let Following { parent, now, origin, queue_of, priority_of } = *self.following;
        let options = &signature.options;
        let id = options.read("task_id").unwrap_or_else(|| self.derived(place));
        let before = if signature.immutable { &[][..] } else { before };
        let args =
            Arguments { positional: joined(before, &signature.args)?, named: signature.kwargs.clone() };
        let mut message = TaskMessage::new(id, signature.task.as_str(), args);
        message.queue = destination::address(options).unwrap_or_else(|| queue_of(&signature.task));
        message.priority =
            options.read::<u8>("priority").map(|priority| priority_of(priority.min(MAX_PRIORITY)));
        message.continuation = continuation(options, rest);
        message.form = form(options, parent.form);
        message.eta = countdown_of(options).map(|span| now + span).or_else(|| eta_of(options));
        message.expires =
            span(options, "expires").map(|span| now + span).or_else(|| instant(options.get("expires")?));
        message.retries = options.read("retries").unwrap_or(0);
        message.time_limits =
            TimeLimits { hard: span(options, "time_limit"), soft: span(options, "soft_time_limit") };
        message.parent_id = Some(parent.id.clone());
        message.root_id = Some(parent.root_id.clone().unwrap_or_else(|| parent.id.clone()));
        message.group = options.read("group_id");
        message.group_index = options.read("group_index");
        message.shadow = options.read("shadow");
        message.ignore_result = options.read("ignore_result");
        message.replaced_task_nesting = options.read("replaced_task_nesting").unwrap_or(0);
        message.reply_to = options.read("reply_to");
        message.origin = origin.to_owned();
        message.extra = headers(options);
        message.celeriac = CeleriacHeader {
            generation: parent.celeriac.generation,
            sent_at: Some(now),
            ..CeleriacHeader::default()
        };
        Ok(message)
    }

    /// Derives an id, which is the same for every time that this job ends in this run.
    fn derived(&self, place: &str) -> JobId {
        let parent = self.following.parent;
        JobId::derived(&parent.id, &format!("{}/{place}", parent.celeriac.generation))
    }

    /// Makes the messages of what was given an id and will never be sent, as far as there are any `left`.
    pub(super) fn abandon(&mut self, signature: &RawValue, depth: usize, left: &mut usize) {
        let (Some(depth), Some(rest)) = (depth.checked_sub(1), left.checked_sub(1)) else { return };
        *left = rest;
        let Ok(signature) = Signature::read(signature) else { return };
        match signature.tasks() {
            Ok(Some(tasks)) => tasks.iter().for_each(|task| self.abandon(task, depth, left)),
            Ok(None) if !signature.is("chord") && is_said(signature.options.get("task_id")) => {
                self.messages.extend(self.message(&signature, "abandoned", &[], None));
            }
            _ => {}
        }
    }
}

/// Makes a signature a member of a group, unless it says of which it is one.
fn join(options: &mut Members, group: &str, index: usize) {
    let mut of_the_group = Members::default();
    of_the_group.set("group_id", raw(&serde_json::json!(group).to_string()));
    of_the_group.set("group_index", raw(&index.to_string()));
    options.inherit(&of_the_group, &["group_id", "group_index"]);
}

/// Puts arguments before those that a signature has of its own.
fn joined(before: &[&RawValue], own: &RawValue) -> Result<Box<RawValue>, CanvasError> {
    let parts: Vec<&RawValue> = [before, &list_of(Some(own))?].concat();
    let parts: Vec<&str> = parts.into_iter().map(RawValue::get).collect();
    Ok(raw(&format!("[{}]", parts.join(","))))
}

fn continuation(options: &Members, rest: Option<&[&RawValue]>) -> Continuation {
    let listed = |parts: Vec<&RawValue>| {
        let parts: Vec<&str> = parts.into_iter().map(RawValue::get).collect();
        (!parts.is_empty()).then(|| raw(&format!("[{}]", parts.join(","))))
    };
    let chain = match rest {
        Some(rest) => rest.to_vec(),
        None => list_of(options.get("chain")).unwrap_or_default(),
    };
    Continuation {
        callbacks: listed(list_of(options.get("link")).unwrap_or_default()),
        chain: listed(chain),
        ..Continuation::default()
    }
}

/// Reads in which form a message is to travel: as its signature says, else as the one before it came.
fn form(options: &Members, parent: BodyForm) -> BodyForm {
    let serializer = options.read::<String>("serializer").and_then(|name| Serializer::find(&name));
    let compression = options.read::<String>("compression").and_then(|name| Compression::find(&name));
    BodyForm {
        serializer: serializer.unwrap_or(parent.serializer),
        compression: compression.or(parent.compression),
    }
}

fn span(options: &Members, name: &str) -> Option<Duration> {
    let seconds: f64 = options.read(name)?;
    Duration::try_from_secs_f64(seconds.max(0.0)).ok()
}

pub(super) fn countdown_of(options: &Members) -> Option<Duration> {
    span(options, "countdown")
}

pub(super) fn eta_of(options: &Members) -> Option<Timestamp> {
    instant(options.get("eta")?)
}

/// Reads an instant as text, or as Celery's JSON types it; without an offset it is in UTC.
fn instant(raw: &RawValue) -> Option<Timestamp> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Instant {
        Text(String),
        Typed { __value__: String },
    }
    let (Instant::Text(text) | Instant::Typed { __value__: text }) = serde_json::from_str(raw.get()).ok()?;
    text.parse().ok().or_else(|| format!("{text}+00:00").parse().ok())
}

/// Returns the headers that a signature asks for: its own, and its stamps.
fn headers(options: &Members) -> Vec<(String, Box<RawValue>)> {
    let own: Members = options.read("headers").unwrap_or_default();
    let mut headers: Vec<_> = own.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let names: Vec<String> = options.read("stamped_headers").unwrap_or_default();
    if names.is_empty() {
        return headers;
    }
    let mut stamps = Members::default();
    for name in &names {
        if let Some(value) = options.get(name) {
            stamps.set(name, value.to_owned());
        }
    }
    headers.retain(|(name, _)| name != "stamped_headers" && name != "stamps");
    let listed = serde_json::value::to_raw_value(&names).expect("texts always serialize");
    let stamps = serde_json::value::to_raw_value(&stamps).expect("raw JSON always serializes");
    headers.extend([("stamped_headers".to_owned(), listed), ("stamps".to_owned(), stamps)]);
    headers
}
