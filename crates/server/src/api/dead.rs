//! Dead letters: messages of jobs that failed for good.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use celeriac_broker::DeadLetter;
use celeriac_control::jobs::LetterFilter;
use celeriac_protocol::JobId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::paging::Limit;
use crate::problem::Problem;
use crate::request::{JobPath, Query};
use crate::state::ServerState;
use crate::views::{DeadDetailView, DeadView, Page};

/// Which dead letters are wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListLetters {
    /// Only this task's.
    task: Option<String>,
    /// Only those that died of this, in one word.
    reason: Option<String>,
    /// At most this many.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 1000, default = 50)]
    limit: Limit,
    /// Go on behind the letter with this cursor.
    cursor: Option<i64>,
}

/// The job whose dead letter is back in its queue.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RevivedView {
    /// Its id.
    id: String,
}

/// Lists dead letters, newest first.
#[utoipa::path(get, path = "/api/v1/dead-letters", tag = "dead letters", params(ListLetters), responses((status = OK, body = Page<DeadView>)))]
pub(crate) async fn list_dead_letters(
    State(state): State<ServerState>,
    Query(wanted): Query<ListLetters>,
) -> Result<Json<Page<DeadView>>, Problem> {
    let limit = wanted.limit.of_page()?;
    let desk = state.job_desk();
    let mut letters = desk.letters(LetterFilter { task: wanted.task, reason: wanted.reason }, wanted.cursor);
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(letter) = letters.next().await?
    {
        found.push(letter);
    }
    let next = letters.cursor().filter(|_| found.len() == limit);
    let known = recorded(&state, &found).await?;
    let views = found.iter().map(|letter| DeadView::new(letter, known.contains_key(&letter.envelope.id)));
    Ok(Json(Page::new(views, next)))
}

/// Shows all of a dead letter.
#[utoipa::path(get, path = "/api/v1/dead-letters/{id}", tag = "dead letters", params(("id" = String, Path, description = "The job's id")), responses((status = OK, body = DeadDetailView)))]
pub(crate) async fn find_dead_letter(
    State(state): State<ServerState>,
    JobPath(id): JobPath,
) -> Result<Json<DeadDetailView>, Problem> {
    let letter = state.job_desk().letter(&id).await?;
    let known = recorded(&state, std::slice::from_ref(&letter)).await?;
    Ok(Json(DeadDetailView::new(&letter, known.contains_key(&id))))
}

/// Puts a dead letter back into its queue, under the id that it has.
#[utoipa::path(post, path = "/api/v1/dead-letters/{id}/retry", tag = "dead letters", params(("id" = String, Path, description = "The job's id")), responses((status = OK, body = RevivedView)))]
pub(crate) async fn retry_dead_letter(
    State(state): State<ServerState>,
    JobPath(id): JobPath,
) -> Result<Json<RevivedView>, Problem> {
    state.job_desk().retry_letters(std::slice::from_ref(&id)).await?;
    Ok(Json(RevivedView { id: id.to_string() }))
}

/// Drops a dead letter for good; the record of its job stays.
#[utoipa::path(delete, path = "/api/v1/dead-letters/{id}", tag = "dead letters", params(("id" = String, Path, description = "The job's id")), responses((status = NO_CONTENT)))]
pub(crate) async fn drop_dead_letter(
    State(state): State<ServerState>,
    JobPath(id): JobPath,
) -> Result<StatusCode, Problem> {
    state.job_desk().drop_letters(std::slice::from_ref(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn recorded(state: &ServerState, letters: &[DeadLetter]) -> Result<HashMap<JobId, u32>, Problem> {
    let ids: Vec<JobId> = letters.iter().map(|letter| letter.envelope.id.clone()).collect();
    Ok(state.client().recorder().generations(&ids).await?)
}
