//! The description of the API, made from its handlers.

use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};

use crate::problem::ProblemView;
use crate::router::routes;

/// Says what the API is, before any route is in it.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Celeriac",
        description = "Background jobs and table workflows over HTTP. Errors are problem details (RFC 9457) with a stable \
            `code`; lists have `items` and `next`, which is the cursor of the next page; times are RFC 3339 in UTC.",
        license(name = "MIT OR Apache-2.0")
    ),
    components(schemas(ProblemView))
)]
struct Head;

/// Returns what the description begins with.
pub(crate) fn head() -> utoipa::openapi::OpenApi {
    let mut head = Head::openapi();
    let components = head.components.get_or_insert_default();
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token that `tokens add` has made."))
        .build();
    components.add_security_scheme("token", SecurityScheme::Http(token));
    let session = ApiKeyValue::with_description("celeriac_session", "What a login has set.");
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)));
    head
}

/// Returns the whole description, made from the table of routes.
pub fn document() -> utoipa::openapi::OpenApi {
    routes().into_parts().1
}
