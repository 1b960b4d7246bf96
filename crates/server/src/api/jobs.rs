//! Jobs: list, look into one, cancel, retry, delete.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use celeriac_control::JobsError;
use celeriac_control::access::Caller;
use celeriac_control::jobs::{Edits, Retried};
use celeriac_engine::CancelOutcome;
use celeriac_protocol::{JobId, JobStatus, RawValue, Timestamp};
use celeriac_store::query::jobs::{self, JobFilter, JobPage, StatusFilter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::instants::Instant;
use super::paging::Limit;
use crate::code::Code;
use crate::failure::Failure;
use crate::problem::Problem;
use crate::request::{JobPath, OptionalBody, Query, invalid};
use crate::state::ServerState;
use crate::views::{JobDetailView, JobView, Page, StatusWord};

/// Which jobs are wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListJobs {
    /// Only those whose id begins so, or is this.
    id_prefix: Option<String>,
    /// Only these: a status, or `dead`, `open`, `ended`.
    status: Option<String>,
    /// Only this task's, by its whole name.
    task: Option<String>,
    /// Only those listed under this label.
    job_type: Option<String>,
    /// Only those of this queue.
    queue: Option<String>,
    /// Only those whose newest attempt this worker ran.
    worker: Option<String>,
    /// Only those with this account key.
    account_key: Option<String>,
    /// Only those that this schedule has enqueued.
    schedule: Option<String>,
    /// Only those made at or after this instant: RFC 3339, or a span back from now such as `2h`.
    #[param(value_type = Option<String>)]
    since: Option<Instant>,
    /// Only those made before this instant.
    #[param(value_type = Option<String>)]
    until: Option<Instant>,
    /// Only those whose error has this text in it.
    error_text: Option<String>,
    /// Only those that have ended and took longer than this.
    longer_than_ms: Option<u64>,
    /// Only those that have ended and took less than this.
    shorter_than_ms: Option<u64>,
    /// At most this many.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 1000, default = 50)]
    limit: Limit,
    /// Go on behind the job with this cursor.
    cursor: Option<i64>,
}

impl ListJobs {
    fn filter(&self, now: Timestamp) -> Result<JobFilter, Problem> {
        let millis = std::time::Duration::from_millis;
        Ok(JobFilter {
            id_prefix: self.id_prefix.clone(),
            status: self.status.as_deref().map(status).transpose()?,
            task: self.task.clone(),
            job_type: self.job_type.clone(),
            queue: self.queue.clone(),
            worker: self.worker.clone(),
            account_key: self.account_key.clone(),
            schedule: self.schedule.clone(),
            since: self.since.map(|since| since.back(now)),
            until: self.until.map(|until| until.back(now)),
            error_text: self.error_text.clone(),
            longer_than: self.longer_than_ms.map(millis),
            shorter_than: self.shorter_than_ms.map(millis),
            ..JobFilter::default()
        })
    }
}

fn status(word: &str) -> Result<StatusFilter, Problem> {
    word.parse().map_err(|_| {
        let words: Vec<&str> = StatusFilter::words().collect();
        invalid("status", format!("\"{word}\" is none of {}", words.join(", ")))
    })
}

/// Lists jobs, newest first.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(ListJobs), responses((status = OK, body = Page<JobView>)))]
pub(crate) async fn list_jobs(
    State(state): State<ServerState>,
    Query(wanted): Query<ListJobs>,
) -> Result<Json<Page<JobView>>, Problem> {
    let page = page_of(&state, &wanted).await?;
    Ok(Json(Page::new(page.jobs, page.next)))
}

/// Reads a page of jobs.
pub(super) async fn page_of(state: &ServerState, wanted: &ListJobs) -> Result<JobPage, Problem> {
    let (filter, limit) = (wanted.filter(state.clock().now())?, wanted.limit.of_page()?);
    Ok(jobs::list(state.database().reader(), &filter, wanted.cursor, limit as u64).await?)
}

/// Shows all that is known of a job, with its attempts.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path, description = "The job")), responses((status = OK, body = JobDetailView)))]
pub(crate) async fn find_job(
    State(state): State<ServerState>,
    JobPath(id): JobPath,
) -> Result<Json<JobDetailView>, Problem> {
    Ok(Json(detail(&state, &id).await?))
}

/// Puts together what record and queue say of a job.
pub(crate) async fn detail(state: &ServerState, id: &JobId) -> Result<JobDetailView, Problem> {
    let Some(record) = jobs::find(state.database().reader(), id).await? else {
        return Err(JobsError::unknown(state.client(), id).await.into());
    };
    // A job that has ended has no message, and nobody needs to be asked.
    if record.summary.status.is_final() {
        return Ok(JobDetailView::new(record, None, None));
    }
    let message = state.client().find(id).await?.map(|found| found.state);
    let paused_at = match message {
        Some(_) => {
            let depths = state.client().broker().admin().depths().await?;
            let own = depths.into_iter().find(|depth| depth.queue == record.summary.queue);
            own.and_then(|depth| depth.paused_at)
        }
        None => None,
    };
    Ok(JobDetailView::new(record, message.as_ref(), paused_at))
}

/// Why a job is cancelled.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CancelJob {
    /// As the record will say; without it, who has cancelled it.
    reason: Option<String>,
}

/// What a cancellation came to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CancelledView {
    /// The job.
    id: String,
    /// `cancelled`, or `requested` where a worker was told to stop it.
    outcome: &'static str,
    /// Where it stands.
    #[schema(value_type = StatusWord)]
    status: JobStatus,
}

/// Cancels a job: a waiting one is taken out of its queue, a running one is told to stop.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/cancel", tag = "jobs", params(("id" = String, Path, description = "The job")), request_body = Option<CancelJob>, responses((status = OK, body = CancelledView)))]
pub(crate) async fn cancel_job(
    State(state): State<ServerState>,
    Extension(caller): Extension<Caller>,
    JobPath(id): JobPath,
    OptionalBody(asked): OptionalBody<CancelJob>,
) -> Result<Json<CancelledView>, Problem> {
    let reason = asked.reason.unwrap_or_else(|| format!("cancelled by {}", caller.name));
    let (outcome, status) = cancel(&state, &id, &reason).await?;
    Ok(Json(CancelledView { id: id.to_string(), outcome, status }))
}

/// Cancels a job; returns what came of it in a word, and where it stands.
pub(super) async fn cancel(
    state: &ServerState,
    id: &JobId,
    reason: &str,
) -> Result<(&'static str, JobStatus), Problem> {
    let refuse = |said: String| Err(Failure::plain(Code::JobState, said).about("job", id).into());
    match state.job_desk().cancel(id, reason).await? {
        CancelOutcome::Cancelled => Ok(("cancelled", JobStatus::Cancelled)),
        CancelOutcome::Requested => Ok(("requested", JobStatus::Running)),
        CancelOutcome::OutOfReach => {
            refuse(format!("job {id} can't be cancelled: a worker that is none of ours has it, or will"))
        }
        CancelOutcome::AlreadyFinished(status) => {
            refuse(format!("job {id} has ended before: it is {status}"))
        }
        CancelOutcome::NotFound => Err(JobsError::Unknown { id: id.clone() }.into()),
    }
}

/// What is to be otherwise when a job runs again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryJob {
    /// Other positional arguments.
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    args: Option<Box<RawValue>>,
    /// Other named arguments; they replace all that there were.
    #[schema(value_type = Option<Object>)]
    kwargs: Option<Box<RawValue>>,
    /// Another queue.
    queue: Option<String>,
    /// Another priority, 0 to 9, higher first.
    priority: Option<u8>,
    /// Another number of retries.
    max_retries: Option<u32>,
    /// Not to run before: RFC 3339, or a span from now.
    #[schema(value_type = Option<String>)]
    eta: Option<Instant>,
}

/// What a retry came to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RetriedView {
    /// The job.
    id: String,
    /// The job whose turn it is now: the same one, or a copy.
    runs_as: String,
    /// `revived` or `copied`.
    outcome: &'static str,
}

/// Runs a job again that has ended: a dead letter as it is, any other as a copy; otherwise where that is asked for.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/retry", tag = "jobs", params(("id" = String, Path, description = "The job")), request_body = Option<RetryJob>, responses((status = OK, body = RetriedView)))]
pub(crate) async fn retry_job(
    State(state): State<ServerState>,
    JobPath(id): JobPath,
    OptionalBody(asked): OptionalBody<RetryJob>,
) -> Result<Json<RetriedView>, Problem> {
    let RetryJob { args, kwargs, queue, priority, max_retries, eta } = asked;
    let eta = eta.map(|eta| eta.ahead(state.clock().now()));
    let edits = Edits { args, kwargs, queue, priority, max_retries, eta };
    let retried = state.job_desk().retry_with(&id, edits).await?;
    let outcome = match retried {
        Retried::Revived(_) => "revived",
        Retried::Copied(_) => "copied",
    };
    Ok(Json(RetriedView { id: id.to_string(), runs_as: retried.runs_as().to_string(), outcome }))
}

/// Deletes the record of a job that has ended, with its attempts and its dead letter.
#[utoipa::path(delete, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path, description = "The job")), responses((status = NO_CONTENT)))]
pub(crate) async fn delete_job(
    State(state): State<ServerState>,
    JobPath(id): JobPath,
) -> Result<StatusCode, Problem> {
    state.job_desk().delete(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
