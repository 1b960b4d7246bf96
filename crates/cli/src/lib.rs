#![doc = include_str!("../README.md")]

mod arguments;
mod clock;
mod commands;
mod config;
mod context;
mod embed;
mod error;
mod exit;
mod logging;
mod loops;
mod output;
mod platform;
mod readiness;
mod run;
mod service;
mod shutdown;
mod values;
mod views;

pub use celeriac_control::App;
pub use celeriac_server::{Code, Kind};
pub use embed::{Embedded, Running, StartError, start};
pub use exit::Exit;
pub use run::{main, main_with};
pub use service::RunError;
