//! Where a task stands, in Celery's words: what `AsyncResult` tells, over HTTP.

use axum::Json;
use axum::extract::State;
use celeriac_engine::JobSnapshot;
use celeriac_protocol::{JobError, JobStatus, RawValue, TaskResult, TaskState};
use serde::Serialize;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::request::JobPath;
use crate::state::ServerState;

/// Where a task stands, in Celery's words.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TaskStatusView {
    /// The task's id.
    task_id: String,
    /// `PENDING`, `STARTED`, `RETRY`, `SUCCESS`, `FAILURE`, `REVOKED`, or a word of the task's own such as `PROGRESS`.
    #[schema(example = "SUCCESS")]
    status: String,
    /// What it returned; null until it has. In a state of the task's own, what it says of how far it is.
    #[schema(value_type = Option<serde_json::Value>)]
    result: Option<Box<RawValue>>,
    /// Why it failed, with the trace.
    error: Option<TaskErrorView>,
}

/// Why a task failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TaskErrorView {
    /// The name of the error's type.
    #[serde(rename = "type")]
    type_name: Option<String>,
    /// What it says.
    message: String,
    /// Where it came from.
    traceback: Option<String>,
}

/// Tells where a task stands as Celery's `AsyncResult` does, also of one that Python has sent. An id that nobody knows is
/// `PENDING`.
#[utoipa::path(get, path = "/tasks/{task_id}/status", tag = "celery", params(("task_id" = String, Path, description = "The task's id")), responses((status = OK, body = TaskStatusView)))]
pub(crate) async fn find_task_status(
    State(state): State<ServerState>,
    JobPath(id): JobPath,
) -> Result<Json<TaskStatusView>, Problem> {
    let snapshot = state.client().snapshot(&id).await?;
    let ended = snapshot.as_ref().is_some_and(|snapshot| snapshot.status.is_final());
    // A record that has ended has the last word; else somebody who writes no records may know more.
    if let (false, Some(results)) = (ended, state.results())
        && let Some(kept) = results.read(&id).await?
    {
        return Ok(Json(TaskStatusView::kept(kept)));
    }
    let pending = TaskStatusView::plain(id.to_string(), "PENDING");
    Ok(Json(snapshot.map_or(pending, |snapshot| TaskStatusView::recorded(id.to_string(), snapshot))))
}

impl TaskStatusView {
    fn plain(task_id: String, status: &str) -> Self {
        Self { task_id, status: status.to_owned(), result: None, error: None }
    }

    fn kept(kept: TaskResult) -> Self {
        let mut view = Self::plain(kept.id.to_string(), kept.state.as_str());
        match kept.state {
            TaskState::Success | TaskState::Custom(_) => view.result = Some(kept.result),
            TaskState::Failure | TaskState::Retry | TaskState::Revoked => {
                view.error = Some(TaskErrorView::kept(&kept.result, kept.traceback));
            }
            TaskState::Started => {}
        }
        view
    }

    fn recorded(task_id: String, snapshot: JobSnapshot) -> Self {
        let tells = snapshot.percent > 0 || snapshot.message.is_some() || snapshot.partial.is_some();
        let word = match snapshot.status {
            JobStatus::Scheduled | JobStatus::Pending => "PENDING",
            JobStatus::Running if tells => "PROGRESS",
            JobStatus::Running => "STARTED",
            JobStatus::Retrying => "RETRY",
            JobStatus::Completed => "SUCCESS",
            JobStatus::Failed => "FAILURE",
            JobStatus::Cancelled => "REVOKED",
        };
        let mut view = Self::plain(task_id, word);
        view.result = match word {
            "PROGRESS" => Some(progress(&snapshot)),
            "SUCCESS" => snapshot.result,
            _ => None,
        };
        view.error = match word {
            "FAILURE" | "RETRY" => snapshot.error.map(Into::into),
            "REVOKED" => Some(TaskErrorView {
                type_name: Some("TaskRevokedError".to_owned()),
                message: snapshot.cancel_reason.unwrap_or_else(|| "revoked".to_owned()),
                traceback: None,
            }),
            _ => None,
        };
        view
    }
}

/// Tells how far a job is: what it said itself, or the percentage with its message.
fn progress(snapshot: &JobSnapshot) -> Box<RawValue> {
    let said = || json!({ "current": snapshot.percent, "total": 100, "message": snapshot.message });
    match &snapshot.partial {
        Some(partial) => partial.clone(),
        None => to_raw_value(&said()).expect("JSON can be written as JSON"),
    }
}

impl From<JobError> for TaskErrorView {
    fn from(error: JobError) -> Self {
        let traceback = Some(error.traceback).filter(|trace| !trace.is_empty());
        Self { type_name: error.type_name, message: error.message, traceback }
    }
}

impl TaskErrorView {
    /// Reads an exception as Celery keeps it: `{"exc_type": …, "exc_message": […] or text}`.
    fn kept(result: &RawValue, traceback: Option<String>) -> Self {
        let kept: Value = serde_json::from_str(result.get()).unwrap_or_default();
        let message = match &kept["exc_message"] {
            Value::String(text) => text.clone(),
            Value::Array(parts) => {
                let text = |part: &Value| part.as_str().map_or_else(|| part.to_string(), str::to_owned);
                parts.iter().map(text).collect::<Vec<_>>().join(", ")
            }
            Value::Null => kept.as_str().unwrap_or_default().to_owned(),
            other => other.to_string(),
        };
        Self { type_name: kept["exc_type"].as_str().map(str::to_owned), message, traceback }
    }
}
