//! Who keeps the record of jobs: a trait, since the queue runs with no application database.

use std::collections::HashMap;

use async_trait::async_trait;
use celeriac_broker::BrokerError;
use celeriac_db::{Database, DbError, DbTx};
use celeriac_protocol::{JobError, JobEvent, JobId, JobStatus, RawValue};

mod memory;

pub use memory::MemoryRecorder;

/// Keeps what happened to jobs, durably: nothing is acknowledged before its outcome is recorded.
///
/// Events may come late, doubled or out of order; [`JobEvent::version`] says which one is newer,
/// and an older one never sets a record back.
#[async_trait]
pub trait Recorder: Send + Sync + 'static {
    /// Says whether anything is kept of an event; what is not need not be handed in.
    fn keeps(&self, event: &JobEvent) -> bool {
        event.is_recorded()
    }

    /// Writes events, all or none; returns once they are durable.
    async fn record(&self, events: &[JobEvent]) -> Result<(), RecordError>;

    /// Reads which generation the record of each of these jobs is at, of those that have one.
    async fn generations(&self, ids: &[JobId]) -> Result<HashMap<JobId, u32>, RecordError>;

    /// Forgets what is kept for others of the runs that these jobs have had, as each gets another
    /// one; the record itself knows one run from the next by its generation.
    ///
    /// Called before the message of the next run is published, which waits for it.
    async fn forget(&self, _ids: &[JobId]) -> Result<(), RecordError> {
        Ok(())
    }

    /// Reads where a job stands.
    async fn snapshot(&self, id: &JobId) -> Result<Option<JobSnapshot>, RecordError>;

    /// Returns the transactional side, where the record lives in a database and is all that is kept.
    fn sql(&self) -> Option<&dyn SqlRecorder> {
        None
    }

    /// Returns the side that takes part in the transaction in which a job is asked for.
    fn sql_of_requests(&self) -> Option<&dyn SqlRecorder> {
        self.sql()
    }
}

/// The side of a recorder that takes part in a transaction, so that record and queue change as one.
#[async_trait]
pub trait SqlRecorder: Send + Sync {
    /// Returns the database that the record lives in.
    fn database(&self) -> &Database;

    /// Does what [`Recorder::record`] does, as part of `tx`.
    async fn record_in(&self, tx: &DbTx, events: &[JobEvent]) -> Result<(), RecordError>;

    /// Does what [`Recorder::generations`] does, as part of `tx`.
    async fn generations_in(&self, tx: &DbTx, ids: &[JobId]) -> Result<HashMap<JobId, u32>, RecordError>;
}

/// Where a job stands, as far as a caller who waits for it wants to know.
#[derive(Clone, Debug)]
pub struct JobSnapshot {
    /// Its status.
    pub status: JobStatus,
    /// Which attempt it is in or ended with; 0 before the first.
    pub attempt: u32,
    /// 0 to 100.
    pub percent: u8,
    /// What it is doing.
    pub message: Option<String>,
    /// An intermediate result.
    pub partial: Option<Box<RawValue>>,
    /// The result, once completed; absent where the task ignores it.
    pub result: Option<Box<RawValue>>,
    /// The last failure.
    pub error: Option<JobError>,
    /// Why it was cancelled.
    pub cancel_reason: Option<String>,
}

/// The record could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The database failed.
    #[error("use the job records")]
    Database(#[from] DbError),
    /// The results that others wait for could not be written or read.
    #[error("use the results")]
    Results(#[source] BrokerError),
    /// What is stored can't be read back.
    #[error("read the record of job {id}: {reason}")]
    Corrupt {
        /// The job.
        id: String,
        /// What is wrong.
        reason: String,
    },
}

impl RecordError {
    /// Says whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Database(e) => e.is_retryable(),
            Self::Results(e) => e.is_retryable(),
            Self::Corrupt { .. } => false,
        }
    }
}

/// Keeps nothing: for a queue that runs with no application database.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRecorder;

#[async_trait]
impl Recorder for NoRecorder {
    async fn record(&self, _events: &[JobEvent]) -> Result<(), RecordError> {
        Ok(())
    }

    async fn generations(&self, _ids: &[JobId]) -> Result<HashMap<JobId, u32>, RecordError> {
        Ok(HashMap::new())
    }

    async fn snapshot(&self, _id: &JobId) -> Result<Option<JobSnapshot>, RecordError> {
        Ok(None)
    }
}
