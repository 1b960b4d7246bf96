//! Whether this process lives, and whether it can do its work: what load balancers and service managers ask.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use celeriac_protocol::error_text;
use celeriac_store::query::jobs::{self, JobFilter};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::state::ServerState;

/// That all is well.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthView {
    /// `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

const WELL: Json<HealthView> = Json(HealthView { status: "ok" });

/// Says that this process lives. It asks nobody else, so that a database that is away restarts no server.
#[utoipa::path(get, path = "/health/live", tag = "server", responses((status = OK, body = HealthView)))]
pub(crate) async fn check_live() -> Json<HealthView> {
    WELL
}

/// Says whether requests can be answered: the process is not stopping, and database and queue can be asked.
#[utoipa::path(get, path = "/health/ready", tag = "server", responses((status = OK, body = HealthView)))]
pub(crate) async fn check_ready(State(state): State<ServerState>) -> Result<Json<HealthView>, Problem> {
    if state.closing().is_cancelled() {
        return Err(not_ready("the server is stopping"));
    }
    if let Err(error) = jobs::list(state.database().reader(), &JobFilter::default(), None, 1).await {
        return Err(not_ready(error_text(&error)));
    }
    match state.client().broker().admin().depths().await {
        Ok(_) => Ok(WELL),
        Err(error) => Err(not_ready(error_text(&error))),
    }
}

fn not_ready(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "Requests can't be answered at present.")
        .detail(detail)
}
