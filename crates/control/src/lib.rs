#![doc = include_str!("../README.md")]

mod app;
mod environment;
mod recorder;
pub mod workflow;

pub use app::{App, AppError, AppParts, StateMakers};
pub use environment::Environment;
pub use recorder::StoreRecorder;
