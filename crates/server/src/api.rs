//! The handlers of the API, by noun. Each reads a request, calls one function of a floor below, and answers with a view.

pub(crate) mod health;
pub(crate) mod version;
