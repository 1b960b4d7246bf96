//! Jobs.

use celeriac_protocol::{JobError, JobStatus};
use celeriac_store::JobSummary;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Moment, StatusWord};

mod detail;

pub use detail::{AttemptView, JobDetailView, MessageView, SnapshotView};

/// A job of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobView {
    /// Its id.
    pub id: String,
    /// The task's name; empty where it could not be read.
    pub task: String,
    /// The label that it is listed under; the task's name where it has none.
    pub job_type: String,
    /// The queue.
    pub queue: String,
    /// Where it stands.
    #[schema(value_type = StatusWord)]
    pub status: JobStatus,
    /// Whether its message lies among the dead letters.
    pub dead: bool,
    /// The priority, where one was given.
    pub priority: Option<u8>,
    /// The named argument `account_key`, as text.
    pub account_key: Option<String>,
    /// The schedule that it comes from.
    pub schedule: Option<String>,
    /// When that was due.
    pub schedule_due_at: Option<Moment>,
    /// How far its newest attempt is, 0 to 100.
    pub progress: u8,
    /// What it said it was doing.
    pub progress_message: Option<String>,
    /// Which run of the task it is at, from 1; 0 before the first.
    pub attempt: u32,
    /// Retries allowed, where that is known.
    pub max_retries: Option<u32>,
    /// How often it was revived.
    pub generation: u32,
    /// The worker of its newest attempt.
    pub worker: Option<String>,
    /// Why it failed, or why it is to run again.
    pub error: Option<JobErrorView>,
    /// Who stopped it, or why.
    pub cancel_reason: Option<String>,
    /// Why its message went to the dead letters, in one word.
    pub dead_reason: Option<String>,
    /// When its message was made, or it was first heard of.
    pub created_at: Moment,
    /// When it is due, while it waits for that; afterwards when it was to run at first.
    pub scheduled_for: Option<Moment>,
    /// After when it is not to run.
    pub expires_at: Option<Moment>,
    /// When its newest attempt began.
    pub started_at: Option<Moment>,
    /// When it came to its end, good or bad.
    pub completed_at: Option<Moment>,
    /// The newest instant that the record knows of.
    pub updated_at: Moment,
    /// When its message went to the dead letters.
    pub dead_lettered_at: Option<Moment>,
    /// Pass as cursor to go on behind this job.
    pub cursor: i64,
}

impl From<JobSummary> for JobView {
    fn from(job: JobSummary) -> Self {
        Self {
            id: job.id.to_string(),
            task: job.task,
            job_type: job.job_type,
            queue: job.queue,
            status: job.status,
            dead: job.dead_lettered_at.is_some(),
            priority: job.priority,
            account_key: job.account_key,
            schedule: job.schedule,
            schedule_due_at: Moment::or_none(job.schedule_due_at),
            progress: job.progress,
            progress_message: job.progress_message,
            attempt: job.attempt,
            max_retries: job.max_retries,
            generation: job.generation,
            worker: job.worker,
            error: job.error.map(Into::into),
            cancel_reason: job.cancel_reason,
            dead_reason: job.dead_reason,
            created_at: job.created_at.into(),
            scheduled_for: Moment::or_none(job.scheduled_for),
            expires_at: Moment::or_none(job.expires_at),
            started_at: Moment::or_none(job.started_at),
            completed_at: Moment::or_none(job.completed_at),
            updated_at: job.updated_at.into(),
            dead_lettered_at: Moment::or_none(job.dead_lettered_at),
            cursor: job.seq,
        }
    }
}

/// Why a job failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = JobError)]
pub struct JobErrorView {
    /// The kind of failure, in one word.
    pub kind: &'static str,
    /// The name of the error's type, where it has one.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// What the error says.
    pub message: String,
    /// Where it came from; lists leave it out.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub traceback: String,
}

impl From<JobError> for JobErrorView {
    fn from(error: JobError) -> Self {
        let JobError { kind, type_name, message, traceback } = error;
        Self { kind: kind.as_str(), type_name, message, traceback }
    }
}
