#![doc = include_str!("../README.md")]

mod arguments;
mod client;
mod clock;
mod ctx;
mod eager;
mod error;
mod events;
mod recorder;
mod registry;
mod sending;
mod signature;
mod states;
mod task;
mod task_schedule;
#[cfg(feature = "testing")]
pub mod testing;
mod worker;

pub use client::{
    CancelOutcome, Client, ClientParts, JobHandle, MAX_MESSAGE_BYTES, OutboxState, RELAY, RefusedState,
    Relayed, Revision, WaitError,
};
pub use clock::SystemClock;
pub use ctx::{Ctx, StopReason};
pub use eager::eager_client;
pub use error::{EnqueueError, IntoTaskFailure, TaskError};
pub use events::{EventHub, EventSink};
pub use recorder::{JobSnapshot, MemoryRecorder, NoRecorder, RecordError, Recorder, SqlRecorder};
pub use registry::{ROOT_MODULE, RegisteredTask, Registry, RegistryBuilder, RegistryError};
pub use sending::{Route, RouteError, Sending};
pub use signature::{Call, Signature};
pub use states::States;
pub use task::{Need, Param, Task, TaskOptions};
pub use task_schedule::TaskSchedule;
pub use worker::{Checkpoints, InHand, MAX_CONCURRENCY, Worker, WorkerError, WorkerGauge, WorkerOptions};

/// Turns a function into a [`Task`]; see the crate `celeriac-macros`.
pub use celeriac_macros::task;

pub use celeriac_protocol::{Backoff, Compression, RecordLevel, RetryPolicy, Serializer};

/// What code written by `#[task]` refers to. Not for anybody else.
#[doc(hidden)]
pub mod export {
    pub use anyhow;
    pub use serde;
}
