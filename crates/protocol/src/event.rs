//! What happened to a job, in the past tense: the one form in which recorder and listeners hear of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{ErrorKind, JobError, JobId, JobStatus, RawValue, Timestamp};

/// How much of a task's jobs is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordLevel {
    /// Every job, from enqueue to end.
    #[default]
    All,
    /// Only jobs that failed for good.
    Failures,
    /// Nothing.
    None,
}

/// Where a client waits for word of a task: Celery's `reply_to` and `correlation_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyTo {
    /// The queue.
    pub queue: String,
    /// What the client knows an answer by, where that is not the task's id.
    pub correlation: Option<String>,
}

/// What is known of a job from its message; the same for all of its events.
#[derive(Clone, Debug)]
pub struct JobFacts {
    /// The job.
    pub id: JobId,
    /// The task's name as the message gave it; empty where it could not be read.
    pub task: String,
    /// The label that jobs of this kind are listed under; the task's name where it has none.
    pub job_type: String,
    /// The queue.
    pub queue: String,
    /// The priority, where one was given.
    pub priority: Option<u8>,
    /// Positional arguments, a JSON array.
    pub args: Box<RawValue>,
    /// Named arguments, a JSON object.
    pub kwargs: Box<RawValue>,
    /// The first job of the chain of causes.
    pub root_id: Option<JobId>,
    /// The job that enqueued this one.
    pub parent_id: Option<JobId>,
    /// The group it belongs to.
    pub group: Option<String>,
    /// The entry of the schedule that it comes from.
    pub schedule: Option<String>,
    /// When that was due.
    pub schedule_due_at: Option<Timestamp>,
    /// When the message was made, where it says so.
    pub created_at: Option<Timestamp>,
    /// Not to run before.
    pub eta: Option<Timestamp>,
    /// Not to run after.
    pub expires: Option<Timestamp>,
    /// Whether nobody is to be told its result.
    pub ignore_result: bool,
    /// Where its sender waits for word of it, as far as the message is at hand: records do not keep it.
    pub reply_to: Option<ReplyTo>,
    /// Retries allowed, where the task or the message says so.
    pub max_retries: Option<u32>,
    /// Raised each time a finished job is revived, or its id is enqueued again.
    pub generation: u32,
    /// How much of it is recorded.
    pub record: RecordLevel,
}

/// Orders what is told of one job, so that a late or doubled event can't set its record back.
///
/// Compared as (generation, delivery, rank); packed into one integer for the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobVersion(i64);

impl JobVersion {
    /// Packs the three numbers; each saturates at its field's width (22, 32 and 8 bits).
    pub fn new(generation: u32, delivery: u32, rank: u8) -> Self {
        let generation = i64::from(generation.min(0x3f_ffff));
        Self(generation << 40 | i64::from(delivery) << 8 | i64::from(rank))
    }

    /// Returns how often the job had been revived or enqueued again.
    pub const fn generation(self) -> u32 {
        (self.0 >> 40) as u32
    }

    /// Returns which hand-out of the message it was.
    pub const fn delivery(self) -> u32 {
        ((self.0 >> 8) & 0xffff_ffff) as u32
    }

    /// Returns the integer that rows hold.
    pub const fn as_i64(self) -> i64 {
        self.0
    }

    /// Takes the integer that a row holds.
    pub const fn from_i64(packed: i64) -> Self {
        Self(packed)
    }
}

/// One thing that happened to one job.
#[derive(Clone, Debug)]
pub struct JobEvent {
    /// When.
    pub at: Timestamp,
    /// To whom.
    pub job: Arc<JobFacts>,
    /// Which hand-out of the message it belongs to, from 1; 0 before the first. Never goes back.
    pub delivery: u32,
    /// Which run of the task, from 1; 0 before the first. Runs given back do not count.
    pub attempt: u32,
    /// What.
    pub what: What,
}

/// The things that can happen to a job.
#[derive(Clone, Debug)]
pub enum What {
    /// It was accepted by a queue.
    Enqueued,
    /// A worker began to run it.
    Started {
        /// The worker's name.
        worker: Arc<str>,
    },
    /// It told how far it is.
    Progressed {
        /// 0 to 100.
        percent: u8,
        /// What it is doing.
        message: Option<String>,
        /// An intermediate result, as JSON.
        partial: Option<Box<RawValue>>,
    },
    /// It ended well.
    Succeeded {
        /// The result; absent where the task ignores it.
        result: Option<Box<RawValue>>,
        /// How long the attempt ran, in microseconds, where whoever tells of it knows.
        runtime_micros: Option<u64>,
    },
    /// It failed and will run again.
    Retried {
        /// Why it failed.
        error: JobError,
        /// When it is due.
        retry_at: Timestamp,
    },
    /// It asked to be run later.
    Snoozed {
        /// When it is due.
        until: Timestamp,
    },
    /// Its worker stopped and gave it back.
    Released,
    /// Its worker vanished, and its message waits again.
    Lost,
    /// It failed for good.
    Failed {
        /// Why.
        error: JobError,
        /// Whether its message was kept among the dead letters.
        dead_lettered: bool,
    },
    /// It was stopped.
    Cancelled {
        /// By whom, or why (`expired`).
        reason: String,
    },
}

impl JobEvent {
    /// Returns the status that the job has after this.
    pub fn status(&self) -> JobStatus {
        match &self.what {
            What::Enqueued if self.job.eta.is_some_and(|eta| eta > self.at) => JobStatus::Scheduled,
            What::Enqueued | What::Released | What::Lost => JobStatus::Pending,
            What::Started { .. } | What::Progressed { .. } => JobStatus::Running,
            What::Succeeded { .. } => JobStatus::Completed,
            What::Retried { .. } => JobStatus::Retrying,
            What::Snoozed { .. } => JobStatus::Scheduled,
            What::Failed { .. } => JobStatus::Failed,
            What::Cancelled { .. } => JobStatus::Cancelled,
        }
    }

    /// Returns the place of this event in the job's order.
    ///
    /// Within one delivery: enqueued or given back last seen, then started and its progress, then
    /// what the attempt came to. A stop from outside, which takes the message from the queue, ranks
    /// above all of the delivery that it ended. A guess (see [`JobEvent::is_guess`]) ranks below
    /// every word of the worker's on how the attempt ended.
    pub fn version(&self) -> JobVersion {
        let rank = match &self.what {
            What::Enqueued => 0,
            What::Started { .. } | What::Progressed { .. } => 1,
            What::Lost => 2,
            What::Failed { .. } if self.is_guess() => 2,
            What::Succeeded { .. } | What::Retried { .. } | What::Snoozed { .. } | What::Released => 3,
            What::Failed { .. } | What::Cancelled { .. } => 4,
        };
        JobVersion::new(self.job.generation, self.delivery, rank)
    }

    /// Says whether this was concluded from silence: nobody holds the job any more, or neither its
    /// message nor its worker can be found. What a worker says later outweighs it.
    pub fn is_guess(&self) -> bool {
        match &self.what {
            What::Lost => true,
            What::Failed { error, dead_lettered } => error.kind == ErrorKind::WorkerLost && !dead_lettered,
            _ => false,
        }
    }

    /// Says whether the task's record level keeps this event.
    pub fn is_recorded(&self) -> bool {
        match self.job.record {
            RecordLevel::All => true,
            // A revived job has a record already, which must not go on saying that it is dead.
            RecordLevel::Failures => matches!(self.what, What::Failed { .. }) || self.job.generation > 0,
            RecordLevel::None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_generation_then_delivery_then_rank() {
        let order = [(0, 0, 0), (0, 1, 1), (0, 1, 2), (0, 2, 1), (0, u32::MAX, 3), (1, 0, 0)];
        for pair in order.windows(2) {
            let [a, b] = [pair[0], pair[1]].map(|(g, d, r)| JobVersion::new(g, d, r));
            assert!(a < b, "{pair:?}");
        }
        assert!(JobVersion::new(u32::MAX, u32::MAX, u8::MAX).as_i64() > 0);
    }

    #[test]
    fn a_version_gives_back_what_was_packed() {
        for (generation, delivery) in [(0, 0), (0, 1), (3, u32::MAX), (0x3f_ffff, 7)] {
            let version = JobVersion::new(generation, delivery, 4);
            assert_eq!((version.generation(), version.delivery()), (generation, delivery));
        }
    }
}
