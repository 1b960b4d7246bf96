//! All routes of the product, and what every request passes through.

use axum::Router;
use celeriac_control::access::Scope;
use utoipa_axum::routes;

use crate::api::{health, version};
use crate::state::ServerState;

mod layers;
mod table;

pub use table::{Route, RouteTable};

/// Returns all routes, each with the scope that it needs.
pub fn routes() -> RouteTable {
    RouteTable::new()
        // What a load balancer asks, which logs in nowhere.
        .open(routes!(health::check_live))
        .open(routes!(health::check_ready))
        .needs(Scope::Read, routes!(version::show_version))
}

/// Returns what answers requests.
pub(crate) fn router(state: &ServerState) -> Router {
    let (router, _) = routes().into_parts();
    layers::around(router.with_state(state.clone()), state)
}
