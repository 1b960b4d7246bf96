//! One request to run a task, as sender and worker understand it.

use std::time::Duration;

use serde::Serialize;

use crate::{
    BodyForm, DEFAULT_QUEUE, ErrorKind, JobError, JobFacts, JobId, RawValue, RecordLevel, ReplyTo, Timestamp,
};

/// One request to run a task: Celery's message of protocol 2, decoded.
///
/// [`TaskMessage::encode`](crate::TaskMessage::encode) and
/// [`TaskMessage::decode`](crate::TaskMessage::decode) turn it into what travels and back. What it
/// does not understand it keeps, so that a message that passes through is not made poorer.
#[derive(Clone, Debug)]
pub struct TaskMessage {
    /// The job.
    pub id: JobId,
    /// The task's name or one of its aliases.
    pub task: String,
    /// The queue it goes to or came from.
    pub queue: String,
    /// 0 to 9, higher first; `None` was not said.
    pub priority: Option<u8>,
    /// The arguments.
    pub args: Arguments,
    /// What is to follow it.
    pub continuation: Continuation,
    /// How it came or is to travel: in which serializer, and compressed how. A retry goes out as its
    /// message came in, since whoever else takes from the queue may read nothing else.
    pub form: BodyForm,
    /// Not to run before.
    pub eta: Option<Timestamp>,
    /// Not to run after.
    pub expires: Option<Timestamp>,
    /// Retries used so far.
    pub retries: u32,
    /// Limits that the sender asked for.
    pub time_limits: TimeLimits,
    /// The first job of the chain of causes; the job itself where nobody caused it.
    pub root_id: Option<JobId>,
    /// The job that enqueued this one.
    pub parent_id: Option<JobId>,
    /// The group it belongs to.
    pub group: Option<String>,
    /// Its place in that group.
    pub group_index: Option<i64>,
    /// A name to show in place of the task's.
    pub shadow: Option<String>,
    /// Whether the result is thrown away; `None` leaves it to the task.
    pub ignore_result: Option<bool>,
    /// Who sent it, `gen<pid>@<host>`.
    pub origin: String,
    /// How often the task has replaced itself.
    pub replaced_task_nesting: u32,
    /// Where an rpc client waits for the result.
    pub reply_to: Option<String>,
    /// The sender's other properties, in the order they came; none in a message of our own.
    pub properties: Vec<(String, Box<RawValue>)>,
    /// At most one message with this key waits or runs at a time.
    pub unique_key: Option<String>,
    /// What Celery's message has no place for.
    pub celeriac: CeleriacHeader,
    /// Headers that are not understood here, in the order they came.
    pub extra: Vec<(String, Box<RawValue>)>,
}

impl TaskMessage {
    /// Makes a message for the default queue with nothing asked for but the task itself.
    pub fn new(id: JobId, task: impl Into<String>, args: Arguments) -> Self {
        Self {
            id,
            task: task.into(),
            queue: DEFAULT_QUEUE.to_owned(),
            priority: None,
            args,
            continuation: Continuation::default(),
            form: BodyForm::default(),
            eta: None,
            expires: None,
            retries: 0,
            time_limits: TimeLimits::default(),
            root_id: None,
            parent_id: None,
            group: None,
            group_index: None,
            shadow: None,
            ignore_result: None,
            origin: String::new(),
            replaced_task_nesting: 0,
            reply_to: None,
            properties: Vec::new(),
            unique_key: None,
            celeriac: CeleriacHeader::default(),
            extra: Vec::new(),
        }
    }

    /// Returns what events tell of the job; `job_type` and `record` come from the task.
    pub fn facts(&self, job_type: &str, max_retries: Option<u32>, record: RecordLevel) -> JobFacts {
        JobFacts {
            id: self.id.clone(),
            task: self.task.clone(),
            job_type: self.celeriac.job_type.clone().unwrap_or_else(|| job_type.to_owned()),
            queue: self.queue.clone(),
            priority: self.priority,
            args: self.args.positional.clone(),
            kwargs: self.args.named.clone(),
            root_id: self.root_id.clone(),
            parent_id: self.parent_id.clone(),
            group: self.group.clone(),
            schedule: self.celeriac.schedule.clone(),
            schedule_due_at: self.celeriac.due_at,
            ignore_result: self.ignore_result.unwrap_or(false),
            reply_to: self.reply_address(),
            created_at: self.celeriac.sent_at,
            eta: self.eta,
            expires: self.expires,
            max_retries: self.celeriac.max_retries.or(max_retries),
            generation: self.celeriac.generation,
            record,
        }
    }

    /// Returns where the sender waits for word of it, where he does.
    fn reply_address(&self) -> Option<ReplyTo> {
        let queue = self.reply_to.clone().filter(|queue| !queue.is_empty())?;
        let told = self.properties.iter().find(|(name, _)| name == "correlation_id");
        let correlation = told.and_then(|(_, raw)| serde_json::from_str::<String>(raw.get()).ok());
        Some(ReplyTo { queue, correlation: correlation.filter(|told| *told != self.id.as_str()) })
    }
}

/// Arguments as Celery sends them, still JSON: an array of positional ones and an object of named ones.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// A JSON array.
    pub positional: Box<RawValue>,
    /// A JSON object.
    pub named: Box<RawValue>,
}

impl Default for Arguments {
    fn default() -> Self {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).expect("both literals are JSON");
        Self { positional: raw("[]"), named: raw("{}") }
    }
}

impl Arguments {
    /// Takes named arguments from anything that serializes as a JSON object.
    ///
    /// # Errors
    /// A value that is no object, or that can't be written as JSON.
    pub fn from_named<T: Serialize + ?Sized>(value: &T) -> Result<Self, JobError> {
        let named = raw(value)?;
        if !named.get().starts_with('{') {
            return Err(JobError::new(ErrorKind::InvalidArguments, "named arguments are no JSON object"));
        }
        Ok(Self { named, ..Self::default() })
    }

    /// Takes positional arguments from anything that serializes as a JSON array, such as a tuple.
    ///
    /// # Errors
    /// A value that is no array, or that can't be written as JSON.
    pub fn from_positional<T: Serialize + ?Sized>(value: &T) -> Result<Self, JobError> {
        let positional = raw(value)?;
        if !positional.get().starts_with('[') {
            return Err(JobError::new(ErrorKind::InvalidArguments, "positional arguments are no JSON array"));
        }
        Ok(Self { positional, ..Self::default() })
    }
}

fn raw<T: Serialize + ?Sized>(value: &T) -> Result<Box<RawValue>, JobError> {
    serde_json::value::to_raw_value(value).map_err(|e| {
        JobError::new(ErrorKind::InvalidArguments, format!("arguments can't be written as JSON: {e}"))
    })
}

/// What is to follow a job: the `embed` part of Celery's body, each part unread.
#[derive(Clone, Debug, Default)]
pub struct Continuation {
    /// Signatures to apply to the result (`link`).
    pub callbacks: Option<Box<RawValue>>,
    /// Signatures to call on failure (`link_error`).
    pub errbacks: Option<Box<RawValue>>,
    /// The rest of a chain, last first.
    pub chain: Option<Box<RawValue>>,
    /// The body of the chord that this job is a part of.
    pub chord: Option<Box<RawValue>>,
    /// Parts that are not understood here, in the order they came.
    pub extra: Vec<(String, Box<RawValue>)>,
}

impl Continuation {
    /// Names the parts that ask for something; empty where nothing follows.
    pub fn parts(&self) -> Vec<&'static str> {
        let asks = |part: &Option<Box<RawValue>>| {
            part.as_ref().is_some_and(|raw| !matches!(raw.get(), "null" | "[]"))
        };
        [
            ("callbacks", &self.callbacks),
            ("errbacks", &self.errbacks),
            ("chain", &self.chain),
            ("chord", &self.chord),
        ]
        .into_iter()
        .filter(|(_, part)| asks(part))
        .map(|(name, _)| name)
        .collect()
    }
}

/// Limits on one attempt; on the wire a pair of seconds, hard first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeLimits {
    /// After it the attempt is ended whatever it is doing, where that is possible, and the job fails.
    pub hard: Option<Duration>,
    /// After it the task is told to stop.
    pub soft: Option<Duration>,
}

/// The one header of our own, `celeriac: {"v": 1, ...}`. Fields that a newer version wrote are kept.
#[derive(Clone, Debug)]
pub struct CeleriacHeader {
    /// The header's version.
    pub v: u32,
    /// A label for the job in place of the task's.
    pub job_type: Option<String>,
    /// Retries allowed for this job in place of the task's.
    pub max_retries: Option<u32>,
    /// Raised each time a finished job is revived, or its id is enqueued again.
    pub generation: u32,
    /// When the message was made, in microseconds.
    pub sent_at: Option<Timestamp>,
    /// How often earlier messages of this very job were handed out: one that is acknowledged before
    /// it runs goes back into the queue as a new message, of which the transport counts from 0.
    pub past_deliveries: u32,
    /// How many attempts were charged to them.
    pub past_attempts: u32,
    /// The entry of the schedule that it comes from.
    pub schedule: Option<String>,
    /// When that was due, in microseconds.
    pub due_at: Option<Timestamp>,
    /// When it was handed on again because nobody could know whether its queue had it, in microseconds: there may be
    /// another message of the same run.
    pub again_at: Option<Timestamp>,
    /// What a newer version wrote, in the order it came.
    pub extra: Vec<(String, Box<RawValue>)>,
}

impl Default for CeleriacHeader {
    fn default() -> Self {
        Self {
            v: 1,
            job_type: None,
            max_retries: None,
            generation: 0,
            sent_at: None,
            past_deliveries: 0,
            past_attempts: 0,
            schedule: None,
            due_at: None,
            again_at: None,
            extra: Vec::new(),
        }
    }
}

impl CeleriacHeader {
    /// Returns the job's numbers of delivery and attempt from those that the transport counts.
    pub fn counted(&self, delivery: u32, attempt: u32) -> (u32, u32) {
        (self.past_deliveries.saturating_add(delivery), self.past_attempts.saturating_add(attempt))
    }
}
