//! What runs here.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::ServerState;

/// What runs here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionView {
    /// What the app is called.
    #[schema(example = "celeriac")]
    app: String,
    /// Its version, where it says one.
    version: Option<String>,
    /// The version of the platform that it is built on.
    #[schema(example = "0.1.0")]
    celeriac: &'static str,
}

/// Tells what runs here.
#[utoipa::path(get, path = "/api/v1/version", tag = "server", responses((status = OK, body = VersionView)))]
pub(crate) async fn show_version(State(state): State<ServerState>) -> Json<VersionView> {
    let version = state.app_version().map(str::to_owned);
    Json(VersionView { app: state.app_name().to_owned(), version, celeriac: env!("CARGO_PKG_VERSION") })
}
