//! What became of a task in Celery's words: the JSON that its result backends keep for `AsyncResult`.

use std::borrow::Cow;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

use crate::body;
use crate::{
    BodyForm, Compression, DecodeError, ErrorKind, JobError, JobEvent, JobFacts, JobId, RawValue, Timestamp,
    What,
};

/// A task's state in Celery's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// A worker runs it.
    Started,
    /// It failed and will run again.
    Retry,
    /// It ended well.
    Success,
    /// It failed for good.
    Failure,
    /// It was stopped, or came too late.
    Revoked,
    /// A task's own word for how far it is; `PROGRESS` is the usual one.
    Custom(String),
}

/// The word for how far a task is that most projects use, and ours.
const PROGRESS: &str = "PROGRESS";

impl TaskState {
    /// Returns the word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Started => "STARTED",
            Self::Retry => "RETRY",
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
            Self::Revoked => "REVOKED",
            Self::Custom(word) => word,
        }
    }

    /// Reads the word on the wire; what is none of Celery's is a task's own.
    pub fn from_word(word: &str) -> Self {
        let known = [Self::Started, Self::Retry, Self::Success, Self::Failure, Self::Revoked];
        known
            .into_iter()
            .find(|state| state.as_str() == word)
            .unwrap_or_else(|| Self::Custom(word.to_owned()))
    }

    /// Says whether nothing comes after it.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Success | Self::Failure | Self::Revoked)
    }
}

/// What is written of results, by choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResultStyle {
    /// Whether it says which task it was, with which arguments, where: Celery's `result_extended`.
    pub extended: bool,
    /// Whether it is said that a task has begun: Celery's `task_track_started`.
    pub started: bool,
    /// The number of this process, which Celery tells of a task that has begun.
    pub process: u32,
}

/// What a result backend keeps of one task.
#[derive(Clone, Debug)]
pub struct TaskResult {
    /// The task's id.
    pub id: JobId,
    /// Where it stands.
    pub state: TaskState,
    /// The result; what went wrong, where something did; anything at all in a state of the task's own.
    pub result: Box<RawValue>,
    /// The trace of what went wrong.
    pub traceback: Option<String>,
    /// Tasks that it has sent, as Celery's nested pairs.
    pub children: Box<RawValue>,
    /// When it ended.
    pub done_at: Option<Timestamp>,
    /// The task that sent it.
    pub parent_id: Option<JobId>,
    /// The group that it belongs to.
    pub group: Option<String>,
    /// Which task it was, where that is told.
    pub extended: Option<Extended>,
}

/// Which task it was, with which arguments, where.
#[derive(Clone, Debug)]
pub struct Extended {
    /// The task's name.
    pub name: String,
    /// Positional arguments.
    pub args: Box<RawValue>,
    /// Named arguments.
    pub kwargs: Box<RawValue>,
    /// The worker, where it is known.
    pub worker: Option<String>,
    /// How often it was tried again.
    pub retries: u32,
    /// The queue.
    pub queue: String,
}

/// A result can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// It is not what Celery writes.
    #[error("read result: {0}")]
    Json(#[from] serde_json::Error),
    /// It is in a serializer that is not read, or not what its serializer writes.
    #[error("read result: {0}")]
    Serialized(String),
    /// It is compressed in a way that is not understood, or grows beyond all measure.
    #[error("read result")]
    Compressed(#[source] DecodeError),
}

/// What a compressed result begins with; the media type of the compression and a zero follow.
const COMPRESSED: &[u8] = b"\0celery-compressed\0";

impl TaskResult {
    /// Returns what a backend is to keep after something has happened; `None` where it keeps what it has.
    ///
    /// A job whose result is ignored leaves nothing, its failure included, as in Celery.
    pub fn after(event: &JobEvent, style: ResultStyle) -> Option<Self> {
        if event.job.ignore_result {
            return None;
        }
        let mut worker = None;
        let (state, result, traceback) = match &event.what {
            What::Started { worker: name } if style.started => {
                worker = Some(name.to_string());
                (TaskState::Started, raw(&Begun { pid: style.process, hostname: name }), None)
            }
            What::Progressed { percent, message, partial } => {
                let told = Told { current: *percent, total: 100, message, partial };
                (TaskState::Custom(PROGRESS.to_owned()), raw(&told), None)
            }
            What::Succeeded { result, .. } => (TaskState::Success, result.clone()?, None),
            What::Retried { error, .. } => (TaskState::Retry, exception(&event.job, error), trace(error)),
            What::Failed { .. } if event.is_guess() => return None,
            What::Failed { error, .. } => (TaskState::Failure, exception(&event.job, error), trace(error)),
            What::Cancelled { reason } => {
                let revoked = ("TaskRevokedError", Some("celery.exceptions"), json!([reason]));
                (TaskState::Revoked, written(revoked), None)
            }
            _ => return None,
        };
        let again = json!([[[event.job.id, null_of()], null_of()]]);
        Some(Self {
            id: event.job.id.clone(),
            children: raw(&if state == TaskState::Retry { again } else { json!([]) }),
            done_at: state.is_final().then_some(event.at),
            parent_id: event.job.parent_id.clone(),
            group: event.job.group.clone(),
            extended: style.extended.then(|| extended(event, worker)),
            state,
            result,
            traceback,
        })
    }

    /// Says which tasks it has sent.
    pub fn set_children(&mut self, children: &[&JobId]) {
        let tuples: Vec<_> = children.iter().map(|id| ((id, null_of()), null_of())).collect();
        self.children = raw(&tuples);
    }

    /// Writes it as Celery does, the state first.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("texts and raw JSON always serialize")
    }

    /// Writes it in another form, under Celery's settings `result_serializer` and `result_compression`.
    ///
    /// As with Celery, a result that the serializer has no word for is the failure to write it.
    pub fn encode_as(&self, form: BodyForm) -> Vec<u8> {
        let written = body::write(form, self.encode()).unwrap_or_else(|error| {
            let said = ("EncodeError", Some("kombu.exceptions"), json!([error.to_string()]));
            let (state, result) = (TaskState::Failure, written(said));
            let failure = Self { state, result, extended: None, children: raw(&json!([])), ..self.clone() };
            body::write(form, failure.encode()).expect("every serializer has words for this")
        });
        marked(written, form)
    }

    /// Writes one part alone, as the tables of Celery's database backend hold each. What the serializer has no word
    /// for is JSON there.
    pub fn encode_part(part: &RawValue, form: BodyForm) -> Vec<u8> {
        match body::write(form, part.get().to_owned()) {
            Ok(written) => marked(written, form),
            Err(_) => part.get().as_bytes().to_vec(),
        }
    }

    /// Reads one part alone, which `serializer` has written.
    ///
    /// # Errors
    /// It is not what Celery writes; before 5.7 that is a pickle, which is never read.
    pub fn decode_part(bytes: &[u8], serializer: crate::Serializer) -> Result<Box<RawValue>, ResultError> {
        let expanded = expand(bytes)?;
        let json = body::read_as(serializer, &expanded).map_err(ResultError::Serialized)?;
        Ok(serde_json::from_slice(&json)?)
    }

    /// Reads what anybody has written of the task `id`, in whichever serializer and compression.
    ///
    /// # Errors
    /// It is not what Celery writes.
    pub fn decode(id: &JobId, bytes: &[u8]) -> Result<Self, ResultError> {
        let expanded = expand(bytes)?;
        let json = body::read_object(&expanded).map_err(ResultError::Serialized)?;
        let read: Read = serde_json::from_slice(&json)?;
        let nothing = || raw(&());
        let extended = read.name.map(|name| Extended {
            name,
            args: read.args.unwrap_or_else(|| raw(&json!([]))),
            kwargs: read.kwargs.unwrap_or_else(|| raw(&json!({}))),
            worker: read.worker,
            retries: read.retries.unwrap_or(0),
            queue: read.queue.unwrap_or_default(),
        });
        Ok(Self {
            id: id.clone(),
            state: TaskState::from_word(&read.status),
            result: read.result.unwrap_or_else(nothing),
            traceback: read.traceback,
            children: read.children.unwrap_or_else(nothing),
            done_at: read.date_done.as_deref().and_then(instant),
            parent_id: read.parent_id.and_then(|id| JobId::parse(&id).ok()),
            group: read.group_id,
            extended,
        })
    }

    /// Returns what has happened to the job by what is kept here; `None` where that tells nothing new.
    ///
    /// A retry is told of nowhere but here, so when it is due is not known: it is taken to be `now`.
    pub fn happened(&self, now: Timestamp) -> Option<What> {
        Some(match &self.state {
            TaskState::Success => What::Succeeded { result: Some(self.result.clone()), runtime_micros: None },
            TaskState::Failure => What::Failed { error: self.error(), dead_lettered: false },
            TaskState::Revoked => What::Cancelled { reason: self.error().message },
            TaskState::Retry => What::Retried { error: self.error(), retry_at: now },
            TaskState::Started => What::Started { worker: self.hostname()?.into() },
            TaskState::Custom(word) => self.progress(word),
        })
    }

    fn error(&self) -> JobError {
        let told: Exception = serde_json::from_str(self.result.get()).unwrap_or_default();
        let type_name = match told.exc_module.as_deref() {
            None | Some("builtins") => told.exc_type,
            Some(module) => format!("{module}.{}", told.exc_type),
        };
        let kind = match type_name.rsplit('.').next().unwrap_or_default() {
            "SoftTimeLimitExceeded" | "TimeLimitExceeded" => ErrorKind::TimeLimit,
            "WorkerLostError" => ErrorKind::WorkerLost,
            "NotRegistered" => ErrorKind::UnknownTask,
            _ => ErrorKind::Error,
        };
        let said = words_of(&told.exc_message);
        let message = if said.is_empty() { type_name.clone() } else { said };
        let error = JobError::new(kind, message).with_traceback(self.traceback.clone().unwrap_or_default());
        if type_name.is_empty() { error } else { error.with_type(type_name) }
    }

    fn hostname(&self) -> Option<String> {
        let told: serde_json::Value = serde_json::from_str(self.result.get()).ok()?;
        Some(told.get("hostname")?.as_str()?.to_owned())
    }

    /// Reads how far a task is from what most tasks put there.
    fn progress(&self, word: &str) -> What {
        let told: serde_json::Value = serde_json::from_str(self.result.get()).unwrap_or_default();
        let number = |name: &str| told.get(name).and_then(serde_json::Value::as_f64);
        let share = number("current").zip(number("total").filter(|total| *total > 0.0));
        let percent = share.map(|(current, total)| current / total * 100.0);
        let percent = percent.or_else(|| number("percent")).or_else(|| number("progress")).unwrap_or(0.0);
        let text = |name: &str| told.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
        let message = text("message").or_else(|| text("status")).or_else(|| text("description"));
        What::Progressed {
            percent: percent.clamp(0.0, 100.0) as u8,
            message: message.or_else(|| (word != PROGRESS).then(|| word.to_owned())),
            partial: (!told.is_null()).then(|| self.result.clone()),
        }
    }
}

/// Marks what was written with its compression, where it has one.
fn marked(written: Vec<u8>, form: BodyForm) -> Vec<u8> {
    match form.compression {
        Some(compression) => [COMPRESSED, compression.content_type().as_bytes(), b"\0", &written].concat(),
        None => written,
    }
}

/// Undoes the compression of a result, where it has one.
fn expand(bytes: &[u8]) -> Result<Cow<'_, [u8]>, ResultError> {
    let Some(rest) = bytes.strip_prefix(COMPRESSED) else { return Ok(Cow::Borrowed(bytes)) };
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    let name = String::from_utf8_lossy(&rest[..end]);
    let compression = Compression::find(&name).ok_or_else(|| DecodeError::Compression(name.into_owned()));
    let expanded =
        compression.and_then(|compression| compression.expand(rest.get(end + 1..).unwrap_or_default()));
    expanded.map(Cow::Owned).map_err(ResultError::Compressed)
}

/// Reads an instant; Celery before 5.5 wrote UTC without saying so.
fn instant(text: &str) -> Option<Timestamp> {
    text.parse().or_else(|_| format!("{text}+00:00").parse()).ok()
}

/// Who runs a task.
#[derive(Serialize)]
struct Begun<'b> {
    pid: u32,
    hostname: &'b str,
}

/// How far a task is, in the words of Celery's own examples.
#[derive(Serialize)]
struct Told<'t> {
    current: u8,
    total: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: &'t Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: &'t Option<Box<RawValue>>,
}

/// What went wrong, as Celery writes it.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Exception {
    exc_type: String,
    exc_message: serde_json::Value,
    exc_module: Option<String>,
}

/// The fields as they are read: none but the first is missed where it is not there.
#[derive(Deserialize)]
struct Read {
    status: String,
    #[serde(default)]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    traceback: Option<String>,
    #[serde(default)]
    children: Option<Box<RawValue>>,
    #[serde(default)]
    date_done: Option<String>,
    #[serde(default)]
    group_id: Option<String>,
    #[serde(default)]
    parent_id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    args: Option<Box<RawValue>>,
    #[serde(default)]
    kwargs: Option<Box<RawValue>>,
    #[serde(default)]
    worker: Option<String>,
    #[serde(default)]
    retries: Option<u32>,
    #[serde(default)]
    queue: Option<String>,
}

impl Serialize for TaskResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("status", self.state.as_str())?;
        map.serialize_entry("result", &self.result)?;
        map.serialize_entry("traceback", &self.traceback)?;
        map.serialize_entry("children", &self.children)?;
        map.serialize_entry("date_done", &self.done_at.map(|at| at.to_string()))?;
        if let Some(group) = &self.group {
            map.serialize_entry("group_id", group)?;
        }
        if let Some(parent) = &self.parent_id {
            map.serialize_entry("parent_id", parent)?;
        }
        if let Some(extended) = &self.extended {
            map.serialize_entry("name", &extended.name)?;
            map.serialize_entry("args", &extended.args)?;
            map.serialize_entry("kwargs", &extended.kwargs)?;
            map.serialize_entry("worker", &extended.worker)?;
            map.serialize_entry("retries", &extended.retries)?;
            map.serialize_entry("queue", &extended.queue)?;
        }
        map.serialize_entry("task_id", &self.id)?;
        map.end()
    }
}

fn extended(event: &JobEvent, worker: Option<String>) -> Extended {
    Extended {
        name: event.job.task.clone(),
        args: event.job.args.clone(),
        kwargs: event.job.kwargs.clone(),
        worker,
        retries: event.attempt.saturating_sub(1),
        queue: event.job.queue.clone(),
    }
}

/// Writes a failure as the exception that Python knows for it, else under the name of its own type.
fn exception(job: &JobFacts, error: &JobError) -> Box<RawValue> {
    let said = json!([error.message]);
    let name = error.type_name.as_deref().unwrap_or_default();
    written(match error.kind {
        ErrorKind::TimeLimit if name.starts_with("Soft") => {
            ("SoftTimeLimitExceeded", Some("billiard.exceptions"), said)
        }
        ErrorKind::TimeLimit => ("TimeLimitExceeded", Some("billiard.exceptions"), said),
        ErrorKind::WorkerLost => ("WorkerLostError", Some("billiard.exceptions"), said),
        ErrorKind::UnknownTask => {
            // The rest of a chain is told of the step that failed, which the text names.
            let unknown = error.message.split('"').nth(1).unwrap_or(&job.task);
            ("NotRegistered", Some("celery.exceptions"), json!([unknown]))
        }
        ErrorKind::InvalidArguments => ("TypeError", Some("builtins"), said),
        ErrorKind::Undecodable | ErrorKind::Unsupported => ("DecodeError", Some("kombu.exceptions"), said),
        ErrorKind::Panic => ("Panic", None, said),
        ErrorKind::Error => (python_name(name), None, said),
    })
}

/// Writes an exception. Python makes a class of the name where it is told no module.
fn written((exc_type, exc_module, exc_message): (&str, Option<&str>, serde_json::Value)) -> Box<RawValue> {
    let (exc_type, exc_module) = (exc_type.to_owned(), exc_module.map(str::to_owned));
    raw(&Exception { exc_type, exc_message, exc_module })
}

/// Returns the last part of a type's path, where it is a name in Python, too.
fn python_name(path: &str) -> &str {
    let last = path.split('<').next().unwrap_or_default().rsplit("::").next().unwrap_or_default();
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if is_name(last) { last } else { "TaskError" }
}

fn trace(error: &JobError) -> Option<String> {
    (!error.traceback.is_empty()).then(|| error.traceback.clone())
}

/// Writes what an exception was made with as its text would show it.
fn words_of(message: &serde_json::Value) -> String {
    match message {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) => items.iter().map(words_of).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

const fn null_of() -> Option<()> {
    None
}

fn raw<T: Serialize + ?Sized>(value: &T) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("texts, numbers and raw JSON always serialize")
}

#[cfg(test)]
mod tests;
