//! A task plus arguments, not yet sent.

use std::marker::PhantomData;
use std::time::Duration;

use celeriac_protocol::{
    Arguments, BodyForm, CeleriacHeader, Clock, Compression, JobError, JobId, MAX_PRIORITY, RawValue,
    RecordLevel, Serializer, TaskMessage, TimeLimits, Timestamp,
};
use serde::Serialize;

use crate::{EnqueueError, RegisteredTask, Sending, Task};

/// A task plus arguments, not yet sent. What is asked for here wins over the task's own options.
#[derive(Clone, Debug)]
#[must_use = "a signature does nothing until it is enqueued"]
pub struct Signature<T> {
    call: Call,
    task: PhantomData<fn() -> T>,
}

/// A [`Signature`] without its type: a task asked for by name, as clients of other languages do.
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is enqueued"]
pub struct Call {
    task: String,
    args: Result<Arguments, JobError>,
    options: CallOptions,
}

/// What a caller may ask for besides the arguments.
#[derive(Clone, Debug, Default)]
struct CallOptions {
    id: Option<JobId>,
    queue: Option<String>,
    priority: Option<u8>,
    serializer: Option<Serializer>,
    compression: Option<Compression>,
    countdown: Option<Duration>,
    eta: Option<Timestamp>,
    expires: Option<Expiry>,
    unique_key: Option<String>,
    max_retries: Option<u32>,
    soft_limit: Option<Duration>,
    hard_limit: Option<Duration>,
    job_type: Option<String>,
    record: RecordLevel,
    default_retries: Option<u32>,
    parent: Option<(JobId, JobId)>,
    headers: Vec<(String, Box<RawValue>)>,
    schedule: Option<(String, Timestamp)>,
}

#[derive(Clone, Copy, Debug)]
enum Expiry {
    At(Timestamp),
    After(Duration),
}

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident: $type:ty => |$options:ident, $value:ident| $set:expr;)*) => {
        impl Call {
            $($(#[$doc])* pub fn $name(mut self, $value: $type) -> Self {
                let $options = &mut self.options;
                $set;
                self
            })*
        }

        impl<T> Signature<T> {
            $($(#[$doc])* pub fn $name(mut self, $value: $type) -> Self {
                self.call = self.call.$name($value);
                self
            })*
        }
    };
}

options! {
    /// Gives the job its id instead of a fresh one. Enqueueing an id twice queues it once; one
    /// whose job has ended runs again, and the record then tells of the new run.
    id: JobId => |options, id| options.id = Some(id);
    /// Sends it to this queue.
    queue: impl Into<String> => |options, queue| options.queue = Some(queue.into());
    /// Sets its priority, 0 to 9, higher first.
    priority: u8 => |options, priority| options.priority = Some(priority);
    /// Writes it in this serializer.
    serializer: Serializer => |options, serializer| options.serializer = Some(serializer);
    /// Makes its body smaller by this.
    compression: Compression => |options, compression| options.compression = Some(compression);
    /// Holds it back for this long.
    countdown: Duration => |options, countdown| options.countdown = Some(countdown);
    /// Holds it back until this instant.
    eta: Timestamp => |options, eta| options.eta = Some(eta);
    /// Cancels it if it has not begun by this instant.
    expires_at: Timestamp => |options, at| options.expires = Some(Expiry::At(at));
    /// Cancels it if it has not begun this long after it was enqueued.
    expires_in: Duration => |options, after| options.expires = Some(Expiry::After(after));
    /// Enqueues nothing while a job with this key waits or runs; the handle is then that job's.
    unique: impl Into<String> => |options, key| options.unique_key = Some(key.into());
    /// Allows this many retries, whatever the task says.
    max_retries: u32 => |options, retries| options.max_retries = Some(retries);
    /// Tells the task to stop after this long, whatever the task says.
    soft_limit: Duration => |options, limit| options.soft_limit = Some(limit);
    /// Ends the attempt after this long, whatever the task says.
    hard_limit: Duration => |options, limit| options.hard_limit = Some(limit);
    /// Lists it under this label.
    job_type: impl Into<String> => |options, label| options.job_type = Some(label.into());
    /// Has its message carry these headers besides Celery's own, whose names are not for it.
    headers: Vec<(String, Box<RawValue>)> => |options, headers| options.headers = headers;
}

impl<T: Task> Signature<T> {
    /// Joins a task with its arguments.
    pub fn new(args: &T::Args) -> Self {
        let options = T::options();
        let call = Call {
            task: T::NAME.to_owned(),
            args: Arguments::from_named(args),
            options: CallOptions::default(),
        };
        let call = Call { options: call.options.with_defaults(T::NAME, &options), ..call };
        Self { call, task: PhantomData }
    }

    /// Names the job that causes this one, and the first of that chain.
    pub fn caused_by(mut self, parent: JobId, root: JobId) -> Self {
        self.call.options.parent = Some((parent, root));
        self
    }

    /// Forgets the type.
    pub fn into_call(self) -> Call {
        self.call
    }
}

impl Call {
    /// Asks for a task by name.
    pub fn new(task: impl Into<String>, args: Arguments) -> Self {
        Self { task: task.into(), args: Ok(args), options: CallOptions::default() }
    }

    /// Asks for a task by name, with named arguments from anything that serializes as an object.
    pub fn with_kwargs<A: Serialize + ?Sized>(task: impl Into<String>, kwargs: &A) -> Self {
        Self { task: task.into(), args: Arguments::from_named(kwargs), options: CallOptions::default() }
    }

    /// Takes over what the task's own options say, where the caller has not said anything.
    pub fn for_task(mut self, task: &RegisteredTask) -> Self {
        self.options = self.options.with_defaults(task.name, &task.options);
        self
    }

    /// Has its message say which entry of the schedule it comes from, and when that was due.
    pub fn scheduled(mut self, entry: impl Into<String>, due_at: Timestamp) -> Self {
        self.options.schedule = Some((entry.into(), due_at));
        self
    }

    /// Returns the task's name.
    pub fn task(&self) -> &str {
        &self.task
    }

    /// Checks that the arguments fit `task`.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self, task: &RegisteredTask) -> Result<(), EnqueueError> {
        let fail = |source| EnqueueError::Arguments { task: self.task.clone(), source };
        task.check(self.args.as_ref().map_err(|e| fail(e.clone()))?).map_err(fail)
    }

    /// Makes the message. `record` says how much of the job is recorded, as the task wants it.
    pub(crate) fn into_message(
        self,
        clock: &dyn Clock,
        origin: &str,
        sending: &Sending,
    ) -> Result<Prepared, EnqueueError> {
        let Self { task, args, options } = self;
        let args = match args {
            Ok(args) => args,
            Err(source) => return Err(EnqueueError::Arguments { task, source }),
        };
        if let Some(reason) = options.fault() {
            return Err(EnqueueError::Option { task, reason });
        }
        let now = clock.now();
        let names_itself = options.id.is_some();
        let id = options.id.unwrap_or_else(|| JobId::fresh(now));
        let mut message = TaskMessage::new(id, task, args);
        message.queue = options.queue.unwrap_or_else(|| sending.queue_of(&message.task).to_owned());
        message.priority = options.priority;
        message.form = BodyForm {
            serializer: options.serializer.unwrap_or(sending.form.serializer),
            compression: options.compression.or(sending.form.compression),
        };
        message.eta = options.eta.or_else(|| options.countdown.map(|wait| now + wait));
        message.expires = options.expires.map(|expiry| match expiry {
            Expiry::At(at) => at,
            Expiry::After(after) => now + after,
        });
        message.unique_key = options.unique_key;
        message.time_limits = TimeLimits { hard: options.hard_limit, soft: options.soft_limit };
        message.origin = origin.to_owned();
        message.reply_to.clone_from(&sending.reply_to);
        (message.parent_id, message.root_id) =
            options.parent.map_or((None, None), |(p, r)| (Some(p), Some(r)));
        message.extra = options.headers;
        let (schedule, due_at) = options.schedule.unzip();
        message.celeriac = CeleriacHeader {
            job_type: options.job_type,
            max_retries: options.max_retries,
            sent_at: Some(now),
            schedule,
            due_at,
            ..CeleriacHeader::default()
        };
        let job_type = message.celeriac.job_type.clone().unwrap_or_else(|| message.task.clone());
        let facts = message.facts(&job_type, options.default_retries, options.record);
        Ok(Prepared { message, facts, enqueued_at: now, names_itself })
    }
}

/// A message ready to be published, and what is recorded of it.
pub(crate) struct Prepared {
    pub(crate) message: TaskMessage,
    pub(crate) facts: celeriac_protocol::JobFacts,
    pub(crate) enqueued_at: Timestamp,
    /// Whether the caller chose its id, so that a job of this id may have been before.
    pub(crate) names_itself: bool,
}

impl Prepared {
    /// Makes it the run after one that was recorded at `generation`.
    pub(crate) fn follow(&mut self, generation: u32) {
        self.message.celeriac.generation = generation.saturating_add(1);
        self.facts.generation = self.message.celeriac.generation;
    }
}

impl CallOptions {
    /// The longest name of a queue in bytes, as in AMQP.
    const MAX_QUEUE_BYTES: usize = 255;

    fn with_defaults(mut self, name: &'static str, task: &crate::TaskOptions) -> Self {
        self.queue = self.queue.or_else(|| task.queue.map(str::to_owned));
        self.priority = self.priority.or(task.priority);
        self.serializer = self.serializer.or(task.serializer);
        self.compression = self.compression.or(task.compression);
        let label = task.job_type.filter(|label| *label != name);
        self.job_type = self.job_type.or_else(|| label.map(str::to_owned));
        self.record = task.record;
        self.default_retries = task.retry.max_retries;
        self
    }

    fn fault(&self) -> Option<String> {
        if let Some(priority) = self.priority.filter(|p| *p > MAX_PRIORITY) {
            return Some(format!("priority {priority} is above {MAX_PRIORITY}"));
        }
        match &self.queue {
            Some(queue) if queue.is_empty() => Some("the queue's name is empty".to_owned()),
            Some(queue) if queue.len() > Self::MAX_QUEUE_BYTES => Some(format!(
                "the queue's name has {} bytes, {} are allowed",
                queue.len(),
                Self::MAX_QUEUE_BYTES
            )),
            _ => None,
        }
    }
}
