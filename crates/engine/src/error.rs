//! Errors of a task's body, and of asking for a job.

use std::any::type_name;
use std::time::Duration;

use celeriac_broker::BrokerError;
use celeriac_db::DbError;
use celeriac_protocol::{ErrorKind, IdError, JobError, RunError};

use crate::RecordError;

mod trace;

/// What a task's body may fail with. Any error converts into it and asks for a retry; the other
/// wishes are said by name.
///
/// ```
/// use celeriac_engine::TaskError;
/// # use std::time::Duration;
/// fn body(code: u16) -> Result<(), TaskError> {
///     let _: u32 = "12".parse()?; // Any error: retried while the policy allows.
///     match code {
///         404 => Err(TaskError::discard("no such account")), // For good.
///         429 => Err(TaskError::retry_in(Duration::from_secs(60), "told to slow down")),
///         503 => Err(TaskError::snooze(Duration::from_secs(5))), // Uncharged.
///         _ => Ok(()),
///     }
/// }
/// # assert!(body(404).is_err());
/// ```
#[derive(Debug)]
pub struct TaskError {
    wish: Wish,
    error: anyhow::Error,
    type_name: Option<&'static str>,
}

#[derive(Clone, Copy, Debug)]
enum Wish {
    Retry,
    RetryIn(Duration),
    Discard,
    Cancel,
    Snooze(Duration),
}

impl<E: Into<anyhow::Error>> From<E> for TaskError {
    fn from(error: E) -> Self {
        Self { wish: Wish::Retry, error: error.into(), type_name: Some(type_name::<E>()) }
    }
}

impl TaskError {
    /// Fails and asks to be retried after `delay`, charged against `max_retries`.
    pub fn retry_in(delay: Duration, error: impl IntoTaskFailure) -> Self {
        Self::with(Wish::RetryIn(delay), error)
    }

    /// Fails for good, whatever the retry policy says.
    pub fn discard(error: impl IntoTaskFailure) -> Self {
        Self::with(Wish::Discard, error)
    }

    /// Ends the job as cancelled.
    pub fn cancel(reason: impl IntoTaskFailure) -> Self {
        Self::with(Wish::Cancel, reason)
    }

    /// Asks to be run again after `delay`; no attempt is charged.
    pub fn snooze(delay: Duration) -> Self {
        Self::with(Wish::Snooze(delay), "not ready yet")
    }

    fn with(wish: Wish, error: impl IntoTaskFailure) -> Self {
        let (error, type_name) = error.into_failure();
        Self { wish, error, type_name }
    }

    /// Turns into what the judge reads. `retryable` is the task's `retry_on`: it is asked only
    /// where the error did not say by itself what it wants.
    pub(crate) fn into_run_error(self, retryable: fn(&anyhow::Error) -> bool) -> RunError {
        let error = describe(&self.error, self.type_name);
        match self.wish {
            Wish::Retry if retryable(&self.error) => RunError::Retry(error),
            Wish::Retry | Wish::Discard => RunError::Discard(error),
            Wish::RetryIn(delay) => RunError::RetryIn(error, delay),
            Wish::Cancel => RunError::Cancel(error.message),
            Wish::Snooze(delay) => RunError::Snooze(delay),
        }
    }
}

/// Joins the chain of causes into one line, and keeps the chain line by line as the trace; below it, where
/// `RUST_BACKTRACE` asks for one, the frames of the task's own code.
fn describe(error: &anyhow::Error, type_name: Option<&'static str>) -> JobError {
    let mut traceback: Vec<String> = error.chain().map(ToString::to_string).collect();
    let trace = error.backtrace();
    if trace.status() == std::backtrace::BacktraceStatus::Captured {
        traceback.push(trace::of(trace));
    }
    let described =
        JobError::new(ErrorKind::Error, format!("{error:#}")).with_traceback(traceback.join("\n"));
    match type_name {
        Some(name) => described.with_type(name),
        None => described,
    }
}

/// A failure given by words or by an error.
pub trait IntoTaskFailure {
    /// Gives the error, and the name of its type where it has one.
    fn into_failure(self) -> (anyhow::Error, Option<&'static str>);
}

impl IntoTaskFailure for &'static str {
    fn into_failure(self) -> (anyhow::Error, Option<&'static str>) {
        (anyhow::Error::msg(self), None)
    }
}

impl IntoTaskFailure for String {
    fn into_failure(self) -> (anyhow::Error, Option<&'static str>) {
        (anyhow::Error::msg(self), None)
    }
}

impl IntoTaskFailure for anyhow::Error {
    fn into_failure(self) -> (anyhow::Error, Option<&'static str>) {
        (self, None)
    }
}

/// A job could not be asked for.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// The arguments can't be written as JSON or don't fit the task.
    #[error("enqueue task \"{task}\": {source}")]
    Arguments {
        /// The task.
        task: String,
        /// What is wrong.
        #[source]
        source: JobError,
    },
    /// The given id can't be used.
    #[error("enqueue task \"{task}\"")]
    Id {
        /// The task.
        task: String,
        /// What is wrong.
        #[source]
        source: IdError,
    },
    /// An option has a value that it can't have.
    #[error("enqueue task \"{task}\": {reason}")]
    Option {
        /// The task.
        task: String,
        /// What is wrong.
        reason: String,
    },
    /// The transport did not take it.
    #[error("publish message")]
    Broker(#[from] BrokerError),
    /// The record could not be written.
    #[error("record job")]
    Record(#[from] RecordError),
    /// The database did not take it.
    #[error("enqueue in the database")]
    Database(#[from] DbError),
    /// The transport keeps no queue in the caller's database.
    #[error("enqueue in a transaction: the {0} transport has no queue in this database")]
    NotTransactional(&'static str),
}

impl EnqueueError {
    /// Says whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Broker(e) => e.is_retryable(),
            Self::Record(e) => e.is_retryable(),
            Self::Database(e) => e.is_retryable(),
            Self::Arguments { .. } | Self::Id { .. } | Self::Option { .. } | Self::NotTransactional(_) => {
                false
            }
        }
    }
}
