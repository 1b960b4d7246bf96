//! The description of the API itself.

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::openapi;

/// The document; it is the same for as long as the process lives.
static DOCUMENT: LazyLock<String> =
    LazyLock::new(|| openapi::document().to_json().expect("a description can be written as JSON"));

/// Describes the whole API, as OpenAPI does.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "server", responses((status = OK, body = Object, content_type = "application/json")))]
pub(crate) async fn show_openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}
