//! Who may do what.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use celeriac_control::access::{Caller, Scope};

use crate::problem::Problem;

/// Lets in who may do what a route is for, and tells its handler who it is.
pub(crate) async fn guard(need: Scope, mut request: Request, next: Next) -> Response {
    let is_near = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .is_some_and(|ConnectInfo(peer)| peer.ip().is_loopback());
    if !is_near {
        return Problem::new(StatusCode::UNAUTHORIZED, "login_required", "Nobody is logged in.")
            .detail(format!("this needs the scope `{need}`"))
            .into_response();
    }
    request.extensions_mut().insert(Caller::loopback(Scope::Admin));
    next.run(request).await
}
