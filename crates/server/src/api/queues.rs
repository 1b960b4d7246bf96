//! Queues: what waits where; pausing and resuming.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;
use crate::request::{NamePath, Query};
use crate::state::ServerState;
use crate::views::{Page, QueueView};

/// How a queue is to be paused.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct PauseQueue {
    /// Pause it although nothing is known of it yet.
    force: bool,
}

/// Whether a queue is paused now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PausedView {
    /// The queue.
    queue: String,
    /// Whether it hands out no jobs.
    paused: bool,
}

/// Lists the queues that hold something or are paused, and what waits in the outbox for them.
#[utoipa::path(get, path = "/api/v1/queues", tag = "queues", responses((status = OK, body = Page<QueueView>)))]
pub(crate) async fn list_queues(State(state): State<ServerState>) -> Result<Json<Page<QueueView>>, Problem> {
    Ok(Json(Page::whole(state.queue_desk().list().await?)))
}

/// Stops a queue from handing out jobs; running ones go on.
#[utoipa::path(
    post,
    path = "/api/v1/queues/{queue}/pause",
    tag = "queues",
    params(("queue" = String, Path, description = "The queue"), PauseQueue),
    responses((status = OK, body = PausedView))
)]
pub(crate) async fn pause_queue(
    State(state): State<ServerState>,
    NamePath(queue): NamePath,
    Query(how): Query<PauseQueue>,
) -> Result<Json<PausedView>, Problem> {
    let desk = state.queue_desk();
    if how.force {
        desk.pause_unseen(&queue).await?;
    } else {
        desk.pause(&queue).await?;
    }
    Ok(Json(PausedView { queue, paused: true }))
}

/// Lets a paused queue hand out again.
#[utoipa::path(
    post,
    path = "/api/v1/queues/{queue}/resume",
    tag = "queues",
    params(("queue" = String, Path, description = "The queue")),
    responses((status = OK, body = PausedView))
)]
pub(crate) async fn resume_queue(
    State(state): State<ServerState>,
    NamePath(queue): NamePath,
) -> Result<Json<PausedView>, Problem> {
    state.queue_desk().resume(&queue).await?;
    Ok(Json(PausedView { queue, paused: false }))
}
