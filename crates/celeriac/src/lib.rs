#![doc = include_str!("../README.md")]

#[cfg(feature = "cli")]
pub use celeriac_cli::{Code, Embedded, Exit, Kind, RunError, Running, StartError, main, start};

pub use async_trait::async_trait;
pub use celeriac_control::{
    App, AppError, AppParts, CatchUp, DriverHandle, Environment, Loop, LoopBoard, LoopCtx, LoopError,
    Overlap, PassReport, ScheduleEntry, Schedules, StateMakers, workflow,
};
pub use celeriac_engine::{
    Backoff, Call, CancelOutcome, Client, ClientParts, Compression, Ctx, EnqueueError, EventHub, EventSink,
    JobHandle, JobSnapshot, MemoryRecorder, Need, NoRecorder, Param, RecordLevel, Recorder, RegisteredTask,
    Registry, RegistryBuilder, RegistryError, RetryPolicy, Route, RouteError, Sending, Serializer, Signature,
    States, StopReason, SystemClock, Task, TaskError, TaskOptions, TaskSchedule, WaitError, Worker,
    WorkerError, WorkerOptions, eager_client, task,
};
pub use celeriac_protocol::{Clock, JobError, JobId, JobStatus, Timestamp};

/// The transports, and what they are reached by.
pub use celeriac_broker as broker;
/// The database: transactions, migrations, and SeaORM as it is used in this interface.
pub use celeriac_db as db;

/// What code written by `#[task]` refers to. Not for anybody else.
#[doc(hidden)]
pub use celeriac_engine::export;

/// What tests of tasks use: a queue in memory, a clock moved by hand.
#[cfg(feature = "testing")]
pub mod testing {
    pub use celeriac_db::testing::TestDatabase;
    pub use celeriac_engine::testing::*;
    pub use celeriac_protocol::ManualClock;
}

/// What most programs need.
pub mod prelude {
    pub use crate::db::{Database, DbTx};
    pub use crate::{App, Client, Ctx, Environment, JobHandle, Signature, Task, TaskError, task};
}
