#![doc = include_str!("../README.md")]

pub mod access;
mod app;
mod beat;
pub mod celery_beat;
mod cleanup;
mod driver;
mod environment;
pub mod health;
mod house;
pub mod jobs;
mod r#loop;
pub mod presence;
mod pruner;
mod queues;
mod recorder;
mod relay;
mod rescuer;
mod results;
mod scheduler;
mod tasks;
pub mod why;
pub mod words;
pub mod workflow;

pub use app::{App, AppError, AppParts, LoopMakers, StateMakers};
pub use beat::{
    BEAT, Backfilled, Beat, BeatClock, BeatError, BeatSettings, DeclaredDifference, Difference,
    EntriesImported, EntryImport, Existing, FieldChange, FieldDifference, FieldFault, ImportStep,
    ImportedEntry, MAX_IMPORT, ManualRun, MergeStep, ScheduleDetails, Schedules, SchedulesError,
};
pub use cleanup::{CLEANUP_OLD_JOBS, CleanupReport, cleanup_old_jobs};
pub use driver::{Activator, Driver, DriverHandle, DuplicateLoop, LoopBoard, LoopStatus, Pass};
pub use environment::Environment;
pub use house::{HOUSE_MODULE, HOUSE_QUEUE, house_schedules};
pub use jobs::{JobDesk, JobsError};
pub use r#loop::{Loop, LoopCtx, LoopError, LoopSettingsError, PassReport};
pub use presence::{Identity, Presence, Role, Usage};
pub use pruner::{LAST_FIRINGS, Pruner, PrunerSettings};
pub use queues::{QueueDesk, QueuesError};
pub use recorder::StoreRecorder;
pub use relay::Relay;
pub use rescuer::{Rescuer, RescuerSettings};
pub use results::{ResultReader, ResultRecorder, ResultSettings};
pub use scheduler::{Scheduler, SchedulerError};
pub use tasks::{UnknownTask, check_call, find_task};

/// What an entry of the schedule says, for [`App::schedule`].
pub use celeriac_store::query::schedules::{CatchUp, Overlap, ScheduleEntry};
