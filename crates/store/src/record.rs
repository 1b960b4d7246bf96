//! A job's record as the floors above see it: plain structs, no rows.

use std::time::Duration;

use celeriac_protocol::{ErrorKind, JobError, JobFacts, JobId, JobStatus, RawValue, RecordLevel, Timestamp};

/// What a list shows of a job; see [`JobRecord`] for all of it.
#[derive(Clone, Debug)]
pub struct JobSummary {
    /// Orders jobs by when they were first heard of; a cursor of lists.
    pub seq: i64,
    /// The job's id.
    pub id: JobId,
    /// The label it is listed under; the task's name where it has none.
    pub job_type: String,
    /// The task's name; empty where it could not be read.
    pub task: String,
    /// The queue.
    pub queue: String,
    /// Where it stands.
    pub status: JobStatus,
    /// The priority, where one was given.
    pub priority: Option<u8>,
    /// The named argument `account_key`, as text.
    pub account_key: Option<String>,
    /// The entry of the schedule that it comes from; it may have another name by now, or be gone.
    pub schedule: Option<String>,
    /// When that was due.
    pub schedule_due_at: Option<Timestamp>,
    /// When its message was made, or it was first heard of.
    pub created_at: Timestamp,
    /// When it is due, while it waits for that; afterwards when it was to run at first.
    pub scheduled_for: Option<Timestamp>,
    /// After when it is not to run.
    pub expires_at: Option<Timestamp>,
    /// When its newest attempt began.
    pub started_at: Option<Timestamp>,
    /// When it came to its end, good or bad.
    pub completed_at: Option<Timestamp>,
    /// The newest instant that the record knows of.
    pub updated_at: Timestamp,
    /// The worker of its newest attempt.
    pub worker: Option<String>,
    /// Which run of the task it is at, from 1; 0 before the first. Runs given back do not count.
    pub attempt: u32,
    /// Retries allowed, where that is known.
    pub max_retries: Option<u32>,
    /// How often it was revived.
    pub generation: u32,
    /// Which hand-out of its message the record is at; 0 before the first.
    pub delivery: u32,
    /// How far its newest attempt is, 0 to 100; a completed job stands at 100.
    pub progress: u8,
    /// What it said it was doing.
    pub progress_message: Option<String>,
    /// Why it failed, or why it is to run again. Lists leave its trace empty.
    pub error: Option<JobError>,
    /// Who stopped it, or why; `expired` where its time had run out.
    pub cancel_reason: Option<String>,
    /// When its message went to the dead letters. Set means that it is one of the *dead*.
    pub dead_lettered_at: Option<Timestamp>,
    /// Why it did: the kind of failure, in one word.
    pub dead_reason: Option<String>,
}

/// All that is recorded of a job.
#[derive(Clone, Debug)]
pub struct JobRecord {
    /// What lists show; here the error has its trace.
    pub summary: JobSummary,
    /// Positional arguments, to the letter; see [`crate::limits`] for what stands in place of long ones.
    pub args: Box<RawValue>,
    /// Named arguments, likewise.
    pub kwargs: Box<RawValue>,
    /// The newest intermediate result, of whichever attempt.
    pub partial: Option<Box<RawValue>>,
    /// What it returned; absent where the task ignores it.
    pub result: Option<Box<RawValue>>,
    /// The first job of the chain of causes.
    pub root_id: Option<JobId>,
    /// The job that enqueued it.
    pub parent_id: Option<JobId>,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptRecord>,
}

impl JobRecord {
    /// Returns what its events say of the job, so that more can be told of it.
    ///
    /// The due time is the record's own.
    pub fn facts(&self) -> JobFacts {
        let job = &self.summary;
        JobFacts {
            id: job.id.clone(),
            task: job.task.clone(),
            job_type: job.job_type.clone(),
            queue: job.queue.clone(),
            priority: job.priority,
            args: self.args.clone(),
            kwargs: self.kwargs.clone(),
            root_id: self.root_id.clone(),
            parent_id: self.parent_id.clone(),
            group: None,
            schedule: job.schedule.clone(),
            schedule_due_at: job.schedule_due_at,
            ignore_result: false,
            reply_to: None,
            created_at: Some(job.created_at),
            eta: job.scheduled_for,
            expires: job.expires_at,
            max_retries: job.max_retries,
            generation: job.generation,
            record: RecordLevel::All,
        }
    }
}

/// One attempt of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// How often the job had been revived.
    pub generation: u32,
    /// Which hand-out of the message it was, from 1.
    pub delivery: u32,
    /// Which run of the task it was, from 1.
    pub attempt: u32,
    /// The worker, where it is known.
    pub worker: Option<String>,
    /// When it began, where it is known.
    pub started_at: Option<Timestamp>,
    /// When it ended; absent while it runs, and where its worker vanished.
    pub finished_at: Option<Timestamp>,
    /// What it came to; absent while it runs.
    pub outcome: Option<AttemptOutcome>,
    /// Why it failed.
    pub error: Option<JobError>,
    /// How long it ran, where that is known.
    pub runtime: Option<Duration>,
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptOutcome {
    /// It ended well.
    Succeeded,
    /// It failed, and the job ran again.
    Retried,
    /// It asked to be run later.
    Snoozed,
    /// Its worker stopped and gave it back.
    Released,
    /// It failed for good.
    Failed,
    /// It was stopped.
    Cancelled,
    /// Its worker vanished.
    Lost,
}

impl AttemptOutcome {
    /// Returns the word that rows, API and screens use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Retried => "retried",
            Self::Snoozed => "snoozed",
            Self::Released => "released",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        }
    }
}

/// What a waiting caller asks for again and again.
#[derive(Clone, Debug)]
pub struct JobProgress {
    /// Where the job stands.
    pub status: JobStatus,
    /// Which run of the task it is at.
    pub attempt: u32,
    /// How far it is, 0 to 100.
    pub percent: u8,
    /// What it is doing.
    pub message: Option<String>,
    /// The newest intermediate result.
    pub partial: Option<Box<RawValue>>,
    /// What it returned.
    pub result: Option<Box<RawValue>>,
    /// Why it failed, or why it is to run again.
    pub error: Option<JobError>,
    /// Who stopped it, or why.
    pub cancel_reason: Option<String>,
}

/// Reads an error back from its columns.
pub(crate) fn error_from(
    kind: Option<String>,
    type_name: Option<String>,
    message: Option<String>,
    traceback: Option<String>,
) -> Option<JobError> {
    // A word of a newer version is still an error; it loses its kind only.
    let kind = kind?.parse().unwrap_or(ErrorKind::Error);
    let traceback = traceback.unwrap_or_default();
    Some(JobError { kind, type_name, message: message.unwrap_or_default(), traceback })
}
