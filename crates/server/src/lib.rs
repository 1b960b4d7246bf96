#![doc = include_str!("../README.md")]

mod access;
mod api;
mod code;
pub mod demo_site;
mod exit;
mod failure;
mod openapi;
mod options;
mod problem;
mod request;
mod router;
mod server;
mod state;
pub mod views;

pub use code::{Code, Kind};
pub use exit::Exit;
pub use failure::{Failure, Object};
pub use openapi::document;
pub use options::{DEFAULT_PORT, Login, OptionError, ServerOptions};
pub use problem::{PROBLEM_JSON, Problem};
pub use router::{Route, RouteTable, routes};
pub use server::{Server, ServerError};
pub use state::{ServerParts, ServerState};
