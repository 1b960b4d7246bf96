#![doc = include_str!("../README.md")]

mod address;
mod body;
mod canvas;
mod clock;
mod codec;
mod error;
mod event;
mod ids;
mod message;
mod outcome;
mod queue;
mod result;
mod retry;
pub mod schedule;
mod span;
mod status;
pub mod suggest;
mod text;

pub use address::{Address, AddressError};
pub use body::{AcceptContent, AcceptError, BodyForm, Compression, EncodeError, MAX_BODY_BYTES, Serializer};
pub use canvas::{CanBeSent, CanvasError, Destination, Following, MAX_SIGNATURES};
pub use clock::{Clock, Timestamp, WhenReached};
pub use codec::{DecodeError, is_own_header};
pub use error::{ErrorKind, JobError};
pub use event::{JobEvent, JobFacts, JobVersion, RecordLevel, ReplyTo, What};
pub use ids::{IdError, JobId};
pub use message::{Arguments, CeleriacHeader, Continuation, TaskMessage, TimeLimits};
pub use outcome::{Outcome, RunError, RunResult, SHORTEST_SNOOZE, judge};
pub use queue::{Content, DEFAULT_PRIORITY, DEFAULT_QUEUE, Envelope, MAX_PRIORITY};
pub use result::{Extended, ResultError, ResultStyle, TaskResult, TaskState};
pub use retry::{Backoff, DEFAULT_MAX_RETRIES, RetryPolicy};
pub use span::Span;
pub use status::{JobStatus, UnknownStatus};
pub use text::{error_text, panic_text, without_nul};

/// JSON text that passes through untouched, so that no number is rounded on the way.
pub use serde_json::value::RawValue;

#[cfg(feature = "testing")]
pub use clock::ManualClock;
