//! All of a job: its arguments, its result, its attempts, and where its message stands.

use celeriac_broker::MessageState;
use celeriac_engine::JobSnapshot;
use celeriac_protocol::{JobId, JobStatus, RawValue, Timestamp};
use celeriac_store::{AttemptRecord, JobRecord};
use serde::Serialize;
use utoipa::ToSchema;

use super::{JobErrorView, JobView};
use crate::views::{Moment, StatusWord};

/// All of a job.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = JobDetail)]
pub struct JobDetailView {
    /// What lists show.
    #[serde(flatten)]
    pub job: JobView,
    /// Positional arguments, to the letter.
    #[schema(value_type = serde_json::Value)]
    pub args: Box<RawValue>,
    /// Named arguments, to the letter.
    #[schema(value_type = serde_json::Value)]
    pub kwargs: Box<RawValue>,
    /// The newest intermediate result, of whichever attempt.
    #[schema(value_type = Option<serde_json::Value>)]
    pub partial: Option<Box<RawValue>>,
    /// What it returned.
    #[schema(value_type = Option<serde_json::Value>)]
    pub result: Option<Box<RawValue>>,
    /// The first job of the chain of causes.
    pub root_id: Option<String>,
    /// The job that enqueued it.
    pub parent_id: Option<String>,
    /// Where its message stands in the queue; null where there is none any more.
    pub message: Option<MessageView>,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptView>,
}

impl JobDetailView {
    /// Puts together what the record and the queue say of a job; `paused_at` is its queue's.
    pub fn new(record: JobRecord, message: Option<&MessageState>, paused_at: Option<Timestamp>) -> Self {
        Self {
            job: record.summary.into(),
            args: record.args,
            kwargs: record.kwargs,
            partial: record.partial,
            result: record.result,
            root_id: record.root_id.map(|id| id.to_string()),
            parent_id: record.parent_id.map(|id| id.to_string()),
            message: message.map(|state| MessageView::new(state, paused_at)),
            attempts: record.attempts.into_iter().map(Into::into).collect(),
        }
    }
}

/// Where a message stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = MessagePlace)]
pub struct MessageView {
    /// `ready` for a worker, `delayed` until it is due, or `held` by a worker.
    pub state: &'static str,
    /// When it is due, or when the lease of its holder ends.
    pub until: Option<Moment>,
    /// The worker that holds it.
    pub holder: Option<String>,
    /// When its queue was paused; null while it is open.
    pub queue_paused_at: Option<Moment>,
}

impl MessageView {
    fn new(state: &MessageState, paused_at: Option<Timestamp>) -> Self {
        let (state, until, holder) = match state {
            MessageState::Ready => ("ready", None, None),
            MessageState::Delayed { until } => ("delayed", Some(*until), None),
            MessageState::Held { holder, until } => ("held", Some(*until), Some(holder.clone())),
        };
        Self { state, until: Moment::or_none(until), holder, queue_paused_at: Moment::or_none(paused_at) }
    }
}

/// One attempt of a job.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = JobAttempt)]
pub struct AttemptView {
    /// How often the job had been revived before it.
    pub generation: u32,
    /// Its number, from 1.
    pub attempt: u32,
    /// Which hand-out of the message it was.
    pub delivery: u32,
    /// What it came to, in one word; `running` until then.
    pub outcome: &'static str,
    /// The worker.
    pub worker: Option<String>,
    /// When it began.
    pub started_at: Option<Moment>,
    /// When it ended.
    pub finished_at: Option<Moment>,
    /// How long it ran, in milliseconds.
    pub runtime_ms: Option<f64>,
    /// Why it failed.
    pub error: Option<JobErrorView>,
}

impl From<AttemptRecord> for AttemptView {
    fn from(attempt: AttemptRecord) -> Self {
        Self {
            generation: attempt.generation,
            attempt: attempt.attempt,
            delivery: attempt.delivery,
            outcome: attempt.outcome.map_or("running", |outcome| outcome.as_str()),
            worker: attempt.worker,
            started_at: Moment::or_none(attempt.started_at),
            finished_at: Moment::or_none(attempt.finished_at),
            runtime_ms: attempt.runtime.map(|runtime| runtime.as_secs_f64() * 1_000.0),
            error: attempt.error.map(Into::into),
        }
    }
}

/// Where a job stands, as whoever waits for it is told.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = JobSnapshot)]
pub struct SnapshotView {
    /// The job's id.
    pub id: String,
    /// Where it stands.
    #[schema(value_type = StatusWord)]
    pub status: JobStatus,
    /// Which run of the task it is at, from 1; 0 before the first.
    pub attempt: u32,
    /// How far its newest attempt is, 0 to 100.
    pub progress: u8,
    /// What it said it was doing.
    pub progress_message: Option<String>,
    /// What it returned.
    #[schema(value_type = Option<serde_json::Value>)]
    pub result: Option<Box<RawValue>>,
    /// Why it failed, or why it is to run again.
    pub error: Option<JobErrorView>,
    /// Who stopped it, or why.
    pub cancel_reason: Option<String>,
}

impl SnapshotView {
    /// Takes what the record says.
    pub fn new(id: &JobId, snapshot: &JobSnapshot) -> Self {
        Self {
            id: id.to_string(),
            status: snapshot.status,
            attempt: snapshot.attempt,
            progress: snapshot.percent,
            progress_message: snapshot.message.clone(),
            result: snapshot.result.clone(),
            error: snapshot.error.clone().map(Into::into),
            cancel_reason: snapshot.cancel_reason.clone(),
        }
    }
}
