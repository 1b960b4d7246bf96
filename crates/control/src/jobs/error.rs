//! Why a job was left as it is.

use celeriac_broker::BrokerError;
use celeriac_engine::{Client, EnqueueError};
use celeriac_protocol::{JobError, JobId, JobStatus};
use celeriac_store::StoreError;
use celeriac_store::query::jobs::StatusFilter;

use super::BulkAction;

/// A job could not be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobsError {
    /// Nobody knows the job.
    #[error("change job {id}: there is no such job")]
    Unknown {
        /// The job.
        id: JobId,
    },
    /// There is a message and no record of the job.
    #[error("change job {id}: there is no record of it, only a message in queue {queue}")]
    Unrecorded {
        /// The job.
        id: JobId,
        /// The queue that its message is in.
        queue: String,
    },
    /// The job has not come to its end.
    #[error("change job {id}: it has not ended, it is {status}")]
    NotEnded {
        /// The job.
        id: JobId,
        /// Where it stands.
        status: JobStatus,
    },
    /// The record has not kept the arguments, of which a copy would have to be made.
    #[error("copy job {id}: its arguments were too long to be kept in the record")]
    ArgumentsCut {
        /// The job.
        id: JobId,
    },
    /// Other arguments were given that can't be arguments, or that don't fit the task.
    #[error("change the arguments of job {id}")]
    Arguments {
        /// The job.
        id: JobId,
        /// What is wrong.
        #[source]
        source: JobError,
    },
    /// There is no dead letter of the job.
    #[error("find the dead letter of job {id}: there is none")]
    NoLetter {
        /// The job.
        id: JobId,
    },
    /// Something was to be done to all jobs that stand as it can't be done to any.
    #[error("{action} all jobs that are {status}: it can't be done to these")]
    Unfit {
        /// What was to be done.
        action: BulkAction,
        /// How they stand.
        status: StatusFilter,
    },
    /// It could not be asked for, or the record not be written.
    #[error("change a job")]
    Enqueue(#[from] EnqueueError),
    /// The queue can't be asked.
    #[error("ask the queue for a job")]
    Broker(#[from] BrokerError),
    /// The records can't be read or written.
    #[error("use the records of jobs")]
    Store(#[from] StoreError),
}

impl JobsError {
    /// Says of a job without a record that nobody knows it, or that only its queue does; or that the queue can't be asked.
    pub async fn unknown(client: &Client, id: &JobId) -> Self {
        match client.find(id).await {
            Ok(Some(found)) => Self::Unrecorded { id: id.clone(), queue: found.envelope.queue },
            Ok(None) => Self::Unknown { id: id.clone() },
            Err(error) => error.into(),
        }
    }

    /// Says whether it is about this one job; else queue or database failed, and would at any other.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Unknown { .. }
            | Self::Unrecorded { .. }
            | Self::NotEnded { .. }
            | Self::ArgumentsCut { .. }
            | Self::Arguments { .. }
            | Self::NoLetter { .. }
            | Self::Unfit { .. } => true,
            Self::Enqueue(error) => matches!(
                error,
                EnqueueError::Arguments { .. } | EnqueueError::Id { .. } | EnqueueError::Option { .. }
            ),
            Self::Store(error) => matches!(error, StoreError::Corrupt { .. }),
            Self::Broker(_) => false,
        }
    }

    /// Returns why in one word, for counts and programs. The words are stable.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown",
            Self::Unrecorded { .. } => "unrecorded",
            Self::NotEnded { .. } => "not_ended",
            Self::ArgumentsCut { .. } => "arguments_cut",
            Self::Arguments { .. } | Self::Enqueue(EnqueueError::Arguments { .. }) => "invalid_arguments",
            Self::Enqueue(EnqueueError::Id { .. } | EnqueueError::Option { .. }) => "invalid_message",
            Self::NoLetter { .. } => "no_letter",
            Self::Unfit { .. } => "unfit_status",
            Self::Store(StoreError::Corrupt { .. }) => "unreadable",
            Self::Enqueue(_) | Self::Broker(_) | Self::Store(_) => "unavailable",
        }
    }
}
