//! Who may do what.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use celeriac_control::access::{Caller, Scope};

use crate::code::Code;
use crate::failure::Failure;

/// Lets in who may do what a route is for, and tells its handler who it is.
pub(crate) async fn guard(need: Scope, mut request: Request, next: Next) -> Response {
    let is_near = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .is_some_and(|ConnectInfo(peer)| peer.ip().is_loopback());
    if !is_near {
        let said = format!("nobody is logged in; this needs the scope `{need}`");
        return Failure::plain(Code::Unauthenticated, said).into_response();
    }
    request.extensions_mut().insert(Caller::loopback(Scope::Admin));
    next.run(request).await
}
