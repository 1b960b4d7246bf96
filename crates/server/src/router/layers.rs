//! What every request passes through on its way to a handler, and every answer on its way out.

use std::any::Any;
use std::net::IpAddr;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::header::{CACHE_CONTROL, HOST, HeaderName, HeaderValue};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use celeriac_protocol::JobId;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tracing::Instrument;

use crate::code::Code;
use crate::failure::Failure;
use crate::problem::Problem;
use crate::state::ServerState;

/// The longest path and query together, in bytes.
const MAX_URI_BYTES: usize = 8 * 1024;

/// The longest id of a request that a caller may choose.
const MAX_ID_CHARS: usize = 64;

/// Names a request, in the answer and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What browsers are told of every answer. A page loads nothing from elsewhere, runs no script that stands in it, and is in
/// nobody's frame.
const HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

/// Puts all layers around the routes, the first to see a request last.
pub(super) fn around(routes: Router, state: &ServerState) -> Router {
    routes
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(state.options().body_bytes_max))
        .layer(from_fn_with_state(state.clone(), in_time))
        .layer(CatchPanicLayer::custom(caught))
        .layer(from_fn_with_state(state.clone(), for_us))
        .layer(from_fn_with_state(state.clone(), told))
        .layer(CompressionLayer::new())
        .layer(from_fn(safely))
        .layer(axum::Extension(state.clone()))
}

async fn no_such_route(uri: Uri) -> Problem {
    Failure::plain(Code::NotFound, format!("there is nothing at {}", uri.path())).into()
}

async fn no_such_method(request: Request) -> Problem {
    let (method, path) = (request.method(), request.uri().path());
    Failure::plain(Code::MethodNotAllowed, format!("{path} does not know {method}")).into()
}

/// A panic is a fault of ours; it ends its request and nothing else.
fn caught(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it does not say why");
    tracing::error!(panic = text, "handler of a request panicked");
    Problem::internal().into_response()
}

/// Gives an answer up that takes too long.
async fn in_time(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    let limit = state.options().request_timeout;
    tokio::select! {
        response = next.run(request) => response,
        () = state.clock().sleep(limit) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_slow", "The answer took too long.")
                .detail(format!("there was no answer after {} s", limit.as_secs()))
                .hint("ask again in a moment, or for less")
                .into_response()
        }
    }
}

/// Refuses what is not meant for this server: a page elsewhere whose host's name was made to point here (DNS rebinding),
/// and addresses without end.
async fn for_us(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    if request.uri().path_and_query().is_some_and(|target| target.as_str().len() > MAX_URI_BYTES) {
        return Problem::new(StatusCode::URI_TOO_LONG, "uri_too_long", "The address is too long.")
            .detail(format!("path and query may have {MAX_URI_BYTES} bytes"))
            .into_response();
    }
    let options = state.options();
    let host = host_of(&request);
    let public = options.public_url.as_ref().and_then(url::Url::host_str);
    match host {
        Some(host) if options.is_on_loopback() && !is_local(&host) && public != Some(host.as_str()) => {
            Problem::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", "The request is for another host.")
                .detail(format!("this server is not called \"{host}\""))
                .hint("name it in `http.public_url` where it is reached by another name")
                .field("host")
                .into_response()
        }
        _ => next.run(request).await,
    }
}

/// Returns the host that a request is for, without its port.
fn host_of(request: &Request) -> Option<String> {
    let named = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let named = request.uri().authority().map(Authority::as_str).or(named)?;
    let host = match named.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => named,
    };
    Some(host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase())
}

fn is_local(host: &str) -> bool {
    let is_name = host == "localhost" || host.ends_with(".localhost");
    is_name || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Gives a request its id, tells of it in the log, and writes what went wrong.
async fn told(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    let begun = state.clock().now();
    let id = chosen(request.headers()).unwrap_or_else(|| JobId::fresh(begun).to_string());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let (method, route) = (request.method().clone(), route.unwrap_or_else(|| "none".to_owned()));
    let span = tracing::info_span!("request", request.id = id, http.method = %method, http.route = route);
    let mut response = next.run(request).instrument(span.clone()).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let code = problem.code().to_owned();
        if response.status().is_server_error() {
            span.in_scope(|| tracing::warn!(code, detail = problem.what(), "request failed"));
        } else {
            span.in_scope(|| tracing::debug!(code, detail = problem.what(), "request was refused"));
        }
        response = problem.answer(&id, std::mem::take(response.headers_mut()));
    }
    let (status, took) = (response.status().as_u16(), state.clock().now().since(begun));
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::debug!(status, duration_ms, "request was answered"));
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Returns the id that the caller has chosen, where it is one: it comes into the log.
fn chosen(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    ((1..=MAX_ID_CHARS).contains(&id.len()) && id.bytes().all(is_plain)).then(|| id.to_owned())
}

/// Tells browsers what they may do with an answer. What nobody says may be kept, is not.
async fn safely(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, name: &str, local: bool) {
        let request = Request::builder().uri("/").header(HOST, host).body(axum::body::Body::empty()).unwrap();
        let found = host_of(&request).unwrap();
        assert_eq!((found.as_str(), is_local(&found)), (name, local), "{host}");
    }

    #[test]
    fn only_names_of_this_machine_are_local() {
        check("localhost:8470", "localhost", true);
        check("127.0.0.1", "127.0.0.1", true);
        check("[::1]:80", "::1", true);
        check("Jobs.LOCALHOST", "jobs.localhost", true);
        check("evil.example:8470", "evil.example", false);
        check("127.0.0.1.evil.example", "127.0.0.1.evil.example", false);
        check("10.0.0.1", "10.0.0.1", false);
        check("", "", false);
    }

    #[test]
    fn a_chosen_id_is_plain_and_short() {
        let of = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(id).unwrap());
            chosen(&headers)
        };
        assert_eq!(of("abc-1_2").as_deref(), Some("abc-1_2"));
        assert_eq!(of("a b"), None);
        assert_eq!(of(""), None);
        assert_eq!(of(&"a".repeat(65)), None);
    }
}
