//! Tasks: what this app can run.

use axum::Json;
use axum::extract::State;
use celeriac_control::find_task;
use celeriac_engine::RegisteredTask;

use crate::problem::Problem;
use crate::request::NamePath;
use crate::state::ServerState;
use crate::views::{Page, TaskView};

/// Lists the tasks of this app, with their parameters.
#[utoipa::path(get, path = "/api/v1/tasks", tag = "tasks", responses((status = OK, body = Page<TaskView>)))]
pub(crate) async fn list_tasks(State(state): State<ServerState>) -> Json<Page<TaskView>> {
    Json(Page::whole(state.registry().tasks().map(|task| view(&state, task))))
}

/// Describes a task, by its name or an alias.
#[utoipa::path(
    get,
    path = "/api/v1/tasks/{task}",
    tag = "tasks",
    params(("task" = String, Path, description = "Its name, or an alias")),
    responses((status = OK, body = TaskView))
)]
pub(crate) async fn find_one_task(
    State(state): State<ServerState>,
    NamePath(name): NamePath,
) -> Result<Json<TaskView>, Problem> {
    Ok(Json(view(&state, find_task(state.registry(), &name)?)))
}

fn view(state: &ServerState, task: &RegisteredTask) -> TaskView {
    TaskView::new(task, &state.client().queue_of(task.name))
}
