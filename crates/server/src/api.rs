//! The handlers of the API, by noun. Each reads a request, calls one function of a floor below, and answers with a view.

pub(crate) mod celery;
pub(crate) mod collector;
pub(crate) mod dead;
pub(crate) mod description;
pub(crate) mod enqueue;
pub(crate) mod health;
mod instants;
pub(crate) mod jobs;
mod paging;
pub(crate) mod queues;
pub(crate) mod tasks;
pub(crate) mod version;
