//! All routes of the product, and what every request passes through.

use axum::Router;
use celeriac_control::access::Scope;
use utoipa_axum::routes;

use crate::api::{celery, collector, dead, description, enqueue, health, jobs, queues, tasks, version};
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
        .open(routes!(description::show_openapi))
        // Jobs.
        .needs(Scope::Read, routes!(jobs::list_jobs))
        .needs(Scope::Enqueue, routes!(enqueue::enqueue_job))
        .needs(Scope::Enqueue, routes!(enqueue::enqueue_jobs))
        .needs(Scope::Read, routes!(jobs::find_job))
        .needs(Scope::Operate, routes!(jobs::cancel_job))
        .needs(Scope::Operate, routes!(jobs::retry_job))
        .needs(Scope::Operate, routes!(jobs::delete_job))
        // Tasks and queues.
        .needs(Scope::Read, routes!(tasks::list_tasks))
        .needs(Scope::Read, routes!(tasks::find_one_task))
        .needs(Scope::Read, routes!(queues::list_queues))
        .needs(Scope::Operate, routes!(queues::pause_queue))
        .needs(Scope::Operate, routes!(queues::resume_queue))
        // Dead letters.
        .needs(Scope::Read, routes!(dead::list_dead_letters))
        .needs(Scope::Read, routes!(dead::find_dead_letter))
        .needs(Scope::Operate, routes!(dead::retry_dead_letter))
        .needs(Scope::Operate, routes!(dead::drop_dead_letter))
        // What others' programs call by these paths.
        .needs(Scope::Enqueue, routes!(collector::scrape_all))
        .needs(Scope::Enqueue, routes!(collector::scrape_account))
        .needs(Scope::Enqueue, routes!(collector::run_scraper))
        .needs(Scope::Read, routes!(collector::track_job))
        .needs(Scope::Read, routes!(collector::track_jobs))
        .needs(Scope::Operate, routes!(collector::cancel_tracked))
        .needs(Scope::Operate, routes!(collector::delete_tracked))
        .needs(Scope::Read, routes!(celery::find_task_status))
}

/// Returns what answers requests.
pub(crate) fn router(state: &ServerState) -> Router {
    let (router, _) = routes().into_parts();
    layers::around(router.with_state(state.clone()), state)
}
