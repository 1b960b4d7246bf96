//! The routes of a social-metrics collector: jobs by their own names, in place of the tasks'.

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use celeriac_control::access::Caller;
use celeriac_protocol::{JobId, JobStatus, RawValue};
use celeriac_store::query::jobs;
use celeriac_store::{JobRecord, JobSummary};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::enqueue::{EnqueueJob, enqueue, key_of, location};
use super::jobs::{ListJobs, cancel, page_of};
use crate::problem::Problem;
use crate::request::{JobPath, NamePath, OptionalBody, Query};
use crate::state::ServerState;
use crate::views::{Moment, Page, StatusWord};

/// A job that was begun.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct BegunView {
    /// The job.
    job_id: String,
    /// Where it stands.
    #[schema(value_type = StatusWord)]
    status: JobStatus,
}

/// A job, in the collector's words.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TrackedJobView {
    /// The job.
    job_id: String,
    /// The label that it is listed under.
    job_type: String,
    /// Where it stands.
    #[schema(value_type = StatusWord)]
    status: JobStatus,
    /// How far it is, 0 to 100.
    progress: u8,
    /// What it says it is doing.
    progress_message: Option<String>,
    /// What it returned.
    #[schema(value_type = Option<serde_json::Value>)]
    result: Option<Box<RawValue>>,
    /// Why it failed.
    error_message: Option<String>,
    /// The account that it is about, where it is about one.
    account_key: Option<String>,
    /// When it was made.
    created_at: Moment,
    /// When its newest attempt began.
    started_at: Option<Moment>,
    /// When it came to its end.
    completed_at: Option<Moment>,
}

impl From<JobRecord> for TrackedJobView {
    fn from(record: JobRecord) -> Self {
        Self { result: record.result, ..record.summary.into() }
    }
}

impl From<JobSummary> for TrackedJobView {
    /// Takes what a list shows, which leaves results out.
    fn from(job: JobSummary) -> Self {
        Self {
            job_id: job.id.to_string(),
            job_type: job.job_type,
            status: job.status,
            progress: job.progress,
            progress_message: job.progress_message,
            result: None,
            error_message: job.error.map(|error| error.message),
            account_key: job.account_key,
            created_at: job.created_at.into(),
            started_at: Moment::or_none(job.started_at),
            completed_at: Moment::or_none(job.completed_at),
        }
    }
}

/// Begins to scrape all accounts.
#[utoipa::path(post, path = "/api/jobs/scrape-all", tag = "collector", responses((status = ACCEPTED, body = BegunView)))]
pub(crate) async fn scrape_all(
    State(state): State<ServerState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    begin(&state, &caller, &headers, EnqueueJob::with_kwargs("scrape_all_accounts", &json!({}))).await
}

/// Begins to scrape an account.
#[utoipa::path(post, path = "/api/jobs/scrape-account/{account_key}", tag = "collector", params(("account_key" = String, Path, description = "The account")), responses((status = ACCEPTED, body = BegunView)))]
pub(crate) async fn scrape_account(
    State(state): State<ServerState>,
    Extension(caller): Extension<Caller>,
    NamePath(account): NamePath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = EnqueueJob::with_kwargs("scrape_account", &json!({ "account_key": account }));
    begin(&state, &caller, &headers, asked).await
}

/// What is to be scraped: an account, a platform, or all.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RunScraper {
    /// Only this account.
    account_key: Option<String>,
    /// Only the accounts of this platform.
    platform: Option<String>,
}

/// Begins to scrape and answers at once: an account, a platform, or all.
#[utoipa::path(post, path = "/api/run-scraper", tag = "collector", request_body = Option<RunScraper>, responses((status = ACCEPTED, body = BegunView)))]
pub(crate) async fn run_scraper(
    State(state): State<ServerState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    OptionalBody(asked): OptionalBody<RunScraper>,
) -> Result<Response, Problem> {
    let asked = match (asked.account_key, asked.platform) {
        (Some(account), _) => EnqueueJob::with_kwargs("scrape_account", &json!({ "account_key": account })),
        (None, Some(platform)) => {
            EnqueueJob::with_kwargs("scrape_platform", &json!({ "platform": platform }))
        }
        (None, None) => EnqueueJob::with_kwargs("scrape_all_accounts", &json!({})),
    };
    begin(&state, &caller, &headers, asked).await
}

/// Tells of a job in the collector's words.
#[utoipa::path(get, path = "/api/jobs/{id}", tag = "collector", params(("id" = String, Path, description = "The job")), responses((status = OK, body = TrackedJobView)))]
pub(crate) async fn track_job(
    State(state): State<ServerState>,
    JobPath(id): JobPath,
) -> Result<Json<TrackedJobView>, Problem> {
    Ok(Json(found(&state, &id).await?.into()))
}

/// Lists jobs in the collector's words, newest first.
#[utoipa::path(get, path = "/api/jobs", tag = "collector", params(ListJobs), responses((status = OK, body = Page<TrackedJobView>)))]
pub(crate) async fn track_jobs(
    State(state): State<ServerState>,
    Query(wanted): Query<ListJobs>,
) -> Result<Json<Page<TrackedJobView>>, Problem> {
    let page = page_of(&state, &wanted).await?;
    Ok(Json(Page::new(page.jobs, page.next)))
}

/// Cancels a job.
#[utoipa::path(post, path = "/api/jobs/{id}/cancel", tag = "collector", params(("id" = String, Path, description = "The job")), responses((status = OK, body = BegunView)))]
pub(crate) async fn cancel_tracked(
    State(state): State<ServerState>,
    Extension(caller): Extension<Caller>,
    JobPath(id): JobPath,
) -> Result<Json<BegunView>, Problem> {
    let (_, status) = cancel(&state, &id, &format!("cancelled by {}", caller.name)).await?;
    Ok(Json(BegunView { job_id: id.to_string(), status }))
}

/// Deletes a job that has ended.
#[utoipa::path(delete, path = "/api/jobs/{id}", tag = "collector", params(("id" = String, Path, description = "The job")), responses((status = NO_CONTENT)))]
pub(crate) async fn delete_tracked(
    State(state): State<ServerState>,
    JobPath(id): JobPath,
) -> Result<StatusCode, Problem> {
    state.job_desk().delete(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn found(state: &ServerState, id: &JobId) -> Result<JobRecord, Problem> {
    match jobs::find(state.database().reader(), id).await? {
        Some(record) => Ok(record),
        None => Err(celeriac_control::JobsError::unknown(state.client(), id).await.into()),
    }
}

async fn begin(
    state: &ServerState,
    caller: &Caller,
    headers: &HeaderMap,
    asked: EnqueueJob,
) -> Result<Response, Problem> {
    let view = enqueue(state, asked, key_of(headers, caller)?).await?;
    let status = match JobId::parse(view.id()) {
        Ok(id) => state.client().snapshot(&id).await?.map(|snapshot| snapshot.status),
        Err(_) => None,
    };
    let begun = BegunView { job_id: view.id().to_owned(), status: status.unwrap_or(JobStatus::Pending) };
    Ok((StatusCode::ACCEPTED, [(LOCATION, location(view.id()))], Json(begun)).into_response())
}
